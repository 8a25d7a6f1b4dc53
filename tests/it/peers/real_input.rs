use std::collections::BTreeSet;
use std::fmt::Write as _;

use expect_test::{ExpectFile, expect_file};
use metering::UtcTime;
use serde_json::{Value, json};

use super::table::{Outcome, Reader};
use super::{Message, Receivers, corpus, meters};
use crate::kit::database::Stored;

/// What is stored of each meter and field so far.
type Known = BTreeSet<(String, String, i64)>;

/// What a Kamstrup meter sends as a temperature that it does not have.
const KAMSTRUP_ABSENT: i64 = 127;

/// Sends each message, and compares what became of all of them with the reviewed table.
async fn check(
    test: &str,
    messages: &[Message],
    provisioning: &str,
    mut agrees: impl FnMut(&Message, &Outcome) -> usize,
    table: ExpectFile,
) {
    let Some(mut receivers) = Receivers::start(test, provisioning).await else { return };
    let mut text = String::new();
    let mut values = 0;
    let stored = Stored::open(&receivers.head_end.data()).await;
    let mut reader = Reader::new(&stored);
    for (number, message) in messages.iter().enumerate() {
        receivers.send(message).await;
        let outcome = reader.next().await;
        values += agrees(message, &outcome);
        let _ = write!(text, "{number} {}\n{}", message.label, outcome.text);
    }
    let count = async |column: &str| {
        let sql = format!("SELECT coalesce(sum({column}), 0)::int8 FROM ingest_batch");
        receivers.stored.number(&sql).await
    };
    let _ = writeln!(
        text,
        "\n{} messages, {values} stored values as computed apart from the program\n\
         {} offered = {} inserted + {} duplicate + {} folded + {} conflicting + {} dead",
        messages.len(),
        count("offered").await,
        count("inserted").await,
        count("duplicate").await,
        count("folded").await,
        count("conflicting").await,
        count("dead").await,
    );
    receivers.head_end.stop();
    table.assert_eq(&text);
}

/// The counters of a telegram as it prints them, by field.
fn ert_agrees(message: &Message, outcome: &Outcome) -> usize {
    let body = match &message.document["Message"] {
        Value::Null => &message.document,
        body => body,
    };
    let sent = |keys: &[&str]| keys.iter().find_map(|key| body[*key].as_i64());
    for value in &outcome.values {
        let counter = match value.field.as_str() {
            "consumption_net" => sent(&["LastConsumptionNet"]),
            "generation" => sent(&["LastGeneration"]),
            "consumption_delivered" => sent(&["LastConsumption"]),
            _ => sent(&["Consumption", "LastConsumptionCount", "consumption_data", "volume_gal"]),
        };
        assert_eq!(Some(value.raw), counter, "{}: {value:?}", message.label);
        let expected = meters::ert_expected(&value.number, i128::from(value.raw));
        assert_eq!(value.milli, expected, "{}: {value:?}", message.label);
    }
    outcome.values.len()
}

/// Every number of a telegram whose unit we store is there, or was there before; no other is.
fn wmbus_agrees(message: &Message, outcome: &Outcome, known: &mut Known) -> usize {
    let id = message.document["id"].as_str().unwrap();
    for value in &outcome.values {
        let sent = &message.document[&value.field];
        let expected = meters::wmbus_expected(&value.field, sent);
        assert_eq!(Some(value.milli), expected, "{} {}: {value:?}", message.label, sent);
        known.insert((id.to_owned(), value.field.clone(), value.milli));
    }
    for (field, sent) in message.document.as_object().unwrap() {
        let Some(milli) = meters::wmbus_expected(field, sent) else { continue };
        let absent = sent.as_i64() == Some(KAMSTRUP_ABSENT);
        let stored = known.contains(&(id.to_owned(), field.clone(), milli));
        let conflicts = outcome.text.contains(&format!("conflict: {field} "));
        let there = stored || conflicts || absent;
        assert!(there, "{}: {field} is missing\n{}", message.label, outcome.text);
    }
    outcome.values.len()
}

#[tokio::test]
async fn messages_of_rtlamr_and_rtl_433_are_stored_as_reviewed() {
    let test = "messages_of_rtlamr_and_rtl_433_are_stored_as_reviewed";
    let Some(messages) = corpus::ert(test) else { return };
    let table = expect_file!["expect/ert.txt"];
    check(test, &messages, &meters::ert_provisioning(), ert_agrees, table).await;
}

#[tokio::test]
async fn messages_of_wmbusmeters_are_stored_as_reviewed() {
    let test = "messages_of_wmbusmeters_are_stored_as_reviewed";
    let Some(messages) = corpus::wmbusmeters(test) else { return };
    let messages = corpus::stamped(messages);
    let provisioning = meters::wmbus_provisioning(&messages);
    let table = expect_file!["expect/wmbusmeters.txt"];
    let mut known = Known::new();
    let agrees = |message: &Message, outcome: &Outcome| wmbus_agrees(message, outcome, &mut known);
    check(test, &messages, &provisioning, agrees, table).await;
}

#[tokio::test]
async fn messages_of_the_year_1111_are_kept_with_their_arrival_and_doubted() {
    let test = "messages_of_the_year_1111_are_kept_with_their_arrival_and_doubted";
    let Some(messages) = corpus::wmbusmeters(test) else { return };
    let provisioning = meters::wmbus_provisioning(&messages);
    let table = expect_file!["expect/wmbusmeters_1111.txt"];
    let mut known = Known::new();
    let agrees = |message: &Message, outcome: &Outcome| wmbus_agrees(message, outcome, &mut known);
    check(test, &messages, &provisioning, agrees, table).await;
}

/// Two collectors hear the telegram, and each of them decodes it with two programs.
#[tokio::test]
async fn a_meter_heard_by_two_collectors_and_two_decoders_counts_once() {
    let test = "a_meter_heard_by_two_collectors_and_two_decoders_counts_once";
    let Some(mut receivers) = Receivers::start(test, &meters::ert_provisioning()).await else {
        return;
    };
    let ten_minutes_ago = "SELECT extract(epoch FROM now())::int8 - 600";
    let heard_s = receivers.stored.number(ten_minutes_ago).await;
    let rtlamr = |collector: &str, after_us: i64| Message {
        label: format!("rtlamr by {collector}"),
        topic: format!("amr/{collector}/rtlamr"),
        document: json!({"Time": UtcTime::from_micros(heard_s * 1_000_000 + after_us).to_string(),
            "Type": "SCM", "Message": {"ID": 44_448_439, "Type": 12, "TamperPhy": 0,
            "TamperEnc": 0, "Consumption": 436_034, "ChecksumVal": 16_435}}),
    };
    let rtl_433 = |collector: &str, after_s: i64| Message {
        label: format!("rtl_433 by {collector}"),
        topic: format!("rtl_433/{collector}/events"),
        document: json!({"time": (heard_s + after_s).to_string(), "model": "ERT-SCM",
            "id": 44_448_439, "ert_type": 12, "physical_tamper": 0, "encoder_tamper": 0,
            "consumption_data": 436_034, "mic": "CRC"}),
    };
    for message in
        [rtlamr("C-01", 689_688), rtl_433("C-01", 0), rtlamr("C-02", 1_101_000), rtl_433("C-02", 1)]
    {
        receivers.send(&message).await;
    }
    let number = async |sql: &str| receivers.stored.number(sql).await;
    assert_eq!(number("SELECT count(*) FROM register_read").await, 1);
    assert_eq!(number("SELECT raw FROM register_read").await, 436_034);
    assert_eq!(number("SELECT sum(offered)::int8 FROM ingest_batch").await, 4);
    assert_eq!(number("SELECT sum(inserted)::int8 FROM ingest_batch").await, 1);
    assert_eq!(number("SELECT sum(folded + duplicate)::int8 FROM ingest_batch").await, 3);
    assert_eq!(number("SELECT count(*) FROM dead_letter").await, 0);
    // Who heard it is written beside the readings, at the latest at the end.
    receivers.head_end.stop();
    receivers.head_end.start();
    receivers.head_end.wait_ready();
    let stored = Stored::open(&receivers.head_end.data()).await;
    let heard = "SELECT count(DISTINCT collector_id) FROM collector_hearing";
    assert_eq!(stored.number(heard).await, 2);
    receivers.head_end.stop();
}
