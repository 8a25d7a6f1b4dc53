//! The life of a slot's value: what may follow what, who may use it, what replaces what, and its
//! name in the codes of others (`metering-rules` 6.1, 6.3, 6.5).

mod codes;

pub use codes::{CODES, CodeRow, Iec, Nem12, Usable, estimated_by, failed_rule, told};

use metering::QualityStatus;

/// Something that happens to a slot.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum StatusEvent {
    /// A value arrives.
    Arrives,
    /// All rules that can be evaluated pass, the mandatory ones among them.
    RulesPass,
    /// A rule forbids its use.
    RuleFails,
    /// Staff accept it as it is.
    Accept,
    /// Staff reject it.
    Reject,
    /// An estimator fills it.
    Estimate,
    /// An outage explains it.
    OutageZero,
    /// Staff put another value in its place.
    Edit,
    /// The actual value arrives late and passes.
    LateActual,
}

impl StatusEvent {
    pub const ALL: [Self; 9] = [
        Self::Arrives,
        Self::RulesPass,
        Self::RuleFails,
        Self::Accept,
        Self::Reject,
        Self::Estimate,
        Self::OutageZero,
        Self::Edit,
        Self::LateActual,
    ];
}

/// The table of 6.1. What is not in it does not happen. *Undo* is none of these: it brings back a
/// previous version whole, as a new version that points back.
///
/// A closed day is judged again when late data come, so a validated value may fail and a suspect
/// one pass; the old version stays. Staff may change their mind: what was rejected can be accepted, and
/// the other way round.
pub const fn next(from: QualityStatus, event: StatusEvent) -> Option<QualityStatus> {
    use QualityStatus as Q;
    use StatusEvent as E;
    match (from, event) {
        (Q::Missing, E::Arrives) => Some(Q::Raw),
        (Q::Raw | Q::Suspect | Q::Validated, E::RulesPass) => Some(Q::Validated),
        (Q::Raw | Q::Validated | Q::Suspect, E::RuleFails) => Some(Q::Suspect),
        (Q::Suspect | Q::Rejected, E::Accept) => Some(Q::Verified),
        (Q::Suspect | Q::Verified, E::Reject) => Some(Q::Rejected),
        (Q::Missing | Q::Suspect | Q::Rejected | Q::Estimated | Q::OutageZero, E::Estimate) => {
            Some(Q::Estimated)
        }
        (Q::Missing | Q::Suspect | Q::Rejected | Q::OutageZero, E::OutageZero) => {
            Some(Q::OutageZero)
        }
        (Q::Suspect | Q::Rejected | Q::Estimated | Q::OutageZero, E::Edit) => Some(Q::Edited),
        (Q::Edited, E::Edit) => Some(Q::Edited),
        (Q::Estimated | Q::OutageZero, E::LateActual) => Some(Q::Validated),
        _ => None,
    }
}

/// Who asks for a value.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Lane {
    /// The latest, may be provisional.
    Operational,
    /// Frozen for a bill.
    Billing,
}

/// May a value of this status be used in the lane? Raw values are usable for billing only when all
/// mandatory rules could be evaluated, and then they are validated.
pub const fn usable(status: QualityStatus, lane: Lane) -> bool {
    use QualityStatus as Q;
    match (lane, status) {
        (_, Q::Missing | Q::Suspect | Q::Rejected) | (Lane::Billing, Q::Raw) => false,
        (Lane::Operational, Q::Raw)
        | (_, Q::Validated | Q::Verified | Q::Estimated | Q::Edited | Q::OutageZero) => true,
    }
}

/// What an estimate rests on, best first (6.5).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum EstimateGrade {
    /// Scaled to the register's advance.
    Scaled,
    LikeDay,
    Linear,
    Class,
    Zero,
}

/// Where a value came from, best first; decides between values of equal rank (6.5).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ReadSource {
    OnDemand,
    Scheduled,
    Backfill,
    DriveBy,
}

/// What is compared when one value is to replace another of the same slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Candidate {
    pub status: QualityStatus,
    /// Locked by the operator (edits are).
    pub locked: bool,
    /// Of an estimate: what it rests on, and whether it was finalised.
    pub grade: Option<EstimateGrade>,
    pub finalised: bool,
    pub source: ReadSource,
    /// Sequence given by the device.
    pub sequence: i64,
    /// Lower wins when nothing else tells them apart.
    pub value_hash: u64,
}

/// Replacement rank of 6.5, higher is better; 0 never replaces anything.
pub const fn rank(candidate: &Candidate) -> u8 {
    use QualityStatus as Q;
    match candidate.status {
        Q::Edited if candidate.locked => 11,
        Q::Verified => 10,
        Q::Validated => 9,
        // An edit that nobody locked counts as the best of estimates.
        Q::Edited => 8,
        Q::Raw => 7,
        Q::Estimated => match candidate.grade {
            Some(EstimateGrade::Scaled) => 6,
            Some(EstimateGrade::LikeDay) => 5,
            Some(EstimateGrade::Linear) => 4,
            Some(EstimateGrade::Class) | None => 3,
            Some(EstimateGrade::Zero) => 2,
        },
        Q::OutageZero => 2,
        Q::Suspect | Q::Rejected => 1,
        Q::Missing => 0,
    }
}

/// The one of two values of a slot that stands; the same whichever comes first.
///
/// A finalised estimate yields to no other estimate, only to an actual or to staff. Ties: the
/// better source, then the later device sequence, then the lower hash.
pub fn better<'a>(a: &'a Candidate, b: &'a Candidate) -> &'a Candidate {
    let is_estimate =
        |c: &Candidate| matches!(c.status, QualityStatus::Estimated | QualityStatus::OutageZero);
    if is_estimate(a) && is_estimate(b) && a.finalised != b.finalised {
        return if a.finalised { a } else { b };
    }
    let key = |c: &Candidate| {
        (rank(c), std::cmp::Reverse(c.source), c.sequence, std::cmp::Reverse(c.value_hash))
    };
    if key(b) > key(a) { b } else { a }
}

#[cfg(test)]
mod tests;
