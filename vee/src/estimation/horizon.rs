//! When an estimate may be made (5.1): data that is merely late must have had its chance.

use metering::{LocalCalendar, UtcTime};

/// Local hour of the next day from which provisional values are shown. `default`.
pub const PROVISIONAL_HOUR: i64 = 6;
/// A billing estimate waits this long after the gap, in seconds: ERCOT practice. `default`.
pub const BILLING_AFTER_S: i64 = 5 * 86_400;
/// After this a late actual is recorded but changes no bill: 14 months, in seconds. `default`.
pub const FINALITY_S: i64 = 427 * 86_400;

/// A gap that ends at `gap_end` may be estimated for display from here on: 06:00 of the local day
/// after the one that holds its last slot.
pub fn provisional_from(gap_end: UtcTime, calendar: &LocalCalendar) -> UtcTime {
    let last = UtcTime::from_micros(gap_end.micros().saturating_sub(1));
    let day = calendar.day_containing(last);
    // Six hours of wall time: a change of clocks that night moves the hour, not the rule.
    calendar.day_start(day.date).max(day.end).plus_seconds(PROVISIONAL_HOUR * 3_600)
}

/// The estimate counts for bills from here on, unless billing closes first.
pub fn billing_from(gap_end: UtcTime) -> UtcTime {
    gap_end.plus_seconds(BILLING_AFTER_S)
}

/// True when an actual that arrives at `now` comes too late for a true-up.
pub fn is_final_horizon(gap_end: UtcTime, now: UtcTime) -> bool {
    now.seconds_since(gap_end) > FINALITY_S
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn estimates_wait_for_the_next_morning_and_bills_five_days() {
        let berlin = LocalCalendar::new("Europe/Berlin").unwrap();
        let at = |text| UtcTime::parse_rfc3339(text).unwrap();
        let check = |end, want| assert_eq!(provisional_from(at(end), &berlin), at(want));
        check("2026-07-01T12:00:00Z", "2026-07-02T04:00:00Z");
        // The slot that ends at local midnight belongs to the day before.
        check("2026-07-01T22:00:00Z", "2026-07-02T04:00:00Z");
        check("2026-07-01T22:15:00Z", "2026-07-03T04:00:00Z");
        assert_eq!(billing_from(at("2026-07-01T12:00:00Z")), at("2026-07-06T12:00:00Z"));
        assert!(!is_final_horizon(at("2026-07-01T12:00:00Z"), at("2027-08-30T12:00:00Z")));
        assert!(is_final_horizon(at("2026-07-01T12:00:00Z"), at("2027-09-02T12:00:00Z")));
    }
}
