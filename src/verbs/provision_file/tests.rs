use expect_test::{Expect, expect};

use super::*;

const DOCUMENT: &str = include_str!("../../../docs/provisioning.md");

fn of(text: &str) -> ProvisionFile {
    let defaults = Defaults {
        utility: "Stadtwerke".into(),
        time_zone: "Europe/Berlin".into(),
        families: ["own".to_owned(), "modbus".to_owned()].into(),
        collectors: [3, 5].map(|unit| (format!("modbus:gw1/{unit}"), "gw1".to_owned())).into(),
    };
    read("meters.csv", text, &defaults)
}

fn check_faults(text: &str, want: Expect) {
    let file = of(text);
    let mut shown: Vec<String> = file.faults.iter().map(ToString::to_string).collect();
    let accepted: Vec<&str> = file.meters.iter().map(|meter| meter.number.as_str()).collect();
    shown.push(format!("accepted {accepted:?}, refused {:?}", file.refused));
    want.assert_eq(&shown.join("\n"));
}

#[test]
fn a_polled_device_is_heard_by_its_gateway_unless_the_file_says_otherwise() {
    let file = of("meter,source,commodity,collector,field,reading_type,unit,decimals\n\
         A,modbus:gw1/3,electricity,,e,energy_active_import,kWh,3\n\
         B,modbus:gw1/5,electricity,C-9,e,energy_active_import,kWh,3\n\
         C,modbus:gw1/4,electricity,,e,energy_active_import,kWh,3\n");
    let heard = file.meters.iter().map(|meter| (meter.number.as_str(), meter.collector.as_deref()));
    let heard: Vec<_> = heard.collect();
    assert_eq!(heard, [("A", Some("gw1")), ("B", Some("C-9")), ("C", None)], "{:?}", file.faults);
}

/// The example of the document, between its fences.
fn example() -> &'static str {
    let from = DOCUMENT.find("```csv\n").unwrap() + 7;
    &DOCUMENT[from..from + DOCUMENT[from..].find("```").unwrap()]
}

#[test]
fn the_document_lists_the_columns() {
    let want: Vec<String> = COLUMNS
        .iter()
        .map(|column| format!("| `{}` | {} | {} |", column.name, column.default, column.about))
        .collect();
    let rows: Vec<&str> = DOCUMENT.lines().filter(|line| line.starts_with("| `")).collect();
    assert_eq!(rows, want, "docs/provisioning.md should hold:\n{}", want.join("\n"));
}

#[test]
fn the_example_of_the_document_is_accepted() {
    let file = of(example());
    assert_eq!(file.faults, []);
    let numbers: Vec<&str> = file.meters.iter().map(|meter| meter.number.as_str()).collect();
    assert_eq!(numbers, ["E-501", "W-601", "G-701"]);
    assert_eq!(file.meters[0].channels.len(), 2);
    assert_eq!(file.collectors.len(), 1);
}

#[test]
fn faults_name_line_column_and_way_out_and_refuse_the_whole_meter() {
    check_faults(
        "meter,source,commodity,field,reading_type,unit,decimals,interval,tags,multiplier,time_zone\n\
         A,ert:1,water,consumption,volume,gal,0,1h,,10,\n\
         B,ert:1,water,consumption,volume,gal,0,,,,\n\
         C,,wine,x,volume,L,0,,,,\n\
         D,D,water,consumption,volume,kWh,,7m,hospitl,0,Mars\n\
         D,,gas,other,volume,m3,0,,,,\n\
         E,,electricity,a,energy_active_import,kWh,3,,,,\n\
         E,,electricity,a,energy_active_import,kWh,3,,,,\n\
         ,,water,consumption,volume,m3,0,,,,\n\
         F,,water,consumption,volume,count,0,,,,\n",
        expect![[r#"
            meters.csv:3: source: ert:1 belongs to the meter A already
            meters.csv:4: commodity: `wine` is none of: electricity, water, gas, heat
            meters.csv:5: source: `D`: write for example ert:44448439 or ami:E-1001
            meters.csv:5: time_zone: `Mars` is no zone: write for example Europe/Berlin
            meters.csv:5: tags: `hospitl` is none of: hospital, cooling_tower, fire, irrigation_only, irrigation, pool_fill, street_light, telecom, netmeter, pv, ev, vacant, seasonal, critical, process_gas, hydrant, school
            meters.csv:5: unit: kWh does not measure volume: write L or its like
            meters.csv:5: decimals: is empty
            meters.csv:5: multiplier: `0`: write a decimal above 0 with at most 8 digits after the point
            meters.csv:5: interval: a day is not a whole number of these: write for example 15m or 1h
            meters.csv:6: commodity: `gas`, but the meter's first line says water
            meters.csv:8: field: the meter has `a` already
            meters.csv:9: meter: is empty
            meters.csv:10: unit: `count` says nothing: write the unit of one count, and a multiplier
            accepted ["A"], refused {"", "B", "C", "D", "E", "F"}"#]],
    );
}

#[test]
fn a_family_that_nothing_sends_as_is_refused() {
    check_faults(
        "meter,source,commodity,field,reading_type,unit,decimals\n\
         A,own:7,water,a,volume,m3,0\n\
         B,sparkplug:G/N/D,water,a,volume,m3,0\n\
         C,etr:44448439,water,a,volume,m3,0\n\
         D,plutonium:9,water,a,volume,m3,0\n\
         E,collector:C-1,water,a,volume,m3,0\n",
        expect![[r#"
            meters.csv:4: source: `etr:44448439`: nothing sends as `etr`; did you mean `ert`?
            meters.csv:5: source: `plutonium:9`: nothing sends as `plutonium`; take its mapping live first (docs/mapping.md), or lay its layout in files.layouts
            meters.csv:6: source: `collector:C-1`: nothing sends as `collector`; take its mapping live first (docs/mapping.md), or lay its layout in files.layouts
            accepted ["A", "B"], refused {"C", "D", "E"}"#]],
    );
}

#[test]
fn heads_are_checked_before_anything_is_taken() {
    check_faults(
        "meter,comodity,field,unit\nA,water,x,m3\n",
        expect![[r#"
        meters.csv:1: comodity: no such column; did you mean commodity?
        meters.csv:1: commodity: the column is missing in the head line
        meters.csv:1: reading_type: the column is missing in the head line
        accepted [], refused {}"#]],
    );
}

#[test]
fn semicolons_and_a_byte_order_mark_of_a_spreadsheet_are_taken() {
    let text =
        "\u{feff}meter;commodity;field;reading_type;unit;decimals\r\nA;water;c;volume;m3;3\r\n";
    let file = of(text);
    assert_eq!(file.faults, []);
    let meter = &file.meters[0];
    assert_eq!(meter.sources[0].as_str(), "ami:A");
    assert_eq!((meter.contact_every_s, meter.battery_powered), (86_400, true));
    assert_eq!((meter.channels[0].len_s, meter.channels[0].resolution), (3_600, 1_000));
    assert_eq!((meter.utility.as_str(), meter.time_zone.as_str()), ("Stadtwerke", "Europe/Berlin"));
}

#[test]
fn what_is_written_is_read_back() {
    let file = of(example());
    let mut out = Vec::new();
    write(&file.meters, &file.collectors, &file.zones, &mut out).unwrap();
    let again = of(std::str::from_utf8(&out).unwrap());
    assert_eq!(again.faults, []);
    assert_eq!(again.meters, file.meters);
    assert_eq!(again.collectors, file.collectors);
}
