//! JSON lines of rtlamr: an envelope with `Time`, `Type` and `Message` (`protocols.md` 3.1).

use super::{Heard, ert, r900};
use crate::format::{DecodeContext, RejectReason, Rejected};
use crate::json::Object;
use crate::observation::DeviceReport;

const SCM: ert::Names<'static> = ert::Names {
    id: &["ID"],
    consumption: "Consumption",
    status: &[("Type", "type"), ("TamperPhy", "tamper_phy"), ("TamperEnc", "tamper_enc")],
    tamper: &[("TamperPhy", "phy"), ("TamperEnc", "enc")],
};

const SCM_PLUS: ert::Names<'static> = ert::Names {
    id: &["EndpointID"],
    consumption: "Consumption",
    status: &[("EndpointType", "type"), ("Tamper", "tamper")],
    tamper: &[("Tamper", "tamper")],
};

const R900: r900::Names = r900::Names {
    id: "ID",
    consumption: "Consumption",
    no_use: "NoUse",
    back_flow: "BackFlow",
    leak: "Leak",
    leak_now: "LeakNow",
    unknown_1: "Unkn1",
    unknown_3: "Unkn3",
};

/// Decodes one line.
///
/// # Errors
/// [`Rejected`] when it holds no telegram that can be stored.
pub fn decode(context: &DecodeContext<'_>, payload: &[u8]) -> Result<Vec<DeviceReport>, Rejected> {
    let envelope = Object::document(payload)?;
    let Some(kind) = envelope.text("Type") else {
        return Err(RejectReason::BadFormat.because("`Type` is no text"));
    };
    let message = envelope.object("Message")?;
    let heard = Heard::new(context, envelope.text("Time").as_deref())?;
    match kind.as_ref() {
        "SCM" => ert::scm(&heard, &message, &SCM),
        "SCM+" => ert::scm_plus(&heard, &message, &SCM_PLUS),
        "IDM" => ert::idm(&heard, &message),
        "NetIDM" => ert::net_idm(&heard, &message),
        "R900" => r900::decode(&heard, &message, &R900, true),
        "R900BCD" => r900::decode(&heard, &message, &R900, false),
        other => Err(RejectReason::UnknownType.because(format!(
            "`Type` {} is none of SCM, SCM+, IDM, NetIDM, R900, R900BCD",
            other.chars().take(40).collect::<String>()
        ))),
    }
}
