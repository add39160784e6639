//! What is asked, and the proof that the controls had work to do.

use crate::house::FAST;
use crate::row::{Ask, Target};
use serde_json::{Value, json};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use testkit::client::{Request, Response, call, open};
use testkit::notes;

/// Bytes of the long prompt.
const LONG_BYTES: usize = 32 << 10;

/// Clinical prose without identifiers: most of a long chart is that.
const PROSE: &str = "\
The patient was resting comfortably in bed without acute distress. Lungs were clear on both sides, \
the abdomen was soft and without tenderness, and no edema was seen at the ankles. Chest radiograph \
showed no infiltrate, effusion or pneumothorax. White blood cell count was 7.4, hemoglobin 12.9, \
creatinine 0.9 mg/dL and potassium 4.1 mmol/L. Home medication was reconciled: lisinopril 10 mg, \
atorvastatin 40 mg, aspirin 81 mg and metformin 1000 mg twice daily. Counselling on diet, exercise \
and medication adherence was given and understood. Return precautions were reviewed, and follow-up \
with primary care is planned after completion of the present course of treatment.\n\n";

/// A note of about half a kilobyte with thirteen planted identifiers.
pub(crate) fn short() -> String {
    notes::second_patient().text
}

/// Notes about two people among clinical prose, 32 KiB in all.
pub(crate) fn long() -> String {
    let (one, two) = (notes::every_class().text, notes::second_patient().text);
    let pieces = [one.as_str(), PROSE, two.as_str(), PROSE, PROSE];
    let mut text = String::with_capacity(LONG_BYTES + PROSE.len());
    for piece in pieces.iter().cycle() {
        if text.len() + piece.len() > LONG_BYTES {
            break;
        }
        text.push_str(piece);
    }
    text
}

/// A chat request with this text as the one message of the user.
pub(crate) fn chat(model: &str, text: &str, stream: bool) -> Value {
    let mut body = json!({ "model": model, "messages": [{ "role": "user", "content": text }] });
    if let (true, Some(fields)) = (stream, body.as_object_mut()) {
        fields.insert("stream".to_owned(), json!(true));
    }
    body
}

/// One JSON exchange and one stream before anything is measured: the note left under surrogates, an
/// identifier came back restored, and a receipt says that it is recorded.
///
/// A bench of a server that let everything through would be worthless.
pub(crate) async fn check(address: SocketAddr, key: &str) -> io::Result<()> {
    let ask = |stream| Request::chat(&chat(FAST, &short(), stream)).bearer(key);
    let whole: Response = call(address, &ask(false)).await?;
    if whole.status() != 200 {
        return Err(io::Error::other(format!("the first exchange: {}", whole.text())));
    }
    recorded(whole.header("x-bulla-decision"), whole.header("x-bulla-receipt"))?;
    restored(&said(whole.answer().choices.iter().map(|it| it.content.as_str())))?;

    let streamed = open(address, &ask(true)).await?.collect().await;
    streamed
        .end
        .as_ref()
        .map_err(|error| io::Error::other(format!("the first stream: {error}")))?;
    recorded(streamed.head.header("x-bulla-decision"), streamed.head.header("x-bulla-receipt"))?;
    restored(&said(streamed.answer().choices.iter().map(|it| it.content.as_str())))
}

/// What a peer does to the text that passes through it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Treats {
    Nothing,
    /// The model is shown surrogates in the form of the peer, and the caller what they stand for.
    MasksAndRestores,
}

/// No peer may take longer for the two exchanges that are looked at.
const LOOK_LIMIT: Duration = Duration::from_mins(1);

/// One JSON exchange and one stream of a peer before it is measured, held against what the stand-in
/// says without it.
pub(crate) async fn check_peer(
    peer: &Target,
    direct: SocketAddr,
    treats: Treats,
) -> io::Result<()> {
    let direct = Target { address: direct, ask: Ask::usual(FAST), pids: Vec::new() };
    let both = async {
        for stream in [false, true] {
            let (plain, through) = (answer(&direct, stream).await?, answer(peer, stream).await?);
            if !is_what_was_said(&through, &plain, treats) {
                let what = if stream { "first stream" } else { "first answer" };
                return Err(io::Error::other(format!("its {what} is not what the model said")));
            }
        }
        Ok(())
    };
    let late = || io::Error::other("its first answers take too long");
    tokio::time::timeout(LOOK_LIMIT, both).await.map_err(|_| late())?
}

/// The whole text that is said to the short note.
async fn answer(target: &Target, stream: bool) -> io::Result<String> {
    let request = target.ask.request(&short(), stream);
    if !stream {
        let whole = call(target.address, &request).await?;
        if whole.status() != 200 {
            return Err(io::Error::other(format!(
                "its first answer has status {}",
                whole.status()
            )));
        }
        return Ok(said(whole.answer().choices.iter().map(|it| it.content.as_str())));
    }
    let streamed = open(target.address, &request).await?.collect().await;
    if let Err(error) = &streamed.end {
        return Err(io::Error::other(format!("its first stream: {error}")));
    }
    Ok(said(streamed.answer().choices.iter().map(|it| it.content.as_str())))
}

/// Whether a peer showed what the stand-in says; with a piece of the note in the middle, where that
/// piece was masked and came back. The stand-in says `plain` to a text without surrogates.
fn is_what_was_said(through: &str, plain: &str, treats: Treats) -> bool {
    match treats {
        Treats::Nothing => !plain.is_empty() && through == plain,
        Treats::MasksAndRestores => {
            let end = plain.trim_start_matches("The patient");
            let piece = through.strip_suffix(end).unwrap_or(through);
            let piece = piece.trim_start_matches(" word").trim_end_matches(" word");
            let around = through.replacen(piece, "", 1);
            !piece.trim().is_empty()
                && short().contains(piece)
                && !around.is_empty()
                && plain.contains(&around)
        }
    }
}

fn said<'a>(choices: impl Iterator<Item = &'a str>) -> String {
    choices.collect()
}

fn recorded(decision: Option<&str>, receipt: Option<&str>) -> io::Result<()> {
    if decision == Some("tokenized") && receipt.is_some() {
        return Ok(());
    }
    Err(io::Error::other(format!("decision {decision:?}, receipt {receipt:?}: nothing to measure")))
}

fn restored(answer: &str) -> io::Result<()> {
    let note = notes::second_patient();
    if !answer.contains('[') && !note.leaks_into(answer).is_empty() {
        return Ok(());
    }
    Err(io::Error::other("the answer does not hold the identifier that was sent"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_counts_as_restored_only_around_a_piece_of_the_note() {
        let whole = "The patient is stable and may go home.";
        let name = testkit::people::DESMOND.name;
        let check = |through: &str, plain: &str, expected: bool| {
            let found = is_what_was_said(through, plain, Treats::MasksAndRestores);
            assert_eq!(found, expected, "{through}");
        };
        check(&format!("{name} is stable and may go home."), whole, true);
        check(whole, whole, false);
        check("<PERSON_1> is stable and may go home.", whole, false);
        check(&format!("{name} is well."), whole, false);
        check("", whole, false);
        let stream = " word".repeat(5);
        check(&format!(" word word{name} word"), &stream, true);
        check(&stream, &stream, false);
        check(" word word<PERSON_1> word", &stream, false);
        check(name, &stream, false);
        assert!(is_what_was_said(whole, whole, Treats::Nothing));
        assert!(!is_what_was_said(name, whole, Treats::Nothing));
        assert!(!is_what_was_said("", "", Treats::Nothing));
    }

    #[test]
    fn the_prompts_have_the_sizes_that_the_table_says() {
        assert!((400..640).contains(&short().len()), "{}", short().len());
        assert!((30 << 10..=LONG_BYTES).contains(&long().len()), "{}", long().len());
    }
}
