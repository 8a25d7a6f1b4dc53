//! Units that operators take live in the console, beside those of the configuration: told from the
//! database, without a restart.

use std::sync::Arc;
use std::time::Duration;

use metering::UtcTime;
use protocols::modbus::{Profile, UnitSettings};
use store::assets::CollectorProvision;
use store::modbus_units::{self, PolledUnit};
use store::{Database, StoreError};
use tokio::sync::watch;

use super::profiles::{Profiles, UnknownProfile};
use super::{GatewayPlan, Polling, place};
use crate::config::{GatewayAddress, GatewayConfig};

/// How often changes are asked for.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How often a gateway says that it can be reached; three missed ones are an outage.
const HEARTBEAT_S: i32 = 300;

/// Why a unit was not taken live.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    #[error("{0}")]
    Address(String),
    #[error("the profile, {0}")]
    Profile(#[from] protocols::modbus::ProfileError),
    #[error("the profile, {0}")]
    Check(#[from] protocols::modbus::CheckError),
    #[error(transparent)]
    Unknown(#[from] UnknownProfile),
    #[error("a change of what is polled needs a reason")]
    NoReason,
    /// Something is polled already, a sentence each.
    #[error("this changes what is polled already: {}", .0.join("; "))]
    Confirm(Vec<String>),
    #[error("{0}")]
    Value(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What is polled by the configuration, and where more is looked up.
#[derive(Clone, Debug)]
pub struct Base {
    pub gateways: Vec<GatewayPlan>,
    pub profiles: Profiles,
    /// Whose the gateways are that become collectors.
    pub utility: String,
}

/// Keeps `polling` as configuration and operators want it, until `stop` holds true; then ends it.
pub async fn run(
    mut polling: Polling,
    base: Base,
    database: Database,
    mut stop: watch::Receiver<bool>,
) {
    let mut seen = None;
    while !*stop.borrow() {
        match modbus_units::last_change(&database).await {
            Ok(last) if seen == Some(last) => {}
            Ok(last) => match told(&base, &database, polling.clock.now()).await {
                Ok(plans) => {
                    polling.apply(plans).await;
                    seen = Some(last);
                }
                Err(error) => tracing::debug!(%error, "Polled units could not be asked for."),
            },
            // What the configuration says does not wait for the database.
            Err(error) => {
                tracing::debug!(%error, "Polled units could not be asked for.");
                if seen.is_none() {
                    polling.apply(base.gateways.clone()).await;
                }
            }
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    }
    polling.stop().await;
}

/// What is wanted now. A gateway that no collector is named for is one itself, of its own name: so
/// its outage is one issue, as that of any collector.
async fn told(
    base: &Base,
    database: &Database,
    now: UtcTime,
) -> Result<Vec<GatewayPlan>, StoreError> {
    let units = modbus_units::live(database).await?;
    let units: Vec<PolledUnit> = units.into_iter().map(|row| row.unit).collect();
    let mut plans = wanted(base, &units);
    for plan in &mut plans {
        let settings = &mut plan.settings;
        if settings.collector.is_some() || settings.units.is_empty() {
            continue;
        }
        if store::views::collectors::by_code(database, &settings.name, now).await?.is_none() {
            let collector = CollectorProvision {
                code: settings.name.clone(),
                name: format!("Modbus gateway {}", settings.address),
                utility: base.utility.clone(),
                zone: None,
                heartbeat_s: HEARTBEAT_S,
                installed_at: now,
            };
            database.provision_collectors(&[collector], now).await?;
            tracing::info!(gateway = settings.name, "A Modbus gateway is a collector now.");
        }
        settings.collector = Some(settings.name.clone());
    }
    Ok(plans)
}

/// The configuration's gateways with the operators' units; one connection for each address.
fn wanted(base: &Base, units: &[PolledUnit]) -> Vec<GatewayPlan> {
    let mut plans = base.gateways.clone();
    for unit in units {
        if let Err(error) = add(&mut plans, &base.profiles, unit) {
            tracing::warn!(source = unit.source, %error, "A unit that was taken live is not polled.");
        }
    }
    plans
}

fn add(
    plans: &mut Vec<GatewayPlan>,
    profiles: &Profiles,
    unit: &PolledUnit,
) -> Result<(), LiveError> {
    let address: GatewayAddress = unit.address.parse().map_err(LiveError::Address)?;
    let settings = UnitSettings {
        unit: unit.unit,
        source: unit.source.clone(),
        profile: profile(profiles, &unit.profile)?,
        every_s: u32::try_from(unit.every_s).unwrap_or(900),
    };
    let shown = address.to_string();
    let at = match plans.iter().position(|plan| plan.settings.address == shown) {
        Some(at) => at,
        None => {
            let config = GatewayConfig::new(&unit.gateway, address);
            let mut plan = GatewayPlan::of_config(&config, profiles)?;
            // Two gateways of one name would stand in each other's way.
            while plans.iter().any(|other| other.settings.name == plan.settings.name) {
                plan.settings.name.push('+');
            }
            plan.place = place(&config).1;
            plans.push(plan);
            plans.len() - 1
        }
    };
    let units = &mut plans[at].settings.units;
    // What is taken live stands over the configuration.
    units.retain(|other| other.unit != settings.unit);
    units.push(settings);
    Ok(())
}

/// A known profile by its name, or one of the operator's own by its text, which must prove itself.
///
/// # Errors
/// Nobody knows the name, or the text is wrong.
pub fn profile(profiles: &Profiles, text: &str) -> Result<Arc<Profile>, LiveError> {
    if !text.contains('\n') {
        return Ok(profiles.get(text.trim())?);
    }
    let profile = Profile::parse(text)?;
    profile.verify()?;
    Ok(Arc::new(profile))
}
