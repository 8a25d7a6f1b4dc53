//! Rules in shadow: a second engine that runs a bundle beside the one that holds. What it says, and
//! what rules of the active bundle in shadow mode say, goes to a list that opens no issue.

use alerts::{AlertTransition, Engine, Params};
use metering::{LogRecord, LoggedFrame, RuleBundle, UtcTime};
use store::{Database, StoreError};

/// Log time between two looks at what should run in shadow.
const LOOK_EVERY_S: i64 = 10;

/// The bundle in shadow with its engine.
#[derive(Debug)]
struct Beside {
    bundle_no: i64,
    bundle: RuleBundle,
    engine: Engine,
}

/// See the module.
#[derive(Debug)]
pub(super) struct ShadowJob {
    database: Database,
    params: Params,
    beside: Option<Beside>,
    looked_at: Option<UtcTime>,
    /// Said and not kept yet, of the active bundle and of the one beside it.
    own: Vec<AlertTransition>,
    said: Vec<AlertTransition>,
}

impl ShadowJob {
    pub(super) fn new(database: Database, params: Params) -> Self {
        Self { database, params, beside: None, looked_at: None, own: Vec::new(), said: Vec::new() }
    }

    /// A frame that `engine` has applied. Of frames that were dealt with before a restart only the
    /// state counts.
    pub(super) fn hear(&mut self, engine: &mut Engine, frame: &LoggedFrame, is_new: bool) {
        let mut own = engine.take_shadow();
        if is_new {
            self.own.append(&mut own);
        }
        let Some(beside) = &mut self.beside else { return };
        let before = self.said.len();
        beside.engine.apply(frame, &mut self.said);
        if frame.records.iter().any(|record| matches!(record, LogRecord::Rules(_))) {
            // The record is for the rules that hold; those beside them stay.
            beside.engine.hold(&beside.bundle);
            self.said.truncate(before);
        }
        if !is_new {
            self.said.truncate(before);
        }
        beside.engine.take_shadow();
    }

    /// Keeps what was said, and looks whether other rules should run in shadow now. The second
    /// engine begins with what the first one knows.
    ///
    /// # Errors
    /// The database is away; what was said is kept for the next call.
    pub(super) async fn tell(&mut self, engine: &Engine) -> Result<(), StoreError> {
        if !self.own.is_empty() {
            store::rules::side_list::record(&self.database, None, &self.own).await?;
            self.own.clear();
        }
        if !self.said.is_empty() {
            let no = self.beside.as_ref().map(|beside| beside.bundle_no);
            store::rules::side_list::record(&self.database, no, &self.said).await?;
            self.said.clear();
        }
        let now = engine.log_time();
        if self.looked_at.is_some_and(|at| now.seconds_since(at) < LOOK_EVERY_S) {
            return Ok(());
        }
        let wanted = store::rules::shadow(&self.database).await?;
        self.looked_at = Some(now);
        let running = self.beside.as_ref().map(|beside| beside.bundle_no);
        if wanted.as_ref().map(|row| row.bundle_no) == running {
            return Ok(());
        }
        self.beside = wanted.and_then(|row| {
            let bundle = RuleBundle { version: row.version, text: row.text };
            let mut copy = Engine::restore(self.params.clone(), &engine.snapshot()).ok()?;
            copy.hold(&bundle);
            Some(Beside { bundle_no: row.bundle_no, bundle, engine: copy })
        });
        Ok(())
    }
}
