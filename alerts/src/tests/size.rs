//! The state budget of `metering-rules` 10: 523 bytes for a meter with one 15-min channel.
//!
//! What is counted: the meter, its channel with all on the heap, its place in the network and its
//! timers. The one meter of these tests also bears the two timers of the whole fleet (36 B), which
//! it would share: a meter of electricity takes 442 B, and 656 B when one report in 47 is lost.
//! A channel with a register takes 36 B more, a water meter whose street is known 12 B.
//! Water and gas keep their last 26 hours, 28 nights and the distribution of their hours beside
//! that: 616 to 705 B. All are pinned here.

use expect_test::expect;
use metering::{
    BatteryAsset, Chemistry, DeviceFlags, LogRecord, MeterAsset, QualityStatus, RuleMask, SlotCode,
};

use super::{Log, at, fill, meter};
use crate::state::channel::Channel;
use crate::state::meter::Meter;
use crate::state::network::Link;
use crate::{Engine, Params};

/// Bytes per channel after `hours` of data, the newest day open; one frame in `lost` is empty.
pub(super) fn bytes(asset_text: &str, hours: &str, lost: Option<usize>) -> usize {
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
    expect!["meter 104 channel 248 link 24 | electricity 15min 478 | gas 1h step=1 652 | water 1h step=1 652 | water 15min step=1 741"].assert_eq(&sizes);
}

/// A battery, losses and a register cost those that have them.
#[test]
fn what_only_some_have_costs_only_them() {
    let of = |asset: &MeterAsset, register: bool| {
        let mut engine = Engine::new(Params::default());
        let mut log = Log::default();
        log.push(at("10-02"), vec![LogRecord::Meter(Box::new(asset.clone()))]);
        let told = if register {
            LogRecord::Register {
                meter: asset.meter,
                channel: super::CHANNEL,
                read_at: at("10-02 01:00"),
                value: 5_000,
                code: SlotCode::new(QualityStatus::Raw, DeviceFlags::NONE),
                failed: RuleMask::EMPTY,
            }
        } else {
            super::interval(asset, at("10-02 01:00"), 5_000, "e")
        };
        log.push(at("10-02 01:01"), vec![told]);
        log.frames.iter().for_each(|frame| engine.apply(frame, &mut Vec::new()));
        engine.state_bytes_per_channel()
    };
    let plain = meter("water 1h");
    let mut battery = meter("water 1h battery");
    battery.detail.battery = Some(BatteryAsset {
        chemistry: Chemistry::LithiumThionyl,
        capacity_mah: 19_000,
        installed_at: at("01-01"),
        design_life_d: 5_479,
    });
    let mut street = meter("water 1h");
    street.detail.street = 3;
    let base = of(&plain, false);
    let more = [of(&battery, false), of(&street, false), of(&plain, true)].map(|all| all - base);
    expect!["battery, street, register: [168, 12, 36]"]
        .assert_eq(&format!("battery, street, register: {more:?}"));
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
    expect!["electricity 15min 478, with gaps 692 | water 1h step=1 670, with gaps 769"]
        .assert_eq(&each.join(" | "));
}
