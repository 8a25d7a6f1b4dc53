//! The published vectors of the rules about use, meters, water and cells, by their ids. They lie
//! beside the project; without them the tests say loudly that they were skipped.

use serde_json::Value;

use crate::Params;
use crate::expr::{FeatureSource, Truth, Value as Given, predicate};
use crate::features::Feature;
use crate::rules::leak::cusum_step;
use crate::rules::projection::project_usage;
use crate::stats::{binomial_tail, median_mad, misses_needed, robust_z_x100};
use crate::trend::theil_sen;

/// Tells the skip, and adds it to the file in which `tests/run` counts them.
fn skip(test: &str, reason: &str) {
    eprintln!("SKIPPED {test}: {reason}");
    if let Some(path) = std::env::var_os("HEADEND_SKIP_FILE") {
        let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
        let _ = file.and_then(|mut file| {
            std::io::Write::write_all(&mut file, format!("{test}: {reason}\n").as_bytes())
        });
    }
}

fn vector(test: &str, id: &str) -> Option<Value> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/corpus/vee/vectors.json");
    let Ok(text) = std::fs::read_to_string(path) else {
        skip(test, &format!("corpus not found: {path}"));
        return None;
    };
    let file: Value = serde_json::from_str(&text).expect("the vectors are JSON");
    let found = file["vectors"].as_array().into_iter().flatten().find(|vector| vector["id"] == id);
    Some(found.unwrap_or_else(|| panic!("{id} is not among the vectors")).clone())
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|one| one.as_f64().unwrap()).collect()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

/// A number of the file in thousandths.
#[expect(clippy::cast_possible_truncation, reason = "small numbers of a test")]
fn milli(value: f64) -> i64 {
    (value * 1_000.0).round() as i64
}

#[test]
fn rv_04_the_cusum_fires_at_the_ninth_night() {
    let Some(vector) = vector("rv_04_the_cusum_fires_at_the_ninth_night", "RV-04") else { return };
    let input = &vector["inputs"];
    let (mu, sigma) = (milli(number(&input["mu"])), milli(number(&input["sigma"])));
    let (k, h) = (milli(number(&input["k"])), milli(number(&input["h"])));
    let params = Params::default();
    assert_eq!((k, h), (params.cusum_k_x1000, params.cusum_h_x1000));
    let mut sum = 0;
    let sums: Vec<i64> = numbers(&input["x"])
        .into_iter()
        .map(|x| {
            sum = cusum_step(sum, (milli(x) - mu) * 1_000 / sigma, k);
            sum
        })
        .collect();
    let want: Vec<i64> = numbers(&vector["expected"]["S"]).into_iter().map(milli).collect();
    assert_eq!(sums, want);
    let fires = sums.iter().position(|sum| *sum > h).unwrap() + 1;
    assert_eq!(fires as u64, vector["expected"]["fires_at"].as_u64().unwrap());
}

/// The alternative that the catalogue names; the rule itself is the sum of RV-04.
#[test]
fn rv_05_an_ewma_would_fire_at_the_same_night() {
    let Some(vector) = vector("rv_05_an_ewma_would_fire_at_the_same_night", "RV-05") else {
        return;
    };
    let input = &vector["inputs"];
    let (mu, sigma) = (number(&input["mu"]), number(&input["sigma"]));
    let (lambda, wide) = (number(&input["lambda"]), number(&input["L"]));
    let (want, limits) = (numbers(&vector["expected"]["z"]), numbers(&vector["expected"]["limit"]));
    let mut z = mu;
    let mut fires = None;
    for (n, x) in numbers(&input["x"]).into_iter().enumerate() {
        z = lambda * x + (1.0 - lambda) * z;
        let left = (1.0 - lambda).powi(2 * (i32::try_from(n).unwrap() + 1));
        let limit = mu + wide * sigma * (lambda / (2.0 - lambda) * (1.0 - left)).sqrt();
        assert!((z - want[n]).abs() < 1e-4 && (limit - limits[n]).abs() < 1e-4, "{n} {z} {limit}");
        if z > limit && fires.is_none() {
            fires = Some(n as u64 + 1);
        }
    }
    assert_eq!(fires, vector["expected"]["fires_at"].as_u64());
}

#[test]
fn rv_06_false_signals_of_the_cusum() {
    let Some(vector) = vector("rv_06_false_signals_of_the_cusum", "RV-06") else { return };
    let (k, h) = (number(&vector["inputs"]["k"]), number(&vector["inputs"]["h"]));
    // Siegmund: b = h + 1.166, ARL = (exp(2kb) - 2kb - 1) / (2 k^2).
    let b = h + 1.166;
    let one_sided = ((2.0 * k * b).exp() - 2.0 * k * b - 1.0) / (2.0 * k * k);
    assert!((one_sided - number(&vector["expected"]["one_sided"])).abs() <= 1.0, "{one_sided}");
    assert!((one_sided / 2.0 - number(&vector["expected"]["two_sided"])).abs() <= 1.0);
}

#[test]
fn rv_07_a_robust_z_with_its_floor() {
    let Some(vector) = vector("rv_07_a_robust_z_with_its_floor", "RV-07") else { return };
    let mut days: Vec<i64> = numbers(&vector["inputs"]["x"]).into_iter().map(milli).collect();
    let (median, mad) = median_mad(&mut days);
    let expected = &vector["expected"];
    assert_eq!(median, milli(number(&expected["median"])));
    assert_eq!(mad, milli(number(&expected["mad"])));
    let params = Params::default();
    let fires = expected["single_day_fire"].as_array().unwrap();
    for (n, probe) in numbers(&vector["inputs"]["probe"]).into_iter().enumerate() {
        let z = robust_z_x100(milli(probe), median, mad, params.var_floor_pct).unwrap();
        let want = milli(numbers(&expected["z"])[n]) / 10;
        assert!((z - want).abs() <= 1, "{probe}: {z} against {want}");
        assert_eq!(Value::Bool(z > params.var_z_once_x100), fires[n], "{probe}");
    }
}

#[test]
fn rv_08_a_bill_that_rises_by_29_per_cent() {
    let Some(vector) = vector("rv_08_a_bill_that_rises_by_29_per_cent", "RV-08") else { return };
    let input = &vector["inputs"];
    let whole = |key: &str| input[key].as_i64().unwrap();
    let usage = project_usage(
        whole("usage_kwh") * 1_000,
        (whole("elapsed"), whole("cycle_days")),
        whole("adu7") * 1_000,
        whole("adu_hist") * 1_000,
    );
    let expected = &vector["expected"];
    assert_eq!(usage, milli(number(&expected["projected_kwh"])));
    let bill = |wh: i64| wh * milli(number(&input["price"])) / 1_000 + whole("fixed") * 1_000;
    let (now, usual) = (bill(usage), bill(whole("reference_usage_kwh") * 1_000));
    assert_eq!(now, milli(number(&expected["projected_cost"])));
    assert_eq!(usual, milli(number(&expected["reference_cost"])));
    let fires = now * 100 >= usual * Params::default().bill_pct;
    assert_eq!(Value::Bool(fires), expected["alert"]);
}

#[test]
fn rv_13_days_left_of_a_cell() {
    let Some(vector) = vector("rv_13_days_left_of_a_cell", "RV-13") else { return };
    let input = &vector["inputs"];
    let points: Vec<(i64, i64)> = input["days"]
        .as_array()
        .unwrap()
        .iter()
        .zip(numbers(&input["volts"]))
        .map(|(day, volts)| (day.as_i64().unwrap(), milli(volts)))
        .collect();
    let line = theil_sen(&points).unwrap();
    let slope = number(&vector["expected"]["theil_sen_mv_per_d"]);
    assert!((line.slope_millionths() - milli(slope * 1_000.0)).abs() <= 10);
    let end = milli(number(&input["v_end"]));
    let days = line.days_to(points[points.len() - 1].0, end);
    assert_eq!(days * 1_000, milli(number(&vector["expected"]["theil_sen_days"])));
}

/// Three days of so many quarter hours with flow, from midnight on: what the rules make of them.
fn class_of(slots: usize) -> &'static str {
    let asset = super::meter("water 15min");
    let day: Vec<&str> = (0..96).map(|slot| if slot < slots { "1" } else { "0" }).collect();
    let mut log = super::Log::default();
    log.push(super::at("11-01"), vec![metering::LogRecord::Meter(Box::new(asset.clone()))]);
    super::fill(&mut log, &asset, &format!("11-01 00:00 +73h {}", day.join(",")));
    let said = log.text();
    match (said.contains("raised WTR-CONT"), said.contains("raised WTR-INT")) {
        (true, _) => "continuous",
        (false, true) => "intermittent",
        (false, false) => "none",
    }
}

#[test]
fn rv_17_slots_of_a_neptune_day() {
    let Some(vector) = vector("rv_17_slots_of_a_neptune_day", "RV-17") else { return };
    let words: Vec<&str> = numbers(&vector["inputs"]["slots_with_flow"])
        .into_iter()
        .map(|slots| class_of(usize::try_from(milli(slots) / 1_000).unwrap()))
        .collect();
    assert_eq!(serde_json::json!(words), vector["expected"]);
}

#[test]
fn rv_18_leak_rates_of_the_bands() {
    let Some(vector) = vector("rv_18_leak_rates_of_the_bands", "RV-18") else { return };
    let params = Params::default();
    let expected = &vector["expected"];
    assert_eq!(params.cont_p3_mlph, milli(number(&expected["L_per_h"])));
    assert_eq!(params.cont_p3_mlph * 24, milli(number(&expected["L_per_d"])));
    let gallon = milli(numbers(&expected["gal_as_L_per_h"])[0]);
    assert!((params.cont_min_mlph - gallon).abs() <= 10, "{gallon}");
}

#[test]
fn rv_20_misses_that_make_a_meter_silent() {
    let Some(vector) = vector("rv_20_misses_that_make_a_meter_silent", "RV-20") else { return };
    let params = Params::default();
    let input = &vector["inputs"];
    let of_fleet = |fleet: &Value| -> Vec<i64> {
        let [meters, slots] = numbers(fleet)[..] else { panic!("{fleet}") };
        let needed = |p| i64::from(misses_needed(p, 1.0 / (meters * slots)));
        let misses = numbers(&input["p_miss"]).into_iter().map(needed);
        misses.map(|misses| misses.max(params.silence_k_min)).collect()
    };
    let got: Vec<Vec<i64>> = input["fleets"].as_array().unwrap().iter().map(of_fleet).collect();
    assert_eq!(serde_json::json!(got), vector["expected"]);
}

#[test]
fn rv_21_meters_of_a_collector_that_are_beyond_chance() {
    let test = "rv_21_meters_of_a_collector_that_are_beyond_chance";
    let Some(vector) = vector(test, "RV-21") else { return };
    let input = &vector["inputs"];
    let (n, pi) = (input["n"].as_u64().unwrap(), number(&input["pi"]));
    let params = Params::default();
    let exp = i32::try_from(params.collector_chance_exp).unwrap();
    for (at, s) in input["s"].as_array().unwrap().iter().enumerate() {
        let s = s.as_u64().unwrap();
        let p = binomial_tail(u32::try_from(n).unwrap(), pi, u32::try_from(s).unwrap());
        let want = numbers(&vector["expected"]["p"])[at];
        assert!((p / want - 1.0).abs() < number(&vector["tolerance"]), "{s}: {p} against {want}");
        let enough = s * 100 >= n * u64::try_from(params.collector_stale_pct).unwrap();
        let fires = enough && p < 10_f64.powi(-exp);
        assert_eq!(Value::Bool(fires), vector["expected"]["fires"][at], "{s}");
    }
}

/// The budget of the design; `size.rs` pins what a meter of ours takes.
#[test]
fn rv_26_parts_of_the_state_of_a_meter() {
    let Some(vector) = vector("rv_26_parts_of_the_state_of_a_meter", "RV-26") else { return };
    let parts = numbers(&vector["inputs"]["parts"]);
    let whole: i64 = parts.iter().map(|part| milli(*part)).sum();
    let expected = &vector["expected"];
    assert_eq!(whole, milli(number(&expected["total"])));
    // The profile, 2 bytes for each of 96 slots, is the largest part.
    let profile = milli(parts.iter().copied().fold(0.0, f64::max));
    assert_eq!(profile, 96 * 2 * 1_000);
    assert_eq!(whole - profile, milli(number(&expected["without_profile"])));
    let takes = super::size::bytes("electricity 15min", "47h", None);
    let budget = expected["total"].as_u64().unwrap();
    assert!(takes as u64 <= budget, "{takes} bytes, and the budget is {budget}");
}

/// Of a meter of which nothing is known.
struct Nothing;

impl FeatureSource for Nothing {
    fn value(&self, _feature: Feature) -> Given<'_> {
        Given::Unknown
    }

    fn has_tag(&self, _tag: metering::Tag) -> bool {
        false
    }
}

#[test]
fn rv_29_three_valued_logic() {
    let Some(vector) = vector("rv_29_three_valued_logic", "RV-29") else { return };
    let truth = |text: String| match predicate(&text).unwrap().truth(&Nothing) {
        Truth::True => "true",
        Truth::False => "false",
        Truth::Unknown => "unknown",
    };
    let word = |value: &Value| match value.as_str().unwrap() {
        "unknown" => "is_holiday".to_owned(),
        known => known.to_owned(),
    };
    let rows = vector["expected"].as_array().unwrap();
    assert_eq!(rows.len(), 9);
    for row in rows {
        let (a, b) = (word(&row[0]), word(&row[1]));
        assert_eq!(row[2], truth(format!("{a} && {b}")), "{row}");
        assert_eq!(row[3], truth(format!("{a} || {b}")), "{row}");
    }
    assert_eq!(truth("!is_holiday".to_owned()), "unknown");
}
