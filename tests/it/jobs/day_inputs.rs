//! What stands beside a channel's own series reaches the checks of its day: events, voltage, who
//! lives there, the same weeks of last year, cycles, and registers that are rarely read.

use metering::{
    ChannelKind, ChannelNo, DeviceFlags, EventCode, Flow, JudgedReading, MeterEvent, QualityStatus,
    Quantity, ReadingType, RegisterReading, RuleMask, SlotCode, Subject, Unit, UtcTime,
};
use store::assets::{ChannelProvision, MeterProvision};
use store::{Batch, EventRow, RegisterRow};

use super::day_close::{Rig, at, meter, usual, whole_day};

/// A day's use of [`whole_day`], in mWh.
fn day_use() -> i64 {
    (0..96).map(usual).sum()
}

fn said(told: &[String], rule: u8) -> Vec<&str> {
    let rule = format!(" #{rule} ");
    told.iter().filter(|line| line.contains(&rule)).map(String::as_str).collect()
}

impl Rig {
    async fn days(&mut self, days: std::ops::Range<i64>, times: i64) {
        for day in days {
            let slots: Vec<(i64, i64)> =
                whole_day().iter().map(|(slot, value)| (*slot, value * times)).collect();
            self.arrive(day, &slots, at(day + 1, 0)).await;
            self.close(at(day + 1, 17)).await;
        }
    }

    async fn event(&mut self, at: UtcTime, seq: i32) {
        let event = MeterEvent {
            subject: Subject::Meter(self.meter),
            occurred_at: at,
            code: EventCode::CoverOpened,
            seq,
            detail: String::new(),
        };
        let row = EventRow { event, received_at: at, number: 0 };
        let batch = Batch { messages: 1, events: vec![row], ..Batch::new("test", at) };
        let _ = self.writer.append(&batch).await.unwrap();
    }

    async fn volts(&mut self, read_at: UtcTime, value: i64) {
        let register = RegisterRow {
            reading: JudgedReading {
                reading: RegisterReading {
                    meter: self.meter,
                    channel: ChannelNo::new(2),
                    read_at,
                    raw: value,
                    value,
                    flags: DeviceFlags::NONE,
                },
                code: SlotCode::new(QualityStatus::Raw, DeviceFlags::NONE),
                failed: RuleMask::EMPTY,
            },
            received_at: read_at,
        };
        let batch = Batch { messages: 1, registers: vec![register], ..Batch::new("test", read_at) };
        let _ = self.writer.append(&batch).await.unwrap();
    }

    /// The meter's record is changed at `now`.
    async fn entered(&self, meter: MeterProvision, now: UtcTime) {
        self.database.provision(&[meter], now).await.unwrap();
    }
}

#[tokio::test]
async fn numbers_that_the_devices_event_counter_skipped_are_told() {
    let test = "numbers_that_the_devices_event_counter_skipped_are_told";
    let Some(mut rig) = Rig::new(test).await else { return };
    rig.event(at(-1, 90), 4).await;
    for (slot, seq) in [(8, 5), (30, 7), (60, 11), (70, 2)] {
        rig.event(at(0, slot), seq).await;
    }
    rig.days(0..1, 1).await;
    assert_eq!(said(&rig.told().await, 9), ["0 #9 Fail 0 3"]);
    // The counter that began again at 2 skipped nothing, and a silent day says nothing.
    rig.event(at(1, 5), 3).await;
    rig.event(at(2, 5), 9).await;
    rig.days(1..2, 1).await;
    rig.close(at(3, 17)).await;
    assert_eq!(said(&rig.told().await, 9), ["0 #9 Fail 0 3", "1 #9 pass"]);
}

#[tokio::test]
async fn a_meter_at_zero_that_sees_its_voltage_is_told_as_such() {
    let test = "a_meter_at_zero_that_sees_its_voltage_is_told_as_such";
    let voltage = ChannelProvision {
        field: "voltage".to_owned(),
        reading_type: ReadingType { quantity: Quantity::Voltage, flow: Flow::None, tariff: 0 },
        kind: ChannelKind::Instant,
        unit: Unit::Volt,
        len_s: 0,
        ..meter().channels[0].clone()
    };
    for (volts, want) in [(230_000, "0 #18 Fail 1 86400"), (0, "0 #18 Fail 0 86400")] {
        let with = MeterProvision {
            channels: vec![meter().channels[0].clone(), voltage.clone()],
            ..meter()
        };
        let Some(mut rig) = Rig::with(test, with).await else { return };
        rig.volts(at(0, 40), volts).await;
        rig.days(0..1, 0).await;
        assert_eq!(said(&rig.told().await, 18), [want]);
    }
}

#[tokio::test]
async fn use_after_the_last_customer_left_is_told_when_the_grace_is_over() {
    let test = "use_after_the_last_customer_left_is_told_when_the_grace_is_over";
    let Some(mut rig) = Rig::new(test).await else { return };
    rig.days(0..2, 1).await;
    rig.entered(MeterProvision { account_active: false, ..meter() }, at(2, 0)).await;
    rig.days(2..8, 1).await;
    assert_eq!(said(&rig.told().await, 19), [format!("7 #19 Fail 1 {}", day_use())]);
    // The next customer's use is nobody's business, and his reference does not reach back.
    rig.entered(meter(), at(8, 0)).await;
    rig.days(8..9, 1).await;
    assert_eq!(said(&rig.told().await, 19)[1..], ["8 #19 pass"]);
    let since = "SELECT count(*) FROM usage_point WHERE inactive_since = '2026-06-02T22:00Z' \
                 AND occupied_since = '2026-06-08T22:00Z'";
    assert_eq!(rig.number(since).await, 1);
}

/// A week like that of last year times ten, by the same customer or the next one.
async fn week_of_last_year(next_customer: bool, want: &[&str]) {
    let early = MeterProvision { installed_at: at(-400, 0), ..meter() };
    let first = MeterProvision { account: "A-1".to_owned(), ..early };
    let test = "use_is_compared_with_the_same_weeks_of_last_year";
    let Some(mut rig) = Rig::entered_at(test, first.clone(), at(-400, 0)).await else { return };
    rig.days(-364..-357, 10).await;
    if next_customer {
        let second = MeterProvision { account: "A-2".to_owned(), ..first };
        rig.entered(second, at(-20, 0)).await;
    }
    rig.days(0..7, 1).await;
    let told = rig.told().await;
    assert_eq!(said(&told, 17), want, "next customer: {next_customer}");
}

#[tokio::test]
async fn use_is_compared_with_the_same_weeks_of_last_year() {
    week_of_last_year(false, &["5 #17 Fail 2 10", "6 #17 Fail 2 10"]).await;
    week_of_last_year(true, &[]).await;
}

/// The check of a seventh day that uses as much as a tenth of what last year's did.
async fn against_last_year(first_times: i64, spoil: &str, want: &str) {
    let early = MeterProvision { installed_at: at(-400, 0), ..meter() };
    let test = "all_seven_days_of_last_year_count_that_can_be_trusted";
    let Some(mut rig) = Rig::entered_at(test, early, at(-400, 0)).await else { return };
    rig.days(-364..-363, first_times).await;
    rig.days(-363..-357, 10).await;
    let client = rig.database.client().await.unwrap();
    client.batch_execute(spoil).await.unwrap();
    drop(client);
    rig.days(0..7, 1).await;
    let told = rig.told().await;
    let of_seventh = said(&told, 17).into_iter().find(|line| line.starts_with("6 "));
    assert_eq!(of_seventh, Some(want), "{told:?}");
}

#[tokio::test]
async fn all_seven_days_of_last_year_count_that_can_be_trusted() {
    // Of (3 + 6 x 10) / 7 = 9 times, and of the six days that did not fail #13.
    against_last_year(3, "SELECT 1", "6 #17 Fail 2 11").await;
    let spoil = "UPDATE closed_day SET failing = failing | (1::int8 << 12), total = total * 100 \
                 WHERE starts_at >= '2025-06-04T00:00Z' AND starts_at < '2025-06-05T00:00Z'";
    against_last_year(10, spoil, "6 #17 Fail 2 10").await;
}

#[tokio::test]
async fn at_the_end_of_a_cycle_its_use_holds_the_bill_for_review() {
    let test = "at_the_end_of_a_cycle_its_use_holds_the_bill_for_review";
    // Thirty days after its installation, counted with both ends.
    let early = MeterProvision { installed_at: at(-92, 0), ..meter() };
    let Some(mut rig) = Rig::entered_at(test, early, at(-92, 0)).await else { return };
    rig.days(-92..-4, 10).await;
    rig.days(-4..27, 1).await;
    let told = rig.told().await;
    assert!(said(&told, 17).contains(&"26 #17 Fail 4 10"), "{:?}", said(&told, 17));
    let held = "SELECT count(*) FROM day_hold WHERE kind = 'review' AND rule_no = 17 \
                AND to_at - from_at = interval '30 days'";
    assert_eq!(rig.number(held).await, 1);
}

#[tokio::test]
async fn a_register_that_is_read_once_a_week_judges_its_week() {
    let test = "a_register_that_is_read_once_a_week_judges_its_week";
    let Some(mut rig) = Rig::new(test).await else { return };
    rig.read(at(0, 0), 1_000_000, at(0, 1)).await;
    rig.days(0..6, 1).await;
    let week = 7 * day_use();
    rig.read(at(7, 0), 1_000_000 + week * 9 / 10, at(7, 1)).await;
    rig.days(6..7, 1).await;
    assert_eq!(said(&rig.told().await, 13), ["0 #13 Fail 3 111"]);
    let held = "SELECT count(*) FROM day_hold WHERE kind = 'interval' AND rule_no = 13 \
                AND to_at - from_at = interval '7 days'";
    assert_eq!(rig.number(held).await, 1);
}

#[tokio::test]
async fn rival_values_and_switches_that_come_late_have_their_day_judged_again() {
    let test = "rival_values_and_switches_that_come_late_have_their_day_judged_again";
    let Some(mut rig) = Rig::new(test).await else { return };
    rig.days(0..2, 1).await;
    assert_eq!(rig.told().await, Vec::<String>::new());
    // Two of 96 came again with another value, two days later.
    rig.arrive(0, &[(8, 1), (9, 2)], at(2, 40)).await;
    rig.close(at(2, 41)).await;
    // The day after it says that it is over.
    assert_eq!(said(&rig.told().await, 1), ["0 #1 Fail 0 2", "1 #1 pass"]);
    let opened = MeterEvent {
        subject: Subject::Meter(rig.meter),
        occurred_at: at(0, 95),
        code: EventCode::SwitchOpened,
        seq: 0,
        detail: String::new(),
    };
    let row = EventRow { event: opened, received_at: at(2, 42), number: 0 };
    let batch = Batch { messages: 1, events: vec![row], ..Batch::new("test", at(2, 42)) };
    let _ = rig.writer.append(&batch).await.unwrap();
    rig.close(at(2, 43)).await;
    assert_eq!(said(&rig.told().await, 19), [format!("1 #19 Fail 2 {}", day_use())]);
}
