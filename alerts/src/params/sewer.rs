//! #65 to #67: sewer via water. One line of text and one of numbers for each parameter:
//! `"What it means." key = default "unit", least..=largest, Std|Default;`

macro_rules! sewer_params {
    ([$next:ident $($rest:ident)*] $($before:tt)*) => { $next! { [$($rest)*] $($before)*


    } };
}
