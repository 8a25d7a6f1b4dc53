//! The language: limits, types, three-valued logic, printing, and what no text may do.

use std::collections::BTreeMap;

use expect_test::expect;
use metering::Tag;
use proptest::prelude::*;

use super::*;
use crate::features::{FEATURES, Feature, FeatureType};

/// Features by name; the rest is unknown.
#[derive(Default)]
struct Given(BTreeMap<&'static str, Value<'static>>);

impl FeatureSource for Given {
    fn value(&self, feature: Feature) -> Value<'_> {
        self.0.get(feature.info().name).copied().unwrap_or(Value::Unknown)
    }

    fn has_tag(&self, tag: Tag) -> bool {
        tag == Tag::Pv
    }
}

fn given() -> Given {
    Given(BTreeMap::from([
        ("kind", Value::Text("gas")),
        ("min_hour_24h", Value::Number(61.0)),
        ("zero_run_h", Value::Number(30.0)),
        ("daily_total", Value::Number(1_500.0)),
        ("weekday", Value::Number(7.0)),
        ("is_weekend", Value::Bool(true)),
    ]))
}

fn truth(text: &str) -> Truth {
    predicate(text).unwrap_or_else(|error| panic!("{text}: {error}")).truth(&given())
}

#[test]
fn predicates_say_what_they_say() {
    for (text, want) in [
        ("kind == \"gas\" && min_hour_24h > 60.0", Truth::True),
        ("min_hour_24h > 60Lph", Truth::True),
        ("min_hour_24h > 0.061m3ph", Truth::False),
        ("min_hour_24h >= 0.061m3ph", Truth::True),
        ("zero_run_h > 1d && zero_run_h < 2d", Truth::True),
        ("zero_run_h > 29", Truth::True),
        ("daily_total == 1.5kWh", Truth::True),
        ("daily_total / 24 > 62 ? is_weekend : false", Truth::True),
        ("weekday in [6, 7] && kind in [\"gas\", \"water\"]", Truth::True),
        ("weekday % 2 == 1", Truth::True),
        ("-weekday < -6 && abs(-weekday) == 7", Truth::True),
        ("max(weekday, 9, 3) == 9 && min(weekday, 9) == 7", Truth::True),
        ("has_tag(\"pv\") && !has_tag(\"fire\")", Truth::True),
        ("has(weekday) && !has(month)", Truth::True),
        ("month == 12", Truth::Unknown),
        ("month == 12 || is_weekend", Truth::True),
        ("1 / 0 > 1", Truth::Unknown),
        ("true != is_weekend", Truth::False),
        ("2 + 3 * 4 == 14 && (2 + 3) * 4 == 20 && 10 - 2 - 3 == 5", Truth::True),
    ] {
        assert_eq!(truth(text), want, "{text}");
    }
}

#[test]
fn rv_29_three_valued_logic_is_kleenes() {
    // `has` is never unknown, `is_holiday` is unknown here.
    let words = ["true", "false", "is_holiday"];
    let mut table = String::new();
    for a in words {
        for b in words {
            let (and, or) = (truth(&format!("{a} && {b}")), truth(&format!("{a} || {b}")));
            table.push_str(&format!("{a} {b}: and {and:?} or {or:?}\n"));
        }
        table.push_str(&format!("not {a}: {:?}\n", truth(&format!("!{a}"))));
    }
    expect![[r#"
        true true: and True or True
        true false: and False or True
        true is_holiday: and Unknown or True
        not true: False
        false true: and False or True
        false false: and False or False
        false is_holiday: and False or Unknown
        not false: True
        is_holiday true: and Unknown or True
        is_holiday false: and False or Unknown
        is_holiday is_holiday: and Unknown or Unknown
        not is_holiday: Unknown
    "#]]
    .assert_eq(&table);
}

#[test]
fn faults_are_told_with_their_place() {
    let mut told = String::new();
    for text in [
        "",
        "min_hour_24h > ",
        "min_hour_24h > 60 60",
        "min_hour > 60",
        "min_hour_24h > 60kWh",
        "min_hour_24h",
        "kind == \"gass\"",
        "kind > \"gas\"",
        "has_tag(\"skool\")",
        "zero_run_h * zero_run_h > 3",
        "is_weekend + 1 > 2",
        "sqrt(4) > 1",
        "5parsec > 1",
        "month in []",
        "\"open",
        "a $ b",
        "1234567890123456 > 1",
        "is_weekend ? 1 : false",
    ] {
        told.push_str(&format!("{text}: {}\n", predicate(text).unwrap_err()));
    }
    expect![[r#"
        : column 1: a value was expected
        min_hour_24h > : column 16: a value was expected
        min_hour_24h > 60 60: column 19: an operator or the end was expected
        min_hour > 60: column 1: there is no feature `min_hour`
        min_hour_24h > 60kWh: column 1: `min_hour_24h > 60kWh`: a flow and an energy do not go together
        min_hour_24h: column 1: a rule is true or false, this is a flow
        kind == "gass": column 1: `kind` is never "gass"; it is one of electricity, water, gas, heat
        kind > "gas": column 1: `kind > "gas"`: `>` does not join a text and a text
        has_tag("skool"): column 1: `has_tag("skool")`: the tags are hospital, cooling_tower, fire, irrigation_only, irrigation, pool_fill, street_light, telecom, netmeter, pv, ev, vacant, seasonal, critical, process_gas, hydrant, school
        zero_run_h * zero_run_h > 3: column 1: `zero_run_h * zero_run_h`: `*` cannot join a duration and a duration
        is_weekend + 1 > 2: column 1: `is_weekend + 1`: `+` does not join true or false and a bare number
        sqrt(4) > 1: column 1: `sqrt(4)`: the functions are has_tag, has, abs, min, max
        5parsec > 1: column 2: `parsec` is no unit; the units are s, min, h, d, w, y, Wh, kWh, MWh, mL, L, m3, W, kW, MW, Lph, m3ph, mV, V, C, dBm, pct
        month in []: column 10: a list holds one or more numbers or texts
        "open: column 1: the text has no closing quote
        a $ b: column 3: `$` has no meaning here
        1234567890123456 > 1: column 1: a number has at most 15 digits, 9 of them behind the point
        is_weekend ? 1 : false: column 1: `is_weekend ? 1 : false`: gives a bare number or true or false; both must be alike
    "#]].assert_eq(&told);
}

#[test]
fn limits_hold() {
    let long = "x".repeat(TEXT_MAX + 1);
    assert!(parse(&long).unwrap_err().message.contains("at most 1024"));
    let deep = format!("{}true{}", "(".repeat(40), ")".repeat(40));
    assert!(parse(&deep).unwrap_err().message.contains("deep"));
    let negated = format!("{}is_weekend", "!".repeat(31));
    assert!(predicate(&negated).is_ok());
    assert!(predicate(&format!("!{negated}")).is_err());
    let chain = vec!["is_weekend"; 33].join("&&");
    assert!(parse(&chain).unwrap_err().message.contains("33"), "a chain is as deep as it is long");
    let wide = format!("weekday in [{}]", vec!["1"; 254].join(","));
    assert_eq!(parse(&wide).unwrap().nodes(), 256);
    assert!(predicate(&wide).unwrap_err().message.contains("256"));
    let too_wide = format!("weekday in [{}]", vec!["1"; 255].join(","));
    assert!(parse(&too_wide).unwrap_err().message.contains("256 parts"));
}

fn literal() -> impl Strategy<Value = Literal> {
    let unit = prop::option::of((0..UNITS.len()).prop_map(|at| UNITS[at]));
    (0..1_000_000_000_u64, 0..=9_u8, unit).prop_map(|(digits, decimals, unit)| Literal {
        digits,
        decimals,
        unit,
    })
}

fn tree() -> impl Strategy<Value = Expr> {
    let name = (0..FEATURES.len()).prop_map(|at| Expr::Name(FEATURES[at].name.to_owned()));
    let text = "[ -!#-\\[\\]-~äß]{0,6}".prop_map(Expr::Text);
    let leaf = prop_oneof![
        literal().prop_map(Expr::Number),
        text,
        any::<bool>().prop_map(Expr::Bool),
        name,
    ];
    leaf.prop_recursive(6, 60, 3, |inner| {
        let boxed = || inner.clone().prop_map(Box::new);
        let list = prop::collection::vec(literal().prop_map(Expr::Number), 1..4);
        let parts = prop::collection::vec(inner.clone(), 0..3);
        prop_oneof![
            boxed().prop_map(Expr::Not),
            boxed().prop_map(Expr::Neg),
            (0..BinaryOp::ALL.len(), boxed(), boxed()).prop_map(|(op, a, b)| Expr::Binary(
                BinaryOp::ALL[op],
                a,
                b
            )),
            (boxed(), boxed(), boxed()).prop_map(|(a, b, c)| Expr::If(a, b, c)),
            ("[a-z_]{1,8}", parts)
                .prop_filter("a keyword", |(name, _)| name != "in" && name != "true")
                .prop_map(|(name, parts)| Expr::Call(name, parts)),
            (boxed(), list).prop_map(|(a, list)| Expr::In(a, list)),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_printed_tree_parses_to_itself(tree in tree()) {
        let text = tree.to_string();
        prop_assume!(text.len() <= TEXT_MAX && tree.depth() <= 20 && tree.nodes() <= NODES_MAX);
        prop_assert_eq!(parse(&text).unwrap(), tree, "{}", text);
    }

    #[test]
    fn any_text_is_refused_or_runs_within_its_limit(text in "\\PC{0,80}") {
        run(&text);
    }
}

/// Parses, compiles and runs; checks the limits on the way. True when it was a predicate.
fn run(text: &str) -> bool {
    let Ok(tree) = parse(text) else { return false };
    assert!(tree.nodes() <= NODES_MAX && tree.depth() <= DEPTH_MAX);
    let printed = tree.to_string();
    if printed.len() <= TEXT_MAX {
        assert_eq!(parse(&printed).unwrap(), tree, "{text}");
    }
    let Ok(program) = compile(&tree) else { return false };
    assert!(program.cost() <= OPS_MAX, "{text}");
    program.truth(&given());
    program.truth(&Given::default());
    true
}

/// Numbers of a fixed sequence (xorshift), so that a failure comes back.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % limit.max(1)
    }
}

/// A text of tokens that fit together more often than not.
fn random_text(dice: &mut Dice, level: usize) -> String {
    let features = FEATURES;
    let leaf = level == 0 || dice.below(4) == 0;
    if leaf {
        return match dice.below(8) {
            0 => "true".to_owned(),
            1 => format!("{}.{}", dice.below(1000), dice.below(100)),
            2 => format!("{}{}", dice.below(1000), UNITS[dice.below(UNITS.len())].name),
            3 => "\"gas\"".to_owned(),
            4 => "has_tag(\"pv\")".to_owned(),
            _ => features[dice.below(features.len())].name.to_owned(),
        };
    }
    let (a, b) = (random_text(dice, level - 1), random_text(dice, level - 1));
    match dice.below(8) {
        0 => format!("!({a})"),
        1 => format!("-{a}"),
        2 => format!("({a}) ? {b} : {a}"),
        3 => format!("max({a}, {b})"),
        4 => format!("{a} in [1, 2d, \"gas\"]"),
        _ => format!("({a}) {} ({b})", BinaryOp::ALL[dice.below(13)].text()),
    }
}

/// 100,000 texts, made and then bent; `HEADEND_FUZZ_CASES` asks for more.
#[test]
fn no_text_panics_or_runs_long() {
    let more = option_env!("HEADEND_FUZZ_CASES").and_then(|count| count.parse().ok());
    let cases: usize = more.unwrap_or(100_000);
    let mut dice = Dice(0x5EED_1234_5678_9ABC);
    let mut ran = 0;
    for case in 0..cases {
        let mut text: Vec<char> = random_text(&mut dice, 1 + case % 5).chars().collect();
        for _ in 0..dice.below(4) {
            let at = dice.below(text.len());
            match dice.below(4) {
                0 if !text.is_empty() => drop(text.remove(at)),
                1 => text.insert(at, char::from(u8::try_from(32 + dice.below(95)).unwrap())),
                2 if !text.is_empty() => text[at] = ['(', ')', '&', '"', 'ß', '.'][dice.below(6)],
                _ => text.extend_from_within(..at),
            }
            text.truncate(2_000);
        }
        let text: String = text.into_iter().collect();
        ran += usize::from(run(&text));
    }
    assert!(ran * 200 > cases, "only {ran} of {cases} were predicates");
}

/// Typed at random from the table, most compile: the compiler knows every feature.
#[test]
fn every_feature_may_be_compared() {
    for info in FEATURES {
        let text = match info.kind {
            FeatureType::Bool => format!("{} == true", info.name),
            FeatureType::Text(words) => format!("{} == \"{}\"", info.name, words[0]),
            FeatureType::Number(_) => format!("{} > 3", info.name),
        };
        assert_eq!(predicate(&text).unwrap().truth(&Given::default()), Truth::Unknown, "{text}");
    }
}
