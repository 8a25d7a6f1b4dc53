//! Stretches of continuous flow and bursts in the slots that a channel keeps, found in the order of
//! event time: the same whatever the order in which the slots came (`metering-rules` 9.4).

use crate::alerts::Rate;
use crate::state::NEVER;
use crate::state::water::{Stream, Water};

const HOUR_S: i64 = 3_600;

/// One stretch of continuous flow, or one burst. Instants in seconds of event time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Episode {
    pub(crate) start: i64,
    /// End of the data that first showed it.
    pub(crate) shown: i64,
    /// [`NEVER`] while it lasts.
    pub(crate) end: i64,
    /// Continuous flow: end of the pause that may be its end; 0 = none. Burst: its limit in mL/h.
    pub(crate) mark: i64,
    /// The window that shows it worst; no window when it was shown by slots that are gone.
    pub(crate) window: Option<Window>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Window {
    pub(crate) from: i64,
    pub(crate) to: i64,
    /// The least rate in it, in mL/h: of whole hours but for the one in which the flow began and
    /// the newest, in which it may have ended; or of the slots of a burst.
    pub(crate) least: i64,
    /// The same of the newest window.
    pub(crate) rate: Rate,
    pub(crate) slots: i64,
}

impl Window {
    pub(crate) fn new((from, to): (i64, i64), least: i64, slots: i64) -> Self {
        Self { from, to, least, rate: Rate { from, to, mlph: least }, slots }
    }
}

impl Episode {
    fn new(start: i64, window: Window, mark: i64) -> Self {
        Self { start, shown: window.to, end: NEVER, mark, window: Some(window) }
    }

    /// Seen again: the worst window counts, and the newest tells how long it lasts.
    fn see(&mut self, window: Window) {
        match &mut self.window {
            Some(worst) if worst.least >= window.least => {
                (worst.to, worst.rate) = (window.to, window.rate);
            }
            worst => *worst = Some(window),
        }
    }

    pub(crate) fn lasts(&self) -> bool {
        self.end == NEVER
    }
}

/// What continuous flow is on a channel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Continuity {
    pub(crate) len_s: i64,
    /// Slots judged together.
    pub(crate) together: i64,
    /// Units of `together` slots that must have flow.
    pub(crate) wanted: i64,
    /// Slots among which they must be.
    pub(crate) within: i64,
    /// Slots without flow that are a pause.
    pub(crate) pause: i64,
    pub(crate) keep_s: i64,
    /// Least rate of whole hours, in mL/h.
    pub(crate) least: i64,
    /// The place is watched for new ones.
    pub(crate) raises: bool,
    /// The newest slot to look at.
    pub(crate) until: i64,
}

/// Units in a row without a unit of no flow, newest last.
struct Run<'a> {
    water: &'a Water,
    rule: &'a Continuity,
    /// Sums of the whole hours (or units, when they are longer) that are kept: slots of one, the
    /// number of the first, and the sums.
    step: i64,
    first: i64,
    hours: Vec<Option<i64>>,
    stream: Stream,
    /// Ends of the known units with flow since.
    known: Vec<i64>,
}

impl<'a> Run<'a> {
    fn new(water: &'a Water, rule: &'a Continuity) -> Self {
        let step = (HOUR_S / rule.len_s).max(rule.together);
        let first = (water.floor() + step).div_euclid(step);
        let last = water.head.s().div_euclid(step);
        let hours = (first..=last).map(|hour| water.sum(hour * step, step)).collect();
        let stream = water.stream_before();
        Self { water, rule, step, first, hours, stream, known: Vec::new() }
    }

    /// The window that ends with a known unit.
    fn window(&self, end: i64) -> Option<Window> {
        let rule = self.rule;
        let wanted = usize::try_from(rule.wanted).ok()?;
        let first = self.known.len().checked_sub(wanted)?;
        let before = self.known.get(first)? - rule.together;
        if end - before > rule.within {
            return None;
        }
        let hours = self.hours_within(before, end);
        let begins = hours.first().is_some_and(|(first, _)| self.begins_in(before, *first));
        let full = hours.get(usize::from(begins)..).unwrap_or_default();
        let least = |hours: &[(i64, i64)]| hours.iter().map(|(_, rate)| *rate).min();
        let all = least(full)?;
        let known = i64::try_from(hours.len()).ok()? * self.step * rule.len_s / HOUR_S;
        let least = full.split_last().and_then(|(_, before)| least(before)).unwrap_or(all);
        let span = (before * rule.len_s, end * rule.len_s);
        (known >= 20 && all >= rule.least)
            .then(|| Window::new(span, least, rule.wanted * rule.together))
    }

    /// The whole hours that are known within the slots after `before` up to `end`, with their rates
    /// in mL/h.
    fn hours_within(&self, before: i64, end: i64) -> Vec<(i64, i64)> {
        let span_s = self.step * self.rule.len_s;
        let first = (before + self.step - 1).div_euclid(self.step) + 1;
        let known = |hour: i64| {
            let at = usize::try_from(hour - self.first).ok()?;
            let sum = (*self.hours.get(at)?)?;
            Some((hour, sum * HOUR_S / span_s))
        };
        (first..=end.div_euclid(self.step)).filter_map(known).collect()
    }

    /// Whether the flow began in this hour, so that it is not full: nothing flowed before it.
    fn begins_in(&self, before: i64, hour: i64) -> bool {
        let dry = self.stream.dry == before
            || self.water.sum(before, self.rule.together).is_some_and(|sum| sum == 0);
        dry && (hour - 1) * self.step == before
    }

    /// Where the flow began that a window shows: a coarse counter does not tell.
    fn start(&self, window: Window) -> i64 {
        let dry = self.stream.dry;
        let known = dry != NEVER && self.rule.together == 1;
        if known { (dry * self.rule.len_s).min(window.from) } else { window.from }
    }
}

/// All stretches of continuous flow. `carried` began before the slots that are kept.
pub(crate) fn continuous(
    water: &Water,
    rule: &Continuity,
    carried: Option<Episode>,
) -> Vec<Episode> {
    let len_s = rule.len_s;
    let mut found = Vec::new();
    let mut lasting = carried;
    let mut run = Run::new(water, rule);
    let last = rule.until.min(water.head.s());
    for end in water.floor() + 1..=last {
        let at = end * len_s;
        let value = water.get(end);
        let dry = value == Some(0);
        run.stream.note(end, value);
        if let Some(episode) = &mut lasting {
            let pauses = dry && episode.mark == 0 && at > episode.start;
            if pauses && water.sum(end, rule.pause) == Some(0) {
                episode.mark = at;
            }
        }
        let whole = end % rule.together == 0;
        let mut window = None;
        match whole.then(|| water.sum(end, rule.together)).flatten() {
            Some(0) => run.known.clear(),
            Some(_) => {
                run.known.push(end);
                // What lasts is looked at hour by hour.
                let due = lasting.is_none() || end % run.step == 0 || end == last;
                let looks = rule.raises && due;
                window = looks.then(|| run.window(end)).flatten();
            }
            None => {}
        }
        match (window, &mut lasting) {
            (Some(window), Some(episode)) => {
                episode.mark = 0;
                episode.see(window);
            }
            (Some(window), None) => lasting = Some(Episode::new(run.start(window), window, 0)),
            (None, Some(episode)) if episode.mark != 0 && at >= episode.mark + rule.keep_s => {
                episode.end = episode.mark;
                found.extend(lasting.take());
            }
            _ => {}
        }
    }
    found.extend(lasting);
    found
}

/// What a burst is on a channel.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Gush {
    pub(crate) len_s: i64,
    /// Slots in a row above the limit.
    pub(crate) slots: i64,
    /// Slots in a row below half of it.
    pub(crate) calm: i64,
    /// Limits in mL/h: of slots up to `edge`, and after it.
    pub(crate) limits: [i64; 2],
    pub(crate) edge: i64,
    /// Slots after the first up to the second at which it draws much every week, and their limit.
    pub(crate) usual: Vec<(i64, i64)>,
    pub(crate) usual_limit: i64,
    /// Slots after the first up to the second are looked at.
    pub(crate) since: i64,
    pub(crate) until: i64,
}

impl Gush {
    /// In mL/h.
    pub(crate) fn limit(&self, slot: i64) -> i64 {
        let limit = self.limits[usize::from(slot > self.edge)];
        let usual = self.usual.iter().any(|(before, last)| slot > *before && slot <= *last);
        if usual { limit.max(self.usual_limit) } else { limit }
    }

    pub(crate) fn over(&self, water: &Water, slot: i64) -> bool {
        rate(water, slot, self.len_s).is_some_and(|rate| rate > self.limit(slot))
    }
}

impl Gush {
    /// Above the lower of the two limits: worth a look.
    pub(crate) fn may_be_over(&self, water: &Water, slot: i64) -> bool {
        let least = self.limits[0].min(self.limits[1]);
        rate(water, slot, self.len_s).is_some_and(|rate| rate > least)
    }
}

pub(super) fn rate(water: &Water, slot: i64, len_s: i64) -> Option<i64> {
    water.get(slot).map(|value| value * HOUR_S / len_s)
}

/// All bursts. `carried` began before the slots that are kept.
pub(crate) fn bursts(water: &Water, rule: &Gush, carried: Option<Episode>) -> Vec<Episode> {
    let mut found = Vec::new();
    let mut lasting = carried;
    let (mut over, mut calm) = (0, 0);
    for slot in water.floor().max(rule.since) + 1..=rule.until.min(water.head.s()) {
        let flow = rate(water, slot, rule.len_s);
        over = if rule.over(water, slot) { over + 1 } else { 0 };
        if over >= rule.slots {
            let first = slot - over;
            let rates = (0..rule.slots).filter_map(|back| rate(water, slot - back, rule.len_s));
            let span = (first * rule.len_s, slot * rule.len_s);
            let window = Window::new(span, rates.min().unwrap_or(0), over);
            match &mut lasting {
                Some(episode) => episode.see(window),
                None => {
                    let start = first * rule.len_s;
                    lasting = Some(Episode::new(start, window, rule.limit(first + 1)));
                }
            }
        }
        let Some(episode) = &mut lasting else { continue };
        let below = flow.is_some_and(|flow| flow * 2 < episode.mark);
        calm = if below { calm + 1 } else { 0 };
        if calm >= rule.calm && slot * rule.len_s > episode.shown {
            episode.end = (slot - calm) * rule.len_s;
            found.extend(lasting.take());
            calm = 0;
        }
    }
    found.extend(lasting);
    found
}

/// Episodes of which one begins within `keep_s` after another are one.
pub(crate) fn join(found: &mut Vec<Episode>, keep_s: i64) {
    found.dedup_by(|later, earlier| {
        let joins = keep_s > 0 && later.start - earlier.end < keep_s;
        if joins {
            (earlier.end, earlier.mark) = (later.end, later.mark);
            if let Some(window) = later.window {
                earlier.see(window);
            }
        }
        joins
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RULE: Continuity = Continuity {
        len_s: 3_600,
        together: 1,
        wanted: 24,
        within: 26,
        pause: 1,
        keep_s: 86_400,
        least: 3_800,
        raises: true,
        until: i64::MAX,
    };
    const GUSH: Gush = Gush {
        len_s: 3_600,
        slots: 1,
        calm: 1,
        limits: [500_000, 500_000],
        edge: 0,
        usual: Vec::new(),
        usual_limit: 0,
        since: 0,
        until: i64::MAX,
    };

    fn filled(values: &[(i64, Option<i64>)]) -> Water {
        let mut water = Water::new(3_600, 1_000);
        let newest = values.iter().map(|(slot, _)| *slot).max().unwrap_or(0);
        for (slot, value) in values {
            water.cover((1_000, newest), 3_600);
            water.put(*slot, *value);
        }
        water
    }

    #[test]
    fn a_leak_a_pause_and_a_burst() {
        let day: Vec<(i64, Option<i64>)> = (1_000..1_100)
            .map(|slot| {
                let value = match slot {
                    1_000..1_010 | 1_060..1_100 => 0,
                    1_030 | 1_031 => 900_000,
                    _ => 20_000,
                };
                (slot, Some(value))
            })
            .collect();
        let water = filled(&day);
        let leaks = continuous(&water, &RULE, None);
        assert_eq!(leaks.len(), 1);
        let leak = leaks[0];
        assert_eq!((leak.start, leak.shown), (1_009 * 3_600, 1_033 * 3_600));
        assert_eq!((leak.end, leak.window.map(|w| w.least)), (1_060 * 3_600, Some(20_000)));
        let gushes = bursts(&water, &GUSH, None);
        assert_eq!(gushes.len(), 1);
        assert_eq!(gushes[0].window.map(|w| w.rate.mlph), gushes[0].window.map(|w| w.least));
        assert_eq!((gushes[0].start, gushes[0].end), (1_029 * 3_600, 1_031 * 3_600));
    }

    #[test]
    fn the_hour_in_which_it_begins_or_ends_says_nothing_of_the_rate() {
        let flow = |slot| match slot {
            1_000..1_010 | 1_060..1_100 => 0,
            1_010 => 41_216,
            1_059 => 9_008,
            1_040..1_059 => 45_056,
            _ => 90_112,
        };
        let slots: Vec<(i64, Option<i64>)> =
            (1_000..1_100).map(|slot| (slot, Some(flow(slot)))).collect();
        let window = |till: usize| {
            let water = filled(&slots[..till]);
            continuous(&water, &RULE, None)[0].window.unwrap()
        };
        assert_eq!((window(34).least, window(34).rate.mlph), (90_112, 90_112));
        // What is worst stays, and the newest is told beside it.
        let ended = window(100);
        assert_eq!((ended.least, ended.rate.mlph), (90_112, 45_056));
        assert_eq!(ended.rate.to, 1_059 * 3_600);
    }

    proptest! {
        #[test]
        fn the_order_of_arrival_does_not_matter(
            flows in prop::collection::vec(
                prop_oneof![40 => 5_i64..30, 1 => Just(0_i64), 1 => 500_i64..900], 120,
            ),
            order in any::<u64>(),
        ) {
            let slots: Vec<(i64, Option<i64>)> =
                (1_000..).zip(&flows).map(|(slot, flow)| (slot, Some(flow * 1_000))).collect();
            let mut mixed = slots.clone();
            mixed.sort_by_key(|(slot, _)| slot.unsigned_abs().wrapping_mul(order | 1) >> 7);
            let (one, other) = (filled(&slots), filled(&mixed));
            // What came before the first slot is known to neither.
            let trimmed = |mut water: Water| {
                water.cover((1_000, 1_119), 3_600);
                (continuous(&water, &RULE, None), bursts(&water, &GUSH, None))
            };
            prop_assert_eq!(trimmed(one), trimmed(other));
        }
    }
}
