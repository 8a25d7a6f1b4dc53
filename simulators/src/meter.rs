//! A simulated meter: who it is, how it reaches the head-end, and its register.

use metering::{Commodity, CustomerClass, Tag, UtcTime};

use crate::calendar::{Day, Days};
use crate::rng::{Purpose, Stream};
use crate::usage::{Change, DayUse, Model, Span};

/// How the meter's values travel.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Path {
    /// Over its own connection, hourly, this long after the full hour.
    Direct { phase_s: i64 },
    /// In the batches of a collector: each quarter hour, or only in the one given (0 to 3).
    Batch { collector: usize, quarter: Option<i64> },
    /// As radio telegrams that collectors overhear; the first of `heard_by` is the primary.
    Radio { protocol: Protocol, id: u32, heard_by: Vec<usize>, phase_s: i64 },
}

/// The kind of telegram, as rtlamr prints it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Protocol {
    Scm,
    ScmPlus,
    R900,
}

/// One count of a register.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Dial {
    /// Thousandths of a milli-unit per count.
    pub(crate) step_micro: i64,
    /// The counter rolls over at; 0 = never.
    pub(crate) modulus: i64,
}

/// A meter with all that was planned for it.
#[derive(Clone, Debug)]
pub(crate) struct SimMeter {
    pub(crate) index: usize,
    pub(crate) number: String,
    pub(crate) commodity: Commodity,
    pub(crate) class: CustomerClass,
    pub(crate) tags: Vec<Tag>,
    pub(crate) flow_rated_lph: i32,
    pub(crate) path: Path,
    pub(crate) model: Model,
    pub(crate) dial: Dial,
    /// Counts on the register before the first message; import and export.
    pub(crate) start: [i64; 2],
    pub(crate) changes: Vec<Change>,
    pub(crate) silent_from: Option<UtcTime>,
    pub(crate) fades: Vec<Span>,
    pub(crate) battery_low_from: Option<UtcTime>,
    /// The meter repeats the low battery as an event with each report, not only as a status.
    pub(crate) battery_events: bool,
    /// Where its intervals are not what its register counts.
    pub(crate) garbles: Vec<Garble>,
    /// No telegram of a meter with a planned fault is lost, so that the fault can be found.
    pub(crate) good_link: bool,
    /// Its clock minus the true time, in seconds.
    pub(crate) clock_offset_s: i64,
    pub(crate) rssi_dbm: i64,
}

/// Intervals that end in `(from, to]` are sent as this share, and so much more, of their import.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Garble {
    pub(crate) span: Span,
    pub(crate) permille: i64,
    /// In counts.
    pub(crate) plus: i64,
}

/// Reads the register of one meter, forwards in time.
#[derive(Clone, Debug)]
pub(crate) struct Register {
    seed: u64,
    day_index: Option<usize>,
    day_start: UtcTime,
    /// Milli-units at the start of the day, and at the end of each of its cells.
    base: [i64; 2],
    sums: [Vec<i64>; 2],
    start: [i64; 2],
}

impl SimMeter {
    pub(crate) fn collector(&self) -> Option<usize> {
        match &self.path {
            Path::Direct { .. } => None,
            Path::Batch { collector, .. } => Some(*collector),
            Path::Radio { heard_by, .. } => heard_by.first().copied(),
        }
    }

    pub(crate) fn is_produced(&self) -> bool {
        matches!(&self.model, Model::Power(power) if power.solar_w > 0.0)
    }

    /// The meter's report of this instant is not heard, because of the meter or of its radio link.
    pub(crate) fn is_mute(&self, at: UtcTime) -> bool {
        self.silent_from.is_some_and(|from| at >= from)
            || self.fades.iter().any(|fade| fade.contains(at))
    }

    /// The counts of an interval of import as they are sent.
    pub(crate) fn sent(&self, end: UtcTime, counts: i64) -> i64 {
        let of = |garble: &&Garble| garble.span.from < end && end <= garble.span.to;
        match self.garbles.iter().find(of) {
            Some(garble) => counts * garble.permille / 1_000 + garble.plus,
            None => counts,
        }
    }

    pub(crate) fn battery_is_low(&self, at: UtcTime) -> bool {
        self.battery_low_from.is_some_and(|from| at >= from)
    }

    /// Use of a day with all planned changes.
    pub(crate) fn day_use(&self, seed: u64, index: usize, day: &Day) -> DayUse {
        let mut stream = Stream::new(seed, Purpose::Usage, self.index, index);
        let mut out = self.model.day(&mut stream, day);
        for change in &self.changes {
            change.apply(day.start, self.model.cell_s(), &mut out.import);
        }
        out
    }
}

impl Dial {
    /// Counts of an amount in milli-units.
    pub(crate) const fn counts(self, milli: i64) -> i64 {
        milli * 1000 / self.step_micro
    }

    /// The counter as the meter shows it.
    pub(crate) const fn shown(self, counts: i64) -> i64 {
        if self.modulus > 0 { counts % self.modulus } else { counts }
    }
}

impl Register {
    pub(crate) fn new(seed: u64, meter: &SimMeter) -> Self {
        Self {
            seed,
            day_index: None,
            day_start: UtcTime::MIN,
            base: [0; 2],
            sums: [Vec::new(), Vec::new()],
            start: meter.start,
        }
    }

    /// Counts (without rollover) of import and export at an instant, as of the last full cell.
    /// Instants of one meter must not go backwards by more than the current day.
    pub(crate) fn counts_at(&mut self, meter: &SimMeter, days: &Days, at: UtcTime) -> [i64; 2] {
        let wanted = days.index_of(at);
        while self.day_index.is_none_or(|index| index < wanted) {
            let next = self.day_index.map_or(0, |index| index + 1);
            let Some(day) = days.get(next) else { break };
            for (base, sums) in self.base.iter_mut().zip(&self.sums) {
                *base += sums.last().copied().unwrap_or(0);
            }
            let DayUse { import, export } = meter.day_use(self.seed, next, day);
            self.sums = [running(import), running(export)];
            self.day_index = Some(next);
            self.day_start = day.start;
        }
        let cells = at.seconds_since(self.day_start) / meter.model.cell_s();
        let before = usize::try_from(cells).unwrap_or(0);
        let total = |which: usize| {
            let sums = &self.sums[which];
            let within = match before.min(sums.len()) {
                0 => 0,
                filled => sums[filled - 1],
            };
            self.start[which] + meter.dial.counts(self.base[which] + within)
        };
        [total(0), total(1)]
    }
}

fn running(mut cells: Vec<i64>) -> Vec<i64> {
    let mut sum = 0;
    for cell in &mut cells {
        sum += *cell;
        *cell = sum;
    }
    cells
}
