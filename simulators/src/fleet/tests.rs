use metering::UtcTime;

use crate::spec::FleetSpec;

/// 35 days of history and an hour of live time.
pub(crate) fn spec(seed: u64, meters: u32) -> FleetSpec {
    let live_start = UtcTime::parse_rfc3339("2026-11-21T10:00:00Z").unwrap();
    FleetSpec {
        seed,
        meters,
        collectors: FleetSpec::collectors_for(meters),
        zone: "Europe/Berlin".into(),
        history_start: live_start.plus_seconds(-35 * 86_400),
        live_start,
        live_end: live_start.plus_seconds(3_600),
    }
}
