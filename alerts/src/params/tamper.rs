//! #36 and #37: tamper and losses. One line of text and one of numbers for each parameter:
//! `"What it means." key = default "unit", least..=largest, Std|Default;`

macro_rules! tamper_params {
    ([$next:ident $($rest:ident)*] $($before:tt)*) => { $next! { [$($rest)*] $($before)*


    } };
}
