use alloc::borrow::Cow;

/// An option that makes no sense.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("option `{option}` {problem}")]
pub struct ConfigError {
    /// The name of the option, as in the builder, `Deflate`, [`Limits`](crate::Limits) or
    /// [`Timeouts`](crate::Timeouts).
    pub option: &'static str,
    /// What is wrong, with the value, and what to do.
    pub problem: Cow<'static, str>,
}

impl ConfigError {
    /// Says what is wrong with the option of this name.
    pub fn new(option: &'static str, problem: impl Into<Cow<'static, str>>) -> Self {
        Self { option, problem: problem.into() }
    }
}
