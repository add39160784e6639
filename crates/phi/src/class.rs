//! The classes of identifiers.

use std::fmt;
use std::str::FromStr;

macro_rules! classes {
    ($($(#[$doc:meta])* $name:ident = $label:literal, $law:literal;)*) => {
        /// A class of identifier. The labels are those of the project's corpora; the law is the
        /// paragraph of 45 CFR 164.514(b)(2)(i) that lists it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Class {
            $($(#[$doc])* $name,)*
        }

        impl Class {
            /// Every class, in the order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The label: `NAME`, `SSN`.
            #[must_use]
            pub const fn label(self) -> &'static str {
                match self {
                    $(Self::$name => $label,)*
                }
            }

            /// The paragraph of law that lists it: `45 CFR 164.514(b)(2)(i)(A)`.
            #[must_use]
            pub const fn citation(self) -> &'static str {
                match self {
                    $(Self::$name => concat!("45 CFR 164.514(b)(2)(i)", $law),)*
                }
            }
        }

        impl FromStr for Class {
            type Err = UnknownClass;
            fn from_str(label: &str) -> Result<Self, UnknownClass> {
                match label {
                    $($label => Ok(Self::$name),)*
                    _ => Err(UnknownClass),
                }
            }
        }
    };
}

classes! {
    /// A person's name.
    Name = "NAME", "(A)";
    /// A place smaller than a state: street, city, county, precinct, ZIP code; a facility's name.
    Location = "LOCATION", "(B)";
    /// A date directly related to a person, other than a year alone.
    Date = "DATE", "(C)";
    /// An age. Only those over 89 are identifiers by law; all are found.
    Age = "AGE", "(C)";
    /// A telephone number.
    Phone = "PHONE", "(D)";
    /// A fax number.
    Fax = "FAX", "(E)";
    /// An e-mail address.
    Email = "EMAIL", "(F)";
    /// A social security number.
    Ssn = "SSN", "(G)";
    /// A medical record number.
    Mrn = "MRN", "(H)";
    /// A health plan beneficiary number.
    HealthPlanId = "HEALTH_PLAN_ID", "(I)";
    /// An account number.
    Account = "ACCOUNT", "(J)";
    /// A certificate or licence number.
    License = "LICENSE", "(K)";
    /// A vehicle identifier, serial number or licence plate.
    Vehicle = "VEHICLE", "(L)";
    /// A device identifier or serial number.
    DeviceId = "DEVICE_ID", "(M)";
    /// A web address.
    Url = "URL", "(N)";
    /// An internet protocol address.
    Ip = "IP", "(O)";
    /// A biometric identifier. In text only a mention or an encoded template is found.
    Biometric = "BIOMETRIC", "(P)";
    /// A full-face photograph. In text only a reference (a file name) is found.
    Photo = "PHOTO", "(Q)";
    /// A profession that singles a person out.
    Profession = "PROFESSION", "(R)";
    /// Any other unique number, characteristic or code.
    OtherId = "OTHER_ID", "(R)";
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

/// The text is not the label of a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the label of a class of identifiers")]
pub struct UnknownClass;
