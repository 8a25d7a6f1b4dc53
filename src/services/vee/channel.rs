//! Everything that is known around the gaps of one channel, as the pure estimator takes it.

mod beside;
mod counter;
mod outages;
mod repair;

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use metering::{
    ChannelKind, ChannelNo, LocalCalendar, MeterId, QualityStatus, SlotCode, Tag, UtcTime,
};
use store::Database;
use store::assets::RegistryMeter;
use store::estimation::{
    BestSlot, SeriesSpan, SlotRange, StoredEstimation, circumstances, in_force, registers, series,
};
use vee::estimate::profiles::built_in;
use vee::estimate::{
    ChannelFacts, ClassProfile, Estimate, EstimateError, Estimator, Gap, GapInput, LIKE_REACH_DAYS,
    Method, Outage, OutageEvidence, RateWindow, Review, Series, Slot, TouInput, TouSchedule,
    bridge,
};
use vee::estimation::{Counter, Window, windows};

use super::VeeError;

pub(crate) use repair::HourRepair;

const DAY_S: i64 = 86_400;
/// Days around the gap that like days and recent use are taken from.
const REACH_S: i64 = (LIKE_REACH_DAYS as i64 + 1) * DAY_S;
const YEAR_S: i64 = 364 * DAY_S;
/// Estimates in a row over more than this wait for a person (5.1).
const RUN_MAX_S: i64 = 15 * DAY_S;

/// Days and times of the utility, from the rules that hold.
#[derive(Clone, Debug, Default)]
pub(crate) struct UtilityCalendar {
    pub(crate) holidays: BTreeSet<Date>,
    /// The switching programme of rate registers, when it is known.
    pub(crate) rates: Option<TouSchedule>,
}

impl UtilityCalendar {
    /// The rate that counts an interval which begins then; `None`: not known.
    pub(crate) fn rate(&self, calendar: &LocalCalendar, start: UtcTime) -> Option<u8> {
        let schedule = self.rates.as_ref()?;
        Some(schedule.rate_at((calendar, &self.holidays), start)).filter(|rate| *rate > 0)
    }
}

/// Which channel, around which gap, and when (log time).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask<'a> {
    pub(crate) meter: &'a RegistryMeter,
    pub(crate) channel: ChannelNo,
    pub(crate) gap: Gap,
    pub(crate) now: UtcTime,
    pub(crate) utility: &'a UtilityCalendar,
}

/// A channel with its surroundings.
#[derive(Debug)]
pub(crate) struct Channel {
    pub(crate) meter: MeterId,
    pub(crate) facts: ChannelFacts,
    pub(crate) best: BTreeMap<UtcTime, BestSlot>,
    pub(crate) tamper: bool,
    /// Records in force around the gap.
    pub(crate) records: Vec<StoredEstimation>,
    series: Series,
    counter: Counter,
    /// Registers of the rates beside a total, by rate.
    rates: Vec<(u8, Counter)>,
    schedule: Option<TouSchedule>,
    check: Option<Series>,
    outages: Vec<Outage>,
    profile: ClassProfile,
    around: Gap,
    now: UtcTime,
}

/// Facts of a channel, without its values.
pub(crate) async fn asset(
    db: &Database,
    meter: MeterId,
    channel: ChannelNo,
) -> Result<ChannelFacts, VeeError> {
    let found = db.load_meter(meter).await?.ok_or(VeeError::NoChannel(meter, channel))?;
    facts(&found, channel, &UtilityCalendar::default())
}

fn facts(
    meter: &RegistryMeter,
    channel: ChannelNo,
    utility: &UtilityCalendar,
) -> Result<ChannelFacts, VeeError> {
    let info = meter.asset.channel(channel).ok_or(VeeError::NoChannel(meter.meter, channel))?;
    if info.len_s <= 0 || info.kind == ChannelKind::Instant {
        return Err(VeeError::Range { len_s: info.len_s });
    }
    let zone = &meter.asset.zone;
    let calendar = LocalCalendar::new(zone).map_err(|_| VeeError::Zone(zone.clone()))?;
    Ok(ChannelFacts {
        channel: *info,
        commodity: meter.asset.commodity,
        calendar,
        holidays: utility.holidays.clone(),
        net: meter.asset.has_tag(Tag::NetMeter),
    })
}

fn slot(best: &BestSlot) -> Slot {
    Slot { end: best.end, value: best.value, code: SlotCode::new(best.status, best.flags) }
}

impl Channel {
    /// Reads what lies around the gap: five weeks to either side, the same weeks of last year, the
    /// registers and exchanges, check channels, and the power events of the meter and of its
    /// transformer.
    pub(crate) async fn load(db: &Database, ask: &Ask<'_>) -> Result<Self, VeeError> {
        let (meter, gap) = (ask.meter, ask.gap);
        let facts = facts(meter, ask.channel, ask.utility)?;
        let span = |from, to| SeriesSpan { meter: meter.meter, channel: ask.channel, from, to };
        let (from, to) = (gap.from.plus_seconds(-REACH_S), gap.to.plus_seconds(REACH_S));
        let mut slots = series(db, span(from, to)).await?;
        let year = span(from.plus_seconds(-YEAR_S), gap.to.plus_seconds(DAY_S - YEAR_S));
        let mut all = if year.to < from { series(db, year).await? } else { Vec::new() };
        all.append(&mut slots);
        let reads = registers(db, span(from, to)).await?;
        let exchanged = store::estimation::exchanges(db, span(from, to)).await?;
        let info = meter.channels.iter().find(|one| one.channel == ask.channel);
        let (events, tamper) =
            circumstances(db, meter.meter, (gap.from.plus_seconds(-DAY_S), gap.to)).await?;
        Ok(Self {
            meter: meter.meter,
            series: Series::new(facts.len_s(), all.iter().map(slot).collect()),
            best: all.into_iter().map(|best| (best.end, best)).collect(),
            records: in_force(db, span(from, to)).await?,
            counter: counter::of(&reads, info, &exchanged),
            rates: beside::rates(db, ask, span(from, to)).await?,
            schedule: ask.utility.rates.clone(),
            check: beside::check(db, span(gap.from, gap.to), facts.len_s()).await?,
            outages: outages::load(db, meter, &events, gap).await?,
            profile: built_in(meter.asset.commodity, meter.asset.class),
            around: gap,
            tamper,
            facts,
            now: ask.now,
        })
    }

    /// Gaps that are ripe: what was measured in another shape as it was, the rest by the ladder. A
    /// window of which nothing is known is left. Estimates that were never scaled share what a
    /// register leaves for their window, and are made anew with it.
    pub(crate) fn ripe(&self) -> Result<Vec<Estimate>, EstimateError> {
        let (mut told, series) = self.repaired(self.around, self.now)?;
        let (series, whole, anew) = self.with_unscaled(series);
        let mut found = self.unheld(&series, whole);
        self.keep_linked(&mut found, &anew);
        told.extend(self.estimated(&series, &found, None)?);
        for one in &mut told {
            if self.run_through(one.gap) > RUN_MAX_S && !one.review.contains(&Review::Longer15Days)
            {
                one.review.push(Review::Longer15Days);
            }
        }
        Ok(told)
    }

    /// Windows with a hole, and those that hold a part of a record of which another part goes: the
    /// rest is for the nightly job.
    fn keep_linked(&self, found: &mut Vec<Window>, anew: &[Gap]) {
        let len_s = self.facts.len_s();
        let owned = |end| self.best.get(&end).is_some_and(|slot| slot.estimation_no.is_some());
        let is_hole = |gap: &Gap| gap.ends(len_s).any(|end| !owned(end));
        let touches = |window: &Window, record: &Gap| {
            window.gaps.iter().any(|gap| gap.overlaps(record.from, record.to))
        };
        let mut keep: Vec<bool> =
            found.iter().map(|window| window.gaps.iter().any(is_hole)).collect();
        loop {
            let linked = |window: &Window| {
                let kept = |record: &Gap| {
                    found.iter().zip(&keep).any(|(other, keep)| *keep && touches(other, record))
                };
                anew.iter().any(|record| touches(window, record) && kept(record))
            };
            let next: Vec<bool> =
                found.iter().zip(&keep).map(|(window, keep)| *keep || linked(window)).collect();
            if next == keep {
                break;
            }
            keep = next;
        }
        let mut keep = keep.into_iter();
        found.retain(|_| keep.next().unwrap_or(false));
    }

    /// The series without the unscaled automatic estimates that a register scales now, the stretch
    /// that holds them and the gap, and their records. A record goes as a whole or stays.
    fn with_unscaled(&self, series: Series) -> (Series, Gap, Vec<Gap>) {
        let len_s = self.facts.len_s();
        let stale: Vec<Gap> = self
            .records
            .iter()
            .filter(|one| one.is_open_to_scale())
            .map(|one| Gap::new(one.from, one.to))
            .collect();
        if stale.is_empty() {
            return (series, self.around, Vec::new());
        }
        let of = |end: UtcTime| stale.iter().position(|gap| gap.holds(end));
        let is_stale =
            |slot: &Slot| slot.code.status() == QualityStatus::Estimated && of(slot.end).is_some();
        let first = stale.iter().map(|gap| gap.from).min().unwrap_or(self.around.from);
        let last = stale.iter().map(|gap| gap.to).max().unwrap_or(self.around.to);
        let whole = Gap::new(first.min(self.around.from), last.max(self.around.to));
        let open = without(&series, is_stale);
        let mut scaled = vec![true; stale.len()];
        let mut useful = false;
        for window in self.unheld(&open, whole) {
            for end in window.gaps.iter().flat_map(|gap| gap.ends(len_s)) {
                if let Some(at) = of(end) {
                    scaled[at] &= window.registers.is_some();
                    useful |= scaled[at];
                }
            }
        }
        if !useful {
            return (series, self.around, Vec::new());
        }
        let goes = |slot: &Slot| is_stale(slot) && of(slot.end).is_some_and(|at| scaled[at]);
        let kept = without(&series, goes);
        let anew = stale.iter().zip(&scaled).filter(|(_, scaled)| **scaled);
        (kept, whole, anew.map(|(gap, _)| *gap).collect())
    }

    /// Seconds of the gap with all slots before it that no meter measured, whether estimated,
    /// proposed or open.
    fn run_through(&self, gap: Gap) -> i64 {
        let len = i64::from(self.facts.len_s());
        let Some(first) = self.best.keys().next().copied() else { return gap.len_s() };
        let lacking = |end: &UtcTime| {
            use QualityStatus::{Edited, Raw, Validated, Verified};
            let measured = |status| matches!(status, Raw | Validated | Verified | Edited);
            *end >= first && !self.best.get(end).is_some_and(|slot| measured(slot.status))
        };
        let before = std::iter::successors(Some(gap.from), |end| Some(end.plus_seconds(-len)))
            .take_while(lacking)
            .count();
        gap.len_s() + i64::try_from(before).unwrap_or(0) * len
    }

    /// Gaps of the range, whether ripe or not, by the method that a person chose or by the ladder.
    /// Automatic estimates in the range are made anew.
    pub(crate) fn by_hand(
        &self,
        range: &SlotRange,
        method: Option<Method>,
    ) -> Result<Vec<Estimate>, VeeError> {
        let asked = |end: UtcTime| {
            range.from < end
                && end <= range.to
                && (range.ends.is_empty() || range.ends.contains(&end))
        };
        // A record goes as a whole: else slots would be left to one that is no longer in force.
        let records: BTreeSet<i64> = self
            .best
            .values()
            .filter(|slot| asked(slot.end) && is_automatic(slot.status))
            .filter_map(|slot| slot.estimation_no)
            .collect();
        let anew = |end: UtcTime| {
            let owner = self.best.get(&end).filter(|slot| is_automatic(slot.status));
            owner.and_then(|slot| slot.estimation_no).is_some_and(|no| records.contains(&no))
        };
        let chosen = |end: UtcTime| asked(end) || anew(end);
        let series = without(&self.series, |slot: &Slot| anew(slot.end));
        let len = i64::from(self.facts.len_s());
        let ends = || self.best.keys().copied().filter(|end| anew(*end));
        let first = ends().min().map_or(range.from, |end| end.plus_seconds(-len));
        let last = ends().max().unwrap_or(range.to);
        let whole = Gap::new(range.from.min(first), range.to.max(last));
        let mut found = self.windows(&series, whole, UtcTime::MAX);
        for window in &mut found {
            window.gaps.retain(|gap| gap.ends(self.facts.len_s()).any(chosen));
        }
        found.retain(|window| !window.gaps.is_empty());
        if found.is_empty() {
            return Err(VeeError::NothingMissing);
        }
        let told = self.estimated(&series, &found, method)?;
        if told.is_empty() {
            return Err(EstimateError::NoData.into());
        }
        Ok(told)
    }

    /// Estimates that were never scaled, made anew with what the registers say by now; only those
    /// that a register scales.
    pub(crate) fn rescaled(&self, stale: &[Gap]) -> Result<Vec<Estimate>, EstimateError> {
        self.again(stale, QualityStatus::Estimated, |one| one.scaling.is_scaled())
    }

    /// Zeros of an outage that was none after all, made anew by other methods.
    pub(crate) fn disproven(&self, zeros: &[Gap]) -> Result<Vec<Estimate>, EstimateError> {
        self.again(zeros, QualityStatus::OutageZero, |one| one.method != Method::OutageZero)
    }

    fn again(
        &self,
        stale: &[Gap],
        status: QualityStatus,
        keep: impl Fn(&Estimate) -> bool,
    ) -> Result<Vec<Estimate>, EstimateError> {
        let series = without(&self.series, |slot: &Slot| {
            slot.code.status() == status && stale.iter().any(|gap| gap.holds(slot.end))
        });
        let len_s = self.facts.len_s();
        let open = |end: UtcTime| !series.at(end).is_some_and(Slot::is_usable);
        let mut found = self.unheld(&series, self.around);
        found.retain(|window| {
            window.gaps.iter().all(|gap| stale.iter().any(|one| one.holds(gap.to)))
        });
        let mut told = self.estimated(&series, &found, None)?;
        told.retain(keep);
        // A record goes as a whole or stays; what of it was measured meanwhile is no part of it.
        let covered = |end: UtcTime| !open(end) || told.iter().any(|one| one.gap.holds(end));
        let torn: Vec<Gap> =
            stale.iter().filter(|gap| !gap.ends(len_s).all(covered)).copied().collect();
        told.retain(|one| !torn.iter().any(|gap| gap.overlaps(one.gap.from, one.gap.to)));
        Ok(told)
    }

    /// Windows that may be filled without a person. What #4, #5 or #13 doubt is left as it is, and a
    /// register says nothing of what is missing beside it.
    fn unheld(&self, series: &Series, within: Gap) -> Vec<Window> {
        let held: BTreeSet<UtcTime> = self
            .best
            .values()
            .filter(|slot| slot.status == QualityStatus::Suspect)
            .filter(|slot| slot.failed.bits() & vee::rules::STAFF_ONLY.bits() != 0)
            .map(|slot| slot.end)
            .collect();
        if held.is_empty() {
            return self.windows(series, within, self.now);
        }
        let standing = |slot: &Slot| match held.contains(&slot.end) {
            true => Slot { code: SlotCode::new(QualityStatus::Raw, slot.code.flags()), ..*slot },
            false => *slot,
        };
        let standing = Series::new(series.len_s(), series.slots().iter().map(standing).collect());
        let mut windows = Vec::new();
        for window in self.windows(&standing, within, self.now) {
            let doubtful = window.registers.is_some_and(|registers| {
                held.range((
                    std::ops::Bound::Excluded(registers.open_at),
                    std::ops::Bound::Included(registers.close_at),
                ))
                .next()
                .is_some()
            });
            if doubtful {
                let alone = |gap: &Gap| Window { gaps: vec![*gap], registers: None, ..window };
                windows.extend(window.gaps.iter().map(alone));
            } else {
                windows.push(window);
            }
        }
        windows
    }

    fn windows(&self, series: &Series, within: Gap, now: UtcTime) -> Vec<Window> {
        windows(&self.facts, series, &self.counter, (within.from, within.to), now)
    }

    fn estimated(
        &self,
        series: &Series,
        found: &[Window],
        method: Option<Method>,
    ) -> Result<Vec<Estimate>, EstimateError> {
        let input = |window: &'_ Window| GapInput {
            facts: &self.facts,
            series,
            gaps: &[],
            registers: window.registers,
            rates: None,
            outages: &self.outages,
            profile: Some(&self.profile),
            check: self.check.as_ref(),
            method,
        };
        let Some(first) = found.first() else { return Ok(Vec::new()) };
        let mut estimator = Estimator::new(input(first));
        let (mut told, mut carried) = (Vec::new(), None);
        for window in found {
            let flagged = self.flagged(&window.gaps);
            let outages = if flagged.is_empty() { self.outages.clone() } else { flagged };
            let rates = self.rates_of(window);
            let schedule = self.schedule.as_ref().filter(|_| !rates.is_empty());
            let rates = schedule.map(|schedule| TouInput { schedule, registers: &rates });
            let input = GapInput { gaps: &window.gaps, outages: &outages, rates, ..input(window) };
            let mut one = of_window(&mut estimator, &input)?;
            if window.projected {
                bridge::without_final_read(&mut one);
            }
            let scaled = one.iter().all(|estimate| estimate.scaling.is_scaled());
            if window.shared {
                let part = bridge::cut_shared(&mut one, self.facts.len_s());
                carried = part.filter(|_| scaled);
            } else if let Some(part) = carried.take().filter(|_| scaled) {
                bridge::add_shared(&mut one, part, self.facts.len_s())?;
            }
            told.append(&mut one);
        }
        Ok(told)
    }

    /// The rates' registers over the very window of the total; none unless all are known.
    fn rates_of(&self, window: &Window) -> Vec<RateWindow> {
        let Some(total) = window.registers else { return Vec::new() };
        let of = |(rate, counter): &(u8, Counter)| {
            let window = counter::exactly(counter, (total.open_at, total.close_at))?;
            Some(RateWindow { rate: *rate, window })
        };
        let rates: Option<Vec<RateWindow>> = self.rates.iter().map(of).collect();
        rates.unwrap_or_default()
    }

    /// Gaps whose neighbours both carry the power-fail flag: an outage that the reads prove.
    fn flagged(&self, gaps: &[Gap]) -> Vec<Outage> {
        let flagged = |end| {
            self.best
                .get(&end)
                .is_some_and(|slot| slot.flags.contains(metering::DeviceFlags::POWER_FAIL))
        };
        let len = i64::from(self.facts.len_s());
        gaps.iter()
            .filter(|gap| flagged(gap.from) && flagged(gap.to.plus_seconds(len)))
            .map(|gap| Outage {
                down: gap.from,
                up: Some(gap.to),
                evidence: OutageEvidence::Flags { power_down: true, power_up: true },
            })
            .chain(self.outages.iter().copied())
            .collect()
    }
}

/// The estimates of one window. Of one that is too wide or too long for one call each gap is taken
/// by itself; what nothing is known of is left out.
fn of_window(
    estimator: &mut Estimator<'_>,
    input: &GapInput<'_>,
) -> Result<Vec<Estimate>, EstimateError> {
    match estimator.estimate(input) {
        Err(EstimateError::NoData) => {}
        told => return told,
    }
    let alone = input.gaps.iter().filter(|_| input.gaps.len() > 1).filter_map(|gap| {
        let gaps = std::slice::from_ref(gap);
        estimator.estimate(&GapInput { gaps, registers: None, rates: None, ..*input }).ok()
    });
    Ok(alone.flatten().collect())
}

fn without(series: &Series, drop: impl Fn(&Slot) -> bool) -> Series {
    let kept = series.slots().iter().filter(|slot| !drop(slot)).copied().collect();
    Series::new(series.len_s(), kept)
}

const fn is_automatic(status: QualityStatus) -> bool {
    matches!(status, QualityStatus::Estimated | QualityStatus::OutageZero)
}
