//! The rules that hold: the parameters that the program was started with, the bundle that was put
//! over them, and which variant of it each meter has (`[[rules.X.override]]`, `exclude_tags`).

use std::sync::Arc;

use crate::params::Params;
use crate::snapshot::{Reader, Snap, SnapshotError, Writer};

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct ActiveRules {
    /// What holds without a bundle; a snapshot is bound to it.
    base: Arc<Params>,
    /// Version and text of the bundle, empty for "built-in".
    pub(crate) version: String,
    text: String,
    /// The first holds for all, the others for meters that an override or an exclusion names.
    variants: Vec<Arc<Params>>,
    /// Variant of the meter at each place; a place beyond the end has the first.
    of: Vec<u16>,
}

impl ActiveRules {
    pub(crate) fn built_in(base: Arc<Params>) -> Self {
        let variants = vec![Arc::clone(&base)];
        Self { base, version: String::new(), text: String::new(), variants, of: Vec::new() }
    }

    pub(crate) fn base(&self) -> &Params {
        &self.base
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

    pub(crate) fn save(&self, to: &mut Writer) {
        self.version.save(to);
        self.text.save(to);
    }

    pub(crate) fn load(&mut self, from: &mut Reader<'_>) -> Result<(), SnapshotError> {
        self.version = String::load(from)?;
        self.text = String::load(from)?;
        Ok(())
    }
}
