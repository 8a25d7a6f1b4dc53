//! Ingest as the program runs it: a source, the store, and a watch on the asset model.

use std::sync::Arc;
use std::time::Duration;

use store::Database;
use tokio::sync::{Notify, watch};

use super::commit::chain;
use super::dlq::StoredLetters;
use super::intake::{Assets, Source};
use super::options::IngestOptions;
use super::pipeline::{Parts, core_of, run_with};
use super::routes::Route;
use super::sink::Sink;
use super::stats::IngestStats;
use super::store_sink::StoreSink;
use crate::clock::Clock;
use crate::services::payloads;
use crate::services::rules::limits::Limits;

/// Takes messages from a source and acknowledges them once they are stored.
#[derive(Debug)]
pub struct Ingest {
    database: Database,
    options: IngestOptions,
    clock: Arc<dyn Clock>,
    stats: Arc<IngestStats>,
    reload: Arc<Notify>,
}

impl Ingest {
    pub fn new(database: Database, options: IngestOptions, clock: Arc<dyn Clock>) -> Self {
        Self { database, options, clock, stats: Arc::default(), reload: Arc::default() }
    }

    pub fn stats(&self) -> Arc<IngestStats> {
        Arc::clone(&self.stats)
    }

    /// Notified: the asset model is looked at now, not at the next turn.
    pub fn reload(&self) -> Arc<Notify> {
        Arc::clone(&self.reload)
    }

    /// Runs until `shutdown` holds true or the source ends. Stops receiving first, stores what was
    /// received, acknowledges it, then takes leave of the source. While the store is away it keeps
    /// trying; when it shall stop then, the broker keeps what was not stored.
    pub async fn run<M: Source>(self, source: M, mut shutdown: watch::Receiver<bool>) {
        let sink = StoreSink::new(self.database.clone(), self.options.adapter);
        let Some(data) = self.first_registry(&sink, &mut shutdown).await else {
            source.stop().await;
            return;
        };
        let (tell, assets) = watch::channel(Assets::default());
        let mut core = core_of(&self.options, &data);
        let (changes, live) = self.first_mappings().await;
        let filters: Vec<String> = live.iter().map(|route| route.filter.clone()).collect();
        core.set_live_routes(live);
        source.listen(&filters);
        let mut watcher = AssetWatcher {
            database: self.database.clone(),
            version: data.version,
            rules: alerts::BUILT_IN.to_owned(),
            mappings: changes,
            every: self.options.assets_every,
            reload: self.reload,
            tell,
        };
        if let Some(limits) = watcher.new_limits().await {
            core.judge_by(limits, &data);
        }
        let watcher = tokio::spawn(watcher.run());
        let letters = StoredLetters::new(self.database, self.options.adapter);
        let parts = Parts { options: self.options, clock: self.clock, stats: self.stats };
        run_with(parts, (core, sink, letters), source, (assets, shutdown)).await;
        watcher.abort();
    }

    /// What operators took live. The registry was read just now, so the database is there; when it
    /// is gone again the watcher asks later.
    async fn first_mappings(&self) -> (i64, Vec<Route>) {
        match payloads::live_routes(&self.database).await {
            Ok(known) => known,
            Err(error) => {
                tracing::warn!(
                    error = chain(&error),
                    "Descriptions of payloads cannot be loaded yet."
                );
                (-1, Vec::new())
            }
        }
    }

    async fn first_registry(
        &self,
        sink: &StoreSink,
        shutdown: &mut watch::Receiver<bool>,
    ) -> Option<store::assets::Registry> {
        loop {
            match sink.registry().await {
                Ok(data) => return Some(data),
                Err(error) => {
                    self.stats.set_store_away(true);
                    tracing::warn!(error = chain(&error), "The asset model cannot be loaded yet.");
                }
            }
            tokio::select! {
                () = tokio::time::sleep(Duration::from_secs(1)) => {}
                _ = shutdown.wait_for(|stop| *stop) => return None,
            }
        }
    }
}

/// Asks for a new version of the asset model and of the rules, and loads them when there is one.
struct AssetWatcher {
    database: Database,
    version: i64,
    /// Version of the rules that readings are judged by.
    rules: String,
    /// The last change of descriptions that is followed; -1: none was read.
    mappings: i64,
    every: Duration,
    reload: Arc<Notify>,
    tell: watch::Sender<Assets>,
}

impl AssetWatcher {
    async fn run(mut self) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(self.every) => {}
                () = self.reload.notified() => {}
            }
            if let Err(error) = self.look().await {
                tracing::debug!(error = %error, "The asset model could not be asked for changes.");
            }
        }
    }

    async fn look(&mut self) -> Result<(), store::StoreError> {
        let limits = self.new_limits().await;
        let live = self.new_mappings().await?;
        let same = self.database.asset_version().await? == self.version;
        if same && limits.is_none() && live.is_none() {
            return Ok(());
        }
        let data = self.database.load_registry().await?;
        self.version = data.version;
        let registry = Some(Arc::new(data));
        self.tell.send_modify(|told| {
            told.registry = registry;
            told.limits = limits.or(told.limits.take());
            told.live = live.or(told.live.take());
        });
        Ok(())
    }

    async fn new_mappings(&mut self) -> Result<Option<Vec<Route>>, store::StoreError> {
        if store::mappings::last_change(&self.database).await? == self.mappings {
            return Ok(None);
        }
        let (last, live) = payloads::live_routes(&self.database).await?;
        self.mappings = last;
        tracing::info!(mappings = live.len(), "Took over the descriptions of payloads.");
        Ok(Some(live))
    }

    /// The limits of rules that others have replaced; rules that cannot be read change nothing.
    async fn new_limits(&mut self) -> Option<Limits> {
        match crate::services::rules::active(&self.database).await {
            Ok((version, _)) if version == self.rules => None,
            Ok((version, bundle)) => {
                self.rules = version;
                Some(Limits::new(bundle))
            }
            Err(error) => {
                tracing::debug!(error = %error, "The rules could not be asked for changes.");
                None
            }
        }
    }
}
