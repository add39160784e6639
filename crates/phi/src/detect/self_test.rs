//! The detector's own test: one synthetic identifier of every class.

use super::{Detector, Layers, Part, Unscannable};
use crate::Class;

/// A note about a person who does not exist, with what must be found in it.
const PLANTED: &[(Class, &str, &str)] = &[
    (Class::Name, "Patient: ", "Agnieszka Kowalczyk"),
    (Class::Location, "Address: ", "41 Alder Street, Springfield, IL 62704"),
    (Class::Date, "DOB: ", "03/14/1931"),
    (Class::Age, "She is a ", "92"),
    (Class::Phone, "-year-old. Phone: ", "(617) 555-0142"),
    (Class::Fax, "Fax: ", "617-555-0143"),
    (Class::Email, "E-mail ", "a.kowalczyk@mail.example"),
    (Class::Ssn, "SSN ", "078-05-1120"),
    (Class::Mrn, "MRN ", "4412907"),
    (Class::HealthPlanId, "Member ID: ", "XYZ884412"),
    (Class::Account, "Account number ", "55-201-7781"),
    (Class::License, "Driver's license number ", "S514-7789"),
    (Class::Vehicle, "License plate: ", "KLM-4471"),
    (Class::DeviceId, "Pacemaker serial number ", "PM-88-21774"),
    (Class::Url, "Portal ", "https://portal.example/p/7781"),
    (Class::Ip, "from ", "203.0.113.77"),
    (Class::Biometric, "Fingerprint ID: ", "FP-55121"),
    (Class::Photo, "Photo: ", "face_0012.jpg"),
    (Class::Profession, "Occupation: ", "lighthouse keeper"),
    (Class::OtherId, "Accession number ", "S24-11873"),
];

/// Scans the note and compares.
pub(crate) fn run(detector: &Detector) -> Result<(), Unscannable> {
    let mut text = String::new();
    let mut spans = Vec::with_capacity(PLANTED.len());
    for &(class, before, value) in PLANTED {
        text.push_str(before);
        let start = text.len();
        text.push_str(value);
        spans.push((class, start, text.len()));
        if class != Class::Age {
            text.push('\n');
        }
    }
    let lists = detector.scan(&[Part { text: &text, label: None }])?;
    let found = lists.first().map(Vec::as_slice).unwrap_or_default();
    // Fail closed: a class that is not found whole, under its own name, is a broken detector.
    let whole = spans.iter().all(|&(class, start, end)| {
        found.iter().any(|f| f.class == class && f.start <= start && f.end >= end)
    });
    let complete = Class::ALL.iter().all(|class| spans.iter().any(|s| s.0 == *class));
    // So is one whose weights or lists did not open.
    let trained = detector.tagger.is_some() || !detector.layers.has(Layers::SCOUT);
    if whole && complete && trained && detector.lexicon.is_whole() {
        Ok(())
    } else {
        Err(Unscannable::SelfTest)
    }
}
