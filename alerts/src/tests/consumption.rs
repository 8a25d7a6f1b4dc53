//! Water, stopped meters, strange days.

use expect_test::expect;
use metering::LogRecord;

use super::{Log, at, check, fill, interval, meter, text};

/// A household at quarter hours: mornings and evenings, nothing at night.
const HOME: &str = "0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,3,12,40,22,8,9,3,0,0,0,0,0,\
    0,6,0,0,0,0,2,0,0,0,0,9,4,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,5,9,14,22,31,9,6,2,0,0,4,12,0,0,\
    0,3,0,0,0,6,0,0,2,0,0,0,0,0,0";

#[test]
fn wtr_cont_rises_after_24_hours_without_a_pause_and_clears_a_day_after_it_stopped() {
    check(
        "water 15min",
        "11-02 00:00 +10h 0,2 | 11-02 10:00 +40h 9 | 11-04 02:00 +30h 0,3,0,0,0,0",
        &expect![[r#"
            11-03 09:47 raised WTR-CONT meter 1 LEAK_CUSTOMER_SIDE P2 since 11-02 09:45
            11-05 03:32 cleared WTR-CONT meter 1 LEAK_CUSTOMER_SIDE P2 since 11-02 09:45 until 11-04 03:30
        "#]],
    );
}

#[test]
fn wtr_cont_needs_every_slot_and_counts_no_estimate() {
    // 23 h 45 min; then one slot without flow; then a gap and estimates in a leak of 8 L/h.
    check(
        "water 15min",
        "11-02 00:00 +1h 0 | 11-02 01:00 +23h 5 | 11-03 00:00 +45min 5 | 11-03 00:45 +15min 0 \
         | 11-03 01:00 +12h 2 | 11-03 13:00 +1h 0e,0?,-,2 | 11-03 14:00 +14h 2",
        &expect![[r#"
            11-03 13:32 raised REG-CAP meter 1 BAD_READ P2 since 11-03 13:15
            11-03 14:17 cleared REG-CAP meter 1 BAD_READ P2 since 11-03 13:15 until 11-03 13:30
            11-04 01:47 raised WTR-CONT meter 1 LEAK_CUSTOMER_SIDE P4 since 11-03 01:00 record
        "#]],
    );
}

#[test]
fn wtr_cont_grows_with_the_leak() {
    check(
        "water 1h",
        "11-02 00:00 +2h 0 | 11-02 02:00 +26h 8 | 11-03 04:00 +25h 40 | 11-04 05:00 +25h 300",
        &expect![[r#"
            11-03 02:02 raised WTR-CONT meter 1 LEAK_CUSTOMER_SIDE P4 since 11-02 02:00 record
            11-04 04:02 updated WTR-CONT meter 1 LEAK_CUSTOMER_SIDE P2 since 11-02 02:00
            11-05 05:02 updated WTR-CONT meter 1 LEAK_CUSTOMER_SIDE P1 since 11-02 02:00
        "#]],
    );
}

#[test]
fn wtr_cont_leaves_hospitals_and_many_dwellings_alone() {
    for who in ["water 15min tags=hospital", "water 15min class=multi_dwelling"] {
        check(who, "11-02 00:00 +48h 20", &expect![[""]]);
    }
}

#[test]
fn wtr_cont_judges_coarse_counters_by_two_hours() {
    check(
        "water 15min step=10",
        "11-02 00:00 +3h 0 | 11-02 03:00 +28h 0,0,0,0,0,0,0,10",
        &expect![[r#"
            11-03 04:02 raised WTR-CONT meter 1 LEAK_CUSTOMER_SIDE P4 since 11-02 04:00 record
        "#]],
    );
}

#[test]
fn wtr_burst_rises_after_two_slots_of_15_min_and_clears_after_a_calm_hour() {
    check(
        "water 15min q3=2500",
        "11-02 00:00 +82h 0,9 | 11-05 10:00 +15min 500 | 11-05 10:15 +15min 10 \
         | 11-05 10:30 +1h 480 | 11-05 11:30 +30min 700 | 11-05 12:00 +3h 0,5",
        &expect![[r#"
            11-05 00:02 raised WTR-INT meter 1 LEAK_INTERMITTENT P4 since 11-02 00:00
            11-05 11:02 raised WTR-BURST meter 1 BURST_CUSTOMER_SIDE P2 since 11-05 10:30
            11-05 12:02 updated WTR-BURST meter 1 BURST_CUSTOMER_SIDE P1 since 11-05 10:30
            11-05 13:02 cleared WTR-BURST meter 1 BURST_CUSTOMER_SIDE P1 since 11-05 10:30 until 11-05 12:00
        "#]],
    );
}

#[test]
fn wtr_burst_takes_one_hour_of_an_hourly_channel_and_not_what_is_suspect() {
    check(
        "water 1h q3=2500",
        "11-02 00:00 +10h 0,9 | 11-02 10:00 +2h 2600? | 11-02 12:00 +2h 0 | 11-02 14:00 +1h 2600 \
         | 11-02 15:00 +3h 0",
        &expect![[r#"
            11-02 11:02 raised REG-CAP meter 1 BAD_READ P2 since 11-02 10:00
            11-02 12:02 updated REG-CAP meter 1 ENCODER_FAULT P2 since 11-02 10:00
            11-02 14:02 cleared REG-CAP meter 1 ENCODER_FAULT P2 since 11-02 10:00 until 11-02 12:00
            11-02 15:02 raised WTR-BURST meter 1 BURST_CUSTOMER_SIDE P1 since 11-02 14:00
            11-02 16:02 cleared WTR-BURST meter 1 BURST_CUSTOMER_SIDE P1 since 11-02 14:00 until 11-02 15:00
        "#]],
    );
}

#[test]
fn a_pool_is_no_burst() {
    check(
        "water 15min q3=4000 tags=pool_fill",
        "11-02 00:00 +10h 0,9 | 11-02 10:00 +8h 600 | 11-02 18:00 +6h 0,3",
        &expect![[""]],
    );
}

#[test]
fn mtr_stop_rises_when_electricity_is_zero_for_a_day_and_clears_after_three_days_of_use() {
    check(
        "electricity 1h",
        "11-02 00:00 +10d 300,250,200 | 11-12 00:00 +40h 0 | 11-13 16:00 +5d 300",
        &expect![[r#"
            11-13 00:02 raised MTR-STOP meter 1 STOPPED_METER P2 since 11-12 00:00
            11-16 00:02 cleared MTR-STOP meter 1 STOPPED_METER P2 since 11-12 00:00 until 11-13 00:00
        "#]],
    );
}

#[test]
fn mtr_stop_knows_the_weekends_of_a_shop() {
    // Friday evening to Monday morning without use; 2026-11-02 is a Monday.
    let mut series = String::new();
    for monday in ["11-02", "11-09", "11-16"] {
        let day: u32 = monday[3..].parse().unwrap();
        for weekday in 0..5 {
            let day = day + weekday;
            series += &format!("11-{day:02} 00:00 +8h 0 | 11-{day:02} 08:00 +10h 900 | ");
            series += &format!("11-{day:02} 18:00 +6h 0 | ");
        }
        series += &format!("11-{:02} 00:00 +48h 0 | ", day + 5);
    }
    check("electricity 1h class=small_commercial", series.trim_end_matches(" | "), &expect![[""]]);
}

#[test]
fn mtr_stop_leaves_the_vacant_and_the_never_used_alone() {
    check("electricity 1h tags=vacant", "11-02 00:00 +10d 300 | 11-12 00:00 +3d 0", &expect![[""]]);
    check("electricity 1h", "11-02 00:00 +20d 0", &expect![[""]]);
    check(
        "water 1h",
        "11-02 00:00 +9d 0,5,0 | 11-11 00:00 +9d 0 | 11-20 00:00 +1d 3,0",
        &expect![[""]],
    );
}

#[test]
fn mtr_stop_waits_ten_days_for_water_and_a_week_for_gas_in_winter() {
    check(
        "water 1h",
        "11-02 00:00 +9d 0,5,0 | 11-11 00:00 +11d 0",
        &expect![[r#"
        11-20 23:02 raised MTR-STOP meter 1 STOPPED_METER P2 since 11-10 23:00
    "#]],
    );
    check(
        "gas 1h",
        "11-02 00:00 +9d 0,50,20 | 11-11 00:00 +8d 0",
        &expect![[r#"
            11-18 00:02 raised GAS-ZERO meter 1 STOPPED_METER P3 since 11-11 00:00
            11-18 00:02 raised MTR-STOP meter 1 STOPPED_METER P2 since 11-11 00:00
        "#]],
    );
}

#[test]
fn gas_zero_ends_with_two_slots_of_use_in_a_day() {
    check(
        "gas 1h",
        "11-02 00:00 +9d 0,50,20 | 11-11 00:00 +8d 0 | 11-19 00:00 +1h 9 | 11-19 01:00 +27h 0 \
         | 11-20 04:00 +3h 9,0,9",
        &expect![[r#"
            11-18 00:02 raised GAS-ZERO meter 1 STOPPED_METER P3 since 11-11 00:00
            11-18 00:02 raised MTR-STOP meter 1 STOPPED_METER P2 since 11-11 00:00
            11-20 07:02 cleared GAS-ZERO meter 1 STOPPED_METER P3 since 11-11 00:00 until 11-20 04:00
        "#]],
    );
}

#[test]
fn values_beyond_any_meter_change_nothing() {
    for kind in ["electricity 15min", "water 15min", "gas 1h"] {
        let asset = meter(kind);
        let mut log = Log::default();
        log.push(at("11-02"), vec![LogRecord::Meter(Box::new(asset.clone()))]);
        fill(&mut log, &asset, "11-02 00:00 +9d 40,0,20");
        let len_s = i64::from(asset.channels[0].len_s);
        for (slot, value) in
            [i64::MAX, i64::MAX - 1, i64::MIN, 1 << 60, i64::MAX].iter().enumerate()
        {
            let end = at("11-11").plus_seconds((i64::try_from(slot).unwrap() + 1) * len_s);
            log.push(end.plus_seconds(60), vec![interval(&asset, end, *value, "")]);
        }
        fill(&mut log, &asset, "11-11 06:00 +3d 40,0,20");
        let text = log.text();
        let said: Vec<&str> = text
            .lines()
            .filter(|line| line.contains("since 11-11") && !line.contains("WTR-BACK"))
            .collect();
        assert!(said.is_empty(), "{kind}: {said:?}");
    }
}

/// Four weeks of slightly different days, then the given days. Days are 24 equal hours, in Wh.
fn weeks_then(days: &[i64]) -> String {
    long_then(4, days)
}

/// The given days begin on Monday, 2026-11-02.
fn long_then(weeks: i64, days: &[i64]) -> String {
    let mut series = String::new();
    for n in 0..weeks * 7 {
        let date = at("11-02").plus_seconds((n - weeks * 7) * 86_400);
        series += &format!("{} 00:00 +24h {} | ", date_of(date), 400 + n * 37 % 60);
    }
    for (n, value) in days.iter().enumerate() {
        let date = at("11-02").plus_seconds(i64::try_from(n).unwrap() * 86_400);
        series += &format!("{} 00:00 +24h {value} | ", date_of(date));
    }
    series.trim_end_matches(" | ").to_owned()
}

fn date_of(at: metering::UtcTime) -> String {
    at.to_string()[5..10].to_owned()
}

#[test]
fn var_high_rises_at_once_far_above_and_after_two_days_above() {
    check(
        "electricity 1h",
        &weeks_then(&[2_000, 430, 420, 410, 430]),
        &expect![[r#"
            11-03 02:22 raised VAR-HIGH meter 1 HIGH_CONSUMPTION P3 since 11-02 00:00
            11-05 00:02 cleared VAR-HIGH meter 1 HIGH_CONSUMPTION P3 since 11-02 00:00 until 11-03 00:00
        "#]],
    );
    check(
        "electricity 1h",
        &weeks_then(&[590, 430, 600, 420, 410, 430]),
        &expect![[r#"
            11-05 02:22 raised VAR-HIGH meter 1 HIGH_CONSUMPTION P3 since 11-02 00:00
            11-07 00:02 cleared VAR-HIGH meter 1 HIGH_CONSUMPTION P3 since 11-02 00:00 until 11-05 00:00
        "#]],
    );
    check("electricity 1h", &weeks_then(&[590, 430, 440, 420, 410, 430]), &expect![[""]]);
}

#[test]
fn var_low_opens_an_issue_after_three_low_weekdays() {
    let days = [400, 400, 40, 40, 40, 400, 400, 420, 430, 420];
    check(
        "electricity 1h",
        &weeks_then(&days),
        &expect![[r#"
            11-07 02:22 raised VAR-LOW meter 1 LOW_CONSUMPTION P3 since 11-04 00:00
            11-11 00:02 cleared VAR-LOW meter 1 LOW_CONSUMPTION P3 since 11-04 00:00 until 11-09 00:00
        "#]],
    );
}

#[test]
fn var_low_is_a_record_when_somebody_is_away_from_friday_to_monday() {
    let days = [400, 400, 400, 400, 60, 60, 60, 60, 400, 410, 420];
    check("electricity 1h", &weeks_then(&days), &expect![[""]]);
    check(
        "electricity 1h",
        &long_then(8, &days),
        &expect![[r#"
            11-09 02:22 raised VAR-LOW meter 1 LOW_CONSUMPTION P4 since 11-06 00:00 record
            11-12 00:02 cleared VAR-LOW meter 1 LOW_CONSUMPTION P4 since 11-06 00:00 until 11-10 00:00 record
        "#]],
    );
}

#[test]
fn var_leaves_cars_and_pools_alone() {
    check("electricity 1h tags=ev", &weeks_then(&[4_000, 4_000]), &expect![[""]]);
}

#[test]
fn var_gives_one_notice_for_weather() {
    let mut log = Log::default();
    for id in 1..=20 {
        let asset = meter(&format!("electricity 1h id={id}"));
        log.push(at("10-05"), vec![LogRecord::Meter(Box::new(asset.clone()))]);
        let last = if id <= 6 { 1_500 } else { 420 };
        fill(&mut log, &asset, &weeks_then(&[last, 420, 420]));
    }
    log.sort_by_log_time();
    expect![[r#"
        11-03 02:22 raised VAR-HIGH head-end WEATHER_EVENT P4 since 11-02 00:00 record
        11-03 02:22 cleared VAR-HIGH head-end WEATHER_EVENT P4 since 11-02 00:00 until 11-03 00:00 record
    "#]].assert_eq(&log.text());
}

/// Seven gas meters of which some use a day much more than usual.
fn seven(days: [i64; 7]) -> String {
    let mut log = Log::default();
    for (id, last) in (1..).zip(days) {
        let asset = meter(&format!("gas 1h id={id}"));
        log.push(at("10-05"), vec![LogRecord::Meter(Box::new(asset.clone()))]);
        fill(&mut log, &asset, &weeks_then(&[last, 420, 420]));
    }
    log.sort_by_log_time();
    log.text()
}

#[test]
fn var_of_a_few_meters_is_the_first_cold_day_too() {
    let notice = seven([1_500, 1_500, 1_500, 420, 420, 420, 420]);
    assert!(notice.contains("WEATHER_EVENT") && !notice.contains("HIGH_CONSUMPTION"), "{notice}");
    // All use more: the one that uses most does not stand out from them, few as they are.
    let moved = seven([740, 640, 600, 560, 560, 540, 520]);
    assert!(!moved.contains("HIGH_CONSUMPTION"), "{moved}");
    let alone = seven([1_500, 420, 420, 420, 420, 420, 420]);
    assert!(alone.contains("raised VAR-HIGH meter 1 HIGH_CONSUMPTION P3"), "{alone}");
}

#[test]
fn var_waits_for_the_leak_that_explains_it() {
    let mut series = String::new();
    for n in 0..28 {
        let date = at("10-05").plus_seconds(n * 86_400);
        series += &format!("{} 00:00 +24h {HOME} | ", date_of(date));
    }
    // A leak of 60 L/h from 20:00 on.
    series += "11-02 00:00 +20h 0,9,0,0,12,0 | 11-02 20:00 +52h 15,15,17";
    check(
        "water 15min q3=2500",
        &series,
        &expect![[r#"
            11-03 19:47 raised WTR-CONT meter 1 LEAK_CUSTOMER_SIDE P2 since 11-02 19:45
            11-04 04:17 raised VAR-HIGH meter 1 HIGH_CONSUMPTION P4 since 11-02 00:00 record
            11-05 00:02 raised WTR-CUSUM meter 1 LEAK_CUSTOMER_SIDE P3 since 11-02 00:00
        "#]],
    );
}

#[test]
fn late_data_repair_the_day_and_withdraw_what_it_raised() {
    // The 11-02 misses its last two hours, of which the known ones are high; the late ones, all
    // zero, bring the total back.
    let asset = meter("electricity 1h");
    let mut log = Log::default();
    log.push(at("10-05"), vec![LogRecord::Meter(Box::new(asset.clone()))]);
    let series = weeks_then(&[]) + " | 11-02 00:00 +22h 690 | 11-03 00:00 +24h 430";
    fill(&mut log, &asset, &series);
    let late: Vec<LogRecord> =
        ["11-02 23:00", "11-03 00:00"].map(|end| interval(&asset, at(end), 0, "")).to_vec();
    log.push(at("11-04 00:30"), late.clone());
    // Once more: a slot counts once.
    log.push(at("11-04 00:31"), late);
    expect![[r#"
        11-03 02:22 raised VAR-HIGH meter 1 HIGH_CONSUMPTION P3 since 11-02 00:00
        11-04 00:30 retracted VAR-HIGH meter 1 HIGH_CONSUMPTION P3 since 11-02 00:00
    "#]]
    .assert_eq(&text(&log.run()));
}

#[test]
fn a_late_pause_withdraws_a_leak_and_late_use_a_stopped_meter() {
    let asset = meter("water 15min");
    let mut log = Log::default();
    log.push(at("11-02"), vec![LogRecord::Meter(Box::new(asset.clone()))]);
    // One slot is missing; it comes late, and was a pause.
    fill(
        &mut log,
        &asset,
        "11-02 00:00 +1h 0 | 11-02 01:00 +9h 9 | 11-02 10:00 +15min - \
         | 11-02 10:15 +16h 9",
    );
    log.push(at("11-03 02:20"), vec![interval(&asset, at("11-02 10:15"), 0, "")]);
    expect![[r#"
        11-03 01:17 raised WTR-CONT meter 1 LEAK_CUSTOMER_SIDE P2 since 11-02 01:00
        11-03 02:20 retracted WTR-CONT meter 1 LEAK_CUSTOMER_SIDE P2 since 11-02 01:00
    "#]]
    .assert_eq(&log.text());

    let asset = meter("electricity 1h");
    let mut log = Log::default();
    log.push(at("11-02"), vec![LogRecord::Meter(Box::new(asset.clone()))]);
    fill(
        &mut log,
        &asset,
        "11-02 00:00 +10d 300 | 11-12 00:00 +12h 0 | 11-12 12:00 +1h - \
         | 11-12 13:00 +16h 0",
    );
    log.push(at("11-13 05:10"), vec![interval(&asset, at("11-12 13:00"), 9_000, "")]);
    expect![[r#"
        11-13 00:02 raised MTR-STOP meter 1 STOPPED_METER P2 since 11-12 00:00
        11-13 05:10 retracted MTR-STOP meter 1 STOPPED_METER P2 since 11-12 00:00
    "#]]
    .assert_eq(&log.text());
}

#[test]
fn backfill_of_long_ago_does_not_page() {
    let asset = meter("water 15min q3=2500");
    let mut log = Log::default();
    log.push(at("11-20"), vec![LogRecord::Meter(Box::new(asset.clone()))]);
    // All of it is committed in one go, weeks later: a leak and a burst that are over.
    let mut then = Log::default();
    fill(
        &mut then,
        &asset,
        "11-02 00:00 +10h 0,2 | 11-02 10:00 +40h 9 | 11-04 02:00 +1h 700 | 11-04 03:00 +30h 0,0,0,0,3",
    );
    let records = then.frames.into_iter().flat_map(|frame| frame.records);
    log.push(at("11-21"), records.filter(|r| !matches!(r, LogRecord::Tick)).collect());
    log.push(at("11-21"), vec![LogRecord::Tick]);
    log.push(at("11-22"), vec![LogRecord::Tick]);
    expect![[r#"
        11-21 00:00 raised WTR-CONT meter 1 LEAK_CUSTOMER_SIDE P2 since 11-02 09:45 record
        11-21 00:00 raised WTR-BURST meter 1 BURST_CUSTOMER_SIDE P1 since 11-04 02:00 record
        11-21 00:00 cleared WTR-BURST meter 1 BURST_CUSTOMER_SIDE P1 since 11-04 02:00 until 11-04 03:00 record
        11-21 00:00 cleared WTR-CONT meter 1 LEAK_CUSTOMER_SIDE P2 since 11-02 09:45 until 11-04 04:00 record
    "#]].assert_eq(&log.text());
}

#[test]
fn backfill_of_something_that_is_still_true_is_annunciated_at_the_tick() {
    let asset = meter("water 15min q3=2500");
    let mut log = Log::default();
    log.push(at("11-02"), vec![LogRecord::Meter(Box::new(asset.clone()))]);
    let mut then = Log::default();
    fill(&mut then, &asset, "11-02 00:00 +10h 0,2 | 11-02 10:00 +38h 9");
    let records = then.frames.into_iter().flat_map(|frame| frame.records);
    log.push(at("11-04"), records.filter(|r| !matches!(r, LogRecord::Tick)).collect());
    log.push(at("11-04"), vec![LogRecord::Tick]);
    expect![[r#"
        11-04 00:00 raised WTR-CONT meter 1 LEAK_CUSTOMER_SIDE P2 since 11-02 09:45 record
        11-04 00:00 updated WTR-CONT meter 1 LEAK_CUSTOMER_SIDE P2 since 11-02 09:45
    "#]]
    .assert_eq(&log.text());
}

#[test]
fn a_zone_whose_midnight_is_off_the_grid_is_judged_too() {
    check(
        "electricity 1h zone=Asia/Kathmandu",
        &weeks_then(&[2_000, 430, 420]),
        &expect![[r#"
            11-02 20:32 raised VAR-HIGH meter 1 HIGH_CONSUMPTION P3 since 11-01 18:15
        "#]],
    );
    check(
        "water 1h zone=Asia/Kathmandu",
        "11-02 00:00 +2h 0 | 11-02 02:00 +25h 40",
        &expect![[r#"
            11-03 02:02 raised WTR-CONT meter 1 LEAK_CUSTOMER_SIDE P2 since 11-02 02:00
        "#]],
    );
}

#[test]
fn a_local_day_of_25_hours_is_judged_as_a_whole() {
    let mut series = String::new();
    for n in 0..35 {
        // Local midnights of Berlin: 22:00 UTC until 10-24, then 23:00.
        let date = at("09-20").plus_seconds(n * 86_400);
        series += &format!("{} 22:00 +24h {} | ", date_of(date), 400 + n * 37 % 60);
    }
    series += "10-25 22:00 +1h 400 | 10-25 23:00 +48h 420";
    check("electricity 1h zone=Europe/Berlin", &series, &expect![[""]]);
}
