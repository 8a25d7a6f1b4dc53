//! Which gaps of a channel are estimated together: those between the same two registers.

use std::collections::BTreeSet;

use metering::UtcTime;

use super::horizon::provisional_from;
use crate::estimate::bridge::{self, Exchange};
use crate::estimate::flat::Read;
use crate::estimate::{ChannelFacts, Gap, RegisterWindow, Series, Slot};

/// A valid register read, in milli-units with rollovers already added (never falling).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RegisterTotal {
    pub at: UtcTime,
    pub total: i64,
    /// Reads of different runs (a reset, another meter) say nothing of the use between them.
    pub run: u16,
}

/// What the counter of a channel showed: reads in the order of their runs, rising within each.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Counter {
    pub reads: Vec<RegisterTotal>,
    /// Exchanges of the meter, rising; each begins the run `new_run`.
    pub exchanges: Vec<Exchange>,
}

/// Gaps that share one register residual.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Window {
    pub gaps: Vec<Gap>,
    pub registers: Option<RegisterWindow>,
    /// The meter was exchanged within the last slot of the last gap: the old meter's part of it goes
    /// to the first slot of the next window, which is the same slot.
    pub shared: bool,
    /// The old meter's last total was projected, since it has no final read.
    pub projected: bool,
}

/// Registers further from a gap than this bracket too much to say anything of it: 40 days.
pub const BRACKET_MAX_S: i64 = 40 * 86_400;
/// A derived channel knows its counter at a grid point when the reads around it are no further
/// apart than this many intervals (the derivation's own limit).
const JOINED_INTERVALS_MAX: i64 = 2;

/// Gaps of `series` that end in `(from, to]` and are ripe at log time `now`, in windows. `from`
/// stands on the channel's grid. Gaps are cut where a register was read on the grid, and where the
/// meter was exchanged (7.7): each part then has a residual of its own.
pub fn windows(
    facts: &ChannelFacts,
    series: &Series,
    counter: &Counter,
    (from, to): (UtcTime, UtcTime),
    now: UtcTime,
) -> Vec<Window> {
    let planner = Planner::new(facts, series, counter);
    let read_at: BTreeSet<UtcTime> = counter.reads.iter().map(|read| read.at).collect();
    let exchanged = |at: UtcTime| planner.exchanges.iter().any(|one| one.slot.from == at);
    let cut = |at: UtcTime| read_at.contains(&at) || exchanged(at);
    let gaps = match local_days(facts, series) {
        true => days_without_value(facts, series, (from, to), cut),
        false => series.gaps(from, to, cut),
    };
    let ripe = |gap: &Gap| provisional_from(gap.to, &facts.calendar) <= now;
    let mut windows: Vec<Window> = Vec::new();
    for gap in gaps.into_iter().filter(ripe) {
        let told = windows.last().is_some_and(|last| {
            last.shared && last.gaps.last().is_some_and(|old| old.overlaps(gap.from, gap.to))
        });
        for part in planner.parts(gap).into_iter().skip_while(|part| told && part.shared) {
            match windows.last_mut() {
                Some(last) if last.takes(&part) => last.gaps.extend(part.gaps),
                _ => windows.push(part),
            }
        }
    }
    windows
}

/// Values of whole days that the device takes at its local midnight: they are no 24 hours apart when
/// the clocks change.
fn local_days(facts: &ChannelFacts, series: &Series) -> bool {
    let daily = i64::from(facts.len_s()) >= metering::time::DAY_S && !facts.is_register_only();
    let at_midnight = |end: UtcTime| facts.calendar.day_containing(end).start == end;
    daily && series.slots().last().is_none_or(|slot| at_midnight(slot.end))
}

/// [`Series::gaps`] over the ends of local days.
fn days_without_value(
    facts: &ChannelFacts,
    series: &Series,
    (from, to): (UtcTime, UtcTime),
    cut: impl Fn(UtcTime) -> bool,
) -> Vec<Gap> {
    let mut gaps: Vec<Gap> = Vec::new();
    let first = facts.calendar.day_containing(from).end;
    let next = |end: &UtcTime| Some(facts.calendar.day_containing(*end).end);
    for end in std::iter::successors(Some(first), next).take_while(|end| *end <= to) {
        if series.at(end).is_some_and(Slot::is_usable) {
            continue;
        }
        let start = end.plus_seconds(-i64::from(facts.len_s()));
        match gaps.last_mut() {
            Some(last) if last.to == start && !cut(start) => last.to = end,
            _ => gaps.push(Gap::new(start, end)),
        }
    }
    gaps
}

impl Window {
    fn takes(&self, next: &Self) -> bool {
        next.registers.is_some()
            && self.registers == next.registers
            && !self.shared
            && self.projected == next.projected
    }
}

/// An exchange with the slot that it lies in.
struct Exchanged<'a> {
    exchange: &'a Exchange,
    slot: Gap,
    /// The slot has no value of its own: both meters have a part in it.
    shared: bool,
}

struct Planner<'a> {
    facts: &'a ChannelFacts,
    /// By run. Reads of an exchange stand at the edges of its slot when both meters share it: the
    /// old one counts nothing after the exchange, the new one nothing before it.
    runs: Vec<Vec<RegisterTotal>>,
    exchanges: Vec<Exchanged<'a>>,
}

impl<'a> Planner<'a> {
    fn new(facts: &'a ChannelFacts, series: &Series, counter: &'a Counter) -> Self {
        let len = i64::from(facts.len_s().max(1));
        let exchanged = |exchange: &'a Exchange| {
            let start = exchange.at.floor_to(len);
            let slot = Gap::new(start, start.plus_seconds(len));
            let missing = !series.at(slot.to).is_some_and(Slot::is_usable);
            Exchanged { exchange, slot, shared: missing && start < exchange.at }
        };
        let exchanges: Vec<Exchanged<'a>> = counter.exchanges.iter().map(exchanged).collect();
        let mut runs: Vec<Vec<RegisterTotal>> = Vec::new();
        for read in &counter.reads {
            let (mut read, at) = (*read, read.at);
            for one in exchanges.iter().filter(|one| one.shared && one.exchange.at == at) {
                let is_new = read.run == one.exchange.new_run;
                read.at = if is_new { one.slot.from } else { one.slot.to };
            }
            match runs
                .last_mut()
                .filter(|run| run.first().is_none_or(|first| first.run == read.run))
            {
                Some(run) => run.push(read),
                None => runs.push(vec![read]),
            }
        }
        Self { facts, runs, exchanges }
    }

    /// The gap in one or two windows: the slot of an exchange is in that of either meter.
    fn parts(&self, gap: Gap) -> Vec<Window> {
        let alone =
            |registers| Window { gaps: vec![gap], registers, shared: false, projected: false };
        // The gap before the exchange reaches over its slot.
        if let Some(one) = self.exchanges.iter().find(|one| one.slot.from == gap.to) {
            let slot = if one.shared { one.slot.to } else { gap.to };
            return vec![self.old_side(one, Gap::new(gap.from, slot))];
        }
        let Some(one) = self.exchanges.iter().find(|one| one.slot.from == gap.from && one.shared)
        else {
            return vec![alone(self.registers(gap, |_| true))];
        };
        // Right before it the old meter had a value: the slot alone is its gap.
        let old = self.old_side(one, one.slot);
        let new_run = one.exchange.new_run;
        let mut parts = vec![alone(self.registers(gap, |run| run >= new_run))];
        if old.registers.is_some() {
            parts.insert(0, old);
        }
        parts
    }

    fn old_side(&self, one: &Exchanged<'_>, gap: Gap) -> Window {
        let whole = Window {
            gaps: vec![gap],
            registers: self.registers(gap, |run| run < one.exchange.new_run),
            shared: one.shared,
            projected: false,
        };
        if whole.registers.is_some() || one.exchange.has_final {
            return whole;
        }
        let before = |run: &&Vec<RegisterTotal>| {
            run.last().is_some_and(|last| last.run < one.exchange.new_run && last.at <= gap.from)
        };
        let Some(run) = self.runs.iter().rev().find(before) else { return whole };
        let reads: Vec<Read> =
            run.iter().map(|read| Read { at: read.at, value: read.total }).collect();
        let registers = bridge::projected(&reads, one.exchange.at, gap.to);
        Window { projected: registers.is_some(), registers, ..whole }
    }

    fn registers(&self, gap: Gap, of: impl Fn(u16) -> bool) -> Option<RegisterWindow> {
        let of_run = |reads: &Vec<RegisterTotal>| {
            if self.facts.is_register_only() {
                derived(reads, gap, (self.facts.len_s(), self.facts.step()))
            } else {
                bracket(reads, gap)
            }
        };
        let runs = self.runs.iter().filter(|reads| reads.first().is_some_and(|read| of(read.run)));
        runs.into_iter().find_map(of_run)
    }
}

/// The last read at or before the gap and the first at or after it.
fn bracket(reads: &[RegisterTotal], gap: Gap) -> Option<RegisterWindow> {
    let after = reads.partition_point(|read| read.at < gap.to);
    let before = reads.partition_point(|read| read.at <= gap.from).checked_sub(1)?;
    between(*reads.get(before)?, *reads.get(after)?, gap)
}

/// The counter at the very edges of the gap: the neighbours of a derived channel were cut from the
/// same lines, so slots and counter agree to the last unit.
fn derived(reads: &[RegisterTotal], gap: Gap, grid: (i32, i64)) -> Option<RegisterWindow> {
    let at = |edge| line_at(reads, edge, grid);
    match (at(gap.from), at(gap.to)) {
        (Some(open), Some(close)) => between(open, close, gap),
        _ => bracket(reads, gap),
    }
}

/// The line between two reads, rounded down to the counter's step as the derivation does.
fn line_at(
    reads: &[RegisterTotal],
    at: UtcTime,
    (len_s, step): (i32, i64),
) -> Option<RegisterTotal> {
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
    let step = i128::from(step.max(1));
    let steps = (rise * part).div_euclid(i128::from(span.max(1))).div_euclid(step);
    let total = i128::from(from.total) + (steps * step).max(rise.min(0));
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
    use expect_test::{Expect, expect};
    use metering::{
        ChannelAsset, ChannelKind, ChannelNo, Commodity, LocalCalendar, QualityStatus, ReadingType,
    };

    use super::*;
    use crate::estimate::Slot;

    /// Quarter hours from midnight: `v` valid, anything else missing. Reads: (minute, total).
    fn check(kind: ChannelKind, slots: &str, reads: &[(i64, i64)], want: Expect) {
        let reads: Vec<(i64, i64, u16)> =
            reads.iter().map(|(minute, total)| (*minute, *total, 0)).collect();
        check_runs(kind, slots, (&reads, None), want);
    }

    /// Reads (minute, total, run), and an exchange (minute, has a final read) that begins run 1.
    type Registers<'a> = (&'a [(i64, i64, u16)], Option<(i64, bool)>);

    fn check_runs(kind: ChannelKind, slots: &str, (reads, exchange): Registers<'_>, want: Expect) {
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
            .map(|(minute, total, run)| RegisterTotal { at: at(*minute), total: *total, run: *run })
            .collect();
        let exchanges = exchange
            .map(|(minute, has_final)| Exchange { at: at(minute), new_run: 1, has_final })
            .into_iter()
            .collect();
        let counter = Counter { reads, exchanges };
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
            let shared = if window.shared { " shared" } else { "" };
            let projected = if window.projected { " projected" } else { "" };
            format!("{} | {registers}{shared}{projected}\n", gaps.join(" "))
        };
        let told = windows(&facts, &series, &counter, (midnight, to), now);
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

    #[test]
    fn an_exchange_parts_a_gap_and_shares_its_slot() {
        let of = ChannelKind::Interval;
        // On the grid: two windows, each meter with its own registers.
        let reads = [(0, 100, 0), (60, 130, 0), (60, 5, 1), (180, 45, 1)];
        check_runs(
            of,
            "vv.....vvvvv",
            (&reads, Some((60, true))),
            expect![[r#"
            30-60 | 0..60 +30
            60-105 | 60..180 +40
        "#]],
        );
        // Within a slot: it stands in both windows.
        let reads = [(0, 100, 0), (67, 130, 0), (67, 5, 1), (180, 45, 1)];
        check_runs(
            of,
            "vv.....vvvvv",
            (&reads, Some((67, true))),
            expect![[r#"
                30-75 | 0..75 +30 shared
                60-105 | 60..180 +40
            "#]],
        );
        check_runs(
            of,
            "vvvv.vvvvvvv",
            (&reads, Some((67, true))),
            expect![[r#"
                60-75 | 0..75 +30 shared
                60-75 | 60..180 +40
            "#]],
        );
        // Without a final read the old meter's average goes on to the exchange.
        let reads = [(0, 100, 0), (30, 130, 0), (60, 5, 1), (180, 45, 1)];
        check_runs(
            of,
            "vv.....vvvvv",
            (&reads, Some((60, false))),
            expect![[r#"
            30-60 | 30..60 +30 projected
            60-105 | 60..180 +40
        "#]],
        );
    }
}
