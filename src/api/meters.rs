//! `/meters`: which meters are there, and how is each?

use axum::Json;
use axum::extract::{Path, State};
use metering::{Commodity, Subject};
use serde::Serialize;
use serde_json::{Map, Value};
use store::views::meters::{
    self, Battery, ChannelInfo, InstallationRow, LastValue, MeterDetail, MeterFilter, MeterRow,
    MeterSort, MeterStatus, OpenIssue, UsagePointInfo,
};
use store::views::{activity, issues as issue_views};

use super::WebState;
use super::issues::IssueLine;
use super::params::Params;
use super::problem::Problem;
use super::wire::{self, At, List, ending, maybe};

/// A meter in a list, as sent.
#[derive(Serialize)]
struct Line {
    number: String,
    commodity: &'static str,
    status: &'static str,
    address: String,
    account: String,
    class: Option<&'static str>,
    time_zone: String,
    zone: String,
    route: String,
    collector: Option<String>,
    last_heard: Option<At>,
    last_value: Option<Value>,
    quality_24h_percent: Option<i16>,
    battery: &'static str,
    rssi_dbm: Option<i16>,
    open_issues: i64,
    worst_issue: Option<Issue>,
}

#[derive(Serialize)]
struct Issue {
    number: i64,
    severity: String,
    cause: String,
    since: At,
}

impl Issue {
    fn of(issue: OpenIssue) -> Self {
        Self {
            number: issue.number,
            severity: issue.severity.to_string(),
            cause: issue.cause,
            since: At(issue.condition_start),
        }
    }
}

fn last_value(last: LastValue) -> Value {
    let mut fields = Map::new();
    fields.insert("channel".into(), last.channel.get().into());
    fields.insert("reading_type".into(), last.reading_type.to_string().into());
    let start = last.end.plus_seconds(-i64::from(last.len_s));
    fields.insert("interval_start".into(), start.to_string().into());
    fields.insert("interval_end".into(), last.end.to_string().into());
    wire::put(&mut fields, last.reading_type, "", last.value);
    fields.insert("quality".into(), last.status.word().into());
    Value::Object(fields)
}

pub(super) const fn battery(battery: Battery) -> &'static str {
    match battery {
        Battery::Mains => "mains",
        Battery::Good => "good",
        Battery::Low => "low",
    }
}

impl Line {
    fn of(row: MeterRow) -> Self {
        Self {
            number: row.number,
            commodity: row.commodity.word(),
            status: row.status.word(),
            address: row.address,
            account: row.account,
            class: row.class.map(metering::CustomerClass::word),
            time_zone: row.time_zone,
            zone: row.zone_code,
            route: row.route_code,
            collector: row.collector,
            last_heard: maybe(row.last_heard),
            last_value: row.last.map(last_value),
            quality_24h_percent: row.quality_24h,
            battery: battery(row.battery),
            rssi_dbm: row.rssi_dbm,
            open_issues: row.open_issues,
            worst_issue: row.issue.map(Issue::of),
        }
    }
}

/// The filters that lists and exports of meters share.
pub(super) fn filter(params: &mut Params) -> MeterFilter {
    MeterFilter {
        q: params.text("q"),
        commodity: params.parsed::<Commodity>("commodity", "electricity, water, gas or heat"),
        zone: params.text("zone"),
        route: params.text("route"),
        collector: params.text("collector"),
        tag: params.text("tag"),
        issue: params.text("issue"),
        status: params.parsed::<MeterStatus>("status", "reporting, silent or never_heard"),
    }
}

pub(super) async fn list(
    State(state): State<WebState>,
    mut params: Params,
) -> Result<Json<impl Serialize>, Problem> {
    let filter = filter(&mut params);
    let sort = params.parsed::<MeterSort>("sort", "number, address, last_heard or issue");
    let (cursor, limit) = (params.cursor(), params.limit());
    params.finish()?;
    let order = (sort.unwrap_or_default(), cursor.as_ref());
    let page = meters::list(&state.db, &filter, order, limit, state.now()).await?;
    Ok(Json(wire::list(page, Line::of)))
}

/// A meter, as sent.
#[derive(Serialize)]
struct Meter {
    number: String,
    public_id: String,
    serial: String,
    commodity: &'static str,
    manufacturer: String,
    model: String,
    firmware: String,
    battery_powered: bool,
    battery: &'static str,
    battery_mv: Option<i32>,
    rssi_dbm: Option<i16>,
    flow_rated_l_per_h: Option<i32>,
    contact_every_s: i32,
    status: &'static str,
    last_heard: Option<At>,
    last_interval_end: Option<At>,
    collector: Option<String>,
    via_collector: Option<String>,
    sources: Vec<String>,
    usage_point: Option<UsagePoint>,
    channels: Vec<Channel>,
    installations: Vec<Installation>,
}

#[derive(Serialize)]
struct UsagePoint {
    code: String,
    address: String,
    account: String,
    account_active: bool,
    class: Option<&'static str>,
    time_zone: String,
    zone: String,
    route: String,
    transformer: String,
    tags: Vec<String>,
    installed_at: At,
}

#[derive(Serialize)]
struct Channel {
    channel: i16,
    field: String,
    reading_type: String,
    kind: &'static str,
    unit: String,
    multiplier: String,
    decimals: i16,
    /// Raw counter rolls over at; absent when never.
    modulus: Option<i64>,
    interval_s: Option<i32>,
    delivery_lag_s: i32,
    valid_from: At,
    valid_to: Option<At>,
}

#[derive(Serialize)]
struct Installation {
    usage_point: String,
    address: String,
    account: String,
    valid_from: At,
    valid_to: Option<At>,
}

impl UsagePoint {
    fn of(point: UsagePointInfo) -> Self {
        Self {
            code: point.code,
            address: point.address,
            account: point.account,
            account_active: point.account_active,
            class: point.class.map(metering::CustomerClass::word),
            time_zone: point.time_zone,
            zone: point.zone_code,
            route: point.route_code,
            transformer: point.transformer,
            tags: point.tags,
            installed_at: At(point.installed_at),
        }
    }
}

impl Channel {
    fn of(channel: ChannelInfo) -> Self {
        Self {
            channel: channel.channel.get(),
            field: channel.field,
            reading_type: channel.reading_type.to_string(),
            kind: channel.kind.word(),
            unit: channel.unit,
            multiplier: channel.multiplier,
            decimals: channel.decimals,
            modulus: (channel.modulus > 0).then_some(channel.modulus),
            interval_s: (channel.len_s > 0).then_some(channel.len_s),
            delivery_lag_s: channel.delivery_lag_s,
            valid_from: At(channel.valid_from),
            valid_to: ending(channel.valid_to),
        }
    }
}

impl Installation {
    fn of(row: InstallationRow) -> Self {
        Self {
            usage_point: row.usage_point,
            address: row.address,
            account: row.account,
            valid_from: At(row.valid_from),
            valid_to: ending(row.valid_to),
        }
    }
}

impl Meter {
    fn of(meter: MeterDetail, installations: Vec<InstallationRow>) -> Self {
        Self {
            number: meter.number,
            public_id: meter.public_id,
            serial: meter.serial,
            commodity: meter.commodity.word(),
            manufacturer: meter.manufacturer,
            model: meter.model,
            firmware: meter.firmware,
            battery_powered: meter.battery_powered,
            battery: battery(meter.battery),
            battery_mv: meter.battery_mv,
            rssi_dbm: meter.rssi_dbm,
            flow_rated_l_per_h: (meter.flow_rated_lph > 0).then_some(meter.flow_rated_lph),
            contact_every_s: meter.contact_every_s,
            status: meter.status.word(),
            last_heard: maybe(meter.last_heard),
            last_interval_end: maybe(meter.last_interval_end),
            collector: meter.collector.map(|collector| collector.code),
            via_collector: meter.via_collector.map(|collector| collector.code),
            sources: meter.sources,
            usage_point: meter.usage_point.map(UsagePoint::of),
            channels: meter.channels.into_iter().map(Channel::of).collect(),
            installations: installations.into_iter().map(Installation::of).collect(),
        }
    }
}

/// The meter with that number, or a refusal.
pub(super) async fn find(state: &WebState, number: &str) -> Result<MeterDetail, Problem> {
    let meter = meters::by_number(&state.db, number, state.now()).await?;
    meter.ok_or_else(|| Problem::not_found(format!("there is no meter {number}")))
}

pub(super) async fn one(
    State(state): State<WebState>,
    Path(number): Path<String>,
    params: Params,
) -> Result<Json<impl Serialize>, Problem> {
    params.finish()?;
    let meter = find(&state, &number).await?;
    let installations = meters::installations(&state.db, meter.meter).await?;
    Ok(Json(Meter::of(meter, installations)))
}

/// An event, as sent.
#[derive(Serialize)]
pub(super) struct Event {
    occurred_at: At,
    received_at: At,
    code: String,
    detail: String,
}

impl Event {
    pub(super) fn of(row: activity::EventRow) -> Self {
        Self {
            occurred_at: At(row.occurred_at),
            received_at: At(row.received_at),
            code: row.code_text,
            detail: row.detail,
        }
    }
}

pub(super) async fn events(
    State(state): State<WebState>,
    Path(number): Path<String>,
    mut params: Params,
) -> Result<Json<impl Serialize>, Problem> {
    let (cursor, limit) = (params.cursor(), params.limit());
    params.finish()?;
    let subject = Subject::Meter(find(&state, &number).await?.meter);
    let page = activity::events(&state.db, subject, cursor.as_ref(), limit).await?;
    Ok(Json(wire::list(page, Event::of)))
}

pub(super) async fn issues(
    State(state): State<WebState>,
    Path(number): Path<String>,
    params: Params,
) -> Result<Json<impl Serialize>, Problem> {
    params.finish()?;
    let subject = Subject::Meter(find(&state, &number).await?.meter);
    let rows = issue_views::of_subject(&state.db, subject).await?;
    let items: Vec<IssueLine> = rows.into_iter().map(IssueLine::of).collect();
    Ok(Json(List { items, next_cursor: None }))
}
