//! The close of a day: what it needs in bulk, what it keeps, and what late data touch.

use std::time::Instant;

use metering::{
    ChannelKind, ChannelNo, DeviceFlags, Finding, MeterId, Outcome, QualityStatus, ReadingType,
    RuleMask, RuleNo, UtcTime,
};
use store::day::{self, CursorMove, DayRequest, JudgedDay, Verdicts};
use store::files::Offered;
use store::{Batch, Database, Writer};
use vee::day::{DaySummary, DayVerdict, SlotVersion};

use crate::assets::water_meter;
use crate::support::{T0, batch, database, number, quarter, register};

const DAY_S: i64 = 86_400;

pub(crate) async fn meters(database: &Database, count: i32) {
    let meters: Vec<_> = (1..=count)
        .map(|n| {
            let mut meter = water_meter(&format!("W-{n:03}"));
            let channel = &mut meter.channels[0];
            channel.kind = ChannelKind::Interval;
            channel.reading_type = ReadingType::VOLUME;
            channel.len_s = 900;
            channel.delivery_lag_s = 3_600;
            meter
        })
        .collect();
    database.provision(&meters, T0).await.unwrap();
}

pub(crate) const fn day_start(day: i64) -> UtcTime {
    T0.plus_seconds(day * DAY_S)
}

fn request(meter: i32, day: i64) -> DayRequest {
    let (from, to) = (day_start(day), day_start(day + 1));
    DayRequest {
        meter: MeterId::new(meter),
        channel: ChannelNo::new(1),
        from,
        to,
        edges: vec![from, to],
    }
}

/// A verdict on a UTC day without anything special.
pub(crate) fn judged(meter: i32, day: i64) -> JudgedDay {
    let summary = DaySummary {
        from: day_start(day),
        to: day_start(day + 1),
        total: 96,
        peak: 1,
        slots: 96,
        actual: 96,
        validated: true,
        ..DaySummary::default()
    };
    JudgedDay {
        meter: MeterId::new(meter),
        channel: ChannelNo::new(1),
        len_s: 900,
        verdict: DayVerdict {
            findings: Vec::new(),
            changes: Vec::new(),
            suspect: Vec::new(),
            flagged: Vec::new(),
            validated: vec![true; 96],
            holds: Vec::new(),
            summary,
        },
    }
}

pub(crate) fn suspect(slot: i64, value: i64) -> SlotVersion {
    SlotVersion {
        end: T0.plus_seconds((slot + 1) * 900),
        value,
        status: QualityStatus::Suspect,
        flags: DeviceFlags::NONE,
        failed: RuleMask::EMPTY.with(RuleNo::new(16).unwrap()),
    }
}

fn finding(outcome: Outcome) -> Finding {
    Finding {
        meter: MeterId::new(1),
        channel: Some(ChannelNo::new(1)),
        rule: RuleNo::new(16).unwrap(),
        outcome,
        from: day_start(0),
        to: day_start(1),
        kind: 0,
        detail: 42,
    }
}

#[tokio::test]
async fn a_day_is_loaded_judged_and_kept_once() {
    let Some(database) = database("a_day_is_loaded_judged_and_kept_once").await else { return };
    meters(&database, 2).await;
    let mut writer = Writer::new(database.clone());
    let intervals = (0..96).map(|slot| quarter(1, slot, 7)).collect();
    let registers = vec![register(1, day_start(0), 10), register(1, day_start(1), 20)];
    let _ = writer.append(&Batch { intervals, registers, ..batch(day_start(1)) }).await.unwrap();

    let due = day::due(&database, day_start(2), 10).await.unwrap();
    assert_eq!(due.len(), 2, "both channels are new");
    assert_eq!((due[0].start, due[0].closed_through), (T0, None));
    assert_eq!(due[0].time_zone, "Europe/Berlin");

    let loaded = day::load(&database, &[request(1, 0), request(2, 0)]).await.unwrap();
    assert_eq!((loaded[0].slots.len(), loaded[1].slots.len()), (96, 0));
    assert_eq!(loaded[0].slots[0].actual(), Some(7));
    let reads: Vec<i64> = loaded[0].registers[0].points.iter().map(|point| point.value).collect();
    assert_eq!(reads, [10_000, 20_000]);

    let mut one = judged(1, 0);
    one.verdict.changes = vec![suspect(5, 7)];
    one.verdict.findings = vec![finding(Outcome::Fail)];
    one.verdict.summary.suspect = 1;
    let verdicts = Verdicts {
        days: vec![one],
        cursors: vec![CursorMove {
            meter: MeterId::new(1),
            channel: ChannelNo::new(1),
            closed_through: day_start(1),
            due_at: day_start(2),
        }],
        seen: Vec::new(),
    };
    let kept = day::commit(&database, &verdicts, day_start(1)).await.unwrap();
    assert_eq!((kept.days, kept.versions, kept.findings), (1, 1, 1));
    assert!(kept.last_seq.is_some());
    let again = day::commit(&database, &verdicts, day_start(1)).await.unwrap();
    assert_eq!((again.days, again.versions, again.findings, again.last_seq), (0, 0, 0, None));

    let loaded = day::load(&database, &[request(1, 0)]).await.unwrap();
    assert_eq!(loaded[0].slots[5].best, QualityStatus::Suspect);
    assert_eq!(loaded[0].history, [verdicts.days[0].verdict.summary]);
    let version = number(
        &database,
        "SELECT version::int8 FROM interval_exception WHERE status = 2 AND reason = 6",
    )
    .await;
    assert_eq!(version, 2, "the value as received is version 1");
    let due = day::due(&database, day_start(1), 10).await.unwrap();
    assert_eq!(due.len(), 1, "the first channel waits for its next day");
}

#[tokio::test]
async fn a_file_that_corrects_another_is_no_second_device() {
    let test = "a_file_that_corrects_another_is_no_second_device";
    let Some(database) = database(test).await else { return };
    meters(&database, 1).await;
    let mut writer = Writer::new(database.clone());
    for value in [7, 9] {
        let intervals = (4..14).map(|slot| quarter(1, slot, value)).collect();
        let _ = writer.append(&Batch { intervals, ..batch(day_start(1)) }).await.unwrap();
    }
    let differing = async || {
        let loaded = day::load(&database, &[request(1, 0)]).await.unwrap();
        loaded[0].differing.len()
    };
    assert_eq!(differing().await, 10, "nobody knows whose they are");
    let client = database.client().await.unwrap();
    let files = "WITH f AS (INSERT INTO imported_file (sha256, name, format, size, by_record, \
            made_at, received_at, actor) \
            SELECT sha256(n::text::bytea), 'f' || n, 'nem12', 1, false, \
                $1::timestamptz + make_interval(hours => n), $1, 'test' \
            FROM generate_series(1, 2) AS n RETURNING import_no, made_at) \
        INSERT INTO imported_span SELECT 1, 1, $1::timestamptz, \
            $1::timestamptz + interval '1 day', f.made_at, f.import_no FROM f";
    client.batch_execute(&files.replace("$1", &format!("'{T0}'"))).await.unwrap();
    drop(client);
    let offered: Vec<Offered> = (4..14)
        .map(|slot| {
            let row = quarter(1, slot, 9).reading;
            Offered {
                meter: row.reading.meter,
                channel: row.reading.channel,
                end: row.reading.interval.end(),
                len_s: row.reading.interval.len_s(),
                value: 9,
                status: QualityStatus::Raw,
                flags: row.reading.flags,
                failed: row.failed,
                finalised: false,
            }
        })
        .collect();
    let newer = (2, T0.plus_seconds(7_200));
    let by = ("import", day_start(1));
    let settled = store::files::settle(&database, newer, &offered, &|_, _| None, by).await.unwrap();
    assert_eq!((settled.taken, settled.kept), (10, 0));
    assert_eq!(differing().await, 0, "the newer file corrects the older");
}

#[tokio::test]
async fn data_for_a_closed_day_touch_it() {
    let Some(database) = database("data_for_a_closed_day_touch_it").await else { return };
    meters(&database, 1).await;
    let mut writer = Writer::new(database.clone());
    let verdicts = Verdicts {
        days: vec![judged(1, 0)],
        cursors: vec![CursorMove {
            meter: MeterId::new(1),
            channel: ChannelNo::new(1),
            closed_through: day_start(1),
            due_at: day_start(2),
        }],
        seen: Vec::new(),
    };
    let send = |slots: Vec<i64>| Batch {
        intervals: slots.into_iter().map(|slot| quarter(1, slot, 3)).collect(),
        ..batch(day_start(3))
    };
    let _ = writer.append(&send(vec![0])).await.unwrap();
    assert_eq!(day::touched(&database, 10).await.unwrap(), [], "nothing was closed yet");
    day::commit(&database, &verdicts, day_start(1)).await.unwrap();
    let _ = writer.append(&send(vec![1, 2, 100])).await.unwrap();
    let touched = day::touched(&database, 10).await.unwrap();
    assert_eq!(touched.len(), 1, "the second day is not closed");
    assert_eq!(touched[0].utc_day, T0.utc_day());
    // More data arrive while the day is judged: the mark stays.
    let _ = writer.append(&send(vec![3])).await.unwrap();
    let seen = Verdicts { seen: touched, ..Verdicts::default() };
    day::commit(&database, &seen, day_start(3)).await.unwrap();
    let touched = day::touched(&database, 10).await.unwrap();
    assert_eq!(touched[0].touched, 2);
    let seen = Verdicts { seen: touched, ..Verdicts::default() };
    day::commit(&database, &seen, day_start(3)).await.unwrap();
    assert_eq!(day::touched(&database, 10).await.unwrap(), []);
}

/// 35 days of 40 channels; `HEADEND_TEST_CHANNELS` asks for more, and it tells the time.
#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "a size from outside, and the time that it takes")]
async fn many_days_of_many_channels_are_closed_in_seconds() {
    let name = "many_days_of_many_channels_are_closed_in_seconds";
    let Some(database) = database(name).await else { return };
    let wanted = std::env::var("HEADEND_TEST_CHANNELS").ok().and_then(|text| text.parse().ok());
    let (channels, days) = (wanted.unwrap_or(40), 35_i64);
    meters(&database, channels).await;
    let mut writer = Writer::new(database.clone());
    for day in 0..days {
        let slots = (day * 96)..((day + 1) * 96);
        let intervals = (1..=channels)
            .flat_map(|meter| slots.clone().map(move |slot| quarter(meter, slot, slot % 7)))
            .collect();
        let _ = writer.append(&Batch { intervals, ..batch(day_start(day + 1)) }).await.unwrap();
    }
    let started = Instant::now();
    let mut loaded_slots = 0;
    for first in (0..days).step_by(7) {
        let requests: Vec<DayRequest> = (1..=channels)
            .map(|meter| DayRequest {
                to: day_start(first + 7),
                edges: (first..=first + 7).map(day_start).collect(),
                ..request(meter, first)
            })
            .collect();
        let loaded = day::load(&database, &requests).await.unwrap();
        loaded_slots += loaded.iter().map(|channel| channel.slots.len()).sum::<usize>();
        let verdicts = Verdicts {
            days: (first..first + 7)
                .flat_map(|day| (1..=channels).map(move |meter| judged(meter, day)))
                .collect(),
            ..Verdicts::default()
        };
        let kept = day::commit(&database, &verdicts, day_start(days)).await.unwrap();
        assert_eq!(kept.days, 7 * u64::from(channels.unsigned_abs()));
    }
    eprintln!(
        "closed {} channel-days with {loaded_slots} slots in {:?}",
        days * i64::from(channels),
        started.elapsed()
    );
    assert_eq!(
        number(&database, "SELECT count(*) FROM closed_day").await,
        days * i64::from(channels)
    );
}
