"""Records the token ids of transformers' fast tokenizer: tests/parity/tokens-*.json. Usage: record_tokens.py"""
import re

from transformers import PreTrainedTokenizerFast

import texts
from reference import ROOT, check_versions, write_json

VERSIONS = check_versions("transformers", "tokenizers")


def shortened(text):
    """[unit, count] where the text is one unit again and again, so that 10,000 characters take a line."""
    match = re.fullmatch(r"(.{1,8}?)\1{30,}", text, re.DOTALL)
    return [match[1], len(text) // len(match[1])] if match else [text, 1]


def record(name, folder, max_length, pad_token_id, selection):
    # Not AutoTokenizer: for v1 it takes the slow SiglipTokenizer, which deletes more than the published tokenizer.json does.
    tokenizer = PreTrainedTokenizerFast.from_pretrained(ROOT / folder)
    assert tokenizer.pad_token_id == pad_token_id, "the padding of tokenizer_config.json and of the model differ"
    entries = []
    for text in dict.fromkeys(selection):
        input_ids = tokenizer(text, padding="max_length", truncation=True, max_length=max_length)["input_ids"]
        assert len(input_ids) == max_length
        entries.append([*shortened(text), input_ids])
    write_json(ROOT / f"tests/parity/tokens-{name}.json", {
        "made_by": "record_tokens.py", "versions": VERSIONS, "tokenizer": f"{folder}/tokenizer.json",
        "max_length": max_length, "pad_token_id": pad_token_id, "texts": entries,
    })
    print(f"{name}: {len(entries)} texts")


if __name__ == "__main__":
    record("siglip-v1", "tests/fixtures/tokenizer-siglip-v1", 64, 1, texts.ALL)
    record("tiny", "www/models/tiny", 12, 0, texts.WORDS)
    record("random-small", "tests/fixtures/random-small", 16, 1, texts.WORDS + texts.SPECIAL)
