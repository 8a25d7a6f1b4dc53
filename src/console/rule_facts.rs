//! What holds for each rule now: mode, and each number with its unit, range and origin.

use alerts::rule::{BillingEffect, CostClass, Judge};
use alerts::{Mode, RuleInfo, RuleSettings};

use super::causes;
use super::frame::Level;
use super::refusal::Refusal;
use super::rule_words::RuleText;
use super::state::ConsoleState;
use super::words;
use crate::services::rules;

/// The rules as they hold.
#[derive(Clone, Debug)]
pub(super) struct Rulebook {
    version: String,
    params: Vec<Param>,
    settings: alerts::Params,
}

/// One number of a rule, in the unit in which people read it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Param {
    pub(super) rule: &'static str,
    pub(super) key: &'static str,
    pub(super) doc: String,
    pub(super) value: String,
    pub(super) default: String,
    pub(super) range: String,
    pub(super) unit: &'static str,
    /// From a published standard, market procedure or vendor manual.
    pub(super) standard: bool,
    /// The active version sets it otherwise than the built-in one.
    pub(super) changed: bool,
}

/// One rule as it holds.
#[derive(Clone, Debug)]
pub(super) struct RuleFacts {
    /// `live`, `shadow` or `off`.
    pub(super) mode: &'static str,
    pub(super) info: Option<&'static RuleInfo>,
    pub(super) settings: RuleSettings,
    pub(super) params: Vec<Param>,
}

impl Rulebook {
    /// The active version.
    pub(super) async fn active(console: &ConsoleState) -> Result<Self, Refusal> {
        let (version, bundle) = rules::active(&console.db).await?;
        let version = match version.as_str() {
            alerts::BUILT_IN => "the built-in version".to_owned(),
            named => format!("version {named}"),
        };
        let params = bundle.params(&alerts::Params::default());
        Ok(Self::of(version, params, &rules::limits::Limits::new(bundle).of_all()))
    }

    fn of(version: String, ours: alerts::Params, theirs: &vee::Params) -> Self {
        let of_alerts = alerts::PARAMS.iter().map(|info| Param {
            standard: info.mark == alerts::Mark::Std,
            ..Param::of(
                (info.rule, info.key, info.doc, info.unit),
                (info.min, info.max),
                (info.default, ours.get(info.key).unwrap_or(info.default)),
            )
        });
        let of_vee = vee::params::PARAMS.iter().map(|info| Param {
            standard: info.mark == vee::params::Mark::Std,
            ..Param::of(
                (info.rule, info.key, info.doc, info.unit),
                (info.min, info.max),
                (info.default, theirs.get(info.key).unwrap_or(info.default)),
            )
        });
        Self { version, params: of_vee.chain(of_alerts).collect(), settings: ours }
    }

    pub(super) fn version(&self) -> &str {
        &self.version
    }

    /// Every number, in the order of the catalogue.
    pub(super) fn params(&self) -> impl Iterator<Item = &Param> {
        self.params.iter()
    }

    pub(super) fn facts(&self, text: &RuleText) -> RuleFacts {
        let params = self.params.iter().filter(|param| param.rule == text.id).cloned().collect();
        let info = alerts::CATALOGUE.iter().find(|info| info.id.no.get() == text.no);
        let settings =
            info.map_or(RuleSettings::DEFAULT, |info| self.settings.settings(info.id.no));
        let mode = match (settings.enabled, settings.mode) {
            (false, _) => "off",
            (true, Mode::Shadow) => "shadow",
            (true, Mode::Live) => "live",
        };
        RuleFacts { mode, info, settings, params }
    }
}

impl RuleFacts {
    /// What else there is to know, as (word, value).
    pub(super) fn glance(&self) -> Vec<(&'static str, String)> {
        let Some(info) = self.info else { return Vec::new() };
        let mut facts = vec![
            ("Judged by", judged_by(info).to_owned()),
            ("For", utilities(info.utilities)),
            ("Severity", self.severity(info)),
            ("Opens", causes_of(info)),
            ("Bill", bill(info.billing).to_owned()),
        ];
        if info.is_mandatory() {
            facts.push(("Switch", "cannot be switched off".to_owned()));
        }
        let waits = [
            ("Must hold", self.settings.for_s),
            ("Must stay clear", self.settings.keep_for_s),
            ("Fires again after", self.settings.rearm_s),
        ];
        let set = waits.into_iter().filter(|(_, seconds)| *seconds > 0);
        facts.extend(set.map(|(word, seconds)| (word, words::duration(seconds))));
        facts
    }

    fn severity(&self, info: &RuleInfo) -> String {
        if let Some(set) = self.settings.severity {
            return format!("{} (set here)", Level::from(set).word);
        }
        let own: Vec<&str> = info.severities.iter().map(|own| Level::from(*own).word).collect();
        if own.is_empty() { "none of its own".to_owned() } else { own.join(", ") }
    }
}

fn judged_by(info: &RuleInfo) -> &'static str {
    match (info.judge(), info.cost) {
        (Judge::Vee, CostClass::O1) => "validation, as readings arrive",
        (Judge::Vee, _) => "validation, when a day closes",
        (Judge::Alerts, CostClass::O1) => "rule engine, as readings arrive",
        (Judge::Alerts, CostClass::Group) => "rule engine, for groups",
        (Judge::Alerts, CostClass::Event) => "rule engine, on events",
        (Judge::Alerts, _) => "rule engine, when a period closes",
    }
}

fn utilities(letters: &str) -> String {
    let words = letters.chars().filter_map(|letter| match letter {
        'E' => Some("electricity"),
        'W' => Some("water"),
        'G' => Some("gas"),
        'S' => Some("sewer"),
        _ => None,
    });
    words.collect::<Vec<_>>().join(", ")
}

fn causes_of(info: &RuleInfo) -> String {
    if info.causes.is_empty() {
        return "no issue".to_owned();
    }
    let titles: Vec<String> = info.causes.iter().map(|cause| causes::title(cause.word())).collect();
    titles.join(", ")
}

const fn bill(effect: BillingEffect) -> &'static str {
    match effect {
        BillingEffect::None => "is not touched",
        BillingEffect::Flag => "value counts, and is marked",
        BillingEffect::Hold => "value waits until it is validated, estimated or accepted",
        BillingEffect::Review => "waits for a person; values count",
    }
}

impl Param {
    fn of(
        (rule, key, doc, unit): (&'static str, &'static str, &'static str, &'static str),
        (min, max): (i64, i64),
        (default, value): (i64, i64),
    ) -> Self {
        let (told, symbol) = told(value, unit);
        Self {
            rule,
            key,
            doc: without_unit(doc),
            range: format!("{} to {}", self::told(min, unit).0, self::told(max, unit).0),
            default: self::told(default, unit).0,
            value: told,
            unit: symbol,
            standard: false,
            changed: value != default,
        }
    }
}

/// What a number means, without the stored unit that some texts name: the page shows its own.
fn without_unit(doc: &str) -> String {
    const NAMED: [&str; 14] = [
        "mL/h",
        "mL/day",
        "mL",
        "mWh/day",
        "mWh",
        "mW",
        "mV",
        "seconds",
        "hours",
        "days",
        "per cent",
        "hundredths",
        "thousandths",
        "dBm",
    ];
    NAMED.iter().fold(doc.to_owned(), |text, unit| text.replace(&format!(", in {unit}"), ""))
}

/// A stored number as people read it: milli-units in their base unit, hundredths as decimals.
pub(super) fn told(value: i64, unit: &'static str) -> (String, &'static str) {
    let in_base = [
        ("mL", "L"),
        ("mL/h", "L/h"),
        ("mL/day", "L/day"),
        ("mL/d", "L/d"),
        ("mWh", "Wh"),
        ("mWh/day", "Wh/day"),
        ("mWh/d", "Wh/d"),
        ("mW", "W"),
        ("mV", "V"),
    ];
    if let Some((_, base)) = in_base.iter().find(|(milli, _)| *milli == unit) {
        return (decimal(value, 3), base);
    }
    match unit {
        "1/100" => (decimal(value, 2), ""),
        "1/100 C" => (decimal(value, 2), "°C"),
        "1/1000" => (decimal(value, 3), ""),
        "per mille" => (decimal(value, 1), "%"),
        _ => (words::thousands(value), unit),
    }
}

fn decimal(value: i64, digits: usize) -> String {
    let size = 10_i64.pow(u32::try_from(digits).unwrap_or(0));
    let whole = words::thousands(value / size);
    let rest = value.unsigned_abs() % size.unsigned_abs();
    if rest == 0 {
        return whole;
    }
    let text = format!("{rest:0>digits$}");
    let sign = if value < 0 && value > -size { "−" } else { "" };
    format!("{sign}{whole}.{}", text.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_told_in_units_that_people_use() {
        assert_eq!(told(12_500, "mL/h"), ("12.5".to_owned(), "L/h"));
        assert_eq!(told(450, "1/100"), ("4.5".to_owned(), ""));
        assert_eq!(told(1_550, "1/100 C"), ("15.5".to_owned(), "°C"));
        assert_eq!(told(-50, "1/100"), ("−0.5".to_owned(), ""));
        assert_eq!(told(34_560_000, "s"), ("34,560,000".to_owned(), "s"));
        assert_eq!(told(50, "per mille"), ("5".to_owned(), "%"));
        assert_eq!(without_unit("Least flow, in mL/h: a drip."), "Least flow: a drip.");
    }

    #[test]
    fn every_number_belongs_to_a_rule_with_words() {
        let known: Vec<&str> = super::super::rule_words::all().map(|rule| rule.id).collect();
        for info in alerts::PARAMS {
            assert!(info.rule == "engine" || known.contains(&info.rule), "{}", info.rule);
        }
        for info in vee::params::PARAMS {
            assert!(known.contains(&info.rule), "{}", info.rule);
        }
    }
}
