// One history that is clicked together; every change of it asks for the list anew.
"use strict";
const history_ = [];
const by = (id) => document.getElementById(id);

async function ask(path, body) {
  const options = body && {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  };
  const answer = await fetch(path, options);
  const found = await answer.json();
  if (!answer.ok) throw new Error(typeof found.detail === "string" ? found.detail : answer.statusText);
  return found;
}

function add(parent, name, text, kind) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (kind) made.className = kind;
  parent.append(made);
  return made;
}

function button(parent, item, label, click) {
  const made = add(add(parent, "li"), "button", item.title || item.item_id);
  made.type = "button";
  made.title = label;
  made.addEventListener("click", click);
  return made;
}

// Answers may overtake each other: only the latest question's counts.
const latest = {};
async function newest(what, question) {
  const mine = (latest[what] = {});
  const found = await question;
  return latest[what] === mine ? found : null;
}

async function find() {
  const query = by("query").value.trim();
  const found = query ? await newest("find", ask("items?k=8&query=" + encodeURIComponent(query))) : [];
  if (!found) return;
  by("found").replaceChildren();
  for (const item of found) {
    button(by("found"), item, "Add to the history", () => {
      history_.push(item);
      by("query").value = "";
      by("found").replaceChildren();
      show();
    });
  }
}

function details(item) {
  return async function () {
    const row = this.parentElement;
    if (row.querySelector("dl")) return row.querySelector("dl").remove();
    const items = history_.map((one) => one.item_id);
    const why = await ask("explain", { item: item.item_id, items, k: 3 });
    const list = add(row, "dl");
    const say = (name, text) => { add(list, "dt", name); add(list, "dd", text); };
    for (const [part, share] of Object.entries(why.shares || {}))
      say("by " + part, Math.round(100 * share) + " %");
    for (const moved of why.moved || [])
      say((moved.change >= 0 ? "+" : "") + moved.change.toFixed(2), moved.title || moved.item_id);
    for (const [n, level] of why.levels.entries()) {
      const others = level.neighbours.map((one) => one.title || one.item_id).join("; ");
      say("code " + (n + 1) + ": " + level.code, (level.rebuilt ? "“" + level.rebuilt + "” " : "") +
        (level.shared_by ? "shared with " + level.shared_by + ": " + others : "its own"));
    }
  };
}

async function show() {
  by("history").replaceChildren();
  history_.forEach((item, place) =>
    button(by("history"), item, "Take out", () => { history_.splice(place, 1); show(); }));
  by("clear").hidden = !history_.length;
  const items = history_.map((item) => item.item_id);
  const found = await newest("list", ask("recommend", { items, k: 10 }));
  if (!found) return;
  by("said").textContent = items.length ? "" : "Without a history: what most people had.";
  by("list").replaceChildren();
  for (const item of found.items) {
    const made = button(by("list"), item, "Why?", details(item));
    add(made, "div", item.score.toFixed(3) + (item.semantic_id ? " · codes " + item.semantic_id.join(" ") : ""), "codes");
  }
}

function guarded(task) {
  return (...given) => task(...given).catch((error) => { by("said").textContent = error.message; });
}

by("query").addEventListener("input", guarded(find));
by("clear").addEventListener("click", () => { history_.length = 0; guarded(show)(); });
ask("health").then((found) => { by("model").textContent = found.model; });
guarded(show)();
