//! What holds for all of them: closing again changes nothing, late data end where data in time do.

use metering::{DeviceFlags, QualityStatus, SlotCode};
use proptest::prelude::*;
use vee::day::{DaySlot, DayVerdict};

use crate::rig::{Rig, UNIT, usual};

const DAYS: usize = 6;

/// What arrived: for each day and slot a value, or nothing.
type Arrived = Vec<Vec<Option<i64>>>;

fn any_days() -> impl Strategy<Value = Arrived> {
    let whole = |value: i64| Just((0..96).map(|_| Some(value)).collect::<Vec<_>>());
    let day = prop_oneof![
        4 => Just((0..96).map(usual).collect::<Vec<_>>()),
        1 => whole(0),
        1 => whole(77 * UNIT),
        2 => prop::collection::vec(prop::option::weighted(0.9, 0..400_000_i64), 96),
        1 => (0..96_usize).prop_map(|spike| (0..96)
            .map(|at| if at == spike { Some(9_000 * UNIT) } else { usual(at) })
            .collect()),
    ];
    prop::collection::vec(day, DAYS)
}

fn arrive(rig: &mut Rig, day: &[Option<i64>], late: impl Fn(usize) -> bool) {
    rig.arrive(|at| day[at % 96].filter(|_| !late(at)));
    if let Some(sum) = day.iter().copied().sum::<Option<i64>>() {
        let before = rig.registers.last().map_or(0, |point| point.value);
        let end = rig.day.end;
        rig.read(end, before + sum);
    }
}

/// The verdicts with all data in time.
fn straight(days: &Arrived) -> (Rig, Vec<DayVerdict>) {
    let mut rig = Rig::home("2026-10-21");
    let verdicts = days
        .iter()
        .map(|day| {
            arrive(&mut rig, day, |_| false);
            rig.close()
        })
        .collect();
    (rig, verdicts)
}

/// What stays of a verdict: its slots and its summary. A Pass depends on what was said before.
fn kept(verdict: &DayVerdict) -> (Vec<(i64, QualityStatus, u64)>, String) {
    let slots = verdict.suspect.iter().chain(&verdict.flagged);
    let mut slots: Vec<_> =
        slots.map(|slot| (slot.end.seconds(), slot.status, slot.failed.bits())).collect();
    slots.sort_by_key(|slot| slot.0);
    (slots, format!("{:?} {:?}", verdict.summary, verdict.validated))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn closing_twice_changes_nothing(days in any_days()) {
        let (mut rig, first) = straight(&days);
        for _ in 0..DAYS {
            rig.back();
        }
        for before in &first {
            let again = rig.close();
            prop_assert!(again.changes.is_empty(), "{:?}", again.changes);
            prop_assert_eq!(kept(&again), kept(before));
            prop_assert_eq!(&again.holds, &before.holds);
        }
    }

    #[test]
    fn late_data_end_in_the_verdicts_of_a_straight_run(
        days in any_days(),
        late in prop::collection::vec(any::<bool>(), 96),
        late_day in 0..DAYS,
    ) {
        let (_, want) = straight(&days);
        let mut rig = Rig::home("2026-10-21");
        for (at, day) in days.iter().enumerate() {
            arrive(&mut rig, day, |slot| at == late_day && late[slot % 96]);
            rig.close();
        }
        for _ in late_day..DAYS {
            rig.back();
        }
        let raw = SlotCode::new(QualityStatus::Raw, DeviceFlags::NONE);
        for (at, slot) in rig.day.slots(900).enumerate() {
            if let Some(Some(value)) = days[late_day].get(at % 96).filter(|_| late[at % 96]) {
                let late = DaySlot::arrived(slot.end(), *value, raw, metering::RuleMask::EMPTY);
                rig.slots.push(late);
            }
        }
        rig.slots.sort_by_key(|slot| slot.end);
        for want in &want[late_day..] {
            prop_assert_eq!(kept(&rig.close()), kept(want));
        }
    }

    #[test]
    fn an_estimate_in_its_place_changes_no_verdict(days in any_days(), pick in 0..96_usize) {
        let (mut rig, first) = straight(&days);
        for _ in 0..DAYS {
            rig.back();
        }
        for slot in rig.slots.iter_mut().skip(pick).step_by(96) {
            if slot.best == QualityStatus::Suspect {
                slot.best = QualityStatus::Estimated;
            }
        }
        for before in &first {
            prop_assert_eq!(kept(&rig.close()), kept(before));
        }
    }
}
