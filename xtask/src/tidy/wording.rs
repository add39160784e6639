//! What Bulla never says of itself (Q01): no law lets a product be certified
//! under HIPAA, and no seal makes a change impossible, only visible.

use super::Fault;

/// Words that are never claimed. A letter is escaped in each, so that this
/// file keeps the rule too.
const NEVER: [&str; 12] = [
    "hipaa \u{63}ertified",
    "hipaa \u{63}ertification",
    "hipaa \u{61}pproved",
    "hipaa \u{63}ompliant product",
    "guaranteed \u{63}ompliant",
    "guarantees \u{63}ompliance",
    "guaranteed \u{63}ompliance",
    "compliant \u{70}roduct",
    "tamper \u{70}roof",
    "tamper\u{70}roof",
    "100\u{25}",
    "100 \u{25}",
];

/// A document may state the rule itself, on a line that says so.
const STATES_THE_RULE: [&str; 3] = ["never say", "never write", "never \u{201c}"];

/// Files that people read rather than machines.
const DOCUMENT: [&str; 2] = [".md", ".html"];

/// Where a percentage is a layout and no claim.
const LAYOUT: [&str; 2] = [".css", ".svg"];

/// A page that stands alone carries its style.
const PAGE: [&str; 1] = [".html"];

/// Whether the words end a value of a style, which prose seldom does.
fn ends_a_value(line: &str, words: &str) -> bool {
    let ends = |end: char| line.contains(&format!("{words}{end}"));
    ends(';') || ends(')')
}

pub(super) fn check(path: &str, text: &str) -> Vec<Fault> {
    let document = DOCUMENT.iter().any(|ending| path.ends_with(ending));
    let layout = LAYOUT.iter().any(|ending| path.ends_with(ending));
    let page = PAGE.iter().any(|ending| path.ends_with(ending));
    let lines: Vec<String> = text.lines().map(plain).collect();
    let mut faults = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        if document && STATES_THE_RULE.iter().any(|words| line.contains(words)) {
            continue;
        }
        // A claim may be folded over two lines.
        let next = lines.get(number + 1).map_or("", String::as_str);
        let folded = format!("{line} {next}");
        for words in NEVER {
            let percentage = words.starts_with("100");
            let layout = layout || page && ends_a_value(line, words);
            let here = find(line, words);
            let over = !next.is_empty() && !here && !find(next, words) && find(&folded, words);
            if (here || over) && !(percentage && layout) {
                let message = format!("says what is never claimed: \"{words}\"");
                faults.push(Fault::new(path, number + 1, message));
            }
        }
    }
    faults
}

/// Finds whole words: `1100 %` is not the claim.
fn find(line: &str, words: &str) -> bool {
    line.match_indices(words).any(|(at, _)| {
        let before = line.split_at(at).0.chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || c == '.' || c == ',')
    })
}

/// Lower case, with single plain spaces in place of hyphens, comment marks and other space.
fn plain(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    for character in line.trim_start().trim_start_matches(['/', '#', '!', '*', '>']).chars() {
        let spaced = character.is_whitespace() || "-\u{2010}\u{2011}*_`\"".contains(character);
        if !spaced {
            text.extend(character.to_lowercase());
        } else if !text.ends_with(' ') && !text.is_empty() {
            text.push(' ');
        }
    }
    text.truncate(text.trim_end().len());
    text
}

#[cfg(test)]
mod tests {
    /// Checks in which lines of a document a claim is found.
    fn check(text: &str, lines: &[usize]) {
        let found: Vec<usize> = super::check("docs/x.md", text).iter().map(|f| f.line).collect();
        assert_eq!(found, lines, "{text}");
    }

    #[test]
    fn a_claim_is_found_however_it_is_written() {
        check("Bulla is HIPAA \u{43}ertified.", &[1]);
        check("ok\nwe are **HIPAA-\u{61}pproved**", &[2]);
        check("a tamper-\u{70}roof log", &[1]);
        check("a Tamper\u{50}roof log", &[1]);
        check("detects 100\u{25} of names", &[1]);
        check("detects 100\u{a0}\u{25} of names", &[1]);
        check("it is guaranteed\n\u{63}ompliant", &[1]);
    }

    #[test]
    fn plain_words_are_no_claim() {
        check("helps with HIPAA compliance", &[]);
        check("a tamper-evident log; 99 % of 1100 % or 5.100 %", &[]);
    }

    #[test]
    fn a_document_may_state_the_rule() {
        check("We never say \"tamper-\u{70}roof\".", &[]);
        let code = "// We never say tamper-\u{70}roof.";
        assert_eq!(super::check("crates/x.rs", code).len(), 1);
    }

    #[test]
    fn a_layout_may_be_as_wide_as_its_page() {
        assert_eq!(super::check("page.css", "width: 100\u{25};"), []);
        assert_eq!(super::check("page.rs", "100\u{25}").len(), 1);
    }
}
