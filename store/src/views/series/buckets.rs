//! Buckets for a chart. Rows are read once, in order, and folded while they arrive; an answer never
//! holds more than [`BUCKETS_MAX`] buckets.

use std::pin::pin;

use futures_util::TryStreamExt;
use metering::time::DAY_S;
use metering::{ChannelKind, DeviceFlags, LocalCalendar, QualityStatus, UtcTime};

use super::{BUCKETS_MAX, Bucket, RANGE_S_MAX, Series, SeriesQuery};
use crate::database::{Connection, Database};
use crate::error::StoreError;
use crate::types::Stamp;
use crate::views::ask::Columns;
use crate::views::meters::{self, ChannelInfo};

const WHAT: &str = "reading a series";

/// How do the slots of a channel that start in `[$3, $4)` stand: as judged or estimated last, else as
/// received, and when then?
const INTERVALS: &str = "SELECT coalesce(r.starts_at, e.starts_at), coalesce(e.value, r.value), \
     coalesce(e.status, r.flags & 15)::int2, coalesce(r.flags, e.flags), \
     coalesce(e.version, 1::int2), CASE WHEN e.starts_at IS NULL THEN r.received_at END \
     FROM (SELECT starts_at, value, flags, received_at FROM read_interval \
       WHERE meter_id = $1 AND channel = $2 AND starts_at >= $3 AND starts_at < $4) r \
     FULL JOIN (SELECT DISTINCT ON (starts_at) starts_at, value, status, flags, version \
       FROM interval_exception WHERE meter_id = $1 AND channel = $2 AND starts_at >= $3 \
       AND starts_at < $4 AND lane = 0 ORDER BY starts_at, version DESC) e \
     ON e.starts_at = r.starts_at ORDER BY 1";

/// Which of its days were found good, and when?
const VALIDATED: &str = "SELECT starts_at, ends_at, closed_at FROM closed_day \
     WHERE meter_id = $1 AND channel = $2 AND ends_at > $3 AND starts_at < $4 \
     AND starts_at > $3::timestamptz - interval '26 hours' AND validated ORDER BY starts_at";

/// Which momentary values of a channel were read in `[$3, $4)`?
const INSTANTS: &str = "SELECT read_at, value, (flags & 15)::int2, flags, 1::int2, NULL::timestamptz \
     FROM register_read WHERE meter_id = $1 AND channel = $2 AND read_at >= $3 AND read_at < $4 \
     ORDER BY read_at";

/// One value on its way into a bucket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Value {
    pub(super) start: UtcTime,
    pub(super) value: i64,
    pub(super) status: QualityStatus,
    pub(super) flags: DeviceFlags,
    pub(super) version: i16,
}

/// The channel over the range, in buckets of a step that people read easily; steps of a day and
/// more follow the local days of `calendar`. `None` when the meter has no such channel.
///
/// # Errors
/// `Refused` when the range is empty or longer than ten years; else when the database does not
/// answer.
pub async fn series(
    db: &Database,
    query: &SeriesQuery,
    calendar: &LocalCalendar,
    now: UtcTime,
) -> Result<Option<Series>, StoreError> {
    check_range(query.from, query.to)?;
    let channels = meters::channels(db, query.meter).await?;
    let Some(channel) = channels.into_iter().find(|c| c.channel == query.channel) else {
        return Ok(None);
    };
    let mut folding = Folding::new(query, &channel, calendar, now);
    let client = db.client().await?;
    let sql = if channel.kind == ChannelKind::Instant { INSTANTS } else { INTERVALS };
    let statement = client.prepare_cached(sql).await.map_err(StoreError::query(WHAT))?;
    let (from, to) = (Stamp(query.from), Stamp(query.to));
    let params: [&(dyn tokio_postgres::types::ToSql + Sync); 4] =
        [&query.meter.get(), &query.channel.get(), &from, &to];
    let mut good = Validated::load(&client, &params).await?;
    let rows = client.query_raw(&statement, params).await.map_err(StoreError::query(WHAT))?;
    let mut rows = pin!(rows);
    while let Some(row) = rows.try_next().await.map_err(StoreError::query(WHAT))? {
        let mut c = Columns::of(&row, WHAT);
        let mut value = Value {
            start: c.time()?,
            value: c.get()?,
            status: c.status()?,
            flags: c.code()?.flags(),
            version: c.get()?,
        };
        let received_at = c.maybe_time()?;
        if value.status == QualityStatus::Raw && good.covers(value.start, received_at) {
            value.status = QualityStatus::Validated;
        }
        // An undo may have left nothing.
        if value.status != QualityStatus::Missing {
            folding.add(value);
        }
    }
    Ok(Some(folding.finish(query, &channel)))
}

/// Days of a channel that were found good: what had arrived by then and has no version of its own
/// is validated. Asked in order of time.
pub(super) struct Validated {
    /// Start, end, time of the closing.
    days: std::collections::VecDeque<(UtcTime, UtcTime, UtcTime)>,
}

impl Validated {
    /// For meter, channel, from and to.
    pub(super) async fn load(
        client: &Connection,
        params: &[&(dyn tokio_postgres::types::ToSql + Sync)],
    ) -> Result<Self, StoreError> {
        let query = StoreError::query(WHAT);
        let statement = client.prepare_cached(VALIDATED).await.map_err(&query)?;
        let rows = client.query(&statement, params).await.map_err(&query)?;
        let time = |row: &tokio_postgres::Row, at: usize| row.get::<_, Stamp>(at).0;
        let days = rows.iter().map(|row| (time(row, 0), time(row, 1), time(row, 2))).collect();
        Ok(Self { days })
    }

    fn covers(&mut self, start: UtcTime, received_at: Option<UtcTime>) -> bool {
        while self.days.front().is_some_and(|day| day.1 <= start) {
            self.days.pop_front();
        }
        let Some(received_at) = received_at else { return false };
        self.days.front().is_some_and(|day| day.0 <= start && received_at <= day.2)
    }
}

/// Refuses ranges that are empty or that no chart can mean.
pub(super) fn check_range(from: UtcTime, to: UtcTime) -> Result<(), StoreError> {
    let refuse = |detail: &str| {
        Err(StoreError::Refused { what: "reading a range", detail: detail.to_owned() })
    };
    if to <= from {
        return refuse("`to` must be later than `from`");
    }
    if to.seconds_since(from) > RANGE_S_MAX {
        return refuse("the range is longer than ten years");
    }
    Ok(())
}

/// Steps of a day and less that divide a local day as people read clocks.
const STEPS_S: [i64; 15] =
    [1, 10, 60, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 14_400, 21_600, 28_800, 43_200, DAY_S];
/// Steps of several local days.
const STEPS_DAYS: [i64; 6] = [2, 7, 14, 28, 56, 112];

/// The shortest step of at least `len_s` that covers the range with at most `max` buckets, and the
/// edges of those buckets.
pub(super) fn plan(
    range: (UtcTime, UtcTime),
    len_s: i64,
    max: i64,
    calendar: &LocalCalendar,
) -> (i64, Vec<UtcTime>) {
    let span_s = range.1.seconds_since(range.0);
    let floor = if len_s == 0 { 1 } else { len_s };
    let longer = STEPS_S.into_iter().chain(STEPS_DAYS.map(|days| days * DAY_S));
    let steps =
        std::iter::once(floor).chain(longer.filter(|step| *step > floor && step % floor == 0));
    // A local day has up to 25 h (once 26): a step may cover a little more than its length.
    for step_s in steps.filter(|step| (span_s - 7_200) / step <= max) {
        let edges = edges(range, step_s, is_on_grid(step_s, len_s), calendar);
        if fits(&edges, max) {
            return (step_s, edges);
        }
    }
    let days_touched = span_s / DAY_S + 2;
    let step_s = ((days_touched + max - 1) / max).max(1) * DAY_S;
    (step_s, edges(range, step_s, false, calendar))
}

/// True when the buckets are the intervals themselves, counted in UTC as their grid is.
const fn is_on_grid(step_s: i64, len_s: i64) -> bool {
    step_s == len_s || (len_s == 0 && step_s < DAY_S)
}

fn fits(edges: &[UtcTime], max: i64) -> bool {
    i64::try_from(edges.len()).is_ok_and(|count| count - 1 <= max)
}

/// Starts of the buckets that cover `[from, to)`, and the end of the last.
pub(super) fn edges(
    (from, to): (UtcTime, UtcTime),
    step_s: i64,
    on_grid: bool,
    calendar: &LocalCalendar,
) -> Vec<UtcTime> {
    let mut edges = Vec::new();
    if on_grid {
        // Full resolution: the grid of the intervals themselves, counted in UTC.
        let mut at = from.floor_to(step_s);
        while at < to {
            edges.push(at);
            at = at.plus_seconds(step_s);
        }
        edges.push(at);
        return edges;
    }
    let days_per_bucket = (step_s / DAY_S).max(1);
    let mut day = calendar.day_containing(from);
    while day.start < to {
        if step_s >= DAY_S {
            edges.push(day.start);
        } else {
            let mut at = day.start;
            while at < day.end && at < to {
                if at.plus_seconds(step_s) > from {
                    edges.push(at);
                }
                at = at.plus_seconds(step_s);
            }
        }
        let next = day.date.saturating_add(jiff::Span::new().days(days_per_bucket));
        if next <= day.date {
            break;
        }
        day = calendar.day(next);
    }
    let last = edges.last().copied().unwrap_or(from);
    let end = if step_s >= DAY_S { day.start } else { last.plus_seconds(step_s).min(day.start) };
    edges.push(end);
    edges
}

/// The buckets while rows arrive.
pub(super) struct Folding {
    buckets: Vec<Bucket>,
    sums: Vec<i128>,
    at: usize,
    len_s: i64,
    step_s: i64,
    /// Slots that end up to here were due.
    due: UtcTime,
    valid: (UtcTime, UtcTime),
    /// Arrived slots among the due ones, by bucket.
    due_present: Vec<i64>,
    usable: i128,
    suspect: i128,
}

impl Folding {
    pub(super) fn new(
        query: &SeriesQuery,
        channel: &ChannelInfo,
        calendar: &LocalCalendar,
        now: UtcTime,
    ) -> Self {
        let len_s = match channel.kind {
            ChannelKind::Instant => 0,
            _ => i64::from(channel.len_s),
        };
        let max = i64::from(query.max_buckets.clamp(1, BUCKETS_MAX));
        let (step_s, edges) = plan((query.from, query.to), len_s, max, calendar);
        let empty = |pair: &[UtcTime]| Bucket {
            start: pair[0],
            end: pair[1],
            min: 0,
            mean: 0,
            max: 0,
            sum: 0,
            n: 0,
            expected: 0,
            missing: 0,
            suspect: 0,
            status: QualityStatus::Missing,
            flags: DeviceFlags::NONE,
            version: 0,
        };
        let buckets: Vec<Bucket> = edges.windows(2).map(empty).collect();
        Self {
            sums: vec![0; buckets.len()],
            due_present: vec![0; buckets.len()],
            buckets,
            at: 0,
            len_s,
            step_s,
            due: now.plus_seconds(-i64::from(channel.delivery_lag_s)).min(query.to),
            valid: (channel.expected_from.max(query.from), channel.valid_to),
            usable: 0,
            suspect: 0,
        }
    }

    /// Values must come in order of time.
    pub(super) fn add(&mut self, value: Value) {
        while self.buckets.get(self.at).is_some_and(|bucket| value.start >= bucket.end) {
            self.at += 1;
        }
        let Some(bucket) = self.buckets.get_mut(self.at) else { return };
        if bucket.n == 0 {
            (bucket.min, bucket.max, bucket.status) = (value.value, value.value, value.status);
        } else {
            bucket.min = bucket.min.min(value.value);
            bucket.max = bucket.max.max(value.value);
            if distrust(value.status) > distrust(bucket.status) {
                bucket.status = value.status;
            }
        }
        bucket.n += 1;
        bucket.flags = bucket.flags.union(value.flags);
        bucket.version = bucket.version.max(value.version);
        self.sums[self.at] += i128::from(value.value);
        if matches!(value.status, QualityStatus::Suspect | QualityStatus::Rejected) {
            bucket.suspect += 1;
            self.suspect += i128::from(value.value);
        } else {
            self.usable += i128::from(value.value);
        }
        if value.start.plus_seconds(self.len_s) <= self.due && value.start >= self.valid.0 {
            self.due_present[self.at] += 1;
        }
    }

    pub(super) fn finish(mut self, query: &SeriesQuery, channel: &ChannelInfo) -> Series {
        let mut missing = 0;
        // Slots that start before this were due; grid points are whole seconds.
        let due_starts = UtcTime::from_seconds(self.due.seconds() + 1 - self.len_s);
        for (n, bucket) in self.buckets.iter_mut().enumerate() {
            bucket.sum = clamp(self.sums[n]);
            if bucket.n > 0 {
                bucket.mean = clamp(div_round(self.sums[n], i128::from(bucket.n)));
            }
            let from = bucket.start.max(self.valid.0);
            let until = bucket.end.min(self.valid.1).min(due_starts);
            let expected = slots_starting(from, until, self.len_s);
            let lost = (expected - self.due_present[n]).max(0);
            bucket.expected = i32::try_from(expected).unwrap_or(i32::MAX);
            bucket.missing = i32::try_from(lost).unwrap_or(i32::MAX);
            missing += lost;
        }
        Series {
            meter: query.meter,
            channel: query.channel,
            reading_type: channel.reading_type,
            kind: channel.kind,
            len_s: i32::try_from(self.len_s).unwrap_or(0),
            from: query.from,
            to: query.to,
            step_s: self.step_s,
            full_resolution: self.step_s == self.len_s,
            buckets: self.buckets,
            total_usable: clamp(self.usable),
            total_suspect: clamp(self.suspect),
            missing,
        }
    }
}

/// Grid points (multiples of `len_s` since the epoch) in `[from, until)`.
fn slots_starting(from: UtcTime, until: UtcTime, len_s: i64) -> i64 {
    if len_s == 0 || until <= from {
        return 0;
    }
    let ceil = |at: UtcTime| {
        let whole = at.seconds() + i64::from(at.micros().rem_euclid(1_000_000) != 0);
        whole.div_euclid(len_s) + i64::from(whole.rem_euclid(len_s) != 0)
    };
    ceil(until) - ceil(from)
}

fn clamp(value: i128) -> i64 {
    let max = i128::from(metering::exact::STORED_MAX);
    i64::try_from(value.clamp(-max, max)).unwrap_or(0)
}

/// Rounded half up, as all stored values are.
fn div_round(value: i128, by: i128) -> i128 {
    (2 * value + by).div_euclid(2 * by)
}

/// How little a status is to be trusted; the largest of a bucket is shown.
const fn distrust(status: QualityStatus) -> u8 {
    match status {
        QualityStatus::Verified => 0,
        QualityStatus::Validated => 1,
        QualityStatus::Raw => 2,
        QualityStatus::Edited => 3,
        QualityStatus::OutageZero => 4,
        QualityStatus::Estimated => 5,
        QualityStatus::Suspect => 6,
        QualityStatus::Rejected => 7,
        QualityStatus::Missing => 8,
    }
}

#[cfg(test)]
mod tests;
