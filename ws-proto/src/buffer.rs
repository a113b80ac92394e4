mod receive;
pub use receive::RecvBuf;
pub(crate) use receive::{Loan, TRUST};

mod send;
pub use send::SendBuf;
pub(crate) use send::{COPY_MAX, Payload};
