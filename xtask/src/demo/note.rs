//! The clinical note of the demo. Everybody in it is synthetic.

/// What stands in the note that must not leave the house.
pub(super) const PLANTED: [&str; 7] = [
    "Marisol Quintero",
    "March 14, 1961",
    "RVB-4471902",
    "November 4, 2026",
    "Anselm Whitcombe",
    "(503) 555-0142",
    "November 18, 2026",
];

/// The task that goes with the note: one that a very small model can do.
pub(super) const TASK: &str = "Summarize this visit note for the chart. \
    Keep every name, date and number exactly as written.";

/// The note, as a clinician might type it.
pub(super) const NOTE: &str = "\
Patient: Marisol Quintero
Date of birth: March 14, 1961
MRN: RVB-4471902

Marisol Quintero was seen on November 4, 2026 by Dr. Anselm Whitcombe for type 2 diabetes. \
HbA1c is 8.2, blood pressure 132/84. Plan: start metformin 500 mg twice daily. \
The nurse will call (503) 555-0142 on November 18, 2026 with the results.";

/// The whole prompt.
pub(super) fn prompt() -> String {
    format!("{TASK}\n\n{NOTE}")
}

/// The planted values that stand in `text`.
pub(super) fn planted_in(text: &str) -> Vec<&'static str> {
    PLANTED.into_iter().filter(|value| text.contains(value)).collect()
}

/// Surrogates, `[NAME_7K3QF9ZD]`, in `text`, each once, in order.
pub(super) fn surrogates_in(text: &str) -> Vec<String> {
    let code = |token: &String| token.trim_end_matches(']').rsplit('_').next().map(str::len);
    stand_ins_in(text).into_iter().filter(|token| code(token) == Some(8)).collect()
}

/// What looks like a surrogate, also with a code that is too short or too long.
pub(super) fn stand_ins_in(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for part in text.split('[').skip(1) {
        let Some((inside, _)) = part.split_once(']') else { continue };
        let Some((label, code)) = inside.rsplit_once('_') else { continue };
        let capital = |c: char| c.is_ascii_uppercase() || c == '_';
        let shape = !label.is_empty() && label.chars().all(capital) && !code.is_empty();
        let token = format!("[{inside}]");
        if shape && code.chars().all(|c| c.is_ascii_alphanumeric()) && !found.contains(&token) {
            found.push(token);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_to_be_planted_stands_in_the_note() {
        assert_eq!(planted_in(NOTE), PLANTED);
        assert!(planted_in(TASK).is_empty());
    }

    #[test]
    fn surrogates_are_found_by_their_shape() {
        let text = "[NAME_7K3QF9ZD] and [HEALTH_PLAN_ID_00000000], [NAME_7K3QF9ZD] [x] [A_1] [a";
        assert_eq!(stand_ins_in(text).last().unwrap(), "[A_1]");
        assert_eq!(surrogates_in(text), ["[NAME_7K3QF9ZD]", "[HEALTH_PLAN_ID_00000000]"]);
    }
}
