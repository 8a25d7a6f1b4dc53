//! What the checks of a closed day say, and the desk on which they say it.

use metering::{
    ChannelKind, DeviceFlags, Finding, Interval, Outcome, QualityStatus, RuleMask, SlotCode,
    UtcTime,
};

use super::input::{DayInput, DaySlot, DaySummary};
use crate::params::Params;
use crate::rules::Rule;

/// All of it. Closing the same day again with the same facts gives the same verdict, without
/// `changes`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DayVerdict {
    /// In catalogue order. A Pass is told only where the rule failed or warned lately; it is one of
    /// the whole rule and has kind 0.
    pub findings: Vec<Finding>,
    /// Slots that need a new version, ascending: what was judged otherwise before.
    pub changes: Vec<SlotVersion>,
    /// Slots whose actual value nobody may use, by its arrival or by the day; ascending.
    pub suspect: Vec<SlotVersion>,
    /// Slots whose actual value may be used although a rule of the day failed it; ascending.
    pub flagged: Vec<SlotVersion>,
    /// Of each expected slot: its actual value passed and counts as validated.
    pub validated: Vec<bool>,
    pub holds: Vec<Hold>,
    /// To be kept for the days that follow.
    pub summary: DaySummary,
}

/// What the status and the failed rules of a slot are now, with the value that arrived.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SlotVersion {
    pub end: UtcTime,
    pub value: i64,
    pub status: QualityStatus,
    pub flags: DeviceFlags,
    pub failed: RuleMask,
}

impl SlotVersion {
    /// As the tables have it.
    pub fn code(&self) -> SlotCode {
        SlotCode::new(self.status, self.flags).with_exception()
    }
}

/// What must not be billed without a look.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum HoldKind {
    /// The energy or volume itself.
    Interval,
    /// The demand (highest value) only.
    Demand,
    /// The split by rates; the total stays usable.
    TouSplit,
    /// The bill is looked at before it goes out.
    Review,
}

/// A stretch `(from, to]` that a rule holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hold {
    pub kind: HoldKind,
    pub rule: Rule,
    pub from: UtcTime,
    pub to: UtcTime,
}

/// Days after a Fail or Warn on which a Pass is told, so that an alert can clear.
const PASS_DAYS: usize = 14;

/// Rules that are decided here; their bits of a slot's mask are set and cleared by the day.
pub const DAY_RULES: RuleMask = RuleMask::from_bits(
    Rule::Sum.mask().bits()
        | Rule::Delta.mask().bits()
        | Rule::Spike.mask().bits()
        | Rule::Zero.mask().bits()
        | Rule::Inactive.mask().bits()
        | Rule::Flat.mask().bits()
        | Rule::PowerFactor.mask().bits(),
);

/// One expected interval of the day.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub(super) end: UtcTime,
    pub(super) slot: Option<&'a DaySlot>,
    failed: RuleMask,
    suspect: bool,
}

impl Place<'_> {
    pub(super) fn actual(&self) -> Option<i64> {
        self.slot.and_then(DaySlot::actual)
    }

    pub(super) fn flags(&self) -> DeviceFlags {
        self.slot.map_or(DeviceFlags::NONE, |slot| slot.arrived.flags())
    }
}

/// What one rule says; the window is the day.
#[derive(Clone, Copy, Debug)]
pub(super) struct Saying {
    pub outcome: Outcome,
    pub kind: u8,
    pub detail: i64,
}

impl Saying {
    pub(super) const PASS: Self = Self { outcome: Outcome::Pass, kind: 0, detail: 0 };

    pub(super) const fn fail(kind: u8, detail: i64) -> Self {
        Self { outcome: Outcome::Fail, kind, detail }
    }

    pub(super) const fn warn(kind: u8, detail: i64) -> Self {
        Self { outcome: Outcome::Warn, kind, detail }
    }
}

/// The day on the desk: its expected slots, and what was said of it so far.
#[derive(Debug)]
pub(super) struct Desk<'a> {
    pub input: &'a DayInput<'a>,
    pub params: &'a Params,
    pub places: Vec<Place<'a>>,
    pub summary: DaySummary,
    pub holds: Vec<Hold>,
    findings: Vec<Finding>,
    lately: RuleMask,
}

impl<'a> Desk<'a> {
    pub(super) fn new(input: &'a DayInput<'a>, params: &'a Params) -> Self {
        let lately = input.history[input.history.len().saturating_sub(PASS_DAYS)..]
            .iter()
            .chain(input.closed)
            .fold(0, |bits, day| bits | day.failing.bits() | day.warned.bits());
        let (from, to) = (input.day.start, input.day.end);
        Self {
            input,
            params,
            places: places(input),
            summary: DaySummary { from, to, ..DaySummary::default() },
            holds: Vec::new(),
            findings: Vec::new(),
            lately: RuleMask::from_bits(lately),
        }
    }

    /// Says it of the whole day.
    pub(super) fn say(&mut self, rule: Rule, saying: Saying) {
        self.say_of(rule, saying, (self.input.day.start, self.input.day.end));
    }

    /// Says it of a window `(from, to]`. A rule that cannot be evaluated says nothing.
    pub(super) fn say_of(&mut self, rule: Rule, saying: Saying, (from, to): (UtcTime, UtcTime)) {
        let mask = rule.mask();
        if self.params.off.bits() & mask.bits() != 0 {
            return;
        }
        match saying.outcome {
            Outcome::Fail => self.summary.failing = union(self.summary.failing, mask),
            Outcome::Warn => self.summary.warned = union(self.summary.warned, mask),
            Outcome::Pass if self.lately.bits() & mask.bits() != 0 => {}
            Outcome::Pass | Outcome::NotEvaluable => return,
        }
        let Some(number) = rule.no() else { return };
        self.findings.push(Finding {
            meter: self.input.meter.meter,
            channel: Some(self.input.channel.channel),
            rule: number,
            outcome: saying.outcome,
            from,
            to,
            kind: saying.kind,
            detail: saying.detail,
        });
    }

    pub(super) fn hold(&mut self, kind: HoldKind, rule: Rule, (from, to): (UtcTime, UtcTime)) {
        if self.acts(rule) {
            self.holds.push(Hold { kind, rule, from, to });
        }
    }

    /// The interval `(from, to]` of a place.
    pub(super) fn interval(&self, at: usize) -> (UtcTime, UtcTime) {
        let end = self.places[at].end;
        (end.plus_seconds(-i64::from(self.input.channel.len_s)), end)
    }

    /// Neither switched off nor in shadow.
    pub(super) fn acts(&self, rule: Rule) -> bool {
        (self.params.off.bits() | self.params.shadow.bits()) & rule.mask().bits() == 0
    }

    /// The rule failed this slot and forbids its use.
    pub(super) fn suspect(&mut self, at: usize, rule: Rule) {
        self.flag(at, rule);
        let acts = self.acts(rule);
        if let Some(place) = self.places.get_mut(at) {
            place.suspect |= acts;
        }
    }

    /// The rule failed this slot; it stays usable.
    pub(super) fn flag(&mut self, at: usize, rule: Rule) {
        let acts = self.acts(rule);
        if let Some(place) = self.places.get_mut(at).filter(|_| acts) {
            place.failed = union(place.failed, rule.mask());
        }
    }

    /// The slots' new versions, and the counts of the summary.
    pub(super) fn finish(mut self, validated: bool) -> DayVerdict {
        let mut summary = self.summary;
        summary.validated = validated;
        summary.switched_off = self.input.around.switched_off_after;
        summary.slots = u16::try_from(self.places.len()).unwrap_or(u16::MAX);
        let (mut changes, mut suspect, mut flagged) = (Vec::new(), Vec::new(), Vec::new());
        let mut passed = vec![false; self.places.len()];
        for (place, passed) in self.places.iter().zip(&mut passed) {
            let Some(slot) = place.slot else { continue };
            let actual = slot.actual().filter(|_| !place.suspect);
            if let Some(value) = actual {
                summary.actual += 1;
                summary.total = summary.total.saturating_add(value);
                summary.peak = summary.peak.max(value);
                summary.outage |= slot.arrived.flags().contains(DeviceFlags::POWER_FAIL);
            } else if slot.arrived.status() != QualityStatus::Missing {
                summary.suspect += 1;
            }
            let Some(now) = judged(slot, place, validated) else { continue };
            *passed = now.status == QualityStatus::Validated;
            changes.extend(is_news(slot, &now).then_some(now));
            if now.status == QualityStatus::Suspect {
                suspect.push(now);
            } else if !place.failed.is_empty() {
                flagged.push(now);
            }
        }
        summary.lacking_days = lacking_days(self.input, &summary, self.params);
        self.findings.sort_by_key(|finding| finding.rule);
        let (findings, holds) = (self.findings, self.holds);
        DayVerdict { findings, changes, suspect, flagged, validated: passed, holds, summary }
    }
}

/// Days without actuals up to this one. A confirmed outage does not count and does not end it.
pub(super) fn lacking_days(input: &DayInput<'_>, today: &DaySummary, params: &Params) -> u16 {
    let before = input.yesterday().map_or(0, |day| day.lacking_days);
    let zeroed =
        |slot: &&DaySlot| slot.best == QualityStatus::OutageZero && slot.end > input.day.start;
    let outage = i64::try_from(input.slots.iter().filter(zeroed).count()).unwrap_or(0);
    let enough = i64::from(today.slots) * params.prolong_actual_pct;
    if i64::from(today.actual) * 100 >= enough {
        0
    } else if (i64::from(today.actual) + outage) * 100 >= enough {
        before
    } else {
        before.saturating_add(1)
    }
}

/// What the actual value is worth, whatever stands in its place; `None` when nothing arrived.
fn judged(slot: &DaySlot, place: &Place<'_>, validated: bool) -> Option<SlotVersion> {
    if slot.arrived.status() == QualityStatus::Missing {
        return None;
    }
    let of_arrival = RuleMask::from_bits(slot.failed.bits() & !DAY_RULES.bits());
    let status = if place.suspect || slot.arrived.status() == QualityStatus::Suspect {
        QualityStatus::Suspect
    } else if validated {
        QualityStatus::Validated
    } else {
        QualityStatus::Raw
    };
    Some(SlotVersion {
        end: slot.end,
        value: slot.value,
        status,
        flags: slot.arrived.flags(),
        failed: union(of_arrival, place.failed),
    })
}

/// Is the best version another one? What staff or an estimate put there stays, and a slot without
/// exception is validated by its day's summary. Missing is what an undo left of a gap before the
/// value came (6.1: it arrives).
fn is_news(slot: &DaySlot, now: &SlotVersion) -> bool {
    use QualityStatus::{Missing, Raw, Suspect, Validated};
    let ours = matches!(slot.best, Missing | Raw | Suspect | Validated);
    let dense = |status| matches!(status, Raw | Validated);
    let same = slot.failed == now.failed
        && (slot.best == now.status
            || (now.failed.is_empty() && dense(now.status) && dense(slot.best)));
    ours && !same
}

/// Each expected interval with what is known of it: those that end in the day, its start excluded.
fn places<'a>(input: &DayInput<'a>) -> Vec<Place<'a>> {
    let mut known = input.slots.iter().filter(|slot| slot.end > input.day.start).peekable();
    let mut places = Vec::with_capacity(100);
    for end in expected(input) {
        while known.next_if(|slot| slot.end < end).is_some() {}
        let slot = known.next_if(|slot| slot.end == end);
        places.push(Place { end, slot, failed: RuleMask::EMPTY, suspect: false });
    }
    places
}

/// Ends of the day's intervals. What is derived from registers lies on the grid of UTC; a device may
/// count from its local midnight. Where the two differ the channel's own values tell which it is. Of
/// days on the grid of UTC a local day of 25 hours may hold two, and one of 23 hours none.
fn expected(input: &DayInput<'_>) -> Vec<UtcTime> {
    let len_s = input.channel.len_s.max(1);
    let (day, len) = (input.day, i64::from(len_s));
    let daily = len >= metering::time::DAY_S;
    let local: Vec<UtcTime> =
        if daily { vec![day.end] } else { day.slots(len_s).map(Interval::end).collect() };
    let on_utc = |end: UtcTime| end.floor_to(len) == end;
    let derived = daily && input.channel.kind == ChannelKind::Register;
    if !derived && local.iter().all(|end| on_utc(*end)) {
        return local;
    }
    let off = input.slots.iter().filter(|slot| !on_utc(slot.end)).count();
    // A midnight that both share tells nothing: a device that is silent counts local days.
    let shared = |slot: &&DaySlot| daily && slot.end == day.start && on_utc(slot.end);
    let telling = input.slots.len() - input.slots.iter().filter(shared).count();
    if !derived && (daily || off > 0) && off * 2 >= telling {
        return local;
    }
    let first = day.start.floor_to(len).plus_seconds(len);
    std::iter::successors(Some(first), |end| Some(end.plus_seconds(len)))
        .take_while(|end| *end <= day.end)
        .collect()
}

pub(super) const fn union(a: RuleMask, b: RuleMask) -> RuleMask {
    RuleMask::from_bits(a.bits() | b.bits())
}
