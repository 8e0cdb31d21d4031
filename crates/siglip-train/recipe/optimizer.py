"""Muon (Jordan et al., 2024, kellerjordan.github.io/posts/muon) for the matrices of hidden layers, AdamW (1711.05101) for
everything else."""

from collections import defaultdict

import torch

DECAY = 0.05
MOMENTUM = 0.95
BETAS = (0.9, 0.98)
# By how much faster scales and bias learn than the rest of AdamW's: they have far to go from where a batch of 32,768 wants
# them (2303.15343).
SCALARS_FASTER = 10.0


def orthogonalized(x: torch.Tensor) -> torch.Tensor:
    """The nearest matrices [count, rows, columns] with orthogonal rows or columns, roughly: five of Newton and Schulz's
    iterations with the coefficients of the reference, which leave singular values between 0.7 and 1.2."""
    tall = x.shape[1] > x.shape[2]
    x = x.bfloat16()
    x = x.mT if tall else x
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(5):
        square = x @ x.mT
        x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
    return (x.mT if tall else x).float()


class Muon:
    def __init__(self, parameters: list[torch.Tensor]):
        self.parameters = parameters
        self.groups = defaultdict(list)
        for parameter in parameters:
            self.groups[tuple(parameter.shape)].append(parameter)
        self.momenta = {shape: torch.zeros(len(group), *shape, device=group[0].device) for shape, group in self.groups.items()}

    @torch.no_grad()
    def step(self, rate: float):
        for (rows, columns), group in self.groups.items():
            gradients = torch.stack([parameter.grad for parameter in group])
            momentum = self.momenta[rows, columns].mul_(MOMENTUM).add_(gradients)
            ahead = gradients.add_(momentum, alpha=MOMENTUM)
            # Queries, keys and values are three matrices in one.
            parts = 3 if rows == 3 * columns else 1
            taller = max(1.0, rows / parts / columns) ** 0.5
            move = orthogonalized(ahead.reshape(-1, rows // parts, columns)).reshape(-1, rows, columns) * (rate * taller)
            torch._foreach_mul_(group, 1 - rate * DECAY)
            torch._foreach_sub_(group, list(move.unbind(0)))


class Optimizer:
    """Both, for a student and further scalars."""

    def __init__(self, named: dict[str, torch.Tensor], muon_rate: float, adam_rate: float):
        outside = ("embedding", "probe", "words")
        hidden = [p for name, p in named.items() if p.ndim == 2 and not any(part in name for part in outside)]
        ids = {id(p) for p in hidden}
        rest = [p for p in named.values() if id(p) not in ids]
        self.muon, self.muon_rate = Muon(hidden), muon_rate
        # Only matrices decay: a gain's or a bias's size costs nothing.
        groups = [
            ([p for p in rest if p.ndim > 1], DECAY, adam_rate),
            ([p for p in rest if p.ndim == 1 and p.numel() > 1], 0.0, adam_rate),
            ([p for p in rest if p.numel() == 1], 0.0, adam_rate * SCALARS_FASTER),
        ]
        self.adam = torch.optim.AdamW(
            [{"params": found, "weight_decay": decay, "highest": rate} for found, decay, rate in groups if found], betas=BETAS
        )

    def step(self, pace: float):
        """Moves every parameter against its gradient; `pace` between 0 and 1 is the schedule's."""
        self.muon.step(self.muon_rate * pace)
        for group in self.adam.param_groups:
            group["lr"] = group["highest"] * pace
        self.adam.step()
        self.adam.zero_grad()
        for parameter in self.muon.parameters:
            parameter.grad = None

    def state(self) -> dict:
        return {"muon": dict(self.muon.momenta), "adam": self.adam.state_dict()}

    def load(self, state: dict):
        """Goes on from what `state` of an optimizer of the same parameters gave."""
        for shape, momentum in state["muon"].items():
            self.muon.momenta[shape].copy_(momentum)
        self.adam.load_state_dict(state["adam"])
