//! A tagger that was trained: what each token is, judged by its words and by those around it.

mod feature;
mod network;

pub(crate) use feature::{Features, ROWS};

use network::{Broken, Network, Scores};

use super::label::Field;
use super::structure::Value;
use super::token::{Block, Case, Gap, Kind};
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
const AROUND: usize = 6;

impl Tagger {
    /// Opens both networks.
    pub(crate) fn new() -> Result<Self, Broken> {
        Ok(Self { scout: Network::open(SCOUT)?, judge: Network::open(JUDGE)? })
    }

    /// What every token of a block is, and how much of the block was looked at twice.
    pub(crate) fn tag(
        &self,
        block: &Block<'_>,
        features: &Features,
        found: &[Finding],
        judge: bool,
    ) -> Vec<Scores> {
        let mut scores = Vec::with_capacity(features.len());
        self.scout.tag(features, 0, features.len(), &mut scores);
        if !judge {
            return scores;
        }
        let believed = believed(block, found);
        let mut at = 0;
        let mut again = Vec::new();
        while at < scores.len() {
            if !in_doubt(block, at, &scores, &believed) {
                at += 1;
                continue;
            }
            let from = at.saturating_sub(AROUND);
            let mut end = at + 1;
            let mut quiet = 0;
            while end < scores.len() && quiet <= 2 * AROUND {
                quiet = if in_doubt(block, end, &scores, &believed) { 0 } else { quiet + 1 };
                end += 1;
            }
            let to = (end + AROUND).saturating_sub(quiet).min(scores.len());
            again.clear();
            self.judge.tag(features, from, to, &mut again);
            for (score, new) in scores.iter_mut().skip(from).zip(&again) {
                *score = *new;
            }
            at = to.max(at + 1);
        }
        scores
    }
}

/// What the other layers believe of each token.
fn believed(block: &Block<'_>, found: &[Finding]) -> Vec<Tag> {
    let mut tags = vec![Tag::Outside; block.len()];
    for f in found {
        let from = block.token_at(f.start);
        let to = block.token_at(f.end).max(from + 1);
        for tag in tags.iter_mut().take(to).skip(from) {
            *tag = Tag::of(f.class);
        }
    }
    tags
}

/// Whether the small network is unsure of a token, or does not agree with the other layers.
fn in_doubt(block: &Block<'_>, i: usize, scores: &[Scores], believed: &[Tag]) -> bool {
    /// Below this probability that a token is nothing, or that it is something, it is in doubt.
    const SURE: f32 = 0.95;
    let Some(score) = scores.get(i) else { return false };
    if !matches!(block.at(i).kind, Kind::Word | Kind::Digits | Kind::Mixed) {
        return false;
    }
    let (tag, probability) = best(score);
    let other = believed.get(i).copied().unwrap_or(Tag::Outside);
    probability < SURE || tag != other
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
pub(crate) fn in_255ths(scores: &Scores) -> u8 {
    (something(scores) * 255.0) as u8
}

/// From here on a token is reported as a name, a place or a profession.
const REPORT: f32 = 0.4;
/// From here on a token is reported as what other layers know by its form: a date, a number.
const REPORT_FORM: f32 = 0.6;
/// Below this a finding that does not rest on a field is dropped.
const DENY: f32 = 0.03;
/// Below this a weak one is dropped: by a label in running text, or by word lists alone.
const DENY_WEAK: f32 = 0.1;
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
    scores: &[Scores],
    values: &[Value],
    found: &mut Vec<Finding>,
) {
    let fielded = fielded(block, values);
    found.retain(|f| {
        let soft = matches!(f.class, Class::Name | Class::Location | Class::Profession)
            && f.confidence.as_percent() < FIRM_PERCENT;
        let from = block.token_at(f.start);
        let to = block.token_at(f.end).max(from + 1);
        if !soft || fielded.get(from) == Some(&true) {
            return true;
        }
        let inside = scores.get(from..to.min(scores.len())).unwrap_or_default();
        let weak = f.confidence.as_percent() < WEAK_PERCENT || f.recogniser == "name.field";
        let deny = if weak { DENY_WEAK } else { DENY };
        inside.iter().any(|s| something(s) >= deny)
    });
    let mut i = 0;
    while i < scores.len() {
        let class = if fielded.get(i) == Some(&true) { None } else { starts(block, i, scores) };
        let Some(class) = class else {
            i += 1;
            continue;
        };
        let end = ends(block, i, scores, class);
        // A year alone is no identifier (45 CFR 164.514(b)(2)(i)(C)).
        let year = class == Class::Date && end == i + 1 && block.at(i).kind == Kind::Digits;
        if !year {
            found.push(tagged(block, scores, (i, end), class));
        }
        i = end;
    }
}

/// Whether each token stands in a field, or in a segment of a message, that is no prose.
fn fielded(block: &Block<'_>, values: &[Value]) -> Vec<bool> {
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
        let prose = match value.field {
            Field::Text(_) | Field::Unknown => true,
            Field::Neutral => value.end - value.start > MAX_FIELD_BYTES,
            _ => false,
        };
        let (from, to) = (block.token_at(value.start), block.token_at(value.end));
        out.get_mut(from..to.max(from)).unwrap_or_default().fill(!prose);
    }
    out
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
    let mut end = start + 1;
    while let Some(score) = scores.get(end)
        && something(score) >= threshold(Tag::of(class))
        && best_inside(score) == Tag::of(class)
    {
        end += 1;
    }
    while end > start + 1 && matches!(block.at(end - 1).kind, Kind::Mark(_) | Kind::Possessive) {
        end -= 1;
    }
    end
}

fn tagged(
    block: &Block<'_>,
    scores: &[Scores],
    (from, to): (usize, usize),
    class: Class,
) -> Finding {
    let inside = scores.get(from..to).unwrap_or_default();
    let least = inside.iter().map(something).fold(1.0, f32::min);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0..=100")]
    let percent = (least * 100.0) as u8;
    let most = match Tag::of(class) {
        Tag::Outside | Tag::Name | Tag::Location | Tag::Profession => MOST_PERCENT,
        Tag::Date | Tag::Age | Tag::Contact | Tag::Id => MOST_PERCENT_FORM,
    };
    Finding {
        start: block.at(from).start,
        end: block.before(to, 1).end,
        class,
        confidence: Confidence::percent(percent.min(most)),
        recogniser: "tagger",
        why: "the word and those around it",
    }
}

/// The likeliest tag but `Outside`.
fn best_inside(scores: &Scores) -> Tag {
    let mut scores = *scores;
    if let Some(outside) = scores.first_mut() {
        *outside = -1.0;
    }
    best(&scores).0
}
