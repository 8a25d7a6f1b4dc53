//! The invariants I1 to I6 of an estimation (5.2), as properties.

use super::rig::{facts, hidden, household, input, utc};
use metering::{ChannelNo, MeterId, QualityStatus, UtcTime};
use proptest::prelude::*;
use vee::estimate::{Estimate, Gap, GapInput, RegisterWindow, Scaling, Series, Slot, estimate};
use vee::estimation::{Book, Estimation, EstimationState, Origin};

const SLOT: i64 = 900;

/// Days of history around the day under test.
fn start() -> UtcTime {
    utc("2026-10-01T22:00:00Z")
}

/// Up to three gaps of 1 to 60 slots within two days, rising, not touching.
fn gaps() -> impl Strategy<Value = Vec<Gap>> {
    let from = start().plus_seconds(15 * 86_400);
    prop::collection::vec((1_i64..40, 1_i64..60), 1..4).prop_map(move |parts| {
        let mut at = from;
        parts
            .into_iter()
            .map(|(pause, len)| {
                let first = at.plus_seconds(pause * SLOT);
                at = first.plus_seconds(len * SLOT);
                Gap::new(first, at)
            })
            .collect()
    })
}

/// Registers around the gaps, `early` and `late` seconds beyond them.
fn registers(slots: &[Slot], gaps: &[Gap], early: i64, late: i64) -> RegisterWindow {
    let open_at = gaps[0].from.plus_seconds(-early);
    let close_at = gaps[gaps.len() - 1].to.plus_seconds(late);
    let advance = slots.iter().map(|slot| part(slot, open_at, close_at)).sum::<i128>() / 900;
    let advance = i64::try_from(advance).unwrap();
    RegisterWindow { open_at, close_at, open: 7, close: 7 + advance, advance }
}

/// Value of a slot times the seconds of it between two instants.
fn part(slot: &Slot, from: UtcTime, to: UtcTime) -> i128 {
    let start = slot.end.plus_seconds(-SLOT).max(from);
    i128::from(slot.value) * i128::from(slot.end.min(to).seconds_since(start).max(0))
}

fn origin(version: i16) -> Origin {
    Origin {
        meter: MeterId::new(7),
        channel: ChannelNo::new(1),
        len_s: 900,
        before: QualityStatus::Missing,
        base_version: version,
        issue: Some("issue-1".to_owned()),
        created_by: "engine".to_owned(),
        tamper: false,
        billed: false,
        register: false,
    }
}

fn book_of(series: &Series, gaps: &[Gap]) -> Book {
    let mut book = Book::default();
    for slot in series.slots() {
        book.actual(slot.end, slot.value, slot.code.status()).unwrap();
    }
    for end in gaps.iter().flat_map(|gap| gap.ends(900)) {
        if book.best(end).is_none() {
            book.actual(end, 0, QualityStatus::Missing).unwrap();
        }
    }
    book
}

fn contents(book: &Book) -> Vec<String> {
    book.ends().map(|end| format!("{:?}", book.best(end).map(|best| best.content()))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn i1_estimates_and_actuals_add_up_to_the_register(
        gaps in gaps(),
        seed in any::<u64>(),
        early in 0_i64..7_200,
        late in 0_i64..7_200,
        on_grid in any::<bool>(),
    ) {
        let facts = facts();
        let slots = household(&facts, start(), 25, seed);
        let (series, _) = hidden(&facts, &slots, &gaps);
        let round = |seconds: i64| if on_grid { seconds - seconds % SLOT } else { seconds };
        let window = registers(&slots, &gaps, round(early), round(late));
        let input = GapInput { registers: Some(window), ..input(&facts, &series, &gaps) };
        let told = estimate(&input).unwrap();
        let mut sum = 0_i128;
        for slot in series.slots() {
            sum += part(slot, window.open_at, window.close_at);
        }
        for one in &told {
            prop_assert!(one.scaling.is_scaled() || one.scaling == Scaling::Negative);
            sum += one.total() * 900;
        }
        if told[0].scaling == Scaling::Negative {
            return Ok(());
        }
        // Exactly: what is missing is the remainder that the record keeps.
        let rest = told[0].residual;
        prop_assert_eq!(rest.num() * 900, (i128::from(window.advance) * 900 - sum) * rest.den());
        if on_grid {
            prop_assert_eq!(rest.num(), 0);
        }
        let off = told.iter().flat_map(|one| &one.values).filter(|value| *value % 1000 != 0);
        prop_assert!(off.count() <= 1);
        // Side by side, every method keeps the sum of the window.
        for one in &told {
            for trial in one.alternatives.iter().filter(|trial| trial.chosen) {
                prop_assert_eq!(&trial.values, &one.values);
            }
        }
    }

    #[test]
    fn i2_no_estimate_overlaps_an_actual(
        gaps in gaps(),
        seed in any::<u64>(),
        taken in 0_usize..60,
    ) {
        let facts = facts();
        let slots = household(&facts, start(), 25, seed);
        let (series, _) = hidden(&facts, &slots, &gaps);
        let told = estimate(&input(&facts, &series, &gaps)).unwrap();
        for one in &told {
            prop_assert!(one.gap.ends(900).all(|end| series.at(end).is_none()));
        }
        // A gap that holds an actual is refused, and so is a record that comes too late.
        let ends: Vec<UtcTime> = gaps[0].ends(900).collect();
        let end = ends[taken % ends.len()];
        let mut late: Vec<Slot> = series.slots().to_vec();
        late.push(Slot::new(end, 5_000, QualityStatus::Validated));
        let later = Series::new(900, late);
        prop_assert!(estimate(&input(&facts, &later, &gaps)).is_err());
        let mut book = book_of(&later, &gaps);
        let before = contents(&book);
        prop_assert!(book.apply(Estimation::new(&told[0], origin(1))).is_err());
        prop_assert_eq!(before, contents(&book));
    }

    #[test]
    fn i3_estimates_are_never_a_reference(
        gaps in gaps(),
        seed in any::<u64>(),
        wild in any::<i64>(),
    ) {
        let facts = facts();
        let slots = household(&facts, start(), 25, seed);
        let (series, _) = hidden(&facts, &slots, &gaps);
        // The day before and the week before hold estimates: whatever they say, nothing changes.
        let estimated = |value: i64| {
            use QualityStatus::{Edited, Estimated, OutageZero};
            let status = [Estimated, OutageZero, Edited];
            let far = |slot: &Slot| gaps[0].from.seconds_since(slot.end) > 86_400;
            let all = series.slots().iter().enumerate().map(|(k, slot)| {
                let old = far(slot) && k % 5 == 0;
                if old { Slot::new(slot.end, value, status[k % 3]) } else { *slot }
            });
            Series::new(900, all.collect())
        };
        let (one, other) = (estimated(1000), estimated(wild % 1_000_000_000));
        let told = estimate(&input(&facts, &one, &gaps));
        prop_assert_eq!(told, estimate(&input(&facts, &other, &gaps)));
    }

    #[test]
    fn i4_the_same_input_gives_the_same_bytes(gaps in gaps(), seed in any::<u64>()) {
        let facts = facts();
        let slots = household(&facts, start(), 25, seed);
        let (series, _) = hidden(&facts, &slots, &gaps);
        let window = registers(&slots, &gaps, 0, 0);
        let input = GapInput { registers: Some(window), ..input(&facts, &series, &gaps) };
        let (one, other) = (estimate(&input).unwrap(), estimate(&input).unwrap());
        prop_assert_eq!(format!("{one:?}"), format!("{other:?}"));
        let records = |told: &[Estimate]| -> Vec<Estimation> {
            told.iter().map(|one| Estimation::new(one, origin(1))).collect()
        };
        prop_assert_eq!(records(&one), records(&other));
        // Shuffled slots are the same series.
        let mut turned = series.slots().to_vec();
        turned.reverse();
        let turned = Series::new(900, turned);
        let again = GapInput { series: &turned, ..input };
        prop_assert_eq!(one, estimate(&again).unwrap());
    }

    #[test]
    fn i5_a_rollback_restores_what_was_there(
        gaps in gaps(),
        seed in any::<u64>(),
        suspect in any::<bool>(),
    ) {
        let facts = facts();
        let slots = household(&facts, start(), 25, seed);
        let (series, lost) = hidden(&facts, &slots, &gaps);
        let mut all = series.slots().to_vec();
        if suspect {
            let held = gaps[0].ends(900).zip(&lost[0]);
            all.extend(held.map(|(end, value)| Slot::new(end, *value, QualityStatus::Suspect)));
        }
        let series = Series::new(900, all);
        let told = estimate(&input(&facts, &series, &gaps)).unwrap();
        let mut book = book_of(&series, &gaps);
        let before = contents(&book);
        let records: Vec<Estimation> =
            told.iter().map(|one| Estimation::new(one, origin(1))).collect();
        for record in &records {
            book.apply(record.clone()).unwrap();
        }
        prop_assert_ne!(&before, &contents(&book));
        for record in &records {
            book.roll_back(record.id).unwrap();
            prop_assert!(book.roll_back(record.id).is_err());
            let state = book.estimation(record.id).unwrap().state;
            prop_assert_eq!(state, EstimationState::Reversed);
        }
        prop_assert_eq!(before, contents(&book));
        // Nothing was deleted: the history holds the estimate and points back to it.
        let end = gaps[0].ends(900).next().unwrap();
        let versions = book.versions(end);
        let taken_back = versions[versions.len() - 2].version;
        prop_assert_eq!(versions.last().unwrap().undoes, Some(taken_back));
    }

    #[test]
    fn i6_every_estimate_has_one_owner_and_an_issue(
        gaps in gaps(),
        seed in any::<u64>(),
        late in 0_usize..3,
    ) {
        let facts = facts();
        let slots = household(&facts, start(), 25, seed);
        let (series, lost) = hidden(&facts, &slots, &gaps);
        let told = estimate(&input(&facts, &series, &gaps)).unwrap();
        let mut book = book_of(&series, &gaps);
        let nobody = Origin { issue: None, ..origin(1) };
        prop_assert!(book.apply(Estimation::new(&told[0], nobody)).is_err());
        for one in &told {
            book.apply(Estimation::new(one, origin(1))).unwrap();
            // A repetition finds itself.
            book.apply(Estimation::new(one, origin(1))).unwrap();
            prop_assert!(book.is_owned());
        }
        // A better one takes over whole gaps: still one owner each.
        let window = registers(&slots, &gaps, 0, 0);
        let again = GapInput { registers: Some(window), ..input(&facts, &series, &gaps) };
        for one in estimate(&again).unwrap() {
            book.apply(Estimation::new(&one, origin(2))).unwrap();
            prop_assert!(book.is_owned());
        }
        // Truth comes late for one gap: its record is superseded and the difference told.
        let at = late % gaps.len();
        let mut told = None;
        for (end, value) in gaps[at].ends(900).zip(&lost[at]) {
            told = book.actual(end, *value, QualityStatus::Validated).unwrap();
            prop_assert!(book.is_owned());
        }
        let owner = book
            .estimations()
            .find(|one| one.gap == gaps[at] && one.state == EstimationState::SupersededByActual)
            .unwrap();
        let delta = lost[at].iter().sum::<i64>() - owner.values.iter().sum::<i64>();
        prop_assert_eq!(told.unwrap().delta, delta);
    }
}

#[test]
fn an_estimate_that_a_better_one_replaced_is_not_in_force() {
    let facts = facts();
    let slots = household(&facts, start(), 25, 7);
    let from = start().plus_seconds(15 * 86_400);
    let gap = Gap::new(from, from.plus_seconds(20 * SLOT));
    let (series, _) = hidden(&facts, &slots, &[gap]);
    let mut book = book_of(&series, &[gap]);
    let gaps = [gap];
    let first = estimate(&input(&facts, &series, &gaps)).unwrap();
    let window = registers(&slots, &gaps, 0, 0);
    let scaled = GapInput { registers: Some(window), ..input(&facts, &series, &gaps) };
    let second = estimate(&scaled).unwrap();
    let (first, second) =
        (Estimation::new(&first[0], origin(1)), Estimation::new(&second[0], origin(2)));
    let ids = (first.id, second.id);
    assert_ne!(ids.0, ids.1);
    book.apply(first).unwrap();
    book.apply(second).unwrap();
    let state = |id| book.estimation(id).unwrap().state;
    assert_eq!(state(ids.0), EstimationState::SupersededByEstimate);
    assert_eq!(state(ids.1), EstimationState::Applied);
    assert!(gap.ends(900).all(|end| book.best(end).unwrap().owner == Some(ids.1)));
}
