//! `file:PATH`, `file:///PATH`.

use std::path::Path;

use tower_keep::{DynStore, StoreError, StoreErrorKind};
use tower_keep_file::FileStore;

use crate::scheme::Target;
use crate::{ConnectError, StoreConfig};

pub(super) async fn open(
    target: Target<'_>,
    config: &StoreConfig,
) -> Result<DynStore, ConnectError> {
    let path = match target.rest.strip_prefix("//") {
        Some(path) if !path.is_empty() && !path.starts_with('/') => {
            return Err(target.invalid("write `file:PATH`, or `file:///PATH` for an absolute path"));
        }
        Some(path) => path,
        None => target.rest,
    };
    if path.is_empty() {
        return Err(target.missing("a path: `file:PATH`"));
    }
    // A directory of the store's, which one of somebody else does not have.
    if config.existing && !Path::new(path).join("00").is_dir() {
        return Err(target.not_there(path));
    }
    let mut builder = FileStore::builder(path);
    if let Some(bytes) = config.max_data {
        builder = builder.max_data(bytes);
    }
    if let Some(codec) = config.codec {
        builder = builder.codec(codec);
    }
    // It makes some hundred directories, if they are not there.
    let opened = tokio::task::spawn_blocking(|| builder.open()).await;
    let opened = match opened {
        Ok(opened) => opened.map_err(StoreError::from),
        Err(ended) => Err(StoreError::new(StoreErrorKind::Unavailable, ended)),
    };
    opened.map(DynStore::new).map_err(|e| target.failed(e))
}
