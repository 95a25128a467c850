//! Every key of the configuration and of packs, by section. What is not here does not exist: the reader refuses it, and
//! a test looks for each configuration key in the example.

/// Sections of the configuration file: name as messages show it, keys.
pub const CONFIG: &[(&str, &[&str])] = &[
    (
        "",
        &[
            "include",
            "instance",
            "server",
            "ssh",
            "storage",
            "runbook",
            "engine",
            "timing",
            "collector",
            "packs",
            "site",
            "zone",
            "switch",
            "feed",
            "backend",
            "drbd",
            "business",
            "accept",
            "cloud",
            "host",
            "service",
            "parity",
            "drill",
            "timeperiod",
            "contact",
            "route",
            "notifier",
            "downtime",
            "dependency",
            "nagios",
            "metrics",
            "log",
            "traps",
            "trap",
        ],
    ),
    ("[server]", &["agent", "client_ca", "listen", "tls_cert", "tls_key", "url", "watch_config"]),
    ("[[server.agent]]", &["certificate", "host"]),
    ("[ssh]", &["config_file", "identity_file", "known_hosts", "port", "program", "user"]),
    ("[runbook]", &["commands", "automatic", "automatic_per_host", "automatic_per_hour", "two_persons", "power"]),
    ("[storage]", &["url", "journal", "drills", "keep"]),
    ("[engine]", &["inbox", "turn_inputs", "journal_keep", "checkpoint_every"]),
    (
        "[timing]",
        &[
            "pace",
            "hold_software",
            "hold_server",
            "hold_group",
            "collapse",
            "recovery",
            "reopen",
            "renotify_critical",
            "renotify_major",
            "renotify_warning",
            "fresh_floor",
        ],
    ),
    ("[collector]", &["concurrency", "per_host", "exec_concurrency"]),
    ("[packs]", &["dirs"]),
    ("[site]", &["name", "timezone"]),
    ("[[zone]]", &["name", "cloud", "vmware"]),
    ("[[switch]]", &["name", "aliases", "kind", "feeds", "management"]),
    ("[[feed]]", &["name", "source"]),
    ("[[backend]]", &["name", "cloud", "used_by"]),
    ("[[drbd]]", &["name", "cloud", "hosts"]),
    ("[[business]]", &["name", "display", "expression", "cloud", "slo"]),
    (
        "[[cloud]]",
        &[
            "name",
            "platform",
            "core",
            "release",
            "min_nc",
            "network_mode",
            "ebs",
            "object",
            "unique",
            "arbitrators",
            "api",
        ],
    ),
    ("[[accept]]", &["lint", "target", "reason"]),
    (
        "[[host]]",
        &[
            "name",
            "display",
            "address",
            "zone",
            "cloud",
            "parents",
            "components",
            "bmc",
            "psu_feeds",
            "switch_ports",
            "vm_on",
            "view",
            "check",
            "checks",
        ],
    ),
    ("bmc", &["address", "port", "user", "password_file", "suite", "protocols", "redfish"]),
    ("checks", &["enabled", "every", "retry", "attempts", "timeout", "params"]),
    (
        "[[service]]",
        &[
            "host",
            "name",
            "check",
            "probe",
            "command",
            "params",
            "every",
            "retry",
            "attempts",
            "timeout",
            "freshness",
            "component",
            "rules",
        ],
    ),
    ("rules", &["when", "state", "source"]),
    (
        "[[parity]]",
        &["name", "hosts", "component", "cloud", "files", "packages", "prefix", "every", "timeout", "state"],
    ),
    ("[[drill]]", &["cell", "runbook", "due", "owner", "host"]),
    ("[[timeperiod]]", &["name", "timezone", "windows", "dates", "exclude"]),
    ("[[contact]]", &["name", "display", "email", "webhook", "period", "severity_min"]),
    ("[[route]]", &["name", "match", "to", "period"]),
    ("match", &["severity_min", "cloud", "zone", "host", "component", "class"]),
    ("[notifier]", &["email", "webhook"]),
    (
        "[notifier.email]",
        &["enabled", "host", "port", "tls", "user", "password_file", "from", "timeout", "ca_file", "hello_name"],
    ),
    ("[notifier.webhook]", &["enabled", "url", "token_file", "secret_file", "timeout"]),
    ("[[downtime]]", &["host", "hosts", "service", "start", "end", "for", "period", "name", "comment"]),
    (
        "[[dependency]]",
        &["host", "service", "on", "min_available", "name", "stops", "states", "period", "inherits_parent"],
    ),
    ("[nagios]", &["config", "notify", "command_file"]),
    ("[traps]", &["listen", "community_files", "user", "engine_file", "forwarders", "source"]),
    ("[[traps.user]]", &["name", "auth", "auth_password_file", "priv", "priv_password_file"]),
    ("[[traps.source]]", &["address", "host"]),
    ("[[trap]]", &["name", "oid", "when", "host", "vars", "service", "state", "key", "text", "for", "check"]),
    ("[metrics]", &["enabled", "token_file"]),
    ("[log]", &["level", "format"]),
];

/// Sections of pack files.
pub const PACK: &[(&str, &[&str])] = &[
    ("pack file", &["pack", "component", "check", "usual", "cell", "runbook", "trap"]),
    ("[pack]", &["platform", "core", "version", "schema", "order", "precedence", "zonal", "guests", "unhealed"]),
    (
        "[[component]]",
        &["key", "name", "core", "units", "processes", "ports", "jvm", "redundancy", "depends_on", "beside"],
    ),
    ("redundancy", &["kind", "min"]),
    (
        "[[check]]",
        &[
            "name",
            "component",
            "host",
            "host_check",
            "probe",
            "params",
            "every",
            "retry",
            "attempts",
            "timeout",
            "freshness",
            "applies",
            "when",
            "bmc",
            "view",
            "doc",
            "signal",
            "rules",
            "usual",
            "example",
        ],
    ),
    ("[[usual]]", &["probe", "params", "rules", "example"]),
    ("signal", &["sig", "of_host", "fact", "each", "elsewhere", "words", "by_state", "resource", "blocks_start"]),
    ("[[check.example]]", &["name", "output", "code", "observation", "params", "expect", "signals"]),
    ("observation", &["facts", "measurements", "failed", "text"]),
    (
        "[[cell]]",
        &[
            "component",
            "type",
            "told_by",
            "behaviour",
            "still_works",
            "impact",
            "runbook",
            "verify",
            "expected_time",
            "data_risk",
            "escalate",
            "founded",
            "sources",
        ],
    ),
    ("[[runbook]]", &["id", "title", "steps", "downtime", "verification", "intervals", "automatic", "procedure"]),
    (
        "steps",
        &[
            "kind",
            "text",
            "command",
            "when",
            "gate",
            "rollback",
            "do",
            "checks",
            "until",
            "run",
            "power",
            "needs",
            "within",
            "two_person",
        ],
    ),
];

/// The keys of a section; empty for a section that does not exist.
pub fn keys(section: &str) -> &'static [&'static str] {
    CONFIG.iter().chain(PACK).find(|(name, _)| *name == section).map_or(&[], |(_, keys)| keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_section_or_key_stands_twice() {
        let mut seen = std::collections::BTreeSet::new();
        for (section, keys) in CONFIG.iter().chain(PACK) {
            assert!(seen.insert((*section, "")), "{section}");
            for key in *keys {
                assert!(seen.insert((*section, *key)), "{section} {key}");
            }
        }
    }
}
