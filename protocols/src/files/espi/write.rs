//! Writes a Green Button feed, piece by piece, so that a feed of any length takes no memory.

use std::fmt::Write;

use metering::{Unit, UtcTime};

use super::kind::code_of;

/// A feed of one usage point. Pieces in order: [`Feed::begin`], then for each series
/// [`Feed::series`] and its blocks ([`Feed::block`]), then [`Feed::end`].
#[derive(Clone, Debug)]
pub struct Feed {
    /// Base of the links, ends without a slash.
    base: String,
    updated: UtcTime,
    entries: u64,
}

/// One measured series of the usage point.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FeedSeries<'a> {
    /// From 1.
    pub number: u32,
    pub title: &'a str,
    /// Base unit; values are thousandths of it.
    pub unit: Unit,
    /// Reverse flow: what the customer feeds in.
    pub export: bool,
    pub len_s: i32,
}

/// One interval of a block. `value` in thousandths of the unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FeedReading {
    pub start: UtcTime,
    pub len_s: i32,
    pub value: i64,
    /// QualityOfReading of the standard.
    pub quality: u16,
}

const HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
    <feed xmlns=\"http://www.w3.org/2005/Atom\" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\">\n";

impl Feed {
    /// `customer` and `point` name whose data they are; both stand in the links.
    pub fn new(customer: &str, point: &str, updated: UtcTime) -> Self {
        let base = format!(
            "/espi/1_1/resource/RetailCustomer/{}/UsagePoint/{}",
            part(customer),
            part(point)
        );
        Self { base, updated, entries: 0 }
    }

    /// The head of the feed and its usage point. `service`: 0 electricity, 1 gas, 2 water.
    pub fn begin(&mut self, title: &str, service: u8, tz_offset_s: i32, out: &mut String) {
        out.push_str(HEAD);
        let id = self.id();
        let (title, updated) = (escaped(title), self.updated);
        let _ = write!(
            out,
            "<id>{id}</id>\n<title>{title}</title>\n<updated>{updated}</updated>\n\
             <link rel=\"self\" href=\"{}\"/>\n",
            self.base
        );
        let base = self.base.clone();
        let related =
            [format!("{base}/MeterReading"), "/espi/1_1/resource/LocalTimeParameters/1".into()];
        let content = format!(
            "<UsagePoint xmlns=\"http://naesb.org/espi\"><ServiceCategory><kind>{service}</kind>\
             </ServiceCategory></UsagePoint>"
        );
        let up = base.rsplit_once('/').map_or("", |(up, _)| up).to_owned();
        self.entry((&base, &up), &related, &title, &content, out);
        let own = "/espi/1_1/resource/LocalTimeParameters/1";
        let content = format!(
            "<LocalTimeParameters xmlns=\"http://naesb.org/espi\"><dstEndRule>00000000</dstEndRule>\
             <dstOffset>0</dstOffset><dstStartRule>00000000</dstStartRule>\
             <tzOffset>{tz_offset_s}</tzOffset></LocalTimeParameters>"
        );
        self.entry(
            (own, "/espi/1_1/resource/LocalTimeParameters"),
            &[],
            "Local time",
            &content,
            out,
        );
    }

    /// The meter reading and the reading type of a series. `None` when the standard has no code for its
    /// unit; nothing is written then.
    pub fn series(&mut self, series: &FeedSeries<'_>, out: &mut String) -> Option<()> {
        let uom = code_of(series.unit)?;
        let n = series.number;
        let (base, title) = (self.base.clone(), escaped(series.title));
        let own = format!("{base}/MeterReading/{n}");
        let kind = format!("/espi/1_1/resource/ReadingType/{n}");
        let related = [format!("{own}/IntervalBlock"), kind.clone()];
        let content = "<MeterReading xmlns=\"http://naesb.org/espi\"/>";
        self.entry((&own, &format!("{base}/MeterReading")), &related, &title, content, out);
        let commodity = match series.unit {
            Unit::WattHour | Unit::VarHour | Unit::Watt | Unit::Var => 1,
            _ => 9,
        };
        let flow = if series.export { 19 } else { 1 };
        let content = format!(
            "<ReadingType xmlns=\"http://naesb.org/espi\"><accumulationBehaviour>4\
             </accumulationBehaviour><commodity>{commodity}</commodity><currency>0</currency>\
             <dataQualifier>12</dataQualifier><flowDirection>{flow}</flowDirection>\
             <intervalLength>{}</intervalLength><kind>12</kind><phase>0</phase>\
             <powerOfTenMultiplier>-3</powerOfTenMultiplier><timeAttribute>0</timeAttribute>\
             <uom>{uom}</uom></ReadingType>",
            series.len_s
        );
        self.entry((&kind, "/espi/1_1/resource/ReadingType"), &[], &title, &content, out);
        Some(())
    }

    /// A block of intervals, ascending; nothing for none.
    pub fn block(&mut self, series: u32, block: u32, readings: &[FeedReading], out: &mut String) {
        let (Some(first), Some(last)) = (readings.first(), readings.last()) else { return };
        let end = last.start.plus_seconds(i64::from(last.len_s));
        let mut content = format!(
            "<IntervalBlock xmlns=\"http://naesb.org/espi\"><interval><duration>{}</duration>\
             <start>{}</start></interval>\n",
            end.seconds_since(first.start),
            first.start.seconds()
        );
        for reading in readings {
            let _ = writeln!(
                content,
                "<IntervalReading><ReadingQuality><quality>{}</quality></ReadingQuality>\
                 <timePeriod><duration>{}</duration><start>{}</start></timePeriod>\
                 <value>{}</value></IntervalReading>",
                reading.quality,
                reading.len_s,
                reading.start.seconds(),
                reading.value
            );
        }
        content.push_str("</IntervalBlock>");
        let up = format!("{}/MeterReading/{series}/IntervalBlock", self.base);
        self.entry((&format!("{up}/{block}"), &up), &[], "", &content, out);
    }

    pub fn end(&self, out: &mut String) {
        out.push_str("</feed>\n");
    }

    fn entry(
        &mut self,
        (own, up): (&str, &str),
        related: &[String],
        title: &str,
        content: &str,
        out: &mut String,
    ) {
        let id = self.id();
        let _ = write!(
            out,
            "<entry>\n<id>{id}</id>\n<link rel=\"self\" href=\"{own}\"/>\n<link rel=\"up\" href=\"{up}\"/>\n"
        );
        for href in related {
            let _ = writeln!(out, "<link rel=\"related\" href=\"{href}\"/>");
        }
        let _ = write!(
            out,
            "<title>{title}</title>\n<content type=\"xml\">\n{content}\n</content>\n\
             <published>{0}</published>\n<updated>{0}</updated>\n</entry>\n",
            self.updated
        );
    }

    /// Names of entries: the same for the same feed, since they are counted from its base.
    fn id(&mut self) -> String {
        self.entries += 1;
        let mut state = 0xcbf2_9ce4_8422_2325_u64;
        let mut halves = [0_u64; 2];
        for (n, half) in halves.iter_mut().enumerate() {
            let text = format!("{}#{}#{}#{n}", self.base, self.updated, self.entries);
            for byte in text.bytes() {
                state = (state ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
            }
            *half = state;
        }
        let (a, b) = (halves[0], halves[1]);
        // Version 8 (own), variant 10.
        format!(
            "urn:uuid:{:08x}-{:04x}-8{:03x}-{:04x}-{:012x}",
            a >> 32,
            (a >> 16) & 0xffff,
            a & 0x0fff,
            0x8000 | (b >> 48) & 0x3fff,
            b & 0xffff_ffff_ffff
        )
    }
}

/// Text of an element or an attribute.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c if c.is_control() => out.push('?'),
            c => out.push(c),
        }
    }
    out
}

/// One part of a link: what is no letter, digit, `-`, `_` or `.` is written as `%XX`.
fn part(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}
