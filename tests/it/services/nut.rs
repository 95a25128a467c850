//! The `nut` probe against Debian's upsd with the driver `dummy-ups`, which plays a UPS from a file.

use serde_json::json;

use super::*;

struct Upsd {
    port: u16,
    folder: TempDir,
    upsd: Option<Child>,
    driver: Option<Child>,
}

fn played(status: &str, charge: u32) -> String {
    format!(
        "ups.status: {status}\nbattery.charge: {charge}\nbattery.runtime: 1260\nups.load: 37\nups.model: Dummy 1500\n\
         input.voltage: 231.5\n"
    )
}

impl Upsd {
    async fn start() -> Upsd {
        let folder = folder();
        let port = free_port();
        let place = folder.path().display().to_string();
        write(folder.path(), "nut.conf", "MODE=standalone\n");
        write(
            folder.path(),
            "ups.conf",
            "[rack3]\n driver = dummy-ups\n port = rack3.dev\n mode = dummy-loop\n desc = \"a b\"\n",
        );
        write(folder.path(), "upsd.conf", &format!("LISTEN 127.0.0.1 {port}\nMAXAGE 3\nSTATEPATH {place}\n"));
        write(folder.path(), "upsd.users", "");
        let mut this = Upsd { port, folder, upsd: None, driver: None };
        this.play("OL CHRG", 80);
        this.start_driver();
        let upsd = program("upsd", "nut-server");
        this.upsd = Some(spawn(this.within(Command::new(upsd)).args(["-F", "-u", &user()])));
        this
    }

    /// Where NUT's programs find their files.
    fn within(&self, mut command: Command) -> Command {
        let place = self.folder.path();
        command.env("NUT_CONFPATH", place).env("NUT_STATEPATH", place).env("NUT_ALTPIDPATH", place).current_dir(place);
        command.stderr(Stdio::null());
        command
    }

    fn start_driver(&mut self) {
        let driver = program("dummy-ups", "nut-server");
        self.driver = Some(spawn(self.within(Command::new(driver)).args(["-a", "rack3", "-F", "-u", &user()])));
    }

    fn play(&self, status: &str, charge: u32) {
        // The driver must never see half a file.
        let new = write(self.folder.path(), "rack3.new", &played(status, charge));
        fs::rename(new, self.folder.path().join("rack3.dev")).unwrap();
    }

    async fn see(&self, wanted: impl Fn(&Observation) -> bool) -> Observation {
        run_until("nut", json!({"port": self.port}), wanted).await
    }
}

/// Whoever runs the test: its folder is theirs.
fn user() -> String {
    if rustix::process::geteuid().is_root() { "root".into() } else { std::env::var("USER").unwrap() }
}

#[tokio::test]
async fn a_ups_goes_from_the_mains_to_its_battery_and_its_driver_dies() {
    let mut upsd = Upsd::start().await;
    // Until the driver has read its file, the status is WAIT.
    let seen = upsd.see(|seen| fact(seen, "power") == "online").await;
    assert_eq!((fact(&seen, "nut"), fact(&seen, "charging")), ("ok".into(), "true".into()), "{seen:#?}");
    assert_eq!(
        (fact(&seen, "charge_pct"), fact(&seen, "runtime_s"), fact(&seen, "load_pct")),
        ("80".into(), "1260".into(), "37".into())
    );
    assert_eq!(
        (fact(&seen, "model"), fact(&seen, "input_v"), fact(&seen, "ups")),
        ("Dummy 1500".into(), "231.5".into(), "rack3".into())
    );

    upsd.play("OB DISCHRG LB", 7);
    let seen = upsd.see(|seen| fact(seen, "power") == "battery").await;
    assert_eq!((fact(&seen, "low_battery"), fact(&seen, "discharging")), ("true".into(), "true".into()), "{seen:#?}");
    assert!(seen.text.starts_with("rack3: on battery, battery low"), "{}", seen.text);

    let seen = run("nut", json!({"port": upsd.port, "ups": "rack9"})).await;
    assert_eq!(fact(&seen, "nut"), "unknown_ups");

    upsd.driver.take().unwrap().kill().await.unwrap();
    let seen = upsd.see(|seen| fact(seen, "nut") != "ok").await;
    assert!(["driver", "stale"].contains(&fact(&seen, "nut").as_str()), "{seen:#?}");
    assert!(!seen.facts.contains_key("power"), "a UPS that nobody asks has no known state");
}
