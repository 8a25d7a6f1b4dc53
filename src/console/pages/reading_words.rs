//! What a rule of a closed day found, with its numbers, in words.

use metering::{LocalCalendar, Outcome, ReadingType, UtcTime};
use store::day::DayHold;
use store::views::review::DayFinding;
use vee::rules::kind;

use crate::console::measure;
use crate::console::rule_words;
use crate::console::words;

/// `Spike in a day: highest 9.32 kWh`.
pub(super) fn finding_words(finding: &DayFinding, reading_type: ReadingType) -> String {
    let title = rule_words::of(finding.rule).map_or("An unknown rule", |text| text.title);
    let number = number_words(finding, reading_type);
    let weak = if finding.outcome == Outcome::Warn { " (warning)" } else { "" };
    if number.is_empty() { format!("{title}{weak}") } else { format!("{title}: {number}{weak}") }
}

/// What a check holds: the rule's id, and `interval values, 14:00 – 15:00`.
pub(super) fn hold_line(
    hold: &DayHold,
    now: UtcTime,
    calendar: &LocalCalendar,
) -> (String, String) {
    let zone = calendar.zone();
    let what = match hold.kind.as_str() {
        "interval" => "interval values",
        "demand" => "demand",
        "tou_split" => "the split into rates",
        _ => "the day, until somebody has looked",
    };
    let id = hold.rule.and_then(rule_words::of).map(|text| text.id.to_owned());
    let released = match &hold.released {
        Some((who, at, note)) => {
            format!("; released by {who} {}: {note}", words::stamp(*at, now, zone))
        }
        None => String::new(),
    };
    let span = words::span(hold.from, hold.to, now, zone);
    (id.unwrap_or_default(), format!("{what}, {span}{released}"))
}

/// The number that the rule gives; its meaning depends on rule and condition (`vee::rules::kind`).
fn number_words(finding: &DayFinding, reading_type: ReadingType) -> String {
    let detail = finding.detail;
    let quantity = || measure::quantity(reading_type, detail);
    let kind = u8::try_from(finding.kind).unwrap_or(0);
    match (finding.rule.get(), kind) {
        (6, kind::FLAG_TEST) => format!("test mode for {}", words::duration(detail)),
        (6, _) => words::count(detail, "interval", "intervals"),
        (8, kind::DST_MISSING) => format!("{} missing at the change", slots(detail)),
        (8, kind::DST_TWICE) => format!("{} twice at the change", slots(detail)),
        (13, kind::SUM_MISSING_PULSES) => {
            format!("intervals {} below the register", share(-detail))
        }
        (13, _) if detail < 0 => format!("intervals {} below the register", share(-detail)),
        (13, _) => format!("intervals {} above the register", share(detail)),
        (15 | 17, _) => format!("{} % of the reference", words::thousands(detail)),
        (16, kind::SPIKE_CONFIRMED) => {
            format!("highest {}, confirmed by the register", quantity())
        }
        (16, _) => format!("highest {}", quantity()),
        (18, _) if detail > 0 => format!("zero for {}", words::duration(detail)),
        (19, _) => format!("{} used", quantity()),
        (21, kind::FLAT_IDENTICAL) => format!("the same for {}", words::duration(detail)),
        (21, kind::FLAT_SPREAD) => format!("hardly varies around {}", quantity()),
        (22, kind::PF_REACTIVE_ONLY) => {
            format!("reactive energy alone for {}", words::duration(detail))
        }
        (22, _) => format!("power factor {}.{:03}", detail / 1_000, detail.unsigned_abs() % 1_000),
        (24, _) => words::count(detail, "day", "days"),
        _ => String::new(),
    }
}

fn slots(count: i64) -> String {
    words::count(count, "interval", "intervals")
}

/// Thousandths as per cent.
fn share(permille: i64) -> String {
    let permille = permille.unsigned_abs();
    format!("{}.{} %", permille / 10, permille % 10)
}

#[cfg(test)]
mod tests {
    use metering::{RuleNo, UtcTime};

    use super::*;

    fn said(rule: u8, kind: i16, detail: i64) -> String {
        let at = UtcTime::from_seconds(0);
        let rule = RuleNo::new(rule).unwrap();
        let finding = DayFinding { rule, outcome: Outcome::Fail, kind, from: at, to: at, detail };
        finding_words(&finding, ReadingType::VOLUME)
    }

    #[test]
    fn numbers_are_told_by_rule_and_condition() {
        assert_eq!(said(16, 1, 9_320_000), "Spike in a day: highest 9.32 m³");
        assert_eq!(
            said(13, 3, 646),
            "Intervals do not add up to the register: intervals 64.6 % above the register"
        );
        assert_eq!(said(23, 0, 0), "Interval missing");
    }
}
