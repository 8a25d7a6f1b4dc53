//! How a question is put and its rows are read.

use std::str::FromStr;

use metering::{QualityStatus, Severity, SlotCode, UtcTime};
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, ToSql};

use crate::database::Database;
use crate::error::StoreError;
use crate::types::Stamp;

pub(super) type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

/// Runs a fixed statement on a connection for questions; `what` names the question in errors.
pub(super) async fn rows(
    db: &Database,
    what: &'static str,
    sql: &'static str,
    params: Params<'_>,
) -> Result<Vec<Row>, StoreError> {
    let client = db.client().await?;
    let statement = client.prepare_cached(sql).await.map_err(StoreError::query(what))?;
    client.query(&statement, params).await.map_err(StoreError::query(what))
}

/// Runs a fixed statement and maps each row.
pub(super) async fn all<T>(
    db: &Database,
    what: &'static str,
    sql: &'static str,
    params: Params<'_>,
    read: impl Fn(&mut Columns<'_>) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let rows = rows(db, what, sql, params).await?;
    rows.iter().map(|row| read(&mut Columns::of(row, what))).collect()
}

/// The first row, if any.
pub(super) async fn first<T>(
    db: &Database,
    what: &'static str,
    sql: &'static str,
    params: Params<'_>,
    read: impl Fn(&mut Columns<'_>) -> Result<T, StoreError>,
) -> Result<Option<T>, StoreError> {
    let rows = rows(db, what, sql, params).await?;
    rows.first().map(|row| read(&mut Columns::of(row, what))).transpose()
}

/// Reads the columns of a row from left to right, so that a struct literal in the order of the
/// SELECT list is the whole mapping.
#[derive(Debug)]
pub(super) struct Columns<'a> {
    row: &'a Row,
    at: usize,
    what: &'static str,
}

impl<'a> Columns<'a> {
    pub(super) fn of(row: &'a Row, what: &'static str) -> Self {
        Self { row, at: 0, what }
    }

    pub(super) fn get<T: FromSql<'a>>(&mut self) -> Result<T, StoreError> {
        let value = self.row.try_get(self.at).map_err(StoreError::query(self.what));
        self.at += 1;
        value
    }

    pub(super) fn time(&mut self) -> Result<UtcTime, StoreError> {
        self.get::<Stamp>().map(|stamp| stamp.0)
    }

    pub(super) fn maybe_time(&mut self) -> Result<Option<UtcTime>, StoreError> {
        self.get::<Option<Stamp>>().map(|stamp| stamp.map(|stamp| stamp.0))
    }

    /// A text column that must name a known word.
    pub(super) fn word<T: FromStr>(&mut self) -> Result<T, StoreError> {
        let text: &str = self.get()?;
        self.parse(text)
    }

    pub(super) fn maybe_word<T: FromStr>(&mut self) -> Result<Option<T>, StoreError> {
        let text: Option<&str> = self.get()?;
        text.map(|text| self.parse(text)).transpose()
    }

    pub(super) fn severity(&mut self) -> Result<Severity, StoreError> {
        let number: i16 = self.get()?;
        Severity::from_number(number).ok_or_else(|| self.corrupt("severity", number))
    }

    pub(super) fn maybe_severity(&mut self) -> Result<Option<Severity>, StoreError> {
        let number: Option<i16> = self.get()?;
        let known = |n| Severity::from_number(n).ok_or_else(|| self.corrupt("severity", n));
        number.map(known).transpose()
    }

    /// A slot code; an unknown status is told, not guessed.
    pub(super) fn code(&mut self) -> Result<SlotCode, StoreError> {
        let number: i16 = self.get()?;
        SlotCode::from_i16(number).ok_or_else(|| self.corrupt("slot code", number))
    }

    pub(super) fn status(&mut self) -> Result<QualityStatus, StoreError> {
        self.code().map(SlotCode::status)
    }

    fn parse<T: FromStr>(&self, text: &str) -> Result<T, StoreError> {
        text.parse().map_err(|_| self.corrupt("word", text))
    }

    fn corrupt(&self, kind: &str, value: impl std::fmt::Display) -> StoreError {
        StoreError::Corrupt { what: self.what, detail: format!("{kind} {value} is not known") }
    }
}

/// `%text%` for ILIKE, with the text's own wildcards taken literally; `None` for blank text.
pub(super) fn contains_pattern(text: Option<&str>) -> Option<String> {
    let text = text?.trim();
    if text.is_empty() {
        return None;
    }
    let mut pattern = String::with_capacity(text.len() + 2);
    pattern.push('%');
    for c in text.chars().filter(|c| *c != '\0').take(100) {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    Some(pattern)
}

/// A filter text without NUL, which PostgreSQL refuses; `None` for blank text.
pub(super) fn exact(text: Option<&str>) -> Option<String> {
    let text = text?.trim().replace('\0', "");
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_of_a_search_text_are_taken_literally() {
        assert_eq!(contains_pattern(Some(" 50%_a\\b ")).unwrap(), "%50\\%\\_a\\\\b%");
        assert_eq!(contains_pattern(Some("  ")), None);
        assert_eq!(exact(Some(" N-7\0 ")).unwrap(), "N-7");
    }
}
