//! How much of a prompt its purpose needs (45 CFR 164.502(b), 164.514(d)).
//!
//! Weighed when an exchange is opened, so that no stage after it sees what the purpose does not
//! need: neither the policy, which decides on the classes that are left, nor the treatment. It only
//! takes away: places of the text, and the fidelity of classes.

use crate::outcome::{Code, Refusal};
use crate::policy::Decision;
use crate::prompt::{Prompt, PromptPart};
use crate::rules::{Flow, Minimum, OnPhi, Profile, WhenUnread};
use ledger::About;
use phi::profile::{Chart, Cuts, Unread};
use phi::{Class, Finding, Text};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// The name of the member by which a FHIR resource says what it is.
const RESOURCE_TYPE: &str = "resourceType";

/// Why a prompt is refused whose flow must hold no PHI.
pub(crate) const NO_PHI: &str = "no_phi";

/// The treatment of a class that was found only in what was taken away.
const REMOVED: &str = "removed";

/// Paths that one record says were taken away; the rest counts as one. Each part says a bounded
/// number, and a record holds 64 KiB.
const MAX_REMOVED: usize = 256;

/// What may not leave of a prompt, whatever the policy permits.
#[derive(Debug)]
pub(crate) struct Necessity {
    cuts: Vec<Vec<Range<usize>>>,
    remainder: Remainder,
}

impl Necessity {
    /// Weighs a prompt by its purpose, and notes in `about` what was done.
    ///
    /// # Errors
    /// The refusal, when PHI is where it must not be, when a document cannot be taken apart, or when a
    /// whole chart is sent without a justification.
    pub(crate) fn weigh(
        about: &mut About,
        minimum: &Minimum,
        prompt: &Prompt,
        findings: &[Vec<Finding>],
        justification: Option<&Text>,
    ) -> Result<Self, Refusal> {
        let found: BTreeSet<Class> = findings.iter().flatten().map(|it| it.class).collect();
        let mut redacted = without_phi(about, minimum, &found)?;
        let purpose = about.purpose.as_deref().unwrap_or_default();
        let exempt = minimum.exemption(purpose);
        let mut cuts = vec![Vec::new(); prompt.parts.len()];
        if let Some(exempt) = exempt {
            about.minimum.insert("exempt".to_owned(), exempt.as_str().to_owned());
        } else if let Some(profile) = minimum.profile(purpose) {
            about.minimum.insert("profile".to_owned(), profile.id().to_owned());
            redacted.extend(profile.redact());
            cuts = cut(profile, &prompt.parts, &mut about.removed)?;
        }
        if justification.is_some() {
            about.minimum.insert("justification".to_owned(), "given".to_owned());
        }
        let chart = counted(&prompt.parts, &cuts);
        let (resources, types) = minimum.chart();
        if chart.resources() > resources || chart.types() > types {
            let figures = format!("{} resources of {} types", chart.resources(), chart.types());
            about.minimum.insert("chart".to_owned(), figures.clone());
            if exempt.is_none() && justification.is_none() {
                return Err(entire_record(&figures, resources, types));
            }
        }
        let left = findings.iter().zip(&cuts).flat_map(|(findings, cuts)| {
            findings.iter().filter(|finding| !is_cut(finding, cuts)).map(|finding| finding.class)
        });
        let left: BTreeSet<Class> = left.collect();
        let removed = found.difference(&left).copied().collect();
        let reduced = cuts.iter().any(|cuts| !cuts.is_empty());
        let remainder = Remainder { redacted, left, removed, reduced };
        remainder.note(about);
        Ok(Self { cuts, remainder })
    }

    /// The places of each part that are cut out, in order and apart.
    pub(crate) fn cuts(&self) -> &[Vec<Range<usize>>] {
        &self.cuts
    }

    /// What is left of the classes.
    pub(crate) const fn remainder(&self) -> &Remainder {
        &self.remainder
    }
}

/// What is left of the classes that were found.
#[derive(Debug)]
pub(crate) struct Remainder {
    /// Those that are redacted if the policy lets them leave at all.
    redacted: BTreeSet<Class>,
    left: BTreeSet<Class>,
    /// Those that were found only in what was taken away.
    removed: BTreeSet<Class>,
    /// Whether anything was taken away.
    reduced: bool,
}

impl Remainder {
    /// As the records of an exchange say, for a decision that is made again. What was found and what was
    /// taken away are facts; which classes are redacted, the rules say.
    pub(crate) fn recorded(about: &About, minimum: &Minimum, found: &BTreeSet<Class>) -> Self {
        // What was refused for it was refused before the policy was asked.
        let mut redacted = without_phi(&mut about.clone(), minimum, found).unwrap_or_default();
        let purpose = about.purpose.as_deref().unwrap_or_default();
        if minimum.exemption(purpose).is_none()
            && let Some(profile) = minimum.profile(purpose)
        {
            redacted.extend(profile.redact());
        }
        let is_left = |class: &&Class| {
            about.treatments.get(class.label()).is_none_or(|treatment| treatment != REMOVED)
        };
        let left: BTreeSet<Class> = found.iter().filter(is_left).copied().collect();
        let removed = found.difference(&left).copied().collect();
        Self { redacted, left, removed, reduced: !about.removed.is_empty() }
    }

    /// The classes that the policy is asked about.
    pub(crate) const fn left(&self) -> &BTreeSet<Class> {
        &self.left
    }

    /// A decision under what the purpose needs.
    pub(crate) fn lessen(&self, decision: &Decision) -> Decision {
        decision.lessened(&self.redacted, self.reduced)
    }

    /// Writes into what the records of an exchange say what became of classes that are no longer there.
    pub(crate) fn note(&self, about: &mut About) {
        let removed = self.removed.iter().map(|class| class.label().to_owned());
        about.treatments.extend(removed.map(|class| (class, REMOVED.to_owned())));
    }
}

/// Looks for PHI in flows that must not have any. The strictest flow names the alert.
///
/// Looked for in what was written: that the profile would take it away does not make the flow one
/// without PHI.
fn without_phi(
    about: &mut About,
    minimum: &Minimum,
    found: &BTreeSet<Class>,
) -> Result<BTreeSet<Class>, Refusal> {
    let (purpose, route) = (about.purpose.as_deref(), about.route.as_deref());
    let hits = minimum.flows().filter(|flow| flow.is_of(&about.actor.name, purpose, route));
    let hits = hits.map(|flow| (flow, flow.forbidden(found)));
    let hits: Vec<(&Flow, BTreeSet<Class>)> = hits.filter(|(_, it)| !it.is_empty()).collect();
    let Some((strictest, _)) = hits.iter().rev().max_by_key(|(flow, _)| flow.on_phi()) else {
        return Ok(BTreeSet::new());
    };
    about.alert = Some(strictest.id().to_owned());
    let of = |action: OnPhi| {
        let hits = hits.iter().filter(move |(flow, _)| flow.on_phi() == action);
        hits.flat_map(|(_, classes)| classes.iter().copied()).collect::<BTreeSet<Class>>()
    };
    let blocked = of(OnPhi::Block);
    if blocked.is_empty() {
        return Ok(of(OnPhi::Redact));
    }
    for class in &blocked {
        about.treatments.insert(class.label().to_owned(), "blocked".to_owned());
    }
    let labels: Vec<_> = blocked.iter().map(|class| class.label()).collect();
    let message = format!(
        "The flow \"{}\" must hold no PHI, and {} was found; nothing was sent.",
        strictest.id(),
        labels.join(", ")
    );
    Err(Refusal {
        code: Code::PhiBlocked,
        message: message.into(),
        classes: blocked.into_iter().collect(),
        reason: Some(NO_PHI),
    })
}

/// What the profile takes away from each part.
fn cut(
    profile: &Profile,
    parts: &[PromptPart],
    removed: &mut BTreeMap<String, u64>,
) -> Result<Vec<Vec<Range<usize>>>, Refusal> {
    // A document that the request holds as JSON of its own was taken into pieces with the rest of the
    // request, so there is no text left to cut.
    if parts.iter().any(|part| {
        part.label.as_ref().is_some_and(|it| it.expose().eq_ignore_ascii_case(RESOURCE_TYPE))
    }) {
        return Err(unread("structured_document"));
    }
    let cut = |part: &PromptPart| {
        let text = part.text.expose();
        let cuts = match (profile.paths().cuts(text), profile.when_unread()) {
            (Ok(cuts), _) => cuts,
            (Err(Unread), WhenUnread::Remove) => Cuts::everything(text),
            (Err(Unread), WhenUnread::Refuse) => return Err(unread("unread_document")),
        };
        for (path, count) in cuts.removed() {
            *removed.entry(path.clone()).or_default() += count;
        }
        Ok(cuts.ranges().to_vec())
    };
    let cuts = parts.iter().map(cut).collect::<Result<_, _>>()?;
    let others: u64 = removed.values().skip(MAX_REMOVED).sum();
    if others > 0 {
        *removed = std::mem::take(removed).into_iter().take(MAX_REMOVED).collect();
        *removed.entry("other".to_owned()).or_default() += others;
    }
    Ok(cuts)
}

/// What is still there of a chart.
fn counted(parts: &[PromptPart], cuts: &[Vec<Range<usize>>]) -> Chart {
    let mut chart = Chart::default();
    for (part, cuts) in parts.iter().zip(cuts) {
        if part
            .label
            .as_ref()
            .is_some_and(|label| label.expose().eq_ignore_ascii_case(RESOURCE_TYPE))
        {
            chart.resource(part.text.expose());
        } else if cuts.is_empty() {
            chart.count(part.text.expose());
        } else {
            chart.count(without(part.text.expose(), cuts).expose());
        }
    }
    chart
}

fn without(text: &str, cuts: &[Range<usize>]) -> Text {
    let mut left = String::with_capacity(text.len());
    let mut done = 0;
    for cut in cuts {
        left.push_str(text.get(done..cut.start).unwrap_or_default());
        done = cut.end;
    }
    left.push_str(text.get(done..).unwrap_or_default());
    Text::new(left)
}

/// Whether nothing of a finding is left.
fn is_cut(finding: &Finding, cuts: &[Range<usize>]) -> bool {
    let after = cuts.partition_point(|cut| cut.end <= finding.start);
    cuts.get(after).is_some_and(|cut| cut.start <= finding.start && finding.end <= cut.end)
}

fn unread(reason: &'static str) -> Refusal {
    Refusal {
        reason: Some(reason),
        ..Refusal::fixed(
            Code::MinimumNecessary,
            "A clinical document in the request could not be taken apart, so it cannot be reduced to what this purpose needs. Send it whole as FHIR JSON or as an HL7 v2 message inside a text.",
        )
    }
}

fn entire_record(figures: &str, resources: u64, types: u64) -> Refusal {
    let message = format!(
        "The request holds {figures}; more than {resources} resources or {types} types count as an entire medical record (45 CFR 164.514(d)(5)). Send less, or say in the header x-bulla-justification why all of it is needed."
    );
    Refusal { code: Code::EntireRecord, message: message.into(), classes: Vec::new(), reason: None }
}
