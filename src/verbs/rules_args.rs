//! What is typed after `headend rules`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::cli::Output;

#[derive(Debug, Subcommand)]
pub(super) enum RulesVerb {
    /// Lists the 67 rules and the operators' own, as they run now.
    List {
        #[command(flatten)]
        output: Output,
    },
    /// Shows a rule with its parameters, or the text of a version.
    Show {
        /// Such as WTR-CONT, 38, OP-0007 or 2026-11-21.1.
        name: String,
        #[command(flatten)]
        output: Output,
    },
    /// Lists the features that operators' rules may name.
    Features {
        #[command(flatten)]
        output: Output,
    },
    /// Tells everything that is wrong with a file.
    Check {
        #[arg(value_name = "FILE.toml")]
        file: PathBuf,
    },
    /// Runs the tests that are written inside a file.
    Test {
        #[arg(value_name = "FILE.toml")]
        file: PathBuf,
    },
    /// Makes a file the rules that hold, from now on.
    Apply {
        #[arg(value_name = "FILE.toml")]
        file: PathBuf,
        #[command(flatten)]
        who: Who,
        /// Prints what would change and changes nothing.
        #[arg(long)]
        dry_run: bool,
        /// Lets operators' rules speak that were not in shadow for 7 days.
        #[arg(long)]
        force: bool,
        /// Another person who agrees; needed where rules change that hold bills.
        #[arg(long, value_name = "NAME")]
        approved_by: Option<String>,
        #[command(flatten)]
        output: Output,
    },
    /// Says what a file would have raised from stored readings, beside the rules that hold.
    Backtest {
        #[arg(value_name = "FILE.toml")]
        file: PathBuf,
        /// First instant, such as 2026-11-01; default: 14 days before --to.
        #[arg(long, value_name = "TIME")]
        from: Option<String>,
        /// Last instant; default: now.
        #[arg(long, value_name = "TIME")]
        to: Option<String>,
        #[command(flatten)]
        output: Output,
    },
    /// Runs a file beside the rules that hold; its alerts go to a list of their own.
    #[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
    Shadow {
        #[command(subcommand)]
        list: Option<ShadowVerb>,
        #[arg(value_name = "FILE.toml", required_unless_present = "end")]
        file: Option<PathBuf>,
        /// Ends the shadow rules.
        #[arg(long, conflicts_with = "file")]
        end: bool,
        #[command(flatten)]
        who: Who,
    },
    /// Makes an earlier version hold again; `built-in` ends all bundles.
    Rollback {
        version: String,
        #[command(flatten)]
        who: Who,
        /// Another person who agrees; needed where rules change that hold bills.
        #[arg(long, value_name = "NAME")]
        approved_by: Option<String>,
    },
    /// Tells the rules daily mean temperatures: what is compared with other days is then compared
    /// with days as cold or as hot (#25, #26).
    Weather {
        /// `date,mean_c` or `date,mean_c,zone` in the first line, then a line for each day.
        #[arg(value_name = "FILE.csv")]
        file: PathBuf,
    },
    /// Lists what was applied, by whom and why, newest first.
    History {
        #[arg(long, default_value_t = 100)]
        limit: u32,
        #[command(flatten)]
        output: Output,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum ShadowVerb {
    /// Lists what rules in shadow would have said, newest first.
    List {
        /// Only of this rule, such as WTR-CONT or OP-0007.
        #[arg(long)]
        rule: Option<String>,
        #[arg(
            long,
            default_value_t = 100,
            value_parser = clap::value_parser!(u32).range(1..=1_000)
        )]
        limit: u32,
        #[command(flatten)]
        output: Output,
    },
}

/// Who changes the rules, and why.
#[derive(Debug, Args)]
pub(super) struct Who {
    /// Why; goes into the history.
    #[arg(long, default_value = "")]
    pub(super) reason: String,
    /// Who does it; default: the account that runs this program.
    #[arg(long = "as", value_name = "NAME")]
    pub(super) actor: Option<String>,
}

impl RulesVerb {
    /// Answered from the built-in rules where there is no database yet.
    pub(super) const fn knows_the_catalogue(&self) -> bool {
        matches!(self, Self::List { .. } | Self::Show { .. })
    }

    /// Answered from the file alone, without a database.
    pub(super) const fn is_offline(&self) -> bool {
        matches!(self, Self::Features { .. } | Self::Check { .. } | Self::Test { .. })
    }
}
