use ws_proto::ConfigError;

/// Names the first of these options that is zero, which none of them may be. `problem` says what
/// would come of it.
pub(crate) fn positive(
    options: &[(&'static str, usize)],
    problem: &'static str,
) -> Result<(), ConfigError> {
    match options.iter().find(|(_, value)| *value == 0) {
        Some((option, _)) => Err(ConfigError::new(option, problem)),
        None => Ok(()),
    }
}
