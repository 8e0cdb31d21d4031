//! Where each name's picture is: a hash table whose slots hold places alone, since the names are kept with the pictures.

use std::hash::{BuildHasher, RandomState};

const EMPTY: u32 = u32::MAX;
const REMOVED: u32 = u32::MAX - 1;
/// Slots of the smallest table.
const LEAST: usize = 16;

/// Open addressing with linear probing. The length is a power of two, and a quarter at least is empty.
#[derive(Debug, Clone, Default)]
pub struct Places {
    slots: Vec<u32>,
    /// Slots that are not empty.
    used: usize,
    state: RandomState,
}

impl Places {
    /// The place of a name. `name_of` gives the name of a place.
    pub fn get<'n>(&self, name: &str, name_of: impl Fn(usize) -> &'n str) -> Option<usize> {
        self.slot(name, name_of).map(|slot| self.slots[slot] as usize)
    }

    /// Adds a name that is not there. `count` is how many there are then.
    pub fn insert<'n>(&mut self, place: usize, count: usize, name_of: impl Fn(usize) -> &'n str) {
        if 4 * (self.used + 1) > 3 * self.slots.len() {
            let room = (2 * count).next_power_of_two().max(LEAST);
            let former = std::mem::replace(&mut self.slots, vec![EMPTY; room]);
            self.used = 0;
            for place in former.into_iter().filter(|place| *place < REMOVED) {
                self.put(place, name_of(place as usize));
            }
        }
        self.put(place as u32, name_of(place));
    }

    /// Removes a name, and returns its place.
    pub fn remove<'n>(&mut self, name: &str, name_of: impl Fn(usize) -> &'n str) -> Option<usize> {
        let slot = self.slot(name, name_of)?;
        Some(std::mem::replace(&mut self.slots[slot], REMOVED) as usize)
    }

    /// Gives a name that is there another place.
    pub fn set<'n>(&mut self, name: &str, place: usize, name_of: impl Fn(usize) -> &'n str) {
        if let Some(slot) = self.slot(name, name_of) {
            self.slots[slot] = place as u32;
        }
    }

    fn put(&mut self, place: u32, name: &str) {
        let free = self.probe(name).find(|slot| self.slots[*slot] == EMPTY);
        if let Some(slot) = free {
            self.slots[slot] = place;
            self.used += 1;
        }
    }

    fn slot<'n>(&self, name: &str, name_of: impl Fn(usize) -> &'n str) -> Option<usize> {
        self.probe(name).take_while(|slot| self.slots[*slot] != EMPTY).find(|slot| {
            let place = self.slots[*slot];
            place != REMOVED && name_of(place as usize) == name
        })
    }

    /// The slots that a name may have, the likeliest first.
    fn probe(&self, name: &str) -> impl Iterator<Item = usize> + use<> {
        let (first, len) = (self.state.hash_one(name) as usize, self.slots.len());
        (0..len).map(move |step| first.wrapping_add(step) & (len - 1))
    }
}
