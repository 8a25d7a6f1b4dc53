//! When the power of a meter was out, as it or its transformer's issues tell.

use metering::{Commodity, EventCode, UtcTime};
use store::Database;
use store::assets::RegistryMeter;
use store::estimation::{transformer_outages, was_live};
use vee::estimate::{Gap, Outage, OutageEvidence};

use super::super::VeeError;

/// Outages around the gap. One in which the meter or a neighbour of its transformer used something
/// was none (7.6).
pub(super) async fn load(
    db: &Database,
    meter: &RegistryMeter,
    events: &[(UtcTime, EventCode)],
    gap: Gap,
) -> Result<Vec<Outage>, VeeError> {
    if meter.asset.commodity != Commodity::Electricity {
        return Ok(Vec::new());
    }
    let mut told = of_events(events);
    let area = transformer_outages(db, meter.meter, (gap.from, gap.to)).await?;
    told.extend(area.into_iter().filter_map(|(down, up)| {
        // An outage without an end is no proof of anything later.
        Some(Outage { down, up: Some(up?), evidence: OutageEvidence::Classified })
    }));
    let mut proven = Vec::new();
    for outage in told.into_iter().filter(|outage| outage.down < gap.to) {
        let up = outage.up.unwrap_or(gap.to);
        if up > gap.from && !was_live(db, meter.meter, (outage.down, up)).await? {
            proven.push(outage);
        }
    }
    proven.sort_by_key(|outage| (outage.down, outage.up));
    Ok(proven)
}

/// From a power failure or last gasp to the restoration.
fn of_events(events: &[(UtcTime, EventCode)]) -> Vec<Outage> {
    let mut told: Vec<Outage> = Vec::new();
    for (at, code) in events {
        let open = told.last_mut().filter(|last| last.up.is_none());
        match (code, open) {
            (EventCode::PowerRestore, Some(last)) => last.up = Some(*at),
            (EventCode::PowerFail | EventCode::LastGasp, None) => {
                told.push(Outage { down: *at, up: None, evidence: OutageEvidence::Classified })
            }
            _ => {}
        }
    }
    told.retain(|outage| outage.up.is_some());
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_goes_from_the_failure_to_the_restoration() {
        let at = UtcTime::from_seconds;
        let events = [
            (at(10), EventCode::PowerFail),
            (at(11), EventCode::LastGasp),
            (at(40), EventCode::PowerRestore),
            (at(90), EventCode::PowerFail),
        ];
        let told = of_events(&events);
        assert_eq!(told.len(), 1);
        assert_eq!((told[0].down, told[0].up), (at(10), Some(at(40))));
    }
}
