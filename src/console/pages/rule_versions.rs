//! Versions of the rules: what was made active, by whom and why, and what each changed.

use askama::Template;
use axum::extract::State;
use axum::http::Uri;
use metering::UtcTime;
use serde::Deserialize;
use store::rules::{BundleAct, BundleRow};

use super::rules::views_of;
use super::{Answer, html, query};
use crate::console::frame::{Choice, Frame, QueryText, Section};
use crate::console::refusal::Refusal;
use crate::console::state::ConsoleState;
use crate::console::words;
use crate::services::rules::{self, Difference};

const VERSIONS: u32 = 100;

#[derive(Template)]
#[template(path = "rule_versions.html")]
struct VersionsPage {
    frame: Frame,
    say: String,
    views: Vec<Choice>,
    rows: Vec<VersionLine>,
    /// Version, what differs with its unit, and the text.
    shown: Option<(String, Vec<Differing>, String)>,
}

/// What differs, with its unit.
type Differing = (Difference, &'static str);

struct VersionLine {
    version: String,
    href: String,
    act: &'static str,
    at: String,
    actor: String,
    approved_by: String,
    reason: String,
    changed: String,
    log_seq: String,
    active: bool,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct VersionsQuery {
    /// Number of the act that is shown.
    no: String,
}

/// `GET /rules/versions`.
pub(in crate::console) async fn show(State(console): State<ConsoleState>, uri: Uri) -> Answer {
    let asked: VersionsQuery = query(&uri)?;
    let now = console.now();
    let (versions, active) = futures_util::future::try_join(
        store::rules::versions(&console.db, VERSIONS),
        store::rules::active(&console.db),
    )
    .await?;
    let mut rows = Vec::new();
    let mut shown = None;
    let checks = rules::checks();
    for (at, row) in versions.iter().enumerate() {
        let differences = changed(row, before(&versions[at + 1..], row))?;
        let is_active = active.as_ref().is_some_and(|active| active.bundle_no == row.bundle_no);
        rows.push(VersionLine::of(row, differences.len(), is_active, (now, &console)));
        if asked.no == row.bundle_no.to_string() {
            let unit = |one: Difference| {
                let unit = one.unit(&checks);
                (one, unit)
            };
            let differences = differences.into_iter().map(unit).collect();
            shown = Some((row.version.clone(), differences, row.text.clone()));
        }
    }
    html(&VersionsPage {
        frame: Frame::of(&console, Section::Rules, "Versions of the rules").await?,
        say: match &active {
            Some(row) => format!(
                "Version {} holds since {}.",
                row.version,
                words::stamp(row.applied_at, now, console.calendar.zone())
            ),
            None => "The built-in version holds; no other was ever applied.".to_owned(),
        },
        views: views_of("/rules/versions"),
        rows,
        shown,
    })
}

/// The version that held before: shadows change nothing.
fn before<'a>(older: &'a [BundleRow], row: &BundleRow) -> Option<&'a BundleRow> {
    let own = |other: &&BundleRow| matches!(other.act, BundleAct::Apply | BundleAct::Rollback);
    older.iter().filter(own).find(|other| other.bundle_no < row.bundle_no)
}

fn changed(row: &BundleRow, before: Option<&BundleRow>) -> Result<Vec<Difference>, Refusal> {
    let old = before.map(rules::of_row).transpose()?.unwrap_or_default();
    Ok(rules::differences(&old, &rules::of_row(row)?))
}

impl VersionLine {
    fn of(
        row: &BundleRow,
        changed: usize,
        active: bool,
        (now, console): (UtcTime, &ConsoleState),
    ) -> Self {
        let act = match row.act {
            BundleAct::Apply => "applied",
            BundleAct::Rollback => "taken up again",
            BundleAct::Shadow => "shadow began",
            BundleAct::EndShadow => "shadow ended",
        };
        let no = row.bundle_no.to_string();
        Self {
            version: row.version.clone(),
            href: format!("{}#shown", QueryText::default().with("no", &no).on("/rules/versions")),
            act,
            at: words::stamp(row.applied_at, now, console.calendar.zone()),
            actor: row.actor.clone(),
            approved_by: row.approved_by.clone(),
            reason: row.reason.clone(),
            changed: changed.to_string(),
            log_seq: words::thousands(row.log_seq),
            active,
        }
    }
}
