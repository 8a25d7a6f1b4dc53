//! A head-end that nothing is told of yet, for walkthroughs from an empty start.

use std::path::Path;
use std::process::Command;

use crate::acts::LIMIT;
use crate::demo::built;
use crate::kit::mosquitto::Mosquitto;
use crate::kit::program::{Program, find, has_postgres, wait_for};
use crate::kit::skip::skip;
use crate::kit::temp::{TempDir, free_port};
use crate::webdriver::{Browser, Size};

/// A head-end with a broker of its own, and nothing configured but the bundles.
#[derive(Debug)]
pub(crate) struct HeadEnd {
    pub(crate) console: u16,
    directory: TempDir,
    broker: Mosquitto,
    _program: Program,
}

impl HeadEnd {
    /// `None` after saying that the test is skipped.
    pub(crate) fn start(test: &str) -> Option<Self> {
        for needed in ["chromedriver", "chromium", "mosquitto_pub"] {
            if find(needed).is_none() {
                skip(test, &format!("{needed} is not installed"));
                return None;
            }
        }
        if !has_postgres(test) {
            return None;
        }
        let broker = Mosquitto::start(test)?;
        let directory = TempDir::new("browser-head-end");
        let console = free_port();
        let text = format!(
            "[utility]\nname = \"Test utility\"\nzone = \"UTC\"\n[data]\ndir = \"data\"\n\
             [console]\nlisten = \"127.0.0.1:{console}\"\n[mqtt]\n\
             url = \"mqtt://127.0.0.1:{}\"\nclient_id = \"headend-browser\"\n",
            broker.port
        );
        std::fs::write(directory.path().join("headend.toml"), text).unwrap();
        let mut command = Command::new(built());
        command.arg("serve").current_dir(directory.path());
        let log = directory.path().join("headend.log");
        let mut program = Program::start(&mut command, &log);
        let ready = wait_for(LIMIT, || {
            assert!(program.is_running(), "the head-end ended: {}", program.log());
            program.log().contains("The head-end is running")
                && std::net::TcpStream::connect(("127.0.0.1", console)).is_ok()
        });
        assert!(ready, "not ready: {}", program.log());
        Some(Self { console, directory, broker, _program: program })
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.console)
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn publish(&self, topic: &str, payload: &str) {
        let sent = Command::new("mosquitto_pub")
            .args(["-p", &self.broker.port.to_string(), "-q", "1", "-V", "5"])
            .args(["-t", topic, "-m", payload])
            .status();
        assert!(sent.unwrap().success());
    }

    /// Makes meters, as an operator does beside the running head-end.
    pub(crate) fn provision(&self, csv: &str) {
        std::fs::write(self.path().join("meters.csv"), csv).unwrap();
        let done = Command::new(built())
            .args(["meters", "provision", "meters.csv"])
            .current_dir(self.path())
            .output()
            .unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
}

/// Leaves pictures of pages at both sizes, and sees to it that they fit.
pub(crate) fn pictures(head_end: &HeadEnd, pages: &[(&str, &str)]) {
    for size in [Size { width: 1_280, height: 720 }, Size { width: 390, height: 844 }] {
        let browser = Browser::open(size);
        for (path, name) in pages {
            browser.go(&head_end.url(path));
            browser.picture(&format!("{}_{name}", size.width));
            let overflow = "return document.documentElement.scrollWidth \
                            - document.documentElement.clientWidth";
            assert_eq!(browser.run(overflow).as_i64(), Some(0), "{path} is too wide for {size:?}");
        }
        assert!(browser.complaints().is_empty());
    }
}
