//! Both logs pass one set of checks; sequences have no gaps.

use metering::{LogRecord, UtcTime};
use store::{EventLog, MemoryLog, Offset, PgLog, Snapshot};

use crate::support::{T0, database};

fn ticks(count: usize) -> Vec<LogRecord> {
    vec![LogRecord::Tick; count]
}

/// Reads all frames after `after` and checks that sequences join.
async fn check_joined(log: &impl EventLog, after: i64, want_records: usize) {
    let frames = log.read(0, after, 1_000).await.unwrap();
    let mut next = after + 1;
    let mut records = 0;
    for frame in &frames {
        assert_eq!(frame.first_seq, next);
        next += i64::try_from(frame.records.len()).unwrap();
        records += frame.records.len();
    }
    assert_eq!(records, want_records);
    assert_eq!(log.head_seq(0).await.unwrap(), next - 1);
}

#[tokio::test]
async fn the_memory_log_is_a_log() {
    let log = MemoryLog::default();
    check_joined(&log, 0, 0).await;
    for count in [1, 3, 1_000] {
        log.append(&mut (), 0, T0, &ticks(count)).await.unwrap();
    }
    check_joined(&log, 0, 1_004).await;
    check_joined(&log, 4, 1_000).await;
    assert_eq!(log.read(0, 0, 2).await.unwrap().len(), 2);
}

#[tokio::test]
async fn the_database_is_a_log() {
    let Some(database) = database("the_database_is_a_log").await else { return };
    let log = PgLog::new(database);
    check_joined(&log, 0, 0).await;
    assert_eq!(log.append_now(T0, &ticks(1)).await.unwrap(), Some((1, 1)));
    // The next day, and more than one frame.
    let next_day = T0.plus_seconds(86_400);
    assert_eq!(log.append_now(next_day, &ticks(2_500)).await.unwrap(), Some((2, 2_501)));
    assert_eq!(
        log.append_now(UtcTime::from_seconds(0), &ticks(3)).await.unwrap(),
        Some((2_502, 2_504))
    );
    assert_eq!(log.append_now(T0, &[]).await.unwrap(), None);
    check_joined(&log, 0, 2_504).await;
    check_joined(&log, 1_001, 1_503).await;
    assert_eq!(log.read(0, 0, 2).await.unwrap()[1].log_time, next_day);
}

#[tokio::test]
async fn writers_at_the_same_time_leave_no_gap() {
    let Some(database) = database("writers_at_the_same_time_leave_no_gap").await else { return };
    let log = PgLog::new(database);
    log.append_now(T0, &ticks(1)).await.unwrap();
    let tasks: Vec<_> = (0..4)
        .map(|_| {
            let log = log.clone();
            tokio::spawn(async move {
                for count in 1..20 {
                    log.append_now(T0, &ticks(count)).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    check_joined(&log, 0, 1 + 4 * 190).await;
}

#[tokio::test]
async fn offsets_only_move_forward_and_three_snapshots_are_kept() {
    let Some(database) = database("offsets_only_move_forward_and_three_snapshots_are_kept").await
    else {
        return;
    };
    let log = PgLog::new(database);
    assert_eq!(log.offset("rules").await.unwrap(), Offset::default());
    log.advance("rules", Offset { seq: 5, epoch: 1 }).await.unwrap();
    log.advance("rules", Offset { seq: 5, epoch: 1 }).await.unwrap();
    assert!(log.advance("rules", Offset { seq: 4, epoch: 1 }).await.is_err());
    assert!(log.advance("rules", Offset { seq: 9, epoch: 0 }).await.is_err());
    assert_eq!(log.offset("rules").await.unwrap().seq, 5);
    for seq in 1..6 {
        let snapshot = Snapshot { seq, taken_at: T0, state: vec![0, 255, 7] };
        log.save_snapshot("rules", &snapshot).await.unwrap();
    }
    let kept: Vec<i64> =
        log.snapshots("rules").await.unwrap().iter().map(|snapshot| snapshot.seq).collect();
    assert_eq!(kept, [5, 4, 3]);
}
