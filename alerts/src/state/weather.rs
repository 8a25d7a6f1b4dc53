//! Daily mean temperatures, as the log brings them, and what use has to do with them.
//!
//! They come as `AMBIENT_TEMPERATURE` events of the head-end (for everywhere) or of a network zone;
//! `headend rules weather` puts them there from a file. Without them nothing is adjusted.

use std::collections::BTreeMap;

use crate::snapshot::snap_struct;

/// Days that are kept: those that a day can be compared with, and a week.
const KEPT: usize = 64;
/// Number of the zone that stands for all.
pub(crate) const EVERYWHERE: i32 = 0;
const DAY_S: i64 = 86_400;

/// By network zone and local day since 1970, in hundredths of a degree C.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Weather {
    zones: BTreeMap<i32, BTreeMap<i32, i32>>,
}

snap_struct!(Weather { zones });

impl Weather {
    /// The mean of the day in which `at` lies; a later word for the same day holds. The day, when
    /// something else was known of it.
    pub(crate) fn note(&mut self, zone: i32, at: i64, centi: i32) -> Option<i32> {
        let day = i32::try_from(at.div_euclid(DAY_S)).ok()?;
        let days = self.zones.entry(zone).or_default();
        let before = days.insert(day, centi);
        while days.len() > KEPT {
            days.pop_first();
        }
        (before != Some(centi)).then_some(day)
    }

    /// Of the zone, else of everywhere.
    pub(crate) fn mean(&self, zone: i32, day: i32) -> Option<i64> {
        let of = |zone| self.zones.get(&zone).and_then(|days| days.get(&day));
        of(zone).or_else(|| of(EVERYWHERE)).map(|centi| i64::from(*centi))
    }
}

/// Heating degrees below the first limit, or cooling degrees above the second, in hundredths.
pub(crate) fn degrees(centi: i64, (heat_below, cool_above): (i64, i64)) -> [i64; 2] {
    [(heat_below - centi).max(0), (centi - cool_above).max(0)]
}

/// Least squares of use (`y`) over degrees (`x`): slope as a fraction, when r squared exceeds
/// `least_pct` per cent.
pub(crate) fn slope(points: &[(i64, i64)], least_pct: i64) -> Option<(i128, i128, i128)> {
    let n = i128::try_from(points.len()).ok().filter(|n| *n > 2)?;
    let sum = |of: &dyn Fn(i128, i128) -> i128| -> i128 {
        points.iter().map(|(x, y)| of(i128::from(*x), i128::from(*y))).sum()
    };
    let (x, y) = (sum(&|x, _| x), sum(&|_, y| y));
    let sxx = n * sum(&|x, _| x * x) - x * x;
    let syy = n * sum(&|_, y| y * y) - y * y;
    let sxy = n * sum(&|x, y| x * y) - x * y;
    if sxx <= 0 || syy <= 0 {
        return None;
    }
    let explained = sxy.checked_mul(sxy)?.checked_div(sxx)?;
    let share_permille = explained.checked_mul(1_000)?.checked_div(syy)?;
    (share_permille > i128::from(least_pct) * 10).then_some((sxy, sxx, share_permille))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_goes_before_everywhere_and_old_days_leave() {
        let mut weather = Weather::default();
        weather.note(EVERYWHERE, 10 * DAY_S + 43_200, 500);
        weather.note(7, 10 * DAY_S, 300);
        assert_eq!((weather.mean(7, 10), weather.mean(8, 10)), (Some(300), Some(500)));
        for day in 11..90 {
            weather.note(EVERYWHERE, day * DAY_S, 0);
        }
        assert_eq!((weather.mean(8, 10), weather.mean(7, 10)), (None, Some(300)));
    }

    #[test]
    fn use_that_follows_the_cold_has_a_slope_and_noise_has_none() {
        let cold: Vec<(i64, i64)> =
            (0..20).map(|x| (x * 100, 5_000 + 30 * x * 100 + x % 3)).collect();
        let (above, below, share) = slope(&cold, 50).unwrap();
        assert_eq!((above / below, share), (30, 999));
        let noise: Vec<(i64, i64)> = (0..20).map(|x| (x * 100, 5_000 + (x * 7_919) % 13)).collect();
        assert_eq!(slope(&noise, 50), None);
        assert_eq!(slope(&[(0, 1), (0, 2), (0, 3)], 50), None);
        assert_eq!(degrees(500, (1_550, 2_200)), [1_050, 0]);
    }
}
