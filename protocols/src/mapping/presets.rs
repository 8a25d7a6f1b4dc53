//! Descriptions of devices that many have, shipped with the program.

use super::Mapping;

/// A shipped description.
#[derive(Clone, Copy, Debug)]
pub struct Preset {
    pub name: &'static str,
    pub text: &'static str,
}

const PRESETS: &[Preset] = &[
    Preset { name: "zigbee2mqtt", text: include_str!("presets/zigbee2mqtt.toml") },
    Preset { name: "esphome-energy", text: include_str!("presets/esphome-energy.toml") },
    Preset { name: "tasmota-tic", text: include_str!("presets/tasmota-tic.toml") },
    Preset { name: "dsmr-json", text: include_str!("presets/dsmr-json.toml") },
    Preset { name: "simulated-lora", text: include_str!("presets/simulated-lora.toml") },
    Preset { name: "open-dtu", text: include_str!("presets/open-dtu.toml") },
];

/// All shipped descriptions.
pub const fn presets() -> &'static [Preset] {
    PRESETS
}

impl Preset {
    pub fn find(name: &str) -> Option<Self> {
        PRESETS.iter().find(|preset| preset.name == name).copied()
    }

    /// The description, ready for use; a test parses all of them.
    pub fn mapping(self) -> Option<Mapping> {
        Mapping::parse(self.text).ok()
    }
}
