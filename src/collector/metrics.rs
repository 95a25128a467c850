//! What the collector tells about itself.

use std::time::Duration;

use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry};

use super::lanes::Lane;

/// Seconds; a second late is where catching up begins.
const LATENCY_BUCKETS: [f64; 10] = [0.005, 0.01, 0.025, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 120.0];

pub struct Metrics {
    latency: HistogramVec,
    running: IntGaugeVec,
    missed: IntCounterVec,
}

impl Metrics {
    pub fn register(registry: &Registry) -> Result<Metrics, prometheus::Error> {
        let latency = HistogramOpts::new(
            "stentor_collector_check_latency_seconds",
            "How late checks start after the time they were due, by lane.",
        );
        let metrics = Metrics {
            latency: HistogramVec::new(latency.buckets(LATENCY_BUCKETS.to_vec()), &["lane"])?,
            running: IntGaugeVec::new(
                Opts::new("stentor_collector_checks_running", "Checks that run now, by lane."),
                &["lane"],
            )?,
            missed: IntCounterVec::new(
                Opts::new(
                    "stentor_collector_checks_missed_total",
                    "Checks that found no free place in time and were put off, by lane.",
                ),
                &["lane"],
            )?,
        };
        registry.register(Box::new(metrics.latency.clone()))?;
        registry.register(Box::new(metrics.running.clone()))?;
        registry.register(Box::new(metrics.missed.clone()))?;
        for lane in Lane::ALL {
            metrics.running.with_label_values(&[lane.name()]).set(0);
            metrics.missed.with_label_values(&[lane.name()]).reset();
        }
        Ok(metrics)
    }

    pub fn started(&self, lane: Lane, late: Duration) {
        self.latency.with_label_values(&[lane.name()]).observe(late.as_secs_f64());
        self.running.with_label_values(&[lane.name()]).inc();
    }

    pub fn ended(&self, lane: Lane) {
        self.running.with_label_values(&[lane.name()]).dec();
    }

    pub fn missed(&self, lane: Lane) {
        self.missed.with_label_values(&[lane.name()]).inc();
    }
}
