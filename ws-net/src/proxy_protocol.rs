use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use crate::Address;
use crate::runtime::Transport;
use crate::stream_io::read_exact;

#[cfg(test)]
mod tests;

/// Begins a header of version 2. A line of version 1 has as many bytes at least.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// The longest line of version 1, its end included.
const LONGEST_LINE: usize = 107;

/// The most that version 2 may have behind its length: the longest addresses, those of Unix
/// sockets, leave room for what proxies add, such as the certificate of the client.
const LONGEST_REST: usize = 8 * 1024;

/// Holds what is known of TLS between the client and the proxy.
const TLS: u8 = 0x20;

/// Whom a proxy speaks for, as it says in front of everything else by the PROXY protocol, version 1
/// or 2.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Introduction {
    /// The client; `None` when the proxy speaks for itself, as to see whether the server lives, or
    /// does not know.
    pub(crate) client: Option<Address>,
    /// Whether the client came to the proxy over TLS, which only version 2 can tell.
    pub(crate) secure: bool,
}

/// Reads the header, and nothing behind it: that is for TLS or HTTP. Waits for as long as it takes.
///
/// # Errors
/// What the stream says, and [`ErrorKind::InvalidData`] for what is no header.
pub(crate) async fn read<S: Transport>(stream: &mut S) -> io::Result<Introduction> {
    let mut start = [0; SIGNATURE.len()];
    read_exact(stream, &mut start).await?;
    if start == SIGNATURE { read_binary(stream).await } else { read_line(stream, &start).await }
}

/// Version 1.
async fn read_line<S: Transport>(stream: &mut S, start: &[u8]) -> io::Result<Introduction> {
    let mut line = start.to_vec();
    if !line.starts_with(b"PROXY ") {
        return Err(invalid("no header of the PROXY protocol"));
    }
    while !line.ends_with(b"\r\n") {
        let len = line.len();
        line.resize(len + least_rest(&line), 0);
        if line.len() > LONGEST_LINE {
            return Err(invalid("a header of more than 107 bytes"));
        }
        read_exact(stream, line.get_mut(len..).unwrap_or_default()).await?;
    }
    let text = str::from_utf8(&line).ok().and_then(|line| line.strip_suffix("\r\n"));
    text.and_then(parse_line).ok_or_else(|| invalid("a malformed line"))
}

/// How many bytes a line lacks at least. It is read in steps of this length: nothing behind it may
/// be read, and a call of the system for every byte would be many.
fn least_rest(line: &[u8]) -> usize {
    if line.ends_with(b"\r") {
        return 1;
    }
    // Each of the six fields has at least one byte, and a space in front of it. Behind `UNKNOWN` may
    // be nothing.
    let fields = line.split(|&byte| byte == b' ').count();
    let missing = if line.starts_with(b"PROXY T") { 6_usize.saturating_sub(fields) } else { 0 };
    2 * missing + 2
}

fn parse_line(line: &str) -> Option<Introduction> {
    let mut fields = line.split(' ').skip(1);
    let client = match fields.next()? {
        "TCP4" => parse_client::<Ipv4Addr>(fields)?,
        "TCP6" => parse_client::<Ipv6Addr>(fields)?,
        "UNKNOWN" => return Some(Introduction::default()),
        _ => return None,
    };
    Some(Introduction { client: Some(client), secure: false })
}

/// The first of two addresses, and of two ports.
fn parse_client<'a, Ip>(mut fields: impl Iterator<Item = &'a str>) -> Option<Address>
where
    Ip: FromStr,
    SocketAddr: From<(Ip, u16)>,
{
    let client: Ip = fields.next()?.parse().ok()?;
    fields.next()?.parse::<Ip>().ok()?;
    let port = parse_port(fields.next()?)?;
    parse_port(fields.next()?)?;
    fields.next().is_none().then(|| SocketAddr::from((client, port)).into())
}

fn parse_port(text: &str) -> Option<u16> {
    let canonical =
        text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    canonical.then(|| text.parse().ok())?
}

/// Version 2, behind its signature.
async fn read_binary<S: Transport>(stream: &mut S) -> io::Result<Introduction> {
    let mut fixed = [0; 4];
    read_exact(stream, &mut fixed).await?;
    let [command, family, high, low] = fixed;
    let len = usize::from(u16::from_be_bytes([high, low]));
    if len > LONGEST_REST {
        return Err(invalid("a header of more than 8 KiB"));
    }
    let mut rest = vec![0; len];
    read_exact(stream, &mut rest).await?;
    match command {
        // By itself, whatever the addresses are.
        0x20 => Ok(Introduction::default()),
        0x21 => parse_binary(family, &rest).ok_or_else(|| invalid("malformed addresses")),
        _ => Err(invalid("an unknown version or command")),
    }
}

fn parse_binary(family: u8, rest: &[u8]) -> Option<Introduction> {
    let (client, more) = match family {
        // No addresses; what follows need not be additions.
        0x00 => {
            let secure = came_over_tls(rest).unwrap_or(false);
            return Some(Introduction { client: None, secure });
        }
        0x11 => {
            let (ip, rest) = rest.split_first_chunk::<4>()?;
            let (port, more) = behind_server::<4>(rest)?;
            (SocketAddr::from((*ip, port)).into(), more)
        }
        0x21 => {
            let (ip, rest) = rest.split_first_chunk::<16>()?;
            let (port, more) = behind_server::<16>(rest)?;
            (SocketAddr::from((*ip, port)).into(), more)
        }
        // A Unix socket: two paths.
        0x31 => (Address::Unnamed, rest.get(216..)?),
        _ => return None,
    };
    Some(Introduction { client: Some(client), secure: came_over_tls(more)? })
}

/// The client's port, and what follows the ports, in what begins with the server's address.
fn behind_server<const N: usize>(rest: &[u8]) -> Option<(u16, &[u8])> {
    let (_, ports) = rest.split_first_chunk::<N>()?;
    let ([high, low, _, _], more) = ports.split_first_chunk()?;
    Some((u16::from_be_bytes([*high, *low]), more))
}

/// Looks through the additions: a type, a length in two bytes, and that many bytes each.
fn came_over_tls(mut additions: &[u8]) -> Option<bool> {
    let mut secure = false;
    while let Some((&[kind, high, low], rest)) = additions.split_first_chunk() {
        let len = usize::from(u16::from_be_bytes([high, low]));
        let (value, rest) = rest.split_at_checked(len)?;
        if kind == TLS {
            secure = value.first()? & 1 != 0;
        }
        additions = rest;
    }
    additions.is_empty().then_some(secure)
}

fn invalid(problem: &'static str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, problem)
}
