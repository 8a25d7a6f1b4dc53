//! What the rules of the network know beyond single meters: who hangs on which node, what arrived
//! on which day, who is without power, what flows into and out of a zone. Times in seconds.

use std::collections::BTreeMap;

use metering::{Commodity, MeterAsset, MeterRole, Subject, TransformerId, ZoneAsset, ZoneId};

use super::NEVER;
pub(crate) use super::link::{Is, Link};
use super::meter::Meter;
use crate::snapshot::{Reader, Snap, SnapshotError, Writer, snap_struct};

/// Days of a node's or a zone's own history.
pub(crate) const HISTORY_DAYS: usize = 90;

/// A transformer or a feeder section.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Node {
    /// Electricity meters of customers, by place, in order.
    pub(crate) members: Vec<u32>,
    /// Meters that measure what the node supplies.
    pub(crate) supplies: Vec<u32>,
    /// Recent losses of power: event time and place, in order.
    pub(crate) fails: Vec<(i64, u32)>,
    /// Since when it is out; [`NEVER`] while it is not.
    pub(crate) out_from: i64,
    /// The meters that went dark with it, in order.
    pub(crate) hit: Vec<u32>,
    /// Loss of the judged days, newest last: local day number, hundredths of a per cent.
    pub(crate) losses: Vec<(i32, i64)>,
    /// The last seven judged days, the newest in the lowest bit: too much was lost.
    pub(crate) bad: u8,
    /// All local days up to this one were looked at.
    pub(crate) judged_through: i32,
}

snap_struct!(Node { members, supplies, fails, out_from, hit, losses, bad, judged_through });

impl Default for Node {
    fn default() -> Self {
        Self {
            members: Vec::new(),
            supplies: Vec::new(),
            fails: Vec::new(),
            out_from: NEVER,
            hit: Vec::new(),
            losses: Vec::new(),
            bad: 0,
            judged_through: i32::MIN,
        }
    }
}

/// What flowed on one local day of a zone, in milli-units. `_s` are seconds of slots that are known.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct ZoneDay {
    pub(crate) inflow: i64,
    pub(crate) inflow_s: i64,
    pub(crate) use_: i64,
    pub(crate) use_s: i64,
    pub(crate) night_in: i64,
    pub(crate) night_in_s: i64,
    pub(crate) night_use: i64,
    pub(crate) sewage: i64,
    pub(crate) sewage_s: i64,
}

snap_struct!(ZoneDay {
    inflow,
    inflow_s,
    use_,
    use_s,
    night_in,
    night_in_s,
    night_use,
    sewage,
    sewage_s,
});

/// A district metered area.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Area {
    pub(crate) asset: Option<ZoneAsset>,
    /// Number of the time zone of its meters.
    pub(crate) zone: u16,
    /// Channels that measure what comes in or goes out, customers' channels, sewers' channels.
    pub(crate) bulk: Vec<u32>,
    pub(crate) customers: Vec<u32>,
    pub(crate) sewers: Vec<u32>,
    /// By local day number; the newest [`HISTORY_DAYS`].
    pub(crate) days: BTreeMap<i32, ZoneDay>,
    pub(crate) judged_through: i32,
    /// Judged days, newest last: day and net night flow in mL/h; day and gap in hundredths of a per
    /// cent of the inflow; day and sewage in per mille of the water used.
    pub(crate) nights: Vec<(i32, i64)>,
    pub(crate) gaps: Vec<(i32, i64)>,
    pub(crate) wets: Vec<(i32, i64)>,
    /// CUSUM of the net night flow, in hundredths of its spread.
    pub(crate) cusum_x100: i64,
    /// Median and MAD that it is measured by; frozen while it grows.
    pub(crate) night_norm: (i64, i64),
    /// How long nights, gaps and sewage are bad or good by now.
    pub(crate) night: Streak,
    pub(crate) gap: Streak,
    pub(crate) wet: Streak,
}

/// Days in a row, and the day with which they began.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Streak {
    pub(crate) bad: u8,
    pub(crate) good: u8,
    pub(crate) since: i32,
}

snap_struct!(Streak { bad, good, since });

impl Streak {
    pub(crate) fn note(&mut self, day: i32, bad: bool) {
        if bad {
            if self.bad == 0 {
                self.since = day;
            }
            (self.bad, self.good) = (self.bad.saturating_add(1), 0);
        } else {
            (self.bad, self.good) = (0, self.good.saturating_add(1));
        }
    }
}

impl Default for Area {
    fn default() -> Self {
        Self {
            asset: None,
            zone: 0,
            bulk: Vec::new(),
            customers: Vec::new(),
            sewers: Vec::new(),
            days: BTreeMap::new(),
            judged_through: i32::MIN,
            nights: Vec::new(),
            gaps: Vec::new(),
            wets: Vec::new(),
            cusum_x100: 0,
            night_norm: (0, 0),
            night: Streak::default(),
            gap: Streak::default(),
            wet: Streak::default(),
        }
    }
}

/// A meter that lost power. `seen` is the log time at which we were told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Dark {
    pub(crate) at: i64,
    pub(crate) seen: i64,
    /// Somebody asked it and got no answer.
    pub(crate) ping_failed: bool,
    /// A last gasp: the module itself waited before it said so.
    pub(crate) gasp: bool,
}

snap_struct!(Dark { at, seen, ping_failed, gasp });

/// Meters of one maker, model and firmware.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Cohort {
    pub(crate) name: String,
    pub(crate) members: u32,
    /// Members that fell silent for no other reason: their number, and since when.
    pub(crate) silent: Vec<(i32, i64)>,
    /// The first of them, on which the issue stands.
    pub(crate) leader: i32,
}

snap_struct!(Cohort { name, members, silent, leader });

/// Everything about the network.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Network {
    pub(crate) links: Vec<Link>,
    /// Streets of water meters, by place.
    streets: BTreeMap<u32, i32>,
    pub(crate) nodes: BTreeMap<Subject, Node>,
    pub(crate) areas: BTreeMap<ZoneId, Area>,
    pub(crate) dark: BTreeMap<u32, Dark>,
    pub(crate) cohorts: Vec<Cohort>,
    /// Streets without water, by network zone and street: numbers of the meters that said so.
    pub(crate) dry_streets: BTreeMap<(i32, i32), Vec<i32>>,
    /// Daily mean temperatures.
    pub(crate) weather: super::weather::Weather,
    /// Meters that were lost in the last day, of all cohorts: log time.
    pub(crate) lost: Vec<i64>,
    /// Local day up to which winter volumes were added, and the volumes by meter.
    pub(crate) winter: crate::rules::sewer::Winter,
    /// Due time of the daily look, 0 before it is set.
    pub(crate) daily_at: i64,
}

impl Network {
    /// A meter was provisioned or changed; `before` are the numbers of the transformer and the zone
    /// that it hung on until now.
    pub(crate) fn meter(
        &mut self,
        (place, meter): (u32, &Meter),
        before: (i32, i32),
        asset: &MeterAsset,
    ) {
        self.leave(place, before);
        let at = place as usize;
        if self.links.len() <= at {
            self.links.resize(at + 1, Link::NEW);
        }
        let cohort = self.cohort_of(&asset.detail.cohort);
        let link = &mut self.links[at];
        let cohort_before = std::mem::replace(&mut link.cohort, cohort);
        link.usage_point = asset.usage_point.get();
        link.set(Is::TIME_OF_USE, asset.channels.iter().any(|one| one.reading_type.tariff > 0));
        link.set(Is::DEMAND_BILLED, asset.detail.contract_demand_mw > 0);
        if asset.commodity == Commodity::Water && asset.detail.street != 0 {
            self.streets.insert(place, asset.detail.street);
        } else {
            self.streets.remove(&place);
        }
        if cohort_before != cohort {
            self.count_cohort(cohort_before, false);
            self.count_cohort(cohort, true);
        }
        self.join(place, meter, asset);
    }

    fn count_cohort(&mut self, number: u16, joins: bool) {
        if let Some(cohort) =
            usize::from(number).checked_sub(1).and_then(|n| self.cohorts.get_mut(n))
        {
            cohort.members =
                if joins { cohort.members + 1 } else { cohort.members.saturating_sub(1) };
        }
    }

    fn cohort_of(&mut self, name: &str) -> u16 {
        if name.is_empty() {
            return 0;
        }
        let known = self.cohorts.iter().position(|cohort| cohort.name == name);
        let at = known.unwrap_or_else(|| {
            self.cohorts.push(Cohort { name: name.to_owned(), ..Cohort::default() });
            self.cohorts.len() - 1
        });
        u16::try_from(at + 1).unwrap_or(0)
    }

    fn leave(&mut self, place: u32, (transformer, zone): (i32, i32)) {
        let zone = ZoneId::new(zone);
        for subject in [Subject::Transformer(TransformerId::new(transformer)), Subject::Zone(zone)]
        {
            if let Some(node) = self.nodes.get_mut(&subject) {
                node.members.retain(|member| *member != place);
                node.supplies.retain(|member| *member != place);
            }
        }
        if let Some(area) = self.areas.get_mut(&zone) {
            area.bulk.retain(|member| *member != place);
            area.customers.retain(|member| *member != place);
            area.sewers.retain(|member| *member != place);
        }
    }

    fn join(&mut self, place: u32, meter: &Meter, asset: &MeterAsset) {
        let detail = &asset.detail;
        if asset.commodity == Commodity::Electricity {
            let nodes = [
                detail.transformer.map(Subject::Transformer),
                detail.network_zone.map(Subject::Zone),
            ];
            for subject in nodes.into_iter().flatten() {
                let node = self.nodes.entry(subject).or_default();
                match detail.role {
                    MeterRole::Customer => insert(&mut node.members, place),
                    MeterRole::TransformerSupply => insert(&mut node.supplies, place),
                    _ => {}
                }
            }
            return;
        }
        let Some(zone) = detail.network_zone else { return };
        if asset.commodity != Commodity::Water {
            return;
        }
        let area = self.areas.entry(zone).or_default();
        area.zone = meter.zone;
        match detail.role {
            MeterRole::Customer => insert(&mut area.customers, place),
            MeterRole::ZoneInlet | MeterRole::ZoneOutlet => insert(&mut area.bulk, place),
            MeterRole::Sewer => insert(&mut area.sewers, place),
            _ => {}
        }
    }

    pub(crate) fn zone(&mut self, asset: &ZoneAsset) {
        self.areas.entry(asset.zone).or_default().asset = Some(*asset);
    }

    /// Bytes that every meter needs here; the nodes of the tree are two thirds full in the mean.
    pub(crate) fn link_bytes(&self) -> usize {
        size_of_val(self.links.as_slice()) + self.streets.len() * size_of::<(u32, i32)>() * 3 / 2
    }

    /// Number of the meter's street; 0 = unknown, negative = only within its network zone.
    pub(crate) fn street(&self, place: u32) -> i32 {
        self.streets.get(&place).copied().unwrap_or(0)
    }

    /// A fact of the meter at this place.
    pub(crate) fn is(&self, place: u32, fact: Is) -> bool {
        self.link(place).is_some_and(|link| link.is(fact))
    }

    pub(crate) fn link(&self, place: u32) -> Option<&Link> {
        self.links.get(place as usize)
    }

    pub(crate) fn link_mut(&mut self, place: u32) -> Option<&mut Link> {
        self.links.get_mut(place as usize)
    }

    /// A slot of a used channel was delivered for the first time.
    pub(crate) fn delivered(&mut self, place: u32, start: i64, len_s: i64) {
        if let Some(link) = self.links.get_mut(place as usize) {
            link.note(start, len_s);
        }
    }

    /// The node whose outage explains that the meter is silent, the larger one first.
    pub(crate) fn outage_of(&self, meter: &Meter) -> Option<Subject> {
        let zone =
            (meter.network_zone != 0).then(|| Subject::Zone(ZoneId::new(meter.network_zone)));
        let transformer = (meter.transformer != 0)
            .then(|| Subject::Transformer(TransformerId::new(meter.transformer)));
        [zone, transformer]
            .into_iter()
            .flatten()
            .find(|subject| self.nodes.get(subject).is_some_and(|node| node.out_from != NEVER))
    }
}

fn insert(members: &mut Vec<u32>, place: u32) {
    if let Err(gap) = members.binary_search(&place) {
        members.insert(gap, place);
    }
}

snap_struct!(Network {
    links,
    streets,
    nodes,
    areas,
    dark,
    cohorts,
    dry_streets,
    weather,
    lost,
    winter,
    daily_at,
});

impl Snap for Area {
    fn save(&self, to: &mut Writer) {
        self.asset.map(|asset| Pipes::of(&asset)).save(to);
        self.zone.save(to);
        self.bulk.save(to);
        self.customers.save(to);
        self.sewers.save(to);
        self.days.save(to);
        self.judged_through.save(to);
        self.nights.save(to);
        self.gaps.save(to);
        self.wets.save(to);
        self.cusum_x100.save(to);
        self.night_norm.save(to);
        self.night.save(to);
        self.gap.save(to);
        self.wet.save(to);
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, SnapshotError> {
        Ok(Self {
            asset: Option::<Pipes>::load(from)?.map(Pipes::asset).transpose()?,
            zone: Snap::load(from)?,
            bulk: Snap::load(from)?,
            customers: Snap::load(from)?,
            sewers: Snap::load(from)?,
            days: Snap::load(from)?,
            judged_through: Snap::load(from)?,
            nights: Snap::load(from)?,
            gaps: Snap::load(from)?,
            wets: Snap::load(from)?,
            cusum_x100: Snap::load(from)?,
            night_norm: Snap::load(from)?,
            night: Snap::load(from)?,
            gap: Snap::load(from)?,
            wet: Snap::load(from)?,
        })
    }
}

/// A zone's asset record as it is saved.
struct Pipes {
    zone: ZoneId,
    kind: u8,
    mains_m: i32,
    connections: i32,
    private_pipe_m: i32,
    head_mm: i32,
}

snap_struct!(Pipes { zone, kind, mains_m, connections, private_pipe_m, head_mm });

impl Pipes {
    fn of(asset: &ZoneAsset) -> Self {
        Self {
            zone: asset.zone,
            kind: crate::snapshot::place(metering::ZoneKind::ALL, &asset.kind),
            mains_m: asset.mains_m,
            connections: asset.connections,
            private_pipe_m: asset.private_pipe_m,
            head_mm: asset.head_mm,
        }
    }

    fn asset(self) -> Result<ZoneAsset, SnapshotError> {
        let kinds = metering::ZoneKind::ALL;
        Ok(ZoneAsset {
            zone: self.zone,
            kind: *kinds.get(usize::from(self.kind)).ok_or(SnapshotError::Damaged)?,
            mains_m: self.mains_m,
            connections: self.connections,
            private_pipe_m: self.private_pipe_m,
            head_mm: self.head_mm,
        })
    }
}
