//! The engine: takes frames of the event log in sequence and says what became wrong or right.
//!
//! **Time.** Records of a frame are applied in order. Timers that are due at log time T fire when
//! a `Tick` stands in a frame of T, or when a frame with a later log time arrives, before its
//! records. So everything that was committed at one log time is known before silence is judged at
//! it, however it was cut into frames.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use metering::{
    CollectorAsset, CollectorId, EventCode, LogRecord, LoggedFrame, MeterAsset, MeterId, Subject,
    UtcTime, WorkOrder, WorkOrderKind, WorkOrderStatus,
};

use crate::alerts::AlertKey;
use crate::env::Env;
use crate::params::Params;
use crate::rules::device::{self, Told};
use crate::rules::silence::Found;
use crate::rules::{battery, collector, dma, headend, identity, silence, stopped, variance, water};
use crate::state::NEVER;
use crate::state::collector::Collector;
use crate::state::meter::{Meter, Silence, secs};
use crate::state::weather::EVERYWHERE;
use crate::timer::TimerKey;
use crate::transition::AlertTransition;

/// A hasher for small numbers: one multiplication.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct NumberHasher(u64);

impl Hasher for NumberHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }
    fn write_i32(&mut self, number: i32) {
        self.write_u64(u64::from(number.cast_unsigned()));
    }
    fn write_u64(&mut self, number: u64) {
        let mixed = (self.0 ^ number).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 = mixed ^ (mixed >> 32);
    }
}

/// A register may be sent this long after it was read, a heartbeat is sent at once; in seconds.
const REGISTER_WAY_S: i64 = 7_200;
const HEARTBEAT_WAY_S: i64 = 300;

pub(crate) type ByNumber<K> = HashMap<K, u32, BuildHasherDefault<NumberHasher>>;

/// The streaming rule engine of one log shard.
#[derive(Debug)]
pub struct Engine {
    pub(crate) env: Env,
    pub(crate) meters: Vec<Meter>,
    pub(crate) meter_places: ByNumber<MeterId>,
    pub(crate) collectors: Vec<Collector>,
    pub(crate) collector_places: ByNumber<CollectorId>,
    /// Sequence of the next record.
    pub(crate) next_seq: i64,
}

impl Engine {
    /// An engine that has seen nothing; the log starts at sequence 1.
    pub fn new(params: Params) -> Self {
        Self {
            env: Env::new(params),
            meters: Vec::new(),
            meter_places: ByNumber::default(),
            collectors: Vec::new(),
            collector_places: ByNumber::default(),
            next_seq: 1,
        }
    }

    /// Applies a frame and appends what changed to `out`. Records that were applied before are
    /// skipped, so delivery at least once is enough.
    pub fn apply(&mut self, frame: &LoggedFrame, out: &mut Vec<AlertTransition>) {
        let skip = usize::try_from(self.next_seq.saturating_sub(frame.first_seq)).unwrap_or(0);
        if skip >= frame.records.len() {
            return;
        }
        self.advance(frame.log_time);
        for record in frame.records.iter().skip(skip) {
            self.record(record);
        }
        let records = i64::try_from(frame.records.len()).unwrap_or(i64::MAX);
        self.next_seq = frame.first_seq.saturating_add(records);
        out.append(&mut self.env.out);
    }

    /// What rules in shadow mode said since the last call; it opens no issue.
    pub fn take_shadow(&mut self) -> Vec<AlertTransition> {
        std::mem::take(&mut self.env.book.shadow)
    }

    /// From here on bills can be projected (#27). It is not part of a snapshot: the program gives it
    /// again after a restore.
    pub fn set_pricing(&mut self, pricing: Box<dyn crate::Pricing>) {
        self.env.pricing = Some(pricing);
    }

    /// Sequence of the next record that is wanted.
    pub const fn position(&self) -> i64 {
        self.next_seq
    }

    /// Log time of the newest frame; [`UtcTime::MIN`] before the first.
    pub const fn log_time(&self) -> UtcTime {
        self.env.at
    }

    /// The active alerts that staff were told, as if they were raised now: for a desk that lost its
    /// state.
    pub fn standing(&self) -> Vec<AlertTransition> {
        self.env.book.as_raised(self.env.at)
    }

    /// Number of active alerts.
    pub fn active_alerts(&self) -> usize {
        self.env.book.live().count()
    }

    /// Mean bytes of state of a channel, with its share of the meter's (`metering-rules` 10): all
    /// that is kept on the heap for it as it was asked for, its timers, its place in the network,
    /// events and cells. Not counted: what the allocator adds, the index by number (12 B a meter),
    /// and active alerts (the side map of section 10).
    pub fn state_bytes_per_channel(&self) -> usize {
        let channels: usize = self.meters.iter().map(|meter| meter.channels.len()).sum();
        let env = &self.env;
        let bytes: usize = self.meters.iter().map(Meter::bytes).sum();
        let shared = env.network.link_bytes() + env.timers.bytes() + env.registers.bytes();
        (bytes + shared) / channels.max(1)
    }

    /// Log time moves on: timers that were due at the former one fire first. It never goes back.
    fn advance(&mut self, log_time: UtcTime) {
        if log_time <= self.env.at {
            return;
        }
        self.fire_due();
        let (before, now) = (self.env.now, secs(log_time));
        self.env.at = log_time;
        if now > before {
            self.env.before = before;
            self.env.now = now;
        }
        if before != NEVER && now - before > self.env.params.blind_jump_s {
            self.start_watch(before);
        }
    }

    /// Nobody watched since `from`.
    fn start_watch(&mut self, from: i64) {
        let gap_s = self.env.now - from;
        let quick = |meter: &&Meter| meter.silence == Silence::Fresh && meter.cadence_s() <= gap_s;
        let expected = self.meters.iter().filter(quick).count();
        self.env.watch.jumped(from, self.env.now, u32::try_from(expected).unwrap_or(u32::MAX));
    }

    fn record(&mut self, record: &LogRecord) {
        if is_from_a_device(record)
            && let Some(from) = headend::data_came(&mut self.env)
        {
            self.start_watch(from);
        }
        match record {
            LogRecord::Interval { .. } => self.interval(record),
            LogRecord::Register { meter, channel, read_at, value, code, failed } => {
                let at = secs(*read_at);
                self.env.watch.note_stamp(at.min(self.env.now), REGISTER_WAY_S);
                let place = self.value_of(*meter, at, code.flags());
                let good = failed.is_empty() && code.status() != metering::QualityStatus::Suspect;
                let Some(place) = place else { return };
                if let Some(own) = self.meters.get_mut(place as usize).filter(|_| good) {
                    device::instant(own, channel.get(), (at, *value), &mut self.env);
                }
                self.judged(place, record);
            }
            LogRecord::Event { subject, occurred_at, code, detail } => {
                self.event(*subject, Told { at: secs(*occurred_at), code: *code, detail: *detail });
            }
            LogRecord::Heard { meter, collector, rssi_dbm } => {
                self.heard(*meter, *collector, *rssi_dbm);
            }
            LogRecord::Tick => self.fire_due(),
            LogRecord::Meter(asset) => {
                self.meter(asset);
                self.assign_rule(self.meter_places.get(&asset.meter).copied().unwrap_or(u32::MAX));
            }
            LogRecord::Collector(asset) => self.collector(asset),
            LogRecord::WorkOrder(order) => self.work_order(order),
            LogRecord::Finding(finding) => self.finding(finding),
            LogRecord::Zone(zone) => self.env.network.zone(zone),
            LogRecord::Rules(bundle) => self.switch(bundle),
        }
    }

    fn interval(&mut self, record: &LogRecord) {
        let LogRecord::Interval { meter, channel, end, len_s, value, code, failed } = record else {
            return;
        };
        let Some(place) = self.value_of(*meter, secs(*end), code.flags()) else { return };
        let slot = crate::intervals::Filled {
            channel: *channel,
            end: secs(*end),
            len_s: *len_s,
            value: *value,
            code: *code,
            clean: failed.is_empty(),
        };
        if let Some(meter) = self.meters.get_mut(place as usize) {
            crate::intervals::fill(meter, place, slot, &mut self.env);
        }
        self.judged(place, record);
    }

    /// A value of a meter: it is alive, and its flags count. Gives the meter's place.
    fn value_of(&mut self, id: MeterId, at: i64, flags: metering::DeviceFlags) -> Option<u32> {
        let place = *self.meter_places.get(&id)?;
        let meter = self.meters.get_mut(place as usize)?;
        let env = &mut self.env;
        env.select(place);
        silence::heard(meter, place, env);
        silence::delivered(meter, place, at, env);
        if flags.contains(metering::DeviceFlags::LOW_BATTERY) {
            battery::flagged(meter, place, at, env);
        }
        Some(place)
    }

    fn heard(&mut self, id: MeterId, collector: Option<CollectorId>, rssi_dbm: Option<i16>) {
        let Some(place) = self.meter_places.get(&id).copied() else { return };
        let Some(meter) = self.meters.get_mut(place as usize) else { return };
        self.env.select(place);
        silence::heard(meter, place, &mut self.env);
        if let Some(dbm) = rssi_dbm {
            meter.note_signal(dbm);
        }
        if let Some(through) = collector {
            let at = self.collector_place(through);
            let before = self.env.before;
            if let Some(collector) = self.collectors.get_mut(at as usize) {
                collector.heard_after = collector.heard_after.max(before);
            }
        }
    }

    /// The mean of a day is known: days that closed without it are judged again.
    fn weather(&mut self, zone: i32, at: i64, centi: i32) {
        let Some(day) = self.env.network.weather.note(zone, at, centi) else { return };
        let concerned = |meter: &&mut Meter| zone == EVERYWHERE || meter.network_zone == zone;
        for meter in self.meters.iter_mut().filter(concerned) {
            if let Some(place) = self.meter_places.get(&meter.id).copied() {
                self.env.select(place);
            }
            variance::weather_known(meter, day, &mut self.env);
        }
    }

    fn event(&mut self, subject: Subject, told: Told) {
        let (at, code) = (told.at, told.code);
        match (subject, code) {
            (Subject::Collector(id), EventCode::Heartbeat) => {
                let place = self.collector_place(id);
                if let Some(collector) = self.collectors.get_mut(place as usize) {
                    collector::beat(collector, place, at, &mut self.env);
                }
                self.env.watch.note_stamp(at.min(self.env.now), HEARTBEAT_WAY_S);
            }
            (Subject::Headend, EventCode::ClockError) => headend::clock_wrong(at, &mut self.env),
            (Subject::Headend, EventCode::Cleared) => headend::clock_right(at, &mut self.env),
            (Subject::Headend, EventCode::AmbientTemperature) => {
                self.weather(EVERYWHERE, at, told.detail);
            }
            (Subject::Zone(zone), EventCode::AmbientTemperature) => {
                self.weather(zone.get(), at, told.detail);
            }
            (Subject::Meter(id), code) => {
                let Some(place) = self.meter_places.get(&id).copied() else { return };
                let Some(meter) = self.meters.get_mut(place as usize) else { return };
                self.env.select(place);
                match code {
                    EventCode::BatteryLow => {
                        battery::flagged(meter, place, at, &mut self.env);
                    }
                    EventCode::Tamper
                    | EventCode::CoverOpened
                    | EventCode::MagneticField
                    | EventCode::RegisterDisconnected
                    | EventCode::TerminalCoverOpened
                    | EventCode::Tilt
                    | EventCode::CableCut => {
                        let past = meter.past_mut();
                        past.tamper_at = past.tamper_at.max(at.min(self.env.now));
                    }
                    _ => {}
                }
                device::event(meter, place, told, &mut self.env);
                self.network_event(place, told);
            }
            _ => {}
        }
    }

    fn work_order(&mut self, order: &WorkOrder) {
        if let Subject::Zone(zone) = order.subject
            && order.kind == WorkOrderKind::Repair
            && order.status == WorkOrderStatus::Completed
        {
            dma::repaired(zone, order.at.seconds(), &mut self.env);
        }
        let Subject::Meter(id) = order.subject else { return };
        let Some(place) = self.meter_places.get(&id).copied() else { return };
        let Some(meter) = self.meters.get_mut(place as usize) else { return };
        self.env.select(place);
        meter.rare_mut().visit(order);
        device::ordered(meter, place, order, &mut self.env);
    }

    fn meter(&mut self, asset: &MeterAsset) {
        let zone = self.env.zones.number_of(&asset.zone);
        let place = match self.meter_places.get(&asset.meter) {
            Some(place) => *place,
            None => {
                let place = u32::try_from(self.meters.len()).unwrap_or(u32::MAX);
                self.meters.push(Meter::new(asset, zone));
                self.meter_places.insert(asset.meter, place);
                self.env.fleet += 1;
                place
            }
        };
        let Some(meter) = self.meters.get_mut(place as usize) else { return };
        let (installed_at, primary) = (meter.installed_at.s(), meter.primary());
        let serial = meter.serial_hash;
        let before = (meter.transformer, meter.network_zone);
        meter.update(asset, zone);
        self.env.registers.keep(meter.id, |no| meter.channel_at(no).is_some());
        if meter.serial_hash != serial || meter.installed_at.s() != installed_at {
            identity::corrected(meter, &mut self.env);
        }
        if meter.installed_at.s() != installed_at {
            let at = meter.installed_at.s();
            stopped::exchanged(meter, at, &mut self.env);
        }
        if meter.installed_at.s() != installed_at {
            let whose = crate::rules::verdicts::Whose { meter, place, channel: None };
            crate::rules::verdicts::exchanged(whose, &mut self.env);
        }
        let lag_s = meter.channels.iter().filter(|c| c.used()).map(|c| c.lag_s).max().unwrap_or(0);
        let group = self.env.groups.number_of(meter.commodity, zone);
        if let Some(group) = self.env.groups.get_mut(group) {
            group.lag_s = group.lag_s.max(lag_s);
        }
        let wanted = meter.primary();
        if let Some(old) = primary.filter(|old| Some(*old) != wanted) {
            let at = self.collector_place(old);
            self.collectors[at as usize].members.retain(|member| *member != place);
        }
        if let Some(id) = wanted {
            let at = self.collector_place(id);
            let members = &mut self.collectors[at as usize].members;
            if let Err(gap) = members.binary_search(&place) {
                members.insert(gap, place);
            }
        }
        self.link(place, before, asset);
    }

    fn collector(&mut self, asset: &CollectorAsset) {
        let place = self.collector_place(asset.collector);
        if let Some(collector) = self.collectors.get_mut(place as usize) {
            collector::told(collector, asset.heartbeat_s, &self.meters, &mut self.env);
        }
    }

    pub(crate) fn collector_place(&mut self, id: CollectorId) -> u32 {
        if let Some(place) = self.collector_places.get(&id) {
            return *place;
        }
        let place = u32::try_from(self.collectors.len()).unwrap_or(u32::MAX);
        self.collectors.push(Collector::new(id));
        self.collector_places.insert(id, place);
        place
    }

    fn fire_due(&mut self) {
        while let Some(key) = self.env.book.first_due(self.env.now) {
            self.select_subject(key.subject);
            self.env.book.ripen(&key, self.env.at, &mut self.env.out);
        }
        while let Some(key) = self.env.timers.pop_due(self.env.now) {
            self.fire(key);
        }
    }

    fn select_timer(&mut self, key: TimerKey) {
        match key {
            TimerKey::DayClose { meter, .. }
            | TimerKey::Silence { meter }
            | TimerKey::Child { meter }
            | TimerKey::Battery { meter } => self.env.select(meter),
            TimerKey::Annunciate { meter, .. } => self.select_subject(Subject::Meter(meter)),
            _ => self.env.select_all(),
        }
    }

    fn fire(&mut self, key: TimerKey) {
        self.select_timer(key);
        match key {
            TimerKey::Headend => {
                let usual = self.usual();
                headend::check(usual, &mut self.env);
            }
            TimerKey::DayClose { meter, channel } => {
                if let Some(own) = self.meters.get_mut(meter as usize) {
                    crate::intervals::close_due(own, (meter, channel), &mut self.env);
                }
            }
            TimerKey::Silence { meter } => self.silence(meter),
            TimerKey::Child { meter } => {
                let parent = self.parent_of(meter);
                if let Some(own) = self.meters.get_mut(meter as usize) {
                    let parent = parent.and_then(|at| self.collectors.get(at as usize));
                    silence::follow_up(own, meter, parent, &mut self.env);
                }
            }
            TimerKey::Collector { collector: place } => {
                if let Some(own) = self.collectors.get_mut(place as usize) {
                    collector::check(own, place, &self.meters, &mut self.env);
                }
            }
            TimerKey::Battery { meter } => {
                if let Some(own) = self.meters.get_mut(meter as usize) {
                    battery::check(own, meter, &mut self.env);
                }
            }
            TimerKey::Variance { group, day } => {
                variance::decide(&self.meters, group, day, &mut self.env);
            }
            TimerKey::Daily => self.daily(),
            TimerKey::Dark { meter } => self.dark(meter),
            TimerKey::TestMode { meter } => self.test_mode(meter),
            TimerKey::Look { meter, rule } => {
                if let Some(own) = self.meters.get_mut(meter as usize) {
                    self.env.select(meter);
                    device::look(own, meter, rule, &mut self.env);
                }
            }
            TimerKey::Annunciate { meter: id, rule, channel } => {
                let key = AlertKey { subject: Subject::Meter(id), rule, channel };
                let place = self.meter_places.get(&id).copied();
                if let Some(meter) = place.and_then(|at| self.meters.get(at as usize)) {
                    water::annunciate(meter, key, &mut self.env);
                }
            }
        }
    }

    fn parent_of(&self, meter: u32) -> Option<u32> {
        let primary = self.meters.get(meter as usize)?.primary()?;
        self.collector_places.get(&primary).copied()
    }

    fn silence(&mut self, place: u32) {
        let parent = self.parent_of(place);
        let Some(meter) = self.meters.get_mut(place as usize) else { return };
        let collector = parent.and_then(|at| self.collectors.get(at as usize));
        let found = silence::check(meter, place, collector, &mut self.env);
        if found == Found::NewlyStale
            && let Some(at) = parent
            && let Some(collector) = self.collectors.get_mut(at as usize)
        {
            collector::member_stale(collector, at, place, &mut self.env);
        }
    }

    fn usual(&self) -> headend::Usual {
        let mut usual =
            headend::Usual { meters: self.env.fleet, shortest_s: i64::MAX, contacts_a_day: 0 };
        let cadences = self.meters.iter().filter(|m| m.silence == Silence::Fresh);
        let beats = self.collectors.iter().filter(|c| c.heartbeat_s > 0 && c.beat_at != NEVER);
        for cadence_s in cadences
            .map(Meter::cadence_s)
            .chain(beats.map(|collector| i64::from(collector.heartbeat_s)))
        {
            usual.shortest_s = usual.shortest_s.min(cadence_s);
            usual.contacts_a_day += (86_400 / cadence_s).max(1);
        }
        usual.shortest_s = usual.shortest_s.min(86_400);
        usual
    }
}

/// Ticks, assets, findings, orders, rules and the weather are our own: they do not show that
/// anybody is heard.
fn is_from_a_device(record: &LogRecord) -> bool {
    if let LogRecord::Event { subject: Subject::Headend | Subject::Zone(_), .. } = record {
        return false;
    }
    matches!(
        record,
        LogRecord::Interval { .. }
            | LogRecord::Register { .. }
            | LogRecord::Event { .. }
            | LogRecord::Heard { .. }
    )
}
