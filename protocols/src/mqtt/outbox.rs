//! Own messages until the broker has acknowledged them. The library forgets its pending messages
//! when the broker lost our session, so they are kept here and sent again.

use std::collections::VecDeque;

use bytes::Bytes;

/// Own messages that wait for the broker; more wait in [`crate::mqtt::MqttSource::publish`].
pub(crate) const OUTBOX_MAX: usize = 1_000;
/// Messages in flight to the broker, whatever it allows: an id collision in the library stops its
/// acknowledgements too, so we stay far from its limit.
const WINDOW_MAX: usize = 100;
/// Bytes of a PUBLISH packet besides topic and payload, rounded up.
const PACKET_OVERHEAD: usize = 16;

/// Why an own message was not taken.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PublishError {
    #[error("`{0}` is no topic to publish to: no wildcards, not empty")]
    Topic(String),
    #[error("{bytes} bytes exceed the broker's limit of {max} bytes for one packet")]
    TooLarge { bytes: usize, max: u32 },
    #[error("the connection was stopped")]
    Stopped,
}

#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) topic: String,
    pub(crate) payload: Bytes,
    pub(crate) retain: bool,
}

#[derive(Debug)]
struct Entry {
    message: Message,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Waiting,
    /// Given to the library; its packet id is not known yet.
    Given,
    /// On the wire under this packet id.
    Sent(u16),
}

/// Messages in the order in which they were published.
#[derive(Debug)]
pub(crate) struct Outbox {
    entries: VecDeque<Entry>,
    window: usize,
    packet_bytes_max: Option<u32>,
}

impl Outbox {
    pub(crate) fn new() -> Self {
        Self { entries: VecDeque::new(), window: WINDOW_MAX, packet_bytes_max: None }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn has_room(&self) -> bool {
        self.entries.len() < OUTBOX_MAX
    }

    pub(crate) fn push(&mut self, message: Message) {
        self.entries.push_back(Entry { message, state: State::Waiting });
    }

    /// # Errors
    /// [`PublishError::TooLarge`] when the broker would refuse it. Sending it nevertheless would
    /// end the connection again and again.
    pub(crate) fn check_size(&self, message: &Message) -> Result<(), PublishError> {
        let bytes = message.topic.len() + message.payload.len() + PACKET_OVERHEAD;
        match self.packet_bytes_max {
            Some(max) if u32::try_from(bytes).map_or(true, |bytes| bytes > max) => {
                Err(PublishError::TooLarge { bytes, max })
            }
            _ => Ok(()),
        }
    }

    /// CONNACK: what the broker allows. Without a session all that was sent is sent again.
    /// Returns how many waiting messages are too large for this broker and were dropped.
    pub(crate) fn connected(
        &mut self,
        session_present: bool,
        receive_max: Option<u16>,
        packet_bytes_max: Option<u32>,
    ) -> usize {
        // One less than the broker's limit: at the limit the library stops acknowledging, too.
        let allowed = usize::from(receive_max.unwrap_or(u16::MAX)).saturating_sub(1);
        self.window = allowed.clamp(1, WINDOW_MAX);
        self.packet_bytes_max = packet_bytes_max;
        if !session_present {
            self.session_lost();
        }
        let before = self.entries.len();
        let mut entries = std::mem::take(&mut self.entries);
        entries.retain(|entry| self.check_size(&entry.message).is_ok());
        self.entries = entries;
        before - self.entries.len()
    }

    pub(crate) fn session_lost(&mut self) {
        for entry in &mut self.entries {
            entry.state = State::Waiting;
        }
    }

    /// The next message to give to the library, if the window has room. It counts as given.
    pub(crate) fn next_to_give(&mut self) -> Option<&Message> {
        let place = self.entries.iter().position(|entry| entry.state == State::Waiting)?;
        if place >= self.window {
            return None;
        }
        let entry = self.entries.get_mut(place)?;
        entry.state = State::Given;
        Some(&entry.message)
    }

    /// The library had no room for the message that [`Outbox::next_to_give`] returned last.
    pub(crate) fn not_given(&mut self) {
        if let Some(entry) = self.entries.iter_mut().rev().find(|e| e.state == State::Given) {
            entry.state = State::Waiting;
        }
    }

    /// The library wrote a message under `pkid`; the same id again is a repetition.
    pub(crate) fn sent(&mut self, pkid: u16) {
        if self.entries.iter().any(|entry| entry.state == State::Sent(pkid)) {
            return;
        }
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.state == State::Given) {
            entry.state = State::Sent(pkid);
        }
    }

    /// True when a message left the outbox.
    pub(crate) fn acknowledged(&mut self, pkid: u16) -> bool {
        let place = self.entries.iter().position(|entry| entry.state == State::Sent(pkid));
        place.is_some_and(|place| self.entries.remove(place).is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(n: u8) -> Message {
        Message { topic: format!("t/{n}"), payload: Bytes::from(vec![n]), retain: false }
    }

    fn give(outbox: &mut Outbox) -> Vec<String> {
        let mut given = Vec::new();
        while let Some(message) = outbox.next_to_give() {
            given.push(message.topic.clone());
        }
        given
    }

    #[test]
    fn a_lost_session_sends_everything_again_in_order() {
        let mut outbox = Outbox::new();
        assert_eq!(outbox.connected(true, Some(3), None), 0);
        (0..4).for_each(|n| outbox.push(message(n)));
        assert_eq!(give(&mut outbox), ["t/0", "t/1"]);
        outbox.sent(1);
        outbox.sent(2);
        assert!(outbox.acknowledged(1));
        assert!(!outbox.acknowledged(1));
        assert_eq!(give(&mut outbox), ["t/2"]);
        // With a session the library repeats; the repetition is not another message.
        assert_eq!(outbox.connected(true, Some(3), None), 0);
        outbox.sent(2);
        assert_eq!(give(&mut outbox), Vec::<String>::new());
        assert_eq!(outbox.connected(false, Some(10), None), 0);
        assert_eq!(give(&mut outbox), ["t/1", "t/2", "t/3"]);
    }

    #[test]
    fn a_message_without_room_stays_first() {
        let mut outbox = Outbox::new();
        (0..2).for_each(|n| outbox.push(message(n)));
        assert!(outbox.next_to_give().is_some());
        outbox.not_given();
        assert_eq!(give(&mut outbox), ["t/0", "t/1"]);
    }

    #[test]
    fn what_the_broker_would_refuse_is_not_sent() {
        let mut outbox = Outbox::new();
        outbox.push(Message { payload: Bytes::from(vec![0; 300]), ..message(0) });
        outbox.push(message(1));
        assert_eq!(outbox.connected(true, None, Some(200)), 1);
        assert_eq!(give(&mut outbox), ["t/1"]);
    }
}
