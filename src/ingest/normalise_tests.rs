use expect_test::{Expect, expect};

use super::super::core::Accepted;
use super::super::testkit::{at, core, frame, registry, scm, told};

/// Telegrams of one SCM meter, `hh:mm[:ss] counter [collector] | ...`, all in one batch; only
/// rows whose line starts with one of `show` are told.
fn check_counter(meter: &str, telegrams: &str, show: &[&str], want: Expect) {
    let mut core = core(&registry(&[meter]));
    let frames: Vec<_> = telegrams
        .split('|')
        .map(|telegram| {
            let words: Vec<&str> = telegram.split_whitespace().collect();
            let collector = words.get(2).copied().unwrap_or("C-01");
            let payload = scm(7, words[1].parse().unwrap(), words[0]);
            frame(&format!("amr/{collector}/rtlamr"), &payload, "23:59")
        })
        .collect();
    let accepted = core.accept(&frames, at("23:59"));
    want.assert_eq(&shown(&accepted, show));
}

fn check_bundle(meter: &str, payload: &str, received_at: &str, want: Expect) {
    let mut core = core(&registry(&[meter]));
    let accepted = core.accept(&[frame("ami/up/x", payload, received_at)], at(received_at));
    want.assert_eq(&shown(&accepted, &[""]));
}

fn shown(accepted: &Accepted, show: &[&str]) -> String {
    told(accepted)
        .lines()
        .filter(|line| show.iter().any(|start| line.starts_with(start)))
        .fold(String::new(), |text, line| text + line + "\n")
}

const WATER: &str = "ert:7; ; consumption register gal 10 0 0 900 20000000";

#[test]
fn a_counter_becomes_registers_and_intervals_on_the_grid() {
    check_counter(
        WATER,
        "10:00 1000 | 10:10 1006 | 10:20 1010 | 10:33 1023",
        &["register", "derived", "folded"],
        expect![[r#"
            register 1/1 10:00:00 raw 1000 value 37854118 raw [] {}
            register 1/1 10:10:00 raw 1006 value 38081243 raw [] {}
            register 1/1 10:20:00 raw 1010 value 38232659 raw [] {}
            register 1/1 10:33:00 raw 1023 value 38724763 raw [] {}
            derived 1/1 to 10:15:00 value 302833 raw [] {}
            derived 1/1 to 10:30:00 value 454249 raw [] {}
        "#]],
    );
}

#[test]
fn copies_of_a_telegram_count_once_on_whatever_path() {
    check_counter(
        WATER,
        "10:00:00 1000 | 10:00:01 1000 C-02 | 10:01:00 1000 | 10:01:31 1000 | 09:59:30 1000 C-02",
        &["register", "heard", "unknown", "folded"],
        expect![[r#"
            register 1/1 10:00:00 raw 1000 value 37854118 raw [] {}
            register 1/1 10:01:31 raw 1000 value 37854118 raw [] {}
            heard 1 via 1 10:00:00
            heard 1 via - 10:00:01
            heard 1 via 1 10:01:00
            heard 1 via 1 10:01:31
            heard 1 via - 09:59:30
            unknown collector:C-02 - []
            unknown collector:C-02 - []
            folded 3
        "#]],
    );
}

#[test]
fn a_rollover_of_the_telegrams_field_goes_on_counting() {
    check_counter(
        WATER,
        "10:00 16777210 | 10:15 16777214 | 10:30 4 | 10:45 10",
        &["register", "derived", "event"],
        expect![[r#"
            register 1/1 10:00:00 raw 16777210 value 635086484366 raw [] {}
            register 1/1 10:15:00 raw 16777214 value 635086635783 raw [] {}
            register 1/1 10:30:00 raw 4 value 151416 raw [] {}
            register 1/1 10:45:00 raw 10 value 378541 raw [] {}
            derived 1/1 to 10:15:00 value 151417 raw [] {}
            derived 1/1 to 10:30:00 value 227124 raw [] {}
            derived 1/1 to 10:45:00 value 227125 raw [] {}
            event meter 1 10:30:00 register_rollover seq 1 number 1 `channel 1 16777214 -> 4`
        "#]],
    );
}

#[test]
fn a_small_fall_is_negative_and_held_until_its_interval_is_over() {
    check_counter(
        "ert:7; ; consumption register kWh 1 0 0 900 50000000",
        "10:00 100 | 10:07 97 | 10:22 101 | 10:40 104 | 10:46 105",
        &["register", "derived", "event"],
        expect![[r#"
            register 1/1 10:00:00 raw 100 value 100000000 raw [] {}
            register 1/1 10:07:00 raw 97 value 97000000 suspect! [] {11}
            register 1/1 10:22:00 raw 101 value 101000000 raw [] {}
            register 1/1 10:40:00 raw 104 value 104000000 raw [] {}
            register 1/1 10:46:00 raw 105 value 105000000 raw [] {}
            derived 1/1 to 10:15:00 value -866667 suspect! [] {11, 20}
            derived 1/1 to 10:30:00 value 3200000 raw [] {}
            derived 1/1 to 10:45:00 value 2500000 raw [] {}
            event meter 1 10:07:00 register_decrease seq 1 number 1 `channel 1 100 -> 97`
        "#]],
    );
}

#[test]
fn a_reset_starts_again_without_a_difference() {
    check_counter(
        "ert:7; ; consumption register kWh 1 0 0 900 50000000",
        "10:00 5000 | 10:15 5001 | 10:30 3 | 10:45 4",
        &["register", "derived", "event"],
        expect![[r#"
            register 1/1 10:00:00 raw 5000 value 5000000000 raw [] {}
            register 1/1 10:15:00 raw 5001 value 5001000000 raw [] {}
            register 1/1 10:30:00 raw 3 value 3000000 suspect! [] {11}
            register 1/1 10:45:00 raw 4 value 4000000 raw [] {}
            derived 1/1 to 10:15:00 value 1000000 raw [] {}
            derived 1/1 to 10:45:00 value 1000000 raw [] {}
            event meter 1 10:30:00 register_reset seq 1 number 1 `channel 1 5001 -> 3`
        "#]],
    );
}

#[test]
fn a_net_meter_may_run_backwards() {
    check_counter(
        "ert:7; netmeter; consumption register kWh 1 0 0 900 50000000",
        "10:00 5000 | 10:15 4900 | 10:30 4901",
        &["register", "derived", "event"],
        expect![[r#"
            register 1/1 10:00:00 raw 5000 value 5000000000 raw [] {}
            register 1/1 10:15:00 raw 4900 value 4900000000 raw [] {}
            register 1/1 10:30:00 raw 4901 value 4901000000 raw [] {}
            derived 1/1 to 10:15:00 value -100000000 raw [] {}
            derived 1/1 to 10:30:00 value 1000000 raw [] {}
        "#]],
    );
}

#[test]
fn more_than_the_service_carries_is_kept_and_held() {
    check_counter(
        "ert:7; ; consumption register kWh 1 0 0 900 50000000",
        "10:00 5000 | 10:15 5100 | 10:30 5101",
        &["register", "derived", "event"],
        expect![[r#"
            register 1/1 10:00:00 raw 5000 value 5000000000 raw [] {}
            register 1/1 10:15:00 raw 5100 value 5100000000 suspect! [] {12}
            register 1/1 10:30:00 raw 5101 value 5101000000 raw [] {}
            derived 1/1 to 10:15:00 value 100000000 suspect! [] {12}
            derived 1/1 to 10:30:00 value 1000000 raw [] {}
        "#]],
    );
}

#[test]
fn a_late_read_is_kept_but_differs_from_nothing() {
    check_counter(
        "ert:7; ; consumption register kWh 1 0 0 900 0",
        "10:00 100 | 10:30 110 | 10:15 102 | 10:45 115",
        &["register", "derived"],
        expect![[r#"
            register 1/1 10:00:00 raw 100 value 100000000 raw [] {}
            register 1/1 10:30:00 raw 110 value 110000000 raw [] {}
            register 1/1 10:15:00 raw 102 value 102000000 raw [] {}
            register 1/1 10:45:00 raw 115 value 115000000 raw [] {}
            derived 1/1 to 10:15:00 value 5000000 raw [] {}
            derived 1/1 to 10:30:00 value 5000000 raw [] {}
            derived 1/1 to 10:45:00 value 5000000 raw [] {}
        "#]],
    );
}

#[test]
fn after_a_silence_slots_stay_missing() {
    check_counter(
        "ert:7; ; consumption register kWh 1 0 0 900 0",
        "10:00 100 | 10:15 101 | 11:30 140 | 11:45 141",
        &["derived"],
        expect![[r#"
            derived 1/1 to 10:15:00 value 1000000 raw [] {}
            derived 1/1 to 11:45:00 value 1000000 raw [] {}
        "#]],
    );
}

const ELECTRIC: &str = "ami:E-1; ; energy_import interval kWh 1 3 0 900 50000000; \
     register register kWh 40 2 100000 0 0; voltage instant V 1 1 0 0 0";

#[test]
fn a_series_keeps_nulls_out_and_flags_in() {
    check_bundle(
        ELECTRIC,
        r#"{"v":1,"meter":"E-1","sent":"2026-11-21T11:00:05Z","series":[{"field":"energy_import",
        "unit":"kWh","len":900,"end":"2026-11-21T10:15:00Z","exp":-3,"values":[120,null,118],
        "flags":[0,0,128]}]}"#,
        "11:00:06",
        expect![[r#"
            interval 1/1 to 10:15:00 value 120000 raw [] {}
            interval 1/1 to 10:45:00 value 118000 suspect! ["overflow"] {6}
            heard 1 via - 11:00:05
            raw of 1
        "#]],
    );
}

#[test]
fn registers_and_momentary_values_are_kept_at_their_time() {
    check_bundle(
        ELECTRIC,
        r#"{"v":1,"meter":"E-1","registers":[{"field":"register","unit":"kWh",
        "at":"2026-11-21T10:00:00Z","value":"999.85"},{"field":"register","unit":"kWh",
        "at":"2026-11-21T11:00:00Z","value":"0.12"}],"instants":[{"field":"voltage","unit":"V",
        "at":"2026-11-21T10:00:00Z","value":"231.4"}]}"#,
        "11:00:06",
        expect![[r#"
            register 1/2 10:00:00 raw 99985 value 39994000000 raw [] {}
            register 1/2 11:00:00 raw 12 value 4800000 raw [] {}
            register 1/3 10:00:00 raw 2314 value 231400 raw [] {}
            event meter 1 11:00:00 register_rollover seq 2 number 2 `channel 2 99985 -> 12`
            heard 1 via - 11:00:06
            raw of 1
        "#]],
    );
}

/// A poll of one unit at each of these times: `hh:mm value`, told as a float or by whole registers.
fn check_polls(float: bool, polls: &str, want: Expect) {
    let mut core = core(&registry(&[
        "modbus:gw1/1; ; energy_active_import_total register kWh 1 3 0 900 50000000",
    ]));
    let frames: Vec<_> = polls
        .split('|')
        .map(|poll| {
            let (time, value) = poll.trim().split_once(' ').unwrap();
            let payload = format!(
                r#"{{"v":1,"source":"modbus:gw1/1","gateway":"gw1","unit":1,"profile":"p","reads":
                [{{"at":"{}","request":"04","response":"04","values":[{{"channel":
                "energy_active_import_total","kind":"cumulative","unit":"kWh","value":"{value}",
                "float":{float}}}]}}]}}"#,
                at(time)
            );
            frame("$modbus/gw1/1", &payload, "23:59")
        })
        .collect();
    let accepted = core.accept(&frames, at("23:59"));
    want.assert_eq(&shown(&accepted, &["register", "interval"]));
}

#[test]
fn the_digits_of_a_polled_float_are_no_mismatch() {
    check_polls(
        true,
        "10:00 408.21777 | 10:15 408.3 | 10:30 410.50049",
        expect![[r#"
        register 1/1 10:00:00 raw 408218 value 408218000 raw [] {}
        register 1/1 10:15:00 raw 408300 value 408300000 raw [] {}
        register 1/1 10:30:00 raw 410500 value 410500000 raw [] {}
    "#]],
    );
}

#[test]
fn more_digits_of_a_whole_register_than_the_record_has_are_held() {
    check_polls(
        false,
        "10:00 408.21777 | 10:15 408.3",
        expect![[r#"
        register 1/1 10:00:00 raw 408218 value 408218000 suspect! [] {5}
        register 1/1 10:15:00 raw 408300 value 408300000 raw [] {}
    "#]],
    );
}

#[test]
fn another_unit_than_configured_is_converted_and_held() {
    check_bundle(
        ELECTRIC,
        r#"{"v":1,"meter":"E-1","series":[{"field":"energy_import","unit":"Wh","len":900,
        "end":"2026-11-21T10:15:00Z","exp":0,"values":[120]}]}"#,
        "11:00:06",
        expect![[r#"
            interval 1/1 to 10:15:00 value 120000 suspect! [] {4}
            heard 1 via - 11:00:06
            raw of 1
        "#]],
    );
}

#[test]
fn another_length_than_configured_is_marked_and_held() {
    check_bundle(
        ELECTRIC,
        r#"{"v":1,"meter":"E-1","series":[{"field":"energy_import","unit":"kWh","len":1800,
        "end":"2026-11-21T10:30:00Z","exp":-3,"values":[120]}]}"#,
        "11:00:06",
        expect![[r#"
            interval 1/1 to 10:30:00 value 120000 suspect! ["long"] {3}
            heard 1 via - 11:00:06
            raw of 1
        "#]],
    );
}

#[test]
fn a_clock_that_is_ahead_is_an_event_once() {
    check_bundle(
        ELECTRIC,
        r#"{"v":1,"meter":"E-1","sent":"2026-11-21T10:20:00Z","series":[{"field":"energy_import",
        "unit":"kWh","len":900,"end":"2026-11-21T10:15:00Z","exp":-3,"values":[120]}]}"#,
        "10:15:30",
        expect![[r#"
            interval 1/1 to 10:15:00 value 120000 raw! [] {7}
            event meter 1 10:20:00 clock_error seq 7 number 270 `device clock ahead by 270 s`
            heard 1 via - 10:15:30
            raw of 1
        "#]],
    );
}

#[test]
fn a_value_beyond_all_measure_is_a_dead_letter_and_the_others_are_kept() {
    check_bundle(
        ELECTRIC,
        r#"{"v":1,"meter":"E-1","series":[{"field":"energy_import","unit":"kWh","len":900,
        "end":"2026-11-21T10:15:00Z","exp":0,"values":[5,5000000000000000]}]}"#,
        "11:00:06",
        expect![[r#"
            interval 1/1 to 10:15:00 value 5000000 raw [] {}
            heard 1 via - 11:00:06
            dead out_of_range ami:E-1 reads 1 
            raw of 1
        "#]],
    );
}

#[test]
fn details_are_cut_and_their_first_number_is_told_to_the_rules() {
    assert_eq!(super::number_in("bin=17 x=2"), 17);
    assert_eq!(super::number_in("none"), 0);
    assert_eq!(super::number_in("99999999999"), 0);
    assert!(super::cut(&"é".repeat(400)).len() <= 400);
    assert_eq!(super::cut("a\0b"), "a?b");
}

#[test]
fn a_frame_number_that_comes_again_with_other_bytes_keeps_both_and_is_told() {
    let mut core = core(&registry(&["deveui:0101010101010101; ; f_cnt instant V 1 0 0 0 0"]));
    let uplink = |time: &str, count: u32, data: &str| {
        let payload = format!(
            r#"{{"deviceInfo":{{"devEui":"0101010101010101"}},"time":"{}","fCnt":{count},
            "fPort":1,"data":"{data}"}}"#,
            at(time)
        );
        frame("application/1/device/0101010101010101/event/up", &payload, "23:59")
    };
    let frames = [
        uplink("10:00", 17, "AQI="),
        // The same again, as a broker may deliver it.
        uplink("10:00", 17, "AQI="),
        uplink("10:15", 17, "AwQ="),
        uplink("10:30", 18, "AwQ="),
    ];
    let accepted = core.accept(&frames, at("23:59"));
    expect![[r#"
        register 1/1 10:00:00 raw 17 value 17000 raw [] {}
        register 1/1 10:00:00 raw 17 value 17000 raw [] {}
        register 1/1 10:15:00 raw 17 value 17000 raw [] {}
        register 1/1 10:30:00 raw 18 value 18000 raw [] {}
        event meter 1 10:15:00 meter_flag seq 17 number 17 `f_cnt 17 came again with another payload`
    "#]].assert_eq(&shown(&accepted, &["register", "event"]));
}

#[test]
fn a_frame_without_a_number_is_frame_0_only_after_one_that_had_a_number() {
    let mut core = core(&registry(&["deveui:0101010101010101; ; f_cnt instant V 1 0 0 0 0"]));
    let uplink = |time: &str, count: &str, data: &str| {
        let payload = format!(
            r#"{{"deviceInfo":{{"devEui":"0101010101010101"}},"time":"{}",{count}
            "fPort":1,"data":"{data}"}}"#,
            at(time)
        );
        frame("application/1/device/0101010101010101/event/up", &payload, "23:59")
    };
    // A sender that counts no frames, then one whose counter begins again: 0 is left out.
    let frames = [
        uplink("10:00", "", "AQI="),
        uplink("10:15", "", "AwQ="),
        uplink("10:30", "", "BQY="),
        uplink("10:45", r#""fCnt":65535,"#, "AQI="),
        uplink("11:00", "", "AwQ="),
        uplink("11:15", r#""fCnt":0,"#, "BQY="),
    ];
    let accepted = core.accept(&frames, at("23:59"));
    expect![[r#"
        event meter 1 11:15:00 meter_flag seq 0 number 0 `f_cnt 0 came again with another payload`
    "#]]
    .assert_eq(&shown(&accepted, &["event"]));
}

#[test]
fn a_polled_gateway_beats_as_the_collector_that_it_is() {
    let mut core = core(&registry(&[ELECTRIC]));
    let payload = format!(
        r#"{{"v":1,"source":"collector:C-01","gateway":"C-01","unit":0,"collector":"C-01",
        "profile":"","reads":[],"events":[{{"code":"heartbeat","at":"{}"}}]}}"#,
        at("10:00")
    );
    let accepted = core.accept(&[frame("$modbus/C-01/0", &payload, "10:00:01")], at("10:00:01"));
    expect![[r#"
        event collector 1 10:00:00 heartbeat seq 0 number 0 ``
    "#]]
    .assert_eq(&shown(&accepted, &["event", "dead"]));
}
