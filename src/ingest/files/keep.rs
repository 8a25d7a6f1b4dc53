//! Records of files on their way into the store, of an import and of letters that come home.

use std::collections::BTreeMap;

use metering::{LocalCalendar, MeterId, UtcTime};
use store::files::Settled;
use store::{Batch, Database, StoreError, Stored};

use super::super::sink::Sink;
use super::super::store_sink::StoreSink;
use super::{FILE_ADAPTER, FileImporter, ImportError, told};
use crate::services::vee::channel::UtilityCalendar;

/// The way into the store.
pub(super) struct Shelf {
    pub(super) sink: StoreSink,
    /// Read when the first value is settled.
    rates: Option<Rates>,
}

impl Shelf {
    pub(super) fn new(database: Database) -> Self {
        Self { sink: StoreSink::new(database, FILE_ADAPTER), rates: None }
    }
}

impl FileImporter {
    /// Stores a batch with what is kept beside it, and decides which values stand. Without an
    /// import nothing is known of its place among files, and what is there stands.
    pub(super) async fn keep(
        &self,
        import: Option<(i64, UtcTime)>,
        (batch, side): (Batch, told::Side),
        shelf: &mut Shelf,
    ) -> Result<(Stored, Settled), ImportError> {
        let stored = shelf.sink.commit(&StoreSink::prepare(batch)).await?;
        let Some((import_no, made_at)) = import else { return Ok((stored, Settled::default())) };
        store::files::note(&self.database, import_no, &side.beside).await?;
        if stored.duplicate + stored.conflicting == 0 {
            return Ok((stored, Settled::default()));
        }
        let rates = match &shelf.rates {
            Some(rates) => rates,
            None => shelf.rates.insert(Rates::load(&self.database).await?),
        };
        let (import, by) = ((import_no, made_at), (FILE_ADAPTER, self.clock.now()));
        let rate_at = |meter, start| rates.at(meter, start);
        let settled =
            store::files::settle(&self.database, import, &side.offered, &rate_at, by).await?;
        Ok((stored, settled))
    }
}

/// Rates by which true-ups are told.
struct Rates {
    utility: UtilityCalendar,
    /// By zone.
    calendars: BTreeMap<String, LocalCalendar>,
    zones: BTreeMap<MeterId, String>,
}

impl Rates {
    async fn load(database: &Database) -> Result<Self, StoreError> {
        let utility = crate::services::vee::utility(database).await.unwrap_or_else(|error| {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "The rules cannot be read: true-ups of this file are told without rates."
            );
            UtilityCalendar::default()
        });
        let (mut calendars, mut zones) = (BTreeMap::new(), BTreeMap::new());
        if utility.rates.is_some() {
            for one in database.load_registry().await?.meters {
                let zone = one.asset.zone;
                if !calendars.contains_key(&zone)
                    && let Ok(calendar) = LocalCalendar::new(&zone)
                {
                    calendars.insert(zone.clone(), calendar);
                }
                zones.insert(one.meter, zone);
            }
        }
        Ok(Self { utility, calendars, zones })
    }

    fn at(&self, meter: MeterId, start: UtcTime) -> Option<u8> {
        self.utility.rate(self.calendars.get(self.zones.get(&meter)?)?, start)
    }
}
