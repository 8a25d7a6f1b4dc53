//! Telegrams of our own making; the real ones are in `tests/corpus.rs`.

use expect_test::{Expect, expect};
use metering::UtcTime;

use crate::describe::describe;
use crate::format::DecodeContext;
use crate::options::{CrcRule, DecodeOptions, TariffOrder};

fn telegram(lines: &str, end: &str) -> Vec<u8> {
    let text = format!("/XYZ5\\TEST-1\n\n{}\n!{end}\n", lines.trim());
    text.replace('\n', "\r\n").into_bytes()
}

fn decoded(payload: &[u8], options: &DecodeOptions) -> String {
    let context = DecodeContext {
        topic: "p1/house-7/raw",
        received_at: UtcTime::parse_rfc3339("2026-11-21T10:00:05Z").unwrap(),
        zone: None,
        collector: None,
        mapping: None,
        options,
    };
    describe(super::decode(&context, payload))
}

fn check(lines: &str, end: &str, options: &DecodeOptions, want: &Expect) {
    want.assert_eq(&decoded(&telegram(lines, end), options));
}

const METER: &str = "0-0:1.0.0(261121110000W)\n0-0:96.1.1(4B384547303034303436333935353037)\n";

#[test]
fn tariffs_are_named_and_summed_and_belgium_counts_the_other_way_round() {
    let lines = format!(
        "{METER}1-0:1.8.1(000010.500*kWh)\n1-0:1.8.2(000002.001*kWh)\n1-0:1.7.0(01.193*kW)\n\
         1-0:32.7.0(230.1*V)"
    );
    check(
        &lines,
        "",
        &DecodeOptions::DEFAULT,
        &expect![[r#"
        p1:K8EG004046395507 heard 2026-11-21T10:00:00Z device, status `type=XYZ5\TEST-1`, 5 reads
          register energy_import_low 10.500 kWh (2026-11-21T10:00:00Z device)
          register energy_import_high 2.001 kWh (2026-11-21T10:00:00Z device)
          instant power_import 1.193 kW (2026-11-21T10:00:00Z device)
          instant voltage_l1 230.1 V (2026-11-21T10:00:00Z device)
          register energy_import 12.501 kWh (2026-11-21T10:00:00Z device)
    "#]],
    );
    let belgium = DecodeOptions { tariffs: TariffOrder::HighFirst, ..DecodeOptions::DEFAULT };
    check(
        &lines,
        "",
        &belgium,
        &expect![[r#"
        p1:K8EG004046395507 heard 2026-11-21T10:00:00Z device, status `type=XYZ5\TEST-1`, 5 reads
          register energy_import_high 10.500 kWh (2026-11-21T10:00:00Z device)
          register energy_import_low 2.001 kWh (2026-11-21T10:00:00Z device)
          instant power_import 1.193 kW (2026-11-21T10:00:00Z device)
          instant voltage_l1 230.1 V (2026-11-21T10:00:00Z device)
          register energy_import 12.501 kWh (2026-11-21T10:00:00Z device)
    "#]],
    );
}

#[test]
fn a_check_sum_is_compared_as_a_number_and_obeys_its_rule() {
    let optional = DecodeOptions { crc: CrcRule::Optional, ..DecodeOptions::DEFAULT };
    let required = DecodeOptions { crc: CrcRule::Required, ..DecodeOptions::DEFAULT };
    let lines = format!("{METER}1-0:1.8.0(000010.500*kWh)");
    check(
        &lines,
        "0000",
        &DecodeOptions::DEFAULT,
        &expect![[r#"
        refused bad_checksum: the check sum is F155, the telegram says 0000
    "#]],
    );
    check(
        &lines,
        "0000",
        &optional,
        &expect![[r#"
        p1:K8EG004046395507 heard 2026-11-21T10:00:00Z device, status `type=XYZ5\TEST-1`, 1 reads
          register energy_import 10.500 kWh suspect (2026-11-21T10:00:00Z device)
    "#]],
    );
    check(
        &lines,
        "",
        &required,
        &expect![[r#"
        refused bad_checksum: no check sum after `!`, and crc = required
    "#]],
    );
    // Right, and right again after a bridge turned CRLF into LF.
    let good = telegram(&lines, "F155");
    assert!(
        decoded(&good, &required).starts_with("p1:K8EG004046395507"),
        "{}",
        decoded(&good, &required)
    );
    let bare: Vec<u8> = good.into_iter().filter(|byte| *byte != b'\r').collect();
    assert!(decoded(&bare, &required).starts_with("p1:K8EG004046395507"));
}

#[test]
fn meters_on_the_m_bus_report_for_themselves_or_not_at_all() {
    let lines = format!(
        "{METER}1-0:1.8.0(000010.500*kWh)\n\
         0-1:24.1.0(003)\n0-1:96.1.0(3232323241424344313233343536373839)\n\
         0-1:24.2.1(261121100500W)(00012.107*m3)\n0-1:24.4.0(0)\n\
         0-2:24.1.0(004)\n0-2:96.1.0(621848012D2C0B0C)\n0-2:24.2.1(261121100000W)(240.860*GJ)\n\
         0-3:24.1.0(003)\n0-3:96.1.0()\n0-3:24.2.1(700101010000W)(00000000)\n\
         0-4:24.1.0(007)\n0-4:96.1.0(12345678)\n0-4:24.2.1(990101000000W)(00001.000*m3)"
    );
    check(
        &lines,
        "",
        &DecodeOptions::DEFAULT,
        &expect![[r#"
        p1:K8EG004046395507 heard 2026-11-21T10:00:00Z device, status `type=XYZ5\TEST-1`, 1 reads
          register energy_import 10.500 kWh (2026-11-21T10:00:00Z device)
        p1:2222ABCD123456789 heard 2026-11-21T09:05:00Z device, status `type=003 channel=1 valve=0`, 1 reads
          register volume 12.107 m3 (2026-11-21T09:05:00Z device)
          event valve_closed/0 level `valve=0` (2026-11-21T10:00:00Z device)
        p1:621848012D2C0B0C heard 2026-11-21T09:00:00Z device, status `type=004 channel=2`, 1 reads
          register energy 240.860 GJ (2026-11-21T09:00:00Z device)
        p1:12345678 heard 2026-11-21T10:00:05Z arrival doubtful, status `type=007 channel=4`, 1 reads
          register volume 1.000 m3 suspect (2026-11-21T10:00:05Z arrival doubtful)
          event clock_error/0 level `stamp 990101000000W` (2026-11-21T10:00:05Z arrival doubtful)
    "#]],
    );
}

#[test]
fn a_log_of_failures_becomes_events_and_a_fault_refuses_one_value_alone() {
    let lines = format!(
        "{METER}1-0:99.97.0(2)(0-0:96.7.19)(261120100000W)(0000000301*s)(000101000001W)\
         (2147583646*s)\n1-0:1.8.0(00x.500*kWh)\n1-0:2.8.0(000001.000*furlong)\n\
         0-0:96.13.0(4869)\n0-0:96.3.10(0)\n1-0:1.7.0(00.100*kW)"
    );
    check(
        &lines,
        "",
        &DecodeOptions::DEFAULT,
        &expect![[r#"
        p1:K8EG004046395507 heard 2026-11-21T10:00:00Z device, status `type=XYZ5\TEST-1 breaker=0`, 1 reads
          instant power_import 0.100 kW (2026-11-21T10:00:00Z device)
          event power_fail/0 once `301 s` (2026-11-20T08:54:59Z device)
          event power_restore/0 once `301 s` (2026-11-20T09:00:00Z device)
          event meter_flag/0 once `bad_value energy_import=00x.500*kWh` (2026-11-21T10:00:00Z device)
          event meter_flag/1 once `bad_value energy_export=000001.000*furlong` (2026-11-21T10:00:00Z device)
          event meter_flag/0 level `message Hi` (2026-11-21T10:00:00Z device)
          event switch_opened/0 level `breaker=0` (2026-11-21T10:00:00Z device)
    "#]],
    );
}

#[test]
fn the_repeated_hour_is_told_by_its_letter() {
    for (letter, want) in [("S", "2026-10-25T00:30:00Z"), ("W", "2026-10-25T01:30:00Z")] {
        let lines = format!("0-0:1.0.0(261025023000{letter})\n0-0:96.1.1(E0001)");
        let text = decoded(&telegram(&lines, ""), &DecodeOptions::DEFAULT);
        assert!(text.contains(want), "{text}");
    }
}

#[test]
fn nobody_s_telegram_is_refused_unless_the_topic_names_the_meter() {
    let lines = "1-0:1.8.0(000010.500*kWh)";
    check(
        lines,
        "",
        &DecodeOptions::DEFAULT,
        &expect![[r#"
        refused no_identity: no equipment identifier in the telegram: set device_level to the topic level that names the meter
    "#]],
    );
    let by_topic = DecodeOptions { device_level: Some(2), ..DecodeOptions::DEFAULT };
    check(
        lines,
        "",
        &by_topic,
        &expect![[r#"
        p1:house-7 heard 2026-11-21T10:00:05Z arrival, status `type=XYZ5\TEST-1`, 1 reads
          register energy_import 10.500 kWh (2026-11-21T10:00:05Z arrival)
    "#]],
    );
    for bad in ["", "no telegram", "/XYZ5\r\n\r\n1-0:1.8.0(1", "/XYZ5\r\n\r\nline\r\n!\r\n"] {
        assert!(decoded(bad.as_bytes(), &by_topic).starts_with("refused bad_format"), "{bad}");
    }
}
