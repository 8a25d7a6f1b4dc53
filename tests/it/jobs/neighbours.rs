//! Counters whose reads came out of order: the intervals between them are told all the same.

use headend::jobs::day_close::Closed;
use metering::{ChannelKind, LogRecord};
use store::assets::{ChannelProvision, MeterProvision};
use store::{EventLog as _, PgLog};

use super::day_close::{Rig, at, meter, usual};

fn counter() -> MeterProvision {
    MeterProvision {
        channels: vec![ChannelProvision {
            kind: ChannelKind::Register,
            ..meter().channels[0].clone()
        }],
        ..meter()
    }
}

/// What the counter shows at the end of slot `slot - 1` of the day.
fn shows(slot: i64) -> i64 {
    5_000_000 + (0..slot).map(usual).sum::<i64>()
}

/// The day as ingest left it: of the slots that end with `gap` nothing was derived.
async fn day_with_a_gap(test: &str, gap: std::ops::RangeInclusive<i64>) -> Option<Rig> {
    let mut rig = Rig::with(test, counter()).await?;
    for slot in (0..=96).filter(|slot| !gap.contains(slot)) {
        rig.read(at(0, slot), shows(slot), at(0, slot)).await;
    }
    let after = gap.end() + 1;
    let slots: Vec<(i64, i64)> = (0..96)
        .filter(|slot| !gap.contains(&(slot + 1)) && slot + 1 != after)
        .map(|slot| (slot, usual(slot)))
        .collect();
    rig.arrive(0, &slots, at(1, 0)).await;
    Some(rig)
}

const SUM: &str = "SELECT sum(value)::int8 FROM read_interval";
const SLOTS: &str = "SELECT count(*) FROM read_interval";

#[tokio::test]
async fn reads_that_came_out_of_order_tell_their_intervals_when_the_day_closes() {
    let test = "reads_that_came_out_of_order_tell_their_intervals_when_the_day_closes";
    let Some(mut rig) = day_with_a_gap(test, 40..=43).await else { return };
    assert_eq!(rig.number(SLOTS).await, 91);
    for slot in [43, 40, 42, 41] {
        rig.read(at(0, slot), shows(slot), at(1, 4)).await;
    }
    let closed = rig.close(at(1, 16)).await;
    assert_eq!((closed.days, closed.derived), (1, 5));
    assert_eq!((rig.number(SLOTS).await, rig.number(SUM).await), (96, shows(96) - shows(0)));
    assert_eq!(rig.number("SELECT count(*) FROM closed_day WHERE validated").await, 1);
    let wrong = "SELECT count(*) FROM closed_day WHERE failing <> 0 OR actual <> 96";
    assert_eq!(rig.number(wrong).await, 0);
    // The rules hear of them as of all intervals.
    let frames = PgLog::new(rig.database.clone()).read(0, 0, 10_000).await.unwrap();
    let intervals = frames.iter().flat_map(|frame| &frame.records);
    let heard = intervals.filter(|record| matches!(record, LogRecord::Interval { .. })).count();
    assert_eq!(heard, 96);
    assert_eq!(rig.close(at(1, 17)).await, Closed::default(), "once");
}

#[tokio::test]
async fn reads_that_came_after_the_day_was_closed_repair_it() {
    let test = "reads_that_came_after_the_day_was_closed_repair_it";
    let Some(mut rig) = day_with_a_gap(test, 40..=43).await else { return };
    let closed = rig.close(at(1, 16)).await;
    assert_eq!((closed.days, closed.derived), (1, 0));
    let missing = "SELECT 96 - actual::int8 FROM closed_day";
    assert_eq!(rig.number(missing).await, 5);
    for slot in 40..=43 {
        rig.read(at(0, slot), shows(slot), at(1, 30)).await;
    }
    let repaired = rig.close(at(1, 31)).await;
    assert_eq!(repaired.derived, 5);
    assert_eq!((rig.number(missing).await, rig.number(SUM).await), (0, shows(96) - shows(0)));
}

#[tokio::test]
async fn a_counter_that_fell_and_reads_far_apart_tell_nothing() {
    let test = "a_counter_that_fell_and_reads_far_apart_tell_nothing";
    let Some(mut rig) = day_with_a_gap(test, 40..=43).await else { return };
    rig.read(at(0, 40), shows(40), at(1, 4)).await;
    rig.read(at(0, 43), shows(30), at(1, 4)).await;
    let closed = rig.close(at(1, 16)).await;
    // The slot to 40; none over the three quarters to 43, and none over the fall.
    assert_eq!((closed.days, closed.derived), (1, 1));
    assert_eq!(rig.number(SLOTS).await, 92);
}

/// Ten times the second of the two quarters from 10:00 on, and the first.
const BEST: &str = "SELECT sum(value * CASE extract(minute FROM starts_at) WHEN 0 THEN 1 ELSE 10 \
    END)::int8 FROM (SELECT DISTINCT ON (starts_at) * FROM interval_exception WHERE lane = 0 \
        ORDER BY starts_at, version DESC) b WHERE extract(minute FROM starts_at) < 30";

/// Quarters 40 and 41 were drawn on a line over both; the read between says 30 and 90 Wh.
#[tokio::test]
async fn what_was_drawn_over_a_read_that_came_late_is_drawn_again() {
    for after_close in [false, true] {
        let name = format!("drawn_again_{after_close}");
        let Some(mut rig) = Rig::with(&name, counter()).await else { return };
        let total = |slot| 5_000_000 + slot * 60_000;
        for slot in (0..=96).filter(|slot| *slot != 41) {
            rig.read(at(0, slot), total(slot), at(0, slot)).await;
        }
        let slots: Vec<(i64, i64)> = (0..96).map(|slot| (slot, 60_000)).collect();
        rig.arrive(0, &slots, at(1, 0)).await;
        if after_close {
            assert_eq!(rig.close(at(1, 16)).await.derived, 0);
        }
        rig.read(at(0, 41), total(41) - 30_000, at(1, 17)).await;
        let closed = rig.close(at(1, 18)).await;
        assert_eq!((closed.derived, closed.days + closed.repaired), (2, 1), "{after_close}");
        assert_eq!(rig.number(BEST).await, 30_000 + 10 * 90_000);
        assert_eq!(rig.number("SELECT count(*) FROM closed_day WHERE failing <> 0").await, 0);
        assert_eq!(rig.close(at(1, 19)).await, Closed::default(), "once");
        // What was drawn again is what the checks look at from then on, also when they doubt it.
        let doubt = "INSERT INTO interval_exception (meter_id, channel, starts_at, value, status, \
            flags, rule_mask, version, recorded_at) SELECT meter_id, channel, starts_at, value, 2, \
            2, 1 << 19, 3, recorded_at FROM interval_exception WHERE version = 2 \
            AND extract(minute FROM starts_at) < 30 RETURNING 1";
        assert_eq!(rig.database.client().await.unwrap().execute(doubt, &[]).await.unwrap(), 2);
        rig.read(at(0, 80).plus_seconds(60), total(80) + 4_000, at(1, 20)).await;
        assert_eq!(rig.close(at(1, 21)).await.repaired, 1);
        assert_eq!(rig.number(BEST).await, 30_000 + 10 * 90_000);
    }
}

const CHANGED: &str = "SELECT count(*) FROM (SELECT DISTINCT ON (starts_at) * \
    FROM interval_exception WHERE lane = 0 ORDER BY starts_at, version DESC) b \
    WHERE value / 15000 <> 4";

/// Of two days every other read comes late: the lines between the others ran over midnight, too.
#[tokio::test]
async fn lines_over_midnight_are_drawn_again_in_both_days() {
    let test = "lines_over_midnight_are_drawn_again_in_both_days";
    let Some(mut rig) = Rig::with(test, counter()).await else { return };
    // Never the same for long, but even over each line.
    let used = |slot: i64| 60_000 + 2_000 * ((slot + 1) / 2 % 2);
    let total = |slot| 5_000_000 + (0..slot).map(used).sum::<i64>();
    for slot in (0..=192).filter(|slot| slot % 2 == 1 || [0, 192].contains(slot)) {
        rig.read(at(0, slot), total(slot), at(0, slot)).await;
    }
    for day in [0, 1] {
        let slots: Vec<(i64, i64)> = (0..96).map(|slot| (slot, used(96 * day + slot))).collect();
        rig.arrive(day, &slots, at(day + 1, 0)).await;
    }
    rig.close(at(2, 16)).await;
    for (part, minute) in [(1..=47, 17), (48..=95, 18)] {
        for slot in part.map(|n| 2 * n) {
            rig.read(at(0, slot), total(slot) - 30_000, at(2, minute)).await;
        }
        rig.close(at(2, minute)).await;
    }
    assert_eq!(rig.number(CHANGED).await, 190);
    assert_eq!(rig.close(at(2, 19)).await, Closed::default(), "once");
}

/// Reads in the middle of the quarters: a late one moves the quarters beside its own.
#[tokio::test]
async fn a_late_read_off_the_grid_moves_the_quarters_beside_it() {
    let test = "a_late_read_off_the_grid_moves_the_quarters_beside_it";
    let Some(mut rig) = Rig::with(test, counter()).await else { return };
    let middle = |slot| at(0, slot).plus_seconds(450);
    let total = |slot| 5_000_000 + slot * 60_000;
    for slot in (-1..=96).filter(|slot| *slot != 41) {
        rig.read(middle(slot), total(slot), middle(slot)).await;
    }
    let slots: Vec<(i64, i64)> = (0..96).map(|slot| (slot, 60_000)).collect();
    rig.arrive(0, &slots, at(1, 0)).await;
    rig.read(middle(41), total(41) - 30_000, at(1, 8)).await;
    rig.close(at(1, 16)).await;
    assert_eq!(rig.number(CHANGED).await, 2);
}

/// Without a late read another course is no reason: the meter may have sent its intervals itself.
#[tokio::test]
async fn what_no_late_read_moves_stays() {
    let Some(mut rig) = Rig::with("what_no_late_read_moves_stays", counter()).await else { return };
    let total = |slot| 5_000_000 + slot * 60_000;
    for slot in (0..=96).filter(|slot| slot % 2 == 0) {
        rig.read(at(0, slot), total(slot), at(0, slot)).await;
    }
    let of = |slot| if slot % 2 == 0 { 30_000 } else { 90_000 };
    let slots: Vec<(i64, i64)> = (0..96).map(|slot| (slot, of(slot))).collect();
    rig.arrive(0, &slots, at(1, 0)).await;
    assert_eq!(rig.close(at(1, 16)).await.derived, 0);
}

/// Intervals that ingest drew while a read was on its way do not meet those drawn with it.
#[tokio::test]
async fn beside_an_interval_of_the_former_course_nothing_is_told() {
    let test = "beside_an_interval_of_the_former_course_nothing_is_told";
    let Some(mut rig) = Rig::with(test, counter()).await else { return };
    let total = |slot| 5_000_000 + slot * 60_000;
    // All quarters have a read at their end but 40 to 44; 39 was drawn as if use had been even.
    for slot in (0..=96).filter(|slot| !(40..=44).contains(slot)) {
        rig.read(at(0, slot), total(slot), at(0, slot)).await;
    }
    let slots: Vec<(i64, i64)> =
        (0..96).filter(|slot| !(40..=44).contains(slot)).map(|slot| (slot, 60_000)).collect();
    rig.arrive(0, &slots, at(1, 0)).await;
    // The reads that come late say that quarter 39 took less.
    rig.read(at(0, 40), total(40) - 30_000, at(1, 4)).await;
    for slot in 41..=44 {
        rig.read(at(0, slot), total(slot), at(1, 4)).await;
    }
    let closed = rig.close(at(1, 16)).await;
    assert_eq!((closed.days, closed.derived), (1, 4), "quarter 40 took more than it may tell");
    let sum = rig.number(SUM).await;
    assert_eq!(sum, 95 * 60_000, "never more than the register counted");
}

#[tokio::test]
async fn a_read_after_midnight_completes_the_last_interval_of_the_closed_day() {
    let test = "a_read_after_midnight_completes_the_last_interval_of_the_closed_day";
    let Some(mut rig) = day_with_a_gap(test, 96..=96).await else { return };
    let closed = rig.close(at(1, 16)).await;
    assert_eq!((closed.days, closed.derived), (1, 0));
    rig.read(at(1, 0), shows(96), at(1, 30)).await;
    let repaired = rig.close(at(1, 31)).await;
    assert_eq!(repaired.derived, 1);
    assert_eq!(rig.number(SUM).await, shows(96) - shows(0));
}

/// The meter was installed long ago.
fn old_counter() -> MeterProvision {
    MeterProvision { installed_at: at(-3_000, 0), ..counter() }
}

#[tokio::test]
async fn reads_that_waited_for_their_meter_tell_their_intervals_in_whatever_order_they_came() {
    let test = "reads_that_waited_for_their_meter_tell_their_intervals_in_whatever_order_they_came";
    let entered = at(1, 30);
    let Some(mut rig) = Rig::entered_at(test, old_counter(), entered).await else { return };
    for slot in (8..16).rev() {
        rig.read(at(0, slot), shows(slot), entered).await;
    }
    // A clock that claims another year, and what is older than readings may be, begin nothing.
    rig.read(at(-200, 0), 1_000_000, entered).await;
    rig.read(at(-500, 0), 1_000_000, entered).await;
    let client = rig.database.client().await.unwrap();
    let doubt = "UPDATE register_read SET flags = 2, rule_mask = 2 WHERE read_at = $1";
    let old = store::Stamp(at(-200, 0));
    assert_eq!(client.execute(doubt, &[&old]).await.unwrap(), 1);
    drop(client);
    let closed = rig.close(at(2, 16)).await;
    assert_eq!((closed.days, closed.derived), (2, 7), "yesterday and the day it was entered");
    assert_eq!((rig.number(SLOTS).await, rig.number(SUM).await), (7, shows(15) - shows(8)));
    let first = "SELECT extract(epoch FROM min(starts_at))::int8 FROM closed_day";
    assert_eq!(rig.number(first).await, at(0, 0).seconds());
}

#[tokio::test]
async fn reads_of_before_the_first_closed_day_tell_their_intervals() {
    let test = "reads_of_before_the_first_closed_day_tell_their_intervals";
    let Some(mut rig) = Rig::with(test, old_counter()).await else { return };
    assert_eq!(rig.close(at(1, 16)).await.days, 1);
    let total = |day, slot| 5_000_000 + (day + 60) * 9_600_000 + slot * 100_000;
    for day in [-2, -60] {
        for slot in (8..12).rev() {
            rig.read(at(day, slot), total(day, slot), at(1, 17)).await;
        }
    }
    assert_eq!(rig.close(at(1, 18)).await.derived, 6);
    assert_eq!((rig.number(SLOTS).await, rig.number(SUM).await), (6, 600_000));
}
