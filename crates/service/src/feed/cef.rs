//! Common Event Format, version 0: a header with bars, then `key=value`.
//!
//! A CEF event is a summary: custom fields are few, and values have limits. The leaf hash leads to the
//! whole record.

use super::{Level, Logged, Summary, VERSION};
use ledger::{About, Actor, ActorKind, Cover, Event, Outcome};
use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};

/// The longest value of a custom string, in characters.
const CUSTOM_CHARS: usize = 4000;

/// The longest value of the fields that are names and texts, in characters.
const TEXT_CHARS: usize = 1023;

const fn severity(level: Level) -> u32 {
    match level {
        Level::Info => 2,
        Level::Notice => 4,
        Level::Warning => 6,
        Level::Error => 8,
    }
}

#[expect(clippy::too_many_lines, reason = "one arm for each kind of record")]
pub(super) fn line(logged: &Logged) -> String {
    let record = &logged.record;
    let summary = Summary::of(&record.event);
    let mut fields = Fields::new(&summary);
    fields.put("rt", record.time.as_micros().div_euclid(1000));
    fields.put("deviceExternalId", record.log.deployment);
    fields.put("externalId", record.seq);
    fields.number(1, "seq", record.seq);
    fields.custom(1, "log", record.log);
    fields.custom(2, "leaf", logged.leaf);
    if let Some(actor) = summary.actor {
        fields.actor(actor);
    }
    match &record.event {
        Event::Intent(intent) => fields.exchange(&intent.about),
        Event::Outcome(outcome) => {
            fields.exchange(&outcome.about);
            fields.outcome(outcome);
        }
        Event::LogOpened { organisation, .. } => fields.put("msg", organisation),
        Event::ConfigurationApplied { version, sha256, changes, .. } => {
            fields.put("fileHash", sha256);
            fields.put("msg", format_args!("version {version}, {} change(s)", changes.len()));
        }
        Event::ApiKeyCreated { key, owner, .. } => {
            fields.put("duid", key);
            fields.put("duser", owner);
        }
        Event::ApiKeyRevoked { key, .. } => fields.put("duid", key),
        Event::Exported { size, .. } => fields.put("cnt", size),
        Event::Streamed { from, size, .. } => match size {
            Some(size) => fields.put("msg", format_args!("from {from} before {size}")),
            None => fields.put("msg", format_args!("from {from} on")),
        },
        Event::ContentRead { exchange, reason, .. } => {
            fields.flexible(1, "exchange", exchange);
            fields.put("reason", reason);
        }
        Event::AnswerWithdrawn { exchange, .. } => fields.flexible(1, "exchange", exchange),
        Event::AccessRefused { count } => fields.put("cnt", count),
        Event::Started { version, .. } => fields.put("msg", version),
        Event::Stopped { .. } => {}
        Event::AgreementExpiring { agreement, expires, days } => {
            fields.put("msg", format_args!("{agreement} ends at {expires}, within {days} days"));
        }
        Event::AgreementFiled { agreement, sha256, size, signatories, signed, .. } => {
            fields.put("fileHash", sha256);
            fields.put("fsize", size);
            fields.put("duid", agreement);
            fields.put("msg", format_args!("signed on {signed} by {}", signatories.join(", ")));
        }
        Event::AgreementRead { agreement, sha256, .. } => {
            fields.put("fileHash", sha256);
            fields.put("duid", agreement);
        }
        Event::AgreementDisposed { agreement, sha256, authority, .. } => {
            fields.put("fileHash", sha256);
            fields.put("duid", agreement);
            fields.put("reason", authority);
        }
        Event::Anchored { size, authority, stamped, .. } => {
            fields.put("msg", format_args!("{size} records by {stamped}, says {authority}"));
        }
        Event::AnchorFailing { authority, reason } => {
            fields.put("destinationServiceName", authority);
            fields.put("reason", reason);
        }
        Event::ClockSkewed { authority, stamped } => {
            fields.put("destinationServiceName", authority);
            fields.put("msg", format_args!("{authority} says {stamped}"));
        }
        Event::FeedFailing { feed: name, reason } | Event::CopyFailing { copy: name, reason } => {
            fields.put("destinationServiceName", name);
            fields.put("reason", reason);
        }
        Event::SelfTestPassed { count, policy } => {
            fields.put("cnt", count);
            if let Some(policy) = policy {
                fields.put("fileHash", policy);
            }
        }
        Event::SelfTestFailed { reason, route, api, policy } => {
            fields.put("destinationServiceName", route.as_deref().unwrap_or_default());
            fields.put("requestMethod", api.as_deref().unwrap_or_default());
            fields.put("reason", reason);
            if let Some(policy) = policy {
                fields.put("fileHash", policy);
            }
        }
        Event::CacheMismatch { reason, route } => {
            fields.put("destinationServiceName", route);
            fields.put("reason", reason);
        }
        Event::BatchFile { batch, destination, outcome, file, reason, count, sha256 } => {
            fields.flexible(1, "batch", batch);
            fields.put("destinationServiceName", destination);
            fields.put("outcome", outcome);
            fields.put("fileId", file.as_deref().unwrap_or_default());
            fields.put("reason", reason.as_deref().unwrap_or_default());
            if let Some(count) = count {
                fields.put("cnt", count);
            }
            if let Some(sha256) = sha256 {
                fields.put("fileHash", sha256);
            }
        }
        Event::AccessDenied { reason, count, .. } => {
            fields.put("cnt", count);
            fields.put("reason", reason);
        }
        Event::TilesRead { size, .. } => fields.put("msg", format_args!("before {size}")),
        Event::Searched { filters, count, .. } => {
            fields.put("cnt", count);
            fields.put("msg", filters.join(" "));
        }
        Event::Reported { from, size, sha256, .. } => {
            fields.put("fileHash", sha256);
            fields.put("msg", format_args!("from {from} before {size}"));
        }
        Event::Reviewed { reviewer, from, size, sha256, reason, .. } => {
            fields.put("fileHash", sha256);
            fields.put("duser", reviewer);
            fields.put("msg", format_args!("from {from} before {size}"));
            fields.put("reason", reason.as_deref().unwrap_or_default());
        }
        Event::ReviewOverdue { expires, days } => {
            fields.put("msg", format_args!("due at {expires}, every {days} days"));
        }
        Event::Disposed { scope, authority, reason, count, .. } => {
            fields.flexible(1, "scope", super::scope_of(scope));
            fields.put("cnt", count);
            fields.put("reason", format_args!("{reason}: {authority}"));
        }
        Event::HoldPlaced { hold, unit, authority, .. } => {
            fields.flexible(1, "scope", super::held(unit.as_ref()));
            fields.put("duid", hold);
            fields.put("reason", authority);
        }
        Event::HoldReleased { hold, authority, .. } => {
            fields.put("duid", hold);
            fields.put("reason", authority);
        }
        Event::KeyRotated { level, former, current, .. } => {
            fields.put("duid", current);
            fields.put("msg", format_args!("{level}: from {former} to {current}"));
        }
        Event::Pruned { size, root, authority, sha256, .. } => {
            fields.put("cnt", size);
            fields.flexible(1, "root", root);
            if let Some(decision) = sha256 {
                fields.flexible(2, "decision", decision);
            }
            fields.put("reason", authority);
        }
        Event::Offboarded { authority, sha256, .. } => {
            fields.put("fileHash", sha256);
            fields.put("reason", authority);
        }
    }
    fields.line
}

/// The line as it grows.
struct Fields {
    line: String,
    first: bool,
}

impl Fields {
    /// The header. Kinds and titles are our own words and hold no bar.
    fn new(summary: &Summary<'_>) -> Self {
        let (kind, title) = (summary.kind, summary.title);
        let severity = severity(summary.level);
        let line = format!("CEF:0|Bulla|Bulla|{VERSION}|{kind}|{title}|{severity}|");
        Self { line, first: true }
    }

    fn put(&mut self, key: &str, value: impl Display) {
        self.put_clipped(key, value, TEXT_CHARS);
    }

    fn put_clipped(&mut self, key: &str, value: impl Display, limit: usize) {
        let text = value.to_string();
        if text.is_empty() {
            return;
        }
        if !self.first {
            self.line.push(' ');
        }
        self.first = false;
        self.line.push_str(key);
        self.line.push('=');
        for character in text.chars().take(limit) {
            match character {
                '\\' => self.line.push_str("\\\\"),
                '=' => self.line.push_str("\\="),
                '\n' => self.line.push_str("\\n"),
                '\r' => self.line.push_str("\\r"),
                // Some readers end a line there.
                '\u{85}' | '\u{2028}' | '\u{2029}' => self.line.push(' '),
                other if other.is_control() => self.line.push(' '),
                other => self.line.push(other),
            }
        }
    }

    fn custom(&mut self, number: u8, label: &str, value: impl Display) {
        let before = self.line.len();
        self.put_clipped(&format!("cs{number}"), value, CUSTOM_CHARS);
        self.label(before, &format!("cs{number}Label"), label);
    }

    fn flexible(&mut self, number: u8, label: &str, value: impl Display) {
        let before = self.line.len();
        self.put(&format!("flexString{number}"), value);
        self.label(before, &format!("flexString{number}Label"), label);
    }

    fn number(&mut self, number: u8, label: &str, value: u64) {
        let before = self.line.len();
        self.put(&format!("cn{number}"), value);
        self.label(before, &format!("cn{number}Label"), label);
    }

    /// Names a field that was written since `before`.
    fn label(&mut self, before: usize, key: &str, label: &str) {
        if self.line.len() > before {
            self.put(key, label);
        }
    }

    fn actor(&mut self, actor: &Actor) {
        self.put("suid", &actor.id);
        self.put("suser", &actor.name);
        let kind = match actor.kind {
            ActorKind::ApiKey => "api_key",
            ActorKind::Operator => "operator",
            ActorKind::System => "system",
        };
        self.put("spriv", kind);
    }

    fn exchange(&mut self, about: &About) {
        self.flexible(1, "exchange", about.exchange);
        if let Some(conversation) = about.conversation {
            self.flexible(2, "conversation", conversation);
        }
        if let Some(flow) = &about.alert {
            self.put("cat", format_args!("alert {flow}"));
        }
        self.put("app", &about.api);
        self.put("deviceFacility", &about.surface);
        self.put("act", about.decision.as_deref().unwrap_or_default());
        if let Some(route) = &about.route {
            self.put("msg", format_args!("asked for {route}"));
        }
        self.put("destinationServiceName", about.destination.as_deref().unwrap_or_default());
        self.custom(3, "purpose", about.purpose.as_deref().unwrap_or_default());
        self.custom(4, "findings", pairs(&about.findings));
        self.custom(5, "rules", about.rules.join(" "));
        self.custom(6, "path", about.path.iter().map(hop).collect::<Vec<_>>().join(" "));
    }

    fn outcome(&mut self, outcome: &Outcome) {
        self.put("outcome", &outcome.outcome);
        match (&outcome.code, &outcome.reason) {
            (Some(code), Some(reason)) => self.put("reason", format_args!("{code}: {reason}")),
            (Some(word), None) | (None, Some(word)) => self.put("reason", word),
            (None, None) => {}
        }
        if let Some(usage) = outcome.usage {
            self.number(2, "promptTokens", usage.prompt);
            self.number(3, "completionTokens", usage.completion);
        }
    }
}

fn hop(cover: &Cover) -> String {
    let by = super::covered_by(cover.by);
    match &cover.id {
        Some(id) => format!("{}:{by}:{id}", cover.hop),
        None => format!("{}:{by}", cover.hop),
    }
}

fn pairs(counts: &BTreeMap<String, u64>) -> String {
    let mut text = String::new();
    for (class, count) in counts {
        let gap = if text.is_empty() { "" } else { " " };
        // Writing to a string does not fail.
        let _written = write!(text, "{gap}{class}:{count}").is_ok();
    }
    text
}
