//! The command line: one file per verb. Data goes to stdout, messages to stderr.

mod args;
mod cli;
mod config;
pub mod database;
mod dlq;
pub mod exit;
mod export;
mod files;
mod import;
mod issue_acts;
mod issues;
mod meters;
mod modbus;
mod modbus_args;
mod options;
mod protocols;
mod protocols_args;
mod provision;
pub mod provision_file;
mod reads;
pub mod replay;
mod rules;
mod rules_args;
mod rules_report;
mod rules_shadow;
mod rules_weather;
mod score;
mod vee;
mod vee_args;
mod vee_estimates;
mod vee_told;

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;
use tracing::level_filters::LevelFilter;

pub use exit::{Exit, Failure, exit_of};
pub use options::{BenchOptions, DemoOptions, SimKind, SimulateOptions};

use crate::config::{Config, ConfigError, Environment, LogConfig};
use crate::output::remark;
use crate::telemetry::{chain, log};
use database::Opened;

use cli::{BenchVerb, Cli, DlqVerb, MetersVerb, PageArgs, Verb};

/// Runs the command line; the one entry of the program.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    match dispatch(cli, &Environment::of_process()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

/// Help and version are answers; anything else is a mistake on the command line.
fn usage(error: &clap::Error) -> ExitCode {
    // Nobody is left to tell when the terminal is gone.
    let _ = error.print();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => ExitCode::SUCCESS,
        _ => Exit::Usage.into(),
    }
}

fn failed(error: &anyhow::Error) -> ExitCode {
    let closed = |cause: &(dyn std::error::Error + 'static)| {
        let io = cause.downcast_ref::<io::Error>();
        io.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    };
    if error.chain().any(closed) {
        // `headend meters list | head`: the reader has what it wanted.
        return ExitCode::SUCCESS;
    }
    // Faults of a file begin with its name and line, so that editors find them.
    let _ = if error.is::<ConfigError>() {
        writeln!(io::stderr(), "{error}")
    } else {
        writeln!(io::stderr(), "headend: {}", chain(error.as_ref()))
    };
    exit_of(error).into()
}

fn dispatch(cli: Cli, environment: &Environment) -> anyhow::Result<()> {
    let Cli { common, verb } = cli;
    let load = || Config::load(&common.sources(), environment);
    let start_log = |log: &LogConfig| log::init(log, environment.no_color());
    match &verb {
        Verb::Config(verb) => config::run(&common, verb, environment),
        Verb::Serve => {
            let config = load()?;
            start_log(&config.log)?;
            runtime()?.block_on(crate::app::serve(config))
        }
        Verb::Demo(args) => {
            common.refuse_settings()?;
            let config = Config::builtin(environment)?;
            start_log(&quiet(&config))?;
            runtime()?.block_on(crate::demo::run(args.options(common.data_dir), config))
        }
        Verb::Simulate(args) => {
            start_log(&quiet(&Config::builtin(environment)?))?;
            runtime()?.block_on(crate::simulate::run(args.options()))
        }
        Verb::Score(args) => {
            common.refuse_all("score")?;
            start_log(&quiet(&Config::builtin(environment)?))?;
            crate::score::run(&args.options())
        }
        Verb::Bench(BenchVerb::Ingest(args)) => {
            let config = load()?;
            start_log(&quiet(&config))?;
            runtime()?.block_on(crate::bench::ingest(args.options(common.data_dir), config))
        }
        Verb::Bench(BenchVerb::Rules(args)) => {
            common.refuse_all("bench rules")?;
            crate::bench::rules::run(&args.options())
        }
        Verb::Bench(BenchVerb::Protocols(args)) => {
            common.refuse_all("bench protocols")?;
            crate::bench::decoders::run(args.options())
        }
        Verb::Modbus(verb) => {
            let config = load()?;
            start_log(&quiet(&config))?;
            runtime()?.block_on(modbus::run(verb, &config))
        }
        Verb::Rules(verb) if verb.is_offline() => rules::run_offline(verb),
        Verb::Protocols(verb) if verb.is_offline() => protocols::run_offline(verb),
        Verb::Meters(_)
        | Verb::Rules(_)
        | Verb::Protocols(_)
        | Verb::Reads(_)
        | Verb::Export(_)
        | Verb::Issues(_)
        | Verb::Vee(_)
        | Verb::Import(_)
        | Verb::Files(_)
        | Verb::Dlq(_) => {
            let config = load()?;
            start_log(&quiet(&config))?;
            if let Verb::Rules(rules) = &verb
                && rules.knows_the_catalogue()
                && !database::exists(&config)
            {
                return rules::run_built_in(rules, &config);
            }
            let place = Place { config, account: environment.account().to_owned() };
            runtime()?.block_on(with_database(&verb, &place))
        }
    }
}

/// A verb that asks prints what it found; of the log only what is wrong matters.
fn quiet(config: &Config) -> LogConfig {
    let mut log = config.log.clone();
    // The demo's broker reports every client that leaves as an error.
    log.level =
        log.level.with_default(tracing::Level::WARN).with_target("rumqttd", LevelFilter::OFF);
    log
}

/// Where a verb works, and for whom.
struct Place {
    config: Config,
    account: String,
}

async fn with_database(verb: &Verb, place: &Place) -> anyhow::Result<()> {
    let opened = match verb {
        // The one verb that prepares a head-end that never ran.
        Verb::Meters(MetersVerb::Provision { .. }) => database::open(&place.config).await?,
        _ => database::open_existing(&place.config).await?,
    };
    let outcome = ask(verb, place, &opened).await;
    opened.close().await;
    outcome
}

async fn ask(verb: &Verb, place: &Place, opened: &Opened) -> anyhow::Result<()> {
    let clock = opened.clock(&place.config).await?;
    let database = &opened.database;
    let now = clock.now();
    let zone = &opened.zone(&place.config);
    match verb {
        Verb::Meters(MetersVerb::List(args)) => meters::list(database, args, zone, now).await,
        Verb::Meters(MetersVerb::Show { number, output }) => {
            meters::show(database, number, output.format(), now).await
        }
        Verb::Reads(args) => reads::run(database, args, now).await,
        Verb::Export(args) => export::run(database, args, &place.config.utility.name, now).await,
        Verb::Issues(verb) => issues::run(database, verb, &place.account, (zone, now)).await,
        Verb::Rules(verb) => rules::run(database, verb, &place.account, (zone, now)).await,
        Verb::Protocols(verb) => protocols::run(database, verb, &place.account, (zone, now)).await,
        Verb::Vee(verb) => vee::run(database, verb, &place.account, now).await,
        Verb::Import(args) => {
            import::run(opened, &place.config, (args, &place.account), clock).await
        }
        Verb::Files(verb) => files::run(database, verb, zone).await,
        Verb::Dlq(DlqVerb::List { reason, source, replayed, page, output }) => {
            let filter = store::views::intake::DeadLetterFilter {
                reason: reason.clone(),
                source: source.clone(),
                replayed: *replayed,
            };
            dlq::list(database, &filter, (*page, *output), zone).await
        }
        Verb::Dlq(DlqVerb::Show { id, output }) => {
            dlq::show(database, id, output.format(), zone).await
        }
        Verb::Meters(MetersVerb::Provision { file, dry_run, output }) => {
            provision::run(opened, &place.config, (file, *dry_run, *output), clock).await
        }
        Verb::Dlq(DlqVerb::Replay { which, dry_run, output }) => {
            replay::run(opened, &place.config, (which, *dry_run, *output), clock).await
        }
        Verb::Dlq(DlqVerb::Purge { which, older_than, dry_run, yes }) => {
            dlq::purge(database, (which, *older_than), (*dry_run, *yes), now).await
        }
        Verb::Config(_)
        | Verb::Demo(_)
        | Verb::Serve
        | Verb::Modbus(_)
        | Verb::Simulate(_)
        | Verb::Score(_)
        | Verb::Bench(_) => Ok(()),
    }
}

/// The runtime that a verb works in.
///
/// # Errors
/// When the system gives no threads.
pub(crate) fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}

impl PageArgs {
    /// How many rows to ask for next; `None` when there are enough.
    fn next(self, have: usize) -> Option<u32> {
        const PAGE: u32 = store::views::page::LIMIT_MAX;
        if self.limit == 0 {
            return Some(PAGE);
        }
        let have = u32::try_from(have).unwrap_or(u32::MAX);
        Some(self.limit.saturating_sub(have).min(PAGE)).filter(|rest| *rest > 0)
    }

    fn tell_more(self, more: bool) {
        if more {
            remark!("there are more than {}: --limit 0 prints all", self.limit);
        }
    }
}
