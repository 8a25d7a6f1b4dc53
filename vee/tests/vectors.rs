//! The published vectors of the catalogue that concern single readings. They lie beside the
//! project; without them the tests say loudly that they were skipped.

use metering::{DayShape, Interval, LocalCalendar, UtcTime};
use serde_json::Value;
use vee::day::{adu_hundredths, exceeds, power_factor};
use vee::{Advance, Counter, CounterLimits, Params, classify};

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

#[test]
fn rv_01_a_spike_is_strictly_above_its_limit() {
    let Some(vector) = vector("rv_01_a_spike_is_strictly_above_its_limit", "RV-01") else { return };
    let pairs = vector["inputs"]["pairs_milli"].as_array().unwrap();
    for (pair, want) in pairs.iter().zip(vector["expected"].as_array().unwrap()) {
        let (highest, third) = (pair[0].as_i64().unwrap(), pair[1].as_i64().unwrap());
        let spike = exceeds(highest, third, Params::default().spike_large_pct);
        assert_eq!(spike, want == "Fail", "{pair}");
    }
}

#[test]
fn rv_02_a_five_digit_dial_rolls_over() {
    let Some(vector) = vector("rv_02_a_five_digit_dial_rolls_over", "RV-02") else { return };
    let input = |name: &str| vector["inputs"][name].as_i64().unwrap();
    let modulus = 10_i64.pow(u32::try_from(input("dials")).unwrap());
    // A service that carries 100 steps an hour.
    let limits = CounterLimits { modulus, cap_per_hour: 100, net: false };
    let before = Counter { read_at: UtcTime::from_seconds(0), raw: input("r0") };
    let after = Counter { read_at: UtcTime::from_seconds(3600), raw: input("r1") };
    let advance = classify(Some(before), after, &limits, &Params::default());
    let want = vector["expected"]["advance_raw"].as_i64().unwrap();
    assert_eq!(advance, Advance::Rollover { delta: want });
    let kwh = vector["expected"]["advance_kwh"].as_i64().unwrap();
    assert_eq!(advance.delta().unwrap() * input("multiplier"), kwh);
}

#[test]
fn rv_03_what_a_single_phase_service_carries() {
    let Some(vector) = vector("rv_03_what_a_single_phase_service_carries", "RV-03") else { return };
    let input = |name: &str| vector["inputs"][name].as_i64().unwrap();
    let watts = input("volt") * input("ampere");
    let before = watts * input("dt_s") / 3600;
    assert_eq!(before, vector["expected"]["before_wh"].as_i64().unwrap());
    let cap_mwh = Params::default().cap(watts * 1000, input("dt_s"));
    assert_eq!(cap_mwh, vector["expected"]["cap_wh"].as_i64().unwrap() * 1000);
}

#[test]
fn rv_19_a_power_factor() {
    let Some(vector) = vector("rv_19_a_power_factor", "RV-19") else { return };
    #[expect(clippy::cast_possible_truncation, reason = "two decimals of a vector")]
    let milli = |name: &str| (vector["inputs"][name].as_f64().unwrap() * 1e6).round() as i64;
    let pf = power_factor(milli("kwh"), milli("kvarh"));
    let off = (pf - vector["expected"].as_f64().unwrap()).abs();
    assert!(off <= vector["tolerance"].as_f64().unwrap(), "{pf}");
}

#[test]
fn rv_24_local_days_have_their_slots() {
    let Some(vector) = vector("rv_24_local_days_have_their_slots", "RV-24") else { return };
    let berlin = LocalCalendar::new("Europe/Berlin").unwrap();
    let days = ["2026-03-29T12:00:00Z", "2026-07-01T12:00:00Z", "2026-10-25T12:00:00Z"]
        .map(|noon| berlin.day_containing(UtcTime::parse_rfc3339(noon).unwrap()));
    let lens = vector["inputs"]["len_s"].as_array().unwrap();
    for (len_s, want) in lens.iter().zip(vector["expected"].as_array().unwrap()) {
        let len_s = i32::try_from(len_s.as_i64().unwrap()).unwrap();
        let counts = days.map(|day: DayShape| day.slot_count(len_s));
        let want: Vec<i64> = want.as_array().unwrap().iter().map(|n| n.as_i64().unwrap()).collect();
        assert_eq!(counts.as_slice(), want);
    }
}

/// Readings a second of a fleet of quarter-hour meters, over the day and when all of a day's come
/// within one hour.
#[test]
fn rv_25_what_a_fleet_sends() {
    let Some(vector) = vector("rv_25_what_a_fleet_sends", "RV-25") else { return };
    let utc = LocalCalendar::new("UTC").unwrap();
    let day = utc.day_containing(UtcTime::from_seconds(1_800_000_000));
    let readings = day.slot_count(900);
    for (at, meters) in vector["inputs"]["meters"].as_array().unwrap().iter().enumerate() {
        let daily = meters.as_i64().unwrap() * readings;
        for (name, seconds) in [("mean_per_s", day.len_s()), ("one_hour_peak_per_s", 3600)] {
            let want = vector["expected"][name][at].as_i64().unwrap();
            let rate = (daily + seconds / 2) / seconds;
            assert!((rate - want).abs() <= vector["tolerance"].as_i64().unwrap(), "{name}");
        }
    }
}

#[test]
fn rv_27_an_interval_is_named_by_its_end() {
    let Some(vector) = vector("rv_27_an_interval_is_named_by_its_end", "RV-27") else { return };
    let time = |text: &Value| {
        UtcTime::parse_rfc3339(&format!("2026-11-21T{}:00Z", text.as_str().unwrap())).unwrap()
    };
    let len_s = i32::try_from(vector["inputs"]["len_s"].as_i64().unwrap()).unwrap();
    let interval = Interval::ending_at(time(&vector["inputs"]["label"]), len_s).unwrap();
    assert_eq!(interval.start(), time(&vector["expected"]["from"]));
    assert_eq!(interval.end(), time(&vector["expected"]["to"]));
}

#[test]
fn rv_28_average_daily_use_is_rounded_half_up() {
    let Some(vector) = vector("rv_28_average_daily_use_is_rounded_half_up", "RV-28") else {
        return;
    };
    let hundredths =
        |text: &Value| -> i64 { text.as_str().unwrap().replace('.', "").parse::<i64>().unwrap() };
    let days = vector["inputs"]["days"].as_i64().unwrap();
    let adu = adu_hundredths(hundredths(&vector["inputs"]["usage"]) * 10, days);
    assert_eq!(adu, Some(hundredths(&vector["expected"]["rounded"])));
}
