//! The tensors of a graph whose nodes have no names of modules: a tower by itself, told by its structure.
//!
//! The operators that use weights depend on each other, so their order is that of the layers, with two exceptions.
//! Queries, keys and values are made side by side: they are told by what the attention does with them. And the pooling
//! head's query depends on the probe alone, so it may come anywhere. Nothing is guessed: any other operator out of order
//! makes the graph an unknown one.

use std::collections::VecDeque;

use super::names::Found;
use super::nodes::{Node, Nodes};
use super::weight::{Part, SAME, Storage, Weight, matrix, table};
use crate::Error;

/// Operators that move or scale values without weights.
const MOVES: [&str; 8] =
    ["Reshape", "Transpose", "Squeeze", "Unsqueeze", "Cast", "Mul", "Div", "DequantizeLinear"];

/// A use of weights.
enum Layer<'n> {
    Patches(Linear<'n>),
    Tokens(&'n str, Storage),
    Positions(&'n str),
    Norm {
        weight: &'n str,
        bias: &'n str,
    },
    Linear(Linear<'n>),
    Probe(&'n str),
    /// The query that is made of the probe.
    ProbeQuery(Linear<'n>),
}

struct Linear<'n> {
    weight: &'n str,
    part: Part,
    storage: Storage,
    bias: &'n str,
    /// The value with the bias added.
    output: &'n str,
}

/// The three inputs of an attention.
#[derive(Clone, Copy, PartialEq)]
enum Role {
    Query,
    Key,
    Value,
}

/// The weights of a tower.
///
/// # Errors
/// [`Error::UnsupportedModel`] if the graph is no tower of a SigLIP.
pub fn weights(nodes: &Nodes) -> Result<Vec<Found>, Error> {
    let (mut layers, mut probe) = (VecDeque::new(), Vec::new());
    for node in nodes.iter() {
        match layer(nodes, node, layers.back())? {
            Some(layer @ (Layer::Probe(_) | Layer::ProbeQuery(_))) => probe.push(layer),
            Some(layer) => layers.push_back(layer),
            None => {}
        }
    }
    let mut tower = Tower { nodes, layers, probe, found: Vec::new() };
    tower.read().ok_or_else(|| {
        Error::unsupported(
            "ONNX graph",
            "its nodes are neither named after the modules of a SigLIP nor in the order of one; \
             load the checkpoint's model.safetensors",
        )
    })?;
    Ok(tower.found)
}

/// The use of weights that a node is, if it is one.
fn layer<'n>(nodes: &'n Nodes, node: &'n Node, last: Option<&Layer<'n>>) -> Result<Option<Layer<'n>>, Error> {
    if let Some((weight, part, storage)) = matrix(nodes, node)? {
        let scaled = scaled_output(nodes, node);
        let (bias, output) = match nodes.initializer(node.input(2), SAME) {
            Some(bias) if matches!(node.op.as_str(), "Conv" | "Gemm") => (bias, node.output()),
            _ => {
                let added = nodes.consumers(scaled).find(|consumer| consumer.op == "Add");
                let bias = |add: &'n Node| {
                    let of = |input: &'n String| nodes.initializer(input, &["Identity", "Reshape"]);
                    Some((add.inputs.iter().find_map(of)?, add.output()))
                };
                match added.and_then(bias) {
                    Some(found) => found,
                    None => return Ok(None),
                }
            }
        };
        let linear = Linear { weight, part, storage, bias, output };
        let is_of_probe = || {
            let made_of = nodes.source(node.input(0), &["Identity", "Cast", "DynamicQuantizeLinear"]);
            made_of.is_some_and(|source| source.op == "Expand")
        };
        return Ok(Some(match () {
            () if node.op.starts_with("Conv") => Layer::Patches(linear),
            () if is_of_probe() => Layer::ProbeQuery(linear),
            () => Layer::Linear(linear),
        }));
    }
    Ok(match node.op.as_str() {
        "Gather" => table(nodes, node).map(|(initializer, storage)| Layer::Tokens(initializer, storage)),
        "Expand" => nodes.initializer(node.input(0), SAME).map(Layer::Probe),
        "LayerNormalization" => {
            let [weight, bias] = [1, 2].map(|at| nodes.initializer(node.input(at), SAME));
            weight.zip(bias).map(|(weight, bias)| Layer::Norm { weight, bias })
        }
        "Add" => {
            let is_bias = |add: &str| matches!(last, Some(Layer::Patches(patches)) if patches.output == add);
            let is_first = matches!(last, Some(Layer::Patches(_) | Layer::Tokens(..)));
            let initializer = node.inputs.iter().find_map(|input| nodes.initializer(input, SAME));
            initializer.filter(|_| is_first && !is_bias(node.output())).map(Layer::Positions)
        }
        _ => None,
    })
}

/// The product as floats: integers are cast and scaled first.
fn scaled_output<'n>(nodes: &'n Nodes, node: &'n Node) -> &'n str {
    let scaled = || {
        let cast = nodes.consumers(node.output()).find(|consumer| consumer.op == "Cast")?;
        let scaled = nodes.consumers(cast.output()).find(|consumer| consumer.op == "Mul")?;
        Some(scaled.output())
    };
    if node.op.ends_with("Integer") { scaled().unwrap_or("") } else { node.output() }
}

/// What the attention does with a value.
fn role<'n>(nodes: &'n Nodes, mut value: &'n str) -> Option<Role> {
    for _ in 0..MOVES.len() {
        let next = nodes.consumers(value).find(|node| node.op == "MatMul" || moves(node))?;
        if next.op == "MatMul" {
            let is_probability = |node: &Node| node.op == "Softmax";
            return Some(match nodes.source(next.input(0), &MOVES) {
                _ if next.input(0) == value => Role::Query,
                Some(source) if is_probability(source) => Role::Value,
                _ => Role::Key,
            });
        }
        value = next.output();
    }
    None
}

fn moves(node: &Node) -> bool {
    MOVES.contains(&node.op.as_str())
}

/// Takes a tower's layers in their order.
struct Tower<'n> {
    nodes: &'n Nodes,
    layers: VecDeque<Layer<'n>>,
    /// The layers that depend on the probe alone.
    probe: Vec<Layer<'n>>,
    found: Vec<Found>,
}

impl<'n> Tower<'n> {
    /// `None` if a layer is out of order.
    fn read(&mut self) -> Option<()> {
        let tower = match self.layers.pop_front()? {
            Layer::Patches(patches) => {
                self.add_linear("vision_model.embeddings.patch_embedding", patches);
                "vision_model"
            }
            Layer::Tokens(initializer, storage) => {
                let weight = Weight::new("text_model.embeddings.token_embedding.weight", Part::Whole);
                self.found.push((initializer.into(), Weight { storage, ..weight }));
                "text_model"
            }
            _ => return None,
        };
        let Layer::Positions(positions) = self.layers.pop_front()? else { return None };
        self.add(positions, format!("{tower}.embeddings.position_embedding.weight"), Part::Positions);
        let mut layer = 0;
        loop {
            let Layer::Norm { weight, bias } = self.layers.pop_front()? else { return None };
            // After the last block there is one norm more.
            if !self.is_before_attention() {
                let norm = if tower == "text_model" { "final_layer_norm" } else { "post_layernorm" };
                self.add_norm(&format!("{tower}.{norm}"), weight, bias);
                break;
            }
            self.read_block(&format!("{tower}.encoder.layers.{layer}"), weight, bias)?;
            layer += 1;
        }
        match tower {
            "text_model" => {
                let head = self.linear()?;
                self.add_linear("text_model.head", head);
            }
            _ => self.read_pooling_head()?,
        }
        self.layers.is_empty().then_some(())
    }

    /// Whether the next three layers make queries, keys and values.
    fn is_before_attention(&self) -> bool {
        let has_role = |layer: &Layer<'n>| match layer {
            Layer::Linear(linear) => role(self.nodes, linear.output).is_some(),
            _ => false,
        };
        self.layers.len() >= 3 && self.layers.iter().take(3).all(has_role)
    }

    fn read_block(&mut self, block: &str, weight: &str, bias: &str) -> Option<()> {
        self.add_norm(&format!("{block}.layer_norm1"), weight, bias);
        for (role, projection) in self.attention([])? {
            let name = match role {
                Role::Query => "q_proj",
                Role::Key => "k_proj",
                Role::Value => "v_proj",
            };
            self.add_linear(&format!("{block}.self_attn.{name}"), projection);
        }
        let out = self.linear()?;
        self.add_linear(&format!("{block}.self_attn.out_proj"), out);
        let Layer::Norm { weight, bias } = self.layers.pop_front()? else { return None };
        self.add_norm(&format!("{block}.layer_norm2"), weight, bias);
        self.read_mlp(block)
    }

    fn read_mlp(&mut self, owner: &str) -> Option<()> {
        for layer in ["fc1", "fc2"] {
            let linear = self.linear()?;
            self.add_linear(&format!("{owner}.mlp.{layer}"), linear);
        }
        Some(())
    }

    fn read_pooling_head(&mut self) -> Option<()> {
        let (probe, query) = match &mut self.probe[..] {
            [Layer::Probe(probe), Layer::ProbeQuery(_)] => (*probe, self.probe.pop()?),
            _ => return None,
        };
        let Layer::ProbeQuery(query) = query else { return None };
        self.add(probe, "vision_model.head.probe".into(), Part::Whole);
        for (role, Linear { weight, storage, bias, .. }) in self.attention([query])? {
            let part = Part::Thirds { first: role as usize, count: 1 };
            let tensor = "vision_model.head.attention.in_proj_weight";
            self.found.push((weight.into(), Weight { storage, ..Weight::new(tensor, part) }));
            self.add(bias, "vision_model.head.attention.in_proj_bias".into(), part);
        }
        let out = self.linear()?;
        self.add_linear("vision_model.head.attention.out_proj", out);
        let Layer::Norm { weight, bias } = self.layers.pop_front()? else { return None };
        self.add_norm("vision_model.head.layernorm", weight, bias);
        self.read_mlp("vision_model.head")
    }

    /// The three projections of an attention, in any order: those known, and those that come next.
    fn attention<const KNOWN: usize>(
        &mut self,
        known: [Linear<'n>; KNOWN],
    ) -> Option<Vec<(Role, Linear<'n>)>> {
        let mut three = Vec::from(known);
        while three.len() < 3 {
            three.push(self.linear()?);
        }
        let with_role = |linear: Linear<'n>| Some((role(self.nodes, linear.output)?, linear));
        let three: Vec<_> = three.into_iter().map(with_role).collect::<Option<_>>()?;
        let has = |wanted: Role| three.iter().any(|(role, _)| *role == wanted);
        (has(Role::Query) && has(Role::Key) && has(Role::Value)).then_some(three)
    }

    fn linear(&mut self) -> Option<Linear<'n>> {
        match self.layers.pop_front()? {
            Layer::Linear(linear) => Some(linear),
            _ => None,
        }
    }

    fn add(&mut self, initializer: &str, tensor: String, part: Part) {
        self.found.push((initializer.into(), Weight::new(tensor, part)));
    }

    fn add_norm(&mut self, norm: &str, weight: &str, bias: &str) {
        self.add(weight, format!("{norm}.weight"), Part::Whole);
        self.add(bias, format!("{norm}.bias"), Part::Whole);
    }

    fn add_linear(&mut self, layer: &str, linear: Linear<'_>) {
        let Linear { weight, part, storage, bias, .. } = linear;
        let matrix = Weight { storage, ..Weight::new(format!("{layer}.weight"), part) };
        self.found.push((weight.into(), matrix));
        self.add(bias, format!("{layer}.bias"), Part::Whole);
    }
}
