//! #56 to #58: batteries. One line of text and one of numbers for each parameter:
//! `"What it means." key = default "unit", least..=largest, Std|Default;`

macro_rules! battery_params {
    ([$next:ident $($rest:ident)*] $($before:tt)*) => { $next! { [$($rest)*] $($before)*

    "BAT-FLAG" {
        "Flagged telegrams that raise it."
            battery_flags = 3 "", 1..=3, Default;
        "Within this time, in hours."
            battery_window_h = 48 "h", 1..=720, Default;
        "Without a flag for this many days it clears."
            battery_clear_days = 14 "d", 1..=90, Default;
        "Flags in the first hours after installation are not counted."
            battery_install_h = 72 "h", 0..=720, Default;
    }
    "BAT-VOLT" {
        "Warning: the median of five loaded voltages is below this (lithium thionyl chloride)."
            cell_warn_mv = 3300 "mV", 1000..=5000, Default;
        "Low: it is below this."
            cell_low_mv = 3100 "mV", 1000..=5000, Default;
        "It clears so far above the warning limit."
            cell_back_mv = 50 "mV", 0..=1000, Default;
        "Limits of lithium manganese cells are lower by this."
            cell_manganese_less_mv = 600 "mV", 0..=3000, Default;
        "Limits of two alkaline cells are lower by this."
            cell_alkaline_less_mv = 900 "mV", 0..=3000, Default;
        "Compensation for each degree below 10 C."
            cell_cold_mv_per_c = 2 "mV", 0..=50, Default;
    }
    "BAT-PROJ" {
        "The cell is empty at this loaded voltage."
            cell_end_mv = 3300 "mV", 1000..=5000, Default;
        "Weekly medians needed for a trend."
            cell_points_min = 6 "", 3..=12, Default;
        "And the time that they span."
            cell_span_d = 42 "d", 14..=84, Default;
        "A cell that falls less than this a day is flat: unknown."
            cell_slope_uv = 200 "uV/d", 0..=10000, Default;
        "Charge of one transmission."
            cell_tx_nah = 60 "nAh", 0..=100000, Default;
        "Current while asleep."
            cell_sleep_na = 6000 "nA", 0..=1000000, Default;
        "Fewer days left than this: plan it."
            cell_days_plan = 365 "d", 1..=3650, Default;
        "Fewer than this: P3."
            cell_days_p3 = 90 "d", 1..=3650, Default;
        "Fewer than this: P2."
            cell_days_p2 = 30 "d", 1..=3650, Default;
    }

    } };
}
