//! One measured series of a meter as the rules see it.

use metering::{ChannelAsset, ChannelKind, Commodity, Flow, Quantity};

use super::days::{DayRing, OpenDay, Slot, code_of};
use super::gaps::{self, Coding, Gap};
use super::hist::HalfOctaves;
use super::months::Months;
use super::open::OpenDays;
use super::sec::Sec;
use super::water::Water;
use crate::local::LocalDay;
use crate::snapshot::snap_struct;

/// Classes of the lengths of zero runs, from 4 h to more than 15 d.
const RUN_CLASSES: usize = 15;
pub(crate) const RUN_BASE_S: i64 = 4 * 3_600;
/// No timer is set.
pub(crate) const NO_TIMER: i64 = i64::MAX;
/// Slots are judged one by one only for lengths from 5 min to a day.
const LEN_S: std::ops::RangeInclusive<i32> = 300..=86_400;

/// What a channel that carries no use of its own tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Sort {
    Use = 0,
    /// Energy fed into the network.
    Export = 1,
    /// Supply voltage, or the loaded voltage of the cell of a battery device.
    Voltage = 2,
    Temperature = 3,
    Other = 4,
}

crate::snapshot::snap_by!(Sort, u8, |sort: Sort| sort as u8, |number| match number {
    0 => Some(Sort::Use),
    1 => Some(Sort::Export),
    2 => Some(Sort::Voltage),
    3 => Some(Sort::Temperature),
    4 => Some(Sort::Other),
    _ => None,
});

impl Sort {
    fn of(asset: &ChannelAsset, used: bool) -> Self {
        match (asset.reading_type.quantity, asset.reading_type.flow) {
            _ if used => Self::Use,
            (Quantity::EnergyActive, Flow::Export) if asset.reading_type.tariff == 0 => {
                Self::Export
            }
            (Quantity::Voltage, _) => Self::Voltage,
            (Quantity::Temperature, _) => Self::Temperature,
            _ => Self::Other,
        }
    }
}

/// State of a channel. Those that are used carry what the customer uses; the others only show that
/// the meter is alive.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Channel {
    pub(crate) no: i16,
    pub(crate) sort: Sort,
    pub(crate) len_s: i32,
    pub(crate) lag_s: i32,
    /// Milli-units of one step.
    resolution: u32,
    pub(crate) last_end: Sec,
    /// End of the newest slot with consumption.
    pub(crate) last_flow: Sec,
    /// Slots without consumption after `last_flow`.
    pub(crate) zeros: u32,
    /// Zero run that is suspicious for this meter, in seconds; 0 = not evaluable yet.
    pub(crate) zero_limit_s: i32,
    /// All days up to this one are closed; 0 = none yet.
    closed_through: u16,
    /// When the timer that closes the next day is due.
    pub(crate) close_at: Sec,
    /// Days of which slots may still come; of the closed ones only the few that are missing.
    pub(crate) open: OpenDays,
    pub(crate) days: DayRing,
    pub(crate) runs: HalfOctaves<RUN_CLASSES>,
    /// Slots of the zero run that reaches into the next day.
    pub(crate) run_carry: u16,
    pub(crate) judged_days: u16,
    pub(crate) used_days: u16,
    /// Judged days without use since the last one with use; not counted above yet.
    pub(crate) idle_days: u16,
    /// Days with use since MTR-STOP fired.
    pub(crate) return_days: u8,
    pub(crate) months: Months,
    pub(crate) water: Option<Box<Water>>,
}

snap_struct!(Channel {
    no,
    sort,
    len_s,
    lag_s,
    resolution,
    last_end,
    last_flow,
    zeros,
    zero_limit_s,
    closed_through,
    close_at,
    open,
    days,
    runs,
    run_carry,
    judged_days,
    used_days,
    idle_days,
    return_days,
    months,
    water,
});

impl crate::snapshot::Snap for HalfOctaves<RUN_CLASSES> {
    fn save(&self, to: &mut crate::snapshot::Writer) {
        self.counts.save(to);
    }
    fn load(
        from: &mut crate::snapshot::Reader<'_>,
    ) -> Result<Self, crate::snapshot::SnapshotError> {
        Ok(Self { counts: crate::snapshot::Snap::load(from)? })
    }
}

impl Channel {
    pub(crate) fn new(asset: &ChannelAsset) -> Self {
        Self {
            no: asset.channel.get(),
            sort: Sort::Other,
            len_s: asset.len_s,
            lag_s: asset.delivery_lag_s,
            resolution: 0,
            last_end: Sec::NEVER,
            last_flow: Sec::NEVER,
            zeros: 0,
            zero_limit_s: 0,
            closed_through: 0,
            close_at: Sec::NONE,
            open: OpenDays::default(),
            days: DayRing::NEW,
            runs: HalfOctaves::EMPTY,
            run_carry: 0,
            judged_days: 0,
            used_days: 0,
            idle_days: 0,
            return_days: 0,
            months: Months::NEW,
            water: None,
        }
    }

    /// Takes the facts of the asset model; the state stays.
    pub(crate) fn update(&mut self, asset: &ChannelAsset, used: bool, commodity: Commodity) {
        self.lag_s = asset.delivery_lag_s;
        self.resolution = u32::try_from(asset.resolution.max(0)).unwrap_or(u32::MAX);
        self.sort = Sort::of(asset, used);
        let flows = matches!(commodity, Commodity::Water | Commodity::Gas);
        if used && flows && self.water.is_none() {
            self.water = Some(Box::new(Water::new(i64::from(self.len_s), self.resolution)));
        }
    }

    pub(crate) fn used(&self) -> bool {
        self.sort == Sort::Use
    }

    /// All local days up to this one are closed; `i32::MIN` before the first slot.
    pub(crate) fn closed_through(&self) -> i32 {
        if self.closed_through == 0 { i32::MIN } else { i32::from(self.closed_through) }
    }

    /// Days from 1970 to 2149.
    pub(crate) fn close_through(&mut self, number: i32) {
        self.closed_through = u16::try_from(number.max(1)).unwrap_or(u16::MAX);
    }

    /// Milli-units of one step.
    pub(crate) fn resolution(&self) -> i64 {
        i64::from(self.resolution)
    }

    pub(crate) fn len(&self) -> i64 {
        i64::from(self.len_s)
    }

    /// Seconds without consumption up to the newest value, 0 unless nine tenths of them are known.
    pub(crate) fn zero_run_s(&self) -> i64 {
        if self.last_flow == Sec::NEVER {
            return 0;
        }
        let run = self.last_end.s() - self.last_flow.s();
        if i64::from(self.zeros) * self.len() * 10 < run * 9 { 0 } else { run }
    }

    /// Marks a good slot in the run of zeros.
    pub(crate) fn note_flow(&mut self, end: i64, flows: bool) {
        if end <= self.last_flow.s() {
            return;
        }
        if !flows {
            self.zeros = self.zeros.saturating_add(1);
            return;
        }
        self.zeros = if end >= self.last_end.s() { 0 } else { self.zeros_after(end) };
        self.last_flow = Sec::of(end);
    }

    /// Zero slots that end after `end`: of the open days, and all of the closed, complete ones.
    fn zeros_after(&self, end: i64) -> u32 {
        let mut zeros = 0;
        for day in self.open.iter() {
            for index in 0..usize::from(day.slots) {
                let slot_end = day.start() + self.len() * (i64::try_from(index).unwrap_or(0) + 1);
                zeros += u32::from(slot_end > end && day.slot(index) == Slot::Zero);
            }
        }
        let newest = self.open.last().map_or(i32::MIN, |day| day.number);
        let first = i32::try_from(end.div_euclid(86_400)).unwrap_or(i32::MAX).saturating_add(1);
        let a_day = u32::try_from(86_400 / self.len()).unwrap_or(0);
        let gaps = self.gaps();
        for number in first.max(newest.saturating_sub(super::days::DAYS))..newest {
            if !self.open.has(number) && self.days.total(number) == Some(0) {
                let gap = gaps.iter().find(|gap| gap.number == number);
                zeros += gap.map_or(a_day, |gap| u32::from(gap.good()));
            }
        }
        zeros
    }

    fn coding(&self) -> Coding<'_> {
        Coding {
            days: &self.days,
            step: self.resolution(),
            flows: self.water.is_some(),
            usual: u16::try_from(86_400 / self.len()).unwrap_or(1),
        }
    }

    /// Slots of the night, 02:00 to 04:00, where nights count.
    fn night(&self) -> Option<std::ops::Range<usize>> {
        let place = |hours: i64| usize::try_from(hours * 3_600 / self.len()).unwrap_or(0);
        (self.water.is_some() && self.len() <= 3_600).then(|| place(2)..place(4))
    }

    /// A closed day whose total is known is kept by its gaps alone. Days before `oldest` take no
    /// slots any more.
    pub(crate) fn pack(&mut self, day: &OpenDay, oldest: i32) {
        self.open.retain(|number| number != day.number);
        let mut gaps = self.gaps();
        gaps.retain(|gap| gap.number > oldest && gap.number != day.number);
        if !day.is_complete() {
            let at = gaps.partition_point(|gap| gap.number < day.number);
            gaps.insert(at, Gap::of(day, self.night()));
        }
        self.keep_gaps(&gaps);
    }

    /// Days before `oldest` take no slots any more.
    pub(crate) fn forget_gaps(&mut self, oldest: i32) {
        let mut gaps = self.gaps();
        if gaps.first().is_some_and(|gap| gap.number <= oldest) {
            gaps.retain(|gap| gap.number > oldest);
            self.keep_gaps(&gaps);
        }
    }

    fn gaps(&self) -> Vec<Gap> {
        gaps::read(self.open.gaps(), self.coding())
    }

    fn keep_gaps(&mut self, gaps: &[Gap]) {
        let bytes = gaps::written(gaps, self.coding());
        self.open.set_gaps(&bytes);
    }

    /// Share of good slots of a day, in thousandths; exact while slots of the day may still come.
    pub(crate) fn good_permille(&self, number: i32) -> i64 {
        let share = |(good, slots): (u16, u16)| i64::from(good) * 1_000 / i64::from(slots.max(1));
        if let Some(open) = self.open.get(number) {
            return share((open.good, open.slots));
        }
        match self.gaps().iter().find(|gap| gap.number == number) {
            Some(gap) => share((gap.good(), gap.slots)),
            None if self.days.total(number).is_some() => 1_000,
            None => 0,
        }
    }

    /// A slot of a closed day came late; `None` when it is known.
    pub(crate) fn fill_gap(
        &mut self,
        number: i32,
        (index, value): (usize, Option<i64>),
        coverage_pct: i64,
    ) -> Option<LateSlot> {
        let mut gaps = self.gaps();
        let at = gaps.binary_search_by_key(&number, |gap| gap.number).ok()?;
        let (slots, len_s) = (self.night(), self.len());
        let gap = gaps.get_mut(at)?;
        if !gap.fill(u16::try_from(index).ok()?, value) {
            return None;
        }
        let inside = |slots: &std::ops::Range<usize>| slots.contains(&index);
        let at_night = slots.clone().filter(inside);
        let mut night = None;
        if let (Some(slots), Some(sums), Some(value)) = (at_night.as_ref(), &mut gap.night, value) {
            let into = i64::try_from(index - slots.start).unwrap_or(0) * len_s;
            let sum = &mut sums[usize::from(into >= 3_600)];
            *sum = sum.saturating_add(u32::try_from(value).unwrap_or(u32::MAX));
            let open = |list: &[u16]| list.iter().any(|one| slots.contains(&usize::from(*one)));
            let known = !open(&gap.missing) && !open(&gap.bad);
            night = known.then(|| i64::from(sums[0].min(sums[1])));
        }
        let late = LateSlot {
            night,
            flows: (gap.flows, gap.good()),
            at_night: at_night.is_some() && value.is_some_and(|value| value > 0),
        };
        let code = code_of(gap.sum, (gap.good(), gap.slots), coverage_pct);
        if gap.missing.is_empty() {
            gaps.remove(at);
        }
        self.days.set(number, code);
        self.keep_gaps(&gaps);
        Some(late)
    }

    /// The record of a day that may still change: new, or as it is kept. `None` when the day is
    /// complete, so that the slot must be known already.
    pub(crate) fn open_day(&self, day: LocalDay) -> Option<OpenDay> {
        self.open.get(day.number).or_else(|| {
            let complete = day.number <= self.closed_through() && self.days.is_known(day.number);
            (!complete).then(|| OpenDay::new(day, self.len()))
        })
    }

    /// Bytes of this channel, with what it keeps on the heap.
    pub(crate) fn bytes(&self) -> usize {
        size_of::<Self>()
            + self.open.heap_bytes()
            + self.water.as_ref().map_or(0, |water| water.heap_bytes())
    }
}

/// What a late slot did to its closed day.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct LateSlot {
    /// The least hour of the night, now known.
    pub(crate) night: Option<i64>,
    /// Slots with flow, and good ones.
    pub(crate) flows: (u16, u16),
    /// It shows flow at night.
    pub(crate) at_night: bool,
}

/// The channels that carry use: of each reading type (energy imported or netted, or volume, all
/// tariffs together) the one with the shortest interval.
pub(crate) fn used_channels(channels: &[ChannelAsset]) -> Vec<bool> {
    let is_use = |asset: &ChannelAsset| {
        let quantity = asset.reading_type.quantity;
        matches!(quantity, Quantity::EnergyActive | Quantity::EnergyThermal | Quantity::Volume)
            && asset.reading_type.flow != Flow::Export
            && asset.reading_type.tariff == 0
            && asset.kind != ChannelKind::Instant
            && LEN_S.contains(&asset.len_s)
    };
    channels
        .iter()
        .enumerate()
        .map(|(at, asset)| {
            let better = |(other_at, other): (usize, &ChannelAsset)| {
                is_use(other)
                    && other.reading_type.quantity == asset.reading_type.quantity
                    && (other.len_s, other_at) < (asset.len_s, at)
            };
            is_use(asset) && !channels.iter().enumerate().any(better)
        })
        .collect()
}
