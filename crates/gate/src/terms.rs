//! What a vendor's terms say of the data that it is sent, as facts that decide.
//!
//! 45 CFR 164.504(e)(2)(i) and 164.502(a)(3): a business associate uses health information as its
//! contract permits. Whether a vendor trains on it, keeps it, lets people read it, and for which of its
//! capabilities that holds, differs from service to service and from one agreement to the next, so it is
//! written beside the part of the offer that an agreement covers, and what is not written counts as the
//! worst.

use crate::agreement::{Registry, Scope};
use crate::outcome::Code;
use crate::rules::name::{Fault, Slug, word};
use ledger::Time;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::fmt;

/// A longer time is not a term but a mistake: a hundred years.
const MAX_DAYS: u32 = 36_525;

macro_rules! capabilities {
    ($($(#[$doc:meta])* $name:ident = $word:literal;)*) => {
        /// Something of a vendor's offer, beside a plain answer, that a request can make use of. Vendors
        /// say for each whether their terms (zero retention, the agreement) hold for it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
        pub enum Capability {
            $($(#[$doc])* #[serde(rename = $word)] $name,)*
        }

        impl Capability {
            /// Every capability.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The word for it in the file, in records and in errors.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)*
                }
            }
        }
    };
}

capabilities! {
    /// Fields that the model's own vendor reads and the interface does not define.
    AdditionalModelFields = "additional_model_fields";
    /// Sound, asked or answered.
    Audio = "audio";
    /// An answer that is fetched later.
    Background = "background";
    /// Requests that are answered together, later.
    Batches = "batches";
    /// Content that was put into a cache before, by its name.
    CachedContent = "cached_content";
    /// Quotations of the documents that were sent.
    Citations = "citations";
    /// Code that the vendor runs.
    CodeExecution = "code_execution";
    /// A model that works a computer.
    ComputerUse = "computer_use";
    /// Containers that outlive a request.
    Containers = "containers";
    /// What a model server does to a long conversation by itself.
    ContextManagement = "context_management";
    /// Tools of a kind of their own, which are called with free text.
    CustomTools = "custom_tools";
    /// Documents in a form that has to be taken apart: PDF.
    Documents = "documents";
    /// A prompt cache that is kept for a day.
    ExtendedPromptCaching = "extended_prompt_caching";
    /// Reasoning before the answer.
    ExtendedThinking = "extended_thinking";
    /// Search in stores of files at the vendor.
    FileSearch = "file_search";
    /// Files at the vendor, by their ids.
    Files = "files";
    /// A filter that the vendor runs beside the model.
    Guardrails = "guardrails";
    /// Images that are made.
    ImageGeneration = "image_generation";
    /// Images that are read.
    Images = "images";
    /// Servers of tools that the vendor connects to.
    Mcp = "mcp";
    /// Notes that a model keeps from one conversation for another.
    Memory = "memory";
    /// A prompt cache that is kept for minutes, or an hour.
    PromptCaching = "prompt_caching";
    /// Data of the organisation's that the vendor looks up.
    Retrieval = "retrieval";
    /// Answers that the vendor keeps to be read again.
    StoredAnswers = "stored_answers";
    /// Prompts at the vendor, by their ids.
    StoredPrompts = "stored_prompts";
    /// Answers in a form that is compiled from a schema.
    StructuredOutputs = "structured_outputs";
    /// Conversations that the vendor keeps.
    Threads = "threads";
    /// Tools that are looked up in a list at the vendor.
    ToolSearch = "tool_search";
    /// Video.
    Video = "video";
    /// Pages that the vendor fetches.
    WebFetch = "web_fetch";
    /// The vendor's search in the web.
    WebSearch = "web_search";
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether a vendor may train on what it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Training {
    /// The contract forbids it.
    None,
    /// It would, and was told not to; this evidence shows that it was.
    OptOut(Slug),
    /// It may, or nothing is written that says that it may not.
    Permitted,
}

/// Whether people at a vendor read what it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HumanReview {
    /// Nobody does.
    None,
    /// Some may, of what looks like abuse.
    Abuse,
    /// Some may.
    Permitted,
}

impl HumanReview {
    /// The word, as the configuration file writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Abuse => "abuse",
            Self::Permitted => "permitted",
        }
    }
}

/// The terms of the data for one part of a vendor's offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    training: Training,
    retention_days: Option<u32>,
    abuse_monitoring_days: Option<u32>,
    human_review: Option<HumanReview>,
    eligible: BTreeSet<Capability>,
}

impl Terms {
    /// Whether the vendor may train on what it is sent.
    #[must_use]
    pub const fn training(&self) -> &Training {
        &self.training
    }

    /// Days for which prompts and answers are kept, when it is written.
    #[must_use]
    pub const fn retention_days(&self) -> Option<u32> {
        self.retention_days
    }

    /// Days for which they are kept in order to find abuse, when it is written.
    #[must_use]
    pub const fn abuse_monitoring_days(&self) -> Option<u32> {
        self.abuse_monitoring_days
    }

    /// Whether people read them, when it is written.
    #[must_use]
    pub const fn human_review(&self) -> Option<HumanReview> {
        self.human_review
    }

    /// The capabilities for which all this holds.
    #[must_use]
    pub const fn eligible(&self) -> &BTreeSet<Capability> {
        &self.eligible
    }

    /// Whether nothing is kept, for whatever reason. What is not written is not zero.
    #[must_use]
    pub const fn is_zero_retention(&self) -> bool {
        matches!((self.retention_days, self.abuse_monitoring_days), (Some(0), Some(0)))
    }

    /// Whether everything is written, so that nothing counts as the worst for want of words.
    #[must_use]
    pub const fn are_complete(&self) -> bool {
        self.retention_days.is_some()
            && self.abuse_monitoring_days.is_some()
            && self.human_review.is_some()
    }

    /// The terms that a scope writes, of an agreement that forbids training altogether or does not say
    /// so.
    pub(crate) fn parse(raw: &RawTerms, no_training: bool) -> Result<Self, Fault> {
        let days = |field, days: Option<u32>| match days {
            Some(days) if days > MAX_DAYS => {
                Err(Fault::new(field, format!("days from 0 to {MAX_DAYS}")))
            }
            days => Ok(days),
        };
        let evidence = raw.opt_out_evidence.as_deref();
        let training = match (raw.training, evidence) {
            (Some(RawTraining::OptOut), Some(id)) => {
                Training::OptOut(word("opt_out_evidence", id)?)
            }
            (Some(RawTraining::OptOut), None) => {
                let problem = "name the [[evidence]] that shows that the vendor was told";
                return Err(Fault::new("opt_out_evidence", problem));
            }
            (_, Some(_)) => {
                let problem = "belongs to training = \"opt_out\" only";
                return Err(Fault::new("opt_out_evidence", problem));
            }
            (Some(RawTraining::Permitted), None) if no_training => {
                let problem = "contradicts no_training = true of the same agreement";
                return Err(Fault::new("training", problem));
            }
            (Some(RawTraining::None), None) => Training::None,
            (None, None) if no_training => Training::None,
            (Some(RawTraining::Permitted) | None, None) => Training::Permitted,
        };
        let mut eligible = BTreeSet::new();
        for capability in &raw.eligible {
            if !eligible.insert(*capability) {
                return Err(Fault::new("eligible", "names the same item twice; remove one"));
            }
        }
        Ok(Self {
            training,
            retention_days: days("retention_days", raw.retention_days)?,
            abuse_monitoring_days: days("abuse_monitoring_days", raw.abuse_monitoring_days)?,
            human_review: raw.human_review,
            eligible,
        })
    }

    /// Whether the vendor may not train on what is sent at the moment `now`.
    #[must_use]
    pub fn exclude_training(&self, registry: &Registry, now: Time) -> bool {
        self.trains(registry, now).is_none()
    }

    /// Why the vendor may train on what is sent at the moment `now`; none if it may not.
    fn trains(&self, registry: &Registry, now: Time) -> Option<Shortfall> {
        match &self.training {
            Training::None => None,
            Training::Permitted => Some(Shortfall::Training),
            Training::OptOut(id) => {
                // Fail closed: an opt-out is as good as the evidence for it is today.
                let shown = registry.evidence(id).is_some_and(|it| it.in_force(now).is_ok());
                (!shown).then(|| Shortfall::OptOut(id.clone()))
            }
        }
    }
}

impl fmt::Display for Terms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.training {
            Training::None => f.write_str("no training")?,
            Training::OptOut(id) => write!(f, "no training by {id}")?,
            Training::Permitted => f.write_str("may train")?,
        }
        for (what, days) in
            [("kept", self.retention_days), ("for abuse monitoring", self.abuse_monitoring_days)]
        {
            match days {
                Some(days) => write!(f, ", {what} {days} days")?,
                None => write!(f, ", {what} unsaid")?,
            }
        }
        let review = self.human_review.map_or("unsaid", HumanReview::as_str);
        write!(f, ", human review {review}")?;
        if !self.eligible.is_empty() {
            let words: Vec<&str> = self.eligible.iter().map(|it| it.as_str()).collect();
            write!(f, "; also for {}", words.join(", "))?;
        }
        Ok(())
    }
}

/// What the terms of an agreement lack for a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shortfall {
    /// Nothing in them excludes training.
    Training,
    /// The evidence that the vendor was told not to train is not in force.
    OptOut(Slug),
    /// They do not say that nothing is kept, and the organisation requires that.
    Retention,
    /// They do not hold for this.
    Capability(Capability),
}

impl Shortfall {
    /// The stable code for the caller.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Training | Self::OptOut(_) => Code::TrainingNotExcluded,
            Self::Retention => Code::RetentionNotZero,
            Self::Capability(_) => Code::CapabilityNotEligible,
        }
    }

    /// The same in one word for the record, which says for which capability.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Training | Self::OptOut(_) | Self::Retention => self.code().as_str(),
            Self::Capability(capability) => capability.as_str(),
        }
    }
}

impl fmt::Display for Shortfall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Training => f.write_str("has no term against training"),
            Self::OptOut(id) => {
                write!(f, "excludes training by \"{id}\" only, which is not in force")
            }
            Self::Retention => f.write_str(
                "does not say that nothing is kept, as [constraints] zdr_required asks for",
            ),
            Self::Capability(capability) => {
                write!(f, "does not record \"{capability}\" as eligible")
            }
        }
    }
}

/// Checks that the terms of one of these scopes are good enough for a request which makes use of
/// `capabilities`. All of the scopes name the request's features.
///
/// # Errors
/// The first thing that rules out the last scope.
pub(crate) fn suffice(
    mut scopes: Vec<&Scope>,
    capabilities: &BTreeSet<Capability>,
    registry: &Registry,
    now: Time,
) -> Result<(), Shortfall> {
    let mut narrow = |lacks: &dyn Fn(&Terms) -> Option<Shortfall>| {
        let mut lacking = None;
        scopes.retain(|scope| {
            let shortfall = lacks(scope.terms());
            let stays = shortfall.is_none();
            lacking = shortfall.or_else(|| lacking.take());
            stays
        });
        match lacking {
            Some(shortfall) if scopes.is_empty() => Err(shortfall),
            Some(_) | None => Ok(()),
        }
    };
    narrow(&|terms| terms.trains(registry, now))?;
    let zdr_required = registry.constraints().zdr_required();
    narrow(&|terms| (zdr_required && !terms.is_zero_retention()).then_some(Shortfall::Retention))?;
    for &capability in capabilities {
        narrow(&|terms| {
            let eligible = terms.eligible.contains(&capability);
            (!eligible).then_some(Shortfall::Capability(capability))
        })?;
    }
    Ok(())
}

/// The terms as a scope writes them.
#[derive(Debug)]
pub(crate) struct RawTerms {
    pub(crate) training: Option<RawTraining>,
    pub(crate) opt_out_evidence: Option<String>,
    pub(crate) retention_days: Option<u32>,
    pub(crate) abuse_monitoring_days: Option<u32>,
    pub(crate) human_review: Option<HumanReview>,
    pub(crate) eligible: Vec<Capability>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RawTraining {
    None,
    OptOut,
    Permitted,
}

#[cfg(test)]
mod tests;
