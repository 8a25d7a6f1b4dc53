//! Rule bundles in the log: which rules hold from where on, settings, overrides and operators' own
//! rules.

use expect_test::{Expect, expect};
use metering::{LogRecord, MeterAsset, RuleBundle, UtcTime};

use super::{Log, at, fill, meter, text};
use crate::{AlertTransition, Engine, Params};

/// A log record that makes rules hold.
fn rules(version: &str, body: &str) -> LogRecord {
    let text = format!("[bundle]\nversion = \"{version}\"\n{body}");
    let bundle = crate::Bundle::parse(&text, crate::bundle::Foreign::Ignore);
    bundle.unwrap_or_else(|errors| panic!("{errors}"));
    LogRecord::Rules(Box::new(RuleBundle { version: version.to_owned(), text }))
}

/// A fleet with rules from the start and a series for its first meter.
fn log(body: &str, assets: &[&MeterAsset], series: &str) -> Log {
    let mut log = Log::default();
    let first = at(series.split_whitespace().next().unwrap());
    let mut records = vec![rules("1", body)];
    records.extend(assets.iter().map(|asset| LogRecord::Meter(Box::new((*asset).clone()))));
    log.push(first, records);
    for asset in assets {
        fill(&mut log, asset, series);
    }
    log.sort_by_log_time();
    log
}

/// What staff are told, and what goes to the side list.
fn run(log: &Log) -> (Vec<AlertTransition>, Vec<AlertTransition>) {
    let mut engine = Engine::new(Params::default());
    let (mut live, mut shadow) = (Vec::new(), Vec::new());
    for frame in &log.frames {
        engine.apply(frame, &mut live);
        shadow.append(&mut engine.take_shadow());
    }
    (live, shadow)
}

fn check(asset: &str, body: &str, series: &str, expected: &Expect) {
    let asset = meter(asset);
    let (live, shadow) = run(&log(body, &[&asset], series));
    let mut told = text(&live);
    for line in text(&shadow).lines() {
        told.push_str(&format!("shadow {line}\n"));
    }
    expected.assert_eq(&told);
}

/// A leak of two days that ends.
const LEAK: &str = "11-02 00:00 +1h 0 | 11-02 01:00 +47h 5 | 11-04 00:00 +30h 0";

#[test]
fn a_rule_in_shadow_speaks_to_the_side_list_only() {
    let expected = expect![[r#"
        shadow 11-03 01:02 raised WTR-CONT meter 1 LEAK_CUSTOMER_SIDE P3 since 11-02 01:00
        shadow 11-05 01:02 cleared WTR-CONT meter 1 LEAK_CUSTOMER_SIDE P3 since 11-02 01:00 until 11-04 01:00
    "#]];
    check("water 15min", "[rules.WTR-CONT]\nmode = \"shadow\"", LEAK, &expected);
}

#[test]
fn a_rule_that_is_off_or_leaves_out_a_tag_says_nothing() {
    check("water 15min", "[rules.WTR-CONT]\nenabled = false", LEAK, &expect![[""]]);
    let body = "[rules.WTR-CONT]\nexclude_tags = [\"seasonal\"]";
    check("water 15min tags=seasonal", body, LEAK, &expect![[""]]);
}

#[test]
fn severity_for_keep_for_and_rearm_are_the_bundles() {
    let body = "[rules.WTR-CONT]\nfor = \"36h\"\nseverity = \"P1\"";
    let expected = expect![[r#"
        11-03 13:02 raised WTR-CONT meter 1 LEAK_CUSTOMER_SIDE P1 since 11-02 01:00
        11-05 01:02 cleared WTR-CONT meter 1 LEAK_CUSTOMER_SIDE P1 since 11-02 01:00 until 11-04 01:00
    "#]];
    check("water 15min", body, LEAK, &expected);
    // Two bursts three hours apart.
    let bursts = "11-02 00:00 +4d 0,2 | 11-06 00:00 +2h 900 | 11-06 02:00 +3h 0,2 \
                  | 11-06 05:00 +2h 900 | 11-06 07:00 +12h 0,2";
    check(
        "water 15min q3=1000",
        "",
        bursts,
        &expect![[r#"
        11-05 00:02 raised WTR-INT meter 1 LEAK_INTERMITTENT P4 since 11-02 00:00
        11-06 00:32 raised WTR-BURST meter 1 BURST_CUSTOMER_SIDE P1 since 11-06 00:00
        11-06 03:02 cleared WTR-BURST meter 1 BURST_CUSTOMER_SIDE P1 since 11-06 00:00 until 11-06 02:00
        11-06 05:32 raised WTR-BURST meter 1 BURST_CUSTOMER_SIDE P1 since 11-06 05:00
        11-06 08:02 cleared WTR-BURST meter 1 BURST_CUSTOMER_SIDE P1 since 11-06 05:00 until 11-06 07:00
    "#]],
    );
    let body = "[rules.WTR-BURST]\nkeep_for = \"6h\"";
    check(
        "water 15min q3=1000",
        body,
        bursts,
        &expect![[r#"
        11-05 00:02 raised WTR-INT meter 1 LEAK_INTERMITTENT P4 since 11-02 00:00
        11-06 00:32 raised WTR-BURST meter 1 BURST_CUSTOMER_SIDE P1 since 11-06 00:00
        11-06 14:02 cleared WTR-BURST meter 1 BURST_CUSTOMER_SIDE P1 since 11-06 00:00 until 11-06 07:00
    "#]],
    );
    let body = "[rules.WTR-BURST]\nrearm = \"2d\"";
    check(
        "water 15min q3=1000",
        body,
        bursts,
        &expect![[r#"
        11-05 00:02 raised WTR-INT meter 1 LEAK_INTERMITTENT P4 since 11-02 00:00
        11-06 00:32 raised WTR-BURST meter 1 BURST_CUSTOMER_SIDE P1 since 11-06 00:00
        11-06 03:02 cleared WTR-BURST meter 1 BURST_CUSTOMER_SIDE P1 since 11-06 00:00 until 11-06 02:00
    "#]],
    );
}

#[test]
fn an_override_holds_for_the_meters_that_it_names() {
    let (home, large) = (meter("water 15min id=1"), meter("water 15min id=2 class=municipal"));
    let body = "[[rules.WTR-CONT.override]]\nwhen = 'class == \"municipal\"'\n\
                cont_min_mlph = \"30Lph\"";
    let (live, _) = run(&log(body, &[&home, &large], LEAK));
    expect![[r#"
        11-03 01:02 raised WTR-CONT meter 1 LEAK_CUSTOMER_SIDE P3 since 11-02 01:00
        11-05 01:02 cleared WTR-CONT meter 1 LEAK_CUSTOMER_SIDE P3 since 11-02 01:00 until 11-04 01:00
    "#]].assert_eq(&text(&live));
}

/// An operator's rule with its last lines.
fn own(rest: &str) -> String {
    format!("[[custom]]\nid = \"OP-0003\"\nname = \"own\"\nopens = \"HIGH_CONSUMPTION\"\n{rest}")
}

#[test]
fn an_operators_rule_counts_days_and_says_what_it_saw() {
    let body = own(
        "mode = \"live\"\nfor = \"2d\"\nwhen = 'daily_energy > 100Wh && kind == \"electricity\"'",
    );
    let series =
        "11-02 00:00 +24h 1 | 11-03 00:00 +24h 5 | 11-04 00:00 +48h 6 | 11-06 00:00 +49h 1";
    let asset = meter("electricity 1h");
    let (live, _) = run(&log(&body, &[&asset], series));
    expect![[r#"
        11-05 00:02 raised OP-0003 meter 1 HIGH_CONSUMPTION P3 since 11-03 00:00
        11-07 00:02 cleared OP-0003 meter 1 HIGH_CONSUMPTION P3 since 11-03 00:00 until 11-06 00:00
    "#]]
    .assert_eq(&text(&live));
    let facts: Vec<String> =
        live[0].evidence.iter().map(|one| format!("{} {}", one.key, one.text)).collect();
    expect![[r#"
        rule_name own
        channel 1
        window_from 2026-11-04T00:00:00Z
        window_to 2026-11-05T00:00:00Z
        kind electricity
        daily_energy 144 Wh"#]]
    .assert_eq(&facts.join("\n"));
}

#[test]
fn an_operators_rule_may_look_at_each_reading_and_is_quiet_at_first() {
    let body = own("cadence = \"reading\"\nwhen = 'slot_rate > 20W'");
    check(
        "electricity 1h",
        &body,
        "11-02 00:00 +3h 1,30,2",
        &expect![[r#"
        shadow 11-02 02:02 raised OP-0003 meter 1 HIGH_CONSUMPTION P3 since 11-02 01:00
        shadow 11-02 03:02 cleared OP-0003 meter 1 HIGH_CONSUMPTION P3 since 11-02 01:00 until 11-02 02:00
    "#]],
    );
}

/// The day closes six hours into the day after the next one.
#[test]
fn the_hours_of_a_day_that_closes_late_are_that_days() {
    let body = own("mode = \"live\"\nwhen = 'max_hour_24h > 20Lph && min_hour_24h > 2Lph'");
    let series = "11-02 00:00 +23h 5 | 11-02 23:00 +1h - | 11-03 00:00 +24h 50 \
                  | 11-04 00:00 +31h 5";
    check(
        "water 1h lag=30h",
        &body,
        series,
        &expect![[r#"
        11-03 01:02 raised WTR-CONT meter 1 LEAK_CUSTOMER_SIDE P4 since 11-02 00:00 record
        11-04 00:02 updated WTR-CONT meter 1 LEAK_CUSTOMER_SIDE P2 since 11-02 00:00
        11-04 06:02 raised OP-0003 meter 1 HIGH_CONSUMPTION P3 since 11-03 00:00
        11-05 00:02 updated WTR-CONT meter 1 LEAK_CUSTOMER_SIDE P2 since 11-02 00:00
        11-05 00:02 cleared OP-0003 meter 1 HIGH_CONSUMPTION P3 since 11-03 00:00 until 11-04 00:00
    "#]],
    );
}

#[test]
fn gas_is_never_p1_and_unknown_rules_are_told_after_a_week() {
    let body = own("mode = \"live\"\nwhen = 'voltage > 250V'");
    check(
        "gas 1h",
        &body,
        "11-02 00:00 +10d 1",
        &expect![[r#"
        11-11 00:02 raised OP-0003 head-end DATA_GAP P4 since 11-03 00:00 record
    "#]],
    );
}

#[test]
fn rules_change_where_the_log_says_so() {
    let asset = meter("water 15min");
    let mut log = log("", &[&asset], "11-02 00:00 +1h 0 | 11-02 01:00 +60h 5");
    log.push(at("11-03 12:01"), vec![rules("2", "[rules.WTR-CONT]\nenabled = false")]);
    log.push(at("11-03 18:01"), vec![rules("3", "[rules.WTR-CONT]\nmode = \"shadow\"")]);
    let back = RuleBundle { version: String::new(), text: String::new() };
    log.push(at("11-04 00:01"), vec![LogRecord::Rules(Box::new(back))]);
    log.sort_by_log_time();
    let (live, shadow) = run(&log);
    expect![[r#"
        11-03 01:02 raised WTR-CONT meter 1 LEAK_CUSTOMER_SIDE P3 since 11-02 01:00
        11-03 12:01 cleared WTR-CONT meter 1 LEAK_CUSTOMER_SIDE P3 since 11-02 01:00 until 11-03 12:01
        11-04 00:02 raised WTR-CONT meter 1 LEAK_CUSTOMER_SIDE P3 since 11-02 01:00
        shadow
        11-03 18:02 raised WTR-CONT meter 1 LEAK_CUSTOMER_SIDE P3 since 11-02 01:00
        11-04 00:01 cleared WTR-CONT meter 1 LEAK_CUSTOMER_SIDE P3 since 11-02 01:00 until 11-04 00:01
    "#]].assert_eq(&format!("{}shadow\n{}", text(&live), text(&shadow)));
}

#[test]
fn a_text_that_cannot_be_read_changes_nothing() {
    let mut engine = Engine::new(Params::default());
    let mut log = Log::default();
    log.push(at("11-02"), vec![rules("1", "")]);
    let broken = RuleBundle { version: "2".to_owned(), text: "[rules".to_owned() };
    log.push(at("11-03"), vec![LogRecord::Rules(Box::new(broken))]);
    let mut out = Vec::new();
    for frame in &log.frames {
        engine.apply(frame, &mut out);
    }
    assert_eq!((engine.rules_version(), out), ("1", Vec::new()));
}

/// Everything at once: shadow, holding, overrides, own rules, unknown ones, a change in between.
fn busy() -> Log {
    let (home, large) =
        (meter("water 15min id=1 q3=1000"), meter("water 15min id=2 tags=seasonal"));
    let meters = [&home, &large, &meter("gas 1h id=3")];
    let body = format!(
        "[rules.WTR-CONT]\nfor = \"30h\"\nkeep_for = \"12h\"\nexclude_tags = [\"seasonal\"]\n\
         [rules.WTR-BURST]\nmode = \"shadow\"\nrearm = \"1d\"\nkeep_for = \"3h\"\n\
         [[rules.VAR-HIGH.override]]\nwhen = 'kind == \"gas\"'\nvar_days_min = 5\n{}",
        own("mode = \"live\"\nfor = \"1d\"\nwhen = 'daily_total > 300 && voltage != 3'")
    );
    let series = "11-02 00:00 +1h 0 | 11-02 01:00 +40h 5 | 11-03 17:00 +7h 0 | 11-04 00:00 +2h 900 \
                  | 11-04 02:00 +6d 0,3 | 11-10 02:00 +2h 900";
    let mut log = log(&body, &meters, series);
    log.push(at("11-08 00:01"), vec![rules("2", "[rules.WTR-CONT]\nfor = \"1h\"")]);
    log.sort_by_log_time();
    log
}

#[test]
fn a_snapshot_keeps_the_rules_and_what_they_wait_for() {
    let log = busy();
    let (straight, shadow) = run(&log);
    assert!(!shadow.is_empty() && !straight.is_empty());
    for cut in (1..log.frames.len()).step_by(97) {
        let mut engine = Engine::new(Params::default());
        let (mut live, mut side) = (Vec::new(), Vec::new());
        for frame in &log.frames[..cut] {
            engine.apply(frame, &mut live);
            side.append(&mut engine.take_shadow());
        }
        let bytes = engine.snapshot();
        let mut engine = Engine::restore(Params::default(), &bytes).unwrap();
        assert_eq!(engine.snapshot(), bytes, "cut {cut}");
        for frame in &log.frames[cut..] {
            engine.apply(frame, &mut live);
            side.append(&mut engine.take_shadow());
        }
        assert_eq!((text(&live), text(&side)), (text(&straight), text(&shadow)), "cut {cut}");
    }
}

#[test]
fn the_first_instant_of_rules_is_that_of_their_record() {
    let frame = |seq: i64, at: UtcTime, records: Vec<LogRecord>| metering::LoggedFrame {
        shard: 0,
        first_seq: seq,
        log_time: at,
        records,
    };
    let mut engine = Engine::new(Params::default());
    let mut out = Vec::new();
    assert_eq!(engine.rules_version(), crate::BUILT_IN);
    let both = vec![rules("1", "[engine]\nlate_days = 3"), LogRecord::Tick];
    engine.apply(&frame(1, at("11-02"), both), &mut out);
    assert_eq!(engine.rules_version(), "1");
}
