//! A bus of simulated Modbus meters (the registers of an Eastron SDM630) behind a TCP or
//! RTU-over-TCP gateway that loses, delays and mixes up answers as asked. Sans-io: bytes in, answers
//! with their delay out. Its framing is its own; it shares none with the poller that it tests.

use std::collections::BTreeMap;

use crate::rng::{Purpose, Stream};

/// How the gateway speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BusFraming {
    Tcp,
    Rtu,
}

/// What goes wrong; each `n` is every nth answer, 0 never.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct BusFaults {
    /// Comes after `late_ms`.
    pub late_every: u32,
    pub late_ms: u32,
    /// Never comes.
    pub drop_every: u32,
    /// Is held back and sent in place of the next one.
    pub swap_every: u32,
    /// Comes from the next unit.
    pub wrong_unit_every: u32,
}

/// One answer on its way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BusAnswer {
    pub delay_ms: u32,
    pub bytes: Vec<u8>,
}

/// The meters of one bus.
#[derive(Debug)]
pub struct ModbusBus {
    framing: BusFraming,
    faults: BusFaults,
    units: BTreeMap<u8, SimUnit>,
    answers: u32,
    held: Option<Vec<u8>>,
}

/// One meter, in the units of its display.
#[derive(Debug)]
struct SimUnit {
    serial: u32,
    watts: f32,
    volts: [f32; 3],
    /// Energies in Wh, since f32 kWh would lose steps.
    import_wh: f64,
    export_wh: f64,
}

/// Input registers that exist: 0x0000 to here.
const INPUT_END: u32 = 0x0180;
const SERIAL_AT: u16 = 0xFC00;

impl ModbusBus {
    /// Units 1 to `units`, drawn by `seed`.
    pub fn new(framing: BusFraming, units: u8, seed: u64, faults: BusFaults) -> Self {
        let one = |unit: u8| {
            let mut rng = Stream::new(seed, Purpose::Layout, usize::from(unit), 0);
            let volts = [0, 1, 2].map(|_| single(rng.real(225.0, 235.0)));
            let sim = SimUnit {
                serial: 21_000_000 + u32::from(unit),
                watts: single(rng.real(200.0, 3_200.0)),
                volts,
                import_wh: rng.real(0.0, 20_000_000.0),
                export_wh: rng.real(0.0, 500_000.0),
            };
            (unit, sim)
        };
        let units = (1..=units).map(one).collect();
        Self { framing, faults, units, answers: 0, held: None }
    }

    /// Lets time pass: meters count.
    pub fn pass(&mut self, seconds: f64) {
        for unit in self.units.values_mut() {
            unit.import_wh += f64::from(unit.watts) * seconds / 3_600.0;
        }
    }

    /// Serial number, import and export in kWh as the registers show them.
    pub fn truth(&self, unit: u8) -> Option<(u32, f32, f32)> {
        self.units.get(&unit).map(|u| (u.serial, kwh(u.import_wh), kwh(u.export_wh)))
    }

    /// Takes whole requests off the front of `bytes` and answers them. What no gateway can read is
    /// thrown away with all that follows it.
    pub fn answer(&mut self, bytes: &mut Vec<u8>) -> Vec<BusAnswer> {
        let mut out = Vec::new();
        while let Some((request, length)) = self.request(bytes) {
            bytes.drain(..length);
            out.extend(request.and_then(|request| self.one(&request)));
        }
        out
    }

    /// The first request with its length; `(None, n)`: n bytes of nothing.
    fn request(&self, bytes: &[u8]) -> Option<(Option<Request>, usize)> {
        let word = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
        match self.framing {
            BusFraming::Tcp => {
                if bytes.len() < 12 {
                    return None;
                }
                let good = word(2) == 0 && word(4) == 6;
                let request = Request {
                    transaction: word(0),
                    unit: bytes[6],
                    function: bytes[7],
                    address: word(8),
                    count: word(10),
                };
                Some(if good { (Some(request), 12) } else { (None, bytes.len()) })
            }
            BusFraming::Rtu => {
                if bytes.len() < 8 {
                    return None;
                }
                let good = crc(&bytes[..6]).to_le_bytes() == bytes[6..8];
                let request = Request {
                    transaction: 0,
                    unit: bytes[0],
                    function: bytes[1],
                    address: word(2),
                    count: word(4),
                };
                Some(if good { (Some(request), 8) } else { (None, bytes.len()) })
            }
        }
    }

    fn one(&mut self, request: &Request) -> Option<BusAnswer> {
        let unit = self.units.get(&request.unit)?;
        let pdu = unit.pdu(request);
        self.answers = self.answers.wrapping_add(1);
        let nth = |every: u32| every > 0 && self.answers.is_multiple_of(every);
        let faults = self.faults;
        let from = if nth(faults.wrong_unit_every) { request.unit + 1 } else { request.unit };
        let bytes = self.framed(request, from, &pdu);
        if nth(faults.drop_every) {
            return None;
        }
        if nth(faults.swap_every) && self.held.is_none() {
            self.held = Some(bytes);
            return None;
        }
        let bytes = match self.held.take() {
            // The older one first; this one is lost.
            Some(older) => older,
            None => bytes,
        };
        let delay_ms = if nth(faults.late_every) { faults.late_ms } else { 0 };
        Some(BusAnswer { delay_ms, bytes })
    }

    fn framed(&self, request: &Request, unit: u8, pdu: &[u8]) -> Vec<u8> {
        let mut frame = Vec::with_capacity(pdu.len() + 9);
        match self.framing {
            BusFraming::Tcp => {
                frame.extend(request.transaction.to_be_bytes());
                frame.extend([0, 0]);
                let length = u16::try_from(pdu.len() + 1).unwrap_or(u16::MAX);
                frame.extend(length.to_be_bytes());
                frame.push(unit);
                frame.extend(pdu);
            }
            BusFraming::Rtu => {
                frame.push(unit);
                frame.extend(pdu);
                frame.extend(crc(&frame).to_le_bytes());
            }
        }
        frame
    }
}

struct Request {
    transaction: u16,
    unit: u8,
    function: u8,
    address: u16,
    count: u16,
}

impl SimUnit {
    fn pdu(&self, request: &Request) -> Vec<u8> {
        let end = u32::from(request.address) + u32::from(request.count);
        let (from, to) = match request.function {
            3 => (u32::from(SERIAL_AT), u32::from(SERIAL_AT) + 2),
            4 => (0, INPUT_END),
            other => return vec![other | 0x80, 1],
        };
        if !(1..=125).contains(&request.count) {
            return vec![request.function | 0x80, 3];
        }
        if u32::from(request.address) < from || end > to {
            return vec![request.function | 0x80, 2];
        }
        let mut pdu = vec![request.function, u8::try_from(2 * request.count).unwrap_or(0)];
        for at in request.address..request.address.saturating_add(request.count) {
            let value =
                if request.function == 3 { self.serial } else { self.input(at & !1).to_bits() };
            let [a, b, c, d] = value.to_be_bytes();
            pdu.extend(if at.is_multiple_of(2) { [a, b] } else { [c, d] });
        }
        pdu
    }

    /// The float that begins at an even register.
    fn input(&self, at: u16) -> f32 {
        let phase = |from: u16| usize::from((at - from) / 2);
        let third = self.watts / 3.0;
        match at {
            0x00..=0x04 => self.volts[phase(0x00)],
            0x06..=0x0A => third / self.volts[phase(0x06)],
            0x0C..=0x10 => third,
            0x1E..=0x22 => 1.0,
            0x34 => self.watts,
            0x46 => 50.0,
            0x48 => kwh(self.import_wh),
            0x4A => kwh(self.export_wh),
            0x156 => kwh(self.import_wh + self.export_wh),
            0x15A..=0x15E => kwh(self.import_wh / 3.0),
            0x160..=0x164 => kwh(self.export_wh / 3.0),
            _ => 0.0,
        }
    }
}

/// Meters of this kind count whole watt-hours.
fn kwh(wh: f64) -> f32 {
    single(wh.floor() / 1_000.0)
}

#[expect(clippy::cast_possible_truncation, reason = "the registers are floats of 32 bits")]
fn single(number: f64) -> f32 {
    number as f32
}

/// CRC-16/MODBUS, bit by bit.
fn crc(bytes: &[u8]) -> u16 {
    let mut crc = 0xFFFF_u16;
    for byte in bytes {
        crc ^= u16::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xA001 } else { crc >> 1 };
        }
    }
    crc
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(bus: &mut ModbusBus, bytes: &[u8]) -> Vec<BusAnswer> {
        bus.answer(&mut bytes.to_vec())
    }

    #[test]
    fn requests_are_answered_with_the_meters_registers() {
        let mut bus = ModbusBus::new(BusFraming::Tcp, 2, 7, BusFaults::default());
        let (serial, import, _) = bus.truth(2).unwrap();
        let got = ask(&mut bus, &[0, 9, 0, 0, 0, 6, 2, 4, 0, 0x48, 0, 2]);
        let mut want = vec![0, 9, 0, 0, 0, 7, 2, 4, 4];
        want.extend(import.to_bits().to_be_bytes());
        assert_eq!(got, [BusAnswer { delay_ms: 0, bytes: want }]);
        let got = ask(&mut bus, &[0, 10, 0, 0, 0, 6, 2, 3, 0xFC, 0, 0, 2]);
        assert_eq!(got[0].bytes[9..], serial.to_be_bytes());
        let refused = ask(&mut bus, &[0, 11, 0, 0, 0, 6, 2, 4, 1, 0x7F, 0, 2]);
        assert_eq!(refused[0].bytes[6..], [2, 0x84, 2]);
        assert!(ask(&mut bus, &[0, 11, 0, 0, 0, 6, 9, 4, 0, 0, 0, 2]).is_empty(), "no unit 9");
        bus.pass(3_600.0);
        assert!(bus.truth(2).unwrap().1 > import);
        let told = import.to_string();
        assert!(told.split_once('.').is_none_or(|(_, decimals)| decimals.len() <= 3), "{told}");
    }

    #[test]
    fn answers_are_lost_late_and_mixed_up_as_asked() {
        let faults =
            BusFaults { drop_every: 3, late_every: 4, late_ms: 900, ..BusFaults::default() };
        let mut bus = ModbusBus::new(BusFraming::Rtu, 1, 7, faults);
        let mut request = vec![1, 4, 0, 0, 0, 2];
        request.extend(crc(&request).to_le_bytes());
        let came: Vec<Option<u32>> =
            (0..4).map(|_| ask(&mut bus, &request).first().map(|a| a.delay_ms)).collect();
        assert_eq!(came, [Some(0), Some(0), None, Some(900)]);
        let faults = BusFaults { swap_every: 2, ..BusFaults::default() };
        let mut bus = ModbusBus::new(BusFraming::Tcp, 1, 7, faults);
        let one = |bus: &mut ModbusBus, n: u8| ask(bus, &[0, n, 0, 0, 0, 6, 1, 4, 0, 0, 0, 2]);
        assert_eq!(one(&mut bus, 1)[0].bytes[1], 1);
        assert!(one(&mut bus, 2).is_empty());
        assert_eq!(one(&mut bus, 3)[0].bytes[1], 2, "the older answer");
    }
}
