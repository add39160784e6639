//! A report for people: one page without scripts that can be read, printed and filed.

use super::activity::{Activity, Figures, Listed};
use ledger::Hash;
use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

const STYLE: &str = include_str!("page.css");

/// Text with what HTML would read otherwise taken out of the way.
struct Plain<'a>(&'a str);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

/// Writes the page of a report whose document has this SHA-256.
pub(super) fn write(activity: &Activity, sha256: Hash) -> Result<String, fmt::Error> {
    let mut out = String::new();
    let organisation = Plain(&activity.organisation);
    write!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>Activity review: {organisation}, records {from} to {to}</title>\n\
         <style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n\
         <h1>Activity review</h1>\n<p class=\"lead\">{organisation}, records {from} to {to}</p>\n",
        from = activity.from,
        to = activity.size.saturating_sub(1),
    )?;
    facts(&mut out, activity, sha256)?;
    let figures = &activity.figures;
    exchanges(&mut out, figures)?;
    section(&mut out, "Who read")?;
    counts(&mut out, "Content of exchanges that was opened", "By whom", &figures.content_read)?;
    counts(&mut out, "Readings of the log", "By whom", &figures.log_read)?;
    end_section(&mut out)?;
    section(&mut out, "Who was turned away")?;
    paragraph(&mut out, &sentence(figures.refused.unknown, "request", "without a key in force"))?;
    counts(&mut out, "Keys that were not for that", "Why, and whose", &figures.refused.denied)?;
    end_section(&mut out)?;
    section(&mut out, "What was changed")?;
    list(&mut out, "Keys, holds, configuration, disposal, the server", &figures.changes)?;
    end_section(&mut out)?;
    section(&mut out, "What did not work, and what ends soon")?;
    list(&mut out, "Warnings", &figures.warnings)?;
    end_section(&mut out)?;
    anchors(&mut out, figures)?;
    section(&mut out, "All records")?;
    counts(&mut out, "Records by kind", "Kind", &figures.records)?;
    end_section(&mut out)?;
    write!(
        out,
        "<section class=\"sign\">\n<h2>Sign-off</h2>\n<p>To sign for this report, \
         run <code>bulla audit sign-off</code> with both files. It is made anew from the log first, \
         and refused when it says something else. On paper:</p>\n\
         <p class=\"line\">Reviewer</p>\n<p class=\"line\">Date</p>\n</section>\n\
         </main>\n</body>\n</html>\n"
    )?;
    Ok(out)
}

fn facts(out: &mut String, activity: &Activity, sha256: Hash) -> fmt::Result {
    let time = |time: Option<ledger::Time>| match time {
        Some(time) => format!("{} UTC", moment(&time.to_string())),
        None => "-".to_owned(),
    };
    let review = activity.last_review.as_ref().map_or_else(
        || "none before this".to_owned(),
        |it| {
            let when = moment(&it.reviewed.to_string());
            format!("by {}, {when} UTC, records before {}", it.reviewer, it.size)
        },
    );
    let facts = [
        ("Made", format!("{} UTC", moment(&activity.made))),
        ("First record", time(activity.figures.first)),
        ("Last record", time(activity.figures.last)),
        ("Last review", review),
        ("Log", activity.log.clone()),
        ("SHA-256 of the document", sha256.to_string()),
    ];
    out.push_str("<dl>\n");
    for (name, value) in facts {
        writeln!(out, "<div><dt>{name}</dt><dd>{}</dd></div>", Plain(&value))?;
    }
    out.push_str("</dl>\n");
    let reviewed = activity.last_review.as_ref().map_or(0, |review| review.size);
    if reviewed < activity.from {
        writeln!(
            out,
            "<p class=\"warn\">Records {reviewed} to {} were never reviewed and are not in this report.</p>",
            activity.from - 1
        )?;
    }
    Ok(())
}

fn exchanges(out: &mut String, figures: &Figures) -> fmt::Result {
    let it = &figures.exchanges;
    section(out, "Exchanges")?;
    writeln!(
        out,
        "<p>{} ended; {} named a patient. {} left and had not ended.</p>",
        it.ended, it.of_patients, it.open
    )?;
    counts(out, "By owner of the key", "Owner", &it.owners)?;
    counts(out, "By purpose", "Purpose", &it.purposes)?;
    counts(out, "By outcome", "Outcome", &it.outcomes)?;
    counts(out, "By decision", "Decision", &it.decisions)?;
    counts(out, "By destination", "Destination", &it.destinations)?;
    counts(out, "By surface", "Surface", &it.surfaces)?;
    counts(out, "Refusals and failures", "Code", &it.codes)?;
    end_section(out)
}

fn anchors(out: &mut String, figures: &Figures) -> fmt::Result {
    let it = &figures.anchors;
    section(out, "Who outside vouches for it")?;
    counts(out, "Time stamps", "Authority", &it.stamps)?;
    let exposure = match it.longest_exposure_seconds {
        Some(seconds) => {
            format!("The longest time from a record to its first stamp was {seconds} s. ")
        }
        None => String::new(),
    };
    let uncovered = sentence(it.uncovered, "record", "had no stamp by the end");
    paragraph(out, &format!("{exposure}{uncovered}"))?;
    end_section(out)
}

fn sentence(count: u64, thing: &str, rest: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {thing}{plural} {rest}.")
}

fn section(out: &mut String, title: &str) -> fmt::Result {
    writeln!(out, "<section>\n<h2>{title}</h2>")
}

fn end_section(out: &mut String) -> fmt::Result {
    writeln!(out, "</section>")
}

fn paragraph(out: &mut String, text: &str) -> fmt::Result {
    writeln!(out, "<p>{}</p>", Plain(text))
}

fn counts(
    out: &mut String,
    caption: &str,
    column: &str,
    counts: &BTreeMap<String, u64>,
) -> fmt::Result {
    if counts.is_empty() {
        return writeln!(out, "<p class=\"none\">{caption}: none.</p>");
    }
    writeln!(
        out,
        "<table>\n<caption>{caption}</caption>\n<thead><tr><th scope=\"col\">{column}</th>\
         <th scope=\"col\" class=\"n\">Count</th></tr></thead>\n<tbody>"
    )?;
    // The most first, as a reviewer reads.
    let mut rows: Vec<_> = counts.iter().collect();
    rows.sort_by_key(|(word, count)| (std::cmp::Reverse(**count), *word));
    for (word, count) in rows {
        writeln!(
            out,
            "<tr><th scope=\"row\">{}</th><td class=\"n\">{count}</td></tr>",
            Plain(word)
        )?;
    }
    writeln!(out, "</tbody>\n</table>")
}

fn list(out: &mut String, caption: &str, listed: &Listed) -> fmt::Result {
    if listed.items.is_empty() {
        return writeln!(out, "<p class=\"none\">{caption}: none.</p>");
    }
    // It scrolls by itself on a narrow screen, so it can be reached with the keyboard.
    writeln!(
        out,
        "<div class=\"wide\" role=\"region\" aria-label=\"{caption}\" tabindex=\"0\">\n\
         <table>\n<caption>{caption}</caption>\n<thead><tr>\
         <th scope=\"col\" class=\"n\">Record</th><th scope=\"col\">Time (UTC)</th>\
         <th scope=\"col\">What</th><th scope=\"col\">By</th><th scope=\"col\">Of</th>\
         </tr></thead>\n<tbody>"
    )?;
    for item in &listed.items {
        let by = Plain(item.by.as_deref().unwrap_or("-"));
        writeln!(
            out,
            "<tr><th scope=\"row\" class=\"n\">{}</th><td class=\"w\">{}</td><td class=\"w\">{}</td>\
             <td>{by}</td><td>{}</td></tr>",
            item.seq,
            moment(&item.time.to_string()),
            item.kind,
            Plain(&item.what),
        )?;
    }
    writeln!(out, "</tbody>\n</table>\n</div>")?;
    if listed.more > 0 {
        writeln!(out, "<p class=\"warn\">{} more are in the log.</p>", listed.more)?;
    }
    Ok(())
}

/// A time as people read it, to the second; the document has it whole.
fn moment(time: &str) -> String {
    time.get(..19).map_or_else(|| time.to_owned(), |seconds| seconds.replace('T', " "))
}
