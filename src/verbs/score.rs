//! `headend score`: what is asked on the command line.

use clap::Args;
use metering::UtcTime;
use simulators::Scenario;

use super::cli::Output;
use crate::score::ScoreOptions;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:  headend score --inject 20 --days 45 --seeds 1 --output json\n           \
                        headend score --inject 300 --days 120 --seeds 11,12,13   (about 15 minutes)"
)]
pub(super) struct ScoreArgs {
    /// Events of each cause, over all seeds.
    #[arg(
        long,
        default_value_t = 20,
        value_parser = clap::value_parser!(u32).range(1..=5_000)
    )]
    inject: u32,
    /// Length of the trials. A cause that needs more is printed with the days that it needs.
    #[arg(long, default_value_t = 45, value_parser = clap::value_parser!(u32).range(1..=500))]
    days: u32,
    /// Seeds of the trials, separated by commas: the same seed plants the same faults.
    #[arg(long, value_delimiter = ',', default_value = "1")]
    seeds: Vec<u64>,
    /// Percent of the reports that arrive.
    #[arg(long, default_value_t = 98, value_parser = clap::value_parser!(u16).range(10..=100))]
    delivery: u16,
    /// Hold one report in twenty back for up to three days.
    #[arg(long)]
    late: bool,
    /// First day, as 2026-09-20.
    #[arg(long, default_value = "2026-08-10", value_parser = day)]
    start: UtcTime,
    /// Meters of a second fleet for each seed, with faults at natural rates; 0 leaves it out.
    #[arg(
        long,
        default_value_t = 1_000,
        value_parser = clap::value_parser!(u32).range(0..=100_000)
    )]
    natural: u32,
    /// Leave out what takes most of a year: a fleet of 400 days for each seed.
    #[arg(long)]
    no_long: bool,
    /// Only these causes or scenarios, separated by commas.
    #[arg(long, value_delimiter = ',', value_parser = planted)]
    only: Vec<String>,
    /// Also smaller fleets without each guard, at other shares of delivery, and with late messages.
    #[arg(long)]
    ablate: bool,
    /// Leave out the error of estimates on masked actuals.
    #[arg(long)]
    no_estimation: bool,
    #[command(flatten)]
    output: Output,
}

impl ScoreArgs {
    pub(super) fn options(&self) -> ScoreOptions {
        ScoreOptions {
            inject: self.inject,
            days: self.days,
            seeds: self.seeds.clone(),
            delivery: self.delivery,
            late: self.late,
            start: self.start,
            natural: self.natural,
            long: !self.no_long,
            only: self.only.clone(),
            ablate: self.ablate,
            estimation: !self.no_estimation,
            output: self.output.format(),
        }
    }
}

/// A cause or a scenario that can be planted.
fn planted(text: &str) -> Result<String, String> {
    let known = |scenario: &&Scenario| scenario.name == text || scenario.cause() == text;
    if Scenario::ALL.iter().any(|scenario| known(&scenario)) {
        return Ok(text.to_owned());
    }
    let mut causes: Vec<&str> = Scenario::ALL.iter().map(Scenario::cause).collect();
    causes.sort_unstable();
    causes.dedup();
    Err(format!("`{text}` is no cause that is planted: give one of {}", causes.join(", ")))
}

fn day(text: &str) -> Result<UtcTime, String> {
    UtcTime::parse_rfc3339(&format!("{text}T12:00:00Z"))
        .ok_or_else(|| format!("`{text}` is no day: write 2026-09-20"))
}
