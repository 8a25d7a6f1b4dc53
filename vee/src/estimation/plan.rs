//! Which gaps of a channel are estimated together: those between the same two registers.

use metering::UtcTime;

use super::horizon::provisional_from;
use crate::estimate::{ChannelFacts, Gap, RegisterWindow, Series};

/// A valid register read, in milli-units with rollovers already added (never falling).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RegisterTotal {
    pub at: UtcTime,
    pub total: i64,
    /// Reads of different runs (a reset, another meter) say nothing of the use between them.
    pub run: u16,
}

/// Gaps that share one register residual.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Window {
    pub gaps: Vec<Gap>,
    pub registers: Option<RegisterWindow>,
}

/// Registers further from a gap than this bracket too much to say anything of it: 40 days.
pub const BRACKET_MAX_S: i64 = 40 * 86_400;
/// A derived channel knows its counter at a grid point when the reads around it are no further
/// apart than this many intervals (the derivation's own limit).
const JOINED_INTERVALS_MAX: i64 = 2;

/// Gaps of `series` that end in `(from, to]` and are ripe at log time `now`, in windows. `from`
/// stands on the channel's grid. `reads` rise. Gaps are cut where a register was read on the grid:
/// each part then has a residual of its own.
pub fn windows(
    facts: &ChannelFacts,
    series: &Series,
    reads: &[RegisterTotal],
    (from, to): (UtcTime, UtcTime),
    now: UtcTime,
) -> Vec<Window> {
    let read_at = |at: UtcTime| reads.binary_search_by_key(&at, |read| read.at).is_ok();
    let gaps = series.gaps(from, to, read_at);
    let ripe = gaps.into_iter().filter(|gap| provisional_from(gap.to, &facts.calendar) <= now);
    let mut windows: Vec<Window> = Vec::new();
    for gap in ripe {
        let registers = if facts.is_register_only() {
            derived(reads, gap, facts.len_s())
        } else {
            bracket(reads, gap)
        };
        match windows.last_mut() {
            Some(last) if registers.is_some() && last.registers == registers => last.gaps.push(gap),
            _ => windows.push(Window { gaps: vec![gap], registers }),
        }
    }
    windows
}

/// The last read at or before the gap and the first at or after it.
fn bracket(reads: &[RegisterTotal], gap: Gap) -> Option<RegisterWindow> {
    let after = reads.partition_point(|read| read.at < gap.to);
    let before = reads.partition_point(|read| read.at <= gap.from).checked_sub(1)?;
    between(*reads.get(before)?, *reads.get(after)?, gap)
}

/// The counter at the very edges of the gap: the neighbours of a derived channel were cut from the
/// same lines, so slots and counter agree to the last unit.
fn derived(reads: &[RegisterTotal], gap: Gap, len_s: i32) -> Option<RegisterWindow> {
    let at = |edge| line_at(reads, edge, len_s);
    match (at(gap.from), at(gap.to)) {
        (Some(open), Some(close)) => between(open, close, gap),
        _ => bracket(reads, gap),
    }
}

fn line_at(reads: &[RegisterTotal], at: UtcTime, len_s: i32) -> Option<RegisterTotal> {
    let after = reads.partition_point(|read| read.at < at);
    let to = reads.get(after)?;
    if to.at == at {
        return Some(*to);
    }
    let from = reads.get(after.checked_sub(1)?)?;
    let span = to.at.micros().checked_sub(from.at.micros())?;
    if span > i64::from(len_s) * JOINED_INTERVALS_MAX * 1_000_000 || from.run != to.run {
        return None;
    }
    let part = i128::from(at.micros() - from.at.micros());
    let rise = i128::from(to.total) - i128::from(from.total);
    let total = i128::from(from.total) + (rise * part).div_euclid(i128::from(span.max(1)));
    Some(RegisterTotal { at, total: i64::try_from(total).ok()?, run: to.run })
}

fn between(open: RegisterTotal, close: RegisterTotal, gap: Gap) -> Option<RegisterWindow> {
    let far = gap.from.seconds_since(open.at).max(close.at.seconds_since(gap.to));
    let advance = close.total.checked_sub(open.total)?;
    (far <= BRACKET_MAX_S && open.run == close.run).then_some(RegisterWindow {
        open_at: open.at,
        close_at: close.at,
        open: open.total,
        close: close.total,
        advance,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use expect_test::{Expect, expect};
    use metering::{
        ChannelAsset, ChannelKind, ChannelNo, Commodity, LocalCalendar, QualityStatus, ReadingType,
    };

    use super::*;
    use crate::estimate::Slot;

    /// Quarter hours from midnight: `v` valid, anything else missing. Reads: (minute, total).
    fn check(kind: ChannelKind, slots: &str, reads: &[(i64, i64)], want: Expect) {
        let midnight = UtcTime::parse_rfc3339("2026-07-01T00:00:00Z").unwrap();
        let at = |minute: i64| midnight.plus_seconds(minute * 60);
        let valid = slots.char_indices().filter(|(_, c)| *c == 'v').map(|(k, _)| {
            let end = at((i64::try_from(k).unwrap() + 1) * 15);
            Slot::new(end, 1, QualityStatus::Validated)
        });
        let series = Series::new(900, valid.collect());
        let facts = ChannelFacts {
            channel: ChannelAsset {
                channel: ChannelNo::new(1),
                reading_type: ReadingType::ENERGY_IMPORT,
                kind,
                len_s: 900,
                resolution: 1,
                cap_per_hour: 0,
                delivery_lag_s: 0,
            },
            commodity: Commodity::Electricity,
            calendar: LocalCalendar::new("UTC").unwrap(),
            holidays: BTreeSet::new(),
            net: false,
        };
        let reads: Vec<RegisterTotal> = reads
            .iter()
            .map(|(minute, total)| RegisterTotal { at: at(*minute), total: *total, run: 0 })
            .collect();
        let to = at(i64::try_from(slots.len()).unwrap() * 15);
        let now = at(10 * 1440);
        let minute = |t: UtcTime| t.seconds_since(midnight) / 60;
        let line = |window: &Window| {
            let gaps: Vec<String> = window
                .gaps
                .iter()
                .map(|gap| format!("{}-{}", minute(gap.from), minute(gap.to)))
                .collect();
            let registers = window.registers.map_or("-".to_owned(), |r| {
                format!("{}..{} +{}", minute(r.open_at), minute(r.close_at), r.advance)
            });
            format!("{} | {registers}\n", gaps.join(" "))
        };
        let told = windows(&facts, &series, &reads, (midnight, to), now);
        want.assert_eq(&told.iter().map(line).collect::<String>());
    }

    #[test]
    fn gaps_between_the_same_registers_go_together() {
        let reads = [(0, 100), (180, 160)];
        check(
            ChannelKind::Interval,
            "v..vv...vvvv",
            &reads,
            expect![[r#"
            15-45 75-120 | 0..180 +60
        "#]],
        );
        check(
            ChannelKind::Interval,
            "v..vv...vvvv",
            &[(0, 100)],
            expect![[r#"
            15-45 | -
            75-120 | -
        "#]],
        );
    }

    #[test]
    fn a_read_on_the_grid_cuts_a_gap() {
        let reads = [(0, 100), (90, 130), (180, 160)];
        check(
            ChannelKind::Interval,
            "v..vv...vvvv",
            &reads,
            expect![[r#"
            15-45 75-90 | 0..90 +30
            90-120 | 90..180 +30
        "#]],
        );
    }

    #[test]
    fn a_derived_channel_knows_its_counter_at_the_edges() {
        let reads = [(3, 100), (18, 115), (110, 300), (125, 330)];
        check(
            ChannelKind::Register,
            "v......vvvvv",
            &reads,
            expect![[r#"
            15-105 | 3..110 +200
        "#]],
        );
        check(
            ChannelKind::Register,
            "v.......vvvv",
            &reads,
            expect![[r#"
            15-120 | 15..120 +208
        "#]],
        );
    }
}
