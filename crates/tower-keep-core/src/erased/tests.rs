//! A store whose type is forgotten can do what it could.

use super::*;
use crate::data::Patch;
use crate::local::{LocalOpened, Turn};
use crate::scan::{Cursor, ScanFuture, ScanPage};
use crate::store::View;
use crate::users::{UserPage, UsersFuture};

/// A store with every ability, each of which does nothing.
struct Able;

impl SessionStore for Able {
    async fn look(&self, _: SessionId) -> Result<Looked, StoreError> {
        unreachable!("nobody looks")
    }
    async fn cas(&self, _: SessionId, _: Expect, _: &Record) -> Result<bool, StoreError> {
        unreachable!("nobody writes")
    }
    async fn sweep(&self, _: Sweep) -> Result<Swept, StoreError> {
        unreachable!("nobody sweeps")
    }
    async fn stats(&self) -> Result<Option<Stats>, StoreError> {
        Ok(Some(Stats::default()))
    }
    fn scope(&self) -> Scope {
        Scope::Shared
    }
    fn name(&self) -> &'static str {
        "able"
    }
    fn wakeups(&self) -> Option<&dyn Wakeups> {
        Some(self)
    }
    fn users(&self) -> Option<&dyn Users> {
        Some(self)
    }
    fn scan(&self) -> Option<&dyn Scan> {
        Some(self)
    }
    fn local(&self) -> Option<&dyn LocalStore> {
        Some(self)
    }
}

impl Wakeups for Able {
    fn released(&self, _: SessionId) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async {})
    }
}

impl Users for Able {
    fn list<'a>(&'a self, _: &'a str, _: UserPage) -> UsersFuture<'a, Vec<View>> {
        Box::pin(async { Ok(Vec::new()) })
    }
    fn revoke<'a>(&'a self, _: &'a str, _: SessionId) -> UsersFuture<'a, bool> {
        Box::pin(async { Ok(false) })
    }
    fn revoke_all<'a>(
        &'a self,
        _: &'a str,
        _: Option<SessionId>,
    ) -> UsersFuture<'a, Vec<SessionId>> {
        Box::pin(async { Ok(Vec::new()) })
    }
}

impl Scan for Able {
    fn page<'a>(&'a self, _: Option<&'a Cursor>, _: usize) -> ScanFuture<'a> {
        Box::pin(async { Ok(ScanPage::default()) })
    }
}

impl LocalStore for Able {
    fn open(&self, _: &Open) -> Opened {
        Opened::Absent
    }
    fn acquire(&self, _: &Open, _: usize) -> LocalOpened {
        LocalOpened::Full
    }
    fn leave(&self, _: &Arc<Turn>) {}
    fn expire_lease(&self, _: SessionId) -> Option<Duration> {
        None
    }
    fn finish(&self, _: &Finish, _: &Patch) -> Result<Finished, StoreError> {
        Ok(Finished::Gone)
    }
    fn create(&self, _: &NewSession) -> Result<Created, StoreError> {
        Ok(Created::Gone)
    }
}

async fn is_able(store: &impl SessionStore) {
    assert_eq!((store.name(), store.scope()), ("able", Scope::Shared));
    assert_eq!(store.stats().await.unwrap(), Some(Stats::default()));
    assert!(store.wakeups().is_some() && store.users().is_some());
    assert!(store.scan().is_some() && store.local().is_some());
}

#[tokio::test]
async fn it_has_the_abilities_of_what_it_stands_for() {
    is_able(&DynStore::new(Able)).await;
    is_able(&Arc::new(Able)).await;
    is_able(&DynStore::new(Arc::new(DynStore::new(Able)))).await;
}

#[test]
fn it_shows_which_store_it_is() {
    let shown = format!("{:?}", DynStore::new(Able));
    assert_eq!(shown, r#"DynStore { name: "able", scope: Shared, .. }"#);
}
