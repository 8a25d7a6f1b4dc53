//! What came in another shape is put right, and what lies beside a channel helps to estimate it: the
//! whole way through job and store.

use metering::{
    ChannelKind, ChannelNo, DeviceFlags, Interval, IntervalReading, JudgedReading, MeterId,
    MeterRole, QualityStatus, ReadingType, RuleMask, RuleNo, SlotCode, UtcTime,
};
use store::assets::{ChannelProvision, MeterFacts, MeterProvision};
use store::estimation::BestSlot;
use store::{Batch, IntervalRow, Writer};

use super::estimation::{CHANNEL, Rig, at, meter, usual};

/// 2026-10-25 in Berlin: 25 hours, 02:00 to 03:00 comes twice. 2027-03-28: 23 hours.
const AUTUMN: i64 = 146;
const SPRING: i64 = 300;
/// Slots of the two passages: 00:00Z to 01:00Z and 01:00Z to 02:00Z.
const FIRST: std::ops::Range<i64> = 8..12;
const SECOND: std::ops::Range<i64> = 12..16;

/// A course without a peak at night, of a day with any number of slots.
fn calm(slot: i64) -> i64 {
    (60 + slot % 5) * 1000
}

impl Rig {
    /// Two weeks before the change, its day without `lost`, all as `calm` says; a register at each
    /// midnight. `doubled` slots hold their own and the lost use.
    async fn autumn(&mut self, lost: std::ops::Range<i64>, doubled: std::ops::Range<i64>) {
        let mut total = 5_000_000;
        self.read(at(AUTUMN - 14, 0), total, at(AUTUMN - 14, 1)).await;
        for day in AUTUMN - 14..AUTUMN {
            let slots: Vec<(UtcTime, i64)> =
                (0..96).map(|slot| (at(day, slot + 1), calm(slot))).collect();
            total += slots.iter().map(|slot| slot.1).sum::<i64>();
            self.arrive(&slots, QualityStatus::Raw, at(day + 1, 0)).await;
            self.read(at(day + 1, 0), total, at(day + 1, 1)).await;
        }
        // Each slot of one passage holds that of the other as well.
        let other = |slot| if slot < SECOND.start { slot + 4 } else { slot - 4 };
        let value = |slot| {
            if doubled.contains(&slot) { calm(slot) + calm(other(slot)) } else { calm(slot) }
        };
        let slots: Vec<(UtcTime, i64)> = (0..100)
            .filter(|slot| !lost.contains(slot))
            .map(|slot| (at(AUTUMN, slot + 1), value(slot)))
            .collect();
        self.arrive(&slots, QualityStatus::Raw, at(AUTUMN, 100)).await;
        total += (0..100).map(calm).sum::<i64>();
        self.read(at(AUTUMN, 100), total, at(AUTUMN, 101)).await;
    }

    async fn autumn_values(&self) -> Vec<BestSlot> {
        self.slots(at(AUTUMN, 0), at(AUTUMN, 100)).await
    }

    async fn total_of_day(&self, day: UtcTime) -> String {
        let sql = "SELECT total::text || ' ' || peak || ' ' || actual FROM closed_day \
                   WHERE starts_at = to_timestamp(";
        self.text(&format!("{sql}{})", day.seconds())).await
    }
}

fn peak(slots: &[BestSlot]) -> i64 {
    slots.iter().map(|slot| slot.value).max().unwrap()
}

#[tokio::test]
async fn an_hour_added_to_the_other_makes_no_false_peak() {
    let test = "an_hour_added_to_the_other_makes_no_false_peak";
    for (lost, doubled) in [(SECOND, FIRST), (FIRST, SECOND)] {
        let Some(mut rig) = Rig::with(test, &[meter()], AUTUMN - 14).await else { return };
        rig.autumn(lost, doubled).await;
        let before = rig.autumn_values().await;
        assert_eq!(before.len(), 96);
        assert!(peak(&before) > 120_000, "the fixture has one");
        let told = rig.pass(at(AUTUMN + 1, 40)).await;
        assert_eq!((told.applied, told.refused), (1, 0));
        let day = rig.autumn_values().await;
        assert_eq!((day.len(), peak(&day)), (100, calm(4)), "no false peak");
        let sum: i64 = day.iter().map(|slot| slot.value).sum();
        assert_eq!(sum, (0..100).map(calm).sum::<i64>(), "exact to the last unit");
        // It stays so, and the closed day says the same.
        for hour in 1..4 {
            let told = rig.pass(at(AUTUMN + 1, 40 + 4 * hour)).await;
            assert_eq!((told.superseded, told.applied), (0, 0));
        }
        assert_eq!(peak(&rig.autumn_values().await), calm(4));
        rig.sound().await;
    }
}

#[tokio::test]
async fn an_hour_sent_twice_under_one_label_goes_where_it_belongs() {
    let test = "an_hour_sent_twice_under_one_label_goes_where_it_belongs";
    let Some(mut rig) = Rig::with(test, &[meter()], AUTUMN - 14).await else { return };
    rig.autumn(SECOND, 0..0).await;
    // The device labels the second passage like the first; its use is another, and as much as the
    // register counted.
    let own = |slot: i64| calm(SECOND.start + (slot + 2) % 4);
    let again: Vec<(UtcTime, i64)> = SECOND.map(|slot| (at(AUTUMN, slot - 3), own(slot))).collect();
    rig.arrive(&again, QualityStatus::Raw, at(AUTUMN, 101)).await;
    let told = rig.pass(at(AUTUMN + 1, 40)).await;
    assert_eq!((told.moved, told.applied, told.refused), (4, 0, 0));
    let day = rig.autumn_values().await;
    assert_eq!((day.len(), peak(&day)), (100, calm(4)), "no false peak");
    for slot in SECOND {
        let moved = &day[usize::try_from(slot).unwrap()];
        assert_eq!((moved.value, moved.status), (own(slot), QualityStatus::Validated));
    }
    // Judged again, the day counts them as what they are.
    let client = rig.database.client().await.unwrap();
    let touch = "INSERT INTO day_touched (meter_id, channel, day, noted_at) \
                 SELECT meter_id, channel, date '2026-10-25', now() FROM meter_channel";
    client.execute(touch, &[]).await.unwrap();
    assert_eq!(rig.pass(at(AUTUMN + 1, 44)).await.applied, 0);
    let sum: i64 = day.iter().map(|slot| slot.value).sum();
    let want = format!("{sum} {} 100", calm(4));
    assert_eq!(rig.total_of_day(at(AUTUMN, 0)).await, want);
    rig.sound().await;
}

#[tokio::test]
async fn the_hour_that_is_skipped_is_not_made_up() {
    let test = "the_hour_that_is_skipped_is_not_made_up";
    let Some(mut rig) = Rig::with(test, &[meter()], SPRING - 14).await else { return };
    // Local midnight is 23:00 UTC in winter: slot 4 of `at`.
    let mut total = 5_000_000;
    rig.read(at(SPRING - 14, 4), total, at(SPRING - 14, 5)).await;
    for day in SPRING - 14..SPRING {
        let slots: Vec<(UtcTime, i64)> =
            (0..96).map(|slot| (at(day, slot + 5), calm(slot))).collect();
        total += slots.iter().map(|slot| slot.1).sum::<i64>();
        rig.arrive(&slots, QualityStatus::Raw, at(day + 1, 4)).await;
        rig.read(at(day + 1, 4), total, at(day + 1, 5)).await;
    }
    // The day has 92 slots; an hour and a half around the change is lost.
    let lost = 5..11;
    let slots: Vec<(UtcTime, i64)> = (0..92)
        .filter(|slot| !lost.contains(slot))
        .map(|slot| (at(SPRING, slot + 5), calm(slot)))
        .collect();
    rig.arrive(&slots, QualityStatus::Raw, at(SPRING, 96)).await;
    total += (0..92).map(calm).sum::<i64>();
    rig.read(at(SPRING, 96), total, at(SPRING, 97)).await;
    let told = rig.pass(at(SPRING + 1, 40)).await;
    assert_eq!(told.refused, 0);
    let day = rig.slots(at(SPRING, 4), at(SPRING, 96)).await;
    assert_eq!(day.len(), 92);
    let sum: i64 = day.iter().map(|slot| slot.value).sum();
    assert_eq!(sum, (0..92).map(calm).sum::<i64>(), "exact to the last unit");
    assert!(peak(&day) <= calm(4) + 3_000, "no false peak: {}", peak(&day));
    rig.sound().await;
}

/// Intervals of another length, as ingest judges them.
async fn odd(writer: &mut Writer, meter: MeterId, (len_s, slots): (i32, &[(UtcTime, i64)])) {
    let flags = if len_s > 900 { DeviceFlags::LONG } else { DeviceFlags::PARTIAL };
    let now = at(13, 0);
    let row = |(end, value): &(UtcTime, i64)| IntervalRow {
        reading: JudgedReading {
            reading: IntervalReading {
                meter,
                channel: CHANNEL,
                interval: Interval::ending_at(*end, len_s).unwrap(),
                value: *value,
                flags,
            },
            code: SlotCode::new(QualityStatus::Suspect, flags).with_exception(),
            failed: RuleMask::EMPTY.with(RuleNo::new(3).unwrap()),
        },
        received_at: now,
        derived: false,
        source: 1,
    };
    let intervals: Vec<IntervalRow> = slots.iter().map(row).collect();
    let batch = Batch { messages: 1, intervals, ..Batch::new("test", now) };
    let _ = writer.append(&batch).await.unwrap();
}

#[tokio::test]
async fn intervals_of_another_length_are_re_sliced() {
    let test = "intervals_of_another_length_are_re_sliced";
    let Some(mut rig) = Rig::new(test).await else { return };
    // From 06:00 half hours came for two hours, from 12:00 five minutes for half an hour.
    let lost =
        |day: i64, slot: i64| day == 12 && ((24..32).contains(&slot) || (48..50).contains(&slot));
    rig.history(13, lost).await;
    let half = |k: i64| usual(12, 24 + 2 * k) + usual(12, 25 + 2 * k);
    let long: Vec<(UtcTime, i64)> = (0..4).map(|k| (at(12, 26 + 2 * k), half(k))).collect();
    odd(&mut rig.writer, rig.meter, (1800, &long)).await;
    let short: Vec<(UtcTime, i64)> =
        (0..6).map(|k| (at(12, 48).plus_seconds(300 * (k + 1)), 11_000 + k * 1000)).collect();
    odd(&mut rig.writer, rig.meter, (300, &short)).await;
    let told = rig.pass(at(13, 24)).await;
    assert_eq!(told.refused, 0);
    let day = rig.slots(at(12, 24), at(12, 32)).await;
    for k in 0..4 {
        let pair = &day[2 * usize::try_from(k).unwrap()..][..2];
        assert_eq!(pair[0].value + pair[1].value, half(k), "exact");
        assert!((pair[0].value - pair[1].value).abs() <= 1000);
        assert!(pair.iter().all(|slot| slot.method == 2 && slot.value % 1000 == 0));
    }
    let merged: Vec<BestSlot> = rig
        .slots(at(12, 48), at(12, 50))
        .await
        .into_iter()
        .filter(|slot| slot.method == 2)
        .collect();
    let values: Vec<i64> = merged.iter().map(|slot| slot.value).collect();
    assert_eq!(values, [11_000 + 12_000 + 13_000, 14_000 + 15_000 + 16_000]);
    assert_eq!(rig.pass(at(13, 30)).await.applied, 0, "once");
    rig.sound().await;
}

#[tokio::test]
async fn an_exchange_has_a_residual_on_either_side() {
    let test = "an_exchange_has_a_residual_on_either_side";
    let Some(mut rig) = Rig::new(test).await else { return };
    let total = rig.days_from((0, 12), |_, _| false).await;
    // 06:00 to 12:00 of day 12 are lost; the meter is exchanged at 09:07, within a slot.
    let slots: Vec<(UtcTime, i64)> = (0..96)
        .filter(|slot| !(24..48).contains(slot))
        .map(|slot| (at(12, slot + 1), usual(12, slot)))
        .collect();
    rig.arrive(&slots, QualityStatus::Raw, at(13, 0)).await;
    let exchanged_at = at(12, 36).plus_seconds(7 * 60);
    let before: i64 = (0..24).map(|slot| usual(12, slot)).sum();
    let after: i64 = (48..96).map(|slot| usual(12, slot)).sum();
    let (old, new) = (613_000, 871_000);
    let field = "INSERT INTO register_read (read_at, received_at, raw, value, meter_id, channel, \
                 source, flags) VALUES (to_timestamp($1::float8), now(), $2::int8 / 1000, $2, $3, \
                 1, $4, 1)";
    let client = rig.database.client().await.unwrap();
    let stamp = exchanged_at.seconds() as f64;
    for (value, source) in [(total + before + old, 3_i16), (40_000, 4)] {
        let meter = rig.meter.get();
        client.execute(field, &[&stamp, &value, &meter, &source]).await.unwrap();
    }
    rig.read(at(13, 0), 40_000 + new + after, at(13, 1)).await;
    let told = rig.pass(at(13, 24)).await;
    assert_eq!((told.applied, told.proposed, told.refused), (2, 0, 0));
    let gap = rig.slots(at(12, 24), at(12, 48)).await;
    assert_eq!(gap.len(), 24);
    assert_eq!(gap.iter().map(|slot| slot.value).sum::<i64>(), old + new, "both, exactly");
    // The old meter's slots hold no more than it counted, the new one's no more than that one.
    let of_old: i64 = gap[..12].iter().map(|slot| slot.value).sum();
    let of_new: i64 = gap[13..].iter().map(|slot| slot.value).sum();
    assert!(of_old < old && of_new < new, "{of_old} {of_new}");
    rig.sound().await;
}

fn of_premises(number: &str, role: MeterRole) -> MeterProvision {
    let facts = MeterFacts { role, premises: Some("P-1".to_owned()), ..meter().facts };
    MeterProvision { facts, number: number.to_owned(), sources: Vec::new(), ..meter() }
}

#[tokio::test]
async fn a_check_meter_tells_what_the_main_meter_did_not() {
    let test = "a_check_meter_tells_what_the_main_meter_did_not";
    let meters = [of_premises("E-1", MeterRole::Customer), of_premises("E-1C", MeterRole::Check)];
    let Some(mut rig) = Rig::with(test, &meters, 0).await else { return };
    rig.history(13, |day, slot| day == 12 && (40..52).contains(&slot)).await;
    let main = rig.meter;
    let registry = rig.database.load_registry().await.unwrap();
    rig.meter = registry.meters.iter().find(|one| one.number == "E-1C").unwrap().meter;
    rig.history(13, |_, _| false).await;
    rig.meter = main;
    rig.pass(at(13, 24)).await;
    let gap = rig.slots(at(12, 40), at(12, 52)).await;
    let values: Vec<i64> = gap.iter().map(|slot| slot.value).collect();
    assert_eq!(values, (40..52).map(|slot| usual(12, slot)).collect::<Vec<_>>());
    assert!(gap.iter().all(|slot| slot.method == 1));
    rig.sound().await;
}

fn rate_channel(field: &str, tariff: u8) -> ChannelProvision {
    let main = meter().channels[0].clone();
    ChannelProvision {
        field: field.to_owned(),
        reading_type: ReadingType { tariff, ..ReadingType::ENERGY_IMPORT },
        kind: ChannelKind::Register,
        len_s: 86_400,
        ..main
    }
}

#[tokio::test]
async fn rates_and_holidays_come_from_the_rules_that_hold() {
    let test = "rates_and_holidays_come_from_the_rules_that_hold";
    let mut one = meter();
    one.channels.push(rate_channel("day", 1));
    one.channels.push(rate_channel("night", 2));
    let Some(mut rig) = Rig::with(test, &[one], 0).await else { return };
    let text = "[bundle]\nversion = \"rates\"\n[calendar]\nholidays = [\"2026-06-12\"]\n\
                tou = [\"1 weekday,holiday 06:00-18:00\", \"2 otherwise\"]\n";
    let person = headend::services::rules::Person {
        actor: "anna",
        approved_by: None,
        reason: "t",
        now: at(0, 0),
    };
    headend::services::rules::apply(&rig.database, text, person, true).await.unwrap();
    // 2026-06-12, a Friday and holiday, from 04:00 to 08:00: two hours of either rate.
    let lost = |day: i64, slot: i64| day == 11 && (16..32).contains(&slot);
    let total = rig.days_from((0, 11), lost).await;
    let slots: Vec<(UtcTime, i64)> = (0..96)
        .filter(|slot| !lost(11, *slot))
        .map(|slot| (at(11, slot + 1), usual(11, slot)))
        .collect();
    rig.arrive(&slots, QualityStatus::Raw, at(12, 0)).await;
    let known = |rate: i64| -> i64 {
        let of = |slot: &i64| if (24..72).contains(slot) { 1 } else { 2 };
        (0..96).filter(|s| !lost(11, *s) && of(s) == rate).map(|s| usual(11, s)).sum()
    };
    let (day, night) = (known(1) + 300_000, known(2) + 90_000);
    rig.read(at(12, 0), total + day + night, at(12, 1)).await;
    for (channel, use_of_day) in [(2, day), (3, night)] {
        let sql = "INSERT INTO register_read (read_at, received_at, raw, value, meter_id, channel, \
                   flags) VALUES (to_timestamp($1::float8), now(), 0, $2, $3, $4, 1)";
        let client = rig.database.client().await.unwrap();
        for (read_at, value) in [(at(11, 0), 0), (at(12, 0), use_of_day)] {
            let (stamp, meter) = (read_at.seconds() as f64, rig.meter.get());
            let channel = ChannelNo::new(channel).get();
            client.execute(sql, &[&stamp, &value, &meter, &channel]).await.unwrap();
        }
    }
    let told = rig.pass(at(12, 24)).await;
    assert_eq!(told.refused, 0);
    let sum = |slots: &[BestSlot]| slots.iter().map(|slot| slot.value).sum::<i64>();
    assert_eq!(sum(&rig.slots(at(11, 16), at(11, 24)).await), 90_000, "night");
    assert_eq!(sum(&rig.slots(at(11, 24), at(11, 32)).await), 300_000, "day");
    // Late truth tells its difference by rate.
    let late: Vec<(UtcTime, i64)> =
        (16..32).map(|slot| (at(11, slot + 1), usual(11, slot))).collect();
    rig.arrive(&late, QualityStatus::Raw, at(12, 30)).await;
    assert_eq!(rig.pass(at(12, 40)).await.superseded, 16);
    let by_rate = "SELECT tou_bucket || ' ' || sum(delta) FROM true_up GROUP BY tou_bucket \
                   ORDER BY tou_bucket";
    let of = |slots: std::ops::Range<i64>| slots.map(|slot| usual(11, slot)).sum::<i64>();
    let want = format!("1 {}; 2 {}", of(24..32) - 300_000, of(16..24) - 90_000);
    assert_eq!(rig.text(by_rate).await, want);
    rig.sound().await;
}
