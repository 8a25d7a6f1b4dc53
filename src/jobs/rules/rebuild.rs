//! Rules that are made anew because no snapshot can be read and the log does not go back to its
//! start: they learn from the stored readings of eight weeks (`metering-rules` 9.7).
//!
//! The readings are told as they arrived, up to where the log that is kept begins. From there the
//! log itself is replayed, and at the offset of the rules what they hold is reconciled with what
//! staff were told. Nothing that is said on the way there is told to anybody.

use alerts::{Engine, Params};
use metering::{LogRecord, RuleBundle, UtcTime};
use store::rules::history::{self, Order, Telling};
use store::{Database, EventLog as _, PgLog, StoreError};

use super::CONSUMER;
use crate::services::rules::backtest::WARM_UP_DAYS;
use crate::services::rules::feed::Feed;

const DAY_S: i64 = 86_400;
const HOUR_S: i64 = 3_600;
/// So many readings are asked for at a time, unless an hour of the fleet has more. Larger windows
/// go over the readings of a day less often.
const READINGS_MAX: i64 = 1_000_000;
/// Days between two words of progress.
const SAY_EVERY_DAYS: i64 = 7;

/// How far it is.
#[derive(Debug)]
pub(super) enum Rebuild {
    /// From stored readings.
    Learning(Learning),
    /// From the log, up to the offset. Nothing is known of the time before this one.
    Replaying { learned_from: UtcTime },
}

/// Where the engine goes on with the log.
#[derive(Clone, Copy, Debug)]
struct Resume {
    seq: i64,
    log_time: UtcTime,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Learning {
    feed: Feed,
    telling: Telling,
    from: UtcTime,
    /// Told up to here.
    at: UtcTime,
    resume: Resume,
    window_s: i64,
    said_at: UtcTime,
}

impl Learning {
    /// Tells a new engine its fleet and the rules that held.
    pub(super) async fn begin(
        database: &Database,
        log: &PgLog,
        params: Params,
    ) -> Result<(Engine, Self), StoreError> {
        let resume = resume(database, log).await?;
        let (mut engine, mut feed) = (Engine::new(params), Feed::default());
        let longest = resume.log_time.plus_seconds(-WARM_UP_DAYS * DAY_S);
        let first = history::first_day(database, (longest, resume.log_time)).await?;
        let at = first.unwrap_or(resume.log_time);
        let held = store::rules::held_at_record(database, resume.seq).await?;
        let mut records: Vec<LogRecord> = held
            .map(|row| RuleBundle { version: row.version, text: row.text })
            .map(|bundle| LogRecord::Rules(Box::new(bundle)))
            .into_iter()
            .collect();
        let fleet = history::fleet(database).await?;
        let per_hour = readings_per_hour(&fleet);
        records.extend(fleet);
        let silent = history::silent_since(database, at).await?;
        if let Some(frame) = feed.frame(at, records) {
            engine.apply(&frame, &mut Vec::new());
        }
        for (meter, heard_at) in silent.meters {
            engine.was_heard(meter, heard_at);
        }
        for (collector, beat_at) in silent.collectors {
            engine.had_beaten(collector, beat_at);
        }
        let window_s = (READINGS_MAX / per_hour.max(1)).clamp(1, 24) * HOUR_S;
        tracing::warn!(
            from = %at, to = %resume.log_time,
            "No snapshot of the rules can be read: they learn anew from the stored readings."
        );
        let telling = Telling::new(Order::Arrived(resume.log_time));
        Ok((engine, Self { feed, telling, from: at, at, resume, window_s, said_at: at }))
    }

    /// Tells the next stretch of readings; false when the log has the rest. After an error the same
    /// call goes on where it stood.
    pub(super) async fn step(
        &mut self,
        database: &Database,
        log: &PgLog,
        engine: &mut Engine,
    ) -> Result<bool, StoreError> {
        if self.at >= self.resume.log_time {
            // Upkeep may have dropped a day of the log meanwhile: its readings are stored.
            let now = resume(database, log).await?;
            if now.log_time <= self.at {
                engine.resume_at(now.seq);
                tracing::info!("The rules have learned from the stored readings; the log is next.");
                return Ok(false);
            }
            self.telling.extend(database, (self.at, now.log_time)).await?;
            self.resume = now;
        }
        let next = self.at.plus_seconds(self.window_s).min(self.resume.log_time);
        let past = self.telling.window(database, (self.at, next)).await?;
        let mut said = Vec::new();
        self.feed.stretch(past, (self.at, next), |frame| {
            engine.apply(frame, &mut said);
            said.clear();
            engine.take_shadow();
        });
        self.at = next;
        if next.seconds_since(self.said_at) >= SAY_EVERY_DAYS * DAY_S {
            self.said_at = next;
            tracing::info!(
                through = %next, to = %self.resume.log_time,
                "The rules learn from the stored readings."
            );
        }
        Ok(true)
    }

    /// Of the time before it nothing is learned.
    pub(super) const fn learned_from(&self) -> UtcTime {
        self.from
    }

    /// Last record before the first that the log still has.
    pub(super) const fn position(&self) -> i64 {
        self.resume.seq - 1
    }
}

/// The first record that is kept, or the one behind the offset when none is.
async fn resume(database: &Database, log: &PgLog) -> Result<Resume, StoreError> {
    if let Some(frame) = log.read(store::event_log::SHARD, 0, 1).await?.first() {
        return Ok(Resume { seq: frame.first_seq, log_time: frame.log_time });
    }
    let seq = log.offset(CONSUMER).await?.seq + 1;
    // Nothing is known of its time but that of the snapshots and of the readings.
    let taken = log.snapshots(CONSUMER).await?.into_iter().map(|snapshot| snapshot.taken_at).max();
    let last = history::range(database).await?.map(|(_, last)| last.plus_seconds(HOUR_S));
    Ok(Resume { seq, log_time: taken.max(last).unwrap_or_default() })
}

fn readings_per_hour(fleet: &[LogRecord]) -> i64 {
    let of_meter = |record: &LogRecord| match record {
        LogRecord::Meter(asset) => {
            let channels = asset.channels.iter().filter(|channel| channel.len_s > 0);
            channels.map(|channel| HOUR_S / i64::from(channel.len_s)).sum()
        }
        _ => 0,
    };
    fleet.iter().map(of_meter).sum()
}
