use expect_test::{Expect, expect};

use super::core::Frame;
use super::testkit::{core, frame, registry, told};

/// An IDM line of five slots, newest first, as rtlamr prints it.
fn idm(time: &str, count: u8, consumption: i64, newest_first: &str) -> Frame {
    let line = format!(
        r#"{{"Time":"2026-11-21T{time}Z","Type":"IDM","Message":{{"ERTSerialNumber":7,"ConsumptionIntervalCount":{count},"LastConsumptionCount":{consumption},"DifferentialConsumptionIntervals":[{newest_first}],"TransmitTimeOffset":160}}}}"#
    );
    frame("amr/C-01/rtlamr", &line, time)
}

fn check(meter: &str, frames: &[Frame], want: Expect) {
    let mut core = core(&registry(&[meter]));
    let mut text = String::new();
    for frame in frames {
        let accepted = core.accept(std::slice::from_ref(frame), frame.received_at);
        text.push_str("---\n");
        text.push_str(&told(&accepted));
    }
    want.assert_eq(&text);
}

#[test]
fn slots_are_stored_once_however_often_they_are_heard() {
    check(
        "ert:7; ; interval interval Wh 1 0 0 300 0; idm.consumption register Wh 1 0 0 0 0",
        &[
            idm("10:00:20", 254, 115, "5,4,3,2,1"),
            // The same telegram by another receiver, whose clock is half a minute behind.
            idm("09:59:50", 254, 115, "5,4,3,2,1"),
            // Three slots later, over the wrap of the count.
            idm("10:15:20", 1, 136, "8,7,6,5,4"),
            // Ten slots later: five were never heard.
            idm("11:05:20", 11, 210, "18,17,511,15,14"),
            // A telegram that was told late.
            idm("10:30:20", 4, 160, "11,10,9,8,7"),
        ],
        expect![[r#"
            ---
            register 1/2 10:00:20 raw 115 value 115000 raw [] {}
            interval 1/1 to 09:40:00 value 1000 raw [] {}
            interval 1/1 to 09:45:00 value 2000 raw [] {}
            interval 1/1 to 09:50:00 value 3000 raw [] {}
            interval 1/1 to 09:55:00 value 4000 raw [] {}
            interval 1/1 to 10:00:00 value 5000 raw [] {}
            heard 1 via 1 10:00:20
            raw of 1
            ---
            heard 1 via 1 09:59:50
            raw of 1
            folded 6
            ---
            register 1/2 10:15:20 raw 136 value 136000 raw [] {}
            interval 1/1 to 10:05:00 value 6000 raw [] {}
            interval 1/1 to 10:10:00 value 7000 raw [] {}
            interval 1/1 to 10:15:00 value 8000 raw [] {}
            heard 1 via 1 10:15:20
            raw of 1
            folded 2
            ---
            register 1/2 11:05:20 raw 210 value 210000 raw [] {}
            interval 1/1 to 10:45:00 value 14000 raw [] {}
            interval 1/1 to 10:50:00 value 15000 raw [] {}
            interval 1/1 to 11:00:00 value 17000 raw [] {}
            interval 1/1 to 11:05:00 value 18000 raw [] {}
            heard 1 via 1 11:05:20
            raw of 1
            ---
            register 1/2 10:30:20 raw 160 value 160000 raw [] {}
            interval 1/1 to 10:10:00 value 7000 raw [] {}
            interval 1/1 to 10:15:00 value 8000 raw [] {}
            interval 1/1 to 10:20:00 value 9000 raw [] {}
            interval 1/1 to 10:25:00 value 10000 raw [] {}
            interval 1/1 to 10:30:00 value 11000 raw [] {}
            heard 1 via 1 10:30:20
            raw of 1
        "#]],
    );
}

#[test]
fn the_length_of_a_slot_is_the_channels() {
    check(
        "ert:7; ; interval interval Wh 1 0 0 900 0",
        &[idm("10:00:20", 10, 115, "3,2,1"), idm("10:15:20", 11, 119, "4,3,2")],
        expect![[r#"
            ---
            interval 1/1 to 09:30:00 value 1000 raw [] {}
            interval 1/1 to 09:45:00 value 2000 raw [] {}
            interval 1/1 to 10:00:00 value 3000 raw [] {}
            heard 1 via 1 10:00:20
            raw of 1
            unmapped 1
            ---
            interval 1/1 to 10:15:00 value 4000 raw [] {}
            heard 1 via 1 10:15:20
            raw of 1
            folded 2
            unmapped 1
        "#]],
    );
}

#[test]
fn a_channel_may_take_one_kind_of_telegram_alone() {
    let scm = super::testkit::scm(7, 9_999, "2026-11-21T10:00:30Z");
    check(
        "ert:7; ; idm.consumption register Wh 1 0 0 0 0",
        &[idm("10:00:20", 254, 115, "5"), frame("amr/C-01/rtlamr", &scm, "10:00:31")],
        expect![[r#"
            ---
            register 1/1 10:00:20 raw 115 value 115000 raw [] {}
            heard 1 via 1 10:00:20
            raw of 1
            unmapped 1
            ---
            heard 1 via 1 10:00:30
            raw of 1
            unmapped 1
        "#]],
    );
}
