//! Which labelled spans count, under which reading of the law.

use crate::Class;

/// What a span is, in the terms in which readings of the law differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// An identifier under every reading.
    Identifier,
    /// An age of less than 90 years.
    AgeUnderNinety,
    /// A year without day or month.
    Year,
    /// A day of the week, or a day told from another one: `last Friday`, `yesterday`.
    RelativeDay,
    /// A state of the United States, or a country.
    State,
    /// An organisation that is no place of care and no address.
    Organisation,
    /// An occupation.
    Profession,
}

/// A reading of what must be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Policy {
    /// The 18 classes of 45 CFR 164.514(b)(2)(i), read strictly: names of clinicians too, and the names
    /// of places of care, which are places smaller than a state. Years, states, countries, ages under
    /// 90, occupations and other organisations are left out.
    SafeHarbor,
    /// As the i2b2 tasks of 2006 and 2014 labelled: every age, year, state, country, occupation and
    /// organisation too.
    I2b2,
}

impl Policy {
    /// Both, in the order of reports.
    pub const ALL: [Self; 2] = [Self::SafeHarbor, Self::I2b2];

    /// What reports call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SafeHarbor => "Safe Harbor, strict",
            Self::I2b2 => "i2b2-like",
        }
    }

    /// Whether a span of this kind must be found. One that need not be found is neutral.
    #[must_use]
    pub const fn counts(self, kind: Kind) -> bool {
        match self {
            Self::SafeHarbor => matches!(kind, Kind::Identifier),
            Self::I2b2 => true,
        }
    }
}

impl Kind {
    /// The kind of a span, from its class, its annotator's finer label and its text.
    #[must_use]
    pub fn of(class: Class, sub: Option<&str>, text: &str) -> Self {
        let sub = sub.unwrap_or_default();
        match class {
            Class::Age => age(sub, text),
            Class::Date => date(sub, text),
            Class::Location => location(sub, text),
            Class::Profession if sub != "UNIQUE" => Self::Profession,
            Class::Profession
            | Class::Name
            | Class::Phone
            | Class::Fax
            | Class::Email
            | Class::Ssn
            | Class::Mrn
            | Class::HealthPlanId
            | Class::Account
            | Class::License
            | Class::Vehicle
            | Class::DeviceId
            | Class::Url
            | Class::Ip
            | Class::Biometric
            | Class::Photo
            | Class::OtherId => Self::Identifier,
        }
    }

    /// The kind of a finding that touches no label, from its class and text.
    ///
    /// A detector may call an age a date; what counts is what was covered.
    #[must_use]
    pub fn of_finding(class: Class, text: &str) -> Self {
        if class == Class::Date && says_age(text) {
            age("", text)
        } else {
            Self::of(class, None, text)
        }
    }
}

/// The lower-case words of a text, without anything but letters and digits.
fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|w| !w.is_empty())
        .map(str::to_lowercase)
        .collect()
}

fn age(sub: &str, text: &str) -> Kind {
    /// Units that make any number an age of less than 90 years, in the languages of the corpora.
    const SHORT: &[&str] = &[
        "hour", "hours", "day", "days", "week", "weeks", "wk", "wks", "month", "months", "mo",
        "mos", "semanas", "meses", "mes", "monate", "tage", "wochen",
    ];
    match sub {
        "AGE_GE90" => return Kind::Identifier,
        "AGE_LT90" => return Kind::AgeUnderNinety,
        _ => {}
    }
    let words = words(text);
    let is_short = words.iter().any(|w| SHORT.contains(&w.as_str()) || w.starts_with("dia"));
    if is_short || !words.iter().any(|w| is_ninety_or_more(w)) {
        Kind::AgeUnderNinety
    } else {
        Kind::Identifier
    }
}

fn is_ninety_or_more(word: &str) -> bool {
    let digits = word.trim_end_matches(|c: char| c.is_alphabetic());
    let number = digits.parse().is_ok_and(|n: u32| n >= 90);
    number || matches!(word, "ninety" | "nineties" | "hundred" | "noventa" | "cien" | "neunzig")
}

/// Whether a text says how old somebody is: `34-year-old`, `age 7`.
fn says_age(text: &str) -> bool {
    let words = words(text);
    words.iter().any(|w| matches!(w.as_str(), "old" | "aged" | "age" | "yo"))
}

fn date(sub: &str, text: &str) -> Kind {
    /// Words that may stand before a year or a day and change nothing.
    const BEFORE: &[&str] = &[
        "in", "since", "year", "the", "of", "early", "late", "mid", "on", "this", "every", "each",
    ];
    const DAYS: &[&str] = &[
        "monday",
        "tuesday",
        "wednesday",
        "thursday",
        "friday",
        "saturday",
        "sunday",
        "mondays",
        "tuesdays",
        "wednesdays",
        "thursdays",
        "fridays",
        "saturdays",
        "sundays",
        "mon",
        "tue",
        "tues",
        "wed",
        "thu",
        "thur",
        "thurs",
        "fri",
        "sat",
        "sun",
        "today",
        "tomorrow",
        "yesterday",
        "tonight",
        "week",
        "weekend",
        "month",
        "year",
    ];
    const TOLD: &[&str] = &[
        "last",
        "next",
        "past",
        "previous",
        "following",
        "morning",
        "afternoon",
        "evening",
        "night",
    ];
    match sub {
        "YEAR" => return Kind::Year,
        "WEEKDAY" => return Kind::RelativeDay,
        _ => {}
    }
    let words = words(text);
    let mut rest = words.iter().map(String::as_str).filter(|w| !BEFORE.contains(w)).peekable();
    if rest.peek().is_none() {
        return Kind::Identifier;
    }
    let rest: Vec<&str> = rest.collect();
    if rest.iter().all(|w| is_year(w, text)) {
        return Kind::Year;
    }
    if rest.iter().all(|w| DAYS.contains(w) || TOLD.contains(w)) {
        return Kind::RelativeDay;
    }
    Kind::Identifier
}

fn is_year(word: &str, text: &str) -> bool {
    let digits = word.strip_suffix('s').unwrap_or(word);
    let number = digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse::<u16>().ok());
    match (digits.len(), number.flatten()) {
        (4, Some(year)) => (1800..2100).contains(&year),
        // `'98`
        (2, Some(_)) => text.starts_with(['\'', '\u{2019}']),
        _ => false,
    }
}

fn location(sub: &str, text: &str) -> Kind {
    /// The finer labels of states and countries: FHIR, C-CDA, MEDDOCAN, `GraSCCo`, this project's own.
    const BROAD: &[&str] = &["STATE", "COUNTRY", "PAIS", "LOCATION_COUNTRY", "state", "country"];
    const ORGANISATIONS: &[&str] =
        &["ORGANIZATION", "ORG", "corporation", "LOCATION_ORGANIZATION", "INSTITUCION"];
    // Components 4 and 6 of an HL7 v2 address are state and country; in PV1 they are a person's bed.
    let last = sub.rsplit('.').next().unwrap_or_default();
    let hl7 = sub.contains('-') && !sub.starts_with("PV1") && matches!(last, "4" | "6");
    if BROAD.contains(&last) || hl7 || is_state(text) {
        return Kind::State;
    }
    if ORGANISATIONS.contains(&sub) && !names_care(text) {
        return Kind::Organisation;
    }
    Kind::Identifier
}

/// Whether an organisation's name says that people are cared for there.
fn names_care(text: &str) -> bool {
    const CARE: &[&str] = &[
        "hospital",
        "clinic",
        "clinics",
        "clinica",
        "cl\u{ed}nica",
        "medical",
        "health",
        "healthcare",
        "hospice",
        "infirmary",
        "pharmacy",
        "nursing",
        "rehab",
        "rehabilitation",
        "surgery",
        "klinik",
        "klinikum",
        "krankenhaus",
        "salud",
        "ambulatorio",
        "dental",
    ];
    words(text).iter().any(|w| CARE.contains(&w.as_str()))
}

fn is_state(text: &str) -> bool {
    let bare = text.trim_matches(|c: char| !c.is_alphanumeric());
    let bare = bare.strip_prefix("the ").or_else(|| bare.strip_prefix("The ")).unwrap_or(bare);
    // A code is only a code in capitals: `in` and `me` are words.
    let code: String = bare.chars().filter(|c| *c != '.').collect();
    if CODES.contains(&code.as_str()) {
        return true;
    }
    let lower = bare.to_lowercase();
    STATES.contains(&lower.as_str()) || COUNTRIES.contains(&lower.as_str())
}

const CODES: &[&str] = &[
    "AL", "AK", "AZ", "AR", "CA", "CO", "CT", "DE", "DC", "FL", "GA", "HI", "ID", "IL", "IN", "IA",
    "KS", "KY", "LA", "ME", "MD", "MA", "MI", "MN", "MS", "MO", "MT", "NE", "NV", "NH", "NJ", "NM",
    "NY", "NC", "ND", "OH", "OK", "OR", "PA", "PR", "RI", "SC", "SD", "TN", "TX", "UT", "VT", "VA",
    "WA", "WV", "WI", "WY", "US", "USA", "UK", "UAE", "EU", "GB", "GBR", "CAN",
];

const STATES: &[&str] = &[
    "alabama",
    "alaska",
    "arizona",
    "arkansas",
    "california",
    "colorado",
    "connecticut",
    "delaware",
    "district of columbia",
    "florida",
    "georgia",
    "hawaii",
    "idaho",
    "illinois",
    "indiana",
    "iowa",
    "kansas",
    "kentucky",
    "louisiana",
    "maine",
    "maryland",
    "massachusetts",
    "michigan",
    "minnesota",
    "mississippi",
    "missouri",
    "montana",
    "nebraska",
    "nevada",
    "new hampshire",
    "new jersey",
    "new mexico",
    "new york state",
    "north carolina",
    "north dakota",
    "ohio",
    "oklahoma",
    "oregon",
    "pennsylvania",
    "puerto rico",
    "rhode island",
    "south carolina",
    "south dakota",
    "tennessee",
    "texas",
    "utah",
    "vermont",
    "virginia",
    "washington state",
    "west virginia",
    "wisconsin",
    "wyoming",
];

const COUNTRIES: &[&str] = &[
    "afghanistan",
    "albania",
    "algeria",
    "argentina",
    "armenia",
    "australia",
    "austria",
    "bangladesh",
    "belgium",
    "bolivia",
    "bosnia",
    "brazil",
    "bulgaria",
    "cambodia",
    "cameroon",
    "canada",
    "chile",
    "china",
    "colombia",
    "congo",
    "costa rica",
    "croatia",
    "cuba",
    "cyprus",
    "czech republic",
    "denmark",
    "dominican republic",
    "ecuador",
    "egypt",
    "el salvador",
    "england",
    "eritrea",
    "espa\u{f1}a",
    "estonia",
    "ethiopia",
    "finland",
    "france",
    "germany",
    "deutschland",
    "ghana",
    "great britain",
    "greece",
    "guatemala",
    "haiti",
    "honduras",
    "hungary",
    "iceland",
    "india",
    "indonesia",
    "iran",
    "iraq",
    "ireland",
    "israel",
    "italy",
    "jamaica",
    "japan",
    "kenya",
    "kuwait",
    "laos",
    "latvia",
    "lebanon",
    "libya",
    "lithuania",
    "malaysia",
    "mexico",
    "morocco",
    "myanmar",
    "nepal",
    "netherlands",
    "new zealand",
    "nicaragua",
    "nigeria",
    "north korea",
    "northern ireland",
    "norway",
    "pakistan",
    "palestine",
    "panama",
    "paraguay",
    "peru",
    "philippines",
    "poland",
    "portugal",
    "qatar",
    "romania",
    "russia",
    "rwanda",
    "saudi arabia",
    "scotland",
    "senegal",
    "serbia",
    "singapore",
    "slovakia",
    "slovenia",
    "somalia",
    "south africa",
    "south korea",
    "korea",
    "spain",
    "sri lanka",
    "sudan",
    "sweden",
    "switzerland",
    "syria",
    "taiwan",
    "tanzania",
    "thailand",
    "tunisia",
    "turkey",
    "uganda",
    "ukraine",
    "united arab emirates",
    "united kingdom",
    "united states",
    "united states of america",
    "uruguay",
    "venezuela",
    "vietnam",
    "wales",
    "yemen",
    "zambia",
    "zimbabwe",
];
