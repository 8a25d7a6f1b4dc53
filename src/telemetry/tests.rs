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
    let rows: Vec<&str> = DOCUMENT.lines().filter(|line| line.starts_with("| `ami_")).collect();
    assert_eq!(rows, want, "docs/metrics.md should hold:\n{}", want.join("\n"));
}

#[test]
fn every_metric_of_the_catalogue_exists_and_no_label_names_a_meter() {
    let telemetry = Telemetry::new().unwrap();
    telemetry.count_stored("mqtt", &Stored::default(), Duration::ZERO);
    let text = telemetry.text().unwrap();
    assert!(text.contains("ami_reads_committed_total{adapter=\"mqtt\"} 0"), "{text}");
    for metric in METRICS {
        assert!(!metric.labels.contains(&"meter"), "{}", metric.name);
        assert_eq!(metric.kind == Kind::Counter, metric.name.ends_with("_total"));
        let again = Opts::new(metric.name, "again");
        let taken = prometheus::IntCounter::with_opts(again)
            .map(|counter| telemetry.registry().register(Box::new(counter)));
        assert!(matches!(taken, Ok(Err(_))), "{} is not registered", metric.name);
    }
}
