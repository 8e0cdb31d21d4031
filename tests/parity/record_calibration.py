"""Records scale and bias that fit judged examples, as torch's L-BFGS finds them in f64. Usage: record_calibration.py

The loss is the sum of the answers' cross entropy and of a normal prior: slope 1 with a deviation of 0.5, offset 0 with one of 10.
"""
import numpy as np
import torch

from reference import ROOT, check_versions, write_json

VERSIONS = check_versions("torch", "numpy")
random = np.random.default_rng(7)


def cross_entropy(z, target):
    return torch.nn.functional.binary_cross_entropy_with_logits(z, target)


def case(examples, share, distance, spread, middle):
    """Logits around `middle`; those of true labels are `distance` higher."""
    truths = np.arange(examples) < max(1, round(share * examples))
    logits = (middle + distance * truths + spread * random.standard_normal(examples)).astype(np.float32)
    order = random.permutation(examples)
    logits, truths = logits[order], truths[order]
    x, t = torch.tensor(logits, dtype=torch.float64), torch.tensor(truths)
    answers = t.double()
    parameters = torch.tensor([1.0, 0.0], dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([parameters], max_iter=10000, tolerance_grad=1e-14, tolerance_change=1e-18, line_search_fn="strong_wolfe")

    def closure():
        optimiser.zero_grad()
        loss = examples * cross_entropy(parameters[0] * x + parameters[1], answers)
        loss = loss + ((parameters[0] - 1) / 0.5) ** 2 / 2 + (parameters[1] / 10) ** 2 / 2
        loss.backward()
        return loss

    for _ in range(5):
        optimiser.step(closure)
    closure()
    assert parameters.grad.abs().max() < 1e-6, parameters.grad
    slope, offset = parameters.detach()
    return {
        "logits": [float(str(value)) for value in logits], "truths": truths.tolist(), "slope": slope.item(), "offset": offset.item(),
        "log_loss_before": cross_entropy(x, answers).item(), "log_loss_after": cross_entropy(slope * x + offset, answers).item(),
    }


cases = [
    case(2, .5, 3, .1, -12), case(5, .4, 2, 1, -11), case(8, .5, 6, .5, -9), case(12, .25, 1.5, 1, -14), case(20, .5, 4, 2, -8),
    case(40, .1, 5, 2, -13), case(60, .5, .8, 1, 0), case(100, .3, 8, 1, -10),
]
write_json(ROOT / "tests/parity/calibration.json", {"made_by": "record_calibration.py", "versions": VERSIONS, "cases": cases})
print("calibration:", *[(round(each["slope"], 4), round(each["offset"], 4)) for each in cases])
