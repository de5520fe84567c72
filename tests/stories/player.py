"""Plays a story: a text of commands, each followed by the transcript of what came of it.

    # One sentence of purpose.

    > boot http ftp email
    > run 3
        1.234  email   www    standing-in    epoch 1    for http, appointment 1

A line that begins with `>` is an order; what is below it was recorded, and must
come again exactly so.  `LOCUM_RECORD=1` writes it anew, to be read as a diff.
"""

from __future__ import annotations

from collections.abc import Callable

from stage import Stage

from bus.explaining import explain

Orders = dict[str, Callable[..., None]]


class StoryError(Exception):
    """The text is no story: which line, and what is wrong."""


class Player:
    """One story being played."""

    def __init__(self) -> None:
        self.stage = Stage()
        self._shown = 0
        self._extra: list[str] = []

    def play(self, text: str) -> str:
        """The same text, with the transcript as it comes out now."""
        lines: list[str] = []
        for number, line in enumerate(text.splitlines(), 1):
            if line.startswith("#"):
                lines.append(line)
            elif line.startswith(">"):
                if lines and not lines[-1].startswith(">"):
                    lines.append("")
                lines.append(line.rstrip())
                lines += self._obey(number, line[1:].split())
        return "\n".join(lines) + "\n"

    def _obey(self, number: int, words: list[str]) -> list[str]:
        stage = self.stage
        match words:
            case ["all", "wait", "hot"] if not stage.events:
                self.stage = stage = Stage(standby="hot", activate=("open",))
            case ["boot", *servers] if servers:
                stage.boot(*servers)
            case ["run", seconds]:
                stage.run(float(seconds))
            case ["cut", "power", "of", *servers]:
                for server in servers:
                    stage.hosts[server].crash()
            case ["kill", ("guard" | "runner") as part, "of", server]:
                getattr(stage.hosts[server], f"kill_{part}")()
            case ["kill", "process", "of", service, "on", server]:
                stage.hosts[server].kill_process(service)
            case ["pause", server]:
                stage.hosts[server].pause()
            case ["continue", server]:
                stage.hosts[server].resume()
            case ["end", server]:
                stage.hosts[server].terminate()
            case ["load", server, level]:
                stage.hosts[server].load(float(level))
            case ["sds", "dies"]:
                stage.central.crash()
            case ["sds", "starts"]:
                stage.central.start()
            case ["cut", "link", one, other]:
                stage.cut(one, other)
            case ["heal"]:
                stage.world.network.cuts.clear()
            case ["order", "move", service, server]:
                stage.order("move", service, server)
            case ["order", ("drain" | "resume" | "confirm-dead") as verb, server]:
                stage.order(verb, server=server)
            case ["show"]:
                self._show()
            case ["explain", service]:
                self._explain(service)
            case _:
                raise StoryError(f"line {number}: {' '.join(words)!r} is no order (tests/stories/player.py lists them)")
        said = stage.said()[self._shown :]
        self._shown = len(stage.said())
        extra, self._extra = self._extra, []
        return [*(f"  {line}" for line in said), *extra]

    def _show(self) -> None:
        for row in self.stage.status()["services"]:
            answering = ", ".join(sorted(self.stage.answering(row["name"]))) or "nobody"
            self._extra.append(
                f"  {row['name']:<5} {row['state']:<9} holder {row['holder'] or '-':<6} epoch {row['epoch']}  "
                f"secondary {row['secondary'] or '-':<6} answers {answering}"
            )

    def _explain(self, service: str) -> None:
        found = explain(self.stage.status(), self.stage.events, service)
        assert found is not None
        for head, sentences in (
            ("", (found.now,)),
            ("why", found.why),
            ("next", found.next),
            ("others", found.others),
            ("moves", found.moves),
            ("wrong", found.wrong),
        ):
            self._extra += [f"  {head:<7} {sentence}" for sentence in sentences]
