//! What a bundle says of one meter, from its asset record alone: for rules that another crate
//! judges before any state is known.

use metering::{MeterAsset, Tag};

use super::{Bundle, Override};
use crate::expr::{FeatureSource, Truth, Value};
use crate::features::Feature;
use crate::rule::RuleId;

/// Conditions of a bundle that a meter fulfils: a bit for each override, then one for each rule that
/// leaves out tags.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct Conditions(u64);

struct OfAsset<'a>(&'a MeterAsset);

impl FeatureSource for OfAsset<'_> {
    fn value(&self, feature: Feature) -> Value<'_> {
        let asset = self.0;
        let positive = |number: i32| match number {
            ..=0 => Value::Unknown,
            number => Value::Number(f64::from(number)),
        };
        match feature {
            Feature::Kind => Value::Text(asset.commodity.word()),
            Feature::Class => Value::Text(asset.class.word()),
            Feature::Role => Value::Text(asset.detail.role.word()),
            Feature::AccountActive => Value::Bool(asset.account_active),
            Feature::BatteryPowered => Value::Bool(asset.battery_powered),
            Feature::Units => positive(asset.detail.dwelling_units),
            Feature::RatedFlow => positive(asset.flow_rated_lph),
            Feature::ContactEvery => Value::Number(f64::from(asset.contact_every_s) / 60.0),
            Feature::Routed => Value::Bool(asset.primary_collector.is_some()),
            Feature::Zoned => Value::Bool(asset.detail.network_zone.is_some()),
            Feature::Fed => Value::Bool(asset.detail.transformer.is_some()),
            _ => Value::Unknown,
        }
    }

    fn has_tag(&self, tag: Tag) -> bool {
        self.0.has_tag(tag)
    }
}

impl Bundle {
    /// The conditions that this meter fulfils.
    pub fn conditions_of(&self, asset: &MeterAsset) -> Conditions {
        let source = OfAsset(asset);
        let overrides = self.overrides.iter().map(|own| own.program.truth(&source) == Truth::True);
        let excluded =
            self.exclude_tags.values().map(|tags| tags.iter().any(|tag| asset.has_tag(*tag)));
        let bits = overrides.chain(excluded).enumerate();
        Conditions(bits.fold(
            0,
            |mask, (at, holds)| {
                if holds && at < 64 { mask | 1 << at } else { mask }
            },
        ))
    }

    /// Overrides that hold under these conditions, in the order of the text.
    pub fn overrides_under(&self, conditions: Conditions) -> impl Iterator<Item = &Override> {
        let all = self.overrides.iter().enumerate();
        all.filter(move |(at, _)| conditions.has(*at)).map(|(_, own)| own)
    }

    /// Rules that leave such a meter out.
    pub fn excluded_under(&self, conditions: Conditions) -> impl Iterator<Item = RuleId> {
        let first = self.overrides.len();
        let all = self.exclude_tags.keys().enumerate();
        all.filter(move |(at, _)| conditions.has(first + at))
            .filter_map(|(_, rule)| RuleId::from_number(rule.get()))
    }
}

impl Conditions {
    const fn has(self, at: usize) -> bool {
        at < 64 && self.0 & (1 << at) != 0
    }
}
