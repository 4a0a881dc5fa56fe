//! The store: steps on threads that may block.

use std::fmt;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use tokio::sync::Mutex;
use tower_keep_core::data::Codec;
use tower_keep_core::{
    Clock, Created, Expect, Finish, Finished, Looked, NewSession, Open, Opened, Owner, Record,
    Scan, Scope, SessionId, SessionStore, Stats, StoreError, StoreErrorKind, Sweep, Swept,
    SystemClock, UserPage, Users, UsersFuture, View,
};

use crate::error::FileError;
use crate::shard::{SHARDS, Shard, make_dir};
use crate::steps::Steps;
use crate::users;

/// What outlasts a power cut. A crash of the server, even `kill -9`, loses nothing either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Durability {
    /// Every commit, creation and destruction that was acknowledged, by two calls of `fsync`
    /// before it is; a lease or a touch costs one and may be lost. The default.
    #[default]
    Full,
    /// What the operating system had written by itself. A record written in the last seconds may
    /// be lost, be older than what was acknowledged, or be damaged. For tests, and for sessions
    /// that may be lost.
    NoSync,
}

/// Sessions in files of one directory, shared by all processes of this machine.
///
/// Clones are the same store. Steps run on the threads that tokio keeps for blocking work, so the
/// store needs a tokio runtime; see the [crate's documentation](crate) for how it works.
///
/// ```no_run
/// use tower_keep_file::FileStore;
///
/// let store = FileStore::open("/var/lib/shop/sessions")?;
/// # Ok::<(), tower_keep_file::FileError>(())
/// ```
#[derive(Clone)]
pub struct FileStore(Arc<Inner>);

struct Inner {
    steps: Arc<Steps>,
    /// Lets one task of this process at a time wait for a shard's lock between processes, so that
    /// the others wait without a thread.
    turns: [Arc<Mutex<()>>; SHARDS],
    /// The same for the shelves of users; taken first.
    user_turns: [Arc<Mutex<()>>; SHARDS],
}

/// How to open a [`FileStore`].
#[derive(Debug, Clone)]
#[must_use]
pub struct FileStoreBuilder {
    dir: PathBuf,
    durability: Durability,
    max_data: usize,
    codec: Codec,
    clock: Arc<dyn Clock>,
}

impl FileStore {
    /// Opens the store in `dir` with the defaults, and makes it if it is not there.
    ///
    /// This blocks for some milliseconds; call it where the server starts.
    ///
    /// # Errors
    /// [`FileError::Exposed`] if every user may write to the directory, [`FileError::Io`] if
    /// something cannot be created there.
    pub fn open(dir: impl Into<PathBuf>) -> Result<Self, FileError> {
        Self::builder(dir).open()
    }

    /// A store in `dir` that is configured before it is opened.
    ///
    /// ```no_run
    /// use tower_keep_file::{Durability, FileStore};
    ///
    /// let store = FileStore::builder("/run/shop/sessions")
    ///     .durability(Durability::NoSync)
    ///     .open()?;
    /// # Ok::<(), tower_keep_file::FileError>(())
    /// ```
    pub fn builder(dir: impl Into<PathBuf>) -> FileStoreBuilder {
        FileStoreBuilder {
            dir: dir.into(),
            durability: Durability::default(),
            max_data: 1024 * 1024,
            codec: Codec::default(),
            clock: Arc::new(SystemClock::default()),
        }
    }

    /// Where the sessions are.
    pub fn dir(&self) -> &Path {
        &self.0.steps.root
    }

    /// Runs a step on a thread that may block. If the future is dropped, the step goes on.
    pub(crate) async fn blocking<A: Send + 'static>(
        &self,
        step: impl FnOnce(&Steps) -> Result<A, StoreError> + Send + 'static,
    ) -> Result<A, StoreError> {
        let steps = self.0.steps.clone();
        let done = tokio::task::spawn_blocking(move || step(&steps)).await;
        done.unwrap_or_else(|_| {
            Err(StoreError::new(
                StoreErrorKind::Unavailable,
                "the step did not run to its end: the runtime is shutting down",
            ))
        })
    }

    /// Runs a step that takes the lock of this session's shard.
    async fn locking<A: Send + 'static>(
        &self,
        id: SessionId,
        step: impl FnOnce(&Steps) -> Result<A, StoreError> + Send + 'static,
    ) -> Result<A, StoreError> {
        let turn = &self.0.turns[usize::from(Shard::index_of(id))];
        let turn = turn.clone().lock_owned().await;
        self.blocking(move |steps| {
            let answer = step(steps);
            drop(turn);
            answer
        })
        .await
    }
}

impl FileStore {
    /// As [`locking`](Self::locking), for a step that may have the session join this user.
    async fn joining<A: Send + 'static>(
        &self,
        user: Option<&str>,
        id: SessionId,
        step: impl FnOnce(&Steps) -> Result<A, StoreError> + Send + 'static,
    ) -> Result<A, StoreError> {
        let turn = match user {
            Some(user) => {
                let turn = &self.0.user_turns[usize::from(users::index_of(user))];
                Some(turn.clone().lock_owned().await)
            }
            None => None,
        };
        self.locking(id, move |steps| {
            let answer = step(steps);
            drop(turn);
            answer
        })
        .await
    }
}

impl FileStoreBuilder {
    /// What outlasts a power cut. Default [`Durability::Full`].
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// How many bytes the data of one session may have as JSON; more is refused with
    /// [`StoreErrorKind::TooLarge`]. Default 1 MiB. (The layer's own limit, 64 KiB by default,
    /// is met first.)
    pub fn max_data(mut self, bytes: usize) -> Self {
        self.max_data = bytes;
        self
    }

    /// How the data of sessions are written. Default JSON. What is there in another codec stays
    /// readable, and is rewritten with the session. `MessagePack` needs the feature `messagepack`, in
    /// every process on the store.
    pub fn codec(mut self, codec: Codec) -> Self {
        self.codec = codec;
        self
    }

    /// The clock, for tests. All processes on one directory must agree on the time. Default: the
    /// operating system's.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Opens the store; see [`FileStore::open`].
    pub fn open(self) -> Result<FileStore, FileError> {
        let steps = Arc::new(self.make()?);
        Ok(FileStore(Arc::new(Inner {
            steps,
            turns: std::array::from_fn(|_| Arc::default()),
            user_turns: std::array::from_fn(|_| Arc::default()),
        })))
    }

    /// Makes every directory that the store will ever need: one that is missing later is a fault,
    /// not an empty store.
    pub(crate) fn make(self) -> Result<Steps, FileError> {
        let root = self.dir;
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&root)
            .map_err(FileError::io("create the directory", &root))?;
        let metadata = fs::metadata(&root).map_err(FileError::io("find", &root))?;
        if metadata.permissions().mode() & 0o002 != 0 {
            return Err(FileError::Exposed { path: root });
        }
        // A relative path would mean another directory when the process changes its own.
        let root = fs::canonicalize(&root).map_err(FileError::io("find", &root))?;
        let steps = Steps {
            root,
            durability: self.durability,
            max_data: self.max_data,
            codec: self.codec,
            clock: self.clock,
            swept: AtomicUsize::new(0),
        };
        for shard in steps.shards_from(0) {
            make_dir(shard.path())?;
        }
        users::make(&steps.root)?;
        if self.durability == Durability::Full {
            let root = &steps.root;
            fs::File::open(root)
                .and_then(|dir| dir.sync_all())
                .map_err(FileError::io("sync", root))?;
        }
        Ok(steps)
    }
}

impl fmt::Debug for FileStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileStore")
            .field("dir", &self.0.steps.root)
            .field("durability", &self.0.steps.durability)
            .finish_non_exhaustive()
    }
}

impl SessionStore for FileStore {
    async fn look(&self, id: SessionId) -> Result<Looked, StoreError> {
        self.blocking(move |steps| steps.look(id)).await
    }

    async fn cas(
        &self,
        id: SessionId,
        expect: Expect,
        record: &Record,
    ) -> Result<bool, StoreError> {
        let (record, user) = (record.clone(), record.head.user.clone());
        let step = move |steps: &Steps| steps.put(id, expect, record);
        self.joining(user.as_deref(), id, step).await
    }

    async fn sweep(&self, sweep: Sweep) -> Result<Swept, StoreError> {
        self.blocking(move |steps| steps.sweep(sweep)).await
    }

    fn name(&self) -> &'static str {
        "file"
    }

    fn scope(&self) -> Scope {
        Scope::Shared
    }

    async fn open(&self, open: &Open) -> Result<Opened, StoreError> {
        let open = *open;
        if open.lease.is_none()
            && let Some(opened) = self.blocking(move |steps| steps.read(&open)).await?
        {
            return Ok(opened);
        }
        self.locking(open.id, move |steps| steps.open(&open)).await
    }

    async fn finish(&self, finish: &Finish) -> Result<Finished, StoreError> {
        let (id, finish) = (finish.id, finish.clone());
        let user = finish.joins().map(|(user, _)| Arc::<str>::from(user));
        let step = move |steps: &Steps| steps.commit(&finish);
        self.joining(user.as_deref(), id, step).await
    }

    async fn renew(
        &self,
        id: SessionId,
        owner: Owner,
        lease: Duration,
    ) -> Result<bool, StoreError> {
        self.locking(id, move |steps| steps.renew(id, owner, lease))
            .await
    }

    async fn create(&self, new: &NewSession) -> Result<Created, StoreError> {
        let (id, new) = (new.id, new.clone());
        let user = new.user.clone();
        let step = move |steps: &Steps| steps.start(&new);
        self.joining(user.as_deref(), id, step).await
    }

    async fn destroy(&self, id: SessionId) -> Result<bool, StoreError> {
        self.locking(id, move |steps| steps.destroy(None, id)).await
    }

    async fn stats(&self) -> Result<Option<Stats>, StoreError> {
        self.blocking(|steps| steps.stats().map(Some)).await
    }

    fn users(&self) -> Option<&dyn Users> {
        Some(self)
    }

    fn scan(&self) -> Option<&dyn Scan> {
        Some(self)
    }
}

impl Users for FileStore {
    fn list<'a>(&'a self, user: &'a str, page: UserPage) -> UsersFuture<'a, Vec<View>> {
        let user = Arc::<str>::from(user);
        Box::pin(self.blocking(move |steps| steps.list(&user, page)))
    }

    fn revoke<'a>(&'a self, user: &'a str, id: SessionId) -> UsersFuture<'a, bool> {
        let user = Arc::<str>::from(user);
        Box::pin(self.locking(id, move |steps| steps.destroy(Some(&user), id)))
    }

    fn revoke_all<'a>(
        &'a self,
        user: &'a str,
        except: Option<SessionId>,
    ) -> UsersFuture<'a, Vec<SessionId>> {
        let user = Arc::<str>::from(user);
        Box::pin(self.blocking(move |steps| steps.revoke_all(&user, except)))
    }
}
