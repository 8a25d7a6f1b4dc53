use std::time::Duration;

use super::*;

const DOCUMENT: &str = include_str!("../../docs/metrics.md");

fn label_list(metric: &Metric) -> String {
    if metric.labels.is_empty() { "none".to_owned() } else { metric.labels.join(", ") }
}

#[test]
fn the_document_and_the_catalogue_are_the_same() {
    let want: Vec<String> = METRICS
        .iter()
        .map(|metric| {
            let kind = format!("{:?}", metric.kind).to_lowercase();
            format!("| `{}` | {kind} | {} | {} |", metric.name, label_list(metric), metric.about)
        })
        .collect();
    let table = DOCUMENT.split("## ").next().unwrap_or_default();
    let rows: Vec<&str> = table.lines().filter(|line| line.starts_with("| `ami_")).collect();
    assert_eq!(rows, want, "docs/metrics.md should hold:\n{}", want.join("\n"));
}

#[test]
fn every_metric_of_the_catalogue_is_shown_and_no_label_names_a_meter() {
    let telemetry = Telemetry::new().unwrap();
    let ingest = Arc::new(IngestStats::default());
    ingest.ack_latency.record(Duration::from_millis(3));
    telemetry.watch_ingest("mqtt", Arc::clone(&ingest)).unwrap();
    telemetry.watch_mqtt(Arc::new(MqttStats::default())).unwrap();
    telemetry.watch_polls(Watch::default()).unwrap();
    telemetry.watch_rules(|| (0, 0), Arc::clone(&ingest)).unwrap();
    let text = telemetry.text().unwrap();
    for metric in METRICS {
        let kind =
            format!("# TYPE {} {}\n", metric.name, format!("{:?}", metric.kind).to_lowercase());
        assert!(text.contains(&kind), "{} is not shown", metric.name);
        assert!(!metric.labels.contains(&"meter"), "{}", metric.name);
        assert_eq!(
            metric.kind == Kind::Counter,
            metric.name.ends_with("_total"),
            "{}",
            metric.name
        );
    }
    assert!(
        text.contains("ami_ack_latency_seconds_bucket{adapter=\"mqtt\",le=\"0.005\"} 1\n"),
        "{text}"
    );
    assert!(telemetry.watch_ingest("mqtt", ingest).is_err(), "shown twice");
}
