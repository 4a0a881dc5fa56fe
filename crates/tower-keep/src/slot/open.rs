//! Opening a request's session: from its cookies, or by a handle's binding.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http::HeaderMap;
use smallvec::SmallVec;
use tower_keep_core::data::{Data, Edit};
use tower_keep_core::{Opened, SessionId, SessionStore, StoreError, StoreErrorKind, Token, View};
use tracing::{Instrument, debug_span, warn};

use super::merge::edit_of;
use super::work::{Absence, Asked, Origin, Work};
use super::{Identity, Slot, State};
use crate::error::{Conflict, Error};
use crate::fingerprint::Print;
use crate::lock::Grant;
use crate::request::{RequestHead, RequestInfo};
use crate::shared::{Shared, Which};
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

/// How a session is opened by its token.
#[derive(Clone, Copy)]
pub(super) struct How<'a> {
    mode: Mode,
    wait: Duration,
    /// What the client looks like, where sessions are bound to that.
    print: Option<&'a Print>,
}

/// What was found in the store.
pub(super) struct Found {
    pub(super) origin: Origin,
    pub(super) data: Data,
    pub(super) grant: Option<Grant>,
    pub(super) token: Option<Token>,
}

impl Found {
    pub(super) fn none(absence: Absence) -> Self {
        Self {
            origin: Origin::None(absence),
            data: Data::default(),
            grant: None,
            token: None,
        }
    }

    fn live(view: View, grant: Option<Grant>, token: Option<Token>) -> Self {
        Self {
            origin: Origin::Live(view.head, view.now),
            data: view.data,
            grant,
            token,
        }
    }
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
        let read_before = match &mut *self.state() {
            State::Ended(_) => return Err(Error::Closed),
            State::Open(work) => match (work.mode, mode) {
                (_, Mode::Read) => return Ok(()),
                (Mode::Write, _) | (Mode::Merge, Mode::Merge) => {
                    work.writes = true;
                    return Ok(());
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
                    if let Source::Request(head) = &source {
                        work.seen = self.shared.seen(head);
                        work.print = self.shared.print(head);
                    }
                    return Ok(());
                }
                (Mode::Read | Mode::Merge, _) => {
                    Some((work.token.clone(), work.identity(), work.user()))
                }
            },
            State::Untouched => None,
        };
        let writes = mode != Mode::Read;
        let mode = match &source {
            Source::Request(head) if self.locks_at_once(head) => Mode::Write,
            _ => mode,
        };
        if mode != Mode::Read {
            self.may_write()?;
        }
        let wait = self.wait_within(within);
        let print = source.print(&self.shared);
        let how = How {
            mode,
            wait,
            print: print.as_deref(),
        };
        let found = match (&read_before, &source) {
            (Some((Some(token), ..)), _) => self.find_one(token, how).await?,
            (_, Source::Request(head)) => self.find_by_request(head, how).await?,
            (_, Source::Tokens(tokens)) => self.find(tokens, how).await?,
            (_, Source::Bound((id, generation))) => {
                let found = self.find_by_id(*id, Some(*generation), mode, wait).await?;
                found.ok_or(Error::Stale)?
            }
            (_, Source::Id(id)) => {
                let found = self.find_by_id(*id, None, mode, wait).await?;
                found.ok_or(Error::NotFound)?
            }
            (_, Source::None) => return Err(Error::Closed),
        };
        let mut work = self.work(found, mode, &source);
        if let Some((_, identity, user)) = read_before
            && (work.identity() != identity || work.user() != user)
        {
            // A guard may have decided on what it read.
            return Err(self.shared.conflict(Conflict::Changed));
        }
        work.writes = writes;
        work.print = print;
        if mode == Mode::Merge && work.head().is_some() {
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

    /// As [`open`](Self::open) where the store needs no I/O; `None` if it has to be waited for, and
    /// then nothing has been done.
    pub(crate) fn open_at_once(
        &self,
        within: &Arc<Self>,
        mode: Mode,
        source: Source<'_>,
    ) -> Option<Result<(), Error>> {
        // Another library's store may have to be asked too.
        if !self.shared.is_local() || self.shared.import.is_some() {
            return None;
        }
        // Dropping what waits gives its place in the queue back, to be taken again at once.
        let mut cx = Context::from_waker(Waker::noop());
        match pin!(self.open(within, mode, source)).poll(&mut cx) {
            Poll::Ready(opened) => Some(opened),
            Poll::Pending => None,
        }
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

    async fn find_by_request(&self, head: &RequestHead<'_>, how: How<'_>) -> Result<Found, Error> {
        let tokens = Tokens::parse(&self.shared, head.headers);
        if tokens.parsed.is_empty() && self.shared.import.is_some() {
            // Boxed, because those who import nothing should not carry it along.
            let found = Box::pin(self.find_old(head, how)).await?;
            if let Some(found) = found {
                return Ok(found);
            }
        }
        self.find(&tokens, how).await
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

    async fn find(&self, tokens: &Tokens, how: How<'_>) -> Result<Found, Error> {
        match tokens.parsed.as_slice() {
            [] if tokens.any => Ok(Found::none(Absence::Absent)),
            [] => Ok(Found::none(Absence::NoneSent)),
            [token] => self.find_one(token, how).await,
            several => Box::pin(self.find_among(several, how)).await,
        }
    }

    pub(super) async fn find_one(&self, token: &Token, how: How<'_>) -> Result<Found, Error> {
        let which = Which {
            id: token.id(),
            secret: Some(token.secret().hash()),
            arrived: self.arrived,
        };
        let mut found = match self.load(which, how.mode, how.wait).await {
            Ok(Ok((view, grant))) => Found::live(view, grant, None),
            Ok(Err(opened)) => Found::none(absence_of(&opened)),
            Err(Error::Store(error)) if error.kind() == StoreErrorKind::Corrupt => {
                warn_damaged(which.id, &error);
                Found::none(Absence::Corrupt)
            }
            Err(error) => return Err(error),
        };
        found.token = Some(token.clone());
        match (self.shared.fingerprint, how.print) {
            (Some(config), Some(print)) => {
                Box::pin(self.of_client(found, which, (config, print), how.wait)).await
            }
            _ => Ok(found),
        }
    }

    /// Several cookies of the same name: the one that is live, if no other is.
    async fn find_among(&self, tokens: &[Token], how: How<'_>) -> Result<Found, Error> {
        let mut live: Option<&Token> = None;
        let mut worst = Absence::Absent;
        for token in tokens {
            let which = Which {
                id: token.id(),
                secret: Some(token.secret().hash()),
                arrived: self.arrived,
            };
            let opened = match self.shared.read(which, false).await {
                Err(Error::Store(error)) if error.kind() == StoreErrorKind::Corrupt => {
                    warn_damaged(which.id, &error);
                    worst = Absence::Corrupt;
                    continue;
                }
                opened => opened?,
            };
            match opened {
                Opened::Granted(_) if live.is_some() => {
                    warn!("a request carries the cookies of two live sessions; it gets neither");
                    return Ok(Found::none(Absence::Ambiguous));
                }
                Opened::Granted(_) => live = Some(token),
                Opened::Stale => worst = Absence::Stale,
                Opened::Expired if worst == Absence::Absent => worst = Absence::Expired,
                _ => {}
            }
        }
        match live {
            Some(token) => self.find_one(token, how).await,
            None => Ok(Found::none(worst)),
        }
    }

    /// Opens by id alone; if a generation is given, only under that authority.
    async fn find_by_id(
        &self,
        id: SessionId,
        generation: Option<u64>,
        mode: Mode,
        wait: Duration,
    ) -> Result<Option<Found>, Error> {
        let which = Which {
            id,
            secret: None,
            arrived: self.arrived,
        };
        match self.load(which, mode, wait).await? {
            Ok((view, grant)) if generation.is_none_or(|g| g == view.head.generation) => {
                Ok(Some(Found::live(view, grant, None)))
            }
            _ => Ok(None),
        }
    }

    /// Reads or locks; the lease comes with the view if it was asked for.
    async fn load(
        &self,
        which: Which,
        mode: Mode,
        wait: Duration,
    ) -> Result<Result<(View, Option<Grant>), Opened>, Error> {
        let span = debug_span!(
            "session.open",
            session.id = %which.id,
            store = self.shared.store.name(),
            write = mode == Mode::Write,
        );
        if span.is_disabled()
            && let Some(loaded) = self.load_now(which, mode)
        {
            return Ok(loaded);
        }
        Box::pin(self.load_within(which, mode, wait).instrument(span)).await
    }

    /// As [`load_within`](Self::load_within), where nothing has to be waited for.
    fn load_now(&self, which: Which, mode: Mode) -> Option<Result<(View, Option<Grant>), Opened>> {
        Some(if mode == Mode::Write {
            let acquired = self.shared.acquire_now(which)?;
            acquired.map(|(view, grant)| (view, Some(grant)))
        } else {
            match self.shared.read_now(which, true)? {
                Opened::Granted(view) => Ok((view, None)),
                refusal => Err(refusal),
            }
        })
    }

    async fn load_within(
        &self,
        which: Which,
        mode: Mode,
        wait: Duration,
    ) -> Result<Result<(View, Option<Grant>), Opened>, Error> {
        if mode != Mode::Write {
            return Ok(match self.shared.read(which, true).await? {
                Opened::Granted(view) => Ok((view, None)),
                refusal => Err(refusal),
            });
        }
        let acquired = self.shared.acquire(which, wait).await?;
        Ok(acquired.map(|(view, grant)| (view, Some(grant))))
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

fn warn_damaged(id: SessionId, error: &StoreError) {
    warn!(session.id = %id, %error, "a stored session is damaged; it is left as it is");
}

const fn absence_of(opened: &Opened) -> Absence {
    match opened {
        Opened::Stale => Absence::Stale,
        Opened::Expired => Absence::Expired,
        Opened::Absent | Opened::Granted(_) | Opened::Busy(_) => Absence::Absent,
    }
}

fn is_same(one: &Token, other: &Token) -> bool {
    one.id() == other.id() && one.secret().hash().matches(&other.secret().hash())
}

/// The well-formed tokens among a request's cookies.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tokens {
    parsed: SmallVec<[Token; 1]>,
    /// Whether there was any cookie of the name.
    any: bool,
    /// What the client looks like who sent them, for a handle that opens them later.
    print: Option<Box<Print>>,
}

impl Tokens {
    /// The one that was given.
    pub(crate) fn one(shared: &Shared, token: &str) -> Self {
        let parsed = shared.tokens.parse(token.as_bytes());
        Self {
            parsed: parsed.into_iter().collect(),
            any: true,
            print: None,
        }
    }

    fn parse(shared: &Shared, headers: &HeaderMap) -> Self {
        let candidates = shared.carrier.candidates(headers);
        let mut parsed = SmallVec::<[Token; 1]>::new();
        for token in candidates.iter().filter_map(|v| shared.tokens.parse(v)) {
            // One token may be there under the signatures of two keys.
            if !parsed.iter().any(|other| is_same(other, &token)) {
                parsed.push(token);
            }
        }
        Self {
            parsed,
            any: !candidates.is_empty(),
            print: None,
        }
    }

    /// Those of a request that is over when they are opened.
    pub(crate) fn of_request(shared: &Shared, head: &RequestHead<'_>) -> Self {
        Self {
            print: shared.print(head),
            ..Self::parse(shared, head.headers)
        }
    }
}
