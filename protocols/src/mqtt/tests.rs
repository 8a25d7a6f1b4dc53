//! The driver against a scripted broker on the loopback, which does what real ones do only
//! sometimes: loses the session, sends too much, reuses packet ids.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use metering::UtcTime;
use rumqttc::v5::mqttbytes::v5::{
    ConnAck, ConnAckProperties, ConnectReturnCode, Packet, PubAck, Publish, SubAck,
    SubscribeReasonCode,
};
use rumqttc::v5::mqttbytes::{Error, QoS};

use super::{MqttConfig, MqttSource, RawFrame, Resolution, resolve_all};

const PATIENCE: Duration = Duration::from_secs(10);

struct Broker(TcpListener);

/// The broker's side of one connection.
struct Peer {
    stream: TcpStream,
    unread: BytesMut,
}

impl Broker {
    fn start() -> (Self, MqttConfig) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut config = MqttConfig::new("127.0.0.1", port, "test").subscribed("t/#");
        config.reconnect_first_ms = 5;
        (Self(listener), config)
    }

    /// Takes the next connection up to the granted subscription.
    fn accept(&self, session_present: bool) -> Peer {
        let mut peer = self.accept_bare(session_present, None);
        peer.grant(SubscribeReasonCode::Success(QoS::AtLeastOnce));
        peer
    }

    fn accept_bare(&self, session_present: bool, properties: Option<ConnAckProperties>) -> Peer {
        let (stream, _) = self.0.accept().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut peer = Peer { stream, unread: BytesMut::new() };
        let Packet::Connect(connect, ..) = peer.read() else { panic!("no CONNECT") };
        assert!(!connect.clean_start);
        let wanted = connect.properties.unwrap();
        assert_eq!(wanted.receive_maximum, Some(1_000));
        assert_eq!(wanted.session_expiry_interval, Some(86_400));
        assert_eq!(wanted.max_packet_size, Some(4 << 20));
        peer.write(&Packet::ConnAck(ConnAck {
            session_present,
            code: ConnectReturnCode::Success,
            properties,
        }));
        peer
    }
}

impl Peer {
    /// The next packet that is no ping.
    fn read(&mut self) -> Packet {
        self.try_read().expect("the connection was closed")
    }

    /// `None` when the client closed the connection.
    fn try_read(&mut self) -> Option<Packet> {
        loop {
            match Packet::read(&mut self.unread, None) {
                Ok(Packet::PingReq(_)) => {}
                Ok(packet) => return Some(packet),
                Err(Error::InsufficientBytes(_)) => {
                    let mut chunk = [0; 4096];
                    match self.stream.read(&mut chunk) {
                        Ok(0) => return None,
                        Ok(n) => self.unread.extend_from_slice(&chunk[..n]),
                        Err(e) if e.kind() == ErrorKind::ConnectionReset => return None,
                        Err(e) => panic!("{e}"),
                    }
                }
                // rumqttc reads no DISCONNECT of two bytes, though it may write one.
                Err(Error::PayloadRequired) => return None,
                Err(e) => panic!("{e:?}"),
            }
        }
    }

    fn write(&mut self, packet: &Packet) {
        let mut bytes = BytesMut::new();
        packet.write(&mut bytes, None).unwrap();
        self.stream.write_all(&bytes).unwrap();
    }

    fn grant(&mut self, code: SubscribeReasonCode) {
        let Packet::Subscribe(subscribe) = self.read() else { panic!("no SUBSCRIBE") };
        let return_codes = vec![code; subscribe.filters.len()];
        self.write(&Packet::SubAck(SubAck {
            pkid: subscribe.pkid,
            return_codes,
            properties: None,
        }));
    }

    fn send(&mut self, pkid: u16, payload: &str) {
        self.send_bytes(pkid, Bytes::copy_from_slice(payload.as_bytes()));
    }

    /// Packet id 0 sends with QoS 0.
    fn send_bytes(&mut self, pkid: u16, payload: Bytes) {
        let qos = if pkid == 0 { QoS::AtMostOnce } else { QoS::AtLeastOnce };
        let publish = Publish { pkid, ..Publish::new("t/1", qos, payload, None) };
        self.write(&Packet::Publish(publish));
    }

    fn acks(&mut self, count: usize) -> Vec<u16> {
        let ack = |packet| match packet {
            Packet::PubAck(PubAck { pkid, .. }) => pkid,
            other => panic!("wanted PUBACK: {other:?}"),
        };
        (0..count).map(|_| ack(self.read())).collect()
    }
}

fn start(config: MqttConfig) -> MqttSource {
    MqttSource::start(config, Arc::new(|| UtcTime::from_seconds(1_800_000_000))).unwrap()
}

async fn recv(source: &mut MqttSource) -> RawFrame {
    tokio::time::timeout(PATIENCE, source.recv()).await.unwrap().unwrap()
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..2_000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("never: {what}");
}

/// Runs the blocking broker script beside the client.
fn script<T: Send + 'static>(
    run: impl FnOnce() -> T + Send + 'static,
) -> tokio::task::JoinHandle<T> {
    tokio::task::spawn_blocking(run)
}

#[tokio::test]
async fn acknowledgements_follow_the_commit_in_arrival_order() {
    let (broker, config) = Broker::start();
    let mut source = start(config);
    let broker = script(move || {
        let mut peer = broker.accept(false);
        for (pkid, text) in [(7, "a"), (8, "b"), (9, "c")] {
            peer.send(pkid, text);
        }
        peer.acks(3)
    });
    let (a, b, c) = (recv(&mut source).await, recv(&mut source).await, recv(&mut source).await);
    assert_eq!((a.topic.as_str(), &a.payload[..], a.retain), ("t/1", &b"a"[..], false));
    let stats = source.stats();
    c.guard.dead_lettered();
    b.guard.committed();
    assert_eq!(stats.acked.load(Relaxed), 0);
    assert_eq!(stats.outstanding.load(Relaxed), 3);
    a.guard.rejected();
    assert_eq!(broker.await.unwrap(), [7, 8, 9]);
    assert_eq!((stats.acked.load(Relaxed), stats.queue_len.load(Relaxed)), (3, 0));
    source.stop().await;
}

#[tokio::test]
async fn a_stale_acknowledgement_never_reaches_the_next_connection() {
    let (broker, config) = Broker::start();
    let mut source = start(config);
    let (resolved, wait) = std::sync::mpsc::channel::<()>();
    let broker = script(move || {
        let mut first = broker.accept(false);
        first.send(1, "old 1");
        first.send(2, "old 2");
        wait.recv().unwrap();
        drop(first);
        let mut second = broker.accept(true);
        second.send(1, "again 1");
        let acks = second.acks(1);
        second.send(2, "again 2");
        (acks, second.acks(1))
    });
    let (one, two) = (recv(&mut source).await, recv(&mut source).await);
    resolved.send(()).unwrap();
    let stats = source.stats();
    let again = recv(&mut source).await;
    assert_eq!(stats.epoch.load(Relaxed), 2);
    // Both copies of message 1 are out; only the new one may be acknowledged.
    resolve_all([(one.guard, Resolution::Committed), (two.guard, Resolution::Committed)]);
    assert_eq!((stats.acked.load(Relaxed), stats.ack_refused_stale.load(Relaxed)), (0, 2));
    again.guard.committed();
    recv(&mut source).await.guard.committed();
    assert_eq!(broker.await.unwrap(), (vec![1], vec![2]));
    assert_eq!(stats.possible_gaps.load(Relaxed), 0);
    source.stop().await;
}

#[tokio::test]
async fn a_full_queue_stops_reading_and_loses_nothing() {
    const COUNT: u16 = 2_000;
    let (broker, mut config) = Broker::start();
    config.queue_max = 100;
    let mut source = start(config);
    let broker = script(move || {
        let mut peer = broker.accept(false);
        // Far more than the receive maximum, as mosquitto does.
        (1..=COUNT).for_each(|pkid| peer.send(pkid, "x"));
        peer.acks(usize::from(COUNT))
    });
    let stats = source.stats();
    until("the queue is full", || stats.queue_full.load(Relaxed) > 0).await;
    assert!(stats.queue_len.load(Relaxed) <= 100);
    let mut frames = Vec::new();
    let mut guards = Vec::new();
    while guards.len() < usize::from(COUNT) {
        let taken = tokio::time::timeout(PATIENCE, source.recv_many(&mut frames, 64)).await;
        assert_ne!(taken.expect("a message was lost"), 0);
        guards.extend(frames.drain(..).map(|frame| (frame.guard, Resolution::Committed)));
    }
    resolve_all(guards);
    assert_eq!(broker.await.unwrap(), (1..=COUNT).collect::<Vec<_>>());
    assert_eq!(stats.dropped_qos0.load(Relaxed), 0);
    source.stop().await;
}

#[tokio::test]
async fn many_bytes_fill_the_queue_too_and_qos_0_gives_way() {
    let (broker, mut config) = Broker::start();
    config.queue_bytes_max = 100_000;
    let mut source = start(config);
    let broker = script(move || {
        let mut peer = broker.accept(false);
        peer.send_bytes(1, Bytes::from(vec![b'x'; 3 << 20]));
        peer.send_bytes(0, Bytes::from(vec![b'y'; 20_000]));
        peer.send_bytes(0, Bytes::from(vec![b'z'; 20_000]));
        peer.acks(1)
    });
    let stats = source.stats();
    until("QoS 0 was dropped", || stats.dropped_qos0.load(Relaxed) == 2).await;
    let frame = recv(&mut source).await;
    assert_eq!(frame.payload.len(), 3 << 20);
    frame.guard.dead_lettered();
    assert_eq!(broker.await.unwrap(), [1]);
    assert_eq!((stats.queue_len.load(Relaxed), stats.queue_bytes.load(Relaxed)), (0, 0));
    source.stop().await;
}

#[tokio::test]
async fn a_lost_session_is_told_and_own_messages_are_sent_again() {
    let (broker, config) = Broker::start();
    let source = start(config);
    let broker = script(move || {
        let mut first = broker.accept(false);
        let Packet::Publish(publish) = first.read() else { panic!("no PUBLISH") };
        assert_eq!(&publish.payload[..], b"one");
        drop(first);
        let mut second = broker.accept(false);
        let mut texts = Vec::new();
        while texts.len() < 2 {
            let Packet::Publish(publish) = second.read() else { panic!("no PUBLISH") };
            texts.push(String::from_utf8(publish.payload.to_vec()).unwrap());
            second.write(&Packet::PubAck(PubAck::new(publish.pkid, None)));
        }
        // Open until the client has read all: a close with unread bytes would reset it.
        (texts, second)
    });
    let publisher = source.publisher();
    publisher.publish("cmd/1", "one", false).await.unwrap();
    publisher.publish("cmd/1", "two", false).await.unwrap();
    assert!(publisher.publish("cmd/#", "x", false).await.is_err());
    tokio::time::timeout(PATIENCE, publisher.flushed()).await.unwrap().unwrap();
    let (texts, peer) = broker.await.unwrap();
    assert_eq!(texts, ["one", "two"]);
    let stats = source.stats();
    assert_eq!((stats.possible_gaps.load(Relaxed), stats.published.load(Relaxed)), (1, 2));
    source.stop().await;
    drop(peer);
    assert!(publisher.publish("cmd/1", "late", false).await.is_err());
}

#[tokio::test]
async fn refused_subscriptions_and_a_taken_client_id_are_told() {
    let (broker, config) = Broker::start();
    let source = start(config);
    let stats = source.stats();
    let broker = script(move || {
        let mut peer = broker.accept_bare(false, None);
        peer.grant(SubscribeReasonCode::NotAuthorized);
        // By hand: rumqttc writes this packet one byte too long.
        peer.stream.write_all(&[0xE0, 2, 0x8E, 0]).unwrap();
        peer
    });
    until("the conflict is counted", || stats.client_id_conflicts.load(Relaxed) == 1).await;
    drop(broker.await.unwrap());
    assert_eq!(stats.suback_failures.load(Relaxed), 1);
    assert!(!stats.is_subscribed() && !stats.is_connected());
    source.stop().await;
}

/// mosquitto 2.0.11 closes a connection that another client took over without a word, and the
/// library reads no DISCONNECT without properties: only the pattern tells.
#[tokio::test]
async fn connections_that_end_before_any_message_slow_the_reconnects() {
    let (broker, config) = Broker::start();
    let source = start(config);
    let stats = source.stats();
    let broker = script(move || {
        for _ in 0..3 {
            drop(broker.accept(true));
        }
        broker
    });
    until("the conflict is counted", || stats.client_id_conflicts.load(Relaxed) == 1).await;
    assert_eq!(stats.reconnects.load(Relaxed), 3);
    drop(broker.await.unwrap());
    source.stop().await;
}

#[tokio::test]
async fn a_stop_sends_what_was_committed_and_leaves_the_rest_with_the_broker() {
    let (broker, config) = Broker::start();
    let mut source = start(config);
    let broker = script(move || {
        let mut peer = broker.accept(false);
        (1..=4).for_each(|pkid| peer.send(pkid, "x"));
        let mut acks = Vec::new();
        while let Some(Packet::PubAck(ack)) = peer.try_read() {
            acks.push(ack.pkid);
        }
        acks
    });
    let stats = source.stats();
    let (one, two) = (recv(&mut source).await, recv(&mut source).await);
    until("the rest waits", || stats.queue_len.load(Relaxed) == 2).await;
    one.guard.committed();
    two.guard.abandoned();
    source.stop().await;
    assert_eq!(broker.await.unwrap(), [1]);
    assert_eq!((stats.abandoned.load(Relaxed), stats.guards_dropped.load(Relaxed)), (3, 0));
}

#[cfg(debug_assertions)]
#[tokio::test]
async fn a_forgotten_guard_is_counted_and_panics() {
    let (broker, config) = Broker::start();
    let mut source = start(config);
    let broker = script(move || {
        let mut peer = broker.accept(false);
        peer.send(1, "x");
        peer
    });
    let frame = recv(&mut source).await;
    let stats = source.stats();
    let dropped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(frame)));
    assert!(dropped.is_err());
    assert_eq!(stats.guards_dropped.load(Relaxed), 1);
    drop(broker.await.unwrap());
    source.stop().await;
}
