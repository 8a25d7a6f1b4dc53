//! The command line as a tree of verbs. Help begins with an example.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use metering::UtcTime;

use super::args::{BenchArgs, DemoArgs, ProtocolsBenchArgs, RulesBenchArgs, SimulateArgs};
use super::exit::{Exit, Failure};
use super::export::ExportArgs;
use super::files::FilesVerb;
use super::import::ImportArgs;
use super::modbus_args::ModbusVerb;
use super::protocols_args::ProtocolsVerb;
use super::rules_args::RulesVerb;
use super::score::ScoreArgs;
use super::vee_args::VeeVerb;
use crate::config::{BrokerUrl, Override, Sources};
use crate::output::OutputFormat;

#[derive(Debug, Parser)]
#[command(
    name = "headend",
    version,
    about = "AMI head-end: meters in, judged readings stored, trouble shown.",
    before_help = "Example:  headend demo            a living utility on this machine, in one command\n          \
                   headend serve           the head-end, as headend.toml says",
    after_help = "Exit codes: 0 ok, 64 usage, 65 bad input, 69 unavailable, 70 internal fault, \
                  74 input or output, 75 try again later, 78 configuration.",
    disable_help_subcommand = true,
    subcommand_required = true,
    arg_required_else_help = true
)]
pub(super) struct Cli {
    #[command(flatten)]
    pub(super) common: Common,
    #[command(subcommand)]
    pub(super) verb: Verb,
}

/// Options of every verb.
#[derive(Debug, Args)]
pub(super) struct Common {
    /// Configuration file; without it, headend.toml in the working directory if there is one.
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// Where the private database lives; over [data] dir.
    #[arg(long, value_name = "DIR", global = true)]
    pub(super) data_dir: Option<PathBuf>,
    /// Your PostgreSQL, as postgresql://USER@HOST/NAME; over [database] url.
    #[arg(long, value_name = "URL", global = true)]
    database_url: Option<String>,
}

impl Common {
    /// The demo has its own broker and database, and takes no settings of another installation.
    pub(super) fn refuse_settings(&self) -> Result<(), Failure> {
        let given =
            [("--config", self.config.is_some()), ("--database-url", self.database_url.is_some())];
        match given.into_iter().find(|(_, given)| *given) {
            None => Ok(()),
            Some((option, _)) => {
                let what =
                    format!("the demo has a broker and a database of its own: leave out {option}");
                Err(Failure::new(Exit::Usage, what))
            }
        }
    }

    /// What runs in memory alone takes no settings, and says so rather than ignoring them.
    pub(super) fn refuse_all(&self, verb: &str) -> Result<(), Failure> {
        let given = [
            ("--config", self.config.is_some()),
            ("--data-dir", self.data_dir.is_some()),
            ("--database-url", self.database_url.is_some()),
        ];
        match given.into_iter().find(|(_, given)| *given) {
            None => Ok(()),
            Some((option, _)) => {
                let what =
                    format!("{verb} uses no database and no configuration: leave out {option}");
                Err(Failure::new(Exit::Usage, what))
            }
        }
    }

    /// The layers of the configuration that this command line names.
    pub(super) fn sources(&self) -> Sources {
        let mut overrides = Vec::new();
        if let Some(dir) = &self.data_dir {
            let value = dir.to_string_lossy().into_owned();
            overrides.push(Override { key: "data.dir", value, option: "--data-dir" });
        }
        if let Some(url) = &self.database_url {
            let (value, option) = (url.clone(), "--database-url");
            overrides.push(Override { key: "database.url", value, option });
        }
        Sources { file: self.config.clone(), overrides }
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// A simulated utility with its head-end: broker, database, 200 meters, planted faults.
    #[command(before_help = "Example:  headend demo --for 60s --seed 7 --report report.json")]
    Demo(DemoArgs),
    /// Runs the head-end: takes readings, stores and judges them, shows trouble.
    #[command(before_help = "Example:  headend serve --config /etc/headend/headend.toml")]
    Serve,
    /// Publishes a simulated fleet to a broker.
    #[command(before_help = "Example:  headend simulate --broker 127.0.0.1:1883 --meters 50 \
                             --hours 24 --provision-out fleet.csv")]
    Simulate(SimulateArgs),
    /// Checks, explains and shows the configuration.
    #[command(subcommand, before_help = "Example:  headend config sample > headend.toml")]
    Config(ConfigVerb),
    /// Lists, shows and provisions meters.
    #[command(subcommand, before_help = "Example:  headend meters provision meters.csv --dry-run")]
    Meters(MetersVerb),
    /// Prints the readings of a meter: intervals, or counters and momentary values, or events.
    #[command(before_help = "Example:  headend reads E-1001 --from 2026-11-01 --to 2026-11-02 \
                             --output csv")]
    Reads(ReadsArgs),
    /// Writes the intervals of a meter as a Green Button file.
    #[command(before_help = "Example:  headend export E-1001 --from 2026-11-01 --out E-1001.xml")]
    Export(ExportArgs),
    /// Lists, shows and works on meter issues.
    #[command(subcommand, before_help = "Example:  headend issues list --severity 2")]
    Issues(IssuesVerb),
    /// Decides suspect intervals: accept, reject, estimate, edit, undo.
    #[command(subcommand, before_help = "Example:  headend vee queue")]
    Vee(VeeVerb),
    /// Shows, checks, tries and changes the rules.
    #[command(subcommand, before_help = "Example:  headend rules apply rules.toml --dry-run")]
    Rules(RulesVerb),
    /// Payload formats and descriptions of payloads: lists, tries and takes them live.
    #[command(
        subcommand,
        before_help = "Example:  headend protocols try --mapping plant.toml \
                             --topic plant/7/energy --payload '{\"kwh\":12.5}'"
    )]
    Protocols(ProtocolsVerb),
    /// Imports files of readings: NEM12, NEM13, CMEP, Green Button, BEACON, or by a layout.
    #[command(before_help = "Example:  headend import meterdata.csv --dry-run")]
    Import(ImportArgs),
    /// The history of imported files: lists, shows, their faulty lines and notes.
    #[command(subcommand, before_help = "Example:  headend files list")]
    Files(FilesVerb),
    /// Dead letters: messages that could not become readings.
    #[command(subcommand, before_help = "Example:  headend dlq list")]
    Dlq(DlqVerb),
    /// Asks Modbus devices: finds their profile, reads them, checks profile files.
    #[command(subcommand, before_help = "Example:  headend modbus probe 192.0.2.7:502 --unit 1")]
    Modbus(ModbusVerb),
    /// Measures how well the rules find planted faults, and only those.
    #[command(before_help = "Example:  headend score --inject 20 --days 45 --seeds 1")]
    Score(ScoreArgs),
    /// Measures this machine.
    #[command(subcommand, before_help = "Example:  headend bench ingest --output json")]
    Bench(BenchVerb),
}

#[derive(Debug, Subcommand)]
pub(super) enum ConfigVerb {
    /// Tells everything that is wrong, with file and line.
    Check {
        /// Looks at the values only: asks no host, opens no file that a key names.
        #[arg(long)]
        no_environment: bool,
    },
    /// Prints a file with every key, its default, its unit and one sentence.
    Sample,
    /// Prints the values in force.
    Show {
        /// Hides secrets; this is always done, the option says so in scripts.
        #[arg(long)]
        redacted: bool,
        /// Says where each value was set.
        #[arg(long)]
        origin: bool,
        #[command(flatten)]
        output: Output,
    },
}

/// How a list is printed.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct Output {
    /// table, csv or json.
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    output: OutputFormat,
    /// Short for --output json.
    #[arg(long, conflicts_with = "output")]
    json: bool,
}

impl Output {
    pub(super) const fn format(self) -> OutputFormat {
        if self.json { OutputFormat::Json } else { self.output }
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum MetersVerb {
    /// Lists meters with their last value and their open issue.
    List(MetersListArgs),
    /// Shows a meter with its channels.
    Show {
        /// Number of the meter.
        number: String,
        #[command(flatten)]
        output: Output,
    },
    /// Makes the meters of a file known; docs/provisioning.md describes it.
    Provision {
        #[arg(value_name = "FILE.csv")]
        file: PathBuf,
        /// Says what would change and changes nothing.
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        output: Output,
    },
}

#[derive(Debug, Args)]
pub(super) struct MetersListArgs {
    /// Part of number, serial, address, account or wire identity.
    #[arg(long, short)]
    pub(super) query: Option<String>,
    /// electricity, water, gas or heat.
    #[arg(long)]
    pub(super) commodity: Option<metering::Commodity>,
    #[arg(long)]
    pub(super) zone: Option<String>,
    #[arg(long)]
    pub(super) route: Option<String>,
    #[arg(long)]
    pub(super) collector: Option<String>,
    #[arg(long)]
    pub(super) tag: Option<metering::Tag>,
    #[command(flatten)]
    pub(super) page: PageArgs,
    #[command(flatten)]
    pub(super) output: Output,
}

#[derive(Clone, Copy, Debug, Args)]
pub(super) struct PageArgs {
    /// Prints at most so many lines; 0 prints all.
    #[arg(long, default_value_t = 1_000)]
    pub(super) limit: u32,
}

#[derive(Debug, Args)]
pub(super) struct ReadsArgs {
    /// Number of the meter.
    pub(super) meter: String,
    /// First instant, such as 2026-11-01 or 2026-11-01T06:00; default: a day before --to.
    #[arg(long, value_name = "TIME")]
    pub(super) from: Option<String>,
    /// Last instant; default: now.
    #[arg(long, value_name = "TIME")]
    pub(super) to: Option<String>,
    /// Number of the channel, or its field; default: all of them.
    #[arg(long)]
    pub(super) channel: Option<String>,
    /// Prints counters and momentary values as they were read, in place of intervals.
    #[arg(long)]
    pub(super) registers: bool,
    /// Prints what the meter reported, in place of intervals.
    #[arg(long, conflicts_with_all = ["registers", "channel"])]
    pub(super) events: bool,
    /// Zone in which times are read and printed; default: the meter's own.
    #[arg(long, value_name = "ZONE")]
    pub(super) zone: Option<String>,
    #[command(flatten)]
    pub(super) output: Output,
}

#[derive(Debug, Subcommand)]
pub(super) enum IssuesVerb {
    /// Lists issues, worst first.
    List {
        /// Which: open, urgent, unacknowledged, leaks, silent, fixed-pending, snoozed or closed.
        #[arg(long, default_value = "open", value_parser = super::issues::set)]
        set: store::views::issues::IssueSet,
        /// 1 to 4.
        #[arg(long, value_parser = super::issues::severity)]
        severity: Option<metering::Severity>,
        /// Part of meter number, address or cause.
        #[arg(long, short)]
        query: Option<String>,
        #[command(flatten)]
        page: PageArgs,
        #[command(flatten)]
        output: Output,
    },
    /// Shows an issue with its evidence and its history.
    Show {
        number: i64,
        #[command(flatten)]
        output: Output,
    },
    /// Says that somebody works on it.
    Acknowledge(ActArgs),
    /// Adds a remark to its history.
    Comment(ActArgs),
    /// Hides it from the open list until an instant.
    Snooze {
        #[command(flatten)]
        act: ActArgs,
        /// Such as 2026-11-25T08:00 (zone of the utility) or a duration such as 2d.
        #[arg(long, value_name = "TIME")]
        until: String,
    },
    /// Hands it to a person, who works on it from now on; "" takes it back.
    Assign {
        #[command(flatten)]
        act: ActArgs,
        #[arg(long, value_name = "NAME")]
        to: String,
    },
    /// Ends it as a duplicate of another issue, which stays.
    Merge {
        #[command(flatten)]
        act: ActArgs,
        /// Number of the issue that stays.
        #[arg(long, value_name = "NUMBER")]
        into: i64,
    },
    /// Lets bills use the intervals that it holds; the text says why.
    ReleaseHold {
        #[command(flatten)]
        act: ActArgs,
        /// Also when intervals of the hold are suspect.
        #[arg(long)]
        force: bool,
    },
    /// Closes it: nothing was wrong.
    FalseAlarm(ActArgs),
    /// Closes it with the cause that was found.
    Close {
        #[command(flatten)]
        act: ActArgs,
        /// Such as LEAK_CUSTOMER_SIDE; `issues show` lists the likely ones.
        #[arg(long)]
        cause: String,
    },
}

/// Who does what to an issue, and why.
#[derive(Debug, Args)]
pub(super) struct ActArgs {
    pub(super) number: i64,
    /// Goes into the history.
    #[arg(default_value = "")]
    pub(super) text: String,
    /// The same, as the other verbs take it.
    #[arg(long, conflicts_with = "text")]
    pub(super) reason: Option<String>,
    /// Who does it; default: the account that runs this program.
    #[arg(long = "as", value_name = "NAME")]
    pub(super) actor: Option<String>,
    /// Says what would change and changes nothing.
    #[arg(long)]
    pub(super) dry_run: bool,
}

impl ActArgs {
    /// Why, however it was typed.
    pub(super) fn why(&self) -> String {
        self.reason.as_ref().unwrap_or(&self.text).clone()
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum DlqVerb {
    /// Lists dead letters, newest first.
    List {
        /// Only this reason, such as unknown_device.
        #[arg(long)]
        reason: Option<String>,
        /// Only this device, such as ert:44448439.
        #[arg(long)]
        source: Option<String>,
        /// Also those that were replayed.
        #[arg(long)]
        replayed: bool,
        #[command(flatten)]
        page: PageArgs,
        #[command(flatten)]
        output: Output,
    },
    /// Shows a dead letter with its bytes.
    Show {
        /// The id of the list, or its first characters.
        id: String,
        #[command(flatten)]
        output: Output,
    },
    /// Decodes dead letters again and stores what can now be read.
    Replay {
        #[command(flatten)]
        which: DlqWhich,
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        output: Output,
    },
    /// Deletes dead letters for good.
    Purge {
        #[command(flatten)]
        which: DlqWhich,
        /// Only those last seen longer ago, such as 90d.
        #[arg(long, value_name = "DURATION", value_parser = duration)]
        older_than: Option<Duration>,
        #[arg(long)]
        dry_run: bool,
        /// Deletes without asking.
        #[arg(long)]
        yes: bool,
    },
}

/// Which dead letters are meant.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub(super) struct DlqWhich {
    /// Of this device, such as ert:44448439.
    #[arg(long)]
    pub(super) source: Option<String>,
    /// Of this reason, such as unknown_device.
    #[arg(long)]
    pub(super) reason: Option<String>,
    /// All of them.
    #[arg(long)]
    pub(super) all: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum BenchVerb {
    /// Readings per second through decode, judgement, log and commit, against plain COPY.
    Ingest(BenchArgs),
    /// What the rule catalogue costs: readings a second on one core, bytes a channel.
    Rules(RulesBenchArgs),
    /// Messages a second of each payload format's decoder, on one core.
    Protocols(ProtocolsBenchArgs),
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    crate::config::value::parse_duration(text)
}

pub(super) fn broker(text: &str) -> Result<BrokerUrl, String> {
    if text.contains("://") { text.parse() } else { format!("mqtt://{text}").parse() }
}

/// An instant as people write it: a day, a local time, or a time with an offset.
pub(super) fn instant(text: &str, zone: &jiff::tz::TimeZone) -> Result<UtcTime, String> {
    if let Some(exact) = UtcTime::parse_rfc3339(text) {
        return Ok(exact);
    }
    let local: jiff::civil::DateTime = text.parse().map_err(|_| {
        format!("`{text}` is no time: write 2026-11-01, 2026-11-01T06:00 or 2026-11-01T06:00:00Z")
    })?;
    let zoned = local.to_zoned(zone.clone()).map_err(|_| format!("`{text}` is out of range"))?;
    Ok(UtcTime::from_jiff(zoned.timestamp()))
}
