# Sourced by scripts/check and scripts/test: the checks that run no test, and a quiet way to run them.

# step NAME COMMAND…: one line on success, the whole output on failure.
step() {
    local name=$1 output
    shift
    if output=$("$@" 2>&1); then
        say "ok   $name"
    else
        say "FAIL $name"
        say "$output"
        exit 1
    fi
}

check_code() {
    cd "$ROOT"
    export REGULARS_SECRET_KEY=checks DJANGO_SETTINGS_MODULE=regulars.settings
    step "lint" "$BIN/ruff" check .
    step "format" "$BIN/ruff" format --check .
    step "layers" "$BIN/lint-imports"
    step "dependencies" "$BIN/deptry" .
    step "types" "$BIN/mypy"
    step "migrations" with_temporary_home "$BIN/django-admin" makemigrations --check --dry-run
}

with_temporary_home() {
    local folder result=0
    folder=$(mktemp -d)
    REGULARS_HOME=$folder "$@" || result=$?
    rm -rf "$folder"
    return "$result"
}
