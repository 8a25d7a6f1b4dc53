//! `headend score`: how well the rules find what is wrong, and only that.
//!
//! In the order of a run: a fleet with labelled faults ([`simulators::Trial`]) and its registry
//! (`fleet`), the pipeline of the running program with tables in memory (`rig`, `table`, `close`,
//! `book`), simple thresholds beside it (`naive`), which issue answers which fault (`matching`),
//! and the figures (`card`, [`statistics`]), for people (`text`) and programs.

mod book;
mod card;
mod close;
mod estimation;
mod fleet;
mod matching;
mod naive;
pub mod postgres;
mod rig;
pub mod statistics;
mod table;
mod text;

use std::collections::BTreeMap;
use std::io::Write as _;

use alerts::Params;
use metering::UtcTime;
use serde::Serialize;
use simulators::{Scenario, Trial, TrialKind, TrialSpec};

use crate::output::OutputFormat;
use card::{Judge, Tally};
use estimation::EstimationScore;

pub use card::{Card, CauseScore};

const ZONE: &str = "Europe/Berlin";

/// What to measure.
#[derive(Clone, Debug)]
pub struct ScoreOptions {
    /// Events of each cause, over all seeds.
    pub inject: u32,
    pub days: u32,
    pub seeds: Vec<u64>,
    /// Percent of the reports that arrive.
    pub delivery: u16,
    /// First day of the trials.
    pub start: UtcTime,
    /// Meters of a second fleet with faults at natural rates; 0 leaves it out.
    pub natural: u32,
    /// Causes or scenarios; empty = all.
    pub only: Vec<String>,
    pub ablate: bool,
    /// Also the error of estimates on masked actuals.
    pub estimation: bool,
    pub output: OutputFormat,
}

/// What is printed as JSON.
#[derive(Debug, Serialize)]
pub struct Scorecard {
    pub inject: u32,
    pub days: u32,
    pub seeds: Vec<u64>,
    pub delivery_percent: u16,
    pub start: String,
    #[serde(flatten)]
    pub injected: Card,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub natural: Option<Card>,
    /// Simple thresholds over the same log.
    pub naive: Yardstick,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimation: Option<EstimationScore>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub naive_natural: Option<Yardstick>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ablations: Vec<Yardstick>,
}

/// The figures by which one way of looking is compared with another.
#[derive(Clone, Debug, Serialize)]
pub struct Yardstick {
    pub name: String,
    pub recall_mean: Option<f64>,
    pub precision: Option<f64>,
    pub false_per_1000_meter_months: f64,
    pub issues: u64,
}

/// Runs the trials and prints the scorecard.
///
/// # Errors
/// A trial cannot be planned, or nobody reads the output.
pub fn run(options: &ScoreOptions) -> anyhow::Result<()> {
    let card = measure(options)?;
    let mut out = std::io::stdout().lock();
    match options.output {
        OutputFormat::Json => writeln!(out, "{}", serde_json::to_string_pretty(&card)?)?,
        _ => text::write(&card, &mut out)?,
    }
    Ok(())
}

/// Runs the trials.
///
/// # Errors
/// A trial cannot be planned.
pub fn measure(options: &ScoreOptions) -> anyhow::Result<Scorecard> {
    let kind = options.injected_kind();
    let (injected, naive) = options.trials(kind, options.delivery, &Params::default())?;
    let (natural, naive_natural) = if options.natural > 0 {
        let kind = TrialKind::Natural { meters: options.natural };
        let (natural, naive) = options.trials(kind, options.delivery, &Params::default())?;
        (Some(natural), Some(Yardstick::of("naive thresholds, natural rates", &naive)))
    } else {
        (None, None)
    };
    let mut ablations = Vec::new();
    if options.ablate {
        for delivery in [100, 95, 80] {
            let (card, _) = options.trials(kind, delivery, &Params::default())?;
            ablations.push(Yardstick::of(&format!("delivery {delivery} %"), &card));
        }
        for (name, values) in GUARDS {
            let mut params = Params::default();
            for (key, value) in values {
                params.set(key, *value)?;
            }
            let (card, _) = options.trials(kind, options.delivery, &params)?;
            ablations.push(Yardstick::of(name, &card));
        }
    }
    Ok(Scorecard {
        inject: options.inject,
        days: options.days,
        seeds: options.seeds.clone(),
        delivery_percent: options.delivery,
        start: options.start.to_string(),
        injected,
        natural,
        naive: Yardstick::of("naive thresholds", &naive),
        estimation: options
            .estimation
            .then(|| {
                let seed = options.seeds.first().copied().unwrap_or(0);
                estimation::measure(seed, options.start, ZONE)
            })
            .transpose()?,
        naive_natural,
        ablations,
    })
}

/// Each guard that parameters can take away: name, and the values that void it.
const GUARDS: [(&str, &[(&str, i64)]); 8] = [
    ("without the weather guard", &[("var_fleet_pct", 100), ("var_fleet_min", 1_000)]),
    ("without two weeks of history", &[("var_days_min", 3)]),
    ("without a floor of the deviation", &[("var_floor_pct", 1)]),
    ("without patience for silence", &[("lost_electricity_h", 3), ("lost_other_h", 6)]),
    ("without the collector rule", &[("collector_stale_min", 1_000), ("heartbeat_periods", 20)]),
    ("without cohorts", &[("cohort_min", 100)]),
    ("without the battery's evidence", &[("classify_battery_days", 1)]),
    ("without coverage of balances", &[("xfmr_coverage_pct", 50), ("dma_coverage_pct", 50)]),
];

impl Yardstick {
    fn of(name: &str, card: &Card) -> Self {
        Self {
            name: name.to_owned(),
            recall_mean: card.recall_mean,
            precision: card.precision,
            false_per_1000_meter_months: card.false_per_1000_meter_months,
            issues: card.issues,
        }
    }
}

impl ScoreOptions {
    /// As many events per cause as the seeds share.
    pub fn injected_kind(&self) -> TrialKind {
        let seeds = u32::try_from(self.seeds.len()).unwrap_or(1).max(1);
        TrialKind::Injected { per_cause: self.inject.div_ceil(seeds) }
    }

    /// The trial of one seed.
    pub fn spec(&self, kind: TrialKind, seed: u64, delivery: u16) -> TrialSpec {
        TrialSpec {
            seed,
            start: self.start,
            days: self.days,
            zone: ZONE.to_owned(),
            kind,
            delivery: delivery * 10,
            only: self.only.clone(),
        }
    }

    /// One trial per seed; the rules' card and that of the naive thresholds.
    fn trials(
        &self,
        kind: TrialKind,
        delivery: u16,
        params: &Params,
    ) -> anyhow::Result<(Card, Card)> {
        let (mut rules, mut naive) = (Tally::default(), Tally::default());
        for seed in &self.seeds {
            let outcome = rig::run(self.spec(kind, *seed, delivery), params.clone())?;
            rules.add(&outcome, Judge::Rules);
            naive.add(&outcome, Judge::Naive);
        }
        let why_not = self.why_not(kind)?;
        Ok((rules.finish(&why_not), naive.finish(&why_not)))
    }

    /// Why a cause was not planted.
    fn why_not(&self, kind: TrialKind) -> anyhow::Result<BTreeMap<&'static str, String>> {
        let mut reasons: BTreeMap<&'static str, String> = simulators::NOT_INJECTED
            .iter()
            .map(|(cause, why)| (*cause, (*why).to_owned()))
            .collect();
        let short = Trial::new(self.spec(kind, self.seeds.first().copied().unwrap_or(0), 98))?;
        let planted: Vec<&str> = short.faults().iter().map(|f| f.scenario.cause()).collect();
        for scenario in Scenario::ALL.iter().filter(|s| !planted.contains(&s.cause())) {
            let why = match kind {
                TrialKind::Natural { .. } => "none by chance at natural rates".to_owned(),
                TrialKind::Injected { .. } if !self.only.is_empty() => "not asked for".to_owned(),
                TrialKind::Injected { .. } => {
                    format!("needs {} days or another season", scenario.days())
                }
            };
            reasons.entry(scenario.cause()).or_insert(why);
        }
        Ok(reasons)
    }
}
