use std::{
    collections::BTreeMap,
    env,
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::{make, options::Options};

const OURS: &str = "ws-proto";

/// Nanoseconds per message of each codec, by work and size.
type Figures = BTreeMap<(String, u64), BTreeMap<String, f64>>;

/// Runs the criterion benches on the generator's core, and returns their medians as Markdown.
///
/// # Errors
/// The benches do not build or fail.
pub(crate) fn run(options: &Options) -> io::Result<String> {
    let home = make::home().join("target/criterion");
    fs::create_dir_all(&home)?;
    let home = fs::canonicalize(home)?;
    bench(&home, &["--no-run"])?;
    loadgen::pin_to(&[options.generator_core])?;
    bench(&home, &["--", "--quiet"])?;
    let mut figures = Figures::new();
    for entry in walk(&home)? {
        if let Some((work, size, codec, ns)) = figure(&entry) {
            figures.entry((work, size)).or_default().insert(codec, ns);
        }
    }
    Ok(table(&figures))
}

fn bench(home: &Path, args: &[&str]) -> io::Result<()> {
    let status = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .current_dir(make::home())
        .env("CRITERION_HOME", home)
        .args(["bench", "--quiet", "-p", "micro", "--bench", "codec"])
        .args(args)
        .stdout(Stdio::null())
        .status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("cargo bench: {status}"))) }
}

/// All folders `new`, in which criterion keeps its last results.
fn walk(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.ends_with("new") {
            found.push(path);
        } else if path.is_dir() {
            found.extend(walk(&path)?);
        }
    }
    Ok(found)
}

fn figure(folder: &Path) -> Option<(String, u64, String, f64)> {
    let read =
        |name| -> Option<Value> { serde_json::from_slice(&fs::read(folder.join(name)).ok()?).ok() };
    let (bench, estimates) = (read("benchmark.json")?, read("estimates.json")?);
    let turn = estimates["median"]["point_estimate"].as_f64()?;
    let messages = bench["throughput"]["Elements"].as_f64()?;
    let size = bench["value_str"].as_str()?.parse().ok()?;
    let text = |key| bench[key].as_str().map(str::to_owned);
    Some((text("group_id")?, size, text("function_id")?, turn / messages))
}

fn table(figures: &Figures) -> String {
    let mut codecs: Vec<&String> = figures.values().flat_map(BTreeMap::keys).collect();
    codecs.sort();
    codecs.dedup();
    let names = codecs.iter().map(|name| format!("{name} ns")).collect::<Vec<_>>().join(" | ");
    let mut out = format!("| work | bytes | {names} | {OURS} × best peer |\n");
    let _ = writeln!(out, "|---|---:|{}", "---:|".repeat(codecs.len() + 1));
    for ((work, size), by_codec) in figures {
        let _ = write!(out, "| {work} | {size} |");
        for codec in &codecs {
            let _ = match by_codec.get(*codec) {
                Some(ns) => write!(out, " {ns:.0} |"),
                None => write!(out, " – |"),
            };
        }
        let peers = by_codec.iter().filter(|(name, _)| *name != OURS);
        let best = peers.map(|(_, ns)| *ns).fold(f64::INFINITY, f64::min);
        let _ = match by_codec.get(OURS) {
            Some(ours) => writeln!(out, " {:.2} |", ours / best),
            None => writeln!(out, " – |"),
        };
    }
    out
}
