//! The link layer: check sums of blocks, and who sends (EN 13757-4, 11.3 to 11.6; the wired long
//! frame of EN 13757-2).

use std::fmt;

use crate::format::{RejectReason, Rejected};

/// Who a device is: identification (BCD, low byte first), maker, generation, medium.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Identity {
    /// As transmitted: M-field, low byte first.
    pub(super) maker: [u8; 2],
    /// As transmitted, low byte first.
    pub(super) number: [u8; 4],
    pub(super) version: u8,
    pub(super) medium: u8,
}

/// A telegram without its check sums.
#[derive(Debug)]
pub(super) struct Frame {
    /// `None` on a wired bus, whose frames are named by their transport layer.
    pub(super) sender: Option<Identity>,
    /// From the first CI field on.
    pub(super) body: Vec<u8>,
}

/// Bytes of the first block: L, C, M, A.
const HEAD: usize = 10;
const BLOCK: usize = 16;
/// A frame of format B has its first check sum after at most this many bytes.
const B_FIRST: usize = 126;

impl Frame {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Rejected> {
        if let [0x68, length, again, 0x68, ..] = bytes
            && length == again
        {
            return wired(bytes);
        }
        let plain = without_check_sums(bytes)?;
        let (Some(head), Some(body)) = (plain.get(2..HEAD), plain.get(HEAD..)) else {
            return Err(short(bytes));
        };
        if body.is_empty() {
            return Err(short(bytes));
        }
        Ok(Self { sender: Identity::link(head), body: body.to_vec() })
    }
}

impl Identity {
    /// M-field and A-field of the link layer, 8 bytes.
    pub(super) fn link(head: &[u8]) -> Option<Self> {
        let [m0, m1, a, b, c, d, version, medium] = *head else { return None };
        Some(Self { maker: [m0, m1], number: [a, b, c, d], version, medium })
    }

    /// Identification first, as in the transport layer's long header, 8 bytes.
    pub(super) fn long(head: &[u8]) -> Option<Self> {
        let [a, b, c, d, m0, m1, version, medium] = *head else { return None };
        Some(Self { maker: [m0, m1], number: [a, b, c, d], version, medium })
    }

    /// The 8 digits printed on the device.
    pub(super) fn digits(&self) -> String {
        let [a, b, c, d] = self.number;
        format!("{d:02X}{c:02X}{b:02X}{a:02X}")
    }

    /// Three letters of the maker (DLMS UA flag).
    pub(super) fn letters(&self) -> String {
        let word = u16::from_le_bytes(self.maker);
        [10, 5, 0]
            .into_iter()
            .map(|shift| {
                let letter = u8::try_from(word >> shift & 0x1F).unwrap_or(0) + 0x40;
                if letter.is_ascii_uppercase() { char::from(letter) } else { '?' }
            })
            .collect()
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (version, medium) = (self.version, self.medium);
        write!(f, "{} ({} v{version:02x} t{medium:02x})", self.digits(), self.letters())
    }
}

/// CRC-16 of EN 13757: polynomial 0x3D65, start 0, inverted.
pub(super) fn crc(bytes: &[u8]) -> u16 {
    let mut sum = 0_u16;
    for byte in bytes {
        sum ^= u16::from(*byte) << 8;
        for _ in 0..8 {
            sum = if sum & 0x8000 == 0 { sum << 1 } else { sum << 1 ^ 0x3D65 };
        }
    }
    !sum
}

fn short(bytes: &[u8]) -> Rejected {
    RejectReason::BadFormat.because(format!("{} bytes are no telegram", bytes.len()))
}

/// `68 L L 68 C A ... checksum 16`.
fn wired(bytes: &[u8]) -> Result<Frame, Rejected> {
    let length = usize::from(bytes[1]);
    let (Some(user), Some([sum, 0x16])) = (bytes.get(4..4 + length), bytes.get(4 + length..))
    else {
        return Err(RejectReason::BadFormat
            .because(format!("an M-Bus frame of L={length} in {} bytes", bytes.len())));
    };
    if user.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte)) != *sum {
        return Err(RejectReason::BadChecksum.because("the sum of the M-Bus frame is wrong"));
    }
    match user.get(2..) {
        Some(body) if !body.is_empty() => Ok(Frame { sender: None, body: body.to_vec() }),
        _ => Err(short(bytes)),
    }
}

/// Receivers pass telegrams with or without the check sums of the blocks. Format A does not count
/// them in L, format B does.
fn without_check_sums(bytes: &[u8]) -> Result<Vec<u8>, Rejected> {
    let Some(first) = bytes.first() else { return Err(short(bytes)) };
    let length = usize::from(*first) + 1;
    if bytes.len() < HEAD + 1 || length < HEAD + 1 {
        return Err(short(bytes));
    }
    if bytes.len() > length && bytes.len() >= with_sums(length) {
        return format_a(&bytes[..with_sums(length)], length);
    }
    if bytes.len() != length {
        return Err(RejectReason::BadFormat
            .because(format!("L says {length} bytes, the telegram has {}", bytes.len())));
    }
    Ok(format_b(bytes).unwrap_or_else(|| bytes.to_vec()))
}

/// Bytes of a format A telegram of `length` with its check sums.
const fn with_sums(length: usize) -> usize {
    length + 2 + (length - HEAD).div_ceil(BLOCK) * 2
}

fn format_a(bytes: &[u8], length: usize) -> Result<Vec<u8>, Rejected> {
    let mut plain = Vec::with_capacity(length);
    let mut rest = bytes;
    let mut size = HEAD;
    while !rest.is_empty() {
        let data = size.min(rest.len().saturating_sub(2));
        let (block, tail) = rest.split_at(data);
        let Some((sum, tail)) = tail.split_first_chunk::<2>() else { break };
        if crc(block) != u16::from_be_bytes(*sum) {
            let block = plain.len() / BLOCK;
            return Err(RejectReason::BadChecksum
                .because(format!("the check sum of block {block} is wrong")));
        }
        plain.extend_from_slice(block);
        (rest, size) = (tail, BLOCK);
    }
    Ok(plain)
}

/// `None`: the telegram carries no check sums of format B.
fn format_b(bytes: &[u8]) -> Option<Vec<u8>> {
    let first = bytes.len().min(B_FIRST + 2);
    let (block, rest) = bytes.split_at(first);
    let mut plain = checked(block)?.to_vec();
    if !rest.is_empty() {
        plain.extend_from_slice(checked(rest)?);
    }
    Some(plain)
}

fn checked(block: &[u8]) -> Option<&[u8]> {
    let (data, sum) = block.split_last_chunk::<2>()?;
    (crc(data) == u16::from_be_bytes(*sum)).then_some(data)
}
