//! One collector: its heartbeat, the meters that should be heard through it, its outage.

use metering::CollectorId;

use super::NEVER;
use super::channel::NO_TIMER;
use crate::env::Env;
use crate::snapshot::snap_struct;

/// State of a collector.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Collector {
    pub(crate) id: CollectorId,
    pub(crate) heartbeat_s: i32,
    /// Event time of the newest heartbeat.
    pub(crate) beat_at: i64,
    /// A meter was heard through it after this log time.
    pub(crate) heard_after: i64,
    pub(crate) timer: i64,
    /// Event time at which the outage began, [`NEVER`] while there is none.
    pub(crate) outage_from: i64,
    /// First heartbeat after the outage began.
    pub(crate) back_at: i64,
    /// Event time at which the last outage ended.
    pub(crate) out_until: i64,
    /// Log time at which it was taken out of use.
    pub(crate) ended_at: i64,
    /// Meters, by their place, that have it as primary route.
    pub(crate) members: Vec<u32>,
    /// Newly stale members: log time and place, ordered by place.
    pub(crate) stale: Vec<(i64, u32)>,
}

snap_struct!(Collector {
    id,
    heartbeat_s,
    beat_at,
    heard_after,
    timer,
    outage_from,
    back_at,
    out_until,
    ended_at,
    members,
    stale,
});

impl crate::snapshot::Snap for (i64, u32) {
    fn save(&self, to: &mut crate::snapshot::Writer) {
        self.0.save(to);
        self.1.save(to);
    }
    fn load(
        from: &mut crate::snapshot::Reader<'_>,
    ) -> Result<Self, crate::snapshot::SnapshotError> {
        Ok((i64::load(from)?, u32::load(from)?))
    }
}

impl Collector {
    pub(crate) fn new(id: CollectorId) -> Self {
        Self {
            id,
            heartbeat_s: 0,
            beat_at: NEVER,
            heard_after: NEVER,
            timer: NO_TIMER,
            outage_from: NEVER,
            back_at: NEVER,
            out_until: NEVER,
            ended_at: NEVER,
            members: Vec::new(),
            stale: Vec::new(),
        }
    }

    pub(crate) fn is_out(&self) -> bool {
        self.outage_from != NEVER
    }

    /// Taken out of use, and no meter was heard through it since: its members have no way in common.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended_at != NEVER && self.heard_after <= self.ended_at
    }

    /// The heartbeat is overdue. False for collectors that send none.
    pub(crate) fn beat_lost(&self, env: &Env) -> bool {
        let limit_s = i64::from(self.heartbeat_s) * env.params.heartbeat_periods;
        limit_s > 0
            && self.beat_at != NEVER
            && env.now - env.watch.silent_from(self.beat_at) >= limit_s
    }

    /// When the first heartbeat was missed. Who was heard before that may have been heard through a
    /// collector that still worked.
    pub(crate) fn first_missed(&self) -> i64 {
        self.beat_at.saturating_add(i64::from(self.heartbeat_s))
    }
}
