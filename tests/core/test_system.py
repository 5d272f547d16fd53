"""The process around the kernels: threads, instruction sets, forks, memory, and what an import costs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import attnkit
from attnkit import _core, nn, ops, optim


def python(code: str, *, prefix: tuple[str, ...] = (), **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs code in a fresh interpreter that sees this one's packages."""
    variables = {key: value for key, value in os.environ.items() if key not in ("ATTNKIT_ISA", "OMP_NUM_THREADS")}
    variables["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    return subprocess.run(
        [*prefix, sys.executable, "-c", code],
        env={**variables, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


def output_of(code: str, **options: Any) -> str:
    result = python(code, **options)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


# --- threads

COUNT = "import attnkit; print(attnkit.get_num_threads())"


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="the platform has no affinity mask")
def test_the_number_of_threads_comes_from_the_affinity_mask() -> None:
    allowed = sorted(os.sched_getaffinity(0))
    taskset = shutil.which("taskset")
    assert taskset is not None
    quota = _core.cpu_info()["cgroup_quota"] or float("inf")
    for cpus in (allowed[:1], allowed[:2]):
        prefix = (taskset, "-c", ",".join(map(str, cpus)))
        assert int(output_of(COUNT, prefix=prefix)) == min(len(cpus), max(1, int(np.ceil(min(quota, 1024)))))


def test_omp_num_threads_lowers_the_number_and_cannot_raise_it() -> None:
    assert output_of(COUNT, OMP_NUM_THREADS="1") == "1"
    assert int(output_of(COUNT, OMP_NUM_THREADS="500")) == _core.cpu_info()["available_cpus"]
    assert int(output_of(COUNT, OMP_NUM_THREADS="nonsense")) == _core.cpu_info()["available_cpus"]


def test_set_num_threads() -> None:
    before = attnkit.get_num_threads()
    try:
        attnkit.set_num_threads(3)
        assert attnkit.get_num_threads() == 3
        for count in (0, -1, 1025):
            with pytest.raises(ValueError, match=re.escape(f"[threads] expected a number from 1 to 1024, got {count}")):
                attnkit.set_num_threads(count)
        assert attnkit.get_num_threads() == 3
    finally:
        attnkit.set_num_threads(before)


def test_an_error_leaves_a_parallel_region(threads: int) -> None:
    ids = np.zeros(100_000, np.int32)
    ids[77_777] = 9
    weight = np.zeros((5, 64), np.float32)
    with pytest.raises(ValueError, match=re.escape("[embedding] expected ids in [0, 5), got 9")):
        ops.embedding(ids, weight)
    ids[77_777] = 0
    assert ops.embedding(ids, weight).shape == (100_000, 64)


# --- instruction sets


def test_each_instruction_set_of_the_machine_can_be_forced() -> None:
    code = "from attnkit import _core; print(_core.active_isa())"
    for name in _core.supported_isas():
        assert output_of(code, ATTNKIT_ISA=name) == name
    assert output_of(code) == _core.supported_isas()[-1]
    assert output_of(code, ATTNKIT_ISA="") == _core.supported_isas()[-1]


def test_an_impossible_instruction_set_is_refused() -> None:
    result = python("import attnkit; attnkit.ops.softmax([[1.0]])", ATTNKIT_ISA="itanium")
    assert result.returncode != 0
    assert "expected an instruction set of this machine" in result.stderr and '"itanium"' in result.stderr
    before = _core.active_isa()
    missing = next(name for name in ("neon", "amx", "sse4") if name not in _core.supported_isas())
    with pytest.raises(ValueError, match=re.escape(f'got "{missing}"')):
        _core.set_isa(missing)
    assert _core.active_isa() == before


def test_threads_give_way_and_leave_the_environment_alone() -> None:
    code = "import os; {}; import attnkit; print([os.environ.get(k) for k in ('GOMP_SPINCOUNT', 'OMP_WAIT_POLICY')])"
    assert output_of(code.format("pass")) == "[None, None]"
    assert output_of(code.format("os.environ['GOMP_SPINCOUNT'] = '7'")) == "['7', None]"


def test_every_instruction_set_agrees() -> None:
    x = np.random.default_rng(0).standard_normal((37, 53)).astype(np.float32)
    before = _core.active_isa()
    try:
        results = []
        for name in _core.supported_isas():
            _core.set_isa(name)
            results.append(ops.softmax(x))
    finally:
        _core.set_isa(before)
    for result in results[1:]:
        np.testing.assert_allclose(result, results[0], rtol=1e-5, atol=1e-7)


# --- forks

FORK = """
import os, warnings
import numpy as np
import attnkit
from attnkit import ops

# Python warns of any fork while threads live; that the child works is what is tested here.
warnings.filterwarnings("ignore", message=".*multi-threaded.*", category=DeprecationWarning)
attnkit.set_num_threads(2)
x = np.random.default_rng(0).standard_normal((4096, 256)).astype(np.float32)
weight = np.random.default_rng(1).standard_normal((256, 256)).astype(np.float32)

def compute():
    leaf = attnkit.tensor(x, requires_grad=True)
    ops.softmax(ops.linear(leaf, weight, None, "gelu")).sum().backward()
    q = leaf.detach().reshape(4, 8, 128, 256)
    return leaf.grad.numpy().tobytes() + ops.attention(q, q, q, causal=True).numpy().tobytes()

expected = compute()  # the parent's threads are awake now
child = os.fork()
if child == 0:
    os._exit(0 if compute() == expected else 3)
_, status = os.waitpid(child, 0)
assert compute() == expected
print(os.waitstatus_to_exitcode(status))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform has no fork")
def test_a_forked_child_computes_the_same() -> None:
    assert output_of(FORK) == "0"


FORK_BEFORE_THREADS = """
import os
import numpy as np
import attnkit
from attnkit import ops

attnkit.set_num_threads(2)
child = os.fork()
if child == 0:
    ops.relu(np.ones((2000, 2000), np.float32))
    os._exit(len(os.listdir("/proc/self/task")))
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="the platform does not list threads")
def test_a_child_forked_before_the_first_parallel_kernel_has_threads() -> None:
    assert int(output_of(FORK_BEFORE_THREADS)) >= 2


FORKS_BESIDE_A_THREAD = """
import io, os, sys, threading, warnings
import numpy as np
from PIL import Image
import attnkit
from attnkit import ops
from attnkit.vision.images import read_image

warnings.filterwarnings("ignore", message=".*multi-threaded.*", category=DeprecationWarning)
x = attnkit.tensor(np.ones((8, 8), np.float32))
weight = attnkit.nn.Linear(8, 8)
png = io.BytesIO()
Image.new("RGB", (8, 8)).save(png, "PNG")
filters = list(warnings.filters)
sys.setswitchinterval(1e-6)

def ones():
    assert (ops.relu(x).numpy() == 1).all()

def images():
    read_image(png.getvalue())
    assert warnings.filters == filters or threading.current_thread() is busy

def products():
    with attnkit.no_grad(), attnkit.precision("int8"):
        weight(x)

def numbers():
    attnkit.manual_seed(1)

def keep_busy():
    while not done.is_set():
        JOB()

JOB()  # a fork beside an import hangs by Python's own locks
done, busy = threading.Event(), threading.Thread(target=keep_busy)
busy.start()
statuses = []
for _ in range(100):
    child = os.fork()
    if child == 0:
        try:
            JOB()  # would wait for ever for a lock that the other thread held when the parent forked
            os._exit(0)
        finally:
            os._exit(1)
    statuses.append(os.waitpid(child, 0)[1])
done.set()
busy.join()
print(sum(statuses))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform has no fork")
@pytest.mark.parametrize("job", ["ones", "images", "products", "numbers"])
def test_children_forked_beside_a_busy_thread(job: str, caching_allocator: None) -> None:
    assert output_of(FORKS_BESIDE_A_THREAD.replace("JOB", job)) == "0"


# --- memory


def test_training_asks_the_system_for_no_memory_after_its_first_steps(threads: int, caching_allocator: None) -> None:
    encoder = nn.TransformerEncoder(2, 32, 4, 64, dropout=0.1)
    head = nn.Linear(32, 50)
    parameters = [*encoder.parameters(), *head.parameters()]
    optimizer = optim.AdamW(parameters)
    x = np.random.default_rng(0).standard_normal((120, 32)).astype(np.float32)
    offsets = np.array([0, 50, 60, 120], np.int32)
    labels = np.arange(120) % 50

    def step() -> None:
        hidden = encoder(attnkit.tensor(x), offsets)
        ops.linear_cross_entropy(hidden, head.weight, labels, head.bias).backward()
        optimizer.step(optim.clip_scale(optim.grad_norm(parameters), 1.0))
        optimizer.zero_grad()

    _core.trim_memory()
    first = _core.memory_stats()["system_calls"]
    for _ in range(5):
        step()
    warm = _core.memory_stats()
    assert warm["system_calls"] > first
    for _ in range(20):
        step()
    after = _core.memory_stats()
    # With two threads a late step may be the first in which both hold a block of some size at once.
    assert after["system_calls"] - warm["system_calls"] <= (0 if threads == 1 else 4)
    assert after["bytes_in_use"] == warm["bytes_in_use"]


@pytest.mark.cpu_only
def test_memory_is_counted_kept_and_given_back(caching_allocator: None) -> None:
    _core.trim_memory()
    before = _core.memory_stats()
    assert before["bytes_cached"] == 0
    size = 4 << 20
    x = attnkit.tensor(np.zeros(size // 4, np.float32)) + 1.0
    during = _core.memory_stats()
    assert size <= during["bytes_in_use"] - before["bytes_in_use"] <= 1.25 * size + 4096
    del x
    after = _core.memory_stats()
    assert after["bytes_in_use"] == before["bytes_in_use"] and after["bytes_cached"] >= size
    assert after["peak_bytes"] >= during["bytes_in_use"]
    _core.trim_memory()
    assert _core.memory_stats()["bytes_cached"] == 0


@pytest.mark.cpu_only
@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux for the memory of the process")
def test_what_is_given_back_the_process_has_no_more(caching_allocator: None) -> None:
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    # Blocks of 64 kB, which the C library takes from its heap; the last one stays and holds those before it there.
    blocks = [attnkit.tensor(np.zeros(1 << 14, np.float32)) + 1.0 for _ in range(1000)]
    last = blocks.pop()
    del blocks
    before = resident()
    _core.trim_memory()
    assert before - resident() > 40 << 20 and last.numpy()[0] == 1.0


def test_more_memory_than_there_is_raises_memory_error() -> None:
    with pytest.raises(MemoryError):
        _core.empty_parameter((1 << 45,))
    with pytest.raises(ValueError, match="expected sizes >= 0 whose product fits"):
        _core.empty_parameter((1 << 40, 1 << 40))
    assert (attnkit.tensor(np.ones(3, np.float32)) * 2.0).sum().item() == 6.0


# --- imports

IMPORT = """
import sys, time
import numpy
begin = time.process_time()
import attnkit
print(time.process_time() - begin)
"""


def test_importing_attnkit_is_quick(no_sanitizer: None) -> None:
    """At most 30 ms beyond NumPy on an idle machine; twice that here, since other work may run beside the tests."""
    assert min(float(output_of(IMPORT)) for _ in range(5)) < 0.060


HEAVY = ["matplotlib", "msgspec", "PIL", "rich", "sacrebleu", "safetensors", "sentencepiece", "torch"]


def _loaded(code: str) -> list[str]:
    return output_of(f"import sys\n{code}\nprint(*(name for name in {HEAVY} if name in sys.modules))").split()


def test_importing_attnkit_loads_nothing_heavy() -> None:
    assert _loaded("import attnkit") == []
    # What is not loaded comes when it is used.
    assert "msgspec" in _loaded("import attnkit; attnkit.models.TransformerConfig")


def test_help_loads_nothing_heavy() -> None:
    code = """
import contextlib, io, sys
try:
    import attnkit.cli.main as main
except ModuleNotFoundError:  # a checkout that is not installed
    import cli.main as main
sys.argv = ["attnkit", "--help"]
with contextlib.redirect_stdout(io.StringIO()) as text:
    try:
        main.main()
    except SystemExit as end:
        assert end.code in (0, None), end.code
assert "translate" in text.getvalue()
"""
    assert _loaded(code) == []


def test_the_names_of_the_package() -> None:
    for name in attnkit.__all__:
        assert getattr(attnkit, name) is not None, name
    assert set(dir(attnkit)) >= {"load", "ops", "nn", "tensor", "vision", "Captioner", "ImageClassifier"}
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = attnkit.nothing


def test_cpu_info_is_complete() -> None:
    info = _core.cpu_info()
    assert info["active_isa"] in info["supported_isas"]
    assert info["threads"] >= 1 and info["available_cpus"] >= 1 and info["model"]
