//! Mentions of people, taken apart into the words of a name.

/// What a word of a name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// `Dr`, `Mrs`.
    Title,
    /// A first or middle name.
    Given,
    Surname,
    /// The only name in a mention: which one, the document must tell.
    Single,
    /// One letter for a name.
    Initial,
    /// `de`, `van`, `al`.
    Particle,
    /// `Jr`, `MD`.
    Suffix,
}

/// A word of a name, by its place in the mention.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NameWord<'t> {
    pub(crate) start: usize,
    pub(crate) text: &'t str,
    pub(crate) part: Part,
}

impl NameWord<'_> {
    pub(crate) const fn end(&self) -> usize {
        self.start + self.text.len()
    }
}

const TITLES: [&str; 22] = [
    "dr",
    "doctor",
    "mr",
    "mrs",
    "ms",
    "miss",
    "mx",
    "prof",
    "professor",
    "rev",
    "fr",
    "sir",
    "madam",
    "nurse",
    "capt",
    "sgt",
    "lt",
    "hon",
    "judge",
    "rabbi",
    "pastor",
    "sra",
];

const SUFFIXES: [&str; 26] = [
    "jr", "sr", "ii", "iii", "iv", "md", "do", "rn", "np", "pa", "phd", "dds", "lpn", "fnp", "bsn",
    "msn", "esq", "mph", "crna", "dnp", "pharmd", "psyd", "lcsw", "facs", "dpm", "cnm",
];

const PARTICLES: [&str; 22] = [
    "de", "la", "las", "los", "del", "der", "den", "van", "von", "zu", "da", "dos", "di", "du",
    "le", "el", "al", "bin", "ibn", "ben", "y", "e",
];

fn is_among(list: &[&str], word: &str) -> bool {
    list.iter().any(|it| it.eq_ignore_ascii_case(word))
}

/// The words of a mention with their parts.
pub(crate) fn words(mention: &str) -> Vec<NameWord<'_>> {
    let mut words = cut(mention);
    for word in &mut words {
        word.part = if is_among(&TITLES, word.text) {
            Part::Title
        } else if word.text.chars().count() == 1 {
            Part::Initial
        } else {
            Part::Single
        };
    }
    particles(&mut words);
    suffixes(mention, &mut words);
    arrange(mention, &mut words);
    words
}

/// Runs of letters with apostrophes inside; a possessive `'s` is left outside.
fn cut(mention: &str) -> Vec<NameWord<'_>> {
    let mut words = Vec::with_capacity(4);
    let mut start = None;
    let mut chars = mention.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let next = chars.peek().map(|(_, c)| *c);
        // Combining marks stand apart from their letter in decomposed text.
        let mark = ('\u{300}'..'\u{370}').contains(&c);
        let inner = matches!(c, '\'' | '’') && next.is_some_and(char::is_alphabetic);
        let letter = c.is_alphabetic() || (start.is_some() && (mark || inner));
        if letter && start.is_none() {
            start = Some(at);
        }
        let end = if letter { at + c.len_utf8() } else { at };
        if let Some(from) = start
            && (!letter || next.is_none())
        {
            let text = mention.get(from..end).unwrap_or_default();
            let bare = ["'s", "’s", "'S", "’S"].iter().find_map(|it| text.strip_suffix(it));
            let text = bare.filter(|it| !it.is_empty()).unwrap_or(text);
            words.push(NameWord { start: from, text, part: Part::Single });
            start = None;
        }
    }
    words
}

/// A particle stands between names: `Ludwig van Beethoven`, `de la Cruz`.
fn particles(words: &mut [NameWord<'_>]) {
    let last = words.len().saturating_sub(1);
    for (i, word) in words.iter_mut().enumerate() {
        if i < last && word.part != Part::Title && is_among(&PARTICLES, word.text) {
            word.part = Part::Particle;
        }
    }
}

/// Degrees and generations at the end: `Jr.`, `MD`, `M.D.`.
fn suffixes(mention: &str, words: &mut [NameWord<'_>]) {
    let mut dotted = None;
    for i in (1..words.len()).rev() {
        let (Some(word), Some(before)) =
            (words.get(i).copied(), i.checked_sub(1).and_then(|i| words.get(i)).copied())
        else {
            return;
        };
        let between = mention.get(before.end()..word.start).unwrap_or_default();
        let next_is_dotted = dotted == Some(i + 1);
        // `M.D.` is a degree where its letters are joined by dots after a comma or a space.
        let letters = word.part == Part::Initial && (between == "." || next_is_dotted);
        if letters && before.part != Part::Title {
            dotted = Some(i);
            if between.contains(',') {
                for word in words.iter_mut().skip(i) {
                    word.part = Part::Suffix;
                }
                dotted = None;
            }
            continue;
        }
        if is_among(&SUFFIXES, word.text) && word.part != Part::Initial {
            if let Some(word) = words.get_mut(i) {
                word.part = Part::Suffix;
            }
        } else {
            return;
        }
    }
}

/// `Last, First` or `First Last`.
fn arrange(mention: &str, words: &mut [NameWord<'_>]) {
    let comma = mention.find(',').unwrap_or(usize::MAX);
    let is_name = |word: &NameWord<'_>| matches!(word.part, Part::Single | Part::Initial);
    let reversed = words.iter().any(|it| it.start > comma && is_name(it))
        && words.iter().any(|it| it.start < comma && it.part == Part::Single);
    if reversed {
        for word in words.iter_mut().filter(|it| it.part == Part::Single) {
            word.part = if word.start < comma { Part::Surname } else { Part::Given };
        }
        return;
    }
    let Some(last) = words.iter().rposition(|it| it.part == Part::Single) else { return };
    let first = words.iter().position(is_name).unwrap_or(last);
    let titled = words.iter().any(|it| it.part == Part::Title);
    if first == last {
        if titled && let Some(word) = words.get_mut(last) {
            word.part = Part::Surname;
        }
        return;
    }
    // The names joined to the last one by a dash belong to the surname.
    let mut from = last;
    while let (Some(before), Some(word)) =
        (from.checked_sub(1).and_then(|i| words.get(i)), words.get(from))
    {
        let joined = mention.get(before.end()..word.start) == Some("-");
        if !joined || before.part != Part::Single {
            break;
        }
        from -= 1;
    }
    let whole = from <= first && !titled;
    for (i, word) in words.iter_mut().enumerate() {
        if word.part == Part::Single && !(whole && from == first) {
            word.part = if i >= from { Part::Surname } else { Part::Given };
        }
    }
}

/// The names of a mention without titles, letters and particles, in lower case, surname last.
pub(crate) fn key(mention: &str) -> Vec<String> {
    let words = words(mention);
    let of = |part: Part| {
        words.iter().filter(move |it| it.part == part).map(|it| it.text.to_lowercase())
    };
    of(Part::Given).chain(of(Part::Single)).chain(of(Part::Surname)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks the parts: T title, G given, S surname, 1 single, I initial, p particle, x suffix.
    fn check(mention: &str, expected: &str) {
        let shown: Vec<String> = words(mention)
            .iter()
            .map(|word| {
                let part = match word.part {
                    Part::Title => 'T',
                    Part::Given => 'G',
                    Part::Surname => 'S',
                    Part::Single => '1',
                    Part::Initial => 'I',
                    Part::Particle => 'p',
                    Part::Suffix => 'x',
                };
                format!("{part}:{}", word.text)
            })
            .collect();
        assert_eq!(shown.join(" "), expected, "{mention}");
    }

    #[test]
    fn a_mention_is_taken_apart() {
        check("Marisol Quintero", "G:Marisol S:Quintero");
        check("Quintero, Marisol E.", "S:Quintero G:Marisol I:E");
        check("QUINTERO,MARISOL", "S:QUINTERO G:MARISOL");
        check("Dr. Chen", "T:Dr S:Chen");
        check("Quintero", "1:Quintero");
        check("Marisol Quintero's", "G:Marisol S:Quintero");
        check("Fionnuala O'Hanlon-Reyes", "G:Fionnuala S:O'Hanlon S:Reyes");
        check("O'Hanlon-Reyes", "1:O'Hanlon 1:Reyes");
        check("M. Quintero", "I:M S:Quintero");
        check("J.R. Smith", "I:J I:R S:Smith");
        check("Ludwig van Beethoven", "G:Ludwig p:van S:Beethoven");
        check("John Smith, M.D.", "G:John S:Smith x:M x:D");
        check("John Smith Jr., MD", "G:John S:Smith x:Jr x:MD");
        check("Mary Ann Lee", "G:Mary G:Ann S:Lee");
        check("", "");
        check("12", "");
    }

    #[test]
    fn two_orders_of_one_name_have_one_key() {
        assert_eq!(key("Quintero, Marisol"), key("Ms. MARISOL E. QUINTERO"));
    }
}
