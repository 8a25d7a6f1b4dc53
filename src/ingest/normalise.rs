//! A device's report becomes readings of a meter: field to channel, number to milli-units, counter
//! to intervals on the channel's grid, each judged. Nothing is refused for being wrong; what cannot
//! be placed at all is handed back to become a dead letter.

use metering::{
    ChannelKind, DeviceFlags, EventCode, Exact, Interval, IntervalReading, LocalCalendar,
    MeterEvent, RegisterReading, Subject, Unit, UtcTime,
};
use protocols::{DeviceReport, Digits, Format, Observation, ObservedTime, TimeOrigin};
use store::{Batch, EventRow, IntervalRow, RegisterRow};
use vee::{Advance, Agreement, Arrival, IntervalContext, Params, RegisterContext, Rule, Verdict};

use super::counter;
use super::registry::{ChannelEntry, CounterState, MeterEntry};
use super::skew::{Contact, Judged, News};
use super::slots::{Anchor, Placed};

/// `source` of an interval that the device sent.
pub const SOURCE_SENT: i16 = 1;
/// `source` of an interval that we derived from registers.
pub const SOURCE_DERIVED: i16 = 2;
/// `source` of an interval that a file told.
pub(super) const SOURCE_FILE: i16 = 3;

/// What could not become a reading, in values.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Leftover {
    pub mapped: u32,
    /// No channel of the meter carries the field.
    pub unmapped: u32,
    /// A channel carries the field, of another kind of telegram alone.
    pub declined: u32,
    /// The value exceeds what can be stored.
    pub out_of_range: u32,
}

/// Facts of the message, and where readings go.
pub(super) struct Normaliser<'a> {
    pub(super) batch: &'a mut Batch,
    pub(super) params: &'a Params,
    pub(super) format: Format,
    pub(super) received_at: UtcTime,
    pub(super) redelivered: bool,
    /// How late messages that come the same way are, and whether our own clock can be trusted.
    pub(super) usual_s: Option<i64>,
    pub(super) clock_trusted: bool,
}

/// One meter's facts, the same for all its channels.
#[derive(Clone, Copy)]
pub(super) struct Around<'a> {
    pub(super) meter: metering::MeterId,
    pub(super) arrival: Arrival,
    pub(super) calendar: Option<&'a LocalCalendar>,
    pub(super) net: bool,
    pub(super) repeat_window_s: u32,
    pub(super) slot_count: Option<u8>,
    pub(super) redelivered: bool,
}

/// One counter or momentary value on its way.
#[derive(Clone, Copy)]
pub(super) struct Told {
    pub(super) value: Exact,
    pub(super) unit: Option<Unit>,
    pub(super) digits: Digits,
    pub(super) modulus: Option<i64>,
    pub(super) time: ObservedTime,
    pub(super) history: bool,
    pub(super) unchecked: bool,
}

impl Normaliser<'_> {
    /// Turns one report of a known meter into rows of the batch.
    pub(super) fn report(&mut self, report: &DeviceReport, entry: &mut MeterEntry) -> Leftover {
        let judged = self.clock(report, entry);
        let arrival = Arrival {
            received_at: self.received_at,
            installed_at: entry.installed_at,
            clock_ahead_s: judged.ahead_s,
            clock_drifts: judged.drifts,
        };
        let calendar = entry.calendar.clone();
        let around = Around {
            meter: entry.meter,
            arrival,
            calendar: calendar.as_deref(),
            net: entry.net,
            repeat_window_s: report.repeat_window_s,
            slot_count: report.slot_count,
            redelivered: self.redelivered,
        };
        let mut leftover = Leftover::default();
        for observation in &report.observations {
            let reads = u32::try_from(observation.reads()).unwrap_or(u32::MAX);
            let at = observation.time().at;
            match entry.channel_of(report.telegram, observation.field(), at) {
                Some(at) => {
                    let refused = self.observation(observation, &around, &mut entry.channels[at]);
                    leftover.mapped += reads.saturating_sub(refused);
                    leftover.out_of_range += refused;
                }
                None if entry.takes_other_kinds(observation.field()) => leftover.declined += reads,
                None => leftover.unmapped += reads,
            }
        }
        self.events(report, entry);
        if let Some(news) = judged.news {
            self.clock_news(entry.meter, report.heard_at.at, news);
        }
        leftover
    }

    /// Returns how many values exceed the stored range.
    fn observation(
        &mut self,
        observation: &Observation,
        around: &Around<'_>,
        channel: &mut ChannelEntry,
    ) -> u32 {
        match observation {
            Observation::Series { .. } if channel.asset.kind == ChannelKind::Instant => {
                self.momentary_series(observation, around, channel)
            }
            Observation::Series { .. } => self.series(observation, around, channel),
            Observation::Register {
                unit, value, digits, modulus, time, history, suspect, ..
            } => {
                let Some(value) = *value else { return 0 };
                let told = Told {
                    value,
                    unit: *unit,
                    digits: *digits,
                    modulus: *modulus,
                    time: *time,
                    history: *history,
                    unchecked: *suspect,
                };
                self.value(&told, around, channel)
            }
            Observation::Instant { unit, value, digits, time, history, .. } => {
                let Some(value) = *value else { return 0 };
                let told = Told {
                    value,
                    unit: *unit,
                    digits: *digits,
                    modulus: None,
                    time: *time,
                    history: *history,
                    unchecked: false,
                };
                self.value(&told, around, channel)
            }
        }
    }

    fn series(
        &mut self,
        observation: &Observation,
        around: &Around<'_>,
        channel: &mut ChannelEntry,
    ) -> u32 {
        let Observation::Series { unit, len_s, first_end, exponent, values, flags, time, .. } =
            observation
        else {
            return 0;
        };
        let (len_s, first_end, known) = match around.slot_count {
            Some(count) => self.slots(count, observation, channel),
            None => (*len_s, *first_end, 0),
        };
        let Ok(scale) = channel.scale.series(*exponent, *unit) else {
            return u32::try_from(observation.reads()).unwrap_or(u32::MAX);
        };
        let context = interval_context(around, channel, *unit, time.doubtful);
        let length_flag = length_flag(len_s, channel.asset.len_s);
        let mut refused = 0;
        let mut end = first_end;
        self.batch.intervals.reserve(values.len());
        for (at, count) in values.iter().enumerate() {
            if let Some(count) = count
                && at >= known
            {
                let placed = Interval::ending_at(end, len_s).zip(scale.value(*count).ok());
                match placed {
                    Some((interval, value)) => {
                        let told = flags.get(at).copied().unwrap_or(DeviceFlags::NONE);
                        let reading = IntervalReading {
                            meter: around.meter,
                            channel: channel.asset.channel,
                            interval,
                            value,
                            flags: told.union(length_flag),
                        };
                        self.interval(reading, &context, false);
                    }
                    None => refused += 1,
                }
            }
            end = end.plus_seconds(i64::from(len_s));
        }
        refused
    }

    /// Slots of a telegram that tells former ones again: their length (the channel's, since the
    /// telegram does not say), the end of the first one, and how many are stored already.
    fn slots(
        &mut self,
        count: u8,
        observation: &Observation,
        channel: &mut ChannelEntry,
    ) -> (i32, UtcTime, usize) {
        let Observation::Series { len_s, values, .. } = observation else {
            return (0, observation.time().at, 0);
        };
        let len_s = if channel.asset.len_s > 0 { channel.asset.len_s } else { *len_s };
        let len = i64::from(len_s);
        let told = observation.time().at.plus_seconds(len / 2).floor_to(len);
        let anchor = channel.state.counter.and_then(|known| {
            Some(Anchor { count: u8::try_from(known.raw).ok()?, end: known.read_at })
        });
        let all = Placed { end: told, fresh: values.len(), newer: true };
        let placed = anchor.map_or(all, |known| known.place(count, told, values.len(), len_s));
        if placed.newer {
            channel.state.counter = Some(CounterState {
                read_at: placed.end,
                raw: i64::from(count),
                total: 0,
                boundary: None,
            });
            channel.state.touched = true;
        }
        let known = values.len() - placed.fresh;
        let folded = values[..known].iter().filter(|value| value.is_some()).count();
        self.batch.folded += u32::try_from(folded).unwrap_or(0);
        let older = i64::try_from(values.len()).unwrap_or(0) - 1;
        (len_s, placed.end.plus_seconds(-older * len), known)
    }

    /// A profile of momentary values (voltage): each is kept at its own time.
    fn momentary_series(
        &mut self,
        observation: &Observation,
        around: &Around<'_>,
        channel: &mut ChannelEntry,
    ) -> u32 {
        let Observation::Series { unit, len_s, first_end, exponent, values, time, .. } =
            observation
        else {
            return 0;
        };
        let mut refused = 0;
        let mut at = *first_end;
        for count in values {
            if let Some(count) = count {
                let time = ObservedTime { at, ..*time };
                refused += match Exact::new(*count, *exponent) {
                    Ok(value) => {
                        let told = Told {
                            value,
                            unit: *unit,
                            digits: Digits::Told,
                            modulus: None,
                            time,
                            history: false,
                            unchecked: false,
                        };
                        self.value(&told, around, channel)
                    }
                    Err(_) => 1,
                };
            }
            at = at.plus_seconds(i64::from(*len_s));
        }
        refused
    }

    /// A counter or a momentary value: 1 when it exceeds the stored range.
    fn value(&mut self, told: &Told, around: &Around<'_>, channel: &mut ChannelEntry) -> u32 {
        let scaled = channel.scale.counter(told.value, told.unit, told.digits);
        let Ok(scaled) = scaled else { return 1 };
        let at = told.time.at;
        let window_s = around.repeat_window_s;
        let unstamped = told.time.origin == TimeOrigin::Arrival;
        let recent = &channel.state.recent;
        let sent_again = around.redelivered && unstamped && recent.holds(scaled.raw);
        if window_s > 0 && (sent_again || recent.knows(at, scaled.raw, window_s)) {
            self.batch.folded += 1;
            return 0;
        }
        let limits = counter::limits(channel, told, around.net);
        let fits = limits.modulus == 0 || (0..limits.modulus).contains(&scaled.raw);
        let advance = if channel.asset.kind != ChannelKind::Instant {
            counter::classify(channel, told, scaled.raw, &limits, self)
        } else {
            Advance::First
        };
        let reading = RegisterReading {
            meter: around.meter,
            channel: channel.asset.channel,
            read_at: at,
            raw: scaled.raw,
            value: scaled.value,
            flags: DeviceFlags::NONE,
        };
        // A momentary value has no dials: its digits are the sender's taste.
        let agrees = scaled.exact || channel.asset.kind == ChannelKind::Instant;
        let multiplier = if agrees && fits { Agreement::Agrees } else { Agreement::Differs };
        let context = RegisterContext {
            arrival: around.arrival,
            channel: &channel.asset,
            unit: channel.scale.agreement(told.unit),
            multiplier,
            time_doubtful: told.time.doubtful,
            unchecked: told.unchecked,
            advance,
            cap_known: limits.cap_per_hour > 0,
        };
        let (reading, verdict) = vee::judge_register(reading, &context, self.params);
        self.batch.registers.push(RegisterRow { reading, received_at: self.received_at });
        let step = counter::Step { at, scaled, advance, verdict, told, modulus: limits.modulus };
        counter::follow(self, channel, around, &step);
        if window_s > 0 {
            channel.state.recent.push(at, scaled.raw);
            channel.state.touched = true;
        }
        0
    }

    /// Judges and keeps an interval value.
    pub(super) fn interval(
        &mut self,
        reading: IntervalReading,
        context: &IntervalContext<'_>,
        derived: bool,
    ) {
        self.batch.intervals.push(IntervalRow {
            reading: vee::judge_interval(reading, context, self.params),
            received_at: self.received_at,
            derived,
            source: if derived { SOURCE_DERIVED } else { SOURCE_SENT },
        });
    }

    pub(super) fn event(&mut self, event: MeterEvent) {
        let number = number_in(&event.detail);
        self.batch.events.push(EventRow { event, received_at: self.received_at, number });
    }

    /// The device's clock against ours, where the device stamped the message itself.
    fn clock(&self, report: &DeviceReport, entry: &mut MeterEntry) -> Judged {
        if self.redelivered || !self.clock_trusted {
            return Judged::default();
        }
        let Some(late_s) = late_s(&report.heard_at, self.received_at) else {
            return Judged::default();
        };
        let off_s = self.usual_s.unwrap_or(0) - late_s;
        // Least change of a local clock, less what a stamp may be wrong by.
        let calendar = entry.calendar.as_deref().filter(|_| off_s.abs() > 1_700);
        let contact = Contact {
            received_at: self.received_at,
            ahead_s: -late_s,
            usual_s: self.usual_s,
            change_s: calendar.map_or(0, |local| recent_change(local, self.received_at)),
        };
        entry.levels.skew.contact(contact, self.params)
    }

    fn clock_news(&mut self, meter: metering::MeterId, at: UtcTime, news: News) {
        let side = |seconds: i64| if seconds > 0 { "ahead" } else { "behind" };
        let (code, rule, detail) = match news {
            News::Wrong(off_s) => {
                let detail = format!("device clock {} by {} s", side(off_s), off_s.abs());
                (EventCode::ClockError, Rule::ClockDrift, detail)
            }
            News::Drifts(rate_s) => {
                let way = if rate_s > 0 { "gains" } else { "loses" };
                let detail = format!("device clock {way} {} s a day", rate_s.abs());
                (EventCode::ClockError, Rule::ClockDrift, detail)
            }
            News::Shifted(off_s) => {
                let detail = format!("device clock {} by {} s", side(off_s), off_s.abs());
                (EventCode::DstShift, Rule::DayShape, detail)
            }
            News::ShiftedBack => {
                (EventCode::DstShift, Rule::DayShape, "device clock off by 0 s".to_owned())
            }
        };
        let seq = i32::from(rule.number());
        let subject = Subject::Meter(meter);
        self.event(MeterEvent { subject, occurred_at: at, code, seq, detail });
    }

    fn events(&mut self, report: &DeviceReport, entry: &mut MeterEntry) {
        let subject = Subject::Meter(entry.meter);
        if let Some(frame) = report.frame
            && let Some(number) = entry.levels.takes_the_place(frame)
        {
            self.event(MeterEvent {
                subject,
                occurred_at: report.heard_at.at,
                code: EventCode::MeterFlag,
                seq: i32::try_from(number).unwrap_or(i32::MAX),
                detail: format!("f_cnt {number} came again with another payload"),
            });
        }
        let format = self.format;
        entry.levels.news(format, &report.events, |observed, seq| {
            self.event(MeterEvent {
                subject,
                occurred_at: observed.at.at,
                code: observed.code,
                seq,
                detail: cut(&observed.detail),
            });
        });
    }
}

/// What is the same for all intervals of one series.
pub(super) fn interval_context<'a>(
    around: &Around<'a>,
    channel: &'a ChannelEntry,
    stated: Option<Unit>,
    time_doubtful: bool,
) -> IntervalContext<'a> {
    IntervalContext {
        arrival: around.arrival,
        channel: &channel.asset,
        calendar: around.calendar,
        unit: channel.scale.agreement(stated),
        multiplier: Agreement::NotStated,
        time_doubtful,
        unchecked: false,
        net: around.net,
        inherited: Verdict::default(),
    }
}

/// How late a message is by its own stamp, where the device stamped it itself.
pub(super) fn late_s(heard_at: &ObservedTime, received_at: UtcTime) -> Option<i64> {
    (heard_at.origin == TimeOrigin::Device && !heard_at.doubtful)
        .then(|| received_at.seconds_since(heard_at.at))
}

/// By how much the local clock changed within two weeks before `at`, in seconds; 0 = it did not.
fn recent_change(local: &LocalCalendar, at: UtcTime) -> i64 {
    const RECENT_S: i64 = 14 * metering::time::DAY_S;
    let zone = local.zone();
    let Some(change) = zone.preceding(at.to_jiff()).next() else { return 0 };
    if at.seconds_since(UtcTime::from_jiff(change.timestamp())) > RECENT_S {
        return 0;
    }
    let before = UtcTime::from_jiff(change.timestamp()).plus_seconds(-1).to_jiff();
    i64::from(change.offset().seconds() - zone.to_offset(before).seconds())
}

/// Codes 1.4.2 and 1.4.3: the interval is shorter or longer than its channel's.
const fn length_flag(len_s: i32, configured_len_s: i32) -> DeviceFlags {
    if len_s < configured_len_s {
        DeviceFlags::PARTIAL
    } else if len_s > configured_len_s {
        DeviceFlags::LONG
    } else {
        DeviceFlags::NONE
    }
}

/// The first whole number in a detail such as `bin=7`, for the log record; 0 when there is none. A
/// detail that begins with a sign is a signed number (a temperature).
fn number_in(detail: &str) -> i32 {
    let from = detail.find(|c: char| c.is_ascii_digit()).unwrap_or(detail.len());
    let digits = &detail[from..];
    let to = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    let number = digits[..to].parse().unwrap_or(0);
    if detail.starts_with('-') && from == 1 { -number } else { number }
}

/// Cuts a detail to what an event may hold; a NUL, which no text column takes, becomes `?`.
pub(super) fn cut(detail: &str) -> String {
    let mut end = detail.len().min(MeterEvent::DETAIL_BYTES_MAX);
    while !detail.is_char_boundary(end) {
        end -= 1;
    }
    detail[..end].replace('\0', "?")
}

#[cfg(test)]
#[path = "normalise_tests.rs"]
mod tests;
