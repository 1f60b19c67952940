# Sourced by scripts/test: what the tests need from the machine, installed where this user may, named where not.

# need COMMAND PACKAGE: the command, from PATH or from Debian's package.
need() {
    have "$1" && return
    say "Installing Debian's $2 for the tests …"
    as_root apt-get update -qq && as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "$2" >/dev/null 2>&1 || true
    have "$1" || die "The tests need $1. On Debian, as root: apt-get install $2"
}

have() {
    case $1 in
    initdb) postgres_bin >/dev/null ;;
    *) command -v "$1" >/dev/null ;;
    esac
}

# install_modules FOLDER: the npm packages of its lock file, once per change of the lock.
install_modules() {
    local folder=$ROOT/$1
    local installed=$folder/node_modules/installed.lock
    cmp -s "$folder/package-lock.json" "$installed" && return
    say "Installing what $1/package-lock.json names …"
    npm ci --prefix "$folder" --no-audit --no-fund --loglevel error >&2 ||
        die "npm could not install the packages of $1. It needs a package registry."
    cp "$folder/package-lock.json" "$installed"
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

# Debian keeps the server's programs off PATH.
postgres_bin() {
    local folder
    for folder in "$(dirname "$(command -v initdb || true)")" /usr/lib/postgresql/*/bin; do
        [ -x "$folder/initdb" ] && [ -x "$folder/postgres" ] && printf '%s\n' "$folder" && return
    done
    return 1
}

# Starts a PostgreSQL of our own, in a folder that goes away with this command, heard on a socket there and nowhere
# else. Prints nothing; sets POSTGRES_URL.
start_postgres() {
    local bin
    bin=$(postgres_bin)
    POSTGRES_FOLDER=$(mktemp -d "${TMPDIR:-/tmp}/regulars-pg.XXXXXX")
    trap stop_postgres EXIT
    if [ "$(id -u)" = 0 ]; then chown "$(postgres_user)" "$POSTGRES_FOLDER"; fi
    unprivileged "$bin/initdb" -D "$POSTGRES_FOLDER/data" -U postgres -A trust -E UTF8 --no-sync >/dev/null
    unprivileged "$bin/pg_ctl" -D "$POSTGRES_FOLDER/data" -l "$POSTGRES_FOLDER/log" -w -t 60 start \
        -o "-c listen_addresses='' -k '$POSTGRES_FOLDER' -c fsync=off -c full_page_writes=off -c synchronous_commit=off -c max_connections=200" >/dev/null ||
        die "PostgreSQL did not start: $(cat "$POSTGRES_FOLDER/log")"
    POSTGRES_URL="postgresql://postgres@/postgres?host=$POSTGRES_FOLDER"
}

stop_postgres() {
    unprivileged "$(postgres_bin)/pg_ctl" -D "$POSTGRES_FOLDER/data" -m immediate stop >/dev/null 2>&1 || true
    rm -rf "$POSTGRES_FOLDER"
}

# PostgreSQL refuses to run as root.
unprivileged() {
    if [ "$(id -u)" != 0 ]; then
        "$@"
    else
        (cd / && setpriv --reuid "$(postgres_user)" --regid "$(id -g "$(postgres_user)")" --clear-groups "$@")
    fi
}

postgres_user() { if id postgres >/dev/null 2>&1; then echo postgres; else echo nobody; fi; }
