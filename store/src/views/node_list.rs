//! Which zones or transformers are there, and which of them is in trouble?

use metering::{Severity, UtcTime};

use super::ask::{self, Columns, contains_pattern};
use super::page::LIMIT_MAX;
use super::sql::{active_states, installed_now, reporting};
use crate::database::Database;
use crate::error::StoreError;
use crate::types::Stamp;

/// Which of the two kinds of node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NodeKind {
    Zone,
    Transformer,
}

impl NodeKind {
    /// As issues and addresses name it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Zone => "zone",
            Self::Transformer => "transformer",
        }
    }
}

/// One node with what is wrong in it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NodeLine {
    pub code: String,
    pub name: String,
    /// `district`, `dma`, `feeder` or `transformer`.
    pub kind: String,
    /// The zone of a transformer.
    pub zone_code: String,
    pub meters: i64,
    pub reporting: i64,
    /// Of its meters, those at its inlets and outlets or its supply meter.
    pub measuring: i64,
    /// Open issues of the node and of what hangs on it, without those folded under another.
    pub issues: i64,
    /// Worst severity among them.
    pub worst: Option<Severity>,
    /// The worst open issue of the node itself: number, severity, cause.
    pub own: Option<(i64, Severity, String)>,
}

/// A page of the list, and what the whole list holds.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct NodeList {
    pub rows: Vec<NodeLine>,
    pub nodes: i64,
    /// Nodes with an open issue.
    pub troubled: i64,
}

/// All nodes of the kind `$2` that match `$3`, in `n`, and what hangs on them at `$1`: the worst
/// issue first, then the smallest share of meters that report.
const NODES: &str = concat!(
    "WITH n AS (SELECT z.zone_id AS id, z.code, z.name, z.kind, ''::text AS zone \
       FROM network_zone z WHERE $2::text = 'zone' UNION ALL \
       SELECT t.transformer_id, t.code, ''::text, 'transformer', coalesce(z.code, '') \
       FROM transformer t LEFT JOIN network_zone z USING (zone_id) WHERE $2 = 'transformer'), \
     place AS (SELECT m.meter_id, m.role, \
       CASE $2 WHEN 'zone' THEN u.zone_id ELSE u.transformer_id END AS id, ",
    reporting!(),
    " AS speaks FROM meter m JOIN installation i ON ",
    installed_now!(),
    " JOIN usage_point u ON u.usage_point_id = i.usage_point_id \
       LEFT JOIN meter_state s ON s.meter_id = m.meter_id), \
     on_it AS (SELECT id, count(*) AS meters, count(*) FILTER (WHERE speaks) AS reporting, \
       count(*) FILTER (WHERE role IN ('zone_inlet', 'zone_outlet', 'transformer_supply')) \
       AS measuring FROM place WHERE id IS NOT NULL GROUP BY 1), \
     open AS (SELECT x.number, x.severity, \
       coalesce(x.identified_cause, x.cause_detected) AS cause, x.condition_start, \
       x.subject_kind = $2 AS own, \
       CASE WHEN x.subject_kind = $2 THEN x.subject_id \
         ELSE coalesce(p.id, k.zone_id, t.zone_id) END AS id \
       FROM meter_issue x \
       LEFT JOIN place p ON x.subject_kind = 'meter' AND p.meter_id = x.subject_id \
       LEFT JOIN collector k ON $2 = 'zone' AND x.subject_kind = 'collector' \
         AND k.collector_id = x.subject_id \
       LEFT JOIN transformer t ON $2 = 'zone' AND x.subject_kind = 'transformer' \
         AND t.transformer_id = x.subject_id \
       WHERE NOT x.suppressed AND x.state IN ",
    active_states!(),
    "), trouble AS (SELECT id, count(*) AS issues, min(severity) AS worst FROM open GROUP BY 1), \
     own AS (SELECT DISTINCT ON (id) id, number, severity, cause FROM open WHERE own \
       ORDER BY id, severity, condition_start, number) \
     SELECT n.code, n.name, n.kind, n.zone, coalesce(c.meters, 0), coalesce(c.reporting, 0), \
       coalesce(c.measuring, 0), coalesce(x.issues, 0), x.worst, o.number, o.severity, o.cause, \
       count(*) OVER (), count(x.issues) OVER () FROM n \
     LEFT JOIN on_it c ON c.id = n.id LEFT JOIN trouble x ON x.id = n.id \
     LEFT JOIN own o ON o.id = n.id \
     WHERE $3::text IS NULL OR n.code ILIKE $3 OR n.name ILIKE $3 \
     ORDER BY x.worst NULLS LAST, \
       coalesce(c.reporting * 1000000 / nullif(c.meters, 0), 1000000), n.code, n.id \
     LIMIT $4 OFFSET $5"
);

/// Zones or transformers with a code or name that holds `q`, those in trouble first; `skip` of
/// them left out.
///
/// # Errors
/// When the database does not answer.
pub async fn list(
    db: &Database,
    kind: NodeKind,
    q: Option<&str>,
    (limit, skip): (u32, u32),
    now: UtcTime,
) -> Result<NodeList, StoreError> {
    let q = contains_pattern(q);
    let (limit, skip) = (i64::from(limit.min(LIMIT_MAX)), i64::from(skip));
    let params: ask::Params<'_> = &[&Stamp(now), &kind.word(), &q, &limit, &skip];
    let rows = ask::all(db, "reading the network's nodes", NODES, params, read).await?;
    let mut list = NodeList::default();
    for (row, nodes, troubled) in rows {
        (list.nodes, list.troubled) = (nodes, troubled);
        list.rows.push(row);
    }
    Ok(list)
}

fn read(c: &mut Columns<'_>) -> Result<(NodeLine, i64, i64), StoreError> {
    let mut line = NodeLine {
        code: c.get()?,
        name: c.get()?,
        kind: c.get()?,
        zone_code: c.get()?,
        meters: c.get()?,
        reporting: c.get()?,
        measuring: c.get()?,
        issues: c.get()?,
        worst: c.maybe_severity()?,
        own: None,
    };
    let (number, severity) = (c.get::<Option<i64>>()?, c.maybe_severity()?);
    let cause: Option<String> = c.get()?;
    line.own = number.zip(severity).zip(cause).map(|((n, severity), cause)| (n, severity, cause));
    Ok((line, c.get()?, c.get()?))
}
