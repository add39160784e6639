//! Synthetic patients: ordinary names, values from ranges that belong to nobody.
//!
//! Telephone numbers are 555-0100 to 555-0199 (kept for fiction), mail and web addresses end in
//! `.example` (RFC 2606), IP addresses are documentation ranges (RFC 5737), social security numbers
//! are ones that were printed in advertisements and are void, though their form is valid. The vehicle
//! number is a textbook specimen with a valid check digit; the Medicare number is the CMS specimen.

/// One synthetic patient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Person {
    /// Given name.
    pub given: &'static str,
    /// Family name.
    pub family: &'static str,
    /// Both, as written in text.
    pub name: &'static str,
    /// Date of birth, `MM/DD/YYYY`.
    pub born: &'static str,
    /// Age in words of a note: `97-year-old`.
    pub age: &'static str,
    /// House number and street.
    pub street: &'static str,
    /// City.
    pub city: &'static str,
    /// Two-letter state. A state alone is no identifier.
    pub state: &'static str,
    /// ZIP code.
    pub zip: &'static str,
    /// Telephone number.
    pub phone: &'static str,
    /// Fax number.
    pub fax: &'static str,
    /// E-mail address.
    pub email: &'static str,
    /// Social security number.
    pub ssn: &'static str,
    /// Medical record number.
    pub mrn: &'static str,
    /// Health plan beneficiary number.
    pub health_plan: &'static str,
    /// Account number.
    pub account: &'static str,
}

/// A patient over 89, so that the age itself is an identifier.
pub const MARISOL: Person = Person {
    given: "Marisol",
    family: "Quintero",
    name: "Marisol Quintero",
    born: "03/02/1929",
    age: "97-year-old",
    street: "418 Alder Creek Road",
    city: "Asheville",
    state: "NC",
    zip: "28801",
    phone: "(828) 555-0142",
    fax: "(828) 555-0178",
    email: "m.quintero@mailbox.example",
    ssn: "219-09-9999",
    mrn: "00482913",
    health_plan: "1EG4-TE5-MK73",
    account: "7730-021984",
};

/// A second patient, for conversations in which nobody may be swapped.
pub const DESMOND: Person = Person {
    given: "Desmond",
    family: "Achterberg",
    name: "Desmond Achterberg",
    born: "11/19/1961",
    age: "65-year-old",
    street: "27 Fennimore Street",
    city: "Duluth",
    state: "MN",
    zip: "55802",
    phone: "(218) 555-0117",
    fax: "(218) 555-0119",
    email: "desmond.achterberg@post.example",
    ssn: "078-05-1120",
    mrn: "00917746",
    health_plan: "2FH5-UF6-NL84",
    account: "5518-440263",
};

/// A name with letters outside ASCII, so that byte and character offsets differ.
pub const SOLVEIG: Person = Person {
    given: "Sólveig",
    family: "Núñez",
    name: "Sólveig Núñez",
    born: "07/30/1988",
    age: "38-year-old",
    street: "1902 Larkspur Avenue",
    city: "Tucson",
    state: "AZ",
    zip: "85719",
    phone: "(520) 555-0163",
    fax: "(520) 555-0164",
    email: "solveig@inbox.example",
    ssn: "165-16-7999",
    mrn: "00350286",
    health_plan: "3GJ6-VG7-PM95",
    account: "6604-118837",
};

/// A name with an apostrophe and a hyphen.
pub const FIONNUALA: Person = Person {
    given: "Fionnuala",
    family: "O'Hanlon-Reyes",
    name: "Fionnuala O'Hanlon-Reyes",
    born: "01/05/1975",
    age: "51-year-old",
    street: "66 Copperfield Lane",
    city: "Worcester",
    state: "MA",
    zip: "01609",
    phone: "(508) 555-0126",
    fax: "(508) 555-0127",
    email: "fionnuala.or@mailbox.example",
    ssn: "212-09-9999",
    mrn: "00760154",
    health_plan: "4HK7-WH8-QN16",
    account: "9012-773410",
};

/// A name made of ordinary English words.
pub const GRACE: Person = Person {
    given: "Grace",
    family: "Banks",
    name: "Grace Banks",
    born: "09/14/1952",
    age: "74-year-old",
    street: "5 Orchard Terrace",
    city: "Spokane",
    state: "WA",
    zip: "99201",
    phone: "(509) 555-0191",
    fax: "(509) 555-0192",
    email: "grace.banks@post.example",
    ssn: "306-30-2348",
    mrn: "00228471",
    health_plan: "5JM8-XJ9-RP27",
    account: "3347-905216",
};

/// Every synthetic patient.
pub const ALL: [Person; 5] = [MARISOL, DESMOND, SOLVEIG, FIONNUALA, GRACE];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_people_share_a_value() {
        let values = |person: &Person| {
            [person.name, person.phone, person.fax, person.email, person.ssn, person.mrn]
                .map(str::to_owned)
                .into_iter()
                .chain([person.health_plan, person.account, person.street].map(str::to_owned))
                .collect::<Vec<_>>()
        };
        let mut all: Vec<String> = ALL.iter().flat_map(values).collect();
        let written = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), written);
    }

    #[test]
    fn every_value_is_from_a_range_that_belongs_to_nobody() {
        for person in ALL {
            assert!(person.phone.contains("555-01") && person.fax.contains("555-01"));
            assert!(person.email.ends_with(".example"));
        }
    }
}
