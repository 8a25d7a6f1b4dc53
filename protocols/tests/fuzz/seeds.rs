//! Good inputs, written by us.

pub(crate) const BUNDLE: &[&[u8]] = &[
    br#"{"v":1,"meter":"E-1","collector":"C-1","sent":"2026-11-21T10:00:03Z","rssi":-81,"battery_mv":3610,"status":["battery_low","x"],"series":[{"field":"energy_import","unit":"Wh","len":900,"end":"2026-11-21T08:15:00Z","exp":-2,"values":[120,118,null],"flags":[0,0,16]}],"registers":[{"field":"energy_import","unit":"kWh","at":"2026-11-21T08:00:00+01:00","value":"12345.678"}],"instants":[{"field":"voltage","unit":"V","at":"2026-11-21T08:00:00Z","value":230.1}],"events":[{"code":"tamper","at":"2026-11-21T08:00:00Z","seq":4,"detail":"\u0041"}]}"#,
    br#"[{"v":1,"collector":"C-01","heartbeat":"2026-11-21T10:00:00Z"}]"#,
    b"v1,meter,field,kind,unit,time,len,value,flags\nC-3,W-1,volume,interval,L,2026-11-21T08:15:00Z,900,12,\nC-3,W-1,volume,interval,L,2026-11-21T08:30:00Z,900,1e3,16\n,W-2,volume,register,m3,2026-11-21T08:45:00Z,,17.250,\n",
];

pub(crate) const RTLAMR: &[&[u8]] = &[
    br#"{"Time":"2026-11-21T10:00:02.1-05:00","Offset":0,"Length":0,"Type":"SCM","Message":{"ID":17,"Type":12,"TamperPhy":3,"TamperEnc":2,"Consumption":1978226,"ChecksumVal":1}}"#,
    br#"{"Time":"2026-11-21T10:00:02Z","Type":"IDM","Message":{"ERTType":7,"ERTSerialNumber":17,"ConsumptionIntervalCount":76,"TamperCounters":"AwIAcw4A","PowerOutageFlags":"AAAAAAAA","LastConsumptionCount":1978208,"DifferentialConsumptionIntervals":[26,27,511,0],"TransmitTimeOffset":3911}}"#,
    br#"{"Time":"2026-11-21T10:00:02Z","Type":"R900","Message":{"ID":1111111111,"Unkn1":163,"NoUse":34,"BackFlow":1,"Consumption":11184810,"Unkn3":0,"Leak":2,"LeakNow":3}}"#,
    br#"{"Time":"2026-11-21T10:00:02Z","Type":"NetIDM","Message":{"ERTSerialNumber":17,"LastGeneration":125,"LastConsumption":0,"LastConsumptionNet":2223120656,"DifferentialConsumptionIntervals":[7695,16383],"TransmitTimeOffset":2145}}"#,
];

pub(crate) const RTL_433: &[&[u8]] = &[
    br#"{"time":"2026-10-25 02:30:00","model":"SCMplus","id":17,"ProtocolID":"0x1E","EndpointType":"0x9C","EndpointID":17,"Consumption":406934,"Tamper":"0x0500","mic":"CRC"}"#,
    br#"{"time":"1795255202.5","model":"Neptune-R900","id":5,"nouse":0,"consumption":4555831,"leak":1}"#,
    br#"{"time":"@0.002s","model":"Badger-ORION","id":69,"flags_1":0,"volume_gal":69,"mic":"CRC"}"#,
];

pub(crate) const WMBUSMETERS: &[&[u8]] = &[
    br#"{"_":"telegram","meter":"kamwater","id":"00123456","total_m3":12.345,"target_m3":10.5,"target_date":"2026-10-31","flow_temperature_c":127,"April_total_m3":9.1,"battery_v":3.05,"status":"DRY LEAKING PINK","timestamp":"2026-11-21T10:00:01Z"}"#,
    br#"{"id":77,"total_kwh":-1.5e-3,"x_l":null,"device_datetime":"2036-01-01 00:00","timestamp":"1111-11-11T11:11:11Z"}"#,
];

/// The example of profile B (OMS volume 2, annex N), telegrams of our own in each envelope, a
/// compact one that the second explains, and a wired frame.
pub(crate) const WMBUS: &[&[u8]] = &[
    b"434493157856341233038C2075900F002C25B30A000021924D4F2FB66E017A75002007109058475F4BC91DF878B80A1B0F98B629024AAC727942BFC549233C0140829B93",
    b"1e4424347956341201077a010000000c13452301004c1300100100426c5f3a",
    br#"{"data":"1e4424347956341201075f5b7a010000000c13452301004c13001001cda400426c5f3a56be","time":"2026-11-21T10:00:01Z","rssi":-70}"#,
    b"dUQkNHlWNBIBB3oBEAAABAXyCAAAhBAFAQAAAIRABQIAAAAEhTwDAAAABIV0BAAAAAr9yfwBNQISKxAABT4AAMA/AUYGAln+/wL9FwQAAv10gAwEbR02uSkNeAMxMjMNEMNWNBIDfAJBQgECAwL/IAECDwECAw==",
    b"184424347956341201077929223f2699230100001001005f3a",
    b"234424347956341201078d200511223300483c780c13452301004c1300100100426c5f3a",
    b"681f1f680801727956341224340102050000000c13452301004c1300100100426c5f3a2f16",
    b"294424347956341201078c2005727956341224340107050000000c13452301004c1300100100426c5f3a",
];
