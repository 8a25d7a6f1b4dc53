//! The desk beside rules that were made anew: it keeps what staff did, and agrees on what stands.

use std::collections::BTreeSet;

use metering::{Subject, UtcTime};

use super::{AlarmKey, Desk, Said};
use crate::transition::AlertTransition;

impl Desk {
    /// Alarms that do not stand with the rules go, and alerts that the desk does not know are told.
    /// `standing` are the active alerts with their district or feeder.
    pub fn agree(
        &mut self,
        standing: &[(AlertTransition, Option<Subject>)],
        now: UtcTime,
        said: &mut Said,
    ) {
        self.advance(now, said);
        let key_of = |one: &AlertTransition| AlarmKey::new(one.rule.no, one.subject, one.channel);
        let keys: BTreeSet<AlarmKey> = standing.iter().map(|(one, _)| key_of(one)).collect();
        let active = self.alarms.iter().filter(|(_, alarm)| alarm.active);
        let gone: Vec<AlarmKey> =
            active.map(|(key, _)| *key).filter(|key| !keys.contains(key)).collect();
        for key in gone {
            self.go(key, said);
        }
        for (one, area) in standing {
            if !self.alarms.get(&key_of(one)).is_some_and(|alarm| alarm.active) {
                self.take(one, *area, said);
            }
        }
    }
}
