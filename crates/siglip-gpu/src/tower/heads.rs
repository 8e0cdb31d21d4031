//! A tower's head: the places of its weights, and its dispatches.

use alloc::vec;

use super::{EMBEDDINGS, HIDDEN, NORMED, Placing, Steps, Tower, X, activation};
use crate::block::{HeadKind, HeadLayout, LinearLayout, NormLayout};
use crate::place::{Group, Place};
use crate::plan::Count;
use crate::shader::{self, Epilogue, Norm, ROW_OUTPUTS, RowProduct};

/// Activations, by index.
const POOLED: usize = 2;
const ATTENDED: usize = 1;

impl Tower {
    /// As [`Tower::place`], of the layers of the head and the norm before it.
    pub(super) fn place_of_head(&self, place: Placing, layer: &[u8]) -> Option<Place> {
        let HeadLayout { norm: before, kind: head, .. } = self.head.as_ref()?;
        let place = Placing { block: self.head_buffer(), ..place };
        let (one, hidden) = (Group::ONE, self.sizes.hidden_size);
        Some(match (layer, head) {
            (b".post_layernorm" | b".final_layer_norm", _) => place.norm(before),
            (b".head", HeadKind::Projection(layer)) => place.linear(layer, 0, one, one, hidden),
            (b".head.attention", HeadKind::Pooling { values, .. }) => {
                // The last third; queries and keys are folded into one vector a head.
                let kind = place.kind.strip_prefix(b"in_proj_")?;
                let place = Placing { kind, ..place }.linear(values, 0, one, one, hidden);
                Place { first_row: 2 * hidden, ..place }
            }
            (b".head.attention.out_proj", HeadKind::Pooling { out, .. }) => {
                place.linear(out, 0, one, one, hidden)
            }
            (b".head.layernorm", HeadKind::Pooling { norm, .. }) => place.norm(norm),
            (b".head.mlp.fc1", HeadKind::Pooling { fc1, .. }) => place.linear(fc1, 0, one, one, hidden),
            (b".head.mlp.fc2", HeadKind::Pooling { fc2, .. }) => {
                place.linear(fc2, 0, one, one, self.sizes.intermediate_size)
            }
            _ => return None,
        })
    }

    /// The place of the pooling head's queries, as the rows of tensor `index`.
    pub fn queries(&self, index: usize) -> Option<Place> {
        let HeadKind::Pooling { queries, .. } = self.head?.kind else { return None };
        let place = Placing { tensor: index, tower: self.name, block: self.head_buffer(), kind: b"weight" };
        let stride = (self.shape.hidden * size_of::<f32>()) as u64;
        Some(Place { stride, columns: self.sizes.hidden_size, ..place.values(queries.offset, Group::ONE) })
    }
}

impl Steps<'_> {
    pub(super) fn head(&mut self, head: &HeadLayout) {
        let (tower, buffer) = (self.tower, self.tower.head_buffer());
        match head.kind {
            HeadKind::Projection(layer) => {
                self.row_product(&layer, [X, EMBEDDINGS], Some(head.norm), Epilogue::Bias);
            }
            HeadKind::Pooling { queries, values, out, norm, fc1, fc2 } => {
                let wgsl = shader::pool(tower.shape.heads.size, tower.shape.hidden);
                let weights =
                    [queries.bind(2, buffer), values.weight.bind(3, buffer), values.bias.bind(4, buffer)];
                let bindings = [&[activation(1, NORMED)], &weights[..], &[activation(5, POOLED)]].concat();
                self.add(
                    "pool",
                    wgsl,
                    bindings,
                    [Count::Fixed(tower.sizes.heads), Count::Sequences, Count::Fixed(1)],
                );
                self.row_product(&out, [POOLED, ATTENDED], None, Epilogue::Bias);
                self.row_product(&fc1, [ATTENDED, HIDDEN], Some(norm), tower.gelu());
                self.row_product(&fc2, [HIDDEN, EMBEDDINGS], None, Epilogue::Residual);
            }
        }
    }

    /// A layer of the head. [`Epilogue::Residual`] adds what the pooling head's attention gave.
    fn row_product(
        &mut self,
        layer: &LinearLayout,
        [x, y]: [usize; 2],
        norm: Option<NormLayout>,
        epilogue: Epilogue,
    ) {
        let (tower, buffer) = (self.tower, self.tower.head_buffer());
        let LinearLayout { inputs, outputs, weight, scales, bias, .. } = *layer;
        let wgsl = shader::row_product(&RowProduct {
            inputs,
            outputs,
            quantized: scales.is_some(),
            norm: norm.map(|_| (Norm { eps: tower.sizes.eps }, tower.sizes.hidden_size)),
            takes_last: x == X,
            epilogue,
        });
        let mut bindings = vec![activation(1, x), weight.bind(2, buffer)];
        bindings.extend(scales.map(|scales| scales.bind(3, buffer)));
        bindings.extend([bias.bind(4, buffer), activation(5, y)]);
        if epilogue == Epilogue::Residual {
            bindings.push(activation(6, ATTENDED));
        }
        if let Some(norm) = norm {
            bindings.extend([norm.weight.bind(7, buffer), norm.bias.bind(8, buffer)]);
        }
        self.add(
            "row_product",
            wgsl,
            bindings,
            [Count::Fixed(outputs / ROW_OUTPUTS), Count::Sequences, Count::Fixed(1)],
        );
    }
}
