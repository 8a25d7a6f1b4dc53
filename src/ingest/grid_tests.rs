use super::*;
use expect_test::{Expect, expect};

fn at(text: &str) -> UtcTime {
    UtcTime::parse_rfc3339(&format!("2026-11-21T{text}Z")).unwrap()
}

/// `reads`: `hh:mm:ss total | ...`; quarter hours come out.
fn check(reads: &str, want: Expect) {
    check_steps(1, reads, want);
}

/// The same for a counter of coarser steps.
fn check_steps(step: i64, reads: &str, want: Expect) {
    let mut told = String::new();
    let mut last: Option<Point> = None;
    let mut boundary = None;
    for read in reads.split('|') {
        let (time, total) = read.trim().split_once(' ').unwrap();
        let point = Point { at: at(time), total: total.parse().unwrap() };
        boundary = match last {
            None => start(point, 900),
            Some(from) => {
                derive(from, point, boundary, Grid { len_s: 900, step }, |interval, value| {
                    let end = interval.end().to_jiff().strftime("%H:%M").to_string();
                    told.push_str(&format!("{end} {value}\n"));
                })
            }
        };
        last = Some(point);
    }
    want.assert_eq(&told);
}

#[test]
fn reads_on_the_grid_give_their_difference() {
    check(
        "10:00:00 500 | 10:15:00 620 | 10:30:00 620",
        expect![[r#"
        10:15 120
        10:30 0
    "#]],
    );
}

#[test]
fn reads_off_the_grid_are_joined_by_a_line_rounded_down() {
    check(
        "10:10:00 0 | 10:20:00 100 | 10:40:00 200 | 10:46:00 260",
        expect![[r#"
        10:30 100
        10:45 100
    "#]],
    );
}

#[test]
fn a_counter_of_whole_steps_gives_whole_steps() {
    check_steps(
        1_000,
        "10:03:00 7000 | 10:18:00 8000 | 10:33:00 12000 | 10:48:00 12000 | 11:03:00 15000",
        expect![[r#"
        10:30 4000
        10:45 1000
        11:00 2000
    "#]],
    );
}

#[test]
fn the_first_interval_needs_both_of_its_ends() {
    check(
        "10:01:00 0 | 10:14:00 100 | 10:16:00 102 | 10:29:00 130 | 10:31:00 131",
        expect![[r#"
        10:30 29
    "#]],
    );
}

#[test]
fn a_silence_of_more_than_two_intervals_is_not_bridged() {
    check(
        "10:00:00 0 | 10:15:00 10 | 10:45:01 40 | 11:00:00 50 | 11:15:00 60",
        expect![[r#"
        10:15 10
        11:15 10
    "#]],
    );
    check(
        "10:00:00 0 | 10:15:00 10 | 10:45:00 40 | 11:00:00 50",
        expect![[r#"
        10:15 10
        10:30 15
        10:45 15
        11:00 10
    "#]],
    );
}

#[test]
fn a_fall_gives_a_negative_interval() {
    check(
        "10:00:00 100 | 10:10:00 98 | 10:20:00 99",
        expect![[r#"
        10:15 -2
    "#]],
    );
}

/// A small generator of its own, so that a failing seed can be run again.
fn next(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

#[test]
fn intervals_without_gaps_add_up_to_the_register_advance() {
    for seed in 1..500_u64 {
        let mut random = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let first = Point { at: at("00:00:00"), total: 1_000_000 };
        let (mut from, mut boundary) = (first, start(first, 900));
        let (mut sum, mut ends) = (0_i64, Vec::new());
        for _ in 0..300 {
            let step_us = 1 + i64::try_from(next(&mut random) % 1_800_000_000).unwrap();
            let rise = i64::try_from(next(&mut random) % 5_000).unwrap() - 100;
            let to = Point {
                at: UtcTime::from_micros(from.at.micros() + step_us),
                total: from.total + rise,
            };
            let grid = Grid { len_s: 900, step: [1, 100][usize::from(seed % 2 == 0)] };
            boundary = derive(from, to, boundary, grid, |interval, value| {
                sum += value;
                ends.push(interval.end());
            });
            from = to;
        }
        assert!(ends.windows(2).all(|pair| pair[1] == pair[0].plus_seconds(900)), "seed {seed}");
        assert_eq!(sum, boundary.unwrap().total - first.total, "seed {seed}");
        assert_eq!(*ends.last().unwrap(), boundary.unwrap().at, "seed {seed}");
    }
}
