//! One line of the list of meters.

use metering::{QualityStatus, UtcTime};
use store::views::meters::{Battery, MeterRow, MeterStatus, SparkDay};

use crate::console::causes;
use crate::console::chart;
use crate::console::frame::{Level, QualityWord, segment};
use crate::console::measure;
use crate::console::state::ConsoleState;
use crate::console::words;

/// One meter in the list, in words.
#[derive(Clone, Debug)]
pub(super) struct MeterLine {
    pub(super) id: i32,
    pub(super) number: String,
    pub(super) href: String,
    pub(super) commodity: &'static str,
    pub(super) address: String,
    pub(super) account: String,
    pub(super) zone: String,
    pub(super) route: String,
    pub(super) collector: String,
    pub(super) class: String,
    pub(super) last: String,
    pub(super) last_quality: Option<QualityWord>,
    pub(super) age: String,
    pub(super) age_title: String,
    pub(super) silent: bool,
    pub(super) quality: String,
    pub(super) quality_low: bool,
    pub(super) spark: String,
    pub(super) battery: &'static str,
    pub(super) battery_low: bool,
    pub(super) signal: String,
    pub(super) issue: Option<(i64, Level, String)>,
    pub(super) more_issues: i64,
}

impl MeterLine {
    pub(super) fn of(row: &MeterRow, now: UtcTime, console: &ConsoleState) -> Self {
        let plain = |status| {
            matches!(
                status,
                QualityStatus::Raw | QualityStatus::Validated | QualityStatus::Verified
            )
        };
        let end = row.last.map(|last| last.end).or(row.last_heard);
        // A day that is not over, or lacks readings, would look like a fall.
        let most = row.spark.iter().map(|day| day.n).max().unwrap_or(0);
        let whole = |day: &SparkDay| (day.n > 0 && day.n * 10 >= most * 9).then_some(day.total);
        let days: Vec<Option<i64>> = row.spark.iter().map(whole).collect();
        Self {
            id: row.meter.get(),
            number: row.number.clone(),
            href: format!("/meters/{}", segment(&row.number)),
            commodity: row.commodity.word(),
            address: row.address.clone(),
            account: row.account.clone(),
            zone: if row.zone_name.is_empty() {
                row.zone_code.clone()
            } else {
                row.zone_name.clone()
            },
            route: row.route_code.clone(),
            collector: row.collector.clone().unwrap_or_default(),
            class: row.class.map(|class| class.word().replace('_', " ")).unwrap_or_default(),
            last: row.last.map_or_else(
                || "–".to_owned(),
                |last| measure::quantity(last.reading_type, last.value),
            ),
            last_quality: row
                .last
                .filter(|last| !plain(last.status))
                .map(|last| QualityWord::from(last.status)),
            age: end.map_or_else(|| "never".to_owned(), |end| words::age(end, now)),
            age_title: end
                .map(|end| words::instant(end, console.calendar.zone()))
                .unwrap_or_default(),
            silent: row.status != MeterStatus::Reporting,
            quality: row.quality_24h.map_or_else(|| "–".to_owned(), |share| share.to_string()),
            quality_low: row.quality_24h.is_some_and(|share| share < 90),
            spark: chart::spark(&days),
            battery: battery_word(row.battery),
            battery_low: row.battery == Battery::Low,
            signal: signal_word(row.rssi_dbm),
            issue: row
                .issue
                .as_ref()
                .map(|issue| (issue.number, issue.severity.into(), causes::title(&issue.cause))),
            more_issues: (row.open_issues - 1).max(0),
        }
    }
}

pub(super) const fn battery_word(battery: Battery) -> &'static str {
    match battery {
        Battery::Mains => "mains",
        Battery::Good => "good",
        Battery::Low => "low",
    }
}

/// Received power in words, with the number.
pub(super) fn signal_word(rssi_dbm: Option<i16>) -> String {
    let Some(dbm) = rssi_dbm else { return "–".to_owned() };
    let word = match dbm {
        -85.. => "good",
        -98..=-86 => "fair",
        _ => "weak",
    };
    format!("{word}, −{} dBm", dbm.unsigned_abs())
}
