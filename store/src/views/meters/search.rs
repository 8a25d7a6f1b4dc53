//! The search box: meters, issues and collectors by what people remember of them.

use metering::CollectorId;

use super::{CollectorRef, FoundIssue, FoundMeter, SearchResults};
use crate::database::Database;
use crate::error::StoreError;
use crate::views::ask::{self, contains_pattern, exact};

/// Most results of a group.
const EACH_MAX: u32 = 50;

/// Which meters have the text in number, serial, address, account or wire identity? An exact
/// number stands first.
const METERS: &str = "SELECT m.number, m.serial, m.commodity, coalesce(u.address, ''), \
     coalesce(u.account_no, '') FROM meter m \
     LEFT JOIN installation i ON i.meter_id = m.meter_id AND i.valid_to = 'infinity' \
     LEFT JOIN usage_point u ON u.usage_point_id = i.usage_point_id \
     WHERE m.meter_id IN (SELECT meter_id FROM meter WHERE number ILIKE $1 OR serial ILIKE $1 \
       UNION SELECT n.meter_id FROM usage_point p JOIN installation n \
         ON n.usage_point_id = p.usage_point_id AND n.valid_to = 'infinity' \
         WHERE p.address ILIKE $1 OR p.account_no ILIKE $1 \
       UNION SELECT meter_id FROM meter_source WHERE source_id ILIKE $1) \
     ORDER BY lower(m.number) <> lower($2::text), m.number LIMIT $3";

/// Which issues have the number, or the text in cause or subject? Open ones first.
const ISSUES: &str = "SELECT x.number, x.severity, coalesce(x.identified_cause, x.cause_detected), \
     x.state, coalesce(m.number, k.code, t.code, z.code, 'head-end') FROM meter_issue x \
     LEFT JOIN meter m ON x.subject_kind = 'meter' AND m.meter_id = x.subject_id \
     LEFT JOIN collector k ON x.subject_kind = 'collector' AND k.collector_id = x.subject_id \
     LEFT JOIN transformer t ON x.subject_kind = 'transformer' AND t.transformer_id = x.subject_id \
     LEFT JOIN network_zone z ON x.subject_kind = 'zone' AND z.zone_id = x.subject_id \
     WHERE x.number::text = ltrim($2::text, '#') OR m.number ILIKE $1 OR k.code ILIKE $1 \
     OR replace(coalesce(x.identified_cause, x.cause_detected), '_', ' ') ILIKE $1 \
     ORDER BY x.number::text <> ltrim($2::text, '#'), x.closed_at IS NOT NULL, x.severity, \
       x.number DESC LIMIT $3";

/// Which collectors have the text in code or name?
const COLLECTORS: &str = "SELECT collector_id, code, name FROM collector \
     WHERE code ILIKE $1 OR name ILIKE $1 ORDER BY code LIMIT $2";

/// At most `each` results of every kind; nothing for blank text.
///
/// # Errors
/// When the database does not answer.
pub async fn search(db: &Database, q: &str, each: u32) -> Result<SearchResults, StoreError> {
    const WHAT: &str = "searching";
    let (Some(pattern), Some(text)) = (contains_pattern(Some(q)), exact(Some(q))) else {
        return Ok(SearchResults::default());
    };
    let limit = i64::from(each.clamp(1, EACH_MAX));
    let meters = ask::all(db, WHAT, METERS, &[&pattern, &text, &limit], |c| {
        Ok(FoundMeter {
            number: c.get()?,
            serial: c.get()?,
            commodity: c.word()?,
            address: c.get()?,
            account: c.get()?,
        })
    })
    .await?;
    let issues = ask::all(db, WHAT, ISSUES, &[&pattern, &text, &limit], |c| {
        Ok(FoundIssue {
            number: c.get()?,
            severity: c.severity()?,
            cause: c.get()?,
            state: c.get()?,
            subject: c.get()?,
        })
    })
    .await?;
    let collectors = ask::all(db, WHAT, COLLECTORS, &[&pattern, &limit], |c| {
        Ok(CollectorRef { collector: CollectorId::new(c.get()?), code: c.get()?, name: c.get()? })
    })
    .await?;
    Ok(SearchResults { meters, issues, collectors })
}
