//! Versions of the rules: every one that was ever made active or shadow is kept, and the event log
//! says from where on it holds.

pub mod history;
pub mod side_list;
pub mod weather;

use metering::{LogRecord, RuleBundle, UtcTime};
use tokio_postgres::Row;

use crate::database::{Connection, Database};
use crate::error::StoreError;
use crate::event_log::{append_records, log_day};
use crate::partitions::{Table, Touched};
use crate::tx::Tx;
use crate::types::Stamp;

const WHAT: &str = "reading versions of the rules";

macro_rules! bundle_columns {
    () => {
        "SELECT bundle_no, version, hash, text, act, actor, reason, applied_at, log_seq, \
         approved_by \
         FROM rule_bundle "
    };
}

const ACTIVE: &str = concat!(
    bundle_columns!(),
    "WHERE act IN ('apply', 'rollback') ORDER BY bundle_no DESC LIMIT 1"
);
const SHADOW: &str = concat!(
    bundle_columns!(),
    "WHERE act IN ('shadow', 'end_shadow') ORDER BY bundle_no DESC LIMIT 1"
);
const VERSIONS: &str = concat!(bundle_columns!(), "ORDER BY bundle_no DESC LIMIT $1");
const BY_VERSION: &str = concat!(
    bundle_columns!(),
    "WHERE version = $1 AND act <> 'end_shadow' ORDER BY bundle_no DESC LIMIT 1"
);

/// What stood only in shadow never held, and is no version to go back to.
const HELD_BEFORE: &str = concat!(
    bundle_columns!(),
    "WHERE version = $1 AND act IN ('apply', 'rollback') ORDER BY bundle_no DESC LIMIT 1"
);

/// Which version held before record `$1` of the log?
const HELD_BEFORE_RECORD: &str = concat!(
    bundle_columns!(),
    "WHERE act IN ('apply', 'rollback') AND log_seq < $1 ORDER BY bundle_no DESC LIMIT 1"
);

const INSERT: &str = "\
    INSERT INTO rule_bundle (version, hash, text, act, actor, reason, applied_at, log_seq, \
        approved_by) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING bundle_no";

/// What was done with a version.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BundleAct {
    Apply,
    Rollback,
    Shadow,
    EndShadow,
}

impl BundleAct {
    const ALL: [Self; 4] = [Self::Apply, Self::Rollback, Self::Shadow, Self::EndShadow];

    /// Stable text, as stored.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Apply => "apply",
            Self::Rollback => "rollback",
            Self::Shadow => "shadow",
            Self::EndShadow => "end_shadow",
        }
    }
}

/// A version of the rules on its way in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NewBundle<'a> {
    pub version: &'a str,
    /// TOML as the operator wrote it.
    pub text: &'a str,
    /// Of the canonical form.
    pub hash: &'a str,
    pub actor: &'a str,
    /// The second person, where bills are held otherwise than before; empty: nobody was needed.
    pub approved_by: &'a str,
    pub reason: &'a str,
    /// Number of the rules that held when this was wanted, 0 for the built-in ones: it is refused
    /// over others. `None`: whichever hold.
    pub over: Option<i64>,
}

/// A version as it was made active or shadow.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BundleRow {
    /// Counts what was done, from 1.
    pub bundle_no: i64,
    pub version: String,
    pub hash: String,
    pub text: String,
    pub act: BundleAct,
    pub actor: String,
    /// Empty: nobody was needed.
    pub approved_by: String,
    pub reason: String,
    pub applied_at: UtcTime,
    /// It holds from this record of the log on; 0 for shadow rules, which change nothing.
    pub log_seq: i64,
}

/// The version that holds; `None`: the built-in rules.
///
/// # Errors
/// When the database is away.
pub async fn active(database: &Database) -> Result<Option<BundleRow>, StoreError> {
    one(&database.client().await?, ACTIVE, &[]).await
}

/// The version that held before record `seq` of the log; `None`: the built-in rules.
///
/// # Errors
/// When the database is away.
pub async fn held_at_record(
    database: &Database,
    seq: i64,
) -> Result<Option<BundleRow>, StoreError> {
    one(&database.client().await?, HELD_BEFORE_RECORD, &[&seq]).await
}

/// The version that runs beside the active one and says nothing to staff.
///
/// # Errors
/// When the database is away.
pub async fn shadow(database: &Database) -> Result<Option<BundleRow>, StoreError> {
    let newest = one(&database.client().await?, SHADOW, &[]).await?;
    Ok(newest.filter(|row| row.act == BundleAct::Shadow))
}

/// What was done, newest first.
///
/// # Errors
/// When the database is away.
pub async fn versions(database: &Database, limit: u32) -> Result<Vec<BundleRow>, StoreError> {
    let query = StoreError::query(WHAT);
    let client = database.client().await?;
    let statement = client.prepare_cached(VERSIONS).await.map_err(&query)?;
    let rows = client.query(&statement, &[&i64::from(limit)]).await.map_err(&query)?;
    rows.iter().map(bundle).collect()
}

/// The newest row of that version, or `None`.
///
/// # Errors
/// When the database is away.
pub async fn by_version(
    database: &Database,
    version: &str,
) -> Result<Option<BundleRow>, StoreError> {
    one(&database.client().await?, BY_VERSION, &[&version]).await
}

/// Makes a version active: its row and its record in the log, in one transaction. A version that is
/// active already, text and all, is given back as it is.
///
/// # Errors
/// `Refused` when the version was used for another text; else when the database is away.
pub async fn apply(
    database: &Database,
    new: &NewBundle<'_>,
    at: UtcTime,
) -> Result<BundleRow, StoreError> {
    activate(database, new, BundleAct::Apply, at).await
}

/// The newest row with which that version held; what only stood in shadow did not.
///
/// # Errors
/// `Refused` when there is no such version; else when the database is away.
pub async fn held_before(database: &Database, version: &str) -> Result<BundleRow, StoreError> {
    let held = one(&database.client().await?, HELD_BEFORE, &[&version]).await?;
    held.ok_or_else(|| StoreError::Refused {
        what: "going back to earlier rules",
        detail: format!("no version `{version}` ever held: `headend rules history` lists them"),
    })
}

/// Makes earlier rules active again: those of [`held_before`], or the built-in ones.
///
/// # Errors
/// `Refused` when the version was used for another text; else when the database is away.
pub async fn rollback(
    database: &Database,
    new: &NewBundle<'_>,
    at: UtcTime,
) -> Result<BundleRow, StoreError> {
    activate(database, new, BundleAct::Rollback, at).await
}

/// Sets or ends (`None`) the shadow rules.
///
/// # Errors
/// `Refused` when a version of that name held with another text; else when the database is away.
pub async fn set_shadow(
    database: &Database,
    new: Option<&NewBundle<'_>>,
    (actor, reason): (&str, &str),
    at: UtcTime,
) -> Result<(), StoreError> {
    let tx = Tx::begin(database).await?;
    match new {
        Some(new) => {
            own_name(tx.client(), new).await?;
            insert(tx.client(), new, BundleAct::Shadow, (at, 0)).await?;
        }
        None => {
            let (version, text, hash, approved_by) = ("", "", "", "");
            let none = NewBundle { version, text, hash, actor, approved_by, reason, over: None };
            insert(tx.client(), &none, BundleAct::EndShadow, (at, 0)).await?;
        }
    }
    tx.commit().await
}

async fn activate(
    database: &Database,
    new: &NewBundle<'_>,
    act: BundleAct,
    at: UtcTime,
) -> Result<BundleRow, StoreError> {
    let mut touched = Touched::default();
    touched.add(Table::EventLog, log_day(at));
    database.ensure_partitions(&touched).await?;
    let tx = Tx::begin(database).await?;
    let client = tx.client();
    // Of two who apply at once the second sees the first.
    client
        .batch_execute("LOCK TABLE rule_bundle IN SHARE ROW EXCLUSIVE MODE")
        .await
        .map_err(StoreError::query("changing the rules"))?;
    let now = one(client, ACTIVE, &[]).await?;
    let holds = now.as_ref().map_or(0, |now| now.bundle_no);
    if let Some(now) = now
        && now.version == new.version
        && now.hash == new.hash
        && now.text == new.text
    {
        tx.rollback().await;
        return Ok(now);
    }
    if new.over.is_some_and(|over| over != holds) {
        let detail = "others were made to hold meanwhile: look at them and try again".to_owned();
        return Err(StoreError::Refused { what: "changing the rules", detail });
    }
    own_name(client, new).await?;
    let bundle = RuleBundle { version: new.version.to_owned(), text: new.text.to_owned() };
    let span = append_records(client, at, &[LogRecord::Rules(Box::new(bundle))]).await?;
    let log_seq = span.map_or(0, |(first, _)| first);
    let bundle_no = insert(client, new, act, (at, log_seq)).await?;
    tx.commit().await?;
    Ok(BundleRow {
        bundle_no,
        version: new.version.to_owned(),
        hash: new.hash.to_owned(),
        text: new.text.to_owned(),
        act,
        actor: new.actor.to_owned(),
        approved_by: new.approved_by.to_owned(),
        reason: new.reason.to_owned(),
        applied_at: at,
        log_seq,
    })
}

/// One name, one text: a version that held names no other rules.
async fn own_name(client: &Connection, new: &NewBundle<'_>) -> Result<(), StoreError> {
    match one(client, HELD_BEFORE, &[&new.version]).await? {
        Some(known) if known.hash != new.hash => {
            let detail = format!("version `{}` names other rules: raise the version", new.version);
            Err(StoreError::Refused { what: "changing the rules", detail })
        }
        _ => Ok(()),
    }
}

async fn insert(
    client: &Connection,
    new: &NewBundle<'_>,
    act: BundleAct,
    (at, log_seq): (UtcTime, i64),
) -> Result<i64, StoreError> {
    let query = StoreError::query("keeping a version of the rules");
    let statement = client.prepare_cached(INSERT).await.map_err(&query)?;
    let NewBundle { version, text, hash, actor, approved_by, reason, over: _ } = new;
    let row = client
        .query_one(
            &statement,
            &[version, hash, text, &act.word(), actor, reason, &Stamp(at), &log_seq, approved_by],
        )
        .await
        .map_err(&query)?;
    Ok(row.get(0))
}

async fn one(
    client: &Connection,
    sql: &str,
    params: &[&(dyn tokio_postgres::types::ToSql + Sync)],
) -> Result<Option<BundleRow>, StoreError> {
    let query = StoreError::query(WHAT);
    let statement = client.prepare_cached(sql).await.map_err(&query)?;
    let row = client.query_opt(&statement, params).await.map_err(&query)?;
    row.as_ref().map(bundle).transpose()
}

fn bundle(row: &Row) -> Result<BundleRow, StoreError> {
    let act: &str = row.get(4);
    let act = BundleAct::ALL.into_iter().find(|known| known.word() == act).ok_or_else(|| {
        StoreError::Corrupt { what: "version of the rules", detail: format!("act `{act}`") }
    })?;
    Ok(BundleRow {
        bundle_no: row.get(0),
        version: row.get(1),
        hash: row.get(2),
        text: row.get(3),
        act,
        actor: row.get(5),
        reason: row.get(6),
        applied_at: row.get::<_, Stamp>(7).0,
        log_seq: row.get(8),
        approved_by: row.get(9),
    })
}
