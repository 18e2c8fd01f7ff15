"""Recommends items behind a history: ``python recommend.py ITEM ITEM ...`` (the latest last).

It needs torch, transformers and safetensors, and peft where there is a folder ``adapter``.
"""

import json
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer


class Store:
    """An LLM that writes an item's codes, and heads that score all items at once."""

    def __init__(self, folder):
        folder = Path(folder)
        self.facts = json.loads((folder / "store.json").read_text(encoding="utf-8"))
        self.tensors = load_file(folder / "store.safetensors")
        lines = (folder / "items.jsonl").read_text(encoding="utf-8").splitlines()
        self.items = [json.loads(line) for line in lines]
        self.row_of = {item["item_id"]: row for row, item in enumerate(self.items)}
        self.llm = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        if self.facts["has_adapter"]:
            from peft import PeftModel

            self.llm = PeftModel.from_pretrained(self.llm, folder / "adapter").merge_and_unload()
        self.llm.eval()
        words = AutoTokenizer.from_pretrained(folder)
        prompt = words(self.facts["history_prompt"], add_special_tokens=False)["input_ids"]
        self.prompt = self.llm.get_input_embeddings()(torch.tensor(prompt))  # [P, H]
        self.codes = self.tensors["semantic_ids"]  # [N, L]
        self.offsets = torch.tensor([0, *self.facts["sizes"][:-1]]).cumsum(0)
        known = {}  # prefix -> codes that may follow it
        for row in self.codes.tolist():
            for level, code in enumerate(row):
                known.setdefault(tuple(row[:level]), set()).add(code)
        self.follow = {prefix: sorted(codes) for prefix, codes in known.items()}

    def read_codes(self, codes):
        """Codes [..., l] -> what the LLM reads of them, [..., l, H]."""
        n = codes.size(-1)
        summed = self.tensors["code_embedding"][codes + self.offsets[:n]].cumsum(-2)
        return summed / torch.arange(1, n + 1).sqrt()[:, None]

    def read_history(self, rows):
        """Rows of items [T] -> [P + T * L, H]."""
        inputs = self.read_codes(self.codes[rows])
        if "item_input" in self.tensors:
            inputs[:, -1] += self.tensors["item_vectors"][rows] @ self.tensors["item_input"].T
        return torch.cat([self.prompt, inputs.flatten(0, 1)])

    def states(self, history, prefixes):
        """States behind a history and each of its prefixes of codes, [M, l + 1, H]."""
        inputs = history.expand(len(prefixes), -1, -1)
        if prefixes.size(1):
            inputs = torch.cat([inputs, self.read_codes(prefixes)], dim=1)
        out = self.llm.base_model(inputs_embeds=inputs, use_cache=False).last_hidden_state
        return out[:, len(history) - 1 :]

    def log_probs(self, states, level, prefixes):
        """Log-probabilities of the next code behind prefixes, -inf for what no item has, [M, C]."""
        logits = states @ self.tensors[f"head.{level}"].T
        allowed = torch.full_like(logits, -torch.inf)
        for row, prefix in enumerate(prefixes.tolist()):
            allowed[row, self.follow[tuple(prefix)]] = 0.0
        return logits.log_softmax(-1) + allowed

    def beams(self, history):
        """Rows of the items that a beam search finds, and their log-probabilities."""
        prefixes, scores = torch.zeros(1, 0, dtype=torch.long), torch.zeros(1)
        for level, size in enumerate(self.facts["sizes"]):
            states = self.states(history, prefixes)[:, -1]
            longer = (scores[:, None] + self.log_probs(states, level, prefixes)).flatten()
            scores, best = longer.topk(min(self.facts["num_beams"], len(longer)))
            best, scores = best[scores > -torch.inf], scores[scores > -torch.inf]
            prefixes = torch.cat([prefixes[best // size], (best % size)[:, None]], dim=1)
        row_of = {tuple(codes): row for row, codes in enumerate(self.codes.tolist())}
        return torch.tensor([row_of[tuple(codes)] for codes in prefixes.tolist()]), scores

    def by_codes(self, history, rows):
        """Log-probabilities of given items' codes, [M]."""
        codes, total = self.codes[rows], 0.0
        states = self.states(history, codes[:, :-1])
        for level in range(codes.size(1)):
            found = self.log_probs(states[:, level], level, codes[:, :level])
            total = total + found.gather(1, codes[:, level : level + 1]).squeeze(1)
        return total

    def layer(self, name):
        return self.tensors[f"{name}.weight"], self.tensors[f"{name}.bias"]

    def by_item_head(self, state, rows):
        """Logits of all items by their vectors, [N]."""
        vectors, weight = self.tensors["item_vectors"], self.facts["last_item_weight"]
        query = F.layer_norm(state, state.shape, *self.layer("item_head.norm"))
        logits = vectors @ F.linear(query, *self.layer("item_head.query"))
        if weight:
            unit = F.normalize(vectors, dim=-1)
            logits = logits + weight * (unit @ unit[rows[-1]])
        return logits

    def by_text_head(self, state, rows):
        """Logits of all items by their texts alone, [N]."""
        t, recent = self.tensors, rows[-self.facts["pooled_of"] :]
        weights = self.facts["pooled_decay"] ** torch.arange(len(recent)).flip(0)
        pooled = (weights / weights.sum()) @ t["text_history"][recent]
        wide = F.layer_norm(pooled, pooled.shape, *self.layer("text_norm"))
        wide = F.gelu(F.linear(wide, *self.layer("text_wide")))
        query = pooled + 0.5 * F.linear(wide, *self.layer("text_narrow"))
        seen = F.layer_norm(state, state.shape, *self.layer("text_state_norm"))
        query = F.normalize(query + F.linear(seen, t["text_of_state"]), dim=-1)
        return t["text_scale"] * (t["text_vectors"] @ query)

    def gains(self, rows):
        """What all items gain by company with the history's, by like texts, and by being new, [N].

        New items are like the history's by the LLM's states as well.
        """
        t, facts = self.tensors, self.facts
        found = torch.zeros(len(self.items))
        weights = facts["gain_decay"] ** torch.arange(len(rows)).flip(0)
        if facts["together_weight"]:
            for row, weight in list(zip(rows.tolist(), weights, strict=True))[
                -facts["together_of"] :
            ]:
                part = slice(t["company.starts"][row], t["company.starts"][row + 1])
                company = facts["together_weight"] * weight * t["company.gains"][part]
                found.index_add_(0, t["company.items"][part], company)
        if facts["likeness_weight"]:
            summed = weights @ t["likeness_vectors"][rows]
            found = found + facts["likeness_weight"] * (t["likeness_vectors"] @ summed)
        if "new_item_vectors" in t:
            summed = facts["likeness_weight"] * weights @ t["new_item_vectors"][rows]
            found = found + t["is_new"] * (t["new_item_vectors"] @ summed)
        if "is_new" in t:
            found = found + t["is_new"] * facts["new_item_bias"]
        return found

    def by_heads(self, history, rows):
        """Log-probabilities of all items by the heads, [N]."""
        state = self.states(history, torch.zeros(1, 0, dtype=torch.long))[0, -1]
        logits, share = self.by_item_head(state, rows), self.facts["text_share"]
        if share:
            by_text = self.by_text_head(state, rows).log_softmax(-1)
            logits = (1 - share) * logits.log_softmax(-1) + share * by_text
        logits = logits + self.gains(rows)
        return logits.log_softmax(-1)

    @torch.no_grad()
    def recommend(self, items, k=10):
        """The best k items that are not in the history, as (item_id, title, score)."""
        rows = [self.row_of[item] for item in items]
        read = torch.tensor(rows[-self.facts["max_history"] :])
        history = self.read_history(read)
        found, scores = self.beams(history)
        share = self.facts["item_head_share"]
        if share:
            by_item = self.by_heads(history, read)
            found = torch.cat([found, by_item.topk(min(len(by_item), len(found))).indices]).unique()
            scores = (1 - share) * self.by_codes(history, found) + share * by_item[found]
        ranked = sorted(zip(scores.tolist(), found.tolist(), strict=True), reverse=True)
        best = [(score, row) for score, row in ranked if row not in rows][:k]
        return [(self.items[row]["item_id"], self.items[row]["title"], s) for s, row in best]


if __name__ == "__main__":
    for item_id, title, score in Store(Path(__file__).parent).recommend(sys.argv[1:]):
        print(f"{score:.4f}\t{item_id}\t{title}")
