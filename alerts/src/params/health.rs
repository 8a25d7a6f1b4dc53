//! #30 to #35: meter health. One line of text and one of numbers for each parameter:
//! `"What it means." key = default "unit", least..=largest, Std|Default;`

macro_rules! health_params {
    ([$next:ident $($rest:ident)*] $($before:tt)*) => { $next! { [$($rest)*] $($before)*

    "MTR-STOP" {
        "Shortest zero run, electricity, in hours (#18)."
            stop_electricity_h = 24 "h", 1..=1080, Default;
        "Shortest zero run, water and heat, in hours (#18)."
            stop_water_h = 240 "h", 1..=1080, Default;
        "Shortest zero run, gas outside the heating season, in hours (#18)."
            stop_gas_summer_h = 720 "h", 1..=1080, Default;
        "Shortest zero run, gas in the heating season, in hours (#18, #53)."
            stop_gas_heating_h = 168 "h", 1..=1080, Default;
        "The run must exceed this times the meter's own 99th percentile."
            stop_q99_times = 3 "", 1..=10, Default;
        "Longest zero run that is ever asked for, in hours."
            stop_max_h = 1080 "h", 24..=2160, Default;
        "Fewer judged days before the zero run than this: not evaluable. One week has a weekend in it."
            stop_days_min = 7 "", 3..=90, Default;
        "Use on this many of 365 days counts as prior usage."
            stop_used_days_of_365 = 300 "", 1..=365, Default;
        "Evidence score at which the rule fires."
            stop_score_min = 4 "", 2..=8, Default;
        "Days with use after which it clears."
            stop_return_days = 3 "d", 1..=14, Default;
        "First month of the heating season."
            heating_from_month = 10 "", 1..=12, Default;
        "Last month of the heating season."
            heating_to_month = 4 "", 1..=12, Default;
    }
    "MTR-REV" {
        "Energy fed in within a day that is more than noise, in mWh."
            reverse_min_mwh = 500000 "mWh", 0..=1000000000, Default;
        "And more than this share of what was delivered."
            reverse_pct = 5 "%", 0..=100, Default;
        "Without it for this long it clears."
            reverse_clear_days = 7 "d", 1..=60, Default;
    }
    "MTR-ERR" {
        "Days of seven with the same temporary error."
            error_days = 3 "d", 1..=7, Default;
        "Without the error for this long it clears."
            error_clear_h = 48 "h", 1..=720, Default;
    }
    "MTR-RESET" {
        "A visit explains what happens this long before and after it."
            visit_h = 4 "h", 0..=72, Default;
    }
    "MTR-SWAP" {
        "An exchange explains another identity this long before and after it."
            exchange_h = 48 "h", 0..=720, Default;
    }
    "MTR-SLOW" {
        "Fall a month of the share of the peers' use."
            slow_pct = 3 "%", 1..=50, Default;
        "Months that are looked at."
            slow_months = 9 "", 4..=12, Default;
        "A water meter older than this is noted; 0: never."
            slow_age_y = 20 "y", 0..=100, Default;
        "A water meter through which more has run than so many hours at its Q3 is noted; 0: never."
            slow_throughput_h = 2400 "h", 0..=100000, Default;
    }

    } };
}
