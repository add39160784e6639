//! One prompt through the house, from the caller's request to the recorded outcome.

use crate::house::{House, InForce};
use crate::identity::Principal;
use gate::exchange::{
    Caller, Ended as Over, Exchange, Question, Scanned, Seal, StreamEnd, Streaming, World,
    surrogate_binding,
};
use gate::policy::Ask;
use gate::prompt::{Prompt, StreamEvent};
use gate::shape::Json;
use gate::stream::Window;
use gate::{Code, Control, Outcome, Refusal, UpstreamFailure};
use ledger::seal::ContentKey;
use ledger::{About, ConversationId, Entry, ExchangeId, Journal, Receipt, Unrecorded};
use phi::Text;
use phi::surrogate::SurrogateMap;
use providers::openai::{self, ChatRequest};
use providers::{AnswerStream, Reply};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use store::Effect;
use tokio::sync::{mpsc, oneshot};

/// Windows that wait for a slow caller. More would be memory spent on somebody who does not read.
const MAX_WAITING_WINDOWS: usize = 16;

/// Events read from the model while a window is being made durable. A window of so many is large
/// enough to be worth its write.
const MAX_EVENTS_AHEAD: usize = 256;

/// A caller that takes nothing for this long is gone.
const CALLER_TIMEOUT: Duration = Duration::from_mins(1);

/// The longest name that a caller may give a conversation.
const MAX_CONVERSATION_BYTES: usize = 256;

/// Above this the scan is long enough to keep other exchanges waiting, so it says so to the runtime.
const LONG_PROMPT_BYTES: usize = 32 << 10;

/// A request as the surface got it.
#[derive(Debug)]
pub struct Converse {
    /// The authenticated caller.
    pub principal: Principal,
    /// The body.
    pub body: Vec<u8>,
    /// The purpose that the request names.
    pub purpose: Option<String>,
    /// The caller's own name of the conversation.
    pub conversation: Option<Text>,
}

/// What a surface can answer with.
#[derive(Debug)]
pub enum Started {
    /// It is over.
    Ended(Ended),
    /// An answer streams in.
    Streamed(Streamed),
}

/// An exchange that is over.
#[derive(Debug)]
pub struct Ended {
    /// The exchange.
    pub exchange: ExchangeId,
    /// What its records say, how it ended and where that is recorded. Absent when the record could
    /// not be made durable: then nothing may be shown but that.
    pub released: Option<Box<(About, Outcome, Receipt)>>,
}

/// An answer that streams in.
#[derive(Debug)]
pub struct Streamed {
    /// What its records say.
    pub about: Box<About>,
    /// Where the intent is recorded.
    pub receipt: Receipt,
    /// The windows, and at last the end.
    pub steps: mpsc::Receiver<Step>,
}

/// One step of a streamed answer.
#[derive(Debug)]
pub enum Step {
    /// Events whose bytes are durable.
    Window(Window),
    /// It is over.
    Ended(Ended),
}

/// What a request turned out to be, before its text was looked at.
struct Prepared {
    asked: Asked,
    routed: Result<Routed, Unread>,
    written: Text,
    birth: Option<Birth>,
}

/// Why a request's text was never looked at.
enum Unread {
    Refused(Refusal),
    Failed(Control),
}

/// Who asks what, and under which keys.
struct Asked {
    caller: Caller,
    question: Question,
    seal: Seal,
    map: SurrogateMap,
}

/// A request whose route is known, with the rules under which it is judged to its end.
struct Routed {
    in_force: Arc<InForce>,
    route: String,
    stream: bool,
    prompt: Prompt,
}

/// A conversation that begins with this exchange. The guard keeps a second first turn out until the
/// conversation's key is durable.
struct Birth {
    effect: Effect,
    _guard: tokio::sync::OwnedMutexGuard<()>,
}

/// A journal that makes a new conversation durable with its first record.
struct Recorder<'a> {
    tenant: &'a store::Tenant,
    birth: Mutex<Option<Birth>>,
}

impl Journal for Recorder<'_> {
    async fn append(&self, entry: Entry) -> Result<Receipt, Unrecorded> {
        let birth = self.birth.lock().unwrap_or_else(PoisonError::into_inner).take();
        match birth {
            None => self.tenant.append(entry).await,
            Some(birth) => self.tenant.append_with(entry, vec![birth.effect.clone()]).await,
        }
    }

    async fn keep(&self, window: ledger::Blob) -> Result<(), Unrecorded> {
        self.tenant.keep(window).await
    }
}

/// What the exchange became after it left.
enum Reached {
    Over(Exchange<Over>),
    Streams(Box<Exchange<Streaming>>, Box<AnswerStream>),
}

impl House {
    /// Takes a request through the house. The exchange runs to its recorded end even when the
    /// returned future is dropped.
    pub async fn converse(self: &Arc<Self>, request: Converse) -> Started {
        let exchange = ExchangeId::mint(self.clock.now(), &*self.entropy);
        let (tell, told) = oneshot::channel();
        let house = Arc::clone(self);
        self.tasks.spawn(async move {
            let _live = house.live.enter(exchange);
            Box::pin(house.run(exchange, request, tell)).await;
        });
        // The task tells before it ends, unless it panicked; then nothing is known, so nothing is
        // shown.
        told.await.unwrap_or(Started::Ended(Ended { exchange, released: None }))
    }

    async fn run(
        &self,
        exchange: ExchangeId,
        request: Converse,
        mut tell: oneshot::Sender<Started>,
    ) {
        let Prepared { asked, routed, written, birth } = self.prepare(exchange, request).await;
        let recorder = Recorder { tenant: &self.tenant, birth: Mutex::new(birth) };
        let world = World { journal: &recorder, clock: &*self.clock, entropy: &*self.entropy };
        let passed = match routed {
            Ok(routed) => Box::pin(self.pass(asked, routed, &world, &mut tell)).await,
            Err(unread) => {
                let Asked { caller, question, seal, .. } = asked;
                Err(match unread {
                    Unread::Refused(refusal) => {
                        Exchange::refused(caller, question, seal, written, refusal)
                    }
                    Unread::Failed(control) => {
                        Exchange::failed(caller, question, seal, written, control)
                    }
                })
            }
        };
        let reached = passed.unwrap_or_else(Reached::Over);
        match reached {
            Reached::Over(over) => {
                let ended = commit(exchange, over, &world).await;
                let _gone = tell.send(Started::Ended(ended)).is_err();
            }
            Reached::Streams(streaming, stream) => {
                let (sender, steps) = mpsc::channel(MAX_WAITING_WINDOWS);
                let about = Box::new(streaming.about().clone());
                let receipt = *streaming.intent();
                let _gone =
                    tell.send(Started::Streamed(Streamed { about, receipt, steps })).is_err();
                Box::pin(self.pump(exchange, *streaming, stream, sender, &world)).await;
            }
        }
    }

    /// Everything that is known before the text is looked at.
    async fn prepare(&self, exchange: ExchangeId, request: Converse) -> Prepared {
        let Converse { principal, body, purpose, conversation } = request;
        let in_force = self.in_force.load_full();
        let (written, read) = match String::from_utf8(body) {
            Ok(text) => {
                let written = Text::new(text);
                let read = read(&written);
                (written, read)
            }
            Err(error) => {
                let written = String::from_utf8_lossy(error.as_bytes()).into_owned();
                let refusal =
                    Refusal::fixed(Code::InvalidRequest, "The request's body is not UTF-8 text.");
                (Text::new(written), Err(refusal))
            }
        };
        let too_long =
            conversation.as_ref().is_some_and(|name| name.len() > MAX_CONVERSATION_BYTES);
        let named = conversation.filter(|name| !name.is_empty() && !too_long);
        let conversation = named.map(|name| self.conversation_id(&principal, &name));
        let continued = match conversation {
            Some(id) => self.continue_conversation(id).await,
            None => Ok((self.fresh_seal(), SurrogateMap::new(), None)),
        };
        let readable = continued.is_ok();
        // A conversation that cannot be read is recorded under a key of its own, and goes no further.
        let (seal, map, birth) =
            continued.unwrap_or_else(|Unreadable| (self.fresh_seal(), SurrogateMap::new(), None));
        let purpose = purpose_of(&principal, purpose, in_force.as_deref());
        let routed = match (read, &purpose) {
            (Err(refusal), _) => Err(Unread::Refused(refusal)),
            (Ok(_), _) if too_long => Err(Unread::Refused(Refusal::fixed(
                Code::InvalidRequest,
                "The name of a conversation has at most 256 bytes.",
            ))),
            (Ok(_), Err(refusal)) => Err(Unread::Refused(refusal.clone())),
            (Ok(_), Ok(_)) if !readable => Err(Unread::Failed(Control::Surrogates)),
            (Ok(request), Ok(_)) => routed(request, in_force.as_ref()).map_err(Unread::Refused),
        };
        let question = Question {
            id: exchange,
            api: "chat.completions",
            stream: routed.as_ref().is_ok_and(|routed| routed.stream),
            route: routed.as_ref().ok().map(|routed| routed.route.clone()),
            conversation,
            policy: in_force.as_ref().map(|in_force| in_force.rules.sha256()),
        };
        let caller = Caller {
            actor: principal.actor(),
            purpose: purpose.unwrap_or_default(),
            surface: "api",
        };
        Prepared { asked: Asked { caller, question, seal, map }, routed, written, birth }
    }

    /// The caller's own name of a conversation, made into an id that belongs to the caller's key: no
    /// other key can reach the conversation, and the name is not kept.
    fn conversation_id(&self, principal: &Principal, name: &Text) -> ConversationId {
        let key = principal.key();
        let pieces = [key.as_bytes().as_slice(), name.expose().as_bytes()];
        let digest = self.tenant_key.keyed_hash("conversation", &pieces);
        let (bytes, _) = digest.as_bytes().split_at(16);
        let mut id = [0; 16];
        id.copy_from_slice(bytes);
        ConversationId::from_bytes(id)
    }

    /// Reads a conversation's key and surrogates, or begins it.
    async fn continue_conversation(
        &self,
        id: ConversationId,
    ) -> Result<(Seal, SurrogateMap, Option<Birth>), Unreadable> {
        let mut stored = self.tenant.conversation(id).await?;
        let mut guard = None;
        if stored.is_none() {
            guard = self.births.lock(id).await;
            stored = self.tenant.conversation(id).await?;
        }
        let Some((_, wrapped)) = stored else {
            let seal = self.fresh_seal();
            let effect = Effect::AddConversation { id, key: seal.key.id() };
            let birth = guard.map(|guard| Birth { effect, _guard: guard });
            return Ok((seal, SurrogateMap::new(), birth));
        };
        let key = self.tenant_key.unwrap(&wrapped)?;
        let binding = surrogate_binding(self.log, id);
        let mut map = SurrogateMap::new();
        for sealed in self.tenant.surrogates(id, self.clock.now()).await? {
            // Fail closed: a map with a hole in it could give one value two surrogates.
            let entry = key.open_small(&binding, &sealed)?;
            let entry = std::str::from_utf8(&entry).map_err(|_| Unreadable)?;
            map.remember(entry).map_err(|_| Unreadable)?;
        }
        Ok((Seal { log: self.log, key: Arc::new(key), new_key: None }, map, None))
    }

    fn fresh_seal(&self) -> Seal {
        let now = self.clock.now();
        let key = ContentKey::generate(now, &*self.entropy);
        let wrapped = self.tenant_key.wrap(&key, now, &*self.entropy);
        Seal { log: self.log, key: Arc::new(key), new_key: Some(wrapped) }
    }

    /// The happy path, top to bottom; each `?` is an exchange that ended early.
    async fn pass(
        &self,
        prepared: Asked,
        routed: Routed,
        world: &World<'_, Recorder<'_>>,
        tell: &mut oneshot::Sender<Started>,
    ) -> Result<Reached, Exchange<Over>> {
        let Asked { caller, question, seal, map } = prepared;
        let Routed { in_force, prompt, route, .. } = routed;
        let escape = prompt.answer_escape;
        let asker = caller.clone();
        let scanned = self.scan(caller, question, seal, prompt)?;
        let decided = in_force.rules.route(&route).map(|route| {
            let ask = Ask {
                caller: &asker.actor.id,
                owner: &asker.actor.name,
                purpose: asker.purpose.as_deref(),
                surface: asker.surface,
                route,
            };
            in_force.rules.decide(&scanned.classes(), &ask)
        });
        let decision = match decided {
            Some(Ok(decision)) => decision,
            Some(Err(denial)) => return Err(scanned.refuse(&denial)),
            None => return Err(scanned.fail(Control::Policy)),
        };
        let now = self.clock.now();
        let cleared = scanned.clear(&decision, &in_force.rules, map, now, &*self.entropy)?;
        let admitted = cleared.admit(world).await?;
        let (outbound, departed) = admitted.depart();
        let Some(wire) = in_force.wires.get(decision.destination().id()) else {
            return Err(departed.end(Err(UpstreamFailure::NoCredential), &self.detector));
        };
        let sent = self.providers.send(outbound, wire, escape);
        let reply = tokio::select! {
            biased;
            () = tell.closed() => return Err(departed.abandon()),
            reply = sent => reply,
        };
        Ok(match reply {
            Ok(Reply::Stream(stream)) => {
                let upstream_request = stream.upstream_request().map(str::to_owned);
                Reached::Streams(Box::new(departed.stream(upstream_request)), stream)
            }
            Ok(Reply::Whole(answer)) => Reached::Over(departed.end(Ok(answer), &self.detector)),
            Err(failure) => Reached::Over(departed.end(Err(failure), &self.detector)),
        })
    }

    fn scan(
        &self,
        caller: Caller,
        question: Question,
        seal: Seal,
        prompt: Prompt,
    ) -> Result<Exchange<Scanned>, Exchange<Over>> {
        if prompt.written.len() > LONG_PROMPT_BYTES {
            tokio::task::block_in_place(|| {
                Exchange::open(caller, question, seal, prompt, &self.detector)
            })
        } else {
            Exchange::open(caller, question, seal, prompt, &self.detector)
        }
    }

    /// Moves a stream from the model to the caller, window by window, to its recorded end.
    async fn pump(
        &self,
        exchange: ExchangeId,
        mut streaming: Exchange<Streaming>,
        mut stream: Box<AnswerStream>,
        caller: mpsc::Sender<Step>,
        world: &World<'_, Recorder<'_>>,
    ) {
        let (ahead, mut events) = mpsc::channel(MAX_EVENTS_AHEAD);
        let end = tokio::select! {
            end = release_windows(&mut streaming, &mut events, &caller, world) => end,
            // It is polled while a window is being made durable, and has nothing to say itself.
            () = read_ahead(&mut stream, ahead) => StreamEnd::Failed(UpstreamFailure::Cut),
        };
        let ended = commit(exchange, streaming.end(end, &self.detector), world).await;
        // A caller that is gone cannot be told; the record says so.
        let _gone = caller.send_timeout(Step::Ended(ended), CALLER_TIMEOUT).await.is_err();
    }
}

/// What the model sent: events, or the last ones and how the stream ended.
enum Read {
    Events(Vec<StreamEvent>),
    End(Vec<StreamEvent>, StreamEnd),
}

/// Reads the model's stream while windows are being made durable, so that a window holds all that came
/// in the meantime. Never returns: whoever takes the events knows when they are over.
async fn read_ahead(stream: &mut AnswerStream, ahead: mpsc::Sender<Read>) {
    loop {
        let read = match stream.next().await {
            Ok(Some(events)) => Read::Events(events),
            Ok(None) => Read::End(Vec::new(), StreamEnd::Complete),
            Err(failure) => Read::End(stream.tail(), StreamEnd::Failed(failure)),
        };
        let over = matches!(read, Read::End(..));
        if ahead.send(read).await.is_err() || over {
            return std::future::pending().await;
        }
    }
}

/// Hands out window after window until the stream ends; says how it ended.
async fn release_windows(
    streaming: &mut Exchange<Streaming>,
    events: &mut mpsc::Receiver<Read>,
    caller: &mpsc::Sender<Step>,
    world: &World<'_, Recorder<'_>>,
) -> StreamEnd {
    loop {
        let read = tokio::select! {
            biased;
            () = caller.closed() => return StreamEnd::CallerGone,
            read = events.recv() => read,
        };
        if let Some(end) = gather(streaming, events, read) {
            return end;
        }
        if !streaming.has_text() {
            continue;
        }
        let Ok(window) = streaming.release(world).await else { return StreamEnd::Unrecorded };
        if caller.send_timeout(Step::Window(window), CALLER_TIMEOUT).await.is_err() {
            return StreamEnd::CallerGone;
        }
    }
}

/// Takes `read` and everything that is there without waiting; says how the stream ended, if it did.
fn gather(
    streaming: &mut Exchange<Streaming>,
    events: &mut mpsc::Receiver<Read>,
    read: Option<Read>,
) -> Option<StreamEnd> {
    let mut next = read;
    while let Some(read) = next {
        let (taken, end) = match read {
            Read::Events(events) => (events, None),
            Read::End(events, end) => (events, Some(end)),
        };
        if taken.iter().any(|event| streaming.take(event).is_err()) {
            return Some(StreamEnd::Failed(UpstreamFailure::TooLarge));
        }
        if end.is_some() {
            return end;
        }
        next = events.try_recv().ok();
    }
    None
}

/// The keys or the surrogates of a conversation could not be read.
struct Unreadable;

impl From<store::Error> for Unreadable {
    fn from(error: store::Error) -> Self {
        tracing::error!(%error, "a conversation could not be read");
        Self
    }
}

impl From<ledger::seal::Unsealable> for Unreadable {
    fn from(error: ledger::seal::Unsealable) -> Self {
        tracing::error!(%error, "a conversation could not be opened");
        Self
    }
}

async fn commit(
    exchange: ExchangeId,
    over: Exchange<Over>,
    world: &World<'_, Recorder<'_>>,
) -> Ended {
    let name = over.outcome_name();
    match over.commit(world).await {
        Ok(released) => {
            tracing::info!(%exchange, outcome = name, "exchange ended");
            Ended { exchange, released: Some(Box::new(released.into_parts())) }
        }
        Err(reason) => {
            tracing::error!(%exchange, outcome = name, %reason, "exchange could not be recorded");
            Ended { exchange, released: None }
        }
    }
}

/// Takes the request's JSON apart.
fn read(written: &Text) -> Result<ChatRequest, Refusal> {
    let json = Json::parse(written.expose().as_bytes()).map_err(|_| {
        Refusal::fixed(
            Code::InvalidRequest,
            "The request's body is not a JSON document, names a member twice, or has a number with more digits than JSON keeps.",
        )
    })?;
    openai::chat_request(json, written.clone()).map_err(|unsupported| {
        let code =
            if unsupported.is_content() { Code::UnsupportedContent } else { Code::InvalidRequest };
        let message = sentence(&unsupported.to_string()).into();
        Refusal { code, message, classes: Vec::new(), reason: None }
    })
}

/// An error's words as a sentence for a person.
fn sentence(words: &str) -> String {
    let mut characters = words.chars();
    let first = characters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(characters).chain(['.']).collect()
}

/// Finds the route that the request names.
fn routed(request: ChatRequest, in_force: Option<&Arc<InForce>>) -> Result<Routed, Refusal> {
    let Some(in_force) = in_force else {
        return Err(Refusal::fixed(
            Code::PhiBlocked,
            "No configuration is in force, so nothing may leave.",
        ));
    };
    let Some(route) = in_force.rules.route(request.model.expose()) else {
        return Err(Refusal::fixed(
            Code::ModelNotFound,
            "No model of that name is configured here. GET /v1/models lists those that are.",
        ));
    };
    let route = route.model().to_string();
    let ChatRequest { stream, prompt, .. } = request;
    Ok(Routed { in_force: Arc::clone(in_force), route, stream, prompt })
}

/// The purpose of use: the key's own, or the one that the request names.
fn purpose_of(
    principal: &Principal,
    named: Option<String>,
    in_force: Option<&InForce>,
) -> Result<Option<String>, Refusal> {
    let known =
        |purpose: &str| in_force.is_some_and(|in_force| in_force.rules.purpose(purpose).is_some());
    match (principal.purpose(), named) {
        (Some(own), Some(named)) if own != named => Err(Refusal::fixed(
            Code::PurposeNotAllowed,
            "This API key is bound to another purpose than the request names.",
        )),
        (Some(own), _) if known(own) => Ok(Some(own.to_owned())),
        (None, Some(named)) if known(&named) => Ok(Some(named)),
        (Some(_), _) | (None, Some(_)) => Err(Refusal::fixed(
            Code::PurposeNotAllowed,
            "The purpose is not one that the configuration in force defines.",
        )),
        (None, None) => Err(Refusal::fixed(
            Code::PurposeRequired,
            "Name the purpose of use in the header x-bulla-purpose, or use an API key that is bound to one.",
        )),
    }
}
