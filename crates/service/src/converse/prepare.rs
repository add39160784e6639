//! Everything that is known of a request before its text is looked at: what it is in its dialect, whose
//! route and conversation it names, and under which keys it is sealed.

use super::{Asked, Continued, Converse, Prepared, Ready, Routed, Unread};
use crate::house::{House, InForce};
use crate::identity::Principal;
use crate::keys::{Held, KeysError};
use crate::limits::{Limited, Passage};
use crate::reduction::Reduction;
use crate::responses::Earlier;
use gate::exchange::{Caller, Question, Seal, surrogate_binding};
use gate::rules::{Api, Keep};
use gate::shape::Json;
use gate::{Code, Control, Refusal};
use ledger::seal::KeySet;
use ledger::{ContentClass, ConversationId, ExchangeId, Hash};
use phi::Text;
use phi::surrogate::SurrogateMap;
use providers::{Addressed, Asked as AskedBy, Request};
use std::sync::Arc;

/// The longest name that a caller may give a conversation.
const MAX_CONVERSATION_BYTES: usize = 256;

/// The longest reference that a caller may give a patient.
const MAX_PATIENT_BYTES: usize = 256;

/// The longest justification: a paragraph. It is for whoever reviews the log.
const MAX_JUSTIFICATION_BYTES: usize = 1024;

/// How long a conversation goes on under the keys of its beginning, in days.
const UNIT_DAYS: i64 = 30;

impl House {
    /// Everything that is known before the text is looked at.
    pub(super) async fn prepare(
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
            batch: None,
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
    pub(crate) async fn continue_conversation(
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
pub(crate) enum Unreadable {
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

/// Takes the request's JSON apart.
pub(crate) fn read(api: Api, addressed: Addressed, written: &Text) -> Result<AskedBy, Refusal> {
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
pub(crate) fn purpose_of(
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
