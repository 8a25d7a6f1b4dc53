//! Files through the page and through the API: looked at, imported, known again, replayed.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use headend::clock::Clock;
use headend::ingest::IngestOptions;
use headend::ingest::files::{FILE_ADAPTER, FileImporter, FileOptions, FileOutcome, Upload};
use jiff::tz::TimeZone;
use serde_json::Value;
use store::{Database, ReplayFilter};

use super::call::{Answer, Rig};
use super::console::{ConsoleRig, words};
use super::html::Page;

const HOST: &str = "127.0.0.1:8080";
/// A meter that files tell of. The seed's readings give way to partitions as ingest makes them.
const METER: &str = "\
    DROP TABLE read_interval_test, interval_exception_test, register_read_test, device_event_test,
      raw_message_test;
    INSERT INTO usage_point (utility_id, code, address, account_no, commodity, class, time_zone,
      tags, created_at)
    VALUES (1, 'UP-900', '9 Mill Lane', 'A-900', 'electricity', 'residential', 'Europe/Berlin',
      '{}', '2026-01-01');
    INSERT INTO meter (number, serial, commodity, battery_powered, contact_every_s, created_at)
    VALUES ('E-900', 's900', 'electricity', false, 86400, '2026-01-01');
    INSERT INTO installation (meter_id, usage_point_id, valid_from)
    SELECT meter_id, usage_point_id, '2026-01-01' FROM meter, usage_point
    WHERE number = 'E-900' AND code = 'UP-900';
    INSERT INTO meter_source (source_id, meter_id, created_at)
    SELECT 'nmi:NMI0000001', meter_id, '2026-01-01' FROM meter WHERE number = 'E-900';
    INSERT INTO meter_channel (meter_id, channel, field, reading_type, kind, unit, decimals, len_s,
      resolution, delivery_lag_s, valid_from)
    SELECT meter_id, 1, 'E1', 'energy_active_import', 'interval', 'kWh', 3, 1800, 1000, 86400,
      '2026-05-01' FROM meter WHERE number = 'E-900';";

/// One day of half hours, and what else is to stand before the trailer.
fn nem12(nmi: &str, more: &str) -> String {
    let values = vec!["0.5"; 48].join(",");
    format!(
        "100,NEM12,202606020100,MDP,RET\n200,{nmi},E1,1,E1,N1,SER1,kWh,30,\n\
         300,20260601,{values},A,,,20260602010000,\n{more}900\n"
    )
}

const BAD_LINE: &str = "300,20260602,1,2,3,A,,,,\n";

/// A form with a file as a browser sends it.
async fn choose(rig: &ConsoleRig, (name, text): (&str, &str), fields: &[(&str, &str)]) -> Answer {
    let mut body = String::new();
    for (field, value) in fields {
        body +=
            &format!("--b7\r\nContent-Disposition: form-data; name=\"{field}\"\r\n\r\n{value}\r\n");
    }
    body += &format!(
        "--b7\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\
         Content-Type: text/csv\r\n\r\n{text}\r\n--b7--\r\n"
    );
    let request = Request::post("/files/try")
        .header("host", HOST)
        .header("origin", format!("http://{HOST}"))
        .header("content-type", "multipart/form-data; boundary=b7");
    rig.send(request.body(Body::from(body)).unwrap()).await
}

fn location(answer: &Answer) -> String {
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", words(&answer.text()));
    answer.header("location").to_owned()
}

/// The page of a file that was chosen, when nothing moves any more.
async fn settled(rig: &ConsoleRig, path: &str) -> String {
    loop {
        let answer = rig.get(path).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", words(&answer.text()));
        if answer.header("refresh").is_empty() {
            let page = Page::read(&answer.text()).unwrap();
            assert_eq!(page.faults(), Vec::<String>::new());
            return words(&answer.text());
        }
    }
}

async fn stored(database: &Database) -> i64 {
    let client = database.client().await.unwrap();
    let count = "SELECT count(*) FROM read_interval JOIN meter USING (meter_id) \
                 WHERE number = 'E-900'";
    client.query_one(count, &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn a_file_is_looked_at_imported_and_known_again() {
    let Some(rig) = ConsoleRig::seeded("console files", METER).await else { return };
    let text = nem12("NMI0000001", BAD_LINE);
    let path = location(&choose(&rig, ("june.csv", &text), &[("kind", "")]).await);
    let tried = settled(&rig, &path).await;
    assert!(tried.contains("Nothing is stored yet"), "{tried}");
    let would = "1 good record and 1 faulty; 48 readings would be stored.";
    assert!(tried.contains(would), "{tried}");
    assert!(tried.contains("4 Bad format value 4 is `A`"), "{tried}");
    assert!(tried.contains("E-900 1 48 0"), "{tried}");
    assert_eq!(stored(&rig.database).await, 0);
    let list = words(&rig.get("/files").await.text());
    assert!(list.contains("june.csv waits for your word"), "{list}");

    let done = rig.submit(&format!("{path}/import"), "by_record=true").await;
    let file = location(&done);
    let shown = settled(&rig, &file).await;
    assert!(shown.contains("Imported; 1 faulty record left out"), "{shown}");
    assert!(shown.contains("Readings stored 48"), "{shown}");
    assert!(shown.contains("4 Bad format") && shown.contains("local operator"), "{shown}");
    assert_eq!(stored(&rig.database).await, 48);
    // Nobody heard the meter now: it was heard when its newest value ended.
    let client = rig.database.client().await.unwrap();
    let heard = "SELECT last_heard_at = '2026-06-01T14:00:00Z' FROM meter_state \
                 JOIN meter USING (meter_id) WHERE number = 'E-900'";
    assert!(client.query_one(heard, &[]).await.unwrap().get::<_, bool>(0));
    let list = words(&rig.get("/files").await.text());
    assert!(list.contains("june.csv NEM12, NEM13 imported 48 0 0 0 1 0 local operator"), "{list}");
    assert!(!list.contains("waits for your word"), "{list}");

    let path = location(&choose(&rig, ("renamed.csv", &text), &[]).await);
    let known = settled(&rig, &path).await;
    let said = "This content was imported before, as file 1 (48 readings stored, 1 faulty record \
                left out): nothing was changed.";
    assert!(known.contains(said), "{known}");
    assert!(!known.contains("Import the") && known.contains("nothing is left to store"), "{known}");
    let list = words(&rig.get("/files").await.text());
    assert!(list.contains("renamed.csv known already"), "{list}");
    assert!(!list.contains("for your word"), "{list}");
    let gone = location(&rig.submit(&format!("{path}/forget"), "").await);
    assert!(words(&rig.get(&gone).await.text()).contains("renamed.csv was forgotten"));
    assert_eq!(rig.get(&path).await.status, StatusCode::NOT_FOUND);
    assert_eq!(stored(&rig.database).await, 48);
}

#[tokio::test]
async fn which_of_two_values_stands_is_told_once_it_was_decided() {
    let Some(rig) = ConsoleRig::seeded("console files differing", METER).await else { return };
    let first = nem12("NMI0000001", "");
    let newer = first.replace("0.5", "0.7").replace("NEM12,202606020100", "NEM12,202606020200");
    let older = first.replace("0.5", "0.6").replace("NEM12,202606020100", "NEM12,202606020000");
    for (text, would, did) in [
        (first, "48 readings would be stored.", "48 readings stored; 0 records faulty."),
        (
            newer,
            "0 readings would be stored, 48 of another value than what is stored.",
            "0 readings stored, 48 took another's place; 0 records faulty.",
        ),
        (
            older,
            "0 readings would be stored, 48 of another value than what is stored.",
            "0 readings stored, 48 kept beside another; 0 records faulty.",
        ),
    ] {
        let path = location(&choose(&rig, ("a.csv", &text), &[]).await);
        let tried = settled(&rig, &path).await;
        assert!(tried.contains(would), "{tried}");
        location(&rig.submit(&format!("{path}/import"), "by_record=false").await);
        let done = settled(&rig, &path).await.replace('’', "'");
        assert!(done.contains(did), "{done}");
    }
}

#[tokio::test]
async fn of_many_files_at_once_those_that_had_room_are_named() {
    let Some(rig) = ConsoleRig::seeded("console files room", METER).await else { return };
    // All are looked at before any is done: no more than sixteen are worked on.
    let file = |n: i32| {
        format!(
            "--b7\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f{n}.csv\"\r\n\
             Content-Type: text/csv\r\n\r\n{}\r\n",
            nem12("NMI0000001", "")
        )
    };
    let body = (1..=17).map(file).collect::<String>() + "--b7--\r\n";
    let request = Request::post("/files/try")
        .header("host", HOST)
        .header("origin", format!("http://{HOST}"))
        .header("content-type", "multipart/form-data; boundary=b7");
    let answer = rig.send(request.body(Body::from(body)).unwrap()).await;
    let said = words(&answer.text());
    assert!(said.contains("f1.csv, f2.csv, ") && said.contains("were taken, and wait"), "{said}");
    assert!(said.contains("f17.csv: 16 files and 128 MiB are worked on at a time"), "{said}");
}

#[tokio::test]
async fn what_cannot_be_taken_is_told_and_changes_nothing() {
    let Some(rig) = ConsoleRig::seeded("console files refused", METER).await else { return };
    let text = nem12("NMI0000001", "");
    let none = words(&choose(&rig, ("", ""), &[("kind", "nem12")]).await.text());
    assert!(none.contains("Choose a file, or drop one onto the field."), "{none}");
    let kind = words(&choose(&rig, ("a.csv", &text), &[("kind", "../../etc")]).await.text());
    assert!(kind.contains("`../../etc` names no format"), "{kind}");
    let zone = words(&choose(&rig, ("a.csv", &text), &[("zone", "Mars/Base")]).await.text());
    assert!(zone.contains("“Mars/Base” is no zone"), "{zone}");
    let path = location(&choose(&rig, ("a.txt", "hello\n"), &[]).await);
    let told = settled(&rig, &path).await;
    assert!(told.contains("It would be refused: its first bytes are of no kind"), "{told}");
    assert!(told.contains("It would be refused, so") && !told.contains("stored yet"), "{told}");
    let list = words(&rig.get("/files").await.text());
    assert!(list.contains("a.txt would be refused") && !list.contains("your word"), "{list}");
    let cut = location(&choose(&rig, ("cut.csv", text.trim_end_matches("900\n")), &[]).await);
    let cut = settled(&rig, &cut).await;
    assert!(cut.contains("It would be refused"), "{cut}");

    let large = "x".repeat(65 << 20);
    let answer = choose(&rig, ("large.csv", &large), &[]).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(words(&answer.text()).contains("files up to 64.0 MB. Put this one into the inbox"));
    // A page of somebody else that sends a file.
    let foreign = Request::post("/files/try")
        .header("host", HOST)
        .header("origin", "http://evil.example")
        .header("content-type", "multipart/form-data; boundary=b7");
    let foreign = rig.send(foreign.body(Body::from("--b7--")).unwrap()).await;
    assert_eq!(foreign.status, StatusCode::FORBIDDEN);
    assert_eq!(rig.get("/files/1").await.status, StatusCode::NOT_FOUND);
    assert_eq!(stored(&rig.database).await, 0);
}

#[tokio::test]
async fn a_file_that_nobody_can_tell_is_looked_at_again_by_its_layout() {
    let Some(rig) = ConsoleRig::seeded("console files layout", METER).await else { return };
    let line = "   012123456 0004567022826SER0000001\r\n";
    let path = location(&choose(&rig, ("route.txt", line), &[]).await);
    let told = settled(&rig, &path).await;
    assert!(told.contains("choose that below and look again"), "{told}");
    assert!(told.contains("Layout radix-a"), "{told}");
    let look =
        async |kind: &str| rig.submit(&format!("{path}/look"), &format!("kind={kind}")).await;
    assert_eq!(location(&look("radix-a").await), path);
    let read = settled(&rig, &path).await;
    assert!(read.contains("Nothing is stored yet") && read.contains("1 good record"), "{read}");
    assert!(read.contains("radix:SER0000001") && read.contains("radix-a, 38 B"), "{read}");
    // It can be another kind again, and an unknown one changes nothing.
    let none = look("none-of-these").await;
    assert_eq!(none.status, StatusCode::BAD_REQUEST);
    assert!(words(&none.text()).contains("names no format"), "{}", none.text());
    location(&look("cmep").await);
    assert!(settled(&rig, &path).await.contains("It would be refused"));
    location(&look("radix-a").await);
    settled(&rig, &path).await;
    let file = location(&rig.submit(&format!("{path}/import"), "by_record=false").await);
    assert!(settled(&rig, &file).await.contains("Layout radix-a"));
    assert_eq!(look("cmep").await.status, StatusCode::NOT_FOUND, "it is imported");
}

#[tokio::test]
async fn lines_of_an_unknown_device_come_back_once_it_is_a_meter() {
    let Some(rig) = ConsoleRig::seeded("console files replay", METER).await else { return };
    let text = nem12("NMI0000002", "");
    let path = location(&choose(&rig, ("u.csv", &text), &[]).await);
    let tried = settled(&rig, &path).await;
    assert!(tried.contains("Not provisioned") && tried.contains("nmi:NMI0000002"), "{tried}");
    let file = location(&rig.submit(&format!("{path}/import"), "by_record=false").await);
    let shown = settled(&rig, &file).await;
    assert!(shown.contains("Waiting at import 48") && shown.contains("are told again"), "{shown}");
    assert!(
        shown.contains("1 record waits for a meter to be provisioned (48 readings)"),
        "{shown}"
    );

    let options = FileOptions::new(TimeZone::UTC);
    let clock: std::sync::Arc<dyn Clock> = rig.clock.clone();
    let ingest = IngestOptions::new(FILE_ADAPTER, Vec::new());
    let importer = FileImporter::new(rig.database.clone(), ingest, clock);
    let known = ReplayFilter { provisioned: true, ..ReplayFilter::default() };
    let replay = async || importer.replay((&options, &|_| None), &known).await.unwrap().accepted;
    assert_eq!(replay().await, 0, "nobody knows it yet");
    let client = rig.database.client().await.unwrap();
    let provisioned = "INSERT INTO meter_source (source_id, meter_id, created_at) \
                 SELECT 'nmi:NMI0000002', meter_id, '2026-01-01' FROM meter WHERE number = 'E-900'";
    client.batch_execute(provisioned).await.unwrap();
    assert_eq!(replay().await, 1);
    assert_eq!(stored(&rig.database).await, 48);
    assert_eq!(replay().await, 0, "it is told once");
    let home = settled(&rig, &file).await;
    assert!(home.contains("1 record came home since the import (48 readings)"), "{home}");
    assert!(!home.contains("are told again"), "{home}");
    // What it tells of is known now, and the same content has nothing more to say.
    assert!(home.contains("What it tells of") && home.contains("E-900 1"), "{home}");
    let again = location(&choose(&rig, ("u.csv", &text), &[]).await);
    let again = settled(&rig, &again).await;
    assert!(again.contains("imported before, as file 1 (0 readings stored)"), "{again}");
}

#[tokio::test]
async fn what_the_reader_wrote_down_is_on_the_pages_of_file_and_meter() {
    let Some(rig) = ConsoleRig::seeded("console files notes", METER).await else { return };
    let client = rig.database.client().await.unwrap();
    let meter = "INSERT INTO meter_source (source_id, meter_id, created_at) \
         SELECT 'sensus:K1', meter_id, '2026-01-01' FROM meter WHERE number = 'E-900'; \
         INSERT INTO meter_channel (meter_id, channel, field, reading_type, kind, unit, decimals, \
           len_s, resolution, delivery_lag_s, valid_from) \
         SELECT meter_id, 2, 'reading', 'energy_active_import', 'register', 'kWh', 0, 86400, 1, \
           86400, '2026-05-01' FROM meter WHERE number = 'E-900'";
    client.batch_execute(meter).await.unwrap();
    // Serial, reading, month and day, note in their columns.
    let line = |serial: &str, reading: &str, day: &str, note: &str| {
        format!("{:12}{serial:15}{:16}{reading:9}{day:4}{note:2}\n", "", "")
    };
    let text = line("K1", "000004567", "0601", "GB")
        + &line("K1", "", "0602", "DG")
        + &line("K9", "", "0602", "NA");
    let path = location(&choose(&rig, ("walk.txt", &text), &[("kind", "sensus-k3")]).await);
    let tried = settled(&rig, &path).await;
    assert!(tried.contains("1 reading would be stored; 2 meters not read"), "{tried}");
    let file = location(&rig.submit(&format!("{path}/import"), "by_record=false").await);
    let shown = settled(&rig, &file).await;
    assert!(shown.contains("Imported; 2 meters were not read."), "{shown}");
    assert!(shown.contains("1 E-900 read note=GB"), "{shown}");
    assert!(shown.contains("2 E-900 not read note=DG"), "{shown}");
    assert!(shown.contains("3 sensus:K9 not read note=NA"), "{shown}");
    let waits = "1 record waits for a meter to be provisioned: sensus:K9.";
    assert!(shown.contains(waits), "also without readings: {shown}");
    assert!(shown.contains("E-900 2 Mon 1 Jun, 00:00 "), "one read, one instant: {shown}");
    let api = Rig::over(rig.database.clone());
    let one = api.json("/api/v1/files/1").await;
    assert_eq!(one["file"]["counts"]["not_read"], 2, "{one}");
    assert_eq!(
        (&one["notes"][1]["meter"], &one["notes"][1]["note"]),
        (&"E-900".into(), &"note=DG".into())
    );
    let events = api.json("/api/v1/meters/E-900/events").await;
    let told: Vec<(&str, &str)> = events["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| (event["code"].as_str().unwrap(), event["detail"].as_str().unwrap()))
        .collect();
    assert_eq!(told, [("read_skipped", "note=DG"), ("reader_note", "note=GB")], "{events}");
    let page = words(&rig.get("/meters/E-900?tab=events").await.text());
    assert!(page.contains("note=DG") && page.contains("note=GB"), "{page}");
    // Nobody heard the meter by walking past it.
    let heard = "SELECT count(*) FROM meter_state JOIN meter USING (meter_id) \
                 WHERE number = 'E-900' AND last_heard_at > '2026-06-01T12:00:00Z'";
    assert_eq!(client.query_one(heard, &[]).await.unwrap().get::<_, i64>(0), 0);
}

#[tokio::test]
async fn the_api_takes_files_and_keeps_their_history() {
    let Some(rig) = ConsoleRig::seeded("api files", METER).await else { return };
    let api = Rig::over(rig.database.clone());
    let text = nem12("NMI0000001", BAD_LINE);
    let post = async |query: &str, body: &str| -> Value {
        let answer = api.post(&format!("/api/v1/files?{query}"), &[], body).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        answer.json()["files"][0].clone()
    };
    let tried = post("name=a.csv&dry_run=true&by_record=true", &text).await;
    assert_eq!((&tried["outcome"], &tried["counts"]["refused"]), (&"tried".into(), &1.into()));
    assert_eq!(tried["faults"][0]["line"], 4);
    let refused = post("name=a.csv", &text).await;
    assert_eq!((&refused["outcome"], &refused["number"]), (&"refused".into(), &1.into()));
    assert_eq!(stored(&rig.database).await, 0);
    let taken = post("name=a.csv&by_record=true&format=nem12", &text).await;
    assert_eq!(taken["counts"]["inserted"], 48, "{taken}");
    let known = post("name=b.csv", &text).await;
    assert_eq!((&known["outcome"], &known["number"]), (&"known".into(), &2.into()));
    assert_eq!((&known["counts"]["inserted"], &known["counts"]["refused"]), (&0.into(), &0.into()));
    let layout =
        api.post("/api/v1/files?format=layout&layout=radix-a&dry_run=true", &[], "x").await;
    assert_eq!(layout.status, StatusCode::OK, "{}", layout.text());
    let unknown = api.post("/api/v1/files?layout=none-of-these", &[], &text).await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    assert!(unknown.text().contains("names no format"), "{}", unknown.text());

    let list = api.json("/api/v1/files").await;
    let states: Vec<&str> =
        list["files"].as_array().unwrap().iter().map(|f| f["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["done", "refused"], "{list}");
    let newest = api.json("/api/v1/files?limit=1").await;
    assert_eq!((newest["files"].as_array().unwrap().len(), &newest["before"]), (1, &2.into()));
    let one = api.json("/api/v1/files/2").await;
    assert_eq!((&one["file"]["actor"], &one["faults"][0]["line"]), (&"api".into(), &4.into()));
    // It is the same history that the page shows.
    let page = words(&rig.get("/files").await.text());
    assert!(page.contains("a.csv NEM12, NEM13 imported 48 0 0 0 1 0 api"), "{page}");
    let meter = rig.get("/meters/E-900?from=2026-05-31&to=2026-06-02").await.text();
    let feed = meter.split("green-button.xml?").nth(1).unwrap().split('"').next().unwrap();
    let feed = feed.replace("&amp;", "&").replace("&#38;", "&");
    let feed = api.get(&format!("/api/v1/meters/E-900/green-button.xml?{feed}")).await;
    assert_eq!(feed.status, StatusCode::OK, "{}", feed.text());
    assert_eq!(feed.text().matches("<IntervalReading>").count(), 48, "{}", feed.text());
}

#[tokio::test]
async fn a_long_file_is_stored_in_parts_and_a_short_one_at_once() {
    let Some(rig) = ConsoleRig::seeded("console files parts", METER).await else { return };
    let first = nem12("NMI0000001", "");
    let day = |date: &str| first.lines().nth(2).unwrap().replace("20260601", date) + "\n";
    let text = nem12("NMI0000001", &(day("20260602") + &day("20260603")));
    let mut batches = Vec::new();
    for rows_max in [1, 10] {
        let clock: std::sync::Arc<dyn Clock> = rig.clock.clone();
        let mut ingest = IngestOptions::new(FILE_ADAPTER, Vec::new());
        // Three days of 48 readings: more than 50 batches of one, less than 50 of ten.
        ingest.batch_rows_max = rows_max;
        let importer = FileImporter::new(rig.database.clone(), ingest, clock);
        let options = FileOptions { again: true, ..FileOptions::new(TimeZone::UTC) };
        let upload = Upload {
            name: "long.csv".to_owned(),
            bytes: text.clone().into(),
            actor: "test".to_owned(),
        };
        let mut told = Vec::new();
        let mut progress = |done, of| told.push((done, of));
        let reports = importer.import(&upload, &options, &mut progress).await.unwrap();
        assert_eq!(reports[0].outcome, FileOutcome::Imported, "{reports:?}");
        assert_eq!(reports[0].counts.offered, 144);
        batches.push(told);
    }
    assert_eq!(batches, [vec![(2, 3), (3, 3)], vec![(3, 3)]]);
    assert_eq!(stored(&rig.database).await, 144);
}
