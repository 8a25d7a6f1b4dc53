//! What was announced, in words: causes by their titles, subjects by the names people know.

use std::collections::BTreeMap;

use alerts::{Cause, Family};
use metering::Subject;

use super::issues::FAMILIES;
use crate::console::causes;
use crate::console::words;

/// The subjects that an announcement names by kind and id.
pub(super) fn subjects(text: &str) -> Vec<Subject> {
    let tokens: Vec<&str> = text.split(' ').collect();
    tokens.windows(2).filter_map(|pair| subject(pair[0], pair[1])).collect()
}

fn subject(kind: &str, number: &str) -> Option<Subject> {
    let number = number.trim_end_matches([':', ',']).parse().ok()?;
    Subject::from_parts(kind, number)
}

fn family_words(family: Family) -> String {
    let known = FAMILIES.iter().find(|(word, _)| *word == family.word());
    known.map_or_else(
        || words::sentence_case(&family.word().to_lowercase()),
        |(_, said)| words::sentence_case(said),
    )
}

/// `P2 STOPPED_METER meter 21, for the shift` as `Meter stopped: meter E-1021, for the shift`. The
/// severity stands beside it.
pub(super) fn said(text: &str, names: &BTreeMap<Subject, String>) -> String {
    let tokens: Vec<&str> = text.split(' ').collect();
    let mut out: Vec<String> = Vec::new();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        let bare = token.trim_end_matches([':', ',']);
        let end = &token[bare.len()..];
        let next = tokens.get(at + 1).copied().unwrap_or_default();
        if at == 0 && bare.len() == 2 && bare.starts_with('P') {
            // Severity.
        } else if let Some(name) = subject(token, next).and_then(|one| names.get(&one)) {
            let number = next.trim_end_matches([':', ',']);
            out.push(format!("{token} {name}{}", &next[number.len()..]));
            at += 1;
        } else if let Ok(cause) = bare.parse::<Cause>() {
            let first = out.is_empty();
            let title = causes::title(cause.word());
            let title = if first { title } else { title.to_lowercase() };
            let end = if first && end.is_empty() { ":" } else { end };
            out.push(format!("{title}{end}"));
        } else if let Ok(family) = bare.parse::<Family>() {
            out.push(format!("{}{end}", family_words(family)));
        } else {
            out.push((*token).to_owned());
        }
        at += 1;
    }
    out.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use metering::{MeterId, ZoneId};

    #[test]
    fn announcements_name_causes_and_subjects_as_people_do() {
        let meter = Subject::Meter(MeterId::new(21));
        let zone = Subject::Zone(ZoneId::new(1));
        let names = BTreeMap::from([(meter, "E-1021".to_owned()), (zone, "North".to_owned())]);
        let one = "P2 STOPPED_METER meter 21, for the shift";
        assert_eq!(subjects(one), [meter]);
        assert_eq!(said(one, &names), "Meter stopped: meter E-1021, for the shift");
        let many = "P3 CLOCK at zone 1: 64 alerts, worst CLOCK_ERROR";
        assert_eq!(subjects(many), [zone]);
        let told = said(many, &names);
        assert!(
            told.contains("at zone North: 64 alerts, worst ") && !told.contains("CLOCK"),
            "{told}"
        );
    }
}
