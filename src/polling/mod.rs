//! Meters that are asked: Modbus gateways by the configuration, polled beside the broker's messages.
//!
//! A finished poll goes the way of every message: [`source`] hands it to ingest, which commits it.
//! The queue between is bounded; while the store is away it fills, and then nothing is polled:
//! meters keep their counters better than we could. [`profiles`] are those of the program and of
//! the operator's directory; [`Polling`] starts and stops gateways as what is wanted changes.

pub mod live;
pub mod probe;
pub mod profiles;
pub mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use protocols::modbus::driver::{HealthHandle, Place, PollClock, Poller};
use protocols::modbus::frame::Framing;
use protocols::modbus::serial::SerialSettings;
use protocols::modbus::{BEAT_S, GatewayHealth, GatewaySettings, PollRecord, UnitSettings};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::config::{GatewayAddress, GatewayConfig};
use profiles::{Profiles, UnknownProfile};

/// Polls between the gateways and ingest.
const QUEUE_POLLS: usize = 1_000;
/// Topic of a poll, `PREFIX/GATEWAY/UNIT`: no client can publish below `$` by accident.
pub const TOPIC: &str = "$modbus";

/// One gateway, ready to be polled.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GatewayPlan {
    pub settings: GatewaySettings,
    pub place: Place,
}

/// All gateways that are polled now.
#[derive(Debug)]
pub struct Polling {
    clock: Arc<dyn Clock>,
    records: mpsc::Sender<PollRecord>,
    running: BTreeMap<String, Running>,
    watch: Watch,
}

/// How all gateways are, from anywhere. The default polls nothing and knows the program's profiles.
#[derive(Clone, Debug)]
pub struct Watch {
    gateways: Arc<Mutex<Vec<HealthHandle>>>,
    profiles: Arc<Profiles>,
}

#[derive(Debug)]
struct Running {
    plan: GatewayPlan,
    health: HealthHandle,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl GatewayPlan {
    /// By the configuration.
    ///
    /// # Errors
    /// A profile that nobody knows.
    pub fn of_config(config: &GatewayConfig, profiles: &Profiles) -> Result<Self, UnknownProfile> {
        let units = config.units.iter().map(|unit| {
            Ok(UnitSettings {
                unit: unit.unit,
                source: unit.source.clone(),
                profile: profiles.get(&unit.profile)?,
                every_s: u32::try_from(unit.every.as_secs()).unwrap_or(86_400),
            })
        });
        let units = units.collect::<Result<_, _>>()?;
        let (framing, place) = place(config);
        let timeout = config.timeout.map(|t| u32::try_from(t.as_millis()).unwrap_or(60_000));
        let settings = GatewaySettings {
            name: config.name.clone(),
            address: config.address.to_string(),
            framing,
            collector: config.collector.clone(),
            beat_s: BEAT_S,
            timeout_ms: timeout,
            units,
        };
        Ok(Self { settings, place })
    }
}

/// Where a configured gateway is, and how its frames are wrapped.
pub fn place(config: &GatewayConfig) -> (Framing, Place) {
    match &config.address {
        GatewayAddress::Tcp { host, port, framing } => {
            (*framing, Place::Tcp { host: host.clone(), port: *port })
        }
        GatewayAddress::Serial(path) => {
            let settings = SerialSettings {
                path: path.clone(),
                baud: config.baud,
                parity: config.parity,
                stop_bits: config.stop_bits,
            };
            (Framing::Rtu, Place::Serial(settings))
        }
    }
}

impl Polling {
    /// Nothing is polled yet. Polls come out of the receiver.
    pub fn new(clock: Arc<dyn Clock>, profiles: Profiles) -> (Self, mpsc::Receiver<PollRecord>) {
        let (records, taken) = mpsc::channel(QUEUE_POLLS);
        let watch = Watch { gateways: Arc::default(), profiles: Arc::new(profiles) };
        let polling = Self { clock, records, running: BTreeMap::new(), watch };
        (polling, taken)
    }

    pub fn watch(&self) -> Watch {
        self.watch.clone()
    }

    /// Starts what is new, stops what is gone, and begins anew what changed. Of the gateways
    /// `announced`, nobody has heard as collectors.
    pub async fn apply(&mut self, wanted: Vec<GatewayPlan>, announced: &BTreeSet<String>) {
        let names: Vec<String> = self.running.keys().cloned().collect();
        for name in names {
            let same = |running: &Running| wanted.contains(&running.plan);
            if self.running.get(&name).is_some_and(same) {
                continue;
            }
            if let Some(running) = self.running.remove(&name) {
                running.end().await;
            }
        }
        for plan in wanted {
            // A gateway without units has nothing to say.
            if plan.settings.units.is_empty() || self.running.contains_key(&plan.settings.name) {
                continue;
            }
            let is_new = announced.contains(&plan.settings.name);
            let running = self.start(plan, is_new);
            self.running.insert(running.plan.settings.name.clone(), running);
        }
        let handles = self.running.values().map(|running| running.health.clone()).collect();
        *self.watch.gateways.lock().unwrap_or_else(PoisonError::into_inner) = handles;
    }

    /// What is polled now, without a word to any gateway.
    pub fn running(&self) -> impl Iterator<Item = &GatewayPlan> {
        self.running.values().map(|running| &running.plan)
    }

    fn start(&self, plan: GatewayPlan, is_new: bool) -> Running {
        let now = self.clock.now();
        let poller = Poller::new(plan.settings.clone(), plan.place.clone(), now);
        let poller = if is_new { poller.announced(now) } else { poller };
        let health = poller.health();
        let clock = Arc::clone(&self.clock);
        let clock: PollClock = Arc::new(move || clock.now());
        let (stop, stopped) = watch::channel(false);
        tracing::info!(
            gateway = plan.settings.name,
            address = plan.settings.address,
            units = plan.settings.units.len(),
            "Polling a Modbus gateway."
        );
        let task = tokio::spawn(poller.run(clock, self.records.clone(), stopped));
        Running { plan, health, stop, task }
    }

    /// Stops all of them.
    pub async fn stop(mut self) {
        self.apply(Vec::new(), &BTreeSet::new()).await;
    }
}

impl Running {
    async fn end(mut self) {
        self.stop.send_replace(true);
        // It waits at nothing that stop does not end.
        let _ = (&mut self.task).await;
    }
}

impl Default for Watch {
    fn default() -> Self {
        Self { gateways: Arc::default(), profiles: Arc::new(Profiles::builtin()) }
    }
}

impl Watch {
    pub fn gateways(&self) -> Vec<GatewayHealth> {
        let handles = self.gateways.lock().unwrap_or_else(PoisonError::into_inner).clone();
        handles.iter().map(HealthHandle::get).collect()
    }

    /// Profiles that can be named.
    pub fn profiles(&self) -> Arc<Profiles> {
        Arc::clone(&self.profiles)
    }
}
