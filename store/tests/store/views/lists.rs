use metering::{Commodity, SourceId, Subject};
use store::views::meters::{Battery, MeterFilter, MeterRow, MeterSort, MeterStatus};
use store::views::{Cursor, activity, collectors, intake, meters};
use store::{Database, StoreError};

use super::{W_001, W_002, now, seeded};

/// Walks all pages of two rows.
async fn walk(db: &Database, filter: &MeterFilter, sort: MeterSort) -> Vec<MeterRow> {
    let mut rows = Vec::new();
    let mut cursor: Option<Cursor> = None;
    loop {
        let order = (sort, cursor.as_ref());
        let page = meters::list(db, filter, order, 2, now()).await.unwrap();
        rows.extend(page.items);
        match page.next {
            // As a URL carries it.
            Some(next) => cursor = Some(next.to_string().parse().unwrap()),
            None => return rows,
        }
    }
}

fn numbers(rows: &[MeterRow]) -> Vec<&str> {
    rows.iter().map(|row| row.number.as_str()).collect()
}

#[tokio::test]
async fn pages_of_meters_hold_each_meter_once_in_every_order() {
    let Some(database) = seeded("meter pages").await else { return };
    let all = MeterFilter::default();
    for (sort, want) in [
        (MeterSort::Number, ["E-004", "W-001", "W-002", "W-003"]),
        (MeterSort::Address, ["W-001", "W-002", "E-004", "W-003"]),
        (MeterSort::LastHeard, ["E-004", "W-003", "W-002", "W-001"]),
        (MeterSort::Issue, ["W-001", "W-002", "W-003", "E-004"]),
    ] {
        let rows = walk(&database, &all, sort).await;
        if sort == MeterSort::Issue {
            let mut sorted = numbers(&rows);
            assert_eq!((sorted[0], sorted[3]), ("W-001", "E-004"));
            sorted.sort_unstable();
            assert_eq!(sorted, ["E-004", "W-001", "W-002", "W-003"]);
        } else {
            assert_eq!(numbers(&rows), want, "{sort:?}");
        }
    }
}

#[tokio::test]
async fn a_line_says_value_quality_battery_and_trouble() {
    let Some(database) = seeded("meter lines").await else { return };
    let rows = walk(&database, &MeterFilter::default(), MeterSort::Number).await;
    let (never, first, second) = (&rows[0], &rows[1], &rows[2]);
    assert_eq!(
        (never.status, never.last, never.battery),
        (MeterStatus::NeverHeard, None, Battery::Mains)
    );
    assert_eq!(never.quality_24h, Some(0));
    let last = first.last.unwrap();
    assert_eq!((last.value, last.end), (100_000, super::at("2026-06-10T11:00:00Z")));
    // 24 slots ended by 11:00; one is suspect.
    assert_eq!(first.quality_24h, Some(23 * 100 / 24));
    assert_eq!((first.battery, first.rssi_dbm), (Battery::Good, Some(-80)));
    assert_eq!(first.issue.as_ref().unwrap().cause, "LEAK_CUSTOMER_SIDE");
    assert_eq!(first.collector.as_deref(), Some("C-01"));
    assert_eq!(first.spark.len(), 7);
    // Yesterday, 24 hours of Berlin.
    assert_eq!((first.spark[5].total, first.spark[5].n), (2_400_000, 24));
    assert_eq!((second.battery, second.open_issues), (Battery::Low, 1));
    assert_eq!(second.quality_24h, Some(19 * 100 / 24));
}

#[tokio::test]
async fn filters_narrow_the_list_and_take_wildcards_literally() {
    let Some(database) = seeded("meter filters").await else { return };
    let check = async |filter: MeterFilter, want: &[&str]| {
        let rows = walk(&database, &filter, MeterSort::Number).await;
        assert_eq!(numbers(&rows), want, "{filter:?}");
    };
    let text = |text: &str| Some(text.to_owned());
    let all = MeterFilter::default();
    check(MeterFilter { q: text("mill"), ..all.clone() }, &["W-001", "W-002"]).await;
    check(MeterFilter { q: text("50%_o"), ..all.clone() }, &["W-003"]).await;
    check(MeterFilter { q: text("W_0"), ..all.clone() }, &[]).await;
    check(MeterFilter { q: text("ert:10004"), ..all.clone() }, &["E-004"]).await;
    check(MeterFilter { q: text("nul\0"), ..all.clone() }, &[]).await;
    let electric = MeterFilter { commodity: Some(Commodity::Electricity), ..all.clone() };
    check(electric, &["E-004"]).await;
    check(MeterFilter { zone: text("S"), ..all.clone() }, &["E-004", "W-003"]).await;
    check(MeterFilter { route: text("R-7"), ..all.clone() }, &["W-001", "W-002"]).await;
    check(MeterFilter { collector: text("C-02"), ..all.clone() }, &["W-003"]).await;
    check(MeterFilter { tag: text("hospital"), ..all.clone() }, &["W-001"]).await;
    check(MeterFilter { issue: text("any"), ..all.clone() }, &["W-001", "W-002", "W-003"]).await;
    check(MeterFilter { issue: text("LEAK"), ..all.clone() }, &["W-001"]).await;
    check(MeterFilter { issue: text("BATTERY_LOW"), ..all.clone() }, &["W-002"]).await;
    let silent = MeterFilter { status: Some(MeterStatus::Silent), ..all };
    check(silent, &["W-003"]).await;
}

#[tokio::test]
async fn a_cursor_of_another_list_is_refused() {
    let Some(database) = seeded("foreign cursor").await else { return };
    let foreign: Cursor = "31".parse().unwrap();
    let order = (MeterSort::Number, Some(&foreign));
    let answer = meters::list(&database, &MeterFilter::default(), order, 2, now()).await;
    assert!(matches!(answer, Err(StoreError::Refused { .. })));
    let answer = activity::events(&database, Subject::Meter(W_001), Some(&foreign), 2).await;
    assert!(matches!(answer, Err(StoreError::Refused { .. })));
}

#[tokio::test]
async fn a_meter_is_found_by_number_and_by_what_people_remember() {
    let Some(database) = seeded("meter detail").await else { return };
    let db = &database;
    let meter = meters::by_number(db, "W-001", now()).await.unwrap().unwrap();
    assert_eq!((meter.meter, meter.sources.as_slice()), (W_001, &["ert:10001".to_owned()][..]));
    let place = meter.usage_point.unwrap();
    assert_eq!((place.address.as_str(), place.zone_name.as_str()), ("1 Mill Lane", "North"));
    assert_eq!(place.tags, ["hospital"]);
    assert_eq!(meter.collector.unwrap().code, "C-01");
    assert_eq!(meter.via_collector.unwrap().code, "C-02");
    assert_eq!(meter.channels.len(), 2);
    assert_eq!((meter.channels[0].multiplier.as_str(), meter.channels[0].len_s), ("1", 3_600));
    assert_eq!(meters::by_number(db, "w-001", now()).await.unwrap(), None);
    assert_eq!(meters::by_number(db, "\0", now()).await.unwrap(), None);
    assert_eq!(meters::installations(db, W_002).await.unwrap()[0].usage_point, "UP-2");
    let found = meters::search(db, "#3", 5).await.unwrap();
    assert_eq!(found.issues[0].subject, "W-001");
    let found = meters::search(db, "w-00", 2).await.unwrap();
    assert_eq!(found.meters.len(), 2);
    let found = meters::search(db, "tower", 2).await.unwrap();
    assert_eq!(found.collectors[0].code, "C-01");
    assert_eq!(meters::search(db, "  ", 2).await.unwrap(), meters::SearchResults::default());
    let choices = meters::choices(db).await.unwrap();
    assert_eq!((choices.zones.len(), choices.tags.as_slice()), (2, &["hospital".to_owned()][..]));
}

#[tokio::test]
async fn events_and_raw_messages_are_paged_newest_first() {
    let Some(database) = seeded("activity").await else { return };
    let db = &database;
    let subject = Subject::Meter(W_001);
    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let page = activity::events(db, subject, cursor.as_ref(), 3).await.unwrap();
        seen.extend(page.items);
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), 8);
    assert!(seen.windows(2).all(|pair| pair[0].occurred_at >= pair[1].occurred_at));
    // A code of a newer program is shown as its text.
    assert!(seen.iter().any(|e| e.code.is_none() && e.code_text == "from_the_future"));
    let (from, to) = (super::at("2026-06-09T00:00:00Z"), super::at("2026-06-09T05:00:00Z"));
    assert_eq!(activity::events_between(db, subject, from, to).await.unwrap().len(), 2);
    let first = activity::raw_messages(db, W_001, None, 10).await.unwrap();
    let rest = activity::raw_messages(db, W_001, first.next.as_ref(), 10).await.unwrap();
    assert_eq!((first.items.len(), rest.items.len(), rest.next), (10, 1, None));
    assert_eq!(first.items[0].payload.len(), usize::try_from(first.items[0].size_bytes).unwrap());
}

#[tokio::test]
async fn collectors_say_what_they_hear() {
    let Some(database) = seeded("collectors").await else { return };
    let db = &database;
    let rows = collectors::list(db, now()).await.unwrap();
    // The one with an issue first.
    assert_eq!((rows[0].code.as_str(), rows[1].code.as_str()), ("C-02", "C-01"));
    assert_eq!((rows[1].meters, rows[1].meters_reporting, rows[1].heard_today), (2, 2, 2));
    assert_eq!((rows[0].meters, rows[0].meters_reporting, rows[0].heard_today), (1, 0, 1));
    assert_eq!(rows[0].issue.as_ref().unwrap().cause, "COLLECTOR_OUTAGE");
    let one = collectors::by_code(db, "C-02", now()).await.unwrap().unwrap();
    let heard: Vec<_> =
        one.meters.iter().map(|m| (m.number.as_str(), m.primary, m.heard_7d)).collect();
    assert_eq!(heard, [("W-003", true, 0), ("W-001", false, 5)]);
    assert_eq!(one.days.len(), 1);
    assert_eq!((one.days[0].meters, one.days[0].telegrams), (1, 5));
    assert_eq!(collectors::by_code(db, "C-99", now()).await.unwrap(), None);
}

#[tokio::test]
async fn unknown_devices_and_dead_letters_are_listed() {
    let Some(database) = seeded("intake").await else { return };
    let db = &database;
    let devices = intake::commissioning(db, false, 10).await.unwrap();
    assert_eq!(devices[0].fields, ["consumption"]);
    assert!(intake::commissioning(db, true, 10).await.unwrap().is_empty());
    assert!(intake::device(db, &SourceId::parse("ert:9")).await.unwrap().is_some());
    let filter = intake::DeadLetterFilter::default();
    let first = intake::dead_letters(db, &filter, None, 3).await.unwrap();
    let rest = intake::dead_letters(db, &filter, first.next.as_ref(), 3).await.unwrap();
    assert_eq!((first.items.len(), rest.items.len(), rest.next), (3, 2, None));
    assert!(first.items[0].last_seen > rest.items[1].last_seen);
    let prefix = &first.items[0].sha256[..12];
    let one = intake::dead_letter(db, prefix).await.unwrap().unwrap();
    assert_eq!(one, first.items[0]);
    assert_eq!(intake::dead_letter(db, "%").await.unwrap(), None);
    let counts = intake::dead_letter_counts(db).await.unwrap();
    assert_eq!(
        (counts[0].reason.as_str(), counts[0].messages, counts[0].reads),
        ("not_json", 12, 36)
    );
    let only = intake::DeadLetterFilter { reason: Some("unknown_device".to_owned()), ..filter };
    assert_eq!(intake::dead_letters(db, &only, None, 10).await.unwrap().items.len(), 2);
}
