//! The published vectors of the network rules, by their ids. They lie beside the project; without
//! them the tests say loudly that they were skipped. (RV-20 and RV-21 stand with the arithmetic, in
//! `stats`.)

use alerts::{
    ili_x100, leak_per_day_ml, net_night_flow_mlph, uarl_gal_per_day, uarl_l_per_day, water_losses,
    winter_average, winter_mean_truncated,
};
use metering::{ZoneAsset, ZoneId, ZoneKind};
use serde_json::Value;

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

fn int(value: &Value) -> i64 {
    value.as_i64().unwrap_or_else(|| panic!("{value} is no whole number"))
}

/// A number of the vector in thousandths.
fn milli(value: &Value) -> i64 {
    let number = value.as_f64().unwrap_or_else(|| panic!("{value} is no number"));
    let text = format!("{number:.3}");
    text.replace('.', "").parse().unwrap_or_else(|_| panic!("{text} is too long"))
}

#[test]
fn rv_09_unavoidable_losses_in_metric_units() {
    let Some(vector) = vector("rv_09_unavoidable_losses_in_metric_units", "RV-09") else { return };
    let (input, want) = (&vector["inputs"], &vector["expected"]);
    let metres = |km: &Value| i32::try_from(int(km) * 1_000).unwrap();
    for (at, private) in input["Lp_km"].as_array().unwrap().iter().enumerate() {
        let zone = ZoneAsset {
            zone: ZoneId::new(1),
            kind: ZoneKind::Dma,
            mains_m: metres(&input["Lm_km"]),
            connections: i32::try_from(int(&input["Nc"])).unwrap(),
            private_pipe_m: metres(private),
            head_mm: metres(&input["P_m"]),
        };
        let uarl = uarl_l_per_day(&zone).unwrap();
        assert_eq!(uarl, int(&want["uarl_L_per_d"][at]));
        let real_l_per_day = int(&input["CARL_ML_per_y"]) * 1_000_000 / 365;
        let want_x100 = milli(&want["ili"][at]) / 10;
        assert_eq!(ili_x100(real_l_per_day, uarl), Some(want_x100));
    }
    assert_eq!(ili_x100(1, 0), None);
}

#[test]
fn rv_10_unavoidable_losses_in_us_units() {
    let Some(vector) = vector("rv_10_unavoidable_losses_in_us_units", "RV-10") else { return };
    let input = |key: &str| int(&vector["inputs"][key]);
    let pipes = (input("Lm_mi") * 1_000, input("Nc"), input("Lc_mi") * 1_000);
    let uarl = uarl_gal_per_day(pipes, input("Pavg_psi") * 1_000);
    assert_eq!(uarl, int(&vector["expected"]["uarl_gal_per_d"]));
}

#[test]
fn rv_11_net_night_flow() {
    let Some(vector) = vector("rv_11_net_night_flow", "RV-11") else { return };
    let (input, want) = (&vector["inputs"], &vector["expected"]);
    let inflow_mlph = milli(&input["mnf_m3h"]) * 1_000;
    let unit_mlph = milli(&input["legit_L_per_unit_h"]);
    let net = net_night_flow_mlph(inflow_mlph, int(&input["units"]), unit_mlph);
    assert_eq!(net, milli(&want["net_m3h"]) * 1_000);
    let leak = leak_per_day_ml(net, milli(&input["ndf"]) / 10);
    assert_eq!(leak, milli(&want["leak_m3d"]) * 1_000);
}

#[test]
fn rv_12_water_losses() {
    let Some(vector) = vector("rv_12_water_losses", "RV-12") else { return };
    let (input, want) = (&vector["inputs"], &vector["expected"]);
    let term = |key: &str| int(&input[key]);
    let (losses, share_x100) =
        water_losses(term("siv"), term("billed_authorised"), term("unbilled_authorised"));
    assert_eq!(losses, int(&want["water_losses"]));
    assert_eq!(share_x100, milli(&want["gap_percent"]) / 10);
}

#[test]
fn rv_14_and_15_winter_averages() {
    let Some(vector_14) = vector("rv_14_and_15_winter_averages", "RV-14") else { return };
    let uses = |vector: &Value, scale: i64| -> Vec<i64> {
        let uses = vector["inputs"]["use"].as_array().unwrap();
        uses.iter().map(|one| milli(one) * scale / 1_000).collect()
    };
    let days: i64 = vector_14["inputs"]["days"].as_array().unwrap().iter().map(int).sum();
    let average = winter_average(&uses(&vector_14, 10_000), days);
    // In ten-thousandths, as the inputs.
    let want = format!("{:.4}", vector_14["expected"].as_f64().unwrap()).replace('.', "");
    assert_eq!(average.to_string(), want);
    let vector_15 = vector("rv_14_and_15_winter_averages", "RV-15").unwrap();
    assert_eq!(winter_mean_truncated(&uses(&vector_15, 1)), int(&vector_15["expected"]));
}
