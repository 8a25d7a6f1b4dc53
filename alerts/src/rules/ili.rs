//! #49 DMA-ILI: once a quarter, how much of a district's losses could not be avoided at its pressure.
//!
//! A record of the first day of the quarter over the days of the one before that were counted. What
//! is lost apparently (theft, meters that are slow) is not known here, so that all losses stand for
//! real ones and the index is an upper bound.

use metering::{Commodity, Severity, Subject, ZoneId};

use crate::alerts::{AlertKey, Report, seconds};
use crate::cause::Cause;
use crate::env::Env;
use crate::local::{month_index, month_start};
use crate::rule::RuleId;
use crate::rules::dma::{ili_x100, uarl_l_per_day};
use crate::state::network::Area;
use crate::transition::Evidence;

const MONTHS: i32 = 3;
/// Fewer counted days of the quarter than this say nothing.
const DAYS_MIN: i64 = 60;
const ML_PER_L: i64 = 1_000;

/// A day of the district was judged: the first of a quarter looks back.
pub(crate) fn day_judged(zone: ZoneId, area: &Area, number: i32, env: &mut Env) {
    let month = month_index(number);
    if month.rem_euclid(MONTHS) != 0 || month_start(month) != number || area.bulk.is_empty() {
        return;
    }
    let first = month_start(month - MONTHS);
    let (from, to) =
        (env.zones.day(area.zone, first).start, env.zones.day(area.zone, number).start);
    let Some(lost) = lost_l_per_day(area, first..number, env) else { return };
    let Some(unavoidable) = area.asset.as_ref().and_then(uarl_l_per_day) else { return };
    let Some(index) = ili_x100(lost, unavoidable) else { return };
    let subject = Subject::Zone(zone);
    let key = AlertKey::of(subject, RuleId::DMA_ILI, None);
    env.book.clear(&key, from, env.at, &mut env.out);
    let mut report = Report::new(RuleId::DMA_ILI, subject, Cause::DmaLeak, from);
    report.commodity = Some(Commodity::Water);
    report.severity = Severity::P4;
    report.until = to;
    report.annunciate = false;
    let doubt = if index < 100 { ": below 1, check the audit" } else { "" };
    report.evidence = vec![
        Evidence::instant("window_from", seconds(from)),
        Evidence::instant("window_to", seconds(to)),
        Evidence::new(
            "ili",
            index,
            "hundredths",
            format!("ILI {}.{:02}{doubt}", index / 100, index % 100),
        ),
        Evidence::number("losses", lost, "L/d"),
        Evidence::number("unavoidable", unavoidable, "L/d"),
    ];
    env.book.assert(report, env.at, &mut env.out);
}

/// Mean losses of the days whose inflow and customers are known.
fn lost_l_per_day(area: &Area, days: std::ops::Range<i32>, env: &mut Env) -> Option<i64> {
    let (mut sum, mut count) = (0_i128, 0);
    for (number, day) in area.days.range(days) {
        let local = env.zones.day(area.zone, *number);
        let whole = |known_s: i64, meters: usize| {
            let due_s = i64::try_from(meters).unwrap_or(0) * (local.end - local.start);
            due_s > 0 && known_s * 100 >= due_s * env.params.dma_coverage_pct
        };
        if whole(day.inflow_s, area.bulk.len()) && whole(day.use_s, area.customers.len()) {
            sum += i128::from(day.inflow) - i128::from(day.use_);
            count += 1;
        }
    }
    if count < DAYS_MIN {
        return None;
    }
    i64::try_from(sum / i128::from(count) / i128::from(ML_PER_L)).ok().filter(|lost| *lost >= 0)
}
