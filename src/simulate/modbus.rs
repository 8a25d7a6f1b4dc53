//! A simulated Modbus bus behind a TCP port, with the faults that real gateways have.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
pub use simulators::modbus::BusFaults;
use simulators::modbus::{BusFraming, ModbusBus};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;

use crate::output::{remark, say};

/// Requests that wait to be read; whoever sends more at once is no master of a bus.
const INPUT_BYTES_MAX: usize = 4_096;
/// Time passes in the meters in steps of this.
const STEP: Duration = Duration::from_millis(250);

/// `headend simulate --kind modbus`, which is `headend modbus simulate`.
#[derive(Clone, Debug)]
pub struct ModbusSimOptions {
    pub bus: BusOptions,
    pub units: u8,
    pub seed: u64,
    /// Simulated seconds in a real one.
    pub speed: u32,
    pub provision_out: Option<std::path::PathBuf>,
}

impl ModbusSimOptions {
    pub const UNITS_MAX: u8 = 200;
}

/// Where the bus is, how it speaks, and what goes wrong on it.
#[derive(Clone, Copy, Debug)]
pub struct BusOptions {
    pub listen: SocketAddr,
    pub rtu: bool,
    pub faults: BusFaults,
}

/// Serves until stopped.
///
/// # Errors
/// The port is taken, or a file cannot be written.
pub async fn run(options: ModbusSimOptions) -> anyhow::Result<()> {
    let BusOptions { listen, rtu, faults } = options.bus;
    let framing = if rtu { BusFraming::Rtu } else { BusFraming::Tcp };
    let bus = ModbusBus::new(framing, options.units, options.seed, faults);
    if let Some(path) = &options.provision_out {
        std::fs::write(path, provisioning(options.units))
            .with_context(|| format!("write {}", path.display()))?;
    }
    let listener =
        TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
    let scheme = if rtu { "rtutcp" } else { "tcp" };
    let address = listener.local_addr().context("the address")?;
    say!("listening {scheme}://{address}, units 1 to {}, profile eastron-sdm630", options.units)?;
    let bus = Arc::new(Mutex::new(bus));
    let mut pace = tokio::time::interval(STEP);
    let mut stop = std::pin::pin!(crate::app::stop_signal());
    loop {
        tokio::select! {
            outcome = &mut stop => return outcome,
            _ = pace.tick() => {
                let seconds = STEP.as_secs_f64() * f64::from(options.speed);
                bus.lock().await.pass(seconds);
            }
            accepted = listener.accept() => {
                let (stream, _) = accepted.context("accept a connection")?;
                tokio::spawn(serve(stream, Arc::clone(&bus)));
            }
        }
    }
}

async fn serve(stream: TcpStream, bus: Arc<Mutex<ModbusBus>>) {
    let mut input = Vec::new();
    loop {
        if stream.readable().await.is_err() {
            return;
        }
        let mut chunk = [0; 512];
        match stream.try_read(&mut chunk) {
            Ok(0) => return,
            Ok(read) => input.extend_from_slice(&chunk[..read]),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => continue,
            Err(_) => return,
        }
        if input.len() > INPUT_BYTES_MAX {
            remark!("a client sent more than a bus can take");
            return;
        }
        // The bus is one: while an answer is late, nobody else is answered.
        let mut held = bus.lock().await;
        for answer in held.answer(&mut input) {
            tokio::time::sleep(Duration::from_millis(u64::from(answer.delay_ms))).await;
            if write(&stream, &answer.bytes).await.is_err() {
                return;
            }
        }
        drop(held);
    }
}

async fn write(stream: &TcpStream, mut bytes: &[u8]) -> std::io::Result<()> {
    while !bytes.is_empty() {
        stream.writable().await?;
        match stream.try_write(bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The meters as a file for `headend meters provision`, behind a gateway named `gw1`.
fn provisioning(units: u8) -> String {
    let mut text = "meter,source,commodity,class,field,reading_type,kind,unit,decimals,interval,\
                    contact_every\n"
        .to_owned();
    for unit in 1..=units {
        let meter = format!("M-{unit:03}");
        text += &format!(
            "{meter},modbus:gw1/{unit},electricity,small_commercial,energy_active_import_total,\
             energy_active_import,register,kWh,3,15m,1h\n\
             {meter},,,,energy_active_export_total,energy_active_export,register,kWh,3,15m,\n\
             {meter},,,,voltage_l1,voltage,instant,V,3,,\n"
        );
    }
    text
}
