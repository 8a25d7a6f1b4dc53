//! The 67 rules in plain words, by group of the catalogue. Numbers are never reused; limits are not
//! repeated here, since the pages show the values that hold.

mod devices;
mod network;
mod readings;

use metering::RuleNo;

/// One rule as staff read it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct RuleText {
    pub(super) no: u8,
    /// Name in the catalogue: `WTR-CONT`.
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    /// When it fires, one or two sentences.
    pub(super) says: &'static str,
    /// When it is over.
    pub(super) clears: &'static str,
}

const fn rule(
    no: u8,
    id: &'static str,
    title: &'static str,
    says: &'static str,
    clears: &'static str,
) -> RuleText {
    RuleText { no, id, title, says, clears }
}

/// A chapter of the catalogue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Group {
    /// As in addresses.
    pub(super) key: &'static str,
    pub(super) title: &'static str,
    pub(super) rules: &'static [RuleText],
}

/// All rules, in the order of the catalogue.
pub(super) const GROUPS: [Group; 12] = [
    group("integrity", "Transport and format", readings::INTEGRITY),
    group("register", "Registers", readings::REGISTER),
    group("interval", "Intervals", readings::INTERVAL),
    group("variance", "Use against its own habit", devices::VARIANCE),
    group("health", "Meter health", devices::HEALTH),
    group("tamper", "Tamper and loss of revenue", devices::TAMPER),
    group("water", "Water", devices::WATER),
    group("zone", "Zones and water balance", network::ZONE),
    group("gas", "Gas", network::GAS),
    group("battery", "Battery", network::BATTERY),
    group("communication", "Communication and outages", network::COMMUNICATION),
    group("sewer", "Sewer", network::SEWER),
];

const fn group(key: &'static str, title: &'static str, rules: &'static [RuleText]) -> Group {
    Group { key, title, rules }
}

/// The words of a rule by its number.
pub(super) fn of(no: RuleNo) -> Option<&'static RuleText> {
    all().find(|rule| rule.no == no.get())
}

/// The words of a rule by its name in the catalogue.
pub(super) fn by_id(id: &str) -> Option<(&'static Group, &'static RuleText)> {
    GROUPS.iter().find_map(|group| {
        group.rules.iter().find(|rule| rule.id.eq_ignore_ascii_case(id)).map(|rule| (group, rule))
    })
}

/// When a rule of the catalogue fires and when it is over, as the pages say it.
pub fn spoken(id: &str) -> Option<(&'static str, &'static str)> {
    by_id(id).map(|(_, rule)| (rule.says, rule.clears))
}

pub(super) fn all() -> impl Iterator<Item = &'static RuleText> {
    GROUPS.iter().flat_map(|group| group.rules)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_words_once() {
        let mut numbers: Vec<u8> = all().map(|rule| rule.no).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (1..=67).collect::<Vec<u8>>());
        assert_eq!(of(RuleNo::new(38).unwrap()).unwrap().id, "WTR-CONT");
        assert_eq!(by_id("com-coll").unwrap().1.no, 61);
    }

    #[test]
    fn the_catalogue_has_the_same_names() {
        for info in alerts::CATALOGUE {
            assert_eq!(of(info.id.no).unwrap().id, info.id.name);
        }
    }
}
