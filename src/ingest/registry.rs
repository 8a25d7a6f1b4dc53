//! Who speaks: devices and collectors by the name they use on the wire, channels by field, and
//! what each counter was last seen at. Held in memory; loaded again when the asset model changes.

use std::collections::HashMap;
use std::sync::Arc;

use metering::{ChannelAsset, CollectorId, LocalCalendar, MeterId, Ratio, SourceId, Tag, UtcTime};
use store::ChannelStateRow;
use store::assets::{RegistryChannel, RegistryMeter};
use vee::{Params, Verdict};

use super::counter::Pace;
use super::grid::Point;
use super::levels::Levels;
use super::recent::{self, Recent};
use super::scale::Scale;
use crate::services::rules::limits::Limits;

/// Everything that resolving and scaling a reading needs.
#[derive(Debug, Default)]
pub struct Registry {
    version: i64,
    meters: Vec<MeterEntry>,
    by_source: HashMap<Box<str>, usize>,
    by_meter: HashMap<MeterId, usize>,
    collectors: HashMap<Box<str>, CollectorId>,
}

/// Whose report this is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Owner {
    /// Index for [`Registry::meter_mut`].
    Meter(usize),
    Collector(CollectorId),
    Unknown,
}

#[derive(Debug)]
pub struct MeterEntry {
    pub meter: MeterId,
    /// `None` when the zone of the usage point is not in the database of this machine.
    pub calendar: Option<Arc<LocalCalendar>>,
    pub installed_at: UtcTime,
    /// One register counts both directions.
    pub net: bool,
    pub channels: Vec<ChannelEntry>,
    pub levels: Levels,
    /// Limits of the checks for this meter.
    pub limits: Arc<Params>,
}

#[derive(Debug)]
pub struct ChannelEntry {
    pub field: Box<str>,
    pub asset: ChannelAsset,
    pub scale: Scale,
    /// 0 = never rolls over, as far as the asset record knows.
    pub modulus: i64,
    pub cap_steps_per_hour: i64,
    valid_from: UtcTime,
    valid_to: UtcTime,
    pub state: ChannelState,
}

/// What a channel's next reading is compared with.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ChannelState {
    pub counter: Option<CounterState>,
    pub recent: Recent,
    /// How fast the counter runs; in memory only.
    pub pace: Pace,
    /// Verdict that the interval which is still open will inherit.
    pub open: Verdict,
    /// Changed since it was last written to a batch.
    pub touched: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CounterState {
    pub read_at: UtcTime,
    pub raw: i64,
    /// Unrolled, in milli-units.
    pub total: i64,
    /// Last known grid point.
    pub boundary: Option<Point>,
}

impl Registry {
    pub fn new(data: &store::assets::Registry) -> Self {
        let mut calendars = HashMap::new();
        let limits = Arc::new(Params::default());
        let mut this = Self { version: data.version, ..Self::default() };
        for known in &data.meters {
            let at = this.meters.len();
            this.meters.push(MeterEntry::new(known, &mut calendars, &limits));
            this.by_meter.insert(known.meter, at);
            for source in &known.sources {
                this.by_source.insert(source.as_str().into(), at);
            }
        }
        for known in &data.collectors {
            this.collectors.insert(known.code.as_str().into(), known.collector);
        }
        this.adopt_states(&data.states);
        this
    }

    /// From here on each meter is judged by what the rules say of it; `data` is what this was made of.
    pub fn judge_by(&mut self, limits: &mut Limits, data: &store::assets::Registry) {
        for (entry, known) in self.meters.iter_mut().zip(&data.meters) {
            entry.limits = limits.of(&known.asset);
        }
    }

    /// The version of the asset model that this is.
    pub const fn version(&self) -> i64 {
        self.version
    }

    /// Takes over what `older` saw of the devices since it was loaded. States in memory are ahead
    /// of the stored ones; where the stored one is newer, another program wrote it.
    pub fn inherit(&mut self, mut older: Self) {
        for entry in &mut self.meters {
            let Some(at) = older.by_meter.get(&entry.meter) else { continue };
            let before = &mut older.meters[*at];
            entry.levels = std::mem::take(&mut before.levels);
            for channel in &mut entry.channels {
                let same = |old: &&ChannelEntry| old.asset.channel == channel.asset.channel;
                if let Some(old) = before.channels.iter().find(same)
                    && old.state.read_at() >= channel.state.read_at()
                {
                    channel.state = old.state;
                }
            }
        }
    }

    /// True when it has a source or a field that `older` has not.
    pub fn knows_more_than(&self, older: &Self) -> bool {
        self.by_source.iter().any(|(source, at)| {
            let Some(before) = older.by_source.get(source) else { return true };
            let before = &older.meters[*before].channels;
            let known = |field: &str| before.iter().any(|channel| &*channel.field == field);
            self.meters[*at].channels.iter().any(|channel| !known(&channel.field))
        })
    }

    pub fn owner(&self, source: &SourceId) -> Owner {
        let name = source.as_str();
        if let Some(at) = self.by_source.get(name) {
            return Owner::Meter(*at);
        }
        match name.strip_prefix("collector:").and_then(|code| self.collector(code)) {
            Some(collector) => Owner::Collector(collector),
            None => Owner::Unknown,
        }
    }

    pub fn collector(&self, code: &str) -> Option<CollectorId> {
        self.collectors.get(code).copied()
    }

    pub fn meter(&self, at: usize) -> &MeterEntry {
        &self.meters[at]
    }

    pub fn meter_mut(&mut self, at: usize) -> &mut MeterEntry {
        &mut self.meters[at]
    }

    fn adopt_states(&mut self, states: &[ChannelStateRow]) {
        for row in states {
            let Some(at) = self.by_meter.get(&row.meter) else { continue };
            let channels = &mut self.meters[*at].channels;
            if let Some(channel) = channels.iter_mut().find(|c| c.asset.channel == row.channel) {
                channel.state = ChannelState::from_row(row);
            }
        }
    }
}

impl MeterEntry {
    fn new(
        known: &RegistryMeter,
        calendars: &mut HashMap<String, Option<Arc<LocalCalendar>>>,
        limits: &Arc<Params>,
    ) -> Self {
        let zone = &known.asset.zone;
        let calendar = calendars
            .entry(zone.clone())
            .or_insert_with(|| LocalCalendar::new(zone).ok().map(Arc::new))
            .clone();
        let channels = known.channels.iter().filter_map(|channel| {
            let entry = ChannelEntry::new(channel);
            if entry.is_none() {
                tracing::error!(meter = %known.number, field = channel.field,
                    "The multiplier of a channel is beyond all measure; its values become dead letters.");
            }
            entry
        });
        Self {
            meter: known.meter,
            calendar,
            installed_at: known.asset.installed_at,
            net: known.asset.has_tag(Tag::NetMeter),
            channels: channels.collect(),
            levels: Levels::default(),
            limits: Arc::clone(limits),
        }
    }

    /// The channel that carries `field` at `at`.
    pub fn channel_at(&self, field: &str, at: UtcTime) -> Option<usize> {
        self.channel_where(at, |name| name == field)
    }

    /// The channel that carries `field` of this kind of telegram alone (`idm.consumption`), else
    /// that of any kind.
    pub fn channel_of(&self, telegram: &str, field: &str, at: UtcTime) -> Option<usize> {
        if telegram.is_empty() {
            return self.channel_at(field, at);
        }
        let of_kind = |name: &str| {
            name.strip_prefix(telegram).and_then(|rest| rest.strip_prefix('.')) == Some(field)
        };
        self.channel_where(at, of_kind).or_else(|| self.channel_at(field, at))
    }

    /// A channel names another kind of telegram that it takes the field of.
    pub fn takes_other_kinds(&self, field: &str) -> bool {
        self.channels.iter().any(|channel| {
            channel.field.split_once('.').is_some_and(|(_, carried)| carried == field)
        })
    }

    fn channel_where(&self, at: UtcTime, carries: impl Fn(&str) -> bool) -> Option<usize> {
        let valid = |c: &ChannelEntry| c.valid_from <= at && at < c.valid_to;
        let first = self.channels.iter().position(|channel| carries(&channel.field))?;
        if valid(&self.channels[first]) {
            return Some(first);
        }
        self.channels.iter().position(|c| carries(&c.field) && valid(c)).or(Some(first))
    }
}

impl ChannelEntry {
    fn new(known: &RegistryChannel) -> Option<Self> {
        let asset = ChannelAsset {
            channel: known.channel,
            reading_type: known.reading_type,
            kind: known.kind,
            len_s: known.len_s,
            resolution: known.resolution,
            cap_per_hour: known.cap_per_hour,
            delivery_lag_s: known.delivery_lag_s,
        };
        let multiplier = Ratio::from_decimal(known.multiplier);
        let scale = Scale::new(known.unit, known.decimals, multiplier).ok()?;
        Some(Self {
            field: known.field.as_str().into(),
            asset,
            scale,
            modulus: known.modulus,
            cap_steps_per_hour: scale.steps_in(known.cap_per_hour),
            valid_from: known.valid_from,
            valid_to: known.valid_to,
            state: ChannelState::default(),
        })
    }
}

impl ChannelState {
    fn from_row(row: &ChannelStateRow) -> Self {
        let (recent, open) = recent::from_json(&row.recent);
        let boundary = row.boundary.map(|(at, total)| Point { at, total });
        let counter =
            CounterState { read_at: row.read_at, raw: row.raw, total: row.total, boundary };
        Self { counter: Some(counter), recent, open, touched: false, ..Self::default() }
    }

    fn read_at(&self) -> Option<UtcTime> {
        self.counter.map(|counter| counter.read_at)
    }

    /// As it is stored; `None` while no counter is known.
    pub fn to_row(self, meter: MeterId, channel: metering::ChannelNo) -> Option<ChannelStateRow> {
        let counter = self.counter?;
        Some(ChannelStateRow {
            meter,
            channel,
            read_at: counter.read_at,
            raw: counter.raw,
            total: counter.total,
            boundary: counter.boundary.map(|point| (point.at, point.total)),
            recent: recent::to_json(&self.recent, self.open),
        })
    }
}
