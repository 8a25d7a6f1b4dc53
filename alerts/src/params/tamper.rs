//! #36 and #37: tamper and losses. One line of text and one of numbers for each parameter:
//! `"What it means." key = default "unit", least..=largest, Std|Default;`

macro_rules! tamper_params {
    ([$next:ident $($rest:ident)*] $($before:tt)*) => { $next! { [$($rest)*] $($before)*
    "TMP-SCORE" {
        "Points: a cover that was opened."
            tamper_cover = 3 "points", 0..=20, Default;
        "Points: a strong magnetic field."
            tamper_magnet = 4 "points", 0..=20, Default;
        "Points: tilted or removed, or tampering that is not named closer."
            tamper_tilt = 3 "points", 0..=20, Default;
        "Points: water and gas: the cable cut or the register disconnected."
            tamper_cable = 3 "points", 0..=20, Default;
        "Points: turned back where nothing generates."
            tamper_reverse = 3 "points", 0..=20, Default;
        "Points: a brief outage that no neighbour had."
            tamper_blink = 1 "points", 0..=20, Default;
        "Points: use fell after an event."
            tamper_drop = 4 "points", 0..=20, Default;
        "Points: and the voltage is normal."
            tamper_bypass = 2 "points", 0..=20, Default;
        "Points: use although cut off."
            tamper_use_cut = 4 "points", 0..=20, Default;
        "Points: a wrong password."
            tamper_password = 1 "points", 0..=20, Default;
        "Use must fall by this much within a week after the event."
            tamper_drop_pct = 40 "%", 10..=100, Default;
        "Use while cut off that counts, in milli-units."
            tamper_cut_use = 500000 "1/1000", 0..=100000000, Default;
        "Points from which the severity is P3."
            tamper_score_p3 = 6 "points", 1..=50, Default;
        "Points from which the severity is P2."
            tamper_score_p2 = 9 "points", 1..=50, Default;
        "Below these points, and inspected, it clears."
            tamper_score_clear = 3 "points", 0..=50, Default;
    }

    } };
}
