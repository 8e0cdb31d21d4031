"""Makes tests/fixtures/random-classifier{,-naflex} with transformers, and records what it answers for pictures.

Both are fine-tuned classifiers with random weights, as `SiglipForImageClassification` and `Siglip2ForImageClassification` save
them: the pooling head's tensors are in the file and unused. Each variant is the first of them with another number of classes (the
first rows of the classifier's weight) and another `problem_type`; its scores are the image-classification pipeline's.

Picture n is a formula: the level at place i of [height, width, 3] is (7 i² + 13 i + 31 n) mod 256. Usage: record_classifiers.py
"""
import json
from types import SimpleNamespace

import torch
from safetensors.torch import save_file
from transformers import Siglip2Config, Siglip2ForImageClassification, SiglipConfig, SiglipForImageClassification
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil
from transformers.models.siglip2.image_processing_pil_siglip2 import Siglip2ImageProcessorPil
from transformers.pipelines import ImageClassificationPipeline

from random_weights import randomise
from reference import ROOT, check_versions, picture, rows, write_json

VERSIONS = check_versions("torch", "transformers", "numpy", "pillow", "safetensors")
LABELS = ["cat", "dog", "a red boat", "Käfer", "none of these"]
VISION = {"hidden_size": 24, "intermediate_size": 40, "num_attention_heads": 2, "num_hidden_layers": 2}
PICTURES = [(16, 16), (40, 25), (9, 70), (31, 33)]
# Number of classes, and problem_type.
VARIANTS = [
    (5, "single_label_classification"), (5, "multi_label_classification"), (5, "regression"), (5, None), (1, None), (1, "regression"),
    (1, "single_label_classification"), (0, None),
]


def make(name, seed, kind, vision, problem_type, sides, config, model):
    folder = ROOT / f"tests/fixtures/random-{name}"
    folder.mkdir(exist_ok=True)
    names = {str(number): label for number, label in enumerate(LABELS)}
    content = {
        "architectures": [model.__name__], "model_type": kind, "problem_type": problem_type,
        "id2label": names, "label2id": {label: number for number, label in names.items()},
        "vision_config": vision | {"model_type": f"{kind}_vision_model"},
    }
    (folder / "config.json").write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    preprocessor = {
        "do_normalize": True, "do_rescale": True, "do_resize": True, "image_mean": [0.5] * 3, "image_std": [0.5] * 3,
        "resample": 2, "rescale_factor": 1 / 255,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor | sides, indent=2) + "\n")
    made = model(config.from_pretrained(folder))
    randomise(made, seed)
    # A classifier of several equally likely answers hides a wrong softmax.
    made.classifier.weight.data *= 3
    file = folder / "model.safetensors"
    state = {key: values.contiguous() for key, values in made.state_dict().items()}
    assert "vision_model.head.probe" in state and "classifier.weight" in state, sorted(state)
    save_file(state, file, metadata={"format": "pt"})
    file.chmod(0o644)
    print(f"{folder.name}: {file.stat().st_size} bytes of weights")
    return folder


def answers(model, inputs, config):
    with torch.no_grad():
        logits = model(**inputs).logits
    pipeline = SimpleNamespace(model=SimpleNamespace(config=config))
    scores = [
        {score["label"]: score["score"] for score in ImageClassificationPipeline.postprocess(pipeline, {"logits": row[None]}, top_k=5)}
        if config.num_labels else {} for row in logits
    ]
    return logits, [[each[label] for label in list(config.id2label.values())] for each in scores]


fixed = make("classifier", 51, "siglip", VISION | {"image_size": 20, "patch_size": 5}, "single_label_classification",
             {"image_processor_type": "SiglipImageProcessor", "size": {"height": 20, "width": 20}},
             SiglipConfig, SiglipForImageClassification)
naflex = make("classifier-naflex", 52, "siglip2", VISION | {"num_patches": 16, "patch_size": 4}, "multi_label_classification",
              {"image_processor_type": "Siglip2ImageProcessor", "max_num_patches": 16, "patch_size": 4},
              Siglip2Config, Siglip2ForImageClassification)
images = [picture(number, *sides) for number, sides in enumerate(PICTURES)]

inputs = SiglipImageProcessorPil.from_pretrained(fixed)(images, return_tensors="pt")
whole = SiglipForImageClassification.from_pretrained(fixed, dtype=torch.float32, attn_implementation="eager").eval()
variants = []
for classes, problem_type in VARIANTS:
    config = SiglipConfig.from_pretrained(fixed)
    config.problem_type = problem_type
    # transformers 5 fails to initialise a classifier without a class, so its place is taken afterwards.
    config.id2label = dict(enumerate(LABELS[:max(classes, 1)]))
    model = SiglipForImageClassification(config).eval()
    if not classes:
        config.id2label, model.classifier = {}, torch.nn.Identity()
    state = {key: values for key, values in whole.state_dict().items() if classes or not key.startswith("classifier.")}
    model.load_state_dict({key: values[:classes] if key.startswith("classifier.") else values for key, values in state.items()})
    logits, scores = answers(model, inputs, config)
    assert len(config.id2label) == classes
    variants.append({"labels": LABELS[:classes], "problem_type": problem_type, "logits": rows(logits), "scores": scores})

inputs = Siglip2ImageProcessorPil.from_pretrained(naflex)(images, return_tensors="pt")
model = Siglip2ForImageClassification.from_pretrained(naflex, dtype=torch.float32, attn_implementation="eager").eval()
logits, scores = answers(model, inputs, model.config)
write_json(ROOT / "tests/parity/classifiers.json", {
    "made_by": "record_classifiers.py", "versions": VERSIONS, "pictures": PICTURES, "variants": variants,
    "naflex": {"labels": LABELS, "problem_type": model.config.problem_type, "logits": rows(logits), "scores": scores},
})
print("classifiers:", *[variant["problem_type"] for variant in variants], rows(logits)[0])
