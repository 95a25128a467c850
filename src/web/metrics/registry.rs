//! Families of the `prometheus` registry, and single figures, in both formats.

use std::fmt::Write as _;

use prometheus::proto::{LabelPair, Metric, MetricFamily, MetricType};

use super::Format;
use super::encode::{escape, escape_help, number};

pub fn gauge(out: &mut String, name: &str, help: &str, value: f64) {
    head(out, name, help, "gauge");
    sample(out, name, "", value);
}

/// `name` ends in `_total`; OpenMetrics names the family without it.
pub fn counter(out: &mut String, name: &str, help: &str, value: f64, format: Format) {
    head(out, counter_family(name, format), help, "counter");
    sample(out, name, "", value);
}

fn counter_family(name: &str, format: Format) -> &str {
    match format {
        Format::Text => name,
        Format::OpenMetrics => name.strip_suffix("_total").unwrap_or(name),
    }
}

pub fn head(out: &mut String, name: &str, help: &str, kind: &str) {
    let help = escape_help(help);
    write!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n").expect("writing to a string cannot fail");
}

pub fn sample(out: &mut String, name: &str, labels: &str, value: f64) {
    out.push_str(name);
    if !labels.is_empty() {
        out.push('{');
        out.push_str(labels);
        out.push('}');
    }
    out.push(' ');
    number(out, value);
    out.push('\n');
}

/// One family of the registry. Summaries and untyped figures are not used here and left out.
pub fn family(out: &mut String, family: &MetricFamily, format: Format) {
    let name = family.name();
    match family.get_field_type() {
        MetricType::COUNTER => {
            let total = if name.ends_with("_total") { name.to_owned() } else { format!("{name}_total") };
            head(out, counter_family(&total, format), family.help(), "counter");
            each(out, family, |out, labels, metric| sample(out, &total, labels, metric.get_counter().get_value()));
        }
        MetricType::GAUGE => {
            head(out, name, family.help(), "gauge");
            each(out, family, |out, labels, metric| sample(out, name, labels, metric.get_gauge().get_value()));
        }
        MetricType::HISTOGRAM => {
            head(out, name, family.help(), "histogram");
            each(out, family, |out, labels, metric| histogram(out, name, labels, metric));
        }
        MetricType::SUMMARY | MetricType::UNTYPED => {}
    }
}

fn each(out: &mut String, family: &MetricFamily, mut write: impl FnMut(&mut String, &str, &Metric)) {
    for metric in family.get_metric() {
        write(out, &labels(metric.get_label()), metric);
    }
}

fn labels(pairs: &[LabelPair]) -> String {
    let texts = pairs.iter().map(|pair| format!("{}=\"{}\"", pair.name(), escape(pair.value())));
    texts.collect::<Vec<_>>().join(",")
}

fn histogram(out: &mut String, name: &str, labels: &str, metric: &Metric) {
    let histogram = metric.get_histogram();
    let comma = if labels.is_empty() { "" } else { "," };
    let bucket = format!("{name}_bucket");
    for step in histogram.get_bucket().iter().filter(|step| step.upper_bound().is_finite()) {
        let mut bound = String::new();
        number(&mut bound, step.upper_bound());
        sample(out, &bucket, &format!("{labels}{comma}le=\"{bound}\""), step.cumulative_count() as f64);
    }
    let count = histogram.get_sample_count() as f64;
    sample(out, &bucket, &format!("{labels}{comma}le=\"+Inf\""), count);
    sample(out, &format!("{name}_sum"), labels, histogram.get_sample_sum());
    sample(out, &format!("{name}_count"), labels, count);
}
