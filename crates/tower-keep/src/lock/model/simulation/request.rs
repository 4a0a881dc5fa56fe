//! One request: what it does with the session, and what it hears.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};
use tower_keep_core::data::{DataLimits, Edit};
use tower_keep_core::{HeadChange, Open, Opened, SecretHash, SessionStore, View};
use tower_keep_testkit::Rng;
use tower_keep_testkit::history::{Action, Call, Effect, Outcome, State};

use super::node::{LOCKS, Node};
use super::{Story, session};
use crate::error::Error;
use crate::lock::{Commit, Keeper};

#[derive(Debug, Clone, Copy)]
enum Kind {
    Read,
    /// Takes the lock and changes nothing.
    Look,
    Write(Effect),
    Destroy,
    Revoke,
}

/// What a request is going to do.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    pub(super) id: u64,
    session: usize,
    kind: Kind,
    start: Duration,
    hold: Duration,
    /// After how long its client leaves.
    patience: Option<Duration>,
    /// Whether it comes with an old secret, if there is one.
    behind: bool,
}

impl Plan {
    pub(super) fn any(id: u64, sessions: u64, rng: &mut Rng) -> Self {
        let write = |note, user, secret| {
            Kind::Write(Effect {
                add: 1,
                note,
                user: false,
                secret: user || secret,
            })
        };
        let kind = match rng.below(100) {
            0..15 => Kind::Read,
            15..25 => Kind::Look,
            25..75 => write(rng.percent(30), false, false),
            75..92 => write(false, false, true),
            92..96 => Kind::Destroy,
            _ => Kind::Revoke,
        };
        let hold = match rng.below(20) {
            // Longer than it may, so that its lease runs out.
            0 => Duration::from_millis(4_000 + rng.below(4_000)),
            1..5 => Duration::from_millis(rng.below(1_500)),
            _ => Duration::from_millis(rng.below(30)),
        };
        Self {
            id,
            session: usize::try_from(rng.below(sessions)).unwrap(),
            kind,
            start: rng.up_to(Duration::from_secs(5)),
            hold,
            patience: rng
                .percent(15)
                .then(|| rng.up_to(Duration::from_millis(600))),
            behind: rng.percent(10),
        }
    }

    /// From its arrival to its end.
    pub(super) async fn run(self, node: Arc<Node>, story: Story) {
        sleep(self.start).await;
        if node.way.is_cut() {
            return;
        }
        let secret = story.with(|told| {
            let known = &told.secrets[self.session];
            let back = usize::from(self.behind && known.len() > 1);
            known[known.len() - 1 - back]
        });
        let by_id = matches!(self.kind, Kind::Revoke);
        story.called(Call {
            id: self.id,
            session: session(self.session),
            secret: (!by_id).then_some(secret),
            action: match self.kind {
                Kind::Read | Kind::Look => Action::Read,
                Kind::Write(effect) => Action::Write {
                    effect,
                    blind: false,
                },
                Kind::Destroy | Kind::Revoke => Action::End,
            },
        });
        let ends = self.ends(&node, secret);
        let outcome = match self.patience {
            Some(patience) => timeout(patience, ends).await.unwrap_or_default(),
            None => ends.await,
        };
        if node.way.is_cut() {
            return;
        }
        if let Outcome::Done {
            secret: Some(name), ..
        } = outcome
        {
            story.with(|told| told.secrets[self.session].push(name));
        }
        story.returned(self.id, outcome);
    }

    async fn ends(self, node: &Node, secret: u64) -> Outcome {
        let open = Open {
            id: session(self.session),
            secret: Some(hash(secret)),
            age: Duration::ZERO,
            touch: None,
            lease: None,
        };
        match self.kind {
            Kind::Read => match node.way.open(&open).await {
                Ok(Opened::Granted(view)) => Outcome::saw(state(&view)),
                Ok(_) => Outcome::Absent,
                Err(_) => Outcome::Refused,
            },
            Kind::Revoke => match node.way.destroy(open.id).await {
                Ok(_) => Outcome::Done {
                    saw: None,
                    secret: None,
                },
                Err(_) => Outcome::Unknown,
            },
            _ => self.exclusively(&node.keeper, &open).await,
        }
    }

    async fn exclusively(self, keeper: &Arc<Keeper>, open: &Open) -> Outcome {
        let (view, grant) = match keeper.acquire(open, LOCKS.wait).await {
            Ok(Ok(granted)) => granted,
            Ok(Err(_)) => return Outcome::Absent,
            Err(_) => return Outcome::Refused,
        };
        let saw = Some(state(&view));
        sleep(self.hold).await;
        let (view, commit, secret) = match self.kind {
            Kind::Write(effect) => {
                let (view, commit) = self.write(view, effect);
                (view, commit, effect.secret.then_some(self.id))
            }
            Kind::Destroy => (view, Commit::Destroy, None),
            _ => return Outcome::Done { saw, secret: None },
        };
        match grant.finish(view, commit).await {
            Ok(_) => Outcome::Done { saw, secret },
            Err(Error::Conflict(_)) => Outcome::Refused,
            Err(Error::OutcomeUnknown) => Outcome::Unknown,
            Err(error) => panic!("{error:?}"),
        }
    }

    fn write(self, view: View, effect: Effect) -> (View, Commit) {
        let View { head, data, now } = view;
        let mut edit = Edit::new(data, DataLimits::default());
        edit.push("list", &self.id).unwrap();
        edit.increment("count", effect.add).unwrap();
        if effect.note {
            edit.insert("note", &self.id).unwrap();
        }
        let change = HeadChange {
            secret: effect.secret.then(|| hash(self.id)),
            ..HeadChange::default()
        };
        let (data, patch) = edit.into_parts().unwrap();
        (View { head, data, now }, Commit::Put(change, patch))
    }
}

/// The digest of the secret of this name.
pub(super) fn hash(name: u64) -> SecretHash {
    let mut bytes = [7; 32];
    bytes[..8].copy_from_slice(&name.to_be_bytes());
    SecretHash::from_bytes(bytes)
}

/// What a request sees.
pub(super) fn state(view: &View) -> State {
    let edit = Edit::new(view.data.clone(), DataLimits::default());
    State {
        list: edit.get_or_default("list").unwrap(),
        count: edit.get_or_default("count").unwrap(),
        note: edit.get("note").unwrap(),
        user: None,
    }
}
