//! The walk-through: what it does, what it shows, and what it insists on.
//!
//! Every claim on the screen is checked before it is printed; a walk-through
//! that cannot show one fails.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use super::authority::Authority;
use super::client::{self, Reply};
use super::note;
use super::product::{Product, Server};
use super::rules::{self, Agreement, Upstream};
use crate::process::{Stop, Trouble, now};
use crate::screen::{Screen, Style, duration};

/// Words of the answer; the note needs about 150.
const ANSWER_WORDS: u32 = 220;
/// Words of the answer where only the decision matters.
const PROBE_WORDS: u32 = 1;
/// How long a change of the rules may take to reach the running server, on a
/// machine that has much else to do. The server itself looks once a second.
const CHANGE_LIMIT: Duration = Duration::from_secs(20);
/// How much of an unexpected reply is shown.
const SHOWN_CHARACTERS: usize = 400;
/// The authority of the demo is asked every second.
const STAMPED_AFTER: Duration = Duration::from_secs(3);
/// What the demo says about its authority, in every run.
const AUTHORITY: &str = "a time-stamping authority on this machine, made with OpenSSL, stamps the log: it \
                         proves nothing to outsiders";
/// How often that is looked at.
const CHANGE_POLL: Duration = Duration::from_millis(50);

/// The headers that tell a caller what was done.
const HEADERS: [&str; 4] = ["x-bulla-decision", "x-bulla-phi", "x-bulla-path", "x-bulla-receipt"];

/// One demo under way.
pub(super) struct Walk<'demo> {
    pub(super) screen: Screen,
    pub(super) stop: &'demo Stop,
    pub(super) product: &'demo Product,
    pub(super) folder: &'demo Path,
    pub(super) authority: Option<&'demo Authority>,
}

impl Walk<'_> {
    /// Makes the data directory, applies the rules, and returns an API key.
    pub(super) fn prepare(&mut self, upstream: &Upstream) -> Result<String, Trouble> {
        self.screen.heading("set up");
        let data = self.product.data();
        let org = OsStr::new(rules::ORGANISATION);
        let said = self.product.bulla(&[OsStr::new("init"), data, OsStr::new("--org"), org])?;
        // A C2SP verifier key: name, hash and key with plus signs between.
        let key = said
            .split_whitespace()
            .find(|word| word.starts_with("bulla/") && word.contains('+'))
            .ok_or_else(|| Trouble::new("`bulla init` did not print the verifier key"))?;
        println!("  the auditor keeps the log's key, before anything is in it: {key}");
        let root = self.authority.map_or("", |authority| &authority.root);
        std::fs::write(self.trust(), format!("{key}\n{root}"))?;
        println!(
            "  {}",
            match self.authority {
                Some(_) => AUTHORITY,
                None => "OpenSSL is not here, so no authority stamps this log",
            }
        );
        self.apply(upstream, Agreement::InForce)?;
        let words = ["--owner", "Anselm Whitcombe (synthetic)", "--purpose", "treatment"];
        let mut arguments =
            vec![OsStr::new("key"), OsStr::new("create"), OsStr::new("--data"), data];
        arguments.extend(words.map(OsStr::new));
        let said = self.product.bulla(&arguments)?;
        said.split(|c: char| c.is_whitespace() || "\"',".contains(c))
            .find(|word| word.starts_with("bulla_"))
            .map(str::to_owned)
            .ok_or_else(|| Trouble::new("`bulla key create` did not print a key"))
    }

    /// What the auditor got before the first prompt.
    fn trust(&self) -> PathBuf {
        self.folder.join("auditors-key.txt")
    }

    fn apply(&self, upstream: &Upstream, agreement: Agreement) -> Result<(), Trouble> {
        let name = match agreement {
            Agreement::InForce => "rules.toml",
            Agreement::Removed => "rules-without-agreement.toml",
        };
        let file = self.folder.join(name);
        let stamped = self.authority.map_or("", |authority| &authority.rules);
        std::fs::write(&file, rules::file(upstream, agreement) + stamped)?;
        let data = self.product.data();
        let arguments = [OsStr::new("apply"), file.as_os_str(), OsStr::new("--data"), data];
        let said = self.product.bulla(&arguments)?;
        print!("{}", indented(&said));
        Ok(())
    }

    /// Sends the note, streamed, and shows its way.
    pub(super) fn prompt(&mut self, server: &Server, key: &str) -> Result<(), Trouble> {
        self.screen.heading("one prompt");
        println!("POST http://{}/v1/chat/completions (streamed)", server.address);
        let begun = now();
        let spinner = self.screen.spinner("waiting for the model");
        let (reply, first) = ask(server, key, ANSWER_WORDS)?;
        drop(spinner);
        let whole = now() - begun;
        if reply.status != 200 {
            return Err(unexpected(&reply, 200));
        }
        let (answer, complete) = reply.streamed_text();
        insist(complete, "the stream did not come to its end")?;
        if let Some(first) = first {
            let first = duration(first);
            println!("200, first words after {first}, all after {}", duration(whole));
        }
        for name in HEADERS {
            let value = reply.header(name);
            let value = value.ok_or_else(|| Trouble(format!("the reply has no {name}")))?;
            println!("  {name}: {value}");
        }
        let receipt = reply.header("x-bulla-receipt").unwrap_or_default();
        let content = self.content(receipt)?;
        self.panes(&content, &answer)
    }

    /// The content of an exchange, as an auditor with the keys reads it.
    fn content(&self, receipt: &str) -> Result<Content, Trouble> {
        let (audit, show) = (OsStr::new("audit"), OsStr::new("show"));
        let (receipt, data) = (OsStr::new(receipt), OsStr::new("--data"));
        let said = self.product.bulla(&[audit, show, receipt, data, self.product.data()])?;
        Content::read(&said)
    }

    fn panes(&self, content: &Content, answer: &str) -> Result<(), Trouble> {
        let surrogates = note::surrogates_in(&content.left);
        let mut marks: Vec<(String, Style)> =
            note::PLANTED.iter().map(|value| ((*value).to_owned(), Style::Private)).collect();
        marks.extend(surrogates.iter().map(|token| (token.clone(), Style::Surrogate)));
        self.screen.pane("what was written", &content.written, &marks);
        self.screen.pane("what left", &content.left, &marks);
        self.screen.pane("what came back from the model", &content.received, &marks);
        self.screen.pane("what the caller got", answer, &marks);

        let outside = note::planted_in(&content.outside);
        insist(outside.is_empty(), "a planted value left the house")?;
        let planted = note::PLANTED.len();
        insist(note::planted_in(&content.written).len() == planted, "the prompt is not whole")?;
        let came = note::surrogates_in(&content.received);
        insist(!surrogates.is_empty(), "nothing was tokenized")?;
        let left_over =
            came.iter().any(|token| surrogates.contains(token) && answer.contains(token));
        insist(!left_over, "a surrogate reached the caller")?;
        let restored = note::planted_in(answer).len();
        println!(
            "\n{planted} identifiers were written, none of them left; {} surrogates left in their \
             place, {restored} identifiers came back to the caller.",
            surrogates.len()
        );
        insist(came.is_empty() || restored > 0, "no identifier was restored")?;
        let mangled = note::stand_ins_in(answer).len();
        if mangled > 0 {
            println!(
                "The model misspelled {mangled} of the surrogates: they stay visible and flagged, \
                 because Bulla never guesses what they stood for."
            );
        } else if came.is_empty() {
            println!("This model repeated none of them, so there was nothing to restore.");
        }
        Ok(())
    }

    /// Removes the agreement, sends the same prompt, and expects a refusal.
    pub(super) fn without_agreement(
        &mut self,
        server: &Server,
        key: &str,
        upstream: &Upstream,
    ) -> Result<(), Trouble> {
        self.screen.heading("the same prompt without the agreement");
        self.apply(upstream, Agreement::Removed)?;
        let refused = self.until(server, key, 403)?;
        let (again, _) = ask(server, key, ANSWER_WORDS)?;
        insist(again.status == 403, "the refusal did not last")?;
        let code = refused.code();
        let expected = code.as_deref() == Some("baa_uncovered_hop");
        println!(
            "\nPOST the same prompt: {} {}",
            refused.status,
            code.as_deref().unwrap_or("without a code")
        );
        insist(expected, "the code is not baa_uncovered_hop")?;
        insist(note::planted_in(&refused.body).is_empty(), "the refusal repeats a planted value")?;
        println!("{}", refused.body.trim());
        println!("\nand with the agreement again:");
        self.apply(upstream, Agreement::InForce)?;
        self.until(server, key, 200)?;
        Ok(())
    }

    /// Asks until the rules that were applied have reached the server.
    fn until(&self, server: &Server, key: &str, status: u16) -> Result<Reply, Trouble> {
        let begun = now();
        loop {
            let (reply, _) = ask(server, key, PROBE_WORDS)?;
            let time = now() - begun;
            if reply.status == status {
                println!("in force in the running server after {}", duration(time));
                return Ok(reply);
            }
            if time >= CHANGE_LIMIT {
                return Err(unexpected(&reply, status));
            }
            self.stop.sleep(CHANGE_POLL)?;
        }
    }

    /// Exports the log and has it checked by the auditor's program.
    pub(super) fn audit(&mut self) -> Result<(), Trouble> {
        self.screen.heading("the log, checked by the auditor's own program");
        if self.authority.is_some() {
            self.stop.sleep(STAMPED_AFTER)?;
        }
        let bundle = self.folder.join("audit-bundle.tar");
        let (audit, export) = (OsStr::new("audit"), OsStr::new("export"));
        let (data, out) = (OsStr::new("--data"), OsStr::new("--out"));
        let arguments = [audit, export, data, self.product.data(), out, bundle.as_os_str()];
        print!("{}", indented(&self.product.bulla(&arguments)?));
        let said = self.product.verify(&bundle, &self.trust())?;
        insist(said.good, "bulla-verify does not accept the log")?;
        let stamped = said.text.lines().any(|line| line.trim_start().starts_with("stamped"));
        insist(stamped || self.authority.is_none(), "no stamp covers the log")?;
        print!("{}", self.screen.paint(Style::Good, &indented(&said.text)));

        println!("\nthe same log with one letter changed:");
        let edited = self.folder.join("edited-bundle.tar");
        edit(&bundle, &edited)?;
        let said = self.product.verify(&edited, &self.trust())?;
        insist(!said.good, "bulla-verify accepts a log that was changed")?;
        print!("{}", self.screen.paint(Style::Bad, &indented(&said.text)));
        Ok(())
    }
}

/// The content of one exchange.
struct Content {
    written: String,
    left: String,
    received: String,
    /// Every byte that went out or came from there, in its wire form.
    outside: String,
}

impl Content {
    fn read(said: &str) -> Result<Self, Trouble> {
        let wrong = |name: &str| Trouble(format!("`bulla audit show` printed no `{name}`"));
        let fields: Value = serde_json::from_str(said).map_err(|_| wrong("JSON"))?;
        let text = |name: &str| fields.get(name).and_then(Value::as_str).ok_or_else(|| wrong(name));
        let (left, received) = (text("left")?, text("received")?);
        Ok(Self {
            written: readable(text("written")?),
            left: readable(left),
            received: readable(received),
            outside: format!("{left}\n{received}"),
        })
    }
}

/// The words in what went over the wire: the messages of a request, the pieces
/// of a streamed answer. What has another form is shown as it is.
fn readable(wire: &str) -> String {
    let values: Result<Vec<Value>, _> =
        wire.lines().filter(|line| !line.trim().is_empty()).map(serde_json::from_str).collect();
    let Ok(values) = values else { return wire.to_owned() };
    let mut text = String::new();
    for value in &values {
        let messages = value.get("messages").and_then(Value::as_array);
        let contents = messages.into_iter().flatten().filter_map(|m| m.get("content")?.as_str());
        text.extend(contents);
        text.extend(value.pointer("/choices/0/delta/content").and_then(Value::as_str));
    }
    if text.is_empty() { wire.to_owned() } else { text }
}

/// Copies a bundle with one letter of one record changed.
fn edit(bundle: &Path, to: &Path) -> Result<(), Trouble> {
    let mut bytes = std::fs::read(bundle)?;
    let decision = b"\"decision\":\"tokenized\"";
    let at = bytes.windows(decision.len()).position(|window| window == decision);
    let letter = at.and_then(|at| bytes.get_mut(at + decision.len() - 2));
    let letter = letter.ok_or_else(|| Trouble::new("the bundle has no record of a decision"))?;
    *letter = b'r';
    Ok(std::fs::write(to, bytes)?)
}

/// Sends the note and returns the reply, and after how long its first words came.
fn ask(server: &Server, key: &str, words: u32) -> Result<(Reply, Option<Duration>), Trouble> {
    let body = json!({
        "model": rules::MODEL,
        "stream": true,
        "temperature": 0,
        "max_tokens": words,
        "messages": [{ "role": "user", "content": note::prompt() }],
    });
    let begun = now();
    let mut first = None;
    let path = "/v1/chat/completions";
    let reply = client::post(server.address, path, key, &body, |line| {
        if first.is_none() && line.contains("\"content\":\"") && !line.contains(":\"\"") {
            first = Some(now() - begun);
        }
    });
    Ok((reply?, first))
}

fn unexpected(reply: &Reply, wanted: u16) -> Trouble {
    let shown: String = reply.body.chars().take(SHOWN_CHARACTERS).collect();
    Trouble(format!("status {} instead of {wanted}: {shown}", reply.status))
}

fn insist(holds: bool, otherwise: &str) -> Result<(), Trouble> {
    if holds { Ok(()) } else { Err(Trouble::new(otherwise)) }
}

fn indented(text: &str) -> String {
    text.lines().fold(String::new(), |all, line| all + "  " + line + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_on_the_wire_are_found() {
        let request = r#"{"messages":[{"role":"user","content":"a\nb"}],"model":"demo"}"#;
        assert_eq!(readable(request), "a\nb");
        let stream = "{\"choices\":[{\"delta\":{\"content\":\"Gr\"}}]}\n\
                      {\"choices\":[{\"delta\":{\"content\":\"\u{fc}\"}}]}\n";
        assert_eq!(readable(stream), "Gr\u{fc}");
        assert_eq!(readable("no JSON"), "no JSON");
    }

    #[test]
    fn one_letter_of_a_bundle_is_changed() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("a"), folder.path().join("b"));
        std::fs::write(&from, r#"x{"decision":"tokenized"}"#).unwrap();
        edit(&from, &to).unwrap();
        assert_eq!(std::fs::read(&to).unwrap(), br#"x{"decision":"tokenizer"}"#);
        std::fs::write(&from, "nothing").unwrap();
        assert!(edit(&from, &to).is_err());
    }
}
