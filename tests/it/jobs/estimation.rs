//! What is missing is estimated when it is ripe, gives way to truth that comes late, and can be
//! decided, edited and taken back by people, each with a reason.

use std::collections::BTreeSet;

use headend::jobs::calendar;
use headend::jobs::day_close::DayCloseJob;
use headend::jobs::estimation::{EstimationJob, Told};
use headend::services::vee::{self as service, Person, VeeError};
use metering::{
    ChannelKind, ChannelNo, Commodity, CustomerClass, DeviceFlags, Interval, IntervalReading,
    JudgedReading, LogRecord, MeterId, QualityStatus, ReadingType, RegisterReading, RuleMask,
    SlotCode, Unit, UtcTime,
};
use store::assets::{ChannelProvision, MeterProvision};
use store::estimation::{BestSlot, SeriesSpan, SlotRange, by_number, series, violations};
use store::{Batch, Database, IntervalRow, PgLog, RegisterRow, Writer};
use vee::estimate::Method;
use vee::estimation::{EstimationState, Trigger};

use crate::kit::database::fresh;

/// 2026-06-01 00:00 in Berlin, whose days begin at 22:00 UTC in summer.
pub(super) const T0_S: i64 = 1_780_264_800;
pub(super) const QUARTER_S: i64 = 900;
pub(super) const CHANNEL: ChannelNo = ChannelNo::new(1);

pub(super) fn at(day: i64, slot: i64) -> UtcTime {
    UtcTime::from_seconds(T0_S + day * 86_400 + slot * QUARTER_S)
}

/// Whole Wh, in mWh; each day a little different.
pub(super) fn usual(day: i64, slot: i64) -> i64 {
    let evening = if (70..86).contains(&slot) { 260 } else { 0 };
    (40 + (slot * 7919 + day * 31) % 23 + evening) * 1000
}

pub(super) struct Rig {
    pub(super) database: Database,
    pub(super) writer: Writer,
    pub(super) days: DayCloseJob,
    pub(super) job: EstimationJob,
    pub(super) meter: MeterId,
}

impl Rig {
    pub(super) async fn new(test: &str) -> Option<Self> {
        Self::with(test, &[meter()], 0).await
    }

    /// With these meters, known from `day` on; the first one is meant when nothing else is said.
    pub(super) async fn with(test: &str, meters: &[MeterProvision], day: i64) -> Option<Self> {
        let database = fresh(test).await?;
        database.provision(meters, at(day, 0)).await.unwrap();
        let registry = database.load_registry().await.unwrap();
        Some(Self {
            writer: Writer::new(database.clone()),
            days: DayCloseJob::new(database.clone()),
            job: EstimationJob::new(database.clone()),
            meter: registry.meters[0].meter,
            database,
        })
    }

    pub(super) async fn arrive(
        &mut self,
        slots: &[(UtcTime, i64)],
        status: QualityStatus,
        now: UtcTime,
    ) {
        let failed = if status == QualityStatus::Suspect {
            RuleMask::EMPTY.with(metering::RuleNo::new(12).unwrap())
        } else {
            RuleMask::EMPTY
        };
        let code = SlotCode::new(status, DeviceFlags::NONE);
        let code = if failed.is_empty() { code } else { code.with_exception() };
        let row = |(end, value): &(UtcTime, i64)| IntervalRow {
            reading: JudgedReading {
                reading: IntervalReading {
                    meter: self.meter,
                    channel: CHANNEL,
                    interval: Interval::ending_at(*end, 900).unwrap(),
                    value: *value,
                    flags: DeviceFlags::NONE,
                },
                code,
                failed,
            },
            received_at: now,
            derived: false,
            source: 1,
        };
        let intervals: Vec<IntervalRow> = slots.iter().map(row).collect();
        let batch = Batch { messages: 1, intervals, ..Batch::new("test", now) };
        let _ = self.writer.append(&batch).await.unwrap();
    }

    pub(super) async fn read(&mut self, read_at: UtcTime, value: i64, now: UtcTime) {
        let register = RegisterRow {
            reading: JudgedReading {
                reading: RegisterReading {
                    meter: self.meter,
                    channel: CHANNEL,
                    read_at,
                    raw: value / 1000,
                    value,
                    flags: DeviceFlags::NONE,
                },
                code: SlotCode::new(QualityStatus::Raw, DeviceFlags::NONE),
                failed: RuleMask::EMPTY,
            },
            received_at: now,
        };
        let batch = Batch { messages: 1, registers: vec![register], ..Batch::new("test", now) };
        let _ = self.writer.append(&batch).await.unwrap();
    }

    /// Days 0 to `days`, whole but for what `missing` says, with a register at each midnight.
    pub(super) async fn history(&mut self, days: i64, missing: impl Fn(i64, i64) -> bool) {
        let _ = self.days_from((0, days), missing).await;
    }

    /// The same for the days from one to another; gives the counter at their end.
    pub(super) async fn days_from(
        &mut self,
        (first, end): (i64, i64),
        missing: impl Fn(i64, i64) -> bool,
    ) -> i64 {
        let mut total = 5_000_000;
        self.read(at(first, 0), total, at(first, 1)).await;
        for day in first..end {
            let slots: Vec<(UtcTime, i64)> = (0..96)
                .filter(|slot| !missing(day, *slot))
                .map(|slot| (at(day, slot + 1), usual(day, slot)))
                .collect();
            self.arrive(&slots, QualityStatus::Raw, at(day + 1, 0)).await;
            total += (0..96).map(|slot| usual(day, slot)).sum::<i64>();
            self.read(at(day + 1, 0), total, at(day + 1, 1)).await;
        }
        total
    }

    /// Time passes up to `now`; the jobs look in their order.
    pub(super) async fn pass(&mut self, now: UtcTime) -> Told {
        let log = PgLog::new(self.database.clone());
        log.append_now(now, &[LogRecord::Tick]).await.unwrap();
        calendar::once(&self.database, now).await.unwrap();
        self.days.once().await.unwrap();
        self.job.once(now).await.unwrap()
    }

    pub(super) async fn slots(&self, from: UtcTime, to: UtcTime) -> Vec<BestSlot> {
        let span = SeriesSpan { meter: self.meter, channel: CHANNEL, from, to };
        series(&self.database, span).await.unwrap()
    }

    pub(super) async fn text(&self, question: &str) -> String {
        let client = self.database.client().await.unwrap();
        let rows = client.query(question, &[]).await.unwrap();
        rows.iter().map(|row| row.get::<_, String>(0)).collect::<Vec<_>>().join("; ")
    }

    pub(super) fn range(&self, from: UtcTime, to: UtcTime) -> SlotRange {
        service::range((self.meter, CHANNEL), (from, to), BTreeSet::new())
    }

    pub(super) async fn sound(&self) {
        assert_eq!(violations(&self.database, at(-40, 0)).await.unwrap(), Vec::new());
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

pub(super) fn who(reason: &str, now: UtcTime) -> Person<'_> {
    Person { actor: "anna", reason, now }
}

pub(super) const STATES: &str =
    "SELECT state || ' ' || method FROM estimation ORDER BY estimation_no";

#[tokio::test]
async fn a_gap_is_filled_the_next_morning_to_the_last_unit() {
    let Some(mut rig) = Rig::new("a_gap_is_filled_the_next_morning_to_the_last_unit").await else {
        return;
    };
    // Three hours and a single quarter hour of one day, between the same two registers.
    let lost = |day: i64, slot: i64| day == 12 && ((40..52).contains(&slot) || slot == 80);
    rig.history(13, lost).await;
    let told = rig.pass(at(13, 17)).await;
    assert_eq!(told, Told::default(), "late data have until six in the morning");
    let told = rig.pass(at(13, 24)).await;
    assert_eq!((told.applied, told.proposed, told.refused), (2, 0, 0));
    let day = rig.slots(at(12, 0), at(13, 0)).await;
    assert_eq!(day.len(), 96);
    let sum: i64 = day.iter().map(|slot| slot.value).sum();
    let register: i64 = (0..96).map(|slot| usual(12, slot)).sum();
    assert_eq!(sum, register, "exact to the last unit");
    assert!(day.iter().all(|slot| slot.value % 1000 == 0), "on the grid of the register");
    let estimated = day.iter().filter(|slot| slot.status == QualityStatus::Estimated).count();
    assert_eq!(estimated, 13);
    // The issue that explains them was made for the purpose, and nobody has to work on it.
    let issue = "SELECT cause_detected || ' ' || state || ' ' \
                 || (estimation_started_at IS NOT NULL) FROM meter_issue";
    assert_eq!(rig.text(issue).await, "DATA_GAP CLOSED true");
    assert_eq!(rig.pass(at(13, 30)).await, Told::default(), "once");
    rig.sound().await;
}

#[tokio::test]
async fn truth_that_comes_late_takes_the_place_of_an_estimate() {
    let test = "truth_that_comes_late_takes_the_place_of_an_estimate";
    let Some(mut rig) = Rig::new(test).await else { return };
    rig.history(13, |day, slot| day == 12 && (70..78).contains(&slot)).await;
    assert_eq!(rig.pass(at(13, 24)).await.applied, 1);
    let estimated: i64 = rig.slots(at(12, 70), at(12, 78)).await.iter().map(|s| s.value).sum();
    let late: Vec<(UtcTime, i64)> =
        (70..78).map(|slot| (at(12, slot + 1), usual(12, slot) + 3000)).collect();
    rig.arrive(&late, QualityStatus::Raw, at(14, 40)).await;
    let told = rig.pass(at(14, 41)).await;
    assert_eq!(told.superseded, 8);
    let best = rig.slots(at(12, 70), at(12, 78)).await;
    assert!(best.iter().all(|slot| slot.status == QualityStatus::Validated));

    let record = by_number(&rig.database, 1).await.unwrap().unwrap();
    assert_eq!(record.state, EstimationState::SupersededByActual);
    let actual: i64 = late.iter().map(|(_, value)| value).sum();
    assert_eq!(best.iter().map(|slot| slot.value).sum::<i64>(), actual);
    assert_eq!(record.true_up, Some(actual - estimated));
    rig.sound().await;
}

#[tokio::test]
async fn days_that_a_long_close_commits_late_are_looked_at_all_the_same() {
    let test = "days_that_a_long_close_commits_late_are_looked_at_all_the_same";
    let Some(mut rig) = Rig::new(test).await else { return };
    rig.history(13, |day, slot| day == 12 && (70..78).contains(&slot)).await;
    assert_eq!(rig.pass(at(13, 24)).await.applied, 1);
    let late: Vec<(UtcTime, i64)> =
        (70..78).map(|slot| (at(12, slot + 1), usual(12, slot) + 3000)).collect();
    rig.arrive(&late, QualityStatus::Raw, at(13, 40)).await;
    // A close that began now ends two hours later; meanwhile there was a look.
    assert_eq!(rig.job.once(at(13, 49)).await.unwrap().superseded, 0);
    PgLog::new(rig.database.clone()).append_now(at(13, 41), &[LogRecord::Tick]).await.unwrap();
    rig.days.once().await.unwrap();
    assert_eq!(rig.job.once(at(13, 53)).await.unwrap().superseded, 0);
    assert_eq!(rig.job.once(at(14, 25)).await.unwrap().superseded, 8);
}

#[tokio::test]
async fn an_estimate_is_scaled_once_its_register_comes() {
    let Some(mut rig) = Rig::new("an_estimate_is_scaled_once_its_register_comes").await else {
        return;
    };
    rig.history(12, |_, _| false).await;
    let slots: Vec<(UtcTime, i64)> = (0..96)
        .filter(|slot| !(40..60).contains(slot))
        .map(|slot| (at(12, slot + 1), usual(12, slot)))
        .collect();
    rig.arrive(&slots, QualityStatus::Raw, at(13, 0)).await;
    assert_eq!(rig.pass(at(13, 24)).await.applied, 1);
    assert!(!by_number(&rig.database, 1).await.unwrap().unwrap().scaled);
    // The counter of midnight arrives with the next day: twice the usual use of the gap.
    let before: i64 =
        5_000_000 + (0..12).flat_map(|day| (0..96).map(move |slot| usual(day, slot))).sum::<i64>();
    let known: i64 = slots.iter().map(|(_, value)| value).sum();
    rig.read(at(13, 0), before + known + 2_400_000, at(14, 0)).await;
    let told = rig.pass(at(14, 30)).await;
    assert_eq!((told.rescaled, told.refused), (1, 0));
    let state = by_number(&rig.database, 1).await.unwrap().unwrap().state;
    assert_eq!(state, EstimationState::SupersededByEstimate);
    let sum: i64 = rig.slots(at(12, 40), at(12, 60)).await.iter().map(|slot| slot.value).sum();
    assert_eq!(sum, 2_400_000);
    rig.sound().await;
}

#[tokio::test]
async fn people_reject_estimate_edit_and_take_back() {
    let Some(mut rig) = Rig::new("people_reject_estimate_edit_and_take_back").await else {
        return;
    };
    rig.history(13, |day, slot| day == 12 && (30..34).contains(&slot)).await;
    let wild: Vec<(UtcTime, i64)> = (30..34).map(|slot| (at(12, slot + 1), 7_000_000)).collect();
    rig.arrive(&wild, QualityStatus::Suspect, at(13, 0)).await;
    rig.pass(at(13, 17)).await;
    let (from, to) = (at(12, 30), at(12, 34));
    let now = at(13, 20);
    let range = rig.range(from, to);
    let db = rig.database.clone();
    let nobody = service::reject(&db, &range, who(" ", now)).await;
    assert!(matches!(nobody, Err(VeeError::NoReason)));
    assert_eq!(service::reject(&db, &range, who("a cat on the meter", now)).await.unwrap(), 4);
    // All methods side by side, then one of them.
    let told = service::preview(&db, &range, None, now).await.unwrap();
    assert!(told[0].alternatives.iter().filter(|trial| trial.refused.is_none()).count() >= 3);
    let line = Some(Method::Linear);
    let kept = service::estimate(&db, &range, line, who("quiet hours", now)).await.unwrap();
    assert_eq!(kept.len(), 1);
    let after_line = rig.slots(from, to).await;
    assert!(after_line.iter().all(|slot| slot.status == QualityStatus::Estimated));
    // An edit takes its place; a part of the register's step is refused, not rounded.
    let all =
        |value| -> Vec<(UtcTime, i64)> { (30..34).map(|slot| (at(12, slot + 1), value)).collect() };
    let (values, part) = (all(50_000), all(50_250));
    let told =
        service::edit(&db, (rig.meter, CHANNEL), &part, false, who("read by hand", now)).await;
    assert!(matches!(told, Err(VeeError::OffStep { step_milli: 1_000, .. })), "{told:?}");
    service::edit(&db, (rig.meter, CHANNEL), &values, false, who("read by hand", now))
        .await
        .unwrap();
    let edited = rig.slots(from, to).await;
    assert!(edited.iter().all(|slot| slot.status == QualityStatus::Edited));
    let edited: Vec<i64> = edited.iter().map(|slot| slot.value).collect();
    assert_eq!(edited, [50_000; 4]);
    assert_eq!(rig.text(STATES).await, "EDITED 6; APPLIED 12");
    // Undo: what stood there before, as a new version that points back; and forth again.
    assert_eq!(service::undo(&db, &range, who("wrong meter", now)).await.unwrap(), 4);
    let content = |slots: &[BestSlot]| -> Vec<(i64, QualityStatus, Option<i64>)> {
        slots.iter().map(|slot| (slot.value, slot.status, slot.estimation_no)).collect()
    };
    assert_eq!(content(&rig.slots(from, to).await), content(&after_line));
    rig.sound().await;
    assert!(service::accept(&db, &range, who("fine", now)).await.is_err(), "nothing is suspect");
}

#[tokio::test]
async fn what_a_person_took_back_is_not_estimated_again() {
    let test = "what_a_person_took_back_is_not_estimated_again";
    let Some(mut rig) = Rig::new(test).await else { return };
    rig.history(13, |day, slot| day == 12 && (70..78).contains(&slot)).await;
    assert_eq!(rig.pass(at(13, 24)).await.applied, 1);
    let now = at(13, 25);
    let db = rig.database.clone();
    let state = service::act(&db, 1, Trigger::RollBack, who("the house burnt down", now)).await;
    assert_eq!(state.unwrap(), EstimationState::Reversed);
    assert_eq!(rig.slots(at(12, 70), at(12, 78)).await, Vec::new());
    // The days since are missing too, and are estimated; what was taken back is not.
    assert_eq!(rig.pass(at(15, 30)).await.applied, 1);
    assert_eq!(rig.slots(at(12, 70), at(12, 78)).await, Vec::new());
    assert!(service::act(&db, 1, Trigger::Finalise, who("no", now)).await.is_err());
    rig.sound().await;
}

#[tokio::test]
async fn the_same_data_give_the_same_records() {
    let test = "the_same_data_give_the_same_records";
    let lost = |day: i64, slot: i64| day > 9 && (slot * 7 + day * 13) % 17 == 0;
    let records = "SELECT estimation_id || encode(values_hash, 'hex') FROM estimation ORDER BY 1";
    let mut told = Vec::new();
    for every in [1, 3] {
        let Some(mut rig) = Rig::new(test).await else { return };
        rig.history(15, lost).await;
        rig.days.once().await.unwrap();
        // All days are closed before the first look: what is known is the same.
        let log = PgLog::new(rig.database.clone());
        log.append_now(at(15, 20), &[LogRecord::Tick]).await.unwrap();
        calendar::once(&rig.database, at(15, 20)).await.unwrap();
        rig.days.once().await.unwrap();
        for slot in (20..40).step_by(every) {
            rig.pass(at(15, i64::from(slot))).await;
        }
        rig.sound().await;
        told.push(rig.text(records).await);
    }
    assert!(!told[0].is_empty());
    assert_eq!(told[0], told[1]);
}
