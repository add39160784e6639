//! Measures the special categories on labelled samples:
//! `cargo run --release -p phi --example measure_categories -- [--misses] [--groups] FILE...`.
//!
//! A file has one sample a line: labels, a tab, text (crates/phi/fixtures/category/README.md).
//! `--misses` prints what was wrong, `--groups` the groups and weights of each sample, for
//! training/categories/fit.py.

use std::error::Error;
use std::io::{self, Write};

use phi::category::{Settings, USUAL_THRESHOLD};
use phi::{Categories, Category, CategoryFinding, Part};

/// What became of a category over the samples.
#[derive(Clone, Copy, Default)]
struct Count {
    found: u32,
    missed: u32,
    wrong: u32,
}

fn main() -> Result<(), Box<dyn Error>> {
    let (options, files): (Vec<_>, Vec<_>) =
        std::env::args().skip(1).partition(|a| a.starts_with("--"));
    let has = |name: &str| options.iter().any(|o| o == name);
    let settings = Settings::default().look_for(Category::GenderAffirming, USUAL_THRESHOLD);
    let categories = Categories::new(&settings)?;
    let mut out = io::BufWriter::new(io::stdout().lock());
    for file in files {
        let samples = std::fs::read_to_string(&file)?;
        if has("--groups") {
            groups(&categories, &samples, &mut out)?;
        } else {
            measure(&categories, &file, &samples, has("--misses"), &mut out)?;
        }
    }
    Ok(out.flush()?)
}

fn samples(file: &str) -> impl Iterator<Item = (Vec<&str>, &str)> {
    file.lines()
        .filter_map(|line| line.split_once('\t'))
        .map(|(labels, text)| (labels.split(',').collect(), text))
}

fn measure(
    categories: &Categories,
    file: &str,
    text: &str,
    misses: bool,
    out: &mut impl Write,
) -> io::Result<()> {
    writeln!(out, "{file}\n| category | samples | recall | precision |\n|---|---|---|---|")?;
    for category in Category::ALL.iter().copied() {
        let mut count = Count::default();
        for (labels, text) in samples(text) {
            let all = categories.weigh(&[Part { text, label: None }]);
            let one = all.iter().find(|f| f.category == category);
            let found = one.is_some_and(CategoryFinding::is_present);
            let open = labels.iter().any(|l| l.strip_suffix('?') == Some(category.label()));
            let is_so = labels.contains(&category.label());
            count.found += u32::from(is_so && found);
            count.missed += u32::from(is_so && !found);
            count.wrong += u32::from(!is_so && !open && found);
            if misses && (is_so != found) && !open {
                let terms: Vec<_> = one
                    .iter()
                    .flat_map(|f| &f.evidence)
                    .map(|e| format!("{} {}", e.term, e.weight.as_percent()))
                    .collect();
                let what = if found { "wrong " } else { "missed" };
                writeln!(out, "{what} {category}: {text}\n       {}", terms.join("; "))?;
            }
        }
        let Count { found, missed, wrong } = count;
        let share = |part: u32, other: u32| f64::from(part) / f64::from((part + other).max(1));
        writeln!(
            out,
            "| `{category}` | {} | {:.3} | {:.3} |",
            found + missed,
            share(found, missed),
            share(found, wrong)
        )?;
    }
    Ok(())
}

/// One line for each sample and category of which anything was seen, or which is labelled.
fn groups(categories: &Categories, text: &str, out: &mut impl Write) -> io::Result<()> {
    for (number, (labels, text)) in samples(text).enumerate() {
        let all = categories.weigh(&[Part { text, label: None }]);
        for category in Category::ALL.iter().copied() {
            let open = labels.iter().any(|l| l.strip_suffix('?') == Some(category.label()));
            let is_so = labels.contains(&category.label());
            let evidence = all.iter().find(|f| f.category == category).map(|f| &f.evidence);
            let mut terms: Vec<_> = evidence
                .into_iter()
                .flatten()
                .map(|e| format!("{}\t{}\t{}", e.group, e.circumstance.why(), e.term))
                .collect();
            terms.sort();
            terms.dedup();
            let truth = match (is_so, open) {
                (true, _) => "1",
                (false, true) => "?",
                (false, false) => "0",
            };
            writeln!(out, "{number}\t{category}\t{truth}\t{}", terms.join("\t"))?;
        }
    }
    Ok(())
}
