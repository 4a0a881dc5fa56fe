//! Their contract in each of its versions, one impl for all.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use crate::bridged::Bridged;
use crate::builder::BridgedBuilder;
use crate::error::BridgeError;
use crate::old::OldTowerSessions;
use crate::theirs::{Row, Theirs};

type Deleting<'a, E> = Pin<Box<dyn Future<Output = Result<(), E>> + Send + 'a>>;

macro_rules! version {
    (
        $feature:literal, $number:literal, $core:ident, $memory:ident,
        $Version:ident, $Bridged:ident, $Old:ident
    ) => {
        #[doc = concat!("A store of tower-sessions-core ", $number, ", inside a [`Bridged`].")]
        #[cfg(feature = $feature)]
        pub struct $Version<S> {
            store: S,
            delete_expired: Option<fn(&S) -> Deleting<'_, $core::session_store::Error>>,
        }

        #[doc = concat!("A store of tower-sessions-core ", $number, " as one of tower-keep.")]
        ///
        /// ```
        #[doc = concat!("use ", stringify!($memory), "::MemoryStore;")]
        /// use tower_keep::SessionLayer;
        #[doc = concat!("use tower_keep_tower_sessions::", stringify!($Bridged), ";")]
        ///
        #[doc = concat!(
            "let layer = SessionLayer::new(", stringify!($Bridged), "::new(MemoryStore::default()));"
        )]
        /// ```
        #[cfg(feature = $feature)]
        pub type $Bridged<S> = Bridged<$Version<S>>;

        #[cfg(feature = $feature)]
        impl<S: $core::SessionStore> Bridged<$Version<S>> {
            /// The store with the defaults; its [`sweep`] does nothing.
            ///
            /// Call it once and clone what it returns: two of them over the same store do not
            /// exclude each other, see [`Bridged`].
            ///
            /// [`sweep`]: tower_keep_core::SessionStore::sweep
            pub fn new(store: S) -> Self {
                Self::builder(store).build()
            }

            /// The store, to be configured first.
            pub fn builder(store: S) -> BridgedBuilder<$Version<S>> {
                BridgedBuilder::over($Version {
                    store,
                    delete_expired: None,
                })
            }
        }

        #[doc = concat!("The sessions in a store of tower-sessions-core ", $number, ", to be imported.")]
        #[cfg(feature = $feature)]
        pub type $Old<S> = OldTowerSessions<$Version<S>>;

        #[cfg(feature = $feature)]
        impl<S: $core::SessionStore> OldTowerSessions<$Version<S>> {
            /// Those of a `SessionManagerLayer` on this store with its other defaults.
            pub fn new(store: S) -> Self {
                Self::over($Version {
                    store,
                    delete_expired: None,
                })
            }
        }

        #[cfg(feature = $feature)]
        impl<S: $core::ExpiredDeletion> BridgedBuilder<$Version<S>> {
            /// Has [`sweep`](tower_keep_core::SessionStore::sweep) call their `delete_expired`.
            /// Default: `sweep` does nothing.
            ///
            /// It removes everything of theirs that is over, by the clock of their store, in one
            /// step: the limit and the span that a sweep is called with mean nothing to it, and
            /// what it removed is not counted.
            pub fn sweep_expired(mut self) -> Self {
                self.theirs.delete_expired = Some(|store| store.delete_expired());
                self
            }
        }

        #[cfg(feature = $feature)]
        impl<S> fmt::Debug for $Version<S> {
            // Theirs may show all that it holds.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($Version)).finish_non_exhaustive()
            }
        }

        #[cfg(feature = $feature)]
        impl<S: $core::SessionStore> Theirs for $Version<S> {
            async fn load(&self, id: i128) -> Result<Option<Row>, BridgeError> {
                let record = self.store.load(&$core::session::Id(id)).await?;
                Ok(record.map(Into::into))
            }

            async fn create(&self, row: Row) -> Result<i128, BridgeError> {
                let mut record = row.into();
                self.store.create(&mut record).await?;
                Ok(record.id.0)
            }

            async fn save(&self, row: Row) -> Result<(), BridgeError> {
                Ok(self.store.save(&row.into()).await?)
            }

            async fn delete(&self, id: i128) -> Result<(), BridgeError> {
                Ok(self.store.delete(&$core::session::Id(id)).await?)
            }

            async fn delete_expired(&self) -> Result<(), BridgeError> {
                match self.delete_expired {
                    Some(delete_expired) => Ok(delete_expired(&self.store).await?),
                    None => Ok(()),
                }
            }
        }

        #[cfg(feature = $feature)]
        impl From<Row> for $core::session::Record {
            fn from(row: Row) -> Self {
                Self {
                    id: $core::session::Id(row.id),
                    data: row.data,
                    expiry_date: row.expiry_date,
                }
            }
        }

        #[cfg(feature = $feature)]
        impl From<$core::session::Record> for Row {
            fn from(record: $core::session::Record) -> Self {
                Self {
                    id: record.id.0,
                    data: record.data,
                    expiry_date: record.expiry_date,
                }
            }
        }

        #[cfg(feature = $feature)]
        impl From<$core::session_store::Error> for BridgeError {
            fn from(error: $core::session_store::Error) -> Self {
                use $core::session_store::Error;
                match error {
                    Error::Backend(message) => Self::Failed(message),
                    // Their texts may quote what is stored.
                    Error::Encode(_) => Self::Encode,
                    Error::Decode(_) => Self::Decode,
                }
            }
        }
    };
}

version!(
    "v14",
    "0.14",
    tower_sessions_core_014,
    tower_sessions_memory_store,
    V14,
    Bridged14,
    Old14
);
version!(
    "v15",
    "0.15",
    tower_sessions_core_015,
    tower_sessions_memory_store_015,
    V15,
    Bridged15,
    Old15
);
