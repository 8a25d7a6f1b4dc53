//! What devices say of themselves, and what the rules make of it.

use expect_test::{Expect, expect};
use metering::{
    BatteryAsset, ChannelAsset, ChannelKind, ChannelNo, Chemistry, EventCode, LogRecord,
    MeterAsset, QualityStatus, ReadingType, RuleMask, SlotCode, Subject, TransformerId, UtcTime,
    WorkOrder, WorkOrderKind, WorkOrderStatus, ZoneId,
};

use super::{Log, at, fill, meter};

/// A log of one meter with what happens to it: `11-03 10:00 tilt 2 | 11-03 11:00 tick`. A word that
/// is no event: `order KIND STATUS` (of that time), `mv 3250`, `cc -250`, `fed 800` (Wh since the
/// last one), `cut`, `q 5`. Time passes by ticks every six hours, and the meter is heard.
fn log_of(asset: &MeterAsset, script: &str, until: &str) -> Log {
    let mut log = Log::default();
    let subject = Subject::Meter(asset.meter);
    let lines: Vec<&str> = script.split('|').map(str::trim).filter(|l| !l.is_empty()).collect();
    let when = |line: &str| at(&line.split_whitespace().take(2).collect::<Vec<_>>().join(" "));
    let first = lines.first().map_or(at("11-02"), |line| when(line));
    log.push(first.plus_seconds(-60), vec![LogRecord::Meter(Box::new(asset.clone()))]);
    let mut number = 0;
    for line in lines {
        let time = when(line);
        let words: Vec<&str> = line.split_whitespace().skip(2).collect();
        let told = |code: EventCode, detail: i32| LogRecord::Event {
            subject,
            occurred_at: time,
            code,
            detail,
        };
        let detail = words.get(1).and_then(|word| word.parse().ok()).unwrap_or(0);
        let record = match words[0] {
            "order" => {
                number += 1;
                LogRecord::WorkOrder(WorkOrder {
                    number,
                    subject,
                    kind: words[1].parse::<WorkOrderKind>().unwrap(),
                    status: words[2].parse::<WorkOrderStatus>().unwrap(),
                    at: time,
                })
            }
            "mv" => told(EventCode::BatteryVoltage, detail),
            "cc" => told(EventCode::AmbientTemperature, detail),
            word => told(word.parse().unwrap(), detail),
        };
        log.push(time.plus_seconds(60), vec![record]);
    }
    let (mut now, end) = (first, at(until));
    while now <= end {
        log.push(now.plus_seconds(90), vec![super::heard(asset, None), LogRecord::Tick]);
        now = now.plus_seconds(6 * 3_600);
    }
    log.sort_by_log_time();
    log
}

fn check(asset_text: &str, script: &str, until: &str, expected: &Expect) {
    expected.assert_eq(&log_of(&meter(asset_text), script, until).text());
}

#[test]
fn mtr_err_permanent_at_once_and_clear_after_two_days() {
    check(
        "water 1h contact=6h",
        "11-02 10:00 hardware_fault | 11-03 10:00 hardware_fault",
        "11-08 00:00",
        &expect![[r#"
            11-02 16:01 raised MTR-ERR meter 1 METER_HARDWARE P2 since 11-02 10:00
            11-05 10:01 cleared MTR-ERR meter 1 METER_HARDWARE P2 since 11-02 10:00 until 11-03 10:00
        "#]],
    );
}

#[test]
fn mtr_err_temporary_on_three_days_of_seven() {
    check(
        "water 1h contact=6h",
        "11-02 10:00 hardware_warning | 11-03 10:00 hardware_warning | 11-03 12:00 hardware_warning",
        "11-08 00:00",
        &expect![[""]],
    );
    check(
        "water 1h contact=6h",
        "11-02 10:00 hardware_warning | 11-04 10:00 hardware_warning | 11-07 12:00 hardware_warning",
        "11-12 00:00",
        &expect![[r#"
            11-07 16:01 raised MTR-ERR meter 1 METER_HARDWARE P2 since 11-02 10:00
            11-09 16:01 cleared MTR-ERR meter 1 METER_HARDWARE P2 since 11-02 10:00 until 11-07 12:00
        "#]],
    );
    check(
        "water 1h contact=6h",
        "11-02 10:00 invalid_read | 11-03 10:00 invalid_read | 11-04 12:00 invalid_read",
        "11-08 00:00",
        &expect![[r#"
            11-04 16:01 raised MTR-ERR meter 1 ENCODER_FAULT P2 since 11-02 10:00
            11-06 16:01 cleared MTR-ERR meter 1 ENCODER_FAULT P2 since 11-02 10:00 until 11-04 12:00
        "#]],
    );
}

#[test]
fn mtr_reset_unless_a_visit_explains_it() {
    check(
        "water 1h contact=6h",
        "11-02 10:00 register_reset",
        "11-04 00:00",
        &expect![[r#"
        11-02 16:01 raised MTR-RESET meter 1 UNPLANNED_RESET P2 since 11-02 10:00
    "#]],
    );
    check(
        "water 1h contact=6h",
        "11-02 08:00 order inspection created | 11-02 10:00 register_reset",
        "11-04 00:00",
        &expect![[""]],
    );
    // The papers come a day later; then a repair ends another one.
    check(
        "water 1h contact=6h",
        "11-02 10:00 config_changed | 11-03 09:00 order reprogramming completed \
         | 11-10 10:00 register_reset | 11-14 10:00 order repair completed",
        "11-16 00:00",
        &expect![[r#"
            11-02 16:01 raised MTR-RESET meter 1 UNPLANNED_RESET P2 since 11-02 10:00
            11-03 09:01 retracted MTR-RESET meter 1 UNPLANNED_RESET P2 since 11-02 10:00
            11-10 16:01 raised MTR-RESET meter 1 UNPLANNED_RESET P2 since 11-10 10:00
            11-14 10:01 cleared MTR-RESET meter 1 UNPLANNED_RESET P2 since 11-10 10:00 until 11-14 10:00
        "#]],
    );
}

#[test]
fn mtr_swap_unless_an_exchange_is_near() {
    check(
        "gas 1h contact=6h",
        "11-02 10:00 identity_changed",
        "11-04 00:00",
        &expect![[r#"
        11-02 10:01 raised MTR-SWAP meter 1 ASSET_MISMATCH P2 since 11-02 10:00
    "#]],
    );
    check(
        "gas 1h contact=6h",
        "11-02 10:00 identity_changed | 11-03 09:00 order exchange completed",
        "11-04 00:00",
        &expect![[r#"
            11-02 10:01 raised MTR-SWAP meter 1 ASSET_MISMATCH P2 since 11-02 10:00
            11-03 09:01 retracted MTR-SWAP meter 1 ASSET_MISMATCH P2 since 11-02 10:00
        "#]],
    );
    let mut asset = meter("gas 1h contact=6h");
    let mut log = log_of(&asset, "11-02 10:00 identity_changed", "11-04 00:00");
    "N-2".clone_into(&mut asset.detail.serial);
    log.push(at("11-05 08:00"), vec![LogRecord::Meter(Box::new(asset))]);
    expect![[r#"
        11-02 10:01 raised MTR-SWAP meter 1 ASSET_MISMATCH P2 since 11-02 10:00
        11-05 08:00 cleared MTR-SWAP meter 1 ASSET_MISMATCH P2 since 11-02 10:00 until 11-05 08:00
    "#]]
    .assert_eq(&log.text());
}

#[test]
fn wtr_back_major_at_once_minor_the_third_time() {
    check(
        "water 1h contact=6h",
        "11-02 10:00 reverse_flow 2 | 11-03 10:00 reverse_flow 2",
        "12-10 00:00",
        &expect![[r#"
            11-02 10:01 raised WTR-BACK meter 1 BACKFLOW P2 since 11-02 10:00
            12-07 10:01 cleared WTR-BACK meter 1 BACKFLOW P2 since 11-02 10:00 until 11-02 10:00
        "#]],
    );
    check(
        "water 1h contact=6h",
        "11-02 10:00 reverse_flow 1 | 11-06 10:00 reverse_flow 1 | 11-06 20:00 reverse_flow 1",
        "11-08 00:00",
        &expect![[""]],
    );
    check(
        "water 1h contact=6h",
        "11-02 10:00 reverse_flow 1 | 11-06 10:00 reverse_flow 1 | 11-16 20:00 reverse_flow 1",
        "11-18 00:00",
        &expect![[r#"
            11-16 20:01 raised WTR-BACK meter 1 BACKFLOW P3 since 11-02 10:00
        "#]],
    );
}

#[test]
fn wtr_dry_at_once_and_air_after_a_day() {
    check(
        "water 1h contact=6h",
        "11-02 10:00 dry | 11-02 16:00 dry",
        "11-05 00:00",
        &expect![[r#"
        11-02 10:01 raised WTR-DRY meter 1 DRY_PIPE P3 since 11-02 10:00
        11-03 16:01 cleared WTR-DRY meter 1 DRY_PIPE P3 since 11-02 10:00 until 11-02 16:00
    "#]],
    );
    check(
        "water 1h contact=6h",
        "11-02 10:00 air_in_pipe | 11-02 22:00 air_in_pipe | 11-03 11:00 air_in_pipe",
        "11-06 00:00",
        &expect![[r#"
            11-03 11:01 raised WTR-EMPTY meter 1 DRY_PIPE P3 since 11-02 10:00
            11-04 16:01 cleared WTR-EMPTY meter 1 DRY_PIPE P3 since 11-02 10:00 until 11-03 11:00
        "#]],
    );
    check("water 1h contact=6h tags=vacant", "11-02 10:00 dry", "11-05 00:00", &expect![[""]]);
}

#[test]
fn wtr_temp_six_hours_of_frost() {
    check(
        "water 1h contact=6h",
        "11-02 10:00 cc 50 | 11-02 13:00 cc 20 | 11-02 15:00 cc 150 | 11-02 20:00 cc 40 \
         | 11-02 23:00 cc -300 | 11-03 02:00 cc 10 | 11-03 08:00 cc 150 | 11-03 10:00 cc 300 \
         | 11-03 13:00 cc 500 | 11-03 16:30 cc 450",
        "11-04 00:00",
        &expect![[r#"
            11-03 02:01 raised WTR-TEMP meter 1 FREEZE_RISK P3 since 11-02 20:00
            11-03 16:31 cleared WTR-TEMP meter 1 FREEZE_RISK P3 since 11-02 20:00 until 11-03 10:00
        "#]],
    );
}

#[test]
fn gas_tilt_and_pressure_page_at_once() {
    check(
        "gas 1h contact=6h",
        "11-02 10:00 tilt | 11-02 12:00 cleared 30 | 11-03 10:00 pressure_fault 2",
        "11-04 00:00",
        &expect![[r#"
            11-02 10:01 raised GAS-TILT meter 1 TAMPER_SUSPECT P1 since 11-02 10:00
            11-02 12:01 cleared GAS-TILT meter 1 TAMPER_SUSPECT P1 since 11-02 10:00 until 11-02 12:00
            11-03 10:01 raised GAS-PRESS meter 1 GAS_ANOMALY P2 since 11-03 10:00
        "#]],
    );
    check(
        "gas 1h contact=6h",
        "11-02 09:00 order inspection assigned | 11-02 10:00 tilt | 11-02 11:00 pressure_fault 1",
        "11-04 00:00",
        &expect![[r#"
            11-02 11:01 raised GAS-PRESS meter 1 GAS_ANOMALY P1 since 11-02 11:00
        "#]],
    );
}

#[test]
fn gas_valve_flow_after_it_was_closed() {
    let asset = meter("gas 1h");
    let mut log = Log::default();
    log.push(at("11-02"), vec![LogRecord::Meter(Box::new(asset.clone()))]);
    fill(&mut log, &asset, "11-02 00:00 +24h 300");
    let closed = LogRecord::Event {
        subject: Subject::Meter(asset.meter),
        occurred_at: at("11-02 23:59"),
        code: EventCode::ValveClosed,
        detail: 0,
    };
    log.push(at("11-03 00:30"), vec![closed]);
    fill(&mut log, &asset, "11-03 00:00 +6h 0 | 11-03 06:00 +3h 40");
    log.sort_by_log_time();
    expect![[r#"
        11-03 07:02 raised GAS-VALVE meter 1 VALVE_FAILURE P1 since 11-03 06:00
    "#]]
    .assert_eq(&log.text());
}

fn with_cell(asset_text: &str) -> MeterAsset {
    let mut asset = meter(asset_text);
    asset.detail.battery = Some(BatteryAsset {
        chemistry: Chemistry::LithiumThionyl,
        installed_at: at("01-01"),
        design_life_d: 3_650,
        capacity_mah: 2_400,
    });
    asset
}

/// A voltage a day from `from` on, falling by `uv` microvolts a day.
fn volts(from: UtcTime, days: i64, (mv, uv): (i64, i64)) -> String {
    let line = |day: i64| {
        let date = from.plus_seconds(day * 86_400).to_string();
        format!("{} 06:00 mv {}", &date[5..10], mv - day * uv / 1_000)
    };
    (0..days).map(line).collect::<Vec<_>>().join(" | ")
}

#[test]
fn bat_volt_warns_then_worsens_and_a_new_cell_ends_it() {
    let asset = with_cell("water 1h battery contact=6h");
    let script = format!(
        "{} | {} | 11-25 10:00 order battery_replacement completed",
        volts(at("11-02"), 8, (3_280, 0)),
        volts(at("11-10"), 8, (3_050, 0))
    );
    expect![[r#"
        11-06 06:01 raised BAT-VOLT meter 1 BATTERY_LOW P3 since 11-02 06:00
        11-12 06:01 updated BAT-VOLT meter 1 BATTERY_LOW P2 since 11-02 06:00
        11-25 10:01 cleared BAT-VOLT meter 1 BATTERY_LOW P2 since 11-02 06:00 until 11-25 10:00
    "#]]
    .assert_eq(&log_of(&asset, &script, "11-26 00:00").text());
}

#[test]
fn bat_proj_tells_the_trend_but_not_of_a_flat_cell() {
    let asset = with_cell("water 1h battery contact=6h");
    let falling = volts(at("06-01"), 84, (3_600, 2_500));
    expect![[r#"
        07-16 06:01 raised BAT-PROJ meter 1 BATTERY_LOW P3 since 07-16 06:00
    "#]]
    .assert_eq(&log_of(&asset, &falling, "08-24 00:00").text());
    let flat = volts(at("06-01"), 120, (3_600, 50));
    expect![[""]].assert_eq(&log_of(&asset, &flat, "10-01 00:00").text());
    check(
        "water 1h battery contact=6h",
        "11-02 10:00 battery_days 300 | 11-09 10:00 battery_days 80 | 11-16 10:00 battery_days 500 \
         | 11-23 10:00 battery_days 490",
        "11-24 00:00",
        &expect![[r#"
            11-02 10:01 raised BAT-PROJ meter 1 BATTERY_LOW P4 since 11-02 10:00 record
            11-09 10:01 updated BAT-PROJ meter 1 BATTERY_LOW P3 since 11-02 10:00
            11-23 10:01 cleared BAT-PROJ meter 1 BATTERY_LOW P3 since 11-02 10:00 until 11-23 10:00
        "#]],
    );
}

#[test]
fn tmp_score_needs_more_than_one_flag() {
    let one = "11-02 10:00 cover_opened | 11-03 10:00 cover_opened | 11-04 10:00 cover_opened";
    check("electricity 1h contact=6h", one, "11-08 00:00", &expect![[""]]);
    let two = "11-02 10:00 cover_opened | 11-03 10:00 magnetic_field";
    check(
        "electricity 1h contact=6h",
        two,
        "11-08 00:00",
        &expect![[r#"
        11-03 16:01 raised TMP-SCORE meter 1 TAMPER_SUSPECT P3 since 11-02 10:00
    "#]],
    );
    let three = "11-02 10:00 cover_opened | 11-03 10:00 magnetic_field | 11-05 10:00 tamper";
    check(
        "electricity 1h contact=6h",
        three,
        "11-08 00:00",
        &expect![[r#"
        11-03 16:01 raised TMP-SCORE meter 1 TAMPER_SUSPECT P3 since 11-02 10:00
        11-05 16:01 updated TMP-SCORE meter 1 TAMPER_SUSPECT P2 since 11-02 10:00
    "#]],
    );
    // All of it during a visit.
    let visit = "11-02 09:00 order inspection assigned | 11-02 10:00 cover_opened \
                 | 11-02 10:30 magnetic_field | 11-02 11:00 tamper";
    check("electricity 1h contact=6h", visit, "11-08 00:00", &expect![[""]]);
}

#[test]
fn tmp_score_ends_when_it_was_inspected_and_the_signs_are_old() {
    let script = "11-02 10:00 cover_opened | 11-03 10:00 magnetic_field \
                  | 11-06 10:00 order inspection completed";
    check(
        "electricity 1h contact=6h",
        script,
        "12-10 00:00",
        &expect![[r#"
        11-03 16:01 raised TMP-SCORE meter 1 TAMPER_SUSPECT P3 since 11-02 10:00
        11-20 10:01 cleared TMP-SCORE meter 1 TAMPER_SUSPECT P3 since 11-02 10:00 until 11-06 10:00
    "#]],
    );
}

#[test]
fn tmp_score_of_many_meters_at_once_is_nobodys() {
    let mut log = Log::default();
    for id in 1..=30 {
        let asset = meter(&format!("electricity 1h contact=6h id={id}"));
        log.push(at("11-01"), vec![LogRecord::Meter(Box::new(asset.clone()))]);
        for code in [EventCode::CoverOpened, EventCode::MagneticField] {
            let subject = Subject::Meter(asset.meter);
            log.push(
                at("11-02 10:00").plus_seconds(i64::from(id)),
                vec![super::event(subject, at("11-02 10:00"), code)],
            );
        }
    }
    log.push(at("11-03"), vec![LogRecord::Tick]);
    expect![[r#"
        11-03 00:00 raised TMP-SCORE head-end TAMPER_SUSPECT P3 since 11-02 10:00
        11-03 00:00 cleared TMP-SCORE head-end TAMPER_SUSPECT P3 since 11-02 10:00 until 11-02 10:00
    "#]]
    .assert_eq(&log.text());
}

#[test]
fn use_that_falls_after_a_sign_of_tampering_completes_it() {
    let asset = meter("electricity 1h");
    let mut log = Log::default();
    log.push(at("10-10"), vec![LogRecord::Meter(Box::new(asset.clone()))]);
    fill(&mut log, &asset, "10-10 00:00 +23d 400,500 | 11-02 00:00 +10d 180,200");
    let opened =
        super::event(Subject::Meter(asset.meter), at("11-01 13:00"), EventCode::CoverOpened);
    log.push(at("11-01 13:05"), vec![opened]);
    log.sort_by_log_time();
    expect![[r#"
        11-05 00:02 raised TMP-SCORE meter 1 TAMPER_SUSPECT P3 since 11-01 13:00
        11-05 02:22 raised VAR-LOW meter 1 LOW_CONSUMPTION P3 since 11-02 00:00
    "#]]
    .assert_eq(&log.text());
}

#[test]
fn brief_outages_count_only_where_no_neighbour_failed() {
    let mut asset = meter("electricity 1h contact=6h");
    asset.detail.transformer = Some(TransformerId::new(4));
    asset.detail.network_zone = Some(ZoneId::new(2));
    let script = "11-02 10:00 power_fail | 11-03 10:00 power_fail | 11-04 10:00 power_fail \
                  | 11-05 10:00 magnetic_field";
    let log = log_of(&asset, script, "11-06 00:00");
    let text = log.text();
    let own: String = text.lines().filter(|l| l.contains("TMP-SCORE")).collect();
    expect!["11-05 16:01 raised TMP-SCORE meter 1 TAMPER_SUSPECT P3 since 11-02 10:00"]
        .assert_eq(&own);
    let mut other = meter("electricity 1h contact=6h id=2");
    other.detail.transformer = Some(TransformerId::new(4));
    let mut both = log_of(&other, "11-02 10:01 power_fail", "11-06 00:00");
    both.frames.extend(log.frames);
    both.sort_by_log_time();
    assert!(!both.text().contains("TMP-SCORE"), "{}", both.text());
}

/// An electricity meter with a second channel of what is fed in.
fn feeding(tags: &str) -> MeterAsset {
    let mut asset = meter(&format!("electricity 1h{tags}"));
    let export = ChannelAsset {
        channel: ChannelNo::new(2),
        reading_type: ReadingType::ENERGY_EXPORT,
        kind: ChannelKind::Interval,
        ..asset.channels[0]
    };
    asset.channels.push(export);
    asset
}

#[test]
fn mtr_rev_rises_where_nothing_generates() {
    let run = |tags: &str, wh: i64| {
        let asset = feeding(tags);
        let mut log = Log::default();
        log.push(at("11-02"), vec![LogRecord::Meter(Box::new(asset.clone()))]);
        fill(&mut log, &asset, "11-02 00:00 +12d 300");
        let fed = |hour: i64, wh: i64| LogRecord::Interval {
            meter: asset.meter,
            channel: ChannelNo::new(2),
            end: at("11-04").plus_seconds(hour * 3_600),
            len_s: 3_600,
            value: wh * 1_000,
            code: SlotCode::new(QualityStatus::Raw, metering::DeviceFlags::NONE),
            failed: RuleMask::EMPTY,
        };
        for hour in 1..=24 {
            let now = at("11-04").plus_seconds(hour * 3_600 + 60);
            log.push(now, vec![fed(hour, wh)]);
        }
        log.sort_by_log_time();
        log.text()
    };
    expect![[r#"
        11-05 00:02 raised MTR-REV meter 1 REVERSE_ROTATION P2 since 11-04 00:00
        11-12 00:02 cleared MTR-REV meter 1 REVERSE_ROTATION P2 since 11-04 00:00 until 11-05 00:00
    "#]]
    .assert_eq(&run("", 100));
    // Noise, and a roof that may feed in.
    assert_eq!(run("", 15), "");
    assert_eq!(run(" tags=pv", 900), "");
    check(
        "electricity 1h contact=6h",
        "11-02 10:00 reverse_rotation",
        "11-03 00:00",
        &expect![[r#"
            11-02 10:01 raised MTR-REV meter 1 REVERSE_ROTATION P2 since 11-02 10:00
        "#]],
    );
}

/// The register of a meter for energy out is read once a week; `wh` since the reading before.
fn weekly_export(wh: i64, slots_too: bool) -> String {
    let mut asset = feeding("");
    let register = ChannelNo::new(if slots_too { 3 } else { 2 });
    let read = ChannelAsset {
        channel: register,
        kind: ChannelKind::Register,
        len_s: 0,
        ..asset.channels[1]
    };
    if !slots_too {
        asset.channels.pop();
    }
    asset.channels.push(read);
    let mut log = Log::default();
    log.push(at("11-02"), vec![LogRecord::Meter(Box::new(asset.clone()))]);
    fill(&mut log, &asset, "11-02 00:00 +18d 30");
    for week in 0..3 {
        let end = at("11-04").plus_seconds(week * 7 * 86_400);
        let value = LogRecord::Register {
            meter: asset.meter,
            channel: register,
            read_at: end,
            value: week * wh * 1_000,
            code: SlotCode::new(QualityStatus::Raw, metering::DeviceFlags::NONE),
            failed: RuleMask::EMPTY,
        };
        log.push(end.plus_seconds(60), vec![value]);
    }
    log.sort_by_log_time();
    log.text()
}

#[test]
fn mtr_rev_shares_a_week_of_the_register_among_its_days() {
    // 2 kWh in a week are 0.29 kWh a day; 7 kWh are one.
    assert_eq!(weekly_export(2_000, false), "");
    assert!(weekly_export(7_000, false).contains("raised MTR-REV"));
    assert_eq!(weekly_export(7_000, true), "", "the slots say nothing was fed in");
}

#[test]
fn wtr_back_ends_35_days_after_it_began_though_the_flag_stays() {
    let flags: Vec<String> = (0..50)
        .map(|day| {
            let time = at("11-02 10:00").plus_seconds(day * 86_400).to_string();
            format!("{} {} reverse_flow 2", &time[5..10], &time[11..16])
        })
        .collect();
    check(
        "water 1h contact=6h",
        &flags.join(" | "),
        "12-22 00:00",
        &expect![[r#"
            11-02 10:01 raised WTR-BACK meter 1 BACKFLOW P2 since 11-02 10:00
            12-07 10:01 cleared WTR-BACK meter 1 BACKFLOW P2 since 11-02 10:00 until 11-02 10:00
        "#]],
    );
}
