//! The configuration, in layers; later ones win: built-in defaults, `headend.toml`, `conf.d/*.toml`
//! in the order of their names, the environment (`HEADEND__SECTION__KEY`, and `DATABASE_URL`), the
//! command line.
//!
//! All faults of a run are told together, each with its file and line, and the program ends with
//! 78. Durations are written `15m`, sizes `2GiB`, zones by their IANA name. A secret stands in a
//! file of its own. Every key, with its default and unit, is in [`keys`]; `headend config sample`
//! prints them. Nothing else in the program reads the environment.

pub mod check;
mod environment;
mod expand;
mod fault;
pub mod keys;
mod layers;
mod modbus;
mod mqtt;
mod reader;
mod sample;
mod sections;
pub mod value;

use std::path::{Path, PathBuf};

pub use environment::Environment;
pub use fault::{ConfigError, Fault, Origin};
pub use layers::Override;
pub use modbus::{GatewayAddress, GatewayConfig, ModbusConfig, UnitConfig};
pub use mqtt::{BrokerUrl, MqttConfig, SubscriptionConfig};
pub use sample::{Shown, redacted, sample, shown};
pub use sections::{
    ConsoleConfig, DataConfig, DatabaseConfig, EmbeddedConfig, FilesConfig, IngestConfig,
    LogConfig, LogFormat, RulesConfig, UtilityConfig,
};

use layers::Layers;
use protocols::amr::wmbus::{KeyFileError, Keys};
use reader::Reader;

/// Everything that can be set. Inert: nothing is opened or bound by having one.
#[derive(Clone, Debug)]
pub struct Config {
    pub utility: UtilityConfig,
    pub data: DataConfig,
    pub database: DatabaseConfig,
    pub embedded: EmbeddedConfig,
    pub ingest: IngestConfig,
    pub mqtt: MqttConfig,
    pub modbus: ModbusConfig,
    pub files: FilesConfig,
    pub console: ConsoleConfig,
    pub rules: RulesConfig,
    pub log: LogConfig,
}

/// Which layers to read.
#[derive(Clone, Default, Debug)]
pub struct Sources {
    /// `--config`; it must exist. Without it, `headend.toml` in the working directory is read when
    /// it is there.
    pub file: Option<PathBuf>,
    pub overrides: Vec<Override>,
}

impl Config {
    /// Reads all layers.
    ///
    /// # Errors
    /// All faults of all layers, with their places.
    pub fn load(sources: &Sources, environment: &Environment) -> Result<Self, ConfigError> {
        Self::of_layers(&all_layers(sources, environment), environment)
    }

    /// What is built in, with what the environment says about the host but no `HEADEND__` keys:
    /// the demo starts from this and sets its own fields.
    ///
    /// # Errors
    /// None in a program whose tests passed.
    pub fn builtin(environment: &Environment) -> Result<Self, ConfigError> {
        Self::of_layers(&Layers::builtin(), environment)
    }

    fn of_layers(layers: &Layers, environment: &Environment) -> Result<Self, ConfigError> {
        let mut reader = Reader::new(layers);
        let config = Self::read(&mut reader, environment);
        let mut faults = layers.faults.clone();
        faults.append(&mut reader.faults);
        if faults.is_empty() { Ok(config) } else { Err(ConfigError::new(faults)) }
    }

    fn read(reader: &mut Reader<'_>, environment: &Environment) -> Self {
        Self {
            utility: UtilityConfig::read(reader),
            data: DataConfig::read(reader),
            database: DatabaseConfig::read(reader, environment),
            embedded: EmbeddedConfig::read(reader, environment),
            ingest: IngestConfig::read(reader),
            mqtt: MqttConfig::read(reader, environment),
            modbus: ModbusConfig::read(reader),
            files: FilesConfig::read(reader),
            console: ConsoleConfig::read(reader),
            rules: RulesConfig::read(reader),
            log: LogConfig::read(reader),
        }
    }
}

fn all_layers(sources: &Sources, environment: &Environment) -> Layers {
    let mut layers = Layers::builtin();
    layers.add_state_directory(environment);
    layers.add_files(sources.file.as_deref(), environment);
    layers.add_environment(environment);
    layers.add_overrides(&sources.overrides);
    layers
}

/// A secret from its file, without the line break at the end.
///
/// # Errors
/// The file cannot be read, or it is empty.
pub fn read_secret(path: &Path) -> Result<String, SecretError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| SecretError::Unreadable { path: path.to_owned(), source })?;
    let secret = text.trim_end_matches(['\n', '\r']);
    if secret.is_empty() {
        return Err(SecretError::Empty { path: path.to_owned() });
    }
    Ok(secret.to_owned())
}

/// Keys of Wireless M-Bus devices.
///
/// # Errors
/// The file cannot be read, or a line of it is no key; neither says what the line holds.
pub fn read_wmbus_keys(path: &Path) -> Result<Keys, SecretError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| SecretError::Unreadable { path: path.to_owned(), source })?;
    Keys::parse(&text).map_err(|source| SecretError::Keys { path: path.to_owned(), source })
}

/// A secret could not be taken from its file.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("cannot read the secret in {}: let the account of the head-end read it", path.display())]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("the secret in {} is empty: write it on the first line", path.display())]
    Empty { path: PathBuf },
    #[error("{} is no file of keys", path.display())]
    Keys { path: PathBuf, source: KeyFileError },
}

#[cfg(test)]
mod tests;
