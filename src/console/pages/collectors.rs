//! Collectors: are they alive, and do they hear their meters?

use askama::Template;
use axum::extract::{Path, State};
use jiff::civil::Date;
use metering::{Subject, UtcTime};
use store::views::activity;
use store::views::collectors::{self as views, CollectorDetail, CollectorRow, HearingDay};
use store::views::{hearing, issues};

use super::issues::IssueLine;
use super::meter_line::signal_word;
use super::{Answer, html};
use crate::console::causes;
use crate::console::chart::{self, ChartSpec, Point, QualityMark, Role, Series, Shape, Spread};
use crate::console::frame::{Frame, Level, Section, segment};
use crate::console::measure::DisplayUnit;
use crate::console::refusal::Refusal;
use crate::console::state::ConsoleState;
use crate::console::words;

#[derive(Template)]
#[template(path = "collectors.html")]
struct CollectorsPage {
    frame: Frame,
    say: String,
    rows: CollectorRows,
    routes: Vec<RouteLine>,
}

/// Meters that are read in one round.
struct RouteLine {
    code: String,
    href: String,
    name: String,
    meters: String,
    reporting: String,
    unread: String,
    unread_any: bool,
    collectors: String,
    newest: String,
    oldest: String,
}

#[derive(Template)]
#[template(path = "collector_rows.html")]
struct CollectorRows {
    rows: Vec<CollectorLine>,
}

struct CollectorLine {
    id: i32,
    code: String,
    href: String,
    name: String,
    zone: String,
    zone_href: String,
    meters: String,
    heard: String,
    heard_low: bool,
    heartbeat: String,
    heartbeat_late: bool,
    delivered: String,
    issue: Option<(i64, Level, String)>,
}

impl CollectorLine {
    fn of(row: &CollectorRow, now: UtcTime) -> Self {
        let ago = |at: Option<UtcTime>| {
            at.map_or_else(|| "never".to_owned(), |at| format!("{} ago", words::age(at, now)))
        };
        Self {
            id: row.collector.get(),
            code: row.code.clone(),
            href: format!("/collectors/{}", segment(&row.code)),
            name: row.name.clone(),
            zone: if row.zone_name.is_empty() {
                row.zone_code.clone()
            } else {
                row.zone_name.clone()
            },
            zone_href: if row.zone_code.is_empty() {
                String::new()
            } else {
                format!("/zones/{}", segment(&row.zone_code))
            },
            meters: words::thousands(row.meters),
            heard: words::percent(row.meters_reporting, row.meters),
            heard_low: row.meters > 0 && row.meters_reporting * 100 < row.meters * 90,
            heartbeat: if row.heartbeat_s == 0 {
                "sends none".to_owned()
            } else {
                ago(row.last_heartbeat)
            },
            heartbeat_late: heartbeat_late(row, now),
            delivered: ago(row.last_heard),
            issue: row
                .issue
                .as_ref()
                .map(|issue| (issue.number, issue.severity.into(), causes::title(&issue.cause))),
        }
    }
}

/// Three heartbeats in a row did not come.
fn heartbeat_late(row: &CollectorRow, now: UtcTime) -> bool {
    let late = |at: UtcTime| now.seconds_since(at) > 3 * i64::from(row.heartbeat_s);
    row.heartbeat_s > 0 && row.last_heartbeat.is_none_or(late)
}

/// `GET /collectors`.
pub(in crate::console) async fn show(State(console): State<ConsoleState>) -> Answer {
    let now = console.now();
    let (rows, routes) = futures_util::future::try_join(
        views::list(&console.db, now),
        hearing::routes(&console.db, now),
    )
    .await?;
    let frame = Frame::of(&console, Section::Collectors, "Collectors").await?;
    html(&CollectorsPage {
        frame: frame.live("collectors", ""),
        say: say(&rows, now),
        rows: CollectorRows { rows: rows.iter().map(|row| CollectorLine::of(row, now)).collect() },
        routes: routes.iter().map(|row| route_line(row, now)).collect(),
    })
}

fn route_line(row: &hearing::RouteRow, now: UtcTime) -> RouteLine {
    let ago = |at: Option<UtcTime>| {
        at.map_or_else(|| "never".to_owned(), |at| format!("{} ago", words::age(at, now)))
    };
    RouteLine {
        code: row.code.clone(),
        href: format!("/meters?route={}", segment(&row.code)),
        name: row.name.clone(),
        meters: words::thousands(row.meters),
        reporting: words::percent(row.reporting, row.meters),
        unread: words::thousands(row.unread_35d),
        unread_any: row.unread_35d > 0,
        collectors: words::thousands(row.collectors_7d),
        newest: ago(row.newest),
        oldest: if row.meters == 0 { "–".to_owned() } else { ago(row.oldest) },
    }
}

/// What moves on the list.
pub(super) async fn fragments(console: &ConsoleState) -> Result<Vec<String>, Refusal> {
    let now = console.now();
    let rows = views::list(&console.db, now).await?;
    let lines = rows.iter().map(|row| CollectorLine::of(row, now)).collect();
    Ok(vec![CollectorRows { rows: lines }.render()?])
}

fn say(rows: &[CollectorRow], now: UtcTime) -> String {
    let late: Vec<&str> =
        rows.iter().filter(|row| heartbeat_late(row, now)).map(|row| row.code.as_str()).collect();
    match (rows.len(), late.len()) {
        (0, _) => "No collector is known: every meter sends by itself.".to_owned(),
        (_, 0) => "Every collector with a heartbeat is alive.".to_owned(),
        (_, 1) => format!("{} has missed three heartbeats.", late[0]),
        (_, n) => format!("{n} collectors have missed three heartbeats: {}.", late.join(", ")),
    }
}

#[derive(Template)]
#[template(path = "collector.html")]
struct CollectorPage {
    frame: Frame,
    code: String,
    name: String,
    head: CollectorHead,
    chart: String,
    meters: Vec<HeardLine>,
    issues: Vec<IssueLine>,
    events: Vec<(String, String, String)>,
}

#[derive(Template)]
#[template(path = "collector_head.html")]
struct CollectorHead {
    level: Option<Level>,
    say: String,
    zone: String,
    zone_href: String,
    facts: Vec<(&'static str, String)>,
}

struct HeardLine {
    number: String,
    href: String,
    address: String,
    primary: bool,
    heard: String,
    signal: String,
    here: String,
    last: String,
}

/// `GET /collectors/{code}`.
pub(in crate::console) async fn detail(
    State(console): State<ConsoleState>,
    Path(code): Path<String>,
) -> Answer {
    let now = console.now();
    let found = read(&console, &code).await?;
    let subject = Subject::Collector(found.row.collector);
    let (issues, events) = futures_util::future::try_join(
        issues::of_subject(&console.db, subject),
        activity::events(&console.db, subject, None, 20),
    )
    .await?;
    let frame = Frame::of(&console, Section::Collectors, format!("Collector {code}")).await?;
    let zone = console.calendar.zone();
    html(&CollectorPage {
        frame: frame.live("collector", &format!("key={}", segment(&code))),
        head: CollectorHead::of(&found, now, &console),
        chart: hearing_chart(&console, &found.days, now),
        meters: found.meters.iter().map(|meter| heard_line(meter, now)).collect(),
        issues: issues.iter().map(|row| IssueLine::of(row, now, &console)).collect(),
        events: events
            .items
            .iter()
            .map(|event| {
                let at = words::stamp(event.occurred_at, now, zone);
                (at, causes::event(&event.code_text), event.detail.clone())
            })
            .collect(),
        code: found.row.code,
        name: found.row.name,
    })
}

/// What moves on the page of one collector.
pub(super) async fn detail_fragments(
    console: &ConsoleState,
    code: &str,
) -> Result<Vec<String>, Refusal> {
    let found = read(console, code).await?;
    Ok(vec![CollectorHead::of(&found, console.now(), console).render()?])
}

async fn read(console: &ConsoleState, code: &str) -> Result<CollectorDetail, Refusal> {
    let found = views::by_code(&console.db, code, console.now()).await?;
    found.ok_or_else(|| {
        Refusal::not_found(format!("No collector is called “{}”.", words::shortened(code, 60)))
    })
}

impl CollectorHead {
    fn of(found: &CollectorDetail, now: UtcTime, console: &ConsoleState) -> Self {
        let row = &found.row;
        let zone = console.calendar.zone();
        let line = CollectorLine::of(row, now);
        let alive = match (row.heartbeat_s, line.heartbeat_late) {
            (0, _) => format!("It sends no heartbeat; it last delivered {}.", line.delivered),
            (_, true) => {
                let every = words::duration(i64::from(row.heartbeat_s));
                format!("Its last heartbeat was {} (expected every {every}).", line.heartbeat)
            }
            (_, false) => format!("Alive; its last heartbeat was {}.", line.heartbeat),
        };
        let hearing = match row.meters {
            0 => "No meter has it as its collector.".to_owned(),
            meters => format!("{} of its {meters} meters report.", row.meters_reporting),
        };
        let facts = vec![
            (
                "Heartbeat every",
                match row.heartbeat_s {
                    0 => String::new(),
                    every => words::duration(i64::from(every)),
                },
            ),
            ("Last heartbeat", line.heartbeat),
            ("Last delivered", line.delivered),
            ("Meters heard today (UTC)", words::thousands(row.heard_today)),
            ("Installed", words::day(row.installed_at, zone)),
        ];
        Self {
            level: row.issue.as_ref().map(|issue| issue.severity.into()),
            say: format!("{alive} {hearing}"),
            zone: line.zone,
            zone_href: line.zone_href,
            facts: facts.into_iter().filter(|(_, value)| !value.is_empty()).collect(),
        }
    }
}

fn heard_line(meter: &views::HeardMeter, now: UtcTime) -> HeardLine {
    HeardLine {
        number: meter.number.clone(),
        href: format!("/meters/{}", segment(&meter.number)),
        address: meter.address.clone(),
        primary: meter.primary,
        heard: words::thousands(meter.heard_7d),
        signal: signal_word(meter.rssi_dbm),
        here: meter
            .last_here
            .map_or_else(|| "–".to_owned(), |at| format!("{} ago", words::age(at, now))),
        last: meter
            .last_heard
            .map_or_else(|| "never".to_owned(), |at| format!("{} ago", words::age(at, now))),
    }
}

/// Different meters heard by UTC day.
fn hearing_chart(console: &ConsoleState, days: &[HearingDay], now: UtcTime) -> String {
    let unit = DisplayUnit { symbol: "meters", milli: 1_000 };
    let start = |day: Date| {
        let zoned = day.to_zoned(jiff::tz::TimeZone::UTC);
        zoned.map_or(UtcTime::MIN, |zoned| UtcTime::from_jiff(zoned.timestamp()))
    };
    let point = |day: &HearingDay| Point {
        start: start(day.day),
        end: start(day.day).plus_seconds(86_400),
        value: Some(Spread::of(day.meters.saturating_mul(1_000))),
        mark: QualityMark::Plain,
        text: words::count(day.meters, "meter", "meters"),
        note: words::count(day.telegrams, "telegram", "telegrams"),
    };
    let points: Vec<Point> = days.iter().map(point).collect();
    let to = now.floor_to(86_400).plus_seconds(86_400);
    let from = points.first().map_or(to.plus_seconds(-7 * 86_400), |point| point.start);
    chart::draw(&ChartSpec {
        id: "hearing".to_owned(),
        label: "Different meters heard through this collector by UTC day".to_owned(),
        height: 110,
        from: from.min(to.plus_seconds(-7 * 86_400)),
        to,
        now: Some(now),
        zone: jiff::tz::TimeZone::UTC,
        zone_name: "UTC".to_owned(),
        unit,
        from_zero: true,
        top: None,
        series: vec![Series { shape: Shape::Step, ink: 1, role: Role::Value, points }],
        bands: Vec::new(),
        limits: Vec::new(),
        marks: Vec::new(),
        flags: Vec::new(),
        empty: format!(
            "It has heard no meter yet. Checked {}.",
            words::clock(now, console.calendar.zone())
        ),
        cursor: true,
        whole: false,
    })
}
