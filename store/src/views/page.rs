//! Pages of a list by key: where the last page ended, as opaque text that a URL can carry.

use std::fmt;
use std::str::FromStr;

use crate::error::StoreError;

/// Most rows of one page.
pub const LIMIT_MAX: u32 = 1_000;
/// Rows of a page when nobody says.
pub const LIMIT_DEFAULT: u32 = 100;
/// Longest cursor text that is read.
const CURSOR_CHARS_MAX: usize = 2_048;

/// Some rows of a list, and where the next page starts. `next` is `None` at the end.
#[derive(Clone, PartialEq, Debug)]
pub struct Page<T> {
    pub items: Vec<T>,
    pub next: Option<Cursor>,
}

/// The key of the last row of a page. Its text form is opaque: hexadecimal, made only by this
/// program, checked again where it is used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cursor(Vec<String>);

/// The text is no cursor of this list.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the cursor is not one of this list: start again without `cursor`")]
pub struct CursorError;

impl From<CursorError> for StoreError {
    fn from(error: CursorError) -> Self {
        Self::Refused { what: "paging", detail: error.to_string() }
    }
}

impl Cursor {
    /// The cursor of a list that is read by its place: after `skip` rows.
    pub fn after(skip: u32) -> Self {
        Self::new([skip.to_string()])
    }

    /// How many rows of such a list come before.
    ///
    /// # Errors
    /// It is the cursor of another list.
    pub fn skip(&self) -> Result<u32, CursorError> {
        let [skip] = self.parts::<1>()?;
        part(skip)
    }

    pub(super) fn new<const N: usize>(parts: [String; N]) -> Self {
        Self(parts.into())
    }

    /// The parts, if there are exactly `N`.
    pub(super) fn parts<const N: usize>(&self) -> Result<[&str; N], CursorError> {
        let parts: Vec<&str> = self.0.iter().map(String::as_str).collect();
        parts.try_into().map_err(|_| CursorError)
    }
}

/// A part of a cursor as a number or another parsed value.
pub(super) fn part<T: FromStr>(text: &str) -> Result<T, CursorError> {
    text.parse().map_err(|_| CursorError)
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, part) in self.0.iter().enumerate() {
            if n > 0 {
                f.write_str("00")?;
            }
            // NUL separates the parts: PostgreSQL text never holds one.
            for byte in part.bytes().filter(|byte| *byte != 0) {
                write!(f, "{byte:02x}")?;
            }
        }
        Ok(())
    }
}

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        // `from_str_radix` would take a sign.
        let hexadecimal = text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if text.len() > CURSOR_CHARS_MAX || !text.len().is_multiple_of(2) || !hexadecimal {
            return Err(CursorError);
        }
        let bytes: Option<Vec<u8>> = (0..text.len() / 2)
            .map(|n| u8::from_str_radix(text.get(2 * n..2 * n + 2)?, 16).ok())
            .collect();
        let whole = String::from_utf8(bytes.ok_or(CursorError)?).map_err(|_| CursorError)?;
        Ok(Self(whole.split('\0').map(String::from).collect()))
    }
}

/// The number of rows to fetch for a page of `limit`: one more, to know whether another page
/// follows.
pub(super) fn fetch_limit(limit: u32) -> i64 {
    i64::from(limit.clamp(1, LIMIT_MAX)) + 1
}

/// Cuts the extra row off and makes the cursor from the last row that stays.
pub(super) fn page<T>(mut items: Vec<T>, limit: u32, key: impl Fn(&T) -> Cursor) -> Page<T> {
    let limit = usize::try_from(limit.clamp(1, LIMIT_MAX)).unwrap_or(usize::MAX);
    let more = items.len() > limit;
    items.truncate(limit);
    let next = if more { items.last().map(key) } else { None };
    Page { items, next }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_back_and_rubbish_is_refused() {
        let cursor = Cursor::new(["Straße 5, \"x\"".to_owned(), String::new(), "17".to_owned()]);
        let text = cursor.to_string();
        assert!(text.bytes().all(|b| b.is_ascii_hexdigit()));
        let read: Cursor = text.parse().unwrap();
        assert_eq!(read, cursor);
        assert_eq!(read.parts::<3>().unwrap()[2], "17");
        assert!(read.parts::<2>().is_err());
        for rubbish in ["x", "0", "zz", "ff", "+f", "é0"] {
            assert_eq!(rubbish.parse::<Cursor>(), Err(CursorError), "{rubbish}");
        }
    }

    #[test]
    fn a_page_is_cut_and_says_where_the_next_starts() {
        let cut = page(vec![1, 2, 3], 2, |n| Cursor::new([n.to_string()]));
        assert_eq!(cut.items, [1, 2]);
        assert_eq!(cut.next, Some(Cursor::new(["2".to_owned()])));
        assert_eq!(page(vec![1, 2], 2, |_| Cursor::new(["".to_owned()])).next, None);
    }
}
