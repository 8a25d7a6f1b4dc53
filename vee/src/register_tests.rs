use super::*;
use expect_test::{Expect, expect};
use proptest::prelude::*;

/// `limits`: `modulus M cap C` (steps per hour), perhaps `net`. `reads`: `hh:mm raw | ...`.
fn check(limits: &str, reads: &str, want: Expect) {
    let words: Vec<&str> = limits.split_whitespace().collect();
    let number = |name: &str| {
        words.iter().position(|word| *word == name).map_or(0, |at| words[at + 1].parse().unwrap())
    };
    let limits = CounterLimits {
        modulus: number("modulus"),
        cap_per_hour: number("cap"),
        net: words.contains(&"net"),
    };
    let mut previous = None;
    let mut told = String::new();
    for read in reads.split('|') {
        let (time, raw) = read.trim().split_once(' ').unwrap();
        let (hours, minutes) = time.split_once(':').unwrap();
        let seconds = hours.parse::<i64>().unwrap() * 3600 + minutes.parse::<i64>().unwrap() * 60;
        let read_at = UtcTime::from_seconds(1_800_000_000 + seconds);
        let now = Counter { read_at, raw: raw.trim().parse().unwrap() };
        let advance = classify(previous, now, &limits, &Params::default());
        told.push_str(&format!("{time} {:>6} {advance:?}\n", now.raw));
        if advance != Advance::Stale {
            previous = Some(now);
        }
    }
    want.assert_eq(&told);
}

#[test]
fn a_counter_counts_on_and_equal_reads_are_an_advance_of_zero() {
    check(
        "modulus 100000 cap 500",
        "00:00 99000 | 01:00 99100 | 02:00 99100 | 02:00 99100 | 01:30 99050",
        expect![[r#"
            00:00  99000 First
            01:00  99100 Forward { delta: 100, over_cap: false }
            02:00  99100 Forward { delta: 0, over_cap: false }
            02:00  99100 Stale
            01:30  99050 Stale
        "#]],
    );
}

#[test]
fn a_rollover_needs_a_high_start_and_a_plausible_advance() {
    check(
        "modulus 100000 cap 500",
        "00:00 99985 | 01:00 12",
        expect![[r#"
            00:00  99985 First
            01:00     12 Rollover { delta: 27 }
        "#]],
    );
}

#[test]
fn a_few_steps_down_are_a_decrease_and_more_a_reset() {
    check(
        "modulus 100000 cap 500",
        "00:00 5000 | 01:00 4998 | 02:00 5003 | 03:00 4000 | 04:00 4001 | 05:00 0",
        expect![[r#"
            00:00   5000 First
            01:00   4998 Decrease { delta: -2 }
            02:00   5003 Forward { delta: 5, over_cap: false }
            03:00   4000 Reset
            04:00   4001 Forward { delta: 1, over_cap: false }
            05:00      0 Reset
        "#]],
    );
}

#[test]
fn below_zero_is_a_small_decrease_although_the_dial_shows_nines() {
    check(
        "modulus 100000 cap 500",
        "00:00 1 | 01:00 99999 | 02:00 3",
        expect![[r#"
            00:00      1 First
            01:00  99999 Decrease { delta: -2 }
            02:00      3 Rollover { delta: 4 }
        "#]],
    );
}

#[test]
fn an_impossible_advance_is_marked_with_the_true_time_between_the_reads() {
    check(
        "modulus 0 cap 100",
        "00:00 1000 | 00:01 1001 | 01:01 1200 | 23:01 3800 | 23:02 3801 | 23:03 3900",
        expect![[r#"
            00:00   1000 First
            00:01   1001 Forward { delta: 1, over_cap: false }
            01:01   1200 Forward { delta: 199, over_cap: true }
            23:01   3800 Forward { delta: 2600, over_cap: false }
            23:02   3801 Forward { delta: 1, over_cap: false }
            23:03   3900 Forward { delta: 99, over_cap: true }
        "#]],
    );
}

#[test]
fn without_a_known_cap_a_rollover_lands_within_a_tenth_of_the_dial() {
    check(
        "modulus 1000",
        "00:00 950 | 01:00 20",
        expect![[r#"
            00:00    950 First
            01:00     20 Rollover { delta: 70 }
        "#]],
    );
    check(
        "modulus 1000",
        "00:00 950 | 01:00 300",
        expect![[r#"
            00:00    950 First
            01:00    300 Reset
        "#]],
    );
}

#[test]
fn a_net_register_goes_either_way_by_the_shorter_path() {
    check(
        "modulus 1000 cap 50 net",
        "00:00 10 | 01:00 990 | 02:00 30 | 03:00 5",
        expect![[r#"
            00:00     10 First
            01:00    990 Forward { delta: -20, over_cap: false }
            02:00     30 Forward { delta: 40, over_cap: false }
            03:00      5 Forward { delta: -25, over_cap: false }
        "#]],
    );
}

proptest! {
    #[test]
    fn a_counter_with_a_modulus_tells_what_was_used(
        start in 0_i64..100_000,
        used in proptest::collection::vec(0_i64..600, 1..200),
    ) {
        let limits = CounterLimits { modulus: 100_000, cap_per_hour: 500, net: false };
        let mut total = start;
        let mut previous = Counter { read_at: UtcTime::from_seconds(0), raw: start };
        for (hour, used) in (1..).zip(used) {
            total += used;
            let read_at = UtcTime::from_seconds(hour * 3600);
            let now = Counter { read_at, raw: total % limits.modulus };
            let advance = classify(Some(previous), now, &limits, &Params::default());
            prop_assert_eq!(advance.delta(), Some(used), "{:?} {:?}", previous, now);
            previous = now;
        }
    }

    #[test]
    fn any_two_reads_have_a_classification(
        old in any::<i64>(), new in any::<i64>(), seconds in any::<i64>(), modulus in any::<i64>(),
        cap_per_hour in any::<i64>(), net in any::<bool>(),
    ) {
        let limits = CounterLimits { modulus, cap_per_hour, net };
        let previous = Counter { read_at: UtcTime::from_micros(0), raw: old };
        let now = Counter { read_at: UtcTime::from_micros(seconds), raw: new };
        classify(Some(previous), now, &limits, &Params::default());
    }
}
