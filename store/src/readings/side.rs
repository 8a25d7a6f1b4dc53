//! What travels beside the readings of a batch: exceptions, events, raw bytes, dead letters,
//! unknown devices, counters.

use std::collections::HashSet;

use metering::{EventCode, MeterEvent, Subject, UtcTime};
use serde_json::Value;

use super::Fate;
use super::prepare::{CommissioningRow, DeadLetterRow, PreparedBatch, cut, storable};
use crate::batch::{ChannelStateRow, EventRow, IntervalRow};
use crate::database::Connection;
use crate::error::StoreError;
use crate::types::Stamp;

/// Unknown devices that are listed; more are only counted as dead letters.
pub const COMMISSIONING_ROWS_MAX: i64 = 10_000;

/// Room that dead letters may take, in bytes; then new ones are sampled.
const DEAD_LETTER_BYTES_MAX: i64 = 2 << 30;
/// The room is looked at once per so many dead letters.
const DEAD_LETTERS_PER_CHECK: u64 = 1_000;

/// What the writer remembers of the dead letters.
#[derive(Debug, Default)]
pub(super) struct DeadLetters {
    full: bool,
    since_check: Option<u64>,
}

impl DeadLetters {
    /// Whether new ones are only sampled.
    async fn are_full(&mut self, client: &Connection, more: u64) -> Result<bool, StoreError> {
        let due = self.since_check.is_none_or(|count| count >= DEAD_LETTERS_PER_CHECK);
        if due {
            let query = StoreError::query("measuring the dead letters");
            let statement = client.prepare_cached(DEAD_FULL).await.map_err(&query)?;
            let row =
                client.query_one(&statement, &[&DEAD_LETTER_BYTES_MAX]).await.map_err(&query)?;
            self.full = row.get(0);
            self.since_check = Some(0);
            if self.full {
                tracing::warn!("Dead letters fill their 2 GiB: of new ones, 1 in 64 is kept.");
            }
        }
        self.since_check = self.since_check.map(|count| count + more);
        Ok(self.full)
    }
}

pub(super) const RAW_COPY: &str = "COPY raw_message (received_at, meter_id, adapter, topic, \
    sha256, payload) FROM STDIN BINARY";

/// What judging failed: the version as received, number 1, unless an estimate stood there already;
/// then it is kept behind that as history alone.
const EXCEPTIONS: &str = "\
    INSERT INTO interval_exception (starts_at, recorded_at, value, rule_mask, meter_id, channel, \
        version, status, flags, lane) \
    SELECT u.starts_at, $2, u.value, u.rule_mask, u.meter_id, u.channel, \
        coalesce(n.version + 1, 1), u.flags & 15, u.flags, \
        CASE WHEN n.status IN (4, 5, 6, 8) THEN 1 ELSE 0 END \
    FROM unnest($1::timestamptz[], $3::int8[], $4::int8[], $5::int4[], $6::int2[], $7::int2[]) \
        AS u(starts_at, value, rule_mask, meter_id, channel, flags) \
    LEFT JOIN LATERAL (SELECT x.version, x.status FROM interval_exception x \
        WHERE x.meter_id = u.meter_id AND x.channel = u.channel AND x.starts_at = u.starts_at \
        ORDER BY x.version DESC LIMIT 1) n ON true \
    ON CONFLICT DO NOTHING";

/// Stores events that are not there; tells which it stored.
const EVENTS: &str = "\
    INSERT INTO device_event (occurred_at, received_at, subject_kind, subject_id, seq, code, \
        detail) \
    SELECT * FROM unnest($1::timestamptz[], $2::timestamptz[], $3::text[], $4::int4[], \
        $5::int4[], $6::text[], $7::text[]) \
    ON CONFLICT DO NOTHING RETURNING subject_kind, subject_id, occurred_at, code, seq";

/// Keeps dead letters, or counts another copy of one; a record of a file belongs to the newest
/// import that told of it. When the table is full (`$11`), of new ones
/// only a sample is kept: one in 64, by its hash.
const DEAD: &str = "\
    INSERT INTO dead_letter AS d (sha256, adapter, topic, payload, reason, detail, source_id, \
        first_seen, last_seen, count, reads, import_no, arrival_no) \
    SELECT u.sha256, $1::text, u.topic, u.payload, u.reason, u.detail, u.source_id, u.seen, \
        u.seen, u.count, u.reads, u.import_no, \
        ((SELECT nextval('dead_letter_batch')) << 20) + u.nth \
    FROM unnest($2::bytea[], $3::text[], $4::bytea[], $5::text[], $6::text[], $7::text[], \
        $8::timestamptz[], $9::int8[], $10::int8[], $12::int8[], $13::int8[]) AS u(sha256, topic, \
        payload, reason, detail, source_id, seen, count, reads, import_no, nth) \
    WHERE NOT $11::bool OR get_byte(u.sha256, 0) < 4 OR EXISTS (SELECT 1 FROM dead_letter k \
        WHERE k.sha256 = u.sha256 AND k.adapter = $1::text) \
    ON CONFLICT (sha256, adapter) DO UPDATE SET \
        count = CASE WHEN d.import_no IS DISTINCT FROM excluded.import_no THEN 0 \
            ELSE d.count END + excluded.count, \
        last_seen = greatest(d.last_seen, excluded.last_seen), reason = excluded.reason, \
        detail = excluded.detail, topic = excluded.topic, source_id = excluded.source_id, \
        import_no = excluded.import_no, replayed_at = NULL";

/// Do the dead letters take more room than they may? The file is only a bound: what was swept
/// leaves room in it that the next letters fill.
const DEAD_FULL: &str = "\
    SELECT CASE WHEN pg_total_relation_size('dead_letter') <= $1 THEN false \
        ELSE (SELECT coalesce(sum(octet_length(payload) + octet_length(topic) \
            + octet_length(detail) + 200), 0) > $1 FROM dead_letter) END";

/// Lists unknown devices, up to `$9` of them.
const UNKNOWN: &str = "\
    INSERT INTO commissioning AS c (source_id, adapter, collector, first_seen, last_seen, \
        messages, last_topic, last_payload, fields) \
    SELECT u.source_id, $1::text, u.collector, u.seen, u.seen, u.messages, u.topic, u.payload, \
        u.fields::jsonb \
    FROM unnest($2::text[], $3::text[], $4::timestamptz[], $5::int8[], $6::text[], $7::bytea[], \
        $8::text[]) AS u(source_id, collector, seen, messages, topic, payload, fields) \
    WHERE (SELECT count(*) FROM commissioning) < $9::int8 \
        OR EXISTS (SELECT 1 FROM commissioning k WHERE k.source_id = u.source_id) \
    ON CONFLICT (source_id) DO UPDATE SET \
        collector = coalesce(excluded.collector, c.collector), \
        last_seen = greatest(c.last_seen, excluded.last_seen), \
        messages = c.messages + excluded.messages, last_topic = excluded.last_topic, \
        last_payload = excluded.last_payload, fields = (SELECT coalesce(jsonb_agg(f), '[]') \
            FROM (SELECT jsonb_array_elements(c.fields) f \
                UNION SELECT jsonb_array_elements(excluded.fields) ORDER BY f LIMIT 64) sent)";

/// Keeps the newest counter of each channel.
const STATES: &str = "\
    INSERT INTO channel_state (meter_id, channel, read_at, raw, total, boundary_at, \
        boundary_total, recent) \
    SELECT u.meter_id, u.channel, u.read_at, u.raw, u.total, u.boundary_at, u.boundary_total, \
        u.recent::jsonb \
    FROM unnest($1::int4[], $2::int2[], $3::timestamptz[], $4::int8[], $5::int8[], \
        $6::timestamptz[], $7::int8[], $8::text[]) \
        AS u(meter_id, channel, read_at, raw, total, boundary_at, boundary_total, recent) \
    ON CONFLICT (meter_id, channel) DO UPDATE SET read_at = excluded.read_at, \
        raw = excluded.raw, total = excluded.total, boundary_at = excluded.boundary_at, \
        boundary_total = excluded.boundary_total, recent = excluded.recent \
    WHERE channel_state.read_at <= excluded.read_at";

/// Identity of an event.
type EventKey = (&'static str, i32, UtcTime, EventCode, i32);

/// Stores all of it; gives the events that are new, in batch order.
pub(super) async fn store<'a>(
    client: &Connection,
    prepared: &'a PreparedBatch,
    interval_fates: &[Fate],
    letters: &mut DeadLetters,
) -> Result<Vec<&'a EventRow>, StoreError> {
    let batch = &prepared.batch;
    if !batch.raw.is_empty() {
        prepared.raw_copy.send(client, RAW_COPY, "keeping raw messages").await?;
    }
    // Independent of one another: sent together, answered together.
    let (_, _, _, _, events) = futures_util::future::try_join5(
        exceptions(client, &prepared.intervals.rows, interval_fates, batch.log_time),
        dead_letters(client, batch.adapter, &prepared.dead, letters),
        unknown_devices(client, batch.adapter, &prepared.unknown),
        states(client, &prepared.states),
        events(client, &batch.events),
    )
    .await?;
    Ok(events)
}

async fn exceptions(
    client: &Connection,
    rows: &[IntervalRow],
    fates: &[Fate],
    recorded_at: UtcTime,
) -> Result<(), StoreError> {
    let rows: Vec<&IntervalRow> = rows
        .iter()
        .zip(fates)
        .filter(|(row, fate)| **fate == Fate::Inserted && row.reading.code.has_exception())
        .map(|(row, _)| row)
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    let readings = || rows.iter().map(|row| &row.reading.reading);
    let starts: Vec<Stamp> = readings().map(|reading| Stamp(reading.interval.start())).collect();
    let values: Vec<i64> = readings().map(|reading| reading.value).collect();
    let masks: Vec<i64> = rows.iter().map(|row| row.reading.failed.bits().cast_signed()).collect();
    let meters: Vec<i32> = readings().map(|reading| reading.meter.get()).collect();
    let channels: Vec<i16> = readings().map(|reading| reading.channel.get()).collect();
    let flags: Vec<i16> = rows.iter().map(|row| row.reading.code.to_i16()).collect();
    let query = StoreError::query("recording judged exceptions");
    let statement = client.prepare_cached(EXCEPTIONS).await.map_err(&query)?;
    let recorded_at = Stamp(recorded_at);
    client
        .execute(&statement, &[&starts, &recorded_at, &values, &masks, &meters, &channels, &flags])
        .await
        .map_err(&query)?;
    Ok(())
}

async fn events<'a>(
    client: &Connection,
    rows: &'a [EventRow],
) -> Result<Vec<&'a EventRow>, StoreError> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let events = || rows.iter().map(|row| &row.event);
    let occurred: Vec<Stamp> = events().map(|event| Stamp(event.occurred_at)).collect();
    let received: Vec<Stamp> = rows.iter().map(|row| Stamp(row.received_at)).collect();
    let kinds: Vec<&str> = events().map(|event| event.subject.kind()).collect();
    let numbers: Vec<i32> = events().map(|event| event.subject.number()).collect();
    let seqs: Vec<i32> = events().map(|event| event.seq).collect();
    let codes: Vec<&str> = events().map(|event| event.code.name()).collect();
    let details: Vec<String> = events()
        .map(|event| cut(storable(&event.detail).into_owned(), MeterEvent::DETAIL_BYTES_MAX))
        .collect();
    let query = StoreError::query("storing events");
    let statement = client.prepare_cached(EVENTS).await.map_err(&query)?;
    let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 7] =
        [&occurred, &received, &kinds, &numbers, &seqs, &codes, &details];
    let stored = client.query(&statement, &parameters).await.map_err(&query)?;
    let mut new: HashSet<EventKey> = stored.iter().filter_map(stored_event_key).collect();
    // Of equal events in one batch the first is the new one.
    Ok(rows.iter().filter(|row| new.remove(&event_key(&row.event))).collect())
}

fn event_key(event: &MeterEvent) -> EventKey {
    (event.subject.kind(), event.subject.number(), event.occurred_at, event.code, event.seq)
}

fn stored_event_key(row: &tokio_postgres::Row) -> Option<EventKey> {
    let subject = Subject::from_parts(row.get(0), row.get(1))?;
    let code: EventCode = row.get::<_, &str>(3).parse().ok()?;
    Some((subject.kind(), row.get(1), row.get::<_, Stamp>(2).0, code, row.get(4)))
}

async fn dead_letters(
    client: &Connection,
    adapter: &str,
    rows: &[DeadLetterRow],
    letters: &mut DeadLetters,
) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    let full = letters.are_full(client, rows.len() as u64).await?;
    let hashes: Vec<&[u8]> = rows.iter().map(|dead| dead.sha256.as_slice()).collect();
    let topics: Vec<&str> = rows.iter().map(|dead| dead.row.topic.as_ref()).collect();
    let payloads: Vec<&[u8]> = rows.iter().map(|dead| dead.row.payload.as_ref()).collect();
    let reasons: Vec<&str> = rows.iter().map(|dead| dead.row.reason.as_str()).collect();
    let details: Vec<&str> = rows.iter().map(|dead| dead.row.detail.as_str()).collect();
    let sources: Vec<Option<&str>> = rows
        .iter()
        .map(|dead| dead.row.source_id.as_ref().map(metering::SourceId::as_str))
        .collect();
    let seen: Vec<Stamp> = rows.iter().map(|dead| Stamp(dead.row.received_at)).collect();
    let counts: Vec<i64> = rows.iter().map(|dead| dead.count).collect();
    let reads: Vec<i64> = rows.iter().map(|dead| i64::from(dead.row.reads)).collect();
    let imports: Vec<Option<i64>> = rows.iter().map(|dead| dead.row.import_no).collect();
    let nth: Vec<i64> = rows.iter().map(|dead| dead.nth).collect();
    let query = StoreError::query("keeping dead letters");
    let statement = client.prepare_cached(DEAD).await.map_err(&query)?;
    let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 13] = [
        &adapter, &hashes, &topics, &payloads, &reasons, &details, &sources, &seen, &counts,
        &reads, &full, &imports, &nth,
    ];
    client.execute(&statement, &parameters).await.map_err(&query)?;
    Ok(())
}

async fn unknown_devices(
    client: &Connection,
    adapter: &str,
    rows: &[CommissioningRow],
) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    let sources: Vec<&str> = rows.iter().map(|known| known.row.source_id.as_str()).collect();
    let collectors: Vec<Option<&str>> =
        rows.iter().map(|known| known.row.collector.as_deref()).collect();
    let seen: Vec<Stamp> = rows.iter().map(|known| Stamp(known.row.received_at)).collect();
    let messages: Vec<i64> = rows.iter().map(|known| known.messages).collect();
    let topics: Vec<&str> = rows.iter().map(|known| known.row.topic.as_ref()).collect();
    let payloads: Vec<&[u8]> = rows.iter().map(|known| known.row.payload.as_ref()).collect();
    let fields: Vec<String> =
        rows.iter().map(|known| Value::from(known.row.fields.clone()).to_string()).collect();
    let query = StoreError::query("listing unknown devices");
    let statement = client.prepare_cached(UNKNOWN).await.map_err(&query)?;
    let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 9] = [
        &adapter,
        &sources,
        &collectors,
        &seen,
        &messages,
        &topics,
        &payloads,
        &fields,
        &COMMISSIONING_ROWS_MAX,
    ];
    client.execute(&statement, &parameters).await.map_err(&query)?;
    Ok(())
}

async fn states(client: &Connection, rows: &[ChannelStateRow]) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    let meters: Vec<i32> = rows.iter().map(|row| row.meter.get()).collect();
    let channels: Vec<i16> = rows.iter().map(|row| row.channel.get()).collect();
    let read_at: Vec<Stamp> = rows.iter().map(|row| Stamp(row.read_at)).collect();
    let raws: Vec<i64> = rows.iter().map(|row| row.raw).collect();
    let totals: Vec<i64> = rows.iter().map(|row| row.total).collect();
    let boundaries: Vec<Option<Stamp>> =
        rows.iter().map(|row| row.boundary.map(|(at, _)| Stamp(at))).collect();
    let boundary_totals: Vec<Option<i64>> =
        rows.iter().map(|row| row.boundary.map(|(_, total)| total)).collect();
    let recent: Vec<&str> =
        rows.iter().map(|row| if row.recent.is_empty() { "[]" } else { &row.recent }).collect();
    let query = StoreError::query("keeping the counters of register channels");
    let statement = client.prepare_cached(STATES).await.map_err(&query)?;
    let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 8] =
        [&meters, &channels, &read_at, &raws, &totals, &boundaries, &boundary_totals, &recent];
    client.execute(&statement, &parameters).await.map_err(&query)?;
    Ok(())
}
