//! What the long-running verbs were asked to do.

use std::path::PathBuf;
use std::time::Duration;

use super::exit::{Exit, Failure};
use crate::config::BrokerUrl;
use crate::output::OutputFormat;
use crate::simulate::modbus::{BusOptions, ModbusSimOptions};

/// `headend demo`.
#[derive(Clone, Debug)]
pub struct DemoOptions {
    pub meters: u32,
    /// The same seed gives the same readings, faults and issues.
    pub seed: u64,
    /// Simulated seconds in a real one, once history is there.
    pub speed: u32,
    /// Real time that the live part takes; `None`: until it is stopped.
    pub duration: Option<Duration>,
    /// Port of the console on 127.0.0.1; 0: any that is free.
    pub port: u16,
    /// `None`: a fresh directory that is removed at the end.
    pub data_dir: Option<PathBuf>,
    pub report: Option<PathBuf>,
}

/// `headend simulate`.
#[derive(Clone, Debug)]
pub struct SimulateOptions {
    pub kind: SimKind,
    /// Where it publishes; a bus has none.
    pub broker: Option<BrokerUrl>,
    pub seed: u64,
    /// `None`: what the kind has.
    pub meters: Option<u32>,
    /// Simulated hours that are published.
    pub hours: u32,
    /// Simulated seconds in a real one; 0: as fast as the broker takes them; `None`: what the kind
    /// has.
    pub speed: Option<u32>,
    /// Where the truth file goes.
    pub truth: Option<PathBuf>,
    /// Where the provisioning file of the fleet goes.
    pub provision_out: Option<PathBuf>,
    /// The folder that files are written into.
    pub out: Option<PathBuf>,
    pub bus: BusOptions,
}

impl SimulateOptions {
    const METERS: u32 = 200;
    const UNITS: u8 = 4;

    pub fn meters(&self) -> u32 {
        self.meters.unwrap_or(Self::METERS)
    }

    /// Of senders to a broker.
    pub fn speed(&self) -> u32 {
        self.speed.unwrap_or(0)
    }

    /// As `headend modbus simulate` takes them.
    ///
    /// # Errors
    /// More meters than a bus has addresses for.
    pub fn bus(&self) -> Result<ModbusSimOptions, Failure> {
        let units = self.meters.map_or(Ok(Self::UNITS), u8::try_from);
        let units = units.ok().filter(|units| *units <= ModbusSimOptions::UNITS_MAX);
        let units = units.ok_or_else(|| {
            let most = ModbusSimOptions::UNITS_MAX;
            Failure::new(Exit::Usage, format!("a bus has {most} meters at most: --meters {most}"))
        })?;
        Ok(ModbusSimOptions {
            bus: self.bus,
            units,
            seed: self.seed,
            speed: self.speed.unwrap_or(1),
            provision_out: self.provision_out.clone(),
        })
    }
}

/// What is simulated.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum SimKind {
    /// Meters and collectors that send bundles and radio telegrams, with faults for the rules.
    Fleet,
    /// ERT and R900 telegrams as several collectors hear them.
    Amr,
    /// Undecoded Wireless M-Bus telegrams, plain and encrypted.
    Wmbus,
    /// Plugs with Tasmota.
    Tasmota,
    /// Shelly meters of the second generation.
    Shelly,
    /// Readers with amsreader on customer ports.
    Amsreader,
    /// P1 telegrams as DSMR 5 meters send them.
    P1,
    /// Water meters behind a ChirpStack v4 server; needs a mapping of the decoded object.
    Chirpstack,
    /// Water meters behind The Things Stack v3; needs a mapping of the decoded object.
    #[value(name = "the_things")]
    TheThings,
    /// Meters with JSON of their own; needs a mapping.
    Json,
    /// Sparkplug B edge nodes with meters behind them.
    Sparkplug,
    /// A bus of Eastron SDM630 behind a TCP port, which is asked and publishes nothing.
    Modbus,
    /// An agent that writes NEM12 files into a folder: late, repeated, overlapping and cut ones.
    Nem12,
    /// The same agent with CMEP files, whose times are local: of the zone Australia/Brisbane.
    Cmep,
}

/// `headend bench ingest`.
#[derive(Clone, Debug)]
pub struct BenchOptions {
    pub readings: u64,
    pub meters: u32,
    /// Readings of each transaction.
    pub batch_rows: u32,
    /// Single-reading messages that go through the broker; 0 leaves that part out.
    pub messages: u64,
    /// `None`: the program's own broker.
    pub broker: Option<BrokerUrl>,
    /// `None`: a fresh directory that is removed at the end.
    pub data_dir: Option<PathBuf>,
    pub output: OutputFormat,
}
