//! The running ingest: intake and committer side by side, with one batch between them.

use std::sync::Arc;

use tokio::sync::{Mutex, mpsc, watch};

use super::commit::{Committer, Shared};
use super::core::IngestCore;
use super::intake::{Assets, Intake, Letters, Source};
use super::options::IngestOptions;
use super::registry::Registry;
use super::sink::Sink;
use super::stats::IngestStats;
use crate::clock::Clock;

/// What both halves need.
pub(super) struct Parts {
    pub(super) options: IngestOptions,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) stats: Arc<IngestStats>,
}

pub(super) fn core_of(options: &IngestOptions, data: &store::assets::Registry) -> IngestCore {
    IngestCore::new(options.adapter, Registry::new(data), options.routes.clone())
        .keeping_raw(options.keep_raw)
        .with_keys(Arc::clone(&options.wmbus_keys))
}

/// The pipeline over any source, sink and letters.
pub(super) async fn run_with<S: Sink, L: Letters, M: Source>(
    parts: Parts,
    (core, sink, letters): (IngestCore, S, L),
    source: M,
    (assets, shutdown): (watch::Receiver<Assets>, watch::Receiver<bool>),
) {
    let shared = Arc::new(Mutex::new(Shared { core, generation: 0 }));
    let (works, queue) = mpsc::channel(1);
    let (tell_done, done) = watch::channel(0);
    let committer = Committer {
        sink,
        shared: Arc::clone(&shared),
        stats: Arc::clone(&parts.stats),
        clock: Arc::clone(&parts.clock),
        shutdown: shutdown.clone(),
        done: tell_done,
    };
    let intake = Intake::<S, L> {
        options: parts.options,
        shared,
        stats: parts.stats,
        clock: parts.clock,
        shutdown,
        assets,
        letters,
        works,
        done,
        sent: 0,
    };
    let committer = tokio::spawn(committer.run(queue));
    let source = intake.run(source).await;
    // The intake took its end of the queue with it, so the committer ends once it is empty.
    if let Err(panic) = committer.await {
        tracing::error!(error = %panic, "The committing half of ingest died.");
    }
    source.stop().await;
}

#[cfg(test)]
#[path = "pipeline_tests.rs"]
mod tests;
