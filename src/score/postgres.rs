//! The same trial through the real store: what the rules say of frames that PostgreSQL wrote and
//! gave
//! back must be, byte for byte, what they say of frames in memory.

use alerts::Params;
use anyhow::Context as _;
use metering::{LocalCalendar, LogRecord, UtcTime};
use serde::Serialize;
use simulators::{Trial, TrialSpec};
use store::{Database, EventLog as _, PgLog, Writer};

use super::fleet::Directory;
use super::rig::{BATCH_S, Rig, STEP_S};

const FRAMES: usize = 256;

/// Hashes of everything that the rules said.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct StoreProof {
    pub seed: u64,
    pub memory_alerts_sha256: String,
    pub postgres_alerts_sha256: String,
    pub readings: u64,
}

/// Runs a trial in memory and through an empty database.
///
/// # Errors
/// The trial cannot be planned, or the database fails.
pub async fn prove(spec: TrialSpec, database: &Database) -> anyhow::Result<StoreProof> {
    let trial = Trial::new(spec.clone()).context("plan the trial")?;
    let assets = trial.assets();
    let at = trial.spec().start;
    database.provision_collectors(&crate::demo::collectors(assets), at).await?;
    database.provision(&crate::demo::meters(assets)?, at).await?;
    let registry = database.load_registry().await?;
    let directory = Directory::new(assets)?.renumbered(registry);
    let seed = spec.seed;
    let memory = in_memory(Trial::new(spec)?, &directory)?;
    let (postgres, readings) = through(trial, &directory, database).await?;
    Ok(StoreProof {
        seed,
        memory_alerts_sha256: memory,
        postgres_alerts_sha256: postgres,
        readings,
    })
}

fn rig(trial: &Trial, directory: &Directory) -> anyhow::Result<Rig> {
    let calendar = LocalCalendar::new(&trial.spec().zone)?;
    Ok(Rig::new(directory, calendar, Params::default(), trial.spec().start))
}

fn in_memory(mut trial: Trial, directory: &Directory) -> anyhow::Result<String> {
    let mut rig = rig(&trial, directory)?;
    let mut acts = trial.acts().to_vec().into_iter().peekable();
    let mut now = trial.spec().start;
    while now < trial.end() {
        now = now.plus_seconds(STEP_S).min(trial.end());
        let messages = trial.messages(now);
        rig.step(now, messages, &mut acts, directory);
    }
    Ok(rig.alerts_sha256())
}

async fn through(
    mut trial: Trial,
    directory: &Directory,
    database: &Database,
) -> anyhow::Result<(String, u64)> {
    let mut rig = rig(&trial, directory)?;
    let mut writer = Writer::new(database.clone());
    let log = PgLog::new(database.clone());
    let mut seen = log.head_seq(store::event_log::SHARD).await?;
    let mut acts = trial.acts().to_vec().into_iter().peekable();
    let (mut now, mut readings) = (trial.spec().start, 0);
    while now < trial.end() {
        let to = now.plus_seconds(STEP_S).min(trial.end());
        let mut messages = trial.messages(to).into_iter().peekable();
        while now < to {
            now = now.plus_seconds(BATCH_S).min(to);
            while let Some(act) = acts.next_if(|act| act.at < now) {
                if let Some(record) = rig.act(&act, directory) {
                    append(&log, act.at, &[record]).await?;
                }
            }
            let batch = rig.batch(&mut messages, now);
            readings += writer.append(&batch).await?.inserted;
            drop(rig.stored(&batch));
            let findings = rig.findings(now);
            append(&log, now, &findings).await?;
            append(&log, now, &[LogRecord::Tick]).await?;
        }
        loop {
            let frames = log.read(store::event_log::SHARD, seen, FRAMES).await?;
            let Some(last) = frames.last() else { break };
            seen = last.first_seq + i64::try_from(last.records.len())? - 1;
            for frame in &frames {
                rig.frame(frame);
            }
        }
    }
    Ok((rig.alerts_sha256(), readings))
}

async fn append(log: &PgLog, at: UtcTime, records: &[LogRecord]) -> anyhow::Result<()> {
    if !records.is_empty() {
        log.append_now(at, records).await.context("append to the log")?;
    }
    Ok(())
}
