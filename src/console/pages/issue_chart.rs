//! The evidence of an issue as a chart: what was measured, and for a leak below it the quantity that
//! the rule compares, since a limit of a few litres cannot be seen on an axis of hundreds.

use askama::Template;
use metering::{ChannelKind, LocalCalendar, QualityStatus, ReadingType, UtcTime};
use store::views::issues::{Evidence, IssueDetail};
use store::views::meters::{ChannelInfo, MeterDetail};
use store::views::orders::{self, IssueFacts};
use store::views::series::Series;

use super::meter_chart::{self, Drawn};
use super::meter_range::Range;
use crate::console::causes;
use crate::console::chart::{
    self, Band, BandFill, ChartSpec, Limit, Mark, Point, QualityMark, Role, Shape, Spread,
};
use crate::console::frame::{QueryText, segment};
use crate::console::measure::{self, DisplayUnit};
use crate::console::refusal::Refusal;
use crate::console::state::ConsoleState;
use crate::console::words;

const DAY_S: i64 = 86_400;
const HOUR_S: i64 = 3_600;

/// The card with one panel or two.
#[derive(Template)]
#[template(path = "issue_chart.html")]
pub(super) struct EvidenceCard {
    heading: String,
    said: String,
    href: String,
    svg: String,
    lower_heading: String,
    lower: String,
}

/// The chart of the channel that the issue is about; `None` when the meter has none.
pub(super) async fn card(
    console: &ConsoleState,
    detail: &IssueDetail,
    meter: &MeterDetail,
) -> Result<Option<EvidenceCard>, Refusal> {
    let Some(channel) = channel_of(detail, meter) else { return Ok(None) };
    let range = range_of(console, detail, meter)?;
    let series = meter_chart::read(console, meter, channel, &range).await?;
    let lower = lower_panel(console, detail, channel, (&range, &series));
    let drawn = Drawn::new(series);
    let mut spec = meter_chart::spec(console, &drawn, &range, causes::title(&detail.row.cause));
    spec.id = "evidence".to_owned();
    spec.height = 168;
    spec.series = vec![chart::Series {
        shape: meter_chart::shape(channel),
        ink: 1,
        role: Role::Value,
        points: drawn.points(0),
    }];
    spec.empty = "No reading in this stretch.".to_owned();
    meter_chart::annotate_issue(&mut spec, channel, &detail.row);
    stretches(
        &mut spec,
        detail,
        &orders::facts(&console.db, detail.row.number, console.now()).await?,
    );
    if lower.is_some() {
        // The limit is drawn where the rule compares.
        spec.limits.clear();
    }
    let per = words::duration(i64::from(channel.len_s.max(1)));
    let goes_on = range.to.plus_seconds(DAY_S) < detail.row.closed_at.unwrap_or(console.now());
    let first = if goes_on { " · how it began; the meter's page shows the rest" } else { "" };
    let href = QueryText::default()
        .with("from", &range.from.to_string())
        .with("to", &range.to.to_string())
        .with("channel", &channel.channel.to_string())
        .on(&format!("/meters/{}", segment(&meter.number)));
    Ok(Some(EvidenceCard {
        heading: format!("{}, {}", measure::title(channel.reading_type), drawn.unit.symbol),
        said: if channel.len_s > 0 {
            format!("per {per} · {}{first}", range.zone_name)
        } else {
            format!("{}{first}", range.zone_name)
        },
        href,
        svg: chart::draw(&spec),
        lower_heading: lower.as_ref().map(|(heading, _)| heading.clone()).unwrap_or_default(),
        lower: lower.map(|(_, spec)| chart::draw(&spec)).unwrap_or_default(),
    }))
}

/// What the issue's own rule measured. Rules that join an issue later tell their own numbers, which
/// are not those that the chart compares.
pub(super) fn evidence_of(detail: &IssueDetail) -> &[Evidence] {
    let own = detail.alerts.iter().rev().find(|alert| {
        alert.rule_no.is_some() && alert.rule_no == detail.rule_no && !alert.evidence.is_empty()
    });
    own.map_or(&detail.row.evidence, |alert| &alert.evidence)
}

/// How long the condition lasts, and what was estimated because of it.
fn stretches(spec: &mut ChartSpec, detail: &IssueDetail, facts: &IssueFacts) {
    let row = &detail.row;
    let over = detail.date_fixed.or(row.cleared_at).unwrap_or(spec.to).min(spec.to);
    if row.condition_start < over {
        let label = if spec.bands.is_empty() { "the condition holds" } else { "" };
        spec.bands.insert(
            0,
            Band {
                from: row.condition_start,
                to: over,
                fill: BandFill::Window,
                label: label.to_owned(),
            },
        );
    }
    if let Some(from) = facts.estimation_started_at {
        let to = facts.estimation_ended_at.unwrap_or(spec.to);
        let label = "estimated because of it".to_owned();
        spec.bands.push(Band { from, to, fill: BandFill::Estimated, label });
    }
    if let Some(fixed) = detail.date_fixed {
        spec.marks.push(Mark { at: fixed, label: "good data again".to_owned() });
    }
}

fn channel_of<'a>(detail: &IssueDetail, meter: &'a MeterDetail) -> Option<&'a ChannelInfo> {
    let named = meter.channels.iter().find(|channel| Some(channel.channel) == detail.channel);
    named
        .or_else(|| meter.channels.iter().find(|channel| channel.kind != ChannelKind::Instant))
        .or_else(|| meter.channels.first())
}

/// From some days before it began to its end or now, at most a fortnight.
fn range_of(
    console: &ConsoleState,
    detail: &IssueDetail,
    meter: &MeterDetail,
) -> Result<Range, Refusal> {
    let row = &detail.row;
    let zone_name = meter
        .usage_point
        .as_ref()
        .map_or_else(|| console.settings.zone.clone(), |point| point.time_zone.clone());
    let calendar = LocalCalendar::new(&zone_name)
        .map_err(|error| Refusal::internal(words::sentence_case(&error.to_string())))?;
    let first = calendar.date_of(row.condition_start.plus_seconds(-3 * DAY_S));
    let from = calendar.day_start(first);
    let last = row.closed_at.unwrap_or(console.now()).min(console.now());
    let latest = row.detected_at.plus_seconds(DAY_S).min(console.now()).max(last);
    let to = latest.min(from.plus_seconds(14 * DAY_S)).max(row.detected_at);
    let to = UtcTime::from_seconds(to.floor_to(HOUR_S).seconds() + HOUR_S);
    Ok(Range { from, to, zone_name, calendar, fixed: true })
}

/// The quantity that the rule compares, when it is not what the upper panel shows.
fn lower_panel(
    console: &ConsoleState,
    detail: &IssueDetail,
    channel: &ChannelInfo,
    (range, series): (&Range, &Series),
) -> Option<(String, ChartSpec)> {
    if channel.kind == ChannelKind::Instant {
        return None;
    }
    match detail.row.cause.as_str() {
        "LEAK_CUSTOMER_SIDE" | "LEAK_INTERMITTENT" => {
            let spec = lowest_hour(console, detail, channel, (range, series))?;
            Some(("Lowest hour of the last 24 h, L/h".to_owned(), spec))
        }
        "HIGH_CONSUMPTION" | "LOW_CONSUMPTION" => {
            let spec = day_totals(console, detail, (range, series))?;
            Some((format!("Total of the day, {}", spec.unit.symbol), spec))
        }
        _ => None,
    }
}

/// Totals of whole local days beside the usual day that the rule compares with.
fn day_totals(
    console: &ConsoleState,
    detail: &IssueDetail,
    (range, series): (&Range, &Series),
) -> Option<ChartSpec> {
    if series.step_s > HOUR_S {
        return None;
    }
    let mut days: Vec<Point> = Vec::new();
    for bucket in series.buckets.iter().filter(|bucket| bucket.n > 0) {
        let day = range.calendar.day_containing(bucket.start);
        match days.last_mut().filter(|last| last.start == day.start) {
            Some(Point { value: Some(total), .. }) => {
                *total = Spread::of(total.mean.saturating_add(bucket.sum));
            }
            _ => days.push(Point {
                start: day.start,
                end: day.end,
                value: Some(Spread::of(bucket.sum)),
                mark: QualityMark::Plain,
                text: String::new(),
                note: String::new(),
            }),
        }
    }
    // The day that runs is not over: its total says nothing yet.
    days.retain(|day| day.end <= console.now());
    let usual = causes::fact(evidence_of(detail), "median");
    let most = days.iter().filter_map(|day| day.value.map(|value| value.max)).max();
    let drawn = Drawn::new(series.clone());
    let mut spec = meter_chart::spec(console, &drawn, range, "Total of the day".to_owned());
    spec.id = "evidence-rule".to_owned();
    spec.height = 76;
    spec.unit = DisplayUnit::choose(series.reading_type.base_unit(), most.unwrap_or(0));
    spec.cursor = false;
    spec.series =
        vec![chart::Series { shape: Shape::Step, ink: 1, role: Role::Value, points: days }];
    spec.empty = "No whole day in this stretch.".to_owned();
    if let Some(usual) = usual {
        let label = format!("usual {}", causes::said(usual));
        spec.limits.push(Limit { at: usual.value, to: None, severity: 3, label });
    }
    spec.marks.push(Mark { at: detail.row.detected_at, label: "found".to_owned() });
    Some(spec)
}

/// The rule's own quantity: for each hour the least hourly use of the 24 h before its end.
fn lowest_hour(
    console: &ConsoleState,
    detail: &IssueDetail,
    channel: &ChannelInfo,
    (range, series): (&Range, &Series),
) -> Option<ChartSpec> {
    let threshold = causes::fact(evidence_of(detail), "threshold");
    let hours = hourly(series)?;
    let points = rolling_least(&hours, channel.reading_type);
    let unit = DisplayUnit { symbol: "L/h", milli: 1_000 };
    let drawn = Drawn::new(series.clone());
    let mut spec = meter_chart::spec(console, &drawn, range, "Lowest hour of 24".to_owned());
    spec.id = "evidence-rule".to_owned();
    spec.height = 76;
    spec.unit = unit;
    spec.cursor = false;
    spec.series = vec![chart::Series { shape: Shape::Step, ink: 1, role: Role::Value, points }];
    spec.empty = "Less than 24 h of readings.".to_owned();
    if let Some(limit) = threshold.filter(|limit| limit.unit == "L/h" || limit.unit == "L") {
        let severity = u8::try_from(detail.row.severity.number()).unwrap_or(3);
        let label = format!("limit {}", causes::said(limit));
        spec.limits.push(Limit { at: limit.value, to: None, severity, label });
    }
    spec.marks.push(Mark { at: detail.row.detected_at, label: "found".to_owned() });
    Some(spec)
}

/// Use by hour (start, milli-units); an hour that lacks a value is `None`. `None` when the buckets
/// are longer than an hour.
fn hourly(series: &Series) -> Option<Vec<(UtcTime, Option<i64>)>> {
    if series.step_s > HOUR_S {
        return None;
    }
    let mut hours: Vec<(UtcTime, Option<i64>)> = Vec::new();
    for bucket in &series.buckets {
        let hour = bucket.start.floor_to(HOUR_S);
        let usable = bucket.n > 0
            && bucket.missing == 0
            && !matches!(bucket.status, QualityStatus::Suspect | QualityStatus::Rejected);
        let value = usable.then_some(bucket.sum);
        match hours.last_mut() {
            Some((at, sum)) if *at == hour => {
                *sum = sum.zip(value).map(|(a, b)| a.saturating_add(b));
            }
            _ => hours.push((hour, value)),
        }
    }
    Some(hours)
}

fn rolling_least(hours: &[(UtcTime, Option<i64>)], reading_type: ReadingType) -> Vec<Point> {
    let unit = DisplayUnit::choose(reading_type.base_unit(), 0);
    let point = |window: &[(UtcTime, Option<i64>)]| {
        let (start, _) = window[window.len() - 1];
        let least = window.iter().map(|(_, value)| *value).collect::<Option<Vec<i64>>>();
        let least = least.and_then(|values| values.into_iter().min());
        Point {
            start,
            end: start.plus_seconds(HOUR_S),
            value: least.map(Spread::of),
            mark: if least.is_some() { QualityMark::Plain } else { QualityMark::Pending },
            text: least.map(|least| unit.exact(least)).unwrap_or_default(),
            note: String::new(),
        }
    };
    hours.windows(24).map(point).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_hour_needs_24_hours_without_a_hole() {
        let hour = |n: i64, value| (UtcTime::from_seconds(n * HOUR_S), value);
        let mut hours: Vec<_> = (0..26).map(|n| hour(n, Some(1_000 * (n + 1)))).collect();
        let least = |hours: &[(UtcTime, Option<i64>)]| -> Vec<Option<i64>> {
            let points = rolling_least(hours, ReadingType::VOLUME);
            points.iter().map(|point| point.value.map(|value| value.mean)).collect()
        };
        assert_eq!(least(&hours), [Some(1_000), Some(2_000), Some(3_000)]);
        hours[1].1 = None;
        assert_eq!(least(&hours), [None, None, Some(3_000)]);
        assert!(least(&hours[..23]).is_empty());
    }
}
