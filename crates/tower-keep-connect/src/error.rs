//! Why there is no store.

use std::path::PathBuf;

use tower_keep::{ConfigError, StoreError};

use crate::scheme::known;

/// A store could not be made of a configuration.
///
/// Messages name schemes, options and variables, never a URL, which may hold a password.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The URL does not begin with a scheme.
    #[error("the store's URL must begin with its scheme, one of: {}", known())]
    NoScheme,
    /// No store has this scheme.
    #[error("no store has the scheme `{scheme}`; there are: {}", known())]
    UnknownScheme {
        /// As it was given.
        scheme: String,
    },
    /// The scheme is known, but the program was built without its store.
    #[error("`{scheme}:` is not supported by this build{}", advice(*feature))]
    NotInThisBuild {
        /// The scheme.
        scheme: &'static str,
        /// The cargo feature of `tower-keep-connect` that brings the store; `None` if no feature
        /// of this version does so on this platform.
        feature: Option<&'static str>,
    },
    /// The URL lacks a part.
    #[error("the store's URL `{scheme}:` lacks {what}")]
    Missing {
        /// The scheme.
        scheme: &'static str,
        /// What is missing, and how it is written.
        what: &'static str,
    },
    /// The URL is not one that the store can have.
    #[error("the store's URL `{scheme}:` cannot be read: {problem}")]
    InvalidUrl {
        /// The scheme.
        scheme: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// An option is set that the store does not have.
    #[error("the option `{option}` means nothing to a `{scheme}:` store: leave it out")]
    UnsupportedOption {
        /// The scheme.
        scheme: &'static str,
        /// The option, as a field of [`StoreConfig`](crate::StoreConfig).
        option: &'static str,
    },
    /// The value of an option or a variable cannot be read, or not be used.
    #[error("`{option}` is not valid: {problem}")]
    InvalidOption {
        /// The option or the environment's variable.
        option: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A variable looks like an option and is none.
    #[error(
        "there is no variable `{variable}`; there are SESSION_STORE (the URL) and: {}",
        crate::vars::known()
    )]
    UnknownVariable {
        /// The variable.
        variable: String,
    },
    /// The layer's options cannot be used.
    #[error(transparent)]
    Layer(#[from] ConfigError),
    /// The variable `SESSION_STORE` is needed.
    #[error("SESSION_STORE is not set: it must be the URL of the store, such as `{example}`")]
    NotSet {
        /// A URL.
        example: &'static str,
    },
    /// `SESSION_DRIVER` and `SESSION_STORE` name different stores.
    #[error(
        "SESSION_DRIVER says `{driver}`, but the URL in SESSION_STORE is one of `{scheme}:`: \
         change one of them, or leave SESSION_DRIVER out"
    )]
    Disagreement {
        /// What the driver's variable names.
        driver: &'static str,
        /// The scheme of the URL.
        scheme: &'static str,
    },
    /// Only a store that exists was to be opened ([`StoreConfig::existing`](crate::StoreConfig::existing)),
    /// and there is none.
    #[error("there is no `{scheme}:` store at {}", path.display())]
    NotThere {
        /// The scheme.
        scheme: &'static str,
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The store cannot be opened or reached, or its table not be made; the source says why.
    #[error("the `{scheme}:` store cannot be opened")]
    Store {
        /// The scheme.
        scheme: &'static str,
        /// What the store says.
        source: StoreError,
    },
}

fn advice(feature: Option<&str>) -> String {
    feature.map_or_else(String::new, |feature| {
        format!(": enable the feature `{feature}` of tower-keep-connect")
    })
}
