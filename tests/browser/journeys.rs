//! What staff do all day, by hand in a real browser: review a day, hand issues over, silence an alarm.

use crate::acts::{fill, shows};
use crate::demo::{Demo, TURN};
use crate::webdriver::{Browser, Size};

const SIZE: Size = Size { width: 1_280, height: 720 };
const LIVE_S: u64 = 170;
/// Only a fleet of this size has meters whose intervals do not fit their register.
const METERS: u32 = 200;

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
    fill(&browser, form, &[("reason", "register is right")], "button[data-key=Enter]");
    shows(&browser, "estimated,");
    reopen();
    shows(&browser, "nothing needs to be decided");
    assert!(
        browser.text("dl.sum").contains("agrees with the register"),
        "{}",
        browser.text("main")
    );
    fill(&browser, form, &[("reason", "looked again")], "button[data-key=u]");
    shows(&browser, "taken back,");
    shows(&browser, "suspect");

    fill(&browser, form, &[("reason", "the customer confirms")], "button[formaction$='/accept']");
    shows(&browser, "kept as read,");
    reopen();
    fill(&browser, form, &[("reason", "it was a mistake")], "button[data-key=u]");
    shows(&browser, "taken back,");

    // One value by hand; the rest stays as it is.
    browser.run(
        "document.querySelectorAll('input.cell').forEach((cell, at) => {
                     cell.value = at === 0 ? '1' : '' })",
    );
    let edit = "form[action$='/edit']";
    fill(&browser, edit, &[("reason", "read again on the phone")], "button.first");
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
    fill(&browser, "form[action$='/assign']", &[("assignee", "Kim")], "button");
    shows(&browser, "with Kim");
    shows(&browser, "being worked on");

    browser.go(&demo.url(&format!("/issues/{ends}")));
    let fields = [("into", stays.to_string()), ("text", "the same cable".to_owned())];
    let fields: Vec<(&str, &str)> = fields.iter().map(|(n, v)| (*n, v.as_str())).collect();
    fill(&browser, "form[action$='/merge']", &fields, "button");
    shows(&browser, "merged into another");
    shows(&browser, "the same cable");
    browser.go(&demo.url(&format!("/issues/{stays}")));
    shows(&browser, &format!("issue {ends} was merged into this one"));
    browser.picture("merged");

    browser.go(&demo.url("/alarms"));
    let fields = [("rule", "38"), ("length_s", "3600"), ("reason", "the main is being flushed")];
    fill(&browser, "form[action='/alarms/shelve']", &fields, "button");
    shows(&browser, "the main is being flushed");
    fill(&browser, "form[action='/alarms/unshelve']", &[], "button");
    shows(&browser, "Nothing is silenced.");
    assert!(browser.complaints().is_empty());
}

#[test]
fn a_proposed_estimate_is_judged_and_the_lists_of_the_network_lead_to_trouble() {
    let _turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let test = "a_proposed_estimate_is_judged_and_the_lists_of_the_network_lead_to_trouble";
    let Some(demo) = Demo::start_with(test, LIVE_S, METERS) else { return };
    let browser = Browser::open(SIZE);
    browser.go(&demo.url("/estimates?state=PROPOSED"));
    let first = browser.run("return document.querySelector('[data-list] th a').pathname");
    let page = demo.url(first.as_str().expect("the demo proposes estimates"));
    browser.go(&page);
    shows(&browser, "proposed");
    shows(&browser, "Methods side by side");
    browser.picture("estimate-before");
    let form = "form[action^='/estimates/']";
    let waiting = "SELECT count(*) FROM estimation WHERE state = 'PROPOSED'";
    let before = demo.number(waiting);
    let accept = "button[formaction$='/accept']";
    fill(&browser, form, &[("reason", "the tenant was there")], accept);
    shows(&browser, "in force");
    shows(&browser, "the tenant was there");
    assert_eq!(demo.number(waiting), before - 1);
    let back = "button[formaction$='/roll-back']";
    fill(&browser, form, &[("reason", "the house was empty")], back);
    shows(&browser, "taken back");
    shows(&browser, "the house was empty");

    // From the fleet to the zones, worst first, and down to the meters of the worst.
    browser.go(&demo.url("/zones"));
    shows(&browser, "with open issues, the worst first");
    let down = "document.querySelector('#node-rows th a').click(); return true";
    browser.run(down);
    shows(&browser, "Meters in it");
    let up = "document.querySelector('.crumbs a[href=\"/zones\"]').click(); return true";
    browser.run(up);
    shows(&browser, "Reporting");
    browser.go(&demo.url("/transformers"));
    shows(&browser, "Transformers");
    assert!(browser.complaints().is_empty());
}
