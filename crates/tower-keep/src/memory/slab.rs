//! A shard's records, in chunks: there is room for a few more than there are, growing moves
//! nothing, and a chunk that ends up empty is given back.

use tower_keep_core::{Slim, Timestamp};

/// Records that a sweep looks at under one lock, a few microseconds' work.
pub(super) const CHUNK: usize = 64;

/// The end of a list.
const NONE: u32 = u32::MAX;

#[derive(Default)]
pub(super) struct Slab {
    chunks: Vec<Chunk>,
    /// Those that are not full.
    roomy: Vec<usize>,
}

struct Chunk {
    /// Before this instant there is nothing in it for a sweep to do.
    due: Timestamp,
    slots: Vec<Slot>,
    free: u32,
    used: usize,
}

enum Slot {
    Used(Slim),
    /// And the next that is free.
    Free(u32),
}

/// What a sweep decides on a record.
pub(super) enum Verdict {
    Keep,
    Remove,
    /// It has removed as many as it may.
    Stop,
}

/// What a sweep has removed: freed once no mutex is held.
#[derive(Default)]
pub(super) struct Removed {
    records: Vec<Slim>,
    chunks: Vec<Vec<Slot>>,
}

impl Slab {
    pub(super) fn get(&self, slot: u32) -> Option<&Slim> {
        let (chunk, at) = place(slot);
        match self.chunks.get(chunk)?.slots.get(at)? {
            Slot::Used(slim) => Some(slim),
            Slot::Free(_) => None,
        }
    }

    /// The record, and when its chunk is due, which must not be later than the record is.
    #[inline]
    pub(super) fn get_mut(&mut self, slot: u32) -> Option<(&mut Slim, &mut Timestamp)> {
        let (chunk, at) = place(slot);
        let chunk = self.chunks.get_mut(chunk)?;
        match chunk.slots.get_mut(at)? {
            Slot::Used(slim) => Some((slim, &mut chunk.due)),
            Slot::Free(_) => None,
        }
    }

    pub(super) fn insert(&mut self, slim: Slim) -> u32 {
        let number = self.roomy.last().copied().unwrap_or(self.chunks.len());
        if number == self.chunks.len() {
            self.chunks.push(Chunk::default());
            self.roomy.push(number);
        }
        let Some(chunk) = self.chunks.get_mut(number) else {
            return NONE;
        };
        // The first one grows by itself: a store of a few sessions stays small.
        let slots = if number == 0 { 0 } else { CHUNK };
        let at = chunk.insert(slim, slots);
        if chunk.used == CHUNK {
            self.roomy.pop();
        }
        // Before there are more, the memory of any machine is full.
        u32::try_from(number * CHUNK + at).unwrap_or(NONE)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Slim> {
        let slots = self.chunks.iter_mut().flat_map(|chunk| &mut chunk.slots);
        slots.filter_map(|slot| match slot {
            Slot::Used(slim) => Some(slim),
            Slot::Free(_) => None,
        })
    }

    /// The first chunk of these that is due, if any; `Err` with the one to go on from if there
    /// are more than can be looked at in one step.
    pub(super) fn next_due(&self, from: usize, now: Timestamp) -> Result<Option<usize>, usize> {
        const STEP: usize = 1_024;
        let chunks = self.chunks.iter().enumerate().skip(from);
        let mut chunks = chunks.take(STEP);
        match chunks.find(|(_, chunk)| chunk.used > 0 && chunk.due <= now) {
            Some((number, _)) => Ok(Some(number)),
            None if from + STEP < self.chunks.len() => Err(from + STEP),
            None => Ok(None),
        }
    }

    /// Judges the records of a chunk that are due. Tells whether it went to
    /// the end.
    pub(super) fn sweep(
        &mut self,
        number: usize,
        now: Timestamp,
        removed: &mut Removed,
        mut judge: impl FnMut(u32, &mut Slim) -> Verdict,
    ) -> bool {
        let Some(chunk) = self.chunks.get_mut(number) else {
            return true;
        };
        let (full, mut due) = (chunk.used == CHUNK, Timestamp::MAX);
        let mut ended = true;
        for (at, slot) in chunk.slots.iter_mut().enumerate() {
            let Slot::Used(slim) = slot else {
                continue;
            };
            let verdict = match slim.due() {
                later if later > now => Verdict::Keep,
                _ => judge(u32::try_from(number * CHUNK + at).unwrap_or(NONE), slim),
            };
            match verdict {
                Verdict::Keep => due = due.min(slim.due()),
                Verdict::Remove => {
                    let free = std::mem::replace(slot, Slot::Free(chunk.free));
                    chunk.free = u32::try_from(at).unwrap_or(NONE);
                    chunk.used -= 1;
                    if let Slot::Used(slim) = free {
                        removed.records.push(slim);
                    }
                }
                Verdict::Stop => {
                    ended = false;
                    break;
                }
            }
        }
        if ended {
            chunk.due = due;
        }
        if full && chunk.used < CHUNK {
            self.roomy.push(number);
        }
        if chunk.used == 0 {
            let empty = std::mem::take(chunk);
            removed.chunks.push(empty.slots);
        }
        ended
    }
}

impl Default for Chunk {
    fn default() -> Self {
        Self {
            due: Timestamp::MAX,
            slots: Vec::new(),
            free: NONE,
            used: 0,
        }
    }
}

impl Chunk {
    fn insert(&mut self, slim: Slim, slots: usize) -> usize {
        self.due = self.due.min(slim.due());
        self.used += 1;
        let free = usize::try_from(self.free).unwrap_or(usize::MAX);
        if let Some(slot) = self.slots.get_mut(free)
            && let Slot::Free(next) = *slot
        {
            *slot = Slot::Used(slim);
            self.free = next;
            return free;
        }
        if self.slots.capacity() < slots {
            self.slots.reserve_exact(slots);
        }
        self.slots.push(Slot::Used(slim));
        self.slots.len() - 1
    }
}

#[inline]
fn place(slot: u32) -> (usize, usize) {
    let slot = slot as usize;
    (slot / CHUNK, slot % CHUNK)
}
