"""What a call of one package's network costs beside another's: ``python -m tests.bench call-cost BASE FUSED``.

The two take turns in one process, so that both meet the same machine; figures are of the thread's own processor time.
"""

import time
from pathlib import Path

import click
import numpy as np

from audiomon.models.interpreter import Interpreter, installed_backends
from audiomon.models.package import find_package, read_package


@click.command()
@click.argument("base")
@click.argument("fused")
@click.option("--calls", default=400, show_default=True)
def call_cost(base: str, fused: str, calls: int) -> None:
    """Call BASE's network and FUSED's in turn."""
    contents = [read_package(find_package(name, Path.cwd())).content for name in (base, fused)]
    for backend in installed_backends():
        networks = [Interpreter(content, backend) for content in contents]
        window = np.random.default_rng(0).normal(0, 0.1, networks[0].input.shape).astype(np.float32)
        spent_ns = np.empty((calls, 2))
        for number in range(calls):
            for which in (0, 1) if number % 2 else (1, 0):
                began_ns = time.thread_time_ns()
                networks[which].run(window)
                spent_ns[number, which] = time.thread_time_ns() - began_ns
        own, other = np.median(spent_ns[calls // 10 :], axis=0) / 1e6
        click.echo(f"{backend}: {base} {own:.2f} ms, {fused} {other:.2f} ms: {other / own:.3f} ×")
