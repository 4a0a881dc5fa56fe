//! B14: the codec of what stands in the files.

use std::path::Path;

use tower_keep::core::data::{Data, DataLimits, Edit};
use tower_keep::core::{CommitId, HeadChange, Op, Put, Secret, SessionStore};
use tower_keep::core::{Finish, Finished, Opened, Owner, SessionId};
use tower_keep::{Codec, StoreErrorKind};
use tower_keep_file::{Durability, FileStore};

use crate::common::{file_of, new_session};

const LEASE: std::time::Duration = std::time::Duration::from_secs(10);

fn store(dir: &Path, codec: Codec) -> FileStore {
    let builder = FileStore::builder(dir).durability(Durability::NoSync);
    builder.codec(codec).open().unwrap()
}

/// The number of the codec in front of the body of this length.
fn stored_codec(dir: &Path, id: SessionId, body: usize) -> u8 {
    let file = std::fs::read(file_of(dir, id)).unwrap();
    // Behind it stand the length of the body, the body, and the checksum.
    file[file.len() - 8 - body - 8 - 1]
}

async fn read(store: &FileStore, id: SessionId) -> Data {
    let record = store.look(id).await.unwrap().record;
    record.unwrap().0.data
}

/// A commit that adds to the data.
async fn add(store: &FileStore, id: SessionId, key: &str) {
    let owner = Owner::unique();
    let open = tower_keep::core::Open {
        id,
        secret: None,
        age: std::time::Duration::ZERO,
        touch: None,
        lease: Some((owner, LEASE)),
    };
    let Opened::Granted(view) = store.open(&open).await.unwrap() else {
        panic!("it is not free");
    };
    let mut edit = Edit::new(view.data, DataLimits::default());
    edit.insert(key, &1.5).unwrap();
    let finish = Finish {
        id,
        owner,
        version: view.head.version,
        commit: CommitId::unique(),
        op: Op::Put(Put {
            head: HeadChange::default(),
            data: Some(edit.into_data().unwrap()),
        }),
        next: None,
    };
    let finished = store.finish(&finish).await.unwrap();
    assert!(matches!(finished, Finished::Done { .. }), "{finished:?}");
}

#[tokio::test]
async fn b14_json_is_what_is_written_unless_told_otherwise() {
    let dir = tempfile::tempdir().unwrap();
    let store = FileStore::open(dir.path()).unwrap();
    let new = new_session(&Secret::generate().unwrap());
    store.create(&new).await.unwrap();
    assert_eq!(stored_codec(dir.path(), new.id, new.data.size()), 1);
}

#[cfg(feature = "messagepack")]
#[tokio::test]
async fn b14_the_codec_may_be_changed_back_and_forth() {
    let dir = tempfile::tempdir().unwrap();
    let [json, packed] = [Codec::Json, Codec::MessagePack].map(|codec| store(dir.path(), codec));
    let new = new_session(&Secret::generate().unwrap());
    packed.create(&new).await.unwrap();
    let mut keys = new.data.len();
    for (writer, codec, number) in [
        (&packed, Codec::MessagePack, 2),
        (&json, Codec::Json, 1),
        (&packed, Codec::MessagePack, 2),
    ] {
        add(writer, new.id, &format!("key{keys}")).await;
        keys += 1;
        let data = read(&json, new.id).await;
        assert_eq!(data, read(&packed, new.id).await);
        assert_eq!(data.len(), keys);
        let body = data.to_body(codec).len() - 1;
        assert_eq!(stored_codec(dir.path(), new.id, body), number);
    }
}

/// A build without the codec, in a rolling deployment for example, loses nothing.
#[tokio::test]
async fn b14_an_unknown_codec_is_left_alone() {
    use sha2::{Digest, Sha256};
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path(), Codec::Json);
    let new = new_session(&Secret::generate().unwrap());
    store.create(&new).await.unwrap();
    let path = file_of(dir.path(), new.id);
    let mut file = std::fs::read(&path).unwrap();
    let codec = file.len() - 8 - new.data.size() - 8 - 1;
    file[codec] = 77;
    // The checksum is that of the record, which begins behind the revision.
    let end = file.len() - 8;
    let check = Sha256::digest(&file[12..end]);
    file[end..].copy_from_slice(&check[..8]);
    std::fs::write(&path, &file).unwrap();
    let error = store.look(new.id).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unsupported);
    assert_eq!(std::fs::read(&path).unwrap(), file);
}
