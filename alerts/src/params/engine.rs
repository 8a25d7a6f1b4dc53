//! What all rules share. One line of text and one of numbers for each parameter:
//! `"What it means." key = default "unit", least..=largest, Std|Default;`

macro_rules! engine_params {
    ([$next:ident $($rest:ident)*] $($before:tt)*) => { $next! { [$($rest)*] $($before)*

    "engine" {
        "Data older than this many days against the newest of their channel are not judged again."
            late_days = 35 "d", 1..=56, Default;
        "Readings this many seconds after log time are a clock error and are not used."
            ahead_s = 3600 "s", 0..=86400, Default;
        "An alert is annunciated only while its data are younger than this plus the delivery lag, in hours."
            fresh_h = 36 "h", 1..=720, Default;
    }

    } };
}
