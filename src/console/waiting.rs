//! What waits for a person, counted once for all pages.
//!
//! Every page and every open stream shows the same counts, and a look at a big fleet costs the
//! database something. So one look serves all for a second, unless the heads of the log moved or
//! somebody sent a form.

use std::sync::Arc;
use std::time::Duration;

use store::views::fleet::{self, NavCounts};
use store::views::live::Heads;
use store::views::review;
use tokio::sync::Mutex;

use super::refusal::Refusal;
use super::state::ConsoleState;
use super::words;

/// How long a look serves while nothing is known to have changed.
const FRESH: Duration = Duration::from_secs(1);

/// What waits, by where it is worked off.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Counts {
    pub(super) nav: NavCounts,
    /// Days with suspect values.
    pub(super) days: i64,
    /// Estimates that a person has to accept.
    pub(super) proposals: i64,
}

impl Counts {
    /// What the review of readings holds: a number, and of what.
    pub(super) fn review(&self) -> (i64, String) {
        let days = words::count(self.days, "day to review", "days to review");
        let proposals = words::count(self.proposals, "proposal", "proposals");
        (self.days + self.proposals, format!("{days}, {proposals}"))
    }
}

#[derive(Clone, Copy, Debug)]
struct Look {
    at: Duration,
    heads: Heads,
    counts: Counts,
}

/// The last look, shared by all pages; whoever comes while one is under way waits for it.
#[derive(Clone, Debug, Default)]
pub(super) struct Waiting {
    last: Arc<Mutex<Option<Look>>>,
}

impl Waiting {
    /// The counts, at most a second old.
    pub(super) async fn counts(&self, console: &ConsoleState) -> Result<Counts, Refusal> {
        let mut last = self.last.lock().await;
        // Read before counting: what comes while we count is then looked at again.
        let (at, heads) = (console.clock.monotonic(), console.hub.heads());
        if let Some(look) = last.filter(|look| serves(look, at, heads)) {
            return Ok(look.counts);
        }
        let (nav, days, proposals) = futures_util::future::try_join3(
            fleet::nav_counts(&console.db),
            review::waiting(&console.db, console.now()),
            review::proposals(&console.db),
        )
        .await?;
        let counts = Counts { nav, days, proposals };
        *last = Some(Look { at, heads, counts });
        Ok(counts)
    }

    /// Somebody sent a form: the next page counts anew.
    pub(super) async fn forget(&self) {
        *self.last.lock().await = None;
    }
}

fn serves(look: &Look, now: Duration, heads: Heads) -> bool {
    look.heads == heads && now.saturating_sub(look.at) < FRESH
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_review_says_what_it_counts() {
        let counts = Counts { days: 1, proposals: 12, ..Counts::default() };
        assert_eq!(counts.review(), (13, "1 day to review, 12 proposals".to_owned()));
    }

    #[test]
    fn a_look_serves_for_a_second_and_until_the_log_moves() {
        let heads = Heads { log_seq: 7, event_id: 3 };
        let look = Look { at: Duration::from_secs(5), heads, counts: Counts::default() };
        assert!(serves(&look, Duration::from_millis(5_999), heads));
        assert!(!serves(&look, Duration::from_secs(6), heads));
        assert!(!serves(&look, Duration::from_secs(5), Heads { log_seq: 8, ..heads }));
    }
}
