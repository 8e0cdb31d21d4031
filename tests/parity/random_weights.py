"""Random weights that tell a right computation from a wrong one.

transformers' own initialisation makes outputs that hardly depend on the input; here every layer adds something of the residual
stream's own size, and no bias, norm or scale has its default.
"""
import numpy as np
import torch


def randomise(model, seed):
    random = np.random.default_rng(seed)
    for name, values in model.named_parameters():
        mean, deviation = 0.0, 0.1
        if name == "logit_scale":
            mean, deviation = 3.25, 0.0
        elif name == "logit_bias":
            mean, deviation = -4.125, 0.0
        elif "norm" in name and name.endswith("weight"):
            mean, deviation = 1.0, 0.3
        elif "token_embedding" in name or "position_embedding" in name or name.endswith("probe"):
            deviation = 0.5
        elif values.dim() > 1:
            # Unit variance in, unit variance out; wide queries and keys make attention choose.
            gain = 2.0 if "q_proj" in name or "k_proj" in name or "in_proj" in name else 1.0
            deviation = gain * values[0].numel() ** -0.5
        drawn = mean + deviation * random.standard_normal(tuple(values.shape))
        values.data = torch.from_numpy(drawn.astype(np.float32))
