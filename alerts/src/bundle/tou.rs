//! When the rates of a meter's registers count: lines such as `1 weekday 07:00-21:00`.

use std::fmt;
use std::str::FromStr;

const DAYS: [&str; 4] = ["weekday", "saturday", "sunday", "holiday"];
/// A line for all times that no line before it names.
const OTHERWISE: &str = "otherwise";
const DAY_MINUTES: u16 = 1440;

/// Times of the local day at which a rate counts. The first line that fits decides.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TouTime {
    pub rate: u8,
    /// Weekday, Saturday, Sunday, holiday.
    pub days: [bool; 4],
    /// Minutes of the day, half-open.
    pub from_minute: u16,
    pub to_minute: u16,
}

/// The line is none.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "[calendar] tou lines are such as `1 weekday 07:00-21:00`, `1 saturday,sunday 08:00-12:00` and, \
     last, `2 otherwise`"
)]
pub struct TouError;

impl FromStr for TouTime {
    type Err = TouError;

    fn from_str(text: &str) -> Result<Self, TouError> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let rate = words.first().and_then(|rate| rate.parse().ok()).filter(|rate| *rate > 0);
        let rate = rate.ok_or(TouError)?;
        match words[1..] {
            [OTHERWISE] => {
                Ok(Self { rate, days: [true; 4], from_minute: 0, to_minute: DAY_MINUTES })
            }
            [days, times] => {
                let mut which = [false; 4];
                for day in days.split(',') {
                    let at = DAYS.iter().position(|name| *name == day).ok_or(TouError)?;
                    which[at] = true;
                }
                let (from, to) = times.split_once('-').ok_or(TouError)?;
                let (from_minute, to_minute) = (minute(from)?, minute(to)?);
                let rises = from_minute < to_minute;
                rises.then_some(Self { rate, days: which, from_minute, to_minute }).ok_or(TouError)
            }
            _ => Err(TouError),
        }
    }
}

fn minute(text: &str) -> Result<u16, TouError> {
    let (hour, minute) = text.split_once(':').ok_or(TouError)?;
    let two = |part: &str| part.parse::<u16>().ok().filter(|_| part.len() == 2);
    let (hour, minute) = (two(hour).ok_or(TouError)?, two(minute).ok_or(TouError)?);
    let at = hour * 60 + minute;
    (minute < 60 && at <= DAY_MINUTES).then_some(at).ok_or(TouError)
}

impl fmt::Display for TouTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.days == [true; 4] && self.from_minute == 0 && self.to_minute == DAY_MINUTES {
            return write!(f, "{} {OTHERWISE}", self.rate);
        }
        let named = DAYS.iter().zip(self.days).filter(|(_, yes)| *yes).map(|(name, _)| *name);
        let days: Vec<&str> = named.collect();
        let (from, to) = (self.from_minute, self.to_minute);
        write!(f, "{} {} ", self.rate, days.join(","))?;
        write!(f, "{:02}:{:02}-{:02}:{:02}", from / 60, from % 60, to / 60, to % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_and_written_alike() {
        for line in ["1 weekday 07:00-21:00", "3 saturday,holiday 00:30-24:00", "2 otherwise"] {
            assert_eq!(line.parse::<TouTime>().map(|time| time.to_string()), Ok(line.to_owned()));
        }
        for line in ["", "0 otherwise", "1", "1 monday 07:00-08:00", "1 weekday 21:00-07:00"] {
            assert_eq!(line.parse::<TouTime>(), Err(TouError), "{line}");
        }
        for line in ["1 weekday 7:00-08:00", "1 weekday 07:60-08:00", "1 weekday 07:00-24:01"] {
            assert_eq!(line.parse::<TouTime>(), Err(TouError), "{line}");
        }
    }
}
