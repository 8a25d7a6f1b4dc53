//! Faults of a bundle's text.

use std::fmt;

/// One fault.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct BundleError {
    /// From 1.
    pub line: usize,
    /// Names the rule, the key, its unit and its range.
    pub message: String,
}

/// All faults of a text, by line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BundleErrors(pub Vec<BundleError>);

impl fmt::Display for BundleErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, error) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            error.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for BundleErrors {}

/// The known word that a wrong one is nearest to, when it is near at all.
pub fn nearest(wrong: &str, known: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    let wrong: String = wrong.chars().take(64).collect();
    known
        .map(|word| (distance(&wrong, word), word))
        .min()
        .filter(|(steps, word)| *steps * 3 <= word.len())
        .map(|(_, word)| word)
}

/// Letters to insert, remove or replace.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut corner = i;
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let step = corner + usize::from(x != *y);
            corner = row[j + 1];
            row[j + 1] = step.min(row[j] + 1).min(corner + 1);
        }
    }
    row.last().copied().unwrap_or(0)
}
