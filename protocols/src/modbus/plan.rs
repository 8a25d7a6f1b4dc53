//! Which registers are read together. Fewer requests are worth more than fewer bytes: a request
//! costs a turn of the bus.

use std::collections::BTreeSet;

use super::pdu::{Function, ReadRequest};
use super::profile::Profile;

/// One request of a poll, and the registers that its answer holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Read {
    pub request: ReadRequest,
    /// Indices into the profile's registers.
    pub registers: Vec<usize>,
}

/// What the device has taught: registers that cannot be read with their neighbours, or at all.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Learned {
    /// Read each by itself.
    pub alone: BTreeSet<usize>,
    /// Not there.
    pub without: BTreeSet<usize>,
}

/// All requests of one poll, in the order of function and address.
pub fn plan(profile: &Profile, learned: &Learned) -> Vec<Read> {
    let mut wanted: Vec<(Function, u16, u32, usize)> = Vec::new();
    for (index, register) in profile.registers.iter().enumerate() {
        if !learned.without.contains(&index) {
            let (from, to) = register.hull();
            wanted.push((register.function, from, to, index));
        }
    }
    wanted.sort_unstable();
    let mut reads: Vec<Span> = Vec::new();
    for (function, from, to, index) in wanted {
        let alone = learned.alone.contains(&index);
        match reads.last_mut() {
            Some(last) if !alone && last.takes(profile, function, (from, to)) => {
                last.to = last.to.max(to);
                last.registers.push(index);
            }
            _ => reads.push(Span { function, from, to, alone, registers: vec![index] }),
        }
    }
    reads.into_iter().filter_map(Span::read).collect()
}

struct Span {
    function: Function,
    from: u16,
    to: u32,
    alone: bool,
    registers: Vec<usize>,
}

impl Span {
    fn takes(&self, profile: &Profile, function: Function, (from, to): (u16, u32)) -> bool {
        let gap_from = self.to;
        let gap_to = u32::from(from);
        let length = self.to.max(to) - u32::from(self.from);
        let crosses = |range: &std::ops::RangeInclusive<u16>| {
            u32::from(*range.start()) < gap_to && u32::from(*range.end()) >= gap_from
        };
        !self.alone
            && self.function == function
            && gap_to.saturating_sub(gap_from) <= u32::from(profile.max_gap)
            && length <= u32::from(profile.max_read)
            && !(gap_to > gap_from && profile.no_merge.iter().any(crosses))
    }

    fn read(self) -> Option<Read> {
        let count = u16::try_from(self.to - u32::from(self.from)).ok()?;
        let request = ReadRequest::new(self.function, self.from, count)?;
        Some(Read { request, registers: self.registers })
    }
}
