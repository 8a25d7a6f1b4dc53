//! The drawing itself, back to front: bands, grid, quality, lines, labels, cursor.

use std::fmt::Write;

use super::axis::{TimeScale, ValueScale};
use super::marks::{self, Labels};
use super::{BandFill, ChartSpec, Point, QualityMark, Role, Series, Shape};

/// Room below the plot for event flags, in px.
pub(super) const FLAG_ROOM: u16 = 13;
/// Axis padding of the style sheet: above and below the plot, in px.
const PADDING_Y: u16 = 12 + 22;

/// SVG text of the chart. Deterministic: the same spec gives the same bytes.
#[must_use]
pub fn draw(spec: &ChartSpec) -> String {
    let mut out = String::with_capacity(16_384);
    let scales = Scales { value: ValueScale::of(spec), time: TimeScale::of(spec) };
    open(spec, &scales, &mut out);
    let mut labels = Labels::of(spec, &scales);
    bands(spec, &scales, &mut out);
    grid(spec, &scales, &mut out);
    marks::quality(spec, &scales, &mut labels, &mut out);
    lines(spec, &scales, &mut out);
    marks::limits(spec, &scales, &mut out);
    marks::verticals(spec, &scales, &mut labels, &mut out);
    labels.write(&mut out);
    axis_labels(spec, &scales, &mut out);
    marks::flags(spec, &scales, &mut out);
    if !has_values(spec) {
        let middle = f64::from(spec.height) / 2.0;
        let text = escape(&spec.empty);
        push(
            &mut out,
            format_args!(r#"<text class="mid note" x="50%" y="{middle}">{text}</text>"#),
        );
    }
    if has_cursor(spec) {
        let h = spec.height;
        push(&mut out, format_args!(r#"<line class="cursor" x1="0" x2="0" y1="0" y2="{h}"/>"#));
        push(&mut out, format_args!(r#"<circle class="cursor-dot" r="0" cx="0" cy="{h}"/>"#));
        push(&mut out, format_args!(r#"<rect class="hit" width="100%" height="{h}"/>"#));
    }
    out.push_str("</svg>");
    out
}

/// Both axes.
pub(super) struct Scales {
    pub(super) value: ValueScale,
    pub(super) time: TimeScale,
}

fn has_values(spec: &ChartSpec) -> bool {
    spec.series.iter().flat_map(|series| &series.points).any(|point| point.value.is_some())
}

fn has_cursor(spec: &ChartSpec) -> bool {
    spec.cursor && spec.series.first().is_some_and(|series| !series.points.is_empty())
}

fn open(spec: &ChartSpec, scales: &Scales, out: &mut String) {
    let flag_room = if spec.flags.is_empty() { 0 } else { FLAG_ROOM };
    let height = spec.height + PADDING_Y + flag_room;
    let (id, label) = (escape(&spec.id), escape(&spec.label));
    push(out, format_args!(r#"<svg id="{id}" height="{height}" aria-label="{label}""#));
    if !has_cursor(spec) {
        out.push_str(r#" role="img">"#);
        return;
    }
    let points = spec.series.first().map_or(&[][..], |series| &series.points);
    let at = points.iter().rposition(|point| point.value.is_some()).unwrap_or(points.len() - 1);
    let said = escape(&format!("{} {}", points[at].text, points[at].note));
    push(
        out,
        format_args!(
            r#" tabindex="0" role="slider" aria-orientation="horizontal" aria-valuemin="0" aria-valuemax="{}" aria-valuenow="{at}" aria-valuetext="{}" data-from="{}" data-to="{}" data-zone="{}" data-height="{}" data-output="{id}-read" data-buckets='"#,
            points.len() - 1,
            said.trim_end(),
            spec.from.seconds(),
            spec.to.seconds(),
            escape(&spec.zone_name),
            spec.height,
        ),
    );
    buckets(points, scales, out);
    out.push_str("'>");
}

/// `[start, end, y px or null, value text, quality word, note]` for each bucket.
fn buckets(points: &[Point], scales: &Scales, out: &mut String) {
    out.push('[');
    for (at, point) in points.iter().enumerate() {
        let comma = if at == 0 { "" } else { "," };
        push(out, format_args!("{comma}[{},{},", point.start.seconds(), point.end.seconds()));
        match point.value {
            Some(value) => number(out, scales.value.y(value.mean).max(0.0)),
            None => out.push_str("null"),
        }
        for text in [point.text.as_str(), quality_word(point.mark), point.note.as_str()] {
            // JSON first, then the attribute around it.
            let json = serde_json::to_string(text).unwrap_or_else(|_| "\"\"".into());
            push(out, format_args!(",{}", json.replace('&', "&amp;").replace('\'', "&#39;")));
        }
        out.push(']');
    }
    out.push(']');
}

fn quality_word(mark: QualityMark) -> &'static str {
    match mark {
        QualityMark::Plain => "",
        QualityMark::Edited => "edited",
        QualityMark::Estimated => "estimated",
        QualityMark::Suspect => "suspect",
        QualityMark::Missing => "missing",
        QualityMark::Pending => "not yet due",
    }
}

fn bands(spec: &ChartSpec, scales: &Scales, out: &mut String) {
    for band in &spec.bands {
        let class = match band.fill {
            BandFill::Window => "f-band",
            BandFill::Estimated => "f-estw",
            BandFill::TouNight => "f-night",
            BandFill::TouPeak => "f-peak",
        };
        let (left, right) = (scales.time.percent(band.from), scales.time.percent(band.to));
        if right > left {
            rect(out, class, (left, right - left), (0.0, f64::from(spec.height)));
        }
    }
    for limit in &spec.limits {
        let Some(top) = limit.to else { continue };
        let (above, below) = (scales.value.y(top).max(0.0), scales.value.y(limit.at));
        rect(out, "f-band", (0.0, 100.0), (above, below - above));
    }
}

fn grid(spec: &ChartSpec, scales: &Scales, out: &mut String) {
    for tick in scales.time.ticks() {
        if let Some(x) = tick.line.filter(|x| *x > 0.05 && *x < 99.95) {
            vertical(out, "grid", x, spec.height);
        }
    }
    for value in scales.value.ticks() {
        let class = if value == scales.value.lo { "zero" } else { "grid" };
        out.push_str("<line class=\"");
        out.push_str(class);
        out.push_str("\" x1=\"0\" x2=\"100%\" y1=\"");
        let y = scales.value.y(value);
        number(out, y);
        out.push_str("\" y2=\"");
        number(out, y);
        out.push_str("\"/>");
    }
}

fn axis_labels(spec: &ChartSpec, scales: &Scales, out: &mut String) {
    let digits = spec.unit.digits(scales.value.ticks());
    for value in scales.value.ticks() {
        out.push_str("<text class=\"y\" x=\"-6\" y=\"");
        number(out, scales.value.y(value));
        push(out, format_args!("\">{}</text>", spec.unit.fixed(value, digits)));
    }
    let flag_room = if spec.flags.is_empty() { 0 } else { FLAG_ROOM };
    let y = spec.height + 16 + flag_room;
    for (n, tick) in scales.time.ticks().iter().enumerate() {
        if tick.label.is_empty() {
            continue;
        }
        let class = if n % 2 == 1 { "x alt" } else { "x" };
        push(out, format_args!("<text class=\"{class}\" x=\""));
        number(out, tick.label_at);
        push(out, format_args!("%\" y=\"{y}\">{}</text>", escape(&tick.label)));
    }
}

fn lines(spec: &ChartSpec, scales: &Scales, out: &mut String) {
    let h = spec.height;
    push(
        out,
        format_args!(
            r#"<svg width="100%" height="{h}" viewBox="0 0 1000 {h}" preserveAspectRatio="none">"#
        ),
    );
    for series in &spec.series {
        for run in runs(&series.points) {
            envelope(run, series, scales, out);
        }
        for run in runs(&series.points) {
            stroke(run, series, scales, out);
        }
    }
    out.push_str("</svg>");
}

/// Stretches of neighbouring buckets with values of one quality. A hole ends a stretch.
fn runs(points: &[Point]) -> impl Iterator<Item = &[Point]> {
    points
        .chunk_by(|a, b| {
            a.value.is_some() && b.value.is_some() && a.mark == b.mark && a.end == b.start
        })
        .filter(|run| run[0].value.is_some())
}

fn envelope(run: &[Point], series: &Series, scales: &Scales, out: &mut String) {
    if run.iter().all(|p| p.value.is_none_or(|v| v.min == v.max)) {
        return;
    }
    let mut path = String::new();
    let upper = run.iter().filter_map(|p| p.value.map(|v| (p, v.max)));
    trace(&mut path, upper, series.shape, scales, 'M');
    let lower = run.iter().rev().filter_map(|p| p.value.map(|v| (p, v.min)));
    trace_back(&mut path, lower, series.shape, scales);
    push(out, format_args!(r#"<path class="env e{}" d="{path}Z"/>"#, series.ink));
}

fn stroke(run: &[Point], series: &Series, scales: &Scales, out: &mut String) {
    let class = match run[0].mark {
        _ if series.role == Role::Ghost => format!("l{} ghost", series.ink),
        _ if series.role == Role::Chosen => "est chosen".to_owned(),
        QualityMark::Estimated => "est".to_owned(),
        QualityMark::Suspect => "sus".to_owned(),
        QualityMark::Edited => format!("l{} edited", series.ink),
        _ => format!("l{}", series.ink),
    };
    let mut path = String::new();
    let values = run.iter().filter_map(|p| p.value.map(|v| (p, v.mean)));
    trace(&mut path, values, series.shape, scales, 'M');
    push(out, format_args!(r#"<path class="{class}" d="{path}"/>"#));
}

fn trace<'a>(
    path: &mut String,
    values: impl Iterator<Item = (&'a Point, i64)>,
    shape: Shape,
    scales: &Scales,
    first: char,
) {
    let mut command = first;
    for (point, value) in values {
        let y = scales.value.y(value);
        let (left, right) = ends(point, shape, scales);
        at(path, command, left, y);
        command = 'L';
        if right > left {
            at(path, command, right, y);
        }
    }
}

fn trace_back<'a>(
    path: &mut String,
    values: impl Iterator<Item = (&'a Point, i64)>,
    shape: Shape,
    scales: &Scales,
) {
    for (point, value) in values {
        let y = scales.value.y(value);
        let (left, right) = ends(point, shape, scales);
        if right > left {
            at(path, 'L', right, y);
        }
        at(path, 'L', left, y);
    }
}

/// Where a bucket's value holds: all of it as a step; its middle as a line.
fn ends(point: &Point, shape: Shape, scales: &Scales) -> (f64, f64) {
    let (left, right) = (scales.time.x(point.start), scales.time.x(point.end));
    match shape {
        Shape::Step => (left, right),
        Shape::Line => {
            let middle = f64::midpoint(left, right);
            (middle, middle)
        }
    }
}

fn at(path: &mut String, command: char, x: f64, y: f64) {
    path.push(command);
    number(path, x);
    path.push(' ');
    number(path, y);
}

pub(super) fn rect(out: &mut String, class: &str, across: (f64, f64), down: (f64, f64)) {
    push(out, format_args!("<rect class=\"{class}\" x=\""));
    number(out, across.0);
    out.push_str("%\" width=\"");
    number(out, across.1);
    out.push_str("%\" y=\"");
    number(out, down.0);
    out.push_str("\" height=\"");
    number(out, down.1);
    out.push_str("\"/>");
}

pub(super) fn vertical(out: &mut String, class: &str, x: f64, height: u16) {
    push(out, format_args!("<line class=\"{class}\" x1=\""));
    number(out, x);
    out.push_str("%\" x2=\"");
    number(out, x);
    push(out, format_args!("%\" y1=\"0\" y2=\"{height}\"/>"));
}

/// At most two decimals, no trailing zeros: a hundredth of a unit is far below a pixel.
pub(super) fn number(out: &mut String, value: f64) {
    let text = format!("{value:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    out.push_str(if text == "-0" { "0" } else { text });
}

pub(super) fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = out.write_fmt(text);
}

/// Text for an element or a double-quoted attribute.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}
