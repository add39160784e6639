//! The form of citations of the Code of Federal Regulations: `45 CFR 164.312(b)`.
//!
//! One form makes every rule that the code rests on findable with `grep`.

use super::Fault;

/// The Code has this many titles.
const TITLES: u8 = 50;

pub(super) fn check(path: &str, text: &str) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let mut fault = |message: &str| faults.push(Fault::new(path, number + 1, message));
        if line.contains("C.F.\u{52}.") {
            fault("write `CFR` without points");
        }
        if ["\u{a7} 16", "\u{a7}16", "\u{a7}\u{a0}16"].iter().any(|sign| line.contains(sign)) {
            fault("cite as `45 CFR 164.312(b)`, without a section sign");
        }
        for (at, _) in line.match_indices("CFR") {
            let (before, from) = line.split_at(at);
            let (_, after) = from.split_at("CFR".len());
            if let Some(message) = wrong(before, after) {
                fault(message);
            }
        }
    }
    faults
}

/// What is wrong with a citation, from the text around its `CFR`.
fn wrong(before: &str, after: &str) -> Option<&'static str> {
    let name = |c: char| c.is_alphanumeric() || c == '_';
    if before.ends_with(|c: char| name(c) && !c.is_ascii_digit()) || after.starts_with(name) {
        // A part of another word, such as a constant's name.
        return None;
    }
    let cites = after.trim_start().starts_with(|c: char| c.is_ascii_digit() || c == '\u{a7}');
    if !cites && !after.trim_start().starts_with("Part") {
        // The Code by its name, or a citation whose section is on the next line.
        return None;
    }
    let title = before.strip_suffix(' ').map_or("", |before| {
        let start = before.trim_end_matches(|c: char| c.is_ascii_digit()).len();
        before.split_at(start).1
    });
    if !title.parse().is_ok_and(|number: u8| (1..=TITLES).contains(&number)) {
        return Some("a citation begins with its title and one space, as in `45 CFR 164.312`");
    }
    let Some(place) = after.strip_prefix(' ') else {
        return Some("one space follows `CFR`: `45 CFR 164.312(b)`");
    };
    if let Some(part) = place.strip_prefix("Part ").or_else(|| place.strip_prefix("Parts ")) {
        return (!part.starts_with(|c: char| c.is_ascii_digit()))
            .then_some("a part has a number: `45 CFR Part 164`");
    }
    section(place)
}

/// What is wrong with `164.312(b)(1)`.
fn section(place: &str) -> Option<&'static str> {
    let number = place.trim_start_matches(|c: char| c.is_ascii_digit());
    let (part, rest) = place.split_at(place.len() - number.len());
    let Some(rest) = rest.strip_prefix('.') else {
        return Some("cite a section as `45 CFR 164.312`, or a whole part as `45 CFR Part 164`");
    };
    let paragraph = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    if part.is_empty() || paragraph.len() == rest.len() {
        return Some("a section has two numbers: `45 CFR 164.312`");
    }
    if paragraph.starts_with(" (") && is_paragraph(paragraph.trim_start()) {
        return Some("no space before the paragraph: `45 CFR 164.312(b)`");
    }
    None
}

/// Whether a parenthesis names a paragraph, `(b)` or `(2)` or `(iii)`, and is no remark.
fn is_paragraph(text: &str) -> bool {
    let Some((inside, _)) = text.strip_prefix('(').and_then(|text| text.split_once(')')) else {
        return false;
    };
    let digits = inside.chars().all(|c| c.is_ascii_digit());
    let roman = inside.chars().all(|c| "ivx".contains(c));
    !inside.is_empty() && (inside.len() == 1 || digits || roman)
}

#[cfg(test)]
mod tests {
    /// Checks how many faults a line has.
    fn check(line: &str, faults: usize) {
        let found = super::check("docs/x.md", line);
        assert_eq!(found.len(), faults, "{line}: {found:?}");
    }

    #[test]
    fn the_one_form_is_accepted() {
        check("see 45 CFR 164.312(b).", 0);
        check("(45 CFR 164.514(b)(2)(i)(A)), 45 CFR 164.308(a)(1)(ii)(D) and 42 CFR Part 2", 0);
        check("45 CFR Parts 160 and 164; 42 CFR 2.31", 0);
        check("45 CFR 164.402 (definition of breach)", 0);
        check("this is the rule of 45 CFR", 0);
        check("the CFR is a code, and MY_CFR_TABLE a name", 0);
    }

    #[test]
    fn any_other_form_is_a_fault() {
        check("45 C.F.\u{52}. 164.312", 1);
        check("45\u{43}FR 164.312", 1);
        check("45 \u{43}FR164.312", 0);
        check("45  \u{43}FR 164.312", 1);
        check("\u{43}FR 164.312", 1);
        check("51 \u{43}FR 164.312", 1);
        check("45 \u{43}FR 164", 1);
        check("45 \u{43}FR 164.", 1);
        check("45 \u{43}FR 164.312 (b)", 1);
        check("45 \u{43}FR  164.312", 1);
        check("45 \u{43}FR \u{a7} 164.312", 2);
        check("see \u{a7} 164.312(b)", 1);
        check("45 \u{43}FR Part two", 1);
    }
}
