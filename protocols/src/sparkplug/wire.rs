//! The protobuf of Sparkplug B (Eclipse Sparkplug 3.0.0, section 6.4; field numbers of
//! `org.eclipse.tahu.protobuf`), read in place: nothing is copied, so that a small message cannot
//! make a large table. Unknown fields are skipped, as protobuf demands.

use crate::format::{RejectReason, Rejected};

/// One metric, borrowed from the message.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub(super) struct Metric<'a> {
    pub(super) name: Option<&'a str>,
    pub(super) alias: Option<u64>,
    /// Milliseconds since 1970.
    pub(super) timestamp: Option<u64>,
    pub(super) datatype: Option<u32>,
    pub(super) is_historical: bool,
    pub(super) is_transient: bool,
    pub(super) is_null: bool,
    pub(super) value: Told<'a>,
}

/// The value as it lies in the message, whatever its datatype says.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub(super) enum Told<'a> {
    #[default]
    Nothing,
    Int(u32),
    Long(u64),
    Float(f32),
    Double(f64),
    Bool(bool),
    Text(&'a str),
    /// Bytes, data sets, templates: never a reading.
    Other,
}

/// The parts of a payload that are not metrics.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Head {
    pub(super) timestamp: Option<u64>,
    pub(super) seq: Option<u8>,
}

/// A field of a message.
enum Field<'a> {
    Varint(u64),
    Bits64(u64),
    Bytes(&'a [u8]),
    Bits32(u32),
}

/// Reads the fields of one message in their order.
struct Fields<'a> {
    rest: &'a [u8],
}

/// Calls `each` for every metric, in the order sent, after the head was read.
pub(super) fn read<'a>(
    payload: &'a [u8],
    mut each: impl FnMut(&Head, Metric<'a>) -> Result<(), Rejected>,
) -> Result<Head, Rejected> {
    let mut head = Head::default();
    let mut fields = Fields { rest: payload };
    while let Some((number, field)) = fields.next()? {
        match (number, field) {
            (1, Field::Varint(value)) => head.timestamp = Some(value),
            (3, Field::Varint(value)) => {
                let seq = u8::try_from(value);
                head.seq = Some(seq.map_err(|_| garbage(&format!("a seq of {value}")))?);
            }
            _ => {}
        }
    }
    let mut fields = Fields { rest: payload };
    while let Some((number, field)) = fields.next()? {
        if let (2, Field::Bytes(bytes)) = (number, field) {
            each(&head, metric(bytes)?)?;
        }
    }
    Ok(head)
}

fn metric(bytes: &[u8]) -> Result<Metric<'_>, Rejected> {
    let mut metric = Metric::default();
    let mut fields = Fields { rest: bytes };
    while let Some((number, field)) = fields.next()? {
        match (number, field) {
            (1, Field::Bytes(bytes)) => metric.name = Some(text(bytes)?),
            (2, Field::Varint(value)) => metric.alias = Some(value),
            (3, Field::Varint(value)) => metric.timestamp = Some(value),
            (4, Field::Varint(value)) => metric.datatype = u32::try_from(value).ok(),
            (5, Field::Varint(value)) => metric.is_historical = value != 0,
            (6, Field::Varint(value)) => metric.is_transient = value != 0,
            (7, Field::Varint(value)) => metric.is_null = value != 0,
            (10, Field::Varint(value)) => {
                // Some encoders sign-extend a negative int_value to 64 bits.
                let low = u32::try_from(value & 0xffff_ffff).unwrap_or(u32::MAX);
                metric.value = Told::Int(low);
            }
            (11, Field::Varint(value)) => metric.value = Told::Long(value),
            (12, Field::Bits32(bits)) => metric.value = Told::Float(f32::from_bits(bits)),
            (13, Field::Bits64(bits)) => metric.value = Told::Double(f64::from_bits(bits)),
            (14, Field::Varint(value)) => metric.value = Told::Bool(value != 0),
            (15, Field::Bytes(bytes)) => metric.value = Told::Text(text(bytes)?),
            (16..=19, _) => metric.value = Told::Other,
            _ => {}
        }
    }
    Ok(metric)
}

impl<'a> Fields<'a> {
    fn next(&mut self) -> Result<Option<(u64, Field<'a>)>, Rejected> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let key = self.varint()?;
        let field = match key & 7 {
            0 => Field::Varint(self.varint()?),
            1 => Field::Bits64(u64::from_le_bytes(self.array()?)),
            2 => {
                let length = self.varint()?;
                let length = usize::try_from(length).unwrap_or(usize::MAX);
                Field::Bytes(self.take(length)?)
            }
            5 => Field::Bits32(u32::from_le_bytes(self.array()?)),
            kind => return Err(garbage(&format!("a field of wire type {kind}"))),
        };
        Ok(Some((key >> 3, field)))
    }

    fn varint(&mut self) -> Result<u64, Rejected> {
        let mut value = 0_u64;
        for at in 0..10 {
            let [byte] = self.array()?;
            value |= u64::from(byte & 0x7f).checked_shl(at * 7).unwrap_or(0);
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(garbage("a number of more than 10 bytes"))
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Rejected> {
        let Some((taken, rest)) = self.rest.split_at_checked(length) else {
            return Err(garbage("a field that is longer than the message"));
        };
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Rejected> {
        let taken = self.take(N)?;
        taken.try_into().map_err(|_| garbage("a field that is cut off"))
    }
}

fn text(bytes: &[u8]) -> Result<&str, Rejected> {
    std::str::from_utf8(bytes).map_err(|_| garbage("a text that is not UTF-8"))
}

fn garbage(what: &str) -> Rejected {
    RejectReason::BadFormat.because(format!("no Sparkplug B payload: {what}"))
}

/// The command that asks a node for its birth: `Node Control/Rebirth` = true.
pub(super) fn rebirth(at_ms: u64) -> Vec<u8> {
    const NAME: &[u8] = b"Node Control/Rebirth";
    let mut metric = vec![0x0a, 20];
    metric.extend_from_slice(NAME);
    metric.push(0x18);
    put_varint(&mut metric, at_ms);
    // Datatype Boolean, boolean_value true.
    metric.extend_from_slice(&[0x20, 11, 0x70, 1]);
    let mut payload = vec![0x08];
    put_varint(&mut payload, at_ms);
    payload.push(0x12);
    put_varint(&mut payload, metric.len() as u64);
    payload.extend_from_slice(&metric);
    payload
}

fn put_varint(into: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        into.push(u8::try_from(value & 0x7f).unwrap_or(0) | 0x80);
        value >>= 7;
    }
    into.push(u8::try_from(value).unwrap_or(0));
}
