//! Walking over everything that a store holds.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use crate::error::{StoreError, StoreErrorKind};
use crate::id::SessionId;
use crate::store::View;

/// Where a walk goes on: made by a store, and given back to the same store as it is.
///
/// What is in it is the store's business. It holds no secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Cursor(Box<[u8]>);

impl Cursor {
    /// A cursor of these bytes.
    pub fn new(bytes: impl Into<Box<[u8]>>) -> Self {
        Self(bytes.into())
    }

    /// The bytes that it was made of.
    pub const fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The cursor of stores that walk in some order of the ids: behind this one.
    pub fn behind(id: SessionId) -> Self {
        Self::new(id.as_bytes().as_slice())
    }

    /// The id that [`behind`](Self::behind) was given.
    ///
    /// # Errors
    /// [`StoreErrorKind::Unsupported`] if the cursor was made in another way: it is another store's.
    pub fn id(&self) -> Result<SessionId, StoreError> {
        let bytes = <[u8; 16]>::try_from(self.as_bytes()).map_err(|_| self.foreign())?;
        SessionId::from_bytes(bytes).map_err(|_| self.foreign())
    }

    /// The error for a cursor that the store has not made.
    pub fn foreign(&self) -> StoreError {
        let why = "the cursor of the walk is not one of this store";
        StoreError::new(StoreErrorKind::Unsupported, why)
    }
}

impl fmt::Debug for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cursor({} bytes)", self.0.len())
    }
}

/// A part of a walk; see [`Scan`].
#[derive(Debug, Clone, Default)]
pub struct ScanPage {
    /// Sessions that were alive when the store looked, without their data, in no promised order.
    pub views: Vec<View>,
    /// Records that are there and cannot be read, and why. Whether they are alive is not known.
    pub unreadable: Vec<(SessionId, StoreErrorKind)>,
    /// Where the next page begins; `None` at the end of the walk.
    pub next: Option<Cursor>,
}

/// What a call of [`Scan`] comes to.
pub type ScanFuture<'a> = Pin<Box<dyn Future<Output = Result<ScanPage, StoreError>> + Send + 'a>>;

/// A store that can be walked over, page by page (optional ability, see
/// [`SessionStore::scan`](crate::SessionStore::scan)). For administration: a walk may look at every
/// record, and every one that is alive is in it, whosever it is.
///
/// # Rules
/// 1. *Complete.* A session that is alive from before the first page is asked for until after the
///    last one was answered is in the walk. One that begins or ends meanwhile may be.
/// 2. *Once.* It is in the walk exactly once, unless [`may_repeat`](Self::may_repeat) says
///    otherwise.
/// 3. *Alive.* What was over or destroyed when its page was asked for is not in it.
/// 4. *One bad record is not the end.* A record that cannot be read is told in
///    [`ScanPage::unreadable`], and the walk goes on.
/// 5. *Ends.* A page may be empty and not be the last one. Where nobody creates sessions, a walk
///    has an end.
/// 6. *No lock.* A walk keeps nothing open between two pages, and keeps no request waiting; it may
///    be given up at any page, or go on from its cursor in another process.
///
/// ```
/// # async fn f(store: tower_keep_core::DynStore) -> Result<(), tower_keep_core::StoreError> {
/// use tower_keep_core::SessionStore;
///
/// let Some(scan) = store.scan() else { return Ok(()) };
/// let mut from = None;
/// loop {
///     let page = scan.page(from.as_ref(), 500).await?;
///     for view in &page.views {
///         println!("{}", view.head.id);
///     }
///     from = page.next;
///     if from.is_none() {
///         return Ok(());
///     }
/// }
/// # }
/// ```
pub trait Scan: Send + Sync {
    /// The sessions behind `from`, which is [`ScanPage::next`] of the page before; `None` begins. A
    /// page has about `limit` of them, as exactly as the engine can keep to it.
    ///
    /// # Errors
    /// As for every verb: the store could not answer. [`StoreErrorKind::Unsupported`] for a cursor
    /// that is another store's.
    fn page<'a>(&'a self, from: Option<&'a Cursor>, limit: usize) -> ScanFuture<'a>;

    /// Whether a walk may show a session more than once, though nothing moved it. Default no.
    fn may_repeat(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    struct Empty;

    impl Scan for Empty {
        fn page<'a>(&'a self, _: Option<&'a Cursor>, _: usize) -> ScanFuture<'a> {
            Box::pin(async { Ok(ScanPage::default()) })
        }
    }

    #[test]
    fn a_walk_repeats_nothing_unless_its_store_says_so() {
        assert!(!Empty.may_repeat());
    }

    #[test]
    fn a_cursor_does_not_show_what_is_in_it() {
        assert_eq!(format!("{:?}", Cursor::new([1, 2, 3])), "Cursor(3 bytes)");
    }

    #[test]
    fn a_cursor_of_another_kind_is_refused() {
        let id = SessionId::new(Timestamp::from_millis(1));
        assert_eq!(Cursor::behind(id).id().unwrap(), id);
        for bytes in [&[0; 16][..], &[], &[7; 17]] {
            let error = Cursor::new(bytes).id().unwrap_err();
            assert_eq!(error.kind(), StoreErrorKind::Unsupported);
        }
    }
}
