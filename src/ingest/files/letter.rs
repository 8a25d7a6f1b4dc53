//! The topic of a record of a file: kind and name of the file, and what its bytes do not say, so that
//! a record that waits for its meter is read then as its file was.
//!
//! `file/nem12/june.csv`, `file/cmep;zone=America:Denver/june.txt`,
//! `file/layout;layout=radix-a;zone=UTC/R-12.txt`. A slash of a zone is written as a colon.

use std::sync::Arc;

use jiff::tz::TimeZone;
use protocols::files::{Encoding, FileFormat, Layout};

use super::FileOptions;

/// The topic of the records of a file.
pub(super) fn topic_of(format: FileFormat, options: &FileOptions, name: &str) -> String {
    let mut kind = format.to_string();
    let mut say = |key: &str, value: &str| {
        // What would not come back as it was is not written.
        if !value.is_empty() && !value.contains(['/', ';', '\0']) {
            kind.push_str(&format!(";{key}={value}"));
        }
    };
    if let (FileFormat::Layout, Some(layout)) = (format, &options.layout) {
        say("layout", &layout.name);
    }
    if matches!(format, FileFormat::Cmep | FileFormat::Beacon | FileFormat::Layout) {
        say("zone", &options.zone.iana_name().unwrap_or_default().replace('/', ":"));
    }
    if format == FileFormat::Beacon {
        say("column", &options.identity.column.to_string());
    }
    format!("file/{kind}/{}", name.replace('\0', "?"))
}

/// How the record of this topic is read: as the topic says, and as `base` does where it says
/// nothing. `None` when it cannot be read here: an unknown kind or zone, a layout that is not there.
pub(super) fn options_of(
    topic: &str,
    base: &FileOptions,
    layout_named: &mut dyn FnMut(&str) -> Option<Arc<Layout>>,
) -> Option<(FileFormat, FileOptions)> {
    let mut parts = topic.strip_prefix("file/")?.split('/').next()?.split(';');
    let format = parts.next()?.parse().ok()?;
    // A record is kept as UTF-8, whatever its file was written in.
    let mut options = FileOptions { encoding: Encoding::Utf8, ..base.clone() };
    for part in parts {
        match part.split_once('=')? {
            ("layout", name) => options.layout = Some(layout_named(name)?),
            ("zone", name) => options.zone = TimeZone::get(&name.replace(':', "/")).ok()?,
            ("column", name) => options.identity.column = name.parse().ok()?,
            _ => return None,
        }
    }
    if format == FileFormat::Layout {
        let layout = options.layout.take()?;
        options.layout = Some(Arc::new(layout.of_record()));
    }
    Some((format, options))
}

#[cfg(test)]
mod tests {
    use protocols::files::{beacon::Column, layout};

    use super::*;

    fn zone(name: &str) -> TimeZone {
        TimeZone::get(name).unwrap()
    }

    fn radix(name: &str) -> Option<Arc<Layout>> {
        layout::preset(name).map(Arc::new)
    }

    #[test]
    fn a_topic_says_what_the_bytes_do_not() {
        let mut options = FileOptions::new(zone("America/Argentina/Buenos_Aires"));
        options.identity.column = Column::EndpointSn;
        options.layout = radix("radix-a");
        let topic = |format| topic_of(format, &options, "a;b/c\0.csv");
        assert_eq!(topic(FileFormat::Nem12), "file/nem12/a;b/c?.csv");
        let zoned = "zone=America:Argentina:Buenos_Aires";
        assert_eq!(topic(FileFormat::Cmep), format!("file/cmep;{zoned}/a;b/c?.csv"));
        let layout = format!("file/layout;layout=radix-a;{zoned}/a;b/c?.csv");
        assert_eq!(topic(FileFormat::Layout), layout);

        let base = FileOptions::new(zone("Europe/Berlin"));
        let beacon = topic(FileFormat::Beacon);
        let (format, read) = options_of(&beacon, &base, &mut radix).unwrap();
        assert_eq!((format, read.identity.column), (FileFormat::Beacon, Column::EndpointSn));
        assert_eq!(read.zone, options.zone);
        let (_, read) = options_of(&layout, &base, &mut radix).unwrap();
        assert_eq!(read.layout.unwrap().name, "radix-a");
    }

    #[test]
    fn a_topic_of_old_is_read_as_the_utility_reads() {
        let base = FileOptions::new(zone("Europe/Berlin"));
        let (format, read) = options_of("file/cmep/june.txt", &base, &mut radix).unwrap();
        assert_eq!((format, read.zone), (FileFormat::Cmep, base.zone.clone()));
        for topic in [
            "file/layout/a.txt",
            "file/layout;layout=none-of-these/a.txt",
            "file/cmep;zone=Mars:Base/a.txt",
            "file/cmep;colour=red/a.txt",
            "file/docx/a",
            "meters/a",
        ] {
            assert!(options_of(topic, &base, &mut radix).is_none(), "{topic}");
        }
    }
}
