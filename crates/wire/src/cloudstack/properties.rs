//! `db.properties` of a management server: which database it uses and where its connector turns to if that one fails.

use std::collections::BTreeMap;

/// Settings of one database of a management server. Logins are not read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Database {
    pub host: String,
    pub port: u16,
    /// `db.ha.enabled`.
    pub ha_enabled: bool,
    /// `db.cloud.replicas`, before 4.18 `db.cloud.slaves`; the source is not among them.
    pub replicas: Vec<String>,
    /// How long the connector stays with a replica before it tries the source again.
    pub seconds_before_retry: u64,
    pub queries_before_retry: u64,
    /// `db.cloud.uri` replaces the other settings where it is set.
    pub has_uri: bool,
    pub is_read_only_after_failover: bool,
}

/// `db.cloud.secondsBeforeRetrySource` where nothing is set.
const SECONDS_BEFORE_RETRY: u64 = 3600;
const QUERIES_BEFORE_RETRY: u64 = 5000;
/// MySQL's port.
const PORT: u16 = 3306;

/// Something between the management server and its database, told by its usual port.
pub fn proxy_of_port(port: u16) -> &'static str {
    match port {
        // Classic and X protocol, read-write and read-only, and the splitting port of 8.2.
        6446..=6450 => "mysql_router",
        6033 => "proxysql",
        4006 | 4008 => "maxscale",
        _ => "none",
    }
}

/// Reads the settings of `cloud` or `usage`; `None` where the file names no database of that name.
pub fn database(text: &str, name: &str) -> Option<Database> {
    let all = properties(text);
    let of = |key: &str| all.get(format!("db.{name}.{key}").as_str()).map(|value| value.trim());
    // Names of before and after 4.18; both may stand there, the newer one counts.
    let either = |new: &str, old: &str| of(new).or_else(|| of(old)).filter(|value| !value.is_empty());
    let is = |value: Option<&str>| value.is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let uri = of("uri").filter(|uri| !uri.is_empty());
    let (host, port) = match uri {
        Some(uri) => of_uri(uri),
        None => (of("host").unwrap_or_default().to_owned(), of("port").and_then(|port| port.parse().ok())),
    };
    if host.is_empty() {
        return None;
    }
    let names = either("replicas", "slaves").unwrap_or_default();
    let names = names.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
    Some(Database {
        host,
        port: port.unwrap_or(PORT),
        ha_enabled: is(all.get("db.ha.enabled").map(String::as_str).map(str::trim)),
        replicas: names,
        seconds_before_retry: either("secondsBeforeRetrySource", "secondsBeforeRetryMaster")
            .and_then(|value| value.parse().ok())
            .unwrap_or(SECONDS_BEFORE_RETRY),
        queries_before_retry: either("queriesBeforeRetrySource", "queriesBeforeRetryMaster")
            .and_then(|value| value.parse().ok())
            .unwrap_or(QUERIES_BEFORE_RETRY),
        has_uri: uri.is_some(),
        is_read_only_after_failover: is(of("failOverReadOnly")),
    })
}

/// `jdbc:mysql://db1:3306,db2:3306/cloud?…`: its first server.
fn of_uri(uri: &str) -> (String, Option<u16>) {
    let servers = uri.split_once("://").map_or(uri, |(_, rest)| rest).split('/').next().unwrap_or_default();
    let first = servers.rsplit('@').next().unwrap_or_default().split(',').next().unwrap_or_default();
    match first.rsplit_once(':') {
        Some((host, port)) => (host.trim_matches(['[', ']']).to_owned(), port.parse().ok()),
        None => (first.to_owned(), None),
    }
}

/// Lines of a Java properties file; the last of equal keys counts.
fn properties(text: &str) -> BTreeMap<&str, String> {
    let mut all = BTreeMap::new();
    for line in text.lines() {
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', '!']) {
            continue;
        }
        if let Some((key, value)) = line.split_once(['=', ':']) {
            all.insert(key.trim(), value.trim().to_owned());
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NEW: &str = "# c\ndb.cloud.username=cloud\ndb.cloud.password=ENC(x=y)\ndb.cloud.host=db1\ndb.cloud.port=3306\n\
        db.cloud.uri=\ndb.ha.enabled=true\ndb.cloud.replicas=db2, db3\ndb.cloud.secondsBeforeRetrySource=1800\n\
        db.cloud.queriesBeforeRetrySource=5000\ndb.usage.host=db9\n";

    #[test]
    fn both_spellings_read() {
        let new = database(NEW, "cloud").expect("a database");
        assert_eq!((new.host.as_str(), new.port, new.ha_enabled), ("db1", 3306, true));
        assert_eq!(
            (new.replicas.as_slice(), new.seconds_before_retry),
            (["db2".to_owned(), "db3".into()].as_slice(), 1800)
        );
        let old = NEW.replace("replicas", "slaves").replace("RetrySource", "RetryMaster");
        assert_eq!(database(&old, "cloud"), Some(new));
    }

    #[test]
    fn what_is_not_set_has_the_documented_value() {
        let usage = database(NEW, "usage").expect("a database");
        assert_eq!((usage.seconds_before_retry, usage.queries_before_retry, usage.replicas.len()), (3600, 5000, 0));
        assert_eq!(database("db.ha.enabled=true\n", "cloud"), None);
        assert_eq!(database("", "cloud"), None);
    }

    #[test]
    fn a_uri_replaces_host_and_port() {
        let text = "db.cloud.host=old\ndb.cloud.uri=jdbc:mysql://u:p@router:6446,b:1/cloud?autoReconnect=true\n";
        let one = database(text, "cloud").expect("a database");
        assert_eq!((one.host.as_str(), one.port, one.has_uri), ("router", 6446, true));
        assert_eq!(
            (proxy_of_port(6446), proxy_of_port(6033), proxy_of_port(3306)),
            ("mysql_router", "proxysql", "none")
        );
    }

    #[test]
    fn logins_are_not_kept() {
        let shown = format!("{:?}", database(NEW, "cloud"));
        assert!(!shown.contains("ENC") && !shown.contains("username"), "{shown}");
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(db\\.|cloud|usage|\\.|host|uri|=|:|,|//|@|\n|#|é|[0-9])*") {
            let _ = (database(&text, "cloud"), database(&text, "usage"));
        }

        #[test]
        fn any_truncation_reads(cut in 0usize..400) {
            let _ = database(NEW.get(..cut).unwrap_or(NEW), "cloud");
        }
    }
}
