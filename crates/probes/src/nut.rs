//! `nut`: an uninterruptible power supply by the `upsd` of Network UPS Tools: where the power comes from, and how long it lasts.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use stentor_core::model::{Observation, Value};
use stentor_wire::nut::{Line, Power, Status, parse_line, quoted};

use super::look::ahead_of;
use super::reach::closed;
use super::talk::{Hitch, Talk, open, opened, shown};
use super::{BuildError, Deadline, Network, Probe, ProbeEnv, ProbeError, Target};

pub struct Nut {
    net: Network,
    config: Config,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Another address than the host's.
    #[serde(default)]
    pub address: Option<Arc<str>>,
    #[serde(default = "nut_port")]
    pub port: u16,
    /// Name in `ups.conf`; may be left out where there is one only.
    #[serde(default)]
    pub ups: Option<String>,
}

/// RFC 9271, section 3.
fn nut_port() -> u16 {
    3493
}

/// Variables of one UPS; drivers give a hundred at most.
const LINES_MAX: usize = 2048;

/// Why there are no variables.
enum Refusal {
    Hitch(Hitch),
    /// `ERR` with its code.
    Error(String),
    /// So many UPSes, and none was named.
    Several(Vec<String>),
}

impl From<Hitch> for Refusal {
    fn from(hitch: Hitch) -> Self {
        Refusal::Hitch(hitch)
    }
}

impl Probe for Nut {
    const KIND: &'static str = "nut";
    const DOC: &'static str = include_str!("../../../docs/probes/nut.md");
    type Config = Config;

    fn build(config: Config, env: &ProbeEnv) -> Result<Self, BuildError> {
        if config.port == 0 {
            return Err(BuildError { message: "probe `nut`: there is no port 0".into() });
        }
        if config.ups.as_ref().is_some_and(String::is_empty) {
            return Err(BuildError { message: "probe `nut`: a UPS has a name".into() });
        }
        Ok(Nut { net: env.net.clone(), config })
    }

    async fn run(&self, target: &Target, deadline: Deadline) -> Result<Observation, ProbeError> {
        let deadline = ahead_of(deadline);
        let target = &target.at(self.config.address.as_ref());
        let (attempt, talk) = open(&self.net, target, self.config.port, deadline).await?;
        let Some(mut talk) = talk else { return Ok(closed(&attempt)) };
        let seen = opened(&attempt, attempt.addr.to_string());
        let result = self.ask(&mut talk).await;
        // Whatever it answers, all has been said.
        let _ = talk.say(b"LOGOUT\n").await;
        Ok(match result {
            Ok((ups, variables)) => observe(seen, &ups, &variables),
            Err(refusal) => refused(seen, &refusal),
        })
    }
}

impl Nut {
    async fn ask(&self, talk: &mut Talk) -> Result<(String, BTreeMap<String, String>), Refusal> {
        let ups = match &self.config.ups {
            Some(ups) => ups.clone(),
            None => only_one(talk).await?,
        };
        let mut variables = BTreeMap::new();
        for line in list(talk, &format!("VAR {}", quoted(&ups))).await? {
            if let Line::Var { name, value, .. } = line {
                variables.insert(name, value);
            }
        }
        Ok((ups, variables))
    }
}

async fn only_one(talk: &mut Talk) -> Result<String, Refusal> {
    let mut names = Vec::new();
    for line in list(talk, "UPS").await? {
        if let Line::Ups { name, .. } = line {
            names.push(name);
        }
    }
    match <[String; 1]>::try_from(names) {
        Ok([name]) => Ok(name),
        Err(names) => Err(Refusal::Several(names)),
    }
}

/// The lines between `BEGIN LIST` and `END LIST`.
async fn list(talk: &mut Talk, what: &str) -> Result<Vec<Line>, Refusal> {
    talk.say(format!("LIST {what}\n").as_bytes()).await?;
    let mut lines = Vec::new();
    let mut begun = false;
    while lines.len() < LINES_MAX {
        let line = talk.line().await?;
        match parse_line(&line) {
            Some(Line::Begin(_)) => begun = true,
            Some(Line::End(_)) if begun => return Ok(lines),
            Some(Line::Error(code)) => return Err(Refusal::Error(code)),
            Some(read) if begun => lines.push(read),
            _ => return Err(Hitch::Invalid(format!("it says `{}`", shown(&line))).into()),
        }
    }
    Err(Hitch::Invalid(format!("it lists more than {LINES_MAX} variables")).into())
}

fn refused(seen: Observation, refusal: &Refusal) -> Observation {
    let at = seen.text.to_string();
    let (word, text) = match refusal {
        Refusal::Hitch(hitch) => (hitch.word(), format!("{at}: no answer of upsd: {hitch}")),
        Refusal::Several(names) if names.is_empty() => ("unknown_ups", format!("{at}: upsd knows no UPS")),
        Refusal::Several(names) => {
            ("unknown_ups", format!("{at}: upsd has several UPSes, name one as `ups`: {}", shown(&names.join(", "))))
        }
        Refusal::Error(code) => match code.as_str() {
            "DATA-STALE" => ("stale", format!("{at}: upsd has lost contact with the UPS (DATA-STALE)")),
            "DRIVER-NOT-CONNECTED" => ("driver", format!("{at}: the driver of the UPS does not run")),
            "UNKNOWN-UPS" => ("unknown_ups", format!("{at}: upsd knows no UPS of that name")),
            "ACCESS-DENIED" => ("denied", format!("{at}: upsd does not let us read (ACCESS-DENIED)")),
            other => ("error", format!("{at}: upsd says {}", shown(other))),
        },
    };
    Observation { text: text.into(), ..seen }.fact("nut", word)
}

fn observe(seen: Observation, ups: &str, variables: &BTreeMap<String, String>) -> Observation {
    let text = |name: &str| variables.get(name).map(|value| shown(value)).filter(|value| !value.is_empty());
    let number = |name: &str| variables.get(name)?.trim().parse::<f64>().ok().filter(|value| value.is_finite());
    let status = Status::parse(variables.get("ups.status").map_or("", String::as_str));
    let power = status.power();
    let mut parts = vec![match power {
        Power::Online => "on line power".to_owned(),
        Power::Battery => "on battery".to_owned(),
        Power::Bypass => "on bypass: the load is not protected".to_owned(),
        Power::Off => "output is off".to_owned(),
        Power::Unknown => format!("status `{}` says nothing of the power", status.flags.join(" ")),
    }];
    let mut seen =
        seen.fact("nut", "ok").fact("ups", ups).fact("status", status.flags.clone()).fact("power", power.word());
    for (flag, fact, words) in [
        ("LB", "low_battery", "battery low"),
        ("RB", "replace_battery", "battery must be replaced"),
        ("OVER", "overload", "overloaded"),
        ("ALARM", "alarm", "alarm"),
        ("FSD", "forced_shutdown", "shutdown is ordered"),
        ("CHRG", "charging", "charging"),
        ("DISCHRG", "discharging", ""),
        ("CAL", "calibrating", "calibrating"),
        ("TRIM", "trim", ""),
        ("BOOST", "boost", ""),
    ] {
        let has = status.has(flag);
        seen = seen.fact(fact, has);
        if has && !words.is_empty() {
            parts.push(words.to_owned());
        }
    }
    for (variable, fact, label, unit) in [
        ("battery.charge", "charge_pct", "charge", "%"),
        ("battery.runtime", "runtime_s", "runtime", "s"),
        ("ups.load", "load_pct", "load", "%"),
        ("input.voltage", "input_v", "input_voltage", ""),
        ("output.voltage", "output_v", "output_voltage", ""),
        ("battery.voltage", "battery_v", "battery_voltage", ""),
        ("ups.temperature", "temperature_c", "temperature", ""),
    ] {
        let Some(value) = number(variable) else { continue };
        seen = seen.fact(fact, value).measure(label, value, unit);
        match fact {
            "charge_pct" => parts.push(format!("battery {value} %")),
            "runtime_s" => parts.push(format!("lasts {:.0} min", (value / 60.0).floor())),
            "load_pct" => parts.push(format!("load {value} %")),
            _ => {}
        }
    }
    if let Some(supply) = supply(&status, number("battery.runtime")) {
        seen = seen.fact("supply", supply);
    }
    if let Some(left) = number("battery.runtime").filter(|_| power == Power::Battery) {
        seen = seen.fact("outage_s", left);
    }
    for (variable, fact) in [("ups.alarm", "alarm_text"), ("ups.model", "model"), ("battery.date", "battery_date")] {
        if let Some(value) = text(variable) {
            if variable == "ups.alarm" {
                parts.push(value.clone());
            }
            seen = seen.fact(fact, value);
        }
    }
    Observation { text: format!("{}: {}", shown(ups), parts.join(", ")).into(), ..seen }
}

/// The value of the signal `ups`, in the numbers of RFC 1628, as the probe `snmp_ups` gives it: where the power comes from,
/// the battery (2 normal, 3 low), and the minutes that it lasts.
fn supply(status: &Status, runtime_s: Option<f64>) -> Option<Value> {
    let source = match status.power() {
        Power::Battery => 5.0,
        Power::Bypass => 4.0,
        Power::Off => 2.0,
        Power::Online if status.has("BOOST") => 6.0,
        Power::Online if status.has("TRIM") => 7.0,
        Power::Online => 3.0,
        Power::Unknown => return None,
    };
    let battery = if status.has("LB") { 3.0 } else { 2.0 };
    let mut pairs: Vec<(&str, Value)> =
        vec![("upsOutputSource", Value::Number(source)), ("upsBatteryStatus", Value::Number(battery))];
    if let Some(runtime_s) = runtime_s {
        pairs.push(("minutes", Value::Number((runtime_s / 60.0).floor())));
    }
    Some(pairs.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    use tokio::net::TcpListener;

    use super::*;
    use crate::testing::{number, run_at, text};

    /// Answers each line that begins with a key by the text behind it.
    async fn upsd(answers: &'static [(&'static str, &'static str)]) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let port = listener.local_addr().expect("address").port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (read, mut write) = stream.split();
                let mut lines = BufReader::new(read).lines();
                while let Ok(Some(line)) = lines.next_line().await {
                    let answer =
                        answers.iter().find(|(asked, _)| line == *asked).map_or("ERR UNKNOWN-COMMAND\n", |a| a.1);
                    let _ = write.write_all(answer.as_bytes()).await;
                }
            }
        });
        port
    }

    const ONE: &str = "BEGIN LIST UPS\nUPS rack3 \"x\"\nEND LIST UPS\n";

    async fn see(answers: &'static [(&'static str, &'static str)]) -> Observation {
        let port = upsd(answers).await;
        run_at("nut", &format!(r#"{{"port":{port}}}"#), 5000).await.expect("observed")
    }

    #[tokio::test]
    async fn a_ups_on_battery_says_how_long_it_lasts() {
        let seen = see(&[
            ("LIST UPS", ONE),
            (
                "LIST VAR \"rack3\"",
                "BEGIN LIST VAR rack3\nVAR rack3 battery.charge \"42\"\nVAR rack3 battery.runtime \"610\"\n\
                 VAR rack3 ups.load \"31.5\"\nVAR rack3 ups.status \"OB DISCHRG LB RB\"\nVAR rack3 x.y \"nan\"\n\
                 END LIST VAR rack3\n",
            ),
        ])
        .await;
        assert_eq!((text(&seen, "nut"), text(&seen, "power")), ("ok".into(), "battery".into()));
        assert_eq!(
            (number(&seen, "charge_pct"), number(&seen, "runtime_s"), number(&seen, "load_pct")),
            (42.0, 610.0, 31.5)
        );
        assert_eq!(
            text(&seen, "low_battery") + &text(&seen, "replace_battery") + &text(&seen, "charging"),
            "truetruefalse"
        );
        assert_eq!(number(&seen, "outage_s"), 610.0);
        let minutes = seen.facts["supply"].get("minutes").and_then(Value::number);
        let source = seen.facts["supply"].get("upsOutputSource").and_then(Value::number);
        assert_eq!((source, minutes), (Some(5.0), Some(10.0)));
        let said = "rack3: on battery, battery low, battery must be replaced, battery 42 %, lasts 10 min, load 31.5 %";
        assert_eq!(&*seen.text, said);
    }

    #[tokio::test]
    async fn each_refusal_has_its_word() {
        for (answer, word) in [
            ("ERR DATA-STALE\n", "stale"),
            ("ERR DRIVER-NOT-CONNECTED\n", "driver"),
            ("ERR UNKNOWN-UPS\n", "unknown_ups"),
            ("ERR ACCESS-DENIED\n", "denied"),
            ("ERR WHAT-EVER\n", "error"),
            ("BEGIN LIST VAR rack3\nVAR rack3 ups.status \"OL\n", "invalid"),
            ("END LIST VAR rack3\n", "invalid"),
        ] {
            let answers: &'static [(&str, &str)] = vec![("LIST UPS", ONE), ("LIST VAR \"rack3\"", answer)].leak();
            let seen = see(answers).await;
            assert_eq!((text(&seen, "port"), text(&seen, "nut")), ("open".into(), word.into()), "{answer}");
            assert!(!seen.facts.contains_key("power"), "{answer}");
        }
    }

    #[tokio::test]
    async fn of_several_one_must_be_named() {
        let seen = see(&[("LIST UPS", "BEGIN LIST UPS\nUPS a \"\"\nUPS b \"\"\nEND LIST UPS\n")]).await;
        assert_eq!(text(&seen, "nut"), "unknown_ups");
        assert!(seen.text.contains("a, b"), "{}", seen.text);
    }
}
