use std::{env, fmt::Display, net::SocketAddr, process, str::FromStr};

const USAGE: &str = "usage: [--listen ADDR] [--batch] [--broadcast] [--events] [--deflate] \
    [--deflate-takeover] [--tls CERTIFICATE KEY] [--threads N] [--reuse-port] [--buffer BYTES]";

/// The command line of a server. What a server cannot do it refuses, see [`Options::only`].
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub struct Options {
    /// `--listen ADDR`. Default: 127.0.0.1:9001.
    pub listen: SocketAddr,
    /// `--batch`: gather the replies to all messages that are at hand and write them at once,
    /// where the library lets its user do so.
    pub batch: bool,
    /// `--broadcast`: every message goes to all others instead of back.
    pub broadcast: bool,
    /// `--events`: listeners in place of one function per connection (ours only).
    pub events: bool,
    /// `--deflate`: agree to permessage-deflate, every message compressed by itself;
    /// `--deflate-takeover`: each with those before it as context.
    pub deflate: Option<Takeover>,
    /// `--tls CERTIFICATE KEY`: the files, PEM. They are kept for as long as the process runs.
    pub tls: Option<(&'static str, &'static str)>,
    /// `--threads N`. Default: 1.
    pub threads: usize,
    /// `--reuse-port`: a runtime and a listening socket for each thread, instead of one runtime
    /// with all threads.
    pub reuse_port: bool,
    /// `--buffer BYTES`, for the floors. Default: 65536.
    pub buffer: usize,
}

/// Whether a compressor knows the messages before this one (RFC 7692 section 7.1.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Takeover {
    /// It does not.
    Off,
    /// It does.
    On,
}

impl Options {
    /// Reads the command line; ends the process when it makes no sense.
    pub fn from_args() -> Self {
        Self::parse(env::args().skip(1)).unwrap_or_else(|problem| refuse(&problem))
    }

    /// Ends the process when something is asked for that is not in `able`, so that a server is
    /// never measured at work that it does not do: of `broadcast`, `deflate` and `tls`.
    #[must_use]
    pub fn only(self, able: &[&str]) -> Self {
        let asked = [
            ("broadcast", self.broadcast),
            ("deflate", self.deflate.is_some()),
            ("tls", self.tls.is_some()),
        ];
        for (work, asked) in asked {
            if asked && !able.contains(&work) {
                refuse(&format!("this server has no {work}"));
            }
        }
        self
    }

    fn parse(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self::default();
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or(format!("{arg} needs a value"));
            match arg.as_str() {
                "--listen" => options.listen = parsed(&arg, &value()?)?,
                "--buffer" => options.buffer = parsed(&arg, &value()?)?,
                "--threads" => options.threads = parsed(&arg, &value()?)?,
                "--tls" => options.tls = Some((value()?.leak(), value()?.leak())),
                "--deflate" => options.deflate = Some(Takeover::Off),
                "--deflate-takeover" => options.deflate = Some(Takeover::On),
                "--batch" => options.batch = true,
                "--broadcast" => options.broadcast = true,
                "--events" => options.events = true,
                "--reuse-port" => options.reuse_port = true,
                _ => return Err(format!("unknown option {arg}")),
            }
        }
        Ok(options)
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: ([127, 0, 0, 1], 9001).into(),
            batch: false,
            broadcast: false,
            events: false,
            deflate: None,
            tls: None,
            threads: 1,
            reuse_port: false,
            buffer: 64 * 1024,
        }
    }
}

fn refuse(problem: &str) -> ! {
    eprintln!("{problem}; {USAGE}");
    process::exit(2)
}

fn parsed<T: FromStr<Err: Display>>(option: &str, value: &str) -> Result<T, String> {
    value.parse().map_err(|error| format!("{option} {value}: {error}"))
}
