//! The report of `headend rules backtest`.

use jiff::tz::TimeZone;
use metering::Subject;

use super::reads::stamp;
use crate::output::{Cell, List, OutputFormat};
use crate::services::rules::backtest::{Report, Said};

/// One measure with its value under both bundles.
struct Line {
    measure: String,
    candidate: String,
    active: String,
}

/// Prints the report: a line for each measure, the candidate beside the active rules.
pub(super) fn print(report: &Report, zone: &TimeZone, format: OutputFormat) -> anyhow::Result<()> {
    let mut list = List::new(&["measure", "candidate", "active"]);
    for line in lines(report, zone) {
        list.push(vec![
            Cell::text(line.measure),
            Cell::text(line.candidate),
            Cell::text(line.active),
        ]);
    }
    list.print(format)?;
    Ok(())
}

fn lines(report: &Report, zone: &TimeZone) -> Vec<Line> {
    let mut all = Vec::new();
    let mut both = |measure: &str, of: &dyn Fn(&Said) -> String| {
        let (candidate, active) = (of(&report.candidate), of(&report.active));
        all.push(Line { measure: measure.to_owned(), candidate, active });
    };
    let days = (report.to.seconds_since(report.from)).max(1);
    let per_day = |count: u64| {
        let hundredths = i128::from(count) * 100 * 86_400 / i128::from(days);
        format!("{}.{:02}", hundredths / 100, hundredths % 100)
    };
    both("version", &|said| said.version.clone());
    both("from", &|_| stamp(report.from, zone));
    both("to", &|_| stamp(report.to, zone));
    both("learned from", &|_| stamp(report.learned_from, zone));
    for (at, name) in ["P1", "P2", "P3", "P4"].into_iter().enumerate() {
        both(&format!("alerts a day {name}"), &|said| per_day(said.by_severity[at]));
    }
    both("alerts annunciated", &|said| said.annunciated().to_string());
    both("alerts for the record", &|said| said.record_only.to_string());
    both("alerts of shadow rules", &|said| said.shadow.to_string());
    both("alerts withdrawn", &|said| said.retracted.to_string());
    both("windows of 10 min in flood", &|said| {
        format!("{} of {}", said.flood_windows, said.windows)
    });
    let rules = report.candidate.by_rule.keys().chain(report.active.by_rule.keys());
    let rules: std::collections::BTreeSet<&&'static str> = rules.collect();
    for rule in rules {
        both(&format!("alerts of {rule}"), &|said| {
            said.by_rule.get(*rule).copied().unwrap_or(0).to_string()
        });
    }
    all.push(Line {
        measure: "said by both".to_owned(),
        candidate: report.both.to_string(),
        active: report.both.to_string(),
    });
    all.push(Line {
        measure: "said by this one only".to_owned(),
        candidate: report.only_candidate.to_string(),
        active: report.only_active.to_string(),
    });
    // A version that changes only these shows no difference.
    all.push(Line {
        measure: "rules #1 to #24".to_owned(),
        candidate: "not tried again".to_owned(),
        active: "not tried again".to_owned(),
    });
    for at in 0..report.candidate.top.len().max(report.active.top.len()) {
        let of = |said: &Said| said.top.get(at).map_or(String::new(), top);
        let (candidate, active) = (of(&report.candidate), of(&report.active));
        all.push(Line { measure: format!("most alerts {}", at + 1), candidate, active });
    }
    all
}

fn top((subject, count): &(Subject, u64)) -> String {
    match subject {
        Subject::Headend => format!("head-end: {count}"),
        other => format!("{} {}: {count}", other.kind(), other.number()),
    }
}
