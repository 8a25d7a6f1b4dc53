use metering::{Commodity, CustomerClass, QualityStatus, Tag};
use vee::Rule;
use vee::day::{Around, HoldKind};

use crate::rig::{Rig, UNIT, meter, of, usual};

#[test]
fn use_without_a_customer_is_told_and_stays_usable() {
    let mut rig = Rig::home("2026-06-01");
    rig.meter.account_active = false;
    rig.arrive(|at| Some(if at < 50 { 10 * UNIT } else { 0 }));
    assert_eq!(of(&rig.judge(Default::default()), Rule::Inactive), "", "0.5 kWh is standby");
    rig.slot(60).value = UNIT;
    let verdict = rig.judge(Default::default());
    assert_eq!(of(&verdict, Rule::Inactive), "INT-INACT Fail 1 501000");
    assert_eq!((verdict.suspect.len(), verdict.flagged.len()), (0, 51));
    let since = Some(rig.day.start.plus_seconds(-4 * 86_400));
    let grace = rig.judge(Around { inactive_since: since, ..Around::default() });
    assert_eq!(of(&grace, Rule::Inactive), "", "the final read is 4 days old");
    rig.close();
    rig.meter.account_active = true;
    rig.arrive(usual);
    assert_eq!(of(&rig.close(), Rule::Inactive), "INT-INACT Pass");
}

#[test]
fn use_behind_an_open_switch_is_told_by_its_kind() {
    let gas = meter(Commodity::Gas, CustomerClass::Residential);
    let mut rig = Rig::new(gas, "2026-06-01");
    rig.arrive(|_| Some(2 * UNIT));
    let off = Around { switched_off: true, ..Around::default() };
    assert_eq!(of(&rig.judge(off), Rule::Inactive), "INT-INACT Fail 2 192000");
    rig.slots.iter_mut().for_each(|slot| slot.value = UNIT);
    assert_eq!(of(&rig.judge(off), Rule::Inactive), "", "96 L are below 0.1 m3");
}

/// Days of 9.6 kWh, then days of `percent` of it; the first day that is told, and what.
fn high_low(percent: i64, days_before: usize) -> Option<(usize, String)> {
    let mut rig = Rig::home("2026-01-01");
    for _ in 0..days_before {
        rig.arrive(|at| Some((200 + at as i64 % 5) * UNIT));
        assert_eq!(of(&rig.close(), Rule::HighLow), "");
    }
    (1..=10).find_map(|day| {
        rig.arrive(|at| Some((200 + at as i64 % 5) * UNIT * percent / 100));
        let said = of(&rig.close(), Rule::HighLow);
        (!said.is_empty()).then_some((day, said))
    })
}

#[test]
fn a_week_far_from_the_months_before_is_told() {
    assert_eq!(high_low(100, 70), None);
    assert_eq!(high_low(290, 70), None);
    let (day, said) = high_low(400, 70).unwrap();
    assert_eq!(day, 5, "the week's average passes three times the usual");
    assert!(said.starts_with("INT-HILO Fail 1 3"), "{said}");
    let (day, said) = high_low(10, 70).unwrap();
    assert_eq!(day, 6);
    assert!(said.starts_with("INT-HILO Fail 2 2"), "{said}");
    assert_eq!(high_low(400, 50), None, "less than 60 days of history");
}

#[test]
fn a_small_use_is_never_far_from_another() {
    let mut rig = Rig::home("2026-01-01");
    for day in 0..80 {
        rig.arrive(|at| Some((10 + at as i64 % 3) * UNIT * if day < 70 { 1 } else { 5 }));
        assert_eq!(of(&rig.close(), Rule::HighLow), "", "below 5 kWh a day");
    }
}

#[test]
fn a_reference_from_elsewhere_and_the_weather_count_and_a_cycle_holds_the_bill() {
    let mut rig = Rig::home("2026-06-01");
    for _ in 0..6 {
        rig.arrive(|at| Some((200 + at as i64 % 5) * UNIT));
        rig.close();
    }
    rig.arrive(|at| Some((200 + at as i64 % 5) * UNIT));
    let around = |reference: i64, weather_permille| Around {
        reference_adu: Some(reference * 1_000_000),
        weather_permille,
        ..Around::default()
    };
    assert_eq!(of(&rig.judge(around(10, 0)), Rule::HighLow), "");
    assert_eq!(of(&rig.judge(around(6, 0)), Rule::HighLow), "INT-HILO Fail 1 323");
    assert_eq!(of(&rig.judge(around(6, 1500)), Rule::HighLow), "");
    let cycle = rig.judge(Around { cycle_days: 7, ..around(6, 0) });
    assert_eq!(of(&cycle, Rule::HighLow), "INT-HILO Fail 3 323");
    let hold = cycle.holds.iter().find(|hold| hold.kind == HoldKind::Review).unwrap();
    assert_eq!(hold.to.seconds_since(hold.from), 7 * 86_400);
}

#[test]
fn days_without_actuals_are_counted_and_an_outage_is_none() {
    let mut rig = Rig::home("2026-01-01");
    let mut said = Vec::new();
    for day in 0..32_i64 {
        rig.arrive(|at| usual(at).filter(|_| at < 40));
        if day == 20 {
            rig.arrive(|_| None);
            for at in 40..96 {
                let end = rig.day.start.plus_seconds(900 * (at + 1));
                let zero = vee::DaySlot {
                    end,
                    value: 0,
                    arrived: metering::SlotCode::new(
                        QualityStatus::Missing,
                        metering::DeviceFlags::NONE,
                    ),
                    best: QualityStatus::OutageZero,
                    failed: metering::RuleMask::EMPTY,
                    measured: false,
                };
                rig.slots.push(zero);
            }
        }
        said.push(of(&rig.close(), Rule::Prolonged));
    }
    assert_eq!(said[3], "");
    assert_eq!(said[4], "INT-PROLONG Warn 1 5");
    assert_eq!(said[14], "INT-PROLONG Fail 2 15");
    assert_eq!(said[20], "INT-PROLONG Fail 2 20", "the outage does not count");
    assert_eq!(said[29], "INT-PROLONG Fail 2 29");
    assert_eq!(said[30], "INT-PROLONG Fail 3 30");
    rig.arrive(usual);
    assert_eq!(of(&rig.close(), Rule::Prolonged), "INT-PROLONG Pass");
}

#[test]
fn a_net_channel_is_no_consumption() {
    let mut rig = Rig::home("2026-06-01").tagged(Tag::NetMeter);
    rig.meter.account_active = false;
    rig.arrive(usual);
    assert_eq!(of(&rig.close(), Rule::Inactive), "");
}
