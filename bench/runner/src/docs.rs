use std::{collections::BTreeMap, fs, io, path::PathBuf};

use clap::ValueEnum as _;

use crate::{make, options::Kind, plot, results::Results, table, targets};

/// Where tables stand.
const PAGES: [&str; 2] = ["README.md", "docs/performance.md"];
const OPEN: &str = "<!-- bench:";
const END: &str = "<!-- bench end -->";

/// Texts by the names of their marks.
pub(crate) type Blocks = BTreeMap<String, String>;

/// Draws the plots and puts the tables into the pages, each between `<!-- bench:NAME -->` and
/// `<!-- bench end -->`. The names are those of the kinds of work, `echo-main`, `syscalls`,
/// `targets`, `origin` and `plots`; `micro` is written by `--micro --docs`.
///
/// # Errors
/// A page cannot be read or written, or a mark has no end.
pub(crate) fn write(results: &Results) -> io::Result<()> {
    let folder = root().join("docs/performance");
    fs::create_dir_all(&folder)?;
    let plots = plot::all(results);
    for (name, svg, _) in &plots {
        fs::write(folder.join(name).with_extension("svg"), svg)?;
    }
    let mut blocks = Blocks::new();
    for kind in Kind::value_variants() {
        let mut text = String::new();
        table::overview(&mut text, results, *kind);
        blocks.insert(kind.to_possible_value().expect("no kind is hidden").get_name().into(), text);
    }
    // A median of fewer rounds than were asked for does not look like one.
    blocks.insert("origin".into(), table::origin(results) + &table::skipped(results));
    blocks.insert("echo-main".into(), table::echo_main(results));
    blocks.insert("syscalls".into(), table::system_calls(results));
    blocks.insert("targets".into(), targets::markdown(results));
    let image = |(name, _, text): &(String, String, String)| {
        format!("![{text}](docs/performance/{name}.svg)\n\n")
    };
    blocks.insert("plots".into(), plots.iter().map(image).collect());
    insert(&blocks)
}

/// Puts texts between the marks with their names; a text that is empty was not measured, and what
/// stands there stays.
///
/// # Errors
/// As for [`write`].
pub(crate) fn insert(blocks: &Blocks) -> io::Result<()> {
    for page in PAGES {
        let file = root().join(page);
        let text = replaced(&fs::read_to_string(&file)?, blocks)
            .map_err(|problem| io::Error::other(format!("{page}: {problem}")))?;
        fs::write(file, text)?;
    }
    Ok(())
}

fn replaced(page: &str, blocks: &Blocks) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = page;
    while let Some((before, after)) = rest.split_once(OPEN) {
        let (name, after) = after.split_once(" -->").ok_or("a mark is not closed")?;
        let (old, after) = after.split_once(END).ok_or(format!("{name} has no end"))?;
        let text = blocks.get(name).map(|text| text.trim()).filter(|text| !text.is_empty());
        let text = text.map_or(old.to_owned(), |text| format!("\n\n{text}\n\n"));
        out.extend([before, OPEN, name, " -->", &text, END]);
        rest = after;
    }
    Ok(out + rest)
}

fn root() -> PathBuf {
    make::home().join("..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_keep_their_place_and_unknown_ones_their_text() {
        let blocks = Blocks::from([("a".into(), "new\n".into()), ("b".into(), String::new())]);
        let page =
            "x\n<!-- bench:a -->old<!-- bench end -->\ny<!-- bench:b -->stays<!-- bench end -->";
        let once = replaced(page, &blocks).unwrap();
        assert!(once.contains("<!-- bench:a -->\n\nnew\n\n<!-- bench end -->\ny"), "{once}");
        assert!(once.ends_with("stays<!-- bench end -->"), "{once}");
        assert_eq!(replaced(&once, &blocks).unwrap(), once);
        replaced("<!-- bench:a -->", &blocks).unwrap_err();
    }
}
