//! Keeps verdicts: one transaction for any number of days.

use std::collections::BTreeMap;

use metering::UtcTime;
use tokio_postgres::types::ToSql;
use vee::day::{DaySummary, HoldKind};

use super::{Committed, JudgedDay, Verdicts, due, findings};
use crate::database::{Connection, Database};
use crate::error::StoreError;
use crate::event_log::log_day;
use crate::partitions::{Table, Touched};
use crate::tx::Tx;
use crate::types::Stamp;
use crate::versions::{Change, Reason, append, settle};

/// The columns of a summary, apart from the key.
macro_rules! facts {
    ($prefix:literal) => {
        concat!(
            $prefix,
            "ends_at, ",
            $prefix,
            "total, ",
            $prefix,
            "peak, ",
            $prefix,
            "failing, ",
            $prefix,
            "warned, ",
            $prefix,
            "flat_value, ",
            $prefix,
            "zero_since, ",
            $prefix,
            "flat_since, ",
            $prefix,
            "reactive_since, ",
            $prefix,
            "zero_longest_s, ",
            $prefix,
            "flat_slots, ",
            $prefix,
            "slots, ",
            $prefix,
            "actual, ",
            $prefix,
            "suspect, ",
            $prefix,
            "pf_permille, ",
            $prefix,
            "lacking_days, ",
            $prefix,
            "validated, ",
            $prefix,
            "outage, ",
            $prefix,
            "switched_off"
        )
    };
}

/// Keeps days whose verdict is new or other than before.
const CLOSE: &str = concat!(
    "INSERT INTO closed_day AS d (meter_id, channel, starts_at, closed_at, revision, ",
    facts!(""),
    ") SELECT u.meter_id, u.channel, u.starts_at, $23, 1, ",
    facts!("u."),
    " FROM unnest($1::int4[], $2::int2[], $3::timestamptz[], $4::timestamptz[], $5::int8[], \
        $6::int8[], $7::int8[], $8::int8[], $9::int8[], $10::timestamptz[], $11::timestamptz[], \
        $12::timestamptz[], $13::int4[], $14::int4[], $15::int2[], $16::int2[], $17::int2[], \
        $18::int2[], $19::int2[], $20::bool[], $21::bool[], $22::bool[]) \
      AS u(meter_id, channel, starts_at, ",
    facts!(""),
    ") ON CONFLICT (meter_id, channel, starts_at) DO UPDATE SET closed_at = excluded.closed_at, \
        revision = CASE WHEN (",
    facts!("d."),
    ") IS DISTINCT FROM (",
    facts!("excluded."),
    ") THEN least(d.revision + 1, 32767) ELSE d.revision END::int2, (",
    facts!(""),
    ") = (",
    facts!("excluded."),
    ") WHERE d.closed_at < excluded.closed_at OR (",
    facts!("d."),
    ") IS DISTINCT FROM (",
    facts!("excluded."),
    ")"
);

const UNHOLD: &str = "\
    DELETE FROM day_hold h USING unnest($1::int4[], $2::int2[], $3::timestamptz[]) \
        AS u(meter_id, channel, starts_at) \
    WHERE h.meter_id = u.meter_id AND h.channel = u.channel AND h.starts_at = u.starts_at \
        AND h.released_at IS NULL";
const HOLD: &str = "\
    INSERT INTO day_hold (meter_id, channel, starts_at, kind, rule_no, from_at, to_at) \
    SELECT * FROM unnest($1::int4[], $2::int2[], $3::timestamptz[], $4::text[], $5::int2[], \
        $6::timestamptz[], $7::timestamptz[]) ON CONFLICT DO NOTHING";

/// Keeps verdicts, moves cursors and tells findings to the log, all or nothing. The same verdicts
/// again change nothing but the time of the closing.
///
/// # Errors
/// When the database is away, or a value breaks a table's check; nothing is kept then.
pub async fn commit(
    database: &Database,
    verdicts: &Verdicts,
    log_time: UtcTime,
) -> Result<Committed, StoreError> {
    let mut touched = Touched::default();
    touched.add(Table::EventLog, log_day(log_time));
    for day in &verdicts.days {
        touched.add(Table::ClosedDay, day.verdict.summary.from.utc_day());
        for slot in &day.verdict.changes {
            touched.add(Table::IntervalException, start_of(day, slot.end).utc_day());
        }
    }
    database.ensure_partitions(&touched).await?;
    // Of two verdicts on one day the later counts.
    let days: BTreeMap<_, &JudgedDay> = verdicts
        .days
        .iter()
        .map(|day| ((day.meter, day.channel, day.verdict.summary.from), day))
        .collect();
    let days: Vec<&JudgedDay> = days.into_values().collect();
    let tx = Tx::begin(database).await?;
    let client = tx.client();
    let changes: Vec<Change> = days.iter().flat_map(|day| changes(day)).collect();
    let versions = append(client, &changes, log_time).await?;
    let closed = close(client, &days, log_time).await?;
    let doubtful = days.iter().filter(|day| day.verdict.summary.suspect > 0);
    let day_of = |day: &&JudgedDay| {
        let from = day.verdict.summary.from;
        (day.meter, day.channel, from, from)
    };
    settle(client, &doubtful.map(day_of).collect::<Vec<_>>()).await?;
    hold(client, &days).await?;
    let news = days.iter().flat_map(|day| day.verdict.findings.iter().copied());
    let (count, last_seq) = findings::record(client, news, log_time).await?;
    due::move_in(client, &verdicts.cursors).await?;
    due::forget_in(client, &verdicts.seen).await?;
    tx.commit().await?;
    Ok(Committed { days: closed, versions, findings: count, last_seq })
}

fn start_of(day: &JudgedDay, end: UtcTime) -> UtcTime {
    end.plus_seconds(-i64::from(day.len_s))
}

fn changes(day: &JudgedDay) -> impl Iterator<Item = Change> + '_ {
    day.verdict.changes.iter().map(|slot| Change {
        meter: day.meter,
        channel: day.channel,
        start: start_of(day, slot.end),
        value: slot.value,
        status: slot.status,
        flags: slot.flags,
        failed: slot.failed,
        ..Change::judged(Reason::DayClose)
    })
}

async fn close(
    client: &Connection,
    days: &[&JudgedDay],
    log_time: UtcTime,
) -> Result<u64, StoreError> {
    if days.is_empty() {
        return Ok(0);
    }
    let query = StoreError::query("keeping the verdict on a day");
    let statement = client.prepare_cached(CLOSE).await.map_err(&query)?;
    let summaries: Vec<&DaySummary> = days.iter().map(|day| &day.verdict.summary).collect();
    let int8 = |of: fn(&DaySummary) -> i64| summaries.iter().map(|s| of(s)).collect::<Vec<_>>();
    let int4 = |of: fn(&DaySummary) -> i32| summaries.iter().map(|s| of(s)).collect::<Vec<_>>();
    let yes = |of: fn(&DaySummary) -> bool| summaries.iter().map(|s| of(s)).collect::<Vec<_>>();
    let count = |of: fn(&DaySummary) -> u16| {
        summaries.iter().map(|s| i16::try_from(of(s)).unwrap_or(i16::MAX)).collect::<Vec<_>>()
    };
    let since = |of: fn(&DaySummary) -> Option<UtcTime>| {
        summaries.iter().map(|s| of(s).map(Stamp)).collect::<Vec<_>>()
    };
    let meters: Vec<i32> = days.iter().map(|day| day.meter.get()).collect();
    let channels: Vec<i16> = days.iter().map(|day| day.channel.get()).collect();
    let from: Vec<Stamp> = summaries.iter().map(|s| Stamp(s.from)).collect();
    let to: Vec<Stamp> = summaries.iter().map(|s| Stamp(s.to)).collect();
    let pf: Vec<i16> = summaries.iter().map(|s| s.pf_permille).collect();
    let params: [&(dyn ToSql + Sync); 23] = [
        &meters,
        &channels,
        &from,
        &to,
        &int8(|s| s.total),
        &int8(|s| s.peak),
        &int8(|s| s.failing.bits().cast_signed()),
        &int8(|s| s.warned.bits().cast_signed()),
        &int8(|s| s.flat_value),
        &since(|s| s.zero_since),
        &since(|s| s.flat_since),
        &since(|s| s.reactive_since),
        &int4(|s| s.zero_longest_s),
        &int4(|s| s.flat_slots),
        &count(|s| s.slots),
        &count(|s| s.actual),
        &count(|s| s.suspect),
        &pf,
        &count(|s| s.lacking_days),
        &yes(|s| s.validated),
        &yes(|s| s.outage),
        &yes(|s| s.switched_off),
        &Stamp(log_time),
    ];
    client.execute(&statement, &params).await.map_err(&query)
}

/// What was released stays so; the other holds are those of the newest verdict.
async fn hold(client: &Connection, days: &[&JudgedDay]) -> Result<(), StoreError> {
    let query = StoreError::query("holding a day from bills");
    let statement = client.prepare_cached(UNHOLD).await.map_err(&query)?;
    let meters: Vec<i32> = days.iter().map(|day| day.meter.get()).collect();
    let channels: Vec<i16> = days.iter().map(|day| day.channel.get()).collect();
    let from: Vec<Stamp> = days.iter().map(|day| Stamp(day.verdict.summary.from)).collect();
    client.execute(&statement, &[&meters, &channels, &from]).await.map_err(&query)?;
    let holds =
        || days.iter().flat_map(|day| day.verdict.holds.iter().map(move |hold| (day, hold)));
    if holds().next().is_none() {
        return Ok(());
    }
    let statement = client.prepare_cached(HOLD).await.map_err(&query)?;
    let meters: Vec<i32> = holds().map(|(day, _)| day.meter.get()).collect();
    let channels: Vec<i16> = holds().map(|(day, _)| day.channel.get()).collect();
    let starts: Vec<Stamp> = holds().map(|(day, _)| Stamp(day.verdict.summary.from)).collect();
    let kinds: Vec<&str> = holds().map(|(_, hold)| hold_word(hold.kind)).collect();
    let rules: Vec<i16> =
        holds().map(|(_, hold)| hold.rule.no().map_or(0, |no| i16::from(no.get()))).collect();
    let from: Vec<Stamp> = holds().map(|(_, hold)| Stamp(hold.from)).collect();
    let to: Vec<Stamp> = holds().map(|(_, hold)| Stamp(hold.to)).collect();
    client
        .execute(&statement, &[&meters, &channels, &starts, &kinds, &rules, &from, &to])
        .await
        .map_err(&query)?;
    Ok(())
}

const fn hold_word(kind: HoldKind) -> &'static str {
    match kind {
        HoldKind::Interval => "interval",
        HoldKind::Demand => "demand",
        HoldKind::TouSplit => "tou_split",
        HoldKind::Review => "review",
    }
}
