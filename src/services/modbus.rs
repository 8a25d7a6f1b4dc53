//! Modbus units that people take live: what the console and the API do alike. A unit, a gateway or
//! a bus address that is polled already is never pointed elsewhere without being confirmed.

use metering::SourceId;
use store::Database;
use store::modbus_units::{self, By, PolledUnit};

use crate::config::GatewayAddress;
use crate::polling::Watch;
use crate::polling::live::{self, LiveError};
use crate::polling::profiles::{Profiles, differ_under_one_name, name_of};

/// Shortest and longest time between two polls, in seconds.
const EVERY_S: std::ops::RangeInclusive<i32> = 1..=86_400;
const GATEWAY_BYTES_MAX: usize = 40;
/// Looked at so often again, when others change units meanwhile.
const LOOKS_MAX: usize = 5;

/// A unit as somebody asks for it.
#[derive(Clone, Copy, Debug)]
pub struct Wish<'a> {
    pub gateway: &'a str,
    /// `HOST:PORT` is Modbus TCP.
    pub address: &'a str,
    pub unit: u8,
    /// Name of a profile, or the TOML of one.
    pub profile: &'a str,
    /// `15m`.
    pub every: &'a str,
}

impl Wish<'_> {
    /// The unit, checked; `profiles` are those of [`profiles`].
    ///
    /// # Errors
    /// The first thing that is wrong, for a person.
    pub fn unit(&self, profiles: &Profiles) -> Result<PolledUnit, LiveError> {
        let gateway = self.gateway.trim();
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if gateway.is_empty() || gateway.len() > GATEWAY_BYTES_MAX || !gateway.chars().all(plain) {
            return Err(bad("name the gateway with letters, digits, `-`, `_` and `.`"));
        }
        let address = self.address.trim();
        let address = if address.contains("://") || address.starts_with('/') {
            address.to_owned()
        } else {
            format!("tcp://{address}")
        };
        let address: GatewayAddress = address.parse().map_err(LiveError::Address)?;
        address.check_unit(self.unit).map_err(LiveError::Value)?;
        let every = crate::config::value::parse_duration(self.every.trim())
            .map_err(|error| LiveError::Value(error.to_string()))?;
        let every_s = i32::try_from(every.as_secs()).ok().filter(|s| EVERY_S.contains(s));
        let profile = profiles.stored(self.profile);
        live::profile(profiles, &profile)?;
        Ok(PolledUnit {
            source: format!("modbus:{gateway}/{}", self.unit),
            gateway: gateway.to_owned(),
            address: address.to_string(),
            unit: self.unit,
            profile,
            every_s: every_s.ok_or_else(|| bad("poll it every 1s to 1d"))?,
        })
    }
}

/// Profiles that can be named: of the program, of files, and those that live units carry.
///
/// # Errors
/// When the database is away.
pub async fn profiles(database: &Database, polls: &Watch) -> Result<Profiles, LiveError> {
    Ok(polls.profiles().with_live(&modbus_units::live(database).await?))
}

/// Takes a unit live. What it would point elsewhere must be `confirmed`; a gateway that moves takes
/// its units along, since a gateway is at one address.
///
/// # Errors
/// [`LiveError::Confirm`] says what would change, with the meters behind it; else what is wrong.
pub async fn apply(
    database: &Database,
    polls: &Watch,
    (unit, confirmed): (&PolledUnit, bool),
    by: By<'_>,
) -> Result<(), LiveError> {
    if by.reason.is_empty() {
        return Err(LiveError::NoReason);
    }
    for _ in 0..LOOKS_MAX {
        let last = modbus_units::last_change(database).await?;
        let all = settled(database, polls, (unit, confirmed)).await?;
        if modbus_units::apply(database, &all, last, by).await? {
            return Ok(());
        }
    }
    Err(bad("others change what is polled at this moment: try again"))
}

/// All units that the wish changes, as what is polled now allows it.
async fn settled(
    database: &Database,
    polls: &Watch,
    (unit, confirmed): (&PolledUnit, bool),
) -> Result<Vec<PolledUnit>, LiveError> {
    let live = modbus_units::live(database).await?;
    let live: Vec<PolledUnit> = live.into_iter().map(|change| change.unit).collect();
    let found = Found::of(unit, &live, polls)?;
    if let Some((number, source)) = &found.same_place {
        let meter = feeds(database, source).await?;
        return Err(LiveError::Value(format!(
            "unit {number} at {} is polled as {source} already ({meter}): end that first",
            unit.address
        )));
    }
    if !confirmed && !found.is_empty() {
        return Err(LiveError::Confirm(found.told(&unit.source, database).await?));
    }
    let moved = found.moved.iter().filter(|other| other.source != unit.source).map(|other| {
        let address = unit.address.clone();
        PolledUnit { address, ..other.clone() }
    });
    Ok(moved.chain([unit.clone()]).collect())
}

/// What a wish would change of what is polled.
#[derive(Default)]
struct Found {
    /// The device of this name is polled otherwise: by which address, unit and profile.
    same_source: Option<(String, u8, String)>,
    /// Other devices that carry another profile of the same name.
    same_name: Vec<String>,
    /// Units of its gateway, which is at another address.
    moved: Vec<PolledUnit>,
    /// A unit of the new address that is polled under another name than the one that comes there,
    /// and that name.
    same_place: Option<(u8, String)>,
}

impl Found {
    fn of(unit: &PolledUnit, live: &[PolledUnit], polls: &Watch) -> Result<Self, LiveError> {
        let mut found = Self::default();
        for other in live {
            let moves = other.address != unit.address;
            if other.source == unit.source && (moves || other.profile != unit.profile) {
                let now = (other.address.clone(), other.unit, other.profile.clone());
                found.same_source = Some(now);
            }
            if other.source != unit.source && differ_under_one_name(&other.profile, &unit.profile) {
                found.same_name.push(other.source.clone());
            }
            if other.gateway == unit.gateway && moves {
                found.moved.push(other.clone());
            }
        }
        found.same_place = found.of_others(unit, live);
        for gateway in polls.gateways() {
            // A bus of the configuration: those of people are in the list above.
            let configured = |source: &str| !live.iter().any(|other| other.source == source);
            let units = gateway.units.iter().filter(|other| configured(&other.source));
            if gateway.name == unit.gateway && gateway.address != unit.address {
                if units.clone().next().is_some() {
                    return Err(LiveError::Value(format!(
                        "the gateway {} stands in the configuration at {}: change it there, or \
                         name this one otherwise",
                        gateway.name, gateway.address
                    )));
                }
            } else if gateway.address == unit.address {
                for there in units {
                    let same = there.source == unit.source;
                    if same && there.unit == unit.unit && there.profile != unit.profile {
                        let now = (gateway.address.clone(), there.unit, there.profile.clone());
                        found.same_source = Some(now);
                    } else if !same && found.brings(unit, there.unit) {
                        found.same_place = Some((there.unit, there.source.clone()));
                    }
                }
            }
        }
        Ok(found)
    }

    /// Whether the wish brings a device of this number to its address.
    fn brings(&self, unit: &PolledUnit, number: u8) -> bool {
        unit.unit == number || self.moved.iter().any(|other| other.unit == number)
    }

    /// A unit that is at the new address already, where another would come.
    fn of_others(&self, unit: &PolledUnit, live: &[PolledUnit]) -> Option<(u8, String)> {
        let others = live.iter().filter(|other| other.source != unit.source);
        let mut there = others.filter(|other| other.address == unit.address);
        let taken = there.find(|other| self.brings(unit, other.unit));
        taken.map(|other| (other.unit, other.source.clone()))
    }

    const fn is_empty(&self) -> bool {
        self.same_source.is_none() && self.moved.is_empty() && self.same_name.is_empty()
    }

    /// Each as a sentence, with the meter that it feeds.
    async fn told(&self, name: &str, database: &Database) -> Result<Vec<String>, LiveError> {
        let mut told = Vec::new();
        if let Some((address, unit, profile)) = &self.same_source {
            let meter = feeds(database, name).await?;
            let profile = name_of(profile);
            told.push(format!(
                "the device {name} is live at {address}, unit {unit}, by {profile}; {meter}"
            ));
        }
        if !self.same_name.is_empty() {
            told.push(format!(
                "another profile of this name is polled by {} and stays there; by its name the next \
                 unit would get the new one",
                self.same_name.join(", ")
            ));
        }
        for other in &self.moved {
            if other.source == name {
                continue;
            }
            let meter = feeds(database, &other.source).await?;
            told.push(format!(
                "the device {} of the same gateway is live at {} and would move along; {meter}",
                other.source, other.address
            ));
        }
        Ok(told)
    }
}

async fn feeds(database: &Database, source: &str) -> Result<String, LiveError> {
    let sources = [SourceId::parse(source)];
    let owners = store::mappings::owners(database, &sources).await?;
    let mut numbers = Vec::new();
    for owner in owners {
        numbers.extend(database.load_meter(owner).await?.into_iter().map(|meter| meter.number));
    }
    Ok(match numbers.as_slice() {
        [] => "no meter is provisioned for it".to_owned(),
        numbers => format!("it is meter {}", numbers.join(", ")),
    })
}

fn bad(what: &str) -> LiveError {
    LiveError::Value(what.to_owned())
}
