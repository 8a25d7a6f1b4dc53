//! How a verb reaches the data: the database of the configuration, the private server of a
//! head-end that runs, or a private server of its own for as long as the verb takes.

use store::{Database, DatabaseConfig};

use crate::config::{Config, read_secret};

/// Of `pool_max` connections so many are for work at most; the rest is for questions.
const WORK_POOL_MAX: u32 = 6;

/// An open database. [`Opened::close`] must be called: it stops a server that was started.
#[derive(Debug)]
pub struct Opened {
    pub database: Database,
}

/// Finds or starts the database and brings its schema up to date.
///
/// # Errors
/// When it is away, newer than this program, or no PostgreSQL is installed.
pub async fn open(config: &Config) -> anyhow::Result<Opened> {
    if config.database.url.is_some() {
        let database = Database::connect(&store_config(config)?).await?;
        return Ok(Opened { database });
    }
    anyhow::bail!("set DATABASE_URL")
}

impl Opened {
    /// Closes the connections and stops the private server, if this verb started it.
    pub async fn close(self) {
        self.database.close();
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
