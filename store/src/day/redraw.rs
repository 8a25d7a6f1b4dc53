//! Intervals that were drawn on a straight line between two reads of a counter, and through which a
//! read came since that says how the use lay.

use std::collections::BTreeSet;

use metering::{ChannelNo, DeviceFlags, MeterId, QualityStatus, UtcTime};

use super::note_touched;
use crate::database::Database;
use crate::error::StoreError;
use crate::partitions::{Table, Touched};
use crate::tx::Tx;
use crate::versions::{Change, Reason, append};

/// What the counter tells of a slot by now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Redrawn {
    pub meter: MeterId,
    pub channel: ChannelNo,
    pub start: UtcTime,
    pub end: UtcTime,
    /// Milli-units.
    pub value: i64,
    pub flags: DeviceFlags,
    /// It lies in a day that is judged now; else that day is noted to be judged again.
    pub is_judged: bool,
}

/// Makes a version of each of these slots; closed days before them are judged again. Gives the number
/// of versions.
///
/// # Errors
/// When the database is away; nothing is changed then.
pub async fn redraw(
    database: &Database,
    slots: &[Redrawn],
    at: UtcTime,
) -> Result<u64, StoreError> {
    if slots.is_empty() {
        return Ok(0);
    }
    let mut touched = Touched::default();
    slots.iter().for_each(|slot| touched.add(Table::IntervalException, slot.start.utc_day()));
    database.ensure_partitions(&touched).await?;
    let changes: Vec<Change> = slots
        .iter()
        .map(|slot| Change {
            meter: slot.meter,
            channel: slot.channel,
            start: slot.start,
            value: slot.value,
            status: QualityStatus::Validated,
            flags: slot.flags,
            note: "a read of the register came between".to_owned(),
            ..Change::judged(Reason::LateData)
        })
        .collect();
    let tx = Tx::begin(database).await?;
    let count = append(tx.client(), &changes, at).await?;
    let before = slots.iter().filter(|slot| !slot.is_judged);
    let days: BTreeSet<_> =
        before.map(|slot| (slot.meter, slot.channel, slot.start.utc_day())).collect();
    let days: Vec<_> = days.into_iter().collect();
    note_touched(tx.client(), &days, at).await?;
    tx.commit().await?;
    Ok(count)
}
