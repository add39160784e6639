//! A tagger that was trained: what each token is, judged by its words and by those around it.

mod feature;
mod layer;
mod network;

pub(crate) use feature::{Features, ROWS};

use network::{Broken, Network, Scores};

use super::cue;
use super::label::Field;
use super::structure::Value;
use super::token::{Block, Case, Gap, Kind, Token};
use crate::{Class, Confidence, Finding};

/// What a token can be. Classes that only a number's form or label tells apart are one here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tag {
    /// No part of an identifier.
    Outside,
    /// A person's name.
    Name,
    /// A place, or an organisation that is one.
    Location,
    /// A date.
    Date,
    /// An age.
    Age,
    /// A way to reach somebody: telephone, fax, e-mail, web and network addresses.
    Contact,
    /// A number or code of a person or of something that is theirs.
    Id,
    /// A profession.
    Profession,
}

impl Tag {
    /// In the order of the tagger's outputs.
    pub const ALL: [Self; 8] = [
        Self::Outside,
        Self::Name,
        Self::Location,
        Self::Date,
        Self::Age,
        Self::Contact,
        Self::Id,
        Self::Profession,
    ];

    /// Whether words tell it, and not the form of a number.
    const fn is_word(self) -> bool {
        matches!(self, Self::Name | Self::Location | Self::Profession)
    }

    /// The tag that stands for a class.
    #[must_use]
    pub const fn of(class: Class) -> Self {
        match class {
            Class::Name => Self::Name,
            Class::Location => Self::Location,
            Class::Date => Self::Date,
            Class::Age => Self::Age,
            Class::Phone | Class::Fax | Class::Email | Class::Url | Class::Ip => Self::Contact,
            Class::Ssn
            | Class::Mrn
            | Class::HealthPlanId
            | Class::Account
            | Class::License
            | Class::Vehicle
            | Class::DeviceId
            | Class::Biometric
            | Class::Photo
            | Class::OtherId => Self::Id,
            Class::Profession => Self::Profession,
        }
    }
}

/// The two networks: a small one that reads everything, and a larger one for what is in doubt.
#[derive(Debug)]
pub(crate) struct Tagger {
    scout: Network,
    judge: Network,
}

static SCOUT: &[u8] = include_bytes!("../../../data/scout.safetensors");
static JUDGE: &[u8] = include_bytes!("../../../data/judge.safetensors");

/// Tokens around one in doubt that are judged with it, so that whole names are.
const AROUND: usize = 3;
/// Two stretches that lie nearer to each other are judged as one: what lies between is read anyway.
const APART: usize = 24;

impl Tagger {
    /// Opens both networks.
    pub(crate) fn new() -> Result<Self, Broken> {
        Ok(Self { scout: Network::open(SCOUT)?, judge: Network::open(JUDGE)? })
    }

    /// What the networks think of every token of a block.
    pub(crate) fn tag(
        &self,
        block: &Block<'_>,
        features: &Features,
        found: &[Finding],
        fielded: &[bool],
        judge: bool,
    ) -> Opinion {
        let mut scores = Vec::with_capacity(features.len());
        self.scout.tag(features, 0, features.len(), &mut scores);
        let mut judged = Vec::new();
        if !judge {
            return Opinion { scores, judged };
        }
        let believed = believed(block, found, fielded);
        let doubtful: Vec<usize> =
            (0..scores.len()).filter(|i| in_doubt(block, *i, &scores, &believed)).collect();
        let mut again = Vec::new();
        for stretch in doubtful.chunk_by(|a, b| b - a <= APART) {
            let (Some(first), Some(last)) = (stretch.first(), stretch.last()) else { continue };
            let from = first.saturating_sub(AROUND);
            let to = (last + 1 + AROUND).min(scores.len());
            again.clear();
            self.judge.tag(features, from, to, &mut again);
            for (score, new) in scores.iter_mut().skip(from).zip(&again) {
                *score = *new;
            }
            judged.push((from, to));
        }
        Opinion { scores, judged }
    }
}

/// What the networks think of the tokens of a block.
#[derive(Debug)]
pub(crate) struct Opinion {
    scores: Vec<Scores>,
    /// The stretches of tokens that the judge read too, in order.
    judged: Vec<(usize, usize)>,
}

impl Opinion {
    /// For each token how likely it is part of something, in 255ths.
    pub(crate) fn doubts(&self) -> impl Iterator<Item = u8> {
        self.scores.iter().map(in_255ths)
    }

    /// The network that decided on these tokens.
    fn recogniser(&self, (from, to): (usize, usize)) -> &'static str {
        let at = self.judged.partition_point(|stretch| stretch.1 <= from);
        match self.judged.get(at) {
            Some(stretch) if stretch.0 < to => "tagger.judge",
            _ => "tagger.scout",
        }
    }
}

/// What the other layers believe of each token; `None` where the tagger has no say.
fn believed(block: &Block<'_>, found: &[Finding], fielded: &[bool]) -> Vec<Option<Tag>> {
    let mut tags: Vec<Option<Tag>> =
        fielded.iter().map(|inside| (!inside).then_some(Tag::Outside)).collect();
    for f in found {
        let tag = match Tag::of(f.class) {
            tag @ (Tag::Outside | Tag::Name | Tag::Location | Tag::Profession) => Some(tag),
            Tag::Date | Tag::Age | Tag::Contact | Tag::Id => None,
        };
        let from = block.token_at(f.start);
        let to = block.token_at(f.end).max(from + 1);
        for old in tags.iter_mut().take(to).skip(from).filter(|old| old.is_some()) {
            *old = tag;
        }
    }
    tags
}

/// Whether the small network is unsure of a token, or does not agree with the other layers.
fn in_doubt(block: &Block<'_>, i: usize, scores: &[Scores], believed: &[Option<Tag>]) -> bool {
    /// Below this probability of its choice the scout is unsure.
    const SURE: f32 = 0.92;
    let (Some(score), Some(Some(other))) = (scores.get(i), believed.get(i)) else { return false };
    if !matches!(block.at(i).kind, Kind::Word | Kind::Digits | Kind::Mixed) {
        return false;
    }
    let (tag, probability) = best(score);
    probability < SURE || tag != *other && (tag.is_word() || other.is_word())
}

/// The likeliest tag and its probability.
fn best(scores: &Scores) -> (Tag, f32) {
    let mut best = (Tag::Outside, f32::MIN);
    for (tag, score) in Tag::ALL.into_iter().zip(scores) {
        if *score > best.1 {
            best = (tag, *score);
        }
    }
    best
}

/// The probability that a token is part of an identifier of any kind.
fn something(scores: &Scores) -> f32 {
    1.0 - scores.first().copied().unwrap_or(1.0)
}

/// How likely a token is part of something, in 255ths.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0..=255")]
fn in_255ths(scores: &Scores) -> u8 {
    (something(scores) * 255.0) as u8
}

/// From here on a token is reported as a name, a place or a profession.
const REPORT: f32 = 0.4;
/// From here on a token is reported as what other layers know by its form: a date, a number.
const REPORT_FORM: f32 = 0.6;
/// Below this a finding that does not rest on a field is dropped.
const DENY: f32 = 0.03;
/// Below this a weak one is dropped: by a label in running text, or by word lists alone.
const DENY_WEAK: f32 = 0.06;
/// Below this a loose date is dropped.
const DENY_LOOSE: f32 = 0.3;
/// A date up to this confidence is loose: a month or a holiday alone, which general statements have too.
const LOOSE_PERCENT: u8 = 62;
/// A finding below this confidence is weak, and so is every one by a label before it.
const WEAK_PERCENT: u8 = 80;
/// A finding of at least this confidence rests on more than word lists.
const FIRM_PERCENT: u8 = 97;
/// No finding of the tagger is as firm as a check digit or a field.
const MOST_PERCENT: u8 = 89;
/// Where another layer found a date or a number by its form, its finding goes first.
const MOST_PERCENT_FORM: u8 = 45;

/// From which probability on a tag is reported.
const fn threshold(tag: Tag) -> f32 {
    match tag {
        Tag::Outside | Tag::Name | Tag::Location | Tag::Profession => REPORT,
        Tag::Date | Tag::Age | Tag::Contact | Tag::Id => REPORT_FORM,
    }
}

/// Adds what the tagger finds, and drops what only the word lists found and the tagger denies.
///
/// In the fields of a structure it has no say: what stands there is known from the field.
pub(crate) fn weigh(
    block: &Block<'_>,
    features: &Features,
    opinion: &Opinion,
    fielded: &[bool],
    found: &mut Vec<Finding>,
) {
    let scores = opinion.scores.as_slice();
    found.retain(|f| {
        let percent = f.confidence.as_percent();
        let loose = f.class == Class::Date && percent <= LOOSE_PERCENT;
        let soft = loose
            || matches!(f.class, Class::Name | Class::Location | Class::Profession)
                && percent < FIRM_PERCENT;
        let from = block.token_at(f.start);
        let to = block.token_at(f.end).max(from + 1);
        if !soft || fielded.get(from) == Some(&true) {
            return true;
        }
        let inside = scores.get(from..to.min(scores.len())).unwrap_or_default();
        let weak = percent < WEAK_PERCENT || f.recogniser == "name.field";
        let deny = match (loose, weak) {
            (true, _) => DENY_LOOSE,
            (false, true) => DENY_WEAK,
            (false, false) => DENY,
        };
        inside.iter().any(|s| something(s) >= deny)
    });
    let mut taken: Vec<(usize, usize)> = found.iter().map(|f| (f.start, f.end)).collect();
    taken.sort_unstable();
    let mut i = 0;
    while i < scores.len() {
        let class = if fielded.get(i) == Some(&true) { None } else { starts(block, i, scores) };
        let Some(class) = class else {
            i += 1;
            continue;
        };
        let end = ends(block, i, scores, class);
        let listed = class == Class::Name && is_listed(features, i, end)
            || class == Class::Location && is_instrument(block, end);
        if !listed && is_possible(block, (i, end), class, &taken) {
            found.push(tagged(block, opinion, (i, end), class));
        }
        i = end;
    }
}

/// Whether tokens can be what the tagger takes them for, by their form.
fn is_possible(
    block: &Block<'_>,
    (from, to): (usize, usize),
    class: Class,
    taken: &[(usize, usize)],
) -> bool {
    let any = |holds: fn(&Token) -> bool| (from..to).any(|k| holds(block.at(k)));
    let word = any(|t| t.kind == Kind::Word && t.end - t.start > 1);
    let number = any(|t| matches!(t.kind, Kind::Digits | Kind::Mixed));
    let lone = to == from + 1;
    let first = block.at(from);
    match Tag::of(class) {
        Tag::Outside => false,
        // A letter alone is none, unless it is an initial: `e.g.`.
        Tag::Name => word || number || any(|t| t.case == Case::Initial) && !is_dotted(block, to),
        Tag::Location => word || any(|t| t.kind == Kind::Mixed),
        Tag::Profession => word,
        // A year alone is no identifier (45 CFR 164.514(b)(2)(i)(C)), nor is a unit or a label.
        Tag::Date => {
            let plain = lone && first.kind == Kind::Digits || is_fraction(block, from, to);
            !plain && is_free(block, (from, to), taken)
        }
        Tag::Id => number && !is_coded(block, from) && is_free(block, (from, to), taken),
        Tag::Age | Tag::Contact => {
            let plain = lone && !number && !first.is(cue::AGE);
            !plain && is_free(block, (from, to), taken)
        }
    }
}

/// Whether no other layer found anything in these tokens: those that read forms know all that the
/// tagger does of them, and more.
fn is_free(block: &Block<'_>, (from, to): (usize, usize), taken: &[(usize, usize)]) -> bool {
    let (start, end) = (block.at(from).start, block.before(to, 1).end);
    let at = taken.partition_point(|t| t.1 <= start);
    taken.get(at).is_none_or(|t| t.0 >= end)
}

/// `Huntington, Wilson, Graves, Addison`: an eponym among eponyms is the name of a disease.
fn is_listed(features: &Features, from: usize, to: usize) -> bool {
    /// How far around others are looked for, and how many make a list.
    const AROUND: usize = 8;
    const OTHERS: usize = 3;
    let others = (from.saturating_sub(AROUND)..from).chain(to..to + AROUND);
    (from..to).any(|k| features.is_eponym(k))
        && others.filter(|k| features.is_eponym(*k)).count() >= OTHERS
}

/// `Cincinnati Prehospital Stroke Scale`: a place in the name of what is measured with.
fn is_instrument(block: &Block<'_>, end: usize) -> bool {
    const WORDS: usize = 3;
    const INSTRUMENTS: &[&str] = &[
        "scale",
        "score",
        "questionnaire",
        "inventory",
        "criteria",
        "classification",
        "checklist",
    ];
    let named = |k: usize| block.at(k).is_capital() && block.at(k).gap == Gap::Space;
    (end..=end + WORDS).take_while(|k| named(*k)).any(|k| block.word_is(k, INSTRUMENTS))
}

/// `R.N.`: letters with stops between are an abbreviation when one more stop follows.
fn is_dotted(block: &Block<'_>, end: usize) -> bool {
    block.at(end).is_mark(b'.')
        && block.at(end).gap == Gap::None
        && block.before(end, 2).is_mark(b'.')
        && block.before(end, 1).gap == Gap::None
}

/// `3/7`, `10/10`: two numbers that the layer for dates read, and left.
fn is_fraction(block: &Block<'_>, from: usize, to: usize) -> bool {
    to == from + 3
        && block.at(from).kind == Kind::Digits
        && block.at(from + 1).is_mark(b'/')
        && matches!(block.str(from + 2), "2" | "3" | "4" | "5" | "7" | "10" | "52")
}

/// Whether the words before a number say that it is that of a drug, a procedure or a study.
fn is_coded(block: &Block<'_>, i: usize) -> bool {
    const CODES: &[&str] = &[
        "ndc", "snomed", "rxnorm", "rxcui", "unii", "loinc", "nct", "pmid", "pmcid", "doi",
        "isrctn", "isbn", "cpt", "hcpcs", "icd", "atc", "cas", "clia", "drg", "eudract",
    ];
    const BACK: usize = 5;
    let text = block.str(i);
    let prefix = text.get(..3).unwrap_or_default();
    ["NCT", "ISR", "PMC"].contains(&prefix)
        || (i.saturating_sub(BACK)..i).any(|k| block.word_is(k, CODES))
}

/// Whether each token stands in a field, or in a segment of a message, that is no prose.
pub(crate) fn fielded(block: &Block<'_>, values: &[Value]) -> Vec<bool> {
    /// A longer value is prose, whatever its field is called.
    const MAX_FIELD_BYTES: usize = 80;
    let mut out = vec![false; block.len()];
    let mut segment = false;
    for (i, inside) in out.iter_mut().enumerate() {
        let token = block.at(i);
        if token.gap >= Gap::Line {
            let code = token.end - token.start == 3 || token.end - token.start == 2;
            segment = code
                && matches!(token.kind, Kind::Word | Kind::Mixed)
                && token.case == Case::Upper
                && block.at(i + 1).is_any_mark(b"|*");
        }
        *inside = segment;
    }
    for value in values {
        let long = value.end - value.start > MAX_FIELD_BYTES;
        let before = value.start.checked_sub(2).and_then(|k| block.text.as_bytes().get(k));
        let attribute = before == Some(&b'=');
        let prose = matches!(value.field, Field::Text(_))
            || value.field == Field::Unknown && (long || !attribute)
            || value.field == Field::Neutral && long;
        let (from, to) = (block.token_at(value.start), block.token_at(value.end));
        out.get_mut(from..to.max(from)).unwrap_or_default().fill(!prose);
    }
    hide_names_of_fields(block, &mut out);
    out
}

/// Hides what is between `<` and `>`, and what stands in quotes before a colon: names of elements
/// and members. What stands in an attribute that is known comes as a value.
fn hide_names_of_fields(block: &Block<'_>, out: &mut [bool]) {
    /// A longer tag is text with a stray `<`.
    const MAX_TAG_TOKENS: usize = 400;
    /// A longer text between two tags is a sentence.
    const MAX_CELL_TOKENS: usize = 8;
    let mut i = 0;
    while i < out.len() {
        let token = block.at(i);
        let next = block.at(i + 1);
        let opens = token.is_mark(b'<') && next.gap == Gap::None;
        if opens && (next.kind == Kind::Word || next.is_any_mark(b"/?!")) {
            let last = out.len().min(i + MAX_TAG_TOKENS);
            if let Some(close) = (i + 1..last).find(|k| block.at(*k).is_any_mark(b"<>"))
                && block.at(close).is_mark(b'>')
            {
                // The cell of a table is no sentence, and the networks have seen sentences only.
                let cell = (close + 1..out.len().min(close + 1 + MAX_CELL_TOKENS))
                    .find(|k| block.at(*k).is_mark(b'<'))
                    .unwrap_or(close);
                out.get_mut(i..cell.max(close)).unwrap_or_default().fill(true);
                i = close;
            }
        } else if token.is_mark(b':') && block.before(i, 1).is_mark(b'"') {
            let close = i - 1;
            let first = close.saturating_sub(8);
            if let Some(open) = (first..close).rev().find(|k| block.at(*k).is_mark(b'"')) {
                out.get_mut(open..close).unwrap_or_default().fill(true);
            }
        }
        i += 1;
    }
}

/// The class of an identifier that starts at a token.
fn starts(block: &Block<'_>, i: usize, scores: &[Scores]) -> Option<Class> {
    let score = scores.get(i).filter(|s| something(s) >= threshold(best_inside(s)))?;
    if !matches!(block.at(i).kind, Kind::Word | Kind::Digits | Kind::Mixed) {
        return None;
    }
    match best_inside(score) {
        Tag::Outside => None,
        Tag::Name => Some(Class::Name),
        Tag::Location => Some(Class::Location),
        Tag::Date => Some(Class::Date),
        Tag::Age => Some(Class::Age),
        Tag::Contact => Some(Class::Phone),
        Tag::Id => Some(Class::OtherId),
        Tag::Profession => Some(Class::Profession),
    }
}

/// The token after an identifier of a class that starts at a token.
fn ends(block: &Block<'_>, start: usize, scores: &[Scores], class: Class) -> usize {
    /// No name, address or date has more.
    const MAX_TOKENS: usize = 32;
    let mut end = start + 1;
    while let Some(score) = scores.get(end).filter(|_| end < start + MAX_TOKENS)
        && something(score) >= threshold(Tag::of(class))
        && best_inside(score) == Tag::of(class)
    {
        end += 1;
    }
    // `Ann's` names Ann, and `St. Vincent's` a hospital.
    let ending = |kind: Kind| match kind {
        Kind::Mark(_) => true,
        Kind::Possessive => class == Class::Name,
        Kind::Word | Kind::Digits | Kind::Mixed | Kind::Edge => false,
    };
    while end > start + 1 && ending(block.at(end - 1).kind) {
        end -= 1;
    }
    end
}

fn tagged(
    block: &Block<'_>,
    opinion: &Opinion,
    (from, to): (usize, usize),
    class: Class,
) -> Finding {
    let inside = opinion.scores.get(from..to).unwrap_or_default();
    let least = inside.iter().map(something).fold(1.0, f32::min);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0..=100")]
    let percent = (least * 100.0) as u8;
    let most = match Tag::of(class) {
        Tag::Outside | Tag::Name | Tag::Location | Tag::Profession => MOST_PERCENT,
        Tag::Date | Tag::Age | Tag::Contact | Tag::Id => MOST_PERCENT_FORM,
    };
    let first = if class == Class::Name { from_initials(block, from) } else { from };
    Finding {
        start: block.at(first).start,
        end: block.before(to, 1).end,
        class,
        confidence: Confidence::percent(percent.min(most)),
        recogniser: opinion.recogniser((from, to)),
        why: "the word and those around it",
    }
}

/// The first token of a name with the initials before it: `T.` of `T. Vautour`.
///
/// The letter must begin a line or a sentence, or stand after another initial: that of
/// `hepatitis C. Jones reports` belongs to what is before it.
fn from_initials(block: &Block<'_>, from: usize) -> usize {
    let mut first = from;
    while block.at(first).gap <= Gap::Space {
        let dot = usize::from(block.before(first, 1).is_mark(b'.'));
        let Some(k) = first.checked_sub(1 + dot) else { break };
        let initial = block.at(k);
        if initial.case != Case::Initial || dot == 1 && block.at(k + 1).gap > Gap::None {
            break;
        }
        first = k;
    }
    // The pronoun and the article are no initials without a full stop.
    let dotted = block.at(first + 1).is_mark(b'.');
    let word = !dotted && matches!(block.str(first), "I" | "A");
    let begins = first < from && !word && block.starts_sentence(first);
    if begins { first } else { from }
}

/// The likeliest tag but `Outside`.
fn best_inside(scores: &Scores) -> Tag {
    let mut scores = *scores;
    if let Some(outside) = scores.first_mut() {
        *outside = -1.0;
    }
    best(&scores).0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::cue::Cues;

    #[test]
    fn a_name_takes_the_initials_that_begin_its_line() {
        for (text, name, want) in [
            ("seen today.\n\nT. Vautour", "Vautour", "T."),
            ("seen today. M Costigan", "Costigan", "M"),
            ("J. R. Smith", "Smith", "J."),
            ("hepatitis C. Jones reports", "Jones", "Jones"),
            ("I Jones", "Jones", "Jones"),
            ("seen.\nA Jones", "Jones", "Jones"),
        ] {
            let cues = Cues::new();
            let block = Block::new(text, &cues);
            let from = block.token_at(text.find(name).unwrap());
            let first = block.at(from_initials(&block, from)).start;
            assert!(text[first..].starts_with(want), "{text:?}: {:?}", &text[first..]);
        }
    }
}
