//! What the checks and people decided holds against every later look of the estimation job, and
//! everything can be taken back to what the meter sent.

use headend::services::vee::{self as service, VeeError};
use metering::{QualityStatus, UtcTime};
use store::estimation::by_number;
use vee::estimate::Method;
use vee::estimation::{EstimationState, Trigger};

use super::estimation::{CHANNEL, Rig, STATES, at, usual, who};

#[tokio::test]
async fn what_a_days_check_doubts_does_not_come_back_as_truth() {
    let test = "what_a_days_check_doubts_does_not_come_back_as_truth";
    let Some(mut rig) = Rig::new(test).await else { return };
    rig.history(12, |_, _| false).await;
    // The register stands still and the intervals show one value for three days: stuck (#21).
    for day in 12..15 {
        let stuck: Vec<(UtcTime, i64)> = (0..96).map(|slot| (at(day, slot + 1), 50_000)).collect();
        rig.arrive(&stuck, QualityStatus::Raw, at(day + 1, 0)).await;
    }
    let told = rig.pass(at(15, 30)).await;
    assert!(told.applied > 0, "{told:?}");
    let estimated = |slots: &[store::estimation::BestSlot]| {
        slots.iter().filter(|slot| slot.status == QualityStatus::Estimated).count()
    };
    let first = estimated(&rig.slots(at(12, 0), at(15, 0)).await);
    assert!(first > 90, "{first}");
    for hour in 1..4 {
        assert_eq!(rig.pass(at(15, 30 + 4 * hour)).await.superseded, 0);
    }
    assert_eq!(estimated(&rig.slots(at(12, 0), at(15, 0)).await), first);
    rig.sound().await;
}

#[tokio::test]
async fn gaps_between_the_same_registers_share_what_is_left() {
    let test = "gaps_between_the_same_registers_share_what_is_left";
    let Some(mut rig) = Rig::new(test).await else { return };
    let total = rig.days_from((0, 12), |_, _| false).await;
    // Two days with a gap each and no read at the midnight between them.
    let lost = |slot: i64| (40..56).contains(&slot);
    let mut known = 0;
    for day in 12..14 {
        let slots: Vec<(UtcTime, i64)> = (0..96)
            .filter(|slot| !lost(*slot))
            .map(|slot| (at(day, slot + 1), usual(day, slot)))
            .collect();
        known += slots.iter().map(|slot| slot.1).sum::<i64>();
        rig.arrive(&slots, QualityStatus::Raw, at(day + 1, 0)).await;
        if day == 12 {
            assert_eq!(rig.pass(at(13, 24)).await.applied, 1);
        }
    }
    assert!(!by_number(&rig.database, 1).await.unwrap().unwrap().scaled);
    // The read tells far less than the first estimate alone had.
    rig.read(at(14, 0), total + known + 640_000, at(14, 1)).await;
    let told = rig.pass(at(14, 24)).await;
    assert_eq!(told.refused, 0);
    let sum = async |day: i64| -> i64 {
        rig.slots(at(day, 40), at(day, 56)).await.iter().map(|slot| slot.value).sum()
    };
    let (one, other) = (sum(12).await, sum(13).await);
    assert_eq!(one + other, 640_000, "one residual for both");
    assert!(one > 250_000 && other > 250_000, "{one} {other}");
    let state = by_number(&rig.database, 1).await.unwrap().unwrap().state;
    assert_eq!(state, EstimationState::SupersededByEstimate);
    rig.sound().await;
}

#[tokio::test]
async fn what_is_left_of_an_estimate_is_scaled_anew() {
    let test = "what_is_left_of_an_estimate_is_scaled_anew";
    let Some(mut rig) = Rig::new(test).await else { return };
    rig.history(13, |day, slot| day == 12 && (40..60).contains(&slot)).await;
    assert_eq!(rig.pass(at(13, 24)).await.applied, 1);
    // Half of it arrives late, with twice the use.
    let late: Vec<(UtcTime, i64)> =
        (40..50).map(|slot| (at(12, slot + 1), usual(12, slot) + 20_000)).collect();
    rig.arrive(&late, QualityStatus::Raw, at(14, 30)).await;
    assert_eq!(rig.pass(at(14, 40)).await.superseded, 10);
    rig.pass(at(16, 40)).await;
    let day = rig.slots(at(12, 0), at(13, 0)).await;
    let sum: i64 = day.iter().map(|slot| slot.value).sum();
    assert_eq!(sum, (0..96).map(|slot| usual(12, slot)).sum::<i64>(), "exact again");
    let actual = day.iter().filter(|slot| slot.status == QualityStatus::Validated).count();
    assert_eq!((day.len(), actual), (96, 86));
    rig.sound().await;
}

#[tokio::test]
async fn each_undo_goes_further_back_to_what_the_meter_sent() {
    let test = "each_undo_goes_further_back_to_what_the_meter_sent";
    let Some(mut rig) = Rig::new(test).await else { return };
    rig.history(13, |day, slot| day == 12 && (30..34).contains(&slot)).await;
    let wild: Vec<(UtcTime, i64)> = (30..34).map(|slot| (at(12, slot + 1), 7_000_000)).collect();
    rig.arrive(&wild, QualityStatus::Suspect, at(13, 0)).await;
    rig.pass(at(13, 24)).await;
    let (from, to, now) = (at(12, 30), at(12, 34), at(13, 25));
    let (db, range) = (rig.database.clone(), rig.range(from, to));
    let first: Vec<i64> = rig.slots(from, to).await.iter().map(|slot| slot.value).collect();
    for value in [50_000, 60_000] {
        let values: Vec<(UtcTime, i64)> = (30..34).map(|slot| (at(12, slot + 1), value)).collect();
        service::edit(&db, (rig.meter, CHANNEL), &values, false, who("by hand", now))
            .await
            .unwrap();
    }
    let mut told = Vec::new();
    for _ in 0..3 {
        assert_eq!(service::undo(&db, &range, who("no", now)).await.unwrap(), 4);
        told.push(rig.slots(from, to).await.iter().map(|slot| slot.value).collect::<Vec<i64>>());
        rig.sound().await;
    }
    assert_eq!(told, [vec![50_000; 4], first, vec![7_000_000; 4]]);
    assert!(service::undo(&db, &range, who("no", now)).await.is_err(), "nothing is left");
    let states = rig.text(STATES).await;
    assert!(states.split("; ").all(|state| state.starts_with("REVERSED")), "{states}");
}

#[tokio::test]
async fn rolling_back_an_estimate_leaves_late_truth_alone() {
    let test = "rolling_back_an_estimate_leaves_late_truth_alone";
    let Some(mut rig) = Rig::new(test).await else { return };
    rig.history(13, |day, slot| day == 12 && (70..78).contains(&slot)).await;
    assert_eq!(rig.pass(at(13, 24)).await.applied, 1);
    let late: Vec<(UtcTime, i64)> =
        (70..73).map(|slot| (at(12, slot + 1), usual(12, slot))).collect();
    rig.arrive(&late, QualityStatus::Raw, at(14, 0)).await;
    assert_eq!(rig.pass(at(14, 2)).await.superseded, 3);
    let db = rig.database.clone();
    service::act(&db, 1, Trigger::RollBack, who("no", at(14, 3))).await.unwrap();
    let left = rig.slots(at(12, 70), at(12, 78)).await;
    let values: Vec<i64> = left.iter().map(|slot| slot.value).collect();
    assert_eq!(values, (70..73).map(|slot| usual(12, slot)).collect::<Vec<_>>());
    rig.sound().await;
}

#[tokio::test]
async fn an_edit_of_one_interval_leaves_the_rest_of_the_estimate() {
    let test = "an_edit_of_one_interval_leaves_the_rest_of_the_estimate";
    let Some(mut rig) = Rig::new(test).await else { return };
    rig.history(13, |day, slot| day == 12 && (70..78).contains(&slot)).await;
    assert_eq!(rig.pass(at(13, 24)).await.applied, 1);
    let (db, now) = (rig.database.clone(), at(13, 25));
    let off = [(at(12, 71).plus_seconds(7), 1_000)];
    assert!(service::edit(&db, (rig.meter, CHANNEL), &off, false, who("x", now)).await.is_err());
    let ahead = [(at(13, 26), 1_000)];
    let told = service::edit(&db, (rig.meter, CHANNEL), &ahead, false, who("x", now)).await;
    assert!(matches!(told, Err(VeeError::Future { .. })), "{told:?}");
    let (before, ahead) = (rig.range(at(-400, 0), at(-400, 4)), rig.range(at(14, 0), at(14, 4)));
    let why = || who("x", now);
    for told in [
        service::accept(&db, &ahead, why()).await,
        service::reject(&db, &ahead, why()).await,
        service::undo(&db, &ahead, why()).await,
        service::estimate(&db, &ahead, None, why()).await.map(|_| 0),
    ] {
        assert!(matches!(told, Err(VeeError::Future { .. })), "{told:?}");
    }
    for told in [
        service::accept(&db, &before, why()).await,
        service::undo(&db, &before, why()).await,
        service::estimate(&db, &before, None, why()).await.map(|_| 0),
        service::edit(&db, (rig.meter, CHANNEL), &[(at(-400, 1), 1_000)], false, why())
            .await
            .map(|_| 0),
    ] {
        assert!(matches!(told, Err(VeeError::BeforeFirst { .. })), "{told:?}");
    }
    let less = [(at(12, 71), -1)];
    let told = service::edit(&db, (rig.meter, CHANNEL), &less, false, who("x", now)).await;
    assert!(matches!(told, Err(VeeError::Negative { .. })), "{told:?}");
    let one = [(at(12, 71), 90_000)];
    service::edit(&db, (rig.meter, CHANNEL), &one, false, who("seen", now)).await.unwrap();
    assert_eq!(rig.text(STATES).await, "APPLIED 6; APPLIED 12");
    rig.sound().await;
    // Late truth still takes the place of the rest, not of the edit.
    let late: Vec<(UtcTime, i64)> =
        (70..78).map(|slot| (at(12, slot + 1), usual(12, slot))).collect();
    rig.arrive(&late, QualityStatus::Raw, at(14, 0)).await;
    assert_eq!(rig.pass(at(14, 2)).await.superseded, 7);
    let best = rig.slots(at(12, 70), at(12, 78)).await;
    assert_eq!((best[0].value, best[0].status), (90_000, QualityStatus::Edited));
    assert_eq!(best[1].value, usual(12, 71));
    rig.sound().await;
}

#[tokio::test]
async fn estimates_become_final_when_bills_no_longer_change() {
    let test = "estimates_become_final_when_bills_no_longer_change";
    let Some(mut rig) = Rig::new(test).await else { return };
    rig.history(13, |day, slot| day == 12 && (70..78).contains(&slot)).await;
    assert_eq!(rig.pass(at(13, 24)).await.applied, 1);
    let long = at(13 + 427, 30);
    assert_eq!(rig.job.once(at(13 + 426, 0)).await.unwrap().finalised, 0);
    assert_eq!(rig.job.once(long).await.unwrap().finalised, 1);
    let record = by_number(&rig.database, 1).await.unwrap().unwrap();
    assert_eq!(record.state, EstimationState::Final);
    // Staff may still edit it.
    let db = rig.database.clone();
    let values: Vec<(UtcTime, i64)> = (70..78).map(|slot| (at(12, slot + 1), 40_000)).collect();
    service::edit(&db, (rig.meter, CHANNEL), &values, false, who("court", long)).await.unwrap();
    let range = rig.range(at(12, 70), at(12, 78));
    let told = service::estimate(&db, &range, Some(Method::LikeMean), who("no", long)).await;
    assert!(told.is_err(), "an edit is no gap");
    rig.sound().await;
}

#[tokio::test]
async fn a_value_of_another_size_than_the_channel_knows_is_written_only_when_somebody_insists() {
    let test =
        "a_value_of_another_size_than_the_channel_knows_is_written_only_when_somebody_insists";
    let Some(mut rig) = Rig::new(test).await else { return };
    rig.history(13, |day, slot| day == 12 && (30..34).contains(&slot)).await;
    let db = rig.database.clone();
    let client = db.client().await.unwrap();
    client.execute("UPDATE meter_channel SET cap_per_hour = 0", &[]).await.unwrap();
    drop(client);
    let most = (0..96).map(|slot| usual(11, slot)).max().unwrap();
    let (now, key) = (at(13, 25), (rig.meter, CHANNEL));
    let slip = [(at(12, 31), (most * 100 / 1_000) * 1_000)];
    let told = service::edit(&db, key, &slip, false, who("read", now)).await;
    assert!(matches!(told, Err(VeeError::Unusual { .. })), "{told:?}");
    let told = service::try_edit(&db, key, &slip, false, now).await;
    assert!(matches!(told, Err(VeeError::Unusual { .. })), "{told:?}");
    // Of the first interval only what comes after it tells the size.
    let first = [(at(0, 1), slip[0].1)];
    let told = service::edit(&db, key, &first, false, who("read", now)).await;
    assert!(matches!(told, Err(VeeError::Unusual { .. })), "{told:?}");
    service::edit(&db, key, &slip, true, who("a burst pipe", now)).await.unwrap();
    let usual_size = [(at(12, 32), (most * 5 / 1_000) * 1_000)];
    service::edit(&db, key, &usual_size, false, who("read", now)).await.unwrap();
}

#[tokio::test]
async fn neither_a_doubted_value_nor_a_wide_connection_makes_another_size_usual() {
    let test = "neither_a_doubted_value_nor_a_wide_connection_makes_another_size_usual";
    let Some(mut rig) = Rig::new(test).await else { return };
    rig.history(13, |day, slot| day == 12 && slot == 30).await;
    rig.arrive(&[(at(12, 31), 7_000_000)], QualityStatus::Suspect, at(13, 0)).await;
    let most = (0..96).map(|slot| usual(11, slot)).max().unwrap();
    let (now, key, db) = (at(13, 25), (rig.meter, CHANNEL), rig.database.clone());
    let slip = [(at(12, 33), most * 20)];
    let told = service::try_edit(&db, key, &slip, false, now).await;
    assert!(matches!(told, Err(VeeError::Unusual { .. })), "{told:?}");
    assert!(service::try_edit(&db, key, &slip, true, now).await.is_ok());
}

#[tokio::test]
async fn an_edit_of_what_was_measured_opens_no_issue() {
    let test = "an_edit_of_what_was_measured_opens_no_issue";
    let Some(mut rig) = Rig::new(test).await else { return };
    rig.history(13, |day, slot| day == 12 && (70..72).contains(&slot)).await;
    let (now, key, db) = (at(13, 1), (rig.meter, CHANNEL), rig.database.clone());
    for (value, why) in [(50_000, "read by hand"), (51_000, "read again")] {
        let edit = [(at(12, 31), value)];
        let kept = service::edit(&db, key, &edit, false, who(why, now)).await.unwrap();
        assert_eq!((kept[0].versions, kept[0].issue_id.as_deref()), (1, None));
        rig.sound().await;
    }
    const ISSUES: &str = "SELECT cause_detected || ' ' || state FROM meter_issue";
    assert_eq!(rig.text(ISSUES).await, "");
    let versions = "SELECT version || ' ' || actor || ' ' || note FROM interval_exception \
        WHERE method = 12 ORDER BY version";
    assert_eq!(rig.text(versions).await, "2 anna read by hand; 3 anna read again");
    for value in [50_000, usual(12, 30)] {
        let range = rig.range(at(12, 30), at(12, 31));
        assert_eq!(service::undo(&db, &range, who("no", now)).await.unwrap(), 1);
        assert_eq!(rig.slots(at(12, 30), at(12, 31)).await[0].value, value);
        rig.sound().await;
    }
    // Where an interval is missing the gap has its issue, told in the meter's time.
    let edit = [(at(12, 70), 50_000), (at(12, 71), 50_000)];
    let kept = service::edit(&db, key, &edit, false, who("read by hand", now)).await.unwrap();
    assert!(kept[0].issue_id.is_some());
    assert_eq!(rig.text(ISSUES).await, "DATA_GAP CLOSED");
    let one = [(at(12, 72), 50_000)];
    service::edit(&db, key, &one, false, who("read by hand", now)).await.unwrap();
    let notes =
        rig.text("SELECT reason FROM meter_issue_log WHERE reason LIKE '%edited%' ORDER BY seq");
    assert_eq!(
        notes.await,
        "2 intervals to 2026-06-13T17:45:00+02:00 edited by a person; \
         1 interval to 2026-06-13T18:00:00+02:00 edited by a person"
    );
    rig.sound().await;
}

#[tokio::test]
async fn what_was_taken_back_can_be_written_again_and_measured_late() {
    let test = "what_was_taken_back_can_be_written_again_and_measured_late";
    let Some(mut rig) = Rig::new(test).await else { return };
    rig.history(13, |day, slot| day == 12 && (70..72).contains(&slot)).await;
    rig.pass(at(13, 17)).await;
    let (from, to, now) = (at(12, 70), at(12, 72), at(13, 20));
    let (db, range, key) = (rig.database.clone(), rig.range(from, to), (rig.meter, CHANNEL));
    let values = [(at(12, 71), 50_000), (at(12, 72), 51_000)];
    for round in 0..4 {
        let kept = match round {
            0 | 1 => {
                service::estimate(&db, &range, Some(Method::Linear), who("no leak", now)).await
            }
            _ => service::edit(&db, key, &values, false, who("read by hand", now)).await,
        };
        let versions: u64 = kept.unwrap().iter().map(|one| one.versions).sum();
        assert_eq!((round, versions), (round, 2));
        let stands = rig.slots(from, to).await;
        assert!(stands.iter().all(|slot| slot.estimation_no.is_some()), "{round}: {stands:?}");
        rig.sound().await;
        assert_eq!(service::undo(&db, &range, who("wrong", now)).await.unwrap(), 2);
        assert_eq!(rig.slots(from, to).await, [], "nothing stands there");
        rig.sound().await;
    }
    assert_eq!(rig.text(STATES).await, "REVERSED 6; REVERSED 12");
    // What is measured after all stands once its day was judged again.
    let late: Vec<(UtcTime, i64)> =
        (70..72).map(|slot| (at(12, slot + 1), usual(12, slot))).collect();
    rig.arrive(&late, QualityStatus::Raw, at(14, 0)).await;
    rig.pass(at(14, 2)).await;
    let stands = rig.slots(from, to).await;
    let told: Vec<_> = stands.iter().map(|slot| (slot.value, slot.status)).collect();
    let want = [70, 71].map(|slot| (usual(12, slot), QualityStatus::Validated));
    assert_eq!(told, want);
    rig.sound().await;
}
