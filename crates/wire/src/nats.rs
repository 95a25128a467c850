//! What a look at NATS needs of its protocol: lines of a server, and its monitoring pages.

use serde_json::Value;

/// The first line of a server.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Info {
    pub version: String,
    pub name: String,
    pub cluster: Option<String>,
    pub needs_login: bool,
    pub needs_tls: bool,
    pub offers_tls: bool,
    pub has_jetstream: bool,
    /// Lame duck mode: it sends its clients away.
    pub is_leaving: bool,
}

/// A line of a server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Line {
    Info(Box<Info>),
    Ok,
    Ping,
    Pong,
    /// `'Authorization Violation'`, without its quotes.
    Error(String),
}

/// Reads a line without its end.
pub fn line(line: &str) -> Option<Line> {
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    Some(match word {
        "INFO" => Line::Info(Box::new(info(&serde_json::from_str(rest).ok()?)?)),
        "+OK" => Line::Ok,
        "PING" => Line::Ping,
        "PONG" => Line::Pong,
        "-ERR" => Line::Error(rest.trim().trim_matches('\'').to_owned()),
        _ => return None,
    })
}

fn info(json: &Value) -> Option<Info> {
    let text = |name: &str| json.get(name).and_then(Value::as_str).map(str::to_owned);
    let is = |name: &str| json.get(name).and_then(Value::as_bool).unwrap_or(false);
    Some(Info {
        version: text("version")?,
        name: text("server_name").or_else(|| text("server_id")).unwrap_or_default(),
        cluster: text("cluster"),
        needs_login: is("auth_required"),
        needs_tls: is("tls_required"),
        offers_tls: is("tls_required") || is("tls_available"),
        has_jetstream: is("jetstream"),
        is_leaving: is("ldm"),
    })
}

/// Who logs in.
#[derive(Clone, Debug, Default)]
pub struct Login {
    pub user: Option<String>,
    /// The password, or the token where there is no user.
    pub secret: Option<String>,
}

/// The login, and a question whose answer comes behind it.
pub fn connect(login: &Login) -> String {
    let mut said = serde_json::json!({
        "verbose": false, "pedantic": false, "name": "stentor", "lang": "rust", "version": "1", "protocol": 1,
    });
    if let (Some(said), Some(secret)) = (said.as_object_mut(), &login.secret) {
        match &login.user {
            Some(user) => {
                said.insert("user".into(), user.as_str().into());
                said.insert("pass".into(), secret.as_str().into());
            }
            None => drop(said.insert("auth_token".into(), secret.as_str().into())),
        }
    }
    format!("CONNECT {said}\r\nPING\r\n")
}

/// Numbers of `/varz` and `/jsz` under names of ours; what is missing is left out.
pub fn numbers(json: &Value, of: &[(&'static str, &str)]) -> Vec<(&'static str, f64)> {
    of.iter().filter_map(|(name, pointer)| Some((*name, json.pointer(pointer)?.as_f64()?))).collect()
}

/// Members of the group that leads JetStream: how many of them are not current or off line; `None` for a single server.
pub fn meta(jsz: &Value) -> Option<Meta> {
    let cluster = jsz.get("meta_cluster")?;
    let leader = cluster.get("leader").and_then(Value::as_str).unwrap_or_default().to_owned();
    let peers = cluster.get("replicas").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let is = |peer: &Value, name: &str| peer.get(name).and_then(Value::as_bool).unwrap_or(false);
    let away = peers.iter().filter(|peer| is(peer, "offline") || !is(peer, "current"));
    let names = away.filter_map(|peer| peer.get("name").and_then(Value::as_str)).map(str::to_owned);
    Some(Meta { leader, away: names.collect() })
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Meta {
    /// Empty while there is none: then no stream can be made or moved.
    pub leader: String,
    pub away: Vec<String>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_are_told_apart() {
        // From nats-server 2.9.10, shortened.
        let said = r#"INFO {"server_id":"NDOJ","server_name":"n1","version":"2.9.10","proto":1,"auth_required":true,"tls_available":true,"jetstream":true,"cluster":"c"} "#;
        let Some(Line::Info(info)) = line(said) else { panic!("no INFO") };
        assert_eq!((info.version.as_str(), info.name.as_str(), info.cluster.as_deref()), ("2.9.10", "n1", Some("c")));
        assert!(info.needs_login && info.offers_tls && !info.needs_tls && info.has_jetstream && !info.is_leaving);
        for (text, meant) in [
            ("PONG", Some(Line::Pong)),
            ("PING", Some(Line::Ping)),
            ("+OK", Some(Line::Ok)),
            ("-ERR 'Authorization Violation'", Some(Line::Error("Authorization Violation".into()))),
            ("INFO {}", None),
            ("INFO x", None),
            ("HTTP/1.1 400", None),
            ("", None),
        ] {
            assert_eq!(line(text), meant, "{text}");
        }
    }

    #[test]
    fn a_secret_goes_where_it_belongs() {
        let [user, secret] = ["u\"", "p\r\nPUB x"].map(|text| Some(text.to_owned()));
        let both = connect(&Login { user, secret: secret.clone() });
        assert!(both.contains(r#""user":"u\"""#) && both.contains(r#""pass":"p\r\nPUB x""#), "{both}");
        assert!(connect(&Login { user: None, secret }).contains(r#""auth_token":"p\r\n"#));
        assert_eq!(both.matches('\n').count(), 2, "nothing gets out of its line");
    }

    #[test]
    fn members_that_lag_are_named() {
        let jsz = serde_json::json!({"streams": 3, "meta_cluster": {"leader": "n1", "replicas": [
            {"name": "n2", "current": true}, {"name": "n3", "current": false}, {"name": "n4", "current": true, "offline": true}]}});
        assert_eq!(meta(&jsz), Some(Meta { leader: "n1".into(), away: vec!["n3".into(), "n4".into()] }));
        assert_eq!(meta(&serde_json::json!({})), None);
        assert_eq!(numbers(&jsz, &[("streams", "/streams"), ("x", "/x")]), [("streams", 3.0)]);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,60}", near in "(INFO |-ERR|\\{\"version\":|\"a\"|\\}|'| ){0,8}") {
            let _ = (line(&text), line(&near));
        }
    }
}
