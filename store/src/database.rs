//! The database: two pools of connections and the schema they expect.

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod};
use tokio_postgres::config::SslMode;
use tokio_postgres::{Config, NoTls};

use crate::error::StoreError;
use crate::migrate;
use crate::partitions::{Partitions, Touched};

/// Where the database is and how many connections we may hold.
#[derive(Clone, Debug)]
pub struct DatabaseConfig {
    /// `postgresql://user@host/name` or `host=/run/dir user=headend dbname=headend`.
    pub url: String,
    /// Takes precedence over a password in the URL.
    pub password: Option<String>,
    /// Connections for questions (console, API, command line).
    pub pool_max: usize,
    /// Connections for work (ingest, jobs, partitions).
    pub work_pool_max: usize,
    /// A question that takes longer is cancelled. Work is not limited.
    pub statement_timeout: Duration,
    /// How long a question waits for a server that is starting or recovering.
    pub question_wait: Duration,
    /// How long work waits for it: crash recovery of 30 s must not fail a batch.
    pub work_wait: Duration,
}

impl DatabaseConfig {
    /// The defaults for a URL: 8 + 6 connections, questions of at most 30 s.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            password: None,
            pool_max: 8,
            work_pool_max: 6,
            statement_timeout: Duration::from_secs(30),
            question_wait: Duration::from_secs(3),
            work_wait: Duration::from_secs(40),
        }
    }
}

/// A handle on the database; clones share the pools. Questions and work have connections of their
/// own, so that a page never waits behind a batch.
#[derive(Clone, Debug)]
pub struct Database {
    questions: Pool,
    work: Pool,
    config: Config,
    question_wait: Duration,
    work_wait: Duration,
    partitions: Arc<Partitions>,
}

/// A pooled connection; back to the pool on drop. Dereferences to `tokio_postgres::Client` and has
/// `prepare_cached`.
pub type Connection = Object;

impl Database {
    /// Connects, migrates the schema under a lock and opens the pools.
    ///
    /// # Errors
    /// When the URL is wrong or demands TLS, when the server is away (for longer than
    /// `work_wait`), or when the schema is newer than this program.
    pub async fn connect(config: &DatabaseConfig) -> Result<Self, StoreError> {
        let database = Self::open(config)?;
        database.migrate().await?;
        Ok(database)
    }

    /// Opens the pools without connecting or migrating.
    ///
    /// # Errors
    /// When the URL is wrong or demands TLS.
    pub fn open(config: &DatabaseConfig) -> Result<Self, StoreError> {
        let mut pg: Config = config.url.parse().map_err(StoreError::Url)?;
        if pg.get_ssl_mode() == SslMode::Require {
            return Err(StoreError::TlsDemanded);
        }
        pg.ssl_mode(SslMode::Disable);
        if let Some(password) = &config.password {
            pg.password(password);
        }
        if pg.get_application_name().is_none() {
            pg.application_name("headend");
        }
        if pg.get_connect_timeout().is_none() {
            pg.connect_timeout(Duration::from_secs(5));
        }
        let timeout_ms = config.statement_timeout.as_millis();
        let questions =
            pool(with_options(&pg, &format!("-c statement_timeout={timeout_ms}")), config.pool_max);
        let work = pool(with_options(&pg, ""), config.work_pool_max);
        Ok(Self {
            questions,
            work,
            config: with_options(&pg, ""),
            question_wait: config.question_wait,
            work_wait: config.work_wait,
            partitions: Arc::default(),
        })
    }

    /// The same database for one that runs for long and tries again by itself: work gives up sooner
    /// than at the start, so that each try shows that it goes on.
    #[must_use]
    pub fn with_work_wait(mut self, wait: Duration) -> Self {
        self.work_wait = wait;
        self
    }

    /// A connection for a question: read-mostly, with a statement timeout.
    ///
    /// # Errors
    /// Transient when the server is away for longer than `question_wait`.
    pub async fn client(&self) -> Result<Connection, StoreError> {
        self.get(&self.questions, self.question_wait).await
    }

    /// A connection for work: ingest, jobs. Waits for a recovering server.
    ///
    /// # Errors
    /// Transient when the server is away for longer than `work_wait`.
    pub async fn work_client(&self) -> Result<Connection, StoreError> {
        self.get(&self.work, self.work_wait).await
    }

    /// A connection outside the pools with its own driver, for LISTEN. The caller polls the second
    /// part for notifications.
    ///
    /// # Errors
    /// When the server is away.
    pub async fn listener(
        &self,
    ) -> Result<
        (
            tokio_postgres::Client,
            tokio_postgres::Connection<tokio_postgres::Socket, tokio_postgres::tls::NoTlsStream>,
        ),
        StoreError,
    > {
        self.config.connect(NoTls).await.map_err(|source| self.connect_error(source))
    }

    /// Applies the migrations that are missing; does nothing when there are none.
    ///
    /// # Errors
    /// [`StoreError::SchemaNewer`] when the database is ahead of the program.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        let (mut client, driver) = self.patient_connect().await?;
        let driver = tokio::spawn(driver);
        let outcome = migrate::run(&mut client).await;
        drop(client);
        // The driver ends once the client is gone; its error was the client's error already.
        let _ = driver.await;
        outcome
    }

    /// Host or socket directory and database name, for messages.
    pub fn place(&self) -> String {
        place(&self.config)
    }

    /// Connections in use and open, of both pools together.
    pub fn pool_use(&self) -> (usize, usize) {
        let (a, b) = (self.questions.status(), self.work.status());
        let open = a.size + b.size;
        (open - (a.available + b.available).min(open), open)
    }

    /// Closes both pools; connections in use end when they are given back.
    pub fn close(&self) {
        self.questions.close();
        self.work.close();
    }

    /// Makes the partitions that the work needs, on a connection of its own.
    pub(crate) async fn ensure_partitions(&self, touched: &Touched) -> Result<(), StoreError> {
        self.partitions.ensure(self, touched).await
    }

    pub(crate) fn partitions(&self) -> &Partitions {
        &self.partitions
    }

    async fn patient_connect(
        &self,
    ) -> Result<
        (
            tokio_postgres::Client,
            tokio_postgres::Connection<tokio_postgres::Socket, tokio_postgres::tls::NoTlsStream>,
        ),
        StoreError,
    > {
        let mut pause = Pause::new(self.work_wait);
        loop {
            match self.listener().await {
                Err(error) if starting_up(&error) && pause.wait().await => {}
                done => return done,
            }
        }
    }

    async fn get(&self, pool: &Pool, wait_max: Duration) -> Result<Connection, StoreError> {
        let mut pause = Pause::new(wait_max);
        loop {
            let error = match tokio::time::timeout(wait_max, pool.get()).await {
                Ok(Ok(client)) => return Ok(client),
                Ok(Err(PoolError::Backend(source))) => self.connect_error(source),
                Ok(Err(PoolError::Closed)) => return Err(StoreError::PoolClosed),
                Ok(Err(_)) | Err(_) => {
                    return Err(StoreError::PoolExhausted { place: self.place() });
                }
            };
            if !error.is_transient() || !pause.wait().await {
                return Err(error);
            }
        }
    }

    fn connect_error(&self, source: tokio_postgres::Error) -> StoreError {
        StoreError::Connect { place: self.place(), source }
    }
}

/// Growing pauses up to a total.
struct Pause {
    left: Duration,
    next: Duration,
}

impl Pause {
    fn new(total: Duration) -> Self {
        Self { left: total, next: Duration::from_millis(20) }
    }

    /// Sleeps; false when the total is used up.
    async fn wait(&mut self) -> bool {
        if self.left.is_zero() {
            return false;
        }
        let pause = self.next.min(self.left);
        tokio::time::sleep(pause).await;
        self.left -= pause;
        self.next = (self.next * 2).min(Duration::from_secs(1));
        true
    }
}

/// The server is there and says "not yet". A refused connection is no such case: a wrong URL must
/// fail at once.
fn starting_up(error: &StoreError) -> bool {
    match error {
        StoreError::Connect { source, .. } => source.code().is_some() && error.is_transient(),
        _ => false,
    }
}

fn with_options(config: &Config, more: &str) -> Config {
    let mut config = config.clone();
    let given = config.get_options().unwrap_or_default().to_owned();
    // UTC everywhere; JIT costs more than it gives on our short statements.
    config.options(format!("{given} -c TimeZone=UTC -c jit=off {more}"));
    config
}

fn pool(config: Config, size_max: usize) -> Pool {
    let manager_config = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    let manager = Manager::from_config(config, NoTls, manager_config);
    let builder = Pool::builder(manager).max_size(size_max.max(1));
    match builder.build() {
        Ok(pool) => pool,
        Err(error) => unreachable!("a pool without timeouts needs no runtime: {error}"),
    }
}

fn place(config: &Config) -> String {
    let host = match config.get_hosts().first() {
        Some(tokio_postgres::config::Host::Tcp(host)) => host.clone(),
        Some(tokio_postgres::config::Host::Unix(path)) => path.display().to_string(),
        None => "localhost".to_owned(),
    };
    format!("{host}/{}", config.get_dbname().unwrap_or("(no name)"))
}
