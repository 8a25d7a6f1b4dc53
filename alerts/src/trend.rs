//! Trends through few points: the Theil-Sen line, and how sure it is.

/// A straight line through points (x, y): `y = at_zero + slope * x`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Line {
    slope: f64,
    at_zero: f64,
}

/// Resamples of a bootstrap.
const DRAWS: usize = 200;
/// Days are cut off here.
const DAYS_MAX: i64 = 36_500;

impl Line {
    /// Slope in millionths of y for each x.
    pub(crate) fn slope_millionths(self) -> i64 {
        whole(self.slope * 1e6)
    }

    /// x from `from` until a falling line reaches `y`.
    pub(crate) fn days_to(self, from: i64, y: i64) -> i64 {
        if self.slope >= 0.0 {
            return DAYS_MAX;
        }
        let gap = self.at_zero + self.slope * float(from) - float(y);
        whole(gap / -self.slope + 1e-9).clamp(0, DAYS_MAX)
    }
}

fn float(value: i64) -> f64 {
    f64::from(i32::try_from(value).unwrap_or(i32::MAX))
}

/// The whole part, towards minus infinity.
#[expect(clippy::cast_possible_truncation, reason = "clamped to what an i64 holds exactly")]
fn whole(value: f64) -> i64 {
    value.clamp(-9e15, 9e15).floor() as i64
}

fn middle(values: &mut [f64]) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let half = values.len() / 2;
    match values.len() {
        0 => None,
        len if len % 2 == 1 => Some(values[half]),
        _ => Some((values[half - 1] + values[half]) / 2.0),
    }
}

/// The slopes between all pairs of points, in the order of the points.
fn slopes(points: &[(i64, i64)]) -> Vec<f64> {
    let mut slopes = Vec::with_capacity(points.len() * points.len() / 2);
    for (n, (x0, y0)) in points.iter().enumerate() {
        for (x1, y1) in &points[n + 1..] {
            if x1 != x0 {
                slopes.push(float(y1 - y0) / float(x1 - x0));
            }
        }
    }
    slopes
}

fn line_of(points: &[(i64, i64)], slope: f64) -> Option<Line> {
    let mut rest: Vec<f64> = points.iter().map(|(x, y)| float(*y) - slope * float(*x)).collect();
    middle(&mut rest).map(|at_zero| Line { slope, at_zero })
}

/// The Theil-Sen line: the median of the slopes of all pairs. `None` for fewer than two x.
pub(crate) fn theil_sen(points: &[(i64, i64)]) -> Option<Line> {
    let slope = middle(&mut slopes(points))?;
    line_of(points, slope)
}

/// The 10th and 90th percentile of `measure` over lines of resampled pairwise slopes. The same
/// seed gives the same bounds.
pub(crate) fn bootstrap(
    points: &[(i64, i64)],
    seed: u64,
    measure: impl Fn(Line) -> i64,
) -> Option<(i64, i64)> {
    let all = slopes(points);
    if all.is_empty() {
        return None;
    }
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut found = Vec::with_capacity(DRAWS);
    for _ in 0..DRAWS {
        let mut drawn: Vec<f64> = Vec::with_capacity(all.len());
        for _ in 0..all.len() {
            // xorshift64: small and the same everywhere.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let at = usize::try_from(state >> 33).unwrap_or(0) % all.len();
            drawn.push(all[at]);
        }
        let slope = middle(&mut drawn)?;
        found.push(measure(line_of(points, slope)?));
    }
    found.sort_unstable();
    Some((found[DRAWS / 10], found[DRAWS - 1 - DRAWS / 10]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rv_13_a_cell_that_falls_has_213_days_left() {
        let points =
            [(0, 3_600), (30, 3_580), (60, 3_550), (90, 3_530), (120, 3_500), (150, 3_480)];
        let line = theil_sen(&points).unwrap();
        assert_eq!(line.slope_millionths(), -833_334);
        assert_eq!(line.days_to(150, 3_300), 213);
        let (low, high) = bootstrap(&points, 7, |line| line.days_to(150, 3_300)).unwrap();
        assert!(low <= 213 && 213 <= high && high - low < 60, "{low} {high}");
        assert_eq!(bootstrap(&points, 7, |line| line.days_to(150, 3_300)), Some((low, high)));
    }

    #[test]
    fn a_flat_or_rising_line_never_ends() {
        assert_eq!(theil_sen(&[(0, 5), (7, 5), (14, 6)]).unwrap().days_to(14, 1), 36_500);
        assert!(theil_sen(&[(3, 5)]).is_none());
    }
}
