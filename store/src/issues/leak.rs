//! What leaked because of an issue: WTR-CONT (#38) says what had leaked up to the newest slot, by the
//! least flow of each day, and it goes on at the newest of these rates until the flow is told to have
//! stopped (`metering-rules` 2.7, 4.2). An estimate, in millilitres.

use alerts::rule::RuleId;
use alerts::{AlertTransition, Evidence, KnownLeak, TransitionKind};
use metering::UtcTime;
use tokio_postgres::Row;

use super::change::execute;
use crate::database::Connection;
use crate::error::StoreError;

const DAY_US: i128 = 86_400_000_000;

/// The facts of [`Said`] by which an alert tells what its issue counts.
const FACTS: [&str; 3] = ["leak_per_day", "window_to", "leaked"];

/// The three of [`FACTS`] of an alert, NULL where it does not tell them.
macro_rules! said_columns {
    () => {
        concat!(
            said_columns!("leak_per_day"),
            ", ",
            said_columns!("window_to"),
            ", ",
            said_columns!("leaked")
        )
    };
    ($key:literal) => {
        concat!(
            "(SELECT (e ->> 'value')::int8 FROM jsonb_array_elements(CASE jsonb_typeof(evidence) \
                WHEN 'array' THEN evidence ELSE '[]' END) e WHERE e ->> 'key' = '",
            $key,
            "' LIMIT 1)"
        )
    };
}

pub(super) use said_columns;

/// What do issues count of the alert? What was told for the record only is counted by none yet.
const SAID: &str =
    concat!("SELECT ", said_columns!(), " FROM alert WHERE alert_id = $1 AND issue_id IS NOT NULL");

const ADD: &str = "\
    UPDATE meter_issue SET leak_volume = greatest(leak_volume + $2, 0) WHERE issue_id = $1";

/// What is said of a leak, in mL.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Said {
    per_day: i64,
    /// Until when it was measured, in microseconds.
    to: i64,
    leaked: i64,
}

impl Said {
    /// What was told without a sum ran at one rate since `start`.
    fn new(parts: (Option<i64>, Option<i64>, Option<i64>), start: UtcTime) -> Option<Self> {
        let (per_day, to) = parts.0.zip(parts.1)?;
        let leaked = parts.2.unwrap_or_else(|| volume(per_day, start.micros(), to));
        Some(Self { per_day, to, leaked })
    }

    /// In the columns of [`said_columns`] from `first` on.
    fn of(row: &Row, first: usize, start: UtcTime) -> Option<Self> {
        Self::new((row.get(first), row.get(first + 1), row.get(first + 2)), start)
    }

    /// What had leaked by `end`, at the newest rate from where it was measured last; never less
    /// than nothing.
    fn until(self, end: i64) -> Self {
        let leaked = self.leaked.saturating_add(volume(self.per_day, self.to, end)).max(0);
        Self { to: end, leaked, ..self }
    }

    /// The evidence `told`, but with these facts.
    fn within(self, told: &[Evidence]) -> Vec<Evidence> {
        let others = told.iter().filter(|fact| !FACTS.contains(&fact.key)).cloned();
        let own = [
            Evidence::milli("leak_per_day", self.per_day, "L"),
            Evidence::instant("window_to", UtcTime::from_micros(self.to)),
            Evidence::milli("leaked", self.leaked, "L"),
        ];
        others.chain(own).collect()
    }
}

/// What an alert of [`said_columns`] from `first` on tells of a leak.
pub(super) fn known(
    row: &Row,
    first: usize,
    (rule, start): (RuleId, UtcTime),
) -> Option<KnownLeak> {
    let said = Said::of(row, first, start).filter(|_| rule == RuleId::WTR_CONT)?;
    let Said { per_day, to, leaked } = said;
    Some(KnownLeak { ml_per_day: per_day, to: UtcTime::from_micros(to), leaked_ml: leaked })
}

/// Adds to the issue what the transition says more (or less) than the issue counts of the alert,
/// and gives the evidence to be recorded with the alert: it tells what is counted from now on, also
/// when the flow ended, so that nothing is counted twice when it lasts again or is told again. To be
/// called before the alert itself is recorded.
pub(super) async fn note(
    client: &Connection,
    transition: &AlertTransition,
    issue_id: Option<&str>,
) -> Result<Vec<Evidence>, StoreError> {
    let told = &transition.evidence;
    if transition.rule != RuleId::WTR_CONT {
        return Ok(told.clone());
    }
    let query = StoreError::query("reading what an alert said of a leak");
    let statement = client.prepare_cached(SAID).await.map_err(&query)?;
    let row = client.query_opt(&statement, &[&transition.alert_id]).await.map_err(&query)?;
    let start = transition.condition_start;
    let said = row.and_then(|row| Said::of(&row, 0, start));
    let fact = |key: &str| told.iter().find(|fact| fact.key == key).map(|fact| fact.value);
    let [per_day, to, leaked] = FACTS.map(fact);
    let now = Said::new((per_day, to, leaked), start);
    let counted = match (transition.kind, issue_id, said) {
        // No issue counts more: neither what was told for the record, nor what staff have ended.
        (_, None, said) => said,
        (TransitionKind::Retracted, _, said) => {
            said.map(|said| Said { per_day: 0, leaked: 0, ..said })
        }
        (TransitionKind::Cleared, _, Some(said)) => {
            Some(said.until(transition.condition_end.map_or(said.to, UtcTime::micros)))
        }
        (_, _, said) => now.or(said),
    };
    let sum = |said: Option<Said>| said.map_or(0, |said| said.leaked);
    let more = sum(counted) - sum(said);
    if let Some(issue_id) = issue_id.filter(|_| more != 0) {
        execute(client, ADD, &[&issue_id, &more]).await?;
    }
    Ok(match counted.filter(|_| counted != now) {
        Some(counted) => counted.within(told),
        None => told.clone(),
    })
}

/// Less than nothing when `to_us` lies before `from_us`.
fn volume(per_day: i64, from_us: i64, to_us: i64) -> i64 {
    let span = i128::from(to_us) - i128::from(from_us);
    i64::try_from(i128::from(per_day) * span / DAY_US).unwrap_or(i64::MAX / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000_000;

    #[test]
    fn what_leaks_is_the_least_flow_of_each_day_for_as_long_as_it_ran() {
        let start = UtcTime::from_seconds(0);
        let plain = Said::new((Some(600_000), Some(DAY), None), start).unwrap();
        assert_eq!(plain.until(DAY * 3 / 2).leaked, 900_000);
        assert_eq!(plain.until(DAY / 2).leaked, 300_000, "it ended before the newest slot");
        let summed = Said::new((Some(600_000), Some(2 * DAY), Some(900_000)), start).unwrap();
        assert_eq!(summed.until(3 * DAY).leaked, 1_500_000);
        assert_eq!(summed.until(-9 * DAY).leaked, 0);
        let over = summed.until(3 * DAY);
        assert_eq!(over.until(3 * DAY), over, "told again");
        assert_eq!(Said::new((Some(600_000), None, None), start), None);
    }
}
