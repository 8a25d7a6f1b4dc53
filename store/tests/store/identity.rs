//! `inserted + duplicate + conflicting + dead == offered`, whatever is sent and how often.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use metering::{
    ChannelNo, CollectorId, EventCode, LogRecord, MeterEvent, MeterId, QualityStatus, RuleMask,
    RuleNo, SlotCode, SourceId, Subject,
};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use store::{
    Batch, ChannelStateRow, DeadRow, EventLog, EventRow, HeardRow, PgLog, RawRow, Stored,
    UnknownRow, Writer,
};

use crate::support::{T0, batch, database, number, quarter, register};

async fn check_counts(name: &str, batches: &[(Batch, &str)]) {
    let Some(database) = database(name).await else { return };
    let mut writer = Writer::new(database.clone());
    for (i, (batch, want)) in batches.iter().enumerate() {
        let stored = writer.append(batch).await.unwrap();
        assert_eq!(counts(&stored), *want, "batch {i}");
        assert!(stored.reconciles());
    }
}

fn counts(stored: &Stored) -> String {
    let Stored { offered, inserted, duplicate, conflicting, dead, .. } = stored;
    format!("{offered} = {inserted} new {duplicate} same {conflicting} other {dead} dead")
}

fn quarters(rows: &[(i32, i64, i64)]) -> Batch {
    let intervals = rows.iter().map(|(meter, slot, value)| quarter(*meter, *slot, *value));
    Batch { intervals: intervals.collect(), ..batch(T0) }
}

#[tokio::test]
async fn new_same_and_other_values_are_counted_apart() {
    check_counts(
        "new_same_and_other_values_are_counted_apart",
        &[
            (quarters(&[(1, 0, 5), (1, 1, 6), (2, 0, 7)]), "3 = 3 new 0 same 0 other 0 dead"),
            (quarters(&[(1, 0, 5), (1, 2, 8)]), "2 = 1 new 1 same 0 other 0 dead"),
            (quarters(&[(1, 0, 9), (1, 1, 6)]), "2 = 0 new 1 same 1 other 0 dead"),
            // The same difference once more is still a difference.
            (quarters(&[(1, 0, 9)]), "1 = 0 new 0 same 1 other 0 dead"),
            // In one batch: the first wins, an equal one is folded, a differing one set aside.
            (quarters(&[(3, 0, 1), (3, 0, 1), (3, 0, 2)]), "3 = 1 new 1 same 1 other 0 dead"),
            // Set aside against what is stored, not against the batch.
            (quarters(&[(3, 0, 2), (3, 0, 1)]), "2 = 0 new 1 same 1 other 0 dead"),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_second_writer_and_a_restart_change_nothing() {
    let Some(database) = database("a_second_writer_and_a_restart_change_nothing").await else {
        return;
    };
    let sent = quarters(&[(1, 0, 5), (1, 1, 6), (2, 0, 7)]);
    let mut first = Writer::new(database.clone());
    let mut second = Writer::new(database.clone());
    assert_eq!(second.append(&quarters(&[(9, 0, 1)])).await.unwrap().inserted, 1);
    assert_eq!(first.append(&sent).await.unwrap().inserted, 3);
    // The second writer's hint says "unseen": its COPY fails and the batch is compared.
    assert_eq!(second.append(&sent).await.unwrap().duplicate, 3);
    let mut restarted = Writer::new(database.clone());
    assert_eq!(restarted.append(&sent).await.unwrap().duplicate, 3);
    assert_eq!(number(&database, "SELECT count(*) FROM read_interval").await, 4);
    assert_eq!(
        number(&database, "SELECT sum(offered - folded - inserted - duplicate - conflicting - dead)::int8 FROM ingest_batch").await,
        0
    );
}

#[tokio::test]
async fn racing_writers_store_each_key_once() {
    let Some(database) = database("racing_writers_store_each_key_once").await else { return };
    let rows: Vec<_> =
        (0..40).flat_map(|m| (0..24).map(move |s| (m, s, i64::from(m) + s))).collect();
    let sent = Arc::new(quarters(&rows));
    let tasks: Vec<_> = (0..4)
        .map(|_| {
            let (database, sent) = (database.clone(), Arc::clone(&sent));
            tokio::spawn(async move { Writer::new(database).append(&sent).await.unwrap() })
        })
        .collect();
    let mut sum = Stored::default();
    for task in tasks {
        sum.add(task.await.unwrap());
    }
    assert_eq!(counts(&sum), "3840 = 960 new 2880 same 0 other 0 dead");
    assert_eq!(number(&database, "SELECT count(*) FROM read_interval").await, 960);
}

/// What the table must hold after any sequence of batches.
#[derive(Default)]
struct Model {
    stored: HashMap<(i32, i64), i64>,
}

impl Model {
    fn offer(&mut self, rows: &[(i32, i64, i64)]) -> (u64, u64, u64) {
        let (mut new, mut same, mut other) = (0, 0, 0);
        let mut first_of_batch = HashMap::new();
        for (meter, slot, value) in rows {
            match first_of_batch.get(&(*meter, *slot)) {
                // Equal to the first of its batch: folded, whatever is stored.
                Some(first) if first == value => {
                    same += 1;
                    continue;
                }
                Some(_) => {}
                None => {
                    first_of_batch.insert((*meter, *slot), *value);
                }
            }
            match self.stored.get(&(*meter, *slot)) {
                None => {
                    self.stored.insert((*meter, *slot), *value);
                    new += 1;
                }
                Some(kept) if kept == value => same += 1,
                Some(_) => other += 1,
            }
        }
        (new, same, other)
    }
}

/// Which writer gets which rows: meter, slot, value.
type Offered = Vec<(usize, Vec<(i32, i64, i64)>)>;

/// Slots are drawn from quarter hours of three days and of one year 1111.
fn any_batches() -> impl Strategy<Value = Offered> {
    let slot = prop_oneof![8 => 0_i64..288, 1 => -30_050_000_i64..-30_049_990];
    let row = (1_i32..6, slot, 0_i64..3);
    prop::collection::vec((0_usize..2, prop::collection::vec(row, 0..60)), 1..12)
}

#[tokio::test]
async fn random_batches_of_two_writers_reconcile() {
    let Some(database) = database("random_batches_of_two_writers_reconcile").await else { return };
    let mut runner = TestRunner::default();
    for round in 0..12 {
        let batches = any_batches().new_tree(&mut runner).unwrap().current();
        let client = database.work_client().await.unwrap();
        client.batch_execute("TRUNCATE read_interval, read_conflict").await.unwrap();
        drop(client);
        let mut writers = [Writer::new(database.clone()), Writer::new(database.clone())];
        let mut model = Model::default();
        for (writer, rows) in &batches {
            let want = model.offer(rows);
            let stored = writers[*writer].append(&quarters(rows)).await.unwrap();
            let got = (stored.inserted, stored.duplicate, stored.conflicting);
            assert_eq!(got, want, "round {round}: {batches:?}");
        }
        let sum: i64 = model.stored.values().sum();
        assert_eq!(
            number(&database, "SELECT coalesce(sum(value), 0)::int8 FROM read_interval").await,
            sum
        );
    }
}

fn full_batch() -> Batch {
    let mut sent = batch(T0);
    sent.messages = 3;
    sent.folded = 2;
    sent.intervals = vec![quarter(1, 0, 5), quarter(1, 1, -6)];
    sent.intervals[1].reading.code =
        SlotCode::new(QualityStatus::Suspect, Default::default()).with_exception();
    sent.intervals[1].reading.failed = RuleMask::EMPTY.with(RuleNo::new(20).unwrap());
    let mut derived = quarter(2, 0, 9);
    derived.derived = true;
    sent.intervals.push(derived);
    sent.registers = vec![register(2, T0, 100), register(2, T0.plus_seconds(60), 101)];
    sent.events = vec![EventRow {
        event: MeterEvent {
            subject: Subject::Meter(MeterId::new(2)),
            occurred_at: T0,
            code: EventCode::BatteryLow,
            seq: 0,
            detail: "status 4".to_owned(),
        },
        received_at: T0,
        number: 4,
    }];
    let heard = |rssi| HeardRow {
        meter: MeterId::new(2),
        collector: Some(CollectorId::new(7)),
        rssi_dbm: Some(rssi),
        at: T0,
        count: 1,
    };
    sent.heard = vec![heard(-80), heard(-70)];
    sent.raw = vec![RawRow {
        meter: Some(MeterId::new(2)),
        received_at: T0,
        topic: "amr/C-04/rtlamr".into(),
        payload: Bytes::from_static(b"{}"),
    }];
    let dead = DeadRow {
        topic: "amr/\0odd".into(),
        payload: Bytes::from_static(b"\xff\0garbage"),
        reason: "not_json".to_owned(),
        detail: "at byte 0".to_owned(),
        source_id: None,
        received_at: T0,
        reads: 1,
        import_no: None,
    };
    sent.dead = vec![dead.clone(), DeadRow { reads: 1, ..dead }];
    sent.unknown = vec![UnknownRow {
        source_id: SourceId::new("ert", 42),
        collector: Some("C-04".to_owned()),
        topic: "amr/C-04/rtlamr".into(),
        payload: Bytes::from_static(b"{}"),
        received_at: T0,
        fields: vec!["consumption".to_owned()],
    }];
    sent.states = vec![ChannelStateRow {
        meter: MeterId::new(2),
        channel: ChannelNo::new(1),
        read_at: T0,
        raw: 101,
        total: 101_000,
        boundary: Some((T0, 100_000)),
        recent: "[1, 2]".to_owned(),
    }];
    sent
}

#[tokio::test]
async fn everything_of_a_batch_is_stored_with_its_log_frames() {
    let Some(database) = database("everything_of_a_batch_is_stored_with_its_log_frames").await
    else {
        return;
    };
    let mut writer = Writer::new(database.clone());
    let sent = full_batch();
    let stored = writer.append(&sent).await.unwrap();
    assert_eq!(counts(&stored), "8 = 4 new 2 same 0 other 2 dead");
    assert_eq!((stored.derived, stored.events), (1, 1));
    assert_eq!((stored.first_seq, stored.last_seq), (Some(1), Some(7)));
    // The same device sends another of its values.
    let mut other = full_batch();
    other.unknown[0].fields = vec!["battery".to_owned()];
    other.unknown.push(UnknownRow { fields: vec!["flow".to_owned()], ..other.unknown[0].clone() });
    let unknown = other.unknown.clone();
    let _ = writer.append(&Batch { unknown, ..batch(T0) }).await.unwrap();
    let log = PgLog::new(database.clone());
    let frames = log.read(0, 0, 10).await.unwrap();
    let kinds: Vec<&str> = frames[0].records.iter().map(kind).collect();
    assert_eq!(
        kinds,
        ["heard", "register", "register", "interval", "interval", "interval", "event"]
    );
    assert_eq!(frames[0].log_time, T0);
    for (sql, want) in [
        ("SELECT count(*) FROM interval_exception WHERE rule_mask = 524288 AND status = 2", 1),
        ("SELECT count(*) FROM raw_message WHERE length(sha256) = 32", 1),
        ("SELECT count FROM dead_letter WHERE topic = 'amr/\u{fffd}odd'", 2),
        (
            "SELECT messages FROM commissioning \
             WHERE fields = '[\"battery\", \"consumption\", \"flow\"]'",
            3,
        ),
        ("SELECT total FROM channel_state WHERE recent = '[1, 2]'", 101_000),
        ("SELECT heard::int8 FROM collector_hearing WHERE rssi_dbm = -70", 2),
        ("SELECT count(*) FROM meter_state WHERE battery_low", 1),
    ] {
        assert_eq!(number(&database, sql).await, want, "{sql}");
    }
}

fn kind(record: &LogRecord) -> &'static str {
    match record {
        LogRecord::Interval { .. } => "interval",
        LogRecord::Register { .. } => "register",
        LogRecord::Event { .. } => "event",
        LogRecord::Heard { .. } => "heard",
        _ => "other",
    }
}

#[tokio::test]
async fn a_replayed_batch_changes_nothing_but_counts() {
    let Some(database) = database("a_replayed_batch_changes_nothing_but_counts").await else {
        return;
    };
    let mut writer = Writer::new(database.clone());
    let sent = full_batch();
    let _ = writer.append(&sent).await.unwrap();
    let sums = "SELECT (SELECT count(*) FROM read_interval) + (SELECT count(*) FROM register_read) \
        + (SELECT count(*) FROM device_event) + (SELECT count(*) FROM interval_exception)";
    let before = number(&database, sums).await;
    for mut writer in [writer, Writer::new(database.clone())] {
        let again = writer.append(&sent).await.unwrap();
        assert_eq!(counts(&again), "8 = 0 new 6 same 0 other 2 dead");
        assert_eq!((again.derived, again.derived_duplicate, again.events), (0, 1, 0));
        // Only that the meter was heard is news.
        assert_eq!(again.first_seq, again.last_seq);
    }
    assert_eq!(number(&database, sums).await, before);
}

#[tokio::test]
async fn another_value_is_told_once_in_the_log() {
    let Some(database) = database("another_value_is_told_once_in_the_log").await else { return };
    let mut writer = Writer::new(database.clone());
    let mut first = quarters(&[(1, 0, 5)]);
    first.registers = vec![register(2, T0, 100)];
    let _ = writer.append(&first).await.unwrap();
    let mut other = quarters(&[(1, 0, 6)]);
    other.registers = vec![register(2, T0, 99)];
    let stored = writer.append(&other).await.unwrap();
    assert_eq!(counts(&stored), "2 = 0 new 0 same 2 other 0 dead");
    let frames = PgLog::new(database.clone()).read(0, 2, 10).await.unwrap();
    let events: Vec<_> = frames[0].records.iter().collect();
    assert!(events.iter().all(|record| matches!(
        record,
        LogRecord::Event { code: EventCode::ValueChanged, detail: 1, .. }
    )));
    assert_eq!(events.len(), 2);
    let again = writer.append(&other).await.unwrap();
    assert_eq!((again.conflicting, again.first_seq), (2, None));
    assert_eq!(number(&database, "SELECT kept_raw FROM register_conflict").await, 100);
    assert_eq!(number(&database, "SELECT kept_value FROM read_conflict").await, 5);
}

#[tokio::test]
async fn a_value_that_cannot_be_stored_is_a_data_fault() {
    let Some(database) = database("a_value_that_cannot_be_stored_is_a_data_fault").await else {
        return;
    };
    let mut writer = Writer::new(database.clone());
    let error = writer.append(&quarters(&[(1, 0, 1), (1, 1, i64::MAX)])).await.unwrap_err();
    assert!(error.is_data_fault() && !error.is_transient(), "{error:?}");
    assert_eq!(number(&database, "SELECT count(*) FROM read_interval").await, 0);
    assert_eq!(writer.append(&quarters(&[(1, 0, 1)])).await.unwrap().inserted, 1);
}

#[tokio::test]
async fn our_own_judgement_does_not_make_a_conflict() {
    let Some(database) = database("our_own_judgement_does_not_make_a_conflict").await else {
        return;
    };
    let mut writer = Writer::new(database.clone());
    let _ = writer.append(&quarters(&[(1, 0, 5)])).await.unwrap();
    let mut suspect = quarters(&[(1, 0, 5)]);
    suspect.intervals[0].reading.code =
        SlotCode::new(QualityStatus::Suspect, Default::default()).with_exception();
    assert_eq!(writer.append(&suspect).await.unwrap().duplicate, 1);
    suspect.intervals[0].reading.code =
        SlotCode::new(QualityStatus::Raw, metering::DeviceFlags::POWER_FAIL);
    assert_eq!(writer.append(&suspect).await.unwrap().conflicting, 1);
}
