//! What a log record of the rules does to the engine: other parameters from here on, and alerts
//! that nobody judges any more are taken back.

use metering::{RuleBundle, Subject};

use crate::active::ActiveRules;
use crate::alerts::AlertKey;
use crate::custom;
use crate::engine::Engine;

impl Engine {
    /// Version of the rules that hold; `built-in` without a bundle.
    pub fn rules_version(&self) -> &str {
        self.env.active.version()
    }

    /// From here on the bundle holds for this engine, whatever the log says of rules: for an engine
    /// beside the one that speaks. What changes at once is not said.
    pub fn hold(&mut self, bundle: &RuleBundle) {
        self.switch(bundle);
        self.env.out.clear();
        self.env.book.shadow.clear();
    }

    /// From here on the bundle holds. A text that cannot be read changes nothing, so that a replay
    /// by another version of this program says the same up to here; `rules apply` refuses it.
    pub(crate) fn switch(&mut self, bundle: &RuleBundle) {
        let before = self.env.active.bundle();
        if self.env.active.put(&bundle.version, &bundle.text).is_err() {
            return;
        }
        self.env.use_params(self.env.active.of_all());
        self.assign_rules();
        let gone = custom::changed(&before, &self.env.active.bundle());
        let keys: Vec<AlertKey> = self.env.book.iter().map(|(key, _)| *key).collect();
        for key in keys {
            self.select_subject(key.subject);
            if gone.iter().any(|rule| rule.no == key.rule) {
                self.env.book.take_back(&key, self.env.at, &mut self.env.out);
            } else {
                self.env.book.recheck(&key, self.env.at, &mut self.env.out);
            }
        }
        for rule in gone {
            self.env.custom.forget(rule);
        }
        self.env.select_all();
    }

    /// Finds the variant of the parameters of each meter.
    pub(crate) fn assign_rules(&mut self) {
        for place in 0..self.meters.len() {
            self.assign_rule(u32::try_from(place).unwrap_or(u32::MAX));
        }
    }

    /// The same for one meter, whose asset record may have changed.
    pub(crate) fn assign_rule(&mut self, place: u32) {
        let Some(meter) = self.meters.get(place as usize) else { return };
        let conditions = ActiveRules::conditions(meter, &self.env);
        self.env.active.assign(place, conditions);
    }

    /// From here on the parameters are those of the meter, or of all.
    pub(crate) fn select_subject(&mut self, subject: Subject) {
        match subject {
            Subject::Meter(id) => match self.meter_places.get(&id) {
                Some(place) => self.env.select(*place),
                None => self.env.select_all(),
            },
            _ => self.env.select_all(),
        }
    }
}
