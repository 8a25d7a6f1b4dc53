//! An issue in words: what is wrong, what was measured, what happened and what comes next.

use metering::{Subject, UtcTime};
use store::views::collectors::CollectorRow;
use store::views::issues::{AlertRow, Evidence, IssueDetail, IssueLogRow};
use store::views::meters::MeterDetail;

use super::meter_line::{battery_word, signal_word};
use crate::console::causes;
use crate::console::frame::Level;
use crate::console::measure;
use crate::console::rule_words;
use crate::console::state::ConsoleState;
use crate::console::words;

/// What is wrong, since when, how bad, and what it probably is.
pub(super) fn say(detail: &IssueDetail, now: UtcTime, console: &ConsoleState) -> String {
    let row = &detail.row;
    let zone = console.calendar.zone();
    let since = words::stamp(row.condition_start, now, zone);
    let lasted = words::age(row.condition_start, row.cleared_at.unwrap_or(now));
    let what = what_words(detail, (&since, &lasted), now, console);
    let held = match row.children {
        0 => String::new(),
        n => format!(" {} held back by it.", words::count(n, "meter is", "meters are")),
    };
    let over = match row.cleared_at {
        Some(at) => format!(" It has been over since {}.", words::stamp(at, now, zone)),
        None => String::new(),
    };
    let found = match &detail.identified_cause {
        Some(cause) if *cause != detail.cause_detected => {
            format!(" Found: {}.", causes::title(cause).to_lowercase())
        }
        _ => String::new(),
    };
    let meaning = causes::meaning(&row.cause);
    format!("{what}{held}{over} {meaning}{found}").trim_end().to_owned()
}

/// The condition in the words of its cause.
fn what_words(
    detail: &IssueDetail,
    (since, lasted): (&str, &str),
    now: UtcTime,
    console: &ConsoleState,
) -> String {
    let row = &detail.row;
    let zone = console.calendar.zone();
    let fact = |key: &str| causes::fact(&row.evidence, key).map(causes::said);
    let when =
        |key: &str| causes::instant(&row.evidence, key).map(|at| words::stamp(at, now, zone));
    let measured = fact("measured").unwrap_or_default();
    let limit = fact("threshold").map(|limit| format!(" (limit {limit})")).unwrap_or_default();
    let over_or = |holds: &str, over: &str| match row.cleared_at {
        None => format!("{holds} {since}, {lasted} by now."),
        Some(_) => format!("{over} {since}, for {lasted}."),
    };
    match row.cause.as_str() {
        "LEAK_CUSTOMER_SIDE" | "LEAK_INTERMITTENT" => {
            let flows = flow_words(&row.cause, row.cleared_at.is_some(), (since, lasted));
            match measured.as_str() {
                "" => format!("{flows}."),
                rate => format!("{flows}, lately at {rate}{limit}."),
            }
        }
        "BURST_CUSTOMER_SIDE" => {
            format!("Since {since} water flows at {measured}{limit}, far above what is usual here.")
        }
        "HIGH_CONSUMPTION" | "LOW_CONSUMPTION" => {
            let day = causes::instant(&row.evidence, "window_from").unwrap_or(row.condition_start);
            let usual = fact("median").map(|usual| format!(", where {usual} is usual"));
            format!(
                "{} came to {measured}{}; it began {since}.",
                words::day(day, zone),
                usual.unwrap_or_default()
            )
        }
        "BATTERY_DEAD" => format!(
            "There are no readings of this meter after {}; it had reported a low battery on {}.",
            fell_silent(detail).map_or_else(|| since.to_owned(), |at| words::stamp(at, now, zone)),
            when("battery_low_at").unwrap_or_else(|| since.to_owned())
        ),
        "STOPPED_METER" => over_or(
            "The meter answers but has counted nothing since",
            "The meter counted nothing from",
        ),
        "BATTERY_LOW" => format!("The module has reported a low battery since {since}."),
        "COLLECTOR_OUTAGE" | "BACKHAUL" => {
            let who = &row.subject_name;
            over_or(&format!("{who} has been silent since"), &format!("{who} was silent from"))
        }
        "HEADEND_OUTAGE" => format!("Nothing has arrived from any device since {since}."),
        "DATA_GAP" if measured.is_empty() => format!(
            "Readings of {since} and later never came, and nobody has delivered them in {lasted}."
        ),
        _ if row.family == "COMM" => {
            format!("There are no readings of this meter after {since}, {lasted} by now.")
        }
        _ if measured.is_empty() => format!("It began {since} and has lasted {lasted}."),
        _ => format!("It began {since} and has lasted {lasted}; measured: {measured}{limit}."),
    }
}

/// How long water flows, or flowed: without a pause, or again and again.
fn flow_words(cause: &str, is_over: bool, (since, lasted): (&str, &str)) -> String {
    match (cause, is_over) {
        ("LEAK_INTERMITTENT", false) => {
            format!("Water runs again and again since {since}, {lasted} by now")
        }
        ("LEAK_INTERMITTENT", true) => {
            format!("Water ran again and again from {since}, for {lasted}")
        }
        (_, false) => format!("Water has not stopped flowing since {since}, {lasted} by now"),
        (_, true) => format!("Water did not stop flowing from {since}, for {lasted}"),
    }
}

/// When the last reading ended, as the rule of silence told it: what other rules say of the gap later
/// begins later.
fn fell_silent(detail: &IssueDetail) -> Option<UtcTime> {
    let silent = detail.alerts.iter().rfind(|alert| alert.rule.starts_with("COM-"))?;
    Some(causes::instant(&silent.evidence, "window_from").unwrap_or(silent.condition_start))
}

/// How likely each cause is beside the first, by what the evidence says for it (log-odds in
/// hundredths). A cause that stands alone is likely beside nothing.
pub(super) fn likelihoods(log_odds_x100: &[i16]) -> Vec<String> {
    let words = |(at, odds): (usize, &i16)| {
        let less = i32::from(log_odds_x100[0]) - i32::from(*odds);
        let times = (f64::from(less) / 100.0).exp();
        match at {
            0 if log_odds_x100.len() == 1 => String::new(),
            0 => "most likely".to_owned(),
            _ if times < 1.5 => "about as likely".to_owned(),
            _ if times < 100.0 => format!("{times:.0} times less likely"),
            _ => "far less likely".to_owned(),
        }
    };
    log_odds_x100.iter().enumerate().map(words).collect()
}

/// A fact by name, and its value as people read it.
pub(super) fn evidence_words(
    (rule, fact): (&str, &Evidence),
    now: UtcTime,
    console: &ConsoleState,
) -> (String, String) {
    if (rule, fact.key.as_str(), fact.unit.as_str()) == ("REG-SUM", "measured", "") {
        let permille = fact.value.abs();
        return ("Difference".to_owned(), format!("{}.{} %", permille / 10, permille % 10));
    }
    let name = match (fact.key.as_str(), fact.unit.as_str()) {
        ("measured", "") => "Number of the rule".to_owned(),
        (key, _) => words::sentence_case(&key.replace('_', " ")),
    };
    let value = if fact.unit == "us" {
        words::stamp(UtcTime::from_micros(fact.value), now, console.calendar.zone())
    } else if fact.unit == "windows" {
        words::count(fact.value, "window", "windows")
    } else if fact.unit == "s" {
        words::duration(fact.value)
    } else if let Some(exact) = causes::exact(fact) {
        exact
    } else if fact.text.is_empty() {
        format!("{} {}", words::thousands(fact.value), fact.unit).trim_end().to_owned()
    } else {
        fact.text.clone()
    };
    (name, value)
}

pub(super) fn meter_facts(
    meter: &MeterDetail,
    (now, console): (UtcTime, &ConsoleState),
) -> Vec<(&'static str, String)> {
    let point = meter.usage_point.as_ref();
    let heard = meter.last_heard.map_or_else(
        || "never".to_owned(),
        |at| {
            let stamp = words::stamp(at, now, console.calendar.zone());
            format!("{} ago, {stamp}", words::age(at, now))
        },
    );
    let measures: Vec<String> =
        meter.channels.iter().map(|channel| measure::title(channel.reading_type)).collect();
    let facts = vec![
        ("Address", point.map(|point| point.address.clone()).unwrap_or_default()),
        ("Account", point.map(|point| point.account.clone()).unwrap_or_default()),
        ("Kind", meter.commodity.word().to_owned()),
        ("Measures", measures.join(", ")),
        ("Last heard", heard),
        ("Battery", battery_word(meter.battery).to_owned()),
        ("Signal", signal_word(meter.rssi_dbm)),
    ];
    facts.into_iter().filter(|(_, value)| !value.is_empty()).collect()
}

pub(super) fn collector_facts(
    row: &CollectorRow,
    (now, console): (UtcTime, &ConsoleState),
) -> Vec<(&'static str, String)> {
    let ago = |at: Option<UtcTime>| {
        at.map_or_else(
            || "never".to_owned(),
            |at| {
                let stamp = words::stamp(at, now, console.calendar.zone());
                format!("{} ago, {stamp}", words::age(at, now))
            },
        )
    };
    vec![
        ("Name", row.name.clone()),
        ("Zone", row.zone_name.clone()),
        ("Last heartbeat", ago(row.last_heartbeat)),
        ("Last delivered", ago(row.last_heard)),
        ("Meters behind it", words::thousands(row.meters)),
        ("Heard in some way", words::thousands(row.meters_reporting)),
    ]
    .into_iter()
    .filter(|(_, value)| !value.is_empty())
    .collect()
}

pub(super) fn alert_words(alert: &AlertRow) -> Vec<(UtcTime, String)> {
    let severity = Level::from(alert.severity).word;
    let mut said = vec![(alert.raised_at, format!("Rule {} fired ({severity})", alert.rule))];
    if let Some(at) = alert.cleared_at {
        said.push((at, format!("Rule {}: the condition is over", alert.rule)));
    }
    if let Some(at) = alert.retracted_at {
        said.push((at, format!("Rule {}: taken back, late readings explain it", alert.rule)));
    }
    said
}

pub(super) fn log_words(log: &IssueLogRow) -> (String, String) {
    let who = match log.actor_kind.as_str() {
        "engine" => "by the rules".to_owned(),
        "system" => "by the system".to_owned(),
        _ => format!("by {}", log.actor),
    };
    match (log.kind.as_str(), &log.to_state) {
        ("comment", _) => (format!("Comment {who}"), log.reason.clone()),
        ("transition", Some(to)) if to == "DETECTED" => {
            (format!("Issue opened {who}"), String::new())
        }
        ("transition", Some(to)) if to == "OPEN" && log.reason == store::issues::JUDGED => {
            (format!("Looked at {who}"), String::new())
        }
        ("transition", Some(to)) => {
            let state = words::sentence_case(causes::state(to));
            let same = log.reason.eq_ignore_ascii_case(causes::state(to));
            (format!("{state} {who}"), if same { String::new() } else { said(&log.reason) })
        }
        ("evidence", _) => match escalated(&log.reason) {
            Some(now) => (format!("Now {now}, {who}"), String::new()),
            None => (format!("New evidence {who}"), said(&log.reason)),
        },
        _ => (format!("{} {who}", words::sentence_case(&log.reason)), String::new()),
    }
}

/// `now BATTERY_DEAD, P3` in the words of the pages.
fn escalated(reason: &str) -> Option<String> {
    let (cause, severity) = reason.strip_prefix("now ")?.split_once(", ")?;
    let number = severity.strip_prefix('P')?.parse().ok()?;
    let level = Level::from(metering::Severity::from_number(number)?);
    Some(format!("{}, {}", causes::title(cause).to_lowercase(), level.word))
}

/// `WTR-CUSUM raised`: the rule by its title.
fn said(reason: &str) -> String {
    let Some((rule, what)) = reason.split_once(' ') else { return reason.to_owned() };
    let what = match what {
        "raised" => "fired",
        "updated" => "fired again",
        "cleared" => "over",
        "retracted" => "taken back",
        _ => return reason.to_owned(),
    };
    match rule_words::by_id(rule) {
        Some((_, text)) => format!("{} ({rule}): {what}", text.title),
        None => reason.to_owned(),
    }
}

/// What a person or the rules do next.
pub(super) fn next_words(detail: &IssueDetail) -> Vec<(&'static str, &'static str)> {
    let row = &detail.row;
    if causes::is_closed(&row.state) {
        return Vec::new();
    }
    let mut next = Vec::new();
    if row.acknowledged_at.is_none() {
        next.push(("waiting", "Acknowledge"));
    }
    next.push(match (row.cleared_at.is_some(), row.family.as_str()) {
        (true, _) => ("by itself", "Closes when it has stayed well for the time its kind needs"),
        (false, "LEAK") => {
            ("after the repair", "Closes by itself: 1 h without flow, then 24 h well")
        }
        (false, "COMM") if !matches!(row.subject, Subject::Meter(_)) => {
            ("when it is heard", "Closes by itself after a day without another silence")
        }
        (false, "COMM") if row.cause == "RF_MARGINAL" => {
            ("when it is heard", "Closes by itself after a week of good delivery")
        }
        (false, "COMM") => {
            ("when it is heard", "Closes by itself after 3 readings and a day of good delivery")
        }
        (false, "BATTERY") => ("after the exchange", "Is watched for 30 days, then closes"),
        (false, "TAMPER") => ("after the inspection", "Staff close it with what they found"),
        (false, _) => ("when it is over", "Closes by itself when the readings are well again"),
    });
    next
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_history_speaks_without_codes() {
        let log = |kind: &str, to: Option<&str>, reason: &str| {
            log_words(&IssueLogRow {
                seq: 1,
                kind: kind.to_owned(),
                from_state: None,
                to_state: to.map(str::to_owned),
                at: UtcTime::default(),
                actor_kind: "engine".to_owned(),
                actor: "engine".to_owned(),
                reason: reason.to_owned(),
            })
        };
        let now = log("evidence", None, "now BATTERY_DEAD, P3");
        assert_eq!(now, ("Now battery dead, P3 medium, by the rules".to_owned(), String::new()));
        let said = log("evidence", None, "WTR-MNF raised").1;
        assert!(said.ends_with("(WTR-MNF): fired"), "{said}");
        let judged = log("transition", Some("OPEN"), store::issues::JUDGED);
        assert_eq!(judged, ("Looked at by the rules".to_owned(), String::new()));
    }

    #[test]
    fn a_leak_is_told_as_it_flows_and_as_it_flowed() {
        let told = |cause, is_over| flow_words(cause, is_over, ("Mon", "3 d"));
        let steady = "LEAK_CUSTOMER_SIDE";
        assert_eq!(told(steady, false), "Water has not stopped flowing since Mon, 3 d by now");
        assert_eq!(told(steady, true), "Water did not stop flowing from Mon, for 3 d");
        let runs = "LEAK_INTERMITTENT";
        assert_eq!(told(runs, false), "Water runs again and again since Mon, 3 d by now");
        assert_eq!(told(runs, true), "Water ran again and again from Mon, for 3 d");
    }

    #[test]
    fn causes_are_told_beside_the_most_likely_one() {
        assert_eq!(likelihoods(&[0]), [""]);
        let told = likelihoods(&[350, 330, 150, -250]);
        let want = ["most likely", "about as likely", "7 times less likely", "far less likely"];
        assert_eq!(told, want);
        // What won by the table of rules stands first, whatever its odds are.
        assert_eq!(likelihoods(&[50, 200]), ["most likely", "about as likely"]);
        assert!(likelihoods(&[]).is_empty());
    }
}
