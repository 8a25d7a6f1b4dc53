//! A day's summary as bytes, for the table of closed days.

use metering::{RuleMask, UtcTime};

use super::input::DaySummary;

/// First byte; another layout gets another number.
const LAYOUT: u8 = 1;
const LEN: usize = 107;

impl DaySummary {
    /// All of it in a fixed number of bytes, little-endian.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(LEN);
        out.push(LAYOUT);
        out.push(
            u8::from(self.validated)
                | u8::from(self.outage) << 1
                | u8::from(self.switched_off) << 2,
        );
        let since = |at: Option<UtcTime>| at.map_or(i64::MIN, UtcTime::micros);
        for number in [
            self.from.micros(),
            self.to.micros(),
            self.total,
            self.peak,
            self.failing.bits().cast_signed(),
            self.warned.bits().cast_signed(),
            since(self.zero_since),
            since(self.flat_since),
            self.flat_value,
            since(self.reactive_since),
        ] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        for number in [self.slots, self.actual, self.suspect, self.lacking_days] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&self.pf_permille.to_le_bytes());
        for number in [self.zero_longest_s, self.flat_slots] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out
    }

    /// `None` when the bytes are of another layout.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (head, mut rest) = bytes.split_at_checked(2)?;
        if head[0] != LAYOUT {
            return None;
        }
        let number = |rest: &mut &[u8]| take::<8>(rest).map(i64::from_le_bytes);
        let instant = |rest: &mut &[u8]| number(rest).map(UtcTime::from_micros);
        let mask = |rest: &mut &[u8]| number(rest).map(|n| RuleMask::from_bits(n.cast_unsigned()));
        let since = |rest: &mut &[u8]| {
            number(rest).map(|n| (n != i64::MIN).then_some(UtcTime::from_micros(n)))
        };
        let rest = &mut rest;
        Some(Self {
            validated: head[1] & 1 != 0,
            outage: head[1] & 2 != 0,
            switched_off: head[1] & 4 != 0,
            from: instant(rest)?,
            to: instant(rest)?,
            total: number(rest)?,
            peak: number(rest)?,
            failing: mask(rest)?,
            warned: mask(rest)?,
            zero_since: since(rest)?,
            flat_since: since(rest)?,
            flat_value: number(rest)?,
            reactive_since: since(rest)?,
            slots: take(rest).map(u16::from_le_bytes)?,
            actual: take(rest).map(u16::from_le_bytes)?,
            suspect: take(rest).map(u16::from_le_bytes)?,
            lacking_days: take(rest).map(u16::from_le_bytes)?,
            pf_permille: take(rest).map(i16::from_le_bytes)?,
            zero_longest_s: take(rest).map(i32::from_le_bytes)?,
            flat_slots: take(rest).map(i32::from_le_bytes)?,
        })
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = rest.split_first_chunk::<N>()?;
    *rest = tail;
    Some(*head)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_summary_survives_its_bytes(
            numbers in prop::array::uniform6(any::<i64>()),
            small in prop::array::uniform4(any::<u16>()),
            more in any::<(i16, i32, i32, bool, bool)>(),
            since in any::<Option<i32>>(),
        ) {
            let since = since.map(|s| UtcTime::from_seconds(i64::from(s)));
            let summary = DaySummary {
                from: UtcTime::from_micros(numbers[0]),
                to: UtcTime::from_micros(numbers[1]),
                total: numbers[2],
                peak: numbers[3],
                slots: small[0],
                actual: small[1],
                suspect: small[2],
                validated: more.3,
                outage: more.4,
                failing: RuleMask::from_bits(numbers[4].cast_unsigned()),
                warned: RuleMask::from_bits(numbers[5].cast_unsigned()),
                zero_since: since,
                zero_longest_s: more.1,
                flat_since: None,
                flat_value: numbers[2],
                flat_slots: more.2,
                reactive_since: since,
                pf_permille: more.0,
                switched_off: more.3,
                lacking_days: small[3],
            };
            let bytes = summary.to_bytes();
            prop_assert_eq!(DaySummary::from_bytes(&bytes), Some(summary));
            prop_assert_eq!(DaySummary::from_bytes(&bytes[1..]), None);
        }
    }
}
