//! Answers that are kept for a while, to be given again to whoever got them, and to nobody else.
//!
//! Off unless the governed file says otherwise. What is kept is found under a keyed hash of its scope and of
//! the whole request, and sealed under a key derived from the same, so that whoever is not its owner neither
//! finds it nor opens it. If anybody ever finds another's, that is recorded, nothing is shown, and nothing is
//! kept from then on ([decision 032](../../../../docs/decisions/032-cache.md)).
//!
//! Everything is in memory: a restart begins with nothing.

mod canonical;
#[cfg(test)]
mod tests;

use crate::house::{House, InForce};
use crate::keys::Held;
use gate::exchange::{Caller, Cleared, Departed, Ended, Exchange, Question};
use gate::policy::Decision;
use gate::prompt::Answer;
use gate::rules::{Api, Rules};
use ledger::seal::{ContentKey, Unsealable};
use ledger::{ContentClass, ContentKeyId, Entropy, Entry, Event, ExchangeId, Hash};
use phi::Text;
use phi::surrogate::SurrogateMap;
use providers::{Reading, Request};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use zeroize::Zeroizing;

/// A larger answer is not kept: it would push many others out.
const MAX_KEPT_BYTES: usize = 1 << 20;

/// Answers that are kept at most, beside the bytes that the file allows: each costs a place in two maps.
const MAX_KEPT: usize = 65_536;

/// What a kept answer costs beside its sealed bytes: the hash, the places in both maps, the time.
const OVERHEAD_BYTES: usize = 160;

/// What keeps the names that are found by apart from the keys that are sealed under.
const NAME: &str = "cache";
const KEY: &str = "cache key";

/// Who asks what, before it is known where that goes.
pub(crate) struct Asking {
    scope: Vec<u8>,
    request: Hash,
    route: String,
}

/// Who asks what of whom: where the answer is kept, and what opens it.
pub(crate) struct Place {
    name: Hash,
    key: ContentKey,
    /// What the seal is bound to: the scope, beside the key that is of the scope alone.
    bound: Hash,
    owner: Hash,
    route: String,
    ttl: Duration,
    limit: usize,
}

/// An answer that was kept, ready to be given again.
pub(crate) struct Again {
    answer: Answer,
    map: SurrogateMap,
}

/// An answer, sealed, until it is known that it was one.
pub(crate) struct Sealed {
    name: Hash,
    bytes: Vec<u8>,
    ttl: Duration,
    limit: usize,
}

/// How it was noticed that what was found is another's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mismatch {
    /// It does not open under the key of whoever found it.
    Sealed,
    /// It opens, and names another owner.
    Owner,
}

impl Mismatch {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Sealed => "sealed",
            Self::Owner => "owner",
        }
    }
}

/// What a kept answer holds, inside its seal.
struct Content {
    owner: Hash,
    /// The exchange that it was the answer of. When that can no longer be read, nor can this.
    of: ExchangeId,
    received: Text,
    surrogates: Vec<Text>,
}

struct Kept {
    sealed: Vec<u8>,
    until: Instant,
    number: u64,
}

#[derive(Default)]
struct Answers {
    kept: BTreeMap<Hash, Kept>,
    /// The same by age.
    by_age: BTreeMap<u64, Hash>,
    bytes: usize,
    next: u64,
    /// The rules under which all of it was kept.
    policy: Option<Hash>,
    /// Nothing is kept any more.
    shut: bool,
}

/// The answers that are kept.
#[derive(Default)]
pub(crate) struct Cache {
    answers: Mutex<Answers>,
    #[cfg(test)]
    weak: tests::Weak,
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cache")
    }
}

/// Adds a piece with its length, so that no two lists of pieces read alike.
fn put(to: &mut Vec<u8>, piece: &[u8]) {
    to.extend_from_slice(&(piece.len() as u64).to_be_bytes());
    to.extend_from_slice(piece);
}

/// The same for a piece that may be absent, which is not the same as an empty one.
fn put_maybe(to: &mut Vec<u8>, piece: Option<&[u8]>) {
    to.push(u8::from(piece.is_some()));
    put(to, piece.unwrap_or_default());
}

impl Asking {
    /// Who asks what, when answers of the route are kept. What is streamed is not, nor what a caller
    /// can come back to by its id, nor what a tool says: it did something, which an answer given again
    /// would not do.
    pub(crate) fn of(
        rules: &Rules,
        route: &str,
        caller: &Caller,
        question: &Question,
        request: &Request,
        written: &Text,
    ) -> Option<Self> {
        rules.cache().filter(|caching| caching.is_of(route))?;
        if request.stream() || matches!(request.api(), Api::Responses | Api::Mcp) {
            return None;
        }
        let mut scope = Vec::with_capacity(512);
        put(&mut scope, caller.actor.id.as_bytes());
        put(&mut scope, caller.actor.name.as_bytes());
        put(&mut scope, caller.surface.as_bytes());
        put_maybe(&mut scope, caller.purpose.as_deref().map(str::as_bytes));
        put_maybe(&mut scope, question.conversation.as_ref().map(|it| it.as_bytes().as_slice()));
        put_maybe(&mut scope, question.patient.as_ref().map(|it| it.as_bytes().as_slice()));
        let justification = question.justification.as_ref();
        put_maybe(&mut scope, justification.map(|it| it.expose().as_bytes()));
        put_maybe(&mut scope, question.reduced_by.as_ref().map(|it| it.as_bytes().as_slice()));
        put(&mut scope, rules.sha256().as_bytes());
        put(&mut scope, route.as_bytes());
        put(&mut scope, request.api().as_str().as_bytes());
        let request = canonical::digest(written)?;
        Some(Self { scope, request, route: route.to_owned() })
    }

    /// Where the answer of the destination that was decided on is kept.
    fn place(
        mut self,
        rules: &Rules,
        decision: &Decision,
        called: Api,
        log: ledger::LogId,
        held: &Held,
    ) -> Option<Place> {
        let caching = rules.cache()?;
        put(&mut self.scope, log.to_string().as_bytes());
        put(&mut self.scope, decision.destination().id().as_bytes());
        put(&mut self.scope, decision.model().as_bytes());
        put(&mut self.scope, called.as_str().as_bytes());
        put(&mut self.scope, decision.label().as_bytes());
        for (class, treatment) in decision.treatments() {
            put(&mut self.scope, class.as_bytes());
            put(&mut self.scope, treatment.as_str().as_bytes());
        }
        let pieces = [self.scope.as_slice(), self.request.as_bytes()];
        let key = Zeroizing::new(*held.name(KEY, &pieces).as_bytes());
        Some(Place {
            name: held.name(NAME, &pieces),
            key: ContentKey::from_bytes(ContentKeyId::from_bytes([0; 16]), key),
            bound: Hash::of(&self.scope),
            owner: Hash::of_all(pieces),
            route: self.route,
            ttl: Duration::from_secs(u64::from(caching.ttl_seconds())),
            limit: usize::try_from(caching.mib()).unwrap_or(usize::MAX).saturating_mul(1 << 20),
        })
    }
}

impl Place {
    fn binding(&self) -> String {
        format!("bulla-cache-1|{}|{}", self.name, self.bound)
    }

    fn seal(&self, content: &Content, entropy: &dyn Entropy) -> Sealed {
        let bytes = self.key.seal_small(&self.binding(), &content.to_bytes(), entropy);
        Sealed { name: self.name, bytes, ttl: self.ttl, limit: self.limit }
    }

    fn open(&self, sealed: &[u8]) -> Result<Content, Mismatch> {
        let opened = self.key.open_small(&self.binding(), sealed);
        let content = opened.and_then(|bytes| Content::read(&bytes).ok_or(Unsealable));
        let content = content.map_err(|Unsealable| Mismatch::Sealed)?;
        // The seal says so already; it is asked again, because a wrong answer here is a disclosure.
        if content.owner == self.owner { Ok(content) } else { Err(Mismatch::Owner) }
    }
}

impl Content {
    fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let texts = || std::iter::once(&self.received).chain(&self.surrogates);
        // Room for all of it, so that no copy stays behind in a buffer that grew.
        let room = 64 + texts().map(|text| text.len() + 8).sum::<usize>();
        let mut bytes = Zeroizing::new(Vec::with_capacity(room));
        bytes.extend_from_slice(self.owner.as_bytes());
        bytes.extend_from_slice(self.of.as_bytes());
        for text in texts() {
            put(&mut bytes, text.expose().as_bytes());
        }
        bytes
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (owner, rest) = bytes.split_first_chunk::<32>()?;
        let (of, mut rest) = rest.split_first_chunk::<16>()?;
        let mut texts = Vec::new();
        while !rest.is_empty() {
            let (length, after) = rest.split_first_chunk::<8>()?;
            let length = usize::try_from(u64::from_be_bytes(*length)).ok()?;
            let (text, after) = after.split_at_checked(length)?;
            texts.push(Text::from(std::str::from_utf8(text).ok()?));
            rest = after;
        }
        let mut texts = texts.into_iter();
        let (owner, of) = (Hash::from_bytes(*owner), ExchangeId::from_bytes(*of));
        Some(Self { owner, of, received: texts.next()?, surrogates: texts.collect() })
    }
}

impl Answers {
    fn remove(&mut self, name: Hash) {
        if let Some(Kept { sealed, number, .. }) = self.kept.remove(&name) {
            self.bytes = self.bytes.saturating_sub(sealed.len() + OVERHEAD_BYTES);
            self.by_age.remove(&number);
        }
    }

    fn empty(&mut self) {
        (self.kept, self.by_age, self.bytes) = (BTreeMap::new(), BTreeMap::new(), 0);
    }

    /// Drops what is over.
    fn sweep(&mut self, now: Instant) {
        let over: Vec<Hash> =
            self.kept.iter().filter(|(_, it)| it.until <= now).map(|(name, _)| *name).collect();
        for name in over {
            self.remove(name);
        }
    }

    fn add(&mut self, Sealed { name, bytes: sealed, ttl, limit }: Sealed, now: Instant) {
        let bytes = sealed.len() + OVERHEAD_BYTES;
        if self.shut || sealed.len() > MAX_KEPT_BYTES || bytes > limit {
            return;
        }
        self.remove(name);
        while self.bytes + bytes > limit || self.kept.len() >= MAX_KEPT {
            // The oldest goes first; it is over first, too.
            let Some((_, oldest)) = self.by_age.pop_first() else { break };
            self.remove(oldest);
        }
        let number = self.next;
        self.next += 1;
        self.bytes += bytes;
        self.by_age.insert(number, name);
        self.kept.insert(name, Kept { sealed, until: now + ttl, number });
    }
}

impl Cache {
    fn answers(&self) -> MutexGuard<'_, Answers> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets all of it when other rules come into force.
    pub(crate) fn follow(&self, policy: Option<Hash>) {
        let mut answers = self.answers();
        if answers.policy != policy {
            answers.empty();
            answers.policy = policy;
        }
    }

    /// Forgets what is over.
    pub(crate) fn sweep(&self) {
        self.answers().sweep(Instant::now());
    }

    /// Bytes of memory that kept answers take.
    pub(crate) fn bytes(&self) -> u64 {
        self.answers().bytes as u64
    }

    fn find(&self, name: Hash) -> Option<Vec<u8>> {
        let answers = self.answers();
        let kept = answers.kept.get(&name).filter(|kept| kept.until > Instant::now())?;
        (!answers.shut).then(|| kept.sealed.clone())
    }

    fn shut(&self) {
        let mut answers = self.answers();
        answers.empty();
        answers.shut = true;
    }
}

impl House {
    /// Where the answer to a cleared exchange is kept; absent when none is, or when the keys are closed.
    pub(crate) async fn cache_place(
        &self,
        asking: Option<Asking>,
        in_force: &Arc<InForce>,
        decision: &Decision,
        cleared: &Exchange<Cleared>,
    ) -> Option<Place> {
        let asking = asking?;
        let held = self.content_keys.held().await.ok()?;
        let place = asking.place(&in_force.rules, decision, cleared.called(), self.log, &held);
        #[cfg(test)]
        let place = place.map(|place| self.cache.weak.weakened(place));
        place
    }

    /// What is kept there, when it is still to be given.
    pub(crate) async fn kept_answer(
        &self,
        place: &Place,
        called: Api,
        reading: &Reading,
    ) -> Option<Again> {
        let sealed = self.cache.find(place.name)?;
        match place.open(&sealed) {
            Ok(content) if self.is_readable(content.of).await => content.again(called, reading),
            Ok(_) => {
                self.cache.answers().remove(place.name);
                None
            }
            Err(mismatch) => {
                self.tell_mismatch(mismatch, &place.route).await;
                None
            }
        }
    }

    /// Whether what was sealed of an exchange can still be read. What was disposed of is not given again.
    async fn is_readable(&self, exchange: ExchangeId) -> bool {
        let Ok(Some(unit)) = self.tenant.unit_of(exchange).await else { return false };
        let Ok((_, keys)) = self.content_keys.open_unit(&unit).await else { return false };
        ContentClass::ALL.iter().all(|class| keys.get(*class).is_some())
    }

    /// Records that somebody found what is another's, and keeps nothing any more.
    async fn tell_mismatch(&self, mismatch: Mismatch, route: &str) {
        // First of all, so that nobody finds anything else meanwhile.
        self.cache.shut();
        tracing::error!(reason = mismatch.as_str(), route, "a kept answer was found by another");
        let reason = mismatch.as_str().to_owned();
        let event = Event::CacheMismatch { reason, route: route.to_owned() };
        let entry = Entry::bare(self.clock.now(), event);
        if let Err(error) = self.tenant.append_with(entry, Vec::new()).await {
            tracing::error!(%error, "that a kept answer was found by another is not recorded");
        }
    }

    /// Seals an answer for its place, before it is known whether it becomes one.
    pub(crate) fn seal_answer(
        &self,
        place: &Place,
        of: ExchangeId,
        departed: &Exchange<Departed>,
        answer: &Answer,
    ) -> Sealed {
        let received = answer.received.clone();
        let surrogates = departed.surrogates_in(&received);
        let content = Content { owner: place.owner, of, received, surrogates };
        place.seal(&content, &*self.entropy)
    }

    /// Keeps it, when it became one.
    pub(crate) fn keep_answer(&self, sealed: Option<Sealed>, over: &Exchange<Ended>) {
        if let Some(sealed) = sealed.filter(|_| over.outcome_name() == "answered") {
            self.cache.answers().add(sealed, Instant::now());
        }
    }
}

impl Content {
    /// The answer as it came, taken apart once more.
    fn again(self, called: Api, reading: &Reading) -> Option<Again> {
        let mut map = SurrogateMap::new();
        for entry in &self.surrogates {
            map.remember(entry.expose()).ok()?;
        }
        let answer = reading.whole(called, self.received.expose().as_bytes(), None).ok()?;
        // No model was used.
        Some(Again { answer: Answer { usage: None, ..answer }, map })
    }
}

impl Again {
    /// Ends the exchange with it.
    pub(crate) fn give(
        self,
        cleared: Exchange<Cleared>,
        detector: &phi::Detector,
    ) -> Exchange<Ended> {
        cleared.answer_again(self.answer, &self.map, detector)
    }
}
