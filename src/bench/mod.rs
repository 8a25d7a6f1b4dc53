//! `headend bench ingest`: how fast readings get in, beside the fastest way that checks nothing.
//!
//! Part one takes bundles of 24 values, 5 % of them sent twice, through decoding, judging, the
//! write path with its conflict check, raw messages and log frames, to COMMIT; in turns with raw
//! COPY BINARY of as many rows into the same table, so that a change of the machine's speed hits
//! both. Part two takes single-reading messages through a broker that shares the machine.

mod cpu;
mod day_close;
pub mod decoders;
mod files;
mod load;
mod messages;
mod path;
pub mod rules;
mod rules_fleet;

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use serde::Serialize;
use store::{Database, EmbeddedServer};

use crate::clock::SystemClock;
use crate::config::Config;
use crate::output::OutputFormat;
use crate::verbs::{BenchOptions, database};

/// What `--output json` prints.
#[derive(Debug, Default, Serialize)]
pub struct Figures {
    /// Offered readings (duplicates included) a second, decode to COMMIT.
    pub readings_per_s: f64,
    /// Rows a second by COPY BINARY into the same table in the same run.
    pub copy_readings_per_s: f64,
    pub ratio: f64,
    /// Single-reading messages a second through the broker, publish to COMMIT and acknowledgement.
    pub messages_per_s: Option<f64>,
    pub cpu_us_per_reading: Stages,
    pub readings: u64,
    pub duplicates: u64,
    pub batch_rows: u32,
    pub meters: u32,
    pub messages: u64,
    pub broker: Option<String>,
    pub cores: usize,
    /// Seconds of an 8 kB synchronous write to the data directory, median of 20.
    pub sync_write_s: f64,
}

/// CPU time in microseconds a reading.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Stages {
    /// Bytes to observations.
    pub decode: f64,
    /// Resolve, scale, judge, and make the batch.
    pub judge: f64,
    /// Buffers of the batch.
    pub prepare: f64,
    /// The client's part of the transaction.
    pub append: f64,
    /// PostgreSQL's part.
    pub postgres: f64,
}

/// Runs both parts and prints the figures.
///
/// # Errors
/// PostgreSQL is not installed, the broker does not answer, or the counts do not add up.
pub async fn ingest(options: BenchOptions, config: Config) -> anyhow::Result<()> {
    let (place, own) = place(&options);
    std::fs::create_dir_all(&place).with_context(|| format!("make {}", place.display()))?;
    let server = EmbeddedServer::start(database::embedded_options(&config, &place)).await?;
    let outcome = measure(&options, &config, &server, &place).await;
    server.stop().await;
    if own {
        let _ = std::fs::remove_dir_all(&place);
    }
    print(&outcome?, options.output)
}

fn place(options: &BenchOptions) -> (PathBuf, bool) {
    match &options.data_dir {
        Some(path) => (path.clone(), false),
        None => {
            let name = format!("headend-bench-{}", std::process::id());
            (std::env::temp_dir().join(name), true)
        }
    }
}

async fn measure(
    options: &BenchOptions,
    config: &Config,
    server: &EmbeddedServer,
    place: &std::path::Path,
) -> anyhow::Result<Figures> {
    let clock = SystemClock::shared();
    let db = Database::connect(&database::with_url(config, server.url())).await?;
    db.provision(&load::meters(options.meters), clock.now()).await?;
    let mut figures = Figures {
        batch_rows: options.batch_rows,
        meters: options.meters,
        cores: std::thread::available_parallelism().map_or(0, usize::from),
        sync_write_s: cpu::sync_write_s(place, &*clock)?,
        ..Figures::default()
    };
    let postgres = server.pid();
    path::run(options, &db, (&*clock, postgres), &mut figures).await?;
    if options.messages > 0 {
        messages::run(options, &db, &clock, &mut figures).await?;
    }
    db.close();
    Ok(figures)
}

fn print(figures: &Figures, output: OutputFormat) -> anyhow::Result<()> {
    let mut out = std::io::stdout();
    if output == OutputFormat::Json {
        writeln!(out, "{}", serde_json::to_string_pretty(figures)?)?;
        return Ok(());
    }
    let rows = [
        ("readings_per_s", format!("{:.0}", figures.readings_per_s)),
        ("copy_readings_per_s", format!("{:.0}", figures.copy_readings_per_s)),
        ("ratio", format!("{:.2}", figures.ratio)),
        (
            "messages_per_s",
            figures.messages_per_s.map_or("not measured".to_owned(), |rate| format!("{rate:.0}")),
        ),
        ("cpu_us_per_reading.decode", format!("{:.3}", figures.cpu_us_per_reading.decode)),
        ("cpu_us_per_reading.judge", format!("{:.3}", figures.cpu_us_per_reading.judge)),
        ("cpu_us_per_reading.prepare", format!("{:.3}", figures.cpu_us_per_reading.prepare)),
        ("cpu_us_per_reading.append", format!("{:.3}", figures.cpu_us_per_reading.append)),
        ("cpu_us_per_reading.postgres", format!("{:.3}", figures.cpu_us_per_reading.postgres)),
    ];
    for (name, value) in rows {
        if output == OutputFormat::Csv {
            writeln!(out, "{name},{value}")?;
        } else {
            writeln!(out, "{name:<28} {value:>14}")?;
        }
    }
    Ok(())
}
