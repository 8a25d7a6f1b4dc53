//! A ring of the newest slots of a channel: a byte each while all of them are few steps of the
//! counter, as they are at most places, else two.

use crate::snapshot::{Reader, Snap, SnapshotError, Writer};
use crate::stats::{CODE_BAD, CODE_MISSING, code16, decode16};

/// Most steps of a byte; the two above are [`CODE_BAD`] and [`CODE_MISSING`].
const STEPS_MAX: u64 = 253;
const BAD: u8 = 254;
const MISSING: u8 = 255;

/// Codes of [`code16`] by place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Slots {
    /// One byte or two (little endian) for each place.
    bytes: Box<[u8]>,
    len: u16,
    /// Milli-units of a step of a byte.
    step: u32,
}

impl Slots {
    pub(crate) fn new(len: u16, step: u32) -> Self {
        let len = len.max(2);
        let bytes = vec![MISSING; usize::from(len)].into_boxed_slice();
        Self { bytes, len, step: step.max(1) }
    }

    pub(crate) fn len(&self) -> u16 {
        self.len
    }

    /// Milli-units of a step of a byte.
    pub(crate) fn step(&self) -> u32 {
        self.step
    }

    fn is_wide(&self) -> bool {
        self.bytes.len() > usize::from(self.len)
    }

    fn wide_code(&self, byte: u8) -> u16 {
        match byte {
            BAD => CODE_BAD,
            MISSING => CODE_MISSING,
            steps => code16(u64::from(steps) * u64::from(self.step)),
        }
    }

    /// The byte that stands for just this code.
    fn byte(&self, code: u16) -> Option<u8> {
        match code {
            CODE_BAD => return Some(BAD),
            CODE_MISSING => return Some(MISSING),
            _ => {}
        }
        let (value, step) = (u64::try_from(decode16(code)?).ok()?, u64::from(self.step));
        let steps = (value + step / 2) / step;
        let byte = u8::try_from(steps).ok().filter(|_| steps <= STEPS_MAX)?;
        (self.wide_code(byte) == code).then_some(byte)
    }

    pub(crate) fn get(&self, place: usize) -> u16 {
        if self.is_wide() {
            let pair = (self.bytes.get(2 * place), self.bytes.get(2 * place + 1));
            let (Some(low), Some(high)) = pair else { return CODE_MISSING };
            return u16::from_le_bytes([*low, *high]);
        }
        self.wide_code(self.bytes.get(place).copied().unwrap_or(MISSING))
    }

    pub(crate) fn set(&mut self, place: usize, code: u16) {
        if place >= usize::from(self.len) {
            return;
        }
        // Once in a turn of the ring.
        if self.is_wide() && place == 0 {
            self.narrow();
        }
        match self.byte(code) {
            Some(byte) if !self.is_wide() => self.bytes[place] = byte,
            _ => {
                self.widen();
                self.bytes[2 * place..2 * place + 2].copy_from_slice(&code.to_le_bytes());
            }
        }
    }

    fn widen(&mut self) {
        if !self.is_wide() {
            let places = 0..usize::from(self.len);
            self.bytes = places.flat_map(|at| self.get(at).to_le_bytes()).collect();
        }
    }

    fn narrow(&mut self) {
        let places = 0..usize::from(self.len);
        let bytes: Option<Box<[u8]>> = places.map(|at| self.byte(self.get(at))).collect();
        if let Some(bytes) = bytes {
            self.bytes = bytes;
        }
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
        let bytes: Box<[u8]> = Snap::load(from)?;
        let places = usize::from(len);
        if len < 2 || step == 0 || (bytes.len() != places && bytes.len() != 2 * places) {
            return Err(SnapshotError::Damaged);
        }
        Ok(Self { bytes, len, step })
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
                let code = match value % 7 {
                    0 => CODE_BAD,
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
    fn a_ring_is_wide_only_while_it_must_be() {
        let mut slots = Slots::new(26, 1_000);
        slots.set(3, code16(5_000));
        assert_eq!(slots.heap_bytes(), 26);
        slots.set(4, code16(900_000));
        assert_eq!((slots.heap_bytes(), slots.get(3)), (52, code16(5_000)));
        slots.set(4, code16(1_000));
        slots.set(0, code16(0));
        assert_eq!((slots.heap_bytes(), slots.get(4)), (26, code16(1_000)));
    }
}
