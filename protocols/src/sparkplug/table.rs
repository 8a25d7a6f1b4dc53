//! What a node's births said.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use metering::UtcTime;

/// Metrics of one node with its devices.
pub(super) const METRICS_MAX: usize = 2_000;

/// Where a metric stands: `None`, the node itself.
pub(super) type Key = (Option<Arc<str>>, Arc<str>);

/// One edge node.
#[derive(Debug)]
pub(super) struct Node {
    /// Of the newest message in sequence; `None`: any number may follow.
    pub(super) seq: Option<u8>,
    bd_seq: Option<u64>,
    pub(super) born_at: Option<UtcTime>,
    /// Messages from here on belong to the session of the last birth, as far as is known.
    pub(super) since: UtcTime,
    pub(super) asked_at: Option<UtcTime>,
    /// It died since its last birth.
    died: bool,
    aliases: BTreeMap<u64, Key>,
    datatypes: BTreeMap<Key, u32>,
    devices: BTreeSet<Arc<str>>,
}

/// What an NBIRTH says beside its values.
#[derive(Debug, Default)]
pub(super) struct Birth {
    pub(super) seq: Option<u8>,
    pub(super) bd_seq: Option<u64>,
    pub(super) metrics: Vec<(Arc<str>, Option<u64>, u32)>,
}

impl Node {
    pub(super) const fn new(first_heard: UtcTime) -> Self {
        Self {
            seq: None,
            bd_seq: None,
            born_at: None,
            since: first_heard,
            asked_at: None,
            died: false,
            aliases: BTreeMap::new(),
            datatypes: BTreeMap::new(),
            devices: BTreeSet::new(),
        }
    }

    /// An NBIRTH: everything that was known ends.
    pub(super) fn begin(&mut self, birth: Birth, at: UtcTime) {
        let same_session = match (self.bd_seq, birth.bd_seq) {
            (Some(before), Some(now)) => before == now,
            // Never born before, as far as we know, and not seen dying: it answers our request.
            (None, _) => !self.died,
            (Some(_), None) => false,
        };
        if !same_session {
            self.since = at;
        }
        self.seq = birth.seq;
        self.bd_seq = birth.bd_seq.or(self.bd_seq);
        self.born_at = Some(at);
        self.asked_at = None;
        self.died = false;
        self.aliases.clear();
        self.datatypes.clear();
        self.devices.clear();
        self.learn(None, birth.metrics);
    }

    /// A DBIRTH; false when it names more than is kept.
    pub(super) fn add_device(&mut self, device: &str, birth: Birth) -> bool {
        self.forget_device(device);
        if self.datatypes.len() + birth.metrics.len() > METRICS_MAX {
            return false;
        }
        let device: Arc<str> = device.into();
        self.devices.insert(Arc::clone(&device));
        self.learn(Some(device), birth.metrics);
        true
    }

    pub(super) fn forget_device(&mut self, device: &str) {
        let of_device = |key: &Key| key.0.as_deref() == Some(device);
        self.aliases.retain(|_, key| !of_device(key));
        self.datatypes.retain(|key, _| !of_device(key));
        self.devices.remove(device);
    }

    fn learn(&mut self, device: Option<Arc<str>>, metrics: Vec<(Arc<str>, Option<u64>, u32)>) {
        for (name, alias, datatype) in metrics {
            let key = (device.clone(), name);
            if let Some(alias) = alias {
                self.aliases.insert(alias, key.clone());
            }
            self.datatypes.insert(key, datatype);
        }
    }

    /// An NDEATH counts if it is of this session.
    pub(super) fn dies(&mut self, told: Option<u64>, at: UtcTime) -> bool {
        let valid =
            self.born_at.is_some_and(|born| born <= at) && told == self.bd_seq && !self.died;
        // Seen before any birth it still ends the session that waits for one.
        self.died |= valid || self.born_at.is_none();
        if valid {
            self.seq = None;
            self.born_at = None;
        }
        valid
    }

    pub(super) fn devices(&self) -> Vec<String> {
        self.devices.iter().map(ToString::to_string).collect()
    }

    /// Name and datatype of a metric, by its alias or else by its name.
    pub(super) fn metric(
        &self,
        device: Option<&str>,
        (alias, name): (Option<u64>, Option<&str>),
    ) -> Option<(Arc<str>, u32)> {
        if let Some(name) = name.filter(|name| !name.is_empty()) {
            let key: Key = (device.map(Into::into), name.into());
            return self.datatypes.get(&key).map(|datatype| (Arc::clone(&key.1), *datatype));
        }
        let key = self.aliases.get(&alias?).filter(|key| key.0.as_deref() == device)?;
        self.datatypes.get(key).map(|datatype| (Arc::clone(&key.1), *datatype))
    }
}
