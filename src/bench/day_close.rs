//! What the validation of one closed channel-day costs.

use metering::{
    ChannelAsset, ChannelKind, ChannelNo, Commodity, CustomerClass, DayShape, DeviceFlags,
    LocalCalendar, MeterAsset, MeterDetail, MeterId, QualityStatus, ReadingType, RuleMask,
    SlotCode, UsagePointId, UtcTime,
};
use vee::day::{Around, DayInput, DaySlot, DaySummary, HISTORY_DAYS, RegisterPoint, close_day};

use crate::clock::Clock;

const ROUNDS: u32 = 5_000;
const LEN_S: i64 = 900;
/// 2026-03-02 00:00 UTC.
const DAY_S: i64 = 1_772_409_600;

/// Microseconds of [`close_day`] for an electricity day of 96 slots with its registers, the two
/// days before it and a full history.
pub(super) fn micros(clock: &dyn Clock) -> f64 {
    let meter = meter();
    let Some(channel) = meter.channels.first() else { return 0.0 };
    let Ok(calendar) = LocalCalendar::new("UTC") else { return 0.0 };
    let day = calendar.day_containing(UtcTime::from_seconds(DAY_S));
    let (slots, registers) = series(day);
    let history = history(day);
    let input = DayInput {
        meter: &meter,
        channel,
        day,
        change: None,
        slots: &slots,
        registers: &registers,
        history: &history,
        closed: None,
        around: Around::default(),
    };
    let params = vee::Params::default();
    let start = clock.monotonic();
    for _ in 0..ROUNDS {
        std::hint::black_box(close_day(std::hint::black_box(&input), &params));
    }
    clock.monotonic().saturating_sub(start).as_secs_f64() * 1e6 / f64::from(ROUNDS)
}

fn series(day: DayShape) -> (Vec<DaySlot>, Vec<RegisterPoint>) {
    let code = SlotCode::new(QualityStatus::Raw, DeviceFlags::NONE);
    let (mut total, mut slots, mut registers) = (0, Vec::new(), Vec::new());
    for slot in -191..=96_i64 {
        let end = day.start.plus_seconds(slot * LEN_S);
        let value = 100_000 + 1_000 * (slot * 37 % 91).abs();
        slots.push(DaySlot::arrived(end, value, code, RuleMask::EMPTY));
        total += value;
        if slot % 96 == 0 {
            registers.push(RegisterPoint { read_at: end, value: total, step: 1_000, usable: true });
        }
    }
    (slots, registers)
}

fn history(day: DayShape) -> Vec<DaySummary> {
    let ago = |days: i64| day.start.plus_seconds(-days * 86_400);
    (1..=HISTORY_DAYS)
        .rev()
        .map(|days| DaySummary {
            from: ago(days),
            to: ago(days - 1),
            total: 13_000_000 + days % 7 * 400_000,
            peak: 240_000,
            slots: 96,
            actual: 96,
            validated: true,
            ..DaySummary::default()
        })
        .collect()
}

fn meter() -> MeterAsset {
    MeterAsset {
        meter: MeterId::new(1),
        usage_point: UsagePointId::new(1),
        commodity: Commodity::Electricity,
        class: CustomerClass::Residential,
        zone: "UTC".to_owned(),
        tags: Vec::new(),
        battery_powered: false,
        account_active: true,
        primary_collector: None,
        installed_at: UtcTime::from_seconds(DAY_S - 1_000 * 86_400),
        contact_every_s: 900,
        flow_rated_lph: 0,
        detail: MeterDetail::default(),
        channels: vec![ChannelAsset {
            channel: ChannelNo::new(1),
            reading_type: ReadingType::ENERGY_IMPORT,
            kind: ChannelKind::Interval,
            len_s: 900,
            resolution: 1_000,
            cap_per_hour: 24_000_000,
            delivery_lag_s: 7_200,
        }],
    }
}
