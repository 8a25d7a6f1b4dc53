//! A JSON meter that nobody foresaw: described, tried and taken live in the browser, provisioned,
//! and read, while the head-end runs on. It is the walkthrough of the README.

use crate::acts::{LIMIT, fill, shows};
use crate::demo::TURN;
use crate::head_end::HeadEnd;
use crate::kit::program::wait_for;
use crate::webdriver::{Browser, Size, http};

const SIZE: Size = Size { width: 1_280, height: 720 };
const FORM: &str = "form[action='/payloads/try']";
const TOPIC: &str = "workshop/press-3/state";

const MAPPING: &str = r#"[mapping]
name = "workshop"
note = "Presses of the workshop"
filter = "workshop/+/state"
id = 2

[time]
path = "/t"
format = "epoch_ms"

[[channel]]
field = "total"
path = "/meter/kwh"
unit = "kWh"
kind = "cumulative"

[[channel]]
field = "power"
path = "/meter/w"
unit = "W"
kind = "instant"

[[event]]
path = "/cover"
equals = "open"
event = "cover_opened"
"#;

const METERS: &str = "\
meter,source,commodity,address,field,reading_type,kind,unit,decimals,interval
E-77,mqtt:press-3,electricity,Workshop,total,energy_active_import,register,kWh,3,15m
";

fn payload(kwh: &str) -> String {
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
    let millis = now.as_millis();
    format!("{{\"t\":{millis},\"meter\":{{\"kwh\":{kwh},\"w\":-3}},\"cover\":\"shut\"}}")
}

#[test]
fn a_json_meter_that_nobody_foresaw_is_brought_in_live_without_code() {
    let _turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let test = "a_json_meter_that_nobody_foresaw_is_brought_in_live_without_code";
    let Some(head_end) = HeadEnd::start(test) else { return };
    let browser = Browser::open(SIZE);

    // A typing error is told with its line and changes nothing.
    browser.go(&head_end.url("/payloads"));
    let wrong = MAPPING.replace("path = \"/meter/kwh\"", "pth = \"/meter/kwh\"");
    let message = payload("812.5");
    let fields = [("topic", TOPIC), ("payload", &message), ("mapping", &wrong)];
    fill(&browser, FORM, &fields, "button[value=try]");
    shows(&browser, "line 13: [[channel]] has no key `pth`");

    let fields = [("topic", TOPIC), ("payload", &message), ("mapping", MAPPING)];
    fill(&browser, FORM, &fields, "button[value=try]");
    shows(&browser, "What this message would become");
    shows(&browser, "812.5 kWh");
    shows(&browser, "no meter yet");
    browser.picture("payloads-tried");

    let reason = [("reason", "new presses in the workshop")];
    fill(&browser, FORM, &reason, "button[value=apply]");
    shows(&browser, "workshop is live");
    browser.picture("payloads-live");
    assert!(browser.complaints().is_empty());

    // The head-end runs on and listens now; the device waits for commissioning.
    let waiting = || {
        head_end.publish(TOPIC, &payload("812.6"));
        browser.go(&head_end.url("/commissioning"));
        browser.text("main").contains("mqtt:press-3")
    };
    assert!(wait_for(LIMIT, waiting), "not heard: {}", browser.text("main"));

    head_end.provision(METERS);
    head_end.publish(TOPIC, &payload("812.75"));
    let stored = || {
        let answer = http(head_end.console, "GET", "/api/v1/meters/E-77/registers", "");
        let text = answer.to_string();
        // What was sent before it was provisioned came back too.
        text.contains("812750") && text.contains("812600")
    };
    assert!(wait_for(LIMIT, stored), "{}", {
        http(head_end.console, "GET", "/api/v1/meters/E-77/registers", "")
    });
    browser.go(&head_end.url("/meters/E-77"));
    shows(&browser, "812.75");
    browser.picture("payloads-meter");
}
