use expect_test::{Expect, expect};
use jiff::tz::TimeZone;
use metering::{Unit, UtcTime};

use super::*;

fn at(text: &str) -> UtcTime {
    UtcTime::parse_rfc3339(text).unwrap()
}

/// Values of a quarter of an hour each from `from` on: `170`, `-` missing, `.` not yet due, with
/// `?` suspect, `~` estimated, `!` edited. Watt-hours.
fn points(from: UtcTime, text: &str) -> Vec<Point> {
    let point = |(n, word): (usize, &str)| {
        let start = from.plus_seconds(900 * i64::try_from(n).unwrap());
        let number = word.trim_end_matches(['?', '~', '!']);
        let mark = match word.as_bytes()[word.len() - 1] {
            b'?' => QualityMark::Suspect,
            b'~' => QualityMark::Estimated,
            b'!' => QualityMark::Edited,
            b'-' => QualityMark::Missing,
            b'.' => QualityMark::Pending,
            _ => QualityMark::Plain,
        };
        let value = number.parse::<i64>().ok().map(|value| Spread::of(value * 1_000));
        let text = value.map(|value| format!("{} Wh", value.mean / 1_000)).unwrap_or_default();
        Point { start, end: start.plus_seconds(900), value, mark, text, note: String::new() }
    };
    text.split_whitespace().enumerate().map(point).collect()
}

fn spec(from: &str, text: &str) -> ChartSpec {
    let from = at(from);
    let points = points(from, text);
    let to = points.last().map_or(from, |point| point.end);
    ChartSpec {
        id: "c".to_owned(),
        label: "Energy".to_owned(),
        height: 100,
        from,
        to,
        now: None,
        zone: TimeZone::get("Europe/Berlin").unwrap(),
        zone_name: "Europe/Berlin".to_owned(),
        unit: DisplayUnit::choose(Unit::WattHour, 1_000),
        from_zero: true,
        top: None,
        series: vec![Series { shape: Shape::Step, ink: 1, role: Role::Value, points }],
        bands: Vec::new(),
        limits: Vec::new(),
        marks: Vec::new(),
        flags: Vec::new(),
        empty: "No reading.".to_owned(),
        cursor: false,
        whole: false,
    }
}

/// One element a line.
fn check_chart(spec: &ChartSpec, want: &Expect) {
    want.assert_eq(&draw(spec).replace("><", ">\n<"));
}

fn count(svg: &str, what: &str) -> usize {
    svg.matches(what).count()
}

#[test]
fn a_gap_breaks_the_line_and_each_quality_has_its_mark() {
    check_chart(
        &spec("2026-11-19T12:00:00Z", "100 200 - 300~ 900? 50"),
        &expect![[r#"
            <svg id="c" height="134" aria-label="Energy" role="img">
            <line class="grid" x1="16.67%" x2="16.67%" y1="0" y2="100"/>
            <line class="grid" x1="33.33%" x2="33.33%" y1="0" y2="100"/>
            <line class="grid" x1="50%" x2="50%" y1="0" y2="100"/>
            <line class="grid" x1="66.67%" x2="66.67%" y1="0" y2="100"/>
            <line class="grid" x1="83.33%" x2="83.33%" y1="0" y2="100"/>
            <line class="zero" x1="0" x2="100%" y1="100" y2="100"/>
            <line class="grid" x1="0" x2="100%" y1="66.67" y2="66.67"/>
            <line class="grid" x1="0" x2="100%" y1="33.33" y2="33.33"/>
            <line class="grid" x1="0" x2="100%" y1="0" y2="0"/>
            <rect class="f-mis" x="33.33%" width="16.67%" y="0" height="100"/>
            <rect class="f-estw" x="50%" width="16.67%" y="0" height="100"/>
            <rect class="f-sus" x="66.67%" width="16.67%" y="0" height="100"/>
            <svg width="100%" height="100" viewBox="0 0 1000 100" preserveAspectRatio="none">
            <path class="l1" d="M0 66.67L166.67 66.67L166.67 33.33L333.33 33.33"/>
            <path class="est" d="M500 0L666.67 0"/>
            <path class="sus" d="M666.67 -200L833.33 -200"/>
            <path class="l1" d="M833.33 83.33L1000 83.33"/>
            </svg>
            <text class="note halo" x="33.93%" y="12">missing 15 min</text>
            <text class="cest halo alt" x="50.6%" y="12">estimated</text>
            <text class="csus halo alt" x="67.27%" y="12">suspect, up to 900 Wh</text>
            <text class="note halo alt" x="83.93%" y="25">cut, up to 900 Wh</text>
            <text class="y" x="-6" y="100">0</text>
            <text class="y" x="-6" y="66.67">100</text>
            <text class="y" x="-6" y="33.33">200</text>
            <text class="y" x="-6" y="0">300</text>
            <text class="x" x="0%" y="116">13:00</text>
            <text class="x alt" x="16.67%" y="116">13:15</text>
            <text class="x" x="33.33%" y="116">13:30</text>
            <text class="x alt" x="50%" y="116">13:45</text>
            <text class="x" x="66.67%" y="116">14:00</text>
            <text class="x alt" x="83.33%" y="116">14:15</text>
            <text class="x" x="100%" y="116">14:30</text>
            </svg>"#]],
    );
}

#[test]
fn a_chart_with_a_cursor_carries_its_exact_buckets() {
    let mut spec = spec("2026-11-19T12:00:00Z", "170 - .");
    spec.cursor = true;
    spec.series[0].points[0].note = "it's <raw> & \"good\"".to_owned();
    let svg = draw(&spec);
    let start = svg.find("data-buckets='").unwrap() + "data-buckets='".len();
    let end = start + svg[start..].find('\'').unwrap();
    let json = svg[start..end].replace("&#39;", "'").replace("&amp;", "&");
    let buckets: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(buckets[0][0], at("2026-11-19T12:00:00Z").seconds());
    assert_eq!(buckets[0][3], "170 Wh");
    assert_eq!(buckets[0][5], "it's <raw> & \"good\"");
    assert_eq!((&buckets[1][2], &buckets[1][4]), (&serde_json::Value::Null, &"missing".into()));
    assert_eq!(buckets[2][4], "not yet due");
    for attribute in [
        "role=\"slider\"",
        "aria-valuemax=\"2\"",
        "aria-valuenow=\"0\"",
        "data-output=\"c-read\"",
        "data-zone=\"Europe/Berlin\"",
    ] {
        assert!(svg.contains(attribute), "{attribute}");
    }
}

#[test]
fn a_suspect_spike_is_told_but_does_not_set_the_axis() {
    let svg = draw(&spec("2026-11-19T12:00:00Z", "100 200 9000? 150"));
    assert!(svg.contains(">suspect, up to 9 kWh<") || svg.contains(">suspect, up to 9,000 Wh<"));
    assert!(svg.contains(">200</text>") && !svg.contains(">9,000</text>"));
    let all = draw(&spec("2026-11-19T12:00:00Z", "9000?"));
    assert!(all.contains(">9,000</text>") || all.contains(">10,000</text>"), "{all}");
}

#[test]
fn a_spike_inside_a_bucket_is_in_the_envelope() {
    let mut spec = spec("2026-11-19T12:00:00Z", "100 100 100");
    spec.series[0].points[1].value = Some(Spread { mean: 100_000, min: 0, max: 400_000 });
    let svg = draw(&spec);
    assert_eq!(count(&svg, "class=\"env e1\""), 1);
    assert!(svg.contains(">400</text>"));
}

#[test]
fn the_hour_that_occurs_twice_is_marked_and_both_are_drawn() {
    let quarters = ["100"; 12].join(" ");
    let svg = draw(&spec("2026-10-24T23:00:00Z", &quarters));
    assert!(svg.contains(">clocks back 1 h<"), "{svg}");
    let spring = draw(&spec("2026-03-28T23:00:00Z", &quarters));
    assert!(spring.contains(">clocks forward 1 h<"));
    assert!(!spring.contains(">02:00<"), "clocks skip 02:00");
}

/// Base lines of the labels that say `text`, in px.
fn lines_of(svg: &str, text: &str) -> Vec<i32> {
    let before: Vec<&str> = svg.split(&format!(">{text}</text>")).collect();
    let y = |part: &&str| part.rsplit("y=\"").next()?.trim_end_matches('"').parse().ok();
    before[..before.len() - 1].iter().filter_map(y).collect()
}

#[test]
fn a_low_plot_has_its_labels_above_the_line_and_none_covers_a_limit() {
    let quarters = ["100"; 12].join(" ");
    let mut low = spec("2026-10-24T23:00:00Z", &quarters);
    low.marks.push(Mark { at: at("2026-10-25T01:15:00Z"), label: "found".to_owned() });
    assert_eq!(lines_of(&draw(&low), "found"), [25], "beside the clocks that were set");
    low.height = 76;
    let svg = draw(&low);
    assert_eq!(lines_of(&svg, "clocks back 1 h"), [-2]);
    assert_eq!(lines_of(&svg, "found"), [11]);
    // A limit at the top of the axis has its words on the left, where a label would be.
    low.marks[0].at = at("2026-10-24T23:00:00Z");
    assert_eq!(lines_of(&draw(&low), "found"), [-2]);
    let label = "usual 900 Wh".to_owned();
    low.limits.push(Limit { at: 900_000, to: None, severity: 3, label });
    assert_eq!(lines_of(&draw(&low), "found"), [11]);
}

#[test]
fn an_empty_chart_keeps_its_frame_and_says_why() {
    let svg = draw(&spec("2026-11-19T12:00:00Z", "- - - -"));
    assert!(svg.contains(">No reading.</text>") && svg.contains("class=\"zero\""));
    assert!(svg.contains(">missing 1 h<"));
    let nothing = draw(&spec("2026-11-19T12:00:00Z", ""));
    assert!(nothing.contains(">No reading.</text>") && nothing.contains("role=\"img\""));
}

#[test]
fn limits_events_and_instants_are_labelled_in_place_and_escaped() {
    let mut spec = spec("2026-11-19T12:00:00Z", "10 20 30 40");
    spec.now = Some(at("2026-11-19T12:50:00Z"));
    spec.limits.push(Limit { at: 35_000, to: None, severity: 2, label: "limit <35>".to_owned() });
    spec.limits.push(Limit { at: 9_000_000, to: None, severity: 3, label: "cap".to_owned() });
    spec.marks.push(Mark { at: at("2026-11-19T12:30:00Z"), label: "fired".to_owned() });
    let flag = Flag { at: at("2026-11-19T12:15:00Z"), title: "</title><b>".to_owned() };
    spec.flags.push(flag);
    let svg = draw(&spec);
    assert!(svg.contains("limit &lt;35&gt;</text>") && svg.contains("cap (above this axis)"));
    assert!(svg.contains(">fired</text>") && svg.contains(">now</text>"));
    assert!(svg.contains("<title>&lt;/title&gt;&lt;b&gt;</title>"));
    assert!(!svg.contains("style="), "no inline style under the policy");
    assert!(svg.contains(">40</text>"), "a far limit does not press the line flat");
}

#[test]
fn ticks_suit_the_range() {
    let labels = |hours: i64| {
        let mut spec = spec("2026-11-13T23:00:00Z", "1");
        spec.to = spec.from.plus_seconds(hours * 3_600);
        let ticks = axis::TimeScale::of(&spec).ticks();
        ticks.into_iter().map(|tick| tick.label).collect::<Vec<_>>().join(" | ")
    };
    expect![[r#"
        Sat 14 | 00:15 | 00:30 | 00:45 | 01:00
        Sat 14 | 01:00 | 02:00 | 03:00 | 04:00 | 05:00 | 06:00
        Sat 14 | 03:00 | 06:00 | 09:00 | 12:00 | 15:00 | 18:00 | 21:00 | Sun 15
        Sat 14 | 06:00 | 12:00 | 18:00 | Sun 15 | 06:00 | 12:00 | 18:00 | Mon 16
        Sat 14 | Sun 15 | Mon 16 | Tue 17 | Wed 18 | Thu 19 | Fri 20
        14 Nov | 16 Nov | 18 Nov | 20 Nov | 22 Nov | 24 Nov | 26 Nov
        14 Nov | 21 Nov | 28 Nov | 5 Dec | 12 Dec
        Jan 2027 | Mar | May | Jul | Sep | Nov"#]]
    .assert_eq(&[1, 6, 24, 48, 7 * 24, 14 * 24, 35 * 24, 366 * 24].map(labels).join("\n"));
}

#[test]
fn small_drawings_break_at_holes_and_mark_what_is_far_off() {
    let line = spark(&[Some(1), None, Some(4), Some(2)]);
    assert!(line.contains("d=\"M0 13h2M66.67 1L100 9\""), "{line}");
    assert_eq!(spark(&[None, None]), "");
    assert!(spark(&[Some(0), Some(0)]).contains("L100 17"));
    assert!(delta(-24).contains("class=\"out\"") && !delta(3).contains("class=\"out\""));
}

#[test]
fn an_axis_of_counts_has_no_parts_of_one() {
    let ticks = |whole: bool, values: &str| {
        let scale =
            axis::ValueScale::of(&ChartSpec { whole, ..spec("2026-11-19T12:00:00Z", values) });
        scale.ticks().collect::<Vec<_>>()
    };
    assert_eq!(ticks(false, "0 1 0"), [0, 200, 400, 600, 800, 1_000]);
    assert_eq!(ticks(true, "0 1 0"), [0, 1_000]);
    assert_eq!(ticks(true, "0 10 0"), ticks(false, "0 10 0"), "where one has parts to spare");
}
