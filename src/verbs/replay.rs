//! Dead letters told again, by `dlq replay` and after provisioning.

use std::sync::Arc;
use std::time::Duration;

use metering::SourceId;
use store::ReplayFilter;

use super::cli::{DlqWhich, Output};
use super::database::Opened;
use crate::clock::Clock;
use crate::config::{Config, read_wmbus_keys};
use crate::ingest::{IngestOptions, Replayer, Route};
use crate::output::{Cell, Record, remark};
use crate::services::files::Files;

/// Name of the adapter that messages arrive by: in batches, dead letters and metrics.
pub const ADAPTER: &str = "mqtt";
/// A head-end that runs on the same database tells them by itself within this time.
const HEADEND_TELLS_WITHIN: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// How ingest decodes and batches, by the configuration.
///
/// # Errors
/// When a limit does not fit this machine.
pub fn ingest_options(config: &Config) -> anyhow::Result<IngestOptions> {
    let routes = config.mqtt.subscriptions.iter().map(|subscription| Route {
        filter: subscription.filter.clone(),
        format: subscription.format,
        zone: subscription.zone.clone(),
        collector_level: subscription.collector_level,
        mapping: subscription.mapping.clone(),
        options: subscription.options.clone(),
    });
    let routes = routes.chain([Route::of_polls()]);
    let mut options = IngestOptions::new(ADAPTER, routes.collect());
    options.batch_rows_max = usize::try_from(config.ingest.batch_rows_max)?;
    options.batch_wait_max = config.ingest.batch_wait_max;
    options.keep_raw = !config.ingest.raw_keep.is_zero();
    if let Some(path) = &config.ingest.wmbus_keys_file {
        options.wmbus_keys = Arc::new(read_wmbus_keys(path)?);
    }
    Ok(options)
}

/// Who imports files, by the configuration.
fn files(opened: &Opened, config: &Config, clock: Arc<dyn Clock>) -> anyhow::Result<Files> {
    let context = (opened.zone(config), clock);
    let ingest = ingest_options(config)?;
    Ok(Files::new(opened.database.clone(), ingest, &config.files, context))
}

/// `headend dlq replay`.
pub(super) async fn run(
    opened: &Opened,
    config: &Config,
    (which, dry_run, output): (&DlqWhich, bool, Output),
    clock: Arc<dyn Clock>,
) -> anyhow::Result<()> {
    let database = opened.database.clone();
    let replayer = Replayer::new(database, ingest_options(config)?, Arc::clone(&clock));
    let files = files(opened, config, clock)?;
    let filter = ReplayFilter {
        sources: which.source.as_ref().map(|source| vec![SourceId::parse(source.as_str())]),
        reason: which.reason.clone(),
        ..ReplayFilter::default()
    };
    if dry_run {
        let (mut letters, mut reads) = replayer.count(&filter).await?;
        let of_files = files.waiting(&filter).await?;
        (letters, reads) = (letters + of_files.0, reads + of_files.1);
        let counts = [("letters", Cell::number(letters)), ("reads", Cell::number(reads))];
        Record::new(counts.into()).print(output.format())?;
        remark!("nothing was changed");
        return Ok(());
    }
    let mut report = replayer.replay(&filter).await?;
    report.add(files.replay(&filter).await?);
    let record = Record::new(vec![
        ("letters", Cell::number(report.letters)),
        ("accepted", Cell::number(report.accepted)),
        ("still_dead", Cell::number(report.still_dead)),
        ("reads_new", Cell::number(report.stored.inserted)),
        ("reads_duplicate", Cell::number(report.stored.duplicate)),
        ("reads_conflicting", Cell::number(report.stored.conflicting)),
        ("intervals_derived", Cell::number(report.stored.derived)),
    ]);
    record.print(output.format())?;
    Ok(())
}

/// Readings that came back for devices that were just provisioned. Does it itself, unless a
/// running head-end is faster.
pub(super) async fn of_devices(
    opened: &Opened,
    config: &Config,
    sources: Vec<SourceId>,
    clock: Arc<dyn Clock>,
) -> anyhow::Result<u64> {
    let database = opened.database.clone();
    let replayer = Replayer::new(database, ingest_options(config)?, Arc::clone(&clock));
    let files = files(opened, config, Arc::clone(&clock))?;
    let filter = ReplayFilter { sources: Some(sources), ..ReplayFilter::default() };
    let (_, waiting) = replayer.count(&filter).await?;
    let mut left = waiting;
    if opened.is_shared() {
        let until = clock.monotonic() + HEADEND_TELLS_WITHIN;
        while left > 0 && clock.monotonic() < until {
            tokio::time::sleep(LOOK_EVERY).await;
            left = replayer.count(&filter).await?.1;
        }
    }
    let mut back = waiting.saturating_sub(left);
    if left > 0 {
        back += replayer.replay(&filter).await?.stored.inserted;
    }
    back += files.replay(&filter).await?.stored.inserted;
    Ok(back)
}
