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

    } };
}
