//! `headend meters provision FILE.csv`: meters become known, and what they sent before comes back.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use metering::{SourceId, UtcTime};
use protocols::Mapping;
use protocols::files::layout::Layout;
use store::assets::{MeterProvision, ProvisionChange, ProvisionOutcome};
use store::modbus_units::PolledUnit;
use store::{Database, StoreError};

use super::cli::Output;
use super::database::Opened;
use super::exit::{Exit, Failure};
use super::provision_file::{self, COLUMNS, Defaults, LineFault, ProvisionFile};
use crate::clock::Clock;
use crate::config::Config;
use crate::output::{Cell, List, OutputFormat, Record, remark};
use crate::polling::live;
use crate::telemetry::chain;

pub(super) async fn run(
    opened: &Opened,
    config: &Config,
    (path, dry_run, output): (&Path, bool, Output),
    clock: Arc<dyn Clock>,
) -> anyhow::Result<()> {
    let units = store::modbus_units::live(&opened.database).await?;
    let units: Vec<PolledUnit> = units.into_iter().map(|change| change.unit).collect();
    let defaults = Defaults {
        utility: opened.utility(config),
        time_zone: opened.zone(config).iana_name().unwrap_or("UTC").to_owned(),
        families: families(&opened.database, config, &units).await?,
        collectors: live::collectors(&config.modbus.gateways, &units),
    };
    let mut file = read(path, &defaults)?;
    let place = Place { database: &opened.database, now: clock.now(), dry_run };
    if !dry_run {
        opened.database.provision_zones(&file.zones, place.now).await?;
        opened.database.provision_collectors(&file.collectors, place.now).await?;
    }
    let outcomes = place.provision(&mut file, &path.display().to_string()).await?;
    for fault in &file.faults {
        remark!("{fault}");
    }
    let sources: Vec<SourceId> =
        outcomes.iter().flat_map(|outcome| outcome.new_sources.clone()).collect();
    let replayed = if dry_run || sources.is_empty() {
        0
    } else {
        super::replay::of_devices(opened, config, sources, clock).await?
    };
    print(&file, &outcomes, replayed, output.format())?;
    if dry_run {
        remark!("nothing was changed");
    }
    if file.faults.is_empty() {
        return Ok(());
    }
    let what = match file.refused.len() {
        0 => format!("{} is no provisioning file: nothing was taken", path.display()),
        count => format!("{count} of {} meters were refused", count + file.meters.len()),
    };
    Err(Failure::new(Exit::Data, what).into())
}

/// Where meters are provisioned, or only tried.
struct Place<'a> {
    database: &'a Database,
    now: UtcTime,
    dry_run: bool,
}

impl Place<'_> {
    /// All at once; when the store refuses that, meter by meter, so that one does not keep the
    /// others out.
    async fn provision(
        &self,
        file: &mut ProvisionFile,
        name: &str,
    ) -> Result<Vec<ProvisionOutcome>, StoreError> {
        match self.store(&file.meters).await {
            Err(error) if is_about_the_meter(&error) => {}
            done => return done,
        }
        let mut outcomes = Vec::new();
        for meter in std::mem::take(&mut file.meters) {
            match self.store(std::slice::from_ref(&meter)).await {
                Ok(outcome) => {
                    outcomes.extend(outcome);
                    file.meters.push(meter);
                }
                Err(error) if is_about_the_meter(&error) => {
                    let (column, what) = told(&error);
                    file.faults.push(LineFault {
                        file: name.to_owned(),
                        line: file.lines.get(&meter.number).copied().unwrap_or(0),
                        column: column.to_owned(),
                        what,
                    });
                    file.refused.insert(meter.number);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(outcomes)
    }

    async fn store(&self, meters: &[MeterProvision]) -> Result<Vec<ProvisionOutcome>, StoreError> {
        if self.dry_run {
            self.database.provision_dry_run(meters, self.now).await
        } else {
            self.database.provision(meters, self.now).await
        }
    }
}

/// The column that the store's refusal begins with, and the rest of it.
fn told(error: &StoreError) -> (&'static str, String) {
    let StoreError::Refused { detail, .. } = error else { return ("meter", chain(error)) };
    let named = COLUMNS.iter().find_map(|column| {
        let rest = detail.strip_prefix(column.name)?.strip_prefix(' ')?;
        Some((column.name, rest.to_owned()))
    });
    named.unwrap_or_else(|| ("meter", detail.clone()))
}

fn is_about_the_meter(error: &StoreError) -> bool {
    matches!(error, StoreError::Refused { .. }) || error.is_data_fault()
}

/// Families that mappings, layouts and polled units add to those of formats. What cannot be read
/// is told where it is used, not here.
async fn families(
    database: &Database,
    config: &Config,
    units: &[PolledUnit],
) -> Result<BTreeSet<String>, StoreError> {
    let live = store::mappings::live(database).await?;
    let live = live.iter().filter_map(|row| Mapping::parse(&row.text).ok());
    let configured = config.mqtt.subscriptions.iter().filter_map(|one| one.mapping.as_deref());
    let mut families: BTreeSet<String> = live.map(|mapping| mapping.family().to_owned()).collect();
    families.extend(configured.map(|mapping| mapping.family().to_owned()));
    let units = units.iter().map(|unit| unit.source.as_str());
    let gateways = config.modbus.gateways.iter();
    let polled = gateways.flat_map(|gateway| gateway.units.iter().map(|unit| unit.source.as_str()));
    families.extend(units.chain(polled).map(|source| SourceId::parse(source).family().to_owned()));
    families.extend(config.files.layouts.iter().flat_map(|directory| layout_families(directory)));
    families.remove("collector");
    Ok(families)
}

fn layout_families(directory: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    let paths = entries.flatten().map(|entry| entry.path());
    let texts = paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .filter_map(|path| std::fs::read_to_string(path).ok());
    texts.filter_map(|text| Layout::parse(&text).ok()).map(|layout| layout.family).collect()
}

fn read(path: &Path, defaults: &Defaults) -> anyhow::Result<ProvisionFile> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::because(Exit::Io, format!("cannot read {name}"), error))?;
    Ok(provision_file::read(&name, &text, defaults))
}

/// Counts for people and programs; meter by meter as CSV.
fn print(
    file: &ProvisionFile,
    outcomes: &[ProvisionOutcome],
    replayed: u64,
    format: OutputFormat,
) -> std::io::Result<()> {
    if format == OutputFormat::Csv {
        let mut list = List::new(&["meter", "outcome", "sources"]);
        for outcome in outcomes {
            let new: Vec<String> = outcome.new_sources.iter().map(ToString::to_string).collect();
            let words = [outcome.number.as_str(), word(outcome.change), &new.join(" ")];
            list.push(words.into_iter().map(Cell::text).collect());
        }
        for number in &file.refused {
            list.push(vec![Cell::text(number), Cell::text("refused"), Cell::Empty]);
        }
        return list.print(format);
    }
    let count = |change| outcomes.iter().filter(|outcome| outcome.change == change).count();
    Record::new(vec![
        ("created", Cell::number(count(ProvisionChange::Created))),
        ("changed", Cell::number(count(ProvisionChange::Changed))),
        ("unchanged", Cell::number(count(ProvisionChange::Unchanged))),
        ("refused", Cell::number(file.refused.len())),
        ("reads_replayed", Cell::number(replayed)),
    ])
    .print(format)
}

const fn word(change: ProvisionChange) -> &'static str {
    match change {
        ProvisionChange::Created => "created",
        ProvisionChange::Changed => "changed",
        ProvisionChange::Unchanged => "unchanged",
    }
}
