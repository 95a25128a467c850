//! The probes of databases against real pairs: PostgreSQL and MariaDB, each with its copy; and what both need to be started.

#[path = "databases/mariadb.rs"]
mod mariadb;
#[path = "databases/postgres.rs"]
mod postgres;

use std::os::unix::fs::chown;
use std::process::Output;

use serde_json::{Value as Json, json};

use super::*;

const PASSWORD: &str = "hunter2 with blanks";

/// Databases refuse to run as root, so root runs them as the user that their package made.
#[derive(Copy, Clone)]
struct Keeper(Option<(u32, u32)>);

impl Keeper {
    fn of(user: &str) -> Keeper {
        if !rustix::process::geteuid().is_root() {
            return Keeper(None);
        }
        let passwd = fs::read_to_string("/etc/passwd").unwrap();
        let line = passwd.lines().find(|line| line.split(':').next() == Some(user));
        let fields: Vec<&str> = line.unwrap_or_else(|| panic!("no user `{user}`")).split(':').collect();
        Keeper(Some((fields[2].parse().unwrap(), fields[3].parse().unwrap())))
    }

    fn give(self, path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        if let Some((uid, gid)) = self.0 {
            chown(path, Some(uid), Some(gid)).unwrap();
        }
    }

    fn command(self, program: &Path, folder: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(folder)
            .env_clear()
            .env("LC_ALL", "C")
            .env("TMPDIR", folder)
            .env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin");
        if let Some((uid, gid)) = self.0 {
            command.uid(uid).gid(gid);
        }
        command
    }
}

/// Runs a program to its end; what it printed.
async fn done(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.stdin(Stdio::null()).output().await.unwrap();
    let [out, err] = [stdout, stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(status.success(), "{command:?}: {out}{err}");
    out
}

/// Whom the database lets in: further parameters, and the word of the fact that is named after the probe.
async fn logins(kind: &str, with: &impl Fn(Json) -> Json, cases: &[(Json, &str)]) {
    for (more, word) in cases {
        let seen = run(kind, with(more.clone())).await;
        assert_eq!(fact(&seen, kind), *word, "{more}: {seen:#?}");
        assert_eq!(seen.facts.contains_key("tls_days_left"), more["tls"] == true, "{more}");
    }
}

/// What a question of one's own gives: `query`, `value` (not a number: none) and `query_error`.
async fn questions(kind: &str, with: &impl Fn(Json) -> Json, cases: &[(&str, &str, f64, &str)]) {
    for (query, word, value, error) in cases {
        let seen = run(kind, with(json!({"query": query}))).await;
        let same = number(&seen, "value") == *value || value.is_nan() && number(&seen, "value").is_nan();
        assert!(same && fact(&seen, "query") == *word && fact(&seen, "query_error") == *error, "{query}: {seen:#?}");
        assert_eq!(fact(&seen, kind), "ok", "{query}");
    }
}

fn number(seen: &Observation, name: &str) -> f64 {
    seen.facts.get(name).and_then(Value::number).unwrap_or(f64::NAN)
}
