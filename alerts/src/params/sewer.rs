//! #65 to #67: sewer via water. One line of text and one of numbers for each parameter:
//! `"What it means." key = default "unit", least..=largest, Std|Default;`

macro_rules! sewer_params {
    ([$next:ident $($rest:ident)*] $($before:tt)*) => { $next! { [$($rest)*] $($before)*

    "SWR-WQA" {
        "First month of the winter that the sewer basis is taken from; it has three."
            winter_from_month = 12 "", 1..=12, Default;
        "A month with more of its volume or slots estimated puts the basis in doubt, in per cent."
            winter_estimated_pct = 20 "%", 1..=100, Default;
        "A month with more of its volume on days with a leak puts the basis in doubt, in per cent."
            winter_leak_pct = 10 "%", 1..=100, Default;
    }
    "SWR-II" {
        "Sewage in proportion to water use above this times the dry days' is rain, in per cent."
            sewer_wet_pct = 300 "%", 120..=2000, Default;
        "Dry days inside after which it clears."
            sewer_dry_days = 3 "d", 1..=14, Default;
        "Dry days needed before a day is compared."
            sewer_days_min = 7 "d", 3..=60, Default;
    }

    } };
}
