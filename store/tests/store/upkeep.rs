//! Partitions ahead of time; what is past its keeping goes, also after an interrupted drop.

use metering::UtcTime;
use metering::time::DAY_S;
use store::upkeep::{Keep, Upkeep};

use crate::support::{T0, database, number};

const KEEP: Keep = Keep { raw_days: 2, log_days: 3 };

fn days_later(days: i64) -> UtcTime {
    T0.plus_seconds(days * DAY_S)
}

#[tokio::test]
async fn an_interrupted_drop_is_finished_and_its_day_can_come_back() {
    let Some(database) = database("an_interrupted_drop_is_finished").await else { return };
    let upkeep = Upkeep::new(database.clone());
    upkeep.run(KEEP, T0).await.unwrap();
    let attached = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'raw_message'::regclass";
    let loose = "SELECT count(*) FROM pg_class WHERE relkind = 'r' AND NOT relispartition \
        AND starts_with(relname, 'raw_message_')";
    assert_eq!(number(&database, attached).await, 4);

    // As if the program had died between DETACH and DROP.
    let first = "SELECT min(inhrelid::regclass::text) FROM pg_inherits \
        WHERE inhparent = 'raw_message'::regclass";
    let client = database.client().await.unwrap();
    let name: String = client.query_one(first, &[]).await.unwrap().get(0);
    let detach = format!("ALTER TABLE raw_message DETACH PARTITION {name}");
    client.batch_execute(&detach).await.unwrap();
    assert_eq!(number(&database, loose).await, 1);

    // Still within its keeping: a new look attaches it again.
    let again = store::Database::open(&store::DatabaseConfig::new(url(&client).await)).unwrap();
    Upkeep::new(again).run(KEEP, T0).await.unwrap();
    assert_eq!(number(&database, loose).await, 0);
    assert_eq!(number(&database, attached).await, 4);

    // Past its keeping: dropped, loose or not.
    client.batch_execute(&detach).await.unwrap();
    upkeep.run(KEEP, days_later(3)).await.unwrap();
    assert_eq!(number(&database, loose).await, 0);
    let gone = format!("SELECT count(*) FROM pg_class WHERE relname = '{name}'");
    assert_eq!(number(&database, &gone).await, 0);
}

#[tokio::test]
async fn the_log_stays_until_readers_and_snapshots_are_past_it() {
    let Some(database) = database("the_log_stays_until_readers_are_past_it").await else { return };
    let log = store::PgLog::new(database.clone());
    log.append_now(T0, &[metering::LogRecord::Tick]).await.unwrap();
    log.append_now(days_later(8), &[metering::LogRecord::Tick]).await.unwrap();
    let upkeep = Upkeep::new(database.clone());
    let frames = "SELECT count(*) FROM event_log";
    upkeep.run(KEEP, days_later(8)).await.unwrap();
    assert_eq!(number(&database, frames).await, 2, "nobody has read it");

    log.advance("rules", store::Offset { seq: 2, epoch: 1 }).await.unwrap();
    upkeep.run(KEEP, days_later(8)).await.unwrap();
    assert_eq!(number(&database, frames).await, 2, "no snapshot could go on behind it");

    let snapshot = store::Snapshot { seq: 2, taken_at: days_later(8), state: vec![1] };
    log.save_snapshot("rules", &snapshot).await.unwrap();
    upkeep.run(KEEP, days_later(8)).await.unwrap();
    assert_eq!(number(&database, frames).await, 1);
}

async fn url(client: &store::Connection) -> String {
    const WHERE: &str = "SELECT format('host=%s user=%s dbname=%s', \
        split_part(current_setting('unix_socket_directories'), ',', 1), current_user, \
        current_database())";
    client.query_one(WHERE, &[]).await.unwrap().get(0)
}
