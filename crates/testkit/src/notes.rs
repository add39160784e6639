//! Clinical notes about synthetic people, with a list of the identifiers planted in them.

use crate::people::{self, Person};
use phi::Class;

/// One identifier that stands in a note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planted {
    /// What it is.
    pub class: Class,
    /// The exact text. It occurs in the note, and must not occur where the note may not go.
    pub value: String,
}

/// A synthetic clinical note.
#[derive(Clone, Debug)]
pub struct Note {
    /// The whole text.
    pub text: String,
    /// The identifiers in it, in the order of the classes in law.
    pub planted: Vec<Planted>,
    /// Clinical words that are no identifiers and that a model needs: they should pass unchanged.
    pub clinical: Vec<&'static str>,
}

impl Note {
    /// The planted values of one class.
    #[must_use]
    pub fn values(&self, class: Class) -> Vec<&str> {
        self.planted.iter().filter(|it| it.class == class).map(|it| it.value.as_str()).collect()
    }

    /// Which planted values occur in `text`: empty when it is clean.
    #[must_use]
    pub fn leaks_into<'a>(&'a self, text: &str) -> Vec<&'a Planted> {
        self.planted.iter().filter(|it| text.contains(&it.value)).collect()
    }
}

fn planted(values: &[(Class, &str)]) -> Vec<Planted> {
    values.iter().map(|&(class, value)| Planted { class, value: value.to_owned() }).collect()
}

fn of_person(person: &Person) -> Vec<(Class, &'static str)> {
    vec![
        (Class::Name, person.name),
        (Class::Name, person.family),
        (Class::Location, person.street),
        (Class::Location, person.city),
        (Class::Location, person.zip),
        (Class::Date, person.born),
        (Class::Phone, person.phone),
        (Class::Email, person.email),
        (Class::Ssn, person.ssn),
        (Class::Mrn, person.mrn),
        (Class::HealthPlanId, person.health_plan),
        (Class::Account, person.account),
    ]
}

/// A note about Marisol Quintero with an identifier of every class that text can hold
/// (45 CFR 164.514(b)(2)(i)(A) to (R)).
#[must_use]
pub fn every_class() -> Note {
    let who = &people::MARISOL;
    let Person { name, family, born, age, street, city, state, zip, .. } = who;
    let Person { phone, fax, email, ssn, mrn, health_plan, account, .. } = who;
    let text = format!(
        "DISCHARGE SUMMARY\n\
         Patient: {name}\n\
         DOB: {born}   SSN: {ssn}   MRN: {mrn}\n\
         Address: {street}, {city}, {state} {zip}\n\
         Phone: {phone}   Fax: {fax}   Email: {email}\n\
         Medicare beneficiary ID: {health_plan}   Account number: {account}\n\
         Driver's license: D4471902836   VIN: 1M8GDM9AXKP042788\n\
         Occupation: harbor pilot\n\
         \n\
         Ms. {family} is a {age} woman admitted on 11/04/2026 with atrial fibrillation and \
         Parkinson disease. Blood pressure was 132/84 mmHg, heart rate 88. Pacemaker serial number \
         PJN-4471203S was interrogated from 203.0.113.57 and the report filed at \
         https://portal.riverbend.example/p/88412. Photo on file: face_IMG_20261104.jpg. \
         Fingerprint template ID: FP-7731-9920-KD. Study participant code: RB-ONC-00417.\n\
         \n\
         PLAN: continue metoprolol 25 mg twice daily and carbidopa-levodopa. Call {name} at \
         {phone} with the results.\n"
    );
    let mut values = of_person(who);
    values.extend([
        (Class::Date, "11/04/2026"),
        (Class::Age, *age),
        (Class::Fax, *fax),
        (Class::License, "D4471902836"),
        (Class::Vehicle, "1M8GDM9AXKP042788"),
        (Class::DeviceId, "PJN-4471203S"),
        (Class::Url, "https://portal.riverbend.example/p/88412"),
        (Class::Ip, "203.0.113.57"),
        (Class::Biometric, "FP-7731-9920-KD"),
        (Class::Photo, "face_IMG_20261104.jpg"),
        (Class::Profession, "harbor pilot"),
        (Class::OtherId, "RB-ONC-00417"),
    ]);
    values.sort_by_key(|(class, _)| *class);
    let clinical =
        vec!["Parkinson disease", "atrial fibrillation", "132/84 mmHg", "metoprolol 25 mg"];
    Note { text, planted: planted(&values), clinical }
}

/// A note about another patient, Desmond Achterberg, for conversations about two people.
#[must_use]
pub fn second_patient() -> Note {
    let who = &people::DESMOND;
    let Person { name, family, born, street, city, state, zip, .. } = who;
    let Person { phone, email, ssn, mrn, health_plan, account, .. } = who;
    let text = format!(
        "PROGRESS NOTE\n\
         Patient: {name}\n\
         DOB: {born}   SSN: {ssn}   MRN: {mrn}\n\
         Address: {street}, {city}, {state} {zip}\n\
         Phone: {phone}   Email: {email}\n\
         Member ID: {health_plan}   Account number: {account}\n\
         \n\
         Mr. {family} was seen on 11/12/2026 for type 2 diabetes. Hemoglobin A1c is 7.1 %. He \
         tolerates metformin 1000 mg twice daily. Return in three months.\n"
    );
    let mut values = of_person(who);
    values.push((Class::Date, "11/12/2026"));
    values.sort_by_key(|(class, _)| *class);
    let clinical = vec!["type 2 diabetes", "Hemoglobin A1c is 7.1 %", "metformin 1000 mg"];
    Note { text, planted: planted(&values), clinical }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_to_be_planted_stands_in_the_note() {
        for note in [every_class(), second_patient()] {
            assert_eq!(note.leaks_into(&note.text).len(), note.planted.len());
            assert!(note.clinical.iter().all(|word| note.text.contains(word)));
        }
    }

    #[test]
    fn every_class_has_a_planted_value() {
        let note = every_class();
        for class in Class::ALL {
            assert!(!note.values(*class).is_empty(), "{class} is not planted");
        }
    }

    #[test]
    fn the_two_patients_share_no_value() {
        assert!(every_class().leaks_into(&second_patient().text).is_empty());
        assert!(second_patient().leaks_into(&every_class().text).is_empty());
    }
}
