//! Wireless M-Bus telegrams of water meters, from the standards (EN 13757-3, -4, -7; OMS volume 2),
//! written apart from the decoder that they test.

use aes::Aes128;
use aes::cipher::{Array, BlockCipherEncrypt, KeyInit};
use cmac::{Cmac, Mac};
use metering::UtcTime;

use super::{Content, Shouter, Telegram};
use crate::rng::{Purpose, Stream};

type Key = [u8; 16];

/// Kinds of meters, taken in turn; the first one sends in the clear.
const MODE_5: u32 = 1;
const MODE_7: u32 = 2;
const SESSION: u32 = 3;
const COMPACT: u32 = 4;
const KINDS: u32 = 5;

/// Maker `SIM`, generation 1, water.
const MAKER: [u8; 2] = [0x2D, 0x4D];
const VERSION: u8 = 1;
const WATER: u8 = 7;
/// A meter that sends short telegrams sends every so many in full.
const FULL_EVERY: u32 = 8;

pub(super) const fn encrypts(kind: u32) -> bool {
    matches!(kind % KINDS, MODE_5 | MODE_7 | SESSION)
}

pub(super) fn key(seed: u64, number: u32) -> Key {
    let mut draw = Stream::new(seed, Purpose::Plan, number as usize, 99);
    std::array::from_fn(|_| u8::try_from(draw.below(256)).unwrap_or(0))
}

pub(super) fn telegram(meter: &Shouter, seed: u64, now: UtcTime) -> Telegram {
    let records = records(meter, now);
    let key = key(seed, meter.number);
    // Modulo 256.
    let access = (meter.telegrams % 256).to_le_bytes()[0];
    let body = match meter.kind % KINDS {
        MODE_5 => mode_5(&key, meter, access, &records),
        MODE_7 => mode_7(&key, meter, access, &records),
        SESSION => session(&key, meter, access, &records),
        COMPACT if !meter.telegrams.is_multiple_of(FULL_EVERY) => compact(access, &records),
        COMPACT => {
            let mut body = vec![0x8C, 0x20, access, 0x78];
            body.extend_from_slice(&records);
            body
        }
        _ => [&[0x7A, access, 0, 0, 0][..], &records].concat(),
    };
    let length = u8::try_from(9 + body.len()).unwrap_or(u8::MAX);
    let head = [length, 0x44, MAKER[0], MAKER[1]];
    let bytes = [&head[..], &address(meter), &body].concat();
    let with_sums = meter.number.is_multiple_of(2);
    Telegram { content: Content::Wmbus { bytes, with_sums }, reads: 3 }
}

/// Identification, generation, medium.
fn address(meter: &Shouter) -> [u8; 6] {
    let [a, b, c, d] = bcd(i64::from(meter.number));
    [a, b, c, d, VERSION, WATER]
}

/// Eight digits, low byte first.
fn bcd(value: i64) -> [u8; 4] {
    let mut rest = value;
    std::array::from_fn(|_| {
        let two = rest % 100;
        rest /= 100;
        u8::try_from(two / 10 * 16 + two % 10).unwrap_or(0)
    })
}

/// Volume in litres, flow, and the volume at the end of last month.
fn records(meter: &Shouter, now: UtcTime) -> Vec<u8> {
    let before = meter.counter - meter.slots.iter().sum::<i64>();
    let flow = meter.slots.last().copied().unwrap_or(0) * 12;
    let date = now.to_jiff().to_zoned(jiff::tz::TimeZone::UTC).date().first_of_month();
    let (year, month) = (date.year().rem_euclid(100), date.month());
    let year = u8::try_from(year).unwrap_or(0);
    let month = u8::try_from(month).unwrap_or(1);
    let date = [(year << 5) | 1, ((year << 1) & 0xF0) | month];
    let flow = u16::try_from(flow).unwrap_or(0).to_le_bytes();
    [
        &[0x0C, 0x13][..],
        &bcd(meter.counter),
        &[0x02, 0x3B],
        &flow,
        &[0x4C, 0x13],
        &bcd(before),
        &[0x42, 0x6C],
        &date,
    ]
    .concat()
}

/// Where the headers of [`records`] stand: (start, end) of header and value.
const LAYOUT: [(usize, usize, usize); 4] = [(0, 2, 6), (6, 8, 10), (10, 12, 16), (16, 18, 20)];

fn compact(access: u8, records: &[u8]) -> Vec<u8> {
    let part = |of: fn((usize, usize, usize)) -> std::ops::Range<usize>| -> Vec<u8> {
        LAYOUT.into_iter().flat_map(|field| records[of(field)].to_vec()).collect()
    };
    let headers = part(|(start, end, _)| start..end);
    let values = part(|(_, start, end)| start..end);
    let (signature, sum) = (sum(&headers).to_le_bytes(), sum(records).to_le_bytes());
    [&[0x8C, 0x20, access, 0x79][..], &signature, &sum, &values].concat()
}

fn mode_5(key: &Key, meter: &Shouter, access: u8, records: &[u8]) -> Vec<u8> {
    let text = filled(records);
    let mut vector = [access; 16];
    vector[..2].copy_from_slice(&MAKER);
    vector[2..8].copy_from_slice(&address(meter));
    let header = [0x7A, access, 0, blocks(&text) << 4, 5];
    [&header[..], &cbc(key, vector, &text)].concat()
}

fn mode_7(key: &Key, meter: &Shouter, access: u8, records: &[u8]) -> Vec<u8> {
    let text = filled(records);
    let counter = (meter.telegrams + 1_000).to_le_bytes();
    let derived = |purpose: u8| {
        let number = bcd(i64::from(meter.number));
        mac(key, &[&[purpose][..], &counter, &number, &[7; 7]].concat())
    };
    let header = [0x7A, access, 0, blocks(&text) << 4, 7, 0x10];
    let message = [&header[..], &cbc(&derived(0), [0; 16], &text)].concat();
    let control = 0x25;
    let tag = mac(&derived(1), &[&[control][..], &counter, &message].concat());
    let layer = [&[0x90, 0x0F, 0x00, 0x2C, control][..], &counter, &tag[..8]].concat();
    [&[0x8C, 0x20, access][..], &layer, &message].concat()
}

fn session(key: &Key, meter: &Shouter, access: u8, records: &[u8]) -> Vec<u8> {
    let content = [&[0x78][..], records].concat();
    let mut secret = [&sum(&content).to_le_bytes()[..], &content].concat();
    // The upper three bits say: AES in counter mode.
    let number = (1_u32 << 29 | meter.telegrams).to_le_bytes();
    let mut counter = [0_u8; 16];
    counter[..2].copy_from_slice(&MAKER);
    counter[2..8].copy_from_slice(&address(meter));
    counter[8] = 0x20;
    counter[9..13].copy_from_slice(&number);
    let cipher = Aes128::new(&Array::from(*key));
    for (n, chunk) in (0_u8..).zip(secret.chunks_mut(16)) {
        counter[15] = n;
        let mut stream = Array::from(counter);
        cipher.encrypt_block(&mut stream);
        for (byte, mask) in chunk.iter_mut().zip(stream) {
            *byte ^= mask;
        }
    }
    [&[0x8D, 0x20, access][..], &number, &secret].concat()
}

/// Two filler bytes to know the right key by, then up to whole blocks.
fn filled(records: &[u8]) -> Vec<u8> {
    let mut text = [&[0x2F, 0x2F], records].concat();
    text.resize(text.len().next_multiple_of(16), 0x2F);
    text
}

fn blocks(text: &[u8]) -> u8 {
    u8::try_from(text.len() / 16).unwrap_or(15)
}

fn cbc(key: &Key, vector: Key, text: &[u8]) -> Vec<u8> {
    let cipher = Aes128::new(&Array::from(*key));
    let mut last = vector;
    let mut secret = Vec::with_capacity(text.len());
    for block in text.chunks(16) {
        for (byte, plain) in last.iter_mut().zip(block) {
            *byte ^= plain;
        }
        let mut block = Array::from(last);
        cipher.encrypt_block(&mut block);
        last = block.into();
        secret.extend_from_slice(&last);
    }
    secret
}

fn mac(key: &Key, bytes: &[u8]) -> Key {
    let mut mac = <Cmac<Aes128> as KeyInit>::new(&Array::from(*key));
    mac.update(bytes);
    mac.finalize().into_bytes().into()
}

/// CRC of EN 13757, bit by bit.
fn sum(bytes: &[u8]) -> u16 {
    let mut register = 0_u16;
    for bit in bytes.iter().flat_map(|byte| (0..8).rev().map(move |at| byte >> at & 1)) {
        let top = register >> 15 & 1 == 1;
        register <<= 1;
        if top != (bit == 1) {
            register ^= 0x3D65;
        }
    }
    !register
}

/// A receiver's line; a damaged one has a wrong bit.
pub(super) fn line(
    bytes: &[u8],
    with_sums: bool,
    (stamp, rssi): (UtcTime, i64),
    damaged: bool,
) -> String {
    let mut bytes = bytes.to_vec();
    if with_sums {
        let (head, rest) = bytes.split_at(10);
        bytes = std::iter::once(head)
            .chain(rest.chunks(16))
            .flat_map(|block| [block, &sum(block).to_be_bytes()].concat())
            .collect();
    }
    if damaged {
        // A receiver that checks passes nothing on; one that does not, cuts.
        bytes.truncate(bytes.len() - 3);
    }
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!(r#"{{"data":"{digits}","rssi_dbm":{rssi},"timestamp":"{stamp}"}}"#)
}

/// Commodity and the rest of each provisioning row.
pub(super) fn rows() -> Vec<(&'static str, &'static str)> {
    vec![
        ("water", "total_m3,volume,register,m3,1,3,,1h"),
        ("", "flow_m3h,volume_flow,instant,m3/h,1,3,,"),
    ]
}
