//! What a person decides of a suspect day: each is a form, answered with the next day to review.

use std::collections::BTreeSet;

use ::vee::estimate::Method;
use axum::extract::{Form, Path, State};
use axum::response::{IntoResponse, Redirect};
use metering::UtcTime;
use metering::exact::Exact;
use store::views::review::{self, ReviewFilter};

use super::Answer;
use super::reading_day::Target;
use super::readings::{ACTOR, day_href, refusal};
use crate::console::frame::QueryText;
use crate::console::measure::DisplayUnit;
use crate::console::refusal::Refusal;
use crate::console::state::ConsoleState;
use crate::console::words;
use crate::services::vee::{self, Person};

/// Fields as sent; names may repeat.
type Fields = Vec<(String, String)>;

fn field<'a>(form: &'a Fields, name: &str) -> &'a str {
    form.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.trim())
}

/// `POST /readings/{number}/{channel}/{day}/{act}`.
pub(in crate::console) async fn act(
    State(console): State<ConsoleState>,
    Path((number, channel, day, act)): Path<(String, String, String, String)>,
    Form(form): Form<Fields>,
) -> Answer {
    let target = Target::read(&console, (&number, &channel, &day)).await?;
    let key = (target.meter.meter, target.channel.channel);
    let range = vee::range(key, target.due, BTreeSet::new());
    let who = Person { actor: ACTOR, reason: field(&form, "reason"), now: console.now() };
    let did = match act.as_str() {
        "accept" => {
            let slots = vee::accept(&console.db, &range, who).await.map_err(refusal)?;
            format!("kept as read, {}", count(slots))
        }
        "reject" => {
            let slots = vee::reject(&console.db, &range, who).await.map_err(refusal)?;
            format!("rejected, {} to be estimated", count(slots))
        }
        "estimate" => {
            let method = method(field(&form, "method"))?;
            let kept = vee::estimate(&console.db, &range, method, who).await.map_err(refusal)?;
            estimated(&kept)
        }
        "edit" => {
            let values = values(&target, &form)?;
            let force = !field(&form, "force").is_empty();
            vee::edit(&console.db, key, &values, force, who).await.map_err(refusal)?;
            format!("edited, {}", count(u64::try_from(values.len()).unwrap_or(0)))
        }
        "release" => {
            let day = (target.day.start, target.day.end);
            let holds = vee::release_holds(&console.db, key, day, who).await.map_err(refusal)?;
            let holds = i64::try_from(holds).unwrap_or(i64::MAX);
            let did = format!("released, {}", words::count(holds, "hold", "holds"));
            let here = QueryText::default().with("was", &target.href()).with("did", &did);
            return Ok(Redirect::to(&here.on(&target.href())).into_response());
        }
        "undo" => {
            let slots = vee::undo(&console.db, &range, who).await.map_err(refusal)?;
            // What was taken back is to be looked at again, here.
            let here = QueryText::default()
                .with("was", &target.href())
                .with("did", &format!("taken back, {}", count(slots)));
            return Ok(Redirect::to(&here.on(&target.href())).into_response());
        }
        _ => return Err(Refusal::not_found("A day knows no such act.")),
    };
    Ok(Redirect::to(&next(&console, &target, &did).await?).into_response())
}

fn estimated(kept: &[store::estimation::Kept]) -> String {
    let proposed = kept.iter().filter(|one| one.versions == 0).count();
    if proposed > 0 {
        return "proposed; another person accepts it on the page of the estimate".to_owned();
    }
    let slots: u64 = kept.iter().map(|one| one.versions).sum();
    format!("estimated, {}", count(slots))
}

fn count(slots: u64) -> String {
    words::count(i64::try_from(slots).unwrap_or(i64::MAX), "interval", "intervals")
}

/// The next day of the queue, else the same one.
async fn next(console: &ConsoleState, target: &Target, did: &str) -> Result<String, Refusal> {
    let here = target.href();
    let rows = review::queue(&console.db, &ReviewFilter::default(), (2, 0), console.now()).await?;
    let next = rows.iter().map(day_href).find(|href| *href != here);
    let was = QueryText::default().with("was", &here).with("did", did);
    Ok(was.on(&next.unwrap_or(here)))
}

/// The method of the form; nothing leaves the choice to the ladder.
fn method(text: &str) -> Result<Option<Method>, Refusal> {
    if text.is_empty() {
        return Ok(None);
    }
    let known = text.parse().ok().and_then(Method::from_number);
    known.map(Some).ok_or_else(|| {
        let what = words::shortened(text, 30);
        Refusal::bad_request(format!("There is no method “{what}”. Nothing was changed."))
    })
}

/// The values of the form by interval end, in milli-units; empty fields stay out.
fn values(target: &Target, form: &Fields) -> Result<Vec<(UtcTime, i64)>, Refusal> {
    let unit = unit(target, field(form, "unit"))?;
    let mut values = Vec::new();
    for (key, text) in form {
        let Some(end) = key.strip_prefix("v.") else { continue };
        if text.trim().is_empty() {
            continue;
        }
        let end = end
            .parse()
            .map(UtcTime::from_micros)
            .map_err(|_| Refusal::bad_request("The form names an interval that cannot be read."))?;
        if end <= target.due.0 || end > target.due.1 {
            let what = "The form names an interval of another day. Load the day again.";
            return Err(Refusal::bad_request(what));
        }
        values.push((end, milli(text, unit)?));
    }
    if values.is_empty() {
        return Err(Refusal::bad_request("No value was given: write at least one."));
    }
    Ok(values)
}

/// The unit that the page showed: the form says it, since what stands may have changed meanwhile
/// and another unit would be chosen now.
fn unit(target: &Target, milli: &str) -> Result<DisplayUnit, Refusal> {
    let base = target.channel.reading_type.base_unit();
    let known = [1_000_i64, 1_000_000].map(|most| DisplayUnit::choose(base, most));
    let shown = milli.parse().ok();
    known
        .into_iter()
        .find(|unit| Some(unit.milli) == shown)
        .ok_or_else(|| Refusal::bad_request("The form does not say its unit. Load the day again."))
}

/// `9.32` in a unit as milli-units, exactly.
fn milli(text: &str, unit: DisplayUnit) -> Result<i64, Refusal> {
    let plain = text.trim().replace(',', ".");
    let decimals = if unit.milli == 1_000_000 { 6 } else { 3 };
    let read = plain.parse::<Exact>().and_then(|exact| exact.to_decimals(decimals));
    match read {
        Ok((value, true)) => Ok(value),
        Ok(_) => Err(Refusal::bad_request(format!(
            "“{}” has more decimals than can be kept in {}. Nothing was changed.",
            words::shortened(text, 30),
            unit.symbol
        ))),
        Err(error) => Err(Refusal::bad_request(format!(
            "“{}” is no value in {}: {error}. Nothing was changed.",
            words::shortened(text, 30),
            unit.symbol
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typed_value_is_kept_exactly() {
        let unit = |milli| DisplayUnit { symbol: "kWh", milli };
        assert_eq!(milli("9.32", unit(1_000_000)).unwrap(), 9_320_000);
        assert_eq!(milli(" 0,5 ", unit(1_000)).unwrap(), 500);
        assert!(milli("abc", unit(1_000)).is_err());
        assert!(milli("0.0005", unit(1_000)).is_err(), "nothing is rounded away");
    }
}
