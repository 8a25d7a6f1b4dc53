//! Estimation error on masked series: by gap length and method, beside the straight line and last
//! week, which anyone could have taken.

use std::collections::BTreeMap;

use jiff::ToSpan;

use super::backtest::{self, COMPARED, GapClass, Tally};
use super::days::{Days, same_wall_slot, shifted};
use super::input::{ChannelFacts, ClassProfile};
use super::ladder::TESTS_MIN;
use super::shapes::{Around, Shape};
use super::share::Weights;
use super::{Gap, Method, Series};

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
    pub class: GapClass,
    /// True: between two registers, where the sum is known.
    pub scaled: bool,
    pub contender: Contender,
    pub tests: u32,
    pub bias_milli: i32,
    pub mape_milli: i32,
    pub p10_milli: i32,
    pub p90_milli: i32,
}

/// Errors over all channels, by gap length, with and without registers.
#[derive(Clone, Debug, Default)]
pub struct BacktestReport {
    pub channels: u32,
    /// Stretches whose scaled values did not add up to the register to the last unit: must be 0.
    pub inexact_sums: u32,
    tallies: BTreeMap<(GapClass, bool, Contender), Tally>,
}

/// One series of the report, complete or nearly so.
#[derive(Clone, Copy, Debug)]
pub struct ReportSeries<'a> {
    pub facts: &'a ChannelFacts,
    pub series: &'a Series,
    pub profile: Option<&'a ClassProfile>,
}

/// Hides stretches of every class in every series, lets all estimate them, and adds up.
/// Deterministic; at most [`backtest::MASKS_MAX`] stretches per series and class.
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
        for class in GapClass::ALL {
            let masks = backtest::masks(&around, class, metering::UtcTime::MAX);
            let hidden: Vec<Hidden> =
                masks.into_iter().filter_map(|mask| Hidden::of(&around, mask)).collect();
            for scaled in [false, true] {
                self.class(&hidden, (class, scaled), around.facts.step());
            }
        }
    }

    fn class(&mut self, hidden: &[Hidden], (class, scaled): (GapClass, bool), step: i64) {
        let filled: Vec<Vec<Filled>> = hidden.iter().map(|one| one.filled(scaled, step)).collect();
        for (at, one) in hidden.iter().enumerate() {
            // The choice must not know the stretch itself: all others of its class vote.
            let chosen = choose(&filled, at);
            for fill in &filled[at] {
                let exact = fill.values.iter().sum::<i64>() == one.actual.iter().sum::<i64>();
                self.inexact_sums += u32::from(scaled && !exact);
                let mut add = |who| {
                    let tally = self.tallies.entry((class, scaled, who)).or_default();
                    tally.add(&fill.values, &one.actual);
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
        for (key, tally) in &other.tallies {
            self.tallies.entry(*key).or_default().merge(tally);
        }
    }

    /// The lines by gap length, unscaled before scaled, the chosen method first.
    pub fn lines(&self) -> Vec<ReportLine> {
        self.tallies
            .iter()
            .filter_map(|((class, scaled, contender), tally)| {
                let score = tally.score(Method::Linear)?;
                Some(ReportLine {
                    class: *class,
                    scaled: *scaled,
                    contender: *contender,
                    tests: score.tests,
                    bias_milli: score.bias_milli,
                    mape_milli: score.mape_milli,
                    p10_milli: score.p10_milli,
                    p90_milli: score.p90_milli,
                })
            })
            .collect()
    }
}

/// A stretch that is hidden, with what each contender would write.
struct Hidden {
    actual: Vec<i64>,
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
    fn of(around: &Around<'_>, mask: Gap) -> Option<Self> {
        let actual = backtest::truth(around, mask)?;
        Some(Self { actual, shapes: contenders(around, mask) })
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

/// What the ladder takes for stretch `at` when it is judged by the other stretches of its class.
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
