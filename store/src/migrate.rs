//! The schema: numbered SQL files, embedded, applied forward only and one runner at a time.

use tokio_postgres::Client;

use crate::error::StoreError;

mod embedded {
    refinery::embed_migrations!("../migrations");
}

/// Key of the advisory lock that keeps two runners apart: refinery itself takes none, and of two
/// runners on a fresh database one fails with a duplicate key in a catalogue.
const LOCK_KEY: i64 = 0x0068_6561_6465_6e64; // "headend"

/// The newest schema that this program knows.
pub fn schema_version() -> i64 {
    embedded::migrations::runner()
        .get_migrations()
        .iter()
        .map(|migration| i64::from(migration.version()))
        .max()
        .unwrap_or(0)
}

/// Applies what is missing under the lock.
pub(crate) async fn run(client: &mut Client) -> Result<(), StoreError> {
    let query = StoreError::query("preparing to migrate");
    client
        .batch_execute("SET lock_timeout = '60s'; SET statement_timeout = 0")
        .await
        .map_err(&query)?;
    if let Err(source) = client.execute("SELECT pg_advisory_lock($1)", &[&LOCK_KEY]).await {
        return Err(match source.code() {
            Some(code) if code.code() == "55P03" => StoreError::MigrationLocked,
            _ => StoreError::Query { what: "taking the migration lock", source },
        });
    }
    let outcome = run_locked(client).await;
    let unlocked = client.execute("SELECT pg_advisory_unlock($1)", &[&LOCK_KEY]).await;
    outcome?;
    unlocked.map_err(StoreError::query("releasing the migration lock"))?;
    Ok(())
}

async fn run_locked(client: &mut Client) -> Result<(), StoreError> {
    let database = applied_version(client).await?;
    let program = schema_version();
    if database > program {
        return Err(StoreError::SchemaNewer { database, program });
    }
    client
        .batch_execute("SET lock_timeout = '2s'; SET statement_timeout = '60s'")
        .await
        .map_err(StoreError::query("preparing to migrate"))?;
    embedded::migrations::runner()
        .set_abort_divergent(true)
        .run_async(client)
        .await
        .map_err(|error| StoreError::Migrate(Box::new(error)))?;
    sabotage(client).await
}

/// The number of the newest applied migration, 0 for an empty database.
async fn applied_version(client: &Client) -> Result<i64, StoreError> {
    let query = StoreError::query("reading the schema's version");
    let known = client
        .query_one("SELECT to_regclass('refinery_schema_history') IS NOT NULL", &[])
        .await
        .map_err(&query)?;
    if !known.get::<_, bool>(0) {
        return Ok(0);
    }
    let row = client
        .query_one("SELECT coalesce(max(version), 0)::int8 FROM refinery_schema_history", &[])
        .await
        .map_err(&query)?;
    Ok(row.get(0))
}

/// Takes the unique keys away, so that a redelivered batch is stored twice and T01 turns red.
#[cfg(feature = "sabotage-no-dedupe")]
async fn sabotage(client: &Client) -> Result<(), StoreError> {
    client
        .batch_execute(
            "ALTER TABLE read_interval DROP CONSTRAINT IF EXISTS read_interval_pkey;
             ALTER TABLE register_read DROP CONSTRAINT IF EXISTS register_read_pkey",
        )
        .await
        .map_err(StoreError::query("sabotaging the unique keys"))
}

#[cfg(not(feature = "sabotage-no-dedupe"))]
#[expect(clippy::unused_async, reason = "has the shape of the sabotaged build")]
async fn sabotage(_: &Client) -> Result<(), StoreError> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::embedded;

    #[test]
    fn migrations_are_numbered_without_holes() {
        let runner = embedded::migrations::runner();
        let mut numbers: Vec<i64> =
            runner.get_migrations().iter().map(|one| i64::from(one.version())).collect();
        numbers.sort_unstable();
        // A number that is filled in later is refused by databases that are beyond it.
        assert_eq!(numbers, (1..).take(numbers.len()).collect::<Vec<i64>>());
    }
}
