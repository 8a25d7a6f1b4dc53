//! Descriptions of payloads, payloads that are described, and Sparkplug B.

use std::sync::LazyLock;

use protocols::sparkplug::Nodes;
use protocols::{DecodeContext, Format, Mapping};

use crate::targets::{context, judged, zoned};

pub(crate) const TEXT: &[&[u8]] = &[
    b"[mapping]\nname = \"plant\"\nfilter = \"plant/+/energy\"\nid = \"/meter/serial\"\ncollector_level = 2\n[time]\npath = \"/ts\"\nformat = \"epoch_ms\"\n[[channel]]\nfield = \"import\"\npath = \"/energy/total\"\nunit = \"kWh\"\nkind = \"cumulative\"\nmultiplier = \"0.001\"\nwidth = 32\nabsent = [-1, \"N/A\", 1.5, true]\n[[channel]]\nfield = \"power\"\npath = \"/phases/*/p\"\nunit = \"W\"\nkind = \"instant\"\n[[event]]\npath = \"/alarm\"\nequals = [\"LEAK\", 7]\nevent = \"leak\"\n[[event]]\npath = \"/flags\"\nmask = 0x04\nevent = \"tamper\"\n[battery]\npath = \"/vbat\"\nunit = \"V\"\n[rssi]\npath = \"/rssi\"\n",
    b"[mapping]\nname = \"logger\"\nrecords = \"/data\"\nid = \"^/device\"\n[time]\npath = \"/at\"\nformat = \"rfc3339\"\n[[channel]]\nfield = \"volume\"\npath = \"/l\"\nunit = \"L\"\nkind = \"interval\"\ninterval = \"1h\"\n",
    b"[mapping]\nname = \"codec\"\nformat = \"object\"\n[[channel]]\nfield = \"volume\"\npath = \"/volume_l\"\nunit = \"L\"\nkind = \"cumulative\"\nabsent = [\"N/A\"]\n[[channel]]\nfield = \"temp\"\npath = \"/temp/*\"\nunit = \"C\"\nkind = \"instant\"\n[[event]]\npath = \"/leak\"\nequals = true\nevent = \"leak\"\n[battery]\npath = \"/battery/v\"\nunit = \"V\"\n",
    b"[mapping]\nname = \"metrics\"\nformat = \"sparkplug\"\n[[channel]]\nfield = \"energy\"\npath = \"E\"\nunit = \"kWh\"\nkind = \"cumulative\"\nmultiplier = \"0.1\"\n[[event]]\npath = \"L\"\nequals = true\nevent = \"leak\"\n",
    b"[mapping]\nname = \"sheet\"\nformat = \"csv\"\ndelimiter = \";\"\ndecimal = \",\"\nid = \"Nr\"\n[time]\npath = \"Zeit\"\nlayout = \"%d.%m.%Y %H:%M\"\nzone = \"UTC\"\n[[channel]]\nfield = \"gas\"\npath = \"Stand\"\nunit = \"m3\"\nkind = \"cumulative\"\nmodulus = 1000000\n",
];

pub(crate) const JSON: &[&[u8]] = &[
    br#"{"meter":{"serial":"A17"},"ts":1795255200123,"energy":{"total":12345678},"phases":[{"p":-12.5},{"p":null},{"q":1}],"alarm":"LEAK","flags":6,"vbat":3.612,"rssi":-80}"#,
    br#"{"meter":{"serial":5},"ts":"?","energy":{"total":-5},"phases":{"a":{"p":1},"b":{"p":1e-3}}}"#,
];

pub(crate) const RECORDS: &[&[u8]] = &[
    br#"{"device":"W-7","data":[{"at":"2026-11-21T08:00:00Z","l":12.25},{"at":"2026-11-21T09:00:00+00:00","l":0}]}"#,
];

/// Decoded objects as LoRaWAN servers pass them on.
pub(crate) const OBJECT: &[&[u8]] = &[
    br#"{"deviceInfo":{"devEui":"0102030405060708"},"time":"2026-11-21T10:00:00Z","fCnt":3,"object":{"volume_l":123456,"temp":[-3.5,null],"leak":true,"battery":{"v":3.61}}}"#,
    br#"{"deviceInfo":{"devEui":"0102030405060708"},"time":"2026-11-21T10:00:00Z","object":{"volume_l":"N/A","temp":{"in":1e-3}}}"#,
];

pub(crate) const CSV: &[&[u8]] =
    &[b"Nr;Zeit;Stand\r\nG1;21.11.2026 09:15;1234,56\r\nG2;25.10.2026 02:30;7\r\n"];

/// A birth of three metrics; data for them by alias.
pub(crate) const SPARKPLUG: &[&[u8]] = &[
    b"\x08\xf8\xbc\xe3\xc8\x9f\x34\x12\x0b\x0a\x05bdSeq\x20\x08\x58\x00\x12\x10\x0a\x01E\x10\x01\x20\x0a\x69\x00\x00\x00\x00\x00\x1c\xc8\x40\x12\x0b\x0a\x01V\x10\x02\x20\x03\x50\xff\xff\x03\x12\x09\x0a\x01L\x10\x03\x20\x0b\x70\x01\x18\x00",
    b"\x08\xf8\xbc\xe3\xc8\x9f\x34\x12\x0b\x10\x01\x69\x00\x00\x00\x00\x00\x1c\xc8\x40\x12\x06\x10\x02\x50\x07\x28\x01\x12\x04\x10\x03\x38\x01\x18\x01",
];

static MAPPINGS: LazyLock<Vec<Mapping>> = LazyLock::new(|| {
    let texts = TEXT.iter().map(|text| std::str::from_utf8(text).unwrap());
    texts.map(|text| Mapping::parse(text).unwrap()).collect()
});

/// A description; what is wrong with it can be printed.
pub(crate) fn text(input: &[u8], _: u64) -> bool {
    let Ok(text) = std::str::from_utf8(input) else { return false };
    match Mapping::parse(text) {
        Ok(mapping) => {
            assert!(mapping.channels().count() > 0 && !mapping.name.is_empty());
            true
        }
        Err(faults) => {
            assert!(!faults.to_string().is_empty());
            false
        }
    }
}

fn described(which: usize, topic: &str, input: &[u8], variant: u64) -> bool {
    zoned(topic, variant, |known| {
        let context = DecodeContext { mapping: Some(&MAPPINGS[which]), ..*known };
        judged(&context, Format::Mapping, input)
    })
}

pub(crate) fn json(input: &[u8], variant: u64) -> bool {
    described(0, "plant/hall-3/energy", input, variant)
}

pub(crate) fn records(input: &[u8], variant: u64) -> bool {
    described(1, "logger", input, variant)
}

pub(crate) fn csv(input: &[u8], variant: u64) -> bool {
    described(4, "sheet", input, variant)
}

/// An uplink whose object is described.
pub(crate) fn object(input: &[u8], variant: u64) -> bool {
    let topic = "application/a/device/0102030405060708/event/up";
    zoned(topic, variant, |known| {
        let context = DecodeContext { mapping: Some(&MAPPINGS[2]), ..*known };
        judged(&context, Format::Chirpstack, input)
    })
}

/// A message to hosts that have heard the node's birth; the input comes as birth, data or death.
pub(crate) fn sparkplug(input: &[u8], variant: u64) -> bool {
    let mut nodes = Nodes::default();
    drop(nodes.receive(&context("spBv1.0/G/NBIRTH/N"), SPARKPLUG[0], false));
    let topics =
        ["spBv1.0/G/NDATA/N", "spBv1.0/G/NBIRTH/N", "spBv1.0/G/DBIRTH/N/E", "spBv1.0/G/NDEATH/N"];
    let at = usize::try_from(variant % 4).unwrap();
    let mapping = (variant & 8 != 0).then_some(&MAPPINGS[3]);
    let context = DecodeContext { mapping, ..context(topics[at]) };
    let heard = nodes.receive(&context, input, variant & 4 != 0);
    assert!(heard.refused.is_none() || heard.reports.is_empty());
    for report in &heard.reports {
        assert!(report.source_id.as_str().len() <= 96 && report.observations.len() <= 256);
    }
    heard.refused.is_none()
}
