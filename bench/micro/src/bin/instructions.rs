//! Counts the instructions that ws-proto takes for each message, under callgrind, and compares
//! them with `bench/instructions.json`.
//!
//! Each case runs twice, a few turns and many; the difference, divided, has no start of a process
//! in it. Counts depend on the compiler and on what the processor that valgrind shows can do, so
//! both stand in the file, and where one differs nothing is compared: the status is 3 then.

use std::{
    collections::BTreeMap,
    env, fs, io,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use micro::cases;
use serde::{Deserialize, Serialize};

const USAGE: &str = "usage: instructions check | renew | list | run CASE TURNS";

/// Turns of a short and of a long run. The first ones grow buffers.
const FEW: u64 = 20;
const MANY: u64 = 60;

/// How far a count may be from the baseline, in either direction.
const TOLERANCE: f64 = 0.02;

/// The status when there is nothing to compare with.
const NOT_COMPARED: u8 = 3;

/// Instructions for each message, and what they were counted with.
#[derive(Debug, Deserialize, Serialize)]
struct Baseline {
    made_with: BTreeMap<String, String>,
    instructions: BTreeMap<String, f64>,
}

fn main() -> ExitCode {
    let args: Vec<_> = env::args().skip(1).collect();
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    let result = match args[..] {
        ["check"] => check(),
        ["renew"] => count().and_then(|baseline| renew(&baseline)).map(|()| ExitCode::SUCCESS),
        ["list"] => {
            for case in cases::all() {
                println!("{}", case.name);
            }
            Ok(ExitCode::SUCCESS)
        }
        ["run", case, turns] => run(case, turns).map(|()| ExitCode::SUCCESS),
        ["processor"] => {
            println!("{}", processor());
            Ok(ExitCode::SUCCESS)
        }
        _ => Err(io::Error::other(USAGE)),
    };
    match result {
        Ok(status) => status,
        Err(error) => {
            eprintln!("instructions: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Compares, and fails unless all counts are within the tolerance.
fn check() -> io::Result<ExitCode> {
    let baseline: Baseline = serde_json::from_slice(&fs::read(file())?)?;
    let now = count()?;
    if baseline.made_with != now.made_with {
        println!("NOT COMPARED: the baseline was made with other tools or another processor.");
        println!("  baseline: {:?}\n  here:     {:?}", baseline.made_with, now.made_with);
        println!("Renew it: bench/instructions renew");
        return Ok(ExitCode::from(NOT_COMPARED));
    }
    let mut wrong = 0;
    for (case, count) in &now.instructions {
        let Some(before) = baseline.instructions.get(case) else {
            println!("{case}: {count:.1}, not in the baseline");
            wrong += 1;
            continue;
        };
        let change = count / before - 1.0;
        if change.abs() > TOLERANCE {
            println!("{case}: {before:.1} -> {count:.1} ({:+.1} %)", change * 100.0);
            wrong += 1;
        }
    }
    let mut all = now.instructions.len();
    for case in baseline.instructions.keys().filter(|case| !now.instructions.contains_key(*case)) {
        println!("{case}: in the baseline, but no case any more");
        wrong += 1;
        all += 1;
    }
    println!("{} of {all} counts are within {} % of the baseline", all - wrong, TOLERANCE * 100.0);
    if wrong > 0 {
        println!(
            "If that is intended: bench/instructions renew, and commit the file with the reason."
        );
    }
    Ok(if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn renew(baseline: &Baseline) -> io::Result<()> {
    fs::write(file(), serde_json::to_string_pretty(baseline)? + "\n")?;
    println!("{} counts are in {}", baseline.instructions.len(), file().display());
    Ok(())
}

fn count() -> io::Result<Baseline> {
    let mut instructions = BTreeMap::new();
    for case in cases::all() {
        let few = callgrind(&case.name, FEW)?;
        let many = callgrind(&case.name, MANY)?;
        let messages = (MANY - FEW) * case.count as u64;
        let each = (many - few) as f64 / messages as f64;
        instructions.insert(case.name, (each * 10.0).round() / 10.0);
    }
    Ok(Baseline { made_with: tools()?, instructions })
}

fn run(name: &str, turns: &str) -> io::Result<()> {
    let turns: u64 = turns.parse().map_err(io::Error::other)?;
    let case = cases::all()
        .into_iter()
        .find(|case| case.name == name)
        .ok_or_else(|| io::Error::other("there is no such case: see `instructions list`"))?;
    let mut work = (case.start)();
    (0..turns).for_each(|_| work());
    Ok(())
}

fn callgrind(case: &str, turns: u64) -> io::Result<u64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(env::current_exe()?)
        .args(["run", case, &turns.to_string()])
        .output()
        .map_err(|error| io::Error::other(format!("valgrind does not start: {error}")))?;
    let text = String::from_utf8_lossy(&output.stderr);
    let collected = text.lines().find_map(|line| line.split_once("Collected : "));
    collected
        .filter(|_| output.status.success())
        .and_then(|(_, count)| count.trim().parse().ok())
        .ok_or_else(|| io::Error::other(format!("{case}: {text}")))
}

/// Everything that counts depend on beside the code.
fn tools() -> io::Result<BTreeMap<String, String>> {
    let me = env::current_exe()?;
    let me = me.to_string_lossy();
    let tools = [
        ("rustc", said("rustc", &["--version"])?),
        ("valgrind", said("valgrind", &["--version"])?),
        ("processor", said("valgrind", &["--tool=none", "-q", &me, "processor"])?),
    ];
    Ok(tools.into_iter().map(|(name, text)| (name.to_owned(), text)).collect())
}

fn said(program: &str, args: &[&str]) -> io::Result<String> {
    let output = Command::new(program).args(args).output()?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// What libraries find when they choose between implementations.
fn processor() -> String {
    #[cfg(target_arch = "x86_64")]
    let has = [
        ("sse4.2", is_x86_feature_detected!("sse4.2")),
        ("avx2", is_x86_feature_detected!("avx2")),
        ("bmi2", is_x86_feature_detected!("bmi2")),
        ("avx512bw", is_x86_feature_detected!("avx512bw")),
        ("sha", is_x86_feature_detected!("sha")),
    ];
    #[cfg(not(target_arch = "x86_64"))]
    let has: [(&str, bool); 0] = [];
    let has: Vec<_> = has.iter().filter(|(_, has)| *has).map(|(name, _)| *name).collect();
    format!("{} {}", env::consts::ARCH, has.join(" ")).trim().to_owned()
}

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../instructions.json")
}
