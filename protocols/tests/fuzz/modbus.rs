//! Modbus: frames of both framings with what the registers mean, and poll records. Profiles are
//! files of the operator, read by the TOML library, which keeps to no such limit of memory.

use protocols::Format;
use protocols::modbus::devices;
use protocols::modbus::frame::{Framing, Received, Request};
use protocols::modbus::pdu::{Answer, Function, ReadRequest};

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
