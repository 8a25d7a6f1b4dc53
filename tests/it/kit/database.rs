//! Databases of tests, and looks into that of a head-end, beside the program.

use std::path::Path;

use store::Database;
use tokio_postgres::{Client, NoTls};

use super::ledger::Expected;
use super::skip::skip;

/// A migrated database of the test's own; `None` after saying that the test is skipped.
pub(crate) async fn fresh(test: &str) -> Option<Database> {
    let base = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let cluster = store::testing::shared_cluster(base, std::env::var_os("PATH")).await.unwrap();
    let Some(cluster) = cluster else {
        skip(test, "no PostgreSQL binaries");
        return None;
    };
    Some(cluster.database().await.unwrap())
}

/// A connection of the test's own.
pub(crate) struct Stored {
    client: Client,
}

/// How ledger and database differ. All but the first two must be 0.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Difference {
    pub(crate) sent: i64,
    pub(crate) stored: i64,
    pub(crate) lost: i64,
    pub(crate) doubled: i64,
    pub(crate) phantom: i64,
    pub(crate) changed: i64,
    /// Rows that the batches claim to have inserted, less those that are there.
    pub(crate) miscounted: i64,
}

impl Stored {
    /// The private server of the head-end that runs in `data`.
    pub(crate) async fn open(data: &Path) -> Self {
        let url = store::embedded::running_url(data).expect("no private server runs");
        let (client, driver) = tokio_postgres::connect(&url, NoTls).await.unwrap();
        tokio::spawn(driver);
        Self { client }
    }

    pub(crate) async fn number(&self, sql: &str) -> i64 {
        self.client.query_one(sql, &[]).await.unwrap().get(0)
    }

    pub(crate) const fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) async fn intervals(&self) -> i64 {
        self.number("SELECT count(*) FROM read_interval").await
    }

    /// The full outer join of what was sent and what is stored.
    pub(crate) async fn difference(&self, expected: &Expected) -> Difference {
        self.client
            .batch_execute(
                "CREATE TEMP TABLE expected (number text, starts_at timestamptz, value int8)",
            )
            .await
            .unwrap();
        self.client
            .execute(
                "INSERT INTO expected SELECT n, to_timestamp(s), v
                 FROM unnest($1::text[], $2::int8[], $3::int8[]) AS e (n, s, v)",
                &[&expected.numbers, &expected.starts_s, &expected.values],
            )
            .await
            .unwrap();
        let row = self
            .client
            .query_one(
                "SELECT count(e.number), count(s.number),
                   count(*) FILTER (WHERE s.number IS NULL),
                   count(*) FILTER (WHERE e.number IS NULL),
                   count(*) FILTER (WHERE s.value <> e.value),
                   (SELECT count(*) - count(DISTINCT (meter_id, channel, starts_at))
                    FROM read_interval),
                   (SELECT coalesce(sum(inserted), 0)::int8 FROM ingest_batch)
                     - (SELECT count(*) FROM read_interval)
                 FROM expected e FULL OUTER JOIN
                   (SELECT m.number, r.starts_at, r.value FROM read_interval r
                    JOIN meter m USING (meter_id)) s
                 USING (number, starts_at)",
                &[],
            )
            .await
            .unwrap();
        Difference {
            sent: row.get(0),
            stored: row.get(1),
            lost: row.get(2),
            phantom: row.get(3),
            changed: row.get(4),
            doubled: row.get(5),
            miscounted: row.get(6),
        }
    }
}

impl Difference {
    /// Panics unless exactly what was sent is stored.
    pub(crate) fn must_be_none(&self, readings: i64) {
        let none = Self { sent: readings, stored: readings, ..Self::default() };
        assert_eq!(*self, none, "sent and stored differ");
    }
}
