# Sourced by the commands beside this folder. `set_up demo` or `set_up test` makes .venv from the hash-pinned list of
# that name, once per change of the list; a second call costs a few milliseconds.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
VENV=$ROOT/.venv
BIN=$VENV/bin
export PIP_DISABLE_PIP_VERSION_CHECK=1
# Where this is set, as in many container images, every process compiles all its modules again: 1.4 of its first 2.2 s.
unset PYTHONDONTWRITEBYTECODE

say() { printf '%s\n' "$*" >&2; }

die() {
    say "$*"
    exit 1
}

set_up() {
    local list=$1
    # The tests' list holds everything of the demo's.
    is_set_up "$list" || is_set_up test || install "$list"
    compile_catalogues
}

install() {
    local list=$1
    belongs_here || make_venv
    say "Installing what requirements/$list.lock names (a minute or so, the first time) …"
    install_list "$list"
    fingerprint "$list" >"$VENV/.set-up-$list"
}

# The install compiles them as well (hatch_build.py); this is for a catalogue that changed since, or lost its .mo.
compile_catalogues() {
    local locale=$ROOT/src/regulars/locale po
    for po in "$locale"/*/LC_MESSAGES/django.po; do
        [ "${po%.po}.mo" -nt "$po" ] && continue
        "$BIN/pybabel" --quiet compile --directory "$locale" --domain django
        return
    done
}

is_set_up() { [ "$(cat "$VENV/.set-up-$1" 2>/dev/null)" = "$(fingerprint "$1")" ]; }

fingerprint() { printf '%s' "$ROOT" | cat - "$ROOT/pyproject.toml" "$ROOT/requirements/$1.lock" | sha256sum; }

# Neither moved (a virtual environment does not survive a move) nor made for a Python that was removed.
belongs_here() { "$BIN/python" -c '' 2>/dev/null && grep -qsF -- "$VENV" "$BIN/activate"; }

make_venv() {
    local python
    python=$(find_python) || die "Regulars needs Python 3.11 or newer. On Debian: apt-get install python3 python3-pip"
    say "Making $VENV with $("$python" --version) …"
    rm -rf "$VENV"
    if "$python" -c 'import ensurepip' 2>/dev/null; then
        "$python" -m venv "$VENV"
    elif "$python" -m pip --version >/dev/null 2>&1; then
        "$python" -m venv --without-pip "$VENV" # Debian without python3-venv: the machine's pip installs into it
        "$python" -m pip --quiet --python "$BIN/python" install pip
    else
        die "$python has neither venv nor pip. On Debian: apt-get install python3-venv"
    fi
}

find_python() {
    local name
    for name in "${PYTHON:-python3.11}" python3.13 python3.12 python3; do
        if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$name"
            return
        fi
    done
    return 1
}

# With uv (the machine's, or one of our own) a fifth of pip's time. Plain pip does the same from the same list.
install_list() {
    local uv
    if uv=$(find_uv); then
        "$uv" pip install --quiet --python "$BIN/python" --require-hashes -r "$ROOT/requirements/$1.lock"
        "$uv" pip install --quiet --python "$BIN/python" --no-deps -e "$ROOT"
    else
        "$BIN/python" -m pip install --quiet --require-hashes -r "$ROOT/requirements/$1.lock"
        "$BIN/python" -m pip install --quiet --no-deps -e "$ROOT"
    fi
}

# Prints the path of uv; fails when there is none and none can be had (REGULARS_INSTALLER=pip asks for that).
find_uv() {
    [ "${REGULARS_INSTALLER:-uv}" = uv ] || return
    command -v uv && return
    [ -x "$BIN/uv" ] ||
        "$BIN/python" -m pip install --quiet --require-hashes -r "$ROOT/requirements/installer.lock" >&2 || return
    printf '%s\n' "$BIN/uv"
}
