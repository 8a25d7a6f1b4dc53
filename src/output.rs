//! What verbs print: data on stdout as a table, CSV or JSON; messages on stderr.

use std::io::{self, Write};

/// A line on stdout. Unlike `println!` it gives the error: who reads may have left, as `head` does.
macro_rules! say {
    ($($words:tt)*) => {
        ::std::io::Write::write_fmt(
            &mut ::std::io::stdout().lock(),
            format_args!("{}\n", format_args!($($words)*)),
        )
    };
}

/// A line on stderr; nobody is left to tell when it is closed.
macro_rules! remark {
    ($($words:tt)*) => {{
        let _ = ::std::io::Write::write_fmt(
            &mut ::std::io::stderr().lock(),
            format_args!("{}\n", format_args!($($words)*)),
        );
    }};
}

pub(crate) use {remark, say};

/// How a list is printed.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, clap::ValueEnum)]
pub enum OutputFormat {
    /// Columns for people.
    #[default]
    Table,
    /// RFC 4180, for spreadsheets.
    Csv,
    /// An array of objects, for programs.
    Json,
}

/// A value of a list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Cell {
    /// Text from people or meters.
    Text(String),
    /// Decimal digits, exact; printed as a number in JSON.
    Number(String),
    /// Not known.
    Empty,
}

impl Cell {
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    pub fn number(number: impl ToString) -> Self {
        Self::Number(number.to_string())
    }

    pub fn of<T: ToString>(value: Option<T>) -> Self {
        value.map_or(Self::Empty, |value| Self::Text(value.to_string()))
    }

    pub fn count<T: ToString>(value: Option<T>) -> Self {
        value.map_or(Self::Empty, |value| Self::Number(value.to_string()))
    }

    /// Milli-units as a decimal of the unit, for example 1500 as `1.5`.
    pub fn milli(value: i64) -> Self {
        Self::Number(decimal_of_milli(value))
    }

    fn shown(&self) -> &str {
        match self {
            Self::Text(text) | Self::Number(text) => text,
            Self::Empty => "",
        }
    }
}

/// A list with named columns. Names are snake_case and carry the unit.
#[derive(Clone, Debug)]
pub struct List {
    columns: Vec<&'static str>,
    rows: Vec<Vec<Cell>>,
}

impl List {
    pub fn new(columns: &[&'static str]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    pub fn push(&mut self, row: Vec<Cell>) {
        debug_assert_eq!(row.len(), self.columns.len());
        self.rows.push(row);
    }

    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Prints to stdout.
    ///
    /// # Errors
    /// When stdout cannot be written.
    pub fn print(&self, format: OutputFormat) -> io::Result<()> {
        let mut out = io::BufWriter::new(io::stdout().lock());
        self.write(format, &mut out)?;
        out.flush()
    }

    pub fn write(&self, format: OutputFormat, out: &mut impl Write) -> io::Result<()> {
        match format {
            OutputFormat::Table => self.write_table(out),
            OutputFormat::Csv => self.write_csv(out),
            OutputFormat::Json => self.write_json(out),
        }
    }

    fn write_table(&self, out: &mut impl Write) -> io::Result<()> {
        let heads = self.columns.iter().map(|name| name.replace('_', " "));
        let mut widths: Vec<usize> = heads.clone().map(|head| head.len()).collect();
        let mut right = vec![!self.rows.is_empty(); widths.len()];
        for row in &self.rows {
            for (at, cell) in row.iter().enumerate() {
                widths[at] = widths[at].max(printable(cell.shown()).chars().count());
                right[at] &= !matches!(cell, Cell::Text(_));
            }
        }
        let line = |cells: Vec<String>| {
            let padded =
                cells.into_iter().zip(&widths).zip(&right).map(|((cell, width), right)| {
                    let space = " ".repeat(width - cell.chars().count());
                    if *right { format!("{space}{cell}") } else { format!("{cell}{space}") }
                });
            padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        writeln!(out, "{}", line(heads.collect()))?;
        for row in &self.rows {
            writeln!(out, "{}", line(row.iter().map(|cell| printable(cell.shown())).collect()))?;
        }
        Ok(())
    }

    fn write_csv(&self, out: &mut impl Write) -> io::Result<()> {
        let mut csv =
            csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(&mut *out);
        csv.write_record(&self.columns)?;
        for row in &self.rows {
            csv.write_record(row.iter().map(|cell| match cell {
                Cell::Text(text) => without_formula(text),
                other => other.shown().to_owned(),
            }))?;
        }
        csv.flush()
    }

    fn write_json(&self, out: &mut impl Write) -> io::Result<()> {
        out.write_all(b"[")?;
        for (at, row) in self.rows.iter().enumerate() {
            out.write_all(if at == 0 { b"\n  " } else { b",\n  " })?;
            write_object(&self.columns, row, out)?;
        }
        out.write_all(if self.rows.is_empty() { b"]\n" } else { b"\n]\n" })
    }
}

/// One thing with named fields: lines of `name  value` in a table, one object in JSON.
#[derive(Clone, Debug)]
pub struct Record {
    fields: Vec<(&'static str, Cell)>,
}

impl Record {
    pub fn new(fields: Vec<(&'static str, Cell)>) -> Self {
        Self { fields }
    }

    /// Prints to stdout.
    ///
    /// # Errors
    /// When stdout cannot be written.
    pub fn print(&self, format: OutputFormat) -> io::Result<()> {
        let mut out = io::BufWriter::new(io::stdout().lock());
        self.write(format, &mut out)?;
        out.flush()
    }

    pub fn write(&self, format: OutputFormat, out: &mut impl Write) -> io::Result<()> {
        let names: Vec<&str> = self.fields.iter().map(|(name, _)| *name).collect();
        let cells: Vec<Cell> = self.fields.iter().map(|(_, cell)| cell.clone()).collect();
        match format {
            OutputFormat::Table => {
                let width = names.iter().map(|name| name.len()).max().unwrap_or(0);
                for (name, cell) in &self.fields {
                    let line = format!("{:width$}  {}", name.replace('_', " "), cell.shown());
                    writeln!(out, "{}", printable(line.trim_end()))?;
                }
                Ok(())
            }
            OutputFormat::Csv => {
                let mut csv = csv::WriterBuilder::new()
                    .terminator(csv::Terminator::CRLF)
                    .from_writer(&mut *out);
                csv.write_record(&names)?;
                csv.write_record(cells.iter().map(|cell| match cell {
                    Cell::Text(text) => without_formula(text),
                    other => other.shown().to_owned(),
                }))?;
                csv.flush()
            }
            OutputFormat::Json => {
                write_object(&names, &cells, out)?;
                out.write_all(b"\n")
            }
        }
    }
}

fn write_object(names: &[&str], cells: &[Cell], out: &mut impl Write) -> io::Result<()> {
    out.write_all(b"{")?;
    for (at, (name, cell)) in names.iter().zip(cells).enumerate() {
        let comma = if at == 0 { "" } else { ", " };
        write!(out, "{comma}\"{name}\": ")?;
        match cell {
            Cell::Text(text) => serde_json::to_writer(&mut *out, text)?,
            Cell::Number(number) => out.write_all(number.as_bytes())?,
            Cell::Empty => out.write_all(b"null")?,
        }
    }
    out.write_all(b"}")
}

/// A decimal of a unit from its thousandths, without trailing zeros.
pub fn decimal_of_milli(value: i64) -> String {
    let sign = if value < 0 { "-" } else { "" };
    let (whole, part) = (value.unsigned_abs() / 1_000, value.unsigned_abs() % 1_000);
    if part == 0 {
        return format!("{sign}{whole}");
    }
    format!("{sign}{whole}.{part:03}").trim_end_matches('0').to_owned()
}

/// A spreadsheet takes text that starts so for a formula (OWASP ASVS 5.0, 1.2.10); the apostrophe
/// makes it text again.
pub fn without_formula(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\0']) {
        return format!("'{text}");
    }
    text.to_owned()
}

/// Meters and senders choose their texts; a terminal must not obey them.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn check(format: OutputFormat, want: Expect) {
        let mut list = List::new(&["number", "last_value", "address"]);
        list.push(vec![Cell::text("E-1"), Cell::milli(1_500), Cell::text("=1+1")]);
        list.push(vec![Cell::text("W-10"), Cell::Empty, Cell::text("a \"b\"\u{1b}[1m")]);
        let mut out = Vec::new();
        list.write(format, &mut out).unwrap();
        want.assert_eq(&String::from_utf8(out).unwrap().replace('\r', ""));
    }

    #[test]
    fn a_list_is_a_table_csv_or_json() {
        check(
            OutputFormat::Table,
            expect![[r#"
                number  last value  address
                E-1            1.5  =1+1
                W-10                a "b"?[1m
            "#]],
        );
        check(
            OutputFormat::Csv,
            expect![[r#"
                number,last_value,address
                E-1,1.5,'=1+1
                W-10,,"a ""b""[1m"
            "#]],
        );
        check(
            OutputFormat::Json,
            expect![[r#"
                [
                  {"number": "E-1", "last_value": 1.5, "address": "=1+1"},
                  {"number": "W-10", "last_value": null, "address": "a \"b\"\u001b[1m"}
                ]
            "#]],
        );
    }

    #[test]
    fn milli_units_are_exact_decimals() {
        for (milli, want) in [(0, "0"), (1_000, "1"), (-5, "-0.005"), (-1_500, "-1.5")] {
            assert_eq!(decimal_of_milli(milli), want);
        }
        assert_eq!(decimal_of_milli(i64::MIN), "-9223372036854775.808");
    }
}
