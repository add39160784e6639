//! Fixtures of numbers and codes: forms that are found whole, and what only looks like them.

use crate::Class;
use crate::detect::tests::{check, each, none};

#[test]
fn codes_that_are_spelled_are_found() {
    check("Band reads <OTHER_ID>seven seven one oh four, dash, nine</OTHER_ID>. Matches.");
    check("the code <OTHER_ID>Z Z Z zero zero four four</OTHER_ID>, right?");
    check("<OTHER_ID>One X X zero, Q zero zero, B B nine nine</OTHER_ID>, okay.");
    check("interpreter number <OTHER_ID>two two eight one four</OTHER_ID>");
    check("call me direct, extension <PHONE>6620</PHONE>");
    check("asset tag <DEVICE_ID>TAB-0417-LC</DEVICE_ID>");
    none(&[
        "count one two three four five",
        "plan B two tablets",
        "vitamin D five drops",
        "knee extension 130",
        "NDC 00071-0155-23 is on backorder",
    ]);
}

#[test]
fn a_long_group_goes_on_after_letters_and_digits() {
    check("insurance ID: <HEALTH_PLAN_ID>U4471 88210 02</HEALTH_PLAN_ID>, seen");
    check("MRN <MRN>A12345</MRN> 2024 note");
}

#[test]
fn social_security_numbers_are_found() {
    each(
        "SSN: {} on file",
        Class::Ssn,
        &[
            "078-05-1120",
            "078 05 1120",
            "078.05.1120",
            "078051120",
            "078 - 05 - 1120",
            "987-65-4321",
            "XXX-XX-1234",
            "xxx-xx-1234",
            "***-**-1234",
            "0 7 8 0 5 1 1 2 0",
            "078-051120",
            "O78-O5-112O",
        ],
    );
    each(
        "Pt with {} called",
        Class::Ssn,
        &["212-09-9999", "912-70-1234", "XXX-XX-1234", "***-**-1234"],
    );
    check("social security number is <SSN>078051120</SSN>.");
    check("SSN <SSN>078 05\n1120</SSN> and <SSN>078-05-\n1120</SSN>");
    check("last four of her SSN are <SSN>1234</SSN>; last 4 SSN: <SSN>1234</SSN>");
    check("SSN ending in <SSN>1234</SSN>, social ending <SSN>1234</SSN>");
    check("her social is <SSN>zero seven eight, zero five, one one two zero</SSN>.");
    check("ITIN <SSN>912-70-1234</SSN>, SIN #<SSN>130 692 544</SSN>, NINO <SSN>AB123456C</SSN>");
    check(
        "Medicare <HEALTH_PLAN_ID>123-45-6789A</HEALTH_PLAN_ID> or <HEALTH_PLAN_ID>123456789C1</HEALTH_PLAN_ID>",
    );
}

#[test]
fn telephone_numbers_of_north_america_are_found() {
    each(
        "it was {} today",
        Class::Phone,
        &[
            "(617) 555-0142",
            "(617)555-0142",
            "(617)-555-0142",
            "617-555-0142",
            "617.555.0142",
            "617/555-0142",
            "617/555/0142",
            "617 - 555 - 0142",
            "617- 555- 0142",
            "[617] 555-0142",
            "+1 617-555-0142",
            "+1-617-555-0142",
            "+1 (617) 555-0142",
            "+1.617.555.0142",
            "+16175550142",
            "1-617-555-0142",
            "1 (617) 555-0142",
            "1-800-555-0199",
            "1-800-FLOWERS",
            "888-555-HELP",
            "(617) 555-0142 ext. 12",
            "617-555-0142 x4471",
            "617-555-0142x4471",
            "617-555-0142, ext 44",
            "617-555-0142 extension 9",
            "(617) 5550142",
            "001-755-329-4431",
            "617-555-\n0142",
            "(617)\n555-0142",
        ],
    );
    each(
        "call me at {} today",
        Class::Phone,
        &[
            "617 555 0142",
            "6175550142",
            "555-0142",
            "555 0142",
            "555.0142",
            "5550142",
            "617 5550142",
            "617\n555 0142",
        ],
    );
    check(
        "Fax: <FAX>617-555-0143</FAX>, <FAX>617-555-0144</FAX> (fax), F: <FAX>617-555-0145</FAX>",
    );
    check("T: <PHONE>617-555-0142</PHONE> F: <FAX>617-555-0143</FAX>");
    check("Phone: <PHONE>617-555-0142</PHONE> Fax: <FAX>617-555-0143</FAX>");
    check("<PHONE>555 0142</PHONE> (office), <PHONE>9885 1152</PHONE>-Office");
    check("pager <PHONE>12345</PHONE>, pager #<PHONE>4471</PHONE>, ext. <PHONE>4471</PHONE>, call <PHONE>x4471</PHONE>"
        .replace("#<PHONE>", "<PHONE>#").as_str());
    check("Phone: <PHONE>6l7-555-O142</PHONE>");
}

#[test]
fn telephone_numbers_of_other_countries_are_found() {
    each(
        "it was {} today",
        Class::Phone,
        &[
            "+44 20 7946 0958",
            "+44 (0)20 7946 0958",
            "0044 20 7946 0958",
            "020 7946 0958",
            "(020) 7946 0958",
            "0161 496 0123",
            "07700 900123",
            "07700 900 123",
            "01632 960123",
            "+353 87 123 4567",
            "087 123 4567",
            "+61 2 9876 5432",
            "(02) 9876 5432",
            "0412 345 678",
            "+49 30 901820",
            "+49 (0)30/901820",
            "030/901820",
            "0171/1234567",
            "(0461) 708 - 223",
            "+33 1 23 45 67 89",
            "01 23 45 67 89",
            "06.12.34.56.78",
            "+91 98765 43210",
            "+91-98765-43210",
            "098765 43210",
            "+34 93 693 29 05",
            "+ 34 93 693 29 05",
            "+43(0)333 775-8422334",
        ],
    );
    check("Tfno: <PHONE>956 203 145</PHONE>, Telf: <PHONE>976 765553</PHONE>");
    check("mobile <PHONE>98765 43210</PHONE>");
}

#[test]
fn telephone_numbers_that_are_said_are_found() {
    check("call <PHONE>six one seven five five five oh one four two</PHONE> please");
    check("it is <PHONE>six one seven, five five five, oh one four two</PHONE>.");
    check("my number is <PHONE>six one seven five five five twelve forty two</PHONE>");
    check("reach me at <PHONE>five five five oh one four two</PHONE>");
    check("phone <PHONE>6 1 7 5 5 5 0 1 4 2</PHONE>");
    check("MRN <MRN>four four one two nine oh seven</MRN>");
    check("account number <ACCOUNT>double four one two nine</ACCOUNT>");
    none(&[
        "one two three four five six seven",
        "one or two, two or three times",
        "two to three weeks",
        "she has two sons, three daughters and four cats",
        "one to ten",
        "nine one one",
        "one in two, three in four",
        "first second third fourth",
        "removal of teeth 2, 3, 4, 5, 7, 8, 9, 10",
        "RLE 3 3 4 4 3 4 1 1",
        "in nineteen ninety one nineteen ninety two",
        "take one two times a day",
    ]);
}

#[test]
fn what_only_looks_like_a_telephone_number_is_left() {
    none(&[
        "BP 120/80 130/85 140/90, HR 72 80 90",
        "100 200 300 mg",
        "doses of 250 500 1000 mg",
        "10 20 30 40 50",
        "0.5 0.25 0.125",
        "500-1000 mL",
        "1500 to 2000",
        "range 100-200",
        "Na 138 K 4.2 Cl 104",
        "call 911 or 988",
        "phone 3 times",
        "extension of 10 degrees",
        "flexion 0-120, extension 0-30",
        "CPT 99213 99214",
        "called at 0830",
        "paged twice at 1530",
        "WBC 12,000, platelets 250,000",
        "over 1,000,000 units",
        "call in 10 to 14 days",
        "1.5 x 2.5 x 3.5 cm",
        "2 x 3 x 4",
        "0 1 2 3",
        "level 0.02",
        "grades 0-4",
    ]);
}

#[test]
fn medical_record_numbers_are_found_in_every_written_form() {
    for label in [
        "MRN #: ",
        "MRN: ",
        "mrn ",
        "MR ",
        "MR no. ",
        "Med Rec # ",
        "med rec no: ",
        "Chart #: ",
        "Medical record number is ",
        "Medical Record No.: ",
        "chart no. ",
        "Hosp. No: ",
        "NHC: ",
        "Hospital #: ",
        "Unit No: ",
        "EMR: ",
        "Patient MRN: ",
        "MPI: ",
        "HRN ",
        "Unit #: ",
    ] {
        check(&format!("{label}<MRN>4412907</MRN> was"));
    }
    for label in ["MRN", "MR ", "Med Rec ", "Unit ", "chart "] {
        check(&format!("{label}#<MRN>4412907</MRN> was").replace(" #<MRN>", " <MRN>#"));
    }
    each(
        "MRN: {} was",
        Class::Mrn,
        &[
            "00-12-34",
            "00 12 34",
            "123 456 789",
            "A-44129",
            "1O44l2",
            "lO44l2",
            "E123456",
            "12345678-9",
            "MR-00-221",
            "441.29.07",
            "07/441290",
        ],
    );
    check("MRN <MRN>4412907</MRN> 62 patients, MRN: <MRN>4412907</MRN> 3/4");
}

#[test]
fn numbers_of_plans_accounts_and_licences_are_found() {
    each(
        "Medicare {} active",
        Class::HealthPlanId,
        &["1EG4-TE5-MK73", "1EG4TE5MK73", "1EG4 TE5 MK73"],
    );
    each("held {} active", Class::HealthPlanId, &["1EG4-TE5-MK73", "1EG4TE5MK73", "943 476 5919"]);
    check(
        "NHS number <HEALTH_PLAN_ID>943 476 5919</HEALTH_PLAN_ID>, OHIP <HEALTH_PLAN_ID>1234-567-890-AB</HEALTH_PLAN_ID>",
    );
    check(
        "Member ID: <HEALTH_PLAN_ID>XYZ884412</HEALTH_PLAN_ID>; Policy # <HEALTH_PLAN_ID>ABC 123456</HEALTH_PLAN_ID>",
    );
    each(
        "paid with {} today",
        Class::Account,
        &[
            "4111 1111 1111 1111",
            "4111-1111-1111-1111",
            "5500005555555559",
            "378282246310005",
            "6011111111111117",
            "30569309025904",
            "GB82WEST12345698765432",
            "GB82 WEST 1234 5698 7654 32",
            "0x52908400098527886E0F7030069857D2E4169EE7",
            "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq",
        ],
    );
    check("routing <ACCOUNT>021000021</ACCOUNT>, card ending in <ACCOUNT>4242</ACCOUNT>");
    check("NPI <LICENSE>1234567893</LICENSE>, DEA <LICENSE>AB1234563</LICENSE>");
    check(
        "driver's license <LICENSE>S514-7789-1200</LICENSE>, DL <LICENSE>D1234567</LICENSE>, passport no. <LICENSE>C01234567</LICENSE>",
    );
    check("license # <LICENSE>MD 12345</LICENSE>");
}

#[test]
fn vehicles_and_devices_are_found() {
    each(
        "drove {} here",
        Class::Vehicle,
        &["1HGCM82633A004352", "1M8GDM9AXKP042788", "WVWZZZ1JZXW000001"],
    );
    check(
        "license plate <VEHICLE>KLM 4471</VEHICLE>, plate: <VEHICLE>7ABC123</VEHICLE>, plate <VEHICLE>ABC-1234</VEHICLE>",
    );
    check("number plate <VEHICLE>AB12 CDE</VEHICLE>.");
    each(
        "implanted {} today",
        Class::DeviceId,
        &[
            "(01)00844588003288(17)141120(10)7654321D(21)10987654d321",
            "(01) 00844588003288 (17) 141120 (10) 7654321D (21) 10987",
            "+A99912345/$$52001510X3",
            "=/A9999XYZ100T0944=,000025=A99971312345600=>014032=}013032",
            "00:1B:44:11:3A:B7",
            "00-1B-44-11-3A-B7",
            "001b.4411.3ab7",
        ],
    );
    check(
        "serial no. <DEVICE_ID>PM-88-21774</DEVICE_ID>, S/N <DEVICE_ID>12345</DEVICE_ID>, IMEI <DEVICE_ID>490154203237518</DEVICE_ID>",
    );
    check(
        "mesh implant lot #<DEVICE_ID>01447</DEVICE_ID>"
            .replace("#<DEVICE_ID>", "<DEVICE_ID>#")
            .as_str(),
    );
    check("MAC <DEVICE_ID>001B44113AB7</DEVICE_ID>");
}

#[test]
fn other_numbers_are_found_by_their_label() {
    for (label, value) in [
        ("accession", "S23-12345"),
        ("Accession #: ", "ACC-2024-118"),
        ("Specimen ID: ", "SP-4471"),
        ("claim no. ", "CL-99812"),
        ("Encounter #: ", "774411"),
        ("Order #: ", "88123"),
        ("prior auth #", "PA-4471"),
        ("Prior authorization number: ", "A1234567"),
        ("CSN: ", "100234"),
        ("case number ", "2024-118"),
        ("Confirmation code: ", "QX7J4"),
        ("study ID: ", "ST-0044"),
        ("username ", "a.lee_92"),
        ("username: ", "annlee"),
        ("login: ", "annlee"),
        ("Twitter handle ", "@annlee"),
        ("instagram: ", "@ann_lee92"),
    ] {
        let space = if label.ends_with(' ') || label.ends_with('#') { "" } else { " " };
        let value = if label.ends_with('#') {
            format!("{}<OTHER_ID>#{value}</OTHER_ID> here", label.trim_end_matches('#'))
        } else {
            format!("{label}{space}<OTHER_ID>{value}</OTHER_ID> here")
        };
        check(&value);
    }
    check("fingerprint ID <BIOMETRIC>FP-55121</BIOMETRIC>");
    check("device token id: <OTHER_ID>550e8400-e29b-41d4-a716-446655440000</OTHER_ID>");
}

#[test]
fn codes_of_drugs_procedures_studies_and_books_are_left() {
    none(&[
        "NDC 0071-0155-23, NDC: 50242-040-62, 12345-1234-12 and 0002-8215-01",
        "ICD-10 code E11.9, ICD-10: S72.001A, ICD 250.00, Z79.4, I10",
        "CPT 99213, CPT code: 99214-25, HCPCS J1885, DRG 470",
        "LOINC 2345-7, LOINC: 718-7, LOINC code 33914-3",
        "SNOMED CT 73211009, SNOMED code: 44054006, SNOMED 162673000",
        "RxNorm 860975, RxCUI: 860975, ATC: A10BA02, UNII: 9100L32L2N",
        "CLIA 05D0987654, CLIA #: 05D0987654, CLIA number 05D0987654",
        "ISBN 978-3-16-148410-0, ISBN: 9783161484100, ISSN 1234-5678",
        "doi 10.1000/182, doi: 10.1056/NEJMoa2034577, PMID: 33301246, PMID 33301246, PMC7745181",
        "NCT04368728, NCT 04368728, ISRCTN12345678",
        "influenza vaccine, lot number UT7653AA, given in the left deltoid",
        "Pfizer lot EW0182, COVID vaccine, lot # EW0182, dose 2",
        "heparin 5000 units, lot 6014477",
        "WBC 12500, platelets 250000, CD4 450, viral load 125000 copies",
        "vitamin B12 1000 mcg, D3 50000 IU, O2 2 L, CO2 24, T4 1.2, HbA1c 7.2",
        "L4-L5, C5-C6, T12-L1, S1, V4, T2N1M0, G2P1, ASA3, A2C",
        "10 French, 3-0 Vicryl, 1:100000 epinephrine, 0.9% NS at 125 mL/h",
        "Medtronic model 5076, Model #: 5076, size 32, 6.5 x 40 mm screw, 28 mm head",
        "EF 55-60%, 3.5 x 2.1 cm, 120-140 mmHg, 1500-2000 kcal",
        "section 1.2.3.4 of version 2.0.1, table 3, figure 12, page 1024",
        "BMI 27.4, weight 81.6 kg, height 172 cm, T 37.2, SpO2 97",
        "p53, HER2, CD20, IL-6, BRCA1, CYP2D6, PD-L1, H1N1, SARS-CoV-2",
        "C0011849, 250 mg/5 mL, 1000 mg/m2, q.12h, 50/50, U-100, 70-30",
        "MMSE 28, PHQ-9 12, GAD-7 9, NYHA III, ASA 2, ECOG 1",
    ]);
}

#[test]
fn addresses_of_the_net_are_found_in_their_written_forms() {
    each(
        "write to {} or",
        Class::Email,
        &[
            "ann.lee@example.org",
            "ann.lee+clinic@mail.example.co.uk",
            "ANN_LEE@EXAMPLE.COM",
            "jos\u{e9}.n\u{fa}\u{f1}ez@example.es",
            "o'brien@example.ie",
            "ann.lee @ example.org",
            "ann.lee@ example.org",
            "ann dot lee at example dot com",
            "ann.lee at example dot org",
            "annlee(at)example.org",
            "annlee [at] example [dot] org",
            "annlee(at)example(dot)com",
            "annlee AT example DOT com",
            "ann underscore lee at mail dot example dot com",
            "ann.lee\u{ff20}example.org",
        ],
    );
    each(
        "see {} or",
        Class::Url,
        &[
            "https://portal.example.org/patients/7781?id=7#top",
            "http://a.example/b",
            "www.clinic.org/p",
            "portal.example.org/patients/7781",
            "clinic.zone/patients/7781",
            "mychart.clinic.org",
            "ftp://files.example.org/x",
            "example.co.uk",
            "clinic.com:8443/x",
        ],
    );
    each(
        "from {} at",
        Class::Ip,
        &[
            "203.0.113.77",
            "2001:db8::ff00:42:8329",
            "fe80::1ff:fe23:4567:890a",
            "::ffff:192.0.2.128",
            "2001:0db8:85a3:0000:0000:8a2e:0370:7334",
            "fe80::1%eth0",
        ],
    );
    check("from <IP>203.0.113.77</IP>:8080 and [<IP>2001:db8::1</IP>]:443");
    none(&[
        "e.g.word, i.e.this, vs.that, pain.it was, well.me too, Dr.no",
        "version 1.2.3.4, p.o.q.i.d., q.d., a.m./p.m., end.In the",
        "she looked at the dot com boom; at that dot",
        "10:30:45 and 12:15, ratio 1:2:3, @ 5 mg, @ bedtime",
        "meet @ noon, look at the red dot on it",
        "R.N., M.D., Ph.D., U.S.",
        "Node.be well",
    ]);
}
