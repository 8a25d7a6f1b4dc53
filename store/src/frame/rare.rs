//! Records that are rare: findings of closed windows, work orders, zones and rule bundles. Each is
//! told in full.

use metering::{
    ChannelNo, Finding, LogRecord, MeterId, Outcome, RuleBundle, RuleNo, UtcTime, WorkOrder,
};

use super::FrameError;
use super::asset::{put_zone, take_i32, take_word, take_zone};
use super::bytes::{Reader, put_long_text, put_text, put_zv};
use super::record::{channel_no, subject_kind, subject_of};

pub(super) const FINDING: u8 = 8;
pub(super) const WORK_ORDER: u8 = 9;
pub(super) const ZONE: u8 = 10;
pub(super) const RULES: u8 = 11;

pub(super) fn put_rare(out: &mut Vec<u8>, records: &[LogRecord]) {
    for record in records {
        match record {
            LogRecord::Finding(finding) => put_finding(out, finding),
            LogRecord::WorkOrder(order) => put_work_order(out, order),
            LogRecord::Zone(zone) => put_zone(out, zone),
            LogRecord::Rules(bundle) => {
                put_text(out, &bundle.version);
                put_long_text(out, &bundle.text);
            }
            _ => {}
        }
    }
}

pub(super) fn take_rare(
    kind: u8,
    reader: &mut Reader<'_>,
    count: usize,
    records: &mut Vec<LogRecord>,
) -> Result<(), FrameError> {
    for _ in 0..count {
        records.push(match kind {
            FINDING => LogRecord::Finding(take_finding(reader)?),
            WORK_ORDER => LogRecord::WorkOrder(take_work_order(reader)?),
            ZONE => LogRecord::Zone(take_zone(reader)?),
            RULES => LogRecord::Rules(Box::new(RuleBundle {
                version: reader.text()?.to_owned(),
                text: reader.long_text()?.to_owned(),
            })),
            _ => return Err(FrameError::Value("kind of record")),
        });
    }
    Ok(())
}

fn put_finding(out: &mut Vec<u8>, finding: &Finding) {
    put_zv(out, i64::from(finding.meter.get()));
    out.push(u8::from(finding.channel.is_some()));
    if let Some(channel) = finding.channel {
        put_zv(out, i64::from(channel.get()));
    }
    out.push(finding.rule.get());
    out.push(finding.outcome.number());
    put_zv(out, finding.from.micros());
    put_zv(out, finding.to.micros());
    out.push(finding.kind);
    put_zv(out, finding.detail);
}

fn take_finding(reader: &mut Reader<'_>) -> Result<Finding, FrameError> {
    Ok(Finding {
        meter: MeterId::new(take_i32(reader)?),
        channel: take_channel(reader)?,
        rule: RuleNo::new(reader.byte()?).ok_or(FrameError::Value("rule"))?,
        outcome: Outcome::from_number(reader.byte()?).ok_or(FrameError::Value("outcome"))?,
        from: UtcTime::from_micros(reader.zv()?),
        to: UtcTime::from_micros(reader.zv()?),
        kind: reader.byte()?,
        detail: reader.zv()?,
    })
}

fn take_channel(reader: &mut Reader<'_>) -> Result<Option<ChannelNo>, FrameError> {
    match reader.byte()? {
        0 => Ok(None),
        1 => channel_no(reader.zv()?).map(Some),
        _ => Err(FrameError::Value("channel")),
    }
}

fn put_work_order(out: &mut Vec<u8>, order: &WorkOrder) {
    put_zv(out, order.number);
    put_zv(out, subject_kind(order.subject));
    put_zv(out, i64::from(order.subject.number()));
    put_text(out, order.kind.word());
    put_text(out, order.status.word());
    put_zv(out, order.at.micros());
}

fn take_work_order(reader: &mut Reader<'_>) -> Result<WorkOrder, FrameError> {
    let number = reader.zv()?;
    let kind = reader.zv()?;
    Ok(WorkOrder {
        number,
        subject: subject_of(kind, take_i32(reader)?)?,
        kind: take_word(reader)?,
        status: take_word(reader)?,
        at: UtcTime::from_micros(reader.zv()?),
    })
}
