//! What simple thresholds would say, as a yardstick: one number per condition, no memory beyond a
//! week, no guard.

use std::collections::HashMap;

use alerts::Cause;
use metering::{
    ChannelNo, Commodity, DeviceFlags, EventCode, LogRecord, LoggedFrame, MeterAsset, MeterId,
    Subject, UtcTime,
};

use super::book::Issue;

const DAY_S: i64 = 86_400;
/// The same finding on the same meter is said once a week.
const AGAIN_S: i64 = 7 * DAY_S;

/// Thresholds over the records of the log.
#[derive(Debug)]
pub(super) struct Naive {
    meters: HashMap<MeterId, Watched>,
    first: ChannelNo,
    said: HashMap<(Subject, Cause), UtcTime>,
    issues: Vec<Issue>,
    swept_at: UtcTime,
}

#[derive(Debug)]
struct Watched {
    commodity: Commodity,
    contact_s: i64,
    heard_at: UtcTime,
    silent: bool,
    day: i64,
    sum: i64,
    /// Sums of the last seven days.
    week: Vec<i64>,
    zero_since: Option<UtcTime>,
    flow_since: Option<UtcTime>,
    register: Option<i64>,
}

impl Naive {
    pub(super) fn new(meters: &[MeterAsset]) -> Self {
        let watched = |meter: &MeterAsset| Watched {
            commodity: meter.commodity,
            contact_s: i64::from(meter.contact_every_s),
            heard_at: UtcTime::MAX,
            silent: false,
            day: i64::MIN,
            sum: 0,
            week: Vec::new(),
            zero_since: None,
            flow_since: None,
            register: None,
        };
        Self {
            meters: meters.iter().map(|meter| (meter.meter, watched(meter))).collect(),
            first: ChannelNo::new(1),
            said: HashMap::new(),
            issues: Vec::new(),
            swept_at: UtcTime::MIN,
        }
    }

    pub(super) fn finish(self) -> Vec<Issue> {
        self.issues
    }

    pub(super) fn apply(&mut self, frame: &LoggedFrame) {
        let now = frame.log_time;
        for record in &frame.records {
            match record {
                LogRecord::Interval { meter, channel, end, value, code, .. }
                    if *channel == self.first =>
                {
                    self.interval(*meter, (*end, *value, code.flags()), now);
                }
                LogRecord::Register { meter, channel, value, .. } if *channel == self.first => {
                    self.register(*meter, *value, now);
                }
                LogRecord::Heard { meter, .. } => {
                    if let Some(watched) = self.meters.get_mut(meter) {
                        watched.heard_at = now;
                        watched.silent = false;
                    }
                }
                LogRecord::Event { subject, code, .. } => self.event(*subject, *code, now),
                _ => {}
            }
        }
        if now.seconds_since(self.swept_at) >= 3_600 {
            self.swept_at = now;
            self.sweep(now);
        }
    }

    fn interval(
        &mut self,
        meter: MeterId,
        (end, value, flags): (UtcTime, i64, DeviceFlags),
        now: UtcTime,
    ) {
        let Some(watched) = self.meters.get_mut(&meter) else { return };
        let mut found: Vec<Cause> = Vec::new();
        let water = watched.commodity == Commodity::Water;
        if value == 0 {
            let since = *watched.zero_since.get_or_insert(end);
            watched.flow_since = None;
            if end.seconds_since(since) >= DAY_S {
                found.push(Cause::StoppedMeter);
            }
        } else {
            watched.zero_since = None;
            let since = *watched.flow_since.get_or_insert(end);
            if water && end.seconds_since(since) >= 6 * 3_600 {
                found.push(Cause::LeakCustomerSide);
            }
        }
        if water && value > 250_000 {
            found.push(Cause::BurstCustomerSide);
        }
        if value < 0 {
            found.push(if water { Cause::Backflow } else { Cause::ReverseRotation });
        }
        if flags.contains(DeviceFlags::OVERFLOW) {
            found.push(Cause::PulseOverflow);
        }
        let day = end.plus_seconds(-1).seconds().div_euclid(DAY_S);
        if day != watched.day {
            let count = i64::try_from(watched.week.len()).unwrap_or(0);
            if count >= 3 {
                let mean = watched.week.iter().sum::<i64>() / count;
                if watched.sum > 2 * mean {
                    found.push(Cause::HighConsumption);
                } else if watched.sum * 2 < mean {
                    found.push(Cause::LowConsumption);
                }
            }
            if watched.day != i64::MIN {
                watched.week.push(watched.sum);
            }
            if watched.week.len() > 7 {
                watched.week.remove(0);
            }
            (watched.day, watched.sum) = (day, 0);
        }
        watched.sum += value;
        for cause in found {
            self.say(Subject::Meter(meter), cause, now);
        }
    }

    fn register(&mut self, meter: MeterId, value: i64, now: UtcTime) {
        let Some(watched) = self.meters.get_mut(&meter) else { return };
        let fell = watched.register.is_some_and(|before| value < before);
        watched.register = Some(value);
        if fell {
            self.say(Subject::Meter(meter), Cause::RegisterDecrease, now);
        }
    }

    fn event(&mut self, subject: Subject, code: EventCode, now: UtcTime) {
        let cause = match code {
            EventCode::BatteryLow => Cause::BatteryLow,
            EventCode::Tamper
            | EventCode::CoverOpened
            | EventCode::TerminalCoverOpened
            | EventCode::MagneticField
            | EventCode::Tilt
            | EventCode::CableCut => Cause::TamperSuspect,
            EventCode::ReverseFlow => Cause::Backflow,
            EventCode::ReverseRotation => Cause::ReverseRotation,
            EventCode::HardwareFault | EventCode::MemoryError => Cause::MeterHardware,
            EventCode::ClockError => Cause::ClockError,
            EventCode::LastGasp | EventCode::PowerFail => Cause::SingleOut,
            EventCode::Dry | EventCode::AirInPipe => Cause::DryPipe,
            EventCode::PressureFault => Cause::GasAnomaly,
            _ => return,
        };
        self.say(subject, cause, now);
    }

    /// Twice the usual time without contact.
    fn sweep(&mut self, now: UtcTime) {
        let mut lost: Vec<MeterId> = Vec::new();
        for (meter, watched) in &mut self.meters {
            let limit_s = 3 * watched.contact_s;
            if !watched.silent && now.seconds_since(watched.heard_at) > limit_s {
                watched.silent = true;
                lost.push(*meter);
            }
        }
        lost.sort_unstable();
        for meter in lost {
            self.say(Subject::Meter(meter), Cause::CommLost, now);
        }
    }

    fn say(&mut self, subject: Subject, cause: Cause, now: UtcTime) {
        let key = (subject, cause);
        if self.said.get(&key).is_some_and(|at| now.seconds_since(*at) < AGAIN_S) {
            return;
        }
        self.said.insert(key, now);
        self.issues.push(Issue::told(subject, cause, now));
    }
}
