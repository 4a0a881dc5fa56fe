//! Opening a request's session: from its cookies, or by a handle's binding.

use std::sync::Arc;
use std::time::Duration;

use tower_keep_core::data::Edit;
use tower_keep_core::{SessionId, Token};

use super::find::Found;
use super::merge::edit_of;
use super::tokens::Tokens;
use super::work::{Asked, Origin, Work};
use super::{Identity, Slot, State};
use crate::error::{Conflict, Error};
use crate::fingerprint::Print;
use crate::request::{RequestHead, RequestInfo};
use crate::shared::Shared;
use crate::sync::atomic::Ordering;
use crate::typed::Pending;

/// What an open session may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Read,
    Write,
    /// To be changed without the lease: what is done is noted, and done again on the newest state.
    Merge,
    /// To be read only from now on: it was committed early, or the request is over.
    Closed,
}

/// Who asks for a session, and which.
pub(crate) enum Source<'a> {
    /// A request, by its cookies.
    Request(&'a RequestHead<'a>),
    /// A handle, by the cookies of the request it was made in.
    Tokens(&'a Tokens),
    /// A handle that has met its session before.
    Bound(Identity),
    /// An administrator, whoever is logged in.
    Id(SessionId),
    /// Who has it open.
    None,
}

/// While one session of a request is held, another is waited for only this long: two requests
/// that hold one and want the other's would wait for each other.
const SECOND_WAIT: Duration = Duration::from_secs(1);

/// What is to be opened.
pub(super) struct Wanted {
    pub(super) mode: Mode,
    pub(super) wait: Duration,
    /// What the client looks like, where sessions are bound to that.
    pub(super) print: Option<Box<Print>>,
    /// What this request has read of it.
    pub(super) before: Option<Before>,
    /// Whether it was asked for to be changed.
    writes: bool,
}

/// What a request that now writes has read.
pub(super) struct Before {
    pub(super) token: Option<Token>,
    identity: Option<Identity>,
    user: Option<Arc<str>>,
}

impl Slot {
    /// Opens the session, if this request has not yet, or not for writing.
    ///
    /// `within` is the innermost slot of the request, in whose layer the asker runs.
    pub(crate) async fn open(
        &self,
        within: &Arc<Self>,
        mode: Mode,
        source: Source<'_>,
    ) -> Result<(), Error> {
        self.tried.store(true, Ordering::Relaxed);
        let _opening = self.opening.begin().await;
        let Some(wanted) = self.wanted(within, mode, &source)? else {
            return Ok(());
        };
        let found = self.find(&wanted, &source).await?;
        self.put(found, wanted, &source)
    }

    /// As [`open`](Self::open) where nothing has to be waited for; otherwise `None`, and nothing
    /// has been done.
    pub(crate) fn open_at_once(
        &self,
        within: &Arc<Self>,
        mode: Mode,
        source: &Source<'_>,
    ) -> Option<Result<(), Error>> {
        // Another library's store may have to be asked too.
        if !self.shared.is_local() || self.shared.import.is_some() {
            return None;
        }
        let _opening = self.opening.begin_now()?;
        self.tried.store(true, Ordering::Relaxed);
        let wanted = match self.wanted(within, mode, source) {
            Ok(Some(wanted)) => wanted,
            done => return Some(done.map(|_| ())),
        };
        let found = self.find_now(&wanted, source)?;
        Some(self.put(found, wanted, source))
    }

    /// What has to be found; nothing if what is open is enough.
    fn wanted(
        &self,
        within: &Arc<Self>,
        mode: Mode,
        source: &Source<'_>,
    ) -> Result<Option<Wanted>, Error> {
        let before = match &mut *self.state() {
            State::Ended(_) => return Err(Error::Closed),
            State::Open(work) => match (work.mode, mode) {
                (_, Mode::Read) => return Ok(None),
                (Mode::Write, _) | (Mode::Merge, Mode::Merge) => {
                    work.writes = true;
                    return Ok(None);
                }
                (Mode::Closed, _) => return Err(Error::Closed),
                (Mode::Read, _) if work.head().is_none() || mode == Mode::Merge => {
                    // There is nothing to lock, or not now.
                    self.may_write()?;
                    work.writes = true;
                    if work.head().is_none() {
                        work.mode = Mode::Write;
                    } else {
                        self.start_merging(work, source.only_peeks())?;
                    }
                    if let Source::Request(head) = source {
                        work.seen = self.shared.seen(head);
                        work.print = self.shared.print(head);
                    }
                    return Ok(None);
                }
                (Mode::Read | Mode::Merge, _) => Some(Before {
                    token: work.token.clone(),
                    identity: work.identity(),
                    user: work.user(),
                }),
            },
            State::Untouched => None,
        };
        let writes = mode != Mode::Read;
        let mode = match source {
            Source::Request(head) if self.locks_at_once(head) => Mode::Write,
            _ => mode,
        };
        if mode != Mode::Read {
            self.may_write()?;
        }
        Ok(Some(Wanted {
            mode,
            wait: self.wait_within(within),
            print: source.print(&self.shared),
            before,
            writes,
        }))
    }

    /// Has the session open from here on.
    fn put(&self, found: Found, wanted: Wanted, source: &Source<'_>) -> Result<(), Error> {
        let mut work = self.work(found, wanted.mode, source);
        if let Some(before) = wanted.before
            && (work.identity() != before.identity || work.user() != before.user)
        {
            // A guard may have decided on what it read.
            return Err(self.shared.conflict(Conflict::Changed));
        }
        work.writes = wanted.writes;
        work.print = wanted.print;
        if wanted.mode == Mode::Merge && work.head().is_some() {
            self.start_merging(&mut work, source.only_peeks())?;
        } else if work.edit.has_flash() && !source.only_peeks() {
            // Who only reads sees what is left for this request as well, and saves nothing of it.
            work.edit.age_flash();
        }
        match &mut *self.state() {
            // The request ended while an extraction that outlived it was waiting. The grant in
            // `work` is given back when this function returns.
            State::Ended(_) => return Err(Error::Closed),
            State::Open(over) if over.mode == Mode::Closed => return Err(Error::Closed),
            State::Open(before) if before.merging.is_some() => {
                self.take_over(&mut work, before)?;
                *before = work;
            }
            state => *state = State::Open(work),
        }
        Ok(())
    }

    fn locks_at_once(&self, head: &RequestHead<'_>) -> bool {
        let lock_for = self.shared.lock_for.as_ref();
        lock_for.is_some_and(|lock_for| lock_for(head)) && self.may_write().is_ok()
    }

    /// How long to wait for the session's lease where these slots are the request's.
    fn wait_within(&self, within: &Arc<Self>) -> Duration {
        if within.chain().any(|slot| slot.holds_lease()) {
            self.shared.locks.wait.min(SECOND_WAIT)
        } else {
            self.shared.locks.wait
        }
    }

    /// As [`wait_within`](Self::wait_within) at the request's end, when those within have ended.
    pub(super) fn wait(&self) -> Duration {
        let outer = self.outer.as_ref();
        outer.map_or(self.shared.locks.wait, |outer| self.wait_within(outer))
    }

    /// No session is opened for writing once the layer shuts down.
    pub(super) fn may_write(&self) -> Result<(), Error> {
        if self.shared.tasks.is_closed() {
            return Err(Error::ShuttingDown);
        }
        Ok(())
    }

    fn work(&self, found: Found, mode: Mode, source: &Source<'_>) -> Box<Work> {
        let shared = &self.shared;
        let head = match source {
            Source::Request(head) => Some(*head),
            _ => None,
        };
        let info = head.filter(|_| shared.on_error.is_some());
        let writes = mode != Mode::Read;
        let edit = match &found.origin {
            Origin::Live(head, now) => edit_of(shared, found.data, head, *now),
            Origin::None(_) => Edit::new(found.data, shared.data),
        };
        Box::new(Work {
            edit,
            // Without a stored session there is nothing to merge with.
            mode: match (mode, &found.origin) {
                (Mode::Merge, Origin::None(_)) => Mode::Write,
                _ => mode,
            },
            origin: found.origin,
            writes: false,
            grant: found.grant,
            merging: None,
            asked: Asked::default(),
            pending: Pending::default(),
            doomed: None,
            token: found.token,
            seen: head
                .filter(|_| writes)
                .map(|head| shared.seen(head))
                .unwrap_or_default(),
            print: None,
            discarded: false,
            cookie: None,
            info: info.map(|head| Box::new(RequestInfo::from(head))),
        })
    }

    /// The id that the request's token names, unchecked.
    pub(crate) fn claimed_id(&self, head: &RequestHead<'_>) -> Option<SessionId> {
        if let Some((id, _)) = self.identity() {
            return Some(id);
        }
        let tokens = Tokens::parse(&self.shared, head.headers);
        match tokens.parsed.first() {
            Some(token) => Some(token.id()),
            None => self.old(head).map(|(.., token)| token.id()),
        }
    }
}

impl Source<'_> {
    /// What the client looks like who sends a token. Whoever has none is bound already, or an
    /// administrator.
    fn print(&self, shared: &Shared) -> Option<Box<Print>> {
        match self {
            Self::Request(head) => shared.print(head),
            Self::Tokens(tokens) => tokens.print.clone(),
            _ => None,
        }
    }

    /// Only what shows a page ages its flash messages.
    fn only_peeks(&self) -> bool {
        match self {
            Self::Request(head) => head.only_peeks(),
            _ => true,
        }
    }
}
