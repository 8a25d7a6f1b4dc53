//! `/meters/{number}/series` and its neighbours: what was measured.

use axum::Json;
use axum::extract::{Path, State};
use metering::{ChannelNo, LocalCalendar};
use serde::Serialize;
use serde_json::{Map, Value};
use store::views::meters::{ChannelInfo, MeterDetail};
use store::views::series::{
    self, BUCKETS_MAX, Bucket, IntervalRow, RegisterRow, RegisterSource, SeriesQuery,
};

use super::WebState;
use super::meters::find;
use super::params::Params;
use super::problem::Problem;
use super::wire::{self, At, List};

const DAY_S: i64 = 86_400;

/// A channel over a range, as sent.
#[derive(Serialize)]
struct Series {
    meter: String,
    channel: i16,
    reading_type: String,
    time_zone: String,
    from: At,
    to: At,
    /// Seconds of a bucket; buckets of a day and more are local days.
    step_s: i64,
    full_resolution: bool,
    missing: i64,
    /// Sums of the range under the quantity's own name.
    totals: Value,
    items: Vec<Value>,
}

fn bucket(bucket: &Bucket, reading_type: metering::ReadingType) -> Value {
    let mut fields = Map::new();
    fields.insert("interval_start".into(), bucket.start.to_string().into());
    fields.insert("interval_end".into(), bucket.end.to_string().into());
    if bucket.n > 0 {
        wire::put(&mut fields, reading_type, "", bucket.sum);
        wire::put(&mut fields, reading_type, "_min", bucket.min);
        wire::put(&mut fields, reading_type, "_mean", bucket.mean);
        wire::put(&mut fields, reading_type, "_max", bucket.max);
    }
    fields.insert("n".into(), bucket.n.into());
    fields.insert("expected".into(), bucket.expected.into());
    fields.insert("missing".into(), bucket.missing.into());
    fields.insert("suspect".into(), bucket.suspect.into());
    fields.insert("quality".into(), bucket.status.word().into());
    fields.insert("flags".into(), bucket.flags.words().into());
    fields.insert("version".into(), bucket.version.into());
    Value::Object(fields)
}

/// The zone of the meter's usage point, else that of the utility.
fn own_calendar(state: &WebState, meter: &MeterDetail) -> LocalCalendar {
    let zone = meter.usage_point.as_ref().map(|point| point.time_zone.as_str());
    zone.and_then(|zone| LocalCalendar::new(zone).ok())
        .unwrap_or_else(|| state.fleet.calendar().clone())
}

/// The channel that `channel` names, else the main one.
fn channel_of<'a>(meter: &'a MeterDetail, params: &mut Params) -> Result<&'a ChannelInfo, Problem> {
    let asked = params.parsed::<i16>("channel", "a channel number").map(ChannelNo::new);
    let found = match asked {
        Some(asked) => meter.channels.iter().find(|channel| channel.channel == asked),
        None => meter.channels.iter().find(|channel| channel.len_s > 0).or(meter.channels.first()),
    };
    found.ok_or_else(|| Problem::not_found(format!("meter {} has no such channel", meter.number)))
}

pub(super) async fn series(
    State(state): State<WebState>,
    Path(number): Path<String>,
    mut params: Params,
) -> Result<Json<impl Serialize>, Problem> {
    let meter = find(&state, &number).await?;
    let channel = channel_of(&meter, &mut params)?.channel;
    let calendar = params.calendar(&own_calendar(&state, &meter));
    let (from, to) = params.range(&calendar, state.now(), 7 * DAY_S);
    let max_buckets = params.parsed::<u32>("max_buckets", "a number up to 1000");
    params.finish()?;
    let max_buckets = max_buckets.unwrap_or(BUCKETS_MAX);
    let query = SeriesQuery { meter: meter.meter, channel, from, to, max_buckets };
    let series = series::series(&state.db, &query, &calendar, state.now()).await?;
    let series = series.ok_or_else(|| Problem::not_found("there is no such channel"))?;
    let reading_type = series.reading_type;
    let mut totals = Map::new();
    wire::put(&mut totals, reading_type, "_usable", series.total_usable);
    wire::put(&mut totals, reading_type, "_suspect", series.total_suspect);
    Ok(Json(Series {
        meter: meter.number,
        channel: channel.get(),
        reading_type: reading_type.to_string(),
        time_zone: calendar.zone().iana_name().unwrap_or("UTC").to_owned(),
        from: At(series.from),
        to: At(series.to),
        step_s: series.step_s,
        full_resolution: series.full_resolution,
        missing: series.missing,
        totals: Value::Object(totals),
        items: series.buckets.iter().map(|one| bucket(one, reading_type)).collect(),
    }))
}

fn interval(row: &IntervalRow, reading_type: metering::ReadingType) -> Value {
    let mut fields = Map::new();
    fields.insert("interval_start".into(), row.start.to_string().into());
    fields.insert("interval_end".into(), row.end.to_string().into());
    wire::put(&mut fields, reading_type, "", row.value);
    fields.insert("quality".into(), row.status.word().into());
    fields.insert("flags".into(), row.flags.words().into());
    fields.insert("version".into(), row.version.into());
    let failed: Vec<u8> = row.failed.rules().map(metering::RuleNo::get).collect();
    fields.insert("failed_rules".into(), failed.into());
    let codes = vee::status::told(row.status, row.flags, row.failed);
    let iec: Vec<String> = codes.iter().map(|code| code.iec.to_string()).collect();
    fields.insert("iec_codes".into(), iec.into());
    let nem12 = codes.first().and_then(|code| code.nem12);
    fields.insert("nem12_quality".into(), nem12.map(|code| code.quality.to_string()).into());
    fields.insert("nem12_reason".into(), nem12.and_then(|code| code.reason).into());
    fields.insert("conflicts".into(), row.conflicts.into());
    fields.insert("received_at".into(), row.received_at.to_string().into());
    Value::Object(fields)
}

pub(super) async fn intervals(
    State(state): State<WebState>,
    Path(number): Path<String>,
    mut params: Params,
) -> Result<Json<impl Serialize>, Problem> {
    let meter = find(&state, &number).await?;
    let channel = channel_of(&meter, &mut params)?;
    let calendar = params.calendar(&own_calendar(&state, &meter));
    let (from, to) = params.range(&calendar, state.now(), DAY_S);
    let limit = params.limit();
    params.finish()?;
    let key = (meter.meter, channel.channel);
    let rows = series::intervals(&state.db, key, (from, to), limit).await?;
    let items: Vec<Value> = rows.iter().map(|row| interval(row, channel.reading_type)).collect();
    Ok(Json(List { items, next_cursor: None }))
}

const fn source(source: RegisterSource) -> &'static str {
    match source {
        RegisterSource::Scheduled => "scheduled",
        RegisterSource::OnDemand => "on_demand",
        RegisterSource::Removal => "removal",
        RegisterSource::Set => "set",
    }
}

fn register(row: &RegisterRow) -> Value {
    let mut fields = Map::new();
    fields.insert("channel".into(), row.channel.get().into());
    fields.insert("reading_type".into(), row.reading_type.to_string().into());
    fields.insert("read_at".into(), row.read_at.to_string().into());
    fields.insert("raw".into(), row.raw.into());
    wire::put(&mut fields, row.reading_type, "", row.value);
    fields.insert("source".into(), source(row.source).into());
    fields.insert("quality".into(), row.status.word().into());
    fields.insert("flags".into(), row.flags.words().into());
    fields.insert("received_at".into(), row.received_at.to_string().into());
    Value::Object(fields)
}

pub(super) async fn registers(
    State(state): State<WebState>,
    Path(number): Path<String>,
    mut params: Params,
) -> Result<Json<impl Serialize>, Problem> {
    let meter = find(&state, &number).await?;
    let channel = params.parsed::<i16>("channel", "a channel number").map(ChannelNo::new);
    let calendar = params.calendar(&own_calendar(&state, &meter));
    let (from, to) = params.range(&calendar, state.now(), DAY_S);
    let limit = params.limit();
    params.finish()?;
    let rows = series::registers(&state.db, (meter.meter, channel), (from, to), limit).await?;
    let items: Vec<Value> = rows.iter().map(register).collect();
    Ok(Json(List { items, next_cursor: None }))
}

/// A gap, as sent.
#[derive(Serialize)]
struct Gap {
    channel: i16,
    start: At,
    end: At,
    intervals: i64,
}

pub(super) async fn gaps(
    State(state): State<WebState>,
    Path(number): Path<String>,
    mut params: Params,
) -> Result<Json<impl Serialize>, Problem> {
    let meter = find(&state, &number).await?;
    let calendar = params.calendar(&own_calendar(&state, &meter));
    let (from, to) = params.range(&calendar, state.now(), 35 * DAY_S);
    params.finish()?;
    let gaps = series::gaps(&state.db, meter.meter, from, to).await?;
    let items = gaps.iter().map(|gap| Gap {
        channel: gap.channel.get(),
        start: At(gap.start),
        end: At(gap.end),
        intervals: gap.slots,
    });
    Ok(Json(List { items: items.collect::<Vec<_>>(), next_cursor: None }))
}
