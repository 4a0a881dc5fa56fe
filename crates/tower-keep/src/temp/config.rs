//! Where temporary files are kept, and how many.

use std::path::PathBuf;

use super::Temp;
use crate::layer::SessionLayerBuilder;

/// A directory for the temporary files of sessions (feature `temp`, Unix only): uploads that are not
/// finished, exports to be fetched. Each session has a directory of its own in it, which goes with the
/// session.
///
/// ```
/// # async fn f() -> Result<(), Box<dyn std::error::Error>> {
/// use tower_keep::{Error, MemoryStore, Session, SessionLayer, TempStorage};
///
/// let layer = SessionLayer::builder(MemoryStore::new())
///     .temp_storage(TempStorage::new("/var/lib/shop/tmp").max_bytes(100 * 1024 * 1024))
///     .build()?;
///
/// async fn export(session: Session) -> Result<&'static str, Error> {
///     let dir = session.temp_dir().await?;
///     dir.write("orders.csv", "id,total\n1,9.90\n").await?;
///     Ok("ready at /files/orders.csv")
/// }
/// # Ok(()) }
/// ```
///
/// Give it a directory of the application's own, that nothing else writes to and no web server serves.
/// It is made with mode 0700 when it is first needed, if it is not there, and so are the sessions'. It
/// must be on a local file system, because locks and the atomicity of renaming are relied upon; the
/// processes of one machine may share it. Where a session's requests go to several machines, they must
/// all see the same directory, or each has its own files.
#[derive(Debug, Clone)]
pub struct TempStorage {
    pub(super) root: PathBuf,
    pub(super) max_bytes: u64,
    pub(super) max_files: usize,
}

impl TempStorage {
    /// Files below `root`: at most 16 MiB and 100 files a session.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            max_bytes: 16 * 1024 * 1024,
            max_files: 100,
        }
    }

    /// How many bytes the files of one session may have in all. Default: 16 MiB.
    #[must_use]
    pub const fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// How many files one session may have. Default: 100.
    #[must_use]
    pub const fn max_files(mut self, files: usize) -> Self {
        self.max_files = files;
        self
    }
}

impl SessionLayerBuilder {
    /// Where the sessions of this layer have temporary files (feature `temp`). Default: nowhere.
    pub fn temp_storage(mut self, storage: TempStorage) -> Self {
        self.temp = Some(storage);
        self
    }

    pub(crate) fn temp(&self, tasks: &std::sync::Arc<crate::lock::Tasks>) -> Option<Temp> {
        let storage = self.temp.clone()?;
        Some(Temp::new(storage, tasks.clone()))
    }
}
