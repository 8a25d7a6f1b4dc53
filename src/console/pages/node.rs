//! A zone or a transformer: who hangs on it, and whether what went in was counted.

use askama::Template;
use axum::extract::{Path, State};
use metering::{Commodity, Subject, UtcTime};
use store::views::issues;
use store::views::nodes::{self as views, Node, NodeDay, NodeInfo, NodeMember};

use super::issues::IssueLine;
use super::{Answer, html};
use crate::console::chart::{self, ChartSpec, Point, QualityMark, Role, Series, Shape, Spread};
use crate::console::frame::{Frame, QueryText, Section, segment};
use crate::console::measure::DisplayUnit;
use crate::console::refusal::Refusal;
use crate::console::state::ConsoleState;
use crate::console::words;

const MEMBERS: u32 = 500;
const DAYS: i64 = 35;
const DAY_S: i64 = 86_400;

#[derive(Template)]
#[template(path = "node.html")]
struct NodePage {
    frame: Frame,
    kind: &'static str,
    /// Address of the list of all of its kind.
    up: &'static str,
    code: String,
    name: String,
    tags: Vec<String>,
    say: String,
    facts: Vec<(&'static str, String)>,
    balances: Vec<Balance>,
    issues: Vec<IssueLine>,
    /// The list of meters with this zone chosen; empty for a transformer.
    list: String,
    members: Vec<MemberLine>,
    more: bool,
}

struct Balance {
    id: String,
    heading: String,
    svg: String,
    keys: Vec<(&'static str, &'static str)>,
    said: String,
}

struct MemberLine {
    number: String,
    href: String,
    address: String,
    commodity: &'static str,
    role: String,
    total: String,
    day: String,
    heard: String,
    silent: bool,
    issue: Option<i64>,
}

/// `GET /zones/{code}`.
pub(in crate::console) async fn zone(
    State(console): State<ConsoleState>,
    Path(code): Path<String>,
) -> Answer {
    page(&console, "zone", &code).await
}

/// `GET /transformers/{code}`.
pub(in crate::console) async fn transformer(
    State(console): State<ConsoleState>,
    Path(code): Path<String>,
) -> Answer {
    page(&console, "transformer", &code).await
}

async fn page(console: &ConsoleState, kind: &'static str, code: &str) -> Answer {
    let now = console.now();
    let found = views::by_code(&console.db, kind, code, now).await?;
    let info = found.ok_or_else(|| {
        Refusal::not_found(format!("No {kind} is called “{}”.", words::shortened(code, 60)))
    })?;
    let subject = match info.node {
        Node::Zone(id) => Subject::Zone(id),
        Node::Transformer(id) => Subject::Transformer(id),
    };
    let (members, issues) = futures_util::future::try_join(
        views::members(&console.db, info.node, MEMBERS, now),
        issues::of_subject(&console.db, subject),
    )
    .await?;
    let title = if kind == "zone" { "Zone" } else { "Transformer" };
    let frame = Frame::of(console, Section::Fleet, format!("{title} {code}")).await?;
    html(&NodePage {
        frame,
        kind: title,
        up: if kind == "zone" { "/zones" } else { "/transformers" },
        say: say(&info),
        facts: facts(&info, &members),
        tags: tags(&info),
        balances: balances(console, &info, &members).await?,
        issues: issues.iter().map(|row| IssueLine::of(row, now, console)).collect(),
        list: match info.node {
            Node::Zone(_) => QueryText::default().with("zone", &info.code).on("/meters"),
            Node::Transformer(_) => String::new(),
        },
        more: members.len() >= MEMBERS as usize,
        members: members.iter().map(|row| MemberLine::of(row, now, console)).collect(),
        code: info.code,
        name: info.name,
    })
}

fn say(info: &NodeInfo) -> String {
    let meters = match info.meters {
        0 => "No meter is recorded on it.".to_owned(),
        meters => {
            format!("{} of {} report.", info.reporting, words::count(meters, "meter", "meters"))
        }
    };
    match info.open_issues {
        0 => format!("{meters} No issue of its own is open."),
        open => format!(
            "{meters} {} of its own.",
            words::count(open, "issue is open", "issues are open")
        ),
    }
}

fn tags(info: &NodeInfo) -> Vec<String> {
    let kind = match info.kind.as_str() {
        "dma" => "district metered area",
        "feeder" => "feeder",
        "district" => "district",
        _ => "",
    };
    if kind.is_empty() { Vec::new() } else { vec![kind.to_owned()] }
}

fn facts(info: &NodeInfo, members: &[NodeMember]) -> Vec<(&'static str, String)> {
    let some = |number: i64| if number > 0 { words::thousands(number) } else { String::new() };
    let measuring = members.iter().filter(|member| is_supply(&member.role)).count();
    let facts = vec![
        ("Zone", info.zone_code.clone()),
        ("Meters", words::thousands(info.meters)),
        ("Reporting", format!("{} %", words::percent(info.reporting, info.meters))),
        (
            "Measured at its inlet",
            match measuring {
                0 => "no".to_owned(),
                n => words::count(i64::try_from(n).unwrap_or(0), "meter", "meters"),
            },
        ),
        ("Mains, m", some(i64::from(info.mains_m))),
        ("Connections", some(i64::from(info.connections))),
    ];
    facts.into_iter().filter(|(_, value)| !value.is_empty()).collect()
}

fn is_supply(role: &str) -> bool {
    matches!(role, "zone_inlet" | "zone_outlet" | "transformer_supply")
}

/// One chart for each commodity that the node's meters have.
async fn balances(
    console: &ConsoleState,
    info: &NodeInfo,
    members: &[NodeMember],
) -> Result<Vec<Balance>, Refusal> {
    let now = console.now();
    let since = now.plus_seconds(-DAYS * DAY_S);
    let mut all = Vec::new();
    for commodity in [Commodity::Electricity, Commodity::Water, Commodity::Gas, Commodity::Heat] {
        if members.iter().all(|member| member.commodity != commodity) {
            continue;
        }
        let days = views::days(&console.db, info.node, commodity, (since, now)).await?;
        if !days.is_empty() {
            all.push(balance(console, commodity, &days));
        }
    }
    Ok(all)
}

fn balance(console: &ConsoleState, commodity: Commodity, days: &[NodeDay]) -> Balance {
    let most = days.iter().map(|day| day.counted.max(day.supply.unwrap_or(0))).max().unwrap_or(0);
    let unit = DisplayUnit::choose(base_unit(commodity), most);
    let counted = days.iter().map(|day| point(day, unit, Some(day.counted))).collect();
    let mut series =
        vec![Series { shape: Shape::Step, ink: 1, role: Role::Value, points: counted }];
    let supplied = days.iter().any(|day| day.supply.is_some());
    if supplied {
        let points = days.iter().map(|day| point(day, unit, day.supply)).collect();
        series.push(Series { shape: Shape::Step, ink: 2, role: Role::Value, points });
    }
    let id = format!("balance-{}", commodity.word());
    let from = days.first().map_or(UtcTime::MIN, |day| day.starts_at);
    let to = days.last().map_or(UtcTime::MAX, |day| day.ends_at);
    Balance {
        heading: format!("{}, {} per day", words::sentence_case(commodity.word()), unit.symbol),
        svg: chart::draw(&ChartSpec {
            id: id.clone(),
            label: "What was supplied and what the meters counted, by local day".to_owned(),
            height: 120,
            from,
            to,
            now: None,
            zone: console.calendar.zone().clone(),
            zone_name: console.settings.zone.clone(),
            unit,
            from_zero: true,
            top: None,
            series,
            bands: Vec::new(),
            limits: Vec::new(),
            marks: Vec::new(),
            flags: Vec::new(),
            empty: "No day is closed yet.".to_owned(),
            cursor: true,
            whole: false,
        }),
        id,
        keys: if supplied {
            vec![("", "counted by its meters"), (" cmp", "supplied")]
        } else {
            vec![("", "counted by its meters")]
        },
        said: loss_words(days, unit),
    }
}

const fn base_unit(commodity: Commodity) -> metering::Unit {
    match commodity {
        Commodity::Electricity | Commodity::Heat => metering::Unit::WattHour,
        Commodity::Water | Commodity::Gas => metering::Unit::Litre,
    }
}

fn point(day: &NodeDay, unit: DisplayUnit, value: Option<i64>) -> Point {
    let mut notes = vec![format!("{} of {} customers", day.customers, day.customers_all)];
    if let Some(supply) = day.supply {
        notes.push(format!("supplied {}", unit.rough(supply)));
        if let Some(loss) = loss_permille(supply, day.counted) {
            notes.push(format!("difference {} %", tenths(loss)));
        }
    }
    Point {
        start: day.starts_at,
        end: day.ends_at,
        value: value.map(Spread::of),
        mark: if value.is_some() { QualityMark::Plain } else { QualityMark::Pending },
        text: value.map(|value| unit.rough(value)).unwrap_or_default(),
        note: notes.join(", "),
    }
}

/// What of the supply nobody counted, in thousandths; negative means that the mapping is wrong.
fn loss_permille(supply: i64, counted: i64) -> Option<i64> {
    let loss = i128::from(supply) - i128::from(counted);
    (supply > 0).then(|| i64::try_from(loss * 1_000 / i128::from(supply)).unwrap_or(i64::MAX))
}

fn tenths(permille: i64) -> String {
    let sign = if permille < 0 { "−" } else { "" };
    format!("{sign}{}.{}", permille.unsigned_abs() / 10, permille.unsigned_abs() % 10)
}

fn loss_words(days: &[NodeDay], unit: DisplayUnit) -> String {
    // Days on which all customers are closed: anything else is not comparable.
    let whole = days.iter().filter(|day| day.customers >= day.customers_all);
    let both: Vec<(i64, i64)> =
        whole.filter_map(|day| day.supply.map(|supply| (supply, day.counted))).collect();
    let sum = |pick: fn(&(i64, i64)) -> i64| both.iter().map(pick).fold(0_i64, i64::saturating_add);
    let (supply, counted) = (sum(|day| day.0), sum(|day| day.1));
    match loss_permille(supply, counted) {
        Some(loss) => format!(
            "Over {} with all customers: supplied {}, counted {}, difference {} %.",
            words::count(i64::try_from(both.len()).unwrap_or(0), "day", "days"),
            unit.rough(supply),
            unit.rough(counted),
            tenths(loss)
        ),
        None => "No supply meter is recorded, so there is no balance.".to_owned(),
    }
}

impl MemberLine {
    fn of(row: &NodeMember, now: UtcTime, console: &ConsoleState) -> Self {
        let unit = |total| DisplayUnit::choose(base_unit(row.commodity), total);
        let ago = |at| format!("{} ago", words::age(at, now));
        Self {
            number: row.number.clone(),
            href: format!("/meters/{}", segment(&row.number)),
            address: row.address.clone(),
            commodity: row.commodity.word(),
            role: row.role.replace('_', " "),
            total: row.total.map(|total| unit(total).rough(total)).unwrap_or_default(),
            day: row.day.map(|at| words::day(at, console.calendar.zone())).unwrap_or_default(),
            heard: row.last_heard_at.map_or_else(|| "never".to_owned(), ago),
            silent: !row.reporting,
            issue: row.open_issue,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_told_in_tenths_of_a_per_cent() {
        assert_eq!(loss_permille(1_000, 923).map(tenths).as_deref(), Some("7.7"));
        assert_eq!(loss_permille(1_000, 1_005).map(tenths).as_deref(), Some("−0.5"));
        assert_eq!(loss_permille(0, 5), None);
    }
}
