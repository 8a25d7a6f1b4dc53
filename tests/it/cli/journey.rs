//! The way of the README from an empty directory to readings, with the built program and a broker.

use std::process::{Command, Output};
use std::time::Duration;

use super::headend;
use crate::kit::headend::{HeadEnd, Settings};
use crate::kit::mosquitto::Mosquitto;
use crate::kit::program::{find, wait_for};
use crate::kit::skip::skip;

const TEST: &str = "an_unknown_meter_is_provisioned_and_what_it_sent_comes_back";
const BUNDLE: &str = r#"{"v":1,"meter":"E-501","series":[{"field":"energy_import","unit":"Wh",
    "len":900,"end":"2026-11-20T09:15:00Z","values":[120,118,131]}]}"#;

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn json(head_end: &HeadEnd, args: &[&str]) -> serde_json::Value {
    let output = head_end.run(args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn publish(broker: &Mosquitto, topic: &str, payload: &str) {
    let port = broker.port.to_string();
    let args = ["-p", &port, "-q", "1", "-t", topic, "-m", payload];
    assert!(Command::new("mosquitto_pub").args(args).status().unwrap().success());
}

/// The example file of `docs/provisioning.md`.
fn example() -> &'static str {
    let document = include_str!("../../../docs/provisioning.md");
    let from = document.find("```csv\n").unwrap() + 7;
    &document[from..from + document[from..].find("```").unwrap()]
}

#[test]
fn an_unknown_meter_is_provisioned_and_what_it_sent_comes_back() {
    let postgres = std::path::Path::new("/usr/lib/postgresql").exists();
    if find("mosquitto_pub").is_none() || !postgres {
        return skip(TEST, "mosquitto_pub or PostgreSQL is not installed");
    }
    let Some(broker) = Mosquitto::start(TEST) else { return };
    let mut head_end = HeadEnd::new(&Settings::bundles(broker.port));
    head_end.start();
    head_end.wait_ready();
    publish(&broker, "ami/up/E-501", BUNDLE);
    publish(&broker, "ami/up/E-501", "no bundle");
    let letters = || json(&head_end, &["dlq", "list", "--json"]);
    let both = wait_for(Duration::from_secs(20), || letters().as_array().unwrap().len() == 2);
    assert!(both, "{}", letters());

    // A second head-end on the same data names the first and disturbs nothing.
    let second = headend(head_end.path(), &["serve"], &[]);
    assert_eq!(second.code, 75, "{}", second.stderr);
    assert!(second.stderr.contains("another instance uses"), "{}", second.stderr);

    std::fs::write(head_end.path().join("meters.csv"), example()).unwrap();
    let report = json(&head_end, &["meters", "provision", "meters.csv", "--json"]);
    assert_eq!((&report["created"], &report["reads_replayed"]), (&3.into(), &3.into()), "{report}");
    let left = letters();
    assert_eq!(left.as_array().unwrap().len(), 1, "{left}");
    assert_eq!(left[0]["reason"], "bad_format");

    let reads = ["reads", "E-501", "--from", "2026-11-20", "--to", "2026-11-21", "--output", "csv"];
    let stored = text(&head_end.run(&reads)).replace('\r', "");
    expect_test::expect![[r#"
        meter_id,channel,interval_start,interval_end,value,unit,quality,version
        E-501,1,2026-11-20T09:00:00+00:00,2026-11-20T09:15:00+00:00,120,Wh,raw,1
        E-501,1,2026-11-20T09:15:00+00:00,2026-11-20T09:30:00+00:00,118,Wh,raw,1
        E-501,1,2026-11-20T09:30:00+00:00,2026-11-20T09:45:00+00:00,131,Wh,raw,1
    "#]]
    .assert_eq(&stored);
    head_end.stop();
    // Without a running head-end the verbs start the server themselves; the data is still there.
    assert_eq!(text(&head_end.run(&reads)).replace('\r', ""), stored);
    let id = left[0]["id"].as_str().unwrap();
    let shown = json(&head_end, &["dlq", "show", id, "--json"]);
    assert_eq!(shown["payload"], "no bundle");
    let kept = headend(head_end.path(), &["dlq", "purge", "--reason", "bad_format"], &[]);
    assert_eq!((kept.code, kept.stdout.as_str()), (64, ""));
    let purged = head_end.run(&["dlq", "purge", "--reason", "bad_format", "--yes"]);
    assert_eq!(text(&purged), "1 dead letters were deleted\n");
}
