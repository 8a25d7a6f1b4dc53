//! A profile proves itself: the frames that it carries give the values that it claims.

use std::collections::HashMap;

use super::frame::answer_of_pdu;
use super::pdu::{Answer, Function, ReadRequest};
use super::profile::{Check, Profile, Register};
use super::sunspec::{Discovery, Found};
use super::value::Decoded;

/// Requests of one search for models at most.
const DISCOVERY_STEPS_MAX: usize = 600;

/// The profile's own frames say something else.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("check {number}: {what}")]
pub struct CheckError {
    /// From 1, in the order of the file.
    pub number: usize,
    pub what: String,
}

/// Registers by function and address.
type Words = HashMap<(Function, u16), u16>;

impl Profile {
    /// Replays all frames of the profile; gives the lines that came out, in their order.
    ///
    /// # Errors
    /// The first check that does not come out as it says.
    pub fn verify(&self) -> Result<Vec<String>, CheckError> {
        let mut lines = Vec::new();
        for (number, check) in (1..).zip(&self.checks) {
            let said = self.replay(check).map_err(|what| CheckError { number, what })?;
            lines.extend(said);
        }
        Ok(lines)
    }

    fn replay(&self, check: &Check) -> Result<Vec<String>, String> {
        let mut words = Words::new();
        for (request, response) in &check.exchange {
            let read = ReadRequest::of_pdu(request).ok_or("a request is no read")?;
            let answer = answer_of_pdu(read, response)
                .map_err(|fault| format!("the response to {read}: {fault}"))?;
            if let Answer::Registers(values) = answer {
                let at = (read.address..).map(|at| (read.function, at));
                words.extend(at.zip(values));
            }
        }
        let registers = self.registers_by(&words)?;
        let said: Vec<String> =
            registers.iter().filter_map(|register| line_of(register, &words)).collect();
        for expected in &check.expect {
            if !said.contains(expected) {
                let said = if said.is_empty() { "nothing".to_owned() } else { said.join(", ") };
                return Err(format!("expected `{expected}`, but the frames give {said}"));
            }
        }
        Ok(check.expect.clone())
    }

    fn registers_by(&self, words: &Words) -> Result<Vec<Register>, String> {
        if !self.sunspec {
            return Ok(self.registers.clone());
        }
        let mut search = Discovery::default();
        for _ in 0..DISCOVERY_STEPS_MAX {
            let Some(request) = search.request() else { break };
            let word = |at: u16| words.get(&(request.function, at)).copied();
            let pair = word(request.address).zip(word(request.address.wrapping_add(1)));
            let pair = pair.map(|(a, b)| [a, b]);
            match search.answer(pair.as_ref().map(<[u16; 2]>::as_slice)) {
                Ok(Found::More) => {}
                Ok(Found::Meter { registers, .. }) => return Ok(registers),
                Err(error) => return Err(error.to_string()),
            }
        }
        Err("the search for models does not end".to_owned())
    }
}

/// What the frames say of a register; nothing when they do not hold it.
fn line_of(register: &Register, words: &Words) -> Option<String> {
    let (from, to) = register.hull();
    let whole = (u32::from(from)..to)
        .filter_map(|at| u16::try_from(at).ok())
        .all(|at| words.contains_key(&(register.function, at)));
    if !whole {
        return None;
    }
    let decoded = register.decode(|at| words.get(&(register.function, at)).copied());
    let (channel, unit) = (&register.channel, register.unit);
    Some(match decoded {
        Decoded::Value(value) => format!("{channel} {value} {unit}"),
        Decoded::Text(text) => format!("{channel} {text}"),
        Decoded::Missing | Decoded::AccumulatorZero => format!("{channel} -"),
        Decoded::Implausible(value) => format!("{channel} {value} {unit} (cannot be)"),
        Decoded::Nonsense => format!("{channel} (no number)"),
    })
}
