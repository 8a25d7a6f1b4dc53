//! Files of fixed width, or CSV, as a description in TOML says: handheld routes and reads above all.
//!
//! One TOML file describes a layout ([`Layout::parse`]): which lines are records, which columns of
//! them hold what, how dates are written. Presets come with the program ([`PRESETS`]); their columns
//! are those of `metering` vendors' import guides and of no sample: try them against the customer's
//! file before use. `docs/files.md` shows every key.

mod config;
mod read;

pub use config::{Layout, LayoutError};
pub(super) use read::read;

/// Layouts that come with the program, by name.
pub const PRESETS: [(&str, &str); 5] = [
    ("radix-a", include_str!("presets/radix-a.toml")),
    ("sensus-autoread", include_str!("presets/sensus-autoread.toml")),
    ("sensus-k3", include_str!("presets/sensus-k3.toml")),
    ("neptune-ezroute", include_str!("presets/neptune-ezroute.toml")),
    ("neptune-equinox-s", include_str!("presets/neptune-equinox-s.toml")),
];

/// A layout of the program by its name.
pub fn preset(name: &str) -> Option<Layout> {
    let (_, text) = PRESETS.iter().find(|(known, _)| *known == name)?;
    Layout::parse(text).ok()
}

#[cfg(test)]
mod tests;
