//! `headend score` at the size of a test: every planted cause is looked for, the log of PostgreSQL
//! gives the same alerts as the one in memory, and nothing depends on how often it is run.

use alerts::Cause;
use headend::output::OutputFormat;
use headend::score::{Progress, ScoreOptions, measure, postgres};
use metering::UtcTime;
use simulators::{Scenario, TrialKind};

use crate::kit::database::fresh;

fn options(inject: u32, days: u32) -> ScoreOptions {
    ScoreOptions {
        inject,
        days,
        seeds: vec![1],
        delivery: 98,
        late: false,
        start: UtcTime::parse_rfc3339("2026-08-10T12:00:00Z").unwrap(),
        natural: 0,
        long: false,
        only: Vec::new(),
        ablate: false,
        estimation: false,
        output: OutputFormat::Json,
    }
}

#[test]
fn planted_faults_are_found_and_naive_thresholds_are_worse() {
    let card = measure(&options(3, 45), &Progress::silent()).unwrap();
    let rules = &card.injected;
    let recall = rules.recall_mean.unwrap();
    assert!(recall > 0.95, "mean recall {recall}");
    for cause in rules.causes.iter().filter(|cause| cause.injected > 0) {
        assert!(cause.detected * 3 >= cause.injected * 2, "{}: {:?}", cause.cause, cause.scenarios);
    }
    assert!(rules.precision.unwrap() > 0.9, "{:?}", rules.false_issues);
    assert!(recall > card.naive.recall_mean.unwrap() + 0.2);
    assert!(rules.false_per_1000_meter_months < card.naive.false_per_1000_meter_months / 10.0);
    assert_eq!(rules.dead_letters, 0);
    // Every cause stands there, also those that were not planted, with the reason.
    for cause in &rules.causes {
        let told = cause.injected > 0 || cause.not_injected.is_some() || cause.wrong > 0;
        assert!(told || cause.right > 0, "{} has no figure and no reason", cause.cause);
    }
    // What staff alone name is said apart, and by no rule.
    let apart: Vec<&str> = card.staff_only.iter().map(|one| one.cause.as_str()).collect();
    assert!(apart.contains(&"VACANT") && apart.contains(&"BYPASS"), "{apart:?}");
    assert!(rules.causes.iter().all(|cause| !apart.contains(&cause.cause.as_str())));
    for cause in ["SUM_MISMATCH", "WEATHER_EVENT"] {
        let one = rules.causes.iter().find(|one| one.cause == cause).unwrap();
        assert_eq!((one.exact, one.wrong), (one.injected, 0), "{cause}: {:?}", one.scenarios);
        assert!(one.injected >= 3, "{cause}");
    }
    let left = rules.look_alikes.iter().find(|one| one.class == "moved_out").unwrap();
    assert_eq!((left.planted, left.false_issues), (3, 0));
    assert_eq!((rules.collectors.outages, rules.collectors.leaked), (3, 0));
    assert_eq!(rules.collectors.with_one_issue, rules.collectors.outages);
}

/// A new cause is planted, or it is said why not.
#[test]
fn every_cause_is_planted_or_a_finding_of_staff() {
    for cause in Cause::ALL {
        let planted = Scenario::ALL.iter().any(|one| one.cause() == cause.word());
        assert_ne!(planted, cause.staff_only().is_some(), "{cause}");
    }
}

/// Winter average (#65), battery trend (#58) and slow meters (#31) like for like, through the whole
/// pipeline.
#[test]
fn what_takes_most_of_a_year_is_found_in_400_days() {
    let only = ["slow_meter", "winter_basis", "battery_projection"];
    let options =
        ScoreOptions { only: only.map(str::to_owned).to_vec(), long: true, ..options(4, 45) };
    let card = measure(&options, &Progress::silent()).unwrap().injected;
    let of = |cause: &str| card.causes.iter().find(|one| one.cause == cause).unwrap();
    for cause in ["SLOW_METER", "DATA_GAP", "BATTERY_LOW"] {
        let one = of(cause);
        assert_eq!(one.detected, one.injected, "{cause}: {:?}", one.scenarios);
        assert_eq!(one.wrong, 0, "{cause} is told of meters that have no fault");
        assert!(one.injected >= 4, "{cause}");
    }
}

#[test]
fn the_same_seed_gives_the_same_alerts() {
    let only = ["BURST_CUSTOMER_SIDE", "COLLECTOR_OUTAGE", "SUM_MISMATCH", "BATTERY_DEAD"];
    let options = ScoreOptions { only: only.map(str::to_owned).to_vec(), ..options(2, 20) };
    let hash = || measure(&options, &Progress::silent()).unwrap().injected.alerts_sha256;
    assert_eq!(hash(), hash());
}

#[tokio::test(flavor = "multi_thread")]
async fn alerts_through_postgresql_are_those_of_memory() {
    let test = "alerts_through_postgresql_are_those_of_memory";
    let Some(database) = fresh(test).await else { return };
    let spec = options(1, 6).spec(TrialKind::Injected { per_cause: 1 }, 1, 98);
    let proof = postgres::prove(spec, &database).await.unwrap();
    assert!(proof.readings > 10_000, "{}", proof.readings);
    assert_eq!(proof.memory_alerts_sha256, proof.postgres_alerts_sha256);
}
