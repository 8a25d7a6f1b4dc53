//! The zones: who reports, what is open, and use against usual.

use metering::{LocalCalendar, ReadingType, Severity, UtcTime};

use super::{ZoneRow, ZoneUsage};
use crate::database::Database;
use crate::error::StoreError;
use crate::types::Stamp;
use crate::views::ask;
use crate::views::sql::{active_states, clamped_sum, installed_now, main_channels, reporting};

/// Which zones are there, and do their meters report?
const ZONES: &str = concat!(
    "SELECT coalesce(z.code, ''), coalesce(z.name, ''), count(*), count(*) FILTER (WHERE ",
    reporting!(),
    ") FROM meter m JOIN installation i ON ",
    installed_now!(),
    " JOIN usage_point u ON u.usage_point_id = i.usage_point_id \
     LEFT JOIN network_zone z ON z.zone_id = u.zone_id \
     LEFT JOIN meter_state s ON s.meter_id = m.meter_id GROUP BY 1, 2 LIMIT 1000"
);

/// Which open issues belong to which zone?
const ZONE_ISSUES: &str = concat!(
    "SELECT coalesce(z.code, ''), count(*), min(x.severity) FROM meter_issue x \
     LEFT JOIN meter m ON x.subject_kind = 'meter' AND m.meter_id = x.subject_id \
     LEFT JOIN installation i ON ",
    installed_now!(),
    " LEFT JOIN usage_point u ON u.usage_point_id = i.usage_point_id \
     LEFT JOIN collector k ON x.subject_kind = 'collector' AND k.collector_id = x.subject_id \
     LEFT JOIN network_zone z ON z.zone_id = coalesce(u.zone_id, k.zone_id) \
     WHERE NOT x.suppressed AND x.state IN ",
    active_states!(),
    " GROUP BY 1"
);

/// Up to where have nine of ten meters that report at `$1` delivered?
const HORIZON: &str = concat!(
    "SELECT percentile_disc(0.1) WITHIN GROUP (ORDER BY s.last_event_end) FROM meter m \
     JOIN meter_state s ON s.meter_id = m.meter_id \
     WHERE s.last_event_end <= $1::timestamptz AND ",
    reporting!()
);

/// How much did each zone use in `[$2, $3)`? Suspect and rejected values are left out.
const ZONE_USAGE: &str = concat!(
    "SELECT coalesce(z.code, ''), c.reading_type, ",
    clamped_sum!("r.value"),
    " FROM (SELECT meter_id, channel, sum(value) AS value FROM read_interval \
       WHERE starts_at >= $2::timestamptz AND starts_at < $3::timestamptz \
       AND (flags & 15) NOT IN (2, 7) GROUP BY 1, 2) r JOIN ",
    main_channels!(),
    " c ON c.meter_id = r.meter_id AND c.channel = r.channel \
     JOIN meter m ON m.meter_id = r.meter_id \
     JOIN installation i ON ",
    installed_now!(),
    " JOIN usage_point u ON u.usage_point_id = i.usage_point_id \
     LEFT JOIN network_zone z ON z.zone_id = u.zone_id GROUP BY 1, 2"
);

/// Weeks that "usual" looks back.
const WEEKS: i64 = 4;

/// The zones, worst first: most severe issue, then smallest share of meters that report.
///
/// Reads five days of the whole fleet: keep the answer for a while (`services::fleet` does).
///
/// # Errors
/// When the database does not answer.
pub async fn zones(
    db: &Database,
    now: UtcTime,
    calendar: &LocalCalendar,
) -> Result<Vec<ZoneRow>, StoreError> {
    const WHAT: &str = "reading the zones";
    let now_stamp = Stamp(now);
    let mut zones = ask::all(db, WHAT, ZONES, &[&now_stamp], |c| {
        Ok(ZoneRow {
            code: c.get()?,
            name: c.get()?,
            meters: c.get()?,
            reporting: c.get()?,
            issues: 0,
            worst: None,
            usage: Vec::new(),
            usage_until: None,
        })
    })
    .await?;
    let issues = ask::all(db, WHAT, ZONE_ISSUES, &[&now_stamp], |c| {
        Ok((c.get::<String>()?, c.get::<i64>()?, c.severity()?))
    })
    .await?;
    for (code, count, worst) in issues {
        if let Some(zone) = zones.iter_mut().find(|zone| zone.code == code) {
            zone.issues = count;
            zone.worst = Some(worst);
        }
    }
    // Comparing up to `now` would show less use than usual, since the newest data are on their way.
    let horizon = ask::first(db, WHAT, HORIZON, &[&now_stamp], |c| c.maybe_time()).await?;
    let today = calendar.day_containing(now);
    if let Some(until) = horizon.flatten().filter(|until| *until > today.start) {
        add_usage(db, &mut zones, (now, until.min(now)), calendar).await?;
    }
    zones.sort_by_key(|zone| {
        let silent_ppm = 1_000_000 - zone.reporting * 1_000_000 / zone.meters.max(1);
        (zone.worst.map_or(9, Severity::number), -silent_ppm, zone.code.clone())
    });
    Ok(zones)
}

/// Adds what each zone used from local midnight to `until`, and on the same weekday before.
async fn add_usage(
    db: &Database,
    zones: &mut [ZoneRow],
    (now, until): (UtcTime, UtcTime),
    calendar: &LocalCalendar,
) -> Result<(), StoreError> {
    for week in 0..=WEEKS {
        let sums = usage_of_week(db, (now, until), calendar, week).await?;
        for zone in zones.iter_mut() {
            zone.usage_until = Some(until);
            for (code, reading_type, sum) in &sums {
                if *code == zone.code {
                    zone.add_usage(week, *reading_type, *sum);
                }
            }
        }
    }
    Ok(())
}

impl ZoneRow {
    fn add_usage(&mut self, week: i64, reading_type: ReadingType, sum: i64) {
        let known = self.usage.iter().position(|usage| usage.reading_type == reading_type);
        let at = known.unwrap_or_else(|| {
            self.usage.push(ZoneUsage { reading_type, today: 0, usual: None, weeks: 0 });
            self.usage.len() - 1
        });
        let usage = &mut self.usage[at];
        if week == 0 {
            usage.today = sum;
        } else {
            // A running mean; weeks without data do not count as zero.
            let weeks = i64::from(usage.weeks);
            let total = usage.usual.unwrap_or(0).saturating_mul(weeks).saturating_add(sum);
            usage.usual = Some(total / (weeks + 1));
            usage.weeks += 1;
        }
    }
}

/// Use of each zone from local midnight to the time of day of `until`, `week` weeks ago.
async fn usage_of_week(
    db: &Database,
    (now, until): (UtcTime, UtcTime),
    calendar: &LocalCalendar,
    week: i64,
) -> Result<Vec<(String, ReadingType, i64)>, StoreError> {
    let today = calendar.day_containing(now);
    let date = today.date.saturating_sub(jiff::Span::new().weeks(week));
    let day = calendar.day(date);
    let until = day.start.plus_seconds(until.seconds_since(today.start)).min(day.end);
    let (now, start, end) = (Stamp(now), Stamp(day.start), Stamp(until));
    ask::all(db, "summing the use of the zones", ZONE_USAGE, &[&now, &start, &end], |c| {
        Ok((c.get()?, c.word()?, c.get()?))
    })
    .await
}
