//! The chart of a channel: buckets of the store as points, with what is known beside them.

use askama::Template;
use futures_util::future::try_join3;
use metering::{ChannelKind, QualityStatus, Subject, UtcTime};
use store::views::issues::IssueRow;
use store::views::meters::{ChannelInfo, MeterDetail};
use store::views::series::{self, Bucket, Series, SeriesQuery};
use store::views::{activity, issues};

use super::meter_range::{MeterQuery, Range};
use crate::console::causes;
use crate::console::chart::{
    self, Band, BandFill, ChartSpec, Flag, Limit, Mark, Point, QualityMark, Role, Shape, Spread,
};
use crate::console::measure::{self, DisplayUnit};
use crate::console::refusal::Refusal;
use crate::console::state::ConsoleState;
use crate::console::words;

/// At most one bucket per 2 px of a chart on a desk.
const BUCKETS: u32 = 520;

/// The card's moving part: the drawing and what is said of it.
#[derive(Template)]
#[template(path = "meter_chart.html")]
pub(super) struct ChartCard {
    pub(super) heading: String,
    pub(super) resolution: String,
    svg: String,
    id: &'static str,
    totals: Vec<String>,
    /// What the second line is; empty without one.
    compared: &'static str,
}

/// A series with everything that is drawn around it.
pub(super) struct Drawn {
    pub(super) series: Series,
    pub(super) unit: DisplayUnit,
    digits: usize,
    per: String,
}

impl Drawn {
    pub(super) fn new(series: Series) -> Self {
        let values = || {
            let full = series.buckets.iter().filter(|bucket| bucket.n > 0);
            full.flat_map(|bucket| [bucket.min, bucket.max])
        };
        let usual = series.buckets.iter().filter(|bucket| bucket.n > 0).map(|bucket| bucket.max);
        let unit = DisplayUnit::choose(series.reading_type.base_unit(), usual.max().unwrap_or(0));
        let digits = unit.digits(values());
        let per = if series.kind == ChannelKind::Instant {
            String::new()
        } else {
            format!(" per {}", interval_words(series.len_s))
        };
        Self { series, unit, digits, per }
    }

    /// `0.17 kWh`; of several intervals the mean, the extremes and the total.
    fn text(&self, bucket: &Bucket) -> String {
        let fixed = |value| self.unit.fixed(value, self.digits);
        if bucket.n <= 1 || bucket.min == bucket.max {
            return format!("{} {}", fixed(bucket.max), self.unit.symbol);
        }
        format!(
            "mean {} {} ({} to {})",
            self.unit.fixed(bucket.mean, self.digits.max(1)),
            self.unit.symbol,
            fixed(bucket.min),
            fixed(bucket.max)
        )
    }

    fn note(&self, bucket: &Bucket) -> String {
        let mut notes = Vec::new();
        if bucket.n > 0 && mark(bucket) == QualityMark::Plain {
            notes.push(bucket.status.word().to_owned());
        }
        if bucket.n > 1 && self.series.kind != ChannelKind::Instant {
            let total = DisplayUnit::choose(self.series.reading_type.base_unit(), bucket.sum);
            notes.push(format!("total {}", total.exact(bucket.sum)));
        }
        if bucket.version > 1 || (bucket.version == 1 && bucket.n == 1 && self.series.len_s > 0) {
            notes.push(format!("version {}", bucket.version));
        }
        if bucket.suspect > 0 && bucket.suspect < bucket.n {
            notes.push(format!("{} of {} suspect", bucket.suspect, bucket.n));
        }
        if bucket.missing > 0 && bucket.n > 0 {
            notes.push(format!("{} of {} missing", bucket.missing, bucket.expected));
        }
        let slots = self.slots(bucket);
        if bucket.n > 0 && i64::from(bucket.n + bucket.missing) < slots {
            notes.push(format!("only {} of {slots} intervals", bucket.n));
        }
        notes.extend(bucket.flags.words().into_iter().map(str::to_owned));
        notes.join(", ")
    }

    /// Intervals that a bucket has room for: the last one of a range may hold fewer yet.
    fn slots(&self, bucket: &Bucket) -> i64 {
        match i64::from(self.series.len_s) {
            len_s if len_s > 0 && self.series.kind != ChannelKind::Instant => {
                bucket.end.seconds_since(bucket.start) / len_s
            }
            _ => 0,
        }
    }

    pub(super) fn points(&self, shift_s: i64) -> Vec<Point> {
        let point = |bucket: &Bucket| Point {
            start: bucket.start.plus_seconds(shift_s),
            end: bucket.end.plus_seconds(shift_s),
            value: (bucket.n > 0).then_some(Spread {
                mean: bucket.mean,
                min: bucket.min,
                max: bucket.max,
            }),
            mark: mark(bucket),
            text: if bucket.n > 0 { self.text(bucket) } else { String::new() },
            note: self.note(bucket),
        };
        self.series.buckets.iter().map(point).collect()
    }

    /// What the usable and the doubtful values of the range come to.
    fn totals(&self) -> Vec<String> {
        if self.series.kind == ChannelKind::Instant {
            return Vec::new();
        }
        let exact = |value| measure::quantity(self.series.reading_type, value);
        let mut totals = vec![format!("in this range {} usable", exact(self.series.total_usable))];
        if self.series.total_suspect != 0 {
            totals.push(format!("{} suspect", exact(self.series.total_suspect)));
        }
        if self.series.missing > 0 {
            totals.push(words::count(self.series.missing, "interval missing", "intervals missing"));
        }
        totals
    }
}

fn mark(bucket: &Bucket) -> QualityMark {
    if bucket.n == 0 {
        return if bucket.missing > 0 { QualityMark::Missing } else { QualityMark::Pending };
    }
    match bucket.status {
        QualityStatus::Suspect | QualityStatus::Rejected => QualityMark::Suspect,
        QualityStatus::Estimated | QualityStatus::OutageZero => QualityMark::Estimated,
        QualityStatus::Edited => QualityMark::Edited,
        _ => QualityMark::Plain,
    }
}

/// `15 min`, `hour`, `day`.
fn interval_words(len_s: i32) -> String {
    match len_s {
        3_600 => "hour".to_owned(),
        86_400 => "day".to_owned(),
        other => words::duration(i64::from(other)),
    }
}

/// The chart of the page of a meter.
pub(super) async fn card(
    console: &ConsoleState,
    meter: &MeterDetail,
    channel: &ChannelInfo,
    (asked, range): (&MeterQuery, &Range),
) -> Result<ChartCard, Refusal> {
    let now = console.now();
    let db = &console.db;
    let subject = Subject::Meter(meter.meter);
    let (series, events, issues) = try_join3(
        read(console, meter, channel, range),
        async { Ok(activity::events_between(db, subject, range.from, range.to).await?) },
        async { Ok(issues::of_subject(db, subject).await?) },
    )
    .await?;
    let drawn = Drawn::new(series);
    let mut lines = vec![chart::Series {
        shape: shape(channel),
        ink: 1,
        role: Role::Value,
        points: drawn.points(0),
    }];
    lines.extend(compared(console, meter, channel, (asked, range)).await?);
    let flags = events.iter().take(60).map(|event| Flag {
        at: event.occurred_at,
        title: format!(
            "{} {} {}",
            words::stamp(event.occurred_at, now, range.calendar.zone()),
            causes::event(&event.code_text),
            event.detail
        ),
    });
    let mut spec = spec(console, &drawn, range, format!("{}, {}", meter.number, channel.field));
    spec.flags = flags.collect();
    spec.series = lines;
    spec.empty = empty_words(meter, now, range);
    annotate(&mut spec, channel, &issues);
    let resolution = if drawn.series.full_resolution {
        "every interval".to_owned()
    } else {
        format!("{} buckets: mean, and least to most", words::duration(drawn.series.step_s))
    };
    Ok(ChartCard {
        heading: format!(
            "{}, {}{}",
            measure::title(channel.reading_type),
            drawn.unit.symbol,
            drawn.per
        ),
        resolution,
        svg: chart::draw(&spec),
        id: "meter-chart",
        totals: drawn.totals(),
        compared: match asked.compare.as_str() {
            "week" => "a week before",
            "year" => "52 weeks before",
            _ => "",
        },
    })
}

/// The series of a range. A channel that vanished meanwhile is told.
pub(super) async fn read(
    console: &ConsoleState,
    meter: &MeterDetail,
    channel: &ChannelInfo,
    range: &Range,
) -> Result<Series, Refusal> {
    let query = SeriesQuery {
        meter: meter.meter,
        channel: channel.channel,
        from: range.from,
        to: range.to,
        max_buckets: BUCKETS,
    };
    let read = series::series(&console.db, &query, &range.calendar, console.now()).await?;
    read.ok_or_else(|| Refusal::not_found("This channel of the meter does not exist any more."))
}

/// The same stretch a week or a year (52 weeks, so that weekdays agree) before, as second line.
async fn compared(
    console: &ConsoleState,
    meter: &MeterDetail,
    channel: &ChannelInfo,
    (asked, range): (&MeterQuery, &Range),
) -> Result<Option<chart::Series>, Refusal> {
    let shift_s = match asked.compare.as_str() {
        "week" => 7 * 86_400,
        "year" => 364 * 86_400,
        _ => return Ok(None),
    };
    let before = Range {
        from: range.from.plus_seconds(-shift_s),
        to: range.to.plus_seconds(-shift_s),
        ..range.clone()
    };
    let drawn = Drawn::new(read(console, meter, channel, &before).await?);
    // Its mean only: two envelopes over each other hide both.
    let mut points = drawn.points(shift_s);
    for point in &mut points {
        point.value = point.value.map(|value| Spread::of(value.mean));
        if point.mark != QualityMark::Missing {
            point.mark = QualityMark::Plain;
        }
    }
    Ok(Some(chart::Series { shape: shape(channel), ink: 2, role: Role::Value, points }))
}

pub(super) fn shape(channel: &ChannelInfo) -> Shape {
    if channel.kind == ChannelKind::Instant { Shape::Line } else { Shape::Step }
}

/// The chart without what stands around the line.
pub(super) fn spec(
    console: &ConsoleState,
    drawn: &Drawn,
    range: &Range,
    label: String,
) -> ChartSpec {
    ChartSpec {
        id: "meter-svg".to_owned(),
        label: format!(
            "{label} from {} to {}",
            words::instant(range.from, range.calendar.zone()),
            words::instant(range.to, range.calendar.zone())
        ),
        height: 204,
        from: range.from,
        to: range.to,
        now: Some(console.now()),
        zone: range.calendar.zone().clone(),
        zone_name: range.zone_name.clone(),
        unit: drawn.unit,
        from_zero: drawn.series.kind != ChannelKind::Instant,
        top: None,
        series: Vec::new(),
        bands: Vec::new(),
        limits: Vec::new(),
        marks: Vec::new(),
        flags: Vec::new(),
        empty: String::new(),
        cursor: true,
        whole: false,
    }
}

/// Limits, windows and firing instants of the meter's open issues, and the meter's own cap.
fn annotate(spec: &mut ChartSpec, channel: &ChannelInfo, issues: &[IssueRow]) {
    let open = issues.iter().filter(|issue| !causes::is_closed(&issue.state)).take(3);
    for issue in open {
        annotate_issue(spec, channel, issue);
    }
    // Only where it is near: far above all readings it says nothing.
    let most = spec.series.iter().flat_map(|series| &series.points).filter_map(|p| p.value);
    let most = most.map(|value| value.max).max().unwrap_or(0);
    if channel.cap_per_hour > 0 && channel.len_s > 0 {
        let at = per_interval(channel.cap_per_hour, channel.len_s);
        let label = format!("most it can pass: {}", spec.unit.exact(at));
        if at <= most.saturating_mul(3) {
            spec.limits.push(Limit { at, to: None, severity: 3, label });
        }
    }
}

/// What the rule compared, where and when it fired.
pub(super) fn annotate_issue(spec: &mut ChartSpec, channel: &ChannelInfo, issue: &IssueRow) {
    let facts = &issue.evidence;
    let severity = u8::try_from(issue.severity.number()).unwrap_or(3);
    if let Some(limit) = causes::fact(facts, "threshold")
        && let Some(at) = in_chart_units(limit.value, &limit.unit, channel)
    {
        let label = format!("limit {}", causes::said(limit));
        spec.limits.push(Limit { at, to: None, severity, label });
    }
    let from = causes::instant(facts, "window_from").unwrap_or(issue.condition_start);
    let to = causes::instant(facts, "window_to").unwrap_or(issue.detected_at);
    if from < to && to > spec.from && from < spec.to {
        spec.bands.push(Band { from, to, fill: BandFill::Window, label: String::new() });
    }
    let label = causes::title(&issue.cause).to_lowercase();
    spec.marks.push(Mark { at: issue.detected_at, label });
}

/// A limit in milli-units of the chart: rates per hour become an interval's share.
pub(super) fn in_chart_units(value: i64, unit: &str, channel: &ChannelInfo) -> Option<i64> {
    let base = channel.reading_type.base_unit().symbol();
    let instant = channel.kind == ChannelKind::Instant;
    match unit {
        "L/h" | "W" if !instant && channel.len_s > 0 => Some(per_interval(value, channel.len_s)),
        same if same == base => Some(value),
        _ => None,
    }
}

fn per_interval(per_hour: i64, len_s: i32) -> i64 {
    let share = i128::from(per_hour) * i128::from(len_s) / 3_600;
    i64::try_from(share).unwrap_or(i64::MAX)
}

/// Why the frame is empty, and when the next value is expected.
fn empty_words(meter: &MeterDetail, now: UtcTime, range: &Range) -> String {
    let zone = range.calendar.zone();
    match meter.last_interval_end {
        _ if range.from > now => "This range lies in the future.".to_owned(),
        None => "No reading has arrived from this channel yet.".to_owned(),
        Some(last) if last <= range.from => {
            let next = meter.last_heard.unwrap_or(last);
            let next = next.plus_seconds(i64::from(meter.contact_every_s));
            format!(
                "No reading since {}; the next was expected {}.",
                words::stamp(last, now, zone),
                words::stamp(next, now, zone)
            )
        }
        Some(_) => "No reading in this range.".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use metering::{ChannelNo, DeviceFlags, MeterId, ReadingType};

    fn bucket(n: i32, (min, mean, max): (i64, i64, i64), status: QualityStatus) -> Bucket {
        Bucket {
            start: UtcTime::from_seconds(0),
            end: UtcTime::from_seconds(900),
            min,
            mean,
            max,
            sum: mean * i64::from(n),
            n,
            expected: n.max(1),
            missing: i32::from(n == 0),
            suspect: if status == QualityStatus::Suspect { n } else { 0 },
            status,
            flags: DeviceFlags::NONE,
            version: i16::from(n > 0),
        }
    }

    fn drawn(bucket: Bucket) -> Drawn {
        Drawn::new(Series {
            meter: MeterId::new(1),
            channel: ChannelNo::new(1),
            reading_type: ReadingType::ENERGY_IMPORT,
            kind: ChannelKind::Interval,
            len_s: 900,
            from: UtcTime::from_seconds(0),
            to: UtcTime::from_seconds(900),
            step_s: 900,
            full_resolution: true,
            buckets: vec![bucket],
            total_usable: 0,
            total_suspect: 0,
            missing: 0,
        })
    }

    fn check(bucket: Bucket, want: &str) {
        let points = drawn(bucket).points(0);
        let point = &points[0];
        assert_eq!(format!("{:?} | {} | {}", point.mark, point.text, point.note), want);
    }

    #[test]
    fn the_read_out_says_what_the_database_holds() {
        use QualityStatus as Q;
        check(
            bucket(1, (170_125, 170_125, 170_125), Q::Raw),
            "Plain | 170.125 Wh | raw, version 1",
        );
        check(
            bucket(4, (0, 1_250_000, 3_000_000), Q::Validated),
            "Plain | mean 1.3 kWh (0 to 3) | validated, total 5 kWh",
        );
        check(bucket(1, (5_000, 5_000, 5_000), Q::Suspect), "Suspect | 5 Wh | version 1");
        check(bucket(0, (0, 0, 0), Q::Missing), "Missing |  | ");
        // Half an hour of which the second interval is not due yet.
        let half_hour = |n, missing| Bucket {
            end: UtcTime::from_seconds(1_800),
            expected: n + missing,
            missing,
            ..bucket(n, (120_000, 120_000, 120_000), Q::Raw)
        };
        check(half_hour(1, 0), "Plain | 120 Wh | raw, version 1, only 1 of 2 intervals");
        check(half_hour(1, 1), "Plain | 120 Wh | raw, version 1, 1 of 2 missing");
        check(half_hour(2, 0), "Plain | 120 Wh | raw, total 240 Wh");
    }
}
