//! Meters whose intervals are not what their register counts: days for a person to review. They
//! are planned last, so that they change nothing about the other parts.

use metering::UtcTime;

use super::faults::is_plain_power;
use super::{DAY_S, HOUR_S, Planner};
use crate::meter::Garble;
use crate::truth::{FaultKind, Magnitude};
use crate::usage::Span;

/// In a smaller fleet too many meters would have a part to play.
const METERS_MIN: u32 = 120;
const SLOT_S: i64 = 900;
/// REG-SUM (#13) speaks when the day is closed.
const NEED_S: i64 = 36 * HOUR_S;
/// Days before the horizon among which the day is chosen: what is to be reviewed is fresh.
const DAYS: usize = 8;

impl Planner<'_> {
    pub(super) fn plan_counts(&mut self) {
        if self.spec.meters < METERS_MIN {
            return;
        }
        let _planned = self.garbled_interval();
        let _planned = self.lost_pulses();
    }

    /// One interval is sent far above what the register counted, below what the fuse lets through.
    fn garbled_interval(&mut self) -> Option<()> {
        let day = self.whole_day()?;
        let hour = self.stream.between(10, 20);
        let from = day.from.plus_seconds(hour * HOUR_S);
        let plus = self.stream.between(7_500, 10_500);
        let span = Span { from, to: from.plus_seconds(SLOT_S) };
        let magnitude = Magnitude { value: plus, unit: Magnitude::ENERGY };
        self.garble((day, span), (1_000, plus), (FaultKind::GarbledInterval, magnitude))
    }

    /// All day the intervals hold a share of what the register counted.
    fn lost_pulses(&mut self) -> Option<()> {
        let day = self.whole_day()?;
        let permille = self.stream.between(550, 720);
        let magnitude = Magnitude { value: permille, unit: Magnitude::SHARE };
        self.garble((day, day), (permille, 0), (FaultKind::LostPulses, magnitude))
    }

    fn garble(
        &mut self,
        (day, span): (Span, Span),
        (permille, plus): (i64, i64),
        (kind, magnitude): (FaultKind, Magnitude),
    ) -> Option<()> {
        let found = day.to.plus_seconds(NEED_S);
        let index = self.pick(Span { from: day.from, to: found }, is_plain_power)?;
        let meter = self.meter(index);
        meter.good_link = true;
        meter.garbles.push(Garble { span, permille, plus });
        self.add_fault(kind, self.subject(index), (span.from, found), magnitude);
        Some(())
    }

    /// A local day of 24 hours late in the history.
    fn whole_day(&mut self) -> Option<Span> {
        let early = self.spec.history_start.plus_seconds(6 * DAY_S);
        let fits = |end: UtcTime| end.plus_seconds(NEED_S) <= self.horizon;
        let days: Vec<Span> = self
            .days
            .all()
            .iter()
            .filter(|day| day.start >= early && fits(day.end))
            .filter(|day| day.end.seconds_since(day.start) == DAY_S)
            .map(|day| Span { from: day.start, to: day.end })
            .collect();
        let late = &days[days.len().saturating_sub(DAYS)..];
        late.get(self.stream.index(late.len())).copied()
    }
}
