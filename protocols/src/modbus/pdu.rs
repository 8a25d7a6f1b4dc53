//! The two requests that a head-end makes, and what a device answers (Modbus Application Protocol
//! V1.1b3, 6.3 and 6.4, 7). Nothing here can write to a device.

use std::fmt;

/// The standard's limit of one read, in registers.
pub const REGISTERS_MAX: u16 = 125;

/// Which table is read. Writing functions are not implemented.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Function {
    /// 03, holding registers.
    Holding = 3,
    /// 04, input registers.
    Input = 4,
}

/// A read of consecutive registers; `address` counts from 0 as on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ReadRequest {
    pub function: Function,
    pub address: u16,
    /// 1 to [`REGISTERS_MAX`].
    count: u16,
}

/// What a device said; both are answers, the link is well.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    Registers(Vec<u16>),
    Exception(Exception),
}

/// An exception code as sent (7).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Exception(pub u8);

/// What an exception asks of us.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ExceptionKind {
    /// 1, 2, 3: the device has no such function or register. Asking again does not help.
    Profile,
    /// 4: the device failed; later.
    Device,
    /// 5, 6: it is busy; soon.
    Busy,
    /// 10, 11: the gateway does not reach the unit.
    Gateway,
    Other,
}

impl Function {
    pub const fn code(self) -> u8 {
        self as u8
    }

    pub const fn of_code(code: u8) -> Option<Self> {
        match code {
            3 => Some(Self::Holding),
            4 => Some(Self::Input),
            _ => None,
        }
    }
}

impl ReadRequest {
    /// `None` unless 1 to 125 registers are asked for, all below 65536.
    pub fn new(function: Function, address: u16, count: u16) -> Option<Self> {
        let last = address.checked_add(count.checked_sub(1)?)?;
        (count <= REGISTERS_MAX && last >= address).then_some(Self { function, address, count })
    }

    pub const fn count(&self) -> u16 {
        self.count
    }

    /// First address behind the read.
    pub fn end(&self) -> u32 {
        u32::from(self.address) + u32::from(self.count)
    }

    /// Function, address and count, big-endian.
    pub fn pdu(&self) -> [u8; 5] {
        let ([a, b], [c, d]) = (self.address.to_be_bytes(), self.count.to_be_bytes());
        [self.function.code(), a, b, c, d]
    }

    /// Reads [`ReadRequest::pdu`] back.
    pub fn of_pdu(pdu: &[u8]) -> Option<Self> {
        let &[code, a, b, c, d] = pdu else { return None };
        let (address, count) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
        Self::new(Function::of_code(code)?, address, count)
    }
}

impl Exception {
    pub const fn kind(self) -> ExceptionKind {
        match self.0 {
            1..=3 => ExceptionKind::Profile,
            4 => ExceptionKind::Device,
            5 | 6 => ExceptionKind::Busy,
            10 | 11 => ExceptionKind::Gateway,
            _ => ExceptionKind::Other,
        }
    }
}

impl fmt::Display for Exception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.0 {
            1 => "illegal function",
            2 => "illegal data address",
            3 => "illegal data value",
            4 => "server device failure",
            5 => "acknowledge",
            6 => "server device busy",
            8 => "memory parity error",
            10 => "gateway path unavailable",
            11 => "gateway target did not respond",
            _ => "unknown",
        };
        write!(f, "exception {} ({name})", self.0)
    }
}

impl fmt::Display for ReadRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (code, address, count) = (self.function.code(), self.address, self.count);
        write!(f, "function {code:02}, {count} registers from {address:#06X}")
    }
}
