//! Descriptions of payloads: versions, who and why.

use store::StoreError;
use store::mappings::{self, NewMapping};

use crate::support::{T0, database};

#[tokio::test]
async fn a_description_is_taken_live_changed_and_ended_and_all_is_kept() {
    let name = "a_description_is_taken_live_changed_and_ended_and_all_is_kept";
    let Some(db) = database(name).await else { return };
    let first = NewMapping { name: "plant", filter: "plant/+", text: "a" };
    let who = ("Kim", "new meters");
    let one = mappings::apply(&db, &first, who, T0).await.unwrap();
    assert_eq!((one.version, one.live, one.applied_at), (1, true, T0));
    // The same again is no new version.
    assert_eq!(mappings::apply(&db, &first, ("Lee", "again"), T0).await.unwrap(), one);
    let second = NewMapping { text: "b", ..first };
    let two = mappings::apply(&db, &second, who, T0.plus_seconds(1)).await.unwrap();
    assert_eq!(two.version, 2);
    assert_eq!(mappings::live(&db).await.unwrap(), std::slice::from_ref(&two));
    assert_eq!(mappings::last_change(&db).await.unwrap(), two.mapping_no);
    let ended = mappings::end(&db, "plant", ("Lee", "scrapped"), T0).await.unwrap();
    assert_eq!((ended.version, ended.live), (3, false));
    assert!(mappings::live(&db).await.unwrap().is_empty());
    let refused = mappings::end(&db, "plant", who, T0).await.unwrap_err();
    assert!(matches!(refused, StoreError::Refused { .. }), "{refused}");
    let all = mappings::history(&db, 10).await.unwrap();
    assert_eq!(all.iter().map(|row| row.version).collect::<Vec<_>>(), [3, 2, 1]);
    assert_eq!(mappings::apply(&db, &first, who, T0).await.unwrap().version, 4);
}
