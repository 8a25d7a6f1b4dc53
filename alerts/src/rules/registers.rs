//! #11 REG-DEC: what a register that fell looks like.

use metering::Commodity;

use super::verdicts::{Whose, kind};
use crate::env::Env;

/// A register that shows less than before: how much less in milli-units, and what that looks like
/// (#11). What was fed in at the same time went through a meter that turns both ways; a hundredth
/// of a day's water or gas went back through it.
pub(super) fn turned_back(whose: Whose<'_>, (at, read): (i64, i64), env: &mut Env) -> (u8, i64) {
    let meter = whose.meter;
    let before = whose.channel.and_then(|no| env.registers.get((meter.id, no.get())));
    // A failure that came late is not compared with what was read after it.
    let Some(before) = before.filter(|shown| shown.at() <= at && read < shown.value) else {
        return (0, 0);
    };
    let less = before.value.saturating_sub(read);
    if meter.commodity == Commodity::Electricity {
        let today = env.zones.day_at(meter.zone, at - 1).number;
        let days = meter.rare().map_or(&[][..], |rare| &rare.reverse);
        let fed: i64 = days.iter().filter(|(day, _)| today - day <= 1).map(|(_, fed)| fed).sum();
        let alike = (fed - less).abs() <= less / 10;
        return (if alike { kind::DEC_FED_IN } else { 0 }, less);
    }
    let Some(channel) = meter.channels.iter().find(|channel| channel.used()) else {
        return (0, less);
    };
    let today = env.zones.day_at(meter.zone, at - 1).number;
    let mut days: Vec<i64> =
        (today - 28..today).filter_map(|day| channel.days.total(day)).collect();
    let little = !days.is_empty() && less <= crate::stats::median(&mut days) / 100;
    (if little { kind::DEC_LITTLE } else { 0 }, less)
}
