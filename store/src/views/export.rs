//! Readings for a file: a stream in constant memory.

use std::collections::VecDeque;
use std::sync::Arc;

use metering::{ChannelNo, MeterId, QualityStatus, ReadingType, UtcTime};

use super::ask::{self, contains_pattern, exact};
use super::meters::{MeterFilter, MeterStatus};
use super::series::RANGE_S_MAX;
use super::sql::{active_states, installed_now, meter_filter, meter_joins, reporting};
use crate::database::Database;
use crate::error::StoreError;
use crate::types::Stamp;

/// Which readings to export.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ExportFilter {
    pub meters: MeterFilter,
    /// Exact number of one meter.
    pub number: Option<String>,
    pub channel: Option<ChannelNo>,
}

/// One line of the export.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReadRow {
    pub meter: MeterId,
    pub number: Arc<str>,
    pub channel: ChannelNo,
    pub reading_type: ReadingType,
    pub start: UtcTime,
    pub end: UtcTime,
    /// Milli-units.
    pub value: i64,
    pub status: QualityStatus,
    pub version: i16,
}

/// Channels that are looked up at once.
const CHANNELS_MAX: i64 = 1_000;
/// Rows that are held at once.
const ROWS_MAX: i64 = 10_000;

/// Readings on their way into a file, ordered by meter number, channel and time. Holds no
/// connection between two chunks: a slow receiver keeps nobody waiting, and dropping the stream
/// ends the work.
#[derive(Debug)]
pub struct ReadStream {
    db: Database,
    filter: ExportFilter,
    from: UtcTime,
    to: UtcTime,
    now: UtcTime,
    /// Number and channel after which the next channels are looked up; `None` at the end.
    after: Option<(String, i16)>,
    channels: VecDeque<Channel>,
    /// Where the first of `channels` goes on.
    window: UtcTime,
    rows: VecDeque<ReadRow>,
}

#[derive(Clone, Debug)]
struct Channel {
    meter: i32,
    number: Arc<str>,
    channel: i16,
    reading_type: ReadingType,
    len_s: i32,
}

/// Which channels with intervals belong to the matching meters, after `($12, $13)`?
const CHANNELS: &str = concat!(
    "SELECT m.meter_id, m.number, c.channel, c.reading_type, c.len_s FROM meter m \
     JOIN meter_channel c ON c.meter_id = m.meter_id AND c.kind <> 'instant' AND c.len_s > 0",
    meter_joins!(),
    "WHERE ",
    meter_filter!(),
    "AND ($10::text IS NULL OR m.number = $10) AND ($11::int2 IS NULL OR c.channel = $11) \
     AND (m.number, c.channel) > ($12::text, $13::int2) \
     ORDER BY m.number, c.channel LIMIT $14"
);

/// How do the intervals of these channels that start in `[$3, $4)` stand?
const READS: &str = "SELECT c.n, b.starts_at, b.value, CASE WHEN b.status = 1 AND d.validated \
       AND b.received_at <= d.closed_at THEN 3::int2 ELSE b.status END, b.version \
     FROM unnest($1::int4[], $2::int2[]) WITH ORDINALITY c(meter_id, channel, n) \
     CROSS JOIN LATERAL (SELECT coalesce(r.starts_at, e.starts_at) AS starts_at, \
         coalesce(e.value, r.value) AS value, coalesce(e.status, r.flags & 15)::int2 AS status, \
         coalesce(e.version, 1::int2) AS version, r.received_at \
       FROM (SELECT * FROM read_interval i WHERE i.meter_id = c.meter_id \
         AND i.channel = c.channel AND i.starts_at >= $3 AND i.starts_at < $4) r \
       FULL JOIN (SELECT DISTINCT ON (x.starts_at) * FROM interval_exception x \
         WHERE x.meter_id = c.meter_id AND x.channel = c.channel AND x.starts_at >= $3 \
         AND x.starts_at < $4 AND x.lane = 0 ORDER BY x.starts_at, x.version DESC) e \
       ON e.starts_at = r.starts_at) b \
     LEFT JOIN LATERAL (SELECT h.validated, h.closed_at FROM closed_day h WHERE b.status = 1 \
       AND h.meter_id = c.meter_id AND h.channel = c.channel AND h.starts_at <= b.starts_at \
       AND h.starts_at > b.starts_at - interval '26 hours' AND h.ends_at > b.starts_at \
       AND h.starts_at > $3::timestamptz - interval '26 hours' AND h.starts_at < $4 \
       ORDER BY h.starts_at DESC LIMIT 1) d ON true \
     WHERE b.status <> 0 ORDER BY c.n, b.starts_at";

/// The readings whose interval starts in `[from, to)`. Nothing is read before
/// [`ReadStream::next`].
///
/// # Errors
/// `Refused` when the range is empty or longer than ten years.
pub fn reads(
    db: &Database,
    filter: ExportFilter,
    (from, to): (UtcTime, UtcTime),
    now: UtcTime,
) -> Result<ReadStream, StoreError> {
    if to <= from || to.seconds_since(from) > RANGE_S_MAX {
        let detail = "`to` must be later than `from`, by at most ten years".to_owned();
        return Err(StoreError::Refused { what: "exporting readings", detail });
    }
    Ok(ReadStream {
        db: db.clone(),
        filter,
        from,
        to,
        now,
        after: Some((String::new(), 0)),
        channels: VecDeque::new(),
        window: from,
        rows: VecDeque::new(),
    })
}

impl ReadStream {
    /// The next reading, or `None` at the end.
    ///
    /// # Errors
    /// When the database does not answer. The stream may be asked again.
    pub async fn next(&mut self) -> Result<Option<ReadRow>, StoreError> {
        loop {
            if let Some(row) = self.rows.pop_front() {
                return Ok(Some(row));
            }
            if !self.channels.is_empty() {
                self.fetch_rows().await?;
            } else if self.after.is_some() {
                self.fetch_channels().await?;
            } else {
                return Ok(None);
            }
        }
    }

    async fn fetch_channels(&mut self) -> Result<(), StoreError> {
        let Some((number, channel)) = &self.after else { return Ok(()) };
        let meters = &self.filter.meters;
        let found = ask::all(
            &self.db,
            "finding channels to export",
            CHANNELS,
            &[
                &Stamp(self.now),
                &contains_pattern(meters.q.as_deref()),
                &meters.commodity.map(metering::Commodity::word),
                &exact(meters.zone.as_deref()),
                &exact(meters.route.as_deref()),
                &exact(meters.collector.as_deref()),
                &exact(meters.tag.as_deref()),
                &exact(meters.issue.as_deref()),
                &meters.status.map(MeterStatus::word),
                &exact(self.filter.number.as_deref()),
                &self.filter.channel.map(ChannelNo::get),
                number,
                channel,
                &CHANNELS_MAX,
            ],
            |c| {
                Ok(Channel {
                    meter: c.get()?,
                    number: c.get::<&str>()?.into(),
                    channel: c.get()?,
                    reading_type: c.word()?,
                    len_s: c.get()?,
                })
            },
        )
        .await?;
        self.after = found.last().map(|last| (last.number.as_ref().to_owned(), last.channel));
        self.channels = found.into();
        Ok(())
    }

    /// Reads as many whole channels as surely fit into a chunk, or a part of one.
    async fn fetch_rows(&mut self) -> Result<(), StoreError> {
        let (take, until) = self.chunk();
        let part: Vec<Channel> = self.channels.iter().take(take).cloned().collect();
        let meters: Vec<i32> = part.iter().map(|channel| channel.meter).collect();
        let numbers: Vec<i16> = part.iter().map(|channel| channel.channel).collect();
        let (from, to) = (Stamp(self.window), Stamp(until));
        let params: ask::Params<'_> = &[&meters, &numbers, &from, &to];
        let rows = ask::all(&self.db, "exporting readings", READS, params, |c| {
            Ok((c.get::<i64>()?, c.time()?, c.get()?, c.status()?, c.get()?))
        })
        .await?;
        for (n, start, value, status, version) in rows {
            let channel = usize::try_from(n - 1).ok().and_then(|n| part.get(n));
            let Some(channel) = channel else { continue };
            self.rows.push_back(ReadRow {
                meter: MeterId::new(channel.meter),
                number: Arc::clone(&channel.number),
                channel: ChannelNo::new(channel.channel),
                reading_type: channel.reading_type,
                start,
                end: start.plus_seconds(i64::from(channel.len_s)),
                value,
                status,
                version,
            });
        }
        if until < self.to {
            self.window = until;
        } else {
            self.channels.drain(..take);
            self.window = self.from;
        }
        Ok(())
    }

    /// How many channels to read next, and up to where. A channel has at most one row per slot.
    fn chunk(&self) -> (usize, UtcTime) {
        let span_s = self.to.seconds_since(self.window).max(1);
        let slots = |channel: &Channel| span_s / i64::from(channel.len_s.max(1)) + 1;
        let mut total = 0;
        let mut take = 0;
        for channel in &self.channels {
            total += slots(channel);
            if total > ROWS_MAX {
                break;
            }
            take += 1;
        }
        if take > 0 && self.window == self.from {
            return (take, self.to);
        }
        let len_s = self.channels.front().map_or(1, |channel| i64::from(channel.len_s.max(1)));
        (1, self.window.plus_seconds(ROWS_MAX * len_s).min(self.to))
    }
}
