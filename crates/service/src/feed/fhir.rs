//! FHIR R4 `AuditEvent` resources, after the patterns of IHE Basic Audit Log Patterns (BALP).
//!
//! A prompt that leaves the boundary is a disclosure at its source (`PrivacyDisclosure.Source`), content
//! that was opened is a read, and the rest are the events that DICOM PS3.16 names. No resource claims a
//! profile: a record names a patient by a keyed hash at most, and where the caller named none, the patient
//! is there as a reference whose data is absent.

use super::{Level, Logged, Summary, VERSION, leaves_the_boundary};
use ledger::{About, Actor, Event, Outcome, Record};
use serde_json::{Map, Value, json};
use std::fmt::Display;

const DCM: &str = "http://dicom.nema.org/resources/ontology/DCM";
const LIFECYCLE: &str = "http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle";
const EVENT_TYPE: &str = "http://terminology.hl7.org/CodeSystem/audit-event-type";
const INTERACTION: &str = "http://hl7.org/fhir/restful-interaction";
const ENTITY_TYPE: &str = "http://terminology.hl7.org/CodeSystem/audit-entity-type";
const OBJECT_ROLE: &str = "http://terminology.hl7.org/CodeSystem/object-role";
const PARTICIPATION: &str = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType";
const ACT_REASON: &str = "http://terminology.hl7.org/CodeSystem/v3-ActReason";
const SOURCE_TYPE: &str = "http://terminology.hl7.org/CodeSystem/security-source-type";
const BALP_ENTITY: &str = "https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType";
const ABSENT: &str = "http://hl7.org/fhir/StructureDefinition/data-absent-reason";

/// What kind of event it is: type, subtypes beside the record's own kind, action, outcome.
struct Shape {
    of: Value,
    subtypes: Vec<Value>,
    action: &'static str,
    outcome: &'static str,
}

const SUCCESS: &str = "0";
const MINOR: &str = "4";
const SERIOUS: &str = "8";

fn coding(system: &str, code: &str, display: &str) -> Value {
    json!({ "system": system, "code": code, "display": display })
}

fn concept(system: &str, code: &str, display: &str) -> Value {
    json!({ "coding": [coding(system, code, display)] })
}

fn identified(system: &str, value: &str) -> Value {
    json!({ "identifier": { "system": format!("urn:x-bulla:{system}"), "value": value } })
}

pub(super) fn line(logged: &Logged) -> String {
    let record = &logged.record;
    let summary = Summary::of(&record.event);
    let shape = shape(&record.event, &summary);
    let mut subtypes = shape.subtypes;
    if record.event.about().is_some_and(|about| about.alert.is_some()) {
        subtypes.push(coding(DCM, "110113", "Security Alert"));
    }
    subtypes.push(coding("urn:x-bulla:kind", summary.kind, summary.title));
    let mut event = Map::new();
    let mut put = |key: &str, value: Value| drop(event.insert(key.to_owned(), value));
    put("resourceType", json!("AuditEvent"));
    // 64 characters of hexadecimal digits are just an id (FHIR R4 section 2.24.0.1).
    put("id", json!(logged.leaf.to_string()));
    put("type", shape.of);
    put("subtype", Value::Array(subtypes));
    put("action", json!(shape.action));
    put("recorded", json!(record.time.to_string()));
    put("outcome", json!(shape.outcome));
    put("outcomeDesc", json!(description(&record.event, &summary)));
    if let Some(purpose) = record.event.about().and_then(|about| about.purpose.as_deref()) {
        put("purposeOfEvent", json!([purpose_of_use(purpose)]));
    }
    put("agent", Value::Array(agents(record, &summary)));
    put(
        "source",
        json!({
            "site": record.log.to_string(),
            "observer": observer(record),
            "type": [coding(SOURCE_TYPE, "4", "Application Server")],
        }),
    );
    put("entity", Value::Array(entities(logged)));
    Value::Object(event).to_string()
}

fn shape(event: &Event, summary: &Summary<'_>) -> Shape {
    let alert = || coding(DCM, "110113", "Security Alert");
    let activity = || coding(DCM, "110100", "Application Activity");
    let rest = || coding(EVENT_TYPE, "rest", "Restful Operation");
    let used = || coding(DCM, "110101", "Audit Log Used");
    let shape = |of, subtypes, action, outcome| Shape { of, subtypes, action, outcome };
    match event {
        Event::Intent(intent) if leaves_the_boundary(&intent.about) => {
            let disclose = coding(LIFECYCLE, "disclose", "Disclose Record Lifecycle Event");
            shape(coding(DCM, "110106", "Export"), vec![disclose], "R", SUCCESS)
        }
        Event::Intent(_) => shape(rest(), vec![operation()], "E", SUCCESS),
        Event::Outcome(outcome) => shape(rest(), vec![operation()], "E", ending(outcome)),
        Event::ContentRead { .. } => {
            shape(rest(), vec![coding(INTERACTION, "read", "read")], "R", SUCCESS)
        }
        Event::AnswerWithdrawn { .. } => {
            let deprecate = coding(LIFECYCLE, "deprecate", "Deprecate Record Lifecycle Event");
            shape(rest(), vec![deprecate], "U", SUCCESS)
        }
        Event::Exported { .. }
        | Event::Streamed { .. }
        | Event::TilesRead { .. }
        | Event::Searched { .. }
        | Event::Reported { .. } => shape(used(), vec![], "R", SUCCESS),
        Event::Reviewed { .. } => {
            let of = coding(LIFECYCLE, "verify", "Verify Record Lifecycle Event");
            shape(of, vec![], "E", SUCCESS)
        }
        Event::AccessDenied { .. } => shape(alert(), vec![], "E", MINOR),
        Event::LogOpened { .. } => {
            shape(alert(), vec![coding(DCM, "110134", "Audit Recording Started")], "C", SUCCESS)
        }
        Event::ConfigurationApplied { .. } | Event::KeyRotated { .. } => {
            shape(alert(), vec![coding(DCM, "110129", "Security Configuration")], "U", SUCCESS)
        }
        Event::ApiKeyCreated { .. } => shape(alert(), vec![user_changed()], "C", SUCCESS),
        Event::ApiKeyRevoked { .. } => shape(alert(), vec![user_changed()], "D", SUCCESS),
        Event::AccessRefused { .. } => {
            let of = coding(DCM, "110114", "User Authentication");
            shape(of, vec![coding(DCM, "110122", "Login")], "E", MINOR)
        }
        Event::Started { .. } => {
            shape(activity(), vec![coding(DCM, "110120", "Application Start")], "E", SUCCESS)
        }
        Event::Stopped { .. } => {
            shape(activity(), vec![coding(DCM, "110121", "Application Stop")], "E", SUCCESS)
        }
        Event::SelfTestPassed { .. } => shape(activity(), vec![], "E", SUCCESS),
        Event::Anchored { .. } => {
            let of = coding(LIFECYCLE, "attest", "Attest Record Lifecycle Event");
            shape(of, vec![], "E", SUCCESS)
        }
        Event::BatchFile { outcome, .. } => match outcome.as_str() {
            // Who is disclosed to what stands in the lines' own events; this is the file around them.
            "sent" => {
                let of = coding(LIFECYCLE, "transmit", "Transmit Record Lifecycle Event");
                shape(of, vec![], "R", SUCCESS)
            }
            "failing" => shape(alert(), vec![], "E", SERIOUS),
            _ => {
                let of = coding(LIFECYCLE, "destroy", "Destroy/Delete Record Lifecycle Event");
                shape(of, vec![], "D", SUCCESS)
            }
        },
        Event::AgreementFiled { .. } => {
            let of = coding(LIFECYCLE, "originate", "Originate/Retain Record Lifecycle Event");
            shape(of, vec![], "C", SUCCESS)
        }
        Event::AgreementRead { .. } => {
            let of = coding(LIFECYCLE, "access", "Access/View Record Lifecycle Event");
            shape(of, vec![], "R", SUCCESS)
        }
        Event::Disposed { .. }
        | Event::AgreementDisposed { .. }
        | Event::Pruned { .. }
        | Event::Offboarded { .. } => {
            let of = coding(LIFECYCLE, "destroy", "Destroy/Delete Record Lifecycle Event");
            shape(of, vec![], "D", SUCCESS)
        }
        Event::HoldPlaced { .. } => {
            let of = coding(LIFECYCLE, "hold", "Add Legal Hold Record Lifecycle Event");
            shape(of, vec![], "C", SUCCESS)
        }
        Event::HoldReleased { .. } => {
            let of = coding(LIFECYCLE, "unhold", "Remove Legal Hold Record Lifecycle Event");
            shape(of, vec![], "D", SUCCESS)
        }
        Event::AgreementExpiring { .. }
        | Event::AnchorFailing { .. }
        | Event::ClockSkewed { .. }
        | Event::FeedFailing { .. }
        | Event::CopyFailing { .. }
        | Event::SelfTestFailed { .. }
        | Event::CacheMismatch { .. }
        | Event::ReviewOverdue { .. } => {
            let outcome = if summary.level == Level::Error { SERIOUS } else { MINOR };
            shape(alert(), vec![], "E", outcome)
        }
    }
}

fn operation() -> Value {
    coding(INTERACTION, "operation", "operation")
}

fn user_changed() -> Value {
    coding(DCM, "110137", "User Security Attributes Changed")
}

fn ending(outcome: &Outcome) -> &'static str {
    match outcome.outcome.as_str() {
        "answered" | "cached" => SUCCESS,
        "failed_closed" => SERIOUS,
        _ => MINOR,
    }
}

fn description(event: &Event, summary: &Summary<'_>) -> String {
    let title = summary.title;
    match event {
        Event::Outcome(outcome) => match (&outcome.code, &outcome.reason) {
            (Some(code), Some(reason)) => format!("{title}: {code}, {reason}"),
            (Some(word), None) | (None, Some(word)) => format!("{title}: {word}"),
            (None, None) => title.to_owned(),
        },
        Event::ContentRead { reason: word, .. }
        | Event::AccessDenied { reason: word, .. }
        | Event::Reviewed { reviewer: word, .. }
        | Event::AnchorFailing { reason: word, .. }
        | Event::FeedFailing { reason: word, .. }
        | Event::CopyFailing { reason: word, .. }
        | Event::SelfTestFailed { reason: word, .. }
        | Event::CacheMismatch { reason: word, .. }
        | Event::Disposed { authority: word, .. }
        | Event::AgreementDisposed { authority: word, .. }
        | Event::HoldPlaced { authority: word, .. }
        | Event::HoldReleased { authority: word, .. }
        | Event::Pruned { authority: word, .. }
        | Event::Offboarded { authority: word, .. } => format!("{title}: {word}"),
        Event::BatchFile { outcome, reason, .. } => match reason {
            Some(reason) => format!("{title}: {outcome}, {reason}"),
            None => format!("{title}: {outcome}"),
        },
        Event::Intent(_)
        | Event::LogOpened { .. }
        | Event::ConfigurationApplied { .. }
        | Event::ApiKeyCreated { .. }
        | Event::ApiKeyRevoked { .. }
        | Event::Exported { .. }
        | Event::Streamed { .. }
        | Event::AnswerWithdrawn { .. }
        | Event::AccessRefused { .. }
        | Event::Started { .. }
        | Event::Stopped { .. }
        | Event::AgreementExpiring { .. }
        | Event::AgreementFiled { .. }
        | Event::AgreementRead { .. }
        | Event::Anchored { .. }
        | Event::ClockSkewed { .. }
        | Event::TilesRead { .. }
        | Event::Searched { .. }
        | Event::Reported { .. }
        | Event::ReviewOverdue { .. }
        | Event::SelfTestPassed { .. }
        | Event::KeyRotated { .. } => title.to_owned(),
    }
}

/// 45 CFR 164.506 has three purposes, and HL7 codes for them; the rest are the organisation's own.
fn purpose_of_use(purpose: &str) -> Value {
    match purpose {
        "treatment" => concept(ACT_REASON, "TREAT", "treatment"),
        "payment" => concept(ACT_REASON, "HPAYMT", "healthcare payment"),
        "operations" => concept(ACT_REASON, "HOPERAT", "healthcare operations"),
        other => json!({ "text": other }),
    }
}

/// The server itself: BALP wants the source of a disclosure to be the source of its audit event.
fn observer(record: &Record) -> Value {
    let mut who = identified("deployment", &record.log.deployment.to_string());
    if let Value::Object(members) = &mut who {
        members.insert("display".to_owned(), json!(format!("Bulla {VERSION}")));
    }
    who
}

fn agents(record: &Record, summary: &Summary<'_>) -> Vec<Value> {
    let mut agents = Vec::new();
    match &record.event {
        Event::Intent(intent) => agents.extend(ends(record, &intent.about)),
        Event::Outcome(outcome) => agents.extend(ends(record, &outcome.about)),
        // Content is opened on the server, which is both ends.
        Event::ContentRead { .. } => agents.extend([
            end("110152", "Destination Role ID", &observer(record), &here(record)),
            end("110153", "Source Role ID", &observer(record), &here(record)),
        ]),
        Event::LogOpened { .. }
        | Event::ConfigurationApplied { .. }
        | Event::ApiKeyCreated { .. }
        | Event::ApiKeyRevoked { .. }
        | Event::Exported { .. }
        | Event::Streamed { .. }
        | Event::AnswerWithdrawn { .. }
        | Event::AccessRefused { .. }
        | Event::Started { .. }
        | Event::Stopped { .. }
        | Event::AgreementExpiring { .. }
        | Event::AgreementFiled { .. }
        | Event::AgreementRead { .. }
        | Event::AgreementDisposed { .. }
        | Event::Anchored { .. }
        | Event::AnchorFailing { .. }
        | Event::ClockSkewed { .. }
        | Event::FeedFailing { .. }
        | Event::CopyFailing { .. }
        | Event::BatchFile { .. }
        | Event::AccessDenied { .. }
        | Event::TilesRead { .. }
        | Event::Searched { .. }
        | Event::Reported { .. }
        | Event::Reviewed { .. }
        | Event::ReviewOverdue { .. }
        | Event::Disposed { .. }
        | Event::HoldPlaced { .. }
        | Event::HoldReleased { .. }
        | Event::KeyRotated { .. }
        | Event::Pruned { .. }
        | Event::Offboarded { .. }
        | Event::SelfTestPassed { .. }
        | Event::SelfTestFailed { .. }
        | Event::CacheMismatch { .. } => {}
    }
    match summary.actor {
        Some(actor) => agents.push(user(record, actor)),
        None if agents.is_empty() => agents.push(json!({
            "type": concept(DCM, "110150", "Application"),
            "who": observer(record),
            "requestor": false,
        })),
        None => {}
    }
    agents
}

fn here(record: &Record) -> String {
    record.log.deployment.to_string()
}

/// Source and recipient of a prompt. No record says at which address; the names stand for it.
fn ends(record: &Record, about: &About) -> Vec<Value> {
    let mut ends = vec![end("110153", "Source Role ID", &observer(record), &here(record))];
    if let Some(destination) = &about.destination {
        let who = identified("destination", destination);
        ends.push(end("110152", "Destination Role ID", &who, destination));
    }
    ends
}

fn end(code: &str, display: &str, who: &Value, address: &str) -> Value {
    json!({
        "type": concept(DCM, code, display),
        "who": who,
        "requestor": false,
        // 1: a machine's name.
        "network": { "address": address, "type": "1" },
    })
}

fn user(record: &Record, actor: &Actor) -> Value {
    let mut user = json!({
        "type": concept(PARTICIPATION, "IRCP", "information recipient"),
        "who": identified("actor", &actor.id),
        "requestor": true,
    });
    let Value::Object(members) = &mut user else { return user };
    if !actor.name.is_empty() {
        members.insert("name".to_owned(), json!(actor.name));
    }
    if let Some(purpose) = record.event.about().and_then(|about| about.purpose.as_deref()) {
        members.insert("purposeOfUse".to_owned(), json!([purpose_of_use(purpose)]));
    }
    user
}

fn detail(kind: &str, value: &dyn Display) -> Value {
    json!({ "type": kind, "valueString": value.to_string() })
}

#[expect(clippy::too_many_lines, reason = "one arm for each kind of record")]
fn entities(logged: &Logged) -> Vec<Value> {
    let record = &logged.record;
    // The record itself, so that a missing one shows.
    let mut place = vec![
        detail("log", &record.log),
        detail("seq", &record.seq),
        detail("leaf", &logged.leaf),
        detail("prev", &record.prev),
    ];
    let mut entities = Vec::new();
    match &record.event {
        Event::Intent(intent) => {
            if leaves_the_boundary(&intent.about) {
                entities.push(patient(&intent.about));
            }
            entities.extend(exchange(&intent.about, Vec::new()));
        }
        Event::Outcome(outcome) => entities.extend(exchange(&outcome.about, figures(outcome))),
        Event::ContentRead { exchange, .. } | Event::AnswerWithdrawn { exchange, .. } => {
            entities.push(transaction(&exchange.to_string()));
            entities.push(object("content", &exchange.to_string(), Vec::new()));
        }
        Event::ConfigurationApplied { version, sha256, changes, .. } => {
            let details = vec![detail("version", &version), detail("changes", &changes.len())];
            entities.push(object("configuration", &sha256.to_string(), details));
        }
        Event::ApiKeyCreated { key, owner, role, .. } => {
            let mut details = Vec::new();
            if !owner.is_empty() {
                details.push(detail("owner", &owner));
            }
            details.extend(role.as_ref().map(|role| detail("role", &role)));
            entities.push(object("api-key", &key.to_string(), details));
        }
        Event::ApiKeyRevoked { key, .. } => {
            entities.push(object("api-key", &key.to_string(), Vec::new()));
        }
        Event::LogOpened { verifier_key, .. } => place.push(detail("verifier_key", &verifier_key)),
        Event::Exported { size, .. } | Event::TilesRead { size, .. } => {
            place.push(detail("size", &size));
        }
        Event::Streamed { from, size, .. } => {
            place.push(detail("from", &from));
            place.extend(size.map(|size| detail("size", &size)));
        }
        Event::AccessRefused { count } | Event::AccessDenied { count, .. } => {
            place.push(detail("count", &count));
        }
        Event::AgreementExpiring { agreement, expires, days } => {
            let details = vec![detail("expires", &expires), detail("days", &days)];
            entities.push(object("agreement", agreement, details));
        }
        Event::AgreementFiled { agreement, sha256, size, signatories, signed, .. } => {
            let mut details = vec![detail("sha256", sha256), detail("size", size)];
            details.extend(signatories.iter().map(|name| detail("signatory", name)));
            details.push(detail("signed", signed));
            entities.push(object("agreement", agreement, details));
        }
        Event::AgreementRead { agreement, sha256, .. }
        | Event::AgreementDisposed { agreement, sha256, .. } => {
            entities.push(object("agreement", agreement, vec![detail("sha256", sha256)]));
        }
        Event::Anchored { size, authority, stamped, sha256 } => {
            place.push(detail("size", &size));
            let details = vec![detail("stamped", &stamped), detail("sha256", &sha256)];
            entities.push(object("authority", authority, details));
        }
        Event::AnchorFailing { authority, .. } => {
            entities.push(object("authority", authority, Vec::new()));
        }
        Event::ClockSkewed { authority, stamped } => {
            entities.push(object("authority", authority, vec![detail("stamped", &stamped)]));
        }
        Event::FeedFailing { feed, .. } => entities.push(object("feed", feed, Vec::new())),
        Event::BatchFile { batch, destination, file, count, sha256, .. } => {
            let mut details = vec![detail("destination", destination)];
            details.extend(file.as_ref().map(|file| detail("file", file)));
            details.extend(count.as_ref().map(|count| detail("count", count)));
            details.extend(sha256.as_ref().map(|sha256| detail("sha256", sha256)));
            entities.push(object("batch", &batch.to_string(), details));
        }
        Event::CopyFailing { copy, .. } => entities.push(object("copy", copy, Vec::new())),
        Event::Searched { filters, count, .. } => {
            place.extend(filters.iter().map(|filter| detail("filter", filter)));
            place.push(detail("count", &count));
        }
        Event::Reported { from, size, sha256, .. } => {
            let details = vec![detail("from", &from), detail("size", &size)];
            entities.push(object("report", &sha256.to_string(), details));
        }
        Event::Reviewed { reviewer, from, size, sha256, reason, .. } => {
            let mut details =
                vec![detail("reviewer", reviewer), detail("from", &from), detail("size", &size)];
            details.extend(reason.as_ref().map(|reason| detail("remark", &reason)));
            entities.push(object("report", &sha256.to_string(), details));
        }
        Event::ReviewOverdue { expires, days } => {
            place.extend([detail("expires", &expires), detail("days", &days)]);
        }
        Event::Disposed { scope, classes, reason, count, held, sha256, .. } => {
            let classes: Vec<String> = classes.iter().map(ToString::to_string).collect();
            let mut details = vec![
                detail("classes", &classes.join(" ")),
                detail("reason", reason),
                detail("count", count),
                detail("held", held),
            ];
            details.extend(sha256.map(|hash| detail("decision", &hash)));
            entities.push(object("content", &super::scope_of(scope), details));
        }
        Event::HoldPlaced { hold, unit, .. } => {
            let covers = detail("covers", &super::held(unit.as_ref()));
            entities.push(object("hold", hold, vec![covers]));
        }
        Event::HoldReleased { hold, .. } => entities.push(object("hold", hold, Vec::new())),
        Event::KeyRotated { level, former, current, .. } => {
            let details = vec![detail("level", level), detail("former", former)];
            entities.push(object("key", current, details));
        }
        Event::Pruned { size, root, sha256, .. } => {
            let mut details = vec![detail("size", size), detail("root", root)];
            details.extend(sha256.map(|hash| detail("decision", &hash)));
            entities.push(object("records", &format!("records before {size}"), details));
        }
        Event::Offboarded { sha256, .. } => {
            entities.push(object("archive", &sha256.to_string(), Vec::new()));
        }
        Event::SelfTestPassed { count, policy } => {
            place.push(detail("count", count));
            place.extend(policy.map(|policy| detail("policy", &policy)));
        }
        Event::SelfTestFailed { route, api, policy, .. } => {
            place.extend(route.as_ref().map(|route| detail("route", route)));
            place.extend(api.as_ref().map(|api| detail("api", api)));
            place.extend(policy.map(|policy| detail("policy", &policy)));
        }
        Event::CacheMismatch { route, .. } => place.push(detail("route", route)),
        Event::Started { .. } | Event::Stopped { .. } => {}
    }
    entities.push(json!({
        "what": identified("receipt", &logged.receipt().to_string()),
        "type": coding(ENTITY_TYPE, "4", "Other"),
        "role": coding(OBJECT_ROLE, "13", "Security Resource"),
        "detail": place,
    }));
    entities
}

/// The patient by the name that the log has for him; when the caller named none, somebody unknown.
fn patient(about: &About) -> Value {
    let what = match about.patient {
        Some(hash) => {
            let mut what = identified("patient", &hash.to_string());
            if let Value::Object(members) = &mut what {
                members.insert("type".to_owned(), json!("Patient"));
            }
            what
        }
        None => json!({
            "type": "Patient",
            "extension": [{ "url": ABSENT, "valueCode": "unknown" }],
        }),
    };
    json!({
        "what": what,
        "type": coding(ENTITY_TYPE, "1", "Person"),
        "role": coding(OBJECT_ROLE, "1", "Patient"),
    })
}

fn transaction(exchange: &str) -> Value {
    json!({
        "what": identified("exchange", exchange),
        "type": coding(BALP_ENTITY, "XrequestId", "X-Request-Id"),
    })
}

fn object(system: &str, value: &str, details: Vec<Value>) -> Value {
    let mut entity = json!({
        "what": identified(system, value),
        "type": coding(ENTITY_TYPE, "2", "System Object"),
        "role": coding(OBJECT_ROLE, "4", "Domain Resource"),
    });
    if let (Value::Object(members), false) = (&mut entity, details.is_empty()) {
        members.insert("detail".to_owned(), Value::Array(details));
    }
    entity
}

/// The exchange, and the sealed prompt by its digest, with what was found in it and what became of that.
fn exchange(about: &About, mut details: Vec<Value>) -> Vec<Value> {
    let words =
        [("decision", &about.decision), ("route", &about.route), ("detector", &about.detector)];
    for (name, word) in words {
        details.extend(word.as_ref().map(|word| detail(name, &word)));
    }
    details.extend(about.alert.as_ref().map(|flow| detail("alert", flow)));
    let minimum = about.minimum.iter();
    details.extend(minimum.map(|(what, how)| detail(&format!("minimum.{what}"), how)));
    details.extend(about.conversation.map(|it| detail("conversation", &it)));
    details.extend(about.policy.map(|hash| detail("policy", &hash)));
    details.extend(about.findings.iter().map(|(class, n)| detail(&format!("found.{class}"), &n)));
    let treated = about.treatments.iter();
    details.extend(treated.map(|(class, how)| detail(&format!("treatment.{class}"), &how)));
    details.extend(about.rules.iter().map(|rule| detail("rule", &rule)));
    details.extend(about.path.iter().map(|cover| {
        let by = super::covered_by(cover.by);
        let words = [cover.id.as_deref(), cover.region.as_deref()].into_iter().flatten();
        let words: String = words.flat_map(|word| [", ", word]).collect();
        detail("hop", &format_args!("{}: {by}{words}", cover.hop))
    }));
    let digest = about.prompt.map_or_else(|| about.exchange.to_string(), |hash| hash.to_string());
    let system = if about.prompt.is_some() { "prompt" } else { "exchange" };
    vec![transaction(&about.exchange.to_string()), object(system, &digest, details)]
}

fn figures(outcome: &Outcome) -> Vec<Value> {
    let mut details = vec![detail("outcome", &outcome.outcome)];
    details.extend(outcome.intent.map(|seq| detail("intent", &seq)));
    if let Some(reply) = &outcome.reply {
        details.push(detail("reply", &reply.digest));
        details.push(detail("restored", &reply.restored));
    }
    if let Some(usage) = outcome.usage {
        details.push(detail("prompt_tokens", &usage.prompt));
        details.push(detail("completion_tokens", &usage.completion));
    }
    details.extend(outcome.upstream_request.as_ref().map(|id| detail("upstream_request", &id)));
    details
}
