//! A living utility in one command: a private database, a broker in this process, a simulated fleet
//! with planted faults, and the head-end, which connects to that broker as to any other.

mod broker;
mod driver;
mod fleet;
mod publisher;
mod report;

use std::io::{IsTerminal as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use metering::UtcTime;
use simulators::{Fleet, FleetSpec};
use store::report::RunReport;
use store::{Database, EmbeddedServer};
use tokio::sync::watch;

use crate::app::{App, Parts, Time, stop_signal};
use crate::clock::{Clock as _, SteppedClock};
use crate::config::{BrokerUrl, Config, SubscriptionConfig};
use crate::ingest::stats::IngestStats;
use crate::verbs::{DemoOptions, Exit, Failure, database as place_of_data};
use driver::{Driver, Ended};
use publisher::Publisher;
use report::{Counts, Measured, Report};

pub use broker::start as start_broker;
pub use fleet::{collectors, meters};
pub use publisher::Publisher as SimPublisher;

/// Live time begins here: Friday 20 November 2026, 08:00 in Berlin. The 35 days before it hold
/// the end of summer time.
const LIVE_START: &str = "2026-11-20T07:00:00Z";
const HISTORY_DAYS: i64 = 35;
/// Without `--for` the simulated utility has this many days to live.
const OPEN_END_DAYS: i64 = 30;
const ZONE: &str = "Europe/Berlin";
/// Code of the fleet's utility, which is not its name.
const UTILITY: &str = "SIM";
const PORT: u16 = 8080;
/// History arrives in short bursts: a commit for each burst, not for each handful of messages.
const LINGER: Duration = Duration::from_millis(2);

/// Runs the demo until its end, Ctrl-C or SIGTERM.
///
/// # Errors
/// PostgreSQL is not installed, a port is taken, or the run did not reconcile.
pub async fn run(options: DemoOptions, base: Config) -> anyhow::Result<()> {
    let stop = stop_on_signal();
    // Before anything is made: another try finds the directory as it was.
    let port = console_port(options.port)?;
    let options = DemoOptions { port, ..options };
    let spec = spec(&options)?;
    let clock = SteppedClock::starting_at(spec.history_start);
    let began = clock.monotonic();
    let fleet = Fleet::new(spec.clone())?;
    let place = Place::new(options.data_dir.as_deref())?;
    tell(&format!("Verbs    headend issues list --data-dir {}", place.path().display()));
    let mut private = place_of_data::embedded_options(&base, place.path());
    private.no_sync = true;
    let server = EmbeddedServer::start(private).await?;
    let outcome = with_database(&options, base, (&server, fleet), (clock, began), stop).await;
    server.stop().await;
    place.remove();
    outcome
}

async fn with_database(
    options: &DemoOptions,
    base: Config,
    (server, fleet): (&EmbeddedServer, Fleet),
    (clock, began): (Arc<SteppedClock>, Duration),
    stop: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let database = Database::connect(&place_of_data::with_url(&base, server.url())).await?;
    let assets = fleet.assets();
    database.provision_collectors(&collectors(assets), clock.now()).await?;
    database.provision(&meters(assets)?, clock.now()).await?;
    let ports = broker::start_both().context("start the demo's broker")?;
    let broker_port = ports.v5;
    let door = broker::door(ports, stop.clone()).await.context("open the demo's broker")?;
    let config = configure(base, options, broker_port)?;
    let mut parts = Parts::of_config(&config, database.clone(), clock.clone(), Time::Driven)?;
    parts.ingest.linger = LINGER;
    parts.mqtt.tcp_nodelay = true;
    let keep = parts.keep;
    let app = App::start(parts).await?;
    let console_ready = clock.monotonic().saturating_sub(began);
    tell(&format!("Console  http://{}/   (Ctrl-C stops)", app.address));
    tell(&format!(
        "Broker   mqtt://127.0.0.1:{door}   (MQTT 3.1.1 and 5; reads ami/#, amr/+/rtlamr and what \
         is taken live at /payloads)"
    ));
    let publisher = Publisher::connect("127.0.0.1", broker_port, "simulated-fleet");
    let mut driver =
        Driver::new(&app, database.clone(), clock.clone(), (fleet, publisher), (keep, stop));
    let outcome = drive(options, &mut driver, (&database, &app), console_ready).await;
    driver.publisher.stop().await;
    app.drain().await;
    database.close();
    outcome
}

async fn drive(
    options: &DemoOptions,
    driver: &mut Driver<'_>,
    (database, app): (&Database, &App),
    console_ready: Duration,
) -> anyhow::Result<()> {
    let spec = spec(options)?;
    let start = driver.clock.monotonic();
    let progress = Progress::new(&spec);
    if driver.backfill(spec.live_start, |now| progress.show(now)).await? == Ended::Stopped {
        return Ok(());
    }
    let backfill = driver.clock.monotonic().saturating_sub(start);
    tell(&format!(
        "History  {HISTORY_DAYS} days, {} readings in {:.1} s; live now at {}x",
        driver.offered,
        backfill.as_secs_f64(),
        options.speed
    ));
    let ended = driver.live(options.speed, spec.live_end).await?;
    driver.settle().await;
    if ended == Ended::Stopped && options.report.is_none() {
        return Ok(());
    }
    let facts = RunReport::new(database.clone());
    let counts = counts(&app.ingest);
    // What somebody else published is part of what was offered, too; nobody but us counted it.
    let came = app.ingest.messages.load(Ordering::SeqCst);
    let others = came.saturating_sub(driver.publisher.sent());
    let all = u64::try_from(counts.offered).unwrap_or(driver.offered);
    if others > 0 {
        tell(&format!("Others   {others} messages that are not of the fleet"));
    }
    let measured = Measured {
        seed: options.seed,
        meters: options.meters,
        offered: if others > 0 { all } else { driver.offered },
        messages: driver.publisher.sent(),
        counts,
        ack_p50: app.ingest.ack_latency.percentile(50),
        ack_p99: app.ingest.ack_latency.percentile(99),
        console_ready,
        backfill,
        data_hash: facts.data_hash().await?,
    };
    let report = Report::new(measured, driver.fleet.truth(), &facts.issues().await?);
    finish(&report, options.report.as_deref())
}

/// What the head-end counted, batch by batch.
fn counts(ingest: &IngestStats) -> Counts {
    let read = |counter: &AtomicU64| i64::try_from(counter.load(Ordering::SeqCst)).unwrap_or(-1);
    Counts {
        offered: read(&ingest.offered),
        inserted: read(&ingest.inserted),
        duplicate: read(&ingest.duplicate),
        conflicting: read(&ingest.conflicting),
        dead: read(&ingest.dead),
    }
}

fn finish(report: &Report, path: Option<&Path>) -> anyhow::Result<()> {
    tell(&format!(
        "Proof    offered {} = committed {} + duplicate {} + conflicting {} + dead {}",
        report.offered,
        report.committed,
        report.duplicate,
        report.conflicting,
        report.dead_lettered
    ));
    tell(&format!(
        "Faults   {} of {} found, {} false issues",
        report.found(),
        report.faults.len(),
        report.false_issues.len()
    ));
    if let Some(path) = path {
        report.write(path)?;
        tell(&format!("Report   {}", path.display()));
    }
    anyhow::ensure!(report.identity_ok, "the counts do not add up: readings were lost or doubled");
    Ok(())
}

fn spec(options: &DemoOptions) -> anyhow::Result<FleetSpec> {
    let live_start = UtcTime::parse_rfc3339(LIVE_START).context("the demo's start")?;
    let live_s = match options.duration {
        Some(duration) => {
            i64::try_from(duration.as_secs())?.saturating_mul(i64::from(options.speed)).max(1)
        }
        None => OPEN_END_DAYS * 86_400,
    };
    Ok(FleetSpec {
        seed: options.seed,
        meters: options.meters,
        collectors: FleetSpec::collectors_for(options.meters),
        zone: ZONE.to_owned(),
        history_start: live_start.plus_seconds(-HISTORY_DAYS * 86_400),
        live_start,
        live_end: live_start.plus_seconds(live_s),
    })
}

fn configure(mut config: Config, options: &DemoOptions, broker: u16) -> anyhow::Result<Config> {
    config.utility.name = "Demo utility".to_owned();
    config.utility.zone = jiff::tz::TimeZone::get(ZONE).context("the demo's zone")?;
    config.mqtt.url = BrokerUrl { host: "127.0.0.1".to_owned(), port: broker };
    config.mqtt.client_id = "headend-demo".to_owned();
    config.mqtt.subscriptions = vec![
        SubscriptionConfig::bundles(),
        SubscriptionConfig {
            filter: "amr/+/rtlamr".to_owned(),
            format: protocols::Format::Rtlamr,
            zone: None,
            collector_level: Some(2),
            mapping: None,
            options: protocols::DecodeOptions::default(),
        },
    ];
    config.console.listen = SocketAddr::from((Ipv4Addr::LOCALHOST, options.port));
    Ok(config)
}

/// The usual port may be taken by another program; one that was asked for may not.
fn console_port(asked: u16) -> Result<u16, Failure> {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, asked)) {
        Ok(_) => Ok(asked),
        Err(_) if asked == PORT => Ok(0),
        Err(error) => {
            let what = format!(
                "cannot listen on 127.0.0.1:{asked}: name another port with --port, 0 for any \
                 that is free"
            );
            Err(Failure::because(Exit::Io, what, error))
        }
    }
}

fn stop_on_signal() -> watch::Receiver<bool> {
    let (tell, stop) = watch::channel(false);
    tokio::spawn(async move {
        if stop_signal().await.is_ok() {
            tell.send_replace(true);
        }
    });
    stop
}

fn tell(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Says on a terminal how far history has come.
struct Progress {
    from: UtcTime,
    total_s: i64,
    shown: bool,
}

impl Progress {
    fn new(spec: &FleetSpec) -> Self {
        Self {
            from: spec.history_start,
            total_s: spec.live_start.seconds_since(spec.history_start).max(1),
            shown: std::io::stderr().is_terminal(),
        }
    }

    fn show(&self, now: UtcTime) {
        if self.shown {
            let percent = 100 * now.seconds_since(self.from) / self.total_s;
            let end = if percent >= 100 { "\r\x1b[K" } else { "" };
            let _ = write!(std::io::stderr(), "\rHistory  {percent} %{end}");
        }
    }
}

/// The directory of the demo's database.
struct Place {
    path: PathBuf,
    own: bool,
}

impl Place {
    fn new(asked: Option<&Path>) -> anyhow::Result<Self> {
        let (path, own) = match asked {
            Some(path) => (path.to_owned(), false),
            None => {
                let name = format!("headend-demo-{}", std::process::id());
                (std::env::temp_dir().join(name), true)
            }
        };
        if !own && path.join("pg").exists() {
            let what = format!(
                "{} holds a database already, and a demo begins with an empty one: name another \
                 directory with --data-dir, or remove this one first",
                path.display()
            );
            return Err(Failure::new(Exit::Usage, what).into());
        }
        std::fs::create_dir_all(&path)
            .with_context(|| format!("make the directory {}", path.display()))?;
        place_of_data::mark_simulated(&path, ZONE, UTILITY)?;
        Ok(Self { path, own })
    }

    fn path(&self) -> &Path {
        &self.path
    }

    fn remove(&self) {
        if self.own {
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verbs::exit_of;

    #[test]
    fn a_taken_port_is_told_with_the_option_that_changes_it() {
        let holder = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = holder.local_addr().unwrap().port();
        let told = console_port(port).unwrap_err();
        assert_eq!(told.exit, Exit::Io);
        assert!(told.to_string().contains(&format!("127.0.0.1:{port}")), "{told}");
        assert!(told.to_string().contains("--port"), "{told}");
        assert_eq!(console_port(0).unwrap(), 0);
    }

    #[test]
    fn a_directory_that_holds_a_database_is_a_mistake_of_the_command_line() {
        let dir = std::env::temp_dir().join(format!("headend-demo-place-{}", std::process::id()));
        std::fs::create_dir_all(dir.join("pg")).unwrap();
        let told = Place::new(Some(&dir)).err().unwrap();
        let _ = std::fs::remove_dir_all(&dir);
        assert_eq!(exit_of(&told), Exit::Usage);
        assert!(told.to_string().contains("--data-dir"), "{told}");
    }
}
