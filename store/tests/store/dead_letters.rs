//! Dead letters are kept once each, counted, and can be told again.

use bytes::Bytes;
use metering::{SourceId, UtcTime};
use store::{Batch, Database, DeadLetter, DeadRow, ReplayFilter, Writer};

use crate::support::{T0, batch, database, number};

fn letter(name: &str, source: Option<&str>, at: UtcTime) -> DeadRow {
    DeadRow {
        topic: "amr/C-04/rtlamr".into(),
        payload: Bytes::copy_from_slice(name.as_bytes()),
        reason: if source.is_some() { "unknown_device" } else { "not_json" }.to_owned(),
        detail: String::new(),
        source_id: source.map(SourceId::parse),
        received_at: at,
        reads: 2,
        import_no: None,
    }
}

async fn waiting(database: &Database, filter: &ReplayFilter) -> Vec<DeadLetter> {
    let mut all: Vec<DeadLetter> = Vec::new();
    loop {
        let after = all.last().map(|last| (last.received_at, last.sha256));
        let page = database.letters_to_replay("test", filter, after).await.unwrap();
        if page.is_empty() {
            return all;
        }
        all.extend(page);
    }
}

#[tokio::test]
async fn copies_are_counted_and_a_source_is_told_again_in_order() {
    let Some(database) = database("copies_are_counted_and_a_source_is_told_again_in_order").await
    else {
        return;
    };
    let mut writer = Writer::new(database.clone());
    let mut sent = batch(T0);
    // More than one page, all of one instant.
    sent.dead = (0..1_200).map(|n| letter(&format!("{n}"), Some("ert:1"), T0)).collect();
    sent.dead.push(letter("garbage", None, T0.plus_seconds(1)));
    let stored = writer.append(&sent).await.unwrap();
    assert_eq!((stored.offered, stored.dead), (2_402, 2_402));
    let again = Batch { dead: vec![letter("garbage", None, T0.plus_seconds(9))], ..batch(T0) };
    assert_eq!(writer.append(&again).await.unwrap().dead, 2);
    let sql = "SELECT count FROM dead_letter WHERE reason = 'not_json' \
        AND last_seen = first_seen + interval '8 s'";
    assert_eq!(number(&database, sql).await, 2);
    let of_source =
        ReplayFilter { sources: Some(vec![SourceId::new("ert", 1)]), ..ReplayFilter::default() };
    let letters = waiting(&database, &of_source).await;
    assert_eq!(letters.len(), 1_200);
    let keys: Vec<[u8; 32]> = letters.iter().map(|letter| letter.sha256).collect();
    assert_eq!(database.mark_replayed("test", &keys, T0).await.unwrap(), 1_200);
    assert!(waiting(&database, &of_source).await.is_empty());
    // What comes again after a replay waits again.
    let again = Batch { dead: vec![letter("7", Some("ert:1"), T0)], ..batch(T0) };
    let _ = writer.append(&again).await.unwrap();
    assert_eq!(waiting(&database, &of_source).await.len(), 1);
}
