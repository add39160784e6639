//! What stands around a term, and what that makes of it.

use super::Category;
use super::table::{AFTER, FAMILY, Hit, NEGATION, RESET, Table, Use};

/// How far a condition of a term is looked for, in bytes to either side: about two sentences.
const REACH_BYTES: usize = 120;

/// How far a negation reaches forward, in bytes: over a short list.
const NEGATION_BYTES: usize = 64;

/// How far "negative" or "denied" reaches back, in bytes.
const AFTER_BYTES: usize = 16;

/// How far "mother" reaches forward, in bytes.
const FAMILY_BYTES: usize = 48;

/// The most neighbours that are looked at to either side, so that the cost stays linear.
const MAX_NEIGHBOURS: usize = 48;

/// What stands around a term.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Circumstance {
    /// Nothing that changes it.
    Plain,
    /// It is denied, ruled out, or was negative. That is still information.
    Negated,
    /// It is said of a relative.
    OfRelative,
    /// Its other, ordinary sense is likelier: methadone for pain.
    Unlikely,
}

impl Circumstance {
    /// Why, in a few fixed words.
    #[must_use]
    pub const fn why(self) -> &'static str {
        match self {
            Self::Plain => "stands for itself",
            Self::Negated => "negated near by",
            Self::OfRelative => "of a relative",
            Self::Unlikely => "beside words of another sense",
        }
    }

    /// A weight in this circumstance, in percent.
    pub(super) const fn lowered(self, percent: u8, category: Category) -> u8 {
        // A negative HIV test is HIV information by the states' laws, and a family history is
        // genetic information (45 CFR 160.103), as is a gene that was not found.
        let keeps = match self {
            Self::Plain => 100,
            Self::Negated => match category {
                Category::Hiv | Category::Genetic | Category::PsychotherapyNote => 100,
                Category::Reproductive | Category::GenderAffirming => 70,
                Category::SubstanceUse | Category::MentalHealth => 45,
            },
            Self::OfRelative => match category {
                Category::Genetic | Category::PsychotherapyNote => 100,
                Category::Hiv | Category::Reproductive | Category::GenderAffirming => 80,
                Category::SubstanceUse | Category::MentalHealth => 65,
            },
            Self::Unlikely => 20,
        };
        let lowered = percent as u16 * keeps / 100;
        #[expect(clippy::cast_possible_truncation, reason = "at most 255 * 100 / 100")]
        let lowered = lowered as u8;
        lowered
    }
}

/// What was seen around one hit.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Around {
    cues: u32,
    /// Categories of which a sure term is near, by bit.
    sure: u32,
    negated: bool,
    relative: bool,
}

impl Around {
    /// Looks around a hit.
    pub(super) fn of(table: &Table, hits: &[Hit], index: usize) -> Self {
        let mut around = Self::default();
        let Some(hit) = hits.get(index) else { return around };
        let before = hits.get(..index).unwrap_or_default().iter().rev();
        let mut open = true;
        for other in before.take(MAX_NEIGHBOURS) {
            let distance = hit.start.saturating_sub(other.end);
            if distance > REACH_BYTES {
                break;
            }
            let cues = around.see(table, other);
            open &= other.clause == hit.clause && cues & RESET == 0;
            around.negated |= open && distance <= NEGATION_BYTES && cues & NEGATION != 0;
            around.relative |= open && distance <= FAMILY_BYTES && cues & FAMILY != 0;
        }
        let after = hits.get(index + 1..).unwrap_or_default().iter();
        let outside = after.take(MAX_NEIGHBOURS).filter(|other| other.end > hit.end);
        for (k, other) in outside.enumerate() {
            let distance = other.start.saturating_sub(hit.end);
            if distance > REACH_BYTES {
                break;
            }
            let cues = around.see(table, other);
            let next = k == 0 && other.clause == hit.clause && distance <= AFTER_BYTES;
            around.negated |= next && cues & AFTER != 0;
        }
        around
    }

    fn see(&mut self, table: &Table, other: &Hit) -> u32 {
        let cues = table.cues(other.entry);
        self.cues |= cues;
        for one in table.uses(other).filter(|u| u.is_sure()) {
            if let Some(group) = table.group_of(one.group)
                && group.percent >= SURE_PERCENT
            {
                self.sure |= bit(group.category);
            }
        }
        cues
    }

    /// What stands around a use of the hit, or `None` when it does not count here.
    pub(super) fn judge(&self, one: Use, category: Category) -> Option<Circumstance> {
        let near = one.near != 0 && self.cues & one.near != 0;
        let own = one.near_own && self.sure & bit(category) != 0;
        if !one.is_sure() && !near && !own {
            return None;
        }
        Some(match () {
            () if self.cues & one.unless != 0 => Circumstance::Unlikely,
            () if self.negated => Circumstance::Negated,
            () if self.relative => Circumstance::OfRelative,
            () => Circumstance::Plain,
        })
    }
}

/// From this weight on, a term lets its neighbours count.
const SURE_PERCENT: u8 = 50;

const fn bit(category: Category) -> u32 {
    1 << category as u32
}
