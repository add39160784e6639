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
