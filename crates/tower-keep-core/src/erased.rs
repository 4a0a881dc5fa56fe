//! A store whose type is forgotten, for choosing one at run time.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::error::StoreError;
use crate::id::SessionId;
use crate::local::LocalStore;
use crate::record::{NewSession, Record};
use crate::scan::Scan;
use crate::store::{
    Created, Expect, Finish, Finished, Looked, Open, Opened, Scope, SessionStore, Stats, Sweep,
    Swept, Wakeups,
};
use crate::unique::Owner;
use crate::users::Users;

type Boxed<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// The contract in a form that can be a trait object. Private: stores implement [`SessionStore`].
trait Erased: Send + Sync {
    fn look(&self, id: SessionId) -> Boxed<'_, Looked>;
    fn cas<'a>(&'a self, id: SessionId, expect: Expect, record: &'a Record) -> Boxed<'a, bool>;
    fn sweep(&self, sweep: Sweep) -> Boxed<'_, Swept>;
    fn scope(&self) -> Scope;
    fn name(&self) -> &'static str;
    fn open<'a>(&'a self, open: &'a Open) -> Boxed<'a, Opened>;
    fn finish<'a>(&'a self, finish: &'a Finish) -> Boxed<'a, Finished>;
    fn renew(&self, id: SessionId, owner: Owner, lease: Duration) -> Boxed<'_, bool>;
    fn create<'a>(&'a self, new: &'a NewSession) -> Boxed<'a, Created>;
    fn destroy(&self, id: SessionId) -> Boxed<'_, bool>;
    fn ping(&self) -> Boxed<'_, ()>;
    fn stats(&self) -> Boxed<'_, Option<Stats>>;
    fn wakeups(&self) -> Option<&dyn Wakeups>;
    fn users(&self) -> Option<&dyn Users>;
    fn scan(&self) -> Option<&dyn Scan>;
    fn local(&self) -> Option<&dyn LocalStore>;
}

impl<S: SessionStore> Erased for S {
    fn look(&self, id: SessionId) -> Boxed<'_, Looked> {
        Box::pin(SessionStore::look(self, id))
    }
    fn cas<'a>(&'a self, id: SessionId, expect: Expect, record: &'a Record) -> Boxed<'a, bool> {
        Box::pin(SessionStore::cas(self, id, expect, record))
    }
    fn sweep(&self, sweep: Sweep) -> Boxed<'_, Swept> {
        Box::pin(SessionStore::sweep(self, sweep))
    }
    fn scope(&self) -> Scope {
        SessionStore::scope(self)
    }
    fn name(&self) -> &'static str {
        SessionStore::name(self)
    }
    fn open<'a>(&'a self, open: &'a Open) -> Boxed<'a, Opened> {
        Box::pin(SessionStore::open(self, open))
    }
    fn finish<'a>(&'a self, finish: &'a Finish) -> Boxed<'a, Finished> {
        Box::pin(SessionStore::finish(self, finish))
    }
    fn renew(&self, id: SessionId, owner: Owner, lease: Duration) -> Boxed<'_, bool> {
        Box::pin(SessionStore::renew(self, id, owner, lease))
    }
    fn create<'a>(&'a self, new: &'a NewSession) -> Boxed<'a, Created> {
        Box::pin(SessionStore::create(self, new))
    }
    fn destroy(&self, id: SessionId) -> Boxed<'_, bool> {
        Box::pin(SessionStore::destroy(self, id))
    }
    fn ping(&self) -> Boxed<'_, ()> {
        Box::pin(SessionStore::ping(self))
    }
    fn stats(&self) -> Boxed<'_, Option<Stats>> {
        Box::pin(SessionStore::stats(self))
    }
    fn wakeups(&self) -> Option<&dyn Wakeups> {
        SessionStore::wakeups(self)
    }
    fn users(&self) -> Option<&dyn Users> {
        SessionStore::users(self)
    }
    fn scan(&self) -> Option<&dyn Scan> {
        SessionStore::scan(self)
    }
    fn local(&self) -> Option<&dyn LocalStore> {
        SessionStore::local(self)
    }
}

/// Any store, chosen at run time. Clones are the same store.
///
/// A [`local`](SessionStore::local) store answers as directly through this as without it; one that
/// does I/O pays an allocation a call.
#[derive(Clone)]
pub struct DynStore(Arc<dyn Erased>);

impl DynStore {
    /// Forgets the type of `store`.
    pub fn new(store: impl SessionStore) -> Self {
        Self(Arc::new(store))
    }
}

impl fmt::Debug for DynStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DynStore")
            .field("name", &self.0.name())
            .field("scope", &self.0.scope())
            .finish_non_exhaustive()
    }
}

/// Passes every verb on to what the receiver stands for.
macro_rules! pass_on {
    ($this:ident => $inner:expr) => {
        async fn look(&$this, id: SessionId) -> Result<Looked, StoreError> {
            $inner.look(id).await
        }
        async fn cas(
            &$this,
            id: SessionId,
            expect: Expect,
            record: &Record,
        ) -> Result<bool, StoreError> {
            $inner.cas(id, expect, record).await
        }
        async fn sweep(&$this, sweep: Sweep) -> Result<Swept, StoreError> {
            $inner.sweep(sweep).await
        }
        fn scope(&$this) -> Scope {
            $inner.scope()
        }
        fn name(&$this) -> &'static str {
            $inner.name()
        }
        async fn open(&$this, open: &Open) -> Result<Opened, StoreError> {
            $inner.open(open).await
        }
        async fn finish(&$this, finish: &Finish) -> Result<Finished, StoreError> {
            $inner.finish(finish).await
        }
        async fn renew(
            &$this,
            id: SessionId,
            owner: Owner,
            lease: Duration,
        ) -> Result<bool, StoreError> {
            $inner.renew(id, owner, lease).await
        }
        async fn create(&$this, new: &NewSession) -> Result<Created, StoreError> {
            $inner.create(new).await
        }
        async fn destroy(&$this, id: SessionId) -> Result<bool, StoreError> {
            $inner.destroy(id).await
        }
        async fn ping(&$this) -> Result<(), StoreError> {
            $inner.ping().await
        }
        async fn stats(&$this) -> Result<Option<Stats>, StoreError> {
            $inner.stats().await
        }
        fn wakeups(&$this) -> Option<&dyn Wakeups> {
            $inner.wakeups()
        }
        fn users(&$this) -> Option<&dyn Users> {
            $inner.users()
        }
        fn scan(&$this) -> Option<&dyn Scan> {
            $inner.scan()
        }
        fn local(&$this) -> Option<&dyn LocalStore> {
            $inner.local()
        }
    };
}

impl SessionStore for DynStore {
    pass_on!(self => self.0);
}

impl<S: SessionStore> SessionStore for Arc<S> {
    pass_on!(self => (**self));
}

#[cfg(test)]
mod tests;
