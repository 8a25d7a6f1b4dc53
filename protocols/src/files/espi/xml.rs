//! XML as a list of openings, texts and closings, with lines. Document types and entities are
//! refused: a feed needs neither, and both have been used against readers.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::super::LineFault;
use crate::format::RejectReason;

/// Nesting of elements; a feed has about eight.
const DEPTH_MAX: usize = 32;
/// Longest text of one element that is looked at, in bytes: times, numbers and links are short.
const TEXT_BYTES_MAX: usize = 1_000;

/// What was met. Names are local, without prefix.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Met {
    Open(String),
    /// An Atom link: `rel` and `href`.
    Link(String, String),
    /// The element ended; its text, without its children's.
    Close(String, String),
}

/// Walks through a document.
pub(super) struct Walk<'a> {
    bytes: &'a [u8],
    reader: Reader<&'a [u8]>,
    /// Names and texts of the elements that are open.
    open: Vec<(String, String)>,
    /// Line of the position that was last asked for.
    line: u64,
    counted: usize,
    /// An empty element is told as an opening and a closing.
    closing: bool,
}

impl<'a> Walk<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let mut reader = Reader::from_reader(text.as_bytes());
        reader.config_mut().check_comments = false;
        Self {
            bytes: text.as_bytes(),
            reader,
            open: Vec::new(),
            line: 1,
            counted: 0,
            closing: false,
        }
    }

    /// Where the walk is.
    pub(super) fn line(&mut self) -> u64 {
        let at = usize::try_from(self.reader.buffer_position()).unwrap_or(usize::MAX);
        let at = at.min(self.bytes.len());
        let fresh = self.bytes.get(self.counted..at).unwrap_or(&[]);
        self.line += fresh.iter().filter(|byte| **byte == b'\n').count() as u64;
        self.counted = self.counted.max(at);
        self.line
    }

    /// Byte position of the walk.
    pub(super) fn position(&self) -> usize {
        usize::try_from(self.reader.buffer_position()).unwrap_or(0).min(self.bytes.len())
    }

    fn fault(&mut self, detail: impl Into<String>) -> LineFault {
        LineFault::new(self.line(), RejectReason::BadFormat, detail, "")
    }

    /// The next thing; `None` at the end of a document that is well-formed.
    pub(super) fn next(&mut self) -> Result<Option<Met>, LineFault> {
        if std::mem::take(&mut self.closing) {
            return Ok(self.open.pop().map(|(name, text)| Met::Close(name, text)));
        }
        loop {
            let event = match self.reader.read_event() {
                Ok(event) => event,
                Err(error) => return Err(self.fault(format!("no well-formed XML: {error}"))),
            };
            match event {
                Event::Start(start) => {
                    let met = self.opens(&start)?;
                    return Ok(Some(met));
                }
                Event::Empty(start) => {
                    let met = self.opens(&start)?;
                    self.closing = true;
                    return Ok(Some(met));
                }
                Event::End(_) => {
                    return Ok(self.open.pop().map(|(name, text)| Met::Close(name, text)));
                }
                Event::Text(text) => self.text(&text),
                Event::CData(text) => self.text(&text),
                Event::GeneralRef(reference) => {
                    let text = self.reference(&reference)?;
                    self.text(&text);
                }
                Event::DocType(_) => {
                    let detail = "a document type (DTD) is refused: send the feed without one";
                    return Err(self.fault(detail));
                }
                Event::Eof if self.open.is_empty() => return Ok(None),
                Event::Eof => return Err(self.fault("the document ends within an element")),
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
            }
        }
    }

    fn opens(&mut self, start: &BytesStart<'_>) -> Result<Met, LineFault> {
        if self.open.len() >= DEPTH_MAX {
            return Err(self.fault(format!("elements are nested deeper than {DEPTH_MAX}")));
        }
        let name = short(local(start));
        self.open.push((name.clone(), String::new()));
        if name != "link" {
            return Ok(Met::Open(name));
        }
        let (mut rel, mut href) = (String::new(), String::new());
        for attribute in start.attributes() {
            let attribute = match attribute {
                Ok(attribute) => attribute,
                Err(error) => return Err(self.fault(format!("a link's attributes: {error}"))),
            };
            let value = match attribute.normalized_value(quick_xml::XmlVersion::Implicit1_0) {
                Ok(value) => short(&value),
                Err(error) => return Err(self.fault(format!("a link's attributes: {error}"))),
            };
            match attribute.key.local_name().as_ref() {
                "rel" => rel = value,
                "href" => href = value,
                _ => {}
            }
        }
        Ok(Met::Link(rel, href))
    }

    fn text(&mut self, text: &str) {
        let Some((_, own)) = self.open.last_mut() else { return };
        let text = text.trim();
        if own.len() + text.len() <= TEXT_BYTES_MAX {
            own.push_str(text);
        }
    }

    /// Characters by number and the five names of XML itself.
    fn reference(
        &mut self,
        reference: &quick_xml::events::BytesRef<'_>,
    ) -> Result<String, LineFault> {
        let name: &str = reference;
        let known = match name {
            "amp" => Some('&'),
            "lt" => Some('<'),
            "gt" => Some('>'),
            "quot" => Some('"'),
            "apos" => Some('\''),
            name => name.strip_prefix('#').and_then(|number| {
                let code = match number.strip_prefix('x') {
                    Some(hex) => u32::from_str_radix(hex, 16).ok(),
                    None => number.parse().ok(),
                };
                code.and_then(char::from_u32)
            }),
        };
        known.map(String::from).ok_or_else(|| {
            let name: String = name.chars().take(40).collect();
            self.fault(format!("the entity `&{name};` is refused"))
        })
    }
}

fn local<'s>(start: &'s BytesStart<'_>) -> &'s str {
    let name: &str = start.name().into_inner();
    name.rsplit(':').next().unwrap_or(name)
}

fn short(text: &str) -> String {
    text.chars().take(TEXT_BYTES_MAX / 4).collect()
}
