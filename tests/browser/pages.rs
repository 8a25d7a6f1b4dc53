use std::time::Duration;

use crate::demo::{Demo, TURN};
use crate::kit::program::wait_for;
use crate::webdriver::{Browser, Size};

const SIZES: [Size; 2] = [Size { width: 1_280, height: 720 }, Size { width: 390, height: 844 }];
/// A day that lies in the demo's history, 24 hours long.
const DAY: &str = "from=2026-11-18&to=2026-11-19";

fn paths(demo: &Demo) -> Vec<String> {
    let issue = &demo.api("/issues")["items"][0];
    let collector = &demo.api("/collectors")["items"][0];
    let meter = meter(demo);
    vec![
        "/".to_owned(),
        "/meters".to_owned(),
        "/meters?q=Mill".to_owned(),
        format!("/meters/{meter}"),
        format!("/meters/{meter}?tab=registers"),
        format!("/meters/{meter}?tab=events"),
        format!("/meters/{meter}?tab=raw"),
        "/issues".to_owned(),
        format!("/issues/{}", issue["number"]),
        "/collectors".to_owned(),
        format!("/collectors/{}", collector["code"].as_str().unwrap()),
        "/commissioning".to_owned(),
        "/dead-letters".to_owned(),
        "/files".to_owned(),
        "/payloads".to_owned(),
        "/modbus".to_owned(),
        "/readings".to_owned(),
        format!("/readings/{meter}/1/2026-11-18"),
        "/estimates".to_owned(),
        "/alarms".to_owned(),
        "/rules".to_owned(),
        "/rules/WTR-CONT".to_owned(),
        "/rules/numbers".to_owned(),
        "/rules/shadow".to_owned(),
        "/rules/versions".to_owned(),
        "/rules/backtest".to_owned(),
        "/zones".to_owned(),
        "/zones/Z-1".to_owned(),
        "/transformers".to_owned(),
        "/system".to_owned(),
        "/search?q=E-1".to_owned(),
    ]
}

/// An electricity meter that reports.
fn meter(demo: &Demo) -> String {
    let list = demo.api("/meters?commodity=electricity&status=reporting&limit=1");
    list["items"][0]["number"].as_str().unwrap_or_else(|| panic!("{list}")).to_owned()
}

#[test]
fn every_page_fits_both_screens_and_asks_only_its_host() {
    let _turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let test = "every_page_fits_both_screens_and_asks_only_its_host";
    let Some(demo) = Demo::start(test, 150) else { return };
    let paths = paths(&demo);
    let own = demo.url("/");
    for size in SIZES {
        let browser = Browser::open(size);
        for path in &paths {
            browser.go(&demo.url(path));
            let name: String =
                path.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
            browser.picture(&format!("{}{name}", size.width));
            let overflow = "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
            let overflow = browser.run(overflow).as_i64();
            assert_eq!(overflow, Some(0), "{path} is too wide for {size:?}");
            let title = browser.run("return document.title");
            assert!(title.as_str().is_some_and(|title| title.contains("Demo utility")), "{path}");
            let complaints = browser.complaints();
            assert!(complaints.is_empty(), "{path} at {size:?}: {complaints:?}");
        }
        let requests = browser.requests();
        assert!(requests.len() > paths.len(), "{requests:?}");
        // The browser's own first page is not ours.
        let outside = |url: &&String| url.starts_with("http") || url.starts_with("ws");
        let foreign = |url: &&String| outside(url) && !url.starts_with(&own);
        let foreign: Vec<&String> = requests.iter().filter(foreign).collect();
        assert!(foreign.is_empty(), "asked elsewhere: {foreign:?}");
    }
}

#[test]
fn the_pointer_shows_what_the_database_holds_and_a_drag_zooms() {
    let _turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let test = "the_pointer_shows_what_the_database_holds_and_a_drag_zooms";
    let Some(demo) = Demo::start(test, 120) else { return };
    let meter = meter(&demo);
    let browser = Browser::open(SIZES[0]);
    let page = demo.url(&format!("/meters/{meter}?{DAY}"));
    browser.go(&page);
    let place = |share: f64| {
        let script = format!(
            "const svg = document.querySelector('svg[data-buckets]');
             svg.scrollIntoView({{block: 'center'}});
             const box = svg.querySelector('.hit').getBoundingClientRect();
             return [Math.round(box.left + box.width * {share}),
                     Math.round(box.top + box.height / 2)]"
        );
        let at = browser.run(&script);
        (at[0].as_i64().unwrap(), at[1].as_i64().unwrap())
    };
    for share in [0.11, 0.37, 0.52, 0.84] {
        browser.point(&[place(share)], false);
        let shown = browser.text("output.read b");
        let bucket = "const svg = document.querySelector('svg[data-buckets]');
             return JSON.parse(svg.dataset.buckets)[svg.getAttribute('aria-valuenow')]";
        let bucket = browser.run(bucket);
        let (start, end) = (bucket[0].as_i64().unwrap(), bucket[1].as_i64().unwrap());
        assert_eq!(end - start, 900, "{bucket}");
        // mWh of the interval that the pointer is on.
        let stored = demo.number(&format!(
            "SELECT value FROM read_interval JOIN meter USING (meter_id)
             WHERE number = '{meter}' AND channel = 1 AND starts_at = to_timestamp({start})"
        ));
        let (number, unit) = shown.split_once(' ').unwrap_or_else(|| panic!("`{shown}`"));
        assert_eq!(unit, "Wh", "{shown}");
        let shown_milli = format!("{number}000").parse::<i64>();
        assert_eq!(shown_milli, Ok(stored), "{shown}");
    }
    browser.point(&[place(0.25), place(0.4), place(0.5)], true);
    let zoomed = wait_for(Duration::from_secs(5), || {
        browser.run("return location.search").as_str().is_some_and(|s| s.contains("T"))
    });
    assert!(zoomed, "the drag changed nothing: {}", browser.run("return location.href"));
    let buckets = "return JSON.parse(document.querySelector('svg[data-buckets]').dataset.buckets)";
    let count = |buckets: serde_json::Value| buckets.as_array().unwrap().len();
    assert!(count(browser.run(buckets)) < 96);
    browser.back();
    assert_eq!(browser.run("return location.href").as_str(), Some(page.as_str()));
    assert_eq!(count(browser.run(buckets)), 96);
    assert!(browser.complaints().is_empty());
}
