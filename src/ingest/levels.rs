//! Status bits that a device repeats in each telegram become an event when they begin, not each
//! time they are heard.

use std::hash::{DefaultHasher, Hash, Hasher};

use metering::EventCode;
use protocols::{Format, ObservedEvent};

use super::skew::Skew;

const HOUR_US: i64 = 3_600_000_000;
/// States that the rules follow by time (MTR-ERR, WTR-DRY, WTR-EMPTY) are told again so often while
/// they hold, so that their end can be seen.
const AGAIN_US: i64 = 6 * HOUR_US;
const TOLD_AGAIN: [EventCode; 6] = [
    EventCode::HardwareFault,
    EventCode::HardwareWarning,
    EventCode::MemoryError,
    EventCode::InvalidRead,
    EventCode::Dry,
    EventCode::AirInPipe,
];

/// What one meter's telegrams last said of its state. Lives in memory: after a restart a state
/// that still holds begins once more, with the time of its next telegram.
#[derive(Clone, Debug, Default)]
pub struct Levels {
    active: Vec<Level>,
    /// Hour of the last stored `battery_low`: BAT-FLAG counts telegrams, so it must come again.
    battery_hour: Option<i64>,
    pub(super) skew: Skew,
    /// The last numbered frame.
    frame: Option<(u32, u64)>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Level {
    /// Two decoders of one telegram word the same state differently.
    format: Format,
    code: EventCode,
    /// Which state of this code: its whole detail, or for counters their names.
    key: u64,
    /// Counters only: their values.
    value: u64,
    counter: bool,
    /// When it was last told, in units of [`AGAIN_US`].
    told: i64,
}

impl Levels {
    /// The number of the last frame, if this one has it too, but not its bytes. A frame without a
    /// number is number 0 only after one that had more: who never sends numbers counts none.
    pub(super) fn takes_the_place(&mut self, (number, bytes): (Option<u32>, u64)) -> Option<u32> {
        let number = match (number, self.frame) {
            (Some(number), _) => number,
            (None, Some((1.., _))) => 0,
            (None, _) => return None,
        };
        let before = self.frame.replace((number, bytes));
        before.is_some_and(|before| before.0 == number && before.1 != bytes).then_some(number)
    }

    /// Takes the events of one report and hands on those that are news, with their sequence.
    pub fn news<'a>(
        &mut self,
        format: Format,
        events: &'a [ObservedEvent],
        mut emit: impl FnMut(&'a ObservedEvent, i32),
    ) {
        if events.is_empty() && self.active.is_empty() {
            return;
        }
        for event in events {
            if !event.level {
                emit(event, event.seq);
            } else if event.code == EventCode::BatteryLow {
                self.battery(event, &mut emit);
            } else if self.begins(Level::of(format, event)) {
                emit(event, event.seq);
            }
        }
        self.active.retain(|level| {
            level.counter
                || level.format != format
                || events.iter().any(|event| event.level && Level::of(format, event).is(level))
        });
    }

    /// At most one an hour; the hour is its sequence.
    fn battery<'a>(
        &mut self,
        event: &'a ObservedEvent,
        emit: &mut impl FnMut(&'a ObservedEvent, i32),
    ) {
        let hour = event.at.at.micros().div_euclid(HOUR_US);
        if self.battery_hour != Some(hour) {
            self.battery_hour = Some(hour);
            emit(event, i32::try_from(hour).unwrap_or(0));
        }
    }

    fn begins(&mut self, level: Level) -> bool {
        match self.active.iter_mut().find(|known| known.is_of(&level)) {
            Some(known) if known.value == level.value => {
                let again = TOLD_AGAIN.contains(&level.code) && level.told > known.told;
                if again {
                    known.told = level.told;
                }
                again
            }
            Some(known) => {
                known.value = level.value;
                true
            }
            None => {
                self.active.push(level);
                // A counter seen for the first time says nothing new.
                !level.counter
            }
        }
    }
}

impl Level {
    /// The same state of the same code, whatever its counters stand at.
    fn is_of(&self, other: &Self) -> bool {
        (self.format, self.code, self.key) == (other.format, other.code, other.key)
    }

    fn is(&self, other: &Self) -> bool {
        self.is_of(other) && self.value == other.value
    }

    fn of(format: Format, event: &ObservedEvent) -> Self {
        let (key, value) = if event.counter {
            // `phy=3 enc=2`: the names tell which counters, the values what they stand at.
            let words = || event.detail.split_whitespace();
            (
                hash(words().map(|word| word.split('=').next().unwrap_or(word))),
                hash(std::iter::once(event.detail.as_str())),
            )
        } else {
            (hash(std::iter::once(event.detail.as_str())), 0)
        };
        let told = event.at.at.micros().div_euclid(AGAIN_US);
        Self { format, code: event.code, key, value, counter: event.counter, told }
    }
}

fn hash<'a>(words: impl Iterator<Item = &'a str>) -> u64 {
    let mut hasher = DefaultHasher::new();
    words.for_each(|word| word.hash(&mut hasher));
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use metering::UtcTime;
    use protocols::ObservedTime;

    fn at(seconds: i64) -> ObservedTime {
        ObservedTime::arrival(UtcTime::from_seconds(seconds))
    }

    fn check(levels: &mut Levels, format: Format, events: &[ObservedEvent], want: &str) {
        let mut told = Vec::new();
        levels.news(format, events, |event, seq| {
            told.push(format!("{} {} {seq}", event.code, event.detail));
        });
        assert_eq!(told.join("|"), want);
    }

    #[test]
    fn a_level_is_news_when_it_begins_and_when_it_begins_again() {
        let mut levels = Levels::default();
        let leak = |bin: &str| ObservedEvent::level(EventCode::Leak, at(0), bin);
        check(&mut levels, Format::Rtlamr, &[leak("bin=1")], "leak bin=1 0");
        check(&mut levels, Format::Rtlamr, &[leak("bin=1")], "");
        check(&mut levels, Format::Rtl433, &[], "");
        check(&mut levels, Format::Rtlamr, &[leak("bin=2")], "leak bin=2 0");
        check(&mut levels, Format::Rtlamr, &[], "");
        check(&mut levels, Format::Rtlamr, &[leak("bin=2")], "leak bin=2 0");
    }

    #[test]
    fn a_state_that_is_followed_by_time_is_told_again_while_it_holds() {
        let mut levels = Levels::default();
        let dry = |hour: i64| ObservedEvent::level(EventCode::Dry, at(hour * 3_600), "");
        check(&mut levels, Format::Bundle, &[dry(1)], "dry  0");
        check(&mut levels, Format::Bundle, &[dry(2)], "");
        check(&mut levels, Format::Bundle, &[dry(7)], "dry  0");
        check(&mut levels, Format::Bundle, &[dry(8)], "");
        check(&mut levels, Format::Bundle, &[], "");
        check(&mut levels, Format::Bundle, &[dry(9)], "dry  0");
    }

    #[test]
    fn a_counter_is_news_when_it_changes() {
        let mut levels = Levels::default();
        let tamper = |detail: &str| ObservedEvent::counter(EventCode::Tamper, at(0), detail);
        check(&mut levels, Format::Rtlamr, &[tamper("phy=3 enc=2")], "");
        check(&mut levels, Format::Rtlamr, &[tamper("counters=AwIAcw4A")], "");
        check(&mut levels, Format::Rtlamr, &[tamper("phy=3 enc=2")], "");
        check(&mut levels, Format::Rtlamr, &[], "");
        check(&mut levels, Format::Rtlamr, &[tamper("phy=0 enc=2")], "tamper phy=0 enc=2 0");
    }

    #[test]
    fn a_low_battery_comes_once_an_hour_and_one_time_events_always() {
        let mut levels = Levels::default();
        let low = |seconds| ObservedEvent::level(EventCode::BatteryLow, at(seconds), "");
        check(&mut levels, Format::Bundle, &[low(7200)], "battery_low  2");
        check(&mut levels, Format::Bundle, &[low(7300)], "");
        check(&mut levels, Format::Bundle, &[low(10_800)], "battery_low  3");
        let open = ObservedEvent::once(EventCode::CoverOpened, at(0), "x");
        check(&mut levels, Format::Bundle, std::slice::from_ref(&open), "cover_opened x 0");
        check(&mut levels, Format::Bundle, &[open], "cover_opened x 0");
    }
}
