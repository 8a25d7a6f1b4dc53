//! Silence, collectors, batteries, the head-end.

use expect_test::expect;
use metering::{CollectorId, EventCode, LogRecord, MeterAsset, MeterId, Subject, UtcTime};

use super::{Log, at, check, collector, event, fill, heard, interval, meter};

#[test]
fn com_stale_raises_electricity_after_24_h_and_clears_when_it_is_back() {
    check(
        "electricity 1h",
        "11-02 00:00 +48h 300 | 11-04 00:00 +30h - | 11-05 06:00 +4h 300",
        &expect![[r#"
            11-05 00:02 raised COM-STALE meter 1 COMM_LOST P3 since 11-04 00:00
            11-05 09:02 cleared COM-STALE meter 1 COMM_LOST P3 since 11-04 00:00 until 11-05 07:02
        "#]],
    );
}

#[test]
fn com_stale_waits_72_h_for_water_and_sees_large_customers_sooner() {
    check(
        "water 1h",
        "11-02 00:00 +24h 0,3 | 11-03 00:00 +70h - | 11-05 22:00 +1h 3",
        &expect![[""]],
    );
    check(
        "water 1h class=large_commercial",
        "11-02 00:00 +24h 0,3 | 11-03 00:00 +80h -",
        &expect![[r#"
            11-06 00:02 raised COM-STALE meter 1 COMM_LOST P2 since 11-03 00:00
        "#]],
    );
}

#[test]
fn no_active_account_makes_silence_expected() {
    check("electricity 1h vacated", "11-02 00:00 +24h 300 | 11-03 00:00 +80h -", &expect![[""]]);
}

#[test]
fn three_losses_in_a_week_are_a_marginal_link_until_a_steady_week() {
    let series = "11-02 00:00 +24h 300 | 11-03 00:00 +26h - | 11-04 02:00 +5h 300 \
        | 11-04 07:00 +26h - | 11-05 09:00 +5h 300 | 11-05 14:00 +26h - | 11-06 16:00 +10d 300";
    check(
        "electricity 1h",
        series,
        &expect![[r#"
            11-04 00:02 raised COM-STALE meter 1 COMM_LOST P3 since 11-03 00:00
            11-04 05:02 cleared COM-STALE meter 1 COMM_LOST P3 since 11-03 00:00 until 11-04 03:02
            11-05 07:02 raised COM-STALE meter 1 COMM_LOST P3 since 11-04 07:00
            11-05 12:02 cleared COM-STALE meter 1 COMM_LOST P3 since 11-04 07:00 until 11-05 10:02
            11-06 14:02 raised COM-STALE meter 1 RF_MARGINAL P3 since 11-05 14:00
            11-13 19:02 cleared COM-STALE meter 1 RF_MARGINAL P3 since 11-05 14:00 until 11-13 19:02
        "#]],
    );
}

fn flags(asset: &MeterAsset, times: &[&str]) -> Log {
    let mut log = Log::default();
    log.push(at("11-01"), vec![LogRecord::Meter(Box::new(asset.clone()))]);
    for time in times {
        let subject = Subject::Meter(asset.meter);
        log.push(
            at(time),
            vec![
                heard(asset, None),
                event(subject, at(time), EventCode::BatteryLow),
                LogRecord::Tick,
            ],
        );
    }
    log
}

#[test]
fn bat_flag_needs_three_telegrams_in_48_h_and_clears_after_14_days() {
    let asset = meter("water 1h battery");
    let two = flags(&asset, &["11-02 06:00", "11-02 06:02", "11-02 09:00"]);
    expect![[""]].assert_eq(&two.text());
    let mut three = flags(&asset, &["11-02 06:00", "11-02 09:00", "11-03 10:00", "11-03 12:00"]);
    fill(&mut three, &asset, "11-03 12:00 +15d 0,4");
    expect![[r#"
        11-03 10:00 raised BAT-FLAG meter 1 BATTERY_LOW P3 since 11-02 06:00
        11-17 12:02 cleared BAT-FLAG meter 1 BATTERY_LOW P3 since 11-02 06:00 until 11-03 12:00
    "#]]
    .assert_eq(&three.text());
}

#[test]
fn bat_flag_takes_two_days_of_a_daily_reader_and_nothing_of_a_new_meter() {
    let daily = flags(&meter("gas 1d contact=1d battery"), &["11-02 06:00", "11-03 06:00"]);
    expect![[r#"
        11-03 06:00 raised BAT-FLAG meter 1 BATTERY_LOW P3 since 11-02 06:00
    "#]]
    .assert_eq(&daily.text());
    let mut new = meter("water 1h battery");
    new.installed_at = at("11-02 00:00");
    let early = flags(&new, &["11-02 06:00", "11-02 09:00", "11-03 10:00"]);
    expect![[""]].assert_eq(&early.text());
}

#[test]
fn silence_after_a_low_battery_is_a_dead_battery() {
    let asset = meter("water 1h battery");
    let mut log = flags(&asset, &["11-02 06:00", "11-02 09:00", "11-03 10:00"]);
    fill(&mut log, &asset, "11-03 12:00 +2h 3 | 11-03 14:00 +80h -");
    expect![[r#"
        11-03 10:00 raised BAT-FLAG meter 1 BATTERY_LOW P3 since 11-02 06:00
        11-06 14:02 raised COM-STALE meter 1 BATTERY_DEAD P3 since 11-03 14:00
    "#]]
    .assert_eq(&log.text());
}

#[test]
fn a_battery_with_sixty_days_left_does_not_explain_silence() {
    let silent = |days: i32| {
        let asset = meter("water 1h battery");
        let mut log = Log::default();
        log.push(at("11-01"), vec![LogRecord::Meter(Box::new(asset.clone()))]);
        let told = LogRecord::Event {
            subject: Subject::Meter(asset.meter),
            occurred_at: at("11-03 11:00"),
            code: EventCode::BatteryDays,
            detail: days,
        };
        log.push(at("11-03 11:00"), vec![told]);
        fill(&mut log, &asset, "11-03 12:00 +2h 3 | 11-03 14:00 +80h -");
        let text = log.text();
        text.lines().find(|line| line.contains("COM-STALE")).unwrap_or_default().to_owned()
    };
    expect!["11-06 14:02 raised COM-STALE meter 1 BATTERY_DEAD P3 since 11-03 14:00"]
        .assert_eq(&silent(50));
    expect!["11-06 14:02 raised COM-STALE meter 1 COMM_LOST P3 since 11-03 14:00"]
        .assert_eq(&silent(80));
}

/// Forty electricity meters behind collector 1, ten behind collector 2; heartbeats each 15 min.
struct Net {
    log: Log,
    meters: Vec<MeterAsset>,
}

impl Net {
    fn new() -> Self {
        let meters: Vec<MeterAsset> = (1..=50)
            .map(|id| {
                let via = if id <= 40 { 1 } else { 2 };
                meter(&format!("electricity 1h id={id} via={via}"))
            })
            .collect();
        let mut log = Log::default();
        let mut records = vec![collector(1, "15min"), collector(2, "15min")];
        records.extend(meters.iter().map(|asset| LogRecord::Meter(Box::new(asset.clone()))));
        log.push(at("11-02"), records);
        Self { log, meters }
    }

    /// Steps of 15 min. `beat(c)`: collector c beats; `heard(id)`: through whom the meter is heard.
    fn run(
        &mut self,
        from: &str,
        steps: i64,
        beat: impl Fn(i32) -> bool,
        through: impl Fn(i32) -> Option<i32>,
    ) {
        for step in 1..=steps {
            let now = at(from).plus_seconds(step * 900);
            let mut records = Vec::new();
            for asset in &self.meters {
                let id = asset.meter.get();
                let due = (step + i64::from(id)) % 4 == 0;
                if let Some(via) = through(id).filter(|_| due) {
                    records.push(heard(asset, Some(via)));
                    records.push(interval(asset, now.floor_to(3_600), 300_000, ""));
                }
            }
            for id in [1, 2] {
                if beat(id) {
                    let subject = Subject::Collector(CollectorId::new(id));
                    let stamp = now.plus_seconds(-60);
                    records.push(event(subject, stamp, EventCode::Heartbeat));
                }
            }
            self.log.push(now.plus_seconds(-450), vec![LogRecord::Tick]);
            self.log.push(now, records);
            self.log.push(now, vec![LogRecord::Tick]);
        }
    }
}

fn own(id: i32) -> Option<i32> {
    Some(if id <= 40 { 1 } else { 2 })
}

#[test]
fn com_coll_raises_one_outage_and_clears_when_the_meters_are_back() {
    let mut net = Net::new();
    net.run("11-02 00:00", 40, |_| true, own);
    net.run("11-02 10:00", 30, |id| id == 2, |id| own(id).filter(|via| *via == 2));
    net.run("11-02 17:30", 20, |_| true, own);
    expect![[r#"
        11-02 10:45 raised COM-COLL collector 1 COLLECTOR_OUTAGE P1 since 11-02 09:59
        11-02 18:30 cleared COM-COLL collector 1 COLLECTOR_OUTAGE P1 since 11-02 09:59 until 11-02 17:44
    "#]].assert_eq(&net.log.text());
}

#[test]
fn com_coll_is_backhaul_while_its_meters_are_heard_by_others() {
    let mut net = Net::new();
    net.run("11-02 00:00", 40, |_| true, own);
    net.run("11-02 10:00", 20, |id| id == 2, |_| Some(2));
    net.run("11-02 15:00", 20, |_| true, own);
    expect![[r#"
        11-02 10:45 raised COM-COLL collector 1 BACKHAUL P3 since 11-02 09:59
        11-02 16:00 cleared COM-COLL collector 1 BACKHAUL P3 since 11-02 09:59 until 11-02 15:14
    "#]]
    .assert_eq(&net.log.text());
}

#[test]
fn com_coll_counts_nobody_heard_before_the_first_missed_heartbeat() {
    let mut net = Net::new();
    net.run("11-02 00:00", 40, |_| true, own);
    // It hears all its meters once more after its last heartbeat, and dies before the next.
    net.log.push(at("11-02 10:01"), vec![LogRecord::Tick]);
    let heard_all = net.meters[..40].iter().map(|asset| heard(asset, Some(1))).collect();
    net.log.push(at("11-02 10:05"), heard_all);
    net.run("11-02 10:00", 8, |id| id == 2, |id| own(id).filter(|via| *via == 2));
    expect![[r#"
        11-02 10:45 raised COM-COLL collector 1 COLLECTOR_OUTAGE P1 since 11-02 09:59
    "#]]
    .assert_eq(&net.log.text());
}

#[test]
fn com_coll_does_without_heartbeats_when_too_many_meters_fall_silent() {
    let mut net = Net::new();
    net.run("11-02 00:00", 40, |id| id == 2, own);
    net.run("11-02 10:00", 30, |id| id == 2, |id| own(id).filter(|_| id > 30));
    expect![[r#"
        11-02 12:30 raised COM-COLL collector 1 COLLECTOR_OUTAGE P1 since 11-02 09:00
    "#]]
    .assert_eq(&net.log.text());
}

#[test]
fn com_coll_forgives_one_missed_heartbeat() {
    let mut net = Net::new();
    net.run("11-02 00:00", 40, |_| true, own);
    net.run("11-02 10:00", 1, |id| id == 2, |id| own(id).filter(|via| *via == 2));
    net.run("11-02 10:15", 20, |_| true, own);
    expect![[""]].assert_eq(&net.log.text());
}

#[test]
fn children_of_an_outage_are_for_the_record_until_they_stay_away() {
    let mut net = Net::new();
    net.run("11-02 00:00", 40, |_| true, own);
    // Meter 3 was silent before; 31 hours of outage; meter 5 never comes back.
    net.run("11-02 10:00", 24, |_| true, |id| own(id).filter(|_| id != 3));
    net.run("11-02 16:00", 124, |id| id == 2, |id| own(id).filter(|via| *via == 2));
    net.run("11-03 23:00", 40, |_| true, |id| own(id).filter(|_| id != 5 && id != 3));
    let few: String = net
        .log
        .text()
        .lines()
        .filter(|line| {
            !line.contains("meter ")
                || ["meter 3 ", "meter 4 ", "meter 5 "].iter().any(|m| line.contains(m))
        })
        .map(|line| format!("{line}\n"))
        .collect();
    expect![[r#"
        11-02 16:45 raised COM-COLL collector 1 COLLECTOR_OUTAGE P1 since 11-02 15:59
        11-03 09:15 raised COM-STALE meter 3 COMM_LOST P3 since 11-02 09:00
        11-03 15:45 raised COM-STALE meter 5 COMM_LOST P3 since 11-02 15:00 record under collector 1
        11-03 16:00 raised COM-STALE meter 4 COMM_LOST P3 since 11-02 16:00 record under collector 1
        11-04 00:00 cleared COM-COLL collector 1 COLLECTOR_OUTAGE P1 since 11-02 15:59 until 11-03 23:14
        11-04 02:00 cleared COM-STALE meter 4 COMM_LOST P3 since 11-02 16:00 until 11-04 00:00 record under collector 1
        11-04 04:00 updated COM-STALE meter 5 COMM_LOST P3 since 11-02 15:00
    "#]].assert_eq(&few);
}

#[test]
fn an_outage_within_one_step_of_backfill_is_known_in_hindsight() {
    let mut net = Net::new();
    net.run("11-02 00:00", 40, |_| true, own);
    let mut later = Net::new();
    later.run("11-02 10:00", 8, |id| id == 2, |id| own(id).filter(|via| *via == 2));
    later.run("11-02 12:00", 8, |_| true, own);
    let step: Vec<LogRecord> =
        later.log.frames.into_iter().skip(1).flat_map(|f| f.records).collect();
    net.log.push(at("11-02 14:00"), step.into_iter().filter(|r| *r != LogRecord::Tick).collect());
    net.log.push(at("11-02 14:00"), vec![LogRecord::Tick]);
    expect![[r#"
        11-02 14:00 raised COM-COLL collector 1 COLLECTOR_OUTAGE P3 since 11-02 09:59
        11-02 14:00 cleared COM-COLL collector 1 COLLECTOR_OUTAGE P3 since 11-02 09:59 until 11-02 12:14
    "#]].assert_eq(&net.log.text());
}

#[test]
fn when_nothing_arrives_the_head_end_is_to_blame_and_nobody_else() {
    let mut net = Net::new();
    net.run("11-02 00:00", 40, |_| true, own);
    net.run("11-02 10:00", 130, |_| false, |_| None);
    net.run("11-03 18:30", 40, |_| true, own);
    expect![[r#"
        11-02 10:45 raised COM-CLASSIFY head-end HEADEND_OUTAGE P1 since 11-02 10:00
        11-03 18:45 cleared COM-CLASSIFY head-end HEADEND_OUTAGE P1 since 11-02 10:00 until 11-03 18:45
        11-03 18:45 raised COM-COLL collector 1 COLLECTOR_OUTAGE P3 since 11-02 09:59 record
        11-03 18:45 cleared COM-COLL collector 1 COLLECTOR_OUTAGE P3 since 11-02 09:59 until 11-03 18:44 record
        11-03 18:45 raised COM-COLL collector 2 COLLECTOR_OUTAGE P3 since 11-02 09:59 record
        11-03 18:45 cleared COM-COLL collector 2 COLLECTOR_OUTAGE P3 since 11-02 09:59 until 11-03 18:44 record
    "#]].assert_eq(&net.log.text());
}

#[test]
fn after_a_stop_of_the_head_end_meters_get_time_to_be_heard() {
    let mut net = Net::new();
    net.run("11-02 00:00", 40, |_| true, own);
    // Stopped for two days: no tick, no data. Meter 7 died meanwhile.
    net.run("11-04 10:00", 110, |_| true, |id| own(id).filter(|_| id != 7));
    expect![[r#"
        11-04 10:15 raised COM-COLL collector 1 COLLECTOR_OUTAGE P3 since 11-02 09:59 record
        11-04 10:15 cleared COM-COLL collector 1 COLLECTOR_OUTAGE P3 since 11-02 09:59 until 11-04 10:14 record
        11-04 10:15 raised COM-COLL collector 2 COLLECTOR_OUTAGE P3 since 11-02 09:59 record
        11-04 10:15 cleared COM-COLL collector 2 COLLECTOR_OUTAGE P3 since 11-02 09:59 until 11-04 10:14 record
        11-05 10:07 raised COM-STALE meter 7 COMM_LOST P3 since 11-02 09:00
    "#]].assert_eq(&net.log.text());
}

#[test]
fn an_unknown_meter_is_no_trouble() {
    let mut log = Log::default();
    let stranger = MeterAsset { meter: MeterId::new(99), ..meter("water 1h") };
    log.push(
        UtcTime::from_seconds(1_790_000_000),
        vec![
            heard(&stranger, Some(4)),
            interval(&stranger, at("11-02"), 5, ""),
            event(Subject::Meter(stranger.meter), at("11-02"), EventCode::BatteryLow),
            LogRecord::Tick,
        ],
    );
    expect![[""]].assert_eq(&log.text());
}
