//! The state budget of `metering-rules` 10: 523 bytes for a meter with one 15-min channel.
//!
//! What is counted: the meter, its channel with all on the heap, its place in the network and its
//! timers. The one meter of these tests also bears the two timers of the whole fleet (36 B), which
//! it would share: a meter of electricity takes 556 B, and 768 B when one report in 47 is lost.
//! Water and gas keep their last 26 hours, 28 nights and the distribution of their hours
//! beside that, so they are further over the budget; all are pinned here.

use expect_test::expect;
use metering::LogRecord;

use super::{Log, at, fill, meter};
use crate::state::channel::Channel;
use crate::state::meter::Meter;
use crate::state::network::Link;
use crate::{Engine, Params};

/// Bytes per channel after `hours` of data, the newest day open; one frame in `lost` is empty.
fn bytes(asset_text: &str, hours: &str, lost: Option<usize>) -> usize {
    let asset = meter(asset_text);
    let mut log = Log::default();
    log.push(at("10-02"), vec![LogRecord::Meter(Box::new(asset.clone()))]);
    fill(&mut log, &asset, &format!("10-02 00:00 +{hours} 0,5,9"));
    let mut engine = Engine::new(Params::default());
    let mut out = Vec::new();
    for (number, frame) in log.frames.iter().enumerate() {
        let mut frame = frame.clone();
        if lost.is_some_and(|every| number % every == every - 1) {
            frame.records.clear();
        }
        engine.apply(&frame, &mut out);
    }
    engine.state_bytes_per_channel()
}

#[test]
fn the_state_of_a_meter_stays_in_its_budget() {
    let kinds = ["electricity 15min", "gas 1h step=1", "water 1h step=1", "water 15min step=1"];
    let each = kinds.map(|kind| format!("{kind} {}", bytes(kind, "47h", None)));
    let sizes = format!(
        "meter {} channel {} link {} | {}",
        size_of::<Meter>(),
        size_of::<Channel>(),
        size_of::<Link>(),
        each.join(" | "),
    );
    expect!["meter 120 channel 288 link 40 | electricity 15min 592 | gas 1h step=1 770 | water 1h step=1 754 | water 15min step=1 856"].assert_eq(&sizes);
}

/// Beyond the budget: for 35 days the missing slots of each day are kept, with what makes its sum
/// exact, about six bytes a day.
#[test]
fn days_with_gaps_are_what_costs_most() {
    let kinds = ["electricity 15min", "water 1h step=1"];
    let each = kinds.map(|kind| {
        let (whole, gaps) = (bytes(kind, "1000h", None), bytes(kind, "1000h", Some(47)));
        format!("{kind} {whole}, with gaps {gaps}")
    });
    expect!["electricity 15min 592, with gaps 804 | water 1h step=1 772, with gaps 869"]
        .assert_eq(&each.join(" | "));
}
