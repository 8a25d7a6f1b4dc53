//! Meters in a frame: rare and long, so each is told in full, words as their stable text.

use std::str::FromStr;

use metering::{
    BatteryAsset, ChannelAsset, CollectorId, MeterAsset, MeterDetail, MeterId, TransformerId,
    UsagePointId, UtcTime, ZoneAsset, ZoneId,
};

use super::FrameError;
use super::bytes::{Reader, put_text, put_uv, put_zv};
use super::record::channel_no;

const TAGS_MAX: usize = 64;
const CHANNELS_MAX: usize = 1_024;
const STREET_FOLLOWS: u8 = 0x80;

pub(super) fn put_meter(out: &mut Vec<u8>, asset: &MeterAsset) {
    put_zv(out, i64::from(asset.meter.get()));
    put_zv(out, i64::from(asset.usage_point.get()));
    put_text(out, asset.commodity.word());
    put_text(out, asset.class.word());
    put_text(out, &asset.zone);
    put_uv(out, asset.tags.len().min(TAGS_MAX) as u64);
    for tag in asset.tags.iter().take(TAGS_MAX) {
        put_text(out, tag.word());
    }
    out.push(u8::from(asset.battery_powered) | u8::from(asset.account_active) << 1);
    // 0 is no collector: the store numbers from 1. An absent one is told apart all the same.
    match asset.primary_collector {
        None => out.push(0),
        Some(collector) => {
            out.push(1);
            put_zv(out, i64::from(collector.get()));
        }
    }
    put_zv(out, asset.installed_at.micros());
    put_zv(out, i64::from(asset.contact_every_s));
    put_zv(out, i64::from(asset.flow_rated_lph));
    put_detail(out, &asset.detail);
    put_uv(out, asset.channels.len().min(CHANNELS_MAX) as u64);
    for channel in asset.channels.iter().take(CHANNELS_MAX) {
        put_channel(out, channel);
    }
}

fn put_detail(out: &mut Vec<u8>, detail: &MeterDetail) {
    put_text(out, detail.role.word());
    put_option(out, detail.network_zone.map(ZoneId::get));
    put_option(out, detail.transformer.map(TransformerId::get));
    put_text(out, &detail.cohort);
    put_text(out, &detail.serial);
    put_zv(out, i64::from(detail.premises));
    match detail.battery {
        None => out.push(0),
        Some(battery) => {
            out.push(1);
            put_text(out, battery.chemistry.word());
            put_zv(out, battery.installed_at.micros());
            put_zv(out, i64::from(battery.design_life_d));
            put_zv(out, i64::from(battery.capacity_mah));
        }
    }
    put_zv(out, i64::from(detail.dwelling_units));
    put_zv(out, detail.contract_demand_mw);
    // Older frames end with the phases: the high bit says that a street follows.
    if detail.street == 0 {
        out.push(detail.phases & !STREET_FOLLOWS);
    } else {
        out.push(detail.phases | STREET_FOLLOWS);
        put_zv(out, i64::from(detail.street));
    }
}

fn put_option(out: &mut Vec<u8>, number: Option<i32>) {
    out.push(u8::from(number.is_some()));
    if let Some(number) = number {
        put_zv(out, i64::from(number));
    }
}

fn take_detail(reader: &mut Reader<'_>) -> Result<MeterDetail, FrameError> {
    let mut detail = MeterDetail {
        role: take_word(reader)?,
        network_zone: take_option(reader)?.map(ZoneId::new),
        transformer: take_option(reader)?.map(TransformerId::new),
        cohort: reader.text()?.to_owned(),
        serial: reader.text()?.to_owned(),
        premises: take_i32(reader)?,
        street: 0,
        battery: if is_present(reader)? {
            Some(BatteryAsset {
                chemistry: take_word(reader)?,
                installed_at: UtcTime::from_micros(reader.zv()?),
                design_life_d: take_i32(reader)?,
                capacity_mah: take_i32(reader)?,
            })
        } else {
            None
        },
        dwelling_units: take_i32(reader)?,
        contract_demand_mw: reader.zv()?,
        phases: reader.byte()?,
    };
    if detail.phases & STREET_FOLLOWS != 0 {
        detail.phases &= !STREET_FOLLOWS;
        detail.street = take_i32(reader)?;
    }
    Ok(detail)
}

fn take_option(reader: &mut Reader<'_>) -> Result<Option<i32>, FrameError> {
    if is_present(reader)? { take_i32(reader).map(Some) } else { Ok(None) }
}

fn is_present(reader: &mut Reader<'_>) -> Result<bool, FrameError> {
    match reader.byte()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(FrameError::Value("mark of presence")),
    }
}

pub(super) fn put_zone(out: &mut Vec<u8>, zone: &ZoneAsset) {
    put_zv(out, i64::from(zone.zone.get()));
    put_text(out, zone.kind.word());
    for number in [zone.mains_m, zone.connections, zone.private_pipe_m, zone.head_mm] {
        put_zv(out, i64::from(number));
    }
}

pub(super) fn take_zone(reader: &mut Reader<'_>) -> Result<ZoneAsset, FrameError> {
    Ok(ZoneAsset {
        zone: ZoneId::new(take_i32(reader)?),
        kind: take_word(reader)?,
        mains_m: take_i32(reader)?,
        connections: take_i32(reader)?,
        private_pipe_m: take_i32(reader)?,
        head_mm: take_i32(reader)?,
    })
}

fn put_channel(out: &mut Vec<u8>, channel: &ChannelAsset) {
    put_zv(out, i64::from(channel.channel.get()));
    put_text(out, &channel.reading_type.to_string());
    put_text(out, channel.kind.word());
    put_zv(out, i64::from(channel.len_s));
    put_zv(out, channel.resolution);
    put_zv(out, channel.cap_per_hour);
    put_zv(out, i64::from(channel.delivery_lag_s));
}

pub(super) fn take_meter(reader: &mut Reader<'_>) -> Result<MeterAsset, FrameError> {
    let meter = MeterId::new(take_i32(reader)?);
    let usage_point = UsagePointId::new(take_i32(reader)?);
    let commodity = take_word(reader)?;
    let class = take_word(reader)?;
    let zone = reader.text()?.to_owned();
    let tags =
        (0..reader.count(TAGS_MAX)?).map(|_| take_word(reader)).collect::<Result<Vec<_>, _>>()?;
    let flags = reader.byte()?;
    if flags > 3 {
        return Err(FrameError::Value("flags of a meter"));
    }
    let primary_collector = match reader.byte()? {
        0 => None,
        1 => Some(CollectorId::new(take_i32(reader)?)),
        _ => return Err(FrameError::Value("collector")),
    };
    Ok(MeterAsset {
        meter,
        usage_point,
        commodity,
        class,
        zone,
        tags,
        battery_powered: flags & 1 != 0,
        account_active: flags & 2 != 0,
        primary_collector,
        installed_at: UtcTime::from_micros(reader.zv()?),
        contact_every_s: take_i32(reader)?,
        flow_rated_lph: take_i32(reader)?,
        detail: take_detail(reader)?,
        channels: (0..reader.count(CHANNELS_MAX)?)
            .map(|_| take_channel(reader))
            .collect::<Result<Vec<_>, _>>()?,
    })
}

fn take_channel(reader: &mut Reader<'_>) -> Result<ChannelAsset, FrameError> {
    Ok(ChannelAsset {
        channel: channel_no(reader.zv()?)?,
        reading_type: take_word(reader)?,
        kind: take_word(reader)?,
        len_s: take_i32(reader)?,
        resolution: reader.zv()?,
        cap_per_hour: reader.zv()?,
        delivery_lag_s: take_i32(reader)?,
    })
}

pub(super) fn take_i32(reader: &mut Reader<'_>) -> Result<i32, FrameError> {
    i32::try_from(reader.zv()?).map_err(|_| FrameError::Value("number beyond 32 bits"))
}

pub(super) fn take_word<T: FromStr>(reader: &mut Reader<'_>) -> Result<T, FrameError> {
    reader.text()?.parse().map_err(|_| FrameError::Value("word"))
}
