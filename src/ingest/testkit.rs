//! Text in, text out: a registry and messages in a few words, a batch as lines.

use std::fmt::Write;

use bytes::Bytes;
use metering::{
    ChannelAsset, ChannelKind, ChannelNo, CollectorId, Commodity, CustomerClass, MeterAsset,
    MeterId, ReadingType, SourceId, Tag, UsagePointId, UtcTime,
};
use protocols::Format;
use store::Batch;
use store::assets::{Registry, RegistryChannel, RegistryCollector, RegistryMeter};

use super::core::{Accepted, Frame, IngestCore};
use super::routes::Route;

pub(super) fn at(time: &str) -> UtcTime {
    let text = if time.len() > 8 {
        time.to_owned()
    } else {
        format!("2026-11-21T{time}{}Z", if time.len() == 5 { ":00" } else { "" })
    };
    UtcTime::parse_rfc3339(&text).unwrap()
}

/// One meter: `source... ; tags ; field kind unit multiplier decimals modulus len cap ; ...`.
pub(super) fn meter(number: i32, text: &str) -> RegistryMeter {
    let mut parts = text.split(';').map(str::trim);
    let sources = parts.next().unwrap().split_whitespace().map(SourceId::parse).collect();
    let tags: Vec<Tag> =
        parts.next().unwrap().split_whitespace().map(|tag| tag.parse().unwrap()).collect();
    let channels: Vec<RegistryChannel> =
        (1..).zip(parts).map(|(no, text)| channel(no, text)).collect();
    let asset = MeterAsset {
        meter: MeterId::new(number),
        usage_point: UsagePointId::new(number),
        commodity: Commodity::Electricity,
        class: CustomerClass::Residential,
        zone: "Europe/Berlin".to_owned(),
        tags,
        battery_powered: false,
        account_active: true,
        primary_collector: None,
        installed_at: at("2026-01-01T00:00:00Z"),
        contact_every_s: 3600,
        flow_rated_lph: 0,
        detail: metering::MeterDetail::default(),
        channels: channels.iter().map(asset_of).collect(),
    };
    RegistryMeter { meter: asset.meter, number: format!("M-{number}"), sources, asset, channels }
}

fn channel(no: i16, text: &str) -> RegistryChannel {
    let words: Vec<&str> = text.split_whitespace().collect();
    let [field, kind, unit, multiplier, decimals, modulus, len_s, cap_per_hour] = words[..] else {
        panic!("a channel has 8 words: {text}");
    };
    let kind: ChannelKind = kind.parse().unwrap();
    let unit: metering::Unit = unit.parse().unwrap();
    let reading_type = match unit.base() {
        metering::Unit::WattHour => ReadingType::ENERGY_IMPORT,
        metering::Unit::Volt => "voltage".parse().unwrap(),
        _ => ReadingType::VOLUME,
    };
    RegistryChannel {
        channel: ChannelNo::new(no),
        field: field.to_owned(),
        reading_type,
        kind,
        unit,
        multiplier: multiplier.parse().unwrap(),
        decimals: decimals.parse().unwrap(),
        modulus: modulus.parse().unwrap(),
        len_s: len_s.parse().unwrap(),
        resolution: 1,
        cap_per_hour: cap_per_hour.parse().unwrap(),
        delivery_lag_s: 3600,
        valid_from: at("2026-01-01T00:00:00Z"),
        valid_to: UtcTime::MAX,
    }
}

fn asset_of(channel: &RegistryChannel) -> ChannelAsset {
    ChannelAsset {
        channel: channel.channel,
        reading_type: channel.reading_type,
        kind: channel.kind,
        len_s: channel.len_s,
        resolution: channel.resolution,
        cap_per_hour: channel.cap_per_hour,
        delivery_lag_s: channel.delivery_lag_s,
    }
}

/// Meters 1, 2, ... from their texts, and collector C-01.
pub(super) fn registry(meters: &[&str]) -> Registry {
    Registry {
        version: 1,
        meters: (1..).zip(meters).map(|(number, text)| meter(number, text)).collect(),
        zones: Vec::new(),
        collectors: vec![RegistryCollector {
            collector: CollectorId::new(1),
            code: "C-01".to_owned(),
            heartbeat_s: 300,
        }],
        states: Vec::new(),
    }
}

pub(super) fn core(data: &Registry) -> IngestCore {
    let route = |filter: &str, format, collector_level| Route {
        filter: filter.to_owned(),
        format,
        zone: None,
        collector_level,
        mapping: None,
        options: protocols::DecodeOptions::default(),
    };
    let routes = vec![
        route("ami/#", Format::Bundle, None),
        route("amr/+/rtlamr", Format::Rtlamr, Some(2)),
        route("amr/+/rtl_433", Format::Rtl433, Some(2)),
        route("wmbusmeters/#", Format::Wmbusmeters, None),
        route("$modbus/#", Format::ModbusPoll, None),
        route("application/#", Format::Chirpstack, None),
    ];
    IngestCore::new("test", super::Registry::new(data), routes)
}

pub(super) fn frame(topic: &str, payload: &str, received_at: &str) -> Frame {
    Frame {
        topic: topic.to_owned(),
        payload: Bytes::copy_from_slice(payload.as_bytes()),
        received_at: at(received_at),
        redelivered: false,
    }
}

/// An SCM telegram as rtlamr prints it.
pub(super) fn scm(id: u32, consumption: i64, time: &str) -> String {
    format!(
        r#"{{"Time":"{}","Offset":0,"Length":0,"Type":"SCM","Message":{{"ID":{id},"Type":12,"TamperPhy":0,"TamperEnc":0,"Consumption":{consumption},"ChecksumVal":1}}}}"#,
        at(time)
    )
}

pub(super) fn told(accepted: &Accepted) -> String {
    let mut text = batch_lines(&accepted.batch);
    if accepted.unmapped > 0 {
        let _ = writeln!(text, "unmapped {}", accepted.unmapped);
    }
    text
}

fn clock(instant: UtcTime) -> String {
    let text = instant.to_string();
    match text.strip_prefix("2026-11-21T") {
        Some(time) => time.trim_end_matches('Z').to_owned(),
        None => text,
    }
}

fn batch_lines(batch: &Batch) -> String {
    let mut text = String::new();
    for row in &batch.registers {
        let r = &row.reading.reading;
        let _ = writeln!(
            text,
            "register {}/{} {} raw {} value {} {:?} {:?}",
            r.meter,
            r.channel,
            clock(r.read_at),
            r.raw,
            r.value,
            row.reading.code,
            row.reading.failed
        );
    }
    for row in &batch.intervals {
        let r = &row.reading.reading;
        let _ = writeln!(
            text,
            "{} {}/{} to {} value {} {:?} {:?}",
            if row.derived { "derived" } else { "interval" },
            r.meter,
            r.channel,
            clock(r.interval.end()),
            r.value,
            row.reading.code,
            row.reading.failed
        );
    }
    for row in &batch.events {
        let event = &row.event;
        let _ = writeln!(
            text,
            "event {} {} {} {} seq {} number {} `{}`",
            event.subject.kind(),
            event.subject.number(),
            clock(event.occurred_at),
            event.code,
            event.seq,
            row.number,
            event.detail
        );
    }
    for row in &batch.heard {
        let via = row.collector.map_or("-".to_owned(), |collector| collector.to_string());
        let _ = writeln!(text, "heard {} via {via} {}", row.meter, clock(row.at));
    }
    for row in &batch.dead {
        let source = row.source_id.as_ref().map_or("-", |source| source.as_str());
        let _ = writeln!(text, "dead {} {source} reads {} {}", row.reason, row.reads, row.detail);
    }
    for row in &batch.unknown {
        let collector = row.collector.as_deref().unwrap_or("-");
        let _ = writeln!(text, "unknown {} {collector} {:?}", row.source_id, row.fields);
    }
    for row in &batch.raw {
        let meter = row.meter.map_or("-".to_owned(), |meter| meter.to_string());
        let _ = writeln!(text, "raw of {meter}");
    }
    if batch.folded > 0 {
        let _ = writeln!(text, "folded {}", batch.folded);
    }
    text
}
