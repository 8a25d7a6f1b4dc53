//! The live stream: what an open page is sent, when, and how it ends.

use std::time::Duration;

use axum::body::BodyDataStream;
use axum::http::{Request, StatusCode};
use futures_util::StreamExt as _;
use tower::ServiceExt as _;

use super::console::ConsoleRig;

/// One event of a stream.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Event {
    name: String,
    id: String,
    data: String,
}

/// An open stream, read event by event.
struct Listener {
    body: BodyDataStream,
    buffer: String,
}

impl Listener {
    async fn open(rig: &ConsoleRig, path: &str, last_id: Option<&str>) -> Self {
        let mut request = Request::get(path);
        if let Some(id) = last_id {
            request = request.header("last-event-id", id);
        }
        let request = request.body(axum::body::Body::empty()).unwrap();
        let response = rig.router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        let kind = response.headers()["content-type"].to_str().unwrap().to_owned();
        assert_eq!(kind, "text/event-stream");
        Self { body: response.into_body().into_data_stream(), buffer: String::new() }
    }

    /// The next event; `None` when the stream has ended.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some((event, rest)) = self.buffer.split_once("\n\n") {
                let event = parse(event);
                self.buffer = rest.to_owned();
                return Some(event);
            }
            let read = tokio::time::timeout(Duration::from_secs(20), self.body.next());
            let bytes = read.await.expect("an event within 20 s")?;
            self.buffer.push_str(std::str::from_utf8(&bytes.unwrap()).unwrap());
        }
    }

    /// Events up to and with the next clock.
    async fn round(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        loop {
            let event = self.next().await.expect("the stream goes on");
            let last = event.name == "clock";
            events.push(event);
            if last {
                return events;
            }
        }
    }
}

fn parse(text: &str) -> Event {
    let mut event = Event::default();
    for line in text.lines() {
        match line.split_once(": ") {
            Some(("event", name)) => name.clone_into(&mut event.name),
            Some(("id", id)) => id.clone_into(&mut event.id),
            Some(("data", data)) => {
                if !event.data.is_empty() {
                    event.data.push('\n');
                }
                event.data.push_str(data);
            }
            _ => {}
        }
    }
    event
}

fn fragments(events: &[Event]) -> Vec<&Event> {
    events.iter().filter(|event| event.name == "fragment").collect()
}

/// As ingest would: two readings, and the log moves on by two records.
const TWO_READINGS: &str = "INSERT INTO read_interval \
    (starts_at, received_at, value, meter_id, channel, flags) VALUES \
    ('2026-06-10 11:00', '2026-06-10 12:00', 77000, 1, 1, 1), \
    ('2026-06-10 09:00', '2026-06-10 12:00', 5000, 2, 1, 1); \
    UPDATE event_log_head SET next_seq = next_seq + 2";

/// As the issue job would: an issue and its notice.
const NEW_ISSUE: &str = "INSERT INTO meter_issue (issue_id, subject_kind, subject_id, family, \
    cause_detected, state, severity, rule_no, rule, condition_start, detected_at, updated_at) \
    VALUES ('new', 'meter', 3, 'TAMPER', 'TAMPER_SUSPECT', 'DETECTED', 2, 1, 'X', \
    '2026-06-10', '2026-06-10', '2026-06-10'); \
    INSERT INTO console_event (at, topic, key) VALUES ('2026-06-10', 'issue', '7')";

#[tokio::test]
async fn a_page_gets_its_fragments_when_something_happened_and_only_then() {
    let Some(rig) = ConsoleRig::seeded("console stream", "").await else { return };
    let path = "/stream?view=meter&key=W-001&range=day";
    let mut listener = Listener::open(&rig, path, None).await;
    let hello = listener.next().await.unwrap();
    assert_eq!((hello.name.as_str(), hello.data.len()), ("hello", 16));
    let first = listener.round().await;
    assert_eq!(fragments(&first).len(), 5, "navigation, sentence, strip, chart, readings");
    assert!(first.last().unwrap().data.contains("Wed 10 Jun, 14:00:00 CEST"), "{first:?}");
    // Nothing happened: the clock only.
    assert!(fragments(&listener.round().await).is_empty());
    let client = rig.database.client().await.unwrap();
    client.batch_execute(TWO_READINGS).await.unwrap();
    let mut sent = Vec::new();
    while sent.is_empty() {
        sent = fragments(&listener.round().await).into_iter().cloned().collect();
    }
    let chart = sent.iter().find(|event| event.data.contains("id=\"meter-chart\"")).unwrap();
    assert!(chart.data.contains("0.077 m³"), "{}", chart.data);
    let readings = sent.iter().find(|event| event.data.contains("id=\"reading-rows\"")).unwrap();
    assert!(readings.data.contains("0.077"), "{}", readings.data);
    let head: i64 = sent[0].id.split_once('.').unwrap().0.parse().unwrap();
    let before: i64 = hello.id.split_once('.').unwrap().0.parse().unwrap();
    assert_eq!(head, before + 2);
    // The browser comes back with that id: it has everything already.
    let mut again = Listener::open(&rig, path, Some(&sent[0].id)).await;
    assert_eq!(again.next().await.unwrap().name, "hello");
    assert!(fragments(&again.round().await).is_empty());
    // One that knows a future which we do not must load anew.
    let mut foreign = Listener::open(&rig, path, Some("999999999.0")).await;
    let names = [foreign.next().await.unwrap().name, foreign.next().await.unwrap().name];
    assert_eq!(names, ["hello", "resync"]);
}

#[tokio::test]
async fn a_new_issue_reaches_the_open_list() {
    let Some(rig) = ConsoleRig::seeded("console new issue", "").await else { return };
    let mut listener = Listener::open(&rig, "/stream?view=issues", None).await;
    listener.round().await;
    let client = rig.database.client().await.unwrap();
    client.batch_execute(NEW_ISSUE).await.unwrap();
    let mut sent = Vec::new();
    while sent.is_empty() {
        sent = fragments(&listener.round().await).into_iter().cloned().collect();
    }
    let all: String = sent.iter().map(|event| event.data.as_str()).collect();
    assert!(all.contains("Tamper suspected") && all.contains("id=\"nav\""), "{all}");
    assert!(all.contains("id=\"issue-7\""), "{all}");
}

#[tokio::test]
async fn streams_end_when_the_program_stops_and_bad_ones_are_refused() {
    let Some(rig) = ConsoleRig::seeded("console stream end", "").await else { return };
    let mut listener = Listener::open(&rig, "/stream?view=system", None).await;
    listener.round().await;
    rig.stop.send(true).unwrap();
    let end = async { while listener.next().await.is_some() {} };
    tokio::time::timeout(Duration::from_secs(2), end).await.expect("ends within 2 s");
    for path in ["/stream", "/stream?view=nothing", "/stream?view=issue&key=x"] {
        let answer = rig.get(path).await;
        assert!(answer.status.is_client_error(), "{path}");
    }
}

#[tokio::test]
async fn every_view_has_a_stream_whose_fragments_fit_its_page() {
    let Some(rig) = ConsoleRig::seeded("console views", "").await else { return };
    rig.clock.advance_to(metering::UtcTime::parse_rfc3339(super::call::NOW).unwrap());
    for path in [
        "/",
        "/meters",
        "/meters/W-001",
        "/meters/W-001?tab=events",
        "/issues",
        "/issues/1",
        "/issues/3",
        "/collectors",
        "/collectors/C-01",
        "/commissioning",
        "/dead-letters",
        "/system",
    ] {
        let html = rig.get(path).await.text();
        let page = super::html::Page::read(&html).unwrap();
        let stream = page.all("body").next().unwrap().get("data-stream").replace("&#38;", "&");
        let stream = stream.replace("&amp;", "&");
        let mut listener = Listener::open(&rig, &stream, None).await;
        let events = listener.round().await;
        assert!(fragments(&events).len() >= 2, "{path}");
        for event in fragments(&events) {
            let fragment = super::html::Page::read(&event.data)
                .unwrap_or_else(|fault| panic!("{path}: {fault}: {}", event.data));
            let root = fragment.elements.first().unwrap();
            let id = root.get("id");
            assert!(!id.is_empty(), "{path}: a fragment without an id: {}", event.data);
            assert!(page.elements.iter().any(|e| e.get("id") == id), "{path} has no #{id}");
        }
    }
}
