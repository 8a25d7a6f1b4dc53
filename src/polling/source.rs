//! Polls and the broker's messages as one stream to ingest.

use std::sync::Arc;

use protocols::modbus::PollRecord;
use protocols::mqtt::{AckGuard, RawFrame};
use protocols::sparkplug::Command;
use tokio::sync::mpsc;

use super::TOPIC;
use crate::clock::Clock;
use crate::ingest::Source;

/// A broker with pollers beside it. A poll owes nobody an acknowledgement: what is lost with the
/// program's life is still in the meter, and is read again.
#[derive(Debug)]
pub struct WithPolls<M> {
    broker: M,
    polls: mpsc::Receiver<PollRecord>,
    clock: Arc<dyn Clock>,
}

impl<M> WithPolls<M> {
    pub fn new(broker: M, polls: mpsc::Receiver<PollRecord>, clock: Arc<dyn Clock>) -> Self {
        Self { broker, polls, clock }
    }

    fn frame(&self, poll: &PollRecord) -> RawFrame {
        RawFrame {
            topic: format!("{TOPIC}/{}/{}", poll.gateway, poll.unit),
            payload: poll.encode().into(),
            received_at: self.clock.now(),
            arrived: tokio::time::Instant::now(),
            retain: false,
            redelivered: false,
            guard: AckGuard::detached(),
        }
    }
}

impl<M: Source> Source for WithPolls<M> {
    async fn recv_many(&mut self, frames: &mut Vec<RawFrame>, max: usize) -> usize {
        tokio::select! {
            taken = self.broker.recv_many(frames, max) => taken,
            Some(poll) = self.polls.recv() => {
                frames.push(self.frame(&poll));
                1
            }
        }
    }

    fn try_recv(&mut self) -> Option<RawFrame> {
        self.broker.try_recv().or_else(|| {
            let poll = self.polls.try_recv().ok()?;
            Some(self.frame(&poll))
        })
    }

    fn listen(&self, filters: &[String]) {
        self.broker.listen(filters);
    }

    fn send(&self, commands: Vec<Command>) {
        self.broker.send(commands);
    }

    async fn stop(self) {
        self.broker.stop().await;
    }
}
