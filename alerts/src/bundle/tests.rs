//! Bundles: what is read, what is refused and how it is told, and what a text prints to.

use expect_test::expect;
use metering::Severity;

use super::*;

/// The example of `metering-rules` 12, with the causes and tags that there are.
const EXAMPLE: &str = r#"
[bundle]
version = "2026-11-21.1"
note = "winter"

[calendar]
holidays = ["2026-12-25", 2026-12-26]

[engine]
late_days = 30

[rules.WTR-CONT]
mode = "live"
q_min_lph = 3.8
window_h = 24
bands_lph = [12.5, 30, 200]
for = "0h"
keep_for = "24h"
clear_zero_min = 60
exclude_tags = ["hospital", "cooling_tower", "fire", "irrigation_only"]

[[rules.WTR-CONT.override]]
when = 'class == "multi_dwelling" && units > 8'
cont_min_mlph = "12Lph"
severity = "P3"

[rules.VAR-HIGH]
min_samples = 21
mode = "shadow"
rearm = "7d"

[[custom]]
id = "OP-0007"
name = "night gas in closed school"
scope = 'kind == "gas" && has_tag("critical")'
when = 'daily_volume > 2m3 && is_holiday'
cadence = "day"
for = "2d"
severity = "P3"
opens = "HIGH_CONSUMPTION"
billing = "none"

[[test]]
name = "fires on a holiday"
rule = "OP-0007"
given = { kind = "gas", tags = ["critical"], daily_volume = 2500, is_holiday = true }
expect = true

[[test]]
name = "says nothing without a calendar"
rule = "OP-0007"
given = { kind = "gas", tags = ["critical"], daily_volume = 2500.5 }
expect = "unknown"

[[test]]
name = "large houses leak more"
rule = "WTR-CONT"
given = { class = "multi_dwelling", units = 12 }
expect = { cont_min_mlph = 12000 }
"#;

fn example() -> Bundle {
    Bundle::parse(EXAMPLE, Foreign::Known(&[])).unwrap_or_else(|errors| panic!("{errors}"))
}

#[test]
fn the_example_of_the_specification_is_read_and_its_tests_pass() {
    let bundle = example();
    assert_eq!(bundle.run_tests(), []);
    let params = bundle.params(&Params::default());
    assert_eq!((params.late_days, params.cont_min_mlph, params.cont_keep_for_h), (30, 3_800, 24));
    assert_eq!((params.cont_p3_mlph, params.cont_p1_mlph), (12_500, 200_000));
    assert_eq!((params.cont_clear_s, params.var_days_min), (3_600, 21));
    let high = params.settings(RuleId::VAR_HIGH.no);
    assert_eq!((high.mode, high.rearm_s), (Mode::Shadow, 7 * 86_400));
    let own = &bundle.custom[0];
    assert_eq!((own.severity, own.patch.mode), (Severity::P3, Some(Mode::Shadow)));
    assert_eq!(params.settings(own.id.no).for_s, 2 * 86_400);
    assert_eq!(bundle.holidays.len(), 2);
}

fn reads_the_same(bundle: &Bundle, text: &str) {
    let mut again = Bundle::parse(text, Foreign::Known(&[])).unwrap();
    assert_eq!(again.hash(), bundle.hash());
    for (new, old) in again.tests.iter_mut().zip(&bundle.tests) {
        new.line = old.line;
    }
    assert_eq!(again, *bundle, "{text}");
}

#[test]
fn the_canonical_text_says_the_same() {
    let bundle = example();
    let text = bundle.to_string();
    reads_the_same(&bundle, &text);
    expect![[r#"
        [bundle]
        version = "2026-11-21.1"
        note = "winter"

        [calendar]
        holidays = ["2026-12-25", "2026-12-26"]

        [engine]
        late_days = 30

        [rules.VAR-HIGH]
        mode = "shadow"
        rearm = "604800s"
        var_days_min = 21

        [rules.WTR-CONT]
        mode = "live"
        for = "0s"
        cont_clear_s = 3600
        cont_keep_for_h = 24
        cont_min_mlph = 3800
        cont_p1_mlph = 200000
        cont_p2_mlph = 30000
        cont_p3_mlph = 12500
        cont_window_h = 24
        exclude_tags = ["hospital", "cooling_tower", "fire", "irrigation_only"]

        [[rules.WTR-CONT.override]]
        when = "class == \"multi_dwelling\" && units > 8"
        severity = "P3"
        cont_min_mlph = 12000

        [[custom]]
        id = "OP-0007"
        name = "night gas in closed school"
        scope = "kind == \"gas\" && has_tag(\"critical\")"
        when = "daily_volume > 2m3 && is_holiday"
        cadence = "day"
        severity = "P3"
        opens = "HIGH_CONSUMPTION"
        mode = "shadow"
        for = "172800s"

        [[test]]
        name = "fires on a holiday"
        rule = "OP-0007"
        expect = true
        [test.given]
        daily_volume = 2500.0
        is_holiday = true
        kind = "gas"
        tags = ["critical"]

        [[test]]
        name = "says nothing without a calendar"
        rule = "OP-0007"
        expect = "unknown"
        [test.given]
        daily_volume = 2500.5
        kind = "gas"
        tags = ["critical"]

        [[test]]
        name = "large houses leak more"
        rule = "WTR-CONT"
        expect = { cont_min_mlph = 12000 }
        [test.given]
        class = "multi_dwelling"
        units = 12.0
    "#]]
    .assert_eq(&text);
}

/// The faults of `[bundle] version = "1"` and what follows.
fn faults(rest: &str) -> String {
    let foreign = ParamInfo {
        rule: "INT-SPIKE",
        key: "spike_n_min",
        unit: "",
        default: 20,
        min: 3,
        max: 96,
        mark: crate::params::Mark::Default,
        doc: "Fewer values: not evaluable.",
    };
    let text = format!("[bundle]\nversion = \"1\"\n{rest}");
    match Bundle::parse(&text, Foreign::Known(&[foreign])) {
        Ok(_) => "none".to_owned(),
        Err(errors) => errors.to_string(),
    }
}

#[test]
fn faults_name_rule_key_unit_range_and_line() {
    let told = faults(
        r#"
[rules.WTR-CONT]
cont_min_mlhp = 4000
cont_window_h = 48
cont_keep_for_h = 1.5
cont_p2_mlph = "30kWh"
mode = "loud"
severity = "P5"
for = 3
exclude_tags = ["hospitals"]
[rules.WTR-BUST]
x = 1
[rules.INT-SPIKE]
spike_n_min = 2
spike_min_n = 5
[rules.ING-TIME]
enabled = false
[engine]
late_dayz = 3
[[rules.VAR-HIGH.override]]
when = "daily_total > 3"
[rulez]
"#,
    );
    expect![[r#"
        line 5: rule WTR-CONT has no key `cont_min_mlhp`; did you mean `cont_min_mlph` (100 to 100000 mL/h)?
        line 6: rule WTR-CONT: cont_window_h = 48 h is outside 12 to 24
        line 7: rule WTR-CONT: cont_keep_for_h (0 to 72 h): a whole number is needed
        line 8: rule WTR-CONT: cont_p2_mlph (100 to 10000000 mL/h): `30kWh` is an energy, not a flow
        line 9: rule WTR-CONT: mode is "live" or "shadow"
        line 10: rule WTR-CONT: severity is "P1" to "P4"
        line 11: rule WTR-CONT: for is a duration such as "24h": it is written as text
        line 12: rule WTR-CONT: `hospitals` is no tag; the tags are hospital, cooling_tower, fire, irrigation_only, irrigation, pool_fill, street_light, telecom, netmeter, pv, ev, vacant, seasonal, critical, process_gas, hydrant, school
        line 13: there is no rule `WTR-BUST`; did you mean `WTR-BURST`?
        line 16: rule INT-SPIKE: spike_n_min = 2 is outside 3 to 96
        line 17: rule INT-SPIKE has no key `spike_min_n`; its keys are spike_n_min, enabled, mode, severity, for, keep_for, rearm, min_samples, exclude_tags
        line 18: rule ING-TIME is mandatory: it cannot be off or in shadow
        line 21: rule engine has no key `late_dayz`; did you mean `late_days` (1 to 56 d)?
        line 22: rule VAR-HIGH, override: `daily_total` changes with readings; use asset features
        line 24: the bundle has no key `rulez`; did you mean `rules`?"#]].assert_eq(&told);
}

#[test]
fn operators_rules_may_not_do_everything() {
    let rule = |lines: &str| {
        faults(&format!("[[custom]]\nid = \"OP-0001\"\nname = \"x\"\nwhen = 'is_lost'\n{lines}"))
    };
    let mut told = String::new();
    for lines in [
        "opens = \"DATA_GAP\"",
        "opens = \"DATA_GAP\"\nseverity = \"P1\"",
        "opens = \"DATA_GAP\"\nseverity = \"P1\"\nscope = 'kind != \"gas\"'",
        "opens = \"GAS_HIGH_FLOW\"\nseverity = \"P1\"\nscope = 'kind != \"gas\"'",
        "opens = \"DATA_GAP\"\nbilling = \"release\"",
        "opens = \"COLLECTOR_OUTAGE\"",
        "opens = \"DATA_GAP\"\nscope = 'z_day > 3'\ncadence = \"reading\"",
        "opens = \"DATA_GAP\"\nscope = 'z_dya > 3'",
        "opens = \"DATA_GAP\"\nestimate = true",
    ] {
        let faults = rule(lines);
        let short: String = faults.lines().map(|line| format!("  {line:.110}\n")).collect();
        told.push_str(&format!("{}\n{short}", lines.replace('\n', ", ")));
    }
    expect![[r#"
        opens = "DATA_GAP"
          none
        opens = "DATA_GAP", severity = "P1"
          line 3: rule OP-0001: P1 of gas is not for operators' rules: scope needs kind != "gas"
        opens = "DATA_GAP", severity = "P1", scope = 'kind != "gas"'
          none
        opens = "GAS_HIGH_FLOW", severity = "P1", scope = 'kind != "gas"'
          line 3: rule OP-0001: P1 of gas is not for operators' rules
        opens = "DATA_GAP", billing = "release"
          line 8: rule OP-0001: an operator's rule holds no bill: billing is "none"
        opens = "COLLECTOR_OUTAGE"
          line 7: rule OP-0001: opens must be a cause of a meter: BATTERY_DEAD, BATTERY_LOW, RF_OBSTRUCTED, RF_MARGINAL,
        opens = "DATA_GAP", scope = 'z_day > 3', cadence = "reading"
          line 3: rule OP-0001: `z_day` is known at day close only: cadence is "day"
        opens = "DATA_GAP", scope = 'z_dya > 3'
          line 8: rule OP-0001: scope, column 1: there is no feature `z_dya`
        opens = "DATA_GAP", estimate = true
          line 8: [[custom]] has no key `estimate`; the keys are id, name, scope, when, cadence, for, keep_for, rearm, s
    "#]].assert_eq(&told);
}

#[test]
fn a_test_that_fails_says_what_it_found() {
    let text = EXAMPLE.replace("expect = true", "expect = false").replace("12000", "13000");
    let failed = Bundle::parse(&text, Foreign::Known(&[])).unwrap().run_tests();
    let told: Vec<String> =
        failed.iter().map(|one| format!("{}: {}: {}", one.line, one.name, one.why)).collect();
    expect![[r#"
        43: fires on a holiday: expected false, found true
        55: large houses leak more: cont_min_mlph: expected 13000, found 12000"#]]
    .assert_eq(&told.join("\n"));
}

#[test]
fn quantities_may_carry_their_unit_and_are_exact() {
    assert_eq!(number::in_unit("3.8Lph", "mL/h"), Ok(3_800));
    assert_eq!(number::in_unit("36h", "d"), Err("`36h` is not a whole number of d".to_owned()));
    assert_eq!(number::in_unit("48h", "d"), Ok(2));
    assert_eq!(number::in_unit("-110dBm", "dBm"), Ok(-110));
    assert_eq!(number::in_unit("20pct", "%"), Ok(20));
    assert!(number::in_unit("3", "h").unwrap_err().contains("no unit"));
    assert!(number::in_unit("3kWh", "h").unwrap_err().contains("not a duration"));
    assert!(number::in_unit("3h", "").unwrap_err().contains("plain number"));
}

#[test]
fn what_is_no_toml_is_told_and_nothing_panics() {
    assert!(faults("[rules").starts_with("line 3:"));
    for cut in 0..EXAMPLE.len() {
        if let Some(text) = EXAMPLE.get(..cut) {
            let _ = Bundle::parse(text, Foreign::Ignore);
        }
        let mut bent = EXAMPLE.as_bytes().to_vec();
        bent[cut] = bent[cut].wrapping_add(7);
        if let Ok(text) = String::from_utf8(bent) {
            let _ = Bundle::parse(&text, Foreign::Known(&[]));
        }
    }
}
