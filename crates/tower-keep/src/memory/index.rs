//! Where in a shard's slab a record is, by 32 bits of its id.
//!
//! An array in the order of these bits, with gaps. They also say where each entry would like to
//! be; it is there or, without a gap between, behind. So looking for one ends at the first gap or
//! greater number, on one or two cache lines, and growing is one pass from the front to the back
//! that looks at nothing else. It grows by half, so a session takes 11 to 16 bytes here.

const EMPTY: Entry = Entry {
    hash: 0,
    slot: u32::MAX,
};

/// With fewer, moving things would cost more than room.
const LEAST: usize = 16;

#[derive(Clone, Copy)]
struct Entry {
    hash: u32,
    slot: u32,
}

impl Entry {
    const fn is_empty(self) -> bool {
        self.slot == EMPTY.slot
    }
}

#[derive(Default)]
pub(super) struct Index {
    /// As many as there are places to like, and some more for those who would like the last.
    entries: Vec<Entry>,
    places: usize,
    len: usize,
}

impl Index {
    /// The slot with this hash that is the right one.
    #[inline]
    pub(super) fn find(&self, hash: u32, is_right: impl FnMut(u32) -> bool) -> Option<u32> {
        let at = self.position(hash, is_right)?;
        self.entries.get(at).map(|entry| entry.slot)
    }

    /// Adds a slot, which is none that is there.
    pub(super) fn insert(&mut self, hash: u32, slot: u32) {
        if (self.len + 1) * 4 > self.places * 3 {
            self.rebuild((self.places + self.places / 2).max(LEAST));
        }
        let mut at = home(hash, self.places);
        while let Some(entry) = self.entries.get(at) {
            if entry.is_empty() || entry.hash > hash {
                break;
            }
            at += 1;
        }
        let mut moving = Entry { hash, slot };
        for entry in self.entries.iter_mut().skip(at) {
            std::mem::swap(entry, &mut moving);
            if moving.is_empty() {
                break;
            }
        }
        if !moving.is_empty() {
            self.entries.push(moving);
        }
        self.len += 1;
    }

    pub(super) fn remove(&mut self, hash: u32, slot: u32) {
        let Some(mut at) = self.position(hash, |other| other == slot) else {
            return;
        };
        while let Some(next) = self.entries.get(at + 1).copied()
            && !next.is_empty()
            && home(next.hash, self.places) <= at
            && let Some(gap) = self.entries.get_mut(at)
        {
            *gap = next;
            at += 1;
        }
        if let Some(gap) = self.entries.get_mut(at) {
            *gap = EMPTY;
        }
        self.len -= 1;
    }

    /// Tells of a slot that its record has moved to another.
    pub(super) fn replace(&mut self, hash: u32, slot: u32, by: u32) {
        let at = self.position(hash, |other| other == slot);
        if let Some(entry) = at.and_then(|at| self.entries.get_mut(at)) {
            entry.slot = by;
        }
    }

    /// Gives back most of its room if it needs little of it.
    pub(super) fn shrink(&mut self) {
        if self.places > LEAST && self.len * 4 < self.places {
            self.rebuild((self.len * 3 / 2).max(LEAST));
        }
    }

    #[inline]
    fn position(&self, hash: u32, mut is_right: impl FnMut(u32) -> bool) -> Option<usize> {
        let mut at = home(hash, self.places);
        loop {
            let entry = self.entries.get(at)?;
            if entry.is_empty() || entry.hash > hash {
                return None;
            }
            if entry.hash == hash && is_right(entry.slot) {
                return Some(at);
            }
            at += 1;
        }
    }

    #[cold]
    fn rebuild(&mut self, places: usize) {
        // Where the last places are full, a few more are needed.
        let mut entries = Vec::with_capacity(places + LEAST * 2);
        for entry in self.entries.iter().filter(|entry| !entry.is_empty()) {
            let home = home(entry.hash, places);
            if entries.len() < home {
                entries.resize(home, EMPTY);
            }
            entries.push(*entry);
        }
        if entries.len() < places {
            entries.resize(places, EMPTY);
        }
        (self.entries, self.places) = (entries, places);
    }
}

/// Where an entry would like to be: as far into the places as its hash is into the hashes.
#[inline]
fn home(hash: u32, places: usize) -> usize {
    ((u64::from(hash) * places as u64) >> u32::BITS) as usize
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use tower_keep_testkit::Rng;

    use super::*;

    impl Index {
        /// In order, each where it may be, and so many as it says.
        fn check(&self) {
            let mut last = 0;
            let mut gap = 0;
            for (at, entry) in self.entries.iter().enumerate() {
                if entry.is_empty() {
                    gap = at + 1;
                    continue;
                }
                assert!(last <= entry.hash);
                assert!((gap..=at).contains(&home(entry.hash, self.places)));
                last = entry.hash;
            }
            let full = self.entries.iter().filter(|entry| !entry.is_empty());
            assert_eq!(full.count(), self.len);
        }
    }

    /// Spread out, crowded at either end, and all the same.
    const RANGES: [(u64, u64); 4] = [(0, 1 << 32), (0, 50), ((1 << 32) - 50, 50), (7, 1)];

    #[test]
    fn it_finds_what_is_there_and_nothing_else() {
        for (seed, (first, range)) in (1..).zip(RANGES) {
            let mut rng = Rng::new(seed);
            let mut index = Index::default();
            let mut model = BTreeMap::new();
            for slot in 0..1_500_u32 {
                let hash = u32::try_from(first + rng.below(range)).unwrap();
                index.insert(hash, slot);
                model.insert(slot, hash);
                if rng.percent(30) {
                    let slot = u32::try_from(rng.below(u64::from(slot) + 1)).unwrap();
                    match model.remove(&slot) {
                        Some(hash) => index.remove(hash, slot),
                        None => assert_eq!(index.find(hash, |other| other == slot), None),
                    }
                }
                if slot % 100 == 0 {
                    index.check();
                }
            }
            for (slot, hash) in &model {
                assert_eq!(index.find(*hash, |other| other == *slot), Some(*slot));
                assert_eq!(index.find(*hash, |_| false), None);
            }
            let room = index.entries.len();
            for (slot, hash) in model {
                index.remove(hash, slot);
                index.shrink();
                assert_eq!(index.find(hash, |other| other == slot), None);
            }
            index.check();
            assert_eq!(index.len, 0);
            assert!(index.entries.len() <= 3 * LEAST && room > 1_000);
        }
    }

    #[test]
    fn a_session_takes_little_room() {
        let mut rng = Rng::new(1);
        let mut index = Index::default();
        for slot in 0..20_000 {
            let hash = u32::try_from(rng.below(1 << 32)).unwrap();
            index.insert(hash, slot);
            if slot > 1_000 {
                let bytes = index.entries.capacity() * size_of::<Entry>();
                let (of_ten, count) = (10 * bytes, slot as usize + 1);
                assert!(
                    (106 * count..163 * count).contains(&of_ten),
                    "{bytes} for {count}"
                );
            }
        }
    }
}
