//! Where a value stands: a JSON pointer (RFC 6901) in which one step may be `*`.

use std::borrow::Cow;

use csv::StringRecord;

use crate::format::{RejectReason, Rejected};
use crate::json::{Items, Object, Value};

/// Values that one path with `*` may find.
const FOUND_MAX: usize = 512;

/// A path as written, and its steps.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Path {
    text: String,
    /// From the whole document, although the mapping has `records`.
    is_of_document: bool,
    steps: Vec<Step>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Step {
    Key(String),
    /// Each element of a list, each member of an object.
    Any,
}

/// One value that a path found.
#[derive(Debug)]
pub(crate) struct Found<'a> {
    /// What `*` stood for: the number of an element from 1, or the name of a member; else empty.
    pub(crate) suffix: String,
    pub(crate) value: Value<'a>,
}

/// What paths are looked up in.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Record<'a> {
    Json(&'a Value<'a>),
    Row { header: Option<&'a StringRecord>, row: &'a StringRecord },
    Number(&'a str),
}

impl Path {
    /// `""`, `/a/b`, `/list/*/v`; `^/a` is seen from the whole document.
    pub(crate) fn pointer(text: &str) -> Result<Self, String> {
        let (is_of_document, rest) = match text.strip_prefix('^') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        if !rest.is_empty() && !rest.starts_with('/') {
            return Err(format!("`{text}` is no JSON pointer: write for example /energy/total"));
        }
        let steps: Vec<Step> = rest.split('/').skip(1).map(Step::of).collect();
        if steps.iter().filter(|step| **step == Step::Any).count() > 1 {
            return Err(format!("`{text}` has more than one `*`"));
        }
        if steps.len() > 16 {
            return Err(format!("`{text}` has more than 16 steps"));
        }
        Ok(Self { text: text.to_owned(), is_of_document, steps })
    }

    /// A whole name, for Sparkplug metrics and columns of CSV.
    pub(crate) fn name(text: &str) -> Self {
        let plain = text.strip_prefix('/').filter(|rest| !rest.contains('/')).unwrap_or(text);
        let steps = vec![Step::Key(plain.to_owned())];
        Self { text: text.to_owned(), is_of_document: false, steps }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    pub(crate) const fn is_of_document(&self) -> bool {
        self.is_of_document
    }

    pub(crate) fn has_any(&self) -> bool {
        self.steps.contains(&Step::Any)
    }

    /// The only key of a name.
    pub(crate) fn key(&self) -> &str {
        match self.steps.first() {
            Some(Step::Key(key)) => key,
            _ => "",
        }
    }

    /// All values at this path; none when a step is absent.
    ///
    /// # Errors
    /// An object on the way cannot be read.
    pub(crate) fn find<'a>(&self, record: &Record<'a>) -> Result<Vec<Found<'a>>, Rejected> {
        match record {
            Record::Json(value) => {
                let mut found = Vec::new();
                walk((*value).clone(), &self.steps, "", &mut found)?;
                Ok(found)
            }
            Record::Row { header, row } => {
                let at = match header {
                    Some(header) => header.iter().position(|name| name.trim() == self.key()),
                    None => self.key().parse::<usize>().ok().and_then(|at| at.checked_sub(1)),
                };
                let cell = at.and_then(|at| row.get(at)).map(str::trim);
                let value = cell.map(|text| match text {
                    "" => Value::Null,
                    text => Value::Text(Cow::Borrowed(text)),
                });
                Ok(value.map(|value| Found { suffix: String::new(), value }).into_iter().collect())
            }
            Record::Number(text) => {
                let value = Value::Text(Cow::Borrowed(text));
                Ok(vec![Found { suffix: String::new(), value }])
            }
        }
    }

    /// The first value at this path.
    pub(crate) fn first<'a>(&self, record: &Record<'a>) -> Result<Option<Value<'a>>, Rejected> {
        Ok(self.find(record)?.into_iter().next().map(|found| found.value))
    }
}

impl Step {
    fn of(text: &str) -> Self {
        match text {
            "*" => Self::Any,
            text if text.contains('~') => Self::Key(text.replace("~1", "/").replace("~0", "~")),
            text => Self::Key(text.to_owned()),
        }
    }
}

fn walk<'a>(
    value: Value<'a>,
    steps: &[Step],
    suffix: &str,
    found: &mut Vec<Found<'a>>,
) -> Result<(), Rejected> {
    let Some((step, rest)) = steps.split_first() else {
        if found.len() >= FOUND_MAX {
            return Err(RejectReason::BadFormat
                .because(format!("a path with `*` finds more than {FOUND_MAX} values")));
        }
        found.push(Found { suffix: suffix.to_owned(), value });
        return Ok(());
    };
    let Value::Nested(text) = value else { return Ok(()) };
    if text.starts_with('{') {
        let object = Object::parse(text)?;
        match step {
            Step::Key(key) => {
                if let Some(inner) = object.get(key) {
                    walk(inner, rest, suffix, found)?;
                }
            }
            Step::Any => {
                for (name, inner) in object.members() {
                    let name: String = name.chars().take(40).collect();
                    walk(inner, rest, &name, found)?;
                }
            }
        }
        return Ok(());
    }
    let items = Items::parse(text)?;
    match step {
        Step::Key(key) => {
            let at: Option<usize> = key.parse().ok();
            if let Some(inner) = at.and_then(|at| items.get(at)) {
                walk(inner, rest, suffix, found)?;
            }
        }
        Step::Any => {
            for (at, inner) in items.values().enumerate() {
                walk(inner, rest, &(at + 1).to_string(), found)?;
            }
        }
    }
    Ok(())
}
