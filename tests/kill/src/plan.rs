//! What the child does, step by step, and what must be in the store after each.

use std::collections::BTreeMap;

use tower_keep_core::{CommitId, Owner, SecretHash, SessionId, Timestamp};

/// One step. Sessions have numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A new session; one that lasts is alive until the end.
    Create { session: u8, lasts: bool },
    /// A commit of data.
    Put { session: u8 },
    /// A commit of a new secret and data.
    Rotate { session: u8 },
    /// A commit that makes it the user's only session, so that their others end.
    Login { session: u8 },
    /// A commit that destroys it.
    Destroy { session: u8 },
    /// Destroyed by its id, whoever has the lease.
    Revoke { session: u8 },
    /// What is over is removed, tombstones too.
    Sweep,
    /// A lease that nobody gives back.
    Lease { session: u8 },
}

/// The only user.
pub const USER: &str = "ann";

/// A session that no plan has.
pub(crate) const NEW: u8 = u8::MAX;

/// What is stored of one session, as far as the steps change it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stored {
    /// It can be opened, or would be if its time were not over.
    There {
        version: u64,
        /// Grows with every commit of data.
        n: usize,
        /// Which secret it has.
        secret: u8,
        is_users: bool,
    },
    Tombstone,
    /// It was swept, after it was this.
    Swept(Box<Stored>),
    Absent,
}

/// All sessions.
pub type World = BTreeMap<u8, Stored>;

/// A sequence of steps.
#[derive(Debug, Clone)]
pub struct Plan(Vec<Step>);

impl Plan {
    /// So many times all that can happen to a session, each time to sessions of its own.
    pub fn new(rounds: u8) -> Self {
        let mut steps = Vec::new();
        for first in (0..rounds).map(|round| 6 * round) {
            let [a, b, c, d, short] = [0, 1, 2, 3, 4].map(|session| first + session);
            let lasting = |session| Step::Create {
                session,
                lasts: true,
            };
            let over_soon = Step::Create {
                session: short,
                lasts: false,
            };
            steps.extend([
                lasting(a),
                Step::Put { session: a },
                lasting(b),
                Step::Login { session: b },
                over_soon,
                Step::Rotate { session: a },
                Step::Login { session: a },
                lasting(c),
                lasting(d),
                Step::Destroy { session: c },
                Step::Revoke { session: d },
                Step::Sweep,
                Step::Put { session: a },
                Step::Lease { session: a },
            ]);
        }
        Self(steps)
    }

    pub fn steps(&self) -> &[Step] {
        &self.0
    }

    /// Whether a session is alive until the end, if it is not destroyed.
    pub fn lasts(&self, session: u8) -> bool {
        let over_soon = Step::Create {
            session,
            lasts: false,
        };
        !self.0.contains(&over_soon)
    }

    /// What must be stored when so many steps were done.
    pub fn after(&self, done: usize) -> World {
        let mut world = World::new();
        for step in &self.0 {
            if let Step::Create { session, .. } = step {
                world.insert(*session, Stored::Absent);
            }
        }
        for number in 0..done.min(self.0.len()) {
            self.apply(number, &mut world);
        }
        world
    }

    fn apply(&self, number: usize, world: &mut World) {
        let step = self.0[number];
        match step {
            Step::Create { session, .. } => {
                let stored = Stored::There {
                    version: 1,
                    n: number,
                    secret: 0,
                    is_users: false,
                };
                world.insert(session, stored);
            }
            Step::Put { session } | Step::Rotate { session } | Step::Login { session } => {
                if step == (Step::Login { session }) {
                    for other in world.values_mut() {
                        if matches!(other, Stored::There { is_users: true, .. }) {
                            *other = Stored::Tombstone;
                        }
                    }
                }
                if let Some(Stored::There {
                    version,
                    n,
                    secret,
                    is_users,
                }) = world.get_mut(&session)
                {
                    *version += 1;
                    *n = number;
                    *secret += u8::from(!matches!(step, Step::Put { .. }));
                    *is_users |= matches!(step, Step::Login { .. });
                }
            }
            Step::Destroy { session } | Step::Revoke { session } => {
                world.insert(session, Stored::Tombstone);
            }
            Step::Sweep => {
                for (session, stored) in world.iter_mut() {
                    let is_over = *stored == Stored::Tombstone
                        || !self.lasts(*session) && matches!(stored, Stored::There { .. });
                    if is_over {
                        *stored = Stored::Swept(Box::new(stored.clone()));
                    }
                }
            }
            Step::Lease { .. } => {}
        }
    }
}

/// The time of a step, by the child's clock.
pub fn time(step: usize) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000 + 1_000 * step as u64)
}

/// The name of a session. Every third has the same last byte, by which the file store chooses the
/// directory.
pub fn id(session: u8) -> SessionId {
    let mut bytes = [0; 16];
    bytes[5] = session;
    bytes[6] = 0x70;
    bytes[8] = 0x80;
    bytes[15] = 0x10 + session % 3;
    SessionId::from_bytes(bytes).unwrap()
}

/// The `number`th secret of a session.
pub fn secret(session: u8, number: u8) -> SecretHash {
    let mut bytes = [0xab; 32];
    bytes[0] = session;
    bytes[1] = number;
    SecretHash::from_bytes(bytes)
}

/// The commit of a step, the same in every try.
pub fn commit(step: usize) -> CommitId {
    CommitId::from_u128(1 + step as u128)
}

/// Who holds the lease for a step.
pub fn owner(step: usize) -> Owner {
    Owner::from_u128(1_000_000 + step as u128)
}
