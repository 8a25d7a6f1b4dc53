//! What is said about a stretch: quality, limits, instants, events. Labels keep clear of each other.

use super::draw::{Scales, escape, number, push, rect, vertical};
use super::{ChartSpec, Limit, Point, QualityMark};
use crate::console::words;

/// Labels at the top of the plot, in three rows. One that would cover another is left out; what it
/// says also stands in the read-out.
#[derive(Debug)]
pub(super) struct Labels {
    /// Base line of the first row, px.
    top: i32,
    rows: [Vec<(f64, f64)>; 3],
    /// The first row again, as wide as its labels are on a phone.
    phone: Vec<(f64, f64)>,
    text: String,
}

/// Rough width of a character of 11 px in per cent of a plot of 650 px, the narrowest on a desk.
const CHAR_PERCENT: f64 = 0.9;
/// The same in a plot of 300 px.
const CHAR_PERCENT_PHONE: f64 = 2.0;

/// Plots below this height, in px, have their first labels above the plot: there is no room in it
/// that a line leaves free.
const LOW_PLOT: u16 = 100;
/// Between the base lines of two rows, px.
const ROW: i32 = 13;
/// Words of a limit above the axis stand on this line, px.
const ABOVE: f64 = -2.0;

impl Labels {
    /// Nothing is placed yet but the words of limits, of which labels keep clear.
    pub(super) fn of(spec: &ChartSpec, scales: &Scales) -> Self {
        let top = if spec.height < LOW_PLOT { -2 } else { 12 };
        let mut labels =
            Self { top, rows: Default::default(), phone: Vec::new(), text: String::new() };
        for limit in &spec.limits {
            let (y, words) = limit_words(limit, scales);
            let to = 0.6 + words.chars().count() as f64 * CHAR_PERCENT;
            for (at, row) in (0..).zip(&mut labels.rows) {
                if (y - f64::from(top + ROW * at)).abs() < f64::from(ROW - 1) {
                    row.push((0.0, to));
                }
            }
        }
        labels
    }

    /// Places `text` beside `x` (per cent), to its left when the right side has no room.
    fn place(&mut self, x: f64, class: &str, text: &str) {
        let width = text.chars().count() as f64 * CHAR_PERCENT;
        let at_left = x + 0.6 + width > 100.0;
        let (from, to) = if at_left { (x - 0.6 - width, x) } else { (x, x + 0.6 + width) };
        let free = |row: &Vec<(f64, f64)>| row.iter().all(|(a, b)| to < *a || from > *b);
        let Some(row) = self.rows.iter().position(free) else { return };
        self.rows[row].push((from, to));
        let alt = if row > 0 || !self.fits_phone(x, at_left, text) { " alt" } else { "" };
        let end = if at_left { " end" } else { "" };
        push(&mut self.text, format_args!("<text class=\"{class} halo{end}{alt}\" x=\""));
        number(&mut self.text, if at_left { x - 0.6 } else { x + 0.6 });
        let y = self.top + ROW * i32::try_from(row).unwrap_or(0);
        push(&mut self.text, format_args!("%\" y=\"{y}\">{}</text>", escape(text)));
    }

    /// Takes the place that a label needs on a phone; false when it has none there.
    fn fits_phone(&mut self, x: f64, at_left: bool, text: &str) -> bool {
        let width = text.chars().count() as f64 * CHAR_PERCENT_PHONE;
        let (from, to) = if at_left { (x - width, x) } else { (x, x + width) };
        let free = self.phone.iter().all(|(a, b)| to < *a || from > *b);
        let fits = free && from >= 0.0 && to <= 104.0;
        if fits {
            self.phone.push((from, to));
        }
        fits
    }

    pub(super) fn write(self, out: &mut String) {
        out.push_str(&self.text);
    }
}

/// Hatches and tints behind the stretches that are not plain, each with its word.
pub(super) fn quality(spec: &ChartSpec, scales: &Scales, labels: &mut Labels, out: &mut String) {
    let Some(series) = spec.series.first() else { return };
    for run in series.points.chunk_by(|a, b| a.mark == b.mark && a.end == b.start) {
        let (Some(first), Some(last)) = (run.first(), run.last()) else { continue };
        let (left, right) = (scales.time.percent(first.start), scales.time.percent(last.end));
        let (across, down) = ((left, right - left), (0.0, f64::from(spec.height)));
        let length = words::duration(last.end.seconds_since(first.start));
        match first.mark {
            QualityMark::Plain | QualityMark::Pending => {}
            QualityMark::Edited => labels.place(left, "note", "edited"),
            QualityMark::Estimated => {
                rect(out, "f-estw", across, down);
                labels.place(left, "cest", "estimated");
            }
            QualityMark::Suspect => {
                rect(out, "f-sus", across, down);
                labels.place(left, "csus", &suspect_words(spec, run));
            }
            QualityMark::Missing => {
                rect(out, "f-mis", across, down);
                labels.place(left, "note", &format!("missing {length}"));
            }
        }
    }
}

/// `suspect, up to 9.32 kWh`: what the cut line does not show.
fn suspect_words(spec: &ChartSpec, run: &[Point]) -> String {
    let most = run.iter().filter_map(|point| point.value.map(|value| value.max)).max();
    most.map_or_else(
        || "suspect".to_owned(),
        |most| format!("suspect, up to {}", spec.unit.exact(most)),
    )
}

/// Thresholds with their words; one above the axis is said at the top.
pub(super) fn limits(spec: &ChartSpec, scales: &Scales, out: &mut String) {
    for limit in &spec.limits {
        let y = scales.value.y(limit.at);
        let class = if limit.severity >= 3 { "p3" } else { "p2" };
        let above = y < 0.0;
        if !above && limit.to.is_none() {
            push(out, format_args!("<line class=\"limit {class}\" x1=\"0\" x2=\"100%\" y1=\""));
            number(out, y);
            out.push_str("\" y2=\"");
            number(out, y);
            out.push_str("\"/>");
        }
        let (text_y, words) = limit_words(limit, scales);
        push(out, format_args!("<text class=\"c{class} halo\" x=\"0.6%\" y=\""));
        number(out, text_y);
        push(out, format_args!("\">{}</text>", escape(&words)));
    }
}

/// What is written at a limit, and on which line.
fn limit_words(limit: &Limit, scales: &Scales) -> (f64, String) {
    let y = scales.value.y(limit.at);
    if y < 0.0 {
        return (ABOVE, format!("{} (above this axis)", limit.label));
    }
    ((y - 4.0).max(8.0), limit.label.clone())
}

/// The present, the instants a rule fired, and clocks that were set.
pub(super) fn verticals(spec: &ChartSpec, scales: &Scales, labels: &mut Labels, out: &mut String) {
    for (at, text) in scales.time.clock_changes() {
        let x = scales.time.percent(at);
        vertical(out, "window", x, spec.height);
        labels.place(x, "note", &text);
    }
    for mark in &spec.marks {
        if scales.time.contains(mark.at) {
            let x = scales.time.percent(mark.at);
            vertical(out, "fire", x, spec.height);
            labels.place(x, "cp2", &mark.label);
        }
    }
    for band in &spec.bands {
        if !band.label.is_empty() && scales.time.percent(band.to) > 0.0 {
            labels.place(scales.time.percent(band.from), "note", &band.label);
        }
    }
    if let Some(now) = spec.now.filter(|now| scales.time.contains(*now)) {
        let x = scales.time.percent(now);
        vertical(out, "nowline", x, spec.height);
        labels.place(x, "note alt", "now");
    }
    cut_words(spec, scales, labels);
}

/// Where the axis was ended on purpose: the most that does not fit is written beside it.
fn cut_words(spec: &ChartSpec, scales: &Scales, labels: &mut Labels) {
    let Some(series) = spec.series.first() else { return };
    // A suspect value does not set the axis either, so it may be above it.
    let cut = series.points.iter().filter(|point| {
        (spec.top.is_some() || point.mark == QualityMark::Suspect)
            && point.value.is_some_and(|v| v.max > scales.value.hi)
    });
    let highest = cut.max_by_key(|point| point.value.map(|value| value.max));
    if let Some((point, value)) = highest.and_then(|point| point.value.map(|value| (point, value)))
    {
        let text = format!("cut, up to {}", spec.unit.exact(value.max));
        labels.place(scales.time.percent(point.end), "note", &text);
    }
}

/// Events hang below the axis, so that they never cover a low line.
pub(super) fn flags(spec: &ChartSpec, scales: &Scales, out: &mut String) {
    let y = spec.height;
    for flag in &spec.flags {
        if !scales.time.contains(flag.at) {
            continue;
        }
        out.push_str("<svg class=\"flag\" x=\"");
        number(out, scales.time.percent(flag.at));
        push(out, format_args!("%\" y=\"{y}\" width=\"12\" height=\"13\">"));
        push(out, format_args!("<title>{}</title>", escape(&flag.title)));
        out.push_str(
            r#"<line x1="0.5" x2="0.5" y1="0" y2="13"/><path d="M1 5h9L7.5 9 10 13H1z"/></svg>"#,
        );
    }
}
