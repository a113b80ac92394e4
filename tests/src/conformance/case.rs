//! A case: what is sent, and what the clause allows to come back.

use std::collections::BTreeSet;

use serde::Deserialize;
use ws_proto::Version;

use super::literal::{Target, literal};

/// The files of cases, by topic; their format is in `tests/conformance/README.md`.
const FILES: [(&str, &str); 9] = [
    ("http", include_str!("../../conformance/cases/http.toml")),
    ("handshake", include_str!("../../conformance/cases/handshake.toml")),
    ("extensions", include_str!("../../conformance/cases/extensions.toml")),
    ("versions", include_str!("../../conformance/cases/versions.toml")),
    ("draft75", include_str!("../../conformance/cases/draft75.toml")),
    ("draft76", include_str!("../../conformance/cases/draft76.toml")),
    ("frames", include_str!("../../conformance/cases/frames.toml")),
    ("security", include_str!("../../conformance/cases/security.toml")),
    ("limits", include_str!("../../conformance/cases/limits.toml")),
];

/// One case, for one version.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its name, unique: the topic, what it is about, and the version if there are twins.
    pub name: String,
    /// The version whose request it sends.
    pub version: Version,
    /// What the file says.
    pub entry: Entry,
}

/// A case as the files have it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Entry {
    name: String,
    /// The clause or the advisory it stands on.
    pub clause: String,
    version: OneOrMore,
    /// Whether it is for servers that do not speak the version.
    #[serde(default)]
    pub not_spoken: bool,
    /// Whether the clause leaves the outcome open, and the case asks for what our own servers
    /// promise.
    #[serde(default)]
    pub policy: bool,
    /// Which answers are allowed; our own servers give the first.
    #[serde(default = "opened")]
    pub answer: Vec<String>,
    /// What the head of every answer must have or must not have.
    #[serde(default)]
    pub headers: Vec<String>,
    /// What is sent behind the answer, and what is to come.
    #[serde(default)]
    pub talk: Vec<String>,
    /// How many of the last bytes of the request come in a write of their own.
    #[serde(default)]
    pub late: usize,
    /// How long it may take on a socket, if not the usual time.
    pub seconds: Option<u64>,
    head: Option<String>,
    line: Option<String>,
    #[serde(default)]
    edit: Vec<String>,
    #[serde(default)]
    before: String,
    behind: Option<String>,
}

fn opened() -> Vec<String> {
    vec!["101".into()]
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    case: Vec<Entry>,
}

/// Every case, in the order of the files.
///
/// # Errors
/// What is wrong in which file: a field nobody knows, a name that exists twice.
pub fn cases() -> Result<Vec<Case>, String> {
    let mut names = BTreeSet::new();
    let mut cases = Vec::new();
    for (topic, text) in FILES {
        let file: File = toml::from_str(text).map_err(|error| format!("{topic}.toml: {error}"))?;
        for case in file.case.into_iter().map(|entry| entry.cases(topic)) {
            cases.extend(case?);
        }
    }
    match cases.iter().find(|case| !names.insert(case.name.clone())) {
        Some(twice) => Err(format!("two cases have the name {}", twice.name)),
        None => Ok(cases),
    }
}

impl Entry {
    /// One case for each version that is named.
    fn cases(self, topic: &str) -> Result<Vec<Case>, String> {
        let (versions, twins) = match &self.version {
            OneOrMore::One(version) => (std::slice::from_ref(version), false),
            OneOrMore::More(versions) => (versions.as_slice(), true),
        };
        let case = |version: &String| {
            let twin = if twins { format!(".{version}") } else { String::new() };
            let name = format!("{topic}.{}{twin}", self.name);
            let version = version.parse().map_err(|error| format!("{name}: {error}"))?;
            Ok(Case { name, version, entry: self.clone() })
        };
        versions.iter().map(case).collect()
    }
}

/// The bytes a case begins with.
#[derive(Clone, Debug)]
pub struct Opening {
    /// What is sent: the head, with something before or behind it in some cases.
    pub bytes: Vec<u8>,
    /// The fields of the head, by which the answer is judged.
    pub fields: Vec<(String, Vec<u8>)>,
    /// The target that the head asks for.
    pub path: String,
    /// What is sent behind the head.
    pub behind: Vec<u8>,
}

impl Opening {
    /// The first value under this name.
    pub fn field(&self, name: &str) -> Option<&[u8]> {
        let mut fields = self.fields.iter();
        let found = fields.find(|(other, _)| other.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_slice())
    }
}

impl Case {
    /// The bytes to begin with.
    ///
    /// # Errors
    /// What is wrong in the case.
    pub fn opening(&self, target: &Target) -> Result<Opening, String> {
        let default_behind = if self.version == Version::Draft76 { "^n:ds[4U" } else { "" };
        let behind = literal(self.entry.behind.as_deref().unwrap_or(default_behind), target)?;
        let before = literal(&self.entry.before, target)?;
        let (head, fields) = match &self.entry.head {
            Some(head) => (literal(head, target)?, Vec::new()),
            None => self.edited(target)?,
        };
        let bytes = [before, head, behind.clone()].concat();
        Ok(Opening { bytes, fields, path: self.path(target), behind })
    }

    /// The target in the line, without the host of an absolute one.
    fn path(&self, target: &Target) -> String {
        let line = self.entry.line.as_deref().and_then(|line| literal(line, target).ok());
        let line = line.map(|line| String::from_utf8_lossy(&line).into_owned());
        let path = line.as_deref().and_then(|line| line.split(' ').nth(1));
        let path = path.unwrap_or(&target.path);
        path.strip_prefix(&format!("http://{}", target.host)).unwrap_or(path).to_owned()
    }

    /// The usual request of the version, with the changes of this case.
    #[allow(clippy::type_complexity, reason = "the head, and its fields as name and value")]
    fn edited(&self, target: &Target) -> Result<(Vec<u8>, Vec<(String, Vec<u8>)>), String> {
        let mut lines: Vec<String> = usual(self.version).iter().map(|&line| line.into()).collect();
        let name = |line: &str| line.split(':').next().unwrap_or_default().to_lowercase();
        for edit in &self.entry.edit {
            if let Some(gone) = edit.strip_prefix('-') {
                lines.retain(|line| name(line) != gone.to_lowercase());
            } else if let Some(last) = edit.strip_prefix('+') {
                lines.push(last.into());
            } else if let Some(first) = edit.strip_prefix('^') {
                lines.insert(0, first.into());
            } else {
                match lines.iter_mut().find(|line| name(line) == name(edit)) {
                    Some(line) => line.clone_from(edit),
                    None => {
                        return Err(format!(
                            "{}: there is no line to replace by {edit}",
                            self.name
                        ));
                    }
                }
            }
        }
        let line = self.entry.line.as_deref().unwrap_or("GET {path} HTTP/1.1");
        let mut head = [literal(line, target)?, b"\r\n".to_vec()].concat();
        let mut fields = Vec::new();
        for line in lines {
            let bytes = literal(&line, target)?;
            let colon = bytes.iter().position(|byte| *byte == b':').unwrap_or(bytes.len());
            let (name, value) = bytes.split_at(colon);
            let value = value.strip_prefix(b":").unwrap_or(value);
            let value = value.strip_prefix(b" ").unwrap_or(value);
            fields.push((String::from_utf8_lossy(name).into_owned(), value.to_vec()));
            head.extend([&bytes, b"\r\n".as_slice()].concat());
        }
        head.extend(b"\r\n");
        Ok((head, fields))
    }
}

/// The fields of a request as a client of this version sends them.
fn usual(version: Version) -> &'static [&'static str] {
    match version {
        Version::Draft75 => {
            &["Upgrade: WebSocket", "Connection: Upgrade", "Host: {host}", "Origin: {origin}"]
        }
        // The keys of section 1.2.
        Version::Draft76 => &[
            "Host: {host}",
            "Connection: Upgrade",
            "Sec-WebSocket-Key2: 12998 5 Y3 1  .P00",
            "Upgrade: WebSocket",
            "Sec-WebSocket-Key1: 4 @1  46546xW%0l 1 5",
            "Origin: {origin}",
        ],
        Version::Hybi07 => &[
            "Host: {host}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Origin: {origin}",
            "Sec-WebSocket-Version: 7",
        ],
        Version::Hybi08 => &[
            "Host: {host}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Origin: {origin}",
            "Sec-WebSocket-Version: 8",
        ],
        // The key of section 1.3.
        Version::Rfc6455 => &[
            "Host: {host}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            "Origin: {origin}",
            "Sec-WebSocket-Version: 13",
        ],
    }
}
