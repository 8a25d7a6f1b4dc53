//! How the records of a file are read beyond what their bytes say: kept with the import, so that a
//! record that waits for its meter is read then as its file was.

use std::sync::Arc;

use jiff::tz::TimeZone;
use protocols::files::{Encoding, FileFormat, Layout};
use store::files::ReadAs;

use super::FileOptions;

/// The topic of the records of a file, which tells people where they are from.
pub(super) fn topic_of(format: FileFormat, name: &str) -> String {
    format!("file/{format}/{}", name.replace('\0', "?"))
}

/// What of the options counts for this kind of file.
pub(super) fn read_as(format: FileFormat, options: &FileOptions) -> ReadAs {
    let layout = options.layout.as_ref().filter(|_| format == FileFormat::Layout);
    let zoned = matches!(format, FileFormat::Cmep | FileFormat::Beacon | FileFormat::Layout);
    let zone = options.zone.iana_name().filter(|_| zoned);
    let is_beacon = format == FileFormat::Beacon;
    ReadAs {
        format: format.to_string(),
        layout: layout.map(|layout| layout.name.clone()).unwrap_or_default(),
        zone: zone.unwrap_or_default().to_owned(),
        id_column: if is_beacon { options.identity.column.to_string() } else { String::new() },
    }
}

/// Whether a file that was read so is read the same way again. What was not kept of old imports
/// counts as the same.
pub(super) fn is_same(known: &ReadAs, again: &ReadAs) -> bool {
    let same = |known: &str, again: &str| known.is_empty() || known == again;
    known.format == again.format
        && known.layout == again.layout
        && same(&known.zone, &again.zone)
        && same(&known.id_column, &again.id_column)
}

/// The options by which a record is read that was kept as UTF-8; where nothing is said, `base`
/// counts. `None` when it cannot be read here: an unknown kind or zone, a layout that is not there.
pub(super) fn options_of(
    read_as: &ReadAs,
    base: &FileOptions,
    layout_named: &dyn Fn(&str) -> Option<Arc<Layout>>,
) -> Option<(FileFormat, FileOptions)> {
    let format = read_as.format.parse().ok()?;
    let mut options = FileOptions { encoding: Encoding::Utf8, ..base.clone() };
    if !read_as.zone.is_empty() {
        options.zone = TimeZone::get(&read_as.zone).ok()?;
    }
    if !read_as.id_column.is_empty() {
        options.identity.column = read_as.id_column.parse().ok()?;
    }
    options.layout = match format {
        FileFormat::Layout => Some(Arc::new(layout_named(&read_as.layout)?.of_record())),
        _ => None,
    };
    Some((format, options))
}

/// The kind of the file that a topic of [`topic_of`] tells.
pub(super) fn kind_of(topic: &str) -> Option<String> {
    Some(topic.strip_prefix("file/")?.split('/').next()?.to_owned())
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
    fn a_record_is_read_as_its_file_was() {
        let mut options = FileOptions::new(zone("America/Argentina/Buenos_Aires"));
        options.identity.column = Column::EndpointSn;
        options.layout = radix("radix-a");
        let base = FileOptions::new(zone("Europe/Berlin"));
        let again = |format| options_of(&read_as(format, &options), &base, &radix).unwrap();
        let (format, beacon) = again(FileFormat::Beacon);
        assert_eq!((format, beacon.identity.column), (FileFormat::Beacon, Column::EndpointSn));
        assert_eq!((beacon.zone, beacon.layout), (options.zone.clone(), None));
        let (_, layout) = again(FileFormat::Layout);
        assert_eq!(layout.layout.unwrap().name, "radix-a");
        // What names its zone itself is not kept with one.
        let nem12 = read_as(FileFormat::Nem12, &options);
        assert_eq!(nem12, ReadAs { format: "nem12".to_owned(), ..ReadAs::default() });
        assert_eq!(topic_of(FileFormat::Nem12, "a;b/c\0.csv"), "file/nem12/a;b/c?.csv");
    }

    #[test]
    fn another_zone_is_another_way_to_read_and_what_was_not_kept_is_none() {
        let options = |name: &str| FileOptions::new(zone(name));
        let cmep = |name: &str| read_as(FileFormat::Cmep, &options(name));
        assert!(is_same(&cmep("UTC"), &cmep("UTC")));
        assert!(!is_same(&cmep("UTC"), &cmep("America/Denver")));
        let of_before = ReadAs { zone: String::new(), ..cmep("UTC") };
        assert!(is_same(&of_before, &cmep("America/Denver")));
        let beacon = read_as(FileFormat::Beacon, &options("UTC"));
        assert!(!is_same(&cmep("UTC"), &beacon));
        assert!(!is_same(&beacon, &ReadAs { id_column: "Meter_SN".to_owned(), ..beacon.clone() }));
    }

    #[test]
    fn what_cannot_be_read_here_waits() {
        let base = FileOptions::new(zone("Europe/Berlin"));
        assert_eq!(kind_of("file/cmep/june.txt").as_deref(), Some("cmep"));
        assert_eq!(kind_of("meters/a"), None);
        let word = |format: &str, layout: &str, zone: &str| ReadAs {
            format: format.to_owned(),
            layout: layout.to_owned(),
            zone: zone.to_owned(),
            id_column: String::new(),
        };
        let (format, read) = options_of(&word("cmep", "", ""), &base, &radix).unwrap();
        assert_eq!((format, read.zone), (FileFormat::Cmep, base.zone.clone()));
        for bad in [
            word("layout", "", ""),
            word("layout", "none-of-these", ""),
            word("cmep", "", "Mars/Base"),
            word("docx", "", ""),
        ] {
            assert!(options_of(&bad, &base, &radix).is_none(), "{bad:?}");
        }
    }
}
