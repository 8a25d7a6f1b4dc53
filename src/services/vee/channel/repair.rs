//! What was measured, but not in the shape of the channel: intervals of another length (#3), and
//! the hour that the clock shows twice (#8).

use metering::{DeviceFlags, QualityStatus, UtcTime};
use store::Database;
use store::estimation::{BestSlot, Measured, SeriesSpan, second_values};
use vee::Rule;
use vee::estimate::reslice::{
    DayAdvance, OddInterval, RepeatedHour, SecondValue, other_lengths, repeated_hour,
};
use vee::estimate::{Estimate, EstimateError, Gap, Series, Slot, is_usable};
use vee::estimation::provisional_from;

use super::super::VeeError;
use super::{Channel, without};

/// What is to be done about the hour that the clock shows twice.
#[derive(Debug)]
pub(crate) enum HourRepair {
    /// Measured values go where they belong.
    Move(SeriesSpan, Vec<Measured>),
    /// The estimate shares anew what these hold.
    Share(Box<Estimate>, Vec<Measured>),
}

impl Channel {
    /// Ripe intervals of another length in slots of the channel's, and the series with them.
    pub(super) fn repaired(
        &self,
        within: Gap,
        now: UtcTime,
    ) -> Result<(Vec<Estimate>, Series), EstimateError> {
        let len_s = self.facts.len_s();
        let start = |slot: &BestSlot| slot.end.plus_seconds(-i64::from(len_s));
        let odd = |slot: &&BestSlot| {
            slot.status == QualityStatus::Suspect
                && slot.failed == Rule::Size.mask()
                && (slot.flags.contains(DeviceFlags::LONG)
                    || slot.flags.contains(DeviceFlags::PARTIAL))
        };
        let odd: Vec<OddInterval> = self
            .best
            .values()
            .filter(odd)
            .map(|slot| OddInterval {
                start: start(slot),
                value: slot.value,
                long: slot.flags.contains(DeviceFlags::LONG),
            })
            .collect();
        if odd.is_empty() {
            return Ok((Vec::new(), self.series.clone()));
        }
        let starts: Vec<UtcTime> = self.best.values().map(start).collect();
        let mut told = other_lengths(&odd, &starts, (len_s, self.facts.step()))?;
        told.retain(|one| {
            let ripe = provisional_from(one.gap.to, &self.facts.calendar) <= now;
            let open = |end| !self.best.get(&end).is_some_and(|slot| is_usable(slot.status));
            ripe && one.gap.overlaps(within.from, within.to) && one.gap.ends(len_s).all(open)
        });
        let holds = |end: UtcTime| told.iter().any(|one| one.gap.holds(end));
        let mut slots = without(&self.series, |slot| holds(slot.end)).slots().to_vec();
        slots.extend(told.iter().flat_map(|one| {
            let slot = |(end, value): (UtcTime, &i64)| Slot::new(end, *value, one.status);
            one.gap.ends(len_s).zip(&one.values).map(slot)
        }));
        Ok((told, Series::new(len_s, slots)))
    }

    /// The repair of the hour that comes twice, when the gap lies in one; both passages must be
    /// ripe, since the second values may still be on their way.
    pub(crate) async fn repeated_hour(
        &self,
        db: &Database,
    ) -> Result<Option<HourRepair>, VeeError> {
        let Some((first, second)) = self.passages() else { return Ok(None) };
        if provisional_from(second.to, &self.facts.calendar) > self.now {
            return Ok(None);
        }
        let channel = self.facts.channel.channel;
        let span = SeriesSpan { meter: self.meter, channel, from: first.from, to: second.to };
        let again: Vec<SecondValue> = second_values(db, span)
            .await?
            .into_iter()
            .filter(|(_, value)| self.is_possible(*value))
            .map(|(end, value)| SecondValue { end, value })
            .collect();
        let advance = self.advance_around(Gap::new(first.from, second.to));
        let measured =
            |slot: &Slot| Measured { end: slot.end, value: slot.value, flags: slot.code.flags() };
        Ok(match repeated_hour(&self.series, (first, second), &again, advance)? {
            RepeatedHour::Sound => None,
            RepeatedHour::Moved(slots) => {
                let changed = |slot: &&Slot| {
                    self.series.at(slot.end).is_none_or(|old| old.value != slot.value)
                };
                let moved = slots.iter().filter(changed).map(measured).collect();
                Some(HourRepair::Move(span, moved))
            }
            RepeatedHour::Halved { estimate, doubled } => {
                let doubled = doubled.iter().map(measured).collect();
                Some(HourRepair::Share(estimate, doubled))
            }
        })
    }

    /// The two passages of the hour that comes twice, when the gap touches one of them.
    fn passages(&self) -> Option<(Gap, Gap)> {
        let calendar = &self.facts.calendar;
        let mut day = calendar.day_containing(self.around.from);
        while day.start < self.around.to {
            let shift = day.len_s() - metering::time::DAY_S;
            if let Some(change) = calendar.change_within(day).filter(|_| shift > 0) {
                let passages = (
                    Gap::new(change.plus_seconds(-shift), change),
                    Gap::new(change, change.plus_seconds(shift)),
                );
                let touches = |gap: Gap| gap.overlaps(self.around.from, self.around.to);
                return (touches(passages.0) || touches(passages.1)).then_some(passages);
            }
            day = calendar.day_containing(day.end);
        }
        None
    }

    /// The register around both passages, read on the grid.
    fn advance_around(&self, hours: Gap) -> Option<DayAdvance> {
        let len = i64::from(self.facts.len_s());
        let on_grid = |at: UtcTime| at.floor_to(len) == at;
        let reads = || self.counter.reads.iter().filter(|read| on_grid(read.at));
        let open = reads().rfind(|read| read.at <= hours.from)?;
        let close = reads().find(|read| read.at >= hours.to && read.run == open.run)?;
        Some(DayAdvance {
            window: Gap::new(open.at, close.at),
            advance: close.total.checked_sub(open.total)?,
            step: self.facts.step(),
        })
    }

    /// Not negative and within what the service can deliver.
    fn is_possible(&self, value: i64) -> bool {
        let channel = &self.facts.channel;
        let cap = i128::from(channel.cap_per_hour) * i128::from(channel.len_s);
        let within = cap <= 0 || i128::from(value) * 3_600 * 100 <= cap * 125;
        (value >= 0 || self.facts.net) && within
    }
}
