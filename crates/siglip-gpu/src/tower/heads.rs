//! A tower's head: the places of its weights, and its dispatches.

use super::{Bindings, EMBEDDINGS, HIDDEN, NORMED, Placing, Steps, Tower, X, is};
use crate::block::{HeadKind, HeadLayout, LinearLayout, NormLayout};
use crate::place::{Group, Place};
use crate::plan::{Buffer, Count};
use crate::shader::{self, Epilogue, Norm, ROW_OUTPUTS, RowProduct};

/// Activations, by index.
const POOLED: usize = 2;
const ATTENDED: usize = 1;

impl Tower {
    /// As [`Tower::place`], of the layers of the head and the norm before it.
    pub(super) fn place_of_head(&self, place: Placing, layer: &str) -> Option<Place> {
        let HeadLayout { norm: before, kind: head, .. } = self.head.as_ref()?;
        let place = Placing { block: self.head_buffer(), ..place };
        let is = |name| is(layer, name);
        if is("post_layernorm") || is("final_layer_norm") {
            return Some(place.norm(before));
        }
        let layer = match head {
            HeadKind::Projection(layer) if is("head") => layer,
            HeadKind::Projection(_) => return None,
            HeadKind::Pooling { values, .. } if is("head.attention") => {
                let place = Placing { kind: place.kind.strip_prefix("in_proj_")?, ..place };
                // Of the inputs the last third; queries and keys are folded into one vector a head.
                return Some(Place { first_row: 2 * self.sizes.hidden_size, ..place.linear(values, 0) });
            }
            HeadKind::Pooling { norm, .. } if is("head.layernorm") => return Some(place.norm(norm)),
            HeadKind::Pooling { out, .. } if is("head.attention.out_proj") => out,
            HeadKind::Pooling { fc1, .. } if is("head.mlp.fc1") => fc1,
            HeadKind::Pooling { fc2, .. } if is("head.mlp.fc2") => fc2,
            HeadKind::Pooling { .. } => return None,
        };
        Some(place.linear(layer, 0))
    }

    /// The place of the pooling head's queries, as the rows of tensor `index`.
    pub fn queries(&self, index: usize) -> Option<Place> {
        let HeadKind::Pooling { queries, .. } = &self.head.as_ref()?.kind else { return None };
        let place = Placing { tensor: index, tower: self.name, block: self.head_buffer(), kind: "weight" };
        let stride = (self.shape.hidden.stored * size_of::<f32>()) as u64;
        Some(Place { stride, columns: self.sizes.hidden_size, ..place.values(queries.offset, Group::ONE) })
    }
}

impl Steps<'_> {
    pub(super) fn head(&mut self, head: &HeadLayout) {
        let (tower, buffer) = (self.tower, self.tower.head_buffer());
        match &head.kind {
            HeadKind::Projection(layer) => {
                self.row_product(layer, [X, EMBEDDINGS], Some(&head.norm), Epilogue::Bias);
            }
            HeadKind::Pooling { queries, values, out, norm, fc1, fc2 } => {
                let wgsl = shader::pool(tower.shape.context.group.size, tower.shape.hidden.stored);
                let mut bindings = Bindings::of(NORMED);
                bindings.weights(2, *queries, buffer);
                bindings.weights(3, values.weight, buffer);
                bindings.weights(4, values.bias, buffer);
                bindings.whole(5, Buffer::Activation(POOLED));
                self.add(
                    "pool",
                    wgsl,
                    bindings,
                    [Count::Fixed(tower.sizes.heads), Count::Sequences, Count::Fixed(1)],
                );
                self.row_product(out, [POOLED, ATTENDED], None, Epilogue::Bias);
                self.row_product(fc1, [ATTENDED, HIDDEN], Some(norm), tower.gelu());
                self.row_product(fc2, [HIDDEN, EMBEDDINGS], None, Epilogue::Residual);
            }
        }
    }

    /// A layer of the head. [`Epilogue::Residual`] adds what the pooling head's attention gave.
    fn row_product(
        &mut self,
        layer: &LinearLayout,
        [x, y]: [usize; 2],
        norm: Option<&NormLayout>,
        epilogue: Epilogue,
    ) {
        let (tower, buffer) = (self.tower, self.tower.head_buffer());
        let (inputs, outputs) = (layer.inputs.stored, layer.outputs.stored);
        let wgsl = shader::row_product(&RowProduct {
            inputs,
            outputs,
            quantized: layer.scales.is_some(),
            norm: norm.map(|_| (Norm { eps: tower.sizes.eps }, tower.sizes.hidden_size)),
            takes_last: x == X,
            epilogue,
        });
        let mut bindings = Bindings::of(x);
        bindings.layer(layer, buffer);
        bindings.weights(4, layer.bias, buffer);
        bindings.whole(5, Buffer::Activation(y));
        if epilogue == Epilogue::Residual {
            bindings.whole(6, Buffer::Activation(ATTENDED));
        }
        if let Some(norm) = norm {
            bindings.weights(7, norm.weight, buffer);
            bindings.weights(8, norm.bias, buffer);
        }
        self.add(
            "row_product",
            wgsl,
            bindings,
            [Count::Fixed(outputs / ROW_OUTPUTS), Count::Sequences, Count::Fixed(1)],
        );
    }
}
