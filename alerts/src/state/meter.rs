//! One meter: who it is, when it was heard, what it said of itself.

use metering::{
    Chemistry, CollectorId, Commodity, CustomerClass, MeterAsset, MeterDetail, MeterId, MeterRole,
    Severity, Subject, Tag, TransformerId, UtcTime, WorkOrderKind, ZoneId,
};

use sha2::{Digest, Sha256};

use super::NEVER;
use super::cell::Cell;
use super::channel::{Channel, used_channels};
use super::months::Demand;
use super::rare::Rare;
use super::sec::Sec;
use crate::snapshot::{snap_by, snap_struct};

/// Facts of a usage point in one word.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct TagSet(u32);

snap_by!(TagSet, u32, |set: TagSet| set.0, |bits| Some(TagSet(bits)));

const _: () = assert!(Tag::ALL.len() <= 30, "two bits of a tag set are other facts");

impl TagSet {
    /// Facts beside the tags, from the top down.
    const BATTERY: u32 = 1 << 31;
    const ACCOUNT: u32 = 1 << 30;

    fn of(asset: &MeterAsset) -> Self {
        let own = [(asset.battery_powered, Self::BATTERY), (asset.account_active, Self::ACCOUNT)];
        let own = own.into_iter().filter(|(holds, _)| *holds).map(|(_, bit)| bit);
        Self(own.chain(asset.tags.iter().map(|tag| Self::bit(*tag))).fold(0, |all, bit| all | bit))
    }

    fn bit(tag: Tag) -> u32 {
        let place = Tag::ALL.iter().position(|one| *one == tag).unwrap_or(0);
        1 << place
    }

    pub(crate) fn has(self, tag: Tag) -> bool {
        self.0 & Self::bit(tag) != 0
    }

    pub(crate) fn has_any(self, tags: &[Tag]) -> bool {
        tags.iter().any(|tag| self.has(*tag))
    }
}

/// How silent a meter is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Silence {
    /// Never heard yet: not judged.
    Unheard = 0,
    Fresh = 1,
    Stale = 2,
    Lost = 3,
}

snap_by!(Silence, u8, |value: Silence| value as u8, |number| match number {
    0 => Some(Silence::Unheard),
    1 => Some(Silence::Fresh),
    2 => Some(Silence::Stale),
    3 => Some(Silence::Lost),
    _ => None,
});

fn serial_hash(serial: &str) -> u64 {
    let serial = serial.trim();
    let mut hash = [0; 8];
    if !serial.is_empty() {
        hash.copy_from_slice(&Sha256::digest(serial.as_bytes())[..8]);
    }
    u64::from_le_bytes(hash)
}

const NO_COLLECTOR: i32 = i32::MIN;
/// Parts of one of a miss rate: a per mille is a whole number of them.
const MISS_PARTS: u32 = 4_000_000_000;

/// State of a meter.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Meter {
    pub(crate) id: MeterId,
    pub(crate) commodity: Commodity,
    pub(crate) class: CustomerClass,
    pub(crate) tags: TagSet,
    pub(crate) zone: u16,
    /// Number of the collector that is its primary route, [`NO_COLLECTOR`] for none.
    primary: i32,
    pub(crate) installed_at: Sec,
    pub(crate) contact_every_s: i32,
    pub(crate) flow_rated_lph: i32,
    pub(crate) role: MeterRole,
    /// Numbers of the transformer, the network zone and the premises; 0 = unknown.
    pub(crate) transformer: i32,
    pub(crate) network_zone: i32,
    pub(crate) premises: i32,
    /// Dwelling units; 0 = unknown.
    pub(crate) units: u16,
    /// Of the serial number; 0 = unknown. Wide enough that two of a million do not meet by chance.
    pub(crate) serial_hash: u64,
    pub(crate) silence: Silence,
    /// Log time of the newest contact.
    pub(crate) heard_at: Sec,
    /// It was after this: the log time before that of the newest contact.
    pub(crate) heard_after: Sec,
    /// Event time of the newest value.
    pub(crate) data_at: Sec,
    pub(crate) silence_timer: Sec,
    /// Newest cadence period with a value, for the miss rate.
    pub(crate) period: Sec,
    /// In parts of [`MISS_PARTS`].
    p_miss: u32,
    /// Signal, hundredths of dBm: quick and slow mean. 0 = unknown.
    pub(crate) rssi_quick: i16,
    pub(crate) rssi_slow: i16,
    /// What only some have; most meters have nothing here.
    aside: Option<Box<Aside>>,
    pub(crate) channels: Box<[Channel]>,
}

snap_by!(
    MeterRole,
    u8,
    |role| MeterRole::ALL
        .iter()
        .position(|one| *one == role)
        .and_then(|at| u8::try_from(at).ok())
        .unwrap_or(0),
    |number: u8| MeterRole::ALL.get(usize::from(number)).copied()
);

/// Losses, flags and events of a meter. Instants in seconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Past {
    /// Return after a loss: when it began and how many readings came since.
    pub(crate) return_from: i64,
    pub(crate) return_count: u16,
    /// The newest losses, newest first.
    pub(crate) lost_at: [i64; 3],
    /// The newest low-battery flags, newest first, and the first of this run of flags.
    pub(crate) low_at: [i64; 3],
    pub(crate) low_since: i64,
    pub(crate) tamper_at: i64,
}

snap_struct!(Past { return_from, return_count, lost_at, low_at, low_since, tamper_at });

/// What happened to a meter, its cell, and its demand where that is billed.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
struct Aside {
    past: Option<Box<Past>>,
    cell: Option<Box<Cell>>,
    demand: Option<Box<Demand>>,
    rare: Option<Box<Rare>>,
}

snap_struct!(Aside { past, cell, demand, rare });

impl Aside {
    fn heap_bytes(&self) -> usize {
        size_of::<Self>()
            + self.past.as_ref().map_or(0, |_| size_of::<Past>())
            + self.cell.as_ref().map_or(0, |_| size_of::<Cell>())
            + self.demand.as_ref().map_or(0, |_| size_of::<Demand>())
            + self.rare.as_ref().map_or(0, |rare| rare.heap_bytes())
    }
}

impl Past {
    pub(crate) const NOTHING: Self = Self {
        return_from: NEVER,
        return_count: 0,
        lost_at: [NEVER; 3],
        low_at: [NEVER; 3],
        low_since: NEVER,
        tamper_at: NEVER,
    };
}

snap_struct!(Meter {
    id,
    commodity,
    class,
    tags,
    zone,
    primary,
    installed_at,
    contact_every_s,
    flow_rated_lph,
    role,
    transformer,
    network_zone,
    premises,
    units,
    serial_hash,
    silence,
    heard_at,
    heard_after,
    data_at,
    silence_timer,
    period,
    p_miss,
    rssi_quick,
    rssi_slow,
    aside,
    channels,
});

impl Meter {
    pub(crate) fn new(asset: &MeterAsset, zone: u16) -> Self {
        let mut this = Self {
            id: asset.meter,
            commodity: asset.commodity,
            class: asset.class,
            tags: TagSet::default(),
            zone,
            primary: NO_COLLECTOR,
            installed_at: Sec::NEVER,
            contact_every_s: 1,
            flow_rated_lph: 0,
            role: MeterRole::Customer,
            transformer: 0,
            network_zone: 0,
            premises: 0,
            units: 0,
            serial_hash: 0,
            silence: Silence::Unheard,
            heard_at: Sec::NEVER,
            heard_after: Sec::NEVER,
            data_at: Sec::NEVER,
            silence_timer: Sec::NONE,
            period: Sec::NEVER,
            p_miss: MISS_PARTS / 100,
            rssi_quick: 0,
            rssi_slow: 0,
            aside: None,
            channels: Box::default(),
        };
        this.update(asset, zone);
        this
    }

    /// Takes the facts of the asset model; the state of channels that stay is kept.
    pub(crate) fn update(&mut self, asset: &MeterAsset, zone: u16) {
        self.commodity = asset.commodity;
        self.class = asset.class;
        self.tags = TagSet::of(asset);
        self.zone = zone;
        self.primary = asset.primary_collector.map_or(NO_COLLECTOR, CollectorId::get);
        self.installed_at = Sec::of(asset.installed_at.seconds());
        self.contact_every_s = asset.contact_every_s.max(1);
        self.flow_rated_lph = asset.flow_rated_lph;
        self.update_detail(&asset.detail);
        let mut channels = std::mem::take(&mut self.channels).into_vec();
        for (channel, used) in asset.channels.iter().zip(used_channels(&asset.channels)) {
            let no = channel.channel.get();
            let known = channels.iter().position(|own| own.no == no && own.len_s == channel.len_s);
            let at = known.unwrap_or_else(|| {
                channels.retain(|own| own.no != no);
                channels.push(Channel::new(channel));
                channels.len() - 1
            });
            channels[at].update(channel, used, asset.commodity);
        }
        channels.retain(|own| asset.channels.iter().any(|c| c.channel.get() == own.no));
        self.channels = channels.into_boxed_slice();
    }

    fn update_detail(&mut self, detail: &MeterDetail) {
        self.role = detail.role;
        self.transformer = detail.transformer.map_or(0, TransformerId::get);
        self.network_zone = detail.network_zone.map_or(0, ZoneId::get);
        self.premises = detail.premises;
        self.units = u16::try_from(detail.dwelling_units).unwrap_or(0);
        if detail.contract_demand_mw > 0 {
            self.demand_mut().contract = detail.contract_demand_mw;
        }
        self.serial_hash = serial_hash(&detail.serial);
        if let Some(battery) = &detail.battery {
            let chemistry = Chemistry::ALL.iter().position(|one| *one == battery.chemistry);
            let cell = self.cell_mut();
            cell.capacity_mah = battery.capacity_mah;
            cell.design_life_d = battery.design_life_d;
            cell.chemistry = chemistry.and_then(|at| u8::try_from(at).ok()).unwrap_or(0);
            if battery.installed_at.seconds() > cell.installed_at {
                cell.replaced(battery.installed_at.seconds());
            }
        }
    }

    pub(crate) fn subject(&self) -> Subject {
        Subject::Meter(self.id)
    }

    pub(crate) const fn is_battery_powered(&self) -> bool {
        self.tags.0 & TagSet::BATTERY != 0
    }

    pub(crate) const fn is_account_active(&self) -> bool {
        self.tags.0 & TagSet::ACCOUNT != 0
    }

    fn aside_mut(&mut self) -> &mut Aside {
        self.aside.get_or_insert_default()
    }

    pub(crate) fn past(&self) -> Past {
        let past = self.aside.as_ref().and_then(|aside| aside.past.as_deref());
        past.copied().unwrap_or(Past::NOTHING)
    }

    pub(crate) fn past_mut(&mut self) -> &mut Past {
        self.aside_mut().past.get_or_insert_with(|| Box::new(Past::NOTHING))
    }

    pub(crate) fn past_if_any(&mut self) -> Option<&mut Past> {
        self.aside.as_deref_mut()?.past.as_deref_mut()
    }

    pub(crate) fn cell(&self) -> Option<&Cell> {
        self.aside.as_deref()?.cell.as_deref()
    }

    pub(crate) fn cell_mut(&mut self) -> &mut Cell {
        self.aside_mut().cell.get_or_insert_with(|| Box::new(Cell::NEW))
    }

    pub(crate) fn cell_if_any(&mut self) -> Option<&mut Cell> {
        self.aside.as_deref_mut()?.cell.as_deref_mut()
    }

    pub(crate) fn demand_mut(&mut self) -> &mut Demand {
        self.aside_mut().demand.get_or_insert_with(|| Box::new(Demand::NEW))
    }

    pub(crate) fn demand_if_any(&mut self) -> Option<&mut Demand> {
        self.aside.as_deref_mut()?.demand.as_deref_mut()
    }

    pub(crate) fn rare(&self) -> Option<&Rare> {
        self.aside.as_deref()?.rare.as_deref()
    }

    pub(crate) fn rare_if_any(&mut self) -> Option<&mut Rare> {
        self.aside.as_deref_mut()?.rare.as_deref_mut()
    }

    pub(crate) fn rare_mut(&mut self) -> &mut Rare {
        self.aside_mut().rare.get_or_insert_with(|| Box::new(Rare::nothing()))
    }

    /// A visit that was not called off was planned or made within `within_s` of `at`; no kinds:
    /// any.
    pub(crate) fn visited(&self, at: i64, within_s: i64, kinds: &[WorkOrderKind]) -> bool {
        self.rare().is_some_and(|rare| rare.visited(at, within_s, kinds))
    }

    /// It tells what a customer uses: the rules about use look at it.
    pub(crate) fn is_customers(&self) -> bool {
        matches!(self.role, MeterRole::Customer | MeterRole::Deduct)
    }

    /// Longest delivery lag of its channels, in seconds.
    pub(crate) fn lag_s(&self) -> i32 {
        self.channels.iter().map(|channel| channel.lag_s).max().unwrap_or(0)
    }

    /// The lag of a delivery that takes more than two days: what is missing may still come.
    pub(crate) fn slow_s(&self) -> i64 {
        let lag_s = i64::from(self.lag_s());
        if lag_s > 2 * 86_400 { lag_s } else { 0 }
    }

    pub(crate) fn cadence_s(&self) -> i64 {
        i64::from(self.contact_every_s)
    }

    /// Commercial and industrial (C&I), and what a municipality runs.
    pub(crate) fn is_business(&self) -> bool {
        matches!(
            self.class,
            CustomerClass::SmallCommercial
                | CustomerClass::LargeCommercial
                | CustomerClass::Municipal
        )
    }

    /// Staff look sooner at critical customers and businesses.
    pub(crate) fn silence_severity(&self) -> Severity {
        if self.is_business() || self.tags.has_any(&[Tag::Critical, Tag::Hospital]) {
            Severity::P2
        } else {
            Severity::P3
        }
    }

    /// Its primary route.
    pub(crate) fn primary(&self) -> Option<CollectorId> {
        (self.primary != NO_COLLECTOR).then(|| CollectorId::new(self.primary))
    }

    /// Share of the periods of its cadence in which no value came.
    pub(crate) fn miss_rate(&self) -> f64 {
        f64::from(self.p_miss) / f64::from(MISS_PARTS)
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share between 0 and 1, in parts that fit"
    )]
    pub(crate) fn set_miss_rate(&mut self, share: f64) {
        self.p_miss = (share.clamp(0.0, 1.0) * f64::from(MISS_PARTS)).round() as u32;
    }

    /// Signal in hundredths of dBm.
    pub(crate) fn note_signal(&mut self, dbm: i16) {
        let centi = i32::from(dbm.clamp(-300, 300)) * 100;
        let moved = |mean: i16, part: i32| {
            let mean = i32::from(mean);
            i16::try_from(mean + (centi - mean) / part).unwrap_or_default()
        };
        if self.rssi_slow == 0 {
            (self.rssi_quick, self.rssi_slow) = (moved(0, 1), moved(0, 1));
        }
        self.rssi_quick = moved(self.rssi_quick, 16);
        self.rssi_slow = moved(self.rssi_slow, 256);
    }

    /// When the silence began: with the newest value, unless values come late as a rule.
    pub(crate) fn silent_since(&self) -> i64 {
        let (data_at, heard_at) = (self.data_at.s(), self.heard_at.s());
        let usual = data_at <= heard_at && heard_at - data_at <= 86_400;
        if usual { data_at } else { heard_at }
    }

    pub(crate) fn channel_at(&self, no: i16) -> Option<usize> {
        self.channels.iter().position(|channel| channel.no == no)
    }

    /// Bytes of the meter, with its channels.
    pub(crate) fn bytes(&self) -> usize {
        let aside = self.aside.as_ref().map_or(0, |aside| aside.heap_bytes());
        size_of::<Self>() + aside + self.channels.iter().map(Channel::bytes).sum::<usize>()
    }
}

/// Seconds of an instant as the state keeps them.
pub(crate) fn secs(at: UtcTime) -> i64 {
    at.seconds()
}
