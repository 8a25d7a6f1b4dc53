//! What people were told, what it was about, and what they silenced.
//!
//! The desk (`alerts::manage`) decides; here its word is kept. Incidents, announcements and KPIs
//! have keys that the log gives, so telling the same again changes nothing.

use alerts::Family;
use alerts::manage::{Annunciation, Incident, KpiRow, Said, Shelve};
use metering::{RuleNo, Subject, UtcTime};
use tokio_postgres::Row;

use crate::database::{Connection, Database};
use crate::error::StoreError;
use crate::tx::Tx;
use crate::types::Stamp;

const WHAT: &str = "keeping what people were told";

const INCIDENTS: &str = "\
    INSERT INTO incident AS i (incident_id, route, severity, opened_at, closed_at, alerts, summary) \
    SELECT * FROM unnest($1::text[], $2::text[], $3::int2[], $4::timestamptz[], \
        $5::timestamptz[], $6::int4[], $7::text[]) \
    ON CONFLICT (incident_id) DO UPDATE SET severity = excluded.severity, \
        closed_at = excluded.closed_at, alerts = excluded.alerts, summary = excluded.summary";
const ANNUNCIATIONS: &str = "\
    INSERT INTO annunciation (key, at, incident_id, alert_id, kind, severity, step, rule_no, \
        in_flood, text) \
    SELECT * FROM unnest($1::text[], $2::timestamptz[], $3::text[], $4::text[], $5::text[], \
        $6::int2[], $7::int2[], $8::int2[], $9::bool[], $10::text[]) \
    ON CONFLICT (key) DO NOTHING";
const MEMBERS: &str = "\
    INSERT INTO incident_alert (incident_id, alert_id) \
    SELECT DISTINCT u.incident_id, u.alert_id FROM unnest($1::text[], $2::text[]) \
        AS u(incident_id, alert_id) JOIN incident i USING (incident_id) \
    WHERE u.alert_id <> '' ON CONFLICT DO NOTHING";
const KPIS: &str = "\
    INSERT INTO alarm_kpi (at, raised, annunciated, flood, chattering, stale, bad_actor_permille) \
    SELECT * FROM unnest($1::timestamptz[], $2::int4[], $3::int4[], $4::bool[], $5::int4[], \
        $6::int4[], $7::int4[]) \
    ON CONFLICT (at) DO UPDATE SET raised = excluded.raised, annunciated = excluded.annunciated, \
        flood = excluded.flood, chattering = excluded.chattering, stale = excluded.stale, \
        bad_actor_permille = excluded.bad_actor_permille";

const SHELVE: &str = "\
    INSERT INTO shelve (rule_no, subject_kind, subject_id, from_at, until_at, actor, reason, kind) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING shelve_id";
const UNSHELVE: &str = "\
    UPDATE shelve SET ended_at = $2, ended_by = $3 WHERE shelve_id = $1 AND ended_at IS NULL";
const ACTIVE: &str = "\
    SELECT shelve_id, rule_no, subject_kind, subject_id, from_at, until_at, actor, reason, kind \
    FROM shelve WHERE ended_at IS NULL AND until_at > $1 ORDER BY shelve_id";
/// P1 is silent for an hour at most, whoever asks.
const SHELVE_P1_S_MAX: i64 = 3_600;
const SHELVE_S_MAX: i64 = 7 * 86_400;
/// What is P1 now must not be silenced for longer.
const HAS_P1: &str = "\
    SELECT EXISTS (SELECT 1 FROM alert WHERE severity = 1 AND cleared_at IS NULL \
        AND retracted_at IS NULL AND ($1::int2 IS NULL OR rule_no = $1) \
        AND ($2::text IS NULL OR (subject_kind = $2 AND subject_id = $3)))";

/// Something silenced that has not ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ActiveShelve {
    pub shelve_id: i64,
    pub shelve: Shelve,
}

/// Keeps the desk's word, all or nothing.
///
/// # Errors
/// When the database is away; the same word again is right then.
pub async fn record(database: &Database, said: &Said) -> Result<(), StoreError> {
    if said.incidents.is_empty() && said.annunciations.is_empty() && said.kpis.is_empty() {
        return Ok(());
    }
    let tx = Tx::begin(database).await?;
    record_in(tx.client(), said).await?;
    tx.commit().await
}

pub(crate) async fn record_in(client: &Connection, said: &Said) -> Result<(), StoreError> {
    incidents(client, &said.incidents).await?;
    annunciations(client, &said.annunciations).await?;
    kpis(client, &said.kpis).await
}

async fn incidents(client: &Connection, incidents: &[Incident]) -> Result<(), StoreError> {
    // The newest word on an incident counts; one key twice in a statement is an error.
    let last: std::collections::BTreeMap<&str, &Incident> =
        incidents.iter().map(|one| (one.incident_id.as_str(), one)).collect();
    if last.is_empty() {
        return Ok(());
    }
    let query = StoreError::query(WHAT);
    let rows = || last.values();
    let ids: Vec<&str> = last.keys().copied().collect();
    let routes: Vec<String> = rows().map(|one| one.route.text()).collect();
    let severities: Vec<i16> = rows().map(|one| one.severity.number()).collect();
    let opened: Vec<Stamp> = rows().map(|one| Stamp(one.opened_at)).collect();
    let closed: Vec<Option<Stamp>> = rows().map(|one| one.closed_at.map(Stamp)).collect();
    let alerts: Vec<i32> = rows().map(|one| int4(one.alerts)).collect();
    let summaries: Vec<&str> = rows().map(|one| one.summary.as_str()).collect();
    let statement = client.prepare_cached(INCIDENTS).await.map_err(&query)?;
    client
        .execute(&statement, &[&ids, &routes, &severities, &opened, &closed, &alerts, &summaries])
        .await
        .map_err(&query)?;
    Ok(())
}

async fn annunciations(client: &Connection, said: &[Annunciation]) -> Result<(), StoreError> {
    if said.is_empty() {
        return Ok(());
    }
    let query = StoreError::query(WHAT);
    let keys: Vec<&str> = said.iter().map(|one| one.key.as_str()).collect();
    let at: Vec<Stamp> = said.iter().map(|one| Stamp(one.at)).collect();
    let incidents: Vec<&str> = said.iter().map(|one| one.incident_id.as_str()).collect();
    let alerts: Vec<&str> = said.iter().map(|one| one.alert_id.as_str()).collect();
    let kinds: Vec<&str> = said.iter().map(|one| one.occasion.word()).collect();
    let severities: Vec<i16> = said.iter().map(|one| one.severity.number()).collect();
    let steps: Vec<i16> = said.iter().map(|one| i16::from(one.step)).collect();
    let rules: Vec<i16> = said.iter().map(|one| i16::from(one.rule.get())).collect();
    let floods: Vec<bool> = said.iter().map(|one| one.in_flood).collect();
    let texts: Vec<&str> = said.iter().map(|one| one.text.as_str()).collect();
    let statement = client.prepare_cached(ANNUNCIATIONS).await.map_err(&query)?;
    client
        .execute(
            &statement,
            &[
                &keys,
                &at,
                &incidents,
                &alerts,
                &kinds,
                &severities,
                &steps,
                &rules,
                &floods,
                &texts,
            ],
        )
        .await
        .map_err(&query)?;
    let statement = client.prepare_cached(MEMBERS).await.map_err(&query)?;
    client.execute(&statement, &[&incidents, &alerts]).await.map_err(&query)?;
    Ok(())
}

async fn kpis(client: &Connection, rows: &[KpiRow]) -> Result<(), StoreError> {
    let last: std::collections::BTreeMap<UtcTime, &KpiRow> =
        rows.iter().map(|row| (row.at, row)).collect();
    if last.is_empty() {
        return Ok(());
    }
    let query = StoreError::query(WHAT);
    let rows = || last.values();
    let at: Vec<Stamp> = last.keys().map(|at| Stamp(*at)).collect();
    let raised: Vec<i32> = rows().map(|row| int4(row.raised)).collect();
    let annunciated: Vec<i32> = rows().map(|row| int4(row.annunciated)).collect();
    let flood: Vec<bool> = rows().map(|row| row.flood).collect();
    let chattering: Vec<i32> = rows().map(|row| int4(row.chattering)).collect();
    let stale: Vec<i32> = rows().map(|row| int4(row.stale)).collect();
    let share: Vec<i32> =
        rows().map(|row| i32::try_from(row.bad_actor_permille).unwrap_or(i32::MAX)).collect();
    let statement = client.prepare_cached(KPIS).await.map_err(&query)?;
    client
        .execute(&statement, &[&at, &raised, &annunciated, &flood, &chattering, &stale, &share])
        .await
        .map_err(&query)?;
    Ok(())
}

fn int4(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// Silences a rule, a subject or a rule of a subject until an end; gives its number.
///
/// # Errors
/// `Refused` without rule and subject, for longer than 7 days, or for longer than an hour while a P1
/// alert would be silenced; else when the database is away.
pub async fn shelve(database: &Database, shelve: &Shelve) -> Result<i64, StoreError> {
    let refuse =
        |detail: &str| Err(StoreError::Refused { what: "shelving", detail: detail.to_owned() });
    if shelve.rule.is_none() && shelve.subject.is_none() {
        return refuse("name a rule or a subject: shelving everything hides what is dangerous");
    }
    let length_s = shelve.until.seconds_since(shelve.from);
    if length_s <= 0 || length_s > SHELVE_S_MAX {
        return refuse("name an end within the next 7 days");
    }
    let rule = shelve.rule.map(|rule| i16::from(rule.get()));
    let kind = shelve.subject.map(Subject::kind);
    let number = shelve.subject.map(Subject::number);
    let tx = Tx::begin(database).await?;
    let query = StoreError::query("shelving");
    let statement = tx.client().prepare_cached(HAS_P1).await.map_err(&query)?;
    let row = tx.client().query_one(&statement, &[&rule, &kind, &number]).await.map_err(&query)?;
    if length_s > SHELVE_P1_S_MAX && row.get(0) {
        return refuse("a P1 alert would be silent: at most one hour");
    }
    let word = if shelve.out_of_service { "out_of_service" } else { "shelved" };
    let statement = tx.client().prepare_cached(SHELVE).await.map_err(&query)?;
    let (from, until) = (Stamp(shelve.from), Stamp(shelve.until));
    let row = tx
        .client()
        .query_one(
            &statement,
            &[&rule, &kind, &number, &from, &until, &shelve.who, &shelve.why, &word],
        )
        .await
        .map_err(&query)?;
    let shelve_id = row.get(0);
    tx.commit().await?;
    Ok(shelve_id)
}

/// Ends a shelving; false when it has ended already.
///
/// # Errors
/// When the database is away.
pub async fn unshelve(
    database: &Database,
    shelve_id: i64,
    actor: &str,
    at: UtcTime,
) -> Result<bool, StoreError> {
    let query = StoreError::query("ending a shelving");
    let client = database.work_client().await?;
    let statement = client.prepare_cached(UNSHELVE).await.map_err(&query)?;
    let ended =
        client.execute(&statement, &[&shelve_id, &Stamp(at), &actor]).await.map_err(&query)?;
    Ok(ended > 0)
}

/// Of which subjects and families do staff know?
const KNOWN: &str = "\
    SELECT subject_kind, subject_id, family FROM meter_issue WHERE acknowledged_at IS NOT NULL \
        AND state IN ('DETECTED', 'OPEN', 'WORK_ORDERED', 'FIXED_PENDING', 'REOPENED')";

/// Subjects and families whose open issue somebody acknowledged.
///
/// # Errors
/// When the database is away.
pub async fn acknowledged(database: &Database) -> Result<Vec<(Subject, Family)>, StoreError> {
    let query = StoreError::query("reading what was acknowledged");
    let client = database.work_client().await?;
    let statement = client.prepare_cached(KNOWN).await.map_err(&query)?;
    let rows = client.query(&statement, &[]).await.map_err(&query)?;
    let known = rows.iter().filter_map(|row| {
        Some((Subject::from_parts(row.get(0), row.get(1))?, row.get::<_, &str>(2).parse().ok()?))
    });
    Ok(known.collect())
}

/// What is silent at `now`, in the order in which it was silenced.
///
/// # Errors
/// When the database is away.
pub async fn active_shelves(
    database: &Database,
    now: UtcTime,
) -> Result<Vec<ActiveShelve>, StoreError> {
    let query = StoreError::query("reading what is shelved");
    let client = database.work_client().await?;
    let statement = client.prepare_cached(ACTIVE).await.map_err(&query)?;
    let rows = client.query(&statement, &[&Stamp(now)]).await.map_err(&query)?;
    Ok(rows.iter().map(active).collect())
}

fn active(row: &Row) -> ActiveShelve {
    let rule = row.get::<_, Option<i16>>(1).and_then(|no| RuleNo::new(u8::try_from(no).ok()?));
    let (kind, number): (Option<&str>, Option<i32>) = (row.get(2), row.get(3));
    ActiveShelve {
        shelve_id: row.get(0),
        shelve: Shelve {
            rule,
            subject: kind.zip(number).and_then(|(kind, id)| Subject::from_parts(kind, id)),
            from: row.get::<_, Stamp>(4).0,
            until: row.get::<_, Stamp>(5).0,
            who: row.get(6),
            why: row.get(7),
            out_of_service: row.get::<_, &str>(8) == "out_of_service",
        },
    }
}
