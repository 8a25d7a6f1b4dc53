//! Zones and transformers: who hangs on them, and whether what went in came out?

use metering::{Commodity, TransformerId, UtcTime, ZoneId};

use super::ask::{self, Columns};
use super::page::LIMIT_MAX;
use super::sql::{main_channels, open_states, reporting};
use crate::database::Database;
use crate::error::StoreError;
use crate::types::Stamp;

/// A node of the network, as asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Node {
    Zone(ZoneId),
    Transformer(TransformerId),
}

/// What is known of a node itself. Lengths in metres, 0 = not known.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NodeInfo {
    pub node: Node,
    pub code: String,
    pub name: String,
    /// `district`, `dma`, `feeder` or `transformer`.
    pub kind: String,
    /// The zone of a transformer.
    pub zone_code: String,
    pub mains_m: i32,
    pub connections: i32,
    pub meters: i64,
    pub reporting: i64,
    pub open_issues: i64,
}

/// A meter of the node with its newest closed day that any valid reading is of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NodeMember {
    pub number: String,
    pub address: String,
    pub commodity: Commodity,
    /// `customer`, `zone_inlet`, `zone_outlet`, `transformer_supply` and so on.
    pub role: String,
    pub reporting: bool,
    pub last_heard_at: Option<UtcTime>,
    pub day: Option<UtcTime>,
    /// Milli-units of the newest closed day.
    pub total: Option<i64>,
    pub open_issue: Option<i64>,
}

/// One local day of a node: what went in, what its meters counted. Milli-units; one commodity.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NodeDay {
    pub starts_at: UtcTime,
    pub ends_at: UtcTime,
    /// Inlets less outlets, or the supply meter; `None` without one.
    pub supply: Option<i64>,
    pub counted: i64,
    /// Customers with a valid reading of the closed day, and all of them.
    pub customers: i64,
    pub customers_all: i64,
}

const WHAT: &str = "reading a node of the network";

/// Meter `m` at usage point `u` belongs to the node: `$2` kind, `$3` number; `$1` is now.
macro_rules! member {
    () => {
        "JOIN installation i ON i.meter_id = m.meter_id AND i.valid_from <= $1::timestamptz \
         AND i.valid_to > $1::timestamptz \
         JOIN usage_point u ON u.usage_point_id = i.usage_point_id \
         AND CASE $2::text WHEN 'zone' THEN u.zone_id = $3::int4 ELSE u.transformer_id = $3 END "
    };
}

/// Which node has the code `$1` in the kind `$2`?
const FIND: &str = "SELECT n.id, n.code, n.name, n.kind, n.zone, n.mains_m, n.connections FROM ( \
     SELECT 'zone' AS what, z.zone_id AS id, z.code, z.name, z.kind, ''::text AS zone, z.mains_m, \
       z.connections FROM network_zone z UNION ALL \
     SELECT 'transformer', t.transformer_id, t.code, ''::text, 'transformer', \
       coalesce(z.code, ''), 0, 0 FROM transformer t LEFT JOIN network_zone z USING (zone_id)) n \
     WHERE n.code = $1 AND n.what = $2 ORDER BY n.id LIMIT 1";

/// How many meters hang on the node, and how are they?
const COUNTS: &str = concat!(
    "SELECT count(*), count(*) FILTER (WHERE ",
    reporting!(),
    "), (SELECT count(*) FROM meter_issue x WHERE x.subject_kind = $2 AND x.subject_id = $3 \
       AND x.state IN ",
    open_states!(),
    ") FROM meter m ",
    member!(),
    "LEFT JOIN meter_state s ON s.meter_id = m.meter_id"
);

/// The zone or transformer of that code (`kind` is `zone` or `transformer`), or `None`.
///
/// # Errors
/// When the database does not answer.
pub async fn by_code(
    db: &Database,
    kind: &str,
    code: &str,
    now: UtcTime,
) -> Result<Option<NodeInfo>, StoreError> {
    let code = code.replace('\0', "");
    let is_zone = kind == "zone";
    let found = ask::first(db, WHAT, FIND, &[&code, &kind], |c| read_info(c, is_zone)).await?;
    let Some(mut info) = found else { return Ok(None) };
    let (kind, id) = info.node.parts();
    let counts = ask::first(db, WHAT, COUNTS, &[&Stamp(now), &kind, &id], |c| {
        Ok((c.get()?, c.get()?, c.get()?))
    })
    .await?;
    (info.meters, info.reporting, info.open_issues) = counts.unwrap_or_default();
    Ok(Some(info))
}

fn read_info(c: &mut Columns<'_>, is_zone: bool) -> Result<NodeInfo, StoreError> {
    let id: i32 = c.get()?;
    Ok(NodeInfo {
        node: if is_zone {
            Node::Zone(ZoneId::new(id))
        } else {
            Node::Transformer(TransformerId::new(id))
        },
        code: c.get()?,
        name: c.get()?,
        kind: c.get()?,
        zone_code: c.get()?,
        mains_m: c.get()?,
        connections: c.get()?,
        meters: 0,
        reporting: 0,
        open_issues: 0,
    })
}

impl Node {
    const fn parts(self) -> (&'static str, i32) {
        match self {
            Self::Zone(id) => ("zone", id.get()),
            Self::Transformer(id) => ("transformer", id.get()),
        }
    }
}

/// Who hangs on the node? Its own measuring points first, then by use of the newest closed day.
const MEMBERS: &str = concat!(
    "SELECT m.number, u.address, m.commodity, m.role, ",
    reporting!(),
    ", s.last_heard_at, d.starts_at, d.total, \
     (SELECT min(x.number) FROM meter_issue x WHERE x.subject_kind = 'meter' \
       AND x.subject_id = m.meter_id AND x.state IN ",
    open_states!(),
    ") FROM meter m ",
    member!(),
    "LEFT JOIN meter_state s ON s.meter_id = m.meter_id \
     LEFT JOIN ",
    main_channels!(),
    " c ON c.meter_id = m.meter_id \
     LEFT JOIN LATERAL (SELECT d.starts_at, d.total FROM closed_day d \
       WHERE d.meter_id = m.meter_id AND d.channel = c.channel \
       AND d.starts_at > $1::timestamptz - interval '40 days' AND d.starts_at <= $1 \
       AND d.actual > 0 ORDER BY d.starts_at DESC LIMIT 1) d ON true \
     ORDER BY m.role = 'customer', d.total DESC NULLS LAST, m.number LIMIT $4"
);

/// The meters of a node, its own measuring points first, at most `limit`.
///
/// # Errors
/// When the database does not answer.
pub async fn members(
    db: &Database,
    node: Node,
    limit: u32,
    now: UtcTime,
) -> Result<Vec<NodeMember>, StoreError> {
    let (kind, id) = node.parts();
    let limit = i64::from(limit.min(LIMIT_MAX));
    ask::all(db, WHAT, MEMBERS, &[&Stamp(now), &kind, &id, &limit], |c| {
        Ok(NodeMember {
            number: c.get()?,
            address: c.get()?,
            commodity: c.word()?,
            role: c.get()?,
            reporting: c.get()?,
            last_heard_at: c.maybe_time()?,
            day: c.maybe_time()?,
            total: c.get()?,
            open_issue: c.get()?,
        })
    })
    .await
}

/// What went in and what was counted on each closed day since `$5`, one commodity `$4`?
const DAYS: &str = concat!(
    "SELECT d.starts_at, max(d.ends_at), \
     sum(CASE m.role WHEN 'zone_inlet' THEN d.total WHEN 'transformer_supply' THEN d.total \
       WHEN 'zone_outlet' THEN -d.total END)::int8, \
     coalesce(sum(d.total) FILTER (WHERE m.role = 'customer'), 0)::int8, \
     count(*) FILTER (WHERE m.role = 'customer'), \
     max(a.customers) FROM meter m ",
    member!(),
    "JOIN ",
    main_channels!(),
    " c ON c.meter_id = m.meter_id \
     JOIN closed_day d ON d.meter_id = m.meter_id AND d.channel = c.channel \
       AND d.starts_at >= $5::timestamptz AND d.starts_at <= $1 AND d.actual > 0 \
     CROSS JOIN (SELECT count(*) FILTER (WHERE m.role = 'customer' AND m.commodity = $4) AS \
       customers FROM meter m ",
    member!(),
    ") a WHERE m.commodity = $4 GROUP BY d.starts_at ORDER BY d.starts_at LIMIT 400"
);

/// The balance of a node by local day since `since`, oldest first.
///
/// # Errors
/// When the database does not answer.
pub async fn days(
    db: &Database,
    node: Node,
    commodity: Commodity,
    (since, now): (UtcTime, UtcTime),
) -> Result<Vec<NodeDay>, StoreError> {
    let (kind, id) = node.parts();
    let params: ask::Params<'_> = &[&Stamp(now), &kind, &id, &commodity.word(), &Stamp(since)];
    ask::all(db, WHAT, DAYS, params, |c| {
        Ok(NodeDay {
            starts_at: c.time()?,
            ends_at: c.time()?,
            supply: c.get()?,
            counted: c.get()?,
            customers: c.get()?,
            customers_all: c.get()?,
        })
    })
    .await
}
