//! What ingest is told at its start.

use std::sync::Arc;
use std::time::Duration;

use protocols::amr::wmbus::Keys;

use super::routes::Route;

/// Inert: nothing is opened by having one.
#[derive(Clone, Debug)]
pub struct IngestOptions {
    /// Name of the adapter, stored with batches and raw messages.
    pub adapter: &'static str,
    /// Which decoder reads which topic; the first that matches wins.
    pub routes: Vec<Route>,
    /// A batch closes at this many rows ...
    pub batch_rows_max: usize,
    /// ... or when it has been open for this long, or when the input is drained.
    pub batch_wait_max: Duration,
    /// A batch waits this long for company before it is made. Zero, unless commits are dear and
    /// nobody waits for an acknowledgement, as in the demo's history.
    pub linger: Duration,
    /// Keep the bytes of accepted messages (dead letters are always kept).
    pub keep_raw: bool,
    /// How often the asset model is asked for changes.
    pub assets_every: Duration,
    /// Keys of devices that encrypt their telegrams.
    pub wmbus_keys: Arc<Keys>,
}

impl IngestOptions {
    pub fn new(adapter: &'static str, routes: Vec<Route>) -> Self {
        Self {
            adapter,
            routes,
            batch_rows_max: 10_000,
            batch_wait_max: Duration::from_millis(200),
            linger: Duration::ZERO,
            keep_raw: true,
            assets_every: Duration::from_secs(1),
            wmbus_keys: Arc::default(),
        }
    }
}
