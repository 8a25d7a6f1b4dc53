//! Limits of validation (rules #1 to #24) for one meter: what the active bundle says of all meters,
//! with the overrides that hold for it and without the rules that leave its tags out.

use std::collections::BTreeMap;
use std::sync::Arc;

use alerts::Bundle;
use alerts::bundle::{Conditions, Patch};
use alerts::params::Mode;
use metering::{MeterAsset, RuleNo};
use vee::Params;

/// The limits of a bundle. Meters under the same conditions share theirs.
#[derive(Clone, Debug)]
pub struct Limits {
    bundle: Arc<Bundle>,
    of_all: Arc<Params>,
    variants: BTreeMap<Conditions, Arc<Params>>,
}

impl Default for Limits {
    fn default() -> Self {
        Self::new(Bundle::default())
    }
}

impl Limits {
    pub fn new(bundle: Bundle) -> Self {
        let mut params = Params::default();
        for (rule, patch) in bundle.rules.iter().filter(|(rule, _)| is_check(**rule)) {
            apply(*rule, patch, &mut params);
        }
        Self { bundle: Arc::new(bundle), of_all: Arc::new(params), variants: BTreeMap::new() }
    }

    /// What holds for meters that no override and no exclusion names.
    pub fn of_all(&self) -> Arc<Params> {
        Arc::clone(&self.of_all)
    }

    /// What holds for this meter.
    pub fn of(&mut self, asset: &MeterAsset) -> Arc<Params> {
        let conditions = self.bundle.conditions_of(asset);
        if conditions == Conditions::default() {
            return self.of_all();
        }
        let variant = self.variants.entry(conditions);
        let bundle = &self.bundle;
        Arc::clone(
            variant.or_insert_with(|| Arc::new(variant_of(bundle, &self.of_all, conditions))),
        )
    }
}

fn variant_of(bundle: &Bundle, of_all: &Params, conditions: Conditions) -> Params {
    let mut params = of_all.clone();
    for own in bundle.overrides_under(conditions).filter(|own| is_check(own.rule.no)) {
        apply(own.rule.no, &own.patch, &mut params);
    }
    for rule in bundle.excluded_under(conditions).filter(|rule| is_check(rule.no)) {
        params.off = params.off.with(rule.no);
    }
    params
}

fn is_check(rule: RuleNo) -> bool {
    rule.get() <= 24
}

fn apply(rule: RuleNo, patch: &Patch, params: &mut Params) {
    for (key, value) in &patch.values {
        // Checked against its range when the bundle was applied.
        let _ = params.set(key, *value);
    }
    let bit = 1 << (rule.get() - 1);
    let switch = |mask: metering::RuleMask, on: bool| {
        let bits = if on { mask.bits() | bit } else { mask.bits() & !bit };
        metering::RuleMask::from_bits(bits)
    };
    if let Some(enabled) = patch.enabled {
        params.off = switch(params.off, !enabled);
    }
    if let Some(mode) = patch.mode {
        params.shadow = switch(params.shadow, mode == Mode::Shadow);
    }
}

#[cfg(test)]
mod tests {
    use metering::{Commodity, CustomerClass, MeterId, Tag, UsagePointId, UtcTime};

    use super::*;

    fn asset(class: CustomerClass, tags: &[Tag]) -> MeterAsset {
        MeterAsset {
            meter: MeterId::new(1),
            usage_point: UsagePointId::new(1),
            commodity: Commodity::Electricity,
            class,
            zone: "UTC".to_owned(),
            tags: tags.to_vec(),
            battery_powered: false,
            account_active: true,
            primary_collector: None,
            installed_at: UtcTime::from_seconds(0),
            contact_every_s: 3_600,
            flow_rated_lph: 0,
            detail: metering::MeterDetail::default(),
            channels: Vec::new(),
        }
    }

    /// `vee` numbers the conditions of findings and `alerts` reads them; neither knows the other.
    #[test]
    fn conditions_of_findings_have_the_same_numbers_on_both_sides() {
        use alerts::finding_kind as read;
        use vee::rules::kind as told;
        let pairs = [
            (read::FLAG_SHARE, told::FLAG_SHARE),
            (read::FLAG_OVERFLOW, told::FLAG_OVERFLOW),
            (read::FLAG_TEST, told::FLAG_TEST),
            (read::SUM_CONFIG, told::SUM_CONFIG),
            (read::SUM_MISSING_PULSES, told::SUM_MISSING_PULSES),
            (read::SUM_DOUBLE_COUNT, told::SUM_DOUBLE_COUNT),
            (read::HIGH, told::HIGH),
            (read::LOW, told::LOW),
            (read::CYCLE_HIGH, told::CYCLE_HIGH),
            (read::CYCLE_LOW, told::CYCLE_LOW),
            (read::ZERO_LIVE, told::ZERO_LIVE),
            (read::PROLONG_WARN, told::PROLONG_WARN),
            (read::PROLONG_FAIL, told::PROLONG_FAIL),
            (read::PROLONG_URGENT, told::PROLONG_URGENT),
        ];
        assert!(pairs.iter().all(|(read, told)| read == told), "{pairs:?}");
    }

    #[test]
    fn checks_have_other_limits_for_some_meters_and_leave_some_out() {
        let text = r#"
            [bundle]
            version = "1"
            [rules.INT-SPIKE]
            min_samples = 30
            exclude_tags = ["ev"]
            [[rules.INT-SPIKE.override]]
            when = 'class == "mdu"'
            spike_slots_min = 40
            [[rules.INT-FLAT.override]]
            when = 'has_tag("school")'
            enabled = false
        "#;
        let mut limits = Limits::new(crate::services::rules::parse(text).unwrap());
        let mut of = |class, tags: &[Tag]| {
            let params = limits.of(&asset(class, tags));
            let off: Vec<u8> = params.off.rules().map(RuleNo::get).collect();
            (params.spike_slots_min, off)
        };
        assert_eq!(of(CustomerClass::Residential, &[]), (30, vec![]));
        assert_eq!(of(CustomerClass::Residential, &[Tag::Ev]), (30, vec![16]));
        assert_eq!(of(CustomerClass::MultiDwelling, &[]), (40, vec![]));
        let both = of(CustomerClass::MultiDwelling, &[Tag::School, Tag::Ev]);
        assert_eq!(both, (40, vec![16, 21]));
    }
}
