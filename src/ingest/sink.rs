//! Where batches go: the seam between ingest and the store, so that the pipeline can be tried
//! against a store that fails.

use std::error::Error;
use std::future::Future;

use bytes::Bytes;
use metering::UtcTime;
use store::assets::Registry;
use store::{Batch, StoreError, Stored};

/// The store did not take a batch.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// Nothing was stored, and the same may be taken later: the connection broke, or the
    /// installation has a fault that somebody will mend.
    #[error("the store is away")]
    Away(#[source] Box<dyn Error + Send + Sync>),
    /// Nothing was stored, and some of these rows never will be.
    #[error("the store refused the batch")]
    Refused(#[source] Box<dyn Error + Send + Sync>),
}

/// A dead letter that may become readings now.
#[derive(Clone, Debug)]
pub struct Letter {
    /// Its key in the store.
    pub sha256: [u8; 32],
    pub topic: String,
    pub payload: Bytes,
    pub received_at: UtcTime,
    /// Its place in the order in which letters came.
    pub arrival_no: i64,
}

/// Takes batches, one at a time.
pub trait Sink: Send + 'static {
    type Prepared: Send + Sync + 'static;

    /// The part of storing that needs no store; runs beside the commit of the batch before.
    fn prepare(batch: Batch) -> Self::Prepared;

    /// Returns once the batch is durable.
    fn commit(
        &mut self,
        prepared: &Self::Prepared,
    ) -> impl Future<Output = Result<Stored, SinkError>> + Send;

    /// The asset model with the states as committed.
    fn registry(&self) -> impl Future<Output = Result<Registry, SinkError>> + Send;

    /// No batch follows, for now or for good: what was put off is written.
    fn rest(&mut self) -> impl Future<Output = ()> + Send;

    /// These dead letters became readings.
    fn replayed(
        &self,
        letters: &[Letter],
        at: UtcTime,
    ) -> impl Future<Output = Result<(), SinkError>> + Send;
}

impl From<StoreError> for SinkError {
    fn from(error: StoreError) -> Self {
        let rows_refused =
            error.is_data_fault() || matches!(error, StoreError::Unreconciled { .. });
        // Everything else (a missing right, a foreign schema) is a fault of the installation: the
        // broker keeps the messages until somebody mended it.
        if rows_refused { Self::Refused(error.into()) } else { Self::Away(error.into()) }
    }
}
