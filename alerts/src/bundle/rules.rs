//! `[engine]` and `[rules.X]`: parameters and settings of rules of the catalogue.

use std::collections::BTreeMap;

use metering::Severity;
use toml::de::{DeTable, DeValue};

use super::read::{Field, Reader, decimal};
use super::{Bundle, CONDITIONS_MAX, Foreign, Override, Patch, number};
use crate::expr::{compile, parse};
use crate::features::Cadence;
use crate::params::{Mode, PARAMS, ParamInfo};
use crate::rule::{Judge, RuleId};

/// Keys that every rule has.
pub(super) const COMMON: [&str; 8] =
    ["enabled", "mode", "severity", "for", "keep_for", "rearm", "min_samples", "exclude_tags"];

/// A key that stands for parameters under another name: rule, key, parameters (a list when there
/// are several), and by what a number is multiplied.
struct Alias {
    rule: &'static str,
    key: &'static str,
    targets: &'static [&'static str],
    scale: i64,
}

const fn alias(
    rule: &'static str,
    key: &'static str,
    targets: &'static [&'static str],
    scale: i64,
) -> Alias {
    Alias { rule, key, targets, scale }
}

const ALIASES: &[Alias] = &[
    alias("WTR-CONT", "q_min_lph", &["cont_min_mlph"], 1_000),
    alias("WTR-CONT", "window_h", &["cont_window_h"], 1),
    alias("WTR-CONT", "bands_lph", &["cont_p3_mlph", "cont_p2_mlph", "cont_p1_mlph"], 1_000),
    alias("WTR-CONT", "clear_zero_min", &["cont_clear_s"], 60),
    alias("VAR-HIGH", "min_samples", &["var_days_min"], 1),
    alias("VAR-LOW", "min_samples", &["var_days_min"], 1),
    alias("MTR-STOP", "min_samples", &["stop_days_min"], 1),
    alias("WTR-BURST", "min_samples", &["burst_hours_min"], 1),
    alias("INT-SPIKE", "min_samples", &["spike_slots_min"], 1),
    alias("INT-HILO", "min_samples", &["hilo_history_days"], 1),
    alias("VAR-BILL", "min_samples", &["bill_days_min"], 1),
    alias("MTR-SLOW", "min_samples", &["slow_months"], 1),
    alias("TMP-XFMR", "min_samples", &["xfmr_days_min"], 1),
    alias("WTR-CUSUM", "min_samples", &["cusum_nights"], 1),
    alias("DMA-MNF", "min_samples", &["dma_nights_min"], 1),
    alias("GAS-HIGH", "min_samples", &["gas_high_hours_min"], 1),
    alias("BAT-PROJ", "min_samples", &["cell_points_min"], 1),
    alias("COM-STALE", "min_samples", &["silence_k_min"], 1),
    alias("COM-COLL", "min_samples", &["collector_stale_min"], 1),
    alias("PWR-AREA", "min_samples", &["outage_transformer_min"], 1),
    alias("COM-CLASSIFY", "min_samples", &["cohort_min"], 1),
    alias("SWR-II", "min_samples", &["sewer_days_min"], 1),
];

/// Rules whose `keep_for` is a parameter of their own, in hours.
const KEEP_FOR: [(&str, &str); 1] = [("WTR-CONT", "cont_keep_for_h")];

pub(super) fn engine(reader: &mut Reader<'_>, table: &DeTable<'_>, bundle: &mut Bundle) {
    for (key, field) in table {
        let name = key.get_ref().as_ref();
        let known = PARAMS.iter().find(|info| info.rule == "engine" && info.key == name);
        match known {
            Some(info) => {
                if let Some(value) = value(reader, (info, name), field, 1) {
                    bundle.engine.insert(name.to_owned(), value);
                }
            }
            None => unknown(reader, key.span(), ("engine", name), &[]),
        }
    }
}

pub(super) fn all(reader: &mut Reader<'_>, table: &DeTable<'_>, bundle: &mut Bundle) {
    for (key, field) in table {
        let name = key.get_ref().as_ref();
        let known = RuleId::from_name(name).filter(|id| !id.is_operators());
        let Some(id) = known else {
            let names = crate::rule::CATALOGUE.iter().map(|info| info.id.name);
            let hint = super::nearest(name, names)
                .map_or(String::new(), |near| format!("; did you mean `{near}`?"));
            reader.fault(key.span(), format!("there is no rule `{name}`{hint}"));
            continue;
        };
        let DeValue::Table(inner) = field.get_ref() else {
            reader.fault(field.span(), format!("rule {name} must be a table: [rules.{name}]"));
            continue;
        };
        let patch = patch(reader, id, inner);
        refuse_mandatory(reader, id, (&patch, key.span()));
        if let Some(tags) = reader.tags_of(inner, "exclude_tags", &format!("rule {name}")) {
            if id.info().is_some_and(crate::rule::RuleInfo::is_mandatory) {
                reader.fault(key.span(), format!("rule {name} is mandatory: it leaves out none"));
            }
            bundle.exclude_tags.insert(id.no, tags);
        }
        if !patch.is_empty() {
            bundle.rules.insert(id.no, patch);
        }
        overrides(reader, id, inner, bundle);
    }
    if bundle.overrides.len() + bundle.exclude_tags.len() > CONDITIONS_MAX {
        let message = format!("at most {CONDITIONS_MAX} overrides and exclude_tags are allowed");
        reader.fault(0..0, message);
    }
}

fn refuse_mandatory(
    reader: &mut Reader<'_>,
    id: RuleId,
    (patch, span): (&Patch, std::ops::Range<usize>),
) {
    let mandatory = id.info().is_some_and(crate::rule::RuleInfo::is_mandatory);
    if mandatory && (patch.enabled == Some(false) || patch.mode == Some(Mode::Shadow)) {
        let message = format!("rule {id} is mandatory: it cannot be off or in shadow");
        reader.fault(span, message);
    }
}

fn overrides(reader: &mut Reader<'_>, id: RuleId, table: &DeTable<'_>, bundle: &mut Bundle) {
    for (span, one) in reader.tables(table, "override") {
        let what = format!("rule {id}, override");
        let Some(text) = reader.text_of(one, "when", &what) else {
            reader.fault(span, format!("{what}: `when` says for which meters"));
            continue;
        };
        let when = match parse(&text) {
            Ok(when) => when,
            Err(error) => {
                reader.fault(span, format!("{what}: when, {error}"));
                continue;
            }
        };
        let program = match compile(&when) {
            Ok(program) => program,
            Err(error) => {
                reader.fault(span, format!("{what}: when, {error}"));
                continue;
            }
        };
        let fleeting = program.features().find(|f| f.info().cadence != Cadence::Asset);
        if let Some(feature) = fleeting {
            let name = feature.info().name;
            let message = format!("{what}: `{name}` changes with readings; use asset features");
            reader.fault(span, message);
            continue;
        }
        let patch = patch(reader, id, one);
        refuse_mandatory(reader, id, (&patch, span));
        bundle.overrides.push(Override { rule: id, when, program, patch });
    }
}

/// Settings and parameters of a table.
fn patch(reader: &mut Reader<'_>, id: RuleId, table: &DeTable<'_>) -> Patch {
    let what = format!("rule {id}");
    let mut patch = settings(reader, &what, table);
    if let Some(field) = table.get("keep_for")
        && let Some((_, key)) = KEEP_FOR.iter().find(|(rule, _)| *rule == id.name)
        && let Some(seconds) = patch.keep_for_s.take()
        && let Some(info) = PARAMS.iter().find(|info| info.key == *key)
    {
        if seconds % 3_600 == 0 && (info.min..=info.max).contains(&(seconds / 3_600)) {
            patch.values.insert((*key).to_owned(), seconds / 3_600);
        } else {
            let (min, max) = (info.min, info.max);
            reader
                .fault(field.span(), format!("{what}: keep_for is {min}h to {max}h, whole hours"));
        }
    }
    for (key, field) in table {
        let name = key.get_ref().as_ref();
        let aliased = ALIASES.iter().find(|alias| alias.rule == id.name && alias.key == name);
        if let Some(alias) = aliased {
            if let Some(twice) = alias.targets.iter().find(|target| table.contains_key(**target)) {
                let message = format!("{what}: `{name}` and `{twice}` are the same; keep one");
                reader.fault(key.span(), message);
            }
            alias_values(reader, alias, field, &mut patch.values);
        } else if name == "min_samples" {
            reader.fault(key.span(), format!("{what} counts no samples: it has no min_samples"));
        } else if COMMON.contains(&name) || name == "override" || name == "when" {
        } else {
            own_value(reader, id, (key.span(), name), field, &mut patch.values);
        }
    }
    patch
}

/// `enabled`, `mode`, `severity`, `for`, `keep_for`, `rearm`.
pub(super) fn settings(reader: &mut Reader<'_>, what: &str, table: &DeTable<'_>) -> Patch {
    let mut patch = Patch { enabled: reader.bool_of(table, "enabled", what), ..Patch::default() };
    if let Some(word) = reader.text_of(table, "mode", what) {
        patch.mode = match word.as_str() {
            "live" => Some(Mode::Live),
            "shadow" => Some(Mode::Shadow),
            _ => None,
        };
        if patch.mode.is_none() {
            fault_of(reader, table, "mode", format!("{what}: mode is \"live\" or \"shadow\""));
        }
    }
    if let Some(word) = reader.text_of(table, "severity", what) {
        patch.severity = severity(&word);
        if patch.severity.is_none() {
            fault_of(reader, table, "severity", format!("{what}: severity is \"P1\" to \"P4\""));
        }
    }
    patch.for_s = reader.seconds_of(table, "for", what);
    patch.keep_for_s = reader.seconds_of(table, "keep_for", what);
    patch.rearm_s = reader.seconds_of(table, "rearm", what);
    patch
}

fn severity(word: &str) -> Option<Severity> {
    word.strip_prefix('P')?.parse().ok().and_then(Severity::from_number)
}

pub(super) fn fault_of(reader: &mut Reader<'_>, table: &DeTable<'_>, key: &str, message: String) {
    let span = table.get(key).map_or(0..0, toml::Spanned::span);
    reader.fault(span, message);
}

fn own_value(
    reader: &mut Reader<'_>,
    id: RuleId,
    (span, name): (std::ops::Range<usize>, &str),
    field: Field<'_>,
    values: &mut BTreeMap<String, i64>,
) {
    let own = PARAMS.iter().find(|info| info.rule == id.name && info.key == name);
    let judged_elsewhere = id.info().is_some_and(|info| info.judge() == Judge::Vee);
    let foreign: &[ParamInfo] = match reader.foreign {
        Foreign::Known(all) => all,
        Foreign::Ignore => &[],
    };
    let foreign = foreign.iter().find(|info| info.rule == id.name && info.key == name);
    if let Some(info) = own.or(foreign) {
        if let Some(value) = value(reader, (info, name), field, 1) {
            values.insert(name.to_owned(), value);
        }
    } else if judged_elsewhere && matches!(reader.foreign, Foreign::Ignore) {
        if let Some(value) = decimal(field.get_ref()).and_then(|number| number.times(1)) {
            values.insert(name.to_owned(), value);
        }
    } else {
        let known: Vec<&'static str> = match reader.foreign {
            Foreign::Known(all) => {
                all.iter().filter(|info| info.rule == id.name).map(|info| info.key).collect()
            }
            Foreign::Ignore => Vec::new(),
        };
        unknown(reader, span, (id.name, name), &known);
    }
}

fn unknown(
    reader: &mut Reader<'_>,
    span: std::ops::Range<usize>,
    (rule, name): (&str, &str),
    foreign: &[&'static str],
) {
    let own = PARAMS.iter().filter(|info| info.rule == rule).map(|info| info.key);
    let own_name = |alias: &&Alias| alias.rule == rule && !COMMON.contains(&alias.key);
    let aliases = ALIASES.iter().filter(own_name).map(|alias| alias.key);
    let mut known: Vec<&'static str> = own.chain(aliases).chain(foreign.iter().copied()).collect();
    if rule != "engine" {
        known.extend(COMMON);
    }
    let hint = match super::nearest(name, known.iter().copied()) {
        Some(near) => match PARAMS.iter().find(|info| info.rule == rule && info.key == near) {
            Some(info) => format!("did you mean `{near}`{}?", range_text(info)),
            None => format!("did you mean `{near}`?"),
        },
        None => format!("its keys are {}", known.join(", ")),
    };
    reader.fault(span, format!("rule {rule} has no key `{name}`; {hint}"));
}

fn range_text(info: &ParamInfo) -> String {
    format!(" ({} to {} {})", info.min, info.max, info.unit).replace(" )", ")")
}

/// A number in the unit of its parameter and in its range.
fn value(
    reader: &mut Reader<'_>,
    (info, name): (&ParamInfo, &str),
    field: Field<'_>,
    scale: i64,
) -> Option<i64> {
    let found = match field.get_ref() {
        DeValue::String(text) => number::in_unit(text, info.unit),
        DeValue::Boolean(value) if (info.min, info.max) == (0, 1) => Ok(i64::from(*value)),
        other => decimal(other)
            .and_then(|number| number.times(scale))
            .ok_or_else(|| "a whole number is needed".to_owned()),
    };
    let (rule, key) = (info.rule, info.key);
    let named = if name == key { name.to_owned() } else { format!("{name} ({key})") };
    match found {
        Ok(value) if (info.min..=info.max).contains(&value) => Some(value),
        Ok(value) => {
            let (unit, min, max) = (info.unit, info.min, info.max);
            let unit = if unit.is_empty() { String::new() } else { format!(" {unit}") };
            let message = format!("rule {rule}: {named} = {value}{unit} is outside {min} to {max}");
            reader.fault(field.span(), message);
            None
        }
        Err(why) => {
            let message = format!("rule {rule}: {named}{}: {why}", range_text(info));
            reader.fault(field.span(), message);
            None
        }
    }
}

fn alias_values(
    reader: &mut Reader<'_>,
    alias: &Alias,
    field: Field<'_>,
    values: &mut BTreeMap<String, i64>,
) {
    let fields: Vec<Field<'_>> = match (field.get_ref(), alias.targets) {
        (_, [_]) => vec![field],
        (DeValue::Array(list), targets) if list.len() == targets.len() => list.iter().collect(),
        (_, targets) => {
            let message = format!(
                "rule {}: {} is a list of {} numbers",
                alias.rule,
                alias.key,
                targets.len()
            );
            reader.fault(field.span(), message);
            return;
        }
    };
    for (target, field) in alias.targets.iter().zip(fields) {
        let foreign = match reader.foreign {
            Foreign::Known(all) => all,
            Foreign::Ignore => &[],
        };
        let known = PARAMS.iter().chain(foreign).find(|info| info.key == *target);
        let Some(info) = known else {
            // Checked when the bundle was applied.
            let number = decimal(field.get_ref()).and_then(|number| number.times(alias.scale));
            values.extend(number.map(|number| ((*target).to_owned(), number)));
            continue;
        };
        if let Some(value) = value(reader, (info, alias.key), field, alias.scale) {
            values.insert((*target).to_owned(), value);
        }
    }
}
