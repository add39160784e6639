//! Forms with a file, RFC 7578: read whole, strictly, from a body that is bounded already.

use memchr::memmem;
use phi::Text;

/// The longest boundary, RFC 2046 section 5.1.1.
const MAX_BOUNDARY_BYTES: usize = 70;

/// The most fields of a form; the one that is taken here has two.
const MAX_FIELDS: usize = 16;

/// The longest head of a field.
const MAX_HEAD_BYTES: usize = 4096;

/// One field of a form.
pub(super) struct Field<'a> {
    /// Its name.
    pub(super) name: &'a str,
    /// The name of the file in it, when it is one.
    pub(super) file: Option<Text>,
    /// What is in it.
    pub(super) bytes: &'a [u8],
}

/// The fields of a form, or nothing when the body is not one.
pub(super) fn read<'a>(content_type: &str, body: &'a [u8]) -> Option<Vec<Field<'a>>> {
    let delimiter = format!("--{}", boundary(content_type)?);
    let mut rest = body.strip_prefix(delimiter.as_bytes())?;
    let delimiter = format!("\r\n{delimiter}");
    let mut fields = Vec::new();
    loop {
        if rest.strip_prefix(b"--").is_some_and(|after| matches!(after, b"" | b"\r\n")) {
            return Some(fields);
        }
        rest = rest.strip_prefix(b"\r\n")?;
        let end = memmem::find(rest, delimiter.as_bytes())?;
        let field = rest.get(..end)?;
        rest = rest.get(end + delimiter.len()..)?;
        if fields.len() == MAX_FIELDS {
            return None;
        }
        fields.push(read_field(field)?);
    }
}

fn boundary(content_type: &str) -> Option<&str> {
    let (kind, parameters) = content_type.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let boundary = parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("boundary").then(|| value.trim().trim_matches('"'))
    })?;
    let fits = (1..=MAX_BOUNDARY_BYTES).contains(&boundary.len());
    (fits && boundary.bytes().all(|byte| byte.is_ascii_graphic())).then_some(boundary)
}

fn read_field(field: &[u8]) -> Option<Field<'_>> {
    let end = memmem::find(field.get(..field.len().min(MAX_HEAD_BYTES))?, b"\r\n\r\n")?;
    let head = std::str::from_utf8(field.get(..end)?).ok()?;
    let bytes = field.get(end + 4..)?;
    let disposition = head.split("\r\n").find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.trim().eq_ignore_ascii_case("content-disposition").then(|| value.trim())
    })?;
    let parameters = disposition.strip_prefix("form-data")?;
    let name = quoted(parameters, "name")?;
    let file = quoted(parameters, "filename").map(Text::from);
    Some(Field { name, file, bytes })
}

/// A parameter in quotation marks. Clients escape a quotation mark in it as `%22`.
fn quoted<'a>(parameters: &'a str, name: &str) -> Option<&'a str> {
    let (_, after) = parameters.split_once(&format!("; {name}=\""))?;
    after.split_once('"').map(|(value, _)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE: &str = "multipart/form-data; boundary=\"b0\"";

    fn check(body: &str, expected: Option<&[(&str, Option<&str>, &str)]>) {
        let read = read(TYPE, body.as_bytes());
        let fields = read.as_ref().map(|fields| {
            let one = |it: &Field<'_>| {
                let file = it.file.as_ref().map(|name| name.expose().to_owned());
                (it.name.to_owned(), file, String::from_utf8_lossy(it.bytes).into_owned())
            };
            fields.iter().map(one).collect::<Vec<_>>()
        });
        let own = |(name, file, bytes): &(&str, Option<&str>, &str)| {
            ((*name).to_owned(), file.map(str::to_owned), (*bytes).to_owned())
        };
        assert_eq!(fields, expected.map(|it| it.iter().map(own).collect()), "{body}");
    }

    #[test]
    fn a_form_is_read_as_clients_write_it() {
        let head = "Content-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch";
        let file = "content-disposition: form-data; name=\"file\"; filename=\"a.jsonl\"\r\nContent-Type: application/octet-stream\r\n\r\n{}\r\n--b\n";
        let form = format!("--b0\r\n{head}\r\n--b0\r\n{file}\r\n--b0--\r\n");
        check(&form, Some(&[("purpose", None, "batch"), ("file", Some("a.jsonl"), "{}\r\n--b\n")]));
        check("--b0--", Some(&[]));
    }

    #[test]
    fn what_is_no_form_is_not_taken_for_one() {
        let whole = "--b0\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\n1\r\n--b0--\r\n";
        check(whole, Some(&[("x", None, "1")]));
        for end in 0..whole.len() - 4 {
            check(whole.get(..end).unwrap(), None);
        }
        check(&whole.replace("name=", "nome="), None);
        check(&whole.replace("form-data", "attachment"), None);
        check(&format!("{whole}more"), None);
        for kind in [
            "multipart/form-data",
            "application/json; boundary=b0",
            "multipart/form-data; boundary=",
        ] {
            assert!(read(kind, whole.as_bytes()).is_none(), "{kind}");
        }
    }
}
