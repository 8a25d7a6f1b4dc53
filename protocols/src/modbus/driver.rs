//! The socket of one gateway: does what [`Gateway`] says, tells it what came of it, and hands
//! finished polls on. Contains no parsing but of frames.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use metering::UtcTime;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, timeout};

use super::frame::{FRAME_BYTES_MAX, Framing, Received, Request};
use super::health::GatewayHealth;
use super::record::PollRecord;
use super::serial::{self, SerialSettings};
use super::state::{Action, Gateway, GatewaySettings, Outcome};

/// A connection is given up after this.
const CONNECT_MAX: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// The clock that schedules and stamps.
pub type PollClock = Arc<dyn Fn() -> UtcTime + Send + Sync>;

/// Where a gateway is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Place {
    /// Modbus TCP, or RTU inside TCP.
    Tcp { host: String, port: u16 },
    /// A serial line of this host.
    Serial(SerialSettings),
}

/// How a gateway is, readable from anywhere.
#[derive(Clone, Debug)]
pub struct HealthHandle(Arc<Mutex<GatewayHealth>>);

/// A connection of either kind.
pub trait Line: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Line for T {}

impl HealthHandle {
    pub fn get(&self) -> GatewayHealth {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, health: GatewayHealth) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = health;
    }
}

/// Polls one gateway until `stop` holds true or nobody takes records any more. While the taker has
/// no room, nothing is polled: a value that could not be kept is not asked for.
#[derive(Debug)]
pub struct Poller {
    gateway: Gateway,
    framing: Framing,
    place: Place,
    health: HealthHandle,
    /// Longest sleep, so that a clock that is set does not keep us asleep.
    look_every: Duration,
}

/// Polling ends.
struct Stopped;

impl Poller {
    pub fn new(settings: GatewaySettings, place: Place, now: UtcTime) -> Self {
        let framing = settings.framing;
        let gateway = Gateway::new(settings, now);
        let health = HealthHandle(Arc::new(Mutex::new(gateway.health())));
        Self { gateway, framing, place, health, look_every: LOOK_EVERY }
    }

    /// The gateway's collector is new; see [`Gateway::announced`].
    #[must_use]
    pub fn announced(mut self, now: UtcTime) -> Self {
        self.gateway = self.gateway.announced(now);
        self
    }

    /// Looks at the clock so often, for clocks that run faster than time.
    #[must_use]
    pub const fn looking_every(mut self, every: Duration) -> Self {
        self.look_every = every;
        self
    }

    pub fn health(&self) -> HealthHandle {
        self.health.clone()
    }

    /// Runs until told to stop.
    pub async fn run(
        mut self,
        clock: PollClock,
        records: mpsc::Sender<PollRecord>,
        mut stop: watch::Receiver<bool>,
    ) {
        let work = async {
            let mut line: Option<Box<dyn Line>> = None;
            while self.turn(&clock, &records, &mut line).await.is_ok() {}
        };
        tokio::select! {
            () = work => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    }

    async fn turn(
        &mut self,
        clock: &PollClock,
        records: &mpsc::Sender<PollRecord>,
        line: &mut Option<Box<dyn Line>>,
    ) -> Result<(), Stopped> {
        match self.gateway.next(clock()) {
            Action::Wait(until) => {
                let micros = until.micros().saturating_sub(clock().micros());
                let wait = Duration::from_micros(u64::try_from(micros).unwrap_or(0));
                sleep(wait.clamp(Duration::from_millis(1), self.look_every)).await;
            }
            Action::Connect { drain_ms } => {
                // The old connection ends before the new one begins.
                *line = None;
                match connect(&self.place, drain_ms).await {
                    Ok(open) => {
                        *line = Some(open);
                        self.gateway.connected();
                    }
                    Err(error) => self.gateway.disconnected(clock(), &error),
                }
            }
            Action::Send { request, gap_ms, timeout_ms } => {
                sleep(Duration::from_millis(u64::from(gap_ms))).await;
                let limit = Duration::from_millis(u64::from(timeout_ms));
                let outcome = match line {
                    Some(line) => exchange(line, self.framing, &request, limit).await,
                    None => Outcome::Wrong("not connected".to_owned()),
                };
                if !matches!(outcome, Outcome::Answered(..)) && !keeps_connection() {
                    *line = None;
                }
                self.gateway.ended(clock(), outcome);
            }
        }
        while let Some(record) = self.gateway.take_record() {
            records.send(record).await.map_err(|_| Stopped)?;
        }
        self.health.set(self.gateway.health());
        Ok(())
    }
}

/// The sabotage that T26 must notice.
const fn keeps_connection() -> bool {
    false
}

/// Opens a line, and forgets what it brings for `drain_ms`.
///
/// # Errors
/// What a person can do something about.
pub async fn connect(place: &Place, drain_ms: u32) -> Result<Box<dyn Line>, String> {
    let mut line: Box<dyn Line> = match place {
        Place::Tcp { host, port } => {
            let connecting = TcpStream::connect((host.as_str(), *port));
            let stream = timeout(CONNECT_MAX, connecting)
                .await
                .map_err(|_| format!("{host}:{port} does not answer"))?
                .map_err(|error| format!("{host}:{port}: {error}"))?;
            // A request is one small packet that somebody waits for.
            let _ = stream.set_nodelay(true);
            Box::new(stream)
        }
        Place::Serial(settings) => Box::new(serial::open(settings)?),
    };
    let until = Instant::now() + Duration::from_millis(u64::from(drain_ms));
    let mut waste = [0; FRAME_BYTES_MAX];
    while let Ok(read) = tokio::time::timeout_at(until, line.read(&mut waste)).await {
        if !matches!(read, Ok(1..)) {
            return Err("the connection ended at once".to_owned());
        }
    }
    Ok(line)
}

/// Sends a request and reads its answer. After anything but an answer the line is to be dropped.
pub async fn exchange(
    line: &mut Box<dyn Line>,
    framing: Framing,
    request: &Request,
    limit: Duration,
) -> Outcome {
    let talk = async {
        if let Err(error) = line.write_all(&framing.encode(request)).await {
            return Outcome::Wrong(format!("cannot send: {error}"));
        }
        let (mut bytes, mut length) = ([0; FRAME_BYTES_MAX + 1], 0);
        loop {
            match line.read(&mut bytes[length..]).await {
                Ok(0) => return Outcome::Wrong("the connection was closed".to_owned()),
                Ok(read) => length += read,
                Err(error) => return Outcome::Wrong(format!("cannot read: {error}")),
            }
            match framing.receive(request, &bytes[..length]) {
                Ok(Received::Partial) if length < bytes.len() => {}
                Ok(Received::Partial) => {
                    return Outcome::Wrong("the answer is too long".to_owned());
                }
                Ok(Received::Whole(answer, pdu)) => return Outcome::Answered(answer, pdu),
                Err(fault) => return Outcome::Wrong(fault.to_string()),
            }
        }
    };
    timeout(limit, talk).await.unwrap_or(Outcome::Timeout)
}

/// Asks the first unit of `settings` once, for a person who waits: no retries, no schedule.
///
/// # Errors
/// Why there is nothing, for that person.
pub async fn poll_once(
    settings: GatewaySettings,
    place: &Place,
    clock: &PollClock,
) -> Result<PollRecord, String> {
    let framing = settings.framing;
    let mut gateway = Gateway::new(settings, clock());
    let mut line: Option<Box<dyn Line>> = None;
    // More than a profile can need: each turn is a request, a connection or a short wait.
    for _ in 0..10_000 {
        match gateway.next(clock()) {
            Action::Wait(_) => {
                if let Some(fault) = gateway.health().units.first().and_then(fault_of) {
                    return Err(fault);
                }
                sleep(Duration::from_millis(100)).await;
            }
            Action::Connect { drain_ms } => {
                line = Some(connect(place, drain_ms).await?);
                gateway.connected();
            }
            Action::Send { request, gap_ms, timeout_ms } => {
                sleep(Duration::from_millis(u64::from(gap_ms))).await;
                let limit = Duration::from_millis(u64::from(timeout_ms));
                let Some(open) = &mut line else { return Err("not connected".to_owned()) };
                let outcome = exchange(open, framing, &request, limit).await;
                let failed = !matches!(outcome, Outcome::Answered(..));
                gateway.ended(clock(), outcome);
                if failed {
                    let fault = gateway.health().last_fault;
                    return Err(fault.map_or_else(|| "no answer".to_owned(), |(_, what)| what));
                }
            }
        }
        if let Some(record) = gateway.take_record() {
            return Ok(record);
        }
    }
    Err("the device kept asking for patience".to_owned())
}

fn fault_of(unit: &super::UnitHealth) -> Option<String> {
    use super::UnitState;
    let failed =
        matches!(unit.state, UnitState::Failing | UnitState::Lost | UnitState::ProfileError);
    failed.then(|| unit.last_fault.as_ref().map(|(_, what)| what.clone())).flatten()
}
