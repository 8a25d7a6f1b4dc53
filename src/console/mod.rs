//! The operator console: pages for the people who keep the utility's data coming in.
//!
//! From the outside in: [`router`] maps addresses to pages; `guard` says who may ask and what every
//! answer carries; `pages` read the store's views and fill templates; [`chart`] draws; `stream`
//! keeps open pages current; [`words`] and [`measure`] say times, numbers and quantities; [`causes`]
//! says what is wrong in plain words. Every page can be read and every form sent without JavaScript.
//! Nothing here speaks SQL or judges a reading.

mod assets;
mod causes;
pub mod chart;
mod frame;
mod guard;
pub mod measure;
mod multipart;
mod pages;
mod refusal;
mod rule_facts;
mod rule_words;
mod state;
mod stream;
mod waiting;
pub mod words;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};

pub use rule_words::spoken;
pub use state::ConsoleState;

/// The whole console. Starts the task that watches for news; it ends with the state's `shutdown`.
/// Call it within a runtime.
pub fn router(state: ConsoleState) -> Router {
    tokio::spawn(stream::watch_heads(state.clone()));
    Router::new()
        .route("/", get(pages::fleet::show))
        .route("/meters", get(pages::meters::show))
        .route("/meters/{number}", get(pages::meter::show))
        .route("/issues", get(pages::issues::show))
        .route("/issues/{number}", get(pages::issue::show))
        .route("/issues/{number}/orders", post(pages::issue_work::create))
        .route("/issues/{number}/orders/{order}", post(pages::issue_work::tell))
        .route("/issues/{number}/{act}", post(pages::issue_acts::act))
        .route("/collectors", get(pages::collectors::show))
        .route("/collectors/{code}", get(pages::collectors::detail))
        .route("/commissioning", get(pages::commissioning::show))
        .route("/payloads", get(pages::payloads::show))
        .route("/payloads/try", post(pages::payloads::try_out))
        .route("/payloads/apply", post(pages::payloads::apply))
        .route("/payloads/end", post(pages::payloads::end))
        .route("/dead-letters", get(pages::dead_letters::show))
        .route("/dead-letters/{sha256}", get(pages::dead_letters::detail))
        .route("/files", get(pages::files::show))
        .route(
            "/files/try",
            post(pages::uploads::take).layer(DefaultBodyLimit::max(pages::uploads::BODY_BYTES_MAX)),
        )
        .route("/files/uploads/{id}", get(pages::uploads::show))
        .route("/files/uploads/{id}/look", post(pages::uploads::look))
        .route("/files/uploads/{id}/import", post(pages::uploads::import))
        .route("/files/uploads/{id}/forget", post(pages::uploads::forget))
        .route("/files/{number}", get(pages::file::show))
        .route("/readings", get(pages::readings::show))
        .route("/readings/accept", post(pages::readings::accept_many))
        .route("/readings/{number}/{channel}/{day}", get(pages::reading_day::show))
        .route("/readings/{number}/{channel}/{day}/{act}", post(pages::reading_acts::act))
        .route("/estimates", get(pages::estimates::show))
        .route("/estimates/{no}", get(pages::estimate::show))
        .route("/estimates/{no}/{act}", post(pages::estimate::act))
        .route("/alarms", get(pages::alarms::show))
        .route("/alarms/shelve", post(pages::alarms::shelve))
        .route("/alarms/unshelve", post(pages::alarms::unshelve))
        .route("/zones", get(pages::nodes::zones))
        .route("/transformers", get(pages::nodes::transformers))
        .route("/zones/{code}", get(pages::node::zone))
        .route("/transformers/{code}", get(pages::node::transformer))
        .route("/rules", get(pages::rules::show))
        .route("/rules/versions", get(pages::rule_versions::show))
        .route("/rules/numbers", get(pages::rule_numbers::show))
        .route("/rules/shadow", get(pages::rule_shadow::show))
        .route("/rules/backtest", get(pages::backtest::show).post(pages::backtest::begin))
        .route("/rules/backtest/{id}", get(pages::backtest::one).post(pages::backtest::stop))
        .route("/rules/{id}", get(pages::rule::show))
        .route("/system", get(pages::system::show))
        .route("/modbus", get(pages::modbus::show))
        .route("/modbus/try", post(pages::modbus::try_out))
        .route("/modbus/apply", post(pages::modbus::apply))
        .route("/modbus/end", post(pages::modbus::end))
        .route("/search", get(pages::search::show))
        .route("/stream", get(stream::stream))
        .route("/assets/{name}", get(assets::serve))
        .fallback(async || refusal::Refusal::not_found("There is no page at this address."))
        .layer(from_fn_with_state(state.clone(), guard::guard))
        .with_state(state)
}
