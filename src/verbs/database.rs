//! How a verb reaches the data: the database of the configuration, the private server of a
//! head-end that runs, or a private server of its own for as long as the verb takes.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use jiff::tz::TimeZone;
use store::{Database, DatabaseConfig, EmbeddedOptions, EmbeddedServer, PgLog};

use super::exit::{Exit, Failure};
use crate::clock::{Clock, SteppedClock, SystemClock};
use crate::config::{Config, read_secret};

/// Of `pool_max` connections so many are for work at most; the rest is for questions.
const WORK_POOL_MAX: u32 = 6;

/// The name of a utility that the configuration does not name.
const UNNAMED: &str = "Utility";

/// Where a private database lies in the data directory.
const PRIVATE: &str = "pg";

/// Marks a data directory whose time is that of a simulated utility.
const SIMULATED: &str = "simulated-time";

/// In that file, before the name of the utility's zone.
const ZONE_LINE: &str = "zone = ";
/// And before the code under which it stands in the database.
const UTILITY_LINE: &str = "utility = ";

/// An open database. [`Opened::close`] must be called: it stops a server that was started.
#[derive(Debug)]
pub struct Opened {
    pub database: Database,
    server: Option<EmbeddedServer>,
}

/// For a verb that asks: also the private server of a head-end that runs. Brings the schema up to
/// date.
///
/// # Errors
/// When it is away, newer than this program, or no PostgreSQL is installed.
pub async fn open(config: &Config) -> anyhow::Result<Opened> {
    if config.database.url.is_none()
        && let Some(url) = store::embedded::running_url(&config.data.dir)
    {
        let database = Database::connect(&with_url(config, url)).await?;
        return Ok(Opened { database, server: None });
    }
    open_to_serve(config).await
}

/// As [`open`], but never makes a database: an empty directory is most likely the wrong one.
///
/// # Errors
/// As [`open`]; and when there is no database yet.
pub async fn open_existing(config: &Config) -> anyhow::Result<Opened> {
    if !exists(config) {
        let dir = &config.data.dir;
        let what = format!(
            "there is no database in {}: name another place with --data-dir or --database-url, or \
             begin one with `headend serve` or `headend meters provision FILE.csv`",
            dir.display()
        );
        return Err(Failure::new(Exit::Unavailable, what).into());
    }
    open(config).await
}

/// For a head-end: the private server is its own. Of two on one data directory the second ends
/// with 75 and names the first.
///
/// # Errors
/// When it is away, in use, newer than this program, or no PostgreSQL is installed.
pub async fn open_to_serve(config: &Config) -> anyhow::Result<Opened> {
    if config.database.url.is_some() {
        let database = Database::connect(&store_config(config)?).await?;
        return Ok(Opened { database, server: None });
    }
    let server = EmbeddedServer::start(embedded_options(config, &config.data.dir)).await?;
    let database = Database::connect(&with_url(config, server.url())).await?;
    Ok(Opened { database, server: Some(server) })
}

/// Says that the time in `data_dir` is that of a simulated utility in `zone`, whose code is
/// `utility`.
///
/// # Errors
/// When the directory cannot be written.
pub fn mark_simulated(data_dir: &Path, zone: &str, utility: &str) -> anyhow::Result<()> {
    let path = data_dir.join(SIMULATED);
    let about = "The time of this head-end is that of its log.";
    let text = format!("{about}\n{ZONE_LINE}{zone}\n{UTILITY_LINE}{utility}\n");
    std::fs::write(&path, text).with_context(|| format!("write {}", path.display()))
}

fn simulated_zone(data_dir: &Path) -> Option<TimeZone> {
    TimeZone::get(&simulated(data_dir, ZONE_LINE)?).ok()
}

fn simulated(data_dir: &Path, key: &str) -> Option<String> {
    let text = std::fs::read_to_string(data_dir.join(SIMULATED)).ok()?;
    text.lines().find_map(|line| line.strip_prefix(key)).map(str::to_owned)
}

/// True when the configuration names a database, or its data directory holds one.
pub fn exists(config: &Config) -> bool {
    config.database.url.is_some() || config.data.dir.join(PRIVATE).exists()
}

impl Opened {
    /// The clock of the utility: the system's; beside simulated meters that of the newest record
    /// in the log, or a verb would move their time to today.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn clock(&self, config: &Config) -> anyhow::Result<Arc<dyn Clock>> {
        let simulated = config.database.url.is_none() && config.data.dir.join(SIMULATED).exists();
        if !simulated {
            return Ok(SystemClock::shared());
        }
        let now = PgLog::new(self.database.clone()).last_log_time().await?;
        Ok(SteppedClock::starting_at(now))
    }

    /// The zone to tell times in: of the configuration; where it names none, that of a simulated
    /// utility, as its console has it.
    pub fn zone(&self, config: &Config) -> TimeZone {
        let own = &config.utility.zone;
        if config.database.url.is_some() || own.iana_name() != Some("UTC") {
            return own.clone();
        }
        simulated_zone(&config.data.dir).unwrap_or_else(|| own.clone())
    }

    /// The code of the utility that new meters belong to: of the configuration; where it names
    /// none, that of a simulated utility.
    pub fn utility(&self, config: &Config) -> String {
        let own = &config.utility.name;
        if config.database.url.is_some() || own != UNNAMED {
            return own.clone();
        }
        simulated(&config.data.dir, UTILITY_LINE).unwrap_or_else(|| own.clone())
    }

    /// True when a head-end may be running on the same database.
    pub const fn is_shared(&self) -> bool {
        self.server.is_none()
    }

    /// Closes the connections and stops the private server, if this verb started it.
    pub async fn close(self) {
        self.database.close();
        if let Some(server) = self.server {
            server.stop().await;
        }
    }
}

/// What `[embedded]` says about a private server in `data_dir`.
pub fn embedded_options(config: &Config, data_dir: &Path) -> EmbeddedOptions {
    let embedded = &config.embedded;
    EmbeddedOptions {
        pg_bin: embedded.pg_bin.clone(),
        search_path: embedded.search_path.clone().map(Into::into),
        user: embedded.user.clone(),
        runtime_dir: embedded.runtime_dir.clone(),
        settings: embedded.settings.clone(),
        ..EmbeddedOptions::new(data_dir)
    }
}

/// The connection settings of `[database]`.
///
/// # Errors
/// When the password file cannot be read.
pub fn store_config(config: &Config) -> anyhow::Result<DatabaseConfig> {
    let mut store = with_url(config, config.database.url.clone().unwrap_or_default());
    store.password = config.database.password_file.as_deref().map(read_secret).transpose()?;
    Ok(store)
}

/// The connection settings of `[database]` for another place, such as the private server.
pub fn with_url(config: &Config, url: impl Into<String>) -> DatabaseConfig {
    let work = WORK_POOL_MAX.min(config.database.pool_max / 2).max(1);
    let questions = config.database.pool_max.saturating_sub(work).max(1);
    let mut store = DatabaseConfig::new(url);
    store.pool_max = usize::try_from(questions).unwrap_or(usize::MAX);
    store.work_pool_max = usize::try_from(work).unwrap_or(usize::MAX);
    store.statement_timeout = config.database.statement_timeout;
    store
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_simulated_utility_tells_its_zone_and_its_code() {
        let dir = std::env::temp_dir().join(format!("headend-zone-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        assert!(simulated_zone(&dir).is_none());
        mark_simulated(&dir, "Europe/Berlin", "SIM").unwrap();
        let (zone, utility) = (simulated_zone(&dir), simulated(&dir, UTILITY_LINE));
        let _ = std::fs::remove_dir_all(&dir);
        assert_eq!(zone.unwrap().iana_name(), Some("Europe/Berlin"));
        assert_eq!(utility.as_deref(), Some("SIM"));
    }
}
