use metering::{Commodity, CustomerClass};
use vee::Rule;
use vee::day::{Around, DaySlot};

use crate::rig::{Rig, UNIT, meter, of};

fn shop() -> Rig {
    let mut meter = meter(Commodity::Electricity, CustomerClass::LargeCommercial);
    meter.detail.phases = 3;
    Rig::new(meter, "2026-06-01")
}

/// Active energy of a slot; never twice the same.
fn active(at: usize) -> i64 {
    (2_000 + at as i64 * 13 % 97) * UNIT
}

/// A day with reactive energy of so many per cent of the active one.
fn day(rig: &mut Rig, percent: impl Fn(usize) -> i64) -> Vec<DaySlot> {
    rig.arrive(|at| Some(active(at)));
    let today = &rig.slots[rig.slots.len() - 96..];
    let reactive =
        |(at, slot): (usize, &DaySlot)| DaySlot { value: slot.value * percent(at) / 100, ..*slot };
    today.iter().enumerate().map(reactive).collect()
}

fn close(rig: &mut Rig, percent: impl Fn(usize) -> i64) -> String {
    let reactive = day(rig, percent);
    of(&rig.close_with(Around { reactive: &reactive, ..Around::default() }), Rule::PowerFactor)
}

#[test]
fn a_power_factor_below_a_half_is_told() {
    // tan(60 degrees) = 1.732: 173 % is just above a half, 174 % just below.
    assert_eq!(close(&mut shop(), |_| 173), "");
    assert_eq!(close(&mut shop(), |at| if at == 7 { 174 } else { 30 }), "INT-KVARH Fail 1 498");
    let mut home = shop();
    home.meter.detail.phases = 1;
    assert_eq!(close(&mut home, |_| 300), "");
}

#[test]
fn a_power_factor_that_jumps_for_a_day_is_told() {
    let mut rig = shop();
    for _ in 0..6 {
        assert_eq!(close(&mut rig, |_| 33), "");
    }
    assert_eq!(rig.history[0].pf_permille, 949);
    assert_eq!(close(&mut rig, |_| 110), "INT-KVARH Fail 2 672");
    assert_eq!(close(&mut rig, |_| 33), "INT-KVARH Pass");
}

#[test]
fn reactive_energy_alone_for_four_hours_is_told() {
    let mut rig = shop();
    let reactive = day(&mut rig, |_| 30);
    let first = rig.slots.len() - 96;
    rig.slots[first + 40..first + 55].iter_mut().for_each(|slot| slot.value = 0);
    let around = Around { reactive: &reactive, ..Around::default() };
    assert_eq!(of(&rig.judge(around), Rule::PowerFactor), "");
    rig.slots[first + 55].value = 0;
    assert_eq!(of(&rig.judge(around), Rule::PowerFactor), "INT-KVARH Fail 3 14400");
}
