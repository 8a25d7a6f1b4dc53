//! The fleet of `headend bench rules`: what makes every family of rules work, as an ordinary
//! network
//! would: routes with heartbeats, transformers and districts with their own meters, addresses, one
//! message in fifty lost or late, one value in 500 that failed a check, findings of day closes.

use metering::{
    ChannelAsset, ChannelKind, ChannelNo, CollectorAsset, CollectorId, Commodity, CustomerClass,
    DeviceFlags, EventCode, Finding, LogRecord, MeterAsset, MeterDetail, MeterId, MeterRole,
    Outcome, QualityStatus, ReadingType, RuleMask, RuleNo, SlotCode, Subject, TransformerId,
    UsagePointId, UtcTime, ZoneAsset, ZoneId, ZoneKind,
};

pub(super) const LEN_S: i64 = 900;
pub(super) const DAY_S: i64 = 86_400;
/// 2026-03-02 00:00 UTC, a Monday.
pub(super) const START_S: i64 = 1_772_409_600;
const CHANNEL: ChannelNo = ChannelNo::new(1);
const COLLECTOR_METERS: u32 = 200;
const TRANSFORMER_METERS: u32 = 40;
const ZONE_METERS: u32 = 1_000;
/// Two hours of slots are lost or late together.
const BURST_SLOTS: i64 = 8;
const LOST_ONE_IN: u64 = 50;
/// Late slots come after so many others.
pub(super) const LATE_SLOTS: i64 = 96;

/// How a slot of a meter comes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Way {
    InTime,
    Late,
    Lost,
}

pub(super) const fn commodity(number: u32) -> Commodity {
    match number % 10 {
        0..=4 => Commodity::Electricity,
        5..=7 => Commodity::Water,
        _ => Commodity::Gas,
    }
}

/// Of collectors, transformers and zones, numbered from 1.
fn group(number: u32, size: u32) -> i32 {
    i32::try_from((number - 1) / size + 1).unwrap_or(i32::MAX)
}

pub(super) fn meter_id(number: u32) -> MeterId {
    MeterId::new(i32::try_from(number).unwrap_or(i32::MAX))
}

/// Everything that is not a meter.
pub(super) fn network(channels: u32) -> Vec<LogRecord> {
    let zones = (1..=group(channels, ZONE_METERS)).map(|zone| {
        LogRecord::Zone(ZoneAsset {
            zone: ZoneId::new(zone),
            kind: ZoneKind::Dma,
            mains_m: 9_000,
            connections: 300,
            private_pipe_m: 3_000,
            head_mm: 45_000,
        })
    });
    let collectors = (1..=group(channels, COLLECTOR_METERS)).map(|collector| {
        let heartbeat_s = i32::try_from(LEN_S).unwrap_or(0);
        LogRecord::Collector(CollectorAsset { collector: CollectorId::new(collector), heartbeat_s })
    });
    zones.chain(collectors).collect()
}

pub(super) fn asset(number: u32) -> MeterAsset {
    let id = i32::try_from(number).unwrap_or(i32::MAX);
    let commodity = commodity(number);
    let electric = commodity == Commodity::Electricity;
    // The first meter of each kind of a group measures the group.
    let role = match commodity {
        Commodity::Electricity if number % TRANSFORMER_METERS == 1 => MeterRole::TransformerSupply,
        Commodity::Water if number % ZONE_METERS == 5 => MeterRole::ZoneInlet,
        Commodity::Water if number % ZONE_METERS == 6 => MeterRole::Sewer,
        _ => MeterRole::Customer,
    };
    MeterAsset {
        meter: meter_id(number),
        usage_point: UsagePointId::new(id),
        commodity,
        class: CustomerClass::Residential,
        zone: "UTC".to_owned(),
        tags: Vec::new(),
        battery_powered: !electric,
        account_active: true,
        primary_collector: Some(CollectorId::new(group(number, COLLECTOR_METERS))),
        installed_at: UtcTime::from_seconds(START_S - 1_000 * DAY_S),
        contact_every_s: 900,
        flow_rated_lph: if electric { 0 } else { 2_500 },
        detail: MeterDetail {
            role,
            network_zone: Some(ZoneId::new(group(number, ZONE_METERS))),
            transformer: electric.then(|| TransformerId::new(group(number, TRANSFORMER_METERS))),
            premises: id / 2 + 1,
            ..MeterDetail::default()
        },
        channels: vec![ChannelAsset {
            channel: CHANNEL,
            reading_type: if electric { ReadingType::ENERGY_IMPORT } else { ReadingType::VOLUME },
            kind: ChannelKind::Interval,
            len_s: 900,
            resolution: 1_000,
            cap_per_hour: 0,
            delivery_lag_s: 7_200,
        }],
    }
}

pub(super) fn way(number: u32, slot: i64) -> Way {
    let lot = mix(u64::from(number) << 32 | (slot / BURST_SLOTS).cast_unsigned());
    match lot % (2 * LOST_ONE_IN) {
        0 => Way::Lost,
        1 => Way::Late,
        _ => Way::InTime,
    }
}

/// A household: little at night, a morning and an evening peak, with noise from the numbers alone.
pub(super) fn reading(number: u32, slot: i64) -> LogRecord {
    let end = START_S + slot * LEN_S;
    let hour = slot * LEN_S % DAY_S / 3_600;
    let noise = mix(u64::from(number) << 32 | slot.cast_unsigned());
    let level = match hour {
        0..=4 => 1,
        6..=8 | 18..=21 => 6,
        _ => 3,
    };
    let value = match commodity(number) {
        Commodity::Electricity => 50_000 * level + 1_000 * i64::from((noise & 63) as u8),
        // Water and gas flow in some of the slots only, hardly at night.
        _ if noise % 10 < level.cast_unsigned() && hour > 4 => {
            1_000 * i64::from((noise >> 8 & 15) as u8)
        }
        _ => 0,
    };
    let failed = if (noise >> 20).is_multiple_of(500) {
        RuleMask::from_bits(1 << 2)
    } else {
        RuleMask::EMPTY
    };
    LogRecord::Interval {
        meter: meter_id(number),
        channel: CHANNEL,
        end: UtcTime::from_seconds(end),
        len_s: 900,
        value,
        code: SlotCode::new(QualityStatus::Raw, DeviceFlags::NONE),
        failed,
    }
}

pub(super) fn heard(number: u32) -> LogRecord {
    LogRecord::Heard {
        meter: meter_id(number),
        collector: Some(CollectorId::new(group(number, COLLECTOR_METERS))),
        rssi_dbm: Some(-80 - i16::try_from(number % 20).unwrap_or(0)),
    }
}

pub(super) fn heartbeats(channels: u32, at: i64) -> Vec<LogRecord> {
    (1..=group(channels, COLLECTOR_METERS))
        .map(|collector| LogRecord::Event {
            subject: Subject::Collector(CollectorId::new(collector)),
            occurred_at: UtcTime::from_seconds(at),
            code: EventCode::Heartbeat,
            detail: 0,
        })
        .collect()
}

/// What the close of the day that ended at `end` says: one channel in a hundred does not add up,
/// and
/// does so again the day after.
pub(super) fn findings(channels: u32, end: i64) -> Vec<LogRecord> {
    let day = end / DAY_S;
    let of = |number: u32| mix(u64::from(number) << 20 | day.cast_unsigned()) % 100;
    let sums = RuleNo::new(12);
    (1..=channels)
        .filter(|number| of(*number) < 2)
        .filter_map(|number| {
            Some(LogRecord::Finding(Finding {
                meter: meter_id(number),
                channel: Some(CHANNEL),
                rule: sums?,
                outcome: if of(number) == 0 { Outcome::Fail } else { Outcome::Pass },
                from: UtcTime::from_seconds(end - DAY_S),
                to: UtcTime::from_seconds(end),
                kind: 0,
                detail: 0,
            }))
        })
        .collect()
}

const fn mix(seed: u64) -> u64 {
    let mut x = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    x ^= x >> 31;
    x = x.wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x ^ x >> 29
}
