//! Frames around a request and its answer: Modbus TCP (MBAP header, Messaging on TCP/IP V1.0b, 3)
//! and RTU (address and CRC, Serial Line V1.02, 2.5.1), the latter also inside a TCP connection.
//!
//! RTU has no transaction number: an old answer of the same length looks right. So everything that
//! can be compared is compared, bytes behind the answer are a fault, and whoever owns the
//! connection drops it after any fault (`protocols.md` 4.1).

use super::pdu::{Answer, Exception, ReadRequest};

/// Header of Modbus TCP up to and with the unit, in bytes.
const MBAP: usize = 7;
/// Longest frame of either framing (header 7 + PDU 253).
pub const FRAME_BYTES_MAX: usize = 260;

/// How a frame is wrapped.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Framing {
    /// Modbus TCP.
    Tcp,
    /// RTU, on a serial line or inside TCP.
    Rtu,
}

/// One request on its way; at most one is on a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Request {
    pub unit: u8,
    pub read: ReadRequest,
    /// Modbus TCP only.
    pub transaction: u16,
}

/// What the bytes received so far are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Received {
    /// The beginning of an answer that may still be right.
    Partial,
    /// The answer, and its PDU as received.
    Whole(Answer, Vec<u8>),
}

/// The bytes are no answer to the request; the connection cannot be trusted any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum WireFault {
    #[error("the answer has transaction {got}, not {want}: it belongs to another request")]
    Transaction { want: u16, got: u16 },
    #[error("protocol number {0} is not Modbus")]
    Protocol(u16),
    #[error("the header says {0} bytes, which no answer to this request has")]
    Length(u16),
    #[error("unit {got} answered in place of unit {want}")]
    Unit { want: u8, got: u8 },
    #[error("the answer has function {got}, not {want}")]
    Function { want: u8, got: u8 },
    #[error("the answer holds {got} bytes of registers, not {want}")]
    ByteCount { want: u8, got: u8 },
    #[error("the check sum is wrong")]
    Crc,
    #[error("{0} bytes follow the answer")]
    Excess(usize),
}

impl Framing {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Rtu => "rtu",
        }
    }

    /// The bytes to send.
    pub fn encode(self, request: &Request) -> Vec<u8> {
        let pdu = request.read.pdu();
        match self {
            Self::Tcp => {
                let mut frame = Vec::with_capacity(MBAP + pdu.len());
                frame.extend(request.transaction.to_be_bytes());
                frame.extend([0, 0, 0, 6, request.unit]);
                frame.extend(pdu);
                frame
            }
            Self::Rtu => {
                let mut frame = Vec::with_capacity(3 + pdu.len());
                frame.push(request.unit);
                frame.extend(pdu);
                let crc = crc16(&frame);
                frame.extend(crc.to_le_bytes());
                frame
            }
        }
    }

    /// Looks at everything received since the request was sent.
    ///
    /// # Errors
    /// [`WireFault`] as soon as it can be no answer to `request`.
    pub fn receive(self, request: &Request, bytes: &[u8]) -> Result<Received, WireFault> {
        match self {
            Self::Tcp => receive_tcp(request, bytes),
            Self::Rtu => receive_rtu(request, bytes),
        }
    }
}

fn receive_tcp(request: &Request, bytes: &[u8]) -> Result<Received, WireFault> {
    let word = |at: usize| Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]));
    if let Some(got) = word(0).filter(|got| *got != request.transaction) {
        return Err(WireFault::Transaction { want: request.transaction, got });
    }
    if let Some(protocol) = word(2).filter(|protocol| *protocol != 0) {
        return Err(WireFault::Protocol(protocol));
    }
    let Some(length) = word(4) else { return Ok(Received::Partial) };
    // Unit, function and exception code; or unit, function, byte count and registers.
    let full = 3 + 2 * request.read.count();
    if length != 3 && length != full {
        return Err(WireFault::Length(length));
    }
    if let Some(unit) = bytes.get(6) {
        check_unit(request, *unit)?;
    }
    let pdu = bytes.get(MBAP..).unwrap_or_default();
    let Some(size) = pdu_size(request, pdu)? else { return Ok(Received::Partial) };
    if usize::from(length) != size + 1 {
        return Err(WireFault::Length(length));
    }
    whole(pdu, size, 0)
}

fn receive_rtu(request: &Request, bytes: &[u8]) -> Result<Received, WireFault> {
    let Some((unit, rest)) = bytes.split_first() else { return Ok(Received::Partial) };
    check_unit(request, *unit)?;
    let Some(size) = pdu_size(request, rest)? else { return Ok(Received::Partial) };
    let received = whole(rest, size, 2)?;
    let sum = rest.get(size..size + 2).filter(|_| matches!(received, Received::Whole(..)));
    if sum.is_some_and(|sum| crc16(&bytes[..=size]).to_le_bytes() != sum) {
        return Err(WireFault::Crc);
    }
    Ok(received)
}

const fn check_unit(request: &Request, got: u8) -> Result<(), WireFault> {
    if got == request.unit { Ok(()) } else { Err(WireFault::Unit { want: request.unit, got }) }
}

/// Length of the answer's PDU, as soon as its beginning tells.
fn pdu_size(request: &Request, pdu: &[u8]) -> Result<Option<usize>, WireFault> {
    let want = request.read.function.code();
    let Some(got) = pdu.first().copied() else { return Ok(None) };
    if got == want | 0x80 {
        return Ok(Some(2));
    }
    if got != want {
        return Err(WireFault::Function { want, got });
    }
    let Some(got) = pdu.get(1).copied() else { return Ok(None) };
    let want = u8::try_from(2 * request.read.count()).unwrap_or(u8::MAX);
    if got != want {
        return Err(WireFault::ByteCount { want, got });
    }
    Ok(Some(2 + usize::from(want)))
}

/// The PDU once all of it and `tail` bytes are there.
fn whole(rest: &[u8], size: usize, tail: usize) -> Result<Received, WireFault> {
    if rest.len() < size + tail {
        return Ok(Received::Partial);
    }
    if rest.len() > size + tail {
        return Err(WireFault::Excess(rest.len() - size - tail));
    }
    let pdu = rest[..size].to_vec();
    let answer = if pdu[0] & 0x80 == 0 {
        let words = pdu[2..].chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
        Answer::Registers(words.collect())
    } else {
        Answer::Exception(Exception(pdu[1]))
    };
    Ok(Received::Whole(answer, pdu))
}

/// CRC-16/MODBUS (Serial Line V1.02, 6.2.2): polynomial 0xA001 reflected, start 0xFFFF.
pub fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xFFFF, |crc, byte| {
        let index = usize::from((crc ^ u16::from(*byte)) & 0xFF);
        (crc >> 8) ^ TABLE[index]
    })
}

const TABLE: [u16; 256] = table();

#[expect(clippy::cast_possible_truncation, reason = "the index is below 256")]
const fn table() -> [u16; 256] {
    let mut table = [0; 256];
    let mut at = 0;
    while at < 256 {
        let (mut crc, mut bit) = (at as u16, 0);
        while bit < 8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xA001 } else { crc >> 1 };
            bit += 1;
        }
        table[at] = crc;
        at += 1;
    }
    table
}

/// `04 00 48 00 02` to bytes; `None` unless pairs of hex digits, spaces between or not.
pub fn of_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    if !digits.len().is_multiple_of(2) || digits.len() > 2 * FRAME_BYTES_MAX {
        return None;
    }
    let nibble = |digit: u8| char::from(digit).to_digit(16).and_then(|n| u8::try_from(n).ok());
    digits.chunks_exact(2).map(|pair| Some(nibble(pair[0])? << 4 | nibble(pair[1])?)).collect()
}

/// Bytes as `04 00 48`.
pub fn to_hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(bytes.len() * 3);
    for byte in bytes {
        let space = if text.is_empty() { "" } else { " " };
        // Writing to a String cannot fail.
        let _ = write!(text, "{space}{byte:02X}");
    }
    text
}

/// The answer in a bare PDU, as profiles and records hold it.
///
/// # Errors
/// [`WireFault`] when it is no answer to `read`.
pub fn answer_of_pdu(read: ReadRequest, pdu: &[u8]) -> Result<Answer, WireFault> {
    let request = Request { unit: 0, read, transaction: 0 };
    let size = pdu_size(&request, pdu)?.ok_or(WireFault::Length(0))?;
    match whole(pdu, size, 0)? {
        Received::Whole(answer, _) => Ok(answer),
        Received::Partial => Err(WireFault::Length(u16::try_from(pdu.len()).unwrap_or(u16::MAX))),
    }
}
