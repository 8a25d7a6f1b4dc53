//! A private PostgreSQL: installed binaries run as our child on a Unix socket.
//!
//! Started when no database is configured. The server lives and dies with the program: a thread of
//! its own ([`keeper`]) spawns it and watches it, since the kernel ties the death signal to the
//! *thread* that spawned. What the choice of account, socket and binaries was is kept in
//! `DATA/embedded.toml`.

mod account;
mod cluster;
mod keeper;
mod search;
mod state_file;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread::JoinHandle;

use tokio::sync::{oneshot, watch};
use tokio_postgres::NoTls;

use crate::error::StoreError;

pub use state_file::running_url;

/// How to find and run the server. The caller reads the environment; this crate does not.
#[derive(Clone, Debug)]
pub struct EmbeddedOptions {
    /// DATA: holds `pg`, `run`, `lock`, `embedded.toml` and `postgres.log`.
    pub data_dir: PathBuf,
    /// `HEADEND_PG_BIN`: the only directory that counts when set.
    pub pg_bin: Option<PathBuf>,
    /// `PATH`.
    pub search_path: Option<OsString>,
    /// Directories of versions, newest first wins; [`EmbeddedOptions::new`] has the usual ones.
    pub roots: Vec<PathBuf>,
    /// `[embedded] user`: the account to run as when we are root.
    pub user: Option<String>,
    /// `XDG_RUNTIME_DIR`: where the socket goes when DATA's path is too long.
    pub runtime_dir: Option<PathBuf>,
    /// `initdb --no-sync`: for demos and tests.
    pub no_sync: bool,
    /// `[embedded.settings]`: override ours.
    pub settings: BTreeMap<String, String>,
    /// Stands in the lock file.
    pub version: String,
}

impl EmbeddedOptions {
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            pg_bin: None,
            search_path: None,
            roots: vec!["/usr/lib/postgresql".into(), "/usr".into()],
            user: None,
            runtime_dir: None,
            no_sync: false,
            settings: BTreeMap::new(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

/// Why there is no server. [`LaunchError::exit_code`] is what a program should exit with.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    #[error(
        "no PostgreSQL found: run \"apt-get install postgresql\", or \"headend db fetch\", or set DATABASE_URL"
    )]
    NoPostgres,
    #[error("{path} holds no PostgreSQL: `postgres` and `initdb` must both be there")]
    NotBinaries { path: PathBuf },
    #[error(
        "cluster is PostgreSQL {cluster}, found only {found}: install {cluster} or run \"headend db upgrade\""
    )]
    OtherVersion { cluster: u32, found: String },
    #[error("another instance uses {data_dir}: {holder}")]
    Locked { data_dir: PathBuf, holder: String },
    #[error(
        "process {pid} holds {data_dir}/pg and does not stop: stop it, or use another data directory"
    )]
    Held { data_dir: PathBuf, pid: i32 },
    #[error(
        "no account to run PostgreSQL with: root may not run it, account(s) {tried} cannot use {data_dir}, and user namespaces do not work here; use a data directory that they can reach, or allow user namespaces (sysctl kernel.unprivileged_userns_clone=1)"
    )]
    NoAccount { data_dir: PathBuf, tried: String },
    #[error("there is no account `{user}`: correct [embedded] user")]
    UnknownAccount { user: String },
    #[error("{program} failed ({status}):\n{tail}")]
    Program { program: &'static str, status: String, tail: String },
    #[error("{what} {path}")]
    Io {
        what: &'static str,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("preparing the database `headend` failed")]
    Prepare(#[source] StoreError),
    #[error("the thread that keeps PostgreSQL has ended")]
    KeeperGone,
}

impl LaunchError {
    /// The sysexits code: 69 unavailable, 70 internal, 74 I/O, 75 try again later, 78 configuration.
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::NoPostgres | Self::Program { .. } | Self::Prepare(_) => 69,
            Self::KeeperGone => 70,
            Self::Io { .. } => 74,
            Self::Locked { .. } | Self::Held { .. } => 75,
            Self::NotBinaries { .. }
            | Self::OtherVersion { .. }
            | Self::NoAccount { .. }
            | Self::UnknownAccount { .. } => 78,
        }
    }

    fn io<'a>(what: &'static str, path: &'a Path) -> impl Fn(std::io::Error) -> Self + use<'a> {
        move |source| Self::Io { what, path: path.to_owned(), source }
    }
}

/// What the server is doing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ServerState {
    /// Starting or recovering.
    Starting,
    Ready,
    /// It died; it is being started again.
    Down,
    Stopped,
}

/// A running private server. [`EmbeddedServer::stop`] shuts it down; dropping does the same and
/// waits; killing the program makes the kernel do it.
#[derive(Debug)]
pub struct EmbeddedServer {
    url: String,
    bin_dir: PathBuf,
    state: watch::Receiver<ServerState>,
    pid: watch::Receiver<Option<u32>>,
    stop: Option<mpsc::Sender<()>>,
    keeper: Option<JoinHandle<()>>,
}

/// The name of our database and of its owner.
const DATABASE: &str = "headend";

impl EmbeddedServer {
    /// Finds binaries, makes the cluster on the first start, runs the server and waits until it
    /// answers (without a limit during crash recovery), then makes the database `headend`.
    /// Migrations are the caller's next step.
    ///
    /// # Errors
    /// [`LaunchError`]; nothing keeps running then.
    pub async fn start(options: EmbeddedOptions) -> Result<Self, LaunchError> {
        let (ready, started) = oneshot::channel();
        let (stop, stopped) = mpsc::channel();
        let (state_out, state) = watch::channel(ServerState::Starting);
        let (pid_out, pid) = watch::channel(None);
        let outlet = keeper::Outlet { state: state_out, pid: pid_out };
        let spawned = std::thread::Builder::new()
            .name("postgres".to_owned())
            .spawn(move || keeper::run(&options, ready, &stopped, &outlet));
        let keeper =
            spawned.map_err(LaunchError::io("starting a thread for", Path::new("postgres")))?;
        let started = started.await.map_err(|_| LaunchError::KeeperGone)??;
        let server = Self {
            url: started.url(DATABASE),
            bin_dir: started.bin_dir.clone(),
            state,
            pid,
            stop: Some(stop),
            keeper: Some(keeper),
        };
        create_database(&started.url("postgres")).await.map_err(LaunchError::Prepare)?;
        Ok(server)
    }

    /// For [`crate::DatabaseConfig::url`].
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The directory of `postgres`, `psql` and the others.
    pub fn bin_dir(&self) -> &Path {
        &self.bin_dir
    }

    /// Tells when the server goes down and comes back.
    pub fn watch(&self) -> watch::Receiver<ServerState> {
        self.state.clone()
    }

    /// Process of the postmaster, while there is one.
    pub fn pid(&self) -> Option<u32> {
        *self.pid.borrow()
    }

    /// Fast shutdown; returns when the server is gone.
    pub async fn stop(mut self) {
        self.stop = None;
        let mut state = self.state.clone();
        // An error means that the keeper has ended, which is as good.
        let _ = state.wait_for(|state| *state == ServerState::Stopped).await;
    }
}

impl Drop for EmbeddedServer {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(keeper) = self.keeper.take() {
            // The keeper does not panic; if it did, the kernel has stopped the server.
            let _ = keeper.join();
        }
    }
}

async fn create_database(url: &str) -> Result<(), StoreError> {
    let (client, driver) = tokio_postgres::connect(url, NoTls)
        .await
        .map_err(|source| StoreError::Connect { place: "the private server".to_owned(), source })?;
    let driver = tokio::spawn(driver);
    let query = StoreError::query("creating the database");
    let known = client
        .query_opt("SELECT 1 FROM pg_database WHERE datname = $1", &[&DATABASE])
        .await
        .map_err(&query)?;
    if known.is_none() {
        client.batch_execute("CREATE DATABASE headend").await.map_err(&query)?;
    }
    drop(client);
    // Ends with the client.
    let _ = driver.await;
    Ok(())
}
