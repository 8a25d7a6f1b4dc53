//! `headend protocols list | show | try | apply | end | live | history`.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use jiff::tz::TimeZone;
use metering::UtcTime;
use protocols::mapping::{Preset, Shape};
use protocols::{Format, Mapping};
use store::Database;
use store::mappings::MappingRow;

use super::cli::instant;
use super::exit::{Exit, Failure};
use super::protocols_args::{ProtocolsVerb, TryArgs};
use super::rules_args::Who;
use crate::clock::{Clock as _, SystemClock};
use crate::output::{Cell, List, OutputFormat, say};
use crate::services::payloads::wire;
use crate::services::payloads::{self, PayloadError, Person, Question, Tried};

/// What needs no database.
pub(super) fn run_offline(verb: &ProtocolsVerb) -> anyhow::Result<()> {
    match verb {
        ProtocolsVerb::List { output } => list(output.format()),
        ProtocolsVerb::Show { name } => {
            let preset = Preset::find(name).ok_or_else(|| {
                let what = format!("no mapping `{name}` is shipped: `headend protocols list`");
                Failure::new(Exit::Data, what)
            })?;
            std::io::stdout().write_all(preset.text.as_bytes())?;
            Ok(())
        }
        ProtocolsVerb::Try(args) => {
            let now = SystemClock::new().now();
            let question = question(args, now)?;
            print(&payloads::decode(&question), args.output.format())
        }
        _ => Ok(()),
    }
}

/// What asks or changes the database.
pub(super) async fn run(
    database: &Database,
    verb: &ProtocolsVerb,
    account: &str,
    (zone, now): (&TimeZone, UtcTime),
) -> anyhow::Result<()> {
    match verb {
        ProtocolsVerb::Try(args) => {
            let question = question(args, now)?;
            let tried = payloads::try_out(database, &question).await?;
            print(&tried, args.output.format())
        }
        ProtocolsVerb::Apply { file, who } => {
            let text = read(file)?;
            let row = payloads::apply(database, &text, person(who, account, now))
                .await
                .map_err(|error| failure(&file.display().to_string(), error))?;
            say!("mapping {} version {} reads {}", row.name, row.version, row.filter)?;
            Ok(())
        }
        ProtocolsVerb::End { name, who } => {
            let row = payloads::end(database, name, person(who, account, now))
                .await
                .map_err(|error| failure(name, error))?;
            say!("mapping {} ended; {} is not read any more", row.name, row.filter)?;
            Ok(())
        }
        ProtocolsVerb::Live { output } => {
            let rows = store::mappings::live(database).await?;
            Ok(versions(&rows, zone).print(output.format())?)
        }
        ProtocolsVerb::History { limit, output } => {
            let rows = store::mappings::history(database, *limit).await?;
            Ok(versions(&rows, zone).print(output.format())?)
        }
        ProtocolsVerb::List { .. } | ProtocolsVerb::Show { .. } => run_offline(verb),
    }
}

fn person<'a>(who: &'a Who, account: &'a str, now: UtcTime) -> Person<'a> {
    Person { actor: who.actor.as_deref().unwrap_or(account), reason: &who.reason, now }
}

fn failure(place: &str, error: PayloadError) -> anyhow::Error {
    match error {
        PayloadError::Store(error) => error.into(),
        PayloadError::NoReason => Failure::new(Exit::Usage, "write --reason \"why\"").into(),
        PayloadError::Text(faults) => {
            let lines: Vec<String> =
                faults.0.iter().map(|fault| format!("{place}: {fault}")).collect();
            Failure::new(Exit::Data, lines.join("\n")).into()
        }
        error => Failure::new(Exit::Data, format!("{place}: {error}")).into(),
    }
}

fn read(file: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(file)
        .map_err(|error| Failure::because(Exit::Io, format!("read {}", file.display()), error))
}

fn list(format: OutputFormat) -> anyhow::Result<()> {
    let mut list = List::new(&["kind", "name", "topics", "note"]);
    for (_, name) in Format::all() {
        let row = ["format", name, "", about(name)];
        list.push(row.into_iter().map(Cell::text).collect());
    }
    for (preset, mapping) in payloads::shipped() {
        let filter = mapping.filter.as_deref().unwrap_or("");
        let row = ["mapping", preset.name, filter, &mapping.note];
        list.push(row.into_iter().map(Cell::text).collect());
    }
    Ok(list.print(format)?)
}

fn about(name: &str) -> &'static str {
    match name {
        "bundle" => "our own JSON or CSV, docs/bundle.md",
        "mapping" => "any JSON, CSV or number by a description, docs/mapping.md",
        "sparkplug" => "Sparkplug B 3.0, docs/mapping.md",
        "rtlamr" | "rtl_433" | "wmbusmeters" | "wmbus" => "docs/amr.md",
        "modbus" => "docs/modbus.md",
        _ => "docs/protocols.md",
    }
}

/// The description of a file, or a shipped one.
fn mapping(path: &Path) -> anyhow::Result<Mapping> {
    let name = path.to_string_lossy();
    if let Some(preset) = Preset::find(&name).filter(|_| !path.exists()) {
        return preset.mapping().ok_or_else(|| anyhow::anyhow!("the mapping {name} is broken"));
    }
    if !path.exists() && path.extension().is_none() && path.components().count() == 1 {
        let shipped: Vec<&str> = payloads::shipped().map(|(preset, _)| preset.name).collect();
        let what = format!(
            "there is no file {name}, and no shipped mapping of that name: {}",
            shipped.join(", ")
        );
        return Err(Failure::new(Exit::Io, what).into());
    }
    let text = read(path)?;
    Mapping::parse(&text).map_err(|faults| failure(&name, PayloadError::Text(faults)))
}

fn question(args: &TryArgs, now: UtcTime) -> anyhow::Result<Question> {
    let mapping = args.mapping.as_deref().map(mapping).transpose()?;
    let format = match (args.format, &mapping) {
        (Some(format), _) => format,
        (None, Some(mapping)) => payloads::format_of(mapping),
        (None, None) => {
            let what = "say how it is read: --mapping FILE (or a shipped one), or --format NAME";
            return Err(Failure::new(Exit::Usage, what).into());
        }
    };
    let zone = args.zone.as_deref().map(|name| {
        TimeZone::get(name).map_err(|_| {
            Failure::new(Exit::Usage, format!("`{name}` is no zone: write Europe/Berlin or UTC"))
        })
    });
    let zone = zone.transpose()?;
    let utc = TimeZone::UTC;
    let at = args.at.as_deref().map(|text| instant(text, zone.as_ref().unwrap_or(&utc)));
    let received_at =
        at.transpose().map_err(|what| Failure::new(Exit::Usage, what))?.unwrap_or(now);
    let payload = match (&args.payload, &args.payload_file) {
        (Some(text), _) => text.clone().into_bytes(),
        (None, Some(path)) => std::fs::read(path).map_err(|error| {
            Failure::because(Exit::Io, format!("read {}", path.display()), error)
        })?,
        (None, None) => {
            let what = "say what is tried: --payload TEXT, or --payload-file FILE";
            return Err(Failure::new(Exit::Usage, what).into());
        }
    };
    let topic = args.topic.clone();
    let mapping = mapping.map(Arc::new);
    Ok(Question { topic, payload, received_at, format, mapping, zone })
}

fn print(tried: &Tried, format: OutputFormat) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match format {
        OutputFormat::Json => writeln!(out, "{:#}", wire::json(tried))?,
        OutputFormat::Csv => table(tried).write(OutputFormat::Csv, &mut out)?,
        OutputFormat::Table => {
            for line in wire::lines(tried) {
                writeln!(out, "{line}")?;
            }
        }
    }
    out.flush()?;
    drop(out);
    match &tried.refused {
        Some((reason, detail)) => {
            Err(Failure::new(Exit::Data, format!("refused, {reason}: {detail}")).into())
        }
        None if tried.topic_matches == Some(false) => {
            let what = "this topic would never come: it is not in the mapping's filter";
            Err(Failure::new(Exit::Data, what).into())
        }
        None => Ok(()),
    }
}

fn table(tried: &Tried) -> List {
    let mut list = List::new(&["device", "meter", "field", "kind", "value", "unit", "time"]);
    for device in &tried.devices {
        for value in &device.values {
            list.push(vec![
                Cell::text(device.source.to_string()),
                Cell::text(device.meter.clone().unwrap_or_default()),
                Cell::text(value.field.clone()),
                Cell::text(value.kind),
                Cell::text(value.value.clone().unwrap_or_default()),
                Cell::text(value.unit.clone()),
                Cell::text(value.time.at.to_string()),
            ]);
        }
    }
    list
}

fn versions(rows: &[MappingRow], zone: &TimeZone) -> List {
    let mut list =
        List::new(&["name", "version", "state", "topics", "format", "since", "by", "reason"]);
    for row in rows {
        let shape = Mapping::parse(&row.text).map_or("unreadable", |known| match known.shape {
            Shape::Sparkplug => "sparkplug",
            shape => shape.word(),
        });
        let since = row.applied_at.to_jiff().to_zoned(zone.clone());
        list.push(vec![
            Cell::text(row.name.clone()),
            Cell::number(row.version),
            Cell::text(if row.live { "live" } else { "ended" }),
            Cell::text(row.filter.clone()),
            Cell::text(shape),
            Cell::text(since.strftime("%Y-%m-%d %H:%M:%S %Z").to_string()),
            Cell::text(row.actor.clone()),
            Cell::text(row.reason.clone()),
        ]);
    }
    list
}
