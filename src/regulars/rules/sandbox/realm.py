"""One disposable JavaScript realm: text in, text out, within limits."""

from __future__ import annotations

import hashlib
import json
import os
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import wasmtime

from regulars.base import clock

from .compile_cache import EngineUnavailable, cached, delete_older, write_whole
from .engine import TICK_SECONDS, WasmEngine, guest, running, wasm_engine
from .host import do_now
from .library import Library, library
from .preinitialise import WASM_PAGE, preinitialise

_PRELUDE = Path(__file__).parent / "prelude"
_FILES = ("kernel", "bytes", "web", "node", "crypto", "http", "auth0", "actions")
_FUNCTIONS = (
    "__compile",
    "__run",
    "__step",
    "__report",
)  # functions of kernel.js that the host calls; hidden from rules
_MAKING = ("__define", "__freeze", "__builtins")  # used only while the image is built
_MEGABYTE = 1 << 20
_STACK_BYTES = 256 << 10
_TRAPS = {wasmtime.TrapCode.INTERRUPT: "too_much_time", wasmtime.TrapCode.STACK_OVERFLOW: "too_deep"}


@dataclass(frozen=True)
class RealmLimits:
    """Limits of one rule: `cpu` and `wall` in seconds of running (waiting for a response does not count), `memory` of the
    whole realm and `answer` in bytes."""

    cpu: float = 0.5
    wall: float = 2.0
    memory: int = 48 * _MEGABYTE
    answer: int = _MEGABYTE


class Terminated(Exception):
    """The realm was stopped and is of no further use.

    `name`: too_much_cpu, too_much_time, too_much_memory, too_deep, answer_too_large, engine_failed.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class Realm:
    """A fresh realm with the kernel loaded. For one thread at a time; `close` it (or use `with`)."""

    _scratch: tuple[int, int, int] | None

    def __init__(self, limits: RealmLimits | None = None) -> None:
        self.limits = limits or RealmLimits()
        image = _image(wasm_engine().pid, library())
        self._functions = image.functions
        self._start(image.wasm_engine, image.module)

    @classmethod
    def uninitialised(cls, owner: WasmEngine, module: wasmtime.Module) -> Realm:
        """Return a realm of the bare guest to load the kernel into. It runs trusted code, so its limits are generous."""
        realm = cls.__new__(cls)
        realm.limits = RealmLimits(cpu=60, wall=120)
        realm._start(owner, module)
        realm._guest("set_memory_limit", realm.limits.memory - 4 * _MEGABYTE)
        realm._guest("set_max_stack_size", _STACK_BYTES)
        return realm

    def __enter__(self) -> Realm:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._store.close()

    def begin(self) -> None:
        """Reset the clocks: the CPU clock that QuickJS polls, and epochs for loops that never poll."""
        self._cpu_deadline = time.thread_time() + self.limits.cpu
        self._run_for(self.limits.wall)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Stop the clock of running while the host waits for a response."""
        left = self._deadline - time.monotonic()
        try:
            yield
        finally:
            self._run_for(left)

    def _run_for(self, seconds: float) -> None:
        self._deadline = time.monotonic() + seconds
        self._store.set_epoch_deadline(int(max(seconds, 0) * 1.25 / TICK_SECONDS) + 2)

    def call(self, function: str, argument: str) -> str:
        """Call a function of the kernel, then run every promise that is ready, within the limits. Raises `Terminated`."""
        handle = self._functions[function]
        self._check(self.interrupt())
        nothing, arguments, out = self._places()
        text = self._new_string(argument)
        self._write(arguments, struct.pack("<i", text))
        self._check(self._guest("call_function", handle, nothing, arguments, 1, out))
        answer = self._text_of(self._handle_at(out))
        while (jobs := self._guest("execute_pending_jobs")) > 0:
            self._check(self.interrupt())
        self._check(int(jobs < 0))
        self._guest("free_value", text)
        return answer

    def _places(self) -> tuple[int, int, int]:
        """Return handles of `undefined`, arguments and results, created once, because every call into the guest costs."""
        if self._scratch is None:
            self._scratch = (self._guest("new_undefined"), self._guest("qjs_alloc", 4), self._guest("qjs_alloc", 4))
        return self._scratch

    # imports of the guest (HostCalls)

    def interrupt(self) -> int:
        """Return 1 when the guest exceeded a limit. QuickJS polls every few thousand steps."""
        if time.thread_time() > self._cpu_deadline:
            self._why = "too_much_cpu"
        elif time.monotonic() > self._deadline:
            self._why = "too_much_time"
        return int(bool(self._why))

    def give_random(self, at: int, size: int) -> int:
        self._write(at, os.urandom(min(size, 4096)))
        return 0

    def give_time(self, which: int, at: int) -> int:
        nanoseconds = int(clock.now().timestamp() * 1e9) if which == 0 else time.monotonic_ns()
        self._write(at, struct.pack("<Q", nanoseconds))
        return 0

    def answer(self, count: int, values: int) -> int:
        """Implement `__host(op, argument)` of the kernel. Returns a handle of the text of `host.do_now`, or -1."""
        if count != 2 or self.interrupt():
            return -1
        operation, argument = struct.unpack("<2i", self._read(values, 8))
        try:
            return self._new_string(do_now(self._text(operation), self._text(argument)))
        except Terminated:
            return -1

    def give_nothing(self, count: int, size: int) -> int:
        self._write(count, bytes(4))
        self._write(size, bytes(4))
        return 0

    # exports of the guest

    def _start(self, owner: WasmEngine, module: wasmtime.Module) -> None:
        self._machine = owner
        self._why = ""
        self._scratch = None
        self._store = wasmtime.Store(owner.engine)
        self._store.set_limits(memory_size=self.limits.memory, instances=1, tables=2, memories=1, table_elements=20000)
        self.begin()
        running.realm = self
        self._exports: Any = owner.linker.instantiate(self._store, module).exports(self._store)
        self._memory: Any = self._exports["memory"]

    def _guest(self, name: str, *arguments: int) -> int:
        running.realm = self
        try:
            with self._machine:
                result: int | None = self._exports[name](self._store, *arguments)
        except wasmtime.Trap as trap:
            raise Terminated(_TRAPS.get(trap.trap_code, "engine_failed")) from None
        except wasmtime.WasmtimeError as error:
            raise Terminated("engine_failed") from error
        return result or 0

    def _check(self, failed: int) -> None:
        """Raise `Terminated` for a failed call. The kernel catches what rules throw, so a failure is a limit."""
        if self._why:
            raise Terminated(self._why)
        if failed:
            raise Terminated("too_much_memory")

    def _new_string(self, text: str) -> int:
        data = text.encode("utf-8", "replace")
        at = self._put(data)
        handle = self._guest("new_string", at, len(data))
        self._guest("qjs_free", at, len(data))
        return handle

    def _text_of(self, handle: int) -> str:
        text = self._text(handle)
        self._guest("free_value", handle)
        return text

    def _text(self, handle: int) -> str:
        self._check(self._guest("get_string", handle))
        size = self._guest("qjs_last_len") & 0xFFFFFFFF
        if size > self.limits.answer:
            raise Terminated("answer_too_large")
        text = self._read(self._guest("qjs_last_ptr"), size).decode("utf-8", "replace") if size else ""
        self._guest("qjs_result_free")
        return text

    def _handle_at(self, out: int) -> int:
        handle: int = struct.unpack("<i", self._read(out, 4))[0]
        return handle

    def _put(self, data: bytes) -> int:
        at = self._guest("qjs_alloc", len(data))
        if data and not at:
            raise Terminated("too_much_memory")
        self._write(at, data)
        return at

    def _read(self, at: int, size: int) -> bytes:
        at &= 0xFFFFFFFF
        if at + size > self._memory.data_len(self._store):
            raise Terminated("engine_failed")
        return bytes(self._memory.read(self._store, at, at + size))

    def _write(self, at: int, data: bytes) -> None:
        at &= 0xFFFFFFFF
        if at + len(data) > self._memory.data_len(self._store):
            raise Terminated("engine_failed")
        self._memory.write(self._store, data, at)

    # building the image

    def load(self, source: str) -> None:
        """Evaluate a trusted script. Raises `Terminated`."""
        self.begin()
        data = source.encode()
        at, out = self._put(data), self._guest("qjs_alloc", 4)
        self._check(self._guest("eval_code", at, len(data), out))

    def offer_host(self) -> None:
        """Define the global `__host`, which kernel.js takes."""
        name = b"__host"
        at = self._put(name)
        function = self._guest("new_function", at, len(name))
        self._check(self._guest("set_prop", self._guest("global_object"), at, len(name), function))

    def take(self, name: str) -> int:
        """Return a handle of a global and hide it from scripts."""
        out = self._guest("qjs_alloc", 4)
        data = name.encode()
        self._check(self._guest("get_prop", self._guest("global_object"), self._put(data), len(data), out))
        self.load(f"delete globalThis.{name}")
        return self._handle_at(out)

    def load_prelude(self, sources: list[str], new_library: Library) -> dict[str, int]:
        """Load the built-in scripts, then the modules. Returns handles of the functions that the host calls."""
        self.offer_host()
        for source in sources:
            self.load(source)
        self._functions = {name: self.take(name) for name in (*_FUNCTIONS, *_MAKING)}
        for module in new_library.modules:
            self._make("__define", json.dumps({"name": module.name, "version": module.version, "code": module.code()}))
        self._make("__freeze", "")
        return {name: self._functions[name] for name in _FUNCTIONS}

    def _make(self, function: str, argument: str) -> None:
        problem = self.call(function, argument)
        if problem:
            raise EngineUnavailable(f"a module for rules cannot be loaded: {problem}")

    def snapshot(self) -> tuple[bytes, int]:
        """Return the whole memory and the stack pointer."""
        self._guest("run_gc")
        size = self._memory.data_len(self._store)
        return self._read(0, size), self._exports["__stack_pointer"].value(self._store)


@dataclass(frozen=True)
class _Image:
    wasm_engine: WasmEngine
    module: wasmtime.Module
    functions: dict[str, int]


_image_lock = threading.Lock()


def prepare(new_library: Library | None = None) -> None:
    """Build the image now (seconds), so that no login waits for it. `new_library`: the library to be, if it changes.

    Raises `EngineUnavailable`.
    """
    _image(wasm_engine().pid, new_library or library())


def _image(pid: int, new_library: Library) -> _Image:
    with _image_lock:  # two concurrent first logins compile once
        return _image_of(pid, new_library)


@lru_cache(maxsize=2)
def _image_of(pid: int, new_library: Library) -> _Image:
    """Return the guest with prelude and library for the process `pid`, built once per home."""
    owner, wasm, prelude = wasm_engine(), guest(), [(_PRELUDE / f"{name}.js").read_text() for name in _FILES]
    sources = [new_library.stamp, repr((RealmLimits(), _STACK_BYTES)), *prelude]
    key = hashlib.sha256(wasm + b"\0" + "\0".join(sources).encode()).hexdigest()
    module_path, handles = cached(f"{key}.wasm"), cached(f"{key}.json")
    if not handles.exists():
        with Realm.uninitialised(owner, owner.compile(wasm)) as realm:
            functions = realm.load_prelude(prelude, new_library)
            write_whole(module_path, preinitialise(wasm, *realm.snapshot(), RealmLimits().memory // WASM_PAGE))
        write_whole(handles, json.dumps(functions).encode())
        delete_older()
    return _Image(owner, owner.compile(module_path.read_bytes()), json.loads(handles.read_text()))
