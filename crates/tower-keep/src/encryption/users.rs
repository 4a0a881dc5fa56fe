//! The sessions of a user, decrypted where their data are wanted.

use tower_keep_core::{
    SessionId, SessionStore, StoreError, StoreErrorKind, UserPage, Users, UsersFuture, View,
};

use super::EncryptedStore;

impl<S: SessionStore> EncryptedStore<S> {
    fn index(&self) -> Result<&dyn Users, StoreError> {
        self.store.users().ok_or_else(|| {
            let why = "the store cannot find the sessions of a user";
            StoreError::new(StoreErrorKind::Unavailable, why)
        })
    }
}

impl<S: SessionStore> Users for EncryptedStore<S> {
    fn list<'a>(&'a self, user: &'a str, page: UserPage) -> UsersFuture<'a, Vec<View>> {
        Box::pin(async move {
            let mut views = self.index()?.list(user, page).await?;
            for view in views.iter_mut().filter(|_| page.data) {
                let sealed = std::mem::take(&mut view.data);
                view.data = self.unseal(view.head.id, sealed)?;
            }
            Ok(views)
        })
    }

    fn revoke<'a>(&'a self, user: &'a str, id: SessionId) -> UsersFuture<'a, bool> {
        Box::pin(async move { self.index()?.revoke(user, id).await })
    }

    fn revoke_all<'a>(
        &'a self,
        user: &'a str,
        except: Option<SessionId>,
    ) -> UsersFuture<'a, Vec<SessionId>> {
        Box::pin(async move { self.index()?.revoke_all(user, except).await })
    }
}
