//! Measured values that a file brings where we had estimated: the estimate gives way, and what it was
//! off by is trued up.

use std::fmt::Write as _;
use std::sync::Arc;

use headend::clock::{Clock, SteppedClock};
use headend::ingest::IngestOptions;
use headend::ingest::files::{FILE_ADAPTER, FileImporter, FileOptions, FileReport, Upload};
use jiff::tz::TimeZone;
use metering::{QualityStatus, UtcTime};
use protocols::files::Layout;
use store::estimation::by_number;
use vee::estimation::EstimationState;

use super::estimation::{Rig, at, usual};

const LAYOUT: &str = "name = \"hand\"\nkind = \"csv\"\nfamily = \"ami\"\ncolumns = [\n\
    { target = \"id\", index = 1 },\n\
    { target = \"date\", index = 2, format = \"YYYY-MM-DD\" },\n\
    { target = \"time\", index = 3, format = \"hh:mm\" },\n\
    { target = \"reading\", index = 4, field = \"energy\", unit = \"Wh\", interval_s = 900 },\n]\n";

/// Imports slots of day 12 by their values in mWh.
async fn import(rig: &Rig, slots: &[(i64, i64)], now: UtcTime) -> FileReport {
    let mut text = String::new();
    for (slot, value) in slots {
        let end = at(12, slot + 1).to_jiff().strftime("%Y-%m-%d,%H:%M").to_string();
        writeln!(text, "E-1,{end},{}", value / 1000).unwrap();
    }
    let clock: Arc<dyn Clock> = SteppedClock::starting_at(now);
    let ingest = IngestOptions::new(FILE_ADAPTER, Vec::new());
    let importer = FileImporter::new(rig.database.clone(), ingest, clock);
    let layout = Some(Arc::new(Layout::parse(LAYOUT).unwrap()));
    let options = FileOptions { layout, ..FileOptions::new(TimeZone::UTC) };
    let upload = Upload { name: "a.csv".to_owned(), bytes: text.into(), actor: "test".to_owned() };
    importer.import(&upload, &options, &mut |_, _| {}).await.unwrap().remove(0)
}

/// A day of which eight slots were estimated, and by how much altogether.
async fn estimated(test: &str) -> Option<(Rig, i64)> {
    let mut rig = Rig::new(test).await?;
    rig.history(13, |day, slot| day == 12 && (70..78).contains(&slot)).await;
    assert_eq!(rig.pass(at(13, 24)).await.applied, 1);
    let estimated = rig.slots(at(12, 70), at(12, 78)).await.iter().map(|s| s.value).sum();
    Some((rig, estimated))
}

async fn trued_up(rig: &Rig, actual: i64, estimated: i64) {
    let best = rig.slots(at(12, 70), at(12, 78)).await;
    assert!(best.iter().all(|slot| slot.status == QualityStatus::Validated), "{best:?}");
    assert_eq!(best.iter().map(|slot| slot.value).sum::<i64>(), actual);
    let record = by_number(&rig.database, 1).await.unwrap().unwrap();
    assert_eq!(record.state, EstimationState::SupersededByActual);
    assert_eq!(record.true_up, Some(actual - estimated));
    rig.sound().await;
}

fn late() -> Vec<(i64, i64)> {
    (70..78).map(|slot| (slot, usual(12, slot) + 3000)).collect()
}

#[tokio::test]
async fn a_file_that_tells_the_whole_day_again_trues_up_what_was_estimated() {
    let test = "a_file_that_tells_the_whole_day_again_trues_up_what_was_estimated";
    let Some((mut rig, estimated)) = estimated(test).await else { return };
    let actual: i64 = late().iter().map(|(_, value)| value).sum();
    let others =
        (0..96).filter(|slot| !(70..78).contains(slot)).map(|slot| (slot, usual(12, slot)));
    let day: Vec<(i64, i64)> = others.chain(late()).collect();
    let told = import(&rig, &day, at(14, 40)).await;
    let counts = told.counts;
    assert_eq!((counts.inserted, counts.duplicate, counts.replaced), (8, 88, 0), "{told:?}");
    // The checks of the day see the values first.
    assert_eq!(rig.pass(at(14, 41)).await.superseded, 8);
    trued_up(&rig, actual, estimated).await;
}

#[tokio::test]
async fn a_file_that_mends_what_was_doubted_and_estimated_trues_it_up() {
    let test = "a_file_that_mends_what_was_doubted_and_estimated_trues_it_up";
    let Some((mut rig, estimated)) = estimated(test).await else { return };
    let wild: Vec<(UtcTime, i64)> = (70..78).map(|slot| (at(12, slot + 1), 7_000_000)).collect();
    rig.arrive(&wild, QualityStatus::Suspect, at(14, 10)).await;
    rig.pass(at(14, 20)).await;
    let actual: i64 = late().iter().map(|(_, value)| value).sum();
    let told = import(&rig, &late(), at(14, 40)).await;
    assert_eq!((told.counts.conflicting, told.counts.replaced), (8, 8), "{told:?}");
    trued_up(&rig, actual, estimated).await;
}
