"""Records what scikit-learn's LogisticRegression makes of embeddings. Usage: record_probe.py EMBEDDINGS.npy

    siglip index DIR_OF_CLASS_FOLDERS -o /tmp/pictures.index --export EMBEDDINGS.npy

The recorded ones are of the embedded model and of Tiny-ImageNet's validation pictures, which its training never saw: ten of
each class. Every fifth class is taken. Embeddings are kept in 8 bits, and used as they are kept.
"""
import base64
import sys
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import PredefinedSplit, cross_val_predict

from reference import ROOT, check_versions, write_json

VERSIONS = check_versions("scikit-learn", "numpy")
PICTURES, TRAINING, FOLDS = 10, 7, 5

path = Path(sys.argv[1])
names = [name.rsplit("/", 1)[0] for name in path.with_suffix(".txt").read_text().splitlines()]
by_class = {}
for name, embedding in zip(names, np.load(path)):
    by_class.setdefault(name, []).append(embedding)
chosen = [name for name in sorted(by_class) if len(by_class[name]) >= PICTURES][::5]
vectors = np.array([by_class[name][:PICTURES] for name in chosen])
levels = np.round(vectors * (127 / np.abs(vectors).max(axis=-1, keepdims=True))).astype(np.int8)
# As the crate scales them: L2 norm 1 in f32.
rows = levels.astype(np.float64)
rows = (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32).astype(np.float64)


def case(classes, c):
    """A probe of the first seven pictures of these classes, asked about the other three."""
    truths = np.repeat(np.arange(len(classes)), TRAINING)
    training = rows[classes, :TRAINING].reshape(len(truths), -1)
    asked = rows[classes, TRAINING:].reshape(-1, rows.shape[-1])
    probe = LogisticRegression(C=c, tol=1e-10, max_iter=100_000)
    folds = PredefinedSplit(np.tile(np.arange(TRAINING) % FOLDS, len(classes)))
    held_out = cross_val_predict(probe, training, truths, cv=folds)
    probe.fit(training, truths)
    right = np.repeat(np.arange(len(classes)), PICTURES - TRAINING)
    shares = probe.predict_proba(asked)
    return {
        "classes": list(map(int, classes)), "c": c,
        "accuracy": float((shares.argmax(axis=1) == right).mean()),
        "cross_validated": float((held_out == truths).mean()),
        "predicted": shares.argmax(axis=1).tolist(),
        "share_of_right": [round(float(share), 8) for share in shares[np.arange(len(right)), right]],
    }


every = np.arange(len(chosen))
cases = [case(every, 1.0), case(every, 30.0), case(every[:2], 1.0), case(every[3:8], 10.0), case(every[10:20], 0.01)]
write_json(ROOT / "tests/parity/probe.json", {
    "made_by": "record_probe.py", "versions": VERSIONS, "embedding_size": rows.shape[-1], "pictures": PICTURES, "training": TRAINING,
    "names": chosen, "levels": base64.b64encode(levels.tobytes()).decode(), "cases": cases,
})
print("probe:", *[(each["accuracy"], each["cross_validated"]) for each in cases])
