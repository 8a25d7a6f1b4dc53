//! A meter's intervals as a Green Button feed (NAESB ESPI), piece by piece.

use std::collections::VecDeque;

use metering::{LocalCalendar, QualityStatus, UtcTime};
use protocols::files::espi::{Feed, FeedReading, FeedSeries};
use store::StoreError;
use store::views::export::{ReadRow, ReadStream};

/// Most intervals of one block: a day of five minutes and more.
const BLOCK_MAX: usize = 300;

/// A feed on its way out. Holds a block of intervals at a time.
#[derive(Debug)]
pub struct GreenButton {
    feed: Feed,
    reads: ReadStream,
    calendar: LocalCalendar,
    title: String,
    begun: bool,
    ended: bool,
    series: u32,
    blocks: u32,
    /// Channel and length of the series that is open.
    open: Option<(i16, i32)>,
    /// The unit of the open series has no code: its readings are left out.
    skipped: bool,
    ahead: VecDeque<ReadRow>,
}

impl GreenButton {
    /// `reads` of one meter.
    pub fn new(
        (customer, meter): (&str, &str),
        reads: ReadStream,
        calendar: LocalCalendar,
        now: UtcTime,
    ) -> Self {
        Self {
            feed: Feed::new(customer, meter, now),
            reads,
            calendar,
            title: format!("Meter {meter}"),
            begun: false,
            ended: false,
            series: 0,
            blocks: 0,
            open: None,
            skipped: false,
            ahead: VecDeque::new(),
        }
    }

    /// The next piece of the feed, or `None` at its end.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn piece(&mut self) -> Result<Option<String>, StoreError> {
        if self.ended {
            return Ok(None);
        }
        let mut out = String::new();
        if !std::mem::replace(&mut self.begun, true) {
            // Standard time: the offset of the first of January of the feed's year.
            let offset = self.calendar.zone().to_offset(jiff::Timestamp::UNIX_EPOCH).seconds();
            let service = match self.reads.next().await? {
                Some(first) => {
                    let unit = first.reading_type.base_unit();
                    self.ahead.push_back(first);
                    // ServiceKind: electricity, gas, water. Volumes are water's here more often.
                    if unit == metering::Unit::Litre { 2 } else { 0 }
                }
                None => 0,
            };
            self.feed.begin(&self.title, service, offset, &mut out);
        }
        while out.len() < 64 << 10 {
            let block = self.block().await?;
            let Some(first) = block.first() else {
                self.feed.end(&mut out);
                self.ended = true;
                break;
            };
            self.begin_series(first, &mut out);
            if self.skipped {
                continue;
            }
            let readings: Vec<FeedReading> = block.iter().map(reading).collect();
            self.blocks += 1;
            self.feed.block(self.series, self.blocks, &readings, &mut out);
        }
        Ok(Some(out))
    }

    fn begin_series(&mut self, first: &ReadRow, out: &mut String) {
        let key = (first.channel.get(), length(first));
        if self.open == Some(key) {
            return;
        }
        (self.open, self.blocks) = (Some(key), 0);
        self.series += 1;
        let export = first.reading_type.flow == metering::Flow::Export;
        let series = FeedSeries {
            number: self.series,
            title: &format!("Channel {}", first.channel),
            unit: first.reading_type.base_unit(),
            export,
            len_s: length(first),
        };
        self.skipped = self.feed.series(&series, out).is_none();
    }

    /// Intervals of one channel and local day.
    async fn block(&mut self) -> Result<Vec<ReadRow>, StoreError> {
        let mut block: Vec<ReadRow> = Vec::new();
        while block.len() < BLOCK_MAX {
            let next = match self.ahead.pop_front() {
                Some(row) => Some(row),
                None => self.reads.next().await?,
            };
            let Some(row) = next else { break };
            let same = block.first().is_none_or(|first| {
                first.channel == row.channel
                    && length(first) == length(&row)
                    && self.calendar.date_of(first.start) == self.calendar.date_of(row.start)
            });
            if !same {
                self.ahead.push_back(row);
                break;
            }
            block.push(row);
        }
        Ok(block)
    }
}

fn length(row: &ReadRow) -> i32 {
    i32::try_from(row.end.seconds_since(row.start)).unwrap_or(0)
}

fn reading(row: &ReadRow) -> FeedReading {
    FeedReading {
        start: row.start,
        len_s: length(row),
        value: row.value,
        quality: quality(row.status),
    }
}

/// QualityOfReading of the standard.
const fn quality(status: QualityStatus) -> u16 {
    match status {
        QualityStatus::Validated => 17,
        QualityStatus::Verified => 18,
        QualityStatus::Edited => 7,
        QualityStatus::Estimated | QualityStatus::OutageZero => 8,
        QualityStatus::Suspect | QualityStatus::Rejected | QualityStatus::Missing => 10,
        QualityStatus::Raw => 14,
    }
}
