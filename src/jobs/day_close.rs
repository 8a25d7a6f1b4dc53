//! Closes local days: when a channel's day has ended and its data had time to arrive, the checks of
//! `vee` judge it, and what they say is kept and told to the rules through the event log.
//!
//! Woken by log time, never by the system's clock. Data that arrive for a closed day have it judged
//! again, and all closed days after it, since they look back on it; so late data end in the same
//! verdicts as data in time.

mod neighbours;
mod stretch;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use metering::{ChannelKind, ChannelNo, DayShape, LocalCalendar, MeterAsset, MeterId, UtcTime};
use store::day::{self, ChannelDays, CursorMove, DayRequest, DueChannel, Verdicts};
use store::{Database, PgLog, StoreError, Writer};
use tokio::sync::watch;
use vee::Params;

use self::neighbours::Own;
use self::stretch::Stretch;
use super::rules::RuleHandle;
use crate::services::rules;
use crate::services::rules::limits::Limits;

/// Channels that are judged in one transaction, and days of each of them.
const BATCH: u32 = 250;
const DAYS_MAX: usize = 14;
/// Days of a channel that are judged again in one transaction.
const REPAIR_DAYS_MAX: usize = 40;
/// Older than any reading may be (400 days, ING-TIME): a clock may claim any year.
const REPAIR_BACK_S: i64 = 400 * metering::time::DAY_S;
/// Log time after which a channel that could not be judged is looked at again, in seconds.
const AGAIN_S: i64 = 600;
/// Pause between looks.
const EVERY: Duration = Duration::from_secs(10);

/// What a look at the days did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Closed {
    /// Days that ended and were judged.
    pub days: u64,
    /// Days that were judged again for late data.
    pub repaired: u64,
    /// New versions of slots.
    pub versions: u64,
    /// Findings that went to the log.
    pub findings: u64,
    /// Intervals of registers that came out of order.
    pub derived: u64,
    /// Last sequence that was appended to the log.
    pub last_seq: Option<i64>,
}

/// One series of a meter.
type Series = (MeterId, ChannelNo);
/// A stretch with what is stored of it and of the reactive channel beside it.
type Loaded<'s> = (&'s Stretch, ChannelDays, Option<ChannelDays>);

/// Closes days of all channels.
#[derive(Debug)]
pub struct DayCloseJob {
    database: Database,
    log: PgLog,
    limits: Limits,
    /// By meter; a meter that is not there has those of all.
    params: BTreeMap<MeterId, Arc<Params>>,
    of_all: Arc<Params>,
    assets: BTreeMap<MeterId, MeterAsset>,
    asset_version: Option<i64>,
    /// Version of the rules that `limits` are of.
    rules: Option<String>,
    calendars: BTreeMap<String, LocalCalendar>,
    writer: Writer,
}

impl DayCloseJob {
    /// With the limits of the rules that hold, whichever these are.
    pub fn new(database: Database) -> Self {
        Self {
            log: PgLog::new(database.clone()),
            writer: Writer::new(database.clone()),
            database,
            limits: Limits::default(),
            params: BTreeMap::new(),
            of_all: Arc::default(),
            assets: BTreeMap::new(),
            asset_version: None,
            rules: None,
            calendars: BTreeMap::new(),
        }
    }

    /// Judges all days that are due by the log's time, and those that got late data.
    ///
    /// # Errors
    /// The database is away; what was committed stays, and the same call goes on from there.
    pub async fn once(&mut self) -> Result<Closed, StoreError> {
        let now = self.log.last_log_time().await?;
        let mut closed = Closed::default();
        self.load_assets().await?;
        self.load_params().await;
        while self.repair(now, &mut closed).await? {}
        while self.close_due(now, &mut closed).await? {}
        Ok(closed)
    }

    /// Looks at the days every 10 s until told to stop.
    pub async fn run(mut self, rules: RuleHandle, mut stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            match self.once().await {
                Ok(closed) => {
                    if closed.last_seq.is_some() {
                        rules.wake();
                    }
                    let Closed { days, repaired, versions, findings, .. } = closed;
                    if days + repaired > 0 {
                        tracing::debug!(days, repaired, versions, findings, "Days were closed.");
                    }
                }
                Err(error) => tracing::warn!(
                    error = crate::telemetry::chain(&error),
                    "Days could not be closed; they stay due."
                ),
            }
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                _ = stop.changed() => {}
            }
        }
    }

    async fn load_assets(&mut self) -> Result<(), StoreError> {
        let version = self.database.asset_version().await?;
        if self.asset_version == Some(version) {
            return Ok(());
        }
        let registry = self.database.load_registry().await?;
        self.assets = registry.meters.into_iter().map(|one| (one.asset.meter, one.asset)).collect();
        self.calendars.clear();
        for zone in self.assets.values().map(|meter| &meter.zone) {
            if self.calendars.contains_key(zone) {
                continue;
            }
            match LocalCalendar::new(zone) {
                Ok(calendar) => {
                    self.calendars.insert(zone.clone(), calendar);
                }
                Err(error) => tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "Days of this zone cannot be closed."
                ),
            }
        }
        self.asset_version = Some(version);
        self.assign_limits();
        Ok(())
    }

    /// The limits of the rules that hold now; closed days keep theirs until late data come. Rules
    /// that cannot be read are no reason not to close days.
    async fn load_params(&mut self) {
        match rules::active(&self.database).await {
            Ok((version, _)) if self.rules.as_ref() == Some(&version) => {}
            Ok((version, bundle)) => {
                self.limits = Limits::new(bundle);
                self.rules = Some(version);
                self.assign_limits();
            }
            Err(error) => tracing::warn!(
                error = crate::telemetry::chain(&error),
                "The rules cannot be read: days are closed with the limits of before."
            ),
        }
    }

    fn assign_limits(&mut self) {
        let of_all = self.limits.of_all();
        self.params.clear();
        for (meter, asset) in &self.assets {
            let own = self.limits.of(asset);
            if !Arc::ptr_eq(&own, &of_all) {
                self.params.insert(*meter, own);
            }
        }
        self.of_all = of_all;
    }

    /// Judges the ended days of channels that are due; false when there were none.
    async fn close_due(&mut self, now: UtcTime, closed: &mut Closed) -> Result<bool, StoreError> {
        let due = day::due(&self.database, now, BATCH).await?;
        let mut verdicts = Verdicts::default();
        let mut stretches = Vec::new();
        for channel in &due {
            let (days, cursor) = self.ended(channel, now);
            verdicts.cursors.push(cursor);
            if !days.is_empty() {
                stretches.push(Stretch { series: (channel.meter, channel.channel), days });
            }
        }
        for (stretch, known, reactive) in self.load_whole(&stretches, now, closed).await? {
            let judge = self.judge_of(stretch.series, &known, reactive.as_ref());
            verdicts.days.extend(judge.into_iter().flat_map(|mut judge| judge.all(&stretch.days)));
        }
        closed.days += verdicts.days.len() as u64;
        self.commit(&verdicts, now, closed).await?;
        Ok(!due.is_empty())
    }

    /// Judges days again that got data since they were closed, and the closed days after them;
    /// false when there were none.
    async fn repair(&mut self, now: UtcTime, closed: &mut Closed) -> Result<bool, StoreError> {
        let touched = day::touched(&self.database, BATCH).await?;
        if touched.is_empty() {
            return Ok(false);
        }
        let mut first: BTreeMap<Series, UtcTime> = BTreeMap::new();
        for day in &touched {
            let start = UtcTime::from_seconds(day.utc_day * metering::time::DAY_S);
            // A read also ends the interval before it, which may lie in the day before.
            let start = start.plus_seconds(-self.reach_s((day.meter, day.channel)));
            let start = start.max(now.plus_seconds(-REPAIR_BACK_S));
            let from = first.entry((day.meter, day.channel)).or_insert(start);
            *from = start.min(*from);
        }
        while !first.is_empty() {
            let mut stretches: Vec<Stretch> = first
                .iter()
                .filter_map(|(series, from)| self.days_up_to(*series, *from, now))
                .collect();
            // Neighbours in time are asked for together.
            stretches
                .sort_by_key(|stretch| (stretch.days.first().map(|d| d.start), stretch.series));
            first.clear();
            for part in stretches.chunks(BATCH as usize / 5) {
                first.extend(self.repair_part(part, now, closed).await?);
            }
        }
        let seen = Verdicts { seen: touched, ..Verdicts::default() };
        self.commit(&seen, now, closed).await?;
        Ok(true)
    }

    /// Gives from where to go on with channels that have more closed days.
    async fn repair_part(
        &mut self,
        stretches: &[Stretch],
        now: UtcTime,
        closed: &mut Closed,
    ) -> Result<Vec<(Series, UtcTime)>, StoreError> {
        let mut verdicts = Verdicts::default();
        let mut on = Vec::new();
        for (stretch, known, reactive) in self.load_whole(stretches, now, closed).await? {
            let was_closed = |day: &&DayShape| known.history.iter().any(|h| h.from == day.start);
            let days: Vec<DayShape> = stretch.days.iter().filter(was_closed).copied().collect();
            // Before the channel's first closed day a counter tells intervals all the same.
            let is_counter = self.reach_s(stretch.series) > 0;
            let on_it_goes = days.last() == stretch.days.last() || days.is_empty() && is_counter;
            if stretch.days.len() >= REPAIR_DAYS_MAX && on_it_goes {
                on.extend(stretch.days.last().map(|last| (stretch.series, last.end)));
            }
            let judge = self.judge_of(stretch.series, &known, reactive.as_ref());
            verdicts.days.extend(judge.into_iter().flat_map(|mut judge| judge.all(&days)));
        }
        closed.repaired += verdicts.days.len() as u64;
        self.commit(&verdicts, now, closed).await?;
        Ok(on)
    }

    fn judge_of<'a>(
        &'a self,
        (meter, channel): Series,
        known: &'a ChannelDays,
        reactive: Option<&'a ChannelDays>,
    ) -> Option<stretch::Judge<'a>> {
        let Own { meter, channel, calendar, params } = self.own((meter, channel))?;
        stretch::Judge::new(meter, channel, calendar, params)
            .map(|judge| judge.over(known, reactive))
    }

    /// As [`Self::load`], after what registers that came out of order tell of them was derived.
    async fn load_whole<'s>(
        &mut self,
        stretches: &'s [Stretch],
        now: UtcTime,
        closed: &mut Closed,
    ) -> Result<Vec<Loaded<'s>>, StoreError> {
        let loaded = self.load(stretches).await?;
        let lacking: Vec<(usize, day::CounterRequest)> = loaded
            .iter()
            .enumerate()
            .filter_map(|(at, (stretch, known, _))| {
                Some((at, neighbours::request(self.own(stretch.series)?, known)?))
            })
            .collect();
        let (mut rows, mut redrawn) = (Vec::new(), Vec::new());
        let (long, short): (Vec<_>, Vec<_>) =
            lacking.into_iter().partition(|(_, request)| request.is_long());
        // The reads of many weeks are held for one channel at a time.
        for part in long.chunks(1).chain(short.chunks(BATCH as usize / 5)) {
            let asked: Vec<day::CounterRequest> = part.iter().map(|(_, asked)| *asked).collect();
            let reads = day::counters(&self.database, &asked).await?;
            for ((at, _), reads) in part.iter().zip(&reads) {
                let (stretch, known, _) = &loaded[*at];
                if let Some(own) = self.own(stretch.series) {
                    let told = neighbours::derived(own, known, reads, now);
                    rows.extend(told.rows);
                    redrawn.extend(told.redrawn);
                }
            }
        }
        if rows.is_empty() && redrawn.is_empty() {
            return Ok(loaded);
        }
        closed.derived += (rows.len() + redrawn.len()) as u64;
        closed.versions += day::redraw(&self.database, &redrawn, now).await?;
        let last_seq = neighbours::keep(&mut self.writer, rows, now).await?;
        closed.last_seq = last_seq.or(closed.last_seq);
        self.load(stretches).await
    }

    /// Seconds before a read within which it may complete an interval.
    fn reach_s(&self, series: Series) -> i64 {
        let register = self.own(series).filter(|own| own.channel.kind == ChannelKind::Register);
        register.map_or(0, |own| 2 * i64::from(own.channel.len_s))
    }

    fn own(&self, (meter, channel): Series) -> Option<Own<'_>> {
        let meter = self.assets.get(&meter)?;
        let calendar = self.calendars.get(&meter.zone)?;
        let params = self.params.get(&meter.meter).unwrap_or(&self.of_all);
        Some(Own { meter, channel: meter.channel(channel)?, calendar, params })
    }

    /// The stretches with what is stored of them and of the reactive channels beside them.
    async fn load<'s>(&self, stretches: &'s [Stretch]) -> Result<Vec<Loaded<'s>>, StoreError> {
        let mut requests: Vec<DayRequest> = stretches.iter().filter_map(Stretch::request).collect();
        let beside = |stretch: &Stretch| {
            let meter = self.assets.get(&stretch.series.0)?;
            let channel = stretch::reactive(meter, stretch.series.1)?;
            Stretch { series: (stretch.series.0, channel), days: stretch.days.clone() }.request()
        };
        let others: Vec<Option<DayRequest>> = stretches.iter().map(beside).collect();
        requests.extend(others.iter().flatten().cloned());
        let mut loaded = day::load(&self.database, &requests).await?;
        let mut beside = loaded.split_off(stretches.len().min(loaded.len())).into_iter();
        let others: Vec<Option<ChannelDays>> =
            others.iter().map(|other| other.as_ref().and_then(|_| beside.next())).collect();
        Ok(stretches
            .iter()
            .zip(loaded)
            .zip(others)
            .map(|((stretch, known), other)| (stretch, known, other))
            .collect())
    }

    async fn commit(
        &self,
        verdicts: &Verdicts,
        now: UtcTime,
        closed: &mut Closed,
    ) -> Result<(), StoreError> {
        let kept = day::commit(&self.database, verdicts, now).await?;
        closed.versions += kept.versions;
        closed.findings += kept.findings;
        closed.last_seq = kept.last_seq.or(closed.last_seq);
        Ok(())
    }

    /// Days of a due channel that may be closed, and where its cursor goes then.
    fn ended(&self, channel: &DueChannel, now: UtcTime) -> (Vec<DayShape>, CursorMove) {
        let start = channel.closed_through.unwrap_or(channel.start);
        let move_to = |closed_through, due_at| {
            let (meter, channel) = (channel.meter, channel.channel);
            CursorMove { meter, channel, closed_through, due_at }
        };
        let Some(local) = self.calendar_of((channel.meter, channel.channel)) else {
            // Nothing to judge: it is not asked for again. A meter that was entered just now, or
            // whose zone is not known, is.
            let judged = self.assets.get(&channel.meter).and_then(|m| m.channel(channel.channel));
            let never = judged.is_some_and(|channel| !vee::day::has_days(channel));
            let again = if never { UtcTime::MAX } else { now.plus_seconds(AGAIN_S) };
            return (Vec::new(), move_to(start, again));
        };
        if channel.closed_through.is_none() {
            // The cursor comes first: of what arrives from then on the day is noted. The look that
            // follows judges.
            return (Vec::new(), move_to(start, now));
        }
        let lag_s = i64::from(channel.delivery_lag_s);
        let mut next = local.day_containing(start);
        let mut days = Vec::new();
        while next.end.plus_seconds(lag_s) <= now && days.len() < DAYS_MAX {
            days.push(next);
            next = local.day_containing(next.end);
        }
        (days, move_to(next.start, next.end.plus_seconds(lag_s)))
    }

    /// The days from the one that contains `from`, as far as they may be closed by now.
    fn days_up_to(&self, series: Series, from: UtcTime, now: UtcTime) -> Option<Stretch> {
        let local = self.calendar_of(series)?;
        let mut next = local.day_containing(from);
        let mut days = Vec::new();
        while next.end <= now && days.len() < REPAIR_DAYS_MAX {
            days.push(next);
            next = local.day_containing(next.end);
        }
        (!days.is_empty()).then_some(Stretch { series, days })
    }

    /// The calendar of a channel whose days are judged.
    fn calendar_of(&self, (meter, channel): Series) -> Option<&LocalCalendar> {
        let meter = self.assets.get(&meter)?;
        let judged = meter.channel(channel).is_some_and(vee::day::has_days);
        judged.then(|| self.calendars.get(&meter.zone)).flatten()
    }
}
