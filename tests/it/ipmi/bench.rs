//! `stentor bench ipmi` as a program: simulators in a process of their own, and figures that cannot be empty.

use tokio::process::Command;
use tokio::time::timeout;

use super::PATIENCE;

#[tokio::test]
async fn the_benchmark_reads_every_sensor_of_every_controller_and_counts_what_it_used() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stentor"));
    command.args(["bench", "ipmi", "--bmcs", "10", "--sensors", "20", "--sweeps", "20", "--paced-seconds", "1"]);
    command.args(["--fleet", "0", "--peer-sweeps", "2", "--json"]).kill_on_drop(true);
    let output = timeout(PATIENCE, command.output()).await.expect("it ends").expect("it starts");
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{err}");
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    assert_eq!((&answer["bmcs"], &answer["failed"]), (&10.into(), &0.into()), "{answer}");
    for key in ["bmcs_per_s", "cpu_ms_per_bmc", "sensors_per_cpu_s", "over_freeipmi", "resident_mb"] {
        assert!(answer[key].as_f64().is_some_and(|figure| figure > 0.0), "{key}: {answer}");
    }
    let peers = answer["peers"].as_array().expect("a list");
    let names: Vec<_> = peers.iter().map(|peer| peer["name"].as_str().expect("a name")).collect();
    assert_eq!(names, ["ipmitool", "ipmi-sensors"]);
    assert!(peers.iter().all(|peer| peer["sensors"] == 20), "both show each sensor: {answer}");
}
