# Sourced by scripts/check --messages: brings the marked messages of the code (babel.cfg) into every catalogue. New messages
# are empty, and a test fails until they are translated.

update_catalogues() {
    local template
    template=$(mktemp)
    extract_messages "$template"
    "$BIN/pybabel" update --input-file "$template" --output-dir "$ROOT/src/regulars/locale" --domain django \
        --no-fuzzy-matching --ignore-obsolete --ignore-pot-creation-date --width 110
    rm -f "$template"
    compile_catalogues
}

# Locations without line numbers: a catalogue changes only when its messages do.
extract_messages() {
    cd "$ROOT/src/regulars"
    PYTHONPATH=$ROOT "$BIN/pybabel" --quiet extract --mapping-file "$ROOT/babel.cfg" \
        --keyword gettext_noop --keyword gettext_lazy --add-location file --sort-by-file --width 110 --output-file "$1" .
}
