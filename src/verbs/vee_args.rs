//! What is typed after `headend vee`.

use clap::{Args, Subcommand};
use metering::RuleNo;
use vee::estimate::Method;
use vee::estimation::{EstimationState, Trigger};

use super::cli::{Output, PageArgs};

#[derive(Debug, Subcommand)]
pub(super) enum VeeVerb {
    /// Lists the days with suspect intervals, those with the most doubtful use first.
    Queue {
        /// Only days that this rule holds, by its number.
        #[arg(long, value_parser = rule)]
        rule: Option<RuleNo>,
        /// Part of meter number or address.
        #[arg(long, short)]
        query: Option<String>,
        #[command(flatten)]
        page: PageArgs,
        #[command(flatten)]
        output: Output,
    },
    /// Shows how the intervals of a stretch stand.
    Show {
        #[command(flatten)]
        stretch: Stretch,
        #[command(flatten)]
        output: Output,
    },
    /// The suspect intervals are right: they count.
    Accept(DecideArgs),
    /// The suspect intervals are wrong: they are estimated.
    Reject(DecideArgs),
    /// Estimates intervals without a usable value; --dry-run shows every method side by side.
    Estimate {
        #[command(flatten)]
        act: DecideArgs,
        /// Such as EST-LIN, EST-LIKEN or EST-ADL; default: the ladder and its back-test choose.
        #[arg(long, value_parser = method)]
        method: Option<Method>,
        #[command(flatten)]
        output: Output,
    },
    /// Puts values in place of what stands there, one per interval, in Wh or L as `vee show` has.
    Edit {
        #[command(flatten)]
        act: DecideArgs,
        /// Such as 0.25,0.31,0.3: as many as the stretch has intervals.
        #[arg(long, value_delimiter = ',', required = true, allow_hyphen_values = true)]
        values: Vec<String>,
        /// Also values of more than ten times what the channel ever measured lately.
        #[arg(long)]
        force: bool,
    },
    /// Takes the newest version of each interval back.
    Undo(DecideArgs),
    /// Lists estimates, newest first; those that wait for a person unless asked otherwise.
    Estimates {
        /// Such as PROPOSED, APPLIED or FINAL.
        #[arg(long, default_value = "PROPOSED", value_parser = state)]
        state: EstimationState,
        /// Part of the meter's number.
        #[arg(long, short)]
        query: Option<String>,
        #[command(flatten)]
        page: PageArgs,
        #[command(flatten)]
        output: Output,
    },
    /// Decides of a whole estimate: accept, reject, finalise or roll-back.
    Decide(EstimateArgs),
}

/// Which estimate, what, and why.
#[derive(Debug, Args)]
pub(super) struct EstimateArgs {
    /// Number of the estimate.
    pub(super) number: i64,
    /// accept, reject, finalise or roll-back.
    #[arg(value_parser = trigger)]
    pub(super) act: Trigger,
    /// Why; goes into the record.
    #[arg(long)]
    pub(super) reason: String,
    /// Who does it; default: the account that runs this program.
    #[arg(long = "as", value_name = "NAME")]
    pub(super) actor: Option<String>,
}

/// Intervals of a channel that end in `(from, to]`.
#[derive(Debug, Args)]
pub(super) struct Stretch {
    /// Number of the meter.
    pub(super) meter: String,
    /// Start of the first interval, such as 2026-11-01 or 2026-11-01T06:00.
    #[arg(long, value_name = "TIME")]
    pub(super) from: String,
    /// End of the last interval; default: a day after --from.
    #[arg(long, value_name = "TIME")]
    pub(super) to: Option<String>,
    /// Number of the channel, or its field; default: the first with intervals.
    #[arg(long)]
    pub(super) channel: Option<String>,
    /// Zone in which times are read and printed; default: the meter's own.
    #[arg(long, value_name = "ZONE")]
    pub(super) zone: Option<String>,
}

/// Who decides, and why.
#[derive(Debug, Args)]
pub(super) struct DecideArgs {
    #[command(flatten)]
    pub(super) stretch: Stretch,
    /// Why; goes into the record.
    #[arg(long)]
    pub(super) reason: String,
    /// Who does it; default: the account that runs this program.
    #[arg(long = "as", value_name = "NAME")]
    pub(super) actor: Option<String>,
    /// Says what would change and changes nothing.
    #[arg(long)]
    pub(super) dry_run: bool,
}

fn rule(text: &str) -> Result<RuleNo, String> {
    let number = text.trim_start_matches('#').parse().ok();
    number.and_then(RuleNo::new).ok_or_else(|| "write the rule's number, 1 to 67".to_owned())
}

fn state(text: &str) -> Result<EstimationState, String> {
    text.to_ascii_uppercase().parse().map_err(|_| {
        let words: Vec<&str> = EstimationState::ALL.iter().map(|state| state.word()).collect();
        format!("write one of: {}", words.join(", "))
    })
}

fn trigger(text: &str) -> Result<Trigger, String> {
    match text {
        "accept" => Ok(Trigger::Accept),
        "reject" => Ok(Trigger::Reject),
        "finalise" => Ok(Trigger::Finalise),
        "roll-back" => Ok(Trigger::RollBack),
        _ => Err("write accept, reject, finalise or roll-back".to_owned()),
    }
}

fn method(text: &str) -> Result<Method, String> {
    text.parse().map_err(|error: vee::estimate::MethodError| error.to_string())
}
