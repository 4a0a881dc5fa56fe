//! One session's history: the lists that were seen make one, and everything follows from it.

use std::collections::{BTreeSet, HashMap};

use tower_keep_core::SessionId;

use super::anomaly::{Anomaly, Kind};
use super::places::{Placed, in_order};
use super::{Action, Operation, Outcome, State};

/// What is wrong with the operations of one session.
pub(super) fn session(session: SessionId, operations: &[&Operation]) -> Vec<Anomaly> {
    let lists = Lists::of(operations);
    let mut kinds = lists.problems();
    // Without one list there are no places.
    if kinds.is_empty() {
        let checker = Checker::new(operations, &lists);
        let placed: Vec<_> = operations
            .iter()
            .flat_map(|operation| checker.judge(operation, &mut kinds))
            .collect();
        in_order(placed, lists.seen, &mut kinds);
    }
    let anomaly = |kind| Anomaly { session, kind };
    kinds.into_iter().map(anomaly).collect()
}

/// A list that an operation saw, and its own write behind it.
#[derive(Clone, Copy)]
struct Sight<'a> {
    by: u64,
    list: &'a [u64],
    own: Option<u64>,
}

impl Sight<'_> {
    fn len(&self) -> usize {
        self.list.len() + usize::from(self.own.is_some())
    }

    fn get(&self, at: usize) -> Option<u64> {
        let own = self.own.filter(|_| at == self.list.len());
        self.list.get(at).copied().or(own)
    }
}

struct Lists<'a> {
    writes: HashMap<u64, &'a Operation>,
    sights: Vec<Sight<'a>>,
    /// *L*, and who saw it.
    longest: Vec<u64>,
    by: u64,
    /// How much of *L* somebody saw.
    seen: usize,
}

impl<'a> Lists<'a> {
    fn of(operations: &[&'a Operation]) -> Self {
        let writes = operations.iter().filter(|o| o.effect().is_some());
        let writes: HashMap<_, _> = writes.map(|o| (o.call.id, *o)).collect();
        let sight = |o: &&'a Operation| {
            o.saw().map(|saw| Sight {
                by: o.call.id,
                list: &saw.list,
                own: o.effect().map(|_| o.call.id),
            })
        };
        let sights: Vec<_> = operations.iter().filter_map(sight).collect();
        let longest = sights.iter().max_by_key(|sight| sight.len()).copied();
        Self {
            writes,
            longest: longest.map_or(Vec::new(), |l| {
                (0..l.len()).filter_map(|i| l.get(i)).collect()
            }),
            by: longest.map_or(0, |longest| longest.by),
            seen: sights
                .iter()
                .map(|s| s.list.len())
                .max()
                .unwrap_or_default(),
            sights,
        }
    }

    fn problems(&self) -> Vec<Kind> {
        let mut kinds = Vec::new();
        let mut met = BTreeSet::new();
        for id in &self.longest {
            if !met.insert(*id) {
                kinds.push(Kind::Duplicated(*id, self.by));
            }
            match self.writes.get(id) {
                None => kinds.push(Kind::Invented(*id, self.by)),
                Some(write) if matches!(write.outcome, Outcome::Done { .. } | Outcome::Unknown) => {
                }
                Some(_) => kinds.push(Kind::RefusedIsThere(*id)),
            }
        }
        let split = |sight: &Sight<'_>| {
            let at =
                (0..sight.len()).find(|at| sight.get(*at) != self.longest.get(*at).copied())?;
            Some(self.why_split(sight, at))
        };
        kinds.extend(self.sights.iter().filter_map(split));
        kinds
    }

    /// Why a list is not a part of the longest one, from `at` on.
    fn why_split(&self, sight: &Sight<'_>, at: usize) -> Kind {
        let (one, other) = (sight.get(at), self.longest.get(at).copied());
        let upon = |id: Option<u64>| {
            let write = self.writes.get(&id?)?;
            write
                .saw()
                .filter(|saw| saw.list.len() == at)
                .map(|_| write.call.id)
        };
        if let (Some(one), Some(other)) = (upon(one), upon(other)) {
            return Kind::TwoWinners(one, other);
        }
        match one {
            Some(id) if !self.writes.contains_key(&id) => Kind::Invented(id, sight.by),
            Some(id) if sight.list[..at.min(sight.list.len())].contains(&id) => {
                Kind::Duplicated(id, sight.by)
            }
            Some(id) if !self.longest.contains(&id) && self.writes[&id].is_done() => Kind::Lost(id),
            _ => Kind::Reordered(sight.by, self.by),
        }
    }
}

/// By whom the session may be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holder {
    /// Nothing is known of the secret.
    Anyone,
    Named(u64),
    /// Nobody has heard of the secret.
    Nobody,
}

impl Holder {
    fn lets_in(self, secret: Option<u64>) -> bool {
        match (self, secret) {
            (Self::Anyone, _) | (_, None) => true,
            (Self::Named(name), Some(secret)) => name == secret,
            (Self::Nobody, Some(_)) => false,
        }
    }
}

/// What the state is after so many writes of *L*, but for the list.
#[derive(Debug, Clone, Copy)]
struct After {
    count: i64,
    note: Option<u64>,
    user: Option<u64>,
    holder: Holder,
}

impl After {
    fn is(&self, saw: &State) -> bool {
        (self.count, self.note, self.user) == (saw.count, saw.note, saw.user)
    }
}

struct Checker<'a> {
    operations: &'a [&'a Operation],
    /// One more than there are writes.
    after: Vec<After>,
    index: HashMap<u64, usize>,
    /// After how many writes a secret opens the session no longer.
    replaced: HashMap<u64, usize>,
    introduced: BTreeSet<u64>,
    first_replaced: Option<usize>,
    ends: usize,
}

impl<'a> Checker<'a> {
    fn new(operations: &'a [&'a Operation], lists: &Lists<'_>) -> Self {
        let mut state = After {
            count: 0,
            note: None,
            user: None,
            holder: Holder::Anyone,
        };
        let ends =
            |o: &&&Operation| o.call.action == Action::End && (o.is_done() || o.is_unknown());
        let mut checker = Self {
            operations,
            after: vec![state],
            index: HashMap::new(),
            replaced: HashMap::new(),
            introduced: BTreeSet::new(),
            first_replaced: None,
            ends: operations.iter().filter(ends).count(),
        };
        for (at, id) in lists.longest.iter().enumerate() {
            let Some(effect) = lists.writes.get(id).and_then(|write| write.effect()) else {
                continue;
            };
            checker.index.insert(*id, at);
            state.count += effect.add;
            state.note = if effect.note { Some(*id) } else { state.note };
            state.user = if effect.user { Some(*id) } else { state.user };
            if effect.secret {
                match state.holder {
                    Holder::Anyone => checker.first_replaced = Some(at + 1),
                    Holder::Named(name) => drop(checker.replaced.insert(name, at + 1)),
                    Holder::Nobody => {}
                }
                state.holder = match lists.writes[id].outcome {
                    Outcome::Done {
                        secret: Some(name), ..
                    } => Holder::Named(name),
                    _ => Holder::Nobody,
                };
                if let Holder::Named(name) = state.holder {
                    checker.introduced.insert(name);
                }
            }
            checker.after.push(state);
        }
        checker
    }

    /// How many writes are in *L*.
    fn len(&self) -> usize {
        self.after.len() - 1
    }

    /// Checks what an operation saw, and where it belongs.
    fn judge(&self, operation: &'a Operation, kinds: &mut Vec<Kind>) -> Vec<Placed<'a>> {
        let id = operation.call.id;
        let saw = operation.saw().map(|saw| (saw.list.len(), saw));
        let written = self.index.get(&id).copied();
        // After so many writes it was let in.
        let seen = saw.map(|(at, _)| at).or(written);
        let entered = if operation.is_done() {
            Some(seen.unwrap_or(self.len()))
        } else {
            written
        };
        if let Some(at) = entered
            && !self.after[at].holder.lets_in(operation.call.secret)
        {
            kinds.push(Kind::WrongSecret(id));
        }
        if let Some((at, saw)) = saw
            && !self.after[at].is(saw)
        {
            kinds.push(Kind::Inconsistent(id));
        }
        let reading = saw.map(|(at, _)| Placed::reading(operation, at));
        match (operation.call.action, &operation.outcome) {
            (_, Outcome::Absent) => self.absent(operation, kinds).into_iter().collect(),
            (Action::Read, Outcome::Done { .. }) => reading.into_iter().collect(),
            (Action::Write { .. }, Outcome::Done { .. }) => {
                vec![Placed::writing(operation, written.unwrap_or(self.len()))]
            }
            (Action::Write { .. }, Outcome::Unknown) => {
                let place = |at| Placed::writing(operation, at);
                written.map(place).into_iter().collect()
            }
            (Action::End, Outcome::Done { .. }) => {
                // Who finds the session gone when it wants to end it has reached that too.
                if let Some((at, _)) = saw
                    && self.ends == 1
                    && at < self.len()
                {
                    let missed = self.index.iter().find(|(_, index)| **index == at);
                    kinds.push(Kind::Stale(id, missed.map_or(id, |(missed, _)| *missed)));
                }
                let ending = Placed::ending(operation, self.len());
                reading.into_iter().chain([ending]).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Whoever was told that there is no session: why?
    fn absent(&self, operation: &'a Operation, kinds: &mut Vec<Kind>) -> Option<Placed<'a>> {
        let secret = operation.call.secret;
        let replaced = secret.and_then(|name| {
            let known = self.replaced.get(&name).copied();
            known.or(self
                .first_replaced
                .filter(|_| !self.introduced.contains(&name)))
        });
        if let Some(at) = replaced {
            return Some(Placed::shut_out(operation, at));
        }
        let before = |o: &Operation| o.called <= operation.returned;
        let perhaps_replaced = secret.is_some()
            && self.operations.iter().any(|o| {
                let rotates = o.effect().is_some_and(|effect| effect.secret);
                rotates && o.is_unknown() && !self.index.contains_key(&o.call.id) && before(o)
            });
        if perhaps_replaced {
            return None;
        }
        let ended = self
            .operations
            .iter()
            .any(|o| o.call.action == Action::End && (o.is_done() || o.is_unknown()) && before(o));
        if ended {
            return Some(Placed::after_end(operation, self.len()));
        }
        kinds.push(Kind::Vanished(operation.call.id));
        None
    }
}
