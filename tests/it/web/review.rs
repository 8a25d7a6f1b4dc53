//! What staff decide of readings, alarms and visits, through the pages and through the API.

use axum::http::StatusCode;

use super::call::Rig;
use super::console::{ConsoleRig, words};

/// The day 9 June of W-001 was closed with one suspect hour (10:00 UTC).
/// The seed's wide partition makes way for one as the store makes them.
const SUSPECT: &str = "
    CREATE TEMP TABLE kept AS SELECT * FROM interval_exception;
    DROP TABLE interval_exception_test;
    CREATE TABLE interval_exception_202606 PARTITION OF interval_exception
        FOR VALUES FROM ('2026-06-01 00:00Z') TO ('2026-07-01 00:00Z');
    INSERT INTO interval_exception SELECT * FROM kept;
    DROP TABLE kept;
    CREATE TABLE IF NOT EXISTS closed_day_review PARTITION OF closed_day
        FOR VALUES FROM ('2026-06-08') TO ('2026-06-11');
    INSERT INTO closed_day (starts_at, ends_at, closed_at, total, peak, failing, warned, flat_value,
        meter_id, zero_longest_s, flat_slots, channel, revision, slots, actual, suspect,
        pf_permille, lacking_days, validated, outage, switched_off)
    VALUES ('2026-06-08 22:00Z', '2026-06-09 22:00Z', '2026-06-10 06:00Z', 2300000, 100000, 32768,
        0, 0, 1, 0, 0, 1, 1, 24, 23, 1, 0, 0, true, false, false);
    INSERT INTO interval_exception (starts_at, recorded_at, value, rule_mask, meter_id, channel,
        version, status, flags)
    VALUES ('2026-06-09 10:00Z', '2026-06-10 06:00Z', 9320000, 32768, 1, 1, 2, 2, 0);";

const DAY: &str = "/readings/W-001/1/2026-06-09";

#[tokio::test]
async fn a_suspect_day_is_shown_kept_as_read_and_taken_back() {
    let Some(rig) = ConsoleRig::seeded("review", SUSPECT).await else { return };
    let list = words(&rig.get("/readings").await.text());
    assert!(list.contains("1 day needs a person before their bill"), "{list}");
    assert!(list.contains("W-001 · Tue 9 Jun Spike in a day 1 of 24"), "{list}");
    let bulk = rig.get("/readings?rule=INT-SPIKE").await.text();
    assert!(bulk.contains("name=\"day\""), "{bulk}");
    let day = words(&rig.get(DAY).await.text());
    assert!(day.contains("1 of 24 intervals is suspect"), "{day}");
    assert!(day.contains("Keep as read"), "{day}");

    let none = rig.submit(&format!("{DAY}/accept"), "reason=").await;
    assert_eq!(none.status, StatusCode::CONFLICT, "{}", none.text());
    let kept = rig.submit(&format!("{DAY}/accept"), "reason=pool+filled").await;
    assert_eq!(kept.status, StatusCode::SEE_OTHER, "{}", kept.text());
    let list = words(&rig.get("/readings").await.text());
    assert!(list.contains("No day waits for a person"), "{list}");
    let client = rig.database.client().await.unwrap();
    let row = client
        .query_one(
            "SELECT status, actor, note FROM interval_exception WHERE meter_id = 1 \
             AND starts_at = '2026-06-09 10:00Z' ORDER BY version DESC LIMIT 1",
            &[],
        )
        .await
        .unwrap();
    let told: (i16, String, String) = (row.get(0), row.get(1), row.get(2));
    assert_eq!(told, (4, "local operator".to_owned(), "pool filled".to_owned()));

    let back = rig.submit(&format!("{DAY}/undo"), "reason=looked+again").await;
    assert_eq!(back.status, StatusCode::SEE_OTHER, "{}", back.text());
    let list = words(&rig.get("/readings").await.text());
    assert!(list.contains("1 day needs a person"), "{list}");
}

#[tokio::test]
async fn many_days_of_one_rule_are_kept_at_once() {
    let Some(rig) = ConsoleRig::seeded("review in bulk", SUSPECT).await else { return };
    let html = rig.get("/readings?rule=INT-SPIKE").await.text();
    let value = html.split("name=\"day\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    let form = format!("rule=16&reason=all+pools&day={value}");
    let done = rig.submit("/readings/accept", &form).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.text());
    let list = words(&rig.get("/readings").await.text());
    assert!(list.contains("No day waits for a person"), "{list}");
    let empty = rig.submit("/readings/accept", "rule=16&reason=x").await;
    assert_eq!(empty.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_value_is_edited_by_hand_and_shown_as_an_edit() {
    let Some(rig) = ConsoleRig::seeded("review edit", SUSPECT).await else { return };
    // The interval that ends at 11:00 UTC, in microseconds.
    let end = 1_781_002_800_000_000_i64;
    // The channel counts whole litres.
    for (value, said) in [("0,5", "no whole number"), ("-5", "cannot be negative")] {
        let form = format!("reason=read+again&unit=1000&v.{end}={value}");
        let refused = rig.submit(&format!("{DAY}/edit"), &form).await;
        assert_eq!(refused.status, StatusCode::CONFLICT, "{value}: {}", refused.text());
        assert!(words(&refused.text()).contains(said), "{value}: {}", words(&refused.text()));
    }
    let form = format!("reason=read+again&unit=1000&v.{end}=100");
    let done = rig.submit(&format!("{DAY}/edit"), &form).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.text());
    let estimates = words(&rig.get("/estimates").await.text());
    assert!(estimates.contains("Edited by a person A, not measured"), "{estimates}");
    let day = rig.get(DAY).await.text();
    assert!(day.contains(&format!("name=\"v.{end}\"")), "an edit can be edited again: {day}");
    let unknown = rig.submit(&format!("{DAY}/estimate"), "reason=x&method=foo").await;
    assert_eq!(unknown.status, StatusCode::BAD_REQUEST, "{}", unknown.text());
    let bad = rig.submit(&format!("{DAY}/edit"), &format!("reason=x&unit=1000&v.{end}=much")).await;
    assert_eq!(bad.status, StatusCode::BAD_REQUEST, "{}", bad.text());
}

/// W-002 has a closed day without one reading.
const UNREAD: &str = "
    INSERT INTO closed_day (starts_at, ends_at, closed_at, total, peak, failing, warned, flat_value,
        meter_id, zero_longest_s, flat_slots, channel, revision, slots, actual, suspect,
        pf_permille, lacking_days, validated, outage, switched_off)
    VALUES ('2026-06-08 22:00Z', '2026-06-09 22:00Z', '2026-06-10 06:00Z', 0, 0, 0,
        0, 0, 2, 0, 0, 1, 1, 24, 0, 0, 0, 0, false, false, false);";

#[tokio::test]
async fn a_day_without_a_reading_is_no_use_of_nothing_in_its_zone() {
    let extra = format!("{SUSPECT}{UNREAD}");
    let Some(rig) = ConsoleRig::seeded("zone unread", &extra).await else { return };
    let html = rig.get("/zones/N").await.text();
    assert!(html.contains("1 of 2 customers"), "{html}");
    assert!(!words(&html).contains(" 0 L"), "{}", words(&html));
}

#[tokio::test]
async fn an_alarm_is_silenced_with_an_end_and_ended() {
    let Some(rig) = ConsoleRig::seeded("alarms", "").await else { return };
    let form = "rule=38&meter=W-001&length_s=3600&kind=shelved&reason=known+leak";
    let done = rig.submit("/alarms/shelve", form).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.text());
    let html = rig.get("/alarms").await.text();
    assert!(words(&html).contains("Water flows without a pause · W-001"), "{}", words(&html));
    let id = html.split("name=\"id\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    let ended = rig.submit("/alarms/unshelve", &format!("id={id}")).await;
    assert_eq!(ended.status, StatusCode::SEE_OTHER);
    assert!(words(&rig.get("/alarms").await.text()).contains("Nothing is silenced."));
    for form in ["length_s=3600&reason=x", "rule=38&length_s=0&reason=x", "rule=38&length_s=60"] {
        let refused = rig.submit("/alarms/shelve", form).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{form}: {}", refused.text());
    }
}

#[tokio::test]
async fn somebody_is_sent_for_an_issue_and_tells_what_was_found() {
    let Some(rig) = ConsoleRig::seeded("work orders", "").await else { return };
    let form = "kind=repair&action=Look+at+the+valve&assignee=Kim";
    let made = rig.submit("/issues/3/orders", form).await;
    assert_eq!(made.status, StatusCode::SEE_OTHER, "{}", made.text());
    let text = words(&rig.get("/issues/3").await.text());
    assert!(text.contains("Look at the valve") && text.contains("being worked on"), "{text}");
    let told = "status=completed&cause=LEAK_CUSTOMER_SIDE&fix=valve_or_leak_repaired&note=toilet";
    let done = rig.submit("/issues/3/orders/1", told).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.text());
    let text = words(&rig.get("/issues/3").await.text());
    assert!(text.contains("valve or leak repaired") && text.contains("toilet"), "{text}");
    let empty = rig.submit("/issues/3/orders", "kind=repair&action=").await;
    assert_eq!(empty.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn an_exchange_asks_for_both_readings_and_keeps_them() {
    let Some(rig) = ConsoleRig::seeded("exchange", "DROP TABLE register_read_test").await else {
        return;
    };
    let made = rig.submit("/issues/3/orders", "kind=exchange&action=New+meter").await;
    assert_eq!(made.status, StatusCode::SEE_OTHER, "{}", made.text());
    let page = words(&rig.get("/issues/3").await.text());
    assert!(page.contains("Old meter’s last reading"), "{page}");
    let without = "status=completed&cause=LEAK_CUSTOMER_SIDE&fix=exchanged&channel=1";
    for lacking in ["status=completed", without, &format!("{without}&final_read=12.5")] {
        let refused = rig.submit("/issues/3/orders/1", lacking).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{lacking}: {}", refused.text());
    }
    let both = format!("{without}&final_read=000+777&initial_read=3");
    let done = rig.submit("/issues/3/orders/1", &both).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.text());
    let client = rig.database.client().await.unwrap();
    let sql = "SELECT source, raw FROM register_read WHERE source IN (3, 4) ORDER BY source";
    let rows = client.query(sql, &[]).await.unwrap();
    let reads: Vec<(i16, i64)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(reads, [(3, 777), (4, 3)]);
    let again = rig.submit("/issues/3/orders/1", &both).await;
    assert!(again.status.is_client_error(), "told twice: {}", again.text());
}

/// A check keeps the day of W-001 from bills.
const DAY_HELD: &str = "
    INSERT INTO day_hold (meter_id, channel, starts_at, kind, rule_no, from_at, to_at)
    VALUES (1, 1, '2026-06-08 22:00Z', 'interval', 18, '2026-06-09 08:00Z', '2026-06-09 12:00Z');";

#[tokio::test]
async fn what_a_check_holds_is_shown_on_its_day_and_released_with_a_reason() {
    let extra = format!("{SUSPECT}{DAY_HELD}");
    let Some(rig) = ConsoleRig::seeded("day hold", &extra).await else { return };
    let page = words(&rig.get(DAY).await.text());
    assert!(page.contains("Held from bills") && page.contains("interval values"), "{page}");
    let silent = rig.submit(&format!("{DAY}/release"), "reason=").await;
    assert_eq!(silent.status, StatusCode::CONFLICT, "{}", silent.text());
    let freed = rig.submit(&format!("{DAY}/release"), "reason=owner+was+away").await;
    assert_eq!(freed.status, StatusCode::SEE_OTHER, "{}", freed.text());
    let page = words(&rig.get(DAY).await.text());
    assert!(page.contains("released by local operator"), "{page}");
    assert!(page.contains("owner was away") && !page.contains("Release for bills"), "{page}");
    let again = rig.submit(&format!("{DAY}/release"), "reason=x").await;
    assert_eq!(again.status, StatusCode::BAD_REQUEST, "{}", again.text());
}

#[tokio::test]
async fn the_api_serves_reviews_estimates_rules_and_alarms() {
    let Some(rig) = Rig::seeded("api review").await else { return };
    for path in [
        "/api/v1/review?rule=16&commodity=water&older_than_d=1&limit=5",
        "/api/v1/estimates?state=PROPOSED&method=5&confidence=C",
        "/api/v1/rules",
        "/api/v1/rules/versions",
        "/api/v1/alarms/kpis",
        "/api/v1/alarms/shelves?past=1",
        "/api/v1/issues/3/work-orders",
    ] {
        let answer = rig.get(path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text());
        assert!(answer.json()["items"].is_array(), "{path}");
    }
    let rules = rig.get("/api/v1/rules").await.json();
    assert_eq!(rules["items"].as_array().unwrap().len(), 67);
    let marks = rules["items"][37]["parameters"].as_array().unwrap();
    assert!(marks.iter().any(|param| param["mark"] == "std"), "{marks:?}");
    assert!(marks.iter().any(|param| param["mark"] == "default"), "{marks:?}");
    let odd =
        ["/api/v1/review?rule=x", "/api/v1/estimates?nothing=1", "/api/v1/estimates?state=FOO"];
    for path in odd {
        assert_eq!(rig.get(path).await.status, StatusCode::BAD_REQUEST, "{path}");
    }
    assert_eq!(rig.get("/api/v1/estimates/99").await.status, StatusCode::NOT_FOUND);
}

/// The leak of W-001 holds its bill.
const HELD: &str = "UPDATE meter_issue SET billing_hold_from = '2026-06-08 02:00Z' \
                    WHERE issue_id = 'i3';";

#[tokio::test]
async fn an_issue_is_assigned_merged_and_its_hold_released_by_forms() {
    let Some(rig) = ConsoleRig::seeded("hand over", HELD).await else { return };
    let done = rig.submit("/issues/3/assign", "expected=OPEN&assignee=Kim&text=on+call").await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.text());
    let page = words(&rig.get("/issues/3").await.text());
    assert!(page.contains("with Kim") && page.contains("assigned to Kim: on call"), "{page}");
    assert!(page.contains("Release the billing hold"), "{page}");

    let silent = rig.submit("/issues/3/release-hold", "text=+").await;
    assert_eq!(silent.status, StatusCode::BAD_REQUEST);
    let held = rig.submit("/issues/3/release-hold", "text=customer+was+told").await;
    assert_eq!(held.status, StatusCode::CONFLICT, "{}", held.text());
    assert!(words(&held.text()).contains("intervals of the hold are suspect"));
    let freed = rig.submit("/issues/3/release-hold", "text=customer+was+told&force=1").await;
    assert_eq!(freed.status, StatusCode::SEE_OTHER, "{}", freed.text());
    let page = words(&rig.get("/issues/3").await.text());
    assert!(page.contains("released by local operator") && page.contains("customer was told"));
    assert!(!page.contains("Release the billing hold"), "{page}");

    let none = rig.submit("/issues/3/merge", "into=abc").await;
    assert_eq!(none.status, StatusCode::BAD_REQUEST);
    let own = rig.submit("/issues/3/merge", "into=3").await;
    assert_eq!(own.status, StatusCode::CONFLICT, "{}", own.text());
    let done = rig.submit("/issues/3/merge", "expected=WORK_ORDERED&into=1&text=same").await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.text());
    let page = words(&rig.get("/issues/3").await.text());
    assert!(page.contains("merged into another") && page.contains("issue 1"), "{page}");
    let page = words(&rig.get("/issues/1").await.text());
    assert!(page.contains("issue 3 was merged into this one"), "{page}");
}

#[tokio::test]
async fn the_api_assigns_merges_and_releases() {
    let Some(rig) = Rig::seeded("api hand over").await else { return };
    let headers = [("content-type", "application/json"), ("if-match", "*")];
    let post = async |path: &str, body: &str| {
        rig.post(&format!("/api/v1/issues/{path}"), &headers, body).await
    };
    let done = post("3/assign", r#"{"assignee": "Kim", "note": "on call"}"#).await;
    assert_eq!(done.status, StatusCode::OK, "{}", done.text());
    let row = done.json();
    assert_eq!((&row["assignee"], &row["state"]), (&"Kim".into(), &"WORK_ORDERED".into()));
    for (path, body) in [("3/assign", "{}"), ("3/merge", "{}"), ("3/merge", r#"{"into": "x"}"#)] {
        assert_eq!(post(path, body).await.status, StatusCode::BAD_REQUEST, "{path} {body}");
    }
    let unheld = post("3/release-hold", r#"{"reason": "x"}"#).await;
    assert_eq!(unheld.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", unheld.text());
    let done = post("3/merge", r#"{"into": 1}"#).await;
    assert_eq!(done.json()["state"], "MERGED", "{}", done.text());
    let issue = rig.get("/api/v1/issues/3").await.json();
    assert_eq!(issue["merged_into"], 1);
    let issue = rig.get("/api/v1/issues/1").await.json();
    assert_eq!((&issue["merged_from"][0], &issue["billing_hold"]), (&3.into(), &().into()));
}

#[tokio::test]
async fn a_backtest_runs_in_the_background_and_reports() {
    let Some(rig) = ConsoleRig::seeded("backtest", "").await else { return };
    let bad = rig.submit("/rules/backtest", "version=built-in&days=1000").await;
    assert_eq!(bad.status, StatusCode::BAD_REQUEST);
    let unknown = rig.submit("/rules/backtest", "version=none&days=7").await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    let begun = rig.submit("/rules/backtest", "version=built-in&days=7").await;
    assert_eq!(begun.status, StatusCode::SEE_OTHER, "{}", begun.text());
    let place = begun.header("location").to_owned();
    assert_eq!(place, "/rules/backtest/1");
    let mut page = rig.get(&place).await;
    for _ in 0..600 {
        if page.header("refresh").is_empty() {
            break;
        }
        assert!(words(&page.text()).contains("Running"), "{}", words(&page.text()));
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        page = rig.get(&place).await;
    }
    let text = words(&page.text());
    assert!(text.contains("What it would have said") && text.contains("Said by both"), "{text}");
    assert_eq!(rig.get("/rules/backtest/77").await.status, StatusCode::NOT_FOUND);
}
