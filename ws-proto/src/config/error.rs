/// An option that makes no sense.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("option `{option}` {problem}")]
pub struct ConfigError {
    /// The name of the option, as in the builder, [`Limits`](crate::Limits) or [`Timeouts`](crate::Timeouts).
    pub option: &'static str,
    /// What is wrong and what to do.
    pub problem: &'static str,
}
