//! States of an estimation (5.1), as a closed table.

use std::fmt;
use std::str::FromStr;

use crate::estimate::Review;

macro_rules! states {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// What became of an estimation.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum EstimationState { $($(#[$doc])* $name),* }

        impl EstimationState {
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Stable text, as stored and exported.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }
        }
    };
}

states! {
    /// Waits for a person; its values count nowhere.
    Proposed = "PROPOSED",
    Applied = "APPLIED",
    Rejected = "REJECTED",
    SupersededByActual = "SUPERSEDED_BY_ACTUAL",
    SupersededByEstimate = "SUPERSEDED_BY_ESTIMATE",
    Edited = "EDITED",
    /// No automatic routine may replace it by another estimate.
    Final = "FINAL",
    Reversed = "REVERSED",
}

impl EstimationState {
    /// Its values are the best ones of their slots.
    pub const fn is_in_force(self) -> bool {
        matches!(self, Self::Applied | Self::Final)
    }

    /// An automatic routine may put another estimate in its place.
    pub const fn may_be_rescaled(self) -> bool {
        matches!(self, Self::Applied)
    }
}

impl fmt::Display for EstimationState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// The text names no state.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("`{0}` is no state of an estimation")]
pub struct StateError(String);

impl FromStr for EstimationState {
    type Err = StateError;

    fn from_str(text: &str) -> Result<Self, StateError> {
        Self::ALL
            .iter()
            .find(|state| state.word() == text)
            .copied()
            .ok_or_else(|| StateError(text.chars().take(40).collect()))
    }
}

/// What moves an estimation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Trigger {
    Accept,
    Reject,
    /// An actual value arrived and passed its checks.
    Actual,
    /// A better-ranked estimate, or the same one scaled to a register that arrived.
    BetterEstimate,
    StaffEdit,
    Finalise,
    RollBack,
    /// What took its place was taken back: its values stand again.
    Restore,
}

impl Trigger {
    pub const ALL: [Self; 8] = [
        Self::Accept,
        Self::Reject,
        Self::Actual,
        Self::BetterEstimate,
        Self::StaffEdit,
        Self::Finalise,
        Self::RollBack,
        Self::Restore,
    ];
}

/// The table of 5.1: from, trigger, to. Any other pair is an error.
pub const TABLE: [(EstimationState, Trigger, EstimationState); 16] = {
    use EstimationState as S;
    use Trigger as T;
    [
        (S::Proposed, T::Accept, S::Applied),
        (S::Proposed, T::Reject, S::Rejected),
        (S::Applied, T::Actual, S::SupersededByActual),
        (S::Applied, T::BetterEstimate, S::SupersededByEstimate),
        (S::Applied, T::StaffEdit, S::Edited),
        (S::Applied, T::Finalise, S::Final),
        (S::Applied, T::RollBack, S::Reversed),
        (S::Final, T::RollBack, S::Reversed),
        (S::Edited, T::RollBack, S::Reversed),
        (S::Final, T::Actual, S::SupersededByActual),
        (S::Final, T::StaffEdit, S::Edited),
        // A proposal whose slots are measured after all has nothing left to decide.
        (S::Proposed, T::Actual, S::Rejected),
        // An undo brings back what stood before (6.1), so its record is in force again (I6).
        (S::SupersededByActual, T::Restore, S::Applied),
        (S::SupersededByEstimate, T::Restore, S::Applied),
        (S::Edited, T::Restore, S::Applied),
        (S::Reversed, T::Restore, S::Applied),
    ]
};

/// The pair is not in the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("an estimation that is {from} cannot take {trigger:?}")]
pub struct TransitionError {
    pub from: EstimationState,
    pub trigger: Trigger,
}

/// The state after `trigger`.
///
/// # Errors
/// [`TransitionError`] for a pair outside of [`TABLE`].
pub fn next_state(
    from: EstimationState,
    trigger: Trigger,
) -> Result<EstimationState, TransitionError> {
    TABLE
        .iter()
        .find(|(state, on, _)| *state == from && *on == trigger)
        .map(|(_, _, to)| *to)
        .ok_or(TransitionError { from, trigger })
}

/// PROPOSED when a person must look first: class profile, more than 15 days, an exchange without
/// final read, suspected tampering, or billed data; else APPLIED.
pub fn first_state(review: &[Review], tamper: bool, billed: bool) -> EstimationState {
    if tamper || billed || review.iter().any(|reason| reason.holds()) {
        EstimationState::Proposed
    } else {
        EstimationState::Applied
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn every_pair_is_in_the_table_or_an_error() {
        let mut told = String::new();
        for from in EstimationState::ALL {
            for trigger in Trigger::ALL {
                match next_state(*from, trigger) {
                    Ok(to) => told.push_str(&format!("{from} {trigger:?} -> {to}\n")),
                    Err(error) => assert_eq!(error, TransitionError { from: *from, trigger }),
                }
            }
        }
        expect![[r#"
            PROPOSED Accept -> APPLIED
            PROPOSED Reject -> REJECTED
            PROPOSED Actual -> REJECTED
            APPLIED Actual -> SUPERSEDED_BY_ACTUAL
            APPLIED BetterEstimate -> SUPERSEDED_BY_ESTIMATE
            APPLIED StaffEdit -> EDITED
            APPLIED Finalise -> FINAL
            APPLIED RollBack -> REVERSED
            SUPERSEDED_BY_ACTUAL Restore -> APPLIED
            SUPERSEDED_BY_ESTIMATE Restore -> APPLIED
            EDITED RollBack -> REVERSED
            EDITED Restore -> APPLIED
            FINAL Actual -> SUPERSEDED_BY_ACTUAL
            FINAL StaffEdit -> EDITED
            FINAL RollBack -> REVERSED
            REVERSED Restore -> APPLIED
        "#]]
        .assert_eq(&told);
    }

    #[test]
    fn words_are_read_back() {
        for state in EstimationState::ALL {
            assert_eq!(state.word().parse::<EstimationState>(), Ok(*state));
        }
    }

    #[test]
    fn what_needs_a_look_is_proposed() {
        let first = first_state;
        assert_eq!(first(&[], false, false), EstimationState::Applied);
        assert_eq!(first(&[Review::ScaleOutside], false, false), EstimationState::Applied);
        assert_eq!(first(&[Review::ClassProfile], false, false), EstimationState::Proposed);
        assert_eq!(first(&[], true, false), EstimationState::Proposed);
        assert_eq!(first(&[], false, true), EstimationState::Proposed);
    }
}
