//! Devices with JSON of their own, P1 telegrams and `LoRaWAN` servers.

use protocols::{CrcRule, DecodeContext, DecodeOptions, Format, TariffOrder};

use crate::targets::{context, judged, zoned};

pub(crate) const TASMOTA: &[&[u8]] = &[
    br#"{"Time":"2026-11-21T11:00:00","ENERGY":{"TotalStartTime":"2026-01-01T00:00:00","Total":[2.813,0.254],"Yesterday":1.495,"Today":0.5,"Period":0,"Power":[52,null],"ApparentPower":92,"ReactivePower":73,"Factor":0.61,"Voltage":235,"Current":[0.278,0.044]},"TempUnit":"C"}"#,
    br#"{"StatusSNS":{"Time":"2026-11-21T11:00:00","ENERGY":{"Total":41.573,"ExportActive":3.2}}}"#,
    br#"{"Time":"2026-11-21T11:00:00+01:00","Wifi":{"RSSI":80,"Signal":-61}}"#,
    b"Online",
];

pub(crate) const SHELLY: &[&[u8]] = &[
    br#"{"src":"s","method":"NotifyStatus","params":{"ts":1795255199.25,"em:0":{"id":0,"a_voltage":0,"a_freq":198,"b_voltage":230.4,"b_freq":50.0,"b_act_power":-18,"n_current":null,"errors":["power_meter_failure","out_of_range:a_voltage"]},"emdata:0":{"b_total_act_energy":26289.44,"total_act":26289.57,"total_act_ret":1e1},"wifi":{"rssi":-50}}}"#,
    br#"{"em1:2":{"act_power":1,"voltage":230,"freq":50},"em1data:2":{"total_act_energy":1.5},"switch:0":{"aenergy":{"total":12.5},"apower":3},"sys":{"unixtime":1795255199}}"#,
    br#"{"method":"NotifyEvent","params":{"ts":1795255199,"events":[{"component":"em:0","event":"phase_sequence"}]}}"#,
    b"true",
];

pub(crate) const AMSREADER: &[&[u8]] = &[
    br#"{"id":"ams-9a31","name":"r","up":52000,"t":1795255200,"vcc":3.29,"rssi":-61,"temp":24.5,"data":{"P":1234,"PO":0,"Q":1,"I1":5.1,"U1":231.2,"tPI":26107.52,"tPO":null,"rtc":1795255195}}"#,
    br#"{"id":7,"t":0,"data":{"P":7,"tPI":1.5,"rtc":0}}"#,
];

pub(crate) const P1: &[&[u8]] = &[
    b"/XYZ5\\TEST-1\r\n\r\n1-3:0.2.8(50)\r\n0-0:1.0.0(261121110000W)\r\n0-0:96.1.1(4B384547303034303436333935353037)\r\n1-0:1.8.1(000010.500*kWh)\r\n1-0:1.8.2(000002.001*kWh)\r\n1-0:2.8.1(000000.000*kWh)\r\n0-0:96.14.0(0002)\r\n1-0:1.7.0(01.193*kW)\r\n1-0:99.97.0(1)(0-0:96.7.19)(261120100000W)(0000000301*s)\r\n1-0:32.7.0(230.1*V)\r\n0-0:96.13.0(4869)\r\n0-1:24.1.0(003)\r\n0-1:96.1.0(3232323241424344313233343536373839)\r\n0-1:24.2.1(261121100500W)(00012.107*m3)\r\n0-2:24.1.0(003)\r\n0-2:96.1.0()\r\n0-2:24.2.1(700101010000W)(00000000)\r\n!\r\n",
    b"/ISk5\\2MT382-1000\r\n\r\n0-0:96.1.1(0000000000000017)\r\n1-0:1.8.1(12345.678*kWh)\r\n0-0:17.0.0(016*A)\r\n0-1:96.1.0(12345678)\r\n0-1:24.1.0(03)\r\n0-1:24.3.0(090212160000)(00)(60)(1)(0-1:24.2.1)(m3)\r\n(00001.001)\r\n0-1:24.4.0(1)\r\n!\r\n",
    b"/FLU5\\2_A\n\n0-0:96.1.4(50217)\n0-0:96.1.1(3153414733313031303231363035)\n0-0:1.0.0(261121110000W)\n1-0:1.6.0(261109134558W)(02.589*kW)\n0-0:98.1.0(2)(1-0:1.6.0)(1-0:1.6.0)(261001000000S)(632525252525W)(00.000*kW)(261101000000W)(261023192538S)(03.695*kW)\n1-0:3.8.0(000000747*varh)\n0-0:96.3.10(0)\n!\n",
    b"/ESY5Q3\n\n1-0:0.0.0*255(0272031312565)\n1-0:1.8.0*255(00052185.7825309*kWh)\n1-0:96.5.5*255(80)\n!\n  25803103\n\xff\xff",
];

pub(crate) const CHIRPSTACK: &[&[u8]] = &[
    br#"{"deduplicationId":"x","time":"2026-11-21T10:00:00.123456789+00:00","deviceInfo":{"devEui":"0102030405060708"},"fPort":2,"data":"qg==","object":{"volume_l":4711.5},"rxInfo":[{"rssi":-97},{"rssi":-81,"snr":3.5}],"margin":-3,"batteryLevel":88.3,"devAddr":"00189440","level":"ERROR","code":"UPLINK_MIC","description":"bad"}"#,
];

pub(crate) const THE_THINGS: &[&[u8]] = &[
    br#"{"end_device_ids":{"device_id":"d","dev_eui":"0004A30B001C0530","dev_addr":"0F"},"received_at":"2026-11-21T10:00:02Z","uplink_message":{"f_cnt":7,"received_at":"2026-11-21T10:00:01.5Z","frm_payload":"gkHe","decoded_payload":{"volume_l":12},"rx_metadata":[{"rssi":-35}],"last_battery_percentage":{"value":91.5}}}"#,
    br#"{"end_device_ids":{"dev_eui":"0004A30B001C0530"},"received_at":"2026-11-21T10:00:02Z","join_accept":{}}"#,
    br#"{"downlink_ack":{"f_cnt":1}}"#,
];

/// The last will and the birth message are no JSON: their topic is another.
pub(crate) fn tasmota(input: &[u8], variant: u64) -> bool {
    let json = input.starts_with(b"{") != (variant % 16 == 15);
    let topic = if json { "tele/plug-7/SENSOR" } else { "tele/plug-7/LWT" };
    zoned(topic, variant, |context| judged(context, Format::Tasmota, input))
}

pub(crate) fn shelly(input: &[u8], variant: u64) -> bool {
    let topic = match (input.starts_with(b"{"), variant % 4) {
        (false, _) => "pm-1/online",
        (true, 3) => "pm-1/status/em:0",
        (true, _) => "pm-1/events/rpc",
    };
    zoned(topic, variant, |context| judged(context, Format::Shelly, input))
}

pub(crate) fn amsreader(input: &[u8], variant: u64) -> bool {
    zoned("ams/list3", variant, |context| judged(context, Format::Amsreader, input))
}

pub(crate) fn p1(input: &[u8], variant: u64) -> bool {
    let crc = [CrcRule::WhenPresent, CrcRule::Optional, CrcRule::Required, CrcRule::Optional];
    let options = DecodeOptions {
        crc: crc[usize::from(variant.to_le_bytes()[0] % 4)],
        tariffs: if variant & 4 == 0 { TariffOrder::LowFirst } else { TariffOrder::HighFirst },
        device_level: (variant & 8 != 0).then_some(2),
        ..DecodeOptions::DEFAULT
    };
    zoned("dsmr/house/raw", variant >> 4, |context| {
        judged(&DecodeContext { options: &options, ..*context }, Format::P1, input)
    })
}

pub(crate) fn chirpstack(input: &[u8], variant: u64) -> bool {
    let events = ["up", "status", "join", "log", "ack", "txack", "location", "integration"];
    let event = events[usize::from(variant.to_le_bytes()[0] % 8)];
    let topic = format!("application/a/device/0102030405060708/event/{event}");
    judged(&context(&topic), Format::Chirpstack, input)
}

pub(crate) fn the_things(input: &[u8], _: u64) -> bool {
    judged(&context("v3/app@tenant/devices/d/up"), Format::TheThings, input)
}
