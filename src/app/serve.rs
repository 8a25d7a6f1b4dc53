//! `headend serve`: the head-end by its configuration, until SIGTERM or Ctrl-C.

use tokio::signal::unix::{SignalKind, signal};

use super::{App, Parts, Time, systemd};
use crate::clock::SystemClock;
use crate::config::Config;
use crate::verbs::database;

/// Serves until told to stop. Its data stays where it is.
///
/// # Errors
/// The database cannot be reached or started, a port is taken, or a setting cannot work.
pub async fn serve(config: Config) -> anyhow::Result<()> {
    let opened = database::open_to_serve(&config).await?;
    let clock = SystemClock::shared();
    let parts = Parts::of_config(&config, opened.database.clone(), clock, Time::Flows)?;
    let app = App::start(parts).await?;
    tracing::info!(console = %format!("http://{}/", app.address), "The head-end is running.");
    let outcome = tokio::select! {
        outcome = stop_signal() => outcome,
        () = systemd::tell(&app.ingest, &app.mqtt) => Ok(()),
    };
    systemd::stopping();
    tracing::info!("Stopping: storing and acknowledging what was received.");
    app.drain().await;
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
