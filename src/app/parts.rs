//! What a head-end is put together from.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use alerts::Params;
use protocols::mqtt::{MqttConfig, Subscription};
use store::Database;
use store::upkeep::Keep;

use crate::api::WebSettings;
use crate::clock::Clock;
use crate::config::{self, Config, SubscriptionConfig, read_secret};
use crate::ingest::IngestOptions;
use crate::polling::GatewayPlan;
use crate::polling::live::Base;
use crate::polling::profiles::Profiles;
use crate::services::files::Files;
use crate::verbs::replay::ingest_options;

/// Log frames are kept this long, and always until every reader has read them.
const LOG_DAYS: i64 = 3;
/// Name of the adapter in batches, metrics and raw messages.
pub(super) use crate::verbs::replay::ADAPTER;
const KEEP_ALIVE_S: u16 = 30;
const RECONNECT_FIRST_MS: u64 = 100;
/// Messages and bytes between the connection and ingest.
const QUEUE_MESSAGES: usize = 8_000;
const QUEUE_BYTES: usize = 64 << 20;

/// Who moves time on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Time {
    /// By itself: the jobs run by timers.
    Flows,
    /// A driver sets the clock and runs the jobs (the demo).
    Driven,
}

/// Everything that [`super::App::start`] needs; nothing is opened yet but the database.
#[derive(Debug)]
pub struct Parts {
    pub database: Database,
    pub clock: Arc<dyn Clock>,
    pub time: Time,
    pub mqtt: MqttConfig,
    pub ingest: IngestOptions,
    /// Gateways that are polled, and the profiles that can be named.
    pub polls: Base,
    pub rules: Params,
    pub snapshot_every: Duration,
    pub keep: Keep,
    pub web: WebSettings,
    /// Who imports files of readings.
    pub files: Files,
    pub listen: SocketAddr,
}

impl Parts {
    /// By the configuration.
    ///
    /// # Errors
    /// A secret cannot be read.
    pub fn of_config(
        config: &Config,
        database: Database,
        clock: Arc<dyn Clock>,
        time: Time,
    ) -> anyhow::Result<Self> {
        let keep_days = config.ingest.raw_keep.as_secs().div_ceil(86_400);
        let ingest = ingest_options(config)?;
        let read = (config.utility.zone.clone(), Arc::clone(&clock));
        let files = Files::new(database.clone(), ingest.clone(), &config.files, read);
        Ok(Self {
            files,
            database,
            clock,
            time,
            mqtt: mqtt(&config.mqtt)?,
            ingest,
            polls: polls(&config.modbus, &config.utility.name)?,
            rules: Params::default(),
            snapshot_every: config.rules.snapshot_every,
            keep: Keep { raw_days: i64::try_from(keep_days)?, log_days: LOG_DAYS },
            web: WebSettings { utility: config.utility.name.clone(), zone: zone_name(config) },
            listen: config.console.listen,
        })
    }
}

/// The configured gateways with their profiles.
fn polls(config: &config::ModbusConfig, utility: &str) -> anyhow::Result<Base> {
    let profiles = Profiles::load(config.profiles.as_deref())?;
    let plan = |gateway| Ok(GatewayPlan::of_config(gateway, &profiles)?);
    let gateways = config.gateways.iter().map(plan).collect::<anyhow::Result<_>>()?;
    Ok(Base { gateways, profiles, utility: utility.to_owned() })
}

fn zone_name(config: &Config) -> String {
    config.utility.zone.iana_name().unwrap_or("UTC").to_owned()
}

fn mqtt(config: &config::MqttConfig) -> anyhow::Result<MqttConfig> {
    let subscription =
        |s: &SubscriptionConfig| Subscription { filter: s.filter.clone(), qos1: true };
    Ok(MqttConfig {
        host: config.url.host.clone(),
        port: config.url.port,
        client_id: config.client_id.clone(),
        username: config.username.clone(),
        password: config.password_file.as_deref().map(read_secret).transpose()?,
        subscriptions: config.subscriptions.iter().map(subscription).collect(),
        receive_maximum: config.receive_maximum,
        packet_bytes_max: config.packet_bytes_max,
        session_expiry_s: u32::try_from(config.session_expiry.as_secs()).unwrap_or(u32::MAX),
        keep_alive_s: KEEP_ALIVE_S,
        queue_max: QUEUE_MESSAGES,
        queue_bytes_max: QUEUE_BYTES,
        reconnect_first_ms: RECONNECT_FIRST_MS,
        tcp_nodelay: false,
    })
}
