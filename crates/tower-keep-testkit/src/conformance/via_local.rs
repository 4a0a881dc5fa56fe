//! A store whose verbs take the way of its `local` ability.

use std::time::Duration;

use serde_json::value::RawValue;
use tower_keep_core::data::{Data, DataLimits, Edit, Literal, Patch};
use tower_keep_core::{
    Created, DynStore, Expect, Finish, Finished, LocalStore, Looked, NewSession, Op, Open, Opened,
    Owner, Record, Scan, Scope, SessionId, SessionStore, Stats, StoreError, StoreErrorKind, Sweep,
    Swept, Users,
};

/// Must only be made of a store that has the ability.
pub(super) struct ViaLocal(pub(super) DynStore);

impl ViaLocal {
    fn verbs(&self) -> Result<&dyn LocalStore, StoreError> {
        let none = || StoreError::new(StoreErrorKind::Closed, "`local()` is `None` now");
        self.0.local().ok_or_else(none)
    }
}

impl SessionStore for ViaLocal {
    async fn look(&self, id: SessionId) -> Result<Looked, StoreError> {
        self.0.look(id).await
    }

    async fn cas(
        &self,
        id: SessionId,
        expect: Expect,
        record: &Record,
    ) -> Result<bool, StoreError> {
        self.0.cas(id, expect, record).await
    }

    async fn sweep(&self, sweep: Sweep) -> Result<Swept, StoreError> {
        self.0.sweep(sweep).await
    }

    fn scope(&self) -> Scope {
        self.0.scope()
    }

    async fn open(&self, open: &Open) -> Result<Opened, StoreError> {
        Ok(self.verbs()?.open(open))
    }

    async fn finish(&self, finish: &Finish) -> Result<Finished, StoreError> {
        let patch = match &finish.op {
            Op::Put(put) => {
                let looked = self.0.look(finish.id).await?.record;
                let base = looked.map_or_else(Data::default, |(record, _)| record.data);
                put.data
                    .as_ref()
                    .map_or_else(Patch::default, |new| difference(&base, new))
            }
            Op::Release | Op::Merge(_) | Op::Destroy => Patch::default(),
        };
        self.verbs()?.finish(finish, &patch)
    }

    async fn renew(
        &self,
        id: SessionId,
        owner: Owner,
        lease: Duration,
    ) -> Result<bool, StoreError> {
        self.0.renew(id, owner, lease).await
    }

    async fn create(&self, new: &NewSession) -> Result<Created, StoreError> {
        self.verbs()?.create(new)
    }

    async fn destroy(&self, id: SessionId) -> Result<bool, StoreError> {
        self.0.destroy(id).await
    }

    async fn stats(&self) -> Result<Option<Stats>, StoreError> {
        self.0.stats().await
    }

    fn users(&self) -> Option<&dyn Users> {
        self.0.users()
    }

    fn scan(&self) -> Option<&dyn Scan> {
        self.0.scan()
    }

    fn local(&self) -> Option<&dyn LocalStore> {
        self.0.local()
    }
}

/// The patch that makes `new` of `base`, as far as users' keys go, which are all that the suite
/// changes.
pub(super) fn difference(base: &Data, new: &Data) -> Patch {
    let mut edit = Edit::new(base.clone(), DataLimits::default());
    for (key, _) in base.users().filter(|(key, _)| new.get(key).is_none()) {
        edit.remove_all(Literal(key));
    }
    for (key, value) in new.users() {
        // Values of a `Data` are JSON, and the suite's keys and sizes are within the limits.
        if let Ok(value) = serde_json::from_slice::<&RawValue>(value) {
            let _ = edit.insert(Literal(key), value);
        }
    }
    edit.into_patch().unwrap_or_default()
}
