//! Which expired sessions were told of already.

use std::collections::{HashSet, VecDeque};

use tower_keep_core::SessionId;

/// So many are remembered: a client that keeps coming with the cookie of an expired session is told
/// of once, unless thousands of others come between.
const MOST: usize = 4_096;

/// Sessions that were met after their end and that no sweep has removed yet.
#[derive(Debug, Default)]
pub(super) struct Met {
    ids: HashSet<SessionId>,
    /// In the order in which they came; those that were removed since are in it as well.
    order: VecDeque<SessionId>,
}

impl Met {
    /// Whether it is a new one.
    pub(super) fn add(&mut self, id: SessionId) -> bool {
        if !self.ids.insert(id) {
            return false;
        }
        if self.order.len() == MOST
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
        self.order.push_back(id);
        true
    }

    /// Whether it was there.
    pub(super) fn remove(&mut self, id: SessionId) -> bool {
        self.ids.remove(&id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tower_keep_core::Timestamp;

    #[test]
    fn the_last_ones_are_remembered() {
        let mut met = Met::default();
        let ids: Vec<_> = (0..=MOST as u64)
            .map(|n| SessionId::new(Timestamp::from_millis(n)))
            .collect();
        assert!(ids.iter().all(|id| met.add(*id)));
        assert!(met.ids.len() == MOST && met.order.len() == MOST);
        assert!(!met.remove(ids[0]), "the oldest made room");
        assert!(!met.add(ids[1]) && met.remove(ids[1]) && !met.remove(ids[1]));
    }
}
