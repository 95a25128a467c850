//! What the Docker Engine says of its containers, and virsh of its domains.

use serde_json::Value;

/// A container, from `/containers/json` and `/containers/ID/json`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Container {
    pub id: String,
    pub name: String,
    pub image: String,
    /// `created`, `running`, `paused`, `restarting`, `exited`, `dead`, `removing`.
    pub state: String,
    /// `healthy`, `unhealthy`, `starting`; `None` without a health check.
    pub health: Option<String>,
    pub restarts: Option<u64>,
    pub exit_code: Option<i64>,
    pub was_oom_killed: bool,
}

/// Reads the list; entries that are none are left out.
pub fn list(json: &Value) -> Option<Vec<Container>> {
    let read = |entry: &Value| {
        let text = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let name = entry.get("Names").and_then(|names| names.get(0)).and_then(Value::as_str).unwrap_or_default();
        let id = text("Id");
        let is_id = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
        is_id.then(|| Container {
            name: if name.is_empty() { id.chars().take(12).collect() } else { name.trim_start_matches('/').to_owned() },
            image: text("Image"),
            state: text("State").to_ascii_lowercase(),
            health: health_in(&text("Status")),
            exit_code: exit_code_in(&text("Status")),
            id,
            ..Container::default()
        })
    };
    Some(json.as_array()?.iter().filter_map(read).collect())
}

/// `Up 3 hours (healthy)`, `Up 2 seconds (health: starting)`.
fn health_in(status: &str) -> Option<String> {
    let words = ["unhealthy", "healthy", "starting"];
    let inner = status.rsplit_once('(')?.1.strip_suffix(')')?;
    let inner = inner.strip_prefix("health: ").unwrap_or(inner);
    words.contains(&inner).then(|| inner.to_owned())
}

/// `Exited (137) 2 minutes ago`, `Restarting (1) 5 seconds ago`.
fn exit_code_in(status: &str) -> Option<i64> {
    let (word, rest) = status.split_once(" (")?;
    if !["Exited", "Restarting"].contains(&word) {
        return None;
    }
    rest.split_once(')')?.0.parse().ok()
}

impl Container {
    /// Adds what only the look at one container tells.
    pub fn inspected(mut self, json: &Value) -> Container {
        let number = |pointer: &str| json.pointer(pointer).and_then(Value::as_i64);
        self.restarts = json.get("RestartCount").and_then(Value::as_u64).or(self.restarts);
        self.was_oom_killed = json.pointer("/State/OOMKilled").and_then(Value::as_bool).unwrap_or(false);
        if self.state != "running" {
            self.exit_code = number("/State/ExitCode").or(self.exit_code);
        }
        let health = json.pointer("/State/Health/Status").and_then(Value::as_str);
        if let Some(health) = health.filter(|health| !health.is_empty() && *health != "none") {
            self.health = Some(health.to_owned());
        }
        self
    }
}

/// A virtual machine, from `virsh list --all`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Domain {
    pub name: String,
    /// `running`, `idle`, `paused`, `in shutdown`, `shut off`, `crashed`, `pmsuspended`, `no state`.
    pub state: String,
}

/// States as virsh prints them in the C locale.
const STATES: [&str; 8] =
    ["running", "idle", "paused", "in shutdown", "shut off", "crashed", "pmsuspended", "no state"];

/// Reads the table. Names may hold blanks, so a line is read from its end: states are known.
///
/// # Errors
/// The line that is none.
pub fn domains(text: &str) -> Result<Vec<Domain>, String> {
    let mut lines = text.lines().skip_while(|line| !line.trim_start().starts_with("Id"));
    let Some(header) = lines.next() else { return Err("there is no table".into()) };
    if header.split_whitespace().ne(["Id", "Name", "State"]) {
        return Err(header.to_owned());
    }
    let rows = lines.filter(|line| !line.trim().is_empty() && !line.trim_start().starts_with("---"));
    rows.map(|line| domain(line).ok_or_else(|| line.to_owned())).collect()
}

fn domain(line: &str) -> Option<Domain> {
    let line = line.trim();
    let (_, rest) = line.split_once(char::is_whitespace)?;
    let state = STATES.into_iter().find(|state| rest.ends_with(state))?;
    let name = rest.strip_suffix(state)?;
    let trimmed = name.trim();
    // Between the columns is a blank at least.
    (!trimmed.is_empty() && name.ends_with(char::is_whitespace))
        .then(|| Domain { name: trimmed.to_owned(), state: state.to_owned() })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// Fields as podman 4.3.1 gives them by its Docker interface; states and status texts from the Engine's API 1.41.
    fn listed(state: &str, status: &str) -> Value {
        json!([{"Id": "27c4bfe06df9ba0d", "Names": ["/web"], "Image": "localhost/box:1", "State": state, "Status": status}])
    }

    #[test]
    fn states_health_and_ends_are_read() {
        for (state, status, health, code) in [
            ("running", "Up 3 hours", None, None),
            ("running", "Up 3 hours (healthy)", Some("healthy"), None),
            ("running", "Up 3 hours (unhealthy)", Some("unhealthy"), None),
            ("running", "Up 2 seconds (health: starting)", Some("starting"), None),
            ("running", "Up 2 hours (Paused)", None, None),
            ("exited", "Exited (137) 2 minutes ago", None, Some(137)),
            ("restarting", "Restarting (1) 5 seconds ago", None, Some(1)),
            ("created", "Created", None, None),
        ] {
            let read = list(&listed(state, status)).unwrap();
            assert_eq!((read[0].name.as_str(), read[0].state.as_str()), ("web", state));
            assert_eq!((read[0].health.as_deref(), read[0].exit_code), (health, code), "{status}");
        }
        assert_eq!(list(&json!({"message": "x"})), None);
        assert_eq!(list(&json!([{"Id": "../x", "State": "running"}, 7])), Some(vec![]));
    }

    #[test]
    fn a_look_at_one_container_tells_more() {
        let one = list(&listed("exited", "Exited (0) 1 second ago")).unwrap().remove(0);
        let more = json!({"RestartCount": 4, "State": {"OOMKilled": true, "ExitCode": 137, "Health": {"Status": "unhealthy"}}});
        let one = one.inspected(&more);
        assert_eq!((one.restarts, one.exit_code, one.was_oom_killed), (Some(4), Some(137), true));
        assert_eq!(one.health.as_deref(), Some("unhealthy"));
        let same = one.clone().inspected(&json!({"State": {"Health": {"Status": ""}}}));
        assert_eq!((same.restarts, same.health.as_deref()), (Some(4), Some("unhealthy")));
    }

    #[test]
    fn domains_with_blanks_in_their_names_are_read() {
        // virsh 9.0.0, `list --all`, driver test:///default; the last three by its manual.
        let text = " Id   Name          State\n------------------------------\n 1    test          paused\n -    my vm 2       shut off\n \
                    -    run running   in shutdown\n 7    x             crashed\n\n";
        let read = domains(text).unwrap();
        let read: Vec<(&str, &str)> = read.iter().map(|one| (one.name.as_str(), one.state.as_str())).collect();
        let meant = [("test", "paused"), ("my vm 2", "shut off"), ("run running", "in shutdown"), ("x", "crashed")];
        assert_eq!(read, meant);
        assert_eq!(domains(" Id   Name   State\n--------------------\n\n"), Ok(vec![]));
        for text in ["", "error: failed to connect", " Id   Nom   État\n", " Id   Name   State\n 1 test unknown\n"] {
            assert!(domains(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,60}", near in "( |Id|Name|State|\n|running|-|shut off|\\(|\\)|Exited){0,14}") {
            for text in [text, near] {
                let _ = (domains(&format!("Id Name State\n{text}")), list(&listed("running", &text)));
            }
        }
    }
}
