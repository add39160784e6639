//! Identifiers of devices: the three forms of a Unique Device Identifier (21 CFR 801.40).

use super::finding;
use crate::detect::shape::Bytes;
use crate::detect::token::Block;
use crate::{Class, Finding};

/// The longest identifier of a device.
const MAX_BYTES: usize = 120;

/// `(01)00844588003288(17)141120(10)7654321D(21)10987654d321`, which GS1 issues, from its bracket on.
pub(super) fn gs1(block: &Block<'_>, i: usize, out: &mut Vec<Finding>) -> bool {
    let b = Bytes(block.text.as_bytes());
    let start = block.at(i).start;
    let element = |at: usize| {
        let digits = b.digits(at + 1, 5);
        (b.at(at) == b'(' && (2..=4).contains(&digits) && b.at(at + 1 + digits) == b')')
            .then_some(at + digits + 2)
    };
    let value = |at: usize| {
        let from = at + usize::from(b.at(at) == b' ');
        let len = (0..30)
            .take_while(|k| {
                b.at(from + k).is_ascii_alphanumeric() || b"-./_+%".contains(&b.at(from + k))
            })
            .count();
        (from + len, len)
    };
    let known = matches!(b.number(start + 1, 2), 1 | 10 | 11 | 17 | 21) && b.at(start + 3) == b')';
    if b.digits(start + 1, 3) != 2 || !known {
        return false;
    }
    let (mut at, mut end, mut elements, mut longest) = (start, start, 0, 0);
    while at - start < MAX_BYTES {
        let Some(next) = element(at) else { break };
        let (stop, len) = value(next);
        if len < 3 {
            break;
        }
        longest = longest.max(len);
        elements += 1;
        end = stop;
        at = end + usize::from(b.at(end) == b' ');
    }
    // `(01) 555` alone may be a list.
    let whole = elements >= 2 || longest == 14;
    if whole {
        out.push(finding((start, end), Class::DeviceId, 97, "udi", "device identifier of GS1"));
    }
    whole
}

/// `+A99912345/$$52001510X3` of HIBCC and `=/A9999XYZ100T0944=,000025=A99971312345600` of ICCBBA.
pub(super) fn of_mark(block: &Block<'_>, i: usize, out: &mut Vec<Finding>) -> bool {
    let b = Bytes(block.text.as_bytes());
    let start = block.at(i).start;
    let marks: &[u8] = if b.at(start) == b'+' { b"+/$.%- " } else { b"=/,&>};)-" };
    let opens = match (b.at(start), b.at(start + 1)) {
        (b'+', c) => c.is_ascii_uppercase(),
        (b'=', b'/') => b.at(start + 2).is_ascii_uppercase(),
        (b'=', c) => c.is_ascii_uppercase() && b.exactly(start + 2, 4 + 8),
        _ => false,
    };
    if !opens {
        return false;
    }
    let len = (1..MAX_BYTES)
        .take_while(|k| {
            let c = b.at(start + k);
            c.is_ascii_alphanumeric() || marks.contains(&c) && c != b' '
        })
        .count();
    let end = start + 1 + len;
    let text = block.text.get(start..end).unwrap_or_default();
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let plus = b.at(start) == b'+';
    let form = digits >= 5
        && len >= 8
        && if plus { text.contains('/') || text.contains('$') } else { text.contains(['=', ',']) };
    if form {
        let why = "device identifier of HIBCC or ICCBBA";
        out.push(finding((start, end), Class::DeviceId, 92, "udi", why));
    }
    form
}

/// Whether a lot is that of a drug or vaccine, which names no device of a person.
pub(super) fn is_drug_lot(block: &Block<'_>, i: usize) -> bool {
    const NEAR: usize = 14;
    const DRUGS: &[&str] = &[
        "vaccine",
        "vaccines",
        "vaccination",
        "vaccinated",
        "immunization",
        "influenza",
        "dose",
        "doses",
        "mg",
        "mcg",
        "ml",
        "injection",
        "injected",
        "pfizer",
        "moderna",
        "janssen",
        "tdap",
        "mmr",
        "hpv",
        "deltoid",
        "tablet",
        "tablets",
        "capsule",
        "capsules",
        "ndc",
        "drug",
        "medication",
        "sanofi",
        "merck",
        "booster",
        "shot",
        "flu",
        "vial",
        "heparin",
        "botox",
        "lidocaine",
        "ppd",
        "tuberculin",
        "covid",
        "fluzone",
        "immunized",
        "prevnar",
        "shingrix",
        "iu",
        "units",
        "im",
        "insulin",
        "infusion",
    ];
    const DEVICES: &[&str] = &[
        "implant",
        "implanted",
        "device",
        "lens",
        "mesh",
        "screw",
        "plate",
        "stent",
        "pacemaker",
        "lead",
        "graft",
        "prosthesis",
        "serial",
        "udi",
        "catheter",
        "valve",
        "pump",
        "generator",
    ];
    let lot = (1..=5).any(|back| block.word_is(i.wrapping_sub(back), &["lot", "batch"]));
    let near = |words: &[&str]| {
        (1..=NEAR).any(|k| block.word_is(i.wrapping_sub(k), words) || block.word_is(i + k, words))
    };
    lot && near(DRUGS) && !near(DEVICES)
}
