//! Provisioning is idempotent, tells the log, and gives ingest what it was told.

use std::str::FromStr;

use metering::{
    BatteryAsset, ChannelKind, ChannelNo, Chemistry, Commodity, CustomerClass, LogRecord,
    MeterRole, ReadingType, SourceId, Tag, Unit, ZoneKind,
};
use rust_decimal::Decimal;
use store::assets::{
    ChannelProvision, CollectorProvision, MeterFacts, MeterProvision, ProvisionChange,
    RegistryCollector, ZoneProvision,
};
use store::{EventLog, PgLog, StoreError};

use crate::support::{T0, database, number};

pub(crate) fn water_meter(number: &str) -> MeterProvision {
    MeterProvision {
        number: number.to_owned(),
        serial: "S-1".to_owned(),
        sources: vec![SourceId::new("ert", number), SourceId::new("r900", number)],
        commodity: Commodity::Water,
        class: CustomerClass::Residential,
        address: "1 Spring Lane".to_owned(),
        account: "A-1".to_owned(),
        account_active: true,
        utility: "SPRING".to_owned(),
        zone: Some("DMA-2".to_owned()),
        route: Some("R-7".to_owned()),
        transformer: None,
        collector: Some("C-04".to_owned()),
        time_zone: "Europe/Berlin".to_owned(),
        tags: vec![Tag::Irrigation, Tag::Critical],
        battery_powered: true,
        contact_every_s: 900,
        flow_rated_lph: 2_500,
        installed_at: T0,
        facts: MeterFacts::default(),
        channels: vec![ChannelProvision {
            field: "consumption".to_owned(),
            reading_type: ReadingType::VOLUME,
            kind: ChannelKind::Register,
            unit: Unit::GallonUs,
            multiplier: Decimal::from_str("0.1").unwrap(),
            decimals: 0,
            modulus: 100_000_000,
            len_s: 3_600,
            resolution: 379,
            cap_per_hour: 5_000_000,
            delivery_lag_s: 7_200,
        }],
    }
}

#[tokio::test]
async fn what_was_provisioned_is_what_ingest_loads() {
    let Some(database) = database("what_was_provisioned_is_what_ingest_loads").await else {
        return;
    };
    let version = database.asset_version().await.unwrap();
    let collector = CollectorProvision {
        code: "C-04".to_owned(),
        name: "Water tower".to_owned(),
        utility: "SPRING".to_owned(),
        zone: Some("DMA-2".to_owned()),
        heartbeat_s: 300,
        installed_at: T0,
    };
    let ids = database.provision_collectors(&[collector], T0).await.unwrap();
    let meters = [water_meter("W-1"), water_meter("W-2")];
    let outcomes = database.provision(&meters, T0).await.unwrap();
    assert!(outcomes.iter().all(|outcome| outcome.change == ProvisionChange::Created));
    assert_eq!(outcomes[1].new_sources, meters[1].sources);
    let registry = database.load_registry().await.unwrap();
    assert_eq!(registry.version, version + 2);
    assert_eq!(
        registry.collectors,
        [RegistryCollector { collector: ids[0], code: "C-04".to_owned(), heartbeat_s: 300 }]
    );
    let meter = &registry.meters[0];
    assert_eq!((meter.number.as_str(), meter.meter), ("W-1", outcomes[0].meter));
    assert_eq!(meter.sources, meters[0].sources);
    assert_eq!(meter.asset.primary_collector, Some(ids[0]));
    assert_eq!(meter.asset.tags, [Tag::Critical, Tag::Irrigation]);
    assert_eq!((meter.asset.zone.as_str(), meter.asset.installed_at), ("Europe/Berlin", T0));
    let channel = &meter.channels[0];
    assert_eq!(channel.channel, ChannelNo::new(1));
    assert_eq!(channel.multiplier, Decimal::from_str("0.1").unwrap());
    assert_eq!((channel.unit, channel.modulus), (Unit::GallonUs, 100_000_000));
    assert_eq!(meter.asset.channels[0].reading_type, ReadingType::VOLUME);
    let frames = PgLog::new(database.clone()).read(0, 0, 10).await.unwrap();
    let records: Vec<_> = frames.into_iter().flat_map(|frame| frame.records).collect();
    assert_eq!(records[0], LogRecord::Zone(registry.zones[0]), "the collector named it first");
    assert!(matches!(&records[1], LogRecord::Collector(asset) if asset.heartbeat_s == 300));
    assert_eq!(records[2], LogRecord::Meter(Box::new(meter.asset.clone())));
    assert_eq!(records.len(), 4);
}

#[tokio::test]
async fn facts_of_meters_and_zones_reach_the_rules() {
    let Some(database) = database("facts_of_meters_and_zones_reach_the_rules").await else {
        return;
    };
    let battery = BatteryAsset {
        chemistry: Chemistry::LithiumThionyl,
        installed_at: T0.plus_seconds(-86_400),
        design_life_d: 5_479,
        capacity_mah: 19_000,
    };
    let zone = ZoneProvision {
        code: "DMA-2".to_owned(),
        name: "Harbour".to_owned(),
        utility: "SPRING".to_owned(),
        kind: ZoneKind::Dma,
        mains_m: 12_000,
        connections: 800,
        private_pipe_m: 4_000,
        head_mm: 45_500,
    };
    let ids = database.provision_zones(std::slice::from_ref(&zone), T0).await.unwrap();
    let again = database.provision_zones(&[zone], T0).await.unwrap();
    assert_eq!(ids, again);
    let mut meter = water_meter("W-1");
    meter.facts = MeterFacts {
        role: MeterRole::ZoneInlet,
        manufacturer: "Acme".to_owned(),
        model: "H2".to_owned(),
        firmware: String::new(),
        premises: None,
        battery: Some(battery),
        dwelling_units: 12,
        contract_demand_mw: 5,
        phases: 3,
    };
    let mut beside = water_meter("W-2");
    beside.transformer = Some("T-1".to_owned());
    database.provision(&[meter.clone(), beside], T0).await.unwrap();
    let registry = database.load_registry().await.unwrap();
    assert_eq!((registry.zones.len(), registry.zones[0].head_mm), (1, 45_500));
    let detail = &registry.meters[0].asset.detail;
    assert_eq!((detail.role, detail.cohort.as_str()), (MeterRole::ZoneInlet, "Acme H2"));
    assert_eq!((detail.network_zone, detail.battery), (Some(ids[0]), Some(battery)));
    assert_eq!((detail.dwelling_units, detail.contract_demand_mw, detail.phases), (12, 5, 3));
    assert!(detail.premises > 0 && detail.transformer.is_none());
    let other = &registry.meters[1].asset.detail;
    assert_eq!(other.premises, detail.premises, "both stand at one address");
    assert!(other.transformer.is_some());
    let outcome = database.provision(&[meter], T0).await.unwrap();
    assert_eq!(outcome[0].change, ProvisionChange::Unchanged);
    let frames = PgLog::new(database.clone()).read(0, 0, 10).await.unwrap();
    let zones = frames
        .iter()
        .flat_map(|frame| &frame.records)
        .filter(|record| matches!(record, LogRecord::Zone(_)));
    assert_eq!(zones.count(), 1, "the same again is not told");
}

#[tokio::test]
async fn the_same_again_changes_nothing_and_a_change_is_told() {
    let Some(database) = database("the_same_again_changes_nothing_and_a_change_is_told").await
    else {
        return;
    };
    let first = database.provision(&[water_meter("W-1")], T0).await.unwrap();
    let version = database.asset_version().await.unwrap();
    let again = database.provision(&[water_meter("W-1")], T0.plus_seconds(9)).await.unwrap();
    assert_eq!((again[0].change, again[0].meter), (ProvisionChange::Unchanged, first[0].meter));
    assert_eq!(database.asset_version().await.unwrap(), version);
    let mut changed = water_meter("W-1");
    changed.address = "2 Spring Lane".to_owned();
    changed.sources.push(SourceId::new("wmbus", "20202020"));
    changed.channels[0].cap_per_hour = 1;
    let mut second = changed.channels[0].clone();
    second.field = "interval".to_owned();
    second.kind = ChannelKind::Interval;
    changed.channels.push(second);
    let outcome = database.provision_dry_run(&[changed.clone()], T0).await.unwrap();
    assert_eq!(outcome[0].change, ProvisionChange::Changed);
    assert_eq!(database.asset_version().await.unwrap(), version);
    let outcome = database.provision(&[changed], T0).await.unwrap();
    assert_eq!(outcome[0].new_sources, [SourceId::new("wmbus", "20202020")]);
    let registry = database.load_registry().await.unwrap();
    assert_eq!(registry.version, version + 1);
    assert_eq!(registry.meters[0].channels[1].channel, ChannelNo::new(2));
    assert_eq!(registry.meters[0].channels[0].cap_per_hour, 1);
    assert_eq!(number(&database, "SELECT count(*) FROM installation").await, 1);
}

#[tokio::test]
async fn a_refused_meter_leaves_nothing_behind() {
    let Some(database) = database("a_refused_meter_leaves_nothing_behind").await else { return };
    database.provision(&[water_meter("W-1")], T0).await.unwrap();
    let mut thief = water_meter("W-3");
    thief.sources = vec![SourceId::new("ert", "W-1")];
    let error = database.provision(&[water_meter("W-2"), thief], T0).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "provisioning: source `ert:W-1` of meter `W-3` belongs to meter `W-1`"
    );
    let mut reprogrammed = water_meter("W-1");
    reprogrammed.channels[0].len_s = 900;
    let error = database.provision(&[reprogrammed], T0).await.unwrap_err();
    assert!(matches!(error, StoreError::Refused { .. }), "{error}");
    let mut broken = water_meter("W-4");
    broken.channels[0].len_s = 7;
    assert!(database.provision(&[broken], T0).await.unwrap_err().is_data_fault());
    assert_eq!(number(&database, "SELECT count(*) FROM meter").await, 1);
}

#[tokio::test]
async fn a_number_that_is_blank_between_two_customers_hides_no_move() {
    let test = "a_number_that_is_blank_between_two_customers_hides_no_move";
    let Some(database) = database(test).await else { return };
    let since = "SELECT coalesce(extract(epoch FROM occupied_since), 0)::int8 FROM usage_point";
    let mut moved = Vec::new();
    // The same customer again is none that moved in; another one is.
    for (day, account) in [(0, "A-1"), (1, ""), (2, "A-1"), (3, ""), (4, "A-2"), (5, "")] {
        let now = T0.plus_seconds(day * 86_400);
        let meter = MeterProvision { account: account.to_owned(), ..water_meter("1") };
        database.provision(&[meter], now).await.unwrap();
        let at = number(&database, since).await;
        moved.push(if at == 0 { None } else { Some((at - T0.seconds()) / 86_400) });
    }
    let before = moved[0];
    assert_eq!(moved, [before, before, before, before, Some(4), Some(4)]);
}
