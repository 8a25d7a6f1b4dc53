//! What every page needs: where the data is, what time it is, whose utility it is.

use std::sync::Arc;

use metering::{LocalCalendar, UtcTime};
use store::Database;
use tokio::sync::watch;

use super::assets::Assets;
use super::stream::Hub;
use super::waiting::Waiting;
use crate::api::{WebSettings, WebState};
use crate::clock::Clock;
use crate::polling::Watch;
use crate::services::files::Files;
use crate::services::files::uploads::Uploads;
use crate::services::fleet::FleetCache;
use crate::services::rules::trials::Trials;

/// Shared by all handlers; cheap to clone.
#[derive(Clone, Debug)]
pub struct ConsoleState {
    pub(super) db: Database,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) settings: Arc<WebSettings>,
    pub(super) fleet: Arc<FleetCache>,
    /// Meters that are asked.
    pub(super) polls: Watch,
    pub(super) calendar: LocalCalendar,
    pub(super) assets: Arc<Assets>,
    pub(super) hub: Hub,
    pub(super) waiting: Waiting,
    /// Backtests that pages asked for.
    pub(super) trials: Trials,
    pub(super) files: Files,
    /// Files that pages took and that wait for a word.
    pub(super) uploads: Uploads,
    pub(super) shutdown: watch::Receiver<bool>,
}

impl ConsoleState {
    /// Shares the API's database, clock and settings. `shutdown` turns true when the program stops:
    /// every stream then ends at once.
    pub fn new(web: &WebState, shutdown: watch::Receiver<bool>) -> Self {
        Self {
            hub: Hub::new(),
            waiting: Waiting::default(),
            trials: Trials::default(),
            files: web.files.clone(),
            uploads: Uploads::default(),
            db: web.db.clone(),
            clock: Arc::clone(&web.clock),
            settings: Arc::clone(&web.settings),
            calendar: web.fleet.calendar().clone(),
            fleet: Arc::clone(&web.fleet),
            polls: web.polls.clone(),
            assets: Arc::new(Assets::new()),
            shutdown,
        }
    }

    pub(super) fn now(&self) -> UtcTime {
        self.clock.now()
    }
}
