//! The live stream: each open page gets the fragments of itself as they change.
//!
//! One task looks at the heads of the event log and of the console's events; nothing is asked while
//! no page is open. A stream sends *states*, not changes: when the heads have moved it renders its
//! page's fragments and sends those that differ from what it sent before. So a slow browser skips
//! what it missed, and one that comes back (`Last-Event-ID` = the heads of its last fragment) gets
//! nothing when nothing happened. Memory per stream: one hash per fragment.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::Sse;
use axum::response::sse::Event;
use futures_util::Stream;
use store::views::live::{self, Heads};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Interval, MissedTickBehavior};

use super::frame::ClockFace;
use super::pages::View;
use super::refusal::Refusal;
use super::state::ConsoleState;

/// How often the heads are looked at, in real time.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How often a stream says what time it is; also its sign of life.
const CLOCK_EVERY: Duration = Duration::from_secs(1);
/// Open pages at a time; each holds a connection and asks questions.
const STREAMS_MAX: usize = 200;

/// What is known of the database, shared by all streams.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Seen {
    heads: Heads,
    /// The database did not answer the last look.
    away: bool,
}

/// The shared part of all streams.
#[derive(Clone, Debug)]
pub(super) struct Hub {
    seen: Arc<watch::Sender<Seen>>,
    places: Arc<Semaphore>,
}

impl Hub {
    pub(super) fn new() -> Self {
        let seen = Arc::new(watch::Sender::new(Seen::default()));
        Self { seen, places: Arc::new(Semaphore::new(STREAMS_MAX)) }
    }

    /// The heads as last seen by any stream.
    pub(super) fn heads(&self) -> Heads {
        self.seen.borrow().heads
    }
}

/// Looks at the heads until the program stops. Run by one task.
pub(super) async fn watch_heads(console: ConsoleState) {
    let mut shutdown = console.shutdown.clone();
    let mut tick = interval(LOOK_EVERY);
    loop {
        tokio::select! {
            _ = shutdown.wait_for(|stop| *stop) => return,
            _ = tick.tick() => {}
        }
        if console.hub.seen.receiver_count() == 0 {
            continue;
        }
        let looked = live::heads(&console.db).await;
        console.hub.seen.send_if_modified(|seen| {
            let now = match &looked {
                Ok(heads) => Seen { heads: *heads, away: false },
                Err(_) => Seen { away: true, ..*seen },
            };
            std::mem::replace(seen, now) != now
        });
    }
}

fn interval(every: Duration) -> Interval {
    let mut interval = tokio::time::interval(every);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

/// `GET /stream?view=...`: the fragments of one page.
pub(super) async fn stream(
    State(console): State<ConsoleState>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Refusal> {
    let view = View::parse(&uri)?;
    let place = Arc::clone(&console.hub.places).try_acquire_owned().map_err(|_| {
        Refusal::busy("Too many pages of this console are open. Close some and load this again.")
    })?;
    let resumed = headers.get("last-event-id").and_then(|id| parse_id(id.to_str().ok()?));
    let heads = live::heads(&console.db).await?;
    let session = Session::open(console, view, place, (resumed, heads));
    Ok(Sse::new(futures_util::stream::unfold(session, Session::next)))
}

/// One open page.
struct Session {
    console: ConsoleState,
    view: View,
    seen: watch::Receiver<Seen>,
    shutdown: watch::Receiver<bool>,
    tick: Interval,
    queue: VecDeque<Event>,
    /// Hash of each fragment as last sent, in the order of the view.
    sent: Vec<u64>,
    /// The heads that the sent fragments show.
    shown: Option<Heads>,
    /// The browser has the page as of `shown`: take its fragments as sent without sending them.
    adopt: bool,
    _place: OwnedSemaphorePermit,
}

impl Session {
    fn open(
        console: ConsoleState,
        view: View,
        place: OwnedSemaphorePermit,
        (resumed, heads): (Option<Heads>, Heads),
    ) -> Self {
        let mut queue = VecDeque::from([Event::default()
            .event("hello")
            .id(id_text(heads))
            .data(console.assets.build())]);
        // Ahead of us: the browser knew another database.
        if resumed.is_some_and(|was| was.log_seq > heads.log_seq || was.event_id > heads.event_id) {
            queue.push_back(Event::default().event("resync").data("the database is another one"));
        }
        console.hub.seen.send_if_modified(|seen| {
            let newer = heads != seen.heads;
            seen.heads = heads;
            newer
        });
        Self {
            seen: console.hub.seen.subscribe(),
            shutdown: console.shutdown.clone(),
            tick: interval(CLOCK_EVERY),
            adopt: resumed == Some(heads),
            shown: None,
            sent: Vec::new(),
            queue,
            view,
            console,
            _place: place,
        }
    }

    /// The next event; `None` when the program stops.
    async fn next(mut self) -> Option<(Result<Event, Infallible>, Self)> {
        loop {
            if let Some(event) = self.queue.pop_front() {
                return Some((Ok(event), self));
            }
            tokio::select! {
                biased;
                _ = self.shutdown.wait_for(|stop| *stop) => return None,
                _ = self.tick.tick() => {}
            }
            self.look().await;
        }
    }

    async fn look(&mut self) {
        let seen = *self.seen.borrow_and_update();
        if seen.away {
            return self.say_trouble();
        }
        if self.shown != Some(seen.heads) && self.fragments(seen.heads).await.is_err() {
            return self.say_trouble();
        }
        let face = ClockFace::at(self.console.now(), self.console.calendar.zone());
        if let Ok(html) = face.render() {
            self.queue.push_back(Event::default().event("clock").data(without_cr(&html)));
        }
    }

    fn say_trouble(&mut self) {
        let event = Event::default().event("trouble").data("database does not answer");
        self.queue.push_back(event);
    }

    async fn fragments(&mut self, heads: Heads) -> Result<(), Refusal> {
        let fragments = self.view.fragments(&self.console).await?;
        let before = self.sent.len();
        self.sent.resize(fragments.len().max(before), 0);
        for (at, html) in fragments.iter().enumerate() {
            let hash = hash_of(html);
            if self.sent[at] != hash && !self.adopt {
                let event = Event::default().event("fragment").id(id_text(heads));
                self.queue.push_back(event.data(without_cr(html)));
            }
            self.sent[at] = hash;
        }
        self.adopt = false;
        self.shown = Some(heads);
        Ok(())
    }
}

fn hash_of(html: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    html.hash(&mut hasher);
    hasher.finish()
}

/// A carriage return would end a line of the event; line feeds are carried over.
fn without_cr(html: &str) -> String {
    html.replace('\r', "")
}

/// `4711.23`: sequence of the log, number of the console's event.
fn id_text(heads: Heads) -> String {
    format!("{}.{}", heads.log_seq, heads.event_id)
}

fn parse_id(text: &str) -> Option<Heads> {
    let (log_seq, event_id) = text.split_once('.')?;
    Some(Heads { log_seq: log_seq.parse().ok()?, event_id: event_id.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_names_both_heads() {
        let heads = Heads { log_seq: 4_711, event_id: 23 };
        assert_eq!(parse_id(&id_text(heads)), Some(heads));
        assert_eq!(parse_id("x"), None);
        assert_eq!(parse_id("1.x"), None);
    }
}
