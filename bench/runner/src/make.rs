use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::servers::{Server, Source};

/// The folder `bench`.
pub(crate) fn home() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A server and the command that starts it.
#[derive(Clone, Debug)]
pub(crate) struct Built {
    pub(crate) server: &'static Server,
    pub(crate) command: Vec<String>,
}

/// Builds a server and says how to start it.
///
/// # Errors
/// Why it cannot be built.
pub(crate) fn build(server: &'static Server) -> Result<Built, String> {
    let peer = format!("peer-{}", server.library);
    let choice = match server.source {
        Source::Floor(program) => ["-p", "floors", "--bin", program],
        Source::Ours(program) => ["-p", "ours", "--bin", program],
        Source::Peer("") => ["-p", &peer, "--bin", &peer],
        Source::Peer(program) => ["-p", &peer, "--bin", program],
        Source::Node => return install().map(|command| Built { server, command }),
    };
    cargo(&choice).map(|program| Built { server, command: vec![program] })
}

/// The files of a certificate for localhost and of its key, made when they are not there.
pub(crate) fn certificate() -> io::Result<[String; 2]> {
    let files = ["certificate.pem", "key.pem"].map(|name| home().join("target").join(name));
    if !files.iter().all(|file| file.exists()) {
        // Cargo may have another one.
        fs::create_dir_all(home().join("target"))?;
        let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]);
        let pair = pair.map_err(io::Error::other)?;
        fs::write(&files[0], pair.cert.pem())?;
        fs::write(&files[1], pair.signing_key.serialize_pem())?;
    }
    Ok(files.map(|file| file.display().to_string()))
}

/// The version of the library under a server, as its lock file has it.
pub(crate) fn version(server: &Server) -> String {
    let version = match server.source {
        Source::Ours(_) => None,
        Source::Node => node_version(server.library),
        Source::Floor(_) | Source::Peer(_) => locked_version(server.library),
    };
    version.unwrap_or_else(|| "this tree".to_owned())
}

fn cargo(choice: &[&str]) -> Result<String, String> {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // What cargo says of this program to itself: some build scripts look at it, so each run would
    // build all that depends on them anew.
    let own = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_CRATE_", "CARGO_BIN_", "CARGO_PRIMARY_"];
    for (name, _) in env::vars_os() {
        if own.iter().any(|own| name.to_string_lossy().starts_with(own)) {
            command.env_remove(name);
        }
    }
    let output = command
        .current_dir(home())
        .args(["build", "--release", "--quiet", "--message-format", "json-render-diagnostics"])
        .args(choice)
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("cargo does not start: {error}"))?;
    if !output.status.success() {
        return Err(format!("cargo build {} failed", choice.join(" ")));
    }
    let program = |line: &str| {
        let message: Value = serde_json::from_str(line).ok()?;
        Some(message.get("executable")?.as_str()?.to_owned())
    };
    let programs = String::from_utf8_lossy(&output.stdout).lines().rev().find_map(program);
    programs.ok_or_else(|| "cargo built no program".to_owned())
}

fn install() -> Result<Vec<String>, String> {
    let folder = home().join("node");
    let there = |package: &str| folder.join("node_modules").join(package).exists();
    if !(there("ws") && there("bufferutil")) {
        let status = Command::new("npm")
            .current_dir(&folder)
            .args(["ci", "--silent", "--no-audit", "--no-fund"])
            .status()
            .map_err(|error| format!("npm does not start: {error}"))?;
        if !status.success() {
            return Err("npm ci failed".to_owned());
        }
    }
    // npm leaves it out without a word where it does not install, and ws is slower without it.
    if !there("bufferutil") {
        return Err("npm could not install bufferutil".to_owned());
    }
    let script = folder.join("server.js");
    Ok(vec!["node".to_owned(), script.display().to_string()])
}

fn node_version(package: &str) -> Option<String> {
    let file = home().join("node/node_modules").join(package).join("package.json");
    let package: Value = serde_json::from_slice(&fs::read(file).ok()?).ok()?;
    Some(package.get("version")?.as_str()?.to_owned())
}

fn locked_version(package: &str) -> Option<String> {
    let lock = fs::read_to_string(home().join("Cargo.lock")).ok()?;
    let (_, after) = lock.split_once(&format!("name = \"{package}\"\nversion = \""))?;
    Some(after.split_once('"')?.0.to_owned())
}

/// The output of a command, trimmed, or nothing.
pub(crate) fn output_of(program: &str, args: &[&str]) -> io::Result<String> {
    let output = Command::new(program).args(args).output()?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
