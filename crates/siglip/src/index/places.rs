//! Where each name's picture is. The table holds places alone, since the names are kept with the pictures.

use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;

/// The places of the names in an index.
#[derive(Debug, Clone, Default)]
pub struct Places {
    table: HashTable<u32>,
    state: RandomState,
}

impl Places {
    /// The place of a name. `name_of` gives the name of a place.
    pub fn get<'n>(&self, name: &str, name_of: impl Fn(usize) -> &'n str) -> Option<usize> {
        let found = self.table.find(self.state.hash_one(name), |place| name_of(*place as usize) == name);
        found.map(|place| *place as usize)
    }

    /// Adds a name that is not there.
    pub fn insert<'n>(&mut self, place: usize, name_of: impl Fn(usize) -> &'n str) {
        let hash_of = |place: &u32| self.state.hash_one(name_of(*place as usize));
        let place = place as u32;
        self.table.insert_unique(hash_of(&place), place, hash_of);
    }

    /// Removes a name, and returns its place.
    pub fn remove<'n>(&mut self, name: &str, name_of: impl Fn(usize) -> &'n str) -> Option<usize> {
        let hash = self.state.hash_one(name);
        let found = self.table.find_entry(hash, |place| name_of(*place as usize) == name).ok()?;
        Some(found.remove().0 as usize)
    }

    /// Gives a name that is there another place.
    pub fn set<'n>(&mut self, name: &str, place: usize, name_of: impl Fn(usize) -> &'n str) {
        let hash = self.state.hash_one(name);
        if let Some(found) = self.table.find_mut(hash, |place| name_of(*place as usize) == name) {
            *found = place as u32;
        }
    }
}
