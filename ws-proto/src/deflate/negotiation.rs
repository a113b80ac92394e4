//! RFC 7692 section 7.1: what a client offers, what a server takes of it, what an answer may say.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Write as _;

use super::options::Deflate;
use super::params::{DeflateParams, Direction, NAME};
use crate::HandshakeError;
use crate::handshake::extensions::{Element, HEADER, elements};
use crate::http::Headers;
use crate::http::grammar::excerpt;

/// The parameters of one element, each at most once.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Said {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window_bits: Option<u8>,
    client_max_window_bits: ClientBits,
}

/// What is said about the client's window (section 7.1.2.2).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum ClientBits {
    #[default]
    Nothing,
    /// The client can be told a size.
    Any,
    Most(u8),
}

impl Deflate {
    /// What a client writes into its request.
    pub(crate) fn offer(&self) -> String {
        let mut offer = String::from(NAME);
        for (name, asked) in [
            ("server_no_context_takeover", self.server.no_context_takeover),
            ("client_no_context_takeover", self.client.no_context_takeover),
        ] {
            if asked {
                offer.extend(["; ", name]);
            }
        }
        if self.server.window_bits < Direction::MAX_BITS {
            let _ = write!(offer, "; server_max_window_bits={}", self.server.window_bits);
        }
        offer.push_str("; client_max_window_bits");
        if self.client.window_bits < Direction::MAX_BITS {
            let _ = write!(offer, "={}", self.client.window_bits);
        }
        offer
    }

    /// What a server takes: the first offer that it can do (section 5), or nothing. An offer that
    /// is unknown, wrong or too small is passed over.
    pub(crate) fn choose(&self, headers: &Headers) -> Option<DeflateParams> {
        headers
            .get_all(HEADER)
            .flat_map(elements)
            .filter(is_deflate)
            .find_map(|element| self.take(said(&element).ok()?))
    }

    /// What the server made of the offer of [`offer`](Self::offer), by the value of the header.
    pub(crate) fn check_answer(
        &self,
        value: &[u8],
    ) -> Result<Option<DeflateParams>, HandshakeError> {
        let mut answered = None;
        for element in elements(value) {
            if !is_deflate(&element) {
                return Err(HandshakeError::ExtensionNotOffered(excerpt(element.text)));
            }
            if answered.is_some() {
                return Err(wrong(element.text, "is there a second time"));
            }
            answered = Some(self.judge(said(&element)?)?);
        }
        Ok(answered)
    }

    fn take(&self, offer: Said) -> Option<DeflateParams> {
        let asked = offer.server_max_window_bits.unwrap_or(Direction::MAX_BITS);
        if asked < Direction::MIN_OWN_BITS {
            return None;
        }
        let server_bits = self.server.window_bits.min(asked);
        let client_bits = match offer.client_max_window_bits {
            ClientBits::Nothing => Direction::MAX_BITS,
            ClientBits::Any => self.client.window_bits,
            ClientBits::Most(bits) => self.client.window_bits.min(bits),
        };
        Some(DeflateParams {
            server: Direction {
                no_context_takeover: self.server.no_context_takeover
                    || offer.server_no_context_takeover,
                window_bits: server_bits,
            },
            client: Direction {
                no_context_takeover: self.client.no_context_takeover
                    || offer.client_no_context_takeover,
                window_bits: client_bits,
            },
            names_server_bits: offer.server_max_window_bits.is_some()
                || server_bits < Direction::MAX_BITS,
        })
    }

    fn judge(&self, answer: Said) -> Result<DeflateParams, HandshakeError> {
        let server_bits = answer.server_max_window_bits.unwrap_or(Direction::MAX_BITS);
        if server_bits > self.server.window_bits {
            let text = bits_text("server_max_window_bits", answer.server_max_window_bits);
            return Err(wrong(text.as_bytes(), "allows a larger window than was offered"));
        }
        if self.server.no_context_takeover && !answer.server_no_context_takeover {
            return Err(wrong(b"server_no_context_takeover", "was asked for and is missing"));
        }
        let client_bits = match answer.client_max_window_bits {
            ClientBits::Nothing => self.client.window_bits,
            ClientBits::Any => return Err(wrong(b"client_max_window_bits", "has no value")),
            ClientBits::Most(bits) if bits > self.client.window_bits => {
                let text = bits_text("client_max_window_bits", Some(bits));
                return Err(wrong(text.as_bytes(), "is larger than what was offered"));
            }
            ClientBits::Most(bits) => bits,
        };
        Ok(DeflateParams {
            server: Direction {
                no_context_takeover: answer.server_no_context_takeover,
                window_bits: server_bits,
            },
            client: Direction {
                no_context_takeover: self.client.no_context_takeover
                    || answer.client_no_context_takeover,
                window_bits: client_bits,
            },
            names_server_bits: answer.server_max_window_bits.is_some(),
        })
    }
}

fn is_deflate(element: &Element<'_>) -> bool {
    element.name().eq_ignore_ascii_case(NAME.as_bytes())
}

/// Reads the parameters of an offer or an answer; the error names the first that is wrong.
fn said(element: &Element<'_>) -> Result<Said, HandshakeError> {
    let mut said = Said::default();
    let mut seen: Vec<&[u8]> = Vec::new();
    for parameter in element.parameters() {
        let name = parameter.name;
        let fault = |problem| wrong(name, problem);
        match (name, parameter.value.as_deref()) {
            _ if seen.contains(&name) => return Err(fault("is there a second time")),
            (b"server_no_context_takeover", None) => said.server_no_context_takeover = true,
            (b"client_no_context_takeover", None) => said.client_no_context_takeover = true,
            (b"server_no_context_takeover" | b"client_no_context_takeover", Some(_)) => {
                return Err(fault("has a value"));
            }
            (b"server_max_window_bits", None) => return Err(fault("has no value")),
            (b"server_max_window_bits", Some(value)) => {
                said.server_max_window_bits = Some(bits(name, value)?);
            }
            (b"client_max_window_bits", None) => said.client_max_window_bits = ClientBits::Any,
            (b"client_max_window_bits", Some(value)) => {
                said.client_max_window_bits = ClientBits::Most(bits(name, value)?);
            }
            _ => return Err(fault("is unknown")),
        }
        // Four names are known, so this stays short whatever is sent.
        seen.push(name);
    }
    Ok(said)
}

/// 8 to 15, without a zero in front (section 7.1.2).
fn bits(name: &[u8], value: &[u8]) -> Result<u8, HandshakeError> {
    let digits = str::from_utf8(value).unwrap_or_default();
    match digits.parse() {
        Ok(bits @ Direction::MIN_BITS..=Direction::MAX_BITS)
            if digits.bytes().all(|digit| digit.is_ascii_digit()) && !digits.starts_with('0') =>
        {
            Ok(bits)
        }
        _ => Err(wrong(&[name, b"=", value].concat(), "is not from 8 to 15")),
    }
}

fn bits_text(name: &str, bits: Option<u8>) -> String {
    match bits {
        Some(bits) => [name, "=", &bits.to_string()].concat(),
        None => [name, " (missing)"].concat(),
    }
}

fn wrong(text: &[u8], problem: &'static str) -> HandshakeError {
    HandshakeError::DeflateAnswer { parameter: excerpt(text), problem }
}

#[cfg(test)]
mod tests;
