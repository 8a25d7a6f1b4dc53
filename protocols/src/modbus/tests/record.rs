use super::*;
use crate::describe::describe;
use crate::format::{DecodeContext, Format, decode};
use crate::modbus::profile::Use;
use crate::modbus::record::{EventRecord, PollRecord, ReadRecord, ValueRecord};
use expect_test::expect;
use metering::{EventCode, Unit};

fn record() -> PollRecord {
    let value = |channel: &str, use_, unit, value: Option<&str>| ValueRecord {
        channel: channel.to_owned(),
        use_,
        unit,
        value: value.map(|text| text.parse().unwrap()),
        float: true,
    };
    PollRecord {
        source: "modbus:gw1/3".to_owned(),
        gateway: "gw1".to_owned(),
        unit: 3,
        collector: Some("C-01".to_owned()),
        profile: "eastron-sdm630".to_owned(),
        reads: vec![ReadRecord {
            at: UtcTime::from_micros(1_800_000_900_250_000),
            request: vec![4, 0, 0x48, 0, 2],
            response: vec![4, 4, 0x46, 0x40, 0xE6, 0xB6],
            values: vec![
                value(
                    "energy_active_import_total",
                    Use::Cumulative,
                    Unit::KilowattHour,
                    Some("12345.678"),
                ),
                value("voltage_l1", Use::Instant, Unit::Volt, None),
            ],
        }],
        events: vec![EventRecord {
            code: EventCode::MeterFlag,
            at: UtcTime::from_seconds(1_800_000_901),
            detail: "modbus_profile: x".to_owned(),
        }],
        status: vec!["serial_number=4711".to_owned()],
    }
}

fn read(payload: &[u8]) -> String {
    let context = DecodeContext {
        topic: "$modbus/gw1/3",
        received_at: UtcTime::from_seconds(1_800_000_902),
        zone: None,
        collector: None,
        mapping: None,
        options: &crate::DecodeOptions::DEFAULT,
    };
    describe(decode(Format::ModbusPoll, &context, payload))
}

#[test]
fn a_poll_becomes_a_report() {
    let payload = record().encode();
    expect![[r#"{"v":1,"source":"modbus:gw1/3","gateway":"gw1","unit":3,"collector":"C-01","profile":"eastron-sdm630","reads":[{"at":"2027-01-15T08:15:00.25Z","request":"04 00 48 00 02","response":"04 04 46 40 E6 B6","values":[{"channel":"energy_active_import_total","kind":"cumulative","unit":"kWh","value":"12345.678","float":true},{"channel":"voltage_l1","kind":"instant","unit":"V","value":null,"float":true}]}],"events":[{"code":"meter_flag","at":"2027-01-15T08:15:01Z","detail":"modbus_profile: x"}],"status":["serial_number=4711"]}"#]]
    .assert_eq(&String::from_utf8(payload.clone()).unwrap());
    expect![[r#"
        modbus:gw1/3 via C-01 heard 2027-01-15T08:15:00.25Z collector, status `serial_number=4711`, 1 reads
          register energy_active_import_total 12345.678 kWh (2027-01-15T08:15:00.25Z collector)
          instant voltage_l1 - V (2027-01-15T08:15:00.25Z collector)
          event meter_flag/0 once `modbus_profile: x` (2027-01-15T08:15:01Z collector)
    "#]]
    .assert_eq(&read(&payload));
}

#[test]
fn what_is_no_poll_is_refused() {
    let good = String::from_utf8(record().encode()).unwrap();
    let mut said = String::new();
    for (from, to) in [
        ("{\"v\":1", "{\"v\":2"),
        ("modbus:gw1/3", "gw1"),
        ("energy_active_import_total", "energy"),
        ("\"kWh\"", "\"V\""),
        ("12345.678", "twelve"),
        ("cumulative", "instant"),
        ("04 00 48", "4 00 48"),
        ("meter_flag", "flag"),
        ("2027-01-15T08:15:00.25Z", "2027-01-15 08:15"),
        ("\"unit\":3", "\"unit\":3,\"x\":1"),
        ("}", "]"),
    ] {
        assert!(good.contains(from), "{from}");
        said += &read(good.replacen(from, to, 1).as_bytes());
    }
    expect![[r#"
        refused bad_format: version 2 is not 1
        refused no_identity: `source` is no family:id
        refused bad_format: `energy` is no channel
        refused bad_format: energy_active_import_total is not in V
        refused bad_value: energy_active_import_total `twelve`: not a decimal number
        refused bad_format: energy_active_import_total is not `instant`
        refused bad_format: `request` and `response` are hex bytes
        refused bad_format: `flag` is no event code
        refused bad_format: `2027-01-15 08:15` is no UTC time
        refused bad_format: unknown field `x`, expected one of `v`, `source`, `gateway`, `unit`, `collector`, `profile`, `reads`, `events`, `status` at line 1 column 59
        refused bad_json: expected `,` or `}` at line 1 column 317
    "#]]
    .assert_eq(&said);
    let late = good.replace("2027-01-15T08:15:00.25Z", "1999-01-15T08:15:00.25Z");
    assert!(read(late.as_bytes()).contains("arrival doubtful"));
}
