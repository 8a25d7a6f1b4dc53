//! What `headend vee edit` and `estimate` answer: what was changed where, and how it is taken back.

use metering::QualityStatus;
use store::estimation::{BestSlot, Kept};
use vee::estimation::EstimationState;

use super::reads::stamp;
use super::vee::Found;
use crate::output::{decimal_of_milli, say};

/// `3 intervals`.
pub(super) fn intervals(count: impl ToString) -> String {
    let count = count.to_string();
    let word = if count == "1" { "interval" } else { "intervals" };
    format!("{count} {word}")
}

/// Says what stood in the stretch `before` and what stands `now`.
pub(super) fn changed(
    found: &Found,
    (before, now): (&[BestSlot], &[BestSlot]),
    kept: &[Kept],
) -> anyhow::Result<()> {
    say!("{}", whose(found))?;
    say!("before: {}; now: {}", sum(found, before), sum(found, now))?;
    if kept.iter().any(|one| one.versions > 0) {
        say!("`{}` takes it back", undo(found))?;
    }
    for one in kept.iter().filter(|one| one.state == EstimationState::Proposed) {
        let number = one.estimation_no;
        say!("`headend vee decide {number} accept --reason ...` by another person lets it count")?;
    }
    Ok(())
}

fn whose(found: &Found) -> String {
    let (from, to) = (stamp(found.range.from, &found.zone), stamp(found.range.to, &found.zone));
    format!("{}, {}: {from} to {to}", found.number, found.field)
}

/// `379 Wh in 3 intervals`; what holds no number is said beside it.
fn sum(found: &Found, slots: &[BestSlot]) -> String {
    let known = slots.iter().filter(|slot| slot.status != QualityStatus::Missing);
    let (total, count) =
        known.fold((0_i64, 0), |(sum, n), slot| (sum.saturating_add(slot.value), n + 1));
    let slots = found.range.to.seconds_since(found.range.from) / i64::from(found.len_s.max(1));
    let missing = match slots - count {
        ..=0 => String::new(),
        missing => format!(", {missing} missing"),
    };
    if count == 0 {
        return format!("{} missing", intervals(slots));
    }
    format!("{} {} in {}{missing}", decimal_of_milli(total), found.unit, intervals(count))
}

fn undo(found: &Found) -> String {
    let (from, to) = (stamp(found.range.from, &found.zone), stamp(found.range.to, &found.zone));
    format!(
        "headend vee undo {} --channel {} --from {from} --to {to} --reason ...",
        found.number, found.range.channel
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use jiff::tz::TimeZone;
    use metering::{ChannelNo, MeterId, UtcTime};
    use store::estimation::SlotRange;

    use super::*;

    #[test]
    fn a_stretch_is_told_with_its_meter_and_how_to_take_it_back() {
        let range = SlotRange {
            meter: MeterId::new(1),
            channel: ChannelNo::new(1),
            from: UtcTime::from_seconds(1_795_000_500),
            to: UtcTime::from_seconds(1_795_003_200),
            ends: BTreeSet::new(),
        };
        let found = Found {
            number: "E-1".to_owned(),
            field: "energy_import".to_owned(),
            unit: "Wh",
            range,
            len_s: 900,
            zone: TimeZone::get("Europe/Berlin").unwrap(),
        };
        let told = "E-1, energy_import: 2026-11-18T12:15:00+01:00 to 2026-11-18T13:00:00+01:00";
        assert_eq!(whose(&found), told);
        assert_eq!(sum(&found, &[]), "3 intervals missing");
        assert_eq!(
            undo(&found),
            "headend vee undo E-1 --channel 1 --from 2026-11-18T12:15:00+01:00 \
             --to 2026-11-18T13:00:00+01:00 --reason ..."
        );
    }
}
