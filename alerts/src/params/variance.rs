//! #25 to #29: consumption variance. One line of text and one of numbers for each parameter:
//! `"What it means." key = default "unit", least..=largest, Std|Default;`

macro_rules! variance_params {
    ([$next:ident $($rest:ident)*] $($before:tt)*) => { $next! { [$($rest)*] $($before)*

    "VAR-HIGH" {
        "High: the day's robust z exceeds this on 2 of 3 days, in hundredths."
            var_z_high_x100 = 450 "1/100", 100..=5000, Default;
        "High at once: the day's robust z exceeds this, in hundredths."
            var_z_once_x100 = 800 "1/100", 100..=9000, Default;
        "The alert clears when |z| is below this on 2 days, in hundredths."
            var_z_clear_x100 = 250 "1/100", 50..=1000, Default;
        "Least spread, as per cent of the median."
            var_floor_pct = 5 "%", 1..=100, Default;
        "Fewer valid days of the same type than this: not evaluable."
            var_days_min = 14 "", 3..=35, Default;
        "Days of the same type that are compared with."
            var_days_max = 35 "", 5..=40, Default;
        "A day with fewer of its intervals than this is not judged, in per cent; the total is scaled to the whole day."
            var_coverage_pct = 90 "%", 50..=100, Default;
        "More than this share of the meters of a commodity and zone on one day: weather, in per cent."
            var_fleet_pct = 5 "%", 1..=100, Default;
        "But never for fewer meters than this."
            var_fleet_min = 3 "", 2..=1000, Default;
        "From this change of a whole group's use on it counts as moved, in per cent; a meter must then stand out from it too."
            var_moved_pct = 10 "%", 1..=1000, Default;
        "Fewer judged meters than this are no group to stand out from."
            var_crowd_min = 5 "", 5..=1000, Default;
        "Heating degrees are counted below this daily mean, in hundredths of a degree C; without temperatures (`headend rules weather`) the weather is not evaluable and nothing is adjusted."
            weather_heat_below_cc = 1550 "1/100 C", -1000..=3000, Default;
        "Cooling degrees are counted above this daily mean, in hundredths of a degree C."
            weather_cool_above_cc = 2200 "1/100 C", 0..=4500, Default;
        "The median is adjusted where degree days explain more than this share of the spread (r squared)."
            weather_r2_pct = 50 "%", 10..=99, Default;
        "Water: hours after the day in which a leak may explain it before it is raised."
            var_leak_hold_h = 26 "h", 0..=72, Default;
    }
    "VAR-LOW" {
        "Low: the day's robust z is below minus this on 3 of 4 days, in hundredths."
            var_z_low_x100 = 450 "1/100", 100..=5000, Default;
        "Of the low days so many must be weekdays before an issue is opened (a long weekend away looks the same)."
            var_low_weekdays = 3 "", 1..=4, Default;
    }
    "VAR-BILL" {
        "Days of the cycle before anything is said."
            bill_days_min = 7 "d", 1..=28, Default;
        "Share of the reference from which it fires (Opower)."
            bill_pct = 130 "%", 101..=1000, Std;
        "And by so much money, in minor units of the currency."
            bill_min_minor = 2000 "", 0..=10000000, Default;
        "Above this share staff are told too."
            bill_staff_pct = 300 "%", 101..=10000, Default;
        "Below this share it clears."
            bill_clear_pct = 120 "%", 100..=1000, Default;
        "It is said again when it grew by so many points."
            bill_rearm_points = 25 "%", 1..=1000, Default;
        "Days after which a month before is settled."
            month_settles_d = 4 "d", 1..=20, Default;
    }
    "VAR-DMD" {
        "Share of the largest demand of twelve months."
            demand_pct = 120 "%", 100..=1000, Default;
    }
    "VAR-PEER" {
        "Fall of the share of the peers' use."
            peer_drop_pct = 50 "%", 10..=100, Default;
        "For this long."
            peer_days = 14 "d", 7..=28, Default;
        "Above this share of what was usual for a week it clears."
            peer_clear_pct = 75 "%", 10..=100, Default;
    }

    } };
}
