//! A gap is known when its slot is due, and closed when the value arrives after all.

use metering::{ChannelKind, ReadingType, UtcTime};
use store::gaps::{Checked, Gaps};
use store::{Batch, Database, Writer};

use crate::assets::water_meter;
use crate::support::{T0, batch, database, number, quarter};

/// A meter with quarter hours that are due one hour after their end.
async fn one_meter(database: &Database) {
    let mut meter = water_meter("W-1");
    let channel = &mut meter.channels[0];
    channel.kind = ChannelKind::Interval;
    channel.reading_type = ReadingType::VOLUME;
    channel.len_s = 900;
    channel.delivery_lag_s = 3_600;
    let outcome = database.provision(&[meter], T0).await.unwrap();
    assert_eq!(outcome[0].meter.get(), 1);
}

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
    let open = "SELECT count(*) FROM read_gap WHERE filled_at IS NULL";
    assert_eq!(number(&database, open).await, 2);
    send(&mut writer, &[2, 4, 5]).await;
    assert_eq!(gaps.check(after(10)).await.unwrap(), Checked { opened: 0, filled: 2 });
    assert_eq!(number(&database, open).await, 0);
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
