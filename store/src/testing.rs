//! For tests: a throw-away cluster, and a migrated database of its own for each test.
//!
//! One cluster serves a test binary; it dies with the process and is swept by the next run.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::process::{Pid, test_kill_process};
use tokio::sync::OnceCell;
use tokio_postgres::NoTls;

use crate::database::{Database, DatabaseConfig};
use crate::embedded::{EmbeddedOptions, EmbeddedServer, LaunchError};
use crate::error::StoreError;

const TEMPLATE: &str = "headend_template";
const PREFIX: &str = "pg-test-";

static SHARED: OnceCell<Option<TestCluster>> = OnceCell::const_new();

/// A running throw-away cluster with a migrated template.
#[derive(Debug)]
pub struct TestCluster {
    server: EmbeddedServer,
    next: AtomicU32,
}

/// Why a test has no database.
#[derive(Debug, thiserror::Error)]
pub enum TestClusterError {
    #[error(transparent)]
    Launch(#[from] LaunchError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The cluster of this process, started on first use below `base` (a directory such as
/// `CARGO_TARGET_TMPDIR`). `None` when no PostgreSQL is installed: the test then says that it was
/// skipped.
///
/// # Errors
/// When PostgreSQL is there and does not start.
pub async fn shared_cluster(
    base: &Path,
    search_path: Option<OsString>,
) -> Result<Option<&'static TestCluster>, TestClusterError> {
    let start = || async {
        match TestCluster::start(base, search_path).await {
            Ok(cluster) => Ok(Some(cluster)),
            Err(TestClusterError::Launch(LaunchError::NoPostgres)) => Ok(None),
            Err(error) => Err(error),
        }
    };
    Ok(SHARED.get_or_try_init(start).await?.as_ref())
}

impl TestCluster {
    /// Starts a cluster in a new directory below `base` and migrates its template.
    ///
    /// # Errors
    /// When no PostgreSQL is installed or it does not start.
    pub async fn start(
        base: &Path,
        search_path: Option<OsString>,
    ) -> Result<Self, TestClusterError> {
        sweep(base);
        let mut options = EmbeddedOptions::new(free_dir(base));
        options.search_path = search_path;
        options.no_sync = true;
        options.settings = test_settings();
        let server = EmbeddedServer::start(options).await?;
        let cluster = Self { server, next: AtomicU32::new(1) };
        cluster.create(&format!("CREATE DATABASE {TEMPLATE}")).await?;
        let template = Database::connect(&cluster.config(TEMPLATE)).await?;
        template.close();
        Ok(cluster)
    }

    /// A migrated, empty database of its own.
    ///
    /// # Errors
    /// When the cluster is away.
    pub async fn database(&self) -> Result<Database, StoreError> {
        Database::open(&self.new_config().await?)
    }

    /// The configuration of a migrated, empty database of its own.
    ///
    /// # Errors
    /// When the cluster is away.
    pub async fn new_config(&self) -> Result<DatabaseConfig, StoreError> {
        let name = format!("test_{}", self.next.fetch_add(1, Ordering::Relaxed));
        let statement = format!("CREATE DATABASE {name} TEMPLATE {TEMPLATE}");
        let mut attempts = 0;
        // The connection that migrated the template may not be quite gone.
        while let Err(error) = self.create(&statement).await {
            attempts += 1;
            if attempts > 50 {
                return Err(error);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(self.config(&name))
    }

    pub fn server(&self) -> &EmbeddedServer {
        &self.server
    }

    fn config(&self, database: &str) -> DatabaseConfig {
        let url = self.server.url().replace("dbname=headend", &format!("dbname={database}"));
        DatabaseConfig { pool_max: 3, work_pool_max: 4, ..DatabaseConfig::new(url) }
    }

    async fn create(&self, statement: &str) -> Result<(), StoreError> {
        let url = self.server.url().replace("dbname=headend", "dbname=postgres");
        let (client, driver) = tokio_postgres::connect(&url, NoTls)
            .await
            .map_err(StoreError::query("connecting to the test cluster"))?;
        let driver = tokio::spawn(driver);
        client
            .batch_execute(statement)
            .await
            .map_err(StoreError::query("creating a test database"))?;
        drop(client);
        // Ends with the client.
        let _ = driver.await;
        Ok(())
    }
}

/// Fast rather than durable: a test cluster does not outlive a power cut.
fn test_settings() -> BTreeMap<String, String> {
    [
        ("fsync", "off"),
        ("shared_buffers", "128MB"),
        ("max_wal_size", "1GB"),
        ("min_wal_size", "80MB"),
        ("max_connections", "200"),
        ("autovacuum_naptime", "10min"),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .collect()
}

fn free_dir(base: &Path) -> PathBuf {
    let pid = std::process::id();
    let numbered = |n: u32| base.join(format!("{PREFIX}{pid}-{n}"));
    let mut n = 0;
    while numbered(n).exists() {
        n += 1;
    }
    numbered(n)
}

/// Removes clusters of test processes that are gone and whose server is gone too.
fn sweep(base: &Path) {
    for entry in fs::read_dir(base).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(rest) = name.to_str().and_then(|name| name.strip_prefix(PREFIX)) else { continue };
        let pid = rest.split('-').next().and_then(|pid| pid.parse().ok()).and_then(Pid::from_raw);
        let alive = pid.is_some_and(|pid| test_kill_process(pid).is_ok());
        if !alive && !entry.path().join("pg/postmaster.pid").exists() {
            // Another test process may be sweeping too.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
