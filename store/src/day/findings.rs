//! What rules of closed windows said: kept once each, and told to the log when it changed.

use std::collections::BTreeMap;

use metering::{ChannelNo, Finding, LogRecord, UtcTime};
use tokio_postgres::types::ToSql;

use crate::database::Connection;
use crate::error::StoreError;
use crate::event_log::append_records;
use crate::types::Stamp;

const WHAT: &str = "recording findings";

/// Which of these findings are not stored as they are? Their positions, from 1.
const CHANGED: &str = "\
    SELECT u.i FROM unnest($1::int4[], $2::int2[], $3::timestamptz[], $4::int2[], $5::int2[], \
        $6::timestamptz[], $7::int2[], $8::int8[]) \
        WITH ORDINALITY AS u(meter_id, channel, from_at, rule_no, kind, to_at, outcome, detail, i) \
    LEFT JOIN finding f ON f.meter_id = u.meter_id AND f.channel = u.channel \
        AND f.from_at = u.from_at AND f.rule_no = u.rule_no AND f.kind = u.kind \
        AND f.to_at = u.to_at \
    WHERE f.meter_id IS NULL OR (f.outcome, f.detail) <> (u.outcome, u.detail) ORDER BY u.i";

const RECORD: &str = "\
    INSERT INTO finding AS f (meter_id, channel, from_at, rule_no, kind, to_at, outcome, detail, \
        recorded_at, log_seq) \
    SELECT u.meter_id, u.channel, u.from_at, u.rule_no, u.kind, u.to_at, u.outcome, u.detail, \
        $9, $10::int8 + u.i - 1 \
    FROM unnest($1::int4[], $2::int2[], $3::timestamptz[], $4::int2[], $5::int2[], \
        $6::timestamptz[], $7::int2[], $8::int8[]) \
        WITH ORDINALITY AS u(meter_id, channel, from_at, rule_no, kind, to_at, outcome, detail, i) \
    ON CONFLICT (meter_id, channel, from_at, rule_no, kind, to_at) DO UPDATE SET \
        outcome = excluded.outcome, detail = excluded.detail, \
        recorded_at = excluded.recorded_at, log_seq = excluded.log_seq";

/// Orders findings so that what a batch says twice is said once.
type Key = (i32, i16, UtcTime, i16, i16, UtcTime);

fn key(finding: &Finding) -> Key {
    let (meter, channel, rule, kind) = subject(finding);
    (meter, channel, finding.from, rule, kind, finding.to)
}

/// Meter, channel (0: the whole meter), rule and kind.
type Subject = (i32, i16, i16, i16);

fn subject(finding: &Finding) -> Subject {
    (
        finding.meter.get(),
        finding.channel.map_or(0, ChannelNo::get),
        i16::from(finding.rule.get()),
        i16::from(finding.kind),
    )
}

/// Columns of findings.
struct Rows {
    meters: Vec<i32>,
    channels: Vec<i16>,
    from: Vec<Stamp>,
    rules: Vec<i16>,
    kinds: Vec<i16>,
    to: Vec<Stamp>,
    outcomes: Vec<i16>,
    details: Vec<i64>,
}

impl Rows {
    fn of(findings: &[Finding]) -> Self {
        Self {
            meters: findings.iter().map(|finding| subject(finding).0).collect(),
            channels: findings.iter().map(|finding| subject(finding).1).collect(),
            from: findings.iter().map(|finding| Stamp(finding.from)).collect(),
            rules: findings.iter().map(|finding| subject(finding).2).collect(),
            kinds: findings.iter().map(|finding| subject(finding).3).collect(),
            to: findings.iter().map(|finding| Stamp(finding.to)).collect(),
            outcomes: findings.iter().map(|f| i16::from(f.outcome.number())).collect(),
            details: findings.iter().map(|finding| finding.detail).collect(),
        }
    }

    fn params(&self) -> Vec<&(dyn ToSql + Sync)> {
        vec![
            &self.meters,
            &self.channels,
            &self.from,
            &self.rules,
            &self.kinds,
            &self.to,
            &self.outcomes,
            &self.details,
        ]
    }
}

/// Keeps what is new among `findings` and appends it to the log. Gives their number and the last
/// sequence.
pub(super) async fn record(
    client: &Connection,
    findings: impl Iterator<Item = Finding>,
    log_time: UtcTime,
) -> Result<(u64, Option<i64>), StoreError> {
    let unique: BTreeMap<Key, Finding> = findings.map(|finding| (key(&finding), finding)).collect();
    if unique.is_empty() {
        return Ok((0, None));
    }
    let all: Vec<Finding> = unique.into_values().collect();
    let query = StoreError::query(WHAT);
    let statement = client.prepare_cached(CHANGED).await.map_err(&query)?;
    let rows = Rows::of(&all);
    let changed = client.query(&statement, &rows.params()).await.map_err(&query)?;
    let news: Vec<Finding> = changed
        .iter()
        .filter_map(|row| usize::try_from(row.get::<_, i64>(0) - 1).ok())
        .filter_map(|i| all.get(i).copied())
        .collect();
    let records: Vec<LogRecord> = news.iter().copied().map(LogRecord::Finding).collect();
    let Some((first, last)) = append_records(client, log_time, &records).await? else {
        return Ok((0, None));
    };
    let rows = Rows::of(&news);
    let at = Stamp(log_time);
    let mut params = rows.params();
    params.extend([&at as &(dyn ToSql + Sync), &first]);
    let statement = client.prepare_cached(RECORD).await.map_err(&query)?;
    client.execute(&statement, &params).await.map_err(&query)?;
    Ok((news.len() as u64, Some(last)))
}
