//! The label before a value in running text.

use crate::Class;
use crate::detect::cue;
use crate::detect::label::{Field, Label, Labels, Need};
use crate::detect::token::{Block, Gap, Kind, Phrase, is_connector};

/// The label before a value in running text.
#[derive(Clone, Copy)]
pub(in crate::detect) struct Context {
    pub(in crate::detect) label: Label,
    /// `number`, `#`, `:` or `=` stood between.
    pub(in crate::detect) marked: bool,
    /// `number` or `#` stood between.
    pub(in crate::detect) numbered: bool,
}

impl Context {
    pub(in crate::detect) fn class(self) -> Option<Class> {
        let enough = match self.label.need {
            Need::Nothing => true,
            Need::Mark => self.marked,
            Need::Number => self.numbered,
        };
        match self.label.field {
            _ if !enough => None,
            Field::Id(class) => Some(class),
            Field::Phone => Some(Class::Phone),
            Field::Fax => Some(Class::Fax),
            Field::Name
            | Field::NamePart
            | Field::NameOrPlace
            | Field::Date
            | Field::Age
            | Field::Address
            | Field::Place
            | Field::Zip
            | Field::State
            | Field::Whole(_)
            | Field::Code(_)
            | Field::Contact
            | Field::Reference
            | Field::Region
            | Field::Position
            | Field::Text(_)
            | Field::Person
            | Field::File
            | Field::Unknown
            | Field::Technical
            | Field::Neutral => None,
        }
    }

    pub(in crate::detect) fn is_neutral(self) -> bool {
        self.label.field == Field::Neutral
    }
}

/// Labels that are written with a full stop.
const ABBREVIATED: &[&str] = &[
    "ext", "acct", "acc", "tel", "lic", "ref", "rec", "hosp", "ser", "auth", "enc", "ph", "reg",
    "cert", "conf", "pol", "mob", "cel", "telf", "tfno", "geb", "fx", "pgr", "ord", "subj", "tlf",
];

/// Looks to the left of a token for a label, past words like `number is` and marks like `: #`.
pub(in crate::detect) fn context(block: &Block<'_>, labels: &Labels, i: usize) -> Option<Context> {
    /// A label further away belongs to something else.
    const MAX_BETWEEN: usize = 7;
    let mut k = i;
    let (mut numbered, mut marked) = (false, false);
    let mut gap = block.at(i).gap;
    for _ in 0..MAX_BETWEEN {
        k = k.checked_sub(1)?;
        let token = block.at(k);
        // A label may stand on the line before its value, but not with another line between.
        // A full stop belongs to `no.` or `ext.`; any other ends the sentence of the label.
        let stop = token.is_mark(b'.')
            && !block.before(k, 1).is(cue::NUMBER)
            && !(token.gap == Gap::None && block.word_is(k.wrapping_sub(1), ABBREVIATED));
        if !is_connector(token)
            || stop
            || (gap >= Gap::Line && block.at(k + 1).gap >= Gap::Line && k + 1 < i)
        {
            break;
        }
        if token.kind == Kind::Word
            && phrase_label(block, labels, k, false)
                .is_some_and(|l| l.need == Need::Nothing && l.field != Field::Neutral)
            && !token.is(cue::NUMBER)
        {
            break;
        }
        numbered |= token.is(cue::NUMBER) || token.is_mark(b'#');
        marked |= token.is_any_mark(b":=#") || token.is(cue::NUMBER);
        gap = gap.max(token.gap);
    }
    if block.at(k).kind == Kind::Possessive {
        return None;
    }
    // `ID: 987` has no other word before it: the number word is the label.
    let label = phrase_label(block, labels, k, numbered);
    if label.is_none() && numbered && marked {
        let named = (k..i).any(|j| block.word_is(j, &["id", "ids", "identifier"]));
        return named.then_some(Context {
            label: Label { field: Field::Id(Class::OtherId), need: Need::Nothing },
            marked: true,
            numbered: true,
        });
    }
    label.map(|label| Context { label, marked: marked || numbered, numbered })
}

/// The label whose last word is this token.
pub(crate) fn phrase_label(
    block: &Block<'_>,
    labels: &Labels,
    last: usize,
    numbered: bool,
) -> Option<Label> {
    if block.at(last).kind != Kind::Word || !labels.may_end(block.str(last).as_bytes()) {
        return None;
    }
    let mut first = last;
    for _ in 0..3 {
        let Some(before) = first.checked_sub(1) else { break };
        let token = block.at(before);
        if block.at(first).gap > Gap::Space {
            break;
        }
        match token.kind {
            Kind::Word => first = before,
            Kind::Possessive | Kind::Mark(b'-' | b'/')
                if before > 0 && block.before(before, 1).kind == Kind::Word =>
            {
                first = before - 1;
            }
            Kind::Possessive | Kind::Digits | Kind::Mixed | Kind::Mark(_) | Kind::Edge => break,
        }
    }
    let mut phrase = Phrase::new();
    for k in first..=last {
        match block.at(k).kind {
            Kind::Word => {
                phrase.push(block.str(k).as_bytes());
            }
            Kind::Possessive => {
                phrase.push(b"s");
            }
            Kind::Digits | Kind::Mixed | Kind::Mark(_) | Kind::Edge => {}
        }
    }
    labels.of_phrase(phrase.as_bytes(), numbered)
}
