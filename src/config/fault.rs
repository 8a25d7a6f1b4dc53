//! What is wrong with the configuration: each fault names its place, its key and the way out.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where a value was set. Later layers win: default, file, environment, command line.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Origin {
    /// Built in.
    Default,
    /// A file and the line in it, counted from 1.
    File { path: Arc<Path>, line: usize },
    /// An environment variable.
    Environment(String),
    /// A command line option, as it is written: `--data-dir`.
    CommandLine(String),
}

impl Origin {
    /// Relative paths of a file are meant from the file's own directory, others from the
    /// working directory.
    pub(super) fn resolve(&self, path: &str) -> PathBuf {
        match self {
            Self::File { path: file, .. } => {
                file.parent().map_or_else(|| PathBuf::from(path), |directory| directory.join(path))
            }
            _ => PathBuf::from(path),
        }
    }

    /// Everybody who can read the file or the process list can read the value.
    pub(super) fn is_readable_by_others(&self) -> bool {
        !matches!(self, Self::Environment(_))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Environment(name) => f.write_str(name),
            Self::CommandLine(option) => f.write_str(option),
        }
    }
}

impl ConfigError {
    pub(super) fn new(mut faults: Vec<Fault>) -> Self {
        faults.sort_by(|a, b| a.origin.cmp(&b.origin));
        Self { faults }
    }
}

/// One thing that is wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    pub origin: Origin,
    pub what: String,
}

impl Fault {
    pub(super) fn new(origin: &Origin, what: impl Into<String>) -> Self {
        Self { origin: origin.clone(), what: what.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.origin, self.what)
    }
}

/// All faults of one run, by layer, file and line. Exit code 78.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConfigError {
    pub faults: Vec<Fault>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, fault) in self.faults.iter().enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            fault.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}
