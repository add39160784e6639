//! One prompt through the house, from the caller's request to the recorded outcome.

mod prepare;
mod pump;

use crate::cache::Asking;
use crate::house::{House, InForce};
use crate::identity::Principal;
use crate::limits::{Hold, LimitReached, Limited, Place};
use crate::reduction::Reduction;
use crate::responses::{Earlier, in_progress};
use crate::telemetry::{TraceParent, Watch};
use gate::exchange::{Caller, Ended as Over, Exchange, Question, Seal, Streaming, World};
use gate::policy::{Ask, Availability};
use gate::prompt::Prompt;
use gate::rules::{Api, Route};
use gate::stream::Window;
use gate::{Control, Outcome, Refusal, UpstreamFailure};
use ledger::{About, ConversationId, Entry, ExchangeId, Journal, Receipt, Unrecorded};
use phi::Text;
use phi::surrogate::SurrogateMap;
pub(crate) use prepare::{Unreadable, conversation_id, purpose_of, read};
use providers::{Addressed, AnswerStream, Reading, Reply, Request};
use pump::MAX_WAITING_WINDOWS;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedMutexGuard, mpsc, oneshot};

/// Above this the scan is long enough to keep other exchanges waiting, so it says so to the runtime.
pub(crate) const LONG_PROMPT_BYTES: usize = 32 << 10;

/// A request as the surface got it.
#[derive(Clone, Debug)]
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
pub(crate) struct Continued {
    conversation: Option<ConversationId>,
    pub(crate) seal: Seal,
    pub(crate) map: SurrogateMap,
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
        while let Some((exchange, mut request)) = next.take() {
            // The body is long, and comes back from the exchange that sealed it.
            let body = std::mem::take(&mut request.body);
            let kept = request.clone();
            request.body = body;
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
}

/// Does it here, and tells the runtime when it is long enough to keep other exchanges waiting.
pub(crate) fn aside<T>(long: bool, work: impl FnOnce() -> T) -> T {
    if long { tokio::task::block_in_place(work) } else { work() }
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
