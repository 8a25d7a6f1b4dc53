//! Telegrams of our own making, and the example of profile B in annex N of OMS volume 2.

use std::sync::Arc;

use expect_test::{Expect, expect};
use metering::UtcTime;

use super::crypt;
use super::frame::crc;
use super::{Keys, Receiver};
use crate::describe::describe;
use crate::format::{DecodeContext, RejectReason};

fn context() -> DecodeContext<'static> {
    DecodeContext {
        topic: "wmbus/C-01",
        received_at: UtcTime::parse_rfc3339("2026-11-21T10:00:05Z").unwrap(),
        zone: None,
        collector: Some("C-01"),
        mapping: None,
        options: &crate::DecodeOptions::DEFAULT,
    }
}

fn keys(text: &str) -> Receiver {
    Receiver::new(Arc::new(Keys::parse(text).unwrap()))
}

fn check(receiver: &mut Receiver, payload: &str, want: &Expect) {
    want.assert_eq(&describe(receiver.decode(&context(), payload.as_bytes())));
}

fn reason(receiver: &mut Receiver, payload: &str) -> RejectReason {
    receiver.decode(&context(), payload.as_bytes()).unwrap_err().reason
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A telegram of a water meter, 12345678, invented: L, C, M, A and the rest from CI on.
fn frame(rest: &[u8]) -> Vec<u8> {
    let mut frame = vec![0, 0x44, 0x24, 0x34, 0x78, 0x56, 0x34, 0x12, 0x01, 0x07];
    frame.extend_from_slice(rest);
    frame[0] = u8::try_from(frame.len() - 1).unwrap();
    frame
}

/// 12.345 m3; 11.000 m3 on 2026-10-31.
const RECORDS: [u8; 16] =
    [0x0C, 0x13, 0x45, 0x23, 0x01, 0, 0x4C, 0x13, 0, 0x10, 0x01, 0, 0x42, 0x6C, 0x5F, 0x3A];

fn plain() -> Vec<u8> {
    let mut rest = vec![0x7A, 1, 0, 0, 0];
    rest.extend_from_slice(&RECORDS);
    frame(&rest)
}

#[test]
fn a_plain_telegram_in_every_envelope() {
    let want = expect![[r#"
        wmbus:12345678 via C-01 heard 2026-11-21T10:00:05Z arrival, status `maker=MAD version=01 medium=07 status=00 mode=0 plain`, repeats 90 s, 2 reads
          register total_m3 12.345 m3 (2026-11-21T10:00:05Z arrival)
          register history_1_total_m3 11.000 m3 history (2026-10-31T00:00:00Z device zone assumed)
    "#]];
    let telegram = plain();
    for payload in [
        hex(&telegram),
        format!(" 0x{}\n", hex(&telegram).to_uppercase()),
        hex(&telegram).replace("7a", "_7a|"),
        hex(&format_a(&telegram)),
        hex(&format_b(&telegram)),
        base64(&telegram),
        format!(r#"{{"data":"{}","time":"@0.1s"}}"#, hex(&telegram)),
        format!(r#"{{"payload":"{}"}}"#, base64(&format_a(&telegram))),
    ] {
        check(&mut Receiver::default(), &payload, &want);
    }
    let stamped = format!(
        r#"{{"raw_hex":"{}","timestamp":"2026-11-21T09:59:58Z","rssi_dbm":-71.4}}"#,
        hex(&telegram)
    );
    let reports = Receiver::default().decode(&context(), stamped.as_bytes()).unwrap();
    assert_eq!(reports[0].rssi_dbm, Some(-71));
    assert_eq!(reports[0].heard_at.at.to_string(), "2026-11-21T09:59:58Z");
}

/// Every block of 16 behind the first 10 bytes has its check sum, high byte first.
fn format_a(telegram: &[u8]) -> Vec<u8> {
    let (head, rest) = telegram.split_at(10);
    std::iter::once(head)
        .chain(rest.chunks(16))
        .flat_map(|block| [block, &crc(block).to_be_bytes()].concat())
        .collect()
}

fn format_b(telegram: &[u8]) -> Vec<u8> {
    let mut telegram = telegram.to_vec();
    telegram[0] += 2;
    let sum = crc(&telegram).to_be_bytes();
    [telegram.as_slice(), &sum].concat()
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0_u32, |word, byte| word << 8 | u32::from(*byte))
            << (8 * (3 - chunk.len()));
        for at in 0..4 {
            let digit = DIGITS[(word >> (18 - 6 * at) & 63) as usize];
            text.push(if at <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

const KEY: [u8; 16] = [7, 1, 8, 2, 8, 1, 8, 2, 8, 4, 5, 9, 0, 4, 5, 2];

fn with_key() -> Receiver {
    keys(&format!("12345678 {}", hex(&KEY)))
}

/// The cipher's other direction is that of the simulators; here it is undone by hand.
fn encrypt_cbc(key: &[u8; 16], iv: [u8; 16], text: &[u8]) -> Vec<u8> {
    use aes::cipher::{BlockCipherEncrypt, KeyInit};
    let cipher = aes::Aes128::new(key.into());
    let (mut last, mut secret) = (iv, Vec::new());
    for block in text.chunks(16) {
        for (byte, plain) in last.iter_mut().zip(block) {
            *byte ^= plain;
        }
        let mut block = last.into();
        cipher.encrypt_block(&mut block);
        last = block.into();
        secret.extend_from_slice(&last);
    }
    secret
}

fn filled(records: &[u8]) -> Vec<u8> {
    let mut text = [&[0x2F, 0x2F], records].concat();
    text.resize(text.len().next_multiple_of(16), 0x2F);
    text
}

#[test]
fn mode_5_needs_the_key_of_the_device() {
    let text = filled(&RECORDS);
    let blocks = u8::try_from(text.len() / 16).unwrap();
    let mut iv = [0x2A; 16];
    iv[..8].copy_from_slice(&[0x24, 0x34, 0x78, 0x56, 0x34, 0x12, 0x01, 0x07]);
    let secret = encrypt_cbc(&KEY, iv, &text);
    let header = [0x7A, 0x2A, 0x0C, blocks << 4, 5];
    let telegram = hex(&frame(&[&header[..], &secret].concat()));
    check(
        &mut with_key(),
        &telegram,
        &expect![[r#"
        wmbus:12345678 via C-01 heard 2026-11-21T10:00:05Z arrival, status `maker=MAD version=01 medium=07 status=0c mode=5 decrypted`, repeats 90 s, 2 reads
          register total_m3 12.345 m3 suspect (2026-11-21T10:00:05Z arrival)
          register history_1_total_m3 11.000 m3 history suspect (2026-10-31T00:00:00Z device zone assumed)
          event battery_low/0 level `status=0c` (2026-11-21T10:00:05Z arrival)
          event hardware_fault/0 level `status=0c` (2026-11-21T10:00:05Z arrival)
    "#]],
    );
    assert_eq!(reason(&mut Receiver::default(), &telegram), RejectReason::NoKey);
    assert_eq!(
        reason(&mut keys("12345678 00000000000000000000000000000000"), &telegram),
        RejectReason::BadTag
    );
    // Already decrypted by the receiver: taken from a device whose key nobody gave us.
    let open = hex(&frame(&[&header[..], &text].concat()));
    assert!(Receiver::default().decode(&context(), open.as_bytes()).is_ok());
    assert_eq!(reason(&mut with_key(), &open), RejectReason::BadTag);
    assert_eq!(reason(&mut with_key(), &hex(&plain())), RejectReason::Policy);
}

#[test]
fn a_session_of_the_link_layer_is_encrypted_with_its_check_sum() {
    let content = [&[0x78][..], &RECORDS].concat();
    let session = [0x11, 0x22, 0x33, 0x20];
    let plain = [&crc(&content).to_le_bytes()[..], &content].concat();
    let mut secret = plain.clone();
    let mut iv = [0_u8; 16];
    iv[..9].copy_from_slice(&[0x24, 0x34, 0x78, 0x56, 0x34, 0x12, 0x01, 0x07, 0x20]);
    iv[9..13].copy_from_slice(&session);
    crypt::ctr(&KEY, &iv, &mut secret);
    let of = |body: &[u8]| hex(&frame(&[&[0x8D, 0x20, 0x05][..], &session, body].concat()));
    check(
        &mut with_key(),
        &of(&secret),
        &expect![[r#"
        wmbus:12345678 via C-01 heard 2026-11-21T10:00:05Z arrival, status `maker=MAD version=01 medium=07 status=00 mode=0 decrypted`, repeats 90 s, 2 reads
          register total_m3 12.345 m3 (2026-11-21T10:00:05Z arrival)
          register history_1_total_m3 11.000 m3 history (2026-10-31T00:00:00Z device zone assumed)
    "#]],
    );
    assert_eq!(reason(&mut Receiver::default(), &of(&secret)), RejectReason::NoKey);
    assert!(Receiver::default().decode(&context(), of(&plain).as_bytes()).is_ok());
}

#[test]
fn a_short_telegram_is_understood_after_a_full_one() {
    let headers: Vec<u8> = [&RECORDS[..2], &RECORDS[6..8], &RECORDS[12..14]].concat();
    let values: Vec<u8> = [&[0x99, 0x23, 0x01, 0][..], &RECORDS[8..12], &RECORDS[14..]].concat();
    let full =
        [&headers[..2], &values[..4], &headers[2..4], &values[4..8], &headers[4..], &values[8..]]
            .concat();
    let mut short = vec![0x79];
    short.extend_from_slice(&crc(&headers).to_le_bytes());
    short.extend_from_slice(&crc(&full).to_le_bytes());
    short.extend_from_slice(&values);
    let mut receiver = Receiver::default();
    let telegram = hex(&frame(&short));
    assert_eq!(reason(&mut receiver, &telegram), RejectReason::Undecoded);
    receiver.decode(&context(), hex(&plain()).as_bytes()).unwrap();
    check(
        &mut receiver,
        &telegram,
        &expect![[r#"
        wmbus:12345678 via C-01 heard 2026-11-21T10:00:05Z arrival, status `maker=MAD version=01 medium=07 status=00 mode=0 plain`, repeats 90 s, 2 reads
          register total_m3 12.399 m3 (2026-11-21T10:00:05Z arrival)
          register history_1_total_m3 11.000 m3 history (2026-10-31T00:00:00Z device zone assumed)
    "#]],
    );
    short[5] ^= 1;
    assert_eq!(reason(&mut receiver, &hex(&frame(&short))), RejectReason::BadChecksum);
}

#[test]
fn records_of_every_kind() {
    let records = [
        &[0x04, 0x05, 0xF2, 0x08, 0, 0][..],         // 229.0 kWh
        &[0x84, 0x10, 0x05, 1, 0, 0, 0],             // tariff 1
        &[0x84, 0x40, 0x05, 2, 0, 0, 0],             // part 1
        &[0x04, 0x85, 0x3C, 3, 0, 0, 0],             // backward
        &[0x04, 0x85, 0x74, 4, 0, 0, 0],             // times 10^-2
        &[0x04, 0x05, 5, 0, 0, 0],                   // the same header again
        &[0x04, 0x06, 0, 0, 0, 0x80],                // not available
        &[0x0A, 0xFD, 0xC9, 0xFC, 0x01, 0x35, 0x02], // 235 V on L1
        &[0x12, 0x2B, 0x10, 0],                      // maximum power
        &[0x0B, 0x13, 0x34, 0x12, 0xF0],             // -1.234 m3
        &[0x0C, 0x14, 0xAA, 0, 0, 0],                // no digits
        &[0x05, 0x3E, 0, 0, 0xC0, 0x3F],             // 1.5 m3/h
        &[0x01, 0x46, 6],                            // 0.6 m3/min = 36 m3/h
        &[0x02, 0x59, 0xFE, 0xFF],                   // -0.02 C
        &[0x02, 0xFD, 0x17, 0x04, 0],                // error flags
        &[0x02, 0xFD, 0x74, 0x80, 0x0C],             // battery, days
        &[0x04, 0x6D, 0x1D, 0x36, 0xB9, 0x29],       // clock
        &[0x0D, 0x78, 0x03, 0x31, 0x32, 0x33],       // text
        &[0x0D, 0x10, 0xC3, 0x56, 0x34, 0x12],       // 0.123456 m3
        &[0x03, 0x7C, 0x02, 0x41, 0x42, 1, 2, 3],    // a unit in letters
        &[0x02, 0xFF, 0x20, 1, 2],                   // the maker's own
        &[0x0F, 1, 2, 3],                            // from here on all
    ]
    .concat();
    let rest = [&[0x7A, 1, 0x10, 0, 0][..], &records].concat();
    check(
        &mut Receiver::default(),
        &hex(&frame(&rest)),
        &expect![[r#"
        wmbus:12345678 via C-01 heard 2026-11-21T10:00:05Z arrival, status `maker=MAD version=01 medium=07 status=10 mode=0 plain error_flags=4 rest=maker's_data`, repeats 90 s, 13 reads
          register total_kwh 229.0 kWh (2026-11-21T10:00:05Z arrival)
          register total_tariff_1_kwh 0.1 kWh (2026-11-21T10:00:05Z arrival)
          register total_part_1_kwh 0.2 kWh (2026-11-21T10:00:05Z arrival)
          register total_backward_kwh 0.3 kWh (2026-11-21T10:00:05Z arrival)
          register total_nr_2_kwh 0.004 kWh (2026-11-21T10:00:05Z arrival)
          register total_nr_3_kwh 0.5 kWh (2026-11-21T10:00:05Z arrival)
          register total_nr_4_kwh - kWh (2026-11-21T10:00:05Z arrival)
          instant voltage_l1_v 235 V (2026-11-21T10:00:05Z arrival)
          instant max_power_kw 0.016 kW (2026-11-21T10:00:05Z arrival)
          register total_m3 -1.234 m3 (2026-11-21T10:00:05Z arrival)
          register total_nr_2_m3 - m3 (2026-11-21T10:00:05Z arrival)
          instant flow_m3h 1.5 m3/h (2026-11-21T10:00:05Z arrival)
          instant flow_nr_2_m3h 36.0 m3/h (2026-11-21T10:00:05Z arrival)
          instant flow_temperature_c -0.02 C (2026-11-21T10:00:05Z arrival)
          register total_nr_3_m3 0.123456 m3 (2026-11-21T10:00:05Z arrival)
          event hardware_warning/0 level `status=10` (2026-11-21T10:00:05Z arrival)
          event meter_flag/0 level `error_flags=4` (2026-11-21T10:00:05Z arrival)
          event battery_days/0 counter `days=3200` (2026-11-21T10:00:05Z arrival)
    "#]],
    );
}

#[test]
fn what_is_no_telegram_is_refused_with_a_reason() {
    let mut told = String::new();
    let mut bent = format_a(&plain());
    bent[12] ^= 1;
    for payload in [
        "zz".to_owned(),
        "00".to_owned(),
        "{}".to_owned(),
        r#"{"data":5}"#.to_owned(),
        hex(&plain()[..20]),
        hex(&bent),
        hex(&frame(&[0x51, 1, 2])),
        hex(&frame(&[0xA2, 1, 2])),
        hex(&frame(&[0x7A, 1, 0])),
        hex(&frame(&[0x7A, 1, 0, 0x10, 9, 1, 2])),
        hex(&frame(&[0x7A, 1, 0, 0, 0, 0x0F, 1, 2])),
        hex(&frame(&[0x7A, 1, 0, 0, 0, 0x04, 0x13, 1])),
        hex(&frame(&[0x90, 2, 0, 0x40, 0x7A])),
        hex(&frame(&[0x8D, 0, 1, 0, 0, 0, 0, 1, 2, 0x78])),
        "6803036808017299 16".to_owned(),
        "680303680801727b16".to_owned(),
        "ab".repeat(1_000),
    ] {
        let refused = Receiver::default().decode(&context(), payload.as_bytes()).unwrap_err();
        told.push_str(&format!("{refused}\n"));
    }
    expect![[r#"
        bad_format: the telegram is neither hex nor base64
        bad_format: 1 bytes are no telegram
        bad_format: no telegram in `data`, `hex`, `telegram`, `raw_hex`, `payload`
        bad_format: `data` is no text
        bad_format: L says 31 bytes, the telegram has 20
        bad_checksum: the check sum of block 0 is wrong
        unknown_type: CI 51 of 12345678 (MAD v01 t07)
        undecoded: the maker's own application layer, CI A2 of 12345678 (MAD v01 t07)
        bad_format: the telegram ends within the transport layer's header
        undecoded: 12345678 (MAD v01 t07) encrypts by mode 9
        undecoded: 12345678 (MAD v01 t07): maker's data
        undecoded: 12345678 (MAD v01 t07): a record is cut off
        undecoded: a fragment of a longer message
        bad_checksum: the check sum of the extended link layer is wrong
        bad_checksum: the sum of the M-Bus frame is wrong
        bad_format: the telegram ends within the long header
        too_large: 2000 characters; a telegram has at most 256 bytes
    "#]]
    .assert_eq(&told);
}

#[test]
fn the_example_of_profile_b() {
    let telegram = "434493157856341233038C2075900F002C25B30A000021924D4F2FB66E017A75002007109058475F4BC91DF878B80A1B0F98B629024AAC727942BFC549233C0140829B93";
    let mut receiver = keys("12345678 000102030405060708090A0B0C0D0E0F");
    check(
        &mut receiver,
        telegram,
        &expect![[r#"
        wmbus:12345678 via C-01 heard 2026-11-21T10:00:05Z arrival, status `maker=ELS version=33 medium=03 status=00 mode=7 authenticated`, repeats 90 s, 1 reads
          register total_m3 28504.27 m3 (2026-11-21T10:00:05Z arrival)
    "#]],
    );
    assert_eq!(reason(&mut Receiver::default(), telegram), RejectReason::NoKey);
    let bent = telegram.replace("2FB66E01", "2FB66E02");
    assert_eq!(reason(&mut receiver, &bent), RejectReason::BadTag);
    let mut wrong = keys("12345678 000102030405060708090A0B0C0D0E0E");
    assert_eq!(reason(&mut wrong, telegram), RejectReason::BadTag);
}
