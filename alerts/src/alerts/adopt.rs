//! Alerts that the store knows, in a book that was made anew.

use metering::Commodity;

use super::{Active, AlertBook, AlertKey, Stage};
use crate::params::Mode;
use crate::rebuild::KnownAlert;
use crate::state::NEVER;

impl AlertBook {
    /// The store knows this alert: it is live as it was told. False when it does not hold here.
    pub(crate) fn adopt(&mut self, key: &AlertKey, known: &KnownAlert) -> bool {
        match self.active.get(key).map(|active| active.stage) {
            Some(Stage::Pending) => self.forget_due(key),
            Some(Stage::Live) => {}
            Some(Stage::Shadow) | None => return false,
        }
        let Some(active) = self.active.get_mut(key) else { return false };
        active.stage = Stage::Live;
        active.start = known.condition_start.seconds();
        active.cause = known.cause;
        active.severity = known.severity;
        active.annunciated |= known.has_issue;
        self.know_rate(key, known.leak);
        true
    }

    /// The store knows this alert and nothing that was learned could show it: it is live as it was
    /// told. False when its rule does not speak to staff.
    pub(crate) fn keep(
        &mut self,
        key: &AlertKey,
        known: &KnownAlert,
        commodity: Option<Commodity>,
    ) -> bool {
        let settings = self.params.settings(key.rule);
        if !settings.enabled || settings.mode == Mode::Shadow || self.active.contains_key(key) {
            return false;
        }
        let start = known.condition_start.seconds();
        self.active.insert(
            *key,
            Active {
                cause: known.cause,
                severity: known.severity,
                start,
                commodity,
                annunciated: known.has_issue,
                parent: None,
                until: start,
                mark: 0,
                stage: Stage::Live,
                clear_end: NEVER,
                due: NEVER,
            },
        );
        self.know_rate(key, known.leak);
        true
    }
}
