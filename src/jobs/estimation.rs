//! Estimates what did not arrive or failed, once data that is merely late has had its chance; lets
//! late actual values take the place of estimates; and scales estimates once their registers came.
//!
//! Told the time by its caller, in log time. The same stored values give the same estimates:
//! channels are taken by number, and a repetition finds its records there already.

use std::collections::BTreeMap;
use std::time::Duration;

use metering::{ChannelNo, LocalCalendar, MeterId, UtcTime};
use store::assets::RegistryMeter;
use store::estimation::{Holes, StoredEstimation, apply, holes, late_actuals, supersede, unscaled};
use store::{Database, StoreError};
use tokio::sync::watch;
use vee::estimate::{Estimate, Gap};
use vee::estimation::{EstimationState, provisional_from};

use super::rules::RuleHandle;
use crate::services::vee::VeeError;
use crate::services::vee::channel::Channel;
use crate::services::vee::draft;

/// Author of automatic records.
const ENGINE: &str = "engine";
/// Holes are looked for within this many days; late data repairs a day as long. `default`.
const LOOK_BACK_S: i64 = 35 * 86_400;
/// Actual values supersede estimates of the last 14 months (5.1).
const LATE_BACK_S: i64 = vee::estimation::horizon::FINALITY_S;
/// Log time between looks, in seconds.
const EVERY_S: i64 = 3_600;
/// Log time between attempts to scale what was not scaled, in seconds: nightly.
const RESCALE_EVERY_S: i64 = 86_400;
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
    /// Holes that could not be filled, so that they are tried once a day only.
    left: BTreeMap<(MeterId, ChannelNo), (Holes, UtcTime)>,
    rescaled_at: Option<UtcTime>,
}

impl EstimationJob {
    pub fn new(database: Database) -> Self {
        Self {
            database,
            meters: BTreeMap::new(),
            calendars: BTreeMap::new(),
            asset_version: None,
            left: BTreeMap::new(),
            rescaled_at: None,
        }
    }

    /// One look at log time `now`.
    ///
    /// # Errors
    /// The database is away; what was kept stays, and the same call goes on.
    pub async fn once(&mut self, now: UtcTime) -> Result<Told, StoreError> {
        self.refresh().await?;
        let mut told = Told { superseded: self.late(now).await?, ..Told::default() };
        let found = holes(&self.database, (now.plus_seconds(-LOOK_BACK_S), now), SLOTS_MAX).await?;
        for channel in found {
            self.fill(channel, now, &mut told).await?;
        }
        if self.rescaled_at.is_none_or(|at| now.seconds_since(at) >= RESCALE_EVERY_S) {
            self.rescale(now, &mut told).await?;
            self.rescaled_at = Some(now);
        }
        Ok(told)
    }

    async fn refresh(&mut self) -> Result<(), StoreError> {
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

    /// Late actual values, batch by batch.
    async fn late(&self, now: UtcTime) -> Result<u64, StoreError> {
        let mut count = 0;
        loop {
            let since = now.plus_seconds(-LATE_BACK_S);
            let late = late_actuals(&self.database, since, LATE_MAX).await?;
            let changed = supersede(&self.database, &late, now).await?;
            count += changed;
            if changed == 0 || late.len() < LATE_MAX as usize {
                return Ok(count);
            }
        }
    }

    /// The ripe holes of one channel.
    async fn fill(
        &mut self,
        mut holes: Holes,
        now: UtcTime,
        told: &mut Told,
    ) -> Result<(), StoreError> {
        let Some(meter) = self.meters.get(&holes.meter) else { return Ok(()) };
        let Some(Some(calendar)) = self.calendars.get(&holes.meter) else { return Ok(()) };
        holes.ends.retain(|end| provisional_from(*end, calendar) <= now);
        let (Some(first), Some(last)) = (holes.ends.first(), holes.ends.last()) else {
            return Ok(());
        };
        let key = (holes.meter, holes.channel);
        let known = self
            .left
            .get(&key)
            .is_some_and(|(left, at)| *left == holes && now.seconds_since(*at) < RESCALE_EVERY_S);
        if known {
            return Ok(());
        }
        let gap = Gap::new(first.plus_seconds(-i64::from(holes.len_s)), *last);
        let loaded = Channel::load(&self.database, meter, holes.channel, gap, now).await;
        let Some(channel) = loadable(loaded)? else { return Ok(()) };
        match channel.ripe() {
            Ok(estimates) if estimates.is_empty() => {
                told.left += 1;
                self.left.insert(key, (holes, now));
            }
            Ok(estimates) => {
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

    /// Estimates without a scale, by channel, with the registers that came since.
    async fn rescale(&mut self, now: UtcTime, told: &mut Told) -> Result<(), StoreError> {
        let since = now.plus_seconds(-LOOK_BACK_S);
        let stale = unscaled(&self.database, since, RESCALED_MAX).await?;
        let mut by_channel: BTreeMap<(MeterId, ChannelNo), Vec<&StoredEstimation>> =
            BTreeMap::new();
        for one in &stale {
            by_channel.entry((one.meter, one.channel)).or_default().push(one);
        }
        for ((meter, channel), stale) in by_channel {
            let Some(meter) = self.meters.get(&meter) else { continue };
            let gaps: Vec<Gap> = stale.iter().map(|one| Gap::new(one.from, one.to)).collect();
            let from = gaps.iter().map(|gap| gap.from).min().unwrap_or(now);
            let to = gaps.iter().map(|gap| gap.to).max().unwrap_or(now);
            let loaded =
                Channel::load(&self.database, meter, channel, Gap::new(from, to), now).await;
            let Some(loaded) = loadable(loaded)? else { continue };
            match loaded.rescaled(&gaps) {
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

/// `None` for a channel that has no intervals to estimate.
fn loadable(loaded: Result<Channel, VeeError>) -> Result<Option<Channel>, StoreError> {
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
        let now = rules.progress().log_time;
        let due = looked_at.is_none_or(|at| now.seconds_since(at) >= EVERY_S);
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
