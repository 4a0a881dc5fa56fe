//! The temporary files of one session.

use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use tower_keep_core::SessionId;

use super::name::Name;
use super::walk::visit;
use super::{Temp, TempError, blocking, disk};

/// The private directory of one session; see [`Session::temp_dir`](crate::Session::temp_dir).
///
/// Names have one or more segments with `/` between them: `report.pdf`, `uploads/1.png`. A segment
/// must not be empty or longer than 255 bytes, nor begin with a dot, nor have a backslash or control
/// characters; a name has at most 1024 bytes and 16 segments. Links are never followed.
///
/// It may be kept longer than the request. When the session ends, the directory is gone, and so is
/// what this writes to.
#[derive(Clone)]
pub struct TempDir {
    temp: Temp,
    id: SessionId,
    path: PathBuf,
}

/// A temporary file in a [list](TempDir::list).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TempEntry {
    /// Its name.
    pub name: String,
    /// Its size in bytes.
    pub bytes: u64,
}

/// An open temporary file.
#[derive(Debug)]
#[non_exhaustive]
pub struct TempFile {
    /// To be read. It can be read to its end, even if it is replaced or removed meanwhile.
    pub file: tokio::fs::File,
    /// Its size in bytes when it was opened.
    pub bytes: u64,
}

impl TempDir {
    pub(super) fn new(temp: Temp, id: SessionId) -> Self {
        let path = temp.config.root.join(id.to_string());
        Self { temp, id, path }
    }

    /// Where it is, for those who write files themselves: with names as above, and without asking for
    /// the quota, though what they write counts. It is gone with the session.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Sets the content of a file, which is made or replaced as a whole: whoever reads it sees all of
    /// the old content or all of the new. Directories on the way are made.
    ///
    /// # Errors
    /// [`TempError::Name`]; [`TempError::TooManyBytes`] and [`TempError::TooManyFiles`], exact also
    /// for writes at the same time; [`TempError::Gone`] if the session has ended;
    /// [`TempError::Io`]. The file is as before then.
    pub async fn write(&self, name: &str, content: impl Into<Bytes>) -> Result<(), TempError> {
        let (name, content) = (Name::new(name)?, content.into());
        let (config, id) = (self.temp.config.clone(), self.id);
        blocking(move || disk::write(&config, id, &name, &content)).await
    }

    /// The content of a file. [`open`](Self::open) for large ones.
    ///
    /// # Errors
    /// [`TempError::NotFound`], [`TempError::Name`], [`TempError::Io`].
    pub async fn read(&self, name: &str) -> Result<Vec<u8>, TempError> {
        let name = Name::new(name)?;
        let (root, id) = (self.temp.root(), self.id);
        blocking(move || {
            let (mut file, _) = disk::read(&root, id, &name)?;
            let mut content = Vec::new();
            file.read_to_end(&mut content)?;
            Ok(content)
        })
        .await
    }

    /// A file to be read piece by piece.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub async fn open(&self, name: &str) -> Result<TempFile, TempError> {
        self.open_named(Name::new(name)?).await
    }

    pub(super) async fn open_named(&self, name: Name) -> Result<TempFile, TempError> {
        let (root, id) = (self.temp.root(), self.id);
        let (file, bytes) = blocking(move || disk::read(&root, id, &name)).await?;
        let file = tokio::fs::File::from_std(file);
        Ok(TempFile { file, bytes })
    }

    /// Removes a file, and the directories that are empty without it; tells whether it was there.
    ///
    /// # Errors
    /// [`TempError::Name`], [`TempError::Io`].
    pub async fn remove(&self, name: &str) -> Result<bool, TempError> {
        let name = Name::new(name)?;
        let (root, id) = (self.temp.root(), self.id);
        blocking(move || disk::unlink(&root, id, &name)).await
    }

    /// All files, by name.
    ///
    /// # Errors
    /// [`TempError::Io`].
    pub async fn list(&self) -> Result<Vec<TempEntry>, TempError> {
        let (root, id) = (self.temp.root(), self.id);
        blocking(move || {
            let mut files = Vec::new();
            if let Some(dir) = disk::open_dir(&root, id)? {
                visit(&dir, "", 0, &mut |name, bytes| {
                    let name = name.to_owned();
                    files.push(TempEntry { name, bytes });
                })?;
            }
            files.sort_unstable_by(|a, b| a.name.cmp(&b.name));
            Ok(files)
        })
        .await
    }

    /// How many bytes the files have in all.
    ///
    /// # Errors
    /// [`TempError::Io`].
    pub async fn size(&self) -> Result<u64, TempError> {
        let files = self.list().await?;
        Ok(files.iter().map(|file| file.bytes).sum())
    }
}

impl fmt::Debug for TempDir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TempDir")
            .field("session", &self.id)
            .finish_non_exhaustive()
    }
}
