"""STORE as a folder that plain transformers load, peft for adapters, with a script that recommends.

=========================  =======================================================================
the LLM's own files        what ``AutoModelForCausalLM.from_pretrained`` reads, with the weights of
                           the recommender; with ``tuning: lora`` those of the backbone, and the
                           adapter stands in ``adapter/`` for peft
``store.safetensors``      embeddings and heads of codes, items' codes and vectors
``store.json``             sizes, prompt and weights of the score, as far as the script needs them
``items.jsonl``            raw id and title of each item, in the order of the tables' rows
``recommend.py``           recommends, with torch, transformers and safetensors alone
``README.md``              the model card
=========================  =======================================================================
"""

from __future__ import annotations

import copy
import json
import shutil
import tempfile
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

from recbole_store.errors import ModelFolderError
from recbole_store.generator.company import DECAY
from recbole_store.llm.loading import quiet
from recbole_store.model.heads import TOWER
from recbole_store.model.store import HISTORY_PROMPT
from recbole_store.recommender.card import card_text
from recbole_store.tokenizer import text_tower as tower
from recbole_store.tokenizer.nearest import LAST

SCRIPT = Path(__file__).with_name("recommend_script.py")
FACTS = "store.json"


def export(store, folder: Path) -> None:
    """Write a Recommender's STORE.

    Raises:
        ModelFolderError: the model is no STORE, or has parts that the script does not know; or the
            folder cannot be written.
    """
    _check(store)
    folder = Path(folder)
    if folder.exists() and any(folder.iterdir()) and not (folder / FACTS).is_file():
        raise ModelFolderError(f"{folder} holds other things: name an empty or a new folder.")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    except OSError as error:
        raise ModelFolderError(f"{folder} cannot be written: {error.strerror}.") from error
    try:
        _fill(store, part)
        part.chmod(0o755)
        if folder.exists():
            shutil.rmtree(folder)
        part.rename(folder)
    except OSError as error:
        raise ModelFolderError(f"{folder} cannot be written: {error.strerror}.") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _check(store) -> None:
    model, name = store.model, store.config["model"]
    if name != "STORE":
        raise ModelFolderError(f"--format hf is for STORE, whose model is an LLM; this is {name}.")
    more = {
        "decoding: free": model.decoding == "free",
        "full_softmax_limit": model.draws_items,
    }
    used = [key for key, is_used in more.items() if is_used]
    if used:
        raise ModelFolderError(
            f"--format hf ranks by the tree and all items, but this model has `{used[0]}`."
        )


def _fill(store, part: Path) -> None:
    model, catalogue = store.model, store.catalogue
    backbone = model.backbone
    backbone.use_stage("recommender")
    with quiet():  # of a bar for every file
        if backbone.tuning == "lora":
            # Both adapters are in the LLM; on the disk each stands by itself.
            backbone.llm.save_pretrained(part / "adapter")
            plain, _ = backbone.reloaded()
            plain.save_pretrained(part)
        else:
            backbone.llm.save_pretrained(part)
    backbone.tokenizer.save_pretrained(part)
    save_file(_tensors(model), part / "store.safetensors", metadata={"format": "pt"})
    facts = {
        "history_prompt": HISTORY_PROMPT,
        "max_history": store.max_history,
        "sizes": model.item_tokenizer.sizes,
        "num_beams": model.num_beams,
        "item_head_share": model.item_head_share if model.heads_rank else 0.0,
        "text_share": model.text_share if model.text_head is not None else 0.0,
        "last_item_weight": model.last_item_weight or 0.0,
        "together_weight": model.together_weight or 0.0,
        "together_of": LAST,
        "likeness_weight": model.likeness_weight or 0.0,
        "new_item_bias": store.new_item_bias if model.heads_rank else 0.0,
        "gain_decay": DECAY,
        "pooled_decay": tower.DECAY,
        "pooled_of": tower.RECENT,
        "has_adapter": backbone.tuning == "lora",
    }
    (part / FACTS).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    with (part / "items.jsonl").open("w", encoding="utf-8") as lines:
        for item in range(1, len(catalogue) + 1):
            row = {"item_id": catalogue.raw_ids[item], "title": catalogue.title(item)}
            lines.write(json.dumps(row, ensure_ascii=False) + "\n")
    shutil.copyfile(SCRIPT, part / "recommend.py")
    (part / "README.md").write_text(_card(store), encoding="utf-8")


@torch.no_grad()
def _tensors(model) -> dict[str, Tensor]:
    """By the script's names, row 0 of items' tables being item 1's."""
    found = {
        "semantic_ids": model.semantic_ids[1:],
        "code_embedding": model.code_tokens.embedding.weight,
    }
    for level, head in enumerate(model.code_tokens.heads):
        found[f"head.{level}"] = head.weight
    if model.item_vectors is not None:
        found["item_vectors"] = model.item_vectors(model.points)[1:]
    if model.item_input is not None:
        found["item_input"] = model.item_input.weight
    if model.heads_rank:
        head = model.item_head
        found |= {
            "item_head.norm.weight": head.norm.weight,
            "item_head.norm.bias": head.norm.bias,
            "item_head.query.weight": head.query.weight,
            "item_head.query.bias": head.query.bias,
        }
        found |= _of_texts(model) | _of_company(model)
        is_new = model.heads().is_raised
        if is_new is not None:
            found["is_new"] = is_new[1:]
    return {name: tensor.detach().cpu().clone().contiguous() for name, tensor in found.items()}


def _of_texts(model) -> dict[str, Tensor]:
    """The text head: items' vectors on both sides, and what makes a query of a history."""
    head = model.text_head
    if head is None:
        return {}
    heads = model.heads()
    vectors = head.items(model.points)[1:]
    states = F.normalize(model.points, dim=-1)[1:]
    by_tower = heads.likeness_by == TOWER
    found = {
        "text_vectors": vectors,
        "likeness_vectors": vectors if by_tower else states,
        "text_history": head.history(model.points)[1:],
        "text_scale": head.log_scale.exp(),
        "text_of_state": head.of_state.weight,
    }
    layers = {"norm": head.norm, "state_norm": head.state_norm}
    layers |= {"wide": head.query_curve[0], "narrow": head.query_curve[2]}
    for name, layer in layers.items():
        found |= {f"text_{name}.weight": layer.weight, f"text_{name}.bias": layer.bias}
    if heads.uses_states and by_tower:
        found["new_item_vectors"] = states
    return found


def _of_company(model) -> dict[str, Tensor]:
    """How much company each item had with others, as compressed sparse rows."""
    if model.company is None:
        return {}
    rows = model.company.together.tocsr()[1:, 1:]
    return {
        "company.starts": torch.from_numpy(rows.indptr.astype("int64")),
        "company.items": torch.from_numpy(rows.indices.astype("int64")),
        "company.gains": torch.from_numpy(rows.data.astype("float32")),
    }


def _card(store) -> str:
    examples = " ".join(store.catalogue.raw_ids[1:3])
    whole = card_text(copy.deepcopy(store.config), store.catalogue)
    head, _, rest = whole.partition("```python\n")
    _, _, rest = rest.partition("```\n")
    use = f"""\
Without the package that trained it (torch, transformers and safetensors; peft for an adapter):

```sh
python recommend.py {examples}
```

The LLM alone, such as for embeddings of texts:

```python
from transformers import AutoModelForCausalLM, AutoTokenizer

llm = AutoModelForCausalLM.from_pretrained("path/of/this/folder")
tokenizer = AutoTokenizer.from_pretrained("path/of/this/folder")
```

To a hub:

```python
from huggingface_hub import upload_folder

upload_folder(repo_id="YOU/NAME", folder_path="path/of/this/folder")
```
"""
    return head.replace("library_name: recbole-store", "library_name: transformers") + use + rest
