//! Real messages of the corpus, which lies beside the repository and is read, never copied. The
//! expected values here were read off the messages by hand.
#![expect(clippy::unwrap_used, reason = "what fails in a helper fails its test")]

use std::io::Write as _;
use std::path::PathBuf;

use jiff::tz::TimeZone;
use metering::{EventCode, UtcTime};
use protocols::sparkplug::{Heard, Nodes};
use protocols::{
    DecodeContext, DecodeOptions, DeviceReport, Format, Observation, RejectReason, Rejected, decode,
};
use serde_json::Value;

const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/corpus/mqtt");

fn corpus(test: &str, file: &str) -> Option<Value> {
    corpus_bytes(test, file).map(|bytes| serde_json::from_slice(&bytes).unwrap())
}

/// `None`, loudly, when the corpus is not there.
fn corpus_bytes(test: &str, file: &str) -> Option<Vec<u8>> {
    let path = PathBuf::from(CORPUS).join(file);
    match std::fs::read(&path) {
        Ok(bytes) => Some(bytes),
        Err(_) => {
            skip(test, &format!("corpus not found: {}", path.display()));
            None
        }
    }
}

/// Prints the skip, and adds it to the file in which `tests/run` counts them.
fn skip(test: &str, reason: &str) {
    eprintln!("SKIPPED {test}: {reason}");
    if let Some(path) = std::env::var_os("HEADEND_SKIP_FILE") {
        let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
        writeln!(file.unwrap(), "{test}: {reason}").unwrap();
    }
}

fn read(format: Format, message: &Value) -> Result<DeviceReport, Rejected> {
    let zone = TimeZone::get("Europe/Berlin").unwrap();
    let context = DecodeContext {
        topic: "rtl_433/pi/events",
        received_at: UtcTime::parse_rfc3339("2026-11-21T20:00:00Z").unwrap(),
        zone: Some(&zone),
        collector: None,
        mapping: None,
        options: &DecodeOptions::DEFAULT,
    };
    let mut reports = decode(format, &context, message.to_string().as_bytes())?;
    assert_eq!(reports.len(), 1);
    Ok(reports.remove(0))
}

/// One line a message: who, how many values and events, and the counters; or why it was refused.
fn told(format: Format, topic: &str, payload: &[u8], options: &DecodeOptions) -> String {
    let zone = TimeZone::get("Europe/Amsterdam").unwrap();
    let context = DecodeContext {
        topic,
        received_at: UtcTime::parse_rfc3339("2026-11-21T20:00:00Z").unwrap(),
        zone: Some(&zone),
        collector: None,
        mapping: None,
        options,
    };
    let reports = match decode(format, &context, payload) {
        Ok(reports) => reports,
        Err(refused) => return format!("refused {}", refused.reason),
    };
    let lines = reports.iter().map(|report| {
        let counters = report.observations.iter().filter_map(|seen| match seen {
            Observation::Register { field, value: Some(value), unit: Some(unit), .. } => {
                Some(format!("{field}={value}{unit}"))
            }
            _ => None,
        });
        let counters: Vec<String> = counters.collect();
        let (source, at) = (&report.source_id, report.heard_at.at);
        let (reads, events) = (report.reads(), report.events.len());
        format!("{source} {at} {reads} values {events} events {}", counters.join(" "))
    });
    lines.collect::<Vec<_>>().join("\n  ")
}

#[test]
fn p1_telegrams_of_eleven_kinds() {
    let Some(file) = corpus("p1_telegrams_of_eleven_kinds", "p1_telegrams.json") else { return };
    let telegrams = file["telegrams"].as_object().unwrap();
    assert_eq!(telegrams.len(), 13);
    let by_topic = DecodeOptions { device_level: Some(2), ..DecodeOptions::DEFAULT };
    let mut text = String::new();
    let (mut wrong, mut bare) = (0, 0);
    for (name, telegram) in telegrams {
        let payload = telegram.as_str().unwrap().as_bytes();
        let name = name.trim_start_matches("TELEGRAM_");
        let said = told(Format::P1, "dsmr/raw", payload, &DecodeOptions::DEFAULT);
        text.push_str(&format!("{name}: {said}\n"));
        if said.starts_with("refused") {
            let said = told(Format::P1, "dsmr/house-7/raw", payload, &by_topic);
            text.push_str(&format!("{name} by its topic: {said}\n"));
        }
        // One digit of a counter changed: only a check sum can tell.
        let bent = telegram.as_str().unwrap().replacen("(0", "(1", 1);
        match told(Format::P1, "dsmr/house-7/raw", bent.as_bytes(), &by_topic).as_str() {
            "refused bad_checksum" => wrong += 1,
            _ => bare += 1,
        }
    }
    assert_eq!((wrong, bare), (9, 4), "nine carry a check sum");
    expect_test::expect_file!["expect/p1.txt"].assert_eq(&text);
}

#[test]
fn tasmota_and_shelly_messages() {
    let test = "tasmota_and_shelly_messages";
    let Some(tasmota) = corpus(test, "tasmota_sensor.json") else { return };
    let Some(shelly) = corpus(test, "shelly_pro3em.json") else { return };
    let mut text = String::new();
    for message in tasmota["msgs"].as_array().unwrap() {
        let topic =
            if message["StatusSNS"].is_object() { "stat/d/STATUS8" } else { "tele/d/SENSOR" };
        let payload = message.to_string();
        let said = told(Format::Tasmota, topic, payload.as_bytes(), &DecodeOptions::DEFAULT);
        text.push_str(&format!("tasmota: {said}\n"));
    }
    for message in shelly["msgs"].as_array().unwrap() {
        let payload = message.to_string();
        let said =
            told(Format::Shelly, "em/events/rpc", payload.as_bytes(), &DecodeOptions::DEFAULT);
        text.push_str(&format!("shelly: {said}\n"));
    }
    expect_test::expect_file!["expect/meters.txt"].assert_eq(&text);
}

#[test]
fn lorawan_events_of_both_servers() {
    let test = "lorawan_events_of_both_servers";
    let Some(chirpstack) = corpus(test, "chirpstack_v4_events.json") else { return };
    let Some(tts) = corpus(test, "tts_examples.json") else { return };
    let mut text = String::new();
    for (event, message) in chirpstack["events"].as_object().unwrap() {
        let topic = format!("application/a/device/d/event/{event}");
        let payload = message.to_string();
        let said = told(Format::Chirpstack, &topic, payload.as_bytes(), &DecodeOptions::DEFAULT);
        text.push_str(&format!("chirpstack {event}: {said}\n"));
    }
    for message in tts["examples"].as_array().unwrap() {
        let payload = message.to_string();
        let topic = "v3/app@tenant/devices/dev1/up";
        let said = told(Format::TheThings, topic, payload.as_bytes(), &DecodeOptions::DEFAULT);
        text.push_str(&format!("the_things: {said}\n"));
    }
    expect_test::expect_file!["expect/lorawan.txt"].assert_eq(&text);
}

#[test]
fn a_sparkplug_birth_and_data_of_another_encoder() {
    let test = "a_sparkplug_birth_and_data_of_another_encoder";
    let Some(birth) = corpus_bytes(test, "sparkplugb_NBIRTH.bin") else { return };
    let Some(data) = corpus_bytes(test, "sparkplugb_NDATA.bin") else { return };
    let mut nodes = Nodes::default();
    let mut heard = |topic: &str, payload: &[u8]| {
        let context = DecodeContext {
            topic,
            received_at: UtcTime::parse_rfc3339("2026-01-01T00:15:05Z").unwrap(),
            zone: None,
            collector: None,
            mapping: None,
            options: &DecodeOptions::DEFAULT,
        };
        nodes.receive(&context, payload, false)
    };
    // Without the birth an alias says nothing: the message waits, and the node is asked.
    let early = heard("spBv1.0/G/NDATA/N", &data);
    assert_eq!(early.refused.unwrap().reason, RejectReason::NoBirth);
    assert_eq!(early.ask.unwrap().topic, "spBv1.0/G/NCMD/N");

    let born = heard("spBv1.0/G/NBIRTH/N", &birth);
    assert!(born.refused.is_none() && born.ask.is_none());
    let of = born.born.as_ref().map(|born| (born.group.as_str(), born.node.as_str()));
    assert_eq!(of, Some(("G", "N")));
    let told = heard("spBv1.0/G/NDATA/N", &data);
    assert!(told.refused.is_none() && told.ask.is_none(), "{told:?}");
    let lines = |heard: &Heard| {
        let of = |report: &DeviceReport| {
            let seen: Vec<String> = report.observations.iter().map(metric).collect();
            let events = report.events.iter();
            let events: Vec<_> =
                events.map(|event| format!("{} {}", event.code, event.detail)).collect();
            format!("{} {} {seen:?} {events:?}", report.source_id, report.heard_at.at)
        };
        heard.reports.iter().map(of).collect::<Vec<_>>().join("\n")
    };
    expect_test::expect![[r#"
        sparkplug:G/N 2026-01-01T00:00:00Z ["Meter/Energy/Import=12345.678 None 2026-01-01T00:00:00Z", "Meter/Volume=4555831 None 2026-01-01T00:00:00Z"] []
        collector:G.N 2026-01-01T00:15:05Z [] ["link_up birth"]"#]].assert_eq(&lines(&born));
    expect_test::expect![[r#"sparkplug:G/N 2026-01-01T00:15:00Z ["Meter/Energy/Import=12345.987 None 2026-01-01T00:15:00Z told later"] []"#]].assert_eq(&lines(&told));
}

/// `field=value unit` and when it was measured.
fn metric(seen: &Observation) -> String {
    match seen {
        Observation::Register { field, value, unit, time, history, .. } => {
            let value = value.map_or_else(|| "-".to_owned(), |value| value.to_string());
            format!(
                "{field}={value} {unit:?} {}{}",
                time.at,
                if *history { " told later" } else { "" }
            )
        }
        Observation::Instant { field, value, unit, time, .. } => {
            let value = value.map_or_else(|| "-".to_owned(), |value| value.to_string());
            format!("{field}~{value} {unit:?} {}", time.at)
        }
        other => format!("{other:?}"),
    }
}

/// `source field=value` of the first register.
fn counter(report: &DeviceReport) -> String {
    let Some(Observation::Register { field, value, .. }) = report.observations.first() else {
        panic!("no register: {report:?}");
    };
    let value = value.map_or_else(|| "-".to_owned(), |value| value.to_string());
    format!("{} {field}={value}", report.source_id)
}

#[test]
fn rtlamr_lines() {
    let Some(file) = corpus("rtlamr_lines", "rtlamr_real.json") else { return };
    let messages: Vec<&Value> = file["lines"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|group| group["msgs"].as_array().unwrap())
        .collect();
    let reports: Vec<_> = messages.iter().map(|m| read(Format::Rtlamr, m).unwrap()).collect();
    let counters: Vec<_> = reports.iter().map(counter).collect();
    let want = [
        "ert:44448439 consumption=435760",
        "ert:629848 consumption=2783390",
        "ert:22277181 consumption=7329333",
        "r900:1563476986 consumption=111051",
        "ert:629848 consumption=2783391",
        "ert:44448439 consumption=435762",
        "ert:22277181 consumption=7329338",
        "ert:44448439 consumption=436034",
        "r900:1540559732 consumption=3543684",
        "ert:23876447 consumption=25813",
        "ert:76324406 consumption=88604",
        "ert:78043469 consumption=406934",
        "ert:101100604 consumption=162430",
        "ert:1550406067 consumption_net=2223120656",
    ];
    assert_eq!(counters, want);
    let at = |n: usize| reports[n].heard_at.at.to_string();
    assert_eq!(at(0), "2020-02-08T03:09:05.470325Z");
    assert_eq!(at(10), "2022-08-28T00:20:46.216634Z");
    // NoUse 32 is no day bin; Leak 1 is 1 to 2 days.
    let codes: Vec<_> = reports[3].events.iter().map(|event| event.code).collect();
    assert_eq!(codes, [EventCode::Leak]);
    assert!(reports[8].events.is_empty());
    assert_eq!(reports[13].reads(), 3 + 27);
}

#[test]
fn rtlamr_lines_of_another_bridge() {
    let test = "rtlamr_lines_of_another_bridge";
    let Some(file) = corpus(test, "rtlamr2mqtt_conftest_lines.json") else { return };
    let reports: Vec<_> = file["msgs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|message| read(Format::Rtlamr, message).unwrap())
        .collect();
    let counters: Vec<_> = reports.iter().map(counter).collect();
    assert_eq!(
        counters,
        [
            "ert:33333333 consumption=1978226",
            "ert:33333333 consumption=1978208",
            "r900:1111111111 consumption=4555831",
        ]
    );
    let Observation::Series { len_s, first_end, values, time, .. } = &reports[1].observations[1]
    else {
        panic!("no series")
    };
    // 21:25:04 less 3911/16 s is 21:21:00; on the grid 21:20. Newest first becomes oldest first.
    assert_eq!(time.at.to_string(), "2025-05-05T21:20:00Z");
    assert_eq!(first_end.to_string(), "2025-05-05T17:30:00Z");
    assert_eq!((*len_s, values.len()), (300, 47));
    assert_eq!((values[46], values[0]), (Some(26), Some(23)));
    assert_eq!(values.iter().flatten().sum::<i64>(), 1_178);
    assert!(reports[1].events[0].detail.contains("030200730e00"));
}

#[test]
fn rtl_433_events() {
    let Some(file) = corpus("rtl_433_events", "rtl433_events.json") else { return };
    let messages = file["msgs"].as_array().unwrap();
    let reports: Vec<_> = messages.iter().map(|m| read(Format::Rtl433, m)).collect();
    let scm = reports[0].as_ref().unwrap();
    assert_eq!(counter(scm), "ert:54585868 consumption=562456");
    assert_eq!(scm.heard_at.at.to_string(), "2026-11-21T20:00:00Z");
    let refused = reports[1].as_ref().unwrap_err();
    assert_eq!(refused.reason, RejectReason::NoKey);
    let orion = reports[2].as_ref().unwrap();
    assert_eq!(counter(orion), "orion:69 consumption=69");
    assert_eq!(orion.heard_at.at.to_string(), "2023-04-12T17:29:46Z");
    assert!(orion.heard_at.zone_assumed);
    let plus = reports[3].as_ref().unwrap();
    assert_eq!(counter(plus), "ert:78043469 consumption=406934");
    assert_eq!(plus.events[0].detail, "tamper=1280");
}

#[test]
fn every_wmbusmeters_message_is_accepted_and_every_number_kept() {
    let test = "every_wmbusmeters_message_is_accepted_and_every_number_kept";
    let Some(file) = corpus(test, "wmbusmeters_dev.json") else { return };
    let entries = file.as_array().unwrap();
    assert_eq!(entries.len(), 120);
    let (mut reads, mut history, mut flagged) = (0, 0, 0);
    for entry in entries {
        let mut message = entry["json"].clone();
        message["timestamp"] = Value::from("2026-11-21T19:59:00Z");
        let report = read(Format::Wmbusmeters, &message).unwrap();
        let id = message["id"].as_str().unwrap();
        assert_eq!(report.source_id.as_str(), format!("wmbus:{id}"));
        assert!(!report.heard_at.doubtful);
        let numbers = message.as_object().unwrap().iter();
        let numbers = numbers.filter(|(_, value)| value.is_number()).count();
        assert_eq!(report.reads(), numbers as u64, "{message}");
        reads += report.reads();
        for seen in &report.observations {
            let (field, value) = (seen.field(), &message[seen.field()]);
            if let Observation::Register { history: true, .. } = seen {
                history += 1;
            }
            let (Observation::Register { value: kept, .. }
            | Observation::Instant { value: kept, .. }) = seen
            else {
                panic!("{field}")
            };
            let kept = kept.map(|kept| kept.to_string().parse::<f64>().unwrap());
            assert_eq!(kept, value.as_f64(), "{field}");
        }
        let status = message.get("status").and_then(Value::as_str).unwrap_or("OK");
        let told = report.events.iter().any(|event| event.code != EventCode::ClockError);
        if status != "OK" {
            flagged += 1;
            assert!(told, "{status}");
        }
    }
    assert_eq!((reads, history, flagged), (855, 330, 27));
}

#[test]
fn wmbusmeters_stamps_of_year_1111_become_arrivals() {
    let test = "wmbusmeters_stamps_of_year_1111_become_arrivals";
    let Some(file) = corpus(test, "wmbusmeters_dev.json") else { return };
    for entry in file.as_array().unwrap() {
        let report = read(Format::Wmbusmeters, &entry["json"]).unwrap();
        assert_eq!(report.heard_at.at.to_string(), "2026-11-21T20:00:00Z");
        assert!(report.heard_at.doubtful);
        assert!(report.events.iter().any(|event| event.code == EventCode::ClockError));
        for seen in &report.observations {
            if let Observation::Register { suspect, .. } = seen {
                assert!(suspect);
            }
        }
    }
}
