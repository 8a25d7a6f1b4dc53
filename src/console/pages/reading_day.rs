//! One suspect day: what was read, what each method would write, and the sum against the register.

use ::vee::estimate::{Estimate, Method, is_usable};
use askama::Template;
use axum::extract::{Path, State};
use axum::http::Uri;
use jiff::civil::Date;
use metering::{DayShape, LocalCalendar, QualityStatus, UtcTime};
use serde::Deserialize;
use store::day::DayHold;
use store::estimation::{BestSlot, SeriesSpan, series};
use store::views::meters::{self, ChannelInfo, MeterDetail};
use store::views::review::{self, DayFinding, ReviewFilter};

use super::meter_chart::{self, Drawn};
use super::meter_range::Range;
use super::reading_methods::{self as methods, MethodLine};
use super::reading_words::{finding_words, hold_line};
use super::readings::{ReadingLine, refusal};
use super::{Answer, html, query};
use crate::console::chart::{self, Mark};
use crate::console::frame::{Choice, Frame, QueryText, Section, segment};
use crate::console::measure::{self, DisplayUnit};
use crate::console::refusal::Refusal;
use crate::console::rule_words;
use crate::console::state::ConsoleState;
use crate::console::words;
use crate::services::vee::{self, VeeError};

const NEXT: u32 = 12;
const DAY_S: i64 = 86_400;
/// What is shown beside the suspect stretch.
const AROUND_S: i64 = 3 * 3_600;
/// Rows of the form of values.
const EDITS_MAX: usize = 200;

#[derive(Template)]
#[template(path = "reading_day.html")]
struct DayPage {
    frame: Frame,
    meter: String,
    meter_href: String,
    day: String,
    tags: Vec<String>,
    say: String,
    done: Option<(String, String)>,
    here: String,
    next: Vec<ReadingLine>,
    failed: Vec<(String, String)>,
    /// What checks hold on this day: id of the rule, and in words.
    holds: Vec<(String, String)>,
    held: bool,
    heading: String,
    per: String,
    ranges: Vec<Choice>,
    sums: Vec<(String, String)>,
    verdict: (String, String),
    agree: bool,
    svg: String,
    holes: usize,
    methods: Vec<MethodLine>,
    /// Number of the method that the button accepts; empty: the ladder's choice.
    method: String,
    chosen: String,
    no_estimate: String,
    suspect: usize,
    can_undo: bool,
    effect: String,
    edits: Vec<EditLine>,
    unit: &'static str,
    /// Milli-units of one of it.
    unit_milli: i64,
}

struct EditLine {
    /// END of the interval in microseconds.
    key: i64,
    span: String,
    read: String,
    state: &'static str,
    proposed: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct DayQuery {
    method: String,
    range: String,
    /// Address and act of the day that was decided before this one.
    was: String,
    did: String,
}

/// A channel's day as the address names it.
pub(super) struct Target {
    pub(super) meter: MeterDetail,
    pub(super) channel: ChannelInfo,
    pub(super) calendar: LocalCalendar,
    pub(super) zone_name: String,
    pub(super) day: DayShape,
    /// The part of the day in which the channel was due and is over: `[from, to)`.
    pub(super) due: (UtcTime, UtcTime),
}

impl Target {
    pub(super) async fn read(
        console: &ConsoleState,
        (number, channel, day): (&str, &str, &str),
    ) -> Result<Self, Refusal> {
        let found = meters::by_number(&console.db, number, console.now()).await?;
        let meter = found.ok_or_else(|| Refusal::not_found("There is no meter of that number."))?;
        let channel = meter
            .channels
            .iter()
            .find(|known| known.channel.to_string() == channel && known.len_s > 0)
            .cloned()
            .ok_or_else(|| Refusal::not_found("The meter has no such channel with intervals."))?;
        let date: Date =
            day.parse().map_err(|_| Refusal::not_found("A day is written as 2026-11-19."))?;
        let zone_name = meter
            .usage_point
            .as_ref()
            .map_or_else(|| console.settings.zone.clone(), |point| point.time_zone.clone());
        let calendar = LocalCalendar::new(&zone_name)
            .map_err(|error| Refusal::internal(words::sentence_case(&error.to_string())))?;
        let day = calendar.day(date);
        let due = due(day, &channel, console.now());
        if due.0 >= due.1 {
            return Err(Refusal::not_found("Nothing was due of this channel on that day."));
        }
        Ok(Self { meter, channel, calendar, zone_name, day, due })
    }

    pub(super) fn span(&self) -> SeriesSpan {
        SeriesSpan {
            meter: self.meter.meter,
            channel: self.channel.channel,
            from: self.due.0,
            to: self.due.1,
        }
    }

    pub(super) fn href(&self) -> String {
        let (number, channel) = (segment(&self.meter.number), self.channel.channel);
        format!("/readings/{number}/{channel}/{}", self.day.date)
    }
}

/// Slots of the day from the channel's first to the last that has ended.
fn due(day: DayShape, channel: &ChannelInfo, now: UtcTime) -> (UtcTime, UtcTime) {
    let len = i64::from(channel.len_s.max(1));
    let slots = |at: UtcTime| at.seconds_since(day.start).clamp(0, day.len_s());
    // The first slot that lies wholly within; the last that has ended.
    let first = (slots(channel.valid_from) + len - 1) / len;
    let last = slots(channel.valid_to.min(now).min(day.end)) / len;
    (day.start.plus_seconds(first * len), day.start.plus_seconds(last * len))
}

/// What the page is made from.
struct Facts {
    slots: Vec<BestSlot>,
    findings: Vec<DayFinding>,
    holds: Vec<DayHold>,
    estimates: Vec<Estimate>,
    /// Why nothing is proposed.
    no_estimate: String,
    unit: DisplayUnit,
}

impl Facts {
    async fn read(
        console: &ConsoleState,
        target: &Target,
        method: Option<Method>,
    ) -> Result<Self, Refusal> {
        let day = target.due;
        let key = (target.meter.meter, target.channel.channel);
        let (slots, findings, holds) = futures_util::future::try_join3(
            series(&console.db, target.span()),
            review::findings(&console.db, key, day),
            store::day::holds(&console.db, key, (target.day.start, target.day.end)),
        )
        .await?;
        let range = vee::range(key, day, std::collections::BTreeSet::new());
        let (estimates, no_estimate) =
            match vee::preview(&console.db, &range, method, console.now()).await {
                Ok(estimates) => (estimates, String::new()),
                Err(VeeError::Store(error)) => return Err(error.into()),
                Err(VeeError::NothingMissing) => (Vec::new(), String::new()),
                Err(VeeError::Estimate(why)) => (
                    Vec::new(),
                    format!("No estimate: {}.", words::sentence_case(&why.to_string())),
                ),
                Err(error) => return Err(refusal(error)),
            };
        let most = slots.iter().map(|slot| slot.value).max().unwrap_or(0);
        let unit = DisplayUnit::choose(target.channel.reading_type.base_unit(), most);
        Ok(Self { slots, findings, holds, estimates, no_estimate, unit })
    }

    fn suspect(&self) -> impl Iterator<Item = &BestSlot> {
        self.slots.iter().filter(|slot| slot.status == QualityStatus::Suspect)
    }

    /// What counts now and would go on to count: what an estimate would replace is not in it.
    fn kept(&self, len_s: i32) -> i64 {
        let replaced = methods::proposed(&self.estimates, len_s);
        let stays = |slot: &&BestSlot| is_usable(slot.status) && !replaced.contains_key(&slot.end);
        let usable = self.slots.iter().filter(stays);
        usable.map(|slot| slot.value).fold(0, i64::saturating_add)
    }
}

/// `GET /readings/{number}/{channel}/{day}`.
pub(in crate::console) async fn show(
    State(console): State<ConsoleState>,
    Path((number, channel, day)): Path<(String, String, String)>,
    uri: Uri,
) -> Answer {
    let asked: DayQuery = query(&uri)?;
    let target = Target::read(&console, (&number, &channel, &day)).await?;
    let method = asked.method.parse().ok().and_then(Method::from_number);
    let facts = Facts::read(&console, &target, method).await?;
    let now = console.now();
    let queue = review::queue(&console.db, &ReviewFilter::default(), (NEXT, 0), now).await?;
    let here = target.href();
    let (series, range) = drawn_range(&console, &target, &facts, &asked).await?;
    let lines = methods::lines(&facts.estimates, &target, &here, &asked.range);
    let chosen = lines.iter().find(|line| line.chosen).map(|line| line.title.to_lowercase());
    let sums =
        methods::sums(&console, &target, (facts.kept(target.channel.len_s), &facts.estimates))
            .await?;
    let day_said = local_day(&target);
    html(&DayPage {
        frame: Frame::of(&console, Section::Readings, format!("{number}, {day_said}")).await?,
        meter_href: meter_href(&target),
        tags: vec![measure::title(target.channel.reading_type)],
        say: say(&facts, &target),
        done: done(&asked),
        next: queue.iter().map(|row| ReadingLine::of(row, now)).collect(),
        failed: failed(&facts, &target),
        holds: facts.holds.iter().map(|hold| hold_line(hold, now, &target.calendar)).collect(),
        held: facts.holds.iter().any(|hold| hold.released.is_none()),
        heading: format!("{}, {}", measure::title(target.channel.reading_type), facts.unit.symbol),
        per: format!(
            "per {} · {}",
            words::duration(i64::from(target.channel.len_s)),
            target.zone_name
        ),
        ranges: ranges(&asked, &here),
        sums: sums.parts,
        verdict: sums.verdict,
        agree: sums.agree,
        svg: drawing(&console, &target, &facts, (series, &range)),
        holes: facts.estimates.iter().map(|one| one.values.len()).sum(),
        method: method.map(|method| method.number().to_string()).unwrap_or_default(),
        chosen: chosen.unwrap_or_else(|| "the estimate".to_owned()),
        no_estimate: facts.no_estimate.clone(),
        suspect: facts.suspect().count(),
        can_undo: facts.slots.iter().any(|slot| slot.version > 1),
        effect: effect(&facts),
        edits: edits(&facts, &target, now),
        unit: facts.unit.symbol,
        unit_milli: facts.unit.milli,
        methods: lines,
        meter: target.meter.number.clone(),
        day: day_said,
        here,
    })
}

fn local_day(target: &Target) -> String {
    let zoned = target.day.start.to_jiff().to_zoned(target.calendar.zone().clone());
    zoned.strftime("%a %-d %b %Y").to_string()
}

fn meter_href(target: &Target) -> String {
    QueryText::default()
        .with("from", &target.day.start.to_string())
        .with("to", &target.day.end.to_string())
        .with("channel", &target.channel.channel.to_string())
        .on(&format!("/meters/{}", segment(&target.meter.number)))
}

fn done(asked: &DayQuery) -> Option<(String, String)> {
    // Only our own pages: the address of another host would be a trap.
    asked.was.starts_with("/readings/").then(|| {
        let day = asked.was.trim_start_matches("/readings/").replace('/', ", ");
        (asked.was.clone(), format!("{}: {}.", words::shortened(&day, 60), asked.did))
    })
}

fn say(facts: &Facts, target: &Target) -> String {
    let suspect = facts.suspect().count();
    let due = target.due.1.seconds_since(target.due.0) / i64::from(target.channel.len_s.max(1));
    let missing = due - i64::try_from(facts.slots.len()).unwrap_or(due);
    let mut parts = Vec::new();
    if suspect > 0 {
        let verb = if suspect == 1 { "is" } else { "are" };
        parts.push(format!("{suspect} of {due} intervals {verb} suspect"));
    }
    let rejected = facts.slots.iter().filter(|slot| slot.status == QualityStatus::Rejected).count();
    if rejected > 0 {
        parts.push(format!("{rejected} rejected"));
    }
    if missing > 0 {
        parts.push(match parts.len() {
            0 => format!("{missing} of {due} intervals are missing"),
            _ => format!("{missing} are missing"),
        });
    }
    if parts.is_empty() {
        return "Every interval of this day has a value that counts; nothing needs to be decided."
            .to_owned();
    }
    format!("{}; they count for no bill until somebody decides.", parts.join(", "))
}

fn effect(facts: &Facts) -> String {
    let slots: usize = facts.estimates.iter().map(|one| one.values.len()).sum();
    let held = facts.estimates.iter().any(|one| one.review.iter().any(|why| why.holds()));
    match (slots, held) {
        (0, _) => String::new(),
        (n, true) => {
            format!("Accepting makes a proposal for {n} intervals that another person reviews.")
        }
        (n, false) => {
            format!("Accepting writes a new version of {n} intervals; bills may use them.")
        }
    }
}

/// Which rules failed, with their numbers.
fn failed(facts: &Facts, target: &Target) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for finding in &facts.findings {
        let id = rule_words::of(finding.rule).map(|text| text.id.to_owned()).unwrap_or_default();
        all.push((id, finding_words(finding, target.channel.reading_type)));
    }
    let mut by_rule: std::collections::BTreeMap<u8, i64> = std::collections::BTreeMap::new();
    for slot in facts.suspect() {
        slot.failed.rules().for_each(|rule| *by_rule.entry(rule.get()).or_default() += 1);
    }
    for (rule, slots) in by_rule {
        let Some(text) = rule_words::all().find(|text| text.no == rule) else { continue };
        if all.iter().all(|(id, _)| id != text.id) {
            let count = words::count(slots, "interval", "intervals");
            all.push((text.id.to_owned(), format!("{}: {count}", text.title)));
        }
    }
    if all.is_empty() {
        all.push((String::new(), "none holds now".to_owned()));
    }
    all
}

fn ranges(asked: &DayQuery, here: &str) -> Vec<Choice> {
    let known = [("around", "Around it"), ("", "Day"), ("week", "Week")];
    let choice = |(key, word): (&str, &str)| Choice {
        href: QueryText::default().with("method", &asked.method).with("range", key).on(here),
        word: word.to_owned(),
        count: None,
        current: asked.range == key,
    };
    known.into_iter().map(choice).collect()
}

/// What is shown: the day, what lies around the stretch, or a week.
async fn drawn_range(
    console: &ConsoleState,
    target: &Target,
    facts: &Facts,
    asked: &DayQuery,
) -> Result<(store::views::series::Series, Range), Refusal> {
    let len_s = i64::from(target.channel.len_s);
    let (mut from, mut to) = (target.day.start, target.day.end);
    match asked.range.as_str() {
        "around" => {
            let gaps = || facts.estimates.iter().map(|one| one.gap);
            let ends = || facts.suspect().map(|slot| slot.end);
            let first =
                gaps().map(|gap| gap.from).chain(ends().map(|end| end.plus_seconds(-len_s)));
            let last = gaps().map(|gap| gap.to).chain(ends());
            from = first.min().map_or(from, |at| at.plus_seconds(-AROUND_S));
            to = last.max().map_or(to, |at| at.plus_seconds(AROUND_S));
        }
        "week" => {
            from = from.plus_seconds(-3 * DAY_S);
            to = to.plus_seconds(3 * DAY_S);
        }
        _ => {}
    }
    let range = Range {
        from,
        to,
        zone_name: target.zone_name.clone(),
        calendar: target.calendar.clone(),
        fixed: true,
    };
    let series = meter_chart::read(console, &target.meter, &target.channel, &range).await?;
    Ok((series, range))
}

fn drawing(
    console: &ConsoleState,
    target: &Target,
    facts: &Facts,
    (series, range): (store::views::series::Series, &Range),
) -> String {
    let full = series.full_resolution;
    let drawn = Drawn::new(series);
    let label = format!("{} of {}", target.meter.number, local_day(target));
    let mut spec = meter_chart::spec(console, &drawn, range, label);
    spec.id = "review".to_owned();
    spec.height = 180;
    spec.empty = "Nothing was read on this day.".to_owned();
    spec.series = vec![chart::Series {
        shape: meter_chart::shape(&target.channel),
        ink: 1,
        role: chart::Role::Value,
        points: drawn.points(0),
    }];
    if full {
        spec.series.extend(methods::ghosts(&facts.estimates, target.channel.len_s));
    }
    let fired = facts.findings.iter().filter(|finding| finding.from >= target.day.start);
    spec.marks.extend(fired.take(2).filter_map(|finding| {
        let text = rule_words::of(finding.rule)?;
        (finding.to < target.day.end).then(|| Mark { at: finding.to, label: text.id.to_owned() })
    }));
    chart::draw(&spec)
}

fn edits(facts: &Facts, target: &Target, now: UtcTime) -> Vec<EditLine> {
    let len_s = i64::from(target.channel.len_s);
    let proposed = methods::proposed(&facts.estimates, target.channel.len_s);
    // What was edited can be mistyped, and be edited again.
    let edited = facts.slots.iter().filter(|slot| slot.status == QualityStatus::Edited);
    let mut ends: Vec<UtcTime> = facts.suspect().chain(edited).map(|slot| slot.end).collect();
    ends.extend(proposed.keys().copied());
    ends.sort_unstable();
    ends.dedup();
    let line = |end: UtcTime| {
        let slot = facts.slots.iter().find(|slot| slot.end == end);
        let plain = |value: i64| {
            facts.unit.fixed(value, facts.unit.digits([value])).replace(',', "").replace('−', "-")
        };
        EditLine {
            key: end.micros(),
            span: words::span(end.plus_seconds(-len_s), end, now, target.calendar.zone()),
            read: slot.map(|slot| plain(slot.value)).unwrap_or_default(),
            state: slot.map_or("missing", |slot| slot.status.word()),
            proposed: proposed.get(&end).copied().map(plain).unwrap_or_default(),
        }
    };
    ends.into_iter().take(EDITS_MAX).map(line).collect()
}
