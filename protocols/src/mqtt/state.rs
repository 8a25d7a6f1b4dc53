//! The ledger of acknowledgements of one broker connection: pure, no I/O, no clock.
//!
//! Messages enter in arrival order. An acknowledgement leaves only when its message and all before
//! it are resolved (MQTT-4.6.0-2 demands arrival order and the library leaves that to us), and
//! only on the connection that brought the message: packet ids are reused on the next one, so a
//! late acknowledgement would acknowledge a message that was never stored.

use std::collections::VecDeque;

/// A message's place in the ledger.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ticket {
    /// Number of arrival, over all connections.
    seq: u64,
    pkid: u16,
}

/// What became of a resolution.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum Marked {
    /// Noted; it leaves when all before it are resolved.
    Noted,
    /// The connection that brought the message is gone; the broker sends the message again.
    Stale,
    /// Resolved before.
    Again,
}

/// Outstanding messages of the current connection, in arrival order.
#[derive(Debug, Default)]
pub struct AckLedger {
    /// The number of connections so far. 0: never connected.
    epoch: u64,
    /// False between the loss of a connection and the next CONNACK.
    open: bool,
    next_seq: u64,
    /// First sequence number of this connection; tickets below it are stale.
    epoch_seq: u64,
    /// Sequence number of `entries[0]`.
    front_seq: u64,
    entries: VecDeque<Entry>,
    /// Resolved in order, waiting for room on the way to the broker.
    ready: VecDeque<u16>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    pkid: u16,
    resolved: bool,
}

impl AckLedger {
    pub fn new() -> Self {
        Self::default()
    }

    /// CONNACKs so far; names the current connection.
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Messages received and not yet acknowledged, on this connection.
    pub fn outstanding(&self) -> usize {
        self.entries.len() + self.ready.len()
    }

    /// CONNACK: a new connection begins.
    pub fn connected(&mut self) {
        self.forget();
        self.epoch += 1;
        self.open = true;
    }

    /// The connection is lost. Nothing that it brought may be acknowledged any more.
    pub fn disconnected(&mut self) {
        self.forget();
        self.open = false;
    }

    /// A QoS 1 message arrived.
    pub fn received(&mut self, pkid: u16) -> Ticket {
        let ticket = Ticket { seq: self.next_seq, pkid };
        self.next_seq += 1;
        if self.open {
            self.entries.push_back(Entry { pkid, resolved: false });
        } else {
            // A leftover of the lost connection: useful as data, never to be acknowledged.
            self.forget();
        }
        ticket
    }

    /// The message was stored, or kept as a dead letter, or rightly ignored.
    pub fn resolve(&mut self, ticket: Ticket) -> Marked {
        if ticket.seq < self.epoch_seq {
            return self.resolve_stale(ticket);
        }
        let Some(place) = ticket.seq.checked_sub(self.front_seq) else {
            return Marked::Again;
        };
        let entry = usize::try_from(place).ok().and_then(|place| self.entries.get_mut(place));
        match entry {
            Some(entry) if entry.resolved => return Marked::Again,
            Some(entry) => entry.resolved = true,
            // A ticket of another ledger: nothing here waits for it.
            None => return Marked::Stale,
        }
        while let Some(front) = self.entries.front().filter(|entry| entry.resolved) {
            self.ready.push_back(front.pkid);
            self.entries.pop_front();
            self.front_seq += 1;
        }
        Marked::Noted
    }

    /// The next acknowledgement to send; [`AckLedger::put_back`] when there was no room for it.
    pub fn take_ready(&mut self) -> Option<u16> {
        self.ready.pop_front()
    }

    pub fn put_back(&mut self, pkid: u16) {
        self.ready.push_front(pkid);
    }

    pub fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    #[cfg(not(feature = "sabotage-no-epoch-check"))]
    #[expect(clippy::unused_self, reason = "the sabotage build's version needs it")]
    fn resolve_stale(&mut self, _ticket: Ticket) -> Marked {
        Marked::Stale
    }

    /// Sends the packet id of an old connection on the current one: what T04 must catch.
    #[cfg(feature = "sabotage-no-epoch-check")]
    fn resolve_stale(&mut self, ticket: Ticket) -> Marked {
        self.ready.push_back(ticket.pkid);
        Marked::Noted
    }

    fn forget(&mut self) {
        self.entries.clear();
        self.ready.clear();
        self.epoch_seq = self.next_seq;
        self.front_seq = self.next_seq;
    }
}

impl Ticket {
    /// The packet id on the connection that brought the message.
    pub const fn pkid(self) -> u16 {
        self.pkid
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Drives a ledger with words and compares what it would send.
    fn check(script: &str, want: &str) {
        let mut ledger = AckLedger::new();
        let mut tickets: Vec<Ticket> = Vec::new();
        let mut sent = Vec::new();
        for word in script.split_whitespace() {
            let number = || word[1..].parse::<usize>().unwrap();
            match word.as_bytes()[0] {
                b'C' => ledger.connected(),
                b'D' => ledger.disconnected(),
                b'r' => tickets.push(ledger.received(u16::try_from(number()).unwrap())),
                b'd' => match ledger.resolve(tickets[number()]) {
                    Marked::Noted => {}
                    Marked::Stale => sent.push("stale".to_owned()),
                    Marked::Again => sent.push("again".to_owned()),
                },
                _ => panic!("{word}"),
            }
            while let Some(pkid) = ledger.take_ready() {
                sent.push(pkid.to_string());
            }
        }
        assert_eq!(sent.join(" "), want, "{script}");
    }

    #[test]
    fn acknowledgements_leave_in_arrival_order() {
        check("C r7 r8 r9 d0 d1 d2", "7 8 9");
        check("C r7 r8 r9 d2 d1 d0", "7 8 9");
        check("C r7 r8 r9 d1 d0", "7 8");
        check("C r7 r8 d1", "");
    }

    #[test]
    fn a_ticket_counts_once() {
        check("C r7 r8 d0 d0 d1 d1", "7 again 8 again");
        check("C r7 r8 d1 d1 d0", "again 7 8");
    }

    #[test]
    fn an_old_connections_ticket_is_never_sent() {
        check("C r7 r8 D d0 C d1", "stale stale");
        check("C r7 D C r7 d0 d1", "stale 7");
        // A leftover read before the loss but seen after it.
        check("C r7 D r8 C r7 d1 d2 d0", "stale 7 stale");
        check("r7 C d0 r7 d1", "stale 7");
        // Two losses without a CONNACK between them.
        check("C r1 D D C r2 d1 d0", "2 stale");
    }

    #[test]
    fn what_found_no_room_is_sent_next_and_forgotten_with_the_connection() {
        let mut ledger = AckLedger::new();
        ledger.connected();
        let (a, b) = (ledger.received(1), ledger.received(2));
        assert_eq!(ledger.resolve(a), Marked::Noted);
        assert_eq!(ledger.resolve(b), Marked::Noted);
        let first = ledger.take_ready().unwrap();
        ledger.put_back(first);
        assert_eq!((ledger.take_ready(), ledger.outstanding()), (Some(1), 1));
        ledger.disconnected();
        assert_eq!((ledger.take_ready(), ledger.outstanding()), (None, 0));
    }

    /// What the broker believes: packet ids it has sent on this connection, in order.
    #[derive(Default)]
    struct Broker {
        in_flight: VecDeque<u16>,
        next: u16,
    }

    proptest! {
        /// Whatever the order of arrivals, resolutions, losses and full channels: the broker sees
        /// only acknowledgements of its oldest message in flight, on this connection.
        #[test]
        fn the_broker_is_never_surprised(
            steps in prop::collection::vec((0_u8..12, any::<u16>()), 1..300),
        ) {
            let mut ledger = AckLedger::new();
            let mut broker = Broker::default();
            let mut held: Vec<Ticket> = Vec::new();
            let mut up = false;
            for (step, pick) in steps {
                match step {
                    0 => { ledger.disconnected(); broker.in_flight.clear(); up = false; }
                    1 => { ledger.connected(); broker = Broker::default(); up = true; }
                    2..=6 if up => {
                        broker.next = broker.next % 20 + 1;
                        if !broker.in_flight.contains(&broker.next) {
                            broker.in_flight.push_back(broker.next);
                            held.push(ledger.received(broker.next));
                        }
                    }
                    7..=10 if !held.is_empty() => {
                        let ticket = held.swap_remove(usize::from(pick) % held.len());
                        let _ = ledger.resolve(ticket);
                    }
                    _ => {
                        // One acknowledgement finds room, the next does not.
                        if let Some(pkid) = ledger.take_ready() {
                            prop_assert!(up);
                            prop_assert_eq!(Some(pkid), broker.in_flight.pop_front());
                        }
                        if let Some(pkid) = ledger.take_ready() { ledger.put_back(pkid); }
                    }
                }
                prop_assert_eq!(ledger.outstanding(), broker.in_flight.len());
            }
        }
    }
}
