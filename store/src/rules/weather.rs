//! Daily mean temperatures on their way to the rules: events of the head-end or of a network zone.

use std::collections::BTreeMap;

use metering::{EventCode, LogRecord, Subject, UtcTime, ZoneId};

use crate::database::Database;
use crate::error::StoreError;
use crate::event_log::PgLog;

/// The mean temperature of one local day.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DayMean {
    /// Code of a network zone; `None`: everywhere.
    pub zone: Option<String>,
    /// Noon of the day, UTC.
    pub noon: UtcTime,
    /// In hundredths of a degree C.
    pub centi: i32,
}

/// Records of one frame.
const FRAME_MAX: usize = 500;

const ZONES: &str = "SELECT code, zone_id FROM network_zone WHERE code = ANY($1)";

/// Tells the rules. Gives the number of days.
///
/// # Errors
/// `Refused` when a zone is unknown (nothing is told then); else when the database is away.
pub async fn tell(
    database: &Database,
    days: &[DayMean],
    now: UtcTime,
) -> Result<usize, StoreError> {
    let codes: Vec<&str> = days.iter().filter_map(|day| day.zone.as_deref()).collect();
    let query = StoreError::query("looking for network zones");
    let client = database.client().await?;
    let rows = client.query(ZONES, &[&codes]).await.map_err(&query)?;
    drop(client);
    let zones: BTreeMap<String, i32> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    let record = |day: &DayMean| {
        let subject = match &day.zone {
            None => Subject::Headend,
            Some(code) => {
                let number = zones.get(code).ok_or_else(|| StoreError::Refused {
                    what: "telling the rules the weather",
                    detail: format!(
                        "there is no network zone `{code}`: leave the zone empty for everywhere, \
                         or provision meters with it first"
                    ),
                })?;
                Subject::Zone(ZoneId::new(*number))
            }
        };
        let (occurred_at, code) = (day.noon, EventCode::AmbientTemperature);
        Ok(LogRecord::Event { subject, occurred_at, code, detail: day.centi })
    };
    let records: Vec<LogRecord> = days.iter().map(record).collect::<Result<_, StoreError>>()?;
    let log = PgLog::new(database.clone());
    for frame in records.chunks(FRAME_MAX) {
        log.append_now(now, frame).await?;
    }
    Ok(records.len())
}
