//! The guard of #62 against storms: while far fewer readings than usual come from a whole feeder
//! section, what is missing there is not estimated.
//!
//! Once a day, over the UTC day whose stragglers have had their time. A storm begins when the share
//! of readings falls far below its mean of the seven days before, in an area with enough devices; it
//! ends when the share is near that mean again, and after some days in any case: then estimation
//! goes on although the area is not back.

use metering::{Subject, UtcTime, ZoneId};

use crate::alerts::seconds;
use crate::env::Env;
use crate::snapshot::snap_struct;
use crate::state::meter::Meter;

const DAY_S: i64 = 86_400;
const NORM_DAYS: i32 = 7;

/// A feeder section in storm mode.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StormArea {
    pub zone: ZoneId,
    /// Start of the first UTC day that counts as stormy: what is missing from here on waits.
    pub since: UtcTime,
    /// From here on it does not wait any longer, whatever arrives.
    pub until: UtcTime,
}

/// What is kept of a stormy area, by zone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Storm {
    /// Usual share of readings before it began, in thousandths.
    pub(crate) norm: i64,
    pub(crate) first_day: i32,
    /// Its days are used up; it must end before another can begin.
    pub(crate) spent: bool,
}

snap_struct!(Storm { norm, first_day, spent });

/// The areas whose estimation waits.
pub(crate) fn areas(env: &Env) -> Vec<StormArea> {
    let stormy = env.network.storms.iter().filter(|(_, storm)| !storm.spent);
    stormy
        .map(|(zone, storm)| {
            let first_s = i64::from(storm.first_day) * DAY_S;
            let until = seconds(first_s + env.params.storm_days_max * DAY_S);
            StormArea { zone: *zone, since: seconds(first_s), until }
        })
        .collect()
}

/// The daily look.
pub(crate) fn look(meters: &[Meter], env: &mut Env) {
    let zones: Vec<ZoneId> = env
        .network
        .nodes
        .keys()
        .filter_map(|subject| match subject {
            Subject::Zone(zone) => Some(*zone),
            _ => None,
        })
        .collect();
    let day = i32::try_from(env.now.div_euclid(DAY_S) - 1).unwrap_or(0);
    for zone in zones {
        judge(zone, day, meters, env);
    }
}

fn judge(zone: ZoneId, day: i32, meters: &[Meter], env: &mut Env) {
    let Some((now, devices)) = share(zone, (day, day), meters, env) else { return };
    let params = &env.params;
    if let Some(storm) = env.network.storms.get(&zone).copied() {
        let back = now * 100 >= storm.norm * (100 - params.storm_resume_pct);
        let days = i64::from(day + 1 - storm.first_day);
        if back {
            env.network.storms.remove(&zone);
        } else if days >= params.storm_days_max {
            env.network.storms.insert(zone, Storm { spent: true, ..storm });
        }
        return;
    }
    if devices < params.storm_devices_min {
        return;
    }
    let Some((norm, _)) = share(zone, (day - NORM_DAYS, day - 1), meters, env) else { return };
    if now * 100 <= norm * (100 - params.storm_fall_pct) {
        env.network.storms.insert(zone, Storm { norm, first_day: day, spent: false });
    }
}

/// Mean share of readings of the area's meters that arrived on these UTC days, in thousandths, and
/// the number of meters that are known for all of them.
fn share(
    zone: ZoneId,
    (first, last): (i32, i32),
    meters: &[Meter],
    env: &Env,
) -> Option<(i64, i64)> {
    let node = env.network.nodes.get(&Subject::Zone(zone))?;
    let (mut sum, mut devices) = (0, 0);
    for place in &node.members {
        let (Some(meter), Some(link)) = (meters.get(*place as usize), env.network.link(*place))
        else {
            continue;
        };
        let lens_s: Vec<i64> = meter.channels.iter().filter(|c| c.used).map(|c| c.len()).collect();
        let days: Option<Vec<i64>> =
            (first..=last).map(|day| link.delivered_permille(day, &lens_s)).collect();
        let Some(days) = days.filter(|days| !days.is_empty()) else { continue };
        sum += days.iter().sum::<i64>() / i64::try_from(days.len()).unwrap_or(1);
        devices += 1;
    }
    (devices > 0).then(|| (sum / devices, devices))
}
