"""Every "no" has a name: machines read the name, people read the sentence."""

from __future__ import annotations


class Refused(Exception):  # noqa: N818 - reads as what happened: "refused: unknown_purpose"
    """Something was refused for a reason that has a name.

    `name` is a stable snake_case word for machines, `sentence` is for people and never holds a secret. `about` is the
    one input it is about, where there is one, so that a form can say it beside the field.
    """

    def __init__(self, name: str, sentence: str = "", about: str = "") -> None:
        super().__init__(sentence or name)
        self.name = name
        self.about = about
        self.sentence = sentence or name.replace("_", " ")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"
