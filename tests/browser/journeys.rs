//! What staff do all day, by hand in a real browser: review a day, hand issues over, silence an alarm.

use std::time::Duration;

use crate::demo::{Demo, TURN};
use crate::kit::program::wait_for;
use crate::webdriver::{Browser, Size};

const SIZE: Size = Size { width: 1_280, height: 720 };
const LIVE_S: u64 = 170;
/// Only a fleet of this size has meters whose intervals do not fit their register.
const METERS: u32 = 200;

fn shows(browser: &Browser, what: &str) {
    let there =
        wait_for(Duration::from_secs(15), || browser.text("main").contains(what) && idle(browser));
    assert!(there, "no `{what}` on {}: {}", address(browser), browser.text("main"));
}

fn idle(browser: &Browser) -> bool {
    browser.run("return document.readyState") == "complete"
}

fn address(browser: &Browser) -> String {
    browser.run("return location.pathname").as_str().unwrap_or_default().to_owned()
}

/// Fills fields by name and sends their form with its first button, or with the one asked for.
fn send(browser: &Browser, form: &str, fields: &[(&str, &str)], button: &str) {
    let fields: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!("form.elements.namedItem({name:?}).value = {value:?};"))
        .collect();
    let script = format!(
        "const form = document.querySelector({form:?});
         form.closest('details')?.setAttribute('open', '');
         {}
         const button = form.querySelector({button:?});
         setTimeout(() => form.requestSubmit(button), 0);
         return button !== null",
        fields.join("\n")
    );
    assert_eq!(browser.run(&script), true, "no {button} in {form} on {}", address(browser));
}

/// Addresses of the days that wait.
fn days(browser: &Browser, demo: &Demo) -> Vec<String> {
    browser.go(&demo.url("/readings"));
    let rows = "return [...document.querySelectorAll('[data-list] th a')].map(a => a.pathname)";
    serde_json::from_value(browser.run(rows)).unwrap()
}

#[test]
fn a_suspect_day_is_estimated_kept_edited_and_taken_back() {
    let _turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let test = "a_suspect_day_is_estimated_kept_edited_and_taken_back";
    let Some(demo) = Demo::start_with(test, LIVE_S, METERS) else { return };
    let browser = Browser::open(SIZE);
    let waiting = days(&browser, &demo);
    assert!(!waiting.is_empty(), "the demo plants a day whose pulses were lost");
    let day = demo.url(&waiting[0]);
    let form = "form[action$='/estimate']";
    let reopen = || browser.go(&day);

    reopen();
    shows(&browser, "suspect");
    assert!(browser.text("table.methods").contains('%'), "{}", browser.text("table.methods"));
    browser.picture("review-before");
    send(&browser, form, &[("reason", "register is right")], "button[data-key=Enter]");
    shows(&browser, "estimated,");
    reopen();
    shows(&browser, "nothing needs to be decided");
    assert!(
        browser.text("dl.sum").contains("agrees with the register"),
        "{}",
        browser.text("main")
    );
    send(&browser, form, &[("reason", "looked again")], "button[data-key=u]");
    shows(&browser, "taken back,");
    shows(&browser, "suspect");

    send(&browser, form, &[("reason", "the customer confirms")], "button[formaction$='/accept']");
    shows(&browser, "kept as read,");
    reopen();
    send(&browser, form, &[("reason", "it was a mistake")], "button[data-key=u]");
    shows(&browser, "taken back,");

    // One value by hand; the rest stays as it is.
    browser.run(
        "document.querySelectorAll('input.cell').forEach((cell, at) => {
                     cell.value = at === 0 ? '1' : '' })",
    );
    let edit = "form[action$='/edit']";
    send(&browser, edit, &[("reason", "read again on the phone")], "button.first");
    shows(&browser, "edited, 1 interval");
    let told = "SELECT count(*) FROM interval_exception WHERE note = 'read again on the phone' \
                AND status = 6";
    assert_eq!(demo.number(told), 1);
    assert!(browser.complaints().is_empty());
}

#[test]
fn issues_are_assigned_and_merged_and_an_alarm_is_silenced() {
    let _turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let test = "issues_are_assigned_and_merged_and_an_alarm_is_silenced";
    let Some(demo) = Demo::start_with(test, LIVE_S, METERS) else { return };
    let browser = Browser::open(SIZE);
    let list = demo.api("/issues?limit=50");
    let open: Vec<i64> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|issue| issue["state"] == "DETECTED" && issue["subject_kind"] == "meter")
        .filter_map(|issue| issue["number"].as_i64())
        .collect();
    // Without a hold: one that is held is merged only into another issue of its meter.
    let held = |number: &&i64| !demo.api(&format!("/issues/{number}"))["billing_hold"].is_null();
    let free: Vec<&i64> = open.iter().filter(|number| !held(number)).collect();
    assert!(free.len() >= 2, "{list}");
    let (stays, ends) = (free[0], free[1]);

    browser.go(&demo.url(&format!("/issues/{stays}")));
    send(&browser, "form[action$='/assign']", &[("assignee", "Kim")], "button");
    shows(&browser, "with Kim");
    shows(&browser, "being worked on");

    browser.go(&demo.url(&format!("/issues/{ends}")));
    let fields = [("into", stays.to_string()), ("text", "the same cable".to_owned())];
    let fields: Vec<(&str, &str)> = fields.iter().map(|(n, v)| (*n, v.as_str())).collect();
    send(&browser, "form[action$='/merge']", &fields, "button");
    shows(&browser, "merged into another");
    shows(&browser, "the same cable");
    browser.go(&demo.url(&format!("/issues/{stays}")));
    shows(&browser, &format!("issue {ends} was merged into this one"));
    browser.picture("merged");

    browser.go(&demo.url("/alarms"));
    let fields = [("rule", "38"), ("length_s", "3600"), ("reason", "the main is being flushed")];
    send(&browser, "form[action='/alarms/shelve']", &fields, "button");
    shows(&browser, "the main is being flushed");
    send(&browser, "form[action='/alarms/unshelve']", &[], "button");
    shows(&browser, "Nothing is silenced.");
    assert!(browser.complaints().is_empty());
}
