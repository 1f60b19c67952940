"""The WebAssembly engine of a process: compiled guest code (cached in the home) and the guest's imports."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import threading
import time
from importlib.metadata import version
from pathlib import Path
from typing import Protocol

import wasmtime

from .compile_cache import EngineUnavailable, cached, write_whole

# The guest is an unpublished part of an alpha package, so exactly these bytes are accepted.
GUEST_SHA256 = "647ab11ae29cc6d39a6d17d3aa1e7a6a0b5fb9c44b4864475a18bc644f926050"
TICK_SECONDS = 0.01
_BAD_FILE_DESCRIPTOR = 8  # WASI errno `badf`: there are no files


class HostCalls(Protocol):
    """Functions that a guest imports, implemented by the realm that runs on the current thread."""

    def interrupt(self) -> int: ...

    def answer(self, count: int, values: int) -> int: ...

    def give_random(self, at: int, size: int) -> int: ...

    def give_time(self, which: int, at: int) -> int: ...

    def give_nothing(self, count: int, size: int) -> int: ...


class _Running(threading.local):
    """The realm whose imports are called on this thread. One linker serves every realm of the process."""

    realm: HostCalls


running = _Running()


class WasmEngine:
    """One wasmtime engine with the epoch clock that stops endless loops. Created on first use and after a fork."""

    def __init__(self) -> None:
        config = wasmtime.Config()
        config.epoch_interruption = True
        config.wasm_threads = False
        self.pid = os.getpid()
        self.engine = wasmtime.Engine(config)
        self.linker = _linker(self.engine)
        self._active = 0
        self._lock = threading.Lock()
        self._wanted = threading.Event()
        threading.Thread(target=self._tick, daemon=True, name="rules-epoch").start()

    def __enter__(self) -> None:
        """Let epochs pass while a guest runs; an idle process does not wake up for them."""
        with self._lock:
            self._active += 1
            self._wanted.set()

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._active -= 1
            if not self._active:
                self._wanted.clear()

    def compile(self, wasm: bytes) -> wasmtime.Module:
        """Return the module, compiled (seconds) or mapped from this home's cache (a millisecond)."""
        path = cached(hashlib.sha256(wasm + version("wasmtime").encode()).hexdigest() + ".cwasm")
        if path.exists():
            try:
                return wasmtime.Module.deserialize_file(self.engine, str(path))
            except wasmtime.WasmtimeError:  # compiled for another processor, or damaged
                path.unlink(missing_ok=True)
        module = wasmtime.Module(self.engine, wasm)
        write_whole(path, bytes(module.serialize()))
        return module

    def _tick(self) -> None:
        while True:
            self._wanted.wait()
            time.sleep(TICK_SECONDS)
            self.engine.increment_epoch()


_lock = threading.Lock()
_machine: WasmEngine | None = None


def wasm_engine() -> WasmEngine:
    """Return the engine of this process."""
    global _machine
    with _lock:
        if _machine is None or _machine.pid != os.getpid():  # threads do not survive a fork
            _machine = WasmEngine()
        return _machine


def guest() -> bytes:
    """Return QuickJS as WebAssembly from the installed `quickjs-rs` wheel. Raises `EngineUnavailable` for other bytes."""
    found = importlib.util.find_spec("quickjs_rs")
    if found is None or found.origin is None:
        raise EngineUnavailable("the package quickjs-rs is not installed")
    wasm = (Path(found.origin).parent / "_guest.wasm").read_bytes()
    if hashlib.sha256(wasm).hexdigest() != GUEST_SHA256:
        raise EngineUnavailable("the JavaScript guest is not the one that this release was tested with")
    return wasm


def _linker(engine: wasmtime.Engine) -> wasmtime.Linker:
    """Link the imports of a guest: two clocks, random bytes, `host.py`, errors. No files, network or environment."""
    linker = wasmtime.Linker(engine)
    i32, i64 = wasmtime.ValType.i32(), wasmtime.ValType.i64()

    def define(module: str, name: str, parameters: list[wasmtime.ValType], function: object) -> None:
        linker.define_func(module, name, wasmtime.FuncType(parameters, [i32]), function)

    define("env", "host_interrupt", [], lambda: running.realm.interrupt())
    define(
        "env", "host_call", [i32] * 5, lambda _name, _size, _this, count, values: running.realm.answer(count, values)
    )
    define("env", "host_module_normalize", [i32] * 5, lambda *_: 0)
    define("env", "host_module_load", [i32] * 3, lambda *_: 0)
    wasi = "wasi_snapshot_preview1"
    define(wasi, "random_get", [i32] * 2, lambda at, size: running.realm.give_random(at, size))
    define(wasi, "clock_time_get", [i32, i64, i32], lambda which, _, at: running.realm.give_time(which, at))
    define(wasi, "environ_get", [i32] * 2, lambda *_: 0)
    define(wasi, "environ_sizes_get", [i32] * 2, lambda count, size: running.realm.give_nothing(count, size))
    define(wasi, "fd_close", [i32], lambda *_: _BAD_FILE_DESCRIPTOR)
    define(wasi, "fd_fdstat_get", [i32] * 2, lambda *_: _BAD_FILE_DESCRIPTOR)
    define(wasi, "fd_seek", [i32, i64, i32, i32], lambda *_: _BAD_FILE_DESCRIPTOR)
    define(wasi, "fd_write", [i32] * 4, lambda *_: _BAD_FILE_DESCRIPTOR)
    linker.define_func(wasi, "proc_exit", wasmtime.FuncType([i32], []), lambda _: None)
    return linker
