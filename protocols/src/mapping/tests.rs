//! Payloads of many shapes beside what is made of them.

use expect_test::{Expect, expect};
use metering::UtcTime;

use super::{Mapping, Preset, Shape, presets};
use crate::describe::describe;
use crate::{DecodeContext, Digits, Format, Observation, ObservedTime, decode};

fn context<'a>(mapping: &'a Mapping, topic: &'a str) -> DecodeContext<'a> {
    DecodeContext {
        topic,
        received_at: UtcTime::parse_rfc3339("2026-11-22T10:00:00Z").unwrap(),
        zone: None,
        collector: None,
        mapping: Some(mapping),
        options: &crate::options::DecodeOptions::DEFAULT,
    }
}

fn check(text: &str, (topic, payload): (&str, &str), want: &Expect) {
    let mapping = Mapping::parse(text).unwrap_or_else(|faults| panic!("{faults}"));
    let decoded = decode(Format::Mapping, &context(&mapping, topic), payload.as_bytes());
    want.assert_eq(&describe(decoded));
}

const PLANT: &str = r#"
[mapping]
name = "plant"
filter = "plant/+/energy"
id = "/meter/serial"
collector_level = 2

[time]
path = "/ts"
format = "epoch_ms"

[[channel]]
field = "import"
path = "/energy/total"
unit = "kWh"
kind = "cumulative"
multiplier = "0.001"
absent = [-1, "N/A"]

[[channel]]
field = "power"
path = "/phases/*/p"
unit = "W"
kind = "instant"

[[event]]
path = "/alarm"
equals = ["LEAK", 7]
event = "leak"

[[event]]
path = "/flags"
mask = 0x04
event = "tamper"

[battery]
path = "/vbat"
unit = "V"
"#;

#[test]
fn an_object_with_a_list_of_phases() {
    check(
        PLANT,
        (
            "plant/hall-3/energy",
            r#"{"meter":{"serial":"A17"},"ts":1795341000123,"energy":{"total":12345678},
                "phases":[{"p":-12.5},{"p":null},{"q":1}],"alarm":"LEAK","flags":6,"vbat":3.612}"#,
        ),
        &expect![[r"
            mqtt:A17 via hall-3 heard 2026-11-22T09:50:00.123Z device, 3612 mV, 2 reads
              register import 12345.678 kWh (2026-11-22T09:50:00.123Z device)
              instant power.1 -12.5 W (2026-11-22T09:50:00.123Z device)
              instant power.2 - W (2026-11-22T09:50:00.123Z device)
              event leak/0 level `/alarm=LEAK` (2026-11-22T09:50:00.123Z device)
              event tamper/0 level `/flags=6` (2026-11-22T09:50:00.123Z device)
        "]],
    );
}

#[test]
fn what_cannot_be_taken_is_told_and_the_rest_is_kept() {
    check(
        PLANT,
        (
            "plant/1/energy",
            r#"{"meter":{"serial":5},"ts":"?","energy":{"total":-5},"phases":{"a":{"p":1}}}"#,
        ),
        &expect![[r"
            mqtt:5 via 1 heard 2026-11-22T10:00:00Z arrival doubtful, 1 reads
              instant power.a 1 W (2026-11-22T10:00:00Z arrival doubtful)
              event clock_error/0 level `stamp ?` (2026-11-22T10:00:00Z arrival doubtful)
              event meter_flag/0 once `bad_value import: a counter of -5 is negative` (2026-11-22T10:00:00Z arrival doubtful)
        "]],
    );
    for (payload, want) in [
        (r#"{"ts":1,"energy":{"total":1}}"#, "no_identity"),
        (r#"{"meter":{"serial":5},"ts":1795341000000,"enrgy":{"total":1}}"#, "bad_format"),
        (r#"{"meter":{"serial":5},"ts":1795341000000,"energy":{"total":"x"}}"#, "bad_value"),
        ("{", "bad_json"),
    ] {
        let mapping = Mapping::parse(PLANT).unwrap();
        let refused =
            decode(Format::Mapping, &context(&mapping, "plant/1/energy"), payload.as_bytes());
        assert_eq!(refused.unwrap_err().reason.label(), want, "{payload}");
    }
}

#[test]
fn records_carry_their_own_time_and_the_device_stands_above_them() {
    check(
        r#"
[mapping]
name = "logger"
records = "/data"
id = "^/device"
family = "logger"
[time]
path = "/at"
format = "rfc3339"
[[channel]]
field = "volume"
path = "/litres"
unit = "L"
kind = "interval"
interval = "1h"
"#,
        (
            "x",
            r#"{"device":"W-7","data":[{"at":"2026-11-22T08:00:00Z","litres":12.25},
                {"at":"2026-11-22T09:00:00+00:00","litres":0}]}"#,
        ),
        &expect![[r"
            logger:W-7 heard 2026-11-22T09:00:00Z device, 2 reads
              series volume L 3600 s from 2026-11-22T08:00:00Z e-2: 1225 (2026-11-22T08:00:00Z device)
              series volume L 3600 s from 2026-11-22T09:00:00Z e0: 0 (2026-11-22T09:00:00Z device)
        "]],
    );
}

#[test]
fn rows_of_csv_with_local_time_and_a_decimal_comma() {
    check(
        r#"
[mapping]
name = "sheet"
format = "csv"
delimiter = ";"
decimal = ","
id = "Zähler"
[time]
path = "Zeit"
layout = "%d.%m.%Y %H:%M"
zone = "Europe/Berlin"
[[channel]]
field = "gas"
path = "Stand"
unit = "m3"
kind = "cumulative"
modulus = 1000000
"#,
        (
            "x",
            "Zähler;Zeit;Stand\r\nG1;22.11.2026 09:15;1234,56\r\nG2;25.10.2026 02:30;7\r\nG3;22.11.2026 09:15;1000000\r\n",
        ),
        &expect![[r"
            mqtt:G1 heard 2026-11-22T08:15:00Z device, 1 reads
              register gas 1234.56 m3 mod 1000000 (2026-11-22T08:15:00Z device)
            mqtt:G2 heard 2026-10-25T01:30:00Z device ambiguous, 1 reads
              register gas 7 m3 mod 1000000 (2026-10-25T01:30:00Z device ambiguous)
            mqtt:G3 heard 2026-11-22T08:15:00Z device, 0 reads
              event meter_flag/0 once `out_of_range gas: 1000000 exceeds the width of the counter, 1000000` (2026-11-22T08:15:00Z device)
        "]],
    );
}

#[test]
fn a_bare_number_belongs_to_a_level_of_the_topic() {
    let esphome = Preset::find("esphome-energy").unwrap().text;
    check(
        esphome,
        ("garage/sensor/total_energy/state", "12.340\n"),
        &expect![[r"
            esphome:garage heard 2026-11-22T10:00:00Z arrival, 1 reads
              register total_energy 12.340 kWh (2026-11-22T10:00:00Z arrival)
        "]],
    );
    check(
        esphome,
        ("garage/sensor/total_energy/state", "nan"),
        &expect![[r"
            esphome:garage heard 2026-11-22T10:00:00Z arrival, 0 reads
              register total_energy - kWh (2026-11-22T10:00:00Z arrival)
        "]],
    );
}

#[test]
fn shipped_descriptions_are_good_and_named_alike() {
    for preset in presets() {
        let mapping = Mapping::parse(preset.text)
            .unwrap_or_else(|faults| panic!("{}: {faults}", preset.name));
        assert_eq!(mapping.name, preset.name);
        // What unwraps an object knows the topics.
        let placed = mapping.filter.is_some() || mapping.shape == Shape::Object;
        assert!(placed && !mapping.note.is_empty(), "{}", preset.name);
    }
    check(
        Preset::find("zigbee2mqtt").unwrap().text,
        ("zigbee2mqtt/heater", r#"{"energy":10.42,"power":0,"linkquality":120,"state":"ON"}"#),
        &expect![[r"
            zigbee2mqtt:heater heard 2026-11-22T10:00:00Z arrival, 2 reads
              register energy 10.42 kWh (2026-11-22T10:00:00Z arrival)
              instant power 0 W (2026-11-22T10:00:00Z arrival)
        "]],
    );
}

#[test]
fn a_time_without_a_path_is_told_at_its_table() {
    let text = "[mapping]\nname = \"a\"\nfilter = \"a/+\"\nid = 2\n\n[time]\nformat = \"epoch_s\"\n\
        [[channel]]\nfield = \"v\"\npath = \"/v\"\nunit = \"L\"\nkind = \"instant\"\n";
    let faults = Mapping::parse(text).unwrap_err();
    assert_eq!(faults.0.len(), 1, "{faults}");
    assert_eq!(faults.0[0].line, 7, "{faults}");
}

#[test]
fn a_channel_of_floats_says_so() {
    let text = "[mapping]\nname = \"a\"\nfilter = \"a/+\"\nid = 2\n[[channel]]\nfield = \"v\"\n\
        path = \"/v\"\nunit = \"kWh\"\nkind = \"cumulative\"\n";
    let digits = |text: &str| {
        let mapping = Mapping::parse(text).unwrap();
        let rule = &mapping.channels[0];
        let time = ObservedTime::arrival(UtcTime::from_seconds(0));
        match rule.observation("v".to_owned(), "1.5".parse().ok(), time) {
            Observation::Register { digits, .. } => digits,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(digits(text), Digits::Told);
    assert_eq!(digits(&format!("{text}float = true\n")), Digits::Float);
}

#[test]
fn an_unwrapped_object_is_observed_without_a_device() {
    let text = "[mapping]\nname = \"lora\"\nformat = \"object\"\n[[channel]]\nfield = \"v\"\n\
                path = \"/counter\"\nunit = \"L\"\nkind = \"cumulative\"\n";
    let mapping = Mapping::parse(text).unwrap();
    let context = context(&mapping, "x");
    let heard = ObservedTime::arrival(context.received_at);
    let observed = mapping.observe(&context, r#"{"counter":"4711"}"#, heard).unwrap();
    assert_eq!(observed.observations.len(), 1);
    assert_eq!(observed.observations[0].reads(), 1);
}

#[test]
fn every_fault_is_told_with_its_line() {
    let check = |text: &str, want: &Expect| {
        want.assert_eq(&Mapping::parse(text).unwrap_err().to_string());
    };
    check(
        "[mapping]\nname = \"Bad Name\"\nfliter = \"x\"\nid = 2\n[time]\nformat = \"local\"\n\
         path = \"ts\"\n[[channel]]\nfield = \"a\"\npath = \"/a\"\nunit = \"parsec\"\n\
         kind = \"counter\"\nmultiplier = 0.5\n[[channel]]\nfield = \"a\"\nkind = \"interval\"\n\
         [[event]]\npath = \"/x\"\nevent = \"lek\"\nmask = 0\n",
        &expect![[r#"
            line 2: [mapping] name must be 1 to 40 lower-case letters, digits, `-` and `_`
            line 3: [mapping] has no key `fliter`: it has name, note, filter, format, family, id, fixed_id, collector_level, records, partial, delimiter, header, decimal
            line 6: [time] says no zone: a local time needs one, for example Europe/Berlin
            line 7: `ts` is no JSON pointer: write for example /energy/total
            line 11: `parsec` is no known unit: write for example kWh, Wh, m3, L, gal, ft3, CCF, V or W
            line 12: [[channel]] kind is cumulative (a counter), interval or instant
            line 13: multiplier is a text in quotes
            line 14: [[channel]] a says no path
            line 14: [[channel]] of kind interval says no interval: write "15m" or "1h"
            line 14: [[channel]] says no unit: it is never guessed; write `count` for a bare counter whose unit stands in the meter's record
            line 15: the field `a` stands twice
            line 19: [[event]] event is a code of docs/bundle.md, for example leak
            line 20: mask is a whole number from 1 to 9223372036854775807"#]],
    );
    check(
        "[mapping]\nname = \"x\"\n",
        &expect![[r#"
            line 1: [mapping] says no id: write a path in the payload (id = "/meter"), the number of a topic level (id = 2) or fixed_id
            line 1: a mapping has at least one [[channel]]"#]],
    );
    check("[mapping\n", &expect!["line 1: unclosed table, expected `]`"]);
}

#[test]
fn hostile_payloads_and_descriptions_never_panic() {
    let mapping = Mapping::parse(PLANT).unwrap();
    for payload in ["[]", "null", "\"\\u0000\"", "{\"phases\":[[[]]]}", "1e999", "\u{feff}{}"] {
        let _ = decode(Format::Mapping, &context(&mapping, "a"), payload.as_bytes());
    }
    let wide = format!("{{\"phases\":[{}]}}", "1,".repeat(5_000) + "1");
    assert!(decode(Format::Mapping, &context(&mapping, "a"), wide.as_bytes()).is_err());
    assert!(Mapping::parse(&"x = 1\n".repeat(20_000)).is_err());
}
