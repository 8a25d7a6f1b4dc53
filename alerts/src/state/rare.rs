//! What only few meters have: events, visits of the field, flags that hold. Boxed, and kept only where something happened. Instants in seconds.

use metering::{EventCode, WorkOrder, WorkOrderKind, WorkOrderStatus};

use super::NEVER;
use crate::snapshot::snap_struct;

/// An event of the device, by its code's number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Mark {
    pub(crate) at: i64,
    pub(crate) code: u16,
}

snap_struct!(Mark { at, code });

/// A work order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Visit {
    pub(crate) number: i64,
    pub(crate) at: i64,
    kind: u8,
    status: u8,
}

snap_struct!(Visit { number, at, kind, status });

impl Visit {
    fn of(order: &WorkOrder) -> Self {
        let kind = WorkOrderKind::ALL.iter().position(|one| *one == order.kind);
        let status = WorkOrderStatus::ALL.iter().position(|one| *one == order.status);
        let byte = |place: Option<usize>| place.and_then(|at| u8::try_from(at).ok()).unwrap_or(0);
        Self {
            number: order.number,
            at: order.at.seconds(),
            kind: byte(kind),
            status: byte(status),
        }
    }

    pub(crate) fn is(self, kind: WorkOrderKind) -> bool {
        WorkOrderKind::ALL.get(usize::from(self.kind)) == Some(&kind)
    }

    pub(crate) fn has(self, status: WorkOrderStatus) -> bool {
        WorkOrderStatus::ALL.get(usize::from(self.status)) == Some(&status)
    }
}

/// A flag that holds: when it was first and last seen in this spell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Spell {
    pub(crate) from: i64,
    pub(crate) to: i64,
}

snap_struct!(Spell { from, to });

impl Spell {
    pub(crate) const NONE: Self = Self { from: NEVER, to: NEVER };

    /// Seen at `at`: part of this spell when the pause was at most `gap_s`. True when it begins.
    pub(crate) fn see(&mut self, at: i64, gap_s: i64) -> bool {
        if self.to == NEVER || at - self.to > gap_s {
            *self = Self { from: at, to: at };
            return true;
        }
        if at >= self.from - gap_s {
            self.from = self.from.min(at);
            self.to = self.to.max(at);
        }
        false
    }

    pub(crate) fn is_on(self) -> bool {
        self.to != NEVER
    }
}

/// See the module.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Rare {
    /// Events that may be tampering, oldest first.
    pub(crate) marks: Vec<Mark>,
    pub(crate) visits: Vec<Visit>,
    /// Temporary errors, at most one a day and code, oldest first.
    pub(crate) errors: Vec<Mark>,
    /// The newest hard error.
    pub(crate) hard: Spell,
    pub(crate) dry: Spell,
    pub(crate) air: Spell,
    pub(crate) back: Spell,
    /// 1 minor, 2 major.
    pub(crate) back_level: u8,
    /// The newest backflow that began or was counted: its flag stays set for weeks.
    pub(crate) back_edge: i64,
    /// The backflow that is told as one event of the network zone.
    pub(crate) back_zone: i64,
    /// Minor backflows that began, oldest first.
    pub(crate) back_minor: Vec<i64>,
    /// Ambient temperature: the spells below and above the limits, and the newest one in
    /// hundredths of a degree.
    pub(crate) cold: Spell,
    pub(crate) warm: Spell,
    pub(crate) temperature_at: i64,
    pub(crate) temperature_cc: i32,
    /// It fell below -10 C and did not rise above 0 C since.
    pub(crate) cold_cell: bool,
    /// The newest restart of the register or change of configuration, and its event code.
    pub(crate) reset_at: i64,
    pub(crate) reset_code: u16,
    /// Supply cut or valve closed, and opened again.
    pub(crate) cut_at: i64,
    pub(crate) joined_at: i64,
    /// Use since the cut, in milli-units, and where it began.
    pub(crate) cut_use: i64,
    pub(crate) cut_use_from: i64,
    /// The newest load-side current while the register stood.
    pub(crate) load_at: i64,
    /// Energy fed in by local day, oldest first.
    pub(crate) reverse: Vec<(i32, i64)>,
    /// The register fed in, as last read: when and what.
    pub(crate) reverse_register: Option<(i64, i64)>,
    /// Newest supply voltage in mV, and when.
    pub(crate) volt_mv: i64,
    pub(crate) volt_at: i64,
    /// Local days with hours that drew about as much as a burst, and those hours as bits; oldest
    /// first.
    pub(crate) draws: Vec<(i32, i16, u32)>,
    /// When the device said last that a tilt, and that a wrong pressure, was over.
    pub(crate) ended_at: [i64; 2],
}

snap_struct!(Rare {
    marks,
    visits,
    errors,
    hard,
    dry,
    air,
    back,
    back_level,
    back_edge,
    back_zone,
    back_minor,
    cold,
    warm,
    temperature_at,
    temperature_cc,
    cold_cell,
    reset_at,
    reset_code,
    cut_at,
    joined_at,
    cut_use,
    cut_use_from,
    load_at,
    reverse,
    reverse_register,
    volt_mv,
    volt_at,
    draws,
    ended_at,
});

impl crate::snapshot::Snap for (i64, i64) {
    fn save(&self, to: &mut crate::snapshot::Writer) {
        self.0.save(to);
        self.1.save(to);
    }
    fn load(
        from: &mut crate::snapshot::Reader<'_>,
    ) -> Result<Self, crate::snapshot::SnapshotError> {
        Ok((i64::load(from)?, i64::load(from)?))
    }
}

impl crate::snapshot::Snap for (i32, i64) {
    fn save(&self, to: &mut crate::snapshot::Writer) {
        self.0.save(to);
        self.1.save(to);
    }
    fn load(
        from: &mut crate::snapshot::Reader<'_>,
    ) -> Result<Self, crate::snapshot::SnapshotError> {
        Ok((i32::load(from)?, i64::load(from)?))
    }
}

/// So much is remembered of each kind.
const MARKS_MAX: usize = 16;
const VISITS_MAX: usize = 6;
const ERRORS_MAX: usize = 8;

impl Rare {
    pub(crate) const fn nothing() -> Self {
        Self {
            marks: Vec::new(),
            visits: Vec::new(),
            errors: Vec::new(),
            hard: Spell::NONE,
            dry: Spell::NONE,
            air: Spell::NONE,
            back: Spell::NONE,
            back_level: 0,
            back_edge: NEVER,
            back_zone: NEVER,
            back_minor: Vec::new(),
            cold: Spell::NONE,
            warm: Spell::NONE,
            temperature_at: NEVER,
            temperature_cc: 0,
            cold_cell: false,
            reset_at: NEVER,
            reset_code: 0,
            cut_at: NEVER,
            joined_at: NEVER,
            cut_use: 0,
            cut_use_from: NEVER,
            load_at: NEVER,
            reverse: Vec::new(),
            reverse_register: None,
            volt_mv: 0,
            volt_at: NEVER,
            draws: Vec::new(),
            ended_at: [NEVER; 2],
        }
    }

    /// Keeps an event of tampering, the first of each day and code. False when it is known.
    pub(crate) fn mark(&mut self, at: i64, code: EventCode) -> bool {
        keep(&mut self.marks, Mark { at, code: code.number() }, MARKS_MAX)
    }

    /// Keeps a temporary error, the first of each day and code.
    pub(crate) fn error(&mut self, at: i64, code: EventCode) -> bool {
        keep(&mut self.errors, Mark { at, code: code.number() }, ERRORS_MAX)
    }

    pub(crate) fn visit(&mut self, order: &WorkOrder) {
        let visit = Visit::of(order);
        self.visits.retain(|known| known.number != visit.number);
        self.visits.push(visit);
        self.visits.sort_unstable_by_key(|known| (known.at, known.number));
        if self.visits.len() > VISITS_MAX {
            self.visits.remove(0);
        }
    }

    /// A visit that was not called off was planned or made within `within_s` of `at`.
    pub(crate) fn visited(&self, at: i64, within_s: i64, kinds: &[WorkOrderKind]) -> bool {
        self.visits.iter().any(|visit| {
            (kinds.is_empty() || kinds.iter().any(|kind| visit.is(*kind)))
                && !visit.has(WorkOrderStatus::Cancelled)
                && (visit.at - at).abs() <= within_s
        })
    }

    /// When the newest visit of one of these kinds at or after `from` was completed.
    pub(crate) fn completed_since(&self, from: i64, kinds: &[WorkOrderKind]) -> Option<i64> {
        let done = |visit: &&Visit| {
            visit.at >= from
                && visit.has(WorkOrderStatus::Completed)
                && kinds.iter().any(|kind| visit.is(*kind))
        };
        self.visits.iter().rev().find(done).map(|visit| visit.at)
    }

    /// The switch is open or the valve closed.
    pub(crate) fn is_cut(&self) -> bool {
        self.cut_at > self.joined_at
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        size_of::<Self>()
            + (self.marks.capacity() + self.errors.capacity()) * size_of::<Mark>()
            + self.visits.capacity() * size_of::<Visit>()
            + self.back_minor.capacity() * size_of::<i64>()
            + self.reverse.capacity() * size_of::<(i32, i64)>()
            + self.draws.capacity() * size_of::<(i32, i16, u32)>()
    }
}

fn keep(marks: &mut Vec<Mark>, mark: Mark, most: usize) -> bool {
    let day = |mark: &Mark| (mark.at.div_euclid(86_400), mark.code);
    if let Some(known) = marks.iter().position(|known| day(known) == day(&mark)) {
        if marks[known].at <= mark.at {
            return false;
        }
        marks.remove(known);
    }
    let gap = marks.partition_point(|known| *known < mark);
    marks.insert(gap, mark);
    if marks.len() > most {
        marks.remove(0);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spell_ends_with_a_long_pause() {
        let mut spell = Spell::NONE;
        assert!(spell.see(100, 50) && !spell.see(140, 50) && !spell.see(120, 50));
        assert_eq!((spell.from, spell.to), (100, 140));
        assert!(spell.see(191, 50));
        assert_eq!((spell.from, spell.to), (191, 191));
    }

    #[test]
    fn marks_stay_in_order_and_few() {
        let mut rare = Rare::nothing();
        for day in (0..40).rev() {
            assert!(rare.mark(day * 86_400 + 50, EventCode::Tilt));
        }
        let last = 39 * 86_400;
        assert!(!rare.mark(last + 60, EventCode::Tilt) && rare.mark(last + 40, EventCode::Tilt));
        assert_eq!((rare.marks.len(), rare.marks[15].at), (MARKS_MAX, last + 40));
    }
}
