//! The turn that a request goes on from.
//!
//! `previous_response_id` means something here only. The turn that it names is put before what is asked, in
//! its caller's own words, and then all of it is one prompt like any other: it is searched, decided on,
//! treated and recorded as a whole.

use super::{NoResponse, Why, items};
use crate::converse::{Converse, Unread, conversation_id};
use crate::house::House;
use crate::limits::Place;
use gate::rules::{Api, Keep};
use gate::shape::Json;
use gate::{Code, Control, Refusal};
use ledger::{About, ConversationId, ExchangeId, Hash};
use phi::Text;
use phi::surrogate::{NotRemembered, SurrogateMap};
use providers::exchange_of;
use std::sync::Arc;

/// The member of a request that names the turn before it.
const PREVIOUS: &str = "previous_response_id";

/// The member that says that it runs on without its caller.
const BACKGROUND: &str = "background";

/// The longest request after the turns before it were put into it: the longest that a caller could have
/// sent itself.
const MAX_CHAIN_BYTES: usize = 4 << 20;

/// Items of a request with those of all turns before it. Each turn has two at least, so that no chain has
/// more than half as many turns.
const MAX_CHAIN_ITEMS: usize = 2048;

/// What is known of the turn that a request goes on from. A surface knows nothing of it: it has
/// [`Earlier::default`].
#[derive(Clone, Debug, Default)]
pub struct Earlier(Found);

#[derive(Clone, Debug, Default)]
enum Found {
    /// It names none.
    #[default]
    None,
    Turn(Arc<Turn>),
    /// It names one that it cannot go on from.
    Unread(Unread),
}

#[derive(Debug)]
struct Turn {
    conversation: Option<ConversationId>,
    patient: Option<Hash>,
    /// What stood for what in it, when it is in no conversation.
    surrogates: Vec<Text>,
}

impl Earlier {
    fn turn(&self) -> Option<&Turn> {
        match &self.0 {
            Found::Turn(turn) => Some(turn),
            Found::None | Found::Unread(_) => None,
        }
    }

    /// The conversation that goes on.
    pub(crate) fn conversation(&self) -> Option<ConversationId> {
        self.turn()?.conversation
    }

    /// The patient whom it is about.
    pub(crate) fn patient(&self) -> Option<Hash> {
        self.turn()?.patient
    }

    /// Why the request goes no further.
    pub(crate) const fn unread(&self) -> Option<&Unread> {
        match &self.0 {
            Found::Unread(unread) => Some(unread),
            Found::None | Found::Turn(_) => None,
        }
    }

    /// The surrogates that keep their meaning outside of a conversation.
    pub(crate) fn surrogates(&self) -> Result<SurrogateMap, NotRemembered> {
        let mut map = SurrogateMap::new();
        for entry in self.turn().map(|turn| turn.surrogates.as_slice()).unwrap_or_default() {
            map.remember(entry.expose())?;
        }
        Ok(map)
    }
}

impl House {
    /// Takes over what a request for a response leaves to the house: it puts the turns before it into it, and
    /// lets it run without its caller.
    pub(crate) async fn taken_over(&self, mut request: Converse, place: &mut Place) -> Converse {
        // A name that is written with escapes is refused by the table of fields.
        let body = std::str::from_utf8(&request.body).unwrap_or_default();
        let named = body.contains(PREVIOUS) || body.contains(BACKGROUND);
        if request.api != Api::Responses || !named {
            return request;
        }
        // What is no document is refused when it is taken apart.
        let Ok(json) = Json::parse(&request.body) else { return request };
        if matches!(json.member(BACKGROUND), Some(Json::Bool(true))) {
            if let Err(unread) = self.in_background(&request, &json, place) {
                request.earlier = Earlier(Found::Unread(unread));
                return request;
            }
            request.addressed.background = true;
        }
        match self.retold(&request, json, place).await {
            Ok(None) => {}
            Ok(Some(Retold { body, previous, turn })) => {
                request.body = body;
                request.addressed.previous = Some(previous);
                request.earlier = Earlier(Found::Turn(Arc::new(turn)));
            }
            Err(unread) => request.earlier = Earlier(Found::Unread(unread)),
        }
        request
    }

    /// Whether a request may run without its caller.
    fn in_background(
        &self,
        request: &Converse,
        json: &Json,
        place: &mut Place,
    ) -> Result<(), Unread> {
        let is =
            |name: &str, wanted| matches!(json.member(name), Some(Json::Bool(it)) if *it == wanted);
        let keep = self.in_force.load().as_ref().map(|it| it.rules.keep()).unwrap_or_default();
        if keep == Keep::Digests {
            return Err(refused(
                Code::ContentNotKept,
                "The organisation keeps digests of content and no content, so nobody could get the answer of a response in the background.",
            ));
        }
        if is("store", false) || is("stream", true) {
            return Err(refused(
                Code::InvalidRequest,
                "A response runs in the background only where it is stored, and not as a stream.",
            ));
        }
        let stays = self.stay(&request.principal, place);
        stays.map_err(|_| {
            refused(Code::Overloaded, "There is no room for one more response in the background.")
        })
    }

    async fn retold(
        &self,
        request: &Converse,
        mut json: Json,
        place: &mut Place,
    ) -> Result<Option<Retold>, Unread> {
        let id = match json.member(PREVIOUS) {
            None | Some(Json::Null) => return Ok(None),
            Some(Json::Text(id)) => id.clone(),
            Some(Json::Bool(_) | Json::Number(_) | Json::List(_) | Json::Map(_)) => {
                return Err(refused(
                    Code::InvalidRequest,
                    "The value at previous_response_id is not what the dialect allows there.",
                ));
            }
        };
        let previous = exchange_of(id.expose()).ok_or(NoResponse::Unknown)?;
        let principal = &request.principal;
        let _turn = self.openings.acquire().await;
        let kept = self.kept_response(principal, id.expose()).await?;
        self.same_matter(request, &kept.outcome.about).await?;
        let room = self.make_room(principal, place, kept.bytes()).await;
        room.map_err(|_| refused(Code::Overloaded, "There is no room for the turns before."))?;
        let opened = self.opened(principal, &kept, Why::GoOn).await?;
        let mut told = items::written(&opened.content)?;
        told.extend(items::said(&opened.response));
        put_before(&mut json, told)?;
        let body = json.to_text().into_exposed().into_bytes();
        if body.len() > MAX_CHAIN_BYTES {
            return Err(too_long());
        }
        let About { conversation, patient, .. } = kept.outcome.about;
        let surrogates =
            if conversation.is_none() { opened.content.surrogates } else { Vec::new() };
        Ok(Some(Retold { body, previous, turn: Turn { conversation, patient, surrogates } }))
    }

    /// A turn goes on in its own conversation and about its own patient: what was said in one does not get
    /// into another.
    async fn same_matter(&self, request: &Converse, about: &About) -> Result<(), Unread> {
        if let Some(name) = request.conversation.as_ref().filter(|name| !name.is_empty()) {
            let held = self.content_keys.held().await.map_err(|_| Unread::Failed(Control::Keys))?;
            let named = conversation_id(&held, &request.principal, name);
            if about.conversation != Some(named) {
                return Err(refused(
                    Code::InvalidRequest,
                    "The previous response is not of the conversation that the request names.",
                ));
            }
        }
        if let Some(patient) = request.patient.as_ref().filter(|patient| !patient.is_empty()) {
            let named = self.patient_name(patient).await;
            let named = named.map_err(|_| Unread::Failed(Control::Keys))?;
            if about.patient.is_some_and(|patient| patient != named) {
                return Err(refused(
                    Code::InvalidRequest,
                    "The previous response is about another patient than the request names.",
                ));
            }
        }
        Ok(())
    }
}

/// A request with the turns before it in it.
struct Retold {
    body: Vec<u8>,
    previous: ExchangeId,
    turn: Turn,
}

/// Puts items before those of the request. One without an input is refused when it is taken apart.
fn put_before(request: &mut Json, mut items: Vec<Json>) -> Result<(), Unread> {
    let Json::Map(members) = request else { return Ok(()) };
    let Some((_, input)) = members.iter_mut().find(|(name, _)| name.expose() == "input") else {
        return Ok(());
    };
    let Some(asked) = items::of_input(std::mem::replace(input, Json::Null)) else { return Ok(()) };
    items.extend(asked);
    if items.len() > MAX_CHAIN_ITEMS {
        return Err(too_long());
    }
    *input = Json::List(items);
    Ok(())
}

const fn refused(code: Code, message: &'static str) -> Unread {
    Unread::Refused(Refusal::fixed(code, message))
}

const fn too_long() -> Unread {
    refused(
        Code::TooLarge,
        "With the turns before it the request is longer than a request may be. Begin anew.",
    )
}

impl From<NoResponse> for Unread {
    fn from(error: NoResponse) -> Self {
        match error {
            NoResponse::Unknown
            | NoResponse::NotRunning
            | NoResponse::NoStream
            | NoResponse::UnknownItem(_) => refused(
                Code::PreviousResponseNotFound,
                "There is no previous response of that id for this API key.",
            ),
            NoResponse::NotKept => refused(
                Code::ContentNotKept,
                "The organisation keeps digests of content and no content, so no request can go on from an earlier response. Send the turns before with the request.",
            ),
            NoResponse::NoRules => {
                refused(Code::PhiBlocked, "No configuration is in force, so nothing may leave.")
            }
            NoResponse::Keys(_) => Self::Failed(Control::Keys),
            NoResponse::Read(error) => {
                tracing::error!(%error, "an earlier response cannot be read");
                // What could not be recorded or read ends as a log that cannot be had does.
                Self::Failed(Control::Audit)
            }
        }
    }
}
