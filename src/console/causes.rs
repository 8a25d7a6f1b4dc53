//! Causes, states and events in plain words. The stored words never change; these may.

use metering::{Unit, UtcTime};
use store::views::issues::Evidence;

use super::measure::DisplayUnit;
use super::words;

/// What staff call it: `Leak at the customer`.
pub(super) fn title(cause: &str) -> String {
    let known = match cause {
        "BATTERY_DEAD" => "Battery dead",
        "BATTERY_LOW" => "Battery low",
        "RF_OBSTRUCTED" => "Radio obstructed",
        "RF_MARGINAL" => "Weak radio",
        "COMM_LOST" | "COMM_LOST_UNKNOWN" => "Meter silent",
        "COLLECTOR_OUTAGE" => "Collector silent",
        "BACKHAUL" => "Collector's uplink down",
        "HEADEND_OUTAGE" => "Nothing arrives from anybody",
        "POWER_OUTAGE" => "Power outage",
        "SINGLE_OUT" => "Power off at one meter",
        "STOPPED_METER" => "Meter stopped",
        "SLOW_METER" => "Meter slow",
        "METER_HARDWARE" => "Meter hardware fault",
        "ENCODER_FAULT" => "Encoder fault",
        "REVERSE_ROTATION" => "Meter runs backwards",
        "REGISTER_DECREASE" => "Register fell",
        "SUM_MISMATCH" => "Register differs from intervals",
        "TAMPER_SUSPECT" => "Tamper suspected",
        "LEAK_CUSTOMER_SIDE" => "Leak at the customer",
        "LEAK_INTERMITTENT" => "Leak that comes and goes",
        "BURST_CUSTOMER_SIDE" => "Burst at the customer",
        "DMA_LEAK" => "Leak in the network",
        "BACKFLOW" => "Backflow",
        "GAS_CONTINUOUS_FLOW" => "Gas flows without a pause",
        "GAS_HIGH_FLOW" => "Gas flow too high",
        "HIGH_CONSUMPTION" => "Use far above its own habit",
        "LOW_CONSUMPTION" => "Use far below its own habit",
        "DATA_GAP" => "Gap in the data",
        "CLOCK_ERROR" => "Meter clock wrong",
        "HEADEND_CLOCK" => "Clock of this system wrong",
        "DUPLICATE_SOURCE" => "Two devices send under one name",
        "CUSTOMER_BEHAVIOUR" => "The customer uses it so",
        "VACANT" => "Nobody lives there",
        "NO_FAULT_FOUND" => "No fault found",
        "OTHER" => "Another cause",
        _ => return words::sentence_case(&cause.replace('_', " ").to_lowercase()),
    };
    known.to_owned()
}

/// What the cause means and what may be behind it, one sentence.
pub(super) fn meaning(cause: &str) -> &'static str {
    match cause {
        "BATTERY_DEAD" => {
            "It reported a low battery before it fell silent: the battery is empty, or nearly."
        }
        "BATTERY_LOW" => "The module reports a low battery: it will fall silent when it is empty.",
        "COMM_LOST" | "COMM_LOST_UNKNOWN" => {
            "Nothing says why: battery, antenna, module and a removed meter are all possible."
        }
        "RF_OBSTRUCTED" => {
            "Its neighbours are heard, so something stands between it and its collectors."
        }
        "RF_MARGINAL" => "Its radio comes through only now and then.",
        "COLLECTOR_OUTAGE" => {
            "Meters that no other collector hears are held back: look at its power, hardware and uplink."
        }
        "BACKHAUL" => {
            "Its meters still reach other collectors: the collector's own uplink is the likely fault."
        }
        "HEADEND_OUTAGE" => "Look at the broker and the network of this system first.",
        "STOPPED_METER" => {
            "The module answers and the place was in use before, so the metering part has stopped."
        }
        "LEAK_CUSTOMER_SIDE" => {
            "Probably a leak behind the meter: a toilet, a heater valve or a pipe."
        }
        "BURST_CUSTOMER_SIDE" => {
            "Far more than this place ever uses: a burst pipe or an open tap; act today."
        }
        "HIGH_CONSUMPTION" => {
            "Compared with its own days of the same kind; guests, a heater or a fault may explain it."
        }
        "LOW_CONSUMPTION" => {
            "Compared with its own days of the same kind; absence or a failing meter may explain it."
        }
        "REGISTER_DECREASE" => "A counter only rises: an exchange, a reset or a fault.",
        "TAMPER_SUSPECT" => "The device reports that somebody was at it.",
        _ => "",
    }
}

/// State of an issue as staff say it.
pub(super) fn state(state: &str) -> &'static str {
    match state {
        "DETECTED" => "new",
        "OPEN" => "acknowledged",
        "WORK_ORDERED" => "being worked on",
        "FIXED_PENDING" => "over, being verified",
        "CLOSED" => "closed",
        "REOPENED" => "came back",
        "DISMISSED" => "dismissed as noise",
        "FALSE_POSITIVE" => "no real issue",
        "MERGED" => "merged into another",
        "CLOSED_WITH_PARENT" => "closed with its collector",
        _ => "in an unknown state",
    }
}

/// True when nobody works on it any more.
pub(super) fn is_closed(state: &str) -> bool {
    matches!(state, "CLOSED" | "DISMISSED" | "FALSE_POSITIVE" | "MERGED" | "CLOSED_WITH_PARENT")
}

/// What staff may find when they close an issue, as (stored word, plain words). Causes of the issue's
/// own family come first; the outcomes that fit any family follow.
pub(super) fn findings(family: &str) -> Vec<(&'static str, String)> {
    let own: &[&'static str] = match family {
        "COMM" => &[
            "COMM_LOST_UNKNOWN",
            "RF_OBSTRUCTED",
            "RF_MARGINAL",
            "COLLECTOR_OUTAGE",
            "BACKHAUL",
            "BATTERY_DEAD",
        ],
        "METROLOGY" => &[
            "STOPPED_METER",
            "SLOW_METER",
            "METER_HARDWARE",
            "ENCODER_FAULT",
            "REVERSE_ROTATION",
            "REGISTER_DECREASE",
        ],
        "LEAK" => &["LEAK_CUSTOMER_SIDE", "LEAK_INTERMITTENT", "BURST_CUSTOMER_SIDE", "DMA_LEAK"],
        "SUPPLY" => &["DRY_PIPE", "FREEZE"],
        "BATTERY" => &["BATTERY_LOW", "BATTERY_DEAD"],
        "TAMPER" => &["TAMPER_CONFIRMED", "BYPASS"],
        "POWER" => &["POWER_OUTAGE"],
        "BACKFLOW" => &["BACKFLOW"],
        "GAS" => &["GAS_CONTINUOUS_FLOW", "VALVE_FAILURE"],
        "CLOCK" => &["CLOCK_ERROR"],
        _ => &["ASSET_MISMATCH", "CONFIG_MISMATCH"],
    };
    let any = ["CUSTOMER_BEHAVIOUR", "VACANT", "NO_FAULT_FOUND", "OTHER"];
    own.iter().copied().chain(any).map(|cause| (cause, title(cause))).collect()
}

/// The measured fact with that key.
pub(super) fn fact<'a>(evidence: &'a [Evidence], key: &str) -> Option<&'a Evidence> {
    evidence.iter().find(|fact| fact.key == key)
}

/// The instant with that key (stored in microseconds).
pub(super) fn instant(evidence: &[Evidence], key: &str) -> Option<UtcTime> {
    fact(evidence, key)
        .filter(|fact| fact.unit == "us")
        .map(|fact| UtcTime::from_micros(fact.value))
}

/// The fact in short, for the second line of a list: what was measured, else how many.
pub(super) fn snippet(evidence: &[Evidence]) -> String {
    let telling = ["measured", "fell_by", "meters", "silence", "flagged_telegrams"];
    let found = telling.iter().find_map(|key| fact(evidence, key));
    found.map(said).unwrap_or_default()
}

/// A fact as people say it: quantities in a unit that suits them, three digits; the rest as the rule
/// wrote it.
pub(super) fn said(fact: &Evidence) -> String {
    match (display_unit(fact), fact.unit.as_str()) {
        (Some(unit), _) => unit.rough(fact.value),
        (None, "s") => words::duration(fact.value),
        // A bare number tells nobody what was measured.
        (None, "") if fact.text.parse::<f64>().is_ok() => String::new(),
        (None, _) => fact.text.clone(),
    }
}

/// A quantity with all its digits; `None` when the fact is no quantity.
pub(super) fn exact(fact: &Evidence) -> Option<String> {
    display_unit(fact).map(|unit| unit.exact(fact.value))
}

fn display_unit(fact: &Evidence) -> Option<DisplayUnit> {
    let base = match fact.unit.as_str() {
        "L" => Unit::Litre,
        "Wh" => Unit::WattHour,
        "L/h" => Unit::LitrePerHour,
        "W" => Unit::Watt,
        _ => return None,
    };
    Some(DisplayUnit::choose(base, fact.value))
}

/// A device's event in words.
pub(super) fn event(code: &str) -> String {
    let known = match code {
        "meter_flag" => "flag without a known meaning",
        "battery_low" => "battery low",
        "cover_opened" => "cover opened",
        "magnetic_field" => "magnetic field",
        "power_fail" => "power failed",
        "power_restore" => "power back",
        "last_gasp" => "last gasp: power failed",
        "register_disconnected" => "no register connected to the module",
        "register_rollover" => "register rolled over",
        "register_decrease" => "register fell",
        "register_reset" => "register started again near zero",
        "value_changed" => "another value came for a stored interval",
        "leak_now" => "register sees flow now and says leak",
        "cleared" => "device says that it is over",
        other => return other.replace('_', " "),
    };
    known.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_cause_is_still_readable() {
        assert_eq!(title("SEWER_INFLOW"), "Sewer inflow");
        assert_eq!(title("LEAK_CUSTOMER_SIDE"), "Leak at the customer");
        assert_eq!(meaning("SEWER_INFLOW"), "");
    }

    #[test]
    fn every_finding_is_a_cause_of_the_rules() {
        for family in alerts::Family::ALL {
            for (word, _) in findings(family.word()) {
                assert!(word.parse::<alerts::Cause>().is_ok(), "{word}");
            }
        }
    }

    #[test]
    fn every_state_has_words() {
        for state in alerts::issue::State::ALL {
            assert_ne!(super::state(state.word()), "in an unknown state", "{state}");
        }
    }
}
