"""Fixtures that every test may use."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import one_numpy_thread  # noqa: F401  before all that imports NumPy
import pytest

from attnkit import _core

# A shell lets what it starts in the background ignore SIGINT, and nohup SIGHUP; so would the programs that tests start
# to interrupt.
for _number, _handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(_number) == signal.SIG_IGN:
        signal.signal(_number, _handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--device", default="cpu", help="where tensors lie that are not told where: cpu, host2 or cuda-emulated"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "cpu_only: shares memory between tensors and NumPy, which only the CPU can, or sends tensors to a new process, "
        "which knows no device of the tests",
    )
    device = config.getoption("device")
    if device != "cpu":
        from attnkit import _testing

        register = {"host2": _testing.register_host2, "cuda-emulated": _testing.register_emulated_cuda}
        register.get(device, lambda: None)()
        _core.set_default_device(device)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("device") == "cpu":
        return
    for item in items:
        if item.get_closest_marker("cpu_only"):
            item.add_marker(pytest.mark.skip(reason="marked cpu_only"))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A second device shows who reads memory that is not the host's, which every instruction set does alike."""
    if "isa" in metafunc.fixturenames:
        isas = _core.supported_isas()
        metafunc.parametrize("isa", isas if metafunc.config.getoption("device") == "cpu" else isas[-1:], indirect=True)


@pytest.fixture
def isa(request: pytest.FixtureRequest) -> Iterator[str]:
    """Runs the test once under each instruction set of this machine."""
    before = _core.active_isa()
    _core.set_isa(request.param)
    yield request.param
    _core.set_isa(before)


@pytest.fixture(params=[1, 2])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    """Runs the test with one thread and with two."""
    before = _core.get_num_threads()
    _core.set_num_threads(request.param)
    yield request.param
    _core.set_num_threads(before)


@pytest.fixture
def caching_allocator() -> None:
    """Skips the test in a build whose allocator keeps no freed memory, as one for sanitizers does."""
    if _core.build_info()["allocator"] != "caching":
        pytest.skip("this build keeps no freed memory")


@pytest.fixture
def no_sanitizer() -> None:
    """Skips the test in a build whose sanitizer takes time and memory of its own, where the test measures these."""
    if _core.build_info()["sanitizers"]:
        pytest.skip("a sanitizer takes time and memory of its own")


@pytest.fixture(autouse=True)
def _clean_state() -> Iterator[None]:
    """No test leaves its seed, precision, threads or tape switch to the next."""
    threads = _core.get_num_threads()
    _core.manual_seed(1234)
    yield
    _core.set_num_threads(threads)
    _core.set_precision("fp32")
    _core.set_grad_enabled(True)
