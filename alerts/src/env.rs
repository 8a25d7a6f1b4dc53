//! What all rules share: parameters, the two clocks of the log, active alerts, timers, local days.

use std::sync::Arc;

use metering::UtcTime;

use crate::active::ActiveRules;
use crate::alerts::AlertBook;
use crate::crowd::Crowd;
use crate::custom::CustomState;
use crate::groups::Groups;
use crate::local::Zones;
use crate::params::Params;
use crate::rules::projection::Pricing;
use crate::rules::verdicts::Verdicts;
use crate::state::NEVER;
use crate::state::network::Network;
use crate::state::premises::AllPremises;
use crate::state::registers::Registers;
use crate::timer::Timers;
use crate::transition::AlertTransition;

/// The surroundings of a rule.
#[derive(Debug)]
pub(crate) struct Env {
    /// Of the meter at hand, else of all: see [`Env::select`].
    pub(crate) params: Arc<Params>,
    /// The rules that hold.
    pub(crate) active: ActiveRules,
    /// Of operators' own rules.
    pub(crate) custom: CustomState,
    /// Log time of the frame at hand; it never goes back.
    pub(crate) at: UtcTime,
    /// The same in seconds.
    pub(crate) now: i64,
    /// The log time before this one, in seconds: what arrived at `now` was sent after it.
    pub(crate) before: i64,
    pub(crate) book: AlertBook,
    pub(crate) timers: Timers,
    pub(crate) zones: Zones,
    pub(crate) groups: Groups,
    pub(crate) watch: Watch,
    pub(crate) crowd: Crowd,
    pub(crate) premises: AllPremises,
    /// What use costs; not part of a snapshot.
    pub(crate) pricing: Option<Box<dyn Pricing>>,
    pub(crate) network: Network,
    pub(crate) verdicts: Verdicts,
    pub(crate) registers: Registers,
    /// Meters that are known.
    pub(crate) fleet: u32,
    pub(crate) out: Vec<AlertTransition>,
}

impl Env {
    pub(crate) fn new(params: Params) -> Self {
        let params = Arc::new(params);
        let mut book = AlertBook::default();
        book.params = Arc::clone(&params);
        Self {
            active: ActiveRules::built_in(Arc::clone(&params)),
            custom: CustomState::default(),
            params,
            at: UtcTime::MIN,
            now: NEVER,
            before: NEVER,
            book,
            timers: Timers::default(),
            zones: Zones::default(),
            groups: Groups::default(),
            watch: Watch::default(),
            crowd: Crowd::default(),
            premises: AllPremises::default(),
            pricing: None,
            network: Network::default(),
            verdicts: Verdicts::default(),
            registers: Registers::default(),
            fleet: 0,
            out: Vec::new(),
        }
    }

    /// From here on the parameters are those of the meter at this place.
    pub(crate) fn select(&mut self, place: u32) {
        if !self.active.is_uniform() {
            self.use_params(self.active.of_place(place));
        }
    }

    /// From here on the parameters are those of all meters.
    pub(crate) fn select_all(&mut self) {
        if !self.active.is_uniform() {
            self.use_params(self.active.of_all());
        }
    }

    pub(crate) fn use_params(&mut self, params: Arc<Params>) {
        self.book.params = Arc::clone(&params);
        self.params = params;
    }

    /// Data that end at `end` came as they should, so that an alert from them is of now.
    pub(crate) fn is_timely(&self, end: i64, lag_s: i32) -> bool {
        self.now - end <= i64::from(lag_s) + 900
    }

    /// Data that end at `end` still say something of today.
    pub(crate) fn is_fresh(&self, end: i64, lag_s: i32) -> bool {
        self.now - end <= i64::from(lag_s) + self.params.fresh_h * 3_600
    }
}

const BUCKETS: usize = 256;
const BUCKET_S: i64 = 900;

/// Whether we ourselves can see: are readings arriving at all, did somebody watch all the time.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Watch {
    /// Log time of the newest record that came from a device.
    pub(crate) data_at: i64,
    pub(crate) timer: i64,
    /// Nothing arrives from anybody.
    pub(crate) cut_off: bool,
    /// Log time after the last long jump, and before it.
    pub(crate) jump_at: i64,
    pub(crate) jump_from: i64,
    /// Quick meters that were heard before the jump, and those of them heard at its end at once.
    pub(crate) jump_expected: u32,
    pub(crate) jump_heard: u32,
    /// A heartbeat or a register was stamped within the jump: it was backfill, or a queue was kept.
    pub(crate) jump_seen: bool,
    /// Quarter hours of event time in which heartbeats or registers were stamped, by the low bits
    /// of their number.
    pub(crate) newest_bucket: i64,
    pub(crate) buckets: Vec<bool>,
}

crate::snapshot::snap_struct!(Watch {
    data_at,
    timer,
    cut_off,
    jump_at,
    jump_from,
    jump_expected,
    jump_heard,
    jump_seen,
    newest_bucket,
    buckets,
});

impl Default for Watch {
    fn default() -> Self {
        Self {
            data_at: NEVER,
            timer: crate::state::channel::NO_TIMER,
            cut_off: false,
            jump_at: NEVER,
            jump_from: NEVER,
            jump_expected: 0,
            jump_heard: 0,
            jump_seen: true,
            newest_bucket: NEVER,
            buckets: vec![false; BUCKETS],
        }
    }
}

impl Watch {
    /// Nobody watched between `from` and `to`; `expected` meters were quick ones.
    pub(crate) fn jumped(&mut self, from: i64, to: i64, expected: u32) {
        self.jump_from = from;
        self.jump_at = to;
        self.jump_expected = expected;
        self.jump_heard = 0;
        self.jump_seen = false;
    }

    /// The instant from which silence counts for somebody last heard at `heard_at`: time in which
    /// nobody watched does not count.
    pub(crate) fn silent_from(&self, heard_at: i64) -> i64 {
        let seen =
            self.jump_seen || (self.jump_heard > 0 && self.jump_heard * 2 >= self.jump_expected);
        if seen { heard_at } else { heard_at.max(self.jump_at) }
    }

    /// A stamp of event time, `margin_s` of which may be the way to us.
    pub(crate) fn note_stamp(&mut self, at: i64, margin_s: i64) {
        if at > self.jump_from && at < self.jump_at - margin_s {
            self.jump_seen = true;
        }
        self.note_bucket(at);
    }

    fn note_bucket(&mut self, at: i64) {
        let bucket = at.div_euclid(BUCKET_S);
        if bucket > self.newest_bucket {
            let kept = i64::try_from(BUCKETS).unwrap_or(0);
            for gone in (self.newest_bucket + 1).max(bucket - kept + 1)..=bucket {
                let place = Self::place(gone);
                self.buckets[place] = false;
            }
            self.newest_bucket = bucket;
        }
        if bucket > self.newest_bucket - i64::try_from(BUCKETS).unwrap_or(0) {
            let place = Self::place(bucket);
            self.buckets[place] = true;
        }
    }

    fn place(bucket: i64) -> usize {
        usize::try_from(bucket.rem_euclid(i64::try_from(BUCKETS).unwrap_or(1))).unwrap_or(0)
    }

    /// Somebody was heard in whole quarter hours between the two instants.
    pub(crate) fn heard_between(&self, from: i64, to: i64) -> bool {
        let first = from.div_euclid(BUCKET_S) + 1;
        let last = to.div_euclid(BUCKET_S) - 1;
        let oldest = self.newest_bucket - i64::try_from(BUCKETS).unwrap_or(0) + 1;
        (first.max(oldest)..=last.min(self.newest_bucket))
            .any(|bucket| self.buckets[Self::place(bucket)])
    }
}
