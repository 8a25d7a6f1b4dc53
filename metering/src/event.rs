//! What a meter or a collector reports about itself (CIM `EndDeviceEvent`).

use std::fmt;
use std::str::FromStr;

use crate::ids::Subject;
use crate::time::UtcTime;

macro_rules! event_codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $text:literal;)*) => {
        /// A kind of event. The numbers travel in log frames and are never reused.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[repr(u16)]
        pub enum EventCode { $($(#[$doc])* $name = $number),* }

        impl EventCode {
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Stable text, as stored and exported.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }

            pub const fn from_number(number: u16) -> Option<Self> {
                match number { $($number => Some(Self::$name),)* _ => None }
            }
        }
    };
}

event_codes! {
    /// A flag without a mapping; its text is in the event's detail.
    MeterFlag = 1, "meter_flag";
    BatteryLow = 2, "battery_low";
    Tamper = 3, "tamper";
    CoverOpened = 4, "cover_opened";
    MagneticField = 5, "magnetic_field";
    Leak = 6, "leak";
    Burst = 7, "burst";
    ReverseFlow = 8, "reverse_flow";
    Dry = 9, "dry";
    NoFlow = 10, "no_flow";
    ClockError = 11, "clock_error";
    PowerFail = 12, "power_fail";
    PowerRestore = 13, "power_restore";
    LastGasp = 14, "last_gasp";
    /// No register is connected to the radio module.
    RegisterDisconnected = 15, "register_disconnected";
    HardwareFault = 16, "hardware_fault";
    HardwareWarning = 17, "hardware_warning";
    /// A collector says that it is alive.
    Heartbeat = 18, "heartbeat";
    ConfigChanged = 19, "config_changed";
    /// Found by us: the counter rolled over (REG-ROLL).
    RegisterRollover = 20, "register_rollover";
    /// Found by us: the counter fell (REG-DEC).
    RegisterDecrease = 21, "register_decrease";
    /// Found by us: the counter restarted near zero without a known reason (MTR-RESET).
    RegisterReset = 22, "register_reset";
    /// Found by us: another value for a key that is already stored.
    ValueChanged = 23, "value_changed";
    /// Flow right now although the window of the register says leak (R900 LeakNow).
    LeakNow = 24, "leak_now";
    /// The device's own statement that a former event ended.
    Cleared = 25, "cleared";
    SwitchOpened = 26, "switch_opened";
    SwitchClosed = 27, "switch_closed";
    ValveClosed = 28, "valve_closed";
    ValveOpened = 29, "valve_opened";
    Tilt = 30, "tilt";
    TerminalCoverOpened = 31, "terminal_cover_opened";
    CableCut = 32, "cable_cut";
    ReverseRotation = 33, "reverse_rotation";
    WrongPassword = 34, "wrong_password";
    AirInPipe = 35, "air_in_pipe";
    PressureFault = 36, "pressure_fault";
    /// Memory, CRC or watchdog error of the meter.
    MemoryError = 37, "memory_error";
    TestMode = 38, "test_mode";
    /// The register sent no read or a digit that stands still.
    InvalidRead = 39, "invalid_read";
    /// Load side current although the register stands still.
    LoadSideCurrent = 40, "load_side_current";
    /// Someone asked the meter and got no answer.
    PingFailed = 41, "ping_failed";
    /// Another device number or maker in the telegram than in the asset record; also one serial at
    /// two places.
    IdentityChanged = 42, "identity_changed";
    /// Ambient temperature in hundredths of a degree C, in `detail`.
    AmbientTemperature = 43, "ambient_temperature";
    /// Loaded battery voltage in mV, in `detail`.
    BatteryVoltage = 44, "battery_voltage";
    /// The meter's own estimate of remaining battery life in days, in `detail`.
    BatteryDays = 45, "battery_days";
    /// Found by us: the device's clock is off by the last change of the local clock (ING-DST);
    /// seconds in `detail`, 0 when it is right again.
    DstShift = 46, "dst_shift";
    /// The device's link to its network is up: a broker's last will or a join says so.
    LinkUp = 47, "link_up";
    /// The device's link to its network ended; it is silent, not heard.
    LinkDown = 48, "link_down";
    /// The device says that its counter began anew; since when is in `detail`.
    CounterRestarted = 49, "counter_restarted";
    /// Who walked the route did not read the meter; why is in `detail`.
    ReadSkipped = 50, "read_skipped";
    /// What who walked the route wrote down at the meter, in `detail`.
    ReaderNote = 51, "reader_note";
}

impl EventCode {
    pub const fn number(self) -> u16 {
        self as u16
    }
}

impl fmt::Display for EventCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The text names no event.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("`{0}` is no event code")]
pub struct EventCodeError(String);

impl FromStr for EventCode {
    type Err = EventCodeError;

    fn from_str(text: &str) -> Result<Self, EventCodeError> {
        Self::ALL
            .iter()
            .find(|code| code.name() == text)
            .copied()
            .ok_or_else(|| EventCodeError(text.chars().take(60).collect()))
    }
}

/// An event of a known device. `seq` tells events of one instant apart.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MeterEvent {
    pub subject: Subject,
    pub occurred_at: UtcTime,
    pub code: EventCode,
    pub seq: i32,
    /// Raw status or text as sent, at most [`MeterEvent::DETAIL_BYTES_MAX`] bytes.
    pub detail: String,
}

impl MeterEvent {
    pub const DETAIL_BYTES_MAX: usize = 400;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_read_back_and_differ() {
        for code in EventCode::ALL {
            assert_eq!(code.name().parse::<EventCode>().unwrap(), *code);
            assert_eq!(EventCode::from_number(code.number()), Some(*code));
        }
        assert_eq!(EventCode::from_number(0), None);
    }
}
