//! What the words around a finding say about it.

/// Who a person is to a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    Patient,
    Clinician,
    Relative,
}

impl Role {
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Patient => "PATIENT",
            Self::Clinician => "CLINICIAN",
            Self::Relative => "RELATIVE",
        }
    }
}

const PATIENT: [&str; 7] =
    ["patient", "patient name", "patient's name", "name of patient", "pt", "pt name", "pt's name"];

const CLINICIAN: [&str; 18] = [
    "dr",
    "doctor",
    "physician",
    "attending",
    "attending physician",
    "provider",
    "surgeon",
    "nurse",
    "nurse practitioner",
    "pcp",
    "primary care physician",
    "referring physician",
    "rn",
    "dictated by",
    "signed by",
    "electronically signed by",
    "therapist",
    "cardiologist",
];

const RELATIVE: [&str; 15] = [
    "mother",
    "father",
    "wife",
    "husband",
    "son",
    "daughter",
    "brother",
    "sister",
    "spouse",
    "partner",
    "next of kin",
    "emergency contact",
    "guardian",
    "aunt",
    "uncle",
];

/// The role that the words directly before a name give it, if they give one.
pub(crate) fn role(before: &str) -> Option<Role> {
    let ends = |words: &[&str]| words.iter().any(|word| ends_with_word(before, word));
    if ends(&PATIENT) {
        Some(Role::Patient)
    } else if ends(&CLINICIAN) {
        Some(Role::Clinician)
    } else if ends(&RELATIVE) {
        Some(Role::Relative)
    } else {
        None
    }
}

/// Whether the words before a date say that somebody was born then.
pub(crate) fn is_birth(before: &str) -> bool {
    /// A label and a few words fit into this.
    const REACH_CHARS: usize = 32;
    let near: String = {
        let skip = before.chars().count().saturating_sub(REACH_CHARS);
        before.chars().skip(skip).collect::<String>().to_lowercase()
    };
    ["dob", "d.o.b", "birth", "born"].iter().any(|cue| near.contains(cue))
}

/// Whether text ends with a whole word, marks after it aside.
pub(crate) fn ends_with_word(before: &str, word: &str) -> bool {
    let trimmed = before.trim_end_matches([' ', '\t', ':', '.', ',', '#', '-', '"', '(', '=', '*']);
    let Some(at) = trimmed.len().checked_sub(word.len()) else { return false };
    let Some((head, tail)) = trimmed.split_at_checked(at) else { return false };
    tail.eq_ignore_ascii_case(word) && !head.ends_with(char::is_alphanumeric)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_known_only_where_words_say_it() {
        for (before, expected) in [
            ("Patient: ", Some(Role::Patient)),
            ("PATIENT NAME:\t", Some(Role::Patient)),
            ("seen by Dr. ", Some(Role::Clinician)),
            ("His wife, ", Some(Role::Relative)),
            ("Name: ", None),
            ("impatient: ", None),
            ("The patient saw ", None),
            ("é", None),
        ] {
            assert_eq!(role(before), expected, "{before}");
        }
    }

    #[test]
    fn a_birth_is_known_by_the_words_before_its_date() {
        assert!(is_birth("DOB: ") && is_birth("date of birth (") && is_birth("was born on "));
        assert!(
            !is_birth("admitted ") && !is_birth("born in Ohio, and then moved to Texas; seen ")
        );
    }
}
