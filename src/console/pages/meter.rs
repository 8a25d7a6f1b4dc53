//! One meter: is it well, what does it measure, what happened to it?

use askama::Template;
use axum::extract::{Path, State};
use axum::http::Uri;
use futures_util::future::try_join3;
use metering::{ChannelKind, QualityStatus, Subject, UtcTime};
use store::views::issues::{self, IssueRow};
use store::views::meters::{self, ChannelInfo, MeterDetail, MeterStatus};
use store::views::series::{self, RegisterRow};

use super::meter_chart::{self, ChartCard};
use super::meter_line::{battery_word, signal_word};
use super::meter_range::{MeterQuery, Range};
use super::meter_tabs::{self, TabBody};
use super::{Answer, html, query};
use crate::console::causes;
use crate::console::frame::{Choice, Frame, Level, QueryText, Section, segment};
use crate::console::measure::{self, DisplayUnit};
use crate::console::refusal::Refusal;
use crate::console::state::ConsoleState;
use crate::console::words;

#[derive(Template)]
#[template(path = "meter.html")]
struct MeterPage {
    frame: Frame,
    path: String,
    number: String,
    commodity: &'static str,
    class: String,
    tags: Vec<String>,
    zone: String,
    zone_href: String,
    route: String,
    level: Option<Level>,
    say: String,
    strip: Strip,
    csv: String,
    green_button: String,
    chart: Option<ChartCard>,
    ranges: Vec<Choice>,
    channels: Vec<Choice>,
    compares: Vec<Choice>,
    channel: String,
    zones: Vec<(String, String, bool)>,
    zone_name: String,
    from_field: String,
    to_field: String,
    tabs: Vec<Choice>,
    tab: TabBody,
}

#[derive(Template)]
#[template(path = "meter_strip.html")]
struct Strip {
    account: String,
    account_active: bool,
    address: String,
    collector: String,
    collector_href: String,
    signal: String,
    installed: String,
    device: String,
    battery: &'static str,
    register: String,
}

/// What the page reads first; everything else depends on it.
struct Head {
    meter: MeterDetail,
    issues: Vec<IssueRow>,
    register: Option<RegisterRow>,
    range: Range,
    channel: Option<ChannelInfo>,
}

impl Head {
    async fn read(
        console: &ConsoleState,
        number: &str,
        asked: &MeterQuery,
    ) -> Result<Self, Refusal> {
        let now = console.now();
        let found = meters::by_number(&console.db, number, now).await?;
        let meter = found.ok_or_else(|| {
            Refusal::not_found(format!(
                "No meter has the number “{}”. Search for it by serial number or address.",
                words::shortened(number, 60)
            ))
        })?;
        let home = meter.usage_point.as_ref().map(|point| point.time_zone.clone());
        let home = home.unwrap_or_else(|| console.settings.zone.clone());
        let range = asked.resolve(&home, now)?;
        let last_days = (now.plus_seconds(-40 * 86_400), now.plus_seconds(86_400));
        let (issues, mut registers) = futures_util::future::try_join(
            issues::of_subject(&console.db, Subject::Meter(meter.meter)),
            series::registers(
                &console.db,
                (meter.meter, main_register(&meter.channels)),
                last_days,
                1,
            ),
        )
        .await?;
        let channel = chosen_channel(&meter, &asked.channel)?;
        Ok(Self { meter, issues, register: registers.pop(), range, channel })
    }
}

/// `12 kWh, suspect · 21 min ago`.
fn register_words(register: &RegisterRow, now: UtcTime) -> String {
    let unit = DisplayUnit::of_counter(register.reading_type.base_unit());
    let age = words::age(register.read_at, now);
    let doubt = match register.status {
        QualityStatus::Suspect => ", suspect",
        QualityStatus::Rejected => ", rejected",
        _ => "",
    };
    format!("{}{doubt} · {age} ago", unit.exact(register.value))
}

/// The channel whose counter the head of the page shows: of what the meter measures first, the one
/// that is a register, else the one that may carry registers beside its intervals.
fn main_register(channels: &[ChannelInfo]) -> Option<metering::ChannelNo> {
    let first = channels.iter().find(|channel| channel.kind != ChannelKind::Instant)?;
    let counts = |channel: &&ChannelInfo| {
        channel.kind == ChannelKind::Register && channel.reading_type == first.reading_type
    };
    Some(channels.iter().find(counts).unwrap_or(first).channel)
}

/// What a channel is called: by its field, too, where another of the meter is called alike.
fn channel_word(channel: &ChannelInfo, all: &[ChannelInfo]) -> String {
    let title = measure::title(channel.reading_type);
    let alike = |other: &&ChannelInfo| measure::title(other.reading_type) == title;
    if all.iter().filter(alike).count() > 1 {
        return format!("{title}, {}", channel.field);
    }
    title
}

fn chosen_channel(meter: &MeterDetail, text: &str) -> Result<Option<ChannelInfo>, Refusal> {
    if text.is_empty() {
        let usual = meter.channels.iter().find(|channel| channel.kind != ChannelKind::Instant);
        return Ok(usual.or_else(|| meter.channels.first()).cloned());
    }
    let number: Option<i16> = text.parse().ok();
    let found = meter.channels.iter().find(|channel| Some(channel.channel.get()) == number);
    found.cloned().map(Some).ok_or_else(|| {
        let known: Vec<String> =
            meter.channels.iter().map(|channel| channel.channel.to_string()).collect();
        Refusal::not_found(format!("This meter has the channels {}.", known.join(", ")))
    })
}

/// `GET /meters/{number}`.
pub(in crate::console) async fn show(
    State(console): State<ConsoleState>,
    Path(number): Path<String>,
    uri: Uri,
) -> Answer {
    let asked: MeterQuery = query(&uri)?;
    let head = Head::read(&console, &number, &asked).await?;
    let (frame, chart, tab) = try_join3(
        Frame::of(&console, Section::Meters, format!("Meter {}", head.meter.number)),
        draw(&console, &head, &asked),
        meter_tabs::body(&console, &head.meter, head.channel.as_ref(), (&asked, &head.range)),
    )
    .await?;
    html(&page(&console, head, &asked, (frame, chart, tab)))
}

async fn draw(
    console: &ConsoleState,
    head: &Head,
    asked: &MeterQuery,
) -> Result<Option<ChartCard>, Refusal> {
    match &head.channel {
        Some(channel) => {
            let card = meter_chart::card(console, &head.meter, channel, (asked, &head.range));
            card.await.map(Some)
        }
        None => Ok(None),
    }
}

fn page(
    console: &ConsoleState,
    head: Head,
    asked: &MeterQuery,
    (frame, chart, tab): (Frame, Option<ChartCard>, TabBody),
) -> MeterPage {
    let now = console.now();
    let meter = &head.meter;
    let path = format!("/meters/{}", segment(&meter.number));
    let point = meter.usage_point.as_ref();
    let live = asked
        .kept_with_range()
        .with("tab", &asked.tab)
        .with("until", &asked.until)
        .with("at", &asked.at)
        .with("cursor", &asked.cursor);
    let key = QueryText::default().with("key", &meter.number);
    let zone_code = point.map(|point| point.zone_code.clone()).unwrap_or_default();
    MeterPage {
        frame: frame.live("meter", &format!("{key}&{live}")),
        number: meter.number.clone(),
        commodity: meter.commodity.word(),
        class: point
            .and_then(|point| point.class)
            .map(|class| class.word().replace('_', " "))
            .unwrap_or_default(),
        tags: point
            .map(|p| p.tags.iter().map(|t| t.replace('_', " ")).collect())
            .unwrap_or_default(),
        zone: point
            .map(|p| if p.zone_name.is_empty() { p.zone_code.clone() } else { p.zone_name.clone() })
            .unwrap_or_default(),
        zone_href: QueryText::default().with("zone", &zone_code).on("/meters"),
        route: point.map(|point| point.route_code.clone()).unwrap_or_default(),
        level: worst(&head.issues).map(|issue| issue.severity.into()),
        say: say(&head, now),
        strip: Strip::of(&head, now),
        csv: csv_address(&head),
        green_button: green_button_address(&head),
        chart,
        ranges: head.range.choices(asked, &path),
        channels: channel_choices(&head, asked, &path),
        compares: compare_choices(asked, &path),
        channel: asked.channel.clone(),
        zones: zone_choices(console, &head),
        zone_name: head.range.zone_name.clone(),
        from_field: head.range.field(head.range.from),
        to_field: head.range.field(head.range.to),
        tabs: meter_tabs::choices(&head.issues, asked, &path),
        tab,
        path,
    }
}

/// What moves on the page.
pub(super) async fn fragments(
    console: &ConsoleState,
    number: &str,
    uri: &Uri,
) -> Result<Vec<String>, Refusal> {
    let asked: MeterQuery = query(uri)?;
    let head = Head::read(console, number, &asked).await?;
    let now = console.now();
    let mut parts =
        vec![SayLine { say: say(&head, now) }.render()?, Strip::of(&head, now).render()?];
    if let Some(card) = draw(console, &head, &asked).await? {
        parts.push(card.render()?);
    }
    let channel = head.channel.as_ref();
    let tab = meter_tabs::body(console, &head.meter, channel, (&asked, &head.range)).await?;
    parts.extend(tab.fragment()?);
    Ok(parts)
}

#[derive(Template)]
#[template(ext = "html", source = r#"<p class="say" id="meter-say">{{ say }}</p>"#)]
struct SayLine {
    say: String,
}

fn worst(issues: &[IssueRow]) -> Option<&IssueRow> {
    let open = issues.iter().filter(|issue| !causes::is_closed(&issue.state));
    open.min_by_key(|issue| (issue.severity, issue.condition_start))
}

/// The state of the meter in one or two sentences.
fn say(head: &Head, now: UtcTime) -> String {
    let meter = &head.meter;
    let every = words::duration(i64::from(meter.contact_every_s));
    let heard = match (meter.status, meter.last_heard) {
        (MeterStatus::Reporting, Some(at)) => {
            format!("Reporting; last heard {} ago (expected every {every}).", words::age(at, now))
        }
        (_, Some(at)) => {
            format!("No reading for {} (expected every {every}).", words::age(at, now))
        }
        (_, None) => format!("Never heard; it should call every {every}."),
    };
    let open = head.issues.iter().filter(|issue| !causes::is_closed(&issue.state)).count();
    let trouble = match (worst(&head.issues), open) {
        (None, _) => "No open issue.".to_owned(),
        // It lies back: the meter may have reported ever since.
        (Some(issue), 1) if issue.cause == "DATA_GAP" && issue.evidence.is_empty() => {
            let zone = head.range.calendar.zone();
            let from = words::stamp(issue.condition_start, now, zone);
            format!("Readings of {from} and later are missing.")
        }
        (Some(issue), 1) => format!(
            "{}, for {}.",
            causes::title(&issue.cause),
            words::age(issue.condition_start, issue.cleared_at.unwrap_or(now))
        ),
        (Some(issue), many) => {
            format!("{} and {} more open.", causes::title(&issue.cause), many - 1)
        }
    };
    format!("{heard} {trouble}")
}

impl Strip {
    fn of(head: &Head, now: UtcTime) -> Self {
        let meter = &head.meter;
        let point = meter.usage_point.as_ref();
        let zone = head.range.calendar.zone();
        let collector = meter.via_collector.as_ref().or(meter.collector.as_ref());
        let device = [&meter.manufacturer, &meter.model, &meter.firmware];
        let device: Vec<&str> =
            device.into_iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
        Self {
            account: point.map(|p| p.account.clone()).unwrap_or_default(),
            account_active: point.is_some_and(|p| p.account_active),
            address: point.map(|p| p.address.clone()).unwrap_or_default(),
            collector: collector.map(|c| c.code.clone()).unwrap_or_default(),
            collector_href: collector
                .map(|c| format!("/collectors/{}", segment(&c.code)))
                .unwrap_or_default(),
            signal: signal_word(meter.rssi_dbm),
            installed: point
                .map_or_else(|| "not installed".to_owned(), |p| words::day(p.installed_at, zone)),
            device: if device.is_empty() { "–".to_owned() } else { device.join(" ") },
            battery: battery_word(meter.battery),
            register: head.register.as_ref().map_or_else(
                || "none in 40 days".to_owned(),
                |register| register_words(register, now),
            ),
        }
    }
}

fn channel_choices(head: &Head, asked: &MeterQuery, path: &str) -> Vec<Choice> {
    if head.meter.channels.len() < 2 {
        return Vec::new();
    }
    let shown = head.channel.as_ref().map(|channel| channel.channel);
    let choice = |channel: &ChannelInfo| {
        let asked = MeterQuery { channel: channel.channel.to_string(), ..asked.clone() };
        Choice {
            href: asked.kept_with_range().with("tab", &asked.tab).on(path),
            word: channel_word(channel, &head.meter.channels),
            count: None,
            current: Some(channel.channel) == shown,
        }
    };
    head.meter.channels.iter().map(choice).collect()
}

fn compare_choices(asked: &MeterQuery, path: &str) -> Vec<Choice> {
    [("week", "Last week"), ("year", "Last year")]
        .into_iter()
        .map(|(key, word)| {
            let on = asked.compare == key;
            let toggled = if on { "" } else { key };
            let asked = MeterQuery { compare: toggled.to_owned(), ..asked.clone() };
            Choice {
                href: asked.kept_with_range().with("tab", &asked.tab).on(path),
                word: word.to_owned(),
                count: None,
                current: on,
            }
        })
        .collect()
}

/// Zones to choose from: of the place, of the utility, UTC, and the one chosen.
fn zone_choices(console: &ConsoleState, head: &Head) -> Vec<(String, String, bool)> {
    let home = head.meter.usage_point.as_ref().map(|point| point.time_zone.as_str());
    let utility = console.settings.zone.as_str();
    let shown = head.range.zone_name.as_str();
    let mut zones: Vec<(String, String, bool)> = Vec::new();
    let offered = [(home, "of the meter"), (Some(utility), "of the utility"), (Some("UTC"), "")];
    for (zone, whose) in offered.into_iter().chain([(Some(shown), "")]) {
        let Some(zone) = zone.filter(|zone| zones.iter().all(|known| known.0 != *zone)) else {
            continue;
        };
        let said = if whose.is_empty() { zone.to_owned() } else { format!("{zone} ({whose})") };
        zones.push((zone.to_owned(), said, zone == shown));
    }
    zones
}

/// All channels of the stretch on the chart; days are those of the page's zone.
fn green_button_address(head: &Head) -> String {
    QueryText::default()
        .with("from", &head.range.from.to_string())
        .with("to", &head.range.to.to_string())
        .with("tz", &head.range.zone_name)
        .on(&format!("/api/v1/meters/{}/green-button.xml", segment(&head.meter.number)))
}

fn csv_address(head: &Head) -> String {
    let channel = head.channel.as_ref().map(|channel| channel.channel.to_string());
    QueryText::default()
        .with("meter", &head.meter.number)
        .with("channel", &channel.unwrap_or_default())
        .with("from", &head.range.from.to_string())
        .with("to", &head.range.to.to_string())
        .with("tz", &head.range.zone_name)
        .on("/api/v1/reads.csv")
}

#[cfg(test)]
mod tests {
    use metering::{ChannelNo, DeviceFlags, ReadingType, RuleMask};
    use store::views::series::RegisterSource;

    use super::*;

    #[test]
    fn a_doubted_register_is_told_as_such() {
        let read_at = UtcTime::from_seconds(1_795_000_000);
        let mut register = RegisterRow {
            channel: ChannelNo::new(1),
            reading_type: ReadingType::ENERGY_IMPORT,
            read_at,
            received_at: read_at,
            raw: 12_000,
            decimals: 3,
            value: 12_000_000,
            source: RegisterSource::Scheduled,
            status: QualityStatus::Suspect,
            flags: DeviceFlags::default(),
            failed: RuleMask::EMPTY,
        };
        let now = read_at.plus_seconds(1_260);
        assert_eq!(register_words(&register, now), "12 kWh, suspect · 21 min ago");
        register.status = QualityStatus::Raw;
        assert_eq!(register_words(&register, now), "12 kWh · 21 min ago");
    }
    fn channel(number: i16, field: &str, kind: ChannelKind) -> ChannelInfo {
        ChannelInfo {
            channel: ChannelNo::new(number),
            field: field.to_owned(),
            reading_type: ReadingType::ENERGY_IMPORT,
            kind,
            unit: "kWh".to_owned(),
            multiplier: "1".to_owned(),
            decimals: 3,
            modulus: 0,
            len_s: 3_600,
            resolution: 1_000,
            cap_per_hour: 0,
            delivery_lag_s: 21_600,
            valid_from: UtcTime::default(),
            valid_to: UtcTime::MAX,
            expected_from: UtcTime::default(),
        }
    }

    #[test]
    fn the_head_shows_the_register_of_what_is_measured_first() {
        let both =
            [channel(1, "use", ChannelKind::Interval), channel(2, "read", ChannelKind::Register)];
        assert_eq!(main_register(&both), Some(ChannelNo::new(2)));
        assert_eq!(main_register(&both[..1]), Some(ChannelNo::new(1)), "it may carry registers");
        let mut other = both.clone();
        other[1].reading_type = ReadingType::VOLUME;
        assert_eq!(main_register(&other), Some(ChannelNo::new(1)));
        assert_eq!(main_register(&[channel(1, "u", ChannelKind::Instant)]), None);
        // Two that are called alike are told apart by their fields.
        let words = both.each_ref().map(|one| channel_word(one, &both));
        assert_eq!(words, ["Energy in, use", "Energy in, read"]);
        assert_eq!(channel_word(&other[0], &other), "Energy in");
    }
}
