//! Sessions of an edge node, message by message.

use expect_test::{Expect, expect};
use metering::UtcTime;

use super::{Heard, Nodes};
use crate::describe::describe;
use crate::mapping::Mapping;
use crate::options::DecodeOptions;
use crate::{DecodeContext, RejectReason};

const START: &str = "2026-11-22T10:00:00Z";

/// A metric in the making.
struct M(Vec<u8>);

fn varint(into: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        into.push(u8::try_from(value & 0x7f).unwrap() | 0x80);
        value >>= 7;
    }
    into.push(u8::try_from(value).unwrap());
}

impl M {
    fn named(name: &str) -> Self {
        let mut bytes = vec![0x0a];
        varint(&mut bytes, name.len() as u64);
        bytes.extend_from_slice(name.as_bytes());
        Self(bytes)
    }

    fn alias(alias: u64) -> Self {
        Self(Vec::new()).field(2, alias)
    }

    fn field(mut self, number: u64, value: u64) -> Self {
        varint(&mut self.0, number << 3);
        varint(&mut self.0, value);
        self
    }

    /// Datatype and value: an integer.
    fn whole(self, datatype: u64, value: u64) -> Self {
        let number = if matches!(datatype, 4 | 8) { 11 } else { 10 };
        self.field(4, datatype).field(number, value)
    }

    fn double(mut self, value: f64) -> Self {
        self.0.push(0x69);
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    fn at(self, millis: u64) -> Self {
        self.field(3, millis)
    }
}

fn payload(seq: Option<u64>, millis: u64, metrics: Vec<M>) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.push(0x08);
    varint(&mut bytes, millis);
    for metric in metrics {
        bytes.push(0x12);
        varint(&mut bytes, metric.0.len() as u64);
        bytes.extend_from_slice(&metric.0);
    }
    if let Some(seq) = seq {
        bytes.push(0x18);
        varint(&mut bytes, seq);
    }
    bytes
}

struct Rig {
    nodes: Nodes,
    mapping: Option<Mapping>,
}

impl Rig {
    fn new() -> Self {
        Self { nodes: Nodes::default(), mapping: None }
    }

    /// Receives so many seconds after the start.
    fn tell(&mut self, at_s: i64, topic: &str, payload: &[u8]) -> Heard {
        let context = DecodeContext {
            topic,
            received_at: UtcTime::parse_rfc3339(START).unwrap().plus_seconds(at_s),
            zone: None,
            collector: None,
            mapping: self.mapping.as_ref(),
            options: &DecodeOptions::DEFAULT,
        };
        self.nodes.receive(&context, payload, false)
    }
}

fn millis(at_s: i64) -> u64 {
    let at = UtcTime::parse_rfc3339(START).unwrap().plus_seconds(at_s);
    u64::try_from(at.micros() / 1_000).unwrap()
}

fn birth(bd_seq: u64) -> Vec<u8> {
    payload(
        Some(0),
        millis(0),
        vec![
            M::named("bdSeq").whole(8, bd_seq),
            M::named("Node Control/Rebirth").field(4, 11).field(14, 0),
            M::named("Meter/Energy").field(2, 1).field(4, 10).double(12345.678),
        ],
    )
}

fn device_birth(seq: u64) -> Vec<u8> {
    let metrics = vec![
        M::named("Volume").field(2, 7).whole(8, 4_711),
        M::named("Temp").field(2, 8).whole(2, 0xfff6),
        M::named("Leak").field(2, 9).field(4, 11).field(14, 1),
    ];
    payload(Some(seq), millis(1), metrics)
}

fn said(heard: Heard) -> String {
    let asked = heard.ask.map(|ask| format!("asks {}\n", ask.topic)).unwrap_or_default();
    let born = heard.born.map(|born| format!("born since {}\n", born.since)).unwrap_or_default();
    let told = match heard.refused {
        Some(refused) => describe(Err(refused)),
        None => describe(Ok(heard.reports)),
    };
    asked + &born + &told
}

#[expect(clippy::needless_pass_by_value, reason = "goldens are written in place")]
fn check(heard: Heard, want: Expect) {
    want.assert_eq(&said(heard));
}

#[test]
fn births_name_what_data_carry_by_number() {
    let mut rig = Rig::new();
    check(
        rig.tell(1, "spBv1.0/G/NBIRTH/N", &birth(3)),
        expect![[r#"
        born since 2026-11-22T10:00:01Z
        sparkplug:G/N heard 2026-11-22T10:00:00Z device, 1 reads
          register Meter/Energy 12345.678 (2026-11-22T10:00:00Z device)
        collector:G.N heard 2026-11-22T10:00:01Z arrival, 0 reads
          event link_up/0 once `birth` (2026-11-22T10:00:01Z arrival)
    "#]],
    );
    check(
        rig.tell(2, "spBv1.0/G/DBIRTH/N/W-1", &device_birth(1)),
        expect![[r#"
            born since 2026-11-22T10:00:01Z
            sparkplug:G/N/W-1 via G.N heard 2026-11-22T10:00:01Z device, 2 reads
              register Volume 4711 (2026-11-22T10:00:01Z device)
              register Temp -10 (2026-11-22T10:00:01Z device)
        "#]],
    );
    let data = vec![
        M::alias(7).field(11, 4_712).at(millis(3)),
        M::alias(7).field(11, 4_700).at(millis(-900)).field(5, 1),
        M::alias(8).field(7, 1),
        M::alias(8).field(10, 12).field(6, 1),
    ];
    check(
        rig.tell(3, "spBv1.0/G/DDATA/N/W-1", &payload(Some(2), millis(3), data)),
        expect![[r#"
        sparkplug:G/N/W-1 via G.N heard 2026-11-22T10:00:03Z device, 2 reads
          register Volume 4712 (2026-11-22T10:00:03Z device)
          register Volume 4700 history (2026-11-22T09:45:00Z device)
          register Temp - (2026-11-22T10:00:03Z device)
    "#]],
    );
}

#[test]
fn data_before_the_birth_wait_for_it_and_are_told_again() {
    let mut rig = Rig::new();
    let data = payload(Some(5), millis(1), vec![M::alias(1).double(12346.0)]);
    check(
        rig.tell(1, "spBv1.0/G/NDATA/N", &data),
        expect![[r#"
        asks spBv1.0/G/NCMD/N
        refused no_birth: the node's birth was not heard
    "#]],
    );
    // Asked once a minute at most.
    check(
        rig.tell(30, "spBv1.0/G/NDATA/N", &data),
        expect![[r#"
        refused no_birth: the node's birth was not heard
    "#]],
    );
    check(
        rig.tell(61, "spBv1.0/G/NDATA/N", &data),
        expect![[r#"
        asks spBv1.0/G/NCMD/N
        refused no_birth: the node's birth was not heard
    "#]],
    );
    check(
        rig.tell(62, "spBv1.0/G/NBIRTH/N", &birth(3)),
        expect![[r#"
        born since 2026-11-22T10:00:01Z
        sparkplug:G/N heard 2026-11-22T10:00:00Z device, 1 reads
          register Meter/Energy 12345.678 (2026-11-22T10:00:00Z device)
        collector:G.N heard 2026-11-22T10:01:02Z arrival, 0 reads
          event link_up/0 once `birth` (2026-11-22T10:01:02Z arrival)
    "#]],
    );
    // Quarantined messages come with the time of their arrival.
    check(
        rig.tell(1, "spBv1.0/G/NDATA/N", &data),
        expect![[r#"
        sparkplug:G/N heard 2026-11-22T10:00:01Z device, 1 reads
          register Meter/Energy 12346 (2026-11-22T10:00:01Z device)
    "#]],
    );
}

#[test]
fn what_waited_while_a_node_died_belongs_to_nobody() {
    let mut rig = Rig::new();
    let data = payload(Some(5), millis(1), vec![M::alias(1).double(12346.0)]);
    let _ = rig.tell(62, "spBv1.0/G/NBIRTH/N", &birth(3));
    let death = payload(None, millis(70), vec![M::named("bdSeq").whole(8, 3)]);
    check(
        rig.tell(70, "spBv1.0/G/NDEATH/N", &death),
        expect![[r#"
        collector:G.N heard 2026-11-22T10:01:10Z arrival, 0 reads
          event link_down/0 once `death` (2026-11-22T10:01:10Z arrival)
    "#]],
    );
    check(
        rig.tell(71, "spBv1.0/G/NDATA/N", &data),
        expect![[r#"
        asks spBv1.0/G/NCMD/N
        refused no_birth: the node's birth was not heard
    "#]],
    );
    check(
        rig.tell(80, "spBv1.0/G/NBIRTH/N", &birth(4)),
        expect![[r#"
        born since 2026-11-22T10:01:20Z
        sparkplug:G/N heard 2026-11-22T10:00:00Z device, 1 reads
          register Meter/Energy 12345.678 (2026-11-22T10:00:00Z device)
        collector:G.N heard 2026-11-22T10:01:20Z arrival, 0 reads
          event link_up/0 once `birth` (2026-11-22T10:01:20Z arrival)
    "#]],
    );
    check(
        rig.tell(71, "spBv1.0/G/NDATA/N", &data),
        expect![[r#"
        refused no_birth: the node was born anew since
    "#]],
    );
}

#[test]
fn a_hole_in_the_sequence_asks_for_a_birth_and_255_is_followed_by_0() {
    let mut rig = Rig::new();
    let _ = rig.tell(1, "spBv1.0/G/NBIRTH/N", &birth(3));
    for seq in (1..=255).chain(0..=3) {
        let data = payload(Some(seq), millis(2), vec![M::alias(1).double(1.0)]);
        let heard = rig.tell(2, "spBv1.0/G/NDATA/N", &data);
        assert!(heard.ask.is_none() && heard.refused.is_none(), "{seq}");
    }
    let data = payload(Some(6), millis(3), vec![M::alias(1).double(f64::NAN)]);
    check(
        rig.tell(3, "spBv1.0/G/NDATA/N", &data),
        expect![[r#"
        asks spBv1.0/G/NCMD/N
        collector:G.N heard 2026-11-22T10:00:03Z arrival, 0 reads
          event meter_flag/0 once `messages missing: seq 4 was due, 6 came` (2026-11-22T10:00:03Z arrival)
        sparkplug:G/N heard 2026-11-22T10:00:03Z device, 0 reads
          register Meter/Energy - (2026-11-22T10:00:03Z device)
    "#]],
    );
}

#[test]
fn deaths_of_another_session_count_for_nothing() {
    let mut rig = Rig::new();
    let _ = rig.tell(1, "spBv1.0/G/NBIRTH/N", &birth(3));
    let old = payload(None, millis(2), vec![M::named("bdSeq").whole(8, 2)]);
    assert!(rig.tell(2, "spBv1.0/G/NDEATH/N", &old).reports.is_empty());
    let data = payload(Some(1), millis(3), vec![M::alias(1).double(1.5)]);
    assert!(rig.tell(3, "spBv1.0/G/NDATA/N", &data).refused.is_none());
}

#[test]
fn numbers_of_all_types_and_those_that_are_refused() {
    let mut rig = Rig::new();
    let metrics = vec![
        M::named("bdSeq").whole(8, 0),
        M::named("i8").whole(1, 0xff),
        M::named("i32").whole(3, u64::MAX),
        M::named("i64").whole(4, u64::MAX - 4),
        M::named("u32").whole(7, 4_294_967_295),
        M::named("big").whole(8, u64::MAX),
        M::named("wrong").field(4, 10).field(14, 1),
    ];
    check(
        rig.tell(1, "spBv1.0/G/NBIRTH/N", &payload(Some(0), millis(0), metrics)),
        expect![[r#"
        born since 2026-11-22T10:00:01Z
        sparkplug:G/N heard 2026-11-22T10:00:00Z device, 4 reads
          register i8 -1 (2026-11-22T10:00:00Z device)
          register i32 -1 (2026-11-22T10:00:00Z device)
          register i64 -5 (2026-11-22T10:00:00Z device)
          register u32 4294967295 (2026-11-22T10:00:00Z device)
          event meter_flag/0 once `out_of_range big: a UInt64 of 18446744073709551615 exceeds 9223372036854775807` (2026-11-22T10:00:00Z device)
          event meter_flag/1 once `bad_value wrong: the value does not fit datatype 10 of the birth` (2026-11-22T10:00:00Z device)
        collector:G.N heard 2026-11-22T10:00:01Z arrival, 0 reads
          event link_up/0 once `birth` (2026-11-22T10:00:01Z arrival)
    "#]],
    );
}

#[test]
fn a_mapping_names_units_fields_and_events() {
    let text = "[mapping]\nname = \"plant\"\nformat = \"sparkplug\"\nfilter = \"spBv1.0/G/#\"\n\
        [[channel]]\nfield = \"volume\"\npath = \"Volume\"\nunit = \"L\"\nkind = \"cumulative\"\n\
        width = 32\n[[channel]]\nfield = \"temperature\"\npath = \"Temp\"\nunit = \"C\"\n\
        kind = \"instant\"\nmultiplier = \"0.1\"\n[[event]]\npath = \"Leak\"\nequals = true\n\
        event = \"leak\"\n";
    let mut rig = Rig { nodes: Nodes::default(), mapping: Some(Mapping::parse(text).unwrap()) };
    let _ = rig.tell(1, "spBv1.0/G/NBIRTH/N", &birth(3));
    check(
        rig.tell(2, "spBv1.0/G/DBIRTH/N/W-1", &device_birth(1)),
        expect![[r#"
            born since 2026-11-22T10:00:01Z
            sparkplug:G/N/W-1 via G.N heard 2026-11-22T10:00:01Z device, 2 reads
              register volume 4711 L mod 4294967296 (2026-11-22T10:00:01Z device)
              instant temperature -1.0 C (2026-11-22T10:00:01Z device)
              event leak/0 level `Leak=true` (2026-11-22T10:00:01Z device)
        "#]],
    );
}

#[test]
fn garbage_asks_for_nothing_and_never_panics() {
    let mut rig = Rig::new();
    let heard = rig.tell(1, "spBv1.0/G/NDATA/N", b"\xff\xff\xff");
    assert!(heard.ask.is_none());
    assert_eq!(heard.refused.unwrap().reason, RejectReason::BadFormat);
    for topic in
        ["spBv1.0", "x/G/NDATA/N", "spBv1.0/G/WHAT/N", "spBv1.0/G/NBIRTH/N/D", "spBv1.0/G/DDATA/N"]
    {
        assert!(rig.tell(1, topic, b"").refused.is_some(), "{topic}");
    }
    for topic in ["spBv1.0/G/NCMD/N", "spBv1.0/G/DCMD/N/D", "spBv1.0/STATE/scada"] {
        assert!(rig.tell(1, topic, b"{}").refused.is_none(), "{topic}");
    }
    let good = birth(1);
    for end in 0..good.len() {
        let _ = rig.tell(1, "spBv1.0/G/NBIRTH/N", &good[..end]);
    }
}
