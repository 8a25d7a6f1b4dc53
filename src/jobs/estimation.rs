//! Estimates what did not arrive or failed, once data that is merely late has had its chance; lets
//! late actual values take the place of estimates; and scales estimates once their registers came.
//!
//! Told the time by its caller, in log time. The same stored values give the same estimates:
//! channels are taken by number, and a repetition finds its records there already.

use std::collections::BTreeMap;
use std::time::Duration;

use metering::time::DAY_S;
use metering::{ChannelNo, LocalCalendar, MeterId, UtcTime, ZoneId};
use store::assets::RegistryMeter;
use store::estimation::{
    Holes, LateActual, StoredEstimation, apply, areas, finalise, holes, late_actuals,
    meters_of_zones, move_measured, provisional_zeros, reshape, settle_proposals, supersede,
    unscaled,
};
use store::{Database, StoreError};
use tokio::sync::watch;
use vee::estimate::{Estimate, EstimateError, Gap};
use vee::estimation::{EstimationState, provisional_from, storm};

use super::rules::RuleHandle;
use crate::services::vee::channel::{Ask, Channel, HourRepair, UtilityCalendar};
use crate::services::vee::{VeeError, draft, utility};

/// Author of automatic records.
const ENGINE: &str = "engine";
/// Holes are looked for within this many days; late data repairs a day as long. `default`.
const LOOK_BACK_S: i64 = 35 * 86_400;
/// Actual values supersede estimates of the last 14 months (5.1).
const LATE_BACK_S: i64 = vee::estimation::horizon::FINALITY_S;
/// Log time between looks, in seconds.
const EVERY_S: i64 = 3_600;
/// Log time between attempts to scale what was not scaled, in seconds.
const NIGHTLY_S: i64 = DAY_S;
/// Registers that are read once a month scale estimates of as long ago as they reach.
const RESCALE_BACK_S: i64 = 75 * DAY_S;
/// Days before a storm that tell what is usual, and the storm itself.
const STORM_BACK_S: i64 = 14 * DAY_S;
/// Pause between looks at the log time.
const POLL: Duration = Duration::from_secs(10);
const SLOTS_MAX: u32 = 500_000;
const LATE_MAX: u32 = 20_000;
const RESCALED_MAX: u32 = 5_000;

/// What a look did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Told {
    /// New records whose values count.
    pub applied: u64,
    /// New records that wait for a person.
    pub proposed: u64,
    /// Late actual values that took the place of estimates.
    pub superseded: u64,
    /// Estimates made anew with a register.
    pub rescaled: u64,
    /// Intervals of the hour that comes twice whose values went where they belong.
    pub moved: u64,
    /// Estimates that became final.
    pub finalised: u64,
    /// Channels with ripe gaps of which nothing is known: a manual read is needed.
    pub left: u64,
    /// Channels whose estimate was refused; must stay 0.
    pub refused: u64,
}

/// Keeps the estimates.
#[derive(Debug)]
pub struct EstimationJob {
    database: Database,
    meters: BTreeMap<MeterId, RegistryMeter>,
    calendars: BTreeMap<MeterId, Option<LocalCalendar>>,
    asset_version: Option<i64>,
    utility: UtilityCalendar,
    /// Holes that could not be filled, so that they are tried once a day only.
    left: BTreeMap<(MeterId, ChannelNo), (Holes, UtcTime)>,
    /// Days (UTC) on which the estimates of a meter wait for a storm to pass.
    storms: BTreeMap<MeterId, Vec<i64>>,
    nightly_at: Option<UtcTime>,
    /// When all late values were looked at; `None`: not since the start.
    late_at: Option<UtcTime>,
}

impl EstimationJob {
    pub fn new(database: Database) -> Self {
        Self {
            database,
            meters: BTreeMap::new(),
            calendars: BTreeMap::new(),
            asset_version: None,
            utility: UtilityCalendar::default(),
            left: BTreeMap::new(),
            storms: BTreeMap::new(),
            nightly_at: None,
            late_at: None,
        }
    }

    /// One look at log time `now`.
    ///
    /// # Errors
    /// The database is away; what was kept stays, and the same call goes on.
    pub async fn once(&mut self, now: UtcTime) -> Result<Told, StoreError> {
        self.refresh().await?;
        self.storms = storms(&self.database, now).await?;
        let nightly = self.nightly_at.is_none_or(|at| now.seconds_since(at) >= NIGHTLY_S);
        let seen = self.late_at.filter(|_| !nightly);
        let mut told = Told { superseded: self.late(seen, now).await?, ..Told::default() };
        self.late_at = Some(now);
        settle_proposals(&self.database, now.plus_seconds(-LOOK_BACK_S), now).await?;
        let found = holes(&self.database, (now.plus_seconds(-LOOK_BACK_S), now), SLOTS_MAX).await?;
        for channel in found {
            self.fill(channel, now, &mut told).await?;
        }
        if nightly {
            self.nightly(now, &mut told).await?;
            self.nightly_at = Some(now);
        }
        Ok(told)
    }

    async fn refresh(&mut self) -> Result<(), StoreError> {
        match utility(&self.database).await {
            Ok(utility) => self.utility = utility,
            Err(error) => tracing::warn!(
                error = &error as &dyn std::error::Error,
                "The rules cannot be read: estimates go on with the holidays of before."
            ),
        }
        let version = self.database.asset_version().await?;
        if self.asset_version != Some(version) {
            let registry = self.database.load_registry().await?;
            self.meters = registry.meters.into_iter().map(|one| (one.meter, one)).collect();
            self.calendars = self
                .meters
                .iter()
                .map(|(meter, one)| (*meter, LocalCalendar::new(&one.asset.zone).ok()))
                .collect();
            self.asset_version = Some(registry.version);
        }
        Ok(())
    }

    /// Late actual values, batch by batch; those of days that were closed since `seen`. Closing
    /// that takes longer than a look commits days of before it: all are looked at once a day.
    async fn late(&self, seen: Option<UtcTime>, now: UtcTime) -> Result<u64, StoreError> {
        let mut count = 0;
        // Days are closed by log time, looks are taken at full hours before it.
        let closed = seen.map_or(UtcTime::MIN, |at| at.plus_seconds(-EVERY_S));
        loop {
            let since = (now.plus_seconds(-LATE_BACK_S), closed);
            let mut late = late_actuals(&self.database, since, LATE_MAX).await?;
            self.name_rates(&mut late);
            let changed = supersede(&self.database, &late, now).await?;
            count += changed;
            if changed == 0 || late.len() < LATE_MAX as usize {
                return Ok(count);
            }
        }
    }

    /// The true-up is told by rate where the switching programme is known.
    fn name_rates(&self, late: &mut [LateActual]) {
        for one in late {
            let Some(Some(calendar)) = self.calendars.get(&one.meter) else { continue };
            one.rate = self.utility.rate(calendar, one.end.plus_seconds(-i64::from(one.len_s)));
        }
    }

    /// The ripe holes of one channel.
    async fn fill(
        &mut self,
        mut holes: Holes,
        now: UtcTime,
        told: &mut Told,
    ) -> Result<(), StoreError> {
        let Some(Some(calendar)) = self.calendars.get(&holes.meter) else { return Ok(()) };
        let (len, key) = (i64::from(holes.len_s), (holes.meter, holes.channel));
        let storm = self.storms.get(&holes.meter);
        holes.ends.retain(|end| {
            let start = end.plus_seconds(-len);
            // Pieces of intervals that are too short stand off the grid; they are merged, not filled.
            let on_grid = len >= DAY_S || start.floor_to(len) == start;
            let day = calendar.day_containing(start).start.utc_day();
            let waits = storm.is_some_and(|days| days.contains(&day));
            on_grid && !waits && provisional_from(*end, calendar) <= now
        });
        let (Some(first), Some(last)) = (holes.ends.first(), holes.ends.last()) else {
            return Ok(());
        };
        let known = self
            .left
            .get(&key)
            .is_some_and(|(left, at)| *left == holes && now.seconds_since(*at) < NIGHTLY_S);
        if known {
            return Ok(());
        }
        let gap = Gap::new(first.plus_seconds(-len), *last);
        let Some(channel) = self.open(key, gap, now, told).await? else { return Ok(()) };
        match channel.ripe() {
            Ok(mut estimates) => {
                let of_storm = |one: &Estimate| {
                    let day = |end: UtcTime| calendar_day(&channel, end.plus_seconds(-len));
                    storm_touches(self.storms.get(&key.0), one.gap.ends(holes.len_s).map(day))
                };
                estimates.retain(|one| !of_storm(one));
                told.left += u64::from(estimates.is_empty());
                // What no method could fill is tried again tomorrow.
                holes.ends.retain(|end| !estimates.iter().any(|one| one.gap.holds(*end)));
                self.keep(&channel, estimates, now, told).await?;
                if holes.ends.is_empty() {
                    self.left.remove(&key);
                } else {
                    self.left.insert(key, (holes, now));
                }
            }
            Err(error) => complain(&mut told.refused, key, &error),
        }
        Ok(())
    }

    /// The channel around the gap, after the hour that its clock showed twice was put right.
    async fn open(
        &self,
        (meter, channel): (MeterId, ChannelNo),
        gap: Gap,
        now: UtcTime,
        told: &mut Told,
    ) -> Result<Option<Channel>, StoreError> {
        let Some(meter) = self.meters.get(&meter) else { return Ok(None) };
        let ask = Ask { meter, channel, gap, now, utility: &self.utility };
        let Some(loaded) = loadable(Channel::load(&self.database, &ask).await)? else {
            return Ok(None);
        };
        let len_s = loaded.facts.len_s();
        match loadable(loaded.repeated_hour(&self.database).await)?.flatten() {
            None => return Ok(Some(loaded)),
            Some(HourRepair::Move(span, values)) => {
                told.moved += move_measured(&self.database, span, (&values, len_s), now).await?;
            }
            Some(HourRepair::Share(estimate, doubled)) => {
                let new = draft::record(&loaded, *estimate, ENGINE);
                let Some(rule) = vee::Rule::DayShape.no() else { return Ok(Some(loaded)) };
                match reshape(&self.database, &new, (&doubled, rule), now).await {
                    Ok(kept) => told.applied += u64::from(kept.is_new),
                    Err(error @ StoreError::Refused { .. }) => {
                        complain(&mut told.refused, (meter.meter, channel), &error);
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        loadable(Channel::load(&self.database, &ask).await)
    }

    async fn keep(
        &self,
        channel: &Channel,
        estimates: Vec<Estimate>,
        now: UtcTime,
        told: &mut Told,
    ) -> Result<(), StoreError> {
        for estimate in estimates {
            let new = draft::record(channel, estimate, ENGINE);
            match apply(&self.database, &new, now).await {
                Ok(kept) if !kept.is_new => {}
                Ok(kept) if kept.state == EstimationState::Proposed => told.proposed += 1,
                Ok(_) => told.applied += 1,
                // Measured or decided meanwhile: the next look sees it.
                Err(error @ StoreError::Refused { .. }) => {
                    let key = (new.record.meter, new.record.channel);
                    complain(&mut told.refused, key, &error);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Once a day: estimates that were never scaled, zeros of outages that were none, and the end
    /// of all changes.
    async fn nightly(&mut self, now: UtcTime, told: &mut Told) -> Result<(), StoreError> {
        let since = now.plus_seconds(-RESCALE_BACK_S);
        let stale = unscaled(&self.database, since, RESCALED_MAX).await?;
        self.again(&stale, now, told, Channel::rescaled).await?;
        let zeros = provisional_zeros(&self.database, since, RESCALED_MAX).await?;
        self.again(&zeros, now, told, Channel::disproven).await?;
        let before = now.plus_seconds(-LATE_BACK_S);
        told.finalised += finalise(&self.database, before, RESCALED_MAX, now).await?;
        Ok(())
    }

    /// Records made anew, by channel.
    async fn again(
        &self,
        stale: &[StoredEstimation],
        now: UtcTime,
        told: &mut Told,
        anew: impl Fn(&Channel, &[Gap]) -> Result<Vec<Estimate>, EstimateError>,
    ) -> Result<(), StoreError> {
        let mut by_channel: BTreeMap<(MeterId, ChannelNo), Vec<Gap>> = BTreeMap::new();
        for one in stale {
            let gaps = by_channel.entry((one.meter, one.channel)).or_default();
            gaps.push(Gap::new(one.from, one.to));
        }
        for ((meter, channel), gaps) in by_channel {
            let Some(meter) = self.meters.get(&meter) else { continue };
            let from = gaps.iter().map(|gap| gap.from).min().unwrap_or(now);
            let to = gaps.iter().map(|gap| gap.to).max().unwrap_or(now);
            let gap = Gap::new(from, to);
            let ask = Ask { meter, channel, gap, now, utility: &self.utility };
            let Some(loaded) = loadable(Channel::load(&self.database, &ask).await)? else {
                continue;
            };
            match anew(&loaded, &gaps) {
                Ok(estimates) => {
                    let before = told.applied;
                    self.keep(&loaded, estimates, now, told).await?;
                    told.rescaled += told.applied - before;
                    told.applied = before;
                }
                Err(error) => complain(&mut told.refused, (meter.meter, channel), &error),
            }
        }
        Ok(())
    }
}

fn calendar_day(channel: &Channel, start: UtcTime) -> i64 {
    channel.facts.calendar.day_containing(start).start.utc_day()
}

fn storm_touches(storm: Option<&Vec<i64>>, mut days: impl Iterator<Item = i64>) -> bool {
    storm.is_some_and(|storm| days.any(|day| storm.contains(&day)))
}

/// Days on which estimation waits, by meter of the areas that are not heard.
async fn storms(
    database: &Database,
    now: UtcTime,
) -> Result<BTreeMap<MeterId, Vec<i64>>, StoreError> {
    let areas = areas(database, (now.plus_seconds(-STORM_BACK_S), now)).await?;
    let waiting: BTreeMap<ZoneId, Vec<i64>> = areas
        .into_iter()
        .map(|(zone, days)| (zone, storm::waiting(&days)))
        .filter(|(_, days)| !days.is_empty())
        .collect();
    if waiting.is_empty() {
        return Ok(BTreeMap::new());
    }
    let zones: Vec<ZoneId> = waiting.keys().copied().collect();
    let meters = meters_of_zones(database, &zones).await?;
    let days = |zone: ZoneId| waiting.get(&zone).cloned().unwrap_or_default();
    Ok(meters.into_iter().map(|(meter, zone)| (meter, days(zone))).collect())
}

/// `None` for a channel that has no intervals to estimate.
fn loadable<T>(loaded: Result<T, VeeError>) -> Result<Option<T>, StoreError> {
    match loaded {
        Ok(channel) => Ok(Some(channel)),
        Err(VeeError::Store(error)) => Err(error),
        Err(_) => Ok(None),
    }
}

fn complain(
    count: &mut u64,
    (meter, channel): (MeterId, ChannelNo),
    error: &(dyn std::error::Error + 'static),
) {
    *count += 1;
    tracing::warn!(error, %meter, %channel, "An estimate was not kept; the next look tries again.");
}

/// Looks once an hour of log time until told to stop.
pub async fn run(database: Database, rules: RuleHandle, mut stop: watch::Receiver<bool>) {
    let mut job = EstimationJob::new(database);
    let mut looked_at: Option<UtcTime> = None;
    while !*stop.borrow() {
        // At full hours, so that a restart moves no look.
        let now = rules.progress().log_time.floor_to(EVERY_S);
        let due = looked_at.is_none_or(|at| now > at);
        if due && now > UtcTime::default() {
            match job.once(now).await {
                Ok(told) => {
                    looked_at = Some(now);
                    if told != Told::default() {
                        tracing::info!(
                            applied = told.applied,
                            proposed = told.proposed,
                            superseded = told.superseded,
                            rescaled = told.rescaled,
                            moved = told.moved,
                            finalised = told.finalised,
                            left = told.left,
                            "Estimated missing intervals."
                        );
                    }
                }
                Err(error) => tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "Missing intervals could not be estimated."
                ),
            }
        }
        tokio::select! {
            () = tokio::time::sleep(POLL) => {}
            _ = stop.changed() => {}
        }
    }
}
