//! Identities. Numbers are internal to one installation; what a device calls itself is a
//! [`SourceId`].

use std::fmt;

macro_rules! number_id {
    ($(#[$doc:meta])* $name:ident, $inner:ty) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub struct $name($inner);

        impl $name {
            pub const fn new(number: $inner) -> Self {
                Self(number)
            }
            pub const fn get(self) -> $inner {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number_id!(
    /// A meter (CIM `Meter`), as numbered by the store.
    MeterId, i32
);
number_id!(
    /// A usage point (CIM `UsagePoint`): the place where energy or water is metered.
    UsagePointId, i32
);
number_id!(
    /// A collector, concentrator or gateway that hears meters.
    CollectorId, i32
);
number_id!(
    /// A distribution transformer, as numbered by the store.
    TransformerId, i32
);
number_id!(
    /// A part of the network that is balanced as one: district metered area, feeder or pressure zone.
    ZoneId, i32
);
number_id!(
    /// One measured series of a meter, 1 and up. Its interval length never changes.
    ChannelNo, i16
);

/// A device as it names itself on the wire: protocol family and identifier, for example
/// `ert:44448439`, `wmbus:20202020`, `ami:E-1001`, `collector:C-04`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SourceId(String);

impl SourceId {
    /// Longest identifier that is kept; longer ones are cut by [`SourceId::new`].
    pub const BYTES_MAX: usize = 96;

    pub fn new(family: &str, id: impl fmt::Display) -> Self {
        Self::parse(format!("{family}:{id}"))
    }

    /// Takes a whole `family:id` text. Control characters become `?`; the text is cut to
    /// [`SourceId::BYTES_MAX`] bytes, since it comes from a radio or a broker.
    pub fn parse(text: impl Into<String>) -> Self {
        let mut text: String = text.into();
        if text.chars().any(char::is_control) {
            text = text.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
        }
        if text.len() > Self::BYTES_MAX {
            let mut end = Self::BYTES_MAX;
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            text.truncate(end);
        }
        Self(text)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part before the first colon.
    pub fn family(&self) -> &str {
        self.0.split_once(':').map_or("", |(family, _)| family)
    }
}

impl fmt::Display for SourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What an event, an alert or an issue is about.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Subject {
    Meter(MeterId),
    Collector(CollectorId),
    /// The head-end itself.
    Headend,
    Transformer(TransformerId),
    /// A district metered area or a feeder.
    Zone(ZoneId),
}

impl Subject {
    /// Stable text of the kind, as stored.
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Meter(_) => "meter",
            Self::Collector(_) => "collector",
            Self::Headend => "headend",
            Self::Transformer(_) => "transformer",
            Self::Zone(_) => "zone",
        }
    }

    /// The number within the kind; 0 for the head-end.
    pub const fn number(self) -> i32 {
        match self {
            Self::Meter(id) => id.get(),
            Self::Collector(id) => id.get(),
            Self::Headend => 0,
            Self::Transformer(id) => id.get(),
            Self::Zone(id) => id.get(),
        }
    }

    pub fn from_parts(kind: &str, number: i32) -> Option<Self> {
        match kind {
            "meter" => Some(Self::Meter(MeterId::new(number))),
            "collector" => Some(Self::Collector(CollectorId::new(number))),
            "headend" => Some(Self::Headend),
            "transformer" => Some(Self::Transformer(TransformerId::new(number))),
            "zone" => Some(Self::Zone(ZoneId::new(number))),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_id_is_bounded_and_printable() {
        let id = SourceId::new("ert", "é".repeat(200));
        assert!(id.as_str().len() <= SourceId::BYTES_MAX);
        assert_eq!(SourceId::parse("a:b\nc").as_str(), "a:b?c");
        assert_eq!(SourceId::new("ert", 44_448_439).family(), "ert");
    }
}
