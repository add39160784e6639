//! The special categories.

use std::fmt;
use std::str::FromStr;

macro_rules! categories {
    ($($(#[$doc:meta])* $name:ident = $label:literal, $law:literal;)*) => {
        /// A kind of content that law protects beyond the rest of a record. It is a class of a
        /// whole text, not of a place in it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Category {
            $($(#[$doc])* $name,)*
        }

        impl Category {
            /// Every category, in the order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The label: `HIV`, `SUBSTANCE_USE`.
            #[must_use]
            pub const fn label(self) -> &'static str {
                match self {
                    $(Self::$name => $label,)*
                }
            }

            /// The rule that protects it.
            #[must_use]
            pub const fn citation(self) -> &'static str {
                match self {
                    $(Self::$name => $law,)*
                }
            }
        }

        impl FromStr for Category {
            type Err = UnknownCategory;
            fn from_str(label: &str) -> Result<Self, UnknownCategory> {
                match label {
                    $($label => Ok(Self::$name),)*
                    _ => Err(UnknownCategory),
                }
            }
        }
    };
}

categories! {
    /// Use of alcohol or drugs, its treatment, and the programmes that treat it. Not tobacco
    /// (42 CFR 2.11).
    SubstanceUse = "SUBSTANCE_USE", "42 CFR Part 2";
    /// HIV and AIDS: tests with any result, status, treatment, prevention.
    Hiv = "HIV", "state law on HIV records";
    /// What was said in counselling, as its therapist wrote it down, apart from the record.
    PsychotherapyNote = "PSYCHOTHERAPY_NOTE", "45 CFR 164.501, 45 CFR 164.508(a)(2)";
    /// Psychiatric diagnoses, symptoms, drugs and services, which are not psychotherapy notes.
    MentalHealth = "MENTAL_HEALTH", "state law on mental health records";
    /// Pregnancy and its end, contraception, fertility, sexually transmitted infections.
    Reproductive = "REPRODUCTIVE", "state law on reproductive health records";
    /// Genetic tests, inherited conditions and the risks that they show.
    Genetic = "GENETIC", "45 CFR 160.103 (genetic information), 45 CFR 164.502(a)(5)(i)";
    /// Gender identity and its care. Looked for only where a site asks for it.
    GenderAffirming = "GENDER_AFFIRMING", "state law on gender-affirming care";
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

/// The text is not the label of a category.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the label of a special category")]
pub struct UnknownCategory;
