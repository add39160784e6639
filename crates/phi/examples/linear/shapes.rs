//! Texts of any size in shapes that could cost more than their size.

/// A shape: its name, and how it is made at least so many bytes long.
pub(crate) type Shape = (&'static str, fn(usize) -> String);

/// All shapes.
pub(crate) const SHAPES: &[Shape] = &[
    ("prose", |bytes| repeat(PROSE, bytes)),
    ("one line", |bytes| repeat(&PROSE.replace('\n', " "), bytes)),
    ("one word", |bytes| "a".repeat(bytes)),
    ("digits", |bytes| "1".repeat(bytes)),
    ("dates", |bytes| repeat("3/4/2025 ", bytes)),
    ("names", |bytes| repeat("Ann Lee-Roy van der Berg O'Hara ", bytes)),
    ("name, never the same", |bytes| fresh(bytes)),
    ("nested JSON", |bytes| nested("{\"name\":", "\"Ann\"", "}", bytes)),
    ("wide JSON", |bytes| {
        repeat("{\"family\":\"Lee\",\"given\":[\"Ann\"],\"dob\":\"1951-03-14\"},", bytes)
    }),
    ("open JSON", |bytes| repeat("{\"name\":[", bytes)),
    ("nested XML", |bytes| nested("<name>", "Ann", "</name>", bytes)),
    ("open XML", |bytes| repeat("<name value=\"", bytes)),
    ("quotes", |bytes| "\"".repeat(bytes)),
    ("escaped quotes", |bytes| "\\\"".repeat(bytes / 2 + 1)),
    ("HL7", |bytes| repeat("MSH|^~\\&|A|B\rPID|1||44||LEE^ANN||19510314\r", bytes)),
    ("table", |bytes| format!("name,dob,mrn\n{}", repeat("Ann Lee,1951-03-14,4412\n", bytes))),
    ("labels", |bytes| repeat("Name: MRN: DOB: Phone: ", bytes)),
];

const PROSE: &str = "Mrs. Ann Lee was seen on 3/4/2025 by Dr. Roy at Mercy Hospital for chest pain.\n\
    She denies fever, takes Lasix 40 mg daily, and lives on 12 Elm Street in Dayton.\n";

fn repeat(piece: &str, bytes: usize) -> String {
    piece.repeat(bytes / piece.len() + 1)
}

fn nested(open: &str, middle: &str, close: &str, bytes: usize) -> String {
    let depth = bytes / (open.len() + close.len()) + 1;
    format!("{}{middle}{}", open.repeat(depth), close.repeat(depth))
}

/// A new name in each line, so that what is known of the document grows with it.
fn fresh(bytes: usize) -> String {
    let mut text = String::with_capacity(bytes + 40);
    let mut number = 0_u32;
    while text.len() < bytes {
        let letters: String =
            number.to_string().bytes().map(|digit| char::from(b'a' + (digit - b'0'))).collect();
        text.push_str("Dr. Ann Q");
        text.push_str(&letters);
        text.push_str("berg called.\n");
        number += 1;
    }
    text
}
