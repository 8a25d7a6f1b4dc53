//! Days of a channel in a row: what the store has of them, told to the checks day by day.

use metering::{
    ChannelAsset, ChannelNo, DayShape, EventCode, LocalCalendar, MeterAsset, Quantity, UtcTime,
};
use store::day::{ChannelDays, DayRequest, JudgedDay, YEAR_S};
use vee::day::{
    Around, DayInput, DaySlot, DaySummary, HISTORY_DAYS, LOOK_BACK_S, RateRegister, RegisterPoint,
};
use vee::{Params, close_day};

use super::Series;

/// Local days of a channel in a row.
#[derive(Clone, Debug)]
pub(super) struct Stretch {
    pub(super) series: Series,
    pub(super) days: Vec<DayShape>,
}

impl Stretch {
    /// `None` without days.
    pub(super) fn request(&self) -> Option<DayRequest> {
        let (first, last) = (self.days.first()?, self.days.last()?);
        let mut edges: Vec<UtcTime> = self.days.iter().map(|day| day.start).collect();
        edges.push(last.end);
        let (meter, channel) = self.series;
        Some(DayRequest { meter, channel, from: first.start, to: last.end, edges })
    }
}

/// The channel of the same direction that counts reactive energy beside this one.
pub(super) fn reactive(meter: &MeterAsset, channel: ChannelNo) -> Option<ChannelNo> {
    let active = meter.channel(channel)?;
    if active.reading_type.quantity != Quantity::EnergyActive || meter.detail.phases != 3 {
        return None;
    }
    let beside = |other: &&ChannelAsset| {
        other.reading_type.quantity == Quantity::EnergyReactive
            && other.reading_type.flow == active.reading_type.flow
            && other.reading_type.tariff == active.reading_type.tariff
            && other.len_s == active.len_s
    };
    meter.channels.iter().find(beside).map(|other| other.channel)
}

/// Judges the days of one channel in their order.
#[derive(Debug)]
pub(super) struct Judge<'a> {
    meter: &'a MeterAsset,
    channel: &'a ChannelAsset,
    calendar: &'a LocalCalendar,
    params: &'a Params,
    known: Option<(&'a ChannelDays, Option<&'a ChannelDays>)>,
    /// Summaries of the days before, those judged here among them.
    history: Vec<DaySummary>,
}

impl<'a> Judge<'a> {
    /// `None` when the channel has no days.
    pub(super) fn new(
        meter: &'a MeterAsset,
        channel: &'a ChannelAsset,
        calendar: &'a LocalCalendar,
        params: &'a Params,
    ) -> Option<Self> {
        let (known, history) = (None, Vec::new());
        vee::day::has_days(channel).then_some(Self {
            meter,
            channel,
            calendar,
            params,
            known,
            history,
        })
    }

    /// Over what is stored of the channel and of the reactive one beside it.
    pub(super) fn over(
        mut self,
        known: &'a ChannelDays,
        reactive: Option<&'a ChannelDays>,
    ) -> Self {
        let before = |day: &&DaySummary| day.to <= known.request.from;
        self.history = known.history.iter().filter(before).copied().collect();
        self.known = Some((known, reactive));
        self
    }

    /// The verdicts on `days`, which follow one another.
    pub(super) fn all(&mut self, days: &[DayShape]) -> Vec<JudgedDay> {
        days.iter().filter_map(|day| self.next(*day)).collect()
    }

    fn next(&mut self, day: DayShape) -> Option<JudgedDay> {
        let (known, reactive) = self.known?;
        let (meter, channel) = (self.meter, self.channel);
        let rates = self.rates(known);
        let rates: Vec<RateRegister<'_>> =
            rates.iter().map(|(tariff, points)| RateRegister { tariff: *tariff, points }).collect();
        let change = self.calendar.change_within(day);
        let (switched_off, switched_off_after) = self.switched(known, day);
        let oldest = day.start.plus_seconds(-HISTORY_DAYS * metering::time::DAY_S);
        let history = &self.history[self.history.partition_point(|old| old.from < oldest)..];
        let input = DayInput {
            meter,
            channel,
            day,
            change,
            slots: of_day(&known.slots, day),
            registers: points(known, channel.channel),
            history,
            closed: known.history.iter().find(|closed| closed.from == day.start),
            around: Around {
                differing: differing(known, day, None),
                differing_at_change: change.map_or(0, |at| differing(known, day, Some(at))),
                switched_off,
                switched_off_after,
                messages_skipped: skipped(known, day),
                voltage_present: known.live.binary_search(&day.end).is_ok(),
                inactive_since: known.inactive_since,
                occupied_since: known.occupied_since,
                reference_adu: self.last_year(known, day),
                cycle_days: self.cycle_days(day),
                before: before_day(&known.slots, day),
                reactive: reactive.map_or(&[], |other| of_day(&other.slots, day)),
                rates: &rates,
                ..Around::default()
            },
        };
        let verdict = close_day(&input, self.params);
        self.history.push(verdict.summary);
        let len_s = channel.len_s;
        Some(JudgedDay { meter: meter.meter, channel: channel.channel, len_s, verdict })
    }

    /// Days of the reading cycle that ends with this day; 0 = none does. No billing tells cycles
    /// yet: they are counted from the installation.
    fn cycle_days(&self, day: DayShape) -> u16 {
        let number = |at: UtcTime| at.plus_seconds(metering::time::DAY_S / 2).utc_day();
        let past = number(day.start) - self.meter.installed_at.utc_day() + 1;
        let cycle = self.params.hilo_cycle_days;
        let ends = past > 0 && past % cycle == 0;
        if ends { u16::try_from(cycle).unwrap_or(0) } else { 0 }
    }

    /// Average daily use 52 weeks ago over as many days as are averaged now, when the same customer
    /// was there and enough of these days are valid.
    fn last_year(&self, known: &ChannelDays, day: DayShape) -> Option<i64> {
        let params = self.params;
        let days = match self.cycle_days(day) {
            0 => params.hilo_days,
            cycle => i64::from(cycle),
        };
        let to = day.end.plus_seconds(2 * 3_600 - YEAR_S);
        let from = to.plus_seconds(-days * metering::time::DAY_S - 4 * 3_600);
        let same = |day: &&DaySummary| {
            from < day.from
                && day.to <= to
                && !day.outage
                && day.tells_use()
                && known.occupied_since.is_none_or(|since| since <= day.from)
        };
        let of = known.last_year.iter().filter(same);
        let uses: Vec<i64> = of.filter_map(|day| day.daily_use(params.hilo_valid_pct)).collect();
        let count = i64::try_from(uses.len()).ok().filter(|count| *count > 0)?;
        let enough = count * 100 >= days * params.hilo_valid_pct;
        let sum: i128 = uses.into_iter().map(i128::from).sum();
        enough.then(|| i64::try_from(sum / i128::from(count)).ok()).flatten()
    }

    /// Registers of the rates beside a total.
    fn rates(&self, known: &'a ChannelDays) -> Vec<(u8, &'a [RegisterPoint])> {
        let of = self.channel.reading_type;
        let is_rate = |rate: &&ChannelAsset| {
            let this = rate.reading_type;
            of.tariff == 0
                && this.tariff > 0
                && (this.quantity, this.flow) == (of.quantity, of.flow)
        };
        self.meter
            .channels
            .iter()
            .filter(is_rate)
            .map(|rate| (rate.reading_type.tariff, points(known, rate.channel)))
            .collect()
    }

    /// Was the switch or valve off all day, and is it when the day ends?
    fn switched(&self, known: &ChannelDays, day: DayShape) -> (bool, bool) {
        let yesterday = self.history.last().filter(|summary| summary.precedes(day));
        let before = yesterday.is_some_and(|summary| summary.switched_off);
        let (mut all_day, mut now) = (before, before);
        for event in known.events.iter().filter(|event| event.at < day.end) {
            match event.code {
                EventCode::SwitchOpened | EventCode::ValveClosed => now = true,
                EventCode::SwitchClosed | EventCode::ValveOpened => now = false,
                _ => continue,
            }
            all_day = if event.at < day.start { now } else { all_day && now };
        }
        (all_day, now)
    }
}

/// The slots of the day and of what it looks back on.
fn of_day(slots: &[DaySlot], day: DayShape) -> &[DaySlot] {
    let from = day.start.plus_seconds(-LOOK_BACK_S);
    let (first, end) = (
        slots.partition_point(|slot| slot.end <= from),
        slots.partition_point(|slot| slot.end <= day.end),
    );
    &slots[first..end]
}

/// The slots before those.
fn before_day(slots: &[DaySlot], day: DayShape) -> &[DaySlot] {
    let from = day.start.plus_seconds(-LOOK_BACK_S);
    &slots[..slots.partition_point(|slot| slot.end <= from)]
}

/// Most numbers that the device's event counter skipped at once up to an event of the day. A counter
/// that falls began again.
fn skipped(known: &ChannelDays, day: DayShape) -> u16 {
    let numbered: Vec<_> = known.events.iter().filter(|event| event.seq > 0).collect();
    let skips = numbered.windows(2).filter(|pair| day.start <= pair[1].at && pair[1].at < day.end);
    let most = skips.map(|pair| i64::from(pair[1].seq) - i64::from(pair[0].seq) - 1).max();
    u16::try_from(most.unwrap_or(0).max(0)).unwrap_or(u16::MAX)
}

fn points(known: &ChannelDays, channel: ChannelNo) -> &[RegisterPoint] {
    let series = known.registers.iter().find(|series| series.channel == channel);
    series.map_or(&[], |series| series.points.as_slice())
}

/// Intervals of the day that came again with another value: all, or those within an hour of
/// `change`.
fn differing(known: &ChannelDays, day: DayShape, change: Option<UtcTime>) -> u16 {
    let counted = |end: &&UtcTime| {
        **end > day.start
            && **end <= day.end
            && change.is_none_or(|change| end.seconds_since(change).abs() <= 3600)
    };
    u16::try_from(known.differing.iter().filter(counted).count()).unwrap_or(u16::MAX)
}
