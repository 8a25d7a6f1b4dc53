//! Style sheet and scripts: in the binary, under names that carry their own hash, so that a browser
//! may keep them for ever and never has an old one.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

use super::refusal::Refusal;
use super::state::ConsoleState;

const CSS: &[u8] = include_bytes!("assets/console.css");
const CHART_JS: &[u8] = include_bytes!("assets/chart.js");
const TABLE_JS: &[u8] = include_bytes!("assets/table.js");
const ICON: &[u8] = include_bytes!("assets/icon.svg");
const LIVE_JS: &str = include_str!("assets/live.js");

/// A file as served.
#[derive(Clone, Debug)]
struct Asset {
    /// `console.0123456789abcdef.css`
    name: String,
    mime: &'static str,
    bytes: Arc<[u8]>,
}

/// All files of the console, and the addresses that pages link.
#[derive(Clone, Debug)]
pub(super) struct Assets {
    files: [Asset; 5],
    build: String,
}

impl Assets {
    /// Names every file by its content. A script that imports another names it by its hash too.
    #[must_use]
    pub(super) fn new() -> Self {
        let css = Asset::new("console", "css", "text/css; charset=utf-8", CSS);
        let chart = Asset::new("chart", "js", "text/javascript; charset=utf-8", CHART_JS);
        let live = LIVE_JS.replace("./chart.js", &format!("./{}", chart.name));
        let live = Asset::new("live", "js", "text/javascript; charset=utf-8", live.as_bytes());
        let table = Asset::new("table", "js", "text/javascript; charset=utf-8", TABLE_JS);
        let icon = Asset::new("icon", "svg", "image/svg+xml", ICON);
        let mut all = Sha256::new();
        for file in [&css, &chart, &live, &table, &icon] {
            all.update(file.name.as_bytes());
        }
        all.update(env!("CARGO_PKG_VERSION").as_bytes());
        let build = short_hex(&all.finalize());
        Self { files: [css, chart, live, table, icon], build }
    }

    /// Changes when the program's pages may no longer fit those that a browser holds.
    pub(super) fn build(&self) -> &str {
        &self.build
    }

    pub(super) fn css(&self) -> String {
        self.files[0].address()
    }

    pub(super) fn chart(&self) -> String {
        self.files[1].address()
    }

    pub(super) fn live(&self) -> String {
        self.files[2].address()
    }

    pub(super) fn table(&self) -> String {
        self.files[3].address()
    }

    pub(super) fn icon(&self) -> String {
        self.files[4].address()
    }
}

impl Default for Assets {
    fn default() -> Self {
        Self::new()
    }
}

impl Asset {
    fn new(stem: &str, extension: &str, mime: &'static str, bytes: &[u8]) -> Self {
        let hash = short_hex(&Sha256::digest(bytes));
        Self { name: format!("{stem}.{hash}.{extension}"), mime, bytes: bytes.into() }
    }

    fn address(&self) -> String {
        format!("/assets/{}", self.name)
    }
}

fn short_hex(digest: &[u8]) -> String {
    digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// `GET /assets/{name}`.
pub(super) async fn serve(
    State(console): State<ConsoleState>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let file = console.assets.files.iter().find(|file| file.name == name);
    let file = file.ok_or_else(|| Refusal::not_found(format!("There is no file “{name}”.")))?;
    let etag = format!("\"{}\"", file.name);
    let kept = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let fixed = [
        (header::ETAG, etag.as_str()),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
        (header::CONTENT_TYPE, file.mime),
    ];
    if kept.is_some_and(|kept| kept.split(',').any(|tag| tag.trim() == etag)) {
        return Ok((StatusCode::NOT_MODIFIED, fixed).into_response());
    }
    Ok((fixed, file.bytes.to_vec()).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_carry_the_hash_and_scripts_import_by_it() {
        let assets = Assets::new();
        let chart = assets.chart();
        let name = chart.strip_prefix("/assets/").unwrap();
        let live = String::from_utf8(assets.files[2].bytes.to_vec()).unwrap();
        assert!(live.contains(&format!("from \"./{name}\"")), "{name}");
        assert_eq!(assets.build().len(), 16);
    }

    #[test]
    fn scripts_stay_small_and_off_host() {
        for (name, text) in [
            ("live.js", LIVE_JS.as_bytes()),
            ("chart.js", CHART_JS),
            ("table.js", TABLE_JS),
            ("console.css", CSS),
        ] {
            let text = std::str::from_utf8(text).unwrap();
            assert!(name == "console.css" || text.lines().count() <= 200, "{name} is too long");
            // The SVG namespace is a name, not a request.
            let rest = text.replace("http://www.w3.org/2000/svg", "");
            assert!(!rest.contains("http://") && !rest.contains("https://"), "{name}");
            assert!(!rest.contains("eval(") && !rest.contains("@import"), "{name}");
        }
    }
}
