//! Their session in each of its versions, one impl for all.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use super::desk::Desk;

/// When their session is to end, if they say so.
#[derive(Debug)]
pub enum Expiry {
    After(Duration),
    Past,
}

impl Expiry {
    fn after(span: time::Duration) -> Self {
        match Duration::try_from(span) {
            Ok(span) if !span.is_zero() => Self::After(span),
            _ => Self::Past,
        }
    }
}

/// Their session. Sealed: the module is private.
pub trait TheirSession: Clone + Send + Sync + 'static {
    fn serve(claimed: Option<i128>, desk: Arc<Desk>) -> Self;
    fn is_modified(&self) -> bool;
    fn is_empty(&self) -> impl Future<Output = bool> + Send;
    /// Why not is known by the desk.
    fn save(&self) -> impl Future<Output = Result<(), ()>> + Send;
    fn expiry(&self) -> Option<Expiry>;
}

macro_rules! version {
    ($feature:literal, $core:ident, $Counter:ident) => {
        /// What their session takes for its store.
        #[cfg(feature = $feature)]
        #[derive(Debug)]
        struct $Counter(Arc<Desk>);

        #[cfg(feature = $feature)]
        #[async_trait::async_trait]
        impl $core::SessionStore for $Counter {
            async fn create(
                &self,
                record: &mut $core::session::Record,
            ) -> $core::session_store::Result<()> {
                let row = record.clone().into();
                let noted = self.0.note(|ledger| ledger.create(row));
                noted.map_err($core::session_store::Error::Backend)
            }

            async fn save(
                &self,
                record: &$core::session::Record,
            ) -> $core::session_store::Result<()> {
                let row = record.clone().into();
                let noted = self.0.note(|ledger| ledger.save(row));
                noted.map_err($core::session_store::Error::Backend)
            }

            async fn load(
                &self,
                id: &$core::session::Id,
            ) -> $core::session_store::Result<Option<$core::session::Record>> {
                let loaded = self.0.load(id.0).await;
                let row = loaded.map_err($core::session_store::Error::Backend)?;
                Ok(row.map(Into::into))
            }

            async fn delete(&self, id: &$core::session::Id) -> $core::session_store::Result<()> {
                let noted = self.0.note(|ledger| ledger.delete(id.0));
                noted.map_err($core::session_store::Error::Backend)
            }
        }

        #[cfg(feature = $feature)]
        impl TheirSession for $core::Session {
            fn serve(claimed: Option<i128>, desk: Arc<Desk>) -> Self {
                Self::new(
                    claimed.map($core::session::Id),
                    Arc::new($Counter(desk)),
                    None,
                )
            }

            fn is_modified(&self) -> bool {
                self.is_modified()
            }

            async fn is_empty(&self) -> bool {
                self.is_empty().await
            }

            async fn save(&self) -> Result<(), ()> {
                self.save().await.map_err(drop)
            }

            fn expiry(&self) -> Option<Expiry> {
                match self.expiry()? {
                    $core::Expiry::OnSessionEnd => None,
                    $core::Expiry::OnInactivity(span) => Some(Expiry::after(span)),
                    $core::Expiry::AtDateTime(at) => {
                        Some(Expiry::after(at - time::OffsetDateTime::now_utc()))
                    }
                }
            }
        }
    };
}

version!("v14", tower_sessions_core_014, Counter14);
version!("v15", tower_sessions_core_015, Counter15);
