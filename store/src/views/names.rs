//! What do people call a subject?

use std::collections::BTreeMap;

use metering::Subject;

use super::ask;
use crate::database::Database;
use crate::error::StoreError;

/// What are the names of subjects `$1` (kinds) and `$2` (ids)?
const NAMES: &str = "SELECT u.kind, u.id, coalesce(m.number, k.code, t.code, z.code, 'head-end') \
     FROM unnest($1::text[], $2::int4[]) AS u(kind, id) \
     LEFT JOIN meter m ON u.kind = 'meter' AND m.meter_id = u.id \
     LEFT JOIN collector k ON u.kind = 'collector' AND k.collector_id = u.id \
     LEFT JOIN transformer t ON u.kind = 'transformer' AND t.transformer_id = u.id \
     LEFT JOIN network_zone z ON u.kind = 'zone' AND z.zone_id = u.id";

/// Numbers of meters and codes of the rest.
///
/// # Errors
/// When the database does not answer.
pub async fn of(
    db: &Database,
    subjects: impl IntoIterator<Item = Subject>,
) -> Result<BTreeMap<Subject, String>, StoreError> {
    let (mut kinds, mut ids) = (Vec::new(), Vec::new());
    for subject in subjects {
        kinds.push(subject.kind());
        ids.push(subject.number());
    }
    if kinds.is_empty() {
        return Ok(BTreeMap::new());
    }
    let rows = ask::all(db, "reading names of subjects", NAMES, &[&kinds, &ids], |c| {
        Ok((c.get::<String>()?, c.get::<i32>()?, c.get::<String>()?))
    })
    .await?;
    let name =
        |(kind, id, name): (String, i32, String)| Some((Subject::from_parts(&kind, id)?, name));
    Ok(rows.into_iter().filter_map(name).collect())
}
