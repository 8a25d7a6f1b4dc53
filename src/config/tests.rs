use std::path::Path;

use expect_test::{Expect, expect};

use super::*;

fn of_text(text: &str, environment: &Environment, overrides: &[Override]) -> Layers {
    let mut layers = Layers::builtin();
    layers.add_state_directory(environment);
    layers.add_text(Path::new("headend.toml"), text, environment);
    layers.add_environment(environment);
    layers.add_overrides(overrides);
    layers
}

fn check_faults(text: &str, environment: &Environment, want: Expect) {
    let faults = match Config::of_layers(&of_text(text, environment, &[]), environment) {
        Ok(_) => "no fault".to_owned(),
        Err(error) => error.to_string(),
    };
    want.assert_eq(&faults);
}

#[test]
fn all_faults_are_told_in_one_run_with_their_lines() {
    check_faults(
        r#"
[ingest]
batch_row_max = 5
batch_wait_max = "soon"
raw_keep = 90
[console]
listen = "0.0.0.0:8080"
[database]
url = "postgresql://headend:hunter2@db/headend"
password = "hunter2"
pool_max = 1
[utility]
zone = "Mars/Olympus"
[embedded.settings]
fsync = false
[[mqtt.subscriptions]]
filter = "amr/#/x"
format = "rtlamr2"
colector_level = 2
[[mqtt.subscriptions]]
format = "bundle"
"#,
        &Environment::default(),
        expect![[r#"
            headend.toml:3: unknown key ingest.batch_row_max; did you mean ingest.batch_rows_max?
            headend.toml:4: ingest.batch_wait_max: `soon` is no duration: write for example 200ms, 30s, 15m, 2h or 35d
            headend.toml:5: ingest.raw_keep: 90 is a number: write it in quotes
            headend.toml:7: console.listen: 0.0.0.0:8080 is not a loopback address; until operators can log in, pages are served to this host only: write 127.0.0.1:8080 and reach it through a tunnel
            headend.toml:9: database.url: the URL holds a password; leave it out and set database.password_file
            headend.toml:10: database.password: a secret is never written here; put it into a file and set database.password_file
            headend.toml:11: database.pool_max: 1 is not within 2 to 1000
            headend.toml:13: utility.zone: `Mars/Olympus` is no zone of the IANA list: write for example Europe/Berlin or UTC
            headend.toml:15: embedded.settings.fsync: cannot be turned off: acknowledged readings could be lost
            headend.toml:17: mqtt.subscriptions: filter: `amr/#/x` is no topic filter: `+` is a whole level, `#` the last one
            headend.toml:18: mqtt.subscriptions: format: `rtlamr2` is no payload format: `headend protocols list` names them all
            headend.toml:19: mqtt.subscriptions: unknown key colector_level; did you mean collector_level?
            headend.toml:20: mqtt.subscriptions: filter is missing: write filter = "ami/up/#"
            headend.toml:20: mqtt.subscriptions: the filter ami/up/# stands twice"#]],
    );
}

#[test]
fn broken_syntax_is_told_with_its_line() {
    check_faults(
        "[mqtt]\nurl = \"mqtt://h\nclient_id = 5 5\n",
        &Environment::default(),
        expect![[r#"
            headend.toml:2: invalid basic string, expected `"`
            headend.toml:3: string values must be quoted, expected literal string"#]],
    );
}

#[test]
fn variables_are_checked_like_files() {
    let environment = Environment::from([
        ("HEADEND__INGEST__BATCH_ROWS", "9"),
        ("HEADEND__DATABASE__POOL_MAX", "many"),
        ("HEADEND__MQTT__SUBSCRIPTIONS", "amr/#"),
    ]);
    check_faults(
        "log = { level = \"${LEVEL}\" }",
        &environment,
        expect![[r#"
            headend.toml:1: the variable LEVEL is not set; set it or write ${LEVEL:-default}
            HEADEND__DATABASE__POOL_MAX: database.pool_max: `many` is no whole number
            HEADEND__INGEST__BATCH_ROWS: unknown key ingest.batch_rows; did you mean ingest.batch_rows_max?
            HEADEND__MQTT__SUBSCRIPTIONS: write a list as in TOML: [{ filter = "ami/up/#", format = "bundle" }]"#]],
    );
}

#[test]
fn later_layers_win() {
    let text = r#"
data.dir = "from-file"
[mqtt]
url = "mqtt://${BROKER:-file}"
[[mqtt.subscriptions]]
filter = "amr/+/rtlamr"
format = "rtlamr"
collector_level = 2
zone = "Europe/Berlin"
"#;
    let environment = Environment::from([
        ("STATE_DIRECTORY", "/var/lib/headend:/other"),
        ("HEADEND__CONSOLE__LISTEN", "[::1]:9000"),
        ("HEADEND__EMBEDDED__SETTINGS__WORK_MEM", "64MB"),
        ("HEADEND__DATABASE__URL", "postgresql://a@variable/db"),
        ("DATABASE_URL", "postgresql://a:b@database-url/db"),
    ]);
    let overrides =
        [Override { key: "database.pool_max", value: "4".into(), option: "--database-pool" }];
    let layers = of_text(text, &environment, &overrides);
    let config = Config::of_layers(&layers, &environment).unwrap();
    assert_eq!(config.data.dir, Path::new("from-file"));
    assert_eq!(config.mqtt.url.host, "file");
    assert_eq!(config.mqtt.subscriptions.len(), 1);
    assert_eq!(config.mqtt.subscriptions[0].collector_level, Some(2));
    assert_eq!(config.console.listen.to_string(), "[::1]:9000");
    assert_eq!(config.embedded.settings["work_mem"], "64MB");
    assert_eq!(config.database.url.as_deref(), Some("postgresql://a:b@database-url/db"));
    assert_eq!(config.database.pool_max, 4);

    let layers = of_text("", &environment, &[]);
    let config = Config::of_layers(&layers, &environment).unwrap();
    assert_eq!(config.data.dir, Path::new("/var/lib/headend"));
    assert_eq!(config.mqtt.subscriptions[0].filter, "ami/up/#");
}

#[test]
fn subscriptions_come_from_a_variable_too() {
    let list = r#"[{ filter = "a/#", format = "rtl_433", zone = "UTC" }]"#;
    let environment = Environment::from([("HEADEND__MQTT__SUBSCRIPTIONS", list)]);
    let config = Config::of_layers(&of_text("", &environment, &[]), &environment).unwrap();
    assert_eq!(config.mqtt.subscriptions[0].filter, "a/#");
}

#[test]
fn every_key_is_read_by_a_struct_and_every_read_key_is_listed() {
    let layers = Layers::builtin();
    let mut reader = Reader::new(&layers);
    Config::read(&mut reader, &Environment::default());
    let mut listed: Vec<&str> = keys::KEYS.iter().map(|key| key.path).collect();
    listed.extend([keys::SUBSCRIPTIONS, keys::GATEWAYS, keys::UNITS]);
    listed.sort_unstable();
    assert_eq!(reader.asked.into_iter().collect::<Vec<_>>(), listed);
    assert_eq!(reader.faults, []);
}

#[test]
fn the_sample_holds_every_key_and_is_the_default() {
    let layers = of_text(&sample(), &Environment::default(), &[]);
    assert_eq!(layers.faults, []);
    let from_file = |shown: &Shown| matches!(shown.origin, Origin::File { .. });
    let shown = sample::shown_of(&layers);
    let written: Vec<&str> =
        shown.iter().filter(|one| from_file(one)).map(|one| one.key.as_str()).collect();
    let missing: Vec<&str> =
        shown.iter().filter(|one| !from_file(one)).map(|one| one.key.as_str()).collect();
    assert_eq!(missing, [""; 0]);
    assert_eq!(written.len(), keys::KEYS.len() + keys::SUBSCRIPTION_KEYS.len());
    for one in sample::shown_of(&Layers::builtin()) {
        assert!(shown.iter().any(|other| other.key == one.key && other.value == one.value));
    }
    let config = Config::of_layers(&layers, &Environment::default()).unwrap();
    assert_eq!(config.mqtt.subscriptions[0].filter, "ami/up/#");
}

#[test]
fn passwords_are_not_shown() {
    let environment = Environment::from([("DATABASE_URL", "postgresql://u:hunter2@h/db")]);
    let shown = shown(&Sources::default(), &environment);
    let url = shown.iter().find(|one| one.key == "database.url").unwrap();
    assert_eq!(url.value, "\"postgresql://u:***@h/db\"");
    assert_eq!(url.origin.to_string(), "DATABASE_URL");
}

#[test]
fn subscriptions_say_what_their_decoders_obey() {
    let text = r#"
[[mqtt.subscriptions]]
filter = "dsmr/+/raw"
format = "p1"
share = "headend"
crc = "required"
tariffs = "high_first"
device_level = 2
[[mqtt.subscriptions]]
filter = "v3/#"
format = "the_things"
accept_simulated = true
"#;
    let environment = Environment::from([]);
    let config = Config::of_layers(&of_text(text, &environment, &[]), &environment).unwrap();
    let [p1, tts] = &config.mqtt.subscriptions[..] else { panic!("two subscriptions") };
    assert_eq!(p1.filter, "$share/headend/dsmr/+/raw");
    assert_eq!(p1.options.crc, protocols::CrcRule::Required);
    assert_eq!(p1.options.tariffs, protocols::TariffOrder::HighFirst);
    assert_eq!(p1.options.device_level, Some(2));
    assert!(tts.options.accept_simulated && !p1.options.accept_simulated);

    let text = r#"
[[mqtt.subscriptions]]
filter = "tele/+/SENSOR"
format = "tasmota"
share = "a/b"
crc = "maybe"
accept_simulated = "yes"
"#;
    let faults = Config::of_layers(&of_text(text, &environment, &[]), &environment).unwrap_err();
    let faults = faults.to_string();
    for want in ["zone is missing", "`a/b` is no group", "crc: `maybe`", "accept_simulated: "] {
        assert!(faults.contains(want), "{want}: {faults}");
    }
}
