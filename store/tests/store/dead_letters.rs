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
        let after = all.last().map(|last| last.arrival_no);
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
    let told = letters.iter().map(|letter| letter.payload.clone());
    assert!(told.eq((0..1_200).map(|n| Bytes::from(format!("{n}")))), "as they came");
    let keys: Vec<[u8; 32]> = letters.iter().map(|letter| letter.sha256).collect();
    assert_eq!(database.mark_replayed("test", &keys, T0).await.unwrap(), 1_200);
    assert!(waiting(&database, &of_source).await.is_empty());
    // What comes again after a replay waits again.
    let again = Batch { dead: vec![letter("7", Some("ert:1"), T0)], ..batch(T0) };
    let _ = writer.append(&again).await.unwrap();
    assert_eq!(waiting(&database, &of_source).await.len(), 1);
}

/// The part of the migration that moves what earlier versions kept.
const MOVE: &str = include_str!("../../../migrations/V0025__tell_letters_of_files_apart.sql");

#[tokio::test]
async fn letters_of_files_from_before_belong_to_their_import_once_a_record() {
    let test = "letters_of_files_from_before_belong_to_their_import_once_a_record";
    let Some(database) = database(test).await else { return };
    let client = database.client().await.unwrap();
    // One file that came in two zones, and one whose import is not known any more.
    let before = "\
        INSERT INTO imported_file (sha256, name, format, size, by_record, made_at, received_at, \
            actor) \
        SELECT sha256('x'::bytea), 'june.txt', 'cmep', 1, false, at, at + interval '1 s', 'a' \
        FROM unnest(ARRAY['2026-06-01T10:00Z', '2026-06-02T10:00Z']::timestamptz[]) AS at; \
        INSERT INTO dead_letter (sha256, adapter, topic, payload, reason, first_seen, last_seen) \
        VALUES ('\\x01', 'file', 'file/cmep;zone=Europe:Berlin/june.txt', 'r1', 'unknown_device', \
            '2026-06-01T10:00Z', '2026-06-01T10:00Z'), \
        ('\\x02', 'file', 'file/cmep;zone=America:Denver/june.txt', 'r1', 'unknown_device', \
            '2026-06-02T10:00Z', '2026-06-02T10:00Z'), \
        ('\\x03', 'file', 'file/beacon;zone=UTC;column=Meter_SN/a;zone=b', 'r2', 'unknown_device', \
            '2026-06-02T10:00Z', '2026-06-02T10:00Z'), \
        ('\\x04', 'mqtt', 'file/cmep;zone=UTC/x', 'r1', 'not_json', '2026-06-02T10:00Z', \
            '2026-06-02T10:00Z')";
    client.batch_execute(before).await.unwrap();
    let (_, moves) = MOVE.split_once("-- Letters of before").unwrap();
    client.batch_execute(&format!("--{moves}")).await.unwrap();
    let told = "SELECT concat_ws('|', adapter, topic, f.import_no, f.zone, d.sha256 = \
        sha256('file\\000'::bytea || payload)) FROM dead_letter d \
        LEFT JOIN imported_file f USING (import_no) ORDER BY 1";
    let rows = client.query(told, &[]).await.unwrap();
    let rows: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(
        rows,
        [
            "file|file/beacon/a;zone=b|t",
            "file|file/cmep/june.txt|2|America/Denver|t",
            "mqtt|file/cmep;zone=UTC/x|f",
        ]
    );
}
