//! The truth file: JSON lines, a header first, then faults, look-alikes and perhaps readings.

use std::io::{BufRead, Write};

use metering::UtcTime;
use serde::{Deserialize, Serialize};

use crate::spec::FleetSpec;
use crate::truth::{
    Fault, FaultKind, HardNegative, HardNegativeKind, Magnitude, SubjectName, Truth, TruthRead,
};

/// Version of the file's format.
pub const VERSION: u32 = 1;

/// Writes a truth file.
#[derive(Debug)]
pub struct TruthWriter<W: Write> {
    out: W,
}

/// Reads a truth file back, line by line.
#[derive(Debug)]
pub struct TruthReader<R: BufRead> {
    input: R,
    line: u64,
}

/// One line of a truth file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TruthRecord {
    Header(FleetSpec),
    Fault(Fault),
    HardNegative(HardNegative),
    Read(TruthRead),
}

/// The truth file cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum TruthFileError {
    #[error("cannot write the truth file")]
    Write(#[source] std::io::Error),
    #[error("cannot read line {line} of the truth file")]
    Read {
        line: u64,
        #[source]
        source: std::io::Error,
    },
    #[error("line {line} of the truth file is not understood: {why}")]
    Line { line: u64, why: String },
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case", deny_unknown_fields)]
enum Line {
    Header {
        version: u32,
        seed: u64,
        meters: u32,
        collectors: u32,
        zone: String,
        history_start: String,
        live_start: String,
        live_end: String,
    },
    Fault {
        kind: String,
        subject_kind: String,
        subject: String,
        family: String,
        causes: Vec<String>,
        onset: String,
        end: Option<String>,
        live: bool,
        detectable_by: String,
        silent_from: Option<String>,
        magnitude: i64,
        unit: String,
    },
    HardNegative {
        kind: String,
        subject_kind: String,
        subject: String,
        from: String,
        to: String,
    },
    Read {
        meter: String,
        field: String,
        at: String,
        len_s: i32,
        value: i64,
    },
}

impl<W: Write> TruthWriter<W> {
    pub fn new(out: W) -> Self {
        Self { out }
    }

    /// Writes the header, the faults and the look-alikes.
    pub fn plan(&mut self, spec: &FleetSpec, truth: &Truth) -> Result<(), TruthFileError> {
        self.line(&Line::Header {
            version: VERSION,
            seed: spec.seed,
            meters: spec.meters,
            collectors: spec.collectors,
            zone: spec.zone.clone(),
            history_start: spec.history_start.to_string(),
            live_start: spec.live_start.to_string(),
            live_end: spec.live_end.to_string(),
        })?;
        for fault in &truth.faults {
            self.line(&fault_line(fault))?;
        }
        for negative in &truth.hard_negatives {
            self.line(&Line::HardNegative {
                kind: negative.kind.name().to_owned(),
                subject_kind: negative.subject.kind().to_owned(),
                subject: negative.subject.name().to_owned(),
                from: negative.from.to_string(),
                to: negative.to.to_string(),
            })?;
        }
        Ok(())
    }

    pub fn read(&mut self, read: &TruthRead) -> Result<(), TruthFileError> {
        self.line(&Line::Read {
            meter: read.meter.clone(),
            field: read.field.clone(),
            at: read.at.to_string(),
            len_s: read.len_s,
            value: read.value,
        })
    }

    /// Flushes and gives the writer back.
    pub fn finish(mut self) -> Result<W, TruthFileError> {
        self.out.flush().map_err(TruthFileError::Write)?;
        Ok(self.out)
    }

    fn line(&mut self, line: &Line) -> Result<(), TruthFileError> {
        let text = serde_json::to_string(line)
            .map_err(|error| TruthFileError::Write(std::io::Error::other(error)))?;
        writeln!(self.out, "{text}").map_err(TruthFileError::Write)
    }
}

impl<R: BufRead> TruthReader<R> {
    pub fn new(input: R) -> Self {
        Self { input, line: 0 }
    }

    fn parse(&self, text: &str) -> Result<TruthRecord, TruthFileError> {
        let refuse = |why: String| TruthFileError::Line { line: self.line, why };
        let line: Line = serde_json::from_str(text).map_err(|error| refuse(error.to_string()))?;
        record_of(line).map_err(refuse)
    }
}

impl<R: BufRead> Iterator for TruthReader<R> {
    type Item = Result<TruthRecord, TruthFileError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.line += 1;
        let mut text = String::new();
        match self.input.read_line(&mut text) {
            Ok(0) => None,
            Ok(_) => Some(self.parse(text.trim_end())),
            Err(source) => Some(Err(TruthFileError::Read { line: self.line, source })),
        }
    }
}

fn fault_line(fault: &Fault) -> Line {
    Line::Fault {
        kind: fault.kind.name().to_owned(),
        subject_kind: fault.subject.kind().to_owned(),
        subject: fault.subject.name().to_owned(),
        family: fault.family.to_owned(),
        causes: fault.causes.iter().map(|cause| (*cause).to_owned()).collect(),
        onset: fault.onset.to_string(),
        end: fault.end.map(|end| end.to_string()),
        live: fault.live,
        detectable_by: fault.detectable_by.to_string(),
        silent_from: fault.silent_from.map(|from| from.to_string()),
        magnitude: fault.magnitude.value,
        unit: fault.magnitude.unit.to_owned(),
    }
}

fn record_of(line: Line) -> Result<TruthRecord, String> {
    Ok(match line {
        Line::Header { version, .. } if version != VERSION => {
            return Err(format!("version {version}, but this program reads version {VERSION}"));
        }
        Line::Header {
            seed,
            meters,
            collectors,
            zone,
            history_start,
            live_start,
            live_end,
            ..
        } => TruthRecord::Header(FleetSpec {
            seed,
            meters,
            collectors,
            zone,
            history_start: time(&history_start)?,
            live_start: time(&live_start)?,
            live_end: time(&live_end)?,
        }),
        Line::Fault {
            kind,
            subject_kind,
            subject,
            onset,
            end,
            live,
            detectable_by,
            silent_from,
            magnitude,
            unit,
            ..
        } => {
            let kind =
                FaultKind::from_name(&kind).ok_or_else(|| format!("`{kind}` is no fault"))?;
            let (causes, family, consequences) = kind.answers();
            TruthRecord::Fault(Fault {
                kind,
                subject: subject_of(&subject_kind, subject)?,
                causes,
                family,
                consequences,
                onset: time(&onset)?,
                end: end.as_deref().map(time).transpose()?,
                live,
                detectable_by: time(&detectable_by)?,
                silent_from: silent_from.as_deref().map(time).transpose()?,
                magnitude: Magnitude { value: magnitude, unit: unit_of(&unit)? },
            })
        }
        Line::HardNegative { kind, subject_kind, subject, from, to } => {
            TruthRecord::HardNegative(HardNegative {
                kind: HardNegativeKind::from_name(&kind)
                    .ok_or_else(|| format!("`{kind}` is no look-alike"))?,
                subject: subject_of(&subject_kind, subject)?,
                from: time(&from)?,
                to: time(&to)?,
            })
        }
        Line::Read { meter, field, at, len_s, value } => {
            TruthRecord::Read(TruthRead { meter, field, at: time(&at)?, len_s, value })
        }
    })
}

fn time(text: &str) -> Result<UtcTime, String> {
    UtcTime::parse_rfc3339(text).ok_or_else(|| format!("`{text}` is no instant"))
}

fn subject_of(kind: &str, name: String) -> Result<SubjectName, String> {
    match kind {
        "meter" => Ok(SubjectName::Meter(name)),
        "collector" => Ok(SubjectName::Collector(name)),
        "fleet" => Ok(SubjectName::Fleet),
        _ => Err(format!("`{kind}` is no kind of subject")),
    }
}

fn unit_of(text: &str) -> Result<&'static str, String> {
    [Magnitude::FLOW, Magnitude::ENERGY, Magnitude::SHARE, Magnitude::HOURS, Magnitude::NONE]
        .into_iter()
        .find(|unit| *unit == text)
        .ok_or_else(|| format!("`{text}` is no unit of a magnitude"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::Fleet;

    #[test]
    fn a_truth_file_is_read_back_as_it_was_written() {
        let fleet = Fleet::new(crate::fleet::tests::spec(7, 200)).unwrap();
        let mut writer = TruthWriter::new(Vec::new());
        writer.plan(fleet.spec(), fleet.truth()).unwrap();
        let read = TruthRead {
            meter: "E-1001".into(),
            field: "energy_import".into(),
            at: UtcTime::from_seconds(900),
            len_s: 900,
            value: 12,
        };
        writer.read(&read).unwrap();
        let bytes = writer.finish().unwrap();
        let records: Vec<TruthRecord> =
            TruthReader::new(bytes.as_slice()).map(Result::unwrap).collect();
        assert_eq!(records[0], TruthRecord::Header(fleet.spec().clone()));
        let (mut faults, mut negatives) = (Vec::new(), Vec::new());
        for record in &records[1..records.len() - 1] {
            match record {
                TruthRecord::Fault(fault) => faults.push(fault.clone()),
                TruthRecord::HardNegative(negative) => negatives.push(negative.clone()),
                other => panic!("unexpected {other:?}"),
            }
        }
        assert_eq!(Truth { faults, hard_negatives: negatives }, *fleet.truth());
        assert_eq!(records.last(), Some(&TruthRecord::Read(read)));
    }

    #[test]
    fn a_bad_line_is_refused_with_its_number() {
        let text = r#"{"record":"read","meter":"E","field":"f","at":"noon","len_s":0,"value":1}"#;
        let mut reader = TruthReader::new(text.as_bytes());
        let error = reader.next().unwrap().unwrap_err().to_string();
        assert_eq!(error, "line 1 of the truth file is not understood: `noon` is no instant");
        assert!(TruthReader::new(&b"nonsense\n"[..]).next().unwrap().is_err());
    }
}
