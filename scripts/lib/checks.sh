# Sourced by scripts/check and scripts/test: the checks that run no test, and a quiet way to run them.

# step WORDS COMMAND…: one line when it holds, everything it said when it does not.
step() {
    local words=$1 output
    shift
    if output=$("$@" 2>&1); then
        say "ok   $words"
    else
        say "FAIL $words"
        say "$output"
        exit 1
    fi
}

check_code() {
    cd "$ROOT"
    export REGULARS_SECRET_KEY=checks DJANGO_SETTINGS_MODULE=regulars.settings
    step "lint" "$BIN/ruff" check .
    step "format" "$BIN/ruff" format --check .
    step "floors" "$BIN/lint-imports"
    step "types" "$BIN/mypy"
    step "migrations" with_a_home_to_spare "$BIN/django-admin" makemigrations --check --dry-run
}

with_a_home_to_spare() {
    local folder result=0
    folder=$(mktemp -d)
    REGULARS_HOME=$folder "$@" || result=$?
    rm -rf "$folder"
    return "$result"
}
