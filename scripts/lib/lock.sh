# Sourced by scripts/check --lock: writes requirements/*.lock from pyproject.toml. The lists name packages and
# hashes but no download host, so that an organisation with its own index uses them unchanged.

write_locks() {
    cd "$ROOT"
    UV=$(find_uv) || die "Writing the lists needs uv (pip install uv)."
    compile test --extra test pyproject.toml
    # The versions that were tested are installed everywhere.
    compile demo --constraint requirements/test.lock --extra demo pyproject.toml
    compile base --constraint requirements/test.lock pyproject.toml
    printf 'uv\n' | compile installer -
    say "Wrote requirements/*.lock."
}

compile() {
    local list=$1
    shift
    "$UV" pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
        --no-emit-index-url --no-annotate --no-header -o "requirements/$list.lock" "$@"
}
