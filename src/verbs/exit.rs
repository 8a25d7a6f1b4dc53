//! How a verb ends: a message on stderr and an exit code of sysexits.

use std::error::Error;
use std::fmt;
use std::io;
use std::process::ExitCode;

use store::issues::ActError;
use store::{LaunchError, StoreError};

use crate::config::{ConfigError, SecretError};

/// Exit codes, as sysexits has them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// The command line is wrong.
    Usage = 64,
    /// A file or value that was given is wrong.
    Data = 65,
    /// A service that is needed is away.
    Unavailable = 69,
    /// A fault of this program.
    Internal = 70,
    /// A file or stream cannot be read or written.
    Io = 74,
    /// Somebody else is at it; try again later.
    TryAgain = 75,
    /// The configuration is wrong.
    Config = 78,
}

impl Exit {
    /// The code of a number, for errors that carry one.
    pub fn from_code(code: u8) -> Self {
        let all =
            [Self::Usage, Self::Data, Self::Unavailable, Self::Io, Self::TryAgain, Self::Config];
        all.into_iter().find(|exit| *exit as u8 == code).unwrap_or(Self::Internal)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// A failure whose exit code is known where it happens.
#[derive(Debug)]
pub struct Failure {
    pub exit: Exit,
    message: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl Failure {
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), source: None }
    }

    /// With the error behind it, which is printed after the message.
    pub fn because(
        exit: Exit,
        message: impl Into<String>,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self { exit, message: message.into(), source: Some(source.into()) }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn Error + 'static))
    }
}

/// The exit code of an error: of the outermost cause that knows one.
pub fn exit_of(error: &anyhow::Error) -> Exit {
    error.chain().find_map(known).unwrap_or(Exit::Internal)
}

fn known(error: &(dyn Error + 'static)) -> Option<Exit> {
    if let Some(failure) = error.downcast_ref::<Failure>() {
        return Some(failure.exit);
    }
    if error.is::<ConfigError>() || error.is::<SecretError>() {
        return Some(Exit::Config);
    }
    if let Some(error) = error.downcast_ref::<StoreError>() {
        return Some(of_store(error));
    }
    if let Some(error) = error.downcast_ref::<LaunchError>() {
        return Some(Exit::from_code(error.exit_code()));
    }
    if let Some(error) = error.downcast_ref::<ActError>() {
        return Some(of_act(error));
    }
    error.is::<io::Error>().then_some(Exit::Io)
}

fn of_act(error: &ActError) -> Exit {
    match error {
        ActError::NotFound(_) | ActError::Refused(_) => Exit::Data,
        ActError::Stale { .. } => Exit::TryAgain,
        ActError::Store(error) => of_store(error),
    }
}

fn of_store(error: &StoreError) -> Exit {
    match error {
        StoreError::Url(_) | StoreError::TlsDemanded | StoreError::SchemaNewer { .. } => {
            Exit::Config
        }
        StoreError::Connect { .. } => Exit::Unavailable,
        StoreError::MigrationLocked => Exit::TryAgain,
        StoreError::Refused { .. } => Exit::Data,
        error if error.is_transient() => Exit::Unavailable,
        _ => Exit::Internal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn the_outermost_known_cause_gives_the_code() {
        let inner = io::Error::other("disk");
        let error = Err::<(), _>(inner).context("writing the report").unwrap_err();
        assert_eq!(exit_of(&error), Exit::Io);
        let failure = Failure::because(Exit::Data, "meters.csv", io::Error::other("x"));
        assert_eq!(exit_of(&anyhow::Error::from(failure).context("more")), Exit::Data);
        assert_eq!(exit_of(&anyhow::anyhow!("?")), Exit::Internal);
    }
}
