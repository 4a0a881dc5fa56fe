//! The checker of histories against a search through all orders, on histories by chance: of a
//! session that is right, and spoilt ones.

use std::collections::HashSet;

use tower_keep_testkit::history::{Action, Call, Effect, History, Outcome, State};
use tower_keep_testkit::{Rng, seed_or};

use crate::history::session;

/// The session as it is supposed to be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
struct Model {
    list: Vec<u64>,
    count: i64,
    note: Option<u64>,
    user: Option<u64>,
    secret: Option<u64>,
    ended: bool,
}

impl Model {
    fn state(&self) -> State {
        State {
            list: self.list.clone(),
            count: self.count,
            note: self.note,
            user: self.user,
        }
    }

    fn lets_in(&self, call: &Call) -> bool {
        !self.ended && (call.secret.is_none() || call.secret == self.secret)
    }

    /// Does it, if it may.
    fn apply(&mut self, call: &Call, secret: Option<u64>) -> bool {
        if call.action == Action::End {
            self.ended = true;
            return true;
        }
        if !self.lets_in(call) {
            return false;
        }
        if let Action::Write { effect, .. } = call.action {
            self.list.push(call.id);
            self.count += effect.add;
            self.note = if effect.note {
                Some(call.id)
            } else {
                self.note
            };
            self.user = if effect.user {
                Some(call.id)
            } else {
                self.user
            };
            if effect.secret {
                self.secret = secret;
            }
        }
        true
    }
}

#[derive(Debug, Clone)]
struct Row {
    call: Call,
    called: u64,
    returned: u64,
    outcome: Outcome,
    /// How far it has come: begun, in effect, over.
    stage: u8,
}

const FIRST_SECRET: u64 = 1_000;

fn generate(rng: &mut Rng, count: usize) -> Vec<Row> {
    let mut model = Model::default();
    let mut rows = vec![begin(&mut model)];
    // Of all, the last is the newest that anybody has heard of.
    let mut secrets = vec![FIRST_SECRET];
    let clients = 2 + rng.below(3);
    for at in 1.. {
        let open: Vec<_> = (0..rows.len()).filter(|i| rows[*i].stage < 2).collect();
        if rows.len() == count && open.is_empty() {
            return rows;
        }
        let begins = rows.len() < count && (open.len() as u64) < clients && rng.percent(40);
        if begins || open.is_empty() {
            let call = Call {
                id: rows.len() as u64 + 1,
                session: session(),
                secret: match rng.below(10) {
                    0..2 => None,
                    2..8 => secrets.last().copied(),
                    _ => rng.pick(&secrets).copied(),
                },
                action: action(rng),
            };
            let call = match call.action {
                Action::End => Call {
                    secret: None,
                    ..call
                },
                _ => call,
            };
            rows.push(Row {
                call,
                called: at,
                returned: u64::MAX,
                outcome: Outcome::Refused,
                stage: 0,
            });
            continue;
        }
        let row = &mut rows[*rng.pick(&open).unwrap()];
        if row.stage == 0 {
            row.outcome = effect(&mut model, &row.call, rng);
        } else {
            row.returned = at;
            if rng.percent(15) {
                row.outcome = Outcome::Unknown;
            } else if let Outcome::Done {
                secret: Some(name), ..
            } = row.outcome
            {
                secrets.push(name);
            }
        }
        row.stage += 1;
    }
    rows
}

/// The write that makes the session.
fn begin(model: &mut Model) -> Row {
    let effect = Effect {
        secret: true,
        ..Effect::default()
    };
    let call = Call {
        id: FIRST_SECRET,
        session: session(),
        secret: None,
        action: Action::Write {
            effect,
            blind: false,
        },
    };
    let (saw, secret) = (Some(model.state()), Some(FIRST_SECRET));
    model.apply(&call, secret);
    Row {
        call,
        called: 0,
        returned: 0,
        outcome: Outcome::Done { saw, secret },
        stage: 2,
    }
}

fn action(rng: &mut Rng) -> Action {
    match rng.below(20) {
        0..6 => Action::Read,
        6 if rng.percent(60) => Action::End,
        kind => Action::Write {
            effect: Effect {
                add: i64::try_from(rng.below(3)).unwrap(),
                note: rng.percent(20),
                user: rng.percent(10),
                secret: kind > 17,
            },
            blind: (10..14).contains(&kind),
        },
    }
}

fn effect(model: &mut Model, call: &Call, rng: &mut Rng) -> Outcome {
    if rng.percent(5) {
        return Outcome::Refused;
    }
    if call.action != Action::End && !model.lets_in(call) {
        return Outcome::Absent;
    }
    let before = model.state();
    let name = FIRST_SECRET + call.id;
    model.apply(call, Some(name));
    let (blind, secret) = match call.action {
        Action::Write { effect, blind } => (blind, effect.secret.then_some(name)),
        Action::Read => (false, None),
        Action::End => (true, None),
    };
    Outcome::Done {
        saw: (!blind).then_some(before),
        secret,
    }
}

/// Makes one outcome another.
fn spoil(rows: &mut [Row], rng: &mut Rng) {
    // Not the first.
    let index = 1 + usize::try_from(rng.below(rows.len() as u64 - 1)).unwrap();
    let other = rows[usize::try_from(rng.below(rows.len() as u64)).unwrap()].clone();
    let row = &mut rows[index];
    match (&mut row.outcome, rng.below(6)) {
        (Outcome::Done { saw: Some(saw), .. }, 0) => drop(saw.list.pop()),
        (Outcome::Done { saw: Some(saw), .. }, 1) => saw.count += 1,
        (Outcome::Done { saw: Some(saw), .. }, 2) if saw.list.len() > 1 => saw.list.swap(0, 1),
        (Outcome::Done { saw: Some(saw), .. }, 3) => {
            if let Outcome::Done {
                saw: Some(other), ..
            } = other.outcome
            {
                *saw = other;
            }
        }
        (Outcome::Done { .. }, 4) => row.outcome = Outcome::Refused,
        (outcome, _) if row.call.action == Action::Read => *outcome = Outcome::Absent,
        _ => {
            let span = row.returned.saturating_sub(row.called);
            if span < 1_000 {
                row.called += 30;
                row.returned += 30;
            }
        }
    }
}

/// Whether any order explains it, by trying them all.
fn explained(rows: &[Row], left: u32, model: &Model, seen: &mut HashSet<(u32, Model)>) -> bool {
    let needed = |i: usize| left & (1 << i) != 0 && rows[i].outcome != Outcome::Unknown;
    if !(0..rows.len()).any(needed) {
        return true;
    }
    if !seen.insert((left, model.clone())) {
        return false;
    }
    let returns = |i: usize| match rows[i].outcome {
        Outcome::Unknown => u64::MAX,
        _ => rows[i].returned,
    };
    let first = (0..rows.len())
        .filter(|i| left & (1 << i) != 0)
        .map(returns)
        .min();
    (0..rows.len()).any(|i| {
        if left & (1 << i) == 0 || first.is_some_and(|first| first < rows[i].called) {
            return false;
        }
        let (row, mut next) = (&rows[i], model.clone());
        let fits = match &row.outcome {
            Outcome::Refused => true,
            Outcome::Absent => !model.lets_in(&row.call),
            Outcome::Unknown => next.apply(&row.call, None),
            Outcome::Done { saw, secret } => {
                let same = saw.as_ref().is_none_or(|saw| *saw == model.state());
                same && next.apply(&row.call, *secret)
            }
        };
        fits && explained(rows, left & !(1 << i), &next, seen)
    })
}

fn history(rows: &[Row]) -> History {
    let mut history = History::default();
    for row in rows {
        history.called(row.called, row.call);
        history.returned(row.returned, row.call.id, row.outcome.clone());
    }
    history
}

/// The one case in which the checker believes what it cannot see.
fn perhaps_replaced(rows: &[Row]) -> bool {
    rows.iter().any(|row| {
        let replaces = matches!(row.call.action, Action::Write { effect, .. } if effect.secret);
        replaces && row.outcome == Outcome::Unknown
    })
}

#[test]
fn histories_of_a_right_session_pass() {
    let seed = seed_or(1);
    println!("seed {seed}");
    for round in 0..400 {
        let mut rng = Rng::new(seed ^ (round << 32));
        let rows = generate(&mut rng, 60);
        let found = history(&rows).check();
        assert!(
            found.is_empty(),
            "seed {seed}, round {round}: {found:?}\n{rows:#?}"
        );
    }
}

#[test]
fn it_says_what_a_search_through_all_orders_says() {
    let seed = seed_or(1);
    println!("seed {seed}");
    let (mut right, mut wrong, mut believed) = (0, 0, 0);
    for round in 0..3_000 {
        let mut rng = Rng::new(seed ^ (round << 32));
        let count = 3 + usize::try_from(rng.below(8)).unwrap();
        let mut rows = generate(&mut rng, count);
        for _ in 0..rng.below(3) {
            spoil(&mut rows, &mut rng);
        }
        let all = (1_u32 << rows.len()) - 1;
        let explained = explained(&rows, all, &Model::default(), &mut HashSet::new());
        let found = history(&rows).check();
        if found.is_empty() == explained {
            right += u32::from(explained);
            wrong += u32::from(!explained);
        } else {
            let why = format!("seed {seed}, round {round}: {explained}, {found:?}\n{rows:#?}");
            assert!(!explained && perhaps_replaced(&rows), "{why}");
            believed += 1;
        }
    }
    println!("{right} explained, {wrong} not, {believed} believed");
    assert!(right > 500 && wrong > 500 && believed * 20 < wrong);
}
