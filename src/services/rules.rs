//! Versions of the rules: what a file says, what it would change, and what it would have said of
//! the past. Console, API and verbs all come here.

pub mod backtest;
pub mod feed;
pub mod limits;
pub mod trials;

use std::collections::{BTreeMap, BTreeSet};

use alerts::bundle::{Failed, Foreign};
use alerts::params::{Mark, ParamInfo};
use alerts::rule::BillingEffect;
use alerts::{BUILT_IN, Bundle, BundleErrors, Params, RuleId};
use metering::UtcTime;
use store::rules::{BundleRow, NewBundle};
use store::{Database, StoreError};

/// Why rules were not changed.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// Every fault of the text, a line each.
    #[error("{0}")]
    Text(BundleErrors),
    #[error("{}", failed_text(.0))]
    Tests(Vec<Failed>),
    #[error("a change of the rules needs a name and a reason")]
    NoReason,
    #[error(
        "rule {0} goes live without 7 days in shadow; give it mode = \"shadow\" first, or --force"
    )]
    NotWatched(RuleId),
    #[error(
        "this changes when {rules} hold bills, which two people must want: name the second one \
         with --approved-by NAME{}",
        .same.as_ref().map(|name| format!(" (`{name}` cannot approve what they do themselves)"))
            .unwrap_or_default()
    )]
    NotApproved { rules: String, same: Option<String> },
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn failed_text(failed: &[Failed]) -> String {
    let lines: Vec<String> = failed
        .iter()
        .map(|one| format!("line {}: test `{}`: {}", one.line, one.name, one.why))
        .collect();
    lines.join("\n")
}

/// An operator's rule is watched in shadow for so long before it may speak.
const WATCH_S: i64 = 7 * 86_400;
/// Versions that are looked through for the time in shadow.
const VERSIONS_MAX: u32 = 1_000;

/// One parameter or setting that differs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Difference {
    pub rule: String,
    pub key: String,
    pub before: String,
    pub after: String,
}

impl Difference {
    /// The unit of both values; settings such as the mode have none. `checks`: of [`checks`].
    pub fn unit(&self, checks: &[ParamInfo]) -> &'static str {
        let known = alerts::PARAMS.iter().chain(checks);
        let own = known.into_iter().find(|info| info.rule == self.rule && info.key == self.key);
        let seconds = matches!(self.key.as_str(), "for_s" | "keep_for_s" | "rearm_s");
        own.map_or(if seconds { "s" } else { "" }, |info| info.unit)
    }
}

/// Who changes the rules, and why.
#[derive(Clone, Copy, Debug)]
pub struct Person<'a> {
    pub actor: &'a str,
    /// Another person who agrees; needed where rules change that hold bills.
    pub approved_by: Option<&'a str>,
    pub reason: &'a str,
    pub now: UtcTime,
}

/// Parameters of the rules that validation judges, as the catalogue has them.
pub fn checks() -> Vec<ParamInfo> {
    vee::params::PARAMS
        .iter()
        .map(|info| ParamInfo {
            rule: info.rule,
            key: info.key,
            unit: info.unit,
            default: info.default,
            min: info.min,
            max: info.max,
            mark: match info.mark {
                vee::params::Mark::Std => Mark::Std,
                vee::params::Mark::Default => Mark::Default,
            },
            doc: info.doc,
        })
        .collect()
}

/// Reads a file's text; every key is checked, those of validation too.
///
/// # Errors
/// [`RulesError::Text`] with every fault.
pub fn parse(text: &str) -> Result<Bundle, RulesError> {
    Bundle::parse(text, Foreign::Known(&checks())).map_err(RulesError::Text)
}

/// The bundle that holds; the empty one is `built-in`.
///
/// # Errors
/// The database is away.
pub async fn active(database: &Database) -> Result<(String, Bundle), StoreError> {
    let (_, version, bundle) = numbered(database).await?;
    Ok((version, bundle))
}

/// The same with its number, 0 where nothing was ever applied.
async fn numbered(database: &Database) -> Result<(i64, String, Bundle), StoreError> {
    let row = store::rules::active(database).await?;
    let number = row.as_ref().map_or(0, |row| row.bundle_no);
    match row {
        Some(row) if !row.text.is_empty() => {
            let bundle = of_row(&row)?;
            Ok((number, row.version, bundle))
        }
        _ => Ok((number, BUILT_IN.to_owned(), Bundle::default())),
    }
}

/// The bundle of a stored version. Its keys were checked when it was applied.
///
/// # Errors
/// It cannot be read any more.
pub fn of_row(row: &BundleRow) -> Result<Bundle, StoreError> {
    if row.text.is_empty() {
        return Ok(Bundle::default());
    }
    Bundle::parse(&row.text, Foreign::Ignore)
        .map_err(|error| StoreError::Corrupt { what: "rule bundle", detail: error.to_string() })
}

/// Begins the names of the rules that operators wrote.
const OWN_RULE: &str = "OP-";

/// What changes from one bundle to another, in the order of the catalogue.
pub fn differences(before: &Bundle, after: &Bundle) -> Vec<Difference> {
    let (old, new) = (flat(before), flat(after));
    let keys: BTreeSet<&(u8, String, String)> = old.keys().chain(new.keys()).collect();
    let defaults = defaults();
    let usual = |(_, rule, key): &(u8, String, String)| {
        let known = defaults.get(&(rule.clone(), key.clone()));
        known.map_or_else(|| "as in the catalogue".to_owned(), ToString::to_string)
    };
    // Of a rule that operators wrote there is no line in the catalogue.
    let side = |key: &(u8, String, String), known: Option<&String>, none: &str| match known {
        Some(value) => value.clone(),
        None if key.1.starts_with(OWN_RULE) => none.to_owned(),
        None => usual(key),
    };
    keys.into_iter()
        .filter(|key| old.get(key) != new.get(key))
        .map(|key| Difference {
            rule: key.1.clone(),
            key: key.2.clone(),
            before: side(key, old.get(key), "(new)"),
            after: side(key, new.get(key), "(removed)"),
        })
        .filter(|one| one.before != one.after)
        .collect()
}

fn defaults() -> BTreeMap<(String, String), i64> {
    let own = alerts::PARAMS.iter().copied();
    own.chain(checks())
        .map(|info| ((info.rule.to_owned(), info.key.to_owned()), info.default))
        .collect()
}

/// Every explicit key of a bundle by rule number, rule and key.
fn flat(bundle: &Bundle) -> BTreeMap<(u8, String, String), String> {
    let mut all = BTreeMap::new();
    let mut put = |no: u8, rule: &str, key: &str, value: String| {
        all.insert((no, rule.to_owned(), key.to_owned()), value);
    };
    for (key, value) in &bundle.engine {
        put(0, "engine", key, value.to_string());
    }
    if !bundle.holidays.is_empty() {
        put(0, "calendar", "holidays", format!("{} days", bundle.holidays.len()));
    }
    for (rule, patch) in &bundle.rules {
        let Some(id) = RuleId::from_number(rule.get()) else { continue };
        for line in patch.to_string().lines() {
            if let Some((key, value)) = line.split_once(" = ") {
                put(rule.get(), id.name, key, value.to_owned());
            }
        }
    }
    for (rule, tags) in &bundle.exclude_tags {
        let Some(id) = RuleId::from_number(rule.get()) else { continue };
        let words: Vec<&str> = tags.iter().map(|tag| tag.word()).collect();
        put(rule.get(), id.name, "exclude_tags", words.join(", "));
    }
    for own in &bundle.overrides {
        let key = format!("override when {}", own.when);
        let value = own.patch.to_string().trim().replace('\n', ", ");
        put(own.rule.no.get(), own.rule.name, &key, value);
    }
    for rule in &bundle.custom {
        for line in rule.to_string().lines() {
            if let Some((key, value)) = line.split_once(" = ") {
                put(rule.id.no.get(), rule.id.name, key, value.to_owned());
            }
        }
    }
    all
}

/// Names of the rules that hold bills and would run otherwise, in the order of the catalogue
/// (`metering-rules` 12: two people must approve that).
pub fn holding_bills(before: &Bundle, after: &Bundle) -> Vec<&'static str> {
    let mut names: Vec<&'static str> = Vec::new();
    for one in differences(before, after) {
        let info = RuleId::from_name(&one.rule).and_then(RuleId::info);
        let holds = info.filter(|info| info.billing == BillingEffect::Hold);
        names.extend(holds.map(|info| info.id.name));
    }
    names.dedup();
    names
}

/// The second person, or an empty text where none is needed and none was named.
fn approved<'a>(
    (before, after): (&Bundle, &Bundle),
    person: Person<'a>,
) -> Result<&'a str, RulesError> {
    let named = person.approved_by.map(str::trim).filter(|name| !name.is_empty());
    let same = named.filter(|name| name.to_lowercase() == person.actor.trim().to_lowercase());
    let rules = holding_bills(before, after);
    if rules.is_empty() || (named.is_some() && same.is_none()) {
        return Ok(named.unwrap_or_default());
    }
    let same = same.map(str::to_owned);
    Err(RulesError::NotApproved { rules: rules.join(", "), same })
}

/// Makes the rules of a text the active ones, after its own tests pass.
///
/// # Errors
/// The text is wrong, a test fails, an operator's rule was not watched long enough (unless
/// `force`), nobody else approved a change of what holds bills, or the database is away.
pub async fn apply(
    database: &Database,
    text: &str,
    person: Person<'_>,
    force: bool,
) -> Result<BundleRow, RulesError> {
    let bundle = ready(text)?;
    person.check()?;
    if !force {
        watched(database, &bundle, person.now).await?;
    }
    let hash = bundle.hash();
    let (over, _, now) = numbered(database).await?;
    let new = NewBundle {
        over: Some(over),
        version: &bundle.version,
        text,
        hash: &hash,
        actor: person.actor,
        approved_by: approved((&now, &bundle), person)?,
        reason: person.reason,
    };
    Ok(store::rules::apply(database, &new, person.now).await?)
}

/// Reads a text and runs its tests.
///
/// # Errors
/// The text is wrong or a test fails.
pub fn ready(text: &str) -> Result<Bundle, RulesError> {
    let bundle = parse(text)?;
    let failed = bundle.run_tests();
    if failed.is_empty() { Ok(bundle) } else { Err(RulesError::Tests(failed)) }
}

impl Person<'_> {
    fn check(&self) -> Result<(), RulesError> {
        if self.actor.trim().is_empty() || self.reason.trim().is_empty() {
            return Err(RulesError::NoReason);
        }
        Ok(())
    }
}

/// An operator's rule that speaks must have stood in shadow, unchanged, for 7 days.
async fn watched(database: &Database, bundle: &Bundle, now: UtcTime) -> Result<(), RulesError> {
    let live = |bundle: &Bundle, id: RuleId| {
        let own = bundle.custom.iter().find(|rule| rule.id == id);
        own.is_some_and(|rule| rule.patch.mode == Some(alerts::Mode::Live))
    };
    let speaking: Vec<_> = bundle.custom.iter().filter(|rule| live(bundle, rule.id)).collect();
    if speaking.is_empty() {
        return Ok(());
    }
    let rows = store::rules::versions(database, VERSIONS_MAX).await?;
    for rule in speaking {
        let same = |row: &BundleRow| {
            of_row(row).is_ok_and(|old| {
                let own = old.custom.iter().find(|old| old.id == rule.id);
                own.is_some_and(|own| (&own.scope, &own.when) == (&rule.scope, &rule.when))
            })
        };
        // Newest first: as long as the rule stood there as it is.
        let first = rows.iter().take_while(|row| same(row)).last();
        if first.is_none_or(|row| now.seconds_since(row.applied_at) < WATCH_S) {
            return Err(RulesError::NotWatched(rule.id));
        }
    }
    Ok(())
}

/// Makes an earlier version active again; `built-in` ends all bundles.
///
/// # Errors
/// There is no such version, nobody else approved a change of what holds bills, or the database is
/// away.
pub async fn rollback(
    database: &Database,
    version: &str,
    person: Person<'_>,
) -> Result<BundleRow, RulesError> {
    person.check()?;
    let (over, _, now) = numbered(database).await?;
    let none = Bundle::default();
    let (text, hash, back) = if version == BUILT_IN {
        (String::new(), none.hash(), none)
    } else {
        let row = store::rules::held_before(database, version).await?;
        let back = of_row(&row)?;
        (row.text, row.hash, back)
    };
    let new = NewBundle {
        version,
        text: &text,
        hash: &hash,
        actor: person.actor,
        approved_by: approved((&now, &back), person)?,
        reason: person.reason,
        over: Some(over),
    };
    Ok(store::rules::rollback(database, &new, person.now).await?)
}

/// Value of a parameter under a bundle, of validation or of the engine.
pub fn value_of(bundle: &Bundle, info: &ParamInfo) -> i64 {
    let params = bundle.params(&Params::default());
    let checked = || {
        let mut own = bundle.foreign_values();
        own.find(|(rule, key, _)| rule.name == info.rule && *key == info.key)
            .map_or(info.default, |(_, _, value)| value)
    };
    params.get(info.key).unwrap_or_else(checked)
}
