//! #37, #47 to #49 and #62: transformers, district metered areas, outages. One line of text and one of numbers for each parameter:
//! `"What it means." key = default "unit", least..=largest, Std|Default;`

macro_rules! network_params {
    ([$next:ident $($rest:ident)*] $($before:tt)*) => { $next! { [$($rest)*] $($before)*


    } };
}
