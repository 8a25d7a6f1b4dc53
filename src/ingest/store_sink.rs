//! The PostgreSQL store as the end of the pipeline.

use metering::UtcTime;
use store::assets::Registry;
use store::{Batch, Database, PreparedBatch, Stored, Writer};

use super::sink::{Letter, Sink, SinkError};

/// Writes through one [`Writer`].
#[derive(Debug)]
pub(super) struct StoreSink {
    database: Database,
    writer: Writer,
    adapter: &'static str,
}

impl StoreSink {
    pub(super) fn new(database: Database, adapter: &'static str) -> Self {
        let writer = Writer::new(database.clone());
        Self { database, writer, adapter }
    }
}

impl Sink for StoreSink {
    type Prepared = PreparedBatch;

    fn prepare(batch: Batch) -> PreparedBatch {
        Writer::prepare(batch)
    }

    async fn commit(&mut self, prepared: &PreparedBatch) -> Result<Stored, SinkError> {
        Ok(self.writer.append_prepared(prepared).await?)
    }

    async fn registry(&self) -> Result<Registry, SinkError> {
        Ok(self.database.load_registry().await?)
    }

    async fn replayed(&self, letters: &[Letter], at: UtcTime) -> Result<(), SinkError> {
        let keys: Vec<[u8; 32]> = letters.iter().map(|letter| letter.sha256).collect();
        self.database.mark_replayed(self.adapter, &keys, at).await?;
        Ok(())
    }

    async fn rest(&mut self) {
        // No reading depends on it; the next run shows it again.
        if let Err(error) = self.writer.flush_presence().await {
            tracing::debug!(error = %error, "Could not write what is shown beside meters.");
        }
    }
}
