//! What came twice, was flagged, or is missing: #1, #6 by shares, #8, #9, #23, #24.

use metering::{DeviceFlags, QualityStatus, UtcTime};

use super::sums;
use super::verdict::{Desk, Saying};
use crate::checks::FLAGS_FAIL;
use crate::rules::{Rule, kind};

pub(super) fn check(desk: &mut Desk<'_>) {
    duplicates(desk);
    flags(desk);
    let at_change = clock_change(desk);
    messages(desk);
    gaps(desk, at_change);
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// #1 ING-DUP: repetitions are expected of radio, other values are not.
fn duplicates(desk: &mut Desk<'_>) {
    let received = count(desk.places.iter().filter(|place| arrived(place.slot)).count());
    if received == 0 {
        return;
    }
    let around = &desk.input.around;
    let differing = i64::from(around.differing.saturating_sub(around.differing_at_change));
    let saying = if differing * 100 > received * desk.params.dup_differ_pct {
        Saying::fail(kind::ONLY, differing)
    } else {
        Saying::PASS
    };
    desk.say(Rule::Duplicate, saying);
}

fn arrived(slot: Option<&super::DaySlot>) -> bool {
    slot.is_some_and(|slot| slot.measured || slot.arrived.status() != QualityStatus::Missing)
}

/// #6 ING-FLAG by shares of the day. The single interval was judged when it arrived.
fn flags(desk: &mut Desk<'_>) {
    let len_s = i64::from(desk.input.channel.len_s);
    let (mut failed, mut overflow, mut test, mut test_longest) = (0, 0, 0, 0);
    for place in &desk.places {
        let flags = place.flags();
        failed += i64::from(flags.bits() & FLAGS_FAIL.bits() != 0);
        overflow += i64::from(flags.contains(DeviceFlags::OVERFLOW));
        test = if flags.contains(DeviceFlags::TEST) { test + len_s } else { 0 };
        test_longest = test_longest.max(test);
    }
    let slots = count(desk.places.len());
    let share = failed * 100 > slots * desk.params.flag_share_pct;
    if overflow > 0 {
        desk.say(Rule::Flag, Saying::fail(kind::FLAG_OVERFLOW, overflow));
    }
    if test_longest > desk.params.flag_test_max_s {
        desk.say(Rule::Flag, Saying::fail(kind::FLAG_TEST, test_longest));
    }
    if share {
        desk.say(Rule::Flag, Saying::fail(kind::FLAG_SHARE, failed));
    } else if overflow == 0 && failed == 0 {
        desk.say(Rule::Flag, Saying::PASS);
    }
}

/// #8 ING-DST: exactly the hour of the change is missing on one side of it, or came twice. Radio
/// loses that hour as often as any other, so that a missing one needs a second witness. Gives the
/// number of slots that are explained by it.
fn clock_change(desk: &mut Desk<'_>) -> usize {
    let Some(change) = desk.input.change else { return 0 };
    let len_s = i64::from(desk.input.channel.len_s);
    let shift_s = (desk.input.day.len_s() - metering::time::DAY_S).abs();
    let width = usize::try_from(shift_s / len_s.max(1)).unwrap_or(0);
    if width == 0 || len_s >= metering::time::DAY_S {
        return 0;
    }
    let twice = usize::from(desk.input.around.differing_at_change);
    if twice >= width {
        desk.say(Rule::DayShape, Saying::fail(kind::DST_TWICE, count(twice)));
        return 0;
    }
    let (before, after) = missing_beside(desk, change);
    let lost = match (before, after) {
        (before, 0) if before == width => Some(change.plus_seconds(-shift_s)),
        (0, after) if after == width => Some(change),
        _ => None,
    };
    let witnessed = |from: UtcTime| {
        let hour = (from, from.plus_seconds(shift_s));
        displaced(desk, change, width) || sums::nothing_lost(desk.input, hour, desk.params)
    };
    if lost.is_some_and(witnessed) {
        desk.say(Rule::DayShape, Saying::fail(kind::DST_MISSING, count(width)));
        return width;
    }
    desk.say(Rule::DayShape, Saying::PASS);
    0
}

/// After the change at least an hour of slots came with a time that cannot be theirs: the device
/// went on by another clock.
fn displaced(desk: &Desk<'_>, change: UtcTime, width: usize) -> bool {
    let wrong = Rule::Time.mask().bits() | Rule::ClockDrift.mask().bits();
    let after = desk.places.iter().filter(|place| place.end > change && arrived(place.slot));
    let failed = after.filter(|place| place.slot.is_some_and(|s| s.failed.bits() & wrong != 0));
    failed.count() >= width
}

/// Slots that are missing in one run right before and right after `change`. A run that reaches the
/// edge of the day is an ordinary gap and counts as none.
fn missing_beside(desk: &Desk<'_>, change: UtcTime) -> (usize, usize) {
    let split = desk.places.partition_point(|place| place.end <= change);
    let run = |places: &mut dyn Iterator<Item = &super::verdict::Place<'_>>, whole: usize| {
        let missing = places.take_while(|place| !arrived(place.slot)).count();
        if missing == whole { 0 } else { missing }
    };
    let before = run(&mut desk.places[..split].iter().rev(), split);
    let after = run(&mut desk.places[split..].iter(), desk.places.len() - split);
    (before, after)
}

/// #9 ING-MSG, while readings arrive.
fn messages(desk: &mut Desk<'_>) {
    if !desk.places.iter().any(|place| arrived(place.slot)) {
        return;
    }
    let skipped = i64::from(desk.input.around.messages_skipped);
    if skipped > desk.params.msg_skip_max {
        desk.say(Rule::MessageGap, Saying::fail(kind::ONLY, skipped));
    } else {
        desk.say(Rule::MessageGap, Saying::PASS);
    }
}

/// #23 INT-GAP. A Pass is told only for a day that had gaps when it was closed before: a day that
/// is complete says nothing of the gaps of another.
fn gaps(desk: &mut Desk<'_>, at_change: usize) {
    let installed = desk.input.meter.installed_at;
    let missing = desk
        .places
        .iter()
        .filter(|place| place.end > installed && !arrived(place.slot))
        .count()
        .saturating_sub(at_change);
    let had = desk
        .input
        .closed
        .is_some_and(|closed| closed.failing.bits() & Rule::Gap.mask().bits() != 0);
    if missing > 0 {
        desk.say(Rule::Gap, Saying::fail(kind::ONLY, count(missing)));
    } else if had {
        desk.say(Rule::Gap, Saying::PASS);
    }
}
