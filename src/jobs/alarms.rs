//! What staff are told of the alerts: the desk of `alerts::manage`, fed in step with the rules.
//!
//! The desk's state is kept beside the snapshot of the rules and taken up at the same record. What
//! it says has keys that the log gives, so that saying it again after a restart changes nothing.

use alerts::manage::{Act, Desk, DeskParams, Kpis, Said};
use alerts::{AlertTransition, Engine};
use metering::UtcTime;
use store::{Database, PgLog, Snapshot, StoreError};
use tokio::sync::watch;

/// Name under which the desk's state is kept.
const DESK: &str = "desk";

/// The desk with what it said and the store has not yet.
#[derive(Debug)]
pub(super) struct AlarmJob {
    database: Database,
    desk: Desk,
    said: Said,
    kpis: watch::Sender<Kpis>,
}

impl AlarmJob {
    /// The desk as it was when the engine was kept, or one that knows what is active: that is told
    /// anew, so that it is repeated and escalated. Then what staff did meanwhile is taken up.
    pub(super) async fn load(
        database: Database,
        log: &PgLog,
        engine: &Engine,
    ) -> Result<Self, StoreError> {
        let seq = engine.position() - 1;
        let kept = log.snapshots(DESK).await?.into_iter().find(|snapshot| snapshot.seq == seq);
        let kept = match kept.map(|snapshot| Desk::restore(&snapshot.state)) {
            Some(Ok(desk)) => Some(desk),
            Some(Err(error)) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "The desk's state cannot be used; what is active is told anew."
                );
                None
            }
            None => None,
        };
        let found = kept.is_some();
        let desk = kept.unwrap_or_else(|| Desk::new(DeskParams::default()));
        let kpis = watch::Sender::new(desk.kpis());
        let mut this = Self { database, desk, said: Said::default(), kpis };
        if !found {
            this.hear(engine, &engine.standing(), engine.log_time());
        }
        if engine.position() > 1 {
            this.look(engine.log_time()).await?;
        }
        Ok(this)
    }

    /// The rules were made anew and stand at their offset: the desk goes on from its newest state
    /// that can be read, and agrees with them on what is active.
    pub(super) async fn agree(&mut self, log: &PgLog, engine: &Engine) -> Result<(), StoreError> {
        let kept = log.snapshots(DESK).await?;
        let readable = kept.iter().find_map(|snapshot| Desk::restore(&snapshot.state).ok());
        self.desk = readable.unwrap_or_else(|| Desk::new(DeskParams::default()));
        let standing = engine.standing().into_iter().map(|one| {
            let area = engine.area_of(one.subject);
            (one, area)
        });
        let standing: Vec<_> = standing.collect();
        self.desk.agree(&standing, engine.log_time(), &mut self.said);
        Ok(())
    }

    pub(super) fn kpis(&self) -> watch::Receiver<Kpis> {
        self.kpis.subscribe()
    }

    /// The rules said something, or only time passed.
    pub(super) fn hear(&mut self, engine: &Engine, news: &[AlertTransition], now: UtcTime) {
        for transition in news {
            let area = engine.area_of(transition.subject);
            self.desk.take(transition, area, &mut self.said);
        }
        self.desk.advance(now, &mut self.said);
    }

    /// Hands what the desk said to the store. After an error the same call goes on.
    pub(super) async fn tell(&mut self) -> Result<(), StoreError> {
        store::alarms::record(&self.database, &self.said).await?;
        self.said = Said::default();
        Ok(())
    }

    /// Once a minute: what staff acknowledged and silenced meanwhile.
    pub(super) async fn look(&mut self, now: UtcTime) -> Result<(), StoreError> {
        let shelves = store::alarms::active_shelves(&self.database, now).await?;
        self.desk.set_shelves(shelves.into_iter().map(|active| active.shelve).collect());
        for (subject, class) in store::alarms::acknowledged(&self.database).await? {
            let act = Act::Acknowledge { subject, class };
            if let Err(refused) = self.desk.act(&act, now, &mut self.said) {
                tracing::warn!(error = &refused as &dyn std::error::Error, "The desk refused.");
            }
        }
        self.kpis.send_replace(self.desk.kpis());
        Ok(())
    }

    pub(super) async fn save(
        &self,
        log: &PgLog,
        seq: i64,
        taken_at: UtcTime,
    ) -> Result<(), StoreError> {
        let snapshot = Snapshot { seq, taken_at, state: self.desk.snapshot() };
        log.save_snapshot(DESK, &snapshot).await
    }
}
