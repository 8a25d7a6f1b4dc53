//! Modbus: frames of both framings with what the registers mean, poll records, profiles, and a
//! whole gateway whose units answer as they like.

use std::sync::{Arc, LazyLock};

use metering::UtcTime;
use protocols::Format;
use protocols::modbus::devices;
use protocols::modbus::frame::{Framing, Received, Request};
use protocols::modbus::pdu::{Answer, Exception, Function, ReadRequest};
use protocols::modbus::{Action, BEAT_S, Gateway, GatewaySettings, Outcome, Profile, UnitSettings};

use crate::targets::{context, judged};

/// Answers to a read of registers 0x0000 to 0x0005 of unit 1, transaction 1.
pub(crate) const FRAME: &[&[u8]] = &[
    b"\x00\x01\x00\x00\x00\x0F\x01\x04\x0C\x43\x67\x66\x66\x43\x65\xE6\x66\x43\x66\x40\x00",
    b"\x00\x01\x00\x00\x00\x03\x01\x84\x02",
];

pub(crate) const POLL: &[&[u8]] = &[
    br#"{"v":1,"source":"modbus:gw1/3","gateway":"gw1","unit":3,"collector":"C-01","profile":"eastron-sdm630","reads":[{"at":"2026-11-21T10:00:02.25Z","request":"04 00 48 00 02","response":"04 04 46 40 E6 B6","values":[{"channel":"energy_active_import_total","kind":"cumulative","unit":"kWh","value":"12345.678"},{"channel":"voltage_l1","kind":"instant","unit":"V","value":null}]}],"events":[{"code":"meter_flag","at":"2026-11-21T10:00:03Z","detail":"modbus_profile: x"}],"status":["serial_number=4711"]}"#,
    br#"{"v":1,"source":"modbus:gw1/3","gateway":"gw1","unit":3,"profile":"x","events":[{"code":"ping_failed","at":"2026-11-21T10:00:03Z"}]}"#,
];

/// What comes back of a bus, over and over: a byte that says what happens, then registers.
pub(crate) const LINE: &[&[u8]] = &[
    &[0x00],
    b"\x00\x00\x43\x64\x80\x00\x40\x00\x48\x12\x00\x00\x03\x02",
    b"\x00\x00SunS\x00\x00\xcb\x00\x69\x00\x00\x01\x00\x00\x80\x00\xff\xfa\x00\x02",
];

pub(crate) const PROFILE: &[&[u8]] = &[
    include_bytes!("../../devices/eastron-sdm120.toml"),
    include_bytes!("../../devices/abb-b2x.toml"),
    include_bytes!("../../devices/sunspec-meter.toml"),
    b"name = \"acme-3p\"\nfunction = 4\nword_order = \"little\"\nno_merge = [[0x50, 0x5F]]\n[[register]]\nchannel = \"volume_total\"\naddress = 0x48\ntype = \"u32\"\nunit = \"L\"\nscale = { register = 0x60 }\nnot_available = [\"all_ff\", 0x8000]\nrange = [0, 99999999]\n[[register]]\nchannel = \"serial_number\"\naddress = 0x70\ntype = \"string\"\nlength = 4\n[[check]]\nrequest = \"04 00 48 00 19\"\nresponse = \"04 32 00 07 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 01\"\nexpect = \"volume_total 70 L\"\n",
];

/// Requests of one input.
const STEPS: u32 = 16;

static PROFILES: LazyLock<[Arc<Profile>; 2]> = LazyLock::new(|| {
    ["eastron-sdm120", "sunspec-meter"].map(|name| Arc::new(devices::builtin(name).unwrap()))
});

/// Takes the bytes as an answer; variant 0 is Modbus TCP.
pub(crate) fn frame(input: &[u8], variant: u64) -> bool {
    let framing = if variant.is_multiple_of(2) { Framing::Tcp } else { Framing::Rtu };
    let read = ReadRequest::new(Function::Input, 0, 6).unwrap();
    let request = Request { unit: 1, read, transaction: 1 };
    match framing.receive(&request, input) {
        Ok(Received::Whole(Answer::Registers(words), pdu)) => {
            assert_eq!((words.len(), pdu.len()), (6, 14));
            let profile = devices::builtin("eastron-sdm630").unwrap();
            for register in &profile.registers {
                let _ = register.decode(|at| words.get(usize::from(at)).copied());
            }
            true
        }
        Ok(Received::Whole(Answer::Exception(exception), _)) => !exception.to_string().is_empty(),
        Ok(Received::Partial) => input.len() < 21,
        Err(fault) => fault.to_string().is_empty(),
    }
}

pub(crate) fn poll(input: &[u8], _: u64) -> bool {
    judged(&context("$modbus/gw1/3"), Format::ModbusPoll, input)
}

/// A profile, with the frames that it carries.
pub(crate) fn profile(input: &[u8], _: u64) -> bool {
    let Ok(text) = std::str::from_utf8(input) else { return false };
    match Profile::parse(text) {
        Ok(profile) => {
            assert!(profile.sunspec || !profile.registers.is_empty());
            profile.verify().is_ok()
        }
        Err(fault) => fault.to_string().is_empty(),
    }
}

/// Two units of a gateway are asked, whatever comes back; true when a poll came to an end.
pub(crate) fn gateway(input: &[u8], variant: u64) -> bool {
    let framing = if variant.is_multiple_of(2) { Framing::Tcp } else { Framing::Rtu };
    let profile = &PROFILES[usize::from(variant & 2 != 0)];
    let unit = |unit: u8| UnitSettings {
        unit,
        source: format!("modbus:gw/{unit}"),
        profile: Arc::clone(profile),
        every_s: 60,
    };
    let settings = GatewaySettings {
        name: "gw".to_owned(),
        address: "fuzz".to_owned(),
        framing,
        collector: None,
        beat_s: BEAT_S,
        timeout_ms: None,
        units: vec![unit(1), unit(2)],
    };
    let mut now = UtcTime::from_seconds(1_795_255_200);
    let mut gateway = Gateway::new(settings, now);
    let mut bytes = input.iter().copied().cycle();
    let mut byte = || bytes.next().unwrap_or(0);
    let (mut asked, mut polls) = (0, 0);
    // Each request takes a wait and a connection at most.
    for _ in 0..STEPS * 3 {
        match gateway.next(now) {
            Action::Wait(until) => now = until.max(now.plus_seconds(1)),
            Action::Connect { .. } if byte() % 8 == 7 => gateway.disconnected(now, "refused"),
            Action::Connect { .. } => gateway.connected(),
            Action::Send { request, timeout_ms, .. } => {
                assert!(matches!(request.unit, 1 | 2) && timeout_ms > 0);
                gateway.ended(now, outcome(&request, &mut byte));
                now = now.plus_seconds(1);
                asked += 1;
            }
        }
        while let Some(record) = gateway.take_record() {
            assert!(matches!(record.unit, 1 | 2) && !format!("{record:?}").is_empty());
            polls += u32::from(record.values() > 0);
        }
        if asked >= STEPS {
            break;
        }
    }
    assert!(gateway.health().units.len() == 2);
    polls > 0
}

fn outcome(request: &Request, byte: &mut dyn FnMut() -> u8) -> Outcome {
    match byte() % 8 {
        5 => Outcome::Answered(Answer::Exception(Exception(byte())), vec![0x84, 2]),
        6 => Outcome::Timeout,
        7 => Outcome::Wrong("damaged".to_owned()),
        _ => {
            let words = (0..request.read.count()).map(|_| u16::from_be_bytes([byte(), byte()]));
            Outcome::Answered(Answer::Registers(words.collect()), Vec::new())
        }
    }
}
