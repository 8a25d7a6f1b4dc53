//! `headend modbus`: devices on a bus, asked by hand.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use protocols::modbus::driver::{PollClock, connect, exchange};
use protocols::modbus::frame::Request;
use protocols::modbus::pdu::{Answer, Function, ReadRequest};
use protocols::modbus::state::Outcome;
use protocols::modbus::{PollRecord, Profile};
use store::modbus_units::{self, UnitChange};

use super::database;
use super::exit::{Exit, Failure};
use super::modbus_args::{DeviceArgs, ModbusVerb};
use crate::clock::{Clock as _, SystemClock};
use crate::config::{Config, GatewayConfig};
use crate::output::{Cell, List, OutputFormat, remark, say};
use crate::polling::place;
use crate::polling::probe::{Device, Fit};
use crate::polling::profiles::{Origin, ProfileFileError, Profiles, read};
use crate::telemetry::chain;

/// Runs one of them; of a database they want only the profiles that were taken live.
pub(super) async fn run(verb: &ModbusVerb, config: &Config) -> anyhow::Result<()> {
    match verb {
        ModbusVerb::Check { files } => check(files),
        ModbusVerb::Simulate(args) => crate::simulate::modbus::run(args.options()).await,
        ModbusVerb::Profiles { output } => list(&profiles(config).await?, output.format()),
        ModbusVerb::Probe { device, profile, output } => {
            let profiles = profiles(config).await?;
            probe(&device.device(), profile.as_deref(), &profiles, output.format()).await
        }
        ModbusVerb::Read { device, profile: Some(name), output, .. } => {
            let profile = named(name, &profiles(config).await?)?;
            by_profile(&device.device(), &profile, output.format()).await
        }
        ModbusVerb::Read { profile: None, address: None, .. } => {
            let what = "say what is read: --profile NAME (or --profile FILE.toml) for its values, \
                        or --address REGISTER for bare registers";
            Err(usage(what).into())
        }
        ModbusVerb::Read { device, profile: None, address, count, function, output } => {
            let function = Function::of_code(*function).context("function is 3 or 4")?;
            let request = address.and_then(|at| ReadRequest::new(function, at, *count));
            let request = request.context("the registers end beyond 65535")?;
            bare(&device.device(), request, output.format()).await
        }
    }
}

/// Those of the program and of the operator's files; and, where a database is at hand, those that
/// units carry which were taken live.
async fn profiles(config: &Config) -> anyhow::Result<Profiles> {
    let profiles = Profiles::load(config.modbus.profiles.as_deref())?;
    let runs = || store::embedded::running_url(&config.data.dir).is_some();
    if config.database.url.is_none() && !runs() {
        return Ok(profiles);
    }
    match live_units(config).await {
        Ok(live) => Ok(profiles.with_live(&live)),
        Err(error) => {
            remark!("Profiles that were taken live in the console are not known here: {error:#}");
            Ok(profiles)
        }
    }
}

async fn live_units(config: &Config) -> anyhow::Result<Vec<UnitChange>> {
    let opened = database::open(config).await?;
    let live = modbus_units::live(&opened.database).await;
    opened.close().await;
    Ok(live?)
}

impl DeviceArgs {
    fn device(&self) -> Device {
        let (framing, place) = place(&GatewayConfig::new("", self.gateway.clone()));
        Device {
            address: self.gateway.to_string(),
            framing,
            place,
            unit: self.unit,
            timeout_ms: self.timeout,
        }
    }
}

/// A profile of `headend modbus profiles`, or of a file, which must prove itself.
fn named(name: &str, profiles: &Profiles) -> anyhow::Result<Arc<Profile>> {
    let path = Path::new(name);
    let is_file = path.extension().is_some_and(|extension| extension == "toml");
    if !is_file && path.components().count() == 1 {
        return Ok(profiles.get(name).map_err(usage)?);
    }
    match read(path) {
        Ok(profile) => Ok(Arc::new(profile)),
        Err(error) => Err(Failure::new(exit_of(&error), chain(&error)).into()),
    }
}

const fn exit_of(error: &ProfileFileError) -> Exit {
    match error {
        ProfileFileError::Unreadable { .. } => Exit::Io,
        _ => Exit::Data,
    }
}

/// What a device gives of a profile; nothing at all is a failure, whatever it answers.
async fn by_profile(
    device: &Device,
    profile: &Arc<Profile>,
    format: OutputFormat,
) -> anyhow::Result<()> {
    let record = device.poll(profile, &clock()).await.map_err(unavailable)?;
    values(&record).print(format)?;
    tell_status(&record);
    some_of(&record, device, profile)
}

/// Who answers, and has nothing that the profile names, is another device.
fn some_of(record: &PollRecord, device: &Device, profile: &Profile) -> anyhow::Result<()> {
    if record.values() == 0 {
        let what = format!(
            "unit {} at {} has none of the values of {}: is it this device? `headend modbus probe \
             {} --unit {}` tries every profile",
            device.unit, device.address, profile.name, device.address, device.unit
        );
        return Err(Failure::new(Exit::Data, what).into());
    }
    Ok(())
}

fn clock() -> PollClock {
    let clock = SystemClock::new();
    Arc::new(move || clock.now())
}

fn usage(error: impl std::fmt::Display) -> Failure {
    Failure::new(Exit::Usage, error.to_string())
}

fn unavailable(error: String) -> Failure {
    Failure::new(Exit::Unavailable, error)
}

fn check(files: &[std::path::PathBuf]) -> anyhow::Result<()> {
    let (mut bad, mut exit) = (0, Exit::Io);
    for file in files {
        match read(file) {
            Ok(profile) => {
                let (registers, checks) = (profile.registers.len(), profile.checks.len());
                let shown = file.display();
                say!("OK    {shown}: {}, {registers} registers, {checks} checks", profile.name)?;
            }
            Err(error) => {
                bad += 1;
                if exit_of(&error) == Exit::Data {
                    exit = Exit::Data;
                }
                say!("FAIL  {}", chain(&error))?;
            }
        }
    }
    if bad > 0 {
        let what = format!("{bad} of {} profiles cannot be used", files.len());
        return Err(Failure::new(exit, what).into());
    }
    Ok(())
}

fn list(profiles: &Profiles, format: OutputFormat) -> anyhow::Result<()> {
    let mut list = List::new(&["name", "title", "registers", "checks", "origin"]);
    for known in profiles.iter() {
        let profile = &known.profile;
        list.push(vec![
            Cell::text(&profile.name),
            Cell::text(&profile.title),
            Cell::count((!profile.sunspec).then_some(profile.registers.len())),
            Cell::number(profile.checks.len()),
            Cell::text(match &known.origin {
                Origin::Program => "program".to_owned(),
                Origin::File(path) => path.display().to_string(),
                Origin::Live(_) => "taken live".to_owned(),
            }),
        ]);
    }
    list.print(format)?;
    Ok(())
}

async fn probe(
    device: &Device,
    only: Option<&str>,
    profiles: &Profiles,
    format: OutputFormat,
) -> anyhow::Result<()> {
    let candidates = match only {
        Some(name) => vec![named(name, profiles)?],
        None => profiles.iter().map(|known| Arc::clone(&known.profile)).collect(),
    };
    // Without a connection nothing can be said of profiles.
    drop(connect(&device.place, 0).await.map_err(|error| {
        unavailable(format!(
            "{error}: nothing was asked. Is the address right, is the gateway on, and does no other \
             program hold its connection?"
        ))
    })?);
    let fits = device.probe(&candidates, &clock()).await;
    for fit in &fits {
        tell_fit(fit);
    }
    let fits_are_silent =
        fits.iter().all(|fit| fit.outcome.as_ref().is_err_and(|error| is_silence(error)));
    let best = fits.into_iter().next().filter(|fit| only.is_some() || fit.is_likely());
    match best {
        Some(Fit { outcome: Ok(record), profile, .. }) => {
            remark!("{} shows, by {}:", device.address, profile.title);
            values(&record).print(format)?;
            tell_status(&record);
            some_of(&record, device, &profile)
        }
        Some(Fit { outcome: Err(error), .. }) => Err(unavailable(error).into()),
        None if fits_are_silent => Err(unavailable(silent(device)).into()),
        None => {
            let what = format!(
                "no profile fits unit {} at {}: see above, look into its manual, and write one \
                 (docs/modbus.md)",
                device.unit, device.address
            );
            Err(Failure::new(Exit::Data, what).into())
        }
    }
}

/// Nobody answered, not even that it does not have such a register.
fn is_silence(error: &str) -> bool {
    error.ends_with("no answer in time")
}

fn silent(device: &Device) -> String {
    format!(
        "{} takes connections, but unit {} answers nothing: is the unit's number right (its display \
         or menu shows it), is it wired and powered, and does the gateway speak this framing? \
         HOST:PORT is Modbus TCP, rtutcp://HOST:PORT is RTU inside TCP",
        device.address, device.unit
    )
}

fn tell_fit(fit: &Fit) {
    let name = &fit.profile.name;
    match &fit.outcome {
        Ok(_) => {
            let refused = match fit.refused {
                0 => String::new(),
                count => format!(", {count} that cannot be"),
            };
            let word = if fit.is_likely() { "fits" } else { "no" };
            remark!("{word:<5} {name}: {} of {} values{refused}", fit.values, fit.registers);
        }
        Err(error) => remark!("no    {name}: {error}"),
    }
}

fn values(record: &PollRecord) -> List {
    let mut list = List::new(&["channel", "value", "unit", "kind", "at"]);
    for read in &record.reads {
        for value in &read.values {
            list.push(vec![
                Cell::text(&value.channel),
                value.value.map_or(Cell::Empty, Cell::number),
                Cell::text(value.unit.to_string()),
                Cell::text(value.use_.word()),
                Cell::text(read.at.to_string()),
            ]);
        }
    }
    list
}

fn tell_status(record: &PollRecord) {
    for word in record.status.iter().chain(record.events.iter().map(|event| &event.detail)) {
        remark!("{word}");
    }
}

async fn bare(device: &Device, read: ReadRequest, format: OutputFormat) -> anyhow::Result<()> {
    let mut line = connect(&device.place, 0).await.map_err(unavailable)?;
    let request = Request { unit: device.unit, read, transaction: 1 };
    let limit = Duration::from_millis(u64::from(device.timeout_ms.unwrap_or(3_000)));
    let words = match exchange(&mut line, device.framing, &request, limit).await {
        Outcome::Answered(Answer::Registers(words), _) => words,
        Outcome::Answered(Answer::Exception(exception), _) => {
            return Err(unavailable(format!("{read}: {exception}")).into());
        }
        Outcome::Timeout => return Err(unavailable(format!("{read}: no answer")).into()),
        Outcome::Wrong(what) => return Err(unavailable(format!("{read}: {what}")).into()),
    };
    let mut list = List::new(&["address", "hex", "unsigned", "signed"]);
    for (at, word) in (read.address..).zip(&words) {
        list.push(vec![
            Cell::text(format!("0x{at:04X}")),
            Cell::text(format!("{word:04X}")),
            Cell::number(word),
            Cell::number(word.cast_signed()),
        ]);
    }
    list.print(format)?;
    Ok(())
}
