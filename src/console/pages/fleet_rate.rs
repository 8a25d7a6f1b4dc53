//! How many readings come in: the chart of the fleet's page.

use metering::UtcTime;
use store::views::fleet::RateBucket;

use crate::console::chart::{ChartSpec, Limit, Point, QualityMark, Role, Series, Shape, Spread};
use crate::console::measure::DisplayUnit;
use crate::console::state::ConsoleState;
use crate::console::words;

/// Thousandths of a reading per minute, so that the axis can have decimals.
const RATE: DisplayUnit = DisplayUnit { symbol: "readings/min", milli: 1_000 };

/// Readings offered per minute in `[from, to)`.
pub(super) fn rate_chart(
    console: &ConsoleState,
    buckets: &[RateBucket],
    (from, to): (UtcTime, UtcTime),
) -> ChartSpec {
    let now = console.now();
    let points: Vec<Point> = buckets.iter().map(|bucket| rate_point(bucket, now)).collect();
    let last = points.iter().rev().find(|point| point.mark == QualityMark::Plain);
    let label = last.map_or_else(
        || "Readings per minute: nothing was received.".to_owned(),
        |point| format!("Readings per minute; last {}.", point.text),
    );
    ChartSpec {
        id: "rate".to_owned(),
        label,
        height: 156,
        from,
        to,
        now: Some(now),
        zone: console.calendar.zone().clone(),
        zone_name: console.settings.zone.clone(),
        unit: RATE,
        from_zero: true,
        top: usual_top(&points),
        limits: usual_band(&points).into_iter().collect(),
        series: vec![Series { shape: Shape::Step, ink: 1, role: Role::Value, points }],
        bands: Vec::new(),
        marks: Vec::new(),
        flags: Vec::new(),
        empty: "Nothing was received in this range.".to_owned(),
        cursor: true,
        whole: false,
    }
}

fn rate_point(bucket: &RateBucket, now: UtcTime) -> Point {
    let length = bucket.end.seconds_since(bucket.start).max(1);
    let per_minute = bucket.offered.saturating_mul(60_000) / length;
    let pending = bucket.start > now;
    Point {
        start: bucket.start,
        end: bucket.end,
        value: (!pending).then_some(Spread::of(per_minute)),
        mark: if pending { QualityMark::Pending } else { QualityMark::Plain },
        text: if pending {
            String::new()
        } else {
            format!("{} readings/min", RATE.fixed(per_minute, 1))
        },
        note: words::count(bucket.messages, "message", "messages"),
    }
}

/// Twice the highest bucket that is no outlier, when there is an outlier: a queue that is caught up
/// in a minute must not press the rest of the day flat.
fn usual_top(points: &[Point]) -> Option<i64> {
    let mut rates: Vec<i64> =
        points.iter().filter_map(|point| point.value.map(|value| value.mean)).collect();
    rates.retain(|rate| *rate > 0);
    rates.sort_unstable();
    let median = *rates.get(rates.len() / 2)?;
    let far = median.saturating_mul(8);
    let usual = rates.iter().rev().find(|rate| **rate <= far)?;
    rates.last().filter(|most| **most > far).map(|_| usual.saturating_mul(2))
}

/// The middle four fifths of the buckets, when there are enough to say so.
fn usual_band(points: &[Point]) -> Option<Limit> {
    let mut rates: Vec<i64> =
        points.iter().filter_map(|point| point.value.map(|value| value.mean)).collect();
    if rates.len() < 48 {
        return None;
    }
    rates.sort_unstable();
    let (low, high) = (rates[rates.len() / 10], rates[rates.len() * 9 / 10]);
    // Where most minutes bring nothing, nothing is usual.
    if low == 0 {
        return None;
    }
    let label = format!("usual {} to {}", RATE.fixed(low, 0), RATE.fixed(high, 0));
    Some(Limit { at: low, to: Some(high), severity: 3, label })
}
