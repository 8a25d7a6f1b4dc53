//! `headend modbus`: what can be typed.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::cli::Output;
use crate::config::GatewayAddress;
use crate::simulate::modbus::{BusFaults, BusOptions, ModbusSimOptions};

#[derive(Debug, Subcommand)]
pub(super) enum ModbusVerb {
    /// Finds out which profile fits a device, and prints what it shows.
    #[command(before_help = "Example:  headend modbus probe 192.0.2.7:502 --unit 1")]
    Probe {
        #[command(flatten)]
        device: DeviceArgs,
        /// Tries this profile alone: a name of `headend modbus profiles`, or a file of one's own.
        #[arg(long, value_name = "NAME|FILE.toml")]
        profile: Option<String>,
        #[command(flatten)]
        output: Output,
    },
    /// Reads a device once: by a profile, or bare registers.
    #[command(before_help = "Example:  headend modbus read 192.0.2.7:502 --unit 1 \
                             --profile eastron-sdm630\n          headend modbus read \
                             rtutcp://192.0.2.8:4001 --unit 3 --address 0x48 --count 2")]
    Read {
        #[command(flatten)]
        device: DeviceArgs,
        /// What device it is: a name of `headend modbus profiles`, or a file of one's own. This or
        /// --address must be given.
        #[arg(long, value_name = "NAME|FILE.toml")]
        profile: Option<String>,
        /// First register, from 0, decimal or 0x...
        #[arg(long, value_name = "REGISTER", conflicts_with = "profile", value_parser = register)]
        address: Option<u16>,
        /// So many registers.
        #[arg(long, default_value_t = 1, requires = "address",
              value_parser = clap::value_parser!(u16).range(1..=125))]
        count: u16,
        /// 3 holding, 4 input registers.
        #[arg(long, default_value_t = 4, requires = "address",
              value_parser = clap::value_parser!(u8).range(3..=4))]
        function: u8,
        #[command(flatten)]
        output: Output,
    },
    /// Checks profile files: every key, and the frames that each carries.
    #[command(before_help = "Example:  headend modbus check my-meter.toml")]
    Check {
        #[arg(required = true, value_name = "FILE.toml")]
        files: Vec<PathBuf>,
    },
    /// A simulated bus of Eastron SDM630 meters behind a TCP port, with faults as asked.
    #[command(before_help = "Example:  headend modbus simulate --listen 127.0.0.1:1502 --units 4 \
                             --late-every 20")]
    Simulate(SimulateBusArgs),
    /// Lists the profiles that can be named.
    #[command(before_help = "Example:  headend modbus profiles")]
    Profiles {
        #[command(flatten)]
        output: Output,
    },
}

/// A device on a bus.
#[derive(Debug, Args)]
pub(super) struct DeviceArgs {
    /// HOST:PORT of Modbus TCP, rtutcp://HOST:PORT, or a serial line such as /dev/ttyUSB0 (19200
    /// baud, even parity).
    #[arg(value_name = "ADDRESS", value_parser = gateway)]
    pub(super) gateway: GatewayAddress,
    /// Its address on the bus.
    #[arg(long)]
    pub(super) unit: u8,
    /// An answer is waited for so long, in milliseconds.
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u32).range(50..=60_000))]
    pub(super) timeout: Option<u32>,
}

fn gateway(text: &str) -> Result<GatewayAddress, String> {
    if text.contains("://") || text.starts_with('/') {
        text.parse()
    } else {
        format!("tcp://{text}").parse()
    }
}

fn register(text: &str) -> Result<u16, String> {
    let read = match text.strip_prefix("0x") {
        Some(hex) => u16::from_str_radix(hex, 16),
        None => text.parse(),
    };
    read.map_err(|_| format!("`{text}` is no register: write 0 to 65535 or 0x0000 to 0xFFFF"))
}

#[derive(Debug, Args)]
pub(super) struct SimulateBusArgs {
    #[command(flatten)]
    bus: BusArgs,
    /// Units 1 to this answer.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=200))]
    units: u8,
    /// The same seed gives the same meters.
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Simulated seconds in one second: how fast the meters count.
    #[arg(long, default_value_t = 1)]
    speed: u32,
    /// Writes the meters as a file for `headend meters provision`, behind a gateway `gw1`.
    #[arg(long, value_name = "FILE.csv")]
    provision_out: Option<PathBuf>,
}

/// Where a simulated bus is, and what goes wrong on it.
#[derive(Debug, Args)]
pub(super) struct BusArgs {
    /// Where it listens; port 0 takes any that is free.
    #[arg(long, default_value = "127.0.0.1:1502")]
    listen: std::net::SocketAddr,
    /// RTU frames inside TCP, as cheap gateways have them; else Modbus TCP.
    #[arg(long)]
    rtu: bool,
    /// Every so many answers, one comes late; 0: none.
    #[arg(long, value_name = "N", default_value_t = 0)]
    late_every: u32,
    /// How late, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 2_000)]
    late_ms: u32,
    /// Every so many answers, one is lost; 0: none.
    #[arg(long, value_name = "N", default_value_t = 0)]
    drop_every: u32,
    /// Every so many answers, one comes in place of the next; 0: none.
    #[arg(long, value_name = "N", default_value_t = 0)]
    swap_every: u32,
    /// Every so many answers, one names another unit; 0: none.
    #[arg(long, value_name = "N", default_value_t = 0)]
    wrong_unit_every: u32,
}

impl BusArgs {
    pub(super) const fn options(&self) -> BusOptions {
        BusOptions {
            listen: self.listen,
            rtu: self.rtu,
            faults: BusFaults {
                late_every: self.late_every,
                late_ms: self.late_ms,
                drop_every: self.drop_every,
                swap_every: self.swap_every,
                wrong_unit_every: self.wrong_unit_every,
            },
        }
    }
}

impl SimulateBusArgs {
    pub(super) fn options(&self) -> ModbusSimOptions {
        ModbusSimOptions {
            bus: self.bus.options(),
            units: self.units,
            seed: self.seed,
            speed: self.speed,
            provision_out: self.provision_out.clone(),
        }
    }
}
