//! #7 ING-CLK: what the stamps of messages say of a device's clock.
//!
//! A message that comes before it was sent shows a clock that is ahead. A late one shows nothing by
//! itself: devices upload on schedules, and collectors queue. It is the clock that is behind when
//! the messages of its peers, who came the same way, are not as late ([`usual`]), at several
//! contacts in a row and by the same.

use metering::{CollectorId, MeterId, UtcTime};
use vee::Params;

/// Contacts in a row that must agree.
const CONTACTS: u8 = 4;
/// Messages that follow one another faster are one contact: a backlog comes at once.
const APART_S: i64 = 600;
/// What two contacts tell agrees within this, and within what the clock drifts in between.
const AGREE_S: i64 = 30;
const DRIFT_PER: i64 = 500;
/// A smaller difference to the mean is the way of the message, a larger one a clock that was set.
const STEP_S: i64 = 60;
/// Peers that are needed to know what is usual, and how many of ten must be alike.
const PEERS_MIN: usize = 5;
const ALIKE_OF_TEN: usize = 9;
/// Contacts with the right time that end a wrong clock.
const GOOD: u8 = 2;
/// Days in a row that drift the same way.
const DRIFT_DAYS: i8 = 3;
const DRIFT_GAP_DAYS: i64 = 3;
/// A clock that is off by the change of the local clock does not follow it.
const SHIFT_S: i64 = 60;

/// One message of one device, in seconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Contact {
    pub(super) received_at: UtcTime,
    /// Stamp of the message minus its arrival.
    pub(super) ahead_s: i64,
    /// How late messages of its peers are.
    pub(super) usual_s: Option<i64>,
    /// By how much the local clock changed in the last days; 0 = it did not.
    pub(super) change_s: i64,
}

/// What one contact says; `ahead_s` is `None` while nothing can be told.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Judged {
    pub(super) ahead_s: Option<i64>,
    pub(super) drifts: bool,
    pub(super) news: Option<News>,
}

/// What begins or ends with a contact; told as an event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum News {
    /// Seconds ahead, negative behind.
    Wrong(i64),
    /// Seconds gained a day.
    Drifts(i64),
    /// Off by the change of the local clock.
    Shifted(i64),
    ShiftedBack,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum State {
    #[default]
    Right,
    Wrong(i64),
    Shifted,
}

/// One device's clock. Lives in memory: after a restart it takes [`CONTACTS`] contacts again.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Skew {
    /// Newest contact, and by how much it was off.
    last: Option<(UtcTime, i64)>,
    contacts: u8,
    good: u8,
    state: State,
    /// Smoothed difference, in milliseconds.
    mean_ms: Option<i64>,
    drift: Drift,
}

/// Least delay of a day against the day before.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Drift {
    /// UTC day and the most that the clock was ahead on it: now, and on the day before.
    today: Option<(i64, i64)>,
    before: Option<(i64, i64)>,
    /// Days in a row that gained (positive) or lost.
    run: i8,
    rate: i64,
    told: bool,
}

impl Skew {
    pub(super) fn contact(&mut self, contact: Contact, params: &Params) -> Judged {
        let off_s = contact.ahead_s + contact.usual_s.unwrap_or(0);
        let mut judged = Judged::default();
        if contact.usual_s.is_some() || contact.ahead_s.abs() <= params.clock_warn_s {
            let day = contact.received_at.seconds().div_euclid(metering::time::DAY_S);
            judged.news = self.drift.note(day, off_s, params.clock_rate_s_per_day);
        }
        judged.drifts = self.drift.told;
        if self.is_sure(contact, off_s, params.clock_warn_s) {
            let mean_s = self.smooth(off_s, params.clock_weight_pct);
            judged.news = self.settle(mean_s, contact.change_s, params).or(judged.news);
            judged.ahead_s = Some(mean_s);
        }
        // What was wrong stays so until it is seen to be right.
        match self.state {
            State::Right => {}
            State::Wrong(known_s) => judged.ahead_s = Some(known_s),
            State::Shifted => judged.ahead_s = None,
        }
        judged
    }

    /// The difference is the clock's, not the message's.
    fn is_sure(&mut self, contact: Contact, off_s: i64, warn_s: i64) -> bool {
        let impossible = contact.ahead_s > warn_s;
        let right =
            off_s.abs() <= warn_s && (contact.usual_s.is_some() || contact.ahead_s >= -warn_s);
        if impossible || right {
            self.contacts = 0;
            self.last = None;
            return true;
        }
        contact.usual_s.is_some() && self.agrees(contact.received_at, off_s)
    }

    fn agrees(&mut self, received_at: UtcTime, off_s: i64) -> bool {
        let Some((before, known_s)) = self.last else {
            self.last = Some((received_at, off_s));
            self.contacts = 1;
            return false;
        };
        let elapsed_s = received_at.seconds_since(before).max(0);
        if (off_s - known_s).abs() > AGREE_S + elapsed_s / DRIFT_PER {
            self.last = Some((received_at, off_s));
            self.contacts = 1;
            return false;
        }
        if elapsed_s >= APART_S {
            self.contacts = self.contacts.saturating_add(1);
            self.last = Some((received_at, off_s));
        }
        self.contacts >= CONTACTS
    }

    fn smooth(&mut self, off_s: i64, weight_pct: i64) -> i64 {
        let off_ms = off_s * 1_000;
        let mean_ms = match self.mean_ms {
            Some(mean_ms) if (off_ms - mean_ms).abs() <= STEP_S * 1_000 => {
                mean_ms + (off_ms - mean_ms) * weight_pct / 100
            }
            _ => off_ms,
        };
        self.mean_ms = Some(mean_ms);
        mean_ms / 1_000
    }

    fn settle(&mut self, mean_s: i64, change_s: i64, params: &Params) -> Option<News> {
        if mean_s.abs() < params.clock_clear_s {
            self.good = self.good.saturating_add(1);
            let shifted = self.state == State::Shifted;
            if self.good >= GOOD {
                self.state = State::Right;
                return shifted.then_some(News::ShiftedBack);
            }
            return None;
        }
        self.good = 0;
        if mean_s.abs() <= params.clock_fail_s {
            return None;
        }
        let shifted = change_s != 0 && (mean_s.abs() - change_s.abs()).abs() <= SHIFT_S;
        match self.state {
            State::Shifted => None,
            State::Right if shifted => {
                self.state = State::Shifted;
                Some(News::Shifted(mean_s))
            }
            State::Right => {
                self.state = State::Wrong(mean_s);
                Some(News::Wrong(mean_s))
            }
            State::Wrong(_) => {
                self.state = State::Wrong(mean_s);
                None
            }
        }
    }
}

impl Drift {
    fn note(&mut self, day: i64, off_s: i64, limit_s: i64) -> Option<News> {
        match self.today {
            Some((today, best_s)) if day <= today => {
                self.today = Some((today, best_s.max(off_s)));
                return None;
            }
            None => {
                self.today = Some((day, off_s));
                return None;
            }
            Some(_) => {}
        }
        let closed = self.today.replace((day, off_s));
        let before = std::mem::replace(&mut self.before, closed);
        let (Some((now, now_s)), Some((then, then_s))) = (closed, before) else { return None };
        if now - then > DRIFT_GAP_DAYS {
            self.run = 0;
            return None;
        }
        self.rate = (now_s - then_s) / (now - then);
        self.run = match self.rate {
            rate if rate > limit_s => self.run.max(0).saturating_add(1),
            rate if rate < -limit_s => self.run.min(0).saturating_sub(1),
            _ => 0,
        };
        let was_told = std::mem::replace(&mut self.told, self.run.abs() >= DRIFT_DAYS);
        (self.told && !was_told).then_some(News::Drifts(self.rate))
    }
}

/// How late messages usually are that come the same way: the median, when there are enough of them
/// and they are alike. Sorts `late_s`.
pub(super) fn usual(late_s: &mut [i64], alike_s: i64) -> Option<i64> {
    if late_s.len() <= PEERS_MIN {
        return None;
    }
    late_s.sort_unstable();
    let median = late_s[late_s.len() / 2];
    let alike = late_s.iter().filter(|late| (**late - median).abs() <= alike_s).count();
    (alike * 10 >= late_s.len() * ALIKE_OF_TEN).then_some(median)
}

/// Newest contacts of one way in: of a collector, or of the meters that come by themselves.
#[derive(Clone, Debug, Default)]
pub(super) struct Ring {
    contacts: Vec<(MeterId, i64)>,
    next: usize,
}

const RING: usize = 64;

impl Ring {
    pub(super) fn note(&mut self, meter: MeterId, late_s: i64) {
        if self.contacts.len() < RING {
            self.contacts.push((meter, late_s));
        } else if let Some(oldest) = self.contacts.get_mut(self.next) {
            *oldest = (meter, late_s);
            self.next = (self.next + 1) % RING;
        }
    }

    /// What is usual among the others.
    pub(super) fn usual_but(&self, meter: MeterId, alike_s: i64) -> Option<i64> {
        let others = || self.contacts.iter().filter(|(other, _)| *other != meter);
        let mut known: Vec<MeterId> = others().map(|(other, _)| *other).collect();
        known.sort_unstable();
        known.dedup();
        if known.len() < PEERS_MIN {
            return None;
        }
        usual(&mut others().map(|(_, late_s)| *late_s).collect::<Vec<_>>(), alike_s)
    }
}

/// What is known of the ways in that messages come.
#[derive(Clone, Debug, Default)]
pub(super) struct Ways {
    /// Of the reports of the message at hand.
    here_s: Option<i64>,
    late_s: Vec<i64>,
    by_collector: std::collections::HashMap<Option<CollectorId>, Ring>,
    pub(super) own: OwnClock,
}

impl Ways {
    /// A message came with reports that are so late.
    pub(super) fn message(&mut self, late_s: impl Iterator<Item = i64>, alike_s: i64) {
        self.late_s.clear();
        self.late_s.extend(late_s);
        self.here_s = usual(&mut self.late_s, alike_s);
    }

    /// A report of this message is so late: what is usual for it. Reports of one message came the
    /// same way at the same time; else those that the collector brought before are asked.
    pub(super) fn usual(
        &mut self,
        meter: MeterId,
        collector: Option<CollectorId>,
        late_s: i64,
        alike_s: i64,
    ) -> Option<i64> {
        let ring = self.by_collector.entry(collector).or_default();
        let usual = match self.here_s {
            None if late_s.abs() > alike_s => ring.usual_but(meter, alike_s),
            here => here,
        };
        ring.note(meter, late_s);
        usual
    }
}

/// Whether it is our own clock that is wrong: most devices, whoever they are, seem to be ahead.
#[derive(Clone, Debug, Default)]
pub(super) struct OwnClock {
    /// Newest contact of each of the last devices: ahead of us by more than a warning.
    newest: std::collections::VecDeque<(MeterId, bool)>,
    pub(super) is_wrong: bool,
}

/// Devices that are looked at, and how many of them must be ahead to begin and may be to end.
const OWN_DEVICES: usize = 16;
const OWN_BEGINS: usize = 12;
const OWN_ENDS: usize = 4;

impl OwnClock {
    /// True when it begins or ends.
    pub(super) fn note(&mut self, meter: MeterId, ahead_s: i64, warn_s: i64) -> bool {
        self.newest.retain(|(known, _)| *known != meter);
        self.newest.push_back((meter, ahead_s > warn_s));
        if self.newest.len() > OWN_DEVICES {
            self.newest.pop_front();
        }
        let ahead = self.newest.iter().filter(|(_, ahead)| *ahead).count();
        let is_wrong = if self.is_wrong { ahead > OWN_ENDS } else { ahead >= OWN_BEGINS };
        std::mem::replace(&mut self.is_wrong, is_wrong) != is_wrong
    }
}

#[cfg(test)]
#[path = "skew_tests.rs"]
mod tests;
