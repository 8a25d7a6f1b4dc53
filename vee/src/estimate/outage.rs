//! EST-ZERO (7.6): a meter without power used nothing.

use metering::{Commodity, UtcTime};

use super::Gap;
use super::input::{ChannelFacts, Outage, OutageEvidence};
use super::shapes::NotApplicable;
use super::share::Weights;

/// An outage that is proven by flags lasts less than a day (Connexo semantics). `std`.
pub const PROVEN_MAX_S: i64 = 86_400;

/// Whether zeros are final.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ZeroFill {
    /// Both reads carry their flags.
    Final,
    /// Known by classification only: redone when a restored meter reports otherwise.
    Provisional,
}

/// The preconditions of 7.6 for an outage of `gap_s` seconds.
///
/// # Errors
/// [`NotApplicable`] when zeros must not be written.
pub fn zero_fill(
    commodity: Commodity,
    evidence: OutageEvidence,
    gap_s: i64,
) -> Result<ZeroFill, NotApplicable> {
    if commodity != Commodity::Electricity {
        return Err(NotApplicable::WrongCommodity);
    }
    match evidence {
        OutageEvidence::Classified => Ok(ZeroFill::Provisional),
        OutageEvidence::Flags { power_down: true, power_up: true } if gap_s < PROVEN_MAX_S => {
            Ok(ZeroFill::Final)
        }
        OutageEvidence::Flags { .. } => Err(NotApplicable::OutageUnproven),
    }
}

/// An outage that covers every slot of the gap at least in part.
///
/// # Errors
/// [`NotApplicable`] when no outage does, or its preconditions fail.
pub(super) fn covering(
    facts: &ChannelFacts,
    outages: &[Outage],
    gap: Gap,
) -> Result<(Outage, ZeroFill), NotApplicable> {
    let len = i64::from(facts.len_s());
    let first_end = gap.from.plus_seconds(len);
    let last_start = gap.to.plus_seconds(-len);
    let covers = |one: &&Outage| one.down < first_end && one.up.is_none_or(|up| up > last_start);
    let outage = outages.iter().find(covers).ok_or(NotApplicable::NoOutage)?;
    let fill = zero_fill(facts.commodity, outage.evidence, gap.len_s())?;
    Ok((*outage, fill))
}

/// Zero for every slot; the last one takes what the register advanced, if anything is known of it.
pub(super) fn zero_weights(slots: usize) -> Weights {
    let mut weights = Weights::new(vec![0; slots], 1);
    for open in weights.open.iter_mut().rev().skip(1) {
        *open = false;
    }
    weights
}

/// True when the slot that ends at `end` lies fully inside the outage.
pub fn inside(outage: &Outage, end: UtcTime, len_s: i32) -> bool {
    let start = end.plus_seconds(-i64::from(len_s));
    outage.down <= start && outage.up.is_none_or(|up| end <= up)
}
