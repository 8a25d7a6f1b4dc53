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
        "A small leak opens an issue when it lasts so long: the customer is told."
            cont_notice_h = 72 "h", 24..=720, Default;
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
        "Own weekly profile: an hour that drew half as much in so many of the four weeks before, on the same day and within an hour, is a burst only above Q3; 5: no profile."
            burst_weeks = 3 "", 1..=5, Default;
    }
    "WTR-INT" {
        "Fewest quarter hours of 96 with flow (Neptune)."
            int_slots_min = 50 "", 10..=96, Std;
        "On so many of five days, each with flow from 02:00 to 04:00."
            int_days = 3 "d", 1..=5, Default;
        "Or so many refills of one size in a night."
            int_refills = 6 "", 3..=24, Default;
        "Spread of their spacing, as a share of its mean."
            int_spread_pct = 35 "%", 5..=100, Default;
        "Days below the limit after which it clears."
            int_clear_days = 2 "d", 1..=5, Default;
    }
    "WTR-MNF" {
        "Least hour between 02:00 and 04:00, median of seven nights, that is a leak."
            mnf_min_mlph = 12500 "mL/h", 1000..=1000000, Default;
        "Or this times what a place may use at night."
            mnf_times = 3 "", 1..=10, Default;
        "What a dwelling may use at night: two people at 2.5 L/h."
            mnf_dwelling_mlph = 5000 "mL/h", 100..=100000, Default;
        "What another place may use at night."
            mnf_other_mlph = 7100 "mL/h", 100..=1000000, Default;
        "Nights below the limit after which it clears."
            mnf_clear_nights = 3 "d", 1..=7, Default;
    }
    "WTR-CUSUM" {
        "Allowance k, in thousandths of sigma."
            cusum_k_x1000 = 500 "1/1000", 0..=3000, Default;
        "Limit h, in thousandths of sigma."
            cusum_h_x1000 = 5000 "1/1000", 1000..=20000, Default;
        "Least sigma of a service's night flow: 1 gallon per hour."
            cusum_sigma_mlph = 3800 "mL/h", 100..=1000000, Default;
        "One night counts no more than this, in thousandths of sigma."
            cusum_z_max_x1000 = 3000 "1/1000", 1000..=20000, Default;
        "Clean nights needed."
            cusum_nights = 28 "d", 7..=28, Default;
        "Nights below half a sigma after which it clears."
            cusum_clear_nights = 3 "d", 1..=14, Default;
    }
    "WTR-BACK" {
        "Minor backflows."
            back_minor_count = 3 "", 1..=3, Default;
        "Within this time."
            back_minor_days = 30 "d", 1..=365, Default;
        "More digits than this went back: major (Neptune)."
            back_major_digits = 100 "", 1..=100000, Std;
        "Without a backflow for this long it clears (Neptune)."
            back_clear_days = 35 "d", 1..=90, Std;
    }
    "WTR-DRY" {
        "Without the flag for this long it clears."
            dry_clear_h = 24 "h", 1..=720, Default;
    }
    "WTR-EMPTY" {
        "Air in the pipe for longer than this."
            air_h = 24 "h", 1..=720, Default;
    }
    "WTR-TEMP" {
        "Colder than this, in hundredths of a degree C."
            freeze_below_cc = 100 "1/100 C", -2000..=1000, Default;
        "Warmer than this it clears, in hundredths of a degree C."
            freeze_above_cc = 200 "1/100 C", -2000..=2000, Default;
        "For this long."
            freeze_h = 6 "h", 1..=72, Default;
    }

    } };
}
