//! What can go wrong between us and PostgreSQL, sorted by what the caller should do about it.

use tokio_postgres::error::SqlState;

/// A failure of the store. [`StoreError::is_transient`] says "try the same again later",
/// [`StoreError::is_data_fault`] says "these rows can never be stored".
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("database URL is not understood: write postgresql://USER@HOST/NAME")]
    Url(#[source] tokio_postgres::Error),
    #[error(
        "the database URL demands TLS (sslmode=require), and this program is built without it: use a Unix socket, a private network or a TLS proxy, and sslmode=disable"
    )]
    TlsDemanded,
    #[error("no connection to the database at {place}")]
    Connect {
        place: String,
        #[source]
        source: tokio_postgres::Error,
    },
    #[error("no free connection to the database at {place} within the time allowed")]
    PoolExhausted { place: String },
    #[error("the connection pool is closed")]
    PoolClosed,
    /// `what` says what we wanted of the database.
    #[error("{what}: the database refused or could not answer")]
    Query {
        what: &'static str,
        #[source]
        source: tokio_postgres::Error,
    },
    #[error("migrating the schema failed")]
    Migrate(#[source] Box<refinery::Error>),
    #[error("another program has been migrating this database for more than 60 s")]
    MigrationLocked,
    #[error(
        "the database has schema {database}, this program knows up to {program}: install the newer program; nothing was changed"
    )]
    SchemaNewer { database: i64, program: i64 },
    #[error(
        "batch does not reconcile: offered {offered}, inserted {inserted}, duplicate {duplicate}, conflicting {conflicting}, dead {dead}; rolled back"
    )]
    Unreconciled { offered: u64, inserted: u64, duplicate: u64, conflicting: u64, dead: u64 },
    #[error("day {day} since 1970-01-01 lies outside the dates that the store can hold")]
    DateRange { day: i64 },
    #[error("event-log frame at sequence {seq} cannot be read")]
    Frame {
        seq: i64,
        #[source]
        source: crate::frame::FrameError,
    },
    #[error("stored {what} cannot be understood: {detail}")]
    Corrupt { what: &'static str, detail: String },
    #[error("{what}: {detail}")]
    Refused { what: &'static str, detail: String },
}

impl StoreError {
    /// For `map_err`: names the operation that met the database's error.
    pub(crate) fn query(what: &'static str) -> impl Fn(tokio_postgres::Error) -> Self {
        move |source| Self::Query { what, source }
    }

    /// True when the same work may succeed later: the connection broke, the server is starting or
    /// stopping, two transactions met, or a resource ran out. Nothing was stored.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Connect { source, .. } | Self::Query { source, .. } => transient(source),
            Self::PoolExhausted { .. } | Self::MigrationLocked => true,
            _ => false,
        }
    }

    /// True when the same work fails again however often it is tried: not for us to wait out.
    pub fn is_permanent(&self) -> bool {
        self.is_data_fault() || matches!(self, Self::Refused { .. } | Self::Corrupt { .. })
    }

    /// True when the rows themselves were refused (out of range, check violated), so that trying
    /// again is useless and halving the batch finds the culprit.
    pub fn is_data_fault(&self) -> bool {
        match self {
            Self::Query { source, .. } => {
                let class = source.code().map(|code| &code.code()[..2]);
                matches!(class, Some("22" | "23"))
            }
            Self::DateRange { .. } => true,
            _ => false,
        }
    }

    /// True when a unique key was violated.
    pub(crate) fn is_unique_violation(&self) -> bool {
        matches!(self, Self::Query { source, .. }
            if source.code() == Some(&SqlState::UNIQUE_VIOLATION))
    }
}

fn transient(error: &tokio_postgres::Error) -> bool {
    let Some(code) = error.code() else {
        // No SQLSTATE: the socket broke, was refused, or was closed under us.
        return error.is_closed() || std::error::Error::source(error).is_some_and(is_io);
    };
    let text = code.code();
    matches!(&text[..2], "08" | "40" | "53" | "58")
        || matches!(text, "57P01" | "57P02" | "57P03" | "57P05" | "57014" | "55P03" | "25P03")
}

fn is_io(error: &(dyn std::error::Error + 'static)) -> bool {
    error.is::<std::io::Error>()
}
