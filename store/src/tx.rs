//! A transaction that owns its connection.

use deadpool_postgres::Object;

use crate::database::{Connection, Database};
use crate::error::StoreError;

/// An open transaction. Statements take the connection by shared reference, so that independent
/// ones can share a round trip, COMMIT included. Dropped without [`Tx::commit`], it closes the
/// connection, so that the server rolls back and no pooled connection keeps a transaction open.
#[derive(Debug)]
pub(crate) struct Tx {
    connection: Option<Connection>,
}

impl Tx {
    pub(crate) async fn begin(database: &Database) -> Result<Self, StoreError> {
        Self::on(database.work_client().await?).await
    }

    pub(crate) async fn on(connection: Connection) -> Result<Self, StoreError> {
        let tx = Self { connection: Some(connection) };
        tx.client()
            .batch_execute("BEGIN")
            .await
            .map_err(StoreError::query("opening a transaction"))?;
        Ok(tx)
    }

    pub(crate) fn client(&self) -> &Connection {
        match &self.connection {
            Some(connection) => connection,
            None => unreachable!("the connection leaves only with the transaction itself"),
        }
    }

    pub(crate) async fn commit(mut self) -> Result<(), StoreError> {
        self.client()
            .batch_execute("COMMIT")
            .await
            .map_err(StoreError::query("committing a transaction"))?;
        self.connection = None;
        Ok(())
    }

    /// For a transaction whose COMMIT was sent along with its last statements.
    pub(crate) fn committed(mut self) {
        self.connection = None;
    }

    /// Gives the connection back to the pool, rolled back.
    pub(crate) async fn rollback(mut self) {
        if self.client().batch_execute("ROLLBACK").await.is_ok() {
            self.connection = None;
        }
    }
}

impl Drop for Tx {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            drop(Object::take(connection));
        }
    }
}
