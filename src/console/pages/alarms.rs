//! Alarms: is the staff told too much, what is silenced, and what was announced last. Targets are
//! those of ISA-18.2 as the specification has them.

use std::collections::{BTreeMap, BTreeSet};

use askama::Template;
use axum::extract::{Form, State};
use axum::response::{IntoResponse, Redirect};
use metering::{RuleNo, Subject, UtcTime};
use serde::Deserialize;
use store::views::alarms::{
    self as views, AnnunciationRow, BadActor, KpiRow, OpenBySeverity, ShelfRow,
};
use store::views::{meters, names};

use super::issues::subject_page;
use super::readings::ACTOR;
use super::{Answer, alarm_words, html};
use crate::console::chart::{
    self, ChartSpec, Limit, Point, QualityMark, Role, Series, Shape, Spread,
};
use crate::console::frame::{Frame, Level, Section};
use crate::console::measure::DisplayUnit;
use crate::console::refusal::Refusal;
use crate::console::rule_words;
use crate::console::state::ConsoleState;
use crate::console::words;

const TEN_MIN_S: i64 = 600;
const DAY_S: i64 = 86_400;
/// More than this in ten minutes is a flood.
const FLOOD_FROM: i64 = 10;
const ACTORS: u32 = 10;
/// With fewer announcements in a week every share is large and says nothing.
const ACTORS_FROM: i64 = 200;

#[derive(Template)]
#[template(path = "alarms.html")]
struct AlarmsPage {
    frame: Frame,
    say: String,
    tiles: Tiles,
    svg: String,
    shelves: Vec<ShelfLine>,
    rules: Vec<(u8, String)>,
    actors: Vec<ActorLine>,
    announced: Vec<AnnouncedLine>,
}

#[derive(Template)]
#[template(path = "alarm_tiles.html")]
struct Tiles {
    tiles: Vec<Tile>,
}

struct ActorLine {
    name: String,
    /// Its page; empty for a group.
    href: String,
    rule: &'static str,
    announced: String,
    share: String,
}

struct Tile {
    label: &'static str,
    value: String,
    unit: &'static str,
    target: String,
    over: bool,
}

struct ShelfLine {
    id: i64,
    what: String,
    until: String,
    reason: String,
    actor: String,
}

struct AnnouncedLine {
    level: Level,
    text: String,
    kind: String,
    rule: &'static str,
    at: String,
    issue: Option<i64>,
}

/// What the tiles are made from.
struct Facts {
    week: Vec<KpiRow>,
    open: OpenBySeverity,
    actors: Vec<BadActor>,
}

impl Facts {
    async fn read(console: &ConsoleState, now: UtcTime) -> Result<Self, Refusal> {
        let range = (now.plus_seconds(-7 * DAY_S), now);
        let (week, open, actors) = futures_util::future::try_join3(
            views::kpis(&console.db, range),
            views::open_by_severity(&console.db, now),
            views::bad_actors(&console.db, range, ACTORS),
        )
        .await?;
        Ok(Self { week, open, actors })
    }

    /// Announced since an instant.
    fn since(&self, from: UtcTime) -> i64 {
        let rows = self.week.iter().filter(|row| row.at > from);
        rows.map(|row| i64::from(row.annunciated)).sum()
    }

    fn tiles(&self, now: UtcTime) -> Tiles {
        let hour = self.since(now.plus_seconds(-6 * TEN_MIN_S));
        let day = self.since(now.plus_seconds(-DAY_S));
        let windows = i64::try_from(self.week.len()).unwrap_or(0);
        let floods = i64::try_from(self.week.iter().filter(|row| row.flood).count()).unwrap_or(0);
        let last = self.week.last();
        let chattering = last.map_or(0, |row| row.chattering);
        let week = self.since(now.plus_seconds(-7 * DAY_S));
        let share = last.map_or(0, |row| row.bad_actor_permille);
        let tile = |label, value, unit, target: &str, over| Tile {
            label,
            value,
            unit,
            target: target.to_owned(),
            over,
        };
        Tiles {
            tiles: vec![
                tile(
                    "Announced, last hour",
                    tenths(hour * 10 / 6),
                    "per 10 min",
                    "target 1, at most 2",
                    hour > 12,
                ),
                tile("Announced, 24 h", words::thousands(day), "", "target 150 a day", day > 150),
                tile(
                    "Time in flood, 7 days",
                    words::percent(floods, windows.max(1)),
                    "%",
                    "target below 1 %",
                    floods * 100 > windows,
                ),
                tile(
                    "Ten busiest sources",
                    // Of few announcements every share is large.
                    if week >= ACTORS_FROM { tenths(i64::from(share)) } else { "–".to_owned() },
                    if week >= ACTORS_FROM { "%" } else { "too few to tell" },
                    "target below 5 % of all",
                    share > 50 && week >= ACTORS_FROM,
                ),
                tile("Chattering", chattering.to_string(), "", "target 0", chattering > 0),
                tile(
                    "Stale for a day",
                    self.open.stale.to_string(),
                    "",
                    "target fewer than 5",
                    self.open.stale >= 5,
                ),
            ],
        }
    }
}

fn tenths(value: i64) -> String {
    format!("{}.{}", value / 10, value % 10)
}

/// `GET /alarms`.
pub(in crate::console) async fn show(State(console): State<ConsoleState>) -> Answer {
    let now = console.now();
    let (frame, facts, (shelves, announced)) = futures_util::future::try_join3(
        Frame::of(&console, Section::Alarms, "Alarms"),
        Facts::read(&console, now),
        async {
            let read = futures_util::future::try_join(
                views::shelves(&console.db, false, 100, now),
                views::announced(&console.db, 50, now),
            );
            Ok::<_, Refusal>(read.await?)
        },
    )
    .await?;
    let zone = console.calendar.zone();
    let subjects = announced.iter().flat_map(|row| alarm_words::subjects(&row.text));
    let named = names::of(&console.db, subjects.collect::<BTreeSet<_>>()).await?;
    html(&AlarmsPage {
        frame: frame.live("alarms", ""),
        say: say(&facts, now),
        tiles: facts.tiles(now),
        svg: drawing(&console, &facts.week, now),
        shelves: shelves.iter().map(|row| ShelfLine::of(row, now, &console)).collect(),
        rules: rule_words::all()
            .map(|text| (text.no, format!("{} ({})", text.title, text.id)))
            .collect(),
        actors: actor_lines(&facts.actors, facts.since(now.plus_seconds(-7 * DAY_S))),
        announced: announced.iter().map(|row| AnnouncedLine::of(row, &named, now, zone)).collect(),
    })
}

/// What moves on the page.
pub(super) async fn fragments(console: &ConsoleState) -> Result<Vec<String>, Refusal> {
    let now = console.now();
    Ok(vec![Facts::read(console, now).await?.tiles(now).render()?])
}

fn say(facts: &Facts, now: UtcTime) -> String {
    let [p1, p2, p3, p4] = facts.open.open;
    let open = format!("Open: P1 critical {p1}, P2 high {p2}, P3 medium {p3}, P4 low {p4}.");
    let flood = facts
        .week
        .last()
        .is_some_and(|row| row.flood && now.seconds_since(row.at) <= 2 * TEN_MIN_S);
    if flood {
        format!(
            "Flood: only P1 (critical) alarms and summaries of groups are announced now. {open}"
        )
    } else {
        open
    }
}

fn drawing(console: &ConsoleState, week: &[KpiRow], now: UtcTime) -> String {
    let from = now.plus_seconds(-DAY_S);
    let point = |row: &KpiRow| Point {
        start: row.at.plus_seconds(-TEN_MIN_S),
        end: row.at,
        value: Some(Spread::of(i64::from(row.annunciated) * 1_000)),
        mark: QualityMark::Plain,
        text: format!("{} announced", row.annunciated),
        note: format!("{} raised{}", row.raised, if row.flood { ", flood" } else { "" }),
    };
    let points = week.iter().filter(|row| row.at > from).map(point).collect();
    chart::draw(&ChartSpec {
        id: "alarms".to_owned(),
        label: "Announcements in each ten minutes of the last 24 hours".to_owned(),
        height: 96,
        from,
        to: now,
        now: None,
        zone: console.calendar.zone().clone(),
        zone_name: console.settings.zone.clone(),
        unit: DisplayUnit { symbol: "announced", milli: 1_000 },
        from_zero: true,
        top: None,
        series: vec![Series { shape: Shape::Step, ink: 1, role: Role::Value, points }],
        bands: Vec::new(),
        limits: vec![Limit {
            at: FLOOD_FROM * 1_000,
            to: None,
            severity: 2,
            label: "flood above 10".to_owned(),
        }],
        marks: Vec::new(),
        flags: Vec::new(),
        empty: "No ten minutes have been counted yet.".to_owned(),
        cursor: true,
        whole: true,
    })
}

fn actor_lines(actors: &[BadActor], all: i64) -> Vec<ActorLine> {
    let line = |actor: &BadActor| {
        let rule = actor.rule_no.and_then(rule_words::of).map_or("", |text| text.title);
        let name = if actor.subject_name.is_empty() { "a group" } else { &actor.subject_name };
        ActorLine {
            name: name.to_owned(),
            href: actor.subject.map_or_else(String::new, |one| subject_page(one, name)),
            rule,
            announced: words::thousands(actor.announced),
            share: words::percent(actor.announced, all),
        }
    };
    actors.iter().map(line).collect()
}

impl ShelfLine {
    fn of(row: &ShelfRow, now: UtcTime, console: &ConsoleState) -> Self {
        let rule = row.rule_no.and_then(rule_words::of).map(|text| text.title);
        let subject = (!row.subject_name.is_empty()).then_some(row.subject_name.as_str());
        let parts = [rule, subject].into_iter().flatten().collect::<Vec<_>>().join(" · ");
        let kind = if row.kind == "out_of_service" { " (out of service)" } else { "" };
        Self {
            id: row.id,
            what: format!("{parts}{kind}"),
            until: words::stamp(row.until, now, console.calendar.zone()),
            reason: row.reason.clone(),
            actor: row.actor.clone(),
        }
    }
}

impl AnnouncedLine {
    fn of(
        row: &AnnunciationRow,
        named: &BTreeMap<Subject, String>,
        now: UtcTime,
        zone: &jiff::tz::TimeZone,
    ) -> Self {
        let step = if row.step > 0 { format!(", step {}", row.step) } else { String::new() };
        let flood = if row.in_flood { ", in a flood" } else { "" };
        Self {
            level: row.severity.into(),
            text: match row.text.as_str() {
                "" => "no words".to_owned(),
                text => alarm_words::said(text, named),
            },
            kind: format!("{}{step}{flood}", row.kind.replace('_', " ")),
            rule: row.rule_no.and_then(rule_words::of).map_or("", |text| text.id),
            at: words::stamp(row.at, now, zone),
            issue: row.issue_number,
        }
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(in crate::console) struct ShelveForm {
    rule: String,
    meter: String,
    length_s: String,
    kind: String,
    reason: String,
}

/// `POST /alarms/shelve`.
pub(in crate::console) async fn shelve(
    State(console): State<ConsoleState>,
    Form(form): Form<ShelveForm>,
) -> Answer {
    let now = console.now();
    let rule = match form.rule.as_str() {
        "" => None,
        text => Some(text.parse().ok().and_then(RuleNo::new).ok_or_else(|| {
            Refusal::bad_request("There is no such rule: choose one of the list.")
        })?),
    };
    let subject = match form.meter.trim() {
        "" => None,
        number => {
            let found = meters::by_number(&console.db, number, now).await?;
            let meter =
                found.ok_or_else(|| Refusal::not_found("There is no meter of that number."))?;
            Some(Subject::Meter(meter.meter))
        }
    };
    let length: i64 = form
        .length_s
        .parse()
        .ok()
        .filter(|length| *length > 0)
        .ok_or_else(|| Refusal::bad_request("A silence needs an end: choose how long."))?;
    let why = form.reason.trim();
    if why.is_empty() {
        return Err(Refusal::bad_request("Say why: whoever comes next must know."));
    }
    let order = alerts::manage::Shelve {
        rule,
        subject,
        from: now,
        until: now.plus_seconds(length),
        who: ACTOR.to_owned(),
        why: why.to_owned(),
        out_of_service: form.kind == "out_of_service",
    };
    store::alarms::shelve(&console.db, &order).await?;
    Ok(Redirect::to("/alarms").into_response())
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(in crate::console) struct UnshelveForm {
    id: i64,
}

/// `POST /alarms/unshelve`.
pub(in crate::console) async fn unshelve(
    State(console): State<ConsoleState>,
    Form(form): Form<UnshelveForm>,
) -> Answer {
    if !store::alarms::unshelve(&console.db, form.id, ACTOR, console.now()).await? {
        return Err(Refusal::not_found("That silence is over already."));
    }
    Ok(Redirect::to("/alarms").into_response())
}
