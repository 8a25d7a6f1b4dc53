//! Parameters that must stand in an order: a warning below a failure, a clear below a raise. Checked
//! for all meters and for each override.

use std::collections::BTreeMap;

use super::read::Reader;
use super::{Bundle, Foreign, Patch};
use crate::params::{PARAMS, ParamInfo};

/// The first must not be above the second.
const ORDERED: &[(&str, &str)] = &[
    ("silence_miss_min_permille", "silence_miss_max_permille"),
    ("miss_fail_pct", "miss_warn_pct"),
    ("cont_p3_mlph", "cont_p2_mlph"),
    ("cont_p2_mlph", "cont_p1_mlph"),
    ("tamper_score_clear", "tamper_score_p3"),
    ("tamper_score_p3", "tamper_score_p2"),
    ("cell_low_mv", "cell_warn_mv"),
    ("cell_days_p2", "cell_days_p3"),
    ("cell_days_p3", "cell_days_plan"),
    ("var_z_clear_x100", "var_z_high_x100"),
    ("var_z_high_x100", "var_z_once_x100"),
    ("var_z_clear_x100", "var_z_low_x100"),
    ("var_days_min", "var_days_max"),
    ("bill_clear_pct", "bill_pct"),
    ("bill_pct", "bill_staff_pct"),
    ("freeze_below_cc", "freeze_above_cc"),
    ("stop_electricity_h", "stop_max_h"),
    ("stop_water_h", "stop_max_h"),
    ("stop_gas_summer_h", "stop_max_h"),
    ("stop_gas_heating_h", "stop_max_h"),
    ("clock_clear_s", "clock_warn_s"),
    ("clock_warn_s", "clock_fail_s"),
    ("clock_fail_s", "clock_large_s"),
    ("delta_warn_pct", "delta_fail_pct"),
    ("hilo_low_pct", "hilo_clear_low_pct"),
    ("hilo_clear_low_pct", "hilo_clear_high_pct"),
    ("hilo_clear_high_pct", "hilo_high_pct"),
    ("zero_min_electricity_h", "zero_max_h"),
    ("zero_min_water_h", "zero_max_h"),
    ("zero_min_summer_h", "zero_max_h"),
    ("zero_min_heating_h", "zero_max_h"),
    ("prolong_warn_days", "prolong_fail_days"),
    ("prolong_fail_days", "prolong_urgent_days"),
];

pub(super) fn check(reader: &mut Reader<'_>, bundle: &Bundle) {
    let foreign: &[ParamInfo] = match reader.foreign {
        Foreign::Known(all) => all,
        Foreign::Ignore => &[],
    };
    let mut values: BTreeMap<&str, i64> =
        PARAMS.iter().chain(foreign).map(|info| (info.key, info.default)).collect();
    let own = |patch: &Patch| patch.values.clone();
    let said = bundle.engine.iter().map(|(key, value)| (key.clone(), *value));
    let said: Vec<(String, i64)> = said.chain(bundle.rules.values().flat_map(own)).collect();
    for (key, value) in &said {
        if let Some(known) = values.get_mut(key.as_str()) {
            *known = *value;
        }
    }
    let mut faults: Vec<String> =
        out_of_order(&values).map(|text| format!("[rules]: {text}")).collect();
    for own in &bundle.overrides {
        let mut here = values.clone();
        for (key, value) in &own.patch.values {
            if let Some(known) = here.get_mut(key.as_str()) {
                *known = *value;
            }
        }
        faults
            .extend(out_of_order(&here).map(|text| format!("rule {}, override: {text}", own.rule)));
    }
    faults.dedup();
    for fault in faults {
        reader.fault(0..0, fault);
    }
}

fn out_of_order<'a>(values: &'a BTreeMap<&str, i64>) -> impl Iterator<Item = String> + 'a {
    ORDERED.iter().filter_map(|(low, high)| {
        let (least, most) = (values.get(low)?, values.get(high)?);
        (least > most).then(|| format!("{low} = {least} must not be above {high} = {most}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> String {
        let text = format!("[bundle]\nversion = \"1\"\n{text}");
        Bundle::parse(&text, Foreign::Ignore)
            .map_or_else(|errors| errors.to_string(), |_| String::new())
    }

    #[test]
    fn pairs_that_are_out_of_order_are_refused_also_in_an_override() {
        let swapped =
            "[rules.COM-STALE]\nsilence_miss_min_permille = 500\nsilence_miss_max_permille = 10";
        let want =
            "silence_miss_min_permille = 500 must not be above silence_miss_max_permille = 10";
        assert!(faults(swapped).contains(want), "{}", faults(swapped));
        let some =
            "[[rules.WTR-CONT.override]]\nwhen = 'has_tag(\"school\")'\ncont_p3_mlph = 40000";
        assert!(faults(some).contains("rule WTR-CONT, override: cont_p3_mlph = 40000 must not be"));
        assert_eq!(faults("[rules.WTR-CONT]\ncont_p3_mlph = 20000"), "");
    }

    #[test]
    fn the_pairs_are_parameters_and_the_catalogue_has_them_in_order() {
        for (low, high) in ORDERED {
            let of =
                |key: &str| PARAMS.iter().find(|info| info.key == key).map(|info| info.default);
            if let (Some(least), Some(most)) = (of(low), of(high)) {
                assert!(least <= most, "{low} {high}");
            } else {
                // Limits of validation.
                assert_eq!((of(low), of(high)), (None, None), "{low} {high}");
            }
        }
    }
}
