//! Versions of the slots of a channel, kept in memory: the rules of 6.1, 6.2 and 5.2 without a
//! table. The store keeps the same in PostgreSQL; the properties I1 to I6 are proven here.

use std::collections::BTreeMap;

use metering::{QualityStatus, UtcTime};

use super::record::{Estimation, EstimationId, TrueUp, true_up};
use super::states::{EstimationState, TransitionError, Trigger, next_state};
use crate::estimate::{EstimateError, Method, is_usable};

/// A version of one slot; versions are only ever added.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SlotVersion {
    /// 1 and up.
    pub version: i16,
    /// Milli-units.
    pub value: i64,
    pub status: QualityStatus,
    /// `None`: as the meter sent it.
    pub method: Option<Method>,
    /// The estimation that owns it.
    pub owner: Option<EstimationId>,
    /// The version that this one takes back.
    pub undoes: Option<i16>,
}

impl SlotVersion {
    /// What is the same after a rollback: all but the version's own number and back-pointer.
    pub const fn content(&self) -> (i64, QualityStatus, Option<Method>, Option<EstimationId>) {
        (self.value, self.status, self.method, self.owner)
    }
}

/// Why a version was not added.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BookError {
    #[error("the slot ending {0} holds a usable value that is no estimate")]
    Occupied(UtcTime),
    #[error("the slot ending {0} is unknown")]
    NoSlot(UtcTime),
    #[error("a slot has no version {0} to take back")]
    NoVersion(i16),
    #[error("a slot has no room for another version")]
    Full,
    #[error("the estimation is unknown")]
    NoEstimation,
    #[error("an estimate needs an issue that explains it")]
    NoIssue,
    #[error(transparent)]
    State(#[from] TransitionError),
    #[error(transparent)]
    Estimate(#[from] EstimateError),
}

/// The slots of one channel and the estimations on them.
#[derive(Clone, Debug, Default)]
pub struct Book {
    slots: BTreeMap<UtcTime, Vec<SlotVersion>>,
    estimations: BTreeMap<EstimationId, Estimation>,
}

impl Book {
    /// The best version of a slot.
    pub fn best(&self, end: UtcTime) -> Option<&SlotVersion> {
        self.slots.get(&end).and_then(|versions| versions.last())
    }

    /// All versions of a slot, oldest first.
    pub fn versions(&self, end: UtcTime) -> &[SlotVersion] {
        self.slots.get(&end).map_or(&[], Vec::as_slice)
    }

    pub fn ends(&self) -> impl Iterator<Item = UtcTime> {
        self.slots.keys().copied()
    }

    pub fn estimation(&self, id: EstimationId) -> Option<&Estimation> {
        self.estimations.get(&id)
    }

    pub fn estimations(&self) -> impl Iterator<Item = &Estimation> {
        self.estimations.values()
    }

    /// A slot that is due (Missing), or a value as the meter sent it. An actual that passed takes
    /// the place of an estimate, whose record is then superseded by it; the true-up of a fully
    /// measured gap is told. One that failed is kept as history: the estimate stays.
    ///
    /// # Errors
    /// [`BookError::Full`] after 32,767 versions.
    pub fn actual(
        &mut self,
        end: UtcTime,
        value: i64,
        status: QualityStatus,
    ) -> Result<Option<TrueUp>, BookError> {
        let before = self.best(end).copied();
        self.push(end, (value, status, None, None), None)?;
        let owner = before.and_then(|before| before.owner);
        match owner {
            Some(_) if !is_usable(status) => {
                let held = before.map(|before| before.content());
                if let Some(content) = held {
                    self.push(end, content, None)?;
                }
                Ok(None)
            }
            Some(id) => self.superseded(id),
            None => Ok(None),
        }
    }

    /// Writes the values of an estimation, unless it is a proposal. Repeating it changes nothing.
    ///
    /// # Errors
    /// [`BookError::Occupied`] when a slot holds an actual (I2), [`BookError::NoIssue`] when
    /// nothing explains it (I6); nothing is written then.
    pub fn apply(&mut self, estimation: Estimation) -> Result<(), BookError> {
        if self.estimations.contains_key(&estimation.id) {
            return Ok(());
        }
        if estimation.issue.is_none() {
            return Err(BookError::NoIssue);
        }
        if estimation.state == EstimationState::Applied {
            self.write(&estimation)?;
        }
        self.estimations.insert(estimation.id, estimation);
        Ok(())
    }

    /// A person accepts or rejects a proposal.
    ///
    /// # Errors
    /// As [`Book::apply`]; [`BookError::State`] unless it is a proposal.
    pub fn review(&mut self, id: EstimationId, accept: bool) -> Result<(), BookError> {
        let one = self.estimations.get(&id).ok_or(BookError::NoEstimation)?.clone();
        let trigger = if accept { Trigger::Accept } else { Trigger::Reject };
        let state = next_state(one.state, trigger)?;
        if state == EstimationState::Applied {
            self.write(&one)?;
        }
        self.set_state(id, state);
        Ok(())
    }

    /// Takes an estimation back: every slot that it still owns gets a new version with the content
    /// that it had before, pointing back (I5).
    ///
    /// # Errors
    /// [`BookError::State`] when it is not in force.
    pub fn roll_back(&mut self, id: EstimationId) -> Result<(), BookError> {
        let one = self.estimations.get(&id).ok_or(BookError::NoEstimation)?;
        let state = next_state(one.state, Trigger::RollBack)?;
        self.withdraw(id)?;
        self.set_state(id, state);
        Ok(())
    }

    fn withdraw(&mut self, id: EstimationId) -> Result<(), BookError> {
        let one = self.estimations.get(&id).ok_or(BookError::NoEstimation)?;
        let ends: Vec<UtcTime> = one.gap.ends(one.len_s).collect();
        for end in ends {
            let Some(best) = self.best(end).copied().filter(|best| best.owner == Some(id)) else {
                continue;
            };
            let earlier = self.versions(end).iter().rev().find(|version| version.owner != Some(id));
            let content = earlier
                .map_or((0, QualityStatus::Missing, None, None), |earlier| earlier.content());
            self.push(end, content, Some(best.version))?;
        }
        Ok(())
    }

    /// Whether every usable value that no meter sent has one estimation in force and an issue (I6).
    pub fn is_owned(&self) -> bool {
        self.slots.values().filter_map(|versions| versions.last()).all(|best| {
            let actual = best.method.is_none() || !is_usable(best.status);
            actual
                || best
                    .owner
                    .and_then(|id| self.estimations.get(&id))
                    .is_some_and(|one| one.state.is_in_force() && one.issue.is_some())
        })
    }

    fn write(&mut self, one: &Estimation) -> Result<(), BookError> {
        let ends: Vec<UtcTime> = one.gap.ends(one.len_s).collect();
        let mut replaced = Vec::new();
        for end in &ends {
            let best = self.best(*end).ok_or(BookError::NoSlot(*end))?;
            let owner = best.owner.and_then(|id| self.estimations.get(&id));
            match owner {
                Some(owner) if owner.state.may_be_rescaled() => replaced.push(owner.id),
                _ if is_usable(best.status) => return Err(BookError::Occupied(*end)),
                _ => {}
            }
        }
        replaced.sort_unstable();
        replaced.dedup();
        for id in replaced {
            // Slots outside of the new gap go back to what they were.
            let from = self.estimations.get(&id).ok_or(BookError::NoEstimation)?.state;
            let state = next_state(from, Trigger::BetterEstimate)?;
            self.withdraw(id)?;
            self.set_state(id, state);
        }
        for (end, value) in ends.into_iter().zip(&one.values) {
            self.push(end, (*value, one.status, Some(one.method), Some(one.id)), None)?;
        }
        Ok(())
    }

    /// The estimation lost a slot to an actual: when it owns none any more it is superseded.
    fn superseded(&mut self, id: EstimationId) -> Result<Option<TrueUp>, BookError> {
        let one = self.estimations.get(&id).ok_or(BookError::NoEstimation)?;
        let best: Vec<&SlotVersion> =
            one.gap.ends(one.len_s).filter_map(|end| self.best(end)).collect();
        if best.iter().any(|best| best.owner == Some(id)) {
            return Ok(None);
        }
        let actual: Vec<i64> = best.iter().map(|best| best.value).collect();
        let state = next_state(one.state, Trigger::Actual)?;
        let told = true_up(&one.values, &actual)?;
        self.set_state(id, state);
        if let Some(one) = self.estimations.get_mut(&id) {
            one.true_up = Some(told);
        }
        Ok(Some(told))
    }

    fn set_state(&mut self, id: EstimationId, state: EstimationState) {
        if let Some(one) = self.estimations.get_mut(&id) {
            one.state = state;
        }
    }

    fn push(
        &mut self,
        end: UtcTime,
        content: (i64, QualityStatus, Option<Method>, Option<EstimationId>),
        undoes: Option<i16>,
    ) -> Result<(), BookError> {
        let versions = self.slots.entry(end).or_default();
        let version = i16::try_from(versions.len() + 1).map_err(|_| BookError::Full)?;
        let (value, status, method, owner) = content;
        versions.push(SlotVersion { version, value, status, method, owner, undoes });
        Ok(())
    }
}
