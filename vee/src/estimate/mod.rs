//! Estimation: a value for a slot that no meter sent, exact to the last unit and with its error.
//!
//! In the order an estimate is made: the values of a channel and their gaps ([`series`]), what is
//! known around them ([`input`]), which days are like which (`days`), what each method would write
//! ([`shapes`], [`outage`], [`flat`]), how whole units are shared ([`share`]) and scaled to the
//! register ([`scale`]) and its rates ([`tou`]), how well each method did on masked stretches of the same channel
//! ([`backtest`]), the ladder that picks one ([`ladder`]) and what is told of it ([`outcome`]).
//! Beside it: the error over a whole fleet ([`report`]), repairs that need no estimate
//! ([`reslice`]) and a meter exchange within a gap ([`bridge`]).
//!
//! All quantities are `i64` milli-units; intervals are named by their end; gaps are `[from, to)`.
//! Everything here is a pure function of its input: the same input gives the same bytes.

pub mod backtest;
pub mod bridge;
mod days;
pub mod flat;
pub mod input;
pub mod ladder;
pub mod method;
pub mod outage;
pub mod outcome;
pub mod profiles;
pub mod report;
pub mod reslice;
pub mod scale;
pub mod series;
pub mod shapes;
pub mod share;
pub mod tou;

pub use backtest::{GapClass, MethodScore};
pub use days::{LIKE_DAYS, LIKE_REACH_DAYS};
pub use input::{
    ChannelFacts, ClassProfile, DayType, GapInput, Outage, OutageEvidence, RegisterWindow,
};
pub use ladder::{Estimator, estimate};
pub use method::{Method, MethodError};
pub use outage::ZeroFill;
pub use outcome::{Confidence, ConfidenceClass, Estimate, Inputs, MethodTrial, Review};
pub use report::{BacktestReport, MaskLength, backtest_report};
pub use scale::{Residual, Scaling, Unscaled};
pub use series::{Gap, Series, Slot, is_usable};
pub use shapes::NotApplicable;
pub use tou::{RateWindow, TouInput, TouRule, TouSchedule};

/// Why nothing could be estimated.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum EstimateError {
    #[error("no gap was given")]
    NoGap,
    #[error(
        "a gap does not hold whole slots of {len_s} s, overlaps the one before, or is too long"
    )]
    Misshapen { len_s: i32 },
    #[error("a slot of the gap holds a usable value already")]
    NotAGap,
    #[error("nothing is known to estimate from: leave it missing and ask for a manual read")]
    NoData,
    #[error("the method cannot be used here: {0}")]
    Refused(NotApplicable),
    #[error("intervals of {from_s} s cannot be re-sliced to {to_s} s exactly")]
    Lengths { from_s: i32, to_s: i32 },
    #[error("the result exceeds the range of stored values")]
    Overflow,
}
