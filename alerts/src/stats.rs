//! The arithmetic behind the rules. Integers where a decision compares; floats only as products and
//! sums in a fixed order, so that a replay gives the same bits.

/// Least k with `p^k <= alpha`, at most 60: misses in a row that chance explains less often.
pub(crate) fn misses_needed(p_miss: f64, alpha: f64) -> u32 {
    let mut chance = 1.0;
    for k in 1..60 {
        chance *= p_miss;
        // The table's alpha is rounded; a millionth above it is the same.
        if chance <= alpha * 1.000_001 {
            return k;
        }
    }
    60
}

/// Chance that at least `s` of `n` independent events of chance `p` happen.
pub(crate) fn binomial_tail(n: u32, p: f64, s: u32) -> f64 {
    if s == 0 {
        return 1.0;
    }
    // The term for k = 0, then each from the one before; scaled down by halves while it is tiny.
    let q = 1.0 - p;
    let mut term = 1.0;
    let mut scale: u32 = 0;
    for _ in 0..n {
        term *= q;
        if term < 1e-200 {
            term *= 1e200;
            scale += 1;
        }
    }
    let mut tail = 0.0;
    for k in 0..=n {
        if k >= s && scale == 0 {
            tail += term;
        }
        term *= f64::from(n - k) / f64::from(k + 1) * (p / q);
        if scale > 0 && term > 1.0 {
            term *= 1e-200;
            scale -= 1;
        }
    }
    if tail > 1.0 { 1.0 } else { tail }
}

/// Median of a sorted slice, the lower of the two middles' mean. 0 when empty.
fn median_sorted(sorted: &[i64]) -> i64 {
    match (sorted.len(), sorted.len() / 2) {
        (0, _) => 0,
        (len, half) if len % 2 == 1 => sorted[half],
        (_, half) => i64::midpoint(sorted[half - 1], sorted[half]),
    }
}

/// Median of the values; sorts them.
pub(crate) fn median(values: &mut [i64]) -> i64 {
    values.sort_unstable();
    median_sorted(values)
}

/// Median and median absolute deviation; sorts `values`.
pub(crate) fn median_mad(values: &mut [i64]) -> (i64, i64) {
    values.sort_unstable();
    let median = median_sorted(values);
    for value in values.iter_mut() {
        *value = (*value - median).abs();
    }
    values.sort_unstable();
    (median, median_sorted(values))
}

/// Robust z in hundredths: `0.6745 * (x - median) / max(mad, floor)` with `floor` in per cent of
/// the median. `None` when there is no spread at all to measure with.
pub(crate) fn robust_z_x100(x: i64, median: i64, mad: i64, floor_pct: i64) -> Option<i64> {
    let spread = i128::from(mad).max(i128::from(median) * i128::from(floor_pct) / 100);
    if spread <= 0 {
        return None;
    }
    let z = i128::from(x - median) * 6745 / (spread * 100);
    Some(i64::try_from(z.clamp(-1_000_000, 1_000_000)).unwrap_or_default())
}

/// A non-negative quantity in 16 bits: exact below 2,048, else within 0.05 %. Order is kept.
pub(crate) fn code16(value: u64) -> u16 {
    if value < 2_048 {
        return u16::try_from(value).unwrap_or(CODE_MAX);
    }
    let mut shift = value.ilog2() - 10;
    let mut mantissa = (value + (1 << (shift - 1))) >> shift;
    if mantissa == 2_048 {
        mantissa = 1_024;
        shift += 1;
    }
    u16::try_from(u64::from(shift) * 1_024 + mantissa).map_or(CODE_MAX, |code| code.min(CODE_MAX))
}

/// Largest code of a quantity; the two above it are marks.
pub(crate) const CODE_MAX: u16 = 0xFFFD;
/// Known, but not to be used.
pub(crate) const CODE_BAD: u16 = 0xFFFE;
/// Not known.
pub(crate) const CODE_MISSING: u16 = 0xFFFF;

/// The quantity of a code, `None` for the two marks.
pub(crate) fn decode16(code: u16) -> Option<i64> {
    if code > CODE_MAX {
        return None;
    }
    if code < 2_048 {
        return Some(i64::from(code));
    }
    let shift = u32::from(code / 1_024) - 1;
    let mantissa = i64::from(code) - i64::from(shift) * 1_024;
    mantissa.checked_mul(1_i64.checked_shl(shift)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rv_20_misses_scale_with_the_fleet() {
        let check = |alpha: f64, want: [u32; 6]| {
            let got = [0.01, 0.02, 0.05, 0.10, 0.20, 0.30].map(|p| misses_needed(p, alpha).max(3));
            assert_eq!(got, want, "alpha {alpha}");
        };
        check(1.0 / (10_000.0 * 96.0), [3, 4, 5, 6, 9, 12]);
        check(1.0 / (1_000_000.0 * 24.0), [4, 5, 6, 8, 11, 15]);
        check(1.0 / (1_000_000.0 * 96.0), [4, 5, 7, 8, 12, 16]);
        check(1.0 / (10_000_000.0 * 96.0), [5, 6, 7, 9, 13, 18]);
    }

    #[test]
    fn rv_21_a_collector_needs_more_than_chance() {
        let check = |s, want: f64| {
            let got = binomial_tail(40, 0.02, s);
            assert!((got / want - 1.0).abs() < 1e-3, "{s}: {got}");
        };
        check(5, 1.175e-3);
        check(8, 1.111e-6);
        check(12, 1.359e-11);
        assert!(binomial_tail(200_000, 0.01, 1) > 0.999);
        assert!(binomial_tail(200_000, 0.01, 2_500) < 1e-6);
    }

    #[test]
    fn rv_07_robust_z() {
        let mut days = [21, 19, 22, 20, 18, 23, 20, 21, 19, 20, 22, 20, 19, 21];
        assert_eq!(median_mad(&mut days), (20, 1));
        let z = |x| robust_z_x100(x, 20, 1, 5);
        assert_eq!([z(23), z(25), z(26), z(40)], [Some(202), Some(337), Some(404), Some(1349)]);
        assert_eq!(robust_z_x100(5, 0, 0, 5), None);
    }

    proptest! {
        #[test]
        fn a_code_is_close_and_keeps_order(a in 0_u64..1 << 50, b in 0_u64..1 << 50) {
            let back = decode16(code16(a)).unwrap();
            let a_signed = i64::try_from(a).unwrap();
            prop_assert!((back - a_signed).abs() * 2_000 <= a_signed);
            prop_assert!(code16(a.min(b)) <= code16(a.max(b)));
        }
    }
}
