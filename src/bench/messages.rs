//! Part two: single-reading messages through a broker on the same machine.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context as _;
use metering::UtcTime;
use protocols::mqtt::{MqttConfig, MqttSource, Subscription};
use simulators::SimMessage;
use store::Database;
use tokio::sync::watch;

use super::{Figures, load};
use crate::clock::Clock;
use crate::demo::SimPublisher;
use crate::ingest::stats::IngestStats;
use crate::ingest::{Ingest, IngestOptions, Route};
use crate::verbs::BenchOptions;

const CHUNK: u64 = 2_000;
const QUIET_LIMIT: Duration = Duration::from_secs(60);

pub(super) async fn run(
    options: &BenchOptions,
    database: &Database,
    clock: &Arc<dyn Clock>,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let (host, port, name) = match &options.broker {
        Some(broker) => {
            (broker.host.clone(), broker.port, format!("{}:{}", broker.host, broker.port))
        }
        None => ("127.0.0.1".to_owned(), crate::demo::start_broker()?, "embedded".to_owned()),
    };
    let route = Route {
        filter: "ami/up/#".to_owned(),
        format: protocols::Format::Bundle,
        zone: None,
        collector_level: None,
        mapping: None,
        options: protocols::DecodeOptions::default(),
    };
    let ingest =
        Ingest::new(database.clone(), IngestOptions::new("mqtt", vec![route]), Arc::clone(clock));
    let stats = ingest.stats();
    let arrival = Arc::clone(clock);
    let source =
        MqttSource::start(mqtt(&host, port), Arc::new(move || arrival.now())).context("MQTT")?;
    let mqtt = source.stats();
    let (stop, stopped) = watch::channel(false);
    let task = tokio::spawn(ingest.run(source, stopped));
    while !mqtt.is_connected() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let elapsed = publish(options, (&host, port), &stats, clock).await?;
    stop.send_replace(true);
    task.await.context("ingest ended badly")?;
    figures.messages = options.messages;
    figures.messages_per_s = Some(options.messages as f64 / elapsed.as_secs_f64());
    figures.broker = Some(name);
    Ok(())
}

fn mqtt(host: &str, port: u16) -> MqttConfig {
    MqttConfig {
        host: host.to_owned(),
        port,
        client_id: format!("headend-bench-{}", std::process::id()),
        username: None,
        password: None,
        subscriptions: vec![Subscription { filter: "ami/up/#".to_owned(), qos1: true }],
        receive_maximum: 2_000,
        packet_bytes_max: 4 << 20,
        session_expiry_s: 60,
        keep_alive_s: 30,
        queue_max: 8_000,
        queue_bytes_max: 64 << 20,
        reconnect_first_ms: 100,
        tcp_nodelay: false,
    }
}

/// From the first publish to the last commit.
async fn publish(
    options: &BenchOptions,
    (host, port): (&str, u16),
    stats: &Arc<IngestStats>,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<Duration> {
    let from = UtcTime::from_seconds((load::FIRST_DAY + 100) * 86_400);
    let total = options.messages;
    let meters = options.meters;
    let mut publisher = SimPublisher::connect(host, port, "headend-bench-meters");
    let start = clock.monotonic();
    let sender = tokio::spawn(async move {
        for first in (0..total).step_by(usize::try_from(CHUNK)?) {
            let messages = (first..(first + CHUNK).min(total))
                .map(|n| {
                    let frame = load::single(meters, n, from);
                    SimMessage {
                        sent_at: frame.received_at,
                        topic: frame.topic,
                        payload: frame.payload.to_vec(),
                        reads: 1,
                    }
                })
                .collect();
            publisher.send(messages).await?;
        }
        publisher.flush().await?;
        publisher.stop().await;
        anyhow::Ok(())
    });
    let (mut done, mut quiet_since) = (0, clock.monotonic());
    while done < total {
        tokio::time::sleep(Duration::from_millis(2)).await;
        let now = stats.messages.load(Ordering::Relaxed);
        if now > done {
            (done, quiet_since) = (now, clock.monotonic());
        }
        anyhow::ensure!(
            clock.monotonic().saturating_sub(quiet_since) < QUIET_LIMIT,
            "{done} of {total} messages were committed and then none for 60 s"
        );
    }
    let elapsed = clock.monotonic().saturating_sub(start);
    sender.await.context("the publisher")??;
    Ok(elapsed)
}
