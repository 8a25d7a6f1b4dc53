//! Profiles, frames and the gateway's state, without a socket.

use std::collections::BTreeMap;
use std::sync::Arc;

use metering::UtcTime;
use proptest::prelude::*;

use super::frame::{FRAME_BYTES_MAX, Framing, Received, Request, WireFault, crc16, of_hex, to_hex};
use super::pdu::{Answer, Exception, Function, ReadRequest};
use super::plan::{Learned, plan};
use super::state::{Action, BEAT_S, Gateway, GatewaySettings, Outcome};
use super::{Profile, UnitSettings, UnitState, devices};

mod gateway;
mod record;
mod values;

fn read(function: Function, address: u16, count: u16) -> ReadRequest {
    ReadRequest::new(function, address, count).unwrap()
}

fn request(framing: Framing) -> (Request, Vec<u8>) {
    let request = Request { unit: 17, read: read(Function::Input, 0x0048, 2), transaction: 0x1234 };
    (request, framing.encode(&request))
}

#[test]
fn every_shipped_profile_proves_itself() {
    for (file, text) in devices::FILES {
        let profile = Profile::parse(text).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert_eq!(Some(profile.name.as_str()), file.strip_suffix(".toml"));
        let lines = profile.verify().unwrap_or_else(|error| panic!("{file}: {error}"));
        assert!(lines.len() >= 4, "{file} checks only {lines:?}");
        if !profile.sunspec {
            let planned = plan(&profile, &Learned::default());
            let registers: usize = planned.iter().map(|read| read.registers.len()).sum();
            assert_eq!(registers, profile.registers.len(), "{file}");
            let most = planned.iter().map(|read| read.request.count()).max();
            assert!(most <= Some(profile.max_read), "{file}");
        }
    }
}

#[test]
fn frames_are_those_of_the_standard() {
    let (request, sent) = request(Framing::Tcp);
    assert_eq!(to_hex(&sent), "12 34 00 00 00 06 11 04 00 48 00 02");
    let answer = of_hex("12 34 00 00 00 07 11 04 04 46 40 E6 B6").unwrap();
    for end in 0..answer.len() {
        assert_eq!(Framing::Tcp.receive(&request, &answer[..end]), Ok(Received::Partial), "{end}");
    }
    let pdu = of_hex("04 04 46 40 E6 B6").unwrap();
    let whole = Received::Whole(Answer::Registers(vec![0x4640, 0xE6B6]), pdu);
    assert_eq!(Framing::Tcp.receive(&request, &answer), Ok(whole));

    // The example of the serial line specification: unit 2, function 7 has CRC 0x1241.
    assert_eq!(crc16(&[2, 7]), 0x1241);
    let (request, sent) = self::request(Framing::Rtu);
    let (body, crc) = sent.split_at(sent.len() - 2);
    assert_eq!(to_hex(body), "11 04 00 48 00 02");
    assert_eq!(crc, crc16(body).to_le_bytes());
    let mut refused = vec![17, 0x84, 2];
    refused.extend(crc16(&refused).to_le_bytes());
    let whole = Received::Whole(Answer::Exception(Exception(2)), vec![0x84, 2]);
    assert_eq!(Framing::Rtu.receive(&request, &refused), Ok(whole));
    refused[3] ^= 1;
    assert_eq!(Framing::Rtu.receive(&request, &refused), Err(WireFault::Crc));
}

#[test]
fn what_is_no_answer_is_a_fault_at_once() {
    let (request, _) = request(Framing::Tcp);
    for (bytes, want) in [
        ("12 35", WireFault::Transaction { want: 0x1234, got: 0x1235 }),
        ("12 34 00 01", WireFault::Protocol(1)),
        ("12 34 00 00 00 09", WireFault::Length(9)),
        ("12 34 00 00 00 07 12", WireFault::Unit { want: 17, got: 18 }),
        ("12 34 00 00 00 07 11 03", WireFault::Function { want: 4, got: 3 }),
        ("12 34 00 00 00 07 11 04 06", WireFault::ByteCount { want: 4, got: 6 }),
        ("12 34 00 00 00 03 11 04 04", WireFault::Length(3)),
        ("12 34 00 00 00 07 11 04 04 46 40 E6 B6 00", WireFault::Excess(1)),
    ] {
        let got = Framing::Tcp.receive(&request, &of_hex(bytes).unwrap());
        assert_eq!(got, Err(want), "{bytes}");
    }
    let rtu = [("12", WireFault::Unit { want: 17, got: 18 })];
    for (bytes, want) in rtu {
        assert_eq!(Framing::Rtu.receive(&request, &of_hex(bytes).unwrap()), Err(want));
    }
}

#[test]
fn registers_are_read_together_where_that_is_allowed() {
    let profile = |head: &str| {
        let registers = [0, 2, 12, 40, 42, 44].map(|at| {
            format!(
                "[[register]]\nchannel = \"pulses_{}\"\naddress = {at}\ntype = \"u32\"\n\
                 unit = \"count\"\n",
                ["l1", "l2", "l3", "1", "2", "3"]
                    [[0, 2, 12, 40, 42, 44].iter().position(|a| *a == at).unwrap()]
            )
        });
        let check = "[[check]]\nrequest = \"03 00 00 00 02\"\nresponse = \"03 04 00 00 00 07\"\n\
                     expect = \"pulses_l1 7 count\"\n";
        let text = format!("name = \"x\"\nfunction = 3\n{head}\n{}{check}", registers.concat());
        Profile::parse(&text).unwrap()
    };
    let shape = |profile: &Profile, learned: &Learned| -> Vec<(u16, u16)> {
        let reads = plan(profile, learned);
        reads.iter().map(|read| (read.request.address, read.request.count())).collect()
    };
    let none = Learned::default();
    assert_eq!(shape(&profile(""), &none), [(0, 14), (40, 6)]);
    assert_eq!(shape(&profile("max_gap = 7"), &none), [(0, 4), (12, 2), (40, 6)]);
    assert_eq!(shape(&profile("max_gap = 100"), &none), [(0, 46)]);
    assert_eq!(shape(&profile("max_read = 4"), &none), [(0, 4), (12, 2), (40, 4), (44, 2)]);
    assert_eq!(shape(&profile("no_merge = [[5, 6]]"), &none), [(0, 4), (12, 2), (40, 6)]);
    let learned = Learned { alone: [3, 4].into(), without: [1].into() };
    assert_eq!(shape(&profile(""), &learned), [(0, 2), (12, 2), (40, 2), (42, 2), (44, 2)]);
}

#[test]
fn a_bad_profile_is_refused_with_its_line() {
    let good = "name = \"x\"\nfunction = 3\n[[register]]\nchannel = \"frequency\"\naddress = 1\n\
                type = \"u16\"\nunit = \"Hz\"\n[[check]]\nrequest = \"03 00 01 00 01\"\n\
                response = \"03 02 00 32\"\nexpect = \"frequency 50 Hz\"\n";
    Profile::parse(good).unwrap().verify().unwrap();
    for (from, to, want) in [
        ("name = \"x\"", "name = \"X y\"", "line 1: name `X y`"),
        ("function = 3", "function = 6", "line 2: function 6: only 3"),
        ("function = 3", "funktion = 3", "line 2: unknown field `funktion`"),
        ("\"frequency\"\na", "\"frequenz\"\na", "line 3: channel `frequenz` is not known"),
        ("unit = \"Hz\"", "unit = \"V\"", "line 3: frequency is in Hz or the like, not in V"),
        ("type = \"u16\"", "type = \"u8\"", "line 3: type `u8` is none of"),
        ("address = 1", "address = 70000", "line 5:"),
        ("address = 1", "address = 1\nscale = 11", "line 3: scale 11"),
        ("address = 1", "address = 1\nkind = \"cumulative\"", "line 3: frequency does not count"),
        ("request = \"03", "request = \"06", "line 8: request is no read"),
        (
            "[[check]]",
            "[[register]]\nchannel = \"voltage\"\naddress = 0\ntype = \"u32\"\nunit = \"V\"\n[[check]]",
            "line 8: voltage at 0x0000 overlaps frequency",
        ),
    ] {
        assert!(good.contains(from), "{from}");
        let told = Profile::parse(&good.replacen(from, to, 1)).unwrap_err().to_string();
        assert!(told.starts_with(want), "{told}, not {want}");
    }
    let wrong = good.replace("frequency 50 Hz", "frequency 51 Hz");
    let told = Profile::parse(&wrong).unwrap().verify().unwrap_err().to_string();
    assert_eq!(told, "check 1: expected `frequency 51 Hz`, but the frames give frequency 50 Hz");
}

proptest! {
    #[test]
    fn any_bytes_are_an_answer_a_beginning_or_a_fault(
        bytes in prop::collection::vec(any::<u8>(), 0..FRAME_BYTES_MAX + 8),
        keep in 0_usize..8,
    ) {
        for framing in [Framing::Tcp, Framing::Rtu] {
            let (request, sent) = request(framing);
            let mut bytes = bytes.clone();
            let keep = keep.min(bytes.len()).min(sent.len());
            bytes[..keep].copy_from_slice(&sent[..keep]);
            let _ = framing.receive(&request, &bytes);
        }
    }

    #[test]
    fn any_text_is_a_profile_or_a_reason(text in "\\PC{0,200}") {
        let _ = Profile::parse(&text).map(|profile| profile.verify());
    }
}
