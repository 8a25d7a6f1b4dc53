use metering::{ReadingType, Severity};
use store::views::node_list::{self, NodeKind};
use store::views::{fleet, system};

use super::{at, berlin, now, seeded};

#[tokio::test]
async fn the_fleet_says_who_reports_what_is_missing_and_what_waits() {
    let Some(database) = seeded("fleet").await else { return };
    let summary = fleet::summary(&database, now(), &berlin()).await.unwrap();
    assert_eq!((summary.meters, summary.reporting), (4, 2));
    // Three channels, 13 slots each from 22:00 UTC to 11:00 UTC.
    assert_eq!((summary.due_today, summary.missing_today), (39, 5));
    assert_eq!(summary.behind_s, Some(2 * 3_600));
    let issues = summary.issues;
    assert_eq!((issues.p1, issues.p2, issues.p3, issues.p4), (1, 1, 1, 0));
    let waiting = summary.waiting;
    assert_eq!((waiting.commissioning, waiting.dead_letters), (1, 3));
    assert_eq!((waiting.unacknowledged, waiting.collectors), (1, 1));
    let today = summary.today;
    assert!(today.balanced());
    assert_eq!((today.batches, today.messages, today.offered), (2, 11, 55));
    assert_eq!((today.committed, today.duplicate), (45, 7));
    assert_eq!((today.conflicting, today.dead, today.derived, today.events), (1, 2, 7, 3));
    let nav = fleet::nav_counts(&database).await.unwrap();
    assert_eq!((nav.issues, nav.waiting), (3, waiting));
}

#[tokio::test]
async fn the_rate_of_readings_has_a_bucket_for_every_minute() {
    let Some(database) = seeded("rate").await else { return };
    let (from, to) = (at("2026-06-10T10:59:00Z"), at("2026-06-10T11:03:00Z"));
    let rate = fleet::readings_per_minute(&database, from, to, 60).await.unwrap();
    let offered: Vec<i64> = rate.iter().map(|bucket| bucket.offered).collect();
    assert_eq!(offered, [0, 50, 5, 0]);
    let long = at("2016-06-10T00:00:00Z");
    let rate = fleet::readings_per_minute(&database, long, to, 60).await.unwrap();
    assert!(rate.len() <= 2_000);
    assert_eq!(rate.iter().map(|bucket| bucket.offered).sum::<i64>(), 155);
}

#[tokio::test]
async fn zones_and_transformers_are_listed_by_trouble() {
    let Some(database) = seeded("nodes").await else { return };
    let client = database.client().await.unwrap();
    let more = "INSERT INTO network_zone (utility_id, code, name) VALUES (1, 'A', 'Quiet'); \
        INSERT INTO transformer (utility_id, code, zone_id) VALUES (1, 'T-1', 1), (1, 'T-2', 2); \
        UPDATE usage_point SET transformer_id = 2 WHERE usage_point_id IN (1, 3); \
        UPDATE meter SET role = 'zone_inlet' WHERE meter_id = 2";
    client.batch_execute(more).await.unwrap();
    let list = |kind, q, page| node_list::list(&database, kind, q, page, now());
    let zones = list(NodeKind::Zone, None, (50, 0)).await.unwrap();
    assert_eq!((zones.nodes, zones.troubled), (3, 2));
    let seen: Vec<_> =
        zones.rows.iter().map(|z| (&*z.code, z.issues, z.meters, z.reporting)).collect();
    // The collector's outage is the worst; what it explains is not counted again.
    assert_eq!(seen, [("S", 1, 2, 0), ("N", 2, 2, 2), ("A", 0, 0, 0)]);
    assert_eq!(zones.rows[0].worst, Some(Severity::P1));
    assert_eq!((zones.rows[0].measuring, zones.rows[1].measuring), (0, 1));
    assert_eq!(zones.rows[0].own, None);

    let issue = "INSERT INTO meter_issue (issue_id, subject_kind, subject_id, family, \
        cause_detected, cause_ranked, state, severity, rule_no, rule, condition_start, \
        detected_at, updated_at, suppressed, evidence) \
        VALUES ('n1', 'transformer', 1, 'POWER', 'OUTAGE', '[]', 'DETECTED', 2, 62, \
          'PWR-OUT', '2026-06-10', '2026-06-10', '2026-06-10', false, '[]')";
    client.batch_execute(issue).await.unwrap();
    let all = list(NodeKind::Transformer, None, (50, 0)).await.unwrap();
    let seen: Vec<_> =
        all.rows.iter().map(|t| (&*t.code, &*t.zone_code, t.issues, t.meters)).collect();
    // As bad as one another: the one with silent meters comes first.
    assert_eq!(seen, [("T-2", "S", 1, 2), ("T-1", "N", 1, 0)]);
    assert_eq!(all.rows[1].own.as_ref().map(|own| own.2.as_str()), Some("OUTAGE"));

    let second = list(NodeKind::Zone, None, (1, 1)).await.unwrap();
    assert_eq!((second.rows.len(), &*second.rows[0].code, second.nodes), (1, "N", 3));
    let found = list(NodeKind::Zone, Some("qui"), (50, 0)).await.unwrap();
    assert_eq!((found.nodes, &*found.rows[0].name), (1, "Quiet"));
}

#[tokio::test]
async fn zones_are_compared_with_the_same_part_of_the_same_weekday() {
    let Some(database) = seeded("zones").await else { return };
    let zones = fleet::zones(&database, now(), &berlin()).await.unwrap();
    let short: Vec<_> =
        zones.iter().map(|z| (z.code.as_str(), z.meters, z.reporting, z.issues, z.worst)).collect();
    assert_eq!(short, [("S", 2, 0, 1, Some(Severity::P1)), ("N", 2, 2, 2, Some(Severity::P2))]);
    let north = &zones[1].usage;
    assert_eq!(north.len(), 1);
    assert_eq!(north[0].reading_type, ReadingType::VOLUME);
    // Compared up to 10:00, where both have delivered: 12 hours since midnight in Berlin. W-001
    // less the suspect one, W-002 less four that are missing.
    assert_eq!(zones[1].usage_until, Some(at("2026-06-10T10:00:00Z")));
    assert_eq!(north[0].today, 11 * 100_000 + 8 * 10_000);
    // A week ago the data began.
    assert_eq!((north[0].usual, north[0].weeks), (Some(12 * 110_000), 1));
}

#[tokio::test]
async fn the_system_page_proves_the_identity_over_all_batches() {
    let Some(database) = seeded("system").await else { return };
    let state = system::database(&database).await.unwrap();
    assert!(state.identity.balanced());
    assert_eq!((state.identity.batches, state.identity.offered), (3, 155));
    assert_eq!(state.adapters.len(), 1);
    assert_eq!(state.consumers[0].consumer, "rules");
    let intervals = state.tables.iter().find(|table| table.table == "read_interval").unwrap();
    assert_eq!(intervals.partitions, 1);
    assert!(state.size_bytes > 0 && state.schema_version >= 5 && state.connections_max > 0);
    let batches = system::batches(&database, 2).await.unwrap();
    assert_eq!(batches.iter().map(|b| b.identity.offered).collect::<Vec<_>>(), [5, 50]);
    assert!(batches.iter().all(|batch| batch.identity.balanced()));
}
