use expect_test::{Expect, expect};
use jiff::tz::TimeZone;
use metering::UtcTime;

use crate::describe::describe;
use crate::format::{DecodeContext, Format, RejectReason, decode};

fn at(text: &str) -> UtcTime {
    UtcTime::parse_rfc3339(text).unwrap()
}

fn context(topic: &str) -> DecodeContext<'_> {
    DecodeContext {
        topic,
        received_at: at("2026-11-21T10:00:05Z"),
        zone: None,
        collector: Some("C-01"),
        mapping: None,
        options: &crate::DecodeOptions::DEFAULT,
    }
}

fn check(format: Format, payload: &str, want: &Expect) {
    want.assert_eq(&describe(decode(format, &context("amr/C-01/x"), payload.as_bytes())));
}

/// An rtlamr line with invented numbers.
fn line(kind: &str, message: &str) -> String {
    format!(
        r#"{{"Time":"2026-11-21T10:00:02.123456789Z","Offset":0,"Length":0,"Type":"{kind}","Message":{{{message}}}}}"#
    )
}

fn slots(count: usize, first: &str, rest: &str) -> String {
    std::iter::once(first).chain(std::iter::repeat_n(rest, count - 1)).collect::<Vec<_>>().join(",")
}

#[test]
fn scm_and_its_sisters() {
    check(
        Format::Rtlamr,
        &line(
            "SCM",
            r#""ID":17,"Type":12,"TamperPhy":3,"TamperEnc":2,"Consumption":1978226,"ChecksumVal":1"#,
        ),
        &expect![[r#"
            ert:17 via C-01 heard 2026-11-21T10:00:02.123456Z collector, status `type=12 tamper_phy=3 tamper_enc=2`, repeats 90 s, 1 reads
              register consumption 1978226 mod 16777216 (2026-11-21T10:00:02.123456Z collector)
              event tamper/0 counter `phy=3 enc=2` (2026-11-21T10:00:02.123456Z collector)
        "#]],
    );
    check(
        Format::Rtlamr,
        &line(
            "SCM+",
            r#""ProtocolID":30,"EndpointType":156,"EndpointID":17,"Consumption":20000000,"Tamper":1280"#,
        ),
        &expect![[r#"
            ert:17 via C-01 heard 2026-11-21T10:00:02.123456Z collector, status `type=156 tamper=1280`, repeats 90 s, 1 reads
              register consumption 20000000 mod 4294967296 (2026-11-21T10:00:02.123456Z collector)
              event tamper/1 counter `tamper=1280` (2026-11-21T10:00:02.123456Z collector)
        "#]],
    );
    check(
        Format::Rtl433,
        r#"{"time":"2026-11-21T10:00:02Z","model":"SCMplus","id":17,"ProtocolID":"0x1E","EndpointType":"0x9C","EndpointID":17,"Consumption":20000000,"Tamper":"0x0500","mic":"CRC"}"#,
        &expect![[r#"
            ert:17 via C-01 heard 2026-11-21T10:00:02Z collector, status `type=156 tamper=1280`, repeats 90 s, 1 reads
              register consumption 20000000 mod 4294967296 (2026-11-21T10:00:02Z collector)
              event tamper/1 counter `tamper=1280` (2026-11-21T10:00:02Z collector)
        "#]],
    );
    check(
        Format::Rtl433,
        r#"{"time":"@0.002135s","model":"ERT-SCM","id":17,"physical_tamper":3,"ert_type":12,"encoder_tamper":2,"consumption_data":1978226}"#,
        &expect![[r#"
            ert:17 via C-01 heard 2026-11-21T10:00:05Z arrival, status `type=12 tamper_phy=3 tamper_enc=2`, repeats 90 s, 1 reads
              register consumption 1978226 mod 16777216 suspect (2026-11-21T10:00:05Z arrival)
              event tamper/0 counter `phy=3 enc=2` (2026-11-21T10:00:05Z arrival)
        "#]],
    );
}

#[test]
fn idm_slots_are_placed_oldest_first_on_the_grid() {
    let deltas = slots(47, "511", "24");
    check(
        Format::Rtlamr,
        &line(
            "IDM",
            &format!(
                r#""ERTType":7,"ERTSerialNumber":17,"ConsumptionIntervalCount":76,"TamperCounters":"AwIAcw4A","PowerOutageFlags":"AAAAAAAA","LastConsumptionCount":1978208,"DifferentialConsumptionIntervals":[{deltas}],"TransmitTimeOffset":1600"#
            ),
        ),
        &expect![[r#"
            ert:17 via C-01 heard 2026-11-21T10:00:02.123456Z collector, status `type=7 interval_count=76 power_outage_flags=000000000000`, repeats 90 s, 47 reads
              register consumption 1978208 mod 4294967296 (2026-11-21T10:00:02.123456Z collector)
              series interval ? 300 s from 2026-11-21T06:10:00Z e0: 24 24 24 24 24 24 24 24 24 24 24 24 24 24 24 24 24 24 24 24 24 24 24 24 24 24 24 24 24 24 24 24 24 24 24 24 24 24 24 24 24 24 24 24 24 24 - (2026-11-21T10:00:00Z collector)
              event tamper/2 counter `counters=030200730e00` (2026-11-21T10:00:02.123456Z collector)
        "#]],
    );
    let deltas = slots(47, "600", "24");
    check(
        Format::Rtl433,
        &format!(
            r#"{{"time":"2026-11-21T10:00:02Z","model":"IDM","mic":"CRC","ERTSerialNumber":17,"TamperCounters":"0x030200730e00","LastConsumptionCount":1978208,"DifferentialConsumptionIntervals":[{deltas}]}}"#
        ),
        &expect![[r#"
            ert:17 via C-01 heard 2026-11-21T10:00:02Z collector, repeats 90 s, 1 reads
              register consumption 1978208 mod 4294967296 (2026-11-21T10:00:02Z collector)
              event meter_flag/0 once `bad_value DifferentialConsumptionIntervals=[600,24,24,24,24,24,24,24,24,24,24,24,24,24,24,24,24,24,24,24,24,24,24,24,24,24,24,24,24,24,24,24,24,24,24,24,24,24,24,24,24,24,24,24,24,24,24]` (2026-11-21T10:00:02Z collector)
              event tamper/2 counter `counters=030200730e00` (2026-11-21T10:00:02Z collector)
        "#]],
    );
    let deltas = slots(27, "16383", "600");
    check(
        Format::Rtlamr,
        &line(
            "NetIDM",
            &format!(
                r#""ERTType":7,"ERTSerialNumber":17,"LastGeneration":125,"LastConsumption":-1,"LastConsumptionNet":2223120656,"DifferentialConsumptionIntervals":[{deltas}],"TransmitTimeOffset":0"#
            ),
        ),
        &expect![[r#"
            ert:17 via C-01 heard 2026-11-21T10:00:02.123456Z collector, status `type=7`, repeats 90 s, 28 reads
              register consumption_net 2223120656 mod 4294967296 (2026-11-21T10:00:02.123456Z collector)
              register generation 125 mod 4294967296 (2026-11-21T10:00:02.123456Z collector)
              series interval_net ? 300 s from 2026-11-21T07:50:00Z e0: 600 600 600 600 600 600 600 600 600 600 600 600 600 600 600 600 600 600 600 600 600 600 600 600 600 600 - (2026-11-21T10:00:00Z collector)
              event meter_flag/0 once `bad_value LastConsumption=-1` (2026-11-21T10:00:02.123456Z collector)
        "#]],
    );
}

#[test]
fn r900_sentinels_are_no_values_and_no_leaks() {
    check(
        Format::Rtlamr,
        &line(
            "R900",
            r#""ID":1111111111,"Unkn1":163,"NoUse":34,"BackFlow":1,"Consumption":4555831,"Unkn3":0,"Leak":2,"LeakNow":2"#,
        ),
        &expect![[r#"
            r900:1111111111 via C-01 heard 2026-11-21T10:00:02.123456Z collector, status `no_use=34 back_flow=1 leak=2 leak_now=2 unkn1=163 unkn3=0`, repeats 90 s, 1 reads
              register consumption 4555831 mod 16777216 (2026-11-21T10:00:02.123456Z collector)
              event leak/0 level `leak=2 (3-7 days of 35)` (2026-11-21T10:00:02.123456Z collector)
              event leak_now/0 level `leak_now=2 (flow in all 96 quarter hours)` (2026-11-21T10:00:02.123456Z collector)
              event no_flow/0 level `no_use=2 (3-7 days of 35)` (2026-11-21T10:00:02.123456Z collector)
              event reverse_flow/0 level `back_flow=1` (2026-11-21T10:00:02.123456Z collector)
        "#]],
    );
    check(
        Format::Rtlamr,
        &line(
            "R900",
            r#""ID":5,"Unkn1":161,"NoUse":32,"BackFlow":0,"Consumption":11184810,"Unkn3":0,"Leak":15,"LeakNow":3"#,
        ),
        &expect![[r#"
            r900:5 via C-01 heard 2026-11-21T10:00:02.123456Z collector, status `no_use=32 back_flow=0 leak=15 leak_now=3 unkn1=161 unkn3=0`, repeats 90 s, 0 reads
              register consumption - mod 16777216 (2026-11-21T10:00:02.123456Z collector)
              event register_disconnected/0 level `consumption=0xAAAAAA` (2026-11-21T10:00:02.123456Z collector)
        "#]],
    );
    check(
        Format::Rtl433,
        r#"{"time":"1795255202.5","model":"Neptune-R900","id":1111111111,"unkn1":163,"nouse":0,"backflow":0,"consumption":4555831,"unkn3":"0x00","leak":1,"leaknow":1,"mic":"CRC"}"#,
        &expect![[r#"
            r900:1111111111 via C-01 heard 2026-11-21T10:00:02.5Z collector, status `no_use=0 back_flow=0 leak=1 leak_now=1 unkn1=163 unkn3=0`, repeats 90 s, 1 reads
              register consumption 4555831 mod 16777216 (2026-11-21T10:00:02.5Z collector)
              event leak/0 level `leak=1 (1-2 days of 35)` (2026-11-21T10:00:02.5Z collector)
              event leak_now/0 level `leak_now=1 (flow in 50 of 96 quarter hours or more)` (2026-11-21T10:00:02.5Z collector)
        "#]],
    );
    check(
        Format::Rtlamr,
        &line(
            "R900BCD",
            r#""ID":5,"NoUse":0,"BackFlow":0,"Consumption":223700,"Leak":0,"LeakNow":0"#,
        ),
        &expect![[r#"
            r900:5 via C-01 heard 2026-11-21T10:00:02.123456Z collector, status `no_use=0 back_flow=0 leak=0 leak_now=0`, repeats 90 s, 1 reads
              register consumption 223700 mod 1000000 (2026-11-21T10:00:02.123456Z collector)
        "#]],
    );
}

#[test]
fn badger_counts_gallons() {
    check(
        Format::Rtl433,
        r#"{"time":"2026-11-21 09:59:00Z","model":"Badger-ORION","id":69,"flags_1":0,"volume_gal":690,"flags_2":5,"mic":"CRC"}"#,
        &expect![[r#"
            orion:69 via C-01 heard 2026-11-21T09:59:00Z collector, status `flags_1=0 flags_2=5`, repeats 90 s, 1 reads
              register consumption 690 gal mod 16777216 (2026-11-21T09:59:00Z collector)
        "#]],
    );
    check(
        Format::Rtl433,
        r#"{"time":"2026-11-21T10:59:00+0100","model":"Orion-Endpoint","id":70,"reading":123,"mic":"CRC"}"#,
        &expect![[r#"
            orion:70 via C-01 heard 2026-11-21T09:59:00Z collector, repeats 90 s, 1 reads
              register consumption 1230 gal mod 167772160 (2026-11-21T09:59:00Z collector)
        "#]],
    );
}

#[test]
fn zoneless_stamps_need_a_zone() {
    let event = br#"{"time":"2026-11-21 10:59:58","model":"Badger-ORION","id":69,"volume_gal":690,"mic":"CRC"}"#;
    let mut context = context("rtl_433/pi/events");
    let refused = decode(Format::Rtl433, &context, event).unwrap_err();
    assert_eq!(refused.reason, RejectReason::NoZone);
    let zone = TimeZone::get("Europe/Berlin").unwrap();
    context.zone = Some(&zone);
    expect![[r#"
        orion:69 via C-01 heard 2026-11-21T09:59:58Z collector zone assumed, repeats 90 s, 1 reads
          register consumption 690 gal mod 16777216 (2026-11-21T09:59:58Z collector zone assumed)
    "#]]
    .assert_eq(&describe(decode(Format::Rtl433, &context, event)));
}

#[test]
fn senseless_stamps_become_arrivals() {
    let stamped = |time: &str| {
        format!(r#"{{"Time":{time},"Type":"SCM","Message":{{"ID":17,"Consumption":1}}}}"#)
    };
    check(
        Format::Rtlamr,
        &stamped(r#""yesterday""#),
        &expect![[r#"
        ert:17 via C-01 heard 2026-11-21T10:00:05Z arrival doubtful, repeats 90 s, 1 reads
          register consumption 1 mod 16777216 suspect (2026-11-21T10:00:05Z arrival doubtful)
          event clock_error/0 level `stamp yesterday` (2026-11-21T10:00:05Z arrival doubtful)
    "#]],
    );
    check(
        Format::Rtlamr,
        &stamped(r#""1999-12-31T23:59:59Z""#),
        &expect![[r#"
        ert:17 via C-01 heard 2026-11-21T10:00:05Z arrival doubtful, repeats 90 s, 1 reads
          register consumption 1 mod 16777216 suspect (2026-11-21T10:00:05Z arrival doubtful)
          event clock_error/0 level `stamp 1999-12-31T23:59:59Z` (2026-11-21T10:00:05Z arrival doubtful)
    "#]],
    );
    check(
        Format::Rtlamr,
        &stamped(r#""2026-11-22T10:00:06Z""#),
        &expect![[r#"
        ert:17 via C-01 heard 2026-11-21T10:00:05Z arrival doubtful, repeats 90 s, 1 reads
          register consumption 1 mod 16777216 suspect (2026-11-21T10:00:05Z arrival doubtful)
          event clock_error/0 level `stamp 2026-11-22T10:00:06Z` (2026-11-21T10:00:05Z arrival doubtful)
    "#]],
    );
    check(
        Format::Rtlamr,
        &stamped("null"),
        &expect![[r#"
        ert:17 via C-01 heard 2026-11-21T10:00:05Z arrival, repeats 90 s, 1 reads
          register consumption 1 mod 16777216 (2026-11-21T10:00:05Z arrival)
    "#]],
    );
}

#[test]
fn faulty_messages_are_refused_with_a_reason() {
    let device_topic = "rtl_433/pi/devices/ERT-SCM/17/consumption_data";
    let refused = decode(Format::Rtl433, &context(device_topic), b"562456").unwrap_err();
    assert_eq!(refused.reason, RejectReason::ScalarTopic);
    let mut told = String::new();
    for (format, payload) in [
        (Format::Rtlamr, "not json".to_owned()),
        (Format::Rtlamr, "{}".to_owned()),
        (Format::Rtlamr, r#"{"Type":"SCM"}"#.to_owned()),
        (Format::Rtlamr, line("SCM", r#""Consumption":1"#)),
        (Format::Rtlamr, line("SCM", r#""ID":17"#)),
        (Format::Rtlamr, line("SCM", r#""ID":17,"Consumption":16777216"#)),
        (Format::Rtlamr, line("SCM", r#""ID":17,"Consumption":-1"#)),
        (Format::Rtlamr, line("SCM", r#""ID":17,"Consumption":1.5"#)),
        (Format::Rtlamr, line("SCM", r#""ID":17,"Consumption":"12""#)),
        (Format::Rtlamr, line("SCM", r#""ID":17,"Consumption":1,"Consumption":2"#)),
        (Format::Rtlamr, line("SCM+", r#""EndpointID":17,"Consumption":4294967296"#)),
        (Format::Rtlamr, line("TPMS", r#""ID":17"#)),
        (
            Format::Rtl433,
            r#"{"time":"@1s","model":"Wireless-MBus","id":1,"data":"4e44"}"#.to_owned(),
        ),
        (Format::Rtl433, r#"{"time":"@1s","model":"Acurite-606TX","id":1}"#.to_owned()),
        (Format::Rtl433, r#"{"time":"@1s","id":1}"#.to_owned()),
        (Format::Wmbusmeters, r#"{"_":"telegram","name":"X","total_m3":1}"#.to_owned()),
        (Format::Wmbusmeters, r#"{"id":"1","total_m3":1,"total_m3":2}"#.to_owned()),
    ] {
        let context = context("t");
        let refused = decode(format, &context, payload.as_bytes()).unwrap_err();
        told.push_str(&format!("{refused}\n"));
    }
    expect![[r#"
        bad_json: expected ident at line 1 column 2
        bad_format: `Type` is no text
        bad_format: `Message` is no object
        no_identity: no number in `ID`
        bad_format: `Consumption` is absent
        out_of_range: `Consumption` is 16777216; wanted a whole number below 2^24
        bad_value: `Consumption` is -1; wanted a whole number below 2^24
        bad_value: `Consumption` is 1.5; wanted a whole number below 2^24
        bad_value: `Consumption` is 12; wanted a whole number below 2^24
        bad_json: duplicate key `Consumption` at line 1 column 38
        out_of_range: `Consumption` is 4294967296; wanted a whole number below 2^32
        unknown_type: `Type` TPMS is none of SCM, SCM+, IDM, NetIDM, R900, R900BCD
        bad_format: 2 bytes are no telegram
        unknown_type: model Acurite-606TX is no known meter
        bad_format: `model` is no text
        no_identity: `id` is absent or empty
        bad_json: duplicate key `total_m3` at line 1 column 33
    "#]]
    .assert_eq(&told);
}

#[test]
fn a_null_counter_is_not_available() {
    check(
        Format::Rtlamr,
        &line("SCM", r#""ID":17,"Consumption":null"#),
        &expect![[r#"
        ert:17 via C-01 heard 2026-11-21T10:00:02.123456Z collector, repeats 90 s, 0 reads
          register consumption - mod 16777216 (2026-11-21T10:00:02.123456Z collector)
    "#]],
    );
}

#[test]
fn wmbus_units_history_and_flags() {
    check(
        Format::Wmbusmeters,
        r#"{"_":"telegram","media":"cold water","meter":"kamwater","name":"Tap","id":"00123456",
            "total_m3":12.345,"target_m3":10.5,"target_date":"2026-10-31","max_flow_m3h":0.75,
            "flow_temperature_c":127,"external_temperature_c":21,"battery_v":3.05,
            "April_total_m3":9.1,"consumption_1_hca":627,"consumption_1":"2026-01-01",
            "volume_delta_1_m3":null,"power_factor":0.98,"odd_m3":"n/a","huge_kwh":1e400,
            "status":"DRY LEAKING LEAK PINK_ELEPHANT","current_status":"OK","rssi_dbm":-71,
            "historic_status":"BURST","meter_datetime":"2026-11-21 09:58",
            "timestamp":"2026-11-21T10:00:01Z"}"#,
        &expect![[r#"
            wmbus:00123456 via C-01 heard 2026-11-21T10:00:01Z collector, rssi -71, 3050 mV, status `status=DRY LEAKING LEAK PINK_ELEPHANT current_status=OK historic_status=BURST`, repeats 90 s, 8 reads
              register total_m3 12.345 m3 (2026-11-21T10:00:01Z collector)
              register target_m3 10.5 m3 history (2026-10-31T00:00:00Z device zone assumed)
              instant max_flow_m3h 0.75 m3/h (2026-11-21T10:00:01Z collector)
              instant flow_temperature_c - C (2026-11-21T10:00:01Z collector)
              instant external_temperature_c 21 C (2026-11-21T10:00:01Z collector)
              instant battery_v 3.05 V (2026-11-21T10:00:01Z collector)
              register April_total_m3 9.1 m3 history suspect (2026-11-21T10:00:01Z collector doubtful)
              register consumption_1_hca 627 count history (2026-01-01T00:00:00Z device zone assumed)
              register volume_delta_1_m3 - m3 history suspect (2026-11-21T10:00:01Z collector doubtful)
              instant power_factor 0.98 (2026-11-21T10:00:01Z collector)
              event dry/0 level `DRY` (2026-11-21T10:00:01Z collector)
              event leak/0 level `LEAKING LEAK` (2026-11-21T10:00:01Z collector)
              event meter_flag/0 level `PINK_ELEPHANT` (2026-11-21T10:00:01Z collector)
              event meter_flag/1 once `bad_value odd_m3=n/a` (2026-11-21T10:00:01Z collector)
              event meter_flag/2 once `bad_value huge_kwh=1e400` (2026-11-21T10:00:01Z collector)
        "#]],
    );
}

#[test]
fn wmbus_faults_make_values_suspect() {
    check(
        Format::Wmbusmeters,
        r#"{"_":"telegram","meter":"x","id":"77","total_kwh":1.5,"status":"PERMANENT_ERROR POWER_LOW BATTERY_LOW","timestamp":"2026-11-21T10:00:01Z"}"#,
        &expect![[r#"
            wmbus:77 via C-01 heard 2026-11-21T10:00:01Z collector, status `status=PERMANENT_ERROR POWER_LOW BATTERY_LOW`, repeats 90 s, 1 reads
              register total_kwh 1.5 kWh suspect (2026-11-21T10:00:01Z collector)
              event hardware_fault/0 level `PERMANENT_ERROR` (2026-11-21T10:00:01Z collector)
              event battery_low/0 level `POWER_LOW BATTERY_LOW` (2026-11-21T10:00:01Z collector)
        "#]],
    );
    check(
        Format::Wmbusmeters,
        r#"{"_":"telegram","meter":"x","id":77,"total_gj":1.5,"status":"OK","device_datetime":"2036-01-01 00:00","timestamp":"1111-11-11T11:11:11Z"}"#,
        &expect![[r#"
            wmbus:77 via C-01 heard 2026-11-21T10:00:05Z arrival doubtful, status `status=OK`, repeats 90 s, 1 reads
              register total_gj 1.5 GJ suspect (2026-11-21T10:00:05Z arrival doubtful)
              event clock_error/0 level `stamp 1111-11-11T11:11:11Z` (2026-11-21T10:00:05Z arrival doubtful)
        "#]],
    );
    check(
        Format::Wmbusmeters,
        r#"{"_":"telegram","meter":"x","id":"77","total_m3":1,"device_datetime":"1999-01-01 00:00","timestamp":"2026-11-21T10:00:01Z"}"#,
        &expect![[r#"
            wmbus:77 via C-01 heard 2026-11-21T10:00:01Z collector, repeats 90 s, 1 reads
              register total_m3 1 m3 (2026-11-21T10:00:01Z collector)
              event clock_error/0 level `device clock 1999-01-01 00:00` (2026-11-21T10:00:01Z collector)
        "#]],
    );
}
