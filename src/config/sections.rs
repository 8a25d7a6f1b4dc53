//! One struct per section. Units stand in the types: durations, bytes, addresses.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use jiff::tz::TimeZone;
use tracing_subscriber::filter::Targets;

use super::environment::Environment;
use super::fault::Fault;
use super::keys::SETTINGS;
use super::layers::Raw;
use super::reader::Reader;

const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}
const DAY_S: u64 = 86_400;

/// `[utility]`: whose meters these are.
#[derive(Clone, Debug)]
pub struct UtilityConfig {
    pub name: String,
    /// Zone of local days where a usage point names none.
    pub zone: TimeZone,
}

/// `[data]`: where files live.
#[derive(Clone, Debug)]
pub struct DataConfig {
    pub dir: PathBuf,
}

/// `[database]`: your PostgreSQL, or none.
#[derive(Clone, Debug)]
pub struct DatabaseConfig {
    /// `None`: the program runs a private server in the data directory.
    pub url: Option<String>,
    pub password_file: Option<PathBuf>,
    pub pool_max: u32,
    pub statement_timeout: Duration,
}

/// `[embedded]`: the private server, used when `[database] url` is not set.
#[derive(Clone, Debug)]
pub struct EmbeddedConfig {
    /// Account to run it with when the program was started as root.
    pub user: Option<String>,
    /// PostgreSQL settings by name, over the built-in ones.
    pub settings: BTreeMap<String, String>,
    /// `HEADEND_PG_BIN`: the directory with `postgres` and `initdb`, looked at first.
    pub pg_bin: Option<PathBuf>,
    /// `PATH`, in which the binaries are looked for next.
    pub search_path: Option<String>,
    /// `XDG_RUNTIME_DIR`: where the socket goes when the data directory's path is too long.
    pub runtime_dir: Option<PathBuf>,
}

/// `[ingest]`: batches on the way into the store.
#[derive(Clone, Debug)]
pub struct IngestConfig {
    pub batch_rows_max: u32,
    pub batch_wait_max: Duration,
    /// Zero: raw messages are not kept.
    pub raw_keep: Duration,
    /// Keys of devices that encrypt their telegrams.
    pub wmbus_keys_file: Option<PathBuf>,
}

/// `[files]`: files of readings.
#[derive(Clone, Debug)]
pub struct FilesConfig {
    /// The drop folder; `None`: there is none.
    pub inbox: Option<PathBuf>,
    pub layouts: Option<PathBuf>,
    /// Faulty records are left out and the others taken.
    pub by_record: bool,
}

/// `[console]`: pages and API.
#[derive(Clone, Debug)]
pub struct ConsoleConfig {
    /// Always a loopback address.
    pub listen: SocketAddr,
}

/// `[rules]`: the rule engine.
#[derive(Clone, Debug)]
pub struct RulesConfig {
    pub snapshot_every: Duration,
}

/// `[log]`: events on stderr.
#[derive(Clone, Debug)]
pub struct LogConfig {
    pub format: LogFormat,
    pub level: Targets,
}

/// How log lines look.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogFormat {
    /// Pretty on a terminal, JSON elsewhere.
    Auto,
    Pretty,
    Json,
}

impl UtilityConfig {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            name: reader.text("utility.name"),
            zone: reader.parsed("utility.zone", zone).unwrap_or(TimeZone::UTC),
        }
    }
}

impl DataConfig {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        Self { dir: reader.path("data.dir").unwrap_or_else(|| PathBuf::from("data")) }
    }
}

impl DatabaseConfig {
    pub(super) fn read(reader: &mut Reader<'_>, environment: &Environment) -> Self {
        let credential = || environment.credential("db_password");
        let url = reader.parsed("database.url", database_url);
        let origin = reader.origin("database.url");
        if url.as_deref().is_some_and(|url| password_range(url).is_some())
            && origin.is_readable_by_others()
        {
            let what = "the URL holds a password; leave it out and set database.password_file";
            reader.fault("database.url", what);
        }
        Self {
            url,
            password_file: reader.path("database.password_file").or_else(credential),
            pool_max: reader.whole("database.pool_max", 2..=1_000),
            statement_timeout: reader
                .duration("database.statement_timeout", seconds(1)..=seconds(3_600)),
        }
    }
}

impl EmbeddedConfig {
    pub(super) fn read(reader: &mut Reader<'_>, environment: &Environment) -> Self {
        let mut settings = BTreeMap::new();
        for (name, setting) in reader.below(SETTINGS) {
            match postgres_setting(name, &setting.raw) {
                Ok(value) => {
                    settings.insert(name.to_owned(), value);
                }
                Err(what) => {
                    let what = format!("{SETTINGS}{name}: {what}");
                    reader.faults.push(Fault::new(&setting.origin, what));
                }
            }
        }
        Self {
            user: reader.optional_text("embedded.user"),
            settings,
            pg_bin: environment.get("HEADEND_PG_BIN").map(PathBuf::from),
            search_path: environment.get("PATH").map(str::to_owned),
            runtime_dir: environment.get("XDG_RUNTIME_DIR").map(PathBuf::from),
        }
    }
}

impl IngestConfig {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let wait = Duration::from_millis(1)..=seconds(10);
        Self {
            batch_rows_max: reader.whole("ingest.batch_rows_max", 1..=100_000),
            batch_wait_max: reader.duration("ingest.batch_wait_max", wait),
            raw_keep: reader
                .duration("ingest.raw_keep", Duration::ZERO..=seconds(10 * 365 * DAY_S)),
            wmbus_keys_file: reader.path("ingest.wmbus_keys_file"),
        }
    }
}

impl FilesConfig {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let mode = |text: &str| match text {
            "file" => Ok(false),
            "record" => Ok(true),
            _ => Err(format!("`{text}` is none of: file, record")),
        };
        Self {
            inbox: reader.path("files.inbox"),
            layouts: reader.path("files.layouts"),
            by_record: reader.parsed("files.mode", mode).unwrap_or(false),
        }
    }
}

impl ConsoleConfig {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let parsed = reader.parsed("console.listen", listen_address);
        Self { listen: parsed.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 8080))) }
    }
}

impl RulesConfig {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            snapshot_every: reader.duration("rules.snapshot_every", seconds(1)..=seconds(DAY_S)),
        }
    }
}

impl LogConfig {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let format = |text: &str| match text {
            "auto" => Ok(LogFormat::Auto),
            "pretty" => Ok(LogFormat::Pretty),
            "json" => Ok(LogFormat::Json),
            _ => Err(format!("`{text}` is none of: auto, pretty, json")),
        };
        let level = |text: &str| {
            let help = "write error, warn, info, debug or trace, or target=level,target=level";
            text.parse::<Targets>().map_err(|_| format!("`{text}` is no level: {help}"))
        };
        Self {
            format: reader.parsed("log.format", format).unwrap_or(LogFormat::Auto),
            level: reader.parsed("log.level", level).unwrap_or_default(),
        }
    }
}

/// A zone by its IANA name.
pub(super) fn zone(text: &str) -> Result<TimeZone, String> {
    TimeZone::get(text).map_err(|_| {
        format!("`{text}` is no zone of the IANA list: write for example Europe/Berlin or UTC")
    })
}

/// No operator can log in yet, so nobody but this host may ask.
fn listen_address(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text
        .parse()
        .map_err(|_| format!("`{text}` is no address: write for example 127.0.0.1:8080"))?;
    if address.ip().is_loopback() {
        return Ok(address);
    }
    Err(format!(
        "{address} is not a loopback address; until operators can log in, pages are served to this \
         host only: write 127.0.0.1:{} and reach it through a tunnel",
        address.port()
    ))
}

fn database_url(text: &str) -> Result<String, &'static str> {
    if text.starts_with("postgresql://") || text.starts_with("postgres://") {
        return Ok(text.to_owned());
    }
    Err("write postgresql://user@host/database or postgresql:///database?host=/run/postgresql")
}

/// Where the password stands in a URL, if one does.
pub(super) fn password_range(url: &str) -> Option<std::ops::Range<usize>> {
    let from = url.find("://")? + 3;
    let authority = &url[from..];
    let authority = &authority[..authority.find(['/', '?', '#']).unwrap_or(authority.len())];
    let at = authority.rfind('@');
    if let Some((colon, at)) = at.and_then(|at| Some((authority[..at].find(':')?, at))) {
        return (colon + 1 < at).then_some(from + colon + 1..from + at);
    }
    let start = ["?password=", "&password="]
        .iter()
        .find_map(|name| url.find(name).map(|found| found + name.len()))?;
    let end = url[start..].find(['&', '#']).map_or(url.len(), |length| start + length);
    (start < end).then_some(start..end)
}

/// A reading is acknowledged after COMMIT. With these off, a committed reading can be lost.
const DURABLE: [&str; 3] = ["fsync", "full_page_writes", "synchronous_commit"];

fn postgres_setting(name: &str, raw: &Raw) -> Result<String, String> {
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '.';
    if !name.chars().all(good) {
        return Err("a PostgreSQL setting is written in a-z, 0-9 and _".to_owned());
    }
    let value = match raw {
        Raw::Text(text) => text.clone(),
        Raw::Whole(number) => number.to_string(),
        Raw::Bool(yes) => if *yes { "on" } else { "off" }.to_owned(),
        Raw::Tables(_) | Raw::Other(_) => {
            return Err("write a text, a number, true or false".into());
        }
    };
    if value.chars().any(|c| c.is_control() || c == '\'' || c == '\\') {
        return Err("quotes, backslashes and line breaks are not taken".to_owned());
    }
    let off = ["off", "false", "no", "0"].contains(&value.to_ascii_lowercase().as_str());
    if off && DURABLE.contains(&name) {
        return Err("cannot be turned off: acknowledged readings could be lost".to_owned());
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_found_in_urls() {
        let found = |url: &'static str| password_range(url).map(|range| &url[range]);
        assert_eq!(found("postgresql://u:secret@h/db"), Some("secret"));
        assert_eq!(found("postgresql://u@h/db?password=x&y=1"), Some("x"));
        assert_eq!(found("postgresql:///db?host=/run/postgresql"), None);
        assert_eq!(found("postgresql://u@h:5432/db"), None);
    }
}
