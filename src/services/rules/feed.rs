//! Stored readings as frames of a log that nobody keeps: for rules that are tried on the past, and
//! for rules that learn it anew.

use metering::{LogRecord, LoggedFrame, UtcTime};
use store::rules::history::Past;

/// Time passes for the rules at least this often.
const STEP_S: i64 = 300;

/// Numbers the frames.
#[derive(Clone, Copy, Debug)]
pub struct Feed {
    /// Sequence of the next record.
    seq: i64,
}

impl Default for Feed {
    fn default() -> Self {
        Self { seq: 1 }
    }
}

impl Feed {
    /// The next frame; `None` without records.
    pub fn frame(&mut self, log_time: UtcTime, records: Vec<LogRecord>) -> Option<LoggedFrame> {
        if records.is_empty() {
            return None;
        }
        let first_seq = self.seq;
        self.seq += i64::try_from(records.len()).unwrap_or(0);
        Some(LoggedFrame { shard: 0, first_seq, log_time, records })
    }

    /// Gives `take` the frames of `(from, to]`: each five minutes what was told by then, and a tick.
    /// `past` is sorted by its time.
    pub fn stretch(
        &mut self,
        past: Vec<Past>,
        (from, to): (UtcTime, UtcTime),
        mut take: impl FnMut(&LoggedFrame),
    ) {
        let mut past = past.into_iter().peekable();
        let mut at = from;
        while at < to {
            at = at.plus_seconds(STEP_S).min(to);
            let mut records = Vec::new();
            while let Some(one) = past.next_if(|one| one.at <= at) {
                records.push(one.record);
            }
            records.push(LogRecord::Tick);
            if let Some(frame) = self.frame(at, records) {
                take(&frame);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> UtcTime {
        UtcTime::from_seconds(seconds)
    }

    #[test]
    fn each_step_tells_what_came_by_then_and_that_time_passed() {
        let heard = |meter| LogRecord::Heard {
            meter: metering::MeterId::new(meter),
            collector: None,
            rssi_dbm: None,
        };
        let past = vec![
            Past { at: at(1), record: heard(1) },
            Past { at: at(300), record: heard(2) },
            Past { at: at(700), record: heard(3) },
        ];
        let mut told = Vec::new();
        let mut feed = Feed::default();
        feed.stretch(past, (at(0), at(750)), |frame| told.push(frame.clone()));
        let times: Vec<i64> = told.iter().map(|frame| frame.log_time.seconds()).collect();
        assert_eq!(times, [300, 600, 750]);
        assert_eq!(told[0].records, [heard(1), heard(2), LogRecord::Tick]);
        assert_eq!(told[1].records, [LogRecord::Tick]);
        assert_eq!(told[2].records, [heard(3), LogRecord::Tick]);
        let firsts: Vec<i64> = told.iter().map(|frame| frame.first_seq).collect();
        assert_eq!(firsts, [1, 4, 5]);
    }
}
