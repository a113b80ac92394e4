//! The invariants that a compiler does not check.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const CRATES: [&str; 5] = ["ws-proto", "ws-net", "ws-tokio", "ws-async-std", "ws-smol"];
const RUNTIMES: [&str; 6] =
    ["tokio", "async-std", "smol", "async-io", "async-executor", "async-global-executor"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests is in the workspace").into()
}

/// The Rust files in a folder and below it, of which there are some.
fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let files = rust_files_if_any(folder);
    assert!(!files.is_empty(), "{} has no Rust files", folder.display());
    files
}

fn rust_files_if_any(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut files = Vec::new();
    for path in entries.map(|entry| entry.expect("a readable folder").path()) {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() && name != "target" && !name.starts_with('.') && name != "node_modules" {
            files.extend(rust_files_if_any(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn no_file_is_longer_than_600_lines() {
    let files = rust_files(&root());
    assert!(files.len() > 30, "only {} files were found", files.len());
    for file in files {
        let lines = read(&file).lines().count();
        assert!(lines <= 600, "{} has {lines} lines: split it by concept", file.display());
    }
}

#[test]
fn no_adapter_file_is_longer_than_200_lines() {
    for adapter in ["ws-tokio", "ws-async-std", "ws-smol"] {
        for file in rust_files(&root().join(adapter).join("src")) {
            let lines = read(&file).lines().count();
            assert!(lines <= 200, "{} has {lines} lines: move it to ws-net", file.display());
        }
    }
}

#[test]
fn unsafe_is_in_one_file_per_crate_with_a_reason() {
    for name in CRATES {
        let files = rust_files(&root().join(name).join("src"));
        let with_unsafe: Vec<_> =
            files.iter().filter(|file| without_comments(&read(file)).contains("unsafe ")).collect();
        assert!(with_unsafe.len() <= 1, "{name} has unsafe in {with_unsafe:?}");
        for file in with_unsafe {
            let text = read(file);
            let code = without_comments(&text);
            // A function says in its docs what its callers have to promise.
            let functions = code.matches("unsafe fn ").count();
            let others = code.matches("unsafe ").count() - functions;
            let reasons =
                [text.matches("// SAFETY:").count(), text.matches("/// # Safety").count()];
            assert_eq!(reasons, [others, functions], "{}", file.display());
        }
    }
}

fn without_comments(text: &str) -> String {
    let is_code = |line: &&str| !line.trim_start().starts_with("//");
    text.lines().filter(is_code).collect::<Vec<_>>().join("\n")
}

/// The packages that `package` is built with, as `name vVERSION FEATURES`.
fn dependencies(package: &str, features: &str) -> Vec<String> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--edges", "normal", "--prefix", "none", "--package", package])
        .args(["--format", "{p} {f}", features])
        .current_dir(root())
        .output()
        .expect("cargo tree runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8_lossy(&output.stdout);
    assert!(tree.contains("bytes v"), "cargo tree printed {tree:?}");
    tree.lines().map(str::to_owned).collect()
}

#[test]
fn the_core_and_the_neutral_half_depend_on_no_runtime() {
    for name in ["ws-proto", "ws-net"] {
        for package in dependencies(name, "--no-default-features") {
            let runtime = RUNTIMES.iter().find(|name| package.starts_with(&format!("{name} v")));
            assert_eq!(runtime, None, "{name} depends on {package}");
        }
    }
    // hyper takes its channels from tokio; what it takes must not be a runtime.
    for package in dependencies("ws-net", "--all-features") {
        let used = |runtime: &&&str| package.starts_with(&format!("{runtime} v"));
        if RUNTIMES.iter().find(used).is_some() {
            let features = package.split_whitespace().nth(2).unwrap_or_default();
            assert!(package.starts_with("tokio v"), "ws-net depends on {package}");
            assert!(
                features.split(',').all(|feature| matches!(feature, "sync" | "default")),
                "ws-net depends on more of tokio than its channels: {features}"
            );
        }
    }
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    for name in CRATES {
        let source = root().join(name).join("src");
        let graph = imports(&source);
        for start in graph.keys() {
            if let Some(path) = circle(&graph, start) {
                panic!("{name}: these files import each other: {}", path.join(" -> "));
            }
        }
    }
}

/// A shortest way from a file back to itself.
fn circle(graph: &BTreeMap<String, BTreeSet<String>>, start: &String) -> Option<Vec<String>> {
    let mut paths = vec![vec![start.clone()]];
    let mut seen = BTreeSet::new();
    while !paths.is_empty() {
        let mut longer = Vec::new();
        for path in paths {
            for next in path.last().and_then(|last| graph.get(last)).into_iter().flatten() {
                let extended = [path.as_slice(), std::slice::from_ref(next)].concat();
                if next == start {
                    return Some(extended);
                }
                if seen.insert(next.clone()) {
                    longer.push(extended);
                }
            }
        }
        paths = longer;
    }
    None
}

/// Which module imports names that are defined in which other module, tests left out. Names that
/// a crate's root re-exports count as imports of the module that defines them.
fn imports(source: &Path) -> BTreeMap<String, BTreeSet<String>> {
    let mut modules: BTreeMap<String, String> = BTreeMap::new();
    for file in rust_files(source) {
        let relative = file.strip_prefix(source).expect("a file of this crate");
        let module = relative.with_extension("").to_string_lossy().replace('/', "::");
        let text = read(&file);
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default().to_owned();
        modules.insert(module, code);
    }
    let homes: BTreeMap<&String, BTreeMap<String, String>> =
        modules.iter().map(|(module, code)| (module, reexports(code, module))).collect();
    let mut graph = BTreeMap::new();
    for (module, code) in modules.iter().filter(|(module, _)| *module != "lib") {
        let mut targets = BTreeSet::new();
        for path in uses(code, module) {
            let mut path = if path.contains("::") { path } else { format!("lib::{path}") };
            while let Some(home) = path
                .rsplit_once("::")
                .and_then(|(module, name)| homes.get(&module.to_owned())?.get(name))
            {
                path.clone_from(home);
            }
            let target = longest_module(&path, &modules);
            targets.extend(target.filter(|target| target != module));
        }
        graph.insert(module.clone(), targets);
    }
    graph
}

/// The names that a module takes from its own children and passes on, with where they live.
fn reexports(code: &str, module: &str) -> BTreeMap<String, String> {
    let children = if module == "lib" { String::new() } else { format!("{module}::") };
    uses(code, module)
        .into_iter()
        .filter(|path| path.starts_with(&children))
        .filter_map(|path| Some((path.rsplit_once("::")?.1.to_owned(), path)))
        .collect()
}

fn longest_module(path: &str, modules: &BTreeMap<String, String>) -> Option<String> {
    let mut path = path;
    loop {
        if modules.contains_key(path) {
            return Some(path.to_owned());
        }
        path = path.rsplit_once("::")?.0;
    }
}

/// Every path of this crate that a module names, in its `use` items and elsewhere, from the crate's
/// root.
fn uses(code: &str, module: &str) -> Vec<String> {
    let mut paths = Vec::new();
    for (at, _) in code.match_indices("use ") {
        let before = code[..at].rsplit('\n').next().unwrap_or_default().trim();
        if !(before.is_empty() || before.starts_with("pub")) {
            continue;
        }
        let Some(end) = code[at..].find(';') else { continue };
        let item: String = code[at + 4..at + end].split_whitespace().collect::<Vec<_>>().join(" ");
        expand(&item, "", &mut paths);
    }
    paths.extend(inline_paths(code));
    let parent = module.rsplit_once("::").map_or("", |(parent, _)| parent);
    let children: Vec<_> = code
        .lines()
        .filter_map(|line| line.trim().trim_start_matches("pub(crate) ").strip_prefix("mod "))
        .map(|name| name.trim_end_matches(';').to_owned())
        .collect();
    paths
        .into_iter()
        .filter_map(|path| {
            if let Some(path) = path.strip_prefix("crate::") {
                return Some(path.to_owned());
            }
            if let Some(path) = path.strip_prefix("super::") {
                return Some(format!("{parent}::{path}").trim_start_matches(':').to_owned());
            }
            let path = path.strip_prefix("self::").map(String::from).unwrap_or(path);
            let first = path.split("::").next().unwrap_or_default();
            let own = children.iter().any(|child| child == first);
            match (own, module) {
                (true, "lib") => Some(path),
                (true, _) => Some(format!("{module}::{path}")),
                _ => None,
            }
        })
        .collect()
}

/// The paths outside of `use` items, each up to its first type or constant.
fn inline_paths(code: &str) -> Vec<String> {
    let mut paths = Vec::new();
    for line in code.lines().filter(|line| !line.trim_start().starts_with("//")) {
        for (at, _) in ["crate::", "super::"].iter().flat_map(|root| line.match_indices(root)) {
            let is_name = |letter: char| letter.is_alphanumeric() || letter == '_';
            let before = line[..at].trim_end_matches("in ");
            if before.ends_with("pub(") || before.ends_with(is_name) || before.ends_with(['$', ':'])
            {
                continue;
            }
            let path = line[at..].split(|letter| !is_name(letter) && letter != ':').next();
            let segments: Vec<_> =
                path.unwrap_or_default().trim_end_matches(':').split("::").collect();
            let is_item = |segment: &&str| segment.starts_with(char::is_uppercase);
            let end = segments.iter().position(is_item).map_or(segments.len(), |item| item + 1);
            paths.push(segments[..end].join("::"));
        }
    }
    paths
}

/// Writes `a::{b, c::d}` out as `a::b` and `a::c::d`.
fn expand(item: &str, prefix: &str, paths: &mut Vec<String>) {
    let item = item.trim();
    let Some((head, group)) = item.split_once('{') else {
        let name = item.split(" as ").next().unwrap_or_default();
        let path = format!("{prefix}{name}");
        paths.push(path.strip_suffix("::self").unwrap_or(&path).to_owned());
        return;
    };
    let prefix = format!("{prefix}{head}");
    let group = group.rsplit_once('}').map_or(group, |(group, _)| group);
    let mut depth = 0;
    let mut start = 0;
    for (at, letter) in group.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                expand(&group[start..at], &prefix, paths);
                start = at + 1;
            }
            _ => {}
        }
    }
    if !group[start..].trim().is_empty() {
        expand(&group[start..], &prefix, paths);
    }
}

#[test]
fn the_circle_check_sees_a_circle() {
    let edge = |to: &str| BTreeSet::from([to.to_owned()]);
    let graph = BTreeMap::from([("a".into(), edge("b")), ("b".into(), edge("a"))]);
    assert!(circle(&graph, &"a".into()).is_some());
    let mut paths = Vec::new();
    expand("crate::{a::{B, c::D}, E}", "", &mut paths);
    assert_eq!(paths, ["crate::a::B", "crate::a::c::D", "crate::E"]);
    let code = "use self::b::{C, D};\nuse e::F;\nmod b;\nmod e;";
    assert_eq!(uses(code, "a"), ["a::b::C", "a::b::D", "a::e::F"]);
    let code = "if n > crate::a::b::MOST {\n    super::c::D::new();\n    // crate::no::No\n}";
    assert_eq!(inline_paths(code), ["crate::a::b::MOST", "super::c::D"]);
}

/// What README says about how much is checked.
#[test]
fn the_numbers_of_cases_are_those_of_the_sources() {
    let suite = read(&root().join("tests/src/suite.rs"));
    let (_, listed) = suite.split_once("{ $name, $adapter::$runtime").expect("the macro is there");
    let (listed, _) = listed.split_once("($name:ident").expect("its second rule is there");
    let is_case = |line: &&str| {
        line.trim().strip_suffix(',').is_some_and(|name| {
            name.chars().all(|letter| letter == '_' || letter.is_ascii_alphanumeric())
        })
    };
    let on_runtimes = listed.lines().filter(is_case).count();
    let as_data = ws_tests::conformance::cases().expect("the files of cases are in order").len();
    for (file, statement) in [
        ("README.md", format!("| {on_runtimes} cases on tokio and smol")),
        ("README.md", format!("| {as_data} cases against the core")),
        ("tests/conformance/README.md", format!("plays all {as_data} cases")),
    ] {
        assert!(read(&root().join(file)).contains(&statement), "{file} does not say {statement:?}");
    }
}

/// Each file has a row in ARCHITECTURE.md, or lies in a folder that has one.
#[test]
fn every_file_has_its_row_in_the_architecture() {
    let text = read(&root().join("ARCHITECTURE.md"));
    for name in ["ws-proto", "ws-net"] {
        let (_, section) = text.split_once(&format!("\n### `{name}`")).expect("it has a section");
        let section = section.split("\n#").next().unwrap_or_default();
        let source = root().join(name).join("src");
        let mut rows = BTreeSet::new();
        for [path, beside] in section.lines().flat_map(files_of_row) {
            let found = [&path, &beside].map(|path| source.join(path).exists());
            assert!(found.contains(&true), "ARCHITECTURE.md: {name} has no {path}");
            rows.extend([path, beside]);
        }
        for file in rust_files(&source) {
            let file = file.strip_prefix(&source).expect("it lies there").to_string_lossy();
            let is_test = file.split(['/', '.']).any(|part| matches!(part, "tests" | "testing"));
            let mut folders = file.match_indices('/').map(|(at, _)| &file[..=at]);
            let has_row = rows.contains(&*file) || folders.any(|folder| rows.contains(folder));
            assert!(has_row || is_test || file == "lib.rs", "ARCHITECTURE.md: {name}, {file}");
        }
    }
}

/// The files and folders that a row of a table names, each as it is and beside the first one:
/// behind `a/b.rs`, `c.rs` may mean `a/c.rs`.
fn files_of_row(line: &str) -> Vec<[String; 2]> {
    let is_path = |text: &&str| {
        text.ends_with('/') || Path::new(text).extension().is_some_and(|end| end == "rs")
    };
    let row = line.strip_prefix('|').unwrap_or_default();
    let paths: Vec<_> = row.split('`').skip(1).step_by(2).filter(is_path).collect();
    let first = paths.first().and_then(|path| path.trim_end_matches('/').rsplit_once('/'));
    let folder = first.map_or(String::new(), |(folder, _)| format!("{folder}/"));
    paths.iter().map(|path| [(*path).to_owned(), format!("{folder}{path}")]).collect()
}

#[test]
fn the_repository_speaks_of_the_project_alone() {
    let output = Command::new("git")
        .args([
            "grep",
            "-nIE",
            r"/(work|root|tmp/w)/|\.\./shared|DESIGN\.md|PROTOCOLS\.md|STYLE\.md",
        ])
        .args(["--", ".", ":!tests/tests/tidy.rs"])
        .current_dir(root())
        .output()
        .expect("git runs");
    assert!(output.status.code().is_some_and(|code| code < 2), "git grep failed");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
}

/// The examples that every runtime has differ in the line that names the adapter, so whoever knows
/// one knows all.
#[test]
fn examples_differ_between_runtimes_in_one_line() {
    for example in ["echo", "chat", "client", "autobahn-client"] {
        let [tokio, others @ ..] =
            [("ws-tokio", "ws_tokio"), ("ws-smol", "ws_smol"), ("ws-async-std", "ws_async_std")]
                .map(|(folder, name)| {
                    let file = root().join(folder).join(format!("examples/{example}.rs"));
                    let text = read(&file);
                    let line = format!("use {name} as ws;");
                    assert_eq!(text.matches(&line).count(), 1, "{}", file.display());
                    assert_eq!(text.matches(name).count(), 1, "{}", file.display());
                    (file, text.replace(&line, "use the_adapter as ws;"))
                });
        for (file, text) in others {
            let line = tokio.1.lines().zip(text.lines()).position(|(one, other)| one != other);
            assert!(tokio.1 == text, "{} differs, first in line {line:?} + 1", file.display());
        }
    }
}

#[test]
fn every_feature_stands_in_the_docs_of_its_crate() {
    for name in CRATES {
        let manifest = read(&root().join(name).join("Cargo.toml"));
        let manifest: toml::Table = manifest.parse().expect("a manifest is TOML");
        let features = manifest["features"].as_table().expect("every crate has features");
        let defaults = features["default"].as_array().expect("a list");
        let docs = read(&root().join(name).join("src/lib.rs"));
        for feature in features.keys().filter(|feature| *feature != "default") {
            let default = defaults.iter().any(|name| name.as_str() == Some(feature));
            let row = format!("//! | `{feature}` | {} | ", if default { "yes" } else { "no" });
            assert!(docs.contains(&row), "{name}/src/lib.rs lacks {row:?}");
        }
    }
}
