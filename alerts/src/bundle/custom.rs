//! `[[custom]]` and `[[test]]`: operators' own rules and the tests of a bundle.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use metering::{Commodity, Severity, Tag};
use toml::de::{DeTable, DeValue};

use super::read::{Reader, decimal};
use super::{Bundle, BundleTest, CustomRule, Expected, GivenValue, rules};
use crate::cause::Cause;
use crate::expr::{BinaryOp, Expr, FeatureSource, Program, Truth, Value, compile, parse};
use crate::features::{Cadence, FEATURES, Feature, FeatureType};
use crate::params::{Mode, PARAMS};
use crate::rule::RuleId;

const KEYS: [&str; 14] = [
    "id",
    "name",
    "scope",
    "when",
    "cadence",
    "for",
    "keep_for",
    "rearm",
    "severity",
    "opens",
    "billing",
    "mode",
    "enabled",
    "exclude_tags",
];

/// Causes of other subjects than a meter, and notices.
const NOT_OF_A_METER: [Cause; 11] = [
    Cause::CollectorOutage,
    Cause::Backhaul,
    Cause::HeadendOutage,
    Cause::HeadendClock,
    Cause::PowerOutage,
    Cause::FirmwareCohort,
    Cause::DmaLeak,
    Cause::UnaccountedEnergy,
    Cause::UnaccountedWater,
    Cause::SewerInflow,
    Cause::WeatherEvent,
];

/// Most rules of one bundle.
const RULES_MAX: usize = 96;

pub(super) fn rule(
    reader: &mut Reader<'_>,
    (span, table): (Range<usize>, &DeTable<'_>),
    bundle: &mut Bundle,
) {
    reader.known_keys(table, "[[custom]]", &KEYS);
    let id = reader.text_of(table, "id", "[[custom]]").unwrap_or_default();
    let Some(id) = RuleId::from_name(&id).filter(|id| id.is_operators()) else {
        reader.fault(span, "[[custom]] id is OP-0001 to OP-0096");
        return;
    };
    if bundle.custom.iter().any(|other| other.id == id) || bundle.custom.len() >= RULES_MAX {
        reader.fault(span, format!("rule {id} stands in the bundle twice"));
        return;
    }
    let what = format!("rule {id}");
    let name = reader.text_of(table, "name", &what).unwrap_or_default();
    if name.is_empty() || name.len() > 80 {
        rules::fault_of(reader, table, "name", format!("{what}: name has 1 to 80 letters"));
    }
    let scope = expression(reader, &what, (table, "scope"));
    let Some(when) = expression(reader, &what, (table, "when")) else {
        reader.fault(span, format!("{what}: `when` says what is wrong"));
        return;
    };
    let patch = rules::settings(reader, &what, table);
    let cadence = cadence(reader, &what, table);
    let opens = opens(reader, &what, (table, span.clone()));
    if reader.text_of(table, "billing", &what).is_some_and(|billing| billing != "none") {
        let message = format!("{what}: an operator's rule holds no bill: billing is \"none\"");
        rules::fault_of(reader, table, "billing", message);
    }
    let exclude_tags = reader.tags_of(table, "exclude_tags", &what).unwrap_or_default();
    let whole = match &scope {
        Some(scope) => Expr::Binary(BinaryOp::And, Box::new(scope.clone()), Box::new(when.clone())),
        None => when.clone(),
    };
    let program = match compile(&whole) {
        Ok(program) => program,
        Err(error) => {
            reader.fault(span, format!("{what}: scope and when, {error}"));
            return;
        }
    };
    let severity = patch.severity.unwrap_or(Severity::P3);
    refuse(reader, (&what, span), &program, (severity, opens, cadence));
    // A new rule is watched first (`metering-rules` 12, rule life).
    let mut patch = patch;
    patch.severity = None;
    patch.mode = Some(patch.mode.unwrap_or(Mode::Shadow));
    bundle.custom.push(CustomRule {
        id,
        name,
        scope,
        when,
        cadence,
        severity,
        opens,
        patch,
        exclude_tags,
        program,
    });
}

fn expression(
    reader: &mut Reader<'_>,
    what: &str,
    (table, key): (&DeTable<'_>, &str),
) -> Option<Expr> {
    let text = reader.text_of(table, key, what)?;
    let found = parse(&text).and_then(|expr| compile(&expr).map(|_| expr));
    match found {
        Ok(expr) => Some(expr),
        Err(error) => {
            rules::fault_of(reader, table, key, format!("{what}: {key}, {error}"));
            None
        }
    }
}

fn cadence(reader: &mut Reader<'_>, what: &str, table: &DeTable<'_>) -> Cadence {
    match reader.text_of(table, "cadence", what).as_deref() {
        None | Some("day") => Cadence::Day,
        Some("reading") => Cadence::Reading,
        Some(_) => {
            let message = format!("{what}: cadence is \"day\" or \"reading\"");
            rules::fault_of(reader, table, "cadence", message);
            Cadence::Day
        }
    }
}

fn opens(
    reader: &mut Reader<'_>,
    what: &str,
    (table, span): (&DeTable<'_>, Range<usize>),
) -> Cause {
    let word = reader.text_of(table, "opens", what).unwrap_or_default();
    let cause = word.parse::<Cause>().ok();
    let allowed = |cause: &Cause| !cause.is_outcome_only() && !NOT_OF_A_METER.contains(cause);
    cause.filter(allowed).unwrap_or_else(|| {
        let known: Vec<&str> = Cause::ALL.iter().filter(|c| allowed(c)).map(|c| c.word()).collect();
        let message = format!("{what}: opens must be a cause of a meter: {}", known.join(", "));
        reader.fault(table.get("opens").map_or(span, toml::Spanned::span), message);
        Cause::HighConsumption
    })
}

/// What an operator's rule may not do.
fn refuse(
    reader: &mut Reader<'_>,
    (what, span): (&str, Range<usize>),
    program: &Program,
    (severity, opens, cadence): (Severity, Cause, Cadence),
) {
    if cadence == Cadence::Reading
        && let Some(late) = program.features().find(|f| f.info().cadence == Cadence::Day)
    {
        let name = late.info().name;
        let message = format!("{what}: `{name}` is known at day close only: cadence is \"day\"");
        reader.fault(span.clone(), message);
    }
    let may_be_gas = program.truth(&OnlyKind(Commodity::Gas)) != Truth::False;
    if severity == Severity::P1 && may_be_gas {
        let message =
            format!("{what}: P1 of gas is not for operators' rules: scope needs kind != \"gas\"");
        reader.fault(span, message);
    } else if severity == Severity::P1 && opens.family() == Some(crate::cause::Family::Gas) {
        reader.fault(span, format!("{what}: P1 of gas is not for operators' rules"));
    }
}

/// A meter of which nothing is known but its commodity.
struct OnlyKind(Commodity);

impl FeatureSource for OnlyKind {
    fn value(&self, feature: Feature) -> Value<'_> {
        if feature == Feature::Kind { Value::Text(self.0.word()) } else { Value::Unknown }
    }

    fn has_tag(&self, _: Tag) -> bool {
        true
    }
}

pub(super) fn test(
    reader: &mut Reader<'_>,
    (span, table): (Range<usize>, &DeTable<'_>),
    bundle: &mut Bundle,
) {
    reader.known_keys(table, "[[test]]", &["name", "rule", "given", "expect"]);
    let name = reader.text_of(table, "name", "[[test]]").unwrap_or_default();
    let what = format!("test `{name}`");
    let rule = reader.text_of(table, "rule", &what).unwrap_or_default();
    let Some(rule) = RuleId::from_name(&rule) else {
        reader.fault(span, format!("{what}: there is no rule `{rule}`"));
        return;
    };
    if rule.is_operators() && !bundle.custom.iter().any(|own| own.id == rule) {
        reader.fault(span, format!("{what}: the bundle has no rule {rule}"));
        return;
    }
    let (given, tags) = given(reader, &what, table);
    let Some(expect) = expected(reader, &what, rule, (table, span.clone())) else { return };
    let line = reader.line_of(span.start);
    bundle.tests.push(BundleTest { name, rule, given, tags, expect, line });
}

fn given(
    reader: &mut Reader<'_>,
    what: &str,
    table: &DeTable<'_>,
) -> (BTreeMap<String, GivenValue>, BTreeSet<Tag>) {
    let mut all = BTreeMap::new();
    let Some(DeValue::Table(given)) = table.get("given").map(toml::Spanned::get_ref) else {
        return (all, BTreeSet::new());
    };
    for (key, field) in given {
        let name = key.get_ref().as_ref();
        if name == "tags" {
            continue;
        }
        let Some(feature) = Feature::from_name(name) else {
            let near = super::nearest(name, FEATURES.iter().map(|info| info.name));
            let hint = near.map_or(String::new(), |near| format!("; did you mean `{near}`?"));
            reader.fault(key.span(), format!("{what}: there is no feature `{name}`{hint}"));
            continue;
        };
        let value = match (feature.info().kind, field.get_ref()) {
            (FeatureType::Bool, DeValue::Boolean(value)) => Some(GivenValue::Bool(*value)),
            (FeatureType::Text(known), DeValue::String(text)) if known.contains(&text.as_ref()) => {
                Some(GivenValue::Text(text.to_string()))
            }
            (FeatureType::Number(_), value) => {
                decimal(value).map(|number| GivenValue::Number(number.as_f64()))
            }
            _ => None,
        };
        match value {
            Some(value) => {
                all.insert(name.to_owned(), value);
            }
            None => {
                let kind = feature.info().type_text();
                reader.fault(field.span(), format!("{what}: `{name}` is {kind}"));
            }
        }
    }
    let tags = reader.tags_of(given, "tags", what).unwrap_or_default();
    (all, tags)
}

fn expected(
    reader: &mut Reader<'_>,
    what: &str,
    rule: RuleId,
    (table, span): (&DeTable<'_>, Range<usize>),
) -> Option<Expected> {
    let field = table.get("expect").map(toml::Spanned::get_ref);
    let found = match (rule.is_operators(), field) {
        (true, Some(DeValue::Boolean(value))) => {
            Some(Expected::Truth(if *value { Truth::True } else { Truth::False }))
        }
        (true, Some(DeValue::String(word))) if word.as_ref() == "unknown" => {
            Some(Expected::Truth(Truth::Unknown))
        }
        (false, Some(DeValue::Table(values))) => values
            .iter()
            .map(|(key, value)| {
                let key = key.get_ref().as_ref();
                PARAMS.iter().find(|info| info.rule == rule.name && info.key == key)?;
                Some((key.to_owned(), decimal(value.get_ref())?.times(1)?))
            })
            .collect::<Option<BTreeMap<_, _>>>()
            .map(Expected::Values),
        _ => None,
    };
    if found.is_none() {
        let message = if rule.is_operators() {
            format!("{what}: expect is true, false or \"unknown\"")
        } else {
            format!("{what}: expect is a table of parameters of {rule}, as {{ key = number }}")
        };
        reader.fault(span, message);
    }
    found
}
