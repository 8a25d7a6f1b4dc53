//! The checks of a closed local day: facts in, verdict out.
//!
//! [`close_day`] takes what is known of a channel's day ([`DayInput`]) and says what is wrong
//! ([`DayVerdict`]). In the order of the catalogue: what came twice, was flagged or is missing
//! (`shape`), registers against intervals (`sums`), the one high value (`spike`), use against what
//! it was (`usage`), the same value again and again (`runs`), active against reactive (`reactive`).
//!
//! The same input gives the same verdict; a day may be closed again at any time, for late data.

mod input;
mod reactive;
mod runs;
mod shape;
mod spike;
mod sums;
mod usage;
mod verdict;

pub use input::{
    Around, DayInput, DaySlot, DaySummary, HISTORY_DAYS, LOOK_BACK_S, RateRegister, RegisterPoint,
};
pub use reactive::power_factor;
pub use spike::exceeds;
pub use usage::adu_hundredths;
pub use verdict::{DAY_RULES, DayVerdict, Hold, HoldKind, SlotVersion};

use metering::{ChannelKind, Quantity};

use crate::params::Params;
use crate::rules::Rule;
use verdict::Desk;

/// Judges a local day whose data had time to arrive.
///
/// Values in and out are milli-units of the channel's quantity; windows are half-open in UTC and
/// intervals are named by their end. Catalogue: #1, #6 (shares), #8, #9, #13 to #19 and #21 to #24.
#[must_use]
pub fn close_day(input: &DayInput<'_>, params: &Params) -> DayVerdict {
    let mut desk = Desk::new(input, params);
    shape::check(&mut desk);
    let spike = spike::judge(&desk);
    let alone = spike::failed(spike.as_ref()).filter(|_| desk.acts(Rule::Spike));
    let sum = sums::check(&mut desk, alone);
    spike::check(&mut desk, spike, sum);
    runs::check(&mut desk);
    reactive::check(&mut desk);
    usage::check(&mut desk);
    desk.finish(mandatory_evaluable(input))
}

/// A day is closed for channels with intervals of something that is used up or made.
pub fn has_days(channel: &metering::ChannelAsset) -> bool {
    let counted = matches!(
        channel.reading_type.quantity,
        Quantity::EnergyActive
            | Quantity::EnergyReactive
            | Quantity::EnergyThermal
            | Quantity::Volume
    );
    counted && channel.len_s > 0 && channel.kind != ChannelKind::Instant
}

/// Raw becomes validated only when all mandatory rules could be evaluated (6.1). What the device
/// does not state (unit, multiplier, its time) and what does not apply (a net channel's sign) is
/// nothing to evaluate; an unknown capacity of the service is.
fn mandatory_evaluable(input: &DayInput<'_>) -> bool {
    input.channel.cap_per_hour > 0
}
