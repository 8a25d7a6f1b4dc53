//! The one loop that publishes what is simulated, as fast or as slow as was asked.

use std::time::Duration;

use anyhow::Context as _;
use metering::UtcTime;
use simulators::{Fleet, HeardFleet, SimMessage};
use tokio::net::TcpStream;

use crate::clock::{Clock as _, SystemClock};
use crate::config::BrokerUrl;
use crate::demo::SimPublisher;
use crate::output::remark;
use crate::verbs::{Exit, Failure, SimulateOptions};

/// Simulated time of one look at the senders.
const STEP_S: i64 = 15;
const FAST_STEP_S: i64 = 3_600;
/// A broker that does not take a connection within this is not there.
const BROKER_WAIT: Duration = Duration::from_secs(5);

/// Whoever gives the messages of a stretch of time.
pub(super) trait Sends {
    /// Those of `from..to` in the order in which they are sent; one stretch follows the other.
    ///
    /// # Errors
    /// What belongs to them cannot be written down.
    fn messages(&mut self, from: UtcTime, to: UtcTime) -> anyhow::Result<Vec<SimMessage>>;

    /// What is held back beyond the end of the last stretch.
    fn rest(&mut self) -> Vec<SimMessage> {
        Vec::new()
    }
}

impl Sends for Fleet {
    fn messages(&mut self, from: UtcTime, to: UtcTime) -> anyhow::Result<Vec<SimMessage>> {
        Ok(Self::messages(self, from, to))
    }
}

impl Sends for HeardFleet {
    fn messages(&mut self, from: UtcTime, to: UtcTime) -> anyhow::Result<Vec<SimMessage>> {
        Ok(Self::messages(self, from, to))
    }

    fn rest(&mut self) -> Vec<SimMessage> {
        Self::rest(self)
    }
}

/// The time that is simulated.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stretch {
    pub(super) start: UtcTime,
    pub(super) end: UtcTime,
}

impl Stretch {
    /// The last hours up to now, in whole steps of `grid_s`; at a speed, those that come.
    pub(super) fn of(options: &SimulateOptions, grid_s: i64) -> Self {
        let now = SystemClock::new().now().floor_to(grid_s);
        let length_s = i64::from(options.hours) * 3_600;
        let start = if options.speed() == 0 { now.plus_seconds(-length_s) } else { now };
        Self { start, end: start.plus_seconds(length_s) }
    }
}

/// Publishes all of the stretch, or up to the signal that ends the program; then says how much.
///
/// # Errors
/// No broker is named, it does not answer, or the senders cannot go on.
pub(super) async fn publish(
    options: &SimulateOptions,
    senders: &mut impl Sends,
    stretch: Stretch,
) -> anyhow::Result<()> {
    let Some(broker) = &options.broker else {
        let what = "these senders publish to a broker: name it by --broker HOST:PORT";
        return Err(Failure::new(Exit::Usage, what).into());
    };
    reachable(broker).await?;
    // Several simulations may share a broker.
    let name = format!("headend-simulate-{}", std::process::id());
    let mut publisher = SimPublisher::connect(&broker.host, broker.port, &name);
    let outcome = send(options.speed(), senders, &mut publisher, stretch).await;
    let sent = publisher.sent();
    publisher.stop().await;
    outcome.context("publish what is simulated")?;
    remark!("published {sent} messages");
    Ok(())
}

/// The publisher waits for a broker that comes back; one that was never there is a mistake.
async fn reachable(broker: &BrokerUrl) -> Result<(), Failure> {
    let connecting = TcpStream::connect((broker.host.as_str(), broker.port));
    let why = match tokio::time::timeout(BROKER_WAIT, connecting).await {
        Ok(Ok(_)) => return Ok(()),
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no answer in {} s", BROKER_WAIT.as_secs()),
    };
    let what = format!("no broker at {}:{}: {why}", broker.host, broker.port);
    Err(Failure::new(Exit::Unavailable, what))
}

async fn send(
    speed: u32,
    senders: &mut impl Sends,
    publisher: &mut SimPublisher,
    Stretch { start, end }: Stretch,
) -> anyhow::Result<()> {
    let fast = speed == 0;
    let step_s = if fast { FAST_STEP_S } else { STEP_S };
    let real = Duration::from_secs(u64::try_from(step_s)?) / speed.max(1);
    let mut pace = tokio::time::interval(real.max(Duration::from_millis(1)));
    let mut stop = std::pin::pin!(crate::app::stop_signal());
    let mut now = start;
    while now < end {
        if !fast {
            tokio::select! {
                _ = pace.tick() => {}
                outcome = &mut stop => {
                    outcome?;
                    break;
                }
            }
        }
        let to = now.plus_seconds(step_s).min(end);
        publisher.send(senders.messages(now, to)?).await?;
        now = to;
    }
    if fast {
        publisher.send(senders.rest()).await?;
    }
    publisher.flush().await
}
