//! What a channel of water or gas keeps of its days beside the total: the least hour of each night
//! (gas: of each day without heating), quarter hours with flow, and the sum of #42 CUSUM.

use crate::snapshot::snap_struct;

/// Nights that are remembered.
pub(crate) const NIGHTS: usize = 28;
const NIGHTS_KEPT: i32 = 28;
/// Days of which the slots with flow are remembered.
const FLOW_DAYS: usize = 5;
const FLOW_DAYS_KEPT: i32 = 5;
const UNKNOWN: u8 = 255;
/// In a byte of `flows`: there was flow from 02:00 to 04:00, and the night was full of refills.
const NIGHT_FLOW: u8 = 0x80;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Nights {
    /// Day since 1970; 0 = none yet.
    newest: u16,
    /// Least hour, coded; a night stands at its day's number modulo the length.
    codes: [u8; NIGHTS],
    /// Slots with flow of 96 by day, with [`NIGHT_FLOW`]; 127 of 96: refills.
    flows: [u8; FLOW_DAYS],
    flows_newest: u16,
    /// Of #42, in thousandths; `mu` and `sigma` in units of 100 mL/h.
    pub(crate) cusum_x1000: u16,
    pub(crate) mu: u16,
    pub(crate) sigma: u16,
    /// Nights in a row that were calm.
    pub(crate) calm: u8,
    /// First night of the sum, as days before the newest.
    pub(crate) run: u8,
}

snap_struct!(Nights { newest, codes, flows, flows_newest, cusum_x1000, mu, sigma, calm, run });

/// What was seen of a day's flow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct FlowDay {
    /// Of 96 quarter hours.
    pub(crate) slots: i64,
    pub(crate) at_night: bool,
    /// Refills of one size at even distances.
    pub(crate) refills: bool,
}

impl Nights {
    pub(crate) const NEW: Self = Self {
        newest: 0,
        codes: [UNKNOWN; NIGHTS],
        flows: [UNKNOWN; FLOW_DAYS],
        flows_newest: 0,
        cusum_x1000: 0,
        mu: 0,
        sigma: 0,
        calm: 0,
        run: 0,
    };

    fn place(number: i32) -> usize {
        usize::try_from(number.rem_euclid(NIGHTS_KEPT)).unwrap_or(0)
    }

    /// Keeps the least hour of a night, in mL/h.
    pub(crate) fn put(&mut self, number: i32, mlph: i64) {
        if number <= i32::from(self.newest) - NIGHTS_KEPT {
            return;
        }
        if number > i32::from(self.newest) {
            for gone in (i32::from(self.newest) + 1).max(number - NIGHTS_KEPT + 1)..=number {
                self.codes[Self::place(gone)] = UNKNOWN;
            }
            self.newest = day16(number);
        }
        self.codes[Self::place(number)] = code8(mlph);
    }

    /// The least hour of a night, in mL/h (within 6 %).
    pub(crate) fn get(&self, number: i32) -> Option<i64> {
        if number > i32::from(self.newest) || number <= i32::from(self.newest) - NIGHTS_KEPT {
            return None;
        }
        decode8(self.codes[Self::place(number)])
    }

    /// The known nights of `count` up to `number`, newest first.
    pub(crate) fn last(&self, number: i32, count: i32) -> impl Iterator<Item = i64> {
        (number - count + 1..=number).rev().filter_map(|night| self.get(night))
    }

    pub(crate) fn put_flow(&mut self, number: i32, day: FlowDay) {
        if number <= i32::from(self.flows_newest) - FLOW_DAYS_KEPT {
            return;
        }
        if number > i32::from(self.flows_newest) {
            for gone in (i32::from(self.flows_newest) + 1).max(number - FLOW_DAYS_KEPT + 1)..=number
            {
                self.flows[Self::flow_place(gone)] = UNKNOWN;
            }
            self.flows_newest = day16(number);
        }
        let slots = if day.refills { 126 } else { u8::try_from(day.slots).unwrap_or(96).min(96) };
        let night = if day.at_night { NIGHT_FLOW } else { 0 };
        self.flows[Self::flow_place(number)] = slots | night;
    }

    pub(crate) fn flow(&self, number: i32) -> Option<FlowDay> {
        if number > i32::from(self.flows_newest)
            || number <= i32::from(self.flows_newest) - FLOW_DAYS_KEPT
        {
            return None;
        }
        let byte = self.flows[Self::flow_place(number)];
        let slots = byte & !NIGHT_FLOW;
        (byte != UNKNOWN).then_some(FlowDay {
            slots: i64::from(slots.min(96)),
            at_night: byte & NIGHT_FLOW != 0,
            refills: slots == 126,
        })
    }

    fn flow_place(number: i32) -> usize {
        usize::try_from(number.rem_euclid(FLOW_DAYS_KEPT)).unwrap_or(0)
    }
}

fn day16(number: i32) -> u16 {
    u16::try_from(number).unwrap_or_default()
}

/// A rate in one byte: steps of 100 mL/h up to 3.2 L/h, then 16 steps an octave to 27 m3/h.
fn code8(mlph: i64) -> u8 {
    let steps = u64::try_from(mlph / 100).unwrap_or(0);
    if steps < 32 {
        return u8::try_from(steps).unwrap_or(0);
    }
    let octave = u64::from(steps.ilog2());
    let part = (steps >> (octave - 4)) & 15;
    u8::try_from(32 + (octave - 5) * 16 + part).map_or(UNKNOWN - 1, |code| code.min(UNKNOWN - 1))
}

/// The lower edge of the step, in mL/h.
fn decode8(code: u8) -> Option<i64> {
    if code == UNKNOWN {
        return None;
    }
    if code < 32 {
        return Some(i64::from(code) * 100);
    }
    let (octave, part) = ((u32::from(code) - 32) / 16 + 5, (i64::from(code) - 32) % 16);
    Some(((16 + part) << (octave - 4)) * 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_known_within_six_per_cent() {
        for mlph in [0, 50, 100, 1_300, 3_100, 3_800, 12_500, 30_000, 500_000, 20_000_000] {
            let back = decode8(code8(mlph)).unwrap();
            assert!(back <= mlph && (mlph - back) * 16 <= mlph.max(1_600), "{mlph} {back}");
        }
        assert_eq!(decode8(code8(i64::MAX)), decode8(254));
    }

    #[test]
    fn nights_and_days_leave_in_their_time() {
        let mut nights = Nights::NEW;
        nights.put(100, 3_800);
        nights.put(127, 0);
        assert_eq!(
            (nights.get(100), nights.get(127), nights.get(110)),
            (Some(3_800), Some(0), None)
        );
        nights.put(128, 100);
        assert_eq!(nights.get(100), None);
        let day = FlowDay { slots: 70, at_night: true, refills: false };
        nights.put_flow(100, day);
        assert_eq!(nights.flow(100), Some(day));
        nights.put_flow(105, FlowDay { refills: true, ..day });
        assert_eq!(nights.flow(100), None);
        assert!(nights.flow(105).is_some_and(|day| day.refills && day.slots == 96));
    }
}
