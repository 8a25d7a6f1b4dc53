//! Stretches of days in bulk: a few questions for any number of channels.

use std::collections::BTreeMap;

use metering::{ChannelNo, EventCode, QualityStatus, RuleMask, SlotCode, UtcTime};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use vee::day::{DaySlot, DaySummary, HISTORY_DAYS, LOOK_BACK_S, RegisterPoint};
use vee::estimate::Method;

use super::{ChannelDays, DayEvent, DayRequest, RegisterSeries, beside};
use crate::database::{Connection, Database};
use crate::error::StoreError;
use crate::readings::PROBE_SETTINGS;
use crate::tx::Tx;
use crate::types::Stamp;

const WHAT: &str = "reading days to close";

/// The stretches that are asked for, in their order; `$5` and `$6` bound all of them.
macro_rules! asked {
    () => {
        "FROM unnest($1::int4[], $2::int2[], $3::timestamptz[], $4::timestamptz[]) \
         WITH ORDINALITY AS q(meter_id, channel, from_at, to_at, i) \
         JOIN meter_channel c ON c.meter_id = q.meter_id AND c.channel = q.channel "
    };
}

/// Number of the stretch, start and length of the slot, value and code as received.
const ACTUAL: &str = concat!(
    "SELECT q.i, r.starts_at, c.len_s, r.value, r.flags ",
    asked!(),
    "CROSS JOIN LATERAL (SELECT s.starts_at, s.value, s.flags FROM read_interval s \
        WHERE s.meter_id = q.meter_id AND s.channel = q.channel AND s.starts_at >= q.from_at \
        AND s.starts_at < q.to_at AND s.starts_at >= $5 AND s.starts_at < $6) r"
);

/// The best version of each slot that has one.
const VERSIONS: &str = concat!(
    "SELECT q.i, x.starts_at, c.len_s, x.value, x.status, x.rule_mask, x.method ",
    asked!(),
    "CROSS JOIN LATERAL (SELECT DISTINCT ON (e.starts_at) e.starts_at, e.value, e.status, \
          e.rule_mask, e.method FROM interval_exception e \
        WHERE e.meter_id = q.meter_id AND e.channel = q.channel AND e.starts_at >= q.from_at \
        AND e.starts_at < q.to_at AND e.starts_at >= $5 AND e.starts_at < $6 AND e.lane = 0 \
        ORDER BY e.starts_at, e.version DESC) x"
);

pub(super) const HISTORY: &str = concat!(
    "SELECT q.i, d.starts_at, d.ends_at, d.total, d.peak, d.slots, d.actual, d.suspect, \
        d.validated, d.outage, d.failing, d.warned, d.zero_since, d.zero_longest_s, \
        d.flat_since, d.flat_value, d.flat_slots, d.reactive_since, d.pf_permille, \
        d.lacking_days, d.switched_off ",
    asked!(),
    "CROSS JOIN LATERAL (SELECT * FROM closed_day h WHERE h.meter_id = q.meter_id \
        AND h.channel = q.channel AND h.starts_at >= q.from_at AND h.starts_at < q.to_at \
        AND h.starts_at >= $5 AND h.starts_at < $6 ORDER BY h.starts_at) d ORDER BY 1, 2"
);

/// Events with the device's own number where it has one: those that ingest makes have none.
const EVENTS: &str = concat!(
    "SELECT q.i, e.occurred_at, e.code, CASE WHEN e.code IN ('register_rollover', \
        'register_decrease', 'register_reset', 'clock_error', 'dst_shift', 'battery_low', \
        'meter_flag', 'value_changed') THEN 0 ELSE e.seq END ",
    asked!(),
    "CROSS JOIN LATERAL (SELECT v.occurred_at, v.code, v.seq FROM device_event v \
        WHERE v.subject_kind = 'meter' AND v.subject_id = q.meter_id \
        AND v.occurred_at >= q.from_at AND v.occurred_at < q.to_at AND v.occurred_at >= $5 \
        AND v.occurred_at < $6 ORDER BY v.occurred_at, v.seq LIMIT 2000) e ORDER BY 1, 2, e.seq"
);

/// What files say of a slot that has a value already was decided when they came: the newer file
/// corrects the older, or takes the place of what was estimated instead, and that is no second
/// device.
const DIFFERING: &str = concat!(
    "SELECT q.i, k.starts_at, c.len_s ",
    asked!(),
    "JOIN LATERAL (SELECT DISTINCT o.starts_at FROM read_conflict o \
        WHERE o.meter_id = q.meter_id AND o.channel = q.channel AND o.starts_at >= q.from_at \
        AND o.starts_at < q.to_at \
        AND NOT (o.outcome = 2 AND EXISTS (SELECT FROM interval_exception x \
            WHERE x.meter_id = o.meter_id AND x.channel = o.channel \
            AND x.starts_at = o.starts_at AND x.reason IN (1, 4))) \
        AND NOT (o.outcome = 1 AND 1 < (SELECT count(*) FROM imported_span p \
            WHERE p.meter_id = o.meter_id AND p.channel = o.channel \
            AND p.from_at <= o.starts_at AND p.to_at > o.starts_at))) k ON true \
    WHERE q.from_at >= $5 AND q.to_at <= $6 ORDER BY 1, 2"
);

/// Reads nearest to each edge, at most 40 days away from it.
const REGISTERS: &str = "\
    SELECT q.i, c.channel, r.read_at, r.value, c.resolution, r.flags, r.rule_mask \
    FROM unnest($1::int8[], $2::int4[], $3::timestamptz[]) AS q(i, meter_id, edge) \
    JOIN meter_channel c ON c.meter_id = q.meter_id AND c.kind <> 'instant' \
    CROSS JOIN LATERAL ( \
      (SELECT g.read_at, g.value, g.flags, g.rule_mask FROM register_read g \
        WHERE g.meter_id = q.meter_id AND g.channel = c.channel AND g.read_at <= q.edge \
        AND g.read_at > q.edge - interval '40 days' AND g.source <= 2 \
        AND g.read_at > $4::timestamptz - interval '40 days' AND g.read_at <= $5 \
        ORDER BY g.read_at DESC LIMIT 1) UNION ALL \
      (SELECT g.read_at, g.value, g.flags, g.rule_mask FROM register_read g \
        WHERE g.meter_id = q.meter_id AND g.channel = c.channel AND g.read_at > q.edge \
        AND g.read_at < q.edge + interval '40 days' AND g.source <= 2 AND g.read_at >= $4 \
        AND g.read_at < $5::timestamptz + interval '40 days' \
        ORDER BY g.read_at LIMIT 1)) r";

/// What is stored of these stretches, in their order. Ask for channels whose stretches lie near one
/// another: every question looks at all that lies between the first and the last.
///
/// # Errors
/// When the database is away, or holds a word that this program does not know.
pub async fn load(
    database: &Database,
    requests: &[DayRequest],
) -> Result<Vec<ChannelDays>, StoreError> {
    let mut days: Vec<ChannelDays> = requests.iter().map(empty).collect();
    if days.is_empty() {
        return Ok(days);
    }
    let tx = Tx::begin(database).await?;
    let client = tx.client();
    client.batch_execute(PROBE_SETTINGS).await.map_err(StoreError::query(WHAT))?;
    let near = Asked::new(requests, LOOK_BACK_S);
    let mut known = vec![BTreeMap::new(); days.len()];
    slots(client, &near, &mut known).await?;
    for row in near.rows(client, EVENTS).await? {
        if let Some(day) = days.get_mut(index(&row))
            && let Ok(code) = row.get::<_, &str>(2).parse::<EventCode>()
        {
            day.events.push(DayEvent { at: row.get::<_, Stamp>(1).0, code, seq: row.get(3) });
        }
    }
    for row in near.rows(client, DIFFERING).await? {
        if let Some(day) = days.get_mut(index(&row)) {
            day.differing.push(end_of(&row));
        }
    }
    let far = Asked::new(requests, (HISTORY_DAYS + 1) * metering::time::DAY_S);
    for row in far.rows(client, HISTORY).await? {
        if let Some(day) = days.get_mut(index(&row)) {
            day.history.push(summary(&row));
        }
    }
    registers(client, requests, &mut days).await?;
    beside::load(client, requests, &mut days).await?;
    let back = Asked::since_last_read(&days);
    if !back.meters.is_empty() {
        slots(client, &back, &mut known).await?;
    }
    for (day, slots) in days.iter_mut().zip(known) {
        day.slots = slots.into_values().collect();
    }
    tx.rollback().await;
    Ok(days)
}

async fn slots(
    client: &Connection,
    asked: &Asked,
    days: &mut [BTreeMap<UtcTime, DaySlot>],
) -> Result<(), StoreError> {
    for row in asked.rows(client, ACTUAL).await? {
        let (end, value, code) = (end_of(&row), row.get(3), code(row.get(4))?);
        if let Some(slots) = asked.of(&row, days) {
            slots.insert(end, DaySlot::arrived(end, value, code, RuleMask::EMPTY));
        }
    }
    for row in asked.rows(client, VERSIONS).await? {
        let (end, best) = (end_of(&row), status_of(row.get(4))?);
        let failed = RuleMask::from_bits(row.get::<_, i64>(5).cast_unsigned());
        let nothing = SlotCode::new(QualityStatus::Missing, metering::DeviceFlags::NONE);
        if let Some(slots) = asked.of(&row, days) {
            let slot = slots
                .entry(end)
                .or_insert_with(|| DaySlot::arrived(end, row.get(3), nothing, RuleMask::EMPTY));
            (slot.best, slot.failed) = (best, failed);
            // The hour that came twice, intervals of another length, what a newer file measured.
            let calculated = i16::from(Method::Calculated.number());
            let other = slot.value != row.get::<_, i64>(3);
            let moved = match (best, slot.arrived.status()) {
                (QualityStatus::Validated, QualityStatus::Missing | QualityStatus::Estimated) => {
                    true
                }
                (QualityStatus::Validated, _) => other,
                // The checks or a person looked at it meanwhile.
                (QualityStatus::Suspect | QualityStatus::Verified, QualityStatus::Raw) => other,
                _ => false,
            };
            if moved || best == QualityStatus::Estimated && row.get::<_, i16>(6) == calculated {
                (slot.value, slot.measured) = (row.get(3), true);
                // What was doubted is the value that arrived, and this is another.
                if moved && slot.arrived.status() == QualityStatus::Suspect {
                    slot.arrived = SlotCode::new(QualityStatus::Raw, slot.arrived.flags());
                }
            }
        }
    }
    Ok(())
}

async fn registers(
    client: &Connection,
    requests: &[DayRequest],
    days: &mut [ChannelDays],
) -> Result<(), StoreError> {
    let edges =
        || requests.iter().zip(1_i64..).flat_map(|(r, i)| r.edges.iter().map(move |e| (r, i, *e)));
    let (Some(first), Some(last)) = (edges().map(|e| e.2).min(), edges().map(|e| e.2).max()) else {
        return Ok(());
    };
    let numbers: Vec<i64> = edges().map(|edge| edge.1).collect();
    let meters: Vec<i32> = edges().map(|edge| edge.0.meter.get()).collect();
    let at: Vec<Stamp> = edges().map(|edge| Stamp(edge.2)).collect();
    let query = StoreError::query(WHAT);
    let statement = client.prepare_cached(REGISTERS).await.map_err(&query)?;
    let rows = client
        .query(&statement, &[&numbers, &meters, &at, &Stamp(first), &Stamp(last)])
        .await
        .map_err(&query)?;
    let mut found: BTreeMap<(usize, ChannelNo), BTreeMap<UtcTime, RegisterPoint>> = BTreeMap::new();
    for row in &rows {
        let point = point_of(row, 2)?;
        let key = (index(row), ChannelNo::new(row.get(1)));
        found.entry(key).or_default().insert(point.read_at, point);
    }
    for ((i, channel), points) in found {
        if let Some(day) = days.get_mut(i) {
            day.registers.push(RegisterSeries { channel, points: points.into_values().collect() });
        }
    }
    Ok(())
}

/// The parameters that all questions share.
pub(super) struct Asked {
    /// Of each stretch: its place among the days that were asked for.
    places: Vec<usize>,
    meters: Vec<i32>,
    channels: Vec<i16>,
    from: Vec<Stamp>,
    to: Vec<Stamp>,
    first: Stamp,
    last: Stamp,
}

impl Asked {
    fn new(requests: &[DayRequest], look_back_s: i64) -> Self {
        Self::shifted(requests, look_back_s, 0)
    }

    /// From so long before the first day to so long before the last one's end.
    pub(super) fn shifted(requests: &[DayRequest], look_back_s: i64, back_s: i64) -> Self {
        let from = |request: &DayRequest| Stamp(request.from.plus_seconds(-look_back_s));
        let to = |request: &DayRequest| Stamp(request.to.plus_seconds(-back_s));
        let least = requests.iter().map(from).min().unwrap_or(Stamp(UtcTime::MAX));
        Self {
            places: (0..requests.len()).collect(),
            meters: requests.iter().map(|request| request.meter.get()).collect(),
            channels: requests.iter().map(|request| request.channel.get()).collect(),
            from: requests.iter().map(from).collect(),
            to: requests.iter().map(to).collect(),
            first: least,
            last: requests.iter().map(to).max().unwrap_or(least),
        }
    }

    /// Of channels whose register is read within the days and was read before the look-back for the
    /// last time: from that read to the look-back.
    fn since_last_read(days: &[ChannelDays]) -> Self {
        let mut asked = Self {
            places: Vec::new(),
            meters: Vec::new(),
            channels: Vec::new(),
            from: Vec::new(),
            to: Vec::new(),
            first: Stamp(UtcTime::MAX),
            last: Stamp(UtcTime::MIN),
        };
        for (place, day) in days.iter().enumerate() {
            let request = &day.request;
            let near = request.from.plus_seconds(-LOOK_BACK_S);
            let Some(since) = last_read(day).filter(|at| *at < near) else { continue };
            // The interval in which it was read began before it.
            let since = since.plus_seconds(-metering::time::DAY_S);
            asked.places.push(place);
            asked.meters.push(request.meter.get());
            asked.channels.push(request.channel.get());
            asked.from.push(Stamp(since));
            asked.to.push(Stamp(near));
            asked.first = Stamp(asked.first.0.min(since));
            asked.last = Stamp(asked.last.0.max(near));
        }
        asked
    }

    /// What the row belongs to.
    fn of<'d, T>(&self, row: &Row, days: &'d mut [T]) -> Option<&'d mut T> {
        days.get_mut(*self.places.get(index(row))?)
    }

    pub(super) async fn rows(
        &self,
        client: &Connection,
        question: &'static str,
    ) -> Result<Vec<Row>, StoreError> {
        let query = StoreError::query(WHAT);
        let statement = client.prepare_cached(question).await.map_err(&query)?;
        let Self { meters, channels, from, to, first, last, .. } = self;
        let params: [&(dyn ToSql + Sync); 6] = [meters, channels, from, to, first, last];
        client.query(&statement, &params).await.map_err(&query)
    }
}

/// The last usable read before the days, when there is one within them.
fn last_read(day: &ChannelDays) -> Option<UtcTime> {
    let request = &day.request;
    let series = day.registers.iter().find(|series| series.channel == request.channel)?;
    let usable = || series.points.iter().filter(|point| point.usable).map(|point| point.read_at);
    let within = usable().any(|at| request.from < at && at <= request.to);
    usable().filter(|at| within && *at <= request.from).max()
}

fn empty(request: &DayRequest) -> ChannelDays {
    ChannelDays {
        request: request.clone(),
        slots: Vec::new(),
        registers: Vec::new(),
        history: Vec::new(),
        events: Vec::new(),
        differing: Vec::new(),
        live: Vec::new(),
        inactive_since: None,
        occupied_since: None,
        last_year: Vec::new(),
    }
}

/// Ordinality counts from 1.
pub(super) fn index(row: &Row) -> usize {
    usize::try_from(row.get::<_, i64>(0) - 1).unwrap_or(usize::MAX)
}

fn end_of(row: &Row) -> UtcTime {
    row.get::<_, Stamp>(1).0.plus_seconds(i64::from(row.get::<_, i32>(2)))
}

/// A read from the columns that begin with `first`: when, value, step, code, failed rules.
fn point_of(row: &Row, first: usize) -> Result<RegisterPoint, StoreError> {
    let status = status_of(row.get::<_, i16>(first + 3) & 15)?;
    Ok(RegisterPoint {
        read_at: row.get::<_, Stamp>(first).0,
        value: row.get(first + 1),
        step: row.get(first + 2),
        usable: row.get::<_, i64>(first + 4) == 0
            && !matches!(status, QualityStatus::Suspect | QualityStatus::Rejected),
    })
}

pub(super) fn summary(row: &Row) -> DaySummary {
    let time = |column: usize| row.get::<_, Option<Stamp>>(column).map(|at| at.0);
    let count = |column: usize| u16::try_from(row.get::<_, i16>(column)).unwrap_or(0);
    let mask = |column: usize| RuleMask::from_bits(row.get::<_, i64>(column).cast_unsigned());
    DaySummary {
        from: row.get::<_, Stamp>(1).0,
        to: row.get::<_, Stamp>(2).0,
        total: row.get(3),
        peak: row.get(4),
        slots: count(5),
        actual: count(6),
        suspect: count(7),
        validated: row.get(8),
        outage: row.get(9),
        failing: mask(10),
        warned: mask(11),
        zero_since: time(12),
        zero_longest_s: row.get(13),
        flat_since: time(14),
        flat_value: row.get(15),
        flat_slots: row.get(16),
        reactive_since: time(17),
        pf_permille: row.get(18),
        lacking_days: count(19),
        switched_off: row.get(20),
    }
}

fn code(number: i16) -> Result<SlotCode, StoreError> {
    SlotCode::from_i16(number).ok_or_else(|| StoreError::Corrupt {
        what: "slot code",
        detail: format!("{number} is not known"),
    })
}

pub(crate) fn status_of(number: i16) -> Result<QualityStatus, StoreError> {
    code(number).map(SlotCode::status)
}
