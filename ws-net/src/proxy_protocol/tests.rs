use std::io::IoSlice;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

/// A stream that has these bytes and no more, at most `step` of them for each read.
struct Slow<'a> {
    bytes: &'a [u8],
    step: usize,
}

impl Transport for Slow<'static> {
    fn poll_read(&mut self, _: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let n = buf.len().min(self.step).min(self.bytes.len());
        let (now, later) = self.bytes.split_at(n);
        buf[..n].copy_from_slice(now);
        self.bytes = later;
        Poll::Ready(Ok(n))
    }

    fn poll_write_vectored(
        &mut self,
        _: &mut Context<'_>,
        _: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        unreachable!("nothing is written")
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        unreachable!("nothing is written")
    }

    fn poll_shutdown(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        unreachable!("nothing is ended")
    }
}

/// What is read, and how many bytes are left.
fn run(bytes: Vec<u8>, step: usize) -> (io::Result<Introduction>, usize) {
    let mut stream = Slow { bytes: bytes.leak(), step };
    let read = {
        let mut read = pin!(read(&mut stream));
        let Poll::Ready(read) = read.as_mut().poll(&mut Context::from_waker(Waker::noop())) else {
            panic!("the stream never waits");
        };
        read
    };
    (read, stream.bytes.len())
}

/// Reads it whole, byte by byte, and with a tail, which stays.
fn all_ways(header: &[u8]) -> Result<Introduction, String> {
    let tail = b"GET / HTTP/1.1\r\n\r\n";
    let followed = [header, tail].concat();
    let (whole, left) = run(followed.clone(), usize::MAX);
    let (single, left_then) = run(followed, 1);
    let (alone, none) = run(header.to_vec(), usize::MAX);
    if let Ok(introduction) = &whole {
        assert_eq!((left, left_then, none), (tail.len(), tail.len(), 0));
        assert_eq!(alone.as_ref().unwrap(), introduction);
    }
    let text = |read: io::Result<Introduction>| read.map_err(|error| error.to_string());
    let (whole, single) = (text(whole), text(single));
    assert_eq!(whole, single);
    whole
}

fn binary(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let len = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [&SIGNATURE[..], &[command, family], &len, rest].concat()
}

fn client(address: &str) -> Introduction {
    let address: SocketAddr = address.parse().unwrap();
    Introduction { client: Some(address.into()), secure: false }
}

#[test]
fn lines_tell_the_client() {
    for (line, address) in [
        ("PROXY TCP4 198.51.100.22 203.0.113.7 35646 80\r\n", "198.51.100.22:35646"),
        ("PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\n", "1.1.1.1:1"),
        ("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255:65535"),
        ("PROXY TCP6 2001:db8::1 2001:db8::2 1234 443\r\n", "[2001:db8::1]:1234"),
        ("PROXY TCP6 :: :: 0 0\r\n", "[::]:0"),
        (
            "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff \
             ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
            "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
        ),
    ] {
        assert_eq!(all_ways(line.as_bytes()), Ok(client(address)), "{line}");
    }
    let longest = format!("PROXY UNKNOWN {}\r\n", "x".repeat(LONGEST_LINE - 16));
    for line in ["PROXY UNKNOWN\r\n", "PROXY UNKNOWN a b c d e f\r\n", &longest] {
        assert_eq!(all_ways(line.as_bytes()), Ok(Introduction::default()), "{line}");
    }
}

#[test]
fn other_lines_are_refused() {
    let too_long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(LONGEST_LINE));
    for line in [
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        "proxy TCP4 1.1.1.1 2.2.2.2 1 2\r\n",
        "PROXY TCP5 1.1.1.1 2.2.2.2 1 2\r\n",
        "PROXY TCP4 2001:db8::1 2001:db8::2 1234 443\r\n",
        "PROXY TCP4 1.1.1.1 2.2.2.2 1\r\nxxxxxx",
        "PROXY TCP4 1.1.1.1 2.2.2.2 1 2 3\r\n",
        "PROXY TCP4  1.1.1.1 2.2.2.2 1 2\r\n",
        "PROXY TCP4 1.1.1.1 2.2.2.2 +1 2\r\n",
        "PROXY TCP4 1.1.1.1 2.2.2.2 01 2\r\n",
        "PROXY TCP4 1.1.1.1 2.2.2.2 65536 2\r\n",
        "PROXY TCP4 1.1.1.1 2.2.2.2 1 \r\n",
        "PROXY TCP4 01.1.1.1 2.2.2.2 1 2\r\n",
        "PROXY TCP4 1.1.1.1 2.2.2.2 1 2\n\n",
        "PROXY \u{e9}NKNOWN\r\n",
        &too_long,
    ] {
        let error = all_ways(&[line.as_bytes(), &[b' '; LONGEST_LINE]].concat());
        assert!(error.is_err(), "{line}: {error:?}");
    }
}

#[test]
fn headers_of_version_2_tell_the_client() {
    let v4 = [198, 51, 100, 22, 203, 0, 113, 7, 0x8b, 0x3e, 0, 80];
    let mut v6 = [0; 36];
    v6[..4].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
    (v6[15], v6[32], v6[33]) = (1, 0x04, 0xd2);
    let tls = [0x20, 0, 5, 0x01, 0, 0, 0, 0];
    let no_tls = [0x20, 0, 5, 0x00, 0, 0, 0, 1];
    let id = [0x05, 0, 2, b'a', b'b'];
    let secure = Introduction { secure: true, ..client("198.51.100.22:35646") };

    assert_eq!(all_ways(&binary(0x21, 0x11, &v4)), Ok(client("198.51.100.22:35646")));
    assert_eq!(all_ways(&binary(0x21, 0x21, &v6)), Ok(client("[2001:db8::1]:1234")));
    assert_eq!(all_ways(&binary(0x21, 0x11, &[&v4[..], &id, &tls].concat())), Ok(secure));
    let plain = all_ways(&binary(0x21, 0x11, &[&v4[..], &no_tls, &id].concat()));
    assert_eq!(plain, Ok(client("198.51.100.22:35646")));

    let unknown = all_ways(&binary(0x21, 0x00, &tls));
    assert_eq!(unknown, Ok(Introduction { client: None, secure: true }));
    let unnamed = Introduction { client: Some(Address::Unnamed), secure: false };
    assert_eq!(all_ways(&binary(0x21, 0x31, &[b'/'; 216])), Ok(unnamed));
    for own in [binary(0x20, 0x00, &[]), binary(0x20, 0x11, &v4), binary(0x21, 0x00, b"any")] {
        assert_eq!(all_ways(&own), Ok(Introduction::default()));
    }
}

#[test]
fn other_headers_of_version_2_are_refused() {
    let v4 = [0; 12];
    for header in [
        binary(0x11, 0x11, &v4),
        binary(0x22, 0x11, &v4),
        binary(0x21, 0x12, &v4),
        binary(0x21, 0x41, &v4),
        binary(0x21, 0x11, &v4[..11]),
        binary(0x21, 0x21, &[0; 35]),
        binary(0x21, 0x31, &[0; 215]),
        binary(0x21, 0x11, &[&v4[..], &[0x05, 0]].concat()),
        binary(0x21, 0x11, &[&v4[..], &[0x05, 0, 2, 1]].concat()),
        binary(0x21, 0x11, &[&v4[..], &[0x20, 0, 0]].concat()),
        binary(0x21, 0x11, &[0; LONGEST_REST + 1]),
    ] {
        let read = all_ways(&header);
        assert!(read.is_err(), "{header:?}: {read:?}");
    }
}

proptest! {
    /// Good headers with one byte changed, and whatever begins as a header does.
    #[test]
    fn nothing_breaks_it_and_cuts_change_nothing(
        good in 0..4_usize,
        at in any::<Index>(),
        byte in any::<u8>(),
        tail in vec(any::<u8>(), 0..64),
        step in 1..20_usize,
    ) {
        let mut header = match good {
            0 => b"PROXY TCP4 198.51.100.22 203.0.113.7 35646 80\r\n".to_vec(),
            1 => b"PROXY TCP6 2001:db8::1 2001:db8::2 1234 443\r\n".to_vec(),
            2 => binary(0x21, 0x11, &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x20, 0, 1, 1]),
            _ => binary(0x21, 0x21, &[7; 36]),
        };
        let at = at.index(header.len());
        header[at] = byte;
        header.extend(tail);
        let (whole, left) = run(header.clone(), usize::MAX);
        let (cut, left_then) = run(header, step);
        let text = |read: io::Result<Introduction>| read.map_err(|error| error.to_string());
        prop_assert_eq!((text(whole), left), (text(cut), left_then));
    }
}

#[test]
fn a_header_that_ends_early_is_the_end_of_the_stream() {
    for header in [b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\n".to_vec(), binary(0x21, 0x11, &[0; 12])] {
        for end in 0..header.len() {
            let (read, _) = run(header[..end].to_vec(), usize::MAX);
            assert_eq!(read.unwrap_err().kind(), ErrorKind::UnexpectedEof, "{end}");
        }
    }
}
