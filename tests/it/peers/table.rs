//! What one message became, as text for people to review.

use std::fmt::Write as _;

use metering::{ReadingType, RuleMask, RuleNo, Unit, UtcTime};
use tokio_postgres::Row;
use vee::{Params, Rule};

use crate::kit::database::Stored;

/// A value of the message that is stored.
#[derive(Debug)]
pub(super) struct Value {
    pub(super) number: String,
    pub(super) field: String,
    pub(super) raw: i64,
    /// Thousandths of the base unit.
    pub(super) milli: i64,
}

/// The rows of one message: its lines of the table, and its values.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) text: String,
    pub(super) values: Vec<Value>,
}

/// Older values are real history, whatever the day of the test.
const AGE_S: i64 = 30 * 86_400;

const REGISTERS: &str = "
    SELECT m.number, c.field, c.reading_type, (extract(epoch FROM r.read_at) * 1000000)::int8,
           r.received_at = r.read_at, r.raw, r.value, r.rule_mask,
           extract(epoch FROM r.received_at - r.read_at)::int8
    FROM register_read r JOIN meter m USING (meter_id) JOIN meter_channel c USING (meter_id, channel)
    WHERE r.received_at > $1 ORDER BY c.channel, r.read_at";
const INTERVALS: &str = "
    SELECT c.field, c.reading_type, c.len_s, count(*), sum(r.value)::int8,
           (extract(epoch FROM min(r.starts_at)) * 1000000)::int8,
           coalesce(x.status, 1::int2), coalesce(x.rule_mask, 0),
           extract(epoch FROM max(r.received_at) - max(r.starts_at))::int8
    FROM read_interval r JOIN meter_channel c USING (meter_id, channel)
    LEFT JOIN interval_exception x USING (meter_id, channel, starts_at)
    WHERE r.received_at > $1 GROUP BY 1, 2, 3, 7, 8 ORDER BY 1, 7, 8, 6";
const CONFLICTS: &str = "
    SELECT c.field, r.raw, r.kept_raw FROM register_conflict r
    JOIN meter_channel c USING (meter_id, channel) WHERE r.received_at > $1 ORDER BY 1, 2";
const EVENTS: &str = "
    SELECT code, detail, seq FROM device_event WHERE received_at > $1 ORDER BY code, seq";
const LETTERS: &str = "
    SELECT reason, reads, coalesce(source_id, 'unnamed') FROM dead_letter WHERE last_seen > $1";
const LAST: &str = "
    SELECT max(at) FROM (
      SELECT max(received_at) AS at FROM register_read
      UNION ALL SELECT max(received_at) FROM read_interval
      UNION ALL SELECT max(received_at) FROM device_event
      UNION ALL SELECT max(received_at) FROM register_conflict
      UNION ALL SELECT max(last_seen) FROM dead_letter) rows";

/// Tells each message's rows by their arrival: the messages come one by one.
pub(super) struct Reader<'s> {
    stored: &'s Stored,
    seen: String,
}

impl<'s> Reader<'s> {
    pub(super) fn new(stored: &'s Stored) -> Self {
        Self { stored, seen: "-infinity".to_owned() }
    }

    /// All that arrived since the last call.
    pub(super) async fn next(&mut self) -> Outcome {
        let mut outcome = Outcome::default();
        for row in self.rows(REGISTERS).await {
            register(&row, &mut outcome);
        }
        for row in self.rows(INTERVALS).await {
            intervals(&row, &mut outcome);
        }
        for row in self.rows(CONFLICTS).await {
            let (field, raw, kept): (&str, i64, i64) = (row.get(0), row.get(1), row.get(2));
            outcome.line(&format!("conflict: {field} says {raw}, kept {kept}"));
        }
        for row in self.rows(EVENTS).await {
            let (code, detail): (&str, &str) = (row.get(0), row.get(1));
            // A stamp of arrival differs from run to run.
            outcome.line(format!("event {code}: {detail}").trim_end_matches([':', ' ']));
        }
        for row in self.rows(LETTERS).await {
            let (reason, reads, source): (&str, i64, &str) = (row.get(0), row.get(1), row.get(2));
            outcome.line(&format!("dead letter {reason}: {reads} values of {source}"));
        }
        if outcome.text.is_empty() {
            outcome.line("nothing new");
        }
        let last = self.stored.client().query_one(&format!("SELECT ({LAST})::text"), &[]).await;
        self.seen = last.unwrap().get::<_, Option<String>>(0).unwrap_or(self.seen.clone());
        outcome
    }

    async fn rows(&self, sql: &str) -> Vec<Row> {
        let sql = sql.replace("$1", "$1::text::timestamptz");
        self.stored.client().query(&sql, &[&self.seen]).await.unwrap()
    }
}

impl Outcome {
    fn line(&mut self, text: &str) {
        let _ = writeln!(self.text, "  {text}");
    }
}

fn register(row: &Row, outcome: &mut Outcome) {
    let (number, field): (String, String) = (row.get(0), row.get(1));
    let (micros, arrival): (i64, bool) = (row.get(3), row.get(4));
    let (raw, milli, mask): (i64, i64, i64) = (row.get(5), row.get(6), row.get(7));
    let at = if arrival { "arrival".to_owned() } else { UtcTime::from_micros(micros).to_string() };
    let value = quantity(milli, row.get(2));
    outcome.line(&format!("{field} @ {at}: {raw} = {value}, {}", trust(mask, row.get(8))));
    outcome.values.push(Value { number, field, raw, milli });
}

fn intervals(row: &Row, outcome: &mut Outcome) {
    let (field, len_s, count): (&str, i32, i64) = (row.get(0), row.get(2), row.get(3));
    let sum = quantity(row.get(4), row.get(1));
    let from = UtcTime::from_micros(row.get(5));
    let status: i16 = row.get(6);
    let status = if status == 1 { "ok".to_owned() } else { trust(row.get(7), row.get(8)) };
    outcome.line(&format!("{field}: {count} intervals of {len_s} s from {from} = {sum}, {status}"));
}

/// The value in its base unit, with all digits that are stored.
fn quantity(milli: i64, reading_type: &str) -> String {
    let unit: Unit = reading_type.parse::<ReadingType>().unwrap().base_unit();
    let sign = if milli < 0 { "-" } else { "" };
    let milli = milli.unsigned_abs();
    format!("{sign}{}.{:03} {unit}", milli / 1_000, milli % 1_000)
}

/// `ok`, or `suspect` with the rules that say so. That a value is old depends on the day of the test:
/// it is checked here and left out of the table.
fn trust(mask: i64, age_s: i64) -> String {
    let time = 1 << (Rule::Time as u8 - 1);
    let old = age_s > Params::default().age_max_s;
    assert!(!old || mask & time != 0, "a value of {age_s} s ago is not doubted");
    let mask = if age_s > AGE_S { mask & !time } else { mask };
    let mask = RuleMask::from_bits(mask.cast_unsigned());
    if mask.is_empty() {
        return "ok".to_owned();
    }
    let id = |rule: RuleNo| {
        let known = Rule::ALL.iter().find(|known| **known as u8 == rule.get());
        known.map_or_else(|| format!("#{}", rule.get()), |known| known.id().to_owned())
    };
    let rules: Vec<String> = mask.rules().map(id).collect();
    format!("suspect {}", rules.join(" "))
}
