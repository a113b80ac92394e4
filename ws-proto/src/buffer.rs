mod receive;
pub(crate) use receive::Loan;
pub use receive::RecvBuf;

mod send;
pub(crate) use send::COPY_MAX;
pub(crate) use send::Payload;
pub use send::SendBuf;
