mod receive;
pub use receive::RecvBuf;

mod send;
pub use send::SendBuf;
