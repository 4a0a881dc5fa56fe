//! What can be wrong with a configuration.

use crate::keys::KeyError;

/// Why there is no layer of a configuration. Messages name options and variables, and never repeat
/// a key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A variable looks like an option and is none.
    #[error("there is no variable `{variable}`; there are, each with SESSION_ in front: {known}")]
    UnknownVariable {
        /// The variable.
        variable: String,
        /// Those that there are.
        known: String,
    },
    /// A value cannot be read.
    #[error("`{option}` is not valid: {problem}")]
    Invalid {
        /// The option or the variable.
        option: String,
        /// What is wrong with its value.
        problem: String,
    },
    /// Options that do not go together.
    #[error("`{option}` {problem}")]
    Contradiction {
        /// One of them.
        option: &'static str,
        /// What it does not go together with, and what to do.
        problem: String,
    },
    /// The keys cannot be used.
    #[error("`{option}`: {source}")]
    Keys {
        /// The option.
        option: &'static str,
        /// Why.
        source: KeyError,
    },
    /// The program was built without what the option needs.
    #[error(
        "`{option}` is not supported by this build: enable the feature `{feature}` of tower-keep"
    )]
    NotInThisBuild {
        /// The option.
        option: &'static str,
        /// What brings it.
        feature: &'static str,
    },
}
