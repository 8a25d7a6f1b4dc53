use expect_test::expect;

use super::headend;
use crate::kit::temp::TempDir;

#[test]
fn the_sample_is_accepted_as_it_is() {
    let here = TempDir::new("sample");
    let sample = headend(here.path(), &["config", "sample"], &[]);
    assert_eq!((sample.code, sample.stderr.as_str()), (0, ""));
    std::fs::write(here.path().join("headend.toml"), &sample.stdout).unwrap();
    let check = headend(here.path(), &["config", "check", "--no-environment"], &[]);
    assert_eq!(check.code, 0, "{}", check.stderr);
    assert_eq!(check.stdout, "OK    the configuration is good\n");
}

#[test]
fn every_fault_is_told_in_one_run_and_the_program_ends_with_78() {
    let here = TempDir::new("faults");
    let conf_d = here.path().join("conf.d");
    std::fs::create_dir(&conf_d).unwrap();
    std::fs::write(
        here.path().join("headend.toml"),
        "[spool]\nmax_byte = 1\n[console]\nlisten = \"0.0.0.0:80\"\n",
    )
    .unwrap();
    std::fs::write(conf_d.join("10-mqtt.toml"), "[mqtt]\nurl = \"mqtts://b\"\n").unwrap();
    let variables = [("HEADEND__DATABASE__POOL_MAX", "none")];
    let ended = headend(here.path(), &["config", "check", "--no-environment"], &variables);
    assert_eq!((ended.code, ended.stdout.as_str()), (78, ""));
    expect![[r#"
        conf.d/10-mqtt.toml:2: mqtt.url: TLS is not in this build: let a tunnel or a broker bridge on this host carry it and write mqtt://127.0.0.1:1883
        headend.toml:2: unknown key spool.max_byte; `headend config sample` lists all keys
        headend.toml:4: console.listen: 0.0.0.0:80 is not a loopback address; until operators can log in, pages are served to this host only: write 127.0.0.1:80 and reach it through a tunnel
        HEADEND__DATABASE__POOL_MAX: database.pool_max: `none` is no whole number
    "#]].assert_eq(&ended.stderr);
}

#[test]
fn a_named_file_must_be_there() {
    let here = TempDir::new("absent");
    let ended = headend(here.path(), &["--config", "other.toml", "config", "check"], &[]);
    assert_eq!(ended.code, 78);
    expect![[r#"
        other.toml:1: cannot read the file: No such file or directory (os error 2)
    "#]]
    .assert_eq(&ended.stderr);
}

#[test]
fn values_are_shown_with_their_origin_and_without_passwords() {
    let here = TempDir::new("show");
    std::fs::write(here.path().join("headend.toml"), "[utility]\nname = \"=Stadtwerke\"\n")
        .unwrap();
    let variables = [("DATABASE_URL", "postgresql://u:hunter2@h/db")];
    let args = ["config", "show", "--origin", "--output", "csv", "--data-dir", "elsewhere"];
    let ended = headend(here.path(), &args, &variables);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let wanted: Vec<&str> = ended
        .stdout
        .lines()
        .filter(|line| {
            ["utility.name", "data.dir", "database.url"].iter().any(|key| line.starts_with(key))
        })
        .collect();
    expect![[r#"
        utility.name,"""=Stadtwerke""",headend.toml:2
        data.dir,"""elsewhere""",'--data-dir
        database.url,"""postgresql://u:***@h/db""",DATABASE_URL"#]]
    .assert_eq(&wanted.join("\n"));
    let json = headend(here.path(), &["config", "show", "--json"], &variables);
    let list: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(list[0]["key"], "utility.name");
}

#[test]
fn the_environment_is_looked_at_and_what_fails_is_named() {
    let here = TempDir::new("check");
    std::fs::write(
        here.path().join("headend.toml"),
        "[mqtt]\nurl = \"mqtt://127.0.0.1:1\"\npassword_file = \"secret\"\n\
         [console]\nlisten = \"127.0.0.1:0\"\n",
    )
    .unwrap();
    let ended = headend(here.path(), &["config", "check"], &[]);
    assert_eq!(ended.code, 69);
    expect![[r#"
        OK    the configuration is good
        OK    data.dir: data will be made at the first start
        OK    console.listen: 127.0.0.1:0 is free
        FAIL  mqtt.url: mqtt://127.0.0.1:1 does not answer: is the broker running?
        FAIL  mqtt.password_file: cannot read the secret in secret: let the account of the head-end read it: No such file or directory (os error 2)
    "#]].assert_eq(&ended.stdout);
    expect![[r#"
        headend: 2 of 4 things that the configuration names fail
    "#]]
    .assert_eq(&ended.stderr);
}
