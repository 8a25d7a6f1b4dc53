//! What handlers share: the store, the clock, the metrics, and whether we are ready.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use metering::calendar::ZoneError;
use metering::{LocalCalendar, UtcTime};
use store::Database;

use super::health::Gauges;
use crate::clock::Clock;
use crate::polling::Watch;
use crate::services::files::Files;
use crate::services::fleet::FleetCache;
use crate::telemetry::Telemetry;

/// Whose installation this is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WebSettings {
    /// Name of the utility, for people.
    pub utility: String,
    /// IANA name of the zone in which the fleet's days are counted and files are written unless
    /// the request names another.
    pub zone: String,
}

/// State of the API; clones share everything.
#[derive(Clone, Debug)]
pub struct WebState {
    pub db: Database,
    pub clock: Arc<dyn Clock>,
    pub settings: Arc<WebSettings>,
    pub readiness: Arc<Readiness>,
    pub telemetry: Arc<Telemetry>,
    pub fleet: Arc<FleetCache>,
    /// Meters that are asked.
    pub polls: Watch,
    /// Who imports files.
    pub files: Files,
    pub(super) gauges: Arc<Gauges>,
}

impl WebState {
    /// # Errors
    /// When the zone of the settings is not known.
    pub fn new(
        db: Database,
        clock: Arc<dyn Clock>,
        telemetry: Arc<Telemetry>,
        settings: WebSettings,
    ) -> Result<Self, ZoneError> {
        let calendar = LocalCalendar::new(&settings.zone)?;
        Ok(Self {
            files: Files::plain(db.clone(), calendar.zone().clone(), Arc::clone(&clock)),
            fleet: Arc::new(FleetCache::new(Arc::clone(&clock), calendar)),
            readiness: Arc::new(Readiness::default()),
            polls: Watch::default(),
            gauges: Arc::default(),
            settings: Arc::new(settings),
            db,
            clock,
            telemetry,
        })
    }

    /// The same, with the gateways that are polled.
    #[must_use]
    pub fn with_polls(mut self, polls: Watch) -> Self {
        self.polls = polls;
        self
    }

    /// The same, with files imported as the configuration says.
    #[must_use]
    pub fn with_files(mut self, files: Files) -> Self {
        self.files = files;
        self
    }

    pub fn now(&self) -> UtcTime {
        self.clock.now()
    }
}

/// Which parts of the program work, by name; asked anew for each answer. The database is asked by
/// the handler itself.
#[derive(Default)]
pub struct Readiness {
    parts: Mutex<BTreeMap<&'static str, Check>>,
}

type Check = Box<dyn Fn() -> PartState + Send + Sync>;

/// State of one part.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PartState {
    Ready,
    /// Not ready, and why, in words for an operator.
    Waiting(String),
}

impl Readiness {
    /// Adds a part that says itself how it is, or replaces it.
    pub fn watch(&self, part: &'static str, check: impl Fn() -> PartState + Send + Sync + 'static) {
        self.lock().insert(part, Box::new(check));
    }

    /// Tells the state of a part once and for all, until it is told again.
    pub fn set(&self, part: &'static str, state: PartState) {
        self.watch(part, move || state.clone());
    }

    /// All parts in order of their names.
    pub fn parts(&self) -> Vec<(&'static str, PartState)> {
        self.lock().iter().map(|(name, check)| (*name, check())).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<&'static str, Check>> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.parts()).finish()
    }
}
