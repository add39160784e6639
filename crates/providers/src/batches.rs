//! Batches of a vendor that speaks as `OpenAI` does: files, and what is asked with them.
//!
//! What leaves in a file is a [`Parcel`], whose lines only the gate can make. The rest says no more than
//! ids. A line is named outside by the exchange that it is: the caller's own name of it may say whom it is
//! about.

use crate::client::{Bounds, MAX_ANSWER_BYTES, Providers, Wire, check_status, exchange, failure};
use futures_util::{Stream, StreamExt as _};
use gate::path::Endpoint;
use gate::rules::Api;
use gate::{Parcel, UpstreamFailure};
use ledger::{BatchId, ExchangeId, Hash};
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Method, RequestBuilder};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::pin::Pin;
use std::time::Duration;
use zeroize::Zeroizing;

/// What asks about a batch, or for a file to go: some hundred bytes, answered at once.
const CALL: Bounds = Bounds { timeout: Duration::from_secs(30), bytes: MAX_DOCUMENT_BYTES };

/// The longest document that says how batches and files stand: a page of a list.
const MAX_DOCUMENT_BYTES: usize = 1 << 20;

/// How long a file may take to be uploaded: its largest size over a slow line.
const UPLOAD_TIMEOUT: Duration = Duration::from_mins(5);

/// How long a file of answers may pause between two pieces.
const PIECE_TIMEOUT: Duration = Duration::from_mins(1);

/// The most bytes of a file of answers: the most lines of a batch, each with a long answer.
const MAX_OUTPUT_BYTES: usize = 1 << 30;

/// Entries of a page of a list.
const PAGE: usize = 100;

/// Pages of a list that are looked through for what may have arrived there just before: the newest come
/// first.
const MAX_PAGES: usize = 10;

/// The longest id of a vendor's that is kept.
const MAX_ID_BYTES: usize = 128;

/// The member of a batch's metadata that says whose it is.
const TAG: &str = "bulla_batch";

/// A vendor's own id of a file or a batch: short, and plain enough to be nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct RemoteId(String);

impl RemoteId {
    /// The id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// It is no id.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("an id has 1 to 128 letters, digits, '-' and '_'")]
pub struct NoId;

impl TryFrom<String> for RemoteId {
    type Error = NoId;

    fn try_from(text: String) -> Result<Self, NoId> {
        let of_id = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        let is_id = (1..=MAX_ID_BYTES).contains(&text.len()) && text.bytes().all(of_id);
        if is_id { Ok(Self(text)) } else { Err(NoId) }
    }
}

/// A parcel, written as the file that is uploaded.
pub struct InputFile {
    parcel: Parcel,
    bytes: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for InputFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InputFile({})", self.parcel.batch())
    }
}

impl InputFile {
    /// Writes the lines of a parcel; absent when it has none, or calls what no batch can.
    #[must_use]
    pub fn of(parcel: Parcel) -> Option<Self> {
        let url = url(parcel.api()?)?;
        let mut bytes = Zeroizing::new(Vec::new());
        for (exchange, body) in parcel.lines() {
            // An id and an address need no escape.
            let head = format!(
                "{{\"custom_id\":\"{exchange}\",\"method\":\"POST\",\"url\":\"{url}\",\"body\":"
            );
            bytes.extend_from_slice(head.as_bytes());
            // A line feed outside a string is white space, and inside one it is escaped.
            bytes.extend(body.expose().bytes().map(|byte| if byte == b'\n' { b' ' } else { byte }));
            bytes.extend_from_slice(b"}\n");
        }
        Some(Self { parcel, bytes })
    }

    /// What the record says of it.
    #[must_use]
    pub fn sha256(&self) -> Hash {
        Hash::of(&self.bytes)
    }

    /// How many lines it has.
    #[must_use]
    pub fn lines(&self) -> usize {
        self.parcel.lines().len()
    }
}

/// What a batch calls an interface.
#[must_use]
pub const fn url(api: Api) -> Option<&'static str> {
    match api {
        Api::ChatCompletions => Some("/v1/chat/completions"),
        Api::Completions => Some("/v1/completions"),
        Api::Embeddings => Some("/v1/embeddings"),
        Api::Responses => Some("/v1/responses"),
        Api::Messages | Api::CountTokens | Api::Converse | Api::GenerateContent | Api::Mcp => None,
    }
}

/// How a batch stands at its vendor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RemoteStatus {
    /// It is looked at.
    Validating,
    /// It is not taken.
    Failed,
    /// It is worked on.
    InProgress,
    /// Its files are written.
    Finalizing,
    /// It is over.
    Completed,
    /// It took too long.
    Expired,
    /// It is being stopped.
    Cancelling,
    /// It was stopped.
    Cancelled,
}

/// A batch at its vendor. Nothing else of what the vendor says of it is kept.
#[derive(Clone, Debug, Deserialize)]
pub struct RemoteBatch {
    /// The vendor's id.
    pub id: RemoteId,
    /// How it stands.
    pub status: RemoteStatus,
    /// The file of its answers.
    #[serde(rename = "output_file_id")]
    pub output: Option<RemoteId>,
    /// The file of what was not answered.
    #[serde(rename = "error_file_id")]
    pub errors: Option<RemoteId>,
    metadata: Option<Metadata>,
}

#[derive(Clone, Debug, Deserialize)]
struct Metadata {
    #[serde(rename = "bulla_batch")]
    tag: Option<String>,
}

#[derive(Deserialize)]
struct RemoteFile {
    id: RemoteId,
    filename: Option<String>,
}

#[derive(Deserialize)]
struct Listed<T> {
    data: Vec<T>,
    #[serde(default)]
    has_more: bool,
}

/// What became of a file that was to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gone {
    /// It was deleted.
    Deleted,
    /// It was not there.
    Absent,
}

/// The batches of one destination.
#[derive(Debug)]
pub struct Batches<'a> {
    providers: &'a Providers,
    endpoint: &'a Endpoint,
    wire: &'a Wire,
}

impl Providers {
    /// The batches of the destination at this address.
    #[must_use]
    pub const fn batches<'a>(&'a self, endpoint: &'a Endpoint, wire: &'a Wire) -> Batches<'a> {
        Batches { providers: self, endpoint, wire }
    }

    /// Uploads the lines of a batch, once, over their path.
    ///
    /// # Errors
    /// [`UpstreamFailure`]. The file may have arrived all the same: [`Batches::find_input`] says so.
    pub async fn upload(&self, file: InputFile, wire: &Wire) -> Result<RemoteId, UpstreamFailure> {
        let path = file.parcel.path().ok_or(UpstreamFailure::Rejected(None))?;
        let boundary = format!("bulla-{}", file.sha256());
        let mut body = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n\
             --{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{}\"\r\n\
             Content-Type: application/jsonl\r\n\r\n",
            name(file.parcel.batch())
        )
        .into_bytes();
        body.extend_from_slice(&file.bytes);
        body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        let there = self.batches(path.endpoint(), wire);
        let request = there.request(Method::POST, "/files")?.body(body);
        let form = format!("multipart/form-data; boundary={boundary}");
        let bounds = Bounds { timeout: UPLOAD_TIMEOUT, ..CALL };
        let uploaded: RemoteFile =
            document(exchange(request.header(CONTENT_TYPE, form), bounds).await?)?;
        Ok(uploaded.id)
    }
}

impl Batches<'_> {
    fn request(&self, method: Method, below: &str) -> Result<RequestBuilder, UpstreamFailure> {
        let client = self.providers.client_of(self.endpoint, self.wire)?;
        let mut request = client.request(method, format!("{}{below}", self.endpoint));
        for (name, value) in self.wire.login.plain_headers()? {
            request = request.header(name, value);
        }
        Ok(request.header(ACCEPT, "application/json"))
    }

    async fn call<T: for<'de> Deserialize<'de>>(
        &self,
        method: Method,
        below: &str,
    ) -> Result<T, UpstreamFailure> {
        document(exchange(self.request(method, below)?, CALL).await?)
    }

    /// Has the lines of a file asked. It may have begun although it failed: [`Batches::find`] says so.
    ///
    /// # Errors
    /// [`UpstreamFailure`].
    pub async fn begin(
        &self,
        input: &RemoteId,
        api: Api,
        batch: BatchId,
    ) -> Result<RemoteBatch, UpstreamFailure> {
        let url = url(api).ok_or(UpstreamFailure::Rejected(None))?;
        let asked = serde_json::json!({
            "input_file_id": input.as_str(),
            "endpoint": url,
            "completion_window": "24h",
            "metadata": { TAG: batch.to_string() },
        });
        let request = self.request(Method::POST, "/batches")?;
        let request = request.header(CONTENT_TYPE, "application/json").body(asked.to_string());
        document(exchange(request, CALL).await?)
    }

    /// How a batch stands.
    ///
    /// # Errors
    /// [`UpstreamFailure`].
    pub async fn look(&self, id: &RemoteId) -> Result<RemoteBatch, UpstreamFailure> {
        self.call(Method::GET, &format!("/batches/{}", id.as_str())).await
    }

    /// Has a batch stopped.
    ///
    /// # Errors
    /// [`UpstreamFailure`].
    pub async fn cancel(&self, id: &RemoteId) -> Result<RemoteBatch, UpstreamFailure> {
        self.call(Method::POST, &format!("/batches/{}/cancel", id.as_str())).await
    }

    /// The batch there that was begun for this one, if one was.
    ///
    /// # Errors
    /// [`UpstreamFailure`], also when there are too many to look through.
    pub async fn find(&self, batch: BatchId) -> Result<Option<RemoteBatch>, UpstreamFailure> {
        let tag = batch.to_string();
        let ours = |other: &RemoteBatch| {
            other.metadata.as_ref().and_then(|it| it.tag.as_deref()) == Some(&tag)
        };
        self.find_in("/batches", |other| &other.id, ours).await
    }

    /// The file there that was uploaded for this batch, if one was.
    ///
    /// # Errors
    /// [`UpstreamFailure`], also when there are too many to look through.
    pub async fn find_input(&self, batch: BatchId) -> Result<Option<RemoteId>, UpstreamFailure> {
        let name = name(batch);
        let ours = |file: &RemoteFile| file.filename.as_deref() == Some(&name);
        let found = self.find_in("/files", |file: &RemoteFile| &file.id, ours).await?;
        Ok(found.map(|file| file.id))
    }

    async fn find_in<T: for<'de> Deserialize<'de>>(
        &self,
        list: &str,
        id: impl Fn(&T) -> &RemoteId,
        ours: impl Fn(&T) -> bool,
    ) -> Result<Option<T>, UpstreamFailure> {
        let mut after = String::new();
        for _ in 0..MAX_PAGES {
            let below = format!("{list}?limit={PAGE}{after}");
            let page: Listed<T> = self.call(Method::GET, &below).await?;
            let next = page.data.last().map(|it| format!("&after={}", id(it).as_str()));
            if let Some(found) = page.data.into_iter().find(&ours) {
                return Ok(Some(found));
            }
            match next {
                Some(next) if page.has_more => after = next,
                Some(_) | None => return Ok(None),
            }
        }
        // Fail closed: it may be further down.
        Err(UpstreamFailure::TooLarge)
    }

    /// Has a file deleted.
    ///
    /// # Errors
    /// [`UpstreamFailure`]: it may still be there.
    pub async fn delete(&self, file: &RemoteId) -> Result<Gone, UpstreamFailure> {
        #[derive(Deserialize)]
        struct Deleted {
            deleted: bool,
        }
        let request = self.request(Method::DELETE, &format!("/files/{}", file.as_str()))?;
        let answer = exchange(request, CALL).await?;
        if answer.0 == 404 {
            return Ok(Gone::Absent);
        }
        let Deleted { deleted } = document(answer)?;
        if deleted { Ok(Gone::Deleted) } else { Err(UpstreamFailure::Reported) }
    }

    /// The lines of a file of answers, as they come.
    ///
    /// # Errors
    /// [`UpstreamFailure`].
    pub async fn output(&self, file: &RemoteId) -> Result<OutputLines, UpstreamFailure> {
        let request = self.request(Method::GET, &format!("/files/{}/content", file.as_str()))?;
        let response = tokio::time::timeout(CALL.timeout, request.send())
            .await
            .map_err(|_| UpstreamFailure::TimedOut)?
            .map_err(|error| failure(&error))?;
        check_status(&response)?;
        let pieces = Box::pin(response.bytes_stream());
        Ok(OutputLines { pieces, held: Zeroizing::default(), read_bytes: 0, ended: false })
    }
}

/// The name under which the file of a batch lies at its vendor.
fn name(batch: BatchId) -> String {
    format!("bulla-{batch}.jsonl")
}

/// Reads a short answer; what the vendor says of an error is not kept.
fn document<T: for<'de> Deserialize<'de>>(
    (status, body): (u16, Vec<u8>),
) -> Result<T, UpstreamFailure> {
    match status {
        200 => serde_json::from_slice(&body).map_err(|_| UpstreamFailure::Garbage),
        300..400 => Err(UpstreamFailure::Redirected),
        401 | 403 => Err(UpstreamFailure::Unauthorized),
        429 => Err(UpstreamFailure::RateLimited(None)),
        408 | 504 => Err(UpstreamFailure::TimedOut),
        400..500 => Err(UpstreamFailure::Rejected(None)),
        500.. => Err(UpstreamFailure::Failed),
        _ => Err(UpstreamFailure::Garbage),
    }
}

/// The lines of a file of answers.
pub struct OutputLines {
    pieces: Pin<Box<dyn Stream<Item = reqwest::Result<bytes::Bytes>> + Send>>,
    held: Zeroizing<Vec<u8>>,
    read_bytes: usize,
    ended: bool,
}

impl fmt::Debug for OutputLines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OutputLines")
    }
}

impl OutputLines {
    /// The next line that is an answer to a request of ours; `None` at the end. Lines that are not are
    /// passed over: nobody waits for them.
    ///
    /// # Errors
    /// [`UpstreamFailure`]: what comes after is not known.
    pub async fn next(&mut self) -> Result<Option<OutputLine>, UpstreamFailure> {
        loop {
            let Some(line) = self.line().await? else { return Ok(None) };
            if let Some(line) = OutputLine::read(&line) {
                return Ok(Some(line));
            }
        }
    }

    async fn line(&mut self) -> Result<Option<Zeroizing<Vec<u8>>>, UpstreamFailure> {
        let mut searched = 0;
        loop {
            let rest = self.held.get(searched..).unwrap_or_default();
            if let Some(end) = memchr::memchr(b'\n', rest) {
                let after = self.held.split_off(searched + end + 1);
                return Ok(Some(std::mem::replace(&mut self.held, Zeroizing::new(after))));
            }
            searched = self.held.len();
            if self.ended {
                let last = std::mem::take(&mut self.held);
                return Ok((!last.is_empty()).then_some(last));
            }
            let piece = tokio::time::timeout(PIECE_TIMEOUT, self.pieces.next())
                .await
                .map_err(|_| UpstreamFailure::Stalled)?;
            match piece {
                Some(piece) => {
                    let piece = piece.map_err(|_| UpstreamFailure::Cut)?;
                    self.read_bytes += piece.len();
                    let too_long = self.held.len() + piece.len() > MAX_ANSWER_BYTES;
                    if too_long || self.read_bytes > MAX_OUTPUT_BYTES {
                        return Err(UpstreamFailure::TooLarge);
                    }
                    self.held.extend_from_slice(&piece);
                }
                None => self.ended = true,
            }
        }
    }
}

/// One line of a file of answers.
pub struct OutputLine {
    /// The exchange that it answers.
    pub exchange: ExchangeId,
    /// The answer's document, or how the vendor failed.
    pub body: Result<Zeroizing<String>, UpstreamFailure>,
    /// The vendor's own id of the request.
    pub upstream_request: Option<String>,
}

impl fmt::Debug for OutputLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OutputLine({})", self.exchange)
    }
}

impl OutputLine {
    fn read(line: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Line {
            custom_id: String,
            response: Option<Response>,
        }
        #[derive(Deserialize)]
        struct Response {
            status_code: u16,
            request_id: Option<serde_json::Value>,
        }
        let text = std::str::from_utf8(line).ok()?;
        let Line { custom_id, response } = serde_json::from_str(text).ok()?;
        let exchange = custom_id.parse().ok()?;
        // One that is no id is left out, and the answer is an answer all the same.
        let upstream_request = response
            .as_ref()
            .and_then(|it| RemoteId::try_from(it.request_id.as_ref()?.as_str()?.to_owned()).ok())
            .map(|id| id.0);
        let body = match response {
            Some(Response { status_code: 200, .. }) => raw_member(text, "response")
                .and_then(|response| raw_member(response, "body"))
                .map(|body| Zeroizing::new(body.to_owned()))
                .ok_or(UpstreamFailure::Garbage),
            Some(Response { status_code, .. }) => Err(match status_code {
                401 | 403 => UpstreamFailure::Unauthorized,
                429 => UpstreamFailure::RateLimited(None),
                408 | 504 => UpstreamFailure::TimedOut,
                400..500 => UpstreamFailure::Rejected(None),
                500.. => UpstreamFailure::Failed,
                _ => UpstreamFailure::Garbage,
            }),
            // It was never asked: the batch was stopped, or took too long.
            None => Err(UpstreamFailure::TimedOut),
        };
        Some(Self { exchange, body, upstream_request })
    }
}

/// The text of a member of a JSON object, as it is written there. Of a text that is no JSON it gives some
/// part of it, or nothing: whoever reads the member finds out.
#[must_use]
pub fn raw_member<'a>(object: &'a str, name: &str) -> Option<&'a str> {
    let bytes = object.as_bytes();
    let mut at = skip_space(bytes, 0);
    if bytes.get(at) != Some(&b'{') {
        return None;
    }
    loop {
        at = skip_space(bytes, at + 1);
        let key = at;
        at = end_of_value(bytes, at)?;
        let key = object.get(key..at)?;
        at = skip_space(bytes, at);
        if bytes.get(at) != Some(&b':') {
            return None;
        }
        let value = skip_space(bytes, at + 1);
        at = end_of_value(bytes, value)?;
        // A name that is written with escapes is read as JSON reads it.
        if serde_json::from_str::<String>(key).is_ok_and(|key| key == name) {
            return object.get(value..at);
        }
        at = skip_space(bytes, at);
        if bytes.get(at) != Some(&b',') {
            return None;
        }
    }
}

fn skip_space(bytes: &[u8], mut at: usize) -> usize {
    while bytes.get(at).is_some_and(|byte| b" \t\r\n".contains(byte)) {
        at += 1;
    }
    at
}

/// Where the value that begins at `at` ends.
fn end_of_value(bytes: &[u8], mut at: usize) -> Option<usize> {
    let begin = at;
    let mut depth = 0_usize;
    loop {
        match bytes.get(at)? {
            b'"' => {
                at += 1;
                while *bytes.get(at)? != b'"' {
                    at += if bytes.get(at) == Some(&b'\\') { 2 } else { 1 };
                }
                at += 1;
            }
            b'{' | b'[' => {
                depth += 1;
                at += 1;
            }
            b'}' | b']' | b',' | b':' | b' ' | b'\t' | b'\r' | b'\n' if depth == 0 => {
                return (at > begin).then_some(at);
            }
            b'}' | b']' => {
                depth -= 1;
                at += 1;
            }
            _ => {
                at += 1;
                continue;
            }
        }
        if depth == 0 {
            return Some(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(object: &str, name: &str, expected: Option<&str>) {
        assert_eq!(raw_member(object, name), expected, "{object} {name}");
    }

    #[test]
    fn a_member_is_given_as_it_is_written() {
        let line = r#" { "custom_id" : "a,}\"" , "body" : { "n": 1.0, "x": ["}", "\\"] }, "t":1} "#;
        check(line, "custom_id", Some(r#""a,}\"""#));
        check(line, "body", Some(r#"{ "n": 1.0, "x": ["}", "\\"] }"#));
        check(line, "t", Some("1"));
        check(line, "n", None);
        check(r#"{"b\u006fdy":2}"#, "body", Some("2"));
        check("{}", "body", None);
        for broken in
            ["", "[1]", "{\"body\"", "{\"body\":", "{\"body\":\"", "{\"body\":\"\\", "{:1}"]
        {
            check(broken, "body", None);
        }
    }

    #[test]
    fn an_id_of_a_vendor_is_plain() {
        for wrong in ["", "../files", "a b", "file\n", &"a".repeat(129)] {
            assert!(RemoteId::try_from(wrong.to_owned()).is_err(), "{wrong}");
        }
        assert!(RemoteId::try_from("file-Abc_123".to_owned()).is_ok());
    }

    #[test]
    fn a_line_says_which_exchange_it_answers_and_nothing_of_an_error_is_kept() {
        let exchange = ExchangeId::from_bytes([7; 16]);
        let line = format!(
            r#"{{"id":"r","custom_id":"{exchange}","response":{{"status_code":200,"request_id":"req-1","body":{{"a": 1}}}},"error":null}}"#
        );
        let read = OutputLine::read(line.as_bytes()).unwrap();
        assert_eq!(
            (read.exchange, read.body.as_deref().ok()),
            (exchange, Some(&"{\"a\": 1}".to_owned()))
        );
        assert_eq!(read.upstream_request.as_deref(), Some("req-1"));
        let odd = line.replace("\"req-1\"", "{\"a\":[1]}");
        let read = OutputLine::read(odd.as_bytes()).unwrap();
        assert!(read.upstream_request.is_none() && read.body.is_ok());
        let failed = line.replace("200", "400");
        let failed = OutputLine::read(failed.as_bytes()).unwrap();
        assert_eq!(failed.body, Err(UpstreamFailure::Rejected(None)));
        assert!(OutputLine::read(b"{\"custom_id\":\"request-1\"}").is_none());
        assert!(OutputLine::read(b"not JSON").is_none());
    }
}
