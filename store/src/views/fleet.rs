//! Is data coming in, is anything burning, what waits for a person?

use futures_util::future::try_join5;
use metering::{LocalCalendar, ReadingType, Severity, UtcTime};
use tokio_postgres::Row;

use super::ask::{self, Columns};
use super::sql::{active_states, identity_sums, installed_now, reporting};
use crate::database::Database;
use crate::error::StoreError;
use crate::types::Stamp;

mod zones;

pub use zones::zones;

/// State of the whole fleet at one instant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FleetSummary {
    pub at: UtcTime,
    /// Installed meters.
    pub meters: i64,
    /// Those heard within three of their contact periods.
    pub reporting: i64,
    /// Slots of the local day whose due time has passed (expected-read calendar).
    pub due_today: i64,
    /// Those of them that have not arrived.
    pub missing_today: i64,
    /// Median age of the newest interval end over meters that report, in seconds.
    pub behind_s: Option<i64>,
    /// Open issues that are not folded under another, by severity.
    pub issues: SeverityCounts,
    pub waiting: Waiting,
    /// Counts of batches committed in the local day.
    pub today: Identity,
}

/// Issues by severity.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SeverityCounts {
    pub p1: i64,
    pub p2: i64,
    pub p3: i64,
    pub p4: i64,
}

/// What waits for a person.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Waiting {
    /// Devices heard that nobody provisioned or ignored.
    pub commissioning: i64,
    /// Messages kept aside, except those of devices to commission.
    pub dead_letters: i64,
    /// Open issues that nobody acknowledged.
    pub unacknowledged: i64,
    /// Collectors with an open issue.
    pub collectors: i64,
}

/// Readings offered, and what became of them: `offered = committed + duplicate + conflicting +
/// dead` for everything that was committed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Identity {
    pub batches: i64,
    pub messages: i64,
    pub offered: i64,
    pub committed: i64,
    /// Including those folded within a batch.
    pub duplicate: i64,
    pub conflicting: i64,
    pub dead: i64,
    /// Intervals derived from registers; not offered.
    pub derived: i64,
    /// Events of devices; not offered.
    pub events: i64,
}

/// Readings that were committed within one stretch of time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RateBucket {
    pub start: UtcTime,
    pub end: UtcTime,
    pub offered: i64,
    pub messages: i64,
}

/// One network zone; meters without a zone form the zone with an empty code.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ZoneRow {
    pub code: String,
    pub name: String,
    pub meters: i64,
    pub reporting: i64,
    pub issues: i64,
    /// Worst severity among the open issues.
    pub worst: Option<Severity>,
    pub usage: Vec<ZoneUsage>,
    /// Up to where use is compared: nine of ten meters that report have delivered this far.
    /// `None` when that is not yet today.
    pub usage_until: Option<UtcTime>,
}

/// Use in a zone since local midnight, by what is measured: sum of the meters' main channels.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ZoneUsage {
    pub reading_type: ReadingType,
    /// Milli-units from local midnight to `usage_until`.
    pub today: i64,
    /// Mean of the same part of the same weekday over the weeks that have data; milli-units.
    pub usual: Option<i64>,
    /// Weeks that `usual` is made of, at most 4.
    pub weeks: i16,
}

/// Counts beside the navigation.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct NavCounts {
    /// Open issues that are not folded under another.
    pub issues: i64,
    pub waiting: Waiting,
}

impl Identity {
    /// True when every reading offered is accounted for.
    pub const fn balanced(&self) -> bool {
        self.offered == self.committed + self.duplicate + self.conflicting + self.dead
    }

    pub(super) const fn add(&mut self, other: &Self) {
        self.batches += other.batches;
        self.messages += other.messages;
        self.offered += other.offered;
        self.committed += other.committed;
        self.duplicate += other.duplicate;
        self.conflicting += other.conflicting;
        self.dead += other.dead;
        self.derived += other.derived;
        self.events += other.events;
    }

    pub(super) fn read(columns: &mut Columns<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            batches: columns.get()?,
            messages: columns.get()?,
            offered: columns.get()?,
            committed: columns.get()?,
            duplicate: columns.get()?,
            conflicting: columns.get()?,
            dead: columns.get()?,
            derived: columns.get()?,
            events: columns.get()?,
        })
    }
}

impl SeverityCounts {
    pub const fn total(&self) -> i64 {
        self.p1 + self.p2 + self.p3 + self.p4
    }
}

/// How many meters are installed and report, and how old is their newest interval?
const METERS: &str = concat!(
    "SELECT count(*), count(*) FILTER (WHERE r), \
     (SELECT extract(epoch FROM $1::timestamptz - percentile_disc(0.5) WITHIN GROUP \
        (ORDER BY last_event_end))::int8 FROM meter_state WHERE last_event_end <= $1::timestamptz) \
     FROM (SELECT ",
    reporting!(),
    " AS r FROM meter m \
       JOIN installation i ON ",
    installed_now!(),
    " \
       LEFT JOIN meter_state s ON s.meter_id = m.meter_id) x"
);

/// How many slots that started since `$1` were due by the calendar, and how many are missing?
const DUE: &str = "SELECT coalesce(sum(greatest(0, floor(extract(epoch FROM \
      e.through - greatest($1::timestamptz, coalesce(e.begins_at, \
        greatest(c.valid_from, m.created_at)))) \
      / c.len_s)))::int8, 0), \
     (SELECT count(*) FROM read_gap WHERE filled_at IS NULL AND starts_at >= $1::timestamptz) \
     FROM meter_channel c JOIN expected_through e USING (meter_id, channel) \
     JOIN meter m ON m.meter_id = c.meter_id \
     WHERE c.len_s > 0 AND c.kind <> 'instant' AND e.through > $1::timestamptz";

/// Which open issues stand on their own?
const ISSUES: &str = concat!(
    "SELECT count(*) FILTER (WHERE severity = 1), count(*) FILTER (WHERE severity = 2), \
     count(*) FILTER (WHERE severity = 3), count(*) FILTER (WHERE severity = 4), \
     count(*) FILTER (WHERE acknowledged_at IS NULL), \
     count(*) FILTER (WHERE subject_kind = 'collector') \
     FROM meter_issue WHERE NOT suppressed AND state IN ",
    active_states!()
);

/// What waits at the door?
const INTAKE: &str = "SELECT (SELECT count(*) FROM commissioning WHERE NOT ignored), \
     (SELECT count(*) FROM dead_letter WHERE replayed_at IS NULL AND reason <> 'unknown_device')";

/// What became of the readings offered since `$1`?
const IDENTITY: &str = concat!(
    "SELECT ",
    identity_sums!(),
    " FROM ingest_batch WHERE committed_at >= $1::timestamptz"
);

/// State of the fleet at `now`; the day is the local day of `calendar`.
///
/// # Errors
/// When the database does not answer.
pub async fn summary(
    db: &Database,
    now: UtcTime,
    calendar: &LocalCalendar,
) -> Result<FleetSummary, StoreError> {
    const WHAT: &str = "reading the state of the fleet";
    let day_start = Stamp(calendar.day_containing(now).start);
    let now_stamp = Stamp(now);
    let (meters, due, (issues, mut waiting), door, today) = try_join5(
        one(db, METERS, &[&now_stamp]),
        one(db, DUE, &[&day_start]),
        open_issues(db),
        one(db, INTAKE, &[]),
        one(db, IDENTITY, &[&day_start]),
    )
    .await?;
    let (mut meters, mut due) = (Columns::of(&meters, WHAT), Columns::of(&due, WHAT));
    let mut door = Columns::of(&door, WHAT);
    waiting.commissioning = door.get()?;
    waiting.dead_letters = door.get()?;
    Ok(FleetSummary {
        at: now,
        meters: meters.get()?,
        reporting: meters.get()?,
        behind_s: meters.get()?,
        due_today: due.get()?,
        missing_today: due.get()?,
        issues,
        waiting,
        today: Identity::read(&mut Columns::of(&today, WHAT))?,
    })
}

/// Counts for the navigation of every page.
///
/// # Errors
/// When the database does not answer.
pub async fn nav_counts(db: &Database) -> Result<NavCounts, StoreError> {
    let (issues, mut waiting) = open_issues(db).await?;
    let door = one(db, INTAKE, &[]).await?;
    let mut door = Columns::of(&door, "counting what waits");
    waiting.commissioning = door.get()?;
    waiting.dead_letters = door.get()?;
    Ok(NavCounts { issues: issues.total(), waiting })
}

async fn open_issues(db: &Database) -> Result<(SeverityCounts, Waiting), StoreError> {
    let row = one(db, ISSUES, &[]).await?;
    let mut columns = Columns::of(&row, "counting open issues");
    let counts = SeverityCounts {
        p1: columns.get()?,
        p2: columns.get()?,
        p3: columns.get()?,
        p4: columns.get()?,
    };
    let waiting = Waiting {
        unacknowledged: columns.get()?,
        collectors: columns.get()?,
        ..Waiting::default()
    };
    Ok((counts, waiting))
}

async fn one(db: &Database, sql: &'static str, params: ask::Params<'_>) -> Result<Row, StoreError> {
    const WHAT: &str = "counting the fleet";
    let mut rows = ask::rows(db, WHAT, sql, params).await?;
    rows.pop().ok_or_else(|| StoreError::Corrupt { what: WHAT, detail: "no row".to_owned() })
}

/// Most buckets of the rate of readings.
const RATE_BUCKETS_MAX: i64 = 2_000;

/// How many readings were committed in each step of `[$1, $2)`?
const RATE: &str = "SELECT floor(extract(epoch FROM committed_at - $1::timestamptz) \
     / $3::int8)::int8, \
     sum(offered)::int8, sum(messages)::int8 FROM ingest_batch \
     WHERE committed_at >= $1::timestamptz AND committed_at < $2::timestamptz GROUP BY 1";

/// Readings offered in each step of `[from, to)`, empty steps included, oldest first. The step is
/// `step_s` seconds, or as much longer as 2,000 buckets demand.
///
/// # Errors
/// When the database does not answer.
pub async fn readings_per_minute(
    db: &Database,
    from: UtcTime,
    to: UtcTime,
    step_s: i64,
) -> Result<Vec<RateBucket>, StoreError> {
    let span_s = to.seconds_since(from).max(0);
    let step_s = step_s.max(1).max(span_s / RATE_BUCKETS_MAX + 1);
    let steps = (span_s + step_s - 1) / step_s;
    let mut buckets: Vec<RateBucket> = (0..steps)
        .map(|n| RateBucket {
            start: from.plus_seconds(n * step_s),
            end: from.plus_seconds((n + 1) * step_s),
            offered: 0,
            messages: 0,
        })
        .collect();
    let (start, end) = (Stamp(from), Stamp(to));
    let counts =
        ask::all(db, "reading the rate of readings", RATE, &[&start, &end, &step_s], |c| {
            Ok((c.get::<i64>()?, c.get::<i64>()?, c.get::<i64>()?))
        })
        .await?;
    for (n, offered, messages) in counts {
        let bucket = usize::try_from(n).ok().and_then(|n| buckets.get_mut(n));
        if let Some(bucket) = bucket {
            bucket.offered = offered;
            bucket.messages = messages;
        }
    }
    Ok(buckets)
}
