//! The desk's snapshot: canonical bytes, with the check sum of all snapshots here.

use metering::UtcTime;

use super::desk::{Alarm, Desk, Group};
use super::kpi::Meter;
use super::{AlarmState, DeskParams, Incident, Shelve};
use crate::cause::Family;
use crate::snapshot::{Reader, Snap, SnapshotError, Writer, place, snap_by, snap_struct};

/// In place of the parameters' hash: they are saved with the state.
const HASH: [u8; 32] = *b"alert management, first layout..";

const STATES: [AlarmState; 5] = [
    AlarmState::Record,
    AlarmState::UnackActive,
    AlarmState::AckActive,
    AlarmState::UnackCleared,
    AlarmState::Suppressed,
];

snap_by!(AlarmState, u8, |state| place(&STATES, &state), |at: u8| STATES
    .get(usize::from(at))
    .copied());
snap_by!(Family, u8, |family| place(Family::ALL, &family), |at: u8| Family::ALL
    .get(usize::from(at))
    .copied());
snap_by!(UtcTime, i64, UtcTime::micros, |micros| Some(UtcTime::from_micros(micros)));

snap_struct!(Alarm {
    alert_id,
    state,
    severity,
    cause,
    class,
    raised_at,
    active,
    goes_at,
    activations,
    latch,
    route,
});
snap_struct!(Incident { incident_id, route, severity, opened_at, closed_at, alerts, summary });
snap_struct!(Group { incident, lead, lead_cause, told_at, first_told_at, more, step, count });
snap_struct!(Shelve { rule, subject, from, until, who, why, out_of_service });
snap_struct!(DeskParams {
    operators,
    group_wait_s,
    group_interval_s,
    repeat_s,
    escalate_p1_s,
    escalate_p1_manager_s,
    escalate_p2_s,
    flood_from,
    flood_until,
    chatter_count,
    chatter_s,
    chatter_daily_s,
    shelve_s_max,
    shelve_p1_s_max,
    stale_s,
});

impl Snap for usize {
    fn save(&self, to: &mut Writer) {
        to.unsigned(*self as u64);
    }
    fn load(from: &mut Reader<'_>) -> Result<Self, SnapshotError> {
        Self::try_from(from.unsigned()?).map_err(|_| SnapshotError::Damaged)
    }
}

impl Snap for (u32, bool) {
    fn save(&self, to: &mut Writer) {
        self.0.save(to);
        self.1.save(to);
    }
    fn load(from: &mut Reader<'_>) -> Result<Self, SnapshotError> {
        Ok((u32::load(from)?, bool::load(from)?))
    }
}

impl Snap for Meter {
    fn save(&self, to: &mut Writer) {
        self.told.save(to);
        self.is_flood.save(to);
        self.flood_seen.save(to);
        self.raised.save(to);
        self.annunciated.save(to);
        self.fleeting.save(to);
        self.window_ends.save(to);
        self.windows.save(to);
        self.load[0].save(to);
        self.load[1].save(to);
        self.day.save(to);
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, SnapshotError> {
        Ok(Self {
            told: Snap::load(from)?,
            is_flood: Snap::load(from)?,
            flood_seen: Snap::load(from)?,
            raised: Snap::load(from)?,
            annunciated: Snap::load(from)?,
            fleeting: Snap::load(from)?,
            window_ends: Snap::load(from)?,
            windows: Snap::load(from)?,
            load: [Snap::load(from)?, Snap::load(from)?],
            day: Snap::load(from)?,
        })
    }
}

impl Snap for Desk {
    fn save(&self, to: &mut Writer) {
        self.params.save(to);
        self.now.save(to);
        self.alarms.save(to);
        self.groups.save(to);
        self.shelves.save(to);
        self.meter.save(to);
        self.looked_at.save(to);
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, SnapshotError> {
        let (params, now) = (Snap::load(from)?, Snap::load(from)?);
        let alarms = Snap::load(from)?;
        let members = Self::members_of(&alarms);
        let (groups, shelves) = (Snap::load(from)?, Snap::load(from)?);
        let (meter, looked_at) = (Snap::load(from)?, Snap::load(from)?);
        Ok(Self { params, now, alarms, groups, members, shelves, meter, looked_at })
    }
}

impl Desk {
    /// Canonical bytes of the desk.
    pub fn snapshot(&self) -> Vec<u8> {
        let mut to = Writer::start(&HASH);
        self.save(&mut to);
        to.finish()
    }

    /// The desk as it was.
    ///
    /// # Errors
    /// The bytes are damaged or of another layout: begin with an empty desk.
    pub fn restore(bytes: &[u8]) -> Result<Self, SnapshotError> {
        let mut from = Reader::start(bytes, &HASH)?;
        let desk = Self::load(&mut from)?;
        from.finish()?;
        Ok(desk)
    }
}
