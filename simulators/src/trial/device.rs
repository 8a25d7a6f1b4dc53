//! A meter of a trial: its day as measured, and what of it has not been sent yet.

use std::collections::VecDeque;
use std::ops::Range;

use metering::{Commodity, CustomerClass, DeviceFlags, MeterRole, Tag, UtcTime};

use super::twist::{Part, Twist};
use crate::calendar::Day;
use crate::rng::{Purpose, Stream};
use crate::usage::Model;

/// Length of the slots of all meters, in seconds.
pub(crate) const SLOT_S: i64 = 900;
/// A meter keeps the slots of this many days.
const KEPT_SLOTS: usize = 96 * 12;

#[derive(Debug)]
pub(crate) struct Device {
    pub(crate) index: usize,
    pub(crate) number: String,
    /// Its address; that of the first of the meters there.
    pub(crate) premises: usize,
    pub(crate) commodity: Commodity,
    pub(crate) class: CustomerClass,
    pub(crate) tags: Vec<Tag>,
    pub(crate) flow_rated_lph: i32,
    pub(crate) model: Model,
    /// Index of its collector, and of the one through which it is heard when that one is away.
    pub(crate) collector: usize,
    pub(crate) second: Option<usize>,
    pub(crate) transformer: Option<usize>,
    pub(crate) dma: Option<usize>,
    pub(crate) role: MeterRole,
    pub(crate) cohort: usize,
    pub(crate) phases: u8,
    /// Measures the sum of what these meters used.
    pub(crate) sums: Option<Range<usize>>,
    pub(crate) parts: Vec<Part>,
    pub(crate) export: bool,
    pub(crate) reactive: bool,
    pub(crate) rates: bool,
    pub(crate) state: Measured,
}

/// What the meter has measured.
#[derive(Debug)]
pub(crate) struct Measured {
    stream: Stream,
    /// Counts on the register, and milli-units that are no whole count yet.
    register: i64,
    rest: i64,
    pub(crate) rate_registers: [i64; 2],
    /// Use of today's slots as it truly was, in milli-units.
    pub(crate) used: Vec<i64>,
    pub(crate) waiting: VecDeque<Slot>,
    /// Register at local midnights that were not sent yet.
    pub(crate) midnights: VecDeque<Midnight>,
    pub(crate) event_seq: i64,
    /// A list of events was begun in the present report.
    pub(crate) events_open: bool,
    /// Reports that are still lost in the present fade.
    pub(crate) fading: u32,
    pub(crate) reported_to: UtcTime,
}

/// One slot as measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot {
    pub(crate) end: UtcTime,
    pub(crate) import: i64,
    pub(crate) export: i64,
    pub(crate) reactive: i64,
    pub(crate) flags: u16,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Midnight {
    pub(crate) at: UtcTime,
    pub(crate) register: i64,
    pub(crate) rates: [i64; 2],
}

impl Measured {
    pub(crate) fn new(seed: u64, index: usize) -> Self {
        let mut stream = Stream::new(seed, Purpose::Sending, index, 7);
        let register = stream.between(20_000, 900_000);
        Self {
            rate_registers: [register / 2, register - register / 2],
            register,
            stream,
            rest: 0,
            used: Vec::new(),
            waiting: VecDeque::new(),
            midnights: VecDeque::new(),
            event_seq: 0,
            events_open: false,
            fading: 0,
            reported_to: UtcTime::MIN,
        }
    }

    pub(crate) fn stream(&mut self) -> &mut Stream {
        &mut self.stream
    }

    /// Sets the register so that it passes `modulus` after about `days` ordinary days.
    pub(crate) fn near_rollover(&mut self, modulus: i64, counts: i64) {
        self.register = modulus - counts;
    }
}

impl Device {
    /// Lives through a local day. `supplied`: the true use of the meters that this one sums.
    pub(crate) fn live(&mut self, seed: u64, index: usize, day: &Day, supplied: Option<Vec<i64>>) {
        let mut stream = Stream::new(seed, Purpose::Usage, self.index, index);
        let (cell_s, mut cells, export) = match supplied {
            Some(cells) => (SLOT_S, cells, Vec::new()),
            None => {
                let day_use = self.model.day(&mut stream, day);
                (self.model.cell_s(), day_use.import, day_use.export)
            }
        };
        for part in &self.parts {
            part.flow(&mut stream, day, cell_s, &mut cells);
        }
        let per_slot = usize::try_from(SLOT_S / cell_s).unwrap_or(1).max(1);
        let used: Vec<i64> = cells.chunks(per_slot).map(|cells| cells.iter().sum()).collect();
        let largest = used.iter().copied().max().unwrap_or(0) / 1000;
        let spiked = self.state.stream.index(used.len());
        for (slot, milli) in used.iter().enumerate() {
            let end = day.start.plus_seconds(SLOT_S * (i64::try_from(slot).unwrap_or(0) + 1));
            let whole = self.state.rest + milli;
            self.state.rest = whole.rem_euclid(1000);
            let told = Told {
                end,
                counts: whole.div_euclid(1000),
                export: export.get(slot).copied().unwrap_or(0) / 1000,
                spike: if slot == spiked { largest } else { 0 },
                even_day: index.is_multiple_of(2),
            };
            self.measure(told);
        }
        self.state.used = used;
        let midnight = Midnight {
            at: day.end,
            register: self.shown(self.state.register),
            rates: self.state.rate_registers,
        };
        self.state.midnights.push_back(midnight);
    }

    /// The counter as it is shown.
    pub(crate) fn shown(&self, counts: i64) -> i64 {
        match self.modulus() {
            0 => counts,
            modulus => counts.rem_euclid(modulus),
        }
    }

    /// Six digits for water, so that some roll over; 0 = never.
    pub(crate) const fn modulus(&self) -> i64 {
        match self.commodity {
            Commodity::Water => 1_000_000_000,
            _ => 0,
        }
    }

    fn measure(&mut self, told: Told) {
        let Told { end, counts, mut export, spike, .. } = told;
        let start = end.plus_seconds(-SLOT_S);
        let (mut import, mut register, mut flags) = (counts, counts, 0);
        let (mut reactive, mut rate_permille) = (counts * 300 / 1000, 0);
        for part in self.parts.iter().filter(|part| part.span.contains(start)) {
            let first = part.span.from > start.plus_seconds(-SLOT_S);
            match part.twist {
                Twist::Intervals(permille) => import = counts * permille / 1000,
                Twist::Wander { less, more } => {
                    import = counts * if told.even_day { less } else { more } / 1000;
                }
                Twist::Stuck(value) => (import, register) = (value, value),
                // The register knows nothing of it: else it would be real use.
                Twist::Spike(permille) if spike > 0 => import = spike * permille / 1000,
                Twist::Backwards(permille) => {
                    import = -(counts * permille / 1000);
                    register = import;
                }
                Twist::Export(value) => export += value,
                Twist::Flag(bits) => flags |= bits,
                Twist::Dark => flags |= DeviceFlags::POWER_FAIL.bits(),
                Twist::Jump(value) if first => (import, register) = (value, value),
                Twist::Drop(lost) if first => {
                    self.state.register = (self.state.register - lost).max(0);
                }
                Twist::Reactive(permille) => reactive = counts * permille / 1000,
                Twist::Rates(permille) => rate_permille = permille,
                _ => {}
            }
        }
        self.state.register += register;
        let rate = usize::from((6..22).contains(&(end.seconds().rem_euclid(86_400) / 3600)));
        self.state.rate_registers[rate] += register - register * rate_permille / 1000;
        if self.state.waiting.len() == KEPT_SLOTS {
            self.state.waiting.pop_front();
        }
        self.state.waiting.push_back(Slot { end, import, export, reactive, flags });
    }

    /// The meter is not heard at `at`, whatever its link.
    pub(crate) fn is_mute(&self, at: UtcTime) -> bool {
        self.parts
            .iter()
            .any(|part| matches!(part.twist, Twist::Mute | Twist::Dark) && part.span.contains(at))
    }

    pub(crate) fn clock_s(&self, at: UtcTime) -> i64 {
        self.parts.iter().map(|part| part.clock_s(at)).sum()
    }
}

/// What flowed in one slot, in counts.
#[derive(Clone, Copy)]
struct Told {
    end: UtcTime,
    counts: i64,
    export: i64,
    /// The day's largest slot, if this is the slot that a spike is in.
    spike: i64,
    even_day: bool,
}
