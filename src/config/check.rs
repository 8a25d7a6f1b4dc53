//! `config check`: does this host have what the configuration names? Whether the database answers
//! is asked by the verb, which knows how to reach it.

use std::net::{TcpListener, TcpStream, ToSocketAddrs};
use std::path::Path;
use std::time::Duration;

use super::{Config, read_secret, read_wmbus_keys};
use crate::telemetry::chain;

/// A host that does not answer is given up after this.
const CONNECT_WAIT: Duration = Duration::from_secs(3);

/// One thing that was looked at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// The key that names it.
    pub key: &'static str,
    pub good: bool,
    pub what: String,
}

/// Looks at files, hosts and ports. It changes nothing: a data directory is made at the start only.
pub fn environment(config: &Config) -> Vec<Finding> {
    let mut findings = vec![data_dir(config), listen(config), broker(config)];
    let secrets = [
        ("database.password_file", &config.database.password_file),
        ("mqtt.password_file", &config.mqtt.password_file),
    ];
    for (key, path) in secrets {
        let Some(path) = path else { continue };
        findings.push(match read_secret(path) {
            Ok(_) => Finding { key, good: true, what: format!("{} is read", path.display()) },
            Err(error) => Finding { key, good: false, what: chain(&error) },
        });
    }
    if let Some(path) = &config.ingest.wmbus_keys_file {
        let key = "ingest.wmbus_keys_file";
        findings.push(match read_wmbus_keys(path) {
            Ok(keys) => {
                let what = format!("{} is read: {} devices", path.display(), keys.len());
                Finding { key, good: true, what }
            }
            Err(error) => Finding { key, good: false, what: chain(&error) },
        });
    }
    findings
}

fn data_dir(config: &Config) -> Finding {
    let key = "data.dir";
    let dir = &config.data.dir;
    // The nearest directory above that exists decides whether it can be made.
    let there = dir.ancestors().find(|path| path.exists()).unwrap_or(Path::new("."));
    let there = if there.as_os_str().is_empty() { Path::new(".") } else { there };
    let what = if !there.is_dir() {
        format!("{} is no directory: name another one", there.display())
    } else if there.metadata().is_ok_and(|data| data.permissions().readonly()) {
        format!("{} cannot be written: let the account of the head-end write it", there.display())
    } else if there == dir {
        return Finding { key, good: true, what: format!("{} is there", dir.display()) };
    } else {
        let what = format!("{} will be made at the first start", dir.display());
        return Finding { key, good: true, what };
    };
    Finding { key, good: false, what }
}

fn listen(config: &Config) -> Finding {
    let (key, address) = ("console.listen", config.console.listen);
    match TcpListener::bind(address) {
        Ok(_) => Finding { key, good: true, what: format!("{address} is free") },
        Err(error) => {
            let what = format!("{address} cannot be taken ({error}): is a head-end running there?");
            Finding { key, good: false, what }
        }
    }
}

fn broker(config: &Config) -> Finding {
    let (key, url) = ("mqtt.url", &config.mqtt.url);
    let found = (url.host.as_str(), url.port).to_socket_addrs();
    let mut addresses = match found {
        Ok(addresses) => addresses,
        Err(error) => {
            let what = format!("{} cannot be resolved ({error}): check the name", url.host);
            return Finding { key, good: false, what };
        }
    };
    let good = addresses.any(|address| TcpStream::connect_timeout(&address, CONNECT_WAIT).is_ok());
    let what = if good { "answers" } else { "does not answer: is the broker running?" };
    Finding { key, good, what: format!("{url} {what}") }
}
