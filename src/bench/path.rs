//! Part one: messages to COMMIT, in turns with raw COPY.

use std::time::Duration;

use anyhow::Context as _;
use protocols::{DecodeContext, Format};
use store::{Database, PreparedBatch, Stored, Writer};
use tokio::sync::mpsc;

use super::{Figures, cpu, load};
use crate::clock::Clock;
use crate::ingest::{Frame, IngestCore, Registry, Route};
use crate::verbs::BenchOptions;

const PARTS_A_DAY: i64 = 4;
/// Prepared batches that wait for the writer.
const AHEAD: usize = 2;
/// Days between the load's rows and the yardstick's, so that each fills partitions of its own.
const COPY_DAYS_BEHIND: i64 = 200;

/// What the rounds summed up.
#[derive(Default)]
struct Totals {
    stored: Stored,
    ours: Duration,
    copied: u64,
    copy: Duration,
    client: Duration,
    postgres: Duration,
}

pub(super) async fn run(
    options: &BenchOptions,
    database: &Database,
    (clock, postgres): (&dyn Clock, Option<u32>),
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let round_rows = u64::from(options.meters) * load::VALUES.unsigned_abs();
    let rounds = i64::try_from(options.readings.div_ceil(round_rows).max(2))?;
    let mut writer = Writer::new(database.clone());
    let mut core = core(database).await?;
    stages(&mut core, options, clock, figures);
    let mut totals = Totals::default();
    // The first round of each warms caches and plans and is not counted.
    for round in 0..=rounds {
        let (day, part) = (load::FIRST_DAY + round / PARTS_A_DAY, round % PARTS_A_DAY);
        let mut one = Totals::default();
        let frames = load::frames(options.meters, day, part);
        ours(options, (&mut core, &mut writer), frames, (clock, postgres), &mut one).await?;
        let rows = load::readings(options.meters, day + COPY_DAYS_BEHIND, part);
        yardstick(options, database, &rows, clock, &mut one).await?;
        if round > 0 {
            totals.add(&one);
        }
    }
    totals.fill(figures);
    anyhow::ensure!(totals.stored.reconciles(), "the counts of the load do not add up");
    Ok(())
}

async fn core(database: &Database) -> anyhow::Result<IngestCore> {
    let registry = Registry::new(&database.load_registry().await?);
    let route = Route {
        filter: "ami/up/#".to_owned(),
        format: Format::Bundle,
        zone: None,
        collector_level: None,
        mapping: None,
        options: protocols::DecodeOptions::default(),
    };
    Ok(IngestCore::new("mqtt", registry, vec![route]))
}

/// One round: one thread makes batches while this one stores them, as the program does.
async fn ours(
    options: &BenchOptions,
    (core, writer): (&mut IngestCore, &mut Writer),
    frames: Vec<Frame>,
    (clock, postgres): (&dyn Clock, Option<u32>),
    totals: &mut Totals,
) -> anyhow::Result<()> {
    let (before_us, before_pg) = (cpu::of_this_process(), postgres.map(cpu::of_family));
    let start = clock.monotonic();
    let (send, mut receive) = mpsc::channel::<PreparedBatch>(AHEAD);
    let rows = usize::try_from(options.batch_rows)?;
    let stored = std::thread::scope(|scope| {
        scope.spawn(move || {
            for chunk in frames.chunks((rows / usize::try_from(load::VALUES).unwrap_or(1)).max(1)) {
                let log_time = chunk.last().map(|frame| frame.received_at).unwrap_or_default();
                let batch = core.accept(chunk, log_time).batch;
                if send.blocking_send(Writer::prepare(batch)).is_err() {
                    return;
                }
            }
        });
        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(async {
                let mut stored = Stored::default();
                while let Some(prepared) = receive.recv().await {
                    stored.add(writer.append_prepared(&prepared).await?);
                }
                Ok::<_, store::StoreError>(stored)
            })
        })
    })
    .context("store the load")?;
    totals.ours += clock.monotonic().saturating_sub(start);
    totals.client += cpu::of_this_process().saturating_sub(before_us);
    if let (Some(pid), Some(before)) = (postgres, before_pg) {
        totals.postgres += cpu::of_family(pid).saturating_sub(before);
    }
    totals.stored.add(stored);
    Ok(())
}

async fn yardstick(
    options: &BenchOptions,
    database: &Database,
    rows: &[metering::IntervalReading],
    clock: &dyn Clock,
    totals: &mut Totals,
) -> anyhow::Result<()> {
    let start = clock.monotonic();
    for chunk in rows.chunks(usize::try_from(options.batch_rows)?.max(1)) {
        store::bench::copy_raw(database, chunk).await.context("copy the yardstick's rows")?;
    }
    totals.copy += clock.monotonic().saturating_sub(start);
    totals.copied += rows.len() as u64;
    Ok(())
}

/// CPU time of the stages that need no database, one after another on one thread.
fn stages(core: &mut IngestCore, options: &BenchOptions, clock: &dyn Clock, figures: &mut Figures) {
    let frames = load::frames(options.meters, load::FIRST_DAY - 1, 0);
    let readings = (frames.len() as f64) * (load::VALUES as f64);
    let per_reading = |time: Duration| time.as_secs_f64() * 1e6 / readings;
    let start = clock.monotonic();
    for frame in &frames {
        let context = DecodeContext {
            topic: &frame.topic,
            received_at: frame.received_at,
            zone: None,
            collector: None,
            mapping: None,
            options: &protocols::DecodeOptions::DEFAULT,
        };
        std::hint::black_box(protocols::decode(Format::Bundle, &context, &frame.payload).is_ok());
    }
    let decode = clock.monotonic().saturating_sub(start);
    let start = clock.monotonic();
    let log_time = frames.last().map(|frame| frame.received_at).unwrap_or_default();
    let batch = core.accept(&frames, log_time).batch;
    let accept = clock.monotonic().saturating_sub(start);
    let start = clock.monotonic();
    std::hint::black_box(Writer::prepare(batch));
    let prepare = clock.monotonic().saturating_sub(start);
    figures.cpu_us_per_reading.decode = per_reading(decode);
    figures.cpu_us_per_reading.judge = per_reading(accept.saturating_sub(decode));
    figures.cpu_us_per_reading.prepare = per_reading(prepare);
}

impl Totals {
    fn add(&mut self, other: &Self) {
        self.stored.add(other.stored);
        self.ours += other.ours;
        self.copied += other.copied;
        self.copy += other.copy;
        self.client += other.client;
        self.postgres += other.postgres;
    }

    fn fill(&self, figures: &mut Figures) {
        let offered = self.stored.offered as f64;
        figures.readings = self.stored.offered;
        figures.duplicates = self.stored.duplicate;
        figures.readings_per_s = offered / self.ours.as_secs_f64();
        figures.copy_readings_per_s = self.copied as f64 / self.copy.as_secs_f64();
        figures.ratio = figures.readings_per_s / figures.copy_readings_per_s;
        let stages = &mut figures.cpu_us_per_reading;
        let client = self.client.as_secs_f64() * 1e6 / offered;
        stages.append = (client - stages.decode - stages.judge - stages.prepare).max(0.0);
        stages.postgres = self.postgres.as_secs_f64() * 1e6 / offered;
    }
}
