//! When meters and collectors were last heard: shown beside them, gathered in memory and written
//! now and then. No promise depends on it; a crash loses the last seconds of it.

use std::collections::{BTreeMap, BTreeSet};

use metering::{CollectorId, DeviceFlags, EventCode, MeterId, Subject, UtcTime};

use crate::database::{Connection, Database};
use crate::error::StoreError;
use crate::readings::PreparedBatch;
use crate::types::{Day, Stamp};

/// Sets what is newer than what is there; NULL leaves a column as it is.
const METERS: &str = "\
    INSERT INTO meter_state AS m (meter_id, last_heard_at, last_event_end, battery_low, rssi_dbm, \
        via_collector_id, battery_mv) \
    SELECT u.meter_id, u.heard, u.event_end, coalesce(u.battery_low, false), u.rssi, u.via, u.mv \
    FROM unnest($1::int4[], $2::timestamptz[], $3::timestamptz[], $4::bool[], $5::int2[], \
        $6::int4[], $8::int4[]) AS u(meter_id, heard, event_end, battery_low, rssi, via, mv) \
    ON CONFLICT (meter_id) DO UPDATE SET \
        last_heard_at = greatest(m.last_heard_at, excluded.last_heard_at), \
        last_event_end = greatest(m.last_event_end, excluded.last_event_end), \
        battery_low = CASE WHEN excluded.meter_id = ANY($7) THEN excluded.battery_low \
            ELSE m.battery_low END, \
        rssi_dbm = coalesce(excluded.rssi_dbm, m.rssi_dbm), \
        battery_mv = coalesce(excluded.battery_mv, m.battery_mv), \
        via_collector_id = coalesce(excluded.via_collector_id, m.via_collector_id)";

const COLLECTORS: &str = "\
    INSERT INTO collector_state AS c (collector_id, last_heartbeat_at, last_heard_at) \
    SELECT * FROM unnest($1::int4[], $2::timestamptz[], $3::timestamptz[]) \
    ON CONFLICT (collector_id) DO UPDATE SET \
        last_heartbeat_at = greatest(c.last_heartbeat_at, excluded.last_heartbeat_at), \
        last_heard_at = greatest(c.last_heard_at, excluded.last_heard_at)";

const HEARING: &str = "\
    INSERT INTO collector_hearing AS h (collector_id, meter_id, day, heard, rssi_dbm, \
        last_heard_at) \
    SELECT * FROM unnest($1::int4[], $2::int4[], $3::date[], $4::int4[], $5::int2[], \
        $6::timestamptz[]) \
    ON CONFLICT (collector_id, meter_id, day) DO UPDATE SET heard = h.heard + excluded.heard, \
        rssi_dbm = coalesce(excluded.rssi_dbm, h.rssi_dbm), \
        last_heard_at = greatest(h.last_heard_at, excluded.last_heard_at)";

#[derive(Clone, Copy, Debug)]
struct MeterPresence {
    heard_at: UtcTime,
    event_end: Option<UtcTime>,
    battery_low: Option<bool>,
    battery_mv: Option<i32>,
    rssi_dbm: Option<i16>,
    via: Option<CollectorId>,
}

#[derive(Clone, Copy, Debug, Default)]
struct CollectorPresence {
    heartbeat_at: Option<UtcTime>,
    heard_at: Option<UtcTime>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Hearing {
    heard: i32,
    rssi_dbm: Option<i16>,
    last_at: Option<UtcTime>,
}

/// What was heard since the last flush.
#[derive(Debug, Default)]
pub(crate) struct Presence {
    meters: BTreeMap<MeterId, MeterPresence>,
    collectors: BTreeMap<CollectorId, CollectorPresence>,
    hearing: BTreeMap<(CollectorId, MeterId, i64), Hearing>,
    flushed_at: Option<UtcTime>,
    newest: Option<UtcTime>,
}

impl Presence {
    /// Notes what a committed batch says.
    pub(crate) fn note(&mut self, prepared: &PreparedBatch) {
        self.newest = Some(prepared.log_time());
        for heard in prepared.heard() {
            let meter = self.meter(heard.meter, heard.at);
            meter.rssi_dbm = heard.rssi_dbm.or(meter.rssi_dbm);
            meter.via = heard.collector.or(meter.via);
            let Some(collector) = heard.collector else { continue };
            let entry = self.collectors.entry(collector).or_default();
            entry.heard_at = entry.heard_at.max(Some(heard.at));
            let entry =
                self.hearing.entry((collector, heard.meter, heard.at.utc_day())).or_default();
            entry.heard = entry.heard.saturating_add_unsigned(heard.count);
            entry.rssi_dbm = heard.rssi_dbm.or(entry.rssi_dbm);
            entry.last_at = entry.last_at.max(Some(heard.at));
        }
        // Values of a file tell of the time that they are of: nobody heard the meter now.
        let spoke: BTreeSet<MeterId> = prepared.heard().iter().map(|heard| heard.meter).collect();
        for row in prepared.interval_rows() {
            let reading = &row.reading.reading;
            let end = reading.interval.end().min(row.received_at);
            let heard_at = if spoke.contains(&reading.meter) { row.received_at } else { end };
            let meter = self.meter(reading.meter, heard_at);
            meter.event_end = meter.event_end.max(Some(reading.interval.end()));
            if reading.flags.contains(DeviceFlags::LOW_BATTERY) {
                meter.battery_low = Some(true);
            }
        }
        // A counter may be newer than the last interval that was made of it.
        for row in prepared.register_rows() {
            let reading = &row.reading.reading;
            let read_at = reading.read_at.min(row.received_at);
            let heard_at = if spoke.contains(&reading.meter) { row.received_at } else { read_at };
            self.meter(reading.meter, heard_at);
        }
        for row in prepared.event_rows() {
            let event = &row.event;
            match event.subject {
                // Who walked past it says so, or who asked it in vain, and not the meter.
                Subject::Meter(_)
                    if matches!(
                        event.code,
                        EventCode::ReadSkipped | EventCode::ReaderNote | EventCode::PingFailed
                    ) => {}
                Subject::Meter(id) => {
                    let meter = self.meter(id, row.received_at);
                    match event.code {
                        EventCode::BatteryLow => meter.battery_low = Some(true),
                        EventCode::Cleared if event.detail == EventCode::BatteryLow.name() => {
                            meter.battery_low = Some(false);
                        }
                        EventCode::BatteryVoltage if row.number > 0 => {
                            meter.battery_mv = Some(row.number);
                        }
                        _ => {}
                    }
                }
                Subject::Collector(id) => {
                    let entry = self.collectors.entry(id).or_default();
                    if event.code == EventCode::Heartbeat {
                        entry.heartbeat_at = entry.heartbeat_at.max(Some(event.occurred_at));
                    }
                }
                Subject::Headend | Subject::Transformer(_) | Subject::Zone(_) => {}
            }
        }
    }

    /// True when something was heard and `every_s` of log time have passed since the last flush.
    pub(crate) fn is_due(&self, now: UtcTime, every_s: u64) -> bool {
        let waited = |flushed: UtcTime| now < flushed || (now - flushed).as_secs() >= every_s;
        !self.is_empty() && self.flushed_at.is_none_or(waited)
    }

    /// Writes and forgets what was gathered; keeps it when the database is away.
    pub(crate) async fn flush(&mut self, database: &Database) -> Result<(), StoreError> {
        if self.is_empty() {
            return Ok(());
        }
        let client = database.work_client().await?;
        let tx = crate::tx::Tx::on(client).await?;
        self.write(tx.client()).await?;
        tx.commit().await?;
        self.meters.clear();
        self.collectors.clear();
        self.hearing.clear();
        self.flushed_at = self.newest;
        Ok(())
    }

    fn meter(&mut self, meter: MeterId, heard_at: UtcTime) -> &mut MeterPresence {
        let entry = self.meters.entry(meter).or_insert(MeterPresence {
            heard_at,
            event_end: None,
            battery_low: None,
            battery_mv: None,
            rssi_dbm: None,
            via: None,
        });
        entry.heard_at = entry.heard_at.max(heard_at);
        entry
    }

    fn is_empty(&self) -> bool {
        self.meters.is_empty() && self.collectors.is_empty() && self.hearing.is_empty()
    }

    async fn write(&self, client: &Connection) -> Result<(), StoreError> {
        let query = StoreError::query("noting when meters were last heard");
        let rows = || self.meters.values();
        let ids: Vec<i32> = self.meters.keys().map(|id| id.get()).collect();
        let heard: Vec<Stamp> = rows().map(|row| Stamp(row.heard_at)).collect();
        let ends: Vec<Option<Stamp>> = rows().map(|row| row.event_end.map(Stamp)).collect();
        let battery: Vec<Option<bool>> = rows().map(|row| row.battery_low).collect();
        let rssi: Vec<Option<i16>> = rows().map(|row| row.rssi_dbm).collect();
        let via: Vec<Option<i32>> = rows().map(|row| row.via.map(CollectorId::get)).collect();
        let mv: Vec<Option<i32>> = rows().map(|row| row.battery_mv).collect();
        let told: Vec<i32> = self
            .meters
            .iter()
            .filter(|(_, row)| row.battery_low.is_some())
            .map(|(id, _)| id.get())
            .collect();
        let statement = client.prepare_cached(METERS).await.map_err(&query)?;
        client
            .execute(&statement, &[&ids, &heard, &ends, &battery, &rssi, &via, &told, &mv])
            .await
            .map_err(&query)?;
        let ids: Vec<i32> = self.collectors.keys().map(|id| id.get()).collect();
        let rows = || self.collectors.values();
        let beats: Vec<Option<Stamp>> = rows().map(|row| row.heartbeat_at.map(Stamp)).collect();
        let heard: Vec<Option<Stamp>> = rows().map(|row| row.heard_at.map(Stamp)).collect();
        let statement = client.prepare_cached(COLLECTORS).await.map_err(&query)?;
        client.execute(&statement, &[&ids, &beats, &heard]).await.map_err(&query)?;
        let ids: Vec<i32> = self.hearing.keys().map(|key| key.0.get()).collect();
        let meters: Vec<i32> = self.hearing.keys().map(|key| key.1.get()).collect();
        let days: Vec<Day> = self.hearing.keys().map(|key| Day(key.2)).collect();
        let counts: Vec<i32> = self.hearing.values().map(|row| row.heard).collect();
        let rssi: Vec<Option<i16>> = self.hearing.values().map(|row| row.rssi_dbm).collect();
        let last: Vec<Option<Stamp>> =
            self.hearing.values().map(|row| row.last_at.map(Stamp)).collect();
        let statement = client.prepare_cached(HEARING).await.map_err(&query)?;
        client
            .execute(&statement, &[&ids, &meters, &days, &counts, &rssi, &last])
            .await
            .map_err(&query)?;
        Ok(())
    }
}
