//! The scorecard (`metering-rules.md` 11.3): summed over the trials of one kind.

use std::collections::BTreeMap;

use alerts::Cause;
use metering::UtcTime;
use serde::Serialize;
use simulators::TrialFault;

use super::book::Issue;
use super::harm::BillingHarm;
use super::matching::{Matching, Verdict, matching};
use super::rig::Outcome;
use super::statistics::{Percentiles, share, wilson};

const MONTH_DAYS: f64 = 30.4375;

/// One cause: what was planted with it, and what was said of it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct CauseScore {
    pub cause: String,
    pub injected: u64,
    /// Faults that an alert of a compatible family answers in time, withdrawn ones left out.
    pub detected: u64,
    /// Of these: with an issue, not only a record (P4 alerts open none).
    pub told: u64,
    /// Of these: with a right cause.
    pub exact: u64,
    /// Of these: with a right cause among the two most likely.
    pub top2: u64,
    pub recall: Option<f64>,
    pub recall_95: Option<(f64, f64)>,
    /// Alerts that named this cause and answer a fault.
    pub right: u64,
    /// More alerts of the same fault, or what it brings with it: neither right nor wrong.
    pub explained: u64,
    /// Alerts that named this cause where nothing was wrong.
    pub wrong: u64,
    pub precision: Option<f64>,
    pub precision_95: Option<(f64, f64)>,
    pub ttd_s: Percentiles,
    /// Parts of the time to detect: data under way, and the rule itself.
    pub ttd_transport_s: Percentiles,
    pub ttd_algorithm_s: Percentiles,
    /// Why nothing was planted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_injected: Option<String>,
    pub scenarios: Vec<ScenarioScore>,
}

#[derive(Clone, Debug, Default, Serialize)]
pub struct ScenarioScore {
    pub name: String,
    pub injected: u64,
    pub detected: u64,
    pub exact: u64,
    pub ttd_p50_s: i64,
    /// Some that were not found: subject, onset, and what was said of the subject.
    pub missed: Vec<String>,
}

/// False issues of one cause and class of look-alike ("" = an ordinary day).
#[derive(Clone, Debug, Serialize)]
pub struct FalseScore {
    pub cause: String,
    pub rule: String,
    pub look_alike: String,
    pub issues: u64,
    pub for_record: u64,
    /// Some of them: subject and log time.
    pub examples: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
pub struct LookAlikeScore {
    pub class: String,
    pub planted: u64,
    pub false_issues: u64,
}

/// A cause of the closed list that no rule names, so that none is planted.
#[derive(Clone, Debug, Serialize)]
pub struct StaffOnly {
    pub cause: String,
    pub why: String,
}

/// How often a fault of one cause was called another.
#[derive(Clone, Debug, Serialize)]
pub struct Confusion {
    pub truth: String,
    pub said: String,
    pub count: u64,
}

/// Outages of collectors, which should be one issue each.
#[derive(Clone, Debug, Default, Serialize)]
pub struct CollectorScore {
    pub outages: u64,
    /// Outages with exactly one issue of their own.
    pub with_one_issue: u64,
    /// Issues of members that the outage explains and that were told all the same.
    pub leaked: u64,
}

/// What one operator is told of a trial's fleet (alert management, `metering-rules.md` 3).
#[derive(Clone, Debug, Default, Serialize)]
pub struct OperatorScore {
    pub announcements: u64,
    pub per_day_mean: f64,
    pub per_day_max: u64,
    pub mean_per_10_min: f64,
    /// Share of windows of ten minutes in flood.
    pub flood_share: f64,
}

/// Water that ran away (`metering-rules.md` 11.3), of leaks and bursts on customers' side.
#[derive(Clone, Debug, Default, Serialize)]
pub struct LeakScore {
    pub litres: i64,
    /// Ran before the first alert.
    pub litres_before_alert: i64,
    /// Litres after detection by all litres.
    pub volume_recall: Option<f64>,
}

/// All figures of trials of one kind.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Card {
    pub meters: u64,
    pub readings: u64,
    pub meter_months: f64,
    pub causes: Vec<CauseScore>,
    /// Mean over the causes.
    pub recall_mean: Option<f64>,
    /// Of all issues that staff were told: answers by answers and false ones.
    pub precision: Option<f64>,
    /// The same with more than one issue of a fault counted as false (11.2).
    pub precision_without_duplicates: Option<f64>,
    /// The same as `precision` with what is only recorded.
    pub precision_with_records: Option<f64>,
    pub false_per_1000_meter_months: f64,
    /// The same for what is only recorded (P4).
    pub false_records_per_1000_meter_months: f64,
    /// Announcements made to staff, by alerts raised.
    pub grouping_ratio: f64,
    pub issues: u64,
    pub alerts_raised: u64,
    pub dead_letters: u64,
    pub false_issues: Vec<FalseScore>,
    pub look_alikes: Vec<LookAlikeScore>,
    pub confusion: Vec<Confusion>,
    pub collectors: CollectorScore,
    pub operator: OperatorScore,
    pub leaks: LeakScore,
    pub billing: BillingHarm,
    pub alerts_sha256: Vec<String>,
}

/// What is summed before shares are made.
#[derive(Debug, Default)]
pub(super) struct Tally {
    card: Card,
    meter_days: u64,
    causes: BTreeMap<&'static str, Counts>,
    wrong: BTreeMap<(String, String, String), FalseCount>,
    planted: BTreeMap<&'static str, u64>,
    confusion: BTreeMap<(String, String), u64>,
    told: u64,
    load: super::rig::Load,
    right: u64,
    right_records: u64,
    explained: u64,
    false_told: u64,
    false_records: u64,
}

#[derive(Debug, Default)]
struct Counts {
    score: CauseScore,
    ttd: Vec<i64>,
    transport: Vec<i64>,
    algorithm: Vec<i64>,
    scenarios: BTreeMap<&'static str, ScenarioCount>,
}

#[derive(Debug, Default)]
struct ScenarioCount {
    injected: u64,
    detected: u64,
    exact: u64,
    ttd: Vec<i64>,
    missed: Vec<String>,
}

#[derive(Debug, Default)]
struct FalseCount {
    issues: u64,
    for_record: u64,
    examples: Vec<String>,
}

/// Examples that are printed of each kind of mistake.
const EXAMPLES: usize = 6;

/// Whose issues are scored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Judge {
    Rules,
    Naive,
}

impl Tally {
    pub(super) fn add(&mut self, outcome: &Outcome, judge: Judge) {
        let issues = match judge {
            Judge::Rules => &outcome.issues,
            Judge::Naive => &outcome.naive,
        };
        let matched = matching(outcome, issues);
        self.card.meters += outcome.meters;
        self.card.readings += outcome.readings;
        self.card.dead_letters += outcome.dead;
        self.card.alerts_raised += match judge {
            Judge::Rules => outcome.raised,
            Judge::Naive => issues.len() as u64,
        };
        self.card.alerts_sha256.push(outcome.alerts_sha256.clone());
        self.meter_days += outcome.meter_days;
        self.load.join(&outcome.load);
        if judge == Judge::Rules {
            self.card.billing.join(&outcome.harm);
        }
        for negative in &outcome.negatives {
            *self.planted.entry(negative.class).or_default() += 1;
        }
        self.faults(outcome, issues, &matched);
        self.issues(outcome, issues, &matched);
    }

    fn faults(&mut self, outcome: &Outcome, issues: &[Issue], matched: &Matching) {
        for (fault, found) in outcome.faults.iter().zip(&matched.found) {
            let cause = fault.scenario.cause();
            self.leaks(fault, found.at, outcome.end);
            let counts = self.causes.entry(cause).or_default();
            let scenario = counts.scenarios.entry(fault.scenario.name).or_default();
            counts.score.injected += 1;
            scenario.injected += 1;
            if fault.scenario.name == "collector_outage" {
                self.card.collectors.outages += 1;
                self.card.collectors.with_one_issue += u64::from(found.issues == 1);
                self.card.collectors.leaked += u64::from(found.leaked);
            }
            let Some((issue, at)) = found.issue.map(|at| &issues[at]).zip(found.at) else {
                let key = (cause.to_owned(), "(nothing)".to_owned());
                *self.confusion.entry(key).or_default() += 1;
                if scenario.missed.len() < EXAMPLES {
                    scenario.missed.push(missed(outcome, fault, issues));
                }
                continue;
            };
            counts.score.detected += 1;
            counts.score.told += u64::from(found.told.is_some());
            scenario.detected += 1;
            let right = |cause: &Cause| fault.scenario.is_answered_by(cause.word());
            let exact = issue.causes.iter().any(|(_, cause)| right(cause));
            counts.score.exact += u64::from(exact);
            scenario.exact += u64::from(exact);
            let second = issue.ranked.iter().take(2).any(right);
            counts.score.top2 += u64::from(exact || second);
            let total = at.seconds_since(fault.onset).max(0);
            let under_way =
                issue.data_until.map_or(0, |data| at.seconds_since(data).clamp(0, total));
            counts.ttd.push(total);
            scenario.ttd.push(total);
            counts.transport.push(under_way);
            counts.algorithm.push(total - under_way);
            let said = if exact { cause } else { issue.cause().word() };
            *self.confusion.entry((cause.to_owned(), said.to_owned())).or_default() += 1;
        }
    }

    fn leaks(&mut self, fault: &TrialFault, found: Option<UtcTime>, trial_end: UtcTime) {
        let end = fault.end.unwrap_or(trial_end);
        let found = found.map_or(end, |at| at.min(end).max(fault.onset));
        self.card.leaks.litres += fault.litres(end);
        self.card.leaks.litres_before_alert += fault.litres(found);
    }

    fn issues(&mut self, outcome: &Outcome, issues: &[Issue], matched: &Matching) {
        let spells = outcome.faults.iter().any(|f| f.scenario.is_answered_by("WEATHER_EVENT"));
        for (at, (issue, verdict)) in issues.iter().zip(&matched.verdicts).enumerate() {
            // A notice stands for alerts that are not raised. Seasons are nobody's fault and carry
            // no label: only where spells are planted is it right or wrong.
            if issue.child || (issue.cause() == Cause::WeatherEvent && !spells) {
                continue;
            }
            self.told += u64::from(!issue.record_only);
            let counts = self.causes.entry(issue.cause().word()).or_default();
            match verdict {
                Verdict::Answers(_) => {
                    counts.score.right += 1;
                    self.right += u64::from(!issue.record_only);
                    self.right_records += u64::from(issue.record_only);
                }
                Verdict::Explained(_) => {
                    counts.score.explained += 1;
                    self.explained += u64::from(!issue.record_only);
                }
                Verdict::False | Verdict::LeakThrough(_) => {
                    counts.score.wrong += 1;
                    let class = match verdict {
                        Verdict::LeakThrough(_) => "leak_through",
                        _ => matched.classes.get(&at).copied().unwrap_or(""),
                    };
                    let key = (
                        issue.cause().word().to_owned(),
                        issue.rule.name.to_owned(),
                        class.to_owned(),
                    );
                    let wrong = self.wrong.entry(key).or_default();
                    if wrong.examples.len() < EXAMPLES {
                        let name = outcome.directory.name(issue.view.subject);
                        wrong.examples.push(format!("{name} {}", issue.detected_at));
                    }
                    if issue.record_only {
                        wrong.for_record += 1;
                        self.false_records += 1;
                    } else {
                        wrong.issues += 1;
                        self.false_told += 1;
                    }
                }
            }
        }
    }

    /// Shares, intervals and percentiles. Causes that were not planted stand there with the reason.
    pub(super) fn finish(mut self, why_not: &BTreeMap<&'static str, String>) -> Card {
        for cause in detectable() {
            self.causes.entry(cause).or_default();
        }
        let months = self.meter_days as f64 / MONTH_DAYS;
        let mut card = self.card;
        for (cause, counts) in self.causes {
            card.causes.push(finish_cause(cause, counts, why_not.get(cause)));
        }
        let recalls: Vec<f64> = card.causes.iter().filter_map(|score| score.recall).collect();
        let count = recalls.len().max(1) as f64;
        card.recall_mean = (!recalls.is_empty()).then(|| recalls.iter().sum::<f64>() / count);
        card.precision = share(self.right, self.right + self.false_told);
        card.precision_without_duplicates =
            share(self.right, self.right + self.explained + self.false_told);
        let all_right = self.right + self.right_records;
        let all_false = self.false_told + self.false_records;
        card.precision_with_records = share(all_right, all_right + all_false);
        card.meter_months = months;
        let rate = |count: u64| if months > 0.0 { count as f64 * 1000.0 / months } else { 0.0 };
        card.false_per_1000_meter_months = rate(self.false_told);
        card.false_records_per_1000_meter_months = rate(self.false_records);
        card.issues = self.told;
        card.grouping_ratio = share(self.load.announcements, card.alerts_raised).unwrap_or(0.0);
        let (windows, days) = (self.load.windows, self.load.days.len() as u64);
        card.operator = OperatorScore {
            announcements: self.load.announcements,
            per_day_mean: share(self.load.announcements, days).unwrap_or(0.0),
            per_day_max: self.load.days.values().copied().max().unwrap_or(0),
            mean_per_10_min: share(self.load.announcements, windows).unwrap_or(0.0),
            flood_share: share(self.load.floods, windows).unwrap_or(0.0),
        };
        let (leaks, known) = (&mut card.leaks, |litres: i64| u64::try_from(litres).unwrap_or(0));
        leaks.volume_recall =
            share(known(leaks.litres - leaks.litres_before_alert), known(leaks.litres));
        let mut by_class: BTreeMap<&str, u64> = BTreeMap::new();
        for ((cause, rule, look_alike), wrong) in &self.wrong {
            *by_class.entry(look_alike).or_default() += wrong.issues;
            card.false_issues.push(FalseScore {
                cause: cause.clone(),
                rule: rule.clone(),
                look_alike: look_alike.clone(),
                issues: wrong.issues,
                for_record: wrong.for_record,
                examples: wrong.examples.clone(),
            });
        }
        card.false_issues.sort_by_key(|one| std::cmp::Reverse((one.issues, one.for_record)));
        card.look_alikes = self
            .planted
            .into_iter()
            .map(|(class, planted)| LookAlikeScore {
                class: class.to_owned(),
                planted,
                false_issues: by_class.get(class).copied().unwrap_or(0),
            })
            .collect();
        card.confusion = self
            .confusion
            .into_iter()
            .map(|((truth, said), count)| Confusion { truth, said, count })
            .collect();
        card
    }
}

fn finish_cause(cause: &str, counts: Counts, why_not: Option<&String>) -> CauseScore {
    let mut score = counts.score;
    score.cause = cause.to_owned();
    score.recall = share(score.detected, score.injected);
    score.recall_95 = wilson(score.detected, score.injected);
    score.precision = share(score.right, score.right + score.wrong);
    score.precision_95 = wilson(score.right, score.right + score.wrong);
    score.ttd_s = Percentiles::of(counts.ttd);
    score.ttd_transport_s = Percentiles::of(counts.transport);
    score.ttd_algorithm_s = Percentiles::of(counts.algorithm);
    score.not_injected = why_not.filter(|_| score.injected == 0).cloned();
    let scenario = |(name, counts): (&str, ScenarioCount)| ScenarioScore {
        name: name.to_owned(),
        injected: counts.injected,
        detected: counts.detected,
        exact: counts.exact,
        ttd_p50_s: Percentiles::of(counts.ttd).p50,
        missed: counts.missed,
    };
    score.scenarios = counts.scenarios.into_iter().map(scenario).collect();
    score
}

/// Where and when, and what was said of the subject instead.
fn missed(outcome: &Outcome, fault: &TrialFault, issues: &[Issue]) -> String {
    let subjects = outcome.directory.subjects(&fault.subject);
    let name = subjects.first().map_or_else(String::new, |one| outcome.directory.name(*one));
    let said: Vec<String> = issues
        .iter()
        .filter(|issue| subjects.contains(&issue.view.subject))
        .map(|issue| format!("{} {} {}", issue.cause(), issue.rule.name, issue.detected_at))
        .collect();
    let end = fault.end.map_or("..".to_owned(), |end| end.to_string());
    format!("{name} {} to {end} size {}: {}", fault.onset, fault.magnitude, said.join("; "))
}

/// Causes that a rule may name, without those that only staff find.
fn detectable() -> impl Iterator<Item = &'static str> {
    Cause::ALL.iter().filter(|cause| cause.staff_only().is_none()).map(|cause| cause.word())
}

/// The others, each with the reason.
pub(super) fn staff_only() -> Vec<StaffOnly> {
    let one = |cause: &Cause| {
        Some(StaffOnly { cause: cause.word().to_owned(), why: cause.staff_only()?.to_owned() })
    };
    Cause::ALL.iter().filter_map(one).collect()
}
