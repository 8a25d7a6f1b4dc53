use expect_test::{Expect, expect};
use jiff::tz::TimeZone;
use metering::UtcTime;

use crate::describe::describe;
use crate::format::{DecodeContext, Format, decode};
use crate::options::DecodeOptions;

fn check(format: Format, topic: &str, payload: &str, want: &Expect) {
    let zone = TimeZone::get("Europe/Berlin").unwrap();
    let context = DecodeContext {
        topic,
        received_at: UtcTime::parse_rfc3339("2026-11-21T10:00:05Z").unwrap(),
        zone: Some(&zone),
        collector: None,
        mapping: None,
        options: &DecodeOptions::DEFAULT,
    };
    want.assert_eq(&describe(decode(format, &context, payload.as_bytes())));
}

#[test]
fn tasmota_scalars_and_lists_may_stand_side_by_side() {
    check(
        Format::Tasmota,
        "tele/plug-7/SENSOR",
        r#"{"Time":"2026-11-21T11:00:00","ENERGY":{"TotalStartTime":"2026-01-01T00:00:00",
            "Total":[2.813,0.254],"Today":0.5,"Power":[52,null],"Voltage":235,"Factor":"x"}}"#,
        &expect![[r#"
            tasmota:plug-7 heard 2026-11-21T10:00:00Z device zone assumed, 5 reads
              register total_1 2.813 kWh (2026-11-21T10:00:00Z device zone assumed)
              register total_2 0.254 kWh (2026-11-21T10:00:00Z device zone assumed)
              instant today 0.5 kWh (2026-11-21T10:00:00Z device zone assumed)
              instant power_1 52 W (2026-11-21T10:00:00Z device zone assumed)
              instant power_2 - W (2026-11-21T10:00:00Z device zone assumed)
              instant voltage 235 V (2026-11-21T10:00:00Z device zone assumed)
              event meter_flag/0 once `bad_value factor=x` (2026-11-21T10:00:00Z device zone assumed)
              event counter_restarted/0 counter `since=2026-01-01T00:00:00` (2026-11-21T10:00:00Z device zone assumed)
        "#]],
    );
}

#[test]
fn tasmota_topics_in_both_orders_and_messages_without_a_meter() {
    let (tele, stat) = ("tasmota/plug-7/tele/LWT", "stat/plug-7/STATUS8");
    check(
        Format::Tasmota,
        tele,
        "Offline",
        &expect![[r#"
        tasmota:plug-7 heard 2026-11-21T10:00:05Z arrival, 0 reads
          event link_down/0 once `` (2026-11-21T10:00:05Z arrival)
    "#]],
    );
    check(
        Format::Tasmota,
        stat,
        r#"{"StatusSNS":{"Time":"1970-01-01T00:00:09","ENERGY":{"Total":41.573}}}"#,
        &expect![[r#"
            tasmota:plug-7 heard 2026-11-21T10:00:05Z arrival doubtful, 1 reads
              register total 41.573 kWh suspect (2026-11-21T10:00:05Z arrival doubtful)
              event clock_error/0 level `stamp 1970-01-01T00:00:09` (2026-11-21T10:00:05Z arrival doubtful)
        "#]],
    );
    check(
        Format::Tasmota,
        "tele/plug-7/STATE",
        r#"{"Time":"2026-11-21T11:00:00","Wifi":{"RSSI":80,"Signal":-61}}"#,
        &expect![[r#"
            tasmota:plug-7 heard 2026-11-21T10:00:00Z device zone assumed, rssi -61, 0 reads
        "#]],
    );
    check(
        Format::Tasmota,
        "tele/tic/SENSOR",
        r#"{"Time":"2026-11-21T11:00:00","TIC":{"BASE":"007970903"}}"#,
        &expect![[r#"
            refused unknown_type: a `TIC` object and no `ENERGY`: use format = "mapping" with the shipped mapping tasmota-tic
        "#]],
    );
    check(
        Format::Tasmota,
        "tele/plug-7/INFO1",
        "{}",
        &expect![[r#"
        refused unknown_type: `INFO1` carries no telemetry: subscribe to tele/+/SENSOR, tele/+/STATE and tele/+/LWT
    "#]],
    );
}

#[test]
fn shelly_tells_what_changed_and_an_unwired_phase_has_no_frequency() {
    check(
        Format::Shelly,
        "home/pm-1/events/rpc",
        r#"{"src":"shellypro3em-1","method":"NotifyStatus","params":{"ts":1795255199.25,
            "em:0":{"id":0,"a_voltage":0,"a_freq":198,"b_voltage":230.4,"b_freq":50.0,
            "b_act_power":-18,"b_pf":0.5,"n_current":null,"total_act_power":-18.017,
            "errors":["power_meter_failure"]},
            "emdata:0":{"b_total_act_energy":26289.44,"total_act":26289.57,"total_act_ret":1e1},
            "wifi":{"rssi":-50}}}"#,
        &expect![[r#"
            shelly:home/pm-1 heard 2026-11-21T09:59:59.25Z device, 9 reads
              instant em_0_a_voltage 0 V (2026-11-21T09:59:59.25Z device)
              instant em_0_b_voltage 230.4 V (2026-11-21T09:59:59.25Z device)
              instant em_0_b_freq 50.0 Hz (2026-11-21T09:59:59.25Z device)
              instant em_0_b_act_power -18 W (2026-11-21T09:59:59.25Z device)
              instant em_0_b_pf 0.5 (2026-11-21T09:59:59.25Z device)
              instant em_0_n_current - A (2026-11-21T09:59:59.25Z device)
              instant em_0_total_act_power -18.017 W (2026-11-21T09:59:59.25Z device)
              register emdata_0_b_total_act_energy 26289.44 Wh (2026-11-21T09:59:59.25Z device)
              register emdata_0_total_act 26289.57 Wh (2026-11-21T09:59:59.25Z device)
              register emdata_0_total_act_ret 10 Wh (2026-11-21T09:59:59.25Z device)
              event hardware_fault/0 level `em:0 power_meter_failure` (2026-11-21T09:59:59.25Z device)
        "#]],
    );
    check(
        Format::Shelly,
        "pm-1/status/em1data:2",
        r#"{"id":2,"total_act_energy":-1,"total_act_ret_energy":12.5}"#,
        &expect![[r#"
            shelly:pm-1 heard 2026-11-21T10:00:05Z arrival, 1 reads
              register em1data_2_total_act_ret_energy 12.5 Wh (2026-11-21T10:00:05Z arrival)
              event meter_flag/0 once `bad_value em1data_2_total_act_energy=-1` (2026-11-21T10:00:05Z arrival)
        "#]],
    );
    check(
        Format::Shelly,
        "pm-1/online",
        "true",
        &expect![[r#"
        shelly:pm-1 heard 2026-11-21T10:00:05Z arrival, 0 reads
          event link_up/0 once `` (2026-11-21T10:00:05Z arrival)
    "#]],
    );
    check(
        Format::Shelly,
        "pm-1/status/wifi",
        "{}",
        &expect![[r#"
        refused unknown_type: component wifi is no meter
    "#]],
    );
    check(
        Format::Shelly,
        "pm-1/events/rpc",
        r#"{"method":"NotifyEvent","params":{"ts":12.5,"events":[{"component":"em:0",
            "event":"phase_sequence"}]}}"#,
        &expect![[r#"
            shelly:pm-1 heard 2026-11-21T10:00:05Z arrival doubtful, 0 reads
              event clock_error/0 level `stamp 12.5` (2026-11-21T10:00:05Z arrival doubtful)
              event meter_flag/0 once `em:0 phase_sequence` (2026-11-21T10:00:05Z arrival doubtful)
        "#]],
    );
}

#[test]
fn amsreader_registers_carry_the_meter_s_clock() {
    check(
        Format::Amsreader,
        "ams/list3",
        r#"{"id":"ams-9a31","name":"AMS reader","up":52000,"t":1795255200,"vcc":3.29,"rssi":-61,
            "temp":24.5,"data":{"lv":"x","meterId":"69706","P":1234,"PO":0,"I1":5.1,"U1":231.2,
            "tPI":26107.52,"tPO":null,"rtc":1795255195,"new":1}}"#,
        &expect![[r#"
            ams:ams-9a31 heard 2026-11-21T10:00:00Z collector, rssi -61, status `vcc=3.29 temp=24.5 up=52000`, 5 reads
              instant P 1234 W (2026-11-21T10:00:00Z collector)
              instant PO 0 W (2026-11-21T10:00:00Z collector)
              instant I1 5.1 A (2026-11-21T10:00:00Z collector)
              instant U1 231.2 V (2026-11-21T10:00:00Z collector)
              register tPI 26107.52 kWh (2026-11-21T09:59:55Z device)
              register tPO - kWh (2026-11-21T09:59:55Z device)
        "#]],
    );
    check(
        Format::Amsreader,
        "ams",
        r#"{"id":"ams-9a31","t":0,"data":{"P":7,"tPI":1.5,"rtc":0}}"#,
        &expect![[r#"
            ams:ams-9a31 heard 2026-11-21T10:00:05Z arrival doubtful, 2 reads
              instant P 7 W (2026-11-21T10:00:05Z arrival doubtful)
              register tPI 1.5 kWh suspect (2026-11-21T10:00:05Z arrival doubtful)
              event clock_error/0 level `stamp 0` (2026-11-21T10:00:05Z arrival doubtful)
        "#]],
    );
    check(
        Format::Amsreader,
        "ams",
        r#"{"name":"x","data":{"P":7}}"#,
        &expect![[r#"
        refused no_identity: `id` is absent or empty
    "#]],
    );
}
