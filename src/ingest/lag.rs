//! A clock that is behind looks like a message that took long, until it is behind by the same at
//! each contact.

use metering::UtcTime;

/// Contacts in a row that must agree.
const CONTACTS: u8 = 3;
/// Messages that follow one another faster are one contact: a backlog comes at once.
const APART_S: i64 = 600;
/// The delays of two contacts agree within this, and within what the clock drifts in between.
const AGREE_S: i64 = 30;
const DRIFT_PER: i64 = 500;

/// How late one device's messages are by their own stamps. Lives in memory: after a restart it
/// takes [`CONTACTS`] contacts again.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Lag {
    last: Option<(UtcTime, i64)>,
    contacts: u8,
}

impl Lag {
    /// Takes the delay of a message in seconds, sent stamp to arrival. True when it is the clock
    /// that is behind, as far as one device can show it.
    pub(super) fn is_of_clock(&mut self, received_at: UtcTime, late_s: i64, warn_s: i64) -> bool {
        if late_s <= warn_s {
            *self = Self::default();
            return false;
        }
        let Some((before, known_s)) = self.last else {
            *self = Self { last: Some((received_at, late_s)), contacts: 1 };
            return false;
        };
        let elapsed_s = received_at.seconds_since(before).max(0);
        if (late_s - known_s).abs() > AGREE_S + elapsed_s / DRIFT_PER {
            *self = Self { last: Some((received_at, late_s)), contacts: 1 };
            return false;
        }
        if elapsed_s >= APART_S {
            self.contacts = self.contacts.saturating_add(1);
            self.last = Some((received_at, late_s));
        }
        self.contacts >= CONTACTS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pairs of arrival and delay, both in seconds; tells which are held to be the clock's.
    fn judged(contacts: &[(i64, i64)]) -> Vec<bool> {
        let mut lag = Lag::default();
        contacts
            .iter()
            .map(|(at, late_s)| lag.is_of_clock(UtcTime::from_seconds(*at), *late_s, 60))
            .collect()
    }

    #[test]
    fn the_same_delay_at_three_contacts_is_the_clock() {
        let drifting = [(0, 290), (3_600, 294), (7_200, 297), (10_800, 301), (90_000, 410)];
        assert_eq!(judged(&drifting), [false, false, true, true, true]);
        assert_eq!(
            judged(&[(0, 290), (3_600, 290), (7_200, 290), (10_800, 2)])[2..],
            [true, false]
        );
    }

    #[test]
    fn a_backlog_is_late_by_something_else_each_time() {
        // Four reports of an outage at once, then in time again.
        let at_once = [(0, 10_800), (1, 7_201), (2, 3_602), (3, 3), (3_600, 2)];
        assert_eq!(judged(&at_once), [false; 5]);
        let drained = [(0, 9_000), (700, 7_000), (1_400, 5_000), (2_100, 3_000), (2_800, 900)];
        assert_eq!(judged(&drained), [false; 5]);
        let copies = [(0, 500), (1, 501), (2, 502), (3, 503)];
        assert_eq!(judged(&copies), [false; 4]);
    }
}
