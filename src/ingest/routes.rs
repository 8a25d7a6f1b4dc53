//! Which decoder reads a topic: by the subscription whose filter matches, never by the payload.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::tz::TimeZone;
use protocols::{Format, Mapping};

/// One subscription, as far as decoding is concerned.
#[derive(Clone, Debug)]
pub struct Route {
    /// MQTT topic filter; `$share/GROUP/` before it is understood.
    pub filter: String,
    pub format: Format,
    /// Zone of stamps that carry none.
    pub zone: Option<TimeZone>,
    /// Level of the topic, from 1, that holds the collector's code.
    pub collector_level: Option<u8>,
    /// The operator's description of the payloads.
    pub mapping: Option<Arc<Mapping>>,
    /// What the operator says of the payloads beyond their format.
    pub options: protocols::DecodeOptions,
}

impl Route {
    /// What the pollers of this program hand in; no broker's message has such a topic.
    pub fn of_polls() -> Self {
        Self {
            filter: format!("{}/#", crate::polling::TOPIC),
            format: Format::ModbusPoll,
            zone: None,
            collector_level: None,
            mapping: None,
            options: protocols::DecodeOptions::default(),
        }
    }
}

/// What is known of one topic.
#[derive(Clone, Debug)]
pub(super) struct Topic {
    pub(super) name: Arc<str>,
    pub(super) route: Option<usize>,
    /// Where in the name the collector's code stands.
    pub(super) collector: Option<(usize, usize)>,
}

/// The subscriptions, with a memory of the topics that were matched.
#[derive(Debug)]
pub(super) struct Routes {
    routes: Vec<Route>,
    /// Those of the configuration, which come first and stay.
    fixed: usize,
    topics: HashMap<Box<str>, Topic>,
}

/// Topics remembered; a sender that makes up topics only costs the matching.
const TOPICS_MAX: usize = 200_000;

impl Routes {
    pub(super) fn new(routes: Vec<Route>) -> Self {
        Self { fixed: routes.len(), routes, topics: HashMap::new() }
    }

    /// These after those of the configuration, in place of what stood there.
    pub(super) fn set_live(&mut self, live: Vec<Route>) {
        self.routes.truncate(self.fixed);
        self.routes.extend(live);
        self.topics.clear();
    }

    pub(super) fn get(&self, at: usize) -> &Route {
        &self.routes[at]
    }

    /// The first subscription that matches wins.
    pub(super) fn topic(&mut self, name: &str) -> Topic {
        if let Some(known) = self.topics.get(name) {
            return known.clone();
        }
        let route = self.routes.iter().position(|route| topic_matches(&route.filter, name));
        let level = route.and_then(|at| self.routes[at].collector_level);
        let topic = Topic {
            name: name.into(),
            route,
            collector: level.and_then(|level| level_bounds(name, usize::from(level))),
        };
        if self.topics.len() >= TOPICS_MAX {
            self.topics.clear();
        }
        self.topics.insert(name.into(), topic.clone());
        topic
    }
}

impl Topic {
    pub(super) fn collector(&self) -> Option<&str> {
        self.collector.map(|(from, to)| &self.name[from..to])
    }
}

/// MQTT 5, 4.7: `+` is one level, `#` the rest with its parent; neither matches a leading `$`.
pub fn topic_matches(filter: &str, topic: &str) -> bool {
    let filter = match filter.strip_prefix("$share/") {
        Some(rest) => rest.split_once('/').map_or("", |(_, filter)| filter),
        None => filter,
    };
    if topic.starts_with('$') && filter.starts_with(['+', '#']) {
        return false;
    }
    let mut levels = topic.split('/');
    for wanted in filter.split('/') {
        match (wanted, levels.next()) {
            ("#", _) => return true,
            ("+", Some(_)) => {}
            (wanted, Some(level)) if wanted == level => {}
            _ => return false,
        }
    }
    levels.next().is_none()
}

fn level_bounds(topic: &str, level: usize) -> Option<(usize, usize)> {
    let mut from = 0;
    for (n, text) in (1..).zip(topic.split('/')) {
        if n == level {
            return (!text.is_empty()).then_some((from, from + text.len()));
        }
        from += text.len() + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_match_as_the_standard_says() {
        for (filter, topic, want) in [
            ("ami/up/+", "ami/up/E-1", true),
            ("ami/up/+", "ami/up/C-1/heartbeat", false),
            ("ami/up/#", "ami/up/C-1/heartbeat", true),
            ("ami/up/#", "ami/up", true),
            ("#", "a/b", true),
            ("#", "$SYS/load", false),
            ("+/b", "a/b", true),
            ("+/b", "a/c", false),
            ("a/b", "a", false),
            ("$share/group/amr/+/rtlamr", "amr/C-1/rtlamr", true),
        ] {
            assert_eq!(topic_matches(filter, topic), want, "{filter} {topic}");
        }
    }

    #[test]
    fn the_collector_may_stand_in_the_topic() {
        let route = Route {
            filter: "amr/+/rtlamr".to_owned(),
            format: Format::Rtlamr,
            zone: None,
            collector_level: Some(2),
            mapping: None,
            options: protocols::DecodeOptions::default(),
        };
        let mut routes = Routes::new(vec![route]);
        for _ in 0..2 {
            assert_eq!(routes.topic("amr/C-04/rtlamr").collector(), Some("C-04"));
            assert_eq!(routes.topic("amr/C-04/other").route, None);
        }
        assert_eq!(level_bounds("amr//x", 2), None);
        assert_eq!(level_bounds("amr", 2), None);
    }
}
