//! What the label of a value says of the value: `patientFirstName`, `MRN #`, `Date of birth`.

use super::number;
use super::structure::Escape;
use super::token::Phrase;
use crate::Class;

/// The kind of value that stands under a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    /// A person's name, among other things that are called names.
    Name,
    /// A person's name, if the value reads as one.
    Person,
    /// A given name or a surname, whatever word it is.
    NamePart,
    /// A person's or an organisation's name.
    NameOrPlace,
    /// A calendar date, also without separators.
    Date,
    /// An age in years.
    Age,
    /// A number or code of this class.
    Id(Class),
    /// The whole value is a code of this class, whatever it looks like.
    Code(Class),
    /// The address of a resource: what comes after its type identifies.
    Reference,
    /// A telephone number.
    Phone,
    /// A fax number.
    Fax,
    /// A telephone number, an e-mail address or a web address: its form says which.
    Contact,
    /// A street address, town or county: the whole value.
    Address,
    /// Something at a place: a facility, or a part of the body.
    Place,
    /// A ZIP code.
    Zip,
    /// What may be a state or a country, or the state of a machine: a finding when its word says so.
    State,
    /// The state or country of an address.
    Region,
    /// Degrees of latitude or longitude.
    Position,
    /// The whole value, of this class.
    Whole(Class),
    /// A dose, a code, a unit: what stands here identifies no one, unless its form is sure.
    Neutral,
    /// Prose with escapes, which the layers for prose read without them.
    Text(Escape),
    /// The name of a file without its ending.
    File,
    /// Nothing is known of it.
    Unknown,
    /// The name of a schema or a code system: nothing here is about a person, whatever its form.
    Technical,
}

/// What must stand between a label and a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Need {
    /// Nothing: `MRN 441`.
    Nothing,
    /// A mark or a word like `number`: `Patient: Ann`.
    Mark,
    /// A word like `number`: `case no. 441`.
    Number,
}

/// A label in the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Label {
    /// What stands under it.
    pub(crate) field: Field,
    /// What must stand between it and a value in running text.
    pub(crate) need: Need,
}

const fn id(class: Class) -> Field {
    Field::Id(class)
}

/// `STRONG` labels stand directly before a value: `MRN 441`.
const STRONG: &[(Field, &str)] = &[
    (id(Class::Ssn), "ssn|ss|social security|soc sec|social|ssa|social sec"),
    (
        id(Class::Mrn),
        "mrn|mrns|mr|medical record|medical record nr|med rec|medrec|med record|chart|health record|\
         hospital record|patient record|mpi|emrn|medical rec|emr|ehr|hrn|patient mrn|unit record|\
         medical records|emr record|ehr record|medical chart|patient chart|record",
    ),
    (
        id(Class::HealthPlanId),
        "mbi|hicn|medicare|medicaid|member|subscriber|beneficiary|policy|insurance|insurance policy|\
         health plan|health insurance|health plan beneficiary|medi cal|tricare|hpbn|hpid|\
         insurance plan|insured|payer member|bcbs|rxbin|rxpcn|rxgrp|health id|health card|\
         policyholder|beneficiary number|hic|cin|insurance card|plan member|enrollee|\
         insurance member|health policy",
    ),
    (
        id(Class::Account),
        "account|acct|acc|patient account|bank account|routing|aba|iban|credit card|\
         debit card|billing account|invoice|har|guarantor account|cc|payment card|\
         account ending|checking|savings|swift",
    ),
    (
        id(Class::License),
        "license|licence|npi|dea|upin|certificate|certification|driver license|drivers license|\
         driver s license|driver licence|dl|passport|passport number|medical license|state license|\
         nursing license|rn license|registration|permit|cert|driver|national provider|taxonomy|\
         driving licence|driver's license|lic|provider npi|prescriber dea|csr|state id",
    ),
    (
        id(Class::Vehicle),
        "vin|license plate|licence plate|plate|vehicle|tag|vehicle identification|plates|\
         registration plate|car registration|vehicle plate|license plate number|vehicle serial",
    ),
    (
        id(Class::DeviceId),
        "serial|serial number|sn|s n|device serial|udi|imei|meid|device identifier|implant|\
         pacemaker|icd device|pump serial|mac|mac address|model serial|pacemaker sn|\
         pacemaker serial|cgm|implant serial|device sn|glucometer|defibrillator|stimulator|\
         device udi|lot number|asset tag|asset|equipment tag",
    ),
    (
        id(Class::Biometric),
        "fingerprint|biometric|retina|retinal scan|iris|iris scan|voiceprint|voice print|faceprint|\
         palm print|fingerprint template|biometric template|fingerprint id|biometric hash|\
         finger print|thumbprint|facial recognition|iris template|voice sample|retina scan|\
         face template|dna profile|gait signature",
    ),
    (
        id(Class::OtherId),
        "accession|accession number|specimen|claim|encounter|requisition|username|user name|login|\
         authorization|prior authorization|referral|record locator|confirmation|tracking|csn|fin|\
         patient identifier|identifier|study key|placer order|filler order|isbt|case number|badge|\
         rx number|trial subject|protocol subject|login name|user handle|handle|barcode|file number|\
         prescription number|study id|subject id|donor|inmate|voucher|key|rx|prescription|study subject",
    ),
    (
        Field::Phone,
        "phone|tel|telephone|cell|mobile|pager|home phone|work phone|cell phone|mobile phone|\
         contact number|call|callback|call back|phone number|ph|telecom|contact phone|beeper|\
         emergency phone|dial|whatsapp|ext|phones|cellphone|landline|contact",
    ),
    (Field::Fax, "fax|facsimile|fax number|efax|telefax"),
    (Field::Age, "age|patient age|age years|age in years"),
    (
        Field::Date,
        "dob|date of birth|birth date|birthdate|birth day|birthday|born|date|dod|date of death|\
         admission date|discharge date|date of service|dos|visit date|admit date|service date|\
         deceased date|admitted|discharged|admit|discharge|date admitted|date discharged|dictated|\
         transcribed|signed|collected|received|reported|death date|appointment date|procedure date|\
         surgery date|onset date|date of admission|date of discharge|date of visit|effective date|\
         start date|end date|authored on|issued|recorded|recorded date|deceased|authored|started|\
         date of surgery|date of procedure|date of exam|exam date|period start|period end|\
         effective time|birth time|d o b|deceased date time|birth dt|effective date time|occurrence|\
         performed date time|date time|datetime|timestamp|onset date time|authored date|created|\
         expiration date|scheduled|last seen|encounter date|collection date|report date|service|\
         date dictated|date transcribed|date signed|bdate|created at|updated at|modified|\
         date collected|date reported|last updated|lastupdated|asserted date|recorded on|day",
    ),
    (Field::Zip, "zip|zip code|zipcode|postal code|postcode|postalcode|zip plus4"),
    (
        Field::State,
        "state|province|region|country|state province|state or province|country name|state code|country code",
    ),
    (Field::Position, "latitude|longitude|lat|lon|lng"),
];

/// Labels of a number only with a word like `number` or a number sign after them.
const NUMBERED: &[(Field, &str)] = &[
    (
        id(Class::OtherId),
        "case|study|visit|order|reference|sample|subject|participant|employee|auth|patient|client|\
         user|enrollment|kit|incident|report|ticket|document|message|control|person|appointment|\
         transaction|lab|resident|student|military|service|national|research|exam|bag|\
         registry|unique|external|internal|episode|admission|booking|slide|block|case file|staff|\
         provider|clinician|practitioner|physician|dispensing|pathology|session|customer|personal|\
         personnel|worker|volunteer|household|pt|trial|protocol|ref|conversation|request|form|doc",
    ),
    (id(Class::HealthPlanId), "plan|group|coverage|payer"),
    (id(Class::DeviceId), "device|lot|model|pump|equipment|catalog|sensor"),
    (id(Class::Account), "card|bank|bill|financial|billing"),
];

/// `WEAK` labels say something only with a colon, an equals sign or a field around the value.
const WEAK: &[(Field, &str)] = &[
    (
        Field::NamePart,
        "first name|given|given name|given names|fname|firstname|forename|last name|family|family name|\
         surname|lname|lastname|middle name|middle|middlename|mother maiden name|first names|last names|\
         patient first name|patient last name|full legal name",
    ),
    (
        Field::Name,
        "name|patient name|patient|pt|pt name|client|client name|full name|legal name|maiden name|\
         alias|aka|nickname|preferred name|mothers maiden name|mother s maiden name|prefix name|fullname|\
         attending|attending physician|attending provider|attending md|physician|provider|\
         provider name|pcp|primary care physician|primary care provider|surgeon|referring physician|\
         referring provider|referred by|dictated by|signed by|electronically signed by|author|\
         performed by|ordered by|ordering provider|ordering physician|reviewed by|seen by|nurse|\
         doctor|dr|consultant|anesthesiologist|assistant|assistant surgeon|guarantor|guarantor name|\
         subscriber name|member name|insured name|policy holder|policyholder name|next of kin|nok|\
         emergency contact|contact|contact name|contact person|guardian|mother|father|spouse|wife|\
         husband|daughter|son|caregiver|witness|interpreter|case manager|social worker|therapist|\
         clinician|practitioner|practitioner name|resident|prepared by|requested by|transcribed by|\
         dictator|transcriptionist|radiologist|pathologist|interpreting physician|from|to|cc|bcc|\
         attn|employee|employee name|customer name|contact names|sibling|brother|sister|partner|\
         parent|parents|relative|child|baby|infant|cosigned by|verified by|entered by|collected by|\
         received by|administered by|scribe|technologist|technician|sonographer|performer|requester|\
         collector|asserter|recorder|informant|legal guardian|person|user full name|sender|recipient|\
         physician name|doctor name|nurse name|staff|responsible party|proxy|health care proxy|\
         power of attorney|poa|hcp|member|applicant|insured|subscriber|person name|cardholder|\
         account holder|card holder|beneficiary name|names|authored by|approved by|completed by|\
         admitting physician|consulting physician|primary surgeon|first assistant|perfusionist|\
         attending surgeon|co surgeon|operator|examiner|evaluator|counselor|psychologist|reporter|\
         dear|re",
    ),
    (
        Field::Address,
        "address|home address|street|street address|street name|line|line 1|line1|line 2|line2|\
         address line|address line 1|address line 2|addr|city|town|municipality|county|\
         county code|mailing address|residence|place of birth|birthplace|birth place|\
         street address line|address1|address2|work address|billing address|hometown|home town|\
         place of residence|home city|birth city",
    ),
    (
        Field::Place,
        "facility|facility name|hospital|hospital name|clinic|clinic name|site|site name|\
         organization|organization name|location|location name|practice|practice name|\
         service provider|managing organization|pharmacy|school|employer|district|neighborhood|\
         lives at|service location|institution|admitting facility|referring facility|\
         performing lab|performing facility|custodian|place of employment|company|workplace|\
         precinct",
    ),
    (Field::Whole(Class::Profession), "occupation|profession|job|job title|employment"),
    (
        Field::Whole(Class::Photo),
        "photo|photograph|image|picture|face photo|full face photo|portrait|selfie|photo file|image file|avatar|headshot",
    ),
    (
        Field::Neutral,
        "drug name|medication name|brand name|generic name|product name|file name|filename|tool name|\
         function name|model name|procedure name|diagnosis name|test name|device name|display name|\
         code|dose|dosage|units|quantity|system|resource type|status|use|icd|icd 10|icd10|cpt|\
         loinc|snomed|rxnorm|ndc|hcpcs|drg|code system|template|template id|oid|version|model|role|\
         type|value set|strength|frequency|route|priority|severity|score|result|count|weight|\
         height|bmi|bp|blood pressure|temperature|heart rate|pulse|history|plan of care|version id|\
         section|chief complaint|diagnosis|impression|assessment|icd code|cpt code|cas|pmid|doi|nct|\
         procedure code|diagnosis code|icd9|icd 9|step|figure|table|appendix|chapter|volume|page|\
         level|stage|grade|class|category|phase|gene|allele|rs|chromosome|column|index|temp|max tokens|\
         medication list|condition|plan type|group therapy|drug|medication|chart review|disease",
    ),
];

/// All labels, sorted.
#[derive(Debug)]
pub(crate) struct Labels {
    sorted: Vec<(&'static str, Label)>,
    /// For each first byte of a label's last word, the lengths of such words as bits. Nearly every
    /// phrase of ordinary prose is turned away by it, before any search.
    last_words: [u32; 256],
}

/// The first byte of a phrase's last word, and its length as a bit; long words share the last bit.
fn last_word(phrase: &[u8]) -> (u8, u32) {
    let word = phrase.rsplit(|&b| b == b' ').next().unwrap_or_default();
    (word.first().copied().unwrap_or_default().to_ascii_lowercase(), 1 << word.len().min(31))
}

/// Words at the end of a label that say only that a number follows.
const NUMBER_WORDS: &[&str] =
    &["number", "numbers", "no", "num", "nbr", "nr", "id", "ids", "identifier", "code", "value"];

impl Labels {
    /// Builds the table.
    pub(crate) fn new() -> Self {
        let mut sorted = Vec::with_capacity(1024);
        let tables = [
            (STRONG, Need::Nothing),
            (WEAK, Need::Mark),
            (NUMBERED, Need::Number),
            (number::STRONG, Need::Nothing),
            (number::WEAK, Need::Mark),
            (number::NUMBERED, Need::Number),
        ];
        for (lists, need) in tables {
            for &(field, names) in lists {
                sorted.extend(names.split('|').map(|name| (name, Label { field, need })));
            }
        }
        sorted.sort_by_key(|&(name, _)| name);
        let mut last_words = [0; 256];
        for (name, _) in &sorted {
            let (first, length) = last_word(name.as_bytes());
            if let Some(lengths) = last_words.get_mut(usize::from(first)) {
                *lengths |= length;
            }
        }
        Self { sorted, last_words }
    }

    /// Whether a label may end as this phrase does, in whatever case its last word is written.
    pub(crate) fn may_end(&self, phrase: &[u8]) -> bool {
        let (first, length) = last_word(phrase);
        self.last_words.get(usize::from(first)).is_some_and(|lengths| lengths & length != 0)
    }

    /// Labels of exactly this phrase: the strong ones before the weak ones.
    fn exact(&self, phrase: &[u8]) -> &[(&'static str, Label)] {
        let from = self.sorted.partition_point(|(name, _)| name.as_bytes() < phrase);
        let rest = self.sorted.get(from..).unwrap_or_default();
        let count = rest.iter().take_while(|(name, _)| name.as_bytes() == phrase).count();
        rest.get(..count).unwrap_or_default()
    }

    /// What the longest ending of a phrase says.
    ///
    /// `numbered` tells that a word like `number` stood after the phrase: then it labels a number,
    /// not a name.
    pub(crate) fn of_phrase(&self, phrase: &[u8], numbered: bool) -> Option<Label> {
        if !self.may_end(phrase) {
            return None;
        }
        let mut rest = phrase;
        loop {
            let found = self.exact(rest);
            let named = |f| {
                matches!(
                    f,
                    Field::Name | Field::NamePart | Field::Address | Field::Place | Field::Whole(_)
                )
            };
            // Without a number word `Patient:` labels a name, with one it labels a number.
            let best = if numbered {
                found.iter().find(|l| !named(l.1.field))
            } else {
                found.iter().filter(|l| l.1.need != Need::Number).max_by_key(|l| l.1.need)
            };
            if let Some((_, label)) = best {
                return Some(*label);
            }
            let space = rest.iter().position(|&b| b == b' ')?;
            rest = rest.get(space + 1..)?;
        }
    }

    /// What a name of a field says: words are cut at case changes, marks and digits.
    pub(crate) fn of_key(&self, key: &str) -> Option<Label> {
        /// Longer keys are text, not names of fields.
        const MAX_KEY: usize = 60;
        if key.len() > MAX_KEY {
            return None;
        }
        let mut words: Vec<&[u8]> = Vec::with_capacity(6);
        let bytes = key.as_bytes();
        let mut from = 0;
        for i in 0..=bytes.len() {
            let here = bytes.get(i).copied().unwrap_or(b' ');
            let before = i.checked_sub(1).and_then(|k| bytes.get(k)).copied().unwrap_or(b' ');
            let after = bytes.get(i + 1).copied().unwrap_or(b' ');
            let hump = here.is_ascii_uppercase()
                && (before.is_ascii_lowercase()
                    || (before.is_ascii_uppercase() && after.is_ascii_lowercase()));
            if hump || !here.is_ascii_alphanumeric() {
                if let Some(word) = bytes.get(from..i).filter(|w| !w.is_empty()) {
                    words.push(word);
                }
                from = if hump { i } else { i + 1 };
            }
        }
        let mut numbered = false;
        while words.len() > 1
            && words
                .last()
                .is_some_and(|w| NUMBER_WORDS.iter().any(|n| n.as_bytes().eq_ignore_ascii_case(w)))
        {
            // `zipCode`, `postal_code` and `contact number` are labels as a whole.
            if let Some(label) = self.whole(&words) {
                return Some(label);
            }
            words.pop();
            numbered = true;
        }
        let mut phrase = Phrase::new();
        for word in &words {
            if !phrase.push(word) {
                return None;
            }
        }
        self.of_phrase(phrase.as_bytes(), numbered)
    }

    fn whole(&self, words: &[&[u8]]) -> Option<Label> {
        let mut phrase = Phrase::new();
        if !words.iter().all(|w| phrase.push(w)) {
            return None;
        }
        self.exact(phrase.as_bytes()).first().map(|l| l.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(key: &str, field: Option<Field>) {
        assert_eq!(Labels::new().of_key(key).map(|l| l.field), field, "{key}");
    }

    #[test]
    fn keys_are_read_word_by_word() {
        check("firstName", Some(Field::NamePart));
        check("patient_last_name", Some(Field::NamePart));
        check("birthDate", Some(Field::Date));
        check("MRN #", Some(Field::Id(Class::Mrn)));
        check("patientMRN", Some(Field::Id(Class::Mrn)));
        check("patient id", Some(Field::Id(Class::OtherId)));
        check("Patient", Some(Field::Name));
        check("postal_code", Some(Field::Zip));
        check("zipCode", Some(Field::Zip));
        check("drugName", Some(Field::Neutral));
        check("homePhoneNumber", Some(Field::Phone));
        check("driver's license", Some(Field::Id(Class::License)));
    }

    #[test]
    fn a_label_inside_another_word_is_none() {
        check("remember", None);
        check("public", None);
        check("mrnx", None);
    }
}
