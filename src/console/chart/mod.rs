//! Charts as SVG text, drawn from a [`ChartSpec`] by [`draw`].
//!
//! The outer `<svg>` has no `viewBox`: text keeps its size, positions across are per cent, and the
//! style sheet's padding is the room for the axes. Lines stand in an inner `<svg>` of 1000 units
//! that is stretched. So one drawing serves a desk and a phone. Nothing here has an inline style:
//! classes and presentation attributes only.
//!
//! What a person must be able to see: a line breaks where nothing came; missing is hatched and says
//! so; estimated is dashed; edited is dotted; suspect is hatched and does not set the axis; a spike
//! never vanishes, because each bucket carries its least and its most.

mod axis;
mod draw;
mod marks;
mod spark;
#[cfg(test)]
mod tests;

use jiff::tz::TimeZone;
use metering::UtcTime;

use super::measure::DisplayUnit;

pub use draw::draw;
pub use spark::{delta, spark};

/// What one chart shows.
#[derive(Clone, Debug)]
pub struct ChartSpec {
    /// Unique on the page: id of the `<svg>`; its read-out is `{id}-read`.
    pub id: String,
    /// What a person who does not see the chart is told.
    pub label: String,
    /// Height of the plot in px, without the axes.
    pub height: u16,
    /// The range shown, half-open.
    pub from: UtcTime,
    pub to: UtcTime,
    /// Draws the line of the present when it is within the range.
    pub now: Option<UtcTime>,
    pub zone: TimeZone,
    /// IANA name of `zone`, for the read-out.
    pub zone_name: String,
    pub unit: DisplayUnit,
    /// The axis begins at zero: right for consumption, wrong for a voltage.
    pub from_zero: bool,
    /// The axis ends here at the latest; what is higher is cut and its most is written.
    pub top: Option<i64>,
    /// The first has the cursor.
    pub series: Vec<Series>,
    pub bands: Vec<Band>,
    pub limits: Vec<Limit>,
    pub marks: Vec<Mark>,
    pub flags: Vec<Flag>,
    /// Said in the empty frame when no series has a value.
    pub empty: String,
    /// The chart has a cursor and a read-out.
    pub cursor: bool,
    /// Values are counts: the axis has no parts of one.
    pub whole: bool,
}

/// One line of a chart.
#[derive(Clone, Debug)]
pub struct Series {
    pub shape: Shape,
    /// 1 to 3: colour of the line.
    pub ink: u8,
    pub role: Role,
    pub points: Vec<Point>,
}

/// What a line is to the reader.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// What was measured, or is known: drawn by its quality.
    Value,
    /// What a method proposes, not chosen.
    Ghost,
    /// The proposal that would be written.
    Chosen,
}

/// How neighbouring values are joined.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shape {
    /// Each value holds for its whole interval.
    Step,
    /// From middle to middle.
    Line,
}

/// One bucket: an interval, or several with their least and most. Values in milli-units.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Point {
    pub start: UtcTime,
    pub end: UtcTime,
    /// `None`: nothing to draw here.
    pub value: Option<Spread>,
    pub mark: QualityMark,
    /// What the read-out says of the value, exactly: `0.17 kWh`.
    pub text: String,
    /// More for the read-out: version, missing share, rule that failed.
    pub note: String,
}

/// The mean of a bucket and its extremes; all equal when it holds one value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Spread {
    pub mean: i64,
    pub min: i64,
    pub max: i64,
}

impl Spread {
    pub const fn of(value: i64) -> Self {
        Self { mean: value, min: value, max: value }
    }
}

/// How far a bucket is to be trusted, as drawn.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum QualityMark {
    /// Raw, validated or verified.
    Plain,
    Edited,
    Estimated,
    Suspect,
    /// Due, and nothing came.
    Missing,
    /// Not due yet, or before the meter was installed: nothing is drawn.
    Pending,
}

/// A vertical band behind the line.
#[derive(Clone, Debug)]
pub struct Band {
    pub from: UtcTime,
    pub to: UtcTime,
    pub fill: BandFill,
    pub label: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BandFill {
    /// The window of a rule, or another stretch that is spoken of.
    Window,
    /// Values that are estimates.
    Estimated,
    TouNight,
    TouPeak,
}

/// A horizontal line (or band, when `to` is given) in the unit of the axis, labelled in place.
#[derive(Clone, Debug)]
pub struct Limit {
    pub at: i64,
    /// Upper edge of an expected band.
    pub to: Option<i64>,
    pub severity: u8,
    pub label: String,
}

/// A vertical line with a word: when a rule fired.
#[derive(Clone, Debug)]
pub struct Mark {
    pub at: UtcTime,
    pub label: String,
}

/// An event below the axis.
#[derive(Clone, Debug)]
pub struct Flag {
    pub at: UtcTime,
    pub title: String,
}
