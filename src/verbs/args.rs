//! Options of the verbs that run for long: what is typed becomes what is done.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::cli::{Output, broker, duration};
use super::modbus_args::BusArgs;
use super::options::{BenchOptions, DemoOptions, SimKind, SimulateOptions};
use crate::config::BrokerUrl;

#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    /// Size of the fleet.
    #[arg(
        long,
        default_value_t = 200,
        value_parser = clap::value_parser!(u32).range(10..=20_000)
    )]
    pub(super) meters: u32,
    /// The same seed gives the same readings, faults and issues.
    #[arg(long, default_value_t = 7)]
    pub(super) seed: u64,
    /// Simulated seconds in one second, once history is there.
    #[arg(
        long,
        default_value_t = 60,
        value_parser = clap::value_parser!(u32).range(1..=3_600)
    )]
    pub(super) speed: u32,
    /// Ends by itself after so long, for example 60s; else Ctrl-C ends it.
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    pub(super) duration: Option<Duration>,
    /// Port of the console on 127.0.0.1; 0 takes any that is free.
    #[arg(long, default_value_t = 8080)]
    pub(super) port: u16,
    /// Writes what was found, and how fast, as JSON.
    #[arg(long, value_name = "FILE")]
    pub(super) report: Option<PathBuf>,
}

impl DemoArgs {
    pub(super) fn options(&self, data_dir: Option<PathBuf>) -> DemoOptions {
        DemoOptions {
            meters: self.meters,
            seed: self.seed,
            speed: self.speed,
            duration: self.duration,
            port: self.port,
            data_dir,
            report: self.report.clone(),
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct SimulateArgs {
    /// What is simulated.
    #[arg(long, value_enum, default_value_t = SimKind::Fleet)]
    pub(super) kind: SimKind,
    /// The broker, as HOST:PORT; all kinds but modbus, nem12 and cmep need one.
    #[arg(long, value_name = "HOST:PORT", value_parser = broker)]
    pub(super) broker: Option<BrokerUrl>,
    /// The same seed gives the same meters and faults.
    #[arg(long, default_value_t = 7)]
    pub(super) seed: u64,
    /// How many; 200 unless said, on a bus 4.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(super) meters: Option<u32>,
    /// Simulated hours up to now that are published.
    #[arg(
        long,
        default_value_t = 24,
        value_parser = clap::value_parser!(u32).range(1..=87_600)
    )]
    pub(super) hours: u32,
    /// Simulated seconds in one second; 0, the default, goes as fast as the broker takes it. A bus
    /// counts in real time unless told otherwise.
    #[arg(long)]
    pub(super) speed: Option<u32>,
    /// Writes what was metered, and which faults were planted.
    #[arg(long, value_name = "FILE")]
    pub(super) truth: Option<PathBuf>,
    /// Writes the fleet as a file for `headend meters provision`.
    #[arg(long, value_name = "FILE.csv")]
    pub(super) provision_out: Option<PathBuf>,
    /// The folder that --kind nem12 or cmep writes into, for example an inbox.
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
    #[command(flatten, next_help_heading = "Of --kind modbus")]
    pub(super) bus: BusArgs,
}

impl SimulateArgs {
    pub(super) fn options(&self) -> SimulateOptions {
        SimulateOptions {
            kind: self.kind,
            broker: self.broker.clone(),
            seed: self.seed,
            meters: self.meters,
            hours: self.hours,
            speed: self.speed,
            truth: self.truth.clone(),
            provision_out: self.provision_out.clone(),
            out: self.out.clone(),
            bus: self.bus.options(),
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct BenchArgs {
    #[arg(long, default_value_t = 2_000_000)]
    pub(super) readings: u64,
    #[arg(
        long,
        default_value_t = 10_000,
        value_parser = clap::value_parser!(u32).range(1..=1_000_000)
    )]
    pub(super) meters: u32,
    /// Readings of each transaction.
    #[arg(
        long,
        default_value_t = 10_000,
        value_parser = clap::value_parser!(u32).range(1..=100_000)
    )]
    pub(super) batch_rows: u32,
    /// Single-reading messages through the broker; 0 leaves that part out.
    #[arg(long, default_value_t = 400_000)]
    pub(super) messages: u64,
    /// The broker, as HOST:PORT; default: the program's own.
    #[arg(long, value_name = "HOST:PORT", value_parser = broker)]
    pub(super) broker: Option<BrokerUrl>,
    #[command(flatten)]
    pub(super) output: Output,
}

impl BenchArgs {
    pub(super) fn options(&self, data_dir: Option<PathBuf>) -> BenchOptions {
        BenchOptions {
            readings: self.readings,
            meters: self.meters,
            batch_rows: self.batch_rows,
            messages: self.messages,
            broker: self.broker.clone(),
            data_dir,
            output: self.output.format(),
        }
    }
}

#[derive(Debug, Args)]
#[command(after_help = "Example:  headend bench protocols --output json")]
pub(super) struct ProtocolsBenchArgs {
    /// Seconds of each decoder.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=600))]
    pub(super) seconds: u32,
    #[command(flatten)]
    pub(super) output: Output,
}

impl ProtocolsBenchArgs {
    pub(super) fn options(&self) -> crate::bench::decoders::DecoderBench {
        let each = Duration::from_secs(u64::from(self.seconds));
        crate::bench::decoders::DecoderBench { each, output: self.output.format() }
    }
}

#[derive(Debug, Args)]
#[command(after_help = "Example:  headend bench rules --channels 100000 --days 5 --output json")]
pub(super) struct RulesBenchArgs {
    /// Meters, each with one 15-min channel.
    #[arg(
        long,
        default_value_t = 20_000,
        value_parser = clap::value_parser!(u32).range(100..=10_000_000)
    )]
    pub(super) channels: u32,
    /// Days of readings.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=400))]
    pub(super) days: u32,
    #[command(flatten)]
    pub(super) output: Output,
}

impl RulesBenchArgs {
    pub(super) fn options(&self) -> crate::bench::rules::RulesBench {
        crate::bench::rules::RulesBench {
            channels: self.channels,
            days: self.days,
            output: self.output.format(),
        }
    }
}
