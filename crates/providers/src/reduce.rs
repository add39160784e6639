//! A request whose one turn is reduced before it goes on: which text that is, and the request with
//! another in its place.

use crate::request::Request;
use crate::turns::Conversation;
use gate::prompt::PromptPart;
use gate::shape::PartId;
use phi::Text;

impl Request {
    /// The pieces of text of the one turn that is asked, when there is one alone and it is all text.
    #[must_use]
    pub fn only_turn(&self, parts: &[PromptPart]) -> Option<Vec<PartId>> {
        let conversation = Conversation::read(self.api(), self.stream(), self.shape(), parts);
        conversation.ok().and_then(|conversation| conversation.only_turn())
    }

    /// The same request as its caller would have written it with `text` in the place of its turn.
    #[must_use]
    pub fn with_turn(&self, parts: &[PromptPart], turn: &[PartId], text: &Text) -> Text {
        let said = |part: PartId| match turn.iter().position(|it| *it == part) {
            Some(0) => text.expose(),
            Some(_) => "",
            None => parts.get(part).map_or("", |part| part.text.expose()),
        };
        self.shape().document(self.model().expose(), &said)
    }
}
