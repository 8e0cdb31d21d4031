"""Records what the reference answers about picture files: Pillow, transformers' image processor and model, sigmoid.

Usage: record_answers.py DIR OUT.json --images FILE... --labels LABEL... [--template "This is a photo of {}."]
Each picture is recorded by its file name, with the logit and the probability of every label, in the labels' order.
"""
import argparse
import sys
from pathlib import Path

import torch
from PIL import Image
from transformers import SiglipModel
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

sys.path.insert(0, str(Path(__file__).with_name("image")))

from reference import check_versions, input_ids, rows, write_json
from upright import upright_rgb

parser = argparse.ArgumentParser()
parser.add_argument("folder", type=Path)
parser.add_argument("out", type=Path)
parser.add_argument("--images", nargs="+", type=Path, required=True)
parser.add_argument("--labels", nargs="+", required=True)
parser.add_argument("--template", default="This is a photo of {}.")
arguments = parser.parse_args()
versions = check_versions("torch", "transformers", "tokenizers", "pillow")

model = SiglipModel.from_pretrained(arguments.folder, dtype=torch.float32, attn_implementation="eager").eval()
processor = SiglipImageProcessorPil.from_pretrained(arguments.folder)
pictures = [upright_rgb(Image.open(image)) for image in arguments.images]
text = model.config.text_config
prompts = [arguments.template.format(label) for label in arguments.labels]
ids = input_ids(arguments.folder, prompts, text.max_position_embeddings, text.pad_token_id)
with torch.no_grad():
    pixel_values = processor(pictures, return_tensors="pt").pixel_values
    logits = model(input_ids=torch.tensor(ids), pixel_values=pixel_values).logits_per_image

answers = [
    {"image": image.name, "logits": image_logits, "scores": image_scores}
    for image, image_logits, image_scores in zip(arguments.images, rows(logits), rows(logits.sigmoid()))
]
write_json(arguments.out, {
    "made_by": "record_answers.py", "versions": versions, "template": arguments.template, "labels": arguments.labels,
    "answers": answers,
})
for answer in answers:
    best = max(range(len(arguments.labels)), key=answer["logits"].__getitem__)
    print(f"{answer['image']}: {arguments.labels[best]} {answer['scores'][best]:.4f}")
