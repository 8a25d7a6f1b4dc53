//! Records from estimates and from a person's values.

use metering::{QualityStatus, UtcTime};
use store::estimation::NewEstimation;
use vee::estimate::{Estimate, Gap};
use vee::estimation::{Estimation, Origin};

use super::channel::Channel;

/// The record of an estimate of this channel.
pub(crate) fn record(channel: &Channel, estimate: Estimate, actor: &str) -> NewEstimation {
    let ends = || estimate.gap.ends(channel.facts.len_s());
    let stood = || ends().filter_map(|end| channel.best.get(&end));
    let missing = stood().count() < ends().count();
    let origin = Origin {
        meter: channel.meter,
        channel: channel.facts.channel.channel,
        len_s: channel.facts.len_s(),
        before: if missing {
            QualityStatus::Missing
        } else {
            stood().map(|slot| slot.status).min().unwrap_or(QualityStatus::Missing)
        },
        base_version: stood().map(|slot| slot.version).max().unwrap_or(0),
        issue: None,
        created_by: actor.to_owned(),
        tamper: channel.tamper,
        billed: channel
            .records
            .iter()
            .any(|one| !one.bill_ids.is_empty() && estimate.gap.overlaps(one.from, one.to)),
        register: channel.facts.is_register_only(),
    };
    NewEstimation {
        record: Estimation::new(&estimate, origin),
        alternatives: estimate.alternatives,
        note: String::new(),
    }
}

/// Runs of adjoining intervals with their values, by end. `None` when an end is twice, off the
/// others' grid, or nothing is given.
pub(crate) fn runs(values: &[(UtcTime, i64)], len_s: i32) -> Option<Vec<(Gap, Vec<i64>)>> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let first = sorted.first()?.0;
    let len = i64::from(len_s);
    let mut runs: Vec<(Gap, Vec<i64>)> = Vec::new();
    for (end, value) in sorted {
        let off = end.micros() - first.micros();
        if len <= 0 || off % (len * 1_000_000) != 0 {
            return None;
        }
        let start = end.plus_seconds(-len);
        match runs.last_mut() {
            Some((gap, values)) if gap.to == start => {
                gap.to = end;
                values.push(value);
            }
            Some((gap, _)) if gap.to >= end => return None,
            _ => runs.push((Gap::new(start, end), vec![value])),
        }
    }
    Some(runs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adjoining_intervals_are_one_run() {
        let at = |k: i64| UtcTime::from_seconds(k * 900);
        let told = runs(&[(at(3), 30), (at(2), 20), (at(5), 50)], 900).unwrap();
        assert_eq!(
            told,
            [(Gap::new(at(1), at(3)), vec![20, 30]), (Gap::new(at(4), at(5)), vec![50]),]
        );
        assert_eq!(runs(&[(at(3), 30), (at(3), 31)], 900), None);
        assert_eq!(runs(&[(at(3), 30), (at(4).plus_seconds(1), 31)], 900), None);
        assert_eq!(runs(&[], 900), None);
    }
}
