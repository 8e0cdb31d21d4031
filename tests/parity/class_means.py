"""Measures what the constants of crates/siglip/src/taught/means.rs are chosen by. Usage: class_means.py [EMBEDDINGS.npy]

    siglip index DIR_OF_CLASS_FOLDERS -o /tmp/pictures.index --export EMBEDDINGS.npy

Without an array, the 400 embeddings that record_probe.py has recorded: the embedded model and Tiny-ImageNet's validation pictures,
ten of each of 40 classes. A class is taught by three of its pictures, and asked about the others; every cyclic choice of three.
"""
import base64
import json
import sys
from pathlib import Path

import numpy as np

TAUGHT = 3
SHARES = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7]


def unit(rows):
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def embeddings():
    """[classes, pictures, values], of L2 norm 1."""
    if len(sys.argv) < 2:
        probe = json.loads((Path(__file__).parent / "probe.json").read_text())
        levels = np.frombuffer(base64.b64decode(probe["levels"]), np.int8).astype(np.float64)
        return unit(levels.reshape(-1, probe["pictures"], probe["embedding_size"]))
    path = Path(sys.argv[1])
    names = [name.rsplit("/", 1)[0] for name in path.with_suffix(".txt").read_text().splitlines()]
    by_class = {}
    for name, row in zip(names, np.load(path).astype(np.float64)):
        by_class.setdefault(name, []).append(row)
    count = min(map(len, by_class.values()))
    return unit(np.array([rows[:count] for rows in by_class.values()]))


rows = embeddings()
classes, pictures, _ = rows.shape
every = np.arange(classes)
# Cosines of asked pictures with the mean of their class's taught ones, and with the other classes' means.
own, others = [], []
gained = {share: [] for share in SHARES}
lost = {share: [] for share in SHARES}
for first in range(pictures):
    taught = (first + np.arange(TAUGHT)) % pictures
    asked = rows[:, [at for at in range(pictures) if at not in taught]]
    means = unit(rows[:, taught].mean(axis=1))
    cosines = np.einsum("cpv,dv->cpd", asked, means)
    own.append(cosines[every, :, every].ravel())
    others.extend(np.delete(cosines[c], c, axis=-1).ravel() for c in every)
    # The class that is likest each one: its pictures are "not this".
    alike = means @ means.T
    np.fill_diagonal(alike, -1)
    nearest = alike.argmax(axis=1)
    for share in SHARES:
        directions = unit(means - share * means[nearest])
        mine = np.einsum("cpv,cv->cp", asked, directions)
        # Whether a picture of the class is nearer than one of the likest class, and than one of any other.
        for c in every:
            rest = [d for d in every if d not in (c, nearest[c])]
            near = asked[nearest[c]] @ directions[c]
            far = np.concatenate([asked[d] for d in rest]) @ directions[c]
            gained[share].append((mine[c][:, None] > near).mean())
            lost[share].append((mine[c][:, None] > far).mean())

own, others = np.concatenate(own), np.concatenate(others)
deviation = np.sqrt((own.var() + others.var()) / 2)
print(f"{classes} classes, {TAUGHT} of {pictures} pictures taught")
print(f"mean cosine with the class's mean: own {own.mean():.3f}, others {others.mean():.3f}; standard deviation {deviation:.3f}")
print(f"OTHERS_DISTANCE: (1 - others) / (1 - own) = {(1 - others.mean()) / (1 - own.mean()):.2f}")
print(f"SEPARATION: (own - others) / deviation = {(own.mean() - others.mean()) / deviation:.2f}")
print("NOT_SHARE: how often a picture of the class has a higher cosine than one of the likest class, and than one of the rest")
for share in SHARES:
    print(f"  {share:.1f}  {np.mean(gained[share]):.4f}  {np.mean(lost[share]):.4f}  sum {np.mean(gained[share]) + np.mean(lost[share]):.4f}")
