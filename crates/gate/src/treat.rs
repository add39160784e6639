//! Treats findings as decided: surrogates, placeholders, or nothing.
//!
//! Where surrogates are in use, text that only looks like one is replaced by a surrogate of its own,
//! so that nothing can be restored into it by mistake.

use crate::outcome::Control;
use crate::policy::{Decision, Treatment};
use crate::prompt::PromptPart;
use crate::shape::{Fill, PartId};
use ledger::Entropy;
use phi::surrogate::{Placeholders, SurrogateMap, look_alikes};
use phi::{Class, Finding, Text};
use std::collections::BTreeSet;
use std::ops::Range;

/// A part's text after treatment, and whether it changed.
pub(crate) type TreatedPart = (Text, bool);

/// What the holes of a request are filled with.
pub(crate) struct Treated<'a> {
    pub(crate) model: &'a str,
    pub(crate) parts: &'a [TreatedPart],
}

impl Fill for Treated<'_> {
    fn model(&self) -> &str {
        self.model
    }
    fn part(&self, part: PartId) -> (&str, bool) {
        self.parts.get(part).map_or(("", true), |(text, changed)| (text.expose(), *changed))
    }
}

/// Treats every finding as decided; the lists correspond.
///
/// # Errors
/// [`Control::SurrogateLimit`] when the conversation can hold no more of them, [`Control::Detector`]
/// when a finding does not lie in its text.
pub(crate) fn treat(
    parts: &[PromptPart],
    findings: &[Vec<Finding>],
    cuts: &[Vec<Range<usize>>],
    decision: &Decision,
    map: &mut SurrogateMap,
    entropy: &dyn Entropy,
) -> Result<Vec<TreatedPart>, Control> {
    let tokenizes = !map.is_empty() || decision.tokenizes();
    let fakes: Vec<Vec<Range<usize>>> = parts
        .iter()
        .map(|part| {
            let escaped = tokenizes && !part.signed;
            if escaped { look_alikes(part.text.expose()) } else { Vec::new() }
        })
        .collect();
    let mut treatment = Treating {
        decision,
        taken: taken(parts, &fakes),
        placeholders: Placeholders::new(),
        map,
        entropy,
    };
    parts
        .iter()
        .enumerate()
        .zip(findings)
        .zip(&fakes)
        .map(|(((number, part), findings), fakes)| {
            let cuts = cuts.get(number).map_or(&[][..], Vec::as_slice);
            treatment.part(part.text.expose(), findings, fakes, cuts)
        })
        .collect()
}

/// The look-alikes themselves: none of them may be minted.
fn taken(parts: &[PromptPart], fakes: &[Vec<Range<usize>>]) -> BTreeSet<String> {
    let ranges = parts.iter().zip(fakes).flat_map(|(part, ranges)| {
        ranges.iter().filter_map(|range| part.text.expose().get(range.clone()))
    });
    ranges.map(str::to_owned).collect()
}

/// Text to replace. Without a class it only looks like a surrogate.
struct Stretch {
    start: usize,
    end: usize,
    class: Option<Class>,
}

/// What becomes of a piece of text that does not stay as it is.
enum Fate {
    Cut,
    Replaced(Option<Class>),
}

/// Cuts the places out of the stretches: of what lies in both, nothing is left to be treated.
fn outside(stretches: Vec<Stretch>, cuts: &[Range<usize>]) -> Vec<Stretch> {
    if cuts.is_empty() {
        return stretches;
    }
    let mut left = Vec::with_capacity(stretches.len());
    for Stretch { mut start, end, class } in stretches {
        let first = cuts.partition_point(|cut| cut.end <= start);
        for cut in cuts.iter().skip(first).take_while(|cut| cut.start < end) {
            if start < cut.start {
                left.push(Stretch { start, end: cut.start, class });
            }
            start = cut.end;
        }
        if start < end {
            left.push(Stretch { start, end, class });
        }
    }
    left
}

struct Treating<'a> {
    decision: &'a Decision,
    taken: BTreeSet<String>,
    placeholders: Placeholders,
    map: &'a mut SurrogateMap,
    entropy: &'a dyn Entropy,
}

impl Treating<'_> {
    fn part(
        &mut self,
        text: &str,
        findings: &[Finding],
        fakes: &[Range<usize>],
        cuts: &[Range<usize>],
    ) -> Result<TreatedPart, Control> {
        let mut out = String::with_capacity(text.len() + 32);
        let mut done = 0;
        let treated = outside(self.stretches(findings, fakes), cuts);
        let treated = treated.into_iter().map(|it| (it.start, it.end, Fate::Replaced(it.class)));
        let cut = cuts.iter().map(|cut| (cut.start, cut.end, Fate::Cut));
        let mut all: Vec<(usize, usize, Fate)> = treated.chain(cut).collect();
        all.sort_by_key(|(start, end, _)| (*start, *end));
        for (start, end, fate) in all {
            // Fail closed: what cannot be cut out cannot be treated.
            let (Some(before), Some(value)) = (text.get(done..start), text.get(start..end)) else {
                return Err(Control::Detector);
            };
            out.push_str(before);
            match fate {
                Fate::Cut => {}
                Fate::Replaced(class) => self.replace(&mut out, class, value)?,
            }
            done = end;
        }
        out.push_str(text.get(done..).unwrap_or_default());
        Ok((Text::new(out), done > 0))
    }

    /// What is to be replaced, in order and apart. Where two overlap they become one, under the
    /// stricter treatment: nothing between them may stay behind.
    fn stretches(&self, findings: &[Finding], fakes: &[Range<usize>]) -> Vec<Stretch> {
        let found = findings
            .iter()
            .filter(|finding| self.treatment(Some(finding.class)) != Treatment::Disclose)
            .map(|f| Stretch { start: f.start, end: f.end, class: Some(f.class) });
        let fakes = fakes.iter().map(|f| Stretch { start: f.start, end: f.end, class: None });
        let mut all: Vec<Stretch> = found.chain(fakes).collect();
        all.sort_by_key(|stretch| (stretch.start, stretch.end));
        let mut apart: Vec<Stretch> = Vec::with_capacity(all.len());
        for next in all {
            match apart.last_mut() {
                Some(last) if next.start < last.end => {
                    last.end = last.end.max(next.end);
                    let stricter = self.treatment(next.class) > self.treatment(last.class);
                    if last.class.is_none() || stricter {
                        last.class = next.class.or(last.class);
                    }
                }
                _ => apart.push(next),
            }
        }
        apart
    }

    fn treatment(&self, class: Option<Class>) -> Treatment {
        class.map_or(Treatment::Tokenize, |class| self.decision.treatment(class))
    }

    fn replace(
        &mut self,
        out: &mut String,
        class: Option<Class>,
        value: &str,
    ) -> Result<(), Control> {
        match class {
            Some(class) if self.decision.treatment(class) == Treatment::Redact => {
                out.push_str(&self.placeholders.placeholder(class, value));
            }
            class => {
                let fill = |bytes: &mut [u8]| self.entropy.fill(bytes);
                let surrogate = self.map.surrogate(class, value, &self.taken, &fill);
                out.push_str(surrogate.map_err(|phi::surrogate::MapFull| Control::SurrogateLimit)?);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Ask;
    use crate::rules::Rules;
    use phi::Confidence;
    use testkit::entropy::Seeded;

    /// SSN and NAME are redacted, all else is tokenized.
    fn decision() -> Decision {
        let minimal = include_str!("../../../examples/minimal.toml")
            .replace(r#"classes = ["*"]"#, r#"classes = ["EMAIL", "PHONE"]"#);
        let redact = "[[policy]]\nid = \"redact\"\neffect = \"redact\"\n\
                      classes = [\"SSN\"]\ndestinations = [\"local\"]\npurposes = [\"*\"]\n";
        let rules = Rules::parse(&format!("{minimal}\n{redact}")).unwrap();
        let route = rules.route("local").unwrap();
        let ask = Ask {
            caller: "key",
            owner: "o",
            purpose: None,
            surface: "api",
            categories: &BTreeSet::new(),
            route,
        };
        rules.decide(&BTreeSet::from([Class::Email, Class::Phone, Class::Ssn]), &ask).unwrap()
    }

    fn finding(class: Class, range: Range<usize>) -> Finding {
        Finding {
            start: range.start,
            end: range.end,
            class,
            confidence: Confidence::percent(99),
            recogniser: "test",
            why: "test",
        }
    }

    /// Treats `text`; surrogates are written `<CLASS>`.
    fn check(text: &str, findings: &[(Class, Range<usize>)], expected: &str) {
        check_cut(text, findings, &[], expected);
    }

    /// The same with places cut out.
    fn check_cut(
        text: &str,
        findings: &[(Class, Range<usize>)],
        cuts: &[(usize, usize)],
        expected: &str,
    ) {
        let parts = [PromptPart { place: "here", label: None, text: text.into(), signed: false }];
        let findings = findings.iter().map(|(class, range)| finding(*class, range.clone()));
        let mut map = SurrogateMap::new();
        let entropy = Seeded::new(1);
        let treated = treat(
            &parts,
            &[findings.collect()],
            &[cuts.iter().map(|(start, end)| *start..*end).collect()],
            &decision(),
            &mut map,
            &entropy,
        );
        let shown = match treated {
            Ok(treated) => {
                let (text, changed) = &treated[0];
                let mut shown = text.expose().to_owned();
                for (surrogate, label, _) in map.entries() {
                    shown = shown.replace(surrogate, &format!("<{label}>"));
                }
                assert_eq!(*changed, shown != parts[0].text.expose());
                shown
            }
            Err(control) => format!("{control:?}"),
        };
        assert_eq!(shown, expected, "{text}");
    }

    #[test]
    fn each_finding_is_replaced_where_it_stands() {
        check("", &[], "");
        check("nothing here", &[], "nothing here");
        check("ab cd", &[(Class::Email, 0..2), (Class::Ssn, 3..5)], "<EMAIL> [SSN_1]");
        check("abcd", &[(Class::Email, 0..2), (Class::Phone, 2..4)], "<EMAIL><PHONE>");
        check("é a é", &[(Class::Email, 0..2), (Class::Email, 5..7)], "<EMAIL> a <EMAIL>");
    }

    #[test]
    fn a_class_that_the_decision_does_not_name_is_redacted() {
        check("ab", &[(Class::Vehicle, 0..2)], "[VEHICLE_1]");
    }

    #[test]
    fn a_look_alike_gets_a_surrogate_of_its_own() {
        check("x [NAME_7K3QF9ZD] y", &[], "x <TEXT> y");
        check("[NAME_7K3QF9ZD]ab", &[(Class::Email, 15..17)], "<TEXT><EMAIL>");
    }

    #[test]
    fn what_overlaps_becomes_one_stretch_under_the_stricter_treatment() {
        // The look-alike takes bytes 2..17.
        let text = "a [NAME_7K3QF9ZD] b";
        check(text, &[(Class::Email, 0..5)], "<EMAIL> b");
        check(text, &[(Class::Email, 10..19)], "a <EMAIL>");
        check(text, &[(Class::Email, 4..8)], "a <EMAIL> b");
        check(text, &[(Class::Email, 0..4), (Class::Ssn, 14..19)], "[SSN_1]");
        check(text, &[(Class::Ssn, 0..4), (Class::Email, 14..19)], "[SSN_1]");
        check(text, &[(Class::Ssn, 0..19)], "[SSN_1]");
    }

    #[test]
    fn what_is_cut_leaves_nothing_behind_and_nothing_is_put_there() {
        check_cut("ab cd", &[], &[(0, 3)], "cd");
        check_cut("ab cd", &[], &[(0, 1), (2, 5)], "b");
        check_cut("ab cd", &[(Class::Email, 0..2), (Class::Ssn, 3..5)], &[(2, 5)], "<EMAIL>");
        check_cut("abcdef", &[(Class::Email, 1..5)], &[(2, 4)], "a<EMAIL><EMAIL>f");
        check_cut("abcdef", &[(Class::Email, 1..3), (Class::Ssn, 2..6)], &[(0, 4)], "[SSN_1]");
        check_cut("abcdef", &[(Class::Ssn, 0..2)], &[(1, 4)], "[SSN_1]ef");
        check_cut("a [NAME_7K3QF9ZD] b", &[], &[(0, 19)], "");
        check_cut("é", &[], &[(1, 2)], "Detector");
    }

    #[test]
    fn a_finding_that_does_not_lie_in_its_text_stops_everything() {
        check("é", &[(Class::Email, 1..2)], "Detector");
        check("é", &[(Class::Email, 0..1)], "Detector");
        check("ab", &[(Class::Email, 1..3)], "Detector");
    }
}
