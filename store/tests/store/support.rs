//! A database per test, and short ways to make rows.

use std::io::Write;
use std::path::Path;

use metering::{
    ChannelNo, DeviceFlags, Interval, IntervalReading, JudgedReading, MeterId, QualityStatus,
    RegisterReading, RuleMask, SlotCode, UtcTime,
};
use store::testing::shared_cluster;
use store::{Batch, Database, IntervalRow, RegisterRow};

/// A migrated database, or `None` after saying loudly that the test is skipped.
pub(crate) async fn database(test: &str) -> Option<Database> {
    let cluster = shared_cluster(Path::new(env!("CARGO_TARGET_TMPDIR")), std::env::var_os("PATH"))
        .await
        .expect("the test cluster starts");
    match cluster {
        Some(cluster) => Some(cluster.database().await.expect("a test database is made")),
        None => {
            skip(test, "no PostgreSQL binaries");
            None
        }
    }
}

/// Prints the skip and counts it in the file that the test command sums.
pub(crate) fn skip(test: &str, reason: &str) {
    let line = format!("SKIPPED {test}: {reason}");
    eprintln!("{line}");
    if let Some(path) = std::env::var_os("HEADEND_SKIP_FILE") {
        let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
        let _ = file.and_then(|mut file| writeln!(file, "{line}"));
    }
}

/// 2026-10-01T00:00:00Z, a day that no test has made a partition for.
pub(crate) const T0: UtcTime = UtcTime::from_seconds(1_790_812_800);

pub(crate) fn batch(log_time: UtcTime) -> Batch {
    Batch { messages: 1, ..Batch::new("test", log_time) }
}

/// A quarter hour of channel 1: the `slot`-th after [`T0`].
pub(crate) fn quarter(meter: i32, slot: i64, value: i64) -> IntervalRow {
    interval(meter, T0.plus_seconds(slot * 900 + 900), 900, value)
}

pub(crate) fn interval(meter: i32, end: UtcTime, len_s: i32, value: i64) -> IntervalRow {
    IntervalRow {
        reading: JudgedReading {
            reading: IntervalReading {
                meter: MeterId::new(meter),
                channel: ChannelNo::new(1),
                interval: Interval::ending_at(end, len_s).unwrap(),
                value,
                flags: DeviceFlags::NONE,
            },
            code: SlotCode::new(QualityStatus::Raw, DeviceFlags::NONE),
            failed: RuleMask::EMPTY,
        },
        received_at: end,
        derived: false,
        source: 1,
    }
}

pub(crate) fn register(meter: i32, read_at: UtcTime, raw: i64) -> RegisterRow {
    RegisterRow {
        reading: JudgedReading {
            reading: RegisterReading {
                meter: MeterId::new(meter),
                channel: ChannelNo::new(1),
                read_at,
                raw,
                value: raw * 1_000,
                flags: DeviceFlags::NONE,
            },
            code: SlotCode::new(QualityStatus::Raw, DeviceFlags::NONE),
            failed: RuleMask::EMPTY,
        },
        received_at: read_at,
    }
}

/// One number from the database.
pub(crate) async fn number(database: &Database, sql: &str) -> i64 {
    let client = database.client().await.unwrap();
    client.query_one(sql, &[]).await.unwrap().get(0)
}
