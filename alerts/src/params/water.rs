//! #38 to #46: water. One line of text and one of numbers for each parameter:
//! `"What it means." key = default "unit", least..=largest, Std|Default;`

macro_rules! water_params {
    ([$next:ident $($rest:ident)*] $($before:tt)*) => { $next! { [$($rest)*] $($before)*

    "WTR-CONT" {
        "Least hourly minimum, in mL/h: 1 gallon per hour (AquaCUE)."
            cont_min_mlph = 3800 "mL/h", 100..=100000, Std;
        "Window without a pause, in hours (Neptune 96/96)."
            cont_window_h = 24 "h", 12..=24, Std;
        "Hourly minimum from which the severity is P3, in mL/h (0.5 % of Q3 2.5 m3/h)."
            cont_p3_mlph = 12500 "mL/h", 100..=1000000, Std;
        "Hourly minimum from which the severity is P2, in mL/h."
            cont_p2_mlph = 30000 "mL/h", 100..=10000000, Default;
        "Hourly minimum above which the severity is P1, in mL/h."
            cont_p1_mlph = 200000 "mL/h", 100..=100000000, Default;
        "No flow for this long begins the clearing, in seconds (Kamstrup)."
            cont_clear_s = 3600 "s", 900..=14400, Std;
        "It must stay clear this long, in hours."
            cont_keep_for_h = 24 "h", 0..=72, Default;
        "Counters coarser than this are judged in slots of 2 h, in mL."
            cont_coarse_ml = 10000 "mL", 1000..=100000, Default;
    }
    "WTR-BURST" {
        "Least flow that is a burst, in mL/h."
            burst_min_mlph = 500000 "mL/h", 1000..=100000000, Default;
        "Share of Q3, in per cent."
            burst_q3_pct = 50 "%", 1..=200, Default;
        "Times the 95th percentile of the meter's own hours."
            burst_p95_times = 8 "", 1..=100, Default;
        "Own hours needed before the percentile counts."
            burst_hours_min = 72 "", 1..=2000, Default;
        "The flow must hold this long, in seconds."
            burst_for_s = 1800 "s", 300..=14400, Default;
        "Below half the limit for this long clears it, in seconds."
            burst_clear_s = 3600 "s", 300..=86400, Default;
    }

    } };
}
