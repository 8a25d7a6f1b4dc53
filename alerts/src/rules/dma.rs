//! #47 DMA-MNF, #48 DMA-BAL, #49 DMA-ILI and #67 SWR-II: water that comes into a district metered
//! area and is not counted by a customer's meter, and rain in the sewer.
//!
//! Every interval value is added to its local day of the area when it arrives, so a late one counts
//! like a timely one. A day is judged once nearly all of its readings are there, at the latest
//! after six days. What is found is real loss when it stands out at night, apparent loss when it
//! follows demand; more counted than came in is a mapping error and says nothing.

use metering::{Commodity, MeterRole, Severity, Subject, ZoneAsset, ZoneId};

use crate::alerts::{AlertKey, Report, seconds};
use crate::cause::Cause;
use crate::env::Env;
use crate::rule::RuleId;
use crate::state::meter::Meter;
use crate::state::network::{Area, HISTORY_DAYS, Streak, ZoneDay};
use crate::stats::median_mad;
use crate::transition::Evidence;

const HOUR_S: i64 = 3_600;
const DAY_S: i64 = 86_400;
/// The window of the minimum night flow: 02:00 to 04:00 local.
const NIGHT_S: std::ops::Range<i64> = 2 * HOUR_S..4 * HOUR_S;
const WAIT_DAYS: i32 = 6;
/// Days of a balance that are remembered.
const GAPS: usize = 60;
/// Fewer readings of the customers than this: no balance at all, in per cent.
const SCALED_FROM_PCT: i64 = 50;
/// Days needed before the gap is compared with its own.
const GAP_DAYS_MIN: usize = 14;

/// A value of a water meter was put into its slot.
pub(crate) fn slot(meter: &Meter, (start, len_s): (i64, i64), value: i64, env: &mut Env) {
    if meter.commodity != Commodity::Water || meter.network_zone == 0 {
        return;
    }
    let day = env.zones.day_at(meter.zone, start);
    let Some(area) = env.network.areas.get_mut(&ZoneId::new(meter.network_zone)) else { return };
    let kept = i32::try_from(HISTORY_DAYS).unwrap_or(90);
    let newest = area.days.last_key_value().map_or(day.number, |(newest, _)| *newest);
    if day.number <= newest - kept {
        return;
    }
    let own = area.days.entry(day.number).or_default();
    let night = len_s <= 2 * HOUR_S && NIGHT_S.contains(&(start - day.start));
    match meter.role {
        MeterRole::Customer => {
            own.use_ += value;
            own.use_s += len_s;
            own.night_use += if night { value } else { 0 };
        }
        MeterRole::ZoneInlet | MeterRole::ZoneOutlet => {
            let signed = if meter.role == MeterRole::ZoneInlet { value } else { -value };
            own.inflow += signed;
            own.inflow_s += len_s;
            if night {
                own.night_in += signed;
                own.night_in_s += len_s;
            }
        }
        MeterRole::Sewer => {
            own.sewage += value;
            own.sewage_s += len_s;
        }
        _ => {}
    }
    while area.days.first_key_value().is_some_and(|(first, _)| *first <= day.number - kept) {
        area.days.pop_first();
    }
}

/// The daily look at all areas.
pub(crate) fn look(meters: &[Meter], env: &mut Env) {
    let mut areas = std::mem::take(&mut env.network.areas);
    for (zone, area) in &mut areas {
        if !area.bulk.is_empty() || !area.sewers.is_empty() {
            look_at(*zone, area, meters, env);
        }
    }
    env.network.areas = areas;
}

fn look_at(zone: ZoneId, area: &mut Area, meters: &[Meter], env: &mut Env) {
    let today = env.zones.day_at(area.zone, env.now).number;
    if area.judged_through == i32::MIN {
        let first = area.days.keys().next().copied().unwrap_or(today - 1);
        area.judged_through = first.max(today - 2);
    }
    while area.judged_through + 1 < today {
        let number = area.judged_through + 1;
        let local = env.zones.day(area.zone, number);
        let day = area.days.get(&number).copied().unwrap_or_default();
        let seen = Seen::of(area, &day, local.end - local.start);
        let whole = seen.least_permille() >= env.params.dma_coverage_pct * 10;
        if !whole && today - number <= WAIT_DAYS {
            return;
        }
        let at = Day { zone, number, from: local.start, to: local.end, seen };
        judge_night(area, &day, at, meters, env);
        judge_gap(area, &day, at, env);
        judge_sewage(area, &day, at, env);
        crate::rules::ili::day_judged(zone, area, number, env);
        area.judged_through = number;
    }
}

/// Share of the day's readings that are there, in thousandths.
#[derive(Clone, Copy, Debug)]
struct Seen {
    inflow: i64,
    night: i64,
    customers: i64,
    sewage: i64,
}

impl Seen {
    fn of(area: &Area, day: &ZoneDay, day_s: i64) -> Self {
        let share = |known_s: i64, meters: usize, each_s: i64| {
            let due = i64::try_from(meters).unwrap_or(0) * each_s;
            if due == 0 { 1_000 } else { known_s * 1_000 / due }
        };
        Self {
            inflow: share(day.inflow_s, area.bulk.len(), day_s),
            night: share(day.night_in_s, area.bulk.len(), NIGHT_S.end - NIGHT_S.start),
            customers: share(day.use_s, area.customers.len(), day_s),
            sewage: share(day.sewage_s, area.sewers.len(), day_s),
        }
    }

    fn least_permille(self) -> i64 {
        self.inflow.min(self.customers).min(self.sewage)
    }
}

#[derive(Clone, Copy, Debug)]
struct Day {
    zone: ZoneId,
    number: i32,
    from: i64,
    to: i64,
    seen: Seen,
}

impl Day {
    fn subject(self) -> Subject {
        Subject::Zone(self.zone)
    }
}

/// Net night flow of an area in mL/h: inflow less what its units legitimately use.
pub const fn net_night_flow_mlph(inflow_mlph: i64, units: i64, unit_mlph: i64) -> i64 {
    inflow_mlph - units * unit_mlph
}

/// Leak of a day in mL from the net night flow in mL/h and the night-day factor in per cent.
pub const fn leak_per_day_ml(net_mlph: i64, night_day_pct: i64) -> i64 {
    net_mlph * 24 * night_day_pct / 100
}

/// Nights by which the CUSUM measures.
const NORM_NIGHTS: usize = 28;

/// A repair in the area is done: its nights are measured anew.
pub(crate) fn repaired(zone: ZoneId, at: i64, env: &mut Env) {
    if let Some(area) = env.network.areas.get_mut(&zone) {
        area.cusum_x100 = 0;
        (area.night, area.gap) = (Streak::default(), Streak::default());
    }
    for rule in [RuleId::DMA_MNF, RuleId::DMA_BAL] {
        let key = AlertKey::of(Subject::Zone(zone), rule, None);
        let begun = env.book.get(&key).is_some_and(|active| active.start <= at);
        if begun {
            env.book.clear(&key, at, env.at, &mut env.out);
        }
    }
}

fn judge_night(area: &mut Area, day: &ZoneDay, at: Day, meters: &[Meter], env: &mut Env) {
    if area.bulk.is_empty() || at.seen.night < env.params.dma_coverage_pct * 10 {
        return;
    }
    let params = env.params.clone();
    let bulk = i64::try_from(area.bulk.len()).unwrap_or(1).max(1);
    let inflow_mlph = day.night_in * HOUR_S * bulk / day.night_in_s.max(1);
    let counted: i64 = area
        .customers
        .iter()
        .filter_map(|place| meters.get(*place as usize))
        .map(|meter| i64::from(meter.units.max(1)))
        .sum();
    let units = counted.max(area.asset.map_or(0, |asset| i64::from(asset.connections)));
    let net = net_night_flow_mlph(inflow_mlph, units, params.dma_unit_mlph);
    let mut own: Vec<i64> = area.nights.iter().map(|(_, net)| *net).collect();
    let enough = i64::try_from(own.len()).unwrap_or(0) >= params.dma_nights_min;
    own.sort_unstable();
    let p10 = own.get(own.len() / 10).copied().unwrap_or(0);
    // Of 28 clean nights, and as they were while the sum grows: a slow leak is no new normal.
    if area.cusum_x100 == 0 || area.night_norm == (0, 0) {
        let newest = area.nights.len().saturating_sub(NORM_NIGHTS);
        let mut norm: Vec<i64> = area.nights[newest..].iter().map(|(_, net)| *net).collect();
        area.night_norm = median_mad(&mut norm);
    }
    let (median, mad) = area.night_norm;
    let spread = (mad * 14_826 / 10_000).max(inflow_mlph.abs() / 50).max(1);
    let step = (net - median).saturating_mul(100) / spread;
    let over_p10 = enough && p10 > 0 && net * 100 > p10 * params.dma_p10_pct;
    if enough {
        let most = 2 * params.dma_cusum_h_x100;
        let sum = area.cusum_x100 + step.clamp(-2_000, 2_000) - params.dma_cusum_k_x100;
        area.cusum_x100 = sum.clamp(0, most);
    }
    let drifts = area.cusum_x100 > params.dma_cusum_h_x100 && step > params.dma_cusum_k_x100;
    let key = AlertKey::of(at.subject(), RuleId::DMA_MNF, None);
    let active = env.book.get(&key).is_some();
    area.night.note(at.number, over_p10 || drifts || (active && step > 300));
    if area.night.bad == 0 {
        area.nights.push((at.number, net));
        if area.nights.len() > HISTORY_DAYS {
            area.nights.remove(0);
        }
    }
    let nights = u8::try_from(params.dma_nights).unwrap_or(3);
    if area.night.bad >= nights || (drifts && !active) {
        let first = env.zones.day(area.zone, area.night.since).start;
        let mut report = found(RuleId::DMA_MNF, at, (Cause::DmaLeak, first), env);
        report.evidence.extend([
            Evidence::milli("measured", net, "L/h"),
            Evidence::milli("median", median, "L/h"),
            Evidence::milli("inflow_at_night", inflow_mlph, "L/h"),
            Evidence::number("units", units, "units"),
            Evidence::milli("leak_per_day", leak_per_day_ml(net, params.dma_night_day_pct), "L"),
        ]);
        env.book.assert(report, env.at, &mut env.out);
    } else if active && area.night.good >= nights {
        area.cusum_x100 = 0;
        env.book.clear(&key, at.from, env.at, &mut env.out);
    }
}

fn found(rule: RuleId, at: Day, (cause, from): (Cause, i64), env: &Env) -> Report {
    let mut report = Report::new(rule, at.subject(), cause, from);
    report.commodity = Some(Commodity::Water);
    report.severity = Severity::P2;
    report.until = at.to;
    report.annunciate = env.now - at.to <= i64::from(WAIT_DAYS + 1) * DAY_S;
    report.evidence = vec![
        Evidence::instant("window_from", seconds(from)),
        Evidence::instant("window_to", seconds(at.to)),
    ];
    report
}

/// Losses of a day or period (AWWA M36): what came in and was not authorised, in the unit of the
/// inputs, and its share of the inflow in hundredths of a per cent.
pub fn water_losses(inflow: i64, billed: i64, unbilled: i64) -> (i64, i64) {
    let losses = inflow - billed - unbilled;
    let share = i128::from(losses) * 10_000 / i128::from(inflow.max(1));
    (losses, i64::try_from(share).unwrap_or(0))
}

fn judge_gap(area: &mut Area, day: &ZoneDay, at: Day, env: &mut Env) {
    let params = env.params.clone();
    let known = at.seen.customers >= SCALED_FROM_PCT * 10;
    let inlets = at.seen.inflow >= params.dma_coverage_pct * 10;
    if area.bulk.is_empty() || area.customers.is_empty() || !known || !inlets || day.inflow <= 0 {
        return;
    }
    let scaled = at.seen.customers < params.dma_coverage_pct * 10;
    let whole = |value: i64| {
        let whole = i128::from(value) * 1_000 / i128::from(at.seen.customers.clamp(1, 1_000));
        i64::try_from(whole).unwrap_or(i64::MAX)
    };
    let (losses, gap) = water_losses(day.inflow, whole(day.use_), 0);
    let mut own: Vec<i64> = area.gaps.iter().map(|(_, gap)| *gap).collect();
    let enough = own.len() >= GAP_DAYS_MIN;
    let (median, mad) = median_mad(&mut own);
    let z_x100 = (gap - median) * 6_745 / (mad.max(params.dma_gap_floor_x100) * 100);
    let limit = if scaled { params.dma_gap_z_x100 * 3 / 2 } else { params.dma_gap_z_x100 };
    let bad = enough && gap > 0 && z_x100 > limit;
    area.gap.note(at.number, bad);
    if !bad && gap > 0 {
        area.gaps.push((at.number, gap));
        if area.gaps.len() > GAPS {
            area.gaps.remove(0);
        }
    }
    let key = AlertKey::of(at.subject(), RuleId::DMA_BAL, None);
    let days = u8::try_from(params.dma_gap_days).unwrap_or(3);
    if area.gap.bad >= days {
        let night_gap = (day.night_in - whole(day.night_use)) * 10_000 / day.night_in.max(1);
        let at_night = day.night_in > 0 && night_gap * 10 > gap * 13;
        let cause = if at_night { Cause::DmaLeak } else { Cause::UnaccountedWater };
        let other = if at_night { Cause::UnaccountedWater } else { Cause::DmaLeak };
        let first = env.zones.day(area.zone, area.gap.since).start;
        let mut report = found(RuleId::DMA_BAL, at, (cause, first), env);
        report.ranked.push((other, -100));
        report.evidence.extend([
            Evidence::milli("measured", gap * 10, "%"),
            Evidence::milli("median", median * 10, "%"),
            Evidence::milli("water_losses", losses, "L"),
            Evidence::milli("night_gap", night_gap * 10, "%"),
            Evidence::new("z", z_x100, "hundredths", format!("z {}", z_x100 / 100)),
            Evidence::number("coverage", at.seen.customers, "permille"),
        ]);
        env.book.assert(report, env.at, &mut env.out);
    } else if env.book.get(&key).is_some() && area.gap.good >= days {
        env.book.clear(&key, at.from, env.at, &mut env.out);
    }
}

fn judge_sewage(area: &mut Area, day: &ZoneDay, at: Day, env: &mut Env) {
    let enough_seen = at.seen.sewage >= env.params.dma_coverage_pct * 10
        && at.seen.customers >= SCALED_FROM_PCT * 10;
    if area.sewers.is_empty() || day.use_ <= 0 || !enough_seen {
        return;
    }
    // The water of customers that are not heard is taken to be like that of the others.
    let use_ = i128::from(day.use_) * 1_000 / i128::from(at.seen.customers.clamp(1, 1_000));
    let ratio = i64::try_from(i128::from(day.sewage) * 1_000 / use_.max(1)).unwrap_or(0);
    let mut own: Vec<i64> = area.wets.iter().map(|(_, ratio)| *ratio).collect();
    let enough = i64::try_from(own.len()).unwrap_or(0) >= env.params.sewer_days_min;
    let (dry, _) = median_mad(&mut own);
    let wet = enough && dry > 0 && ratio * 100 > dry * env.params.sewer_wet_pct;
    area.wet.note(at.number, wet);
    if !wet {
        area.wets.push((at.number, ratio));
        if area.wets.len() > GAPS {
            area.wets.remove(0);
        }
    }
    let key = AlertKey::of(at.subject(), RuleId::SWR_II, None);
    if wet {
        let first = env.zones.day(area.zone, area.wet.since).start;
        let mut report = found(RuleId::SWR_II, at, (Cause::SewerInflow, first), env);
        report.severity = Severity::P3;
        report.evidence.extend([
            Evidence::number("measured", ratio, "permille"),
            Evidence::number("median", dry, "permille"),
        ]);
        env.book.assert(report, env.at, &mut env.out);
    } else if env.book.get(&key).is_some() && i64::from(area.wet.good) >= env.params.sewer_dry_days
    {
        env.book.clear(&key, at.from, env.at, &mut env.out);
    }
}

/// Unavoidable annual real losses in litres per day (AWWA M36/IWA): `(18 Lm + 0.8 Nc + 25 Lp) P` with
/// kilometres of mains and private pipe, connections and metres of head. `None` while the pipes of
/// the zone are not known.
pub fn uarl_l_per_day(zone: &ZoneAsset) -> Option<i64> {
    if zone.mains_m <= 0 || zone.head_mm <= 0 {
        return None;
    }
    // All terms in millionths of a litre: metres times 18/1000, head in mm.
    let mains = i128::from(zone.mains_m) * 18;
    let connections = i128::from(zone.connections) * 800;
    let private = i128::from(zone.private_pipe_m) * 25;
    i64::try_from((mains + connections + private) * i128::from(zone.head_mm) / 1_000_000).ok()
}

/// The same in US units: gallons per day of miles, connections, miles and psi, all times a thousand.
pub fn uarl_gal_per_day(
    (mains_mmi, connections, private_mmi): (i64, i64, i64),
    pressure_mpsi: i64,
) -> i64 {
    // (5.4 Lm + 0.15 Nc + 7.5 Lc) P in hundredths, miles and psi in thousandths.
    let sum = mains_mmi * 540 + connections * 15_000 + private_mmi * 750;
    let gallons = i128::from(sum) * i128::from(pressure_mpsi) / 100_000_000;
    i64::try_from(gallons).unwrap_or(i64::MAX)
}

/// Infrastructure leakage index in hundredths: current annual real losses over the unavoidable
/// ones, both in litres per day. Below 1 it is an error of the audit until proven.
pub const fn ili_x100(real_l_per_day: i64, uarl_l_per_day: i64) -> Option<i64> {
    if uarl_l_per_day <= 0 { None } else { Some(real_l_per_day * 100 / uarl_l_per_day) }
}
