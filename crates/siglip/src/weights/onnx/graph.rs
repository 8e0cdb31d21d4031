//! What each initializer of a graph is for.

use std::collections::{BTreeSet, HashMap};

use super::names;
use super::nodes::{Node, Nodes};
use super::sequence;
use super::weight::Weight;
use crate::Error;

/// The initializers that a model needs, by name.
#[derive(Debug, Default)]
pub struct Graph {
    weights: HashMap<String, Vec<Weight>>,
    /// Scales and zero points, and how many weights wait for each.
    companions: HashMap<String, usize>,
    /// For the other initializers: a node that uses it.
    users: HashMap<String, String>,
}

/// What an initializer is for.
pub enum Purpose<'g> {
    /// It holds these tensors: more than one if the exporter has found them to be equal.
    Weights(&'g [Weight]),
    /// So many tensors need it to be decoded.
    Companion(usize),
    /// A constant of the computation, used by this node; "" if none uses it.
    Constant(&'g str),
}

impl Graph {
    /// Finds the weights among what the nodes use.
    ///
    /// # Errors
    /// [`Error::UnsupportedModel`] if this is no graph of a SigLIP that is known here.
    pub fn new(nodes: Vec<Node>) -> Result<Graph, Error> {
        let nodes = Nodes::new(nodes);
        let mut graph = Graph::default();
        let mut found = Vec::new();
        if nodes.iter().any(names::is_of_siglip) {
            for node in nodes.iter() {
                found.extend(names::weights(&nodes, node)?);
            }
        } else {
            found = sequence::weights(&nodes)?;
        }
        for (initializer, weight) in found {
            let weights = graph.weights.entry(initializer).or_default();
            // Queries, keys and values are cut from one tensor, by two nodes.
            if weights.contains(&weight) {
                continue;
            }
            for companion in weight.companions() {
                *graph.companions.entry(companion.into()).or_default() += 1;
            }
            weights.push(weight);
        }
        for node in nodes.iter() {
            for input in node.inputs.iter().filter(|input| nodes.producer(input).is_none()) {
                let is_known = graph.weights.contains_key(input) || graph.companions.contains_key(input);
                if !is_known && !graph.users.contains_key(input) {
                    graph.users.insert(input.clone(), node.shown());
                }
            }
        }
        Ok(graph)
    }

    /// The names of the tensors that the file holds.
    pub fn tensors(&self) -> BTreeSet<&str> {
        self.weights.values().flatten().map(|weight| weight.tensor.as_str()).collect()
    }

    pub fn purpose(&self, initializer: &str) -> Purpose<'_> {
        if let Some(weights) = self.weights.get(initializer) {
            return Purpose::Weights(weights);
        }
        match self.companions.get(initializer) {
            Some(&weights) => Purpose::Companion(weights),
            None => Purpose::Constant(self.users.get(initializer).map_or("", String::as_str)),
        }
    }
}
