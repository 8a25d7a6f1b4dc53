//! The console's pages through the router: what they say, that they are well formed, that nothing
//! foreign gets in and nothing hostile gets out.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use headend::api::{WebSettings, WebState};
use headend::clock::SteppedClock;
use headend::console::{self, ConsoleState};
use headend::telemetry::Telemetry;
use metering::UtcTime;
use store::Database;
use tokio::sync::watch;
use tower::ServiceExt as _;

use super::call::{Answer, NOW};
use super::html::Page;
use crate::kit::database::fresh;

const SEED: &str = include_str!("../../../store/tests/store/views/seed.sql");
const HOSTILE: &str = include_str!("hostile.sql");
const HOST: &str = "127.0.0.1:8080";

/// Every kind of page of the seeded utility.
const PAGES: [&str; 49] = [
    "/",
    "/?range=3h",
    "/meters",
    "/meters?zone=N&status=reporting&sort=last-heard&cols=kind&cols=class",
    "/meters?q=nothing-like-this",
    "/meters/W-001",
    "/meters/W-001?from=2026-06-10T08:00&to=2026-06-10T14:00&tz=America/New_York",
    "/meters/W-001?range=year&compare=week",
    "/meters/W-001?channel=2",
    "/meters/W-001?tab=readings&at=2026-06-05T09:00:00Z&from=2026-06-05&to=2026-06-06",
    "/meters/W-001?tab=registers&range=day",
    "/meters/W-001?tab=events",
    "/meters/W-001?tab=issues",
    "/meters/W-001?tab=raw",
    "/meters/W-001?tab=configuration",
    "/meters/W-002",
    "/meters/E-004",
    "/issues",
    "/issues?set=closed&family=COMM&severity=3&zone=N&q=W",
    "/issues/1",
    "/issues/3",
    "/collectors",
    "/collectors/C-02",
    "/commissioning",
    "/dead-letters",
    "/files",
    "/readings",
    "/readings?rule=INT-SPIKE&commodity=water&age=7&q=W",
    "/readings/W-001/1/2026-06-09",
    "/readings/W-001/1/2026-06-09?range=week",
    "/estimates",
    "/estimates?state=PROPOSED&method=5&class=C&commodity=water&q=W",
    "/alarms",
    "/rules",
    "/rules/WTR-CONT",
    "/rules/ING-TIME",
    "/rules/numbers",
    "/rules/numbers?mark=std",
    "/rules/shadow",
    "/rules/versions",
    "/rules/backtest",
    "/zones",
    "/zones?q=nor",
    "/zones/N",
    "/transformers",
    "/transformers?q=none-of-these",
    "/system",
    "/modbus",
    "/search?q=mill",
];

/// The console over a database of its own.
pub(super) struct ConsoleRig {
    pub(super) router: Router,
    pub(super) database: Database,
    pub(super) clock: Arc<SteppedClock>,
    pub(super) stop: watch::Sender<bool>,
}

impl ConsoleRig {
    /// `None` after saying that the test is skipped.
    pub(super) async fn seeded(test: &str, more: &str) -> Option<Self> {
        let database = fresh(test).await?;
        let client = database.client().await.unwrap();
        client.batch_execute(SEED).await.unwrap();
        client.batch_execute(more).await.unwrap();
        drop(client);
        let clock = SteppedClock::starting_at(UtcTime::parse_rfc3339(NOW).unwrap());
        let settings =
            WebSettings { utility: "Northmoor".to_owned(), zone: "Europe/Berlin".to_owned() };
        let telemetry = Arc::new(Telemetry::new().unwrap());
        let shared: Arc<dyn headend::clock::Clock> = clock.clone();
        let web = WebState::new(database.clone(), shared, telemetry, settings).unwrap();
        let (stop, stopped) = watch::channel(false);
        let router = console::router(ConsoleState::new(&web, stopped));
        Some(Self { router, database, clock, stop })
    }

    pub(super) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        let request = Request::get(path).header("host", HOST);
        self.send(request.body(Body::empty()).unwrap()).await
    }

    /// A form as a browser sends it from one of our pages.
    pub(super) async fn submit(&self, path: &str, form: &str) -> Answer {
        let request = Request::post(path)
            .header("host", HOST)
            .header("origin", format!("http://{HOST}"))
            .header("content-type", "application/x-www-form-urlencoded");
        self.send(request.body(Body::from(form.to_owned())).unwrap()).await
    }

    async fn page(&self, path: &str) -> String {
        let answer = self.get(path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", words(&answer.text()));
        answer.text()
    }
}

/// The text of a page without its tags, each run of blanks as one.
pub(super) fn words(html: &str) -> String {
    let mut text = String::new();
    let mut inside = false;
    for c in html.chars() {
        match c {
            '<' => inside = true,
            '>' => {
                inside = false;
                text.push(' ');
            }
            c if !inside => text.push(c),
            _ => {}
        }
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace("&#39;", "'")
}

#[tokio::test]
async fn zones_are_listed_with_what_is_wrong_in_them() {
    let Some(rig) = ConsoleRig::seeded("console zones", "").await else { return };
    let html = rig.page("/zones").await;
    let text = words(&html);
    assert!(text.contains("2 zones; 2 with open issues, the worst first."), "{text}");
    let (south, north) = (html.find("id=\"node-S\""), html.find("id=\"node-N\""));
    assert!(south.is_some() && south < north, "the outage of its collector comes first");
    let none = words(&rig.page("/transformers").await);
    assert!(none.contains("No transformer is recorded."), "{none}");
    let up = rig.page("/zones/N").await;
    assert!(up.contains("<a href=\"/zones\">Zones</a>"), "the way back is a link");
}

/// What waits is counted once a second for all pages, and anew after a form.
#[tokio::test]
async fn a_form_is_seen_in_the_counts_of_the_next_page() {
    let Some(rig) = ConsoleRig::seeded("console counts", "").await else { return };
    let waiting = |html: &str| {
        let at = html.find("id=\"nav-issues\"").unwrap();
        let entry = &html[at..];
        let entry = &entry[..entry.find("</li>").unwrap()];
        words(entry)
    };
    let before = waiting(&rig.page("/issues").await);
    let client = rig.database.client().await.unwrap();
    client
        .batch_execute("UPDATE meter_issue SET suppressed = true WHERE issue_id = 'i3'")
        .await
        .unwrap();
    let done = rig.submit("/issues/1/acknowledge", "").await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", words(&done.text()));
    let after = waiting(&rig.page("/issues").await);
    assert_ne!(before, after, "the page after a form counts anew");
}

#[tokio::test]
async fn every_page_is_well_formed_and_readable_without_scripts() {
    let Some(rig) = ConsoleRig::seeded("console pages", "").await else { return };
    for path in PAGES {
        let html = rig.page(path).await;
        let page = Page::read(&html).unwrap_or_else(|fault| panic!("{path}: {fault}"));
        assert_eq!(page.faults(), Vec::<String>::new(), "{path}");
        assert!(html.len() < 500_000, "{path} has {} bytes", html.len());
    }
}

#[tokio::test]
async fn every_answer_carries_the_policy_and_no_link_is_dead() {
    let Some(rig) = ConsoleRig::seeded("console policy", "").await else { return };
    let mut links = std::collections::BTreeSet::new();
    for path in PAGES.into_iter().chain(["/nothing", "/meters/none", "/issues/abc"]) {
        let answer = rig.get(path).await;
        let policy = answer.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{path}");
        assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"), "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("cache-control"), "no-store", "{path}");
        let text = answer.text();
        let page = Page::read(&text).unwrap();
        let addresses = page.elements.iter().flat_map(|e| [e.get("href"), e.get("src")]);
        links.extend(addresses.filter(|link| link.starts_with('/')).map(str::to_owned));
    }
    for link in links.iter().filter(|link| !link.starts_with("/api/")) {
        let link = link.replace("&#38;", "&").replace("&amp;", "&").replace("&#39;", "'");
        let path = link.split('#').next().unwrap().to_owned();
        let answer = rig.get(&path).await;
        assert!(answer.status.is_success() || answer.status.is_redirection(), "{path}");
    }
}

#[tokio::test]
async fn what_devices_and_customers_write_stays_text() {
    let Some(rig) = ConsoleRig::seeded("console hostile", HOSTILE).await else { return };
    let mut seen = 0;
    for path in [
        "/",
        "/meters",
        "/meters?cols=address&cols=account&cols=zone&cols=route&cols=collector",
        "/meters/%3Cscript%3Ealert(1)%3C%2Fscript%3E",
        "/meters/%3Cscript%3Ealert(1)%3C%2Fscript%3E?tab=events",
        "/meters/%3Cscript%3Ealert(1)%3C%2Fscript%3E?tab=raw",
        "/meters/%3Cscript%3Ealert(1)%3C%2Fscript%3E?tab=configuration",
        "/issues",
        "/issues/7",
        "/collectors",
        "/collectors/%3Cimg%20src=x%20onerror=alert(2)%3E",
        "/commissioning",
        "/dead-letters",
        "/search?q=%22%3E%3Cscript%3Ealert(1)",
        "/meters?q=%22%3E%3Cscript%3E&zone='%3E",
        "/meters/%3Cb%3Enone",
    ] {
        let html = rig.get(path).await.text();
        let page = Page::read(&html).unwrap_or_else(|fault| panic!("{path}: {fault}"));
        assert_eq!(page.faults(), Vec::<String>::new(), "{path}");
        for hostile in ["<script>alert", "<img src=x", "onerror=alert(2)>", "<b>none"] {
            assert!(!html.contains(hostile), "{path} lets {hostile} through");
        }
        seen += usize::from(
            html.contains("&#60;script&#62;alert") || html.contains("&lt;script&gt;alert"),
        );
    }
    assert!(seen >= 8, "the hostile texts are shown, as text: {seen}");
}

#[tokio::test]
async fn a_chart_tells_the_values_that_the_database_holds() {
    let Some(rig) = ConsoleRig::seeded("console values", "").await else { return };
    let html = rig.page("/meters/W-001?from=2026-06-10T06:00:00Z&to=2026-06-10T12:00:00Z").await;
    let start = html.find("data-buckets='").unwrap() + "data-buckets='".len();
    let json = html[start..].split('\'').next().unwrap().replace("&#39;", "'");
    let buckets: serde_json::Value = serde_json::from_str(&json.replace("&amp;", "&")).unwrap();
    let client = rig.database.client().await.unwrap();
    let rows = client
        .query(
            "SELECT extract(epoch FROM starts_at)::int8, value FROM read_interval \
             WHERE meter_id = 1 AND channel = 1 AND starts_at >= '2026-06-10 06:00Z' \
             AND starts_at < '2026-06-10 12:00Z' ORDER BY 1",
            &[],
        )
        .await
        .unwrap();
    assert_eq!(rows.len(), 5);
    for row in &rows {
        let (start, milli): (i64, i64) = (row.get(0), row.get(1));
        let bucket = buckets.as_array().unwrap().iter().find(|b| b[0] == start).unwrap();
        let want = format!("{}.{} m³", milli / 1_000_000, milli % 1_000_000 / 100_000);
        assert_eq!(bucket[3], want.as_str());
    }
    assert_eq!(buckets[2][4], "suspect");
    assert_eq!(buckets[5][4], "not yet due");
}

#[tokio::test]
async fn a_meters_page_says_how_it_is_and_shows_versions() {
    let Some(rig) = ConsoleRig::seeded("console meter", "").await else { return };
    let text = words(&rig.page("/meters/W-001").await);
    assert!(text.contains("Reporting; last heard 1 min ago (expected every 1 h)."), "{text}");
    assert!(text.contains("Leak at the customer"), "{text}");
    let silent = words(&rig.page("/meters/W-003").await);
    assert!(silent.contains("No reading for 2 d 12 h (expected every 1 h)."), "{silent}");
    let never = words(&rig.page("/meters/E-004").await);
    assert!(never.contains("Never heard; it should call every 1 h."), "{never}");
    let at = "/meters/W-001?at=2026-06-05T09:00:00Z&from=2026-06-05&to=2026-06-06";
    let versions = words(&rig.page(at).await);
    assert!(versions.contains("as received") && versions.contains("edited"), "{versions}");
    let zone = words(&rig.page("/meters/W-001?tz=Asia/Tokyo&range=day").await);
    assert!(zone.contains("Wed 10 Jun, 19:00–20:00"), "{zone}");
    assert_eq!(rig.get("/meters/W-001?tz=Mars").await.status, StatusCode::BAD_REQUEST);
    assert_eq!(rig.get("/meters/W-001?from=x").await.status, StatusCode::BAD_REQUEST);
    assert_eq!(rig.get("/meters?cursor=zz").await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn an_issue_is_acknowledged_commented_snoozed_and_closed_by_forms() {
    let Some(rig) = ConsoleRig::seeded("console acts", "").await else { return };
    let done = rig.submit("/issues/1/acknowledge", "expected=DETECTED").await;
    assert_eq!((done.status, done.header("location")), (StatusCode::SEE_OTHER, "/issues/1"));
    let page = words(&rig.page("/issues/1").await);
    assert!(page.contains("acknowledged by local operator"), "{page}");
    // Somebody was faster: nothing changes, and the page says so.
    let late = rig.submit("/issues/1/acknowledge", "expected=DETECTED").await;
    assert_eq!(late.status, StatusCode::CONFLICT);
    assert!(words(&late.text()).contains("nothing was changed"));
    rig.submit("/issues/1/comment", "text=fuse+blown+%3Cb%3E").await;
    let page = rig.page("/issues/1").await;
    assert!(words(&page).contains("fuse blown &#60;b&#62;"), "{}", words(&page));
    let empty = rig.submit("/issues/1/comment", "text=++").await;
    assert_eq!(empty.status, StatusCode::BAD_REQUEST);
    let long = rig.submit("/issues/1/snooze", "expected=OPEN&length_s=86400").await;
    assert_eq!(long.status, StatusCode::CONFLICT, "a critical issue sleeps an hour at most");
    let snoozed = rig.submit("/issues/1/snooze", "expected=OPEN&length_s=1800").await;
    assert_eq!(snoozed.status, StatusCode::SEE_OTHER);
    assert!(words(&rig.page("/issues/1").await).contains("snoozed until Wed 10 Jun, 14:30"));
    let form = "expected=OPEN&cause=COLLECTOR_OUTAGE&text=fuse";
    assert_eq!(rig.submit("/issues/1/close", form).await.status, StatusCode::SEE_OTHER);
    let page = words(&rig.page("/issues/1").await);
    assert!(page.contains("Closed: only comments are taken."), "{page}");
    let unknown = rig.submit("/issues/3/close", "cause=GREMLINS").await;
    assert_eq!(unknown.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_form_from_elsewhere_changes_nothing() {
    let Some(rig) = ConsoleRig::seeded("console forgery", "").await else { return };
    let form = |headers: &[(&str, &str)]| {
        let mut request = Request::post("/issues/1/acknowledge");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        request.body(Body::from("expected=DETECTED")).unwrap()
    };
    for headers in [
        vec![("host", HOST)],
        vec![("host", HOST), ("origin", "http://evil.example")],
        vec![("host", HOST), ("origin", "null")],
        vec![("host", "evil.example"), ("origin", "http://evil.example")],
        vec![("host", HOST), ("sec-fetch-site", "cross-site")],
    ] {
        let answer = rig.send(form(&headers)).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{headers:?}");
        assert!(words(&answer.text()).contains("nothing was changed"), "{headers:?}");
    }
    assert!(words(&rig.page("/issues/1").await).contains("not acknowledged"));
}

#[tokio::test]
async fn assets_are_named_by_content_and_kept_for_ever() {
    let Some(rig) = ConsoleRig::seeded("console assets", "").await else { return };
    let html = rig.page("/").await;
    let page = Page::read(&html).unwrap();
    let css = page.all("link").find(|link| link.get("rel") == "stylesheet").unwrap().get("href");
    let answer = rig.get(css).await;
    assert_eq!(answer.header("content-type"), "text/css; charset=utf-8");
    assert!(answer.header("cache-control").contains("immutable"));
    let again = Request::get(css).header("if-none-match", answer.header("etag"));
    let again = rig.send(again.body(Body::empty()).unwrap()).await;
    assert_eq!((again.status, again.body.len()), (StatusCode::NOT_MODIFIED, 0));
    assert_eq!(rig.get("/assets/console.css").await.status, StatusCode::NOT_FOUND);
    let scripts: Vec<&str> = page.all("script").map(|script| script.get("src")).collect();
    assert_eq!(scripts.len(), 3);
    for script in scripts {
        assert_eq!(rig.get(script).await.status, StatusCode::OK, "{script}");
    }
}

#[tokio::test]
async fn refusals_are_pages_in_plain_words() {
    let Some(rig) = ConsoleRig::seeded("console refusals", "").await else { return };
    for (path, status, said) in [
        ("/nowhere", StatusCode::NOT_FOUND, "There is no page at this address."),
        ("/meters/none", StatusCode::NOT_FOUND, "No meter has the number “none”."),
        ("/issues/99", StatusCode::NOT_FOUND, "There is no issue 99."),
        ("/issues?severity=x", StatusCode::BAD_REQUEST, "A severity is a number from 1"),
        ("/collectors/none", StatusCode::NOT_FOUND, "No collector is called “none”."),
        ("/issues/1/acknowledge", StatusCode::METHOD_NOT_ALLOWED, "does not take that kind"),
    ] {
        let answer = rig.get(path).await;
        assert_eq!(answer.status, status, "{path}");
        let text = answer.text();
        assert!(words(&text).contains(said), "{path}: {}", words(&text));
        assert_eq!(Page::read(&text).unwrap().faults(), Vec::<String>::new(), "{path}");
    }
    let found = rig.get("/search?q=w-001").await;
    assert_eq!((found.status, found.header("location")), (StatusCode::SEE_OTHER, "/meters/W-001"));
}
