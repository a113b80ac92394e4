mod receive;
pub(crate) use receive::Loan;
pub use receive::RecvBuf;

mod send;
pub use send::SendBuf;
pub(crate) use send::{COPY_MAX, Payload};
