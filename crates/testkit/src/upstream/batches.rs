//! Files and batches, as OpenAI's interface has them: what is uploaded is kept, and each line of a batch is
//! answered by the script as if it had come alone.

use super::reply::{Fault, Script};
use super::{Captured, lock};
use bytes::Bytes;
use serde_json::{Value, json};
use std::sync::Mutex;

/// How a stand-in deals with files and batches.
#[derive(Clone, Debug)]
pub struct Batching {
    /// How often a batch is still under way when it is looked at.
    pub looks: usize,
    /// So many uploads are not kept, and fail.
    pub lost_uploads: usize,
    /// So many uploads are kept, and fail all the same.
    pub failing_uploads: usize,
    /// So many batches begin, and that they did is not said.
    pub failing_begins: usize,
    /// So many deletions fail.
    pub failing_deletes: usize,
    /// So many files of answers break off in their middle.
    pub broken_outputs: usize,
    /// How a batch ends.
    pub ending: &'static str,
    /// How many lines are answered before it ends otherwise than completed.
    pub answered: usize,
}

impl Default for Batching {
    fn default() -> Self {
        Self {
            looks: 1,
            lost_uploads: 0,
            failing_uploads: 0,
            failing_begins: 0,
            failing_deletes: 0,
            broken_outputs: 0,
            ending: "completed",
            answered: usize::MAX,
        }
    }
}

/// A file that lies at the stand-in.
#[derive(Clone, Debug)]
pub struct KeptFile {
    /// Its id there.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What is in it.
    pub content: String,
}

#[derive(Default)]
pub(super) struct Shelf(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    settings: Batching,
    files: Vec<KeptFile>,
    batches: Vec<Batch>,
    numbers: usize,
}

struct Batch {
    id: String,
    input: String,
    metadata: Value,
    looks: usize,
    status: &'static str,
    output: Option<String>,
    errors: Option<String>,
}

/// What is said to a request: status, type, body.
pub(super) type Said = (u16, &'static str, Vec<u8>);

fn say(status: u16, document: &Value) -> Said {
    (status, "application/json", document.to_string().into_bytes())
}

fn fault(status: u16, words: &str) -> Said {
    say(status, &json!({ "error": { "message": words, "type": "server_error", "code": null } }))
}

impl Batch {
    fn document(&self) -> Value {
        json!({
            "id": self.id, "object": "batch", "endpoint": "/v1/chat/completions",
            "input_file_id": self.input, "completion_window": "24h", "status": self.status,
            "output_file_id": self.output, "error_file_id": self.errors, "created_at": 1,
            "metadata": self.metadata,
        })
    }
}

impl KeptFile {
    fn document(&self) -> Value {
        json!({
            "id": self.id, "object": "file", "bytes": self.content.len(), "created_at": 1,
            "filename": self.name, "purpose": "batch", "status": "processed",
        })
    }
}

fn take(left: &mut usize) -> bool {
    let some = *left > 0;
    *left = left.saturating_sub(1);
    some
}

impl Shelf {
    pub(super) fn set(&self, settings: Batching) {
        lock(&self.0).settings = settings;
    }

    pub(super) fn files(&self) -> Vec<KeptFile> {
        lock(&self.0).files.clone()
    }

    /// What is said to a request for files or batches; nothing when it is for something else.
    pub(super) fn answer(&self, captured: &Captured, script: &Script) -> Option<Said> {
        let path = captured.path.split('?').next().unwrap_or_default();
        let below = path.strip_prefix("/v1/")?;
        let segments: Vec<&str> = below.split('/').collect();
        let mut kept = lock(&self.0);
        match (captured.method.as_str(), segments.as_slice()) {
            ("POST", ["files"]) => Some(kept.upload(captured)),
            ("GET", ["files"]) => {
                let files: Vec<Value> = kept.files.iter().rev().map(KeptFile::document).collect();
                Some(say(200, &json!({ "object": "list", "data": files, "has_more": false })))
            }
            ("GET", ["files", id, "content"]) => Some(kept.content(id)),
            ("DELETE", ["files", id]) => Some(kept.delete(id)),
            ("POST", ["batches"]) => Some(kept.begin(&captured.json())),
            ("GET", ["batches"]) => {
                let all: Vec<Value> = kept.batches.iter().rev().map(Batch::document).collect();
                Some(say(200, &json!({ "object": "list", "data": all, "has_more": false })))
            }
            ("GET", ["batches", id]) => Some(kept.look(id, script)),
            ("POST", ["batches", id, "cancel"]) => Some(kept.cancel(id, script)),
            _ => None,
        }
    }
}

impl Kept {
    fn number(&mut self) -> usize {
        self.numbers += 1;
        self.numbers
    }

    fn put(&mut self, name: String, content: String) -> String {
        let id = format!("file-{:04}", self.number());
        self.files.push(KeptFile { id: id.clone(), name, content });
        id
    }

    fn upload(&mut self, captured: &Captured) -> Said {
        if take(&mut self.settings.lost_uploads) {
            return fault(500, "lost");
        }
        let text = captured.text();
        let Some((name, content)) = file_of(&text) else { return fault(400, "no file") };
        let id = self.put(name, content);
        if take(&mut self.settings.failing_uploads) {
            return fault(500, "kept all the same");
        }
        let found = self.files.iter().find(|file| file.id == id).map(KeptFile::document);
        say(200, &found.unwrap_or_default())
    }

    fn content(&mut self, id: &str) -> Said {
        let found = self.files.iter().find(|file| file.id == id);
        let Some(content) = found.map(|file| file.content.clone()) else {
            return fault(404, "no such file");
        };
        let mut bytes = content.into_bytes();
        if take(&mut self.settings.broken_outputs) {
            bytes.truncate(bytes.len() / 2);
        }
        (200, "application/octet-stream", bytes)
    }

    fn delete(&mut self, id: &str) -> Said {
        if take(&mut self.settings.failing_deletes) {
            return fault(500, "not now");
        }
        let before = self.files.len();
        self.files.retain(|file| file.id != id);
        if self.files.len() == before {
            return fault(404, "no such file");
        }
        say(200, &json!({ "id": id, "object": "file", "deleted": true }))
    }

    fn begin(&mut self, asked: &Value) -> Said {
        let input =
            asked.get("input_file_id").and_then(Value::as_str).unwrap_or_default().to_owned();
        if !self.files.iter().any(|file| file.id == input) {
            return fault(400, "no such file");
        }
        let id = format!("batch_{:04}", self.number());
        let metadata = asked.get("metadata").cloned().unwrap_or_default();
        let (output, errors) = (None, None);
        let batch = Batch { id, input, metadata, looks: 0, status: "validating", output, errors };
        let document = batch.document();
        self.batches.push(batch);
        if take(&mut self.settings.failing_begins) {
            return fault(500, "begun all the same");
        }
        say(200, &document)
    }

    fn look(&mut self, id: &str, script: &Script) -> Said {
        let settings = self.settings.clone();
        let Some(at) = self.batches.iter().position(|batch| batch.id == id) else {
            return fault(404, "no such batch");
        };
        let Some(batch) = self.batches.get_mut(at) else { return fault(404, "no such batch") };
        let under_way = matches!(batch.status, "validating" | "in_progress");
        batch.looks += 1;
        if under_way && batch.looks > settings.looks {
            self.end(at, settings.ending, settings.answered, script);
        } else if under_way {
            batch.status = "in_progress";
        }
        let document = self.batches.get(at).map(Batch::document);
        say(200, &document.unwrap_or_default())
    }

    fn cancel(&mut self, id: &str, script: &Script) -> Said {
        let Some(at) = self.batches.iter().position(|batch| batch.id == id) else {
            return fault(404, "no such batch");
        };
        let answered = self.settings.answered;
        if self.batches.get(at).is_some_and(|it| matches!(it.status, "validating" | "in_progress"))
        {
            self.end(at, "cancelled", answered, script);
        }
        let document = self.batches.get(at).map(Batch::document);
        say(200, &document.unwrap_or_default())
    }

    /// Answers the lines, the last first, as a vendor may.
    fn end(&mut self, at: usize, status: &'static str, answered: usize, script: &Script) {
        let Some(input) = self.batches.get(at).map(|batch| batch.input.clone()) else { return };
        let file = self.files.iter().find(|file| file.id == input);
        let content = file.map(|file| file.content.clone()).unwrap_or_default();
        let (mut output, mut errors) = (String::new(), String::new());
        for (number, line) in content.lines().rev().enumerate() {
            let line: Value = serde_json::from_str(line).unwrap_or_default();
            let custom = line.get("custom_id").cloned().unwrap_or_default();
            if number >= answered {
                let error = json!({ "code": "batch_expired", "message": "It took too long." });
                let said =
                    json!({ "id": "r", "custom_id": custom, "response": null, "error": error });
                errors.push_str(&said.to_string());
                errors.push('\n');
                continue;
            }
            let (status, body) = answer_line(number, &line, script);
            let response = json!({ "status_code": status, "request_id": "req-1", "body": body });
            let said =
                json!({ "id": "r", "custom_id": custom, "response": response, "error": null });
            let to = if status == 200 { &mut output } else { &mut errors };
            to.push_str(&said.to_string());
            to.push('\n');
        }
        let mut put =
            |name: &str, text: String| (!text.is_empty()).then(|| self.put(name.to_owned(), text));
        let (output, errors) = (put("output.jsonl", output), put("errors.jsonl", errors));
        if let Some(batch) = self.batches.get_mut(at) {
            (batch.status, batch.output, batch.errors) = (status, output, errors);
        }
    }
}

fn answer_line(number: usize, line: &Value, script: &Script) -> (u16, Value) {
    let url = line.get("url").and_then(Value::as_str).unwrap_or_default();
    let body = line.get("body").unwrap_or(&Value::Null);
    let captured = Captured {
        number,
        connection: 0,
        method: "POST".to_owned(),
        path: url.to_owned(),
        headers: Vec::new(),
        body: Bytes::from(body.to_string()),
        complete: true,
    };
    let reply = script.reply(number, &captured);
    if let Fault::Status { status, .. } = reply.fault {
        // As vendors do, it says again what it did not like.
        return (status, json!({ "error": { "message": body.to_string(), "code": "wrong" } }));
    }
    let answer = reply.body_at(url, body).unwrap_or_default();
    (200, serde_json::from_slice(&answer).unwrap_or_default())
}

/// The name and the content of the file in a form.
fn file_of(form: &str) -> Option<(String, String)> {
    let (_, after) = form.split_once("filename=\"")?;
    let (name, after) = after.split_once('"')?;
    let (_, content) = after.split_once("\r\n\r\n")?;
    let (content, _) = content.rsplit_once("\r\n--")?;
    Some((name.to_owned(), content.to_owned()))
}
