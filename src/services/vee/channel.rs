//! Everything that is known around the gaps of one channel, as the pure estimator takes it.

use std::collections::{BTreeMap, BTreeSet};

use metering::{
    ChannelKind, ChannelNo, EventCode, LocalCalendar, MeterId, QualityStatus, SlotCode, Tag,
    UtcTime,
};
use store::Database;
use store::assets::{RegistryChannel, RegistryMeter};
use store::estimation::{
    BestSlot, RegisterRead, SeriesSpan, SlotRange, circumstances, registers, series,
};
use vee::estimate::profiles::built_in;
use vee::estimate::{
    ChannelFacts, ClassProfile, Estimate, EstimateError, Estimator, Gap, GapInput, LIKE_REACH_DAYS,
    Method, Outage, OutageEvidence, Series, Slot,
};
use vee::estimation::{RegisterTotal, Window, windows};

use super::VeeError;

const DAY_S: i64 = 86_400;
/// Days around the gap that like days and recent use are taken from.
const REACH_S: i64 = (LIKE_REACH_DAYS as i64 + 1) * DAY_S;
const YEAR_S: i64 = 364 * DAY_S;
/// A rollover starts from at least this share of the modulus, in percent.
const ROLLOVER_FROM_PERCENT: i128 = 90;

/// A channel with its surroundings.
#[derive(Debug)]
pub(crate) struct Channel {
    pub(crate) meter: MeterId,
    pub(crate) facts: ChannelFacts,
    pub(crate) best: BTreeMap<UtcTime, BestSlot>,
    pub(crate) tamper: bool,
    series: Series,
    reads: Vec<RegisterTotal>,
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
    facts(&found, channel)
}

fn facts(meter: &RegistryMeter, channel: ChannelNo) -> Result<ChannelFacts, VeeError> {
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
        holidays: BTreeSet::new(),
        net: meter.asset.has_tag(Tag::NetMeter),
    })
}

impl Channel {
    /// Reads what lies around `gap`: five weeks to either side, the same weeks of last year, the
    /// registers, and the power events of the meter.
    pub(crate) async fn load(
        db: &Database,
        meter: &RegistryMeter,
        channel: ChannelNo,
        gap: Gap,
        now: UtcTime,
    ) -> Result<Self, VeeError> {
        let facts = facts(meter, channel)?;
        let span = |from, to| SeriesSpan { meter: meter.meter, channel, from, to };
        let (from, to) = (gap.from.plus_seconds(-REACH_S), gap.to.plus_seconds(REACH_S));
        let mut slots = series(db, span(from, to)).await?;
        let year = span(from.plus_seconds(-YEAR_S), gap.to.plus_seconds(DAY_S - YEAR_S));
        let mut all = if year.to < from { series(db, year).await? } else { Vec::new() };
        all.append(&mut slots);
        let reads = registers(db, span(from, to)).await?;
        let info = meter.channels.iter().find(|one| one.channel == channel);
        let (events, tamper) =
            circumstances(db, meter.meter, (gap.from.plus_seconds(-DAY_S), gap.to)).await?;
        let slot = |best: &BestSlot| Slot {
            end: best.end,
            value: best.value,
            code: SlotCode::new(best.status, best.flags),
        };
        Ok(Self {
            meter: meter.meter,
            series: Series::new(facts.len_s(), all.iter().map(slot).collect()),
            best: all.into_iter().map(|best| (best.end, best)).collect(),
            reads: totals(&reads, info),
            outages: outages(&events),
            profile: built_in(meter.asset.commodity, meter.asset.class),
            around: gap,
            tamper,
            facts,
            now,
        })
    }

    /// Gaps that are ripe, estimated by the ladder. A window of which nothing is known is left.
    pub(crate) fn ripe(&self) -> Result<Vec<Estimate>, EstimateError> {
        let found = self.windows(&self.series, self.around, self.now);
        self.estimated(&self.series, &found, None)
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
        let series = self.without(|slot: &Slot| anew(slot.end));
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
        let series = self.without(|slot: &Slot| {
            slot.code.status() == QualityStatus::Estimated
                && stale.iter().any(|gap| gap.holds(slot.end))
        });
        let mut found = self.windows(&series, self.around, self.now);
        found.retain(|window| {
            window.registers.is_some()
                && window.gaps.iter().all(|gap| stale.iter().any(|one| one.holds(gap.to)))
        });
        let mut told = self.estimated(&series, &found, None)?;
        told.retain(|estimate| estimate.scaling.is_scaled());
        // A record goes as a whole or stays.
        let len_s = self.facts.len_s();
        let covered = |end: UtcTime| told.iter().any(|one| one.gap.holds(end));
        let torn: Vec<Gap> =
            stale.iter().filter(|gap| !gap.ends(len_s).all(covered)).copied().collect();
        told.retain(|one| !torn.iter().any(|gap| gap.overlaps(one.gap.from, one.gap.to)));
        Ok(told)
    }

    fn without(&self, drop: impl Fn(&Slot) -> bool) -> Series {
        let kept = self.series.slots().iter().filter(|slot| !drop(slot)).copied().collect();
        Series::new(self.facts.len_s(), kept)
    }

    fn windows(&self, series: &Series, within: Gap, now: UtcTime) -> Vec<Window> {
        windows(&self.facts, series, &self.reads, (within.from, within.to), now)
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
            check: None,
            method,
        };
        let Some(first) = found.first() else { return Ok(Vec::new()) };
        let mut estimator = Estimator::new(input(first));
        let mut told = Vec::new();
        for window in found {
            let flagged = self.flagged(&window.gaps);
            let outages = if flagged.is_empty() { self.outages.clone() } else { flagged };
            let input = GapInput { gaps: &window.gaps, outages: &outages, ..input(window) };
            match estimator.estimate(&input) {
                Ok(estimates) => told.extend(estimates),
                // Of a window too wide or too long for one call each gap is taken by itself.
                Err(EstimateError::NoData) if window.gaps.len() > 1 => {
                    for gap in &window.gaps {
                        let alone = std::slice::from_ref(gap);
                        let input = GapInput { gaps: alone, registers: None, ..input };
                        if let Ok(estimates) = estimator.estimate(&input) {
                            told.extend(estimates);
                        }
                    }
                }
                Err(EstimateError::NoData) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(told)
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

const fn is_automatic(status: QualityStatus) -> bool {
    matches!(status, QualityStatus::Estimated | QualityStatus::OutageZero)
}

/// Outages that the meter told: from a power failure or last gasp to the restoration.
fn outages(events: &[(UtcTime, EventCode)]) -> Vec<Outage> {
    let mut told: Vec<Outage> = Vec::new();
    for (at, code) in events {
        let open = told.last_mut().filter(|last| last.up.is_none());
        match (code, open) {
            (EventCode::PowerRestore, Some(last)) => last.up = Some(*at),
            (EventCode::PowerFail | EventCode::LastGasp, None) => {
                told.push(Outage { down: *at, up: None, evidence: OutageEvidence::Classified })
            }
            _ => {}
        }
    }
    // An outage without an end is no proof of anything later.
    told.retain(|outage| outage.up.is_some());
    told
}

/// Usable reads with rollovers added. A counter that falls otherwise begins another run.
fn totals(reads: &[RegisterRead], info: Option<&RegistryChannel>) -> Vec<RegisterTotal> {
    let (modulus, step) = info.map_or((0, 1), |info| (info.modulus, info.resolution.max(1)));
    let (mut lifted, mut run) = (0_i64, 0_u16);
    let mut told: Vec<RegisterTotal> = Vec::new();
    let mut last: Option<&RegisterRead> = None;
    for read in reads.iter().filter(|read| read.usable) {
        if let Some(before) = last {
            if before.read_at == read.read_at {
                continue;
            }
            if read.source == 4 {
                run = run.saturating_add(1);
            } else if read.raw < before.raw {
                let late =
                    i128::from(before.raw) * 100 >= i128::from(modulus) * ROLLOVER_FROM_PERCENT;
                match modulus.checked_mul(step).and_then(|whole| lifted.checked_add(whole)) {
                    Some(higher) if modulus > 0 && late => lifted = higher,
                    _ => run = run.saturating_add(1),
                }
            }
        }
        last = Some(read);
        let Some(total) = read.value.checked_add(lifted) else { break };
        told.push(RegisterTotal { at: read.read_at, total, run });
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(at: i64, raw: i64, source: i16) -> RegisterRead {
        let read_at = UtcTime::from_seconds(at);
        RegisterRead { read_at, value: raw * 10, raw, source, usable: true }
    }

    #[test]
    fn a_fall_that_is_no_rollover_begins_another_run() {
        let reads = [read(1, 50, 1), read(2, 60, 1), read(3, 5, 1), read(4, 6, 1), read(5, 90, 4)];
        let told = totals(&reads, None);
        let runs: Vec<(i64, u16)> = told.iter().map(|read| (read.total, read.run)).collect();
        assert_eq!(runs, [(500, 0), (600, 0), (50, 1), (60, 1), (900, 2)]);
    }

    #[test]
    fn an_outage_goes_from_the_failure_to_the_restoration() {
        let at = UtcTime::from_seconds;
        let events = [
            (at(10), EventCode::PowerFail),
            (at(11), EventCode::LastGasp),
            (at(40), EventCode::PowerRestore),
            (at(90), EventCode::PowerFail),
        ];
        let told = outages(&events);
        assert_eq!(told.len(), 1);
        assert_eq!((told[0].down, told[0].up), (at(10), Some(at(40))));
    }
}
