use metering::{Commodity, CustomerClass, DeviceFlags, QualityStatus, RuleMask, SlotCode};
use vee::Rule;
use vee::day::{Around, DaySlot};

use crate::rig::{Rig, UNIT, meter, of, told, usual};

#[test]
fn a_good_day_says_nothing_and_is_validated() {
    let mut rig = Rig::home("2026-06-01");
    rig.arrive(usual);
    let verdict = rig.close();
    assert_eq!(told(&verdict), "");
    assert!(verdict.validated.iter().all(|passed| *passed));
    assert!(verdict.summary.validated && verdict.changes.is_empty());
    assert_eq!((verdict.summary.slots, verdict.summary.actual), (96, 96));
}

#[test]
fn without_a_known_capacity_nothing_is_validated() {
    let mut rig = Rig::home("2026-06-01");
    rig.meter.channels[0].cap_per_hour = 0;
    rig.arrive(usual);
    let verdict = rig.close();
    assert!(!verdict.summary.validated && !verdict.validated.iter().any(|passed| *passed));
    assert!(verdict.suspect.is_empty());
}

#[test]
fn missing_intervals_are_told_until_they_have_come() {
    let mut rig = Rig::home("2026-06-01");
    rig.arrive(|at| usual(at).filter(|_| at != 10 && at != 11));
    assert_eq!(told(&rig.close()), "INT-GAP Fail 0 2");
    rig.arrive(usual);
    assert_eq!(told(&rig.close()), "", "another day says nothing of these gaps");
    rig.back().back();
    rig.slots.clear();
    rig.arrive(usual);
    assert_eq!(told(&rig.close()), "INT-GAP Pass");
}

#[test]
fn what_was_due_before_the_installation_is_not_missing() {
    let mut rig = Rig::home("2026-06-01");
    rig.meter.installed_at = rig.day.start.plus_seconds(48 * 900);
    rig.arrive(|at| usual(at).filter(|_| at >= 48));
    assert_eq!(told(&rig.close()), "");
}

#[test]
fn other_values_for_the_same_interval_are_told_beyond_one_per_cent() {
    let mut rig = Rig::home("2026-06-01");
    rig.arrive(usual);
    let of_day = |differing| Around { differing, ..Around::default() };
    assert_eq!(of(&rig.judge(of_day(0)), Rule::Duplicate), "");
    assert_eq!(of(&rig.judge(of_day(1)), Rule::Duplicate), "ING-DUP Fail 0 1");
    rig.params.dup_differ_pct = 2;
    assert_eq!(of(&rig.judge(of_day(1)), Rule::Duplicate), "");
}

#[test]
fn flags_are_told_by_their_share_and_by_their_kind() {
    let mut rig = Rig::home("2026-06-01");
    rig.arrive(usual);
    (0..4).for_each(|at| {
        rig.flag(at, DeviceFlags::SKIPPED);
    });
    assert_eq!(of(&rig.judge(Default::default()), Rule::Flag), "", "4 of 96 are under 5 %");
    rig.flag(4, DeviceFlags::SKIPPED);
    assert_eq!(of(&rig.judge(Default::default()), Rule::Flag), "ING-FLAG Fail 1 5");
    rig.flag(4, DeviceFlags::OVERFLOW);
    assert_eq!(
        of(&rig.judge(Default::default()), Rule::Flag),
        "ING-FLAG Fail 2 1 | ING-FLAG Fail 1 5"
    );
    let mut test = Rig::home("2026-06-01");
    test.arrive(usual);
    (0..17).for_each(|at| {
        test.flag(at, DeviceFlags::TEST);
    });
    assert_eq!(
        of(&test.close(), Rule::Flag),
        "ING-FLAG Fail 3 15300 | ING-FLAG Fail 1 17",
        "17 quarter hours are more than 4 h"
    );
    test.arrive(usual);
    assert_eq!(of(&test.close(), Rule::Flag), "ING-FLAG Pass");
}

#[test]
fn skipped_messages_are_told() {
    let mut rig = Rig::home("2026-06-01");
    rig.arrive(usual);
    let skipped = |messages_skipped| Around { messages_skipped, ..Around::default() };
    assert_eq!(of(&rig.judge(skipped(1)), Rule::MessageGap), "");
    assert_eq!(of(&rig.judge(skipped(2)), Rule::MessageGap), "ING-MSG Fail 0 2");
}

#[test]
fn a_rule_in_shadow_tells_and_holds_nothing_and_one_that_is_off_is_silent() {
    let mut rig = Rig::home("2026-06-01");
    rig.arrive(|at| if at == 50 { Some(9_000_000) } else { usual(at) });
    assert_eq!((rig.judge(Default::default()).suspect.len(), rig.params.off.is_empty()), (1, true));
    rig.params.shadow = Rule::Spike.mask();
    let shadow = rig.judge(Default::default());
    assert_eq!(told(&shadow), "INT-SPIKE Fail 1 9000000");
    assert!(shadow.suspect.is_empty() && shadow.flagged.is_empty() && shadow.holds.is_empty());
    rig.params.off = Rule::Spike.mask();
    assert_eq!(told(&rig.judge(Default::default())), "");
}

#[test]
fn what_staff_decided_is_not_judged_anew() {
    let mut rig = Rig::home("2026-06-01");
    rig.arrive(|at| if at == 50 { Some(9_000_000) } else { usual(at) });
    for status in [QualityStatus::Verified, QualityStatus::Edited, QualityStatus::Estimated] {
        rig.slot(50).best = status;
        assert!(rig.judge(Default::default()).changes.is_empty(), "{status:?}");
    }
}

/// A day of a channel whose values end at multiples of `len_s` in UTC, shifted by `shift_s`.
fn on_grid(zone: &str, len_s: i32, shift_s: i64) -> (String, u16, u16) {
    let mut meter = meter(Commodity::Water, CustomerClass::Residential);
    meter.zone = zone.to_owned();
    meter.channels[0].len_s = len_s;
    let mut rig = Rig::new(meter, "2026-06-01");
    let len = i64::from(len_s);
    let mut end = rig.day.start.floor_to(len).plus_seconds(shift_s - len);
    let raw = SlotCode::new(QualityStatus::Raw, DeviceFlags::NONE);
    for at in 0..100 {
        rig.slots.push(DaySlot::arrived(end, (20 + at % 7) * UNIT, raw, RuleMask::EMPTY));
        end = end.plus_seconds(len);
    }
    let verdict = rig.close();
    (of(&verdict, Rule::Gap), verdict.summary.slots, verdict.summary.actual)
}

#[test]
fn intervals_on_the_grid_of_utc_are_in_their_place_in_every_zone() {
    let whole = |slots| (String::new(), slots, slots);
    for zone in ["Asia/Kolkata", "Asia/Kathmandu", "Europe/Berlin", "America/New_York"] {
        assert_eq!(on_grid(zone, 3600, 0), whole(24), "{zone}");
        assert_eq!(on_grid(zone, 86_400, 0), whole(1), "{zone}");
    }
    // Devices that count from their own midnight.
    assert_eq!(on_grid("Asia/Kolkata", 3600, 1800), whole(24));
    assert_eq!(on_grid("Asia/Kolkata", 86_400, 86_400 - 19_800), whole(1));
}

#[test]
fn a_silent_day_of_a_zone_at_the_half_hour_lacks_its_24_hours() {
    let mut meter = meter(Commodity::Water, CustomerClass::Residential);
    meter.zone = "Asia/Kolkata".to_owned();
    meter.channels[0].len_s = 3600;
    assert_eq!(of(&Rig::new(meter, "2026-06-01").close(), Rule::Gap), "INT-GAP Fail 0 24");
}
