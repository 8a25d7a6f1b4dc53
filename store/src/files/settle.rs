//! Which of two values of a slot stands, when a file told one and another is there
//! (`metering-rules` 6.5). Among files the newest wins; a file never takes the place of what a meter
//! sent itself and nobody doubts, nor of what a person decided.

use std::collections::{BTreeMap, BTreeSet};

use metering::{ChannelNo, DeviceFlags, MeterId, QualityStatus, RuleMask, UtcTime};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use vee::Rule;
use vee::status::{Candidate, EstimateGrade, ReadSource, better};

use crate::database::{Connection, Database};
use crate::day::note_touched;
use crate::error::StoreError;
use crate::estimation::{LateActual, Slot, supersede_in};
use crate::event_log::{append_records, log_day};
use crate::partitions::{Table, Touched};
use crate::tx::Tx;
use crate::types::Stamp;
use crate::versions::{Change, Reason, Source, append};

/// A value that a file told, as it was judged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Offered {
    pub meter: MeterId,
    pub channel: ChannelNo,
    pub end: UtcTime,
    pub len_s: i32,
    pub value: i64,
    /// Raw, Suspect or Estimated.
    pub status: QualityStatus,
    pub flags: DeviceFlags,
    pub failed: RuleMask,
    /// The sender says that it will not change it any more.
    pub finalised: bool,
}

/// What became of the values of which something else was there.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Settled {
    /// They stand now, as a new version.
    pub taken: u64,
    /// What was there stands.
    pub kept: u64,
}

/// What stands in each slot: received value and code, best version, the newest other file that
/// covers it, and what its sender said; and whether a person rejected the offered value before, or
/// the checks held it back. What only its sender doubted may be told anew.
const STANDING: &str = "\
    SELECT u.i, r.value, r.flags, x.value, x.status, x.source, x.method, s.made_at, q.quality, \
        x.estimation_no, EXISTS (SELECT FROM interval_exception p WHERE p.meter_id = u.meter_id \
            AND p.channel = u.channel AND p.starts_at = u.starts_at AND p.starts_at >= $6 \
            AND p.starts_at <= $7 AND p.lane = 0 AND p.value = u.value \
            AND (p.status = 7 OR p.status = 2 AND p.rule_mask <> $9)) \
    FROM unnest($1::int4[], $2::int2[], $3::timestamptz[], $4::timestamptz[], $8::int8[]) \
        WITH ORDINALITY AS u(meter_id, channel, starts_at, ends_at, value, i) \
    JOIN LATERAL (SELECT v.value, v.flags FROM read_interval v WHERE v.meter_id = u.meter_id \
        AND v.channel = u.channel AND v.starts_at = u.starts_at AND v.starts_at >= $6 \
        AND v.starts_at <= $7) r ON true \
    LEFT JOIN LATERAL (SELECT e.value, e.status, e.source, e.method, e.estimation_no \
        FROM interval_exception e \
        WHERE e.meter_id = u.meter_id AND e.channel = u.channel AND e.starts_at = u.starts_at \
        AND e.lane = 0 AND e.starts_at >= $6 AND e.starts_at <= $7 \
        ORDER BY e.version DESC LIMIT 1) x ON true \
    LEFT JOIN LATERAL (SELECT p.made_at, p.import_no FROM imported_span p \
        WHERE p.meter_id = u.meter_id AND p.channel = u.channel AND p.from_at < u.ends_at \
        AND p.to_at >= u.ends_at AND p.import_no <> $5 \
        ORDER BY p.made_at DESC, p.import_no DESC LIMIT 1) s ON true \
    LEFT JOIN LATERAL (SELECT t.quality FROM sender_quality t WHERE t.meter_id = u.meter_id \
        AND t.channel = u.channel AND t.from_at < u.ends_at AND t.to_at >= u.ends_at \
        AND t.import_no = s.import_no LIMIT 1) q ON true \
    ORDER BY 1";

const DECIDED: &str = "\
    UPDATE read_conflict c SET outcome = u.outcome, decided_at = $6 \
    FROM unnest($1::int4[], $2::int2[], $3::timestamptz[], $4::int8[], $5::int2[]) \
        AS u(meter_id, channel, starts_at, value, outcome) \
    WHERE c.meter_id = u.meter_id AND c.channel = u.channel AND c.starts_at = u.starts_at \
        AND c.value = u.value AND c.outcome = 0";

/// The rate that counts at an instant of a meter; `None`: not known.
pub type RateAt<'a> = &'a (dyn Fn(MeterId, UtcTime) -> Option<u8> + Sync);

/// Decides for each offered value, and makes a version of those that win. The values were stored
/// before, so that each has at least its own or another received value in its slot. Deciding again
/// changes nothing.
///
/// # Errors
/// When the database is away; nothing is decided then.
pub async fn settle(
    database: &Database,
    import: (i64, UtcTime),
    offered: &[Offered],
    rate_at: RateAt<'_>,
    (actor, at): (&str, UtcTime),
) -> Result<Settled, StoreError> {
    if offered.is_empty() {
        return Ok(Settled::default());
    }
    let mut touched = Touched::default();
    touched.add(Table::EventLog, log_day(at));
    for day in offered.iter().map(|one| one.start().utc_day()).collect::<BTreeSet<_>>() {
        touched.add(Table::IntervalException, day);
    }
    database.ensure_partitions(&touched).await?;
    let tx = Tx::begin(database).await?;
    let client = tx.client();
    let mut outcomes = judged(client, import, offered).await?;
    let (mut changes, mut late) = (Vec::new(), BTreeMap::new());
    for outcome in outcomes.iter().filter(|outcome| outcome.wins) {
        let one = outcome.offered;
        if let Some(estimate) = outcome.instead_of {
            // Of two values of one slot the later counts.
            late.insert(one.slot(), one.late(estimate, rate_at));
        } else {
            changes.push(one.change(actor));
        }
    }
    // What our own estimate was off by is trued up, as with any value that comes late.
    let actuals: Vec<LateActual> = late.values().copied().collect();
    let superseded = supersede_in(client, &actuals, at).await?;
    for outcome in outcomes.iter_mut().filter(|outcome| outcome.instead_of.is_some()) {
        outcome.wins &= superseded.slots.contains(&outcome.offered.slot());
    }
    append(client, &changes, at).await?;
    decided(client, &outcomes, at).await?;
    // Also of values that stay: their day may have been judged before it was decided on them.
    let day = |one: &Offered| (one.meter, one.channel, one.start().utc_day());
    let days: BTreeSet<(MeterId, ChannelNo, i64)> =
        outcomes.iter().map(|outcome| day(outcome.offered)).collect();
    note_touched(client, &days.into_iter().collect::<Vec<_>>(), at).await?;
    append_records(client, at, &superseded.news).await?;
    tx.commit().await?;
    let taken = outcomes.iter().filter(|outcome| outcome.wins).count() as u64;
    Ok(Settled { taken, kept: outcomes.len() as u64 - taken })
}

/// What becomes of an offered value.
struct Outcome<'a> {
    offered: &'a Offered,
    wins: bool,
    /// Our own estimate that it is to take the place of: number of the record, and value.
    instead_of: Option<(i64, i64)>,
}

/// Which of the offered values win; those that say nothing new are left out.
async fn judged<'a>(
    client: &Connection,
    (import_no, made_at): (i64, UtcTime),
    offered: &'a [Offered],
) -> Result<Vec<Outcome<'a>>, StoreError> {
    let mut outcomes = Vec::new();
    for row in &standing(client, import_no, offered).await? {
        let at = usize::try_from(row.get::<_, i64>(0) - 1).unwrap_or(usize::MAX);
        let Some(one) = offered.get(at) else { continue };
        let there = Standing::of(row)?;
        let same = one.value == there.value && one.class() == there.class();
        if same || there.waits_for_its_day(one) {
            continue;
        }
        let wins = !there.was_refused(one) && there.yields_to(one, made_at);
        let estimate = there.estimation_no.map(|number| (number, there.value));
        let instead_of = estimate.filter(|_| wins && one.class() == Class::Measured);
        outcomes.push(Outcome { offered: one, wins, instead_of });
    }
    Ok(outcomes)
}

async fn standing(
    client: &Connection,
    import_no: i64,
    offered: &[Offered],
) -> Result<Vec<Row>, StoreError> {
    let starts = offered.iter().map(Offered::start);
    let (Some(first), Some(last)) = (starts.clone().min(), starts.max()) else {
        return Ok(Vec::new());
    };
    let query = StoreError::query("comparing the values of a file");
    let statement = client.prepare_cached(STANDING).await.map_err(&query)?;
    let meters: Vec<i32> = offered.iter().map(|one| one.meter.get()).collect();
    let channels: Vec<i16> = offered.iter().map(|one| one.channel.get()).collect();
    let starts: Vec<Stamp> = offered.iter().map(|one| Stamp(one.start())).collect();
    let ends: Vec<Stamp> = offered.iter().map(|one| Stamp(one.end)).collect();
    let values: Vec<i64> = offered.iter().map(|one| one.value).collect();
    let doubt = Rule::Flag.mask().bits().cast_signed();
    let (first, last) = (Stamp(first), Stamp(last));
    let params: [&(dyn ToSql + Sync); 9] =
        [&meters, &channels, &starts, &ends, &import_no, &first, &last, &values, &doubt];
    client.query(&statement, &params).await.map_err(&query)
}

async fn decided(
    client: &Connection,
    outcomes: &[Outcome<'_>],
    at: UtcTime,
) -> Result<(), StoreError> {
    if outcomes.is_empty() {
        return Ok(());
    }
    let query = StoreError::query("noting which values stand");
    let statement = client.prepare_cached(DECIDED).await.map_err(&query)?;
    let all = || outcomes.iter().map(|outcome| outcome.offered);
    let meters: Vec<i32> = all().map(|one| one.meter.get()).collect();
    let channels: Vec<i16> = all().map(|one| one.channel.get()).collect();
    let starts: Vec<Stamp> = all().map(|one| Stamp(one.start())).collect();
    let values: Vec<i64> = all().map(|one| one.value).collect();
    let words: Vec<i16> = outcomes.iter().map(|one| if one.wins { 2 } else { 1 }).collect();
    let params: [&(dyn ToSql + Sync); 6] =
        [&meters, &channels, &starts, &values, &words, &Stamp(at)];
    client.execute(&statement, &params).await.map_err(&query)?;
    Ok(())
}

/// Measured, estimated or doubted: a change within these is no news.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Measured,
    Estimated { finalised: bool },
    Doubted,
}

fn class(status: QualityStatus, finalised: bool) -> Class {
    use QualityStatus as Q;
    match status {
        Q::Raw | Q::Validated | Q::Verified | Q::Edited => Class::Measured,
        Q::Estimated | Q::OutageZero => Class::Estimated { finalised },
        Q::Suspect | Q::Rejected | Q::Missing => Class::Doubted,
    }
}

/// What stands in a slot now.
struct Standing {
    value: i64,
    status: QualityStatus,
    /// Of the newest other file that covers the slot; `None`: no file told of it.
    file: Option<UtcTime>,
    finalised: bool,
    by_staff: bool,
    method: i16,
    /// What was received, and whether nobody doubted it then.
    received: (i64, bool),
    /// Our own estimate that stands.
    estimation_no: Option<i64>,
    /// The offered value was rejected by a person, or held back by the checks.
    refused: bool,
}

impl Standing {
    fn of(row: &Row) -> Result<Self, StoreError> {
        let version: Option<i64> = row.get(3);
        let received: i16 = row.get(2);
        let status = row.get::<_, Option<i16>>(4).unwrap_or(received & 15);
        Ok(Self {
            value: version.unwrap_or_else(|| row.get(1)),
            status: crate::day::status_of(status)?,
            file: row.get::<_, Option<Stamp>>(7).map(|at| at.0),
            finalised: row.get::<_, Option<&str>>(8) == Some("final_substituted"),
            by_staff: row.get::<_, Option<i16>>(5) == Some(Source::Staff as i16),
            method: row.get::<_, Option<i16>>(6).unwrap_or(0),
            received: (row.get(1), received & 15 == 1),
            estimation_no: row.get(9),
            refused: row.get(10),
        })
    }

    fn class(&self) -> Class {
        class(self.status, self.finalised)
    }

    /// The file's value is the one that was received and our estimate stands before it: it takes its
    /// place with the true-up when the checks of its day have seen it.
    fn waits_for_its_day(&self, one: &Offered) -> bool {
        let measured = one.class() == Class::Measured;
        measured && self.estimation_no.is_some() && self.received == (one.value, true)
    }

    /// The value was here before, and was estimated instead of, or a person rejected it: told
    /// again it is no better.
    fn was_refused(&self, one: &Offered) -> bool {
        let decided = self.estimation_no.is_some() || self.status == QualityStatus::Rejected;
        self.refused && decided && one.class() == Class::Measured
    }

    fn yields_to(&self, one: &Offered, made_at: UtcTime) -> bool {
        let status = match self.status {
            // Its checks were of the older file's value; the newer one passes them, or fails, next.
            QualityStatus::Validated if self.file.is_some() => QualityStatus::Raw,
            status => status,
        };
        let grade = match self.method {
            0 => None,
            4 | 5 | 8 => Some(EstimateGrade::LikeDay),
            6 => Some(EstimateGrade::Linear),
            7 => Some(EstimateGrade::Zero),
            9 => Some(EstimateGrade::Scaled),
            _ => Some(EstimateGrade::Class),
        };
        let there = Candidate {
            status,
            locked: self.by_staff,
            grade,
            finalised: self.finalised,
            source: if self.file.is_some() { ReadSource::Backfill } else { ReadSource::Scheduled },
            sequence: self.file.map_or(i64::MAX, UtcTime::micros),
            value_hash: self.value.cast_unsigned(),
        };
        let offered = Candidate {
            status: one.status,
            locked: false,
            grade: None,
            finalised: one.finalised,
            source: ReadSource::Backfill,
            sequence: made_at.micros(),
            value_hash: one.value.cast_unsigned(),
        };
        one.status != QualityStatus::Suspect && *better(&there, &offered) == offered
    }
}

impl Offered {
    const fn start(&self) -> UtcTime {
        self.end.plus_seconds(-(self.len_s as i64))
    }

    fn class(&self) -> Class {
        class(self.status, self.finalised)
    }

    const fn slot(&self) -> Slot {
        (self.meter, self.channel, self.start())
    }

    fn late(&self, (estimation_no, estimate): (i64, i64), rate_at: RateAt<'_>) -> LateActual {
        LateActual {
            rate: rate_at(self.meter, self.start()),
            estimation_no,
            meter: self.meter,
            channel: self.channel,
            end: self.end,
            len_s: self.len_s,
            estimate,
            actual: self.value,
            flags: self.flags,
        }
    }

    fn change(&self, actor: &str) -> Change {
        // A measured value that no rule held back counts as validated until its day is judged again.
        let status = match self.status {
            QualityStatus::Raw => QualityStatus::Validated,
            status => status,
        };
        Change {
            meter: self.meter,
            channel: self.channel,
            start: self.start(),
            value: self.value,
            status,
            flags: self.flags,
            failed: self.failed,
            source: Source::Device,
            actor: actor.to_owned(),
            ..Change::judged(Reason::Conflict)
        }
    }
}
