//! Codes under which standards and markets know an estimate (6.3, 6.4).

use metering::QualityStatus;

use crate::estimate::Method;

/// NEM12 reason codes that an estimate or edit carries.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Reason {
    /// Free text: a person's decision.
    FreeText = 0,
    PowerOutage = 43,
    FailedToValidate = 45,
    DataMissing = 85,
    Added = 92,
    Replaced = 93,
}

impl Reason {
    pub const ALL: [Self; 6] = [
        Self::FreeText,
        Self::PowerOutage,
        Self::FailedToValidate,
        Self::DataMissing,
        Self::Added,
        Self::Replaced,
    ];

    pub const fn number(self) -> u8 {
        self as u8
    }

    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.number() == number)
    }

    pub const fn words(self) -> &'static str {
        match self {
            Self::FreeText => "decided by a person",
            Self::PowerOutage => "power outage",
            Self::FailedToValidate => "failed to validate",
            Self::DataMissing => "data missing",
            Self::Added => "added",
            Self::Replaced => "replaced",
        }
    }

    /// Why a slot of this status got a value by `method`.
    pub const fn of(before: QualityStatus, method: Method) -> Self {
        match (method, before) {
            (Method::Edit, QualityStatus::Missing) => Self::Added,
            (Method::Edit, _) => Self::Replaced,
            (Method::OutageZero, _) => Self::PowerOutage,
            (_, QualityStatus::Missing) => Self::DataMissing,
            _ => Self::FailedToValidate,
        }
    }
}

/// Quality flag, method and reason of a NEM12 record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Nem12 {
    /// S substitute, F final substitute.
    pub quality: char,
    pub method: Option<u8>,
    pub reason: u8,
}

/// The triple of an estimate; `register` for a type 6 meter (a register read by hand).
pub fn nem12(method: Method, reason: Reason, register: bool, is_final: bool) -> Nem12 {
    let aemo = if register { register_method(method) } else { interval_method(method) };
    Nem12 { quality: if is_final { 'F' } else { 'S' }, method: aemo, reason: reason.number() }
}

/// AEMO method of an interval meter (type 1 to 4).
const fn interval_method(method: Method) -> Option<u8> {
    Some(match method {
        Method::Check => 11,
        Method::Calculated => 12,
        Method::Scada => 13,
        Method::LikeOne => 14,
        Method::LikeMean => 15,
        Method::Linear => 17,
        // 16 (agreed) is obsolete; 18 is the alternate.
        Method::Edit => 18,
        Method::OutageZero => 19,
        Method::ClassProfile => 21,
        Method::PreviousYear => 23,
        Method::Scaled => 24,
        Method::AverageDaily => 25,
    })
}

/// AEMO method of a register (type 6); none where the market knows no such method.
const fn register_method(method: Method) -> Option<u8> {
    Some(match method {
        Method::LikeOne | Method::PreviousYear => 61,
        Method::ClassProfile => 63,
        Method::Edit => 64,
        Method::AverageDaily => 65,
        Method::Scaled => 66,
        Method::OutageZero => 68,
        Method::Linear => 69,
        Method::Check | Method::Calculated | Method::Scada | Method::LikeMean => return None,
    })
}

/// IEC 61968-9 quality codes (`system.category.index`) of an estimate or edit.
pub fn iec_codes(method: Method, before: QualityStatus) -> Vec<String> {
    match method {
        Method::Edit if before == QualityStatus::Missing => vec!["3.7.1".to_owned()],
        Method::Edit => vec!["3.7.0".to_owned()],
        Method::OutageZero => vec![estimated(method), "1.2.32".to_owned()],
        _ => vec![estimated(method)],
    }
}

fn estimated(method: Method) -> String {
    format!("3.8.{}", 1000 + u16::from(method.number()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_follow_the_tables() {
        use QualityStatus::{Missing, Suspect};
        assert_eq!(iec_codes(Method::LikeMean, Missing), ["3.8.1005"]);
        assert_eq!(iec_codes(Method::OutageZero, Missing), ["3.8.1007", "1.2.32"]);
        assert_eq!(iec_codes(Method::Edit, Missing), ["3.7.1"]);
        assert_eq!(Reason::of(Suspect, Method::Linear), Reason::FailedToValidate);
        let told = nem12(Method::Linear, Reason::DataMissing, false, false);
        assert_eq!(told, Nem12 { quality: 'S', method: Some(17), reason: 85 });
        let told = nem12(Method::AverageDaily, Reason::DataMissing, true, true);
        assert_eq!(told, Nem12 { quality: 'F', method: Some(65), reason: 85 });
        for reason in Reason::ALL {
            assert_eq!(Reason::from_number(reason.number()), Some(reason));
        }
    }
}
