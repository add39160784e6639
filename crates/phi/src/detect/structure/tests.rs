//! Fixtures of structures: input and expectation in one text. All people are made up.

use crate::detect::tests::{check, nothing};

mod hl7 {
    use super::*;

    #[test]
    fn each_field_is_read_by_its_position() {
        check(
            "MSH|^~\\&|LAB|<LOCATION>NORTH CLINIC</LOCATION>|EHR|<LOCATION>MAIN</LOCATION>|<DATE>20240314083000-0500</DATE>||ORU^R01|77|P|2.5.1\r\
             PID|1|<MRN>PX</MRN>|<MRN>0044</MRN>^^^NC^MR~<SSN>078051120</SSN>^^^USSSA^SS||<NAME>Will</NAME>^<NAME>Hope</NAME>^<NAME>Q</NAME>^^Dr||<DATE>19620314</DATE>|F|||<LOCATION>1 Elm St</LOCATION>^<LOCATION>Apt 2</LOCATION>^<LOCATION>Reading</LOCATION>^<LOCATION>PA</LOCATION>^<LOCATION>19601</LOCATION>^<LOCATION>USA</LOCATION>||^PRN^PH^<EMAIL>h@will.example</EMAIL>^<PHONE>1</PHONE>^<PHONE>610</PHONE>^<PHONE>5550142</PHONE>\r\
             PV1|1|I|4E^12^B^<LOCATION>General</LOCATION>||||<LICENSE>9912</LICENSE>^<NAME>Best</NAME>^<NAME>Ada</NAME>",
        );
    }

    #[test]
    fn the_header_declares_the_delimiters() {
        check(
            "MSH#*~@!#LAB##EHR##<DATE>202403140830</DATE>##ADT*A01#7#P#2.5\r\
             PID#1##<MRN>0044</MRN>***H*MR##<NAME>Will</NAME>!Van*<NAME>Hope</NAME>"
                .replace("!Van", "!<NAME>Van</NAME>")
                .as_str(),
        );
    }

    #[test]
    fn a_piece_without_its_header_is_read() {
        check("NK1|1|<NAME>Seven</NAME>^<NAME>Of</NAME>|SPO||<PHONE>555-0142</PHONE>");
        check(
            "\x0bPID|||<MRN>77</MRN>\nGT1|1||<NAME>Grey</NAME>^<NAME>May</NAME>||<LOCATION>9 Oak</LOCATION>^^<LOCATION>Troy</LOCATION>",
        );
    }

    #[test]
    fn escaped_line_breaks_part_segments_and_escapes_do_not() {
        check(
            "{\"m\":\"MSH|^~\\\\&|A||B||<DATE>20240314</DATE>\\rPID|||<MRN>0044</MRN>||<NAME>Will</NAME>^<NAME>Hope</NAME>\\r\"}",
        );
        check("PID|||<MRN>0044</MRN>||<NAME>O\\T\\Neil</NAME>^<NAME>Hope</NAME>");
    }

    #[test]
    fn free_text_is_read_as_prose_without_its_escapes() {
        check(
            "OBX|1|TX|1^Note||Seen by Dr. <NAME>Okafor</NAME>\\.br\\Phone: <PHONE>617-555-0142</PHONE>\\.br\\Plan: rest",
        );
        check(
            "NTE|1|L|Discussed with daughter <NAME>Priya</NAME>~Call <PHONE>617-555-0142</PHONE>",
        );
        check(
            "OBX|2|XPN|1^Kin||<NAME>Grey</NAME>^<NAME>May</NAME>\nOBX|3|DT|2^Born||<DATE>19620314</DATE>",
        );
    }

    #[test]
    fn codes_and_their_systems_are_no_identifiers() {
        nothing(&["PV1||||||||||||||2106-3^White^HL70005|||\nDG1|1||E11.9^Diabetes^I10C"]);
        check("ZPI|1|x|<DATE>20240314083000</DATE>");
    }
}

mod json {
    use super::*;

    #[test]
    fn a_fhir_patient_is_read_by_its_members() {
        check(
            r#"{"resourceType":"Patient","id":"<OTHER_ID>pt-77120</OTHER_ID>","meta":{"profile":["http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient"],"lastUpdated":"<DATE>2024-03-14T08:30:00Z</DATE>"},"identifier":[{"value":"<MRN>A77</MRN>","type":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v2-0203","code":"MR"}]}},{"system":"http://hl7.org/fhir/sid/us-ssn","value":"<SSN>078-05-1120</SSN>"}],"name":[{"use":"official","text":"<NAME>Hope Will</NAME>","family":"<NAME>Will</NAME>","given":["<NAME>Hope</NAME>"]}],"telecom":[{"value":"<FAX>617-555-0143</FAX>","system":"fax"},{"system":"email","value":"<EMAIL>h@will.example</EMAIL>"}],"gender":"female","birthDate":"<DATE>1962-03-14</DATE>","address":[{"line":["<LOCATION>1 Elm St</LOCATION>"],"city":"<LOCATION>Reading</LOCATION>","state":"<LOCATION>PA</LOCATION>","postalCode":"<LOCATION>19601</LOCATION>","country":"<LOCATION>US</LOCATION>"}]}"#,
        );
    }

    #[test]
    fn an_extension_is_named_by_its_url() {
        check(
            r#"{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/patient-mothersMaidenName","valueString":"<NAME>Grey</NAME>"},{"url":"http://hl7.org/fhir/StructureDefinition/patient-birthPlace","valueAddress":{"city":"<LOCATION>Troy</LOCATION>","state":"<LOCATION>Ohio</LOCATION>"}},{"extension":[{"url":"latitude","valueDecimal":<LOCATION>42.123</LOCATION>}]}]}"#,
        );
    }

    #[test]
    fn a_reference_tells_what_its_display_names() {
        check(
            r##"{"subject":{"display":"<NAME>Hope Will</NAME>","reference":"Patient/<OTHER_ID>8812</OTHER_ID>"},"managingOrganization":{"reference":"Organization/<OTHER_ID>12</OTHER_ID>","display":"<LOCATION>The Good Practice</LOCATION>"},"medicationReference":{"reference":"#m1","display":"Will Power 5 mg"},"code":{"coding":[{"system":"http://loinc.org","code":"2345-7","display":"Hope Index"}]}}"##,
        );
    }

    #[test]
    fn a_state_is_a_place_only_in_an_address() {
        check(
            r#"{"address":{"state":"<LOCATION>Bavaria</LOCATION>","country":"<LOCATION>Germany</LOCATION>"}}"#,
        );
        nothing(&[r#"{"job":{"state":"active","region":"us-east-1"}}"#]);
    }

    #[test]
    fn names_of_things_are_no_names_of_people() {
        nothing(&[
            r#"{"medications":[{"name":"Hope","dose":"5 mg"}],"tools":[{"type":"function","function":{"name":"find_patient"}}]}"#,
        ]);
        check(
            r#"{"hospital":{"name":"<LOCATION>Hope</LOCATION>"},"patient":{"id":"<OTHER_ID>77</OTHER_ID>","name":{"first":"<NAME>Will</NAME>","last":"<NAME>Best</NAME>"},"phone":{"number":"<PHONE>555-0142</PHONE>"}}}"#,
        );
    }

    #[test]
    fn escapes_in_a_string_hide_nothing() {
        check(r#"{"lastName":"<NAME>Garc\u00eda</NAME>","note":"Seen by <NAME>Jos\u00e9 Garc\u00eda</NAME>.\nCall \"<NAME>Priya</NAME>\", her daughter"}"#.replace(r#"Call \"<NAME>Priya</NAME>\", her daughter"#, "Rest.").as_str());
        check(r#"{"dob":"<DATE>03\/14\/1962</DATE>"}"#);
    }

    #[test]
    fn markup_in_a_string_is_read_without_tags() {
        check(
            r#"{"text":{"div":"<div xmlns=\"http://www.w3.org/1999/xhtml\"><p>Dr. <b><NAME>Okafor</NAME></b> called</p></div>"}}"#,
        );
    }

    #[test]
    fn dicom_json_is_read_by_its_tags() {
        check(
            r#"{"00100010":{"vr":"PN","Value":[{"Alphabetic":"<NAME>Will^Hope</NAME>"}]},"00100020":{"vr":"LO","Value":["<MRN>A77</MRN>"]},"00100030":{"vr":"DA","Value":["<DATE>19620314</DATE>"]},"00080016":{"vr":"UI","Value":["1.2.840.10008.5.1.4.1.1.2"]}}"#,
        );
    }

    #[test]
    fn lines_of_json_are_read_one_by_one() {
        check(
            "{\"resourceType\":\"Organization\",\"name\":\"<LOCATION>Will and Best</LOCATION>\"}\n{\"name\":\"<LOCATION>Good Hope</LOCATION>\",\"resourceType\":\"Location\"}\n",
        );
    }
}

mod markup {
    use super::*;

    #[test]
    fn the_header_of_a_clinical_document_is_read() {
        check(
            "<recordTarget><patientRole><templateId root=\"2.16.840.1.113883.10.20.22.1.2\" extension=\"2014-06-09\"/><id root=\"2.16.840.1.113883.19.5\" extension=\"<MRN>P77</MRN>\"/><id root=\"2.16.840.1.113883.4.1\" extension='<SSN>078-05-1120</SSN>'/><addr use=\"HP\"><streetAddressLine><LOCATION>1 Elm St</LOCATION></streetAddressLine><city><LOCATION>Reading</LOCATION></city><state><LOCATION>PA</LOCATION></state><postalCode><LOCATION>19601</LOCATION></postalCode><country><LOCATION>US</LOCATION></country></addr><telecom use=\"HP\" value=\"<PHONE>tel:+1(610)555-0142</PHONE>\"/><telecom value=\"<EMAIL>mailto:h@will.example</EMAIL>\"/><patient><name><given><NAME>Hope</NAME></given><family><NAME>Will</NAME></family></name><birthTime value=\"<DATE>19620314</DATE>\"/></patient><providerOrganization><name><LOCATION>The Good Practice</LOCATION></name></providerOrganization></patientRole></recordTarget>",
        );
    }

    #[test]
    fn fhir_in_xml_is_read_by_its_elements() {
        check(
            "<Patient xmlns=\"http://hl7.org/fhir\"><identifier><type><coding><code value=\"MR\"/></coding></type><value value=\"<MRN>A77</MRN>\"/></identifier><name><family value=\"<NAME>Will</NAME>\"/><given value=\"<NAME>Hope</NAME>\"/></name><telecom><system value=\"phone\"/><value value=\"<PHONE>610-555-0142</PHONE>\"/></telecom><birthDate value=\"<DATE>1962-03-14</DATE>\"/><address><city value=\"<LOCATION>Reading</LOCATION>\"/><state value=\"<LOCATION>PA</LOCATION>\"/></address></Patient>",
        );
    }

    #[test]
    fn narrative_is_read_without_its_tags() {
        check(
            "<div><p>Seen by Dr. <b><NAME>Okafor</NAME></b> on <DATE>03/14/2024</DATE></p></div>",
        );
        check(
            "<paragraph>Her daughter <content>Mary</content> O&#39;Brien called</paragraph>"
                .replace(
                    "<content>Mary</content> O&#39;Brien",
                    "<NAME><content>Mary</content> O&#39;Brien</NAME>",
                )
                .replace("<NAME><content>", "<content><NAME>")
                .as_str(),
        );
    }

    #[test]
    fn rows_of_a_table_are_read_by_their_heads() {
        check(
            "<table><tr><th>Name</th><th>Phone</th></tr><tr><td><NAME>Hope Will</NAME></td><td><PHONE>555-0142</PHONE></td></tr></table>",
        );
        check(
            "<table><tr><th>Patient</th><td><NAME>Hope Will</NAME></td></tr><tr><td>MRN</td><td><MRN>77</MRN></td></tr></table>",
        );
    }

    #[test]
    fn names_of_schemas_and_anchors_are_no_findings() {
        nothing(&[
            "<a xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"><td ID=\"substance1\">Penicillin</td><reference value=\"#reaction1\"/></a>",
            "<playingEntity><code code=\"311036\" displayName=\"Aerosol\"/><name>Aerosol</name></playingEntity>",
        ]);
    }

    #[test]
    fn what_is_never_closed_is_read_all_the_same() {
        check(
            "<patient><given><NAME>Hope</NAME></given><family><NAME>Will</NAME></patient><!-- <city><LOCATION>Reading</LOCATION></city>",
        );
    }
}

#[test]
fn entities_and_percent_escapes_hide_nothing() {
    check("Her daughter <NAME>Mary O&#39;Brien</NAME> called &amp; asked");
    // An entity that makes an entity is no entity.
    nothing(&["&amp;lt;b&amp;gt; 50% &unknown; &#xffffffff; %zz %"]);
}

mod x12 {
    use super::*;

    #[test]
    fn each_element_is_read_by_its_position() {
        check(
            "NM1*IL*1*<NAME>WILL</NAME>*<NAME>HOPE</NAME>*<NAME>Q</NAME>***MI*<HEALTH_PLAN_ID>W77</HEALTH_PLAN_ID>~N3*<LOCATION>1 ELM ST</LOCATION>~N4*<LOCATION>READING</LOCATION>*<LOCATION>PA</LOCATION>*<LOCATION>19601</LOCATION>~DMG*D8*<DATE>19620314</DATE>*F~REF*SY*<SSN>078051120</SSN>~DTP*472*RD8*<DATE>20240314</DATE>-<DATE>20240316</DATE>~PER*IC*<NAME>ADA BEST</NAME>*TE*<PHONE>6105550142</PHONE>*EM*<EMAIL>A@BEST.EXAMPLE</EMAIL>~CLM*<ACCOUNT>K-7</ACCOUNT>*100~NM1*PR*2*<LOCATION>GOOD PLAN</LOCATION>*****PI*<OTHER_ID>0012</OTHER_ID>~HI*ABK:E119*BBR:0TTD0ZZ:D8:<DATE>20240314</DATE>~SV1*HC:99213*100*UN*1~",
        );
    }

    #[test]
    fn the_header_declares_the_separators() {
        let head = "ISA|00|          |00|          |ZZ|SENDER         |ZZ|RECEIVER       |<DATE>240314</DATE>|0830|^|00501|000000001|0|T|>\n";
        check(&format!(
            "{head}GS|HC|S|R|<DATE>20240314</DATE>|0830|1|X|005010X222A1\nNM1|85|1|<NAME>BEST</NAME>|<NAME>ADA</NAME>||||XX|<LICENSE>1234567893</LICENSE>\n"
        ));
    }
}

mod table {
    use super::*;

    #[test]
    fn quoted_cells_hold_separators_and_line_breaks() {
        check(
            "mrn,patient_name,address1,state,zip,note\n<MRN>44</MRN>,\"<NAME>Seven, Hope</NAME>\",\"<LOCATION>1 Elm St</LOCATION>\",<LOCATION>PA</LOCATION>,<LOCATION>19601</LOCATION>,\"tired,\nno pain\"\n<MRN>45</MRN>,<NAME>Rain Summer</NAME>,<LOCATION>2 Oak</LOCATION>,<LOCATION>PA</LOCATION>,<LOCATION>19601</LOCATION>,ok\n".replace("\"<LOCATION>1 Elm St</LOCATION>\"", "\"<LOCATION>1 Elm St\nApt 2</LOCATION>\"").as_str(),
        );
    }

    #[test]
    fn a_few_names_of_many_columns_are_enough() {
        check("x;y;z;q;r;last_name;v;mrn\n1;2;3;4;5;<NAME>Seven</NAME>;7;<MRN>K1</MRN>");
        nothing(&["Bring your name, date of birth and insurance card, please.\nThank you, all"]);
    }

    #[test]
    fn columns_of_spaces_are_read_below_their_names() {
        check(
            "MRN       Patient            DOB         Ward\n--------  -----------------  ----------  ----\n<MRN>K1</MRN>        <NAME>Hope Seven</NAME>         <DATE>19620314</DATE>    4E\n<MRN>K2</MRN>                           <DATE>19700101</DATE>    4W\n",
        );
    }

    #[test]
    fn a_form_has_the_name_beside_the_value() {
        check(
            "| Field | Value |\n|---|---|\n| Patient | <NAME>Hope Will</NAME> |\n| **DOB** | <DATE>19620314</DATE> |\n",
        );
        check("Last name\t<NAME>Seven</NAME>\tMRN\t<MRN>44</MRN>");
    }
}

mod lines {
    use super::*;

    #[test]
    fn heads_of_mail_name_people() {
        check(
            "From: \"<NAME>Seven, Hope</NAME>\" <<EMAIL>h@seven.example</EMAIL>>\nTo: <NAME>Will Best</NAME> <<EMAIL>w@best.example</EMAIL>>, <EMAIL>x@y.example</EMAIL>\nSubject: lab results\n",
        );
        check("From: <NAME>=?UTF-8?Q?Jos=C3=A9_Best?=</NAME> <<EMAIL>j@best.example</EMAIL>>");
    }

    #[test]
    fn cards_and_calendars_are_read_by_their_lines() {
        check(
            "BEGIN:VCARD\nVERSION:4.0\nN:<NAME>Seven</NAME>;<NAME>Hope</NAME>;;Dr.;\nFN:<NAME>Hope Seven</NAME>\nTEL;TYPE=cell:<PHONE>+1-617-555-0142</PHONE>\nADR;TYPE=home:;;<LOCATION>1 Elm St</LOCATION>;<LOCATION>Reading</LOCATION>;<LOCATION>PA</LOCATION>;<LOCATION>19601</LOCATION>;<LOCATION>USA</LOCATION>\nBDAY:<DATE>19620314</DATE>\nEND:VCARD\n",
        );
        check(
            "BEGIN:VEVENT\nATTENDEE;CN=\"<NAME>Hope Seven</NAME>\";ROLE=REQ-PARTICIPANT:<EMAIL>mailto:h@seven.example</EMAIL>\nDTSTART;TZID=America/New_York:<DATE>20240314T083000</DATE>\nEND:VEVENT\n",
        );
    }

    #[test]
    fn leaders_and_equals_signs_part_a_name_from_its_value() {
        check(
            "Patient name ........ <NAME>Hope Seven</NAME>\nDate of birth ___ <DATE>19620314</DATE>\n",
        );
        check(
            "GET /find?patient_name=<NAME>Hope%20Seven</NAME>&dob=<DATE>19620314</DATE>&mrn=<MRN>K7</MRN>&page=2",
        );
        check("level=info last_name=\"<NAME>Seven</NAME>\" mrn=<MRN>K7</MRN> status=ok");
    }

    #[test]
    fn rows_of_sql_are_read_by_the_list_of_columns() {
        check(
            "INSERT INTO p (id, first_name, last_name, dob) VALUES (1, '<NAME>Hope</NAME>', '<NAME>O''Seven</NAME>', '<DATE>19620314</DATE>'), (2, '<NAME>Will</NAME>', NULL, '<DATE>19700101</DATE>');",
        );
    }

    #[test]
    fn holders_in_yaml_name_their_values() {
        check(
            "patient:\n  name:\n    first: <NAME>Hope</NAME>\n    last: <NAME>Seven</NAME>\n  address:\n    state: <LOCATION>Bavaria</LOCATION>\ndose: 5 mg\n",
        );
    }

    #[test]
    fn names_of_files_hold_names_and_dates() {
        check(
            "see /scans/<NAME>Lee_Ann</NAME>_<DATE>19620314</DATE>_MRI.pdf and <NAME>LEE^ANN</NAME>.pdf",
        );
        nothing(&["open discharge_summary_final.docx or README.md"]);
    }

    #[test]
    fn labels_name_values_of_ordinary_words() {
        check(
            "Patient: <NAME>Summer Rain</NAME>    Ward: 4E\nState: <LOCATION>Delaware</LOCATION>  Zip: <LOCATION>19901</LOCATION>  Country: <LOCATION>USA</LOCATION>",
        );
        nothing(&["Patient: Alert And Oriented today\nState: stable\nProvider: Not Available"]);
    }

    #[test]
    fn folders_of_accounts_are_found() {
        check(
            "in C:\\Users\\<OTHER_ID>hseven</OTHER_ID>\\scans and /home/<OTHER_ID>wbest</OTHER_ID>/x, not /home/ubuntu",
        );
    }

    #[test]
    fn dumps_of_dicom_are_read_by_tag() {
        check(
            "(0010,0010) PN [<NAME>Seven^Hope</NAME>]      #  10, 1 PatientName\n(0010,0020) LO [<MRN>K7</MRN>]   #   2, 1 PatientID\n(0010,0030) DA [<DATE>19620314</DATE>]   #   8, 1 PatientBirthDate\n",
        );
        check(
            "(0010, 0010) Patient's Name                      PN: '<NAME>Seven^Hope</NAME>'\n(0008, 0080) Institution Name                    LO: '<LOCATION>Good Hope</LOCATION>'\n",
        );
    }
}

/// Input on which a careless reader looks far ahead again and again.
#[test]
fn twice_the_text_takes_about_twice_the_time() {
    use crate::Part;
    const BYTES: usize = 1 << 17;
    let detector = super::super::tests::untrained();
    let deep_json = |n: usize| "{\"name\":[".repeat(n / 9);
    let deep_xml = |n: usize| "<name><a>".repeat(n / 9);
    let entities = |n: usize| "&amp;&lt;&#39;".repeat(n / 14);
    let quotes = |n: usize| "name,mrn,dob,zip\n\"\"\"a,\"\n".repeat(n / 24);
    let tags = |n: usize| "<a b=\"<td>&".repeat(n / 11);
    let one_line = |n: usize| "a=b&name=x;".repeat(n / 11);
    let segments = |n: usize| "NM1*~MSH|^~\\&|\\r".repeat(n / 16);
    let values = |n: usize| "(name)VALUES('".repeat(n / 14);
    let commas = |n: usize| "(0010,0010)PN['".repeat(n / 15);
    let escapes = |n: usize| "{\"a\":\"{\\\"a\\\":\\\"\\\\".repeat(n / 17);
    let kinds: [&dyn Fn(usize) -> String; 10] = [
        &deep_json, &deep_xml, &entities, &quotes, &tags, &one_line, &segments, &values, &commas,
        &escapes,
    ];
    let time = |text: &str| {
        #[expect(clippy::disallowed_methods, reason = "the test compares two durations")]
        let start = std::time::Instant::now();
        assert!(detector.scan(&[Part { text, label: None }]).is_ok());
        start.elapsed()
    };
    for (k, kind) in kinds.iter().enumerate() {
        let (once, twice) = (kind(BYTES), kind(2 * BYTES));
        let least = |text: &str| (0..3).map(|_| time(text)).min().unwrap_or_default();
        let (short, long) = (least(&once), least(&twice));
        // Quadratic time would be four times as long; the machine may be busy.
        let limit = short * 3 + std::time::Duration::from_millis(30);
        assert!(long < limit, "kind {k}: {short:?} and {long:?}");
    }
}
