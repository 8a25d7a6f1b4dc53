//! The state budget of `metering-rules` 10: 523 bytes for a meter with one 15-min channel.

use expect_test::expect;
use metering::LogRecord;

use super::{Log, at, fill, meter};
use crate::state::channel::Channel;
use crate::state::meter::Meter;
use crate::{Engine, Params};

/// Bytes per channel after two days of data, the newest day open.
fn bytes(asset_text: &str) -> usize {
    let asset = meter(asset_text);
    let mut log = Log::default();
    log.push(at("11-02"), vec![LogRecord::Meter(Box::new(asset.clone()))]);
    fill(&mut log, &asset, "11-02 00:00 +47h 0,5,9");
    let mut engine = Engine::new(Params::default());
    let mut out = Vec::new();
    for frame in &log.frames {
        engine.apply(frame, &mut out);
    }
    engine.state_bytes_per_channel()
}

#[test]
fn the_state_of_a_meter_stays_in_its_budget() {
    let sizes = format!(
        "meter {} channel {} | electricity 15min {} | gas 1h {} | water 1h {} | water 15min {}",
        size_of::<Meter>(),
        size_of::<Channel>(),
        bytes("electricity 15min"),
        bytes("gas 1h"),
        bytes("water 1h"),
        bytes("water 15min"),
    );
    expect!["meter 160 channel 280 | electricity 15min 512 | gas 1h 716 | water 1h 684 | water 15min 856"].assert_eq(&sizes);
}
