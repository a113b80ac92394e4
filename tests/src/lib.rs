//! What the tests of the whole project share.

pub mod client;
pub mod entropy;
pub mod feed;
pub mod pair;
pub mod requests;
pub mod suite;
