//! A shard's records, one beside the other in chunks: there is room for a few more than there
//! are, growing moves nothing, and a chunk that ends up empty is given back.

use tower_keep_core::Slim;

const CHUNK: usize = 64;

/// All chunks but the last are full, and none is empty.
#[derive(Default)]
pub(super) struct Slab {
    chunks: Vec<Vec<Slim>>,
}

impl Slab {
    pub(super) fn len(&self) -> usize {
        let before = self.chunks.len().saturating_sub(1);
        before * CHUNK + self.chunks.last().map_or(0, Vec::len)
    }

    #[inline]
    pub(super) fn get(&self, slot: u32) -> Option<&Slim> {
        let (chunk, at) = place(slot);
        self.chunks.get(chunk)?.get(at)
    }

    #[inline]
    pub(super) fn get_mut(&mut self, slot: u32) -> Option<&mut Slim> {
        let (chunk, at) = place(slot);
        self.chunks.get_mut(chunk)?.get_mut(at)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Slim> {
        self.chunks.iter().flatten()
    }

    /// Adds a record in the slot after the last.
    pub(super) fn push(&mut self, slim: Slim) {
        match self.chunks.last_mut() {
            Some(last) if last.len() < CHUNK => last.push(slim),
            last => {
                // The first one grows by itself: a store of a few sessions stays small.
                let room = if last.is_some() { CHUNK } else { 1 };
                let mut chunk = Vec::with_capacity(room);
                chunk.push(slim);
                self.chunks.push(chunk);
            }
        }
    }

    /// Removes a record, into whose place the last one moves.
    pub(super) fn swap_remove(&mut self, slot: u32) -> Option<Slim> {
        let last = self.pop()?;
        match self.get_mut(slot) {
            Some(place) => Some(std::mem::replace(place, last)),
            None => Some(last),
        }
    }

    fn pop(&mut self) -> Option<Slim> {
        let chunk = self.chunks.last_mut()?;
        let slim = chunk.pop();
        if chunk.is_empty() {
            self.chunks.pop();
        }
        slim
    }
}

#[inline]
fn place(slot: u32) -> (usize, usize) {
    let slot = slot as usize;
    (slot / CHUNK, slot % CHUNK)
}
