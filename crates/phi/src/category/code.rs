//! Codes of ICD-10-CM that belong to a special category.

use super::Category;

/// Beginnings of codes without their point, and what they say. The longest that fits decides.
///
/// F17 (nicotine) is left out: 42 CFR 2.11 excludes tobacco.
const ICD: &[(&str, Category)] = &[
    ("A5", Category::Reproductive),
    ("A60", Category::Reproductive),
    ("A63", Category::Reproductive),
    ("A64", Category::Reproductive),
    ("B20", Category::Hiv),
    ("B9735", Category::Hiv),
    ("D56", Category::Genetic),
    ("D57", Category::Genetic),
    ("D66", Category::Genetic),
    ("D67", Category::Genetic),
    ("D6851", Category::Genetic),
    ("D6852", Category::Genetic),
    ("E70", Category::Genetic),
    ("E71", Category::Genetic),
    ("E75", Category::Genetic),
    ("E84", Category::Genetic),
    ("F1", Category::SubstanceUse),
    ("F2", Category::MentalHealth),
    ("F3", Category::MentalHealth),
    ("F4", Category::MentalHealth),
    ("F5", Category::MentalHealth),
    ("F6", Category::MentalHealth),
    ("F64", Category::GenderAffirming),
    ("F7", Category::MentalHealth),
    ("F8", Category::MentalHealth),
    ("F9", Category::MentalHealth),
    ("G10", Category::Genetic),
    ("G120", Category::Genetic),
    ("G312", Category::SubstanceUse),
    ("G621", Category::SubstanceUse),
    ("G710", Category::Genetic),
    ("I426", Category::SubstanceUse),
    ("K292", Category::SubstanceUse),
    ("K70", Category::SubstanceUse),
    ("K852", Category::SubstanceUse),
    ("K860", Category::SubstanceUse),
    ("N46", Category::Reproductive),
    ("N73", Category::Reproductive),
    ("N96", Category::Reproductive),
    ("N97", Category::Reproductive),
    ("O0", Category::Reproductive),
    ("O1", Category::Reproductive),
    ("O2", Category::Reproductive),
    ("O3", Category::Reproductive),
    ("O4", Category::Reproductive),
    ("O6", Category::Reproductive),
    ("O7", Category::Reproductive),
    ("O8", Category::Reproductive),
    ("O9", Category::Reproductive),
    ("O987", Category::Hiv),
    ("P961", Category::SubstanceUse),
    ("Q85", Category::Genetic),
    ("Q87", Category::Genetic),
    ("Q9", Category::Genetic),
    ("R4585", Category::MentalHealth),
    ("R75", Category::Hiv),
    ("R780", Category::SubstanceUse),
    ("T1491", Category::MentalHealth),
    ("T40", Category::SubstanceUse),
    ("T510", Category::SubstanceUse),
    ("Y90", Category::SubstanceUse),
    ("Z114", Category::Hiv),
    ("Z137", Category::Genetic),
    ("Z14", Category::Genetic),
    ("Z15", Category::Genetic),
    ("Z206", Category::Hiv),
    ("Z21", Category::Hiv),
    ("Z2981", Category::Hiv),
    ("Z30", Category::Reproductive),
    ("Z31", Category::Reproductive),
    ("Z315", Category::Genetic),
    ("Z32", Category::Reproductive),
    ("Z33", Category::Reproductive),
    ("Z34", Category::Reproductive),
    ("Z36", Category::Reproductive),
    ("Z37", Category::Reproductive),
    ("Z39", Category::Reproductive),
    ("Z3A", Category::Reproductive),
    ("Z640", Category::Reproductive),
    ("Z7141", Category::SubstanceUse),
    ("Z7151", Category::SubstanceUse),
    ("Z717", Category::Hiv),
    ("Z793", Category::Reproductive),
    ("Z8481", Category::Genetic),
    ("Z915", Category::MentalHealth),
    ("Z975", Category::Reproductive),
];

/// A code in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Code {
    /// What it says.
    pub(super) category: Category,
    /// The byte after its last.
    pub(super) end: usize,
    /// How sure it is that it is a code.
    pub(super) form: Form,
}

/// How a code is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// `F11.20`
    Pointed,
    /// `F1120` or `B20`, which could be the number of a room too.
    Plain,
    /// `G3P2`: how often pregnant, how often delivered.
    GravidaPara,
}

/// The code that begins with this run of letters and digits.
pub(super) fn at(text: &str, start: usize, end: usize) -> Option<Code> {
    let bytes = text.as_bytes();
    let run = bytes.get(start..end)?;
    let [letter, first, ..] = run else { return None };
    if !letter.is_ascii_alphabetic() || !first.is_ascii_digit() {
        return None;
    }
    if let Some(code) = gravida_para(run) {
        return Some(Code { category: code, end, form: Form::GravidaPara });
    }
    let mut code = [0_u8; 7];
    let (mut len, mut form) = (0, Form::Plain);
    let mut put = |byte: u8| {
        let room = code.get_mut(len)?;
        *room = byte.to_ascii_uppercase();
        len += 1;
        Some(())
    };
    for byte in run {
        put(*byte)?;
    }
    let mut end = end;
    if run.len() == 3 && bytes.get(end) == Some(&b'.') {
        let tail = bytes.get(end + 1..).unwrap_or_default();
        let tail_len = tail.iter().take_while(|b| b.is_ascii_alphanumeric()).count();
        if tail.first().is_some_and(u8::is_ascii_digit) && tail_len <= 4 {
            for byte in tail.iter().take(tail_len) {
                put(*byte)?;
            }
            end += 1 + tail_len;
            form = Form::Pointed;
        }
    }
    let code = code.get(..len).filter(|c| c.len() >= 3)?;
    let third = code.get(2).copied().unwrap_or(0);
    let tail_fits = code.iter().skip(3).all(u8::is_ascii_alphanumeric);
    if !(third.is_ascii_digit() || third == b'A') || !tail_fits || code.starts_with(b"F17") {
        return None;
    }
    // An unpointed run with letters after the third place is a word, such as a gene's.
    if form == Form::Plain && code.iter().skip(3).any(u8::is_ascii_alphabetic) {
        return None;
    }
    let longest = ICD.iter().filter(|(prefix, _)| code.starts_with(prefix.as_bytes()));
    let (_, category) = longest.max_by_key(|(prefix, _)| prefix.len())?;
    Some(Code { category: *category, end, form })
}

/// `G3P2`, `G3P2002`: letters and small numbers in turn.
fn gravida_para(run: &[u8]) -> Option<Category> {
    let [b'G' | b'g', rest @ ..] = run else { return None };
    let pregnancies = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    let (_, births) =
        rest.split_at_checked(pregnancies).filter(|_| (1..=2).contains(&pregnancies))?;
    match births {
        [b'P' | b'p', digits @ ..]
            if (1..=5).contains(&digits.len()) && digits.iter().all(u8::is_ascii_alphanumeric) =>
        {
            digits.first().filter(|d| d.is_ascii_digit()).map(|_| Category::Reproductive)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<(Category, Form, usize)>) {
        let end = text.bytes().take_while(u8::is_ascii_alphanumeric).count();
        let found = at(text, 0, end).map(|c| (c.category, c.form, c.end));
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn a_code_is_read_with_and_without_its_point() {
        check("F11.20", Some((Category::SubstanceUse, Form::Pointed, 6)));
        check("f1120,", Some((Category::SubstanceUse, Form::Plain, 5)));
        check("B20", Some((Category::Hiv, Form::Plain, 3)));
        check("Z3A.11;", Some((Category::Reproductive, Form::Pointed, 6)));
        check("O98.711", Some((Category::Hiv, Form::Pointed, 7)));
        check("F64.0", Some((Category::GenderAffirming, Form::Pointed, 5)));
        check("B20.", Some((Category::Hiv, Form::Plain, 3)));
    }

    #[test]
    fn what_is_no_code_of_a_category_is_none() {
        for text in ["I10", "F17.210", "F1", "G20", "E11.9", "Q4", "12F", "F11ABC", "O2", "T1"] {
            check(text, None);
        }
    }

    #[test]
    fn pregnancies_and_births_are_read() {
        check("G3P2", Some((Category::Reproductive, Form::GravidaPara, 4)));
        check("g3p2002", Some((Category::Reproductive, Form::GravidaPara, 7)));
        check("G6PD", None);
        check("GP", None);
    }
}
