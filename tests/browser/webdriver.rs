//! As much of WebDriver as these tests need: JSON over HTTP, one request per connection.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::kit::program::{Program, find, wait_for};
use crate::kit::temp::{TempDir, free_port};

const ANSWER_LIMIT: Duration = Duration::from_secs(60);

/// One request to this host; the answer's body as JSON.
pub(crate) fn http(port: u16, method: &str, path: &str, body: &str) -> Value {
    try_http(port, method, path, body).unwrap_or_else(|| panic!("no answer to {method} {path}"))
}

fn try_http(port: u16, method: &str, path: &str, body: &str) -> Option<Value> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(ANSWER_LIMIT)).ok()?;
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = Vec::new();
    // A body of known length is whole even if the peer keeps the connection.
    let mut chunk = [0; 65_536];
    loop {
        let count = stream.read(&mut chunk).ok()?;
        answer.extend_from_slice(&chunk[..count]);
        let text = String::from_utf8_lossy(&answer);
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            assert!(count > 0, "{method} {path}: the answer is cut");
            continue;
        };
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>())
        });
        let whole = length.is_some_and(|length| body.len() >= length.unwrap());
        if whole || count == 0 {
            return serde_json::from_str(body).ok();
        }
    }
}

/// The size of the window that pages are looked at with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) width: u32,
    pub(crate) height: u32,
}

/// A Chromium with a fresh profile.
#[derive(Debug)]
pub(crate) struct Browser {
    port: u16,
    session: String,
    _driver: Program,
    _profile: TempDir,
}

impl Browser {
    pub(crate) fn open(size: Size) -> Self {
        let profile = TempDir::new("chromium");
        let port = free_port();
        let mut command = Command::new(find("chromedriver").unwrap());
        command.arg(format!("--port={port}"));
        let driver = Program::start(&mut command, &profile.path().join("chromedriver.log"));
        let up = wait_for(Duration::from_secs(20), || {
            try_http(port, "GET", "/status", "").is_some_and(|s| s["value"]["ready"] == true)
        });
        assert!(up, "chromedriver does not start: {}", driver.log());
        let data = profile.path().join("profile");
        let arguments = [
            "--headless=new".to_owned(),
            // In a container, root has no other way; the pages are our own.
            "--no-sandbox".to_owned(),
            "--disable-gpu".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            "--no-first-run".to_owned(),
            "--disable-background-networking".to_owned(),
            "--disable-component-update".to_owned(),
            format!("--window-size={},{}", size.width, size.height),
            format!("--user-data-dir={}", data.display()),
        ];
        let metrics = json!({"width": size.width, "height": size.height, "pixelRatio": 1.0,
            "touch": false, "mobile": false});
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": {"args": arguments,
                "mobileEmulation": {"deviceMetrics": metrics}},
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"}}}});
        let answer = http(port, "POST", "/session", &wanted.to_string());
        let session = answer["value"]["sessionId"].as_str();
        let session = session.unwrap_or_else(|| panic!("no session: {answer}")).to_owned();
        Self { port, session, _driver: driver, _profile: profile }
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        let path = format!("/session/{}/{path}", self.session);
        let answer = http(self.port, "POST", &path, &body.to_string());
        assert!(answer["value"]["error"].is_null(), "{path}: {answer}");
        answer["value"].clone()
    }

    pub(crate) fn go(&self, url: &str) {
        self.post("url", &json!({"url": url}));
    }

    pub(crate) fn back(&self) {
        self.post("back", &json!({}));
    }

    /// What a script returns.
    pub(crate) fn run(&self, script: &str) -> Value {
        self.post("execute/sync", &json!({"script": script, "args": []}))
    }

    pub(crate) fn text(&self, selector: &str) -> String {
        let script = format!("return document.querySelector({selector:?})?.textContent ?? ''");
        self.run(&script).as_str().unwrap_or_default().to_owned()
    }

    /// Chooses a file of this machine in a file field.
    pub(crate) fn choose_file(&self, selector: &str, path: &std::path::Path) {
        let wanted = json!({"using": "css selector", "value": selector});
        let found = self.post("element", &wanted);
        let element = found.as_object().and_then(|found| found.values().next());
        let element = element.and_then(Value::as_str).unwrap_or_else(|| panic!("{found}"));
        let text = path.to_str().unwrap();
        self.post(&format!("element/{element}/value"), &json!({ "text": text }));
    }

    /// Moves the pointer along the points; with the button held from the first to the last if asked.
    pub(crate) fn point(&self, points: &[(i64, i64)], held: bool) {
        let mut actions = Vec::new();
        for (number, (x, y)) in points.iter().enumerate() {
            actions.push(json!({"type": "pointerMove", "duration": 50, "x": x, "y": y}));
            if held && number == 0 {
                actions.push(json!({"type": "pointerDown", "button": 0}));
            }
        }
        if held {
            actions.push(json!({"type": "pointerUp", "button": 0}));
        }
        let pointer = json!({"type": "pointer", "id": "mouse",
            "parameters": {"pointerType": "mouse"}, "actions": actions});
        self.post("actions", &json!({"actions": [pointer]}));
    }

    /// What the pages complained of since the last call.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let entries = self.post("se/log", &json!({"type": "browser"}));
        let entries = entries.as_array().unwrap().iter();
        entries
            .filter(|entry| entry["level"] == "SEVERE" || entry["level"] == "WARNING")
            .map(|entry| entry["message"].as_str().unwrap_or_default().to_owned())
            .collect()
    }

    /// The addresses that pages asked for since the last call.
    pub(crate) fn requests(&self) -> Vec<String> {
        let entries = self.post("se/log", &json!({"type": "performance"}));
        let messages = entries
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|entry| serde_json::from_str::<Value>(entry["message"].as_str()?).ok());
        messages
            .filter(|message| message["message"]["method"] == "Network.requestWillBeSent")
            .filter_map(|message| {
                Some(message["message"]["params"]["request"]["url"].as_str()?.to_owned())
            })
            .collect()
    }

    /// A picture for people, as base64 text turned into a file.
    pub(crate) fn picture(&self, name: &str) {
        let path = format!("/session/{}/screenshot", self.session);
        let answer = http(self.port, "GET", &path, "");
        let directory = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("screens");
        std::fs::create_dir_all(&directory).unwrap();
        let bytes = from_base64(answer["value"].as_str().unwrap_or_default());
        std::fs::write(directory.join(format!("{name}.png")), bytes).unwrap();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Chromium outlives a driver that is killed; this ends it.
        try_http(self.port, "DELETE", &format!("/session/{}", self.session), "");
    }
}

fn from_base64(text: &str) -> Vec<u8> {
    let value = |byte: u8| match byte {
        b'A'..=b'Z' => Some(u32::from(byte - b'A')),
        b'a'..=b'z' => Some(u32::from(byte - b'a') + 26),
        b'0'..=b'9' => Some(u32::from(byte - b'0') + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let sextets: Vec<u32> = text.bytes().filter_map(value).collect();
    let mut bytes = Vec::with_capacity(sextets.len() * 3 / 4);
    for group in sextets.chunks(4) {
        let mut bits = 0;
        for place in 0..4 {
            bits = bits << 6 | group.get(place).copied().unwrap_or(0);
        }
        bytes.extend_from_slice(&bits.to_be_bytes()[1..group.len()]);
    }
    bytes
}

#[test]
fn pictures_are_decoded() {
    assert_eq!(from_base64("aGVhZGVuZA=="), b"headend");
}
