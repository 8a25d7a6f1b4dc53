//! What each guard is worth: a smaller fleet of each kind, again and again, with one thing changed.

use alerts::Params;
use serde::Serialize;
use simulators::{TrialKind, TrialSpec};

use super::card::{Card, Judge, Tally};
use super::jobs::{Job, run_all};
use super::progress::Progress;
use super::rig::Outcome;

/// Events of each cause, meters at natural rates, and days of these smaller trials.
const PER_CAUSE: u32 = 6;
const METERS: u32 = 300;
const DAYS: u32 = 75;

/// Each guard that parameters can take away: name, and the values that void it.
const GUARDS: [(&str, &[(&str, i64)]); 23] = [
    ("without the weather guard", &[("var_fleet_pct", 100), ("var_fleet_min", 1_000)]),
    ("without the group's own shift", &[("var_moved_pct", 1_000)]),
    ("without two weeks of history", &[("var_days_min", 3)]),
    ("without a floor of the deviation", &[("var_floor_pct", 1)]),
    ("without waiting for a leak", &[("var_leak_hold_h", 0)]),
    ("without three weekdays for low use", &[("var_low_weekdays", 1)]),
    ("without patience for silence", &[("lost_electricity_h", 3), ("lost_other_h", 6)]),
    ("without three misses for silence", &[("silence_k_min", 1)]),
    ("without the collector rule", &[("collector_stale_min", 1_000), ("heartbeat_periods", 20)]),
    ("without the head-end rule", &[("headend_meters_min", 100_000)]),
    ("without cohorts", &[("cohort_min", 100)]),
    ("without the battery's evidence", &[("classify_battery_days", 1)]),
    ("without the battery's first days", &[("battery_install_h", 0)]),
    ("without the window of field work", &[("visit_h", 0)]),
    ("with one flag enough for tamper", &[("tamper_score_p3", 3)]),
    ("without own hours for bursts", &[("burst_hours_min", 1)]),
    ("without own hours for gas", &[("gas_high_hours_min", 24)]),
    ("without four weeks of nights", &[("cusum_nights", 7), ("dma_nights_min", 5)]),
    ("without evidence for a stop", &[("stop_score_min", 2)]),
    ("without a history of zero runs", &[("stop_days_min", 3), ("stop_q99_times", 1)]),
    ("without keeping a leak", &[("cont_keep_for_h", 0)]),
    ("without waiting after a last gasp", &[("outage_single_s", 30)]),
    ("without coverage of balances", &[("xfmr_coverage_pct", 50), ("dma_coverage_pct", 50)]),
];

/// The figures of one change.
#[derive(Clone, Debug, Serialize)]
pub struct Ablation {
    pub name: String,
    pub recall_mean: Option<f64>,
    pub precision: Option<f64>,
    pub false_per_1000_meter_months: f64,
    pub natural_precision: Option<f64>,
    pub natural_false_per_1000_meter_months: f64,
    /// Share of the alerts that are those of the unchanged run.
    pub same_alerts: f64,
    /// Causes of which less was found than in the unchanged run, with the difference of recall.
    pub lost: Vec<(String, f64)>,
}

struct Variant {
    name: String,
    params: Params,
    delivery: u16,
    shuffled: bool,
}

/// The unchanged run first.
///
/// # Errors
/// A trial cannot be planned, or a value is out of the parameter's range.
pub(super) fn measure(base: &TrialSpec, progress: &Progress) -> anyhow::Result<Vec<Ablation>> {
    let variants = variants(base.delivery)?;
    let kinds = [
        TrialKind::Injected { per_cause: PER_CAUSE },
        TrialKind::Headend { episodes: PER_CAUSE },
        TrialKind::Natural { meters: METERS },
    ];
    let spec = |variant: &Variant, kind: TrialKind| TrialSpec {
        kind,
        days: base.days.min(DAYS),
        delivery: variant.delivery,
        ..base.clone()
    };
    let jobs: Vec<Job> = variants
        .iter()
        .flat_map(|variant| {
            kinds.into_iter().map(|kind| Job {
                spec: spec(variant, kind),
                params: variant.params.clone(),
                shuffled: variant.shuffled,
            })
        })
        .collect();
    let outcomes = run_all(&jobs, progress)?;
    let mut rows = Vec::new();
    let mut unchanged: Option<(Card, &[Outcome])> = None;
    for (variant, outcomes) in variants.iter().zip(outcomes.chunks(kinds.len())) {
        let [injected, headend, natural] = outcomes else { continue };
        let (card, natural) = (card(&[injected, headend]), card(&[natural]));
        let (first, before) = unchanged.get_or_insert_with(|| (card.clone(), outcomes));
        rows.push(Ablation {
            name: variant.name.clone(),
            recall_mean: card.recall_mean,
            precision: card.precision,
            false_per_1000_meter_months: card.false_per_1000_meter_months,
            natural_precision: natural.precision,
            natural_false_per_1000_meter_months: natural.false_per_1000_meter_months,
            same_alerts: same_alerts(before, outcomes),
            lost: lost(first, &card),
        });
    }
    Ok(rows)
}

fn variants(delivery: u16) -> anyhow::Result<Vec<Variant>> {
    let plain = |name: String, delivery: u16, shuffled: bool| Variant {
        name,
        params: Params::default(),
        delivery,
        shuffled,
    };
    let mut variants = vec![
        plain("unchanged".to_owned(), delivery, false),
        plain("5 % of the messages late".to_owned(), delivery, true),
    ];
    variants.extend(
        [100, 95, 80].map(|percent| plain(format!("delivery {percent} %"), percent * 10, false)),
    );
    for (name, values) in GUARDS {
        let mut params = Params::default();
        for (key, value) in values {
            params.set(key, *value)?;
        }
        variants.push(Variant { params, ..plain(name.to_owned(), delivery, false) });
    }
    Ok(variants)
}

fn card(outcomes: &[&Outcome]) -> Card {
    let mut tally = Tally::default();
    for outcome in outcomes {
        tally.add(outcome, Judge::Rules);
    }
    tally.finish(&std::collections::BTreeMap::new())
}

/// Alerts of both by alerts of either.
fn same_alerts(before: &[Outcome], now: &[Outcome]) -> f64 {
    let (mut both, mut either) = (0, 0);
    for (before, now) in before.iter().zip(now) {
        both += before.identities.intersection(&now.identities).count();
        either += before.identities.union(&now.identities).count();
    }
    if either == 0 { 1.0 } else { both as f64 / either as f64 }
}

fn lost(before: &Card, now: &Card) -> Vec<(String, f64)> {
    let recall = |card: &Card, cause: &str| {
        card.causes.iter().find(|one| one.cause == cause).and_then(|one| one.recall)
    };
    let mut lost: Vec<(String, f64)> = before
        .causes
        .iter()
        .filter_map(|one| {
            let less = recall(now, &one.cause)? - one.recall?;
            (less < -0.001).then(|| (one.cause.clone(), less))
        })
        .collect();
    lost.sort_by(|a, b| a.1.total_cmp(&b.1));
    lost
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_guard_can_be_voided_within_its_range() {
        let variants = variants(980).unwrap();
        assert_eq!(variants.len(), GUARDS.len() + 5);
    }
}
