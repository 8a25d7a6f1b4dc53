//! What the counter of a channel showed, in runs that can be compared.

use metering::UtcTime;
use store::assets::RegistryChannel;
use store::estimation::RegisterRead;
use vee::estimate::RegisterWindow;
use vee::estimate::bridge::Exchange;
use vee::estimation::{Counter, RegisterTotal};

/// A rollover starts from at least this share of the modulus, in percent.
const ROLLOVER_FROM_PERCENT: i128 = 90;
/// Sources of reads: the old meter's last, the new one's first.
const REMOVAL: i16 = 3;
const SET: i16 = 4;
/// A final read belongs to the exchange that follows within a day.
const FINAL_BEFORE_S: i64 = 86_400;

/// Usable reads with rollovers added. An exchange begins another run, and so does a counter that
/// falls otherwise. `exchanged` rises.
pub(super) fn of(
    reads: &[RegisterRead],
    info: Option<&RegistryChannel>,
    exchanged: &[UtcTime],
) -> Counter {
    let (modulus, step) = info.map_or((0, 1), |info| (info.modulus, info.resolution.max(1)));
    let (mut lifted, mut run) = (0_i64, 0_u16);
    let mut told = Counter::default();
    let mut last: Option<&RegisterRead> = None;
    for read in reads.iter().filter(|read| read.usable) {
        if let Some(before) = last {
            let new_meter = |at: &&UtcTime| {
                let after = before.read_at < **at || before.source == REMOVAL;
                after && **at <= read.read_at && read.source != REMOVAL
            };
            if let Some(at) = exchanged.iter().rev().find(new_meter) {
                run = run.saturating_add(1);
                let has_final =
                    before.source == REMOVAL && at.seconds_since(before.read_at) < FINAL_BEFORE_S;
                if let Some(last) = told.reads.last_mut().filter(|_| has_final) {
                    last.at = *at;
                }
                told.exchanges.push(Exchange { at: *at, new_run: run, has_final });
            } else if before.read_at == read.read_at {
                continue;
            } else if read.source == SET {
                run = run.saturating_add(1);
            } else if read.raw < before.raw {
                match lift(before, (modulus, step), lifted) {
                    Some(higher) => lifted = higher,
                    None => run = run.saturating_add(1),
                }
            }
        }
        last = Some(read);
        let Some(total) = read.value.checked_add(lifted) else { break };
        told.reads.push(RegisterTotal { at: read.read_at, total, run });
    }
    told
}

/// What a rollover adds, when the counter may have rolled over after `before`.
fn lift(before: &RegisterRead, (modulus, step): (i64, i64), lifted: i64) -> Option<i64> {
    let late = i128::from(before.raw) * 100 >= i128::from(modulus) * ROLLOVER_FROM_PERCENT;
    let whole = modulus.checked_mul(step).filter(|_| modulus > 0 && late)?;
    lifted.checked_add(whole)
}

/// The counter between two instants at which it was read.
pub(super) fn exactly(counter: &Counter, (from, to): (UtcTime, UtcTime)) -> Option<RegisterWindow> {
    let at = |at: UtcTime| counter.reads.iter().filter(move |read| read.at == at);
    let (open, close) =
        at(from).find_map(|open| Some((open, at(to).find(|close| close.run == open.run)?)))?;
    Some(RegisterWindow {
        open_at: from,
        close_at: to,
        open: open.total,
        close: close.total,
        advance: close.total.checked_sub(open.total)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(at: i64, raw: i64, source: i16) -> RegisterRead {
        let read_at = UtcTime::from_seconds(at);
        RegisterRead { read_at, value: raw * 10, raw, source, usable: true }
    }

    fn runs(counter: &Counter) -> Vec<(i64, i64, u16)> {
        counter.reads.iter().map(|read| (read.at.seconds(), read.total, read.run)).collect()
    }

    #[test]
    fn a_fall_that_is_no_rollover_begins_another_run() {
        let reads = [read(1, 50, 1), read(2, 60, 1), read(3, 5, 1), read(4, 6, 1), read(5, 90, 4)];
        let told = of(&reads, None, &[]);
        assert_eq!(runs(&told), [(1, 500, 0), (2, 600, 0), (3, 50, 1), (4, 60, 1), (5, 900, 2)]);
        assert!(told.exchanges.is_empty());
    }

    #[test]
    fn an_exchange_begins_another_run_whatever_the_counters_show() {
        let at = UtcTime::from_seconds;
        // The final read a little before, and at the same instant.
        for last_at in [90, 100] {
            let reads = [read(1, 50, 1), read(last_at, 60, 3), read(100, 7_000, 4)];
            let told = of(&reads, None, &[at(100)]);
            assert_eq!(runs(&told), [(1, 500, 0), (100, 600, 0), (100, 70_000, 1)]);
            let want = Exchange { at: at(100), new_run: 1, has_final: true };
            assert_eq!(told.exchanges, [want]);
        }
        // Known from the issue alone: the next read is the new meter's.
        let told = of(&[read(1, 50, 1), read(300, 80, 1)], None, &[at(100)]);
        assert_eq!(runs(&told), [(1, 500, 0), (300, 800, 1)]);
        assert!(!told.exchanges[0].has_final);
    }

    #[test]
    fn the_window_of_a_rate_needs_both_its_reads() {
        let at = UtcTime::from_seconds;
        let told = of(&[read(1, 50, 1), read(9, 80, 1)], None, &[]);
        assert_eq!(exactly(&told, (at(1), at(9))).map(|window| window.advance), Some(300));
        assert_eq!(exactly(&told, (at(1), at(8))), None);
    }
}
