//! What is typed after `headend protocols`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use protocols::Format;

use super::cli::Output;
use super::rules_args::Who;

#[derive(Debug, Subcommand)]
pub(super) enum ProtocolsVerb {
    /// Lists the payload formats and the shipped mappings.
    List {
        #[command(flatten)]
        output: Output,
    },
    /// Prints a shipped mapping, to start an own one from.
    Show {
        /// Such as zigbee2mqtt.
        name: String,
    },
    /// Says what a message would become; nothing is stored.
    Try(Box<TryArgs>),
    /// Takes a mapping live: a running head-end follows within a second.
    Apply {
        #[arg(value_name = "FILE.toml")]
        file: PathBuf,
        #[command(flatten)]
        who: Who,
    },
    /// Ends a live mapping.
    End {
        name: String,
        #[command(flatten)]
        who: Who,
    },
    /// Lists the mappings that are live.
    Live {
        #[command(flatten)]
        output: Output,
    },
    /// Lists what was taken live and ended, newest first.
    History {
        #[arg(long, default_value_t = 50)]
        limit: u32,
        #[command(flatten)]
        output: Output,
    },
}

#[derive(Debug, Args)]
pub(super) struct TryArgs {
    /// A description of payloads (docs/mapping.md), or the name of a shipped one. This or --format
    /// must be given.
    #[arg(long, value_name = "FILE")]
    pub(super) mapping: Option<PathBuf>,
    /// A format of `headend protocols list`, for payloads that need no mapping.
    #[arg(long, value_name = "NAME")]
    pub(super) format: Option<Format>,
    /// The topic that it comes by.
    #[arg(long)]
    pub(super) topic: String,
    /// The payload as text. This or --payload-file must be given.
    #[arg(long)]
    pub(super) payload: Option<String>,
    /// The payload as a file.
    #[arg(long, value_name = "FILE", conflicts_with = "payload")]
    pub(super) payload_file: Option<PathBuf>,
    /// Zone of time stamps that carry none, such as Europe/Berlin.
    #[arg(long, value_name = "ZONE")]
    pub(super) zone: Option<String>,
    /// When it arrives; default: now.
    #[arg(long, value_name = "TIME")]
    pub(super) at: Option<String>,
    /// Asks the database whose device it is, and what would be stored.
    #[arg(long)]
    pub(super) meters: bool,
    #[command(flatten)]
    pub(super) output: Output,
}

impl ProtocolsVerb {
    /// Answered without a database.
    pub(super) fn is_offline(&self) -> bool {
        match self {
            Self::List { .. } | Self::Show { .. } => true,
            Self::Try(args) => !args.meters,
            _ => false,
        }
    }
}
