//! The state budget of `metering-rules` 10: 523 bytes for a meter with one 15-min channel.

use expect_test::expect;
use metering::LogRecord;

use super::{Log, at, fill, meter};
use crate::state::channel::Channel;
use crate::state::meter::Meter;
use crate::state::network::Link;
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
    let kinds = ["electricity 15min", "gas 1h step=1", "water 1h step=1", "water 15min step=1"];
    let each = kinds.map(|kind| format!("{kind} {}", bytes(kind)));
    let sizes = format!(
        "meter {} channel {} link {} | {}",
        size_of::<Meter>(),
        size_of::<Channel>(),
        size_of::<Link>(),
        each.join(" | "),
    );
    expect!["meter 120 channel 256 link 36 | electricity 15min 484 | gas 1h step=1 654 | water 1h step=1 622 | water 15min step=1 724"].assert_eq(&sizes);
}
