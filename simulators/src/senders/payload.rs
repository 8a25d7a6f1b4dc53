//! The payloads, written by hand from the makers' descriptions.

use jiff::Zoned;

use super::{Reading, SenderKind, SenderSpec};

/// Topic, payload, and the values in it.
pub(super) fn of(spec: &SenderSpec, reading: &Reading<'_>) -> (String, Vec<u8>, u32) {
    let name = reading.name;
    let (topic, text, reads) = match spec.kind {
        SenderKind::Tasmota => (format!("tele/{name}/SENSOR"), tasmota(spec, reading), 4),
        SenderKind::Shelly => (format!("{name}/events/rpc"), shelly(reading), 5),
        SenderKind::Amsreader => (format!("ams/{name}/list3"), amsreader(reading), 3),
        SenderKind::P1 => (format!("dsmr/{name}/raw"), p1(reading), 6),
        SenderKind::Chirpstack => {
            (format!("application/sim/device/{name}/event/up"), chirpstack(reading), 2)
        }
        SenderKind::TheThings => {
            (format!("v3/sim@plant/devices/dev-{name}/up"), the_things(reading), 2)
        }
    };
    (topic, text.into_bytes(), reads)
}

/// `whole.fraction` of a count of thousandths of a thousandth.
fn decimal(milli: i64, digits: u32) -> String {
    let unit = 10_i64.pow(digits);
    format!("{}.{:0width$}", milli / unit, milli % unit, width = digits as usize)
}

fn local(spec: &SenderSpec, at: metering::UtcTime) -> Zoned {
    at.to_jiff().to_zoned(spec.zone.clone())
}

fn tasmota(spec: &SenderSpec, reading: &Reading<'_>) -> String {
    let time = local(spec, reading.at).strftime("%Y-%m-%dT%H:%M:%S");
    let since = local(spec, reading.since).strftime("%Y-%m-%dT%H:%M:%S");
    let (total, watts) = (decimal(reading.counter / 1_000, 3), reading.rate);
    let amps = decimal(watts * 1_000 / 230, 3);
    format!(
        r#"{{"Time":"{time}","ENERGY":{{"TotalStartTime":"{since}","Total":{total},"Power":{watts},"Voltage":230,"Current":{amps}}},"TempUnit":"C"}}"#
    )
}

fn shelly(reading: &Reading<'_>) -> String {
    let ts = decimal(reading.at.micros() / 10_000, 2);
    let (wh, watts) = (decimal(reading.counter / 10, 2), reading.rate);
    let name = reading.name;
    format!(
        r#"{{"src":"{name}","dst":"{name}/events","method":"NotifyFullStatus","params":{{"ts":{ts},"em:0":{{"id":0,"a_voltage":230.4,"a_freq":50.0,"b_voltage":0,"b_freq":198,"n_current":null,"total_act_power":{watts}.0}},"emdata:0":{{"id":0,"total_act":{wh}}}}}}}"#
    )
}

fn amsreader(reading: &Reading<'_>) -> String {
    let (t, watts) = (reading.at.seconds(), reading.rate);
    let kwh = decimal(reading.counter / 10_000, 2);
    let name = reading.name;
    format!(
        r#"{{"id":"{name}","name":"reader","up":{up},"t":{t},"vcc":3.290,"rssi":-61,"temp":22.5,"data":{{"P":{watts},"U1":230.1,"tPI":{kwh},"rtc":{t}}}}}"#,
        up = i64::from(reading.frame) * 3_600
    )
}

/// A DSMR 5 telegram; its stamp carries the letter of the Dutch clock.
fn p1(reading: &Reading<'_>) -> String {
    let zone = jiff::tz::TimeZone::get("Europe/Amsterdam").unwrap_or(jiff::tz::TimeZone::UTC);
    let local = reading.at.to_jiff().to_zoned(zone);
    let letter = if local.offset() == jiff::tz::offset(2) { 'S' } else { 'W' };
    let stamp = local.strftime("%y%m%d%H%M%S");
    // Half on each tariff, so that their sum is the counter.
    let wh = reading.counter / 1_000;
    let (low, high) = (wh / 2, wh - wh / 2);
    let body = format!(
        "/SIM5\\METER\r\n\r\n1-3:0.2.8(50)\r\n0-0:1.0.0({stamp}{letter})\r\n0-0:96.1.1({name})\r\n\
         1-0:1.8.1({low:0>10}*kWh)\r\n1-0:1.8.2({high:0>10}*kWh)\r\n0-0:96.14.0(0002)\r\n\
         1-0:1.7.0({kw:0>6}*kW)\r\n1-0:32.7.0(230.1*V)\r\n1-0:31.7.0({amps:0>5}*A)\r\n!",
        name = reading.name,
        low = decimal(low, 3),
        high = decimal(high, 3),
        kw = decimal(reading.rate, 3),
        amps = decimal(reading.rate * 100 / 230, 2),
    );
    let crc = body.bytes().fold(0_u16, |crc, byte| {
        (0..8).fold(crc ^ u16::from(byte), |crc, _| {
            if crc & 1 == 1 { (crc >> 1) ^ 0xA001 } else { crc >> 1 }
        })
    });
    format!("{body}{crc:04X}\r\n")
}

/// Zero is omitted, as the servers do.
fn counted(name: &str, frame: u32) -> String {
    if frame == 0 { String::new() } else { format!(r#""{name}":{frame},"#) }
}

fn chirpstack(reading: &Reading<'_>) -> String {
    let (time, eui) = (reading.at, reading.name);
    let litres = reading.counter / 1_000;
    let frame = counted("fCnt", reading.frame - 1);
    format!(
        r#"{{"deduplicationId":"{eui}-{n}","time":"{time}","deviceInfo":{{"tenantName":"sim","deviceProfileName":"water","devEui":"{eui}"}},{frame}"fPort":2,"data":"AQI=","object":{{"volume_l":{litres}}},"rxInfo":[{{"gatewayId":"0102030405060708","rssi":-97,"snr":3.5}}]}}"#,
        n = reading.frame
    )
}

fn the_things(reading: &Reading<'_>) -> String {
    let (time, eui) = (reading.at, reading.name.to_ascii_uppercase());
    let litres = reading.counter / 1_000;
    let frame = counted("f_cnt", reading.frame - 1);
    format!(
        r#"{{"end_device_ids":{{"device_id":"dev-{eui}","dev_eui":"{eui}"}},"received_at":"{time}","uplink_message":{{{frame}"f_port":2,"frm_payload":"AQI=","decoded_payload":{{"volume_l":{litres}}},"rx_metadata":[{{"rssi":-97}}],"received_at":"{time}"}}}}"#
    )
}
