"""The service: answers as the object gives them, limits, batches, new items, a clean end."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request

import pytest

fastapi = pytest.importorskip("fastapi")
from fastapi.testclient import TestClient  # noqa: E402

from recbole_store import cli, load  # noqa: E402
from recbole_store.recommender.serving import batches as batching  # noqa: E402
from recbole_store.recommender.serving.app import make_app  # noqa: E402
from recbole_store.recommender.serving.batches import Batches, Request  # noqa: E402
from recbole_store.recommender.serving.limits import hosts_of  # noqa: E402


@pytest.fixture(scope="module")
def store(finished):
    return load(finished("STORE").folder, device="cpu")


@pytest.fixture
def client(store):
    with TestClient(make_app(store)) as client:
        yield client


def test_recommend(client, store):
    answer = client.post("/recommend", json={"items": ["i000", "nope", "i001"], "k": 4})
    assert answer.status_code == 200
    found = answer.json()
    expected = store.recommend(items=["i000", "i001"], k=4)
    assert found["unknown_items"] == ["nope"]
    assert [item["item_id"] for item in found["items"]] == expected["item_id"].tolist()
    assert [item["score"] for item in found["items"]] == pytest.approx(expected["score"].tolist())
    assert found["items"][0]["semantic_id"] == list(expected["semantic_id"][0])
    some = {"items": ["i000"], "only": ["i005", "i006"], "exclude_seen": False}
    listed = client.post("/recommend", json=some).json()["items"]
    assert {item["item_id"] for item in listed} == {"i005", "i006"}
    assert len(client.post("/recommend", json={"items": []}).json()["items"]) == 10


def test_items_similar_explain(client, store):
    found = client.get("/items/i000").json()
    assert found["columns"] == store.catalogue.row(store.catalogue.item_id("i000"))
    assert not found["is_new"] and found["training_count"] > 0
    listed = client.get("/items", params={"query": "red STAR"}).json()
    assert [item["title"] for item in listed] == ["red star"]
    alike = client.get("/similar", params={"item": "i000", "k": 3}).json()
    assert [item["item_id"] for item in alike] == store.similar("i000", 3)["item_id"].tolist()
    why = client.post("/explain", json={"item": "i000", "items": ["i001", "i002"]}).json()
    assert sum(why["shares"].values()) == pytest.approx(1)
    assert client.post("/explain", json={"item": "i000"}).json()["score"] is None


@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        ("/recommend", {"items": ["i000"], "k": 0}, 422, "greater than"),
        ("/recommend", {"items": ["i000"], "k": 1001}, 422, "less than"),
        ("/recommend", {"items": ["i000"] * 1001}, 422, "at most 1000"),
        ("/recommend", {"items": "i000"}, 422, "valid list"),
        ("/recommend", {"items": ["i000"], "top": 3}, 422, "Extra inputs"),
        ("/recommend", {"items": ["i000"], "only": []}, 422, "at least 1"),
        ("/recommend", {"items": ["i000"], "only": ["nope"]}, 404, "no item 'nope'"),
        ("/explain", {"item": "nope"}, 404, "no item 'nope'"),
        ("/items", {"items": [{"item_id": "x"}]}, 403, "no token"),
        ("/recommend", {"items": ["x" * (1 << 20)]}, 413, "bytes"),
    ],
)
def test_what_is_refused(client, path, body, status, said):
    answer = client.post(path, json=body)
    assert answer.status_code == status
    assert said in answer.text
    assert client.get("/health").json()["status"] == "ok"


def test_unknown_items_are_not_found(client):
    assert client.get("/items/nope").status_code == 404
    assert client.get("/similar", params={"item": "nope"}).status_code == 404
    assert client.get("/nowhere").status_code == 404


def test_a_body_of_unknown_length_is_limited(client):
    parts = (b"x" * 100_000 for _ in range(20))
    assert client.post("/recommend", content=parts).status_code == 413


def test_new_items_need_the_token(finished):
    store, kept = load(finished("STORE").folder, device="cpu"), []
    app = make_app(store, token="secret", keep=lambda: kept.append(len(store)))
    row = {"items": [{"item_id": "new1", "colour": "red", "shape": "star"}]}
    with TestClient(app) as client:
        for header in ({}, {"Authorization": "Bearer other"}, {"Authorization": "secret"}):
            assert client.post("/items", json=row, headers=header).status_code == 401
        assert len(store) == 60
        right = {"Authorization": "Bearer secret"}
        assert client.post("/items", json=row, headers=right).json() == {
            "added": ["new1"],
            "known": 0,
            "n_items": 61,
        }
        again = client.post("/items", json=row, headers=right).json()
        assert again == {"added": [], "known": 1, "n_items": 61}
        assert kept == [61]
        bad = {"items": [{"item_id": "new2"}]}
        answer = client.post("/items", json=bad, headers=right)
        assert answer.status_code == 422 and "no text" in answer.text
        assert client.get("/items/new1").json()["is_new"]
        listed = client.post("/recommend", json={"items": ["i000"], "k": 60}).json()["items"]
        assert "new1" in {item["item_id"] for item in listed}


def test_openapi_has_examples_and_nothing_comes_from_elsewhere(client):
    described = client.get("/openapi.json").json()
    body = described["paths"]["/recommend"]["post"]["requestBody"]["content"]["application/json"]
    (example,) = body["examples"].values()
    assert client.post("/recommend", json=example["value"]).status_code == 200
    for path in ("/", "/page.js", "/page.css"):
        answer = client.get(path)
        assert answer.status_code == 200 and "http://" not in answer.text
        assert "https://" not in answer.text
        assert answer.headers["content-security-policy"].startswith("default-src 'self'")


def test_metrics(client):
    client.post("/recommend", json={"items": ["i000"]})
    client.get("/items/nope")
    text = client.get("/metrics").text
    assert 'recbole_store_requests_total{route="/recommend",status="200"} 1' in text
    assert 'recbole_store_requests_total{route="/items/{item_id:path}",status="404"} 1' in text
    assert 'request_seconds_bucket{route="/recommend",le="+Inf"} 1' in text
    assert "recbole_store_items 60" in text


def test_only_its_own_names_are_answered(store):
    app = make_app(store, hosts=hosts_of("127.0.0.1"))
    with TestClient(app, base_url="http://localhost:8000") as client:
        assert client.get("/health").status_code == 200
        assert client.get("/health", headers={"host": "evil.example"}).status_code == 400
    assert hosts_of("0.0.0.0") == ["*"] and "10.0.0.9" not in hosts_of("::1")


def test_requests_that_wait_share_a_batch(store):
    """Those that come while a batch is ranked are the next one; each gets its own list."""
    asked, release = threading.Event(), threading.Event()
    sizes, rank = [], store.ranker.rank

    def slow(histories, *rest):
        sizes.append(len(histories))
        asked.set()
        release.wait(30)
        return rank(histories, *rest)

    async def ask():
        batches = Batches(store)
        batches.start()
        items = [store.catalogue.item_id(f"i{n:03d}") for n in range(6)]
        first = asyncio.create_task(batches.rank(Request([items[0]], "", 3, True, None)))
        await asyncio.to_thread(asked.wait, 30)
        others = [
            asyncio.create_task(batches.rank(Request([item], "", k, True, None)))
            for k, item in enumerate(items[1:], start=2)
        ]
        await asyncio.sleep(0.05)
        release.set()
        found = await asyncio.gather(first, *others)
        await batches.stop()
        return found

    store.ranker.rank = slow
    try:
        found = asyncio.run(ask())
    finally:
        del store.ranker.rank
    assert sizes == [1, 5]
    for n, (items, _) in enumerate(found):
        k = 3 if n == 0 else n + 1
        expected = store.recommend(items=[f"i{n:03d}"], k=k)["item_id"].tolist()
        assert [store.catalogue.raw_ids[item] for item in items] == expected


def test_too_many_waiting_are_told_to_come_again(client, monkeypatch):
    monkeypatch.setattr(batching, "MOST_WAITING", 0)
    answer = client.post("/recommend", json={"items": ["i000"]})
    assert answer.status_code == 503 and answer.headers["retry-after"] == "1"


def test_a_fault_of_one_batch_ends_neither_server_nor_others(client, store, monkeypatch):
    monkeypatch.setattr(store.ranker, "rank", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        client.post("/recommend", json={"items": ["i000"]})
    monkeypatch.undo()
    assert client.post("/recommend", json={"items": ["i000"]}).status_code == 200


def free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return held.getsockname()[1]


@pytest.fixture
def server(finished, tmp_path):
    """A server in a process of its own: its address and the process."""
    port = free_port()
    words = [sys.executable, "-m", "recbole_store.cli", "serve", str(finished("STORE").folder)]
    process = subprocess.Popen(
        [*words, "--port", str(port), "--device", "cpu"],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    address = f"http://127.0.0.1:{port}"
    for _ in range(600):
        try:
            urllib.request.urlopen(f"{address}/health", timeout=5).close()
            break
        except OSError:
            assert process.poll() is None
            time.sleep(0.2)
    yield address, process
    if process.poll() is None:
        process.kill()
    process.wait()


def test_a_stop_finishes_what_began(server):
    address, process = server
    answers = []

    def ask():
        request = urllib.request.Request(
            f"{address}/recommend",
            data=b'{"items": ["i000"], "k": 60}',
            headers={"content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            answers.append(answer.status)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    time.sleep(0.3)  # they have been sent
    process.send_signal(signal.SIGTERM)
    for thread in threads:
        thread.join()
    assert answers == [200] * 8
    assert process.wait(60) in (0, -signal.SIGTERM)


def test_serve_without_fastapi_says_what_to_install(finished, monkeypatch, capsys):
    from recbole_store.recommender.commands import serve

    monkeypatch.setattr(serve, "find_spec", lambda name: None)
    assert cli.main(["serve", str(finished("STORE").folder)]) == 2
    assert 'pip install "recbole-store[serve]"' in capsys.readouterr().err
