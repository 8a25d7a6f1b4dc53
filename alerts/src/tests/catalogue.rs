//! Each of the 67 rules fires: a table of rule and the least log that lets it say something. Also
//! the rules that look at all meters once a day.

use expect_test::expect;
use metering::{LogRecord, MeterAsset};

use super::network::{begin, fleet, hours};
use super::{Log, at, meter};

#[test]
fn one_serial_at_two_places_is_told_of_both_until_one_is_corrected() {
    let assets: Vec<MeterAsset> = ["water", "water", "water", "gas"]
        .iter()
        .zip(1..)
        .map(|(kind, id)| {
            let mut asset = meter(&format!("{kind} 1h contact=6h id={id}"));
            // The third has a serial of its own; the gas meter's maker numbers alike.
            let serial = if id == 3 { "N-3" } else { "N-1" };
            serial.clone_into(&mut asset.detail.serial);
            asset
        })
        .collect();
    let mut log = Log::default();
    let all = assets.iter().map(|asset| LogRecord::Meter(Box::new(asset.clone()))).collect();
    log.push(at("11-02 00:00"), all);
    log.push(at("11-02 12:00"), vec![LogRecord::Tick]);
    let mut corrected = assets[1].clone();
    "N-2".clone_into(&mut corrected.detail.serial);
    log.push(at("11-03 08:00"), vec![LogRecord::Meter(Box::new(corrected))]);
    log.push(at("11-04 12:00"), vec![LogRecord::Tick]);
    expect![[r#"
        11-02 12:00 raised MTR-SWAP meter 1 ASSET_MISMATCH P2 since 11-02 12:00
        11-02 12:00 raised MTR-SWAP meter 2 ASSET_MISMATCH P2 since 11-02 12:00
        11-03 08:00 cleared MTR-SWAP meter 2 ASSET_MISMATCH P2 since 11-02 12:00 until 11-03 08:00
        11-03 08:00 cleared MTR-SWAP meter 1 ASSET_MISMATCH P2 since 11-02 12:00 until 11-03 08:00
    "#]]
    .assert_eq(&log.text());
}

#[test]
fn a_link_that_loses_some_is_a_record_until_it_loses_too_many() {
    let assets = fleet(&[(12, "electricity 1h")]);
    let mut log = begin(&assets, "11-01");
    hours(&mut log, &assets, ("11-01 00:00", 24 * 9), |id, hour| {
        (id != 4 || hour % 10 != 0).then_some(300)
    });
    hours(&mut log, &assets, ("11-10 00:00", 24 * 9), |id, hour| {
        (id != 4 || hour % 3 != 0).then_some(300)
    });
    expect![[r#"
        11-09 06:32 raised COM-MISS meter 4 RF_MARGINAL P4 since 11-02 00:00 record
        11-14 06:32 updated COM-MISS meter 4 RF_MARGINAL P3 since 11-02 00:00
    "#]]
    .assert_eq(&log.text());
}
