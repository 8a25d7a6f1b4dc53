//! Estimation error on masked actuals: complete series of ordinary meters, stretches of which are
//! hidden and estimated.

use std::collections::BTreeSet;

use metering::{LocalCalendar, QualityStatus, SlotCode, Tag, UtcTime};
use serde::Serialize;
use simulators::{TrialKind, TrialSpec};
use vee::estimate::profiles::built_in;
use vee::estimate::report::{BacktestReport, ReportSeries};
use vee::estimate::{ChannelFacts, Series, Slot};

use super::rig;

/// Like days reach 35 days to both sides of a gap of 30.
const DAYS: u32 = 110;
const METERS: u32 = 60;

/// One line: errors in percent of the use that was hidden.
#[derive(Clone, Debug, Serialize)]
pub struct EstimationLine {
    pub commodity: String,
    pub gap: String,
    /// Between two registers: the sum is known.
    pub scaled: bool,
    pub method: String,
    pub tests: u32,
    pub bias_percent: f64,
    pub mape_percent: f64,
    pub p10_percent: f64,
    pub p90_percent: f64,
    /// Error of the sums by rate of a plain two-rate day.
    pub tou_percent: f64,
}

#[derive(Clone, Debug, Default, Serialize)]
pub struct EstimationScore {
    pub channels: u32,
    /// Scaled stretches that do not add up to the register to the last unit; must be 0.
    pub inexact_sums: u32,
    pub lines: Vec<EstimationLine>,
}

/// # Errors
/// The trial cannot be planned.
pub(super) fn measure(seed: u64, start: UtcTime, zone: &str) -> anyhow::Result<EstimationScore> {
    let spec = TrialSpec {
        seed,
        start,
        days: DAYS,
        zone: zone.to_owned(),
        kind: TrialKind::Natural { meters: METERS },
        delivery: 1_000,
        only: Vec::new(),
    };
    let meters = rig::series(spec)?;
    let mut report = BacktestReport::default();
    for (asset, slots) in &meters {
        let Some(channel) = asset.channels.first() else { continue };
        let facts = ChannelFacts {
            channel: *channel,
            commodity: asset.commodity,
            calendar: LocalCalendar::new(zone)?,
            holidays: BTreeSet::new(),
            net: asset.has_tag(Tag::NetMeter),
        };
        let valid = |slot: &super::table::Slot| Slot {
            end: slot.end,
            value: slot.value,
            code: SlotCode::new(QualityStatus::Validated, slot.code.flags()),
        };
        let series = Series::new(channel.len_s, slots.iter().map(valid).collect());
        let profile = built_in(asset.commodity, asset.class);
        report.add(&ReportSeries { facts: &facts, series: &series, profile: Some(&profile) });
    }
    let percent = |milli: i32| f64::from(milli) / 10.0;
    let lines = report.lines().into_iter().map(|line| EstimationLine {
        commodity: line.commodity.to_string(),
        gap: line.class.word().to_owned(),
        scaled: line.scaled,
        method: line.contender.name().to_owned(),
        tests: line.tests,
        bias_percent: percent(line.bias_milli),
        mape_percent: percent(line.mape_milli),
        p10_percent: percent(line.p10_milli),
        p90_percent: percent(line.p90_milli),
        tou_percent: percent(line.tou_milli),
    });
    Ok(EstimationScore {
        channels: report.channels,
        inexact_sums: report.inexact_sums,
        lines: lines.collect(),
    })
}
