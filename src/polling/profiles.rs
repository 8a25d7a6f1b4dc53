//! Device profiles by name: those of the program, and those of the operator's directory, which win.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use protocols::modbus::{CheckError, Profile, ProfileError, devices};
use store::modbus_units::UnitChange;

/// Largest profile file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 256 << 10;

/// All profiles that can be named.
#[derive(Clone, Default, Debug)]
pub struct Profiles {
    by_name: BTreeMap<String, Known>,
}

/// A profile and where it comes from.
#[derive(Clone, Debug)]
pub struct Known {
    pub profile: Arc<Profile>,
    pub origin: Origin,
}

/// Where a profile comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Origin {
    Program,
    File(PathBuf),
    /// Carried, as this TOML, by a unit that was taken live.
    Live(String),
}

/// A profile file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ProfileFileError {
    #[error("cannot read {}", path.display())]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("{} is longer than {FILE_BYTES_MAX} bytes", path.display())]
    TooLong { path: PathBuf },
    #[error("{}:{}: {}", path.display(), fault.line, fault.what)]
    Bad { path: PathBuf, fault: ProfileError },
    #[error("{}: {fault}", path.display())]
    Unproven { path: PathBuf, fault: CheckError },
}

/// No profile has the name.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("no profile is named {0}: `headend modbus profiles` lists those that are")]
pub struct UnknownProfile(pub String);

impl Profiles {
    /// Those of the program.
    pub fn builtin() -> Self {
        let mut profiles = Self::default();
        for profile in devices::all().unwrap_or_default() {
            profiles.add(profile, Origin::Program);
        }
        profiles
    }

    /// Those of the program, and the `.toml` files of `directory` over them.
    ///
    /// # Errors
    /// The first file that cannot be used.
    pub fn load(directory: Option<&Path>) -> Result<Self, ProfileFileError> {
        let mut profiles = Self::builtin();
        let Some(directory) = directory else { return Ok(profiles) };
        let unreadable =
            |source| ProfileFileError::Unreadable { path: directory.to_owned(), source };
        let entries = std::fs::read_dir(directory).map_err(unreadable)?;
        let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        files.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
        files.sort();
        for path in files {
            profiles.add(read(&path)?, Origin::File(path));
        }
        Ok(profiles)
    }

    pub fn add(&mut self, profile: Profile, origin: Origin) {
        let known = Known { profile: Arc::new(profile), origin };
        self.by_name.insert(known.profile.name.clone(), known);
    }

    /// # Errors
    /// [`UnknownProfile`].
    pub fn get(&self, name: &str) -> Result<Arc<Profile>, UnknownProfile> {
        let known = self.by_name.get(name);
        known
            .map(|known| Arc::clone(&known.profile))
            .ok_or_else(|| UnknownProfile(name.chars().take(80).collect()))
    }

    /// These and those that units carry which were taken live, so that the next unit of that make
    /// needs no TOML again. A name of the program or of a file keeps its meaning; of two that units
    /// carry by one name it is the last that was taken live.
    #[must_use]
    pub fn with_live(&self, live: &[UnitChange]) -> Self {
        let mut all = self.clone();
        let mut live: Vec<&UnitChange> = live.iter().collect();
        live.sort_unstable_by_key(|change| change.change_no);
        for change in live {
            let Some(profile) = own(&change.unit.profile) else { continue };
            if !self.by_name.contains_key(&profile.name) {
                all.add(profile, Origin::Live(change.unit.profile.clone()));
            }
        }
        all
    }

    /// What stands in the database for the profile of this name: its text if nothing else has it.
    pub fn stored(&self, name: &str) -> String {
        match self.by_name.get(name.trim()).map(|known| &known.origin) {
            Some(Origin::Live(text)) => text.clone(),
            _ => name.to_owned(),
        }
    }

    /// In the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &Known> {
        self.by_name.values()
    }
}

/// The profile that a unit carries as TOML, if it does.
fn own(text: &str) -> Option<Profile> {
    text.contains('\n').then(|| Profile::parse(text).ok()).flatten()
}

/// Both are texts of profiles, of one name and not the same.
pub fn differ_under_one_name(one: &str, other: &str) -> bool {
    one != other && own(one).zip(own(other)).is_some_and(|(one, other)| one.name == other.name)
}

/// What people call the profile of a unit: its name, also where it carries the text of one.
pub fn name_of(text: &str) -> String {
    match own(text) {
        Some(profile) => format!("{}, a profile of its own", profile.name),
        None if text.contains('\n') => "a profile of its own".to_owned(),
        None => text.to_owned(),
    }
}

/// Reads one file, and lets its own frames prove it.
///
/// # Errors
/// What is wrong with it, with its line.
pub fn read(path: &Path) -> Result<Profile, ProfileFileError> {
    let unreadable = |source| ProfileFileError::Unreadable { path: path.to_owned(), source };
    let length = std::fs::metadata(path).map_err(unreadable)?.len();
    if length > FILE_BYTES_MAX {
        return Err(ProfileFileError::TooLong { path: path.to_owned() });
    }
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    let profile = Profile::parse(&text)
        .map_err(|fault| ProfileFileError::Bad { path: path.to_owned(), fault })?;
    profile
        .verify()
        .map_err(|fault| ProfileFileError::Unproven { path: path.to_owned(), fault })?;
    Ok(profile)
}
