//! How a meter is set up, and where it stood.

use metering::UtcTime;
use store::views::hearing::Hearer;
use store::views::meters::{ChannelInfo, InstallationRow, MeterDetail};

use super::meter_line::signal_word;
use super::meter_range::Range;
use crate::console::frame::segment;
use crate::console::measure::{self, DisplayUnit};
use crate::console::words;

pub(super) struct Configuration {
    pub(super) facts: Vec<(&'static str, String)>,
    pub(super) channels: Vec<ChannelLine>,
    pub(super) places: Vec<PlaceLine>,
    pub(super) hearers: Vec<HearerLine>,
}

/// A collector that hears the meter.
pub(super) struct HearerLine {
    pub(super) code: String,
    pub(super) href: String,
    pub(super) own: bool,
    pub(super) heard: String,
    pub(super) days: String,
    pub(super) signal: String,
    pub(super) last: String,
}

pub(super) struct ChannelLine {
    pub(super) number: i16,
    pub(super) what: String,
    pub(super) field: String,
    pub(super) kind: &'static str,
    pub(super) interval: String,
    pub(super) unit: String,
    pub(super) multiplier: String,
    pub(super) resolution: String,
    pub(super) rolls_over: String,
    pub(super) late_after: String,
}

pub(super) struct PlaceLine {
    pub(super) place: String,
    pub(super) address: String,
    pub(super) account: String,
    pub(super) from: String,
    pub(super) to: String,
}

impl Configuration {
    pub(super) fn of(
        meter: &MeterDetail,
        (places, hearers): (&[InstallationRow], &[Hearer]),
        now: UtcTime,
        range: &Range,
    ) -> Self {
        let stamp = |at: UtcTime| words::stamp(at, now, range.calendar.zone());
        let place = |place: &InstallationRow| PlaceLine {
            place: place.usage_point.clone(),
            address: place.address.clone(),
            account: place.account.clone(),
            from: stamp(place.valid_from),
            to: if place.valid_to >= UtcTime::MAX {
                "now".to_owned()
            } else {
                stamp(place.valid_to)
            },
        };
        Self {
            facts: facts(meter, stamp(meter.created_at)),
            channels: meter.channels.iter().map(ChannelLine::of).collect(),
            places: places.iter().map(place).collect(),
            hearers: hearers.iter().map(|hearer| HearerLine::of(hearer, now)).collect(),
        }
    }
}

impl HearerLine {
    fn of(hearer: &Hearer, now: UtcTime) -> Self {
        Self {
            code: hearer.code.clone(),
            href: format!("/collectors/{}", segment(&hearer.code)),
            own: hearer.primary,
            heard: words::thousands(hearer.heard_7d),
            days: words::thousands(hearer.days_7d),
            signal: signal_word(hearer.rssi_dbm),
            last: hearer
                .last_heard
                .map_or_else(|| "–".to_owned(), |at| format!("{} ago", words::age(at, now))),
        }
    }
}

/// What is known of the device and its place; what is not known stays out.
fn facts(meter: &MeterDetail, created: String) -> Vec<(&'static str, String)> {
    let point = meter.usage_point.as_ref();
    let facts = vec![
        ("Number", meter.number.clone()),
        ("Serial number", meter.serial.clone()),
        ("Public id", meter.public_id.clone()),
        ("Names on the wire", meter.sources.join(", ")),
        ("Called every", words::duration(i64::from(meter.contact_every_s))),
        ("Usage point", point.map(|point| point.code.clone()).unwrap_or_default()),
        ("Transformer", point.map(|point| point.transformer.clone()).unwrap_or_default()),
        ("Time zone of the place", point.map(|p| p.time_zone.clone()).unwrap_or_default()),
        (
            "Rated flow",
            match meter.flow_rated_lph {
                0 => String::new(),
                flow => format!("{} L/h", words::thousands(i64::from(flow))),
            },
        ),
        ("Battery", meter.battery_mv.map(|mv| format!("{mv} mV")).unwrap_or_default()),
        ("In our records since", created),
    ];
    facts.into_iter().filter(|(_, value)| !value.is_empty()).collect()
}

impl ChannelLine {
    fn of(channel: &ChannelInfo) -> Self {
        let base = channel.reading_type.base_unit();
        Self {
            number: channel.channel.get(),
            what: measure::title(channel.reading_type),
            field: channel.field.clone(),
            kind: channel.kind.word(),
            interval: match channel.len_s {
                0 => "–".to_owned(),
                len => words::duration(i64::from(len)),
            },
            unit: channel.unit.clone(),
            multiplier: channel.multiplier.clone(),
            resolution: DisplayUnit::choose(base, channel.resolution).exact(channel.resolution),
            rolls_over: match channel.modulus {
                0 => "never".to_owned(),
                modulus => format!("at {}", words::thousands(modulus)),
            },
            late_after: words::duration(i64::from(channel.delivery_lag_s)),
        }
    }
}
