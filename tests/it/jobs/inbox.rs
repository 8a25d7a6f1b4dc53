//! The drop folder: what is taken, where it goes, and what is written beside it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use headend::clock::{Clock, SteppedClock};
use headend::config::FilesConfig;
use headend::ingest::IngestOptions;
use headend::ingest::files::{FILE_ADAPTER, FileOptions, FileOutcome, Upload};
use headend::jobs::inbox::{self, Inbox};
use headend::services::files::Files;
use jiff::tz::TimeZone;
use metering::UtcTime;
use store::{Database, ReplayFilter};
use tokio::sync::watch;

use crate::kit::database::fresh;
use crate::kit::temp::TempDir;

const METERS: &str = "\
    INSERT INTO utility (code, name, zone) VALUES ('T', 'Test', 'UTC');
    INSERT INTO usage_point (utility_id, code, address, account_no, commodity, class, time_zone,
      tags, created_at)
    VALUES (1, 'UP-1', '1 Mill Lane', 'A-1', 'electricity', 'residential', 'UTC', '{}',
      '2026-01-01');
    INSERT INTO meter (number, serial, commodity, battery_powered, contact_every_s, created_at)
    VALUES ('E-1', 's1', 'electricity', false, 86400, '2026-01-01');
    INSERT INTO installation (meter_id, usage_point_id, valid_from) VALUES (1, 1, '2026-01-01');
    INSERT INTO meter_source (source_id, meter_id, created_at)
    VALUES ('nmi:NMI0000001', 1, '2026-01-01'), ('own:S1', 1, '2026-01-01');
    INSERT INTO meter_channel (meter_id, channel, field, reading_type, kind, unit, decimals, len_s,
      resolution, delivery_lag_s, valid_from)
    VALUES (1, 1, 'E1', 'energy_active_import', 'interval', 'kWh', 3, 1800, 1000, 86400,
        '2026-05-01'),
      (1, 2, 'total', 'energy_active_import', 'register', 'kWh', 3, 86400, 1000, 86400,
        '2026-05-01');";
const LAYOUT: &str = "name = \"rounds\"\nkind = \"csv\"\nfamily = \"own\"\ncolumn_names = true\n\
    columns = [\n{ target = \"id\", name = \"Serial\", required = true },\n\
    { target = \"date\", name = \"Day\", format = \"YYYY-MM-DD\", required = true },\n\
    { target = \"reading\", name = \"Read\", field = \"total\", unit = \"kWh\" },\n]\n";

fn nem12(trailer: &str) -> String {
    let values = vec!["0.5"; 48].join(",");
    format!(
        "100,NEM12,202606020100,MDP,RET\n200,NMI0000001,E1,1,E1,N1,SER1,kWh,30,\n\
         300,20260601,{values},A,,,20260602010000,\n{trailer}"
    )
}

async fn database(test: &str) -> Option<Database> {
    let database = fresh(test).await?;
    database.client().await.unwrap().batch_execute(METERS).await.unwrap();
    Some(database)
}

/// Names of the files of a folder, without the stamp of the move.
fn names(dir: PathBuf) -> Vec<String> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let files = entries.filter(|entry| entry.path().is_file());
    let mut names: Vec<String> = files
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .map(|name| name.split_once("Z_").map_or(name.clone(), |(_, rest)| rest.to_owned()))
        .collect();
    names.sort();
    names
}

async fn count(database: &Database, sql: &str) -> i64 {
    database.client().await.unwrap().query_one(sql, &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn files_move_to_done_or_failed_and_are_stored_once() {
    let test = "files_move_to_done_or_failed_and_are_stored_once";
    let Some(database) = database(test).await else { return };
    let directory = TempDir::new("inbox");
    let dir = directory.path().join("inbox");
    for folder in ["", "rounds", "nonsense", "layouts"] {
        std::fs::create_dir_all(dir.join(folder)).unwrap();
    }
    let layouts = directory.path().join("layouts");
    std::fs::create_dir_all(&layouts).unwrap();
    std::fs::write(layouts.join("rounds.toml"), LAYOUT).unwrap();
    let put = |name: &str, text: &str| std::fs::write(dir.join(name), text).unwrap();
    put("good.csv", &nem12("900\n"));
    put("same.csv", &nem12("900\n"));
    put("cut.csv", &nem12(""));
    put("bad.csv", &nem12("300,20260602,1,2,A,,,,\n900\n"));
    put("strange.csv", &nem12("900\n").replace("NMI0000001", "NMI0000009"));
    put("coming.csv.part", &nem12("900\n"));
    put(".hidden", "x");
    put("rounds/round.csv", "Serial,Day,Read\nS1,2026-06-01,100.5\n");
    put("nonsense/a.csv", "x");

    let now = UtcTime::parse_rfc3339("2026-06-10T12:00:00Z").unwrap();
    let clock: Arc<dyn Clock> = SteppedClock::starting_at(now);
    let config = FilesConfig { inbox: Some(dir.clone()), layouts: Some(layouts), by_record: false };
    let ingest = IngestOptions::new(FILE_ADAPTER, Vec::new());
    let context = (TimeZone::UTC, Arc::clone(&clock));
    let files = Files::new(database.clone(), ingest, &config, context);
    let (stop, stopped) = watch::channel(false);
    let inbox = Inbox { dir: config.inbox.clone(), files };
    let task = tokio::spawn(inbox::run(inbox, clock, stopped));
    let moved = async {
        while names(dir.join("done")).len() + names(dir.join("failed")).len() < 11 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let moved = tokio::time::timeout(Duration::from_secs(60), moved).await;
    stop.send_replace(true);
    task.await.unwrap();
    let (done, failed) = (names(dir.join("done")), names(dir.join("failed")));
    assert!(moved.is_ok(), "{done:?} {failed:?}");
    assert_eq!(done, ["good.csv", "round.csv", "same.csv", "strange.csv", "strange.csv.waits.txt"]);
    let want = ["a.csv", "a.csv.errors.txt", "bad.csv", "bad.csv.errors.txt", "cut.csv"];
    assert_eq!(failed, [&want[..], &["cut.csv.errors.txt"]].concat());
    assert_eq!(names(dir.clone()), [".hidden", "coming.csv.part"]);

    let told = |name: &str| {
        let entries = std::fs::read_dir(dir.join("failed")).unwrap().flatten();
        let path = entries.map(|e| e.path()).find(|p| p.to_string_lossy().ends_with(name));
        std::fs::read_to_string(path.unwrap()).unwrap()
    };
    let bad = told("bad.csv.errors.txt");
    assert!(bad.contains("1 of 2 records are faulty") && bad.contains("bad.csv:4:"), "{bad}");
    assert!(told("_a.csv.errors.txt").contains("`nonsense` names no format"));
    assert!(told("cut.csv.errors.txt").contains("refused"));
    assert_eq!(count(&database, "SELECT count(*) FROM read_interval").await, 48);
    assert_eq!(count(&database, "SELECT count(*) FROM register_read").await, 1);
    let by = "SELECT count(*) FROM imported_file WHERE actor = 'inbox' AND state = 'done'";
    assert_eq!(count(&database, by).await, 3, "the second copy is known by its content");
}

#[tokio::test]
async fn letters_are_read_as_their_file_was() {
    let test = "letters_are_read_as_their_file_was";
    let Some(database) = database(test).await else { return };
    let layouts = TempDir::new("letters");
    // It is found by the name of its file, whatever it calls itself.
    std::fs::write(layouts.path().join("walk.toml"), LAYOUT).unwrap();
    let now = UtcTime::parse_rfc3339("2026-07-10T12:00:00Z").unwrap();
    let clock: Arc<dyn Clock> = SteppedClock::starting_at(now);
    let layouts = Some(layouts.path().to_owned());
    let config = FilesConfig { inbox: None, layouts, by_record: false };
    let ingest = IngestOptions::new(FILE_ADAPTER, Vec::new());
    let files = Files::new(database.clone(), ingest, &config, (TimeZone::UTC, clock));
    let cmep = "MEPMD01,20080501,S,SC,R,METER1,202607020101,M2,OK,E,KWH,1,00000100,1,\
        202607010100,R0,1.5\n";
    let mut numbers = Vec::new();
    // Taken in the wrong zone first: what waits is read as its newest import says.
    for zone in ["Europe/Berlin", "America/Denver"] {
        for (kind, name, text) in [
            ("walk", "walk\0.csv", "Serial,Day,Read\nS2,2026-06-01,100.5\n"),
            ("cmep", "june.txt", cmep),
        ] {
            let zone = TimeZone::get(zone).unwrap();
            let options = FileOptions { zone, ..files.options(kind).unwrap() };
            let (name, bytes) = (name.repeat(40), text.to_owned().into());
            let upload = Upload { name, bytes, actor: "test".to_owned() };
            let told = files.import(&upload, &options, &mut |_, _| {}).await.unwrap();
            assert_eq!(told[0].counts.dead, 1, "{told:?}");
            assert!(told[0].name.len() <= 255 && !told[0].name.contains('\0'), "{told:?}");
            numbers.push(told[0].import_no.unwrap());
            let again = files.import(&upload, &options, &mut |_, _| {}).await.unwrap();
            assert!(matches!(again[0].outcome, FileOutcome::Known(_)), "{again:?}");
        }
    }
    assert_eq!(count(&database, "SELECT count(*) FROM dead_letter").await, 2, "one a record");
    let letters = async |number| store::files::letters(&database, number).await.unwrap();
    assert_eq!(letters(numbers[1]).await.gone_reads(1), 1, "they are the later import's");
    assert_eq!((letters(numbers[3]).await.waiting, letters(numbers[3]).await.home), (1, 0));
    let meter = "INSERT INTO meter_source (source_id, meter_id, created_at) \
        VALUES ('own:S2', 1, '2026-01-01'), ('cmep:M2', 1, '2026-01-01'); \
        UPDATE meter_channel SET field = 'KWH', len_s = 3600 WHERE channel = 1";
    database.client().await.unwrap().batch_execute(meter).await.unwrap();
    let known = ReplayFilter { provisioned: true, ..ReplayFilter::default() };
    let report = files.replay(&known).await.unwrap();
    assert_eq!((report.accepted, report.still_dead), (2, 0), "{report:?}");
    assert_eq!((letters(numbers[3]).await.waiting, letters(numbers[3]).await.home), (0, 1));
    assert_eq!(count(&database, "SELECT count(*) FROM register_read").await, 1);
    assert_eq!(count(&database, "SELECT count(*) FROM read_interval").await, 1);
    // Midnight and one o'clock of Denver, six hours behind.
    let read = "SELECT count(*) FROM register_read WHERE read_at = '2026-06-01T06:00:00Z'";
    assert_eq!(count(&database, read).await, 1);
    let interval = "SELECT count(*) FROM read_interval WHERE starts_at = '2026-07-01T06:00:00Z'";
    assert_eq!(count(&database, interval).await, 1);
}
