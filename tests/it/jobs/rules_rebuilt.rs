//! Rules whose snapshots cannot be read, over a log that was cut: they learn from the stored
//! readings and go on as if nothing had happened.

use std::time::Duration;

use alerts::Params;
use headend::jobs::rules::RuleJob;
use metering::{
    ChannelNo, DeviceFlags, EventCode, Interval, IntervalReading, JudgedReading, LogRecord,
    MeterId, QualityStatus, RuleMask, SlotCode, Subject, UtcTime,
};
use store::{Batch, Database, HeardRow, IntervalRow, PgLog, Writer};
use tokio::sync::watch;

use super::day_close::{at, meter, usual};
use super::rules_killed::fleet;
use crate::kit::database::fresh;

/// Of log time.
const SNAPSHOT_EVERY: Duration = Duration::from_secs(20 * 3_600);
/// Hours until the program ends; the readings of the first four weeks are learned from.
const STOPPED: i64 = 25 * 24 + 3;
const END: i64 = 28 * 24;
/// The second water meter leaks from and until these hours.
const LEAK: std::ops::Range<i64> = (22 * 24)..(26 * 24 + 6);
/// The electricity meter uses four times as much on this day.
const HEAVY_DAY: i64 = 25;

struct Rig {
    database: Database,
    writer: Writer,
    log: PgLog,
    /// Four of water, then one of electricity.
    meters: Vec<MeterId>,
    hour: i64,
    end: i64,
}

impl Rig {
    async fn new(test: &str) -> Option<Self> {
        let database = fresh(test).await?;
        let mut all = fleet();
        all.push(meter());
        database.provision(&all, at(0, 0)).await.unwrap();
        let registry = database.load_registry().await.unwrap();
        let mut meters: Vec<(String, MeterId)> =
            registry.meters.iter().map(|one| (one.number.clone(), one.meter)).collect();
        meters.sort_by(|a, b| b.cmp(a));
        // W-4, W-3, W-2, W-1, E-1.
        meters[..4].reverse();
        let meters = meters.into_iter().map(|(_, meter)| meter).collect();
        let (log, writer) = (PgLog::new(database.clone()), Writer::new(database.clone()));
        Some(Self { database, writer, log, meters, hour: 0, end: 0 })
    }

    fn slot(&self, which: usize, (end, len_s): (UtcTime, i32), value: i64) -> IntervalRow {
        IntervalRow {
            reading: JudgedReading {
                reading: IntervalReading {
                    meter: self.meters[which],
                    channel: ChannelNo::new(1),
                    interval: Interval::ending_at(end, len_s).unwrap(),
                    value,
                    flags: DeviceFlags::NONE,
                },
                code: SlotCode::new(QualityStatus::Raw, DeviceFlags::NONE),
                failed: RuleMask::EMPTY,
            },
            received_at: end,
            derived: false,
            source: 1,
        }
    }

    /// What the meters counted in an hour, a minute after it.
    fn readings(&self, hour: i64) -> Vec<IntervalRow> {
        let (day, of_day) = (hour / 24, hour % 24);
        let mut rows = Vec::new();
        for half in 0..2 {
            let slot = of_day * 2 + half;
            let end = at(0, 0).plus_seconds(hour * 3_600 + (half + 1) * 1_800);
            let drawn = if (13..44).contains(&slot) && slot % 3 != 0 { 8 + day % 2 } else { 0 };
            for which in 0..4 {
                let leaks = which == 1 && LEAK.contains(&hour);
                let value = (drawn + if leaks { 30 } else { 0 }) * 1_000;
                rows.push(self.slot(which, (end, 1_800), value));
            }
        }
        for quarter in 0..4 {
            let end = at(0, 0).plus_seconds(hour * 3_600 + (quarter + 1) * 900);
            let times = if day == HEAVY_DAY { 4 } else { 1 };
            let value = usual(of_day * 4 + quarter) * times;
            rows.push(self.slot(4, (end, 900), value));
        }
        rows
    }

    async fn live_up_to(&mut self, hour: i64) {
        for hour in self.hour..hour {
            let now = at(0, 0).plus_seconds((hour + 1) * 3_600 + 60);
            let mut intervals = self.readings(hour);
            for row in &mut intervals {
                row.received_at = now;
            }
            let heard = |meter: &MeterId| HeardRow {
                meter: *meter,
                collector: None,
                rssi_dbm: Some(-80),
                at: now,
                count: 1,
            };
            let heard = self.meters.iter().map(heard).collect();
            let batch = Batch { messages: 1, intervals, heard, ..Batch::new("test", now) };
            let _ = self.writer.append(&batch).await.unwrap();
            let later = now.plus_seconds(600);
            let mut told = vec![LogRecord::Tick];
            if hour == STOPPED - 10 {
                // Of the log alone: nothing that is stored says it.
                told.push(LogRecord::Event {
                    subject: Subject::Meter(self.meters[2]),
                    occurred_at: now,
                    code: EventCode::HardwareFault,
                    detail: 0,
                });
            }
            self.end = self.log.append_now(later, &told).await.unwrap().unwrap().1;
        }
        self.hour = self.hour.max(hour);
    }

    /// Runs until all that is in the log was applied, then ends in order.
    async fn run(&self) {
        let load = RuleJob::load(self.database.clone(), Params::default(), SNAPSHOT_EVERY);
        let job = load.await.unwrap();
        let mut handle = job.handle();
        let (stop, stopped) = watch::channel(false);
        let running = tokio::spawn(job.run(stopped));
        assert!(handle.reached(self.end).await);
        stop.send_replace(true);
        running.await.unwrap();
    }

    /// The snapshots are of another program, and the log has its last hours alone.
    async fn lose_the_state(&self) {
        let client = self.database.client().await.unwrap();
        let damage = "UPDATE rule_snapshot SET state = set_byte(state, 60, \
                      (get_byte(state, 60) + 1) % 256) WHERE consumer = 'rules'";
        assert!(client.execute(damage, &[]).await.unwrap() > 0);
        let cut = "DELETE FROM event_log WHERE seq < (SELECT seq - 60 FROM event_log_offset \
                   WHERE consumer = 'rules')";
        assert!(client.execute(cut, &[]).await.unwrap() > 0);
    }

    /// An alert of a rule that is gone, and one that began before the first reading.
    async fn remember_what_nobody_judges(&self) {
        let client = self.database.client().await.unwrap();
        let insert = "INSERT INTO alert (alert_id, rule_no, rule, subject_kind, subject_id, cause, \
            family, severity, condition_start, raised_at) \
            SELECT k.id, k.no, k.rule, 'meter', $1::int4, a.cause, a.family, 3, \
                to_timestamp($2::int8), to_timestamp($2::int8) \
            FROM (SELECT cause, family, rule_no FROM alert WHERE rule = 'MTR-ERR' LIMIT 1) a, \
                (VALUES ('old-1', 250::int2, 'OLD-ONE'), ('old-2', NULL, 'MTR-OLD')) \
                    AS known(id, no, rule), \
                LATERAL (SELECT known.id, coalesce(known.no, a.rule_no) AS no, known.rule) k";
        let then = at(0, 0).seconds() - 90 * 86_400;
        let rows = client.execute(insert, &[&self.meters[3].get(), &then]).await.unwrap();
        assert_eq!(rows, 2);
    }

    async fn forget_what_nobody_judges(&self) {
        let client = self.database.client().await.unwrap();
        client.execute("DELETE FROM alert WHERE alert_id LIKE 'old-%'", &[]).await.unwrap();
    }

    /// `rule subject raised [cleared]` in the order of raising.
    async fn alerts(&self) -> Vec<String> {
        let client = self.database.client().await.unwrap();
        let question = "SELECT rule || ' ' || subject_id || ' since ' || condition_start::text \
            || ' raised ' || raised_at::text || coalesce(' cleared ' || cleared_at::text, '') \
            FROM alert ORDER BY raised_at, alert_id";
        let rows = client.query(question, &[]).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }

    async fn of_rule(&self, rule: &str) -> Vec<String> {
        let all = self.alerts().await;
        all.into_iter().filter(|one| one.starts_with(rule)).collect()
    }

    async fn number(&self, question: &str) -> i64 {
        let client = self.database.client().await.unwrap();
        client.query_one(question, &[]).await.unwrap().get(0)
    }
}

#[tokio::test]
async fn rules_without_a_snapshot_learn_from_the_stored_readings_and_go_on() {
    let test = "rules_without_a_snapshot_learn_from_the_stored_readings_and_go_on";
    let Some(mut straight) = Rig::new(test).await else { return };
    let Some(mut lost) = Rig::new(test).await else { return };
    for rig in [&mut straight, &mut lost] {
        rig.live_up_to(STOPPED).await;
        rig.run().await;
    }
    let leak = lost.of_rule("WTR-CONT").await;
    assert_eq!(leak.len(), 1, "{:#?}", lost.alerts().await);
    assert!(!leak[0].contains("cleared"), "{leak:?}");
    let fault = lost.of_rule("MTR-ERR").await;
    assert_eq!(fault.len(), 1, "{:#?}", lost.alerts().await);
    assert!(!fault[0].contains("cleared"), "{fault:?}");
    let issues = "SELECT count(*) FROM meter_issue";
    let announced = "SELECT count(*) FROM annunciation";
    let before = (lost.number(issues).await, lost.number(announced).await);
    let high = lost.of_rule("VAR-HIGH").await;

    lost.lose_the_state().await;
    lost.remember_what_nobody_judges().await;
    lost.run().await;
    let unknown = "SELECT count(*) FROM alert WHERE rule = 'OLD-ONE' AND cleared_at IS NULL";
    assert_eq!(lost.number(unknown).await, 0, "nobody would ever end it");
    let silent = "SELECT count(*) FROM alert WHERE rule = 'MTR-OLD' AND cleared_at IS NULL";
    assert_eq!(lost.number(silent).await, 1, "it is older than all that was learned");
    lost.forget_what_nobody_judges().await;
    assert_eq!(lost.of_rule("WTR-CONT").await, leak, "it stands, once");
    assert!(lost.of_rule("MTR-ERR").await[0].contains("cleared"), "nothing says it any more");
    assert_eq!((lost.number(issues).await, lost.number(announced).await), before);
    assert_eq!(lost.of_rule("VAR-HIGH").await, high, "nothing is said anew");

    for rig in [&mut straight, &mut lost] {
        rig.live_up_to(END).await;
        rig.run().await;
    }
    let leak = lost.of_rule("WTR-CONT").await;
    assert_eq!(leak, straight.of_rule("WTR-CONT").await, "the same alert is cleared");
    assert!(leak[0].contains("cleared"), "{leak:?}");
    let high = lost.of_rule("VAR-HIGH").await;
    assert_eq!(high, straight.of_rule("VAR-HIGH").await, "the usual days were learned again");
    let electricity = format!("VAR-HIGH {} ", lost.meters[4].get());
    assert!(high.iter().any(|one| one.starts_with(&electricity)), "{high:?}");
    let others = |all: Vec<String>| {
        let all = all.into_iter();
        all.filter(|one| !one.starts_with("MTR-ERR")).collect::<Vec<_>>()
    };
    assert_eq!(others(lost.alerts().await), others(straight.alerts().await));
}
