//! The methods side by side: their values as lines, their sums, and the sum against the register.

use std::collections::BTreeMap;

use ::vee::estimate::{Estimate, MethodTrial, is_usable};
use metering::{ChannelKind, UtcTime};
use store::estimation::{SeriesSpan, series};

use super::estimates::tenths;
use super::reading_day::Target;
use crate::console::chart::{self, Point, QualityMark, Role, Shape, Spread};
use crate::console::frame::QueryText;
use crate::console::measure;
use crate::console::refusal::Refusal;
use crate::console::state::ConsoleState;
use crate::console::words;

/// Registers further apart than this say little of one day.
const WINDOW_MAX_S: i64 = 40 * 86_400;
/// Lines of methods that are not chosen: more cannot be told apart.
const GHOSTS_MAX: usize = 3;

/// One method in the table.
pub(super) struct MethodLine {
    pub(super) title: String,
    /// Redraws the page with it; empty when it cannot be used.
    pub(super) href: String,
    pub(super) chosen: bool,
    /// Class of its swatch.
    pub(super) ink: &'static str,
    pub(super) why: String,
    pub(super) sum: String,
    pub(super) bias: String,
    pub(super) error: String,
}

/// What the intervals come to, and whether the register agrees.
pub(super) struct Sums {
    pub(super) parts: Vec<(String, String)>,
    pub(super) verdict: (String, String),
    pub(super) agree: bool,
}

/// A method over all gaps of the day; `None` where one gap refuses it.
fn total(estimates: &[Estimate], at: usize) -> Option<i64> {
    let trials = estimates.iter().map(|one| one.alternatives.get(at));
    trials
        .map(|trial| {
            let values = &trial?.values;
            (!values.is_empty()).then(|| values.iter().copied().fold(0, i64::saturating_add))
        })
        .try_fold(0_i64, |sum, part| part.map(|part| sum.saturating_add(part)))
}

/// The methods of the ladder in its order, as they did for the first gap.
pub(super) fn lines(
    estimates: &[Estimate],
    target: &Target,
    here: &str,
    range: &str,
) -> Vec<MethodLine> {
    let Some(first) = estimates.first() else { return Vec::new() };
    let inks = inks(first);
    let quantity = |value| measure::quantity(target.channel.reading_type, value);
    let line = |(at, trial): (usize, &MethodTrial)| {
        let number = trial.method.number().to_string();
        let sum = total(estimates, at);
        let tested = |tests: u32| format!("tested on {tests} hidden stretches of this channel");
        MethodLine {
            title: words::sentence_case(trial.method.title()),
            href: match sum {
                Some(_) => {
                    QueryText::default().with("method", &number).with("range", range).on(here)
                }
                None => String::new(),
            },
            chosen: trial.method == first.method,
            ink: inks.get(&at).copied().unwrap_or("s1"),
            why: match (trial.refused, trial.score) {
                (Some(why), _) => format!("Not offered: {why}"),
                (None, Some(score)) => tested(score.tests),
                (None, None) => "not tested on this channel".to_owned(),
            },
            sum: sum.map(quantity).unwrap_or_default(),
            bias: trial.score.map(|score| tenths(score.bias_milli)).unwrap_or_default(),
            error: trial
                .score
                .map(|score| format!("±{}", tenths(score.mape_milli)))
                .unwrap_or_default(),
        }
    };
    first.alternatives.iter().enumerate().map(line).collect()
}

/// Which swatch belongs to which trial; the chosen one is the estimate's own.
fn inks(first: &Estimate) -> BTreeMap<usize, &'static str> {
    let drawn = first.alternatives.iter().enumerate().filter(|(_, trial)| !trial.values.is_empty());
    let mut others = 0;
    drawn
        .map(|(at, trial)| {
            if trial.method == first.method {
                return (at, "se");
            }
            others += 1;
            (at, if others % 2 == 1 { "s2" } else { "s3" })
        })
        .collect()
}

/// Lines of the proposals: first those that are not chosen, then the chosen one.
pub(super) fn ghosts(estimates: &[Estimate], len_s: i32) -> Vec<chart::Series> {
    let mut all = Vec::new();
    for one in estimates {
        let inks = inks(one);
        let others = one.alternatives.iter().enumerate().filter(|(at, trial)| {
            trial.method != one.method && inks.contains_key(at) && !trial.values.is_empty()
        });
        for (at, trial) in others.take(GHOSTS_MAX) {
            let ink = if inks.get(&at) == Some(&"s2") { 2 } else { 3 };
            all.push(line_of(one, &trial.values, len_s, (ink, Role::Ghost)));
        }
        all.push(line_of(one, &one.values, len_s, (2, Role::Chosen)));
    }
    all
}

fn line_of(one: &Estimate, values: &[i64], len_s: i32, (ink, role): (u8, Role)) -> chart::Series {
    let len = i64::from(len_s);
    let point = |(end, value): (UtcTime, &i64)| Point {
        start: end.plus_seconds(-len),
        end,
        value: Some(Spread::of(*value)),
        mark: QualityMark::Estimated,
        text: String::new(),
        note: String::new(),
    };
    let points = one.gap.ends(len_s).zip(values).map(point).collect();
    chart::Series { shape: Shape::Step, ink, role, points }
}

/// The chosen values by interval end.
pub(super) fn proposed(estimates: &[Estimate], len_s: i32) -> BTreeMap<UtcTime, i64> {
    let pairs = |one: &Estimate| {
        one.gap.ends(len_s).zip(one.values.clone()).collect::<Vec<(UtcTime, i64)>>()
    };
    estimates.iter().flat_map(pairs).collect()
}

/// Kept, estimated, their sum; and the same between the registers that enclose the day.
pub(super) async fn sums(
    console: &ConsoleState,
    target: &Target,
    (kept, estimates): (i64, &[Estimate]),
) -> Result<Sums, Refusal> {
    let quantity = |value| measure::quantity(target.channel.reading_type, value);
    let filled: i64 =
        estimates.iter().flat_map(|one| one.values.iter().copied()).fold(0, i64::saturating_add);
    let mut parts = vec![("Counts already".to_owned(), quantity(kept))];
    if !estimates.is_empty() {
        let method = estimates.first().map(|one| one.method.title()).unwrap_or_default();
        parts.push((format!("+ {method} (estimate)"), quantity(filled)));
        parts.push(("= the day".to_owned(), quantity(kept.saturating_add(filled))));
    }
    let window = estimates.iter().find_map(|one| one.inputs.registers);
    let window = window.filter(|w| w.close_at.seconds_since(w.open_at) <= WINDOW_MAX_S);
    let Some(window) =
        window.filter(|_| target.channel.kind == ChannelKind::Interval || !estimates.is_empty())
    else {
        let said = if estimates.is_empty() { "" } else { "so the sum is an estimate too" };
        let head = if estimates.is_empty() {
            "nothing to estimate"
        } else {
            "no register reads enclose the gap"
        };
        return Ok(Sums { parts, verdict: (head.to_owned(), said.to_owned()), agree: false });
    };
    let span = SeriesSpan { from: window.open_at, to: window.close_at, ..target.span() };
    let slots = series(&console.db, span).await?;
    let proposed = proposed(estimates, target.channel.len_s);
    let usable =
        slots.iter().filter(|slot| is_usable(slot.status) && !proposed.contains_key(&slot.end));
    let counted = usable.map(|slot| slot.value).fold(filled, i64::saturating_add);
    let as_read = slots.iter().map(|slot| slot.value).fold(0, i64::saturating_add);
    let (difference, too_much) = (counted - window.advance, as_read - window.advance);
    parts.push(("Register advance".to_owned(), quantity(window.advance)));
    let zone = target.calendar.zone();
    let between = format!(
        "register {} to {}; as read {}",
        words::stamp(window.open_at, console.now(), zone),
        words::stamp(window.close_at, console.now(), zone),
        match too_much {
            0 => "they agree".to_owned(),
            n if n > 0 => format!("{} too much", quantity(n)),
            n => format!("{} too little", quantity(-n)),
        }
    );
    let said = if difference == 0 {
        "agrees with the register".to_owned()
    } else {
        format!("differs from the register by {}", quantity(difference))
    };
    Ok(Sums { parts, verdict: (said, between), agree: difference == 0 })
}
