//! How the engine feeds the rules of the network and of validation's verdicts: which record goes to
//! which of them, and what happens once a day.

use metering::{EventCode, Finding, LogRecord, MeterAsset, Subject, ZoneId};

use crate::engine::Engine;
use crate::env::Env;
use crate::rule::RuleId;
use crate::rules::device::Told;
use crate::rules::{dma, identity, missed, power, sewer, transformer, verdicts};
use crate::state::meter::{Meter, secs};
use crate::state::network::Is;
use crate::timer::TimerKey;

const DAY_S: i64 = 86_400;
/// The daily look is at this time of the UTC day: then also the slowest daily readers of the day
/// before the last have told it.
const DAILY_AT_S: i64 = 6 * 3_600 + 1_800;

/// A slot of a used channel was filled for the first time; `value` when it may be used.
pub(crate) fn filled(
    meter: &Meter,
    place: u32,
    (start, len_s): (i64, i64),
    value: Option<i64>,
    env: &mut Env,
) {
    env.network.delivered(place, start, len_s);
    if let Some(value) = value {
        dma::slot(meter, (start, len_s), value, env);
    }
}

impl Engine {
    /// The district or feeder that the subject belongs to.
    pub fn area_of(&self, subject: Subject) -> Option<Subject> {
        let Subject::Meter(id) = subject else { return None };
        let place = self.meter_places.get(&id)?;
        let zone = self.meters.get(*place as usize)?.network_zone;
        (zone != 0).then(|| Subject::Zone(ZoneId::new(zone)))
    }

    /// A meter was provisioned; `before` are the transformer and zone that it hung on.
    pub(crate) fn link(&mut self, place: u32, before: (i32, i32), asset: &MeterAsset) {
        let Some(meter) = self.meters.get(place as usize) else { return };
        self.env.network.meter((place, meter), before, asset);
        self.set_daily();
    }

    fn set_daily(&mut self) {
        if self.env.network.daily_at != 0 {
            return;
        }
        let today = self.env.now.div_euclid(DAY_S) * DAY_S + DAILY_AT_S;
        let due = if today > self.env.now { today } else { today + DAY_S };
        self.env.network.daily_at = due;
        self.env.timers.set(due, TimerKey::Daily);
    }

    /// A reading with the rules that failed it.
    pub(crate) fn judged(&mut self, place: u32, record: &LogRecord) {
        let (channel, from, to, failed, code, value) = match record {
            LogRecord::Interval { channel, end, len_s, failed, code, value, .. } => {
                (*channel, secs(*end) - i64::from(*len_s), secs(*end), *failed, *code, *value)
            }
            LogRecord::Register { channel, read_at, failed, code, value, .. } => {
                (*channel, secs(*read_at), secs(*read_at), *failed, *code, *value)
            }
            _ => return,
        };
        let Some(meter) = self.meters.get(place as usize) else { return };
        let whose = verdicts::Whose { meter, place, channel: Some(channel) };
        verdicts::reading(whose, (from, to), (failed, value), &mut self.env);
        if from < to {
            verdicts::flagged(whose, (from, to), code.flags(), &mut self.env);
        }
        if self.env.network.is(place, Is::DARK) {
            power::alive(meter, place, to, &mut self.env);
        }
    }

    pub(crate) fn finding(&mut self, finding: &Finding) {
        let Some(place) = self.meter_places.get(&finding.meter).copied() else { return };
        let Some(meter) = self.meters.get(place as usize) else { return };
        self.env.select(place);
        let whose = verdicts::Whose { meter, place, channel: finding.channel };
        verdicts::finding(whose, finding, &mut self.env);
    }

    /// What a device said that concerns its power or its own readings.
    pub(crate) fn network_event(&mut self, place: u32, told: Told) {
        let Some(meter) = self.meters.get_mut(place as usize) else { return };
        let env = &mut self.env;
        match told.code {
            EventCode::LastGasp => power::lost(meter, place, (told.at, true), env),
            EventCode::PowerFail => power::lost(meter, place, (told.at, false), env),
            EventCode::PowerRestore => power::alive(meter, place, told.at, env),
            EventCode::PingFailed => power::ping_failed(place, env),
            EventCode::ClockError => {
                let whose = first_channel(meter, place);
                verdicts::event(whose, RuleId::ING_CLK, (told.at, told.detail), env);
            }
            EventCode::DstShift => verdicts::shifted(first_channel(meter, place), told, env),
            EventCode::MemoryError => {
                let whose = first_channel(meter, place);
                verdicts::event(whose, RuleId::ING_FLAG, (told.at, 0), env);
            }
            EventCode::TestMode => {
                let due = env.now.max(told.at + verdicts::TEST_MODE_S);
                env.timers.set(due, TimerKey::TestMode { meter: place });
            }
            _ => {}
        }
    }

    /// Timer: four hours ago the meter was put into test mode.
    pub(crate) fn test_mode(&mut self, place: u32) {
        let Some(meter) = self.meters.get(place as usize) else { return };
        verdicts::left_in_test_mode(first_channel(meter, place), &mut self.env);
    }

    /// Timer: is the meter that lost power still dark?
    pub(crate) fn dark(&mut self, place: u32) {
        let Some(meter) = self.meters.get(place as usize) else { return };
        power::check_single(meter, place, &mut self.env);
    }

    /// Timer: once a day.
    pub(crate) fn daily(&mut self) {
        self.env.network.daily_at = 0;
        self.set_daily();
        let (places, collectors) = (&self.collector_places, &self.collectors);
        let through = |meter: &Meter| {
            let place = meter.primary().and_then(|id| places.get(&id));
            place.and_then(|at| collectors.get(*at as usize))
        };
        let meters = || (0_u32..).zip(&self.meters).map(|(at, one)| (at, one, through(one)));
        self.env.select_all();
        let routes = missed::routes(meters(), &self.env);
        missed::look_at_routes(&routes, &mut self.env);
        for (place, meter, collector) in meters() {
            self.env.select(place);
            missed::look(meter, place, collector, &routes, &mut self.env);
        }
        identity::look(&self.meters, &mut self.env);
        self.env.select_all();
        transformer::look(&self.meters, &mut self.env);
        dma::look(&self.meters, &mut self.env);
        sewer::look(&self.meters, &mut self.env);
    }
}

/// The meter with the channel that its own events are kept under.
fn first_channel(meter: &Meter, place: u32) -> verdicts::Whose<'_> {
    let channel = meter.channels.iter().find(|channel| channel.used()).or(meter.channels.first());
    let channel = channel.map(|channel| metering::ChannelNo::new(channel.no));
    verdicts::Whose { meter, place, channel }
}
