//! Dead letters told again: decoded with the time of their arrival, and stored like any message.
//! A running ingest does it by itself when a device becomes known ([`StoredLetters`]); an operator
//! does it after a fix, or when no head-end runs ([`Replayer`]). Told twice, they are duplicates.

use std::sync::Arc;

use protocols::RejectReason;
use protocols::sparkplug::Born;
use store::{Database, DeadLetter, ReplayFilter, Stored};

use super::commit::chain;
use super::core::{Fate, Frame, IngestCore};
use super::intake::Letters;
use super::options::IngestOptions;
use super::pipeline::core_of;
use super::sink::{Letter, Sink, SinkError};
use super::store_sink::StoreSink;
use crate::clock::Clock;
use crate::services::payloads;

/// Tells dead letters again, from a program of its own.
#[derive(Debug)]
pub struct Replayer {
    database: Database,
    options: IngestOptions,
    clock: Arc<dyn Clock>,
}

/// What a replay did, or would do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[must_use]
pub struct ReplayReport {
    pub letters: u64,
    /// Letters of which everything could be used.
    pub accepted: u64,
    /// Letters that are, in whole or in part, still dead.
    pub still_dead: u64,
    /// What became of their readings.
    pub stored: Stored,
}

impl ReplayReport {
    /// Counts of another replay on top.
    pub fn add(&mut self, other: Self) {
        self.letters += other.letters;
        self.accepted += other.accepted;
        self.still_dead += other.still_dead;
        self.stored.add(other.stored);
    }
}

impl Replayer {
    /// `options` as for the running ingest: the same adapter and routes.
    pub fn new(database: Database, options: IngestOptions, clock: Arc<dyn Clock>) -> Self {
        Self { database, options, clock }
    }

    /// Tells the letters again, oldest first, page by page.
    ///
    /// # Errors
    /// [`SinkError`] when the store is away or refuses a page; the pages before it are stored.
    pub async fn replay(&self, filter: &ReplayFilter) -> Result<ReplayReport, SinkError> {
        let mut sink = StoreSink::new(self.database.clone(), self.options.adapter);
        let mut core = core_of(&self.options, &sink.registry().await?);
        core.set_live_routes(payloads::live_routes(&self.database).await?.1);
        let mut report = ReplayReport::default();
        let mut after = None;
        loop {
            let page = self.page(filter, after).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.arrival_no);
            self.tell(&page, (&mut core, &mut sink), &mut report).await?;
        }
        sink.rest().await;
        if report.accepted > 0 {
            // A running head-end takes the counters over that were moved here.
            self.database.touch_assets(self.clock.now()).await?;
        }
        Ok(report)
    }

    /// Letters and readings that [`Replayer::replay`] would tell again.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn count(&self, filter: &ReplayFilter) -> Result<(u64, u64), SinkError> {
        let (mut letters, mut reads, mut after) = (0, 0, None);
        loop {
            let page = self.page(filter, after).await?;
            let Some(last) = page.last() else { return Ok((letters, reads)) };
            after = Some(last.arrival_no);
            letters += page.len() as u64;
            reads +=
                page.iter().map(|letter| u64::try_from(letter.reads).unwrap_or(0)).sum::<u64>();
        }
    }

    async fn page(
        &self,
        filter: &ReplayFilter,
        after: Option<i64>,
    ) -> Result<Vec<DeadLetter>, SinkError> {
        Ok(self.database.letters_to_replay(self.options.adapter, filter, after).await?)
    }

    async fn tell(
        &self,
        page: &[DeadLetter],
        (core, sink): (&mut IngestCore, &mut StoreSink),
        report: &mut ReplayReport,
    ) -> Result<(), SinkError> {
        let letters: Vec<Letter> = page.iter().map(Letter::from).collect();
        let frames: Vec<Frame> = letters.iter().map(Letter::frame).collect();
        let mut accepted = core.accept(&frames, self.clock.now());
        // That a device was heard back then is no news of today.
        accepted.batch.heard.clear();
        // What stays dead is a letter already, and its device is on the list.
        accepted.batch.dead.clear();
        accepted.batch.unknown.clear();
        let stored = sink.commit(&StoreSink::prepare(accepted.batch)).await?;
        let used: Vec<Letter> = letters
            .into_iter()
            .zip(&accepted.fates)
            .filter(|(_, fate)| **fate == Fate::Accepted)
            .map(|(letter, _)| letter)
            .collect();
        report.letters += page.len() as u64;
        report.accepted += used.len() as u64;
        report.still_dead += (page.len() - used.len()) as u64;
        report.stored.add(stored);
        sink.replayed(&used, self.clock.now()).await
    }
}

/// The dead letters of devices that were unknown and are provisioned now.
#[derive(Debug)]
pub(super) struct StoredLetters {
    database: Database,
    adapter: &'static str,
}

impl StoredLetters {
    pub(super) const fn new(database: Database, adapter: &'static str) -> Self {
        Self { database, adapter }
    }
}

impl Letters for StoredLetters {
    async fn page(&self, after: Option<&Letter>) -> Option<Vec<Letter>> {
        let filter = ReplayFilter { provisioned: true, ..ReplayFilter::default() };
        let after = after.map(|letter| letter.arrival_no);
        match self.database.letters_to_replay(self.adapter, &filter, after).await {
            Ok(page) => Some(page.iter().map(Letter::from).collect()),
            Err(error) => {
                tracing::warn!(
                    error = chain(&error),
                    "Dead letters could not be read; `headend dlq replay` tells them again."
                );
                None
            }
        }
    }

    async fn unborn(&self, born: Option<&Born>, after: Option<&Letter>) -> Option<Vec<Letter>> {
        let reason = Some(RejectReason::NoBirth.label().to_owned());
        let filter = ReplayFilter { reason, ..ReplayFilter::default() };
        let mut after = after.map(|letter| letter.arrival_no);
        loop {
            let page = match self.database.letters_to_replay(self.adapter, &filter, after).await {
                Ok(page) => page,
                Err(error) => {
                    tracing::warn!(error = chain(&error), "Dead letters could not be read.");
                    return None;
                }
            };
            let last = page.last()?;
            after = Some(last.arrival_no);
            let wanted = |letter: &&DeadLetter| {
                born.is_none_or(|born| {
                    letter.received_at >= born.since && is_of(&letter.topic, born)
                })
            };
            let letters: Vec<Letter> = page.iter().filter(wanted).map(Letter::from).collect();
            if !letters.is_empty() {
                return Some(letters);
            }
        }
    }

    async fn settle(&self, all: bool) -> u64 {
        let adapter = (!all).then_some(self.adapter);
        self.database.settle_commissioning(adapter).await.unwrap_or_else(|error| {
            tracing::warn!(
                error = chain(&error),
                "Known devices stand on the commissioning list until the asset model changes again."
            );
            0
        })
    }
}

/// The edge node of a Sparkplug topic.
fn is_of(topic: &str, born: &Born) -> bool {
    let mut levels = topic.split('/').skip(1);
    levels.next() == Some(&born.group) && levels.nth(1) == Some(&born.node)
}

impl From<&DeadLetter> for Letter {
    fn from(letter: &DeadLetter) -> Self {
        Self {
            sha256: letter.sha256,
            topic: letter.topic.clone(),
            payload: letter.payload.clone(),
            received_at: letter.received_at,
            arrival_no: letter.arrival_no,
        }
    }
}
