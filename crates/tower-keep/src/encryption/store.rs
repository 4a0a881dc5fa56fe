//! The store around another.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tower_keep_core::data::Data;
use tower_keep_core::{
    Created, Expect, Finish, Finished, Looked, NewSession, Op, Open, Opened, Owner, Put, Record,
    Scan, Scope, SessionId, SessionStore, Stats, StoreError, StoreErrorKind, Sweep, Swept, Users,
    Wakeups,
};

use super::seal::Sealer;
use crate::keys::KeyRing;

/// Any store, with the sessions' data encrypted: whoever reads the database or a backup reads none of
/// them, and cannot give one session the data of another.
///
/// Data are under XChaCha20-Poly1305, each time with another nonce, and bound to their session's id.
/// [Keys](crate::keys) come in a ring: the first one encrypts, all of them decrypt, and data move to
/// the first key when they are next saved (nothing is saved that did not change).
///
/// | what is found | the request |
/// |---|---|
/// | a key that is not in the ring, or a later format | 503 without a cookie ([`Unsupported`]): nothing is lost and nobody is logged out, the key was only forgotten |
/// | data that were changed, cut short or another session's | as any damaged session ([`Corrupt`]): the visitor may start another one, the record stays as it is |
/// | data that are not encrypted | 503 without a cookie ([`Unsupported`]), unless [`accept_plaintext`](Self::accept_plaintext) |
///
/// # What stays readable
/// Encrypted is what [`Session::insert`](crate::Session::insert) and its like put there, with all
/// that the library itself keeps beside it; that there are no data is not told from that there are
/// some. A session's id, its user, its instants and limits, the client's address and
/// `User-Agent` stay readable: stores find and sweep by them. Records of one session can be put in
/// the place of its later ones by whoever may write the database; they can also delete it.
///
/// # Size
/// Encrypted data take 4/3 of their size and about 100 bytes more. A store's own limit (1 MiB by
/// default) must leave room for that over the layer's
/// [`data_limits`](crate::SessionLayerBuilder::data_limits) (64 KiB by default).
///
/// # Stores in memory
/// Over a store that would answer at once, such as [`MemoryStore`](crate::MemoryStore), requests take
/// the way of stores that do I/O.
///
/// ```
/// use tower_keep::keys::KeyRing;
/// use tower_keep::{EncryptedStore, MemoryStore, SessionLayer};
///
/// // From a file or the environment, never from the source.
/// # let text = "9f2b0c4d8e1a7365f00d1e2c3b4a59687f8e9dacbbca0d1e2f30415263748596";
/// let keys: KeyRing = text.parse()?;
/// let layer = SessionLayer::new(EncryptedStore::new(MemoryStore::new(), &keys));
/// # Ok::<(), tower_keep::keys::KeyError>(())
/// ```
///
/// [`Corrupt`]: StoreErrorKind::Corrupt
/// [`Unsupported`]: StoreErrorKind::Unsupported
#[derive(Clone)]
pub struct EncryptedStore<S> {
    pub(super) store: S,
    sealer: Arc<Sealer>,
    accept_plaintext: bool,
}

impl<S: SessionStore> EncryptedStore<S> {
    /// Encrypts what `store` keeps.
    pub fn new(store: S, keys: &KeyRing) -> Self {
        Self {
            store,
            sealer: Arc::new(Sealer::new(keys)),
            accept_plaintext: false,
        }
    }

    /// Whether data that are not encrypted are read as well, to be encrypted when they are next
    /// saved. Default no. For the time after a store with sessions was first encrypted, at most the
    /// longest absolute timeout: while it is on, whoever may write the database may put data of their
    /// own into a session.
    #[must_use]
    pub fn accept_plaintext(mut self, accept: bool) -> Self {
        self.accept_plaintext = accept;
        self
    }

    /// The store with the encrypted data.
    pub const fn inner(&self) -> &S {
        &self.store
    }

    pub(super) fn unseal(&self, id: SessionId, data: Data) -> Result<Data, StoreError> {
        match self.sealer.unseal(id, &data)? {
            Some(data) => Ok(data),
            None if self.accept_plaintext => Ok(data),
            None => Err(StoreError::new(
                StoreErrorKind::Unsupported,
                "its data are not encrypted; see `EncryptedStore::accept_plaintext`",
            )),
        }
    }
}

impl<S: fmt::Debug> fmt::Debug for EncryptedStore<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EncryptedStore")
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}

impl<S: SessionStore> SessionStore for EncryptedStore<S> {
    async fn look(&self, id: SessionId) -> Result<Looked, StoreError> {
        let mut looked = self.store.look(id).await?;
        if let Some((record, _)) = &mut looked.record
            && record.gone_at.is_none()
        {
            record.data = self.unseal(id, std::mem::take(&mut record.data))?;
        }
        Ok(looked)
    }

    async fn cas(
        &self,
        id: SessionId,
        expect: Expect,
        record: &Record,
    ) -> Result<bool, StoreError> {
        if record.gone_at.is_some() {
            return self.store.cas(id, expect, record).await;
        }
        let mut sealed = record.clone();
        sealed.data = self.sealer.seal(id, &record.data)?;
        self.store.cas(id, expect, &sealed).await
    }

    async fn sweep(&self, sweep: Sweep) -> Result<Swept, StoreError> {
        self.store.sweep(sweep).await
    }

    fn scope(&self) -> Scope {
        self.store.scope()
    }

    async fn open(&self, open: &Open) -> Result<Opened, StoreError> {
        match self.store.open(open).await? {
            Opened::Granted(mut view) => {
                // A lease may have been taken; as after every error, its asker gives it back.
                view.data = self.unseal(open.id, view.data)?;
                Ok(Opened::Granted(view))
            }
            refusal => Ok(refusal),
        }
    }

    async fn finish(&self, finish: &Finish) -> Result<Finished, StoreError> {
        let seal = |data| self.sealer.seal(finish.id, data);
        // Every kind is named, so that a new one with data in it cannot be overlooked.
        let op = match &finish.op {
            Op::Release | Op::Destroy | Op::Put(Put { data: None, .. }) => {
                return self.store.finish(finish).await;
            }
            Op::Put(Put {
                head,
                data: Some(data),
            }) => Op::Put(Put {
                head: head.clone(),
                data: Some(seal(data)?),
            }),
            Op::Merge(data) => Op::Merge(seal(data)?),
        };
        self.store.finish(&Finish { op, ..*finish }).await
    }

    fn name(&self) -> &'static str {
        self.store.name()
    }

    async fn renew(
        &self,
        id: SessionId,
        owner: Owner,
        lease: Duration,
    ) -> Result<bool, StoreError> {
        self.store.renew(id, owner, lease).await
    }

    async fn create(&self, new: &NewSession) -> Result<Created, StoreError> {
        let sealed = NewSession {
            data: self.sealer.seal(new.id, &new.data)?,
            ..new.clone()
        };
        self.store.create(&sealed).await
    }

    async fn destroy(&self, id: SessionId) -> Result<bool, StoreError> {
        self.store.destroy(id).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.store.ping().await
    }

    async fn stats(&self) -> Result<Option<Stats>, StoreError> {
        self.store.stats().await
    }

    fn wakeups(&self) -> Option<&dyn Wakeups> {
        self.store.wakeups()
    }

    fn users(&self) -> Option<&dyn Users> {
        self.store.users().map(|_| self as &dyn Users)
    }

    /// A walk shows no data, so there is nothing to decrypt.
    fn scan(&self) -> Option<&dyn Scan> {
        self.store.scan()
    }
}
