//! `headend serve`: the head-end by its configuration, until SIGTERM or Ctrl-C.

use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};

use super::{App, Parts, Time};
use crate::clock::SystemClock;
use crate::config::Config;
use crate::verbs::database;

/// Serves until told to stop. Its data stays where it is.
///
/// # Errors
/// The database cannot be reached or started, a port is taken, or a setting cannot work.
pub async fn serve(config: Config) -> anyhow::Result<()> {
    let opened = database::open(&config).await?;
    let clock = SystemClock::shared();
    let parts = Parts::of_config(&config, opened.database.clone(), clock, Time::Flows)?;
    let app = App::start(parts).await?;
    tracing::info!(console = %format!("http://{}/", app.address), "The head-end is running.");
    notify(&[NotifyState::Ready]);
    let outcome = stop_signal().await;
    notify(&[NotifyState::Stopping]);
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

/// Without systemd there is nobody to tell, which is fine.
fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "systemd was not told.");
    }
}
