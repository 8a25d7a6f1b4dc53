use expect_test::{Expect, expect};
use metering::{Exact, Unit, UtcTime};
use proptest::prelude::*;

use super::{
    Bundle, EventPart, InstantPart, RegisterPart, SeriesPart, VALUES_MAX, encode, encode_heartbeat,
};
use crate::describe::describe;
use crate::format::{DecodeContext, Format, decode};
use crate::observation::Observation;

fn at(text: &str) -> UtcTime {
    UtcTime::parse_rfc3339(text).unwrap()
}

fn context() -> DecodeContext<'static> {
    DecodeContext {
        topic: "ami/up/E-1001",
        received_at: at("2026-11-21T10:00:05Z"),
        zone: None,
        collector: None,
        mapping: None,
        options: &crate::DecodeOptions::DEFAULT,
    }
}

fn check(payload: &str, want: &Expect) {
    want.assert_eq(&describe(decode(Format::Bundle, &context(), payload.as_bytes())));
}

#[test]
fn a_full_bundle_is_read() {
    check(
        r#"{"v":1,"meter":"E-1001","collector":"C-01","sent":"2026-11-21T10:00:03Z","rssi":-81,
            "battery_mv":3610,"status":["battery_low","PINK"],
            "series":[{"field":"energy_import","unit":"Wh","len":900,"end":"2026-11-21T08:15:00Z",
                       "exp":0,"values":[120,118,null],"flags":[0,16,0]}],
            "registers":[{"field":"energy_import","unit":"kWh","at":"2026-11-21T08:00:00Z",
                          "value":"12345.678"},
                         {"field":"r2","at":"2026-11-21T08:00:00Z","value":7.50,"history":true}],
            "instants":[{"field":"voltage","unit":"V","at":"2026-11-21T08:00:00Z","value":null}],
            "events":[{"code":"tamper","at":"2026-11-21T07:59:00Z","seq":4,"detail":"a \"b\""},
                      {"code":"pink","at":"2026-11-21T07:59:00Z"}]}"#,
        &expect![[r#"
            ami:E-1001 via C-01 heard 2026-11-21T10:00:03Z device, rssi -81, 3610 mV, status `battery_low PINK`, 4 reads
              series energy_import Wh 900 s from 2026-11-21T08:15:00Z e0: 120 118[power fail] - (2026-11-21T08:45:00Z device)
              register energy_import 12345.678 kWh (2026-11-21T08:00:00Z device)
              register r2 7.50 history (2026-11-21T08:00:00Z device)
              instant voltage - V (2026-11-21T08:00:00Z device)
              event battery_low/0 level `` (2026-11-21T10:00:03Z device)
              event meter_flag/0 level `PINK` (2026-11-21T10:00:03Z device)
              event tamper/4 once `a "b"` (2026-11-21T07:59:00Z device)
              event meter_flag/0 once `pink:` (2026-11-21T07:59:00Z device)
        "#]],
    );
}

#[test]
fn a_heartbeat_and_a_list_are_read() {
    check(
        r#"[{"v":1,"collector":"C-01","heartbeat":"2026-11-21T10:00:00Z"},{"v":1,"meter":"W-2"}]"#,
        &expect![[r#"
            collector:C-01 via C-01 heard 2026-11-21T10:00:00Z collector, 0 reads
              event heartbeat/0 once `` (2026-11-21T10:00:00Z collector)
            ami:W-2 heard 2026-11-21T10:00:05Z arrival, 0 reads
        "#]],
    );
}

#[test]
fn absurd_stamps_are_kept_but_doubted_and_told_once() {
    check(
        r#"{"v":1,"meter":"E-1","sent":"1970-01-01T00:00:09Z",
            "registers":[{"field":"a","at":"1970-01-01T00:00:00Z","value":1},
                         {"field":"b","at":"2026-11-23T00:00:00Z","value":2}]}"#,
        &expect![[r#"
            ami:E-1 heard 2026-11-21T10:00:05Z arrival doubtful, 2 reads
              register a 1 (1970-01-01T00:00:00Z device doubtful)
              register b 2 (2026-11-23T00:00:00Z device doubtful)
              event clock_error/0 level `stamp 1970-01-01T00:00:09Z` (2026-11-21T10:00:05Z arrival)
        "#]],
    );
}

/// The refusals of many payloads, each after the payload's first characters.
fn refusals(payloads: &[String]) -> String {
    let mut told = String::new();
    for payload in payloads {
        let refused = decode(Format::Bundle, &context(), payload.as_bytes()).unwrap_err();
        let shown: String = payload.chars().take(150).collect();
        told.push_str(&format!("{shown}\n    {refused}\n"));
    }
    told
}

#[test]
fn every_rule_of_the_envelope_refuses_with_its_reason() {
    let payloads = [
        "hello",
        "{",
        r#"{"v":1,"meter":"E","meter":"F"}"#,
        r#"{"v":1,"meter":"E","color":"red"}"#,
        r#"{"v":2,"meter":"E"}"#,
        r#"{"v":1}"#,
        r#"{"v":1,"heartbeat":"2026-11-21T10:00:00Z"}"#,
        r#"{"v":1,"meter":"E","collector":"C","heartbeat":"2026-11-21T10:00:00Z"}"#,
        r#"{"v":1,"meter":""}"#,
        r#"{"v":1,"meter":"E","sent":"today"}"#,
    ];
    let mut payloads: Vec<String> = payloads.into_iter().map(str::to_owned).collect();
    payloads.push(format!("[{}]", vec![r#"{"v":1,"meter":"E"}"#; 1001].join(",")));
    expect![[r#"
        hello
            bad_format: the first byte must be `{` or `[` (JSON) or `v` (CSV header `v1,meter,...`)
        {
            bad_json: EOF while parsing an object at line 1 column 1
        {"v":1,"meter":"E","meter":"F"}
            bad_format: duplicate field `meter` at line 1 column 26
        {"v":1,"meter":"E","color":"red"}
            bad_format: unknown field `color`, expected one of `v`, `meter`, `collector`, `heartbeat`, `sent`, `rssi`, `battery_mv`, `status`, `series`, `registers`, `instants`, `events` at line 1 column 26
        {"v":2,"meter":"E"}
            bad_format: version 2 is not known, write "v":1
        {"v":1}
            no_identity: neither `meter` nor `heartbeat`
        {"v":1,"heartbeat":"2026-11-21T10:00:00Z"}
            no_identity: a heartbeat needs `collector`
        {"v":1,"meter":"E","collector":"C","heartbeat":"2026-11-21T10:00:00Z"}
            bad_format: a heartbeat carries no meter and no values
        {"v":1,"meter":""}
            bad_format: meter `` must be 1 to 64 printable ASCII characters
        {"v":1,"meter":"E","sent":"today"}
            bad_format: sent `today` is no time: write 2026-11-21T10:00:00Z
        [{"v":1,"meter":"E"},{"v":1,"meter":"E"},{"v":1,"meter":"E"},{"v":1,"meter":"E"},{"v":1,"meter":"E"},{"v":1,"meter":"E"},{"v":1,"meter":"E"},{"v":1,"m
            bad_format: invalid length 1001, expected a list of at most 1000 items at line 1 column 20021
    "#]].assert_eq(&refusals(&payloads));
}

#[test]
fn every_rule_of_the_values_refuses_with_its_reason() {
    let series = |part: &str| {
        format!(
            r#"{{"v":1,"meter":"E","series":[{{"field":"a","end":"2026-11-21T08:15:00Z",{part}}}]}}"#
        )
    };
    let register = |part: &str| {
        format!(r#"{{"v":1,"meter":"E","registers":[{{"at":"2026-11-21T08:15:00Z",{part}}}]}}"#)
    };
    let long = vec!["0"; VALUES_MAX + 1].join(",");
    expect![[r#"
        {"v":1,"meter":"E","series":[{"field":"a","end":"2026-11-21T08:15:00Z","len":0,"values":[1]}]}
            bad_format: len 0 must be 1 to 2678400 seconds
        {"v":1,"meter":"E","series":[{"field":"a","end":"2026-11-21T08:15:00Z","len":900,"values":[]}]}
            bad_format: a series without values
        {"v":1,"meter":"E","series":[{"field":"a","end":"2026-11-21T08:15:00Z","len":900,"values":[1.5]}]}
            bad_format: invalid type: floating point `1.5`, expected i64 at line 1 column 94
        {"v":1,"meter":"E","series":[{"field":"a","end":"2026-11-21T08:15:00Z","len":900,"values":[NaN]}]}
            bad_json: expected value at line 1 column 92
        {"v":1,"meter":"E","series":[{"field":"a","end":"2026-11-21T08:15:00Z","len":900,"values":[1],"flags":[0,0]}]}
            bad_format: 2 flags for 1 values
        {"v":1,"meter":"E","series":[{"field":"a","end":"2026-11-21T08:15:00Z","len":900,"exp":13,"values":[1]}]}
            bad_format: exp 13 must be -12 to 12
        {"v":1,"meter":"E","series":[{"field":"a","end":"2026-11-21T08:15:00Z","len":900,"unit":"parsec","values":[1]}]}
            bad_format: `parsec` is no known unit: write for example kWh, Wh, m3, L, gal, ft3, CCF, V or W
        {"v":1,"meter":"E","series":[{"field":"a","end":"2026-11-21T08:15:00Z","len":900,"values":[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0
            bad_format: invalid length 4001, expected a list of at most 4000 items at line 1 column 8093
        {"v":1,"meter":"E","registers":[{"at":"2026-11-21T08:15:00Z","field":"a","value":"x"}]}
            bad_value: value `"x"` of field `a`: not a decimal number
        {"v":1,"meter":"E","registers":[{"at":"2026-11-21T08:15:00Z","field":"a","value":{"b":1}}]}
            bad_value: value `{"b":1}` of field `a`: not a decimal number
        {"v":1,"meter":"E","registers":[{"at":"2026-11-21T08:15:00Z","field":"a","value":1e99}]}
            bad_value: value `1e99` of field `a`: the number has more digits than 18
        {"v":1,"meter":"E","registers":[{"at":"2026-11-21T08:15:00Z","field":"a"}]}
            bad_format: missing field `value` at line 1 column 73
        {"v":1,"meter":"E","registers":[{"at":"2026-11-21T08:15:00Z","field":"\u0007","value":1}]}
            bad_format: field `?` must be 1 to 64 printable ASCII characters
    "#]].assert_eq(&refusals(&[
        series(r#""len":0,"values":[1]"#),
        series(r#""len":900,"values":[]"#),
        series(r#""len":900,"values":[1.5]"#),
        series(r#""len":900,"values":[NaN]"#),
        series(r#""len":900,"values":[1],"flags":[0,0]"#),
        series(r#""len":900,"exp":13,"values":[1]"#),
        series(r#""len":900,"unit":"parsec","values":[1]"#),
        series(&format!(r#""len":900,"values":[{long}]"#)),
        register(r#""field":"a","value":"x""#),
        register(r#""field":"a","value":{"b":1}"#),
        register(r#""field":"a","value":1e99"#),
        register(r#""field":"a""#),
        register(r#""field":"\u0007","value":1"#),
    ]));
}

#[test]
fn csv_rows_grow_into_series() {
    check(
        "v1,meter,field,kind,unit,time,len,value,flags\n\
         C-3,W-1,volume,interval,L,2026-11-21T08:15:00Z,900,12,\n\
         C-3,W-1,volume,interval,L,2026-11-21T08:30:00Z,900,,16\n\
         C-3,W-1,volume,interval,L,2026-11-21T08:45:00Z,900,0.5,\n\
         ,W-2,volume,register,m3,2026-11-21T08:45:00Z,,17.250,\n\
         ,W-2,temp,instant,C,2026-11-21T08:45:00Z,,-3,\n",
        &expect![[r#"
            ami:W-1 via C-3 heard 2026-11-21T10:00:05Z arrival, 2 reads
              series volume L 900 s from 2026-11-21T08:15:00Z e0: 12 -[power fail] (2026-11-21T08:30:00Z device)
              series volume L 900 s from 2026-11-21T08:45:00Z e-1: 5 (2026-11-21T08:45:00Z device)
            ami:W-2 heard 2026-11-21T10:00:05Z arrival, 2 reads
              register volume 17.250 m3 (2026-11-21T08:45:00Z device)
              instant temp -3 C (2026-11-21T08:45:00Z device)
        "#]],
    );
    check(
        "v1,meter\n",
        &expect![[r#"
        refused bad_format: the header must be `v1,meter,field,kind,unit,time,len,value,flags`
    "#]],
    );
    check(
        "v1,meter,field,kind,unit,time,len,value,flags\n,W-1,volume,magic,L,2026-11-21T08:15:00Z,900,12,\n",
        &expect![[r#"
            refused bad_format: line 2: kind `magic` is none of interval, register, instant
        "#]],
    );
}

#[test]
fn what_the_encoder_writes_is_read_back() {
    let stamp = at("2026-11-21T08:15:00Z");
    let values = [Some(5), None, Some(-7)];
    let mut out = Vec::new();
    encode(
        &Bundle {
            meter: "M \"1\"",
            collector: Some("C-9"),
            sent: Some(stamp),
            rssi_dbm: Some(-99),
            battery_mv: Some(2_950),
            status: &["battery_low"],
            series: &[SeriesPart {
                field: "volume",
                unit: Some(Unit::Litre),
                len_s: 900,
                first_end: stamp,
                exponent: -1,
                values: &values,
                flags: &[0, 1 << 13, 0],
            }],
            registers: &[
                RegisterPart {
                    field: "volume",
                    unit: Some(Unit::CubicMetre),
                    at: stamp,
                    value: Exact::new(12_345, -3).ok(),
                },
                RegisterPart { field: "other", unit: None, at: stamp, value: None },
            ],
            instants: &[InstantPart {
                field: "temperature",
                unit: Some(Unit::Celsius),
                at: stamp,
                value: Some(Exact::whole(-4)),
            }],
            events: &[EventPart { code: "tamper", at: stamp, seq: 2, detail: "x\n" }],
        },
        &mut out,
    );
    let text = String::from_utf8(out.clone()).unwrap();
    expect![[r#"{"v":1,"meter":"M \"1\"","collector":"C-9","sent":"2026-11-21T08:15:00Z","rssi":-99,"battery_mv":2950,"status":["battery_low"],"series":[{"field":"volume","unit":"L","len":900,"end":"2026-11-21T08:15:00Z","exp":-1,"values":[5,null,-7],"flags":[0,8192,0]}],"registers":[{"field":"volume","unit":"m3","at":"2026-11-21T08:15:00Z","value":12.345},{"field":"other","at":"2026-11-21T08:15:00Z","value":null}],"instants":[{"field":"temperature","unit":"C","at":"2026-11-21T08:15:00Z","value":-4}],"events":[{"code":"tamper","at":"2026-11-21T08:15:00Z","seq":2,"detail":"x\u000a"}]}"#]].assert_eq(&text);
    check(
        &text,
        &expect![[r#"
            ami:M "1" via C-9 heard 2026-11-21T08:15:00Z device, rssi -99, 2950 mV, status `battery_low`, 4 reads
              series volume L 900 s from 2026-11-21T08:15:00Z e-1: 5 -[not recording] -7 (2026-11-21T08:45:00Z device)
              register volume 12.345 m3 (2026-11-21T08:15:00Z device)
              register other - (2026-11-21T08:15:00Z device)
              instant temperature -4 C (2026-11-21T08:15:00Z device)
              event battery_low/0 level `` (2026-11-21T08:15:00Z device)
              event tamper/2 once `x?` (2026-11-21T08:15:00Z device)
        "#]],
    );
    out.clear();
    encode_heartbeat("C-9", stamp, &mut out);
    expect![[r#"{"v":1,"collector":"C-9","heartbeat":"2026-11-21T08:15:00Z"}"#]]
        .assert_eq(std::str::from_utf8(&out).unwrap());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_series_survives_the_wire(
        values in prop::collection::vec(prop::option::of(any::<i64>()), 1..120),
        len_s in 1_i32..=86_400,
        exponent in -12_i8..=12,
        end_s in 946_684_800_i64..1_900_000_000,
        with_flags in any::<bool>(),
    ) {
        let first_end = UtcTime::from_seconds(end_s);
        let flags: Vec<u16> = if with_flags { vec![1 << 6; values.len()] } else { Vec::new() };
        let mut out = Vec::new();
        let part = SeriesPart {
            field: "volume", unit: Some(Unit::Litre), len_s, first_end, exponent,
            values: &values, flags: &flags,
        };
        encode(&Bundle { meter: "M", series: &[part], ..Bundle::default() }, &mut out);
        let reports = decode(Format::Bundle, &context(), &out).unwrap();
        let Observation::Series { len_s: l, first_end: f, exponent: e, values: v, .. } =
            &reports[0].observations[0] else { panic!("no series") };
        prop_assert_eq!((*l, *f, *e, v), (len_s, first_end, exponent, &values));
        prop_assert_eq!(reports[0].reads(), values.iter().flatten().count() as u64);
    }
}
