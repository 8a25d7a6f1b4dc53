//! #50 to #55: gas. One line of text and one of numbers for each parameter:
//! `"What it means." key = default "unit", least..=largest, Std|Default;`

macro_rules! gas_params {
    ([$next:ident $($rest:ident)*] $($before:tt)*) => { $next! { [$($rest)*] $($before)*
    "GAS-CONT" {
        "The least hour must be above this."
            gas_cont_mlph = 50000 "mL/h", 1000..=10000000, Default;
        "And above this times the meter's own least hour of summer."
            gas_cont_times = 3 "", 1..=20, Default;
        "For this long."
            gas_cont_h = 48 "h", 24..=168, Default;
        "Below the limit for this long it begins to clear."
            gas_cont_clear_h = 2 "h", 1..=24, Default;
        "It must stay clear this long."
            gas_cont_keep_h = 24 "h", 0..=72, Default;
    }
    "GAS-HIGH" {
        "An hour above this share of Qmax."
            gas_high_qmax_pct = 110 "%", 50..=300, Default;
        "Or above this times the meter's own 99th percentile."
            gas_high_p99_times = 10 "", 2..=100, Default;
        "Own hours needed before the percentile counts: four weeks."
            gas_high_hours_min = 672 "h", 24..=8000, Default;
        "And never below this share of Qmax, so that the first cold day is no open pipe."
            gas_high_floor_pct = 60 "%", 0..=110, Default;
        "Where Qmax is unknown, never below this."
            gas_high_floor_mlph = 6000000 "mL/h", 0..=1000000000, Default;
        "Below the percentile for this long it clears."
            gas_high_clear_h = 2 "h", 1..=24, Default;
    }
    "GAS-VALVE" {
        "More pulses than this after the valve was closed."
            valve_pulses = 2 "", 0..=100, Default;
        "Use in the first seconds after the command does not count."
            valve_grace_s = 60 "s", 0..=3600, Default;
    }

    } };
}
