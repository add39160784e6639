//! Events of the Open Cybersecurity Schema Framework, 1.8.0.
//!
//! Each kind of record has the class that an analyst would look under. What no class has a field for,
//! the whole record among it, stands in `unmapped`. Prompts and answers never do: no record has them.

use super::{Level, Logged, Summary, VERSION};
use ledger::{About, Actor, ActorKind, Event, Outcome, Record};
use serde_json::{Map, Value, json};

/// The version of the schema.
const SCHEMA: &str = "1.8.0";

/// A class and an activity of it.
#[derive(Clone, Copy)]
struct Class {
    uid: u32,
    activity: u32,
}

impl Class {
    const fn new(uid: u32, activity: u32) -> Self {
        Self { uid, activity }
    }
}

/// Event Log Activity: what happens to the audit log itself.
const LOG_STARTED: Class = Class::new(1008, 6);
const LOG_EXPORTED: Class = Class::new(1008, 3);
/// The schema knows no stamping of a log: Other.
const LOG_ANCHORED: Class = Class::new(1008, 99);
/// Compliance Finding, Create: an agreement that ends leaves paths uncovered.
const FOUND: Class = Class::new(2003, 1);
/// Authentication, Logon: somebody tried and was nobody.
const LOGON: Class = Class::new(3002, 1);
/// API Activity, Read: somebody asked for what the key may not have. Which route it was is not recorded.
const DENIED_CALL: Class = Class::new(6003, 2);
/// Entity Management: API keys and the governed configuration are entities with a life of their own.
const CREATED: Class = Class::new(3004, 1);
const UPDATED: Class = Class::new(3004, 3);
const DISABLED: Class = Class::new(3004, 9);
/// Application Lifecycle.
const STARTED: Class = Class::new(6002, 3);
const STOPPED: Class = Class::new(6002, 4);
/// API Activity, Create: a completion is asked for.
const ASKED: Class = Class::new(6003, 1);
/// Datastore Activity, Read: sealed content was opened.
const READ: Class = Class::new(6005, 1);
/// Datastore Activity, Delete: keys of sealed content were destroyed.
const DELETED: Class = Class::new(6005, 7);
/// Application Error, General Error: a part of the house does not do its work.
const FAILED: Class = Class::new(6008, 1);

pub(super) fn line(logged: &Logged) -> String {
    let record = &logged.record;
    let summary = Summary::of(&record.event);
    let (class, mut event) = body(record, &summary);
    let mut metadata = json!({
        "version": SCHEMA,
        "product": product(),
        "uid": logged.receipt().to_string(),
        "sequence": record.seq,
        "log_name": record.log.to_string(),
        "log_version": record.v.to_string(),
        "event_code": summary.kind,
        "original_time": record.time.to_string(),
        "tenant_uid": record.log.tenant.to_string(),
    });
    if let Some(about) = record.event.about() {
        set(&mut metadata, "correlation_uid", about.exchange.to_string());
        set(&mut metadata, "profiles", json!(["ai_operation", "security_control"]));
    } else if event.contains_key("disposition_id") {
        set(&mut metadata, "profiles", json!(["security_control"]));
    }
    let common = json!({
        "class_uid": class.uid,
        "category_uid": class.uid / 1000,
        "activity_id": class.activity,
        "type_uid": class.uid * 100 + class.activity,
        "severity_id": severity(summary.level),
        "time": record.time.as_micros().div_euclid(1000),
        "message": summary.title,
        "metadata": metadata,
        "unmapped": {
            "log": record.log.to_string(),
            "seq": record.seq,
            "leaf": logged.leaf.to_string(),
            // A canonical record is JSON, so this cannot fail; without it the line still names its place.
            "record": serde_json::from_slice(&logged.bytes).unwrap_or(Value::Null),
        },
    });
    if let Value::Object(common) = common {
        event.extend(common);
    }
    Value::Object(event).to_string()
}

const fn severity(level: Level) -> u32 {
    match level {
        Level::Info => 1,
        Level::Notice => 2,
        Level::Warning => 3,
        Level::Error => 4,
    }
}

fn product() -> Value {
    json!({ "name": "Bulla", "vendor_name": "Bulla", "version": VERSION })
}

fn set(object: &mut Value, key: &str, value: impl Into<Value>) {
    if let Value::Object(members) = object {
        members.insert(key.to_owned(), value.into());
    }
}

/// An object of the members that are there.
fn some<const N: usize>(members: [(&str, Option<Value>); N]) -> Map<String, Value> {
    members.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect()
}

fn actor(actor: &Actor) -> Value {
    let (kind, number) = match actor.kind {
        ActorKind::ApiKey => ("API key", 4),
        ActorKind::Operator => ("Operator", 2),
        ActorKind::System => ("System", 3),
    };
    json!({ "user": { "uid": actor.id, "name": actor.name, "type": kind, "type_id": number } })
}

/// The server itself. No record says from which address a caller came.
fn here(record: &Record) -> Value {
    json!({ "svc_name": "bulla", "instance_uid": record.log.deployment.to_string() })
}

/// What the class of the record has fields for.
#[expect(clippy::too_many_lines, reason = "one arm for each kind of record")]
fn body(record: &Record, summary: &Summary<'_>) -> (Class, Map<String, Value>) {
    let by = summary.actor.map(actor);
    let (failure, success) = (Some(json!(2)), Some(json!(1)));
    let log_name = Some(json!(record.log.to_string()));
    match &record.event {
        Event::Intent(intent) => (ASKED, exchange(record, &intent.about, None)),
        Event::Outcome(outcome) => (ASKED, exchange(record, &outcome.about, Some(outcome))),
        Event::LogOpened { .. } => (LOG_STARTED, some([("log_name", log_name)])),
        Event::Exported { .. }
        | Event::Streamed { .. }
        | Event::TilesRead { .. }
        | Event::Searched { .. }
        | Event::Reported { .. } => {
            let members = [("log_name", log_name), ("actor", by), ("status_id", success)];
            (LOG_EXPORTED, some(members))
        }
        Event::Anchored { authority, .. } => {
            let activity = Some(json!("Anchor"));
            let detail = Some(json!(format!("stamped by {authority}")));
            let members =
                [("log_name", log_name), ("activity_name", activity), ("status_detail", detail)];
            (LOG_ANCHORED, some(members))
        }
        Event::ConfigurationApplied { version, sha256, .. } => {
            let entity = json!({
                "type": "Governed configuration",
                "type_id": 5,
                "name": "configuration",
                "uid": sha256.to_string(),
                "version": version.to_string(),
            });
            let class = if *version == 1 { CREATED } else { UPDATED };
            (class, some([("actor", by), ("entity", Some(entity)), ("status_id", success)]))
        }
        Event::ApiKeyCreated { key, owner, .. } => {
            let entity = api_key(&key.to_string(), Some(owner));
            (CREATED, some([("actor", by), ("entity", Some(entity)), ("status_id", success)]))
        }
        Event::ApiKeyRevoked { key, .. } => {
            let entity = api_key(&key.to_string(), None);
            (DISABLED, some([("actor", by), ("entity", Some(entity)), ("status_id", success)]))
        }
        Event::ContentRead { exchange, reason, .. } => {
            let database = json!({
                "type": "Sealed content",
                "type_id": 99,
                "name": "content",
                "uid": exchange.to_string(),
            });
            let members = [
                ("actor", by),
                ("database", Some(database)),
                ("src_endpoint", Some(here(record))),
                ("status_id", success),
                ("status_detail", Some(json!(reason))),
            ];
            (READ, some(members))
        }
        Event::AnswerWithdrawn { exchange, .. } => {
            let answer = json!({
                "type": "Answer",
                "type_id": 99,
                "name": "answer",
                "uid": exchange.to_string(),
            });
            (DISABLED, some([("actor", by), ("entity", Some(answer)), ("status_id", success)]))
        }
        Event::AccessRefused { count } => {
            let members = [
                ("user", Some(json!({ "name": "unauthenticated", "type_id": 0 }))),
                ("service", Some(json!({ "name": "bulla" }))),
                ("count", Some(json!(count))),
                ("is_remote", Some(json!(true))),
                ("status_id", failure),
            ];
            (LOGON, some(members))
        }
        Event::AccessDenied { reason, count, .. } => {
            let members = [
                ("actor", by),
                ("api", Some(json!({ "operation": "any", "service": { "name": "bulla" } }))),
                ("src_endpoint", Some(here(record))),
                ("count", Some(json!(count))),
                ("action_id", Some(json!(2))),
                ("disposition_id", Some(json!(2))),
                ("status_id", failure),
                ("status_code", Some(json!(reason))),
            ];
            (DENIED_CALL, some(members))
        }
        Event::Reviewed { reviewer, from, size, sha256, reason, .. } => {
            let entity = json!({
                "type": "Activity review",
                "type_id": 99,
                "name": format!("records {from} to before {size}"),
                "uid": sha256.to_string(),
            });
            let remark = reason.as_deref().map_or_else(String::new, |reason| format!(": {reason}"));
            let members = [
                ("actor", by),
                ("entity", Some(entity)),
                ("status_id", success),
                ("status_detail", Some(json!(format!("reviewed by {reviewer}{remark}")))),
            ];
            (CREATED, some(members))
        }
        Event::ReviewOverdue { expires, days } => {
            let finding = json!({ "uid": format!("review/{expires}"), "title": summary.title });
            // Records of activity are reviewed regularly: 45 CFR 164.308(a)(1)(ii)(D).
            let compliance = json!({
                "control": "activity review",
                "standards": ["45 CFR 164.308(a)(1)(ii)(D)"],
                "status_id": 3,
                "status_detail": format!("due at {expires}, every {days} days"),
            });
            (FOUND, some([("finding_info", Some(finding)), ("compliance", Some(compliance))]))
        }
        Event::Started { .. } => {
            (STARTED, some([("app", Some(product())), ("status_id", success)]))
        }
        Event::Stopped { .. } => {
            (STOPPED, some([("app", Some(product())), ("status_id", success)]))
        }
        Event::AgreementExpiring { agreement, expires, days } => {
            let finding = json!({
                "uid": format!("{agreement}/{expires}/{days}"),
                "title": summary.title,
            });
            // A business associate contract must be in force: 45 CFR 164.308(b), 164.502(e).
            let compliance = json!({
                "control": agreement,
                "standards": ["45 CFR 164.308(b)", "45 CFR 164.502(e)"],
                "status_id": 2,
                "status_detail": format!("ends at {expires}, within {days} days"),
            });
            (FOUND, some([("finding_info", Some(finding)), ("compliance", Some(compliance))]))
        }
        Event::AgreementFiled { agreement, sha256, size, signatories, signed, .. } => {
            let detail = format!(
                "SHA-256 {sha256}, {size} bytes, signed on {signed} by {}",
                signatories.join(", ")
            );
            let members = [
                ("actor", by),
                ("entity", Some(agreement_entity(agreement))),
                ("status_id", success),
                ("status_detail", Some(json!(detail))),
            ];
            (CREATED, some(members))
        }
        Event::AgreementRead { agreement, sha256, .. } => {
            let database = json!({
                "type": "Agreement",
                "type_id": 99,
                "name": agreement,
                "uid": sha256.to_string(),
            });
            let members = [
                ("actor", by),
                ("database", Some(database)),
                ("src_endpoint", Some(here(record))),
                ("status_id", success),
            ];
            (READ, some(members))
        }
        Event::AgreementDisposed { agreement, sha256, authority, .. } => {
            let detail = format!("{authority}: the document {sha256}");
            (DELETED, destroyed(record, by, agreement, &detail))
        }
        Event::AnchorFailing { authority: part, reason }
        | Event::FeedFailing { feed: part, reason }
        | Event::CopyFailing { copy: part, reason } => {
            let detail = Some(json!(format!("{part}: {reason}")));
            (FAILED, some([("status_id", failure), ("status_detail", detail)]))
        }
        Event::CacheMismatch { reason, route } => {
            let detail = Some(json!(format!("{route}: {reason}")));
            (FAILED, some([("status_id", failure), ("status_detail", detail)]))
        }
        Event::SelfTestPassed { count, policy } => {
            let under = policy.map(|policy| policy.to_string()).unwrap_or_default();
            let finding =
                json!({ "uid": format!("selftest/{}", record.seq), "title": summary.title });
            // How well the safeguards work is evaluated again and again: 45 CFR 164.308(a)(8).
            let compliance = json!({
                "control": "self-test",
                "standards": ["45 CFR 164.308(a)(8)"],
                "status_id": 1,
                "status_detail": format!("{count} synthetic exchanges under {under}"),
            });
            (FOUND, some([("finding_info", Some(finding)), ("compliance", Some(compliance))]))
        }
        Event::SelfTestFailed { reason, route, api, policy } => {
            let words = [Some(reason), route.as_ref(), api.as_ref()];
            let words: Vec<&str> = words.into_iter().flatten().map(String::as_str).collect();
            let under = policy.map(|policy| format!(" under {policy}")).unwrap_or_default();
            let detail = Some(json!(format!("{}{under}", words.join(", "))));
            (FAILED, some([("status_id", failure), ("status_detail", detail)]))
        }
        Event::BatchFile { batch, destination, outcome, file, reason, count, sha256 } => {
            let mut detail = format!("{destination}: {outcome}");
            for (name, said) in [
                ("file", file.clone()),
                ("reason", reason.clone()),
                ("lines", count.map(|count| count.to_string())),
                ("SHA-256", sha256.map(|sha256| sha256.to_string())),
            ] {
                if let Some(said) = said {
                    detail = format!("{detail}, {name} {said}");
                }
            }
            if outcome == "failing" {
                let detail = Some(json!(format!("{batch}: {detail}")));
                (FAILED, some([("status_id", failure), ("status_detail", detail)]))
            } else {
                let name = batch.to_string();
                let entity = json!({ "type": "Batch", "type_id": 99, "uid": name, "name": name });
                let members = [
                    ("actor", by),
                    ("entity", Some(entity)),
                    ("status_id", success),
                    ("status_detail", Some(json!(detail))),
                ];
                (CREATED, some(members))
            }
        }
        Event::Disposed { scope, authority, reason, count, .. } => {
            let detail = format!("{reason}, {authority}: {count} unit(s)");
            (DELETED, destroyed(record, by, &super::scope_of(scope), &detail))
        }
        Event::Pruned { size, authority, .. } => {
            let detail = format!("{authority}: records before {size}");
            (DELETED, destroyed(record, by, "records", &detail))
        }
        Event::Offboarded { authority, .. } => {
            (DELETED, destroyed(record, by, "everything", authority))
        }
        Event::HoldPlaced { hold, unit, authority, .. } => {
            let entity = json!({
                "type": "Legal hold",
                "type_id": 99,
                "uid": hold,
                "name": super::held(unit.as_ref()),
            });
            let detail = Some(json!(authority));
            let members = [
                ("actor", by),
                ("entity", Some(entity)),
                ("status_id", success),
                ("status_detail", detail),
            ];
            (CREATED, some(members))
        }
        Event::HoldReleased { hold, authority, .. } => {
            let entity = json!({ "type": "Legal hold", "type_id": 99, "uid": hold });
            let detail = Some(json!(authority));
            let members = [
                ("actor", by),
                ("entity", Some(entity)),
                ("status_id", success),
                ("status_detail", detail),
            ];
            (DISABLED, some(members))
        }
        Event::KeyRotated { level, former, current, .. } => {
            let entity = json!({
                "type": "Key",
                "type_id": 99,
                "name": level,
                "uid": current,
            });
            let detail = Some(json!(format!("from {former}")));
            let members = [
                ("actor", by),
                ("entity", Some(entity)),
                ("status_id", success),
                ("status_detail", detail),
            ];
            (UPDATED, some(members))
        }
        Event::ClockSkewed { authority, stamped } => {
            let detail = Some(json!(format!("{authority} says {stamped}")));
            (FAILED, some([("status_id", failure), ("status_detail", detail)]))
        }
    }
}

/// An agreement, as an entity of the house.
fn agreement_entity(agreement: &str) -> Value {
    json!({ "type": "Agreement", "type_id": 99, "uid": agreement })
}

/// Sealed content whose keys are gone.
fn destroyed(record: &Record, by: Option<Value>, what: &str, detail: &str) -> Map<String, Value> {
    let database = json!({
        "type": "Sealed content",
        "type_id": 99,
        "name": "content",
        "uid": what,
    });
    some([
        ("actor", by),
        ("database", Some(database)),
        ("src_endpoint", Some(here(record))),
        ("status_id", Some(json!(1))),
        ("status_detail", Some(json!(detail))),
    ])
}

fn api_key(key: &str, owner: Option<&String>) -> Value {
    let mut entity = json!({ "type": "API key", "type_id": 99, "uid": key });
    if let Some(owner) = owner {
        set(&mut entity, "name", owner.as_str());
    }
    entity
}

/// An exchange: API Activity with the profiles of AI operations and of security controls.
fn exchange(record: &Record, about: &About, outcome: Option<&Outcome>) -> Map<String, Value> {
    let rules = about.rules.iter().map(|rule| json!({ "policy": { "uid": rule } }));
    let rules: Vec<Value> = rules.collect();
    let code = outcome.and_then(|outcome| outcome.code.as_deref());
    let mut api = json!({
        "operation": about.api,
        "service": { "name": "bulla", "labels": [format!("surface:{}", about.surface)] },
        "request": { "uid": about.exchange.to_string() },
    });
    if let Some(code) = code {
        set(&mut api, "response", json!({ "error": code }));
    }
    // Both names are the organisation's own: the route that callers ask for, and where it leads.
    let model = about.route.as_ref().zip(about.destination.as_ref());
    let model = model.map(|(route, to)| json!({ "name": route, "ai_provider": to }));
    let status = match outcome.map(|outcome| outcome.outcome.as_str()) {
        None => 0,
        Some("answered" | "cached") => 1,
        Some(_) => 2,
    };
    let (action, disposition) = verdict(about, outcome);
    some([
        ("actor", Some(actor(&about.actor))),
        ("api", Some(api)),
        ("src_endpoint", Some(here(record))),
        ("dst_endpoint", about.destination.as_ref().map(|to| json!({ "svc_name": to }))),
        ("ai_model", model),
        ("message_context", Some(context(about, outcome))),
        ("action_id", Some(json!(action))),
        ("disposition_id", Some(json!(disposition))),
        ("status_id", Some(json!(status))),
        ("status_code", code.map(|code| json!(code))),
        ("status_detail", outcome.and_then(|outcome| outcome.reason.as_ref()).map(|it| json!(it))),
        (
            "policy",
            about
                .policy
                .map(|hash| json!({ "type": "Governed configuration", "uid": hash.to_string() })),
        ),
        ("authorizations", (!rules.is_empty()).then_some(Value::Array(rules))),
        ("is_alert", about.alert.as_ref().map(|_| json!(true))),
    ])
}

/// Action and disposition of the security control.
fn verdict(about: &About, outcome: Option<&Outcome>) -> (u32, u32) {
    const ALLOWED: (u32, u32) = (1, 1);
    const DENIED: (u32, u32) = (2, 2);
    /// Identifiers were taken out, and the rest went on.
    const MODIFIED: (u32, u32) = (4, 1);
    let stopped = |it: &Outcome| matches!(it.outcome.as_str(), "refused" | "failed_closed");
    if outcome.is_some_and(stopped) {
        return DENIED;
    }
    match about.decision.as_deref() {
        Some("blocked") => DENIED,
        Some("tokenized" | "redacted") => MODIFIED,
        Some(_) => ALLOWED,
        None => (0, 0),
    }
}

/// The message: whose turn it is and how long it was, never what it says.
fn context(about: &About, outcome: Option<&Outcome>) -> Value {
    let usage = outcome.and_then(|outcome| outcome.usage);
    Value::Object(some([
        ("service", Some(json!({ "name": "bulla" }))),
        ("uid", about.conversation.map(|it| json!(it.to_string()))),
        // The user's words leave; the assistant's come back.
        ("ai_role_id", Some(json!(if outcome.is_some() { 2 } else { 1 }))),
        ("prompt_tokens", usage.map(|usage| json!(usage.prompt))),
        ("completion_tokens", usage.map(|usage| json!(usage.completion))),
        ("total_tokens", usage.map(|usage| json!(usage.prompt.saturating_add(usage.completion)))),
    ]))
}
