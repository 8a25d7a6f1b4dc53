//! Shares with their confidence, and percentiles.

use serde::Serialize;

/// Two-sided 95 % of a normal distribution.
const Z: f64 = 1.959_963_984_540_054;

/// Wilson's interval of a share: 95 % confidence, from `hits` of `trials`. `None` without trials.
pub fn wilson(hits: u64, trials: u64) -> Option<(f64, f64)> {
    if trials == 0 {
        return None;
    }
    let (n, p) = (trials as f64, hits as f64 / trials as f64);
    let z2 = Z * Z;
    let middle = (p + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let half = Z / (1.0 + z2 / n) * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
    Some(((middle - half).max(0.0), (middle + half).min(1.0)))
}

/// Seconds at which so many percent were done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Percentiles {
    pub p50: i64,
    pub p90: i64,
    pub p99: i64,
}

impl Percentiles {
    /// By nearest rank; zeros without values.
    pub fn of(mut values: Vec<i64>) -> Self {
        values.sort_unstable();
        let at = |percent: usize| {
            let rank = (values.len() * percent).div_ceil(100);
            values.get(rank.saturating_sub(1)).copied().unwrap_or(0)
        };
        Self { p50: at(50), p90: at(90), p99: at(99) }
    }
}

pub(super) fn share(hits: u64, trials: u64) -> Option<f64> {
    (trials > 0).then(|| hits as f64 / trials as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of the published vectors, which lie beside the project; `None` after saying that they do not.
    fn vector(test: &str, id: &str) -> Option<serde_json::Value> {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/corpus/vee/vectors.json");
        let Ok(text) = std::fs::read_to_string(path) else {
            let reason = format!("corpus not found: {path}");
            eprintln!("SKIPPED {test}: {reason}");
            if let Some(path) = std::env::var_os("HEADEND_SKIP_FILE") {
                let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
                let line = format!("{test}: {reason}\n");
                file.and_then(|mut f| std::io::Write::write_all(&mut f, line.as_bytes())).unwrap();
            }
            return None;
        };
        let file: serde_json::Value = serde_json::from_str(&text).unwrap();
        let mut vectors = file["vectors"].as_array().unwrap().iter();
        Some(vectors.find(|vector| vector["id"] == id).unwrap().clone())
    }

    #[test]
    fn rv_22_as_published() {
        let Some(vector) = vector("rv_22_as_published", "RV-22") else { return };
        let close = |got: f64, want: &serde_json::Value| {
            (got - want.as_f64().unwrap()).abs() <= vector["tolerance"].as_f64().unwrap()
        };
        let cases = vector["inputs"]["cases"].as_array().unwrap();
        for (case, want) in cases.iter().zip(vector["expected"].as_array().unwrap()) {
            let (hits, trials) = (case[0].as_u64().unwrap(), case[1].as_u64().unwrap());
            let (low, high) = wilson(hits, trials).unwrap();
            assert!(close(low, &want[0]) && close(high, &want[1]), "{low} {high} {want}");
        }
        assert_eq!(cases.len(), 2);
    }

    #[test]
    fn rv_23_as_published() {
        let Some(vector) = vector("rv_23_as_published", "RV-23") else { return };
        let rates = vector["inputs"]["fpr"].as_array().unwrap();
        for (rate, want) in rates.iter().zip(vector["expected"].as_array().unwrap()) {
            let alerts = 900.0 + 999_000.0 * rate.as_f64().unwrap();
            let (percent, many) = (want[0].as_f64().unwrap(), want[1].as_f64().unwrap());
            assert!((900.0 / alerts * 100.0 - percent).abs() <= 0.05, "{rate}: {alerts}");
            assert!((alerts - many).abs() <= 0.5, "{rate}: {alerts}");
        }
        assert_eq!(rates.len(), 3);
    }

    /// RV-22: 95/100 gives 0.888..0.978, 950/1000 gives 0.935..0.962.
    #[test]
    fn rv_22_wilson() {
        let rounded = |hits, trials| {
            let (low, high) = wilson(hits, trials).unwrap();
            format!("{low:.3}..{high:.3}")
        };
        assert_eq!(rounded(95, 100), "0.888..0.978");
        assert_eq!(rounded(950, 1_000), "0.935..0.962");
        assert_eq!(wilson(0, 0), None);
    }

    /// RV-23: section 11.4, true positive rate 90 %, prevalence 0.1 %, per million.
    #[test]
    fn rv_23_base_rate() {
        let precision = |false_rate: f64| {
            let (true_hits, others) = (900.0, 999_000.0);
            format!("{:.0}", true_hits / (true_hits + others * false_rate) * 100.0)
        };
        assert_eq!([0.01, 0.001, 0.000_1].map(precision), ["8", "47", "90"]);
    }

    #[test]
    fn percentiles_are_values_that_occurred() {
        assert_eq!(Percentiles::of(vec![]), Percentiles::default());
        let hundred = Percentiles::of((1..=100).rev().collect());
        assert_eq!((hundred.p50, hundred.p90, hundred.p99), (50, 90, 99));
        assert_eq!(Percentiles::of(vec![7]).p99, 7);
    }
}
