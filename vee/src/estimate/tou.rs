//! Rates by time of use: which rate counts a slot, and scaling to the registers of the rates (7.5,
//! step five).

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use metering::{LocalCalendar, UtcTime};

use super::input::{ChannelFacts, DayType};
use super::scale::{Residual, residual_of};
use super::share::Weights;
use super::{EstimateError, Gap, RegisterWindow, Series};

/// Times of the day at which a rate counts, local wall time. The first rule that fits decides.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TouRule {
    pub days: Vec<DayType>,
    /// Minutes of the local day, half-open.
    pub from_minute: u16,
    pub to_minute: u16,
    /// Number of the rate, as in the reading type of its register.
    pub rate: u8,
}

/// The switching programme of a meter's rates.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TouSchedule {
    pub rules: Vec<TouRule>,
    /// Rate of all other times.
    pub otherwise: u8,
}

/// The register of one rate between the instants of the total's window.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RateWindow {
    pub rate: u8,
    pub window: RegisterWindow,
}

/// Registers of all rates with their programme.
#[derive(Clone, Copy, Debug)]
pub struct TouInput<'a> {
    pub schedule: &'a TouSchedule,
    pub registers: &'a [RateWindow],
}

impl TouSchedule {
    /// Two rates: 1 on weekdays from 07:00 to 21:00, else 2. For reports; no market's programme.
    pub fn day_and_night() -> Self {
        let day =
            TouRule { days: vec![DayType::Weekday], from_minute: 420, to_minute: 1260, rate: 1 };
        Self { rules: vec![day], otherwise: 2 }
    }

    /// The rate that counts the slot ending at `end`, by the local time at which it begins. A rate
    /// of 0 is none.
    pub fn rate(&self, facts: &ChannelFacts, end: UtcTime) -> u8 {
        let start = end.plus_seconds(-i64::from(facts.len_s()));
        self.rate_at((&facts.calendar, &facts.holidays), start)
    }

    /// The rate that counts at an instant.
    pub fn rate_at(
        &self,
        (calendar, holidays): (&LocalCalendar, &BTreeSet<Date>),
        at: UtcTime,
    ) -> u8 {
        let local = at.to_jiff().to_zoned(calendar.zone().clone());
        let day = DayType::of(local.date(), holidays);
        let minute = u16::try_from(i32::from(local.hour()) * 60 + i32::from(local.minute()));
        let fits = |rule: &&TouRule| {
            rule.days.contains(&day)
                && minute.is_ok_and(|at| rule.from_minute <= at && at < rule.to_minute)
        };
        self.rules.iter().find(fits).map_or(self.otherwise, |rule| rule.rate)
    }
}

/// What each rate's slots of the gaps must add up to. `None` when the rates do not tell: they were
/// read at other instants than the total, do not add up to it (REG-TOU), or one of them counted
/// less than its actual slots, or something where it has no slot.
pub(super) fn residuals(
    facts: &ChannelFacts,
    tou: &TouInput<'_>,
    (total, whole): (&RegisterWindow, Residual),
    series: &Series,
    gaps: &[Gap],
) -> Result<Option<BTreeMap<u8, i64>>, EstimateError> {
    let len_s = facts.len_s();
    let mut told = BTreeMap::new();
    for rate in tou.registers {
        let window = &rate.window;
        if (window.open_at, window.close_at) != (total.open_at, total.close_at) {
            return Ok(None);
        }
        let counts = |end| tou.schedule.rate(facts, end) == rate.rate;
        let Ok(residual) = residual_of(window, series, gaps, &counts)? else { return Ok(None) };
        let has_slot = gaps.iter().any(|gap| gap.ends(len_s).any(counts));
        if residual.units < 0 && !facts.net || residual.units != 0 && !has_slot {
            return Ok(None);
        }
        told.insert(rate.rate, residual.units);
    }
    let covered = |end| told.contains_key(&tou.schedule.rate(facts, end));
    let complete = gaps.iter().all(|gap| gap.ends(len_s).all(covered));
    let sum: i128 = told.values().map(|units| i128::from(*units)).sum();
    Ok((complete && sum == i128::from(whole.units)).then_some(told))
}

/// The slots of each rate scaled to its own register. `rates` names the rate of each weight.
/// `None` when a rate has nothing that may take its units.
pub(super) fn scaled(
    weights: &Weights,
    rates: &[u8],
    residuals: &BTreeMap<u8, i64>,
    step: i64,
) -> Result<Option<Vec<i64>>, EstimateError> {
    let mut values = vec![0; weights.values.len()];
    for (rate, units) in residuals {
        let places: Vec<usize> = (0..rates.len()).filter(|at| rates[*at] == *rate).collect();
        let part = Weights {
            values: places.iter().map(|at| weights.values[*at]).collect(),
            den: weights.den,
            open: places.iter().map(|at| weights.open[*at]).collect(),
        };
        let parts = part.share(*units, step)?;
        if parts.iter().map(|value| i128::from(*value)).sum::<i128>() != i128::from(*units) {
            return Ok(None);
        }
        for (at, value) in places.into_iter().zip(parts) {
            values[at] = value;
        }
    }
    Ok(Some(values))
}
