//! Responses that can be had again: what `OpenAI`'s interface gives by an id, from what is sealed here.
//!
//! No model server keeps anything: each is told so, and gets no id. A response is the answer that the log
//! names and that was sealed beside it, for the API key that asked and for nobody else. That it is opened
//! is recorded before it is.

mod background;
mod earlier;
mod items;

pub(crate) use background::{Background, in_progress};
pub use earlier::Earlier;
pub use items::{Order, Page, UnknownItem};

use crate::export::{ExchangeContent, ReadError, ReplyWindow, parse};
use crate::house::{Error, House};
use crate::identity::Principal;
use crate::keys::KeysError;
use gate::rules::Api;
use gate::shape::Json;
use ledger::{Blob, BlobPart, Entry, Event, ExchangeId, Hash, Outcome, Receipt};
use phi::Text;
use providers::{exchange_of, response_id};
use store::{Sought, Term};

/// The events with which a stream ends that has a whole response in its last one.
const LAST_EVENTS: [&str; 2] = ["response.completed", "response.incomplete"];

/// Responses that are opened at once. Each may be held several times while it is: sealed, opened, taken
/// apart, and written again.
pub(crate) const MAX_OPENINGS: usize = 4;

/// Why there is no response to give out.
#[derive(Debug, thiserror::Error)]
pub enum NoResponse {
    /// There never was one, it is another key's, it was withdrawn or disposed of, it was not to be kept,
    /// or it did not become whole. Which of these is not said.
    #[error("no response of that id can be had with this API key")]
    Unknown,
    /// The organisation keeps digests of content and no content.
    #[error("no more than digests of that response is kept")]
    NotKept,
    /// No configuration is in force, so nobody gets anything.
    #[error("no configuration is in force")]
    NoRules,
    /// It does not run in the background, or no more.
    #[error("that response does not run in the background")]
    NotRunning,
    /// It was not answered as a stream.
    #[error("that response was not a stream")]
    NoStream,
    /// The item that a page begins after is not one of the response's.
    #[error(transparent)]
    UnknownItem(#[from] UnknownItem),
    /// The key service is away or refuses.
    #[error("the key service does not open the keys")]
    Keys(#[source] KeysError),
    /// The log or what is sealed beside it cannot be read or written.
    #[error(transparent)]
    Read(ReadError),
}

impl From<ReadError> for NoResponse {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::House(Error::Keys(error)) => Self::Keys(error),
            ReadError::NoContent | ReadError::Disposed => Self::Unknown,
            ReadError::Bundle(_)
            | ReadError::House(_)
            | ReadError::Write(_)
            | ReadError::Unsealable(_)
            | ReadError::Broken { .. }
            | ReadError::Document { .. }
            | ReadError::Unnamed
            | ReadError::Malformed => Self::Read(error),
        }
    }
}

impl From<store::Error> for NoResponse {
    fn from(error: store::Error) -> Self {
        ReadError::from(error).into()
    }
}

/// What somebody gets who asked for a response again.
#[derive(Debug)]
pub struct Retrieved<T> {
    /// The exchange that it is the answer of.
    pub exchange: ExchangeId,
    /// Where it is recorded that it was given out, or withdrawn. Absent where nothing was opened.
    pub receipt: Option<Receipt>,
    /// What was asked for.
    pub what: T,
}

/// Why content is opened, for the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    Retrieve,
    ListItems,
    GoOn,
}

impl Why {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Retrieve => "response_retrieved",
            Self::ListItems => "response_input_items",
            Self::GoOn => "previous_response",
        }
    }
}

/// An answered response as the log names it, not yet opened.
#[derive(Debug)]
struct Kept {
    outcome: Box<Outcome>,
    blobs: Vec<Blob>,
}

/// The same, opened.
#[derive(Debug)]
struct Opened {
    receipt: Receipt,
    content: ExchangeContent,
    response: Json,
}

impl House {
    /// A response, as it was answered, or how it stands when it was not.
    ///
    /// # Errors
    /// [`NoResponse`].
    pub async fn response(
        &self,
        principal: &Principal,
        id: &str,
    ) -> Result<Retrieved<Text>, NoResponse> {
        let exchange = exchange_of(id).ok_or(NoResponse::Unknown)?;
        let running = self.background.response(principal, exchange);
        let unfinished = match running {
            Some(running) => Some(running),
            None => self.unanswered(principal, exchange).await?,
        };
        if let Some(what) = unfinished {
            return Ok(Retrieved { exchange, receipt: None, what });
        }
        let _turn = self.openings.acquire().await;
        let kept = self.kept_response(principal, id).await?;
        let Opened { receipt, response, .. } = self.opened(principal, &kept, Why::Retrieve).await?;
        Ok(Retrieved {
            exchange: kept.exchange(),
            receipt: Some(receipt),
            what: response.to_text(),
        })
    }

    /// The events of a response that was streamed, each with its name, from behind the one of that number
    /// on.
    ///
    /// # Errors
    /// [`NoResponse`].
    pub async fn response_events(
        &self,
        principal: &Principal,
        id: &str,
        after: Option<u64>,
    ) -> Result<Retrieved<Vec<(Text, Text)>>, NoResponse> {
        let _turn = self.openings.acquire().await;
        let kept = self.kept_response(principal, id).await?;
        if !kept.outcome.about.stream {
            return Err(NoResponse::NoStream);
        }
        let Opened { receipt, content, .. } = self.opened(principal, &kept, Why::Retrieve).await?;
        let mut events = Vec::new();
        for data in lines(&content.reply) {
            let event = document(&data)?;
            let number = event.member("sequence_number").and_then(Json::as_u64);
            if after.is_some_and(|after| number.is_none_or(|number| number <= after)) {
                continue;
            }
            let name = event.member("type").and_then(Json::as_text).ok_or(MALFORMED)?;
            events.push((name.clone(), data));
        }
        Ok(Retrieved { exchange: kept.exchange(), receipt: Some(receipt), what: events })
    }

    /// A page of the items that the response is the answer to, those of turns before it included.
    ///
    /// # Errors
    /// [`NoResponse`].
    pub async fn response_input_items(
        &self,
        principal: &Principal,
        id: &str,
        page: &Page,
    ) -> Result<Retrieved<Text>, NoResponse> {
        let _turn = self.openings.acquire().await;
        let kept = self.kept_response(principal, id).await?;
        let Opened { receipt, content, .. } = self.opened(principal, &kept, Why::ListItems).await?;
        let listed = items::listed(items::written(&content)?, kept.exchange());
        let what = page.of(listed)?.to_text();
        Ok(Retrieved { exchange: kept.exchange(), receipt: Some(receipt), what })
    }

    /// Withdraws a response: it is given out no more, and no other goes on from it. What is sealed of it
    /// stays for as long as the schedule of retention says.
    ///
    /// # Errors
    /// [`NoResponse`].
    pub async fn withdraw_response(
        &self,
        principal: &Principal,
        id: &str,
    ) -> Result<Retrieved<String>, NoResponse> {
        let _turn = self.openings.acquire().await;
        let kept = self.kept_response(principal, id).await?;
        let exchange = kept.exchange();
        let event = Event::AnswerWithdrawn { actor: principal.actor(), exchange };
        let receipt = self.record_about_response(event).await?;
        Ok(Retrieved { exchange, receipt: Some(receipt), what: response_id(exchange) })
    }

    /// Ends a response that runs in the background, and says how it stands when that is recorded: it is
    /// answered when its answer came first.
    ///
    /// # Errors
    /// [`NoResponse`].
    pub async fn cancel_response(
        &self,
        principal: &Principal,
        id: &str,
    ) -> Result<Retrieved<Text>, NoResponse> {
        let exchange = exchange_of(id).ok_or(NoResponse::Unknown)?;
        if self.background.cancel(principal, exchange).await {
            return self.response(principal, id).await;
        }
        match self.unanswered(principal, exchange).await? {
            Some(what) => Ok(Retrieved { exchange, receipt: None, what }),
            None => self.kept_response(principal, id).await.and(Err(NoResponse::NotRunning)),
        }
    }

    /// How a response ended whose prompt left and that was not answered, when it is this caller's.
    async fn unanswered(
        &self,
        principal: &Principal,
        exchange: ExchangeId,
    ) -> Result<Option<Text>, NoResponse> {
        let Some(outcome) = self.ended_response(principal, exchange).await? else {
            return Ok(None);
        };
        let left = outcome.intent.is_some() && outcome.outcome != "answered";
        Ok(left.then(|| background::unanswered(&outcome, self.clock.now())))
    }

    /// The outcome of an exchange that asked for a response, when it is this caller's.
    async fn ended_response(
        &self,
        principal: &Principal,
        exchange: ExchangeId,
    ) -> Result<Option<Box<Outcome>>, NoResponse> {
        if self.in_force.load().is_none() {
            // Fail closed: as nobody asks then, nobody reads.
            return Err(NoResponse::NoRules);
        }
        let ended = self.record_of(exchange, "exchange.outcome").await?;
        let Some(Event::Outcome(outcome)) = ended else { return Ok(None) };
        let (about, actor) = (&outcome.about, principal.actor());
        // The key's id, and not its owner: an answer belongs to the key that asked, as a conversation does.
        let own = about.actor.id == actor.id && about.actor.kind == actor.kind;
        // A line of a batch is given out with the others alone: it is no response that was asked for.
        let asked = about.api == Api::Responses.as_str() && about.batch.is_none();
        Ok((own && asked).then_some(outcome))
    }

    /// Finds a response by what the log says of it. Nothing is opened.
    async fn kept_response(&self, principal: &Principal, id: &str) -> Result<Kept, NoResponse> {
        let exchange = exchange_of(id).ok_or(NoResponse::Unknown)?;
        let ended = self.ended_response(principal, exchange).await?;
        let outcome = ended.filter(|outcome| outcome.outcome == "answered");
        let outcome = outcome.ok_or(NoResponse::Unknown)?;
        if self.record_of(exchange, "answer.withdrawn").await?.is_some() {
            return Err(NoResponse::Unknown);
        }
        let blobs = self.tenant.blobs(exchange).await?;
        let open = self.kept_classes(&blobs).await?;
        let part = |blob: &Blob| *open.get(ledger::ContentClass::of_part(blob.part));
        if blobs.is_empty() || !blobs.iter().all(part) {
            return Err(NoResponse::Unknown);
        }
        if !is_named(&outcome, &blobs) {
            return Err(ReadError::Unnamed.into());
        }
        for blob in &blobs {
            if blob.digests().map_err(ReadError::from)?.is_some() {
                return Err(NoResponse::NotKept);
            }
        }
        Ok(Kept { outcome, blobs })
    }

    /// Opens a response, after that was recorded.
    async fn opened(
        &self,
        principal: &Principal,
        kept: &Kept,
        why: Why,
    ) -> Result<Opened, NoResponse> {
        let exchange = kept.exchange();
        let reason = why.as_str().to_owned();
        let event = Event::ContentRead { actor: principal.actor(), exchange, reason };
        let receipt = self.record_about_response(event).await?;
        let content = self.open_content(exchange, &kept.blobs).await?;
        let response = if kept.outcome.about.stream {
            let last = lines(&content.reply).last().map(document).transpose()?;
            last.as_ref().and_then(last_response)
        } else {
            Some(document(&shown(&content.reply))?)
        };
        let response = response.ok_or(MALFORMED)?;
        // It says itself whether it was to be kept for this.
        if !matches!(response.member("store"), Some(Json::Bool(true))) {
            return Err(NoResponse::Unknown);
        }
        Ok(Opened { receipt, content, response })
    }

    async fn record_about_response(&self, event: Event) -> Result<Receipt, NoResponse> {
        let entry = Entry::bare(self.clock.now(), event);
        let appended = self.tenant.append_with(entry, Vec::new()).await;
        appended.map_err(|error| ReadError::House(error.into()).into())
    }

    /// The first record of this kind that names the exchange.
    async fn record_of(
        &self,
        exchange: ExchangeId,
        kind: &str,
    ) -> Result<Option<Event>, NoResponse> {
        let terms = vec![Term::exchange(exchange), Term::kind(kind)];
        let sought = Sought { terms, since: None, until: None, scan: false };
        let end = self.tenant.head().await?.size();
        let name = exchange.to_string();
        let mut next = Some(0);
        while let Some(from) = next {
            let candidates = self.tenant.candidates(&sought, from, end).await?;
            next = candidates.next;
            for (_, bytes) in candidates.records {
                // A block has 256 records, and reading one costs more than looking for the name in it.
                if !std::str::from_utf8(&bytes).is_ok_and(|text| text.contains(&name)) {
                    continue;
                }
                let event = parse(&bytes)?.event;
                if event.kind() == kind && event.exchange() == Some(exchange) {
                    return Ok(Some(event));
                }
            }
        }
        Ok(None)
    }
}

const MALFORMED: NoResponse = NoResponse::Read(ReadError::Malformed);

impl Kept {
    const fn exchange(&self) -> ExchangeId {
        self.outcome.about.exchange
    }

    /// The bytes that are sealed of it.
    fn bytes(&self) -> usize {
        self.blobs.iter().map(|blob| blob.sealed.len()).sum()
    }
}

/// Whether these are the rows that the log names: somebody who can write beside the log does not decide
/// what was answered.
fn is_named(outcome: &Outcome, blobs: &[Blob]) -> bool {
    let digests = |of_prompt: bool| -> Vec<Hash> {
        let of = |blob: &&Blob| matches!(blob.part, BlobPart::Prompt) == of_prompt;
        blobs.iter().filter(of).map(Blob::digest).collect()
    };
    let windows = Hash::of_all(digests(false).iter().map(|it| it.as_bytes().as_slice()));
    outcome.about.prompt.as_slice() == digests(true)
        && outcome.reply.as_ref().is_some_and(|reply| reply.digest == windows)
}

/// What was delivered, as one text.
fn shown(windows: &[ReplyWindow]) -> Text {
    let bytes = windows.iter().map(|window| window.shown().len()).sum();
    let mut all = String::with_capacity(bytes);
    for window in windows {
        all.push_str(window.shown().expose());
    }
    Text::new(all)
}

/// The data of the events of a stream.
fn lines(windows: &[ReplyWindow]) -> Vec<Text> {
    windows.iter().flat_map(|window| window.shown().expose().lines()).map(Text::from).collect()
}

fn document(text: &Text) -> Result<Json, NoResponse> {
    Json::parse(text.expose().as_bytes()).map_err(|_| MALFORMED)
}

/// The response in the last event of a stream.
fn last_response(event: &Json) -> Option<Json> {
    let kind = event.member("type").and_then(Json::as_text)?.clone();
    if !LAST_EVENTS.contains(&kind.expose()) {
        return None;
    }
    event.member("response").cloned()
}
