//! Goldens and properties of the engine. Text in, text out: an asset line, a series of slots, and
//! the transitions that follow.

mod backflow;
mod catalogue;
mod collectors;
mod communication;
mod consumption;
mod devices;
mod flows;
mod guards;
mod issues;
mod network;
mod properties;
mod rebuild;
mod rules;
mod size;
mod streaming;
mod vectors;
mod verdicts;

use std::fmt::Write;

use expect_test::Expect;
use metering::{
    ChannelAsset, ChannelKind, ChannelNo, CollectorAsset, CollectorId, Commodity, CustomerClass,
    DeviceFlags, EventCode, LogRecord, LoggedFrame, MeterAsset, MeterId, QualityStatus,
    ReadingType, RuleMask, SlotCode, Subject, TransformerId, UsagePointId, UtcTime, ZoneId,
};

use crate::{AlertTransition, Engine, Params};

pub(crate) const CHANNEL: ChannelNo = ChannelNo::new(1);

/// `11-02 06:00` of 2026, UTC.
pub(crate) fn at(text: &str) -> UtcTime {
    let (date, time) = text.trim().split_once(' ').unwrap_or((text.trim(), "00:00"));
    UtcTime::parse_rfc3339(&format!("2026-{date}T{time}:00Z")).unwrap()
}

fn short(at: UtcTime) -> String {
    at.to_string().get(5..16).unwrap().replace('T', " ")
}

/// `90s`, `15min`, `26h`, `3d` in seconds.
fn span(text: &str) -> i64 {
    let split = text.find(|c: char| c.is_alphabetic()).unwrap();
    let (number, unit) = text.split_at(split);
    let unit_s = match unit {
        "s" => 1,
        "min" => 60,
        "h" => 3_600,
        "d" => 86_400,
        other => panic!("unit {other}"),
    };
    number.parse::<i64>().unwrap() * unit_s
}

/// `water 15min contact=15min q3=2500 tags=hospital,fire class=residential battery via=1 lag=2h
/// zone=UTC id=1 step=1 vacated`.
pub(crate) fn meter(text: &str) -> MeterAsset {
    let mut words = text.split_whitespace();
    let commodity: Commodity = words.next().unwrap().parse().unwrap();
    let len_s = i32::try_from(span(words.next().unwrap())).unwrap();
    let reading_type = match commodity {
        Commodity::Electricity => ReadingType::ENERGY_IMPORT,
        _ => ReadingType::VOLUME,
    };
    let mut channel = ChannelAsset {
        channel: CHANNEL,
        reading_type,
        kind: ChannelKind::Interval,
        len_s,
        resolution: 1,
        cap_per_hour: 0,
        delivery_lag_s: 7_200,
    };
    let mut asset = MeterAsset {
        meter: MeterId::new(1),
        usage_point: UsagePointId::new(1),
        commodity,
        class: CustomerClass::Residential,
        zone: "UTC".to_owned(),
        tags: Vec::new(),
        battery_powered: false,
        account_active: true,
        primary_collector: None,
        installed_at: at("01-01"),
        contact_every_s: len_s,
        flow_rated_lph: 0,
        detail: metering::MeterDetail::default(),
        channels: Vec::new(),
    };
    for word in words {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        match key {
            "contact" => asset.contact_every_s = i32::try_from(span(value)).unwrap(),
            "q3" => asset.flow_rated_lph = value.parse().unwrap(),
            "tags" => asset.tags = value.split(',').map(|tag| tag.parse().unwrap()).collect(),
            "class" => asset.class = value.parse().unwrap(),
            "battery" => asset.battery_powered = true,
            "via" => asset.primary_collector = Some(CollectorId::new(value.parse().unwrap())),
            "lag" => channel.delivery_lag_s = i32::try_from(span(value)).unwrap(),
            "zone" => value.clone_into(&mut asset.zone),
            "id" => asset.meter = MeterId::new(value.parse().unwrap()),
            "step" => channel.resolution = value.parse::<i64>().unwrap() * 1_000,
            "vacated" => asset.account_active = false,
            "node" => {
                asset.detail.transformer = Some(TransformerId::new(value.parse().unwrap()));
            }
            "area" => asset.detail.network_zone = Some(ZoneId::new(value.parse().unwrap())),
            "role" => asset.detail.role = value.parse().unwrap(),
            "cohort" => value.clone_into(&mut asset.detail.cohort),
            "street" => asset.detail.street = value.parse().unwrap(),
            "premises" => asset.detail.premises = value.parse().unwrap(),
            other => panic!("word {other}"),
        }
    }
    asset.channels.push(channel);
    asset
}

/// A log in the making.
#[derive(Clone, Default)]
pub(crate) struct Log {
    pub(crate) frames: Vec<LoggedFrame>,
}

impl Log {
    pub(crate) fn push(&mut self, log_time: UtcTime, records: Vec<LogRecord>) {
        let first_seq = self
            .frames
            .last()
            .map_or(1, |frame| frame.first_seq + i64::try_from(frame.records.len()).unwrap());
        self.frames.push(LoggedFrame { shard: 0, first_seq, log_time, records });
    }

    pub(crate) fn run(&self) -> Vec<AlertTransition> {
        let mut engine = Engine::new(Params::default());
        let mut out = Vec::new();
        for frame in &self.frames {
            engine.apply(frame, &mut out);
        }
        out
    }

    pub(crate) fn text(&self) -> String {
        text(&self.run())
    }
}

/// One line per transition. `record`: not annunciated.
pub(crate) fn text(transitions: &[AlertTransition]) -> String {
    let mut lines = String::new();
    for t in transitions {
        let subject = match t.subject {
            Subject::Headend => "head-end".to_owned(),
            other => format!("{} {}", other.kind(), other.number()),
        };
        let mark = if t.annunciate { "" } else { " record" };
        let parent =
            t.parent.map_or(String::new(), |p| format!(" under {} {}", p.kind(), p.number()));
        let until = t.condition_end.map_or(String::new(), |end| format!(" until {}", short(end)));
        writeln!(
            lines,
            "{} {} {} {subject} {} {} since {}{until}{mark}{parent}",
            short(t.at),
            t.kind,
            t.rule,
            t.cause,
            t.severity,
            short(t.condition_start),
        )
        .unwrap();
    }
    lines
}

pub(crate) fn interval(asset: &MeterAsset, end: UtcTime, value: i64, status: &str) -> LogRecord {
    let (status, failed) = match status {
        "?" => (QualityStatus::Suspect, RuleMask::from_bits(1 << 11)),
        "e" => (QualityStatus::Estimated, RuleMask::EMPTY),
        _ => (QualityStatus::Raw, RuleMask::EMPTY),
    };
    LogRecord::Interval {
        meter: asset.meter,
        channel: CHANNEL,
        end,
        len_s: asset.channels[0].len_s,
        value,
        code: SlotCode::new(status, DeviceFlags::NONE),
        failed,
    }
}

pub(crate) fn heard(asset: &MeterAsset, via: Option<i32>) -> LogRecord {
    LogRecord::Heard {
        meter: asset.meter,
        collector: via.map(CollectorId::new),
        rssi_dbm: Some(-80),
    }
}

pub(crate) fn event(subject: Subject, occurred_at: UtcTime, code: EventCode) -> LogRecord {
    LogRecord::Event { subject, occurred_at, code, detail: 0 }
}

pub(crate) fn collector(id: i32, heartbeat: &str) -> LogRecord {
    LogRecord::Collector(CollectorAsset {
        collector: CollectorId::new(id),
        heartbeat_s: i32::try_from(span(heartbeat)).unwrap(),
    })
}

/// A series: `11-02 00:00 +24h 5,0 | 11-03 00:00 +2h 7?` fills the slots of each part with its
/// values (in Wh or L) over and over; `?` suspect, `e` estimated, `-` nothing. Each slot is committed two
/// minutes after its end, with a tick.
pub(crate) fn fill(log: &mut Log, asset: &MeterAsset, series: &str) {
    let len_s = i64::from(asset.channels[0].len_s);
    for part in series.split('|') {
        let mut words = part.split_whitespace();
        let (date, time) = (words.next().unwrap(), words.next().unwrap());
        let length = span(words.next().unwrap().trim_start_matches('+'));
        let values: Vec<&str> = words.next().unwrap().split(',').collect();
        let start = at(&format!("{date} {time}"));
        for slot in 0..length / len_s {
            let end = start.plus_seconds((slot + 1) * len_s);
            let word = values[usize::try_from(slot).unwrap() % values.len()];
            let number = word.trim_end_matches(['?', 'e']);
            let mut records = Vec::new();
            if word != "-" {
                let milli = number.parse::<i64>().unwrap() * 1_000;
                records.push(heard(asset, None));
                records.push(interval(asset, end, milli, word.trim_start_matches(number)));
            }
            // As live: time passes in small steps.
            for before in (1..len_s / 600).rev() {
                let now = end.plus_seconds(120 - before * 600);
                log.push(now, vec![LogRecord::Tick]);
            }
            records.push(LogRecord::Tick);
            log.push(end.plus_seconds(120), records);
        }
    }
}

/// The transitions of one meter with one series.
pub(crate) fn check(asset_text: &str, series: &str, expected: &Expect) {
    let asset = meter(asset_text);
    let mut log = Log::default();
    let first = series.split_whitespace().next().unwrap();
    log.push(at(first), vec![LogRecord::Meter(Box::new(asset.clone()))]);
    fill(&mut log, &asset, series);
    expected.assert_eq(&log.text());
}

impl Log {
    /// Orders frames by log time and numbers them anew.
    pub(crate) fn sort_by_log_time(&mut self) {
        self.frames.sort_by_key(|frame| frame.log_time);
        let mut seq = 1;
        for frame in &mut self.frames {
            frame.first_seq = seq;
            seq += i64::try_from(frame.records.len()).unwrap();
        }
    }
}
