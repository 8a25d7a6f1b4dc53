//! Fleet: is data coming in, is anything burning, what waits for me? Answered in five seconds.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::Uri;
use metering::UtcTime;
use serde::Deserialize;
use store::views::fleet::{self, FleetSummary, Identity, SeverityCounts, Waiting, ZoneRow};
use store::views::issues::{self as issue_views, IssueFilter};

use super::fleet_rate::rate_chart;
use super::issues::IssueLine;
use super::{Answer, html, query};
use crate::console::chart;
use crate::console::frame::{Choice, Frame, Level, QueryText, Section, segment};
use crate::console::measure;
use crate::console::refusal::Refusal;
use crate::console::state::ConsoleState;
use crate::console::words;

#[derive(Template)]
#[template(path = "fleet.html")]
struct FleetPage {
    frame: Frame,
    say: String,
    ranges: Vec<Choice>,
    tiles: Tiles,
    rate: RateCard,
    zones: ZoneRows,
    worst: WorstIssues,
    proof: Proof,
}

#[derive(Template)]
#[template(path = "fleet_tiles.html")]
struct Tiles {
    reporting: String,
    reporting_level: Option<Level>,
    reporting_sub: String,
    today: String,
    today_sub: String,
    behind: String,
    behind_unit: &'static str,
    behind_sub: String,
    issues: SeverityCounts,
    issues_sub: String,
    waiting: Waiting,
    /// Days and proposed estimates.
    /// Days to review, and proposals.
    review: (i64, i64),
}

#[derive(Template)]
#[template(path = "fleet_rate.html")]
struct RateCard {
    svg: String,
}

#[derive(Template)]
#[template(path = "fleet_zones.html")]
struct ZoneRows {
    rows: Vec<ZoneLine>,
}

struct ZoneLine {
    key: String,
    href: String,
    name: String,
    meters: String,
    reporting: String,
    usage: String,
    delta: String,
    issues: i64,
    worst: Option<Level>,
}

#[derive(Template)]
#[template(path = "fleet_worst.html")]
struct WorstIssues {
    rows: Vec<IssueLine>,
    empty: String,
}

#[derive(Template)]
#[template(path = "proof.html")]
struct Proof {
    balanced: bool,
    at: String,
    of: &'static str,
    offered: String,
    committed: String,
    duplicate: String,
    conflicting: String,
    dead: String,
}

#[derive(Deserialize, Default)]
struct FleetQuery {
    #[serde(default)]
    range: String,
}

/// Range of the rate chart: key, words, length and bucket in seconds.
const RANGES: [(&str, &str, i64, i64); 3] =
    [("3h", "3 h", 3 * 3_600, 60), ("24h", "24 h", 86_400, 300), ("7d", "7 d", 7 * 86_400, 1_800)];

/// `GET /`.
pub(in crate::console) async fn show(State(console): State<ConsoleState>, uri: Uri) -> Answer {
    let asked: FleetQuery = query(&uri)?;
    let parts = Parts::read(&console, &asked).await?;
    let chosen = QueryText::default().with("range", &asked.range);
    let frame = Frame::of(&console, Section::Fleet, "Fleet").await?;
    html(&FleetPage {
        frame: frame.live("fleet", chosen.as_str()),
        say: say(&parts.summary),
        ranges: ranges(&asked),
        tiles: parts.tiles,
        rate: parts.rate,
        zones: parts.zones,
        worst: parts.worst,
        proof: parts.proof,
    })
}

/// What moves on the page.
pub(super) async fn fragments(console: &ConsoleState, uri: &Uri) -> Result<Vec<String>, Refusal> {
    let parts = Parts::read(console, &query(uri)?).await?;
    Ok(vec![
        format!("<p class=\"say\" id=\"fleet-say\">{}</p>", say(&parts.summary)),
        parts.tiles.render()?,
        parts.rate.render()?,
        parts.zones.render()?,
        parts.worst.render()?,
        parts.proof.render()?,
    ])
}

struct Parts {
    summary: Arc<FleetSummary>,
    tiles: Tiles,
    rate: RateCard,
    zones: ZoneRows,
    worst: WorstIssues,
    proof: Proof,
}

impl Parts {
    async fn read(console: &ConsoleState, asked: &FleetQuery) -> Result<Self, Refusal> {
        let now = console.now();
        let (db, calendar) = (&console.db, &console.calendar);
        let range = RANGES.iter().find(|range| range.0 == asked.range).unwrap_or(&RANGES[1]);
        let to = UtcTime::from_seconds(now.floor_to(range.3).seconds() + range.3);
        let from = to.plus_seconds(-range.2);
        let open = IssueFilter::default();
        let (summary, zones, rate, worst) = futures_util::future::try_join4(
            console.fleet.summary(db),
            console.fleet.zones(db),
            fleet::readings_per_minute(db, from, to, range.3),
            issue_views::list(db, &open, None, 9, now),
        )
        .await?;
        let waiting = console.waiting.counts(console).await?;
        let rows = worst.items.iter().map(|row| IssueLine::of(row, now, console)).collect();
        let checked = words::clock(now, calendar.zone());
        Ok(Self {
            tiles: Tiles::of(&summary, (waiting.days, waiting.proposals)),
            rate: RateCard { svg: chart::draw(&rate_chart(console, &rate, (from, to))) },
            zones: ZoneRows { rows: zones.iter().map(ZoneLine::of).collect() },
            worst: WorstIssues {
                rows,
                empty: format!("No open issue. Checked {checked}; rules run on every reading."),
            },
            proof: Proof::of(&summary.today, &words::stamp(now, now, calendar.zone())),
            summary,
        })
    }
}

/// One sentence: what the fleet says right now.
fn say(summary: &FleetSummary) -> String {
    let silent = summary.meters - summary.reporting;
    let coming = match (summary.meters, silent) {
        (0, _) => {
            return "No meter is provisioned yet. See Commissioning for what is heard.".into();
        }
        (_, 0) => "Data is coming in from every meter.".to_owned(),
        (meters, silent) if silent == meters => "No meter reports at the moment.".to_owned(),
        (_, silent) => format!(
            "Data is coming in; {} not report.",
            words::count(silent, "meter does", "meters do")
        ),
    };
    let urgent = summary.issues.p1 + summary.issues.p2;
    let burning = match urgent {
        0 => "Nothing is urgent.".to_owned(),
        1 => "1 issue needs a person today.".to_owned(),
        many => format!("{many} issues need a person today."),
    };
    format!("{coming} {burning}")
}

fn ranges(asked: &FleetQuery) -> Vec<Choice> {
    let current = if asked.range.is_empty() { "24h" } else { asked.range.as_str() };
    let choice = |(key, word, ..): &(&str, &str, i64, i64)| Choice {
        href: QueryText::default().with("range", key).on("/"),
        word: (*word).to_owned(),
        count: None,
        current: *key == current,
    };
    RANGES.iter().map(choice).collect()
}

impl Tiles {
    fn of(summary: &FleetSummary, review: (i64, i64)) -> Self {
        let behind = summary.behind_s.map(words::duration).unwrap_or_default();
        let (behind, behind_unit) = split_unit(&behind);
        Self {
            reporting: words::percent(summary.reporting, summary.meters),
            reporting_level: reporting_level(summary.reporting, summary.meters),
            reporting_sub: format!(
                "{} of {} meters",
                words::thousands(summary.reporting),
                words::thousands(summary.meters)
            ),
            today: words::thousands(summary.due_today - summary.missing_today),
            today_sub: format!(
                "of {} due · {} missing",
                words::thousands(summary.due_today),
                words::thousands(summary.missing_today)
            ),
            behind,
            behind_unit,
            behind_sub: "newest, typical meter".to_owned(),
            issues: summary.issues,
            issues_sub: format!("{} not acknowledged", summary.waiting.unacknowledged),
            waiting: summary.waiting,
            review,
        }
    }
}

/// `3 min` as `("3", "min")`; two units stay together.
fn split_unit(duration: &str) -> (String, &'static str) {
    for unit in ["min", "s", "h", "d"] {
        if let Some(number) = duration.strip_suffix(unit).map(str::trim)
            && number.bytes().all(|b| b.is_ascii_digit())
            && !number.is_empty()
        {
            return (number.to_owned(), unit);
        }
    }
    let text = if duration.is_empty() { "–" } else { duration };
    (text.to_owned(), "")
}

/// Below 97 % somebody should look, below 90 % at once. `None`: all is well, stay grey.
fn reporting_level(part: i64, whole: i64) -> Option<Level> {
    match part * 100 {
        _ if whole == 0 => None,
        share if share < whole * 90 => Some(metering::Severity::P1.into()),
        share if share < whole * 97 => Some(metering::Severity::P2.into()),
        _ => None,
    }
}

impl ZoneLine {
    fn of(zone: &ZoneRow) -> Self {
        // The quantity that is furthest from its usual speaks for the zone.
        let shares = zone.usage.iter().filter_map(|usage| {
            let usual = usage.usual.filter(|usual| *usual > 0)?;
            let percent = (i128::from(usage.today) - i128::from(usual)) * 100 / i128::from(usual);
            Some((usage.reading_type, i64::try_from(percent).unwrap_or(i64::MAX)))
        });
        let furthest = shares.max_by_key(|(_, percent)| percent.unsigned_abs());
        let none = zone.code.is_empty();
        Self {
            key: if none { "none".to_owned() } else { zone.code.clone() },
            href: if none {
                "/meters".to_owned()
            } else {
                format!("/zones/{}", segment(&zone.code))
            },
            name: match (none, zone.name.is_empty()) {
                (true, _) => "without a zone".to_owned(),
                (_, true) => zone.code.clone(),
                _ => zone.name.clone(),
            },
            meters: words::thousands(zone.meters),
            reporting: words::percent(zone.reporting, zone.meters),
            usage: furthest.map_or_else(
                || "no history yet".to_owned(),
                |(what, percent)| {
                    format!("{} {}", measure::title(what).to_lowercase(), signed(percent))
                },
            ),
            delta: furthest.map(|(_, percent)| chart::delta(percent)).unwrap_or_default(),
            issues: zone.issues,
            worst: zone.worst.map(Level::from),
        }
    }
}

fn signed(percent: i64) -> String {
    match percent {
        0 => "0".to_owned(),
        p if p > 0 => format!("+{p}"),
        p => format!("−{}", p.unsigned_abs()),
    }
}

impl Proof {
    fn of(today: &Identity, at: &str) -> Self {
        Self {
            balanced: today.balanced(),
            at: at.to_owned(),
            of: "today",
            offered: words::thousands(today.offered),
            committed: words::thousands(today.committed),
            duplicate: words::thousands(today.duplicate),
            conflicting: words::thousands(today.conflicting),
            dead: words::thousands(today.dead),
        }
    }
}
