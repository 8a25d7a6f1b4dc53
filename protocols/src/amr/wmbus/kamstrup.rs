//! The status word of Kamstrup's water meters (record `02 FF 20`; layout: Kamstrup, as told in
//! `metering-rules` 2.7): four flags in bits 0 to 3, and from bit 4 on, three bits each, for how
//! long of the last 31 days each has held.

use metering::EventCode;

/// VIFE of the word behind the VIF FF.
pub(super) const VIFE: u8 = 0x20;

/// Kamstrup's word for a flag, and what it means here.
const FLAGS: [(&str, EventCode); 4] = [
    ("DRY", EventCode::Dry),
    ("REVERSE", EventCode::ReverseFlow),
    ("LEAK", EventCode::Leak),
    ("BURST", EventCode::Burst),
];

const DURATIONS: [&str; 8] =
    ["none", "1-8 h", "9-24 h", "2-3 d", "4-7 d", "8-14 d", "15-21 d", "22-31 d"];

/// A flag of the word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Flag {
    pub(super) word: &'static str,
    pub(super) code: EventCode,
    pub(super) is_set: bool,
    /// How long it has held; `none` when it has not.
    pub(super) held: &'static str,
}

/// All four flags, the lowest bit first.
pub(super) fn flags(status: u16) -> [Flag; 4] {
    let mut bit = 0;
    FLAGS.map(|(word, code)| {
        let bin = usize::from(status >> (4 + 3 * bit) & 7);
        let is_set = status >> bit & 1 != 0;
        bit += 1;
        Flag { word, code, is_set, held: DURATIONS[bin] }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RV-16 of the corpus holds the same word.
    #[test]
    fn a_status_word_tells_its_flags_and_how_long_they_held() {
        let told = |status| {
            let set = flags(status).into_iter().filter(|flag| flag.is_set);
            set.map(|flag| format!("{} {}", flag.word, flag.held)).collect::<Vec<_>>()
        };
        assert_eq!(told(0x0071), ["DRY 22-31 d"]);
        assert_eq!(told(0x0000), Vec::<String>::new());
        assert_eq!(told(0x29CF), ["DRY 4-7 d", "REVERSE 2-3 d", "LEAK 9-24 h", "BURST 1-8 h"]);
        // A flag that is over tells only how long it was.
        assert_eq!(flags(0x0070)[0].held, "22-31 d");
        assert!(!flags(0x0070)[0].is_set);
    }
}
