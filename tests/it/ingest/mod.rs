//! Ingest over a real store, without a broker: what was sent is what is there, once, whatever
//! happens in between.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use headend::clock::{Clock, SteppedClock};
use headend::ingest::{Ingest, IngestOptions, IngestStats, Replayer, Route, Source};
use metering::{ChannelKind, Commodity, CustomerClass, ReadingType, SourceId, Unit, UtcTime};
use protocols::Format;
use protocols::mqtt::{AckGuard, RawFrame};
use store::assets::{ChannelProvision, MeterProvision};
use store::{Database, ReplayFilter};
use tokio::sync::{mpsc, watch};

use crate::kit::database::fresh;

const DEADLINE: Duration = Duration::from_secs(30);

struct Messages(mpsc::Receiver<RawFrame>);

impl Source for Messages {
    async fn recv_many(&mut self, frames: &mut Vec<RawFrame>, max: usize) -> usize {
        self.0.recv_many(frames, max).await
    }

    fn try_recv(&mut self) -> Option<RawFrame> {
        self.0.try_recv().ok()
    }

    async fn stop(self) {}
}

/// A running ingest, and the sender's side of it.
struct Rig {
    database: Database,
    stats: Arc<IngestStats>,
    reload: Arc<tokio::sync::Notify>,
    messages: mpsc::Sender<RawFrame>,
    shutdown: watch::Sender<bool>,
    running: tokio::task::JoinHandle<()>,
}

fn clock() -> Arc<dyn Clock> {
    SteppedClock::starting_at(at(86_400))
}

/// Seconds after 2026-11-20T00:00:00Z.
fn at(seconds: i64) -> UtcTime {
    UtcTime::parse_rfc3339("2026-11-20T00:00:00Z").unwrap().plus_seconds(seconds)
}

fn options() -> IngestOptions {
    let route = |filter: &str, format| Route {
        filter: filter.to_owned(),
        format,
        zone: None,
        collector_level: None,
        mapping: None,
        options: protocols::DecodeOptions::default(),
    };
    let routes = vec![route("ami/#", Format::Bundle), route("amr/#", Format::Rtlamr)];
    // The asset model is looked at when a test says so.
    let assets_every = Duration::from_secs(3_600);
    IngestOptions { batch_rows_max: 500, assets_every, ..IngestOptions::new("mqtt", routes) }
}

impl Rig {
    fn start(database: &Database) -> Self {
        let ingest = Ingest::new(database.clone(), options(), clock());
        let (stats, reload) = (ingest.stats(), ingest.reload());
        let (messages, queue) = mpsc::channel(5000);
        let (shutdown, stopped) = watch::channel(false);
        let running = tokio::spawn(ingest.run(Messages(queue), stopped));
        Self { database: database.clone(), stats, reload, messages, shutdown, running }
    }

    async fn send(&self, topic: &str, payload: String, received_at: UtcTime) {
        let raw = RawFrame {
            topic: topic.to_owned(),
            payload: payload.into(),
            received_at,
            arrived: tokio::time::Instant::now(),
            retain: false,
            redelivered: false,
            guard: AckGuard::detached(),
        };
        self.messages.send(raw).await.unwrap();
    }

    async fn until(&self, counter: &AtomicU64, count: u64) {
        let waited = tokio::time::timeout(DEADLINE, async {
            while counter.load(Ordering::SeqCst) < count {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        });
        let reached = waited.await;
        assert!(reached.is_ok(), "{counter:?} of {count}; {:?}", self.stats);
    }

    async fn stop(self) -> Arc<IngestStats> {
        self.shutdown.send_replace(true);
        tokio::time::timeout(DEADLINE, self.running).await.unwrap().unwrap();
        assert!(self.stats.reconciles());
        self.stats
    }
}

fn channel(field: &str, kind: ChannelKind, unit: Unit, len_s: i32) -> ChannelProvision {
    let electric = unit.base() == Unit::WattHour;
    let reading_type = if electric { ReadingType::ENERGY_IMPORT } else { ReadingType::VOLUME };
    ChannelProvision {
        field: field.to_owned(),
        reading_type,
        kind,
        unit,
        multiplier: 1.into(),
        decimals: 0,
        modulus: 0,
        len_s,
        resolution: 1000,
        cap_per_hour: 0,
        delivery_lag_s: 14_400,
    }
}

pub(crate) fn meter(number: &str, source: &str, channels: Vec<ChannelProvision>) -> MeterProvision {
    MeterProvision {
        number: number.to_owned(),
        serial: String::new(),
        sources: vec![SourceId::parse(source)],
        commodity: Commodity::Water,
        class: CustomerClass::Residential,
        address: String::new(),
        account: String::new(),
        account_active: true,
        utility: "U".to_owned(),
        zone: None,
        route: None,
        transformer: None,
        collector: None,
        time_zone: "Europe/Berlin".to_owned(),
        tags: Vec::new(),
        battery_powered: true,
        contact_every_s: 3600,
        flow_rated_lph: 0,
        installed_at: at(-86_400 * 30),
        facts: store::assets::MeterFacts::default(),
        channels,
    }
}

fn water() -> MeterProvision {
    meter("W-7", "ert:7", vec![channel("consumption", ChannelKind::Register, Unit::Litre, 900)])
}

fn power() -> MeterProvision {
    meter("E-1", "ami:E-1", vec![channel("energy", ChannelKind::Interval, Unit::WattHour, 900)])
}

async fn provision(database: &Database, meters: &[MeterProvision]) {
    let outcomes = database.provision(meters, at(0)).await.unwrap();
    assert_eq!(outcomes.len(), meters.len());
}

/// One number out of the database.
async fn count(database: &Database, question: &str) -> i64 {
    database.client().await.unwrap().query_one(question, &[]).await.unwrap().get(0)
}

fn scm(counter: i64, time: UtcTime) -> String {
    format!(
        r#"{{"Time":"{time}","Offset":0,"Length":0,"Type":"SCM","Message":{{"ID":7,"Type":13,"TamperPhy":0,"TamperEnc":0,"Consumption":{counter},"ChecksumVal":1}}}}"#
    )
}

fn bundle(day_quarter: i64) -> String {
    let end = at(day_quarter * 900);
    format!(
        r#"{{"v":1,"meter":"E-1","series":[{{"field":"energy","unit":"Wh","len":900,"end":"{end}","exp":0,"values":[{},{}]}}]}}"#,
        day_quarter,
        day_quarter + 1
    )
}

#[tokio::test]
async fn what_was_sent_is_stored_once_across_restarts_and_redelivery() {
    let Some(database) = fresh("what_was_sent_is_stored_once_across_restarts_and_redelivery").await
    else {
        return;
    };
    provision(&database, &[water(), power()]).await;
    let send = async |rig: &Rig, minutes: std::ops::Range<i64>| {
        for minute in minutes {
            let heard = at(minute * 60);
            rig.send("amr/rtlamr", scm(1000 + minute, heard), heard).await;
            if minute % 30 == 0 {
                rig.send("ami/up/E-1", bundle(minute / 15 + 1), heard.plus_seconds(1000)).await;
            }
        }
    };
    let first = Rig::start(&database);
    send(&first, 0..600).await;
    first.until(&first.stats.messages, 620).await;
    let first = first.stop().await;
    assert_eq!(first.inserted.load(Ordering::SeqCst), 600 + 40);
    assert_eq!(first.derived.load(Ordering::SeqCst), 39);

    let second = Rig::start(&database);
    // The broker sends the last two hours again, then what is new.
    send(&second, 480..720).await;
    second.until(&second.stats.messages, 248).await;
    let second = second.stop().await;
    assert_eq!(second.inserted.load(Ordering::SeqCst), 120 + 8);
    assert_eq!(second.duplicate.load(Ordering::SeqCst), 120 + 8);
    assert_eq!(second.conflicting.load(Ordering::SeqCst), 0);

    assert_eq!(count(&database, "SELECT count(*) FROM register_read").await, 720);
    // 15 L in each quarter hour of water from 00:15 to 11:45; power counts up in each slot.
    let water = "SELECT coalesce(sum(value), 0)::int8 FROM read_interval WHERE meter_id = \
                 (SELECT meter_id FROM meter WHERE number = 'W-7')";
    assert_eq!(count(&database, water).await, 47 * 15_000);
    let power = "SELECT sum(value)::int8 FROM read_interval WHERE meter_id = \
                 (SELECT meter_id FROM meter WHERE number = 'E-1')";
    assert_eq!(count(&database, power).await, (1..=48).sum::<i64>() * 1000);
    assert_eq!(count(&database, "SELECT count(*) FROM read_conflict").await, 0);
    assert_eq!(count(&database, "SELECT count(*) FROM raw_message").await, 620 + 248);
}

#[tokio::test]
async fn provisioning_a_device_tells_again_what_it_had_sent() {
    let Some(database) = fresh("provisioning_a_device_tells_again_what_it_had_sent").await else {
        return;
    };
    let rig = Rig::start(&database);
    for minute in 0..60 {
        let heard = at(minute * 60);
        rig.send("amr/rtlamr", scm(1000 + minute, heard), heard).await;
    }
    rig.until(&rig.stats.dead, 60).await;
    assert_eq!(count(&rig.database, "SELECT count(*) FROM dead_letter").await, 60);
    assert_eq!(count(&rig.database, "SELECT messages FROM commissioning").await, 60);

    provision(&database, &[water()]).await;
    rig.reload.notify_one();
    rig.until(&rig.stats.replayed, 60).await;
    for minute in 60..90 {
        let heard = at(minute * 60);
        rig.send("amr/rtlamr", scm(1000 + minute, heard), heard).await;
    }
    rig.until(&rig.stats.messages, 150).await;
    let stats = rig.stop().await;
    assert_eq!(stats.inserted.load(Ordering::SeqCst), 90);
    assert_eq!(count(&database, "SELECT count(*) FROM register_read").await, 90);
    assert_eq!(count(&database, "SELECT sum(value)::int8 FROM read_interval").await, 5 * 15_000);
    let waiting = "SELECT count(*) FROM dead_letter WHERE replayed_at IS NULL";
    assert_eq!(count(&database, waiting).await, 0);
}

const UNKNOWN: &str = "SELECT count(*) FROM commissioning";

/// Waits until so many devices are listed as unknown.
async fn until_unknown(database: &Database, left: i64) {
    let waited = tokio::time::timeout(DEADLINE, async {
        while count(database, UNKNOWN).await != left {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    assert!(waited.await.is_ok(), "known devices stand on the commissioning list");
}

#[tokio::test]
async fn what_is_heard_before_the_asset_model_is_taken_over_leaves_no_unknown_device() {
    let name = "what_is_heard_before_the_asset_model_is_taken_over_leaves_no_unknown_device";
    let Some(database) = fresh(name).await else { return };
    let rig = Rig::start(&database);
    rig.send("ami/up/E-1", bundle(4), at(3600)).await;
    rig.until(&rig.stats.messages, 1).await;
    // The meter and the collector are known from here on, but not to the running ingest.
    provision(&database, &[water()]).await;
    let collector = store::assets::CollectorProvision {
        code: "C-1".to_owned(),
        name: String::new(),
        utility: "U".to_owned(),
        zone: None,
        heartbeat_s: 0,
        installed_at: at(0),
    };
    database.provision_collectors(&[collector], at(0)).await.unwrap();
    let heard = "INSERT INTO commissioning (source_id, adapter, first_seen, last_seen, last_topic, \
         last_payload) VALUES ('collector:C-1', 'mqtt', now(), now(), 't', '')";
    database.client().await.unwrap().execute(heard, &[]).await.unwrap();
    rig.send("amr/rtlamr", scm(1000, at(60)), at(60)).await;
    rig.until(&rig.stats.messages, 2).await;
    assert_eq!(count(&database, UNKNOWN).await, 3);
    rig.reload.notify_one();
    rig.until(&rig.stats.replayed, 1).await;
    until_unknown(&database, 1).await;
    assert_eq!(count(&database, "SELECT count(*) FROM register_read").await, 1);

    // It ends before it takes the next change over: its next start does.
    provision(&database, &[power()]).await;
    assert_eq!(count(&database, UNKNOWN).await, 0);
    let sent = rig.stats.messages.load(Ordering::SeqCst);
    rig.send("ami/up/E-1", bundle(8), at(7200)).await;
    rig.until(&rig.stats.messages, sent + 1).await;
    rig.stop().await;
    assert_eq!(count(&database, UNKNOWN).await, 1);
    let rig = Rig::start(&database);
    rig.until(&rig.stats.replayed, 2).await;
    until_unknown(&database, 0).await;
    assert_eq!(count(&database, "SELECT count(*) FROM read_interval").await, 4);
    rig.stop().await;
}

#[tokio::test]
async fn a_replay_without_a_head_end_stores_the_same() {
    let Some(database) = fresh("a_replay_without_a_head_end_stores_the_same").await else {
        return;
    };
    let rig = Rig::start(&database);
    for minute in 0..60 {
        let heard = at(minute * 60);
        rig.send("amr/rtlamr", scm(1000 + minute, heard), heard).await;
    }
    rig.send("amr/rtlamr", "{}".to_owned(), at(0)).await;
    rig.until(&rig.stats.dead, 61).await;
    rig.stop().await;
    provision(&database, &[water()]).await;

    let replayer = Replayer::new(database.clone(), options(), clock());
    let of_device =
        ReplayFilter { sources: Some(vec![SourceId::parse("ert:7")]), ..ReplayFilter::default() };
    assert_eq!(replayer.count(&of_device).await.unwrap(), (60, 60));
    let report = replayer.replay(&of_device).await.unwrap();
    assert_eq!((report.letters, report.accepted, report.still_dead), (60, 60, 0));
    assert_eq!((report.stored.inserted, report.stored.derived), (60, 3));
    // Told again there is nothing to tell; what cannot be read stays.
    assert_eq!(replayer.count(&of_device).await.unwrap(), (0, 0));
    let rest = replayer.replay(&ReplayFilter::default()).await.unwrap();
    assert_eq!((rest.letters, rest.still_dead), (1, 1));
}
