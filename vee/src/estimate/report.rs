//! Estimation error on masked series: by commodity, gap length and method, beside the straight line
//! and last week, which anyone could have taken.

use std::collections::BTreeMap;

use jiff::ToSpan;

use metering::Commodity;

use super::backtest::{self, COMPARED, MASKS_MAX, Tally};
use super::days::{Days, same_wall_slot, shifted};
use super::input::{ChannelFacts, ClassProfile};
use super::ladder::TESTS_MIN;
use super::shapes::{Around, Shape};
use super::share::Weights;
use super::tou::TouSchedule;
use super::{Gap, Method, Series};

/// Lengths of the stretches that are hidden.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum MaskLength {
    OneSlot,
    Hour1,
    Hours4,
    Day1,
    Days3,
    Days7,
    Days15,
    Days30,
}

impl MaskLength {
    pub const ALL: [Self; 8] = [
        Self::OneSlot,
        Self::Hour1,
        Self::Hours4,
        Self::Day1,
        Self::Days3,
        Self::Days7,
        Self::Days15,
        Self::Days30,
    ];

    pub const fn word(self) -> &'static str {
        match self {
            Self::OneSlot => "1 slot",
            Self::Hour1 => "1 h",
            Self::Hours4 => "4 h",
            Self::Day1 => "1 d",
            Self::Days3 => "3 d",
            Self::Days7 => "7 d",
            Self::Days15 => "15 d",
            Self::Days30 => "30 d",
        }
    }

    /// Seconds that are hidden; `None` when another length says the same of slots of `len_s`.
    pub fn seconds(self, len_s: i32) -> Option<i64> {
        let len = i64::from(len_s.max(1));
        let seconds = match self {
            Self::OneSlot => return Some(len),
            Self::Hour1 => 3_600,
            Self::Hours4 => 4 * 3_600,
            Self::Day1 => 86_400,
            Self::Days3 => 3 * 86_400,
            Self::Days7 => 7 * 86_400,
            Self::Days15 => 15 * 86_400,
            Self::Days30 => 30 * 86_400,
        };
        (seconds > len && seconds % len == 0).then_some(seconds)
    }
}

/// Who estimates in a [`BacktestReport`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Contender {
    /// What the product does: the ladder with its back-test.
    Chosen,
    /// One method alone, under its gates.
    Method(Method),
    /// Baseline: a straight line whatever the length.
    Line,
    /// Baseline: the same slots seven days before.
    LastWeek,
}

impl Contender {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Chosen => "chosen",
            Self::Method(method) => method.id(),
            Self::Line => "linear (baseline)",
            Self::LastWeek => "last week (baseline)",
        }
    }
}

/// One line of the report. Errors in thousandths of actual use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReportLine {
    pub commodity: Commodity,
    pub class: MaskLength,
    /// True: between two registers, where the sum is known.
    pub scaled: bool,
    pub contender: Contender,
    pub tests: u32,
    pub bias_milli: i32,
    pub mape_milli: i32,
    pub p10_milli: i32,
    pub p90_milli: i32,
    /// Differences of the sums by rate of a plain two-rate day (weekdays 07:00 to 21:00 local, and
    /// the rest), added up.
    pub tou_milli: i32,
}

/// Errors over all channels, by gap length, with and without registers.
#[derive(Clone, Debug, Default)]
pub struct BacktestReport {
    pub channels: u32,
    /// Stretches whose scaled values did not add up to the register to the last unit: must be 0.
    pub inexact_sums: u32,
    tallies: BTreeMap<Key, Errors>,
}

type Key = (Commodity, MaskLength, bool, Contender);

/// Errors slot by slot, and by rate of [`TouSchedule::day_and_night`].
#[derive(Clone, Debug, Default)]
struct Errors {
    tally: Tally,
    misplaced: i128,
    used: i128,
}

/// One series of the report, complete or nearly so.
#[derive(Clone, Copy, Debug)]
pub struct ReportSeries<'a> {
    pub facts: &'a ChannelFacts,
    pub series: &'a Series,
    pub profile: Option<&'a ClassProfile>,
}

/// Hides stretches of every length in every series, lets all estimate them, and adds up.
/// Deterministic; at most [`MASKS_MAX`] stretches per series and length.
pub fn backtest_report(all: &[ReportSeries<'_>]) -> BacktestReport {
    let mut report = BacktestReport::default();
    for one in all {
        report.add(one);
    }
    report
}

impl BacktestReport {
    /// One more series: for callers that do not hold a fleet in memory.
    pub fn add(&mut self, one: &ReportSeries<'_>) {
        let days = Days::of(one.facts, one.series);
        let around = Around {
            facts: one.facts,
            series: one.series,
            days: &days,
            profile: one.profile,
            check: None,
        };
        self.channels += 1;
        let commodity = one.facts.commodity;
        let rates = TouSchedule::day_and_night();
        for length in MaskLength::ALL {
            let Some(seconds) = length.seconds(one.facts.len_s()) else { continue };
            let masks = masks(&around, seconds);
            let hidden: Vec<Hidden> =
                masks.into_iter().filter_map(|mask| Hidden::of(&around, mask, &rates)).collect();
            for scaled in [false, true] {
                self.length(&hidden, (commodity, length, scaled), around.facts.step());
            }
        }
    }

    fn length(
        &mut self,
        hidden: &[Hidden],
        (commodity, length, scaled): (Commodity, MaskLength, bool),
        step: i64,
    ) {
        let filled: Vec<Vec<Filled>> = hidden.iter().map(|one| one.filled(scaled, step)).collect();
        for (at, one) in hidden.iter().enumerate() {
            // The choice must not know the stretch itself: all others of its length vote.
            let chosen = choose(&filled, at);
            for fill in &filled[at] {
                let exact = fill.values.iter().sum::<i64>() == one.actual.iter().sum::<i64>();
                self.inexact_sums += u32::from(scaled && !exact);
                let mut add = |who| {
                    let key = (commodity, length, scaled, who);
                    let errors = self.tallies.entry(key).or_default();
                    errors.tally.add(&fill.values, &one.actual);
                    errors.misplaced += one.misplaced(&fill.values);
                    errors.used += fill.used;
                };
                add(fill.contender);
                if Some(fill.contender) == chosen.map(Contender::Method) {
                    add(Contender::Chosen);
                }
            }
        }
    }

    pub fn merge(&mut self, other: &Self) {
        self.channels += other.channels;
        self.inexact_sums += other.inexact_sums;
        for (key, errors) in &other.tallies {
            let own = self.tallies.entry(*key).or_default();
            own.tally.merge(&errors.tally);
            own.misplaced += errors.misplaced;
            own.used += errors.used;
        }
    }

    /// The lines by commodity and gap length, unscaled before scaled, the chosen method first.
    pub fn lines(&self) -> Vec<ReportLine> {
        self.tallies
            .iter()
            .filter_map(|((commodity, class, scaled, contender), errors)| {
                let score = errors.tally.score(Method::Linear)?;
                Some(ReportLine {
                    commodity: *commodity,
                    class: *class,
                    scaled: *scaled,
                    contender: *contender,
                    tests: score.tests,
                    bias_milli: score.bias_milli,
                    mape_milli: score.mape_milli,
                    p10_milli: score.p10_milli,
                    p90_milli: score.p90_milli,
                    tou_milli: backtest::milli(errors.misplaced, errors.used),
                })
            })
            .collect()
    }
}

/// Stretches of `seconds`, spread over all days that they fit in; those that are shorter than a day
/// begin at other times each day.
fn masks(around: &Around<'_>, seconds: i64) -> Vec<Gap> {
    let len = i64::from(around.facts.len_s());
    let days: Vec<_> = around.days.newest_before(metering::UtcTime::MAX).collect();
    let mut fitting: Vec<Gap> = Vec::new();
    for (n, day) in (0_i64..).zip(&days) {
        // Seven is prime to every number of slots in use, so all times of the day have their turn.
        let of_day = day.shape.slot_count(around.facts.len_s()).max(1);
        let shift = if seconds >= metering::time::DAY_S { 0 } else { n * 7 * of_day / 24 % of_day };
        let from = day.shape.start.plus_seconds(shift * len);
        let mask = Gap::new(from, from.plus_seconds(seconds));
        if backtest::truth(around, mask).is_some() {
            fitting.push(mask);
        }
    }
    let every = fitting.len().div_ceil(MASKS_MAX).max(1);
    fitting.into_iter().step_by(every).collect()
}

/// A stretch that is hidden, with what each contender would write.
struct Hidden {
    actual: Vec<i64>,
    rates: Vec<u8>,
    shapes: Vec<(Contender, Shape)>,
}

/// One contender's values for a hidden stretch.
struct Filled {
    contender: Contender,
    values: Vec<i64>,
    absolute: i128,
    used: i128,
}

impl Hidden {
    fn of(around: &Around<'_>, mask: Gap, rates: &TouSchedule) -> Option<Self> {
        let actual = backtest::truth(around, mask)?;
        let rates = mask.ends(around.facts.len_s()).map(|end| rates.rate(around.facts, end));
        Some(Self { actual, rates: rates.collect(), shapes: contenders(around, mask) })
    }

    /// Use that an estimate gives a rate too much or too little, over all rates.
    fn misplaced(&self, estimated: &[i64]) -> i128 {
        let mut by_rate: BTreeMap<u8, i128> = BTreeMap::new();
        for ((rate, estimate), actual) in self.rates.iter().zip(estimated).zip(&self.actual) {
            *by_rate.entry(*rate).or_default() += i128::from(*estimate) - i128::from(*actual);
        }
        by_rate.values().map(|difference| difference.abs()).sum()
    }

    fn filled(&self, scaled: bool, step: i64) -> Vec<Filled> {
        let fill = |(contender, shape): &(Contender, Shape)| {
            let values = backtest::fill(&shape.weights, scaled, &self.actual, step).ok()?;
            let errors = values.iter().zip(&self.actual);
            Some(Filled {
                contender: *contender,
                absolute: errors.map(|(e, a)| (i128::from(*e) - i128::from(*a)).abs()).sum(),
                used: self.actual.iter().map(|value| i128::from(*value)).sum(),
                values,
            })
        };
        self.shapes.iter().filter_map(fill).collect()
    }
}

fn contenders(around: &Around<'_>, mask: Gap) -> Vec<(Contender, Shape)> {
    let mut shapes: Vec<(Contender, Shape)> = COMPARED
        .iter()
        .filter_map(|&method| Some((Contender::Method(method), around.shape(method, mask).ok()?)))
        .collect();
    shapes.extend(around.line(mask).ok().map(|shape| (Contender::Line, shape)));
    shapes.extend(last_week(around, mask).map(|shape| (Contender::LastWeek, shape)));
    shapes
}

fn last_week(around: &Around<'_>, mask: Gap) -> Option<Shape> {
    let len_s = around.facts.len_s();
    let values = mask.ends(len_s).map(|end| {
        let start = end.plus_seconds(-i64::from(len_s));
        let date = shifted(around.facts.calendar.date_of(start), -7.days());
        let there = same_wall_slot(around.facts, end, date, len_s)?;
        let slot = around.series.at(there).filter(|slot| slot.is_reference())?;
        (!mask.holds(there)).then_some(i128::from(slot.value))
    });
    let values: Vec<i128> = values.collect::<Option<_>>()?;
    Some(Shape {
        weights: Weights::new(values, 1),
        reference_days: Vec::new(),
        before: None,
        after: None,
        one_sided: false,
    })
}

/// What the ladder takes for stretch `at` when it is judged by the other stretches of its length.
fn choose(filled: &[Vec<Filled>], at: usize) -> Option<Method> {
    let error = |method: Method| {
        let (mut tests, mut absolute, mut used) = (0_u32, 0_i128, 0_i128);
        for (n, one) in filled.iter().enumerate() {
            let own = one.iter().find(|fill| fill.contender == Contender::Method(method));
            if let Some(fill) = own.filter(|_| n != at) {
                tests += 1;
                absolute += fill.absolute;
                used += fill.used;
            }
        }
        (tests >= TESTS_MIN).then(|| i64::from(backtest::milli(absolute, used)))
    };
    let applicable: Vec<Method> = COMPARED
        .iter()
        .copied()
        .filter(|method| filled[at].iter().any(|fill| fill.contender == Contender::Method(*method)))
        .collect();
    super::ladder::pick(&applicable, error)
}
