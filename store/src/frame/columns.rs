//! Columns of numbers: differences in units of their greatest common divisor, or runs.

use super::FrameError;
use super::bytes::{Reader, put_uv, put_zv};

/// Values as differences to the previous one, divided by what all of them share.
pub(super) fn put_deltas(out: &mut Vec<u8>, values: impl Iterator<Item = i64> + Clone) {
    let unit = values.clone().fold(0_u64, |unit, value| gcd(unit, value.unsigned_abs()));
    // 0 (all values are 0) and i64::MIN's own magnitude have no use as a divisor.
    let unit = i64::try_from(unit).ok().filter(|unit| *unit > 0).unwrap_or(1);
    put_uv(out, unit.cast_unsigned());
    let mut last = 0_i64;
    for value in values {
        let steps = value / unit;
        put_zv(out, steps.wrapping_sub(last));
        last = steps;
    }
}

/// Reads `count` values of [`put_deltas`].
pub(super) fn take_deltas(reader: &mut Reader<'_>, count: usize) -> Result<Vec<i64>, FrameError> {
    if count > reader.left() {
        return Err(FrameError::Truncated);
    }
    let unit = i64::try_from(reader.uv()?).map_err(|_| FrameError::Value("unit"))?;
    let mut values = Vec::with_capacity(count);
    let mut last = 0_i64;
    for _ in 0..count {
        last = last.wrapping_add(reader.zv()?);
        values.push(last.checked_mul(unit).ok_or(FrameError::Value("number"))?);
    }
    Ok(values)
}

/// Values that mostly repeat, as runs.
pub(super) fn put_runs(out: &mut Vec<u8>, values: impl Iterator<Item = i64>) {
    let mut run: Option<(u64, i64)> = None;
    for value in values {
        run = match run {
            Some((count, same)) if same == value => Some((count + 1, same)),
            Some((count, other)) => {
                put_uv(out, count);
                put_zv(out, other);
                Some((1, value))
            }
            None => Some((1, value)),
        };
    }
    if let Some((count, value)) = run {
        put_uv(out, count);
        put_zv(out, value);
    }
}

/// Reads `count` values of [`put_runs`].
pub(super) fn take_runs(reader: &mut Reader<'_>, count: usize) -> Result<Vec<i64>, FrameError> {
    let mut values = Vec::with_capacity(count);
    while values.len() < count {
        let run = reader.count(count - values.len())?;
        if run == 0 {
            return Err(FrameError::Value("empty run"));
        }
        let value = reader.zv()?;
        values.resize(values.len() + run, value);
    }
    Ok(values)
}

fn gcd(mut a: u64, mut b: u64) -> u64 {
    if a == 1 {
        return 1;
    }
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}
