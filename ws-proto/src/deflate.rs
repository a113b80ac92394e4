//! permessage-deflate (RFC 7692): options, negotiation, and both directions of the codec.

mod deflater;
pub(crate) use deflater::{Deflater, Settings};

mod forms;
pub(crate) use forms::Forms;

mod inflater;
pub(crate) use inflater::Inflater;

mod negotiation;

mod options;
pub use options::Deflate;

mod params;
pub use params::DeflateParams;

mod pool;
