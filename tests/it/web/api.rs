//! The API as a client sees it.

use axum::http::StatusCode;
use headend::api::PartState;
use serde_json::{Value, json};
use store::{Database, DatabaseConfig};

use super::call::{Answer, Rig};

const JSON: (&str, &str) = ("content-type", "application/json");

fn numbers(list: &Value) -> Vec<&str> {
    list["items"].as_array().unwrap().iter().map(|row| row["number"].as_str().unwrap()).collect()
}

/// The problem document of a refusal.
fn problem(answer: &Answer, status: StatusCode) -> Value {
    assert_eq!(answer.status, status, "{}", answer.text());
    assert_eq!(answer.header("content-type"), "application/problem+json");
    let document = answer.json();
    assert_eq!(document["status"], status.as_u16());
    assert!(document["type"].as_str().unwrap().starts_with("urn:headend:problem:"));
    let id = answer.header("x-request-id");
    assert_eq!(document["instance"], format!("urn:headend:request:{id}"));
    document
}

#[tokio::test]
async fn every_resource_answers_as_json_with_a_request_id() {
    let Some(rig) = Rig::seeded("api resources").await else { return };
    for path in [
        "/api/v1/fleet",
        "/api/v1/fleet/zones",
        "/api/v1/fleet/rate?from=2026-06-10&step_s=3600",
        "/api/v1/meters",
        "/api/v1/meters/W-001",
        "/api/v1/meters/W-001/series",
        "/api/v1/meters/W-001/intervals?limit=3",
        "/api/v1/meters/W-001/registers",
        "/api/v1/meters/W-002/gaps",
        "/api/v1/meters/W-001/events",
        "/api/v1/meters/W-001/issues",
        "/api/v1/issues",
        "/api/v1/issues/counts",
        "/api/v1/issues/3",
        "/api/v1/collectors",
        "/api/v1/collectors/C-01",
        "/api/v1/commissioning",
        "/api/v1/modbus",
        "/api/v1/modbus/units",
        "/api/v1/modbus/units/history",
        "/api/v1/dead-letters",
        "/api/v1/batches",
    ] {
        let answer = rig.get(path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text());
        assert_eq!(answer.header("content-type"), "application/json", "{path}");
        assert!(!answer.header("x-request-id").is_empty(), "{path}");
        assert_eq!(answer.header("cache-control"), "no-store", "{path}");
        answer.json();
    }
}

#[tokio::test]
async fn the_fleet_and_its_identity_are_told() {
    let Some(rig) = Rig::seeded("api fleet").await else { return };
    let fleet = rig.json("/api/v1/fleet").await;
    assert_eq!((&fleet["meters"], &fleet["meters_reporting"]), (&json!(5), &json!(2)));
    assert_eq!(fleet["readings_today"]["identity_ok"], true);
    assert_eq!(fleet["readings_today"]["offered"], 55);
    assert_eq!(fleet["issues_open"]["p1"], 1);
    let zones = rig.json("/api/v1/fleet/zones").await;
    assert_eq!(zones[1]["code"], "N");
    assert_eq!(zones[1]["usage"][0]["volume_l_today"], "1180");
}

#[tokio::test]
async fn meters_are_paged_by_opaque_cursors() {
    let Some(rig) = Rig::seeded("api paging").await else { return };
    let mut seen = Vec::new();
    let mut path = "/api/v1/meters?limit=2".to_owned();
    loop {
        let list = rig.json(&path).await;
        seen.extend(numbers(&list).into_iter().map(str::to_owned));
        match list["next_cursor"].as_str() {
            Some(cursor) => path = format!("/api/v1/meters?limit=2&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(seen, ["=1+1", "E-004", "W-001", "W-002", "W-003"]);
    let list = rig.json("/api/v1/meters?zone=N&status=reporting&sort=last_heard").await;
    assert_eq!(numbers(&list), ["W-002", "W-001"]);
    let first = &list["items"][1];
    assert_eq!(first["last_value"]["volume_l"], "100");
    assert_eq!(first["last_value"]["interval_end"], "2026-06-10T11:00:00Z");
    assert_eq!(first["quality_24h_percent"], 95);
    assert_eq!(first["worst_issue"]["cause"], "LEAK_CUSTOMER_SIDE");
}

#[tokio::test]
async fn a_series_names_unit_interval_and_quality() {
    let Some(rig) = Rig::seeded("api series").await else { return };
    let series = rig.json("/api/v1/meters/W-001/series?from=2026-06-10&to=2026-06-11").await;
    assert_eq!((&series["step_s"], &series["time_zone"]), (&json!(3600), &json!("Europe/Berlin")));
    assert_eq!(series["from"], "2026-06-09T22:00:00Z");
    let items = series["items"].as_array().unwrap();
    assert_eq!(items.len(), 24);
    let suspect = items.iter().find(|item| item["quality"] == "suspect").unwrap();
    assert_eq!(suspect["interval_end"], "2026-06-10T09:00:00Z");
    assert_eq!(suspect["volume_l"], "9000");
    assert_eq!(series["totals"], json!({"volume_l_usable": "1200", "volume_l_suspect": "9000"}));
    let utc = rig.json("/api/v1/meters/W-001/series?from=2026-06-09&to=2026-06-10&tz=UTC").await;
    assert_eq!(utc["from"], "2026-06-09T00:00:00Z");
    assert_eq!(utc["totals"]["volume_l_usable"], "2400");
    let instants = rig.json("/api/v1/meters/W-001/registers?channel=2").await;
    assert_eq!(instants["items"][0]["temperature_c"], "21.5");
    let gaps = rig.json("/api/v1/meters/W-002/gaps").await;
    assert_eq!(gaps["items"][0]["intervals"], 3);
}

#[tokio::test]
async fn every_fault_of_a_request_is_told_at_once() {
    let Some(rig) = Rig::seeded("api faults").await else { return };
    let answer = rig.get("/api/v1/meters?limit=5000&cursor=zz&commodity=beer&zoen=N").await;
    let document = problem(&answer, StatusCode::BAD_REQUEST);
    let mut names: Vec<&str> = document["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|fault| fault["parameter"].as_str().unwrap())
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["commodity", "cursor", "limit", "zoen"]);
    // A cursor of another list is well formed and still refused.
    let foreign = rig.json("/api/v1/dead-letters?limit=1").await["next_cursor"].clone();
    let path = format!("/api/v1/meters?cursor={}", foreign.as_str().unwrap());
    problem(&rig.get(&path).await, StatusCode::BAD_REQUEST);
    for path in [
        "/api/v1/meters/W-001/series?from=2026-06-11&to=2026-06-10",
        "/api/v1/meters/W-001/series?from=yesterday",
        "/api/v1/meters/W-001/series?tz=Mars",
        "/api/v1/reads.csv?from=1900-01-01&to=2026-01-01",
        "/api/v1/issues?severity=P9",
    ] {
        problem(&rig.get(path).await, StatusCode::BAD_REQUEST);
    }
    for path in [
        "/api/v1/nothing",
        "/api/v1/meters/none",
        "/api/v1/meters/%00",
        "/api/v1/meters/W-001/series?channel=9",
        "/api/v1/issues/999",
        "/api/v1/issues/abc",
        "/api/v1/collectors/none",
        "/api/v1/dead-letters/xyz",
    ] {
        problem(&rig.get(path).await, StatusCode::NOT_FOUND);
    }
    let answer = rig.post("/api/v1/meters", &[JSON], "{}").await;
    problem(&answer, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(answer.header("allow"), "GET,HEAD");
    let large = format!("{{\"text\": \"{}\"}}", "x".repeat(70_000));
    let answer = rig.post("/api/v1/issues/3/comment", &[JSON], &large).await;
    problem(&answer, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn an_issue_is_acted_on_only_as_it_was_seen_and_from_here() {
    let Some(rig) = Rig::seeded("api acts").await else { return };
    let seen = rig.get("/api/v1/issues/1").await;
    let tag = seen.header("etag").to_owned();
    let path = "/api/v1/issues/1/acknowledge";
    let matching = ("if-match", tag.as_str());
    let host = ("host", "127.0.0.1:8090");
    problem(&rig.post(path, &[JSON], "").await, StatusCode::PRECONDITION_REQUIRED);
    problem(&rig.post(path, &[matching], "").await, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    for foreign in [
        ("origin", "http://evil.example"),
        ("origin", "null"),
        ("sec-fetch-site", "cross-site"),
        ("host", "evil.example"),
    ] {
        let headers = if foreign.0 == "host" {
            vec![JSON, matching, foreign]
        } else {
            vec![host, JSON, matching, foreign]
        };
        problem(&rig.post(path, &headers, "").await, StatusCode::FORBIDDEN);
    }
    assert_eq!(rig.json("/api/v1/issues/1").await["state"], "DETECTED");
    let origin = ("origin", "http://127.0.0.1:8090");
    let done = rig.post(path, &[host, origin, JSON, matching], "").await;
    assert_eq!(done.status, StatusCode::OK, "{}", done.text());
    assert_eq!(done.json()["state"], "OPEN");
    // Whoever decides on the old state is told who was first.
    let late =
        problem(&rig.post(path, &[JSON, matching], "").await, StatusCode::PRECONDITION_FAILED);
    assert!(late["detail"].as_str().unwrap().contains("acknowledged by local operator"));
    let log = rig.json("/api/v1/issues/1").await["log"].clone();
    let last = log.as_array().unwrap().last().unwrap();
    assert_eq!((&last["to"], &last["actor_kind"]), (&json!("OPEN"), &json!("user")));
}

#[tokio::test]
async fn comments_snoozes_and_closing_follow_the_rules_of_issues() {
    let Some(rig) = Rig::seeded("api more acts").await else { return };
    let any = ("if-match", "*");
    let post = async |act: &str, body: &str| {
        rig.post(&format!("/api/v1/issues/3/{act}"), &[JSON, any], body).await
    };
    let said = rig.post("/api/v1/issues/3/comment", &[JSON], r#"{"text": "called"}"#).await;
    assert_eq!(said.status, StatusCode::OK, "{}", said.text());
    problem(&post("comment", r#"{"text": " "}"#).await, StatusCode::UNPROCESSABLE_ENTITY);
    problem(&post("comment", r#"{"txet": "x"}"#).await, StatusCode::BAD_REQUEST);
    problem(&post("comment", "{").await, StatusCode::BAD_REQUEST);
    let fault = problem(&post("snooze", "{}").await, StatusCode::BAD_REQUEST);
    assert_eq!(fault["errors"][0]["pointer"], "/until");
    let long = r#"{"until": "2026-08-01T00:00:00Z"}"#;
    problem(&post("snooze", long).await, StatusCode::UNPROCESSABLE_ENTITY);
    let snoozed = post("snooze", r#"{"until": "2026-06-11T08:00:00+02:00"}"#).await;
    assert_eq!(snoozed.json()["snoozed_until"], "2026-06-11T06:00:00Z");
    assert_eq!(rig.json("/api/v1/issues/counts").await["snoozed"], 2);
    problem(&post("explode", "{}").await, StatusCode::NOT_FOUND);
    problem(&post("close", r#"{"cause": "GREMLINS"}"#).await, StatusCode::BAD_REQUEST);
    let closed = post("close", r#"{"cause": "LEAK_CUSTOMER_SIDE", "note": "valve changed"}"#).await;
    assert_eq!(closed.json()["state"], "CLOSED", "{}", closed.text());
    problem(&post("close", r#"{"cause": "VACANT"}"#).await, StatusCode::UNPROCESSABLE_ENTITY);
    let issue = rig.json("/api/v1/issues/3").await;
    assert_eq!(issue["identified_cause"], "LEAK_CUSTOMER_SIDE");
}

#[tokio::test]
async fn an_export_has_92_96_or_100_lines_and_no_formulas() {
    let Some(rig) = Rig::seeded("api export").await else { return };
    for (from, to, lines) in [
        ("2026-03-28", "2026-03-29", 96),
        ("2026-03-29", "2026-03-30", 92),
        ("2026-10-25", "2026-10-26", 100),
    ] {
        let path = format!("/api/v1/reads.csv?meter=%3D1%2B1&from={from}&to={to}");
        let answer = rig.get(&path).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        assert_eq!(answer.header("content-type"), "text/csv; charset=utf-8; header=present");
        let name = format!("reads_-1-1_{from}T00-00_{to}T00-00_Europe-Berlin.csv");
        assert_eq!(
            answer.header("content-disposition"),
            format!("attachment; filename=\"{name}\"")
        );
        let text = answer.text();
        let mut rows = text.split_terminator("\r\n");
        assert_eq!(
            rows.next(),
            Some("meter_id,channel,interval_start,interval_end,value,unit,quality,version")
        );
        let rows: Vec<&str> = rows.collect();
        assert_eq!(rows.len(), lines, "{from}");
        assert!(rows.iter().all(|row| row.starts_with("'=1+1,1,")), "{}", rows[0]);
        assert!(rows.iter().all(|row| row.ends_with(",-1.5,Wh,raw,1")), "{}", rows[0]);
    }
    let path = "/api/v1/reads.csv?meter=%3D1%2B1&from=2026-10-25&to=2026-10-26";
    let text = rig.get(path).await.text();
    for twice in ["2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+01:00"] {
        assert_eq!(text.matches(&format!(",{twice},")).count(), 2, "{twice}");
    }
    let kathmandu = rig.get(&format!("{path}&tz=Asia/Kathmandu&bom=1")).await;
    assert!(kathmandu.text().starts_with("\u{feff}meter_id,"));
    assert!(kathmandu.text().contains("+05:45,"));
}

#[tokio::test]
async fn what_is_exported_is_what_is_stored() {
    let Some(rig) = Rig::seeded("api export all").await else { return };
    let text =
        rig.get("/api/v1/reads.csv?from=2026-06-01&to=2026-06-11&commodity=water").await.text();
    // 226 slots of W-001, 220 of W-002 (four missing, two not yet), 168 of W-003.
    let of = |number: &str| text.matches(&format!("\r\n{number},1,")).count();
    assert_eq!((of("W-001"), of("W-002"), of("W-003")), (227, 222, 168));
    assert!(
        text.contains(
            "W-001,1,2026-06-05T10:00:00+02:00,2026-06-05T11:00:00+02:00,90,L,edited,2\r\n"
        )
    );
    let meters = rig.get("/api/v1/meters.csv?q=SUM").await.text();
    let line = meters.split("\r\n").nth(1).unwrap();
    assert!(line.starts_with("'=1+1,electricity,never_heard,'@SUM(A1),'+49,"), "{line}");
    assert_eq!(rig.get("/api/v1/meters.csv").await.text().split_terminator("\r\n").count(), 6);
}

#[tokio::test]
async fn health_says_which_part_is_not_ready() {
    let Some(rig) = Rig::seeded("api health").await else { return };
    assert_eq!(rig.get("/healthz").await.text(), "ok\n");
    assert_eq!(rig.json("/readyz").await["state"], "ready");
    rig.readiness.set("broker", PartState::Waiting("not connected to 127.0.0.1:1883".to_owned()));
    let answer = rig.get("/readyz").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    let parts = answer.json()["parts"].clone();
    assert_eq!(parts[0]["name"], "broker");
    assert_eq!(parts[0]["why"], "not connected to 127.0.0.1:1883");
    assert_eq!(parts[1], json!({"name": "database", "ready": true}));
    rig.readiness.set("broker", PartState::Ready);
    assert_eq!(rig.get("/readyz").await.status, StatusCode::OK);
    let metrics = rig.get("/metrics").await;
    assert!(metrics.header("content-type").starts_with("text/plain"));
    assert!(metrics.text().contains("ami_issues_open{severity=\"p1\"} 1"), "{}", metrics.text());
}

#[tokio::test]
async fn without_a_database_the_api_says_so_and_stays_alive() {
    let mut config = DatabaseConfig::new("host=/nonexistent user=nobody dbname=none");
    config.question_wait = std::time::Duration::from_millis(100);
    let rig = Rig::over(Database::open(&config).unwrap());
    let answer = rig.get("/api/v1/fleet").await;
    problem(&answer, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.header("retry-after"), "5");
    assert_eq!(rig.get("/healthz").await.status, StatusCode::OK);
    let ready = rig.get("/readyz").await;
    assert_eq!(ready.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(ready.json()["state"], "waiting");
    assert_eq!(rig.get("/metrics").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_work_order_names_what_may_be_written_and_what_is_not_allowed_is_422() {
    let Some(rig) = Rig::seeded("api orders").await else { return };
    let headers = [("content-type", "application/json")];
    let post =
        async |path: &str, body: &str| rig.post(&format!("/api/v1/{path}"), &headers, body).await;
    let unknown = post("issues/3/work-orders", r#"{"kind": "inspect"}"#).await;
    let told = problem(&unknown, StatusCode::BAD_REQUEST);
    assert_eq!(told["errors"][0]["pointer"], "/kind");
    let known = "`inspect` is none of: inspection, exchange, removal,";
    assert!(told["detail"].as_str().unwrap().starts_with(known), "{told}");
    let made = post("issues/3/work-orders", r#"{"kind": "inspection"}"#).await;
    assert_eq!(made.status, StatusCode::OK, "{}", made.text());
    let status = format!("work-orders/{}/status", made.json()["number"]);
    for (pointer, body) in [
        ("/status", r#"{"status": "done"}"#),
        ("/fix_action", r#"{"status": "completed", "fix_action": "kicked"}"#),
        ("/cause", r#"{"status": "completed", "cause": "GREMLINS"}"#),
        ("/at", r#"{"status": "assigned", "at": "noon"}"#),
    ] {
        let told = problem(&post(&status, body).await, StatusCode::BAD_REQUEST);
        assert_eq!(told["errors"][0]["pointer"], pointer, "{body}");
    }
    let bare = post(&status, r#"{"status": "completed"}"#).await;
    let told = problem(&bare, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(told["type"], "urn:headend:problem:not-allowed", "{told}");
    let done = post(&status, r#"{"status": "completed", "fix_action": "no_fault_found"}"#).await;
    assert_eq!(done.status, StatusCode::OK, "{}", done.text());
    let late = r#"{"status": "assigned", "at": "2026-06-01T00:00:00Z"}"#;
    problem(&post(&status, late).await, StatusCode::UNPROCESSABLE_ENTITY);
    let nobody = r#"{"meter": "W-001", "until": "2020-01-01T00:00:00Z", "reason": "x"}"#;
    problem(&post("alarms/shelves", nobody).await, StatusCode::UNPROCESSABLE_ENTITY);
}
