//! How long what is kept is kept.

use super::name::{Fault, Title, optional};
use ledger::{ContentClass, Day, Hash};
use serde::Deserialize;

/// Seven years, of which two have a leap day.
const SEVEN_YEARS: u32 = 7 * 365 + 2;

/// Six years, of which two have a leap day: what documentation is kept for at the least (45 CFR
/// 164.316(b)(2)(i)).
const SIX_YEARS: u32 = 6 * 365 + 2;

/// A conversation goes on under its keys for a month, and its last surrogate lives for another.
const TWO_MONTHS: u32 = 60;

/// A hundred years: longer than any rule that we know of asks for.
const MAX_DAYS: u32 = 36_525;

/// For how many days each class of content is kept, counted from the end of the day of its keys; records,
/// from the end of their own; and the executed document of an agreement, from the end of the day on which
/// it was last in effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retention {
    prompts: u32,
    answers: u32,
    surrogates: u32,
    records: u32,
    contracts: u32,
    decision: Option<Decision>,
}

/// A signed decision to keep something for less than six years.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    title: Title,
    sha256: Hash,
}

impl Decision {
    /// What it is called, and who signed it.
    #[must_use]
    pub const fn title(&self) -> &Title {
        &self.title
    }

    /// SHA-256 of the signed document.
    #[must_use]
    pub const fn sha256(&self) -> Hash {
        self.sha256
    }
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            prompts: SEVEN_YEARS,
            answers: SEVEN_YEARS,
            surrogates: TWO_MONTHS,
            records: SEVEN_YEARS,
            contracts: SEVEN_YEARS,
            decision: None,
        }
    }
}

impl Retention {
    /// Days.
    #[must_use]
    pub const fn days(&self, class: ContentClass) -> u32 {
        match class {
            ContentClass::Prompts => self.prompts,
            ContentClass::Answers => self.answers,
            ContentClass::Surrogates => self.surrogates,
        }
    }

    /// The first day on which content whose keys are of `day` is disposed of.
    #[must_use]
    pub fn due(&self, class: ContentClass, day: Day) -> Day {
        day.plus_days(i64::from(self.days(class)) + 1)
    }

    /// The first day on which the document of an agreement is disposed of that was last in effect on the
    /// day `last` (45 CFR 164.316(b)(2)(i), 164.530(j)(2)).
    #[must_use]
    pub fn contract_due(&self, last: Day) -> Day {
        last.plus_days(i64::from(self.contracts) + 1)
    }

    /// The first day whose content is still kept on the day `today`.
    #[must_use]
    pub fn kept_from(&self, class: ContentClass, today: Day) -> Day {
        today.plus_days(-i64::from(self.days(class)))
    }

    /// For how many days records are kept; never for less than what they commit to.
    #[must_use]
    pub const fn records_days(&self) -> u32 {
        self.records
    }

    /// The first day whose records are still kept on the day `today`.
    #[must_use]
    pub fn records_kept_from(&self, today: Day) -> Day {
        today.plus_days(-i64::from(self.records))
    }

    /// The decision by which something is kept for less than six years; absent when nothing is.
    #[must_use]
    pub const fn decision(&self) -> Option<&Decision> {
        self.decision.as_ref()
    }

    pub(super) fn parse(raw: Option<&RawRetention>) -> Result<Self, Fault> {
        let Some(raw) = raw else { return Ok(Self::default()) };
        let default = Self::default();
        let days = |field, days: Option<u32>, default: u32| match days.unwrap_or(default) {
            days @ 1..=MAX_DAYS => Ok(days),
            _ => Err(Fault::new(field, format!("days from 1 to {MAX_DAYS}"))),
        };
        let prompts = days("prompts_days", raw.prompts_days, default.prompts)?;
        let answers = days("answers_days", raw.answers_days, default.answers)?;
        let surrogates = days("surrogates_days", raw.surrogates_days, default.surrogates)?;
        let records =
            days("records_days", raw.records_days, default.records.max(prompts).max(answers))?;
        if records < prompts.max(answers) {
            let problem = "records are kept for at least as long as the prompts and answers that they \
                           commit to";
            return Err(Fault::new("records_days", problem.to_owned()));
        }
        let contracts = days("contracts_days", raw.contracts_days, default.contracts)?;
        let title: Option<Title> = optional("decision", raw.decision.as_ref())?;
        let sha256 = match &raw.decision_sha256 {
            None => None,
            Some(text) => Some(text.parse::<Hash>().map_err(|_| {
                Fault::new(
                    "decision_sha256",
                    "64 small hexadecimal digits: SHA-256 of the document",
                )
            })?),
        };
        let decision = match (title, sha256) {
            (Some(title), Some(sha256)) => Some(Decision { title, sha256 }),
            (None, None) => None,
            (Some(_), None) => {
                return Err(Fault::new("decision_sha256", "say it of the signed document"));
            }
            (None, Some(_)) => {
                return Err(Fault::new("decision", "say what it is and who signed it"));
            }
        };
        let short = [
            ("prompts_days", prompts),
            ("answers_days", answers),
            ("records_days", records),
            ("contracts_days", contracts),
        ];
        if decision.is_none()
            && let Some((field, _)) = short.iter().find(|(_, days)| *days < SIX_YEARS)
        {
            let problem = format!(
                "fewer than {SIX_YEARS} days (six years, 45 CFR 164.316(b)(2)(i)) need a signed \
                 \"decision\" and its \"decision_sha256\""
            );
            return Err(Fault::new(field, problem));
        }
        Ok(Self { prompts, answers, surrogates, records, contracts, decision })
    }
}

/// Retention as the file writes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRetention {
    prompts_days: Option<u32>,
    answers_days: Option<u32>,
    surrogates_days: Option<u32>,
    records_days: Option<u32>,
    contracts_days: Option<u32>,
    decision: Option<String>,
    decision_sha256: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<[u32; 3], &str>) {
        let raw: RawRetention = toml::from_str(text).unwrap();
        let parsed = Retention::parse(Some(&raw));
        let days = parsed.as_ref().map(|it| ContentClass::ALL.map(|class| it.days(class)));
        assert_eq!(days.map_err(|fault| fault.field), expected, "{text}");
    }

    #[test]
    fn less_than_six_years_needs_a_signed_decision() {
        check("", Ok([2557, 2557, 60]));
        check(
            "prompts_days = 2192\nanswers_days = 36525\nsurrogates_days = 1",
            Ok([2192, 36_525, 1]),
        );
        check("prompts_days = 2191", Err("prompts_days"));
        check("answers_days = 30", Err("answers_days"));
        check("answers_days = 30\ndecision = \"Example\"", Err("decision_sha256"));
        let sha256 = Hash::of(b"document");
        check(&format!("answers_days = 30\ndecision_sha256 = \"{sha256}\""), Err("decision"));
        let both =
            format!("decision = \"Board, signed Ada Example\"\ndecision_sha256 = \"{sha256}\"");
        check(&format!("answers_days = 30\nprompts_days = 1\n{both}"), Ok([1, 30, 60]));
        check("decision = \"Example\"\ndecision_sha256 = \"no\"", Err("decision_sha256"));
        check("contracts_days = 2192", Ok([2557, 2557, 60]));
        check("contracts_days = 2191", Err("contracts_days"));
        check(&format!("contracts_days = 1\n{both}"), Ok([2557, 2557, 60]));
        for days in [0, 36_526] {
            check(&format!("contracts_days = {days}"), Err("contracts_days"));
            check(&format!("prompts_days = {days}"), Err("prompts_days"));
            check(&format!("surrogates_days = {days}"), Err("surrogates_days"));
        }
    }

    #[test]
    fn records_outlive_what_they_commit_to() {
        let records = |text: &str| {
            let raw: RawRetention = toml::from_str(text).unwrap();
            Retention::parse(Some(&raw)).map(|it| it.records_days()).map_err(|fault| fault.field)
        };
        assert_eq!(records(""), Ok(2557));
        assert_eq!(records("answers_days = 3652"), Ok(3652));
        assert_eq!(
            records("prompts_days = 2192\nanswers_days = 2192\nrecords_days = 2192"),
            Ok(2192)
        );
        assert_eq!(records("records_days = 2556"), Err("records_days"));
        let short = "prompts_days = 30\nanswers_days = 30\nrecords_days = 2191";
        assert_eq!(records(short), Err("prompts_days"));
        let sha256 = Hash::of(b"document");
        let both = format!("{short}\ndecision = \"Example\"\ndecision_sha256 = \"{sha256}\"");
        assert_eq!(records(&both), Ok(2191));
    }

    #[test]
    fn what_is_due_is_exactly_what_is_no_longer_kept() {
        let retention = Retention::default();
        let today: Day = "2033-11-27".parse().unwrap();
        let class = ContentClass::Prompts;
        let kept_from = retention.kept_from(class, today);
        assert_eq!(kept_from.to_string(), "2026-11-27");
        for (day, due) in [("2026-11-26", true), ("2026-11-27", false)] {
            let day: Day = day.parse().unwrap();
            assert_eq!(day < kept_from, due);
            assert_eq!(retention.due(class, day) <= today, due);
            assert_eq!(retention.contract_due(day) <= today, due);
        }
    }
}
