//! What collectors send themselves: heartbeats, and batches of the bundles of their meters.

use metering::UtcTime;

use crate::bundle::{BundleSender, SLOT_S, Sending};
use crate::calendar::Days;
use crate::fleet::Outbox;
use crate::json::JsonText;
use crate::link::SimCollector;
use crate::meter::{Path, SimMeter};

/// A batch message holds no more bundles than this; the rest goes into a second message.
const BUNDLES_MAX: u32 = 200;

/// One batch: the bundles of a collector's meters that are due.
#[derive(Debug)]
pub(crate) struct Batch<'a> {
    pub(crate) collector: &'a SimCollector,
    pub(crate) days: &'a Days,
    pub(crate) now: UtcTime,
    pub(crate) sender: usize,
    bundles: u32,
    reads: u32,
}

impl<'a> Batch<'a> {
    pub(crate) fn new(
        collector: &'a SimCollector,
        days: &'a Days,
        now: UtcTime,
        sender: usize,
    ) -> Self {
        Self { collector, days, now, sender, bundles: 0, reads: 0 }
    }

    /// Adds what the meter has to report by now, if it is its turn and it is heard.
    pub(crate) fn add(
        &mut self,
        meter: &SimMeter,
        bundle: &mut BundleSender,
        text: &mut JsonText,
        outbox: &mut Outbox,
    ) {
        let upto = self.now.floor_to(SLOT_S);
        let Path::Batch { quarter, .. } = meter.path else { return };
        let turn = quarter.is_none_or(|quarter| upto.seconds() / SLOT_S % 4 == quarter);
        // Whoever could not send at its turn does so at the next chance.
        let overdue = bundle.waiting(upto) > 4;
        if !(turn || overdue) || meter.is_mute(self.now) || bundle.link_fails(meter) {
            return;
        }
        if bundle.waiting(upto) == 0 {
            return;
        }
        text.raw(if self.bundles == 0 { "[" } else { "," });
        let sending = Sending { collector: Some(&self.collector.code), sent: self.now, upto };
        self.reads += bundle.report(meter, self.days, sending, text, outbox);
        self.bundles += 1;
        if self.bundles == BUNDLES_MAX {
            self.close(text, outbox);
        }
    }

    /// Adds the meter's slots of a past stretch of time once more.
    pub(crate) fn add_again(
        &mut self,
        meter: &SimMeter,
        bundle: &mut BundleSender,
        stretch: (UtcTime, UtcTime),
        text: &mut JsonText,
        outbox: &mut Outbox,
    ) {
        if meter.is_mute(self.now) {
            return;
        }
        let mut again = JsonText::default();
        let sending =
            Sending { collector: Some(&self.collector.code), sent: self.now, upto: self.now };
        let reads = bundle.resend(meter, stretch, sending, &mut again);
        if reads == 0 {
            return;
        }
        text.raw(if self.bundles == 0 { "[" } else { "," });
        text.raw(std::str::from_utf8(&again.take()).unwrap_or(""));
        self.reads += reads;
        self.bundles += 1;
        if self.bundles == BUNDLES_MAX {
            self.close(text, outbox);
        }
    }

    /// Sends what was gathered.
    pub(crate) fn close(&mut self, text: &mut JsonText, outbox: &mut Outbox) {
        if self.bundles == 0 {
            return;
        }
        text.raw("]");
        let topic = format!("ami/up/{}/batch", self.collector.code);
        outbox.push(self.sender, self.now, topic, text.take(), self.reads);
        self.bundles = 0;
        self.reads = 0;
    }
}

/// Sends the heartbeat of this instant, unless the collector is down.
pub(crate) fn heartbeat(
    collector: &SimCollector,
    now: UtcTime,
    sender: usize,
    text: &mut JsonText,
    outbox: &mut Outbox,
) {
    if collector.is_down(now) {
        return;
    }
    text.raw(r#"{"v":1,"collector":""#);
    text.raw(&collector.code);
    text.raw(r#"","heartbeat":""#);
    text.time(now);
    text.raw(r#""}"#);
    let topic = format!("ami/up/{}/heartbeat", collector.code);
    outbox.push(sender, now, topic, text.take(), 0);
}
