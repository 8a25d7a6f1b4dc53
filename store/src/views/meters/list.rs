//! The list of meters: one statement for the page, two for what its meters measured.

use std::collections::{BTreeMap, HashMap};

use metering::time::DAY_S;
use metering::{LocalCalendar, MeterId, UtcTime};

use super::{
    Battery, FilterChoices, LastValue, MeterFilter, MeterRow, MeterSort, MeterStatus, OpenIssue,
    SparkDay,
};
use crate::database::Database;
use crate::error::StoreError;
use crate::types::{Day, Stamp};
use crate::views::ask::{self, Columns, contains_pattern, exact};
use crate::views::page::{Cursor, Page, fetch_limit, page};
use crate::views::sql::{
    active_states, clamped_sum, installed_now, meter_filter, meter_joins, reporting,
};

/// Days of the spark line.
const SPARK_DAYS: i64 = 7;

/// Which meters match, in the order of the given key, after `($10, $11)`?
macro_rules! list_sql {
    ($key:literal) => {
        concat!(
            "SELECT ",
            $key,
            ", m.meter_id, m.number, m.commodity, coalesce(u.address, ''), \
             coalesce(u.account_no, ''), coalesce(z.code, ''), coalesce(z.name, ''), \
             coalesce(t.code, ''), k.code, u.class, coalesce(u.time_zone, 'UTC'), \
             s.last_heard_at, ",
            reporting!(),
            ", m.battery_powered, coalesce(s.battery_low, false), \
             s.rssi_dbm, coalesce(o.n, 0), o.number, o.severity, o.cause, o.condition_start \
             FROM meter m ",
            meter_joins!(),
            " \
             LEFT JOIN LATERAL (SELECT count(*) OVER () AS n, x.number, x.severity, \
               coalesce(x.identified_cause, x.cause_detected) AS cause, x.condition_start \
               FROM meter_issue x WHERE x.subject_kind = 'meter' AND x.subject_id = m.meter_id \
               AND x.state IN ",
            active_states!(),
            " \
               ORDER BY x.severity, x.condition_start LIMIT 1) o ON true \
             WHERE ",
            meter_filter!(),
            " \
             AND ($10::text IS NULL OR (",
            $key,
            ", m.number) > ($10, $11::text)) \
             ORDER BY ",
            $key,
            ", m.number LIMIT $12"
        )
    };
}

const BY_NUMBER: &str = list_sql!("m.number");
const BY_ADDRESS: &str = list_sql!("coalesce(u.address, '')");
const BY_LAST_HEARD: &str = list_sql!(
    "coalesce(to_char(s.last_heard_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US'), '')"
);
const BY_ISSUE: &str = list_sql!(
    "coalesce(o.severity || to_char(o.condition_start AT TIME ZONE 'UTC', \
     'YYYY-MM-DD HH24:MI:SS'), '9')"
);

/// What is the newest value of the main channel of each of these meters?
const LAST: &str = "SELECT m.meter_id, c.channel, c.reading_type, c.len_s, c.delivery_lag_s, \
     coalesce(e.begins_at, greatest(c.valid_from, m.created_at)), v.starts_at, v.value, v.flags \
     FROM unnest($1::int4[]) a(meter_id) JOIN meter m ON m.meter_id = a.meter_id \
     JOIN LATERAL (SELECT * FROM meter_channel c WHERE c.meter_id = m.meter_id \
       AND c.kind <> 'instant' AND c.len_s > 0 ORDER BY c.channel LIMIT 1) c ON true \
     LEFT JOIN expected_through e ON e.meter_id = m.meter_id AND e.channel = c.channel \
     LEFT JOIN meter_state s ON s.meter_id = m.meter_id \
     LEFT JOIN LATERAL (SELECT r.starts_at, r.value, r.flags FROM read_interval r \
       WHERE r.meter_id = m.meter_id AND r.channel = c.channel \
       AND r.starts_at >= coalesce(s.last_event_end, $2::timestamptz) - interval '3 days' \
       ORDER BY r.starts_at DESC LIMIT 1) v ON true";

macro_rules! asked_ranges {
    () => {
        "unnest($1::int4[], $2::int2[], $3::timestamptz[], $4::timestamptz[]) \
         WITH ORDINALITY d(meter_id, channel, from_at, to_at, n) "
    };
}

/// How much in each of these ranges of these channels, and how many values?
const SUMS: &str = concat!(
    "SELECT d.n, x.total, x.n, 0::int8 FROM ",
    asked_ranges!(),
    "JOIN LATERAL (SELECT ",
    clamped_sum!("r.value"),
    " AS total, count(*)::int4 AS n FROM read_interval r WHERE r.meter_id = d.meter_id \
       AND r.channel = d.channel AND r.starts_at >= d.from_at AND r.starts_at < d.to_at) x \
     ON x.n > 0"
);

/// How many values are in each of these ranges of these channels, and how many of them stand as
/// they were measured, or as a person wants them?
const STANDING: &str = concat!(
    "SELECT d.n, 0::int8, x.n, x.good FROM ",
    asked_ranges!(),
    "JOIN LATERAL (SELECT count(*)::int4 AS n, count(*) FILTER (WHERE CASE \
         WHEN v.status IS NULL THEN (r.flags & 15) NOT IN (2, 7) \
         ELSE v.status IN (1, 3, 4, 6) END) AS good \
       FROM read_interval r LEFT JOIN (SELECT DISTINCT ON (e.starts_at) e.starts_at, e.status \
         FROM interval_exception e WHERE e.meter_id = d.meter_id AND e.channel = d.channel \
         AND e.starts_at >= d.from_at AND e.starts_at < d.to_at AND e.lane = 0 \
         ORDER BY e.starts_at, e.version DESC) v ON v.starts_at = r.starts_at \
       WHERE r.meter_id = d.meter_id AND r.channel = d.channel \
         AND r.starts_at >= d.from_at AND r.starts_at < d.to_at) x ON x.n > 0"
);

/// One page of meters.
///
/// # Errors
/// `Refused` for a cursor of another list; else when the database does not answer.
pub async fn list(
    db: &Database,
    filter: &MeterFilter,
    order: (MeterSort, Option<&Cursor>),
    limit: u32,
    now: UtcTime,
) -> Result<Page<MeterRow>, StoreError> {
    let (sort, cursor) = order;
    let sql = match sort {
        MeterSort::Number => BY_NUMBER,
        MeterSort::Address => BY_ADDRESS,
        MeterSort::LastHeard => BY_LAST_HEARD,
        MeterSort::Issue => BY_ISSUE,
    };
    let [after_key, after_number] = match cursor.map(Cursor::parts::<2>).transpose()? {
        Some([key, number]) => [Some(key), Some(number)],
        None => [None, None],
    };
    let keyed = ask::all(
        db,
        "listing meters",
        sql,
        &[
            &Stamp(now),
            &contains_pattern(filter.q.as_deref()),
            &filter.commodity.map(metering::Commodity::word),
            &exact(filter.zone.as_deref()),
            &exact(filter.route.as_deref()),
            &exact(filter.collector.as_deref()),
            &exact(filter.tag.as_deref()),
            &exact(filter.issue.as_deref()),
            &filter.status.map(MeterStatus::word),
            &after_key,
            &after_number,
            &fetch_limit(limit),
        ],
        |c| Ok((c.get::<String>()?, read_row(c)?)),
    )
    .await?;
    let cut = page(keyed, limit, |(key, row)| Cursor::new([key.clone(), row.number.clone()]));
    let mut items: Vec<MeterRow> = cut.items.into_iter().map(|(_, row)| row).collect();
    measure(db, &mut items, now).await?;
    Ok(Page { items, next: cut.next })
}

fn read_row(c: &mut Columns<'_>) -> Result<MeterRow, StoreError> {
    let meter = MeterId::new(c.get()?);
    let (number, commodity) = (c.get()?, c.word()?);
    let (address, account, zone_code, zone_name) = (c.get()?, c.get()?, c.get()?, c.get()?);
    let (route_code, collector, class, time_zone) = (c.get()?, c.get()?, c.maybe_word()?, c.get()?);
    let (last_heard, reporting) = (c.maybe_time()?, c.get()?);
    let battery = battery(c.get()?, c.get()?);
    let (rssi_dbm, open_issues) = (c.get()?, c.get()?);
    let issue = open_issue(c)?;
    Ok(MeterRow {
        meter,
        number,
        commodity,
        address,
        account,
        zone_code,
        zone_name,
        route_code,
        collector,
        class,
        time_zone,
        status: status(last_heard, reporting),
        last_heard,
        last: None,
        quality_24h: None,
        battery,
        rssi_dbm,
        issue,
        open_issues,
        spark: Vec::new(),
    })
}

/// Number, severity, cause and start of an issue that may be absent.
pub(in crate::views) fn open_issue(c: &mut Columns<'_>) -> Result<Option<OpenIssue>, StoreError> {
    let (number, severity): (Option<i64>, Option<i16>) = (c.get()?, c.get()?);
    let (cause, start): (Option<String>, _) = (c.get()?, c.maybe_time()?);
    let severity = severity.and_then(metering::Severity::from_number);
    Ok(match (number, severity, cause, start) {
        (Some(number), Some(severity), Some(cause), Some(condition_start)) => {
            Some(OpenIssue { number, severity, cause, condition_start })
        }
        _ => None,
    })
}

pub(super) const fn status(last_heard: Option<UtcTime>, reporting: bool) -> MeterStatus {
    match (last_heard, reporting) {
        (None, _) => MeterStatus::NeverHeard,
        (Some(_), true) => MeterStatus::Reporting,
        (Some(_), false) => MeterStatus::Silent,
    }
}

pub(super) const fn battery(powered: bool, low: bool) -> Battery {
    match (powered, low) {
        (false, false) => Battery::Mains,
        (true, false) => Battery::Good,
        (_, true) => Battery::Low,
    }
}

/// The main channel of a meter of the page.
struct Main {
    channel: i16,
    len_s: i32,
    /// Ends up to here were due.
    due: UtcTime,
    /// Slots are expected from here on.
    expected_from: UtcTime,
    newest: Option<LastValue>,
}

/// Fills in last value, quality and spark line of the rows of a page.
async fn measure(db: &Database, rows: &mut [MeterRow], now: UtcTime) -> Result<(), StoreError> {
    let ids: Vec<i32> = rows.iter().map(|row| row.meter.get()).collect();
    let mains = main_channels(db, &ids, now).await?;
    let (mut days, mut slots) = (Ranges::default(), Ranges::default());
    let mut qualities: BTreeMap<usize, Quality> = BTreeMap::new();
    let mut calendars = HashMap::new();
    for (at, row) in rows.iter_mut().enumerate() {
        let Some(main) = mains.get(&row.meter) else { continue };
        row.last = main.newest;
        if let Some(due) = slots.quality(at, row.meter, main) {
            qualities.insert(at, Quality { due, good: 0, bad_ahead: 0 });
        }
        let calendar = calendars
            .entry(row.time_zone.clone())
            .or_insert_with_key(|zone| LocalCalendar::new(zone).ok());
        if let Some(calendar) = calendar {
            let today = (calendar.date_of(now), &*calendar);
            row.spark = days.spark(at, row.meter, main, today);
        }
    }
    for (range, answer) in days.answers(db, SUMS).await? {
        let row = rows.get_mut(range.row);
        if let (Purpose::Day(day), Some(row)) = (range.purpose, row)
            && let Some(spark) = row.spark.get_mut(day)
        {
            (spark.total, spark.n) = (answer.total, answer.n);
        }
    }
    for (range, answer) in slots.answers(db, STANDING).await? {
        let Some(quality) = qualities.get_mut(&range.row) else { continue };
        match range.purpose {
            Purpose::Due => quality.good = answer.good,
            Purpose::Ahead => quality.bad_ahead = i64::from(answer.n) - answer.good,
            Purpose::Day(_) => {}
        }
    }
    for (at, quality) in qualities {
        if let Some(row) = rows.get_mut(at) {
            row.quality_24h = Some(quality.percent());
        }
    }
    Ok(())
}

/// How the slots of 24 h stand.
struct Quality {
    /// Above 0.
    due: i64,
    good: i64,
    /// Suspect values of a later time.
    bad_ahead: i64,
}

impl Quality {
    fn percent(&self) -> i16 {
        let all = (self.due + self.bad_ahead).max(1);
        i16::try_from((self.good.min(self.due) * 100 / all).clamp(0, 100)).unwrap_or(0)
    }
}

/// Ranges of channels that one statement sums.
#[derive(Default)]
struct Ranges {
    ranges: Vec<Range>,
    meters: Vec<i32>,
    channels: Vec<i16>,
    from: Vec<Stamp>,
    to: Vec<Stamp>,
}

#[derive(Clone, Copy)]
struct Range {
    /// Index of the meter on the page.
    row: usize,
    purpose: Purpose,
}

#[derive(Clone, Copy)]
enum Purpose {
    /// Day of the spark line.
    Day(usize),
    /// The newest 24 h that were due.
    Due,
    /// What is stored of a later time.
    Ahead,
}

/// What is known of a range.
struct InRange {
    total: i64,
    n: i32,
    good: i64,
}

impl Ranges {
    fn add(&mut self, range: Range, meter: MeterId, main: &Main, (from, to): (UtcTime, UtcTime)) {
        self.ranges.push(range);
        self.meters.push(meter.get());
        self.channels.push(main.channel);
        self.from.push(Stamp(from));
        self.to.push(Stamp(to));
    }

    /// The slots that ended in the last 24 h whose delivery time has passed: how many. `None` when
    /// there is none.
    fn quality(&mut self, row: usize, meter: MeterId, main: &Main) -> Option<i64> {
        let len_s = i64::from(main.len_s.max(1));
        // A slot that ends at `due` is due, and starts before `due - len + 1 s`.
        let to = UtcTime::from_seconds(main.due.seconds() + 1 - len_s);
        let due = main.due.seconds_since(main.expected_from).min(DAY_S) / len_s;
        if due <= 0 {
            return None;
        }
        let range = Range { row, purpose: Purpose::Due };
        self.add(range, meter, main, (to.plus_seconds(-DAY_S), to));
        if let Some(end) = main.newest.map(|newest| newest.end).filter(|end| *end > main.due) {
            self.add(Range { row, purpose: Purpose::Ahead }, meter, main, (to, end));
        }
        Some(due)
    }

    /// The last seven local days, empty until the answer is there.
    fn spark(
        &mut self,
        row: usize,
        meter: MeterId,
        main: &Main,
        (today, calendar): (jiff::civil::Date, &LocalCalendar),
    ) -> Vec<SparkDay> {
        let mut days = Vec::new();
        for back in (0..SPARK_DAYS).rev() {
            let day = calendar.day(today.saturating_sub(jiff::Span::new().days(back)));
            let range = Range { row, purpose: Purpose::Day(days.len()) };
            self.add(range, meter, main, (day.start, day.end));
            days.push(SparkDay { date: day.date, total: 0, n: 0 });
        }
        days
    }

    /// What is in the ranges; those without values are left out.
    async fn answers(
        &self,
        db: &Database,
        question: &'static str,
    ) -> Result<Vec<(Range, InRange)>, StoreError> {
        let params: ask::Params<'_> = &[&self.meters, &self.channels, &self.from, &self.to];
        let answers = ask::all(db, "summing the days of meters", question, params, |c| {
            Ok((c.get::<i64>()?, InRange { total: c.get()?, n: c.get()?, good: c.get()? }))
        })
        .await?;
        let range = |n: i64| usize::try_from(n - 1).ok().and_then(|n| self.ranges.get(n));
        Ok(answers.into_iter().filter_map(|(n, answer)| Some((*range(n)?, answer))).collect())
    }
}

async fn main_channels(
    db: &Database,
    ids: &[i32],
    now: UtcTime,
) -> Result<HashMap<MeterId, Main>, StoreError> {
    let mains = ask::all(db, "reading newest values", LAST, &[&ids, &Stamp(now)], |c| {
        let meter = MeterId::new(c.get()?);
        let (channel, reading_type, len_s) = (c.get()?, c.word()?, c.get()?);
        let lag_s: i32 = c.get()?;
        let expected_from = c.time()?;
        let newest = match c.maybe_time()? {
            Some(start) => Some(LastValue {
                channel: metering::ChannelNo::new(channel),
                reading_type,
                value: c.get()?,
                end: start.plus_seconds(i64::from(len_s)),
                len_s,
                status: c.status()?,
            }),
            None => None,
        };
        let due = now.plus_seconds(-i64::from(lag_s));
        Ok((meter, Main { channel, len_s, due, expected_from, newest }))
    })
    .await?;
    Ok(mains.into_iter().collect())
}

/// A date of the database; beyond what can be told it is the last one.
pub(in crate::views) fn date(day: Day) -> jiff::civil::Date {
    let epoch = jiff::civil::date(1970, 1, 1);
    i32::try_from(day.0)
        .ok()
        .and_then(|days| epoch.checked_add(jiff::Span::new().try_days(days).ok()?).ok())
        .unwrap_or(jiff::civil::Date::MAX)
}

/// What zones, routes, collectors and tags are in use?
const CHOICES: &str = "(SELECT 'z', code, name FROM network_zone ORDER BY 2 LIMIT 1000) \
     UNION ALL (SELECT 'r', code, name FROM route ORDER BY 2 LIMIT 1000) \
     UNION ALL (SELECT 'c', code, name FROM collector ORDER BY 2 LIMIT 1000) \
     UNION ALL (SELECT DISTINCT 't', tag, '' FROM usage_point, unnest(tags) tag \
       ORDER BY 2 LIMIT 1000)";

/// The choices that the filters of the list offer.
///
/// # Errors
/// When the database does not answer.
pub async fn choices(db: &Database) -> Result<FilterChoices, StoreError> {
    let rows = ask::all(db, "reading filter choices", CHOICES, &[], |c| {
        Ok((c.get::<String>()?, c.get::<String>()?, c.get::<String>()?))
    })
    .await?;
    let mut choices = FilterChoices::default();
    for (kind, code, name) in rows {
        match kind.as_str() {
            "z" => choices.zones.push((code, name)),
            "r" => choices.routes.push((code, name)),
            "c" => choices.collectors.push((code, name)),
            _ => choices.tags.push(code),
        }
    }
    Ok(choices)
}
