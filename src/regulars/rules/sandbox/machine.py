"""What a process needs once: the engine, the guest's code (compiled once per home), the few things a guest may import."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import threading
import time
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import wasmtime

from .cache import Unavailable, cached, write_whole

if TYPE_CHECKING:
    from .realm import Realm

# The guest is an unpublished part of an alpha package: exactly these bytes, or none.
GUEST_SHA256 = "647ab11ae29cc6d39a6d17d3aa1e7a6a0b5fb9c44b4864475a18bc644f926050"
TICK_SECONDS = 0.01
_BAD_FILE_DESCRIPTOR = 8  # WASI errno `badf`: there are no files

running = threading.local()  # .realm: whose imports are being called on this thread


class Machine:
    """One engine, with its clock for stopping what does not stop itself. Made on first use, remade after a fork."""

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
        """While somebody is inside, epochs pass; an idle process does not wake up for them."""
        with self._lock:
            self._active += 1
            self._wanted.set()

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._active -= 1
            if not self._active:
                self._wanted.clear()

    def compile(self, wasm: bytes) -> wasmtime.Module:
        """The module, compiled now or mapped from this home's cache (seconds against a millisecond)."""
        path = cached(hashlib.sha256(wasm + version("wasmtime").encode()).hexdigest() + ".cwasm")
        if path.exists():
            try:
                return wasmtime.Module.deserialize_file(self.engine, str(path))
            except wasmtime.WasmtimeError:  # compiled for another processor, or torn
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
_machine: Machine | None = None


def machine() -> Machine:
    """This process's machine."""
    global _machine
    with _lock:
        if _machine is None or _machine.pid != os.getpid():  # threads do not survive a fork
            _machine = Machine()
        return _machine


def guest() -> bytes:
    """QuickJS as WebAssembly out of the installed `quickjs-rs` wheel. Raises `Unavailable` if its bytes are not ours."""
    found = importlib.util.find_spec("quickjs_rs")
    if found is None or found.origin is None:
        raise Unavailable("the package quickjs-rs is not installed")
    wasm = (Path(found.origin).parent / "_guest.wasm").read_bytes()
    if hashlib.sha256(wasm).hexdigest() != GUEST_SHA256:
        raise Unavailable("the JavaScript guest is not the one that this release was tested with")
    return wasm


def _linker(engine: wasmtime.Engine) -> wasmtime.Linker:
    """Everything a guest can reach: two clocks, random bytes, `host.py`, refusals. No files, no network, no environment."""
    linker = wasmtime.Linker(engine)
    i32, i64 = wasmtime.ValType.i32(), wasmtime.ValType.i64()

    def offer(module: str, name: str, parameters: list[wasmtime.ValType], function: object) -> None:
        linker.define_func(module, name, wasmtime.FuncType(parameters, [i32]), function)

    offer("env", "host_interrupt", [], lambda: current().interrupt())
    offer("env", "host_call", [i32] * 5, lambda _name, _size, _this, count, values: current().answer(count, values))
    offer("env", "host_module_normalize", [i32] * 5, lambda *_: 0)
    offer("env", "host_module_load", [i32] * 3, lambda *_: 0)
    wasi = "wasi_snapshot_preview1"
    offer(wasi, "random_get", [i32] * 2, lambda at, size: current().give_random(at, size))
    offer(wasi, "clock_time_get", [i32, i64, i32], lambda which, _, at: current().give_time(which, at))
    offer(wasi, "environ_get", [i32] * 2, lambda *_: 0)
    offer(wasi, "environ_sizes_get", [i32] * 2, lambda count, size: current().give_nothing(count, size))
    offer(wasi, "fd_close", [i32], lambda *_: _BAD_FILE_DESCRIPTOR)
    offer(wasi, "fd_fdstat_get", [i32] * 2, lambda *_: _BAD_FILE_DESCRIPTOR)
    offer(wasi, "fd_seek", [i32, i64, i32, i32], lambda *_: _BAD_FILE_DESCRIPTOR)
    offer(wasi, "fd_write", [i32] * 4, lambda *_: _BAD_FILE_DESCRIPTOR)
    linker.define_func(wasi, "proc_exit", wasmtime.FuncType([i32], []), lambda _: None)
    return linker


def current() -> Realm:
    realm: Realm = running.realm
    return realm
