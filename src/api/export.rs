//! `/reads.csv` and `/meters.csv`: files, streamed in pieces, in constant memory.

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use metering::{ChannelNo, LocalCalendar};
use store::StoreError;
use store::views::export::{self, ExportFilter, ReadRow, ReadStream};
use store::views::meters::{self, MeterFilter, MeterRow, MeterSort};
use store::views::{Cursor, Page};

use super::WebState;
use super::csv_text::{CsvText, file_part, guarded, local_time};
use super::meters::{battery, filter};
use super::params::Params;
use super::problem::Problem;
use super::wire::decimal;

/// Lines of one piece of a file: about 64 KiB.
const PIECE_LINES: usize = 800;
/// A file without `from` holds the last seven days.
const DEFAULT_S: i64 = 7 * 86_400;
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";
const READS_HEADER: [&str; 8] = [
    "meter_id",
    "channel",
    "interval_start",
    "interval_end",
    "value",
    "unit",
    "quality",
    "version",
];

/// A file on its way to a client. Dropping it, as a cancelled request does, ends the work.
struct File {
    source: Source,
    calendar: LocalCalendar,
    /// Header line and byte order mark are still to be sent.
    head: Option<(bool, &'static [&'static str])>,
    ended: bool,
}

enum Source {
    Reads(Box<ReadStream>),
    Meters(Box<MeterPages>),
}

struct MeterPages {
    state: WebState,
    filter: MeterFilter,
    cursor: Option<Cursor>,
}

impl File {
    /// The next piece, or `None` at the end.
    async fn piece(&mut self) -> Result<Option<Bytes>, StoreError> {
        if self.ended {
            return Ok(None);
        }
        let mut csv = CsvText::new();
        let mut mark: &[u8] = b"";
        if let Some((with_mark, columns)) = self.head {
            csv.line(columns.iter().copied());
            mark = if with_mark { BYTE_ORDER_MARK } else { b"" };
        }
        self.ended = match &mut self.source {
            Source::Reads(reads) => add_reads(reads, &self.calendar, &mut csv).await?,
            Source::Meters(pages) => add_meters(pages, &self.calendar, &mut csv).await?,
        };
        self.head = None;
        let lines = csv.into_bytes();
        Ok(Some(if mark.is_empty() { lines.into() } else { [mark, &lines].concat().into() }))
    }

    /// Sends the file. The first piece is made here, so that a refusal is still a refusal.
    async fn respond(mut self, name: &str) -> Result<Response, Problem> {
        let first = self.piece().await?;
        let rest = stream::try_unfold((self, first), async |(mut file, first)| {
            let piece = match first {
                Some(piece) => Some(piece),
                None => file.piece().await.inspect_err(|error| {
                    tracing::warn!(%error, "An export broke off; the client sees a short file.");
                })?,
            };
            Ok::<_, StoreError>(piece.map(|piece| (piece, (file, None))))
        });
        let mut headers = HeaderMap::new();
        let kind = HeaderValue::from_static("text/csv; charset=utf-8; header=present");
        headers.insert(header::CONTENT_TYPE, kind);
        if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{name}\"")) {
            headers.insert(header::CONTENT_DISPOSITION, value);
        }
        Ok((headers, Body::from_stream(Box::pin(rest))).into_response())
    }
}

/// Adds a piece of readings; true at the end.
async fn add_reads(
    reads: &mut ReadStream,
    calendar: &LocalCalendar,
    csv: &mut CsvText,
) -> Result<bool, StoreError> {
    for _ in 0..PIECE_LINES {
        match reads.next().await? {
            Some(row) => read_line(csv, &row, calendar),
            None => return Ok(true),
        }
    }
    Ok(false)
}

fn read_line(csv: &mut CsvText, row: &ReadRow, calendar: &LocalCalendar) {
    let (start, end) = (local_time(row.start, calendar), local_time(row.end, calendar));
    let (channel, version) = (row.channel.get().to_string(), row.version.to_string());
    csv.line([
        guarded(&row.number).as_ref(),
        &channel,
        &start,
        &end,
        &decimal(row.value),
        row.reading_type.base_unit().symbol(),
        row.status.word(),
        &version,
    ]);
}

pub(super) async fn reads_csv(
    State(state): State<WebState>,
    mut params: Params,
) -> Result<Response, Problem> {
    let filter = ExportFilter {
        meters: filter(&mut params),
        number: params.text("meter"),
        channel: params.parsed::<i16>("channel", "a channel number").map(ChannelNo::new),
    };
    let calendar = params.calendar(state.fleet.calendar());
    let (from, to) = params.range(&calendar, state.now(), DEFAULT_S);
    let with_mark = params.flag("bom");
    params.finish()?;
    let scope = scope(&filter);
    let name = format!(
        "reads_{}_{}_{}_{}.csv",
        file_part(&scope),
        file_part(&local_time(from, &calendar)[..16]),
        file_part(&local_time(to, &calendar)[..16]),
        file_part(calendar.zone().iana_name().unwrap_or("UTC")),
    );
    let reads = export::reads(&state.db, filter, (from, to), state.now())?;
    let file = File {
        source: Source::Reads(Box::new(reads)),
        calendar,
        head: Some((with_mark, &READS_HEADER)),
        ended: false,
    };
    file.respond(&name).await
}

/// What the file is about, for its name.
fn scope(filter: &ExportFilter) -> String {
    let meters = &filter.meters;
    let parts: Vec<&str> = [
        filter.number.as_deref(),
        meters.commodity.map(metering::Commodity::word),
        meters.zone.as_deref(),
        meters.route.as_deref(),
        meters.collector.as_deref(),
        meters.tag.as_deref(),
        meters.issue.as_deref(),
        meters.q.as_deref(),
    ]
    .into_iter()
    .flatten()
    .collect();
    if parts.is_empty() { "all".to_owned() } else { parts.join("-") }
}

const METERS_HEADER: [&str; 18] = [
    "meter_id",
    "commodity",
    "status",
    "address",
    "account",
    "zone",
    "route",
    "collector",
    "last_heard",
    "interval_end",
    "value",
    "unit",
    "quality",
    "quality_24h_percent",
    "battery",
    "rssi_dbm",
    "open_issues",
    "worst_issue",
];

/// Meters of one page of an export.
const METERS_PER_PAGE: u32 = 500;

/// Adds a page of meters; true at the end.
async fn add_meters(
    pages: &mut MeterPages,
    calendar: &LocalCalendar,
    csv: &mut CsvText,
) -> Result<bool, StoreError> {
    let order = (MeterSort::Number, pages.cursor.as_ref());
    let (db, now) = (&pages.state.db, pages.state.now());
    let page: Page<MeterRow> = meters::list(db, &pages.filter, order, METERS_PER_PAGE, now).await?;
    for row in &page.items {
        meter_line(csv, row, calendar);
    }
    pages.cursor = page.next;
    Ok(pages.cursor.is_none())
}

fn meter_line(csv: &mut CsvText, row: &MeterRow, calendar: &LocalCalendar) {
    let number = |value: Option<i16>| value.map(|value| value.to_string()).unwrap_or_default();
    let heard = row.last_heard.map(|at| local_time(at, calendar)).unwrap_or_default();
    let last = row.last.as_ref();
    let issue = row.issue.as_ref().map(|issue| format!("{} {}", issue.severity, issue.cause));
    csv.line([
        guarded(&row.number).as_ref(),
        row.commodity.word(),
        row.status.word(),
        guarded(&row.address).as_ref(),
        guarded(&row.account).as_ref(),
        guarded(&row.zone_code).as_ref(),
        guarded(&row.route_code).as_ref(),
        guarded(row.collector.as_deref().unwrap_or_default()).as_ref(),
        &heard,
        &last.map(|last| local_time(last.end, calendar)).unwrap_or_default(),
        &last.map(|last| decimal(last.value)).unwrap_or_default(),
        last.map_or("", |last| last.reading_type.base_unit().symbol()),
        last.map_or("", |last| last.status.word()),
        &number(row.quality_24h),
        battery(row.battery),
        &number(row.rssi_dbm),
        &row.open_issues.to_string(),
        issue.as_deref().unwrap_or_default(),
    ]);
}

pub(super) async fn meters_csv(
    State(state): State<WebState>,
    mut params: Params,
) -> Result<Response, Problem> {
    let filter = filter(&mut params);
    let calendar = params.calendar(state.fleet.calendar());
    let with_mark = params.flag("bom");
    params.finish()?;
    let name = format!(
        "meters_{}_{}.csv",
        file_part(&local_time(state.now(), &calendar)[..16]),
        file_part(calendar.zone().iana_name().unwrap_or("UTC")),
    );
    let pages = MeterPages { state, filter, cursor: None };
    let file = File {
        source: Source::Meters(Box::new(pages)),
        calendar,
        head: Some((with_mark, &METERS_HEADER)),
        ended: false,
    };
    file.respond(&name).await
}
