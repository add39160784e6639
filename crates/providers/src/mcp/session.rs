//! What Bulla and a server of tools agreed on, and one request between them.

use super::{HANDSHAKES, Method};
use reqwest::header::HeaderValue;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

/// The longest id of a session that a server may give: some give signed documents.
const MAX_SESSION_ID_BYTES: usize = 1024;

/// One session of a client's with one server.
///
/// It counts its requests itself, so that no id of a client's leaves, and no two clients share one.
#[derive(Debug, Default)]
pub struct McpSession {
    asked: AtomicU64,
    greeted: OnceLock<Greeted>,
    ended: AtomicBool,
}

/// What came of the handshake.
#[derive(Clone)]
pub(super) struct Greeted {
    /// The server's own id of the session, when it keeps sessions.
    pub(super) id: Option<HeaderValue>,
    /// The version of the protocol that is spoken.
    pub(super) version: &'static str,
}

impl fmt::Debug for Greeted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Greeted({})", self.version)
    }
}

impl McpSession {
    /// A session in which nothing was said.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether the server no longer knows it, so that it must begin anew.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::Relaxed);
    }

    /// The id of the next request.
    pub(super) fn next(&self) -> u64 {
        self.asked.fetch_add(1, Ordering::Relaxed).saturating_add(1)
    }

    pub(super) fn greeted(&self) -> Option<&Greeted> {
        self.greeted.get()
    }

    /// Notes what came of the handshake; `false` when it cannot be used, or there was one before.
    pub(super) fn greet(&self, id: Option<&HeaderValue>, version: &str) -> bool {
        let Some(version) = HANDSHAKES.into_iter().find(|known| *known == version) else {
            return false;
        };
        let id = match id {
            Some(id) if id.len() > MAX_SESSION_ID_BYTES || id.to_str().is_err() => return false,
            Some(id) => {
                let mut id = id.clone();
                id.set_sensitive(true);
                Some(id)
            }
            None => None,
        };
        self.greeted.set(Greeted { id, version }).is_ok()
    }
}

/// One request to a server of tools.
#[derive(Debug)]
pub(crate) struct Asking {
    pub(super) session: Arc<McpSession>,
    pub(super) method: Method,
    /// The id of the request, which its answer must have.
    pub(super) id: u64,
    /// The version in which a session is answered to the client.
    pub(super) answered_in: &'static str,
    /// How the server was spoken to, once it was, so that the request can be taken back.
    pub(super) posted: Mutex<Option<super::wire::Post>>,
}

impl Asking {
    pub(super) fn new(session: Arc<McpSession>, method: Method, answered_in: &'static str) -> Self {
        let id = session.next();
        Self { session, method, id, answered_in, posted: Mutex::default() }
    }
}
