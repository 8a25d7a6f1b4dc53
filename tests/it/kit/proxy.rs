//! A TCP proxy between head-end and broker. It reads the MQTT packets that pass, so that it can cut
//! in a chosen state and judge each acknowledgement by the connection on which it travels.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

const CONNECT: u8 = 1;
const CONNACK: u8 = 2;
const PUBLISH: u8 = 3;
const PUBACK: u8 = 4;

/// What was seen so far.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Connections that the broker accepted.
    pub(crate) connections: u64,
    /// Of the last one: the broker had kept the session.
    pub(crate) session_present: bool,
    /// Packet ids delivered on the present connection and not acknowledged, in order.
    pub(crate) unacked: VecDeque<u16>,
    /// The most that were unacknowledged at once, on any connection.
    pub(crate) unacked_most: usize,
    pub(crate) delivered: u64,
    pub(crate) acked: u64,
    /// Acknowledgements that do not belong to their connection, or come out of order.
    pub(crate) violations: Vec<String>,
}

/// What is done to the next connection.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Plan {
    /// Deliveries wait so long after the connection is made.
    pub(crate) hold: Duration,
    /// The broker is told to forget the session.
    pub(crate) forget_session: bool,
}

#[derive(Debug, Default)]
struct Shared {
    seen: Mutex<Seen>,
    plan: Mutex<Plan>,
    ack_delay: Mutex<Duration>,
}

#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) port: u16,
    shared: Arc<Shared>,
    cut: watch::Sender<u64>,
    task: JoinHandle<()>,
}

impl Proxy {
    pub(crate) async fn start(broker: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared::default());
        let (cut, cuts) = watch::channel(0);
        let task = tokio::spawn(accept(listener, broker, Arc::clone(&shared), cuts));
        Self { port, shared, cut, task }
    }

    /// What the head-end sends is on the way for so long, and lost when the connection is cut.
    pub(crate) fn delay_acks(&self, delay: Duration) {
        *self.shared.ack_delay.lock().unwrap() = delay;
    }

    /// Ends the present connection on both sides; `plan` holds for the next one.
    pub(crate) fn cut(&self, plan: Plan) {
        *self.shared.plan.lock().unwrap() = plan;
        self.cut.send_modify(|count| *count += 1);
    }

    pub(crate) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.shared.seen()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// One connection after the other, as the head-end makes them.
async fn accept(
    listener: TcpListener,
    broker: u16,
    shared: Arc<Shared>,
    mut cuts: watch::Receiver<u64>,
) {
    loop {
        let Ok((head_end, _)) = listener.accept().await else { return };
        let Ok(broker) = TcpStream::connect(("127.0.0.1", broker)).await else { continue };
        let _ = (head_end.set_nodelay(true), broker.set_nodelay(true));
        let plan = std::mem::take(&mut *shared.plan.lock().unwrap());
        shared.seen().unacked.clear();
        let (from_head_end, to_head_end) = head_end.into_split();
        let (from_broker, to_broker) = broker.into_split();
        cuts.mark_unchanged();
        tokio::select! {
            () = upwards(from_head_end, to_broker, &shared, plan) => {}
            () = downwards(from_broker, to_head_end, &shared, plan) => {}
            _ = cuts.changed() => {}
        }
    }
}

async fn upwards(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, shared: &Shared, plan: Plan) {
    let mut bytes = BytesMut::new();
    while from.read_buf(&mut bytes).await.is_ok_and(|count| count > 0) {
        let delay = *shared.ack_delay.lock().unwrap();
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        while let Some(mut packet) = next_packet(&mut bytes) {
            match packet[0] >> 4 {
                CONNECT if plan.forget_session => forget_session(&mut packet),
                PUBACK => shared.seen().judge(puback_id(&packet)),
                _ => {}
            }
            if to.write_all(&packet).await.is_err() {
                return;
            }
        }
    }
}

async fn downwards(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, shared: &Shared, plan: Plan) {
    let mut bytes = BytesMut::new();
    let mut held = false;
    while from.read_buf(&mut bytes).await.is_ok_and(|count| count > 0) {
        while let Some(packet) = next_packet(&mut bytes) {
            match packet[0] >> 4 {
                CONNACK => {
                    let mut seen = shared.seen();
                    seen.connections += 1;
                    seen.session_present = body(&packet)[0] & 1 == 1;
                }
                PUBLISH => {
                    if !held {
                        held = true;
                        tokio::time::sleep(plan.hold).await;
                    }
                    if let Some(id) = publish_id(&packet) {
                        let mut seen = shared.seen();
                        seen.unacked.push_back(id);
                        seen.unacked_most = seen.unacked_most.max(seen.unacked.len());
                        seen.delivered += 1;
                    }
                }
                _ => {}
            }
            if to.write_all(&packet).await.is_err() {
                return;
            }
        }
    }
}

impl Seen {
    /// MQTT 5, 4.6: acknowledgements go in the order of the deliveries of their connection.
    fn judge(&mut self, id: u16) {
        self.acked += 1;
        match self.unacked.iter().position(|waiting| *waiting == id) {
            Some(0) => {
                self.unacked.pop_front();
            }
            Some(place) => {
                self.unacked.remove(place);
                self.violations.push(format!("packet {id} acknowledged {place} too early"));
            }
            None => self.violations.push(format!(
                "packet {id} acknowledged on connection {}, where it was not waiting",
                self.connections
            )),
        }
    }
}

/// The next whole packet, if it is there.
fn next_packet(bytes: &mut BytesMut) -> Option<BytesMut> {
    let (header, length) = lengths(bytes)?;
    (bytes.len() >= header + length).then(|| bytes.split_to(header + length))
}

/// Bytes of the fixed header and of the rest.
fn lengths(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut length = 0;
    for place in 0..4 {
        let byte = *bytes.get(1 + place)?;
        length |= usize::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Some((2 + place, length));
        }
    }
    None
}

fn body(packet: &[u8]) -> &[u8] {
    let header = lengths(packet).map_or(2, |(header, _)| header);
    &packet[header..]
}

/// `None` for QoS 0.
fn publish_id(packet: &[u8]) -> Option<u16> {
    let mut rest = body(packet);
    let topic = usize::from(rest.get_u16());
    rest.advance(topic);
    (packet[0] & 0b110 != 0).then(|| rest.get_u16())
}

fn puback_id(packet: &[u8]) -> u16 {
    body(packet).get_u16()
}

/// Sets "clean start" in a CONNECT: two bytes of length, `MQTT`, version, flags.
fn forget_session(packet: &mut BytesMut) {
    let header = lengths(packet).map_or(2, |(header, _)| header);
    packet[header + 7] |= 0b10;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_cut_where_they_end_and_their_ids_are_read() {
        let mut bytes = BytesMut::from(&b"\x32\x06\x00\x01a\x01\x02!\x40\x02\x01\x02\x30\x7f"[..]);
        let publish = next_packet(&mut bytes).unwrap();
        assert_eq!(publish_id(&publish), Some(0x0102));
        let puback = next_packet(&mut bytes).unwrap();
        assert_eq!(puback_id(&puback), 0x0102);
        assert!(next_packet(&mut bytes).is_none());
        assert_eq!(lengths(b"\x30\x80\x01"), Some((3, 128)));
    }

    #[test]
    fn an_acknowledgement_of_another_connection_is_a_violation() {
        let mut seen = Seen { unacked: [1, 2, 3].into(), ..Seen::default() };
        seen.judge(1);
        assert!(seen.violations.is_empty());
        seen.judge(3);
        seen.judge(1);
        assert_eq!(seen.violations.len(), 2, "{:?}", seen.violations);
    }
}
