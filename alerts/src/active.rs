//! The rules that hold: the parameters that the program was started with, the bundle that was put
//! over them, and which variant of it each meter has (`[[rules.X.override]]`, `exclude_tags`).

use std::collections::BTreeMap;
use std::sync::Arc;

use metering::Tag;

use crate::bundle::{Bundle, BundleErrors, Foreign};
use crate::env::Env;
use crate::expr::Truth;
use crate::features::{Cadence, Moment, OfMeter};
use crate::params::Params;
use crate::snapshot::{Reader, Snap, SnapshotError, Writer};
use crate::state::meter::Meter;

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct ActiveRules {
    /// What holds without a bundle; a snapshot is bound to it.
    base: Arc<Params>,
    /// Version and text of the bundle, empty for "built-in".
    version: String,
    text: String,
    bundle: Arc<Bundle>,
    /// An operator's rule looks at each reading.
    reads: bool,
    /// The first holds for all, the others for meters that an override or an exclusion names.
    variants: Vec<Arc<Params>>,
    /// Variant of each set of conditions that some meter fulfils.
    numbers: BTreeMap<u64, u16>,
    /// Variant of the meter at each place; a place beyond the end has the first.
    of: Vec<u16>,
}

impl ActiveRules {
    pub(crate) fn built_in(base: Arc<Params>) -> Self {
        let variants = vec![Arc::clone(&base)];
        Self {
            base,
            version: String::new(),
            text: String::new(),
            bundle: Arc::new(Bundle::default()),
            reads: false,
            variants,
            numbers: BTreeMap::new(),
            of: Vec::new(),
        }
    }

    /// From here on the bundle of this text holds; an empty text is "built-in".
    pub(crate) fn put(&mut self, version: &str, text: &str) -> Result<(), BundleErrors> {
        let bundle =
            if text.is_empty() { Bundle::default() } else { Bundle::parse(text, Foreign::Ignore)? };
        version.clone_into(&mut self.version);
        text.clone_into(&mut self.text);
        self.reads = bundle.custom.iter().any(|rule| rule.cadence == Cadence::Reading);
        self.variants = vec![Arc::new(bundle.params(&self.base))];
        self.numbers = BTreeMap::from([(0, 0)]);
        self.of.clear();
        self.bundle = Arc::new(bundle);
        Ok(())
    }

    pub(crate) fn base(&self) -> &Params {
        &self.base
    }

    pub(crate) fn bundle(&self) -> Arc<Bundle> {
        Arc::clone(&self.bundle)
    }

    pub(crate) fn version(&self) -> &str {
        if self.version.is_empty() { crate::bundle::BUILT_IN } else { &self.version }
    }

    pub(crate) fn is_holiday(&self, day: i32) -> bool {
        self.bundle.holidays.contains(&day)
    }

    pub(crate) fn has_reading_rules(&self) -> bool {
        self.reads
    }

    /// All meters have the same parameters.
    pub(crate) fn is_uniform(&self) -> bool {
        self.variants.len() <= 1
    }

    pub(crate) fn of_all(&self) -> Arc<Params> {
        self.variants.first().map_or_else(|| Arc::clone(&self.base), Arc::clone)
    }

    pub(crate) fn of_place(&self, place: u32) -> Arc<Params> {
        let at = self.of.get(place as usize).copied().unwrap_or(0);
        self.variants.get(usize::from(at)).map_or_else(|| self.of_all(), Arc::clone)
    }

    /// The conditions of the bundle that a meter fulfils: a bit for each override, then one for
    /// each rule that leaves out tags.
    pub(crate) fn conditions(meter: &Meter, env: &Env) -> u64 {
        let bundle = &env.active.bundle;
        let source = OfMeter::new(meter, None, Moment::Asset, env);
        let overrides = bundle.overrides.iter().map(|own| own.program.truth(&source));
        let overrides = overrides.map(|truth| truth == Truth::True);
        let has =
            |tags: &std::collections::BTreeSet<Tag>| tags.iter().any(|tag| meter.tags.has(*tag));
        let excluded = bundle.exclude_tags.values().map(has);
        let bits = overrides.chain(excluded).enumerate();
        bits.fold(0, |mask, (at, holds)| if holds && at < 64 { mask | 1 << at } else { mask })
    }

    /// The meter at `place` fulfils these conditions.
    pub(crate) fn assign(&mut self, place: u32, conditions: u64) {
        let number = match self.numbers.get(&conditions) {
            Some(number) => *number,
            None if conditions == 0 => 0,
            None => self.add_variant(conditions),
        };
        let at = place as usize;
        if number == 0 && at >= self.of.len() {
            return;
        }
        if self.of.len() <= at {
            self.of.resize(at + 1, 0);
        }
        self.of[at] = number;
    }

    fn add_variant(&mut self, conditions: u64) -> u16 {
        let mut params = Params::clone(&self.of_all());
        let holds = |at: usize| at < 64 && conditions & 1 << at != 0;
        for (at, own) in self.bundle.overrides.iter().enumerate() {
            if holds(at) {
                own.patch.apply(own.rule.no, &mut params);
            }
        }
        let first = self.bundle.overrides.len();
        for (at, rule) in self.bundle.exclude_tags.keys().enumerate() {
            if holds(first + at) {
                let mut settings = params.settings(*rule);
                settings.enabled = false;
                params.set_settings(*rule, settings);
            }
        }
        let number = u16::try_from(self.variants.len()).unwrap_or(0);
        self.variants.push(Arc::new(params));
        self.numbers.insert(conditions, number);
        number
    }

    pub(crate) fn save(&self, to: &mut Writer) {
        self.version.save(to);
        self.text.save(to);
    }

    pub(crate) fn load(&mut self, from: &mut Reader<'_>) -> Result<(), SnapshotError> {
        let (version, text) = (String::load(from)?, String::load(from)?);
        self.put(&version, &text).map_err(|_| SnapshotError::Damaged)
    }
}
