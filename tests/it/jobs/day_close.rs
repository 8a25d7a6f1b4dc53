//! Days are closed when they have ended, again when data come late, and never twice to another end.

use headend::jobs::day_close::{Closed, DayCloseJob};
use metering::{
    ChannelKind, ChannelNo, Commodity, CustomerClass, DeviceFlags, Interval, IntervalReading,
    JudgedReading, LogRecord, MeterId, Outcome, QualityStatus, ReadingType, RegisterReading,
    RuleMask, SlotCode, Unit, UtcTime,
};
use store::assets::{ChannelProvision, MeterProvision};
use store::{Batch, Database, EventLog as _, IntervalRow, PgLog, RegisterRow, Writer};

use crate::kit::database::fresh;

/// 2026-06-01 00:00 in Berlin, whose days begin at 22:00 UTC in summer.
const T0_S: i64 = 1_780_264_800;
const QUARTER_S: i64 = 900;

pub(super) struct Rig {
    pub(super) database: Database,
    pub(super) writer: Writer,
    job: DayCloseJob,
    pub(super) meter: MeterId,
}

pub(super) fn at(day: i64, slot: i64) -> UtcTime {
    UtcTime::from_seconds(T0_S + day * 86_400 + slot * QUARTER_S)
}

pub(super) fn usual(slot: i64) -> i64 {
    (40 + slot * 7919 % 23 + if (70..86).contains(&slot) { 260 } else { 0 }) * 1000
}

impl Rig {
    pub(super) async fn new(test: &str) -> Option<Self> {
        Self::with(test, meter()).await
    }

    pub(super) async fn with(test: &str, meter: MeterProvision) -> Option<Self> {
        Self::entered_at(test, meter, at(0, 0)).await
    }

    /// With a meter that is known since `now`.
    pub(super) async fn entered_at(
        test: &str,
        meter: MeterProvision,
        now: UtcTime,
    ) -> Option<Self> {
        let database = fresh(test).await?;
        database.provision(&[meter], now).await.unwrap();
        let registry = database.load_registry().await.unwrap();
        let meter = registry.meters[0].meter;
        let (writer, job) = (Writer::new(database.clone()), DayCloseJob::new(database.clone()));
        Some(Self { database, writer, job, meter })
    }

    /// These slots of a day arrive at `log_time`.
    pub(super) async fn arrive(&mut self, day: i64, slots: &[(i64, i64)], log_time: UtcTime) {
        let row = |(slot, value): &(i64, i64)| IntervalRow {
            reading: JudgedReading {
                reading: IntervalReading {
                    meter: self.meter,
                    channel: ChannelNo::new(1),
                    interval: Interval::ending_at(at(day, slot + 1), 900).unwrap(),
                    value: *value,
                    flags: DeviceFlags::NONE,
                },
                code: SlotCode::new(QualityStatus::Raw, DeviceFlags::NONE),
                failed: RuleMask::EMPTY,
            },
            received_at: log_time,
            derived: false,
            source: 1,
        };
        let intervals = slots.iter().map(row).collect::<Vec<_>>();
        let batch = Batch { messages: 1, intervals, ..self.batch(log_time) };
        let _ = self.writer.append(&batch).await.unwrap();
    }

    pub(super) async fn read(&mut self, read_at: UtcTime, value: i64, log_time: UtcTime) {
        let register = RegisterRow {
            reading: JudgedReading {
                reading: RegisterReading {
                    meter: self.meter,
                    channel: ChannelNo::new(1),
                    read_at,
                    raw: value / 1000,
                    value,
                    flags: DeviceFlags::NONE,
                },
                code: SlotCode::new(QualityStatus::Raw, DeviceFlags::NONE),
                failed: RuleMask::EMPTY,
            },
            received_at: log_time,
        };
        let registers = vec![register];
        let batch = Batch { messages: 1, registers, ..self.batch(log_time) };
        let _ = self.writer.append(&batch).await.unwrap();
    }

    fn batch(&self, log_time: UtcTime) -> Batch {
        Batch::new("test", log_time)
    }

    /// Time passes up to `now`, then the job looks.
    pub(super) async fn close(&mut self, now: UtcTime) -> Closed {
        let log = PgLog::new(self.database.clone());
        log.append_now(now, &[LogRecord::Tick]).await.unwrap();
        self.job.once().await.unwrap()
    }

    pub(super) async fn number(&self, question: &str) -> i64 {
        let client = self.database.client().await.unwrap();
        client.query_one(question, &[]).await.unwrap().get(0)
    }

    /// Findings of the log in their order: `day rule outcome kind detail`.
    pub(super) async fn told(&self) -> Vec<String> {
        let frames = PgLog::new(self.database.clone()).read(0, 0, 10_000).await.unwrap();
        let records = frames.iter().flat_map(|frame| &frame.records);
        let finding = |record: &LogRecord| {
            let LogRecord::Finding(finding) = record else { return None };
            let day = finding.from.seconds_since(at(0, 0)).div_euclid(86_400);
            let word = match finding.outcome {
                Outcome::Pass => "pass".to_owned(),
                outcome => format!("{outcome:?} {} {}", finding.kind, finding.detail),
            };
            Some(format!("{day} #{} {word}", finding.rule.get()))
        };
        records.filter_map(finding).collect()
    }

    /// All that is kept of closed days and of judged slots, in a fixed order.
    async fn kept(&self) -> Vec<String> {
        let client = self.database.client().await.unwrap();
        let mut told = Vec::new();
        for question in [
            "SELECT (to_jsonb(d) - 'closed_at' - 'revision')::text FROM closed_day d \
             ORDER BY starts_at",
            "SELECT DISTINCT ON (starts_at) \
             jsonb_build_array(starts_at, status, rule_mask, value)::text \
             FROM interval_exception ORDER BY starts_at, version DESC",
        ] {
            let rows = client.query(question, &[]).await.unwrap();
            told.extend(rows.iter().map(|row| row.get::<_, String>(0)));
        }
        told
    }
}

pub(super) fn meter() -> MeterProvision {
    MeterProvision {
        commodity: Commodity::Electricity,
        class: CustomerClass::Residential,
        installed_at: at(-1, 0),
        channels: vec![ChannelProvision {
            field: "energy".to_owned(),
            reading_type: ReadingType::ENERGY_IMPORT,
            kind: ChannelKind::Interval,
            unit: Unit::WattHour,
            multiplier: 1.into(),
            decimals: 0,
            modulus: 0,
            len_s: 900,
            resolution: 1000,
            cap_per_hour: 54_000_000,
            delivery_lag_s: 14_400,
        }],
        ..crate::ingest::meter("E-1", "ami:E-1", Vec::new())
    }
}

pub(super) fn whole_day() -> Vec<(i64, i64)> {
    (0..96).map(|slot| (slot, usual(slot))).collect()
}

#[tokio::test]
async fn a_day_is_closed_when_its_data_had_time_to_arrive() {
    let test = "a_day_is_closed_when_its_data_had_time_to_arrive";
    let Some(mut rig) = Rig::new(test).await else { return };
    rig.arrive(0, &whole_day(), at(1, 0)).await;
    let early = rig.close(at(1, 15)).await;
    assert_eq!(early.days, 0, "its data have until 4 h after its end");
    let due = rig.close(at(1, 16)).await;
    assert_eq!((due.days, due.versions, due.findings), (1, 0, 0));
    assert_eq!(rig.number("SELECT count(*) FROM closed_day WHERE validated").await, 1);
    assert_eq!(rig.close(at(1, 17)).await, Closed::default(), "once");
}

#[tokio::test]
async fn what_is_wrong_is_kept_told_and_held() {
    let Some(mut rig) = Rig::new("what_is_wrong_is_kept_told_and_held").await else { return };
    let mut day = whole_day();
    day[50].1 = 9_000_000;
    rig.arrive(0, &day, at(1, 0)).await;
    let closed = rig.close(at(1, 16)).await;
    assert_eq!((closed.versions, closed.findings), (1, 1));
    assert_eq!(rig.told().await, ["0 #16 Fail 1 9000000"]);
    let suspect = "SELECT count(*) FROM interval_exception WHERE status = 2 AND rule_mask = 32768";
    assert_eq!(rig.number(suspect).await, 1);
    assert_eq!(rig.number("SELECT count(*) FROM day_hold WHERE kind = 'demand'").await, 1);
    assert!(closed.last_seq.is_some());
}

#[tokio::test]
async fn late_data_repair_their_day_and_those_after_it() {
    let test = "late_data_repair_their_day_and_those_after_it";
    let Some(mut late) = Rig::new(test).await else { return };
    let Some(mut straight) = Rig::new(test).await else { return };
    let stuck = |day: i64| -> Vec<(i64, i64)> {
        (0..96).map(|slot| (slot, if day == 0 { usual(slot) } else { 77_000 })).collect()
    };
    for day in 0..4 {
        straight.arrive(day, &stuck(day), at(day + 1, 0)).await;
        straight.close(at(day + 1, 16)).await;
        if day != 1 {
            late.arrive(day, &stuck(day), at(day + 1, 0)).await;
        }
        late.close(at(day + 1, 16)).await;
    }
    assert_ne!(late.kept().await, straight.kept().await);
    late.arrive(1, &stuck(1), at(4, 20)).await;
    let repaired = late.close(at(4, 21)).await;
    // Also the local day before it, since its UTC day is noted: that is where its evening lies.
    assert_eq!((repaired.days, repaired.repaired), (0, 4), "the day and both after it");
    assert_eq!(late.kept().await, straight.kept().await);
    assert!(late.told().await.contains(&"1 #23 pass".to_owned()), "{:?}", late.told().await);
    assert_eq!(late.close(at(4, 22)).await, Closed::default(), "nothing is left to do");
}

#[tokio::test]
async fn closing_again_changes_nothing_and_tells_nothing() {
    let test = "closing_again_changes_nothing_and_tells_nothing";
    let Some(mut rig) = Rig::new(test).await else { return };
    let mut day = whole_day();
    day[50].1 = 9_000_000;
    day.remove(3);
    for number in 0..3 {
        rig.arrive(number, &day, at(number + 1, 0)).await;
        rig.read(at(number, 0), 1_000_000 + number, at(number + 1, 0)).await;
    }
    rig.close(at(3, 16)).await;
    let (kept, told) = (rig.kept().await, rig.told().await);
    let versions = rig.number("SELECT count(*) FROM interval_exception").await;
    let client = rig.database.client().await.unwrap();
    let touch = "INSERT INTO day_touched (meter_id, channel, day, noted_at) \
                 SELECT meter_id, channel, '2026-06-01', now() FROM day_cursor";
    client.execute(touch, &[]).await.unwrap();
    drop(client);
    let again = rig.close(at(3, 17)).await;
    assert!(again.repaired >= 3);
    assert_eq!((again.versions, again.findings, again.last_seq), (0, 0, None));
    assert_eq!(rig.kept().await, kept);
    assert_eq!(rig.told().await, told);
    assert_eq!(rig.number("SELECT count(*) FROM interval_exception").await, versions);
}

#[tokio::test]
async fn a_long_silence_of_the_job_is_made_up_for_in_order() {
    let test = "a_long_silence_of_the_job_is_made_up_for_in_order";
    let Some(mut daily) = Rig::new(test).await else { return };
    let Some(mut at_once) = Rig::new(test).await else { return };
    for day in 0..20 {
        let slots: Vec<(i64, i64)> = if day % 7 < 5 { whole_day() } else { Vec::new() };
        for rig in [&mut daily, &mut at_once] {
            rig.arrive(day, &slots, at(day + 1, 0)).await;
        }
        daily.close(at(day + 1, 16)).await;
    }
    let closed = at_once.close(at(20, 16)).await;
    assert_eq!(closed.days, 20);
    assert_eq!(at_once.kept().await, daily.kept().await);
    let told = |rig: Vec<String>| {
        let mut told = rig;
        told.sort();
        told
    };
    assert_eq!(told(at_once.told().await), told(daily.told().await));
}
