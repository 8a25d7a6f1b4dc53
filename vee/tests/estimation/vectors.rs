//! The published vectors of estimation (TV-*), by id. They lie beside the project; without them the
//! tests say loudly that they were skipped.

use std::collections::BTreeSet;

use metering::{
    ChannelAsset, ChannelKind, ChannelNo, Commodity, DeviceFlags, Exact, LocalCalendar,
    QualityStatus, Ratio, ReadingType, SlotCode, UtcTime,
};
use serde_json::Value;
use vee::estimate::flat::{self, Read};
use vee::estimate::outage::zero_fill;
use vee::estimate::scale::{residual, scaled};
use vee::estimate::shapes::{like_sums, register_line};
use vee::estimate::share::{Weights, largest_remainder};
use vee::estimate::{
    ChannelFacts, EstimateError, Gap, GapInput, Method, NotApplicable, Outage, OutageEvidence,
    RegisterWindow, Scaling, Series, Slot, estimate,
};

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

fn vector(id: &str) -> Option<Value> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/corpus/vee/vectors.json");
    let Ok(text) = std::fs::read_to_string(path) else {
        skip(id, &format!("corpus not found: {path}"));
        return None;
    };
    let file: Value = serde_json::from_str(&text).expect("the vectors are JSON");
    let found = file["vectors"].as_array().into_iter().flatten().find(|vector| vector["id"] == id);
    Some(found.unwrap_or_else(|| panic!("{id} is not among the vectors")).clone())
}

fn number(value: &Value) -> i64 {
    value.as_i64().unwrap_or_else(|| panic!("{value} is no whole number"))
}

fn numbers(value: &Value) -> Vec<i64> {
    value.as_array().expect("a list").iter().map(number).collect()
}

fn count(value: &Value) -> usize {
    usize::try_from(number(value)).unwrap()
}

/// Slots of `len_s` from midnight of a Wednesday in UTC.
fn at(minutes: i64) -> UtcTime {
    UtcTime::parse_rfc3339("2026-07-01T00:00:00Z").unwrap().plus_seconds(minutes * 60)
}

fn facts(len_s: i32, resolution: i64) -> ChannelFacts {
    ChannelFacts {
        channel: ChannelAsset {
            channel: ChannelNo::new(1),
            reading_type: ReadingType::ENERGY_IMPORT,
            kind: ChannelKind::Interval,
            len_s,
            resolution,
            cap_per_hour: 0,
            delivery_lag_s: 0,
        },
        commodity: Commodity::Electricity,
        calendar: LocalCalendar::new("UTC").unwrap(),
        holidays: BTreeSet::new(),
        net: false,
    }
}

fn input<'a>(facts: &'a ChannelFacts, series: &'a Series, gaps: &'a [Gap]) -> GapInput<'a> {
    GapInput {
        facts,
        series,
        gaps,
        registers: None,
        rates: None,
        outages: &[],
        profile: None,
        check: None,
        method: None,
    }
}

fn valid(end: UtcTime, value: i64) -> Slot {
    Slot::new(end, value, QualityStatus::Validated)
}

fn line(before: i64, after: i64, missing: usize) -> Vec<i64> {
    let facts = facts(900, 1);
    let n = i64::try_from(missing).unwrap();
    let series = Series::new(900, vec![valid(at(15), before), valid(at(30 + n * 15), after)]);
    let gaps = [Gap::new(at(15), at(15 + n * 15))];
    let told = estimate(&input(&facts, &series, &gaps)).unwrap();
    assert_eq!(told[0].method, Method::Linear);
    told[0].values.clone()
}

fn check_line(id: &str) {
    let Some(vector) = vector(id) else { return };
    let given = &vector["inputs"];
    let told = line(number(&given["before"]), number(&given["after"]), count(&given["missing"]));
    assert_eq!(told, numbers(&vector["expected"]), "{id}");
}

#[test]
fn tv_01_four_intervals_on_a_line() {
    check_line("TV-01");
}

#[test]
fn tv_01b_remainders_on_a_line() {
    check_line("TV-01b");
}

#[test]
fn tv_02_a_register_on_a_line() {
    let Some(vector) = vector("TV-02") else { return };
    let given = &vector["inputs"];
    let (open, close) = (number(&given["register_before"]), number(&given["register_after"]));
    let told = register_line(open, close, count(&given["missing"])).unwrap();
    let within = number(&vector["tolerance"]).unsigned_abs();
    for (told, want) in told.iter().zip(numbers(&vector["expected"])) {
        assert!(told.abs_diff(want) <= within, "{told} {want}");
    }
}

#[test]
fn tv_03_a_line_has_its_limits() {
    let Some(vector) = vector("TV-03") else { return };
    let cases = vector["inputs"]["cases"].as_array().unwrap();
    for (case, want) in cases.iter().zip(vector["expected"].as_array().unwrap()) {
        let len_s = i32::try_from(number(&case["len_s"])).unwrap();
        let facts = facts(len_s, 1);
        let minutes = number(&case["slots"]) * i64::from(len_s) / 60;
        let step = i64::from(len_s) / 60;
        let flags = if case["power_fail_neighbour"] == true {
            DeviceFlags::POWER_FAIL
        } else {
            DeviceFlags::NONE
        };
        let code = SlotCode::new(QualityStatus::Validated, flags);
        let before = Slot { end: at(step), value: 10, code };
        let series = Series::new(len_s, vec![before, valid(at(2 * step + minutes), 10)]);
        let gaps = [Gap::new(at(step), at(step + minutes))];
        let told = estimate(&input(&facts, &series, &gaps));
        let lines = told.is_ok_and(|told| {
            told[0].method == Method::Linear
                && told[0].confidence.class < vee::estimate::ConfidenceClass::D
        });
        assert_eq!(Value::Bool(lines), *want, "{case}");
    }
}

fn references(vector: &Value) -> Vec<Vec<i64>> {
    vector["inputs"]["references"].as_array().unwrap().iter().map(numbers).collect()
}

#[test]
fn tv_04_three_like_days() {
    let Some(vector) = vector("TV-04") else { return };
    let days = references(&vector);
    assert_eq!(like_sums(&days), numbers(&vector["expected"]["sums"]));
    // The same through the door: hours 0 to 3 of three Wednesdays, all other hours 0.
    let facts = facts(3600, 1);
    let mut slots = Vec::new();
    for (weeks, day) in days.iter().enumerate() {
        let start = (i64::try_from(weeks).unwrap() + 1) * -7 * 1440;
        for hour in 0..24_i64 {
            let value = day.get(usize::try_from(hour).unwrap()).copied().unwrap_or(0);
            slots.push(valid(at(start + (hour + 1) * 60), value));
        }
    }
    let series = Series::new(3600, slots);
    let gaps = [Gap::new(at(0), at(240))];
    let told = &estimate(&input(&facts, &series, &gaps)).unwrap()[0];
    assert_eq!(told.method, Method::LikeMean);
    assert_eq!(told.values, numbers(&vector["expected"]["means"]));
    assert_eq!(told.total(), i128::from(number(&vector["expected"]["sum_of_means"])));
    assert_eq!(told.inputs.reference_days.len(), 3);
}

#[test]
fn tv_05_the_mean_of_two_samples() {
    let Some(vector) = vector("TV-05") else { return };
    let samples = numbers(&vector["inputs"]["samples"]);
    let sums = like_sums(&[vec![samples[0]], vec![samples[1]]]);
    let told = Weights::new(vec![i128::from(sums[0])], 2).rounded(1).unwrap();
    assert_eq!(told, [number(&vector["expected"])]);
}

#[test]
fn tv_06_an_equal_split() {
    let Some(vector) = vector("TV-06") else { return };
    let given = &vector["inputs"];
    let advance = number(&given["register_after"]) - number(&given["register_before"]);
    let told = flat::equal_split(advance, count(&given["slots"])).unwrap();
    assert_eq!(told, numbers(&vector["expected"]["values"]));
    assert_eq!(told.iter().sum::<i64>(), number(&vector["expected"]["sum"]));
}

#[test]
fn tv_07_a_register_projected_by_average_use() {
    let Some(vector) = vector("TV-07") else { return };
    let day = |text: &Value| {
        UtcTime::parse_rfc3339(&format!("2026-{}T00:00:00Z", text.as_str().unwrap())).unwrap()
    };
    let reads: Vec<Read> = vector["inputs"]["reads"]
        .as_array()
        .unwrap()
        .iter()
        .map(|read| Read { at: day(&read["day"]), value: number(&read["value"]) })
        .collect();
    let told = flat::project_register(&reads, day(&vector["inputs"]["project_to"])).unwrap();
    assert_eq!(told, Some(number(&vector["expected"])));
}

#[test]
fn tv_08_a_monthly_read_is_rounded_as_the_draft_says() {
    let Some(vector) = vector("TV-08") else { return };
    let given = &vector["inputs"];
    let adu: Exact = given["adu_unrounded"].as_str().unwrap().parse().unwrap();
    let (last, days) = (number(&given["last_read"]), number(&given["days"]));
    let told: Vec<i64> = numbers(&given["constants"])
        .into_iter()
        .map(|constant| flat::monthly_read(adu, days, last, constant).unwrap())
        .collect();
    assert_eq!(told, numbers(&vector["expected"]["reads"]));
    let rounded: Exact = vector["expected"]["adu"].as_str().unwrap().parse().unwrap();
    assert_eq!(adu.to_decimals(2).unwrap().0, rounded.to_decimals(2).unwrap().0);
}

#[test]
fn tv_09_like_days_are_scaled_to_the_register() {
    let Some(vector) = vector("TV-09") else { return };
    let given = &vector["inputs"];
    let units = number(&given["register_advance"]) - number(&given["sum_valid"]);
    assert_eq!(units, number(&vector["expected"]["residual"]));
    let sums = numbers(&given["weights"]).into_iter().map(i128::from).collect();
    let (values, scaling) = scaled(&Weights::new(sums, 3), units, 1, false).unwrap();
    assert_eq!(values, numbers(&vector["expected"]["values"]));
    let Scaling::Scaled { num, den } = scaling else { panic!("{scaling:?}") };
    let want = |name: &str| i128::from(number(&vector["expected"][name]));
    assert_eq!(num * want("factor_den"), den * want("factor_num"));
}

#[test]
fn tv_09b_without_weights_all_slots_are_alike() {
    let Some(vector) = vector("TV-09b") else { return };
    let given = &vector["inputs"];
    let told = largest_remainder(number(&given["residual"]), &numbers(&given["weights"])).unwrap();
    assert_eq!(told, numbers(&vector["expected"]));
}

#[test]
fn tv_10_registers_off_the_grid() {
    let Some(vector) = vector("TV-10") else { return };
    let given = &vector["inputs"];
    let (before, after) = (numbers(&given["before"]), numbers(&given["after"]));
    let missing = i64::try_from(count(&given["missing"])).unwrap();
    // mWh, hours; the first slot counts from its 40th minute, the last one to its 20th.
    let mut slots = Vec::new();
    for (k, value) in (1_i64..).zip(&before) {
        slots.push(valid(at(k * 60), value * 1000));
    }
    let from = i64::try_from(before.len()).unwrap();
    for (k, value) in (from + missing + 1..).zip(&after) {
        slots.push(valid(at(k * 60), value * 1000));
    }
    let last = from + missing + i64::try_from(after.len()).unwrap();
    let facts = facts(3600, 1);
    let series = Series::new(3600, slots);
    let gaps = [Gap::new(at(from * 60), at((from + missing) * 60))];
    let registers = RegisterWindow {
        open_at: at(40),
        close_at: at((last - 1) * 60 + 20),
        open: 18_914_000,
        close: 18_957_000,
        advance: number(&given["register_advance"]) * 1000,
    };
    let told = residual(&registers, &series, &gaps).unwrap().unwrap();
    assert_eq!(told.units, number(&vector["expected"]["residual_mwh"]));
    // 52/3 Wh = 17333 mWh and a third of one.
    assert_eq!(told.rest, Ratio::new(1, 3).unwrap());
    let flat = Weights::new(vec![0; 3], 1);
    let (values, _) = scaled(&flat, told.units, 1, false).unwrap();
    assert_eq!(values, numbers(&vector["expected"]["values_mwh"]));
    let input = GapInput { registers: Some(registers), ..input(&facts, &series, &gaps) };
    let told = &estimate(&input).unwrap()[0];
    assert_eq!(told.values, numbers(&vector["expected"]["values_mwh"]));
    assert_eq!(told.residual, Ratio::new(1, 3).unwrap());
}

#[test]
fn tv_11_registers_cut_two_hours() {
    let Some(vector) = vector("TV-11") else { return };
    let hour = |hour: i64| at(hour * 60);
    let slots: Vec<Slot> = vector["inputs"]["valid"]
        .as_array()
        .unwrap()
        .iter()
        .map(|slot| {
            let end = slot["slot"].as_str().unwrap().split_once('-').unwrap().1;
            valid(hour(end.parse().unwrap()), number(&slot["value"]))
        })
        .collect();
    let facts = facts(3600, 1);
    let series = Series::new(3600, slots);
    let gaps = [Gap::new(hour(14), hour(16))];
    let advance = number(&vector["inputs"]["register_advance"]);
    let registers = RegisterWindow {
        open_at: at(13 * 60 + 20),
        close_at: at(17 * 60 + 40),
        open: 0,
        close: advance,
        advance,
    };
    let told = residual(&registers, &series, &gaps).unwrap().unwrap();
    assert_eq!(told.units, number(&vector["expected"]["residual"]));
    // A straight line would be scaled to the same sum.
    let input = GapInput { registers: Some(registers), ..input(&facts, &series, &gaps) };
    let line = estimate(&input).unwrap();
    assert_eq!(line[0].values.iter().sum::<i64>(), told.units);
    let flat = Weights::new(vec![0; 2], 1);
    let (values, _) = scaled(&flat, 1800, 1, false).unwrap();
    assert_eq!(values, numbers(&vector["expected"]["values"]));
}

fn check_shares(id: &str) {
    let Some(vector) = vector(id) else { return };
    let given = &vector["inputs"];
    let told = largest_remainder(number(&given["total"]), &numbers(&given["weights"])).unwrap();
    assert_eq!(told, numbers(&vector["expected"]), "{id}");
}

#[test]
fn tv_12a_ties_go_to_the_earliest() {
    check_shares("TV-12a");
}

#[test]
fn tv_12b_exact_shares_stay() {
    check_shares("TV-12b");
}

#[test]
fn tv_12c_a_zero_weight_gets_nothing() {
    check_shares("TV-12c");
}

#[test]
fn tv_13_an_outage_is_zero_but_for_its_last_slot() {
    let Some(vector) = vector("TV-13") else { return };
    let given = &vector["inputs"];
    let missing = number(&given["missing"]);
    let facts = facts(900, 1);
    let series = Series::new(900, vec![valid(at(15), 100), valid(at(30 + missing * 15), 100)]);
    let gaps = [Gap::new(at(15), at(15 + missing * 15))];
    let flag = |name: &str| given[name] == true;
    let outage = Outage {
        down: at(15),
        up: Some(at(10 + missing * 15)),
        evidence: OutageEvidence::Flags {
            power_down: flag("power_down_flag"),
            power_up: flag("power_up_flag"),
        },
    };
    let (open, close) = (number(&given["register_down"]), number(&given["register_up"]));
    let registers = RegisterWindow {
        open_at: gaps[0].from,
        close_at: gaps[0].to,
        open,
        close,
        advance: close - open,
    };
    let outages = [outage];
    let input =
        GapInput { registers: Some(registers), outages: &outages, ..input(&facts, &series, &gaps) };
    let told = &estimate(&input).unwrap()[0];
    assert_eq!((told.method, told.status), (Method::OutageZero, QualityStatus::OutageZero));
    assert_eq!(told.values, numbers(&vector["expected"]));
    assert!(told.review.is_empty());
}

#[test]
fn tv_13b_zeros_are_refused_without_proof() {
    let Some(vector) = vector("TV-13b") else { return };
    let cases = vector["inputs"]["cases"].as_array().unwrap();
    assert_eq!(cases.len(), vector["expected"].as_array().unwrap().len());
    for (case, want) in cases.iter().zip(vector["expected"].as_array().unwrap()) {
        let evidence = OutageEvidence::Flags {
            power_down: case["power_down_flag"] == true,
            power_up: case["power_up_flag"] == true,
        };
        let gap_s = number(&case["gap_h"]) * 3600;
        let told = zero_fill(Commodity::Electricity, evidence, gap_s);
        assert_eq!(told, Err(NotApplicable::OutageUnproven), "{case}");
        assert_eq!(want, "refuse");
        // A person who insists is refused too.
        let facts = facts(900, 1);
        let series = Series::new(900, vec![valid(at(15), 1), valid(at(30 + gap_s / 60), 1)]);
        let gaps = [Gap::new(at(15), at(15 + gap_s / 60))];
        let outages = [Outage { down: at(0), up: None, evidence }];
        let input = GapInput {
            outages: &outages,
            method: Some(Method::OutageZero),
            ..input(&facts, &series, &gaps)
        };
        let told = estimate(&input);
        assert_eq!(told, Err(EstimateError::Refused(NotApplicable::OutageUnproven)));
    }
}

#[test]
fn every_estimation_vector_has_its_test() {
    let Some(_) = vector("TV-01") else { return };
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/corpus/vee/vectors.json");
    let file: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let own = include_str!("vectors.rs");
    for vector in file["vectors"].as_array().unwrap() {
        let id = vector["id"].as_str().unwrap();
        let name = format!("fn {}_", id.to_lowercase().replace('-', "_"));
        assert!(!id.starts_with("TV-") || own.contains(&name), "{id} has no test");
    }
}

#[test]
fn the_residual_is_rounded_half_up() {
    // The first hour is cut by the opening read; the second one is the gap.
    let told = |cut_min: i64, advance: i64| {
        let series = Series::new(3600, vec![valid(at(60), 1)]);
        let registers = RegisterWindow {
            open_at: at(cut_min),
            close_at: at(120),
            open: 0,
            close: advance,
            advance,
        };
        let told = residual(&registers, &series, &[Gap::new(at(60), at(120))]).unwrap().unwrap();
        (told.units, told.rest)
    };
    let rest = |num, den| Ratio::new(num, den).unwrap();
    assert_eq!(told(40, 10), (10, rest(-1, 3)), "9 2/3 is nearer to 10");
    assert_eq!(told(30, 10), (10, rest(-1, 2)), "9 1/2 goes up");
    assert_eq!(told(20, 10), (9, rest(1, 3)), "9 1/3 is nearer to 9");
    assert_eq!(told(30, 0), (0, rest(-1, 2)), "and -1/2 as well");
}
