//! What the benchmark feeds in: bundles of a fleet of plain meters, by the day.

use bytes::Bytes;
use metering::{
    ChannelKind, ChannelNo, Commodity, CustomerClass, Interval, IntervalReading, MeterId,
    ReadingType, SourceId, Unit, UtcTime,
};
use rust_decimal::Decimal;
use store::assets::{ChannelProvision, MeterProvision};

use crate::ingest::Frame;

/// Values of one message, each of a quarter hour.
pub(super) const VALUES: i64 = 24;
pub(super) const SLOT_S: i32 = 900;
const SLOTS_A_DAY: i64 = 96;
/// Every twentieth message is sent twice: 5 % duplicates.
const REPEAT_EVERY: u64 = 20;

/// First day of the load; any will do.
pub(super) const FIRST_DAY: i64 = 20_500;

fn number(meter: u32) -> String {
    format!("B-{meter:07}")
}

/// The meters of the load.
pub(super) fn meters(count: u32) -> Vec<MeterProvision> {
    (0..count)
        .map(|meter| MeterProvision {
            number: number(meter),
            serial: String::new(),
            sources: vec![SourceId::new("ami", number(meter))],
            commodity: Commodity::Electricity,
            class: CustomerClass::Residential,
            address: String::new(),
            account: String::new(),
            account_active: true,
            utility: "BENCH".to_owned(),
            zone: None,
            route: None,
            transformer: None,
            collector: None,
            time_zone: "UTC".to_owned(),
            tags: Vec::new(),
            battery_powered: false,
            contact_every_s: 3_600 * 6,
            flow_rated_lph: 0,
            installed_at: UtcTime::from_seconds((FIRST_DAY - 400) * 86_400),
            facts: store::assets::MeterFacts::default(),
            channels: vec![ChannelProvision {
                field: "energy_import".to_owned(),
                reading_type: ReadingType::ENERGY_IMPORT,
                kind: ChannelKind::Interval,
                unit: Unit::WattHour,
                multiplier: Decimal::ONE,
                decimals: 0,
                modulus: 0,
                len_s: SLOT_S,
                resolution: 1_000,
                cap_per_hour: 60_000_000,
                delivery_lag_s: 86_400,
            }],
        })
        .collect()
}

/// A value that looks like a load and needs no randomness.
fn value(meter: u32, slot: i64) -> i64 {
    let mix = (i64::from(meter) * 2_654_435_761 + slot * 40_503) & 0xFFFF;
    40 + mix % 400
}

/// The messages of one part of a day (0 to 3), meter by meter, with repeats.
pub(super) fn frames(count: u32, day: i64, part: i64) -> Vec<Frame> {
    let first_slot = part * VALUES;
    let day_start = UtcTime::from_seconds(day * 86_400);
    let first_end = day_start.plus_seconds((first_slot + 1) * i64::from(SLOT_S));
    let received_at = day_start.plus_seconds((first_slot + VALUES) * i64::from(SLOT_S) + 30);
    let mut frames = Vec::new();
    for meter in 0..count {
        let values: Vec<String> = (0..VALUES)
            .map(|slot| value(meter, day * SLOTS_A_DAY + first_slot + slot).to_string())
            .collect();
        let frame = frame(meter, &values.join(","), first_end, received_at);
        let repeat = (u64::from(meter) + part.unsigned_abs()).is_multiple_of(REPEAT_EVERY);
        if repeat {
            frames.push(frame.clone());
        }
        frames.push(frame);
    }
    frames
}

/// Message `n` of a stream of single readings.
pub(super) fn single(meters: u32, n: u64, from: UtcTime) -> Frame {
    let meter = u32::try_from(n % u64::from(meters)).unwrap_or(0);
    let slot = i64::try_from(n / u64::from(meters)).unwrap_or(0);
    let end = from.plus_seconds((slot + 1) * i64::from(SLOT_S));
    frame(meter, &value(meter, slot).to_string(), end, end)
}

fn frame(meter: u32, values: &str, first_end: UtcTime, received_at: UtcTime) -> Frame {
    let number = number(meter);
    let payload = format!(
        "{{\"v\":1,\"meter\":\"{number}\",\"series\":[{{\"field\":\"energy_import\",\
         \"unit\":\"Wh\",\"len\":{SLOT_S},\"end\":\"{first_end}\",\"values\":[{values}]}}]}}"
    );
    Frame {
        topic: format!("ami/up/{number}"),
        payload: Bytes::from(payload),
        received_at,
        redelivered: false,
    }
}

/// The same readings without wrapping, for the yardstick: no duplicates in it.
pub(super) fn readings(count: u32, day: i64, part: i64) -> Vec<IntervalReading> {
    let mut readings = Vec::new();
    let day_start = UtcTime::from_seconds(day * 86_400);
    for meter in 0..count {
        for slot in part * VALUES..(part + 1) * VALUES {
            let end = day_start.plus_seconds((slot + 1) * i64::from(SLOT_S));
            let Some(interval) = Interval::ending_at(end, SLOT_S) else { continue };
            readings.push(IntervalReading {
                // Numbers that no provisioned meter has.
                meter: MeterId::new(1_000_000 + i32::try_from(meter).unwrap_or(0)),
                channel: ChannelNo::new(1),
                interval,
                value: value(meter, day * SLOTS_A_DAY + slot) * 1_000,
                flags: metering::DeviceFlags::NONE,
            });
        }
    }
    readings
}
