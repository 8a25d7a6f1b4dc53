//! Readings of any year find a partition, and a fresh day stays fast.

use metering::UtcTime;
use store::{Batch, Writer};

use crate::support::{T0, batch, database, interval, number, quarter, register};

#[tokio::test]
async fn readings_of_any_year_are_stored() {
    let Some(database) = database("readings_of_any_year_are_stored").await else { return };
    let mut writer = Writer::new(database.clone());
    let at = |text: &str| UtcTime::parse_rfc3339(text).unwrap();
    let years = [
        "1111-11-11T11:15:00Z",
        "1969-12-31T23:45:00Z",
        "2024-02-29T00:15:00Z",
        "2099-12-31T23:45:00Z",
        "9998-12-31T00:15:00Z",
        "-000044-03-15T12:00:00Z",
    ];
    let mut sent = batch(T0);
    sent.intervals = years.iter().map(|text| interval(1, at(text), 900, 3)).collect();
    sent.registers = years.iter().map(|text| register(1, at(text), 3)).collect();
    assert_eq!(writer.append(&sent).await.unwrap().inserted, 12);
    assert_eq!(Writer::new(database.clone()).append(&sent).await.unwrap().duplicate, 12);
    let sql = "SELECT count(*) FROM read_interval_11111111";
    assert_eq!(number(&database, sql).await, 1);
}

#[tokio::test]
async fn a_file_of_ten_years_is_stored_in_one_batch() {
    let Some(database) = database("a_file_of_ten_years_is_stored_in_one_batch").await else {
        return;
    };
    let day = |n: i64| interval(1, UtcTime::from_seconds(86_400 * (15_000 + n)), 86_400, n);
    let mut sent = batch(T0);
    sent.intervals = (0..3_650).map(day).collect();
    let mut writer = Writer::new(database.clone());
    assert_eq!(writer.append(&sent).await.unwrap().inserted, 3_650);
    let partitions = number(
        &database,
        "SELECT count(*) FROM pg_inherits WHERE inhparent = 'read_interval'::regclass",
    )
    .await;
    assert!(partitions <= 240, "{partitions} partitions");
}

/// The trap: a plan made while a day's partition is empty, kept for the session, would scan it
/// row by row. Loads a fresh day in many batches, each of which repeats rows of the one before.
#[tokio::test]
async fn a_fresh_day_does_not_slow_the_probe_down() {
    let Some(database) = database("a_fresh_day_does_not_slow_the_probe_down").await else { return };
    let mut writer = Writer::new(database.clone());
    for slot in 0..40 {
        let rows = (0..500).flat_map(|meter| {
            let again = (slot > 0 && meter % 5 == 0).then(|| quarter(meter, slot - 1, slot - 1));
            again.into_iter().chain([quarter(meter, slot, slot)])
        });
        let sent = Batch { intervals: rows.collect(), ..batch(T0) };
        let stored = writer.append(&sent).await.unwrap();
        assert_eq!(stored.inserted, 500);
    }
    let client = database.client().await.unwrap();
    let row = client
        .query_one(
            "SELECT coalesce(sum(seq_tup_read), 0)::int8 FROM pg_stat_user_tables \
             WHERE relname LIKE 'read_interval_2%'",
            &[],
        )
        .await
        .unwrap();
    // A scan per probed row would read millions; statistics come late, so this is a lower bound.
    assert!(row.get::<_, i64>(0) < 200_000, "rows were scanned: {}", row.get::<_, i64>(0));
}
