//! `headend score`: how well the rules find what is wrong, and only that.
//!
//! In the order of a run: a fleet with labelled faults ([`simulators::Trial`]) and its registry
//! (`fleet`), the pipeline of the running program with tables in memory (`rig`, `table`, `close`,
//! `book`), simple thresholds beside it (`naive`), which issue answers which fault (`matching`),
//! and the figures (`card`, [`statistics`]), for people (`text`) and programs.

mod ablation;
mod book;
mod card;
mod close;
mod estimation;
mod fleet;
mod harm;
mod jobs;
mod late;
mod matching;
mod naive;
pub mod postgres;
mod progress;
mod rig;
pub mod statistics;
mod table;
mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;

use alerts::Params;
use metering::UtcTime;
use serde::Serialize;
use simulators::{Scenario, TrialKind, TrialSpec};

use crate::clock::SystemClock;
use crate::output::OutputFormat;
use card::{Judge, Tally};
use estimation::EstimationScore;
use jobs::Job;
use rig::Outcome;

pub use ablation::Ablation;
pub use card::{Card, CauseScore, StaffOnly};
pub use progress::Progress;

const ZONE: &str = "Europe/Berlin";
/// Days of the trial of what takes most of a year.
const LONG_DAYS: u32 = 400;

/// What to measure.
#[derive(Clone, Debug)]
pub struct ScoreOptions {
    /// Events of each cause, over all seeds.
    pub inject: u32,
    pub days: u32,
    pub seeds: Vec<u64>,
    /// Percent of the reports that arrive.
    pub delivery: u16,
    /// One report in twenty comes up to three days late.
    pub late: bool,
    /// First day of the trials.
    pub start: UtcTime,
    /// Meters of a second fleet for each seed, with faults at natural rates; 0 leaves it out.
    pub natural: u32,
    /// Also what takes most of a year (a fleet of 400 days for each seed).
    pub long: bool,
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
    /// Causes that no rule names, with the reason; they are not among `causes`.
    pub staff_only: Vec<StaffOnly>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub natural: Option<Card>,
    /// Simple thresholds over the same log.
    pub naive: Yardstick,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimation: Option<EstimationScore>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub naive_natural: Option<Yardstick>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ablations: Vec<Ablation>,
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

/// Runs the trials and prints the scorecard; standard error tells how far it is.
///
/// # Errors
/// A trial cannot be planned, or nobody reads the output.
pub fn run(options: &ScoreOptions) -> anyhow::Result<()> {
    let card = measure(options, &Progress::on_stderr(SystemClock::shared()))?;
    let mut out = std::io::stdout().lock();
    match options.output {
        OutputFormat::Json => writeln!(out, "{}", serde_json::to_string_pretty(&card)?)?,
        OutputFormat::Csv => text::write_csv(&card, &mut out)?,
        OutputFormat::Table => text::write(&card, &mut out)?,
    }
    Ok(())
}

/// Runs the trials.
///
/// # Errors
/// A trial cannot be planned.
pub fn measure(options: &ScoreOptions, progress: &Progress) -> anyhow::Result<Scorecard> {
    let (mut jobs, injected) = options.jobs();
    if options.natural > 0 {
        let kind = TrialKind::Natural { meters: options.natural };
        jobs.extend(options.seeds.iter().map(|seed| options.job(kind, *seed)));
    }
    let outcomes = jobs::run_all(&jobs, progress)?;
    let (planted, natural) = outcomes.split_at(injected);
    let why_not = options.why_not(planted);
    let (injected, naive) = cards(planted, &why_not);
    let (natural, naive_natural) = if natural.is_empty() {
        (None, None)
    } else {
        let (card, naive) = cards(natural, &options.why_not(natural));
        (Some(card), Some(Yardstick::of("naive thresholds, natural rates", &naive)))
    };
    let seed = options.seeds.first().copied().unwrap_or(0);
    let ablations = if options.ablate {
        let base = options.job(options.injected_kind(), seed).spec;
        ablation::measure(&base, progress)?
    } else {
        Vec::new()
    };
    let estimation = options.estimation.then(|| estimation::measure(seed, options.start, ZONE));
    Ok(Scorecard {
        inject: options.inject,
        days: options.days,
        seeds: options.seeds.clone(),
        delivery_percent: options.delivery,
        start: options.start.to_string(),
        injected,
        staff_only: card::staff_only(),
        natural,
        naive: Yardstick::of("naive thresholds", &naive),
        estimation: estimation.transpose()?,
        naive_natural,
        ablations,
    })
}

/// The rules' card and that of the naive thresholds.
fn cards(outcomes: &[Outcome], why_not: &BTreeMap<&'static str, String>) -> (Card, Card) {
    let (mut rules, mut naive) = (Tally::default(), Tally::default());
    for outcome in outcomes {
        rules.add(outcome, Judge::Rules);
        naive.add(outcome, Judge::Naive);
    }
    (rules.finish(why_not), naive.finish(why_not))
}

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

    fn job(&self, kind: TrialKind, seed: u64) -> Job {
        let spec = self.spec(kind, seed, self.delivery);
        Job { spec, params: Params::default(), shuffled: self.late }
    }

    /// Everything that is planted, the largest trials first, and how many they are.
    fn jobs(&self) -> (Vec<Job>, usize) {
        let kind = self.injected_kind();
        let TrialKind::Injected { per_cause } = kind else { return (Vec::new(), 0) };
        let mut jobs: Vec<Job> = self.seeds.iter().map(|seed| self.job(kind, *seed)).collect();
        if self.long && self.wants_any(&simulators::LONG_NAMES) {
            jobs.extend(self.seeds.iter().map(|seed| {
                let mut job = self.job(TrialKind::Long { per_cause }, *seed);
                job.spec.days = LONG_DAYS;
                job
            }));
        }
        if self.wants_any(&simulators::HEADEND_NAMES) {
            // A trial has room for so many episodes of each kind.
            let room = (self.days.saturating_sub(6) / 3).max(1);
            let kind = |episodes| TrialKind::Headend { episodes };
            jobs.extend(self.parts((per_cause, room), 0, kind));
        }
        let room = simulators::spells_in(self.days);
        if room > 0 && self.wants_any(&simulators::WEATHER_NAMES) {
            jobs.extend(self.parts((per_cause, room), 500, |spells| TrialKind::Weather { spells }));
        }
        let count = jobs.len();
        (jobs, count)
    }

    /// As many small trials as it takes, with `room` events each at most. Their seeds are
    /// `first` and on in the thousand of the seed.
    fn parts(
        &self,
        (per_cause, room): (u32, u32),
        first: u64,
        kind: impl Fn(u32) -> TrialKind,
    ) -> Vec<Job> {
        let parts = per_cause.div_ceil(room).max(1);
        let each = per_cause.div_ceil(parts);
        let of = |seed: &u64| {
            let seed = seed * 1_000 + first;
            (0..u64::from(parts)).map(move |part| (seed + part, each))
        };
        let all = self.seeds.iter().flat_map(of);
        all.map(|(seed, each)| self.job(kind(each), seed)).collect()
    }

    fn wants_any(&self, names: &[&str]) -> bool {
        self.only.is_empty() || self.only.iter().any(|one| names.contains(&one.as_str()))
    }

    /// Why a cause was not planted.
    fn why_not(&self, outcomes: &[Outcome]) -> BTreeMap<&'static str, String> {
        let mut reasons: BTreeMap<&'static str, String> = BTreeMap::new();
        let planted: BTreeSet<&str> = outcomes
            .iter()
            .flat_map(|outcome| &outcome.faults)
            .map(|fault| fault.scenario.cause())
            .collect();
        let natural = outcomes.iter().any(|outcome| outcome.natural);
        for scenario in Scenario::ALL.iter().filter(|s| !planted.contains(s.cause())) {
            let why = if natural {
                "none at natural rates".to_owned()
            } else if !self.only.is_empty() {
                "not asked for".to_owned()
            } else {
                format!("needs {} days or another season", scenario.days())
            };
            reasons.entry(scenario.cause()).or_insert(why);
        }
        reasons
    }
}
