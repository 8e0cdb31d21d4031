"""A narrower text tower that says what an earlier one says: cut out of it as in SliceGPT (2401.15024), then trained."""

from dataclasses import replace

import torch
import torch.nn.functional as F

from optimizer import Optimizer
from said import TEMPLATES, Captions
from student import CONTEXT, PADDING, UNKNOWN, Attention, Linear, Norm, Student

# Sentences by which is found what may be cut away.
SAMPLE = 1536
SENTENCES = 384
# One or two words of the vocabulary in a template: most words stand in no caption.
OTHERS = 128
MUON_RATE, ADAM_RATE = 0.002, 0.0005


class AnyWords:
    """Sentences about any words of the vocabulary."""

    def __init__(self, captions: Captions):
        starts = [template.removesuffix("{}").strip() for template in TEMPLATES if template.endswith("{}")]
        self.starts = captions.input_ids(starts).to(captions.device)
        self.lengths = (self.starts != PADDING).sum(1)
        # A template that is nothing but its place has no words.
        self.lengths[torch.tensor([not start for start in starts], device=captions.device)] = 0
        self.words = len(captions.words)

    def draw(self, count: int) -> torch.Tensor:
        device = self.starts.device
        number = lambda low, high: torch.randint(low, high, (count,), device=device)
        start = number(0, len(self.starts))
        ids, length, rows = self.starts[start], self.lengths[start], torch.arange(count, device=device)
        ids[length == 0] = PADDING
        ids[rows, length] = number(UNKNOWN + 1, self.words)
        second = torch.rand(count, device=device) < 0.4
        ids[rows[second], length[second] + 1] = number(UNKNOWN + 1, self.words)[second]
        return ids[:, :CONTEXT]


def seen(tower, ids: torch.Tensor) -> dict:
    """What goes into each module of a text tower, as rows, when it reads sentences."""
    inputs, hooks = {}, []
    for module in tower.modules():
        if isinstance(module, (Norm, Attention)):
            hooks.append(module.register_forward_pre_hook(lambda m, x: inputs.__setitem__(m, x[0].double().flatten(0, -2))))
    tower(ids, torch.float32)
    for hook in hooks:
        hook.remove()
    return inputs


def directions(rows: list[torch.Tensor], count: int) -> torch.Tensor:
    """[width, count], orthonormal and without mean: where vectors in front of layer norms differ most. A layer norm takes
    away their mean and their length, so that neither counts."""
    moments = 0
    for x in rows:
        x = F.normalize(x - x.mean(1, keepdim=True), dim=1)
        middle = x.mean(0)
        apart = (x - middle).T @ (x - middle) / len(x)
        # The mean of all vectors is one direction, and has to be there whole.
        moments = moments + apart / apart.trace() + torch.outer(middle, middle)
    return torch.linalg.eigh(moments).eigenvectors[:, -count:]


def half_power(rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The square root of the rows' second moments, and its inverse."""
    values, vectors = torch.linalg.eigh(rows.T @ rows / len(rows))
    values = values.clamp(min=values[-1] * 1e-9).sqrt()
    return (vectors * values) @ vectors.T, (vectors / values) @ vectors.T


def behind(norm: Norm, back: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor):
    """A product that has the gain and offset of the old layer norm before it in itself, so that the new one has none."""
    return weight * norm.weight.double() @ back, bias + weight @ norm.bias.double()


def cut_attention(new: Attention, old: Attention, norm: Norm, after: torch.Tensor, back: torch.Tensor, rows: torch.Tensor):
    """Sets an attention of narrower heads. `rows` are the old inputs: by them the products of queries and keys, and what the
    values give, stay as near as they can."""
    wide, narrow = len(old.out_proj.bias) // old.heads, len(new.out_proj.bias) // new.heads
    weights, biases = old.in_proj_weight.double().chunk(3), old.in_proj_bias.double().chunk(3)
    parts, outputs, offset = ([], [], []), [], after @ old.out_proj.bias.double()
    for head in range(old.heads):
        part = slice(head * wide, (head + 1) * wide)
        of_head = [(weight[part], bias[part]) for weight, bias in zip(weights, biases)]
        q, k, v = (rows @ weight.T + bias for weight, bias in of_head)
        # What all keys have in common changes no softmax; what all values have goes into the offset.
        middles = torch.zeros_like(q[0]), k.mean(0), v.mean(0)
        (q_root, q_inverse), (k_root, k_inverse), (v_root, v_inverse) = (
            half_power(x - middle) for x, middle in zip((q, k, v), middles)
        )  # fmt: skip
        u, s, v_of = torch.linalg.svd(q_root @ k_root)
        strength = s[:narrow, None].sqrt()
        # The scores are divided by the root of the head's width.
        to_q = strength * u.T[:narrow] @ q_inverse * (narrow / wide) ** 0.5
        to_k = strength * v_of[:narrow] @ k_inverse
        gives = after @ old.out_proj.weight.double()[:, part]
        u, s, v_of = torch.linalg.svd(gives @ v_root, full_matrices=False)
        outputs.append(u[:, :narrow] * s[:narrow])
        offset = offset + gives @ middles[2]
        for found, to, (weight, bias), middle in zip(parts, (to_q, to_k, v_of[:narrow] @ v_inverse), of_head, middles):
            found.append(behind(norm, back, to @ weight, to @ (bias - middle)))
    new.in_proj_weight.copy_(torch.cat([weight for part in parts for weight, _ in part]))
    new.in_proj_bias.copy_(torch.cat([bias for part in parts for _, bias in part]))
    new.out_proj.weight.copy_(torch.cat(outputs, 1))
    new.out_proj.bias.copy_(offset)


@torch.no_grad()
def cut(model: Student, earlier: Student, ids: torch.Tensor):
    """Sets the text tower of `model` to that of `earlier`, as much of it as there is room for, with as many layers and heads
    and an MLP of the same size: the vectors between layers keep the directions in which they differ most over the sentences
    `ids`."""
    new, old = model.text_model, earlier.text_model
    wide, narrow = earlier.shape.text.width, model.shape.text.width
    if narrow > wide or replace(earlier.shape.text, width=narrow) != model.shape.text:
        raise SystemExit(f"a text tower of {model.shape.text} can't be cut out of one of {earlier.shape.text}")
    inputs = seen(old, ids)
    kept = directions([x for module, x in inputs.items() if isinstance(module, Norm)], narrow - 1)
    # The new vectors have no mean either: as many directions as numbers, less one.
    ones = torch.ones(narrow, 1, dtype=torch.double, device=kept.device)
    spread = torch.linalg.qr(torch.cat([ones, torch.eye(narrow, device=kept.device).double()[:, 1:]], 1)).Q[:, 1:]
    after = spread @ kept.T
    # From what the new layer norms give to what the old ones gave before their gain.
    back = (wide / narrow) ** 0.5 * kept @ spread.T

    new.words.copy_(old.words.double() @ after.T)
    new.position_embedding.copy_(old.position_embedding.double() @ after.T)
    for there, here in zip(old.encoder.layers, new.encoder.layers):
        cut_attention(here.self_attn, there.self_attn, there.layer_norm1, after, back, inputs[there.self_attn])
        set_linear(here.mlp.fc1, *behind(there.layer_norm2, back, *doubles(there.mlp.fc1)))
        weight, bias = doubles(there.mlp.fc2)
        set_linear(here.mlp.fc2, after @ weight, after @ bias)
    set_linear(new.head, *behind(old.final_layer_norm, back, *doubles(old.head)))


def doubles(linear: Linear) -> tuple[torch.Tensor, torch.Tensor]:
    return linear.weight.double(), linear.bias.double()


def set_linear(linear: Linear, weight: torch.Tensor, bias: torch.Tensor):
    linear.weight.copy_(weight)
    linear.bias.copy_(bias)


def retell(model: Student, earlier: Student, captions: Captions, work, seconds: float, log):
    """Cuts the text tower of `model` out of the one of `earlier`, and trains it for so many seconds of `work` to give each
    sentence the direction that `earlier` gives it: from the origin, and from the mean of all sentences, beyond which lies
    what tells them apart."""
    sentences, others = captions.sentences.flatten(0, 1), AnyWords(captions)
    drawn = lambda count: sentences[torch.randint(len(sentences), (count,), device=sentences.device)]
    cut(model, earlier, torch.cat([drawn(SAMPLE), others.draw(SAMPLE // 3)]))
    optimizer = Optimizer(dict(model.text_model.named_parameters()), MUON_RATE, ADAM_RATE)
    with torch.no_grad():
        mean = earlier.text_embeds(drawn(SAMPLE), torch.bfloat16).mean(0)
    direction = lambda embeds: F.normalize(embeds - mean, dim=1)
    done = step = 0
    while done < 1:
        done = min(1.0, work.seconds() / seconds)
        ids = torch.cat([drawn(SENTENCES), others.draw(OTHERS)])
        with torch.no_grad():
            wanted = earlier.text_embeds(ids, torch.bfloat16)
        found = model.text_embeds(ids, torch.bfloat16)
        apart = (direction(found) * direction(wanted)).sum(1)
        if step % 50 == 0 or done == 1:
            log(f"text tower: step {step}, cosine of what tells sentences apart {apart.mean().item():.4f}")
        (2 * (1 - apart).mean() + (found - wanted).square().sum(1).mean()).backward()
        optimizer.step(min((step + 1) / 20, 1.0, (1 - done) / 0.8))
        step += 1
