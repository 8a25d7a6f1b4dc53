//! The faults. Each comment names the rule that finds the fault and the time that the rule needs.

use jiff::civil::Weekday;
use metering::{Commodity, UtcTime};

use crate::link::HEARTBEAT_S;
use crate::meter::{Path, Protocol, SimMeter};
use crate::truth::{FaultKind, Magnitude, SubjectName};
use crate::usage::{Change, Effect, Model, Span};

use super::{DAY_S, HOUR_S, Planner, Room};

/// Two whole slots of 15 minutes after the one in which it begins, and the way to the head-end.
const BURST_NEED_S: i64 = 51 * 60;
/// Three reports of 15 minutes, and the way to the head-end.
const BATTERY_NEED_S: i64 = 51 * 60;
/// Three heartbeats are missed, the first of them up to a period after the onset.
const OUTAGE_NEED_S: i64 = 3 * HEARTBEAT_S + 180;
/// In a smaller fleet one day's few faults are more than 5 % of it, which VAR takes for weather.
const VAR_METERS_MIN: u32 = 120;
const MINUTE_S: i64 = 60;

impl Planner<'_> {
    pub(super) fn plan_faults(&mut self) {
        let meters = self.spec.meters;
        if meters >= 40 {
            self.plan_outages();
            self.repeat(1, Self::high_consumption);
        }
        if meters >= 20 {
            self.repeat(1, Self::burst);
            self.repeat(1, Self::battery_low_live);
        }
        self.repeat(2, Self::leak);
        self.repeat(1, Self::silent_power);
        if meters >= 20 {
            self.repeat(1, Self::stopped_power);
            self.repeat(1, Self::silent_other);
        }
        if meters >= 40 {
            self.repeat(1, Self::battery_dead);
        }
        if meters >= VAR_METERS_MIN {
            self.repeat(1, Self::stopped_water);
            self.repeat(1, Self::low_consumption);
        }
        if meters >= 400 {
            self.repeat(1, Self::stopped_gas);
            self.repeat(1, Self::battery_low);
        }
    }

    fn repeat(&mut self, per_200: u32, plan: fn(&mut Self) -> Option<()>) {
        for _ in 0..self.scaled(per_200) {
            // Without room or a free meter there is no such fault in this fleet.
            let _planned = plan(self);
        }
    }

    /// A fault that is to begin after `live_start`; in a run too short for that it begins earlier.
    fn live_onset(&mut self, need_s: i64) -> Option<UtcTime> {
        let soon = self.spec.live_start.plus_seconds(self.stream.between(60, 240));
        let onset = soon.min(self.spec.live_end.plus_seconds(-need_s));
        (onset > self.spec.history_start.plus_seconds(2 * DAY_S)).then_some(onset)
    }

    /// COM-COLL (#61): one outage at the end, others in the history. The only collector of a fleet
    /// does not fail, since then nobody else is heard.
    fn plan_outages(&mut self) {
        if self.layout.collectors.len() < 2 {
            return;
        }
        if let Some(onset) = self.live_onset(OUTAGE_NEED_S) {
            // A fleet that lives on for days has its collector repaired.
            let repaired = onset.plus_seconds(5 * HOUR_S) < self.spec.live_end;
            self.outage(onset, repaired.then_some(3));
        }
        for _ in 0..self.scaled(1).min(self.spec.collectors / 2) {
            let from = self.spec.history_start.plus_seconds(5 * DAY_S);
            let room = Room { from, to: self.spec.live_start.plus_seconds(-2 * DAY_S) };
            let hours = self.stream.between(4, 9);
            if let Some(onset) = self.instant(room, 7) {
                self.outage(onset, Some(hours));
            }
        }
    }

    fn outage(&mut self, onset: UtcTime, hours: Option<i64>) {
        let end = hours.map(|hours| onset.plus_seconds(hours * HOUR_S));
        let span = Span { from: onset, to: end.unwrap_or(UtcTime::MAX) };
        let Some(collector) = self.pick_collector(span) else { return };
        self.layout.collectors[collector].outages.push(span);
        let subject = SubjectName::Collector(self.layout.collectors[collector].code.clone());
        let magnitude = Magnitude { value: hours.unwrap_or(0), unit: Magnitude::HOURS };
        let found = onset.plus_seconds(OUTAGE_NEED_S);
        self.add_fault(FaultKind::CollectorOutage, subject, (onset, found), magnitude);
        self.end_fault(end);
    }

    /// WTR-BURST (#40): more than half of Q3 in two slots of 15 minutes.
    fn burst(&mut self) -> Option<()> {
        let onset = self.live_onset(BURST_NEED_S)?;
        let found = onset.plus_seconds(BURST_NEED_S);
        let lph = self.stream.between(1_900, 2_900);
        let index = self.pick(Span { from: onset, to: found }, is_mesh_home_water)?;
        let end = onset.plus_seconds(4 * HOUR_S);
        let end = (end < self.spec.live_end).then_some(end);
        let magnitude = Magnitude { value: lph, unit: Magnitude::FLOW };
        self.add_fault(FaultKind::Burst, self.subject(index), (onset, found), magnitude);
        self.change(index, (onset, end), Effect::Add(lph * 1000));
        self.end_fault(end);
        Some(())
    }

    /// BAT-FLAG (#56): the low battery is in three reports.
    fn battery_low_live(&mut self) -> Option<()> {
        let onset = self.live_onset(BATTERY_NEED_S)?;
        let found = onset.plus_seconds(BATTERY_NEED_S);
        let index = self.pick(Span { from: onset, to: found }, is_mesh_water)?;
        self.meter(index).battery_events = true;
        self.low_battery(index, (onset, found), FaultKind::BatteryLow);
        Some(())
    }

    /// BAT-FLAG (#56) from a status bit alone.
    fn battery_low(&mut self) -> Option<()> {
        let onset = self.instant(self.room(4 * DAY_S, 10 * HOUR_S), 1)?;
        let found = onset.plus_seconds(6 * HOUR_S);
        let index = self.pick(Span { from: onset, to: found }, is_mesh_water)?;
        self.low_battery(index, (onset, found), FaultKind::BatteryLow);
        Some(())
    }

    /// BAT-FLAG, then COM-STALE after 72 h, explained by the battery (COM-CLASSIFY, #63, row 6).
    fn battery_dead(&mut self) -> Option<()> {
        let silent = self.instant(self.room(8 * DAY_S, 80 * HOUR_S), 1)?;
        let onset = silent.plus_seconds(-HOUR_S * self.stream.between(60, 110));
        let found = silent.plus_seconds(78 * HOUR_S);
        let index = self.pick(Span { from: onset, to: found }, is_mesh_water)?;
        self.meter(index).silent_from = Some(silent);
        self.low_battery(index, (onset, found), FaultKind::BatteryDead);
        if let Some(fault) = self.plan.truth.faults.last_mut() {
            fault.silent_from = Some(silent);
        }
        Some(())
    }

    fn low_battery(&mut self, index: usize, when: (UtcTime, UtcTime), kind: FaultKind) {
        let meter = self.meter(index);
        meter.battery_low_from = Some(when.0);
        meter.good_link = true;
        let magnitude = Magnitude { value: 0, unit: Magnitude::NONE };
        self.add_fault(kind, self.subject(index), when, magnitude);
    }

    /// WTR-CONT (#38): 24 hours without a pause.
    fn leak(&mut self) -> Option<()> {
        let onset = self.instant(self.slow_room(2 * DAY_S, 36 * HOUR_S), MINUTE_S)?;
        let found = onset.plus_seconds(34 * HOUR_S);
        let lph = self.stream.between(15, 120);
        let index = self.pick(Span { from: onset, to: found }, is_home_water)?;
        self.change(index, (onset, None), Effect::Add(lph * 1000));
        let magnitude = Magnitude { value: lph, unit: Magnitude::FLOW };
        self.add_fault(FaultKind::CustomerLeak, self.subject(index), (onset, found), magnitude);
        Some(())
    }

    /// COM-STALE (#59): lost after 24 h.
    fn silent_power(&mut self) -> Option<()> {
        let room = self.late_room(9 * DAY_S, 30 * HOUR_S);
        let onset = self.instant(room, 1)?;
        self.silence(onset, 28 * HOUR_S, |meter| meter.commodity == Commodity::Electricity)
    }

    /// COM-STALE (#59): lost after 72 h for meters on batteries.
    fn silent_other(&mut self) -> Option<()> {
        let room = self.late_room(12 * DAY_S, 80 * HOUR_S);
        let onset = self.instant(room, 1)?;
        self.silence(onset, 78 * HOUR_S, |meter| meter.commodity != Commodity::Electricity)
    }

    fn silence(
        &mut self,
        onset: UtcTime,
        need_s: i64,
        wanted: fn(&SimMeter) -> bool,
    ) -> Option<()> {
        let found = onset.plus_seconds(need_s);
        let index = self.pick(Span { from: onset, to: found }, wanted)?;
        self.meter(index).silent_from = Some(onset);
        let magnitude = Magnitude { value: 0, unit: Magnitude::NONE };
        self.add_fault(FaultKind::SilentMeter, self.subject(index), (onset, found), magnitude);
        Some(())
    }

    /// MTR-STOP (#30) with the zero run of #18: 24 h for electricity, judged at the day's close,
    /// after two weeks of ordinary use.
    fn stopped_power(&mut self) -> Option<()> {
        let onset = self.instant(self.slow_room(16 * DAY_S, 60 * HOUR_S), 900)?;
        self.stop(onset, 56 * HOUR_S, is_plain_power)
    }

    /// As above; a zero run of 10 days for water.
    fn stopped_water(&mut self) -> Option<()> {
        let onset = self.instant(self.slow_room(16 * DAY_S, 13 * DAY_S), MINUTE_S)?;
        self.stop(onset, 12 * DAY_S, is_mesh_home_water)
    }

    /// As above; a zero run of 7 days for gas, in the heating season only.
    fn stopped_gas(&mut self) -> Option<()> {
        let onset = self.instant(self.slow_room(16 * DAY_S, 10 * DAY_S), MINUTE_S)?;
        let month = |at| self.days.get(self.days.index_of(at)).map_or(7, |day| day.month);
        let cold = |at| !(4..=10).contains(&month(at));
        if !cold(onset) || !cold(self.horizon) {
            return None;
        }
        self.stop(onset, 9 * DAY_S, |meter| meter.commodity == Commodity::Gas)
    }

    fn stop(&mut self, onset: UtcTime, need_s: i64, wanted: fn(&SimMeter) -> bool) -> Option<()> {
        let found = onset.plus_seconds(need_s);
        let index = self.pick(Span { from: onset, to: found }, wanted)?;
        self.change(index, (onset, None), Effect::Scale(0));
        let magnitude = Magnitude { value: 0, unit: Magnitude::SHARE };
        self.add_fault(FaultKind::StoppedMeter, self.subject(index), (onset, found), magnitude);
        Some(())
    }

    /// VAR-HIGH (#25): a day far above the own weekdays, of which 14 must be known. In a small
    /// fleet it lasts four days and the other faults that VAR sees begin later, else together they
    /// look like weather.
    fn high_consumption(&mut self) -> Option<()> {
        let weekdays = [Weekday::Monday, Weekday::Tuesday, Weekday::Wednesday, Weekday::Thursday];
        let index = self.day_with_profile(&weekdays, 2)?;
        let found = self.found_after(index, 2);
        let permille = self.stream.between(4_000, 6_000);
        let small = self.spec.meters < VAR_METERS_MIN;
        let end = self.days.get(index + 3).filter(|_| small).map(|day| day.end);
        self.var_fault(index, (found, end), permille, FaultKind::HighConsumption)?;
        if let Some(end) = end {
            self.slow_from = self.slow_from.max(end);
        }
        Some(())
    }

    /// VAR-LOW (#26): three weekdays of four far below the own weekdays; a fifth one for those who
    /// wait in order not to report a long weekend.
    fn low_consumption(&mut self) -> Option<()> {
        let index = self.day_with_profile(&[Weekday::Monday, Weekday::Tuesday], 5)?;
        let found = self.found_after(index, 5);
        let permille = self.stream.between(40, 90);
        self.var_fault(index, (found, None), permille, FaultKind::LowConsumption)
    }

    fn var_fault(
        &mut self,
        day: usize,
        (found, end): (UtcTime, Option<UtcTime>),
        permille: i64,
        kind: FaultKind,
    ) -> Option<()> {
        let onset = self.days.get(day)?.start;
        let index = self.pick(Span { from: onset, to: found }, is_plain_power)?;
        let magnitude = Magnitude { value: permille, unit: Magnitude::SHARE };
        self.add_fault(kind, self.subject(index), (onset, found), magnitude);
        self.change(index, (onset, end), Effect::Scale(permille));
        self.end_fault(end);
        Some(())
    }

    /// A day with 15 whole weekdays of history before it, from which `weekdays` weekdays and their
    /// reports end in time.
    fn day_with_profile(&mut self, allowed: &[Weekday], weekdays: usize) -> Option<usize> {
        let mut known = 0;
        let mut candidates = Vec::new();
        for (index, day) in self.days.all().iter().enumerate() {
            let found = self.found_after(index, weekdays);
            if known >= 15 && allowed.contains(&day.weekday) && found <= self.horizon {
                candidates.push(index);
            }
            known += i32::from(day.start >= self.spec.history_start && !day.is_weekend());
        }
        if self.spec.meters < VAR_METERS_MIN {
            candidates.truncate(1);
        }
        candidates.get(self.stream.index(candidates.len())).copied()
    }

    /// When the reports of so many weekdays, counted from the day, are complete and judged.
    fn found_after(&self, index: usize, weekdays: usize) -> UtcTime {
        let later = self.days.all().iter().skip(index).filter(|day| !day.is_weekend());
        later
            .take(weekdays)
            .nth(weekdays.saturating_sub(1))
            .map_or(UtcTime::MAX, |day| day.end.plus_seconds(7 * HOUR_S))
    }

    /// Room for a silence that begins late, so that it lasts but does not fill the history.
    fn late_room(&self, before_horizon_s: i64, need_s: i64) -> Room {
        let room = self.room(3 * DAY_S, need_s);
        Room { from: room.from.max(self.horizon.plus_seconds(-before_horizon_s)), ..room }
    }

    fn change(&mut self, index: usize, when: (UtcTime, Option<UtcTime>), effect: Effect) {
        let meter = self.meter(index);
        meter.good_link = true;
        let span = Span { from: when.0, to: when.1.unwrap_or(UtcTime::MAX) };
        meter.changes.push(Change { span, effect });
    }

    /// Sets the end of the fault that was added last.
    fn end_fault(&mut self, end: Option<UtcTime>) {
        if let Some(fault) = self.plan.truth.faults.last_mut() {
            fault.end = end;
        }
    }
}

fn is_mesh_water(meter: &SimMeter) -> bool {
    meter.commodity == Commodity::Water && matches!(meter.path, Path::Batch { .. })
}

fn is_mesh_home_water(meter: &SimMeter) -> bool {
    is_mesh_water(meter) && matches!(meter.model, Model::HomeWater(_))
}

/// Coarse counters (1 gal) are left out: a small leak is below their resolution most of the time.
fn is_home_water(meter: &SimMeter) -> bool {
    matches!(meter.model, Model::HomeWater(_))
        && !matches!(meter.path, Path::Radio { protocol: Protocol::Scm, .. })
}

/// No panels, no car, no air conditioning, and no plant that rests at weekends.
pub(super) fn is_plain_power(meter: &SimMeter) -> bool {
    let Model::Power(power) = &meter.model else { return false };
    let extras = power.car_w + power.solar_w + power.cooling_w;
    extras <= 0.0 && meter.class == metering::CustomerClass::Residential
}
