//! Storm mode (2.11): while much of an area is not heard, what is missing there is most likely still
//! on its way, and estimates would be made from too little. They wait.

/// What was read of an area in one day.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AreaDay {
    /// Days since 1970-01-01.
    pub day: i64,
    /// Meters whose day is closed.
    pub meters: u32,
    /// Intervals that the day has, and those that arrived.
    pub slots: u64,
    pub actual: u64,
}

/// Days of the norm.
const NORM_DAYS: usize = 7;
/// Estimation waits when the share of reads falls by this much of the norm, in percent. Oracle's
/// example configuration. `std`.
const FALL_PERCENT: u128 = 30;
/// It goes on when the share is back within this much of the norm, in percent. `std`.
const RESUME_PERCENT: u128 = 5;
/// Fewer meters are no area. `std`.
const METERS_MIN: u32 = 100;
/// Estimation waits for at most so many days in a row. `std`.
pub const WAIT_DAYS_MAX: u32 = 3;

/// Days on which estimation waits; `days` rise, one each. The norm is the mean of the last seven
/// days before that were no storm themselves; without seven of them nothing waits.
pub fn waiting(days: &[AreaDay]) -> Vec<i64> {
    let mut norm: Vec<&AreaDay> = Vec::new();
    let mut waits = Vec::new();
    let mut in_row = 0;
    for today in days {
        let recent = &norm[norm.len().saturating_sub(NORM_DAYS)..];
        let below = |percent: u128| {
            let sum = |part: fn(&AreaDay) -> u64| -> u128 {
                recent.iter().map(|day| u128::from(part(day))).sum()
            };
            // actual / slots < norm * (100 - percent) / 100, in whole numbers.
            u128::from(today.actual) * sum(|day| day.slots) * 100
                <= sum(|day| day.actual) * u128::from(today.slots) * (100 - percent)
        };
        let fall = if in_row > 0 { RESUME_PERCENT } else { FALL_PERCENT };
        let storm = recent.len() == NORM_DAYS
            && today.meters >= METERS_MIN
            && today.slots > 0
            && below(fall);
        if !storm {
            norm.push(today);
            in_row = 0;
            continue;
        }
        in_row += 1;
        if in_row <= WAIT_DAYS_MAX {
            waits.push(today.day);
        }
    }
    waits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(permille: &[u64], meters: u32, want: &[i64]) {
        let days: Vec<AreaDay> = (0..)
            .zip(permille)
            .map(|(day, share)| AreaDay { day, meters, slots: 96_000, actual: share * 96 })
            .collect();
        assert_eq!(waiting(&days), want, "{permille:?}");
    }

    #[test]
    fn estimation_waits_while_an_area_is_not_heard() {
        let calm = [980; 7];
        let with = |more: &[u64]| [&calm[..], more].concat();
        check(&with(&[690, 980]), 100, &[]);
        check(&with(&[686, 980]), 100, &[7]);
        check(&with(&[686, 980]), 99, &[]);
        // It resumes within five percent of the norm, not as soon as it is above the fall.
        check(&with(&[500, 900, 932, 500]), 100, &[7, 8, 10]);
        // Three days at most.
        check(&with(&[100, 100, 100, 100, 100]), 100, &[7, 8, 9]);
        // No norm, no storm.
        check(&[980, 980, 980, 980, 980, 980, 300], 100, &[]);
    }
}
