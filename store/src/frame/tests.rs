use metering::{
    BatteryAsset, ChannelAsset, ChannelKind, ChannelNo, Chemistry, CollectorAsset, CollectorId,
    Commodity, CustomerClass, EventCode, Finding, MeterAsset, MeterDetail, MeterId, MeterRole,
    Outcome, ReadingType, RuleBundle, RuleMask, RuleNo, SlotCode, Subject, Tag, TransformerId,
    UsagePointId, WorkOrder, WorkOrderKind, WorkOrderStatus, ZoneAsset, ZoneId, ZoneKind,
};
use proptest::prelude::*;

use super::*;

fn slot_code() -> impl Strategy<Value = SlotCode> {
    any::<i16>().prop_filter_map("no status", SlotCode::from_i16)
}

fn instant() -> impl Strategy<Value = UtcTime> {
    prop_oneof![any::<i64>().prop_map(UtcTime::from_micros), seconds()]
}

fn seconds() -> impl Strategy<Value = UtcTime> {
    (0_i64..4_000_000).prop_map(|quarter| UtcTime::from_seconds(quarter * 900))
}

fn subject() -> impl Strategy<Value = Subject> {
    prop_oneof![
        Just(Subject::Headend),
        any::<i32>().prop_map(|n| Subject::Meter(MeterId::new(n))),
        any::<i32>().prop_map(|n| Subject::Collector(CollectorId::new(n))),
        any::<i32>().prop_map(|n| Subject::Transformer(TransformerId::new(n))),
        any::<i32>().prop_map(|n| Subject::Zone(ZoneId::new(n))),
    ]
}

fn meter_asset() -> impl Strategy<Value = MeterAsset> {
    (any::<i32>(), any::<(i16, i64, i32)>(), any::<(bool, bool)>(), instant(), "\\PC{0,20}")
        .prop_map(|(number, (channel, resolution, len_s), flags, installed_at, zone)| MeterAsset {
            meter: MeterId::new(number),
            usage_point: UsagePointId::new(number),
            commodity: Commodity::Water,
            class: CustomerClass::MultiDwelling,
            zone,
            tags: if flags.0 { vec![Tag::Hospital, Tag::Pv] } else { Vec::new() },
            battery_powered: flags.0,
            account_active: flags.1,
            primary_collector: flags.1.then(|| CollectorId::new(number)),
            installed_at,
            contact_every_s: len_s,
            flow_rated_lph: number,
            detail: detail(number, flags.0, installed_at),
            channels: vec![
                ChannelAsset {
                    channel: ChannelNo::new(channel),
                    reading_type: ReadingType::VOLUME,
                    kind: ChannelKind::Register,
                    len_s,
                    resolution,
                    cap_per_hour: resolution,
                    delivery_lag_s: len_s,
                };
                usize::from(channel > 0)
            ],
        })
}

fn detail(number: i32, known: bool, installed_at: UtcTime) -> MeterDetail {
    if !known {
        return MeterDetail::default();
    }
    MeterDetail {
        role: MeterRole::ZoneInlet,
        network_zone: Some(ZoneId::new(number)),
        transformer: Some(TransformerId::new(number)),
        cohort: "maker model 1.2".into(),
        serial: number.to_string(),
        premises: number,
        street: number,
        battery: Some(BatteryAsset {
            chemistry: Chemistry::LithiumThionyl,
            installed_at,
            design_life_d: number,
            capacity_mah: number,
        }),
        dwelling_units: number,
        contract_demand_mw: i64::from(number),
        phases: 3,
    }
}

fn rare_record() -> impl Strategy<Value = LogRecord> {
    prop_oneof![
        (any::<i32>(), any::<Option<i16>>(), 1..=67_u8, 0..4_u8, instant(), any::<(u8, i64)>())
            .prop_map(|(meter, channel, rule, outcome, from, (kind, detail))| {
                LogRecord::Finding(Finding {
                    meter: MeterId::new(meter),
                    channel: channel.map(ChannelNo::new),
                    rule: RuleNo::new(rule).unwrap(),
                    outcome: Outcome::from_number(outcome).unwrap(),
                    from,
                    to: from,
                    kind,
                    detail,
                })
            }),
        (any::<i64>(), subject(), instant()).prop_map(|(number, subject, at)| {
            LogRecord::WorkOrder(WorkOrder {
                number,
                subject,
                kind: WorkOrderKind::Exchange,
                status: WorkOrderStatus::Completed,
                at,
            })
        }),
        any::<(i32, i32)>().prop_map(|(zone, mains_m)| LogRecord::Zone(ZoneAsset {
            zone: ZoneId::new(zone),
            kind: ZoneKind::Dma,
            mains_m,
            connections: mains_m,
            private_pipe_m: 0,
            head_mm: zone,
        })),
        "\\PC{0,3000}".prop_map(|text| {
            LogRecord::Rules(Box::new(RuleBundle { version: "2026-11-22.1".into(), text }))
        }),
    ]
}

fn record() -> impl Strategy<Value = LogRecord> {
    let ids = (any::<i32>(), any::<i16>());
    prop_oneof![
        (ids, instant(), any::<(i32, i64, u64)>(), slot_code()).prop_map(
            |((meter, channel), end, (len_s, value, failed), code)| LogRecord::Interval {
                meter: MeterId::new(meter),
                channel: ChannelNo::new(channel),
                end,
                len_s,
                value,
                code,
                failed: RuleMask::from_bits(failed),
            }
        ),
        (ids, instant(), any::<(i64, u64)>(), slot_code()).prop_map(
            |((meter, channel), read_at, (value, failed), code)| LogRecord::Register {
                meter: MeterId::new(meter),
                channel: ChannelNo::new(channel),
                read_at,
                value,
                code,
                failed: RuleMask::from_bits(failed),
            }
        ),
        (subject(), instant(), 0..EventCode::ALL.len(), any::<i32>()).prop_map(
            |(subject, occurred_at, code, detail)| LogRecord::Event {
                subject,
                occurred_at,
                code: EventCode::ALL[code],
                detail,
            }
        ),
        (any::<i32>(), any::<Option<i32>>(), any::<Option<i16>>()).prop_map(
            |(meter, collector, rssi_dbm)| LogRecord::Heard {
                meter: MeterId::new(meter),
                collector: collector.map(CollectorId::new),
                rssi_dbm,
            }
        ),
        Just(LogRecord::Tick),
        rare_record(),
        meter_asset().prop_map(|asset| LogRecord::Meter(Box::new(asset))),
        (any::<i32>(), any::<i32>()).prop_map(|(number, heartbeat_s)| {
            LogRecord::Collector(CollectorAsset {
                collector: CollectorId::new(number),
                heartbeat_s,
            })
        }),
    ]
}

proptest! {
    #[test]
    fn every_record_is_read_back(
        log_time in instant(),
        records in proptest::collection::vec(record(), 0..60),
    ) {
        let bytes = encode(log_time, &records);
        prop_assert_eq!(decode(&bytes), Ok((log_time, records)));
    }

    #[test]
    fn arbitrary_bytes_are_refused_without_panic(
        mut bytes in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        prop_assert!(decode(&bytes).is_err());
        // With a right check sum the reader itself is reached.
        if let Some(first) = bytes.first_mut() {
            *first = 1;
        }
        let crc = crc32c::crc32c(&bytes);
        bytes.extend_from_slice(&crc.to_le_bytes());
        let _ = decode(&bytes);
    }

    #[test]
    fn a_cut_or_flipped_frame_is_refused(
        records in proptest::collection::vec(record(), 1..10),
        at in any::<proptest::sample::Index>(),
        bit in 0_u8..8,
    ) {
        let bytes = encode(UtcTime::from_seconds(1), &records);
        let at = at.index(bytes.len());
        prop_assert!(decode(&bytes[..at]).is_err());
        let mut flipped = bytes;
        flipped[at] ^= 1 << bit;
        prop_assert!(decode(&flipped).is_err());
    }
}

#[test]
fn an_interval_costs_at_most_12_bytes() {
    let records: Vec<_> = (0..RECORDS_MAX as i64)
        .map(|i| LogRecord::Interval {
            meter: MeterId::new(i32::try_from(1_000 + i / 4).unwrap()),
            channel: ChannelNo::new(1),
            end: UtcTime::from_seconds(1_800_000_000 + i % 4 * 900),
            len_s: 900,
            value: (i * 7_919 % 3_001) * 1_000,
            code: SlotCode::from_i16(1).unwrap(),
            failed: RuleMask::EMPTY,
        })
        .collect();
    let bytes = encode(UtcTime::from_seconds(1_800_000_000), &records);
    assert!(bytes.len() <= 12 * records.len(), "{} bytes", bytes.len());
    assert_eq!(decode(&bytes).unwrap().1, records);
}

#[test]
fn an_unknown_format_is_named() {
    let mut bytes = encode(UtcTime::from_seconds(0), &[LogRecord::Tick]);
    bytes[0] = 9;
    assert_eq!(decode(&bytes), Err(FrameError::Format(9)));
}
