//! Dead letters: messages that are kept because they could not be stored as readings.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::Uri;
use metering::UtcTime;
use serde::Deserialize;
use store::views::intake::{self, DeadLetterFilter, DeadLetterRow};

use super::meters::cursor;
use super::payload::payload_text;
use super::{Answer, ROWS, html, query};
use crate::console::frame::{Choice, Frame, QueryText, Section, segment};
use crate::console::refusal::Refusal;
use crate::console::state::ConsoleState;
use crate::console::words;

#[derive(Template)]
#[template(path = "dead_letters.html")]
struct DeadLettersPage {
    frame: Frame,
    say: String,
    reasons: Vec<Choice>,
    rows: LetterRows,
    next: String,
    first: String,
}

#[derive(Template)]
#[template(path = "dead_letter_rows.html")]
struct LetterRows {
    rows: Vec<LetterLine>,
}

struct LetterLine {
    key: String,
    href: String,
    reason: String,
    detail: String,
    source: String,
    topic: String,
    count: String,
    last: String,
    replayed: bool,
}

#[derive(Template)]
#[template(path = "dead_letter.html")]
struct DeadLetterPage {
    frame: Frame,
    reason: String,
    detail: String,
    facts: Vec<(&'static str, String)>,
    payload: String,
    replay: String,
}

#[derive(Deserialize, Default)]
struct DeadLettersQuery {
    #[serde(default)]
    reason: String,
    #[serde(default)]
    source: String,
    #[serde(default)]
    cursor: String,
}

impl DeadLettersQuery {
    fn filter(&self) -> DeadLetterFilter {
        let some = |text: &String| (!text.is_empty()).then(|| text.clone());
        DeadLetterFilter { reason: some(&self.reason), source: some(&self.source), replayed: false }
    }

    fn address(&self) -> QueryText {
        QueryText::default().with("reason", &self.reason).with("source", &self.source)
    }
}

/// Why a message was kept, in words.
fn reason_words(reason: &str) -> String {
    let known = match reason {
        "unknown_device" => "device not provisioned",
        "unreadable" | "undecodable" => "cannot be read",
        "unknown_topic" => "topic not understood",
        "too_large" | "oversized" => "message too large",
        "unknown_field" | "unknown_channel" => "value without a configured channel",
        other => return other.replace('_', " "),
    };
    known.to_owned()
}

/// `GET /dead-letters`.
pub(in crate::console) async fn show(State(console): State<ConsoleState>, uri: Uri) -> Answer {
    let asked: DeadLettersQuery = query(&uri)?;
    let now = console.now();
    let (filter, after) = (asked.filter(), cursor(&asked.cursor)?);
    let (page, counts) = futures_util::future::try_join(
        intake::dead_letters(&console.db, &filter, after.as_ref(), ROWS),
        intake::dead_letter_counts(&console.db),
    )
    .await?;
    let frame = Frame::of(&console, Section::DeadLetters, "Dead letters").await?;
    let live = asked.address().with("cursor", &asked.cursor);
    let (messages, reads) = counts
        .iter()
        .fold((0, 0), |(messages, reads), count| (messages + count.messages, reads + count.reads));
    let unknown = counts.iter().find(|count| count.reason == "unknown_device");
    let unknown = unknown.map_or(0, |count| count.messages);
    let mut reasons = vec![Choice {
        href: "/dead-letters".to_owned(),
        word: "All".to_owned(),
        count: Some(messages),
        current: asked.reason.is_empty(),
    }];
    reasons.extend(counts.iter().map(|count| Choice {
        href: QueryText::default().with("reason", &count.reason).on("/dead-letters"),
        word: words::sentence_case(&reason_words(&count.reason)),
        count: Some(count.messages),
        current: asked.reason == count.reason,
    }));
    let next = page
        .next
        .as_ref()
        .map(|next| asked.address().with("cursor", &next.to_string()).on("/dead-letters"));
    html(&DeadLettersPage {
        frame: frame.live("dead-letters", live.as_str()),
        say: say(messages, reads, unknown),
        reasons,
        rows: rows(&page.items, now),
        next: next.unwrap_or_default(),
        first: if asked.cursor.is_empty() {
            String::new()
        } else {
            asked.address().on("/dead-letters")
        },
    })
}

/// What moves on the page.
pub(super) async fn fragments(console: &ConsoleState, uri: &Uri) -> Result<Vec<String>, Refusal> {
    let asked: DeadLettersQuery = query(uri)?;
    let after = cursor(&asked.cursor)?;
    let page = intake::dead_letters(&console.db, &asked.filter(), after.as_ref(), ROWS).await?;
    Ok(vec![rows(&page.items, console.now()).render()?])
}

fn say(messages: i64, reads: i64, unknown: i64) -> String {
    if messages == 0 {
        return "Everything that arrived could be stored.".to_owned();
    }
    let waiting = match unknown {
        0 => String::new(),
        n if n == messages => " All are of devices that wait under Commissioning.".to_owned(),
        n => format!(" {} of devices that wait under Commissioning.", words::count(n, "is", "are")),
    };
    format!(
        "{} kept aside, with {}. Nothing is lost: once the cause is mended they can be read again.{waiting}",
        words::count(messages, "message is", "messages are"),
        words::count(reads, "reading", "readings")
    )
}

fn rows(items: &[DeadLetterRow], now: UtcTime) -> LetterRows {
    let line = |letter: &DeadLetterRow| LetterLine {
        key: format!("{}-{}", letter.sha256.chars().take(16).collect::<String>(), letter.adapter),
        href: format!("/dead-letters/{}", segment(&letter.sha256)),
        reason: words::sentence_case(&reason_words(&letter.reason)),
        detail: words::shortened(&letter.detail, 120),
        source: letter.source.as_ref().map(ToString::to_string).unwrap_or_default(),
        topic: words::shortened(&letter.topic, 60),
        count: words::thousands(letter.count),
        last: format!("{} ago", words::age(letter.last_seen, now)),
        replayed: letter.replayed_at.is_some(),
    };
    LetterRows { rows: items.iter().map(line).collect() }
}

/// `GET /dead-letters/{sha256}`.
pub(in crate::console) async fn detail(
    State(console): State<ConsoleState>,
    Path(sha256): Path<String>,
) -> Answer {
    let found = intake::dead_letter(&console.db, &sha256).await?;
    let letter = found.ok_or_else(|| {
        Refusal::not_found("There is no such dead letter, or more than one begins like this.")
    })?;
    let zone = console.calendar.zone();
    let frame = Frame::of(&console, Section::DeadLetters, "Dead letter").await?;
    let facts = vec![
        ("Topic", letter.topic.clone()),
        ("Came through", letter.adapter.clone()),
        ("Device", letter.source.as_ref().map(ToString::to_string).unwrap_or_default()),
        ("First", words::instant(letter.first_seen, zone)),
        ("Last", words::instant(letter.last_seen, zone)),
        ("Copies", words::thousands(letter.count)),
        ("Readings in each", words::thousands(letter.reads)),
        ("Size", format!("{} B", words::thousands(i64::from(letter.size_bytes)))),
        ("SHA-256", letter.sha256.clone()),
        ("Read again", letter.replayed_at.map(|at| words::instant(at, zone)).unwrap_or_default()),
    ];
    html(&DeadLetterPage {
        frame,
        reason: words::sentence_case(&reason_words(&letter.reason)),
        detail: letter.detail.clone(),
        facts: facts.into_iter().filter(|(_, value)| !value.is_empty()).collect(),
        payload: payload_text(&letter.payload, letter.size_bytes),
        replay: match &letter.source {
            Some(source) => format!("headend dlq replay --source {source}"),
            None => format!("headend dlq replay --reason {}", letter.reason),
        },
    })
}
