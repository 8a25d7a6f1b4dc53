//! A gap that nothing explains has a DATA issue (I6). It closes by itself once its intervals are
//! estimated (4.4): it is a record, nobody has to work on it.

use alerts::issue::{Actor, State};
use metering::UtcTime;

use crate::database::Connection;
use crate::error::StoreError;
use crate::issues::{SystemStep, move_by_system};

const WHAT: &str = "closing the issue of an estimated gap";

const STATE: &str =
    "SELECT state FROM meter_issue WHERE issue_id = $1 AND cause_detected = 'DATA_GAP'";

/// Nobody works on an issue in these states.
const PATH: [(State, State); 2] =
    [(State::Detected, State::FixedPending), (State::FixedPending, State::Closed)];

/// Closes the issue when it stands for a gap alone and nobody has taken it up. `fixed`: end of the
/// gap.
pub(super) async fn close_gap_issue(
    client: &Connection,
    issue_id: &str,
    (at, fixed): (UtcTime, UtcTime),
) -> Result<(), StoreError> {
    let query = StoreError::query(WHAT);
    let statement = client.prepare_cached(STATE).await.map_err(&query)?;
    let Some(row) = client.query_opt(&statement, &[&issue_id]).await.map_err(&query)? else {
        return Ok(());
    };
    let mut state: String = row.get(0);
    for (from, to) in PATH {
        if state == from.word() {
            let step = SystemStep {
                from,
                to,
                actor: Actor::Engine,
                who: "engine",
                reason: "the intervals are estimated",
            };
            move_by_system(client, issue_id, &step, (at, Some(fixed))).await?;
            to.word().clone_into(&mut state);
        }
    }
    Ok(())
}
