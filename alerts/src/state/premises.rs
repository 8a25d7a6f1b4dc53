//! What the meters of one address say together: when each commodity was last used there, and since
//! when the electricity is down to its base. Zero everywhere means that nobody is in.

use std::collections::BTreeMap;

use metering::Commodity;

use crate::snapshot::{Reader, Snap, SnapshotError, Writer, snap_struct};

const COMMODITIES: usize = 4;
const NO_DAY: i32 = i32::MIN;

/// One address. Local days by number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Premises {
    /// Newest day with use, and newest closed day, by commodity.
    used: [i32; COMMODITIES],
    closed: [i32; COMMODITIES],
    /// First day of the run of days with a fifth of the usual electricity or less.
    quiet_from: i32,
}

snap_struct!(Premises { used, closed, quiet_from });

/// A closed day of a meter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Lived {
    pub(crate) commodity: Commodity,
    pub(crate) number: i32,
    pub(crate) used: bool,
    /// A fifth of what is usual, or less.
    pub(crate) quiet: bool,
}

/// All addresses with a number.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct AllPremises {
    by_number: BTreeMap<i32, Premises>,
}

fn place(commodity: Commodity) -> usize {
    Commodity::ALL.iter().position(|one| *one == commodity).unwrap_or(0).min(COMMODITIES - 1)
}

impl AllPremises {
    /// A day of a meter there closed. Number 0: the address is unknown.
    pub(crate) fn note(&mut self, premises: i32, lived: Lived) {
        if premises == 0 {
            return;
        }
        let new = Premises {
            used: [NO_DAY; COMMODITIES],
            closed: [NO_DAY; COMMODITIES],
            quiet_from: i32::MAX,
        };
        let own = self.by_number.entry(premises).or_insert(new);
        let at = place(lived.commodity);
        own.closed[at] = own.closed[at].max(lived.number);
        if lived.used {
            own.used[at] = own.used[at].max(lived.number);
        }
        if lived.commodity == Commodity::Electricity {
            own.quiet_from = if lived.quiet { own.quiet_from.min(lived.number) } else { i32::MAX };
        }
    }

    /// First day of the run of quiet days; later than any day when the newest is not quiet.
    pub(crate) fn quiet_from(&self, premises: i32) -> i32 {
        self.by_number.get(&premises).map_or(i32::MAX, |known| known.quiet_from)
    }

    /// Nobody was in since day `from`: another commodity was not used either, or the electricity
    /// fell to its base.
    pub(crate) fn is_empty_since(&self, premises: i32, own: Commodity, from: i32) -> bool {
        let Some(known) = self.by_number.get(&premises) else { return false };
        let electricity = place(Commodity::Electricity);
        let quiet = own != Commodity::Electricity
            && known.quiet_from <= from.saturating_add(2)
            && known.closed[electricity] > from;
        let unused =
            Commodity::ALL.iter().map(|other| (*other, place(*other))).any(|(other, at)| {
                other != own
                    && known.used[at] != NO_DAY
                    && known.used[at] <= from.saturating_add(1)
                    && known.closed[at] > from.saturating_add(1)
            });
        quiet || unused
    }
}

impl Snap for AllPremises {
    fn save(&self, to: &mut Writer) {
        self.by_number.save(to);
    }
    fn load(from: &mut Reader<'_>) -> Result<Self, SnapshotError> {
        Ok(Self { by_number: Snap::load(from)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_house_is_empty_when_nothing_is_used() {
        let mut all = AllPremises::default();
        let day = |commodity, number, used, quiet| Lived { commodity, number, used, quiet };
        for number in 0..30 {
            let away = number >= 10;
            all.note(5, day(Commodity::Gas, number, !away, false));
            all.note(5, day(Commodity::Electricity, number, true, away));
            all.note(6, day(Commodity::Electricity, number, true, false));
        }
        assert!(all.is_empty_since(5, Commodity::Water, 9));
        assert!(!all.is_empty_since(5, Commodity::Water, 2));
        assert!(!all.is_empty_since(6, Commodity::Water, 9));
        assert!(!all.is_empty_since(7, Commodity::Water, 9));
    }
}
