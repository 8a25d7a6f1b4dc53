//! What happens to a meter within a stretch of time: to what is used, to what is measured, or to
//! what is sent.

use metering::UtcTime;

use crate::calendar::Day;
use crate::rng::Stream;
use crate::usage::{Change, Effect, Span};

/// A twist and when it holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    pub(crate) span: Span,
    pub(crate) twist: Twist,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Twist {
    /// Milli-units per hour more.
    Add(i64),
    /// So many milli-units per hour more with each day.
    Ramp(i64),
    /// A cistern that refills so many mL every so many minutes, more or less.
    Refill { ml: i64, minutes: i64 },
    /// Thousandths of the usual use.
    Scale(i64),
    /// The meter under-registers by so many thousandths more each month.
    Decline(i64),
    /// Intervals are thousandths of what was used; the register counts right.
    Intervals(i64),
    /// Intervals of one day are so many thousandths of what was used, those of the next so many; the
    /// register counts right.
    Wander { less: i64, more: i64 },
    /// The same value in each slot.
    Stuck(i64),
    /// A slot a day, of so many thousandths of the day's largest.
    Spike(i64),
    /// Slots count backwards, in thousandths of what was used; so does the register.
    Backwards(i64),
    /// So many counts a slot leave by the other direction.
    Export(i64),
    /// Flags of each slot.
    Flag(u16),
    /// The register loses so many counts at once; more than it has: it starts at zero.
    Drop(i64),
    /// One slot of so many counts that never flowed; the register counts it too.
    Jump(i64),
    /// Reactive energy in thousandths of active.
    Reactive(i64),
    /// The rate registers miss so many thousandths.
    Rates(i64),
    /// Another unit than the asset record has.
    Unit,
    /// Slots of another length, in seconds.
    Length(i64),
    /// Each report is followed by another one that says something else.
    Contradict,
    /// Nothing is sent; slots are kept.
    Mute,
    /// The power is off: slots are zero and flagged, nothing is sent.
    Dark,
    /// So many thousandths of the reports are lost for good.
    Lossy(i64),
    /// Losses rise from nothing to all within the span, and the signal falls with them.
    Fading,
    /// The clock is wrong by `step` seconds, and by `per_day` more with each day.
    Clock { step: i64, per_day: i64 },
    /// Stamps of slots and reports are wrong by so many seconds.
    Shift(i64),
    /// A state in each report.
    Status(&'static str),
    /// An event at the beginning and every so many seconds; 0 = once.
    Event { code: &'static str, detail: i64, every_s: i64 },
    /// The cell falls by so many mV a day, from the day's beginning.
    Cell { drop_mv: i64, per_day: i64 },
}

impl Part {
    /// Applies what changes the flow to the cells of a day.
    pub(crate) fn flow(&self, stream: &mut Stream, day: &Day, cell_s: i64, cells: &mut [i64]) {
        let span = self.span;
        if span.to <= day.start || span.from >= day.end {
            return;
        }
        match self.twist {
            Twist::Add(rate) => apply(span, Effect::Add(rate), day, (cell_s, cells)),
            Twist::Ramp(per_day) => {
                let days = day.end.seconds_since(span.from) / 86_400 + 1;
                apply(span, Effect::Add(per_day * days), day, (cell_s, cells));
            }
            Twist::Scale(permille) => apply(span, Effect::Scale(permille), day, (cell_s, cells)),
            Twist::Decline(per_month) => {
                let days = day.end.seconds_since(span.from) / 86_400;
                let left = (1000 - per_month * days / 30).max(0);
                apply(span, Effect::Scale(left), day, (cell_s, cells));
            }
            Twist::Dark => apply(span, Effect::Scale(0), day, (cell_s, cells)),
            Twist::Refill { ml, minutes } => {
                let mut minute = stream.between(0, minutes);
                while let Some(cell) =
                    usize::try_from(minute * 60 / cell_s).ok().and_then(|at| cells.get_mut(at))
                {
                    if span.contains(day.start.plus_seconds(minute * 60)) {
                        *cell += ml + stream.between(-ml / 20, ml / 20);
                    }
                    minute += stream.between(minutes * 7 / 10, minutes * 13 / 10).max(1);
                }
            }
            _ => {}
        }
    }

    /// Seconds by which the clock of the device is ahead at `at`.
    pub(crate) fn clock_s(&self, at: UtcTime) -> i64 {
        match self.twist {
            Twist::Clock { step, per_day } if self.span.contains(at) => {
                step + per_day * at.seconds_since(self.span.from) / 86_400
            }
            Twist::Shift(seconds) if self.span.contains(at) => seconds,
            _ => 0,
        }
    }

    /// Thousandths of the reports that are lost at `at`.
    pub(crate) fn loss(&self, at: UtcTime) -> i64 {
        match self.twist {
            Twist::Lossy(permille) if self.span.contains(at) => permille,
            Twist::Fading if at >= self.span.from => self.faded(at, 1000),
            _ => 0,
        }
    }

    /// How far the span is over, in `whole` parts; stays there afterwards.
    pub(crate) fn faded(&self, at: UtcTime, whole: i64) -> i64 {
        let length = self.span.to.seconds_since(self.span.from).max(1);
        (at.seconds_since(self.span.from) * whole / length).clamp(0, whole)
    }
}

fn apply(span: Span, effect: Effect, day: &Day, (cell_s, cells): (i64, &mut [i64])) {
    Change { span, effect }.apply(day.start, cell_s, cells);
}
