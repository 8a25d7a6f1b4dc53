//! `headend serve`: the head-end by its configuration, until SIGTERM or Ctrl-C.

use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::{App, Parts, Time, systemd};
use crate::clock::SystemClock;
use crate::config::Config;
use crate::jobs::inbox::{self, Inbox};
use crate::verbs::database;

/// Shorter than the watchdog's patience: a try that waits for the database is still a sign of life.
const WORK_WAIT: Duration = Duration::from_secs(5);

/// Serves until told to stop. Its data stays where it is.
///
/// # Errors
/// The database cannot be reached or started, a port is taken, or a setting cannot work.
pub async fn serve(config: Config) -> anyhow::Result<()> {
    let opened = database::open_to_serve(&config).await?;
    let clock = SystemClock::shared();
    let database = opened.database.clone().with_work_wait(WORK_WAIT);
    let parts = Parts::of_config(&config, database, clock, Time::Flows)?;
    let inbox = Inbox { dir: config.files.inbox.clone(), files: parts.files.clone() };
    let mut app = App::start(parts).await?;
    let (stop_files, stopped) = watch::channel(false);
    let files = tokio::spawn(inbox::run(inbox, SystemClock::shared(), stopped));
    let (ingest, mqtt) = (Arc::clone(&app.ingest), Arc::clone(&app.mqtt));
    tracing::info!(console = %format!("http://{}/", app.address), "The head-end is running.");
    let outcome = tokio::select! {
        outcome = stop_signal() => outcome,
        () = systemd::tell(&ingest, &mqtt) => Ok(()),
        part = app.broken() => Err(anyhow::anyhow!("{part} ended by an internal fault: see the log")),
    };
    systemd::stopping();
    tracing::info!("Stopping: storing and acknowledging what was received.");
    stop_files.send_replace(true);
    app.drain().await;
    // A file that is being imported stays in the inbox and is known when it comes again.
    if tokio::time::timeout(Duration::from_secs(3), files).await.is_err() {
        tracing::warn!("A file of the inbox was not finished; it is taken again.");
    }
    opened.close().await;
    outcome
}

/// Resolves at SIGTERM or Ctrl-C.
///
/// # Errors
/// The process cannot catch signals.
pub async fn stop_signal() -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
