//! Readings that need a person: suspect days, those with the most doubtful use first.

use std::collections::BTreeSet;

use askama::Template;
use axum::extract::{Form, State};
use axum::http::Uri;
use axum::response::{IntoResponse, Redirect};
use metering::{ChannelNo, Commodity, MeterId, QualityStatus, RuleMask, RuleNo, UtcTime};
use serde::Deserialize;
use store::estimation::SeriesSpan;
use store::views::review::{self as views, ReviewCount, ReviewFilter, ReviewRow};

use super::estimates::{COMMODITIES, views_of};
use super::issues::{SelectOption, options};
use super::{Answer, ROWS, html, query};
use crate::console::frame::{Choice, Frame, QueryText, Section, segment};
use crate::console::measure;
use crate::console::refusal::Refusal;
use crate::console::rule_words;
use crate::console::state::ConsoleState;
use crate::console::words;
use crate::services::vee::{self, Person, VeeError};

/// Who acts, until operators can log in.
pub(super) const ACTOR: &str = "local operator";
const DAY_S: i64 = 86_400;
/// Days that one bulk act takes.
const BULK_MAX: usize = 200;
/// How old a day must be, as in addresses.
const AGES: [(&str, &str, i64); 4] = [
    ("1", "over a day", 1),
    ("3", "over 3 days", 3),
    ("7", "over a week", 7),
    ("30", "over 30 days", 30),
];

#[derive(Template)]
#[template(path = "readings.html")]
struct ReadingsPage {
    frame: Frame,
    say: String,
    views: Vec<Choice>,
    q: String,
    rules: Vec<SelectOption>,
    commodities: Vec<SelectOption>,
    ages: Vec<SelectOption>,
    /// Number and name of the rule whose days can be accepted at once.
    bulk: Option<(u8, &'static str)>,
    rows: ReadingRows,
    next: String,
    first: String,
}

#[derive(Template)]
#[template(path = "reading_rows.html")]
struct ReadingRows {
    rows: Vec<ReadingLine>,
    bulk: bool,
    empty: String,
}

/// One suspect day in a list, in words.
#[derive(Clone, Debug)]
pub(super) struct ReadingLine {
    pub(super) key: String,
    /// As the bulk form sends it.
    value: String,
    pub(super) href: String,
    pub(super) meter: String,
    pub(super) day: String,
    pub(super) failed: String,
    pub(super) suspect: String,
    pub(super) doubtful: String,
    rest: String,
    address: String,
    pub(super) age: String,
    issue: Option<i64>,
    /// That issue is closed; the day is held all the same.
    closed: bool,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ReadingsQuery {
    rule: String,
    commodity: String,
    age: String,
    q: String,
    /// Rows left out, for further pages.
    skip: String,
}

impl ReadingsQuery {
    fn filter(&self, now: UtcTime) -> Result<ReviewFilter, Refusal> {
        let unknown = |what: &str| Refusal::bad_request(format!("There is no such {what}."));
        let rule = match self.rule.as_str() {
            "" => None,
            id => {
                let known = rule_words::by_id(id).and_then(|(_, text)| RuleNo::new(text.no));
                Some(known.ok_or_else(|| unknown("rule"))?)
            }
        };
        let commodity = match self.commodity.as_str() {
            "" => None,
            word => Some(word.parse::<Commodity>().map_err(|_| unknown("kind of meter"))?),
        };
        let days = match self.age.as_str() {
            "" => None,
            age => Some(AGES.iter().find(|known| known.0 == age).ok_or_else(|| unknown("age"))?.2),
        };
        Ok(ReviewFilter {
            rule,
            commodity,
            older_than: days.map(|days| now.plus_seconds(-days * DAY_S)),
            q: (!self.q.is_empty()).then(|| self.q.clone()),
        })
    }

    fn address(&self) -> QueryText {
        QueryText::default()
            .with("rule", &self.rule)
            .with("commodity", &self.commodity)
            .with("age", &self.age)
            .with("q", &self.q)
    }

    fn skip(&self) -> u32 {
        self.skip.parse().unwrap_or(0)
    }
}

/// `GET /readings`.
pub(in crate::console) async fn show(State(console): State<ConsoleState>, uri: Uri) -> Answer {
    let asked: ReadingsQuery = query(&uri)?;
    let now = console.now();
    let filter = asked.filter(now)?;
    let (mut rows, (waiting, counts), proposals) = futures_util::future::try_join3(
        views::queue(&console.db, &filter, (ROWS + 1, asked.skip()), now),
        views::counts(&console.db, now),
        views::proposals(&console.db),
    )
    .await?;
    let more = rows.len() > ROWS as usize;
    rows.truncate(ROWS as usize);
    let on = asked.address().with("skip", &(asked.skip() + ROWS).to_string()).on("/readings");
    let bulk = filter.rule.and_then(rule_words::of).map(|text| (text.no, text.id));
    let frame = Frame::of(&console, Section::Readings, "Readings to review").await?;
    let live = asked.address().with("skip", &asked.skip);
    html(&ReadingsPage {
        // Rows that are being ticked must not be replaced under the pointer.
        frame: if bulk.is_some() { frame } else { frame.live("readings", live.as_str()) },
        say: say(waiting, now, &console),
        views: views_of("/readings", waiting, proposals),
        q: asked.q.clone(),
        rules: rule_options(&counts, &asked.rule),
        commodities: options(COMMODITIES, &asked.commodity),
        ages: options(AGES.iter().map(|age| (age.0, age.1)), &asked.age),
        rows: reading_rows(&rows, bulk.is_some(), now, &console),
        bulk,
        next: if more { on } else { String::new() },
        first: if asked.skip() == 0 { String::new() } else { asked.address().on("/readings") },
    })
}

/// What moves on the page.
pub(super) async fn fragments(console: &ConsoleState, uri: &Uri) -> Result<Vec<String>, Refusal> {
    let asked: ReadingsQuery = query(uri)?;
    let now = console.now();
    let rows = views::queue(&console.db, &asked.filter(now)?, (ROWS, asked.skip()), now).await?;
    Ok(vec![reading_rows(&rows, false, now, console).render()?])
}

fn reading_rows(
    rows: &[ReviewRow],
    bulk: bool,
    now: UtcTime,
    console: &ConsoleState,
) -> ReadingRows {
    ReadingRows {
        rows: rows.iter().map(|row| ReadingLine::of(row, now)).collect(),
        bulk,
        empty: format!(
            "No closed day holds a suspect value. Checked {}; days are closed when their data had \
             time to arrive.",
            words::clock(now, console.calendar.zone())
        ),
    }
}

fn say(waiting: i64, now: UtcTime, console: &ConsoleState) -> String {
    match waiting {
        0 => format!(
            "No day waits for a person. Checked {}.",
            words::clock(now, console.calendar.zone())
        ),
        n => format!(
            "{} a person before their bill; the most doubtful use comes first.",
            words::count(n, "day needs", "days need")
        ),
    }
}

fn rule_options(counts: &[ReviewCount], chosen: &str) -> Vec<SelectOption> {
    let known = counts.iter().filter_map(|count| {
        let text = rule_words::of(count.rule)?;
        let words = format!("{} ({})", text.title, count.days);
        Some((text.id.to_owned(), words, text.id.eq_ignore_ascii_case(chosen)))
    });
    let mut all: Vec<SelectOption> = known.collect();
    if !chosen.is_empty()
        && all.iter().all(|option| !option.2)
        && let Some((_, text)) = rule_words::by_id(chosen)
    {
        all.push((text.id.to_owned(), format!("{} (0)", text.title), true));
    }
    all
}

/// The rules of a mask in words.
pub(super) fn rules_said(mask: RuleMask) -> String {
    let titles = mask.rules().filter_map(rule_words::of).map(|text| text.title);
    titles.collect::<Vec<_>>().join("; ")
}

/// The page of one day of a channel.
pub(super) fn day_href(row: &ReviewRow) -> String {
    let zone = jiff::tz::TimeZone::get(&row.time_zone).unwrap_or(jiff::tz::TimeZone::UTC);
    let date = row.starts_at.to_jiff().to_zoned(zone).date();
    format!("/readings/{}/{}/{date}", segment(&row.number), row.channel)
}

impl ReadingLine {
    pub(super) fn of(row: &ReviewRow, now: UtcTime) -> Self {
        let zone = jiff::tz::TimeZone::get(&row.time_zone).unwrap_or(jiff::tz::TimeZone::UTC);
        let mask = if row.failed.is_empty() { row.failed_day } else { row.failed };
        let quantity = |value| measure::quantity(row.reading_type, value);
        let local = row.starts_at.to_jiff().to_zoned(zone);
        Self {
            key: format!("day-{}-{}-{}", row.meter, row.channel, row.starts_at.seconds()),
            value: format!(
                "{}.{}.{}.{}",
                row.meter,
                row.channel,
                row.starts_at.micros(),
                row.ends_at.micros()
            ),
            href: day_href(row),
            meter: row.number.clone(),
            day: local.strftime("%a %-d %b").to_string(),
            failed: rules_said(mask),
            suspect: format!("{} of {}", row.suspect, row.slots),
            doubtful: quantity(row.suspect_sum),
            rest: quantity(row.total),
            address: row.address.clone(),
            age: words::age(row.ends_at, now),
            issue: row.issue_number,
            closed: row.issue_closed,
        }
    }
}

/// `POST /readings/accept`: keeps the chosen days as read, where nothing but one rule failed.
pub(in crate::console) async fn accept_many(
    State(console): State<ConsoleState>,
    Form(form): Form<Vec<(String, String)>>,
) -> Answer {
    let field = |name: &str| {
        form.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str()).unwrap_or("")
    };
    let rule = field("rule").parse().ok().and_then(RuleNo::new).ok_or_else(|| {
        Refusal::bad_request("Choose the rule whose days are to be kept as read.")
    })?;
    let days: Vec<&str> =
        form.iter().filter(|(key, _)| key == "day").map(|(_, value)| value.as_str()).collect();
    if days.is_empty() || days.len() > BULK_MAX {
        return Err(Refusal::bad_request(format!(
            "Choose at least one day, and at most {BULK_MAX} at a time."
        )));
    }
    let who = Person { actor: ACTOR, reason: field("reason"), now: console.now() };
    for (kept, day) in days.iter().enumerate() {
        if let Err(why) = accept_day(&console, day, rule, who).await {
            if kept == 0 {
                return Err(why);
            }
            return Err(why.after(&format!(
                "{kept} of the {} chosen days were kept as read before this one; the others are as \
                 they were.",
                days.len()
            )));
        }
    }
    let id = rule_words::of(rule).map(|text| text.id).unwrap_or_default();
    Ok(Redirect::to(&QueryText::default().with("rule", id).on("/readings")).into_response())
}

async fn accept_day(
    console: &ConsoleState,
    day: &str,
    rule: RuleNo,
    who: Person<'_>,
) -> Result<(), Refusal> {
    let unreadable = || Refusal::bad_request("The form names a day that cannot be read.");
    let parts: Vec<&str> = day.split('.').collect();
    let [meter, channel, from, to] = parts[..] else { return Err(unreadable()) };
    let meter = MeterId::new(meter.parse().map_err(|_| unreadable())?);
    let channel = ChannelNo::new(channel.parse().map_err(|_| unreadable())?);
    let instant = |text: &str| text.parse().map(UtcTime::from_micros).map_err(|_| unreadable());
    let (from, to) = (instant(from)?, instant(to)?);
    let span = SeriesSpan { meter, channel, from, to };
    let only = RuleMask::EMPTY.with(rule);
    let slots = store::estimation::series(&console.db, span).await?;
    let ends: BTreeSet<UtcTime> = slots
        .iter()
        .filter(|slot| slot.status == QualityStatus::Suspect && slot.failed == only)
        .map(|slot| slot.end)
        .collect();
    if ends.is_empty() {
        return Ok(());
    }
    let range = vee::range((meter, channel), (from, to), ends);
    vee::accept(&console.db, &range, who).await.map_err(refusal)?;
    Ok(())
}

/// Why an act on readings was not done, in words.
pub(super) fn refusal(error: VeeError) -> Refusal {
    match error {
        VeeError::Store(error) => error.into(),
        VeeError::Estimate(source) => Refusal::conflict(format!(
            "These intervals cannot be estimated so: {source}. Choose another method, or leave \
             them missing."
        )),
        VeeError::NoChannel(..) => Refusal::not_found("There is no such meter or channel."),
        error => Refusal::conflict(words::sentence_case(&format!("{error}."))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_of_a_day_are_told_by_title() {
        let mask = RuleMask::EMPTY.with(RuleNo::new(13).unwrap()).with(RuleNo::new(16).unwrap());
        assert_eq!(rules_said(mask), "Intervals do not add up to the register; Spike in a day");
    }
}
