use std::fmt::Write;

use expect_test::{Expect, expect};
use metering::{ChannelNo, MeterId, ReadingType};

use super::*;

fn at(text: &str) -> UtcTime {
    UtcTime::parse_rfc3339(text).unwrap()
}

fn channel(len_s: i32, valid_from: UtcTime) -> ChannelInfo {
    ChannelInfo {
        channel: ChannelNo::new(1),
        field: "volume".to_owned(),
        reading_type: ReadingType::VOLUME,
        kind: ChannelKind::Interval,
        unit: "L".to_owned(),
        multiplier: "1".to_owned(),
        decimals: 0,
        modulus: 0,
        len_s,
        resolution: 1,
        cap_per_hour: 0,
        delivery_lag_s: 3_600,
        valid_from,
        valid_to: UtcTime::MAX,
        expected_from: valid_from,
    }
}

fn query(from: &str, to: &str, max_buckets: u32) -> SeriesQuery {
    let (meter, channel) = (MeterId::new(1), ChannelNo::new(1));
    SeriesQuery { meter, channel, from: at(from), to: at(to), max_buckets }
}

/// One line a bucket: start, span, n of expected, missing, min, mean, max, sum, status.
fn check(folding: Folding, query: &SeriesQuery, channel: &ChannelInfo, expect: Expect) {
    let series = folding.finish(query, channel);
    let mut text = format!(
        "step {} s full {} usable {} suspect {} missing {}\n",
        series.step_s,
        series.full_resolution,
        series.total_usable,
        series.total_suspect,
        series.missing
    );
    for b in &series.buckets {
        let hours = b.end.seconds_since(b.start) / 60;
        let _ = writeln!(
            text,
            "{} +{hours} min  {}/{} lost {}  {} {} {} = {}  {}",
            b.start,
            b.n,
            b.expected,
            b.missing,
            b.min,
            b.mean,
            b.max,
            b.sum,
            b.status.word()
        );
    }
    expect.assert_eq(&text);
}

fn value(start: &str, value: i64, status: QualityStatus) -> Value {
    Value { start: at(start), value, status, flags: DeviceFlags::NONE, version: 1 }
}

#[test]
fn a_gap_is_counted_only_when_it_was_due_and_after_the_channel_began() {
    let query = query("2026-06-01T00:00:00Z", "2026-06-01T06:00:00Z", 100);
    let channel = channel(3_600, at("2026-06-01T01:00:00Z"));
    let calendar = LocalCalendar::new("UTC").unwrap();
    // The slot 04..05 is due at 06:00, one second after `now`; 03..04 was due.
    let mut folding = Folding::new(&query, &channel, &calendar, at("2026-06-01T05:59:59Z"));
    folding.add(value("2026-06-01T01:00:00Z", 500, QualityStatus::Raw));
    folding.add(value("2026-06-01T03:00:00Z", 700, QualityStatus::Suspect));
    check(
        folding,
        &query,
        &channel,
        expect![[r#"
            step 3600 s full true usable 500 suspect 700 missing 1
            2026-06-01T00:00:00Z +60 min  0/0 lost 0  0 0 0 = 0  missing
            2026-06-01T01:00:00Z +60 min  1/1 lost 0  500 500 500 = 500  raw
            2026-06-01T02:00:00Z +60 min  0/1 lost 1  0 0 0 = 0  missing
            2026-06-01T03:00:00Z +60 min  1/1 lost 0  700 700 700 = 700  suspect
            2026-06-01T04:00:00Z +60 min  0/0 lost 0  0 0 0 = 0  missing
            2026-06-01T05:00:00Z +60 min  0/0 lost 0  0 0 0 = 0  missing
        "#]],
    );
}

#[test]
fn days_of_23_and_25_hours_hold_92_and_100_slots_and_a_spike_survives() {
    for (day, next, minutes, slots) in
        [("2026-03-29", "2026-03-30", 1_380, 92), ("2026-10-25", "2026-10-26", 1_500, 100)]
    {
        let calendar = LocalCalendar::new("Europe/Berlin").unwrap();
        let start = calendar.day_start(day.parse().unwrap());
        let end = calendar.day_start(next.parse().unwrap());
        let query = SeriesQuery {
            from: start,
            to: end,
            ..query("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z", 1)
        };
        let channel = channel(900, start);
        let mut folding = Folding::new(&query, &channel, &calendar, at("2026-12-01T00:00:00Z"));
        for n in 0..slots {
            let value = if n == 50 { 9_000 } else { 10 };
            folding.add(Value {
                start: start.plus_seconds(n * 900),
                value,
                status: QualityStatus::Raw,
                flags: DeviceFlags::NONE,
                version: 1,
            });
        }
        let series = folding.finish(&query, &channel);
        assert_eq!(series.buckets.len(), 1, "{day}");
        let bucket = series.buckets[0];
        assert_eq!(bucket.end.seconds_since(bucket.start), minutes * 60);
        assert_eq!((i64::from(bucket.n), i64::from(bucket.expected)), (slots, slots));
        assert_eq!((bucket.min, bucket.max, bucket.missing), (10, 9_000, 0));
        assert_eq!(bucket.sum, 9_000 + 10 * (slots - 1));
    }
}

#[test]
fn edges_cover_the_range_without_holes() {
    for zone in ["UTC", "Europe/Berlin", "Asia/Kathmandu", "Australia/Lord_Howe"] {
        let calendar = LocalCalendar::new(zone).unwrap();
        for (from, to) in [
            ("2026-03-27T10:17:00Z", "2026-04-06T09:00:00Z"),
            ("2026-10-01T00:00:00Z", "2026-11-05T00:00:00Z"),
        ] {
            for step in [900, 3_600, 21_600, DAY_S, 7 * DAY_S] {
                let (from, to) = (at(from), at(to));
                let edges = edges((from, to), step, false, &calendar);
                assert!(edges[0] <= from, "{zone} {step}");
                assert!(edges[edges.len() - 1] >= to, "{zone} {step}");
                assert!(edges.windows(2).all(|pair| pair[0] < pair[1]), "{zone} {step}");
            }
        }
    }
}

#[test]
fn the_step_is_the_shortest_that_fits_and_the_buckets_never_exceed_what_was_asked() {
    let calendar = LocalCalendar::new("Europe/Berlin").unwrap();
    let from = at("2026-03-27T10:17:00Z");
    let step = |span_s: i64, len_s: i64, max: i64| {
        let (step, edges) = plan((from, from.plus_seconds(span_s)), len_s, max, &calendar);
        assert!(fits(&edges, max), "{span_s} {len_s} {max}: {}", edges.len());
        step
    };
    assert_eq!(step(DAY_S, 900, 1_000), 900);
    assert_eq!(step(7 * DAY_S, 900, 500), 1_800);
    assert_eq!(step(35 * DAY_S, 3_600, 500), 7_200);
    assert_eq!(step(366 * DAY_S, 900, 500), DAY_S);
    assert_eq!(step(3_650 * DAY_S, 900, 600), 7 * DAY_S);
    assert_eq!(step(3_600, 0, 1_000), 10);
    for span_s in [60, 86_400, 90_000, 700_000, 40_000_000, 300_000_000] {
        for len_s in [0, 900, 3_600, 86_400] {
            for max in [1, 2, 7, 100, 1_000] {
                step(span_s, len_s, max);
            }
        }
    }
}
