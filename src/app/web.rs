//! The pages and the API on one listener.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use anyhow::Context as _;
use protocols::mqtt::MqttStats;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::Parts;
use super::parts::ADAPTER;
use crate::api::{self, PartState, WebState};
use crate::console::{self, ConsoleState};
use crate::ingest::stats::IngestStats;
use crate::jobs::rules::RuleHandle;
use crate::polling::Watch;
use crate::telemetry::Telemetry;

/// What health and metrics look at.
#[derive(Clone, Debug)]
pub(super) struct Watched {
    pub(super) ingest: Arc<IngestStats>,
    pub(super) mqtt: Arc<MqttStats>,
    pub(super) rules: RuleHandle,
    pub(super) polls: Watch,
}

/// Binds and serves until `stopped` turns true; open streams end with it.
pub(super) async fn start(
    parts: &Parts,
    watched: Watched,
    mut stopped: watch::Receiver<bool>,
) -> anyhow::Result<(SocketAddr, JoinHandle<()>)> {
    anyhow::ensure!(
        parts.listen.ip().is_loopback(),
        "the console listens on loopback only until operators can log in, not on {}",
        parts.listen
    );
    let listener = TcpListener::bind(parts.listen)
        .await
        .with_context(|| format!("cannot listen on {}", parts.listen))?;
    let address = listener.local_addr().context("the address of the console")?;
    let telemetry = Arc::new(telemetry(&watched)?);
    let web = WebState::new(
        parts.database.clone(),
        Arc::clone(&parts.clock),
        telemetry,
        parts.web.clone(),
    )?
    .with_polls(watched.polls.clone())
    .with_files(parts.files.clone());
    watch_readiness(&web, &watched);
    let console = ConsoleState::new(&web, stopped.clone());
    let router = console::router(console).merge(api::router(web));
    let server = axum::serve(listener, router).with_graceful_shutdown(async move {
        let _ = stopped.wait_for(|stop| *stop).await;
    });
    let task = tokio::spawn(async move {
        if let Err(error) = server.await {
            tracing::error!(%error, "The console stopped.");
        }
    });
    Ok((address, task))
}

fn telemetry(watched: &Watched) -> anyhow::Result<Telemetry> {
    let telemetry = Telemetry::new()?;
    telemetry.watch_ingest(ADAPTER, Arc::clone(&watched.ingest))?;
    telemetry.watch_mqtt(Arc::clone(&watched.mqtt))?;
    telemetry.watch_polls(watched.polls.clone())?;
    let rules = watched.rules.clone();
    let progress = move || {
        let progress = rules.progress();
        (progress.seq, progress.transitions)
    };
    telemetry.watch_rules(progress, Arc::clone(&watched.ingest))?;
    Ok(telemetry)
}

fn watch_readiness(web: &WebState, watched: &Watched) {
    let mqtt = Arc::clone(&watched.mqtt);
    web.readiness.watch("mqtt", move || {
        if !mqtt.is_connected() {
            PartState::Waiting("the broker is not connected".to_owned())
        } else if mqtt.subscribed.load(Ordering::Relaxed) {
            PartState::Ready
        } else {
            PartState::Waiting("the broker has not granted every subscription".to_owned())
        }
    });
    let rules = watched.rules.clone();
    web.readiness.watch("rules", move || {
        if rules.is_running() {
            PartState::Ready
        } else {
            PartState::Waiting("the rules have ended: restart, and see the log".to_owned())
        }
    });
    let ingest = Arc::clone(&watched.ingest);
    web.readiness.watch("ingest", move || {
        if ingest.is_store_away() {
            PartState::Waiting("the store does not take readings".to_owned())
        } else {
            PartState::Ready
        }
    });
}
