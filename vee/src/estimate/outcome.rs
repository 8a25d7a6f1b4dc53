//! What an estimate is: values, how they came to be, and how far they are to be trusted.

use jiff::civil::Date;
use metering::{QualityStatus, Ratio};

use super::backtest::MethodScore;
use super::input::RegisterWindow;
use super::scale::Scaling;
use super::shapes::NotApplicable;
use super::{Gap, Method};

/// Expected error in words: A up to 5 %, B up to 15 %, C up to 40 %, D beyond or unknown.
/// `default`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ConfidenceClass {
    A,
    B,
    C,
    D,
}

impl ConfidenceClass {
    pub const fn letter(self) -> char {
        match self {
            Self::A => 'A',
            Self::B => 'B',
            Self::C => 'C',
            Self::D => 'D',
        }
    }

    pub(super) const fn of_error(milli: i32) -> Self {
        match milli {
            ..=50 => Self::A,
            51..=150 => Self::B,
            151..=400 => Self::C,
            _ => Self::D,
        }
    }
}

/// How far an estimate is to be trusted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Confidence {
    pub class: ConfidenceClass,
    /// The gap's use is above this in 90 % of hidden stretches, in milli-units. Both equal the sum
    /// of the values when the register fixes it. `None` without a back-test.
    pub p10: Option<i64>,
    pub p90: Option<i64>,
    /// Expected error of a slot, in thousandths; `None` without a back-test.
    pub error_milli: Option<i32>,
    /// Signed bias of the method on this channel, in thousandths.
    pub bias_milli: Option<i32>,
}

/// Why a person should look. The first three keep the estimate PROPOSED (5.1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Review {
    ClassProfile,
    Longer15Days,
    ExchangeWithoutFinalRead,
    /// The scale to the register lies outside of 0.2 to 5.
    ScaleOutside,
    /// The actual values exceed the register: REG-SUM fails.
    RegisterExceeded,
    /// Zeros until a restored meter says otherwise.
    ProvisionalZero,
}

impl Review {
    pub const fn holds(self) -> bool {
        matches!(self, Self::ClassProfile | Self::Longer15Days | Self::ExchangeWithoutFinalRead)
    }

    pub const fn words(self) -> &'static str {
        match self {
            Self::ClassProfile => "made from a class profile",
            Self::Longer15Days => "longer than 15 days",
            Self::ExchangeWithoutFinalRead => "the old meter has no final read",
            Self::ScaleOutside => "the register tells under a fifth or over five times as much",
            Self::RegisterExceeded => "the actual values exceed the register",
            Self::ProvisionalZero => "zero by an outage that is not proven yet",
        }
    }
}

/// What an estimate was made from.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Inputs {
    pub before: Option<i64>,
    pub after: Option<i64>,
    pub reference_days: Vec<Date>,
    pub registers: Option<RegisterWindow>,
    /// Rates that the values were scaled to one by one, with what is left for each; empty: the
    /// total alone.
    pub rates: Vec<(u8, i64)>,
    pub profile_id: Option<String>,
}

/// One method side by side with the others.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MethodTrial {
    pub method: Method,
    /// One value per slot, scaled like the estimate; empty when the method does not apply.
    pub values: Vec<i64>,
    pub refused: Option<NotApplicable>,
    pub score: Option<MethodScore>,
    pub chosen: bool,
}

/// Values for one gap.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Estimate {
    pub gap: Gap,
    pub method: Method,
    /// One value per slot in milli-units, in order.
    pub values: Vec<i64>,
    /// Estimated or OutageZero.
    pub status: QualityStatus,
    pub scaling: Scaling,
    /// What the rounding of the register's residual left over, exactly; 0 on the grid. It belongs
    /// to all gaps of the window together.
    pub residual: Ratio,
    pub inputs: Inputs,
    pub confidence: Confidence,
    pub alternatives: Vec<MethodTrial>,
    pub review: Vec<Review>,
}

impl Estimate {
    pub fn total(&self) -> i128 {
        self.values.iter().map(|value| i128::from(*value)).sum()
    }

    /// True when a person must accept it before it counts.
    pub fn is_proposal(&self) -> bool {
        self.review.iter().any(|reason| reason.holds())
    }
}
