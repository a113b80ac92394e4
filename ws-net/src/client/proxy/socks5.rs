//! SOCKS 5 (RFC 1928) with user and password (RFC 1929).

use std::net::IpAddr;

use super::error::ProxyError;
use super::target::{Credentials, Target};
use crate::runtime::Transport;
use crate::stream_io::{read_exact, write_all};

const VERSION: u8 = 5;
const NO_AUTHENTICATION: u8 = 0;
const USER_AND_PASSWORD: u8 = 2;
const NO_ACCEPTABLE_METHOD: u8 = 0xFF;
const CONNECT: u8 = 1;
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

/// Asks the proxy to connect to `target`, whose name it looks up itself.
pub(super) async fn pass_on<S: Transport>(
    stream: &mut S,
    target: Target<'_>,
    credentials: Option<&Credentials>,
) -> Result<(), ProxyError> {
    let target = written(target)?;
    identify(stream, credentials).await?;
    write_all(stream, &[&[VERSION, CONNECT, 0], target.as_slice()].concat()).await?;

    let mut head = [0; 4];
    read_exact(stream, &mut head).await?;
    let [version, answer, _, kind] = head;
    if version != VERSION {
        return Err(nonsense("its reply has another version"));
    }
    if answer != 0 {
        return Err(ProxyError::Reply { code: answer });
    }
    // The address from which it connects is of no use here.
    let address = match kind {
        IPV4 => 4,
        IPV6 => 16,
        NAME => {
            let mut length = [0];
            read_exact(stream, &mut length).await?;
            usize::from(length[0])
        }
        _ => return Err(nonsense("its reply has an address of an unknown kind")),
    };
    let mut rest = vec![0; address + 2];
    read_exact(stream, &mut rest).await?;
    Ok(())
}

/// Agrees on a method and, if it is that, gives user and password (RFC 1928 section 3, RFC 1929).
async fn identify<S: Transport>(
    stream: &mut S,
    credentials: Option<&Credentials>,
) -> Result<(), ProxyError> {
    let offer: &[u8] = match credentials {
        None => &[VERSION, 1, NO_AUTHENTICATION],
        Some(_) => &[VERSION, 2, NO_AUTHENTICATION, USER_AND_PASSWORD],
    };
    write_all(stream, offer).await?;
    let mut chosen = [0; 2];
    read_exact(stream, &mut chosen).await?;
    match (chosen, credentials) {
        ([VERSION, NO_AUTHENTICATION], _) => Ok(()),
        ([VERSION, USER_AND_PASSWORD], Some(Credentials { user, password })) => {
            let mut request = vec![1];
            for text in [user, password] {
                // Longer ones were refused before.
                request.push(text.len() as u8);
                request.extend_from_slice(text.as_bytes());
            }
            write_all(stream, &request).await?;
            let mut status = [0; 2];
            read_exact(stream, &mut status).await?;
            if status[1] == 0 { Ok(()) } else { Err(ProxyError::Credentials) }
        }
        ([VERSION, NO_ACCEPTABLE_METHOD], _) => Err(ProxyError::NoMethod),
        ([VERSION, _], _) => Err(nonsense("it chose a method that was not offered")),
        _ => Err(nonsense("its answer has another version")),
    }
}

/// The address type, the address and the port, as they are sent.
fn written(Target { host, port }: Target<'_>) -> Result<Vec<u8>, ProxyError> {
    let mut bytes = match host.parse() {
        Ok(IpAddr::V4(address)) => [&[IPV4], &address.octets()[..]].concat(),
        Ok(IpAddr::V6(address)) => [&[IPV6], &address.octets()[..]].concat(),
        Err(_) => {
            let length = u8::try_from(host.len()).map_err(|_| ProxyError::NameTooLong)?;
            [&[NAME, length], host.as_bytes()].concat()
        }
    };
    bytes.extend(port.to_be_bytes());
    Ok(bytes)
}

fn nonsense(problem: &'static str) -> ProxyError {
    ProxyError::Nonsense { protocol: "SOCKS 5", problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_written_in_their_three_kinds() {
        let target = |host, port| written(Target { host, port });
        assert_eq!(target("1.2.3.4", 80).unwrap(), [1, 1, 2, 3, 4, 0, 80]);
        assert_eq!(target("a.b", 0x1234).unwrap(), *b"\x03\x03a.b\x12\x34");
        let v6 = target("::1", 1).unwrap();
        assert_eq!((v6.len(), v6[0], v6[16]), (19, 4, 1));
        assert!(matches!(target(&"x".repeat(256), 1), Err(ProxyError::NameTooLong)));
    }
}
