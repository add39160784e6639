//! The lines of an input, before any of them is an exchange.
//!
//! What is not a request of this batch at all is a mistake of whoever wrote the file, and nothing of the
//! batch leaves: the problems are told by their lines. What is a request, and may not pass, is an exchange
//! that was refused, and stops no other line.

use super::{BatchApi, MAX_LINES, MAX_PROBLEMS, Problem};
use gate::shape::Json;
use ledger::Hash;
use phi::Text;
use providers::raw_member;
use std::collections::BTreeSet;

/// The longest name of a line.
const MAX_CUSTOM_BYTES: usize = 512;

/// The longest line: the largest request.
const MAX_LINE_BYTES: usize = 4 << 20;

/// One line of an input.
#[derive(Debug)]
pub(super) struct InputLine {
    /// Its number, from 1.
    pub(super) number: u64,
    /// The caller's name of it.
    pub(super) custom: Text,
    /// The request, as it is written.
    pub(super) body: Text,
}

/// An input whose lines are requests of one interface and one model.
#[derive(Debug)]
pub(super) struct Input {
    pub(super) model: Text,
    pub(super) lines: Vec<InputLine>,
}

/// Takes an input apart.
pub(super) fn read(text: &Text, api: BatchApi) -> Result<Input, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut names = BTreeSet::new();
    let mut model: Option<Text> = None;
    let mut lines = Vec::new();
    for (number, line) in (1_u64..).zip(text.expose().split('\n')) {
        if line.trim().is_empty() {
            continue;
        }
        if lines.len() >= MAX_LINES {
            let message = "A batch has at most 10,000 lines.";
            problems.push(Problem::of(None, "too_many_lines", message));
            break;
        }
        let mut problem = |code: &str, message: &str| {
            problems.push(Problem::of(Some(number), code, message));
        };
        match read_line(number, line, api) {
            Ok((read, asked)) => {
                if !names.insert(Hash::of(read.custom.expose().as_bytes())) {
                    problem("duplicate_custom_id", "Another line has the same custom_id.");
                }
                if model.get_or_insert_with(|| asked.clone()).expose() != asked.expose() {
                    problem("mismatched_model", "All lines of a batch name the same model.");
                }
                lines.push(read);
            }
            Err((code, message)) => problem(code, message),
        }
        if problems.len() >= MAX_PROBLEMS {
            break;
        }
    }
    match model {
        Some(model) if problems.is_empty() => Ok(Input { model, lines }),
        None if problems.is_empty() => {
            Err(vec![Problem::of(None, "empty_file", "The file has no line.")])
        }
        Some(_) | None => Err(problems),
    }
}

type Wrong = (&'static str, &'static str);

fn read_line(number: u64, line: &str, api: BatchApi) -> Result<(InputLine, Text), Wrong> {
    const NOT_JSON: Wrong =
        ("invalid_json_line", "The line is not a JSON object, or names a member twice.");
    if line.len() > MAX_LINE_BYTES {
        return Err(("line_too_long", "A line has at most 4 MiB."));
    }
    let json = Json::parse(line.as_bytes()).map_err(|_| NOT_JSON)?;
    let Json::Map(members) = &json else { return Err(NOT_JSON) };
    let known = ["custom_id", "method", "url", "body"];
    // Fail closed: what is not known is not searched.
    if members.iter().any(|(name, _)| !known.contains(&name.expose())) {
        let message = "A line has custom_id, method, url and body, and nothing else.";
        return Err(("unknown_member", message));
    }
    let text = |name| json.member(name).and_then(Json::as_text);
    let custom = text("custom_id").filter(|it| (1..=MAX_CUSTOM_BYTES).contains(&it.len()));
    let Some(custom) = custom else {
        return Err(("missing_custom_id", "A line has a custom_id of 1 to 512 bytes."));
    };
    if text("method").map(Text::expose) != Some("POST") {
        return Err(("invalid_method", "The method of a line is POST."));
    }
    if text("url").map(Text::expose) != Some(api.url()) {
        return Err(("invalid_url", "The url of a line is the endpoint of the batch."));
    }
    let model = json.member("body").and_then(|body| body.member("model")).and_then(Json::as_text);
    let Some(model) = model else {
        return Err(("missing_model", "The body of a line is an object that names a model."));
    };
    let body = raw_member(line, "body").ok_or(NOT_JSON)?;
    let read = InputLine { number, custom: custom.clone(), body: Text::from(body) };
    Ok((read, model.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(custom: &str, model: &str) -> String {
        format!(
            r#"{{"custom_id": "{custom}", "method": "POST", "url": "/v1/chat/completions", "body": {{"model": "{model}", "messages": []}}}}"#
        )
    }

    fn check(text: &str, expected: &[(Option<u64>, &str)]) {
        let read = read(&Text::from(text), BatchApi::ChatCompletions);
        let problems = read.err().unwrap_or_default();
        let found: Vec<_> = problems.iter().map(|it| (it.line, it.code.as_str())).collect();
        assert_eq!(found, expected);
        // What a caller wrote stands in none of them.
        assert!(problems.iter().all(|problem| !problem.message.contains("SECRET")));
    }

    #[test]
    fn lines_are_taken_as_they_are_written() {
        let text = format!("{}\r\n\n{}\n", line("a", "m"), line("b", "m"));
        let read = read(&Text::from(text.as_str()), BatchApi::ChatCompletions).unwrap();
        let bodies: Vec<_> =
            read.lines.iter().map(|it| (it.number, it.custom.expose(), it.body.expose())).collect();
        let body = r#"{"model": "m", "messages": []}"#;
        assert_eq!(bodies, [(1, "a", body), (3, "b", body)]);
        assert_eq!(read.model.expose(), "m");
    }

    #[test]
    fn what_is_no_request_of_the_batch_is_told_by_its_line() {
        check("", &[(None, "empty_file")]);
        check("{\"SECRET\"", &[(Some(1), "invalid_json_line")]);
        check("[1]", &[(Some(1), "invalid_json_line")]);
        let good = line("a", "m");
        check(&format!("{good}\n{good}"), &[(Some(2), "duplicate_custom_id")]);
        check(&format!("{good}\n{}", line("b", "SECRET")), &[(Some(2), "mismatched_model")]);
        let replaced = |from: &str, to: &str| good.replace(from, to);
        check(&replaced("POST", "GET"), &[(Some(1), "invalid_method")]);
        check(&replaced("chat/completions", "embeddings"), &[(Some(1), "invalid_url")]);
        check(&replaced("\"custom_id\": \"a\", ", ""), &[(Some(1), "missing_custom_id")]);
        check(&replaced("\"a\"", "\"\""), &[(Some(1), "missing_custom_id")]);
        check(&replaced("\"a\"", "\"a\", \"patient\": \"SECRET\""), &[(Some(1), "unknown_member")]);
        check(&replaced("\"a\"", "\"a\", \"custom_id\": \"b\""), &[(Some(1), "invalid_json_line")]);
        check(&replaced("\"model\": \"m\", ", ""), &[(Some(1), "missing_model")]);
    }

    #[test]
    fn no_more_problems_are_told_than_help() {
        let text = "{}\n".repeat(10 * MAX_PROBLEMS);
        let problems = read(&Text::from(text.as_str()), BatchApi::ChatCompletions).unwrap_err();
        assert_eq!(problems.len(), MAX_PROBLEMS);
    }
}
