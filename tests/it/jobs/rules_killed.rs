//! The rules as the program runs them, with their store: killed at many points they leave the same
//! alerts, issues, histories and announcements as a run that was never stopped.

use std::time::Duration;

use alerts::Params;
use headend::jobs::rules::RuleJob;
use metering::{
    ChannelKind, ChannelNo, CollectorId, Commodity, DeviceFlags, EventCode, LogRecord, MeterId,
    QualityStatus, ReadingType, RuleMask, SlotCode, Subject, Unit, UtcTime,
};
use store::assets::MeterProvision;
use store::{Database, PgLog};
use tokio::sync::watch;

use super::day_close::{at, meter};
use crate::kit::database::fresh;

const DAYS: i64 = 9;
const HALF_HOURS: i64 = DAYS * 48;
const KILLS: i64 = 20;
/// Of log time: several snapshots lie between the kills, and most kills between snapshots.
const SNAPSHOT_EVERY: Duration = Duration::from_secs(20 * 3_600);

/// What must not depend on where the job was killed. The number of an issue counts attempts.
const LEFT: [&str; 6] = [
    "SELECT (to_jsonb(a))::text FROM alert a ORDER BY alert_id",
    "SELECT (to_jsonb(i) - 'number')::text FROM meter_issue i ORDER BY issue_id",
    "SELECT (to_jsonb(l))::text FROM meter_issue_log l ORDER BY issue_id, seq",
    "SELECT encode(hash, 'hex') FROM meter_issue_log l ORDER BY issue_id, seq",
    "SELECT (to_jsonb(n) - 'annunciation_id')::text FROM annunciation n ORDER BY key",
    "SELECT (to_jsonb(i))::text FROM incident i ORDER BY incident_id",
];

pub(super) fn fleet() -> Vec<MeterProvision> {
    let water = |code: &str| {
        let mut one = MeterProvision {
            commodity: Commodity::Water,
            channels: meter().channels,
            installed_at: at(-1, 0),
            ..crate::ingest::meter(code, &format!("ami:{code}"), Vec::new())
        };
        for channel in &mut one.channels {
            channel.field = "volume".to_owned();
            channel.reading_type = ReadingType::VOLUME;
            channel.kind = ChannelKind::Interval;
            channel.unit = Unit::Litre;
            channel.len_s = 1_800;
            channel.cap_per_hour = 0;
        }
        one
    };
    ["W-1", "W-2", "W-3", "W-4"].map(water).to_vec()
}

/// The first leaks for two days, the second has no water for an hour and a failing battery, the
/// third falls silent, the fourth leaks twice.
fn half_hour(meters: &[MeterId], number: i64) -> Vec<LogRecord> {
    let end = at(0, 0).plus_seconds((number + 1) * 1_800);
    let (day, of_day) = (number / 48, number % 48);
    let mut records = Vec::new();
    for (which, id) in (1_i64..).zip(meters) {
        if which == 3 && day >= 4 {
            continue;
        }
        let leaks =
            (which == 1 && (2..4).contains(&day)) || (which == 4 && matches!(day, 1 | 2 | 6 | 7));
        let drawn = if (13..44).contains(&of_day) && of_day % 3 != 0 { 8 + day % 2 } else { 0 };
        let value = (drawn + if leaks { 30 } else { 0 }) * 1_000;
        records.push(LogRecord::Heard {
            meter: *id,
            collector: None::<CollectorId>,
            rssi_dbm: Some(-80),
        });
        records.push(LogRecord::Interval {
            meter: *id,
            channel: ChannelNo::new(1),
            end,
            len_s: 1_800,
            value,
            code: SlotCode::new(QualityStatus::Raw, DeviceFlags::NONE),
            failed: RuleMask::EMPTY,
        });
    }
    let mut told = |code, which: usize| {
        let subject = Subject::Meter(meters[which - 1]);
        records.push(LogRecord::Event { subject, occurred_at: end, code, detail: 0 });
    };
    match (day, of_day) {
        (3, 20) => told(EventCode::Dry, 2),
        (5, 4 | 8 | 12) => told(EventCode::BatteryLow, 2),
        (6, 30) => told(EventCode::HardwareFault, 4),
        _ => {}
    }
    records.push(LogRecord::Tick);
    records
}

struct Rig {
    database: Database,
    log: PgLog,
    meters: Vec<MeterId>,
    /// Half hours that are in the log, and its last sequence.
    appended: i64,
    end: i64,
}

impl Rig {
    async fn new(test: &str) -> Option<Self> {
        let database = fresh(test).await?;
        database.provision(&fleet(), at(0, 0)).await.unwrap();
        let registry = database.load_registry().await.unwrap();
        let meters = registry.meters.iter().map(|one| one.meter).collect();
        let log = PgLog::new(database.clone());
        Some(Self { database, log, meters, appended: 0, end: 0 })
    }

    async fn append_up_to(&mut self, number: i64) {
        for number in self.appended..number {
            let now: UtcTime = at(0, 0).plus_seconds((number + 1) * 1_800 + 90);
            let records = half_hour(&self.meters, number);
            self.end = self.log.append_now(now, &records).await.unwrap().unwrap().1;
            // Minutes without data, in which things fall due.
            for later in [600, 1_200] {
                let tick = self.log.append_now(now.plus_seconds(later), &[LogRecord::Tick]).await;
                self.end = tick.unwrap().unwrap().1;
            }
        }
        self.appended = self.appended.max(number);
    }

    async fn job(&self) -> RuleJob {
        RuleJob::load(self.database.clone(), Params::default(), SNAPSHOT_EVERY).await.unwrap()
    }

    /// Runs until all that is in the log was applied, then kills the job.
    async fn run_to_the_end(&self) {
        let job = self.job().await;
        let mut handle = job.handle();
        let (_go, stop) = watch::channel(false);
        let running = tokio::spawn(job.run(stop));
        assert!(handle.reached(self.end).await);
        // What the last step said is stored before the progress is told.
        running.abort();
        let _ = running.await;
    }

    /// Kills the job somewhere within its work: at whatever it waits for just then.
    async fn run_for(&self, pause: Duration) {
        let job = self.job().await;
        let (_go, stop) = watch::channel(false);
        let _ = tokio::time::timeout(pause, job.run(stop)).await;
    }

    async fn left(&self) -> Vec<Vec<String>> {
        let client = self.database.client().await.unwrap();
        let mut all = Vec::new();
        for question in LEFT {
            let rows = client.query(question, &[]).await.unwrap();
            all.push(rows.iter().map(|row| row.get(0)).collect());
        }
        all
    }
}

#[tokio::test]
async fn killed_at_twenty_points_the_rules_leave_what_they_leave_without() {
    let test = "killed_at_twenty_points_the_rules_leave_what_they_leave_without";
    let Some(mut straight) = Rig::new(test).await else { return };
    let Some(mut killed) = Rig::new(test).await else { return };
    straight.append_up_to(HALF_HOURS).await;
    straight.run_to_the_end().await;
    for point in 1..=KILLS {
        killed.append_up_to(HALF_HOURS * point / KILLS).await;
        if point % 2 == 0 {
            // Odd lengths, so that it falls into different steps of the work.
            killed.run_for(Duration::from_millis(3 + point.unsigned_abs() * 7 % 41)).await;
        } else {
            killed.run_to_the_end().await;
        }
    }
    killed.run_to_the_end().await;
    let (expected, found) = (straight.left().await, killed.left().await);
    assert!(expected[1].len() >= 4, "issues to compare: {:#?}", expected[1]);
    assert!(expected[4].len() >= 4, "announcements to compare: {:#?}", expected[4]);
    for ((question, expected), found) in LEFT.iter().zip(&expected).zip(&found) {
        assert_eq!(expected, found, "{question}");
    }
}
