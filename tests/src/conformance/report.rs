//! Every case against one server, and what came of it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use ws_proto::Versions;

use super::case::Case;
use super::literal::Target;
use super::peer::Socket;
use super::run::play;

/// How long a case may take on a socket, unless it says otherwise.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// Cases that run at the same time: most of them wait.
const AT_ONCE: usize = 8;

/// What is known about a server before it is tried.
#[derive(Clone, Debug)]
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    /// How requests name it.
    pub target: Target,
    /// The versions that it claims to speak.
    pub versions: Versions,
    /// Whether it is held to what our own servers promise, beyond the clauses.
    pub strict: bool,
}

/// What came of a case.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// The server did what the clause allows.
    Passed,
    /// It did not: what was wanted, and what came.
    Failed(String),
    /// The case is for servers of another kind: why.
    NotApplicable(&'static str),
}

/// A case and its verdict.
#[derive(Clone, Debug)]
pub struct Line<'a> {
    /// The case.
    pub case: &'a Case,
    /// What came of it.
    pub verdict: Verdict,
}

impl Server {
    /// Plays every case, several at a time; the order is that of the cases.
    pub fn judge<'a>(&self, cases: &'a [Case]) -> Vec<Line<'a>> {
        let next = AtomicUsize::new(0);
        let verdicts = Mutex::new(vec![None; cases.len()]);
        std::thread::scope(|scope| {
            for _ in 0..AT_ONCE {
                scope.spawn(|| {
                    while let Some((at, case)) = numbered(cases, &next) {
                        let verdict = self.try_case(case);
                        let mut verdicts = verdicts.lock().unwrap_or_else(PoisonError::into_inner);
                        verdicts[at] = Some(verdict);
                    }
                });
            }
        });
        let verdicts = verdicts.into_inner().unwrap_or_else(PoisonError::into_inner);
        let verdicts = verdicts.into_iter().flatten();
        cases.iter().zip(verdicts).map(|(case, verdict)| Line { case, verdict }).collect()
    }

    fn try_case(&self, case: &Case) -> Verdict {
        if let Some(reason) = case.not_for(self.versions, self.strict) {
            return Verdict::NotApplicable(reason);
        }
        let patience = case.entry.seconds.map_or(PATIENCE, Duration::from_secs);
        let played = match Socket::connect(self.address, patience) {
            Ok(mut socket) => play(case, &self.target, &mut socket, self.strict),
            Err(error) => Err(format!("no connection: {error}")),
        };
        match played {
            Ok(()) => Verdict::Passed,
            Err(reason) => Verdict::Failed(reason),
        }
    }
}

fn numbered<'a>(cases: &'a [Case], next: &AtomicUsize) -> Option<(usize, &'a Case)> {
    let at = next.fetch_add(1, Ordering::Relaxed);
    cases.get(at).map(|case| (at, case))
}

impl Case {
    /// Why it is not for a server that speaks these versions; `None` when it is.
    pub fn not_for(&self, versions: Versions, strict: bool) -> Option<&'static str> {
        let spoken = versions.contains(self.version);
        match (spoken, self.entry.not_spoken) {
            (false, false) => Some("the server does not speak the version"),
            (true, true) => Some("the server speaks the version"),
            _ if self.entry.policy && !strict => Some("the clause leaves it open"),
            _ => None,
        }
    }
}

impl Line<'_> {
    /// The line that is printed.
    pub fn text(&self) -> String {
        let Self { case, verdict } = self;
        let (word, reason) = match verdict {
            Verdict::Passed => ("pass", String::new()),
            Verdict::Failed(reason) => ("FAIL", format!(": {reason}")),
            Verdict::NotApplicable(reason) => ("n/a ", format!(": {reason}")),
        };
        format!("{word} {} [{}]{reason}", case.name, case.entry.clause)
    }

    fn json(&self) -> Value {
        let (result, reason) = match &self.verdict {
            Verdict::Passed => ("passed", None),
            Verdict::Failed(reason) => ("failed", Some(reason.as_str())),
            Verdict::NotApplicable(reason) => ("not applicable", Some(*reason)),
        };
        let Case { name, version, entry } = self.case;
        json!({
            "name": name,
            "clause": entry.clause,
            "version": version.name(),
            "result": result,
            "reason": reason,
        })
    }
}

/// How many passed, failed, and were not applicable.
pub fn counts(lines: &[Line<'_>]) -> [usize; 3] {
    let count =
        |fits: fn(&Verdict) -> bool| lines.iter().filter(|line| fits(&line.verdict)).count();
    [
        count(|verdict| *verdict == Verdict::Passed),
        count(|verdict| matches!(verdict, Verdict::Failed(_))),
        count(|verdict| matches!(verdict, Verdict::NotApplicable(_))),
    ]
}

/// The line at the end.
pub fn summary(lines: &[Line<'_>]) -> String {
    let [passed, failed, not_applicable] = counts(lines);
    format!("{passed} passed, {failed} failed, {not_applicable} not applicable")
}

/// The report as JSON, for programs.
pub fn json(server: &Server, lines: &[Line<'_>]) -> Value {
    let [passed, failed, not_applicable] = counts(lines);
    json!({
        "server": server.address.to_string(),
        "versions": server.versions.iter().map(ws_proto::Version::name).collect::<Vec<_>>(),
        "strict": server.strict,
        "passed": passed,
        "failed": failed,
        "not applicable": not_applicable,
        "cases": lines.iter().map(Line::json).collect::<Vec<_>>(),
    })
}
