//! One estimation as it is kept (5.2).

use std::fmt;
use std::str::FromStr;

use metering::{ChannelNo, MeterId, QualityStatus, Ratio, UtcTime};
use sha2::{Digest, Sha256};

use super::codes::{Nem12, Reason, iec_codes, nem12};
use super::horizon::billing_from;
use super::states::{EstimationState, first_state};
use crate::estimate::{Confidence, Estimate, EstimateError, Gap, Inputs, Method, Review, Scaling};

/// Hash of channel, gap, method and all that went in: a repetition finds itself.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct EstimationId([u8; 16]);

impl EstimationId {
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    pub const fn bytes(self) -> [u8; 16] {
        self.0
    }
}

impl fmt::Display for EstimationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The text is no estimation id.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("an estimation id has 32 hexadecimal digits")]
pub struct EstimationIdError;

impl FromStr for EstimationId {
    type Err = EstimationIdError;

    fn from_str(text: &str) -> Result<Self, EstimationIdError> {
        if text.len() != 32 || !text.is_ascii() {
            return Err(EstimationIdError);
        }
        let mut bytes = [0; 16];
        for (byte, at) in bytes.iter_mut().zip((0..32).step_by(2)) {
            *byte = u8::from_str_radix(&text[at..at + 2], 16).map_err(|_| EstimationIdError)?;
        }
        Ok(Self(bytes))
    }
}

/// Where an estimation comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Origin {
    pub meter: MeterId,
    pub channel: ChannelNo,
    pub len_s: i32,
    /// The status of the slots before: Missing when any was missing, else what failed.
    pub before: QualityStatus,
    /// Highest version that a slot of the gap had: an estimate after an undo is another one.
    pub base_version: i16,
    /// The meter issue that explains the gap.
    pub issue: Option<String>,
    /// `engine`, or the person.
    pub created_by: String,
    /// The meter is suspected of tampering: a person must look.
    pub tamper: bool,
    /// A bill used these slots already.
    pub billed: bool,
    /// The channel is read by its register alone.
    pub register: bool,
}

/// An estimation record. Quantities in milli-units.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Estimation {
    pub id: EstimationId,
    pub issue: Option<String>,
    pub meter: MeterId,
    pub channel: ChannelNo,
    pub gap: Gap,
    pub len_s: i32,
    pub method: Method,
    pub method_version: u16,
    pub inputs: Inputs,
    pub scaling: Scaling,
    /// Rounding remainder of an off-grid register residual; 0 on the grid.
    pub residual: Ratio,
    /// One per slot.
    pub values: Vec<i64>,
    /// Status of the slots: Estimated, OutageZero or Edited.
    pub status: QualityStatus,
    pub values_hash: [u8; 16],
    pub confidence: Confidence,
    pub review: Vec<Review>,
    pub state: EstimationState,
    pub created_by: String,
    pub reviewed_by: Option<String>,
    /// Counts for bills from here on.
    pub billing_from: UtcTime,
    pub reason: Reason,
    pub iec_codes: Vec<String>,
    pub nem12: Nem12,
    pub true_up: Option<TrueUp>,
}

/// What a late actual changes: actual minus estimated use of the gap.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TrueUp {
    /// `None` while no bill used the estimate.
    pub bill: Option<i64>,
    /// `None`: all tariff times together.
    pub tou_bucket: Option<u8>,
    pub delta: i64,
}

/// The true-up of a gap: what was measured after all minus what was estimated.
///
/// # Errors
/// [`EstimateError::Overflow`] beyond the stored range.
pub fn true_up(estimated: &[i64], actual: &[i64]) -> Result<TrueUp, EstimateError> {
    let sum = |values: &[i64]| values.iter().map(|value| i128::from(*value)).sum::<i128>();
    let delta = i64::try_from(sum(actual) - sum(estimated)).map_err(|_| EstimateError::Overflow)?;
    Ok(TrueUp { bill: None, tou_bucket: None, delta })
}

impl Estimation {
    /// The record of an estimate, with its first state.
    pub fn new(estimate: &Estimate, origin: Origin) -> Self {
        let Estimate { gap, method, .. } = *estimate;
        let reason = Reason::of(origin.before, method);
        Self {
            id: id_of(estimate, &origin),
            issue: origin.issue,
            meter: origin.meter,
            channel: origin.channel,
            gap,
            len_s: origin.len_s,
            method,
            method_version: Method::VERSION,
            inputs: estimate.inputs.clone(),
            scaling: estimate.scaling,
            residual: estimate.residual,
            values_hash: hash_of(&estimate.values),
            values: estimate.values.clone(),
            status: estimate.status,
            confidence: estimate.confidence,
            state: first_state(&estimate.review, origin.tamper, origin.billed),
            review: estimate.review.clone(),
            created_by: origin.created_by,
            reviewed_by: None,
            billing_from: billing_from(gap.to),
            reason,
            iec_codes: iec_codes(method, origin.before),
            nem12: nem12(method, reason, origin.register, false),
            true_up: None,
        }
    }
}

fn first_16(hash: Sha256) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.finalize()[..16]);
    bytes
}

fn hash_of(values: &[i64]) -> [u8; 16] {
    let mut hash = Sha256::new();
    values.iter().for_each(|value| hash.update(value.to_be_bytes()));
    first_16(hash)
}

fn id_of(estimate: &Estimate, origin: &Origin) -> EstimationId {
    let mut hash = Sha256::new();
    let mut put = |value: i64| hash.update(value.to_be_bytes());
    put(i64::from(origin.meter.get()));
    put(i64::from(origin.channel.get()));
    put(estimate.gap.from.micros());
    put(estimate.gap.to.micros());
    put(i64::from(estimate.method.number()));
    put(i64::from(Method::VERSION));
    put(i64::from(origin.base_version));
    let inputs = &estimate.inputs;
    for value in [inputs.before, inputs.after] {
        put(i64::from(value.is_some()));
        put(value.unwrap_or(0));
    }
    put(i64::try_from(inputs.reference_days.len()).unwrap_or(0));
    for day in &inputs.reference_days {
        put(i64::from(day.year()) * 1000 + i64::from(day.day_of_year()));
    }
    if let Some(window) = &inputs.registers {
        for value in [window.open_at.micros(), window.close_at.micros(), window.advance] {
            put(value);
        }
    }
    for (rate, units) in &inputs.rates {
        put(i64::from(*rate));
        put(*units);
    }
    estimate.values.iter().for_each(|value| put(*value));
    hash.update(inputs.profile_id.as_deref().unwrap_or("").as_bytes());
    EstimationId(first_16(hash))
}
