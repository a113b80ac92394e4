use std::{fs, io, thread, time::Duration};

use nix::{
    sched::{CpuSet, sched_setaffinity},
    sys::resource::{Resource, getrlimit, setrlimit},
    time::{ClockId, clock_getcpuclockid, clock_gettime},
    unistd::Pid,
};

/// How long a server gets to fall asleep before its clock is read.
const QUIET: Duration = Duration::from_millis(5);

/// Looks at the CPU time and the memory of a process.
#[derive(Clone, Copy, Debug)]
pub struct Probe {
    pid: i32,
    clock: ClockId,
}

impl Probe {
    /// Looks at the process with this id.
    ///
    /// # Errors
    /// There is no such process.
    pub fn new(pid: i32) -> io::Result<Self> {
        Ok(Self { pid, clock: clock_getcpuclockid(Pid::from_raw(pid))? })
    }

    /// Nanoseconds of CPU that all its threads have used, in user space and in the kernel.
    ///
    /// # Errors
    /// The process is gone.
    pub fn cpu_ns(&self) -> io::Result<u64> {
        nanoseconds(self.clock)
    }

    /// Bytes of memory that are resident.
    ///
    /// # Errors
    /// The process is gone.
    pub fn resident_bytes(&self) -> io::Result<u64> {
        let text = fs::read_to_string(format!("/proc/{}/smaps_rollup", self.pid))?;
        let kibibytes = text
            .lines()
            .find_map(|line| line.strip_prefix("Rss:"))
            .and_then(|rest| rest.trim_end_matches("kB").trim().parse::<u64>().ok())
            .ok_or_else(|| io::Error::other("smaps_rollup has no line `Rss:`"))?;
        Ok(kibibytes * 1024)
    }
}

/// Waits a moment, so that a server has finished what was asked of it when its clock is read.
pub(crate) fn rest() {
    thread::sleep(QUIET);
}

/// Nanoseconds of CPU that this process has used.
pub(crate) fn own_cpu_ns() -> io::Result<u64> {
    nanoseconds(ClockId::CLOCK_PROCESS_CPUTIME_ID)
}

/// Puts the calling thread, and all that it starts later, on these cores.
///
/// # Errors
/// There is no such core, or it may not be used.
pub fn pin_to(cores: &[usize]) -> io::Result<()> {
    let mut set = CpuSet::new();
    for core in cores {
        set.set(*core)?;
    }
    Ok(sched_setaffinity(Pid::from_raw(0), &set)?)
}

/// Raises the number of open files to what the system allows.
///
/// # Errors
/// The system refused.
pub fn allow_many_files() -> io::Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    Ok(setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?)
}

fn nanoseconds(clock: ClockId) -> io::Result<u64> {
    let time = clock_gettime(clock)?;
    Ok(time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64)
}
