//! The nodes of an ONNX graph, and how values flow between them.

use std::collections::HashMap;

use super::super::bad;
use super::wire::{self, Value};
use crate::Error;

/// Most inputs or outputs of a node.
const MAX_PORTS: usize = 256;
/// Most nodes that a value is followed through.
const MAX_STEPS: usize = 16;

/// A `NodeProto`: <https://github.com/onnx/onnx/blob/main/onnx/onnx.proto>.
#[derive(Debug, Default)]
pub struct Node {
    /// As the exporter named it, such as `/vision_model/head/mlp/fc1/MatMul`; may be empty.
    pub name: String,
    /// The operator, such as `MatMul`.
    pub op: String,
    /// Values by name: other nodes' outputs, initializers, inputs of the graph. An optional one may be empty.
    pub inputs: Vec<String>,
    pub outputs: Vec<String>,
    /// The attributes that are integers.
    integers: HashMap<String, i64>,
}

impl Node {
    pub fn parse(message: &[u8]) -> Result<Node, Error> {
        let mut node = Node::default();
        wire::fields(message, |field, value| {
            match field {
                1 => node.inputs.push(value.text()?.into()),
                2 => node.outputs.push(value.text()?.into()),
                3 => node.name = value.text()?.into(),
                4 => node.op = value.text()?.into(),
                5 => node.add_attribute(value)?,
                _ => {}
            }
            Ok(())
        })?;
        if node.inputs.len() > MAX_PORTS || node.outputs.len() > MAX_PORTS {
            return Err(bad(format!("ONNX: node {:?} has too many inputs or outputs", node.shown())));
        }
        Ok(node)
    }

    /// The node in messages: its name and operator.
    pub fn shown(&self) -> String {
        let name: String = self.name.chars().take(120).collect();
        let op: String = self.op.chars().take(40).collect();
        format!("{name} ({op})")
    }

    pub fn input(&self, at: usize) -> &str {
        self.inputs.get(at).map_or("", String::as_str)
    }

    pub fn output(&self) -> &str {
        self.outputs.first().map_or("", String::as_str)
    }

    pub fn integer(&self, name: &str) -> Option<i64> {
        self.integers.get(name).copied()
    }

    fn add_attribute(&mut self, attribute: Value<'_>) -> Result<(), Error> {
        let Value::Bytes(message) = attribute else { return Err(bad("ONNX: an attribute is no message")) };
        let (mut name, mut integer) = ("", None);
        wire::fields(message, |field, value| {
            match (field, value) {
                (1, value) => name = value.text()?,
                (3, Value::Number(number)) => integer = Some(number as i64),
                _ => {}
            }
            Ok(())
        })?;
        if let Some(integer) = integer {
            self.integers.insert(name.into(), integer);
        }
        Ok(())
    }
}

/// All nodes of a graph, with an index of who makes and who takes each value.
#[derive(Debug)]
pub struct Nodes {
    nodes: Vec<Node>,
    producers: HashMap<String, usize>,
    consumers: HashMap<String, Vec<usize>>,
}

impl Nodes {
    pub fn new(nodes: Vec<Node>) -> Nodes {
        let (mut producers, mut consumers) = (HashMap::new(), HashMap::<String, Vec<usize>>::new());
        for (at, node) in nodes.iter().enumerate() {
            for output in node.outputs.iter().filter(|output| !output.is_empty()) {
                producers.insert(output.clone(), at);
            }
            for input in node.inputs.iter().filter(|input| !input.is_empty()) {
                consumers.entry(input.clone()).or_default().push(at);
            }
        }
        Nodes { nodes, producers, consumers }
    }

    /// In the order of the file, which is one in which they can run.
    pub fn iter(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter()
    }

    /// The node that makes a value; `None` for an initializer or an input of the graph.
    pub fn producer(&self, value: &str) -> Option<&Node> {
        self.producers.get(value).map(|&at| &self.nodes[at])
    }

    /// The nodes that take a value.
    pub fn consumers(&self, value: &str) -> impl Iterator<Item = &Node> {
        self.consumers.get(value).into_iter().flatten().map(|&at| &self.nodes[at])
    }

    /// The initializer, or the input of the graph, that a value is, if none but nodes of `ops` lie between.
    pub fn initializer<'n>(&'n self, mut value: &'n str, ops: &[&str]) -> Option<&'n str> {
        for _ in 0..MAX_STEPS {
            match self.producer(value) {
                None => return (!value.is_empty()).then_some(value),
                Some(node) if ops.contains(&node.op.as_str()) => value = node.input(0),
                Some(_) => return None,
            }
        }
        None
    }

    /// The node that a value comes from, if none but nodes of `ops` lie between.
    pub fn source<'n>(&'n self, mut value: &'n str, ops: &[&str]) -> Option<&'n Node> {
        for _ in 0..MAX_STEPS {
            let node = self.producer(value)?;
            if !ops.contains(&node.op.as_str()) {
                return Some(node);
            }
            value = node.input(0);
        }
        None
    }
}
