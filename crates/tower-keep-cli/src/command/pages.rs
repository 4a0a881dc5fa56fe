//! Sessions, page by page: of one user, or all.

use std::collections::HashSet;

use tower_keep::core::{Cursor, Scan, Users, View};
use tower_keep::{DynStore, SessionId, SessionStore, StoreErrorKind, UserPage};

use super::users;
use crate::error::Failure;

/// How many sessions a page has, about.
const PAGE: usize = 500;

/// What a page brings.
#[derive(Default)]
pub(super) struct Page {
    pub(super) views: Vec<View>,
    pub(super) unreadable: Vec<(SessionId, StoreErrorKind)>,
}

/// Where the next page comes from.
pub(super) enum Pages<'a> {
    OfUser {
        users: &'a dyn Users,
        user: &'a str,
        before: Option<SessionId>,
    },
    All {
        scan: &'a dyn Scan,
        from: Option<Cursor>,
        /// Which were shown, where the store may show one again.
        seen: Option<HashSet<SessionId>>,
    },
    Over,
}

impl<'a> Pages<'a> {
    pub(super) fn of_user(store: &'a DynStore, user: &'a str) -> Result<Self, Failure> {
        let users = users(store)?;
        let before = None;
        Ok(Self::OfUser {
            users,
            user,
            before,
        })
    }

    pub(super) fn all(store: &'a DynStore) -> Result<Self, Failure> {
        let scan = store.scan().ok_or_else(|| Failure::Unable {
            store: store.name(),
            what: "be walked over: name a user",
        })?;
        let seen = scan.may_repeat().then(HashSet::new);
        let from = None;
        Ok(Self::All { scan, from, seen })
    }

    /// The next page, if there is one. It may be empty.
    pub(super) async fn next(&mut self) -> Result<Option<Page>, Failure> {
        let (page, is_last) = match self {
            Self::Over => return Ok(None),
            Self::OfUser {
                users,
                user,
                before,
            } => {
                let wanted = UserPage {
                    before: *before,
                    limit: PAGE,
                    data: false,
                };
                let views = users.list(user, wanted).await?;
                *before = views.last().map(|view| view.head.id);
                let is_last = views.len() < PAGE;
                let page = Page {
                    views,
                    ..Page::default()
                };
                (page, is_last)
            }
            Self::All { scan, from, seen } => {
                let page = scan.page(from.as_ref(), PAGE).await?;
                let (mut views, mut unreadable) = (page.views, page.unreadable);
                if let Some(seen) = seen {
                    views.retain(|view| seen.insert(view.head.id));
                    unreadable.retain(|(id, _)| seen.insert(*id));
                }
                *from = page.next;
                (Page { views, unreadable }, from.is_none())
            }
        };
        if is_last {
            *self = Self::Over;
        }
        Ok(Some(page))
    }

    /// Whether there was no other page behind the last one.
    pub(super) const fn is_over(&self) -> bool {
        matches!(self, Self::Over)
    }
}
