//! The opening handshake of every version, both roles: detection, one validator, the answers.

mod agreed;
pub(crate) use agreed::Agreed;

pub(crate) mod answer;
mod authority;
pub(crate) mod client;
pub(crate) mod client_request;
pub(crate) mod decision;
mod draft75;
pub(crate) mod draft76;
pub(crate) mod error;
pub(crate) mod extensions;
pub(crate) mod extra_headers;
mod hixie;
mod judge;
pub(crate) mod policy;

mod refusal;
pub(crate) use refusal::{drop_content, refuse, reject};

pub(crate) mod request;
pub(crate) mod response;
mod rfc6455;

mod server;
pub(crate) use server::{ServerHandshake, ServerStep, answer};

pub(crate) mod url;

#[cfg(test)]
mod testing;
