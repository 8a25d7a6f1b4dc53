//! Why a person's act on readings was not done: in the unit that people write values in, and with
//! times local to the meter.

use std::fmt;

use jiff::tz::TimeZone;
use metering::{ChannelNo, MeterId, UtcTime};
use store::StoreError;
use vee::estimate::EstimateError;

use crate::output::decimal_of_milli;

/// An instant as it is told: ISO 8601 with the offset in force.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Moment {
    at: UtcTime,
    zone: TimeZone,
}

impl Moment {
    pub(super) const fn utc(at: UtcTime) -> Self {
        Self { at, zone: TimeZone::UTC }
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let local = self.at.to_jiff().to_zoned(self.zone.clone());
        write!(f, "{}", local.strftime("%Y-%m-%dT%H:%M:%S%:z"))
    }
}

/// Why a person's act was not done. `unit` is the channel's base unit, of which `_milli` are
/// thousandths.
#[derive(Debug, thiserror::Error)]
pub enum VeeError {
    #[error("there is no meter {0} with channel {1}")]
    NoChannel(MeterId, ChannelNo),
    #[error("a decision on readings needs a reason and a name")]
    NoReason,
    #[error(
        "the range must hold whole intervals of the channel ({}) and at most 100 days",
        length(*.len_s)
    )]
    Range { len_s: i32 },
    #[error("the interval that ends at {end} is not over yet: it is now {now}")]
    Future { end: Moment, now: Moment },
    #[error(
        "the channel counts one direction only: the value of the interval that ends at {end} \
         cannot be negative"
    )]
    Negative { end: Moment },
    #[error("the interval that ends at {end} lies before the channel's first day: it began {from}")]
    BeforeFirst { end: Moment, from: Moment },
    #[error("the interval that ends at {end} lies after the channel's end at {to}")]
    AfterLast { end: Moment, to: Moment },
    #[error(
        "the value of the interval that ends at {end} is more than the meter's connection lets \
         through ({} {unit} in {}: {} times its `cap_per_hour`); where it lets through more, \
         provision the meter with the right `cap_per_hour` first",
        decimal_of_milli(*.most_milli),
        length(*.len_s),
        decimal_of_milli(percent.saturating_mul(10))
    )]
    OverCap { end: Moment, most_milli: i64, unit: &'static str, len_s: i32, percent: i64 },
    #[error(
        "the value of the interval that ends at {end} is more than ten times the most that the \
         channel measured in an interval of {days} days around it ({} {unit}); insist (`--force`, \
         `\"force\": true`) where it is right",
        decimal_of_milli(*.most_milli)
    )]
    Unusual { end: Moment, most_milli: i64, unit: &'static str, days: i64 },
    #[error(
        "the value of the interval that ends at {end} is no whole number of the channel's steps \
         ({} {unit} each)",
        decimal_of_milli(*.step_milli)
    )]
    OffStep { end: Moment, step_milli: i64, unit: &'static str },
    #[error("the zone `{0}` of the usage point is unknown")]
    Zone(String),
    #[error("nothing to estimate: every interval there has a usable value")]
    NothingMissing,
    #[error("the intervals cannot be estimated")]
    Estimate(#[source] EstimateError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// `15 min`.
fn length(len_s: i32) -> String {
    let units = [(86_400, "d"), (3_600, "h"), (60, "min")];
    let whole = units.into_iter().find(|(unit_s, _)| len_s > 0 && len_s % unit_s == 0);
    let (unit_s, word) = whole.unwrap_or((1, "s"));
    format!("{} {word}", len_s / unit_s)
}

impl VeeError {
    /// The same with its times told in `zone`.
    pub(super) fn local(mut self, zone: &TimeZone) -> Self {
        let moments = match &mut self {
            Self::Future { end, now } => [Some(end), Some(now)],
            Self::BeforeFirst { end, from: other } | Self::AfterLast { end, to: other } => {
                [Some(end), Some(other)]
            }
            Self::Negative { end }
            | Self::OverCap { end, .. }
            | Self::Unusual { end, .. }
            | Self::OffStep { end, .. } => [Some(end), None],
            _ => [None, None],
        };
        for moment in moments.into_iter().flatten() {
            moment.zone = zone.clone();
        }
        self
    }
}

impl From<EstimateError> for VeeError {
    fn from(error: EstimateError) -> Self {
        Self::Estimate(error)
    }
}
