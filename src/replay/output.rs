//! What a replay prints: one JSON object a line, in the words of the contract.

use std::sync::Arc;

use serde_json::{Map, Value as Json, json};
use stentor_core::Timestamp;
use stentor_core::catalog::Catalog;
use stentor_core::engine::Engine;
use stentor_core::id::ObjectId;
use stentor_core::model::{
    COMMAND_CHANNEL, HeldNotice, Incident, Notice, NoticeKind, Notification, ObjectKey, Reason, Withheld,
};
use stentor_core::policy;
use stentor_core::policy::notice::explain;

/// Whole seconds as an integer, else at most three decimals.
pub fn at(at: Timestamp) -> Json {
    let millis = at.as_millis();
    if millis % 1000 == 0 { json!(millis / 1000) } else { json!(millis as f64 / 1000.0) }
}

fn line(when: Timestamp, event: &str, keys: Json) -> Json {
    let mut line = Map::new();
    line.insert("at".to_owned(), at(when));
    line.insert("event".to_owned(), event.into());
    if let Json::Object(keys) = keys {
        line.extend(keys);
    }
    Json::Object(line)
}

pub fn error(when: Timestamp, number: usize, message: &str) -> Json {
    line(when, "error", json!({ "line": number, "message": message }))
}

pub fn check_due(when: Timestamp, catalog: &Catalog, object: ObjectId) -> Json {
    line(when, "check_due", named(catalog, object))
}

pub fn state(when: Timestamp, engine: &Engine, object: ObjectId) -> Json {
    let row = engine.row(object);
    let mut keys = named(engine.catalog(), object);
    keys["state"] = word(engine, object).into();
    keys["kind"] = row.kind.as_str().into();
    keys["attempt"] = row.attempt.into();
    keys["max_attempts"] = max_attempts(engine.catalog(), object).into();
    keys["output"] = output(engine, object).into();
    line(when, "state", keys)
}

pub fn object(when: Timestamp, engine: &Engine, object: ObjectId) -> Json {
    let row = engine.row(object);
    // Objects of Stentor's own configuration have none: their incidents notify.
    let track = engine.track(object);
    let mut keys = named(engine.catalog(), object);
    let more = json!({
        "state": if row.is_pending() { "PENDING" } else { word(engine, object) },
        "kind": row.kind.as_str(),
        "attempt": row.attempt,
        "max_attempts": max_attempts(engine.catalog(), object),
        "last_hard_state": match object {
            ObjectId::Host(_) => host_word(row.last_hard_state),
            ObjectId::Service(_) => service_word(row.last_hard_state),
        },
        "notification_number": track.map_or(0, |track| track.notice.number),
        "acknowledged": row.is_acknowledged(),
        "downtime_depth": row.downtime_depth,
        "flapping": row.flags.has(stentor_core::snapshot::Flags::FLAPPING),
        "percent_state_change": track.map_or(Json::Null, |track| hundredths(track.flap.percent)),
        "output": output(engine, object),
    });
    if let (Json::Object(keys), Json::Object(more)) = (&mut keys, more) {
        keys.extend(more);
    }
    line(when, "object", keys)
}

/// Two decimals, as status files have them.
fn hundredths(percent: f32) -> Json {
    json!((f64::from(percent) * 100.0).round() / 100.0)
}

fn named(catalog: &Catalog, object: ObjectId) -> Json {
    let key: ObjectKey = catalog.object_key(object);
    json!({ "host": key.host, "service": key.service })
}

fn word(engine: &Engine, object: ObjectId) -> &'static str {
    let row = engine.row(object);
    match object {
        ObjectId::Host(_) => row.host_state().as_str(),
        ObjectId::Service(_) => row.service_state().as_str(),
    }
}

fn host_word(code: u8) -> &'static str {
    stentor_core::model::HostState::from_code(i32::from(code)).map_or("DOWN", |state| state.as_str())
}

fn service_word(code: u8) -> &'static str {
    stentor_core::model::ServiceState::from_code(i32::from(code)).map_or("UNKNOWN", |state| state.as_str())
}

fn max_attempts(catalog: &Catalog, object: ObjectId) -> u16 {
    catalog.check_of(object).map_or(1, |check| check.attempts.max(1))
}

fn output(engine: &Engine, object: ObjectId) -> String {
    let detail = engine.detail(object);
    // A stale service says so instead of repeating its last words.
    if engine.row(object).is_stale() {
        return detail.because.to_string();
    }
    detail.observation.as_ref().map_or_else(String::new, |seen| seen.text.to_string())
}

pub fn incident(when: Timestamp, phase: &str, detail: &str, incident: &Incident) -> Json {
    let verdict = &incident.verdict;
    let target = &verdict.target;
    let effects: Vec<Json> = verdict
        .suppressed
        .iter()
        .map(|effect| json!({ "host": effect.host, "component": effect.component, "class": effect.class.as_str() }))
        .collect();
    let keys = json!({
        "id": incident.number,
        "phase": phase,
        "target": { "kind": target.kind, "host": target.host, "component": target.component },
        "component": target.component,
        "class": verdict.class.as_str(),
        "failure_type": verdict.class.failure_type().map(|kind| kind.as_str()),
        "subtype": verdict.subtype,
        "visibility": verdict.visibility,
        "severity": verdict.severity.as_str(),
        "core": verdict.core.as_str(),
        "impact": verdict.impact.as_str(),
        "cells": verdict.cells,
        "root": incident.root,
        "effects": effects,
        "runbook": verdict.runbook,
        "stage": incident.stage.as_str(),
        "going_on": incident.going_on,
        "links": incident.links,
        "detail": detail,
    });
    line(when, "incident", keys)
}

/// The word of Nagios nearest to a reason.
fn kind(reason: Reason) -> &'static str {
    match reason {
        Reason::Problem | Reason::Changed | Reason::Renotify => "PROBLEM",
        Reason::Acknowledgement => "ACKNOWLEDGEMENT",
        Reason::Recovery => "RECOVERY",
        Reason::Test => "CUSTOM",
    }
}

fn told(reason: Reason, incident: &Incident) -> Json {
    json!({
        "notification": kind(reason),
        "host": Json::Null,
        "service": Json::Null,
        "state": if reason == Reason::Recovery { "OK".to_owned() } else { incident.severity().as_str().to_uppercase() },
        "reason": reason.as_str(),
        "incident": incident.number,
    })
}

pub fn notification(when: Timestamp, sent: &Notification, number: u32, explain: bool) -> Json {
    let mut keys = told(sent.reason, &sent.incident);
    keys["contact"] = (*sent.contact).into();
    keys["channel"] = (*sent.channel).into();
    keys["number"] = number.into();
    keys["id"] = (*sent.key).into();
    if explain {
        keys["stages"] = stages(None);
    }
    line(when, "notification", keys)
}

pub fn suppressed(when: Timestamp, held: &Withheld, incident: Option<&Arc<Incident>>, explain: bool) -> Json {
    let mut keys = match incident {
        Some(incident) => told(held.reason, incident),
        None => json!({ "notification": kind(held.reason), "incident": held.incident }),
    };
    keys["contact"] = json!(held.contact);
    keys["stage"] = (*held.stage).into();
    keys["reason"] = held.why.as_str().into();
    if explain {
        keys["stages"] = stages(Some(held));
    }
    line(when, "suppressed", keys)
}

/// A line of `nagios.log` without its time.
pub fn log(when: Timestamp, text: &str) -> Json {
    line(when, "log", json!({ "line": text }))
}

pub fn notice(when: Timestamp, notice: &Notice, is_explained: bool) -> Json {
    let mut keys = about(notice.kind, &notice.object);
    keys["contact"] = (*notice.contact).into();
    keys["state"] = (*notice.state).into();
    keys["number"] = notice.number.into();
    keys["id"] = (*notice.key).into();
    keys["channel"] = COMMAND_CHANNEL.into();
    keys["reason"] = (*notice.because).into();
    if is_explained {
        keys["commands"] = notice.commands.iter().map(|run| Json::from(run.line.to_string())).collect();
        keys["stages"] = passed(&explain::passed(notice)).into();
    }
    line(when, "notification", keys)
}

pub fn held_notice(when: Timestamp, held: &HeldNotice, is_explained: bool) -> Json {
    let mut keys = about(held.kind, &held.object);
    keys["contact"] = json!(held.contact);
    keys["state"] = (*held.state).into();
    keys["number"] = held.number.into();
    keys["stage"] = held.stage.into();
    keys["reason"] = held.why.as_str().into();
    if is_explained {
        let mut stages = passed(&explain::passed_before(held));
        stages.push(json!({ "stage": held.stage, "decision": "hold", "reason": held.why }));
        keys["stages"] = stages.into();
    }
    line(when, "suppressed", keys)
}

fn passed(stages: &[&str]) -> Vec<Json> {
    stages.iter().map(|stage| json!({ "stage": stage, "decision": "pass", "reason": "" })).collect()
}

fn about(kind: NoticeKind, object: &ObjectKey) -> Json {
    json!({
        "notification": kind.as_str(),
        "host": object.host,
        "service": object.service,
        "incident": Json::Null,
    })
}

/// What each stage said, up to the one that held the message.
fn stages(held: Option<&Withheld>) -> Json {
    let mut list = Vec::new();
    for stage in policy::stages() {
        match held {
            Some(held) if *held.stage == *stage => {
                list.push(json!({ "stage": stage, "decision": "hold", "reason": held.why }));
                break;
            }
            Some(_) | None => list.push(json!({ "stage": stage, "decision": "pass", "reason": "" })),
        }
    }
    Json::Array(list)
}
