//! The profiles that come with the program, one file each in `protocols/devices/`.

use super::parse::ProfileError;
use super::profile::Profile;

/// File name and text of every profile.
pub const FILES: [(&str, &str); 9] = [
    ("abb-b2x.toml", include_str!("../../devices/abb-b2x.toml")),
    ("begetech-ws100.toml", include_str!("../../devices/begetech-ws100.toml")),
    ("carlogavazzi-em24.toml", include_str!("../../devices/carlogavazzi-em24.toml")),
    ("chint-dtsu666.toml", include_str!("../../devices/chint-dtsu666.toml")),
    ("eastron-sdm120.toml", include_str!("../../devices/eastron-sdm120.toml")),
    ("eastron-sdm630.toml", include_str!("../../devices/eastron-sdm630.toml")),
    ("schneider-iem3000.toml", include_str!("../../devices/schneider-iem3000.toml")),
    ("sunspec-meter.toml", include_str!("../../devices/sunspec-meter.toml")),
    ("wago-879.toml", include_str!("../../devices/wago-879.toml")),
];

/// The names of all of them.
pub fn names() -> impl Iterator<Item = &'static str> {
    FILES.iter().filter_map(|(file, _)| file.strip_suffix(".toml"))
}

/// A profile by its name, which is that of its file.
pub fn builtin(name: &str) -> Option<Profile> {
    let (_, text) = FILES.iter().find(|(file, _)| file.strip_suffix(".toml") == Some(name))?;
    Profile::parse(text).ok()
}

/// All of them.
///
/// # Errors
/// None in a program whose tests passed.
pub fn all() -> Result<Vec<Profile>, ProfileError> {
    FILES.iter().map(|(_, text)| Profile::parse(text)).collect()
}
