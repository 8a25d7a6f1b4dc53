//! Units that operators take live in the console, beside those of the configuration: told from the
//! database, without a restart.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use metering::UtcTime;
use protocols::modbus::{BEAT_S, Profile, UnitSettings};
use store::assets::CollectorProvision;
use store::modbus_units::{self, GatewayCollector, PolledUnit};
use store::{Database, StoreError};
use tokio::sync::watch;

use super::profiles::{Profiles, UnknownProfile};
use super::{GatewayPlan, Polling, place};
use crate::config::{GatewayAddress, GatewayConfig};

/// How often changes are asked for.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How often a gateway says that it can be reached, in seconds; three missed ones are an outage.
const HEARTBEAT_S: i32 = BEAT_S.cast_signed();
/// Collectors that are made here have names that begin so.
const MADE: &str = "Modbus gateway ";
/// Who provisions many meters holds the asset model; polling begins without collectors then.
const PATIENCE: Duration = Duration::from_secs(3);

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
    tokio::select! {
        () = keep(&mut polling, &base, &database) => {}
        _ = stop.wait_for(|stop| *stop) => {}
    }
    polling.stop().await;
}

async fn keep(polling: &mut Polling, base: &Base, database: &Database) {
    let (mut seen, mut warned) = (None, false);
    loop {
        let renewed = match modbus_units::last_change(database).await {
            Ok(last) if seen == Some(last) => Ok(last),
            Ok(last) => renew(polling, base, database).await.map(|()| last),
            Err(error) => Err(error),
        };
        match renewed {
            Ok(last) => (seen, warned) = (Some(last), false),
            Err(error) => {
                // What the configuration says does not wait for the database.
                if polling.running().next().is_none() {
                    polling.apply(base.gateways.clone(), &BTreeSet::new()).await;
                }
                let what =
                    "What is to be polled, and by which collectors, is not known: asked again.";
                if warned {
                    tracing::debug!(%error, what);
                } else {
                    tracing::warn!(%error, what);
                }
                warned = true;
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Polls what is wanted now. Collectors are made first and ended last, so that each beat has its
/// collector; but meters do not wait for a collector.
async fn renew(polling: &mut Polling, base: &Base, database: &Database) -> Result<(), StoreError> {
    let now = polling.clock.now();
    let units = modbus_units::live(database).await?;
    let units: Vec<PolledUnit> = units.into_iter().map(|row| row.unit).collect();
    let plans = wanted(base, &units);
    let codes: Vec<String> = plans.iter().map(|plan| code_of(plan).to_owned()).collect();
    let known = modbus_units::collectors(database, &codes, MADE).await?;
    let due = Due::of(plans, &known, (&base.utility, now));
    {
        let mut making = pin!(provision(database, &due.begin, now));
        let mut made = tokio::time::timeout(PATIENCE, &mut making).await.ok();
        if made.is_none() {
            tracing::warn!(
                "Gateways are polled before they are collectors: something holds the asset model."
            );
            polling.apply(due.without_new(), &BTreeSet::new()).await;
            made = Some(making.await);
        }
        if let Some(Err(error)) = made {
            polling.apply(due.without_new(), &BTreeSet::new()).await;
            return Err(error);
        }
    }
    for collector in &due.begin {
        tracing::info!(gateway = collector.code, "A Modbus gateway is a collector now.");
    }
    polling.apply(due.plans, &due.announced).await;
    provision(database, &due.end, now).await
}

async fn provision(
    database: &Database,
    collectors: &[CollectorProvision],
    now: UtcTime,
) -> Result<(), StoreError> {
    if !collectors.is_empty() {
        database.provision_collectors(collectors, now).await?;
    }
    Ok(())
}

fn code_of(plan: &GatewayPlan) -> &str {
    plan.settings.collector.as_deref().unwrap_or(&plan.settings.name)
}

/// What is polled, with its collectors. A gateway that no collector is named for is one itself, of
/// its own name: so its outage is one issue, as that of any collector. It is due as long as it is
/// polled.
#[derive(Debug)]
struct Due {
    plans: Vec<GatewayPlan>,
    /// Collectors that are made or changed before they are polled.
    begin: Vec<CollectorProvision>,
    /// Collectors that nobody polls any more, which send nothing from now on.
    end: Vec<CollectorProvision>,
    /// Gateways whose collectors nobody has heard.
    announced: BTreeSet<String>,
}

impl Due {
    fn of(
        mut plans: Vec<GatewayPlan>,
        known: &[GatewayCollector],
        (utility, now): (&str, UtcTime),
    ) -> Self {
        plans.retain(|plan| !plan.settings.units.is_empty());
        let (mut begin, mut polled) = (Vec::new(), BTreeSet::new());
        let mut announced = BTreeSet::new();
        for plan in &mut plans {
            let code = code_of(plan).to_owned();
            let row = known.iter().find(|row| row.asset.code == code);
            let settings = &mut plan.settings;
            let heartbeat_s = row.map_or(0, |row| row.asset.heartbeat_s);
            if heartbeat_s == 0 || row.is_some_and(|row| row.last_heartbeat.is_none()) {
                announced.insert(settings.name.clone());
            }
            if let Some(asked) = u32::try_from(heartbeat_s).ok().filter(|asked| *asked > 0) {
                settings.beat_s = BEAT_S.min(asked);
            }
            if settings.collector.is_none() {
                let own = CollectorProvision {
                    code: code.clone(),
                    name: format!("{MADE}{}", settings.address),
                    utility: utility.to_owned(),
                    zone: None,
                    heartbeat_s: if heartbeat_s == 0 { HEARTBEAT_S } else { heartbeat_s },
                    installed_at: now,
                };
                begin.extend(begun(own, row));
                settings.collector = Some(code.clone());
            }
            polled.insert(code);
        }
        let ended = known.iter().filter(|row| {
            let asset = &row.asset;
            asset.name.starts_with(MADE) && asset.heartbeat_s > 0 && !polled.contains(&asset.code)
        });
        let end = ended.map(|row| CollectorProvision { heartbeat_s: 0, ..row.asset.clone() });
        Self { begin, end: end.collect(), announced, plans }
    }

    /// The plans while the collectors that begin are not there: they would be unknown senders.
    fn without_new(&self) -> Vec<GatewayPlan> {
        let mut plans = self.plans.clone();
        for plan in &mut plans {
            let begins = |code: &String| self.begin.iter().any(|own| own.code == *code);
            plan.settings.collector = plan.settings.collector.take().filter(|code| !begins(code));
        }
        plans
    }
}

/// How the collector of a gateway is made or changed, if it must be. One that somebody else named
/// stays as it is; one that only a meter named is told nothing else of.
fn begun(own: CollectorProvision, row: Option<&GatewayCollector>) -> Option<CollectorProvision> {
    let Some(GatewayCollector { asset, .. }) = row else { return Some(own) };
    let ours = asset.name.starts_with(MADE) || (asset.name.is_empty() && asset.heartbeat_s == 0);
    let changes = asset.name != own.name || asset.heartbeat_s != own.heartbeat_s;
    let (name, heartbeat_s) = (own.name, own.heartbeat_s);
    (ours && changes).then(|| CollectorProvision { name, heartbeat_s, ..asset.clone() })
}

/// By which collector each polled device is heard, by the device's name: as [`run`] has it. The
/// configuration names the gateway at an address, else the first of `units` there, which come in the
/// order of [`modbus_units::live`].
pub fn collectors(gateways: &[GatewayConfig], units: &[PolledUnit]) -> BTreeMap<String, String> {
    let mut buses: Vec<Bus> = Vec::new();
    let mut all = BTreeMap::new();
    for gateway in gateways {
        let name = gateway.name.clone();
        let code = gateway.collector.clone().unwrap_or_else(|| name.clone());
        all.extend(gateway.units.iter().map(|unit| (unit.source.clone(), code.clone())));
        buses.push(Bus { address: gateway.address.to_string(), name, code });
    }
    for unit in units {
        let at = buses.iter().position(|bus| bus.address == unit.address);
        let at = at.unwrap_or_else(|| {
            let taken = buses.iter().map(|bus| &*bus.name);
            let name = free_name(&unit.gateway, &taken.collect());
            let code = name.clone();
            buses.push(Bus { address: unit.address.clone(), name, code });
            buses.len() - 1
        });
        all.insert(unit.source.clone(), buses[at].code.clone());
    }
    all
}

/// Where units are polled, and by which collector.
struct Bus {
    address: String,
    name: String,
    code: String,
}

/// Two gateways of one name would stand in each other's way.
fn free_name(wanted: &str, taken: &BTreeSet<&str>) -> String {
    let mut name = wanted.to_owned();
    while taken.contains(&*name) {
        name.push('+');
    }
    name
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
            let taken = plans.iter().map(|other| &*other.settings.name);
            plan.settings.name = free_name(&plan.settings.name, &taken.collect());
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

#[cfg(test)]
mod tests {
    use protocols::modbus::devices;

    use super::*;

    fn plan(name: &str, collector: Option<&str>) -> GatewayPlan {
        let address: GatewayAddress = "tcp://10.0.0.8:502".parse().unwrap();
        let config = GatewayConfig::new(name, address);
        let mut plan = GatewayPlan::of_config(&config, &Profiles::builtin()).unwrap();
        plan.settings.collector = collector.map(str::to_owned);
        plan.settings.units.push(UnitSettings {
            unit: 1,
            source: format!("modbus:{name}/1"),
            profile: Arc::new(devices::builtin("eastron-sdm630").unwrap()),
            every_s: 900,
        });
        plan
    }

    fn known(code: &str, name: &str, heartbeat_s: i32, heard: bool) -> GatewayCollector {
        let at = UtcTime::from_seconds(1_795_000_000);
        let asset = CollectorProvision {
            code: code.to_owned(),
            name: name.to_owned(),
            utility: "Northmoor".to_owned(),
            zone: Some("Z-1".to_owned()),
            heartbeat_s,
            installed_at: at,
        };
        GatewayCollector { asset, last_heartbeat: heard.then_some(at) }
    }

    fn due(plans: Vec<GatewayPlan>, known: &[GatewayCollector]) -> String {
        let due = Due::of(plans, known, ("Utility", UtcTime::from_seconds(1_796_000_000)));
        let told = |list: &[CollectorProvision]| -> Vec<String> {
            list.iter()
                .map(|one| format!("{} `{}` {}", one.code, one.name, one.heartbeat_s))
                .collect()
        };
        let beats = due.plans.iter().map(|plan| {
            let announced = if due.announced.contains(&plan.settings.name) { " new" } else { "" };
            format!("{} {} s{announced}", code_of(plan), plan.settings.beat_s)
        });
        let beats: Vec<String> = beats.collect();
        format!("begin {:?} end {:?} beats {beats:?}", told(&due.begin), told(&due.end))
    }

    #[test]
    fn a_gateway_is_a_collector_that_is_due_while_it_is_polled() {
        let own = "Modbus gateway tcp://10.0.0.8:502";
        let gw1 = || vec![plan("gw1", None)];
        let begun = format!(r#"begin ["gw1 `{own}` 300"] end [] beats ["gw1 300 s new"]"#);
        assert_eq!(due(gw1(), &[]), begun);
        // It is known and was heard: nothing is said of it before it is reached.
        let still = r#"begin [] end [] beats ["gw1 300 s"]"#;
        assert_eq!(due(gw1(), &[known("gw1", own, 300, true)]), still);
        // It was ended, or only a meter named it: it begins anew.
        assert_eq!(due(gw1(), &[known("gw1", own, 0, true)]), begun);
        assert_eq!(due(gw1(), &[known("gw1", "", 0, false)]), begun);
        // Nobody polls it any more, or it has no units.
        let ended = format!(r#"begin [] end ["gw1 `{own}` 0"] beats []"#);
        assert_eq!(due(Vec::new(), &[known("gw1", own, 300, true)]), ended);
        let mut bare = gw1();
        bare[0].settings.units.clear();
        assert_eq!(due(bare, &[known("gw1", own, 300, true)]), ended);
    }

    #[test]
    fn a_device_is_heard_by_the_collector_of_the_gateway_at_its_address() {
        let address: GatewayAddress = "tcp://10.0.0.8:502".parse().unwrap();
        let mut config = GatewayConfig::new("gw1", address);
        let unit = |gateway: &str, address: &str| PolledUnit {
            source: format!("modbus:{gateway}/1"),
            gateway: gateway.to_owned(),
            address: address.to_owned(),
            unit: 1,
            profile: "eastron-sdm630".to_owned(),
            every_s: 900,
        };
        let units = [
            unit("gw7", "tcp://10.0.0.8:502"),
            unit("gw9", "tcp://10.0.0.9:502"),
            unit("gw91", "tcp://10.0.0.9:502"),
            PolledUnit { source: "modbus:gw9/2".to_owned(), ..unit("gw9", "tcp://10.0.0.7:502") },
        ];
        let of = |config: &GatewayConfig| -> Vec<String> {
            let all = collectors(std::slice::from_ref(config), &units);
            all.iter().map(|(source, code)| format!("{source} {code}")).collect()
        };
        assert_eq!(
            of(&config),
            ["modbus:gw7/1 gw1", "modbus:gw9/1 gw9", "modbus:gw9/2 gw9+", "modbus:gw91/1 gw9"]
        );
        config.collector = Some("C-01".to_owned());
        assert_eq!(
            of(&config),
            ["modbus:gw7/1 C-01", "modbus:gw9/1 gw9", "modbus:gw9/2 gw9+", "modbus:gw91/1 gw9"]
        );
    }

    #[test]
    fn a_collector_of_somebody_else_stays_as_it_is_and_hears_as_often_as_it_asks() {
        let gw1 = || vec![plan("gw1", Some("C-01"))];
        let often = r#"begin [] end [] beats ["C-01 60 s"]"#;
        assert_eq!(due(gw1(), &[known("C-01", "North", 60, true)]), often);
        let seldom = r#"begin [] end [] beats ["C-01 300 s new"]"#;
        assert_eq!(due(gw1(), &[known("C-01", "North", 900, false)]), seldom);
        let same_name = known("gw1", "Gateway of the mill", 900, true);
        let kept = r#"begin [] end [] beats ["gw1 300 s"]"#;
        assert_eq!(due(vec![plan("gw1", None)], &[same_name]), kept);
    }
}
