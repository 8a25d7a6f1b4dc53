//! A ring of the newest slots of a channel: two bits for each, which say that nothing came or that
//! nothing flowed, and a byte or two for those of which there is more to say.

use crate::snapshot::{Reader, Snap, SnapshotError, Writer};
use crate::stats::{CODE_BAD, CODE_MISSING, code16, decode16};

/// Most steps of a byte; the one above is [`CODE_BAD`].
const STEPS_MAX: u64 = 254;
const BAD: u8 = 255;
/// What the two bits of a slot say.
const MISSING: u8 = 0;
const ZERO: u8 = 1;
/// Steps of the counter in a byte.
const NARROW: u8 = 2;
/// A code in two bytes.
const WIDE: u8 = 3;
const A_BYTE: usize = 4;

/// Codes of [`code16`] by place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Slots {
    /// The bits of all places, then the bytes of those that have some, in the order of places.
    bytes: Box<[u8]>,
    len: u16,
    /// Milli-units of a step of a byte.
    step: u32,
}

/// Bytes that stand behind the bits for the slots of this byte of them.
fn behind(bits: u8) -> usize {
    let high = bits & 0xAA;
    (high.count_ones() + (high & bits << 1).count_ones()) as usize
}

impl Slots {
    pub(crate) fn new(len: u16, step: u32) -> Self {
        let len = len.max(2);
        let bytes = vec![0; usize::from(len).div_ceil(A_BYTE)].into_boxed_slice();
        Self { bytes, len, step: step.max(1) }
    }

    pub(crate) fn len(&self) -> u16 {
        self.len
    }

    /// Milli-units of a step of a byte.
    pub(crate) fn step(&self) -> u32 {
        self.step
    }

    fn bits_len(&self) -> usize {
        usize::from(self.len).div_ceil(A_BYTE)
    }

    /// What the bits of a place say, and where its bytes stand.
    fn at(&self, place: usize) -> (u8, usize) {
        let (before, shift) = (place / A_BYTE, place % A_BYTE * 2);
        let (words, rest) = self.bytes[..before].as_chunks();
        let words = words.iter().map(|word| u64::from_le_bytes(*word));
        let high = |word: u64| word & 0xAAAA_AAAA_AAAA_AAAA;
        let many = |word: u64| high(word).count_ones() + (high(word) & word << 1).count_ones();
        let whole = words.map(many).sum::<u32>() as usize;
        let rest = rest.iter().map(|bits| behind(*bits)).sum::<usize>();
        let own = self.bytes[before];
        let same = behind(own & !(0xFF << shift));
        (own >> shift & 3, self.bits_len() + whole + rest + same)
    }

    fn wide_code(&self, byte: u8) -> u16 {
        match byte {
            BAD => CODE_BAD,
            steps => code16(u64::from(steps) * u64::from(self.step)),
        }
    }

    /// The byte that stands for just this code.
    fn byte(&self, code: u16) -> Option<u8> {
        if code == CODE_BAD {
            return Some(BAD);
        }
        let (value, step) = (u64::try_from(decode16(code)?).ok()?, u64::from(self.step));
        let steps = (value + step / 2) / step;
        let byte = u8::try_from(steps).ok().filter(|_| steps <= STEPS_MAX)?;
        (self.wide_code(byte) == code).then_some(byte)
    }

    pub(crate) fn get(&self, place: usize) -> u16 {
        if place >= usize::from(self.len) {
            return CODE_MISSING;
        }
        let (kind, at) = self.at(place);
        match kind {
            MISSING => CODE_MISSING,
            ZERO => 0,
            NARROW => self.bytes.get(at).map_or(CODE_MISSING, |byte| self.wide_code(*byte)),
            _ => {
                let pair = self.bytes.get(at..).and_then(|rest| rest.first_chunk());
                pair.map_or(CODE_MISSING, |pair| u16::from_le_bytes(*pair))
            }
        }
    }

    pub(crate) fn set(&mut self, place: usize, code: u16) {
        if place >= usize::from(self.len) {
            return;
        }
        let wide = code.to_le_bytes();
        let (kind, own): (u8, &[u8]) = match (code, self.byte(code)) {
            (CODE_MISSING, _) => (MISSING, &[]),
            (0, _) => (ZERO, &[]),
            (_, Some(byte)) => (NARROW, &[byte]),
            (_, None) => (WIDE, &wide),
        };
        let (before, at) = self.at(place);
        let to = at + usize::from(before.saturating_sub(ZERO));
        if to - at == own.len() {
            self.bytes[at..to].copy_from_slice(own);
        } else {
            self.bytes = [&self.bytes[..at], own, &self.bytes[to..]].concat().into_boxed_slice();
        }
        let (bits, shift) = (&mut self.bytes[place / A_BYTE], place % A_BYTE * 2);
        *bits = *bits & !(3 << shift) | kind << shift;
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.bytes.len()
    }
}

impl Snap for Slots {
    fn save(&self, to: &mut Writer) {
        self.len.save(to);
        self.step.save(to);
        self.bytes.save(to);
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, SnapshotError> {
        let (len, step) = (u16::load(from)?, u32::load(from)?);
        let this = Self { bytes: Snap::load(from)?, len, step };
        let bits = this.bytes.get(..this.bits_len()).ok_or(SnapshotError::Damaged)?;
        let whole = bits.len() + bits.iter().map(|bits| behind(*bits)).sum::<usize>();
        if len < 2 || step == 0 || this.bytes.len() != whole {
            return Err(SnapshotError::Damaged);
        }
        Ok(this)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn each_code_comes_back_whatever_the_width(
            step in 1_u32..20_000,
            puts: Vec<(u8, u64)>,
        ) {
            let mut slots = Slots::new(26, step);
            let mut codes = [CODE_MISSING; 26];
            for (place, value) in puts {
                let code = match value % 9 {
                    0 => CODE_BAD,
                    7 => CODE_MISSING,
                    8 => 0,
                    1 => code16(value >> 24),
                    few => code16(few * u64::from(step)),
                };
                let place = usize::from(place) % codes.len();
                codes[place] = code;
                slots.set(place, code);
                for (at, code) in codes.iter().enumerate() {
                    prop_assert_eq!(slots.get(at), *code);
                }
            }
        }
    }

    #[test]
    fn a_slot_takes_what_there_is_to_say_of_it() {
        let mut slots = Slots::new(26, 1_000);
        assert_eq!(slots.heap_bytes(), 7);
        slots.set(3, code16(5_000));
        slots.set(9, 0);
        assert_eq!(slots.heap_bytes(), 8);
        slots.set(4, code16(900_000));
        assert_eq!((slots.heap_bytes(), slots.get(3)), (10, code16(5_000)));
        slots.set(3, CODE_MISSING);
        slots.set(4, code16(1_000));
        assert_eq!(
            (slots.heap_bytes(), slots.get(4), slots.get(3)),
            (8, code16(1_000), CODE_MISSING)
        );
    }

    #[test]
    fn what_was_not_written_so_is_refused() {
        let mut slots = Slots::new(26, 1_000);
        slots.set(3, code16(5_000));
        for (cut, sound) in [(0, true), (1, false)] {
            let mut to = Writer::start(&[0; 32]);
            slots.len.save(&mut to);
            slots.step.save(&mut to);
            slots.bytes[..slots.bytes.len() - cut].to_vec().save(&mut to);
            let bytes = to.finish();
            let mut from = Reader::start(&bytes, &[0; 32]).unwrap();
            assert_eq!(Slots::load(&mut from).ok(), sound.then(|| slots.clone()));
        }
    }
}
