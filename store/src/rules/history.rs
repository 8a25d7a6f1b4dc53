//! Stored readings told again as log records, so that rules can be tried on the past.

use metering::{
    ChannelNo, CollectorAsset, CollectorId, EventCode, Finding, LogRecord, MeterId, Outcome,
    QualityStatus, RuleMask, RuleNo, SlotCode, Subject, UtcTime, WorkOrder,
};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use crate::database::Database;
use crate::error::StoreError;
use crate::types::Stamp;

const WHAT: &str = "reading the past for the rules";

/// Which intervals began in `[$1, $2)` and were received in `[$5, $3)`, as they were first judged,
/// and when is each told? `$4`: what came later than so many seconds is told at its end.
const INTERVALS: &str = "\
    SELECT CASE WHEN r.received_at > n.ends_at + make_interval(secs => $4) THEN n.ends_at \
        ELSE greatest(r.received_at, n.ends_at) END, r.meter_id, r.channel, c.len_s, r.value, \
        r.flags, coalesce(e.rule_mask, 0), e.status, n.ends_at \
    FROM read_interval r \
    JOIN meter_channel c ON c.meter_id = r.meter_id AND c.channel = r.channel \
    CROSS JOIN LATERAL (SELECT r.starts_at + make_interval(secs => c.len_s) AS ends_at) n \
    LEFT JOIN LATERAL (SELECT x.rule_mask, x.status FROM interval_exception x \
        WHERE r.flags < 0 AND x.meter_id = r.meter_id AND x.channel = r.channel \
        AND x.starts_at = r.starts_at ORDER BY x.version LIMIT 1) e ON true \
    WHERE r.starts_at >= $1 AND r.starts_at < $2 AND r.received_at >= $5 AND r.received_at < $3";

/// Which registers were read in `($1, $2]`?
const REGISTERS: &str = "\
    SELECT CASE WHEN r.received_at > r.read_at + make_interval(secs => $4) THEN r.read_at \
        ELSE greatest(r.received_at, r.read_at) END, r.meter_id, r.channel, 0, r.value, r.flags, \
        r.rule_mask, NULL::int2, r.read_at \
    FROM register_read r \
    WHERE r.read_at > $1 AND r.read_at <= $2 AND r.received_at >= $5 AND r.received_at < $3";

/// Which events occurred in `($1, $2]`?
const EVENTS: &str = "\
    SELECT CASE WHEN e.received_at > e.occurred_at + make_interval(secs => $4) THEN e.occurred_at \
        ELSE greatest(e.received_at, e.occurred_at) END, e.subject_kind, e.subject_id, e.code, \
        e.detail, e.occurred_at \
    FROM device_event e \
    WHERE e.occurred_at > $1 AND e.occurred_at <= $2 AND e.received_at >= $5 \
        AND e.received_at < $3 \
    ORDER BY e.subject_kind, e.subject_id, e.code, e.occurred_at, e.seq";

/// Which collectors beat for the last time in `($1, $2]`, before `$3`? The others are not stored.
const BEATS: &str = "\
    SELECT last_heartbeat_at, collector_id FROM collector_state \
    WHERE last_heartbeat_at > $1 AND last_heartbeat_at <= $2 AND last_heartbeat_at < $3 \
    ORDER BY 1, 2";

/// Which findings of closed windows were recorded in `($1, $2]`, before `$3`?
const FINDINGS: &str = "\
    SELECT recorded_at, meter_id, channel, rule_no, outcome, from_at, to_at, kind, detail \
    FROM finding WHERE recorded_at > $1 AND recorded_at <= $2 AND recorded_at < $3 \
    ORDER BY recorded_at, log_seq";

/// Which steps of work orders were told in `($1, $2]`, before `$3`?
const ORDERS: &str = "\
    SELECT s.recorded_at, o.subject_kind, o.subject_id, o.number, o.kind, s.status, s.at \
    FROM work_order_status s JOIN work_order o ON o.number = s.number \
    WHERE s.recorded_at > $1 AND s.recorded_at <= $2 AND s.recorded_at < $3 \
    ORDER BY 1, 4, 6";

/// When is the first and the last stored interval?
const RANGE: &str = "SELECT min(starts_at), max(starts_at) FROM read_interval";

/// On which day from `$1` on, up to `$2`, do stored readings begin? Day by day, so that only the
/// empty ones are searched.
const FIRST_DAY: &str = "\
    SELECT d.at FROM generate_series($1::timestamptz, $2::timestamptz, interval '1 day') AS d(at) \
    CROSS JOIN LATERAL ( \
        (SELECT 1 FROM read_interval r WHERE r.starts_at >= d.at \
            AND r.starts_at < d.at + interval '1 day' LIMIT 1) \
        UNION ALL \
        (SELECT 1 FROM register_read r WHERE r.read_at >= d.at \
            AND r.read_at < d.at + interval '1 day' LIMIT 1) LIMIT 1) found \
    ORDER BY 1 LIMIT 1";

/// Who was heard, and for the last time before `$1`?
const SILENT: &str = "\
    SELECT meter_id, last_heard_at FROM meter_state WHERE last_heard_at < $1 ORDER BY meter_id";

/// Which collectors beat for the last time before `$1`?
const MUTE: &str = "\
    SELECT collector_id, last_heartbeat_at FROM collector_state WHERE last_heartbeat_at <= $1 \
    ORDER BY collector_id";

/// What arrived later than this after its end was loaded from elsewhere or waited in an outage; in
/// seconds. The slowest regular way is that of battery water meters, 30 h.
const ON_ITS_WAY_S: i32 = 129_600;
/// No slot is longer.
const SLOT_S_MAX: i64 = 86_400;
/// So many readings that are not due yet are held; beyond it what waits longest is told as
/// measured.
const WAITING_MAX: usize = 2_000_000;

/// In which order stored readings are told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// As if each had arrived when it was measured.
    Measured,
    /// As each arrived, and only what arrived before this instant; what came days late is told as
    /// measured. With the findings of closed windows and the steps of work orders.
    Arrived(UtcTime),
}

/// A record with the time at which it would have come.
#[derive(Clone, PartialEq, Debug)]
pub struct Past {
    pub at: UtcTime,
    pub record: LogRecord,
}

impl Past {
    /// Of one instant intervals, registers, events, findings and work orders, by meter and channel.
    fn place(&self) -> (UtcTime, u8, i32, i16, UtcTime) {
        let (rank, subject, channel, measured) = match &self.record {
            LogRecord::Interval { meter, channel, end, .. } => {
                (0, meter.get(), channel.get(), *end)
            }
            LogRecord::Register { meter, channel, read_at, .. } => {
                (1, meter.get(), channel.get(), *read_at)
            }
            LogRecord::Event { subject, occurred_at, .. } => (2, subject.number(), 0, *occurred_at),
            LogRecord::Finding(_) => (3, 0, 0, self.at),
            _ => (4, 0, 0, self.at),
        };
        (self.at, rank, subject, channel, measured)
    }

    fn measured(&self) -> UtcTime {
        self.place().4
    }
}

/// Who was heard before a time and not since.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LastHeard {
    pub meters: Vec<(MeterId, UtcTime)>,
    /// Their newest heartbeats.
    pub collectors: Vec<(CollectorId, UtcTime)>,
}

/// The fleet as it is now: zones, collectors, meters.
///
/// # Errors
/// When the database is away.
pub async fn fleet(database: &Database) -> Result<Vec<LogRecord>, StoreError> {
    let registry = database.load_registry().await?;
    let zones = registry.zones.into_iter().map(LogRecord::Zone);
    let collectors = registry.collectors.into_iter().map(|one| {
        let (collector, heartbeat_s) = (one.collector, one.heartbeat_s);
        LogRecord::Collector(CollectorAsset { collector, heartbeat_s })
    });
    let meters = registry.meters.into_iter().map(|one| LogRecord::Meter(Box::new(one.asset)));
    Ok(zones.chain(collectors).chain(meters).collect())
}

/// START of the first and of the last stored interval; `None` when there is none.
///
/// # Errors
/// When the database is away.
pub async fn range(database: &Database) -> Result<Option<(UtcTime, UtcTime)>, StoreError> {
    let query = StoreError::query(WHAT);
    let client = database.work_client().await?;
    let row = client.query_one(RANGE, &[]).await.map_err(&query)?;
    let (first, last): (Option<Stamp>, Option<Stamp>) = (row.get(0), row.get(1));
    Ok(first.zip(last).map(|(first, last)| (first.0, last.0)))
}

/// On which day from `from` on, up to `to`, do stored readings begin? The day begins at the time of
/// day of `from`. `None` when there are none.
///
/// # Errors
/// When the database is away.
pub async fn first_day(
    database: &Database,
    (from, to): (UtcTime, UtcTime),
) -> Result<Option<UtcTime>, StoreError> {
    let query = StoreError::query(WHAT);
    let client = database.work_client().await?;
    let row = client.query_opt(FIRST_DAY, &[&Stamp(from), &Stamp(to)]).await.map_err(&query)?;
    Ok(row.map(|row| row.get::<_, Stamp>(0).0))
}

/// Meters and collectors that were heard for the last time before `at`.
///
/// # Errors
/// When the database is away.
pub async fn silent_since(database: &Database, at: UtcTime) -> Result<LastHeard, StoreError> {
    let query = StoreError::query(WHAT);
    let client = database.work_client().await?;
    let meters = client.query(SILENT, &[&Stamp(at)]).await.map_err(&query)?;
    let collectors = client.query(MUTE, &[&Stamp(at)]).await.map_err(&query)?;
    let stamp = |row: &Row| row.get::<_, Stamp>(1).0;
    Ok(LastHeard {
        meters: meters.iter().map(|row| (MeterId::new(row.get(0)), stamp(row))).collect(),
        collectors: collectors
            .iter()
            .map(|row| (CollectorId::new(row.get(0)), stamp(row)))
            .collect(),
    })
}

/// Tells the past window after window. Each reading is asked for once, by when it was measured, and
/// waits until it is due.
#[derive(Debug)]
pub struct Telling {
    order: Order,
    is_begun: bool,
    waiting: Vec<Past>,
    waiting_max: usize,
}

impl Telling {
    pub const fn new(order: Order) -> Self {
        Self { order, is_begun: false, waiting: Vec::new(), waiting_max: WAITING_MAX }
    }

    /// What was told in `(from, to]`, in that order: of one instant intervals, registers, events,
    /// findings and work orders, by meter and channel. Windows follow each other; ask for no more
    /// than fits into memory. After an error the same window may be asked for again.
    ///
    /// # Errors
    /// When the database is away, or holds a code that this program does not know.
    pub async fn window(
        &mut self,
        database: &Database,
        (from, to): (UtcTime, UtcTime),
    ) -> Result<Vec<Past>, StoreError> {
        // What was measured before the first window may have come in it.
        let since = if self.is_begun { from } else { self.order.looks_back(from) };
        let mut past = read(database, (since, to), (EVER, self.order)).await?;
        past.retain(|one| one.at >= from);
        self.is_begun = true;
        Ok(self.due(past, (from, to)))
    }

    /// Readings are told until `before` now. Those that arrived since the former limit and belong
    /// to windows that were told up to `at` are told in the next.
    ///
    /// # Errors
    /// As [`Self::window`].
    pub async fn extend(
        &mut self,
        database: &Database,
        (at, before): (UtcTime, UtcTime),
    ) -> Result<(), StoreError> {
        let Order::Arrived(former) = self.order else { return Ok(()) };
        let order = Order::Arrived(before);
        let mut past = read(database, (order.looks_back(at), at), (former, order)).await?;
        past.retain(|one| one.at >= at);
        self.waiting.append(&mut past);
        self.order = order;
        Ok(())
    }

    fn due(&mut self, past: Vec<Past>, (from, to): (UtcTime, UtcTime)) -> Vec<Past> {
        let before = self.order.before();
        self.waiting.extend(past);
        self.waiting.sort_by_key(Past::place);
        let due = self.waiting.partition_point(|one| one.at <= to && one.at < before);
        let later = self.waiting.split_off((due + self.waiting_max).min(self.waiting.len()));
        let rest = self.waiting.split_off(due);
        let mut told = std::mem::replace(&mut self.waiting, rest);
        if !later.is_empty() {
            told.extend(
                later
                    .into_iter()
                    .map(|one| Past { at: one.measured().max(from).min(to), record: one.record }),
            );
            told.sort_by_key(Past::place);
        }
        told
    }
}

impl Order {
    const fn before(self) -> UtcTime {
        match self {
            Self::Measured => UtcTime::MAX,
            Self::Arrived(before) => before,
        }
    }

    const fn on_its_way_s(self) -> i32 {
        match self {
            Self::Measured => 0,
            Self::Arrived(_) => ON_ITS_WAY_S,
        }
    }

    /// Nothing that began earlier is told at `from` or later.
    fn looks_back(self, from: UtcTime) -> UtcTime {
        from.plus_seconds(-SLOT_S_MAX - i64::from(self.on_its_way_s()))
    }
}

const EVER: UtcTime = UtcTime::from_seconds(0);

/// What was measured between two instants and arrived from `received_from` on, in no order.
async fn read(
    database: &Database,
    (from, to): (UtcTime, UtcTime),
    (received_from, order): (UtcTime, Order),
) -> Result<Vec<Past>, StoreError> {
    let query = StoreError::query(WHAT);
    let client = database.work_client().await?;
    let stamps = (Stamp(from), Stamp(to), Stamp(order.before()), Stamp(received_from));
    let on_its_way_s = f64::from(order.on_its_way_s());
    let bounds: [&(dyn ToSql + Sync); 5] =
        [&stamps.0, &stamps.1, &stamps.2, &on_its_way_s, &stamps.3];
    let mut all = Vec::new();
    let statement = client.prepare_cached(INTERVALS).await.map_err(&query)?;
    for row in client.query(&statement, &bounds).await.map_err(&query)? {
        all.push(reading(&row, true)?);
    }
    let statement = client.prepare_cached(REGISTERS).await.map_err(&query)?;
    for row in client.query(&statement, &bounds).await.map_err(&query)? {
        all.push(reading(&row, false)?);
    }
    let statement = client.prepare_cached(EVENTS).await.map_err(&query)?;
    for row in client.query(&statement, &bounds).await.map_err(&query)? {
        all.extend(event(&row));
    }
    if order == Order::Measured {
        return Ok(all);
    }
    let statement = client.prepare_cached(BEATS).await.map_err(&query)?;
    for row in client.query(&statement, &bounds[..3]).await.map_err(&query)? {
        all.push(heartbeat(&row));
    }
    let statement = client.prepare_cached(FINDINGS).await.map_err(&query)?;
    for row in client.query(&statement, &bounds[..3]).await.map_err(&query)? {
        all.extend(finding(&row));
    }
    let statement = client.prepare_cached(ORDERS).await.map_err(&query)?;
    for row in client.query(&statement, &bounds[..3]).await.map_err(&query)? {
        all.extend(work_order(&row));
    }
    Ok(all)
}

fn heartbeat(row: &Row) -> Past {
    let at = row.get::<_, Stamp>(0).0;
    let subject = Subject::Collector(CollectorId::new(row.get(1)));
    let record =
        LogRecord::Event { subject, occurred_at: at, code: EventCode::Heartbeat, detail: 0 };
    Past { at, record }
}

fn reading(row: &Row, is_interval: bool) -> Result<Past, StoreError> {
    let (at, measured) = (row.get::<_, Stamp>(0).0, row.get::<_, Stamp>(8).0);
    let (meter, channel) = (MeterId::new(row.get(1)), ChannelNo::new(row.get(2)));
    let (len_s, value) = (row.get(3), row.get(4));
    let corrupt = |detail: String| StoreError::Corrupt {
        what: "reading",
        detail: format!("{meter}: {detail}"),
    };
    let number: i16 = row.get(5);
    let mut code =
        SlotCode::from_i16(number).ok_or_else(|| corrupt(format!("slot code {number}")))?;
    let failed = RuleMask::from_bits(row.get::<_, i64>(6).cast_unsigned());
    // The first version says how it was judged; later ones are estimates and edits.
    if let Some(status) = row.get::<_, Option<i16>>(7)
        && let Some(judged) = SlotCode::from_i16(status)
        && judged.status() == QualityStatus::Suspect
    {
        code = SlotCode::new(QualityStatus::Suspect, code.flags());
    }
    let record = if is_interval {
        LogRecord::Interval { meter, channel, end: measured, len_s, value, code, failed }
    } else {
        LogRecord::Register { meter, channel, read_at: measured, value, code, failed }
    };
    Ok(Past { at, record })
}

/// `None` for codes that this program does not know: an event says nothing then.
fn event(row: &Row) -> Option<Past> {
    let at = row.get::<_, Stamp>(0).0;
    let number: i32 = row.get(2);
    let subject = Subject::from_parts(row.get(1), number)?;
    let code = row.get::<_, &str>(3).parse::<EventCode>().ok()?;
    let detail = row.get::<_, &str>(4).trim().parse().unwrap_or(0);
    let occurred_at = row.get::<_, Stamp>(5).0;
    Some(Past { at, record: LogRecord::Event { subject, occurred_at, code, detail } })
}

/// `None` for rules that this program does not know.
fn finding(row: &Row) -> Option<Past> {
    let channel: i16 = row.get(2);
    let finding = Finding {
        meter: MeterId::new(row.get(1)),
        channel: (channel != 0).then(|| ChannelNo::new(channel)),
        rule: RuleNo::new(u8::try_from(row.get::<_, i16>(3)).ok()?)?,
        outcome: Outcome::from_number(u8::try_from(row.get::<_, i16>(4)).ok()?)?,
        from: row.get::<_, Stamp>(5).0,
        to: row.get::<_, Stamp>(6).0,
        kind: u8::try_from(row.get::<_, i16>(7)).ok()?,
        detail: row.get(8),
    };
    Some(Past { at: row.get::<_, Stamp>(0).0, record: LogRecord::Finding(finding) })
}

/// `None` for words that this program does not know.
fn work_order(row: &Row) -> Option<Past> {
    let order = WorkOrder {
        number: row.get(3),
        subject: Subject::from_parts(row.get(1), row.get(2))?,
        kind: row.get::<_, &str>(4).parse().ok()?,
        status: row.get::<_, &str>(5).parse().ok()?,
        at: row.get::<_, Stamp>(6).0,
    };
    Some(Past { at: row.get::<_, Stamp>(0).0, record: LogRecord::WorkOrder(order) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hours: i64) -> UtcTime {
        UtcTime::from_seconds(hours * 3_600)
    }

    fn register(meter: i32, read_at: UtcTime, at: UtcTime) -> Past {
        let record = LogRecord::Register {
            meter: MeterId::new(meter),
            channel: ChannelNo::new(1),
            read_at,
            value: 0,
            code: SlotCode::new(QualityStatus::Raw, metering::DeviceFlags::NONE),
            failed: RuleMask::EMPTY,
        };
        Past { at, record }
    }

    #[test]
    fn readings_wait_until_they_came_and_those_of_the_log_are_left_to_it() {
        let mut telling = Telling::new(Order::Arrived(at(9)));
        let (late, next) = (register(1, at(2), at(7)), register(2, at(3), at(4)));
        let of_the_log = register(3, at(3), at(9));
        let read = vec![late.clone(), of_the_log.clone(), next.clone()];
        assert_eq!(telling.due(read, (at(1), at(4))), [next]);
        let soon = register(9, at(7), at(7));
        assert_eq!(telling.due(vec![soon.clone()], (at(4), at(7))), [late, soon]);
        assert_eq!(telling.due(Vec::new(), (at(7), at(9))), []);
        assert_eq!(telling.waiting, [of_the_log]);
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut telling = Telling::new(Order::Arrived(at(90)));
        telling.waiting_max = 3;
        let read: Vec<Past> =
            (0..5).map(|no| register(no, at(2), at(20 + i64::from(no)))).collect();
        let told = telling.due(read.clone(), (at(1), at(4)));
        assert_eq!(telling.waiting, read[..3]);
        assert_eq!(told, [register(3, at(2), at(2)), register(4, at(2), at(2))], "as measured");
    }
}
