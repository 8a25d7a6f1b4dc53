//! `headend rules`: what the rules are, and how they are changed.

use std::path::Path;
use std::time::Duration;

use alerts::features::FEATURES;
use alerts::rule::Judge;
use alerts::{Bundle, CATALOGUE, Mode, PARAMS, Params, RuleId, RuleInfo, RuleSettings};
use jiff::tz::TimeZone;
use metering::UtcTime;
use store::Database;
use store::rules::BundleRow;

use super::exit::{Exit, Failure};
use super::reads::{range_of, stamp};
use super::rules_args::{RulesVerb, ShadowVerb, Who};
use super::{rules_shadow, rules_weather};
use crate::config::Config;
use crate::output::{Cell, List, OutputFormat, Record, remark, say};
use crate::services::rules::trials::Progress;
use crate::services::rules::{self, Person, RulesError, backtest};

/// A backtest that takes longer tells how far it is, so often.
const TELL_EVERY: Duration = Duration::from_secs(5);
/// What is tried without `--from`.
const BACKTEST_S: i64 = 14 * 86_400;

/// Verbs that need no database.
pub(super) fn run_offline(verb: &RulesVerb) -> anyhow::Result<()> {
    match verb {
        RulesVerb::Features { output } => features(output.format()),
        RulesVerb::Check { file } => check(file),
        RulesVerb::Test { file } => test(file),
        _ => Ok(()),
    }
}

/// What is asked of a head-end that has no database yet: the rules as they are built in.
pub(super) fn run_built_in(verb: &RulesVerb, config: &Config) -> anyhow::Result<()> {
    let built_in = (alerts::BUILT_IN.to_owned(), Bundle::default());
    match verb {
        RulesVerb::List { output } => list(&built_in, output.format())?,
        RulesVerb::Show { name, output } => {
            let id = named(name).ok_or_else(|| unknown(name))?;
            show_rule(id, &built_in.1, output.format())?;
        }
        _ => return Ok(()),
    }
    remark!("there is no database in {}: these are the built-in rules", config.data.dir.display());
    Ok(())
}

pub(super) async fn run(
    database: &Database,
    verb: &RulesVerb,
    account: &str,
    (zone, now): (&TimeZone, UtcTime),
) -> anyhow::Result<()> {
    match verb {
        RulesVerb::List { output } => list(&rules::active(database).await?, output.format()),
        RulesVerb::Show { name, output } => show(database, name, output.format()).await,
        RulesVerb::Apply { file, who, dry_run, force, approved_by, output } => {
            let text = read(file)?;
            if *dry_run {
                return rehearse(database, (file, &text), output.format()).await;
            }
            let person = Person { approved_by: approved_by.as_deref(), ..who.person(account, now) };
            let before = store::rules::active(database).await?;
            let row = rules::apply(database, &text, person, *force)
                .await
                .map_err(|error| failure(file, error))?;
            if before.is_some_and(|before| before.bundle_no == row.bundle_no) {
                let since = stamp(row.applied_at, zone);
                say!("rules {} hold already, since {since}: nothing was changed", row.version)?;
                return Ok(());
            }
            begun(&row, zone)
        }
        RulesVerb::Backtest { file, from, to, output } => {
            let (start, end) = range_of((from, to), BACKTEST_S, zone, now)?;
            if from.is_none() {
                let (start, end) = (stamp(start, zone), stamp(end, zone));
                remark!("backtest of {start} to {end}: --from asks for another stretch");
            }
            try_past(database, file, (start, end), (zone, output.format())).await
        }
        RulesVerb::Shadow { list: Some(ShadowVerb::List { rule, limit, output }), .. } => {
            let what = (rule.as_deref(), *limit);
            rules_shadow::list(database, what, (zone, output.format())).await
        }
        RulesVerb::Shadow { file, who, .. } => {
            rules_shadow::run(database, file.as_deref(), who, (account, now)).await
        }
        RulesVerb::Rollback { version, who, approved_by } => {
            let person = Person { approved_by: approved_by.as_deref(), ..who.person(account, now) };
            let row = rules::rollback(database, version, person)
                .await
                .map_err(|error| failure(Path::new(version), error))?;
            begun(&row, zone)
        }
        RulesVerb::Weather { file } => rules_weather::load(database, file, now).await,
        RulesVerb::History { limit, output } => {
            history(database, *limit, (zone, output.format())).await
        }
        RulesVerb::Features { .. } | RulesVerb::Check { .. } | RulesVerb::Test { .. } => Ok(()),
    }
}

/// The engine changes its rules where the change stands in the log, not at a time of the clock.
fn begun(row: &BundleRow, zone: &TimeZone) -> anyhow::Result<()> {
    let since = stamp(row.applied_at, zone);
    say!("rules {} hold since {since} (log record {})", row.version, row.log_seq)?;
    Ok(())
}

impl Who {
    pub(super) fn person<'a>(&'a self, account: &'a str, now: UtcTime) -> Person<'a> {
        let actor = self.actor.as_deref().unwrap_or(account);
        Person { actor, approved_by: None, reason: &self.reason, now }
    }
}

pub(super) fn read(file: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(file).map_err(|error| {
        Failure::because(Exit::Io, format!("cannot read {}", file.display()), error)
    })
}

/// Faults of a text begin with the file and the line, so that editors find them.
pub(super) fn failure(file: &Path, error: RulesError) -> anyhow::Error {
    let name = file.display();
    let message = match &error {
        RulesError::Text(errors) => {
            let lines = errors.0.iter().map(|one| format!("{name}:{}: {}", one.line, one.message));
            lines.collect::<Vec<_>>().join("\n")
        }
        RulesError::Tests(failed) => {
            let line = |one: &alerts::bundle::Failed| {
                format!("{name}:{}: test `{}`: {}", one.line, one.name, one.why)
            };
            failed.iter().map(line).collect::<Vec<_>>().join("\n")
        }
        RulesError::NoReason => {
            return Failure::new(Exit::Usage, "say why with --reason").into();
        }
        RulesError::NotWatched(_) | RulesError::NotApproved { .. } => error.to_string(),
        RulesError::Store(_) => {
            // The store knows whether it was away or refused.
            return match error {
                RulesError::Store(inner) => inner.into(),
                other => other.into(),
            };
        }
    };
    Failure::new(Exit::Data, message).into()
}

fn check(file: &Path) -> anyhow::Result<()> {
    let bundle = rules::parse(&read(file)?).map_err(|error| failure(file, error))?;
    say!("{}: ok, version {}, hash {}", file.display(), bundle.version, bundle.hash())?;
    say!(
        "rules changed: {}, overrides: {}, operators' rules: {}, tests: {}",
        bundle.rules.len(),
        bundle.overrides.len(),
        bundle.custom.len(),
        bundle.tests.len()
    )?;
    for rule in &bundle.custom {
        let mode = if rule.patch.mode == Some(Mode::Live) { "live" } else { "shadow" };
        say!("{} {}: {} operations, {mode}", rule.id, rule.name, rule.cost())?;
    }
    Ok(())
}

fn test(file: &Path) -> anyhow::Result<()> {
    let bundle = rules::ready(&read(file)?).map_err(|error| failure(file, error))?;
    let count = bundle.tests.len();
    let tests = if count == 1 { "test" } else { "tests" };
    say!("{}: {count} {tests} passed", file.display())?;
    Ok(())
}

fn features(format: OutputFormat) -> anyhow::Result<()> {
    let mut list = List::new(&["feature", "type", "known", "meaning"]);
    for info in FEATURES {
        list.push(vec![
            Cell::text(info.name),
            Cell::text(info.type_text()),
            Cell::text(info.cadence.word()),
            Cell::text(info.doc),
        ]);
    }
    list.print(format)?;
    Ok(())
}

fn joined<T: ToString>(all: &[T]) -> String {
    all.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

fn mode(settings: RuleSettings) -> &'static str {
    match (settings.enabled, settings.mode) {
        (false, _) => "off",
        (true, Mode::Live) => "live",
        (true, Mode::Shadow) => "shadow",
    }
}

fn list((version, bundle): &(String, Bundle), format: OutputFormat) -> anyhow::Result<()> {
    let params = bundle.params(&Params::default());
    let mut list = List::new(&[
        "no",
        "rule",
        "title",
        "for",
        "cost",
        "severity",
        "causes",
        "billing",
        "judged_by",
        "mode",
    ]);
    for info in CATALOGUE {
        list.push(catalogue_row(info, params.settings(info.id.no)));
    }
    for own in &bundle.custom {
        list.push(vec![
            Cell::number(own.id.no.get()),
            Cell::text(own.id.name),
            Cell::text(&own.name),
            Cell::text(own.scope.as_ref().map_or_else(|| "all".to_owned(), ToString::to_string)),
            Cell::text(own.cadence.word()),
            Cell::text(own.severity.to_string()),
            Cell::text(own.opens.word()),
            Cell::text("none"),
            Cell::text("operator"),
            Cell::text(mode(params.settings(own.id.no))),
        ]);
    }
    list.print(format)?;
    if format == OutputFormat::Table {
        remark!("version {version}");
    }
    Ok(())
}

fn catalogue_row(info: &RuleInfo, settings: RuleSettings) -> Vec<Cell> {
    let judge = if info.judge() == Judge::Vee { "validation" } else { "engine" };
    let severity = severity_of(info, settings);
    vec![
        Cell::number(info.id.no.get()),
        Cell::text(info.id.name),
        Cell::text(info.title),
        Cell::text(info.utilities),
        Cell::text(info.cost.word()),
        Cell::text(severity),
        Cell::text(joined(info.causes)),
        Cell::text(info.billing.word()),
        Cell::text(judge),
        Cell::text(mode(settings)),
    ]
}

fn severity_of(info: &RuleInfo, settings: RuleSettings) -> String {
    settings.severity.map_or_else(|| joined(info.severities), |own| own.to_string())
}

async fn show(database: &Database, name: &str, format: OutputFormat) -> anyhow::Result<()> {
    let (_, bundle) = rules::active(database).await?;
    match named(name) {
        Some(id) => show_rule(id, &bundle, format),
        None => show_version(database, name).await,
    }
}

/// A rule by its name in any case, or by its number as the lists have it: `38`, `#38`.
fn named(text: &str) -> Option<RuleId> {
    let number = || RuleId::from_number(text.strip_prefix('#').unwrap_or(text).parse().ok()?);
    RuleId::from_name(&text.to_ascii_uppercase()).or_else(number)
}

fn show_rule(id: RuleId, bundle: &Bundle, format: OutputFormat) -> anyhow::Result<()> {
    let Some(info) = id.info() else {
        let own = bundle.custom.iter().find(|own| own.id == id);
        let missing = || Failure::new(Exit::Data, format!("no rule {id} is active"));
        say!("{}", own.ok_or_else(missing)?.to_string().trim())?;
        return Ok(());
    };
    if format == OutputFormat::Table {
        show_settings(info, bundle, format)?;
    }
    let mut list =
        List::new(&["parameter", "value", "unit", "min", "max", "default", "mark", "meaning"]);
    let checks = rules::checks();
    let own = PARAMS.iter().chain(&checks).filter(|one| one.rule == id.name);
    for one in own {
        list.push(vec![
            Cell::text(one.key),
            Cell::number(rules::value_of(bundle, one)),
            Cell::text(one.unit),
            Cell::number(one.min),
            Cell::number(one.max),
            Cell::number(one.default),
            Cell::text(one.mark.word()),
            Cell::text(one.doc),
        ]);
    }
    if list.is_empty() && format == OutputFormat::Table {
        say!("it has no limits of its own")?;
        return Ok(());
    }
    list.print(format)?;
    Ok(())
}

fn show_settings(info: &RuleInfo, bundle: &Bundle, format: OutputFormat) -> anyhow::Result<()> {
    let params = bundle.params(&Params::default());
    let settings = params.settings(info.id.no);
    let tags = bundle.exclude_tags.get(&info.id.no);
    let tags: Vec<&str> = tags.into_iter().flatten().map(|tag| tag.word()).collect();
    let tags = tags.join(", ");
    // Nothing set: the rule's own times hold.
    let own_s = |set| if set == 0 { Cell::text("the rule's own") } else { Cell::number(set) };
    let (says, clears) = crate::console::spoken(info.id.name).unwrap_or_default();
    let record = Record::new(vec![
        ("rule", Cell::text(format!("#{} {}", info.id.no.get(), info.id))),
        ("title", Cell::text(info.title)),
        ("fires", Cell::text(says)),
        ("is_over", Cell::text(clears)),
        ("utilities", Cell::text(info.utilities)),
        ("causes", Cell::text(joined(info.causes))),
        ("mandatory", Cell::text(if info.is_mandatory() { "yes" } else { "no" })),
        ("mode", Cell::text(mode(settings))),
        ("severity", Cell::text(severity_of(info, settings))),
        ("for_s", own_s(settings.for_s)),
        ("keep_for_s", own_s(settings.keep_for_s)),
        ("rearm_s", own_s(settings.rearm_s)),
        ("exclude_tags", Cell::text(if tags.is_empty() { "none".to_owned() } else { tags })),
    ]);
    record.print(format)?;
    say!("")?;
    Ok(())
}

async fn show_version(database: &Database, version: &str) -> anyhow::Result<()> {
    match store::rules::by_version(database, version).await? {
        Some(row) => {
            say!("{}", row.text.trim_end())?;
            Ok(())
        }
        None => Err(unknown(version).into()),
    }
}

fn unknown(name: &str) -> Failure {
    let known = CATALOGUE.iter().map(|info| info.id.name);
    let near = alerts::bundle::nearest(&name.to_ascii_uppercase(), known);
    let near = near.map_or_else(String::new, |near| format!("; did you mean {near}?"));
    let what = format!(
        "there is no rule and no version `{name}`{near} (`headend rules list` and `headend rules \
         history` tell them)"
    );
    Failure::new(Exit::Data, what)
}

async fn rehearse(
    database: &Database,
    (file, text): (&Path, &str),
    format: OutputFormat,
) -> anyhow::Result<()> {
    let bundle = rules::ready(text).map_err(|error| failure(file, error))?;
    let (version, active) = rules::active(database).await?;
    let mut list = List::new(&["rule", "key", "before", "after", "unit"]);
    let checks = rules::checks();
    for one in rules::differences(&active, &bundle) {
        list.push(vec![
            Cell::text(&one.rule),
            Cell::text(&one.key),
            Cell::text(&one.before),
            Cell::text(&one.after),
            Cell::text(one.unit(&checks)),
        ]);
    }
    list.print(format)?;
    if format == OutputFormat::Table {
        remark!("{version} to {}: {} differences; nothing was changed", bundle.version, list.len());
        let held = rules::holding_bills(&active, &bundle);
        if !held.is_empty() {
            remark!("{} hold bills: --approved-by must name a second person", held.join(", "));
        }
    }
    Ok(())
}

async fn history(
    database: &Database,
    limit: u32,
    (zone, format): (&TimeZone, OutputFormat),
) -> anyhow::Result<()> {
    let mut list =
        List::new(&["at", "act", "version", "who", "approved_by", "reason", "log_seq", "hash"]);
    for row in store::rules::versions(database, limit).await? {
        list.push(vec![
            Cell::text(stamp(row.applied_at, zone)),
            Cell::text(row.act.word()),
            Cell::text(row.version),
            Cell::text(row.actor),
            Cell::text(row.approved_by),
            Cell::text(row.reason),
            Cell::number(row.log_seq),
            Cell::text(row.hash.chars().take(12).collect::<String>()),
        ]);
    }
    list.print(format)?;
    Ok(())
}

async fn try_past(
    database: &Database,
    file: &Path,
    (from, to): (UtcTime, UtcTime),
    (zone, format): (&TimeZone, OutputFormat),
) -> anyhow::Result<()> {
    let text = read(file)?;
    let bundle = rules::ready(&text).map_err(|error| failure(file, error))?;
    let row = store::rules::active(database).await?;
    let active = row.as_ref().map_or((alerts::BUILT_IN, ""), |row| (&row.version, &row.text));
    let active = backtest::Version { version: active.0, text: active.1 };
    let candidate = backtest::Version { version: &bundle.version, text: &text };
    let progress = Progress::default();
    let (versions, range) = ((candidate, active), (from, to));
    let mut work = std::pin::pin!(backtest::run(database, versions, range, &progress));
    let report = loop {
        match tokio::time::timeout(TELL_EVERY, &mut work).await {
            Ok(done) => break done?,
            Err(_) => told(&progress, to),
        }
    };
    super::rules_report::print(&report, zone, format)
}

/// Says how far it is, for whoever waits.
fn told(progress: &Progress, to: UtcTime) {
    let Some((first, reached)) = progress.so_far() else { return };
    let total = to.seconds_since(first).max(1);
    let percent = (100 * reached.seconds_since(first) / total).clamp(0, 100);
    remark!("{percent} % of the stored readings, {reached} of {to}");
}
