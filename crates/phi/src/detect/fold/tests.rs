use super::*;
use crate::detect::tests::{check, none};

#[track_caller]
fn folds(text: &str, plain: &str) {
    let folded = Folded::of(text).map_or_else(|| text.to_owned(), |f| f.text);
    assert_eq!(folded, plain, "{text:?}");
}

#[test]
fn what_is_not_seen_is_dropped() {
    folds("07\u{200b}8-05\u{ad}-1120", "078-05-1120");
    folds("\u{202e}Ann\u{202c} \u{feff}Lee\u{2060}", "Ann Lee");
    folds("A\u{fe0f}nn\u{e0041}", "Ann");
    folds("Jose\u{301} Nun\u{303}ez", "Jose Nunez");
}

#[test]
fn look_alikes_become_what_they_look_like() {
    folds("０７８－０５", "078-05");
    folds("٠٧٨ ۱۲ १२", "078 12 12");
    folds("𝐀𝐧𝐧 𝕷𝖊𝖊 𝟬𝟭 Ⓐⓝⓝ ℌ", "Ann Lee 01 Ann H");
    folds("1\u{2009}2\u{202f}3\u{3000}d", "1 2 3 d");
    folds("1\u{2013}2\u{2212}3\u{2011}4", "1-2-3-4");
    folds("O\u{2019}Brien \u{201c}x\u{201d}", "O'Brien \"x\"");
    folds("o\u{fb03}ce \u{2116} 5", "office No 5");
    folds("03\u{2044}14\u{2215}1962", "03/14/1962");
}

#[test]
fn letters_of_two_scripts_in_one_word_are_read_as_latin() {
    folds("Sm\u{456}th", "Smith");
    folds("\u{41c}RN \u{420}atel", "MRN Patel");
    folds("4\u{41e}12", "4\u{41e}12");
    // Words of one script, units and Greek letters before digits stay.
    for text in ["Москва", "β2 α1-antitrypsin", "5 μg", "γ-GT", "Αθήνα", "TNFα"] {
        let plain = if text == "TNFα" { "TNFa" } else { text };
        folds(text, plain);
    }
}

#[test]
fn words_and_numbers_cut_at_the_end_of_a_line_are_joined() {
    folds("Mont-\ngomery", "Montgomery");
    folds("Mont-\r\n  gomery", "Montgomery");
    folds("Smith-\nJones", "Smith-Jones");
    folds("45-year-\nold", "45-year-old");
    folds("617-555-\n0142", "617-555-0142");
    folds("03/14/\n1962", "03/14/1962");
    for text in ["a -\nb", "end.\nNext", "- a\n- b", "1.\n2.", "x--\ny", "5.\n12"] {
        folds(text, text);
    }
}

#[test]
fn letters_with_spaces_between_are_joined() {
    folds("S m i t h", "Smith");
    folds("Dr. S m i t h, MD", "Dr. Smith, MD");
    folds("J O N E S  A n n a", "JONES  Anna");
    for text in ["A B C", "I am a b", "q i d", "p.o. q. 4 h", "S1 S2 S3 S4"] {
        folds(text, text);
    }
}

#[test]
fn what_was_folded_is_found_at_its_place() {
    check("SSN <SSN>07\u{200b}8-05\u{2011}1120</SSN>, <SSN>０７８-05-1120</SSN>");
    check("Dr. <NAME>S m i t h</NAME> came");
    check("Dr. <NAME>Mont-\ngomery</NAME> came");
    check("Dr. <NAME>Sm\u{456}th</NAME> came");
    check(
        "Dr. <NAME>Nu\u{303}e\u{301}</NAME> came"
            .replace("Nu\u{303}e\u{301}", "Nun\u{303}ez")
            .as_str(),
    );
    check("Phone: <PHONE>617-555-\n0142</PHONE>");
    check("seen <DATE>03/14/\n1962</DATE> and <DATE>٠٣/١٤/١٩٦٢</DATE>");
    check("MRN <MRN>𝟒𝟒𝟏𝟐𝟗𝟎𝟕</MRN>");
    none(&["BP 120/\n80 and a follow-\nup of the x-\nray", "C B C W B C normal"]);
}

mod any_text {
    use super::*;
    use proptest::prelude::*;

    fn strange() -> impl Strategy<Value = String> {
        let piece = prop::sample::select(vec![
            "a",
            "B",
            "1",
            " ",
            "-",
            "\n",
            "-\n",
            "/\n",
            "\r\n",
            "\u{200b}",
            "\u{301}",
            "é",
            "о",
            "α",
            "𝐀",
            "ﬁ",
            "５",
            "٣",
            "\u{ad}",
            "S m i t h",
            "№",
            "\u{2013}",
            "\u{85}",
            "Ⓐ",
            "🙂",
        ]);
        prop::collection::vec(piece, 0..30).prop_map(|v| v.concat())
    }

    fn holds(text: &str) {
        let Some(folded) = Folded::of(text) else { return };
        assert_eq!(folded.origin.len(), folded.text.len() + 1);
        assert!(folded.origin.is_sorted(), "{text:?}");
        for (at, c) in folded.text.char_indices() {
            let (start, end) = (folded.start(at), folded.end(at + c.len_utf8(), text));
            assert!(start < end && end <= text.len(), "{text:?}");
            assert!(text.is_char_boundary(start) && text.is_char_boundary(end), "{text:?}");
            // Each plain character stands for what is written at its place.
            let original = text[start..].chars().next().unwrap();
            let like = match likeness(original) {
                Likeness::Same => original == c || look_alike(original) == Some(c),
                Likeness::One(p) => p == c || look_alike(p) == Some(c),
                Likeness::Many(pieces) => pieces.contains(c),
                Likeness::Nothing => false,
            };
            assert!(like, "{original:?} as {c:?} in {text:?}");
        }
        // Plain text is plain: only what joining brings together may join further.
        assert!(folded.text.chars().all(|c| likeness(c) == Likeness::Same), "{text:?}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1024))]

        #[test]
        fn places_lead_back_to_the_characters_they_came_from(text in strange()) {
            holds(&text);
        }

        #[test]
        fn places_lead_back_in_any_text(text in any::<String>()) {
            holds(&text);
        }
    }
}
