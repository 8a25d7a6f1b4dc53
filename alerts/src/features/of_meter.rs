//! The features of one channel of a meter, read from the engine's state when they are asked for.

use metering::{Commodity, Severity, Tag};

use super::Feature;
use crate::alerts::Stage;
use crate::cause::Family;
use crate::env::Env;
use crate::expr::{FeatureSource, Value};
use crate::local::{LocalDay, is_weekend, month_of};
use crate::rules::variance::{Compared, compare};
use crate::rules::{cell, stopped, tamper};
use crate::state::NEVER;
use crate::state::channel::Channel;
use crate::state::days::{OpenDay, Slot};
use crate::state::meter::{Meter, Silence};
use crate::state::water::{HOUR_BASE_MLPH, Water};

const HOUR_S: i64 = 3_600;
const DAY_S: i64 = 86_400;

/// When the features are asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Moment<'a> {
    /// The asset record is known, nothing else.
    Asset,
    /// An interval came: its value in milli-units, if it may be used.
    Reading(Option<i64>),
    /// This local day closed.
    Day(LocalDay, &'a OpenDay),
}

/// A meter with one of its channels.
#[derive(Debug)]
pub(crate) struct OfMeter<'a> {
    pub(crate) meter: &'a Meter,
    pub(crate) channel: Option<&'a Channel>,
    pub(crate) moment: Moment<'a>,
    pub(crate) env: &'a Env,
    /// Comparison of the day, if it can be made.
    compared: Option<Compared>,
}

impl<'a> OfMeter<'a> {
    pub(crate) fn new(
        meter: &'a Meter,
        channel: Option<&'a Channel>,
        moment: Moment<'a>,
        env: &'a Env,
    ) -> Self {
        let compared = match (moment, channel) {
            (Moment::Day(day, _), Some(channel)) => {
                compare(&channel.days, day.number, meter.network_zone, env)
            }
            _ => None,
        };
        Self { meter, channel, moment, env, compared }
    }
}

impl FeatureSource for OfMeter<'_> {
    fn value(&self, feature: Feature) -> Value<'_> {
        let asset = asset(self.meter, feature);
        if asset.is_some() || matches!(self.moment, Moment::Asset) {
            return asset.unwrap_or(Value::Unknown);
        }
        self.of_channel(feature)
            .or_else(|| self.of_contact(feature))
            .or_else(|| self.of_alerts(feature))
            .or_else(|| self.of_days(feature))
            .or_else(|| self.of_slots(feature))
            .or_else(|| self.of_hours(feature))
            .or_else(|| self.of_device(feature))
            .or_else(|| self.of_calendar(feature))
            .unwrap_or(Value::Unknown)
    }

    fn has_tag(&self, tag: Tag) -> bool {
        self.meter.tags.has(tag)
    }
}

fn float(number: i64) -> f64 {
    number as f64
}

fn count(number: impl Into<i64>) -> Option<Value<'static>> {
    Some(Value::Number(float(number.into())))
}

/// Thousandths of a unit in units.
fn milli(number: i64) -> Option<Value<'static>> {
    Some(Value::Number(float(number) / 1_000.0))
}

/// Seconds in hours, days and so on.
fn time(seconds: i64, unit_s: f64) -> Option<Value<'static>> {
    Some(Value::Number(float(seconds) / unit_s))
}

fn known(value: Option<Value<'static>>) -> Option<Value<'static>> {
    Some(value.unwrap_or(Value::Unknown))
}

/// Time since an instant that may not have been.
fn since(at: i64, now: i64, unit_s: f64) -> Option<Value<'static>> {
    if at == NEVER { Some(Value::Unknown) } else { time(now - at, unit_s) }
}

fn share(part: i64, whole: i64) -> Option<Value<'static>> {
    if whole <= 0 {
        return Some(Value::Unknown);
    }
    Some(Value::Number(float(part) * 100.0 / float(whole)))
}

fn asset(meter: &Meter, feature: Feature) -> Option<Value<'static>> {
    let positive = |number: i64| if number > 0 { count(number) } else { Some(Value::Unknown) };
    match feature {
        Feature::Kind => Some(Value::Text(meter.commodity.word())),
        Feature::Class => Some(Value::Text(meter.class.word())),
        Feature::Role => Some(Value::Text(meter.role.word())),
        Feature::AccountActive => Some(Value::Bool(meter.is_account_active())),
        Feature::BatteryPowered => Some(Value::Bool(meter.is_battery_powered())),
        Feature::Units => positive(meter.units.into()),
        Feature::RatedFlow => positive(meter.flow_rated_lph.into()),
        Feature::ContactEvery => time(meter.cadence_s(), 60.0),
        Feature::Routed => Some(Value::Bool(meter.primary().is_some())),
        Feature::Zoned => Some(Value::Bool(meter.network_zone != 0)),
        Feature::Fed => Some(Value::Bool(meter.transformer != 0)),
        _ => None,
    }
}

impl OfMeter<'_> {
    fn of_channel(&self, feature: Feature) -> Option<Value<'_>> {
        let channel = self.channel?;
        let now = self.env.now;
        match feature {
            Feature::Channel => count(channel.no),
            Feature::IntervalLength => time(channel.len(), 60.0),
            Feature::Resolution => milli(channel.resolution()),
            Feature::DeliveryLag => time(channel.lag_s.into(), 3_600.0),
            Feature::SlotUse => known(self.slot().and_then(milli)),
            Feature::SlotRate => {
                known(self.slot().and_then(|value| milli(value * HOUR_S / channel.len().max(1))))
            }
            Feature::ZeroRun if channel.last_flow.s() == NEVER => Some(Value::Unknown),
            Feature::ZeroRun => time(channel.zero_run_s(), 3_600.0),
            Feature::ZeroLimit if channel.zero_limit_s == 0 => Some(Value::Unknown),
            Feature::ZeroLimit => time(channel.zero_limit_s.into(), 3_600.0),
            Feature::LastHour => known(self.water().and_then(|(water, channel)| {
                let slots = (HOUR_S / channel.len()).max(1);
                milli(water.sum(water.head.s(), slots)? * HOUR_S / (slots * channel.len()))
            })),
            Feature::DataAge => since(channel.last_end.s(), now, 3_600.0),
            _ => None,
        }
    }

    /// Value of the interval at hand.
    fn slot(&self) -> Option<i64> {
        match self.moment {
            Moment::Reading(value) => value,
            _ => None,
        }
    }

    fn water(&self) -> Option<(&Water, &Channel)> {
        let channel = self.channel?;
        Some((channel.water.as_deref()?, channel))
    }

    fn of_contact(&self, feature: Feature) -> Option<Value<'_>> {
        let (meter, now) = (self.meter, self.env.now);
        let past = meter.past();
        let remembered = |all: &[i64]| {
            let known = all.iter().filter(|at| **at != NEVER).count();
            count(i64::try_from(known).unwrap_or(0))
        };
        match feature {
            Feature::Age => time(now - meter.installed_at.s(), 31_557_600.0),
            Feature::Silence => since(meter.heard_at.s(), now, 3_600.0),
            Feature::Delivery if meter.silence == Silence::Unheard => Some(Value::Unknown),
            Feature::Delivery => Some(Value::Number((1.0 - meter.miss_rate()) * 100.0)),
            Feature::Signal | Feature::SignalTrend if meter.rssi_slow == 0 => Some(Value::Unknown),
            Feature::Signal => Some(Value::Number(f64::from(meter.rssi_quick) / 100.0)),
            Feature::SignalTrend => {
                Some(Value::Number(f64::from(meter.rssi_quick - meter.rssi_slow) / 100.0))
            }
            Feature::IsStale => Some(Value::Bool(meter.silence >= Silence::Stale)),
            Feature::IsLost => Some(Value::Bool(meter.silence == Silence::Lost)),
            Feature::LossAge => since(past.lost_at[0], now, 86_400.0),
            Feature::Losses => remembered(&past.lost_at),
            Feature::BatteryFlagAge => since(past.low_at[0], now, 86_400.0),
            Feature::BatteryFlags => remembered(&past.low_at),
            Feature::TamperAge => since(past.tamper_at, now, 86_400.0),
            Feature::Voltage => {
                known(self.recent(|rare| (rare.volt_at, rare.volt_mv)).and_then(milli))
            }
            Feature::Temperature => known(
                self.recent(|rare| (rare.temperature_at, rare.temperature_cc.into()))
                    .map(|hundredths| Value::Number(float(hundredths) / 100.0)),
            ),
            Feature::BackflowLevel => count(self.meter.rare().map_or(0, |rare| rare.back_level)),
            _ => None,
        }
    }

    /// A value of the last day.
    fn recent(&self, of: impl Fn(&crate::state::rare::Rare) -> (i64, i64)) -> Option<i64> {
        let (at, value) = of(self.meter.rare()?);
        (at != NEVER && self.env.now - at <= DAY_S).then_some(value)
    }

    fn of_alerts(&self, feature: Feature) -> Option<Value<'_>> {
        let subject = self.meter.subject();
        let of = |family| Some(Value::Bool(self.env.book.has_family(subject, family)));
        let live = || self.env.book.of_subject(subject).filter(|(_, one)| one.stage == Stage::Live);
        match feature {
            Feature::ActiveAlerts => count(i64::try_from(live().count()).unwrap_or(0)),
            Feature::WorstSeverity => known(
                live().map(|(_, one)| one.severity).min().map(Severity::number).and_then(count),
            ),
            Feature::CommAlert => of(Family::Comm),
            Feature::PowerAlert => of(Family::Power),
            Feature::MetrologyAlert => of(Family::Metrology),
            Feature::ConfigAlert => of(Family::Config),
            Feature::ClockAlert => of(Family::Clock),
            Feature::TamperAlert => of(Family::Tamper),
            Feature::LeakAlert => of(Family::Leak),
            Feature::BackflowAlert => of(Family::Backflow),
            Feature::BatteryAlert => of(Family::Battery),
            Feature::GasAlert => of(Family::Gas),
            Feature::DataAlert => of(Family::Data),
            _ => None,
        }
    }

    /// The day at hand.
    fn day(&self) -> Option<(LocalDay, &OpenDay, &Channel)> {
        match self.moment {
            Moment::Day(day, slots) => Some((day, slots, self.channel?)),
            _ => None,
        }
    }

    fn of_days(&self, feature: Feature) -> Option<Value<'_>> {
        let (day, _, channel) = self.day()?;
        let total = |back: i32| channel.days.total(day.number - back);
        let (metered, compared) = (self.meter.commodity, self.compared.as_ref());
        let is_energy = matches!(metered, Commodity::Electricity | Commodity::Heat);
        let whole = |days: std::ops::Range<i32>| -> Option<i64> {
            days.map(total).try_fold(0_i64, |sum, total| total.map(|own| sum + own))
        };
        match feature {
            Feature::DailyTotal => known(total(0).and_then(milli)),
            Feature::DailyEnergy => known(total(0).filter(|_| is_energy).and_then(milli)),
            Feature::DailyVolume => known(total(0).filter(|_| !is_energy).and_then(milli)),
            Feature::DailyMean => {
                known(total(0).and_then(|own| milli(own * HOUR_S / (day.end - day.start).max(1))))
            }
            Feature::TotalBefore => known(total(1).and_then(milli)),
            Feature::TotalWeekBefore => known(total(7).and_then(milli)),
            Feature::Sum7 => known(whole(0..7).and_then(milli)),
            Feature::Mean7 => known(whole(0..7).and_then(|sum| milli(sum / 7))),
            Feature::WeekChange => known(whole(0..7).and_then(|now| growth(now, whole(7..14)?))),
            Feature::ZDay => known(compared.map(|one| Value::Number(float(one.z_x100) / 100.0))),
            Feature::ZMedian => known(compared.and_then(|one| milli(one.median))),
            Feature::ZSpread => known(compared.and_then(|one| milli(one.mad))),
            Feature::ZDays => known(compared.and_then(|one| count(one.days))),
            Feature::UsedDays => share(channel.used_days.into(), channel.judged_days.into()),
            Feature::JudgedDays => count(channel.judged_days),
            _ => self.of_month(feature, channel, day.number),
        }
    }

    /// The 28 days that end with the day.
    fn of_month(&self, feature: Feature, channel: &Channel, number: i32) -> Option<Value<'_>> {
        let asked = matches!(
            feature,
            Feature::Mean28
                | Feature::Median28
                | Feature::Min28
                | Feature::Max28
                | Feature::DayChange
                | Feature::DaysKnown28
                | Feature::DaysZero28
                | Feature::DaysKnown7
        );
        if !asked {
            return None;
        }
        let mut own = [0_i64; 28];
        let mut found = 0;
        let mut in_week = 0;
        for back in 0..28 {
            if let Some(total) = channel.days.total(number - back) {
                own[found] = total;
                found += 1;
                in_week += i64::from(back < 7);
            }
        }
        let days = i64::try_from(found).unwrap_or(0);
        let own = &mut own[..found];
        own.sort_unstable();
        let enough = |value: i64| if days >= 14 { milli(value) } else { Some(Value::Unknown) };
        let median = own.get(found / 2).copied().unwrap_or(0);
        match feature {
            Feature::Mean28 => enough(own.iter().sum::<i64>() / days.max(1)),
            Feature::Median28 => enough(median),
            Feature::Min28 => enough(own.first().copied().unwrap_or(0)),
            Feature::Max28 => enough(own.last().copied().unwrap_or(0)),
            Feature::DayChange if days < 14 => Some(Value::Unknown),
            Feature::DayChange => {
                known(channel.days.total(number).and_then(|day| growth(day, median)))
            }
            Feature::DaysKnown28 => count(days),
            Feature::DaysZero28 => {
                count(i64::try_from(own.iter().filter(|total| **total == 0).count()).unwrap_or(0))
            }
            _ => share(in_week, 7),
        }
    }

    fn of_slots(&self, feature: Feature) -> Option<Value<'_>> {
        let (_, slots, _) = self.day()?;
        let all = usize::from(slots.slots);
        let of = |kind: Slot| {
            let found = (0..all).filter(|index| slots.slot(*index) == kind).count();
            count(i64::try_from(found).unwrap_or(0))
        };
        match feature {
            Feature::Coverage => share(slots.good.into(), slots.slots.into()),
            Feature::FlowSlots => of(Slot::Flow),
            Feature::ZeroSlots => of(Slot::Zero),
            Feature::MissingSlots => of(Slot::Missing),
            Feature::BadSlots => of(Slot::Bad),
            Feature::DaySlots => count(slots.slots),
            _ => None,
        }
    }

    fn of_hours(&self, feature: Feature) -> Option<Value<'_>> {
        let asked = matches!(
            feature,
            Feature::MinHour
                | Feature::MaxHour
                | Feature::MeanHour
                | Feature::NightHour
                | Feature::FlowHours
                | Feature::P50Hour
                | Feature::P95Hour
        );
        let (day, _, channel) = self.day().filter(|_| asked)?;
        let Some(water) = channel.water.as_deref() else { return Some(Value::Unknown) };
        let percentile = |per_cent| {
            if water.hours.total() < 72 {
                return Some(Value::Unknown);
            }
            milli(water.hours.percentile(per_cent, HOUR_BASE_MLPH))
        };
        match feature {
            Feature::P50Hour => percentile(50),
            Feature::P95Hour => percentile(95),
            Feature::NightHour => {
                let night = (day.start + 2 * HOUR_S, day.start + 4 * HOUR_S);
                known(hours(water, channel, night).and_then(|found| milli(found.least)))
            }
            _ => {
                let found = hours(water, channel, (day.start, day.end));
                known(found.and_then(|found| match feature {
                    Feature::MinHour => milli(found.least),
                    Feature::MaxHour => milli(found.most),
                    Feature::MeanHour => milli(found.sum / found.count.max(1)),
                    _ => count(found.flowing),
                }))
            }
        }
    }

    /// What takes a little longer, so at day close only.
    fn of_device(&self, feature: Feature) -> Option<Value<'_>> {
        self.day()?;
        match feature {
            Feature::TamperScore => milli(tamper::score_x1000(self.meter, self.env)),
            Feature::BatteryDays => known(cell::days_left(self.meter, self.env).and_then(count)),
            _ => None,
        }
    }

    fn of_calendar(&self, feature: Feature) -> Option<Value<'_>> {
        let (day, _, _) = self.day()?;
        let number = day.number;
        match feature {
            // 1970-01-01 was a Thursday.
            Feature::Weekday => count((number + 3).rem_euclid(7) + 1),
            Feature::Month => count(month_of(number)),
            Feature::IsWeekend => Some(Value::Bool(is_weekend(number))),
            Feature::IsHoliday => Some(Value::Bool(self.env.active.is_holiday(number))),
            Feature::IsHeating => {
                let params = &self.env.params;
                Some(Value::Bool(stopped::is_heating(month_of(number), params)))
            }
            Feature::DayHours => time(day.end - day.start, 3_600.0),
            _ => None,
        }
    }
}

/// Growth from `before` to `now` in per cent.
fn growth(now: i64, before: i64) -> Option<Value<'static>> {
    if before <= 0 {
        return Some(Value::Unknown);
    }
    Some(Value::Number(float(now - before) * 100.0 / float(before)))
}

/// Whole hours of a window, in mL/h.
struct Hours {
    least: i64,
    most: i64,
    sum: i64,
    count: i64,
    flowing: i64,
}

/// Nine tenths of the hours of the window must be known.
fn hours(water: &Water, channel: &Channel, (from, to): (i64, i64)) -> Option<Hours> {
    let len_s = channel.len();
    if len_s > HOUR_S || len_s <= 0 || HOUR_S % len_s != 0 {
        return None;
    }
    let slots = HOUR_S / len_s;
    let mut found = Hours { least: i64::MAX, most: 0, sum: 0, count: 0, flowing: 0 };
    let wanted = (to - from) / HOUR_S;
    for hour in 1..=wanted {
        if let Some(rate) = water.sum((from + hour * HOUR_S).div_euclid(len_s), slots) {
            found.least = found.least.min(rate);
            found.most = found.most.max(rate);
            found.sum += rate;
            found.count += 1;
            found.flowing += i64::from(rate > 0);
        }
    }
    (found.count > 0 && found.count * 10 >= wanted * 9).then_some(found)
}
