//! Counters that are kept elsewhere, read when Prometheus asks.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::time::Duration;

use prometheus::core::{Collector, Desc};
use prometheus::proto;

use super::{Kind, METRICS, Metric};

/// Upper bounds of latency buckets, in milliseconds.
const BOUNDS_MS: [u32; 13] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000];

/// One series with its value.
pub(super) struct Sample {
    name: &'static str,
    /// Values of the metric's labels, in their order.
    labels: Vec<&'static str>,
    value: Value,
}

enum Value {
    Number(f64),
    /// How many of which duration.
    Durations(Vec<(Duration, u64)>),
}

impl Sample {
    pub(super) fn counter<const N: usize>(
        name: &'static str,
        labels: [&'static str; N],
        total: u64,
    ) -> Self {
        // Beyond 2^53 Prometheus itself cannot count exactly.
        Self { name, labels: labels.into(), value: Value::Number(total as f64) }
    }

    pub(super) fn gauge<const N: usize>(
        name: &'static str,
        labels: [&'static str; N],
        value: i64,
    ) -> Self {
        Self { name, labels: labels.into(), value: Value::Number(value as f64) }
    }

    pub(super) fn durations<const N: usize>(
        name: &'static str,
        labels: [&'static str; N],
        counts: Vec<(Duration, u64)>,
    ) -> Self {
        Self { name, labels: labels.into(), value: Value::Durations(counts) }
    }
}

/// A collector around a function that reads counters.
pub(super) struct Sampled<F> {
    descriptions: Vec<Desc>,
    read: F,
}

impl<F: Fn() -> Vec<Sample> + Send + Sync> Sampled<F> {
    /// The function always reads the same metrics; all of them are in [`METRICS`].
    pub(super) fn new(read: F) -> Result<Self, prometheus::Error> {
        let mut entries: BTreeMap<&str, &Metric> = BTreeMap::new();
        for sample in read() {
            let entry = METRICS.iter().find(|metric| metric.name == sample.name);
            let missing = || prometheus::Error::Msg(format!("{} is not listed", sample.name));
            entries.insert(sample.name, entry.ok_or_else(missing)?);
        }
        let describe = |entry: &&Metric| {
            let labels = entry.labels.iter().map(|label| (*label).to_owned()).collect();
            Desc::new(entry.name.to_owned(), entry.about.to_owned(), labels, HashMap::new())
        };
        let descriptions = entries.values().map(describe).collect::<Result<_, _>>()?;
        Ok(Self { descriptions, read })
    }
}

impl<F: Fn() -> Vec<Sample> + Send + Sync> Collector for Sampled<F> {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<proto::MetricFamily> {
        let mut families: BTreeMap<&str, Vec<proto::Metric>> = BTreeMap::new();
        let mut kinds: BTreeMap<&str, &Metric> = BTreeMap::new();
        for sample in (self.read)() {
            let Some(entry) = METRICS.iter().find(|metric| metric.name == sample.name) else {
                continue;
            };
            kinds.insert(entry.name, entry);
            families.entry(entry.name).or_default().push(series(entry, sample));
        }
        let family = |(name, series): (&str, Vec<proto::Metric>)| {
            let entry = kinds.get(name)?;
            let mut family = proto::MetricFamily::default();
            family.set_name(name.to_owned());
            family.set_help(entry.about.to_owned());
            family.set_field_type(match entry.kind {
                Kind::Counter => proto::MetricType::COUNTER,
                Kind::Gauge => proto::MetricType::GAUGE,
                Kind::Histogram => proto::MetricType::HISTOGRAM,
            });
            family.set_metric(series);
            Some(family)
        };
        families.into_iter().filter_map(family).collect()
    }
}

impl<F> fmt::Debug for Sampled<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sampled").field("metrics", &self.descriptions.len()).finish()
    }
}

fn series(entry: &Metric, sample: Sample) -> proto::Metric {
    let pairs = entry.labels.iter().zip(sample.labels).map(|(name, value)| {
        let mut pair = proto::LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value(value.to_owned());
        pair
    });
    let mut series = proto::Metric::from_label(pairs.collect());
    match (sample.value, entry.kind) {
        (Value::Durations(counts), _) => series.set_histogram(histogram(&counts)),
        (Value::Number(number), Kind::Counter) => {
            let mut counter = proto::Counter::default();
            counter.set_value(number);
            series.set_counter(counter);
        }
        (Value::Number(number), _) => {
            let mut gauge = proto::Gauge::default();
            gauge.set_value(number);
            series.set_gauge(gauge);
        }
    }
    series
}

fn histogram(counts: &[(Duration, u64)]) -> proto::Histogram {
    let total: u64 = counts.iter().map(|(_, count)| count).sum();
    let seconds = |(duration, count): &(Duration, u64)| duration.as_secs_f64() * (*count as f64);
    let buckets = BOUNDS_MS.iter().map(|bound_ms| {
        let bound = Duration::from_millis(u64::from(*bound_ms));
        let within = counts.iter().filter(|(duration, _)| *duration <= bound);
        let mut bucket = proto::Bucket::default();
        bucket.set_upper_bound(bound.as_secs_f64());
        bucket.set_cumulative_count(within.map(|(_, count)| count).sum());
        bucket
    });
    let mut histogram = proto::Histogram::default();
    histogram.set_bucket(buckets.collect());
    histogram.set_sample_count(total);
    histogram.set_sample_sum(counts.iter().map(seconds).sum());
    histogram
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_counts_up_to_each_bound() {
        let ms = Duration::from_millis;
        let histogram = histogram(&[(ms(1), 3), (ms(15), 2), (ms(60_000), 1)]);
        assert_eq!(histogram.get_sample_count(), 6);
        let counts: Vec<u64> =
            histogram.get_bucket().iter().map(proto::Bucket::cumulative_count).collect();
        assert_eq!(counts, [3, 3, 3, 3, 5, 5, 5, 5, 5, 5, 5, 5, 5]);
    }
}
