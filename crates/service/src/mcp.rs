//! Standing between a client and a server of tools, over the Model Context Protocol.
//!
//! Every request that goes further is an exchange, as every prompt is: [`House::converse`] takes it. What
//! is added here is what a protocol of sessions needs: whose session it is, which session of the server's
//! stands behind it, and which of its requests run, so that they can be taken back.

use crate::converse::{Converse, Ended, Started};
use crate::house::{House, InForce};
use crate::identity::Principal;
use crate::limits::{Limited, Place};
use crate::responses::Earlier;
use crate::telemetry::TraceParent;
use gate::path::{Features, PLAIN};
use gate::rules::{Api, Destination, Route, Rules};
use gate::{Code, Outcome, Refusal};
use ledger::{ApiKeyId, Entropy, ExchangeId};
use phi::Text;
use providers::{
    Addressed, MCP_HANDSHAKES, MCP_STATELESS, McpMessage, McpRequestId, McpSaid, McpSession,
    mcp_discovered, mcp_welcome,
};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// Sessions that one API key has at once. An agent has one for each server; a client that leaks them loses
/// the one that it used longest ago.
const MAX_SESSIONS_OF_KEY: usize = 256;

/// Sessions at once. Each is some hundred bytes here, and may be more at its server.
const MAX_SESSIONS: usize = 4096;

/// How long a session is kept that nobody uses: over a night, an agent begins anew.
const IDLE: Duration = Duration::from_hours(8);

/// Random bytes in the id of a session: it must not be guessed, though it alone opens nothing.
const SESSION_ID_BYTES: usize = 16;

/// A message as the surface got it.
#[derive(Debug)]
pub struct ToolMessage {
    /// The authenticated caller.
    pub principal: Principal,
    /// The server of tools, as the address names it.
    pub server: String,
    /// The id of the session, as the caller shows it.
    pub session: Option<String>,
    /// The version of the protocol, as the caller says it.
    pub version: Option<String>,
    /// The body.
    pub body: Vec<u8>,
    /// The purpose that the request names.
    pub purpose: Option<String>,
    /// The caller's own name of the conversation; the session's when it names none.
    pub conversation: Option<Text>,
    /// The caller's own reference of the patient.
    pub patient: Option<Text>,
    /// Why a whole chart is sent.
    pub justification: Option<Text>,
    /// The trace that the caller wants continued.
    pub traceparent: Option<TraceParent>,
}

/// What a surface can answer with.
#[derive(Debug)]
pub enum ToolReply {
    /// Nothing follows from it, or nobody waits for an answer any more.
    Accepted,
    /// It was answered here, with this JSON, and nothing left.
    Here {
        /// The id of the request.
        id: McpRequestId,
        /// The result.
        result: String,
        /// The session that began with it.
        session: Option<String>,
    },
    /// No such session of this caller with this server.
    NoSession,
    /// A request that needs a session names none.
    SessionRequired,
    /// The version of the protocol that it is said in is not one that this server is spoken to in.
    OtherVersion {
        /// The id of the request.
        id: Option<McpRequestId>,
        /// Those that it is spoken to in.
        supported: Vec<&'static str>,
    },
    /// The protocol has the method, and here it is not there.
    NoMethod(McpRequestId),
    /// It was an exchange, which is over.
    Ended {
        /// The id of the request.
        id: Option<McpRequestId>,
        /// The exchange.
        ended: Ended,
        /// The session that began with it.
        session: Option<String>,
    },
    /// A limit refused it.
    Limited {
        /// The id of the request.
        id: Option<McpRequestId>,
        /// The limit.
        limited: Box<Limited>,
    },
}

/// The sessions that there are. A restart ends them all, and clients begin anew.
#[derive(Default)]
pub(crate) struct ToolSessions(Mutex<BTreeMap<String, Arc<Session>>>);

impl fmt::Debug for ToolSessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ToolSessions")
    }
}

/// One of them.
struct Session {
    key: ApiKeyId,
    server: String,
    link: Arc<McpSession>,
    used: Mutex<Instant>,
    /// The requests that run, each with what takes it back. Each has a place among all exchanges, so there
    /// are not more than those.
    running: Mutex<BTreeMap<McpRequestId, oneshot::Sender<()>>>,
}

/// Whether a route leads to a server of tools.
pub(crate) fn leads_to_tools(rules: &Rules, route: &Route) -> bool {
    let destination = rules.destination(route.targets().0.destination().as_str());
    destination.is_some_and(|it| it.tools().is_some())
}

/// Refuses a tool that nobody registered.
pub(crate) fn check(rules: &Rules, route: Option<&Route>) -> Result<(), Refusal> {
    if route.is_some_and(|route| leads_to_tools(rules, route)) {
        return Ok(());
    }
    Err(Refusal::fixed(
        Code::ToolNotAllowed,
        "No server of tools of that name is configured here, or the tool is not among those that may be called.",
    ))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Session {
    fn new(key: ApiKeyId, server: &str, link: Arc<McpSession>) -> Arc<Self> {
        let (used, running) = (Mutex::new(Instant::now()), Mutex::default());
        Arc::new(Self { key, server: server.to_owned(), link, used, running })
    }

    fn last_used(&self) -> Instant {
        *lock(&self.used)
    }

    /// Waits for `answer` until the client takes the request back.
    async fn unless_taken_back<T>(
        &self,
        id: &McpRequestId,
        answer: impl Future<Output = T>,
    ) -> Option<T> {
        let (teller, told) = oneshot::channel();
        lock(&self.running).insert(id.clone(), teller);
        let taken_back = async {
            // A second request of the same id takes the place of the first, which then cannot be taken
            // back any more.
            if told.await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        let answer = tokio::select! {
            biased;
            () = taken_back => None,
            answer = answer => Some(answer),
        };
        lock(&self.running).remove(id);
        answer
    }

    fn take_back(&self, id: &McpRequestId) {
        if let Some(teller) = lock(&self.running).remove(id) {
            // It may have been answered in the meantime.
            let _answered = teller.send(()).is_err();
        }
    }
}

impl ToolSessions {
    /// The session of this id, if it is this caller's with this server.
    fn find(&self, id: &str, principal: &Principal, server: &str) -> Option<Arc<Session>> {
        let session = lock(&self.0).get(id).map(Arc::clone)?;
        let theirs = session.key == principal.key() && session.server == server;
        let alive = !session.link.has_ended() && session.last_used().elapsed() < IDLE;
        if !theirs || !alive {
            return None;
        }
        *lock(&session.used) = Instant::now();
        Some(session)
    }

    fn remove(&self, id: &str) -> Option<Arc<Session>> {
        lock(&self.0).remove(id)
    }

    /// Keeps a session, and returns its id and the sessions that had to go for it.
    fn keep(&self, session: Arc<Session>, entropy: &dyn Entropy) -> (String, Vec<Arc<Session>>) {
        let mut bytes = [0; SESSION_ID_BYTES];
        entropy.fill(&mut bytes);
        let id = format!("mcp_{}", Hex(&bytes));
        let mut sessions = lock(&self.0);
        let mut gone: Vec<String> = sessions
            .iter()
            .filter(|(_, it)| it.link.has_ended() || it.last_used().elapsed() >= IDLE)
            .map(|(id, _)| id.clone())
            .collect();
        let oldest = |of: &dyn Fn(&Session) -> bool, sessions: &BTreeMap<String, Arc<Session>>| {
            let theirs = sessions.iter().filter(|(_, it)| of(it));
            theirs.min_by_key(|(_, it)| it.last_used()).map(|(id, _)| id.clone())
        };
        let of_key = |it: &Session| it.key == session.key;
        if sessions.values().filter(|it| of_key(it)).count() >= MAX_SESSIONS_OF_KEY {
            gone.extend(oldest(&of_key, &sessions));
        } else if sessions.len() >= MAX_SESSIONS {
            gone.extend(oldest(&|_| true, &sessions));
        }
        let gone = gone.iter().filter_map(|id| sessions.remove(id)).collect();
        sessions.insert(id.clone(), session);
        (id, gone)
    }
}

/// Bytes in hexadecimal.
struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The server of tools of that name.
fn server<'a>(in_force: Option<&'a Arc<InForce>>, name: &str) -> Option<&'a Destination> {
    let destination = in_force?.rules.destination(name)?;
    destination.tools().map(|_| destination)
}

impl House {
    /// Takes a message of a client's to a server of tools.
    pub async fn tell_tools(self: &Arc<Self>, message: ToolMessage, place: Place) -> ToolReply {
        let McpMessage { id, said } = McpMessage::read(&message.body);
        let in_force = self.in_force.load_full();
        let server = server(in_force.as_ref(), &message.server);
        let stateless = server.is_some_and(|it| it.api_version().is_some());
        let known = |version: &str| version == MCP_STATELESS || MCP_HANDSHAKES.contains(&version);
        if message.version.as_deref().is_some_and(|version| !known(version)) {
            return other_version(id, stateless);
        }
        let session = match &message.session {
            Some(id) => {
                let found = self.tool_sessions.find(id, &message.principal, &message.server);
                let Some(session) = found else { return ToolReply::NoSession };
                Some(session)
            }
            None => None,
        };
        match (said, id) {
            (McpSaid::Initialize(version), Some(id)) => {
                // Where the server knows no sessions, this one is between the client and Bulla alone.
                if !stateless {
                    return self.begin(id, message, place).await;
                }
                let (link, key) = (Arc::new(McpSession::new()), message.principal.key());
                let session = self.hold(Session::new(key, &message.server, link));
                ToolReply::Here { id, result: mcp_welcome(version), session: Some(session) }
            }
            (McpSaid::Discover, Some(id)) if stateless => {
                ToolReply::Here { id, result: mcp_discovered(), session: None }
            }
            // A client that knows no more than this version looks no further; others greet.
            (McpSaid::Discover, Some(id)) => ToolReply::NoMethod(id),
            (McpSaid::Ping, Some(id)) => {
                ToolReply::Here { id, result: "{}".to_owned(), session: None }
            }
            (McpSaid::Ask, Some(id)) => match session {
                Some(session) => self.ask_in(session, id, message, place).await,
                None if message.version.as_deref() != Some(MCP_STATELESS) => {
                    ToolReply::SessionRequired
                }
                None if stateless || server.is_none() => {
                    let link = Arc::new(McpSession::new());
                    let started = self.converse(converse(message, link), place).await;
                    over(Some(id), started)
                }
                None => other_version(Some(id), stateless),
            },
            (McpSaid::Cancelled(which), _) => {
                if let Some(session) = session {
                    session.take_back(&which);
                }
                ToolReply::Accepted
            }
            (McpSaid::Nothing, _) => ToolReply::Accepted,
            // It is recorded, and refused, as whatever a caller sends that is none of its dialect.
            (
                McpSaid::Malformed
                | McpSaid::Initialize(_)
                | McpSaid::Discover
                | McpSaid::Ping
                | McpSaid::Ask,
                id,
            ) => {
                let link = Arc::new(McpSession::new());
                over(id, self.converse(converse(message, link), place).await)
            }
        }
    }

    /// Ends a session of a client's; `false` when there is none.
    pub fn end_tool_session(
        self: &Arc<Self>,
        principal: &Principal,
        server: &str,
        id: &str,
    ) -> bool {
        // Only whose it is takes it away.
        if self.tool_sessions.find(id, principal, server).is_none() {
            return false;
        }
        if let Some(session) = self.tool_sessions.remove(id) {
            self.leave(session);
        }
        true
    }

    /// Begins a session, at the server first.
    async fn begin(
        self: &Arc<Self>,
        id: McpRequestId,
        message: ToolMessage,
        place: Place,
    ) -> ToolReply {
        let link = Arc::new(McpSession::new());
        let session = Session::new(message.principal.key(), &message.server, Arc::clone(&link));
        let started = self.converse(converse(message, link), place).await;
        let answered = matches!(
            &started,
            Started::Ended(Ended { released: Some(it), .. }) if matches!(it.1, Outcome::Answered(_))
        );
        let mut reply = over(Some(id), started);
        if let ToolReply::Ended { session: begun, .. } = &mut reply
            && answered
        {
            *begun = Some(self.hold(session));
        }
        reply
    }

    /// Asks in a session, until the client takes the request back.
    async fn ask_in(
        self: &Arc<Self>,
        session: Arc<Session>,
        id: McpRequestId,
        message: ToolMessage,
        place: Place,
    ) -> ToolReply {
        let name = message.session.clone();
        let asked = converse(message, Arc::clone(&session.link));
        let started = session.unless_taken_back(&id, self.converse(asked, place)).await;
        if session.link.has_ended()
            && let Some(name) = name
        {
            drop(self.tool_sessions.remove(&name));
        }
        // The exchange runs to its recorded end by itself.
        started.map_or(ToolReply::Accepted, |started| over(Some(id), started))
    }

    /// Keeps a session, and ends those that had to go for it.
    fn hold(self: &Arc<Self>, session: Arc<Session>) -> String {
        let (id, gone) = self.tool_sessions.keep(session, &*self.entropy);
        for session in gone {
            self.leave(session);
        }
        id
    }

    /// Tells the server that a session is over, if the path to it is covered now. Nothing of the client's
    /// is in what it is told.
    fn leave(self: &Arc<Self>, session: Arc<Session>) {
        let house = Arc::clone(self);
        self.tasks.spawn(async move {
            let in_force = house.in_force.load_full();
            let Some(destination) = server(in_force.as_ref(), &session.server) else { return };
            let Some(in_force) = &in_force else { return };
            let features = Features {
                api: Api::Mcp.as_str(),
                model: destination.id(),
                modality: "text",
                capabilities: PLAIN,
            };
            let covered = in_force.rules.cover(destination, &features, house.clock.now());
            let (Ok(path), Some(wire)) = (covered, in_force.wires.get(destination.id())) else {
                return;
            };
            house.providers.end_tools(&path, wire, &session.link).await;
        });
    }
}

/// The message as an exchange. A session is a conversation: what was put in the place of an identifier in
/// one call means the same in the next.
fn converse(message: ToolMessage, link: Arc<McpSession>) -> Converse {
    let model = Some(Text::new(message.server));
    Converse {
        principal: message.principal,
        api: Api::Mcp,
        addressed: Addressed { model, session: Some(link), ..Addressed::default() },
        body: message.body,
        purpose: message.purpose,
        conversation: message.conversation.or_else(|| message.session.map(Text::new)),
        patient: message.patient,
        justification: message.justification,
        traceparent: message.traceparent,
        earlier: Earlier::default(),
    }
}

fn other_version(id: Option<McpRequestId>, stateless: bool) -> ToolReply {
    let supported = stateless.then_some(MCP_STATELESS).into_iter().chain(MCP_HANDSHAKES);
    ToolReply::OtherVersion { id, supported: supported.collect() }
}

fn over(id: Option<McpRequestId>, started: Started) -> ToolReply {
    match started {
        Started::Ended(ended) => ToolReply::Ended { id, ended, session: None },
        Started::Limited(limited) => ToolReply::Limited { id, limited },
        // Fail closed: no tool answers in a stream or in the background, so there is nothing to show.
        Started::Streamed(streamed) => unshown(id, streamed.about.exchange),
        Started::Begun(begun) => unshown(id, begun.about.exchange),
    }
}

const fn unshown(id: Option<McpRequestId>, exchange: ExchangeId) -> ToolReply {
    ToolReply::Ended { id, ended: Ended { exchange, released: None }, session: None }
}
