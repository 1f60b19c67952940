"""The kinds of question. One file per kind; each is an entry point under `regulars.question_types`."""
