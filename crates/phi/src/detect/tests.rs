//! Fixtures: input and expectation in one text.
use super::*;
use crate::Class;
use std::fmt::Write as _;

/// Splits `MRN <MRN>441</MRN>` into the text and its findings.
fn unmark(marked: &str) -> (String, Vec<(usize, usize, Class)>) {
    let mut text = String::new();
    let mut found = Vec::new();
    let mut rest = marked;
    let mut open: Option<(Class, usize)> = None;
    while let Some(at) = rest.find('<') {
        let (before, after) = rest.split_at(at);
        text.push_str(before);
        let tag = after.find('>').and_then(|end| after.get(1..end));
        let class = tag.and_then(|t| t.trim_start_matches('/').parse::<Class>().ok());
        match (class, open) {
            (Some(class), None) => open = Some((class, text.len())),
            (Some(class), Some((opened, start))) if class == opened => {
                found.push((start, text.len(), class));
                open = None;
            }
            _ => {
                text.push('<');
                rest = &after[1..];
                continue;
            }
        }
        rest = &after[tag.unwrap().len() + 2..];
    }
    text.push_str(rest);
    (text, found)
}

fn mark(text: &str, found: &[Finding]) -> String {
    let mut out = String::new();
    let mut at = 0;
    for f in found {
        write!(out, "{}<{}>{}</{}>", &text[at..f.start], f.class, &text[f.start..f.end], f.class)
            .unwrap();
        at = f.end;
    }
    out.push_str(&text[at..]);
    out
}

/// The layers without the trained ones: what they find, they find for a reason that a test can name.
/// The trained layers are held by the floors over whole documents (`tests/it/fixtures.rs`).
pub(super) fn untrained() -> Detector {
    Detector::with(Layers::ALL - Layers::SCOUT)
}

#[track_caller]
pub(super) fn check(marked: &str) {
    let (text, _) = unmark(marked);
    let lists = untrained().scan(&[Part { text: &text, label: None }]).unwrap();
    assert_eq!(mark(&text, &lists[0]), marked);
}

/// Each value stands in the frame at `{}`, and exactly it must be found, with this class.
#[track_caller]
pub(super) fn each(frame: &str, class: Class, values: &[&str]) {
    let wrong: Vec<String> = values
        .iter()
        .filter_map(|value| {
            let marked = frame.replace("{}", &format!("<{class}>{value}</{class}>"));
            let text = frame.replace("{}", value);
            let lists = untrained().scan(&[Part { text: &text, label: None }]).unwrap();
            let found = mark(&text, &lists[0]);
            (found != marked).then_some(found)
        })
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// In none of these texts anything is found.
#[track_caller]
pub(super) fn none(texts: &[&str]) {
    let wrong: Vec<String> = texts
        .iter()
        .filter_map(|text| {
            let lists = untrained().scan(&[Part { text, label: None }]).unwrap();
            (!lists[0].is_empty()).then(|| mark(text, &lists[0]))
        })
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[track_caller]
pub(super) fn nothing(texts: &[&str]) {
    for text in texts {
        check(text);
    }
}

#[test]
fn every_class_is_found_in_the_self_test() {
    Detector::new().self_test().unwrap();
}

#[test]
fn an_ssn_is_found_by_its_form_or_its_label() {
    check("SSN <SSN>078-05-1120</SSN> on file");
    check("social security number is <SSN>078051120</SSN>.");
    check("SSN: <SSN>078 05 1120</SSN>");
    check("Pt with <SSN>212-09-9999</SSN> called");
    check("SSN <SSN>987-65-4321</SSN>");
    // Never assigned, so no SSN; yet no one writes such a number for nothing.
    check("seen <OTHER_ID>987-66-4321</OTHER_ID>");
    check("MRN: <MRN>123-45-6789</MRN>");
    check("see scan_<SSN>219-09-9999</SSN>.pdf");
    check("step_12 of v_1.5 and x_120/80");
}

#[test]
fn telephone_numbers_are_found_in_their_written_forms() {
    for number in [
        "(617) 555-0142",
        "617-555-0142",
        "617.555.0142",
        "+1 617-555-0142",
        "+1-617-555-0142",
        "1-617-555-0142",
        "(617) 555-0142 ext. 12",
        "617-555-0142 x4471",
        "+44 20 7946 0958",
        "+49 30 901820",
    ] {
        check(&format!("reach me at <PHONE>{number}</PHONE> today"));
    }
    check("Phone: <PHONE>6175550142</PHONE>");
    check("Phone: <PHONE>555-0142</PHONE>");
    check("cell <PHONE>617 555 0142</PHONE>");
    check("Fax: <FAX>617-555-0143</FAX>");
    check("fax number (<FAX>617) 555-0143</FAX>".replace("(<FAX>617", "<FAX>(617").as_str());
    check("Phone: <PHONE>617-555-0142</PHONE> Fax: <FAX>617-555-0143</FAX>");
}

#[test]
fn addresses_of_the_net_are_found() {
    check("write to <EMAIL>ann.lee+x@mail.example.org</EMAIL>, or");
    check("see <URL>https://portal.example.org/p?id=7</URL>.");
    check("see <URL>www.clinic.example/p</URL> (<URL>http://a.example/b</URL>)");
    check("from <IP>203.0.113.77</IP> and <IP>2001:db8::ff00:42:8329</IP>");
    check("pump at <DEVICE_ID>00:1B:44:11:3A:B7</DEVICE_ID>");
}

#[test]
fn dates_are_found_in_their_written_forms() {
    for date in [
        "03/14/1962",
        "3/14/62",
        "03-14-1962",
        "1962-03-14",
        "1962/03/14",
        "14.03.1962",
        "14 March 1962",
        "14th March 1962",
        "14th of March, 1962",
        "March 14, 1962",
        "March 14th, 1962",
        "March 14 1962",
        "Mar 14, 1962",
        "Mar. 14, 1962",
        "14-Mar-1962",
        "14-MAR-62",
        "March 1962",
        "March of 1962",
        "March, 1962",
        "Mar 14th '62",
        "March 14",
        "March 14th",
        "14 March",
        "1962-03-14T08:30:00Z",
        "2024-03-14T08:30:00.000-05:00",
        "2018-01-14 03:07:43",
        "03/1962",
        "19620314T083000",
        "Sept 3, 2021",
        "MARCH 14, 1962",
    ] {
        check(&format!("seen <DATE>{date}</DATE> again"));
    }
    check("on <DATE>3/14</DATE> she");
    check("admitted in <DATE>May</DATE> and");
    check("DOB: <DATE>19620314</DATE>");
    check("between <DATE>03/14/2024</DATE>-<DATE>03/16/2024</DATE>");
}

#[test]
fn numbers_that_only_look_like_dates_are_left() {
    nothing(&[
        "BP 120/80, HR 72, T 98.6, SpO2 98%, RR 16.",
        "strength 5/5 in both arms, 2/6 murmur, pain 7/10, C5-6 and L4-5 disc",
        "take 1/2 tablet, 0.5 mg, 10-20 mg, 5/325 mg",
        "She may march in. We will follow up and see.",
        "version 1.2.3, GCS 15, Hgb 12.1, Na 138, A1c 7.2, pH 7.35",
        "in 2019 and 1998, for 2-3 weeks, 3 to 4 times, q6h",
    ]);
}

#[test]
fn ages_are_found() {
    check(
        "a <AGE>92</AGE>-year-old woman, <AGE>92</AGE> y/o, <AGE>92</AGE>yo, aged <AGE>92</AGE>, age <AGE>92</AGE>",
    );
    check("Age: <AGE>92</AGE>");
    check("<AGE>6</AGE>-month-old boy, <AGE>45</AGE> years old, <AGE>3</AGE> years of age");
    nothing(&["for 10 years she smoked", "day 3 of 5", "stage 3", "page 92"]);
}

#[test]
fn numbers_are_classed_by_the_whole_word_before_them() {
    check(
        "MRN <MRN>4412907</MRN>, mrn#<MRN>4412907</MRN>, medical record number is <MRN>A-44129</MRN>",
    );
    check("Chart #: <MRN>55-2191</MRN>");
    check(
        "Member ID: <HEALTH_PLAN_ID>XYZ884412</HEALTH_PLAN_ID>, policy # is <HEALTH_PLAN_ID>ABC-987654</HEALTH_PLAN_ID>",
    );
    check("Medicare <HEALTH_PLAN_ID>1EG4-TE5-MK73</HEALTH_PLAN_ID>");
    check("account number <ACCOUNT>55-201-7781</ACCOUNT>, acct <ACCOUNT>9918273</ACCOUNT>");
    check(
        "card <ACCOUNT>4111 1111 1111 1111</ACCOUNT> and <ACCOUNT>GB82WEST12345698765432</ACCOUNT>",
    );
    check("NPI <LICENSE>1234567893</LICENSE>, DEA <LICENSE>AB1234563</LICENSE>");
    check("driver's license <LICENSE>S514-7789-1200</LICENSE>");
    check("VIN <VEHICLE>1HGCM82633A004352</VEHICLE>, license plate <VEHICLE>KLM-4471</VEHICLE>");
    check(
        "serial number <DEVICE_ID>PM-88-21774</DEVICE_ID>, UDI: <DEVICE_ID>00844588003288</DEVICE_ID>",
    );
    check("fingerprint ID <BIOMETRIC>FP-55121</BIOMETRIC>");
    check(
        "accession <OTHER_ID>S24-11873</OTHER_ID>, claim <OTHER_ID>#CL-99812</OTHER_ID>, case number <OTHER_ID>2024-118</OTHER_ID>",
    );
    check("Patient ID: <OTHER_ID>ABCD1234</OTHER_ID>");
    check("(ID: <OTHER_ID>987654321</OTHER_ID>)");
    check("photo <PHOTO>face_12.jpg</PHOTO>");
    check("<MRN>MRN133202</MRN> and <ACCOUNT>ACCT41599-7</ACCOUNT>");
}

#[test]
fn a_label_inside_another_word_labels_nothing() {
    nothing(&[
        "remember 44129, public 55123, discharge 12345, planner 77123",
        "group 3 therapy, case 4, study of 120 patients, order 2 units",
        "ICD-10 code E11.9, CPT 99213, LOINC 2345-7",
    ]);
}

#[test]
fn names_are_found_with_a_cue() {
    check("Dr. <NAME>Parkinson</NAME> and Mrs <NAME>Hope</NAME> met Mr. <NAME>Will Best</NAME>.");
    check("seen by <NAME>Okafor</NAME> yesterday");
    check("her daughter <NAME>Priya</NAME> called");
    check("Patient: <NAME>Ann Lee</NAME>");
    check("Name: <NAME>KOWALCZYK, AGNIESZKA</NAME>");
    check("Attending: <NAME>Jane Doe</NAME>, MD");
    check("Provider: <NAME>Hope Best</NAME>, MD");
    check("I am <NAME>Oyinlola</NAME>, calling");
    check("<NAME>Kowalczyk</NAME> reports pain; <NAME>Nguyen</NAME>, RN, agrees.");
    check("discussed with <NAME>J. Smith</NAME> and <NAME>A. B. Okonkwo</NAME>, NP");
    check("a 66-year-old male, <NAME>Tom B.</NAME>, with".replace("66", "<AGE>66</AGE>").as_str());
}

#[test]
fn who_speaks_is_no_name() {
    nothing(&[
        "Patient: Yeah, I can't say.\nDoctor: Okay. I'm sure.\nPatient: No.",
        "Patient: Will you call me? Doctor: Um, let me see.",
    ]);
}

#[test]
fn names_are_found_without_a_cue() {
    check("We saw <NAME>Jennifer Walsh</NAME> and <NAME>José García-López</NAME> here.");
    check("<NAME>Mary O'Brien</NAME> and <NAME>Anne-Marie de la Cruz</NAME> came.");
    check("for <NAME>Ludwig van der Berg</NAME> today; <NAME>KOWALCZYK, Agnieszka</NAME> too");
    check("Then <NAME>Robert Smith Jr.</NAME> left with <NAME>Łukasz Wiśniewski</NAME>.");
    check("<NAME>Monjeau Graves</NAME>".replace("Monjeau Graves", "Sarah White").as_str());
}

#[test]
fn names_in_lower_case_are_found_after_a_cue() {
    check("pt <NAME>priya</NAME> seen by dr <NAME>patel</NAME> today");
    check("patient named <NAME>john smith</NAME> has a cough");
    check(
        "pt <NAME>john smith</NAME> mrn <MRN>4412907</MRN> c/o cp, lives at <LOCATION>12 oak street, springfield il 62704</LOCATION>",
    );
    check("hi my name is <NAME>maria krylova</NAME> and my son <NAME>jay</NAME> is sick");
}

#[test]
fn eponyms_devices_and_headings_are_no_names() {
    nothing(&[
        "Parkinson's disease, Alzheimer's, Crohn's disease, Hodgkin lymphoma, Graves' disease",
        "Foley catheter, Jackson-Pratt drain, Swan-Ganz catheter, Bovie cautery, Kerrison rongeur",
        "Babinski sign, Romberg test negative, Murphy's sign, McBurney's point, Glasgow Coma Scale",
        "Lou will. Will she? May I?".split_at(4).1,
        "HISTORY OF PRESENT ILLNESS: none. PAST MEDICAL HISTORY: Hypertension.",
        "Assessment and Plan: continue Lisinopril 10 mg, Metformin 500 mg BID.",
        "E. coli, C. difficile, H. pylori and S. aureus grew.",
        "Vitamin D, Hepatitis B, Type A, Grade B, Protein C",
        "Chest X-ray was clear. Lungs are clear. Heart is regular.",
        "What are the diagnostic criteria for Lyme disease according to the updated guidelines?",
    ]);
}

#[test]
fn places_are_found() {
    check("lives at <LOCATION>41 Alder Street, Springfield, IL 62704</LOCATION>.");
    check("<LOCATION>5083 Christina Cliff Rd. Apt. 163, Lake Johnview, RI 64766</LOCATION>");
    check("<LOCATION>123 N. Main St.</LOCATION> and <LOCATION>P.O. Box 441</LOCATION>");
    check("from <LOCATION>Chicago</LOCATION>, born in <LOCATION>Springfield, Illinois</LOCATION>");
    check(
        "moved to <LOCATION>Salt Lake City</LOCATION> from <LOCATION>Middlesex County</LOCATION>",
    );
    check("ZIP <LOCATION>02139</LOCATION>, <LOCATION>MA 02139-4307</LOCATION>");
    check(
        "seen at <LOCATION>Lakeside Clinic</LOCATION> and <LOCATION>St. Mary's Hospital</LOCATION>",
    );
    check(
        "at <LOCATION>Johns Hopkins</LOCATION> or <LOCATION>Brigham and Women's Hospital, Boston</LOCATION>",
    );
    check("at <LOCATION>Children's Hospital of Philadelphia</LOCATION> today");
    nothing(&[
        "seen in the Emergency Department, then Cardiology Clinic and Primary Care Clinic.",
        "the hospital, our clinic, a nursing home in Texas, the United States",
        "admitted to the Medical Center",
    ]);
}

#[test]
fn fields_of_json_are_read_by_their_names() {
    check(
        r#"{"firstName":"<NAME>Hope</NAME>","lastName":"<NAME>Will</NAME>","birthDate":"<DATE>1962-03-14</DATE>","mrn":"<MRN>44</MRN>","dose":"5 mg"}"#,
    );
    check(
        r#"{"name":[{"family":"<NAME>Seven</NAME>","given":["<NAME>Ann</NAME>","<NAME>May</NAME>"]}],"address":{"city":"<LOCATION>Reading</LOCATION>","postalCode":"<LOCATION>02139</LOCATION>"}}"#,
    );
    check(
        r#"call {"arguments":"{\"patient\": \"<NAME>Ann Lee</NAME>\", \"ssn\": \"<SSN>078-05-1120</SSN>\"}"}"#,
    );
    check(
        r#"{"identifier":[{"system":"http://hl7.org/fhir/sid/us-ssn","value":"<SSN>999-99-1234</SSN>"}],"status":"final","code":"162673000"}"#,
    );
    check(r#"{"mrn": <MRN>4412907</MRN>, "dose": 4412}"#);
}

#[test]
fn prose_in_a_field_is_read_as_prose() {
    check(r#"{"type":"text","text":"BP 120/80, HR 72, T 98.6, SpO2 97"}"#);
    check(
        r#"{"system":"You help <NAME>Jennifer</NAME> and her nurse. Answer in two short sentences, in plain words, please."}"#,
    );
    check(r#"{"bodySite":"Left arm","location":"Pain in the left arm"}"#);
}

#[test]
fn segments_of_hl7_are_read_by_position() {
    check(
        "MSH|^~\\&|A|<LOCATION>GHH</LOCATION>|B|<LOCATION>LAB1</LOCATION>|<DATE>202403141200</DATE>||ADT^A01|1|P|2.5\rPID|1||<MRN>4412907</MRN>^^^H^MR||<NAME>KOWALCZYK</NAME>^<NAME>AGNIESZKA</NAME>||<DATE>19620314</DATE>|F",
    );
}

#[test]
fn elements_of_xml_are_read_by_their_names() {
    check(
        "<patient><name><given><NAME>Hope</NAME></given><family><NAME>Seven</NAME></family></name><birthTime value=\"<DATE>19620314</DATE>\"/></patient>",
    );
}

#[test]
fn columns_of_a_table_are_read_by_their_names() {
    check(
        "| Name | DOB | MRN |\n|---|---|---|\n| <NAME>Hope Will</NAME> | <DATE>3/14/1962</DATE> | <MRN>4412907</MRN> |",
    );
    check(
        "mrn,last_name,city\n<MRN>44</MRN>,<NAME>Seven</NAME>,<LOCATION>Reading</LOCATION>\n<MRN>45</MRN>,\"<NAME>Lee, Ann</NAME>\",",
    );
    nothing(&["dose, unit, route\n5, mg, oral"]);
}

#[test]
fn the_label_of_a_part_counts() {
    let detector = Detector::new();
    let found = |text, label| {
        let lists = detector.scan(&[Part { text, label: Some(label) }]).unwrap();
        mark(text, &lists[0])
    };
    assert_eq!(found("Will", "family"), "<NAME>Will</NAME>");
    assert_eq!(found("4412907", "mrn"), "<MRN>4412907</MRN>");
    assert_eq!(found("19620314", "birthDate"), "<DATE>19620314</DATE>");
    assert_eq!(found("123456789", "code"), "123456789");
}

#[test]
fn what_is_found_in_one_part_is_found_in_all() {
    let detector = Detector::new();
    let texts = [
        "Patient: Zyndra Quellmore, MRN 4412907",
        "Quellmore is well. ZYNDRA: see 4412907, quellmores",
    ];
    let lists = detector.scan(&texts.map(|text| Part { text, label: None })).unwrap();
    assert_eq!(
        mark(texts[1], &lists[1]),
        "<NAME>Quellmore</NAME> is well. <NAME>ZYNDRA</NAME>: see <MRN>4412907</MRN>, quellmores"
    );
}

#[test]
fn characters_that_hide_an_identifier_hide_nothing() {
    check("SSN <SSN>07\u{200b}8-05\u{2011}1120</SSN>, <SSN>０７８-05-1120</SSN>");
    check("Phone: <PHONE>617\u{ad}-555-0142</PHONE>\u{200b} and Dr.\u{a0}<NAME>Okafor</NAME>");
}

#[test]
fn a_text_beyond_the_limit_is_refused() {
    let text = "a ".repeat(MAX_SCAN_BYTES / 2 + 1);
    let parts = [Part { text: &text, label: None }];
    let bytes = text.len();
    let refused = Detector::new().scan(&parts);
    assert_eq!(refused, Err(Unscannable::TooLong { bytes, limit: MAX_SCAN_BYTES }));
}

#[test]
fn a_scan_that_breaks_off_is_an_error_and_the_next_one_is_whole() {
    let detector = Detector::new();
    let text = "SSN 078-05-1120, née Okafor";
    let scan = || detector.scan(&[Part { text, label: None }]);
    let inside = text.find('é').unwrap() + 1;
    // As a defect would that cuts a letter in two.
    let broken = to_its_end(|| scan().map(|lists| (lists, text[inside..].len())));
    assert_eq!(broken, Err(Unscannable::BrokeOff));
    assert!(!broken.unwrap_err().to_string().contains("Okafor"));
    assert_eq!(to_its_end(scan), scan());
}

/// Input on which a careless scanner takes quadratic time, which here would be many minutes.
#[test]
fn hostile_text_is_read_to_its_end() {
    const BYTES: usize = 1 << 18;
    for piece in [
        "(",
        "{",
        "[",
        "\"",
        "\\\"",
        "<a ",
        "<a b=\"",
        ":",
        "::",
        "1",
        "1-",
        "1/",
        "1 ",
        "a.",
        "A.",
        "a@",
        "@",
        "Clinic ",
        "A ",
        "Ann ",
        "Dr. ",
        "van ",
        "MRN ",
        "MRN: ",
        "Patient: ",
        "is ",
        "St. ",
        "{\"a\":",
        "[[",
        "|",
        "MSH|",
        "PID|\n",
        "~^&",
        "a,",
        "Name,MRN\n",
        "May ",
        "1 May ",
        "' ",
        "'s",
        "\u{200b}",
        "５",
        "é",
        "a-\n",
        "a b ",
        "\u{301}",
        "о1",
        "New York ",
        "http://",
        "www.",
        "-",
        "#",
        "1.1.",
        "\"a\":1,",
        "(1",
        "aa:",
        "+1",
        "Ann, ",
        "Lee, Ann ",
        "in ",
        ", IL 62704",
        "1 Elm St, ",
    ] {
        let text = piece.repeat(BYTES / piece.len());
        assert!(untrained().scan(&[Part { text: &text, label: None }]).is_ok());
    }
}

#[test]
fn a_block_boundary_loses_nothing() {
    let line = "Note on Jennifer Walsh, MRN 4412907, seen 03/14/2024 by Dr. Okafor.\n";
    let text = line.repeat(BLOCK_BYTES * 5 / line.len());
    let lists = untrained().scan(&[Part { text: &text, label: None }]).unwrap();
    assert_eq!(lists[0].len(), text.lines().count() * 4);
}

mod any_text {
    use super::*;
    use proptest::prelude::*;
    use std::sync::LazyLock;

    static DETECTOR: LazyLock<Detector> = LazyLock::new(Detector::new);

    fn holds(text: &str) {
        let lists = DETECTOR.scan(&[Part { text, label: None }]).unwrap();
        let mut end = 0;
        for f in &lists[0] {
            assert!(f.start < f.end && f.end <= text.len(), "{f:?} in {text:?}");
            assert!(end <= f.start, "{f:?} overlaps in {text:?}");
            assert!(text.is_char_boundary(f.start) && text.is_char_boundary(f.end));
            end = f.end;
        }
    }

    /// Text made of pieces that the recognisers look for.
    fn pieces() -> impl Strategy<Value = String> {
        let piece = prop::sample::select(vec![
            "Dr. ",
            "Ann",
            " Lee",
            ", ",
            "MRN",
            ": ",
            "44129",
            "-",
            "/",
            "03",
            "1962",
            "March",
            " 14",
            "@",
            "a.example",
            "http://",
            "(",
            "617",
            ") ",
            "555",
            "+",
            "\n",
            "\"",
            "{",
            "}",
            ":",
            "[",
            "\\n",
            "'s",
            "’",
            "\u{200b}",
            "é",
            "Clinic",
            "St.",
            " Mary",
            "IL ",
            "62704",
            "<given>",
            "</given>",
            "PID|1||",
            "^",
            "~",
            "Street",
            "５",
            "of ",
            "MSH|^~\\&|",
            "\\.br\\",
            "\\T\\",
            "&#39;",
            "&amp",
            ";",
            "%C3%A9",
            "\\u00e9",
            "\\ud83d\\ude00",
            "NM1*IL*1*",
            "ISA*",
            "~",
            "name,mrn,zip\n",
            "<td>",
            "<a b=\"",
            "<!--",
            "(0010,0010) PN [",
            "]",
            "BEGIN:VCARD\nN:",
            "ATTENDEE;CN=",
            "From: ",
            "<",
            "name=",
            "VALUES ('",
            "(name) ",
            "a_b.pdf",
            "/home/",
            "name:\n  first: ",
            "...",
            "\"resourceType\":\"Patient\",",
            "\"identifier\":[{\"value\":\"",
            "日本",
        ]);
        prop::collection::vec(piece, 0..40).prop_map(|v| v.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn any_characters_give_sorted_disjoint_findings(text in any::<String>()) {
            holds(&text);
        }

        #[test]
        fn any_pieces_give_sorted_disjoint_findings(text in pieces()) {
            holds(&text);
        }

        #[test]
        fn an_empty_part_beside_it_changes_nothing(text in pieces()) {
            let alone = DETECTOR.scan(&[Part { text: &text, label: None }]).unwrap();
            let beside = DETECTOR.scan(&[Part { text: "", label: None }, Part { text: &text, label: None }]).unwrap();
            prop_assert_eq!(&alone[0], &beside[1]);
        }
    }
}
