//! More labels of numbers, beside those of [`label`](crate::detect::label), and cues of this layer.

use crate::Class;
use crate::detect::cue;
use crate::detect::label::Field;

/// Words after which the name of an account follows, and the `dot` of spelled addresses.
pub(crate) const CUES: &[(u64, &str)] = &[
    (cue::LOGIN, "username login userid handle logon screenname usernames user"),
    (cue::DOT, "dot"),
    (
        cue::DECADE,
        "twenties thirties forties fifties sixties seventies eighties nineties sexagenarian \
         septuagenarian octogenarian nonagenarian centenarian",
    ),
];

const fn id(class: Class) -> Field {
    Field::Id(class)
}

/// Labels that stand directly before a value.
pub(crate) const STRONG: &[(Field, &str)] = &[
    (
        id(Class::Ssn),
        "itin|taxpayer|taxpayer identification|social insurance|national insurance|nino|soc|\
         social insurance number|soc sec no|ssn last four|ssn last 4",
    ),
    (
        id(Class::Mrn),
        "hospital number|mrno|med rec no|nhc|historia clínica|historia clinica|patientennummer|\
         fallnummer|piz|unit record number|med record no|chart no|medical record no",
    ),
    (
        id(Class::HealthPlanId),
        "nhs|ohip|ramq|hcn|phn|health number|nass|cipa|health insurance claim|kvnr|\
         versichertennummer|uhc|bcbsa|blue cross|aetna|cigna|humana|health care number|\
         personal health|medicare claim|rx bin|rx group|insurance policy no|insurance group",
    ),
    (
        id(Class::Account),
        "card ending|card ending in|account ending in|visa card|mastercard|amex|invoice number|\
         episodio|sort code|bank acct|routing transit|wallet address|check number|billing acct|\
         patient acct|guarantor acct|statement",
    ),
    (
        id(Class::License),
        "driver lic|drivers lic|driver s lic|dln|cdl|rph license|gmc|nmc|colegiado|lanr|bsnr|\
         professional license|pharmacist license|md license|physician license|passport no|\
         ncol|nºcol|xdea|dea no|lic no|bar number",
    ),
    (id(Class::Vehicle), "number plate|lic plate|reg plate|vehicle reg|registration plate|veh"),
    (
        id(Class::DeviceId),
        "serial no|implant id|lead serial|generator serial|imsi|iccid|android id|mac addr|esn|\
         advertising id|udi di|primary di|ser no|device serial no",
    ),
    (id(Class::Biometric), "voice id|iris code|face id|palm vein|fingerprint hash|retinal id"),
    (
        id(Class::OtherId),
        "acc no|accession no|specimen id|prior auth|preauth|preauthorization|pre authorization|\
         precert|precertification|pre certification|claim no|icn|dcn|encounter id|hsp|userid|\
         employee no|employee number|emp id|eid|docket|court case|edipi|npn|\
         visit fin|ein|fein|tax id|confirmation code|lab accession|subject number|user id|\
         order number|order no|auth number|case no|reference no|tracking no|screen name",
    ),
    (
        Field::Phone,
        "tfno|telf|telefono|teléfono|telefon|móvil|movil|handy|mobil|mob|cel|celular|contact no|\
         pgr|rufnummer|téléphone|desk phone|office phone|phone no|direct line|\
         toll free|hotline|answering service",
    ),
    (Field::Fax, "fx|fax no"),
    (
        Field::Date,
        "fecha de nacimiento|fecha|fecha de ingreso|geb|geboren|geburtsdatum|date de naissance|\
         expiry|expires|exp date|appt|appointment|follow up date|lmp|edd|edc|due date|next visit|\
         date seen|date time|death|expired|visit|seen on",
    ),
];

/// Labels of a number only with a word like `number` or a number sign after them.
pub(crate) const NUMBERED: &[(Field, &str)] = &[
    (id(Class::Mrn), "hospital|hosp|unit|patient record|facility|clinic|medical"),
    (id(Class::Ssn), "sin|tin"),
    (
        id(Class::OtherId),
        "pa|enc|pre auth|film|cytology|worker s comp|wc|inv|op|prescription rx|ord|bed",
    ),
    (id(Class::Vehicle), "reg|boat|aircraft|tail"),
];

/// Labels of codes that identify no person.
pub(crate) const WEAK: &[(Field, &str)] = &[(
    Field::Neutral,
    "rxcui|snomed ct|snomed ct code|sct|concept|concept id|umls|cui|mesh|omim|orpha|isbn|isbn 13|\
     isbn 10|issn|pmcid|clinicaltrials|clia|clia id|pubmed|pubmed id|icd 11|dsm|cvx|mvx|gtin|upc|\
     eudract|isrctn|rrid|part|part number|modifier|revenue|ms drg|apc|taxonomy code|ncit|atc|unii|\
     place of service|nct id|trial registration|trial registry|registration nct|cas no|pmc|arxiv",
)];
