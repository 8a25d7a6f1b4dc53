//! Dead letters that are told again: after a device was provisioned, after a fix, or by an
//! operator's hand.

use bytes::Bytes;
use metering::{SourceId, UtcTime};
use tokio_postgres::Row;

use crate::database::Database;
use crate::error::StoreError;
use crate::types::Stamp;

/// Letters of one page, and bytes; a single larger letter is a page of its own.
const PAGE_LETTERS: i64 = 500;
const PAGE_BYTES: i64 = 16 << 20;

/// Which letters of the adapter wait, in the order in which they came, after `$6`? `$2`: by source,
/// with those that name several devices; `$3`: by reason; `$4`: by key; `$5`: of devices that are provisioned.
const LETTERS: &str = "\
    SELECT sha256, topic, payload, first_seen, reads, import_no, arrival_no FROM ( \
        SELECT *, sum(octet_length(payload)) OVER w AS bytes, row_number() OVER w AS nth FROM ( \
            SELECT sha256, topic, payload, first_seen, reads, import_no, arrival_no \
            FROM dead_letter \
            WHERE adapter = $1 AND replayed_at IS NULL \
                AND ($2::text[] IS NULL OR source_id = ANY($2) \
                    OR (source_id IS NULL AND reason = 'unknown_device')) \
                AND ($3::text IS NULL OR reason = $3) \
                AND ($4::bytea IS NULL OR sha256 = $4) \
                AND (NOT $5::bool OR (reason IN ('unknown_device', 'unknown_field') \
                    AND (source_id IS NULL OR EXISTS (SELECT 1 FROM meter_source s \
                        WHERE s.source_id = dead_letter.source_id)))) \
                AND ($6::int8 IS NULL OR arrival_no > $6) ORDER BY arrival_no LIMIT $7) AS letter \
        WINDOW w AS (ORDER BY arrival_no)) AS page \
    WHERE bytes <= $8 OR nth = 1 ORDER BY arrival_no";

/// These became readings. A letter that comes again later waits again.
const MARK: &str = "\
    UPDATE dead_letter SET replayed_at = $3 WHERE adapter = $1 AND sha256 = ANY($2::bytea[])";

/// Unknown devices and collectors that the asset model knows by now; `$1`: heard by this adapter.
const SETTLE: &str = "\
    DELETE FROM commissioning c WHERE ($1::text IS NULL OR c.adapter = $1) \
        AND (EXISTS (SELECT 1 FROM meter_source s WHERE s.source_id = c.source_id) \
            OR EXISTS (SELECT 1 FROM collector k WHERE 'collector:' || k.code = c.source_id))";

/// A dead letter with its bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeadLetter {
    /// With the adapter, its key.
    pub sha256: [u8; 32],
    pub topic: String,
    pub payload: Bytes,
    /// When it arrived first.
    pub received_at: UtcTime,
    /// Readings that one copy offers.
    pub reads: i64,
    /// Of a record of a file: the import that told of it last.
    pub import_no: Option<i64>,
    /// Its place in the order in which letters came.
    pub arrival_no: i64,
}

/// Which dead letters to tell again. Those that were replayed are out.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ReplayFilter {
    /// Of these devices, with letters that name several devices.
    pub sources: Option<Vec<SourceId>>,
    pub reason: Option<String>,
    pub sha256: Option<[u8; 32]>,
    /// Only of devices that were unknown, or sent unknown fields, and are provisioned now.
    pub provisioned: bool,
}

impl Database {
    /// One page of waiting dead letters in the order in which they came, after the one of the number
    /// `after`; empty at the end.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn letters_to_replay(
        &self,
        adapter: &str,
        filter: &ReplayFilter,
        after: Option<i64>,
    ) -> Result<Vec<DeadLetter>, StoreError> {
        let query = StoreError::query("reading dead letters to replay");
        let client = self.work_client().await?;
        let statement = client.prepare_cached(LETTERS).await.map_err(&query)?;
        let sources: Option<Vec<&str>> =
            filter.sources.as_ref().map(|sources| sources.iter().map(SourceId::as_str).collect());
        let key = filter.sha256.as_ref().map(<[u8; 32]>::as_slice);
        let rows = client
            .query(
                &statement,
                &[
                    &adapter,
                    &sources,
                    &filter.reason,
                    &key,
                    &filter.provisioned,
                    &after,
                    &PAGE_LETTERS,
                    &PAGE_BYTES,
                ],
            )
            .await
            .map_err(&query)?;
        rows.iter().map(letter).collect()
    }

    /// Notes that these dead letters became readings.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn mark_replayed(
        &self,
        adapter: &str,
        keys: &[[u8; 32]],
        at: UtcTime,
    ) -> Result<u64, StoreError> {
        let query = StoreError::query("marking dead letters as replayed");
        let client = self.work_client().await?;
        let statement = client.prepare_cached(MARK).await.map_err(&query)?;
        let keys: Vec<&[u8]> = keys.iter().map(<[u8; 32]>::as_slice).collect();
        client.execute(&statement, &[&adapter, &keys, &Stamp(at)]).await.map_err(&query)
    }

    /// Takes devices and collectors off the list of unknown ones that are known by now, those of one
    /// adapter or all; tells how many. Provisioning does it for its own; this is for those that were
    /// heard before a running head-end took its change over.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn settle_commissioning(&self, adapter: Option<&str>) -> Result<u64, StoreError> {
        let query = StoreError::query("taking known devices off the commissioning list");
        let client = self.work_client().await?;
        let statement = client.prepare_cached(SETTLE).await.map_err(&query)?;
        client.execute(&statement, &[&adapter]).await.map_err(&query)
    }
}

fn letter(row: &Row) -> Result<DeadLetter, StoreError> {
    let sha256 = <[u8; 32]>::try_from(row.get::<_, &[u8]>(0)).map_err(|_| StoreError::Corrupt {
        what: "dead letter",
        detail: "its key is no SHA-256".to_owned(),
    })?;
    Ok(DeadLetter {
        sha256,
        topic: row.get(1),
        payload: Bytes::copy_from_slice(row.get::<_, &[u8]>(2)),
        received_at: row.get::<_, Stamp>(3).0,
        reads: row.get(4),
        import_no: row.get(5),
        arrival_no: row.get(6),
    })
}
