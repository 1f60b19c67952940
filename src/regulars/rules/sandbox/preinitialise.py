"""Pre-initialise a guest: the memory of a started instance becomes the data section of a new module.

Only the four sections that describe initial memory are rewritten (WebAssembly core specification, 5.5); code is copied.
"""

from __future__ import annotations

from collections.abc import Iterator

WASM_PAGE = 65536
_HEADER = 8
_RUN = 4096
_MEMORY, _GLOBAL, _START, _DATA, _DATA_COUNT = 5, 6, 8, 11, 12


def preinitialise(wasm: bytes, image: bytes, stack_pointer: int, max_pages: int) -> bytes:
    """Return the module `wasm` whose memory starts as `image` and never grows past `max_pages` pages of 64 KiB.

    Raises ValueError for a module with a start function or with another first global than the stack pointer.
    """
    runs = list(_runs_with_content(image))
    # an active data segment is `i32.const start; end; bytes`
    rewritten = {
        _MEMORY: lambda body: b"\x01\x01" + _unsigned(len(image) // WASM_PAGE) + _unsigned(max_pages),
        _GLOBAL: lambda body: _with_stack_pointer(body, stack_pointer),
        _DATA_COUNT: lambda body: _unsigned(len(runs)),
        _DATA: lambda body: (
            _unsigned(len(runs))
            + b"".join(
                b"\x00\x41" + _signed(start) + b"\x0b" + _unsigned(end - start) + image[start:end]
                for start, end in runs
            )
        ),
    }
    out = bytearray(wasm[:_HEADER])
    position = _HEADER
    while position < len(wasm):
        number = wasm[position]
        length, start = _read_unsigned(wasm, position + 1)
        position = start + length
        if number == _START:
            raise ValueError("a module with a start function cannot be pre-initialised")
        body = rewritten.get(number, bytes)(wasm[start:position])
        out += bytes([number]) + _unsigned(len(body)) + body
    return bytes(out)


def _runs_with_content(image: bytes) -> Iterator[tuple[int, int]]:
    """Yield the `(start, end)` of memory that is not zero, in steps of 4 KiB."""
    empty = bytes(_RUN)
    start: int | None = None
    for offset in range(0, len(image), _RUN):
        if image[offset : offset + _RUN] != empty:
            start = offset if start is None else start
        elif start is not None:
            yield start, offset
            start = None
    if start is not None:
        yield start, len(image)


def _with_stack_pointer(body: bytes, stack_pointer: int) -> bytes:
    _, position = _read_unsigned(body, 0)
    if body[position : position + 3] != b"\x7f\x01\x41":  # mutable i32, i32.const
        raise ValueError("the first global is not the stack pointer")
    end = position + 3
    while body[end] & 0x80:
        end += 1
    return body[: position + 3] + _signed(stack_pointer) + body[end + 1 :]


def _read_unsigned(data: bytes, position: int) -> tuple[int, int]:
    result = shift = 0
    while True:
        byte = data[position]
        position += 1
        result |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return result, position


def _unsigned(number: int) -> bytes:
    out = bytearray()
    while True:
        byte, number = number & 0x7F, number >> 7
        if not number:
            return bytes([*out, byte])
        out.append(byte | 0x80)


def _signed(number: int) -> bytes:
    out = bytearray()
    while True:
        byte, number = number & 0x7F, number >> 7
        if (number == 0 and not byte & 0x40) or (number == -1 and byte & 0x40):
            return bytes([*out, byte])
        out.append(byte | 0x80)
