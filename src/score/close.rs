//! Days close in a trial as in the running head-end: facts of the tables to `vee`, findings to the
//! log.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use metering::{
    ChannelAsset, ChannelNo, DayShape, EventCode, Flow, LocalCalendar, LogRecord, MeterAsset,
    MeterId, Quantity, Subject, UtcTime,
};
use vee::day::{
    Around, DayInput, DaySlot, DaySummary, HISTORY_DAYS, LOOK_BACK_S, RateRegister, RegisterPoint,
    close_day,
};

use super::harm::Bills;
use super::table::{Series, Table};

const DAY_S: i64 = 86_400;
/// What is billed.
const FIRST: ChannelNo = ChannelNo::new(1);
/// Late data is looked at once a day, for days so long ago.
const REPAIR_DAYS: i64 = 14;

/// What the day close remembers.
#[derive(Debug)]
pub(super) struct DayCloser {
    calendar: Arc<LocalCalendar>,
    params: vee::Params,
    history: HashMap<(MeterId, ChannelNo), VecDeque<DaySummary>>,
    facts: HashMap<MeterId, Facts>,
    /// Channels whose own day is closed, in log order.
    channels: Vec<(usize, usize)>,
    next_day: DayShape,
    lag_s: i64,
    pub(super) bills: Bills,
}

/// What is known of a meter beside its values.
#[derive(Clone, Copy, Debug, Default)]
struct Facts {
    inactive_since: Option<UtcTime>,
    switched_off: bool,
}

impl DayCloser {
    pub(super) fn new(calendar: LocalCalendar, start: UtcTime, meters: &[MeterAsset]) -> Self {
        let channels = meters.iter().enumerate().flat_map(|(at, meter)| {
            let closed = meter.channels.iter().enumerate();
            closed.filter(|(_, c)| vee::day::has_days(c)).map(move |(channel, _)| (at, channel))
        });
        let lag = |meter: &MeterAsset| meter.channels.iter().map(|c| c.delivery_lag_s).max();
        Self {
            channels: channels.collect(),
            lag_s: i64::from(meters.iter().filter_map(lag).max().unwrap_or(0)),
            next_day: calendar.day_containing(start),
            calendar: Arc::new(calendar),
            params: vee::Params::default(),
            history: HashMap::new(),
            facts: HashMap::new(),
            bills: Bills::default(),
        }
    }

    pub(super) fn account_ended(&mut self, meter: MeterId, at: UtcTime) {
        self.facts.entry(meter).or_default().inactive_since = Some(at);
    }

    /// Looks for switches and valves in new records.
    pub(super) fn note(&mut self, records: &[LogRecord]) {
        for record in records {
            let LogRecord::Event { subject: Subject::Meter(meter), code, .. } = record else {
                continue;
            };
            match code {
                EventCode::SwitchOpened | EventCode::ValveClosed => {
                    self.facts.entry(*meter).or_default().switched_off = true;
                }
                EventCode::SwitchClosed | EventCode::ValveOpened => {
                    self.facts.entry(*meter).or_default().switched_off = false;
                }
                _ => {}
            }
        }
    }

    /// Closes every day whose data had time to arrive by `now`, and repairs the days before it that
    /// late data touched.
    pub(super) fn due(
        &mut self,
        now: UtcTime,
        table: &mut Table,
        meters: &[MeterAsset],
    ) -> Vec<LogRecord> {
        let mut records = Vec::new();
        while self.next_day.end.plus_seconds(self.lag_s) <= now {
            let day = self.next_day;
            for at in 0..self.channels.len() {
                let (meter, channel) = self.channels[at];
                let meter = &meters[meter];
                let channel = &meter.channels[channel];
                self.repair(table, (meter, channel), day, &mut records);
                self.close(table, (meter, channel), day, &mut records);
            }
            self.next_day = self.calendar.day_containing(day.end);
        }
        records
    }

    fn repair(
        &mut self,
        table: &mut Table,
        (meter, channel): (&MeterAsset, &ChannelAsset),
        today: DayShape,
        records: &mut Vec<LogRecord>,
    ) {
        let key = (meter.meter, channel.channel);
        let Some(series) = table.channels.get_mut(&key) else { return };
        let Some(oldest) = series.touched.take() else { return };
        let limit = today.start.plus_seconds(-REPAIR_DAYS * DAY_S);
        let mut day = self.calendar.day_containing(oldest.plus_seconds(-1).max(limit));
        while day.end <= today.start {
            self.close(table, (meter, channel), day, records);
            day = self.calendar.day_containing(day.end);
        }
    }

    fn close(
        &mut self,
        table: &Table,
        (meter, channel): (&MeterAsset, &ChannelAsset),
        day: DayShape,
        records: &mut Vec<LogRecord>,
    ) {
        let key = (meter.meter, channel.channel);
        let series_of = |no: ChannelNo| table.channels.get(&(meter.meter, no));
        let from = day.start.plus_seconds(-LOOK_BACK_S);
        let slots = series_of(channel.channel).map_or_else(Vec::new, |s| slots(s, from, day.end));
        let registers = series_of(channel.channel)
            .map_or_else(Vec::new, |s| points(s, channel, (from, day.end)));
        let reactive = reactive_of(meter, channel)
            .and_then(series_of)
            .map_or_else(Vec::new, |s| slots_of(s, from, day.end));
        let rates: Vec<(u8, Vec<RegisterPoint>)> = rates_of(meter, channel)
            .filter_map(|rate| {
                let points = points(series_of(rate.channel)?, rate, (from, day.end));
                Some((rate.reading_type.tariff, points))
            })
            .collect();
        let rates: Vec<RateRegister<'_>> =
            rates.iter().map(|(tariff, points)| RateRegister { tariff: *tariff, points }).collect();
        let facts = self.facts.get(&meter.meter).copied().unwrap_or_default();
        let differing = series_of(channel.channel).map_or(0, |series| {
            series.differing.iter().filter(|end| day.start < **end && **end <= day.end).count()
        });
        let history = self.history.entry(key).or_default();
        let before = history.partition_point(|summary| summary.to <= day.start);
        let closed = history.get(before).filter(|summary| summary.from == day.start).copied();
        let input = DayInput {
            meter,
            channel,
            day,
            change: self.calendar.change_within(day),
            slots: &slots,
            registers: &registers,
            history: &history.make_contiguous()[..before],
            closed: closed.as_ref(),
            around: Around {
                differing: u16::try_from(differing).unwrap_or(u16::MAX),
                switched_off: facts.switched_off,
                switched_off_after: facts.switched_off,
                voltage_present: voltage_seen(table, meter, day),
                inactive_since: facts.inactive_since.filter(|since| *since < day.end),
                reactive: &reactive,
                rates: &rates,
                ..Around::default()
            },
        };
        let verdict = close_day(&input, &self.params);
        records.extend(verdict.findings.iter().copied().map(LogRecord::Finding));
        if channel.channel == FIRST {
            let day = (day.start, channel.len_s, closed.is_some());
            self.bills.note(meter.meter, day, &verdict, &slots);
        }
        if closed.is_some() {
            history[before] = verdict.summary;
        } else {
            history.insert(before, verdict.summary);
            if history.len() > usize::try_from(HISTORY_DAYS).unwrap_or(91) {
                history.pop_front();
            }
        }
    }
}

fn slots(series: &Series, from: UtcTime, to: UtcTime) -> Vec<DaySlot> {
    slots_of(series, from, to)
}

fn slots_of(series: &Series, from: UtcTime, to: UtcTime) -> Vec<DaySlot> {
    let first = series.slots.partition_point(|slot| slot.end <= from);
    let last = series.slots.partition_point(|slot| slot.end <= to);
    series
        .slots
        .range(first..last)
        .map(|slot| DaySlot::arrived(slot.end, slot.value, slot.code, slot.failed))
        .collect()
}

fn points(
    series: &Series,
    channel: &ChannelAsset,
    (from, to): (UtcTime, UtcTime),
) -> Vec<RegisterPoint> {
    let point = |register: &super::table::Register| RegisterPoint {
        read_at: register.read_at,
        value: register.value,
        step: channel.resolution,
        usable: register.usable,
    };
    let within =
        |register: &&super::table::Register| from <= register.read_at && register.read_at <= to;
    series.registers.iter().filter(within).map(point).collect()
}

fn reactive_of(meter: &MeterAsset, channel: &ChannelAsset) -> Option<ChannelNo> {
    let kind = channel.reading_type;
    let total = kind.quantity == Quantity::EnergyActive && kind.flow == Flow::Import;
    let reactive = meter.channels.iter().find(|other| {
        other.reading_type.quantity == Quantity::EnergyReactive && other.len_s == channel.len_s
    });
    reactive.filter(|_| total).map(|other| other.channel)
}

fn rates_of<'a>(
    meter: &'a MeterAsset,
    channel: &'a ChannelAsset,
) -> impl Iterator<Item = &'a ChannelAsset> {
    meter.channels.iter().filter(|other| {
        other.reading_type.tariff > 0
            && other.reading_type.quantity == channel.reading_type.quantity
            && other.reading_type.flow == channel.reading_type.flow
    })
}

fn voltage_seen(table: &Table, meter: &MeterAsset, day: DayShape) -> bool {
    let voltage = meter.channels.iter().find(|c| c.reading_type.quantity == Quantity::Voltage);
    let series = voltage.and_then(|c| table.channels.get(&(meter.meter, c.channel)));
    series.is_some_and(|series| {
        series.registers.iter().any(|r| day.start < r.read_at && r.read_at <= day.end)
    })
}
