//! What goes wrong, when, and with whom: labelled faults, and look-alikes that are none.
//!
//! A fault is planned only when the rules as published can find it before the run ends, so that a
//! fault which is not found is the head-end's fault. Subjects are distinct, and no meter fault lies
//! in an outage of the meter's own collector.

mod counts;
mod faults;
mod negatives;

use metering::UtcTime;

use crate::calendar::Days;
use crate::layout::Layout;
use crate::meter::SimMeter;
use crate::rng::{Purpose, Stream};
use crate::spec::FleetSpec;
use crate::truth::{
    Fault, FaultKind, HardNegative, HardNegativeKind, Magnitude, SubjectName, Truth,
};
use crate::usage::Span;

pub(crate) const HOUR_S: i64 = 3_600;
pub(crate) const DAY_S: i64 = 86_400;

/// The truth, and what the senders need to know of it beyond their meters.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) truth: Truth,
    pub(crate) rereads: Vec<Reread>,
    /// Meters of which a telegram is printed over and over, and from when.
    pub(crate) storms: Vec<(usize, UtcTime)>,
}

/// A collector sends all slots of `(from, to]` once more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Reread {
    pub(crate) collector: usize,
    pub(crate) at: UtcTime,
    pub(crate) from: UtcTime,
    pub(crate) to: UtcTime,
}

struct Planner<'a> {
    spec: &'a FleetSpec,
    days: &'a Days,
    layout: &'a mut Layout,
    stream: Stream,
    /// Meters and collectors that already have a part to play.
    used: Vec<bool>,
    used_collectors: Vec<bool>,
    /// Slow faults can be found by now, however long the fleet lives on.
    horizon: UtcTime,
    /// Slow faults begin after this instant; see `faults::high_consumption`.
    slow_from: UtcTime,
    plan: Plan,
}

/// Limits of an onset: not before `from`, and found `need_s` later at the latest.
#[derive(Clone, Copy, Debug)]
struct Room {
    from: UtcTime,
    to: UtcTime,
}

impl Plan {
    /// Plans faults and look-alikes and enters them into the layout.
    pub(crate) fn make(spec: &FleetSpec, days: &Days, layout: &mut Layout) -> Self {
        let mut planner = Planner {
            spec,
            days,
            stream: Stream::new(spec.seed, Purpose::Plan, 0, 0),
            used: vec![false; layout.meters.len()],
            used_collectors: vec![false; layout.collectors.len()],
            horizon: spec.live_end.min(spec.live_start.plus_seconds(HOUR_S)),
            slow_from: spec.history_start,
            layout,
            plan: Self::default(),
        };
        planner.plan_faults();
        planner.plan_negatives();
        planner.plan_counts();
        let mut plan = planner.plan;
        plan.truth.faults.sort_by(|a, b| (a.onset, &a.subject).cmp(&(b.onset, &b.subject)));
        plan.truth
            .hard_negatives
            .sort_by(|a, b| (a.from, a.kind, &a.subject).cmp(&(b.from, b.kind, &b.subject)));
        plan
    }
}

impl Planner<'_> {
    /// A free meter that is wanted and whose collector works throughout `busy`.
    fn pick(&mut self, busy: Span, wanted: impl Fn(&SimMeter) -> bool) -> Option<usize> {
        let candidates: Vec<usize> = self
            .layout
            .meters
            .iter()
            .filter(|meter| !self.used[meter.index] && wanted(meter) && self.is_heard(meter, busy))
            .map(|meter| meter.index)
            .collect();
        let picked = *candidates.get(self.stream.index(candidates.len()))?;
        self.used[picked] = true;
        Some(picked)
    }

    fn is_heard(&self, meter: &SimMeter, busy: Span) -> bool {
        let Some(collector) = meter.collector() else { return true };
        !self.layout.collectors[collector].outages.iter().any(|outage| outage.meets(&busy))
    }

    /// A free collector without an outage near `busy`.
    fn pick_collector(&mut self, busy: Span) -> Option<usize> {
        let candidates: Vec<usize> = (0..self.layout.collectors.len())
            .filter(|index| {
                let outages = &self.layout.collectors[*index].outages;
                !self.used_collectors[*index] && !outages.iter().any(|outage| outage.meets(&busy))
            })
            .collect();
        let picked = *candidates.get(self.stream.index(candidates.len()))?;
        self.used_collectors[picked] = true;
        Some(picked)
    }

    /// A random instant of the room on a grid of `grid_s` seconds; `None` when there is no room.
    fn instant(&mut self, room: Room, grid_s: i64) -> Option<UtcTime> {
        let steps = room.to.seconds_since(room.from) / grid_s;
        if steps < 1 {
            return None;
        }
        let at = room.from.plus_seconds(grid_s * self.stream.between(1, steps));
        Some(at.floor_to(grid_s))
    }

    /// Times since the start of the history and before the horizon.
    fn room(&self, after_start_s: i64, need_s: i64) -> Room {
        let from = self.spec.history_start.plus_seconds(after_start_s);
        Room { from, to: self.horizon.plus_seconds(-need_s) }
    }

    /// As [`Planner::room`], for slow faults that may have to wait for an earlier one.
    fn slow_room(&self, after_start_s: i64, need_s: i64) -> Room {
        let room = self.room(after_start_s, need_s);
        Room { from: room.from.max(self.slow_from), ..room }
    }

    /// How often a kind is planned, given its number in a fleet of 200 meters.
    fn scaled(&self, per_200: u32) -> u32 {
        ((self.spec.meters * per_200 + 100) / 200).max(1)
    }

    fn meter(&mut self, index: usize) -> &mut SimMeter {
        &mut self.layout.meters[index]
    }

    fn subject(&self, index: usize) -> SubjectName {
        SubjectName::Meter(self.layout.meters[index].number.clone())
    }

    fn add_fault(
        &mut self,
        kind: FaultKind,
        subject: SubjectName,
        (onset, detectable_by): (UtcTime, UtcTime),
        magnitude: Magnitude,
    ) {
        let (causes, family, consequences) = kind.answers();
        self.plan.truth.faults.push(Fault {
            kind,
            subject,
            causes,
            family,
            consequences,
            onset,
            end: None,
            live: onset >= self.spec.live_start,
            detectable_by,
            silent_from: None,
            magnitude,
        });
    }

    fn add_negative(&mut self, kind: HardNegativeKind, subject: SubjectName, span: Span) {
        let Span { from, to } = span;
        self.plan.truth.hard_negatives.push(HardNegative { kind, subject, from, to });
    }
}
