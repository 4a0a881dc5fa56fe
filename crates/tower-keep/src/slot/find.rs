//! Finding a request's session in the store.

use std::time::Duration;

use tower_keep_core::data::Data;
use tower_keep_core::{Opened, SessionId, SessionStore, StoreError, StoreErrorKind, Token, View};
use tracing::{Instrument, Span, debug_span, warn};

use super::Slot;
use super::open::{Mode, Source, Wanted};
use super::tokens::Tokens;
use super::work::{Absence, Origin};
use crate::error::Error;
use crate::fingerprint::Print;
use crate::lock::Grant;
use crate::request::RequestHead;
use crate::shared::Which;

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

/// What the store answers; the lease comes with the view if it was asked for.
type Loaded = Result<(View, Option<Grant>), Opened>;

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

    fn by_token(loaded: Loaded, token: &Token) -> Self {
        let token = Some(token.clone());
        match loaded {
            Ok((view, grant)) => Self::live(view, grant, token),
            Err(opened) => Self {
                token,
                ..Self::none(absence_of(&opened))
            },
        }
    }
}

impl Slot {
    /// As [`find`](Self::find), where nothing has to be waited for; otherwise `None`, and nothing
    /// has been done.
    pub(super) fn find_now(&self, wanted: &Wanted, source: &Source<'_>) -> Option<Found> {
        if wanted.print.is_some() {
            return None;
        }
        let sent;
        let token = match (&wanted.before, source) {
            (Some(before), _) => before.token.as_ref()?,
            (None, Source::Request(head)) => {
                sent = Tokens::parse(&self.shared, head.headers);
                match sent.parsed.as_slice() {
                    [] => return Some(Found::none(sent.absence())),
                    [token] => token,
                    _ => return None,
                }
            }
            _ => return None,
        };
        let which = self.which(token);
        let _within = self.span(which, wanted.mode).entered();
        let loaded = if wanted.mode == Mode::Write {
            let acquired = self.shared.acquire_now(which)?;
            acquired.map(|(view, grant)| (view, Some(grant)))
        } else {
            match self.shared.read_now(which, true)? {
                Opened::Granted(view) => Ok((view, None)),
                refusal => Err(refusal),
            }
        };
        Some(Found::by_token(loaded, token))
    }

    /// Finds what is wanted.
    pub(super) async fn find(&self, wanted: &Wanted, source: &Source<'_>) -> Result<Found, Error> {
        let &Wanted { mode, wait, .. } = wanted;
        let how = How {
            mode,
            wait,
            print: wanted.print.as_deref(),
        };
        let before = wanted.before.as_ref();
        if let Some(token) = before.and_then(|before| before.token.as_ref()) {
            return self.find_one(token, how).await;
        }
        match source {
            Source::Request(head) => self.find_by_request(head, how).await,
            Source::Tokens(tokens) => self.find_by(tokens, how).await,
            Source::Bound((id, generation)) => {
                let found = self.find_by_id(*id, Some(*generation), how).await?;
                found.ok_or(Error::Stale)
            }
            Source::Id(id) => {
                let found = self.find_by_id(*id, None, how).await?;
                found.ok_or(Error::NotFound)
            }
            Source::None => Err(Error::Closed),
        }
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
        self.find_by(&tokens, how).await
    }

    async fn find_by(&self, tokens: &Tokens, how: How<'_>) -> Result<Found, Error> {
        match tokens.parsed.as_slice() {
            [] => Ok(Found::none(tokens.absence())),
            [token] => self.find_one(token, how).await,
            several => Box::pin(self.find_among(several, how)).await,
        }
    }

    pub(super) async fn find_one(&self, token: &Token, how: How<'_>) -> Result<Found, Error> {
        let which = self.which(token);
        let found = match self.load(which, how).await {
            Ok(loaded) => Found::by_token(loaded, token),
            Err(Error::Store(error)) if error.kind() == StoreErrorKind::Corrupt => {
                warn_damaged(which.id, &error);
                Found {
                    token: Some(token.clone()),
                    ..Found::none(Absence::Corrupt)
                }
            }
            Err(error) => return Err(error),
        };
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
            let which = self.which(token);
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
        how: How<'_>,
    ) -> Result<Option<Found>, Error> {
        let which = Which {
            id,
            secret: None,
            arrived: self.arrived,
        };
        match self.load(which, how).await? {
            Ok((view, grant)) if generation.is_none_or(|g| g == view.head.generation) => {
                Ok(Some(Found::live(view, grant, None)))
            }
            _ => Ok(None),
        }
    }

    /// Reads or locks.
    async fn load(&self, which: Which, how: How<'_>) -> Result<Loaded, Error> {
        let load = async {
            if how.mode != Mode::Write {
                return Ok(match self.shared.read(which, true).await? {
                    Opened::Granted(view) => Ok((view, None)),
                    refusal => Err(refusal),
                });
            }
            let acquired = self.shared.acquire(which, how.wait).await?;
            Ok(acquired.map(|(view, grant)| (view, Some(grant))))
        };
        let span = self.span(which, how.mode);
        Box::pin(load.instrument(span)).await
    }

    fn span(&self, which: Which, mode: Mode) -> Span {
        debug_span!(
            "session.open",
            session.id = %which.id,
            store = self.shared.store.name(),
            write = mode == Mode::Write,
        )
    }

    fn which(&self, token: &Token) -> Which {
        Which {
            id: token.id(),
            secret: Some(token.secret().hash()),
            arrived: self.arrived,
        }
    }
}

impl Tokens {
    /// Why there is no session if none of them is well-formed.
    const fn absence(&self) -> Absence {
        if self.any {
            Absence::Absent
        } else {
            Absence::NoneSent
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
