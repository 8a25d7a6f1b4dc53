//! What a sender says of its own values, beside them.

use metering::UtcTime;

/// The sender's word for a value (`metering-rules` 6.3 says what it is to us).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ReadQuality {
    Actual,
    Estimated,
    /// Put in the place of a value that was lost or wrong.
    Substituted,
    /// The same, and the sender will not change it any more.
    FinalSubstituted,
    /// Null: there is no value, whatever number stands there.
    Missing,
    /// The sender doubts it, or its word is not known.
    Suspect,
}

/// The same quality over a stretch of one field's values: those that end (or were read) in
/// `(from, to]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct QualityRun {
    pub from: UtcTime,
    pub to: UtcTime,
    pub quality: ReadQuality,
    /// As sent: `F14`, `R0`, `19`.
    pub code: String,
    /// Number of the sender's reason, with its text.
    pub reason: Option<u16>,
    pub reason_text: String,
}

impl ReadQuality {
    pub const ALL: [Self; 6] = [
        Self::Actual,
        Self::Estimated,
        Self::Substituted,
        Self::FinalSubstituted,
        Self::Missing,
        Self::Suspect,
    ];

    /// Stable word, as stored and shown.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Actual => "actual",
            Self::Estimated => "estimated",
            Self::Substituted => "substituted",
            Self::FinalSubstituted => "final_substituted",
            Self::Missing => "missing",
            Self::Suspect => "suspect",
        }
    }

    /// A value that the sender did not measure.
    pub const fn is_estimate(self) -> bool {
        matches!(self, Self::Estimated | Self::Substituted | Self::FinalSubstituted)
    }
}

impl QualityRun {
    pub const fn new(from: UtcTime, to: UtcTime, quality: ReadQuality) -> Self {
        Self { from, to, quality, code: String::new(), reason: None, reason_text: String::new() }
    }

    /// One value that was read at an instant.
    pub const fn at(at: UtcTime, quality: ReadQuality) -> Self {
        Self::new(UtcTime::from_micros(at.micros().saturating_sub(1)), at, quality)
    }

    #[must_use]
    pub fn coded(mut self, code: &str) -> Self {
        self.code = code.chars().filter(|c| !c.is_control()).take(40).collect();
        self
    }

    pub fn holds(&self, end: UtcTime) -> bool {
        self.from < end && end <= self.to
    }
}
