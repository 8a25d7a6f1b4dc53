//! Estimates in the database: kept with versions and an issue, superseded, undone, audited.

use std::collections::BTreeSet;

use metering::{ChannelNo, LocalCalendar, MeterId, QualityStatus, Ratio, UtcTime};
use store::day::{self, Verdicts};
use store::estimation::{self, Decision, NewEstimation, SeriesSpan, SlotRange};
use store::gaps::Gaps;
use store::views::export::{self, ExportFilter};
use store::views::series::{self, SeriesQuery};
use store::views::{estimates, review};
use store::{Batch, Database, Writer};
use vee::day::SlotVersion;
use vee::estimate::{
    Confidence, ConfidenceClass, Estimate, Gap, Inputs, Method, Review, Scaling, Unscaled,
};
use vee::estimation::{Estimation, EstimationState, Origin, Trigger};

use crate::days::{day_start, judged, meters, suspect};
use crate::support::{T0, batch, database, number, quarter, register};

const METER: MeterId = MeterId::new(1);
const CHANNEL: ChannelNo = ChannelNo::new(1);

fn slot_end(slot: i64) -> UtcTime {
    T0.plus_seconds((slot + 1) * 900)
}

/// Slots `[first, first + values.len())` by `method`.
fn estimated(first: i64, values: &[i64], method: Method, review: Vec<Review>) -> NewEstimation {
    let to = first + i64::try_from(values.len()).unwrap();
    let status =
        if method == Method::Edit { QualityStatus::Edited } else { QualityStatus::Estimated };
    let estimate = Estimate {
        gap: Gap::new(T0.plus_seconds(first * 900), T0.plus_seconds(to * 900)),
        method,
        values: values.to_vec(),
        status,
        scaling: Scaling::Unscaled(Unscaled::NoRegisters),
        residual: Ratio::whole(0),
        inputs: Inputs::default(),
        confidence: Confidence {
            class: ConfidenceClass::B,
            p10: None,
            p90: None,
            error_milli: Some(80),
            bias_milli: None,
        },
        alternatives: Vec::new(),
        review,
    };
    let origin = Origin {
        meter: METER,
        channel: CHANNEL,
        len_s: 900,
        before: QualityStatus::Missing,
        base_version: 0,
        issue: None,
        created_by: "engine".to_owned(),
        tamper: false,
        billed: false,
        register: false,
    };
    let record = Estimation::new(&estimate, origin);
    NewEstimation { record, alternatives: estimate.alternatives, note: String::new() }
}

/// A day of which slots 4 to 7 lack, closed.
async fn day_with_hole(database: &Database) -> Writer {
    meters(database, 1).await;
    let mut writer = Writer::new(database.clone());
    let intervals = (0..96).filter(|s| !(4..8).contains(s)).map(|s| quarter(1, s, 10)).collect();
    let _ = writer.append(&Batch { intervals, ..batch(day_start(1)) }).await.unwrap();
    let _ = Gaps::new(database.clone()).check(day_start(2)).await.unwrap();
    close(database, Vec::new()).await;
    writer
}

async fn close(database: &Database, changes: Vec<SlotVersion>) {
    let mut one = judged(1, 0);
    one.verdict.summary.suspect = u16::try_from(changes.len()).unwrap();
    one.verdict.changes = changes;
    let verdicts = Verdicts { days: vec![one], ..Verdicts::default() };
    day::commit(database, &verdicts, day_start(2)).await.unwrap();
}

async fn statuses(database: &Database, slots: std::ops::Range<i64>) -> Vec<(i64, &'static str)> {
    let range = (T0.plus_seconds(slots.start * 900), T0.plus_seconds(slots.end * 900));
    let mut rows = series::intervals(database, (METER, CHANNEL), range, 100).await.unwrap();
    rows.reverse();
    rows.iter().map(|row| (row.value, row.status.word())).collect()
}

fn range(first: i64, last: i64) -> SlotRange {
    SlotRange {
        meter: METER,
        channel: CHANNEL,
        from: T0.plus_seconds(first * 900),
        to: slot_end(last),
        ends: BTreeSet::new(),
    }
}

async fn a_check_holds_measured_slots(database: &Database, span: SeriesSpan) {
    let at = |time| estimation::billing_series(database, span, time);
    // Held by a check: two measured slots and the four estimated ones, which no longer are it.
    let hold = "INSERT INTO day_hold (meter_id, channel, starts_at, kind, rule_no, from_at, to_at) \
        VALUES (1, 1, '2026-10-01', 'interval', 18, '2026-10-01T01:00Z', '2026-10-01T02:30Z')";
    let client = database.client().await.unwrap();
    assert_eq!(client.execute(hold, &[]).await.unwrap(), 1);
    drop(client);
    assert_eq!(at(day_start(6)).await.unwrap().len(), 94);
    let (key, bounds) = ((METER, CHANNEL), (T0, day_start(1)));
    let who = ("ann", "the owner was away", day_start(6));
    assert_eq!(day::release_holds(database, key, bounds, who).await.unwrap(), 1);
    assert_eq!(day::release_holds(database, key, bounds, who).await.unwrap(), 0);
    let held = day::holds(database, key, bounds).await.unwrap();
    let told = ("ann".to_owned(), day_start(6), "the owner was away".to_owned());
    assert_eq!((held.len(), held[0].released.clone()), (1, Some(told)));
    assert_eq!(at(day_start(6)).await.unwrap().len(), 96);
    // An issue holds a range as well, until it is released.
    let client = database.client().await.unwrap();
    let hold = "UPDATE meter_issue SET billing_hold_from = '2026-10-01T01:00Z', \
        billing_hold_to = '2026-10-01T02:30Z' WHERE subject_id = 1";
    assert_eq!(client.execute(hold, &[]).await.unwrap(), 1);
    assert_eq!(at(day_start(6)).await.unwrap().len(), 94);
    let release = "UPDATE meter_issue SET billing_hold_released_by = 'ann'";
    client.execute(release, &[]).await.unwrap();
    assert_eq!(at(day_start(6)).await.unwrap().len(), 96);
}

async fn charts_and_exports_tell_of_the_estimate(database: &Database) {
    let query = SeriesQuery {
        meter: METER,
        channel: CHANNEL,
        from: T0,
        to: T0.plus_seconds(7_200),
        max_buckets: 100,
    };
    let calendar = LocalCalendar::new("UTC").unwrap();
    let chart = series::series(database, &query, &calendar, day_start(3)).await.unwrap().unwrap();
    let shown: Vec<&str> = chart.buckets.iter().map(|bucket| bucket.status.word()).collect();
    assert_eq!((shown[3], shown[4], shown.len()), ("validated", "estimated", 8));
    assert_eq!((chart.missing, chart.total_usable), (0, 90));
    let filter = ExportFilter::default();
    let bounds = (T0, T0.plus_seconds(7_200));
    let mut export = export::reads(database, filter, bounds, day_start(3)).unwrap();
    let mut statuses_exported = Vec::new();
    while let Some(row) = export.next().await.unwrap() {
        statuses_exported.push(row.status.word());
    }
    assert_eq!(statuses_exported, shown);
}

#[tokio::test]
async fn a_hole_is_estimated_owned_shown_and_superseded_by_late_data() {
    let name = "a_hole_is_estimated_owned_shown_and_superseded_by_late_data";
    let Some(database) = database(name).await else { return };
    let mut writer = day_with_hole(&database).await;
    let holes = estimation::holes(&database, (T0, day_start(1)), 100).await.unwrap();
    assert_eq!(holes.len(), 1);
    assert_eq!(holes[0].ends, (4..8).map(slot_end).collect::<Vec<_>>());

    let new = estimated(4, &[11, 12, 13, 14], Method::Linear, Vec::new());
    let kept = estimation::apply(&database, &new, day_start(3)).await.unwrap();
    assert_eq!((kept.is_new, kept.state, kept.versions), (true, EstimationState::Applied, 4));
    let again = estimation::apply(&database, &new, day_start(3)).await.unwrap();
    assert_eq!((again.is_new, again.estimation_no), (false, kept.estimation_no));
    let shown = statuses(&database, 3..9).await;
    let want = [(10, "validated"), (11, "estimated"), (12, "estimated"), (13, "estimated")];
    assert_eq!(shown[..4], want);
    assert_eq!(estimation::holes(&database, (T0, day_start(1)), 100).await.unwrap(), []);
    let sum = number(
        &database,
        "SELECT volume_affected FROM meter_issue WHERE cause_detected = 'DATA_GAP' \
         AND estimation_started_at = '2026-10-01T01:00Z' \
         AND (estimation_ended_at = '2026-10-01T02:00Z') \
             = (state IN ('CLOSED', 'FIXED_PENDING'))",
    )
    .await;
    assert_eq!(sum, 50);
    assert_eq!(estimation::violations(&database, T0).await.unwrap(), []);
    let unread = estimation::unscaled(&database, T0, 10).await.unwrap();
    assert!(unread.is_empty(), "no counter was read");
    let registers = vec![register(1, day_start(1), 5_000)];
    let _ = writer.append(&Batch { registers, ..batch(day_start(1)) }).await.unwrap();
    assert_eq!(estimation::unscaled(&database, T0, 10).await.unwrap().len(), 1);

    let day = SeriesSpan { meter: METER, channel: CHANNEL, from: T0, to: day_start(1) };
    let at = |time| estimation::billing_series(&database, day, time);
    assert_eq!(at(day_start(3)).await.unwrap().len(), 92, "bills wait five days");
    assert_eq!(at(day_start(6)).await.unwrap().len(), 96);
    a_check_holds_measured_slots(&database, day).await;
    charts_and_exports_tell_of_the_estimate(&database).await;

    // An estimate never replaces what was measured.
    let over = estimated(8, &[1], Method::Linear, Vec::new());
    assert!(estimation::apply(&database, &over, day_start(3)).await.is_err());

    let intervals = (4..8).map(|slot| quarter(1, slot, 20)).collect();
    let _ = writer.append(&Batch { intervals, ..batch(day_start(1)) }).await.unwrap();
    assert_eq!(statuses(&database, 4..5).await, [(11, "estimated")], "until the day is judged");
    close(&database, Vec::new()).await;
    let late = estimation::late_actuals(&database, (T0, T0), 100).await.unwrap();
    assert_eq!(late.len(), 4);
    let unseen = (T0, day_start(100));
    assert_eq!(estimation::late_actuals(&database, unseen, 100).await.unwrap(), []);
    assert_eq!(estimation::supersede(&database, &late, day_start(4)).await.unwrap(), 4);
    assert_eq!(statuses(&database, 4..5).await, [(20, "validated")]);
    let record = estimation::by_number(&database, kept.estimation_no).await.unwrap().unwrap();
    assert_eq!(record.state, EstimationState::SupersededByActual);
    assert_eq!(record.true_up, Some(30));
    assert_eq!(estimation::late_actuals(&database, (T0, T0), 100).await.unwrap(), []);
    let page = estimates::by_number(&database, kept.estimation_no).await.unwrap().unwrap();
    assert_eq!((page.log.len(), page.true_ups.len(), page.slots.len()), (2, 4, 4));
}

#[tokio::test]
async fn proposals_wait_edits_replace_and_undo_restores() {
    let Some(database) = database("proposals_wait_edits_replace_and_undo_restores").await else {
        return;
    };
    let _writer = day_with_hole(&database).await;
    let waiting = estimated(4, &[1, 2, 3, 4], Method::ClassProfile, vec![Review::ClassProfile]);
    let kept = estimation::apply(&database, &waiting, day_start(3)).await.unwrap();
    assert_eq!((kept.state, kept.versions), (EstimationState::Proposed, 0));
    assert_eq!(statuses(&database, 4..8).await, []);
    let by = ("ann", "looks right");
    let state =
        estimation::act(&database, kept.estimation_no, Trigger::Accept, by, day_start(3)).await;
    assert_eq!(state.unwrap(), EstimationState::Applied);
    assert_eq!(statuses(&database, 4..6).await, [(1, "estimated"), (2, "estimated")]);

    let mut edit = estimated(4, &[9], Method::Edit, Vec::new());
    edit.note = "read from the display".to_owned();
    let edited = estimation::apply(&database, &edit, day_start(3)).await.unwrap();
    assert_eq!(statuses(&database, 4..6).await, [(9, "edited"), (2, "estimated")]);
    let first = estimation::by_number(&database, kept.estimation_no).await.unwrap().unwrap();
    assert_eq!(first.state, EstimationState::Applied, "it owns the slots that nobody edited");

    let why = ("ann", "wrong meter");
    let changed = estimation::undo(&database, &range(4, 4), why, day_start(4)).await;
    assert_eq!(changed.unwrap(), 1);
    assert_eq!(statuses(&database, 4..5).await, [(1, "estimated")]);
    let second = estimation::by_number(&database, edited.estimation_no).await.unwrap().unwrap();
    assert_eq!(second.state, EstimationState::Reversed);
}

#[tokio::test]
async fn suspect_slots_are_accepted_rejected_and_reviewed() {
    let Some(database) = database("suspect_slots_are_accepted_rejected_and_reviewed").await else {
        return;
    };
    let _writer = day_with_hole(&database).await;
    close(&database, vec![suspect(20, 10), suspect(21, 10)]).await;
    let filter = review::ReviewFilter::default();
    let queue = review::queue(&database, &filter, (10, 0), day_start(2)).await.unwrap();
    assert_eq!((queue.len(), queue[0].suspect), (1, 2));
    let by = ("ann", "checked by phone");
    let count =
        estimation::decide(&database, &range(20, 20), Decision::Accept, by, day_start(2)).await;
    assert_eq!(count.unwrap(), 1);
    let count =
        estimation::decide(&database, &range(20, 21), Decision::Reject, by, day_start(2)).await;
    assert_eq!(count.unwrap(), 2, "what was accepted can be rejected");
    assert_eq!(statuses(&database, 20..22).await, [(10, "rejected"), (10, "rejected")]);
    estimation::undo(&database, &range(20, 20), by, day_start(3)).await.unwrap();
    assert_eq!(statuses(&database, 20..21).await, [(10, "verified")]);
    let span = SeriesSpan { meter: METER, channel: CHANNEL, from: T0, to: day_start(1) };
    let slots = estimation::series(&database, span).await.unwrap();
    assert_eq!(slots.len(), 92);
    assert_eq!(slots[20 - 4].status, QualityStatus::Verified);
    let holes = estimation::holes(&database, (T0, day_start(1)), 100).await.unwrap();
    assert_eq!(holes[0].ends.len(), 5, "four missing and one rejected");
    assert!(review::queue(&database, &filter, (10, 0), day_start(2)).await.unwrap().is_empty());
    // What is settled is not looked at with every page, until something of it waits again.
    let settled = "SELECT count(*) FROM closed_day WHERE settled";
    assert_eq!(number(&database, settled).await, 1);
    // A day that was decided before anybody noted it is noted by the migration.
    let client = database.client().await.unwrap();
    client.execute("UPDATE closed_day SET settled = false", &[]).await.unwrap();
    let migration = include_str!("../../../migrations/V0024__settle_decided_days.sql");
    client.batch_execute(&format!("BEGIN; {migration} COMMIT")).await.unwrap();
    drop(client);
    assert_eq!(number(&database, settled).await, 1);
    assert_eq!(review::waiting(&database, day_start(2)).await.unwrap(), 0);
    estimation::undo(&database, &range(20, 20), by, day_start(4)).await.unwrap();
    assert_eq!(statuses(&database, 20..21).await, [(10, "suspect")]);
    assert_eq!(number(&database, settled).await, 0);
    assert_eq!(review::waiting(&database, day_start(4)).await.unwrap(), 1);
    assert_eq!(estimation::violations(&database, T0).await.unwrap(), []);
}

#[tokio::test]
async fn two_people_who_decide_of_one_day_at_once_leave_it_waiting() {
    let test = "two_people_who_decide_of_one_day_at_once_leave_it_waiting";
    let Some(database) = database(test).await else { return };
    let _writer = day_with_hole(&database).await;
    close(&database, vec![suspect(20, 10), suspect(21, 10)]).await;
    let by = ("ann", "checked by phone");
    for slot in [20, 21] {
        let only = range(slot, slot);
        estimation::decide(&database, &only, Decision::Accept, by, day_start(2)).await.unwrap();
    }
    let settled = "SELECT count(*) FROM closed_day WHERE settled";
    assert_eq!(number(&database, settled).await, 1);

    // The first takes slot 20 back and has not committed when the second decides of slot 21.
    let first = database.client().await.unwrap();
    let take_back = "BEGIN; \
        INSERT INTO interval_exception (meter_id, channel, starts_at, recorded_at, version, value, \
            status, flags, rule_mask) \
        SELECT meter_id, channel, starts_at, recorded_at, max(version) OVER () + 1, value, \
            2, flags, rule_mask FROM interval_exception \
        WHERE status = 4 AND starts_at = (SELECT min(starts_at) FROM interval_exception \
            WHERE status = 4); \
        UPDATE closed_day SET settled = false WHERE settled";
    first.batch_execute(take_back).await.unwrap();
    let other = database.clone();
    let second = tokio::spawn(async move {
        estimation::decide(&other, &range(21, 21), Decision::Reject, by, day_start(2)).await
    });
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert!(!second.is_finished(), "it waits for the first");
    first.batch_execute("COMMIT").await.unwrap();
    assert_eq!(second.await.unwrap().unwrap(), 1);
    assert_eq!(statuses(&database, 20..22).await, [(10, "suspect"), (10, "rejected")]);
    assert_eq!(number(&database, settled).await, 0, "slot 20 is doubted again");

    // What says the same again writes nothing.
    let rows = "SELECT sum(xmin::text::int8)::int8 FROM closed_day";
    let before = number(&database, rows).await;
    estimation::decide(&database, &range(21, 21), Decision::Reject, by, day_start(2)).await.ok();
    assert_eq!(number(&database, rows).await, before);
}
