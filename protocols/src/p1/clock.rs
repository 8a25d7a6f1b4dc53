//! Stamps `YYMMDDhhmmss` with `S` (summer), `W` (winter) or nothing.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{AmbiguousOffset, TimeZone};
use metering::UtcTime;

use crate::format::DecodeContext;
use crate::observation::{ObservedTime, TimeOrigin};
use crate::stamp;

/// UTC offsets of the Netherlands and Belgium, in hours.
const SUMMER_H: i8 = 2;
const WINTER_H: i8 = 1;

/// `None`: no time at all, or one without a letter where no zone is configured.
pub(super) fn stamp(context: &DecodeContext<'_>, text: &str) -> Option<ObservedTime> {
    let (digits, letter) = match text.as_bytes().last()? {
        b'S' => (&text[..text.len() - 1], Some(true)),
        b'W' => (&text[..text.len() - 1], Some(false)),
        _ => (text, None),
    };
    let local = local(digits)?;
    match (letter, context.zone) {
        (Some(summer), None) => {
            let hours = if summer { SUMMER_H } else { WINTER_H };
            at_offset(local, jiff::tz::offset(hours))
        }
        (Some(summer), Some(zone)) => in_zone(context, local, zone, summer),
        (None, Some(zone)) => stamp::in_zone(local, zone, context.received_at, TimeOrigin::Device),
        (None, None) => None,
    }
}

fn local(digits: &str) -> Option<DateTime> {
    if digits.len() != 12 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let two = |at: usize| digits[at..at + 2].parse::<i8>().ok();
    let date = Date::new(2_000 + i16::from(two(0)?), two(2)?, two(4)?).ok()?;
    let time = Time::new(two(6)?, two(8)?, two(10)?, 0).ok()?;
    Some(DateTime::from_parts(date, time))
}

fn at_offset(local: DateTime, offset: jiff::tz::Offset) -> Option<ObservedTime> {
    let at = UtcTime::from_jiff(offset.to_timestamp(local).ok()?);
    Some(ObservedTime::sure(at, TimeOrigin::Device))
}

/// In a zone the letter tells the two instants of the repeated hour apart.
fn in_zone(
    context: &DecodeContext<'_>,
    local: DateTime,
    zone: &TimeZone,
    summer: bool,
) -> Option<ObservedTime> {
    match zone.to_ambiguous_timestamp(local).offset() {
        AmbiguousOffset::Fold { before, after } => {
            at_offset(local, if summer { before } else { after })
        }
        _ => {
            let time = stamp::in_zone(local, zone, context.received_at, TimeOrigin::Device)?;
            Some(ObservedTime { zone_assumed: false, ..time })
        }
    }
}
