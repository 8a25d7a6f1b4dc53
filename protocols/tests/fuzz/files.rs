//! Files of readings as targets: each kind whole, and what may be taken out of a record again.

use jiff::tz::TimeZone;
use metering::UtcTime;
use protocols::files::{
    self, Encoding, FileContext, FileFormat, FileRecord, Layout, LineFault, Sink, beacon, layout,
};

pub(crate) const NEM12: &[&[u8]] = &[
    b"100,NEM12,202611210101,MDP,RET\r\n200,NMI0000001,E1B1,1,E1,N1,SER1,kWh,30,\r\n\
      300,20260701,1,2.5,.3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31,32,33,34,35,36,37,38,39,40,41,42,43,44,45,46,47,48,V,,,20260702010101,\r\n\
      400,1,20,F14,76,\r\n400,21,48,A,,\r\n500,O,S01009,20260703120000,001123.5\r\n\
      200,NMI0000001,E1B1,2,B1,N1,SER1,WH,15,,,,,\r\n900\r\n",
    b"100,NEM13,202601010101,MDP,RET\n\
      250,NMI0000002,11,1,11,11,SER2,E,000100.5,20260101103000,A,,,000150.5,20260401103000,E64,77,soon,50,KWH,20260701,,\n\
      550,N,,A,\n900\n",
];
pub(crate) const CMEP: &[&[u8]] = &[
    b"MEPMD01,20080501,S,SC,R,METER1,202611210101,,OK,E,KWH,2.5,00000100,3,202607010100,R0,1.2,,R0,1.3,202607010401,E0,2\n\
      MEPMD01,20080501,S,SC,R,METER1,202611210101,,OK,W,GALREG,1,00000100,2,202607010101,R0,100,202607010202,X9,99\n",
];
pub(crate) const ESPI: &[&[u8]] = &[
    b"<?xml version=\"1.0\"?><feed xmlns=\"http://www.w3.org/2005/Atom\"><updated>2026-01-01T00:00:00Z</updated>\
      <entry><link rel=\"self\" href=\"/RetailCustomer/1/UsagePoint/2\"/><content><UsagePoint xmlns=\"http://naesb.org/espi\"/></content></entry>\
      <entry><link rel=\"self\" href=\"/RetailCustomer/1/UsagePoint/2/MeterReading/1\"/><link rel=\"up\" href=\"/RetailCustomer/1/UsagePoint/2/MeterReading\"/>\
      <link rel=\"related\" href=\"/RetailCustomer/1/UsagePoint/2/MeterReading/1/IntervalBlock\"/><link rel=\"related\" href=\"/ReadingType/1\"/><content><MeterReading/></content></entry>\
      <entry><link rel=\"self\" href=\"/ReadingType/1\"/><content><ReadingType><accumulationBehaviour>4</accumulationBehaviour><flowDirection>1</flowDirection>\
      <powerOfTenMultiplier>-3</powerOfTenMultiplier><uom>72</uom></ReadingType></content></entry>\
      <entry><link rel=\"up\" href=\"/RetailCustomer/1/UsagePoint/2/MeterReading/1/IntervalBlock\"/><content><e:IntervalBlock xmlns:e=\"http://naesb.org/espi\">\
      <e:IntervalReading><e:ReadingQuality><e:quality>8</e:quality></e:ReadingQuality><e:timePeriod><e:duration>900</e:duration><e:start>1790000100</e:start></e:timePeriod><e:value>1&#48;5</e:value></e:IntervalReading>\
      <e:IntervalReading><e:timePeriod><e:duration>900</e:duration><e:start>1790001000</e:start></e:timePeriod><e:value>7</e:value></e:IntervalReading>\
      </e:IntervalBlock></content></entry></feed>",
];
pub(crate) const BEACON: &[&[u8]] = &[
    b"\"Meter_ID\",\"Read\",\"Read_Time\",\"Read_Unit\",\"Raw_Read\",\"Flow\",\"Flow_Time\",\"Flow_Unit\",\"Endpoint_SN\",\"Estimated_Flag\",\"Battery_Level\",\"Current_Leak_Rate\"\n\
      7,12.5,2026-07-01 01:00,CCF,00125,3.5,2026-07-01 01:04,Gallons,9,0,low,1.5\n\"8\",12.5,2026-07-01 01:00,CCF,00126,,,,9,1,\"5/8\"\"\",\n",
];
pub(crate) const LAYOUT: &[&[u8]] = &[
    b"xxx012123456.0004567022826SER0000001\r\n",
    b"RTEHD                  20260301\r\nMTRDT1                               N2                  \r\n\
      RDGDT                                            06                                     123456    \r\nORDST20260302\r\n",
];

/// A packed member, a folder, and a member as it is.
pub(crate) const ZIP: &[&[u8]] = &[
    b"PK\x03\x04\x14\x00\x00\x00\x08\x00\x00\x00!\x00\x13\xf7N\xcf%\x00\x00\x00%\x00\x00\x00\x05\x00\x00\x00a.csv340\xd0\xf1s\xf554\xd2120234424\x00B\x1d_\x97\x00\x9d \xd7\x10^.K\x03\x03^.\x00PK\x03\x04\x14\x00\x00\x00\x00\x00\x00\x00!\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00b/PK\x03\x04\x14\x00\x00\x00\x00\x00\x00\x00!\x00\x83\x16\xdc\x8c\x01\x00\x00\x00\x01\x00\x00\x00\x07\x00\x00\x00b/c.csvxPK\x01\x02\x14\x03\x14\x00\x00\x00\x08\x00\x00\x00!\x00\x13\xf7N\xcf%\x00\x00\x00%\x00\x00\x00\x05\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80\x01\x00\x00\x00\x00a.csvPK\x01\x02\x14\x03\x14\x00\x00\x00\x00\x00\x00\x00!\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80\x01H\x00\x00\x00b/PK\x01\x02\x14\x03\x14\x00\x00\x00\x00\x00\x00\x00!\x00\x83\x16\xdc\x8c\x01\x00\x00\x00\x01\x00\x00\x00\x07\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80\x01h\x00\x00\x00b/c.csvPK\x05\x06\x00\x00\x00\x00\x03\x00\x03\x00\x98\x00\x00\x00\x8e\x00\x00\x00\x00\x00",
];
/// Members may be 200 times their packed size: of this much they stay below what may be held.
const ZIP_BYTES_MAX: usize = 32 << 10;

/// Looks at everything that a reader hands out.
#[derive(Default)]
struct Looker {
    records: Vec<Vec<u8>>,
    seen: u64,
}

impl Sink for Looker {
    fn record(&mut self, record: FileRecord) {
        self.seen += record.report.reads() + record.quality.len() as u64;
        assert!(record.report.source_id.as_str().contains(':'));
        if self.records.is_empty() {
            self.records.push(record.raw);
        }
    }

    fn fault(&mut self, fault: LineFault) {
        assert!(fault.detail.chars().count() <= 300 && fault.raw.chars().count() <= 300);
        self.seen += 1;
    }
}

fn read(format: FileFormat, input: &[u8], variant: u64, layout: Option<&Layout>) -> bool {
    let zone = TimeZone::fixed(jiff::tz::offset(1));
    let context = FileContext {
        received_at: UtcTime::from_seconds(1_790_000_000),
        zone: (variant & 2 == 0).then_some(&zone),
        encoding: if variant & 4 == 0 { Encoding::Utf8 } else { Encoding::Latin1 },
        identity: beacon::Identity::default(),
        layout,
    };
    let mut looker = Looker::default();
    let facts = files::read(format, &context, input, &mut looker);
    facts.is_ok_and(|facts| facts.records > 0)
}

pub(crate) fn nem12(input: &[u8], variant: u64) -> bool {
    read(FileFormat::Nem12, input, variant, None)
}

pub(crate) fn cmep(input: &[u8], variant: u64) -> bool {
    read(FileFormat::Cmep, input, variant, None)
}

pub(crate) fn espi(input: &[u8], variant: u64) -> bool {
    read(FileFormat::Espi, input, variant, None)
}

pub(crate) fn beacon(input: &[u8], variant: u64) -> bool {
    read(FileFormat::Beacon, input, variant, None)
}

/// By the layout that takes the seeds. Layouts themselves are configuration, not input.
pub(crate) fn layout(input: &[u8], variant: u64) -> bool {
    let name = if input.starts_with(b"RTEHD") { "neptune-equinox-s" } else { "radix-a" };
    read(FileFormat::Layout, input, variant, layout::preset(name).as_ref())
}

/// The members of an archive.
pub(crate) fn zip(input: &[u8], _: u64) -> bool {
    match files::archive::members(&input[..input.len().min(ZIP_BYTES_MAX)]) {
        Ok(members) => members.iter().all(|(_, content)| content.len() <= 200 * ZIP_BYTES_MAX),
        Err(fault) => {
            assert!(fault.detail.chars().count() <= 300);
            false
        }
    }
}
