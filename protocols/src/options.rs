//! What an operator says about a subscription's payloads beyond their format.

use std::str::FromStr;

/// Settings of one subscription that its decoder obeys. Each format says which ones it reads.
#[derive(Clone, Default, Debug)]
pub struct DecodeOptions {
    /// P1: what to do about the check sum.
    pub crc: CrcRule,
    /// P1: which of the two tariff registers is the low one.
    pub tariffs: TariffOrder,
    /// `LoRaWAN` servers: take messages that say `simulated: true`.
    pub accept_simulated: bool,
    /// Level of the topic, from 1, that names the device; `None`: the format's own rule.
    pub device_level: Option<u8>,
}

/// What a P1 telegram owes.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum CrcRule {
    /// A check sum that is there must be right; V2.2, V3 and Easymeter send none.
    #[default]
    WhenPresent,
    /// A telegram without one is refused too.
    Required,
    /// A wrong one makes the values suspect.
    Optional,
}

/// Which tariff `1-0:1.8.1` counts; the Netherlands and Belgium differ.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum TariffOrder {
    /// Tariff 1 is low (night), tariff 2 is high: the Netherlands.
    #[default]
    LowFirst,
    /// Tariff 1 is high (day), tariff 2 is low: Belgium.
    HighFirst,
}

impl DecodeOptions {
    pub const DEFAULT: Self = Self {
        crc: CrcRule::WhenPresent,
        tariffs: TariffOrder::LowFirst,
        accept_simulated: false,
        device_level: None,
    };
}

impl FromStr for CrcRule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "when_present" => Ok(Self::WhenPresent),
            "required" => Ok(Self::Required),
            "optional" => Ok(Self::Optional),
            other => Err(format!("`{other}` is none of when_present, required, optional")),
        }
    }
}

impl FromStr for TariffOrder {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "low_first" => Ok(Self::LowFirst),
            "high_first" => Ok(Self::HighFirst),
            other => Err(format!("`{other}` is none of low_first, high_first")),
        }
    }
}
