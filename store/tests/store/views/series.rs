use metering::{ChannelNo, QualityStatus, RuleNo};
use store::views::export::{self, ExportFilter};
use store::views::series::{self, SeriesQuery, VersionKind};

use super::{MAIN, W_001, W_002, at, berlin, now, seeded};

#[tokio::test]
async fn a_day_is_drawn_with_its_suspect_value_and_a_week_keeps_the_edited_one() {
    let Some(database) = seeded("series").await else { return };
    let db = &database;
    let day = SeriesQuery {
        meter: W_001,
        channel: MAIN,
        from: at("2026-06-09T22:00:00Z"),
        to: at("2026-06-10T22:00:00Z"),
        max_buckets: 500,
    };
    let series = series::series(db, &day, &berlin(), now()).await.unwrap().unwrap();
    assert!(series.full_resolution);
    assert_eq!((series.buckets.len(), series.step_s, series.missing), (24, 3_600, 0));
    let suspect = series.buckets.iter().find(|b| b.suspect > 0).unwrap();
    assert_eq!((suspect.start, suspect.sum), (at("2026-06-10T08:00:00Z"), 9_000_000));
    assert_eq!((series.total_usable, series.total_suspect), (1_200_000, 9_000_000));
    let week = SeriesQuery { from: at("2026-06-03T22:00:00Z"), max_buckets: 7, ..day };
    let series = series::series(db, &week, &berlin(), now()).await.unwrap().unwrap();
    assert_eq!((series.buckets.len(), series.full_resolution), (7, false));
    let edited = series.buckets[1];
    // 5 June in Berlin: 23 hours of 100 L and one edited to 90 L.
    assert_eq!((edited.sum, edited.n, edited.version), (2_390_000, 24, 2));
    assert_eq!(edited.status, QualityStatus::Edited);
    assert_eq!((edited.min, edited.mean, edited.max), (90_000, 99_583, 100_000));
}

#[tokio::test]
async fn missing_slots_are_counted_when_due_and_gaps_are_merged() {
    let Some(database) = seeded("gaps").await else { return };
    let db = &database;
    let (from, to) = (at("2026-06-10T00:00:00Z"), at("2026-06-11T00:00:00Z"));
    let query = SeriesQuery { meter: W_002, channel: MAIN, from, to, max_buckets: 500 };
    let series = series::series(db, &query, &berlin(), now()).await.unwrap().unwrap();
    assert_eq!(series.missing, 5);
    let gaps = series::gaps(db, W_002, from, to).await.unwrap();
    let short: Vec<_> = gaps.iter().map(|gap| (gap.start, gap.slots)).collect();
    assert_eq!(short, [(at("2026-06-10T03:00:00Z"), 3), (at("2026-06-10T09:00:00Z"), 2)]);
    let none = SeriesQuery { channel: ChannelNo::new(9), ..query };
    assert_eq!(series::series(db, &none, &berlin(), now()).await.unwrap(), None);
    assert!(
        series::series(db, &SeriesQuery { to: from, ..query }, &berlin(), now()).await.is_err()
    );
}

#[tokio::test]
async fn an_interval_is_named_by_its_end_and_shows_every_version() {
    let Some(database) = seeded("versions").await else { return };
    let db = &database;
    let range = (at("2026-06-10T07:00:00Z"), at("2026-06-10T11:00:00Z"));
    let rows = series::intervals(db, (W_001, MAIN), range, 10).await.unwrap();
    assert_eq!(rows.len(), 4);
    assert_eq!((rows[0].end, rows[0].value), (at("2026-06-10T11:00:00Z"), 100_000));
    assert_eq!((rows[1].conflicts, rows[2].status), (1, QualityStatus::Suspect));
    assert!(rows[2].failed.contains(RuleNo::new(12).unwrap()));
    let of = async |end| series::interval_versions(db, W_001, MAIN, at(end)).await.unwrap();
    let edited = of("2026-06-05T09:00:00Z").await;
    let kinds: Vec<_> = edited.iter().map(|v| (v.kind, v.version, v.value, v.usable())).collect();
    assert_eq!(
        kinds,
        [
            (VersionKind::Received, 1, 7_000_000, false),
            (VersionKind::Judged, 1, 7_000_000, false),
            (VersionKind::Judged, 2, 90_000, true),
        ]
    );
    let rival = of("2026-06-10T10:00:00Z").await;
    assert_eq!(
        (rival[1].kind, rival[1].version, rival[1].value),
        (VersionKind::Conflict, 2, 120_000)
    );
}

#[tokio::test]
async fn registers_and_momentary_values_are_read() {
    let Some(database) = seeded("registers").await else { return };
    let db = &database;
    let range = (at("2026-06-10T00:00:00Z"), at("2026-06-11T00:00:00Z"));
    let all = series::registers(db, (W_001, None), range, 100).await.unwrap();
    assert_eq!((all.len(), all[0].channel, all[0].value), (12, ChannelNo::new(2), 21_500));
    let main = series::registers(db, (W_001, Some(MAIN)), range, 3).await.unwrap();
    assert_eq!((main.len(), main[0].read_at), (3, at("2026-06-10T10:00:00Z")));
    let (meter, channel) = (W_001, ChannelNo::new(2));
    let query = SeriesQuery { meter, channel, from: range.0, to: range.1, max_buckets: 100 };
    let instants = series::series(db, &query, &berlin(), now()).await.unwrap().unwrap();
    assert_eq!(instants.buckets.iter().map(|b| b.n).sum::<i32>(), 1);
    assert_eq!((instants.missing, instants.len_s), (0, 0));
}

#[tokio::test]
async fn an_export_streams_every_reading_once_in_order() {
    let Some(database) = seeded("export").await else { return };
    let db = &database;
    let client = db.client().await.unwrap();
    // Long enough that one channel needs several chunks.
    client
        .batch_execute(
            "INSERT INTO read_interval (starts_at, received_at, value, meter_id, channel, flags) \
             SELECT t, t, 1, 4, 1, 1 FROM generate_series(timestamptz '2024-01-01', \
             '2026-05-01', '1 hour') t",
        )
        .await
        .unwrap();
    let range = (at("2024-01-01T00:00:00Z"), at("2026-06-11T00:00:00Z"));
    let mut stream = export::reads(db, ExportFilter::default(), range, now()).unwrap();
    let (mut count, mut last, mut edited) = (0_i64, None, 0);
    while let Some(row) = stream.next().await.unwrap() {
        let key = (row.number.to_string(), row.channel, row.end);
        assert!(last.as_ref().is_none_or(|last| *last < key), "{last:?} {key:?}");
        last = Some(key);
        count += 1;
        edited += i32::from(row.version == 2 && row.value == 90_000);
    }
    let stored: i64 =
        client.query_one("SELECT count(*) FROM read_interval", &[]).await.unwrap().get(0);
    assert_eq!((count, edited), (stored, 1));
    let filter = ExportFilter { number: Some("W-001".to_owned()), ..ExportFilter::default() };
    let day = (at("2026-06-10T00:00:00Z"), at("2026-06-10T03:00:00Z"));
    let mut stream = export::reads(db, filter, day, now()).unwrap();
    let mut ends = Vec::new();
    while let Some(row) = stream.next().await.unwrap() {
        ends.push(row.end.to_string());
    }
    assert_eq!(ends, ["2026-06-10T01:00:00Z", "2026-06-10T02:00:00Z", "2026-06-10T03:00:00Z"]);
    assert!(export::reads(db, ExportFilter::default(), (range.1, range.0), now()).is_err());
}
