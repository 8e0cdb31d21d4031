//! What to load and how, as `worker.js` says it.

use std::collections::BTreeMap;

use serde::Deserialize;
use siglip::model::{Precision, Shard, Towers};

use crate::error::Error;
use crate::fetch::Patience;
use crate::integrity;
use crate::store::Manifest;

/// Options of a load.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Options {
    precision: String,
    towers: String,
    /// Whether the model is kept for the next visit.
    pub cache: bool,
    /// Workers that share the model.
    pub workers: usize,
    /// Sent with every request, kept nowhere.
    pub headers: BTreeMap<String, String>,
    /// By file name.
    sha256: BTreeMap<String, String>,
    stall_timeout: u32,
    retry_delay: u32,
}

impl Options {
    /// How its matrices are kept.
    pub fn precision(&self) -> Result<Precision, Error> {
        let names = "neither \"q8\" nor \"f32\"";
        Precision::from_name(&self.precision)
            .ok_or_else(|| Error::BadInput(format!("precision {:?} is {names}", self.precision)))
    }

    /// Which towers it has.
    pub fn towers(&self) -> Result<Towers, Error> {
        let names = "none of \"image\", \"text\" and \"both\"";
        Towers::from_name(&self.towers)
            .ok_or_else(|| Error::BadInput(format!("towers {:?} is {names}", self.towers)))
    }

    /// One worker's part.
    pub fn shard(&self, index: usize) -> Result<Shard, Error> {
        Ok(Shard::new(index, self.workers)?)
    }

    /// The sha256 that the page asks for.
    pub fn sha256(&self, file: &str) -> Result<Option<String>, Error> {
        let Some(given) = self.sha256.get(file) else { return Ok(None) };
        let parsed = integrity::parse(given);
        parsed.map(Some).ok_or_else(|| Error::BadInput(format!("sha256 of {file}: {given:?} is no sha256")))
    }

    /// How long to wait.
    pub fn patience(&self) -> Patience {
        Patience { stall: self.stall_timeout, retry: self.retry_delay }
    }

    /// What it is called where it is kept.
    pub fn manifest(&self, model: &str) -> Manifest {
        Manifest { model: model.into(), precision: self.precision.clone(), towers: self.towers.clone() }
    }
}
