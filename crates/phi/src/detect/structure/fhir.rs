//! What FHIR R4 and C-CDA say of a value by the names around it: HL7 table 0203, identifier
//! systems, OIDs, the targets of references.

use super::Field;
use crate::Class;

/// The class of an identifier by its type code in HL7 table 0203.
pub(super) fn type_code(code: &str) -> Option<Class> {
    Some(match code {
        "MR" | "MRT" | "MRN" | "PI" | "PT" => Class::Mrn,
        "SS" | "SB" | "SSN" => Class::Ssn,
        "DL" | "PPN" | "NPI" | "DEA" | "LN" | "MD" | "UPIN" | "PRN" | "RN" | "LR" | "DN" | "SL"
        | "TAX" => Class::License,
        "MB" | "MC" | "MA" | "HC" | "SN" | "MCN" | "MCR" | "MI" | "PN" => Class::HealthPlanId,
        "AN" | "ANC" | "BA" | "ANT" | "CC" | "BC" | "AM" | "DS" | "VS" => Class::Account,
        "SNO" | "UDI" | "SID" => Class::DeviceId,
        _ => return None,
    })
}

/// The class of an identifier by its system: an address of the net or an OID.
pub(super) fn system(system: &str) -> Option<Class> {
    const PARTS: &[(&str, Class)] = &[
        ("us-ssn", Class::Ssn),
        ("us-npi", Class::License),
        ("us-mbi", Class::HealthPlanId),
        ("us-medicare", Class::HealthPlanId),
        ("us-dea", Class::License),
        ("medicaid", Class::HealthPlanId),
        ("medicare", Class::HealthPlanId),
        ("driver", Class::License),
        ("passport", Class::License),
        ("ssn", Class::Ssn),
        ("mrn", Class::Mrn),
        ("medicalrecord", Class::Mrn),
        ("medical-record", Class::Mrn),
        ("npi", Class::License),
        ("license", Class::License),
        ("udi", Class::DeviceId),
    ];
    let oid = system.strip_prefix("urn:oid:").unwrap_or(system);
    if let Some(class) = oid_class(oid) {
        return Some(class);
    }
    // Only the end of an address says what is numbered: `/sid/us-ssn`, `/mrn`.
    let last = oid.trim_end_matches('/').rsplit(['/', ':']).next().unwrap_or_default();
    let last = last.to_ascii_lowercase();
    PARTS.iter().find(|(part, _)| last.contains(part)).map(|(_, class)| *class)
}

/// The class of an identifier by the OID of who assigns it.
pub(super) fn oid_class(oid: &str) -> Option<Class> {
    Some(match oid {
        "2.16.840.1.113883.4.1" => Class::Ssn,
        // NPI, UPIN, DEA, CLIA, NCPDP.
        "2.16.840.1.113883.4.6"
        | "2.16.840.1.113883.4.8"
        | "2.16.840.1.113883.4.814.1"
        | "2.16.840.1.113883.4.7" => Class::License,
        // Medicare: HICN, MBI.
        "2.16.840.1.113883.4.572"
        | "2.16.840.1.113883.4.338"
        | "2.16.840.1.113883.4.814"
        | "2.16.840.1.113883.4.927" => Class::HealthPlanId,
        _ if oid.starts_with("2.16.840.1.113883.4.3.")
            || oid.starts_with("2.16.840.1.113883.4.330") =>
        {
            Class::License
        }
        _ => return None,
    })
}

/// The class of an identifier of a resource when nothing else tells it.
pub(super) fn of_resource(resource: &str) -> Option<Class> {
    Some(match resource {
        "Practitioner" | "PractitionerRole" => Class::License,
        "Coverage" | "InsurancePlan" => Class::HealthPlanId,
        "Account" => Class::Account,
        "Device" | "DeviceDefinition" => Class::DeviceId,
        _ => return None,
    })
}

/// What the `name` of a resource is, where it is a string.
pub(super) fn name_of(resource: &str) -> Option<Field> {
    Some(match resource {
        "Organization"
        | "Location"
        | "HealthcareService"
        | "InsurancePlan"
        | "Endpoint"
        | "CareTeam"
        | "OrganizationAffiliation" => Field::Address,
        "Patient" | "Practitioner" | "RelatedPerson" | "Person" => Field::NamePart,
        "Group" | "Account" | "FamilyMemberHistory" => Field::NameOrPlace,
        "ValueSet"
        | "CodeSystem"
        | "StructureDefinition"
        | "Questionnaire"
        | "Measure"
        | "Library"
        | "PlanDefinition"
        | "ActivityDefinition"
        | "CapabilityStatement"
        | "SearchParameter"
        | "OperationDefinition"
        | "ConceptMap"
        | "StructureMap"
        | "ImplementationGuide"
        | "MedicationKnowledge"
        | "ResearchDefinition" => Field::Neutral,
        _ => return None,
    })
}

/// What the `display` beside a reference names, by the type of the resource it points at.
pub(super) fn display_of(target: &str) -> Option<Field> {
    Some(match target {
        "Patient" | "Practitioner" | "RelatedPerson" | "Person" => Field::NamePart,
        "Organization" | "Location" | "HealthcareService" | "InsurancePlan" | "CareTeam" => {
            Field::Address
        }
        "PractitionerRole" | "Group" | "Account" => Field::NameOrPlace,
        _ => return None,
    })
}

/// The type of the resource in a reference: `Patient/8`, `https://a.example/fhir/Patient/8`.
pub(super) fn target(reference: &str) -> Option<&str> {
    let path = reference.split("/_history").next()?.split('?').next()?;
    let kind = path.rsplit('/').nth(1).unwrap_or(path);
    kind.starts_with(|c: char| c.is_ascii_uppercase()).then_some(kind)
}

/// Who or what the `display` of a FHIR reference names, by the element that holds it.
pub(super) fn reference(parent: &str) -> Option<Field> {
    match parent {
        "subject"
        | "patient"
        | "individual"
        | "actor"
        | "performer"
        | "author"
        | "practitioner"
        | "requester"
        | "recorder"
        | "asserter"
        | "generalPractitioner"
        | "provider"
        | "agent"
        | "attester"
        | "beneficiary"
        | "subscriber"
        | "policyHolder"
        | "source"
        | "sender"
        | "recipient"
        | "operator"
        | "participant"
        | "who"
        | "enterer"
        | "collector"
        | "resultsInterpreter"
        | "interpreter"
        | "authorReference"
        | "member"
        | "owner"
        | "witness"
        | "informationSource"
        | "careManager"
        | "reporter"
        | "verifier"
        | "signer"
        | "onBehalfOf"
        | "link"
        | "other"
        | "participatingPractitioner" => Some(Field::Name),
        "serviceProvider"
        | "managingOrganization"
        | "location"
        | "organization"
        | "custodian"
        | "facility"
        | "insurer"
        | "payor"
        | "party"
        | "origin"
        | "destination"
        | "manufacturer"
        | "issuer"
        | "providerOrganization"
        | "assigner" => Some(Field::NameOrPlace),
        _ => None,
    }
}

/// Whether a member holds prose, whatever its name.
pub(super) fn is_prose(name: &str, parent: Option<&str>) -> bool {
    matches!(name, "div" | "text" | "content" | "description" | "note" | "comment")
        && matches!(parent, Some("text" | "note" | "content"))
}

/// What a member of a resource holds, where its name or its holder's tells it for sure.
pub(super) fn member(name: &str, parent: Option<&str>, text: &str) -> Option<Field> {
    Some(match (name, parent) {
        (
            "system"
            | "url"
            | "profile"
            | "fullUrl"
            | "xmlns"
            | "$schema"
            | "definition"
            | "instantiatesCanonical"
            | "versionId"
            | "fhirVersion"
            | "instantiatesUri"
            | "source",
            _,
        ) if is_canonical(text) => Field::Technical,
        ("reference" | "fullUrl", _) => Field::Reference,
        ("url", _) if text.contains('/') && !text.contains("://") => Field::Reference,
        (
            "role" | "model" | "object" | "resourceType" | "status" | "use" | "gender" | "language"
            | "contentType" | "vr" | "type",
            _,
        ) => Field::Neutral,
        (name, Some("tag" | "security" | "coding" | "meta")) if name != "lastUpdated" => {
            Field::Neutral
        }
        ("subscriberId", _) => Field::Code(Class::HealthPlanId),
        (
            "carrierHRF" | "deviceIdentifier" | "lotNumber" | "serialNumber" | "distinctIdentifier",
            _,
        ) => Field::Id(Class::DeviceId),
        ("authorString", _) | ("text", Some("name")) => Field::NamePart,
        ("text", Some("address")) => Field::Address,
        ("latitude" | "longitude", _) => Field::Position,
        _ => return None,
    })
}

/// Whether a value only names a schema, a code system or a namespace.
pub(super) fn is_canonical(value: &str) -> bool {
    const KNOWN: &[&str] = &[
        "http://hl7.org/",
        "https://hl7.org/",
        "http://terminology.hl7.org/",
        "https://terminology.hl7.org/",
        "http://www.hl7.org/",
        "http://build.fhir.org/",
        "http://loinc.org",
        "http://snomed.info/",
        "http://unitsofmeasure.org",
        "http://www.nlm.nih.gov/",
        "http://www.ama-assn.org/",
        "http://www.w3.org/",
        "https://www.w3.org/",
        "http://nucc.org/",
        "http://synthetichealth.github.io/",
        "http://standardhealthrecord.org/",
        "http://www.cms.gov/",
        "https://bluebutton.cms.gov/",
        "http://www.iso.org/",
        "http://ihe.net/",
        "http://dicom.nema.org/",
        "http://fhir.org/",
        "https://fhir.org/",
        "http://varnomen.hgvs.org",
        "http://www.whocc.no/",
        "http://json-schema.org/",
        "https://json-schema.org/",
        "http://schema.org/",
        "https://schema.org/",
        "urn:ietf:",
        "urn:iso:",
        "urn:hl7-org:",
        "urn:oid:",
    ];
    KNOWN.iter().any(|prefix| value.starts_with(prefix))
        || value.contains("/StructureDefinition/")
        || value.contains("/fhir/sid/")
        || value.contains("/CodeSystem/")
        || value.contains("/ValueSet/")
}
