//! One prompt through the house, from the caller's request to the recorded outcome.

use crate::cache::Asking;
use crate::house::{House, InForce};
use crate::identity::Principal;
use crate::keys::{Held, KeysError};
use crate::limits::{Hold, LimitReached, Limited, Passage, Place};
use crate::reduction::Reduction;
use crate::responses::{Earlier, in_progress};
use crate::telemetry::{TraceParent, Watch};
use gate::exchange::{
    Caller, Ended as Over, Exchange, Question, Seal, StreamEnd, Streaming, World, surrogate_binding,
};
use gate::policy::{Ask, Availability};
use gate::prompt::{Prompt, StreamEvent};
use gate::rules::{Api, Keep, Route};
use gate::shape::Json;
use gate::stream::Window;
use gate::{Code, Control, Outcome, Refusal, UpstreamFailure};
use ledger::seal::KeySet;
use ledger::{
    About, ContentClass, ConversationId, Entry, ExchangeId, Hash, Journal, Receipt, Unrecorded,
};
use phi::Text;
use phi::surrogate::SurrogateMap;
use providers::{Addressed, AnswerStream, Asked as AskedBy, Reading, Reply, Request};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedMutexGuard, mpsc, oneshot};

/// Windows that wait for a slow caller. More would be memory spent on somebody who does not read.
const MAX_WAITING_WINDOWS: usize = 16;

/// Events read from the model while a window is being made durable. A window of so many is large
/// enough to be worth its write.
const MAX_EVENTS_AHEAD: usize = 256;

/// A caller that takes nothing for this long is gone.
const CALLER_TIMEOUT: Duration = Duration::from_mins(1);

/// The longest name that a caller may give a conversation.
const MAX_CONVERSATION_BYTES: usize = 256;

/// The longest reference that a caller may give a patient.
const MAX_PATIENT_BYTES: usize = 256;

/// The longest justification: a paragraph. It is for whoever reviews the log.
const MAX_JUSTIFICATION_BYTES: usize = 1024;

/// How long a conversation goes on under the keys of its beginning, in days.
const UNIT_DAYS: i64 = 30;

/// Above this the scan is long enough to keep other exchanges waiting, so it says so to the runtime.
const LONG_PROMPT_BYTES: usize = 32 << 10;

/// A request as the surface got it.
#[derive(Debug)]
pub struct Converse {
    /// The authenticated caller.
    pub principal: Principal,
    /// The interface in which it is asked.
    pub api: Api,
    /// What the address says of it.
    pub addressed: Addressed,
    /// The body.
    pub body: Vec<u8>,
    /// The purpose that the request names.
    pub purpose: Option<String>,
    /// The caller's own name of the conversation.
    pub conversation: Option<Text>,
    /// The caller's own reference of the patient.
    pub patient: Option<Text>,
    /// Why all of a chart is needed, in the caller's words.
    pub justification: Option<Text>,
    /// The trace that the caller wants continued.
    pub traceparent: Option<TraceParent>,
    /// The turn that it goes on from, which the house finds itself.
    pub earlier: Earlier,
}

/// What a surface can answer with.
#[derive(Debug)]
pub enum Started {
    /// It is over.
    Ended(Ended),
    /// An answer streams in.
    Streamed(Streamed),
    /// It left, and runs on without its caller.
    Begun(Box<Begun>),
    /// A limit refused it.
    Limited(Box<Limited>),
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

/// A response that runs in the background.
#[derive(Debug)]
pub struct Begun {
    /// What its records say.
    pub about: About,
    /// Where the intent is recorded.
    pub receipt: Receipt,
    /// The response, as far as there is one.
    pub response: Text,
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
enum Prepared {
    /// There are keys to keep it under.
    Sealed(Box<Ready>),
    /// There are none, so nothing of it is kept but that it was made.
    Unsealed { caller: Caller, question: Box<Question> },
    /// A limit refused it, as others of the same caller just before, so it is only counted.
    Counted(Box<Limited>),
}

/// A request that can be kept.
struct Ready {
    asked: Asked,
    routed: Result<Routed, Unread>,
    written: Text,
    birth: Option<Birth>,
    passage: Result<Hold, LimitReached>,
}

/// The keys and surrogates that an exchange goes on with.
struct Continued {
    conversation: Option<ConversationId>,
    seal: Seal,
    map: SurrogateMap,
    birth: Option<Birth>,
    /// Whether the conversation that the caller named could be read.
    readable: bool,
}

/// Why a request's text was never looked at.
#[derive(Clone, Debug)]
pub(crate) enum Unread {
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
    request: Arc<Request>,
    prompt: Prompt,
}

impl Routed {
    /// The same, when it goes on after what was done to its text before.
    fn after(self, reduction: &Reduction) -> Result<Self, Unread> {
        if let Some(refusal) = &reduction.refusal {
            return Err(Unread::Refused(refusal.clone()));
        }
        let route = self.in_force.rules.route(&self.route);
        if reduction.by.is_none() && route.is_some_and(|route| route.reduce().is_some()) {
            // Fail closed: the rules that want it reduced came into force after it was looked at.
            return Err(Unread::Failed(Control::Policy));
        }
        Ok(self)
    }
}

/// Keeps a second first turn of a conversation out until the keys of the first are durable.
type Birth = OwnedMutexGuard<()>;

/// A journal that lets other turns of a new conversation in once its first record is durable, and keeps
/// what the exchange spends with its records.
struct Recorder<'a> {
    tenant: &'a store::Tenant,
    watch: &'a Watch<'a>,
    birth: Mutex<Option<Birth>>,
    hold: Mutex<Hold>,
}

impl Journal for Recorder<'_> {
    async fn append(&self, entry: Entry) -> Result<Receipt, Unrecorded> {
        let noted = self.watch.note(&entry.event);
        let hold = || self.hold.lock().unwrap_or_else(PoisonError::into_inner);
        let mut turn = hold().turn(&entry.event);
        let receipt = self.tenant.append_with(entry, turn.effects()).await;
        self.watch.recorded(noted, &receipt);
        let receipt = receipt?;
        hold().recorded(&turn);
        drop(self.birth.lock().unwrap_or_else(PoisonError::into_inner).take());
        Ok(receipt)
    }

    async fn keep(&self, window: ledger::Blob) -> Result<(), Unrecorded> {
        self.tenant.keep(window).await?;
        self.watch.window();
        Ok(())
    }
}

/// Where a request was sent before, when no answer came.
#[derive(Default)]
struct Before {
    /// The last exchange that it was, and how that ended.
    last: Option<Ended>,
    /// The destinations, once for each time.
    tried: Vec<String>,
    /// How its text was reduced.
    reduction: Reduction,
}

impl Before {
    /// How the request ended before, or this when it is the first time.
    fn or(&mut self, started: Started) -> Started {
        self.last.take().map_or(started, Started::Ended)
    }
}

/// What became of one exchange of a request.
enum Attempted {
    /// It is the last.
    Over(Started),
    /// No answer came, and the request is tried again.
    Again { written: Text, wait: Duration },
}

/// What the exchange became after it left.
enum Reached {
    Over(Exchange<Over>),
    Streams(Box<Exchange<Streaming>>, Box<AnswerStream>),
}

impl House {
    /// Takes a request through the house. The exchange runs to its recorded end even when the
    /// returned future is dropped, and keeps its place until then.
    pub async fn converse(self: &Arc<Self>, request: Converse, place: Place) -> Started {
        let exchange = ExchangeId::mint(self.clock.now(), &*self.entropy);
        let (tell, told) = oneshot::channel();
        let house = Arc::clone(self);
        self.tasks.spawn(async move {
            let mut place = place;
            let request = house.taken_over(request, &mut place).await;
            Box::pin(house.run(exchange, request, tell)).await;
        });
        // The task tells before it ends, unless it panicked; then nothing is known, so nothing is
        // shown.
        told.await.unwrap_or(Started::Ended(Ended { exchange, released: None }))
    }

    /// Takes a request through, and again as a new exchange when its route allows that and no answer
    /// came: with a decision, a clearance and records of its own. Nothing comes back when its caller
    /// was told already, or is gone.
    pub(crate) async fn tries(
        &self,
        exchange: ExchangeId,
        request: Converse,
        reduction: Reduction,
        tell: &mut oneshot::Sender<Started>,
    ) -> Option<Started> {
        let mut before = Before { reduction, ..Before::default() };
        let mut next = Some((exchange, request));
        while let Some((exchange, request)) = next.take() {
            let Converse {
                principal,
                api,
                addressed,
                body: _,
                purpose,
                conversation,
                patient,
                justification,
                traceparent,
                earlier,
            } = &request;
            let kept = Converse {
                principal: principal.clone(),
                api: *api,
                addressed: addressed.clone(),
                body: Vec::new(),
                purpose: purpose.clone(),
                conversation: conversation.clone(),
                patient: patient.clone(),
                justification: justification.clone(),
                traceparent: *traceparent,
                earlier: earlier.clone(),
            };
            match self.attempt(exchange, request, &mut before, tell).await? {
                Attempted::Over(started) => return Some(started),
                Attempted::Again { written, wait } => {
                    tokio::select! {
                        biased;
                        () = tell.closed() => return None,
                        () = tokio::time::sleep(wait) => {}
                    }
                    let body = written.into_exposed().into_bytes();
                    let exchange = ExchangeId::mint(self.clock.now(), &*self.entropy);
                    next = Some((exchange, Converse { body, ..kept }));
                }
            }
        }
        None
    }

    /// One exchange, to its recorded end. Nothing comes back when its caller was told already.
    async fn attempt(
        &self,
        exchange: ExchangeId,
        request: Converse,
        before: &mut Before,
        tell: &mut oneshot::Sender<Started>,
    ) -> Option<Attempted> {
        let _live = self.live.enter(exchange);
        let _ran = self.ran(exchange);
        let background = request.addressed.background;
        let watch = self.watch(exchange, request.traceparent);
        let (birth, hold) = (Mutex::new(None), Mutex::new(Hold::none()));
        let recorder = Recorder { tenant: &self.tenant, watch: &watch, birth, hold };
        let world = World { journal: &recorder, clock: &*self.clock, entropy: &*self.entropy };
        let retry_of = before.last.as_ref().map(|last| last.exchange);
        let reduction = before.reduction.clone();
        let ready = match self.prepare(exchange, request, retry_of, reduction).await {
            Prepared::Sealed(ready) => ready,
            Prepared::Unsealed { caller, question } => {
                let ended = commit(exchange, Exchange::unsealed(caller, *question), &world).await;
                return Some(Attempted::Over(Started::Ended(ended)));
            }
            Prepared::Counted(limited) => {
                return Some(Attempted::Over(before.or(Started::Limited(limited))));
            }
        };
        let Ready { asked, routed, written, birth, passage } = *ready;
        let hold = match passage {
            Ok(hold) => hold,
            Err(over) => {
                if before.last.is_some() {
                    // A limit that another try would pass ends the trying, and is no refusal.
                    return before.last.take().map(|last| Attempted::Over(Started::Ended(last)));
                }
                let Asked { caller, question, seal, .. } = asked;
                let route = question.route.clone();
                let refused = Exchange::refused(caller, question, seal, written, over.refusal());
                let ended = Some(commit(exchange, refused, &world).await);
                let limited = Box::new(Limited { over, route, ended });
                return Some(Attempted::Over(Started::Limited(limited)));
            }
        };
        *recorder.hold.lock().unwrap_or_else(PoisonError::into_inner) = hold;
        *recorder.birth.lock().unwrap_or_else(PoisonError::into_inner) = birth;
        let way = routed.as_ref().ok().map(|it| (Arc::clone(&it.in_force), it.route.clone()));
        let route = way.as_ref().and_then(|(in_force, route)| in_force.rules.route(route));
        if let (Some(route), None) = (route, retry_of) {
            self.routing.arrived(route);
        }
        let passed = match routed {
            Ok(routed) => Box::pin(self.pass(asked, routed, &before.tried, &world, tell)).await,
            Err(unread) => {
                let Asked { caller, question, seal, .. } = asked;
                let written = written.clone();
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
        match passed.unwrap_or_else(Reached::Over) {
            Reached::Over(over) => {
                // A try again is another exchange, and whoever asks again asks for this one.
                let again = route.filter(|_| !background);
                let wait = again.and_then(|route| self.wait(route, &over, before));
                let ended = commit(exchange, over, &world).await;
                // What could not be recorded is not tried again.
                Some(match wait {
                    Some(wait) if ended.released.is_some() => {
                        before.last = Some(ended);
                        Attempted::Again { written, wait }
                    }
                    Some(_) | None => Attempted::Over(Started::Ended(ended)),
                })
            }
            Reached::Streams(streaming, stream) => {
                let (sender, steps) = mpsc::channel(MAX_WAITING_WINDOWS);
                let about = Box::new(streaming.about().clone());
                let receipt = *streaming.intent();
                let told = std::mem::replace(tell, oneshot::channel().0);
                let _gone =
                    told.send(Started::Streamed(Streamed { about, receipt, steps })).is_err();
                Box::pin(self.pump(exchange, *streaming, stream, sender, &world)).await;
                None
            }
        }
    }

    /// How long to wait before the request is tried again, when it may be. Notes where it was sent.
    fn wait(&self, route: &Route, over: &Exchange<Over>, before: &mut Before) -> Option<Duration> {
        let failure = over.failure()?;
        before.tried.push(over.about().destination.clone()?);
        // What the policy re-routed has no alternative.
        let elsewhere = over.about().decision.as_deref() != Some("rerouted");
        self.routing.again(route, &before.tried, elsewhere, failure)
    }

    /// Everything that is known before the text is looked at.
    async fn prepare(
        &self,
        exchange: ExchangeId,
        request: Converse,
        retry_of: Option<ExchangeId>,
        reduction: Reduction,
    ) -> Prepared {
        let Converse { principal, api, addressed, body, purpose, conversation, .. } = request;
        let Converse { patient, justification, earlier, .. } = request;
        let in_force = self.in_force.load_full();
        let previous = addressed.previous;
        let (written, read) = match String::from_utf8(body) {
            Ok(text) => {
                let written = Text::new(text);
                let read = read(api, addressed, &written);
                (written, read)
            }
            Err(error) => {
                let written = String::from_utf8_lossy(error.as_bytes()).into_owned();
                let refusal =
                    Refusal::fixed(Code::InvalidRequest, "The request's body is not UTF-8 text.");
                (Text::new(written), Err(refusal))
            }
        };
        let sent =
            read.as_ref().ok().map(|it| (it.request.model().expose(), it.request.answer_tokens()));
        let passage = match self.limit(&principal, in_force.as_ref(), sent, written.len()) {
            Passage::Passed(hold) => Ok(hold),
            Passage::Recorded(over) => Err(over),
            Passage::Counted(over) => {
                let route = read.ok().and_then(|it| routed(it, in_force.as_ref()).ok());
                let route = route.map(|it| it.route);
                return Prepared::Counted(Box::new(Limited { over, route, ended: None }));
            }
        };
        let too_long =
            conversation.as_ref().is_some_and(|name| name.len() > MAX_CONVERSATION_BYTES);
        let named = conversation.filter(|name| !name.is_empty() && !too_long);
        let keep = in_force.as_ref().map(|it| it.rules.keep()).unwrap_or_default();
        let unnamed = patient.as_ref().is_some_and(|patient| !is_reference(patient));
        let patient = match patient.filter(|patient| !patient.is_empty() && !unnamed) {
            Some(patient) => self.patient_name(&patient).await.map(Some),
            None => Ok(earlier.patient()),
        };
        let (patient, continued) = match patient {
            Ok(patient) => (patient, self.continued(&principal, named, &earlier, keep).await),
            // Without the name of its patient an exchange could not be found again.
            Err(error) => (None, Err(error)),
        };
        let purpose = purpose_of(&principal, purpose, in_force.as_deref());
        let readable = continued.as_ref().is_ok_and(|continued| continued.readable);
        let routed = match (read, &purpose) {
            (_, _) if let Some(unread) = earlier.unread() => Err(unread.clone()),
            (Err(refusal), _) => Err(Unread::Refused(refusal)),
            (Ok(_), _) if too_long => Err(Unread::Refused(Refusal::fixed(
                Code::InvalidRequest,
                "The name of a conversation has at most 256 bytes.",
            ))),
            (Ok(_), _) if unnamed => Err(Unread::Refused(Refusal::fixed(
                Code::InvalidRequest,
                "The reference of a patient is UTF-8 text of at most 256 bytes.",
            ))),
            (Ok(_), _) if !is_justification(justification.as_ref()) => {
                Err(Unread::Refused(Refusal::fixed(
                    Code::InvalidRequest,
                    "A justification is UTF-8 text of at most 1024 bytes.",
                )))
            }
            (Ok(_), Err(refusal)) => Err(Unread::Refused(refusal.clone())),
            // Fail closed: a guard that does not do its work lets nothing through.
            (Ok(_), Ok(_)) if self.selftest.failed() => Err(Unread::Failed(Control::SelfTest)),
            (Ok(_), Ok(_)) if !readable => Err(Unread::Failed(Control::Surrogates)),
            (Ok(request), Ok(_)) => routed(request, in_force.as_ref()).map_err(Unread::Refused),
        };
        let routed = routed.and_then(|routed| routed.after(&reduction));
        let conversation = continued.as_ref().ok().and_then(|continued| continued.conversation);
        let question = Question {
            id: exchange,
            api,
            stream: routed.as_ref().is_ok_and(|routed| routed.request.stream()),
            route: routed.as_ref().ok().map(|routed| routed.route.clone()),
            conversation,
            patient,
            retry_of,
            reduced_by: reduction.by,
            justification: justification.filter(|it| !it.expose().trim().is_empty()),
            previous,
            policy: in_force.as_ref().map(|in_force| in_force.rules.sha256()),
        };
        let caller = Caller {
            actor: principal.actor(),
            purpose: purpose.unwrap_or_default(),
            surface: "api",
        };
        let Continued { seal, map, birth, .. } = match continued {
            Ok(continued) => continued,
            Err(error) => {
                tracing::error!(%error, "nothing can be sealed");
                return Prepared::Unsealed { caller, question: Box::new(question) };
            }
        };
        let asked = Asked { caller, question, seal, map };
        Prepared::Sealed(Box::new(Ready { asked, routed, written, birth, passage }))
    }

    /// The name that the log has for a patient.
    pub(crate) async fn patient_name(&self, reference: &Text) -> Result<Hash, KeysError> {
        let held = self.content_keys.held().await?;
        Ok(held.name("patient", &[reference.expose().trim().as_bytes()]))
    }

    /// The keys and surrogates of the conversation that the caller names, or of the exchange alone. A
    /// conversation that cannot be read is recorded as an exchange alone, and goes no further.
    async fn continued(
        &self,
        principal: &Principal,
        name: Option<Text>,
        earlier: &Earlier,
        keep: Keep,
    ) -> Result<Continued, KeysError> {
        let id = match (name, earlier.conversation()) {
            (Some(name), _) => {
                let held = self.content_keys.held().await?;
                conversation_id(&held, principal, &name)
            }
            (None, Some(id)) => id,
            (None, None) => {
                // Fail closed: a map with a hole in it could give one value two surrogates.
                let map = earlier.surrogates();
                let begun = self.begun(None, map.is_ok(), keep).await?;
                return Ok(Continued { map: map.unwrap_or_default(), ..begun });
            }
        };
        match self.continue_conversation(id, keep).await {
            Ok(continued) => Ok(continued),
            Err(Unreadable::Keys(error)) => Err(error),
            Err(Unreadable::Surrogates) => self.begun(None, false, keep).await,
        }
    }

    /// A fresh unit.
    async fn begun(
        &self,
        conversation: Option<ConversationId>,
        readable: bool,
        keep: Keep,
    ) -> Result<Continued, KeysError> {
        let (keys, unit) = self.content_keys.begin_unit(conversation).await?;
        let seal = Seal { log: self.log, keys: Arc::new(keys), new_unit: Some(unit), keep };
        Ok(Continued { conversation, seal, map: SurrogateMap::new(), birth: None, readable })
    }

    /// Reads a conversation's keys and surrogates, or begins it. After a month it begins anew, so that
    /// what is said today does not go with what was said then.
    async fn continue_conversation(
        &self,
        id: ConversationId,
        keep: Keep,
    ) -> Result<Continued, Unreadable> {
        let mut stored = self.current_unit(id).await?;
        let mut birth = None;
        if stored.is_none() {
            birth = self.births.lock(id).await;
            stored = self.current_unit(id).await?;
        }
        let Some(keys) = stored else {
            return Ok(Continued { birth, ..self.begun(Some(id), true, keep).await? });
        };
        let binding = surrogate_binding(self.log, id);
        let key = keys.key(ContentClass::Surrogates);
        let mut map = SurrogateMap::new();
        for sealed in self.tenant.surrogates(id, keys.id(), self.clock.now()).await? {
            // Fail closed: a map with a hole in it could give one value two surrogates.
            let entry = key.open_small(&binding, &sealed).map_err(|_| Unreadable::Surrogates)?;
            let entry = std::str::from_utf8(&entry).map_err(|_| Unreadable::Surrogates)?;
            map.remember(entry).map_err(|_| Unreadable::Surrogates)?;
        }
        let seal = Seal { log: self.log, keys: Arc::new(keys), new_unit: None, keep };
        Ok(Continued { conversation: Some(id), seal, map, birth: None, readable: true })
    }

    /// The keys that a conversation goes on under; absent when it must begin anew.
    async fn current_unit(&self, id: ConversationId) -> Result<Option<KeySet>, Unreadable> {
        let units = self.tenant.units_of(id).await?;
        let Some(newest) = units.first() else { return Ok(None) };
        let (day, keys) = self.content_keys.open_unit(newest).await?;
        if self.clock.now().day() > day.plus_days(UNIT_DAYS) {
            return Ok(None);
        }
        Ok(KeySet::complete(newest.id, day, keys))
    }

    /// The happy path, top to bottom; each `?` is an exchange that ended early.
    async fn pass(
        &self,
        prepared: Asked,
        routed: Routed,
        tried: &[String],
        world: &World<'_, Recorder<'_>>,
        tell: &mut oneshot::Sender<Started>,
    ) -> Result<Reached, Exchange<Over>> {
        let Asked { caller, question, seal, map } = prepared;
        let Routed { in_force, prompt, route, request } = routed;
        let (exchange, keep) = (question.id, seal.keep);
        let asker = caller.clone();
        let (rules, written) = (&in_force.rules, &prompt.written);
        let asking = Asking::of(rules, &route, &caller, &question, &request, written);
        // What runs in the background is begun, and then had by its id.
        let asking = asking.filter(|_| !request.background());
        let long = prompt.written.len() > LONG_PROMPT_BYTES;
        let watch = world.journal.watch;
        // It is given back when the scan is over, and is never closed.
        let turn = if long { self.long_scans.acquire().await.ok() } else { None };
        let scanned = watch.scan(|| {
            let (detector, rules) = (&self.detector, &in_force.rules);
            aside(long, || Exchange::open(caller, question, seal, prompt, detector, rules))
        })?;
        let now = self.clock.now();
        let decided = in_force.rules.route(&route).map(|route| {
            let ask = Ask {
                caller: &asker.actor.id,
                owner: &asker.actor.name,
                purpose: asker.purpose.as_deref(),
                surface: asker.surface,
                categories: &BTreeSet::new(),
                route,
            };
            let in_order = |id: &str| self.routing.lets_pass(id);
            let availability = Availability { in_order: &in_order, tried, entropy: &*self.entropy };
            let choose = || {
                let (rules, categories) = (&in_force.rules, &self.categories);
                scanned.choose(rules, &ask, categories, &availability, now)
            };
            aside(long, choose)
        });
        drop(turn);
        let decision = match decided {
            Some(Ok(decision)) => decision,
            Some(Err(unchosen)) => return Err(scanned.turn_away(&unchosen, now)),
            None => return Err(scanned.fail(Control::Policy)),
        };
        let cleared = scanned.clear(&decision, &in_force.rules, map, now, &*self.entropy)?;
        let place = self.cache_place(asking, &in_force, &decision, &cleared).await;
        if let Some(place) = &place {
            let reading = Reading::new(&request, exchange, now, keep);
            if let Some(kept) = self.kept_answer(place, cleared.called(), &reading).await {
                return Ok(Reached::Over(kept.give(cleared, &self.detector)));
            }
        }
        let admitted = cleared.admit(world).await?;
        let (outbound, departed) = admitted.depart();
        let Some(wire) = in_force.wires.get(decision.destination().id()) else {
            return Err(departed.end(Err(UpstreamFailure::NoCredential), &self.detector));
        };
        watch.left(decision.destination().dialect());
        if request.background() {
            let (about, receipt) = (departed.about().clone(), *departed.intent());
            let response = in_progress(&about, self.clock.now());
            let caller = self.background.begin(&about, &response);
            let begun = Started::Begun(Box::new(Begun { about, receipt, response }));
            // Whoever asked may be gone already, and may ask for it again.
            let _gone = std::mem::replace(tell, caller).send(begun).is_err();
        }
        let now = self.clock.now();
        let reading = Reading::new(&request, exchange, now, keep).from(decision.destination());
        let sent = self.providers.send(outbound, wire, &reading, now);
        let reply = tokio::select! {
            biased;
            () = tell.closed() => {
                self.providers.give_up(&reading).await;
                return Err(departed.abandon());
            }
            reply = sent => reply,
        };
        watch.answered();
        self.routing.tell(decision.destination().id(), reply.as_ref().err().copied());
        Ok(match reply {
            Ok(Reply::Stream(stream)) => {
                let upstream_request = stream.upstream_request().map(str::to_owned);
                Reached::Streams(Box::new(departed.stream(upstream_request)), stream)
            }
            Ok(Reply::Whole(answer)) => {
                let kept = place.map(|it| self.seal_answer(&it, exchange, &departed, &answer));
                let over = departed.end(Ok(answer), &self.detector);
                self.keep_answer(kept, &over);
                Reached::Over(over)
            }
            Err(failure) => Reached::Over(departed.end(Err(failure), &self.detector)),
        })
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
        let said = streaming.said_bytes();
        world.journal.hold.lock().unwrap_or_else(PoisonError::into_inner).said(said);
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

/// Does it here, and tells the runtime when it is long enough to keep other exchanges waiting.
fn aside<T>(long: bool, work: impl FnOnce() -> T) -> T {
    if long { tokio::task::block_in_place(work) } else { work() }
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

/// The caller's own name of a conversation, made into an id that belongs to the caller's key: no other
/// key can reach the conversation, and the name is not kept.
pub(crate) fn conversation_id(held: &Held, principal: &Principal, name: &Text) -> ConversationId {
    let key = principal.key();
    let pieces = [key.as_bytes().as_slice(), name.expose().as_bytes()];
    let digest = held.name("conversation", &pieces);
    let (bytes, _) = digest.as_bytes().split_at(16);
    let mut id = [0; 16];
    id.copy_from_slice(bytes);
    ConversationId::from_bytes(id)
}

/// Whether a patient can be named so. A text with a hole in it could be that of two patients.
fn is_reference(patient: &Text) -> bool {
    patient.len() <= MAX_PATIENT_BYTES && !patient.expose().contains(char::REPLACEMENT_CHARACTER)
}

/// Whether a justification, when there is one, can be kept whole.
fn is_justification(justification: Option<&Text>) -> bool {
    justification.is_none_or(|text| {
        text.len() <= MAX_JUSTIFICATION_BYTES
            && !text.expose().contains(char::REPLACEMENT_CHARACTER)
    })
}

/// Why a conversation cannot go on.
enum Unreadable {
    /// There are no keys at all.
    Keys(KeysError),
    /// Its own keys or surrogates could not be read.
    Surrogates,
}

impl From<store::Error> for Unreadable {
    fn from(error: store::Error) -> Self {
        tracing::error!(%error, "a conversation could not be read");
        Self::Surrogates
    }
}

impl From<KeysError> for Unreadable {
    fn from(error: KeysError) -> Self {
        match error {
            KeysError::Unsealable(_) => {
                tracing::error!(%error, "a conversation could not be opened");
                Self::Surrogates
            }
            KeysError::Service(_) | KeysError::Store(_) | KeysError::Gone => Self::Keys(error),
        }
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
fn read(api: Api, addressed: Addressed, written: &Text) -> Result<AskedBy, Refusal> {
    let json = Json::parse(written.expose().as_bytes()).map_err(|_| {
        Refusal::fixed(
            Code::InvalidRequest,
            "The request's body is not a JSON document, names a member twice, or has a number with more digits than JSON keeps.",
        )
    })?;
    Request::read(api, addressed, json, written.clone()).map_err(|unsupported| {
        let code =
            if unsupported.is_content() { Code::UnsupportedContent } else { Code::InvalidRequest };
        let message = sentence(&unsupported.to_string()).into();
        Refusal { code, message, classes: Vec::new(), reason: unsupported.reason() }
    })
}

/// An error's words as a sentence for a person.
fn sentence(words: &str) -> String {
    let mut characters = words.chars();
    let first = characters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(characters).chain(['.']).collect()
}

/// Finds the route that the request names.
fn routed(asked: AskedBy, in_force: Option<&Arc<InForce>>) -> Result<Routed, Refusal> {
    let Some(in_force) = in_force else {
        return Err(Refusal::fixed(
            Code::PhiBlocked,
            "No configuration is in force, so nothing may leave.",
        ));
    };
    let route = in_force.rules.route(asked.request.model().expose());
    if asked.request.api() == Api::Mcp {
        crate::mcp::check(&in_force.rules, route)?;
    }
    let Some(route) = route else {
        return Err(Refusal::fixed(
            Code::ModelNotFound,
            "No model of that name is configured here. GET /v1/models lists those that are.",
        ));
    };
    let route = route.model().to_string();
    let AskedBy { request, prompt } = asked;
    Ok(Routed { in_force: Arc::clone(in_force), route, request, prompt })
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
