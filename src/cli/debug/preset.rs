//! Run-time state as `debug macro` is given it (`--state FILE`): tables like the engine's, filled from JSON.

use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use serde_json::{Map, Value as Json};
use stentor_core::catalog::Catalog;
use stentor_core::engine::track::Track;
use stentor_core::id::ObjectId;
use stentor_core::macros::view::{Kept, View};
use stentor_core::model::observation::PERFDATA_FACT;
use stentor_core::model::{HostState, ObjectKey, Observation, ServiceState, StateKind};
use stentor_core::snapshot::{Detail, Flags, Row};
use stentor_core::{Span, Timestamp};

/// State of every object: as good as never checked, but for what was preset.
pub struct Preset {
    hosts: Vec<Row>,
    host_details: Vec<Arc<Detail>>,
    services: Vec<Row>,
    service_details: Vec<Arc<Detail>>,
    host_tracks: Vec<Arc<Track>>,
    service_tracks: Vec<Arc<Track>>,
    /// Keys that mean nothing here, with their object.
    pub unknown: Vec<String>,
}

impl Preset {
    pub fn new(catalog: &Catalog) -> Preset {
        let (hosts, services) = (catalog.hosts.len(), catalog.services.len());
        Preset {
            hosts: vec![Row::default(); hosts],
            host_details: vec![Arc::default(); hosts],
            services: vec![Row::default(); services],
            service_details: vec![Arc::default(); services],
            // Objects of Stentor's own configuration have none in the engine; only here may one be given to them.
            host_tracks: vec![Arc::default(); hosts],
            service_tracks: vec![Arc::default(); services],
            unknown: Vec::new(),
        }
    }

    /// `{"host web1": {…}, "service web1/HTTP": {…}}`; the same below the key `state` of a larger object.
    ///
    /// # Errors
    /// An object that is not configured, or a value of the wrong kind.
    pub fn fill(&mut self, catalog: &Catalog, json: &Json) -> anyhow::Result<()> {
        let whole = json.as_object().context("the state is not a JSON object")?;
        let objects = whole.get("state").and_then(Json::as_object).unwrap_or(whole);
        for (name, values) in objects {
            let object = object_of(catalog, name)?;
            let values = values.as_object().with_context(|| format!("the state of `{name}` is not a JSON object"))?;
            let seen = Seen::read(values, object).with_context(|| format!("in the state of `{name}`"))?;
            self.unknown.extend(seen.unknown.iter().map(|key| format!("`{key}` of {name}")));
            self.set(object, seen);
        }
        Ok(())
    }

    fn set(&mut self, object: ObjectId, seen: Seen) {
        let (rows, details, tracks, index) = match object {
            ObjectId::Host(id) => (&mut self.hosts, &mut self.host_details, &mut self.host_tracks, id.index()),
            ObjectId::Service(id) => {
                (&mut self.services, &mut self.service_details, &mut self.service_tracks, id.index())
            }
        };
        rows[index] = seen.row;
        details[index] = Arc::new(seen.detail);
        tracks[index] = Arc::new(seen.track);
    }

    pub fn view<'a>(&'a self, catalog: &'a Catalog, now: Timestamp) -> View<'a> {
        View {
            catalog,
            program: &catalog.nagios.program,
            now,
            started: now,
            hosts: &self.hosts,
            host_details: &self.host_details,
            services: &self.services,
            service_details: &self.service_details,
            host_tracks: &self.host_tracks,
            service_tracks: &self.service_tracks,
            kept: Kept::default(),
        }
    }
}

/// `host NAME` or `service HOST/DESCRIPTION`; a description may hold slashes, a host name does not.
fn object_of(catalog: &Catalog, name: &str) -> anyhow::Result<ObjectId> {
    let key = match name.split_once(' ') {
        Some(("host", host)) => ObjectKey { host: host.into(), service: None },
        Some(("service", rest)) => {
            let (host, service) = rest.split_once('/').with_context(|| format!("`{name}` has no `/`"))?;
            ObjectKey { host: host.into(), service: Some(service.into()) }
        }
        _ => bail!("`{name}` is neither `host NAME` nor `service HOST/DESCRIPTION`"),
    };
    catalog.object_id(&key).with_context(|| format!("the configuration has no {name}"))
}

/// One object's state in the engine's terms.
struct Seen {
    row: Row,
    detail: Detail,
    track: Track,
    /// When it was last in which state was said.
    told_times: bool,
    unknown: Vec<String>,
}

impl Seen {
    fn read(values: &Map<String, Json>, object: ObjectId) -> anyhow::Result<Seen> {
        let mut row = Row::default();
        row.flags.set(Flags::CHECKED, true);
        let mut seen =
            Seen { row, detail: Detail::default(), track: Track::default(), told_times: false, unknown: Vec::new() };
        let mut saw = Observation::observed("");
        for (key, value) in values {
            let (name, text) = plain(key, value);
            let of_output = match name {
                "plugin_output" => &mut saw.text,
                "long_plugin_output" => &mut saw.long_text,
                "perf_data" => {
                    saw = saw.fact(PERFDATA_FACT, word(name, &text)?);
                    continue;
                }
                _ => {
                    if !seen.set(name, &text, object)? {
                        seen.unknown.push(key.clone());
                    }
                    continue;
                }
            };
            *of_output = word(name, &text)?.into();
        }
        seen.detail.observation = Some(Arc::new(saw));
        if seen.told_times {
            // A checked row answers for its present state itself, and would hide what was said of it.
            seen.row.flags.set(Flags::CHECKED, false);
        }
        Ok(seen)
    }

    /// False for a key that means nothing here.
    fn set(&mut self, key: &str, value: &Json, object: ObjectId) -> anyhow::Result<bool> {
        let (row, track, run) = (&mut self.row, &mut self.track, &mut self.detail.run);
        match key {
            "state" => row.state = state(key, value, object)?,
            "last_state" => track.last_state = state(key, value, object)?,
            "last_hard_state" => row.last_hard_state = state(key, value, object)?,
            "state_type" => row.kind = kind(value)?,
            "attempt" | "current_attempt" => row.attempt = u16::try_from(whole(key, value)?).context("attempt")?,
            "last_check" => row.last_check = instant(key, value)?,
            "last_state_change" => row.last_state_change = instant(key, value)?,
            "last_hard_state_change" => row.last_hard_change = instant(key, value)?,
            "downtime_depth" => row.downtime_depth = u16::try_from(whole(key, value)?).context("downtime_depth")?,
            "has_been_checked" => row.flags.set(Flags::CHECKED, truth(key, value)?),
            "acknowledged" | "problem_has_been_acknowledged" => row.flags.set(Flags::ACKNOWLEDGED, truth(key, value)?),
            "is_flapping" => {
                row.flags.set(Flags::FLAPPING, truth(key, value)?);
                track.flap.flapping = truth(key, value)?;
            }
            "percent_state_change" => track.flap.percent = number(key, value)? as f32,
            "latency" => run.latency = seconds(key, value)?,
            "execution_time" => run.took = seconds(key, value)?,
            "check_type" => run.passive = is_passive(value)?,
            "notification_number" | "current_notification_number" => {
                track.notice.number = u32::try_from(whole(key, value)?).context("notification_number")?;
            }
            "notification_id" | "current_notification_id" => track.notice.id = whole(key, value)?,
            "event_id" | "current_event_id" => track.event_id = whole(key, value)?,
            "last_event_id" => track.last_event_id = whole(key, value)?,
            "problem_id" | "current_problem_id" => track.problem_id = whole(key, value)?,
            "last_problem_id" => track.last_problem_id = whole(key, value)?,
            _ => return self.set_last_times(key, value, object),
        }
        Ok(true)
    }

    /// `last_time_up`, or several at once: `last_time_up/down/unreachable` with a list.
    fn set_last_times(&mut self, key: &str, value: &Json, object: ObjectId) -> anyhow::Result<bool> {
        let Some(names) = key.strip_prefix("last_time_") else { return Ok(false) };
        let names: Vec<&str> = names.split('/').collect();
        let alone = std::slice::from_ref(value);
        let values = value.as_array().map_or(alone, Vec::as_slice);
        ensure!(names.len() == values.len(), "`{key}` takes {} numbers", names.len());
        for (name, value) in names.iter().zip(values) {
            let code = state(key, &Json::from(name.to_uppercase()), object)?;
            if let Some(slot) = self.track.last_time_in.get_mut(usize::from(code)) {
                *slot = instant(key, value)?;
            }
            self.told_times = true;
        }
        Ok(true)
    }
}

/// A key that ends in `(escaped)` has a text with `\n` for a line feed and `\\` for a backslash.
fn plain<'a>(key: &'a str, value: &Json) -> (&'a str, Json) {
    let Some(name) = key.strip_suffix("(escaped)") else { return (key, value.clone()) };
    let Some(text) = value.as_str() else { return (name.trim_end(), value.clone()) };
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match (c, (c == '\\').then(|| rest.next()).flatten()) {
            ('\\', Some('n')) => plain.push('\n'),
            ('\\', Some('t')) => plain.push('\t'),
            ('\\', Some('r')) => plain.push('\r'),
            ('\\', Some('\\')) => plain.push('\\'),
            ('\\', Some(other)) => plain.extend(['\\', other]),
            (c, _) => plain.push(c),
        }
    }
    (name.trim_end(), Json::from(plain))
}

fn word<'a>(key: &str, value: &'a Json) -> anyhow::Result<&'a str> {
    value.as_str().with_context(|| format!("`{key}` is a text, not {value}"))
}

fn number(key: &str, value: &Json) -> anyhow::Result<f64> {
    value.as_f64().with_context(|| format!("`{key}` is a number, not {value}"))
}

fn whole(key: &str, value: &Json) -> anyhow::Result<u64> {
    value.as_u64().with_context(|| format!("`{key}` is a whole number, not {value}"))
}

fn truth(key: &str, value: &Json) -> anyhow::Result<bool> {
    value.as_bool().map_or_else(|| whole(key, value).map(|number| number != 0), Ok)
}

fn instant(key: &str, value: &Json) -> anyhow::Result<Timestamp> {
    Ok(Timestamp::from_millis((number(key, value)? * 1000.0).round() as i64))
}

fn seconds(key: &str, value: &Json) -> anyhow::Result<Span> {
    Ok(Span::from_millis((number(key, value)? * 1000.0).round() as i64))
}

/// `"DOWN"`, `"DOWN(1)"`, `1` or `"1"`.
fn state(key: &str, value: &Json, object: ObjectId) -> anyhow::Result<u8> {
    let text = value.as_str().map_or_else(|| value.to_string(), |text| text.to_uppercase());
    let name = text.split('(').next().unwrap_or_default().trim();
    let code = match (object, name) {
        (_, "PENDING") => 0,
        (ObjectId::Host(_), "UP") | (ObjectId::Service(_), "OK") => 0,
        (ObjectId::Host(_), "DOWN") | (ObjectId::Service(_), "WARNING") => 1,
        (ObjectId::Host(_), "UNREACHABLE") | (ObjectId::Service(_), "CRITICAL") => 2,
        (ObjectId::Service(_), "UNKNOWN") => 3,
        (_, number) => number.parse().ok().with_context(|| format!("`{key}` is no state: {value}"))?,
    };
    let known = match object {
        ObjectId::Host(_) => HostState::from_code(code).is_some(),
        ObjectId::Service(_) => ServiceState::from_code(code).is_some(),
    };
    ensure!(known, "`{key}` is no state: {value}");
    u8::try_from(code).context("codes are small")
}

fn kind(value: &Json) -> anyhow::Result<StateKind> {
    match (value.as_str(), value.as_u64()) {
        (Some("SOFT"), _) | (_, Some(0)) => Ok(StateKind::Soft),
        (Some("HARD"), _) | (_, Some(1)) => Ok(StateKind::Hard),
        _ => bail!("`state_type` is SOFT or HARD, not {value}"),
    }
}

fn is_passive(value: &Json) -> anyhow::Result<bool> {
    match (value.as_str().map(str::to_lowercase).as_deref(), value.as_u64()) {
        (Some("active"), _) | (_, Some(0)) => Ok(false),
        (Some("passive"), _) | (_, Some(1)) => Ok(true),
        _ => bail!("`check_type` is active or passive, not {value}"),
    }
}
