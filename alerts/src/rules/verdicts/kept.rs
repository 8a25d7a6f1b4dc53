//! What is remembered of failures.

use std::collections::BTreeMap;

use crate::snapshot::{Reader, Snap, SnapshotError, Writer, snap_struct};

/// One failure: the window that shows it, when we were told, which condition, and its number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Fail {
    pub(super) from: i64,
    pub(super) to: i64,
    pub(super) at: i64,
    pub(super) kind: u8,
    pub(super) detail: i64,
}

snap_struct!(Fail { from, to, at, kind, detail });

/// What is remembered of one rule of a channel.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Kept {
    /// In the order of their windows.
    pub(super) fails: Vec<Fail>,
    /// Windows without the failure since the newest one with it, and the end of the last of them.
    pub(super) passes: u8,
    pub(super) passed: i64,
}

snap_struct!(Kept { fails, passes, passed });

/// Place of the meter, rule, channel (0: the meter as a whole).
pub(super) type Key = (u32, u8, i16);

/// The failures of all meters; most have none.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Verdicts {
    pub(super) kept: BTreeMap<Key, Kept>,
    /// Spells of test mode and of overflow by meter: first and last end of a slot.
    pub(super) marked: BTreeMap<u32, Marked>,
}

/// What the flags of slots say; [`NEVER`] where they said nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Marked {
    pub(super) test_from: i64,
    pub(super) test_to: i64,
    pub(super) overflow_to: i64,
}

snap_struct!(Marked { test_from, test_to, overflow_to });

impl Snap for Key {
    fn save(&self, to: &mut Writer) {
        self.0.save(to);
        self.1.save(to);
        self.2.save(to);
    }
    fn load(from: &mut Reader<'_>) -> Result<Self, SnapshotError> {
        Ok((u32::load(from)?, u8::load(from)?, i16::load(from)?))
    }
}

impl Snap for Verdicts {
    fn save(&self, to: &mut Writer) {
        self.kept.save(to);
        self.marked.save(to);
    }
    fn load(from: &mut Reader<'_>) -> Result<Self, SnapshotError> {
        Ok(Self { kept: Snap::load(from)?, marked: Snap::load(from)? })
    }
}
