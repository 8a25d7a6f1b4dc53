//! Small drawings for table cells.

use super::draw::{number, push};

/// A line of a few values, 100 by 18 units, stretched. `None` breaks the line; all empty gives "".
#[must_use]
pub fn spark(values: &[Option<i64>]) -> String {
    let Some(most) = values.iter().flatten().max().copied() else { return String::new() };
    let most = most.max(1) as f64;
    let last = values.len().saturating_sub(1).max(1) as f64;
    let mut path = String::new();
    let mut command = 'M';
    for (at, value) in values.iter().enumerate() {
        let Some(value) = value else {
            command = 'M';
            continue;
        };
        path.push(command);
        number(&mut path, at as f64 / last * 100.0);
        path.push(' ');
        number(&mut path, 17.0 - 16.0 * (*value).max(0) as f64 / most);
        // A single value between holes would draw nothing: give it a width.
        let alone = command == 'M' && values.get(at + 1).is_none_or(Option::is_none);
        if alone {
            path.push_str("h2");
        }
        command = 'L';
    }
    format!(
        r#"<svg class="spark" viewBox="0 0 100 18" preserveAspectRatio="none" aria-hidden="true"><path d="{path}"/></svg>"#
    )
}

/// A bar left or right of the middle for a share in per cent; cut at 50. Marked from 20 on.
#[must_use]
pub fn delta(percent: i64) -> String {
    let width = (percent.unsigned_abs().min(50) as f64) * 0.84;
    let class = if percent.abs() >= 20 { " class=\"out\"" } else { "" };
    let mut out =
        String::from(r#"<svg class="delta" viewBox="0 0 90 14" aria-hidden="true"><rect"#);
    push(&mut out, format_args!("{class} x=\""));
    number(&mut out, if percent < 0 { 45.0 - width } else { 45.0 });
    out.push_str("\" y=\"3\" width=\"");
    number(&mut out, width);
    out.push_str("\" height=\"8\"/><line x1=\"45\" x2=\"45\" y1=\"0\" y2=\"14\"/></svg>");
    out
}
