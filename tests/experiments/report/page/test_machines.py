"""What is said of the machines: one machine with other threads is no other machine."""

from __future__ import annotations

from types import SimpleNamespace

from recbole_store.experiments.report.page.machines import machines_said, times_said


def run(label: str, threads: int, name: str = "AMD EPYC", device: str = "cpu") -> SimpleNamespace:
    hardware = {"device": device, "name": name, "cores": 2, "torch_threads": threads}
    return SimpleNamespace(label=label, result={"hardware": hardware})


def test_one_machine():
    runs = [run("Pop", 1), run("STORE", 1)]
    assert times_said(runs) == "All runs on one machine, AMD EPYC with 2 cores, each with 1 thread."
    assert machines_said(runs) == "AMD EPYC with 2 cores (1 thread)"


def test_one_machine_with_other_threads_names_each_label_once():
    runs = [run("Pop", 2), run("Pop", 1), run("STORE", 1), run("BPR", 1), run("SASRec", 2)]
    assert times_said(runs) == (
        "All runs on one machine, AMD EPYC with 2 cores. Threads: 1 for STORE and BPR; 1 and 2, by "
        "seed, for Pop; 2 for SASRec. Times of runs that differ in this do not compare."
    )
    assert machines_said(runs) == "AMD EPYC with 2 cores (1 or 2 threads)"


def test_different_machines():
    runs = [run("Pop", 2), run("STORE", 8, "NVIDIA H200", "cuda"), run("STORE", 2)]
    assert times_said(runs) == (
        "The runs were on different machines: AMD EPYC with 2 cores for Pop; AMD EPYC with 2 cores "
        "and NVIDIA H200, by seed, for STORE. Times of runs that differ in this do not compare."
    )
    assert machines_said(runs) == "AMD EPYC with 2 cores (2 threads); NVIDIA H200"
