//! Finding records: by who acted, on whose behalf, when, and what came of it.
//!
//! Each search is recorded, with the names of what it was asked by and never the values: who looks for
//! whom would itself be PHI.

use crate::feed::Logged;
use crate::house::{Error, House};
use crate::keys::KeysError;
use gate::rules::LineFormat;
use ledger::{
    Actor, ActorKind, ConversationId, Entry, Event, ExchangeId, Hash, MalformedRecord, Record, Time,
};
use phi::Text;
use std::collections::BTreeMap;
use store::{Sought, Term};

/// Records that one search gives out at most.
pub const MAX_FOUND: usize = 10_000;

/// What is done to the content of an exchange or conversation after it, by its id.
const DONE_TO_CONTENT: [&str; 4] =
    ["answer.withdrawn", "content.disposed", "content.read", "hold.placed"];

/// What to search by. A record is found when all that is given fits.
#[derive(Clone, Debug, Default)]
pub struct Search {
    /// The owner of the API key that acted.
    pub owner: Option<String>,
    /// Who acted, by name or by id: an owner, an operator.
    pub person: Option<String>,
    /// Not before this time.
    pub since: Option<Time>,
    /// Before this time.
    pub until: Option<Time>,
    /// The surface.
    pub surface: Option<String>,
    /// The decision.
    pub decision: Option<String>,
    /// The outcome.
    pub outcome: Option<String>,
    /// The kind of record.
    pub kind: Option<String>,
    /// The destination.
    pub destination: Option<String>,
    /// The conversation.
    pub conversation: Option<ConversationId>,
    /// The exchange.
    pub exchange: Option<ExchangeId>,
    /// A patient, by the reference that callers name: finds the exchanges that were about that patient,
    /// and what was done to them since.
    pub patient: Option<Text>,
    /// Not before this position.
    pub from: u64,
    /// Records to give out; at most [`MAX_FOUND`].
    pub limit: usize,
    /// Reads every record instead of believing the index.
    pub scan: bool,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Found {
    /// Records as lines of JSON with their leaf hashes, in order.
    pub lines: Vec<String>,
    /// There may be more from this position on.
    pub next: Option<u64>,
}

/// A search could not be answered.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// The organisation left, and the key that patients are named with is destroyed.
    #[error(
        "a search for a patient cannot be answered: the organisation has left, and the key that \
         patients are named with is destroyed"
    )]
    Unanswerable,
    /// More is about the patient than one search gives out.
    #[error("more is about this patient than one search gives out; say since when, and until when")]
    TooMany,
    /// A record of the log does not parse.
    #[error("the log is broken at position {seq}: it is no record")]
    Malformed {
        /// Its position.
        seq: u64,
    },
    /// The house failed.
    #[error(transparent)]
    House(#[from] Error),
}

impl From<store::Error> for SearchError {
    fn from(error: store::Error) -> Self {
        Self::House(error.into())
    }
}

fn unanswered(error: KeysError) -> SearchError {
    match error {
        KeysError::Gone => SearchError::Unanswerable,
        KeysError::Service(_) | KeysError::Store(_) | KeysError::Unsealable(_) => {
            Error::from(error).into()
        }
    }
}

impl Search {
    /// The names of what is searched by, sorted.
    fn filters(&self) -> Vec<String> {
        let given = [
            ("conversation", self.conversation.is_some()),
            ("decision", self.decision.is_some()),
            ("destination", self.destination.is_some()),
            ("exchange", self.exchange.is_some()),
            ("kind", self.kind.is_some()),
            ("outcome", self.outcome.is_some()),
            ("owner", self.owner.is_some()),
            ("patient", self.patient.is_some()),
            ("person", self.person.is_some()),
            ("since", self.since.is_some()),
            ("surface", self.surface.is_some()),
            ("until", self.until.is_some()),
        ];
        given.into_iter().filter(|(_, given)| *given).map(|(name, _)| name.to_owned()).collect()
    }

    /// What the index knows of it; the patient apart.
    fn terms(&self) -> Vec<Term> {
        let mut terms = Vec::new();
        // What is in few records first.
        terms.extend(self.exchange.map(Term::exchange));
        terms.extend(self.conversation.map(Term::conversation));
        terms.extend(self.owner.as_deref().map(Term::who));
        terms.extend(self.person.as_deref().map(Term::who));
        terms.extend(self.destination.as_deref().map(Term::destination));
        terms.extend(self.decision.as_deref().map(Term::decision));
        terms.extend(self.outcome.as_deref().map(Term::outcome));
        terms.extend(self.kind.as_deref().map(Term::kind));
        terms.extend(self.surface.as_deref().map(Term::surface));
        terms
    }

    /// Whether a record fits; the patient apart.
    fn fits(&self, record: &Record) -> bool {
        let event = &record.event;
        let is = |wanted: &Option<String>, said: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| said == Some(wanted))
        };
        let actor = event.actor();
        let owner = actor.filter(|actor| actor.kind == ActorKind::ApiKey);
        let person = self.person.as_deref().is_none_or(|person| {
            actor.is_some_and(|actor| actor.id == person || actor.name == person)
        });
        let about = event.about();
        let outcome =
            if let Event::Outcome(outcome) = event { Some(outcome.outcome.as_str()) } else { None };
        record.seq >= self.from
            && self.since.is_none_or(|since| record.time >= since)
            && self.until.is_none_or(|until| record.time < until)
            && is(&self.owner, owner.map(|owner| owner.name.as_str()))
            && person
            && is(&self.kind, Some(event.kind()))
            && is(&self.surface, about.map(|about| about.surface.as_str()))
            && is(&self.decision, about.and_then(|about| about.decision.as_deref()))
            && is(&self.destination, about.and_then(|about| about.destination.as_deref()))
            && is(&self.outcome, outcome)
            && self.conversation.is_none_or(|it| event.conversation() == Some(it))
            && self.exchange.is_none_or(|it| event.exchange() == Some(it))
    }
}

impl House {
    /// Searches the log. That it was searched, by what and with how many results, is recorded before
    /// anything is given out.
    ///
    /// # Errors
    /// [`SearchError`].
    pub async fn search(&self, search: &Search, actor: Actor) -> Result<Found, SearchError> {
        // One search at a time, so that prompts never wait for readers of the log.
        let _turn = self.searching.lock().await;
        let size = self.tenant.head().await?.size();
        let found = match &search.patient {
            Some(reference) => {
                let patient = self.patient_name(reference).await.map_err(unanswered)?;
                self.about_patient(search, patient, size).await?
            }
            None => self.fitting(search, size).await?,
        };
        let count = found.lines.len() as u64;
        let event = Event::Searched { actor, filters: search.filters(), count };
        let entry = Entry::bare(self.clock.now(), event);
        self.tenant.append_with(entry, Vec::new()).await.map_err(Error::from)?;
        Ok(found)
    }

    async fn fitting(&self, search: &Search, size: u64) -> Result<Found, SearchError> {
        let limit = search.limit.min(MAX_FOUND);
        let mut found = Found::default();
        self.each_candidate(search.terms(), search, size, |logged| {
            if !search.fits(logged.record()) {
                return true;
            }
            if found.lines.len() == limit {
                found.next = Some(logged.record().seq);
                return false;
            }
            found.lines.push(logged.line(LineFormat::Jsonl));
            true
        })
        .await?;
        Ok(found)
    }

    /// Everything about a patient: the exchanges that were about that patient, who opened their content,
    /// and what of it was held or disposed of.
    async fn about_patient(
        &self,
        search: &Search,
        patient: Hash,
        size: u64,
    ) -> Result<Found, SearchError> {
        let mut lines: BTreeMap<u64, String> = BTreeMap::new();
        // Exchanges and conversations, and where each is first named.
        let mut units: BTreeMap<Term, u64> = BTreeMap::new();
        // The exchanges themselves, whenever they were: what was done to them may be newer.
        let all = Search { scan: search.scan, ..Search::default() };
        self.each_candidate(vec![Term::patient(patient)], &all, size, |logged| {
            let record = logged.record();
            let about = record.event.about().filter(|about| about.patient == Some(patient));
            let Some(about) = about else { return true };
            units.entry(Term::exchange(about.exchange)).or_insert(record.seq);
            if let Some(conversation) = about.conversation {
                units.entry(Term::conversation(conversation)).or_insert(record.seq);
            }
            if search.fits(record) {
                lines.insert(record.seq, logged.line(LineFormat::Jsonl));
            }
            units.len() <= MAX_FOUND && lines.len() <= MAX_FOUND
        })
        .await?;
        let add = |lines: &mut BTreeMap<u64, String>, logged: &Logged| {
            let event = &logged.record().event;
            let named = event.exchange().map(Term::exchange);
            let named = named.or_else(|| event.conversation().map(Term::conversation));
            // Another patient's exchange of the same conversation is not about this one.
            let apart = event.about().is_none() && named.is_some_and(|it| units.contains_key(&it));
            if apart && search.fits(logged.record()) {
                lines.insert(logged.record().seq, logged.line(LineFormat::Jsonl));
            }
            lines.len() <= MAX_FOUND
        };
        if search.scan {
            self.each_candidate(Vec::new(), &all, size, |logged| add(&mut lines, logged)).await?;
        } else {
            for (unit, first) in &units {
                for kind in DONE_TO_CONTENT {
                    if units.len() > MAX_FOUND || lines.len() > MAX_FOUND {
                        return Err(SearchError::TooMany);
                    }
                    let terms = vec![unit.clone(), Term::kind(kind)];
                    let since = Search { from: *first, ..Search::default() };
                    self.each_candidate(terms, &since, size, |logged| add(&mut lines, logged))
                        .await?;
                }
            }
        }
        if units.len() > MAX_FOUND || lines.len() > MAX_FOUND {
            return Err(SearchError::TooMany);
        }
        let limit = search.limit.min(MAX_FOUND);
        let next = lines.keys().nth(limit).copied();
        Ok(Found { lines: lines.into_values().take(limit).collect(), next })
    }

    /// Visits the records that the index leaves over, in order, until `visit` says that it is enough.
    async fn each_candidate(
        &self,
        terms: Vec<Term>,
        search: &Search,
        size: u64,
        mut visit: impl FnMut(&Logged) -> bool,
    ) -> Result<(), SearchError> {
        let (since, until, scan, from) = (search.since, search.until, search.scan, search.from);
        let sought = Sought { terms, since, until, scan };
        let mut next = Some(from);
        while let Some(from) = next {
            let candidates = self.tenant.candidates(&sought, from, size).await?;
            for (seq, bytes) in candidates.records {
                let logged = Logged::parse(bytes)
                    .map_err(|_: MalformedRecord| SearchError::Malformed { seq })?;
                if !visit(&logged) {
                    return Ok(());
                }
            }
            next = candidates.next;
        }
        Ok(())
    }
}
