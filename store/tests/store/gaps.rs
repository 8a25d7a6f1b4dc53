//! A gap is known when its slot is due, and closed when the value arrives after all.

use std::collections::BTreeSet;

use metering::{
    ChannelKind, ChannelNo, DeviceFlags, MeterId, QualityStatus, ReadingType, SlotCode, UtcTime,
};
use store::assets::MeterProvision;
use store::estimation::{Decision, SlotRange, decide};
use store::gaps::{Checked, Gaps};
use store::{Batch, Database, HeardRow, IntervalRow, RegisterRow, Writer, views};

use crate::assets::water_meter;
use crate::support::{T0, batch, database, interval, number, quarter, register};

/// A meter with intervals that are due one hour after their end, installed long ago.
fn meter(len_s: i32) -> MeterProvision {
    let mut meter = water_meter("W-1");
    meter.installed_at = after(-96 * 100);
    let channel = &mut meter.channels[0];
    channel.kind = ChannelKind::Interval;
    channel.reading_type = ReadingType::VOLUME;
    channel.len_s = len_s;
    channel.delivery_lag_s = 3_600;
    meter
}

async fn one_meter(database: &Database) {
    let outcome = database.provision(&[meter(900)], T0).await.unwrap();
    assert_eq!(outcome[0].meter.get(), 1);
}

const OPEN: &str = "SELECT count(*) FROM read_gap WHERE filled_at IS NULL";

async fn send(writer: &mut Writer, slots: &[i64]) {
    let intervals = slots.iter().map(|slot| quarter(1, *slot, 1)).collect();
    let stored = writer.append(&Batch { intervals, ..batch(T0) }).await.unwrap();
    assert_eq!(stored.inserted, slots.len() as u64);
}

fn after(slots: i64) -> UtcTime {
    T0.plus_seconds(slots * 900)
}

#[tokio::test]
async fn a_slot_is_missing_once_its_lag_has_passed() {
    let Some(database) = database("a_slot_is_missing_once_its_lag_has_passed").await else {
        return;
    };
    one_meter(&database).await;
    let gaps = Gaps::new(database.clone());
    let mut writer = Writer::new(database.clone());
    send(&mut writer, &[0, 1, 3]).await;
    // Slots 0 and 1 ended four quarters before; 2 is not due yet.
    assert_eq!(gaps.check(after(6)).await.unwrap(), Checked { opened: 0, filled: 0 });
    // Due one second later at the earliest: the end of slot 2 plus the lag is quarter 7.
    assert_eq!(gaps.check(after(7)).await.unwrap(), Checked { opened: 1, filled: 0 });
    assert_eq!(gaps.check(after(9)).await.unwrap(), Checked { opened: 1, filled: 0 });
    assert_eq!(number(&database, OPEN).await, 2);
    send(&mut writer, &[2, 4, 5]).await;
    assert_eq!(gaps.check(after(10)).await.unwrap(), Checked { opened: 0, filled: 2 });
    assert_eq!(number(&database, OPEN).await, 0);
    // The same instant once more, and an earlier one, change nothing.
    assert_eq!(gaps.check(after(10)).await.unwrap(), Checked::default());
    assert_eq!(gaps.check(after(2)).await.unwrap(), Checked::default());
}

#[tokio::test]
async fn a_long_silence_is_caught_up() {
    let Some(database) = database("a_long_silence_is_caught_up").await else { return };
    one_meter(&database).await;
    let gaps = Gaps::new(database.clone());
    let checked = gaps.check(after(96 * 35 + 4)).await.unwrap();
    assert_eq!(checked, Checked { opened: 96 * 35, filled: 0 });
}

#[tokio::test]
async fn the_calendar_begins_with_the_readings_that_waited_for_their_meter() {
    let test = "the_calendar_begins_with_the_readings_that_waited_for_their_meter";
    let Some(database) = database(test).await else { return };
    let entered = after(10).plus_seconds(120);
    database.provision(&[meter(900)], entered).await.unwrap();
    let gaps = Gaps::new(database.clone());
    let mut writer = Writer::new(database.clone());
    // What came before the meter was known is told as soon as it is.
    send(&mut writer, &[2, 3, 5]).await;
    assert_eq!(gaps.check(after(15)).await.unwrap(), Checked::default());
    // Slot 11 is the first after it was entered: with it 4 and 6 to 10 are known to be missing.
    assert_eq!(gaps.check(after(16)).await.unwrap(), Checked { opened: 7, filled: 0 });
    let first = "SELECT extract(epoch FROM min(starts_at))::int8 FROM read_gap";
    assert_eq!(number(&database, first).await, after(4).seconds());
    let detail = views::meters::by_number(&database, "W-1", after(16)).await.unwrap().unwrap();
    assert_eq!(detail.channels[0].expected_from, after(2));
    // Whatever is imported afterwards does not move it.
    send(&mut writer, &[0]).await;
    assert_eq!(gaps.check(after(17)).await.unwrap(), Checked { opened: 1, filled: 0 });
    assert_eq!(number(&database, OPEN).await, 8);
}

#[tokio::test]
async fn the_calendar_begins_with_the_counter_that_waited_for_its_meter() {
    let test = "the_calendar_begins_with_the_counter_that_waited_for_its_meter";
    let Some(database) = database(test).await else { return };
    let mut meter = meter(900);
    meter.channels[0].kind = ChannelKind::Register;
    database.provision(&[meter], after(10)).await.unwrap();
    let mut writer = Writer::new(database.clone());
    let registers = vec![register(1, after(6).plus_seconds(420), 7)];
    let _ = writer.append(&Batch { registers, ..batch(after(10)) }).await.unwrap();
    let checked = Gaps::new(database.clone()).check(after(15)).await.unwrap();
    assert_eq!(checked, Checked { opened: 4, filled: 0 }, "7 to 10");
}

#[tokio::test]
async fn neither_a_wrong_clock_nor_an_import_begins_the_calendar() {
    let test = "neither_a_wrong_clock_nor_an_import_begins_the_calendar";
    let Some(database) = database(test).await else { return };
    let entered = after(96 * 30);
    let register = ChannelNo::new(2);
    let mut meter = meter(900);
    let mut second = meter.channels[0].clone();
    (second.field, second.kind) = ("other".to_owned(), ChannelKind::Register);
    meter.channels.push(second);
    database.provision(&[meter], entered).await.unwrap();
    // A clock that is weeks behind, before the meter was known, and a file of old days after that.
    let doubted = SlotCode::new(QualityStatus::Suspect, DeviceFlags::NONE);
    let (before, now) = (after(96 * 30 - 1), after(96 * 30 + 1));
    let mut clock = IntervalRow { received_at: before, ..quarter(1, 0, 1) };
    clock.reading.code = doubted;
    let file = IntervalRow { received_at: now, ..quarter(1, 96, 1) };
    let mut behind = RegisterRow { received_at: before, ..self::register(1, after(2), 7) };
    behind.reading.code = doubted;
    let mut told = RegisterRow { received_at: now, ..self::register(1, after(97), 8) };
    for row in [&mut behind, &mut told] {
        row.reading.reading.channel = register;
    }
    let (intervals, registers) = (vec![clock, file], vec![behind, told]);
    let mut writer = Writer::new(database.clone());
    let _ = writer.append(&Batch { intervals, registers, ..batch(now) }).await.unwrap();
    let checked = Gaps::new(database.clone()).check(entered.plus_seconds(6 * 900)).await.unwrap();
    assert_eq!(checked, Checked { opened: 4, filled: 0 }, "two of each since it was entered");
}

#[tokio::test]
async fn days_begin_with_the_reading_that_waited_for_its_meter() {
    let test = "days_begin_with_the_reading_that_waited_for_its_meter";
    let Some(database) = database(test).await else { return };
    let day = |n: i64| T0.plus_seconds(n * 86_400);
    let entered = day(2).plus_seconds(8 * 3_600);
    database.provision(&[meter(86_400)], entered).await.unwrap();
    let mut writer = Writer::new(database.clone());
    let intervals = vec![interval(1, day(1), 86_400, 5)];
    let _ = writer.append(&Batch { intervals, ..batch(entered) }).await.unwrap();
    let gaps = Gaps::new(database.clone());
    for hours in 0..4 * 24 {
        gaps.check(entered.plus_seconds(hours * 3_600)).await.unwrap();
    }
    // Days 1 to 5.
    assert_eq!(number(&database, OPEN).await, 5);
    let first = "SELECT extract(epoch FROM min(starts_at))::int8 FROM read_gap";
    assert_eq!(number(&database, first).await, day(1).seconds());
}

#[tokio::test]
async fn a_meter_was_last_heard_when_its_newest_message_came_or_of_its_newest_value() {
    let test = "a_meter_was_last_heard_when_its_newest_message_came_or_of_its_newest_value";
    let Some(database) = database(test).await else { return };
    one_meter(&database).await;
    let mut writer = Writer::new(database.clone());
    let heard = "SELECT extract(epoch FROM last_heard_at)::int8 FROM meter_state";
    // Told again from letters: nobody heard it now, and the counter is newer than the interval.
    let (read_at, now) = (after(3).plus_seconds(420), after(10));
    let registers = vec![RegisterRow { received_at: now, ..register(1, read_at, 7) }];
    let intervals = vec![IntervalRow { received_at: now, ..quarter(1, 2, 1) }];
    let _ = writer.append(&Batch { intervals, registers, ..batch(now) }).await.unwrap();
    writer.flush_presence().await.unwrap();
    assert_eq!(number(&database, heard).await, read_at.seconds());
    let detail = views::meters::by_number(&database, "W-1", now).await.unwrap().unwrap();
    let filter = views::meters::MeterFilter::default();
    let order = (views::meters::MeterSort::Number, None);
    let list = views::meters::list(&database, &filter, order, 10, now).await.unwrap();
    assert_eq!((detail.last_heard, list.items[0].last_heard), (Some(read_at), Some(read_at)));
    // A message: when it came.
    let registers = vec![RegisterRow { received_at: after(12), ..register(1, after(11), 8) }];
    let meter = registers[0].reading.reading.meter;
    let row = HeardRow { meter, collector: None, rssi_dbm: None, at: after(11), count: 1 };
    let told = Batch { registers, heard: vec![row], ..batch(after(12)) };
    let _ = writer.append(&told).await.unwrap();
    writer.flush_presence().await.unwrap();
    assert_eq!(number(&database, heard).await, after(12).seconds());
}

#[tokio::test]
async fn the_quality_of_a_meter_counts_what_stands_as_measured() {
    let test = "the_quality_of_a_meter_counts_what_stands_as_measured";
    let Some(database) = database(test).await else { return };
    one_meter(&database).await;
    let mut writer = Writer::new(database.clone());
    let now = after(96 + 4);
    let doubted = |slot| {
        let mut row = quarter(1, slot, 1);
        row.reading.code = SlotCode::new(QualityStatus::Suspect, DeviceFlags::NONE);
        row
    };
    let quality = async || {
        let filter = views::meters::MeterFilter::default();
        let order = (views::meters::MeterSort::Number, None);
        let list = views::meters::list(&database, &filter, order, 10, now).await.unwrap();
        list.items[0].quality_24h
    };
    let mut intervals: Vec<IntervalRow> = (0..90).map(|slot| quarter(1, slot, 1)).collect();
    intervals.extend((90..96).map(doubted));
    let _ = writer.append(&Batch { intervals, ..batch(now) }).await.unwrap();
    assert_eq!(quality().await, Some(90 * 100 / 96));
    // The first of them is accepted; of the good ones ten are doubted since, one of them estimated.
    let (meter, channel) = (MeterId::new(1), ChannelNo::new(1));
    let range = SlotRange { meter, channel, from: after(90), to: after(91), ends: BTreeSet::new() };
    let told = decide(&database, &range, Decision::Accept, ("anna", "seen"), now).await;
    assert_eq!(told.unwrap(), 1);
    let judge = "INSERT INTO interval_exception (starts_at, recorded_at, value, rule_mask, \
            meter_id, channel, version, status, flags) \
        SELECT $1::timestamptz + n * interval '15 minutes', now(), 1, 0, 1, 1, v::int2, s::int2, 0 \
        FROM (SELECT g AS n, 2 AS v, 2 AS s FROM generate_series(0, 9) g \
            UNION ALL SELECT 9, 3, 5) j";
    let client = database.client().await.unwrap();
    assert_eq!(client.execute(judge, &[&store::Stamp(T0)]).await.unwrap(), 11);
    assert_eq!(quality().await, Some(81 * 100 / 96));
    // Values of a time to come are no better than none.
    let intervals = (110..114).map(doubted).chain([quarter(1, 114, 1)]).collect();
    let _ = writer.append(&Batch { intervals, ..batch(now) }).await.unwrap();
    assert_eq!(quality().await, Some(81 * 100 / 100));
}
