//! A part of the session as a type of the application.

mod pending;
mod write;

use std::fmt;
use std::ops::Deref;

use serde_core::Serialize;
use serde_core::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value;
use tower_keep_core::data::{DataError, Edit, Literal};

use crate::error::Error;
use crate::read::ReadSession;

pub(crate) use pending::Pending;
pub use write::Typed;

/// A type of which a session keeps one value, for [`Typed`] and [`ReadTyped`].
///
/// It is stored under one top-level key as the pair of its version and itself: `[1,{…}]`. Raise
/// the version when what is stored can no longer be read as the type, and tell
/// [`migrate`](Self::migrate) what to make of the old.
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use serde_json::Value;
/// use tower_keep::SessionData;
///
/// #[derive(Default, Serialize, Deserialize)]
/// struct Cart {
///     items: Vec<(String, u32)>,
/// }
///
/// impl SessionData for Cart {
///     const KEY: &'static str = "cart";
///     const VERSION: u32 = 2;
///
///     fn migrate(version: u32, value: Value) -> Option<Self> {
///         match version {
///             // The first version had names only.
///             1 => {
///                 let names: Vec<String> = serde_json::from_value(value).ok()?;
///                 let items = names.into_iter().map(|name| (name, 1)).collect();
///                 Some(Self { items })
///             }
///             _ => None,
///         }
///     }
/// }
/// ```
pub trait SessionData: Serialize + DeserializeOwned + Default {
    /// The top-level key that it is stored under. Dots in it separate nothing.
    const KEY: &'static str;

    /// The version of what is written; 1 by default.
    const VERSION: u32 = 1;

    /// What a stored value of another version means; `None`, as by default, refuses it with
    /// [`Error::Version`]. To begin anew instead, return the default.
    ///
    /// The version may be a later one, of a release that is being rolled out or was taken back.
    /// What is returned is stored when it is changed.
    fn migrate(version: u32, value: Value) -> Option<Self> {
        let _ = (version, value);
        None
    }
}

/// A value of the session, to be read: never locks, never waits for a writer.
///
/// It is the type's default where nothing is stored.
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use tower_keep::{ReadTyped, SessionData};
///
/// #[derive(Default, Serialize, Deserialize)]
/// struct Settings {
///     dark: bool,
/// }
///
/// impl SessionData for Settings {
///     const KEY: &'static str = "settings";
/// }
///
/// async fn style(settings: ReadTyped<Settings>) -> &'static str {
///     if settings.dark { "dark.css" } else { "light.css" }
/// }
/// ```
pub struct ReadTyped<T>(T);

impl<T: SessionData> ReadTyped<T> {
    /// Reads the value, for services without axum.
    ///
    /// # Errors
    /// [`Error::Data`] naming the key if what is stored is not a `T`, [`Error::Version`] if it is of
    /// another version, [`Error::Closed`] after the end of the request.
    pub fn from_session(session: &ReadSession) -> Result<Self, Error> {
        let stored = session.slot.read(|work| Stored::load(&work.edit))?;
        stored?.value().map(Self)
    }
}

impl<T> ReadTyped<T> {
    /// The value itself.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> Deref for ReadTyped<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: SessionData> fmt::Debug for ReadTyped<T> {
    /// Shows the key and no data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadTyped")
            .field("key", &T::KEY)
            .finish_non_exhaustive()
    }
}

/// What is stored under the key of a type.
enum Stored<T> {
    Nothing,
    Current(T),
    /// Of another version.
    Other(u32, Value),
}

impl<T: SessionData> Stored<T> {
    fn load(edit: &Edit) -> Result<Self, Error> {
        let key = Literal(T::KEY);
        let Some((version, _)) = edit.get::<(u32, IgnoredAny)>(key).map_err(Self::named)? else {
            return Ok(Self::Nothing);
        };
        if version == T::VERSION {
            let pair = edit.get::<(u32, T)>(key).map_err(Self::named)?;
            return Ok(pair.map_or(Self::Nothing, |(_, value)| Self::Current(value)));
        }
        let pair = edit.get::<(u32, Value)>(key).map_err(Self::named)?;
        Ok(pair.map_or(Self::Nothing, |(_, value)| Self::Other(version, value)))
    }

    /// The value; runs the application's code.
    fn value(self) -> Result<T, Error> {
        match self {
            Self::Nothing => Ok(T::default()),
            Self::Current(value) => Ok(value),
            Self::Other(found, value) => T::migrate(found, value).ok_or(Error::Version {
                key: T::KEY,
                found,
                expected: T::VERSION,
            }),
        }
    }

    /// Says the application's type instead of the pair that is stored.
    fn named(error: DataError) -> Error {
        let expected = std::any::type_name::<T>();
        Error::Data(match error {
            DataError::WrongType { key, found, .. } => DataError::WrongType {
                key,
                expected,
                found,
            },
            DataError::Value { key, .. } => DataError::Value { key, expected },
            other => other,
        })
    }
}
