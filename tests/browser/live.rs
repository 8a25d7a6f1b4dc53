use std::time::Duration;

use crate::demo::{Demo, TURN};
use crate::kit::program::wait_for;
use crate::webdriver::{Browser, Size};

const SIZE: Size = Size { width: 1_280, height: 720 };
/// Real seconds: at 60x the faults of live time are found within these.
const LIVE_S: u64 = 150;

const ROWS: &str = "return [...document.querySelectorAll('#issue-rows tr')].map(row => row.id)";

#[test]
fn an_issue_appears_without_a_reload_and_a_stopped_server_is_told() {
    let _turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let test = "an_issue_appears_without_a_reload_and_a_stopped_server_is_told";
    let Some(mut demo) = Demo::start(test, LIVE_S) else { return };
    let browser = Browser::open(SIZE);
    browser.go(&demo.url("/issues"));
    browser.run("window.notReloaded = true");
    let rows = || -> Vec<String> { serde_json::from_value(browser.run(ROWS)).unwrap() };
    let before = rows();
    assert!(!before.is_empty());
    let told = wait_for(Duration::from_secs(10), || browser.text("#live") == "live");
    assert!(told, "the page calls itself `{}`", browser.text("#live"));
    let appeared =
        wait_for(Duration::from_secs(LIVE_S), || rows().iter().any(|row| !before.contains(row)));
    assert!(appeared, "no issue appeared in {LIVE_S} s");
    assert_eq!(browser.run("return window.notReloaded"), true, "the page was loaded again");
    assert!(browser.complaints().is_empty());

    demo.stop();
    let stale = wait_for(Duration::from_secs(15), || browser.text("#live").starts_with("stale"));
    assert!(stale, "the page calls itself `{}`", browser.text("#live"));
    assert_eq!(browser.run("return document.body.classList.contains('is-stale')"), true);
    assert!(!rows().is_empty(), "what was shown is gone");
}
