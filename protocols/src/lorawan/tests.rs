use expect_test::{Expect, expect};
use metering::UtcTime;

use crate::Mapping;
use crate::describe::describe;
use crate::format::{DecodeContext, Format, decode};
use crate::options::DecodeOptions;

const OBJECT: &str = r#"
[mapping]
name = "water"
format = "object"

[[channel]]
path = "/volume_l"
field = "volume"
unit = "L"
kind = "cumulative"
"#;

fn check(format: Format, topic: &str, payload: &str, want: &Expect) {
    let mapping = Mapping::parse(OBJECT).unwrap();
    let context = DecodeContext {
        topic,
        received_at: UtcTime::parse_rfc3339("2026-11-21T10:00:05Z").unwrap(),
        zone: None,
        collector: None,
        mapping: Some(&mapping),
        options: &DecodeOptions::DEFAULT,
    };
    want.assert_eq(&describe(decode(format, &context, payload.as_bytes())));
}

#[test]
fn chirpstack_frames_are_read_by_the_mapping_and_absent_means_zero() {
    check(
        Format::Chirpstack,
        "application/a/device/0102030405060708/event/up",
        r#"{"deduplicationId":"x","time":"2026-11-21T10:00:00.123456789+00:00",
            "deviceInfo":{"devEui":"0102030405060708"},"fPort":2,"data":"qg==",
            "object":{"volume_l":4711.5},"rxInfo":[{"rssi":-97},{"rssi":-81,"snr":3.5}]}"#,
        &expect![[r#"
            deveui:0102030405060708 heard 2026-11-21T10:00:00.123456Z collector, rssi -81, status `f_cnt=0 f_port=2 data=qg==`, 2 reads
              instant f_cnt 0 count (2026-11-21T10:00:00.123456Z collector)
              register volume 4711.5 L (2026-11-21T10:00:00.123456Z collector)
        "#]],
    );
}

#[test]
fn chirpstack_events_tell_battery_join_and_errors() {
    let topic = |event: &str| format!("application/a/device/0102030405060708/event/{event}");
    let head = r#""time":"2026-11-21T10:00:00Z","deviceInfo":{"devEui":"0102030405060708"}"#;
    for (event, rest, want) in [
        (
            "status",
            r#","margin":-3,"batteryLevel":88.3"#,
            expect![[r#"
            deveui:0102030405060708 heard 2026-11-21T10:00:00Z collector, status `external_power=false`, 2 reads
              instant battery_percent 88.3 (2026-11-21T10:00:00Z collector)
              instant margin -3 (2026-11-21T10:00:00Z collector)
        "#]],
        ),
        (
            "status",
            r#","externalPowerSource":true"#,
            expect![[r#"
            deveui:0102030405060708 heard 2026-11-21T10:00:00Z collector, status `external_power=true`, 1 reads
              instant margin 0 (2026-11-21T10:00:00Z collector)
        "#]],
        ),
        (
            "join",
            r#","devAddr":"00189440""#,
            expect![[r#"
            deveui:0102030405060708 heard 2026-11-21T10:00:00Z collector, 0 reads
              event link_up/0 once `joined as 00189440` (2026-11-21T10:00:00Z collector)
        "#]],
        ),
        (
            "log",
            r#","level":"ERROR","code":"UPLINK_MIC","description":"bad""#,
            expect![[r#"
            deveui:0102030405060708 heard 2026-11-21T10:00:00Z collector, 0 reads
              event meter_flag/0 once `ERROR UPLINK_MIC bad` (2026-11-21T10:00:00Z collector)
        "#]],
        ),
        ("txack", "", expect![[""]]),
        (
            "up",
            r#","simulated":true"#,
            expect![[r#"
            refused simulated: `simulated` is true: set accept_simulated = true to take messages of simulated devices
        "#]],
        ),
        (
            "other",
            "",
            expect![[r#"
            refused unknown_type: event other is none of up, status, join, log, ack, txack, location, integration
        "#]],
        ),
    ] {
        check(Format::Chirpstack, &topic(event), &format!("{{{head}{rest}}}"), &want);
    }
    check(
        Format::Chirpstack,
        &topic("up"),
        "\n\u{24}binary",
        &expect![[r#"
        refused bad_format: the payload does not begin with `{`: set the server's integration to JSON, not Protobuf
    "#]],
    );
    check(
        Format::Chirpstack,
        &topic("up"),
        r#"{"deviceInfo":{"devEui":"1"}}"#,
        &expect![[r#"
        refused no_identity: `deviceInfo.devEui` is no device EUI
    "#]],
    );
}

#[test]
fn the_things_stack_gives_the_same_device_and_no_downlinks() {
    let ids = r#""end_device_ids":{"device_id":"d","dev_eui":"0004A30B001C0530","dev_addr":"0F"}"#;
    let topic = "v3/app@tenant/devices/d/up";
    for (rest, want) in [
        (
            r#""received_at":"2026-11-21T10:00:02Z","uplink_message":{"f_cnt":7,
               "received_at":"2026-11-21T10:00:01.5Z","frm_payload":"gkHe",
               "decoded_payload":{"volume_l":12},"rx_metadata":[{"rssi":-35}],
               "last_battery_percentage":{"value":91.5}}"#,
            expect![[r#"
                deveui:0004a30b001c0530 heard 2026-11-21T10:00:01.5Z collector, rssi -35, status `f_cnt=7 f_port=0 frm_payload=gkHe`, 3 reads
                  instant f_cnt 7 count (2026-11-21T10:00:01.5Z collector)
                  instant battery_percent 91.5 (2026-11-21T10:00:01.5Z collector)
                  register volume 12 L (2026-11-21T10:00:01.5Z collector)
            "#]],
        ),
        (
            r#""received_at":"2026-11-21T10:00:02Z","join_accept":{}"#,
            expect![[r#"
            deveui:0004a30b001c0530 heard 2026-11-21T10:00:02Z collector, 0 reads
              event link_up/0 once `joined as 0F` (2026-11-21T10:00:02Z collector)
        "#]],
        ),
        (r#""downlink_ack":{"f_cnt":1}"#, expect![[""]]),
        (
            r#""simulated":true,"uplink_message":{}"#,
            expect![[r#"
            refused simulated: `simulated` is true: set accept_simulated = true to take messages of simulated devices
        "#]],
        ),
        (
            r#""x":1"#,
            expect![[r#"
            refused unknown_type: none of uplink_message, join_accept and the downlink messages
        "#]],
        ),
    ] {
        check(Format::TheThings, topic, &format!("{{{ids},{rest}}}"), &want);
    }
}
