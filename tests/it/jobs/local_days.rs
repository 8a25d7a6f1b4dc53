//! Meters that tell one value a day, where the clocks change: no day is missed, none is made up.

use headend::jobs::calendar;
use headend::jobs::estimation::EstimationJob;
use metering::{
    ChannelKind, ChannelNo, Commodity, DeviceFlags, Interval, IntervalReading, JudgedReading,
    LocalCalendar, QualityStatus, ReadingType, RuleMask, SlotCode, Unit, UtcTime,
};
use store::assets::{ChannelProvision, MeterProvision};
use store::{Batch, IntervalRow};

use super::day_close::{Rig, meter};

const DAY_S: i64 = 86_400;

fn daily(zone: &str, kind: ChannelKind, first: UtcTime) -> MeterProvision {
    MeterProvision {
        commodity: Commodity::Water,
        time_zone: zone.to_owned(),
        installed_at: first,
        channels: vec![ChannelProvision {
            field: "volume".to_owned(),
            reading_type: ReadingType::VOLUME,
            kind,
            unit: Unit::Litre,
            len_s: 86_400,
            cap_per_hour: 5_000_000,
            ..meter().channels[0].clone()
        }],
        ..meter()
    }
}

async fn arrive(rig: &mut Rig, end: UtcTime, (value, derived): (i64, bool), received_at: UtcTime) {
    let row = IntervalRow {
        reading: JudgedReading {
            reading: IntervalReading {
                meter: rig.meter,
                channel: ChannelNo::new(1),
                interval: Interval::ending_at(end, 86_400).unwrap(),
                value,
                flags: DeviceFlags::NONE,
            },
            code: SlotCode::new(QualityStatus::Raw, DeviceFlags::NONE),
            failed: RuleMask::EMPTY,
        },
        received_at,
        derived,
        source: 1,
    };
    let batch = Batch { messages: 1, intervals: vec![row], ..Batch::new("test", received_at) };
    let _ = rig.writer.append(&batch).await.unwrap();
}

/// Twelve days around a change of the clocks; `lost` does not arrive, or comes a week later.
async fn days_around(zone: &str, change: &str, kind: ChannelKind, lost: Option<usize>) {
    let test = "days_of_meters_that_tell_one_value_a_day";
    let told = format!("{zone} {change} {kind:?} {lost:?}");
    let derived = kind == ChannelKind::Register;
    let calendar = LocalCalendar::new(zone).unwrap();
    let noon = UtcTime::parse_rfc3339(&format!("{change}T12:00:00Z")).unwrap();
    let first = noon.plus_seconds(-6 * DAY_S);
    let start = match kind {
        ChannelKind::Register => first.floor_to(DAY_S),
        _ => calendar.day_containing(first).start,
    };
    let next = |end: &UtcTime| match kind {
        ChannelKind::Register => Some(end.plus_seconds(DAY_S)),
        _ => Some(calendar.day_containing(*end).end),
    };
    let ends: Vec<UtcTime> = std::iter::successors(Some(start), next).skip(1).take(12).collect();
    let Some(mut rig) = Rig::entered_at(test, daily(zone, kind, start), start).await else {
        return;
    };
    let mut job = EstimationJob::new(rig.database.clone());
    let (mut applied, mut refused, mut superseded) = (0, 0, 0);
    for (day, end) in ends.iter().enumerate() {
        let value = (400 + 37 * i64::try_from(day).unwrap()) * 1_000;
        if lost != Some(day) {
            arrive(&mut rig, *end, (value, derived), end.plus_seconds(3_600)).await;
        }
        for hours in [6, 12, 18] {
            let now = end.plus_seconds(hours * 3_600);
            calendar::once(&rig.database, now).await.unwrap();
            rig.close(now).await;
            // Between two neighbours a line will do; before, only a class profile is left.
            if lost.is_some_and(|lost| day < lost + 2) {
                continue;
            }
            let looked = job.once(now).await.unwrap();
            applied += looked.applied + looked.proposed;
            refused += looked.refused;
            superseded += looked.superseded;
        }
    }
    let gaps = i64::try_from(lost.iter().len()).unwrap();
    assert_eq!(rig.number("SELECT count(*) FROM read_gap").await, gaps, "{told}");
    let failing = "SELECT count(*) FROM closed_day WHERE failing & (1::int8 << 22) <> 0";
    assert_eq!(rig.number(failing).await, gaps, "{told}");
    assert_eq!((applied, refused, superseded), (gaps.unsigned_abs(), 0, 0), "{told}");
    let unjudged = "SELECT count(*) FROM closed_day WHERE NOT validated";
    assert_eq!(rig.number(unjudged).await, 0, "{told}");
    let actual = "SELECT coalesce(sum(actual), 0)::int8 FROM closed_day";
    // The last day is not closed yet.
    assert!((11 - gaps..=12 - gaps).contains(&rig.number(actual).await), "{told}");
    let Some(lost) = lost else { return };
    let estimated = "SELECT count(*) FROM interval_exception WHERE status = 5 AND starts_at = $1";
    let client = rig.database.client().await.unwrap();
    let at = store::Stamp(ends[lost].plus_seconds(-DAY_S));
    let count: i64 = client.query_one(estimated, &[&at]).await.unwrap().get(0);
    drop(client);
    assert!(count > 0, "{told}: the estimate stands where the day is");
    let now = ends[11].plus_seconds(30 * 3_600);
    arrive(&mut rig, next(&ends[11]).unwrap(), (810_000, derived), now).await;
    arrive(&mut rig, ends[lost], (444_000, derived), now).await;
    rig.close(now).await;
    calendar::once(&rig.database, now).await.unwrap();
    let looked = job.once(now).await.unwrap();
    assert_eq!((looked.superseded, looked.applied, looked.refused), (1, 0, 0), "{told}");
}

#[tokio::test]
async fn of_the_day_in_which_a_meter_was_entered_nothing_is_expected() {
    let test = "of_the_day_in_which_a_meter_was_entered_nothing_is_expected";
    let zone = "Europe/Berlin";
    let local = LocalCalendar::new(zone).unwrap();
    let ten = UtcTime::parse_rfc3339("2026-06-10T08:00:00Z").unwrap();
    let midnight = local.day_containing(ten).end;
    let meter = daily(zone, ChannelKind::Interval, ten);
    let Some(rig) = Rig::entered_at(test, meter, ten).await else { return };
    let mut seen = Vec::new();
    // Each hour of three days; the days themselves end at 8, 32 and 56 h after the midnight before.
    for hours in 0..80 {
        calendar::once(&rig.database, ten.plus_seconds(hours * 3_600)).await.unwrap();
        let count = "SELECT count(*) FROM read_gap";
        seen.push(rig.number(count).await);
    }
    let (first, last) = (seen[20], seen[79]);
    assert_eq!((first, last), (0, 2), "{seen:?}");
    let early = "SELECT count(*) FROM read_gap WHERE starts_at < $1";
    let client = rig.database.client().await.unwrap();
    let early: i64 = client.query_one(early, &[&store::Stamp(midnight)]).await.unwrap().get(0);
    assert_eq!(early, 0);
    // The calendar stands where the last day ended, not where time does.
    let through = "SELECT count(*) FROM expected_through WHERE through = $1";
    let end = store::Stamp(midnight.plus_seconds(2 * DAY_S));
    let through: i64 = client.query_one(through, &[&end]).await.unwrap().get(0);
    assert_eq!(through, 1);
}

#[tokio::test]
async fn no_day_is_missed_or_made_up_where_the_clocks_change() {
    for zone in ["Europe/London", "Europe/Lisbon", "Europe/Berlin", "America/New_York", "UTC"] {
        let changes = match zone {
            "America/New_York" => ["2026-03-08", "2026-11-01"],
            _ => ["2026-03-29", "2026-10-25"],
        };
        for change in changes {
            for kind in [ChannelKind::Interval, ChannelKind::Register] {
                days_around(zone, change, kind, None).await;
            }
        }
    }
}

#[tokio::test]
async fn a_day_that_is_lost_there_is_one_gap_and_one_estimate() {
    for zone in ["Europe/London", "Europe/Lisbon"] {
        for change in ["2026-03-29", "2026-10-25"] {
            for lost in 5..=7 {
                days_around(zone, change, ChannelKind::Interval, Some(lost)).await;
            }
            days_around(zone, change, ChannelKind::Register, Some(6)).await;
        }
    }
}
