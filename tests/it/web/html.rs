//! Looks at a page the way a browser and a screen reader would: tags, ids, labels, tables.

use std::collections::{BTreeMap, BTreeSet};

/// An element's start tag with its attributes, and what encloses it.
#[derive(Clone, Debug)]
pub(super) struct Element {
    pub(super) name: String,
    pub(super) attributes: BTreeMap<String, String>,
    /// Names of the enclosing elements, outermost first.
    pub(super) path: Vec<String>,
    /// Position behind the start tag.
    at: usize,
}

/// A page that could be read, or a fragment of one.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) elements: Vec<Element>,
    text: String,
}

const VOID: [&str; 6] = ["meta", "link", "input", "hr", "br", "img"];

impl Page {
    /// Reads the tags; every start needs its end.
    pub(super) fn read(html: &str) -> Result<Self, String> {
        let mut elements = Vec::new();
        let mut open: Vec<String> = Vec::new();
        let mut at = 0;
        while let Some(start) = html[at..].find('<').map(|found| at + found) {
            let (tag, end) = tag_at(html, start)?;
            at = end;
            if tag.starts_with('!') {
                continue;
            }
            if let Some(name) = tag.strip_prefix('/') {
                let expected = open.pop().unwrap_or_default();
                if expected != name {
                    return Err(format!("</{name}> closes <{expected}> at byte {start}"));
                }
                continue;
            }
            let alone = tag.ends_with('/');
            let element = element(tag.trim_end_matches('/'), open.clone(), end);
            if !alone && !VOID.contains(&element.name.as_str()) {
                open.push(element.name.clone());
            }
            elements.push(element);
        }
        match open.last() {
            Some(name) => Err(format!("<{name}> is not closed")),
            None => Ok(Self { elements, text: html.to_owned() }),
        }
    }

    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element> {
        self.elements.iter().filter(move |element| element.name == name)
    }

    /// What follows the start tag, up to `chars` characters.
    pub(super) fn after(&self, element: &Element, chars: usize) -> String {
        self.text[element.at..].chars().take(chars).collect()
    }

    /// Everything that is wrong with a whole page.
    pub(super) fn faults(&self) -> Vec<String> {
        let mut faults = self.id_faults();
        faults.extend(self.label_faults());
        faults.extend(self.table_faults());
        faults.extend(self.code_faults());
        if self.all("h1").count() != 1 {
            faults.push(format!("{} h1 elements", self.all("h1").count()));
        }
        for image in self.all("svg") {
            let hidden = image.has("aria-hidden", "true") || image.path.iter().any(|p| p == "svg");
            if !hidden && image.get("aria-label").is_empty() {
                faults.push(format!("svg without a name: {:?}", image.attributes.get("id")));
            }
        }
        faults
    }

    fn ids(&self) -> BTreeSet<&str> {
        self.elements.iter().map(|element| element.get("id")).filter(|id| !id.is_empty()).collect()
    }

    fn id_faults(&self) -> Vec<String> {
        let mut seen = BTreeSet::new();
        let ids = self.elements.iter().map(|element| element.get("id"));
        let twice = ids.filter(|id| !id.is_empty() && !seen.insert(*id));
        let mut faults: Vec<String> = twice.map(|id| format!("id {id} twice")).collect();
        let known = self.ids();
        for element in &self.elements {
            let href = element.get("href");
            let local = href.strip_prefix('#').filter(|_| element.name == "use");
            for id in
                [Some(element.get("for")), local, Some(element.get("list"))].into_iter().flatten()
            {
                if !id.is_empty() && !known.contains(id) {
                    faults.push(format!("{} refers to #{id}, which is not there", element.name));
                }
            }
        }
        faults
    }

    fn label_faults(&self) -> Vec<String> {
        let labelled: BTreeSet<&str> = self.all("label").map(|label| label.get("for")).collect();
        let fields = self
            .elements
            .iter()
            .filter(|e| ["input", "select", "textarea"].contains(&e.name.as_str()));
        let bare = fields.filter(|field| {
            !field.has("type", "hidden")
                && field.get("aria-label").is_empty()
                && !labelled.contains(field.get("id"))
                && field.path.last().is_none_or(|parent| parent != "label")
        });
        bare.map(|field| format!("field without a label: {:?}", field.attributes)).collect()
    }

    fn table_faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let (tables, captions) = (self.all("table").count(), self.all("caption").count());
        if tables != captions {
            faults.push(format!("{tables} tables with {captions} captions"));
        }
        for header in self.all("th") {
            if header.get("scope").is_empty() {
                faults.push(format!("th without a scope: {}", self.after(header, 30)));
            }
        }
        faults
    }

    /// Nothing inline, nothing from another host.
    fn code_faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for element in &self.elements {
            for (name, value) in &element.attributes {
                if name == "style" || name.starts_with("on") {
                    faults.push(format!("inline code: {name}={value}"));
                }
                let foreign = value.starts_with("http:")
                    || value.starts_with("https:")
                    || value.starts_with("//")
                    || value.starts_with("javascript:");
                if ["href", "src", "action", "data-stream"].contains(&name.as_str()) && foreign {
                    faults.push(format!("leaves the host: {name}={value}"));
                }
            }
            let inline = element.name == "script" && element.get("src").is_empty();
            if inline || element.name == "style" {
                faults.push(format!("inline {}", element.name));
            }
        }
        faults
    }
}

impl Element {
    /// The attribute, or nothing.
    pub(super) fn get(&self, name: &str) -> &str {
        self.attributes.get(name).map(String::as_str).unwrap_or_default()
    }

    fn has(&self, name: &str, value: &str) -> bool {
        self.get(name) == value
    }
}

/// The text between `<` and `>` (quotes may hold a `>`), and where it ends.
fn tag_at(html: &str, start: usize) -> Result<(&str, usize), String> {
    let mut quote = None;
    for (offset, c) in html[start..].char_indices() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            (None, '>') => {
                return Ok((&html[start + 1..start + offset], start + offset + 1));
            }
            _ => {}
        }
    }
    Err(format!("a tag at byte {start} does not end"))
}

fn element(tag: &str, path: Vec<String>, at: usize) -> Element {
    let (name, mut rest) = tag.split_once(char::is_whitespace).unwrap_or((tag, ""));
    let mut attributes = BTreeMap::new();
    while let Some(key_end) =
        rest.find(['=', ' ', '\n']).or((!rest.trim().is_empty()).then_some(rest.len()))
    {
        let key = rest[..key_end].trim().to_owned();
        let after = &rest[key_end..];
        let (value, next) = match after.strip_prefix('=') {
            Some(quoted) => {
                let quote = quoted.chars().next().unwrap_or('"');
                let inner = &quoted[1.min(quoted.len())..];
                let end = inner.find(quote).unwrap_or(inner.len());
                (inner[..end].to_owned(), &inner[(end + 1).min(inner.len())..])
            }
            None => (String::new(), after.trim_start()),
        };
        if !key.is_empty() {
            attributes.insert(key, value);
        }
        rest = next.trim_start();
    }
    Element { name: name.to_owned(), attributes, path, at }
}

#[test]
fn the_checker_sees_what_it_should() {
    let faults = |html: &str| Page::read(html).unwrap().faults().len();
    assert_eq!(faults("<h1>a</h1>"), 0);
    assert_eq!(faults("<h1 id=\"a\">a</h1><p id=\"a\"></p>"), 1);
    assert_eq!(faults("<h1>a</h1><input id=\"x\"><b onclick=\"x\" style='y'></b>"), 3);
    assert_eq!(faults("<h1>a</h1><table><tr><th>x</th></tr></table>"), 2);
    assert_eq!(faults("<h1>a</h1><a href=\"https://x\">x</a><script>1</script>"), 2);
    assert!(Page::read("<p><b></p></b>").is_err() && Page::read("<p>").is_err());
}
