//! A file of readings by hand: chosen, looked at, imported without its bad line, found on the
//! meter's page, and known when it comes again.

use std::fmt::Write as _;

use crate::acts::{fill, shows};
use crate::demo::TURN;
use crate::head_end::{HeadEnd, pictures};
use crate::webdriver::{Browser, Size, http};

const SIZE: Size = Size { width: 1_280, height: 720 };
const TRY: &str = "form[action='/files/try']";
const METERS: &str = "meter,source,commodity,address,field,reading_type,kind,unit,decimals,interval\n\
    E-77,nmi:NMI0000077,electricity,Mill Lane 7,E1,energy_active_import,interval,kWh,3,30m\n\
    W-1,sensus:K1,water,Mill Lane 8,reading,volume,register,gal,0,1d\n";
/// The line of the file that is wrong.
const BAD_LINE: &str = "300,20260602,1,2,3,A,,,,\n";

/// A day of half hours that rise from 0.100 kWh by 0.001, a line that is wrong, the next day whole.
fn nem12() -> String {
    let mut text = "100,NEM12,202606040100,MDP,RET\n\
                    200,NMI0000077,E1,1,E1,N1,SER1,kWh,30,\n"
        .to_owned();
    let day = |date: &str, first: u32| {
        let values: Vec<String> = (0..48).map(|slot| format!("0.{:03}", first + slot)).collect();
        format!("300,{date},{},A,,,20260604010000,\n", values.join(","))
    };
    writeln!(text, "{}{BAD_LINE}{}900", day("20260601", 100), day("20260603", 200)).unwrap();
    text
}

fn look_at(browser: &Browser, head_end: &HeadEnd, (name, text, kind): (&str, &str, &str)) {
    let path = head_end.path().join(name);
    std::fs::write(&path, text).unwrap();
    browser.go(&head_end.url("/files"));
    browser.choose_file("#f-file", &path);
    fill(browser, TRY, &[("kind", kind)], "button");
}

/// A route read on foot: serial, reading, month and day, note, in the columns of the K3.
fn route() -> String {
    let line = |(serial, reading, note): (&str, &str, &str)| {
        format!("{:12}{serial:15}{:16}{reading:9}0602{note:2}\n", "", "")
    };
    [("K1", "000004567", "GB"), ("K1", "", "DG"), ("K9", "000000012", "")].map(line).concat()
}

fn intervals(head_end: &HeadEnd) -> serde_json::Value {
    let path = "/api/v1/meters/E-77/intervals?from=2026-05-31T14:00:00Z&to=2026-06-04&limit=500";
    http(head_end.console, "GET", path, "")
}

fn stored(head_end: &HeadEnd) -> usize {
    let answer = intervals(head_end);
    answer["items"].as_array().unwrap_or_else(|| panic!("{answer}")).len()
}

#[test]
fn a_file_with_a_bad_line_is_looked_at_imported_and_known_again() {
    let _turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let test = "a_file_with_a_bad_line_is_looked_at_imported_and_known_again";
    let Some(head_end) = HeadEnd::start(test) else { return };
    head_end.provision(METERS);
    let browser = Browser::open(SIZE);

    look_at(&browser, &head_end, ("june.csv", &nem12(), ""));
    shows(&browser, "2 good records and 1 faulty; 96 readings would be stored.");
    shows(&browser, "value 4 is `A`: 48 values of 30 minutes are wanted");
    assert_eq!(browser.text("main tbody th"), "4", "{}", browser.text("main"));
    assert_eq!(stored(&head_end), 0);
    browser.picture("files-looked-at");
    let held = browser.run("return location.pathname");
    let held = held.as_str().unwrap().to_owned();
    pictures(&head_end, &[(&held, "files_looked_at"), ("/files", "files_waiting")]);

    fill(&browser, "form[action$='/import']", &[], "button");
    shows(&browser, "Imported; 1 faulty record left out");
    assert_eq!(stored(&head_end), 96);
    browser.run("document.querySelector('[data-list=told] a').click()");
    shows(&browser, "E-77");
    let link = "return document.querySelector(\"a[href*='green-button.xml']\").href";
    let link = browser.run(link);
    let feed = "const answer = await fetch(LINK); const text = await answer.text();
                return [text.split('<IntervalReading>').length - 1, text.includes('<value>123000<')]";
    let feed = browser.run(&feed.replace("LINK", &link.to_string()));
    assert_eq!(feed, serde_json::json!([96, true]), "{link}");
    browser
        .go(&head_end.url("/meters/E-77?tab=readings&from=2026-05-31T14:00&to=2026-06-01T14:00"));
    shows(&browser, "123");
    browser.picture("files-meter");

    look_at(&browser, &head_end, ("renamed.csv", &nem12(), ""));
    shows(
        &browser,
        "imported before, as file 1 (96 readings stored, 1 faulty record left out): nothing was changed",
    );
    assert_eq!(browser.run("return document.querySelector(\"form[action$='/import']\")"), {
        serde_json::Value::Null
    });
    assert_eq!(stored(&head_end), 96);

    look_at(&browser, &head_end, ("walk.txt", &route(), "sensus-k3"));
    shows(
        &browser,
        "1 reading would be stored, 1 of devices that are no meters yet; 1 meter not read",
    );
    fill(&browser, "form[action$='/import']", &[], "button");
    shows(&browser, "note=DG");
    shows(&browser, "1 record waits for a meter to be provisioned (1 reading): sensus:K9.");
    assert!(browser.complaints().is_empty());
    let walk = browser.run("return location.pathname");
    let walk = walk.as_str().unwrap();
    let notes = "/meters/W-1?tab=events";
    pictures(
        &head_end,
        &[
            ("/files", "files_history"),
            ("/files/1", "files_one"),
            (walk, "files_notes"),
            (notes, "files_meter_notes"),
        ],
    );
}
