//! Measured values that a file brings where we had estimated: the estimate gives way, and what it was
//! off by is trued up. And which of two values stands.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use headend::clock::{Clock, SteppedClock};
use headend::ingest::IngestOptions;
use headend::ingest::files::{
    FILE_ADAPTER, FileImporter, FileOptions, FileOutcome, FileReport, Upload,
};
use headend::services::rules;
use headend::services::vee as service;
use jiff::tz::TimeZone;
use metering::{QualityStatus, SourceId, Unit, UtcTime};
use protocols::files::Layout;
use store::estimation::by_number;
use vee::estimation::EstimationState;

use super::estimation::{Rig, at, meter, usual, who};

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
    let layout = Some(Arc::new(Layout::parse(LAYOUT).unwrap()));
    let options = FileOptions { layout, ..FileOptions::new(TimeZone::UTC) };
    take(rig, text, &options, now).await
}

async fn take(rig: &Rig, text: String, options: &FileOptions, now: UtcTime) -> FileReport {
    let clock: Arc<dyn Clock> = SteppedClock::starting_at(now);
    let ingest = IngestOptions::new(FILE_ADAPTER, Vec::new());
    let importer = FileImporter::new(rig.database.clone(), ingest, clock);
    let upload = Upload { name: "a.csv".to_owned(), bytes: text.into(), actor: "test".to_owned() };
    importer.import(&upload, options, &mut |_, _| {}).await.unwrap().remove(0)
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
    // 2026-06-13 is a Saturday: two of the slots lie before 18:00.
    let text = "[bundle]\nversion = \"rates\"\n[calendar]\n\
                tou = [\"1 weekday,saturday 06:00-18:00\", \"2 otherwise\"]\n";
    let person = rules::Person { actor: "anna", approved_by: None, reason: "t", now: at(14, 30) };
    rules::apply(&rig.database, text, person, true).await.unwrap();
    let before: Vec<i64> =
        rig.slots(at(12, 70), at(12, 78)).await.iter().map(|slot| slot.value).collect();
    // What the register says.
    let late: Vec<(i64, i64)> = (70..78).map(|slot| (slot, usual(12, slot))).collect();
    let actual: i64 = late.iter().map(|(_, value)| value).sum();
    let told = import(&rig, &late, at(14, 40)).await;
    assert_eq!((told.counts.conflicting, told.counts.replaced), (8, 8), "{told:?}");
    trued_up(&rig, actual, estimated).await;
    let off: Vec<i64> =
        late.iter().zip(&before).map(|((_, actual), before)| actual - before).collect();
    let by_rate = "SELECT tou_bucket || ' ' || sum(delta) FROM true_up GROUP BY tou_bucket \
                   ORDER BY tou_bucket";
    let want = format!("1 {}; 2 {}", off[..2].iter().sum::<i64>(), off[2..].iter().sum::<i64>());
    assert_eq!(rig.text(by_rate).await, want);
    // The checks of the day take it neither for the doubted one nor for what a second device says.
    rig.pass(at(14, 50)).await;
    trued_up(&rig, actual, estimated).await;
    assert_eq!(rig.text("SELECT count(*)::text FROM finding WHERE rule_no = 1").await, "0");
}

#[tokio::test]
async fn a_value_that_a_person_rejected_does_not_come_back_by_a_newer_file() {
    let test = "a_value_that_a_person_rejected_does_not_come_back_by_a_newer_file";
    let Some((mut rig, _)) = estimated(test).await else { return };
    let wild: Vec<(UtcTime, i64)> = (70..78).map(|slot| (at(12, slot + 1), 7_000_000)).collect();
    rig.arrive(&wild, QualityStatus::Suspect, at(14, 10)).await;
    assert_eq!(import(&rig, &late(), at(14, 40)).await.counts.replaced, 8);
    // It is not what the register says, and a person is asked.
    rig.pass(at(14, 45)).await;
    let range = rig.range(at(12, 70), at(12, 78));
    let rejected = service::reject(&rig.database, &range, who("another house", at(14, 50))).await;
    assert_eq!(rejected.unwrap(), 8);
    let again = |first: usize| -> Vec<(i64, i64)> {
        let mut all = late();
        all.rotate_left(first);
        all
    };
    let told = import(&rig, &again(1), at(15, 0)).await;
    assert_eq!((told.counts.conflicting, told.counts.replaced), (8, 0), "{told:?}");
    let stands = async |rig: &Rig| {
        let slots = rig.slots(at(12, 70), at(12, 78)).await;
        slots.iter().filter(|slot| slot.status == QualityStatus::Validated).count()
    };
    assert_eq!(stands(&rig).await, 0);
    // Nor once it was estimated instead.
    rig.pass(at(16, 0)).await;
    let told = import(&rig, &again(2), at(16, 10)).await;
    assert_eq!((told.counts.replaced, stands(&rig).await), (0, 0), "{told:?}");
    // Another value of the same hours does.
    let better: Vec<(i64, i64)> =
        late().into_iter().map(|(slot, value)| (slot, value + 1000)).collect();
    let told = import(&rig, &better, at(16, 20)).await;
    assert_eq!((told.counts.replaced, stands(&rig).await), (8, 8), "{told:?}");
    rig.sound().await;
}

#[tokio::test]
async fn what_a_person_decides_while_a_file_is_compared_stands_and_is_counted_so() {
    let test = "what_a_person_decides_while_a_file_is_compared_stands_and_is_counted_so";
    let Some((mut rig, _)) = estimated(test).await else { return };
    let wild: Vec<(UtcTime, i64)> = (70..78).map(|slot| (at(12, slot + 1), 7_000_000)).collect();
    rig.arrive(&wild, QualityStatus::Suspect, at(14, 10)).await;
    rig.pass(at(14, 20)).await;
    // The estimation is held while the values of the file are compared with it.
    let person = rig.database.client().await.unwrap();
    person
        .batch_execute("BEGIN; SELECT FROM estimation WHERE estimation_no = 1 FOR UPDATE")
        .await
        .unwrap();
    let decides = async {
        let waits = "SELECT count(*)::text FROM pg_stat_activity WHERE wait_event_type = 'Lock' \
            AND datname = current_database()";
        while rig.text(waits).await == "0" {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let edit = "INSERT INTO interval_exception (starts_at, recorded_at, value, rule_mask, \
                meter_id, channel, version, status, flags, method, reason, source, actor, note) \
            SELECT x.starts_at, to_timestamp($1::int8), 1000, 0, x.meter_id, x.channel, \
                x.last + 1, 6, x.flags, 12, 3, 4, 'anna', 'read by hand' \
            FROM (SELECT DISTINCT ON (starts_at) *, \
                    max(version) OVER (PARTITION BY starts_at) AS last \
                FROM interval_exception ORDER BY starts_at, lane, version DESC) x \
            WHERE x.estimation_no = 1 ORDER BY x.starts_at LIMIT 3";
        assert_eq!(person.execute(edit, &[&at(14, 39).seconds()]).await.unwrap(), 3);
        person.batch_execute("COMMIT").await.unwrap();
    };
    let newer = late();
    let (told, ()) = tokio::join!(import(&rig, &newer, at(14, 40)), decides);
    assert_eq!((told.counts.conflicting, told.counts.replaced), (8, 5), "{told:?}");
    let outcomes =
        "SELECT string_agg(outcome::text, '' ORDER BY starts_at, value) FROM read_conflict";
    assert_eq!(rig.text(outcomes).await, "11122222");
    let best = rig.slots(at(12, 70), at(12, 78)).await;
    let edited = best.iter().filter(|slot| slot.status == QualityStatus::Edited).count();
    assert_eq!((edited, best[3].value), (3, newer[3].1), "{best:?}");
    assert_eq!(rig.text("SELECT count(*)::text FROM true_up").await, "5");
}

#[tokio::test]
async fn a_file_that_was_read_in_the_wrong_zone_is_put_right_by_reading_it_again() {
    let test = "a_file_that_was_read_in_the_wrong_zone_is_put_right_by_reading_it_again";
    let mut one = meter();
    one.sources = vec![SourceId::parse("cmep:C-1")];
    one.channels[0].field = "KWH".to_owned();
    (one.channels[0].unit, one.channels[0].decimals) = (Unit::KilowattHour, 3);
    let Some(rig) = Rig::with(test, &[one], 0).await else { return };
    // Its own word for when it was made moves with the zone: in Berlin it is the older one.
    let mut text = "MEPMD01,20080501,S,SC,R,U,202606050100,C-1,OK,E,KWH,1,00000015,12".to_owned();
    let values: Vec<i64> = (0..12).map(|slot| usual(3, slot)).collect();
    for (slot, value) in (0..).zip(&values) {
        let end = at(3, slot + 1).to_jiff().strftime("%Y%m%d%H%M").to_string();
        write!(text, ",{end},R0,0.{:03}", value / 1000).unwrap();
    }
    text.push('\n');
    let read_in = async |zone: &str| {
        let options = FileOptions::new(TimeZone::get(zone).unwrap());
        take(&rig, text.clone(), &options, at(6, 0)).await
    };
    let wrong = read_in("UTC").await;
    assert_eq!((wrong.counts.inserted, wrong.counts.conflicting), (12, 0), "{wrong:?}");
    let right = read_in("Europe/Berlin").await;
    let counts = right.counts;
    assert_eq!((counts.inserted, counts.conflicting, counts.replaced), (8, 4, 4), "{right:?}");
    // Two hours before.
    let stored = rig.slots(at(3, -8), at(3, 4)).await;
    assert_eq!(stored.iter().map(|slot| slot.value).collect::<Vec<_>>(), values);
    let known = read_in("Europe/Berlin").await;
    assert!(matches!(known.outcome, FileOutcome::Known(_)), "{known:?}");
}
